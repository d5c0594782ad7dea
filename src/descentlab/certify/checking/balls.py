"""The functions of the table on python-flint's balls, and how each is differentiated.

A ball encloses the exact result however it was rounded. Where a function is not defined, or jumps, on part of a ball,
the result is NaN, and no comparison with NaN is true, so nothing is proved there.

Source: F. Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Transactions on
Computers 66 (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from descentlab.errors import InputError

# python-flint's balls; it ships no annotations for them.
Ball = Any
# From this radius on an increasing function is bounded by its values at the ends: a ball alone would overstate it.
WIDE = 2.0**-12
# A ball of so many bits is narrow enough for powers.
NARROW = 12


class NowhereError(ArithmeticError):
    """f is defined at no point of a box."""


def flint() -> ModuleType:
    """Return the module of python-flint, or raise InputError where it is not installed."""
    try:
        import flint as module
    except ImportError:
        raise InputError(
            "Checking a proof again needs python-flint, which is not installed: pip install 'descentlab[arb]'."
        ) from None
    return module


def hull(low: float, high: float) -> Ball:
    """Return a ball that holds [low, high], wider by rounding of its radius alone."""
    arb = flint().arb
    return arb(low) if low == high else arb(low).union(arb(high))


def nan() -> Ball:
    return flint().arb.nan()


def _monotone(function: Callable[[Ball], Ball]) -> Callable[[Ball], Ball]:
    """Bound an increasing or decreasing function of a wide ball by its values at the ends."""

    def bounded(u: Ball) -> Ball:
        if u.rad() < WIDE:
            return function(u)
        if not u.is_finite():  # an end that is NaN is a number to some functions of the library
            return nan()
        return function(u.lower()).union(function(u.upper()))

    return bounded


def _within(
    low: float | None, high: float | None, function: Callable[[Ball], Ball]
) -> Callable[[Ball], Ball]:
    """Raise NowhereError where an argument is certainly outside [low, high]."""

    def checked(u: Ball) -> Ball:
        if (low is not None and u < low) or (high is not None and u > high):
            raise NowhereError
        return function(u)

    return checked


def absolute(u: Ball) -> Ball:
    if u > 0 or not u.is_finite():
        return u
    return -u if u < 0 else (u * 0).union(u.abs_upper())


def relu(u: Ball) -> Ball:
    if u > 0 or not u.is_finite():
        return u
    return u * 0 if u <= 0 else (u * 0).union(u.upper())


def cbrt(u: Ball) -> Ball:
    if u > 0:
        return u.root(3)
    if u < 0:
        return -((-u).root(3))
    return (-((-u.lower()).root(3))).union(u.upper().root(3)) if u.is_finite() else u


def _jumping(left: float) -> Callable[[Ball], Ball]:
    def function(u: Ball) -> Ball:
        return flint().arb(1 if u > 0 else left) if u > 0 or u < 0 else nan()

    return function


def _slope(left: float) -> Callable[[Ball], Ball]:
    """The slopes on both sides of a kink at 0: left, 1, or all between."""

    def function(u: Ball) -> Ball:
        if u > 0 or u < 0:
            return flint().arb(1 if u > 0 else left)
        return hull(left, 1.0) if u.is_finite() else nan()

    return function


def rough(u: Ball) -> Ball:
    """0, but NaN where u may be 0: what a kink there does to the second derivative."""
    return u * 0 if u > 0 or u < 0 else nan()


def power(u: Ball, v: Ball) -> Ball:
    if u < 0 and not v.contains_integer():
        raise NowhereError
    if u == 0 and v > 0:
        return u
    # Of a negative number the lab's power is defined for no exponent but whole ones, which are never alone.
    return u**v if u > 0 else nan()


def atan2(u: Ball, v: Ball) -> Ball:
    """The angle of (v, u), NaN where the cut v ≤ 0, u = 0 may be met."""
    return flint().arb.atan2(u, v) if u > 0 or u < 0 or v > 0 else nan()


def integer_power(n: int) -> Callable[[Ball], Ball]:
    """u^n: an even power is never negative, an odd one increases."""

    def function(u: Ball) -> Ball:
        if u.rel_accuracy_bits() > NARROW or not u.is_finite():
            return u**n
        if n % 2:
            return (u.lower() ** n).union(u.upper() ** n)
        if u > 0 or u < 0:
            return (u.abs_lower() ** n).union(u.abs_upper() ** n)
        return (u * 0).union(u.abs_upper() ** n)

    return function


def _softplus(u: Ball) -> Ball:
    """log(1 + e^u) = u + log(1 + e^(−u))."""
    return u + (-u).exp().log1p() if u > 0 else u.exp().log1p()


OPERATIONS: dict[str, Callable[..., Ball]] = {
    "add": lambda u, v: u + v,
    "subtract": lambda u, v: u - v,
    "multiply": lambda u, v: u * v,
    "divide": lambda u, v: u / v,
    "negative": lambda u: -u,
    "power": power,
    "atan2": atan2,
    "min": lambda u, v: u.min(v),
    "max": lambda u, v: u.max(v),
    "sqrt": _within(0, None, _monotone(lambda u: u.sqrt())),
    "exp": _monotone(lambda u: u.exp()),
    "log": _within(0, None, _monotone(lambda u: u.log())),
    "cbrt": cbrt,
    "sin": lambda u: u.sin(),
    "cos": lambda u: u.cos(),
    "tan": lambda u: u.tan(),
    "asin": _within(-1, 1, _monotone(lambda u: u.asin())),
    "acos": _within(-1, 1, _monotone(lambda u: u.acos())),
    "atan": _monotone(lambda u: u.atan()),
    "sinh": _monotone(lambda u: u.sinh()),
    "cosh": lambda u: u.cosh(),
    "tanh": _monotone(lambda u: u.tanh()),
    "asinh": _monotone(lambda u: u.asinh()),
    "acosh": _within(1, None, _monotone(lambda u: u.acosh())),
    "atanh": _within(-1, 1, _monotone(lambda u: u.atanh())),
    "erf": _monotone(lambda u: u.erf()),
    "sigmoid": _monotone(lambda u: 1 / (1 + (-u).exp())),
    "softplus": _monotone(_softplus),
    "abs": absolute,
    "relu": relu,
    "sign": _jumping(-1.0),
    "step": _jumping(0.0),
    # Of slopes alone
    "sign_slope": _slope(-1.0),
    "step_slope": _slope(0.0),
    "rough": rough,
}

# The first and second derivative of g(u) from the places of u and g(u) on a tape `b`.
Rule = Callable[[Any, int, int], tuple[int, int]]


def _of_slope(slope: Callable[[Any, int, int], int], bend: Callable[[Any, int, int, int], int]) -> Rule:
    """Make a rule of g′(u, g) and g″(u, g, g′)."""

    def rule(b: Any, u: int, g: int) -> tuple[int, int]:
        first = slope(b, u, g)
        return first, bend(b, u, g, first)

    return rule


def _one_over(b: Any, u: int) -> int:
    return int(b.over(b.number(1), u))


def _inverse_root(sign: int, constant: int, square: int) -> Rule:
    """g′ = sign/√(constant + square·u²) and g″ = −square·u·g′³·sign²."""

    def rule(b: Any, u: int, g: int) -> tuple[int, int]:
        below = b.plus(b.number(constant), b.times(b.number(square), b.power(u, 2)))
        positive = _one_over(b, b.apply("sqrt", below))
        bend = b.times(b.number(-square * sign), b.times(u, b.power(positive, 3)))
        return b.times(b.number(sign), positive), bend

    return rule


RULES: dict[str, Rule] = {
    "sqrt": _of_slope(
        lambda b, u, g: _one_over(b, b.times(b.number(2), g)),
        lambda b, u, g, d: b.negative(b.over(d, b.times(b.number(2), u))),
    ),
    "exp": lambda b, u, g: (g, g),
    "log": _of_slope(lambda b, u, g: _one_over(b, u), lambda b, u, g, d: b.negative(b.power(d, 2))),
    "cbrt": _of_slope(
        lambda b, u, g: _one_over(b, b.times(b.number(3), b.power(g, 2))),
        lambda b, u, g, d: b.times(b.number(-2, 3), b.over(d, u)),
    ),
    "sin": lambda b, u, g: (b.apply("cos", u), b.negative(g)),
    "cos": lambda b, u, g: (b.negative(b.apply("sin", u)), b.negative(g)),
    "tan": _of_slope(
        lambda b, u, g: b.plus(b.number(1), b.power(g, 2)),
        lambda b, u, g, d: b.times(b.number(2), b.times(g, d)),
    ),
    "asin": _inverse_root(1, 1, -1),
    "acos": _inverse_root(-1, 1, -1),
    "asinh": _inverse_root(1, 1, 1),
    "acosh": _inverse_root(1, -1, 1),
    "atan": _of_slope(
        lambda b, u, g: _one_over(b, b.plus(b.number(1), b.power(u, 2))),
        lambda b, u, g, d: b.times(b.number(-2), b.times(u, b.power(d, 2))),
    ),
    "atanh": _of_slope(
        lambda b, u, g: _one_over(b, b.minus(b.number(1), b.power(u, 2))),
        lambda b, u, g, d: b.times(b.number(2), b.times(u, b.power(d, 2))),
    ),
    "sinh": lambda b, u, g: (b.apply("cosh", u), g),
    "cosh": lambda b, u, g: (b.apply("sinh", u), g),
    "tanh": _of_slope(
        lambda b, u, g: b.minus(b.number(1), b.power(g, 2)),
        lambda b, u, g, d: b.times(b.number(-2), b.times(g, d)),
    ),
    "erf": _of_slope(
        lambda b, u, g: b.times(b.two_over_root_pi(), b.apply("exp", b.negative(b.power(u, 2)))),
        lambda b, u, g, d: b.times(b.number(-2), b.times(u, d)),
    ),
    "sigmoid": _of_slope(
        lambda b, u, g: b.times(g, b.minus(b.number(1), g)),
        lambda b, u, g, d: b.times(d, b.minus(b.number(1), b.times(b.number(2), g))),
    ),
    "softplus": _of_slope(
        lambda b, u, g: b.apply("sigmoid", u),
        lambda b, u, g, d: b.times(d, b.minus(b.number(1), d)),
    ),
    "abs": lambda b, u, g: (b.apply("sign_slope", u), b.apply("rough", u)),
    "relu": lambda b, u, g: (b.apply("step_slope", u), b.apply("rough", u)),
    "sign": lambda b, u, g: (b.number(0), b.number(0)),
    "step": lambda b, u, g: (b.number(0), b.number(0)),
}
