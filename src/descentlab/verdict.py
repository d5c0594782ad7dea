"""How each descent ended: one of twelve outcomes, decided on arrays of descents.

`judge` looks at the last steps of every descent, searches the stationary point or kink they
lead to, and gives an outcome with the numbers it rests on. `advice` puts them into words.

"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentlab.kinks import SLOPE_STEPS, Face, one_sided_slopes, search_kink
from descentlab.objective import FormulaObjective, Objective
from descentlab.optimizers import ChosenOptimizer
from descentlab.program import NUMPY, run_each
from descentlab.stationary import (
    Stationary,
    classify,
    is_constant_around,
    largest,
    merge,
    polish,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

OUTCOMES = (
    "minimum",
    "maximum",
    "saddle",
    "degenerate",
    "kink",
    "plateau",
    "cycle",
    "diverged",
    "nonfinite",
    "left_domain",
    "at_bound",
    "out_of_steps",
)

# Descent has arrived when Newton's root of ∇f is this close, in box sides: closer than any
# picture shows, and far above what rounding allows.
ARRIVED = 1e-6
# A descent stopped by its own tolerance may be this far from the root it was heading for.
STOPPED_NEAR = 1e-2
# Descent creeps towards a degenerate point ever more slowly and never gets within ARRIVED; it
# counts once this share of the height it started with is left, this close.
DEGENERATE_NEAR, DEGENERATE_HEIGHT = 2e-2, 1e-3
LONGEST_PERIOD = 8


@dataclass(frozen=True)
class Ending:
    """The last steps of n descents.

    points (n, t+1, dim), rates (n, t), starts (n, dim); taken, steps (n,): steps taken and
    allowed; base_rates (n,).
    """

    objective: Objective
    optimizer: ChosenOptimizer
    ascent: bool
    bounds: str
    tolerance: float | None
    starts: Array
    base_rates: Array
    steps: NDArray[np.int64]
    taken: NDArray[np.int64]
    points: Array
    rates: Array

    @property
    def ends(self) -> Array:
        return self.points[:, -1]

    @functools.cached_property
    def values(self) -> Array:
        """f at the ends, (n,)."""
        return self.objective.value(self.ends)

    @functools.cached_property
    def gradients(self) -> Array:
        """∇f at the ends, (n, dim)."""
        return self.objective.gradient(self.ends)

    @functools.cached_property
    def downhill(self) -> float:
        """−1 for ascent: everything is judged as descent on downhill·f."""
        return -1.0 if self.ascent else 1.0

    @functools.cached_property
    def held(self) -> Flags:
        """(n, dim): coordinates at a bound under bounds="clip" that would go on outward."""
        x, d = self.ends, self.downhill * self.gradients
        low, high = self.objective.domain.T
        if self.bounds != "clip":
            return np.zeros(x.shape, bool)
        return np.asarray(((x <= low) & (d > 0)) | ((x >= high) & (d < 0)))

    @functools.cached_property
    def lengths(self) -> Array:
        """The last steps' lengths in box sides, (n, t)."""
        return largest(np.abs(np.diff(self.points, axis=1) / self.objective.widths))

    @functools.cached_property
    def extent(self) -> Array:
        """How far the last points spread, in box sides, (n,)."""
        steps = self.points.swapaxes(0, 1)
        spread = functools.reduce(np.maximum, steps) - functools.reduce(np.minimum, steps)
        return largest(spread / self.objective.widths)

    @functools.cached_property
    def slope(self) -> Array:
        """|∇f| at the ends over the coordinates not held at a bound, (n,)."""
        return np.asarray(np.linalg.norm(np.where(self.held, 0.0, self.gradients), axis=1))

    @functools.cached_property
    def stopped(self) -> Flags:
        """Where the gradient was small enough for the caller's tolerance."""
        return self.slope <= (-1.0 if self.tolerance is None else self.tolerance)


@dataclass(frozen=True)
class Judgement:
    """The outcomes of n descents and the numbers behind them.

    outcomes (n,); places (n, dim): the stationary point or kink concerned, NaN without one;
    kinds (n,): what is at that place; eigenvalues (n, dim) of the Hessian there; distances (n,)
    from the end to the place, in box sides; periods (n,), 0 without a cycle.
    """

    ending: Ending
    outcomes: NDArray[np.str_]
    places: Array
    kinds: NDArray[np.str_]
    eigenvalues: Array
    distances: Array
    periods: NDArray[np.int64]


