"""Derivatives of programs against SymPy's, and against differences of values, in balls of 300 bits."""

from __future__ import annotations

import flint
import numpy as np
import pytest
import sympy
from flint import arb
from sympy import Symbol

from descentlab import formula
from descentlab.differentiate import derivatives
from descentlab.errors import InputError
from descentlab.formula.functions import TABLE, KnownFunction
from descentlab.objective import FormulaObjective
from descentlab.program import NUMPY, Program, compile_program, run
from formula_generator import formulas
from proof_adversary import BITS, by_sympy, exact_run
from test_functions import DOMAINS

# Differences over 2·2⁻⁷⁰ err by 2⁻¹⁴⁰ of the next derivatives; 600 bits leave 2⁻⁴⁶⁰ of the second difference.
STEP = arb(2) ** -70
CLOSE = 1e-25
X, Y = Symbol("x"), Symbol("y")


@pytest.fixture(autouse=True)
def _bits() -> None:
    flint.ctx.prec = BITS


def differences(program: Program, x: list[arb]) -> list[arb] | None:
    """Return gradient and upper triangle of the Hessian from values alone; None if f is not defined around x."""
    d = len(x)
    flint.ctx.prec = 2 * BITS

    def value(*moves: int) -> arb:
        return exact_run(program, [u + move * STEP for u, move in zip(x, moves, strict=True)])[0]

    def moved(**at: int) -> tuple[int, ...]:
        return tuple(at.get(f"i{k}", 0) for k in range(d))

    middle = value(*moved())
    gradient = [
        (value(*moved(**{f"i{i}": 1})) - value(*moved(**{f"i{i}": -1}))) / (2 * STEP) for i in range(d)
    ]
    hessian = []
    for i in range(d):
        for j in range(i, d):
            if i == j:
                up, down = value(*moved(**{f"i{i}": 1})), value(*moved(**{f"i{i}": -1}))
                hessian.append((up - 2 * middle + down) / STEP**2)
            else:
                corners = [
                    s * t * value(*moved(**{f"i{i}": s, f"i{j}": t})) for s in (1, -1) for t in (1, -1)
                ]
                hessian.append(sum(corners, arb(0)) / (4 * STEP**2))
    flint.ctx.prec = BITS
    every = [middle, *gradient, *hessian]
    return every if all(u.is_finite() for u in every) else None


def agree(mine: list[arb], other: list[arb]) -> bool:
    """Tell whether numbers agree to 25 digits of the largest of them."""
    largest = max(abs(u).mid() for u in other)
    return all(
        u.is_finite() and bool(abs(u - v) <= largest * arb(CLOSE)) for u, v in zip(mine, other, strict=True)
    )


