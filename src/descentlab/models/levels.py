"""Levels: runs whose loss came to the same value, and runs that found the same solution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentlab.survey.statistics import wilson

Array = NDArray[np.float64]

# Losses further apart than this share of what training took away, with none between, are on different levels.
GAP = 0.01
# The lowest level is clear where it is no wider than the first share of that, the gap above it is at least so many of
# its widths, and no more than the last share of all runs stand alone.
WIDEST, APART, ALONE = 0.05, 3.0, 1 / 3


@dataclass(frozen=True)
class Level:
    """Runs that ended at one loss. loss: their lowest; runs: how many; share of all runs, with its Wilson interval."""

    loss: float
    runs: int
    share: float
    share_interval: tuple[float, float]


def fallen(losses: Array) -> float:
    """Return how far training lowered the loss of a typical run; losses (run, record).

    >>> fallen(np.array([[1.0, 0.5, 0.25], [1.0, 0.5, 0.0], [1.0, np.nan, np.nan]]))
    0.875
    """
    fall = losses[:, 0] - losses[:, -1]
    kept = fall[np.isfinite(fall)]
    return max(float(np.median(kept)), 0.0) if kept.size else 0.0


def levels_of(losses: Array, fallen: float) -> tuple[tuple[Level, ...], NDArray[np.int64]]:
    """Return the levels, lowest first, and the level of every run, −1 for a loss that is not finite.

    Sorted losses are cut wherever two neighbours are more than 1 % of `fallen` apart: how far training lowered the
    loss of a typical run.

    >>> levels, which = levels_of(np.array([0.25, 0.0, 0.125, 0.1251, 1e-9]), fallen=0.4)
    >>> [(round(level.loss, 3), level.runs) for level in levels], which.tolist()
    ([(0.0, 2), (0.125, 2), (0.25, 1)], [2, 0, 1, 1, 0])
    """
    which = np.full(len(losses), -1)
    finite = np.flatnonzero(np.isfinite(losses))
    if not finite.size:
        return (), which
    order = finite[np.argsort(losses[finite], kind="stable")]
    sorted_ = losses[order]
    gap = max(GAP * fallen, 1e-9 * float(np.abs(sorted_).max()))  # what differs by rounding only is one level
    which[order] = np.concatenate([[0], np.cumsum(np.diff(sorted_) > gap)])
    found = []
    for level in range(int(which.max()) + 1):
        mine = losses[which == level]
        share = len(mine) / len(losses)
        found.append(Level(float(mine.min()), len(mine), share, wilson(len(mine), len(losses))))
    return tuple(found), which


def is_clear(losses: Array, which: NDArray[np.int64], fallen: float) -> bool:
    """Tell whether the lowest level stands apart, or losses just run on from it; the arguments as above.

    >>> stuck, runs_on = np.repeat([0.0, 0.125], 5), np.geomspace(0.001, 0.3, 40)
    >>> [is_clear(losses, levels_of(losses, 0.4)[1], 0.4) for losses in (stuck, runs_on)]
    [True, False]
    """
    lowest, others = losses[which == 0], losses[which > 0]
    width = float(np.ptp(lowest))
    apart = not others.size or float(others.min() - lowest.max()) >= APART * width
    alone = int((np.bincount(which[which >= 0]) == 1).sum())
    return width <= WIDEST * fallen and apart and alone <= max(ALONE * len(losses), 1)
