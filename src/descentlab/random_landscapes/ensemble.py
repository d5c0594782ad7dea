"""Eigenvalues of the Gaussian orthogonal ensemble, one by one: exactly by Pfaffians, or by sampling.

A matrix of the ensemble is symmetric with independent normal entries, of variance 1 on the diagonal and
1/2 off it, so that its eigenvalues x₀ ≤ … ≤ xₙ₋₁ have the density ∝ ∏|xᵢ − xⱼ| exp(−Σ xᵢ²/2) and fill
[−√(2n), √(2n)]. Every expected number of stationary points here is a Gaussian weight of one of them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import WorkError

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

# Probabilities below this are rounding: the Pfaffians carry 13 digits. What is cut off weighs little, for the
# chance that an eigenvalue strays from its place falls off faster than a weight grows, unless the weight is
# steep. How much it weighs is told by cutting at ten times this too.
ROUNDED = 1e-12
# A count is given to four digits or not at all; at p = 3 and sizes up to 80 it has seven.
RESOLVED = 1e-4
# Numbers of sampled matrices held at once.
MOST_TOGETHER = 2_000_000


def exact_weights(size: int, sharpness: float, centre: float) -> Array:
    """Return E exp(−a(xₖ − b)²) for every eigenvalue k of a size × size matrix, (size,).

    With w the weight and Sₖ(t) = P(xₖ > t) it is w(−R) + ∫ w′(t) Sₖ(t) dt over [−R, R], or the same from
    the other end; the one in which less cancels is taken. It takes 0.1 s at size 40, 1.4 s at 80.

    sharpness: a ≥ 0; centre: b. Raises WorkError where the weight of the lowest eigenvalue or the sum of
    all is not resolved to four digits.

    >>> exact_weights(1, 0.5, 0.0).round(12)  # 1/√2, for a standard normal number
    array([0.70710678])
    >>> exact_weights(3, 0.0, 0.0).round(12)
    array([1., 1., 1.])
    """
    t, weights, edge = _nodes(size)

    def weight(x: Array | float) -> Array:
        return np.exp(-sharpness * (np.asarray(x) - centre) ** 2)

    slope = -2 * sharpness * (t - centre) * weight(t) * weights
    chances = _chances_below(size, t, edge)
    fine, coarse = (
        _summed(np.where(chances > cut, chances, 0.0), slope, float(weight(-edge)), float(weight(edge)))
        for cut in (ROUNDED, 10 * ROUNDED)
    )
    for exact, cut in ((fine[0], coarse[0]), (fine.sum(), coarse.sum())):
        if not abs(exact - cut) <= RESOLVED * exact:
            raise WorkError(
                f"Floating point does not resolve these counts at size {size}: they rest on chances below "
                f"{ROUNDED:g}. Take a smaller size, or give samples=, how many matrices to sample."
            )
    return fine


def _summed(chances: Array, slope: Array, left: float, right: float) -> Array:
    """Return w(−R) + ∫ w′ P(xₖ > t) dt, or w(R) − ∫ w′ P(xₖ ≤ t) dt, whichever adds up smaller terms."""
    above = np.cumsum(chances, axis=1)[:, :-1]  # at most k eigenvalues lie below t
    below = np.cumsum(chances[:, ::-1], axis=1)[:, -2::-1]
    shorter = np.abs(slope) @ above + left <= np.abs(slope) @ below + right
    return np.asarray(np.where(shorter, left + slope @ above, right - slope @ below))


def sampled_weights(
    size: int, sharpness: float, centre: float, samples: int, seed: int
) -> tuple[Array, Array]:
    """Return the means of exp(−a(xₖ − b)²) over sampled matrices, (size,), and their covariance (size, size).

    The tridiagonal matrix of Dumitriu and Edelman (2002) has the same eigenvalues in law: standard normal
    numbers on its diagonal and χₙ₋₁, …, χ₁, over √2, beside it.

    >>> means, covariance = sampled_weights(1, 0.5, 0.0, 10_000, seed=0)
    >>> bool(abs(means[0] - 0.5**0.5) < 3 * covariance[0, 0] ** 0.5)
    True
    """
    rng = np.random.default_rng(seed)
    mean, square, done = np.zeros(size), np.zeros((size, size)), 0
    rows = np.arange(size - 1)
    most = max(1, MOST_TOGETHER // size**2)
    while done < samples:
        count = min(most, samples - done)
        matrices = np.zeros((count, size, size))
        matrices[:, range(size), range(size)] = rng.standard_normal((count, size))
        chi = np.sqrt(rng.chisquare(np.arange(size - 1, 0, -1), (count, size - 1)) / 2)
        matrices[:, rows + 1, rows] = chi  # eigvalsh reads the lower half only
        drawn = np.exp(-sharpness * (np.linalg.eigvalsh(matrices) - centre) ** 2)
        # Welford's update, a batch at a time: nothing is subtracted that is nearly equal.
        apart, middle = drawn.mean(axis=0) - mean, drawn - drawn.mean(axis=0)
        square += middle.T @ middle + np.outer(apart, apart) * done * count / (done + count)
        mean += apart * count / (done + count)
        done += count
    return mean, square / (max(samples - 1, 1) * samples)


def _nodes(size: int) -> tuple[Array, Array, float]:
    """Return Gauss–Legendre nodes and weights on [−R, R], and R, beyond which no eigenvalue lies.

    The spectrum ends at √(2n) with a tail of scale n^(−1/6); a probability of 1e-14 is 7.5 of these away.
    An eigenvalue is known to about a third of the gap π/√(2n), which the nodes have to resolve.
    """
    edge = math.sqrt(2 * size) + 7.5 * size ** (-1 / 6) + 1
    t, weights = np.polynomial.legendre.leggauss(64 + 6 * size + size % 2)
    return t * edge, weights * edge, edge


def _chances_below(size: int, t: Array, edge: float) -> Array:
    """Return P(exactly j eigenvalues lie below t), (t, j = 0 … size); t symmetric about 0.

    By de Bruijn (1955) the generating function E z^#{xᵢ < t} is a ratio of Pfaffians, of a matrix that is
    quadratic in z. Its coefficients come from its values at roots of unity.
    """
    left, cumulative, whole = _forms(size, t, edge)
    signs = (-1.0) ** np.arange(size)
    # Mirrored, x → −x, the form over (t, ∞) is that over (−∞, −t).
    right = -left[::-1] * np.outer(signs, signs)
    rest = whole - cumulative
    roots = size + 1 + size % 2  # odd, so that z = −1 is left out: there a leading block can be singular
    z = np.exp(2j * math.pi * np.arange(roots // 2 + 1) / roots)[:, None, None]
    half = (len(t) + 1) // 2
    chances = np.empty((len(t), size + 1))
    for i in range(half):
        across = np.outer(cumulative[i], rest[i])
        form = z * z * left[i] + z * (across - across.T) + right[i]
        if size % 2:
            form = _bordered(form, z[:, :, 0] * cumulative[i] + rest[i])
        values = pfaffian(form)
        chances[i] = np.fft.irfft((values / values[0]).conj(), roots)[: size + 1]
    chances[len(t) - half :] = chances[:half][::-1, ::-1]  # as many below −t as above t
    return chances


def pfaffian(matrix: Complex) -> Complex:
    """Return the Pfaffians of antisymmetric matrices of even size, (…, n, n) → (…).

    By halves: Pf[[A, B], [−Bᵀ, D]] = Pf(A) Pf(D + BᵀA⁻¹B). Rows are not exchanged, so the leading blocks of
    even size must be regular.

    >>> pfaffian(np.array([[0, 1, 2, 3], [-1, 0, 4, 5], [-2, -4, 0, 6], [-3, -5, -6, 0]]) + 0j)  # 1·6 − 2·5 + 3·4
    np.complex128(8+0j)
    """
    size = matrix.shape[-1]
    if size == 2:
        return np.asarray(matrix[..., 0, 1])[()]
    half = max(2, size // 4 * 2)
    first, beside, last = matrix[..., :half, :half], matrix[..., :half, half:], matrix[..., half:, half:]
    remaining = last + beside.swapaxes(-1, -2) @ np.linalg.solve(first, beside)
    return pfaffian(first) * pfaffian(remaining)


def _forms(size: int, t: Array, edge: float) -> tuple[Array, Array, Array]:
    """Return, over Hermite functions ψⱼ: ∬ ψⱼ(x)ψₖ(y) − ψₖ(x)ψⱼ(y) over x < y < t, (t, size, size), and
    Ψⱼ = ∫ ψⱼ up to t, (t, size), and over everything, (size,)."""
    nodes, weights = np.polynomial.legendre.leggauss(12)  # a gap between two t is under half a wavelength
    ends = np.concatenate([[-edge], t])
    half = np.diff(ends)[:, None] / 2
    psi, integral = hermite_functions(size, ends[:-1, None] + half * (1 + nodes))
    pairs = np.einsum("jtq,ktq,tq->tjk", integral, psi, half * weights, optimize=True)
    cumulative = hermite_functions(size, t)[1].T
    whole = hermite_functions(size, np.array(np.inf))[1]
    return np.cumsum(pairs - pairs.swapaxes(1, 2), axis=0), cumulative, whole


def hermite_functions(size: int, x: Array) -> tuple[Array, Array]:
    """Return ψⱼ(x) ∝ Hⱼ(x) exp(−x²/2), orthonormal, and ∫ ψⱼ from −∞ to x, for j < size: (size, …) both.

    >>> psi, integral = hermite_functions(3, np.array([0.0]))
    >>> psi[:, 0].round(4), integral[:, 0].round(4)
    (array([ 0.7511,  0.    , -0.5311]), array([ 0.9414, -1.0623,  0.6657]))
    """
    from scipy.special import erfc

    psi, integral = np.zeros((size + 1, *x.shape)), np.zeros((size + 1, *x.shape))
    psi[0] = math.pi**-0.25 * np.exp(-x * x / 2)
    integral[0] = math.pi**-0.25 * math.sqrt(math.pi / 2) * erfc(-x / math.sqrt(2))
    finite = np.where(np.isfinite(x), x, 0.0)  # at infinity every ψ is 0
    for j in range(size):
        up, down = math.sqrt((j + 1) / 2), math.sqrt(j / 2)
        before = (psi[j - 1], integral[j - 1]) if j else (np.zeros_like(x), np.zeros_like(x))
        psi[j + 1] = (finite * psi[j] - down * before[0]) / up
        integral[j + 1] = (down * before[1] - psi[j]) / up  # from ψ′ⱼ = √(j/2) ψⱼ₋₁ − √((j+1)/2) ψⱼ₊₁
    return psi[:size], integral[:size]


def _bordered(form: Complex, edge: Complex) -> Complex:
    """Return the antisymmetric matrices with one more row and column, as an odd size needs."""
    n = form.shape[-1]
    wider = np.zeros((*form.shape[:-2], n + 1, n + 1), complex)
    wider[..., :n, :n] = form
    wider[..., :n, n], wider[..., n, :n] = edge, -edge
    return wider
