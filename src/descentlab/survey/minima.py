"""From the ends of many descents to the distinct minima they reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.objective import Objective
from descentlab.stationary import directions, merge
from descentlab.survey.statistics import wilson
from descentlab.verdict import Judgement

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Array = NDArray[np.float64]

# Descents come to rest anywhere on a flat set; ends this close, in box sides, and equally high
# belong to the same one.
FLAT_LINK = 0.02


@dataclass(frozen=True, eq=False)
class Minimum:
    """One distinct minimum and how many starts reached it.

    kind: "interior" (Hessian check), "boundary" (held at the box's edge, with f rising inward
    and a Hessian check along it), "kink" (f rises on every side, the gradient jumps) or "flat"
    (degenerate: no lower point nearby). share: hits over all starts, with its 95 % Wilson
    interval. steps: the median number of steps its starts took.
    """

    point: Float[np.ndarray, " dim"]
    value: float
    eigenvalues: Float[np.ndarray, " dim"]
    kind: str
    hits: int
    share: float
    share_interval: tuple[float, float]
    steps: float


def collect_minima(j: Judgement) -> tuple[tuple[Minimum, ...], Int[np.ndarray, " start"]]:
    """Return the distinct minima, lowest first, and each start's index among them, −1 for none."""
    e = j.ending
    count = len(e.points)
    kinds = _kinds(j)
    assignment = np.full(count, -1)
    found: list[tuple[str, NDArray[np.int64]]] = []
    for kind in ("interior", "boundary", "kink", "flat"):
        rows = np.flatnonzero(kinds == kind)
        if not rows.size:
            continue
        labels = _distinct(e.objective, j.places[rows], kind)
        found += [(kind, rows[labels == label]) for label in np.unique(labels)]
    minima = [_describe(j, kind, rows, count) for kind, rows in found]
    order = sorted(range(len(minima)), key=lambda i: (minima[i].value, *minima[i].point))
    for rank, i in enumerate(order):
        assignment[found[i][1]] = rank
    return tuple(minima[i] for i in order), assignment


def _kinds(j: Judgement) -> NDArray[np.str_]:
    """Return what kind of minimum each descent reached, "" for none."""
    kinds = np.full(len(j.outcomes), "", dtype="U10")
    kinds[j.outcomes == "minimum"] = "interior"
    kinds[j.outcomes == "kink"] = "kink"
    kinds[(j.outcomes == "at_bound") & (j.kinds == "minimum")] = "boundary"
    flat = np.flatnonzero(j.outcomes == "degenerate")
    kinds[flat[_nothing_lower(j.ending.objective, j.places[flat])]] = "flat"
    return kinds


def _nothing_lower(objective: Objective, x: Array) -> NDArray[np.bool_]:
    """Tell where f is nowhere lower than f(x), on many sides and at three distances from x."""
    value = objective.value(x)
    lowest, spread = value.copy(), np.zeros(len(x))
    for distance in (1e-4, 1e-3, 1e-2):
        for direction in directions(objective.dim, random=32):
            there = objective.value(x + distance * objective.widths * direction)
            lowest = np.fmin(lowest, there)
            spread = np.fmax(spread, np.abs(there - value))
    # x is known to the 1e-9th of a side or so only, and f is rounded.
    return np.asarray(value - lowest <= 1e-9 * spread + 1e-15 * np.abs(value))


def _distinct(objective: Objective, places: Array, kind: str) -> NDArray[np.int64]:
    if kind != "flat":
        return merge(places, objective.widths)
    values = objective.value(places)
    spread = float(np.ptp(values)) or 1.0
    heights = np.round(
        (values - values.min()) / (1e-6 * max(spread, 1e-9 * float(np.abs(values).max(initial=0.0))))
    )
    scaled = np.column_stack([places / objective.widths, heights if np.ptp(values) > 1e-9 else 0 * heights])
    return merge(scaled, np.ones(scaled.shape[1]), FLAT_LINK)


def _describe(j: Judgement, kind: str, rows: NDArray[np.int64], count: int) -> Minimum:
    e = j.ending
    values = e.objective.value(j.places[rows])
    best = rows[int(values.argmin())]
    return Minimum(
        j.places[best],
        float(values.min()),
        j.eigenvalues[best],
        kind,
        len(rows),
        len(rows) / count,
        wilson(len(rows), count),
        float(np.median(e.taken[rows])),
    )
