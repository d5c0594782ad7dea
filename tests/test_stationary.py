"""Roots of the gradient, kinks and their kinds, from points near and far, one by one."""

from __future__ import annotations

import numpy as np
import pytest

import descentlab as dl
from descentlab.kinks import one_sided_slopes, search_kink
from descentlab.landscapes import landscape
from descentlab.objective import Objective
from descentlab.stationary import (
    SEARCH_RADIUS,
    classify,
    directions,
    is_constant_around,
    merge,
    newton_step,
    polish,
)
from stationary_search import newton_from_grid


def box(text: str, *sides: tuple[float, float]) -> Objective:
    return dl.formula(text, domain=list(sides))


def kind(text: str, point: list[float], *sides: tuple[float, float]) -> str:
    sides = sides or ((-2, 2),) * len(point)
    return str(classify(box(text, *sides), np.array([point])).kinds[0])


@pytest.mark.parametrize("name", ["himmelblau", "six-hump camel", "peaks"])
def test_newton_finds_every_stationary_point_from_nearby_and_names_it(name: str) -> None:
    f = landscape(name)
    truth = newton_from_grid(f, f.domain, 80)
    assert len(truth) == {"himmelblau": 9, "six-hump camel": 15, "peaks": 9}[name]
    random = np.random.default_rng(0)
    for size in (1e-12, 1e-6, 1e-3, 1e-2):
        x = truth + size * f.widths * random.uniform(-1, 1, truth.shape)
        place, found = polish(f, x)
        close = np.abs((place - truth) / f.widths).max(axis=1) < 1e-9
        assert (found & close).sum() >= (len(truth) if size < 1e-2 else 0.6 * len(truth))
        # What it does find from further off is a stationary point too, and within the radius.
        gaps = np.abs((place[found][:, None] - truth) / f.widths).max(axis=2).min(axis=1)
        inside = ((place[found] > f.domain[:, 0]) & (place[found] < f.domain[:, 1])).all(axis=1)
        assert (gaps[inside] < 1e-9).all()
        assert (np.abs((place - x)[found] / f.widths) <= SEARCH_RADIUS + 1e-12).all()
    H = f.hessian(truth)
    negative = (np.linalg.eigvalsh(H) < 0).sum(axis=1)
    expected = np.array(["minimum", "saddle", "maximum"])[negative]
    np.testing.assert_array_equal(classify(f, truth).kinds, expected)


@pytest.mark.parametrize(
    ("text", "point", "expected"),
    [
        ("x^2 + y^2", [0, 0], "minimum"),
        ("-x^2 - y^2", [0, 0], "maximum"),
        ("x*y", [0, 0], "saddle"),
        ("x^2 + 1e10*y^2", [0, 0], "minimum"),
        ("x^2 - 1e10*y^2", [0, 0], "saddle"),
        ("1e-200*(x^2 + y^2)", [0, 0], "minimum"),
        ("1e200*(x^2 + y^2)", [0, 0], "minimum"),
        ("x^2 + y^4", [0, 0], "degenerate"),
        ("x^2 - y^4", [0, 0], "degenerate"),
        ("x^4 + y^4", [0, 0], "degenerate"),
        ("x^3 - 3*x*y^2", [0, 0], "degenerate"),
        ("(x + y)^2 + (x - y)^4", [0, 0], "degenerate"),
        ("(x^2 + y^2 - 1)^2", [0.6, 0.8], "degenerate"),
        ("0*x + 0*y + 3", [0.3, 0.4], "plateau"),
        ("x^2 + 0*y", [0, 0.3], "degenerate"),
        ("relu(x)^2 + relu(y)^2", [-1, -1], "plateau"),
    ],
)
def test_kinds(text: str, point: list[float], expected: str) -> None:
    f = dl.formula(text, domain=[(-2, 2), (-2, 2)], variables=["x", "y"])
    assert classify(f, np.array([point], dtype=float)).kinds[0] == expected


@pytest.mark.parametrize("power", [3, 4, 5, 6])
@pytest.mark.parametrize("root", [0, 1, 10])
def test_a_multiple_root_found_to_rounding_is_never_a_minimum(power: int, root: int) -> None:
    import sympy

    x = sympy.Symbol("x")
    text = str(sympy.expand((x - root) ** power))
    f = box(text, (root - 2, root + 3))
    starts = root + np.linspace(-0.2, 0.2, 41)[:, None]
    place, found = polish(f, starts)
    assert set(classify(f, place[found]).kinds) <= {"degenerate", "plateau"}


def test_newton_steps_are_newtons() -> None:
    f = box("3*x^2 + 2*y^2 + x*y - x", (-1, 1), (-100, 100))
    x = np.array([[0.7, -30.0]])
    step = newton_step(f, x, np.ones((1, 2), bool))
    np.testing.assert_allclose(step, -np.linalg.solve(f.hessian(x)[0], f.gradient(x)[0])[None], rtol=1e-9)
    held = newton_step(f, x, np.array([[True, False]]))
    assert held[0, 1] == 0
    assert held[0, 0] == pytest.approx(-f.gradient(x)[0, 0] / 6)


def test_a_flat_direction_with_a_slope_has_no_root() -> None:
    _, found = polish(box("x^2 + y", (-1, 1), (-1, 1)), np.array([[0.3, 0.0]]))
    assert not found[0]
    assert np.isinf(newton_step(box("x", (-1, 1)), np.array([[0.3]]), np.ones((1, 1), bool))).all()
    assert not polish(box("log(x)", (-1, 1)), np.array([[-1.0], [np.nan]]))[1].any()


