"""One message in → reply and buffers out: all that the page can ask, for the server and the notebook alike.

Nothing is raised: what cannot be done comes back as {"error": {"message", "position", "text", "more"}}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from descentlab.errors import InputError, WorkError
from descentlab.formula.errors import FormulaError
from descentlab.formula.limits import MOST_CHARACTERS
from descentlab.landscapes import landscapes
from descentlab.objective import Objective
from descentlab.optimizers import optimizers
from descentlab.studio import checks
from descentlab.studio.anatomy import answer_anatomy
from descentlab.studio.checks import Ask
from descentlab.studio.exports import answer_export
from descentlab.studio.pictures import answer_field
from descentlab.studio.presets import PRESETS
from descentlab.studio.problems import answer_derivation, answer_formula, problem_of
from descentlab.studio.replies import Reply, reply
from descentlab.studio.runs import answer_copy, answer_run, answer_verdicts
from descentlab.studio.studies import answer_basins, answer_points, answer_survey
from descentlab.topics import topics

Handler = Callable[[Ask, Objective | None], Reply]


def answer(message: Mapping[str, Any], own: Objective | None = None) -> Reply:
    """Answer one message of a page. own: the objective this studio was opened with, if any.

    >>> answer({"kind": "formula", "id": 1, "problem": {"text": "x +"}})[0]["error"]["position"]
    3
    """
    kind, number = message.get("kind"), message.get("id")
    handler = HANDLERS.get(kind) if isinstance(kind, str) else None
    try:
        if handler is None:
            raise InputError(f"There is no message of the kind {str(kind)[:40]!r}.")
        with np.errstate(all="ignore"):
            content, buffers = handler(Ask(message), own)
    except FormulaError as error:
        content, buffers = refusal(error.message, error.position, error.text, error.see), []
    except (InputError, WorkError) as error:
        content, buffers = refusal(str(error), see=error.see), []
    except MemoryError:
        content, buffers = refusal("There is not enough memory for this."), []
    except Exception as error:  # a fault of ours: the page says so and goes on
        content, buffers = refusal(f"The work failed: {type(error).__name__}: {str(error)[:200]}"), []
    return {"kind": kind if handler else None, "id": number, **content}, buffers


def refusal(message: str, position: int | None = None, text: str = "", see: str = "") -> dict[str, Any]:
    """Return the content that says why there is no answer. see: the guide's entry, whose remedy is told as `more`."""
    more = topics()[see].remedy if see else ""
    return {"error": {"message": message, "position": position, "text": text, "more": more}, "arrays": []}


def answer_hello(ask: Ask, own: Objective | None) -> Reply:
    """Tell what there is: optimizers, landscapes, presets, limits, colours, and the problem to begin with."""
    import matplotlib

    from descentlab.figures.style import OUTCOMES, SERIES, step_colours

    shades = np.linspace(0.0, 1.0, 256)
    return reply(
        {
            "optimizers": [
                {
                    "name": row.name,
                    "rule": row.rule,
                    "teaches": row.teaches,
                    "source": row.source,
                    "step_length": row.step_length,
                    "searches": row.searches,
                    "parameters": [
                        {
                            "name": p.name,
                            "default": p.default,
                            "low": p.low,
                            "high": p.high,
                            "open_low": p.open_low,
                        }
                        for p in row.parameters
                    ],
                }
                for row in optimizers()
            ],
            "landscapes": [
                {
                    "name": entry.name,
                    "title": entry.title,
                    "text": entry.formula,
                    "domain": entry.domain,
                    "variables": entry.names,
                    "teaches": entry.teaches,
                    "view": entry.view,
                    "start": entry.start,
                    "rate": entry.learning_rate,
                    "optimizer": entry.optimizer,
                }
                for entry in landscapes()
            ],
            "presets": [asdict(preset) for preset in PRESETS],
            "limits": {
                "most_characters": MOST_CHARACTERS,
                **{
                    name.lower(): value
                    for name, value in vars(checks).items()
                    if name.startswith("MOST_") and isinstance(value, int)
                },
            },
            "schedules": checks.SCHEDULES,
            "colours": {
                "optimizers": SERIES,
                "outcomes": {name: colour for name, (colour, _) in OUTCOMES.items()},
                "marks": {name: shape for name, (_, shape) in OUTCOMES.items()},
            },
            "problem": None if own is None else problem_of(own),
        },
        heights=("u1", np.round(matplotlib.colormaps["cividis"](shades)[:, :3] * 255)),
        steps=("u1", np.round(step_colours()(shades)[:, :3] * 255)),
    )


HANDLERS: Mapping[str, Handler] = {
    "hello": answer_hello,
    "formula": answer_formula,
    "derivation": answer_derivation,
    "field": answer_field,
    "run": answer_run,
    "verdicts": answer_verdicts,
    "anatomy": answer_anatomy,
    "basins": answer_basins,
    "survey": answer_survey,
    "points": answer_points,
    "copy": answer_copy,
    "export": answer_export,
}
