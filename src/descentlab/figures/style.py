"""How figures look: colours, themes, marks, titles and captions.

Colours of categories are those of Okabe and Ito (2008), told apart by every kind of colour
vision; heights use cividis (Nuñez, Anderton and Renslow 2018), steps a part of plasma that
stands out on light and dark paper alike. Every outcome also has a mark of its own.

Nothing here touches matplotlib's global state: figures are made as objects, and every setting
is passed to the artist it is for.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.errors import unknown
from descentlab.objective import Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """Colours of everything that is not data."""

    ink: str
    muted: str
    faint: str
    paper: str


# Colours found nowhere else in a figure, so that an inline SVG can swap them for those of its page.
THEMES = {
    "light": Theme("#1b1f24", "#5b646f", "#d3d9e0", "#fefefe"),
    "dark": Theme("#e7ebf0", "#a3adb8", "#3d454f", "#14181d"),
}

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
GREY = "#8a929b"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)

# Outcome → colour and mark.
OUTCOMES: dict[str, tuple[str, str]] = {
    "minimum": (GREEN, "*"),
    "maximum": (VERMILION, "^"),
    "saddle": (ORANGE, "X"),
    "degenerate": (PURPLE, "D"),
    "kink": (BLUE, "v"),
    "plateau": (GREY, "s"),
    "cycle": (PURPLE, "P"),
    "diverged": (VERMILION, ">"),
    "nonfinite": (VERMILION, "x"),
    "left_domain": (ORANGE, "<"),
    "at_bound": (SKY, "d"),
    "out_of_steps": (GREY, "o"),
}

SMALL, NORMAL, LARGE = 8.0, 9.0, 11.0


def theme_of(name: str) -> Theme:
    """Return a theme by name; raises InputError for another."""
    if name not in THEMES:
        raise unknown("theme", str(name), THEMES)
    return THEMES[name]


def new_figure(width: float, height: float, theme: Theme) -> Figure:
    """Return an empty figure with an Agg canvas; sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from descentlab.figures.shown import ShownFigure

    figure = ShownFigure(figsize=(width, height), dpi=144, layout="constrained", facecolor=theme.paper)
    FigureCanvasAgg(figure)
    return figure


def set_up(axes: Axes, theme: Theme, x: str = "", y: str = "", title: str = "", grid: bool = True) -> None:
    """Give axes their labels and plain looks: two spines, a faint grid, small ticks."""
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.muted)
        spine.set_linewidth(0.8)
    axes.tick_params(
        which="both", colors=theme.muted, labelcolor=theme.ink, labelsize=SMALL, length=3, width=0.8
    )
    axes.tick_params(which="minor", length=2, width=0.6)
    if grid:
        axes.grid(True, color=theme.faint, linewidth=0.6)
        axes.set_axisbelow(True)
    axes.set_xlabel(x, fontsize=NORMAL, color=theme.ink)
    axes.set_ylabel(y, fontsize=NORMAL, color=theme.ink)
    if title:
        axes.set_title(title, fontsize=NORMAL, color=theme.ink, loc="left", pad=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set(color=theme.ink, fontsize=SMALL)


def finish(
    figure: Figure,
    theme: Theme,
    title: str,
    caption: Sequence[str],
    plain_title: str = "",
    room: int = 0,
) -> Figure:
    """Put the title above and the caption below, wrapped to the figure's width.

    room: lines to leave free below the title, for `legend_above`. The figure's label holds title
    and caption as plain text, for readers who cannot see it.
    """
    sentences = [s for s in caption if s]
    text = " ".join(s if s.endswith((".", ":")) else s + "." for s in sentences)
    figure.suptitle(title + "\n " * room, fontsize=LARGE, color=theme.ink, x=0.01, ha="left")
    # About 17 characters of 7.5-point text fit an inch.
    lines = textwrap.wrap(text, int(figure.get_figwidth() * 17)) or [""]
    figure.supxlabel(
        escaped("\n".join(lines)), fontsize=7.5, color=theme.muted, x=0.01, ha="left", linespacing=1.35
    )
    figure.set_label(f"{plain_title or title} {text}".strip())
    return figure


def legend(axes: Axes, theme: Theme, handles: Sequence[Any] = (), columns: int = 4, **options: Any) -> None:
    """Put a legend above the axes, where it covers nothing."""
    given = list(handles) or axes.get_legend_handles_labels()[0]
    if not given:
        return
    settings: dict[str, Any] = {
        "loc": "lower left",
        "bbox_to_anchor": (0.0, 1.0),
        "ncols": min(columns, len(given)),
        "frameon": False,
        "fontsize": SMALL,
        "labelcolor": theme.ink,
        "borderaxespad": 0.2,
        "handletextpad": 0.5,
        "columnspacing": 1.4,
    }
    axes.legend(handles=given, **{**settings, **options})


def legend_above(axes: Axes, theme: Theme, handles: Sequence[Any], columns: int = 4) -> int:
    """Put a legend above the title of the upper left axes; return the lines it needs, for `finish`.

    It may reach over neighbouring axes, so it takes no part in the layout.
    """
    from matplotlib.transforms import ScaledTranslation

    if not handles:
        return 0
    figure: Any = axes.figure
    shift = ScaledTranslation(0.0, 20 / 72, figure.dpi_scale_trans)
    legend(axes, theme, handles, columns, bbox_transform=axes.transAxes + shift)
    axes.get_legend().set_in_layout(False)  # type: ignore[union-attr]
    return -(-len(handles) // min(columns, len(handles)))


def mark(outcome: str, label: str = "", size: float = 9, edge: str = "#000000") -> Any:
    """Return a legend handle for an outcome."""
    from matplotlib.lines import Line2D

    colour, shape = OUTCOMES.get(outcome, (GREY, "o"))
    looks: dict[str, Any] = {
        "markeredgecolor": colour if shape == "x" else edge,
        "markeredgewidth": 1.6 if shape == "x" else 0.6,
    }
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=shape,
        markersize=size,
        markerfacecolor=colour,
        label=label or words(outcome),
        **looks,
    )


def words(outcome: str) -> str:
    """Write an outcome's name as words."""
    return outcome.replace("_", " ")


def step_colours() -> Colormap:
    """Return the colours of steps: from dark blue over magenta to orange."""
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap

    plasma = matplotlib.colormaps["plasma"](np.linspace(0.08, 0.8, 64))
    return LinearSegmentedColormap.from_list("steps", plasma)


def step_norm(steps: Any, last: int) -> Any:
    """Return how steps become colours: evenly, or by logarithm where most that is seen happens early."""
    from matplotlib.colors import FuncNorm, Normalize

    top = max(last, 1)
    if top > 20 and np.median(steps) < 0.2 * top:
        return FuncNorm((np.log1p, np.expm1), 0, top)
    return Normalize(0, top)


def step_bar(figure: Figure, points: Any, axes: Any, theme: Theme, last: int) -> None:
    """Add a colour bar of steps with whole numbers."""
    from matplotlib.colors import FuncNorm
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    bar = colorbar(figure, points, axes, theme, "step")
    if isinstance(points.norm, FuncNorm):
        ticks = [0, *(d * 10**p for p in range(9) for d in (1, 3) if d * 10**p < 0.8 * last), last]
        bar.ax.yaxis.set_major_locator(FixedLocator(ticks))
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    else:
        bar.ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))


