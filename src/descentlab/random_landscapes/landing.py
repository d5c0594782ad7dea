"""Where gradient descent lands on a spherical p-spin landscape, against the threshold and the ground state."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.errors import InputError
from descentlab.random_landscapes.counts import check_whole
from descentlab.random_landscapes.search import polished
from descentlab.random_landscapes.spins import PSpin
from descentlab.random_landscapes.theory import ground_state_energy, threshold_energy

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Descent has landed where |∇H| is this small against its typical size; Newton's method does the rest.
LANDED = 1e-6
# Newton's method may move a landed point by this much of √N: further, and it went to another place. A slope of
# 1e-6 is at most this far from its root where the Hessian's lowest eigenvalue is above 1e-3.
MOST_MOVED = 1e-2


@dataclass(frozen=True, eq=False)
class Landing:
    """Where descent from random starts ended.

    start_energies, energies (start,): H/N; ends (start, N); slopes (start,): |∇H| over its typical size;
    smallest (start,): the lowest Hessian eigenvalue; minimum (start,): |∇H| is zero to rounding and every
    eigenvalue above 0; taken (start,): steps; learning_rate, for u = σ/√N.
    """

    landscape: PSpin
    start_energies: Float[np.ndarray, " start"]
    energies: Float[np.ndarray, " start"]
    ends: Float[np.ndarray, "start size"]
    slopes: Float[np.ndarray, " start"]
    smallest: Float[np.ndarray, " start"]
    minimum: NDArray[np.bool_]
    taken: Int[np.ndarray, " start"]
    learning_rate: float

    @property
    def threshold(self) -> float:
        """−E∞, below which minima lie as N → ∞."""
        return -threshold_energy(self.landscape.p)

    @property
    def ground_state(self) -> float:
        """−E₀, the lowest energy as N → ∞."""
        return -ground_state_energy(self.landscape.p)

    @property
    def sentence(self) -> str:
        """Say where descent landed."""
        starts, landed = len(self.energies), int(self.minimum.sum())
        spread = f" ± {self.energies.std(ddof=1):.3f}" if starts > 1 else ""
        return (
            f"Of {starts:,} random starts on the {self.landscape.name}, {landed:,} landed in a minimum (Hessian), "
            f"at an energy per N of {self.energies.mean():.3f}{spread}, the lowest {self.energies.min():.3f}. "
            f"As N → ∞ the threshold is {self.threshold:.4f} and the ground state {self.ground_state:.4f}."
        )


def descend_from_random(
    landscape: PSpin,
    starts: int | ArrayLike = 64,
    seed: int = 0,
    learning_rate: float | None = None,
    steps: int = 20_000,
) -> Landing:
    """Descend by the gradient on the sphere from random starts, and say where that ends.

        u ← (u − η ∇h(u)) / |u − η ∇h(u)|,   h = H/N, u = σ/√N, ∇ the Riemannian gradient

    A start has landed where |∇H| is below a millionth of its typical size; Newton's method then finds the
    stationary point there, and the Hessian tells whether it is a minimum.

    starts: how many, uniform on the sphere, or points (start, N); learning_rate: η, by default the inverse
    of the largest Hessian eigenvalue at −E₀ as N → ∞, 2√(p(p−1)) + pE₀; steps: at most so many. Raises
    InputError for other input and for p = 2, where there is nothing to get stuck in.

    >>> from descentlab.random_landscapes import p_spin
    >>> landing = descend_from_random(p_spin(20, seed=1), starts=20)
    >>> bool(landing.minimum.all()), bool((landing.energies > landing.ground_state - 0.1).all())
    (True, True)
    """
    check_whole("The number of steps", steps, 1)
    check_whole("The seed", seed, 0)
    eta = _checked_rate(landscape, learning_rate)
    if isinstance(starts, (int, np.integer)):
        points = landscape.random_points(int(starts), seed)
    else:
        points = landscape.placed(starts)
        if points.ndim != 2 or not len(points):
            raise InputError("Starts given as points are an array (start, coordinate).")
    begun = landscape.value(points) / landscape.size
    floor = LANDED * landscape.typical_slope
    ends, taken = _walk(landscape, points, np.full(len(points), -eta), steps, lambda h, slope: slope <= floor)
    exact, zero = polished(landscape, ends)
    moved = np.linalg.norm(exact - ends, axis=1) / math.sqrt(landscape.size)
    zero &= moved <= MOST_MOVED
    ends = np.where(zero[:, None], exact, ends)
    at = landscape.local(ends)
    smallest = np.linalg.eigvalsh(at.hessian)[:, 0]
    slopes = np.linalg.norm(at.slope, axis=1) / landscape.typical_slope
    return Landing(
        landscape, begun, at.values / landscape.size, ends, slopes, smallest, zero & (smallest > 0), taken, eta
    )  # fmt: skip


def points_at_energies(landscape: PSpin, energies: ArrayLike, seed: int = 0, steps: int = 2000) -> Array:
    """Return points (n, N) near given energies per N, each by descent or ascent from a random start.

    It stops short where the way is blocked. Searches from here find stationary points of all indices, where
    uniform starts find those near energy 0, for nearly all of the sphere is there. Raises InputError for
    energies that are not finite numbers.

    >>> from descentlab.random_landscapes import p_spin
    >>> landscape = p_spin(20)
    >>> (landscape.value(points_at_energies(landscape, [-1.0, 0.5])) / 20).round(1)
    array([-1. ,  0.5])
    """
    wanted = np.asarray(energies, float).reshape(-1)
    if not (len(wanted) and np.isfinite(wanted).all()):
        raise InputError("Energies per N are finite numbers, at least one.")
    points = landscape.random_points(len(wanted), seed)
    side = np.sign(wanted - landscape.value(points) / landscape.size)
    # A tenth of the stable learning rate, so that no step goes far beyond an energy.
    rates = 0.1 * _checked_rate(landscape, None) * side
    return _walk(landscape, points, rates, steps, lambda h, _: side * (wanted - h) <= 0)[0]


def _walk(
    landscape: PSpin, points: Array, rates: Array, steps: int, stop: Callable[[Array, Array], Flags]
) -> tuple[Array, NDArray[np.int64]]:
    """Return where the points (n, N) are when `stop(H/N, |∇H|)` says so, and after how many steps."""
    points = points.copy()
    taken = np.zeros(len(points), int)
    going = np.ones(len(points), bool)
    for _ in range(steps):
        values, gradients = landscape.value_and_gradient(points[going])
        h, slopes = np.full((2, len(points)), np.nan)
        h[going], slopes[going] = values / landscape.size, np.linalg.norm(gradients, axis=1)
        move = rates[going, None] * gradients
        with np.errstate(invalid="ignore"):
            stay = stop(h, slopes)[going]
        rows = np.flatnonzero(going)
        going[rows[stay]] = False
        if stay.all():
            break
        rows, move = rows[~stay], move[~stay]
        points[rows] = landscape.placed(points[rows] + move)
        taken[rows] += 1
    return points, taken


def _checked_rate(landscape: PSpin, given: float | None) -> float:
    p = landscape.p
    if p < 3:
        raise InputError("At p = 2 the only minima are the two ground states. Give a landscape with p ≥ 3.")
    if given is None:
        return 1 / (2 * math.sqrt(p * (p - 1)) + p * ground_state_energy(p))
    if not 0 < given < math.inf:
        raise InputError(f"The learning rate is a number above 0, but it is {given!r}.")
    return float(given)
