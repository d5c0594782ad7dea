"""Find stationary points of a random landscape, saddles of every index too, and say what was established."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.errors import InputError
from descentlab.random_landscapes.counts import check_whole
from descentlab.random_landscapes.landscape import Landscape, System
from descentlab.stationary import merge
from descentlab.survey.statistics import unseen_share

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# |∇f| against its typical size, from where on Newton's method needs no damping: the error squares each step.
NEAR = 1e-6
# |∇f| against its typical size, after that: ten times what rounding leaves at N = 100.
ZERO = 1e-11
# So many steps in a row that lower |∇f| by less than a hundredth: the search is where |∇f| is smallest, but not 0.
MOST_IDLE = 12
# Points closer than this, against the width of the landscape, are one; Kantorovich's theorem has to say that
# there is no second one so close, and that the point is known far better.
SAME = 1e-6
# Starts worked on together, in numbers of Hessian entries.
MOST_TOGETHER = 2_000_000
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class StationaryPoints:
    """Distinct stationary points, lowest first, n of them.

    points (n, N); energies (n,): f/N; indices (n,): how many Hessian eigenvalues are negative; eigenvalues
    (n, d), ascending; slopes (n,): |∇f| over its typical size; radii (n,): there is one stationary point
    within this distance, by Kantorovich's theorem; hits (n,): how many starts reached the point or its mirror
    image. starts: all of them; lost: those that ended where |∇f| is smallest but not 0, or out of steps;
    doubtful: those that ended where the theorem does not apply, as at a degenerate point. exhausted: True if
    a whole round of starts found nothing new, and the sum of (−1)^index is right.
    """

    landscape: Landscape
    points: Float[np.ndarray, "point size"]
    energies: Float[np.ndarray, " point"]
    indices: Int[np.ndarray, " point"]
    eigenvalues: Float[np.ndarray, "point direction"]
    slopes: Float[np.ndarray, " point"]
    radii: Float[np.ndarray, " point"]
    hits: Int[np.ndarray, " point"]
    starts: int
    lost: int
    doubtful: int
    exhausted: bool

    @property
    def by_index(self) -> Int[np.ndarray, " index"]:
        """How many points have index 0, 1, …, d."""
        return np.bincount(self.indices, minlength=self.landscape.dimension + 1)

    @property
    def index_fractions(self) -> Float[np.ndarray, " point"]:
        """(index + ½)/(d + 1): the middle of step k of the d + 1 that the index takes from 0 to d.

        By Kac and Rice the energy of index k is that of the k-th of d + 1 eigenvalues, so that there is
        no shift between these and `theory.index_fraction`, as there is for index/d.
        """
        return (self.indices + 0.5) / (self.landscape.dimension + 1)

    @property
    def euler(self) -> int:
        """Σ (−1)^index. If it is not the landscape's, points are missing; if it is, some still may be."""
        return int(((-1) ** self.indices).sum())

    @property
    def unseen(self) -> float:
        """The estimated share of starts that lead to points not found here (Good–Turing)."""
        hits = self.hits
        if self.landscape.mirrored(self.points) is not None:  # a point and its image share their hits
            hits = hits[_upper(self.points)]
        return unseen_share(hits, self.starts)

    @property
    def sentence(self) -> str:
        """Say what was found, how sure it is, and whether more is to be expected."""
        found, minima = len(self.points), int(self.by_index[0])
        right = self.euler == self.landscape.euler
        whole = "as it must be over all of them" if right else f"not {self.landscape.euler}: some are missing"
        return (
            f"{found:,} distinct stationary points of the {self.landscape.name}, {minima:,} of them minima, from "
            f"{self.starts:,} starts ({self.lost:,} lost, {self.doubtful:,} doubtful). Each is polished to "
            f"|∇f| ≤ {self.slopes.max(initial=0.0):.1g} of its typical size, and Kantorovich's condition holds with an "
            f"allowance for rounding, though without interval arithmetic. The sum of (−1)^index is {self.euler}, "
            f"{whole}. An estimated {100 * self.unseen:.2g} % of starts lead to points not found here."
        )


