"""The guided presets: each shows what its question and answer say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.studio.presets import PRESETS

BY_NAME = {preset.name: preset for preset in PRESETS}


def run(name: str, optimizer: str = "gd", **changes: Any) -> dl.Descent:
    state = {**BY_NAME[name].state, **changes}
    problem = state["problem"]
    f = dl.formula(problem["text"], domain=problem["domain"])
    return dl.descend(
        f, start=state["starts"], optimizer=optimizer, learning_rate=state["rate"], steps=state["steps"]
    )


def test_every_preset_asks_a_question_and_answers_it() -> None:
    assert list(BY_NAME) == [
        "overshoot",
        "period-2",
        "unfortunate-start",
        "plateau",
        "ravine",
        "saddle",
        "peaks",
    ]
    for preset in PRESETS:
        assert preset.question.endswith("?")
        assert len(preset.answer) > 80


def test_overshoot() -> None:
    assert list(run("overshoot").outcomes) == ["diverged"]
    assert list(run("overshoot", rate=1 / 3, steps=100).outcomes) == ["cycle"]
    assert list(run("overshoot", rate=0.333, steps=20_000).outcomes) == ["minimum"]


def test_period_2() -> None:
    cycling = run("period-2")
    assert cycling.verdicts[0].evidence["period"] == 2
    assert set(cycling.points[0].ravel()) == {-1.25, 1.25}
    assert run("period-2", rate=0.5).points[0, 1, 0] == 0
    assert list(run("period-2", rate=0.99, steps=3000).outcomes) == ["minimum"]


def test_unfortunate_start() -> None:
    stuck = run("unfortunate-start")
    assert list(stuck.outcomes) == ["maximum"]
    assert (stuck.points == 0).all()
    # One arrow key is a hundredth of the box.
    assert list(run("unfortunate-start", starts=[[0.04]]).outcomes) == ["minimum"]


def test_plateau() -> None:
    assert list(run("plateau").outcomes) == ["plateau"]
    assert abs(run("plateau", starts=[[2.5]]).ends[0, 0]) < 1e-3
    assert abs(run("plateau", starts=[[2.8]]).ends[0, 0]) > 2
    for rate in (1e-3, 1.0, 10.0):
        assert run("plateau", rate=rate).ends[0, 0] == pytest.approx(7.0)


def test_ravine() -> None:
    gd, momentum = run("ravine"), run("ravine", "momentum")
    near = [int(np.argmax(np.linalg.norm(r.points[0], axis=1) < 0.01)) for r in (gd, momentum)]
    assert list(momentum.outcomes) == ["minimum"]
    assert list(gd.outcomes) == ["out_of_steps"]
    assert near[0] == 0  # never
    assert 0 < near[1] < 200
    assert list(run("ravine", rate=1.01).outcomes) == ["diverged"]


def test_saddle() -> None:
    ridge, beside = run("saddle").verdicts
    assert (ridge.outcome, beside.outcome) == ("saddle", "minimum")


def test_peaks() -> None:
    peaks = run("peaks")
    values = peaks.values[:, -1]
    assert len({round(float(v), 3) for v in values}) == 3
    assert int(np.argmin(values)) == 2
    assert values[2] == pytest.approx(-6.551, abs=1e-3)
    assert dl.certify(peaks.objective).counts["minimum"] == 3
