"""Draw loss slices and straight lines between solutions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.models.draw_curvature import true_minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.figures.style import Theme
    from descentlab.models.between import Between
    from descentlab.models.slices import Slice


def draw_slice(s: Slice, theme: str = "light") -> Figure:
    """Draw a slice: a curve, or a map of heights with contours and the trajectory seen in it."""
    from descentlab.figures import style

    chosen = style.theme_of(theme)
    figure = style.new_figure(6.6, 5.7, chosen) if s.dims == 2 else style.new_figure(7.2, 4.4, chosen)
    axes = figure.subplots()
    notes = _draw_plane(figure, axes, s, chosen) if s.dims == 2 else _draw_line(axes, s, chosen)
    across, up = _axis_names(s)
    axes.set_xlabel(across, fontsize=style.NORMAL, color=chosen.ink)
    axes.set_ylabel(up, fontsize=style.NORMAL, color=chosen.ink)
    title = f"A slice of the loss through {len(s.centre):,} parameters"
    method = s.method[0].upper() + s.method[1:]
    return style.finish(figure, chosen, title, [true_minus(text) for text in (method, s.sentence, *notes)])


def _axis_names(s: Slice) -> tuple[str, str]:
    from descentlab.figures.results import percent, short

    def name(i: int) -> str:
        if s.kind == "hessian":
            return f"eigenvector of $\\lambda$ = {short(float(s.eigenvalues[i]))}"
        if s.kind == "trajectory":
            return f"principal component {i + 1} ({percent(float(s.explained[i]))} of variance)"
        return f"{'random ' if s.kind == 'random' else ''}direction {i + 1}"

    return name(0), name(1) if s.dims == 2 else "loss"


def _draw_plane(figure: Figure, axes: Axes, s: Slice, theme: Theme) -> list[str]:
    from descentlab.figures.draw_field import draw_field, draw_height_bar
    from descentlab.figures.fields import Field, choose_scale
    from descentlab.figures.style import legend

    scale = choose_scale(s.losses)
    # Two decades above the lowest place are enough: more would show its own few points, and little else.
    scale = replace(scale, offset=max(scale.offset, 0.01 * (scale.high - scale.low)))
    box = np.array([[s.x[0], s.x[-1]], [s.y[0], s.y[-1]]])
    missing = float(np.mean(~np.isfinite(s.losses)))
    field = Field("loss", ("x", "y"), s.x, s.y, s.losses, scale.heights(s.losses), scale, box, missing)
    image = draw_field(figure, axes, field, theme, bar=False)
    draw_height_bar(figure, axes, image, field, theme, "loss")
    handles = _draw_track(axes, s.projection)
    handles += axes.plot(
        0.0, 0.0, linestyle="none", marker="*", markersize=12, markerfacecolor="#ffffff", markeredgecolor="#000000",
        markeredgewidth=0.8, zorder=6, label="the model",
    )  # fmt: skip
    legend(axes, theme, handles)
    grey = f"Grey: the loss is not finite on {100 * missing:.2g} % of the picture" if missing else ""
    return [scale.words.capitalize(), grey]


def _draw_track(axes: Axes, points: Any) -> list[Any]:
    """Draw the trajectory in white with a dark rim, its beginning marked."""
    from matplotlib.lines import Line2D

    if not len(points):
        return []
    axes.plot(*points.T, color="#000000", linewidth=2.6, zorder=3)
    few = len(points) <= 60
    axes.plot(
        *points.T,
        color="#ffffff",
        linewidth=1.2,
        marker="o" if few else "",
        markersize=3,
        markeredgecolor="#000000",
        markeredgewidth=0.5,
        zorder=4,
    )
    # On paper a white line is not seen: the legend shows its rim.
    looks: dict[str, Any] = {"markerfacecolor": "#ffffff", "markeredgecolor": "#000000"}
    line = Line2D([], [], color="#000000", marker="o", markersize=4, label="trajectory, projected", **looks)
    begin = axes.plot(
        *points[0], linestyle="none", marker="s", markersize=7, markerfacecolor="#ffffff", markeredgecolor="#000000",
        zorder=5, label="its beginning",
    )  # fmt: skip
    return [line, *begin]


def _draw_line(axes: Axes, s: Slice, theme: Theme) -> list[str]:
    from descentlab.figures import style

    style.set_up(axes, theme)
    losses = np.where(np.isfinite(s.losses), s.losses, np.nan)
    axes.plot(s.x, losses, color=style.BLUE, linewidth=1.6)
    finite = losses[np.isfinite(losses)]
    if finite.size and finite.min() > 0 and finite.max() / finite.min() > 100:
        axes.set_yscale("log")
    axes.plot(
        0.0, s.centre_loss, linestyle="none", marker="*", markersize=12, markerfacecolor="#ffffff",
        markeredgecolor=theme.ink, markeredgewidth=0.8, zorder=6, label="the model",
    )  # fmt: skip
    style.legend(axes, theme)
    return []


def draw_between(b: Between, theme: str = "light") -> Figure:
    """Draw the loss along the line, before and after alignment, each barrier as a bar at its top."""
    from descentlab.figures import style

    chosen = style.theme_of(theme)
    figure = style.new_figure(7.2, 4.6, chosen)
    axes = figure.subplots()
    style.set_up(axes, chosen, "from the first solution (0) to the second (1)", "loss")
    lines = [(b.losses, b.barrier, style.VERMILION, "as they are")]
    if b.aligned_losses is not None and b.aligned_barrier is not None:
        lines.append((b.aligned_losses, b.aligned_barrier, style.BLUE, "units aligned"))
    for k, (losses, height, colour, name) in enumerate(lines):
        label = f"{name}: barrier {height:.3g}"
        dashes = "solid" if k == 0 else (0, (6, 2))
        axes.plot(b.t, losses, color=colour, linewidth=1.8, linestyle=dashes, label=label, zorder=3 + k)
        straight = (1 - b.t) * losses[0] + b.t * losses[-1]
        at = int(np.nanargmax(np.where(np.isfinite(losses), losses - straight, np.nan)))
        axes.plot(
            [b.t[at]] * 2, [straight[at], losses[at]], color=colour, linewidth=1.0, linestyle=(0, (1, 2))
        )
    axes.plot([0, 1], b.losses[[0, -1]], color=chosen.muted, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
    axes.plot(
        [0, 1],
        b.losses[[0, -1]],
        linestyle="none",
        marker="o",
        markersize=6,
        color=chosen.ink,
        clip_on=False,
        zorder=6,
    )
    axes.set_xlim(0.0, 1.0)
    style.legend(axes, chosen)
    title = f"The loss between two solutions of {b.size}"
    marks = "Dashed grey: the straight line between the losses at the ends; dotted: the barrier"
    return style.finish(figure, chosen, style.escaped(title), [true_minus(b.sentence), marks])
