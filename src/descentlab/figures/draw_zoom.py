"""Draw how closely a certified point is known: the proof's boxes to scale, among the floating-point numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.figures import certified, style
from descentlab.figures.certified import Glyphs, Zoom
from descentlab.figures.draw_field import draw_field
from descentlab.figures.fields import sample_field
from descentlab.figures.results import short
from descentlab.figures.style import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.certify import Certificate

Array = NDArray[np.float64]

# Floating-point numbers are drawn as dots where no more than this fit the panel's side.
MOST_DOUBLES = {1: 40, 2: 24}
DOTS = "Dots in the smallest panel are floating-point numbers"


def draw_neighbourhood_line(axes: Axes, certificate: Certificate, close: Zoom, theme: Theme) -> None:
    """Draw the curve around one point, and the interval in which it is the only one."""
    f, (low, high) = certificate.objective, close.alone_in[0]
    room = 0.25 * (high - low)
    x = np.linspace(low - room, high + room, 400)
    style.set_up(axes, theme, style.name_text(f.names[0]), "", _alone_words(close))
    axes.plot(x, f.value(x[:, None]), color=theme.muted, linewidth=1.4, zorder=3)
    axes.axvspan(low, high, facecolor=style.SKY, alpha=0.25, linewidth=0, zorder=1)
    for side in (low, high):
        axes.axvline(side, color=style.BLUE, linewidth=1.2, linestyle=(0, (4, 3)), zorder=2)
    axes.set_xlim(x[0], x[-1])
    _few_ticks(axes, "x")
    _few_ticks(axes, "y")
    _mark(axes, close, (close.point.point[0], close.point.value))


def draw_neighbourhood_plane(
    figure: Figure, axes: Axes, certificate: Certificate, close: Zoom, theme: Theme
) -> None:
    """Draw the landscape around one point, and the box in which it is the only one."""
    room = 0.25 * np.diff(close.alone_in, axis=1)
    view = close.alone_in + room * [-1.0, 1.0]
    field = sample_field(certificate.objective, "auto", view, 100)
    draw_field(figure, axes, field, theme, bar=False)
    axes.set_title(_alone_words(close), fontsize=style.NORMAL, color=theme.ink, loc="left", pad=7)
    _rectangle(axes, close.alone_in, "#ffffff", (0, (4, 3)))
    _few_ticks(axes, "x")
    _few_ticks(axes, "y")
    _mark(axes, close, close.point.point)


def draw_tight_line(axes: Axes, names: tuple[str, ...], close: Zoom, theme: Theme) -> list[str]:
    """Draw the interval that holds the point, and the floating-point numbers there, on a line."""
    from matplotlib.patches import Rectangle

    low, high = _tight_view(axes, 0, names[0], close, theme)
    axes.add_patch(
        Rectangle(
            (low, -0.4), high - low, 0.8, facecolor=style.SKY, edgecolor=style.BLUE, linewidth=1.2, zorder=2
        )
    )
    axes.set_ylim(-1.0, 1.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    dots = _doubles(close, 0, axes.get_xlim())
    if dots is None:
        return []
    axes.plot(dots, np.zeros(len(dots)), "o", markersize=3.2, color=theme.ink, zorder=3)
    return [DOTS]


def draw_tight_plane(axes: Axes, names: tuple[str, ...], close: Zoom, theme: Theme) -> list[str]:
    """Draw the box that holds the point, and the floating-point numbers there."""
    sides = np.array([_tight_view(axes, k, names[k], close, theme) for k in range(2)])
    _rectangle(axes, sides, style.BLUE, "-", style.SKY)
    dots = [_doubles(close, 0, axes.get_xlim()), _doubles(close, 1, axes.get_ylim())]
    if dots[0] is None or dots[1] is None:
        return []
    x, y = np.meshgrid(dots[0], dots[1])
    axes.plot(x.ravel(), y.ravel(), "o", markersize=1.8, color=theme.ink, zorder=3)
    return [DOTS]


def _tight_view(axes: Axes, k: int, name: str, close: Zoom, theme: Theme) -> tuple[float, float]:
    """Set up one axis of offsets from the point, in a power of ten; return the box's sides on it."""
    if k == 0:
        style.set_up(axes, theme, title=f"known to {_sides(close.offsets)}", grid=False)
        axes.text(
            0.02,
            0.97,
            _scale_words(close),
            transform=axes.transAxes,
            va="top",
            fontsize=style.SMALL,
            color=theme.muted,
            bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5, "alpha": 0.9},
            zorder=5,
        )
    unit = _unit(close, k)
    power = int(np.floor(np.log10(unit) + 0.5))
    low, high = close.offsets[k] / unit
    room = 0.5 * (high - low) or 1.0
    at = float(close.point.point[k])
    less = f" {'+' if at < 0 else '−'} {short(abs(at), 6)}…" if at else ""
    label = f"{style.name_text(name)}{less}, in $10^{{{power}}}$"
    if k == 0:
        axes.set_xlim(low - room, high + room)
        axes.set_xlabel(label, fontsize=style.SMALL, color=theme.ink)
    else:
        axes.set_ylim(low - room, high + room)
        axes.set_ylabel(label, fontsize=style.SMALL, color=theme.ink)
    _few_ticks(axes, "xy"[k])
    return low, high


