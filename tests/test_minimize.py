"""minimize and maximize: proofs, SciPy's shape, and what is said where nothing is proved."""

from __future__ import annotations

import numpy as np
import pytest

import descentlab as dl

TREFETHEN = (
    "exp(sin(50*x)) + sin(60*exp(y)) + sin(70*sin(x)) + sin(sin(80*y)) - sin(10*(x + y)) + (x^2 + y^2)/4"
)


@pytest.mark.parametrize("side", [1, 10])
def test_trefethens_function_is_proved_to_twelve_digits(side):
    best = dl.minimize(dl.formula(TREFETHEN, domain={"x": (-side, side), "y": (-side, side)}))
    assert best.proved
    low, high = best.fun_interval
    assert low <= -3.306868647475237 <= high  # SIAM's hundred-digit challenge, problem 4
    assert high - low < 1e-12
    assert len(best.minimizers) == 1


def test_the_needle_is_found():
    f = dl.formula(
        "-cos(x)*cos(y)*exp(-(x - pi)^2 - (y - pi)^2)", domain={"x": (-100, 100), "y": (-100, 100)}
    )
    best = dl.minimize(f)
    assert best.proved
    np.testing.assert_allclose(best.x, [np.pi, np.pi], atol=1e-8)
    assert best.fun == pytest.approx(-1, abs=1e-13)


def test_the_lowest_point_may_lie_on_the_boundary_or_in_a_corner():
    best = dl.minimize(dl.formula("cos(x)*sin(y) - x/(y^2 + 1)", domain={"x": (-1, 2), "y": (-1, 1)}))
    assert best.proved
    assert best.x[0] == 2
    assert best.fun == pytest.approx(-2.021806783359787)
    corner = dl.minimize(dl.formula("x*y - 3x", domain={"x": (0, 1), "y": (0, 1)}))
    assert corner.proved
    assert corner.fun == -3
    np.testing.assert_array_equal(corner.minimizers, [[1, 0]])


def test_a_bounded_box_in_place_of_the_objectives_own():
    from scipy.optimize import Bounds

    f = dl.landscape("peaks")
    for bounds in ([(0, 1), (0, 1)], Bounds([0, 0], [1, 1]), {"x": (0, 1), "y": (0, 1)}):
        best = dl.minimize(f, bounds=bounds)
        assert best.proved
        assert ((best.x >= 0) & (best.x <= 1)).all()
    assert "--domain x=0:1" in best.command
    # The command's box is the one that was searched.
    assert best.objective.domain.tolist() == [[0, 1], [0, 1]]


def test_maximize_is_minimize_of_the_negated_objective():
    f = dl.landscape("peaks")
    high, low = dl.maximize(f), dl.minimize(-f)
    assert high.proved
    assert high.fun == -low.fun
    assert high.fun_interval == (-low.fun_interval[1], -low.fun_interval[0])
    np.testing.assert_array_equal(high.maximizers, low.minimizers)
    assert "highest" in high.message
    assert "lowest" not in high.message
    assert high.command.startswith("descentlab maximize")
    assert float(f.value(high.x)) == pytest.approx(high.fun)


def test_a_ring_of_minimizers_is_proved_in_value():
    best = dl.minimize(dl.formula("(x^2 + y^2 - 1)^2", domain={"x": (-2, 2), "y": (-2, 2)}))
    assert best.proved
    assert best.fun_interval[0] == 0
    assert np.hypot(*best.x) == pytest.approx(1)
    assert "one region" in best.message


def test_what_is_unbounded_below_is_no_success():
    best = dl.minimize(dl.formula("log(x) + y^2", domain={"x": (-2, 2), "y": (-2, 2)}))
    assert not best.success
    assert not best.proved
    assert best.fun == -np.inf
    assert "no lowest value" in best.message


def test_a_proof_that_does_not_finish_is_replaced_by_statistics():
    f = dl.landscape("peaks")
    best = dl.minimize(f, boxes=1)
    assert not best.proved
    assert best.survey is not None
    assert "the proof was not finished" in best.message
    assert best.survey.seriousness in best.message
    low, high = best.fun_interval
    assert low <= -6.551133332835836 <= high + 1e-12
    assert best.success


def test_more_variables_than_a_proof_takes():
    best = dl.minimize(dl.landscape("styblinski-tang", dim=31), starts=300)
    assert not best.proved
    assert "at most 30 variables" in best.message
    assert best.survey.starts_count == 300
    assert best.fun <= best.survey.minima[0].value + 1e-9


def test_an_objective_made_of_a_python_function_gets_statistics():
    import jax.numpy as jnp

    f = dl.function(lambda x: jnp.sum((x - 1) ** 2), domain={"x": (-2, 2), "y": (-2, 2)})
    best = dl.minimize(f)
    assert not best.proved
    assert "no formula" in best.message
    np.testing.assert_allclose(best.x, [1, 1], atol=1e-9)