def colorbar(figure: Figure, mappable: Any, axes: Any, theme: Theme, label: str, ticks: Any = None) -> Any:
    """Add a slim colour bar with a label."""
    bar = figure.colorbar(mappable, ax=axes, pad=0.02, fraction=0.05, aspect=28, ticks=ticks)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.ink, labelsize=SMALL, length=2.5)
    bar.set_label(label, fontsize=SMALL, color=theme.ink)
    bar.ax.yaxis.get_offset_text().set(color=theme.ink, fontsize=SMALL)
    return bar


def escaped(text: str) -> str:
    """Return text in which matplotlib sees no mathematics."""
    return text.replace("$", r"\$")


def name_text(name: str) -> str:
    """Return a variable's name as mathematics: x1 becomes x with an index."""
    import sympy

    from descentlab.formula.mathml import latex

    return _if_readable(f"${latex(sympy.Symbol(name))}$", escaped(name), 200.0)


def title_text(f: Objective, width: float) -> str:
    """Return "f(x) = …" as mathematics if it fits `width` inches, else as much as does.

    A catalogue name or a Python function's name stands before it, or instead of it.
    """
    named = f.expression is None or (f.text is not None and f.label != f.text)
    arguments = ", ".join(f.names) if f.dim <= 3 else f"{f.names[0]}, …, {f.names[-1]}"
    short = f.label if len(f.label) <= 60 else f"f({arguments})"
    if f.expression is None:
        return escaped(short)
    from descentlab.formula.mathml import latex

    prefix = f"{escaped(f.label)}:  " if named and len(f.label) <= 40 else ""
    left = ", ".join(name_text(n).strip("$") for n in f.names) if f.dim <= 3 else r"\mathbf{x}"
    # A formula this long fits no title, and to set it would take longer than the figure.
    if f.expression.count_ops() > 80:
        return escaped(short)
    formula = _if_readable(f"$f({left}) = {latex(f.expression)}$", "", width * 72 * 0.94 - len(prefix) * 6.2)
    return prefix + formula if formula else escaped(short)


def _if_readable(mathematics: str, otherwise: str, room: float) -> str:
    """Return the mathematics if matplotlib can set it within `room` points, else the other text."""
    if len(mathematics) > 600:
        return otherwise
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    try:
        box = MathTextParser("path").parse(mathematics, dpi=72, prop=FontProperties(size=LARGE))
    except (ValueError, RuntimeError):
        return otherwise
    return mathematics if box.width <= room else otherwise
