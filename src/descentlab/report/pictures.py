"""The report's figures, as inline SVG."""

from __future__ import annotations

import functools
import html
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from descentlab.report.explore import Exploration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from descentlab.descent import Descent
    from descentlab.survey import Survey


def pictures(found: Exploration) -> dict[str, str]:
    """Return SVG by name: function, descent, nudged, steps, survey and its kinds – those that say
    something here."""
    from descentlab.figures import draw_certificate, draw_descent, draw_function, draw_survey

    run, nudged, survey = found.descent, found.nudged, found.survey
    moving = run if moves(run) else nudged
    wanted: dict[str, Callable[[], Figure]] = {}
    if found.objective.dim == 1:
        wanted["function"] = lambda: draw_function(found.objective)
    proved = survey.matched.certificate if survey.matched is not None and survey.matched.finished else None
    wanted["descent"] = lambda: draw_descent(run, certificate=proved)
    if nudged is not None:
        wanted["nudged"] = lambda: draw_descent(nudged, certificate=proved)
    if moving is not None:
        wanted["steps"] = lambda: draw_descent(moving, "steps")
    if survey.minima:
        wanted["survey"] = lambda: draw_survey(survey)
    if (
        proved is not None and found.objective.dim > 2
    ):  # in fewer variables the other pictures show the points
        wanted["certificate"] = lambda: draw_certificate(proved)
    for kind in survey_kinds(survey):
        wanted[f"survey_{kind}"] = functools.partial(draw_survey, survey, kind)
    return {name: drawn(draw) for name, draw in wanted.items()}


def survey_kinds(survey: Survey) -> tuple[str, ...]:
    """Return the kinds of survey figure that say more than the shares of the minima do."""
    several = len(survey.minima) > 1
    failed = sum(survey.elsewhere.values()) >= 0.01 * survey.starts_count
    wanted = {
        "outcomes": failed and survey.objective.dim <= 2,
        "parallel": several and survey.objective.dim > 2,
        "best_of": several and survey.best_share < 0.95 and len(survey.best_ones) < len(survey.minima),
        "waterfall": several or (failed and bool(survey.minima)),
        "steps": bool(survey.minima),
    }
    return tuple(kind for kind, useful in wanted.items() if useful)


def drawn(draw: Callable[[], Figure]) -> str:
    """Return a figure as SVG, or a sentence where it cannot be drawn.

    A descent that diverged can hold numbers that no axis takes; the report is worth more than
    one of its figures.
    """
    from descentlab.figures import figure_svg

    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return figure_svg(draw())
    except Exception as error:
        reason = html.escape(f"{type(error).__name__}: {str(error)[:200]}")
        return f'<p class="note">This figure could not be drawn ({reason}).</p>'


def moves(run: Descent) -> bool:
    """Tell whether the first start went anywhere."""
    return bool(np.any(run.points[0] != run.points[0, 0]))
