"""Draw basin maps: colour by minimum, shade by steps, and what area leads where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.figures import captions, style
from descentlab.figures.basin_pictures import (
    NEUTRAL,
    BasinPicture,
    Key,
    basin_picture,
    hatch_colour,
    shades,
)
from descentlab.figures.results import percent
from descentlab.figures.style import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.survey.basin_results import BasinMap, BasinStrip

# A strip of one optimizer or one rate is wrapped after so many maps.
MOST_ACROSS = 4
PANEL = 2.55
LEGEND = 2.9  # inches beside the maps


def draw_map(m: BasinMap, theme: Theme) -> Figure:
    """Draw one map, its areas beside it."""
    data = basin_picture([m])
    figure = style.new_figure(9.9, 6.2, theme)
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 0.5])
    _draw_panel(left, m, data, 0, theme)
    left.set_xlabel(style.name_text(m.plane[0]), fontsize=style.NORMAL, color=theme.ink)
    left.set_ylabel(style.name_text(m.plane[1]), fontsize=style.NORMAL, color=theme.ink)
    _step_bar(figure, left, data, theme)
    _draw_areas(right, data, theme)
    notes = [captions.problem(m.objective), _method(m), _measures(m), *_what_is_drawn(m)]
    title = style.title_text(m.objective, figure.get_figwidth())
    return style.finish(figure, theme, title, notes, m.objective.label)


def draw_strip(strip: BasinStrip, theme: Theme) -> Figure:
    """Draw the maps of a strip side by side, with one legend."""
    data = basin_picture(strip.maps)
    across = strip.shape[1] if min(strip.shape) > 1 else min(len(strip.maps), MOST_ACROSS)
    down = -(-len(strip.maps) // across)
    figure = style.new_figure(max(across * PANEL + LEGEND, 7.4), max(down * (PANEL + 0.45) + 1.1, 4.0), theme)
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for k, panel in enumerate(panels.flat):
        if k >= len(strip.maps):
            panel.set_visible(False)
            continue
        m = strip.maps[k]
        _draw_panel(panel, m, data, k, theme, star=9.0)
        _stacked_bar(panel, data, k)
        panel.set_title(
            f"{style.escaped(m.label)}{_pace(m)}\n{_short_measures(m)}",
            fontsize=style.SMALL, color=theme.ink, loc="left", pad=12, linespacing=1.35,
        )  # fmt: skip
    first = strip.maps[0]
    for panel in panels[-1]:
        panel.set_xlabel(style.name_text(first.plane[0]), fontsize=style.NORMAL, color=theme.ink)
    for panel in panels[:, 0]:
        panel.set_ylabel(style.name_text(first.plane[1]), fontsize=style.NORMAL, color=theme.ink)
    _legend(figure, data, theme)
    notes = [
        captions.problem(first.objective),
        _methods(strip),
        *_what_is_drawn(first),
        "Darker: more steps, each map on its own scale",
        "Above each map: the median number of steps, boundary basin entropy, uncertainty exponent, "
        "and a bar of shares of the area",
    ]
    title = style.title_text(first.objective, figure.get_figwidth() - LEGEND)
    return style.finish(figure, theme, title, notes, first.objective.label)


def _draw_panel(
    axes: Axes, m: BasinMap, data: BasinPicture, which: int, theme: Theme, star: float = 13.0
) -> None:
    style.set_up(axes, theme, grid=False)
    (left, right), (bottom, top) = m.box
    axes.imshow(
        data.pictures[which],
        origin="lower",
        extent=(left, right, bottom, top),
        aspect="auto",
        interpolation="antialiased",
        zorder=0,
    )
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    if m.objective.dim > 2:  # minima lie off the plane
        return
    columns = [m.objective.names.index(name) for name in m.plane]
    for i in data.stars[which]:
        axes.plot(
            *m.minima[i].point[columns],
            marker="*",
            markersize=star if len(data.stars[which]) <= 20 else 0.6 * star,
            markerfacecolor="#ffffff",
            markeredgecolor="#000000",
            markeredgewidth=0.7,
            clip_on=False,
            zorder=5,
        )


def _step_bar(figure: Figure, axes: Axes, data: BasinPicture, theme: Theme) -> None:
    """Add a grey bar that says how many steps a shade stands for."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import FuncNorm, ListedColormap
    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = data.steps[0]
    if high <= low:
        return
    grey = ListedColormap((shades(NEUTRAL) / 255).tolist())
    norm = FuncNorm((np.log1p, np.expm1), low, high)
    bar = style.colorbar(figure, ScalarMappable(norm, grey), axes, theme, "steps (darker: more)")
    bar.ax.yaxis.set_major_locator(FixedLocator(step_ticks(low, high)))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def step_ticks(low: float, high: float) -> list[float]:
    """Return three to eight round numbers of steps from low to high, fewer where there are none.

    >>> step_ticks(8, 900), step_ticks(22, 84), step_ticks(344, 423)
    ([10.0, 30.0, 100.0, 300.0], [30.0, 40.0, 50.0, 60.0, 70.0, 80.0], [360.0, 380.0, 400.0, 420.0])
    """
    for digits in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        ticks = [float(d * 10**p) for p in range(10) for d in digits if low <= d * 10**p <= high]
        if 4 <= len(ticks) <= 8:
            return ticks
    from matplotlib.ticker import MaxNLocator

    round_ones = MaxNLocator(5, integer=True, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in round_ones if low <= tick <= high]


