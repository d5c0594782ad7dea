"""Drawing data of functions of one variable: curves with honest gaps, and their kinks.

A function is sampled on its interval; where the samples jump, the jump is closed in on by halving
the interval between them. If it does not shrink with the interval it is real, and the curve is
cut there instead of being joined by a line that f does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentlab.objective import Objective

Array = NDArray[np.float64]

# An even number, so that the middle of a symmetric interval, where formulas like to jump, is no sample.
SAMPLES = 1200
# Jumps smaller than this share of a curve's spread are finer than a line is thick.
VISIBLE = 2e-3
# Halvings: 1/1200 of the interval shrinks below rounding at the interval's ends.
HALVINGS = 48
# Beyond this matplotlib's own arithmetic overflows; such values are off every picture.
HUGE = 1e100


@dataclass(frozen=True)
class Jump:
    """A place where a curve is cut: its position, and the value on either side."""

    at: float
    left: float
    right: float
    unbounded: bool


@dataclass(frozen=True)
class Line:
    """One curve: x (n,) ascending, y (n,) with NaN where it is cut or undefined; limits: what to show."""

    x: Array
    y: Array
    jumps: tuple[Jump, ...]
    limits: tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A function of one variable and its derivative over an interval.

    kinks: (m, 2), where f is continuous and its slope is not, and f there; undefined: the share
    of the interval where f is not finite.
    """

    label: str
    name: str
    value: Line
    slope: Line
    kinks: Array
    undefined: float


def sample_curve(f: Objective, interval: tuple[float, float] | None = None) -> Curve:
    """Sample f, of one variable, and its derivative over `interval` (default: its box)."""
    low, high = interval or (float(f.domain[0, 0]), float(f.domain[0, 1]))

    def value(x: Array) -> Array:
        return f.value(x[:, None])

    def slope(x: Array) -> Array:
        # A derivative's formula may have values where f itself has none, as 1/x left of log(x).
        return np.where(np.isfinite(value(x)), f.gradient(x[:, None])[:, 0], np.nan)

    slopes = sample_line(slope, low, high)
    corners = np.array([jump.at for jump in slopes.jumps])
    values = sample_line(value, low, high, corners)
    undefined = float(np.mean(~np.isfinite(value(np.linspace(low, high, SAMPLES)))))
    return Curve(f.label, f.names[0], values, slopes, _kinks(value, values, corners, high - low), undefined)


def sample_line(call: Callable[[Array], Array], low: float, high: float, extra: Array | None = None) -> Line:
    """Sample `call`, (n,) → (n,), on [low, high], cut where it jumps.

    extra: more places to sample, and just beside them, so that corners are sharp.
    """
    x = np.linspace(low, high, SAMPLES)
    if extra is not None and extra.size:
        near = 1e-12 * (high - low)
        x = np.unique(np.clip(np.concatenate([x, extra - near, extra, extra + near]), low, high))
    y = call(x)
    jumps = find_jumps(call, x, y)
    unbounded = any(jump.unbounded for jump in jumps) or _runs_away(y)
    for jump in jumps:
        # The point sampled on the jump itself belongs to neither side.
        keep = np.abs(x - jump.at) > 1e-11 * (high - low)
        beside = np.array([jump.at, jump.at, jump.at])
        values = np.array([jump.left, np.nan, jump.right])
        place = int(np.searchsorted(x[keep], jump.at))
        x, y = np.insert(x[keep], place, beside), np.insert(y[keep], place, values)
    y = np.where(np.isfinite(y), y, np.nan)
    limits = visible_range(y, unbounded)
    span = limits[1] - limits[0]
    return Line(x, np.clip(y, limits[0] - 20 * span, limits[1] + 20 * span), tuple(jumps), limits)


