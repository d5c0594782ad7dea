"""The value of the variable-free parts of a formula, found before SymPy sees them.

A value is exact (a `Fraction`) as long as only + - * / and whole powers made it, otherwise a
double. A part that has no real value, or is too large for a double, is refused here: that ends
9^9^9^9 and exp(exp(exp(100))) at once, which SymPy would try to work out to the last digit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import sympy

from descentlab.formula.errors import Refusal
from descentlab.formula.functions import BY_NAME
from descentlab.formula.limits import (
    LARGEST_DECIMAL_EXPONENT,
    LARGEST_EXPONENT,
    MOST_BITS,
    MOST_EXPONENT_BITS,
    MOST_LITERAL_DIGITS,
)

Value: TypeAlias = Fraction | float
CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e}


def literal(text: str, position: int) -> Fraction:
    """Return the exact value of a decimal literal such as 0.05 or 1e-3."""
    mantissa, _, exponent = text.lower().partition("e")
    if sum(c.isdigit() for c in mantissa) > MOST_LITERAL_DIGITS:
        raise Refusal(f"This number has more than {MOST_LITERAL_DIGITS} digits.", position)
    # int() of a long digit string is slow, so its length is looked at first.
    if len(exponent) > 6 or abs(int(exponent or "0")) > LARGEST_DECIMAL_EXPONENT:
        raise _out_of_range("This number", position)
    value = Fraction(text)
    _checked(value, "This number", position)
    return value


def total(values: Sequence[Value], subtracted: Sequence[bool], position: int) -> Value:
    result: Value = Fraction(0)
    for value, minus in zip(values, subtracted, strict=True):
        result = _checked(result - value if minus else result + value, "This part", position)
    return result


def product(values: Sequence[Value], divided: Sequence[bool], position: int) -> Value:
    result: Value = Fraction(1)
    for value, below in zip(values, divided, strict=True):
        if below and value == 0:
            raise Refusal("This divides by zero.", position)
        result = _checked(result / value if below else result * value, "This part", position)
    return result


def power(base: Value, exponent: Value, position: int) -> Value:
    """Return base^exponent, refusing before anything large is computed."""
    check_exponent(exponent, position)
    if base == 0 and exponent < 0:
        raise Refusal("This divides by zero: 0 to a negative power.", position)
    whole = isinstance(exponent, Fraction) and exponent.denominator == 1
    if base < 0 and not whole:
        raise negative_base(exponent, position)
    if whole and isinstance(base, Fraction):
        if bits(base) * abs(int(exponent)) > MOST_BITS:
            raise Refusal("This power makes a number of too many digits.", position)
        return _checked(Fraction(base ** int(exponent)), "This power", position)
    try:
        result = float(base) ** float(exponent)
    except OverflowError:
        raise _out_of_range("This power", position) from None
    if result == 0 and base != 0:
        raise _out_of_range("This power", position)
    return _checked(result, "This power", position)


def check_exponent(exponent: Value, position: int) -> None:
    """Refuse a constant exponent that is too large or has too many digits."""
    if abs(float(exponent)) > LARGEST_EXPONENT:
        raise Refusal(f"An exponent may be at most {LARGEST_EXPONENT:,} in size.", position)
    if isinstance(exponent, Fraction) and bits(exponent) > MOST_EXPONENT_BITS:
        raise Refusal("This exponent has too many digits: at most 18 are read.", position)


def negative_base(exponent: Value | None, position: int) -> Refusal:
    """Return the refusal of a negative number to a power that is not a whole number."""
    if exponent is None:
        return Refusal("Zero or a negative number to a varying power has no real value.", position)
    hint = ""
    if isinstance(exponent, Fraction) and exponent.denominator == 3:
        hint = " For the real cube root write cbrt(...), as in cbrt(-8) = -2."
    return Refusal(
        f"A negative number to a power that is not a whole number is not a real number.{hint}", position
    )


def call(name: str, values: Sequence[Value], position: int) -> Value:
    """Return function `name` of the table at `values`, as a double."""
    try:
        numbers = [float(v) for v in values]
    except OverflowError:
        raise _out_of_range("This part", position) from None
    result = _by_math(name, numbers)
    if result is None:
        result = _by_sympy(name, numbers, position)
    if not math.isfinite(result):
        raise _out_of_range(f"{name}(...)", position)
    return result


def _by_math(name: str, numbers: Sequence[float]) -> float | None:
    """Try Python's function of the same name: the same value as the table's, a hundred times faster."""
    function = getattr(math, name, None)
    if function is None:
        return None
    try:
        result = float(function(*numbers))
    except (ValueError, OverflowError):
        return None
    return result or None  # a zero may be an underflow: let SymPy tell


def _by_sympy(name: str, numbers: Sequence[float], position: int) -> float:
    number = BY_NAME[name](*(sympy.Float(v) for v in numbers))
    shown = f"{name}({', '.join(format(v, '.6g') for v in numbers)})"
    if not (number.is_Float or number.is_Rational):
        number = number.evalf()
    if not (number.is_Float or number.is_Rational):
        raise Refusal(f"{shown} is not a real number.", position)
    result = float(number)
    if result == 0 and number != 0:
        raise _out_of_range(shown, position)
    return result


def cancels(value: Value, terms: Iterable[Value]) -> bool:
    """Tell whether an inexact sum is zero as far as a double can say."""
    # Twelve digits: rounding of a few hundred terms stays well below, a meant difference above.
    return abs(float(value)) <= 1e-12 * max(abs(float(t)) for t in terms)


def bits(number: Any) -> int:
    """Return the bits of the longer of numerator and denominator of a Fraction or SymPy rational."""
    return max(int(number.numerator).bit_length(), int(number.denominator).bit_length())


def check_size(number: Any, what: str, position: int) -> None:
    """Refuse an exact number (a Fraction or a SymPy rational) of too many digits or no double."""
    if bits(number) > MOST_BITS:
        raise Refusal(f"{what} makes a number of too many digits.", position)
    size = int(number.numerator).bit_length() - int(number.denominator).bit_length()
    if number != 0 and not -1021 < size < 1023:
        raise _out_of_range(what, position)


def _checked(value: Value, what: str, position: int) -> Value:
    if isinstance(value, Fraction):
        check_size(value, what, position)
    elif math.isnan(value):
        raise Refusal(f"{what} is not a real number.", position)
    elif math.isinf(value):
        raise _out_of_range(what, position)
    return value


def _out_of_range(what: str, position: int) -> Refusal:
    return Refusal(f"{what} is too large or too close to zero: numbers reach from 1e-307 to 1e307.", position)
