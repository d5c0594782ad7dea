"""Draw sweeps: the final point or value against one or two of what was varied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.figures import captions, style
from descentlab.figures.curves import visible_range
from descentlab.figures.fields import choose_scale
from descentlab.figures.results import Axis, SweepData, sweep_data, tick
from descentlab.figures.style import OUTCOMES, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.sweep import Sweep

Array = NDArray[np.float64]
MOST_TICKS = 9
MOST_LINES = 12


def draw(sweep: Sweep, axes: tuple[str, ...] | None, theme: Theme) -> Figure:
    """Draw a sweep against `axes`, or the first two varied."""
    data = sweep_data(sweep, axes)
    if data.second is None:
        figure = _draw_plane(data, sweep, theme) if data.starts is not None else _draw_one(data, sweep, theme)
    else:
        figure = _draw_two(data, theme)
    notes = [captions.problem(sweep.objective), *captions.sweep_method(sweep, data.held)]
    return style.finish(
        figure, theme, style.title_text(sweep.objective, figure.get_figwidth()), notes, sweep.objective.label
    )


def result_range(data: SweepData) -> tuple[float, float]:
    """Return the range of results to show: of those that are not far off, if there are any."""
    shown = data.result[~data.far]
    return visible_range(shown if shown.size else data.result)


def positions(axis: Axis) -> Array:
    """Return where an axis's entries lie: their numbers, or 0, 1, 2, … for names."""
    return np.arange(len(axis.labels), dtype=float) if axis.numbers is None else axis.numbers


def _label(data: SweepData) -> str:
    name = data.what.removeprefix("final ")
    return "final value of $f$" if name == "value of f" else f"final {style.name_text(name)}"


def _outcome_handles(outcomes: NDArray[np.str_], theme: Theme) -> list[Any]:
    return [
        style.mark(name, f"{style.words(name)} ({np.count_nonzero(outcomes == name):,})", 7, theme.ink)
        for name in OUTCOMES
        if (outcomes == name).any()
    ]


def _draw_one(data: SweepData, sweep: Sweep, theme: Theme) -> Figure:
    """Draw the result against one axis, marks by outcome; what is out of range lies on the frame."""
    figure = style.new_figure(7.2, 4.4, theme)
    axes = figure.subplots()
    first = data.first
    style.set_up(axes, theme, first.title, _label(data))
    x, y = positions(first), data.result[:, 0]
    low, high = result_range(data)
    if data.first.name == "start" and sweep.objective.dim == 1 and first.numbers is not None:
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, ends, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.set_xlabel(f"start {style.name_text(sweep.objective.names[0])}  (dashed: end = start)")
    many = len(x) > 150
    order = np.argsort(x, kind="stable")
    if first.numbers is not None and not many:
        joined = np.where(np.isfinite(y) & (y >= low) & (y <= high), y, np.nan)[order]
        axes.plot(x[order], joined, color=theme.muted, linewidth=0.7, alpha=0.6, zorder=2)
    with np.errstate(all="ignore"):
        shown = np.clip(np.where(np.isnan(y), high, y), low, high)
    for outcome in (name for name in OUTCOMES if (data.outcomes == name).any()):
        rows = data.outcomes[:, 0] == outcome
        colour, shape = OUTCOMES[outcome]
        size = (5 if many else 8) + (3 if shape == "*" else 0)
        axes.plot(
            x[rows],
            shown[rows],
            linestyle="none",
            marker=shape,
            markersize=size,
            markerfacecolor=colour,
            markeredgecolor=colour if shape == "x" or many else theme.ink,
            markeredgewidth=0.5,
            clip_on=False,
            zorder=4,
        )
    axes.set_ylim(low, high)
    _set_ticks(axes, first, "x")
    style.legend(axes, theme, _outcome_handles(data.outcomes, theme))
    return figure


