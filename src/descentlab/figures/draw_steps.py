"""Draw parameter, derivative, value and learning rate per step, as small diagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.figures import captions, style
from descentlab.figures.style import OUTCOMES, SERIES, Theme
from descentlab.figures.tracks import Panel, Series, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.descent import Descent

# Up to this many starts have a colour each; of more, colours would only be noise.
TOLD_APART = 6


def draw_steps(run: Descent, theme: Theme) -> Figure:
    """Draw the series of a run, a diagram each, on a common axis of steps."""
    data = series(run)
    columns = 2
    rows = -(-len(data.panels) // columns)
    figure = style.new_figure(8.2, 1.0 + 2.0 * rows, theme)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(data.panels) :]:
        axes.set_visible(False)
    single = len(data.rows) == 1
    for k, (axes, panel) in enumerate(zip(grid.flat, data.panels, strict=False)):
        bottom = k >= len(data.panels) - columns
        style.set_up(axes, theme, "step" if bottom else "", "", panel_title(panel, run.objective.names))
        _draw_panel(axes, panel, theme, single)
    handles = _handles(run, data)
    room = style.legend_above(grid[0, 0], theme, handles, 3 if len(data.rows) > 1 else 4)
    notes = [captions.problem(run.objective), captions.method(run)]
    if any(panel.log and any((v == 0).any() for v in panel.values) for panel in data.panels):
        notes.append("Zeros have no logarithm and are not drawn")
    if data.starts > len(data.rows):
        notes.append(f"Shown are {len(data.rows)} of {data.starts:,} starts")
    if single and run.objective.dim > 8:
        notes.append(f"Shown are 8 of {run.objective.dim} variables")
    return style.finish(figure, theme, style.title_text(run.objective, 8.2), notes, run.objective.label, room)


def panel_title(panel: Panel, names: tuple[str, ...]) -> str:
    """Return a panel's title with its mathematics."""
    single = len(names) == 1
    x = style.name_text(names[0]).strip("$")
    if panel.what.startswith("parameter"):
        name = panel.what.removeprefix("parameter").strip()
        if name or single:
            return f"parameter {style.name_text(name or names[0])}"
        return "parameters"
    known = {
        "derivative": f"derivative $f\\,'({x})$" if single else "partial derivatives",
        "size of the derivative": f"size of the derivative $|f\\,'({x})|$"
        if single
        else "sizes of the partial derivatives",
        "norm of the gradient": r"norm of the gradient $\Vert\nabla f\Vert$",
        "value": "value $f$",
    }
    return known.get(panel.what, panel.what)


def _draw_panel(axes: Axes, panel: Panel, theme: Theme, single: bool) -> None:
    """Draw a panel's lines; gaps stay gaps, and an axis without any value says so."""
    from matplotlib.ticker import MaxNLocator

    several = len(panel.values) > 1
    values = np.concatenate([np.asarray(v, float) for v in panel.values])
    finite = values[np.isfinite(values)]
    plain = several and not single and len(panel.values) > TOLD_APART
    for i, (steps, line) in enumerate(zip(panel.steps, panel.values, strict=True)):
        shown = np.where(line > 0, line, np.nan) if panel.log else line
        colour = style.BLUE if plain or not several else SERIES[i % len(SERIES)]
        dots = len(steps) <= 30
        # Constant rates of several starts lie on each other: the later ones are drawn thinner.
        axes.plot(
            steps,
            shown,
            color=colour,
            linewidth=0.8 if plain else 1.5,
            alpha=0.5 if plain else 1.0,
            marker="o" if dots else None,
            markersize=2.5 if plain else 3.2,
        )
    if panel.log and finite.size:
        axes.set_yscale("log")
    elif finite.size:
        set_range(axes, finite, theme)
    else:
        axes.text(
            0.5,
            0.5,
            "no finite value",
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=style.SMALL,
            color=theme.muted,
        )
    last = max((int(s[-1]) for s in panel.steps if len(s)), default=1)
    axes.set_xlim(-0.02 * max(last, 1), max(last, 1) * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def set_range(axes: Axes, finite: np.ndarray[tuple[int], np.dtype[np.float64]], theme: Theme) -> None:
    """Set the vertical range: by a symmetric logarithm where both signs span decades."""
    from matplotlib.ticker import FixedLocator

    low, high = float(finite.min()), float(finite.max())
    largest, typical = max(abs(low), abs(high)), float(np.median(np.abs(finite)))
    first = np.abs(finite[: max(2, len(finite) // 20)])
    small = float(np.median(first)) or typical or largest
    if largest > 1e6 * max(small, 1e-300) and largest > 1e3:
        # From the first steps' size to the last one's, above and below zero, and few ticks.
        axes.set_yscale("symlog", linthresh=max(small, 1e-12), linscale=0.6)
        top = int(np.floor(np.log10(largest)))
        powers = [float(10.0**p) for p in (top, top // 2)]
        ticks = [-p for p in powers if low < -p] + [0.0] + [p for p in powers if high > p]
        axes.yaxis.set_major_locator(FixedLocator(sorted(ticks)))
        axes.set_ylim(low * 3 if low < 0 else -small, high * 3 if high > 0 else small)
        return
    if high - low <= 1e-9 * largest or high == low:
        half = 0.5 * largest or 1.0
        axes.set_ylim(low - half, high + half)
        axes.ticklabel_format(axis="y", useOffset=False)
    if low < 0 < high:
        axes.axhline(0.0, color=theme.muted, linewidth=0.8, zorder=1)


def _handles(run: Descent, data: Series) -> list[Any]:
    """Name the variables of one start, or the starts while they have colours, with their outcomes."""
    from matplotlib.lines import Line2D

    single = len(data.rows) == 1
    if single:
        names = run.objective.names[:8]
        labels = [style.name_text(name) for name in names] if len(names) > 1 else []
    elif len(data.rows) <= TOLD_APART:
        labels = [f"start {i + 1}: {style.words(str(run.outcomes[i]))}" for i in data.rows]
    else:
        kinds = [name for name in OUTCOMES if (run.outcomes == name).any()]
        text = ", ".join(f"{style.words(k)} {np.count_nonzero(run.outcomes == k):,}" for k in kinds)
        return [Line2D([], [], color=style.BLUE, linewidth=0.8, label=f"a line a start; ended as: {text}")]
    return [Line2D([], [], color=SERIES[i % len(SERIES)], label=label) for i, label in enumerate(labels)]
