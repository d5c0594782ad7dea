"""Any text at all gives a parsed formula or a FormulaError, soon."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from descentlab.errors import InputError
from descentlab.formula import FormulaError, ParsedFormula, parse
from descentlab.formula.functions import BY_NAME
from descentlab.program import compile_program

# Generous for a busy machine; alone, the slowest found took a tenth of it.
DEADLINE = timedelta(seconds=2)


def _fuzz(examples: int) -> settings:
    return settings(max_examples=examples, deadline=DEADLINE, suppress_health_check=[HealthCheck.too_slow])


parse("sin(x) e^x + x^0.5")  # loads what is loaded once

WORDS = [
    *BY_NAME, "x", "y", "x1", "pi", "e", "π", "E", "I", "0", "1", "2", "3", "8", "0.5",
    "1e3", "1e307", "1e-307",
    "10^9", "1/3", "(1/2)", "(", ")", "(", ")", "|", ",", "+", "-", "*", "/", "^", "**",
    "²", "⁻¹", "=", " ",
    "(x)", "(-8)", "(-x)", "log(", "exp(", "sqrt(", "x^", "(x+1)", ".", "__", "'", "[", "\0", "х", "∞",
]  # fmt: skip


def _try(text: str, variables: object = None) -> ParsedFormula | None:
    try:
        parsed = parse(text, variables)  # type: ignore[arg-type]
    except FormulaError as error:
        str(error).encode("utf-8")
        if error.position is not None and not 0 <= error.position <= len(error.text):
            raise AssertionError("The caret points outside the text.") from error
        return None
    except InputError:
        return None
    assert {s.name for s in parsed.expression.free_symbols} <= set(parsed.names)
    compile_program([parsed.expression], parsed.names)  # the lab can compute whatever is accepted
    return parsed


@_fuzz(1000)
@given(st.text())
@example("x\ud800")
@example("\0")
def test_any_text(text: str) -> None:
    _try(text)


@_fuzz(1500)
@given(st.lists(st.sampled_from(WORDS), max_size=30).map("".join))
@example("sqrt(x)^0*log(x)^-1")
def test_any_sequence_of_words(text: str) -> None:
    parsed = _try(text)
    if parsed is not None:
        assert parse(parsed.understood, parsed.names).expression == parsed.expression


@_fuzz(300)
@given(st.text(max_size=20), st.one_of(st.text(), st.lists(st.text()), st.integers(), st.binary()))
def test_any_variables(text: str, variables: object) -> None:
    _try(text, variables)


@_fuzz(300)
@given(st.one_of(st.none(), st.integers(), st.floats(), st.binary(), st.lists(st.text())))
def test_anything_else(text: object) -> None:
    _try(text)  # type: ignore[arg-type]
