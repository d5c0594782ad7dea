"""A random field in a bowl: a smooth isotropic Gaussian field on all of space, held together by a parabola."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.errors import InputError
from descentlab.random_landscapes.counts import check_whole
from descentlab.random_landscapes.landscape import Local, System, checked_points

Array = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)


def bowl(size: int, ratio: float = 0.5, features: int = 2048, seed: int = 0) -> Bowl:
    """Return one Gaussian field in a bowl (Fyodorov 2004).

        f(x) = μ|x|²/2 + V(x),   E V(x)V(y) = N exp(−|x − y|²/(2N)),   μ_c = 1

    V is a sum of waves with random frequencies (Rahimi and Recht 2007),

        V(x) = √(2N/M) Σ cos(ωₖ·x + φₖ),   ωₖ ~ N(0, I/N), φₖ uniform,  k = 1 … M

    Its mean and covariance are these exactly, and it is as isotropic as they are; Gaussian it is only in the
    limit: the fourth cumulants, and with them the counts, are off by a relative 1/M or so.

    size: N ≥ 1; ratio: μ/μ_c > 0; features: M ≥ 1. Raises InputError for other numbers.

    >>> field = bowl(2, ratio=0.5, seed=1)
    >>> field.hessian([0.3, -0.2]).shape
    (2, 2)
    """
    check_whole("The size", size, 1)
    check_whole("The number of features", features, 1)
    check_whole("The seed", seed, 0)
    if not 0 < ratio < math.inf:
        raise InputError(f"The ratio μ/μ_c is a number above 0, but it is {ratio!r}.")
    rng = np.random.default_rng(seed)
    frequencies = rng.standard_normal((features, size)) / math.sqrt(size)
    return Bowl(size, float(ratio), seed, frequencies, rng.uniform(0, 2 * math.pi, features))


@dataclass(frozen=True, eq=False)
class Bowl:
    """One random field in a bowl.

    size: N; ratio: μ, as μ_c = 1; seed; frequencies (M, N); phases (M,). Points are (…, N).
    """

    size: int
    ratio: float
    seed: int
    frequencies: Array
    phases: Array

    @property
    def dimension(self) -> int:
        """The number of eigenvalues of a Hessian, N."""
        return self.size

    @property
    def typical_slope(self) -> float:
        """The root mean square |∇V| at a point, √N."""
        return math.sqrt(self.size)

    @property
    def euler(self) -> int:
        """Minima − saddles of index 1 + …, which is 1 since f grows in every direction far out."""
        return 1

    @property
    def name(self) -> str:
        """What this is, in words."""
        return f"random field in a bowl with N = {self.size}, μ = {self.ratio:g} μ_c, seed {self.seed}"

    @property
    def _amplitude(self) -> float:
        return math.sqrt(2 * self.size / len(self.phases))

    def value(self, points: ArrayLike) -> Array:
        """Return f, (…, N) → (…). Raises InputError for points of another size."""
        x = checked_points(points, self.size)
        return self._value(x, np.cos(self._angles(x)))

    def gradient(self, points: ArrayLike) -> Array:
        """Return ∇f, (…, N) → (…, N)."""
        x = checked_points(points, self.size)
        return self._gradient(x, np.sin(self._angles(x)))

    def hessian(self, points: ArrayLike) -> Array:
        """Return the second derivatives, (…, N) → (…, N, N)."""
        x = checked_points(points, self.size)
        return self._hessian(np.cos(self._angles(x)))

    def random_points(self, count: int, seed: int | Sequence[int] = 0) -> Array:
        """Return normal points (count, N) of variance 1.44/μ² per coordinate.

        Stationary points of all fields together are normal with variance 1/μ², that of −∇V/μ; a
        standard deviation a fifth wider reaches those far out too.
        """
        check_whole("The number of points", count, 1)
        return np.random.default_rng(seed).standard_normal((count, self.size)) * (1.2 / self.ratio)

    def placed(self, points: ArrayLike) -> Array:
        """Return the points (…, N) as an array. Raises InputError for points of another size."""
        return checked_points(points, self.size)

    def local(self, points: Array) -> Local:
        """Return value, gradient and Hessian, together; points (n, N)."""
        angles = self._angles(points)
        cosines = np.cos(angles)
        slope = self._gradient(points, np.sin(angles))
        return Local(self._value(points, cosines), slope, self._hessian(cosines), None)

    def moved(self, points: Array, step: Array, at: Local) -> Array:
        """Return points + step."""
        return points + step

    def mirrored(self, points: Array) -> None:
        """Return None: there is no symmetry."""

    def system(self, points: Array) -> System:
        """Return ∇f = 0 as equations in x. The Hessian changes by at most √(2N/M) Σ|ωₖ|³ over a distance of 1."""
        lengths = np.linalg.norm(self.frequencies, axis=1)
        distance = np.linalg.norm(points, axis=1)
        terms = len(self.phases)
        # An angle is off by rounding its terms and itself, a sum of M waves by M roundings of each.
        angle = (self.size + 3) * (distance[:, None] * lengths + 2 * math.pi) + terms
        noise = self._amplitude * (angle * lengths).sum(axis=1) + 2 * self.ratio * distance
        jacobian_noise = self._amplitude * (angle * lengths**2).sum(axis=1) + 2 * self.ratio
        third = np.full(len(points), self._amplitude * (lengths**3).sum())
        slope, bend = self.gradient(points), self.hessian(points)
        return System(slope, bend, third, _EPS * noise, _EPS * jacobian_noise, 0, math.inf, 1.0)

    def _angles(self, x: Array) -> Array:
        return x @ self.frequencies.T + self.phases

    def _value(self, x: Array, cosines: Array) -> Array:
        parabola = self.ratio * (x * x).sum(axis=-1) / 2
        return np.asarray(parabola + self._amplitude * cosines.sum(axis=-1))

    def _gradient(self, x: Array, sines: Array) -> Array:
        return np.asarray(self.ratio * x - self._amplitude * sines @ self.frequencies)

    def _hessian(self, cosines: Array) -> Array:
        w = self.frequencies
        products = (w[:, :, None] * w[:, None, :]).reshape(len(w), -1)
        bend = -self._amplitude * (cosines @ products).reshape(*cosines.shape[:-1], self.size, self.size)
        return np.asarray(bend + self.ratio * np.eye(self.size))