def _unit(close: Zoom, k: int) -> float:
    """Return the power of ten below the box's width, or below the distance of doubles where it has none."""
    width = float(np.diff(close.offsets[k])[0]) or float(close.doubles[k])
    return float(10.0 ** max(np.floor(np.log10(width)), -300.0))


def _doubles(close: Zoom, k: int, limits: tuple[float, float]) -> Array | None:
    """Return the floating-point numbers within the limits of an axis, None if they are too many to be told apart."""
    step = close.doubles[k] / _unit(close, k)
    if step <= 0 or (limits[1] - limits[0]) / step > MOST_DOUBLES[len(close.doubles)]:
        return None
    return np.asarray(np.arange(np.ceil(limits[0] / step), np.floor(limits[1] / step) + 1) * step)


def _alone_words(close: Zoom) -> str:
    one = len(close.alone_in) == 1
    return f"the only one in this {'interval' if one else 'box'}, {_sides(close.alone_in)}"


def _sides(box: Array) -> str:
    return " × ".join(_size(float(width)) for width in np.diff(box, axis=1)[:, 0])


def _scale_words(close: Zoom) -> str:
    least = float(np.min(close.closer))
    return (
        f"magnified $10^{{{np.floor(np.log10(least)):.0f}}}$ times" if np.isfinite(least) else "known exactly"
    )


def _size(value: float) -> str:
    """Write a size with two digits, as mathematics where it needs a power of ten."""
    exponent = np.floor(np.log10(value)) if value > 0 else 0
    if -4 <= exponent < 4:
        return f"{value:.2g}"
    return f"${value / 10.0 ** max(exponent, -307):.1f}\\cdot 10^{{{exponent:.0f}}}$"


def _few_ticks(axes: Axes, which: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axis: Any = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(4))


def _rectangle(axes: Axes, sides: Array, colour: str, line: Any, face: str = "none") -> None:
    from matplotlib.patches import Rectangle

    (left, right), (bottom, top) = sides
    look: dict[str, Any] = {
        "facecolor": face,
        "edgecolor": colour,
        "linewidth": 1.4,
        "linestyle": line,
        "zorder": 2,
    }
    axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, **look))


def _mark(axes: Axes, close: Zoom, place: Any) -> None:
    kind = close.point.kind
    g = Glyphs(kind, False, np.array([place], float), np.array([close.point.value]))
    draw_glyphs(axes, g, g.points, 8.0, 0.7)


def draw_glyphs(axes: Axes, g: Glyphs, places: Array, size: float, rim: float) -> None:
    colour, shape = style.OUTCOMES.get(g.kind, (style.GREY, "o"))
    axes.plot(
        *places.T,
        linestyle="none",
        marker=shape,
        markersize=size * (1.35 if shape == "*" else 1.0),
        markerfacecolor="#ffffff" if g.on_edge else colour,
        markeredgecolor=colour if g.on_edge else "#000000",
        markeredgewidth=2.2 * rim if g.on_edge else rim,
        zorder=6 + certified.KINDS.index(g.kind) / 10,
        clip_on=False,
    )
