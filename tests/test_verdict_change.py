"""What a verdict would change, and that changing it helps as the advice says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import descentlab as dl

BOWL = dl.formula("3x^2 - 3x + 4", domain={"x": (-2, 2)})
COSINE = dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)})
SADDLE = dl.formula("x^2 - y^2 + y^4/4", domain={"x": (-2, 2), "y": (-2, 2)})
KINK = dl.formula("abs(x - 0.3)", domain={"x": (-2, 2)})

# f, settings, the outcome, the settings to change, the outcome then.
CASES: dict[str, tuple[dl.Objective, dict[str, Any], str, list[str], str]] = {
    "diverged": (BOWL, {"start": [0.3], "learning_rate": 0.35}, "diverged", ["learning_rate"], "minimum"),
    "cycle": (
        BOWL,
        {"start": [1.25], "learning_rate": 1 / 3, "steps": 100},
        "cycle",
        ["learning_rate"],
        "minimum",
    ),
    "unfortunate start": (COSINE, {"start": [0.0]}, "maximum", ["start"], "minimum"),
    "ridge": (SADDLE, {"start": [1.5, 0.0], "learning_rate": 0.05}, "saddle", ["start"], "minimum"),
    "too few steps": (
        BOWL,
        {"start": [0.0], "steps": 40},
        "out_of_steps",
        ["learning_rate", "steps"],
        "minimum",
    ),
    "loose tolerance": (
        COSINE,
        {"start": [-1.3], "learning_rate": 0.001, "tolerance": 3.0},
        "out_of_steps",
        ["tolerance"],
        "",
    ),
    "unbounded": (
        dl.formula("-x^2", domain={"x": (-1, 1)}),
        {"start": [0.3], "learning_rate": 0.1},
        "diverged",
        ["bounds"],
        "at_bound",
    ),
    "left": (
        dl.formula("-x", domain={"x": (-1, 1)}),
        {"start": [0.0], "bounds": "stop", "learning_rate": 0.3},
        "left_domain",
        ["bounds"],
        "at_bound",
    ),
    "kink": (KINK, {"start": [1.0], "learning_rate": 0.08}, "kink", ["learning_rate"], "kink"),
    "nothing to change": (BOWL, {"start": [0.0], "learning_rate": 0.1}, "minimum", [], "minimum"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_change_a_verdict_names_helps(case: str) -> None:
    f, settings, outcome, names, after = CASES[case]
    run = dl.descend(f, **settings)
    verdict = run.verdicts[0]
    assert verdict.outcome == outcome
    assert sorted(verdict.change) == names
    again = dl.descend(f, **{**settings, **verdict.change})
    if after:
        assert again.verdicts[0].outcome == after
    if case == "kink":
        assert abs(again.ends[0, 0] - 0.3) < abs(run.ends[0, 0] - 0.3) / 5
    if case == "loose tolerance":
        assert np.linalg.norm(f.gradient(again.ends[0])) < np.linalg.norm(f.gradient(run.ends[0])) / 500


def test_the_advice_and_the_change_name_the_same_number() -> None:
    verdict = dl.descend(BOWL, start=[0.3], learning_rate=0.35).verdicts[0]
    assert f"Try {verdict.change['learning_rate']:.5g}." in verdict.advice
    verdict = dl.descend(BOWL, start=[0.0], steps=40).verdicts[0]
    assert f"About {verdict.change['steps'] - 40:,} more steps" in verdict.advice


def test_ascent_is_told_what_to_change_too() -> None:
    verdict = dl.ascend(-BOWL, start=[0.3], learning_rate=0.35).verdicts[0]
    again = dl.ascend(-BOWL, start=[0.3], learning_rate=verdict.change["learning_rate"])
    assert again.verdicts[0].outcome == "maximum"
