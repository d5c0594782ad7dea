"""Draw surveys: the share of starts by minimum, and starts coloured by the minimum they reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.figures import captions, style
from descentlab.figures.curves import sample_curve
from descentlab.figures.draw_certificates import draw_beside
from descentlab.figures.draw_field import draw_field
from descentlab.figures.draw_survey_values import (
    draw_best_of,
    draw_parallel,
    draw_steps,
    draw_waterfall,
    finished,
    minimum_colour,
)
from descentlab.figures.ends import fates
from descentlab.figures.fields import sample_field
from descentlab.figures.results import SurveyData, percent, survey_data
from descentlab.figures.style import Theme
from descentlab.figures.tracks import evenly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.survey import Survey

MOST_DOTS = 3000
# Outcomes of fewer starts than this are marked, so that they can be found.
RARE = 0.03


def draw(survey: Survey, kind: str, heights: str, theme: Theme) -> Figure:
    """Draw one of the kinds of survey figures."""
    if kind == "minima":
        return draw_minima(survey, heights, theme)
    if kind == "outcomes":
        return draw_outcomes(survey, heights, theme)
    if kind == "best_of":
        return draw_best_of(survey, theme)
    plain = {"waterfall": draw_waterfall, "parallel": draw_parallel, "steps": draw_steps}
    return plain[kind](survey, theme)


def draw_minima(survey: Survey, heights: str, theme: Theme) -> Figure:
    """Draw the bars, and in one or two variables the landscape with the starts beside them."""
    data = survey_data(survey)
    dim = survey.objective.dim
    height = max(3.6, 1.5 + 0.36 * len(data.bars))
    notes, room = ["Bars show 95 % Wilson intervals"], 0
    if dim <= 2:
        figure = style.new_figure(10.2, max(height, 4.4), theme)
        left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.05])
        notes += _draw_landscape(figure, right, survey, heights, theme)
        beside = draw_beside(right, survey, theme, minima=False)
        room = style.legend_above(right, theme, beside, 2)
        notes += [captions.PROVED] if beside else []
    else:
        figure = style.new_figure(7.2, height, theme)
        left = figure.subplots()
    _draw_bars(left, data, theme, coloured=dim <= 2)
    return finished(figure, survey, theme, notes, room)


def _draw_bars(axes: Axes, data: SurveyData, theme: Theme, coloured: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    style.set_up(axes, theme, f"share of {data.starts:,} starts", "", "where they ended")
    top = _top(data)
    places = np.arange(len(data.bars), dtype=float)
    # Other outcomes stand apart, below.
    places += 0.5 * np.array([bar.minimum is None for bar in data.bars], float)
    for y, bar in zip(places, data.bars, strict=True):
        kind = bar.minimum
        colour = theme.faint if kind is None else minimum_colour(kind) if coloured else style.GREEN
        cut = bar.share > top
        axes.barh(
            y,
            min(bar.share, top),
            height=0.62,
            color=colour,
            edgecolor=theme.muted if kind is None else "none",
            linewidth=0.6,
        )
        right = min(bar.share, top)
        if bar.interval is not None:
            axes.plot(bar.interval, (y, y), color=theme.ink, linewidth=1.2, solid_capstyle="butt")
            right = bar.interval[1]
        axes.text(
            right + 0.012 * top,
            y,
            percent(bar.share) + " (cut)" * cut,
            va="center",
            ha="left",
            fontsize=style.SMALL,
            color=theme.ink,
        )
    axes.set_yticks(places, [style.escaped(bar.label.replace("-", "−")) for bar in data.bars])
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0.0, top * 1.2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _top(data: SurveyData) -> float:
    """Return the longest bar to draw; one lump far longer than every minimum's bar is cut."""
    minima = [bar.interval[1] for bar in data.bars if bar.interval]
    longest = max([bar.share for bar in data.bars] + minima, default=1.0) or 1.0
    return 1.6 * max(minima) if minima and longest > 4 * max(minima) else longest


def _draw_landscape(figure: Figure, axes: Axes, survey: Survey, heights: str, theme: Theme) -> list[str]:
    """Draw f with a dot for each start, in the colour of its minimum; return notes for the caption."""
    rows = evenly(len(survey.start_points), MOST_DOTS)
    starts, reached = survey.start_points[rows], survey.assignment[rows]
    notes = [f"Dots are {len(rows):,} of the starts"] if len(rows) < survey.starts_count else []
    notes += _background(figure, axes, survey, heights, theme, "starts coloured by the minimum they reached")
    minima = np.array([m.point for m in survey.minima]).reshape(-1, survey.objective.dim)
    if survey.objective.dim == 1:
        heights_ = np.array([m.value for m in survey.minima])
        minima = np.column_stack([minima[:, 0], heights_])
    _draw_dots(axes, _in_plane(survey, starts), reached, minima, _dot_size(survey, len(starts)))
    return notes