def stationary_points(
    landscape: Landscape, starts: int | ArrayLike = 1000, seed: int = 0, rounds: int = 1, steps: int = 300
) -> StationaryPoints:
    """Find stationary points of every index from many starts, by Levenberg and Marquardt's method.

    Each start descends on |∇f|², with the step −(H² + ν)⁻¹H∇f and a damping ν that shrinks with |∇f|, and ends
    in Newton's method. An end is kept if Kantorovich's theorem (1948) holds there, ‖J⁻¹‖ L ‖J⁻¹F‖ ≤ ½, for
    the equations of `Landscape.system`, with allowances for rounding: then there is one stationary point
    within 2‖J⁻¹F‖ and its index is that of the Hessian here. It is a check in floating point, not a proof.

    starts: how many random points, or points (n, N); seed: of the random points; rounds: at most so many
    rounds of as many starts each, ended by the first that finds nothing new while the sum of (−1)^index is
    the landscape's; steps: at most so many per
    start. Raises InputError for other input.

    >>> from descentlab.random_landscapes import p_spin
    >>> found = stationary_points(p_spin(3, seed=5), starts=200)
    >>> found.by_index, found.euler  # minima − saddles + maxima = 2 on a sphere
    (array([3, 4, 3]), 2)
    """
    check_whole("The number of rounds", rounds, 1)
    check_whole("The number of steps", steps, 1)
    check_whole("The seed", seed, 0)
    given = None if isinstance(starts, (int, np.integer)) else landscape.placed(starts)
    if given is None:
        check_whole("The number of starts", starts, 1)
    elif given.ndim != 2 or not len(given) or rounds > 1:
        raise InputError("Starts given as points are an array (start, coordinate), for one round.")
    count = 0 if given is not None else int(starts)  # type: ignore[arg-type]
    points, hits = np.empty((0, landscape.size)), np.empty(0, int)
    begun = lost = doubtful = 0
    for turn in range(rounds):
        x = landscape.random_points(count, (seed, turn)) if given is None else given
        ends, reached = _solve(landscape, x, steps)
        sure = _established(landscape.system(ends[reached]))[0]
        begun, lost, doubtful = begun + len(x), lost + int((~reached).sum()), doubtful + int((~sure).sum())
        before = len(points)
        points, hits = _distinct(landscape, points, hits, ends[reached][sure])
        if len(points) == before > 0:
            found = _completed(landscape, points, hits, begun, lost, doubtful, exhausted=True)
            if found.euler == landscape.euler:
                return found
    return _completed(landscape, points, hits, begun, lost, doubtful, exhausted=False)


def _completed(
    landscape: Landscape, points: Array, hits: NDArray[np.int64],
    starts: int, lost: int, doubtful: int, exhausted: bool,
) -> StationaryPoints:  # fmt: skip
    """Return the result, with mirror images, sorted by energy."""
    images = landscape.mirrored(points)
    if images is not None:
        points, hits = np.concatenate([points, images]), np.concatenate([hits, hits])
    at = landscape.local(points)
    _, indices, radii = _established(landscape.system(points))
    order = np.argsort(at.values, kind="stable")
    slopes = np.linalg.norm(at.slope, axis=1) / landscape.typical_slope
    eigenvalues = np.linalg.eigvalsh(at.hessian)
    return StationaryPoints(
        landscape, points[order], at.values[order] / landscape.size, indices[order], eigenvalues[order],
        slopes[order], radii[order], hits[order], starts, lost, doubtful, exhausted,
    )  # fmt: skip


def _established(system: System) -> tuple[Flags, NDArray[np.int64], Array]:
    """Tell where Kantorovich's theorem holds, (n,), and return the index there and the radius.

    In its ball ‖J⁻¹‖ L r < 1, so no Jacobian there is singular, and the index is the same throughout.
    """
    count = system.jacobian.shape[-1]
    values = np.linalg.eigvalsh(system.jacobian)
    # eigvalsh is backward stable: what it returns belongs to a matrix this near, and that to J this near.
    rounding = 16 * count**1.5 * _EPS * np.abs(values).max(axis=1) + system.jacobian_noise
    smallest = np.abs(values).min(axis=1) - rounding
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(smallest > 0, 1 / smallest, np.inf)
        newton = inverse * (np.linalg.norm(system.residual, axis=1) + system.noise)
        curved = inverse * np.maximum(system.lipschitz, 1.0)
    radii = 2 * newton * system.unit
    # Within 1/(‖J⁻¹‖L) there is no second one (h ≤ ½ makes the ball of uniqueness at least that wide), and
    # `merge` joins what is closer than SAME in every coordinate.
    alone = curved * SAME * count**0.5 < 1
    sure = (curved * newton <= 0.5) & (radii <= min(SAME / 4, system.widest)) & alone
    return sure, (values < 0).sum(axis=1) - system.extra, radii


