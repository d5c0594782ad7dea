"""The studio in a notebook: the same module and the same messages, over the notebook's own connection."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from descentlab.errors import InputError, unknown
from descentlab.objective import FormulaObjective, Objective
from descentlab.report.data import as_data
from descentlab.studio.checks import MOST_OPTIMIZERS, MOST_STARTS, Ask
from descentlab.studio.messages import answer
from descentlab.studio.module import studio_module, studio_style
from descentlab.studio.problems import problem_of
from descentlab.studio.runs import call_of, settings_of
from descentlab.studio.still import StillStudio, still_html

if TYPE_CHECKING:
    import anywidget

# What the page keeps of its state, by name: the entries of DEFAULT_STATE in page/store.js.
STATE = (
    "problem", "starts", "optimizers", "rate", "schedule", "decay", "steps", "bounds", "tolerance", "ascent", "negate",
    "seed", "plane", "at", "heights", "k", "chosen", "speed", "show", "camera",
)  # fmt: skip


def studio(f: Objective | None = None, **state: Any) -> anywidget.AnyWidget | StillStudio:
    """Show the studio in a notebook (Jupyter, marimo, VS Code, Colab): play with descent on f.

    f: an objective, by default the lab's main formula. state: what to begin with, named as in the widget's own
    `state` – starts=[[0.3]], rate=0.05, optimizers=[{"name": "adam"}], steps=500, …; read `.state` at any
    time to see what is on the page.

    Where the page cannot run – on paper, in a built document, without anywidget – the pictures it would begin with
    stand for it.

    Raises InputError for something that is no objective, and for an entry of the state that does not exist or that
    descent from this page could not use.
    """
    if f is not None and not isinstance(f, Objective):
        raise InputError(
            f"The studio shows an objective, made by dl.formula, dl.function or dl.landscape; got {type(f).__name__}."
        )
    settings = as_data(state)
    first = as_data({} if f is None else {"problem": problem_of(f)}) | settings
    _check_state(f, first)
    try:
        widget = _widget_class()
    except ImportError:
        return StillStudio(f, settings)
    shown: anywidget.AnyWidget = widget(f, settings, first)
    return shown


def _check_state(f: Objective | None, state: Mapping[str, Any]) -> None:
    """Raise InputError for what the page would pass over without a word."""
    for name in state:
        if name not in STATE:
            raise unknown("entry of the studio's state", name, STATE)
    ask = Ask(state)
    settings = settings_of(ask)
    if f is not None and ask.has("starts"):
        ask.points("starts", f.dim, MOST_STARTS)
    if ask.has("optimizers"):
        for given in ask.items("optimizers", MOST_OPTIMIZERS):
            call_of(given, settings)


@functools.cache
def _widget_class() -> Any:
    """Return the widget's class, made when first needed: anywidget is an extra."""
    import anywidget
    import traitlets

    class Studio(anywidget.AnyWidget):  # type: ignore[misc, no-any-unimported, unused-ignore]
        """The studio as a notebook's widget; `state` is what the page shows, as plain data."""

        _esm = studio_module()
        _css = studio_style()
        state = traitlets.Dict().tag(sync=True)

        def __init__(self, f: Objective | None, given: Mapping[str, Any], state: Mapping[str, Any]) -> None:
            super().__init__(state=state)
            self._begun = f, given
            self._own = None if isinstance(f, FormulaObjective) else f
            self.on_msg(self._answer)

        def _repr_mimebundle_(self, **options: Any) -> Any:
            """Add to the live page what stands for it where it cannot run."""
            live = super()._repr_mimebundle_(**options)
            if live is None:  # what anywidget says where it cannot show widgets at all
                return {"text/html": still_html(*self._begun)}
            data, metadata = live
            return {**data, "text/html": still_html(*self._begun)}, metadata

        def _answer(self, _: Any, message: Any, buffers: Any) -> None:
            if isinstance(message, dict):
                content, sent = answer(message, self._own)
                self.send(content, sent)

    return Studio
