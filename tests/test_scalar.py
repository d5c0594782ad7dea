"""Programs read in plain numbers against the same programs read in NumPy."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from sympy import Rational, Symbol, cos, exp, log, sqrt

from descentlab import scalar as scalar_module
from descentlab.formula.functions import TABLE, absolute, maximum, relu, sigmoid
from descentlab.program import NUMPY, compile_program, run_each
from descentlab.scalar import run_columns, run_each_column, scalar

X, Y = Symbol("x"), Symbol("y")
COMPUTED = [row.name for row in TABLE if row.numpy]
ONE = ["negative", "sqrt", *(row.name for row in TABLE if row.numpy and row.arguments == 1)]
TWO = ["add", "subtract", "multiply", "divide", "power",
       *(row.name for row in TABLE if row.numpy and row.arguments == 2)]  # fmt: skip
# Zeros, ends and neighbours of domains, what overflows and underflows, odd and even and broken exponents.
EDGES = [
    0.0, -0.0, 5e-324, -5e-324, 1e-200, 0.5, -0.5, 1 - 2**-53, 1.0, -1.0, 1 + 2**-52, -1 - 2**-52,
    1 / 3, -1 / 3, 2.0, -2.0, 3.0, -3.0, 2.5, -2.5, 20.0, -20.0, 40.0, -40.0, 709.7, 709.8, -745.0, -746.0,
    711.0, -711.0, 1e5, -1e5, 2.0**53 + 2, 1e155, -1e155, 1e308, -1e308, math.inf, -math.inf, math.nan,
]  # fmt: skip


def same(found: list[float], expected: np.ndarray) -> None:
    """Same infinities and NaNs; the rest to a few units in the last place.

    Below the normal numbers SciPy's sigmoid is 0 already: hence the smallest of them is allowed.
    """
    np.testing.assert_allclose(found, expected, rtol=4e-15, atol=2.3e-308)
    poles = np.isinf(expected)
    np.testing.assert_array_equal(np.array(found)[poles], expected[poles])


def test_every_function_of_the_table_is_tried() -> None:
    assert set(COMPUTED) <= {*ONE, *TWO}
    assert set(scalar_module._OWN) <= {*ONE, *TWO}


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number_agree_with_numpy(name: str) -> None:
    u = EDGES + np.random.default_rng(0).normal(0, 3, 200).tolist()
    with np.errstate(all="ignore"):
        expected = NUMPY.operation(name)(np.array(u))
    same([scalar(name)(a) for a in u], expected)


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_numbers_agree_with_numpy(name: str) -> None:
    some = np.random.default_rng(0).normal(0, 3, 20).tolist()
    u, v = zip(*itertools.product(EDGES + some, repeat=2), strict=True)
    with np.errstate(all="ignore"):
        expected = NUMPY.operation(name)(np.array(u), np.array(v))
    same([scalar(name)(a, b) for a, b in zip(u, v, strict=True)], expected)


@pytest.mark.parametrize("name", ["divide", "power", "atan2", "atanh", "sinh"])
def test_the_sign_of_zero_decides_as_in_numpy(name: str) -> None:
    signed = [0.0, -0.0, 1.0, -1.0, 3.0, -3.0, -2.0, math.inf, -math.inf]
    pairs = list(itertools.product(signed, repeat=1 if name in ONE else 2))
    with np.errstate(all="ignore"):
        expected = NUMPY.operation(name)(*np.array(pairs).T)
    found = np.array([scalar(name)(*pair) for pair in pairs])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(expected[known]))


def test_a_function_without_a_version_of_its_own_is_asked_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new row of the table needs nothing here."""
    monkeypatch.delitem(scalar_module._OWN, "softplus")
    ask = scalar.__wrapped__("softplus")
    assert type(ask(1.0)) is float
    assert ask(1.0) == pytest.approx(math.log(1 + math.e), rel=1e-15)
    monkeypatch.delitem(scalar_module._OWN, "log")
    monkeypatch.delattr(math, "log")
    assert scalar.__wrapped__("log")(0.0) == -math.inf


@pytest.mark.parametrize(
    "expression",
    [
        3 * X**2 - X * Y + 1,
        exp(-(X**2)) * cos(3 * Y) / Y,
        (X**2 + 1) ** Rational(-3, 2) + sqrt(X),
        relu(X) * absolute(Y) + maximum(X, Y) * sigmoid(X - Y),
        log(X) - X**Y,
        X**-7,
    ],
    ids=str,
)
def test_whole_programs_agree_with_numpy(expression: object) -> None:
    program = compile_program([expression, expression.diff(X)], ["x", "y"])  # type: ignore[attr-defined]
    x = np.random.default_rng(3).uniform(-2, 2, (2, 50))
    x[:, 0] = 0
    with np.errstate(all="ignore"):
        expected = [np.broadcast_to(c, (50,)) for c in run_each(program, list(x), NUMPY)]
    np.testing.assert_allclose(run_each_column(program, x.tolist()), expected, rtol=1e-12, atol=1e-14)
    outputs = [expected[i] for i in program.outputs]
    np.testing.assert_allclose(run_columns(program, x.tolist()), outputs, rtol=1e-12, atol=1e-14)


def test_checking_a_derivative_does_not_load_numpy() -> None:
    code = (
        "import sys; from sympy import Symbol, erf, exp; from descentlab.formula.functions import *; "
        "from descentlab.check import explain; x = Symbol('x'); "
        "f = relu(x) + softplus(x)*cbrt(x) + maximum(x, 2*x)**2 + sigmoid(erf(x)) + absolute(x)**x; "
        "assert explain(f, ['x'], [[-2, 2]]).agrees; print(sorted({'numpy', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
