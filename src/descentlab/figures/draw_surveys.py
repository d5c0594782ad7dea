"""Draw surveys: the share of starts by minimum, and starts coloured by the minimum they reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.figures import captions, style
from descentlab.figures.curves import sample_curve
from descentlab.figures.draw_field import draw_field
from descentlab.figures.fields import sample_field
from descentlab.figures.results import SurveyData, survey_data
from descentlab.figures.style import SERIES, Theme
from descentlab.figures.tracks import evenly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.survey import Survey

MOST_DOTS = 3000


def draw(survey: Survey, heights: str, theme: Theme) -> Figure:
    """Draw the bars, and in one or two variables the landscape with the starts beside them."""
    data = survey_data(survey)
    dim = survey.objective.dim
    height = max(3.6, 1.5 + 0.36 * len(data.bars))
    notes = [
        captions.problem(survey.objective),
        captions.survey_method(survey),
        "Bars show 95 % Wilson intervals",
    ]
    if dim <= 2:
        figure = style.new_figure(10.2, max(height, 4.4), theme)
        left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.05])
        notes += _draw_landscape(figure, right, survey, heights, theme)
    else:
        figure = style.new_figure(7.2, height, theme)
        left = figure.subplots()
    _draw_bars(left, data, theme, coloured=dim <= 2)
    return style.finish(
        figure,
        theme,
        style.title_text(survey.objective, figure.get_figwidth()),
        notes,
        survey.objective.label,
    )


def minimum_colour(index: int) -> str:
    """Return the colour of the minimum of that rank; those past the palette share grey."""
    return SERIES[index] if index < len(SERIES) else style.GREY


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


def percent(share: float) -> str:
    """Write a share, never rounding something to nothing or almost all to all.

    >>> percent(0.12345), percent(0.00001), percent(0.99999)
    ('12.3 %', '< 0.1 %', '> 99.9 %')
    """
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.3g} %"


def _draw_landscape(figure: Figure, axes: Axes, survey: Survey, heights: str, theme: Theme) -> list[str]:
    """Draw f with a dot for each start, in the colour of its minimum; return notes for the caption."""
    rows = evenly(len(survey.start_points), MOST_DOTS)
    starts, reached = survey.start_points[rows], survey.assignment[rows]
    notes = [f"Dots are {len(rows):,} of the starts"] if len(rows) < len(survey.start_points) else []
    minima = np.array([m.point for m in survey.minima]).reshape(-1, survey.objective.dim)
    if survey.objective.dim == 1:
        curve = sample_curve(survey.objective)
        x = style.name_text(survey.objective.names[0])
        style.set_up(axes, theme, x, "", f"$f$({x}), starts coloured by the minimum they reached")
        axes.plot(curve.value.x, curve.value.y, color=theme.muted, linewidth=1.2, zorder=2)
        axes.set_ylim(*curve.value.limits)
        axes.set_xlim(*survey.objective.domain[0])
        starts = np.column_stack([starts[:, 0], survey.objective.value(starts)])
        minima = (
            np.column_stack([minima[:, 0], [m.value for m in survey.minima]])
            if len(minima)
            else np.empty((0, 2))
        )
        notes += captions.curve_notes([curve])
        size = 12.0
    else:
        field = sample_field(survey.objective, heights)
        image = draw_field(figure, axes, field, theme, bar=False)
        # Heights step back, so that the starts' colours can be seen.
        image.set(cmap="gray", alpha=0.55)
        axes.set_facecolor(theme.paper)
        axes.set_title(
            "starts coloured by the minimum they reached",
            fontsize=style.NORMAL,
            color=theme.ink,
            loc="left",
            pad=7,
        )
        notes += captions.field_notes(field)
        size = float(np.clip(12000 / max(len(starts), 1), 5, 24))
    _draw_dots(axes, starts, reached, minima, size)
    return notes


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
