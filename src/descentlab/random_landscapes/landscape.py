"""What the search for stationary points asks of a random landscape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Local:
    """What a landscape looks like at n points.

    values (n,); slope (n, d) and hessian (n, d, d), in coordinates of the tangent space; basis (n, N, d) of
    that space, None where it is everything.
    """

    values: Array
    slope: Array
    hessian: Array
    basis: Array | None

    def at(self, keep: NDArray[np.bool_]) -> Local:
        """Return the same at some of the points."""
        basis = None if self.basis is None else self.basis[keep]
        return Local(self.values[keep], self.slope[keep], self.hessian[keep], basis)

    def replaced(self, where: NDArray[np.bool_], new: Local) -> Local:
        """Return the same with what is new at some of the points."""
        basis = None
        if self.basis is not None and new.basis is not None:
            basis = np.where(where[:, None, None], new.basis, self.basis)
        return Local(
            np.where(where, new.values, self.values),
            np.where(where[:, None], new.slope, self.slope),
            np.where(where[:, None, None], new.hessian, self.hessian),
            basis,
        )


@dataclass(frozen=True)
class System:
    """The equations F = 0 of a stationary point at n points, for Kantorovich's theorem.

    residual: F (n, m); jacobian: symmetric (n, m, m); lipschitz (n,): by how much, in norm, the Jacobian
    changes over a distance of 1, within `widest` of the point; noise, jacobian_noise (n,): bounds on the
    rounding errors of F and of the Jacobian, in norm; extra: how many negative eigenvalues the Jacobian has
    beside those of the Hessian; unit: what a distance of 1 here is among points.
    """

    residual: Array
    jacobian: Array
    lipschitz: Array
    noise: Array
    jacobian_noise: Array
    extra: int
    widest: float
    unit: float


class Landscape(Protocol):
    """A smooth random function on a sphere or on all of space."""

    @property
    def size(self) -> int:
        """How many coordinates a point has, N."""

    @property
    def dimension(self) -> int:
        """How many directions there are to go from a point, d."""

    @property
    def typical_slope(self) -> float:
        """The size of a gradient, to measure small ones by."""

    @property
    def euler(self) -> int:
        """What Σ (−1)^index over all stationary points is, by Morse's theorem."""

    @property
    def name(self) -> str:
        """What this is, in words."""

    def value(self, points: ArrayLike) -> Array:
        """Return the values, (…, N) → (…)."""

    def gradient(self, points: ArrayLike) -> Array:
        """Return the gradients, (…, N) → (…, N)."""

    def hessian(self, points: ArrayLike) -> Array:
        """Return the Hessians, (…, N) → (…, d, d)."""

    def random_points(self, count: int, seed: int | Sequence[int] = 0) -> Array:
        """Return random points where stationary points may lie, (count, N)."""

    def placed(self, points: ArrayLike) -> Array:
        """Return points (…, N) of the user's as points of the landscape."""

    def local(self, points: Array) -> Local:
        """Return gradient and Hessian in tangent coordinates, together."""

    def moved(self, points: Array, step: Array, at: Local) -> Array:
        """Return the points after a step in tangent coordinates."""

    def mirrored(self, points: Array) -> Array | None:
        """Return the mirror images that are stationary where the points are, None without a symmetry."""

    def system(self, points: Array) -> System:
        """Return the equations of a stationary point."""


def checked_points(points: ArrayLike, size: int) -> Array:
    """Return points as an array (…, size); raise InputError for other shapes and what is not finite."""
    x = np.asarray(points, float)
    if x.ndim < 1 or x.shape[-1] != size:
        raise InputError(f"A point has {size} coordinates, but an array of shape {x.shape} was given.")
    if not np.isfinite(x).all():
        raise InputError("A coordinate of a point is not finite. Give numbers.")
    return x
