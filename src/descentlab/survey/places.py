"""When two points are the same minimum: one definition, by position and value.

Also of the minima that are sets – flat valleys, and valleys whose floor is a kink – which descents come to
rest all over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descentlab.objective import Objective
from descentlab.stationary import merge

Array = NDArray[np.float64]

KINDS = ("interior", "boundary", "kink", "flat")
# The same minimum: a chain of points, each within this of the next in every coordinate, in box sides, and in value,
# in units of the job's value_scale. Descents come to rest anywhere on a flat set.
SAME_PLACE = {"interior": 1e-6, "boundary": 1e-6, "kink": 1e-6, "flat": 2e-3}
SAME_VALUE = {"interior": 1e-8, "boundary": 1e-8, "kink": 1e-6, "flat": 1e-6}
# Kinks this close are one whatever their values: √|x| at 1e-12 sides from its kink is already 1e-6 high.
SAME_KINK = 1e-9
# A set that descents come to rest all over is kept as points, one a cell of this side. Points of it this close
# are linked unless f rises between them.
SPREAD = ("kink", "flat")
NEIGHBOURS = 0.02
SPREAD_CELL = NEIGHBOURS / 8


def number_minima(
    objective: Objective, points: Array, values: Array, kind: str, value_scale: float
) -> NDArray[np.int64]:
    """Number points (n, dim) with values (n,) so that those of one minimum share a number 0, 1, …, (n,).

    As `same_minimum`; at kinks and flat points a straight line that f rises on by no more than a link may
    differ in value is a link too, however long, and so is a short one, as between points on a curved valley,
    on which f rises little.
    """
    labels = same_minimum(points, values, kind, objective.widths, value_scale)
    if kind not in SPREAD:
        return labels
    height = _height(values, kind, value_scale)
    labels = _joined_by_lines(objective, points, values, labels, height)
    return _joined_by_chords(objective, points, values, labels, height)


def same_minimum(
    points: Array, values: Array, kind: str, widths: Array, value_scale: float
) -> NDArray[np.int64]:
    """Number points (n, dim) with values (n,) so that those of one minimum share a number 0, 1, …, (n,).

    The one definition: two points are the same minimum if a chain of points leads from one to
    the other in which each link is within SAME_PLACE[kind] box sides in every coordinate and within
    SAME_VALUE[kind] of `value_scale`, or rounding, in value. Scaling f or x changes nothing.
    """
    place = SAME_PLACE[kind]
    if kind == "kink":
        alike = merge(points, widths, SAME_KINK)
        values = values[lowest_of(points, values, alike)][alike]
    height = _height(values, kind, value_scale)
    scaled = np.column_stack([points / widths, (values - values.min(initial=np.inf)) * (place / height)])
    return merge(scaled, np.ones(scaled.shape[1]), place)


def _height(values: Array, kind: str, value_scale: float) -> float:
    """Return how far the values of two linked points may differ."""
    rounding = 64 * np.finfo(np.float64).eps * float(np.abs(values).max(initial=0.0))
    return float(max(SAME_VALUE[kind] * value_scale, rounding, np.finfo(np.float64).tiny))


# Shares of the way at which a line is looked at: no two minima evenly spaced have minima at all of these.
_ON_THE_WAY = (np.arange(1, 9) * (5**0.5 - 1) / 2) % 1
# Lines are drawn from so many minima: a flat set that is convex takes one.
_HUBS = 64


def _joined_by_lines(
    objective: Objective, points: Array, values: Array, labels: NDArray[np.int64], height: float
) -> NDArray[np.int64]:
    """Give labels (n,) of which the lowest points are joined by a line on which f rises by `height` at most
    one number."""
    best = lowest_of(points, values, labels)
    left, joined = np.arange(len(best)), np.arange(len(best))
    for _ in range(_HUBS):
        hub, left = left[:1], left[1:]
        if not left.size:
            break
        ends, top = points[best[left]], np.maximum(values[best[left]], values[best[hub]]) + height
        level = np.abs(values[best[left]] - values[best[hub]]) <= height
        for share in _ON_THE_WAY:
            some = np.flatnonzero(level)
            on_line = points[best[hub]] + share * (ends[some] - points[best[hub]])
            level[some] = objective.value(on_line) <= top[some]
        joined[left[level]] = hub
        left = left[~level]
    return np.unique(joined, return_inverse=True)[1][labels]


# Between two points of a curved valley f rises by this share at most of what it rises on other sides.
_CHORD = 0.05


def _joined_by_chords(
    objective: Objective, points: Array, values: Array, labels: NDArray[np.int64], height: float
) -> NDArray[np.int64]:
    """Give labels (n,) whose points are neighbours on the curved floor of a valley one number."""
    count = int(labels.max(initial=-1)) + 1
    if count < 2 or objective.dim < 2:
        return labels
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    widths, all_labels = objective.widths, labels
    # One point a cell: then a few neighbours of each reach along the set, and not into a cluster only.
    some = lowest_of(points, values, spread_cells(points, labels, widths))
    points, values, labels = points[some], values[some], labels[some]
    few = min(2 * objective.dim + 9, len(points))
    far, other = cKDTree(points / widths).query(
        points / widths, few, p=np.inf, distance_upper_bound=NEIGHBOURS
    )
    a, k = np.nonzero(np.isfinite(far))
    b, far = other[a, k], far[a, k]
    some = (labels[a] != labels[b]) & (np.abs(values[a] - values[b]) <= height)
    a, b, far = a[some], b[some], far[some]
    aside = np.concatenate([np.eye(objective.dim), -np.eye(objective.dim)])
    rise = np.stack([objective.value(points[a] + far[:, None] / 2 * widths * each) for each in aside])
    top = np.maximum(values[a], values[b]) + height + _CHORD * np.abs(rise - values[a]).mean(axis=0)
    level = np.ones(len(a), bool)
    for share in _ON_THE_WAY:
        level &= objective.value(points[a] + share * (points[b] - points[a])) <= top
    links = coo_array((np.ones(level.sum()), (labels[a[level]], labels[b[level]])), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)[all_labels]


def spread_cells(points: Array, labels: NDArray[np.int64], widths: Array) -> NDArray[np.int64]:
    """Number points (n, dim) so that those of one label and one cell share a number 0, 1, …, (n,)."""
    return group(np.column_stack([labels, np.round(points / widths / SPREAD_CELL)]))[1]


def lowest_of(points: Array, values: Array, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each label 0, 1, …, the index of its lowest point; of equals the first by coordinates."""
    order = np.lexsort([*points.T[::-1], values, labels])
    return np.asarray(order[np.unique(labels[order], return_index=True)[1]])


def group(keys: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row of each distinct key (row, what), and the index among them of every row.

    Sorting one hash a row is many times faster than sorting rows; a collision is found and sorted out.
    """
    bits = np.ascontiguousarray(keys + 0.0).view(np.uint64)  # + 0.0: −0 and 0 are one key
    code = np.zeros(len(keys), np.uint64)
    for column in bits.T:
        code = (code ^ (column * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xC2B2AE3D27D4EB4F)
        code ^= code >> np.uint64(29)
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    if not np.array_equal(keys[first][inverse], keys):
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)
