"""Polish: from near a stationary point of a loss to it, as exactly as double precision allows, with its curvature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError

Array = NDArray[np.float64]

# A gradient below this is zero for certain purposes: sums of a few hundred terms of size 1 round to some 1e-15.
VANISHED = 1e-12
# An eigenvalue this small against the largest may be zero. Hessians carry 16 digits, and those of kernels with sin θ in
# a denominator half of them (see `references`).
FLAT = 1e-7
# Damping never falls below this share of the largest eigenvalue, squared: smaller eigenvalues are not inverted.
LEAST_DAMPING = 1e-16
MOST_DAMPING = 1e16


@dataclass(frozen=True)
class Polished:
    """Points after polishing. weights: by name, (point, …); losses, slopes (point,): the loss and the gradient norm;
    smallest, largest (point,): the extreme Hessian eigenvalues; negative (point,): how many are negative; moved
    (point,): the distance from the point given."""

    weights: dict[str, Array]
    losses: Array
    slopes: Array
    smallest: Array
    largest: Array
    negative: NDArray[np.int64]
    moved: Array

    @property
    def is_stationary(self) -> NDArray[np.bool_]:
        """Where the gradient norm is below 1e-12."""
        return np.asarray(self.slopes < VANISHED)

    @property
    def is_minimum(self) -> NDArray[np.bool_]:
        """Where, besides, every Hessian eigenvalue is positive by more than rounding."""
        return np.asarray(self.is_stationary & (self.smallest > FLAT * np.abs(self.largest)))

    @property
    def is_saddle(self) -> NDArray[np.bool_]:
        """Where, besides, a Hessian eigenvalue is negative by more than rounding, and another positive."""
        size = np.maximum(np.abs(self.largest), np.abs(self.smallest))
        return np.asarray(self.is_stationary & (self.smallest < -FLAT * size) & (self.largest > FLAT * size))


def polish(loss: Callable[[Any], Any], weights: dict[str, Any], steps: int = 200) -> Polished:
    """Solve ∇f = 0 from these points by Newton's method on the exact Hessian, in double precision.

        x ← x − H (H² + μI)⁻¹ ∇f

    This is Levenberg and Marquardt's damping of Newton's method: the gradient norm falls with every step that is taken,
    μ with it, and zero eigenvalues, which come with continuous symmetries, do no harm. It finds stationary points of
    every kind: from where descent has converged, the one there; from anywhere else, saddle points too.

    loss: a JAX function of one point's weights; weights: by name, (point, …), such as an ensemble's; steps: how many at
    most. Sources: Nocedal and Wright, Numerical Optimization, 2006, chapters 10 and 11. Raises InputError unless the
    arrays have one number of points.

    >>> found = polish(lambda w: (w["x"] ** 2 - 1) ** 2, {"x": np.array([0.1, 0.9, 2.0])})
    >>> np.abs(found.weights["x"]).round(12).tolist(), found.is_minimum.tolist()
    ([0.0, 1.0, 1.0], [False, True, True])
    """
    import jax
    from jax.flatten_util import ravel_pytree

    double = {name: np.asarray(values, np.float64) for name, values in weights.items()}
    counts = {np.shape(values)[:1] for values in double.values()}
    if len(counts) != 1 or counts == {()}:
        raise InputError(
            "Every array of the weights has the points as its first axis, the same number in each."
        )
    with jax.enable_x64(True):
        _, back = ravel_pytree({name: values[0] for name, values in double.items()})
        flat = np.asarray(jax.vmap(lambda w: ravel_pytree(w)[0])(double))

        def f(x: Any) -> Any:
            return loss(back(x))

        at = jax.jit(jax.vmap(lambda x: (f(x), jax.grad(f)(x), jax.hessian(f)(x))))
        x, (value, slope, hessian) = _newton(lambda x: tuple(np.asarray(part) for part in at(x)), flat, steps)
        found = {name: np.asarray(values) for name, values in jax.vmap(lambda point: back(point))(x).items()}
    eigenvalues = np.asarray(np.linalg.eigvalsh(hessian), np.float64)
    slopes, moved = (np.asarray(np.linalg.norm(step, axis=1), np.float64) for step in (slope, x - flat))
    size = np.abs(eigenvalues).max(axis=1, keepdims=True)
    return Polished(
        found,
        value,
        slopes,
        eigenvalues[:, 0],
        eigenvalues[:, -1],
        (eigenvalues < -FLAT * size).sum(axis=1),
        moved,
    )


def _newton(
    look: Callable[[Array], tuple[Array, ...]], x: Array, steps: int
) -> tuple[Array, tuple[Array, ...]]:
    """Return the points with the smallest gradients found, and value, gradient and Hessian there."""
    here = look(x)
    damping = np.full(len(x), 1e-4)
    for _ in range(steps):
        _, slope, hessian = here
        if ((np.linalg.norm(slope, axis=1) < VANISHED / 10) | (damping > MOST_DAMPING)).all():
            break
        eigenvalues, vectors = np.linalg.eigh(hessian)
        scale = (eigenvalues**2).max(axis=1)
        lift = (np.maximum(damping, LEAST_DAMPING) * scale)[:, None]
        along = np.einsum("pji,pj->pi", vectors, slope)
        factors = eigenvalues / np.maximum(eigenvalues**2 + lift, np.finfo(float).tiny)
        trial = x - np.einsum("pij,pj->pi", vectors, factors * along)
        there = look(trial)
        better = np.linalg.norm(there[1], axis=1) < np.linalg.norm(slope, axis=1)
        x = np.where(better[:, None], trial, x)
        here = tuple(
            np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(there, here, strict=True)
        )
        damping = np.where(better, damping / 10, damping * 10)
    return x, here
