"""The Python lines and the command do again exactly what was done."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import descentlab as dl
from descentlab.landscapes import landscape

AWKWARD = dl.formula("cos(2*pi*x) + 0.1*x^2 - |y|/3", domain={"x": (-1 / 3, 2.1e-3), "y": (-1e-7, 1e22)})
CASES: dict[str, Any] = {
    "plain": lambda: dl.descend(dl.formula("3x^2 - 3x + 4"), [0.1], learning_rate=1 / 3, steps=20),
    "defaults": lambda: dl.descend(dl.formula("x^2 + y^2")),
    "awkward numbers": lambda: dl.descend(
        AWKWARD, [[-0.1, 1 / 7], [1e-9, 12345678.9]], learning_rate=1e-17, steps=9
    ),
    "random starts": lambda: dl.descend(landscape("peaks"), 5, steps=20, seed=12),
    "ascent": lambda: dl.ascend(landscape("peaks"), [0.0, 1.4], steps=20),
    "negated": lambda: dl.descend(-landscape("peaks"), [0.0, 1.4], steps=20),
    "sum": lambda: dl.descend(dl.formula("x^2") * 3 - 0.1, [0.7], steps=20),
    "parameters": lambda: dl.descend(dl.formula("x^2"), [0.7], "momentum", "time:0.1", 20, decay=0.123456789),
    "rule": lambda: dl.descend(
        dl.formula("x^2"), [0.7], learning_rate="exponential:0.1:0.987654321", steps=20
    ),
    "rule object": lambda: dl.descend(
        dl.formula("x^2"), [0.7], learning_rate=dl.time_based(0.1 / 3), steps=20
    ),
    "everything": lambda: dl.descend(
        landscape("peaks"),
        np.array([[0.1, 0.2], [1.0, 2.0]]),
        "adam",
        0.05,
        50,
        1e-3,
        "clip",
        7,
        "ends",
        "float32",
    ),
    "odd names": lambda: dl.descend(dl.formula("S^2 + N", variables=["S", "N"]), [0.1, 0.2], steps=4),
    "numpy numbers": lambda: dl.descend(
        dl.formula("x^2"), np.array([0.1]), learning_rate=np.float64(0.1), steps=np.int64(7)
    ),
    "one start as a number": lambda: dl.descend(dl.formula("x^2"), np.float64(0.3), steps=7),
    "sweep": lambda: dl.sweep(
        landscape("peaks"), start=[[0.0, 1.4], [1.0, 1.0]], learning_rate=[0.01, 1 / 30], steps=[10, 100]
    ),
    "sweep of ascents": lambda: dl.sweep(
        landscape("peaks"),
        start=3,
        learning_rate=[0.01, "time:0.1"],
        optimizer=["gd", "adam"],
        steps=50,
        ascent=True,
    ),
    "survey": lambda: dl.survey(landscape("himmelblau"), starts=50, seed=3, steps=200),
    "default survey": lambda: dl.survey(dl.formula("x^2 + y^4", domain=[(-1, 2), (-1, 1)])),
}


@pytest.mark.parametrize("case", CASES)
def test_the_python_lines_give_the_same_bits(case: str) -> None:
    result = CASES[case]()
    scope: dict[str, Any] = {}
    exec(result.python, scope)
    again = scope["result"]
    assert type(again) is type(result)
    for field in ("points", "ends", "values", "learning_rates", "taken", "outcomes", "assignment"):
        if not hasattr(result, field):
            continue
        a, b = getattr(result, field), getattr(again, field)
        if isinstance(a, dict):
            assert a == b
        else:
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(again.objective.domain, result.objective.domain)
    if case != "sum":  # which is then read as one formula, written a little differently
        assert again.python == result.python
        assert again.command == result.command


def test_the_python_lines_run_in_a_fresh_interpreter() -> None:
    run = CASES["parameters"]()
    code = run.python + "print(repr(result.ends.tolist()))\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == repr(run.ends.tolist())


def test_a_python_function_has_no_command_and_says_so_in_python() -> None:
    run = dl.descend(dl.function(lambda v: jnp.sin(v[0]), domain=[(-1, 1)], label="wave"), [0.1], steps=2)
    assert run.command == ""
    assert "wave" in run.python
    own = dl.descend(dl.formula("x^2"), [0.1], optax.adam(0.1), learning_rate=1, steps=2)
    assert own.command == ""


@pytest.mark.parametrize("case", [c for c in CASES if "sweep" not in c and "survey" not in c])
def test_the_command_is_one_safe_shell_line(case: str) -> None:
    command = CASES[case]().command
    assert "\n" not in command
    words = shlex.split(command)
    assert words[:2] in (["descentlab", "descend"], ["descentlab", "ascend"])
    assert not any(c in w for w in words[3:] for c in ";&`$<>")


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["plain", "awkward numbers", "ascent", "parameters", "odd names", "everything", "sum"]
)
def test_the_command_gives_the_same_bits(case: str) -> None:
    run = CASES[case]()
    words = shlex.split(run.command)
    done = subprocess.run(
        [sys.executable, "-m", *words, "--json"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(json.loads(done.stdout)["ends"], run.ends)