def judge(ending: Ending) -> Judgement:
    """Give each descent one outcome of OUTCOMES."""
    n, dim = ending.ends.shape
    judgement = Judgement(
        ending,
        np.full(n, "", dtype="U12"),
        np.full((n, dim), np.nan),
        np.full(n, "", dtype="U12"),
        np.full((n, dim), np.nan),
        np.full(n, np.inf),
        np.zeros(n, np.int64),
    )
    with np.errstate(all="ignore"):
        for look in (_nonfinite, _left_box, _arrived, _kinks, _plateaus, _cycles, _diverged):
            look(judgement, np.flatnonzero(judgement.outcomes == ""))
        judgement.outcomes[judgement.outcomes == ""] = "out_of_steps"
    return judgement


def _nonfinite(j: Judgement, rows: NDArray[np.int64]) -> None:
    """Where x, f or ∇f is not finite: why. A finite f with no gradient is left for the kinks."""
    e = j.ending
    x, value = e.ends[rows], e.values[rows]
    ok = np.isfinite(x).all(axis=1) & np.isfinite(value)
    broken = rows[~ok]
    x = e.ends[broken]
    low, high = e.objective.domain.T
    width = e.objective.widths
    moved = e.taken[broken] > 0
    far = ~((x > low - 100 * width) & (x < high + 100 * width)).all(axis=1)
    outside = ~((x >= low) & (x <= high)).all(axis=1)
    undefined = np.isnan(e.values[broken]) & ~overflows(e.objective, x)
    j.outcomes[broken] = np.select(
        [moved & far, moved & undefined, moved & outside],
        ["diverged", "left_domain", "diverged"],
        "nonfinite",
    )


def overflows(objective: Objective, x: Array) -> Flags:
    """Tell where f is not finite at x (n, dim) because a number grew too large or hit a pole.

    The first operation that turns finite numbers into something else decides: NaN means an
    argument outside the operation's domain (log of a negative), inf an overflow or a pole. For
    a Python function only its value can be looked at.
    """
    if not isinstance(objective, FormulaObjective):
        return np.asarray(~np.isnan(objective.value(x)))
    culprit = first_failure(objective, x)[1]
    return np.isinf(culprit)


def first_failure(objective: FormulaObjective, x: Array) -> tuple[NDArray[np.int64], Array]:
    """Return, for points x (n, dim), the first operation of f whose result is not finite though
    its arguments are (−1 if none), and that result."""
    program = objective.value_program
    with np.errstate(all="ignore"):
        results = run_each(program, list(x.T), NUMPY)
    which = np.full(len(x), -1)
    result = np.zeros(len(x))
    for i, value in enumerate(results):
        here = np.broadcast_to(np.asarray(value, float), (len(x),))
        new = (which < 0) & ~np.isfinite(here)
        which[new], result[new] = i, here[new]
    return which, result


def _left_box(j: Judgement, rows: NDArray[np.int64]) -> None:
    e = j.ending
    if e.bounds == "stop":
        low, high = e.objective.domain.T
        x = e.ends[rows]
        j.outcomes[rows[((x < low) | (x > high)).any(axis=1)]] = "left_domain"


def _arrived(j: Judgement, rows: NDArray[np.int64]) -> None:
    """Where the end is at, or was heading into, a stationary point: what kind it is."""
    e = j.ending
    rows = rows[np.isfinite(e.gradients[rows]).all(axis=1)]
    if not rows.size:
        return
    x, free = e.ends[rows], ~e.held[rows]
    place, found = polish(e.objective, x, free)
    rows, x, free, place = rows[found], x[found], free[found], place[found]
    if not rows.size:
        return
    kinds, eigenvalues = _kinds_of(e, place, free)
    distance = largest(np.abs((place - x) / e.objective.widths))
    j.places[rows], j.kinds[rows], j.eigenvalues[rows] = place, kinds, eigenvalues
    j.distances[rows] = distance
    value = e.objective.value(place)
    left = np.abs(e.values[rows] - value)
    height = np.abs(e.objective.value(e.starts[rows]) - value)
    crept = (distance <= DEGENERATE_NEAR) & (left <= DEGENERATE_HEIGHT * height)
    # A tolerance may stop descent short of a minimum, but not below it.
    lower = e.downhill * (value - e.values[rows]) <= 0
    stopped = e.stopped[rows] & (distance <= STOPPED_NEAR) & (lower | (kinds != "minimum"))
    near = (distance <= ARRIVED) | stopped | (np.isin(kinds, ("degenerate", "plateau")) & crept)
    wanted = np.where(free.all(axis=1), kinds, "at_bound")
    j.outcomes[rows[near]] = wanted[near]


