"""The main job: one formula, explained, descended and surveyed, in one result."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from descentlab.check import Explanation
from descentlab.descent import Descent, descend, read_starts, whole_number
from descentlab.errors import InputError
from descentlab.objective import Objective
from descentlab.report.words import Answers, answer
from descentlab.reproduce import Call, command_line, python_lines
from descentlab.survey import Survey, survey

_DEFAULTS = {
    "start": None,
    "optimizer": "gd",
    "learning_rate": 0.01,
    "steps": 1000,
    "tolerance": None,
    "bounds": "free",
    "seed": 0,
    "survey_starts": 1000,
}


@dataclass(frozen=True, eq=False)
class Exploration:
    """Everything `explore` found out about one objective.

    explanation: the derivatives rule by rule, None for a Python function; descent: from one
    start; nudged: where the start could not move, the same descent begun `nudge` aside;
    survey: many random starts, and what is proved about them; seconds: what each part took;
    versions: of what computed it.
    """

    objective: Objective
    explanation: Explanation | None
    descent: Descent
    nudged: Descent | None
    survey: Survey
    seed: int
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    call: Call = field(repr=False)

    @functools.cached_property
    def answers(self) -> Answers:
        """The three questions answered: was the right minimum found, what else is there, what to change."""
        return answer(self.descent, self.nudged, self.survey)

    @property
    def command(self) -> str:
        """The shell command that does the same, or "" if there is none (a Python function)."""
        return command_line("explore", self.objective, self.call)

    @property
    def python(self) -> str:
        """The Python lines that do the same."""
        lines = python_lines("explore", self.objective, self.call)
        return lines.replace("dl.explore(", "explore(").replace(
            "import descentlab as dl\n", "import descentlab as dl\nfrom descentlab.report import explore\n", 1
        )

    def html(self) -> str:
        """Return the report: one HTML page that needs nothing else."""
        from descentlab.report.render import render

        return render(self)

    def save(self, path: str | Path) -> None:
        """Write the report into a file."""
        Path(path).write_text(self.html(), encoding="utf-8")

    def _repr_html_(self) -> str:
        import html

        page = html.escape(self.html(), quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:40em;border:0"></iframe>'


def explore(
    f: Objective,
    start: ArrayLike | int | None = None,
    optimizer: str = "gd",
    learning_rate: float | str = 0.01,
    steps: int = 1000,
    tolerance: float | None = None,
    bounds: str = "free",
    seed: int = 0,
    survey_starts: int = 1000,
    tell: Callable[[str], None] = lambda what: None,
    **parameters: float,
) -> Exploration:
    """Explain the derivative, descend from `start`, survey the box, and put it all in one result.

    start, optimizer, learning_rate, steps, tolerance, bounds, seed, parameters: as for `descend`;
    without a start, one is drawn at random from the seed. survey_starts: how many random starts the
    survey takes; its optimizer is the descent's, its learning rate "auto". tell: called with
    what is being done, for a progress display.

    Raises InputError for input that cannot be used.

    >>> from descentlab.objective import formula
    >>> f = formula("x^2 - x", domain={"x": (-2, 2)})
    >>> found = explore(f, start=[1.0], learning_rate=0.1, survey_starts=20)
    >>> found.answers.found[:3]
    'Yes'
    """
    clock = _Clock(tell)
    settings: dict[str, Any] = {
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "steps": steps,
        "tolerance": tolerance,
        "bounds": bounds,
        "seed": seed,
    }
    starts = read_starts(start, f, whole_number(seed, "seed", 0, 2**63 - 1))
    if len(starts) > 1:
        raise InputError(
            f"explore looks at one start closely, but {len(starts):,} were given. descend takes several."
        )
    with clock.timed("descent", "descending"):
        run = descend(f, start, **(settings | parameters))
        nudged = _nudged(run, settings | parameters)
    with clock.timed("derivative", "working out the derivative"):
        explanation = None if f.expression is None else f.explain(run.seed)
    with clock.timed("survey", f"descending from {survey_starts} random starts"):
        chosen: dict[str, Any] = {"optimizer": optimizer, "seed": seed, **parameters}
        many = survey(f, survey_starts, learning_rate="auto", **chosen)
    with clock.timed("proof", "proving which minima there are"):
        _ = many.matched
    return Exploration(
        f,
        explanation,
        run,
        nudged,
        many,
        run.seed,
        clock.seconds,
        versions(),
        Call({"start": start, **settings, "survey_starts": survey_starts}, dict(parameters), _DEFAULTS),
    )


def _nudged(run: Descent, settings: Mapping[str, Any]) -> Descent | None:
    """Descend again from beside the first start, if that start sits where nothing moves it."""
    escape = run.verdicts[0].evidence.get("escape")
    if escape is None or (run.points[0] != run.points[0, 0]).any():
        return None
    f, place = run.objective, run.points[0, 0]
    direction = np.linalg.eigh(f.hessian(place))[1][:, 0]
    direction = direction * (1.0 if direction[np.abs(direction).argmax()] > 0 else -1.0)
    return descend(f, place + escape["nudge"] * direction, **settings)


def versions() -> dict[str, str]:
    """Return the versions of what the numbers were computed with."""
    import platform
    from importlib.metadata import version

    import descentlab

    found = {"descentlab": descentlab.__version__, "Python": platform.python_version()}
    return found | {name: version(name) for name in ("sympy", "numpy", "jax", "optax")}


class _Clock:
    """Measures the parts of a job and says which one is running."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._tell = tell
        self._part, self._began = "", 0.0

    def timed(self, part: str, doing: str) -> _Clock:
        self._tell(doing)
        self._part = part
        return self

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *failure: Any) -> None:
        self.seconds[self._part] = time.perf_counter() - self._began
