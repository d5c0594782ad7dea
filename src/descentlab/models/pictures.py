"""Figures of ensembles and widenings: what kinds there are, and who draws them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from descentlab.errors import unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from descentlab.figures.style import Theme
    from descentlab.models.ensemble import Ensemble
    from descentlab.models.widen import Widening

KINDS = ("losses", "best_of", "endings", "solutions")


def draw_ensemble(ensemble: Ensemble, kind: str = "losses", theme: str = "light") -> Figure:
    """Draw an ensemble.

    kind: "losses" (the loss curves, and the levels they end at with their share of runs); "best_of" (the lowest
    loss of n runs, and the chance of a solution); "endings" (how runs ended, and their smallest Hessian
    eigenvalue against their loss); "solutions" (how many runs found each distinct solution). theme: "light" or
    "dark".

    Raises InputError for another kind, and for endings that cannot be judged.

    >>> import jax
    >>> from descentlab.models import retrain
    >>> e = retrain(lambda key: jax.random.normal(key, (2,)), lambda w: ((w**2 - 1) ** 2).sum(), runs=16,
    ...             optimizer="sgd", learning_rate=0.05, steps=50)
    >>> len(draw_ensemble(e, "losses").axes)
    2
    """
    from descentlab.figures import style
    from descentlab.models import draw_endings, draw_losses

    draw: dict[str, Callable[[Ensemble, Theme], Figure]] = {
        "losses": draw_losses.draw_losses,
        "best_of": draw_losses.draw_best_of,
        "endings": draw_endings.draw_endings,
        "solutions": draw_endings.draw_solutions,
    }
    return draw[checked_kind(kind)](ensemble, style.theme_of(theme))


def checked_kind(kind: str) -> str:
    """Return the kind of figure; raise InputError where there is none of that name."""
    if kind not in KINDS:
        raise unknown("kind of figure", str(kind), KINDS)
    return kind


def draw_widening(widening: Widening, theme: str = "light") -> Figure:
    """Draw the share of runs that solve the problem, and what a solution costs, against the width.

    theme: "light" or "dark".
    """
    from descentlab.figures import style
    from descentlab.models import draw_widths

    return draw_widths.draw_widths(widening, style.theme_of(theme))
