"""Drawing data of functions of several variables: heat maps, slices, and how heights are scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError, unknown
from descentlab.figures.curves import HUGE, Line, visible_range
from descentlab.objective import Objective

Array = NDArray[np.float64]

RESOLUTION = 220
HEIGHTS = ("auto", "linear", "log", "rank")
MOST_SLICES = 9
# A scale will not do if the middle of the area lies this close to one end of it.
SQUEEZED = 0.12


@dataclass(frozen=True)
class Scale:
    """Values → heights in [0, 1]: "linear", "log" (of the height above the lowest) or "rank".

    ranks, levels: values ascending and the share of the area below each, for "rank"; offset: what
    "log" adds so that the lowest place has a logarithm.
    """

    kind: str
    low: float
    high: float
    offset: float
    ranks: Array
    levels: Array

    def heights(self, values: Array) -> Array:
        """Return the heights of `values`; NaN stays NaN."""
        with np.errstate(all="ignore"):
            v = np.clip(np.where(np.isfinite(values), values, np.nan), self.low, self.high)
            if self.high <= self.low:
                return np.where(np.isnan(v), np.nan, 0.5)
            if self.kind == "rank":
                return np.where(np.isnan(v), np.nan, np.interp(v, self.ranks, self.levels))
            if self.kind == "log":
                bottom, top = np.log10(self.offset), np.log10(self.high - self.low + self.offset)
                return np.asarray((np.log10(v - self.low + self.offset) - bottom) / (top - bottom))
            return np.asarray((v - self.low) / (self.high - self.low))

    def values(self, heights: Array) -> Array:
        """Return the values at `heights`, the inverse of `heights`."""
        if self.high <= self.low:
            return np.full(np.shape(heights), self.low)
        if self.kind == "rank":
            return np.interp(heights, self.levels, self.ranks)
        if self.kind == "log":
            bottom, top = np.log10(self.offset), np.log10(self.high - self.low + self.offset)
            return np.asarray(self.low + 10 ** (bottom + heights * (top - bottom)) - self.offset)
        return np.asarray(self.low + heights * (self.high - self.low))

    @property
    def words(self) -> str:
        return {
            "linear": "heights linear",
            "log": "heights logarithmic above the lowest value",
            "rank": "heights by rank: each colour covers an equal area",
        }[self.kind]


@dataclass(frozen=True)
class Field:
    """A function on a grid: values[j, i] = f at x[i], y[j].

    names: of the two variables; box: (2, 2), that of the objective; undefined: the share of the
    grid where f is not finite.
    """

    label: str
    names: tuple[str, str]
    x: Array
    y: Array
    values: Array
    heights: Array
    scale: Scale
    box: Array
    undefined: float

    @property
    def view(self) -> Array:
        """The rectangle shown, (2, 2)."""
        return np.array([[self.x[0], self.x[-1]], [self.y[0], self.y[-1]]])


@dataclass(frozen=True)
class Slices:
    """f through one point along single coordinates, the others held still.

    lines: one a coordinate shown; indices: which ones; point (dim,), value: f there; limits: the
    common range of f; left_out: how many coordinates are not shown.
    """

    lines: tuple[Line, ...]
    indices: tuple[int, ...]
    point: Array
    value: float
    limits: tuple[float, float]
    left_out: int


def sample_field(
    f: Objective,
    heights: str = "auto",
    view: Array | None = None,
    resolution: int = RESOLUTION,
    pair: tuple[int, int] = (0, 1),
    point: Array | None = None,
) -> Field:
    """Sample f over two of its variables, the others held at `point`.

    heights: "auto", "linear", "log" or "rank"; view: the rectangle (2, 2), default the box.
    Raises InputError for other heights.
    """
    if heights not in HEIGHTS:
        raise unknown("heights", str(heights), HEIGHTS)
    box = f.domain[list(pair)]
    (left, right), (bottom, top) = box if view is None else view
    x, y = np.linspace(left, right, resolution), np.linspace(bottom, top, resolution)
    grid = np.empty((resolution, resolution, f.dim))
    grid[:] = f.domain.mean(axis=1) if point is None else point
    grid[..., pair[0]], grid[..., pair[1]] = x, y[:, None]
    values = f.value(grid)
    scale = choose_scale(values, heights)
    undefined = float(np.mean(~np.isfinite(values)))
    names = (f.names[pair[0]], f.names[pair[1]])
    return Field(f.label, names, x, y, values, scale.heights(values), scale, box, undefined)


def choose_scale(values: Array, kind: str = "auto") -> Scale:
    """Return how to turn `values` into heights; "auto" takes the plainest scale that shows something.

    A scale shows something if the middle of the area is neither squeezed to one end of it nor
    into a narrow band.
    """
    v = np.sort(values[np.isfinite(values) & (np.abs(values) < HUGE)])
    if not v.size:
        return Scale("linear" if kind == "auto" else kind, 0.0, 0.0, 1.0, np.zeros(1), np.zeros(1))
    low, high = float(v[0]), float(v[-1])
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        high = low
    # The lowest two per mille of the area share the lowest height.
    offset = max(float(np.quantile(v, 0.002)) - low, 1e-9 * (high - low)) or 1.0
    ranks, levels = _ranks(v, low, high)
    scales = {name: Scale(name, low, high, offset, ranks, levels) for name in ("linear", "log", "rank")}
    if kind != "auto":
        return scales[kind]
    sample = v[:: max(1, v.size // 5000)]
    for name in ("linear", "log"):
        tenth, middle, ninetieth = np.quantile(scales[name].heights(sample), [0.1, 0.5, 0.9])
        if SQUEEZED <= middle <= 1 - SQUEEZED and ninetieth - tenth >= SQUEEZED:
            return scales[name]
    # Where most of the area is one plateau, ranks would only show its rounding.
    return scales["rank" if levels.size > 500 else "linear"]


def _ranks(v: Array, low: float, high: float) -> tuple[Array, Array]:
    """Return values and the share of the sorted v below each; values equal to rounding share one."""
    table = np.quantile(v, np.linspace(0.0, 1.0, 1001))
    grain = 1e-12 * (high - low) or 1.0
    _, first, count = np.unique(np.round((table - low) / grain), return_index=True, return_counts=True)
    return table[first], (first + (count - 1) / 2) / 1000


def sample_slices(f: Objective, point: Array, most: int = MOST_SLICES) -> Slices:
    """Slice f through `point` (dim,) along every coordinate, or the `most` most curved ones."""
    point = np.where(np.isfinite(point) & (np.abs(point) < HUGE), point, f.domain.mean(axis=1))
    indices = np.arange(f.dim)
    if f.dim > most:
        indices = np.sort(np.argsort(-_curvature(f, point), kind="stable")[:most])
    lines = []
    for i in indices:
        x = np.linspace(f.domain[i, 0], f.domain[i, 1], 400)
        # The point itself is a sample, so that its mark lies on the line.
        x = np.unique(np.append(x, point[i])) if f.domain[i, 0] < point[i] < f.domain[i, 1] else x
        where = np.tile(point, (len(x), 1))
        where[:, i] = x
        y = f.value(where)
        lines.append(Line(x, np.where(np.isfinite(y) & (np.abs(y) < HUGE), y, np.nan), (), visible_range(y)))
    limits = visible_range(np.concatenate([line.y for line in lines]))
    return Slices(
        tuple(lines),
        tuple(int(i) for i in indices),
        point,
        float(f.value(point)),
        limits,
        f.dim - len(indices),
    )


def _curvature(f: Objective, point: Array) -> Array:
    """Return |∂²f/∂xᵢ²| in units of the box's sides, (dim,), by differences where dim is large."""
    with np.errstate(all="ignore"):
        h = 1e-3 * f.widths
        steps = np.diag(h)
        second = (f.value(point + steps) - 2 * f.value(point) + f.value(point - steps)) * 1e6
    return np.where(np.isfinite(second), np.abs(second), 0.0)


def most_curved_pair(f: Objective, point: Array) -> tuple[int, int]:
    """Return the two coordinates along which f curves most at `point`, in order."""
    if f.dim == 2:
        return 0, 1
    point = np.where(np.isfinite(point) & (np.abs(point) < HUGE), point, f.domain.mean(axis=1))
    first, second = sorted(int(i) for i in np.argsort(-_curvature(f, point), kind="stable")[:2])
    return first, second


def read_pair(f: Objective, variables: tuple[str, str] | None, point: Array) -> tuple[int, int]:
    """Return the positions of two named variables; None takes the most curved two.

    Raises InputError for names f does not have, or not two of them.
    """
    if variables is None:
        return most_curved_pair(f, point)
    for name in variables:
        if name not in f.names:
            raise unknown("variable", str(name), f.names)
    if len(set(variables)) != 2:
        raise InputError(f"A 2-D slice needs two different variables; got {', '.join(variables)}.")
    return f.names.index(variables[0]), f.names.index(variables[1])