def _distinct(
    landscape: Landscape, points: Array, hits: NDArray[np.int64], ends: Array
) -> tuple[Array, NDArray[np.int64]]:
    """Add the ends to the points found so far, one of each, and count what reached it."""
    if landscape.mirrored(ends) is not None:
        ends = np.where(_upper(ends)[:, None], ends, -ends)
    together = np.concatenate([points, ends])
    labels = merge(together, np.ones(landscape.size), SAME)
    _, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
    counts = np.bincount(numbers, np.concatenate([hits, np.ones(len(ends), int)]), len(first)).astype(int)
    order = np.argsort(first)
    return together[first[order]], counts[order]


def _upper(points: Array) -> Flags:
    """Tell which of x and −x a point is, by a direction that no symmetry singles out."""
    direction = np.random.default_rng(0).standard_normal(points.shape[-1])
    return np.asarray(points @ direction > 0)


def _solve(landscape: Landscape, x: Array, steps: int) -> tuple[Array, Flags]:
    """Return where the starts (n, N) end and whether |∇f| is zero to rounding there, in batches."""
    most = max(1, MOST_TOGETHER // landscape.size**2)
    parts = [_solve_batch(landscape, x[i : i + most], steps) for i in range(0, len(x), most)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _solve_batch(landscape: Landscape, x: Array, steps: int) -> tuple[Array, Flags]:
    x, unit = x.copy(), np.eye(landscape.dimension)
    near = np.zeros(len(x), bool)
    going, points, at = np.arange(len(x)), x, landscape.local(x)
    damping, idle = np.ones(len(x)), np.zeros(len(x), int)
    for _ in range(steps):
        slopes = np.linalg.norm(at.slope, axis=1)
        done = slopes <= NEAR * landscape.typical_slope
        x[going[done]], near[going[done]] = points[done], True
        keep = ~done & (idle <= MOST_IDLE)
        if not keep.any():
            break
        going, points, at, slopes = going[keep], points[keep], at.at(keep), slopes[keep]
        damping, idle = damping[keep], idle[keep]
        # ν ∝ |∇f|: Newton's method in the end, and a short step down |∇f|² far away (Fan and Yuan 2005).
        shift = (damping * slopes / landscape.typical_slope)[:, None, None] * unit
        downhill = -(at.hessian @ at.slope[:, :, None])
        step = np.linalg.solve(at.hessian @ at.hessian + shift, downhill)[:, :, 0]
        there = landscape.moved(points, step, at)
        new = landscape.local(there)
        ratio = np.linalg.norm(new.slope, axis=1) / slopes
        better = ratio < 1
        points, at = np.where(better[:, None], there, points), at.replaced(better, new)
        damping = np.where(better, np.maximum(damping / 4, 1e-3), damping * 4)
        idle = np.where(ratio < 0.99, 0, idle + 1)
    rows = np.flatnonzero(near)
    x[rows], zero = polished(landscape, x[rows])
    near[rows] = zero
    return x, near


def polished(landscape: Landscape, x: Array) -> tuple[Array, Flags]:
    """Return points (n, N) after Newton's method has squared their error until rounding, and where it did."""
    for _ in range(4):
        at = landscape.local(x)
        values, vectors = np.linalg.eigh(at.hessian)
        along = np.einsum("nij,ni->nj", vectors, at.slope) / np.where(values == 0, np.inf, values)
        step = -np.einsum("nij,nj->ni", vectors, along)
        # A longer step leads elsewhere: the point is degenerate, or not near.
        small = np.linalg.norm(step, axis=1) <= 1e-2 * np.sqrt(landscape.size)
        x = np.where(small[:, None], landscape.moved(x, step, at), x)
    slopes = np.linalg.norm(landscape.local(x).slope, axis=1) / landscape.typical_slope
    return x, np.asarray(slopes <= ZERO)
