"""Straight-line programs against SymPy's digits and JAX's gradients."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
import pytest
import sympy
from sympy import Expr, Rational, Symbol, cos, exp, log, pi, sin, sqrt, tanh

import descentlab.program as program_module
from descentlab.errors import InputError
from descentlab.formula.functions import absolute, cbrt, maximum, relu, sigmoid
from descentlab.program import JAX, NUMPY, Program, compile_program, run, to_double

X, Y = Symbol("x"), Symbol("y")
EXPRESSIONS = [
    3 * X**2 - 3 * X + 4,
    cos(2 * pi * X) + X**2,
    3 * (1 - X) ** 2 * exp(-(X**2) - (Y + 1) ** 2)
    - 10 * (X / 5 - X**3 - Y**5) * exp(-(X**2) - Y**2)
    - exp(-((X + 1) ** 2) - Y**2) / 3,
    20 - 20 * exp(-sqrt((X**2 + Y**2) / 2) / 5) - exp((cos(2 * pi * X) + cos(2 * pi * Y)) / 2),
    X / (1 + Y**2),
    -X / Y,
    1 / (X * Y),
    X**-3 * Y**2,
    (X**2 + 1) ** Rational(-3, 2),
    (X**2 + 1) ** Rational(1, 3),
    (X**2 + 1) ** Y,
    2**X,
    -X - Y - 1,
    -(X + Y) * (X - 2),
    sin(X) / X - tanh(X * Y) / 7,
    relu(X) * absolute(Y) + maximum(X, Y) * sigmoid(X - Y) + cbrt(X * Y),
    log(X**2 + Y**2) / log(10),
    X**17 - Rational(1, 3) * X**5 + pi,
    sympy.E * X + sympy.GoldenRatio * Y,
]
BOTH = pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)


def coordinates(count: int = 40) -> list[np.ndarray]:
    return list(np.random.default_rng(3).uniform(-2, 2, size=(2, count)))


def names_of(program: Program) -> list[str]:
    return [op.name for op in program.operations]


def value_of(expression: Expr, *x: Any) -> Any:
    return run(compile_program([expression], ["x", "y"][: len(x)]), list(x), NUMPY)[0]


@BOTH
def test_values_agree_with_forty_digits(expression: Expr) -> None:
    x, y = coordinates()
    expected = [
        float(expression.xreplace({X: sympy.Float(a, 40), Y: sympy.Float(b, 40)}).evalf(40))
        for a, b in zip(x.tolist(), y.tolist(), strict=True)
    ]
    np.testing.assert_allclose(value_of(expression, x, y), expected, rtol=1e-13, atol=1e-13)


@BOTH
def test_partials_agree_with_jax(expression: Expr) -> None:
    x = coordinates()
    both = compile_program([expression, expression.diff(X), expression.diff(Y)], ["x", "y"])
    _, *partials = run(both, x, NUMPY)
    value = compile_program([expression], ["x", "y"])
    with jax.enable_x64(True):
        for i, partial in enumerate(partials):
            gradient = jax.vmap(jax.grad(lambda a, b: run(value, [a, b], JAX)[0], argnums=i))
            slopes = np.asarray(gradient(*[jax.numpy.asarray(c) for c in x]))
            np.testing.assert_allclose(np.broadcast_to(partial, slopes.shape), slopes, rtol=1e-10, atol=1e-12)


def test_a_shared_subexpression_is_computed_once() -> None:
    wave = sin(X * Y)
    program = compile_program([wave**2 + exp(wave), wave * 3, cos(X * Y)], ["x", "y"])
    names = names_of(program)
    assert names.count("sin") == names.count("cos") == names.count("exp") == 1
    assert len(set(program.operations)) == len(program.operations)
    # x·y once, and the square and the tripling apart from it
    assert names.count("multiply") == 2


def test_equal_operations_from_different_expressions_are_one() -> None:
    """x² above and below a line are different nodes to SymPy, and one operation here."""
    program = compile_program([X**2 + 1, X**-2, sqrt(X), 1 / sqrt(X)], ["x"])
    names = names_of(program)
    assert names.count("integer_power") == names.count("sqrt") == names.count("constant") == 1
    assert len(set(program.operations)) == len(program.operations)


@BOTH
def test_operations_read_only_earlier_ones(expression: Expr) -> None:
    program = compile_program([expression, expression.diff(X)], ["x", "y"])
    assert all(a < i for i, op in enumerate(program.operations) for a in op.arguments)


@pytest.mark.parametrize("exponent", [2, 3, 7, 16, 31])
def test_integer_powers(exponent: int) -> None:
    x = np.array([-1.5, -0.0, 2.0, 1e-3])
    program = compile_program([X**exponent], ["x"])
    assert names_of(program) == ["input", "integer_power"]
    np.testing.assert_allclose(run(program, [x], NUMPY)[0], x**exponent, rtol=1e-14)
    np.testing.assert_allclose(value_of(X**-exponent, x[2:]), x[2:] ** -exponent, rtol=1e-14)


def test_negative_and_fractional_powers_divide_and_take_roots() -> None:
    assert "power" not in names_of(compile_program([X**-2 + sqrt(X) + X ** Rational(-3, 2)], ["x"]))
    x = np.array([0.25, 4.0])
    np.testing.assert_array_equal(value_of(X ** Rational(-3, 2), x), [8, 0.125])
    np.testing.assert_allclose(value_of(X ** Rational(2, 3), np.array([8.0])), [4], rtol=1e-15)
    with np.errstate(invalid="ignore"):
        assert np.isnan(value_of(X ** Rational(1, 3), np.array([-8.0])))[0]


def test_values_outside_a_domain_are_values() -> None:
    x = np.array([-1.0, 0.0, 1e308])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(value_of(log(X), x)[:2], [np.nan, -np.inf])
        np.testing.assert_array_equal(value_of(1 / X, x)[1], np.inf)
        np.testing.assert_array_equal(value_of(X**2, x)[2], np.inf)


@BOTH
def test_negation_is_bitwise(expression: Expr) -> None:
    program = compile_program([expression, expression.diff(X)], ["x", "y"])
    x = coordinates(500)
    for plain, negated in zip(run(program, x, NUMPY), run(program.negated(), x, NUMPY), strict=True):
        bits = np.asarray(-np.asarray(plain)).view(np.int64)
        assert np.array_equal(bits, np.asarray(negated).view(np.int64))


def test_too_many_operations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    long = sympy.Add(*(sin(k * X) for k in range(1, 40)))
    compile_program([long], ["x"])
    monkeypatch.setattr(program_module, "MOST_OPERATIONS", 50)
    with pytest.raises(InputError, match="Hessian needs more than 50 operations"):
        compile_program([long], ["x"], "Hessian")


def test_the_limit_is_twenty_thousand() -> None:
    assert program_module.MOST_OPERATIONS == 20_000


def test_constants_are_the_nearest_doubles() -> None:
    assert to_double(Rational(1, 3)) == 1 / 3
    assert to_double(pi) == math.pi
    assert to_double(sympy.E) == math.e
    assert to_double(Rational(1, 20)) == 0.05
    assert to_double(Rational(10**400, 3)) == math.inf
    assert to_double(-Rational(10**400)) == -math.inf
    # numerator and denominator beyond any double, their quotient an ordinary number
    assert to_double(Rational(10**400, 3 * 10**400)) == 1 / 3
    third = compile_program([X + Rational(1, 3)], ["x"])
    (constant,) = (op for op in third.operations if op.name == "constant")
    assert constant.number == 1 / 3
    assert constant.exact == Rational(1, 3)


@pytest.mark.parametrize("bad", [X * sympy.I, X + sympy.oo, X + sympy.nan, sympy.zoo * X])
def test_what_is_not_a_real_number_is_refused(bad: Expr) -> None:
    with pytest.raises(InputError, match="not a real number"):
        compile_program([bad], ["x"])


def test_what_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(InputError, match="not something the lab can compute"):
        compile_program([sympy.gamma(X)], ["x"])
    with pytest.raises(InputError, match="'y' is not one of the variables x"):
        compile_program([X + Y], ["x"])


def test_a_name_stays_data(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evil = "__import__('os').system('touch seen')"
    program = compile_program([Symbol(evil) ** 2 + sin(Symbol(evil))], [evil])
    np.testing.assert_allclose(run(program, [np.array([2.0])], NUMPY)[0], [4 + math.sin(2)])
    with jax.enable_x64(True):
        assert float(run(program, [jax.numpy.asarray(2.0)], JAX)[0]) == pytest.approx(4 + math.sin(2))
    assert not list(tmp_path.iterdir())


def test_kinks_are_named_by_their_operations() -> None:
    program = compile_program([relu(X) + absolute(Y) + sin(X) + maximum(X, Y)], ["x", "y"])
    assert sorted(program.operations[i].name for i in program.kinks) == ["abs", "max", "relu"]


def test_a_deep_expression_meets_no_recursion_limit() -> None:
    deep: Expr = X
    for _ in range(300):
        deep = sin(deep)
    assert len(compile_program([deep], ["x"]).operations) == 301
