"""Drawing data of descents: the paths, thinned to what a picture can show, and series per step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.figures.curves import HUGE

if TYPE_CHECKING:
    from descentlab.descent import Descent

Array = NDArray[np.float64]

# Steps that fall into the same of this many cells a side, and lead into the same, look the same.
CELLS = 300
MOST_POINTS = 1500
MOST_PATHS = 40
MOST_SERIES = 40
# A view grows with the paths up to this share of the box on each side; beyond it they are cut.
ROOM = 0.5
# Series reach this far: their scales are logarithmic where they do.
LARGEST = 1e250


@dataclass(frozen=True)
class Track:
    """One descent in the plane of a picture, thinned.

    steps (m,): which steps are kept, the first and last always; points (m, 2): where they are;
    next_points (m, 2): where each leads, so that pieces drawn are steps really taken. left_at:
    the first step outside the view, or None. hidden: how many steps are not drawn though distinct.
    """

    row: int
    steps: NDArray[np.int64]
    points: Array
    next_points: Array
    left_at: int | None
    hidden: int


@dataclass(frozen=True)
class Tracks:
    """The descents of a run in the plane of a picture.

    view (2, 2): the rectangle shown; starts, ends (start, 2); values at the ends (start,);
    outcomes, taken (start,); paths: those drawn, at most MOST_PATHS, evenly chosen.
    """

    paths: tuple[Track, ...]
    starts: Array
    ends: Array
    outcomes: NDArray[np.str_]
    taken: NDArray[np.int64]
    view: Array

    @property
    def last_step(self) -> int:
        return int(self.taken.max(initial=0))


@dataclass(frozen=True)
class Panel:
    """One small diagram of a series per step: lines of (steps, values), named; scale "linear" or "log"."""

    what: str
    steps: tuple[NDArray[np.int64], ...]
    values: tuple[Array, ...]
    names: tuple[str, ...]
    log: bool


@dataclass(frozen=True)
class Series:
    """A run as series per step; rows: the starts shown, of `starts` in all."""

    panels: tuple[Panel, ...]
    rows: tuple[int, ...]
    starts: int


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` of range(count), evenly spread, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def curve_tracks(run: Descent) -> Tracks:
    """Return the descents of a 1-D run in the plane of (x, f)."""
    x, box = run.points[..., 0], run.objective.domain[:1]
    view_x = widened(box, x[..., None])
    inside = (x >= view_x[0, 0]) & (x <= view_x[0, 1])
    grid = run.objective.value(np.linspace(box[0, 0], box[0, 1], 400)[:, None])
    seen = np.concatenate([grid, run.values[inside]])
    seen = seen[np.isfinite(seen) & (np.abs(seen) < HUGE)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
    view = np.array([view_x[0], (low, high if high > low else low + 1.0)])
    return _tracks(run, np.stack([x, run.values], axis=-1), view)


def plane_tracks(run: Descent, pair: tuple[int, int] = (0, 1)) -> Tracks:
    """Return the descents of a run in the plane of two of its variables."""
    points = run.points[..., list(pair)]
    return _tracks(run, points, widened(run.objective.domain[list(pair)], points))


def widened(box: Array, points: Array) -> Array:
    """Return the box (d, 2), widened to hold the points (…, d) that lie within ROOM of it."""
    width = box[:, 1] - box[:, 0]
    flat = points.reshape(-1, points.shape[-1])
    near = np.all((flat >= box[:, 0] - ROOM * width) & (flat <= box[:, 1] + ROOM * width), axis=1)
    if not near.any():
        return box.copy()
    low, high = flat[near].min(axis=0), flat[near].max(axis=0)
    # A little air, so that a point outside the box is not on the frame.
    low = np.where(low < box[:, 0], low - 0.03 * width, box[:, 0])
    high = np.where(high > box[:, 1], high + 0.03 * width, box[:, 1])
    return np.column_stack([low, high])


def _tracks(run: Descent, points: Array, view: Array) -> Tracks:
    rows = evenly(len(points), MOST_PATHS)
    recorded = np.minimum(run.taken, points.shape[1] - 1)
    # With many paths each has room for fewer points.
    most = max(MOST_POINTS // len(rows), 60)
    paths = tuple(thin(points[i, : recorded[i] + 1], view, int(i), most) for i in rows)
    return Tracks(paths, points[:, 0], points[:, -1], run.outcomes, run.taken, view)


def thin(points: Array, view: Array, row: int = 0, most: int = MOST_POINTS) -> Track:
    """Keep of a path (step, 2) the steps that look different at the resolution of a picture.

    A step is left out if an earlier one led from the same cell to the same cell. Of more than
    `most` distinct steps the first and the last are kept, and `hidden` counts the others.
    """
    last = len(points) - 1
    with np.errstate(all="ignore"):
        unit = (points - view[:, 0]) / (view[:, 1] - view[:, 0])
        inside = np.all((unit >= 0) & (unit <= 1), axis=1)
        cell = np.floor(np.clip(np.nan_to_num(unit, nan=-9.0), -9.0, 9.0) * CELLS).astype(np.int64)
    code = (cell[:, 0] + 10 * CELLS) * 20 * CELLS + cell[:, 1] + 10 * CELLS
    pair = code[:-1] * (20 * CELLS) ** 2 + code[1:]
    first = np.sort(np.unique(pair, return_index=True)[1])
    kept = np.unique(np.concatenate([[0], first, [last]])).astype(np.int64)
    hidden = max(len(kept) - most, 0)
    if hidden:
        kept = np.concatenate([kept[: most // 2], kept[-(most - most // 2) :]])
    outside = np.flatnonzero(~inside)
    left_at = int(outside[0]) if outside.size else None
    return Track(row, kept, points[kept], points[np.minimum(kept + 1, last)], left_at, hidden)


def pieces(here: Array, there: Array, view: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the steps as line pieces (n, 2, 2), and which of the rows given these are.

    Pieces that begin far outside the view are left out, and those that end there are shortened,
    along their direction, so that drawing meets no huge numbers.
    """
    span = view[:, 1] - view[:, 0]
    low, high = view[:, 0] - span, view[:, 1] + span
    with np.errstate(all="ignore"):
        kept = np.all((here >= low) & (here <= high), axis=1) & np.isfinite(there).all(axis=1)
        here, there = here[kept], there[kept]
        # Halved first: a difference of huge numbers may overflow.
        move = (there / 2 - here / 2) * 2
        room = np.where(move > 0, high - here, low - here) / move
        share = np.minimum(np.min(np.where(move == 0, np.inf, room), axis=1, initial=1.0), 1.0)
        ends = here + np.nan_to_num(share)[:, None] * np.where(np.isfinite(move), move, 0.0)
    return np.stack([here, ends], axis=1), kept