def _set_ticks(axes: Axes, axis: Axis, which: str) -> None:
    """Space an axis by logarithm, or name its entries."""
    if axis.numbers is None:
        places = np.unique(
            np.linspace(0, len(axis.labels) - 1, min(len(axis.labels), MOST_TICKS)).round().astype(int)
        )
        labels = [_cut(axis.labels[i]) for i in places]
        turned = which == "x" and sum(map(len, labels)) > 60
        target = axes.xaxis if which == "x" else axes.yaxis
        target.set_ticks(places, labels)
        if turned:
            _turn(axes)
    elif axis.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")


def _cut(label: str) -> str:
    return style.escaped(label if len(label) <= 24 else label[:22] + "…")


def _draw_plane(data: SweepData, sweep: Sweep, theme: Theme) -> Figure:
    """Draw starts in the plane, coloured by the final value, those that reached nothing marked by outcome."""
    from matplotlib.lines import Line2D

    assert data.starts is not None
    figure = style.new_figure(6.6, 5.6, theme)
    axes = figure.subplots()
    names = sweep.objective.names
    style.set_up(axes, theme, f"start {style.name_text(names[0])}", f"start {style.name_text(names[1])}")
    y = data.result[:, 0]
    low, high = result_range(data)
    bad = data.far[:, 0]
    size = 30 if len(y) < 400 else 12
    handles: list[Any] = []
    if (~bad).any():
        points = axes.scatter(
            data.starts[~bad, 0],
            data.starts[~bad, 1],
            c=np.clip(y[~bad], low, high),
            cmap="cividis",
            s=size,
            edgecolors=theme.ink,
            linewidths=0.3,
        )
        style.colorbar(figure, points, axes, theme, _label(data))
        handles.append(
            Line2D(
                [],
                [],
                linestyle="none",
                marker="o",
                markersize=6,
                markerfacecolor=style.SKY,
                markeredgecolor=theme.ink,
                label=f"ended at a finite value ({(~bad).sum():,})",
            )
        )
    for outcome in (n for n in OUTCOMES if (data.outcomes[bad] == n).any()):
        rows = bad & (data.outcomes[:, 0] == outcome)
        axes.plot(
            *data.starts[rows].T,
            linestyle="none",
            marker=OUTCOMES[outcome][1],
            color=OUTCOMES[outcome][0],
            markersize=5,
        )
        handles.append(style.mark(outcome, f"{style.words(outcome)} ({rows.sum():,})", 7, theme.ink))
    style.legend(axes, theme, handles)
    return figure


def _draw_two(data: SweepData, theme: Theme) -> Figure:
    """Draw two axes three ways: results as a heat map, outcomes as a heat map, and results as lines."""
    assert data.second is not None
    rows = len(data.second.labels)
    long = max(max(map(len, data.second.labels)), max(map(len, data.first.labels))) > 10
    figure = style.new_figure(9.6 + (1.2 if long else 0), 6.6 + 0.02 * min(rows, 40), theme)
    grid = figure.add_gridspec(2, 2, height_ratios=[1.0, 0.95])
    results, outcomes = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    lines = figure.add_subplot(grid[1, :])
    _draw_cells(results, data, theme, "result")
    _draw_cells(outcomes, data, theme, "outcome")
    _draw_result_lines(lines, data, theme)
    return figure


