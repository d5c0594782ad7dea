"""Draw certificates: the proved points by kind, what is undecided, and the boxes of one point to scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.figures import captions, certified, style
from descentlab.figures.certified import Glyphs, Zoom
from descentlab.figures.curves import sample_curve
from descentlab.figures.draw_field import draw_field, draw_height_bar
from descentlab.figures.draw_survey_values import parallel_axes
from descentlab.figures.draw_zoom import (
    draw_glyphs,
    draw_neighbourhood_line,
    draw_neighbourhood_plane,
    draw_tight_line,
    draw_tight_plane,
)
from descentlab.figures.fields import sample_field
from descentlab.figures.results import tick
from descentlab.figures.style import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.certify import Certificate
    from descentlab.survey import Survey

Array = NDArray[np.float64]

MOST_LINES = 400
# Markers shrink, and lose their rims, as they become more: up to so many points, a size and a rim.
_SIZES = ((40, 9.0, 0.7), (200, 6.5, 0.6), (800, 4.5, 0.4), (10**9, 3.0, 0.25))
# Among more points than this heights step back, so that the marks can be seen.
CROWDED = 200
TITLE = "stationary points, proved"


def draw(certificate: Certificate, heights: str, theme: Theme) -> Figure:
    """Draw a certificate: on the curve, on the heat map, or by value and kind."""
    if certificate.objective.dim == 1:
        return _draw_line(certificate, theme)
    if certificate.objective.dim == 2:
        return _draw_plane(certificate, heights, theme)
    return _draw_values(certificate, theme)


def _draw_line(certificate: Certificate, theme: Theme) -> Figure:
    f, close = certificate.objective, certified.zoom(certificate)
    figure = style.new_figure(10.2 if close else 7.2, 4.6, theme)
    left, panels = _panels(figure, close)
    curve = sample_curve(f)
    x = style.name_text(f.names[0])
    style.set_up(left, theme, x, f"$f$({x})", TITLE)
    left.plot(curve.value.x, curve.value.y, color=theme.muted, linewidth=1.4, zorder=2)
    left.set_ylim(*curve.value.limits)
    left.set_xlim(*f.domain[0])
    handles = draw_points(left, certificate, theme)
    notes = captions.curve_notes([curve])
    if close is not None:
        draw_neighbourhood_line(panels[0], certificate, close, theme)
        notes += draw_tight_line(panels[1], f.names, close, theme)
    return _finished(figure, left, certificate, handles, notes, theme)


def _draw_plane(certificate: Certificate, heights: str, theme: Theme) -> Figure:
    f, close = certificate.objective, certified.zoom(certificate)
    figure = style.new_figure(10.2 if close else 6.6, 5.6, theme)
    left, panels = _panels(figure, close)
    field = sample_field(f, heights)
    image = draw_field(figure, left, field, theme, bar=False)
    left.set_title(TITLE, fontsize=style.NORMAL, color=theme.ink, loc="left", pad=7)
    if len(certificate.points) > CROWDED:
        image.set(cmap="gray", alpha=0.6)
        left.set_facecolor(theme.paper)
    draw_height_bar(figure, left, image, field, theme)
    handles = draw_points(left, certificate, theme)
    notes = captions.field_notes(field)
    if close is not None:
        draw_neighbourhood_plane(figure, panels[0], certificate, close, theme)
        notes += draw_tight_plane(panels[1], f.names, close, theme)
    return _finished(figure, left, certificate, handles, notes, theme)


def _panels(figure: Figure, close: Zoom | None) -> tuple[Any, Any]:
    """Return the large axes, and the two small ones to its right where a point is looked at closely."""
    if close is None:
        return figure.subplots(), None
    grid = figure.add_gridspec(2, 2, width_ratios=[1.75, 1.0])
    return figure.add_subplot(grid[:, 0]), [figure.add_subplot(grid[i, 1]) for i in range(2)]


def _finished(
    figure: Figure, axes: Any, certificate: Certificate, handles: list[Any], notes: list[str], theme: Theme
) -> Figure:
    f = certificate.objective
    return style.finish(
        figure,
        theme,
        style.title_text(f, figure.get_figwidth()),
        [captions.problem(f), *captions.certificate_notes(certificate), *notes],
        f.label,
        style.legend_above(axes, theme, handles, 4),
    )


def draw_points(
    axes: Axes,
    certificate: Certificate,
    theme: Theme,
    scale: float = 1.0,
    kinds: tuple[str, ...] = certified.KINDS,
    proved: bool = False,
) -> list[Any]:
    """Draw certified points of one or two variables by kind, hollow on the box's edge, and hatch what is undecided;
    return the legend's handles. scale: of the markers; kinds: those to draw; proved: in a picture of something else,
    with labels that say that this is proved, and no more."""
    one = certificate.objective.dim == 1
    found = [g for g in certified.glyphs(certificate) if g.kind in kinds]
    size, rim = _looks(sum(len(g.values) for g in found))
    handles = []
    for kind in reversed(kinds):
        some = [g for g in found if g.kind == kind]
        if some:
            handles.append(_handle(kind, some, proved))
    for g in found:
        places = np.column_stack([g.points[:, 0], g.values]) if one else g.points
        draw_glyphs(axes, g, places, size * scale, rim * scale)
    if any(g.on_edge for g in found) and not proved:
        handles.append(_hollow("hollow: on the edge", theme))
    boxes = certified.open_boxes(certificate)
    if len(boxes):
        handles.append(_hatch(axes, boxes, len(certificate.undecided), theme))
    return handles


def draw_beside(axes: Axes, survey: Survey, theme: Theme, minima: bool) -> list[Any]:
    """Draw what is proved into the picture of a survey in one or two variables, if the proof came to its end; return
    the legend's handles. minima: all of them; otherwise, where found ones are drawn already, those that were missed."""
    from matplotlib.lines import Line2D

    matching = survey.matched
    if matching is None or not matching.finished:
        return []
    kinds = certified.KINDS if minima else certified.KINDS[:-1]
    handles = draw_points(axes, matching.certificate, theme, 0.75, kinds, proved=True)
    missed = [] if minima else [r.point for r in matching.missed]
    if missed:
        points = np.array([[*p.point, p.value][:2] for p in missed])
        look: dict[str, Any] = {"linestyle": "none", "marker": "*", "markerfacecolor": "#ffffff"}
        look |= {"markeredgecolor": style.VERMILION, "markeredgewidth": 1.2, "markersize": 11, "zorder": 7}
        axes.plot(*points.T, clip_on=False, **look)
        handles.insert(0, Line2D([], [], label=f"never reached ({len(missed):,})", **look))
    return handles


