"""Coverage-guided fuzzing of the formula parser, with atheris (not among the test requirements).

    python tests/fuzz/formula_atheris.py -max_total_time=60

Ends with a crash report if a text gives anything but a parsed formula or a FormulaError, takes
longer than a second, or is echoed as something that reads differently.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

with atheris.instrument_imports(include=["descentlab", "lark"]):
    from descentlab.formula import FormulaError, parse
    from descentlab.formula.functions import BY_NAME
    from descentlab.formula.reader import read
    from descentlab.program import compile_program

    read("x")

SECONDS = 1.0
PIECES = [
    *BY_NAME, "x", "y", "xy", "x1", "pi", "π", "e", "E", "0", "1", "2", "10", "0.1",
    ".5", "1e3", "1e307", "1e-307",
    "999", "1/3", "+", "-", "−", "*", "·", "/", "^", "**", "²", "³", "⁻¹", "(", ")", "(",
    ")", "|", "|", ",", "=",
    " ", "f(x)=", "(x+1)", "(-8)", "sqrt(", "log(", "exp(", "min(", "_", "__", ".", "'",
    "[", "{", "\0", "х", "∞",
]  # fmt: skip


def text_of(data: bytes) -> str:
    """Read the bytes as text as it is, or as a list of pieces of formulas."""
    if data[:1] < b"\x40":
        return data[1:].decode("utf-8", errors="surrogateescape")
    return "".join(PIECES[b % len(PIECES)] for b in data[1:])


def test_one_input(data: bytes) -> None:
    text = text_of(data)
    started = time.process_time()
    try:
        parsed = parse(text)
    except FormulaError as error:
        str(error).encode("utf-8")
        parsed = None
    taken = time.process_time() - started
    if taken > SECONDS:
        raise AssertionError(f"{taken:.2f} s for {text!r}")
    if parsed is not None:
        again = parse(parsed.understood, parsed.names)
        if again.expression != parsed.expression:
            raise AssertionError(f"{text!r} is echoed as {parsed.understood!r}, which reads differently")
        compile_program([parsed.expression], parsed.names)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