def _draw_cells(axes: Axes, data: SweepData, theme: Theme, what: str) -> None:
    """Draw a cell for each pair of entries, first axis across, second up."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    assert data.second is not None
    figure: Any = axes.figure
    style.set_up(
        axes,
        theme,
        data.first.title,
        data.second.title,
        _label(data) if what == "result" else "outcome",
        grid=False,
    )
    axes.set_facecolor(theme.faint)
    looks: dict[str, Any] = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    bad = data.far
    if what == "result":
        scale = choose_scale(np.where(bad, np.nan, data.result))
        heights = np.ma.masked_invalid(scale.heights(np.where(bad, np.nan, data.result)))
        colours = matplotlib.colormaps["cividis"].with_extremes(bad=(0, 0, 0, 0))
        image = axes.imshow(heights.T, cmap=colours, vmin=0.0, vmax=1.0, **looks)
        ticks = np.linspace(0.0, 1.0, 5) if scale.high > scale.low else np.array([0.5])
        bar = style.colorbar(
            figure, image, axes, theme, "" if scale.kind == "linear" else f"{scale.kind} colours"
        )
        bar.set_ticks(ticks, labels=[tick(v, 1e-9 * (scale.high - scale.low)) for v in scale.values(ticks)])
    else:
        names = list(OUTCOMES)
        known = [n for n in names if (data.outcomes == n).any()]
        codes = np.vectorize({n: i for i, n in enumerate(known)}.get, otypes=[float])(data.outcomes)
        axes.imshow(
            codes.T,
            cmap=ListedColormap([OUTCOMES[n][0] for n in known]),
            vmin=-0.5,
            vmax=len(known) - 0.5,
            **looks,
        )
        if data.outcomes.size <= 900:
            for name in known:
                i, j = np.nonzero(data.outcomes == name)
                axes.plot(
                    i,
                    j,
                    linestyle="none",
                    marker=OUTCOMES[name][1],
                    markersize=3.5,
                    color="#000000",
                    markeredgewidth=0.8,
                    alpha=0.7,
                )
        axes.legend(
            handles=_outcome_handles(data.outcomes, theme),
            loc="upper left",
            bbox_to_anchor=(1.0, 1.02),
            frameon=False,
            fontsize=style.SMALL,
            labelcolor=theme.ink,
            handletextpad=0.4,
        )
    if what == "result" and bad.any() and data.result.size <= 2500:
        axes.plot(*np.nonzero(bad), linestyle="none", marker="x", markersize=3.5, color=theme.muted)
    _cell_ticks(axes, data.first, "x")
    _cell_ticks(axes, data.second, "y")


def _cell_ticks(axes: Axes, axis: Axis, which: str) -> None:
    longest = max(map(len, axis.labels))
    most = (5 if longest > 6 else 7) if which == "x" else 8
    places = np.unique(np.linspace(0, len(axis.labels) - 1, min(len(axis.labels), most)).round().astype(int))
    labels = [tick(axis.numbers[i]) if axis.numbers is not None else _cut(axis.labels[i]) for i in places]
    turned = which == "x" and sum(map(len, labels)) > 34
    target = axes.xaxis if which == "x" else axes.yaxis
    target.set_ticks(places, labels)
    if turned:
        _turn(axes)


def _turn(axes: Axes) -> None:
    for label in axes.get_xticklabels():
        label.set(rotation=30, ha="right", rotation_mode="anchor")


def _draw_result_lines(axes: Axes, data: SweepData, theme: Theme) -> None:
    """Draw the result along the second axis, a line for each entry of the first; along the first if
    only that one has numbers."""
    from matplotlib.colors import Normalize

    assert data.second is not None
    along, by, result = data.second, data.first, data.result
    if along.numbers is None and by.numbers is not None:
        along, by, result = by, along, result.T
    style.set_up(axes, theme, along.title, _label(data))
    low, high = result_range(data)
    x = positions(along)
    count = len(by.labels)
    shown = np.unique(np.linspace(0, count - 1, min(count, MOST_LINES)).round().astype(int))
    colours, norm = style.step_colours(), Normalize(0, max(count - 1, 1))
    reach = 5 * (high - low)
    for i in shown:
        y = np.where(np.isfinite(result[i]), np.clip(result[i], low - reach, high + reach), np.nan)
        colour = style.SERIES[i % len(style.SERIES)] if by.numbers is None else colours(norm(i))
        axes.plot(
            x,
            y,
            "o-" if len(x) <= 40 else "-",
            color=colour,
            linewidth=1.2,
            markersize=3,
            label=_cut(by.labels[i]),
        )
    axes.set_ylim(low, high)
    _set_ticks(axes, along, "x")
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.0, 1.04),
        frameon=False,
        fontsize=style.SMALL,
        labelcolor=theme.ink,
        title=by.title,
        title_fontproperties={"size": style.SMALL},
    )
    axes.get_legend().get_title().set_color(theme.ink)  # type: ignore[union-attr]
