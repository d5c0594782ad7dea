"""One chunk of a survey: a range of starts, descended and judged.

A chunk depends on the job and the numbers of its starts alone, to the bit: not on the process,
the machine's load, or what was done before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.batch import run_ends
from descentlab.descent import Setup, ending_of
from descentlab.engine import Ends, Progress, Rows, Trace
from descentlab.objective import Objective
from descentlab.stationary import classify, directions, is_constant_around, polish
from descentlab.survey.places import KINDS, SPREAD, group, lowest_of, number_minima, spread_cells
from descentlab.survey.starts import Starts
from descentlab.verdict import ARRIVED, OUTCOMES, Ending, judge

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Array = NDArray[np.float64]

# The survey's outcomes: those of a verdict, and one for a start that kills the process that descends from it.
CRASHED = "crashed"
SURVEY_OUTCOMES = (*OUTCOMES, CRASHED)
# Ends are judged a cell at a time: cells this long, in box sides, are half of what counts as arrived.
CELL = ARRIVED / 2
# Ends in single precision scatter more: cells they are polished from, and how far they may be moved.
ROUGH_CELL, ROUGH_NEAR = 1e-4, 1e-3


@dataclass(frozen=True)
class Job:
    """What every chunk of a survey has in common. value_scale: how much f varies over the box."""

    setup: Setup
    starts: Starts
    value_scale: float

    @property
    def objective(self) -> Objective:
        return self.setup.method.objective


@dataclass(frozen=True)
class Places:
    """Minima, and points all over those that are sets: points (place, dim), values and kinds (place,),
    indices into KINDS."""

    points: Float[np.ndarray, "place dim"]
    values: Float[np.ndarray, " place"]
    kinds: Int[np.ndarray, " place"]


@dataclass(frozen=True)
class Chunk:
    """What became of the starts from number `first` on.

    starts, ends (start, dim); values, slopes (start,): f and the norm of its gradient over the
    coordinates not held at a bound, at the end; outcomes (start,), indices into SURVEY_OUTCOMES;
    taken (start,): steps; reached (start,): the index of the minimum among `places`, −1 for none.
    """

    first: int
    starts: Float[np.ndarray, "start dim"]
    ends: Float[np.ndarray, "start dim"]
    values: Float[np.ndarray, " start"]
    slopes: Float[np.ndarray, " start"]
    outcomes: Int[np.ndarray, " start"]
    taken: Int[np.ndarray, " start"]
    reached: Int[np.ndarray, " start"]
    places: Places


def run_chunk(job: Job, first: int, count: int, cores: int = 1, progress: Progress | None = None) -> Chunk:
    """Descend from the starts number first … first + count − 1, and judge where they ended."""
    setup = job.setup
    starts = job.starts.points(first, count)
    rows = Rows(starts, np.full(count, setup.base_rate), np.full(count, setup.steps))
    ends = run_ends(setup.method, rows, setup.tolerance, progress, cores)
    with np.errstate(all="ignore"):
        if setup.method.precision == "float32":
            ends = _polished(setup, rows, ends)
        found = _judge_ends(job, rows, ends)
        reached, places = _distinct(job, found)
        ending = _ending(setup, rows, ends)
        values, slopes = ending.values, ending.slope
    return Chunk(first, starts, ends.points, values, slopes, found.outcomes, ends.taken, reached, places)


@dataclass(frozen=True)
class _Found:
    """Per row: its outcome's index, its kind of minimum's index or −1, and the place, NaN for none."""

    outcomes: NDArray[np.int8]
    kinds: NDArray[np.int8]
    places: Array


def _judge_ends(job: Job, rows: Rows, ends: Ends) -> _Found:
    """Judge all rows: those that came to rest a cell at a time, the others one by one."""
    count, dim = ends.points.shape
    found = _Found(np.full(count, -1, np.int8), np.full(count, -1, np.int8), np.full((count, dim), np.nan))
    _judge_cells(job, rows, ends, found)
    left = np.flatnonzero(found.outcomes < 0)
    if left.size:
        judgement = judge(_slow_ending(job.setup, rows, ends, left))
        found.outcomes[left] = _code(judgement.outcomes, OUTCOMES)
        found.kinds[left] = _kinds(judgement.outcomes, judgement.kinds)
        found.places[left] = judgement.places
    _settle_bounds(job, found)
    _settle_flats(job, found)
    return found


def _settle_bounds(job: Job, found: _Found) -> None:
    """Look again at minima on the boundary with a bound that hardly holds them: f need not rise inward.

    Where a flat set meets the boundary the slope is zero there, and a rounding error looks like a small one.
    """
    rows = np.flatnonzero(found.kinds == KINDS.index("boundary"))
    if not rows.size:
        return
    f = job.objective
    first, inverse = group(found.places[rows])
    x = found.places[rows[first]]
    low, high = f.domain.T
    slope = f.gradient(x) * f.widths
    # The root of the slope is as good as on the bound.
    bend = np.abs(np.einsum("nii->ni", f.hessian(x))) * f.widths**2
    slack = ((x <= low) | (x >= high)) & (np.abs(slope) <= ARRIVED * bend)
    held = ~slack & (((x <= low) & (slope > 0)) | ((x >= high) & (slope < 0)))
    again = np.flatnonzero(slack.any(axis=1))
    kinds = classify(f, x[again], ~held[again]).kinds
    for word in ("degenerate", "saddle"):
        at = rows[np.isin(inverse, again[kinds == word])]
        found.kinds[at] = -1
        if word == "degenerate":
            found.outcomes[at] = OUTCOMES.index("degenerate")


def _settle_flats(job: Job, found: _Found) -> None:
    """Tell which degenerate points, in the box or on its boundary, are flat minima, and which the rim of a
    plateau."""
    f, clip = job.objective, job.setup.method.bounds == "clip"
    degenerate, at_bound = OUTCOMES.index("degenerate"), OUTCOMES.index("at_bound")
    open_ = (found.kinds < 0) & np.isfinite(found.places).all(axis=1)
    rows = np.flatnonzero(open_ & np.isin(found.outcomes, (degenerate, at_bound)))
    if not rows.size:
        return
    first, inverse = group(found.places[rows])
    flat = rows[_nothing_lower(f, found.places[rows[first]], clip)[inverse]]
    found.kinds[flat], found.outcomes[flat] = KINDS.index("flat"), degenerate
    here = found.outcomes[rows] == degenerate
    rim = rows[here & _beside_plateau(f, found.places[rows[first]])[inverse]]
    found.kinds[rim], found.outcomes[rim] = -1, OUTCOMES.index("plateau")


def _judge_cells(job: Job, rows: Rows, ends: Ends, found: _Found) -> None:
    """Judge the rows at rest by the middles of the cells they are in.

    A cell's verdict depends on the cell alone, so what a row is told does not depend on the other
    rows. It holds for every row of the cell close enough to the place found.
    """
    resting = np.flatnonzero(ends.ended & np.isfinite(ends.points).all(axis=1))
    if not resting.size:
        return
    x = ends.points[resting]
    middles, first, inverse = _cells(job.setup, x, CELL)
    some = resting[first]
    same = Rows(middles, rows.rates[some], rows.steps[some])
    judgement = judge(_ending(job.setup, same, replace(ends, points=middles, taken=ends.taken[some])))
    settled = np.isin(judgement.outcomes, ("minimum", "maximum", "saddle", "kink", "at_bound"))
    settled &= np.isfinite(judgement.places).all(axis=1)
    place = judgement.places[inverse]
    good = settled[inverse] & (np.abs((place - x) / job.objective.widths).max(axis=1) <= ARRIVED)
    at = resting[good]
    found.outcomes[at] = _code(judgement.outcomes, OUTCOMES)[inverse[good]]
    found.kinds[at] = _kinds(judgement.outcomes, judgement.kinds)[inverse[good]]
    found.places[at] = place[good]


def _cells(setup: Setup, x: Array, size: float) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """Put the points x (row, dim) into cells, `size` box sides long; return the cells' middles (cell, dim), the
    first row of each, and the cell of every row.

    Under bounds="clip" points on the box's edge are in cells of their own, with middles on that edge.
    """
    f = setup.method.objective
    low, high = f.domain.T
    edge = np.where(x <= low, 1, 0) + np.where(x >= high, 2, 0)
    edge *= setup.method.bounds == "clip"
    cells = np.round((x - low) / f.widths / size)
    first, inverse = group(np.concatenate([cells, edge], axis=1))
    middles = low + cells[first] * size * f.widths
    middles = np.where(edge[first] == 1, low, np.where(edge[first] == 2, high, middles))
    return middles, first, inverse


def _polished(setup: Setup, rows: Rows, ends: Ends) -> Ends:
    """Return the ends of a descent in single precision, polished by Newton's method in double."""
    f = setup.method.objective
    low, high = f.domain.T
    x = ends.points
    if setup.method.bounds == "clip":  # bounds are rounded in single precision
        x = np.where(x <= low.astype(np.float32), low, np.where(x >= high.astype(np.float32), high, x))
    middles, first, inverse = _cells(setup, np.nan_to_num(x, posinf=0.0, neginf=0.0), ROUGH_CELL)
    some = Rows(middles, rows.rates[first], rows.steps[first])
    held = _ending(setup, some, replace(ends, points=middles, taken=ends.taken[first])).held
    place, found = polish(f, middles, ~held)
    near = np.abs((place[inverse] - x) / f.widths).max(axis=1) <= ROUGH_NEAR
    lower = f.value(place)[inverse] <= f.value(x)
    # At rest: ended, or moving no more than single precision's rounding.
    rest = ends.ended.copy()
    rounding = 16 * np.finfo(np.float32).eps * np.abs(x[~ends.ended])
    rest[~ends.ended] = (np.ptp(ends.tails, axis=1) <= rounding).all(axis=1)
    good = found[inverse] & near & lower & rest
    points = np.where(good[:, None], place[inverse], x)
    still = good[~ends.ended]
    return Ends(points, ends.taken, ends.ended | good, ends.tails[~still], ends.tail_rates[~still])


