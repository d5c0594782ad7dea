"""Draw a widening: the share of runs that solve the problem, and what a solution costs, by width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from descentlab.models import drawing
from descentlab.models.draw_curvature import true_minus
from descentlab.models.draw_parts import method, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.figures.style import Theme
    from descentlab.models.drawing import Widths
    from descentlab.models.widen import Widening


def draw_widths(w: Widening, theme: Theme) -> Figure:
    """Draw shares above and costs below, each with its intervals, the cheapest width marked."""
    from descentlab.figures import style

    data = drawing.widths_of(w)
    figure = style.new_figure(7.4, 5.6, theme)
    above, below = figure.subplots(2, 1, sharex=True)
    percentage = f"{100 * w.confidence:.3g} %"
    style.set_up(above, theme, "", "share of runs", "solved, with 95 % Wilson intervals")
    cost = f"cost of a solution, {percentage} sure: restarts × weights × steps"
    style.set_up(below, theme, "width", "weights × steps", cost)
    _draw_shares(above, data, theme)
    _draw_costs(below, data, theme)
    below.set_xscale("log")
    whole_numbers(below, data.widths.tolist())
    low, high = int(data.widths[0]), int(data.widths[-1])
    below.set_xlim(low / 1.25, high * 1.25)
    title = f"Width {low} to {high}" if high > low else f"Width {low}"
    caption = [true_minus(w.sentence), method(w.ensembles)]
    return style.finish(figure, theme, f"{title}: which remedy is cheaper?", caption)


def _draw_shares(axes: Axes, data: Widths, theme: Theme) -> None:
    from descentlab.figures import style

    errors = np.abs(np.array([data.low, data.high]) - data.shares)
    axes.errorbar(
        data.widths, data.shares, yerr=errors, color=style.BLUE, linewidth=1.6, marker="o", markersize=5,
        ecolor=theme.ink, elinewidth=1.1, capsize=3, zorder=3,
    )  # fmt: skip
    axes.set_ylim(-0.03, 1.05)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")


def _draw_costs(axes: Axes, data: Widths, theme: Theme) -> None:
    """Draw the costs that are known; at the other widths an arrow says how much a solution costs at least."""
    from matplotlib.ticker import LogLocator, NullFormatter

    from descentlab.figures import style

    known = np.isfinite(data.costs)
    seen = np.concatenate([data.costs[known], data.cost_low, data.cost_high[np.isfinite(data.cost_high)]])
    ceiling = float(seen.max()) * 2
    high = np.where(np.isfinite(data.cost_high), data.cost_high, ceiling)
    axes.set_yscale("log")
    axes.vlines(data.widths, data.cost_low, high, color=theme.ink, linewidth=1.1, zorder=2)
    axes.plot(
        data.widths[known],
        data.costs[known],
        color=style.VERMILION,
        linewidth=1.6,
        marker="s",
        markersize=5,
        zorder=3,
    )
    opened = ~np.isfinite(data.cost_high)
    axes.plot(
        data.widths[opened],
        high[opened],
        linestyle="none",
        marker="^",
        markersize=7,
        color=theme.ink,
        zorder=3,
    )
    if data.best is not None:
        axes.plot(
            data.widths[data.best], data.costs[data.best], linestyle="none", marker="*", markersize=15,
            color=style.ORANGE, markeredgecolor="#000000", markeredgewidth=0.7, zorder=5,
        )  # fmt: skip
    for i, (width, cost, n) in enumerate(zip(data.widths, data.costs, data.restarts, strict=True)):
        label = "no run solved it" if n is None else f"{n:,} run{'' if n == 1 else 's'}"
        best = i == data.best
        axes.annotate(
            f"cheapest: {label}" if best else label, (width, high[i] if n is None else cost), fontsize=style.SMALL,
            xytext=(9, -13 if n else 9), textcoords="offset points", color=theme.ink, zorder=6,
        )  # fmt: skip
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if ceiling < 300 * seen.min() else (1.0,)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value < 1e7 else f"{value:.0e}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(float(seen.min()) / 3, ceiling * 1.6)
