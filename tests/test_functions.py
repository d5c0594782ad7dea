"""Every row of the function table against SymPy, mpmath's digits, finite differences and JAX."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import sympy
from sympy import Symbol

from descentlab.formula import functions
from descentlab.formula.functions import BY_CLASS, BY_NAME, TABLE, KnownFunction
from descentlab.program import JAX, NUMPY, compile_program, run

U, V = Symbol("u"), Symbol("v")
EPS = np.finfo(float).eps

# Where each function is smooth and real; (−2, 2) serves all others.
DOMAINS = {
    "log": (0.05, 4),
    "log10": (0.05, 4),
    "log2": (0.05, 4),
    "sqrt": (0.05, 4),
    "cbrt": (0.05, 4),
    "tan": (-1.4, 1.4),
    "cot": (0.1, 3),
    "sec": (-1.4, 1.4),
    "csc": (0.1, 3),
    "asin": (-0.95, 0.95),
    "acos": (-0.95, 0.95),
    "acot": (0.1, 4),
    "asec": (1.1, 4),
    "acsc": (1.1, 4),
    "coth": (0.1, 3),
    "csch": (0.1, 3),
    "acosh": (1.1, 4),
    "atanh": (-0.95, 0.95),
    "acoth": (1.1, 4),
    "asech": (0.05, 0.95),
    "acsch": (0.1, 4),
}
MIRRORED = ["cbrt", "acot", "asec", "acsc", "coth", "csch", "acoth", "acsch", "cot", "csc"]
ROWS = pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
CLASSES = [row for row in TABLE if row.cls is not None]
CLASS_ROWS = pytest.mark.parametrize("row", CLASSES, ids=[row.name for row in CLASSES])
KINKED = [row for row in TABLE if row.kink]


def points(row: KnownFunction, count: int = 60) -> list[np.ndarray]:
    """Return coordinates in the function's domain, one array an argument, on both sides of zero."""
    rng = np.random.default_rng(1)
    low, high = DOMAINS.get(row.name, (-2, 2))
    x = rng.uniform(low, high, size=(row.arguments, count))
    if row.name in MIRRORED:
        x[:, ::2] *= -1
    return list(x)


def numpy_values(expression: sympy.Expr, x: list[np.ndarray]) -> np.ndarray:
    program = compile_program([expression], ["u", "v"][: len(x)])
    return np.broadcast_to(run(program, x, NUMPY)[0], x[0].shape)


def digits(expression: sympy.Expr, x: list[np.ndarray]) -> np.ndarray:
    """Return the expression at each point from 40 digits."""
    columns = zip(*x, strict=True)
    symbols = [U, V][: len(x)]
    return np.array(
        [
            float(
                expression.xreplace(
                    {s: sympy.Float(float(c), 40) for s, c in zip(symbols, p, strict=True)}
                ).evalf(40)
            )
            for p in columns
        ]
    )


@ROWS
def test_numpy_agrees_with_forty_digits(row: KnownFunction) -> None:
    x = points(row)
    call = row(*[U, V][: row.arguments])
    # A few ulp from the library, times the condition of definitions such as acosh(1/u).
    np.testing.assert_allclose(numpy_values(call, x), digits(call, x), rtol=300 * EPS, atol=20 * EPS)


@ROWS
def test_jax_agrees_with_numpy(row: KnownFunction) -> None:
    x = points(row)
    call = row(*[U, V][: row.arguments])
    program = compile_program([call], ["u", "v"][: row.arguments])
    with jax.enable_x64(True):
        values = np.asarray(run(program, [jax.numpy.asarray(c) for c in x], JAX)[0])
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, numpy_values(call, x), rtol=300 * EPS, atol=20 * EPS)


@CLASS_ROWS
def test_derivative_is_sympys(row: KnownFunction) -> None:
    symbols = [U, V][: row.arguments]
    x = points(row, 20)
    for i, symbol in enumerate(symbols):
        ours = row.derivative[i](*symbols)
        theirs = row.cls(*symbols).diff(symbol)
        np.testing.assert_allclose(digits(ours, x), digits(theirs, x), rtol=1e-15)


@CLASS_ROWS
def test_derivative_is_that_of_finite_differences(row: KnownFunction) -> None:
    symbols = [U, V][: row.arguments]
    x = points(row)
    if row.kink:  # the two sides have tests of their own
        x = [np.where(np.abs(c) < 0.01, 0.5, c) for c in x]
    call, h = row.cls(*symbols), 1e-3
    for i in range(len(symbols)):

        def at(k: int, i: int = i) -> np.ndarray:
            moved = list(x)
            moved[i] = moved[i] + k * h
            return numpy_values(call, moved)

        # Fourth order: the error is h⁴ f⁽⁵⁾/30, below 1e-6 even at the edge of a domain.
        slope = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
        away = np.abs(x[0] - x[-1]) > 4 * h if row.kink and row.arguments == 2 else slice(None)
        expected = numpy_values(row.derivative[i](*symbols), x)
        np.testing.assert_allclose(slope[away], expected[away], rtol=2e-4, atol=1e-9)