def _kinds_of(e: Ending, place: Array, free: Flags) -> tuple[NDArray[np.str_], Array]:
    """Classify each distinct place once. A kink is recognized before the Hessian is believed."""
    widths = np.concatenate([e.objective.widths, np.ones(place.shape[1])])
    labels = merge(np.concatenate([place, free], axis=1), widths)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    some: Stationary = classify(e.objective, place[first], free[first])
    kinds = some.kinds.astype("U12")
    if e.objective.may_kink:
        slopes = one_sided_slopes(e.objective, place[first], e.downhill)
        kinks = slopes.is_kink & free[first].all(axis=1)
        kinds[kinks] = np.where(slopes.is_minimum[kinks], "kink", "degenerate")
    return kinds[inverse], some.eigenvalues[inverse]


def _kinks(j: Judgement, rows: NDArray[np.int64]) -> None:
    """Where descent bounces about, or sits on, a point with f rising on every side but no gradient –
    within the face of the box it is held on, if any."""
    e = j.ending
    if not e.objective.may_kink:
        return
    rows = rows[(e.extent[rows] <= 0.2) & np.isfinite(e.values[rows]) & ~e.held[rows].all(axis=1)]
    sides = np.where(e.held[rows], np.where(e.ends[rows] <= e.objective.domain[:, 0], 1, 2), 0)
    faces, which = np.unique(sides, axis=0, return_inverse=True)
    for i, side in enumerate(faces):
        low, high = e.objective.domain.T
        face = Face(e.objective, side > 0, np.where(side == 1, low, high))
        _kinks_on(j, rows[which.reshape(-1) == i], face)


