"""What is seen where runs ended: how far Newton's method goes on from there, the Hessian's ends, and kinks.

Plain NumPy on derivatives by whichever engine: JAX's own eigh waits inside for threads of the pool it runs on, and
two programs with it at once wait for ever.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from descentlab.models.endings_slopes import MOST_DENSE, SMALL, Slopes
from descentlab.models.lanczos import krylov

Array = NDArray[np.float64]

NEWTON_STEPS, MOST_DAMPING = 200, 1e6
# Small models are followed this many times as far as they are from the origin, to see what they creep towards; larger
# ones only as far as a root counts as near.
FAR = 10.0
# No step is longer than this share of the weights: long ones would leap into other valleys.
STRIDE = 0.05
# The gradient counts as zero at this share of its size at the first weights: above rounding (1e-16 times the terms of a
# loss), far below what training leaves.
VANISHED = 1e-9
# … or of this, where the first weights happen to lie near a stationary point.
LEAST_SLOPE = 1e-5
# An eigenvalue this small against the largest is zero to rounding: a Hessian's entries carry 16 digits, and their sums
# over samples lose half of them at worst.
FLAT = 1e-8
# What Newton's method finds further away than this share of the weights is not where training ended.
NEAR = 0.1
# What Lanczos' method cannot have missed: with this certainty, from a random first vector.
LANCZOS_STEPS, DOUBT = 60, 1e-3
# A kink is looked for this share of the weights away, and at a hundredth of that: far above their rounding, 1e-16.
BESIDE, NEARER = 1e-8, 1e-2
# The loss falls from a kink if it does so by this share of the slope beside it.
FALLS = 1e-3


def look(slopes: Slopes) -> dict[str, Array]:
    """Return what is seen of every run, (run,) each.

    begun, ended, limit: losses where training began and ended, and where Newton's method did; slope_last: the gradient
    norm at the end of training, vanished: whether it is zero where Newton's method ended; moved, grown: how far that
    is from the end of training, and how long the weights are there, against their length before; smallest, largest:
    Hessian eigenvalues there, lower, upper: bounds of them, next_smallest, next_largest: one Newton step on; jumps,
    falls: see `_kinks`. Models of more than MOST_DENSE weights are not moved.
    """
    # Runs that diverged are looked at too, for nothing.
    with np.errstate(over="ignore", invalid="ignore"):
        begun, slope = slopes.slope(slopes.begin)
        enough = VANISHED * np.maximum(np.linalg.norm(slope, axis=1), LEAST_SLOPE)
        x, found = _dense(slopes, enough) if slopes.end.shape[1] <= MOST_DENSE else _sparse(slopes)
        vanished = np.linalg.norm(found.pop("slope"), axis=1) <= enough
        jumps, falls = _kinks(slopes.slope, x, found["limit"], enough)
    return {"begun": begun, **found, "vanished": vanished, "jumps": jumps, "falls": falls}


def _kinks(
    slope: Callable[[Array], tuple[Array, ...]], x: Array, value: Array, enough: Array
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell of every run whether its gradient jumps at x, and if so whether the loss falls from there.

    At the bend of a ReLU or of |x| automatic differentiation gives the slope of one side, or 0. Here the gradients on
    opposite sides of x are compared, on a random ray. Where the gradient is continuous, their difference shrinks with
    the distance; where it does not, x is on a kink.
    """
    jumps, falls = np.zeros(len(x), bool), np.zeros(len(x), bool)
    size = (BESIDE * (1 + np.linalg.norm(x, axis=1)))[:, None]
    for ray in np.random.default_rng(0).normal(size=(2, x.shape[1])):
        aside = size * ray / np.linalg.norm(ray)
        far, near = ([slope(x + sign * part * aside) for sign in (1, -1)] for part in (1.0, NEARER))
        wide, narrow = (np.linalg.norm(right[1] - left[1], axis=1) for right, left in (far, near))
        jump = np.asarray((narrow > 10 * enough) & (narrow > wide / 2))
        if not jump.any():
            continue
        drop = FALLS * size[:, 0] * narrow + 4 * np.finfo(float).eps * np.abs(value)
        for (there, _), (_, gradient) in zip(far, near, strict=True):
            steep = np.maximum(np.linalg.norm(gradient, axis=1), 1e-300)[:, None]
            downhill = slope(x - size * gradient / steep)[0]
            falls = falls | (jump & (np.minimum(there, downhill) < value - drop))
        jumps = jumps | jump
    return jumps, falls


