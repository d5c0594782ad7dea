"""Verdicts on descents whose truth is known: outcome, evidence, and what the sentence may say."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.landscapes import landscape
from descentlab.verdict import OUTCOMES


def verdict(text: Any, start: Any, domain: Any = None, up: bool = False, **settings: Any) -> dl.Verdict:
    f = dl.formula(text, domain=domain) if isinstance(text, str) else text
    run = (dl.ascend if up else dl.descend)(f, start, **settings)
    assert len(run.verdicts) == 1
    v = run.verdicts[0]
    is_honest(v)
    assert v.outcome == run.outcomes[0]
    return v


def is_honest(v: dl.Verdict) -> None:
    """Assert what must hold of every verdict, whatever it says."""
    assert v.outcome in OUTCOMES
    assert v.sentence.endswith(".")
    assert v.advice.endswith(".")
    json.dumps(v.evidence)
    for word in ("nan", "inf "):
        assert word not in v.sentence.lower().replace("infin", "")
    for word in ("minimum", "maximum"):
        claimed = word in v.sentence
        near = v.evidence.get("nearest_kind") == word
        allowed = {word, "kink"}
        assert not claimed or v.outcome in allowed or (near and f"from a {word} at" in v.sentence)


# Quadratics on both sides of the largest stable rate


@pytest.mark.parametrize("curvature", [2.0, 1e6, 1e-6])
@pytest.mark.parametrize(
    ("optimizer", "limit"),
    # gd 2/λ; heavy ball 2(1 + μ)/λ; Nesterov 2(1 + μ)/((1 + 2μ)λ), all at μ = 0.9 and λ = 1.
    [("gd", 2.0), ("momentum", 3.8), ("nesterov", 3.8 / 2.8)],
)
def test_a_quadratic_converges_below_its_limit_and_not_above(
    optimizer: str, limit: float, curvature: float
) -> None:
    f, limit = dl.formula(f"{curvature!r}*x^2/2", domain={"x": (-5, 5)}), limit / curvature
    below = verdict(f, [1.0], optimizer=optimizer, learning_rate=0.98 * limit, steps=3000)
    assert below.outcome == "minimum"
    assert below.evidence["largest_stable_rate"] == pytest.approx(limit, rel=1e-12)
    above = verdict(f, [1.0], optimizer=optimizer, learning_rate=1.01 * limit, steps=1000)
    assert above.outcome == "diverged"
    assert above.evidence["largest_stable_rate"] == pytest.approx(limit, rel=1e-12)
    assert "too large" in above.advice
    just_below = verdict(f, [1.0], optimizer=optimizer, learning_rate=0.9999 * limit, steps=300)
    assert just_below.outcome == "out_of_steps"
    assert just_below.evidence["largest_stable_rate"] == pytest.approx(limit, rel=1e-12)
    just_above = verdict(f, [1.0], optimizer=optimizer, learning_rate=1.0001 * limit, steps=300)
    assert just_above.outcome in {"diverged", "out_of_steps", "cycle"}


@pytest.mark.parametrize("rate", [0.0195, 0.01, 0.001])
def test_in_two_dimensions_the_largest_eigenvalue_sets_the_limit(rate: float) -> None:
    v = verdict("x^2/2 + 50*y^2", [1.0, 1.0], learning_rate=rate, steps=30_000, record="ends")
    assert v.outcome == "minimum"
    assert v.evidence["eigenvalues"] == pytest.approx([1, 100])
    assert v.evidence["largest_stable_rate"] == pytest.approx(0.02)


def test_just_above_the_limit_the_growth_is_the_closed_form() -> None:
    v = verdict("x^2/2 + 50*y^2", [1.0, 1.0], learning_rate=0.0202)
    assert v.outcome == "diverged"
    assert v.evidence["growth_per_step"] == pytest.approx(abs(1 - 0.0202 * 100), rel=1e-6)
    # A rate the advice names must be stable.
    tried = float(v.advice.rsplit("Try ", 1)[1].rstrip("."))
    assert (
        verdict("x^2/2 + 50*y^2", [1.0, 1.0], learning_rate=tried, steps=50_000, record="ends").outcome
        == "minimum"
    )


def test_exactly_at_the_limit_two_points_repeat() -> None:
    v = verdict("x^2", [1.0], learning_rate=1.0)
    assert v.outcome == "cycle"
    assert v.evidence["period"] == 2
    assert sorted(v.evidence["orbit"]) == [[-1.0], [1.0]]


# Cycles: x − ηf′(x) = r·x·(1 − x) at η = 1, the logistic map, whose periods are known.


@pytest.mark.slow
@pytest.mark.parametrize(("r", "period"), [(3.2, 2), (3.5, 4), (3.55, 8), (3.83, 3)])
@pytest.mark.parametrize("up", [False, True])
def test_the_logistic_map_has_its_known_periods(r: float, period: int, up: bool) -> None:
    text = f"x^2/2 - {r}*(x^2/2 - x^3/3)"
    f = dl.formula(f"-({text})" if up else text, domain={"x": (0, 1)})
    v = verdict(f, [0.3], up=up, learning_rate=1, steps=20_000, record="ends")
    assert (v.outcome, v.evidence["period"]) == ("cycle", period)
    orbit = np.array(v.evidence["orbit"])[:, 0]
    assert len(orbit) == period
    np.testing.assert_allclose(np.sort(r * orbit * (1 - orbit)), np.sort(orbit), atol=1e-9)


def test_a_chaotic_orbit_is_no_cycle() -> None:
    v = verdict("x^2/2 - 3.9*(x^2/2 - x^3/3)", [0.3], {"x": (0, 1)}, learning_rate=1, steps=5000)
    assert v.outcome == "out_of_steps"


def test_a_widening_orbit_on_its_way_to_a_cycle_is_not_called_divergence() -> None:
    early = verdict("x^4/4 - x^2/2", [1.01], learning_rate=1.05, steps=30)
    assert early.outcome == "out_of_steps"
    assert "Lower the learning rate" in early.advice
    assert verdict("x^4/4 - x^2/2", [1.01], learning_rate=1.05, steps=3000).outcome == "cycle"


# Saddles and maxima


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, 1, -1), (1, -1, -1), (-1, 1, -1), (-1, -1, -1)])
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("at", [(0, 0, 0), (0.3, -1, 2)])
def test_a_start_on_a_stationary_point_is_named_by_its_index(
    signs: tuple[int, ...], up: bool, at: tuple[float, ...]
) -> None:
    terms = [
        f"{s * c}*(x{i} - ({a}))^2" for i, (s, c, a) in enumerate(zip(signs, (1, 2, 3), at, strict=True), 1)
    ]
    v = verdict(" + ".join(terms), list(map(float, at)), up=up, learning_rate=0.01)
    index = signs.count(-1)
    kind = {0: "minimum", 3: "maximum"}.get(index, "saddle")
    assert v.outcome == kind
    assert v.evidence["eigenvalues"] == pytest.approx(
        sorted(2 * s * c for s, c in zip(signs, (1, 2, 3), strict=True))
    )
    if kind == "saddle":
        assert v.evidence["index"] == index
        assert f"index {index}" in v.sentence
    if kind != ("maximum" if up else "minimum"):
        assert "escape" in v.evidence


def test_descent_along_the_stable_direction_comes_to_rest_at_the_saddle() -> None:
    v = verdict("x^2 - y^2", [1.0, 0.0], learning_rate=0.1)
    assert v.outcome == "saddle"
    assert "came to rest" in v.sentence


@pytest.mark.parametrize("rate", [0.1, 0.01, 0.001])
@pytest.mark.parametrize(
    ("text", "start", "up"),
    [
        ("cos(2*pi*x) + x^2", [0.0], False),
        ("cos(2*pi*x) + x^2", [0.47579993], True),
        ("x^2 - 3*y^2", [0.0, 0.0], False),
        ("cos(x)*cos(y)", [0.0, 0.0], False),
    ],
)
def test_the_predicted_escape_is_what_is_observed(text: str, start: Any, up: bool, rate: float) -> None:
    f = dl.formula(text, domain=[(-2, 2)] * len(start))
    if up:  # the exact point where the derivative is zero in doubles is found by descent
        start = dl.descend(f, start, learning_rate=0.02, steps=5000).ends[0]
    v = verdict(f, start, up=up, learning_rate=rate, steps=3)
    escape = v.evidence["escape"]
    γ = -escape["curvature"]
    formula = math.log(escape["radius"] / escape["nudge"]) / math.log(1 + rate * γ)
    assert escape["steps_predicted"] == pytest.approx(formula, rel=1e-9)
    assert abs(escape["steps_observed"] - formula) <= 0.1 * formula + 1
    # and observed again here, with the public function
    H = (-1 if up else 1) * f.hessian(np.asarray(v.evidence["nearest"]))
    direction = np.linalg.eigh(H)[1][:, 0]
    run = (dl.ascend if up else dl.descend)(
        f,
        np.asarray(v.evidence["nearest"]) + escape["nudge"] * direction,
        learning_rate=rate,
        steps=escape["steps_observed"] + 5,
    )
    far = np.linalg.norm(run.points[0] - v.evidence["nearest"], axis=1) >= escape["radius"]
    assert abs(int(far.argmax()) - escape["steps_observed"]) <= 1


def test_a_start_exactly_on_the_course_maximum() -> None:
    v = verdict("cos(2*pi*x) + x**2", [0.0], {"x": (-2, 2)})
    assert v.outcome == "maximum"
    assert "exactly 0" in v.sentence
    assert v.evidence["eigenvalues"][0] == pytest.approx(2 - 4 * math.pi**2)


# Degenerate points, kinks and plateaus


@pytest.mark.parametrize("text", ["x^4", "x^6", "(x-1)^4", "x^4 - 4x^3 + 6x^2 - 4x + 1", "3*x^4 + 5"])
@pytest.mark.parametrize("steps", [1000, 30_000])
def test_higher_powers_are_degenerate_and_never_minima(text: str, steps: int) -> None:
    v = verdict(text, [1.9], learning_rate=0.01, steps=steps, record="ends")
    # x⁶ is so flat that 1000 steps stay too far away to tell what is ahead.
    assert v.outcome == "degenerate" or (text, steps, v.outcome) == ("x^6", 1000, "out_of_steps")
    assert abs(v.evidence["nearest"][0] - (1 if "4x" in text or "-1" in text else 0)) < 0.01


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("x^3 - 3*x*y^2", [0.0, 0.0]),
        ("x^3", [0.0]),
        ("x^3", [1.0]),
        ("x^2*y^2", [1.0, 0.0]),
        ("x^2*y^2", [0.0, 0.0]),
        ("x^2 - y^4", [1.0, 0.0]),
        ("x^2 + y^4", [1.0, 0.0]),
        ("(x^2 + y^2 - 1)^2", [1.0, 1.0]),
        ("(x + y)^2", [1.0, 2.0]),
    ],
)
def test_a_zero_eigenvalue_is_degenerate(text: str, start: Any) -> None:
    v = verdict(text, start, learning_rate=0.05, steps=2000)
    assert v.outcome == "degenerate"
    assert "second order cannot tell" in v.sentence


KINKS = {
    "abs(x)": [1.003],
    "abs(x) + abs(y)": [1.003, 0.3],
    "sqrt(x^2 + y^2)": [1.003, 0.3],
    "max(x, -2*x)": [1.003],
    "cbrt(x)^2": [1.0],
    "abs(x - 1) + (x - 1)^2": [0.37],
    "max(abs(x), abs(y))": [0.5, 0.31],
}


@pytest.mark.parametrize("rate", [0.01, "time:0.01"])
@pytest.mark.parametrize("text", KINKS)
def test_a_kink_is_found_and_told_from_a_smooth_minimum(text: str, rate: Any) -> None:
    v = verdict(text, KINKS[text], learning_rate=rate, steps=2000)
    assert v.outcome == "kink"
    at = 1.0 if "x - 1" in text else 0.0
    np.testing.assert_allclose(v.evidence["nearest"], at, atol=1e-6)


@pytest.mark.parametrize("rate", [0.01, "time:0.01"])
def test_ascent_finds_the_kink_upside_down(rate: Any) -> None:
    v = verdict("3 - abs(x)", [1.003], up=True, learning_rate=rate, steps=2000)
    assert v.outcome == "kink"
    assert "maximum" in v.sentence
    assert "minimum" not in v.sentence


def test_the_slopes_of_a_kink_are_its_slopes() -> None:
    v = verdict("max(x, -2*x)", [1.003], learning_rate=0.01)
    assert v.evidence["slope_left"] == pytest.approx(-2, rel=1e-4)
    assert v.evidence["slope_right"] == pytest.approx(1, rel=1e-4)
    cone = verdict("3*sqrt(x^2 + y^2)", [0.0, 0.0])
    assert cone.evidence["smallest_outward_slope"] == pytest.approx(3, rel=1e-6)
    assert cone.evidence["largest_outward_slope"] == pytest.approx(3, rel=1e-6)


@pytest.mark.parametrize("text", ["-abs(x)", "abs(x) - abs(y)"])
def test_a_kink_that_is_no_minimum_is_not_called_one(text: str) -> None:
    v = verdict(text, [0.0] * (1 + text.count("y")))
    assert v.outcome not in {"minimum", "kink"}
    assert "Nudge" in v.advice


def test_ackley_has_smooth_minima_and_a_kink() -> None:
    f = landscape("ackley")
    assert verdict(f, [1.0, 1.0], learning_rate=0.01).outcome == "minimum"
    assert verdict(f, [0.1, 0.05], learning_rate="time:0.01").outcome == "kink"
    assert verdict(f, [0.0, 0.0]).outcome == "kink"


@pytest.mark.parametrize(
    ("text", "start", "side"),
    [
        ("-cos(x)*cos(y)*exp(-(x-pi)^2-(y-pi)^2)", [-90.0, 80.0], 100),
        ("relu(x)", [-1.0], 5),
        ("relu(x)^2", [-1.0], 5),
        ("sigmoid(x)", [-800.0], 1000),
        ("sigmoid(x)", [-40.0], 50),
        ("3 + 0*x", [1.0], 5),
        ("tanh(x)", [200.0], 500),
        ("exp(-x)", [800.0], 1000),
    ],
)
def test_where_nothing_points_anywhere_is_a_plateau(text: str, start: Any, side: float) -> None:
    f = dl.formula(text, domain=[(-side, side)] * len(start), variables=["x", "y"][: len(start)])
    v = verdict(f, start)
    assert v.outcome == "plateau"


@pytest.mark.parametrize("text", ["sigmoid(x)", "atan(x)", "exp(-x)", "1/(1+exp(-x))", "softplus(x)", "1/x"])
@pytest.mark.parametrize("start", [4.0, -4.0, 0.5])
def test_a_slope_without_end_has_no_minimum_and_no_number_of_steps_to_it(text: str, start: float) -> None:
    v = verdict(text, [start], learning_rate=0.1, steps=3000)
    assert v.outcome in {"out_of_steps", "diverged"}
    assert "steps_needed" not in v.evidence


# Leaving the domain, infinities


@pytest.mark.parametrize(
    ("text", "start", "rate", "outcome"),
    [
        ("log(x)", 1.0, 0.01, "left_domain"),
        ("log(x)", 1.0, 2.0, "left_domain"),
        ("sqrt(x)", 1.0, 0.01, "left_domain"),
        ("asin(x)", 0.0, 0.1, "left_domain"),
        ("log(x)", -1.0, 0.01, "nonfinite"),
        ("1/x", 0.0, 0.01, "nonfinite"),
        ("sqrt(x)", -1.0, 0.01, "nonfinite"),
        ("x^4", 3.0, 1.0, "diverged"),
        ("exp(x)", 900.0, 0.1, "nonfinite"),
        ("x^x", 1.0, 0.1, "minimum"),
    ],
)
def test_the_ways_out_of_the_numbers(text: str, start: float, rate: float, outcome: str) -> None:
    for record in ("all", "ends"):
        v = verdict(text, [start], learning_rate=rate, steps=2000, record=record)
        assert v.outcome == outcome


def test_what_failed_is_named() -> None:
    assert verdict("log(x)", [-1.0]).evidence["operation"] == "log"
    assert "log" in verdict("log(x)", [1.0], steps=2000).sentence


def test_one_over_x_from_both_sides() -> None:
    right = verdict("1/x", [1.0], learning_rate=0.01)
    assert right.outcome == "out_of_steps"
    left = verdict(
        "1/x", [-1.0], learning_rate=1e-4, steps=100
    )  # moves towards the pole, where f falls without end
    assert left.outcome == "out_of_steps"


@pytest.mark.parametrize("text", ["x^3", "-x^2", "-exp(x)", "x*abs(x)"])
def test_falling_without_end_is_divergence_and_not_too_large_a_rate(text: str) -> None:
    v = verdict(text, [1.0 if text[0] == "-" else -1.0], learning_rate=0.05, steps=3000)
    assert v.outcome == "diverged"
    assert "unbounded" in v.advice
    assert "overshoots" not in v.advice


def test_a_slow_walk_beyond_the_box_is_no_divergence() -> None:
    v = verdict("exp(-x)", [30.0], learning_rate=1.0, steps=500)
    assert v.outcome != "diverged"


def test_hovering_adadelta_is_not_divergence() -> None:
    f = dl.formula(
        "(3*(x-0.5)^2 + 2*(y+1)^2 + (z-2)^2)/2 + (x-0.5)*(y+1) + 0.5*(x-0.5)*(z-2) - 0.25*(y+1)*(z-2)"
    )
    v = verdict(f, [4.0, -4.0, 4.0], optimizer="adadelta", learning_rate=1.0, steps=3000)
    assert v.outcome in {"out_of_steps", "cycle"}


# peaks, from the course's start


PEAKS_MINIMA = [(0.228279, -1.625535), (-1.347396, 0.204519), (0.296446, 0.320196)]


@pytest.mark.parametrize(
    ("rate", "outcome"),
    [
        # By a plain NumPy loop: 10⁻⁵ and 10⁻⁴ are still on the slope after 1000 steps (|∇f| 7.7 and 3.9);
        # 10⁻³ is 5.4e-4 short of (0.296, 0.320); 0.01 and 0.1 are there to rounding, with 2/λ = 0.1266;
        # 0.5 is thrown out of the box at once, onto the plain outside.
        (0.00001, "out_of_steps"),
        (0.0001, "out_of_steps"),
        (0.001, "out_of_steps"),
        (0.01, "minimum"),
        (0.1, "minimum"),
        (0.5, "out_of_steps"),
    ],
)
def test_peaks_from_the_course_start(rate: float, outcome: str) -> None:
    v = verdict(landscape("peaks"), [0.0, 1.4], learning_rate=rate)
    assert v.outcome == outcome
    if rate in (0.001, 0.01, 0.1):
        np.testing.assert_allclose(v.evidence["nearest"], PEAKS_MINIMA[2], atol=1e-5)
        assert v.evidence["eigenvalues"] == pytest.approx([6.3309, 15.798], rel=1e-4)
        assert v.evidence["largest_stable_rate"] == pytest.approx(2 / 15.798, rel=1e-4)
    if rate == 0.001:
        assert v.evidence["distance"] == pytest.approx(5.35e-4, rel=0.01)
    if rate == 0.5:
        assert "outside the box" in v.sentence


# Numbers of steps


@pytest.mark.parametrize(
    ("text", "start", "rate", "steps", "settings"),
    [
        ("3x^2 - 3x + 4", [2.0], 0.001, 500, {}),
        ("3x^2 - 3x + 4", [-5.0], 0.0001, 2000, {}),
        ("x^2/2 + 50*y^2", [1.0, 1.0], 0.001, 2000, {}),
        ("cos(2*pi*x) + x^2", [0.3], 0.0005, 100, {}),
        ("(x^2+y-11)^2 + (x+y^2-7)^2", [3.5, 1.0], 0.0001, 1000, {}),
        ("3x^2 - 3x + 4", [2.0], 0.001, 200, {"optimizer": "momentum", "decay": 0.5}),
        ("cosh(x) + y^4/12 + y^2", [2.0, -1.0], 0.001, 2000, {}),
    ],
)
@pytest.mark.parametrize("up", [False, True])
def test_steps_needed_is_what_is_then_observed(
    text: str, start: Any, rate: float, steps: int, settings: dict[str, Any], up: bool
) -> None:
    f = dl.formula(f"-({text})" if up else text)
    v = verdict(f, start, up=up, learning_rate=rate, steps=steps, **settings)
    assert v.outcome == "out_of_steps"
    needed = v.evidence["steps_needed"]
    go = dl.ascend if up else dl.descend
    run = go(f, start, learning_rate=rate, steps=steps + 2 * needed + 100, **settings)
    place = run.ends[0]
    arrived = (np.abs(run.points[0] - place) / f.widths).max(axis=1) <= 1e-6
    observed = int(arrived.argmax()) - steps
    assert needed == pytest.approx(observed, rel=0.25)


def test_no_number_of_steps_is_given_towards_a_saddle() -> None:
    # Descent slows down near the saddle at 0 and then leaves it.
    v = verdict("x^2 - y^2 + y^4/4", [1.0, 1e-6], learning_rate=0.01, steps=150)
    assert v.outcome == "out_of_steps"
    assert "steps_needed" not in v.evidence


def test_few_steps_in_a_narrow_valley_do_not_promise_arrival() -> None:
    v = verdict("(x+y)^2 + 1e-6*(x-y)^2", [2.0, -1.0], learning_rate=0.2, steps=20)
    assert v.outcome == "out_of_steps"
    assert v.evidence.get("steps_needed", math.inf) > 1e5


def test_the_distance_is_the_distance() -> None:
    v = verdict("(x-1)^2 + 5*(y+2)^2", [1.3, -2.2], learning_rate=0.01, steps=20)
    assert v.evidence["nearest_kind"] == "minimum"
    true = math.hypot(v.evidence["point"][0] - 1, v.evidence["point"][1] + 2)
    assert v.evidence["distance"] == pytest.approx(true, rel=1e-9)


# Ill-conditioned but non-degenerate; units


@pytest.mark.parametrize("domain", [[(-100, 100), (-1, 1)], [(-1, 1), (-100, 100)], [(-5, 5), (-5, 5)]])
@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
def test_an_ill_conditioned_minimum_is_a_minimum(condition: float, domain: Any) -> None:
    f = dl.formula(f"x^2/2 + {condition!r}*y^2/2 + x*y/3", domain=domain)
    v = verdict(f, [0.0, 0.0], learning_rate=1 / condition)
    assert v.outcome == "minimum"
    saddle = dl.formula(f"x^2/2 - {condition!r}*y^2/2 + x*y/3", domain=domain)
    assert verdict(saddle, [0.0, 0.0]).outcome == "saddle"


CASES = {
    "minimum": ([0.3], "minimum"),
    "maximum": ([0.0], "maximum"),
    "moving": ([0.9], None),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("scale", ["1", "1e9", "1e-9", "1e100", "1e-100"])
@pytest.mark.parametrize(("unit", "shift"), [(1.0, 0.0), (1e6, 0.0), (1e-6, 0.0), (1.0, 1e6), (1.0, -1e6)])
def test_units_change_no_outcome(case: str, scale: str, unit: float, shift: float) -> None:
    start, outcome = CASES[case]
    u, s = f"{unit:g}", f"({shift:g})"
    f = dl.formula(
        f"{scale}*(cos(2*pi*(x-{s})/{u}) + ((x-{s})/{u})^2)",
        domain={"x": (shift - 2 * unit, shift + 2 * unit)},
    )
    v = verdict(f, [shift + start[0] * unit], learning_rate="auto", steps=300)
    assert v.outcome == (outcome or "minimum")


@pytest.mark.parametrize("shift", [0, 1e6, -1e6])
def test_kinks_and_degenerate_points_far_from_zero(shift: float) -> None:
    box = {"x": (shift - 1, shift + 1)}
    assert verdict(f"abs(x-({shift:g}))", [shift + 0.5], box, learning_rate=0.01).outcome == "kink"
    assert verdict(f"(x-({shift:g}))^4", [shift + 0.5], box, learning_rate=0.5).outcome == "degenerate"
    assert verdict(f"(x-({shift:g}))^2", [shift + 0.5], box, learning_rate=0.1).outcome == "minimum"


def test_tiny_boxes() -> None:
    box = {"x": (-1e-8, 2e-8)}
    assert verdict("x^2", [1e-9], box, learning_rate=0.1).outcome == "minimum"
    assert verdict("1e16*x^2 - 1", [1e-9], box, learning_rate=1e-17).outcome == "minimum"
    assert verdict("abs(x)", [1e-9], box, learning_rate=1e-10).outcome == "kink"


# Bounds


@pytest.mark.parametrize("up", [False, True])
def test_held_at_a_bound(up: bool) -> None:
    text = "x + (y - 1/2)^2"
    f = dl.formula(f"-({text})" if up else text, domain=[(-1, 1), (-1, 1)])
    v = verdict(f, [0.5, 0.0], up=up, learning_rate=0.1, steps=500, bounds="clip")
    assert v.outcome == "at_bound"
    assert v.evidence["at_bound"] == ["x"]
    assert v.evidence["point"] == pytest.approx([-1, 0.5])


def test_a_saddle_at_the_bound_is_not_an_interior_minimum() -> None:
    f = dl.formula("x - y^2", domain=[(-1, 1), (-1, 1)])
    run = dl.descend(f, [0.5, 0.0], learning_rate=0.1, steps=500, bounds="clip")
    assert run.outcomes[0] == "at_bound"
    assert run.judgement.kinds[0] != "minimum"


# A tolerance met far from any stationary point


def test_a_loose_tolerance_is_not_an_arrival() -> None:
    v = verdict("x^2", [3.0], tolerance=4.0, learning_rate=0.01)
    assert v.outcome == "out_of_steps"
    assert v.evidence["stopped_by"] == "tolerance"
    flat = verdict("exp(-x)", [4.0], {"x": (-10, 10)}, tolerance=0.1, learning_rate=0.01)
    assert flat.outcome != "minimum"
    assert "steps ran out" not in flat.sentence


@pytest.mark.slow
@pytest.mark.parametrize("record", ["all", "ends"])
def test_outcomes_do_not_depend_on_what_is_recorded(record: str) -> None:
    for name in ("himmelblau", "ackley", "peaks"):
        f = landscape(name)
        for rate in (1e-4, 1e-2, 0.3, 3.0):
            for settings in ({}, {"tolerance": 1e-2}, {"bounds": "clip"}, {"bounds": "stop"}):
                a = dl.descend(f, 40, learning_rate=rate, steps=100, **settings)
                b = dl.descend(f, 40, learning_rate=rate, steps=100, record="ends", **settings)
                np.testing.assert_array_equal(a.outcomes, b.outcomes)
                if record == "all":
                    for v in a.verdicts[:8]:
                        is_honest(v)
