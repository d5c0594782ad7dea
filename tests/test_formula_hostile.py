"""Hostile text is refused with a clear error, within 50 ms and 50 MB."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable

import pytest
from sympy.core.cache import clear_cache

from descentlab.errors import InputError
from descentlab.formula import FormulaError, parse

SECONDS = 0.05
BYTES = 50_000_000

HOSTILE = {
    "attribute": "x.__class__",
    "attribute of a number": "(1).__class__.__bases__",
    "dunder name": "__import__",
    "dunder call": "__import__(os)",
    "dunder inside": "x__y + 1",
    "leading underscore": "_x",
    "single quote": "'x'",
    "double quote": '"x"',
    "backquote": "`x`",
    "import call": "__import__('os').system('true')",
    "eval": "eval(x)",
    "exec": "exec(x)",
    "open": "open(x)",
    "square brackets": "[x]",
    "index": "x[0]",
    "braces": "{x}",
    "lambda": "lambda x: x",
    "bare lambda": "lambda",
    "comprehension": "(x for x in y)",
    "semicolon": "x; y",
    "walrus": "(x := 3)",
    "comparison": "x < 3",
    "backslash": "\\frac{x}{2}",
    "dollar": "$x$",
    "at": "x @ y",
    "comment": "x # y",
    "tower": "9**9**9**9",
    "tower with carets": "9^9^9^9 x",
    "nested powers": "(((9^32)^32)^32)",
    "nested powers times x": "x (((9^32)^32)^32)",
    "nested small powers": "x" + "^2" * 300,
    "parentheses": "(" * 100_000,
    "balanced parentheses": "(" * 50_000 + "x" + ")" * 50_000,
    "parentheses within the length": "(" * 4_000,
    "balanced within the length": "(" * 1_999 + "x" + ")" * 1_999,
    "bars": "|" * 4_000,
    "minus signs": "-" * 3_999 + "x",
    "powers": "x^" * 1_999 + "x",
    "functions": "sin(" * 700 + "x" + ")" * 700,
    "sixteen functions": "sin(" * 16 + "x" + ")" * 16,
    "a megabyte of x+": "x+" * 500_000,
    "x+ within the length": "x+" * 1_999 + "x",
    "products": "x " * 2_000,
    "divisions": "x" + "/x" * 1_999,
    "decimal exponent": "1e99999999",
    "negative decimal exponent": "1e-99999999 x",
    "long decimal exponent": "1e" + "9" * 3_900,
    "long number": "9" * 3_999 + "x",
    "long fraction": "0." + "3" * 3_990 + "x",
    "factorial": "factorial(10**9)",
    "factorial sign": "x!",
    "gamma": "gamma(10^9)",
    "NaN": "NaN",
    "nan": "nan + x",
    "inf": "inf",
    "infinity": "x + infinity",
    "infinity sign": "∞",
    "oo": "oo x",
    "zoo": "zoo",
    "NUL": "x\0",
    "NUL first": "\0x + 1",
    "escape": "x\x1b[31m",
    "Cyrillic": "х + 1",
    "Cyrillic in a name": "sіn(x)",
    "full width digit": "x + １",
    "full width bracket": "sin（x）",
    "Greek omicron": "ο",
    "Greek capital Alpha": "Α + x",
    "Arabic digit": "x + ٣",
    "mathematical italic": "𝑥 + 1",
    "zero width space": "x\u200b + 1",
    "right to left": "\u202ex",
    "combining accent": "x\u0301",
    "lone surrogate": "x + \ud800",
    "emoji": "x + 🙂",
    "empty": "",
    "blank": " \t\n ",
    "no value": "()",
    "S": "S(x)",
    "N": "N + x",
    "I": "I x",
    "Q": "Q",
    "E": "E^x",
    "power of a sum": "(x+1)^1000000",
    "power of a variable": "x^(10^9)",
    "large power by a product": "x^(1000*1000)",
    "power of a power": "((x^1000)^1000)^1000",
    "power of a product": "((2x)^1000)^1000",
    "repeated squaring": "(" * 40 + "3x" + ")^2" * 40,
    "repeated squaring of a number": "(" * 40 + "3" + ")^2" * 40 + "x",
    "superscripts": "x" + "⁹" * 50,
    "products of powers": "*".join(["(7/3)^1000"] * 50) + "*x",
    "large constants added": "+".join(["1e307"] * 600) + "+x",
    "large factors": " * x * ".join(["1e307"] * 300),
    "coprime denominators": "+".join(f"1/{n}" for n in range(10**15 + 1, 10**15 + 800, 8)) + "+x",
    "exponent in an exponential": "exp(10^9 log(2x))",
    "exponent by e": "e^(10^9 log(2x))",
    "exponent by a logarithm below": "(2x)^(10^9/log(2x)*log(3x))",
    "a power that looks small": "1.000000001^(10^9) x",
    "a power that looks small, by exp": "exp(10^9 log(1.000000001)) x",
    "exponential tower": "exp(exp(exp(100))) x",
    "exponential tower downwards": "exp(-exp(exp(100))) x",
    "hyperbolic tower": "cosh(cosh(cosh(9))) x",
    "sine of a tower": "sin(exp(exp(exp(5))))x",
    "long exponent": "x^0." + "123456789" * 30,
    "irrational zero": "log(sqrt(2)+sqrt(3)+sqrt(5)-sqrt(10+2sqrt(6)+2sqrt(10)+2sqrt(15))) x",
    "irrational zero under a root": "(x*(sqrt(2)+sqrt(3)-sqrt(5+2sqrt(6))))^(1/3)",
    "irrational zero behind a variable": "log(x - x + sqrt(2) + sqrt(3) - sqrt(5 + 2sqrt(6))) y",
    "roots of long numbers": "+".join(f"sqrt((1e150+{n})/(1e149+{n})x)" for n in range(7, 99, 2)),
    "root of a long number": "sqrt((1e307 + 1)*(1e307 + 3)*(1e307 + 7) x)",
    "imaginary": "sqrt(-1)",
    "imaginary after cancelling": "sqrt(x - x - 1)",
    "logarithm of a negative number": "log(-2)",
    "logarithm of zero": "log(0)",
    "logarithm of a hidden zero": "log(sin(pi)) x",
    "division by zero": "1/0",
    "zero by zero": "0/0",
    "division by a hidden zero": "x/(x - x)",
    "cube root of a negative number": "(-8)^(1/3)",
    "split into real and imaginary parts": "((z^1000 + y)^50)^(1/(1 + x))",
    "large term in an exponent": "x^(2^(y + 10^9))",
    "negative base behind a variable": "x^((y - 3 - y)^(x + 10^9))",
    "unclosed": "sin(x",
    "unopened": "x))))",
    "two formulas": "x, y",
    "equation": "x = y = z",
    "spaces in a head": "f" + " " * 3_900 + "(x" + " " * 90,
    "spaces before =": "f" + " " * 3_990 + "= = x",
}


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Load the modules, and the parts of SymPy that load themselves when first used."""
    parse("1/2 x^0.5 + sin(x) e^(-x^2) + log(2x)")
    for text in ("exp(exp(exp(9))) x", "log(sin(pi)) x", "foo(x)", "coth(0)x", "asin(2) x", "sqrt(1e300+7)x"):
        try:
            parse(text)
        except FormulaError:
            continue