@CLASS_ROWS
def test_derivative_is_that_of_jax(row: KnownFunction) -> None:
    if row.name in ("sign", "step"):  # piecewise constant: nothing for JAX to say
        assert row.derivative[0](U) == 0
        return
    x = points(row)
    program = compile_program([row.cls(*[U, V][: row.arguments])], ["u", "v"][: row.arguments])
    for i in range(row.arguments):
        with jax.enable_x64(True):
            gradient = jax.vmap(jax.grad(lambda *c: run(program, c, JAX)[0], argnums=i))
            slopes = np.asarray(gradient(*[jax.numpy.asarray(c) for c in x]))
        np.testing.assert_allclose(
            slopes, numpy_values(row.derivative[i](*[U, V][: row.arguments]), x), rtol=1e-11, atol=1e-13
        )


def test_definitions_give_the_function_itself() -> None:
    for row in CLASSES:
        symbols = [U, V][: row.arguments]
        by_definition = row.definition(*symbols)
        if by_definition is sympy.nan:
            assert row.numpy, f"{row.name} has neither a NumPy version nor a definition"
            continue
        x = points(row)
        np.testing.assert_allclose(
            numpy_values(by_definition, x),
            numpy_values(row.cls(*symbols), x),
            rtol=1e-12,
            atol=1e-14,
            err_msg=row.name,
        )


def test_every_name_is_claimed_once() -> None:
    claimed = [name for row in TABLE for name in (row.name, *row.aliases)]
    assert len(claimed) == len(set(claimed)) == len(BY_NAME)
    assert len({row.cls for row in CLASSES}) == len(CLASSES) == len(BY_CLASS)


KINKS = {
    # name: slopes left of the kink, at it, right of it
    "abs": (-1, 0, 1),
    "sign": (0, 0, 0),
    "step": (0, 0, 0),
    "relu": (0, 0, 1),
}


def test_each_kink_is_tested() -> None:
    assert {row.name for row in KINKED} == {*KINKS, "min", "max"}


@pytest.mark.parametrize("name", KINKS)
def test_both_sides_of_a_kink_and_the_kink(name: str) -> None:
    row = BY_NAME[name]
    x = np.array([-1e-300, 0.0, 1e-300])
    np.testing.assert_array_equal(numpy_values(row.derivative[0](U), [x]), KINKS[name])


@pytest.mark.parametrize(("name", "slope_in_u"), [("min", [1, 0, 0]), ("max", [0, 0, 1])])
def test_min_and_max_at_a_tie_have_the_slope_of_the_second(name: str, slope_in_u: list[int]) -> None:
    row = BY_NAME[name]
    x = [np.array([1.0, 2.0, 3.0]), np.full(3, 2.0)]
    np.testing.assert_array_equal(numpy_values(row.derivative[0](U, V), x), slope_in_u)
    np.testing.assert_array_equal(numpy_values(row.derivative[1](U, V), x), 1 - np.array(slope_in_u))
    np.testing.assert_array_equal(numpy_values(row(U, V), x), getattr(np, f"{name}imum")(*x))


def test_values_at_the_jumps() -> None:
    x = [np.array([-2.0, 0.0, 2.0, np.nan])]
    np.testing.assert_array_equal(numpy_values(functions.sign(U), x), [-1, 0, 1, np.nan])
    np.testing.assert_array_equal(numpy_values(functions.step(U), x), [0, 0, 1, np.nan])
    np.testing.assert_array_equal(numpy_values(functions.relu(U), x), [0, 0, 2, np.nan])


def test_cbrt_of_a_negative_number_is_real_and_its_slope_at_zero_is_infinite() -> None:
    assert functions.cbrt(-8) == -2
    np.testing.assert_allclose(numpy_values(functions.cbrt(U), [np.array([-27.0])]), [-3], rtol=EPS)
    with np.errstate(divide="ignore"):
        slope = numpy_values(BY_NAME["cbrt"].derivative[0](U), [np.array([0.0])])
    assert slope[0] == np.inf


def test_functions_of_plain_numbers_are_settled_and_of_expressions_are_not() -> None:
    assert functions.relu(sympy.Rational(-1, 2)) == 0
    assert functions.absolute(sympy.Integer(-3)) == 3
    assert functions.maximum(U, U) == U
    assert functions.minimum(U + 1, U) == U
    assert functions.absolute(-U) == functions.absolute(U)
    assert functions.sign(sympy.exp(U)).func is functions.sign  # deciding it could take forever


def test_softplus_and_sigmoid_do_not_overflow() -> None:
    x = [np.array([-800.0, 800.0])]
    with np.errstate(over="raise"):
        np.testing.assert_array_equal(numpy_values(functions.softplus(U), x), [0, 800])
        np.testing.assert_array_equal(numpy_values(functions.sigmoid(U), x), [0, 1])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_min_and_max_of_many(count: int) -> None:
    numbers = [Symbol(f"x{i}") for i in range(count)]
    x = list(np.random.default_rng(0).normal(size=(count, 50)))
    for name in ("min", "max"):
        program = compile_program([BY_NAME[name](*numbers)], [s.name for s in numbers])
        np.testing.assert_array_equal(run(program, x, NUMPY)[0], getattr(np, name)(x, axis=0))
