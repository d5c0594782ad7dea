"""Draw the spectrum of a Hessian, and sharpness along training."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.figures.style import Theme
    from descentlab.models.curvature import Curvature
    from descentlab.models.sharpness import Sharpness


def draw_curvature(c: Curvature, theme: str = "light") -> Figure:
    """Draw the spectral density on a logarithmic scale, the extreme eigenvalues marked below it.

    Without a spectrum the extreme eigenvalues stand alone, with their errors.
    """
    from descentlab.figures import style

    chosen = style.theme_of(theme)
    figure = style.new_figure(7.6, 4.6 if c.spectrum else 2.6, chosen)
    axes = figure.subplots()
    style.set_up(axes, chosen, "Hessian eigenvalue $\\lambda$", "spectral density" if c.spectrum else "")
    if c.spectrum is not None:
        _draw_density(axes, c)
    else:
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(False)
        axes.set_ylim(0.0, 1.0)
    axes.axvline(0.0, color=chosen.muted, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    handles = _draw_extremes(axes, c, chosen)
    style.legend(axes, chosen, handles)
    title = f"Curvature of the loss at a point of {c.parameters:,} parameters"
    return style.finish(figure, chosen, title, [true_minus(c.sentence), *_how(c)])


def true_minus(text: str) -> str:
    """Return text whose negative numbers have a minus sign, as its axes have; hyphens stay."""
    return re.sub(r"(?<![\w).])-(?=[\d.])", "−", text)


def _draw_density(axes: Axes, c: Curvature) -> None:
    """Fill below the density: negative eigenvalues vermilion, the others blue; one eigenvalue is still seen."""
    from descentlab.figures.style import BLUE, VERMILION

    s = c.spectrum
    assert s is not None
    one = 1 / (c.parameters * s.broadening * np.sqrt(2 * np.pi))
    floor = 0.3 * one
    density = np.maximum(s.density, floor)
    negative = s.grid < -c.rounding
    for part, colour in ((negative, VERMILION), (~negative, BLUE)):
        axes.fill_between(s.grid, floor, density, where=part, color=colour, alpha=0.28, linewidth=0, zorder=2)
        axes.plot(
            s.grid, np.where(part & (density > floor), density, np.nan), color=colour, linewidth=1.1, zorder=3
        )
    axes.set_yscale("log")
    axes.set_ylim(floor, 3 * float(density.max()))
    axes.set_xlim(float(s.grid[0]), float(s.grid[-1]))


def _draw_extremes(axes: Axes, c: Curvature, theme: Theme) -> list[Any]:
    """Mark the extreme eigenvalues on the lower edge, with errors where they can be seen."""
    from matplotlib.lines import Line2D

    from descentlab.figures.results import short
    from descentlab.figures.style import BLUE, VERMILION

    handles = []
    for values, errors, shape, name in (
        (c.smallest, c.smallest_errors, "<", "smallest"),
        (c.largest, c.largest_errors, ">", "largest"),
    ):
        for value, error in zip(values, errors, strict=True):
            axes.plot(
                [value - error, value + error], [0.03, 0.03], color=theme.ink, linewidth=1.4, zorder=4,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
            axes.plot(
                value, 0.03, marker=shape, markersize=7, color=VERMILION if value < -c.rounding else BLUE,
                markeredgecolor=theme.ink, markeredgewidth=0.6, clip_on=False, zorder=5,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
        listed = ", ".join(short(v, 3) for v in values[:3]) + (", …" if len(values) > 3 else "")
        handles.append(
            Line2D([], [], linestyle="none", marker=shape, color=theme.muted, label=f"{name}: {listed}")
        )
    return handles


def _how(c: Curvature) -> list[str]:
    """Say by what means the numbers were found."""
    trace = f"trace {c.trace:.4g}" + (f" ± {c.trace_error:.2g}" if c.trace_error else "")
    if c.exact:
        how = f"Dense Hessian in {c.dtype}, {trace}"
    else:
        how = f"Block Lanczos in {c.dtype}, {c.products:,} Hessian-vector products, seed {c.seed}, {trace}"
    notes = [f"Loss {c.loss:.5g}", how]
    if c.spectrum is not None:
        source = "all eigenvalues" if c.exact else f"stochastic Lanczos quadrature, {c.probes} probes"
        notes.append(
            f"Density: {source}, Gaussian broadening σ = {c.spectrum.broadening:.2g}; vermilion: negative eigenvalues"
        )
    return notes


def draw_sharpness(s: Sharpness, theme: str = "light") -> Figure:
    """Draw the loss above and the sharpness below, with 2/η as the line it is measured against."""
    from descentlab.figures import style

    chosen = style.theme_of(theme)
    figure = style.new_figure(7.6, 5.4, chosen)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 1.25])
    style.set_up(top, chosen, y="loss")
    losses = np.where(np.isfinite(s.losses), s.losses, np.nan)
    top.plot(np.arange(len(losses)), losses, color=style.BLUE, linewidth=1.1)
    positive = losses[np.isfinite(losses)]
    if positive.size and positive.min() > 0 and positive.max() / positive.min() > 30:
        top.set_yscale("log")
    style.set_up(bottom, chosen, "step", "sharpness $\\lambda_{max}$")
    bottom.fill_between(
        s.steps, s.sharpness - s.errors, s.sharpness + s.errors, color=style.VERMILION, alpha=0.2, linewidth=0
    )
    bottom.plot(
        s.steps, s.sharpness, color=style.VERMILION, linewidth=1.3, marker="o",
        markersize=3 if len(s.steps) <= 120 else 0, label="sharpness",
    )  # fmt: skip
    near = s.sharpness.max() > 0.2 * s.limit
    if near:
        bottom.axhline(
            s.limit, color=chosen.ink, linewidth=1.0, linestyle=(0, (5, 3)), label=f"2/η = {s.limit:.4g}"
        )
    bottom.set_ylim(
        min(0.0, float(s.sharpness.min())), 1.12 * max(float(s.sharpness.max()), s.limit if near else 0.0)
    )
    style.legend(bottom, chosen)
    title = f"Sharpness along gradient descent of {s.parameters:,} parameters"
    notes = [
        true_minus(s.sentence),
        f"Full-batch gradient descent, learning rate {s.learning_rate:g}, {len(s.losses) - 1:,} steps, seed {s.seed}",
        "" if near else f"2/η = {s.limit:.4g} lies far above the picture",
    ]
    return style.finish(figure, chosen, title, notes)