def timed(work: Callable[[], object]) -> float:
    """Return the processor seconds that `work` takes in this thread, without SymPy's memory and others' garbage.

    Hundreds of tests have left millions of objects behind, and a collection walks them all.
    """
    clear_cache()  # SymPy remembers: a second time would be faster than the first
    gc.disable()
    try:
        started = time.thread_time()
        work()
        return time.thread_time() - started
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_is_refused_in_time(kind: str) -> None:
    text = HOSTILE[kind]
    # The fastest of up to twenty: other processes on the machine must not fail the test.
    assert any(_seconds(text) < SECONDS for _ in range(20))


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_is_refused_in_memory(kind: str) -> None:
    text = HOSTILE[kind]
    tracemalloc.start()
    try:
        with pytest.raises(FormulaError) as caught:
            parse(text)
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()
    shown = str(caught.value)
    shown.encode("utf-8")  # can be printed
    assert "\0" not in shown
    assert "\x1b" not in shown
    assert len(shown) < 1_000


def _seconds(text: str) -> float:
    def refuse() -> None:
        with pytest.raises(FormulaError):
            parse(text)

    return timed(refuse)


@pytest.mark.parametrize("text", [None, 3, b"x", ["x"], 1.5, object()])
def test_what_is_not_text_is_refused(text: object) -> None:
    with pytest.raises(InputError, match="text"):
        parse(text)  # type: ignore[arg-type]


def test_a_look_alike_is_named_not_replaced() -> None:
    with pytest.raises(FormulaError, match=r"CYRILLIC SMALL LETTER HA \(U\+0445\).*If 'x' is meant"):
        parse("х")
    with pytest.raises(FormulaError, match=r"U\+D800"):
        parse("\ud800")


# Slow in SymPy unless bounded, or near a limit, and yet fine: read quickly, not refused.
HEAVY = {
    "long sum": "+".join(["x"] * 999),
    "long product": "*".join(f"(x+{i})" for i in range(300)),
    "many functions": "+".join(f"sin({i}x)cos({i}y)" for i in range(150)),
    "nested brackets": "(" * 60 + "x" + ")" * 60,
    "large power": "(x + y)^1000",
    "power of a linear": "(2x)^1000",
    "odd root of a prime": "1000000007^(1/1000000007) x",
    "roots": "+".join(f"sqrt({n}x)" for n in range(2, 300)),
    "angles": "+".join(f"cos({n}pi x/997) + cos({n}pi/997)" for n in range(100)),
    "constants": "+".join(f"sin({n})^2" for n in range(300)) + "+x",
    "variable exponent": "((x+y+z)^12)^(1/(1+x))",
    "hyperbolic of hyperbolic": "exp(cosh((x^10 + y)^10)) + coth(tanh(x^100))",
    "root of a hyperbolic": "(x*tanh(abs(z) - (log(z) + cosh(2)) - 3 - tanh(y^100)))^(1/2)",
    "layers of tanh": "tanh(x - " * 14 + "tanh(x y)" + ")" * 14,
    "atan2": "atan2((x+y+z+w)^30, 1 + (x+y+z+w)^30)",
    "nested maxima": "max(" + ", ".join(f"x^2 - {n}x + y" for n in range(20)) + ")",
    "many variables": "+".join(f"x{i}^2" for i in range(400)),
}


@pytest.mark.parametrize("kind", HEAVY)
def test_heavy_formula_is_read_in_reasonable_time(kind: str) -> None:
    assert any(timed(lambda: parse(HEAVY[kind])) < 1.0 for _ in range(5))
