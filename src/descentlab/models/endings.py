"""How each run ended, by second order: at a minimum, a saddle point, on flat ground, stalling towards infinity.

A loss alone never calls a run a minimum. From where training ended, damped Newton steps in double precision go
on; what they find, and how far away, tells what training had reached. Networks of more than MOST_DENSE weights are
not polished: for them the gradient and the extreme eigenvalues that Lanczos' method finds decide.
"""

from __future__ import annotations

import functools
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
    curved = np.select(
        [found["smallest"] > FLAT * size, found["smallest"] < -FLAT * size], ["minimum", "saddle"], "flat"
    )
    here = vanished & (found["moved"] <= NEAR)
    creeps = (found["grown"] >= GROWN) & (left <= CREEP * np.abs(drop))
    outcomes = np.select(
        [e.diverged, here, creeps | _stalled(e)], ["diverged", curved, "stalling"], "not_converged"
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
    import jax
    import jax.numpy as jnp

    assert problem.loss is not None
    loss = problem.loss
    is_small = problem.size <= SMALL
    far = FAR if is_small else NEAR

    def one(first: Any, last: Any, inputs: Any, targets: Any) -> Any:
        begin, _ = _flat(problem, first)
        end, whole = _flat(problem, last)

        def f(w: Any) -> Any:
            return loss(whole(w), inputs, targets, None)

        slope, hessian = jax.grad(f), jax.hessian(f)

        length, enough = (
            jnp.linalg.norm(end),
            VANISHED * jnp.maximum(jnp.linalg.norm(slope(begin)), LEAST_SLOPE),
        )

        def goes_on(now: Any) -> Any:
            w, _, damping, k, g = now
            near = jnp.linalg.norm(w - end) <= far * length
            return near & (k < NEWTON_STEPS) & (jnp.linalg.norm(g) > enough) & (damping < MOST_DAMPING)

        def step(now: Any) -> Any:
            """Take one damped Newton step, if it goes down; else only damp more."""
            w, value, damping, k, g = now
            eigenvalues, vectors = jnp.linalg.eigh(hessian(w))
            lift = jnp.maximum(-eigenvalues[0], 0.0) + damping
            move = vectors @ ((vectors.T @ g) / (eigenvalues + lift))
            move = move * jnp.minimum(1.0, STRIDE * (1 + jnp.linalg.norm(w)) / jnp.linalg.norm(move))
            there = f(w - move)
            better = there < value
            damping = jnp.where(better, jnp.maximum(damping / 5, 1e-13), damping * 4)
            w, value = jnp.where(better, w - move, w), jnp.where(better, there, value)
            return w, value, damping, k + 1, slope(w)

        begun = (end, f(end), jnp.asarray(1e-3), 0, slope(end))
        w, limit, *_ = jax.lax.while_loop(goes_on, step, begun)
        eigenvalues = jnp.linalg.eigvalsh(hessian(w))
        return {
            "begun": f(begin), "ended": f(end), "limit": limit,
            "slope_first": jnp.linalg.norm(slope(begin)), "slope_last": jnp.linalg.norm(slope(end)),
            "slope_there": jnp.linalg.norm(slope(w)),
            "smallest": eigenvalues[0], "largest": eigenvalues[-1],
            "moved": jnp.linalg.norm(w - end) / length, "grown": jnp.linalg.norm(w) / length,
        }  # fmt: skip

    return _over_runs(one, TOGETHER if is_small else 1)


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
            return basis, diagonal, beside.at[k].set(size), u / jnp.maximum(size, 1e-300)

        zero = jnp.zeros((steps, len(end)), end.dtype)
        _, diagonal, beside, _ = jax.lax.fori_loop(
            0, steps, grow, (zero, zero[:, 0], zero[:, 0], start / jnp.linalg.norm(start))
        )
        small = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
        eigenvalues = jnp.linalg.eigvalsh(small)
        at_end = jnp.linalg.norm(slope(end))
        return {
            "begun": f(begin), "ended": f(end), "limit": f(end),
            "slope_first": jnp.linalg.norm(slope(begin)), "slope_last": at_end, "slope_there": at_end,
            "smallest": eigenvalues[0], "largest": eigenvalues[-1],
            "moved": jnp.zeros(()), "grown": jnp.ones(()),
        }  # fmt: skip

    return _over_runs(one, 1)
