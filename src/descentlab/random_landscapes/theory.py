"""What is known of random landscapes as N → ∞, in closed form: thresholds, complexities, index against energy.

Energies are per N. A complexity Σ is the rate at which an expected number grows: E number ≈ exp(N Σ).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.errors import InputError
from descentlab.random_landscapes.counts import check_whole

Array = NDArray[np.float64]


def threshold_energy(p: int = 3) -> float:
    """Return E∞ = 2 √((p−1)/p): minima lie below −E∞, maxima above E∞, and saddles of every other index between.

    It is where the Hessian's semicircle touches zero (Auffinger, Ben Arous and Černý 2013). Raises
    InputError unless p ≥ 2.

    >>> threshold_energy(3)
    1.632993161855452
    """
    check_whole("p", p, 2)
    return 2 * math.sqrt((p - 1) / p)


def ground_state_energy(p: int = 3) -> float:
    """Return E₀, where the complexity of minima at −E₀ is zero: the lowest energy as N → ∞ (p ≥ 3).

    Raises InputError unless p ≥ 3.

    >>> round(ground_state_energy(3), 6)
    1.656998
    """
    from scipy.optimize import brentq

    check_whole("p", p, 3)
    edge = threshold_energy(p)
    # The complexity of minima falls from −E∞ down and is negative long before √(2 log(p)) + 1 below it.
    highest = edge + math.sqrt(2 * math.log(p)) + 1
    return float(brentq(lambda e: float(minima_complexity(-e, p)), edge, highest, xtol=1e-14))


def minima_complexity(energy: ArrayLike, p: int = 3) -> Array:
    """Return Θ₀(u), the complexity of minima of energy at most u, by Auffinger, Ben Arous and Černý (2013).

        Θ₀(u) = ½ log(p−1) − (p−2)/(4(p−1)) u² − I(u)                       for u ≤ −E∞
        I(u) = −u √(u² − E∞²)/E∞² − log(−u + √(u² − E∞²)) + log E∞

    and Θ₀(−E∞) = ½ log(p−1) − (p−2)/p above −E∞. energy: u, any shape, which is the shape returned.
    Raises InputError unless p ≥ 2.

    >>> minima_complexity([-1.7, -1.633, 0.0]).round(5)
    array([-0.03045,  0.01324,  0.01324])
    """
    edge = threshold_energy(p)
    u = np.minimum(np.asarray(energy, float), -edge)
    root = np.sqrt(u * u - edge**2)
    rate = -u * root / edge**2 - np.log((root - u) / edge)
    return np.asarray(0.5 * math.log(p - 1) - (p - 2) / (4 * (p - 1)) * u * u - rate)


def total_complexity(p: int = 3) -> float:
    """Return ½ log(p−1), the complexity of all stationary points. Raises InputError unless p ≥ 2.

    >>> total_complexity(3)
    0.34657...
    """
    check_whole("p", p, 2)
    return 0.5 * math.log(p - 1)


def index_fraction(energy: ArrayLike, p: int = 3) -> Array:
    """Return the share of Hessian eigenvalues that are negative at a stationary point of this energy.

    The Hessian is a matrix of the Gaussian orthogonal ensemble, its semicircle of radius 2√(p(p−1)) moved
    by −p·energy. With t = energy/E∞ the part of it below zero is

        ½ + (arcsin t + t √(1 − t²))/π,    0 below −E∞, 1 above E∞

    No parameter is free. energy: any shape, which is the shape returned. Raises InputError unless p ≥ 2.

    >>> index_fraction([-1.7, 0.0, 1.0, 1.7]).round(3)
    array([0.   , 0.5  , 0.864, 1.   ])
    """
    t = np.clip(np.asarray(energy, float) / threshold_energy(p), -1.0, 1.0)
    return np.asarray(0.5 + (np.arcsin(t) + t * np.sqrt(1 - t * t)) / math.pi)


def bowl_complexities(ratio: ArrayLike) -> tuple[Array, Array]:
    """Return the complexities of all stationary points and of minima of a Gaussian field in a bowl.

        Σ_total = (x² − 1)/2 − ln x,  Σ_min = (4x − 3 − x²)/2 − ln x   for x = μ/μ_c < 1, else 0

    (Fyodorov 2004; minima: Bray and Dean 2007). ratio: x > 0, any shape, which is the shape of both.
    Raises InputError otherwise.

    >>> total, minima = bowl_complexities([0.1, 0.5, 1.0, 2.0])
    >>> total.round(4), minima.round(4)
    (array([1.8076, 0.3181, 0.    , 0.    ]), array([0.9976, 0.0681, 0.    , 0.    ]))
    """
    x = np.asarray(ratio, float)
    if not (x > 0).all():
        raise InputError("The ratio μ/μ_c is above 0.")
    x = np.minimum(x, 1.0)
    return np.asarray((x * x - 1) / 2 - np.log(x)), np.asarray((4 * x - 3 - x * x) / 2 - np.log(x))
