"""How each run ended, by second order: at a minimum, a saddle point, on flat ground, stalling towards infinity.

A loss alone never calls a run a minimum. From where training ended, damped Newton steps in double precision go
on; what they find, and how far away, tells what training had reached. Networks of more than MOST_DENSE weights are
not polished: for them the gradient and the extreme eigenvalues that Lanczos' method finds decide.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.models.problem import Problem, Weights

if TYPE_CHECKING:
    from descentlab.models.ensemble import Ensemble

Array = NDArray[np.float64]

ENDINGS = {
    "minimum": "the gradient vanishes and every Hessian eigenvalue is positive",
    "saddle": "the gradient vanishes and a Hessian eigenvalue is negative",
    "flat": "the gradient vanishes and the smallest Hessian eigenvalue is zero to rounding",
    "stalling": "the loss creeps on while the weights grow: no finite minimum is near",
    "not_converged": "the loss can still fall from here",
    "diverged": "the weights or the loss stopped being finite numbers",
}

# A Hessian of so many rows is computed whole, for every run.
MOST_DENSE = 150
NEWTON_STEPS, MOST_DAMPING = 200, 1e6
# Small models are followed this many times as far as they are from the origin, many at a time, to see what they
# creep towards; larger ones only as far as a root counts as near.
SMALL, FAR, TOGETHER = 30, 10.0, 64
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
# The weights have grown if they are this many times as long in the end.
GROWN = 1.5
# They grow while training if the second half makes them this many times as long.
LONGER = 1.05
# Between one Newton step and the next an eigenvalue changes by no more than this share near a root where it is not
# zero. Near a root where it is, it falls to 1/2 (order 3), 4/9 (order 4) or less of what it was.
STEADY = 0.25
# What Lanczos' method cannot have missed: with this certainty, from a random first vector.
DOUBT = 1e-3
# A run creeps if no more than this share of what the loss had fallen is left to fall.
CREEP = 0.05


@dataclass(frozen=True)
class Endings:
    """What became of every run.

    outcomes (run,): keys of ENDINGS; limits (run,): the loss that Newton's method went on to, the final loss
    where it was not asked; slopes (run,): the gradient norm at the end of training; smallest, largest (run,):
    Hessian eigenvalues where Newton's method ended; moved, grown (run,): how far that is from the end of
    training, and how long the weights are there, both against their length at the end of training.
    """

    outcomes: NDArray[np.str_]
    limits: Array
    slopes: Array
    smallest: Array
    largest: Array
    moved: Array
    grown: Array


def judge_runs(e: Ensemble, first: Weights) -> Endings:
    """Judge the runs of an ensemble; first: the weights they began with, (run, …)."""
    import jax

    problem = e.problem
    data = None if e.data is None else e.data.cast(np.float64)
    inputs, targets = (None, None) if data is None else (data.inputs, data.targets)
    double = [
        {name: np.asarray(value, np.float64) for name, value in weights.items()}
        for weights in (first, e.weights)
    ]
    look = _dense(problem) if problem.size <= MOST_DENSE else _sparse(problem)

    def some(first: int) -> dict[str, Array]:
        """Look at TOGETHER runs; the last ones are padded."""
        at = np.minimum(np.arange(first, first + TOGETHER), e.runs - 1)
        begin, end = ({name: value[at] for name, value in weights.items()} for weights in double)
        with jax.enable_x64(True):
            seen = look(begin, end, inputs, targets)
        return {name: np.asarray(value)[: e.runs - first] for name, value in seen.items()}

    # One after the other: two threads in JAX's eigh at once wait for each other for ever.
    parts = [some(first) for first in range(0, e.runs, TOGETHER)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    with np.errstate(invalid="ignore"):  # a run that diverged has no losses to compare
        drop, left = found["begun"] - found["ended"], found["ended"] - found["limit"]
    vanished = found["slope_there"] <= VANISHED * np.maximum(found["slope_first"], LEAST_SLOPE)
    size = np.maximum(np.abs(found["largest"]), np.abs(found["smallest"]))
    steady = np.abs(found["next"] - found["smallest"]) <= STEADY * np.abs(found["smallest"])
    curved = np.select(
        [steady & (found["lower"] > FLAT * size), steady & (found["smallest"] < -FLAT * size)],
        ["minimum", "saddle"],
        "flat",
    )
    little = left <= CREEP * np.abs(drop)
    here = vanished & (found["moved"] <= NEAR) & little
    # What stalls has no finite minimum to go to.
    endless = ~(vanished & (curved == "minimum"))
    creeps = (found["grown"] >= GROWN) & little
    outcomes = np.select(
        [e.diverged, here, endless & (creeps | _stalled(e))],
        ["diverged", curved, "stalling"],
        "not_converged",
    )
    return Endings(
        outcomes,
        found["limit"],
        found["slope_last"],
        found["smallest"],
        found["largest"],
        found["moved"],
        found["grown"],
    )


def _stalled(e: Ensemble) -> NDArray[np.bool_]:
    """Tell where the weights grew over the second half of training while the loss hardly fell."""
    half = int(np.searchsorted(e.recorded, e.steps / 2))
    with np.errstate(invalid="ignore"):
        fell = e.losses[:, half] - e.losses[:, -1]
        creeps = (fell <= CREEP * (e.losses[:, 0] - e.losses[:, -1])) & (fell > 0)
    return np.asarray(creeps & (e.lengths[:, -1] >= LONGER * e.lengths[:, half]))


def _flat(problem: Problem, weights: Any) -> tuple[Any, Any]:
    """Return the trained weights of one run as one vector, and the way back to all of them."""
    from jax.flatten_util import ravel_pytree

    frozen = {name: value for name, value in weights.items() if name not in problem.trained}
    vector, back = ravel_pytree({name: weights[name] for name in problem.trained})
    return vector, lambda w: {**back(w), **frozen}


@functools.lru_cache(16)
def _dense(problem: Problem) -> Any:
    """Return what looks at runs: Newton's method in NumPy, on derivatives by JAX.

    XLA's own eigh waits inside for threads of the pool it runs on: two programs with it at once wait for ever.
    """
    import jax

    assert problem.loss is not None
    loss = problem.loss
    is_small = problem.size <= SMALL

    def derivatives(x: Any, weights: Any, inputs: Any, targets: Any) -> Any:
        _, whole = _flat(problem, weights)

        def f(w: Any) -> Any:
            return loss(whole(w), inputs, targets, None)

        return f(x), jax.grad(f)(x), jax.hessian(f)(x)

    vectors = jax.jit(jax.vmap(lambda weights: _flat(problem, weights)[0]))
    batch = _over_runs(derivatives, TOGETHER if is_small else 1)
    first_look = jax.jit(
        jax.vmap(
            lambda x, weights, inputs, targets: jax.value_and_grad(
                lambda w: loss(_flat(problem, weights)[1](w), inputs, targets, None)
            )(x),
            in_axes=(0, 0, None, None),
        )
    )

    def look(first: Weights, last: Weights, inputs: Any, targets: Any) -> dict[str, Array]:
        begin, end = np.asarray(vectors(first)), np.asarray(vectors(last))
        begun, slope = map(np.asarray, first_look(begin, first, inputs, targets))
        slope_first = np.linalg.norm(slope, axis=1)

        def at(x: Array) -> tuple[Array, ...]:
            return tuple(np.asarray(part) for part in batch(x, last, inputs, targets))

        enough = VANISHED * np.maximum(slope_first, LEAST_SLOPE)
        with np.errstate(over="ignore"):
            length = np.maximum(np.linalg.norm(end, axis=1), np.linalg.norm(begin, axis=1))
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # runs that diverged are looked at too, for nothing
            found = _newton(at, end, enough, (FAR if is_small else NEAR) * length)
            moved = np.linalg.norm(found.pop("x") - end, axis=1)
            return {
                **found, "begun": begun, "slope_first": slope_first,
                "moved": moved / np.maximum(length, 1e-300),
                "grown": found["length"] / np.maximum(np.linalg.norm(end, axis=1), 1e-300),
            }  # fmt: skip

    return look


def _newton(at: Any, x: Array, enough: Array, far: Array) -> dict[str, Array]:
    """Go down from x by damped Newton steps, each run until its gradient vanishes or it is far away."""
    start, here = x, at(x)
    ended, slope_last = here[0], np.linalg.norm(here[1], axis=1)
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
        there = at(trial)
        # Near a minimum the loss falls by less than its rounding long before the gradient is zero to its own.
        level = there[0] <= value + 4 * np.finfo(float).eps * np.abs(value)
        better = open_ & ((there[0] < value) | (level & (np.linalg.norm(there[1], axis=1) < steep)))
        damping = np.where(better, np.maximum(damping / 5, 1e-13), np.where(open_, damping * 4, damping))
        x = np.where(better[:, None], trial, x)
        here = tuple(
            np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(there, here, strict=True)
        )
    value, slope, hessian = here
    known = np.isfinite(hessian).all(axis=(1, 2))
    eigenvalues, vectors = np.linalg.eigh(np.where(known[:, None, None], hessian, 0.0))
    sizes = np.abs(eigenvalues).max(axis=1, keepdims=True)
    inverse = np.where(
        np.abs(eigenvalues) > FLAT * sizes, 1 / np.where(eigenvalues == 0, 1.0, eigenvalues), 0.0
    )
    slope_here = np.where(known[:, None] & np.isfinite(slope), slope, 0.0)
    move = np.einsum("rij,rj->ri", vectors, inverse * np.einsum("rij,ri->rj", vectors, slope_here))
    nearer = at(x - move)[2]
    following = np.linalg.eigvalsh(
        np.where(np.isfinite(nearer).all(axis=(1, 2))[:, None, None], nearer, 0.0)
    )[:, 0]
    smallest, largest = (np.where(known, eigenvalues[:, i], np.nan) for i in (0, -1))
    return {
        "x": x, "ended": ended, "limit": value, "slope_last": slope_last, "slope_there": np.linalg.norm(slope, axis=1),
        "smallest": smallest, "lower": smallest, "next": following, "largest": largest,
        "length": np.linalg.norm(x, axis=1),
    }  # fmt: skip


def _over_runs(one: Any, together: int) -> Any:
    """Compile `one` for TOGETHER runs, so many of them at a time."""
    import jax

    def every(first: Any, last: Any, inputs: Any, targets: Any) -> Any:
        return jax.lax.map(lambda pair: one(*pair, inputs, targets), (first, last), batch_size=together)

    return jax.jit(every)


LANCZOS_STEPS = 60


@functools.lru_cache(16)
def _sparse(problem: Problem) -> Any:
    """Look at the gradient and the extreme eigenvalues, by Lanczos' method, where training ended."""
    import jax
    import jax.numpy as jnp

    assert problem.loss is not None
    loss = problem.loss

    def one(first: Any, last: Any, inputs: Any, targets: Any) -> Any:
        begin, _ = _flat(problem, first)
        end, whole = _flat(problem, last)

        def f(w: Any) -> Any:
            return loss(whole(w), inputs, targets, None)

        slope = jax.grad(f)

        def times(v: Any) -> Any:
            return jax.jvp(slope, (end,), (v,))[1]

        steps = min(LANCZOS_STEPS, len(end))
        start = jax.random.normal(jax.random.key(0), end.shape, end.dtype)

        def grow(k: Any, now: Any) -> Any:
            basis, diagonal, beside, v = now
            basis = basis.at[k].set(v)
            u = times(v)
            diagonal = diagonal.at[k].set(u @ v)
            for _ in range(2):  # orthogonal to all before, to rounding
                u = u - basis.T @ (basis @ u)
            size = jnp.linalg.norm(u)
            # All of the space that the first vector spans is found: what is left of u is rounding.
            whole = size <= 1e-10 * jnp.abs(diagonal).max()
            return (
                basis,
                diagonal,
                beside.at[k].set(jnp.where(whole, 0.0, size)),
                jnp.where(whole, 0.0, u / size),
            )

        zero = jnp.zeros((steps, len(end)), end.dtype)
        _, diagonal, beside, _ = jax.lax.fori_loop(
            0, steps, grow, (zero, zero[:, 0], zero[:, 0], start / jnp.linalg.norm(start))
        )
        used = jnp.cumprod(jnp.concatenate([jnp.ones(1), (beside[:-1] > 0) * 1.0]))
        diagonal = jnp.where(used > 0, diagonal, diagonal[0])  # a value inside the spectrum
        beside = jnp.where(used > 0, beside, 0.0)
        small = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
        eigenvalues = jnp.linalg.eigvalsh(small)
        at_end = jnp.linalg.norm(slope(end))
        # A Ritz value is never below the smallest eigenvalue, and above it by more than this share of the spectrum with
        # probability DOUBT at most (Kuczyński and Woźniakowski 1992, theorem 4.2).
        missed = (jnp.log(1.648 * math.sqrt(len(end)) / DOUBT) / (2 * steps - 1)) ** 2
        missed = jnp.where(steps == len(end), 0.0, missed)
        return {
            "begun": f(begin), "ended": f(end), "limit": f(end),
            "slope_first": jnp.linalg.norm(slope(begin)), "slope_last": at_end, "slope_there": at_end,
            "smallest": eigenvalues[0], "largest": eigenvalues[-1], "next": eigenvalues[0],
            "lower": eigenvalues[0] - missed * (eigenvalues[-1] - eigenvalues[0]),
            "moved": jnp.zeros(()), "grown": jnp.ones(()),
        }  # fmt: skip

    return _over_runs(one, 1)
