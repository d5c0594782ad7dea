"""Learning-rate rules, step by step against their formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optax
import pytest

import descentlab as dl
from descentlab.errors import InputError
from descentlab.landscapes import landscape
from descentlab.rates import read_rate

F = dl.formula("cos(2*pi*x) + x^2 + y^2/3", domain={"x": (-2, 2), "y": (-1, 3)})
STARTS = [[0.3, 1.0], [-1.2, 2.5]]
N = 40


def norms(run: dl.Descent) -> np.ndarray:
    return np.linalg.norm(run.gradients[:, :-1], axis=-1)


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize(
    ("rate", "formula"),
    [
        (0.01, lambda k, g: 0.01 + 0 * k),
        ("0.01", lambda k, g: 0.01 + 0 * k),
        ("time:0.02", lambda k, g: 0.02 * (1 - (k + 1) / N)),
        (dl.time_based(0.02), lambda k, g: 0.02 * (1 - (k + 1) / N)),
        ("gradient:0.003", lambda k, g: 0.003 * g),
        (dl.gradient_based(0.003), lambda k, g: 0.003 * g),
        ("cosine:0.02", lambda k, g: 0.02 * (1 + np.cos(np.pi * k / N)) / 2),
        ("exponential:0.02", lambda k, g: 0.02 * 0.999**k),
        ("exponential:0.02:0.9", lambda k, g: 0.02 * 0.9**k),
        (optax.linear_schedule(0.02, 0.001, 20), lambda k, g: np.maximum(0.02 - 0.00095 * k, 0.001)),
        (lambda k: 0.01 / (1 + k), lambda k, g: 0.01 / (1 + k)),
        (lambda k: 0.01, lambda k, g: 0.01 + 0 * k),
    ],
)
def test_a_rule_gives_the_rates_of_its_formula(rate: Any, formula: Any, optimizer: str) -> None:
    run = dl.descend(F, STARTS, optimizer, rate, steps=N)
    assert run.learning_rates.shape == (2, N)
    expected = formula(np.arange(N, dtype=float), norms(run))
    np.testing.assert_allclose(run.learning_rates, np.broadcast_to(expected, (2, N)), rtol=1e-6)


@pytest.mark.parametrize("rate", [0.01, "time:0.02", "gradient:0.003", "cosine:0.02", "exponential:0.02:0.9"])
def test_the_recorded_rate_is_the_one_the_step_was_taken_with(rate: Any) -> None:
    run = dl.descend(F, STARTS, "gd", rate, steps=N)
    moves = -run.learning_rates[..., None] * run.gradients[:, :-1]
    np.testing.assert_allclose(np.diff(run.points, axis=1), moves, rtol=1e-9, atol=1e-15)


def test_exact_rules_are_exact_to_rounding() -> None:
    k = np.arange(N)
    run = dl.descend(F, STARTS, "gd", "time:0.02", steps=N)
    np.testing.assert_allclose(run.learning_rates[0], 0.02 * (1 - (k + 1) / N), rtol=1e-13, atol=1e-17)
    run = dl.descend(F, STARTS, "gd", "cosine:0.02", steps=N)
    np.testing.assert_allclose(run.learning_rates[0], 0.02 * (1 + np.cos(np.pi * k / N)) / 2, rtol=1e-12)


@pytest.mark.slow
def test_rules_also_hold_when_only_the_ends_are_kept() -> None:
    for rate in ("time:0.02", "gradient:0.003", "cosine:0.02", "exponential:0.02:0.9", 0.01):
        whole = dl.descend(F, STARTS, "gd", rate, steps=333)
        ends = dl.descend(F, STARTS, "gd", rate, steps=333, record="ends")
        np.testing.assert_array_equal(whole.ends, ends.ends)


def test_a_tolerance_leaves_nan_rates_after_the_stop() -> None:
    run = dl.descend(F, STARTS, "gd", 0.02, steps=3000, tolerance=1e-3)
    for i in range(2):
        taken = run.taken[i]
        assert 0 < taken < 3000
        assert np.isfinite(run.learning_rates[i, :taken]).all()
        assert np.isnan(run.learning_rates[i, taken:]).all()


# auto


def malitsky_mishchenko(f: dl.Objective, x: np.ndarray, eta: float, steps: int) -> np.ndarray:
    """Algorithm 1 of Malitsky and Mishchenko 2020, λ₀ = η, θ₀ = 0 written out in NumPy."""
    points, ratio, rate = [x], 0.0, eta
    old_x = old_g = None
    for k in range(steps):
        g = f.gradient(x)
        if k:
            moved, turned = np.linalg.norm(x - old_x), np.linalg.norm(g - old_g)
            new = min(math.sqrt(1 + ratio) * rate, moved / (2 * turned) if turned > 0 else math.inf)
            ratio, rate = new / rate, new
        old_x, old_g = x, g
        x = x - rate * g
        points.append(x)
    return np.array(points)


def test_auto_follows_the_curvature_as_published() -> None:
    f = landscape("rosenbrock")
    run = dl.descend(f, [-1.0, 2.0], learning_rate="auto", steps=60)
    eta = run.learning_rates[0, 0]
    assert 0 < eta < 1
    np.testing.assert_allclose(
        run.points[0], malitsky_mishchenko(f, np.array([-1.0, 2.0]), eta, 60), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("optimizer", ["gd", "momentum", "nesterov"])
@pytest.mark.parametrize("factor", ["1e6", "1e-6", "1e12", "1e-12"])
def test_auto_takes_the_same_points_whatever_the_unit_of_f(factor: str, optimizer: str) -> None:
    text = "cos(2*pi*x) + x^2 + x*y/3 + y^2"
    f = dl.formula(text, domain=[(-2, 2), (-2, 2)])
    g = dl.formula(f"{factor}*({text})", domain=[(-2, 2), (-2, 2)])
    a, b = (
        dl.descend(h, [[0.3, 1.0], [1.9, -1.0]], optimizer, learning_rate="auto", steps=50) for h in (f, g)
    )
    np.testing.assert_allclose(a.points, b.points, atol=1e-9)
    assert list(a.outcomes) == list(b.outcomes)


@pytest.mark.parametrize("optimizer", ["gd", "momentum", "nesterov", "sign", "lion"])
@pytest.mark.parametrize("unit", [1e6, 1e-6])
def test_auto_takes_the_same_points_whatever_the_unit_of_x(unit: float, optimizer: str) -> None:
    f = dl.formula("cos(2*pi*x) + x^2 + x*y/3 + y^2", domain=[(-2, 2), (-2, 2)])
    u = f"{unit:g}"
    g = dl.formula(
        f"cos(2*pi*x/{u}) + (x/{u})^2 + x*y/3/{u}^2 + (y/{u})^2",
        domain=[(-2 * unit, 2 * unit), (-2 * unit, 2 * unit)],
    )
    starts = np.array([[0.3, 1.0], [1.9, -1.0]])
    a = dl.descend(f, starts, optimizer, learning_rate="auto", steps=50)
    b = dl.descend(g, starts * unit, optimizer, learning_rate="auto", steps=50)
    np.testing.assert_allclose(a.points, b.points / unit, atol=1e-7)
    assert list(a.outcomes) == list(b.outcomes)


@pytest.mark.parametrize("text", ["x", "3", "abs(x)", "1e-300*x", "x^4", "1e200*x^2", "1/x"])
def test_auto_gives_a_usable_rate_where_curvature_says_nothing(text: str) -> None:
    f = dl.formula(text, domain={"x": (-2, 2)}, variables=["x"])
    run = dl.descend(f, [0.7], learning_rate="auto", steps=20)
    rates = run.learning_rates[np.isfinite(run.learning_rates)]
    assert rates.size
    assert (rates > 0).all()
    assert np.isfinite(run.points).all()


def test_auto_reaches_the_minimum_of_an_ill_conditioned_quadratic() -> None:
    f = dl.formula("(x^2 + 1e2*y^2)/2", domain=[(-1, 1), (-1, 1)])
    run = dl.descend(f, [0.9, 0.9], learning_rate="auto", steps=20000, tolerance=1e-9)
    assert list(run.outcomes) == ["minimum"]
    assert np.abs(run.ends).max() < 1e-6


# Bad rates


@pytest.mark.parametrize(
    "rate",
    [
        0, -0.1, np.nan, np.inf, -np.inf, "0", "-1", "nan", "inf", "", "fast", "time", "time:", "time:0",
        "time:-1", "time:x", "time:0.1:2", "cosine:0.1:0.5", "exponential:0.1:0", "exponential:0.1:1.5",
        "exponential:0.1:nan", "exponential:0.1:0.9:3", "auto:0.1", "warp:0.1", None, [0.1], object(), 1j,
        "schedule:0.1", "fixed:0.1",
    ],
)  # fmt: skip
def test_an_unusable_rate_is_a_clear_error(rate: Any) -> None:
    with pytest.raises(InputError, match=r"rate|decay"):
        dl.descend(F, STARTS, learning_rate=rate)


def test_a_schedule_that_returns_no_number_is_a_clear_error() -> None:
    for schedule in (lambda k: "fast", lambda k: np.array([1.0, 2.0]), lambda: 1.0, lambda k: 1 / int(k)):
        with pytest.raises(InputError, match=r"schedule|rate"):
            dl.descend(F, STARTS, learning_rate=schedule, steps=3)


def test_labels_read_back_as_the_same_rate() -> None:
    for text in ("0.1", "1e-05", "time:0.3", "gradient:2", "cosine:0.1", "exponential:0.1:0.9", "auto"):
        rate = read_rate(text)
        again = read_rate(rate.label)
        assert again.label == rate.label
        assert again.rule == rate.rule
    third = read_rate(1 / 3)
    assert read_rate(third.label).value == 1 / 3
    odd = read_rate("exponential:0.1:0.99999999")
    assert read_rate(odd.label).decay == odd.decay