def _dense(slopes: Slopes, enough: Array) -> tuple[Array, dict[str, Array]]:
    """Follow Newton's method, and see the eigenvalues where it ends."""
    start, lengths = slopes.end, np.linalg.norm(slopes.end, axis=1)
    scale = np.maximum(lengths, np.linalg.norm(slopes.begin, axis=1))
    far = (FAR if start.shape[1] <= SMALL else NEAR) * scale
    first = slopes.hessian(start, np.full(len(start), True))
    x, (value, slope, hessian) = _newton(slopes.hessian, start, first, enough, far)
    known = np.asarray(np.isfinite(hessian).all(axis=(1, 2)))
    eigenvalues, vectors = np.linalg.eigh(np.where(known[:, None, None], hessian, 0.0))
    sizes = np.abs(eigenvalues).max(axis=1, keepdims=True)
    inverse = np.where(
        np.abs(eigenvalues) > FLAT * sizes, 1 / np.where(eigenvalues == 0, 1.0, eigenvalues), 0.0
    )
    slope_here = np.where(known[:, None] & np.isfinite(slope), slope, 0.0)
    move = np.einsum("rij,rj->ri", vectors, inverse * np.einsum("rij,ri->rj", vectors, slope_here))
    following = slopes.hessian(x - move, known)[2]
    following = np.where(np.isfinite(following).all(axis=(1, 2), keepdims=True), following, 0.0)
    after = np.linalg.eigvalsh(following)
    smallest, largest = (np.where(known, eigenvalues[:, i], np.nan) for i in (0, -1))
    return x, {
        "ended": first[0], "limit": value, "slope_last": np.linalg.norm(first[1], axis=1), "slope": slope,
        "smallest": smallest, "lower": smallest, "next_smallest": after[:, 0],
        "largest": largest, "upper": largest, "next_largest": after[:, -1],
        "moved": np.linalg.norm(x - start, axis=1) / np.maximum(scale, 1e-300),
        "grown": np.linalg.norm(x, axis=1) / np.maximum(lengths, 1e-300),
    }  # fmt: skip


def _newton(
    at: Callable[[Array, NDArray[np.bool_]], tuple[Array, ...]],
    x: Array,
    here: tuple[Array, ...],
    enough: Array,
    far: Array,
) -> tuple[Array, tuple[Array, ...]]:
    """Go down from x by damped Newton steps, each run until its gradient vanishes or it is far away.

    here: value, gradient and Hessian at x. Returns where the runs end, and these three there.
    """
    start = x
    damping = np.full(len(x), 1e-3)
    for _ in range(NEWTON_STEPS):
        value, slope, hessian = here
        steep = np.linalg.norm(slope, axis=1)
        open_ = (steep > enough) & (np.linalg.norm(x - start, axis=1) <= far) & (damping < MOST_DAMPING)
        open_ &= np.isfinite(hessian).all(axis=(1, 2))
        if not open_.any():
            break
        eigenvalues, vectors = np.linalg.eigh(np.where(open_[:, None, None], hessian, 0.0))
        slope, steep = np.where(open_[:, None], slope, 0.0), np.where(open_, steep, 0.0)
        scale = np.maximum(np.abs(eigenvalues).max(axis=1), steep)  # the slope's where all is flat
        lift = np.maximum(-eigenvalues[:, 0], 0.0) + damping * scale
        along = np.einsum("rij,ri->rj", vectors, slope)
        move = np.einsum("rij,rj->ri", vectors, along / np.maximum(eigenvalues + lift[:, None], 1e-300))
        size = np.linalg.norm(move, axis=1)
        stride = STRIDE * (1 + np.linalg.norm(x, axis=1))
        move *= np.minimum(1.0, np.where(open_, stride, 1.0) / np.maximum(size, 1e-300))[:, None]
        trial = np.where(open_[:, None], x - move, x)
        there = at(trial, open_)
        # Near a minimum the loss falls by less than its rounding long before the gradient is zero to its own.
        level = there[0] <= value + 4 * np.finfo(float).eps * np.abs(value)
        better = open_ & ((there[0] < value) | (level & (np.linalg.norm(there[1], axis=1) < steep)))
        damping = np.where(better, np.maximum(damping / 5, 1e-13), np.where(open_, damping * 4, damping))
        x = np.where(better[:, None], trial, x)
        here = tuple(
            np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(there, here, strict=True)
        )
    return x, here


def _sparse(slopes: Slopes) -> tuple[Array, dict[str, Array]]:
    """See the extreme eigenvalues where training ended, by Lanczos' method."""
    x = slopes.end
    value, slope = slopes.slope(x)
    runs, dim = x.shape
    steps = min(LANCZOS_STEPS, dim)
    start = np.random.default_rng(0).normal(size=(dim, 1))
    smallest, largest = np.full(runs, np.nan), np.full(runs, np.nan)
    for run in np.flatnonzero(np.isfinite(slope).all(axis=1)).tolist():
        try:
            values = krylov(slopes.product(run, x[run]), start, steps).ritz()[0]
        except np.linalg.LinAlgError:  # a Hessian that is not finite
            continue
        smallest[run], largest[run] = values[0], values[-1]
    # A Ritz value is never below the smallest eigenvalue, and above it by more than this share of the spectrum with
    # probability DOUBT at most (Kuczyński and Woźniakowski 1992, theorem 4.2); so too at the other end.
    missed = (math.log(1.648 * math.sqrt(dim) / DOUBT) / (2 * steps - 1)) ** 2 * (steps < dim)
    spread = missed * (largest - smallest)
    return x, {
        "ended": value, "limit": value, "slope_last": np.linalg.norm(slope, axis=1), "slope": slope,
        "smallest": smallest, "lower": smallest - spread, "next_smallest": smallest,
        "largest": largest, "upper": largest + spread, "next_largest": largest,
        "moved": np.zeros(runs), "grown": np.ones(runs),
    }  # fmt: skip