def compare(f: FormulaObjective, points: np.ndarray) -> tuple[int, int]:
    """Compare at points (n, dim); return how many were compared with SymPy's and with differences."""
    program = derivatives(f.value_program)
    assert len(program.outputs) == 1 + f.dim + f.dim * (f.dim + 1) // 2
    slopes, bends = by_sympy(f)
    with_sympy = with_differences = 0
    for point in points:
        x = [arb(float(v)) for v in point]
        mine, theirs = exact_run(program, x), exact_run(slopes, x) + exact_run(bends, x)
        if all(u.is_finite() for u in (*mine, *theirs)):
            with_sympy += 1
            assert agree(mine, theirs), (f.text, point, mine, theirs)
        measured = differences(f.value_program, x)
        if measured is not None and all(u.is_finite() for u in mine):
            # A third derivative as large as 1e15 makes differences wrong in the 25th digit: such points say nothing.
            wider = [u for u in theirs if u.is_finite() and abs(u) < arb(1e12)]
            if len(wider) == len(theirs):
                with_differences += 1
                assert agree(mine, measured), (f.text, point, mine, measured)
    return with_sympy, with_differences


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_every_row(row: KnownFunction) -> None:
    """Alone, of a coupled argument, and inside another function."""
    rng = np.random.default_rng(1)
    low, high = DOMAINS.get(row.name, (-2, 2))
    u = 0.5 * (low + high) + 0.4 * (high - low) * X * Y
    inner = (X,) if row.arguments == 1 else (X, Y)
    coupled = (sympy.nsimplify(u),) if row.arguments == 1 else (X * Y + 1, X - 2 * Y)
    box = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}
    for expression, side in (
        (row(*inner), (low, high)),
        (row(*coupled), (-1, 1)),
        (sympy.sin(row(*coupled)) * X, (-1, 1)),
        (row(*coupled) ** 3 + row(*coupled) * Y, (-1, 1)),
    ):
        f = FormulaObjective(("x", "y"), np.array(list(box.values())), "", (), expression)
        compared = compare(f, rng.uniform(*side, (12, 2)))
        assert compared[0] >= 6
        assert compared[1] >= 6


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("3", 0.7, (3, 0, 0)),
        ("x", 0.7, (0.7, 1, 0)),
        ("x^2", 3, (9, 6, 2)),
        ("x^5", 2, (32, 80, 160)),
        ("x^-2", 2, (0.25, -0.25, 0.375)),
        ("1/x", 2, (0.5, -0.25, 0.25)),
        ("x^(3/2)", 4, (8, 3, 0.375)),
        ("x^(4/3)", 8, (16, 8 / 3, 1 / 9)),
        ("x^x", 1, (1, 1, 2)),
        ("2^x", 0, (1, np.log(2), np.log(2) ** 2)),
        ("x^200", 1, (1, 200, 39800)),
        ("abs(x)", -2, (2, -1, 0)),
        ("max(x, 1)^2", 3, (9, 6, 2)),
        ("max(x, 1)^2", 0.5, (1, 0, 0)),
        ("relu(x)*x", -1, (0, 0, 0)),
        ("sign(x)*x^2", -3, (-9, 6, -2)),
        ("exp(2x)", 0, (1, 2, 4)),
        ("x*log(x)", 1, (0, 1, 1)),
        ("1e200*x*1e100", 0.5, (5e299, 1e300, 0)),
    ],
)
def test_by_hand(text: str, x: float, expected: tuple[float, ...]) -> None:
    program = derivatives(formula(text, variables=["x"], domain={"x": (-9, 9)}).value_program)
    np.testing.assert_allclose([float(u) for u in run(program, [np.float64(x)], NUMPY)], expected, rtol=1e-15)


def test_the_order_of_the_outputs() -> None:
    program = derivatives(formula("x^2*y + 5*y*z^3", domain=dict.fromkeys("xyz", (0, 9))).value_program)
    x, y, z = 2.0, 3.0, 5.0
    value = x**2 * y + 5 * y * z**3
    gradient = (2 * x * y, x**2 + 5 * z**3, 15 * y * z**2)
    hessian = (2 * y, 2 * x, 0, 0, 15 * z**2, 30 * y * z)
    assert run(program, [x, y, z], NUMPY) == [value, *gradient, *hessian]


def test_what_is_zero_is_the_constant_zero() -> None:
    program = derivatives(formula("x + sin(y)", domain={"x": (0, 1), "y": (0, 1)}).value_program)
    _, gx, _, hxx, hxy, hyy = (program.operations[i] for i in program.outputs)
    assert gx.exact == 1
    assert hxx.exact == hxy.exact == 0
    assert hyy.name != "constant"


def test_constants_are_joined_exactly() -> None:
    """(x/3)³ has the second derivative 2x/9: one exact constant, not three rounded ones."""
    program = derivatives(compile_program([(X / 3) ** 3], ["x"]))
    exact = [op.exact for op in program.operations if op.name == "constant"]
    assert sympy.Rational(2, 9) in exact


def test_a_thing_twice_is_computed_once() -> None:
    f = formula("exp(sin(x*y))", domain={"x": (0, 1), "y": (0, 1)})
    names = [op.name for op in derivatives(f.value_program).operations]
    assert names.count("exp") == names.count("sin") == names.count("cos") == 1


@pytest.mark.parametrize(("seed", "count"), [(3, 120), pytest.param(4, 1500, marks=pytest.mark.slow)])
def test_random_formulas(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    total = np.zeros(2, int)
    for drawn in formulas(seed, count):
        try:
            f = drawn.objective()
        except InputError:
            continue
        total += compare(f, f.domain[:, 0] + f.widths * rng.random((4, f.dim)))
    assert total[0] > 2.4 * count
    assert total[1] > 1.5 * count
