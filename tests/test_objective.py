"""Objectives: values, gradients and Hessians against SymPy, JAX and finite differences; bad input.

Every reference here is computed without the lab's own programs.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import descentlab as dl
from descentlab.errors import InputError
from descentlab.landscapes import landscape
from descentlab.objective import Objective

SMOOTH = {
    "3x^2 - 3x + 4": lambda v: 3 * v[0] ** 2 - 3 * v[0] + 4,
    "cos(2*pi*x) + x**2": lambda v: jnp.cos(2 * jnp.pi * v[0]) + v[0] ** 2,
    "sin(x)*exp(-x^2/20)": lambda v: jnp.sin(v[0]) * jnp.exp(-(v[0] ** 2) / 20),
    "1/(1 + exp(-x))": lambda v: 1 / (1 + jnp.exp(-v[0])),
    "(x^2 + y - 11)^2 + (x + y^2 - 7)^2": lambda v: (
        (v[0] ** 2 + v[1] - 11) ** 2 + (v[0] + v[1] ** 2 - 7) ** 2
    ),
    "x^3 - 3*x*y^2": lambda v: v[0] ** 3 - 3 * v[0] * v[1] ** 2,
    "exp(x*y) + tanh(x) - atan(y)": lambda v: jnp.exp(v[0] * v[1]) + jnp.tanh(v[0]) - jnp.arctan(v[1]),
    "sqrt(1 + x^2 + y^2) + log(2 + sin(x))": lambda v: (
        jnp.sqrt(1 + v[0] ** 2 + v[1] ** 2) + jnp.log(2 + jnp.sin(v[0]))
    ),
    "x1*x2*x3 + x1^4 - cosh(x2/3)": lambda v: v[0] * v[1] * v[2] + v[0] ** 4 - jnp.cosh(v[1] / 3),
}


def points_in(f: Objective, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    low, high = f.domain.T
    return np.asarray(low + (high - low) * np.random.default_rng(seed).random((*shape, f.dim)))


def exactly(expression: sympy.Expr, f: Objective, point: np.ndarray) -> float:
    """Evaluate with 40 digits at exactly this double point."""
    at = {sympy.Symbol(n): sympy.Float(float(c), 40) for n, c in zip(f.names, point, strict=True)}
    return float(expression.evalf(40, subs=at))


@pytest.mark.parametrize("text", SMOOTH)
def test_value_gradient_and_hessian_agree_with_sympy_to_rounding(text: str) -> None:
    f = dl.formula(text)
    assert f.expression is not None
    symbols = [sympy.Symbol(n) for n in f.names]
    for point in points_in(f, (7,)):
        value = exactly(f.expression, f, point)
        assert f.value(point) == pytest.approx(value, rel=1e-12, abs=1e-12)
        for i, a in enumerate(symbols):
            first = exactly(sympy.diff(f.expression, a), f, point)
            assert f.gradient(point)[i] == pytest.approx(first, rel=1e-11, abs=1e-11)
            for j, b in enumerate(symbols):
                second = exactly(sympy.diff(f.expression, a, b), f, point)
                assert f.hessian(point)[i, j] == pytest.approx(second, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("text", SMOOTH)
def test_the_formula_agrees_with_automatic_differentiation_of_a_hand_written_twin(text: str) -> None:
    f, twin = dl.formula(text), SMOOTH[text]
    x = points_in(f, (50,), seed=1)
    with jax.enable_x64(True):
        expected = [np.asarray(jax.jit(jax.vmap(d))(x)) for d in (twin, jax.grad(twin), jax.hessian(twin))]
    for got, want in zip((f.value(x), f.gradient(x), f.hessian(x)), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("text", SMOOTH)
def test_a_python_function_agrees_with_the_formula(text: str) -> None:
    f = dl.formula(text)
    g = dl.function(SMOOTH[text], domain=dict(zip(f.names, f.domain, strict=True)))
    assert g.names == f.names
    x = points_in(f, (2, 9), seed=2)
    np.testing.assert_allclose(g.value(x), f.value(x), rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(g.gradient(x), f.gradient(x), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(g.hessian(x), f.hessian(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["peaks", "ackley", "himmelblau", "rosenbrock", "shubert"])
def test_the_gradient_is_the_slope_and_the_hessian_its_slope(name: str) -> None:
    f = landscape(name)
    x, h = points_in(f, (40,), seed=3), 1e-5
    for i in range(f.dim):
        e = h * np.eye(f.dim)[i]
        slope = (f.value(x + e) - f.value(x - e)) / (2 * h)
        scale = 1 + np.abs(f.gradient(x)).max()
        np.testing.assert_allclose(f.gradient(x)[:, i], slope, atol=2e-6 * scale)
        bend = (f.gradient(x + e) - f.gradient(x - e)) / (2 * h)
        scale = 1 + np.abs(f.hessian(x)).max()
        np.testing.assert_allclose(f.hessian(x)[:, i], bend, atol=2e-6 * scale)


FUNCTION = dl.function(lambda v: v[0] ** 2 * v[1] + jnp.sin(v[1]), domain={"x": (-2, 2), "y": (-2, 2)})


@pytest.mark.parametrize("f", [dl.formula("x^2*y + sin(y)"), FUNCTION], ids=["formula", "function"])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (4, 1, 2), (0,), (3, 0)])
def test_batches_of_any_leading_shape_are_their_members_one_by_one(
    f: Objective, shape: tuple[int, ...]
) -> None:
    x = points_in(f, shape)
    assert f.value(x).shape == shape
    assert f.gradient(x).shape == (*shape, 2)
    assert f.hessian(x).shape == (*shape, 2, 2)
    for index in np.ndindex(shape):
        assert f.value(x)[index] == f.value(x[index])
        np.testing.assert_array_equal(f.gradient(x)[index], f.gradient(x[index]))
        np.testing.assert_array_equal(f.hessian(x)[index], f.hessian(x[index]))


def test_constants_in_value_gradient_and_hessian_are_broadcast() -> None:
    f = dl.formula("3x + 2y", domain={"x": (-1, 1), "y": (-1, 1)})
    x = points_in(f, (4, 2))
    np.testing.assert_array_equal(f.gradient(x), np.broadcast_to([3.0, 2.0], (4, 2, 2)))
    np.testing.assert_array_equal(f.hessian(x), np.zeros((4, 2, 2, 2)))
    constant = dl.formula("7", variables=["x", "y"])
    np.testing.assert_array_equal(constant.value(x), np.full((4, 2), 7.0))
    np.testing.assert_array_equal(constant.gradient(x), np.zeros((4, 2, 2)))
    run = dl.descend(constant, start=[[1.0, 2.0], [0.0, 0.0]], steps=5)
    assert run.points.shape == (2, 6, 2)
    assert list(run.outcomes) == ["plateau", "plateau"]


def test_what_is_returned_can_be_written_to_and_changes_nothing() -> None:
    f = dl.formula("3x")
    f.gradient([[1.0], [2.0]])[0] = 99
    f.value([[1.0]])[0] = 99
    assert f.gradient([[1.0], [2.0]]).tolist() == [[3.0], [3.0]]
    with pytest.raises(ValueError):
        f.domain[0, 0] = 3


def test_lists_integers_and_scalars_are_points() -> None:
    f = dl.formula("x^2")
    assert f.value(3) == f.value([3]) == f.value(np.array([3], dtype=np.int32)) == 9.0
    assert dl.formula("x^2 + y").value([1, 2]) == 3.0


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1), (2, 0)])
@pytest.mark.parametrize("f", [dl.formula("x + y"), FUNCTION], ids=["formula", "function"])
def test_points_of_the_wrong_shape_are_refused_with_both_shapes_named(
    f: Objective, shape: tuple[int, ...]
) -> None:
    for read in (f.value, f.gradient, f.hessian):
        with pytest.raises(InputError, match="last axis of length 2") as caught:
            read(np.zeros(shape))
        assert str(shape) in str(caught.value)


@pytest.mark.parametrize("x", ["a", [["a", "b"]], [[1.0, 2.0], [3.0]], object(), [1j, 2.0]])
def test_points_that_are_no_numbers_are_refused(x: Any) -> None:
    with pytest.raises(InputError):
        dl.formula("x + y").value(x)


@pytest.mark.parametrize(
    "text",
    ["log(x)", "1/x", "sqrt(x)", "x^x", "exp(exp(x))", "asin(x)", "x^(1/3)", "abs(x)/x", "tan(x)", "x^-2"],
)
def test_values_that_are_not_finite_are_values_without_warnings(text: str) -> None:
    f = dl.formula(text, domain={"x": (-2, 2)})
    x = np.array([[0.0], [-1.0], [np.nan], [np.inf], [-np.inf], [1e308], [-1e308], [5e-324], [800.0]])
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for read in (f.value, f.gradient, f.hessian):
            assert read(x).shape[0] == len(x)
        assert np.isnan(f.value(x)[2])


def test_a_python_function_passes_nan_through() -> None:
    f = dl.function(lambda v: jnp.log(v[0]), domain={"x": (-1, 1)})
    assert np.isnan(f.value([-1.0]))
    assert f.value([0.0]) == -np.inf
    assert np.isnan(f.value([np.nan]))


# Domains


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ({"x": (2, -2)}, "reversed"),
        ({"x": (1, 1)}, "empty"),
        ({"x": (0, np.inf)}, "finite"),
        ({"x": (np.nan, 1)}, "finite"),
        ({"x": (-1.7e308, 1.7e308)}, "too wide"),
        ({"z": (0, 1)}, "'z'"),
        ({"x": (0, 1, 2)}, "pair"),
        ({"x": 3}, "pair"),
        ({"x": ("a", "b")}, "pair"),
        ([(0, 1), (0, 1)], "2 intervals"),
        ([], "interval"),
        ([(0, 1, 2)], "pair"),
        ([0, 1], "pair"),
        ("abc", "pair"),
        (5, "pair"),
    ],
)
def test_an_unusable_domain_is_a_clear_error(domain: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        dl.formula("x^2", domain=domain)


def test_a_missing_domain_is_five_on_either_side_and_says_so() -> None:
    f = dl.formula("x + y", domain={"y": (0, 1)})
    np.testing.assert_array_equal(f.domain, [[-5, 5], [0, 1]])
    assert len(f.notes) == 1
    assert "x" in f.notes[0]
    assert "[-5, 5]" in f.notes[0]
    assert dl.formula("x", domain={"x": (0, 1)}).notes == ()


def test_variables_come_in_natural_order() -> None:
    assert dl.formula("x10 + x2 + y + x").names == ("x", "x2", "x10", "y")


# Python functions


def scalar_if(v: Any) -> Any:
    return v[0] if v[0] > 0 else -v[0]


@pytest.mark.parametrize(
    "call",
    [
        scalar_if,
        lambda v: float(v[0]),
        lambda v: v,
        lambda v: v[:1],
        lambda v: (v[0], v[0]),
        lambda v: v[0] > 0,
        lambda v: v[0] * 1j,
        lambda v: None,
        lambda v: "text",
        lambda v: 3,
        lambda v, w: v[0],
        lambda: 0.0,
        lambda v: np.sin(float(v[0])),
        lambda v: v[7] / undefined_name,  # type: ignore[name-defined]  # noqa: F821
    ],
)
def test_a_function_that_jax_cannot_trace_to_a_real_scalar_is_refused(call: Callable[..., Any]) -> None:
    with pytest.raises(InputError):
        dl.function(call, domain={"x": (-1, 1)})


@pytest.mark.parametrize("call", [3, None, "x^2"])
def test_what_is_not_a_function_is_refused(call: Any) -> None:
    with pytest.raises(InputError, match="function is needed"):
        dl.function(call, domain={"x": (-1, 1)})


def test_a_function_needs_a_domain_and_can_name_its_variables() -> None:
    with pytest.raises(InputError, match="domain"):
        dl.function(lambda v: v[0], domain=None)
    assert dl.function(lambda v: v[0], domain=[(0, 1)] * 3).names == ("x1", "x2", "x3")
    assert dl.function(lambda v: v[0], domain=[(0, 1)], names=["w"]).names == ("w",)
    with pytest.raises(InputError):
        dl.function(lambda v: v[0], domain=[(0, 1)], names=["a", "b"])


# Arithmetic


@pytest.mark.parametrize("f", [dl.formula("x^2*y + sin(y)/3"), FUNCTION], ids=["formula", "function"])
def test_negation_flips_every_sign_to_the_bit_and_twice_is_the_same(f: Objective) -> None:
    x = points_in(f, (200,), seed=5)
    for read in ("value", "gradient", "hessian"):
        there = getattr(f, read)(x)
        np.testing.assert_array_equal(getattr(-f, read)(x), -there)
        np.testing.assert_array_equal(getattr(f.__neg__().__neg__(), read)(x), there)


@pytest.mark.parametrize("name", ["peaks", "ackley", "rastrigin", "trefethen"])
def test_negation_is_bitwise_on_the_catalogue(name: str) -> None:
    f = landscape(name)
    x = points_in(f, (300,), seed=6)
    np.testing.assert_array_equal((-f).value(x), -f.value(x))
    np.testing.assert_array_equal((-f).gradient(x), -f.gradient(x))
    assert [sympy.expand(a + b) for a, b in zip(f.partials, (-f).partials, strict=True)] == [0] * f.dim


def test_sums_differences_and_multiples() -> None:
    f = dl.formula("x^2", domain={"x": (-2, 2)})
    g = dl.formula("sin(y) + x", domain={"x": (-1, 5), "y": (0, 1)})
    total = f + g
    assert total.names == ("x", "y")
    np.testing.assert_array_equal(total.domain, [[-1, 2], [0, 1]])
    x = points_in(total, (20,))
    np.testing.assert_allclose(total.value(x), f.value(x[:, :1]) + g.value(x), rtol=1e-14)
    np.testing.assert_allclose((f - f).value(x[:, :1]), 0, atol=1e-14)
    for made, wanted in (
        (3 * f, lambda v: 3 * v),
        (f * 0.1, lambda v: v / 10),
        (f / 4, lambda v: v / 4),
        (f + 2, lambda v: v + 2),
        (2 + f, lambda v: v + 2),
        (f - 2, lambda v: v - 2),
        (2 - f, lambda v: 2 - v),
        (-f * 2, lambda v: -2 * v),
    ):
        np.testing.assert_allclose(made.value(x[:, :1]), wanted(f.value(x[:, :1])), rtol=1e-14, atol=1e-14)


def test_functions_add_to_formulas_and_scale() -> None:
    f = dl.formula("x^2*y", domain={"x": (-2, 2), "y": (-2, 2)})
    x = points_in(f, (10,))
    want = FUNCTION.value(x) + f.value(x)
    np.testing.assert_allclose((FUNCTION + f).value(x), want, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose((f + FUNCTION).value(x), want, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose((2 * FUNCTION - 1).value(x), 2 * FUNCTION.value(x) - 1, rtol=1e-13, atol=1e-13)
    with pytest.raises(InputError, match="different variables"):
        FUNCTION + dl.formula("x")


@pytest.mark.parametrize("factor", [np.nan, np.inf, "three", None, [1, 2]])
def test_bad_factors_and_terms_are_refused(factor: Any) -> None:
    f = dl.formula("x")
    for act in (lambda: f * factor, lambda: f + factor, lambda: f / factor):
        with pytest.raises(InputError):
            act()


def test_division_by_zero_and_boxes_apart_are_refused() -> None:
    with pytest.raises(InputError, match="zero"):
        dl.formula("x") / 0
    with pytest.raises(InputError, match="overlap"):
        dl.formula("x", domain={"x": (0, 1)}) + dl.formula("x", domain={"x": (2, 3)})


@pytest.mark.parametrize("make", [lambda f: -f, lambda f: 3 * f, lambda f: f + 0.1, lambda f: f - f / 7])
def test_the_text_of_derived_objectives_makes_them_again(make: Callable[[Objective], Objective]) -> None:
    f = make(dl.formula("x^2 - exp(-y)", domain={"x": (-2, 2), "y": (0, 1)}))
    assert f.text is not None
    again = dl.formula(f.text, domain=dict(zip(f.names, f.domain, strict=True)))
    x = points_in(f, (30,))
    np.testing.assert_array_equal(again.value(x), f.value(x))
    np.testing.assert_array_equal(again.gradient(x), f.gradient(x))


def test_explain_is_for_formulas() -> None:
    assert dl.formula("x^2").explain() is not None
    with pytest.raises(InputError, match="formula"):
        FUNCTION.explain()


# JAX's global settings


def use_everything() -> None:
    f = dl.function(lambda v: (v[0] - 1) ** 2, domain={"x": (-2, 2)})
    assert f.value([[0.1]]).dtype == np.float64
    f.hessian([[0.1]])
    g = dl.formula("(x - 1/3)^2")
    run = dl.descend(g, start=3, learning_rate=0.3, steps=100)
    assert np.abs(run.ends - 1 / 3).max() < 1e-15
    dl.survey(g, starts=10, steps=50)


def test_the_callers_jax_settings_stay_as_they_were() -> None:
    before = jax.config.jax_enable_x64
    assert jnp.asarray(0.1).dtype == jnp.float32
    use_everything()
    assert jax.config.jax_enable_x64 == before
    assert jnp.asarray(0.1).dtype == jnp.float32
    with pytest.raises(InputError):
        dl.function(scalar_if, domain={"x": (0, 1)})
    assert jnp.asarray(0.1).dtype == jnp.float32


def test_threads_see_their_own_jax_settings() -> None:
    seen: list[Any] = []

    def use() -> None:
        try:
            use_everything()
            seen.append(jnp.asarray(0.1).dtype == jnp.float32)
        except BaseException as error:
            seen.append(error)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 3


def test_a_caller_with_x64_on_keeps_it() -> None:
    with jax.enable_x64(True):
        use_everything()
        assert jnp.asarray(0.1).dtype == jnp.float64


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "x.__class__",
        "lambda x: x",
        "9**9**9**9",
        "(" * 10_000 + "x" + ")" * 10_000,
        "exec(x)(y)'",
        "x[0]",
        "x; y",
        "\x00x",
        "",
    ],
)
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        dl.formula(text)