def test_nothing_further_than_the_radius_is_found() -> None:
    f = box("x^2", (-1, 1))
    _, found = polish(f, np.array([[0.05], [0.09], [0.11], [0.5]]))
    np.testing.assert_array_equal(found, [True, True, False, False])


def test_held_coordinates_stay_and_count_as_settled() -> None:
    f = box("x + (y - 1/2)^2", (-1, 1), (-1, 1))
    free = np.array([[False, True]])
    place, found = polish(f, np.array([[-1.0, 0.51]]), free)
    assert found[0]
    np.testing.assert_allclose(place, [[-1, 0.5]], atol=1e-12)
    some = classify(f, place, free)
    assert some.kinds[0] == "minimum"
    saddle = box("x - (y - 1/2)^2", (-1, 1), (-1, 1))
    assert classify(saddle, np.array([[-1.0, 0.5]]), free).kinds[0] == "maximum"


# Kinks


@pytest.mark.parametrize(
    ("text", "is_kink", "is_minimum"),
    [
        ("abs(x) + abs(y)", True, True),
        ("sqrt(x^2 + y^2)", True, True),
        ("max(abs(x), 3*abs(y))", True, True),
        ("abs(x) - abs(y)", True, False),
        ("-abs(x) - y^2", True, False),
        ("abs(x) + y", True, False),
        ("x^2 + y^2", False, False),
        ("x^4 + y^4", False, False),
        ("x + y", False, False),
        ("1e6*x^2 + y^2", False, False),
        ("sin(50*x) + y^2", False, False),
        ("1e9 + x^2 + y^2", False, False),
    ],
)
def test_one_sided_slopes_tell_a_kink(text: str, is_kink: bool, is_minimum: bool) -> None:
    slopes = one_sided_slopes(box(text, (-2, 2), (-2, 2)), np.zeros((1, 2)))
    assert (bool(slopes.is_kink[0]), bool(slopes.is_minimum[0])) == (is_kink, is_minimum)


def test_upside_down_a_kink_is_a_maximum() -> None:
    f = box("3 - abs(x)", (-2, 2))
    assert one_sided_slopes(f, np.zeros((1, 1)), -1.0).is_minimum[0]
    assert not one_sided_slopes(f, np.zeros((1, 1))).is_minimum[0]


@pytest.mark.parametrize("at", [(0.0, 0.0), (1 / 3, -0.7)])
def test_the_kink_is_found_without_a_gradient(at: tuple[float, float]) -> None:
    f = box(f"abs(x - ({at[0]!r})) + 2*abs(y - ({at[1]!r}))", (-2, 2), (-2, 2))
    tip = search_kink(f, np.add([at], [[0.02, -0.03]]), np.array([0.01]))
    np.testing.assert_allclose(tip, [at], atol=1e-9)


def test_smooth_formulas_cannot_kink() -> None:
    assert not dl.formula("x^2 + sin(x)*exp(-x)").may_kink
    for text in ("abs(x)", "sqrt(x)", "max(x, 1)", "relu(x)", "x^(1/3)"):
        assert dl.formula(text).may_kink
    assert dl.function(lambda v: v[0], domain=[(0, 1)]).may_kink


# Helpers


def test_constant_means_to_rounding_out_to_a_thousandth() -> None:
    f = box("1e6 + 1e-20*x^2", (-1, 1))
    assert is_constant_around(f, np.zeros((1, 1)))[0]
    assert not is_constant_around(box("x^2", (-1, 1)), np.zeros((1, 1)))[0]
    assert not is_constant_around(box("log(x)", (-1, 1)), np.zeros((1, 1)))[0]


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_directions_come_in_opposite_pairs_of_length_one(dim: int) -> None:
    d = directions(dim)
    half = len(d) // 2
    np.testing.assert_array_equal(d[:half], -d[half:])
    np.testing.assert_allclose(np.abs(d).max(axis=1), 1)


def test_merge_joins_by_chains_and_keeps_others_apart() -> None:
    widths = np.array([1.0, 1000.0])
    points = np.array([[0, 0], [0.9e-6, 0], [1.8e-6, 0], [1e-5, 0], [0, 0.9e-3], [0, 5e-3], [0, 0]])
    labels = merge(points, widths)
    assert labels[0] == labels[1] == labels[2] == labels[4] == labels[6]
    assert len({labels[0], labels[3], labels[5]}) == 3
    order = np.random.default_rng(0).permutation(len(points))
    shuffled = merge(points[order], widths)
    assert all(
        (shuffled[i] == shuffled[j]) == (labels[order[i]] == labels[order[j]])
        for i in range(7)
        for j in range(7)
    )


def test_merge_is_right_at_huge_and_negative_coordinates() -> None:
    points = np.array([[-1e9 - 0.5], [-1e9 + 0.5], [1e9], [-1e9 - 0.5 + 1e-7]])
    labels = merge(points, np.array([2.0]))
    assert labels[0] == labels[3]
    assert len(set(labels.tolist())) == 3


def test_a_valley_whose_floor_is_a_kink_is_no_minimum() -> None:
    # f falls along x = y, between the two pieces of |x − y|, until (0, 0).
    f = dl.formula("|x - y| + x^2 + y^2")
    on_the_floor = np.array([[0.01, 0.01], [1.0, 1.0], [0.0, 0.0]])
    assert one_sided_slopes(f, on_the_floor).is_minimum.tolist() == [False, False, True]
    found = search_kink(f, on_the_floor, np.full(3, 1e-3))
    np.testing.assert_allclose(found, 0.0, atol=1e-5)
