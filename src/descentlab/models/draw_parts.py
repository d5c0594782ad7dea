"""What figures of models share: looks, axes, titles and captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from descentlab.models.draw_curvature import true_minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.figures.style import Theme
    from descentlab.models.drawing import Scale
    from descentlab.models.ensemble import Ensemble


def looks() -> dict[str, dict[str, Any]]:
    """Return colour, line style and mark of each fate: told apart without colour too."""
    from descentlab.figures.style import BLUE, GREY, VERMILION

    return {
        "solved": {"color": BLUE, "linestyle": "solid", "marker": "o"},
        "stuck": {"color": VERMILION, "linestyle": (0, (5, 2)), "marker": "s"},
        "diverged": {"color": GREY, "linestyle": (0, (1, 1.5)), "marker": "x"},
    }


def loss_axis(axes: Axes, scale: Scale, which: str) -> None:
    """Set limits and scale of an axis of losses, with a little room at both ends."""
    low, high = scale.low, scale.high
    if scale.log:
        room = (high / low) ** 0.04
        low, high = low / room, high * room
        getattr(axes, f"set_{which}scale")("log")
    else:
        room = 0.04 * (high - low)
        low, high = low - room, high + room
    getattr(axes, f"set_{which}lim")(low, high)


def whole_numbers(axes: Axes, ticks: Sequence[int]) -> None:
    """Label a logarithmic axis x of whole numbers at these."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.xaxis.set_major_locator(FixedLocator([float(tick) for tick in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def method(several: Sequence[Ensemble]) -> str:
    """Return model size, runs, optimizer, learning rate, steps and seed in one line; of a widening, all sizes."""
    e, *others = several
    order = "the same order" if e.order == "same" else "orders of their own"
    batch = "" if e.batch_size is None else f", batches of {e.batch_size:,} in {order}"
    data = "" if e.data is None else f", {e.data.count:,} samples"
    sizes = ", ".join(f"{one.size:,}" for one in several) + (
        " weight" if e.size == 1 and not others else " weights"
    )
    return (
        f"{e.runs:,} runs of {'models' if others else 'a model'} with {sizes}{data}, {e.optimizer}, learning rate "
        f"{e.learning_rate}, {e.steps:,} steps{batch}, seed {e.seed}"
    )


def finished(
    figure: Figure, e: Ensemble, theme: Theme, title: str, notes: Sequence[str], room: int = 0
) -> Figure:
    """Put title and caption around a figure of an ensemble."""
    from descentlab.figures import style

    caption = [e.sentence, method([e]), *notes]
    return style.finish(figure, theme, title, [true_minus(text) for text in caption], room=room)


def nothing(e: Ensemble, theme: Theme) -> Figure:
    """Say in place of a figure that there is nothing to draw: an ensemble is worth its answer all the same."""
    from descentlab.figures import style

    figure = style.new_figure(6.4, 1.8, theme)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.0, 0.5, "Every run diverged.", va="center", fontsize=style.LARGE, color=theme.muted)
    return finished(figure, e, theme, f"{e.runs:,} runs", [])
