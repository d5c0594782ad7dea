"""Draw the losses of runs: their curves, the levels they end at, and what restarts find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.models import drawing
from descentlab.models.draw_parts import finished, looks, loss_axis, nothing, whole_numbers
from descentlab.models.words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.figures.style import Theme
    from descentlab.models.drawing import LossCurves
    from descentlab.models.ensemble import Ensemble

# Labels of levels are kept this far apart, as a share of the axis.
APART = 0.085


def draw_losses(e: Ensemble, theme: Theme) -> Figure:
    from descentlab.figures import style

    data = drawing.curves(e)
    figure = style.new_figure(9.6, 5.0, theme)
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 0.42], sharey=True)
    style.set_up(left, theme, "step", "loss over all training data", "every run while it trains")
    style.set_up(right, theme, "share of runs", "", "the levels they end at", grid=False)
    handles = _draw_curves(left, data, theme)
    loss_axis(left, data.scale, "y")
    _draw_levels(right, data, theme)
    notes = []
    if len(data.rows) < e.runs:
        notes.append(
            f"{len(data.rows):,} runs are drawn, evenly over their final losses, and one of every larger level"
        )
    if data.scale.log and (data.losses < data.scale.low).any():
        notes.append(f"Losses below {data.scale.low:.1g} are drawn there")
    if (data.losses > data.scale.high).any():
        notes.append(f"Losses above {data.scale.high:.2g} are not in the picture")
    if data.more_levels:
        notes.append(f"{data.more_levels:,} more levels, with {data.more_runs:,} runs in all, have no mark")
    notes.append(
        "Lines across the bars of levels: 95 % Wilson intervals; thin upright lines: from lowest to highest"
    )
    room = style.legend_above(left, theme, handles, 3)
    return finished(figure, e, theme, f"Losses of {e.runs:,} runs", notes, room)


def _draw_curves(axes: Axes, data: LossCurves, theme: Theme) -> list[Any]:
    """Draw the curves and the ends; return the handles of a legend."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    handles = []
    few = len(data.rows) <= 30
    for fate in data.shares:
        look = looks()[fate.name]
        mine = data.fates == fate.name
        lines = [
            np.column_stack([data.steps, losses])[np.isfinite(losses)]
            for losses in data.scale.clipped(data.losses[mine])
        ]
        look_of_lines: dict[str, Any] = {"colors": look["color"], "linestyles": [look["linestyle"]]}
        width, alpha = (1.2, 0.9) if few else (0.9, 0.45)
        axes.add_collection(LineCollection(lines, **look_of_lines, linewidths=width, alpha=alpha, zorder=3))
        ends = np.array([line[-1] for line in lines if len(line)]).reshape(-1, 2)
        heights = np.minimum(ends[:, 1], data.scale.high)  # a run that left the picture is marked at its top
        thick = 1.0 if look["marker"] == "x" else 0.0
        axes.scatter(
            ends[:, 0], heights, s=16, marker=look["marker"], color=look["color"], linewidths=thick, zorder=4,
            clip_on=False,
        )  # fmt: skip
        named = {"solved": "solved", "stuck": "not solved", "diverged": "diverged"}[fate.name]
        low, high = fate.share_interval
        label = f"{named}: {percent(fate.share)} ({percent(low)} to {percent(high)})"
        handles.append(Line2D([], [], linewidth=1.6, markersize=5, label=label, **look))
    axes.set_xlim(0, max(int(data.steps[-1]), 1))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    return handles


def _draw_levels(axes: Axes, data: LossCurves, theme: Theme) -> None:
    """Draw a bar a level, as long as its share, at its loss; labels are pushed apart where they would touch."""
    from descentlab.figures import style
    from descentlab.figures.results import short

    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", which="both", left=False, labelleft=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    top = max((mark.share_interval[1] for mark in data.marks), default=1.0)
    axes.set_xlim(-0.02 * top, 2.5 * top)
    axes.spines["bottom"].set_bounds(0, top)
    axes.set_xlabel(axes.get_xlabel(), loc="left")
    round_shares = [share for share in (0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0) if share <= top]
    axes.set_xticks([0.0, *round_shares[-1:]])
    places = [float(data.scale.clipped(np.array([mark.loss]))[0]) for mark in data.marks]
    at = _upward(axes, places)
    for mark, y, label_at in zip(data.marks, places, _pushed_apart(at), strict=True):
        colour = looks()[mark.fate]["color"]
        low, high = data.scale.clipped(np.array([mark.low, mark.high]))
        axes.plot((0, 0), (low, high), color=colour, linewidth=1.0, zorder=2)
        dashes = "solid" if mark.fate == "solved" else (0, (0.5, 0.2))
        axes.plot((0, mark.share), (y, y), color=colour, linewidth=7, solid_capstyle="butt", linestyle=dashes)
        axes.plot(
            mark.share_interval, (y, y), color=theme.ink, linewidth=1.2, solid_capstyle="butt", zorder=4
        )
        a, b = mark.share_interval
        axes.annotate(
            f"{short(mark.loss, 3)}: {percent(mark.share)}\n({percent(a)} to {percent(b)})",
            (b, y), xycoords="data",
            xytext=(1.18 * top, label_at), textcoords=_blended(axes),
            fontsize=style.SMALL, color=theme.ink, va="center", ha="left", linespacing=1.1,
            arrowprops={"arrowstyle": "-", "color": theme.muted, "linewidth": 0.6, "shrinkA": 2, "shrinkB": 2},
        )  # fmt: skip


