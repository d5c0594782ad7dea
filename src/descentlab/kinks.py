"""Kinks: points where the gradient jumps, told from smooth ones by one-sided slopes.

A kink counts as a minimum only if f rises on every side looked at and no combination of the
gradients around it leads down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentlab.objective import Objective
from descentlab.stationary import directions

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# The two distances, in box sides, at which one-sided slopes are compared: a slope that jumps
# is the same at both, a smooth one shrinks with the distance.
SLOPE_STEPS = (1e-4, 1e-6)
# Gradients are sampled this far around a kink, in box sides: far above rounding, and so near that
# what is smooth about f does not change.
SAMPLING_RADIUS = 1e-7
# The shortest combination of those gradients counts as zero at this share of the longest.
SETTLED = 1e-5
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Slopes:
    """One-sided slopes of h = ±f around n points, per unit of length: (n, m) along `directions`.

    is_kink: some slope jumps; is_minimum: and h rises on every side."""

    outward: Array
    is_kink: Flags
    is_minimum: Flags


@dataclass(frozen=True, eq=False)
class Face:
    """An objective on a face of its box: what the searches here read of one, over the free coordinates.

    held (dim,): which coordinates are held; at (dim,): where.
    """

    objective: Objective
    held: Flags
    at: Array

    @property
    def dim(self) -> int:
        return int((~self.held).sum())

    @property
    def widths(self) -> Array:
        return self.objective.widths[~self.held]

    def whole(self, x: Array) -> Array:
        """Return points of the free coordinates (..., free) as points of the box (..., dim)."""
        points = np.empty((*x.shape[:-1], self.objective.dim))
        points[..., self.held], points[..., ~self.held] = self.at[self.held], x
        return points

    def value(self, x: Array) -> Array:
        """Return f, (...)."""
        return self.objective.value(self.whole(x))

    def gradient(self, x: Array) -> Array:
        """Return ∇f along the face, (..., free)."""
        return self.objective.gradient(self.whole(x))[..., ~self.held]


def one_sided_slopes(objective: Objective | Face, x: Array, downhill: float = 1.0) -> Slopes:
    """Measure (h(x + εd) − h(x))/ε on all sides of x for two small ε, h = downhill·f.

    For a smooth h the slopes along d and −d cancel up to ε·h″; where the gradient jumps their
    sum does not shrink with ε.
    """
    along = directions(objective.dim)
    centre = objective.value(x)
    seen = []
    for distance in SLOPE_STEPS:
        points = x[:, None, :] + distance * objective.widths * along
        seen.append(downhill * (objective.value(points) - centre[:, None]) / distance)
    half = along.shape[0] // 2
    far, near = (s[:, :half] + s[:, half:] for s in seen)
    noise = 64 * _EPS * np.abs(centre)[:, None] / SLOPE_STEPS[1]
    with np.errstate(invalid="ignore"):
        jump = np.nan_to_num(np.abs(near)).max(axis=1, initial=0.0)
        is_kink = np.asarray(((np.abs(near) > 0.5 * np.abs(far)) & (np.abs(near) > noise)).any(axis=1))
        rising = np.all([(s >= -1e-3 * jump[:, None] - noise).all(axis=1) for s in seen], axis=0)
        strict = (seen[1].max(axis=1) > 0) & (near >= -noise).all(axis=1)
    lengths = np.linalg.norm(objective.widths * along, axis=1)
    minimum = is_kink & rising & strict
    minimum[minimum] = is_settled(objective, x[minimum], downhill)
    return Slopes(seen[1] / lengths, is_kink, minimum)


def is_settled(objective: Objective | Face, x: Array, downhill: float = 1.0) -> Flags:
    """Tell where no direction leads down: 0 is in the hull of the gradients around x.

    One-sided slopes along a few directions miss a valley whose floor is a kink.
    """
    steepest, largest = _steepest(objective, x, downhill)
    return np.asarray(np.linalg.norm(steepest, axis=1) <= SETTLED * largest)


def _steepest(objective: Objective | Face, x: Array, downhill: float) -> tuple[Array, Array]:
    """Return the shortest vector in the hull of h's gradients around each x, and the longest gradient.

    Minus that vector is the direction of steepest descent of a function with kinks (gradient
    sampling: Burke, Lewis, Overton 2005). Gradients are per box side. (n, dim), (n,).
    """
    from scipy.optimize import nnls

    around = x[:, None, :] + SAMPLING_RADIUS * objective.widths * directions(objective.dim)
    sampled = downhill * objective.gradient(around) * objective.widths
    shortest, longest = np.zeros(x.shape), np.zeros(len(x))
    for i, gradients in enumerate(sampled):
        usable = gradients[np.isfinite(gradients).all(axis=1)]
        longest[i] = np.linalg.norm(usable, axis=1).max(initial=0.0)
        if longest[i] > 0:
            # Least squares over weights ≥ 0, with a row that keeps them from being all zero.
            system = np.vstack([usable.T / longest[i], np.ones(len(usable))])
            weights, _ = nnls(system, np.append(np.zeros(x.shape[1]), 1.0))
            shortest[i] = weights @ usable / weights.sum()
    return shortest, longest


def search_kink(objective: Objective | Face, x: Array, reach: Array, downhill: float = 1.0) -> Array:
    """Return the lowest points of h = downhill·f that are found from x without trusting a gradient.

    x (n, dim); reach (n,): the first search distance in box sides. A pattern search finds the
    bottom or gets stuck in a valley whose floor is a kink; then the steepest direction of the
    gradients around leads along the floor.
    """
    point = _pattern_search(objective, x, reach, downhill)
    going = np.arange(len(x))
    for _ in range(30):
        steepest, longest = _steepest(objective, point[going], downhill)
        size = np.linalg.norm(steepest, axis=1)
        going, steepest, size = (a[size > SETTLED * longest] for a in (going, steepest, size))
        if not going.size:
            break
        way = -steepest / size[:, None] * objective.widths
        lengths = 0.05 * 2.0 ** -np.arange(40)
        heights = downhill * objective.value(point[going][:, None] + lengths[:, None] * way[:, None])
        best = np.nan_to_num(heights, nan=np.inf).argmin(axis=1)
        lower = heights[np.arange(len(going)), best] < downhill * objective.value(point[going])
        moved = point[going] + lengths[best][:, None] * way
        going = going[lower]
        point[going] = _pattern_search(objective, moved[lower], np.full(len(going), 1e-6), downhill)
    return point


def _pattern_search(objective: Objective | Face, x: Array, reach: Array, downhill: float) -> Array:
    """Move to the lowest of the points around while one is lower.

    The distance doubles when some side is lower and halves when none is, until it is 1e-12 sides.
    """
    along = directions(objective.dim)
    point = x.copy()
    height = np.nan_to_num(downhill * objective.value(point), nan=np.inf)
    distance = reach.copy()
    for _ in range(400):
        active = np.flatnonzero(distance > 1e-12)
        if not active.size:
            break
        around = point[active, None, :] + distance[active, None, None] * objective.widths * along
        heights = np.nan_to_num(downhill * objective.value(around), nan=np.inf)
        best = heights.argmin(axis=1)
        lowest = heights[np.arange(len(active)), best]
        lower = lowest < height[active]
        better = active[lower]
        point[better] = around[lower, best[lower]]
        height[better] = lowest[lower]
        distance[better] = np.fmin(2 * distance[better], np.fmax(reach[better], 1e-3))
        distance[active[~lower]] /= 2
    return point
