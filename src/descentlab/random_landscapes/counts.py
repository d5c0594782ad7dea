"""How many stationary points a random landscape has on average, in total and by index (Kac and Rice)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.random_landscapes.ensemble import exact_weights, sampled_weights

Array = NDArray[np.float64]

# The exact way takes 1.5 s at a size of 80 and time ∝ size⁵; beyond this, sample.
MOST_EXACT = 100
# 2^(size/2) has to stay a floating-point number.
MOST_SIZE = 1000


@dataclass(frozen=True, eq=False)
class ExpectedCounts:
    """Expected numbers of stationary points, by index.

    landscape: in words; size: N; by_index: (index,), from minima to maxima; covariance: (index, index), of
    the sampling error of by_index, zeros if nothing was sampled; samples: how many matrices, 0 if none.
    """

    landscape: str
    size: int
    by_index: Array
    covariance: Array
    samples: int

    @property
    def standard_errors(self) -> Array:
        """The standard errors of by_index; 0 where nothing was sampled."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def total(self) -> float:
        """The expected number of all stationary points."""
        return float(self.by_index.sum())

    @property
    def total_error(self) -> float:
        """The standard error of the total."""
        return math.sqrt(float(self.covariance.sum()))

    @property
    def minima(self) -> float:
        """The expected number of minima."""
        return float(self.by_index[0])

    @property
    def minima_error(self) -> float:
        """The standard error of the number of minima."""
        return float(self.standard_errors[0])

    @property
    def share(self) -> float:
        """The expected number of minima over that of all stationary points."""
        return self.minima / self.total

    @property
    def share_error(self) -> float:
        """The standard error of the share, to first order (the errors of its two parts are correlated)."""
        slope = -np.full(len(self.by_index), self.share) / self.total
        slope[0] += 1 / self.total
        return math.sqrt(max(float(slope @ self.covariance @ slope), 0.0))

    @property
    def sentence(self) -> str:
        """Say how many stationary points there are to expect, and how many of them are minima."""
        way = f"from {self.samples:,} sampled matrices" if self.samples else "by quadrature, nothing sampled"
        total, minima = (
            _with_error(self.total, self.total_error),
            _with_error(self.minima, self.minima_error),
        )
        return (
            f"The {self.landscape} has {total} stationary points on average, {minima} of them minima: "
            f"a share of {_with_error(self.share, self.share_error)} (Kac–Rice, {way})."
        )


def expected_counts(size: int, p: int = 3, samples: int | None = None, seed: int = 0) -> ExpectedCounts:
    """Return the expected number of stationary points of the spherical p-spin model, by index.

        E Nₖ = 2 √(2/p) (p−1)^(N/2) · E exp(−(p−2)/(2p) xₖ²),    k = 0 … N−1

    xₖ is the k-th eigenvalue, from below, of an N × N matrix of the Gaussian orthogonal ensemble with
    variance 1 on its diagonal and 1/2 off it (Auffinger, Ben Arous and Černý 2013, Theorem 2.1, where
    λₖ = xₖ/√N). At N = 2 the total is 2√(3p−2).

    size: N ≥ 2; p ≥ 2. samples: None for the exact value by quadrature, up to N = 100, or how many
    matrices to sample, which gives standard errors. Raises InputError for other sizes, p and samples.

    >>> counts = expected_counts(2)
    >>> counts.total, 2 * 7**0.5
    (5.29150262212..., 5.29150262212...)
    >>> [float(f"{expected_counts(size).minima:.4g}") for size in (5, 10, 20, 40)]
    [4.0, 6.08, 11.01, 26.87]
    """
    check_whole("p", p, 2)
    check_size(size, samples, 2)
    means, covariance = _weights(size, (p - 2) / (2 * p), 0.0, samples, seed)
    scale = 2 * math.sqrt(2 / p) * (p - 1) ** (size / 2)
    return ExpectedCounts(
        f"spherical {p}-spin model with N = {size}", size, scale * means, scale**2 * covariance, samples or 0
    )