def find_jumps(call: Callable[[Array], Array], x: Array, y: Array) -> list[Jump]:
    """Return the places between the samples (x, y) where `call` jumps, left to right."""
    with np.errstate(all="ignore"):
        a, b, ya, yb = x[:-1].copy(), x[1:].copy(), y[:-1].copy(), y[1:].copy()
        spread = _spread(y)
        rise = np.abs(yb - ya)
        chosen = np.flatnonzero((rise > VISIBLE * spread) & np.isfinite(ya) & np.isfinite(yb))
        a, b, ya, yb, rise = a[chosen], b[chosen], ya[chosen], yb[chosen], rise[chosen]
        for _ in range(HALVINGS if len(chosen) else 0):
            middle = a / 2 + b / 2
            ym = call(middle)
            # A value that is not finite in the middle of a jump is the pole itself: stay there.
            on_it = ~np.isfinite(ym)
            left = np.abs(ym - ya) >= np.abs(yb - ym)
            b, yb = np.where(left & ~on_it, middle, b), np.where(left & ~on_it, ym, yb)
            a, ya = np.where(~left & ~on_it, middle, a), np.where(~left & ~on_it, ym, ya)
        real = np.abs(yb - ya) >= 0.5 * rise
        large = np.maximum(np.abs(ya), np.abs(yb)) > 1e4 * spread
    jumps: list[Jump] = []
    for i in np.flatnonzero(real):
        jump = Jump(float(a[i] / 2 + b[i] / 2), float(ya[i]), float(yb[i]), bool(large[i]))
        # A sample that lies on the jump makes two of it: from the left to it, from it to the right.
        if jumps and jump.at - jumps[-1].at <= 1e-9 * float(x[-1] - x[0]):
            last = jumps.pop()
            jump = Jump(last.at, last.left, jump.right, last.unbounded or jump.unbounded)
        jumps.append(jump)
    return jumps


def visible_range(y: Array, unbounded: bool = False) -> tuple[float, float]:
    """Return the range of y to show, with a margin; a curve with poles is cut where they rise."""
    finite = y[np.isfinite(y) & (np.abs(y) < HUGE)]
    if not finite.size:
        return -1.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if unbounded:
        near, far = np.quantile(finite, [0.06, 0.94])
        reach = 0.5 * float(far - near) or max(abs(float(near)), 1.0)
        low, high = max(low, float(near) - reach), min(high, float(far) + reach)
    # A range that is rounding only is drawn as the constant it is.
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        middle, half = low / 2 + high / 2, max(abs(low), abs(high)) * 0.5 or 1.0
        return middle - half, middle + half
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _spread(y: Array) -> float:
    """Return the spread of the bulk of y, not moved by a few huge values."""
    finite = y[np.isfinite(y)]
    if not finite.size:
        return 0.0
    low, high = np.quantile(finite, [0.1, 0.9])
    return float(high - low) or float(finite.max() - finite.min())


def _runs_away(y: Array) -> bool:
    """Tell whether y has a pole that shows no jump: its extremes stand far out, beside a gap or alone."""
    finite = y[np.isfinite(y)]
    if finite.size < 10:
        return False
    spread = _spread(y)
    far = max(float(finite.max()) - float(np.quantile(finite, 0.9)),
              float(np.quantile(finite, 0.1)) - float(finite.min()))
    few = np.count_nonzero(np.abs(finite - np.median(finite)) > 20 * spread)
    return bool(far > 200 * spread and few < 0.04 * finite.size)


def _kinks(value: Callable[[Array], Array], line: Line, corners: Array, width: float) -> Array:
    """Return those corners where f is continuous, with f there, (m, 2)."""
    if not corners.size:
        return np.empty((0, 2))
    with np.errstate(all="ignore"):
        near = 1e-7 * width
        here, left, right = value(corners), value(corners - near), value(corners + near)
        step = np.maximum(np.abs(here - left), np.abs(here - right))
        # 1e-7 of the width moves a square root's cusp by 3e-4 of its height, a logarithm by far more.
        continuous = np.isfinite(here) & (step <= 1e-2 * _spread(line.y)) & np.isfinite(step)
    return np.column_stack([corners, here])[continuous]
