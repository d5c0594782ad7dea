"""The studio as a picture: what a notebook shows where no widget can run, and on paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from descentlab.objective import Objective, formula
from descentlab.studio.checks import Ask
from descentlab.studio.runs import race_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What the page begins with, as DEFAULT_STATE in page/store.js.
TEXT, DOMAIN = "cos(2*pi*x) + x^2", {"x": (-2, 2)}
INSTALL = (
    "The live studio needs anywidget: pip install 'descentlab[notebook]'. "
    "Without a notebook, 'descentlab studio' shows it in the browser."
)


class StillStudio:
    """Stands for the studio where anywidget is missing: the pictures it would begin with, and what to install."""

    def __init__(self, f: Objective | None, state: Mapping[str, Any]) -> None:
        self._f, self._state = f, state

    def _repr_html_(self) -> str:
        return still_html(self._f, self._state) + f"<p>{INSTALL}</p>"

    def __repr__(self) -> str:
        return INSTALL


def still_figures(f: Objective | None, state: Mapping[str, Any]) -> list[Figure]:
    """Draw what the page begins with: a descent for each optimizer, or the landscape if there is no start."""
    from descentlab.figures import draw_function, draw_landscape

    own = formula(TEXT, domain=DOMAIN) if f is None else f
    if not state.get("starts"):
        return [draw_function(own) if own.dim == 1 else draw_landscape(own)]
    given = {"optimizers": [{"name": "gd", "parameters": {}}], **state, "problem": {"own": True}}
    race = race_of(Ask(given), own)
    return [race.run(call).plot() for call in race.calls]


def still_html(f: Objective | None, state: Mapping[str, Any]) -> str:
    """Return those pictures as HTML."""
    from descentlab.figures import figure_html

    return "".join(figure_html(figure) for figure in still_figures(f, state))
