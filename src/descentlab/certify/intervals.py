"""Interval arithmetic on arrays of lower and upper bounds, rounded outward.

An operation's result holds every value that the exact operation takes on numbers from its operands, as far as it
is defined there. Where it is not defined on the whole box, or not smooth, `Trouble` remembers the box, and nothing
is proved by it.

Rounding: + − × ÷ √ are correctly rounded by the processor, so the exact result lies within one floating-point
number of the computed one; `down` and `up` go at least that far. A bound that is NaN says nothing (an overflow, or
0·∞): comparisons with it are false, so it proves nothing either.

Source: Moore, Kearfott & Cloud, Introduction to Interval Analysis (2009); for the rounding S. M. Rump,
P. Zimmermann, S. Boldo and G. Melquiond, Computing predecessor and successor in rounding to nearest, BIT 49 (2009).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
# A bound of each box, (n,), or one number for all of them.
Bound = Array

# Just over half an ulp of 1, and the smallest positive number: x − (|x|·HALF_ULP + SMALLEST) lies at or below the
# floating-point number before x, for every finite x (Rump et al., theorem 2.2).
HALF_ULP = 2.0**-53 * (1 + 2.0**-52)
SMALLEST = 5e-324
# For no more numbers than this one slow operation (nextafter) costs less than four fast ones.
FEW = 512
# Between half an ulp and one and a half for every normal x: x − |x|·SUM_ULP rounds to the number before x or
# the next one.
SUM_ULP = 0.75 * 2.0**-52
LARGEST = np.finfo(np.float64).max
# What the platform's exp, sin, … may err by, doubled (in ulp): NumPy's authors state at most 4.
LIBRARY_ULPS = 8
_LIBRARY = LIBRARY_ULPS * 2.0**-52
# Below the normal numbers an ulp is absolute; this many of the smallest are added to every library result.
_GUARD = LIBRARY_ULPS * 2.0**-1074


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds lo ≤ u ≤ hi of a quantity over n boxes, each (n,), or one number for all boxes."""

    lo: Bound
    hi: Bound


class Trouble:
    """Which of n boxes nothing may be concluded from, and why.

    undefined: some operation is not defined, or jumps, somewhere in the box; kinked: a slope jumps there, while f
    itself is continuous (the gradient's bounds hold all one-sided slopes); nowhere: f is defined at no point.
    """

    def __init__(self, boxes: int) -> None:
        self.undefined: Flags = np.zeros(boxes, bool)
        self.kinked: Flags = np.zeros(boxes, bool)
        self.nowhere: Flags = np.zeros(boxes, bool)
        # Whether the operation at work is one of f itself: a jump of f is worse than one of its slope.
        self.in_value = True

    def __getitem__(self, index: NDArray[np.generic] | slice) -> Trouble:
        """Return the flags of some of the boxes."""
        some = Trouble(0)
        some.undefined, some.kinked = self.undefined[index], self.kinked[index]
        some.nowhere = self.nowhere[index]
        return some

    def jump(self, where: Flags | np.bool_) -> None:
        """Note boxes in which the operation jumps."""
        flags = self.undefined if self.in_value else self.kinked
        flags |= where

    def outside(self, some: Flags | np.bool_, every: Flags | np.bool_ | bool = False) -> None:
        """Note boxes with some points, or only points, where the operation is not defined.

        Where a slope is defined nowhere f still can be: √x on the face x = 0.
        """
        self.undefined |= some
        if self.in_value:
            self.nowhere |= every


def point(value: float) -> Interval:
    """Return the interval that holds exactly `value`."""
    return Interval(np.asarray(value, dtype=np.float64), np.asarray(value, dtype=np.float64))


def down(x: Bound) -> Bound:
    """Return a number at or below the floating-point number before x; NaN or the largest number for +∞."""
    if x.size <= FEW:
        return np.nextafter(x, -np.inf)
    return x - (np.abs(x) * HALF_ULP + SMALLEST)


def up(x: Bound) -> Bound:
    """Return a number at or above the floating-point number after x; NaN or the least number for −∞."""
    if x.size <= FEW:
        return np.nextafter(x, np.inf)
    return x + (np.abs(x) * HALF_ULP + SMALLEST)


def library_down(x: Bound) -> Bound:
    """Return a number below every exact result that a library function may have rounded to x."""
    return x - (np.abs(x) * _LIBRARY + _GUARD)


def library_up(x: Bound) -> Bound:
    """Return a number above every exact result that a library function may have rounded to x."""
    return x + (np.abs(x) * _LIBRARY + _GUARD)


def is_point(u: Interval) -> bool:
    """Tell whether u is one exactly known number for all boxes."""
    return np.ndim(u.lo) == 0 and bool(u.lo == u.hi)


def negative(u: Interval) -> Interval:
    return Interval(-u.hi, -u.lo)


def add(u: Interval, v: Interval) -> Interval:
    return Interval(_sum_down(u.lo + v.lo), _sum_up(u.hi + v.hi))


def subtract(u: Interval, v: Interval) -> Interval:
    return Interval(_sum_down(u.lo - v.hi), _sum_up(u.hi - v.lo))


def _sum_down(x: Bound) -> Bound:
    """Return a number below every exact sum that may have been rounded to x; sums below 2^−1021 are exact, and stay."""
    return x - np.abs(x) * SUM_ULP


def _sum_up(x: Bound) -> Bound:
    """Return a number above every exact sum that may have been rounded to x; sums below 2^−1021 are exact, and stay."""
    return x + np.abs(x) * SUM_ULP