def camel(x, shift=0.0):
    return (
        (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2
        + x[0] * x[1]
        + (4 * x[1] ** 2 - 4) * x[1] ** 2
        + shift
    )


def test_a_python_function_is_taken_as_scipy_takes_it():
    best = dl.minimize(camel, [2.9, 1.9], (1.0,), bounds=[(-3, 3), (-2, 2)])
    assert best.success
    assert not best.proved
    assert best.certificate is None
    assert best.fun_interval is None
    assert best.fun == pytest.approx(1 - 1.0316284534898774, abs=1e-8)
    assert len(best.minimizers) == 2
    assert best.nit == 65
    assert "a Python function has no formula" in best.message
    assert best["fun"] == best.fun
    assert dict(best)["fun"] == best.fun
    with pytest.raises(KeyError):
        best["survey_of_nothing"]
    assert "Not proved" in repr(best)
    same = dl.minimize(camel, [2.9, 1.9], (1.0,), bounds=[(-3, 3), (-2, 2)])
    np.testing.assert_array_equal(best.x, same.x)


def test_maximize_takes_a_python_function_and_its_slope():
    def f(x):
        return -((x[0] - 0.3) ** 2)

    def jac(x):
        return np.array([-2 * (x[0] - 0.3)])

    best = dl.maximize(f, jac=jac, bounds=[(-1, 1)], starts=5)
    assert best.fun == pytest.approx(0, abs=1e-12)
    assert best.x[0] == pytest.approx(0.3)


def test_scipys_settings_are_passed_on():
    def f(x):
        return (x[0] - 0.3) ** 2 + x[1] ** 2, np.array([2 * (x[0] - 0.3), 2 * x[1]])

    calls = []
    best = dl.minimize(
        f,
        [0, 0],
        (),
        "TNC",
        True,
        [(-1, 1), (-1, 1)],
        starts=2,
        tol=1e-12,
        callback=lambda x: calls.append(x),
    )
    np.testing.assert_allclose(best.x, [0.3, 0], atol=1e-6)
    assert calls
    assert "of TNC ended" in best.message
    high = dl.maximize(f, jac=True, bounds=[(-1, 1), (-1, 1)], starts=8)
    assert high.fun == pytest.approx(1.69 + 1)
    inside = dl.minimize(
        lambda x: x[0] + x[1],
        bounds=[(-1, 1), (-1, 1)],
        starts=4,
        constraints={"type": "ineq", "fun": lambda x: 1 - x[0] ** 2 - x[1] ** 2},
    )
    assert inside.fun == pytest.approx(-np.sqrt(2), abs=1e-6)


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (camel, {}, "needs bounds"),
        (3, {"bounds": [(-1, 1)]}, "got 3"),
        (camel, {"bounds": [(1, -1), (0, 1)]}, "reversed"),
        (camel, {"bounds": [(-3, 3), (-2, 2)], "starts": 0}, "number of starts"),
        (dl.landscape("peaks"), {"x0": [0, 0]}, "go with a plain Python function"),
        (dl.landscape("peaks"), {"boxes": 0}, "limit on boxes"),
        (dl.landscape("peaks"), {"tol": 1e-3}, "go with a plain Python function"),
        (camel, {"bounds": [(-3, 3), (-2, 2)], "tolerance": 1}, "no setting 'tolerance'"),
        (dl.landscape("peaks"), {"bounds": [(-1, 1)]}, "1 intervals"),
    ],
)
def test_unusable_input_is_refused(given, settings, message):
    with pytest.raises(dl.InputError, match=message):
        dl.minimize(given, **settings)


def test_nothing_finite_is_a_failure_of_the_work():
    with pytest.raises(dl.WorkError, match="finite at none"):
        dl.minimize(lambda x: float("nan"), bounds=[(0, 1)], starts=3)
    with pytest.raises(dl.WorkError):
        dl.minimize(dl.formula("log(-1 - x^2)", domain={"x": (-1, 1)}), starts=10)


def test_the_same_seed_gives_the_same_bits():
    f = dl.landscape("rastrigin", dim=2)
    a, b = dl.minimize(f, seed=3), dl.minimize(f, seed=3)
    assert a.fun_interval == b.fun_interval
    np.testing.assert_array_equal(a.minimizers, b.minimizers)


@pytest.mark.slow
def test_hard_landscapes_are_proved():
    c = [[4, 4, 4, 4], [1, 1, 1, 1], [8, 8, 8, 8], [6, 6, 6, 6], [3, 7, 3, 7], [2, 9, 2, 9], [5, 5, 3, 3]]
    b = [0.1, 0.2, 0.2, 0.4, 0.4, 0.6, 0.3]
    terms = [
        "1/(" + "+".join([str(b[i]), *(f"(x{j + 1} - {c[i][j]})^2" for j in range(4))]) + ")"
        for i in range(7)
    ]
    shekel = dl.formula("-(" + "+".join(terms) + ")", domain={f"x{j + 1}": (0, 10) for j in range(4)})
    best = dl.minimize(shekel)
    assert best.proved
    assert best.fun == pytest.approx(-10.402940566818664, abs=1e-9)
    for name, dim in (("rosenbrock", 6), ("griewank", 6), ("levy", 6), ("ackley", 4), ("rastrigin", 6)):
        best = dl.minimize(dl.landscape(name, dim=dim), seconds=60)
        assert best.proved, name
        assert best.fun == pytest.approx(0, abs=1e-11), name
