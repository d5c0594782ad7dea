"""The interval version of every function encloses what python-flint's balls say the exact results are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("flint")

from descentlab.certify import intervals as arithmetic
from descentlab.certify.functions import TABLE, power
from descentlab.certify.intervals import Interval, Trouble
from descentlab.certify.trigonometry import LIMIT
from descentlab.formula import functions
from descentlab.program import NUMPY
from interval_cases import (
    Case,
    arb,
    called,
    failures,
    hunt,
    infinities,  # noqa: F401 - a fixture
    intervals,
    looseness,
    numbers,
    samples,
)

HALF_PI = np.pi / 2
FEW = arb(10) ** 5


def moderate(x: arb) -> arb:
    """Return x, or ±10⁵ for what is further off: e^x is far out of range either way."""
    return FEW if x > FEW else -FEW if x < -FEW else x


def real_power(x: arb, y: arb) -> arb:
    if x.is_zero():
        return arb(1 if y.is_zero() else 0)
    return moderate(y * x.log()).exp()


def cube_root(x: arb) -> arb:
    return x if x.is_zero() else abs(x).root(3) * x.sgn()


def logistic(x: arb) -> arb:
    return 1 / (1 + (-moderate(x)).exp())


def soft_plus(x: arb) -> arb:
    rest = (-abs(moderate(x))).exp().log1p()
    return x + rest if x > 0 else rest


def wave_range(wave: Callable[[arb], arb], shift: arb) -> Callable[..., tuple[arb, arb]]:
    """Return the range of a wave that is (−1)^k at π(k + shift)."""

    def ends(u: tuple[arb, arb]) -> tuple[arb, arb]:
        first = (u[0] / arb.pi() - shift).ceil().unique_fmpz()
        last = (u[1] / arb.pi() - shift).floor().unique_fmpz()
        assert first is not None
        assert last is not None
        values = [wave(u[0]), wave(u[1])] + [
            arb(-1 if k % 2 else 1) for k in range(int(first), int(last) + 1)
        ]
        least, most = values[0], values[0]
        for value in values[1:]:
            least, most = least.min(value), most.max(value)
        return least, most

    return ends


def even(function: Callable[[arb], arb]) -> Callable[..., tuple[arb, arb]]:
    """Return the range of an even function that rises from 0 on."""

    def ends(u: tuple[arb, arb]) -> tuple[arb, arb]:
        a, b = function(u[0]), function(u[1])
        return (function(arb(0)) if u[0] <= 0 <= u[1] else a.min(b)), a.max(b)

    return ends


def case(name: str, exact: Callable[..., arb], **more: object) -> Case:
    return Case(name, TABLE[name], exact, **more)  # type: ignore[arg-type]


def fixed_power(text: str, low: float, high: float, exponent: arb) -> Case:
    """u to one exponent for all boxes."""
    v = Interval(np.float64(low), np.float64(high))
    return Case(
        f"power {text}",
        lambda u, trouble: power(u, v, trouble),
        lambda x: real_power(x, exponent),
        defined=lambda x: x > 0 or (x == 0 and low > 0),
        usual=((0.0 if low > 0 else 0.1, 3.0),),
    )


OPEN, CLOSED = (lambda x: -1 < x < 1), (lambda x: -1 <= x <= 1)
THIRD = 1 / 3
CASES = [
    case("exp", lambda x: moderate(x).exp(), special=(709.782712893384, -745.1332191019411, -708.4)),
    case("log", lambda x: x.log(), defined=lambda x: x > 0, usual=((0.01, 3.0),)),
    case("cbrt", cube_root),
    case("sin", lambda x: x.sin(), period=HALF_PI, ends=wave_range(arb.sin, arb(0.5)), usual=((-9.0, 9.0),)),
    case("cos", lambda x: x.cos(), period=HALF_PI, ends=wave_range(arb.cos, arb(0)), usual=((-9.0, 9.0),)),
    case("tan", lambda x: x.tan(), period=HALF_PI, usual=((-1.57, 1.57),)),
    case("asin", lambda x: x.asin(), defined=CLOSED, usual=((-1.0, 1.0),)),
    case("acos", lambda x: x.acos(), defined=CLOSED, usual=((-1.0, 1.0),)),
    case("atan", lambda x: x.atan()),
    case(
        "atan2",
        arb.atan2,
        defined=lambda u, v: u != 0 or v != 0,
        arguments=2,
        usual=((-3.0, 3.0), (0.01, 3.0)),
    ),
    case(
        "atan2",
        arb.atan2,
        defined=lambda u, v: u != 0 or v != 0,
        arguments=2,
        usual=((0.01, 3.0), (-3.0, 3.0)),
    ),
    case(
        "atan2",
        arb.atan2,
        defined=lambda u, v: u != 0 or v != 0,
        arguments=2,
        usual=((-3.0, -0.01), (-3.0, 3.0)),
    ),
    case("sinh", lambda x: moderate(x).sinh(), special=(710.4758600739439, -710.4758600739439)),
    case("cosh", lambda x: moderate(x).cosh(), special=(710.4758600739439,), ends=even(arb.cosh)),
    case("tanh", lambda x: moderate(x).tanh(), special=(19.0, -19.0, 22.0)),
    case("asinh", lambda x: x.asinh()),
    case("acosh", lambda x: x.acosh(), defined=lambda x: x >= 1, usual=((1.0, 4.0),)),
    case("atanh", lambda x: x.atanh(), defined=OPEN, usual=((-0.999, 0.999),)),
    case("erf", lambda x: x.erf(), special=(5.9, -5.9, 0.84, 6.0)),
    case("abs", abs, ends=even(abs), slack=0),
    case("sign", lambda x: x.sgn(), usual=((0.1, 3.0),), defined=lambda x: x != 0, slack=0),
    case("sign", lambda x: x.sgn(), usual=((-3.0, -0.1),), defined=lambda x: x != 0, slack=0),
    case("step", lambda x: arb(1 if x > 0 else 0), usual=((0.1, 3.0),), defined=lambda x: x != 0, slack=0),
    case("step", lambda x: arb(1 if x > 0 else 0), usual=((-3.0, -0.1),), defined=lambda x: x != 0, slack=0),
    case("relu", lambda x: x if x > 0 else arb(0), slack=0),
    case("min", lambda x, y: x.min(y), arguments=2, slack=0),
    case("max", lambda x, y: x.max(y), arguments=2, slack=0),
    case("sigmoid", logistic, special=(-709.78, -745.13, 36.7, -36.7), usual=((-30.0, 30.0),)),
    case("softplus", soft_plus, special=(-745.13, -708.4, 36.7, -36.7), usual=((-30.0, 30.0),)),
    case("power", real_power, defined=lambda x, y: x > 0, arguments=2, usual=((0.05, 3.0), (-3.0, 3.0))),
    fixed_power("1/3", THIRD, np.nextafter(THIRD, 1), arb(1) / 3),
    fixed_power("2.5", 2.5, 2.5, arb(2.5)),
    fixed_power("-0.7", -0.7, -0.7, arb(-0.7)),
    fixed_power("-π", -np.nextafter(np.pi, 4), -np.pi, -arb.pi()),
]
EACH = pytest.mark.parametrize("case", CASES, ids=[f"{c.name}{i}" for i, c in enumerate(CASES)])
EXACT = ("abs", "sign", "step", "relu", "min", "max")
# Computed from exp, log1p and rounded operations.
COMPOSED = ("sigmoid", "softplus")
LIBRARY = [name for name in TABLE if name not in EXACT + COMPOSED]


def test_every_function_that_arrays_compute_has_bounds() -> None:
    computed = {row.name for row in functions.TABLE if row.numpy}
    assert set(TABLE) == computed | {"power"}
    assert {c.name for c in CASES} >= set(TABLE)


@EACH
def test_bounds_enclose(case: Case) -> None:
    found, compared = hunt(case, seed=1, n=5000)
    assert found == []
    assert compared > 5_000


@EACH
def test_bounds_are_tight(case: Case) -> None:
    worst, where = looseness(case, seed=2, n=2000)
    assert worst <= case.slack, where


@EACH
def test_numbers_stay_numbers(case: Case) -> None:
    """Intervals that are one number for all boxes give bounds that are one number, and right."""
    rng = np.random.default_rng(4)
    bounds = [intervals(rng, 100, case) for _ in range(case.arguments)]
    for i in range(100):
        box = [(lo[i : i + 1], hi[i : i + 1]) for lo, hi in bounds]
        trouble = Trouble(1)
        result = case.call(*[Interval(lo[0], hi[0]) for lo, hi in box], trouble)
        assert np.ndim(result.lo) == np.ndim(result.hi) == 0
        points = [samples(rng, lo, hi, 4, case.period) for lo, hi in box]
        if case.name == "power" and (points[0] == 0).any():
            continue  # a v that is one number has 0^v = 0, which the case does not know
        found, _ = failures(case, points, box, np.ravel(result.lo), np.ravel(result.hi), trouble)
        assert found == []


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_errs_by_at_most_4_ulp(name: str) -> None:
    """What every certificate assumes of the platform, looked at on twenty thousand numbers."""
    mine = next(c for c in CASES if c.name == name)
    rng = np.random.default_rng(6)
    x = [numbers(rng, 20_000, mine) for _ in range(mine.arguments)]
    if mine.period:
        x[0] = np.where(np.abs(x[0]) <= LIMIT, x[0], x[0] / 2.0**970)
    usual = [rng.uniform(a, b, 20_000) for a, b in (mine.usual * 2)[: mine.arguments]]
    x = [np.where(np.arange(20_000) % 3 == 0, u, a) for u, a in zip(usual, x, strict=True)]
    x = [a + 0.0 for a in x]  # −0 is on the other side of atan2's cut
    y = NUMPY.operation(name)(*x)
    worst = 0.0
    for *arguments, value in zip(*(a.tolist() for a in x), y.tolist(), strict=True):
        if np.isfinite(value) and mine.defined(*arguments):
            error = arb(value) - mine.exact(*map(arb, arguments))
            worst = max(worst, abs(float((error / max(np.spacing(abs(value)), 5e-324)).mid())))
    assert 0.3 < worst <= 4


@EACH
def test_where_nothing_is_defined(case: Case) -> None:
    """'nowhere' is what the boxes outside the domain are called, unless only a slope is asked for."""
    outside = {
        "log": (-2.0, 0.0), "asin": (1.5, 2.0), "acos": (-3.0, -1.1), "acosh": (-1.0, 0.9), "atanh": (1.0, 3.0),
        "power 2.5": (-2.0, -1.0), "power 1/3": (-2.0, -1e-300), "power -π": (-1e300, -1.0),
    }.get(case.name, (-1.0, 0.5))  # fmt: skip
    arguments = [Interval(np.full(3, outside[0]), np.full(3, outside[1]))] * case.arguments
    empty = case.name in ("log", "asin", "acos", "acosh", "atanh", "power 2.5", "power 1/3", "power -π")
    _, _, trouble = called(case, arguments, 3)
    assert trouble.nowhere.all() == empty
    slope = Trouble(3)
    slope.in_value = False
    case.call(*arguments, slope)
    assert not slope.nowhere.any()
    if empty:
        assert trouble.undefined.all()
        assert slope.undefined.all()


def test_poles_of_tan_are_seen() -> None:
    rng = np.random.default_rng(7)
    tan = next(c for c in CASES if c.name == "tan")
    lo, hi = intervals(rng, 20_000, tan)
    low, high, trouble = called(tan, [Interval(lo, hi)], len(lo))
    poles = clear = 0
    for i, (a, b) in enumerate(zip(lo.tolist(), hi.tolist(), strict=True)):
        if not (abs(a) <= LIMIT and abs(b) <= LIMIT):
            assert trouble.undefined[i]
            continue
        first, last = ((arb(x) / arb.pi() - 0.5).floor().unique_fmpz() for x in (a, b))
        if first != last:
            poles += 1
            assert trouble.undefined[i]
            assert low[i] == -np.inf
            assert high[i] == np.inf
        elif max(abs(a), abs(b)) < 1e3 and abs(np.cos(a)) > 1e-9 and abs(np.cos(b)) > 1e-9:
            clear += 1
            assert not trouble.undefined[i]
    assert min(poles, clear) > 2000


@pytest.mark.parametrize(("name", "shift"), [("sin", 0.5), ("cos", 0.0)])
def test_extrema_between_two_doubles_are_seen(name: str, shift: float) -> None:
    """A wave reaches exactly ±1 wherever an extremum lies in the box, at any size, though no double is there."""
    rng = np.random.default_rng(9)
    wave = next(c for c in CASES if c.name == name)
    lo, hi = intervals(rng, 20_000, wave)
    low, high, trouble = called(wave, [Interval(lo, hi)], len(lo))
    assert not trouble.undefined.any()
    seen = {-1.0: 0, 1.0: 0}
    for a, b, least, most in zip(lo.tolist(), hi.tolist(), low.tolist(), high.tolist(), strict=True):
        if not (np.isfinite(a) and np.isfinite(b)):
            assert (least, most) == (-1.0, 1.0)
            continue
        first = (arb(a) / arb.pi() - shift).ceil()
        last = (arb(b) / arb.pi() - shift).floor()
        if abs(a) > 1e50 or abs(b) > 1e50:  # 200 bits do not tell the integers
            assert (least, most) == (-1.0, 1.0)
            continue
        for k in range(
            int(first.unique_fmpz()), min(int(last.unique_fmpz()), int(first.unique_fmpz()) + 1) + 1
        ):
            seen[-1.0 if k % 2 else 1.0] += 1
            assert (least if k % 2 else most) == (-1.0 if k % 2 else 1.0)
    assert min(seen.values()) > 1000


RANGES = {
    "exp": (0.0, np.inf), "sin": (-1.0, 1.0), "cos": (-1.0, 1.0), "acos": (0.0, 3.15), "cosh": (1.0, np.inf),
    "tanh": (-1.0, 1.0), "acosh": (0.0, np.inf), "erf": (-1.0, 1.0), "abs": (0.0, np.inf), "sigmoid": (0.0, 1.0),
    "softplus": (0.0, np.inf), "relu": (0.0, np.inf), "power": (0.0, np.inf), "asin": (-1.58, 1.58),
    "atan": (-1.58, 1.58), "atan2": (-3.15, 3.15),
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_bounds_never_leave_the_range(name: str) -> None:
    mine = next(c for c in CASES if c.name == name)
    rng = np.random.default_rng(11)
    arguments = [Interval(*intervals(rng, 5000, mine)) for _ in range(mine.arguments)]
    low, high, _ = called(mine, arguments, 5000)
    assert not (low < RANGES[name][0]).any()
    assert not (high > RANGES[name][1]).any()


def test_the_cut_of_atan2_is_seen() -> None:
    rng = np.random.default_rng(8)
    mine = next(c for c in CASES if c.name == "atan2")
    (a, b), (c, d) = intervals(rng, 20_000, mine), intervals(rng, 20_000, mine)
    low, high, trouble = called(mine, [Interval(a, b), Interval(c, d)], len(a))
    cut = (a <= 0) & (b >= 0) & (c <= 0)
    known = ~(np.isnan(a) | np.isnan(b) | np.isnan(c) | np.isnan(d))
    assert (trouble.undefined[known] == cut[known]).all()
    assert 2000 < cut.sum() < 18_000
    assert (low[cut] < -np.pi).all()
    assert (high[cut] > np.pi).all()


@pytest.mark.parametrize(("name", "left"), [("sign", -1.0), ("step", 0.0)])
def test_slopes_on_both_sides_of_a_kink(name: str, left: float) -> None:
    """A box that only touches the kink holds it: |x| on [0, 1] has a slope of −1 just outside."""
    u = Interval(
        np.array([0.0, -1.0, 0.0, -1.0, 1e-300, -2.0, np.nan]),
        np.array([1.0, 0.0, 0.0, 1.0, 1.0, -1e-300, 1.0]),
    )
    value, slope = Trouble(7), Trouble(7)
    slope.in_value = False
    for trouble in (value, slope):
        result = TABLE[name](u, trouble)
        assert result.lo.tolist() == [left, left, left, left, 1.0, left, left]
        assert result.hi.tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, left, 1.0]
        assert not trouble.nowhere.any()
    jumps = [True, True, True, True, False, False, True]
    assert (value.undefined.tolist(), value.kinked.any()) == (jumps, False)
    assert (slope.kinked.tolist(), slope.undefined.any()) == (jumps, False)


def test_continuous_functions_with_kinks_have_no_trouble() -> None:
    u = Interval(np.array([-1.0, 0.0]), np.array([1.0, 0.0]))
    for name in ("abs", "relu", "min", "max"):
        trouble = Trouble(2)
        TABLE[name](*[u] * functions.BY_NAME[name].arguments, trouble)
        assert not (trouble.undefined | trouble.kinked | trouble.nowhere).any()


def test_exact_places() -> None:
    zero = arithmetic.point(0.0)
    trouble = Trouble(1)
    sine, cosine = TABLE["sin"](zero, trouble), TABLE["cos"](zero, trouble)
    assert -1e-322 < sine.lo < 0 < sine.hi < 1e-322
    assert 1 - 1e-14 < cosine.lo < cosine.hi == 1
    tiny = TABLE["tanh"](arithmetic.point(5e-324), trouble)
    assert -1e-322 < tiny.lo < 5e-324 < tiny.hi < 1e-322
    assert TABLE["exp"](arithmetic.point(-1e4), trouble).lo == 0
    assert 0 < TABLE["exp"](arithmetic.point(-1e4), trouble).hi < 1e-322
    assert TABLE["exp"](arithmetic.point(1e4), trouble).lo > 1.79e308
    assert TABLE["sinh"](arithmetic.point(-1e4), trouble).hi < -1.79e308
    assert TABLE["cosh"](zero, trouble).lo == 1
    assert 0 < TABLE["sigmoid"](arithmetic.point(-744.0), trouble).hi < 1e-321
    assert not trouble.undefined.any()


def test_far_out_a_wave_is_anywhere() -> None:
    for name in ("sin", "cos"):
        u = Interval(np.array([1.2e12, 1e300, -np.inf, np.nan]), np.array([1.2e12, 1e300, 0.0, np.nan]))
        result = TABLE[name](u, Trouble(4))
        assert result.lo.tolist() == [-1.0] * 4
        assert result.hi.tolist() == [1.0] * 4


@pytest.mark.slow
@EACH
def test_thousands_of_intervals_each(case: Case) -> None:
    for seed in range(10, 13):
        found, _ = hunt(case, seed=seed, n=10_000, count=6)
        assert found == []
