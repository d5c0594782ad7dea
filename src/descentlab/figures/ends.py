"""Drawing data of surveys: where the starts ended, how low, and after how many steps."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.figures.results import short, where
from descentlab.figures.tracks import evenly

if TYPE_CHECKING:
    from descentlab.survey import Survey

Array = NDArray[np.float64]

# A picture has no room for more.
MOST_LEVELS, MOST_LINES, MOST_AXES, MOST_NAMED, MOST_DOTS = 600, 400, 16, 6, 4000
# Heights that span more than this are drawn by their logarithm.
SPAN = 300.0
# What ends as this has no value worth drawing.
GONE = ("diverged", "nonfinite", "left_domain", "crashed")


@dataclass(frozen=True)
class Heights:
    """How values become heights in a picture: as they are, or by the logarithm above the lowest.

    lowest: the value that heights count from; log: whether by logarithm; floor: the height, as a power
    of ten, at which the lowest itself is drawn.
    """

    lowest: float
    log: bool
    floor: float

    def __call__(self, values: Array) -> Array:
        if not self.log:
            return np.asarray(values, float)
        with np.errstate(divide="ignore"):
            return np.maximum(np.log10(np.maximum(np.asarray(values) - self.lowest, 0.0)), self.floor)


@dataclass(frozen=True)
class Waterfall:
    """All starts, sorted by the value at which they ended, as steps.

    edges (level + 1,): shares of the starts, from 0; values (level,); minima (level,): the rank of the
    minimum reached, −1 for none. lost: the share of starts that diverged or ended where f is not finite.
    plateaus: the widest, as (first level, last level, share, number of minima), from the lowest up; what
    the picture cannot tell apart is one.
    """

    edges: Array
    values: Array
    minima: NDArray[np.int64]
    heights: Heights
    lost: float
    plateaus: tuple[tuple[int, int, float, int], ...]


@dataclass(frozen=True)
class StepCounts:
    """How many steps starts took. edges (bin + 1,): numbers of steps; shares (group, bin), of all starts;
    colours: each group's place among the colours of minima, −1 for the rest and for other outcomes; labels;
    outcomes: "" for minima."""

    edges: Array
    shares: Array
    colours: tuple[int, ...]
    labels: tuple[str, ...]
    outcomes: tuple[str, ...]
    log: bool


@dataclass(frozen=True)
class Parallel:
    """The minima as lines over the coordinates, the highest first. places (line, axis): 0 … 1 from the
    low to the high bound; names of the axes, their bounds (axis, 2); values, shares (line,)."""

    places: Array
    axes: tuple[int, ...]
    bounds: Array
    values: Array
    shares: Array
    heights: Heights
    left_out: int


@dataclass(frozen=True)
class Fates:
    """Starts and how they ended: points (start, dim), outcomes (start,), and the shares of all starts."""

    points: Array
    outcomes: NDArray[np.str_]
    shares: dict[str, float]


@dataclass(frozen=True)
class BestOf:
    """What n restarts find. restarts (n,): 1 up to where the best is all but certain; expected (n,): the
    expected lowest value; low, high (n,): its 5 % and 95 % quantiles, infinite where no minimum is found
    that surely; probability (n,): of reaching the lowest value of the survey."""

    restarts: NDArray[np.int64]
    expected: Array
    low: Array
    high: Array
    probability: Array
    heights: Heights


def heights_of(values: Array, lowest: float, grain: float) -> Heights:
    """Choose how to draw `values`: by logarithm where their heights above `lowest` span decades.

    Heights below `grain` count as none.
    """
    above = np.asarray(values, float) - lowest
    above = above[np.isfinite(above) & (above > grain)]
    log = bool(above.size > 1 and above.max() / above.min() > SPAN)
    floor = float(np.floor(np.log10(above.min())) - 0.5) if log else 0.0
    return Heights(lowest, log, floor)


def waterfall(survey: Survey, most: int = MOST_LEVELS) -> Waterfall:
    """Return all starts sorted by their end values."""
    values, weights, minima = _levels(survey)
    order = np.lexsort([minima, values])
    values, weights, minima = values[order], weights[order], minima[order]
    lowest = float(values[0]) if values.size else 0.0
    heights = heights_of(values, lowest, survey.same_value)
    lost = _lost(survey)
    edges = np.concatenate([[0.0], np.cumsum(weights)])
    if len(values) > most:
        # Only narrow steps go: those within one of `most` equal parts that the picture cannot tell apart.
        kept = np.unique(np.searchsorted(edges[1:], np.linspace(0, edges[-1], most), side="left"))
        kept = np.unique(np.clip(np.append(kept, 0), 0, len(values) - 1))
        edges = np.append(edges[kept], edges[-1])
        values, minima = values[kept], minima[kept]
    equal = int((values - lowest <= survey.same_value).sum())
    plateaus = _plateaus(edges, heights(values), minima, equal)
    return Waterfall(edges, values, minima, heights, lost, plateaus)


def _lost(survey: Survey) -> float:
    """Return the share of starts without a value to draw."""
    none = survey.assignment < 0
    drawn = set(np.unique(survey.end_outcomes[none & np.isfinite(survey.values)])) - set(GONE)
    return sum(n for outcome, n in survey.elsewhere.items() if outcome not in drawn) / survey.starts_count


def _levels(survey: Survey) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return values, shares of the starts and ranks of minima: one entry a minimum or other start."""
    values = [np.array([m.value for m in survey.minima])]
    weights = [np.array([m.share for m in survey.minima])]
    minima = [np.arange(len(survey.minima))]
    for outcome, count in survey.elsewhere.items():
        rows = np.flatnonzero((survey.assignment < 0) & (survey.end_outcomes == outcome))
        rows = rows[np.isfinite(survey.values[rows])]
        if outcome in GONE or not rows.size:
            continue
        values.append(survey.values[rows])
        weights.append(np.full(len(rows), count / len(rows) / survey.starts_count))
        minima.append(np.full(len(rows), -1))
    return np.concatenate(values), np.concatenate(weights), np.concatenate(minima).astype(np.int64)


