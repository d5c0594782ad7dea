"""The spherical p-spin model: a random polynomial of degree p on the sphere |σ|² = N."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.errors import InputError
from descentlab.random_landscapes.counts import check_whole
from descentlab.random_landscapes.landscape import Local, System, checked_points

Array = NDArray[np.float64]

# Couplings are held as one array of N^p numbers: 160 MB.
MOST_COUPLINGS = 20_000_000
# Kantorovich's ball is never wider than this on the unit sphere, so that one Lipschitz constant holds in it.
WIDEST = 1e-3
_EPS = float(np.finfo(np.float64).eps)


def p_spin(size: int, p: int = 3, seed: int = 0) -> PSpin:
    """Return one spherical p-spin landscape (Crisanti and Sommers 1992; Auffinger, Ben Arous and Černý 2013).

        H(σ) = N^(−(p−1)/2) Σ J_{i₁…i_p} σ_{i₁} ⋯ σ_{i_p},    |σ|² = N

    The N^p couplings are independent standard normal numbers, so H is Gaussian with mean 0 and covariance
    E H(σ)H(τ) = N (σ·τ/N)^p, and energies per N are of order one. The landscape is the polynomial with
    these couplings, averaged over the order of their indices, in double precision.

    size: N ≥ 2; p ≥ 2. Raises InputError for other numbers, or if the couplings need more than 160 MB.

    >>> landscape = p_spin(10, seed=1)
    >>> points = landscape.random_points(1000, seed=2)
    >>> bool(abs((landscape.value(points) / 10).std() - 10**-0.5) < 0.1)  # the standard deviation of an energy
    True
    """
    check_whole("The size", size, 2)
    check_whole("p", p, 2)
    check_whole("The seed", seed, 0)
    if size**p > MOST_COUPLINGS:
        raise InputError(
            f"{size}^{p} couplings are more than {MOST_COUPLINGS:,}. Take a size of at most "
            f"{int(MOST_COUPLINGS ** (1 / p))} at p = {p}."
        )
    drawn = np.random.default_rng(seed).standard_normal((size,) * p)
    couplings = np.zeros_like(drawn)
    for order in itertools.permutations(range(p)):
        couplings += drawn.transpose(order)
    couplings /= math.factorial(p) * math.sqrt(size)
    return PSpin(size, p, seed, couplings)


@dataclass(frozen=True, eq=False)
class PSpin:
    """One spherical p-spin landscape.

    size: N; p; seed; couplings: the symmetric tensor A (N, …, N), p times, with H/N = A[u, …, u] at
    u = σ/√N. Points are (…, N) and are scaled to |σ|² = N before anything is computed.
    """

    size: int
    p: int
    seed: int
    couplings: Array

    @property
    def dimension(self) -> int:
        """The dimension of the sphere, N − 1: the number of eigenvalues of a Hessian."""
        return self.size - 1

    @property
    def typical_slope(self) -> float:
        """The root mean square |∇H| at a fixed point, √(p(N−1))."""
        return math.sqrt(self.p * self.dimension)

    @property
    def euler(self) -> int:
        """Minima − saddles of index 1 + saddles of index 2 − …: the Euler characteristic of the sphere."""
        return 2 if self.dimension % 2 == 0 else 0

    @property
    def name(self) -> str:
        """What this is, in words."""
        return f"spherical {self.p}-spin model with N = {self.size}, seed {self.seed}"

    def value(self, points: ArrayLike) -> Array:
        """Return H(σ), (…, N) → (…). Raises InputError for points of another size, or 0."""
        return self.value_and_gradient(points)[0]

    def gradient(self, points: ArrayLike) -> Array:
        """Return the Riemannian gradient, (…, N) → (…, N): what of ∇H is tangent to the sphere."""
        return self.value_and_gradient(points)[1]

    def value_and_gradient(self, points: ArrayLike) -> tuple[Array, Array]:
        """Return both of these, for the price of one."""
        u = self._unit(points)
        first = self._contracted(u, 1)
        energy = np.einsum("...i,...i->...", first, u)
        tangent = first - energy[..., None] * u
        return self.size * energy, math.sqrt(self.size) * self.p * tangent

    def hessian(self, points: ArrayLike) -> Array:
        """Return the Riemannian Hessian in the basis `tangent_basis`, (…, N) → (…, N−1, N−1).

        It is QᵀMQ − (p H/N) I, with the second derivatives M of the polynomial and the basis Q.
        """
        u = self._unit(points)
        return self._local(u).hessian

    def tangent_basis(self, points: ArrayLike) -> Array:
        """Return an orthonormal basis of the tangent space at each point, (…, N) → (…, N, N−1)."""
        return tangent_basis(self._unit(points))

    def random_points(self, count: int, seed: int | Sequence[int] = 0) -> Array:
        """Return points uniform on the sphere, (count, N)."""
        check_whole("The number of points", count, 1)
        drawn = np.random.default_rng(seed).standard_normal((count, self.size))
        return self.placed(drawn)

    def placed(self, points: ArrayLike) -> Array:
        """Return the points (…, N) scaled to |σ|² = N. Raises InputError for points of another size, or 0."""
        return math.sqrt(self.size) * self._unit(points)

    def local(self, points: Array) -> Local:
        """Return gradient and Hessian in tangent coordinates, together; points (n, N) on the sphere."""
        return self._local(points / math.sqrt(self.size))

    def moved(self, points: Array, step: Array, at: Local) -> Array:
        """Return the points after a tangent step (n, N−1) from where `at` was taken, back on the sphere."""
        assert at.basis is not None
        return self.placed(points + np.einsum("nij,nj->ni", at.basis, step))

    def mirrored(self, points: Array) -> Array:
        """Return −σ, which is stationary if σ is: of opposite energy for odd p, of the same for even p."""
        return -points

    def system(self, points: Array) -> System:
        """Return what makes a point stationary as equations in (u, λ): p A[u, …, u, ·] = λu and |u|² = 1.

        Their Jacobian [[p(p−1) A[u, …, u, ·, ·] − λ, −u], [−uᵀ, 0]] is symmetric, with one negative
        eigenvalue more than the Riemannian Hessian. It changes by at most p(p−1)(p−2)‖A‖|u|^(p−3) + √2
        times the distance moved; ‖A‖ is at most the spectral norm of A as an N × N^(p−1) matrix.
        """
        n, p = self.size, self.p
        u = points / math.sqrt(n)
        second = self._contracted(u, 2)
        first = np.einsum("nij,nj->ni", second, u)
        level = p * np.einsum("ni,ni->n", first, u)
        residual = np.concatenate(
            [p * first - level[:, None] * u, (1 - (u * u).sum(1, keepdims=True)) / 2], 1
        )
        jacobian = np.zeros((len(u), n + 1, n + 1))
        jacobian[:, :n, :n] = p * (p - 1) * second - level[:, None, None] * np.eye(n)
        jacobian[:, :n, n] = jacobian[:, n, :n] = -u
        norm = self._norm()
        third = p * (p - 1) * (p - 2) * norm * (1 + WIDEST) ** max(p - 3, 0) + math.sqrt(2)
        # Fewer than p·N + 8 roundings follow each other, and |A|, the absolute values, has at most √N ‖A‖.
        unit = (p * n + 8) * _EPS
        noise = unit * (p * math.sqrt(n) * norm + np.abs(level) + 1)
        jacobian_noise = unit * (p * (p - 1) * math.sqrt(n) * norm + np.abs(level) + 1)
        lipschitz = np.full(len(u), third)
        return System(residual, jacobian, lipschitz, noise, jacobian_noise, 1, WIDEST, math.sqrt(n))

    def _local(self, u: Array) -> Local:
        second = self._contracted(u, 2)
        first = np.einsum("...ij,...j->...i", second, u)
        basis = tangent_basis(u)
        energy = np.einsum("...i,...i->...", first, u)
        transposed = basis.swapaxes(-1, -2)
        curved = self.p * (self.p - 1) * (transposed @ second @ basis)
        hessian = curved - self.p * energy[..., None, None] * np.eye(self.dimension)
        slope = math.sqrt(self.size) * self.p * np.einsum("...ij,...i->...j", basis, first)
        return Local(self.size * energy, slope, (hessian + hessian.swapaxes(-1, -2)) / 2, basis)

    def _contracted(self, u: Array, left: int) -> Array:
        """Return A[u, …, u, ·, …] with `left` open places, (…, N) → (…, N) or (…, N, N)."""
        if left == self.p:
            return np.broadcast_to(self.couplings, (*u.shape[:-1], *self.couplings.shape))
        flat = u.reshape(-1, self.size)
        rest = flat @ self.couplings.reshape(self.size, -1)
        for open_places in range(self.p - 2, left - 1, -1):
            rest = np.einsum("ni,nij->nj", flat, rest.reshape(len(flat), self.size, self.size**open_places))
        return rest.reshape(*u.shape[:-1], *(self.size,) * left)

    def _norm(self) -> float:
        """Return a bound on |A[u, …, v, w]| over unit vectors, with room for rounding."""
        unfolded = self.couplings.reshape(self.size, -1)
        return math.sqrt(float(np.linalg.eigvalsh(unfolded @ unfolded.T)[-1])) * (1 + 1e-9)

    def _unit(self, points: ArrayLike) -> Array:
        x = checked_points(points, self.size)
        if not (np.abs(x).max(axis=-1, initial=0.0) > 0).all():
            raise InputError("A point on the sphere is needed, but 0 has no direction.")
        return _normalized(x)


def tangent_basis(u: Array) -> Array:
    """Return orthonormal bases of what is orthogonal to unit vectors, (…, N) → (…, N, N−1).

    They are the other columns of the reflection that takes an axis to ±u (Householder).

    >>> tangent_basis(np.array([0.6, 0.8])).round(12)
    array([[-0.8],
           [ 0.6]])
    """
    mirror = u.copy()
    mirror[..., -1] += np.where(u[..., -1] < 0, -1.0, 1.0)  # the sign in which nothing cancels
    scale = 2 / (mirror * mirror).sum(axis=-1)[..., None, None]
    reflection = np.eye(u.shape[-1]) - scale * mirror[..., :, None] * mirror[..., None, :]
    return np.asarray(-reflection[..., :, :-1])


def _normalized(x: Array) -> Array:
    x = x / np.abs(x).max(axis=-1, keepdims=True)  # first, so that no square is too large or too small
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))
