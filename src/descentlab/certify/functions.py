"""Interval versions of every function of the table that arrays compute, rounded outward.

Each takes intervals and a `Trouble` and returns bounds of the function's values on the part of each box where it
is defined; where that is not the whole box it says so in `Trouble`. Callers silence NumPy's warnings: infinite and
NaN bounds are part of the arithmetic. A NaN bound, which says nothing, stays NaN or becomes a bound that always
holds.

Library functions are widened by 8 ulp and a guard against underflow (`library_down`, `library_up`): twice what
they are assumed to err by at most. Known ranges (|sin u| ≤ 1, exp u ≥ 0) cut that back.

Source: Moore, Kearfott & Cloud, Introduction to Interval Analysis (2009), chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from descentlab.certify.intervals import LARGEST, Bound, Interval, Trouble, down, library_down, library_up, up
from descentlab.certify.trigonometry import acos, asin, atan, atan2, cos, sin, tan
from descentlab.program import NUMPY


def _below(y: Bound) -> Bound:
    """Like library_down; an overflow keeps the largest number as lower bound."""
    return library_down(np.minimum(y, LARGEST))


def _above(y: Bound) -> Bound:
    """Like library_up; an overflow keeps the largest negative number as upper bound."""
    return library_up(np.maximum(y, -LARGEST))


def exp(u: Interval, trouble: Trouble) -> Interval:
    """e^u."""
    return Interval(np.maximum(_below(np.exp(u.lo)), 0.0), library_up(np.exp(u.hi)))


def log(u: Interval, trouble: Trouble) -> Interval:
    """The natural logarithm of the positive part of u."""
    outside = ~(u.lo > 0)
    if outside.any():
        trouble.outside(outside, u.hi <= 0)
        u = Interval(np.maximum(u.lo, 0.0), np.maximum(u.hi, 0.0))
    return Interval(library_down(np.log(u.lo)), library_up(np.log(u.hi)))


def cbrt(u: Interval, trouble: Trouble) -> Interval:
    """The real cube root."""
    return Interval(library_down(np.cbrt(u.lo)), library_up(np.cbrt(u.hi)))


def power(u: Interval, v: Interval, trouble: Trouble) -> Interval:
    """u^v for u > 0, and 0^v = 0 where v is one positive number for all boxes.

    v·log u is bilinear in v and log u, so u^v is smallest and largest at corners.
    """
    constant = np.ndim(v.lo) == 0
    positive = constant and bool(v.lo > 0)
    outside = ~(u.lo >= 0) if positive else ~(u.lo > 0)
    if outside.any():
        # A negative number has integer powers; the part of the box there is left out, but not called empty.
        trouble.outside(outside, (u.hi < 0) & (np.ceil(v.lo) > np.floor(v.hi)))
        u = Interval(np.maximum(u.lo, 0.0), np.maximum(u.hi, 0.0))
    if positive:
        # Increasing in u; in v it decreases for u < 1.
        low = np.power(u.lo, v.lo if v.lo == v.hi else np.where(u.lo < 1, v.hi, v.lo))
        high = np.power(u.hi, v.lo if v.lo == v.hi else np.where(u.hi < 1, v.lo, v.hi))
    else:
        a, b, c, d = (np.power(x, y) for x in (u.lo, u.hi) for y in (v.lo, v.hi))
        low = np.minimum(np.minimum(a, b), np.minimum(c, d))
        high = np.maximum(np.maximum(a, b), np.maximum(c, d))
    return Interval(np.maximum(_below(low), 0.0), library_up(high))


def sinh(u: Interval, trouble: Trouble) -> Interval:
    """Increasing."""
    return Interval(_below(np.sinh(u.lo)), _above(np.sinh(u.hi)))


def cosh(u: Interval, trouble: Trouble) -> Interval:
    """Even, and never below 1."""
    size = absolute(u, trouble)
    return Interval(np.maximum(_below(np.cosh(size.lo)), 1.0), library_up(np.cosh(size.hi)))


def tanh(u: Interval, trouble: Trouble) -> Interval:
    """Increasing from −1 to 1."""
    return Interval(np.maximum(library_down(np.tanh(u.lo)), -1.0), np.minimum(library_up(np.tanh(u.hi)), 1.0))


def asinh(u: Interval, trouble: Trouble) -> Interval:
    """Increasing."""
    return Interval(library_down(np.arcsinh(u.lo)), library_up(np.arcsinh(u.hi)))


def acosh(u: Interval, trouble: Trouble) -> Interval:
    """Increasing from 0; defined for u ≥ 1."""
    outside = ~(u.lo >= 1)
    if outside.any():
        trouble.outside(outside, u.hi < 1)
        u = Interval(np.maximum(u.lo, 1.0), np.maximum(u.hi, 1.0))
    return Interval(np.maximum(library_down(np.arccosh(u.lo)), 0.0), library_up(np.arccosh(u.hi)))


def atanh(u: Interval, trouble: Trouble) -> Interval:
    """Increasing; defined for −1 < u < 1."""
    outside = ~((u.lo > -1) & (u.hi < 1))
    if outside.any():
        trouble.outside(outside, (u.hi <= -1) | (u.lo >= 1))
        u = Interval(np.clip(u.lo, -1.0, 1.0), np.clip(u.hi, -1.0, 1.0))
    return Interval(library_down(np.arctanh(u.lo)), library_up(np.arctanh(u.hi)))


def erf(u: Interval, trouble: Trouble) -> Interval:
    """Increasing from −1 to 1."""
    values = NUMPY.operation("erf")
    return Interval(np.maximum(library_down(values(u.lo)), -1.0), np.minimum(library_up(values(u.hi)), 1.0))


def sigmoid(u: Interval, trouble: Trouble) -> Interval:
    """1/(1 + e^(−u)), increasing from 0 to 1."""
    low = down(1 / up(1 + library_up(np.exp(-u.lo))))
    high = up(1 / down(1 + np.maximum(_below(np.exp(-u.hi)), 0.0)))
    if (u.hi < -700).any():  # e^(−u) overflows, but 1/(1 + e^(−u)) < e^u
        high = np.minimum(high, library_up(np.exp(u.hi)))
    return Interval(np.maximum(low, 0.0), np.minimum(high, 1.0))


def softplus(u: Interval, trouble: Trouble) -> Interval:
    """log(1 + e^u) = max(0, u) + log(1 + e^(−|u|)), increasing from 0."""
    small = np.maximum(library_down(np.exp(-np.abs(u.lo))), 0.0)
    low = down(np.maximum(u.lo, 0.0) + library_down(np.log1p(small)))
    small = library_up(np.exp(-np.abs(u.hi)))
    high = up(np.maximum(u.hi, 0.0) + library_up(np.log1p(small)))
    return Interval(np.maximum(low, 0.0), high)


def absolute(u: Interval, trouble: Trouble) -> Interval:
    """|u|, exactly."""
    return Interval(np.maximum(np.maximum(u.lo, -u.hi), 0.0), np.maximum(-u.lo, u.hi))


def relu(u: Interval, trouble: Trouble) -> Interval:
    """max(0, u), exactly."""
    return Interval(np.maximum(u.lo, 0.0), np.maximum(u.hi, 0.0))


def minimum(u: Interval, v: Interval, trouble: Trouble) -> Interval:
    """The smaller of u and v, exactly."""
    return Interval(np.minimum(u.lo, v.lo), np.minimum(u.hi, v.hi))


def maximum(u: Interval, v: Interval, trouble: Trouble) -> Interval:
    """The larger of u and v, exactly."""
    return Interval(np.maximum(u.lo, v.lo), np.maximum(u.hi, v.hi))


def sign(u: Interval, trouble: Trouble) -> Interval:
    """−1 or 1, and all of [−1, 1] where u may be zero.

    As the slope of |u| it has to hold the slopes on both sides of a kink in the closed box, so a bound that is
    zero counts as crossed: sign([0, 1]) = [−1, 1].
    """
    return _jumping(u, -1.0, trouble)


def step(u: Interval, trouble: Trouble) -> Interval:
    """0 or 1, and all of [0, 1] where u may be zero: the slope of relu on both sides of its kink."""
    return _jumping(u, 0.0, trouble)


def _jumping(u: Interval, left: float, trouble: Trouble) -> Interval:
    above, below = u.lo > 0, u.hi < 0
    trouble.jump(~(above | below))
    return Interval(np.where(above, 1.0, left), np.where(below, left, 1.0))


TABLE: dict[str, Callable[..., Interval]] = {
    "exp": exp,
    "log": log,
    "cbrt": cbrt,
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "asin": asin,
    "acos": acos,
    "atan": atan,
    "atan2": atan2,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
    "erf": erf,
    "abs": absolute,
    "sign": sign,
    "step": step,
    "relu": relu,
    "min": minimum,
    "max": maximum,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "power": power,
}