def _ending(setup: Setup, rows: Rows, ends: Ends) -> Ending:
    """Return what a verdict needs of rows of which only the ends are known."""
    trace = Trace(ends.points[:, None], np.empty((len(ends.points), 0)), ends.taken)
    return ending_of(setup, rows, trace)


def _slow_ending(setup: Setup, rows: Rows, ends: Ends, which: NDArray[np.int64]) -> Ending:
    """Return what a verdict needs of these rows, last steps included."""
    order = np.cumsum(~ends.ended) - 1
    left = order[which[~ends.ended[which]]]
    some = Ends(
        ends.points[which], ends.taken[which], ends.ended[which], ends.tails[left], ends.tail_rates[left]
    )
    mine = Rows(rows.starts[which], rows.rates[which], rows.steps[which])
    return ending_of(setup, mine, some.trace())


def _code(words: NDArray[np.str_], known: tuple[str, ...]) -> NDArray[np.int8]:
    """Return each word's index in `known`."""
    codes = np.full(len(words), -1, np.int8)
    for code, word in enumerate(known):
        codes[words == word] = code
    return codes


def _kinds(outcomes: NDArray[np.str_], kinds: NDArray[np.str_]) -> NDArray[np.int8]:
    """Return the index of the kind of minimum, −1 for none; flat ones are told later."""
    found = np.full(len(outcomes), -1, np.int8)
    found[outcomes == "minimum"] = KINDS.index("interior")
    found[outcomes == "kink"] = KINDS.index("kink")
    found[(outcomes == "at_bound") & (kinds == "minimum")] = KINDS.index("boundary")
    return found