def _plateaus(
    edges: Array, heights: Array, minima: NDArray[np.int64], lowest: int, most: int = 9, least: float = 0.02
) -> tuple[tuple[int, int, float, int], ...]:
    """Return the widest plateaus of minima, as high as each other to a hundredth of the picture; the
    `lowest` levels, which are equally good, are always one."""
    grain = 0.01 * float(np.ptp(heights)) if len(heights) else 0.0
    found = []
    first = 0
    for last in range(len(heights)):
        together = last + 1 < len(heights) and heights[last + 1] - heights[last] <= grain
        if last + 1 < lowest or (together and last + 1 != lowest):
            continue
        at = minima[first : last + 1]
        if (at >= 0).all():
            found.append((first, last, float(edges[last + 1] - edges[first]), len(np.unique(at))))
        first = last + 1
    wide = sorted((p for p in found[1:] if p[2] >= least), key=lambda p: -p[2])[: most - 1]
    return tuple(found[:1] + sorted(wide))


def best_of(survey: Survey, points: int = 80) -> BestOf:
    """Return what to expect of n restarts, n from 1 up to where the best is reached almost surely.

    Raises InputError if no start reached a minimum.
    """
    if not survey.minima:
        raise InputError("No start reached a minimum, so no number of restarts finds one.")
    # More restarts than there were starts: of those the survey knows too little.
    last = max(min(2 * (survey.restarts_for(0.99) or 1), survey.starts_count), 10)
    n = np.unique(np.geomspace(1, last, points).round().astype(np.int64))
    low, high = survey.best_of_quantiles(n, (0.05, 0.95))
    values = np.array([m.value for m in survey.minima])
    heights = heights_of(values, float(values[0]), survey.same_value)
    return BestOf(n, survey.best_of(n), low, high, survey.chance_of_best(n), heights)


