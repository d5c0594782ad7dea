"""Draw functions of two variables as surfaces in space, with descents on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.figures import captions, style
from descentlab.figures.draw_field import draw_height_bar
from descentlab.figures.draw_line import end_words
from descentlab.figures.fields import sample_field
from descentlab.figures.style import OUTCOMES, Theme
from descentlab.figures.tracks import Tracks, plane_tracks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from descentlab.descent import Descent

Array = NDArray[np.float64]

MESH = 110
# The path floats this share of the height above the surface, or the surface would hide half of it.
LIFT = 0.015


def draw_surface(run: Descent, heights: str, theme: Theme) -> Figure:
    """Draw the surface over the box, and the part of each path that lies over it."""
    import matplotlib
    from matplotlib.cm import ScalarMappable

    f = run.objective
    field = sample_field(f, heights, resolution=MESH)
    tracks = plane_tracks(run)
    figure = style.new_figure(7.2, 5.8, theme)
    axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    x, y = np.meshgrid(field.x, field.y)
    colours = matplotlib.colormaps["cividis"]
    heights_shown = np.where(np.isfinite(field.heights), field.heights, np.nan)
    if np.isfinite(heights_shown).any():
        axes.plot_surface(
            x,
            y,
            heights_shown,
            facecolors=colours(np.nan_to_num(heights_shown)),
            rcount=MESH,
            ccount=MESH,
            linewidth=0,
            antialiased=False,
            shade=False,
            # Thousands of polygons are an image in an SVG or PDF.
            rasterized=True,
            zorder=1,
        )
    for path in tracks.paths:
        walk = np.concatenate([path.points[:-1], path.next_points[:-1]], axis=1).reshape(-1, 2)
        line = on_surface(run, walk if len(walk) else path.points, field.scale)
        axes.plot(*line.T, color="#000000", linewidth=3.0, zorder=3)
        axes.plot(*line.T, color="#ffffff", linewidth=1.5, zorder=4)
    handles = _ends(axes, run, tracks, field.scale, theme)
    _set_up(axes, run, theme)
    image = ScalarMappable(cmap=colours)
    image.set_clim(0.0, 1.0)
    draw_height_bar(figure, axes, image, field, theme)
    style.legend(axes, theme, handles, 3)
    outside = bool((~_inside(f.domain, run.ends)).any())
    notes = [
        captions.problem(f),
        captions.method(run),
        *captions.field_notes(field),
        "What lies outside the box is not drawn" if outside else "",
    ]
    return style.finish(figure, theme, style.title_text(f, 7.2), notes, f.label)


def on_surface(run: Descent, points: Array, scale: Any) -> Array:
    """Return the points (n, 2) lifted onto the surface, (n, 3), NaN outside the box."""
    inside = _inside(run.objective.domain, points)
    safe = np.where(inside[:, None], points, run.objective.domain[:, 0])
    z = scale.heights(run.objective.value(safe)) + LIFT
    return np.where(inside[:, None], np.column_stack([safe, z]), np.nan)


def _inside(box: Array, points: Array) -> NDArray[np.bool_]:
    # A path clipped to the box lies on its side to rounding.
    room = 1e-9 * (box[:, 1] - box[:, 0])
    return np.asarray(np.all((points >= box[:, 0] - room) & (points <= box[:, 1] + room), axis=1))


def _ends(axes: Any, run: Descent, tracks: Tracks, scale: Any, theme: Theme) -> list[Any]:
    """Draw starts and ends; return the legend's handles."""
    from matplotlib.lines import Line2D

    starts = on_surface(run, tracks.starts, scale)
    looks: dict[str, Any] = {
        "linestyle": "none",
        "marker": "o",
        "markersize": 6 if len(starts) <= 60 else 3,
        "markerfacecolor": "#ffffff",
        "markeredgecolor": "#000000",
        "markeredgewidth": 1.0,
    }
    axes.plot(*starts.T, zorder=6, **looks)
    handles: list[Any] = [
        Line2D([], [], label="start" if len(starts) == 1 else f"start ({len(starts):,})", **looks)
    ]
    for outcome in (name for name in OUTCOMES if (tracks.outcomes == name).any()):
        rows = tracks.outcomes == outcome
        colour, shape = OUTCOMES[outcome]
        axes.plot(
            *on_surface(run, tracks.ends[rows], scale).T,
            linestyle="none",
            marker=shape,
            markersize=12 if shape == "*" else 8,
            markerfacecolor=colour,
            markeredgecolor=colour if shape == "x" else "#000000",
            markeredgewidth=0.8,
            zorder=7,
        )
        label = end_words(run) or f"{style.words(outcome)} ({rows.sum():,})"
        handles.append(style.mark(outcome, label))
    return handles


def _set_up(axes: Any, run: Descent, theme: Theme) -> None:
    """Set limits, labels and a viewpoint; heights need no ticks, the colour bar has them."""
    f = run.objective
    axes.set_xlim(*f.domain[0])
    axes.set_ylim(*f.domain[1])
    axes.set_zlim(-0.02, 1.05)
    axes.set_xlabel(style.name_text(f.names[0]), fontsize=style.NORMAL, color=theme.ink, labelpad=2)
    axes.set_ylabel(style.name_text(f.names[1]), fontsize=style.NORMAL, color=theme.ink, labelpad=2)
    axes.set_zticks([])
    axes.set_facecolor("none")
    axes.set_box_aspect((1, 1, 0.62), zoom=1.0)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0, 0, 0, 0))
        axis.line.set_color(theme.muted)
        axis._axinfo["grid"].update(color=theme.faint, linewidth=0.6)
        axis.set_tick_params(colors=theme.muted, labelcolor=theme.ink, labelsize=style.SMALL, pad=0)
    # From above, turned so that the end of the first path is nearer than the middle of the box.
    end = np.clip(np.nan_to_num(run.ends[0]), f.domain[:, 0], f.domain[:, 1])
    away = (end - f.domain.mean(axis=1)) / f.widths
    azimuth = float(np.degrees(np.arctan2(away[1], away[0]))) if np.abs(away).max() > 0.02 else -60.0
    # Straight along an axis hides the other one's depth.
    nearest = round(azimuth / 90) * 90
    if abs(azimuth - nearest) < 25:
        azimuth = nearest + (25 if azimuth >= nearest else -25)
    axes.view_init(elev=42, azim=azimuth)