def _in_plane(survey: Survey, points: Any) -> Any:
    """Return where points are in the picture: on the curve, or in the plane."""
    f = survey.objective
    return np.column_stack([points[:, 0], f.value(points)]) if f.dim == 1 else points


def _dot_size(survey: Survey, count: int) -> float:
    return 12.0 if survey.objective.dim == 1 else float(np.clip(12000 / max(count, 1), 5, 24))


def _background(
    figure: Figure, axes: Axes, survey: Survey, heights: str, theme: Theme, title: str
) -> list[str]:
    """Draw the curve, or the heights in faint grey; return notes for the caption."""
    if survey.objective.dim == 1:
        curve = sample_curve(survey.objective)
        x = style.name_text(survey.objective.names[0])
        style.set_up(axes, theme, x, "", f"$f$({x}), {title}")
        axes.plot(curve.value.x, curve.value.y, color=theme.muted, linewidth=1.2, zorder=2)
        axes.set_ylim(*curve.value.limits)
        axes.set_xlim(*survey.objective.domain[0])
        return captions.curve_notes([curve])
    field = sample_field(survey.objective, heights)
    image = draw_field(figure, axes, field, theme, bar=False)
    # Heights step back, so that the starts' colours can be seen.
    image.set(cmap="gray", alpha=0.55)
    axes.set_facecolor(theme.paper)
    axes.set_title(title, fontsize=style.NORMAL, color=theme.ink, loc="left", pad=7)
    return captions.field_notes(field)


def draw_outcomes(survey: Survey, heights: str, theme: Theme) -> Figure:
    """Draw the starts on the landscape, coloured and marked by how they ended."""
    data = fates(survey)
    figure = style.new_figure(7.4, 5.6 if survey.objective.dim == 2 else 4.6, theme)
    axes = figure.subplots()
    notes = _background(figure, axes, survey, heights, theme, "starts coloured by how they ended")
    points, size = _in_plane(survey, data.points), _dot_size(survey, len(data.points))
    handles = []
    for z, (outcome, share) in enumerate(data.shares.items()):
        rows = data.outcomes == outcome
        # Common outcomes are plain dots, rare ones stand out by size, shape and rim.
        look = _fate(outcome, share, size)
        axes.scatter(points[rows, 0], points[rows, 1], zorder=4 + z, **look)
        label = f"{style.words(outcome)} {percent(share)}"
        if share >= RARE:
            handles.append(_dot(look["c"], label))
        else:
            handles.append(style.mark(outcome, label, 7))
    if len(data.points) < survey.starts_count:
        notes = [f"Dots are {len(data.points):,} of the starts, rare outcomes more than their share", *notes]
    beside = draw_beside(axes, survey, theme, minima=True)
    handles += beside
    notes += [captions.PROVED] if beside else []
    room = style.legend_above(axes, theme, handles, 4)
    return finished(figure, survey, theme, notes, room)


def _fate(outcome: str, share: float, size: float) -> dict[str, Any]:
    colour, shape = style.OUTCOMES.get(outcome, (style.GREY, "o"))
    if share >= RARE:
        return {"s": size, "marker": "o", "c": colour, "linewidths": 0.0, "alpha": 0.85}
    if shape == "x":
        return {"s": 2.5 * size, "marker": shape, "c": colour, "linewidths": 1.2}
    return {"s": 2.5 * size, "marker": shape, "c": colour, "linewidths": 0.5, "edgecolors": "#000000"}


def _dot(colour: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], linestyle="none", marker="o", markersize=6, color=colour, markeredgewidth=0, label=label
    )


def _draw_dots(axes: Axes, starts: Any, reached: Any, minima: Any, size: float) -> None:
    none = reached < 0
    axes.scatter(starts[none, 0], starts[none, 1], s=size, marker="x", c="#333333", linewidths=0.7, zorder=3)
    for index in np.unique(reached[~none]):
        rows = reached == index
        axes.scatter(
            starts[rows, 0],
            starts[rows, 1],
            s=size,
            c=minimum_colour(int(index)),
            linewidths=0,
            alpha=0.85,
            zorder=4,
        )
    for index, point in enumerate(minima):
        axes.plot(
            *point,
            marker="*",
            markersize=13 if len(minima) <= 40 else 7,
            markeredgecolor="#000000",
            markerfacecolor=minimum_colour(index),
            markeredgewidth=0.8,
            zorder=6,
            clip_on=False,
        )
