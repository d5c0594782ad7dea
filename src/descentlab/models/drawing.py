"""Drawing data of ensembles and widenings: what is in a picture, worked out before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.models.endings import ENDINGS
from descentlab.models.endings_look import NEAR
from descentlab.survey.statistics import best_of_quantiles, chance_of_best, unseen_share, wilson

if TYPE_CHECKING:
    from descentlab.models.ensemble import Ensemble
    from descentlab.models.widen import Widening

Array = NDArray[np.float64]

MOST_CURVES, MOST_POINTS, MOST_MARKS, MOST_BARS = 100, 2000, 8, 12
# Losses are drawn on a logarithmic axis from this ratio on, and no more than so many decades of them.
RATIO, DECADES = 30.0, 12.0
# How a run came out, as far as the loss tells.
FATES = ("solved", "stuck", "diverged")


@dataclass(frozen=True)
class Scale:
    """An axis of losses: its limits, and whether it is logarithmic; what lies below `low` is drawn there."""

    low: float
    high: float
    log: bool

    def clipped(self, losses: Array) -> Array:
        """Return losses with what is below a logarithmic axis put on its foot; NaN where not finite."""
        seen = np.where(np.isfinite(losses), losses, np.nan)
        return np.maximum(seen, self.low) if self.log else seen


@dataclass(frozen=True)
class Fate:
    """How many runs came out so: share of all runs, and its Wilson interval."""

    name: str
    runs: int
    share: float
    share_interval: tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """One level: the median loss of its runs, their lowest and highest, their number and share, and its fate."""

    loss: float
    low: float
    high: float
    runs: int
    share: float
    share_interval: tuple[float, float]
    fate: str


@dataclass(frozen=True)
class LossCurves:
    """The curves drawn. rows (curve,): which runs; losses (curve, record), NaN from where a run broke; fates (curve,);
    marks: the levels with most runs, lowest first; more_levels: how many others there are, with so many runs."""

    steps: NDArray[np.int64]
    rows: NDArray[np.int64]
    losses: Array
    fates: NDArray[np.str_]
    shares: tuple[Fate, ...]
    marks: tuple[Mark, ...]
    more_levels: int
    more_runs: int
    scale: Scale


def loss_quantiles(
    e: Ensemble, levels: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)
) -> dict[float, Array]:
    """Return quantiles over the runs of the loss at every recorded step, (record,) each; a run that broke counts as
    infinitely high from there on."""
    known = np.where((e.recorded <= e.taken[:, None]) & np.isfinite(e.losses), e.losses, np.inf)
    return {level: np.quantile(known, level, axis=0, method="inverted_cdf") for level in levels}


def scale_of(losses: Array) -> Scale:
    """Return the axis that shows the finite ones of these losses: logarithmic if they are positive and far apart.

    >>> scale_of(np.array([1e-4, 0.5])).log, scale_of(np.array([0.1, 0.5])).log, scale_of(np.array([-1e-4, 0.5])).log
    (True, False, False)
    """
    seen = losses[np.isfinite(losses)]
    if not seen.size:
        return Scale(0.0, 1.0, False)
    low, high = float(seen.min()), float(seen.max())
    positive = seen[seen > 0]
    if low < 0 or not positive.size or high < RATIO * max(low, 1e-300):
        return Scale(low, high if high > low else low + (abs(low) or 1.0), False)
    foot = low or float(positive.min()) / 10  # a loss of exactly zero stands a decade below the others
    return Scale(max(foot, high * 10.0**-DECADES), high, True)


def fates_of(e: Ensemble) -> NDArray[np.str_]:
    """Return how every run came out, (run,): one of FATES."""
    return np.select([e.diverged, e.is_solved], ["diverged", "solved"], "stuck")


def curves(e: Ensemble, most: int = MOST_CURVES) -> LossCurves:
    """Return the loss curves: of many runs `most`, evenly over their final losses, and of every level at least one."""
    fates, final = fates_of(e), np.where(e.diverged, np.inf, e.losses[:, -1])
    rows = np.argsort(final, kind="stable")
    if e.runs > most:
        kept = rows[np.linspace(0, e.runs - 1, most).round().astype(int)]
        groups = np.where(e.diverged, -1, e.level_of)
        kept = np.concatenate([kept, _missing(groups, rows, kept)])
        rows = kept
    losses = np.where(e.recorded <= e.taken[rows, None], e.losses[rows], np.nan)
    counts = [(name, int((fates == name).sum())) for name in FATES]
    shares = tuple(Fate(name, n, n / e.runs, wilson(n, e.runs)) for name, n in counts if n)
    marks = _marks(e, fates)
    more = [level.runs for level in e.levels]
    return LossCurves(
        e.recorded,
        rows,
        losses,
        fates[rows],
        shares,
        marks,
        len(e.levels) - len(marks),
        sum(more) - sum(mark.runs for mark in marks),
        _curve_scale(e, losses[fates[rows] != "diverged"]),
    )


def _curve_scale(e: Ensemble, losses: Array) -> Scale:
    """Return the axis of the curves: all of them on a logarithmic one; on a linear one high beginnings are cut."""
    first, final = e.losses[:, 0], e.final_losses
    scale = scale_of(np.concatenate([losses.ravel(), first, final]))
    if scale.log:
        return scale
    typical = float(np.median(first[np.isfinite(first)])) if np.isfinite(first).any() else scale.high
    top = max([typical, *final[np.isfinite(final)].tolist()])
    far = scale.high > scale.low + 2 * (top - scale.low) > scale.low
    return Scale(scale.low, top if far else scale.high, False)


def _missing(
    groups: NDArray[np.int64], order: NDArray[np.int64], kept: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the first run, in this order, of each of the larger groups of which no run is kept."""
    seen = {int(group) for group in groups[kept]}
    names, first, counts = np.unique(groups[order], return_index=True, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[: MOST_MARKS + 1]
    return order[[int(first[i]) for i in largest if int(names[i]) not in seen]].astype(np.int64)


def _marks(e: Ensemble, fates: NDArray[np.str_]) -> tuple[Mark, ...]:
    """Return the levels that most runs reach, lowest first."""
    kept = sorted(sorted(range(len(e.levels)), key=lambda i: -e.levels[i].runs)[:MOST_MARKS])
    marks = []
    for i in kept:
        level, mine = e.levels[i], e.level_of == i
        losses = e.losses[mine, -1]
        solved = float((fates[mine] == "solved").mean()) >= 0.5
        marks.append(
            Mark(
                float(np.median(losses)),
                float(losses.min()),
                float(losses.max()),
                level.runs,
                level.share,
                level.share_interval,
                "solved" if solved else "stuck",
            )
        )
    return tuple(marks)


@dataclass(frozen=True)
class BestOf:
    """What n runs find, n (n,): the expected lowest loss, its 5 and 95 % quantiles (infinite where more tries
    diverge), and the chance of a solution; needed: how many runs make it 95 %, with its interval."""

    n: NDArray[np.int64]
    expected: Array
    low: Array
    high: Array
    chance: Array
    needed: int | None
    needed_interval: tuple[int, int | None]
    scale: Scale


def best_of(e: Ensemble, points: int = 60) -> BestOf | None:
    """Return what to expect of n runs, up to where a solution is almost sure; None if every run diverged."""
    final = e.final_losses[np.isfinite(e.final_losses)]
    if not final.size:
        return None
    # Of more runs than there were the ensemble knows too little.
    last = max(min(2 * (e.restarts_for(0.99) or e.runs), e.runs), 10)
    n = np.unique(np.geomspace(1, last, points).round().astype(np.int64))
    low, high = best_of_quantiles(final, np.ones(len(final), int), e.runs, n, (0.05, 0.95))
    expected = e.best_of(n)
    chance = chance_of_best(e.share_solved, n)
    seen = np.concatenate([expected, low, high])
    return BestOf(
        n, expected, low, high, chance, e.restarts_for(0.95), e.restarts_interval(0.95), scale_of(seen)
    )


@dataclass(frozen=True)
class EndingPoints:
    """counts: how many runs ended how, the best first. Of the runs drawn, (point,): losses at the end of training,
    ratios of the smallest to the largest Hessian eigenvalue, endings, and far: Newton's method came to these
    eigenvalues at another place, so that they say nothing of where training ended."""

    counts: tuple[Fate, ...]
    losses: Array
    ratios: Array
    endings: NDArray[np.str_]
    far: NDArray[np.bool_]
    scale: Scale


def ending_points(e: Ensemble, most: int = MOST_POINTS) -> EndingPoints:
    """Return how the runs ended, and how their curvature goes with their losses."""
    judged = e.endings
    counts = [(name, e.outcomes.get(name, 0)) for name in ENDINGS]
    fates = tuple(Fate(name, n, n / e.runs, wilson(n, e.runs)) for name, n in counts)
    known = np.flatnonzero(np.isfinite(judged.smallest) & np.isfinite(e.final_losses))
    rows = known[np.argsort(e.final_losses[known], kind="stable")]
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    sizes = np.maximum(np.abs(judged.largest), np.abs(judged.smallest))[rows]
    ratios = judged.smallest[rows] / np.where(sizes > 0, sizes, 1.0)
    losses = e.final_losses[rows]
    return EndingPoints(
        fates, losses, ratios, judged.outcomes[rows], judged.moved[rows] > NEAR, scale_of(losses)
    )


@dataclass(frozen=True)
class Solutions:
    """Distinct solutions, told apart by "function" or "weights". runs, losses, solved (solution,): how many runs found
    each and at what loss, those found most often first; more, more_runs: what is not listed; once: how many were
    found once; unseen: the share of further runs that would find yet another one (Good 1953)."""

    by: str
    distinct: int
    runs: NDArray[np.int64]
    losses: Array
    solved: NDArray[np.bool_]
    more: int
    more_runs: int
    once: int
    unseen: float


def solutions(e: Ensemble, most: int = MOST_BARS) -> Solutions:
    """Return the distinct solutions that runs found: by function, or by weights for a model that has only a loss."""
    by = "weights" if e.data is None or e.problem.module is None else "function"
    numbers = e.distinct(by)
    hits = np.bincount(numbers[numbers >= 0])
    order = np.argsort(-hits, kind="stable")
    shown = order[:most]
    losses = [float(np.median(e.final_losses[numbers == i])) for i in shown]
    solved = [bool(e.is_solved[numbers == i].mean() >= 0.5) for i in shown]
    return Solutions(
        by,
        len(hits),
        hits[shown],
        np.array(losses, float),
        np.array(solved, bool),
        len(hits) - len(shown),
        int(hits[order[most:]].sum()),
        int((hits == 1).sum()),
        unseen_share(hits, e.runs),
    )


@dataclass(frozen=True)
class Widths:
    """A widening. shares, low, high (width,): the share solved and its interval; costs (width,) with cost_low and
    cost_high, from the interval of the restarts, infinite where hardly a run succeeded; best: the cheapest."""

    widths: NDArray[np.int64]
    shares: Array
    low: Array
    high: Array
    restarts: tuple[int | None, ...]
    costs: Array
    cost_low: Array
    cost_high: Array
    best: int | None


def widths_of(w: Widening) -> Widths:
    """Return the share solved and the cost of a solution at every width."""
    low, high = np.array(w.share_intervals).T
    counts = [e.restarts_interval(w.confidence) for e in w.ensembles]
    fewest, most = (
        np.array([np.inf if n is None else n for n in ends], float) for ends in zip(*counts, strict=True)
    )
    costs = w.costs
    best = int(np.argmin(costs)) if np.isfinite(costs).any() else None
    return Widths(
        np.array(w.widths),
        w.shares,
        low,
        high,
        w.restarts,
        costs,
        fewest * w.work_a_run,
        most * w.work_a_run,
        best,
    )