def _kinks_on(j: Judgement, rows: NDArray[np.int64], face: Face) -> None:
    e = j.ending
    x, extent = e.ends[rows][:, ~face.held], e.extent[rows]
    cells = np.round(x / (face.widths * np.maximum(extent, 1e-6)[:, None]))
    _, first, inverse = np.unique(
        np.column_stack([cells, np.round(np.log2(np.maximum(extent, 1e-12)))]),
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    inverse = inverse.reshape(-1)
    tip = search_kink(face, x[first], np.maximum(extent[first], 1e-9), e.downhill)
    minimum = one_sided_slopes(face, tip, e.downhill).is_minimum & _rises_inward(e, face, tip)
    place, good = tip[inverse], minimum[inverse]
    distance = np.abs((place - x) / face.widths).max(axis=1)
    good &= distance <= np.maximum(2 * extent, ARRIVED)
    rows = rows[good]
    held = bool(face.held.any())
    j.outcomes[rows], j.kinds[rows] = ("at_bound", "minimum") if held else ("kink", "kink")
    j.places[rows], j.distances[rows] = face.whole(place[good]), distance[good]
    j.eigenvalues[rows] = np.nan


def _rises_inward(e: Ending, face: Face, tip: Array) -> Flags:
    """Tell where h rises from the points of the face into the box, along every coordinate held."""
    rises = np.ones(len(tip), bool)
    inward = np.where(face.at <= e.objective.domain[:, 0], 1.0, -1.0) * e.objective.widths
    for k in np.flatnonzero(face.held):
        there = face.whole(tip)
        there[:, k] += SLOPE_STEPS[1] * inward[k]
        rises &= e.downhill * e.objective.value(there) > e.downhill * face.value(tip)
    return rises


def _plateaus(j: Judgement, rows: NDArray[np.int64]) -> None:
    """Where f is constant to rounding, or its slope too small to move a double."""
    e = j.ending
    x = e.ends[rows]
    stationary = e.slope[rows] == 0
    flat = stationary.copy()
    flat[stationary] = is_constant_around(e.objective, x[stationary])
    stuck = (e.extent[rows] == 0) & (e.taken[rows] == e.steps[rows]) & (e.rates.shape[1] > 1) & ~stationary
    still = rows[stuck]
    if still.size:
        last, most = e.rates[still, -1], np.nanmax(e.rates[still], axis=1, initial=0.0)
        stuck[stuck] = ~e.held[still].any(axis=1) & (last >= 1e-3 * most) & (last > 0)
    j.outcomes[rows[flat | stuck]] = "plateau"
    # Stationary, not flat, and no root that Newton's method knows: the Hessian is not finite.
    odd = rows[stationary & ~flat]
    j.outcomes[odd] = j.kinds[odd] = "degenerate"
    j.places[odd], j.distances[odd] = e.ends[odd], 0.0


def _cycles(j: Judgement, rows: NDArray[np.int64]) -> None:
    """Where the last points repeat with a short period."""
    e = j.ending
    length = e.points.shape[1]
    size = e.extent[rows]
    rows = rows[(size > ARRIVED) & ~e.stopped[rows] & np.isfinite(size)]

    def drift(rows: NDArray[np.int64], period: int, last: int) -> Array:
        """How far the last points are from those a period before, in box sides."""
        apart = e.points[rows, -last:] - e.points[rows, -last - period : -period]
        return np.asarray(largest(np.abs(apart / e.objective.widths)).max(axis=1))

    for period in range(2, LONGEST_PERIOD + 1):
        if length <= 2 * period:
            break
        same = rows[j.outcomes[rows] == ""]
        for last in (1, length - period):  # the very last point tells almost all
            same = same[drift(same, period, last) <= 1e-6 * e.extent[same]]
        j.outcomes[same] = "cycle"
        j.periods[same] = period


def growth(e: Ending, rows: NDArray[np.int64]) -> Array:
    """Return the factor by which each step was longer than the last one, over the tail, (n,)."""
    lengths = e.lengths[rows]
    if lengths.shape[1] < 2:
        return np.full(len(rows), np.nan)
    return np.asarray((lengths[:, -1] / lengths[:, 0]) ** (1 / (lengths.shape[1] - 1)))


def turns_back(e: Ending, rows: NDArray[np.int64]) -> Flags:
    """Tell where every one of the last steps reversed the one before it: overshooting."""
    steps = np.diff(e.points[rows], axis=1) / e.objective.widths
    if steps.shape[1] < 3:
        return np.zeros(len(rows), bool)
    return np.asarray(((steps[:, 1:] * steps[:, :-1]).sum(axis=2) < 0).all(axis=1))


def _diverged(j: Judgement, rows: NDArray[np.int64]) -> None:
    """Where steps grow in an overshoot, or x is far outside the box and does not slow down."""
    e = j.ending
    if e.lengths.shape[1] < 3:
        return
    low, high = e.objective.domain.T
    x = e.ends[rows]
    beyond = largest(np.maximum((low - x) / e.objective.widths, (x - high) / e.objective.widths))
    # A small orbit that widens may settle into a cycle; only a wide one is called divergence.
    may = (e.lengths[rows, -1] >= 0.5) | (beyond > 1)
    rows, x, beyond = rows[may], x[may], beyond[may]
    lengths = e.lengths[rows]
    factor = growth(e, rows)
    growing = (np.diff(lengths, axis=1) > 0).all(axis=1) & (factor > 1)
    # The steps of adam and its like grow and shrink as they hover: only leaving the box tells there.
    row = e.optimizer.row
    growing &= row is not None and not row.step_length
    growing &= lengths[:, -1] >= 0.5
    travelled = np.abs((x - e.starts[rows]) / e.objective.widths).max(axis=1)
    away = (beyond > 1) & (travelled > 1) & (lengths[:, -1] >= 0.5 * lengths[:, 0])
    j.outcomes[rows[(growing & turns_back(e, rows)) | away]] = "diverged"
