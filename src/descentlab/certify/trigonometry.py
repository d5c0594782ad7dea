"""Interval versions of sin, cos, tan and their inverses, rounded outward; see functions.py for the rules.

Where the extrema of sin and cos lie, and the poles of tan, is decided by u/π with a bound on its error: whenever an
extremum or a pole may lie in the box, it counts as lying there. Beyond |u| = 2⁴⁰ nothing is decided: the whole range.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from descentlab.certify.intervals import Bound, Interval, Trouble, library_down, library_up

# Up to here u/π in doubles is right to 2⁻¹¹, and NumPy's sin, cos and tan are right to the stated ulp.
LIMIT = 2.0**40
_INVERSE_PI = 1 / np.pi
# u·(1/π) − shift errs by three roundings, each at most 2⁻⁵³ of a number below |u/π − shift| + 1.
_SLACK = 2.0**-50
_PI = np.nextafter(np.pi, 4.0)


def sin(u: Interval, trouble: Trouble) -> Interval:
    """Between its values at the ends, but for extrema at π/2 + kπ.

    >>> sin(Interval(np.array([1.0, 3.0]), np.array([2.0, 6.0])), Trouble(2)).hi[0]
    np.float64(1.0)
    """
    return _wave(np.sin, u, 0.5)


def cos(u: Interval, trouble: Trouble) -> Interval:
    """Between its values at the ends, but for extrema at kπ."""
    return _wave(np.cos, u, 0.0)


def _whole(u: Interval, shift: float) -> tuple[Bound, Bound]:
    """Return the first and last integer k for which π(k + shift) may lie in u; first > last if there is none."""
    low, high = u.lo * _INVERSE_PI - shift, u.hi * _INVERSE_PI - shift
    first = np.ceil(low - (np.abs(low) + 1) * _SLACK)
    last = np.floor(high + (np.abs(high) + 1) * _SLACK)
    return first, last


def _wave(values: Callable[[Bound], Bound], u: Interval, shift: float) -> Interval:
    """Bound a wave that is (−1)^k at π(k + shift) and monotone in between."""
    a, b = values(u.lo), values(u.hi)
    low = np.maximum(library_down(np.minimum(a, b)), -1.0)
    high = np.minimum(library_up(np.maximum(a, b)), 1.0)
    first, last = _whole(u, shift)
    known = (u.lo >= -LIMIT) & (u.hi <= LIMIT)  # false for NaN
    crossed = ~(known & (first > last))
    if not crossed.any():
        return Interval(low, high)
    several = ~(known & (first >= last))
    half = first * 0.5
    even = half == np.floor(half)
    return Interval(
        np.where(crossed & (several | ~even), -1.0, low), np.where(crossed & (several | even), 1.0, high)
    )


def tan(u: Interval, trouble: Trouble) -> Interval:
    """Increasing between poles at π/2 + kπ."""
    first, last = _whole(u, 0.5)
    pole = ~((first > last) & (u.lo >= -LIMIT) & (u.hi <= LIMIT))
    low, high = library_down(np.tan(u.lo)), library_up(np.tan(u.hi))
    if not pole.any():
        return Interval(low, high)
    trouble.outside(pole)
    return Interval(np.where(pole, -np.inf, low), np.where(pole, np.inf, high))


def asin(u: Interval, trouble: Trouble) -> Interval:
    """Increasing; defined for −1 ≤ u ≤ 1."""
    u = _within_one(u, trouble)
    return Interval(library_down(np.arcsin(u.lo)), library_up(np.arcsin(u.hi)))


def acos(u: Interval, trouble: Trouble) -> Interval:
    """Decreasing to 0; defined for −1 ≤ u ≤ 1."""
    u = _within_one(u, trouble)
    return Interval(np.maximum(library_down(np.arccos(u.hi)), 0.0), library_up(np.arccos(u.lo)))


def _within_one(u: Interval, trouble: Trouble) -> Interval:
    outside = ~((u.lo >= -1) & (u.hi <= 1))
    if not outside.any():
        return u
    trouble.outside(outside, (u.hi < -1) | (u.lo > 1))
    return Interval(np.clip(u.lo, -1.0, 1.0), np.clip(u.hi, -1.0, 1.0))


def atan(u: Interval, trouble: Trouble) -> Interval:
    """Increasing."""
    return Interval(library_down(np.arctan(u.lo)), library_up(np.arctan(u.hi)))


def atan2(u: Interval, v: Interval, trouble: Trouble) -> Interval:
    """The angle of the point (v, u), undefined at the origin and on the cut v < 0, u = 0 where it jumps.

    Seen from outside, a rectangle is spanned by the rays through two of its corners.
    """
    cut = ~((u.lo > 0) | (u.hi < 0) | (v.lo > 0))
    low = library_down(_lowest_angle(u.lo, u.hi, v))
    high = library_up(-_lowest_angle(-u.hi, -u.lo, v))
    if not cut.any():
        return Interval(low, high)
    trouble.outside(cut)
    return Interval(np.where(cut, -_PI, low), np.where(cut, _PI, high))


def _lowest_angle(lo: Bound, hi: Bound, v: Interval) -> Bound:
    """Return atan2 at the corner with the smallest angle, for rectangles off the cut."""
    # The angle falls with v above the axis and rises below it; it rises with u right of the axis, falls left of it.
    side = np.where(lo >= 0, v.hi, v.lo)
    return np.arctan2(np.where(side > 0, lo, hi), side)
