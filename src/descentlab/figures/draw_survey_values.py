"""Draw surveys beyond the plane: end values, steps, restarts, and minima of many variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.figures import captions, ends, style
from descentlab.figures.results import percent, short, tick
from descentlab.figures.style import SERIES, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.figures.ends import Heights
    from descentlab.survey import Survey

# Where the lowest minimum is reached more rarely than this, shares are drawn by their logarithm.
RARE = 0.01


def minimum_colour(index: int) -> str:
    """Return the colour of the minimum of that rank; those past the palette share grey."""
    return SERIES[index] if 0 <= index < len(SERIES) else style.GREY


def draw_waterfall(survey: Survey, theme: Theme) -> Figure:
    """Draw the values at which all starts ended, sorted, as steps."""
    from matplotlib.collections import LineCollection, PolyCollection

    data = ends.waterfall(survey)
    figure = style.new_figure(8.2, 4.6, theme)
    axes = figure.subplots()
    title = "where the starts ended, the lowest first"
    style.set_up(axes, theme, "share of all starts", _height_label(survey, data.heights), title)
    y = data.heights(data.values)
    log = bool(len(y)) and survey.best_share < RARE
    low = _left_end(data) if log else 0.0
    x = np.maximum(data.edges, low)
    # One colour a run of steps alike: a plateau is one line, and a picture of a million starts stays small.
    colours = [minimum_colour(int(i)) if i >= 0 else theme.muted for i in data.minima]
    bottom, top = _limits(y, survey, data.heights)
    runs = _runs(data.minima, y)
    flats = [[(x[a], y[a]), (x[b + 1], y[a])] for a, b in runs if y[a] == y[b]]
    kinds = [colours[a] for a, b in runs if y[a] == y[b]]
    axes.add_collection(
        PolyCollection(
            [[(p[0], bottom), (p[0], p[1]), (q[0], q[1]), (q[0], bottom)] for p, q in flats],
            facecolors=kinds,
            alpha=0.16,
            linewidths=0,
            zorder=2,
        )
    )
    axes.plot(np.repeat(x, 2)[1:-1], np.repeat(y, 2), color=theme.muted, linewidth=0.8, zorder=3)
    axes.add_collection(LineCollection(flats, colors=kinds, linewidths=2.6, capstyle="butt", zorder=4))
    axes.set_ylim(bottom, top)
    if log:
        axes.set_xscale("log")
    axes.set_xlim(low, 1.0)
    _share_axis(axes, log)
    _label_plateaus(axes, survey, data, x, y, theme, log)
    if data.lost > 0:
        _mark_lost(axes, data.edges[-1], theme)
    _height_axis(axes, data.heights)
    notes = []
    if (data.minima < 0).any():
        notes.append("Grey: starts that ended at no minimum")
    if data.lost > 0:
        notes.append(f"Hatched: {percent(data.lost)} of starts diverged or ended where f is not finite")
    return finished(figure, survey, theme, notes)


def _left_end(data: ends.Waterfall) -> float:
    """Return where a logarithmic axis of shares begins: so that the lowest plateau has a third of a decade."""
    first = data.plateaus[0][1] if data.plateaus else 0
    return float(data.edges[first + 1]) / 4


def _runs(minima: Any, y: Any) -> list[tuple[int, int]]:
    """Return the first and last step of each run of equal height and minimum."""
    if not len(y):
        return []
    new = np.flatnonzero((np.diff(y) != 0) | (np.diff(minima) != 0)) + 1
    return list(zip([0, *new.tolist()], [*(new - 1).tolist(), len(y) - 1], strict=True))


def _limits(y: Any, survey: Survey, heights: Heights) -> tuple[float, float]:
    """Return the limits of an axis of heights; what are equal values but for rounding look equal."""
    low, high = (float(y.min()), float(y.max())) if len(y) else (0.0, 1.0)
    least = 0.0 if heights.log else 0.05 * survey.value_scale
    room = max(high - low, least) or 1.0
    return low - 0.1 * room, low + 1.1 * room


def _share_axis(axes: Axes, log: bool) -> None:
    from matplotlib.ticker import NullLocator

    axes.xaxis.set_major_formatter(lambda value, _: f"{float(f'{100 * value:.3g}'):.12g} %")
    if log:
        axes.xaxis.set_minor_locator(NullLocator())


def _label_plateaus(
    axes: Axes, survey: Survey, data: ends.Waterfall, x: Any, y: Any, theme: Theme, log: bool
) -> None:
    """Write value and share at each wide plateau where there is room: to the right of its beginning and
    below it, or to the left of its end and above it – steps going up never cross text there."""
    taken: list[tuple[float, float, float]] = []
    bottom, top = axes.get_ylim()
    for first, last, share, count in data.plateaus:
        several = f" in {count:,} minima" if count > 1 else ""
        text = f"{_span(survey, data.values[first], data.values[last])} · {percent(share)}{several}"
        room = 0.0125 * len(text)
        left, right = (float(_along(v, x[0], log)) for v in (x[first], x[last + 1]))
        below = left + room <= 1.0
        left = left + 0.006 if below else right - room
        height = (float(y[first]) - bottom) / (top - bottom) + (-0.04 if below else 0.04)
        if left < 0 or any(abs(height - h) < 0.05 and left < b and left + room > a for a, b, h in taken):
            continue
        taken.append((left, left + room, height))
        axes.text(
            left if below else right - 0.006,
            height,
            text,
            transform=axes.transAxes,
            fontsize=style.SMALL,
            color=theme.ink,
            ha="left" if below else "right",
            va="center",
            zorder=6,
        )


def _along(share: Any, first: float, log: bool) -> Any:
    """Return how far along the axis of shares a share lies, from 0 to 1."""
    return np.log(share / first) / np.log(1.0 / first) if log else share


def _span(survey: Survey, low: float, high: float) -> str:
    """Write one value, or two where they differ by more than the picture shows."""
    if high - low <= survey.same_value:
        return short(_tidied(survey, low))
    grain = 1e-3 * max(abs(low), abs(high))
    ends_ = dict.fromkeys((tick(low, grain), tick(high, grain)))
    return " to ".join(ends_)


def _tidied(survey: Survey, value: float) -> float:
    return 0.0 if abs(value) < 1e-9 * survey.value_scale else float(value)


def _mark_lost(axes: Axes, left: float, theme: Theme) -> None:
    axes.axvspan(left, 1.0, facecolor="none", edgecolor=theme.faint, hatch="////", linewidth=0, zorder=1)


def _height_label(survey: Survey, heights: Heights) -> str:
    return f"f above its lowest, {tick(_tidied(survey, heights.lowest))}" if heights.log else "f"


def _height_axis(axes: Axes, heights: Heights) -> None:
    """Label a logarithmic axis of heights, the lowest value itself at its foot."""
    from matplotlib.ticker import FixedLocator

    if not heights.log:
        grain = 1e-6 * float(np.ptp(axes.get_ylim()))
        axes.yaxis.set_major_formatter(lambda value, _: tick(value, grain))
        return
    decades = np.arange(int(np.ceil(heights.floor)), int(np.floor(axes.get_ylim()[1])) + 1)
    decades = decades[:: max(1, -(-len(decades) // 7))]
    axes.yaxis.set_major_locator(FixedLocator([heights.floor, *decades.astype(float)]))
    axes.yaxis.set_major_formatter(
        lambda value, _: "lowest" if value == heights.floor else f"$10^{{{round(value)}}}$"
    )


def draw_best_of(survey: Survey, theme: Theme) -> Figure:
    """Draw what n restarts find: the expected lowest value with a band, and the probability of the best."""
    if not survey.minima:
        return _nothing(survey, theme)
    data = ends.best_of(survey)
    figure = style.new_figure(7.4, 5.2, theme)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.35, 1.0])
    n = data.restarts
    what = "lowest value found by n restarts: expected, and 5 to 95 % of the time"
    style.set_up(above, theme, "", _height_label(survey, data.heights), what)
    style.set_up(below, theme, "restarts n", "", "probability that one of them is the best")
    middle, low, high = (data.heights(v) for v in (data.expected, data.low, data.high))
    sure = np.isfinite(high)
    ceiling = max([float(middle.max()), *(float(h) for h in high[sure])])
    high = np.where(sure, high, ceiling + 10 * (ceiling - float(low.min()) + 1.0))
    above.fill_between(n, low, high, step="post", color=style.BLUE, alpha=0.2, linewidth=0, zorder=2)
    above.plot(n, middle, color=style.BLUE, linewidth=2.0, zorder=4)
    above.set_ylim(*_limits(np.array([float(low.min()), ceiling]), survey, data.heights))
    _height_axis(above, data.heights)
    below.plot(n, data.probability, color=style.GREEN, linewidth=2.0, zorder=4)
    below.set_ylim(0.0, 1.04)
    below.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    below.set_xscale("log")
    below.set_xlim(1, n[-1])
    _log_counts(below, float(n[-1]))
    needed = survey.restarts_for(0.95)
    if needed is not None and 1 < needed <= n[-1]:
        for axes in (above, below):
            axes.axvline(needed, color=theme.ink, linewidth=0.9, linestyle=(0, (4, 3)), zorder=3)
        below.annotate(
            f"{needed:,} restarts: 95 %",
            (needed, 0.06),
            xytext=(5, 0),
            textcoords="offset points",
            fontsize=style.SMALL,
            color=theme.ink,
        )
    notes = (
        ["The band is open above where fewer than 95 % of the tries reach any minimum"]
        if not sure.all()
        else []
    )
    return finished(figure, survey, theme, notes)


def _log_counts(axes: Axes, ratio: float) -> None:
    """Label a logarithmic axis of whole numbers that spans this ratio."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if ratio < 2000 else (1.0,)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value < 1e7 else f"{value:.0e}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def draw_steps(survey: Survey, theme: Theme) -> Figure:
    """Draw a histogram of the steps that starts took, by the minimum reached or the outcome."""
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    data = ends.step_counts(survey)
    figure = style.new_figure(8.2, 4.2, theme)
    axes = figure.subplots()
    style.set_up(axes, theme, "steps taken", "share of starts", "how many steps they took")
    axes.grid(False, axis="x")
    base = np.zeros(len(data.edges) - 1)
    handles = []
    for shares, rank, label, outcome in zip(
        data.shares, data.colours, data.labels, data.outcomes, strict=True
    ):
        colour = style.OUTCOMES.get(outcome, (style.GREY, ""))[0] if outcome else minimum_colour(rank)
        look: dict[str, Any] = {"facecolor": colour, "edgecolor": theme.paper, "linewidth": 0.3}
        if outcome:
            look |= {"facecolor": theme.faint, "edgecolor": colour, "hatch": "////"}
        axes.bar(
            data.edges[:-1],
            shares,
            np.diff(data.edges),
            base,
            align="edge",
            zorder=3,
            **look,
        )
        base = base + shares
        handles.append(Patch(**look, label=label))
    if data.log:
        axes.set_xscale("log")
        _log_counts(axes, float(data.edges[-1] / data.edges[0]))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlim(data.edges[0], data.edges[-1])
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    room = style.legend_above(axes, theme, handles, -(-len(handles) // -(-len(handles) // 4)))
    note = "" if len(survey.taken) == survey.starts_count else f"Of the first {len(survey.taken):,} starts"
    return finished(figure, survey, theme, [note], room)


def draw_parallel(survey: Survey, theme: Theme) -> Figure:
    """Draw each minimum as a line over its coordinates, coloured by value."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    if not survey.minima:
        return _nothing(survey, theme)
    data = ends.parallel(survey)
    names = [survey.objective.names[a] for a in data.axes]
    figure = style.new_figure(max(6.4, min(10.5, 2.2 + 0.85 * len(names))), 4.6, theme)
    axes = figure.subplots()
    style.set_up(
        axes, theme, "", "", "the minima's coordinates, each from its low to its high bound", grid=False
    )
    heights = data.heights(data.values)
    low, high = (float(heights.min()), float(heights.max())) if len(heights) else (0.0, 1.0)
    norm = Normalize(low, high if high > low else low + 1.0)
    # The lowest stand out, on light and dark paper alike.
    colours = style.step_colours().reversed()
    strength = np.sqrt(data.shares / data.shares.max()) if len(data.shares) else data.shares
    at = np.arange(len(names), dtype=float)
    lines = [np.column_stack([at, line]) for line in data.places]
    rgba = colours(norm(heights))
    rgba[:, 3] = 0.25 + 0.7 * strength
    axes.add_collection(LineCollection(lines, colors=rgba, linewidths=0.7 + 2.8 * strength, zorder=3))
    axes.scatter(
        np.tile(at, len(lines)),
        data.places.reshape(-1),
        s=14,
        c=np.repeat(rgba, len(at), axis=0),
        linewidths=0,
        zorder=4,
    )
    parallel_axes(axes, names, data.bounds, theme)
    bar = style.colorbar(
        figure, ScalarMappable(norm, colours), axes, theme, _height_label(survey, data.heights)
    )
    if data.heights.log:
        _height_axis(bar.ax, data.heights)
    notes = ["Wider lines are reached by more starts"]
    if data.left_out:
        notes.append(f"{data.left_out:,} minima that few starts reach are left out")
    if len(names) < survey.objective.dim:
        notes.append(f"{len(names)} of {survey.objective.dim} variables are shown")
    return finished(figure, survey, theme, notes)


def parallel_axes(axes: Axes, names: Sequence[str], bounds: NDArray[np.float64], theme: Theme) -> None:
    """Draw one upright line a variable, at 0, 1, …, with its name below and its bounds (axis, 2) at its ends."""
    at = np.arange(len(names), dtype=float)
    for place in at:
        axes.plot((place, place), (0.0, 1.0), color=theme.muted, linewidth=0.8, zorder=2)
    axes.set_xlim(-0.15, len(names) - 0.85)
    axes.set_ylim(-0.09, 1.09)
    axes.set_yticks([])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xticks(at, [style.name_text(n) for n in names])
    axes.tick_params(axis="x", length=0, pad=10, labelsize=style.NORMAL)
    for place, (lower, upper) in zip(at, bounds, strict=True):
        for y, value, side in ((-0.02, lower, "top"), (1.02, upper, "bottom")):
            axes.text(place, y, tick(value), ha="center", va=side, fontsize=style.SMALL, color=theme.muted)


def _nothing(survey: Survey, theme: Theme) -> Figure:
    """Say in place of a figure that there are no minima to draw: the survey is worth its answer all the same."""
    figure = style.new_figure(6.4, 1.6, theme)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.0, 0.5, "No start reached a minimum.", va="center", fontsize=style.LARGE, color=theme.muted)
    return finished(figure, survey, theme, [])


def finished(figure: Figure, survey: Survey, theme: Theme, notes: list[str], room: int = 0) -> Figure:
    """Put title and caption around a figure of a survey."""
    return style.finish(
        figure,
        theme,
        style.title_text(survey.objective, figure.get_figwidth()),
        [captions.problem(survey.objective), captions.survey_method(survey), *notes],
        survey.objective.label,
        room,
    )