def _blended(axes: Axes) -> Any:
    """Return a transform of (share, height in the axes)."""
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(axes.transData, axes.transAxes)


def _upward(axes: Axes, losses: Sequence[float]) -> list[float]:
    """Return how far up the axes losses are, from 0 to 1."""
    points = axes.transData.transform([(0.0, loss) for loss in losses]) if losses else np.empty((0, 2))
    return [float(y) for y in axes.transAxes.inverted().transform(points)[:, 1]] if losses else []


def _pushed_apart(places: Sequence[float], apart: float = APART) -> list[float]:
    """Return rising places at least so far apart, as near to the given ones as that allows, within 0 to 1.

    >>> [round(y, 3) for y in _pushed_apart([0.1, 0.1, 0.9], 0.2)]
    [0.0, 0.2, 0.9]
    """
    groups: list[tuple[float, int]] = []  # middle and number of labels that touch: they are spread about it
    for place in places:
        groups.append((place, 1))
        while True:
            middle, count = groups.pop()
            half = apart * (count - 1) / 2
            middle = min(max(middle, half), max(1 - half, half))
            if not groups or middle - groups[-1][0] >= apart * (count + groups[-1][1]) / 2 - 1e-12:
                groups.append((middle, count))
                break
            before, many = groups.pop()
            groups.append(((before * many + middle * count) / (many + count), many + count))
    return [middle + apart * (i - (count - 1) / 2) for middle, count in groups for i in range(count)]


def draw_best_of(e: Ensemble, theme: Theme) -> Figure:
    from descentlab.figures import style

    data = drawing.best_of(e)
    if data is None:
        return nothing(e, theme)
    figure = style.new_figure(7.4, 5.2, theme)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.35, 1.0])
    what = "lowest loss of n runs: expected, and 5 to 95 % of the time"
    style.set_up(above, theme, "", "loss over all training data", what)
    style.set_up(below, theme, "runs n", "", "probability that one of them solves the problem")
    clip = data.scale.clipped
    # Where fewer than 95 % of the tries have any run that did not diverge, the band is open above.
    high = np.where(
        np.isfinite(data.high), clip(data.high), data.scale.high * (1e3 if data.scale.log else 10)
    )
    above.fill_between(
        data.n, clip(data.low), high, step="post", color=style.BLUE, alpha=0.2, linewidth=0, zorder=2
    )
    above.plot(data.n, clip(data.expected), color=style.BLUE, linewidth=2.0, zorder=4)
    loss_axis(above, data.scale, "y")
    below.plot(data.n, data.chance, color=style.GREEN, linewidth=2.0, zorder=4)
    below.set_ylim(0.0, 1.04)
    below.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    below.set_xscale("log")
    below.set_xlim(1, int(data.n[-1]))
    whole_numbers(below, [1, *_decades(int(data.n[-1]))])
    notes = [_mark_needed((above, below), data, theme)]
    return finished(figure, e, theme, "What n restarts find", notes)


def _mark_needed(axes: Sequence[Axes], data: drawing.BestOf, theme: Theme) -> str:
    """Mark how many runs make a solution 95 % sure, and its interval; return what to say of it."""
    from descentlab.figures import style

    if data.needed is None:
        return "No run found a solution, so no number of restarts is known to"
    fewest, most = data.needed_interval
    right = float(data.n[-1]) if most is None else float(most)
    for one in axes:
        one.axvspan(fewest, right, color=theme.faint, alpha=0.6, linewidth=0, zorder=1)
        one.axvline(data.needed, color=theme.ink, linewidth=0.9, linestyle=(0, (4, 3)), zorder=3)
    left_half = data.needed**2 < data.n[-1]  # on a logarithmic axis
    axes[-1].annotate(
        f"{data.needed:,} run{'' if data.needed == 1 else 's'}: 95 %", (data.needed, 0.06),
        xytext=(5 if left_half else -5, 0), textcoords="offset points", fontsize=style.SMALL, color=theme.ink,
        ha="left" if left_half else "right",
    )  # fmt: skip
    return "Grey: 95 % interval of that number, from the interval of the share solved"


def _decades(last: int) -> list[int]:
    """Return round numbers up to `last`, 2 and 5 among them while they are few."""
    steps = (1, 2, 5) if last < 2000 else (1,)
    return [m * 10**k for k in range(8) for m in steps if 1 < m * 10**k <= last]