def expected_energies(size: int, p: int = 3) -> Array:
    """Return the mean energy per N of all stationary points of the p-spin model with index 0, …, N−1.

        e_k = √(2(p−1)/(pN)) · E[xₖ w(xₖ)] / E w(xₖ),   w(x) = exp(−(p−2)/(2p) x²)

    over all landscapes together, each point counted alike: a stationary point of index k has the energy
    √(2(p−1)/(pN)) xₖ. E[x w] is the derivative of E exp(−a(x − b)²) by b at b = 0, over 2a, taken from a
    difference with an error of about 1e-5. size: N from 2 to 100; p ≥ 3. Raises InputError for others.

    >>> expected_energies(20)[:3].round(3)
    array([-1.354, -1.164, -1.   ])
    """
    check_whole("p", p, 3)
    check_size(size, None, 2)
    sharpness, shift = (p - 2) / (2 * p), 1e-3
    after = exact_weights(size, sharpness, shift)
    before = after[::-1]  # the spectrum is symmetric, so this is the same for −shift
    derivative, middle = (after - before) / (2 * shift), (after + before) / 2
    return np.asarray(math.sqrt(2 * (p - 1) / (p * size)) * derivative / (2 * sharpness) / middle)


def expected_counts_in_bowl(
    size: int, ratio: float, samples: int | None = None, seed: int = 0
) -> ExpectedCounts:
    """Return the expected number of stationary points of a Gaussian field in a bowl, by index.

        E Nₖ = (√2/m)ᴺ √(2/π) Γ((N+1)/2) e^(m²/2) · E exp(−(xₖ + √2 m)²/2),    m = √N μ/μ_c

    xₖ is the k-th eigenvalue of an (N+1) × (N+1) matrix, as in `expected_counts`. It follows from
    E Nₖ = μ⁻ᴺ E[|det(μ + K)|; k negative eigenvalues] with the Hessian K of the field (Fyodorov 2004),
    for the gradient and the Hessian of the field at a point are independent.

    size: N ≥ 1; ratio: μ/μ_c > 0. samples and errors as in `expected_counts`.

    >>> counts = expected_counts_in_bowl(1, 0.5)
    >>> counts.total, (counts.by_index[0] - counts.by_index[1]).round(12)  # minima − maxima = 1 on a line
    (2.8783..., np.float64(1.0))
    """
    if not 0 < ratio < math.inf:
        raise InputError(f"The ratio μ/μ_c is a number above 0, but it is {ratio!r}.")
    check_size(size, samples, 1)
    m = math.sqrt(size) * ratio
    means, covariance = _weights(size + 1, 0.5, -math.sqrt(2) * m, samples, seed)
    logarithm = size * math.log(math.sqrt(2) / m) + math.lgamma((size + 1) / 2) + m * m / 2
    scale = math.sqrt(2 / math.pi) * math.exp(logarithm)
    landscape = f"Gaussian field in a bowl with N = {size} and μ = {ratio:g} μ_c"
    return ExpectedCounts(landscape, size, scale * means, scale**2 * covariance, samples or 0)


def _weights(
    size: int, sharpness: float, centre: float, samples: int | None, seed: int
) -> tuple[Array, Array]:
    if samples is None:
        return exact_weights(size, sharpness, centre), np.zeros((size, size))
    return sampled_weights(size, sharpness, centre, samples, seed)


def check_size(size: int, samples: int | None, least: int) -> None:
    """Raise InputError for a size that cannot be counted."""
    check_whole("The size", size, least, MOST_SIZE)
    if samples is not None:
        check_whole("The number of samples", samples, 2)
    elif size > MOST_EXACT:
        raise InputError(
            f"The exact count takes sizes up to {MOST_EXACT}, but {size} was given. Give samples=, "
            f"how many matrices to sample."
        )


def check_whole(what: str, given: object, least: int, most: int | None = None) -> None:
    """Raise InputError unless `given` is a whole number in its range."""
    whole = isinstance(given, (int, np.integer)) and not isinstance(given, bool)
    if not (whole and given >= least and (most is None or given <= most)):  # type: ignore[operator]
        allowed = f"of at least {least}" if most is None else f"from {least} to {most:,}"
        raise InputError(f"{what} is a whole number {allowed}, but it is {given!r}.")


def _with_error(value: float, error: float) -> str:
    return f"{value:.4g} ± {error:.1g}" if error else f"{value:.4g}"
