"""Krawczyk's operator on many boxes at once: proofs that a box holds exactly one stationary point, or none.

For a box X with centre c, a point matrix Y ≈ H(c)⁻¹ and the Hessian's enclosure H(X),

    K(X) = c − Y ∇f(c) + (I − Y H(X)) (X − c).

Every root of ∇f in X lies in K(X); if K(X) ∩ X is empty there is none, and if K(X) lies in the interior of X there is
exactly one. Products of point matrices are computed in plain doubles; the error bounds that make them rigorous follow
Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.5.

Source: R. Krawczyk, Newton-Algorithmen zur Bestimmung von Nullstellen mit Fehlerschranken, Computing 4 (1969);
Neumaier, Interval Methods for Systems of Equations (1990), theorem 5.1.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from descentlab.certify.intervals import Array, Flags, Interval, down, up

# Added to every bound on x: products that underflow are smaller than this by far.
_GUARD = 1e-300


@dataclass(frozen=True)
class Image:
    """K(X) of n boxes: low, high (n, dim); NaN where Y or an enclosure is not finite."""

    low: Array
    high: Array


def krawczyk(
    centre: Array, low: Array, high: Array, slope: Interval, hessian: Interval, free: Flags
) -> Image:
    """Return K([low, high]) for boxes around `centre`, (n, dim), over the `free` coordinates.

    slope: ∇f enclosed at the centres (n, dim); hessian: H enclosed on the boxes (n, dim, dim). Coordinates that are
    not free stay as they are.
    """
    middle, radius = mid_rad(hessian)
    middle = np.where(free[:, :, None] & free[:, None, :], middle, np.eye(free.shape[1]))
    radius = np.where(free[:, :, None] & free[:, None, :], radius, 0.0)
    slope_middle, slope_radius = mid_rad(slope)
    slope_middle, slope_radius = np.where(free, slope_middle, 0.0), np.where(free, slope_radius, 0.0)
    inverse = inverted(middle)
    size = np.abs(inverse)
    d = free.shape[1]
    gamma = 2 * (d + 4) * 2.0**-52

    def times(matrix: Array, vector: Array) -> Array:
        return np.asarray(np.einsum("nij,nj->ni", matrix, vector))

    rest = np.abs(np.eye(d) - inverse @ middle)
    spread = (rest + size @ radius + gamma * (np.eye(d) + size @ np.abs(middle))) * (1 + gamma)
    reach = np.maximum(up(high - centre), up(centre - low))
    shift = times(inverse, slope_middle)
    error = times(size, slope_radius) + gamma * times(size, np.abs(slope_middle)) + times(spread, reach)
    error = error * (1 + gamma) + _GUARD
    target = centre - shift
    # centre − shift is rounded: half an ulp of the result.
    image_low, image_high = down(down(target) - error), up(up(target) + error)
    return Image(np.where(free, image_low, low), np.where(free, image_high, high))


def mid_rad(u: Interval) -> tuple[Array, Array]:
    """Return middles and radii that enclose u."""
    middle = np.asarray(0.5 * u.lo + 0.5 * u.hi)
    radius = np.maximum(up(u.hi - middle), up(middle - u.lo))
    return middle, np.asarray(radius)


def inverted(matrices: Array) -> Array:
    """Return approximate inverses (n, dim, dim); NaN for a matrix that is singular or not finite."""
    d = matrices.shape[-1]
    if d == 1:
        return np.where(matrices == 0, np.nan, 1 / matrices)
    if d == 2:
        a, b, c, e = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1]
        determinant = a * e - b * c
        inverse = np.empty_like(matrices)
        inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 0], inverse[:, 1, 1] = e, -b, -c, a
        return inverse / np.where(determinant == 0, np.nan, determinant)[:, None, None]
    inverse = np.full_like(matrices, np.nan)
    usable = np.asarray(np.isfinite(matrices).all(axis=(1, 2)))
    usable[usable] = np.linalg.det(matrices[usable]) != 0
    inverse[usable] = np.linalg.inv(matrices[usable])
    return inverse


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of n interval Hessians over free coordinates: low, high (n, dim), ascending, NaN-padded at the end.

    negative, positive: how many of them are proved to be, (n,); settled: whether all have a proved sign.
    """

    low: Array
    high: Array
    negative: Array
    positive: Array
    settled: Flags


def spectrum(hessian: Interval, free: Flags) -> Spectrum:
    """Enclose the eigenvalues of the Hessian over the free coordinates.

    With Q the eigenvectors of the middle, M = QᵀHQ is nearly diagonal. Discs around its diagonal (Gershgorin) that
    exclude zero prove the signs, since M and H have the same number of negative eigenvalues for any regular Q
    (Sylvester). With δ ≥ ‖QᵀQ − I‖ the eigenvalues differ by at most a factor 1 ± δ (Ostrowski).
    """
    n, d = free.shape
    both = free[:, :, None] & free[:, None, :]
    middle, radius = mid_rad(hessian)
    # A held coordinate gets an eigenvalue of its own above all others, cut off at the end.
    large = 4 * d * (1 + np.abs(np.where(both, middle, 0)).max(axis=(1, 2)))
    held = np.where(free, 0.0, large[:, None])[:, :, None] * np.eye(d)
    middle, radius = np.where(both, middle, held), np.where(both, radius, 0.0)
    finite = np.isfinite(middle).all(axis=(1, 2)) & np.isfinite(radius).all(axis=(1, 2))
    q = np.full((n, d, d), np.nan)
    q[finite] = np.linalg.eigh(middle[finite])[1]
    gamma = 4 * (d + 4) * 2.0**-52
    turned = np.swapaxes(q, 1, 2)
    size = np.abs(q)
    turned_size = np.abs(turned)
    m = turned @ middle @ q
    error = (turned_size @ (radius + gamma * np.abs(middle)) @ size) * (1 + gamma) + _GUARD
    diagonal = np.einsum("nii->ni", m)
    off = np.abs(m) * (1 - np.eye(d)) + error
    reach = off.sum(axis=2) * (1 + gamma)
    skew = (np.abs(turned @ q - np.eye(d)) + gamma * (turned_size @ size)).sum(axis=2).max(axis=1) * (
        1 + gamma
    )
    above, below = diagonal - reach > 0, diagonal + reach < 0
    regular = skew < 0.5
    count = free.sum(axis=1)
    positive = np.where(regular, (above & (np.arange(d) < count[:, None])).sum(axis=1), 0)
    negative = np.where(regular, below.sum(axis=1), 0)
    # Weyl: the k-th eigenvalue of M lies within the largest reach of the k-th diagonal entry.
    widest = np.where(np.arange(d) < count[:, None], reach, 0).max(axis=1, keepdims=True)
    ordered = np.sort(diagonal, axis=1)
    low, high = ordered - widest, ordered + widest
    stretch = (skew / (1 - skew))[:, None] * np.maximum(np.abs(low), np.abs(high)) * (1 + gamma)
    beyond = np.arange(d) >= count[:, None]
    low = np.where(beyond, np.nan, down(low - stretch))
    high = np.where(beyond, np.nan, up(high + stretch))
    return Spectrum(low, high, negative, positive, regular & (positive + negative == count))