def series(run: Descent) -> Series:
    """Return parameter, derivative, value and learning rate per step, none past a start's end.

    With one start each variable is a line; with several each start is, and of several
    variables the gradient's norm is shown.
    """
    rows = tuple(int(i) for i in evenly(len(run.points), MOST_SERIES))
    steps = [np.arange(min(int(run.taken[i]), run.points.shape[1] - 1) + 1) for i in rows]
    if run.points.shape[1] == 2 and run.steps > 1:
        # record="ends": the second column is the last step, whichever that was.
        steps = [np.array([0, int(run.taken[i])])[: len(s)] for i, s in zip(rows, steps, strict=True)]
    names, dim = run.objective.names, run.objective.dim
    starts = tuple(f"start {i + 1}" for i in rows)

    def cut(array: Array) -> list[Array]:
        return [array[i, : len(s)] for i, s in zip(rows, steps, strict=True)]

    panels: list[Panel] = []
    if len(rows) == 1:
        shown = names[:8]
        panels.append(
            _panel(
                "parameter",
                steps * len(shown),
                [run.points[rows[0], : len(steps[0]), k] for k in range(len(shown))],
                shown,
                False,
            )
        )
        slopes = [run.gradients[rows[0], : len(steps[0]), k] for k in range(len(shown))]
        panels.append(_slopes(steps * len(shown), slopes, shown))
    else:
        panels += [
            _panel(f"parameter {name}", steps, cut(run.points[..., k]), starts, False)
            for k, name in enumerate(names[:4])
        ]
        if dim == 1:
            panels.append(_slopes(steps, cut(run.gradients[..., 0]), starts))
        else:
            with np.errstate(all="ignore"):
                norms = np.linalg.norm(run.gradients, axis=-1)
            panels.append(_panel("norm of the gradient", steps, cut(norms), starts, None))
    panels.append(_panel("value", steps, cut(run.values), starts, None))
    rates = [run.learning_rates[i, : len(s) - 1] for i, s in zip(rows, steps, strict=True)]
    panels.append(_panel("learning rate", [s[:-1] for s in steps], rates, starts, None))
    return Series(tuple(panels), rows, len(run.points))


def _slopes(steps: list[NDArray[np.int64]], values: list[Array], names: tuple[str, ...]) -> Panel:
    """Return derivatives as they are, or their sizes where these span decades."""
    sizes = [np.abs(v) for v in values]
    if spans_decades(sizes):
        return _panel("size of the derivative", steps, sizes, names, True)
    return _panel("derivative", steps, values, names, False)


def _panel(
    what: str,
    steps: list[NDArray[np.int64]],
    values: list[Array],
    names: tuple[str, ...],
    log: bool | None,
) -> Panel:
    """Return a panel, its lines thinned; log=None decides by the values."""
    drawn = [
        decimate(s, np.where(np.abs(v) < LARGEST, v, np.nan)) for s, v in zip(steps, values, strict=True)
    ]
    if log is None:
        log = spans_decades([v for _, v in drawn])
    return Panel(what, tuple(s for s, _ in drawn), tuple(v for _, v in drawn), tuple(names), log)


def spans_decades(lines: list[Array], decades: float = 2.5) -> bool:
    """Tell whether a logarithmic scale is needed: nothing negative, and a wide range of sizes."""
    values = np.concatenate(lines) if lines else np.empty(0)
    values = values[np.isfinite(values)]
    positive = values[values > 0]
    if positive.size < 3 or (values < 0).any():
        return False
    return bool(np.log10(positive.max()) - np.log10(positive.min()) > decades)


def decimate(steps: NDArray[np.int64], values: Array, buckets: int = 400) -> tuple[NDArray[np.int64], Array]:
    """Keep of a long series the lowest and highest value of every bucket, the first and the last."""
    if len(steps) <= 4 * buckets:
        return steps, values
    edges = np.linspace(0, len(steps), buckets + 1).astype(int)
    finite = np.where(np.isfinite(values), values, np.inf)
    kept = {0, len(steps) - 1}
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        kept.add(a + int(np.argmin(finite[a:b])))
        kept.add(a + int(np.argmax(np.where(np.isfinite(values[a:b]), values[a:b], -np.inf))))
    index = np.array(sorted(kept))
    return steps[index], values[index]