def multiply(u: Interval, v: Interval) -> Interval:
    """u·v; a number known to be positive or negative costs half the products."""
    if u is v:
        return square(u)
    if np.ndim(u.lo) == 0:
        u, v = v, u
    if np.ndim(v.lo) == 0 and (v.lo > 0 or v.hi < 0):
        return _scaled(u, v)
    a, b, c, d = u.lo * v.lo, u.lo * v.hi, u.hi * v.lo, u.hi * v.hi
    low = np.minimum(np.minimum(a, b), np.minimum(c, d))
    high = np.maximum(np.maximum(a, b), np.maximum(c, d))
    return Interval(down(low), up(high))


def _scaled(u: Interval, factor: Interval) -> Interval:
    """u·factor, where the factor is one number for all boxes and has one sign."""
    if factor.hi < 0:
        return negative(_scaled(u, negative(factor)))
    if factor.lo == factor.hi:
        if factor.lo >= 1 and np.frexp(factor.lo)[0] == 0.5:  # a power of two: exact but for overflow
            return Interval(np.minimum(u.lo * factor.lo, LARGEST), np.maximum(u.hi * factor.lo, -LARGEST))
        return _like_signed(u, down(u.lo * factor.lo), up(u.hi * factor.lo))
    low = np.minimum(u.lo * factor.lo, u.lo * factor.hi)
    high = np.maximum(u.hi * factor.lo, u.hi * factor.hi)
    return _like_signed(u, down(low), up(high))


def _like_signed(u: Interval, low: Bound, high: Bound) -> Interval:
    """Return [low, high], bounds of u times something positive, with the sign of u: √ of it must stay defined."""
    return Interval(
        np.where(u.lo >= 0, np.maximum(low, 0.0), low), np.where(u.hi <= 0, np.minimum(high, 0.0), high)
    )


def square(u: Interval) -> Interval:
    """u², which is never negative."""
    low = np.maximum(np.maximum(u.lo, -u.hi), 0.0)
    high = np.maximum(-u.lo, u.hi)
    return Interval(np.maximum(down(low * low), 0.0), up(high * high))


def divide(u: Interval, v: Interval, trouble: Trouble) -> Interval:
    """u/v; where v may be zero the quotient is bounded on the side that is possible, and undefined."""
    if is_point(v) and v.lo > 0:
        return _like_signed(u, down(u.lo / v.lo), up(u.hi / v.lo))
    pole = ~excludes_zero(v)
    if not pole.any():
        a, b, c, d = u.lo / v.lo, u.lo / v.hi, u.hi / v.lo, u.hi / v.hi
        low = np.minimum(np.minimum(a, b), np.minimum(c, d))
        high = np.maximum(np.maximum(a, b), np.maximum(c, d))
        return Interval(down(low), up(high))
    trouble.outside(pole, (v.lo == 0) & (v.hi == 0))
    inverse_low, inverse_high = down(1 / v.hi), up(1 / v.lo)
    inverse_low = np.where(pole, np.where(v.lo == 0, inverse_low, -np.inf), inverse_low)
    inverse_high = np.where(pole, np.where(v.hi == 0, inverse_high, np.inf), inverse_high)
    return multiply(u, Interval(inverse_low, inverse_high))


def integer_power(u: Interval, exponent: int) -> Interval:
    """u**exponent for exponent ≥ 1: even powers are even functions, odd ones increase."""
    if exponent == 1:
        return u
    if exponent % 2 == 0:
        return _repeated(square(u), exponent // 2) if exponent > 2 else square(u)
    # |u| to the power, rounded outward, and its sign: x ↦ xⁿ increases.
    low, high = _size_power(np.abs(u.lo), exponent), _size_power(np.abs(u.hi), exponent)
    return Interval(np.where(u.lo < 0, -low.hi, low.lo), np.where(u.hi < 0, -high.lo, high.hi))


def _size_power(size: Bound, exponent: int) -> Interval:
    return _repeated(Interval(size, size), exponent)


def _repeated(u: Interval, exponent: int) -> Interval:
    """u**exponent for u ≥ 0, by repeated squaring; bounds stay non-negative."""
    low: Bound | None = None
    high: Bound | None = None
    base_low, base_high = u.lo, u.hi
    while exponent:
        if exponent & 1:
            low = base_low if low is None else np.maximum(down(low * base_low), 0.0)
            high = base_high if high is None else up(high * base_high)
        exponent >>= 1
        if exponent:
            base_low, base_high = np.maximum(down(base_low * base_low), 0.0), up(base_high * base_high)
    assert low is not None
    assert high is not None
    return Interval(low, high)


def sqrt(u: Interval, trouble: Trouble) -> Interval:
    """√u of the non-negative part of u."""
    outside = ~(u.lo >= 0)
    if outside.any():
        trouble.outside(outside, u.hi < 0)
    low = np.sqrt(np.maximum(u.lo, 0.0))
    return Interval(np.maximum(down(low), 0.0), up(np.sqrt(np.maximum(u.hi, 0.0))))


def intersect(u: Interval, v: Interval) -> Interval:
    """Return what both hold; a bound that says nothing leaves the other's."""
    return Interval(np.fmax(u.lo, v.lo), np.fmin(u.hi, v.hi))


def excludes_zero(u: Interval) -> Flags:
    """Tell in which boxes u is proved not to be zero."""
    return np.asarray((u.lo > 0) | (u.hi < 0))