def _looks(count: int) -> tuple[float, float]:
    return next((size, rim) for most, size, rim in _SIZES if count <= most)


def _handle(kind: str, groups: list[Glyphs], proved: bool) -> Any:
    inside = sum(len(g.values) for g in groups if not g.on_edge)
    edge = sum(len(g.values) for g in groups if g.on_edge)
    name = "unknown kind" if kind == "unknown" else kind
    if proved:
        return style.mark(kind, f"proved {name} ({inside + edge:,})", 7)
    count = f"{inside:,}" if inside or not edge else ""
    count += f"{' + ' if count else ''}{edge:,} on the edge" if edge else ""
    return style.mark(kind, f"{name} ({count})", 8)


def _hollow(label: str, theme: Theme) -> Any:
    from matplotlib.lines import Line2D

    looks: dict[str, Any] = {
        "markerfacecolor": "#ffffff",
        "markeredgecolor": theme.muted,
        "markeredgewidth": 1.6,
    }
    return Line2D([], [], linestyle="none", marker="o", markersize=6.5, label=label, **looks)


def _hatch(axes: Axes, boxes: Array, count: int, theme: Theme) -> Any:
    """Hatch boxes (n, dim, 2) – of one variable as strips of the whole height – and return the legend's handle."""
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Patch

    one = boxes.shape[1] == 1
    (left, right) = boxes[:, 0].T
    bottom, top = (np.zeros(len(boxes)), np.ones(len(boxes))) if one else boxes[:, 1].T
    corners = np.stack(
        [np.stack([x, y], axis=1) for x, y in ((left, bottom), (right, bottom), (right, top), (left, top))],
        axis=1,
    )
    look: dict[str, Any] = {
        "facecolor": (0.5, 0.5, 0.5, 0.25) if one else (0.0, 0.0, 0.0, 0.35),
        "edgecolor": theme.muted if one else "#ffffff",
        "hatch": "/////",
        "linewidth": 0.0,
    }
    if one:
        look["transform"] = axes.get_xaxis_transform()
    axes.add_collection(PolyCollection(list(corners), zorder=1.5 if one else 3, **look), autolim=False)
    look.pop("transform", None)
    return Patch(label=f"undecided ({count:,})", **{**look, "facecolor": (0.4, 0.4, 0.4, 0.6)})


def _draw_values(certificate: Certificate, theme: Theme) -> Figure:
    """Draw the points of many variables by value and kind, and the minima's coordinates beside them."""
    data = certified.rows(certificate)
    minima = certificate.minima[:MOST_LINES]
    figure = style.new_figure(10.2, max(3.8, 1.8 + 0.42 * len(data)), theme)
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 0.85])
    style.set_up(left, theme, "value", "", "stationary points by value")
    size, rim = _looks(sum(len(row.x) for row in data) // 2)
    for i, row in enumerate(data):
        g = Glyphs(row.kind, row.on_edge, row.x[:, None], row.x)
        draw_glyphs(left, g, np.column_stack([row.x, i + row.y]), 0.75 * size, rim)
    left.set_yticks(range(len(data)), [row.label for row in data])
    left.set_ylim(len(data) - 0.4, -0.6)
    left.grid(False, axis="y")
    left.tick_params(axis="y", length=0)
    notes = []
    if minima:
        _draw_minima(figure, right, certificate, np.array([p.point for p in minima]), theme)
        if len(minima) < len(certificate.minima):
            notes.append(f"The coordinates of the {len(minima)} lowest minima are drawn")
    else:
        right.set_axis_off()
    return _finished(figure, left, certificate, [], notes, theme)


def _draw_minima(figure: Figure, axes: Axes, certificate: Certificate, points: Array, theme: Theme) -> None:
    """Draw each minimum as a line over its coordinates, coloured by value."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    f = certificate.objective
    style.set_up(axes, theme, "", "", "the minima's coordinates, from low to high bound", grid=False)
    values = np.array([p.value for p in certificate.minima[: len(points)]])
    colours = style.step_colours().reversed()
    norm = Normalize(values.min(), values.max() if values.max() > values.min() else values.min() + 1)
    lines = ((points - f.domain[:, 0]) / f.widths)[::-1]
    at = np.arange(f.dim, dtype=float)
    rgba = colours(norm(values[::-1]))
    rgba[:, 3] = 0.85
    axes.add_collection(
        LineCollection([np.column_stack([at, line]) for line in lines], colors=rgba, linewidths=1.3, zorder=3)
    )
    parallel_axes(axes, f.names, f.domain, theme)
    bar = style.colorbar(figure, ScalarMappable(norm, colours), axes, theme, "f")
    grain = 1e-6 * float(norm.vmax - norm.vmin)  # type: ignore[operator]
    bar.ax.yaxis.set_major_formatter(lambda value, _: tick(value, grain))
