"""What the page draws of f itself: a curve and its derivative, or heights over a plane with contours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.figures.curves import sample_curve
from descentlab.figures.fields import HEIGHTS, Field, most_curved_pair, sample_field
from descentlab.objective import Objective
from descentlab.studio.checks import FIELD, Ask
from descentlab.studio.problems import objective_of
from descentlab.studio.replies import Reply, reply

Array = NDArray[np.float64]

CONTOURS = 14
TABLE = 257


def answer_field(ask: Ask, own: Objective | None) -> Reply:
    """Sample f: along its one variable, or over a plane of two of them."""
    f = objective_of(ask, own)
    return _curve(f) if f.dim == 1 else _plane(f, ask)


def plane_of(ask: Ask, f: Objective) -> tuple[tuple[int, int], Array]:
    """Return the plane's two variables, by default the most curved, and the point it goes through."""
    point = ask.point("at", f.dim)
    at = f.domain.mean(axis=1) if point is None else point
    if not ask.has("plane"):
        return most_curved_pair(f, at), at
    pair = ask.get("plane")
    if not (
        isinstance(pair, list) and len(pair) == 2 and all(type(i) is int and 0 <= i < f.dim for i in pair)
    ):
        raise InputError(f"The plane is two positions of variables, from 0 to {f.dim - 1}.")
    if pair[0] == pair[1]:
        raise InputError("The plane needs two different variables.")
    return (pair[0], pair[1]), at


def _curve(f: Objective) -> Reply:
    curve = sample_curve(f)
    return reply(
        {
            "dim": 1,
            "name": f.names[0],
            "range": curve.value.limits,
            "slope_range": curve.slope.limits,
            "kinks": curve.kinks,
            "box": f.domain,
        },
        x=("f8", curve.value.x),
        values=("f8", curve.value.y),
        slope_x=("f8", curve.slope.x),
        slopes=("f8", curve.slope.y),
    )


def _plane(f: Objective, ask: Ask) -> Reply:
    pair, at = plane_of(ask, f)
    field = sample_field(
        f,
        ask.choice("heights", HEIGHTS, "auto"),
        resolution=ask.whole("resolution", *FIELD, 128),
        pair=pair,
        point=at,
    )
    scale = field.scale
    table = np.linspace(scale.low, scale.high, TABLE)
    if scale.kind != "linear":  # dense where the scale is steep
        table = np.unique(scale.values(np.linspace(0.0, 1.0, TABLE)))
    levels = scale.values(np.linspace(0.0, 1.0, CONTOURS + 2)[1:-1])
    points, starts, which = contours(field, np.linspace(0.0, 1.0, CONTOURS + 2)[1:-1])
    return reply(
        {
            "dim": f.dim,
            "plane": pair,
            "names": field.names,
            "box": field.box,
            "at": at,
            "scale": scale.kind,
            "words": scale.words,
            "levels": levels,
            "low": scale.low,
            "high": scale.high,
        },
        x=("f8", field.x),
        y=("f8", field.y),
        values=("f4", np.clip(field.values, -3e38, 3e38)),
        heights=("f4", field.heights),
        scale_values=("f8", table),
        scale_heights=("f8", scale.heights(table)),
        line_points=("f4", points),
        line_starts=("i4", starts),
        line_levels=("i4", which),
    )


def contours(field: Field, heights: Array) -> tuple[Array, list[int], list[int]]:
    """Return the contour lines at these heights: points (n, 2), where each line begins, and its level."""
    from contourpy import LineType, contour_generator

    masked = np.ma.masked_invalid(field.heights)
    lines: list[Any] = []
    which: list[int] = []
    if not masked.mask.all() and np.ptp(masked) > 0:
        generator = contour_generator(field.x, field.y, masked, line_type=LineType.Separate)
        for i, height in enumerate(heights):
            found = generator.lines(float(height))
            lines += found
            which += [i] * len(found)
    starts = np.cumsum([0, *map(len, lines)])
    return np.concatenate(lines) if lines else np.empty((0, 2)), starts.tolist(), which
