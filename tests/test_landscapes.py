"""Every fact the catalogue states is found again here, by searches that know nothing of it.

The searches: f' scanned for sign changes in one variable; Newton's method from every cell of a
grid in more, checked in two variables by the winding number of ∇f round the box, which must equal
minima + maxima − saddles; a scan of edges and corners for minima on the boundary; random points
for the lowest value.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from descentlab.errors import InputError
from descentlab.landscapes import Landscape, find, landscape, landscapes
from descentlab.objective import Objective, formula
from stationary_search import (
    boundary_minima,
    distinct,
    inside,
    kinds,
    kinds_in_one_variable,
    minima_and_maxima_in_one_variable,
    newton_from_grid,
    winding,
)

TWENTY: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "landscapes.json").read_text(encoding="utf-8")
)
ALL = landscapes()
NAMES = [entry.name for entry in ALL]
FAMILIES = [entry.name for entry in ALL if entry.dims]
# The lowest point is a kink, or (drop-wave) a smooth point where the formula's gradient is 0/0.
NO_GRADIENT_AT_MINIMUM = {"absolute-value", "ackley", "salomon", "drop-wave"}
# The Hessian is zero at the minimum.
DEGENERATE_MINIMUM = {"quartic"}
# Newton cells along each side; 100 where nothing is said. So many where minima are dense or narrow.
CELLS = {"shubert": 200, "trefethen": 700, "ackley": 200}
# ∇f vanishes on the boundary, or to rounding, so it has no direction there; or f has a kink or a
# degenerate point inside, which turns ∇f as well.
NO_WINDING = {"plateau", "deb", "michalewicz", "schwefel", "ackley", "monkey-saddle"}
# All stationary points lie where |2x| ≤ 0.9π and |4y| ≤ 1.6π: no need to search further out.
SEARCHED = {"bohachevsky": [[-2, 2], [-2, 2]]}
SLOW = {"trefethen"}


def entries(names: list[str]) -> list[Any]:
    return [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in names]


def counted(entry: Landscape, f: Objective, box: np.ndarray) -> dict[str, int]:
    """Count stationary points in the box; in two variables check them by the winding number."""
    if f.dim == 1:
        return kinds_in_one_variable(f, box)
    result = kinds(f, newton_from_grid(f, box, CELLS.get(entry.name, 100)))
    if f.dim == 2 and entry.name not in NO_WINDING:
        turns = result["minima"] + result["maxima"] - result["saddles"]
        assert winding(f, box) == pytest.approx(turns, abs=1e-6)
    return result


# Formulas against the outside table


@pytest.mark.parametrize("problem", TWENTY, ids=[p["name"] for p in TWENTY])
def test_the_twenty_evaluate_to_their_check_points(problem: dict[str, Any]) -> None:
    f = landscape(problem["name"])
    for check in problem["check_points"]:
        assert float(f.value(check["x"])) == pytest.approx(check["f"], rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("problem", TWENTY, ids=[p["name"] for p in TWENTY])
def test_the_twenty_agree_with_what_the_catalogue_states(problem: dict[str, Any]) -> None:
    entry = find(problem["name"])
    box = tuple((float(low), float(high)) for low, high in problem["bounds"])
    assert entry.lowest == pytest.approx(problem["f_star"], rel=1e-9, abs=1e-9)
    if len(problem["x_star"]) == problem["n_global"]:
        assert len(entry.minimizers) == problem["n_global"]
        distance, _ = cKDTree(entry.minimizers).query(np.array(problem["x_star"]))
        assert distance.max() < 1e-8
    minima, boundary = entry.fact("minima", box), entry.fact("boundary minima", box)
    if problem["interior_status"] == "agreed":
        assert minima is not None
        assert minima.value == problem["minima_interior"]
    if problem["boundary_status"] == "all methods agree":
        assert boundary is not None
        assert boundary.value == problem["minima_boundary"]


TABLE = [
    # minima, maxima, saddles in the default box, from the project's reference table
    ("quadratic", 1, 0, 0),
    ("cosine-bowl", 4, 3, 0),
    ("damped-sine", 2, 2, 0),
    ("himmelblau", 4, 1, 4),
    ("six-hump-camel", 6, 2, 7),
    ("rosenbrock", 1, 0, 0),
    ("rastrigin", 121, 100, 220),
    ("peaks", 3, 3, 3),
    ("shubert", 722, 722, 1444),
    ("ackley", 24, 16, 40),
    ("strict-saddle", 2, 0, 1),
]


@pytest.mark.parametrize(("name", "minima", "maxima", "saddles"), TABLE)
def test_the_reference_table(name: str, minima: int, maxima: int, saddles: int) -> None:
    entry = find(name)
    assert (entry.count("minima"), entry.count("maxima"), entry.count("saddles")) == (minima, maxima, saddles)


def test_the_reference_table_in_more_variables() -> None:
    def total(name: str, dim: int, box: Any = None) -> int:
        found = [find(name, dim).fact(kind, box) for kind in ("minima", "maxima", "saddles")]
        return sum(fact.value for fact in found if fact is not None)  # type: ignore[misc]

    assert total("rastrigin", 3) == 9261
    assert total("rastrigin", 2, ((-5, 6), (-5, 6))) == 529
    assert (total("styblinski-tang", 4), total("styblinski-tang", 6)) == (81, 729)
    assert find("rastrigin", 2).domain == ((-5.12, 5.12),) * 2
    assert find("ackley").domain == ((-2, 2),) * 2
    assert find("six-hump-camel").domain == ((-3, 3), (-2, 2))


# Lowest values and where they are


def members() -> list[Any]:
    """Every entry, and every family in a few more dimensions."""
    more = [(n, d) for n in FAMILIES for d in (1, 3, 5) if find(n).dims[0] <= d and find(n).dim != d]  # type: ignore[index]
    return [(n, None) for n in NAMES] + more


@pytest.mark.parametrize(("name", "dim"), members())
def test_global_minimizers_are_minima_of_the_stated_value(name: str, dim: int | None) -> None:
    entry, f = find(name, dim), landscape(name, dim)
    low, high = f.domain.T
    for point in entry.minimizers[:20]:
        x = np.array(point)
        assert np.all((x >= low) & (x <= high))
        # The last digit of a sum of cancelling terms, such as Schwefel's, is worth 1e-13.
        assert float(f.value(x)) == pytest.approx(entry.lowest, rel=1e-12, abs=2e-12)
        if name in NO_GRADIENT_AT_MINIMUM | DEGENERATE_MINIMUM:
            directions = np.random.default_rng(0).normal(size=(100, f.dim))
            for radius in (1e-6, 1e-3):
                around = x + radius * directions / np.linalg.norm(directions, axis=1)[:, None]
                assert np.all(f.value(around) > f.value(x))
            continue
        gradient, hessian = f.gradient(x), f.hessian(x)
        at_low, at_high = x == low, x == high
        free = ~(at_low | at_high)
        if free.all():
            assert np.linalg.eigvalsh(hessian)[0] > 0
            assert np.abs(np.linalg.solve(hessian, gradient)).max() < 1e-9 * (1 + np.abs(x).max())
        else:
            assert np.all(gradient[at_low] >= 0)
            assert np.all(gradient[at_high] <= 0)
            assert np.all(np.abs(gradient[free]) < 1e-9)


@pytest.mark.parametrize(("name", "dim"), members())
def test_no_random_point_is_lower(name: str, dim: int | None) -> None:
    entry, f = find(name, dim), landscape(name, dim)
    if entry.lowest is None:
        assert name in ("michalewicz", "octopus", "hartmann-3")
        return
    low, high = f.domain.T
    points = low + (high - low) * np.random.default_rng(1).random((100_000, f.dim))
    best = points[np.argsort(f.value(points))[:5]]
    ends = [
        minimize(lambda x: float(f.value(x)), p, jac=f.gradient, bounds=f.domain, method="L-BFGS-B").fun
        for p in best
    ]
    assert min(ends) >= entry.lowest - 1e-9 * max(1, abs(entry.lowest))


@pytest.mark.slow
@pytest.mark.parametrize("name", entries([e.name for e in ALL if e.dim == 2 and len(e.minimizers) > 0]))
def test_no_global_minimizer_is_missing(name: str) -> None:
    entry, f = find(name), landscape(name)
    box = np.array(SEARCHED.get(name, f.domain), dtype=float)
    points = newton_from_grid(f, box, min(CELLS.get(name, 100), 200))
    values = f.value(points)
    assert entry.lowest is not None
    lowest = points[values < entry.lowest + 1e-9 * max(1.0, abs(entry.lowest))]
    known = [p for p in np.array(entry.minimizers) if inside(p, box)]
    if name in NO_GRADIENT_AT_MINIMUM:
        assert all(np.linalg.norm(p - known, axis=1).min() < 1e-3 for p in lowest)
    elif name != "trefethen":
        assert len(lowest) == len(known)


@pytest.mark.parametrize("name", [e.name for e in ALL if e.dim == 1])
def test_no_global_minimizer_is_missing_in_one_variable(name: str) -> None:
    entry, f = find(name), landscape(name)
    points, _ = minima_and_maxima_in_one_variable(f, f.domain)
    assert entry.lowest is not None
    # The points are right to a step of the scan, 400,000 to the box, so their values to its square.
    lowest = points[f.value(points[:, None]) < entry.lowest + 1e-6]
    known = [x for (x,) in entry.minimizers if inside(np.array([x]), f.domain)]
    assert len(lowest) == len(known) or name in NO_GRADIENT_AT_MINIMUM
    assert all(np.abs(x - np.array(known)).min() < 1e-3 for x in lowest)


# Counts


COUNTED = [e.name for e in ALL if e.dim <= 2 and e.fact("minima") is not None]


@pytest.mark.slow
@pytest.mark.parametrize("name", entries(COUNTED))
def test_stationary_points_are_as_many_as_stated(name: str) -> None:
    entry, f = find(name), landscape(name)
    found = counted(entry, f, np.array(SEARCHED.get(name, f.domain), dtype=float))
    for kind, number in found.items():
        stated = entry.count(kind)  # type: ignore[arg-type]
        assert stated in (None, number), kind


OTHER_BOXES = [(e.name, f.domain) for e in ALL for f in e.facts if f.subject == "minima" and f.domain]


@pytest.mark.parametrize(("name", "domain"), OTHER_BOXES)
def test_stationary_points_in_other_boxes(name: str, domain: Any) -> None:
    entry, f = find(name), landscape(name)
    found = counted(entry, f, np.array(domain, dtype=float))
    found["boundary minima"] = boundary_minima(f, np.array(domain, dtype=float))
    for kind, number in found.items():
        fact = entry.fact(kind, domain)  # type: ignore[arg-type]
        assert fact is None or fact.value == number, kind


@pytest.mark.parametrize("name", [e.name for e in ALL if e.dim <= 2 and e.fact("boundary minima")])
def test_boundary_minima_are_as_many_as_stated(name: str) -> None:
    f = landscape(name)
    assert boundary_minima(f, f.domain) == find(name).count("boundary minima")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dim", "cells"),
    [
        ("styblinski-tang", 4, 8),
        ("styblinski-tang", 6, 5),
        ("octopus", 2, 60),
        ("octopus", 3, 24),
        ("octopus", 4, 16),
        ("octopus", 5, 9),
        ("rastrigin", 3, 42),
        ("cosine-mixture", 3, 30),
        ("sphere", 3, 4),
        ("rosenbrock", 4, 14),
        ("hartmann-3", None, 30),
    ],
)
def test_stationary_points_in_more_variables(name: str, dim: int | None, cells: int) -> None:
    entry, f = find(name, dim), landscape(name, dim)
    found = kinds(f, newton_from_grid(f, f.domain, cells))
    for kind, number in found.items():
        fact = entry.fact(kind)  # type: ignore[arg-type]
        assert fact is None or fact.value == number, kind
    assert entry.fact("minima") is not None


def test_shekel_has_at_least_the_five_minima_stated() -> None:
    f = landscape("shekel-5")
    x = 10 * np.random.default_rng(2).random((1000, 4))
    # Downhill in steps of a length of our choice, since slopes differ by a million; then Newton.
    for length in np.geomspace(0.3, 0.003, 200):
        gradient = f.gradient(x)
        x = x - length * gradient / np.linalg.norm(gradient, axis=1)[:, None]
    for _ in range(8):
        x = x - np.linalg.solve(f.hessian(x), f.gradient(x)[..., None])[..., 0]
    ends = x[inside(x, f.domain) & (np.linalg.eigvalsh(f.hessian(x))[:, 0] > 0)]
    minima = distinct(ends[np.abs(f.gradient(ends)).max(1) < 1e-9], 1e-4)
    assert len(minima) == find("shekel-5").fact("minima").value == 5  # type: ignore[union-attr]


@pytest.mark.parametrize("n", [5, 10, 30])
def test_rosenbrock_has_a_second_minimum_in_many_variables(n: int) -> None:
    f = landscape("rosenbrock", n)
    start = np.ones(n)
    start[0] = -1
    end = minimize(lambda x: float(f.value(x)), start, jac=f.gradient, method="BFGS").x
    for _ in range(5):
        end = end - np.linalg.solve(f.hessian(end), f.gradient(end))
    assert np.abs(f.gradient(end)).max() < 1e-8
    assert np.linalg.eigvalsh(f.hessian(end))[0] > 0
    assert end[0] < 0
    assert find("rosenbrock", n).fact("minima").value == 2  # type: ignore[union-attr]


def test_counts_in_one_variable_multiply() -> None:
    """A family that is a sum over axes must count along one axis as its power law says."""
    for name in ("rastrigin", "styblinski-tang", "cosine-mixture", "deb", "schwefel"):
        f, entry = landscape(name, 1), find(name, 1)
        found = kinds_in_one_variable(f, f.domain)
        assert entry.count("minima") == found["minima"]
        assert entry.count("maxima") in (None, found["maxima"])
        assert entry.count("boundary minima") == boundary_minima(f, f.domain)


# Gradients


@pytest.mark.parametrize(("name", "dim"), members())
def test_the_gradient_is_finite_and_right_at_random_points(name: str, dim: int | None) -> None:
    f = landscape(name, dim)
    low, high = f.domain.T
    x = low + (high - low) * np.random.default_rng(3).random((500, f.dim))
    gradient = f.gradient(x)
    assert np.isfinite(f.value(x)).all()
    assert np.isfinite(gradient).all()
    for i in range(f.dim):
        h = 1e-5 * min(1.0, float(high[i] - low[i]) / 10) * np.eye(f.dim)[i]
        # Sixth order, so that fast waves (Trefethen's) leave little truncation error.
        weights = {1: 45 / 60, 2: -9 / 60, 3: 1 / 60}
        slope = sum(w * (f.value(x + k * h) - f.value(x - k * h)) for k, w in weights.items()) / h[i]
        rounding = 1e-15 * (1 + np.abs(f.value(x)).max()) / h[i]
        tolerance = 1e-6 * (1 + np.abs(gradient[:, i])) + 30 * rounding
        assert np.mean(np.abs(slope - gradient[:, i]) < tolerance) > 0.99


@pytest.mark.parametrize("name", FAMILIES)
def test_the_largest_member_of_a_family_can_be_built(name: str) -> None:
    most = find(name).dims[1]  # type: ignore[index]
    f = landscape(name, most)
    assert f.dim == most
    middle = f.domain.mean(axis=1) + 0.123
    assert np.isfinite(f.value(middle))
    assert np.isfinite(f.gradient(middle)).all()


# The catalogue as a whole


@pytest.mark.parametrize("name", NAMES)
def test_entries_are_complete(name: str) -> None:
    entry = find(name)
    assert name == name.lower()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert entry.teaches.endswith(".")
    assert entry.teaches.count(". ") == 0
    assert len(entry.names) == len(entry.domain) == landscape(name).dim
    assert entry.facts
    stated = [(fact.subject, fact.domain) for fact in entry.facts]
    assert len(stated) == len(set(stated))
    assert all(fact.source and fact.domain != entry.domain for fact in entry.facts)
    assert entry.start is not None
    assert len(entry.start) == entry.dim


@pytest.mark.parametrize("name", NAMES)
def test_the_suggested_descent_goes_down(name: str) -> None:
    entry, f = find(name), landscape(name)
    x = np.array(entry.start, dtype=float)
    assert np.all((x >= f.domain[:, 0]) & (x <= f.domain[:, 1]))
    first = float(f.value(x))
    for _ in range(20):
        x = x - entry.learning_rate * f.gradient(x)
    assert np.isfinite(x).all()
    assert float(f.value(x)) < first


def test_the_octopus_takes_ever_longer_at_each_saddle() -> None:
    f, x, left = landscape("octopus", 4), np.full(4, 0.1), [0, 0, 0, 0]
    for step in range(1, 6001):
        x = x - 0.05 * f.gradient(x)
        left = [k or (step if abs(c) > 0.5 else 0) for k, c in zip(left, x, strict=True)]
    stays = np.diff(left)
    assert all(left)
    assert np.all(stays[1:] > 4 * stays[:-1])


def test_names_are_unique_and_found_in_any_spelling() -> None:
    spelled = ["".join(c for c in n if c not in "-_ ") for e in ALL for n in (e.name, *e.aliases)]
    assert len(spelled) == len(set(spelled))
    for spelling in ("Six-Hump Camel", "six_hump_camel", "SixHumpCamel", "camel"):
        assert find(spelling).name == "six-hump-camel"
    assert landscape("peaks").label == "peaks"
    assert landscape("rastrigin", 5).label == "rastrigin in 5 variables"
    assert landscape("rastrigin", dim=2).label == "rastrigin"


@pytest.mark.parametrize(
    ("name", "dim", "message"),
    [
        (
            "rastrgin",
            None,
            (
                "Unknown landscape 'rastrgin'. Did you mean 'rastrigin'? 'descentlab landscapes' lists them all."
            ),
        ),
        (
            "peaks",
            3,
            (
                "The landscape 'peaks' has 2 variables, not 3. Leave out the dimension, or choose a landscape that "
                "comes in any."
            ),
        ),
        ("rosenbrock", 1, "The landscape 'rosenbrock' comes in 2 to 50 variables, not 1."),
        ("rastrigin", 51, "The landscape 'rastrigin' comes in 1 to 50 variables, not 51."),
        ("rastrigin", 0, "The landscape 'rastrigin' comes in 1 to 50 variables, not 0."),
        ("rastrigin", 2.0, "The dimension of a landscape is a whole number, not 2.0."),
        ("rastrigin", True, "The dimension of a landscape is a whole number, not True."),
    ],
)
def test_errors(name: str, dim: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        landscape(name, dim)
    assert str(caught.value) == message


def test_a_name_must_be_text() -> None:
    with pytest.raises(InputError, match="by its name"):
        landscape(3)  # type: ignore[arg-type]


def test_the_objective_is_the_stated_formula_on_the_stated_box() -> None:
    for entry in ALL:
        f = landscape(entry.name)
        g = formula(entry.formula, domain=dict(zip(entry.names, entry.domain, strict=True)))
        assert f.names == g.names == entry.names
        assert f.expression == g.expression
        assert f.domain.tolist() == [list(side) for side in entry.domain]