def _nothing_lower(objective: Objective, x: Array, clip: bool) -> NDArray[np.bool_]:
    """Tell where f is nowhere lower than f(x), on many sides and at three distances from x – within the
    box, if `clip`."""
    value = objective.value(x)
    low, high = objective.domain.T if clip else (-np.inf, np.inf)
    along = directions(objective.dim, random=32)

    def around(distance: float) -> tuple[Array, Array]:
        """Return how far f falls and how much it changes at most, that far away."""
        fall, change = np.zeros(len(x)), np.zeros(len(x))
        for each in along:
            rise = objective.value(np.clip(x + distance * objective.widths * each, low, high)) - value
            fall, change = np.fmax(fall, -rise), np.fmax(change, np.abs(rise))
        return fall, change

    # Around a degenerate point f changes by its rounding only, so near it. x is known to the 1e-9th of a side.
    noise = 4 * around(1e-9)[1] + 1e-15 * np.abs(value)
    flat = np.isfinite(value)
    for distance in (1e-4, 1e-3, 1e-2):
        fall, change = around(distance)
        flat &= fall <= 1e-9 * change + noise
    return np.asarray(flat)


def _beside_plateau(objective: Objective, x: Array) -> NDArray[np.bool_]:
    """Tell where f is constant around a point 1/100 of the sides away, and as high there as at x."""
    value, beside = objective.value(x), np.zeros(len(x), bool)
    for each in directions(objective.dim):
        there = x + 1e-2 * objective.widths * each
        level = np.flatnonzero(~beside & (np.abs(objective.value(there) - value) <= 1e-9 * np.abs(value)))
        beside[level] = is_constant_around(objective, there[level])
    return beside


def _distinct(job: Job, found: _Found) -> tuple[NDArray[np.int32], Places]:
    """Return which place each row reached, and the places."""
    f = job.objective
    reached = np.full(len(found.kinds), -1, np.int32)
    points, values, kinds = [np.empty((0, f.dim))], [np.empty(0)], [np.empty(0, np.int8)]
    count = 0
    for code, kind in enumerate(KINDS):
        rows = np.flatnonzero(found.kinds == code)
        if not rows.size:
            continue
        first, inverse = group(found.places[rows])
        places = found.places[rows[first]]
        heights = f.value(places)
        labels = number_minima(f, places, heights, kind, job.value_scale)
        if kind in SPREAD:
            labels = spread_cells(places, labels, f.widths)
        best = lowest_of(places, heights, labels)
        reached[rows] = count + labels[inverse]
        count += len(best)
        points.append(places[best])
        values.append(heights[best])
        kinds.append(np.full(len(best), code, np.int8))
    return reached, Places(np.concatenate(points), np.concatenate(values), np.concatenate(kinds))
