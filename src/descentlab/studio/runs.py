"""Descents for the page: several optimizers from the same starts, the anatomy of a step, and how to do it again."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.descent import BOUNDS, Descent, ascend, descend
from descentlab.engine import CALLS
from descentlab.errors import InputError
from descentlab.objective import Objective
from descentlab.reproduce import Call, command_line, objective_python, python_lines
from descentlab.studio.checks import (
    MOST_NUMBERS,
    MOST_OPTIMIZERS,
    MOST_SEED,
    MOST_STARTS,
    MOST_STEPS,
    SCHEDULES,
    Ask,
    check_parameters,
)
from descentlab.studio.problems import objective_of
from descentlab.studio.replies import Reply, reply
from descentlab.wording import short

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Race:
    """What to run: f as given, the starts (start, dim), and one call for each optimizer."""

    f: Objective
    starts: Array
    calls: tuple[Call, ...]
    ascent: bool
    negate: bool

    def run(self, call: Call, flip: bool | None = None) -> Descent:
        """Run one optimizer. flip: go up by flipping the update, rather than by descent on −f."""
        go = ascend if self._flips(flip) else descend
        settings: dict[str, Any] = {**call.settings, **call.parameters}
        return go(self.objective(flip), **settings)

    def objective(self, flip: bool | None = None) -> Objective:
        """Return what descent or ascent is called with."""
        return -self.f if self.ascent and not self._flips(flip) else self.f

    @property
    def verb(self) -> str:
        return "ascend" if self._flips(None) else "descend"

    def _flips(self, flip: bool | None) -> bool:
        return self.ascent and (not self.negate if flip is None else flip)


def race_of(ask: Ask, own: Objective | None) -> Race:
    """Read a race: its objective, starts and settings."""
    f = objective_of(ask, own)
    points = ask.points("starts", f.dim, MOST_STARTS)
    settings = {"start": points, **settings_of(ask)}
    calls = tuple(call_of(given, settings) for given in ask.items("optimizers", MOST_OPTIMIZERS))
    numbers = len(calls) * len(points) * (settings["steps"] + 1) * (2 * f.dim + 2)
    if numbers > MOST_NUMBERS:
        raise InputError(
            f"{len(points)} starts × {len(calls)} optimizers × {settings['steps']:,} steps are more than the page "
            "can hold. Take fewer of one of them."
        )
    return Race(f, points, calls, ask.flag("ascent"), ask.flag("negate"))


def settings_of(ask: Ask) -> dict[str, Any]:
    """Return the settings all optimizers share, as `descend` takes them."""
    return {
        "learning_rate": _learning_rate(ask),
        "steps": ask.whole("steps", 1, MOST_STEPS, 300),
        "tolerance": ask.number("tolerance") if ask.has("tolerance") else None,
        "bounds": ask.choice("bounds", BOUNDS, "free"),
        "seed": ask.whole("seed", 0, MOST_SEED, 0),
    }


def _learning_rate(ask: Ask) -> float | str:
    schedule = ask.choice("schedule", SCHEDULES, "fixed")
    if schedule == "auto":
        return "auto"
    rate = ask.number("rate", 0.01)
    if schedule == "fixed":
        return rate
    return f"{schedule}:{rate!r}" + (f":{ask.number('decay', 0.999)!r}" if schedule == "exponential" else "")


def call_of(given: Any, settings: dict[str, Any]) -> Call:
    """Return the call of one optimizer, given as {name, parameters}."""
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise InputError("An optimizer is given as its name and parameters.")
    return Call({**settings, "optimizer": given["name"][:60]}, check_parameters(given.get("parameters")))


def answer_run(ask: Ask, own: Objective | None) -> Reply:
    """Run every optimizer from every start and return all steps. The verdicts are a message of their own: paths are
    to be seen while they are being judged."""
    began = time.perf_counter()
    race = race_of(ask, own)
    # Compiling and running leave Python's lock: two optimizers at a time.
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(race.run, race.calls))
        other = (
            list(pool.map(lambda call: race.run(call, flip=race.negate), race.calls)) if race.ascent else []
        )
    _prepare_more(race)
    # The same steps either way, so a verdict is about f itself: descent on −f would call its maxima minima.
    _recent.append((_content(ask), other if race.ascent and race.negate else runs))
    longest = max(int(run.taken.max()) for run in runs)
    kept = [run.points[:, : longest + 1] for run in runs]
    points = np.stack(kept)
    # Both ways up are one: flipping the update, and descent on −f.
    apart = max((_apart(a.points, b.points) for a, b in zip(runs, other, strict=False)), default=None)
    return reply(
        {
            "names": [run.optimizer for run in runs],
            "K": longest,
            "apart": apart,
            "seconds": time.perf_counter() - began,
        },
        points=("f8", points),
        values=("f8", race.f.value(points)),
        gradients=("f8", race.f.gradient(points)),
        rates=("f8", np.stack([run.learning_rates[:, :longest] for run in runs])),
        taken=("i4", np.stack([run.taken for run in runs])),
    )


# The last races that were run, with what their messages said, for the verdicts that are asked for next.
_recent: deque[tuple[dict[str, Any], list[Descent]]] = deque(maxlen=2)


def _content(ask: Ask) -> dict[str, Any]:
    return {name: given for name, given in ask.entries() if name not in ("kind", "id")}


def answer_verdicts(ask: Ask, own: Objective | None) -> Reply:
    """Return a verdict for each descent of a race, [optimizer][start]."""
    content = _content(ask)
    if not any(kept == content for kept, _ in _recent):
        answer_run(ask, own)
    runs = next(runs for kept, runs in reversed(_recent) if kept == content)
    return reply({"verdicts": [[_verdict(run, i) for i in range(len(run.points))] for run in runs]})


# Races already compiled for the other number of rows; past so many they are forgotten.
MOST_PREPARED = 1000
_prepared: set[object] = set()
_background = ThreadPoolExecutor(1)


def _prepare_more(race: Race) -> None:
    """Compile, in the background, for the other number of rows that starts are padded to, so that neither the
    ninth start nor taking it away again makes anyone wait."""
    size = CALLS[0] + 1 if len(race.starts) <= CALLS[0] else 1
    for call in race.calls:
        optimizer, rate, steps, bounds = (
            call.settings[name] for name in ("optimizer", "learning_rate", "steps", "bounds")
        )
        schedule = rate.split(":")[0] if isinstance(rate, str) else "fixed"
        stops = call.settings["tolerance"] is not None
        key = (race.f.key, race.verb, race.negate, size, optimizer, schedule, steps, bounds, stops)
        if key not in _prepared:
            _prepared.add(key)
            starts = np.repeat(race.starts[:1], size, axis=0)
            if len(_prepared) > MOST_PREPARED:
                _prepared.clear()
            _background.submit(race.run, replace(call, settings={**call.settings, "start": starts}))


def _apart(a: Array, b: Array) -> float:
    """Return the largest difference between two records, 0 if they are the same to the bit."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return 0.0 if same.all() else float(np.nanmax(np.abs(np.where(same, 0.0, a - b))))


