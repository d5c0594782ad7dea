"""Files to take away: the lab's own figures and animations of the page's descents, and their numbers."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.descent import Descent
from descentlab.objective import Objective
from descentlab.report.data import as_data
from descentlab.studio.checks import MOST_OPTIMIZERS, Ask
from descentlab.studio.replies import Reply, reply
from descentlab.studio.runs import Race, race_of

MEDIA = {"svg": "image/svg+xml", "gif": "image/gif", "csv": "text/csv", "json": "application/json"}


def answer_export(ask: Ask, own: Objective | None) -> Reply:
    """Return a file: svg or gif (of the chosen optimizer), csv or json (of all)."""
    what = ask.choice("what", tuple(MEDIA), "svg")
    race = race_of(ask, own)
    chosen = min(ask.whole("chosen", 0, MOST_OPTIMIZERS, 0), len(race.calls) - 1)
    if what in ("svg", "gif"):
        run = race.run(race.calls[chosen])
        data = _svg(run) if what == "svg" else _gif(run)
    else:
        runs = [race.run(call) for call in race.calls]
        data = (_csv if what == "csv" else _json)(race, runs)
    stem = re.sub(r"[^a-z0-9]+", "-", race.f.label.lower()).strip("-")[:40] or "descent"
    return reply({"name": f"{stem}.{what}", "media": MEDIA[what]}, file=("u1", np.frombuffer(data, np.uint8)))


def _svg(run: Descent) -> bytes:
    figure = run.plot()
    data = io.BytesIO()
    figure.savefig(data, format="svg")
    return data.getvalue()


def _gif(run: Descent) -> bytes:
    from descentlab.figures import animate

    with tempfile.TemporaryDirectory() as folder:
        return animate(run, Path(folder) / "descent.gif").read_bytes()


def _csv(race: Race, runs: list[Descent]) -> bytes:
    """One row a step: optimizer, start, step, point, f, gradient, learning rate to the next point."""
    text = io.StringIO()
    write = csv.writer(text)
    names = race.f.names
    write.writerow(["optimizer", "start", "step", *names, "f", *(f"df/d{n}" for n in names), "learning_rate"])
    for run in runs:
        values, gradients = race.f.value(run.points), race.f.gradient(run.points)
        for i, taken in enumerate(run.taken):
            for k in range(taken + 1):
                rate = repr(float(run.learning_rates[i, k])) if k < taken else ""
                numbers = [*run.points[i, k], values[i, k], *gradients[i, k]]
                write.writerow([run.optimizer, i, k, *(repr(float(v)) for v in numbers), rate])
    return text.getvalue().encode()


def _json(race: Race, runs: list[Descent]) -> bytes:
    data: list[Any] = [as_data(run) for run in runs]
    return json.dumps({"objective": as_data(race.f), "descents": data}).encode()
