"""Formulas: what is read, as what, and where the caret points when it is not."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Abs, Integer, Rational, Symbol, pi

from descentlab.errors import InputError
from descentlab.formula import FormulaError, ParsedFormula, parse
from descentlab.formula.functions import BY_NAME, TABLE, absolute, cbrt, maximum, minimum, relu
from descentlab.formula.isolate import _idle, parse_isolated, run_isolated
from descentlab.formula.reader import _parser

x, y, z = sympy.symbols("x y z")
sin, cos, exp, log, sqrt, E = sympy.sin, sympy.cos, sympy.exp, sympy.log, sympy.sqrt, sympy.E

READ = {
    # the course's and DESIGN.md's
    "cos(2*pi*x) + x**2": cos(2 * pi * x) + x**2,
    "cos(2πx) + x²": cos(2 * pi * x) + x**2,
    "sin(x)e^(-x²/20)": sin(x) * exp(-(x**2) / 20),
    "3x^2 − 3x + 4": 3 * x**2 - 3 * x + 4,
    # powers and signs
    "x^2": x**2,
    "x**2": x**2,
    "-x^2": -(x**2),
    "(-x)^2": x**2,
    "x^-2": x**-2,
    "x^+2": x**2,
    "x⁻²": x**-2,
    "x¹⁰": x**10,
    "2^3^2 x": 512 * x,
    "2^x²": 2 ** (x**2),
    "x^2y": x**2 * y,
    "x²y³": x**2 * y**3,
    "2^-x": 2 ** (-x),
    "e^-x^2": exp(-(x**2)),
    "--x": x,
    "-+-x": x,
    "x - -y": x + y,
    "x*-y": -x * y,
    "x/-2": -x / 2,
    # products without a sign, and division
    "2x": 2 * x,
    "2(x+1)": 2 * (x + 1),
    "x y": x * y,
    "(x+1)(x-1)": (x + 1) * (x - 1),
    "x(x+1)": x * (x + 1),
    "(x)y": x * y,
    "1/2x": x / 2,
    "1/2(x+1)": (x + 1) / 2,
    "x/2y": x * y / 2,
    "x/y/z": x / (y * z),
    "x/y*z": x * z / y,
    "x/(y*z)": x / (y * z),
    "x·y×z÷2": x * y * z / 2,
    "2sin(x)cos(y)": 2 * sin(x) * cos(y),
    "x\n + \t y": x + y,
    # numbers, exact
    "0.05x": x / 20,
    "1e-3 x": x / 1000,
    ".5x": x / 2,
    "2.x": 2 * x,
    "2e3x": 2000 * x,
    "2E3x": 2000 * x,
    "2e x": 2 * E * x,
    "2e-x": 2 * E - x,
    "0.1x + 0.2x": 3 * x / 10,
    "x + 1/3": x + Rational(1, 3),
    "2πx": 2 * pi * x,
    "xπ": x * pi,
    "e x": E * x,
    # bars
    "|x|": absolute(x),
    "|x|y|z|": absolute(x) * y * absolute(z),
    "||x|-1|": absolute(absolute(x) - 1),
    "|x||y|": absolute(x) * absolute(y),
    "2|x|": 2 * absolute(x),
    "|x|²": absolute(x) ** 2,
    "|x*|y||": absolute(x * absolute(y)),
    "|(x+|y|)-1|": absolute(x + absolute(y) - 1),
    "-|x|": -absolute(x),
    # functions
    "sin^2(x)": sin(x) ** 2,
    "sin²(x)": sin(x) ** 2,
    "sin(x)^2": sin(x) ** 2,
    "ln(x)": log(x),
    "log10(x)": log(x) / log(10),
    "sqrt(4x)": 2 * sqrt(x),
    "cbrt(x)": cbrt(x),
    "cbrt(-8)x": -2 * x,
    "min(x, y, 3)": minimum(minimum(x, y), 3),
    "max(x,y)": maximum(x, y),
    "relu(x - 1)": relu(x - 1),
    "atan2(y, x)": sympy.atan2(y, x),
    "arctan(x)": sympy.atan(x),
    "x + sqrt(4) - 2": x,
    # heads
    "f(x) = x^2": x**2,
    "y = 3x": 3 * x,
    "f(y, x)=x - y": x - y,
}  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_reads(text: str) -> None:
    assert parse(text).expression == READ[text]


@pytest.mark.parametrize("text", READ)
def test_echo_reads_back(text: str) -> None:
    given_text = parse(text)
    again = parse(given_text.understood, given_text.names)
    assert again.expression == given_text.expression
    assert again.understood == given_text.understood


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_function_and_alias(name: str) -> None:
    row = BY_NAME[name]
    arguments = [Symbol(f"u{i}") for i in range(row.arguments)]
    text = f"{name}({', '.join(a.name for a in arguments)})"
    parsed = parse(text)
    assert parsed.expression == row(*arguments)
    assert parsed.understood == text.replace(name, row.name, 1)


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("1/2x", "(1/2)*x"),
        ("2x(y+1)", "2*x*(y + 1)"),
        ("x**-1", "x^(-1)"),
        ("2^3^x", "2^(3^x)"),
        ("ln(x)", "log(x)"),
        ("|x|", "abs(x)"),
        ("e^x π", "e^x*pi"),
        ("0.50x", "0.50*x"),
        ("a - (b - c)", "a - (b - c)"),
        ("a + -b", "a + (-b)"),
        ("-(x y)", "-(x*y)"),
        ("a/b*c/d*f", "(a/b)*c/d*f"),
        ("b + a", "b + a"),
    ],
)
def test_echo_keeps_the_users_structure(text: str, understood: str) -> None:
    assert parse(text).understood == understood


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("y + x", ("x", "y")),
        ("x10 + x2 + x1", ("x1", "x2", "x10")),
        ("xy + x", ("x", "xy")),
        ("b2a + b10a + b", ("b", "b2a", "b10a")),
        ("α x + θ_1", ("x", "α", "θ_1")),
        ("rate*x + x_", ("rate", "x", "x_")),
        ("f(y, x) = x", ("y", "x")),
    ],
)
def test_variables_are_found_in_natural_order(text: str, names: tuple[str, ...]) -> None:
    assert parse(text).names == names


def test_declared_variables_keep_their_order() -> None:
    assert parse("x + y", ["y", "x"]).names == ("y", "x")
    assert parse("x", "y, x").names == ("y", "x")
    assert parse("3", ["x"]).expression == Integer(3)
    assert parse("rate(x + 1)", ["rate", "x"]).expression == Symbol("rate") * (x + 1)
    assert parse("cost + x", ["cost", "x"]).expression == Symbol("cost") + x


@pytest.mark.parametrize(
    "name", ["S", "N", "I", "Q", "E", "O", "lambda", "if", "None", "beta", "gamma", "zeta"]
)
def test_names_of_sympy_and_python_are_just_variables_once_declared(name: str) -> None:
    parsed = parse(f"{name}^2 + 2{name} + x", [name, "x"])
    assert parsed.expression == Symbol(name) ** 2 + 2 * Symbol(name) + x
    assert sympy.diff(parsed.expression, Symbol(name)) == 2 * Symbol(name) + 2


@pytest.mark.parametrize("name", ["S", "N", "I", "Q", "E", "O", "lambda", "if", "None", "import"])
def test_names_of_sympy_and_python_must_be_declared(name: str) -> None:
    with pytest.raises(FormulaError, match="declare it") as caught:
        parse(f"1 + {name}")
    assert caught.value.position == 4


@pytest.mark.parametrize(
    "variables",
    [["pi"], ["e"], ["π"], ["sin"], ["ln"], ["nan"], ["inf"], ["x", "x"], ["1x"], [""], "", ["__class__"],
     ["a b"], ["x" * 41], [3], 3, ["х"], ["x__y"], ["_x"], ["x;y"], ["\udc80"]],
)  # fmt: skip
def test_impossible_declarations(variables: object) -> None:
    with pytest.raises(InputError):
        parse("x", variables)  # type: ignore[arg-type]


# text, position of the caret, words of the message
CARETS = [
    ("x +", 3, "ends too early"),
    ("x + * 2", 4, "missing before '*'"),
    ("(x + 1", 0, "never closed"),
    ("2*((x + 1)", 2, "never closed"),
    ("x + 1)", 5, "never opened"),
    ("x + |y", 4, "never closed"),
    ("(|x)|", 1, "not closed"),
    ("()", 1, "missing before ')'"),
    ("sin()", 4, "missing before ')'"),
    ("x $ y", 2, "'$'"),
    ("x + х", 4, "CYRILLIC SMALL LETTER HA (U+0445)"),
    ("x + ２", 4, "FULLWIDTH DIGIT TWO (U+FF12)"),
    ("1 + sine(x)", 4, "Did you mean 'sin'?"),
    ("foo(x) + 1", 0, "Unknown function 'foo'. Choose one of: abs"),
    ("1 + foo(x, y)", 4, "Unknown function 'foo'"),
    ("1 + sin(x, y)", 4, "sin takes 1 argument, not 2"),
    ("atan2(x)", 0, "atan2 takes 2 arguments, not 1"),
    ("min(x)", 0, "min takes 2 to 20 arguments, not 1"),
    ("1 + sin x", 4, "sin(...)"),
    ("sin^-1(x)", 4, "asin"),
    ("sin⁻¹(x)", 0, "asin"),
    ("sin^2 x", 6, "brackets"),
    ("1 + sinx", 4, "sin(x)"),
    ("x 2", 2, "number cannot follow"),
    ("2 3", 2, "number cannot follow"),
    ("1.2.3", 3, "number cannot follow"),
    ("x²^3", 2, "(x^2)^3"),
    ("1,000x", 1, "1000"),
    ("(x, y)", 2, "comma"),
    ("x.y", 1, "point"),
    ("x == y", 2, "'='"),
    ("sin(x) = y", 7, "'='"),
    ("x = x + 1", 4, "both sides"),
    ("x + 1/0", 6, "divides by zero"),
    ("x/(1 - 1)", 3, "divides by zero"),
    ("x + 0/0", 6, "divides by zero"),
    ("x + 0^-1", 5, "divides by zero"),
    ("x + sqrt(-1)", 4, "sqrt(-1) is not a real number"),
    ("x + log(-2)", 4, "not a real number"),
    ("x + log(0)", 4, "not a real number"),
    ("x + (-8)^(1/3)", 8, "cbrt"),
    ("(-2)^x", 1, "no real value"),
    ("0^x", 0, "no real value"),
    ("x + asin(2)", 4, "not a real number"),
    ("x + acosh(0.5)", 4, "not a real number"),
    ("x + sec(1) + asec(0.5)", 13, "not a real number"),
    ("tan(pi/2) x", 0, "no finite value"),
    ("x^1001", 1, "1,000"),
    ("(x^100)^100", 7, "1,000"),
    ("x + exp(1000)", 4, "too large"),
    ("x + exp(-1000)", 4, "too close to zero"),
    ("x + 1e400", 4, "too large"),
    ("exp(2000*log(x))", 0, "1,000"),
    ("x + −", 5, "ends too early"),
]


@pytest.mark.parametrize(("text", "position", "words"), CARETS)
def test_caret(text: str, position: int, words: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(text)
    error = caught.value
    assert (error.position, error.text) == (position, text)
    assert words in error.message
    lines = str(error).splitlines()
    assert lines[0] == error.message
    wide = sum(c == "２" for c in text[:position])
    assert lines[-1] == " " * (2 + position + wide) + "^"


def test_caret_in_a_long_line_stays_under_its_character() -> None:
    text = "+".join(["x"] * 500) + "+$+" + "+".join(["x"] * 500)
    with pytest.raises(FormulaError) as caught:
        parse(text)
    _, line, caret = str(caught.value).splitlines()
    assert line[len(caret) - 1] == "$"
    assert max(len(line), len(caret)) <= 80


def test_undeclared_variable_gets_a_hint() -> None:
    with pytest.raises(FormulaError, match="Did you mean 'weight'") as caught:
        parse("x + wieght", ["x", "weight"])
    assert caught.value.position == 4
    with pytest.raises(FormulaError, match=r"write x\*y"):
        parse("2xy", ["x", "y"])
    with pytest.raises(FormulaError, match="Unknown function"):
        parse("foo(x)", ["x"])


def test_a_constant_needs_a_declared_variable() -> None:
    with pytest.raises(FormulaError, match="no variable"):
        parse("3")


def test_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(FormulaError("Bad.", "x $", 2)))
    assert (error.message, error.text, error.position) == ("Bad.", "x $", 2)
    assert isinstance(error, InputError)


def test_result_is_in_plain_symbols_and_known_functions() -> None:
    parsed = parse("|x| + max(x, y)")
    assert not parsed.expression.has(Abs, sympy.Max)
    assert parsed.expression.free_symbols == {Symbol("x"), Symbol("y")}


def test_deepest_formula_can_be_differentiated_and_printed() -> None:
    depth = max(n for n in range(1, 60) if _is_read(_continued(n)))
    assert depth >= 12
    with pytest.raises(FormulaError, match="nested"):
        parse(_continued(depth + 1))
    text = _continued(depth)
    expression = parse(text).expression
    assert sympy.diff(expression, x, 2) != 0
    assert sympy.latex(expression)
    assert str(expression)


def _continued(depth: int) -> str:
    """Return the shape of formula that costs SymPy most levels."""
    return "1/(1 + 2(" * depth + "x" + ")^2)" * depth


def _is_read(text: str) -> bool:
    try:
        parse(text)
    except FormulaError:
        return False
    return True


def test_importing_does_not_load_lark_or_the_heavy_ones() -> None:
    heavy = "('lark', 'jax', 'optax', 'scipy', 'matplotlib')"
    code = f"import sys, descentlab.formula; print([m for m in sys.modules if m in {heavy}])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_env()
    )
    assert done.stdout.strip() == "[]"


def test_parser_builds_quickly() -> None:
    # Measured 0.03 s. Other processes on the machine must not fail the test.
    assert any(_build_seconds() < 0.1 for _ in range(20))


def _build_seconds() -> float:
    _parser.cache_clear()
    gc.disable()  # hundreds of tests have left millions of objects behind, and a collection walks them all
    try:
        started = time.process_time()
        _parser()
        return time.process_time() - started
    finally:
        gc.enable()


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}


# Random formulas: text that is grammatical by construction.

_atoms = st.sampled_from(["x", "y", "x1", "2", "0.5", "3e1", "pi", "e", "π", "(x)"])


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    one = [row.name for row in TABLE if row.arguments == 1]
    return st.one_of(
        st.builds(lambda t, op: f"{t[0]} {op} {t[1]}", pair, st.sampled_from("+-−*·/÷")),
        st.builds(lambda t: f"({t[0]})({t[1]})", pair),
        st.builds(lambda t: f"2{t}", st.sampled_from(["x", "y(x - 1)", "pi x", "|x|", "sin(x)"])),
        st.builds(lambda t: f"-{t}", inner),
        st.builds(lambda t: f"({t})", inner),
        st.builds(lambda t: f"|{t}|", inner),
        st.builds(
            lambda t, n: f"({t})^{n}", inner, st.sampled_from(["2", "-1", "3", "(1/2)", "0.3", "x", "-y"])
        ),
        st.builds(lambda t, n: f"({t}){n}", inner, st.sampled_from(["²", "³", "⁻¹"])),
        st.builds(lambda t, name: f"{name}({t})", inner, st.sampled_from(one)),
        st.builds(lambda t, name: f"{name}({t[0]}, {t[1]})", pair, st.sampled_from(["min", "max", "atan2"])),
    )


formulas = st.recursive(_atoms, _compound, max_leaves=12)


@settings(max_examples=300, deadline=None)
@given(formulas)
def test_echo_of_any_formula_reads_back_equal(text: str) -> None:
    try:
        parsed = parse(text, ["x", "y", "x1"])
    except FormulaError:
        return  # no real value, such as log(-2)
    again = parse(parsed.understood, parsed.names)
    assert again.expression == parsed.expression
    assert again.understood == parsed.understood


@settings(max_examples=100, deadline=None)
@given(formulas, st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0.1, 3))
def test_value_agrees_with_the_text_computed_by_python(text: str, a: float, b: float, c: float) -> None:
    """An outside reference: rewrite the echo as Python, and let Python compute it."""
    try:
        parsed = parse(text, ["x", "y", "x1"])
    except FormulaError:
        return
    try:
        expected = _by_python(parsed.understood, {"x": a, "y": b, "x1": c})
    except (ArithmeticError, ValueError, TypeError):
        return  # Python raises, or turns complex, where the formula has no real value
    found = parsed.expression.subs({x: a, y: b, Symbol("x1"): c}).evalf()
    if isinstance(expected, float) and abs(expected) < 1e6 and found.is_Float:
        assert float(found) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def _by_python(understood: str, values: dict[str, float]) -> object:
    import math

    import numpy as np

    def of(name: str) -> object:
        row = BY_NAME[name]
        if name in ("min", "max"):
            return {"min": min, "max": max}[name]
        function = getattr(math, name, None)
        if function is not None:
            return function
        symbols = [Symbol(f"u{i}") for i in range(row.arguments)]
        return lambda *n: float(row(*symbols).subs(dict(zip(symbols, n, strict=True))).evalf())

    names = {name: of(name) for name in BY_NAME} | {
        "pi": math.pi,
        "e": math.e,
        "abs": abs,
        "sqrt": np.emath.sqrt,
    }
    result = eval(understood.replace("^", "**"), {"__builtins__": {}}, {**names, **values})
    return float(result) if not isinstance(result, complex) else result


# In a child process


def _forever() -> None:
    while True:
        pass


def _huge() -> int:
    return len(bytearray(1 << 31))


def _all_derivatives(text: str) -> list[list[sympy.Expr]]:
    parsed = parse(text)
    first = [sympy.diff(parsed.expression, name) for name in parsed.names]
    return [[sympy.diff(f, name) for name in parsed.names] for f in first]


def _die() -> None:
    os._exit(3)


def _odd_error() -> None:
    class OddError(Exception):
        pass

    raise OddError


def test_isolated_parse_gives_the_same_result() -> None:
    assert parse_isolated("x^2 + y") == parse("x^2 + y")
    assert parse_isolated("y + x", ["y", "x"]).names == ("y", "x")


def test_isolated_error_comes_back_with_its_position() -> None:
    with pytest.raises(FormulaError) as caught:
        parse_isolated("x + $")
    assert (caught.value.position, caught.value.text) == (4, "x + $")


def test_isolated_work_of_a_real_formula() -> None:
    assert run_isolated(_all_derivatives, "x^2 y + cos(x)", seconds=20) == [
        [2 * y - cos(x), 2 * x],
        [2 * x, 0],
    ]


def test_isolated_loop_is_ended_and_leaves_nothing() -> None:
    parse_isolated("x")  # a child is ready, so that its start is not measured
    child = _idle[-1].pid
    started = time.perf_counter()
    with pytest.raises(FormulaError, match=r"Deriving this formula took longer than 0\.5 s"):
        run_isolated(_forever, seconds=0.5)
    assert 0.5 <= time.perf_counter() - started < 1.5
    assert not Path(f"/proc/{child}").exists()
    assert parse_isolated("x + 1").expression == x + 1


def test_isolated_memory_is_bounded() -> None:
    with pytest.raises(FormulaError, match="memory"):
        run_isolated(_huge, seconds=20)


def test_isolated_death_is_reported() -> None:
    with pytest.raises(FormulaError, match="broke off"):
        run_isolated(_die, seconds=20)


def test_isolated_refuses_what_cannot_travel() -> None:
    with pytest.raises(InputError):
        run_isolated(lambda: 1, seconds=1)
    with pytest.raises(InputError, match="positive"):
        run_isolated(_forever, seconds=0)
    with pytest.raises(Exception, match="OddError cannot be sent back"):
        run_isolated(_odd_error, seconds=20)


def test_isolated_serves_several_threads() -> None:
    results: dict[int, ParsedFormula] = {}

    def work(i: int) -> None:
        results[i] = parse_isolated(f"x^{i + 1}", seconds=30)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {i: r.expression for i, r in results.items()} == {i: x ** (i + 1) for i in range(4)}
