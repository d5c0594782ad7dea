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
HALVINGS = 50
# What counts as just beside a place, in widths of the interval: a thousand doubles away.
NEAR = 1e-12
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
    """One curve: x (n,) ascending, y (n,) with NaN where it is cut or undefined.

    limits: the range of y to show; unbounded: whether poles are cut off there.
    """

    x: Array
    y: Array
    jumps: tuple[Jump, ...]
    limits: tuple[float, float]
    unbounded: bool = False


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

    # Where f jumps or has a pole its slope may have one without a jump, as tan has; and the reverse.
    first = sample_line(value, low, high)
    slopes = sample_line(slope, low, high, np.array([jump.at for jump in first.jumps]))
    corners = np.array([jump.at for jump in slopes.jumps])
    values = sample_line(value, low, high, corners)
    undefined = float(np.mean(~np.isfinite(value(np.linspace(low, high, SAMPLES)))))
    return Curve(f.label, f.names[0], values, slopes, _kinks(value, values, corners, high - low), undefined)


def sample_line(call: Callable[[Array], Array], low: float, high: float, extra: Array | None = None) -> Line:
    """Sample `call`, (n,) → (n,), on [low, high], cut where it jumps.

    extra: more places to sample, and just beside them, so that corners and poles are sharp.
    """
    width = high - low
    x = np.linspace(low, high, SAMPLES)
    y = call(x)
    jumps = find_jumps(call, x, y)
    places = np.concatenate([find_edges(call, x, y), np.empty(0) if extra is None else extra])
    # Around a jump nothing is added: it has its two sides already.
    for jump in jumps:
        places = places[np.abs(places - jump.at) > 1e-9 * width]
    unbounded = any(jump.unbounded for jump in jumps)
    if places.size:
        spread = _spread(y)
        for at in places:
            unbounded = unbounded or _grows(call, at, -width, spread) or _grows(call, at, width, spread)
        beside = [places - NEAR * width, places, places + NEAR * width]
        x = np.unique(np.clip(np.concatenate([x, *beside]), low, high))
        y = call(x)
    for jump in jumps:
        # Samples on the jump itself belong to neither side.
        keep = np.abs(x - jump.at) > 3 * NEAR * width
        place = int(np.searchsorted(x[keep], jump.at))
        x = np.insert(x[keep], place, [jump.at] * 3)
        y = np.insert(y[keep], place, [jump.left, np.nan, jump.right])
    y = np.where(np.isfinite(y), y, np.nan)
    limits = visible_range(y, unbounded)
    span = limits[1] - limits[0]
    return Line(x, np.clip(y, limits[0] - 20 * span, limits[1] + 20 * span), tuple(jumps), limits, unbounded)


def find_jumps(call: Callable[[Array], Array], x: Array, y: Array) -> list[Jump]:
    """Return the places between the samples (x, y) where `call` jumps, left to right."""
    width = float(x[-1] - x[0])
    spread = _spread(y)
    with np.errstate(all="ignore"):
        a, b, ya, yb = x[:-1].copy(), x[1:].copy(), y[:-1].copy(), y[1:].copy()
        rise = np.abs(yb - ya)
        chosen = np.flatnonzero((rise > VISIBLE * spread) & np.isfinite(ya) & np.isfinite(yb))
        a, b, ya, yb, rise = a[chosen], b[chosen], ya[chosen], yb[chosen], rise[chosen]
        for _ in range(HALVINGS if len(chosen) else 0):
            # Not quite the middle, which might be the pole itself.
            middle = a + (b - a) * 0.4863
            ym = call(middle)
            left = ~(np.abs(yb - ym) > np.abs(ym - ya))
            b, yb = np.where(left, middle, b), np.where(left, ym, yb)
            a, ya = np.where(left, a, middle), np.where(left, ya, ym)
        places = a + (b - a) / 2
        left_y, right_y = call(places - NEAR * width), call(places + NEAR * width)
        real = (np.abs(right_y - left_y) >= 0.5 * rise) | ~np.isfinite(yb - ya)
    jumps: list[Jump] = []
    for i in np.flatnonzero(real):
        # A sample that lies on the jump finds it twice, from either side.
        if jumps and places[i] - jumps[-1].at <= 1e-9 * width:
            continue
        unbounded = _grows(call, places[i], -width, spread) or _grows(call, places[i], width, spread)
        jumps.append(Jump(float(places[i]), float(left_y[i]), float(right_y[i]), unbounded))
    return jumps


def find_edges(call: Callable[[Array], Array], x: Array, y: Array) -> Array:
    """Return where between the samples (x, y) the values begin or cease to be finite."""
    finite = np.isfinite(y)
    (chosen,) = np.nonzero(finite[:-1] != finite[1:])
    inside, outside = (np.where(finite[chosen], x[chosen + k], x[chosen + 1 - k]) for k in (0, 1))
    for _ in range(HALVINGS if len(chosen) else 0):
        middle = inside + (outside - inside) * 0.4863
        good = np.isfinite(call(middle))
        inside, outside = np.where(good, middle, inside), np.where(good, outside, middle)
    return np.asarray(inside)


def _grows(call: Callable[[Array], Array], at: float, width: float, spread: float) -> bool:
    """Tell whether |y| grows without bound towards `at`, from the side of the sign of `width`."""
    with np.errstate(all="ignore"):
        near, far = np.abs(call(at + width * np.array([NEAR, 1e4 * NEAR])))
    # A bounded y is the same at both; the slowest pole that matters, a logarithm, grows by half.
    return bool(near > 1.2 * far and (near > 3 * spread or not np.isfinite(near)))


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
