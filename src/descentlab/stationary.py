"""Stationary points and kinks: found near given points, and told apart by kind.

The one definition, used by verdicts and surveys, of what lies where a descent ended. "Minimum"
is said only after a Hessian check with a margin, or after one-sided slopes have shown a kink
with f rising on every side. All lengths are measured in units of the box's sides, so scaling f
or x changes no answer.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentlab.objective import Objective

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# A root of ∇f is searched within this share of the box's sides from where descent ended.
SEARCH_RADIUS = 0.05
# Newton's last step, in box sides, below which the root counts as found: doubles carry 16
# digits, and the error of the next Newton step is of the order of this one squared.
ROOT_STEP = 1e-9
# A Hessian eigenvalue this much smaller than the curvature found along its eigenvector within
# SEARCH_RADIUS counts as zero: rounding leaves a root of the order of 1e-5 sides from a quartic minimum, where the
# curvature is about 1e-8 of that at SEARCH_RADIUS, and 3e-4 sides from a root of order five, where it is 1e-7.
FLAT = 3e-7
# An eigenvalue this small against the largest one is rounding: a Hessian's entries carry 16 digits,
# of which sums of larger terms cost a few.
ROUNDED = 1e-12
# Numbers looked at together: for a few points the calls cost more than the sums, many fill the cache.
MOST_TOGETHER = 200_000
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Stationary:
    """Points and what they are, n of them.

    points (n, dim); values (n,); eigenvalues (n, dim), ascending, of the Hessian; kinds (n,) of
    minimum, maximum, saddle, degenerate, plateau, kink, or "" where there is none of these.
    """

    points: Array
    values: Array
    eigenvalues: Array
    kinds: NDArray[np.str_]


def largest(values: Array) -> Array:
    """Return the maximum over the last axis, NaN where one is.

    NumPy's own goes number by number where that axis is short, five times as slow.
    """
    return np.asarray(functools.reduce(np.maximum, np.moveaxis(values, -1, 0)))


def polish(objective: Objective, x: Array, free: Flags | None = None) -> tuple[Array, Flags]:
    """Return the roots of ∇f that Newton's method finds near the points x (n, dim), and where it did.

    free: (n, dim), False for coordinates to hold still (those at a bound); default all True.
    The search gives up on leaving SEARCH_RADIUS. A multiple root is approached to rounding.
    """
    widths = objective.widths
    free = np.ones(x.shape, bool) if free is None else free
    best = x.copy()
    found = np.zeros(len(x), bool)
    active = np.flatnonzero(np.isfinite(x).all(axis=1))
    point = x[active].copy()
    for _ in range(80):
        if not active.size:
            break
        move = newton_step(objective, point, free[active])
        length = largest(np.abs(move / widths))
        length = np.where(np.isfinite(length), length, np.inf)
        move = (
            np.where(np.isfinite(move), move, 0.0)
            * np.minimum(1.0, SEARCH_RADIUS / np.maximum(length, SEARCH_RADIUS))[:, None]
        )
        point = point + move
        inside = (largest(np.abs((point - x[active]) / widths)) <= SEARCH_RADIUS) & np.isfinite(length)
        settled = inside & (length <= 1e-13)
        close = inside & (length <= ROOT_STEP)
        best[active[inside]] = point[inside]
        found[active] = close
        going = inside & ~settled
        active, point = active[going], point[going]
    rest = np.flatnonzero(~found)
    found[rest] = _approached(objective, best[rest], x[rest], free[rest])
    return best, found


def _approached(objective: Objective, best: Array, x: Array, free: Flags) -> Flags:
    """Tell where Newton crept towards a multiple root: its step has shrunk to 1e-3 of the first.

    At a multiple root the steps shrink by a constant factor, and rounding stops them early.
    """

    def length(x: Array, rows: NDArray[np.int64]) -> Array:
        with np.errstate(all="ignore"):
            return largest(np.abs(newton_step(objective, x[rows], free[rows]) / objective.widths))

    crept = np.zeros(len(x), bool)
    moved = largest(np.abs((best - x) / objective.widths))
    rows = np.flatnonzero((moved > 0) & (moved < SEARCH_RADIUS))
    last = length(best, rows)
    rows, last = rows[last <= 1e-5], last[last <= 1e-5]
    crept[rows] = last <= 1e-3 * length(x, rows)
    return crept


def newton_step(objective: Objective, x: Array, free: Flags) -> Array:
    """Return −H⁻¹∇f over the free coordinates, (n, dim).

    The Hessian is scaled by the box's sides first, so that "flat" does not depend on units. A
    flat direction contributes nothing if the slope along it is zero too; otherwise there is no
    root nearby, and the step is infinite.
    """
    widths = objective.widths
    gradient = np.where(free, objective.gradient(x) * widths, 0.0)
    hessian = _held(objective.hessian(x) * widths[:, None] * widths, free)
    ok = np.isfinite(hessian).all(axis=(-2, -1)) & np.isfinite(gradient).all(axis=-1)
    step = np.full(x.shape, np.nan)
    if ok.any():
        values, vectors = np.linalg.eigh(hessian[ok])
        along = np.einsum("nij,ni->nj", vectors, gradient[ok])
        size = np.abs(values).max(axis=1, keepdims=True)
        # A curvature of zero to rounding says nothing about where its root is.
        usable = np.abs(values) > 16 * _EPS * size
        ratio = np.divide(along, values, out=np.zeros_like(along), where=usable)
        newton = -np.einsum("nij,nj->ni", vectors, ratio) * widths
        sloping = (~usable & (np.abs(along) > 1e-9 * size)).any(axis=1)
        step[ok] = np.where(sloping[:, None], np.inf, newton)
    return step


def _held(hessian: Array, free: Flags) -> Array:
    """Return the Hessian with rows and columns of held coordinates set to zero."""
    return np.where(free[:, :, None] & free[:, None, :], hessian, 0.0)


def classify(objective: Objective, x: Array, free: Flags | None = None) -> Stationary:
    """Tell what the points x (n, dim), roots of ∇f, are – judged over the free coordinates.

    A coordinate held at a bound counts as settled; its eigenvalue is reported as 0.
    """
    free = np.ones(x.shape, bool) if free is None else free
    widths = objective.widths
    hessian = objective.hessian(x)
    finite = np.isfinite(hessian).all(axis=(-2, -1))
    eigenvalues = np.full(x.shape, np.nan)
    scaled = np.full(x.shape, np.nan)
    eigenvalues[finite] = np.linalg.eigvalsh(_held(hessian[finite], free[finite]))
    vectors = np.full((*x.shape, x.shape[1]), np.nan)
    scaled[finite], vectors[finite] = np.linalg.eigh(
        _held(hessian[finite] * widths[:, None] * widths, free[finite])
    )
    steepest = np.abs(scaled).max(axis=1, initial=0.0, keepdims=True)
    small = np.fmax(FLAT * _curvature_near(objective, x, free, vectors), ROUNDED * steepest)
    small = np.where(_is_doubtful(objective, x, free, vectors, scaled), np.abs(scaled), small)
    held = (~free).sum(axis=1)
    flat = (np.abs(scaled) <= small).sum(axis=1) - held > 0
    negative = (scaled < -small).sum(axis=1)
    count = free.sum(axis=1)
    kinds = np.where(negative == 0, "minimum", np.where(negative == count, "maximum", "saddle")).astype("U10")
    kinds[(count == 0)] = "minimum"
    kinds[flat] = "degenerate"
    kinds[~finite] = ""
    constant = np.flatnonzero(flat & finite)
    kinds[constant[is_constant_around(objective, x[constant])]] = "plateau"
    return Stationary(x, objective.value(x), eigenvalues, kinds)


def _curvature_near(objective: Objective, x: Array, free: Flags, vectors: Array) -> Array:
    """Return, for each eigenvector v of the scaled Hessian at x, (n, dim): the largest |vᵀHv| on
    either side along v, SEARCH_RADIUS and half of it away.

    Each direction is compared with itself, so that a ravine is not taken for a flat direction.
    """
    widths = objective.widths
    bends = np.zeros(x.shape)
    distances = SEARCH_RADIUS * np.array([-1.0, -0.5, 0.5, 1.0])[:, None, None]
    for i in range(x.shape[1]):
        v = np.nan_to_num(vectors[:, :, i])
        side = v / np.maximum(np.abs(v).max(axis=1, keepdims=True), _EPS)
        places = x + distances * widths * side  # (4, n, dim)
        there = _held(objective.hessian(places) * widths[:, None] * widths, free)
        bend = np.abs(np.einsum("nj,mnjk,nk->mn", v, there, v))
        bends[:, i] = np.where(np.isfinite(bend), bend, 0.0).max(axis=0)
    return bends


def _is_doubtful(objective: Objective, x: Array, free: Flags, vectors: Array, scaled: Array) -> Flags:
    """Tell, (n, dim), along which eigenvectors the curvature might be zero at the root that x stands for.

    The root is known to u_k along the eigenvector k. Every curvature must be the same within a
    factor of two out to there on both sides: at a multiple root, or on a curve of roots, found to
    rounding, it is not.
    """
    widths, curvature = objective.widths, np.abs(scaled)
    doubtful = np.zeros(x.shape, bool)
    for k in range(x.shape[1]):
        v = np.nan_to_num(vectors[:, :, k])
        unsure = _unsure(objective, x, free, v, scaled[:, k])
        doubtful[:, k] |= ~(unsure < SEARCH_RADIUS)
        for side in (-1.0, 1.0):
            there = x + (side * np.fmin(unsure, SEARCH_RADIUS))[:, None] * widths * v
            hessian = _held(objective.hessian(there) * widths[:, None] * widths, free)
            bends = np.einsum("nji,njk,nki->ni", vectors, hessian, vectors) * np.sign(scaled)
            doubtful |= ~((bends >= 0.5 * curvature) & (bends <= 2 * curvature))
    return doubtful


def _unsure(objective: Objective, x: Array, free: Flags, v: Array, curvature: Array) -> Array:
    """Return how far the root might be from x along v, (n,), in box sides.

    The largest of four of Newton's steps, 8·noise/|λ| and ROOT_STEP, with the rounding noise of
    the slope measured on nine points about x.
    """
    widths = objective.widths
    points = x[:, None, :] + (np.arange(-4, 5) * ROOT_STEP)[:, None] * widths * v[:, None, :]
    slopes = np.where(free[:, None, :], objective.gradient(points) * widths, 0.0)
    along = np.einsum("nmj,nj->nm", slopes, v)
    # The points really reached: far from zero, x + offset is rounded too.
    reached = np.einsum("nmj,nj->nm", (points - x[:, None, :]) / widths, v)
    noise = np.abs(along - along[:, 4:5] - curvature[:, None] * reached).max(axis=1)
    with np.errstate(all="ignore"):
        steps = np.fmax(8 * noise, 4 * np.abs(along[:, 4])) / np.abs(curvature)
    # A coordinate that is held has no curvature, and nothing to be unsure of.
    steps = np.where((curvature == 0) & (along[:, 4] == 0), 0.0, steps)
    return np.asarray(np.fmax(steps, ROOT_STEP))


def is_constant_around(objective: Objective, x: Array) -> Flags:
    """Tell where f is constant to rounding out to 1/1000 of the box's sides."""
    centre = objective.value(x)
    same: Flags = np.isfinite(centre)
    shifts = 1e-3 * objective.widths * directions(objective.dim)
    for some in np.array_split(shifts, max(1, shifts.size * len(x) // MOST_TOGETHER)):
        apart = np.abs(objective.value(x[:, None] + some) - centre[:, None])
        same &= (apart <= 8 * _EPS * np.abs(centre)[:, None]).all(axis=1)
    return same


def directions(dim: int, random: int = 8) -> Array:
    """Return directions in pairs ±d, (m, dim): the axes, then random ones, each max|d| = 1."""
    drawn = np.random.default_rng(0xD1).normal(size=(0 if dim == 1 else random * min(dim, 4), dim))
    half = np.concatenate([np.eye(dim), drawn])
    half /= np.abs(half).max(axis=1, keepdims=True)
    return np.concatenate([half, -half])


def merge(points: Array, widths: Array, tolerance: float = 1e-6) -> NDArray[np.int64]:
    """Number the points (n, dim) so that equal ones share a number, (n,).

    Points are the same if a chain of points leads from one to the other in which every coordinate
    changes by at most `tolerance` box sides a link. They are rounded to cells first, so duplicates
    by the million cost one sort.
    """
    scaled = points / widths
    _, first, inverse = np.unique(
        np.round(8 * scaled / tolerance), axis=0, return_index=True, return_inverse=True
    )
    few = len(first) <= MOST_PAIRED
    labels = (_chained_few if few else _chained_many)(scaled[first], tolerance)
    return np.asarray(labels[inverse.reshape(-1)], dtype=np.int64)


# So few points are compared pair by pair: importing SciPy's trees takes longer than that.
MOST_PAIRED = 256


def _chained_few(scaled: Array, tolerance: float) -> NDArray[np.int64]:
    """Number the points by chains of links, in the order of their first points."""
    linked = (np.abs(scaled[:, None] - scaled) <= tolerance).all(axis=2)
    labels = np.arange(len(scaled))
    while True:
        lowest = np.where(linked, labels, len(scaled)).min(axis=1, initial=len(scaled))
        if np.array_equal(lowest, labels):
            return np.unique(labels, return_inverse=True)[1]
        labels = lowest


def _chained_many(scaled: Array, tolerance: float) -> NDArray[np.int64]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    pairs = cKDTree(scaled).query_pairs(tolerance, p=np.inf, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(scaled), len(scaled)))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)
