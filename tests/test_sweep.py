"""Sweeps: every cell is the single descent, and the grid is one compilation."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import descentlab as dl
from descentlab.errors import InputError
from descentlab.landscapes import landscape

PEAKS = landscape("peaks")
COURSE = dl.formula("cos(2*pi*x) + x**2", domain={"x": (-2, 2)})
compilations: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: (
        compilations.append(event) if event.endswith("backend_compile_duration") else None
    )
)

GRID: dict[str, Any] = {
    "optimizer": ["gd", "momentum", "adam"],
    "start": [[0.0, 1.4], [-1.0, 0.5], [2.0, -2.0], [-2.9, 2.9]],
    "learning_rate": [0.001, 0.01, 0.1, 0.5],
    "steps": [40, 300, 1000],
}


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"tolerance": 1e-4}, {"bounds": "clip"}, {"bounds": "stop"}])
def test_every_cell_is_the_single_descent_to_the_bit(settings: dict[str, Any]) -> None:
    s = dl.sweep(PEAKS, **GRID, **settings)
    assert tuple(s.axes) == ("optimizer", "start", "learning_rate", "steps")
    assert s.outcomes.shape == s.values.shape == s.taken.shape == (3, 4, 4, 3)
    assert s.ends.shape == (3, 4, 4, 3, 2)
    for o, name in enumerate(GRID["optimizer"]):
        for r, rate in enumerate(GRID["learning_rate"]):
            for n, steps in enumerate(GRID["steps"]):
                one = dl.descend(PEAKS, GRID["start"], name, rate, steps, record="ends", **settings)
                np.testing.assert_array_equal(s.ends[o, :, r, n], one.ends)
                np.testing.assert_array_equal(s.values[o, :, r, n], one.values[:, -1])
                np.testing.assert_array_equal(s.taken[o, :, r, n], one.taken)
                np.testing.assert_array_equal(s.outcomes[o, :, r, n], one.outcomes)


def test_few_steps_beside_many_are_judged_as_they_are_alone() -> None:
    f = dl.formula("x^2", domain={"x": (-5, 5)})
    rates, steps = [0.01, 0.5, 1.0, 1.2, 3.0], [1, 2, 5, 10, 20, 31, 33, 1000]
    s = dl.sweep(f, start=[1.0], learning_rate=rates, steps=steps)
    for r, rate in enumerate(rates):
        for n, count in enumerate(steps):
            one = dl.descend(f, [1.0], learning_rate=rate, steps=count)
            assert s.ends[0, 0, r, n, 0] == pytest.approx(one.ends[0, 0], rel=1e-10)
            assert s.outcomes[0, 0, r, n] == one.outcomes[0], (rate, count)


def test_rules_and_numbers_may_be_mixed() -> None:
    rates = [0.01, "time:0.02", "auto", 0.05, "gradient:0.1", "time:0.3"]
    s = dl.sweep(COURSE, start=[[0.3], [-1.1]], learning_rate=rates, steps=[64, 200])
    assert s.axes["learning_rate"] == ("0.01", "time:0.02", "auto", "0.05", "gradient:0.1", "time:0.3")
    for r, rate in enumerate(rates):
        for n, steps in enumerate((64, 200)):
            one = dl.descend(COURSE, [[0.3], [-1.1]], learning_rate=rate, steps=steps, record="ends")
            np.testing.assert_array_equal(s.ends[0, :, r, n], one.ends)


def test_the_axes_hold_what_was_varied() -> None:
    s = dl.sweep(COURSE, start=[0.3, -1.1, 0.0], learning_rate=[0.01, 0.1], steps=50)
    assert s.varied == ("start", "learning_rate")
    np.testing.assert_array_equal(s.axes["start"], [[0.3], [-1.1], [0.0]])
    np.testing.assert_array_equal(s.axes["learning_rate"], [0.01, 0.1])
    np.testing.assert_array_equal(s.axes["steps"], [50])
    assert s.axes["optimizer"] == ("gd",)
    assert dl.sweep(COURSE, start=[0.3], steps=5).varied == ()
    assert dl.sweep(COURSE, start=7, steps=5).axes["start"].shape == (7, 1)
    many = dl.sweep(PEAKS, start=[0.0, 1.4], optimizer=["gd", "momentum"], decay=0.5, steps=5)
    assert many.axes["optimizer"] == ("gd", "momentum(decay=0.5)")


def test_the_course_experiments() -> None:
    starts = np.linspace(-2, 2, 41)
    s = dl.sweep(COURSE, start=starts, learning_rate=0.01, steps=1000)
    assert s.outcomes[0, 20, 0, 0] == "maximum"
    assert s.ends[0, 20, 0, 0, 0] == 0
    found = np.unique(np.round(s.ends[0, s.outcomes[0, :, 0, 0] == "minimum", 0, 0, 0], 6))
    assert len(found) == 4
    np.testing.assert_allclose(found, -found[::-1], atol=1e-6)


def test_the_grid_is_one_compilation_and_another_grid_of_its_size_none() -> None:
    f = dl.formula("cos(2*pi*x) + x**2 + x/997", domain={"x": (-2, 2)})
    before = len(compilations)
    dl.sweep(f, start=[0.1, 0.2, 0.3], learning_rate=[0.01, 0.02, 0.03], steps=[100, 200, 300])
    assert len(compilations) - before == 2  # the batch loop, and the last steps
    dl.sweep(f, start=[0.5, 0.6], learning_rate=[0.1, 0.2, 0.3, 0.4], steps=[150, 250, 1350])
    assert len(compilations) - before == 2


def test_a_sweep_of_ascents() -> None:
    s = dl.sweep(PEAKS, start=[0.0, 1.0], learning_rate=[0.01, 0.02], steps=300, ascent=True)
    one = dl.ascend(PEAKS, [0.0, 1.0], learning_rate=0.02, steps=300, record="ends")
    np.testing.assert_array_equal(s.ends[0, :, 1, 0], one.ends)
    assert s.outcomes[0, 0, 1, 0] == "maximum"


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": []}, {"steps": []}, {"optimizer": []}, {"start": []}, {"learning_rate": [0.1, -1]},
        {"steps": [10, 0]}, {"steps": [10.5]}, {"optimizer": ["gd", "adm"]}, {"start": [[1.0, 2.0, 3.0]]},
        {"decay": 0.9}, {"optimizer": ["gd", "adam"], "deacy": 0.9}, {"seed": -1}, {"bounds": "x"},
        {"start": ["a", "b"]}, {"learning_rate": [[0.1, 0.2]]},
    ],
)  # fmt: skip
def test_unusable_input_is_a_clear_error(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        dl.sweep(PEAKS, **{"start": [0.0, 0.0], "steps": 3, **settings})


def test_too_large_a_grid_is_refused_before_any_work() -> None:
    with pytest.raises(InputError, match="GiB"):
        dl.sweep(COURSE, start=100_000, learning_rate=[0.01] * 100, steps=list(range(1, 101)))