def step_counts(survey: Survey, bins: int = 40) -> StepCounts:
    """Return a histogram of the steps taken, by the minimum reached or how the others ended."""
    taken = np.asarray(survey.taken, float)
    # One start in a thousand may lie below the first bin, and is counted in it.
    low, high = max(float(np.quantile(taken, 0.001)), 1.0), float(max(taken.max(), 1.0))
    log = high / low >= 20
    edges = _edges(low, high, bins, log)
    groups = _groups(survey)
    none = survey.assignment < 0
    groups += [(none & (survey.end_outcomes == o), -1, o.replace("_", " "), o) for o in survey.elsewhere]
    counts = [np.histogram(np.clip(taken[rows], edges[0], edges[-1]), edges)[0] for rows, *_ in groups]
    shares = np.array(counts, float).reshape(len(groups), len(edges) - 1) / max(len(taken), 1)
    return StepCounts(
        edges,
        shares,
        tuple(rank for _, rank, _, _ in groups),
        tuple(label for _, _, label, _ in groups),
        tuple(outcome for *_, outcome in groups),
        log,
    )


def _groups(survey: Survey) -> list[tuple[NDArray[np.bool_], int, str, str]]:
    """Return rows, first rank, label and outcome of the minima, one by one, or by value if they are many."""
    minima = survey.minima
    if len(minima) <= MOST_NAMED:
        names = [f"f = {short(_tidy(survey, m.value))} at {where(m.point, 2)}" for m in minima]
        return [(survey.assignment == i, i, name, "") for i, name in enumerate(names)]
    values = np.array([m.value for m in minima])
    first = np.flatnonzero(np.diff(values, prepend=-np.inf) > survey.same_value)
    groups: list[tuple[NDArray[np.bool_], int, str, str]] = []
    for a, b in itertools.pairwise([*first.tolist(), len(values)][: MOST_NAMED + 1]):
        several = f" ({b - a:,} minima)" if b - a > 1 else ""
        rows = (survey.assignment >= a) & (survey.assignment < b)
        groups.append((rows, len(groups), f"f = {short(_tidy(survey, values[a]))}{several}", ""))
    if len(first) > MOST_NAMED:
        rest = int(first[MOST_NAMED])
        groups.append((survey.assignment >= rest, -1, f"{len(values) - rest:,} higher minima", ""))
    return groups


def _tidy(survey: Survey, value: float) -> float:
    return 0.0 if abs(value) < 1e-9 * survey.value_scale else float(value)


def _edges(low: float, high: float, bins: int, log: bool) -> Array:
    """Return edges halfway between whole numbers, evenly spaced or by equal factors."""
    between = np.geomspace(low, high + 1, bins + 1) if log else np.linspace(low, high + 1, bins + 1)
    return np.unique(np.round(between)) - 0.5


def parallel(survey: Survey) -> Parallel:
    """Return the minima's coordinates, those most often reached if there are very many."""
    f = survey.objective
    shares = np.array([m.share for m in survey.minima])
    often = np.argsort(-shares, kind="stable")[: MOST_LINES - len(survey.best_ones[:MOST_LINES])]
    kept = np.union1d(often, np.array(survey.best_ones[:MOST_LINES], np.int64)).astype(np.int64)[::-1]
    points = np.array([m.point for m in survey.minima]).reshape(-1, f.dim)[kept]
    values = np.array([m.value for m in survey.minima])[kept]
    axes = evenly(f.dim, MOST_AXES)
    places = (points - f.domain[:, 0]) / f.widths
    lowest = float(values.min(initial=np.inf))
    return Parallel(
        places[:, axes],
        tuple(int(a) for a in axes),
        f.domain[axes],
        values,
        shares[kept],
        heights_of(values, lowest, survey.same_value),
        len(survey.minima) - len(kept),
    )


def fates(survey: Survey) -> Fates:
    """Return starts and their outcomes; of very many a part of each outcome, none left out."""
    rows = evenly(len(survey.start_points), MOST_DOTS)
    for outcome in survey.outcomes:
        some = np.flatnonzero(survey.end_outcomes == outcome)
        rows = np.union1d(rows, some[evenly(len(some), 50)] if some.size else some)
    shares = {name: count / survey.starts_count for name, count in survey.outcomes.items()}
    return Fates(survey.start_points[rows], survey.end_outcomes[rows], shares)
