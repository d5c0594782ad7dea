"""Low points of a formula found fast: many starts, the best ones led downhill by Newton's method, in NumPy.

What the hunt finds is attained, so it bounds the lowest value from above. It proves nothing by itself.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from descentlab.certify.intervals import Array
from descentlab.program import NUMPY, Program, run

STARTS = 512
KEPT = 16
# All of them take so many steps, then the best few go on up to the last.
ALL_ROUNDS, BEST, ROUNDS = 10, 4, 60
# Newton's last step, in box sides: what is left is narrowed by proof.
SETTLED = 1e-6
# No step helps a point whose matrix has been shifted this far.
HOPELESS = 1e3


@dataclass(frozen=True)
class Hunt:
    """Low points in the closed box (n, dim), f there (n,), lowest first, and the spread of f.

    spread: the median of f at random points less the lowest of these values.
    """

    points: Array
    values: Array
    spread: float


@np.errstate(all="ignore")
def hunt(full: Program, domain: Array, seed: int = 0, starts: int = STARTS) -> Hunt:
    """Lead the best of many random points downhill.

    full: the program of value, gradient and upper triangle of the Hessian. From the best of `starts` random points each
    step solves (H + μI) s = −∇f over the coordinates that are not held by a bound, in units of the box's sides; μ makes
    the matrix positive definite and grows while f does not fall (Levenberg and Marquardt).
    """
    low, high = domain.T
    widths = high - low
    points = _drawn(domain, seed, starts)
    values, slopes, matrices = evaluated(full, points)
    order = np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable")[:KEPT]
    x, value, g, h = points[order], values[order], slopes[order], matrices[order]
    shift = np.zeros(len(x))
    for k in range(ROUNDS):
        if k == ALL_ROUNDS:
            best = np.argsort(value, kind="stable")[:BEST]
            x, value, g, h, shift = x[best], value[best], g[best], h[best], shift[best]
        scaled = h * widths[:, None] * widths
        steep = g * widths
        blocked = ((x <= low) & (g > 0)) | ((x >= high) & (g < 0))
        free = ~blocked
        both = free[:, :, None] & free[:, None, :]
        matrix = np.where(both & np.isfinite(scaled), scaled, 0.0)
        eigenvalues, vectors = np.linalg.eigh(matrix)
        size = np.abs(eigenvalues).max(axis=1)
        floor = np.maximum(1e-8 * size, 1e-300)[:, None]
        bend = np.maximum(np.abs(eigenvalues), floor) + (shift * np.maximum(size, 1e-300))[:, None]
        along = np.einsum("nij,ni->nj", vectors, np.where(free & np.isfinite(steep), steep, 0.0))
        step = -np.einsum("nij,nj->ni", vectors, along / bend)
        length = np.abs(step).max(axis=1, keepdims=True)
        step = step * np.minimum(1.0, 0.25 / np.maximum(length, 1e-300))
        there = np.clip(x + step * widths, low, high)
        new_values, new_slopes, new_matrices = evaluated(full, there)
        better = new_values < value
        x, value = np.where(better[:, None], there, x), np.where(better, new_values, value)
        g, h = np.where(better[:, None], new_slopes, g), np.where(better[:, None, None], new_matrices, h)
        shift = np.where(better, shift / 8, np.maximum(4 * shift, 1e-3))
        if not ((length[:, 0] > SETTLED) & (shift < HOPELESS)).any():
            break
    order = np.argsort(np.where(np.isnan(value), np.inf, value), kind="stable")
    return Hunt(x[order], value[order], _spread(values))


@np.errstate(all="ignore")
def spread(full: Program, domain: Array, seed: int = 0, starts: int = STARTS) -> float:
    """Return the spread of f that `hunt` finds, without the hunt."""
    return _spread(evaluated(full, _drawn(domain, seed, starts))[0])


def _drawn(domain: Array, seed: int, starts: int) -> Array:
    """Return random points, the middle of the box and two of its corners, (starts + 3, dim)."""
    low, high = domain.T
    random = np.random.Generator(np.random.Philox(seed)).random((starts, len(domain)))
    return np.concatenate(
        [low + (high - low) * random, (0.5 * low + 0.5 * high)[None], low[None], high[None]]
    )


def _spread(values: Array) -> float:
    finite = np.sort(values[np.isfinite(values)])
    return float(finite[len(finite) // 2] - finite[0]) if len(finite) else 0.0


def evaluated(full: Program, points: Array) -> tuple[Array, Array, Array]:
    """Return f (n,), ∇f (n, dim) and the Hessian (n, dim, dim) at points (n, dim)."""
    n, d = points.shape
    with np.errstate(all="ignore"):
        outputs = run(full, [points[:, i] for i in range(d)], NUMPY)
    value, slopes, hessian = np.empty(n), np.empty((n, d)), np.empty((n, d, d))
    value[:] = outputs[0]
    for i in range(d):
        slopes[:, i] = outputs[1 + i]
    for i, j, entry in zip(*_triangle(d), outputs[1 + d :], strict=True):
        hessian[:, i, j] = hessian[:, j, i] = entry
    return value, slopes, hessian


@functools.cache
def _triangle(dim: int) -> tuple[list[int], list[int]]:
    rows, columns = np.triu_indices(dim)
    return rows.tolist(), columns.tolist()