def _verdict(run: Descent, i: int) -> dict[str, Any]:
    verdict = run.verdicts[i]
    evidence = {name.replace("_", " "): _shown(value) for name, value in verdict.evidence.items()}
    return {
        "outcome": verdict.outcome,
        "sentence": verdict.sentence,
        "advice": verdict.advice,
        "change": verdict.change,
        "evidence": evidence,
        "gradient_norm": verdict.evidence.get("gradient_norm"),
        "value": verdict.evidence["value"],
        "point": run.ends[i],
        "stable_rate": verdict.evidence.get("largest_stable_rate"),
    }


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return short(value)
    if isinstance(value, list | tuple):
        return ", ".join(_shown(v) for v in value[:8]) + (", …" if len(value) > 8 else "")
    if isinstance(value, dict):
        return "; ".join(f"{name.replace('_', ' ')} {_shown(v)}" for name, v in value.items())
    return str(value)


def answer_copy(ask: Ask, own: Objective | None) -> Reply:
    """Return the Python lines and the shell commands that reproduce the page's descents to the bit."""
    race = race_of(ask, own)
    f = race.objective()
    lines = ["import descentlab as dl", "", f"f = {objective_python(f)}"]
    commands = []
    for i, call in enumerate(race.calls):
        name = str(call.settings["optimizer"])
        name += f"_{i + 1}" if any(c.settings["optimizer"] == name for c in race.calls[:i]) else ""
        lines.append(python_lines(race.verb, f, call).splitlines()[-1].replace("result", name, 1))
        commands.append(command_line(race.verb, f, call))
    return reply({"python": "\n".join(lines) + "\n", "command": "\n".join(commands)})
