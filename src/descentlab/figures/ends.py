"""Drawing data of surveys: where the starts ended, how low, and after how many steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.figures.tracks import evenly

if TYPE_CHECKING:
    from descentlab.survey import Survey

Array = NDArray[np.float64]

# A picture has no room for more.
MOST_LEVELS, MOST_LINES, MOST_AXES, MOST_NAMED, MOST_DOTS = 1500, 400, 16, 6, 4000
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
    plateaus: the widest, as (first level, last level, share, number of minima), from the lowest up.
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
    minima: the rank of each group's minimum, −1 for several or none; labels; outcomes: "" for minima."""

    edges: Array
    shares: Array
    minima: tuple[int, ...]
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
    drawn = float(weights.sum())
    grain = survey.same_value
    lowest = float(values[0]) if values.size else 0.0
    heights = heights_of(values, lowest, grain)
    edges = np.concatenate([[0.0], np.cumsum(weights)])
    if len(values) > most:
        # Only narrow steps go: those within one of `most` equal parts that the picture cannot tell apart.
        kept = np.unique(np.searchsorted(edges[1:], np.linspace(0, edges[-1], most), side="left"))
        kept = np.unique(np.clip(np.append(kept, 0), 0, len(values) - 1))
        edges = np.append(edges[kept], edges[-1])
        values, minima = values[kept], minima[kept]
    return Waterfall(edges, values, minima, heights, max(0.0, 1.0 - drawn), _plateaus(edges, values, minima, grain))


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
    edges: Array, values: Array, minima: NDArray[np.int64], grain: float, most: int = 9, least: float = 0.02
) -> tuple[tuple[int, int, float, int], ...]:
    """Return the widest plateaus of equal value at minima; the lowest is always one."""
    found = []
    first = 0
    for last in range(len(values)):
        if last + 1 < len(values) and values[last + 1] - values[last] <= grain:
            continue
        at = minima[first : last + 1]
        if (at >= 0).all():
            found.append((first, last, float(edges[last + 1] - edges[first]), len(np.unique(at))))
        first = last + 1
    wide = sorted((p for p in found[1:] if p[2] >= least), key=lambda p: -p[2])[: most - 1]
    return tuple(found[:1] + sorted(wide))


def step_counts(survey: Survey, bins: int = 40) -> StepCounts:
    """Return a histogram of the steps taken, by the minimum reached or how the others ended."""
    taken = np.asarray(survey.taken, float)
    low, high = max(float(taken.min(initial=1.0)), 1.0), float(max(taken.max(initial=1.0), 1.0))
    log = high / low >= 20
    edges = _edges(low, high, bins, log)
    groups = [(survey.assignment == i, i, "", "") for i in range(min(len(survey.minima), MOST_NAMED))]
    if len(survey.minima) > MOST_NAMED:
        groups.append((survey.assignment >= MOST_NAMED, -1, f"{len(survey.minima) - MOST_NAMED:,} higher minima", ""))
    none = survey.assignment < 0
    groups += [(none & (survey.end_outcomes == o), -1, "", o) for o in survey.elsewhere]
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
