"""Results as pictures: plain drawing data first, then matplotlib figures.

matplotlib is imported when something is drawn, never before, and its global state is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from descentlab.errors import InputError, unknown
from descentlab.objective import Objective

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from descentlab.certify import Certificate
    from descentlab.descent import Descent
    from descentlab.survey import Survey
    from descentlab.survey.basin_results import BasinMap, BasinStrip
    from descentlab.sweep import Sweep

__all__ = [
    "KINDS",
    "animate",
    "draw_basins",
    "draw_certificate",
    "draw_descent",
    "draw_function",
    "draw_landscape",
    "draw_slices",
    "draw_survey",
    "draw_sweep",
    "figure_html",
    "figure_svg",
    "save",
]

KINDS = ("landscape", "steps", "surface", "slices")
SURVEY_KINDS = ("minima", "waterfall", "best_of", "outcomes", "parallel", "steps")


def draw_function(
    objectives: Objective | Sequence[Objective],
    derivative: bool = True,
    theme: str = "light",
) -> Figure:
    """Draw a function of one variable and its derivative, or several on common axes.

    One function of two variables is drawn as a heat map, of more as slices through the middle of
    its box. Curves are cut at jumps and poles; kinks are marked. theme: "light" or "dark".

    Raises InputError if several are given and one has more than one variable.
    """
    from descentlab.figures import draw_line, style

    several = [objectives] if isinstance(objectives, Objective) else list(objectives)
    if not several or not all(isinstance(f, Objective) for f in several):
        raise InputError("draw_function needs an objective, or a list of them.")
    if len(several) == 1 and several[0].dim > 1:
        return draw_landscape(several[0], theme=theme)
    for f in several:
        if f.dim > 1:
            raise InputError(f"Only functions of one variable share axes; {f.label} has {f.dim}.")
    return draw_line.draw_curves(several, derivative, style.theme_of(theme))


def draw_landscape(
    f: Objective,
    heights: str = "auto",
    marks: Sequence[tuple[str, Sequence[float]]] = (),
    theme: str = "light",
) -> Figure:
    """Draw f alone: a curve, a heat map with contours, or slices, by its number of variables.

    heights: how values become colours: "linear", "log" (of the height above the lowest), "rank",
    or "auto". marks: points to mark in a heat map, as (kind, point), the kind an outcome such as
    "minimum" or "saddle". theme: "light" or "dark".

    Raises InputError for unknown heights.
    """
    from descentlab.figures import draw_field, fields, style

    chosen = style.theme_of(theme)
    if heights not in fields.HEIGHTS:
        raise unknown("heights", str(heights), fields.HEIGHTS)
    if f.dim == 1:
        return draw_function(f, derivative=False, theme=theme)
    if f.dim == 2:
        return draw_field.draw_heat_map(f, heights, marks, chosen)
    return draw_field.draw_slices(
        f, f.domain.mean(axis=1), None, heights, chosen, what="the middle of the box"
    )


def draw_slices(
    f: Objective,
    point: ArrayLike | None = None,
    variables: tuple[str, str] | None = None,
    heights: str = "auto",
    theme: str = "light",
) -> Figure:
    """Draw f along each coordinate through a point, and over two `variables` (default: the most curved).

    point: (dim,), default the middle of the box. Of more than nine coordinates the nine most
    curved are shown. Raises InputError for a point of the wrong length or unknown variables.
    """
    from descentlab.figures import draw_field, style

    place = f.domain.mean(axis=1) if point is None else np.asarray(point, float)
    if place.shape != (f.dim,):
        raise InputError(f"The point needs {f.dim} coordinates, but its shape is {place.shape}.")
    return draw_field.draw_slices(f, place, variables, heights, style.theme_of(theme))


def draw_descent(
    run: Descent,
    kind: str | None = None,
    heights: str = "auto",
    variables: tuple[str, str] | None = None,
    theme: str = "light",
    certificate: Certificate | None = None,
) -> Figure:
    """Draw a descent.

    kind: "landscape" (the default: on the curve, on the heat map, or slices through the best
    end, by the number of variables); "steps" (parameter, derivative, value and learning rate
    per step); "surface" (in space, two variables); "slices" (through the best end, along every
    coordinate and over two `variables`). heights: as for `draw_landscape`; certificate: whose points
    to mark on the landscape of one or two variables.

    Raises InputError for another kind, and for a surface of other than two variables.
    """
    from descentlab.figures import draw_field, draw_line, draw_steps, draw_surface, style

    chosen, f = style.theme_of(theme), run.objective
    kind = "landscape" if kind is None else kind
    if kind not in KINDS:
        raise unknown("kind of figure", str(kind), KINDS)
    if kind == "steps":
        return draw_steps.draw_steps(run, chosen)
    if kind == "surface":
        if f.dim != 2:
            raise InputError(f"A surface needs two variables; {f.label} has {f.dim}.")
        return draw_surface.draw_surface(run, heights, chosen)
    if kind == "landscape" and f.dim == 1:
        return draw_line.draw_on_curve(run, chosen, certificate)
    if kind == "landscape" and f.dim == 2:
        return draw_field.draw_on_plane(run, heights, chosen, certificate)
    return draw_field.draw_slices_of(run, variables, heights, chosen)


def draw_sweep(sweep: Sweep, axes: Sequence[str] | None = None, theme: str = "light") -> Figure:
    """Draw where descent ended against what was varied.

    axes: one or two of "start", "learning_rate", "steps", "optimizer" with more than one entry;
    by default the first two that vary, and others are held at their first entry.

    Raises InputError for axes that are unknown or not varied.
    """
    from descentlab.figures import draw_sweeps, style

    return draw_sweeps.draw(sweep, tuple(axes) if axes else None, style.theme_of(theme))


def draw_survey(
    survey: Survey, kind: str | None = None, heights: str = "auto", theme: str = "light"
) -> Figure:
    """Draw a survey.

    kind: "minima" (the default: the share of starts by minimum, and in one or two variables the starts
    on the landscape); "waterfall" (the values at which starts ended, sorted); "best_of" (the lowest
    value of n restarts, and the probability that it is the best); "outcomes" (starts coloured by how
    they ended, one or two variables); "parallel" (the minima's coordinates, three variables or more);
    "steps" (how many steps they took). heights: as for `draw_landscape`.

    Raises InputError for another kind, and for one that this many variables do not have.
    """
    from descentlab.figures import draw_surveys, style

    chosen = style.theme_of(theme)
    return draw_surveys.draw(survey, survey_kind(kind, survey.objective.dim), heights, chosen)


def survey_kind(kind: str | None, dim: int) -> str:
    """Return the kind of survey figure; raise InputError where `dim` variables have none of that kind."""
    if kind is None:
        return SURVEY_KINDS[0]
    if kind not in SURVEY_KINDS:
        raise unknown("kind of survey figure", str(kind), SURVEY_KINDS)
    if kind == "outcomes" and dim > 2:
        raise InputError(
            f"Starts are drawn by outcome in one or two variables, but there are {dim}. 'waterfall' needs no plane."
        )
    if kind == "parallel" and dim < 3:
        raise InputError(
            f"Parallel coordinates are for three variables or more, but there {'is' if dim == 1 else 'are'} {dim}. "
            "'minima' shows where they are."
        )
    return kind


def draw_basins(basins: BasinMap | BasinStrip, theme: str = "light") -> Figure:
    """Draw a basin map, or the maps of a strip with one legend: colour by minimum, darker for more steps.

    Minima keep their colours throughout a strip; what reaches none is grey. theme: "light" or "dark".
    """
    from descentlab.figures import draw_basin_maps, style
    from descentlab.survey.basin_results import BasinMap

    chosen = style.theme_of(theme)
    if isinstance(basins, BasinMap):
        return draw_basin_maps.draw_map(basins, chosen)
    return draw_basin_maps.draw_strip(basins, chosen)


def draw_certificate(certificate: Certificate, heights: str = "auto", theme: str = "light") -> Figure:
    """Draw what was proved: stationary points by kind – hollow on the box's edge –, undecided regions hatched.

    In one or two variables on the landscape, with the boxes of the lowest minimum to scale beside it: that in which it
    is the only one, and that in which it is known to lie. In more, by value and kind, with the minima's coordinates.
    heights: as for `draw_landscape`; theme: "light" or "dark". Raises InputError for unknown heights.
    """
    from descentlab.figures import draw_certificates, fields, style

    if heights not in fields.HEIGHTS:
        raise unknown("heights", str(heights), fields.HEIGHTS)
    return draw_certificates.draw(certificate, heights, style.theme_of(theme))


def animate(run: Descent, path: str | Path, heights: str = "auto", theme: str = "light") -> Path:
    """Write a descent in one or two variables as a moving picture, .gif or (where ffmpeg is) .mp4.

    Returns the path. Raises InputError for more variables, other suffixes, a missing ffmpeg, or
    a file that cannot be written.
    """
    from descentlab.figures import style
    from descentlab.figures.animation import animate as write_animation

    return write_animation(run, path, style.theme_of(theme), heights)


def figure_svg(figure: Figure, name: str | None = None) -> str:
    """Return an inline `<svg>` that takes on the page's colours; see `output.figure_svg`."""
    from descentlab.figures import output

    return output.figure_svg(figure, name)


def figure_html(figure: Figure) -> str:
    """Return HTML for a notebook: inline SVG, or a PNG where that is smaller."""
    from descentlab.figures import output

    return output.figure_html(figure)


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as .png, .svg, .pdf or .gif, by the suffix; return the path.

    Raises InputError for another suffix or a file that cannot be written.
    """
    from descentlab.figures import output

    return output.save(figure, path)
