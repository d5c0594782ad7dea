"""Lanczos: the ends of a symmetric matrix's spectrum, and its density, from products with vectors alone.

Plain NumPy: whatever multiplies a block of vectors by a symmetric matrix will do. Every new vector is
orthogonalized twice against all earlier ones, so no eigenvalue is found that is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from jaxtyping import Float

Array = NDArray[np.float64]
# Multiplies the columns of a block (dim, width) by the matrix.
Apply = Callable[[Array], Array]

# A new direction this short against the matrix's size is rounding: the space is invariant. Two
# orthogonalizations leave a few units in the sixteenth digit.
BROKEN = 1e-13
# A space has at most so many vectors, and so many numbers (2 GB) in them.
MOST_VECTORS, MOST_NUMBERS = 300, 250_000_000
# Between two looks at the Ritz values the space grows by this factor: each look costs size³.
GROWTH = 1.15


@dataclass(frozen=True, eq=False)
class Space:
    """A Krylov space of a symmetric matrix H: HV = VT + (what sticks out of the last block).

    basis V (dim, size), orthonormal; projected T = VᵀHV (size, size); coupling (·, width): for a vector
    Vs, ‖HVs − VTs‖ = ‖coupling · (the last `width` of s)‖; products: with how many vectors H was multiplied.
    """

    basis: Float[np.ndarray, "dim size"]
    projected: Float[np.ndarray, "size size"]
    coupling: Float[np.ndarray, "new width"]

    @property
    def products(self) -> int:
        return len(self.projected)

    def ritz(self) -> tuple[Array, Array, Array]:
        """Return the Ritz values, ascending, their vectors s (as columns) and residual norms."""
        values, vectors = np.linalg.eigh(self.projected)
        last = vectors[vectors.shape[0] - self.coupling.shape[1] :]
        return values, vectors, np.linalg.norm(self.coupling @ last, axis=0)


@dataclass(frozen=True, eq=False)
class Extremes:
    """Eigenvalues at both ends, each end from the outside in.

    Within errors[i] of values[i] there is an eigenvalue: the norm of Hv − λv for the unit vector v found.
    negative: how many eigenvalues are negative at least; size: |λ| of the largest seen.
    """

    smallest: Array
    smallest_errors: Array
    smallest_vectors: Float[np.ndarray, "dim low"]
    largest: Array
    largest_errors: Array
    largest_vectors: Float[np.ndarray, "dim high"]
    negative: int
    size: float
    products: int


def extremes(
    apply: Apply,
    dim: int,
    low: int,
    high: int,
    seed: int = 0,
    most: int = MOST_VECTORS,
    tolerance: float = 1e-8,
    rounding: float = 1e-12,
    near: Array | None = None,
) -> Extremes:
    """Return the `low` smallest and `high` largest eigenvalues by block Lanczos.

    The block is as wide as the longer end, so that an eigenvalue repeated that often is found that often,
    also where the space closes early. It stops when the errors are below `tolerance` × |λ| of the largest,
    or at `most` vectors. near: (dim,), a guess of an eigenvector.
    rounding: errors of the products against the matrix's size, added to every error. An error bounds the distance
    to *an* eigenvalue (Parlett 1998, theorem 4.5.1); that none lies further out is as good as certain
    for a random start, but not proved. The eigenvalues of T interlace those of H (Cauchy), so the negative
    ones among them are a lower bound of how many H has.

    >>> e = extremes(lambda block: np.arange(5.0)[:, None] * block, 5, low=2, high=1)
    >>> e.smallest.round(9) + 0, e.largest.round(9)
    (array([0., 1.]), array([4.]))
    """
    random = np.random.default_rng(seed)
    width = min(max(low, high), dim)
    most = max(low + high, min(most, MOST_NUMBERS // dim))
    start = random.normal(size=(dim, width))
    if near is not None:
        # The guess leads, but a random part remains: without it a new largest direction might be missed.
        start[:, 0] = near / np.linalg.norm(near) + 0.3 * start[:, 0] / np.linalg.norm(start[:, 0])

    def settled(space: Space) -> bool:
        values, _, errors = space.ritz()
        outer = np.concatenate([errors[:low], errors[len(errors) - high :]])
        return len(values) >= low + high and bool((outer <= tolerance * np.abs(values).max()).all())

    space = krylov(apply, start, most, settled)
    values, vectors, _ = space.ritz()
    low, high = min(low, len(values)), min(high, len(values))
    size = float(np.abs(values).max())
    chosen = np.concatenate([np.arange(low), np.arange(len(values) - 1, len(values) - 1 - high, -1)])
    found = space.basis @ vectors[:, chosen]
    # The residuals anew, from the vectors themselves: the bound then leans on nothing but these products.
    errors = np.linalg.norm(apply(found) - found * values[chosen], axis=0) + rounding * size
    return Extremes(
        values[chosen[:low]],
        errors[:low],
        found[:, :low],
        values[chosen[low:]],
        errors[low:],
        found[:, low:],
        int((values < -rounding * size).sum()),
        size,
        space.products + len(chosen),
    )


def quadrature(apply: Apply, dim: int, probes: int, depth: int, seed: int = 0) -> tuple[Array, Array]:
    """Return nodes and weights (probe, depth) of stochastic Lanczos quadrature (Ghorbani et al. 2019).

    A random vector v of signs, v/√dim, sees the spectrum as Σ (vᵀuᵢ)²/dim at λᵢ, on average 1/dim at each.
    `depth` Lanczos steps give the Gauss rule of that measure: exact for polynomials of degree
    2·depth − 1. The weights of a probe sum to one; nodes not needed have weight zero.

    >>> nodes, weights = quadrature(lambda block: np.arange(4.0)[:, None] * block, 4, probes=3, depth=4)
    >>> (nodes * weights).sum(axis=1).round(9)
    array([1.5, 1.5, 1.5])
    """
    random = np.random.default_rng(seed)
    depth = min(depth, dim)
    nodes, weights = np.zeros((probes, depth)), np.zeros((probes, depth))
    for probe in range(probes):
        start = random.choice([-1.0, 1.0], size=(dim, 1))
        values, vectors, _ = krylov(apply, start, depth).ritz()
        nodes[probe, : len(values)] = values
        weights[probe, : len(values)] = vectors[0] ** 2
    return nodes, weights


def krylov(
    apply: Apply,
    start: Float[np.ndarray, "dim width"],
    most: int,
    settled: Callable[[Space], bool] | None = None,
) -> Space:
    """Return the Krylov space of `start`, grown until it is `settled`, closes, or has `most` vectors."""
    dim = start.shape[0]
    most = min(max(most, start.shape[1]), dim)
    basis = np.zeros((dim, most), order="F")
    projected = np.zeros((most, most))
    block, size, look = np.linalg.qr(start)[0], 0, 0
    while True:
        width = block.shape[1]
        basis[:, size : size + width] = block
        size += width
        rest, projections = _outside(basis[:, :size], apply(block))
        projected[:size, size - width : size] = projections
        projected[size - width : size, :size] = projections.T
        scale = float(np.linalg.norm(projected[:size, :size], axis=0).max())
        left, lengths, right = np.linalg.svd(rest, full_matrices=False)
        kept = lengths > BROKEN * scale
        space = Space(basis[:, :size], projected[:size, :size], lengths[:, None] * right)
        if size >= look:
            look = int(GROWTH * size) + 1
            if settled is not None and settled(space):
                return space
        block = left[:, kept][:, : most - size]
        if not block.shape[1]:
            return space
        # What is left after subtracting nearly all of a vector is no longer orthogonal: once more, which
        # is enough (Parlett 1998, section 6.9).
        block = np.linalg.qr(_outside(basis[:, :size], block)[0])[0]


def _outside(basis: Array, block: Array) -> tuple[Array, Array]:
    """Return the part of the block outside the span of the basis, and the projections of the rest."""
    projections = basis.T @ block
    return block - basis @ projections, projections
