"""The studio in a notebook: the same module and the same messages, over the notebook's own connection."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from descentlab.errors import InputError
from descentlab.objective import FormulaObjective, Objective
from descentlab.studio.messages import answer
from descentlab.studio.module import studio_module, studio_style
from descentlab.studio.problems import problem_of

if TYPE_CHECKING:
    import anywidget


def studio(f: Objective | None = None, **state: Any) -> anywidget.AnyWidget:
    """Show the studio in a notebook (Jupyter, marimo, VS Code, Colab): play with descent on f.

    f: an objective, by default the lab's main formula. state: what to begin with, named as in the widget's own
    `state` – starts=[[0.3]], rate=0.05, optimizers=[{"name": "adam"}], steps=500, …; read `.state` at any
    time to see what is on the page.

    Raises InputError where anywidget is not installed, and for something that is no objective.
    """
    if f is not None and not isinstance(f, Objective):
        raise InputError(
            f"The studio shows an objective, made by dl.formula, dl.function or dl.landscape; got {type(f).__name__}."
        )
    try:
        widget = _widget_class()
    except ImportError:
        raise InputError(
            "The studio in a notebook needs anywidget: pip install 'descentlab[notebook]'. "
            "Without a notebook, 'descentlab studio' shows it in the browser."
        ) from None
    own = None if isinstance(f, FormulaObjective) else f
    first: Mapping[str, Any] = {} if f is None else {"problem": problem_of(f)}
    shown: anywidget.AnyWidget = widget(own, {**first, **state})
    return shown


@functools.cache
def _widget_class() -> Any:
    """Return the widget's class, made when first needed: anywidget is an extra."""
    import anywidget
    import traitlets

    from descentlab.report.data import as_data

    class Studio(anywidget.AnyWidget):  # type: ignore[misc, no-any-unimported, unused-ignore]
        """The studio as a notebook's widget; `state` is what the page shows, as plain data."""

        _esm = studio_module()
        _css = studio_style()
        state = traitlets.Dict().tag(sync=True)

        def __init__(self, own: Objective | None, state: Mapping[str, Any]) -> None:
            super().__init__(state=as_data(state))
            self._own = own
            self.on_msg(self._answer)

        def _answer(self, _: Any, message: Any, buffers: Any) -> None:
            if isinstance(message, dict):
                content, sent = answer(message, self._own)
                self.send(content, sent)

    return Studio
