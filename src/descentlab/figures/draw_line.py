"""Draw functions of one variable: curves with their derivatives, and descents on the curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.figures import captions, style
from descentlab.figures.curves import Curve, Line, sample_curve
from descentlab.figures.results import short
from descentlab.figures.style import OUTCOMES, SERIES, Theme
from descentlab.figures.tracks import Tracks, curve_tracks, pieces
from descentlab.objective import Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.certify import Certificate
    from descentlab.descent import Descent

Array = NDArray[np.float64]


def draw_curves(objectives: Sequence[Objective], derivative: bool, theme: Theme) -> Figure:
    """Draw functions of one variable on common axes, their derivatives beside them."""
    low = min(float(f.domain[0, 0]) for f in objectives)
    high = max(float(f.domain[0, 1]) for f in objectives)
    curves = [sample_curve(f, (low, high)) for f in objectives]
    width = 8.6 if derivative else 6.2
    figure = style.new_figure(width, 3.9 + 0.12 * len(curves), theme)
    panels = figure.subplots(1, 2 if derivative else 1, squeeze=False)[0]
    one = len(curves) == 1
    x = style.name_text(curves[0].name)
    labels = _curve_labels(objectives)
    style.set_up(panels[0], theme, x, "", "function" if derivative else "")
    _draw_lines(panels[0], [c.value for c in curves], labels, theme)
    handles = [] if one else list(panels[0].get_legend_handles_labels()[0])
    for curve, colour in zip(curves, SERIES * len(curves), strict=False):
        panels[0].plot(
            *curve.kinks.T,
            "o",
            markersize=6,
            markerfacecolor=theme.paper,
            markeredgecolor=colour,
            markeredgewidth=1.4,
            clip_on=True,
        )
    if derivative:
        style.set_up(panels[1], theme, x, "", "derivative")
        _draw_lines(panels[1], [c.slope for c in curves], labels, theme)
    kinks = [curve for curve in curves if len(curve.kinks)]
    if kinks:
        handles.append(_kink_handle(kinks[0] if one else None, theme))
    room = style.legend_above(panels[0], theme, handles) if derivative else 0
    if not derivative:
        style.legend(panels[0], theme, handles)
    title = style.title_text(objectives[0], width) if one else ""
    notes = [captions.problem(objectives[0])] if one else [f"{x_range(low, high)}"]
    return style.finish(
        figure,
        theme,
        title,
        [*notes, *captions.curve_notes(curves)],
        ", ".join(f.label for f in objectives),
        room,
    )


def x_range(low: float, high: float) -> str:
    return f"Shown on [{short(low)}, {short(high)}]"


def _curve_labels(objectives: Sequence[Objective]) -> list[str]:
    return [style.title_text(f, 3.6) for f in objectives]


def _kink_handle(curve: Curve | None, theme: Theme) -> Any:
    from matplotlib.lines import Line2D

    text = "kink: f has no derivative here"
    if curve is not None and len(curve.kinks) <= 3:
        places = ", ".join(short(0.0 if abs(x) < 1e-9 else x) for x in curve.kinks[:, 0])
        text = f"kink at {places}: no derivative"
    return Line2D(
        [],
        [],
        linestyle="none",
        marker="o",
        markersize=6,
        markerfacecolor=theme.paper,
        markeredgecolor=theme.ink,
        markeredgewidth=1.4,
        label=text,
    )


def _draw_lines(axes: Axes, lines: Sequence[Line], labels: Sequence[str], theme: Theme) -> None:
    """Draw curves; hollow dots stand at both ends of a finite jump."""
    dashes = ("-", "--", "-.", ":")
    for i, (line, label) in enumerate(zip(lines, labels, strict=True)):
        colour = SERIES[i % len(SERIES)]
        style_ = dashes[(i // len(SERIES) + (i if len(lines) > 1 else 0)) % len(dashes)]
        axes.plot(line.x, line.y, style_, color=colour, linewidth=1.8, label=label, solid_capstyle="round")
        finite = [jump for jump in line.jumps if not jump.unbounded][:40]
        for jump in finite:
            axes.plot(
                [jump.at] * 2,
                [jump.left, jump.right],
                "o",
                markersize=4.5,
                markerfacecolor=theme.paper,
                markeredgecolor=colour,
                markeredgewidth=1.2,
            )
    low, high = min(line.limits[0] for line in lines), max(line.limits[1] for line in lines)
    axes.set_ylim(low, high)
    axes.set_xlim(float(lines[0].x[0]), float(lines[0].x[-1]))
    if low < 0 < high:
        axes.axhline(0.0, color=theme.muted, linewidth=0.8, zorder=1)


def draw_on_curve(run: Descent, theme: Theme, certificate: Certificate | None = None) -> Figure:
    """Draw a 1-D descent on its curve, points coloured by step, ends marked by outcome."""
    from descentlab.figures.draw_certificates import draw_points

    tracks = curve_tracks(run)
    curve = sample_curve(run.objective, (float(tracks.view[0, 0]), float(tracks.view[0, 1])))
    figure = style.new_figure(7.2, 4.6, theme)
    axes = figure.subplots()
    x = style.name_text(run.objective.names[0])
    style.set_up(axes, theme, x, f"$f$({x})")
    draw_curve_background(axes, curve, tracks, run.objective.domain[0], theme)
    points = _draw_paths(axes, tracks)
    if points is not None and tracks.last_step:
        style.step_bar(figure, points, axes, theme, tracks.last_step)
    handles = draw_ends(axes, tracks, theme, end_words(run))
    if certificate is not None:
        handles += draw_points(axes, certificate, theme, 0.7, proved=True)
    style.legend(axes, theme, handles, 4 if certificate is None else 2)
    notes = [
        captions.problem(run.objective),
        captions.method(run),
        *captions.curve_notes([curve]),
        *captions.track_notes(tracks),
        "" if certificate is None else captions.PROVED,
    ]
    return style.finish(figure, theme, style.title_text(run.objective, 7.2), notes, run.objective.label)


def draw_curve_background(axes: Axes, curve: Curve, tracks: Tracks, box: Array, theme: Theme) -> None:
    """Draw the curve, the box's sides where the view is wider, and set the limits."""
    axes.plot(curve.value.x, curve.value.y, color=theme.muted, linewidth=1.4, zorder=2)
    axes.plot(
        *curve.kinks.T, "o", markersize=5, markerfacecolor=theme.paper, markeredgecolor=theme.muted, zorder=2
    )
    axes.set_xlim(*tracks.view[0])
    for side in box:
        if tracks.view[0, 0] < side < tracks.view[0, 1]:
            axes.axvline(float(side), color=theme.muted, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    low, high = curve.value.limits
    bottom, top = tracks.view[1]
    cut = curve.value.unbounded
    margin = 0.06 * (top - bottom)
    axes.set_ylim(low if cut else min(low, bottom - margin), high if cut else max(high, top + margin))


def _draw_paths(axes: Axes, tracks: Tracks) -> Any:
    """Draw the steps as thin pieces and points coloured by step; return the coloured points."""
    from matplotlib.collections import LineCollection

    steps = np.concatenate([path.steps for path in tracks.paths])
    here = np.concatenate([path.points for path in tracks.paths])
    there = np.concatenate([path.next_points for path in tracks.paths])
    order = np.argsort(steps, kind="stable")
    steps, here, there = steps[order], here[order], there[order]
    colours, norm = style.step_colours(), style.step_norm(steps, tracks.last_step)
    lines, kept = pieces(here, there, tracks.view)
    drawn = LineCollection(list(lines), cmap=colours, norm=norm, linewidths=0.8, alpha=0.45, zorder=3)
    drawn.set_array(steps[kept])
    axes.add_collection(drawn, autolim=False)
    seen = np.all((here >= tracks.view[:, 0]) & (here <= tracks.view[:, 1]), axis=1)
    if not seen.any():
        return None
    return axes.scatter(
        here[seen, 0], here[seen, 1], c=steps[seen], cmap=colours, norm=norm, s=16, linewidths=0, zorder=4
    )


def end_words(run: Descent) -> str:
    """Return "outcome at x = …, after N steps" for a single start, else nothing."""
    if len(run.points) != 1 or run.objective.dim > 2:
        return ""
    end = run.ends[0]
    if not np.isfinite(end).all():
        return f"{style.words(str(run.outcomes[0]))}, after {int(run.taken[0]):,} steps"
    names = ", ".join(
        f"{n} = {short(0.0 if abs(c) < 1e-9 * w else c)}"
        for n, c, w in zip(run.objective.names, end, run.objective.widths, strict=True)
    )
    return f"{style.words(str(run.outcomes[0]))}: {names}, after {int(run.taken[0]):,} steps"


def draw_ends(axes: Axes, tracks: Tracks, theme: Theme, words: str = "", fixed: bool = False) -> list[Any]:
    """Draw starts as hollow dots and ends by outcome; return the legend's handles.

    An end outside the view is drawn at its edge. fixed: black and white marks, for heat maps.
    """
    from matplotlib.lines import Line2D

    many = len(tracks.starts) > 60
    face, edge = ("#ffffff", "#000000") if fixed else (theme.paper, theme.ink)
    looks: dict[str, Any] = {
        "linestyle": "none",
        "marker": "o",
        "markersize": 2.2 if many else 6.5,
        "markerfacecolor": face,
        "markeredgecolor": edge,
        "markeredgewidth": 0.35 if many else 1.3,
    }
    axes.plot(*tracks.starts.T, zorder=5, **looks)
    start = "start" if len(tracks.starts) == 1 else f"start ({len(tracks.starts):,})"
    handles: list[Any] = [Line2D([], [], label=start, **looks)]
    low, high = tracks.view[:, 0], tracks.view[:, 1]
    with np.errstate(all="ignore"):
        shown = np.where(
            np.isfinite(tracks.ends) | np.isinf(tracks.ends), np.clip(tracks.ends, low, high), np.nan
        )
    for outcome in (name for name in OUTCOMES if (tracks.outcomes == name).any()):
        rows = tracks.outcomes == outcome
        colour, shape = OUTCOMES[outcome]
        thick = shape == "x"
        axes.plot(
            *shown[rows].T,
            linestyle="none",
            marker=shape,
            markersize=7 if many else 12 if shape == "*" else 9,
            markerfacecolor=colour,
            markeredgecolor=colour if thick else edge,
            markeredgewidth=2 if thick else 0.8,
            zorder=6,
            clip_on=False,
        )
        label = words or style.words(outcome) + (f" ({rows.sum():,})" if len(tracks.starts) > 1 else "")
        handles.append(style.mark(outcome, label, 9, edge))
    return handles
