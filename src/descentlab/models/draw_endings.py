"""Draw how runs ended, by second order, and the distinct solutions they found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from descentlab.models import drawing
from descentlab.models.draw_parts import finished, looks, loss_axis, nothing
from descentlab.models.endings_look import FLAT
from descentlab.models.endings_slopes import MOST_DENSE
from descentlab.models.words import percent
from descentlab.survey.statistics import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.figures.style import Theme
    from descentlab.models.ensemble import Ensemble


class Bar(NamedTuple):
    """One bar: its label, share of runs with an interval or None, colour, and a mark or hatching."""

    label: str
    share: float
    interval: tuple[float, float] | None
    colour: str
    mark: str = ""
    hatch: str = ""


def draw_endings(e: Ensemble, theme: Theme) -> Figure:
    from descentlab.figures import style

    data = drawing.ending_points(e)
    figure = style.new_figure(9.6, 4.4, theme)
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.25])
    style.set_up(left, theme, f"share of {e.runs:,} runs", "", "how they ended")
    bars = [Bar(style.words(f.name), f.share, f.share_interval, *_ending_look(f.name)) for f in data.counts]
    _draw_bars(left, bars, theme)
    style.set_up(
        right,
        theme,
        "loss at the end of training",
        "smallest ÷ largest Hessian eigenvalue",
        "their curvature",
    )
    _draw_curvatures(right, data)
    right.axhspan(-FLAT, FLAT, color=theme.faint, alpha=0.5, linewidth=0, zorder=1)
    notes = ["Grey band: the smallest eigenvalue is zero to rounding"]
    if e.size > MOST_DENSE:
        notes.append("Eigenvalues are those at the end of training, by Lanczos' method")
    if data.far.any():
        notes.append(
            "Hollow: eigenvalues where damped Newton steps came to, too far away to tell what kind of point "
            "training reached"
        )
    if len(data.losses) < e.runs - int(e.diverged.sum()):
        notes.append(f"{len(data.losses):,} runs are drawn on the right, evenly over their losses")
    return finished(figure, e, theme, f"How {e.runs:,} runs ended", notes)


def _draw_curvatures(axes: Axes, data: drawing.EndingPoints) -> None:
    """Draw the ratio of the extreme eigenvalues against the loss, a mark a run."""
    from matplotlib.ticker import FixedLocator, NullLocator

    size = 30 if len(data.losses) < 300 else 16
    losses = data.scale.clipped(data.losses)
    for name in dict.fromkeys(data.endings.tolist()):
        colour, shape = _ending_look(name)
        for far in (True, False):
            mine = (data.endings == name) & (data.far == far)
            look: dict[str, Any] = {
                "facecolors": "none" if far else colour,
                "edgecolors": colour if far else "#000000",
            }
            axes.scatter(
                losses[mine], data.ratios[mine], s=size, marker=shape, linewidths=0.8 if far else 0.4, **look
            )
    loss_axis(axes, data.scale, "x")
    # Linear within rounding, logarithmic beyond, on either side.
    axes.set_yscale("symlog", linthresh=FLAT)
    powers = [10.0**p for p in (-8, -6, -4, -2, 0)]
    axes.yaxis.set_major_locator(FixedLocator([*(-p for p in powers), 0.0, *powers]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(-2.0 if (data.ratios < -FLAT).any() else -5 * FLAT, 2.0)


def _ending_look(name: str) -> tuple[str, str]:
    """Return colour and mark of an ending: those of a descent's outcome where it is one."""
    from descentlab.figures.style import GREY, OUTCOMES, PURPLE, SKY

    own = {"flat": (PURPLE, "s"), "stalling": (SKY, "p"), "not_converged": (GREY, "o")}
    return own.get(name) or OUTCOMES[name]


# --- distinct solutions ---


def draw_solutions(e: Ensemble, theme: Theme) -> Figure:
    """Draw a bar a distinct solution: the share of runs that found it."""
    from descentlab.figures import style
    from descentlab.figures.results import short

    data = drawing.solutions(e)
    if not data.distinct:
        return nothing(e, theme)
    bars = []
    for runs, loss, solved in zip(data.runs, data.losses, data.solved, strict=True):
        look = looks()["solved" if solved else "stuck"]
        label = f"loss {short(loss, 3)}, {runs:,} run{'' if runs == 1 else 's'}"
        bars.append(
            Bar(
                label, runs / e.runs, wilson(int(runs), e.runs), look["color"], hatch="" if solved else "////"
            )
        )
    if data.more:
        label = f"{data.more:,} more, {data.more_runs:,} runs"
        bars.append(Bar(label, data.more_runs / e.runs, None, theme.faint))
    figure = style.new_figure(7.8, max(2.9, 1.7 + 0.3 * len(bars)), theme)
    axes = figure.subplots()
    how = (
        "by their outputs on the training data"
        if data.by == "function"
        else "by their weights, up to symmetries"
    )
    style.set_up(axes, theme, f"share of {e.runs:,} runs", "", f"told apart {how}")
    _draw_bars(axes, bars, theme)
    handles = _kinds_of(data, theme)
    room = style.legend_above(axes, theme, handles, 2)
    count = f"{data.distinct:,} distinct {'function' if data.by == 'function' else 'set of weights'}"
    count = (
        count if data.distinct == 1 else count.replace("set of", "sets of").replace("function", "functions")
    )
    notes = [
        f"{count}, {data.once:,} of them found once: about {percent(data.unseen)} of further runs would find another",
        "Lines across the bars: 95 % Wilson intervals",
    ]
    return finished(figure, e, theme, f"Distinct solutions of {e.runs:,} runs", notes, room)


def _kinds_of(data: drawing.Solutions, theme: Theme) -> list[Any]:
    from matplotlib.patches import Patch

    handles = []
    for name, label, there in (
        ("solved", "solved", data.solved.any()),
        ("stuck", "not solved", (~data.solved).any()),
    ):
        if there:
            hatch = "" if name == "solved" else "////"
            handles.append(
                Patch(facecolor=looks()[name]["color"], edgecolor=theme.paper, hatch=hatch, label=label)
            )
    return handles


# --- bars ---


def _draw_bars(axes: Axes, bars: Sequence[Bar], theme: Theme) -> None:
    """Draw horizontal bars, the first on top, each with its share, interval, and its mark at the foot."""
    from descentlab.figures import style

    top = max(max(bar.share, bar.interval[1] if bar.interval else 0.0) for bar in bars)
    for y, bar in enumerate(bars):
        axes.barh(
            y, bar.share, height=0.62, color=bar.colour, edgecolor=theme.paper, linewidth=0.0, hatch=bar.hatch or None
        )  # fmt: skip
        right = bar.share
        if bar.interval is not None:
            axes.plot(bar.interval, (y, y), color=theme.ink, linewidth=1.2, solid_capstyle="butt")
            right = max(right, bar.interval[1])
        if bar.mark:
            axes.plot(
                0.0, y, marker=bar.mark, markersize=8, color=bar.colour, markeredgecolor="#000000",
                markeredgewidth=0.6, clip_on=False, zorder=5,
            )  # fmt: skip
        axes.annotate(
            percent(bar.share), (right, y), xytext=(8 if bar.mark else 4, 0), textcoords="offset points", va="center",
            fontsize=style.SMALL, color=theme.ink,
        )  # fmt: skip
    axes.set_yticks(range(len(bars)), [style.escaped(bar.label) for bar in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, pad=7)
    axes.set_xlim(0.0, 1.2 * top)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= min(1.0, 1.1 * top)])
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