def _draw_areas(axes: Axes, data: BasinPicture, theme: Theme) -> None:
    """Draw a bar of its area for each minimum and outcome: the legend of the map."""
    style.set_up(axes, theme, title="share of the area", grid=False)
    top = _longest(data.keys)
    for y, key in enumerate(data.keys):
        share = float(key.shares[0])
        length = min(share, top)
        axes.barh(y + 0.17, length, height=0.42, **_looks(key, theme))
        axes.text(
            0.0, y - 0.1, style.escaped(key.label.replace("-", "−")),
            va="bottom", ha="left", fontsize=style.SMALL, color=theme.ink,
        )  # fmt: skip
        axes.text(
            length + 0.015 * top, y + 0.17, percent(share) + " (cut)" * (share > top),
            va="center", ha="left", fontsize=style.SMALL, color=theme.muted,
        )  # fmt: skip
    axes.set_xlim(0.0, 1.3 * top)
    # Few bars are not drawn thick: the room for ten is kept.
    axes.set_ylim(max(len(data.keys), 8) - 0.4, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _longest(keys: Sequence[Key]) -> float:
    """Return the longest bar to draw; a lump far longer than every minimum's bar is cut."""
    shares = [float(key.shares[0]) for key in keys]
    minima = max((float(key.shares[0]) for key in keys if key.colour and key.is_minimum), default=0.0)
    longest = max(shares, default=0.0) or 1.0
    return 2.0 * minima if 0 < 5 * minima < longest else longest


def _looks(key: Key, theme: Theme) -> dict[str, Any]:
    """Return how an entry is filled; minima that share one entry have no colour of their own."""
    if not key.colour:
        return {"facecolor": "none", "edgecolor": theme.muted, "linewidth": 0.8}
    return {
        "facecolor": key.colour,
        "edgecolor": hatch_colour(key.colour) if key.hatch else theme.muted,
        "linewidth": 0.0 if not key.hatch else 0.4,
        "hatch": 2 * key.hatch,
    }


def _legend(figure: Figure, data: BasinPicture, theme: Theme) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(label=style.escaped(key.label.replace("-", "−")), **_looks(key, theme)) for key in data.keys
    ]
    if handles:
        figure.legend(
            handles=handles, loc="outside right upper", frameon=False, fontsize=style.SMALL,
            labelcolor=theme.ink, handlelength=1.3, handleheight=1.1, labelspacing=0.55,
        )  # fmt: skip


def _stacked_bar(axes: Axes, data: BasinPicture, which: int) -> None:
    """Draw the shares of one map as one thin bar above it."""
    bar = axes.inset_axes((0.0, 1.02, 1.0, 0.035))
    bar.set_axis_off()
    left = 0.0
    for key in data.keys:
        share = float(key.shares[which])
        bar.barh(0.0, share, left=left, height=1.0, color=key.colour or "#c2c8ce", linewidth=0)
        left += share
    bar.set_xlim(0.0, 1.0)
    bar.set_ylim(-0.5, 0.5)


def _method(m: BasinMap) -> str:
    rows, columns = m.assignment.shape
    return (
        f"{columns:,} × {rows:,} starts, {m.optimizer}, learning rate {m.learning_rate}, {m.steps:,} steps, "
        f"bounds {m.bounds}"
    )


def _methods(strip: BasinStrip) -> str:
    m = strip.maps[0]
    rows, columns = m.assignment.shape
    return (
        f"{columns:,} × {rows:,} starts a map, optimizer and learning rate as in the titles, {m.steps:,} steps, "
        f"bounds {m.bounds}"
    )


def _measures(m: BasinMap) -> str:
    """Return basin entropy and uncertainty exponent in one line."""
    entropy, doubt = m.entropy, m.uncertainty
    if math.isnan(doubt.exponent):
        return f"Basin entropy {entropy.basin:.3g}"
    relation = ">\u00a0ln\u00a02: fractal" if entropy.is_fractal else "≤\u00a0ln\u00a02"
    return (
        f"Basin entropy {entropy.basin:.3g}, of the boundaries {entropy.boundary:.3g} ({relation}); uncertainty "
        f"exponent {doubt.exponent:.3f} ± {doubt.error:.3f}, boundary dimension {doubt.dimension:.3f}"
    )


def _pace(m: BasinMap) -> str:
    taken = m.taken[m.assignment >= 0]
    return f",  {np.median(taken):,.0f} steps" if taken.size else ""


def _short_measures(m: BasinMap) -> str:
    doubt = m.uncertainty
    if math.isnan(doubt.exponent):
        return "one fate everywhere"
    return rf"$S_{{bb}}$ {m.entropy.boundary:.2f},  $\alpha$ {doubt.exponent:.3f} ± {doubt.error:.3f}"


def _what_is_drawn(m: BasinMap) -> list[str]:
    if m.objective.dim > 2:
        held = [n for n in m.objective.names if n not in m.plane]
        place = ", ".join(f"{n} = {m.at[m.objective.names.index(n)]:.4g}" for n in held[:4])
        more = ", …" if len(held) > 4 else ""
        return [f"Starts have {place}{more}; descent leaves the plane"]
    return ["Stars are the minima reached"] if any(each.hits for each in m.minima) else []
