"""Interval arithmetic encloses what python-flint's balls say the exact results are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("flint")

from descentlab.certify import intervals as arithmetic
from descentlab.certify.intervals import Interval, Trouble, point
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


def plain(operation: Callable[..., Interval]) -> Callable[..., Interval]:
    """Call an operation that knows no trouble."""
    return lambda *arguments: operation(*arguments[:-1])


def power_case(exponent: int) -> Case:
    return Case(
        f"power{exponent}",
        lambda u, trouble: arithmetic.integer_power(u, exponent),
        lambda x: x**exponent,
        special=(
            1e150,
            -1e150,
            10.0 ** (308 / exponent),
            10.0 ** (-308 / exponent),
            -(10.0 ** (-320 / exponent)),
        ),
        ends=lambda u: even_range(u, exponent),
        slack=2.0 + 2 * exponent,
    )


def even_range(u: tuple[arb, arb], exponent: int) -> tuple[arb, arb]:
    lo, hi = u[0] ** exponent, u[1] ** exponent
    if exponent % 2:
        return lo, hi
    return (arb(0) if u[0] <= 0 <= u[1] else lo.min(hi)), lo.max(hi)


EXPONENTS = (1, 2, 3, 4, 5, 6, 7, 12, 33, 100)
CASES = [
    Case("add", plain(arithmetic.add), lambda x, y: x + y, arguments=2, usual=((1, 3), (-0.5, 3)), slack=4),
    Case(
        "subtract",
        plain(arithmetic.subtract),
        lambda x, y: x - y,
        arguments=2,
        usual=((1, 3), (-3, 0.5)),
        slack=4,
    ),
    Case("multiply", plain(arithmetic.multiply), lambda x, y: x * y, arguments=2, slack=4),
    Case(
        "divide",
        arithmetic.divide,
        lambda x, y: x / y,
        defined=lambda x, y: y != 0,
        arguments=2,
        usual=((-3, 3), (0.01, 3)),
        slack=4,
    ),
    Case("square", plain(arithmetic.square), lambda x: x * x, ends=lambda u: even_range(u, 2), slack=4),
    Case(
        "itself",
        plain(lambda u: arithmetic.multiply(u, u)),
        lambda x: x * x,
        ends=lambda u: even_range(u, 2),
        slack=4,
    ),
    Case("negative", plain(arithmetic.negative), lambda x: -x, slack=0),
    Case("sqrt", arithmetic.sqrt, lambda x: x.sqrt(), defined=lambda x: x >= 0, usual=((0.0, 3.0),), slack=4),
    *map(power_case, EXPONENTS),
]
EACH = pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
FACTORS = [(2.0, 2.0), (0.25, 0.25), (3.0, 3.0), (-1.0, -1.0), (-0.1, -0.1), (0.1, 0.3), (-5.0, -4.0), (-1.0, 2.0),
           (1e300, 1e300), (5e-324, 5e-324), (1e-200, 1e200), (0.0, 0.0), (0.0, 4.0)]  # fmt: skip


@EACH
def test_bounds_enclose(case: Case) -> None:
    found, compared = hunt(case, seed=1, n=4000)
    assert found == []
    assert compared > 10_000


@EACH
def test_bounds_are_tight(case: Case) -> None:
    worst, where = looseness(case, seed=2, n=2000)
    assert worst <= case.slack, where


@pytest.mark.parametrize("factor", FACTORS)
def test_a_number_for_all_boxes(factor: tuple[float, float]) -> None:
    """A factor or divisor that is one number for all boxes takes shorter ways."""
    n = 1000
    rng = np.random.default_rng(3)
    for case in CASES[:4]:
        for swapped in (False, True):
            lo, hi = intervals(rng, n, case)
            bounds = [(lo, hi), (np.full(n, factor[0]), np.full(n, factor[1]))]
            points = [samples(rng, *b, 5, 0) for b in bounds]
            arguments = [Interval(lo, hi), Interval(np.float64(factor[0]), np.float64(factor[1]))]
            if swapped:
                bounds, points, arguments = bounds[::-1], points[::-1], arguments[::-1]
            found, _ = failures(case, points, bounds, *called(case, arguments, n))
            assert found == []


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
        found, _ = failures(case, points, box, np.ravel(result.lo), np.ravel(result.hi), trouble)
        assert found == []


def test_rounding_goes_at_least_one_number_further() -> None:
    x = numbers(np.random.default_rng(5), 200_000, CASES[0])
    assert (arithmetic.down(x) <= np.nextafter(x, -np.inf)).all()
    assert (arithmetic.up(x) >= np.nextafter(x, np.inf)).all()
    # ... and at most two; more would cost tightness.
    assert (arithmetic.down(x) >= np.nextafter(np.nextafter(x, -np.inf), -np.inf)).all()
    pad = x - arithmetic.library_down(x)
    finite = np.isfinite(arithmetic.library_down(x)) & (x < 1e308)  # LARGEST has no spacing
    # 8 ulp, less at most half of one that rounding takes.
    assert (pad[finite] >= 7.5 * np.spacing(np.abs(x[finite]))).all()


def test_a_quotient_keeps_the_side_that_is_possible() -> None:
    trouble = Trouble(4)
    over = Interval(np.array([0.0, -2.0, -1.0, 0.0]), np.array([4.0, 0.0, 1.0, 0.0]))
    q = arithmetic.divide(point(1.0), over, trouble)
    assert 0.249 < q.lo[0] <= 0.25
    assert q.hi[0] == np.inf
    assert q.lo[1] == -np.inf
    assert -0.5 <= q.hi[1] < -0.499
    assert not q.lo[2] > -np.inf
    assert trouble.undefined.all()
    assert trouble.nowhere.tolist() == [False, False, False, True]


def test_a_slope_defined_nowhere_does_not_empty_a_box() -> None:
    """At x = 0 the slope of √x is 1/0, yet √x is there: a face of the box must not be dropped."""
    trouble = Trouble(1)
    trouble.in_value = False
    arithmetic.divide(point(1.0), point(0.0), trouble)
    arithmetic.sqrt(point(-1.0), trouble)
    assert trouble.undefined.all()
    assert not trouble.nowhere.any()


def test_powers_of_two_are_exact() -> None:
    u = Interval(np.array([0.1, -3.0, 5e-324]), np.array([0.3, -1.0, 1e308]))
    twice = arithmetic.multiply(u, point(4.0))
    assert twice.lo.tolist() == [0.4, -12.0, 2e-323]
    assert twice.hi.tolist()[:2] == [1.2, -4.0]
    assert twice.hi[2] == np.inf


def test_what_two_bounds_say_together() -> None:
    u = Interval(np.array([0.0, np.nan, -np.inf]), np.array([2.0, 2.0, np.nan]))
    v = Interval(np.array([1.0, 1.0, np.nan]), np.array([3.0, np.nan, 5.0]))
    both = arithmetic.intersect(u, v)
    assert both.lo.tolist() == [1.0, 1.0, -np.inf]
    assert both.hi.tolist() == [2.0, 2.0, 5.0]


def test_zero_is_excluded_only_by_proof() -> None:
    u = Interval(
        np.array([0.0, -1.0, 1e-300, -2.0, np.nan, np.nan]), np.array([1.0, 0.0, 1.0, -1e-300, 1.0, -1.0])
    )
    assert arithmetic.excludes_zero(u).tolist() == [False, False, True, True, False, True]


@pytest.mark.slow
@EACH
def test_thousands_of_intervals_each(case: Case) -> None:
    for seed in range(10, 13):
        found, _ = hunt(case, seed=seed, n=10_000, count=6)
        assert found == []


@pytest.mark.parametrize("count", [1, arithmetic.FEW, arithmetic.FEW + 1, 20_000])
def test_few_and_many_are_rounded_at_least_one_number_outward(count: int) -> None:
    rng = np.random.default_rng(count)
    x = rng.standard_normal(count) * 2.0 ** rng.integers(-1074, 1000, count)
    x[: min(count, 4)] = [0.0, -5e-324, 2.0**-1022, -1.7976931348623157e308][: min(count, 4)]
    low, high = arithmetic.down(x), arithmetic.up(x)
    # The least double has −∞ below it.
    with np.errstate(over="ignore"):
        assert (low <= np.nextafter(x, -np.inf)).all()
        assert (high >= np.nextafter(x, np.inf)).all()
        two = np.nextafter(np.nextafter(x, -np.inf), -np.inf)
    assert (low >= two)[np.isfinite(two)].all()
    # Beyond the doubles a bound is the last double, or says nothing.
    beyond = np.full(count, np.inf)
    with np.errstate(invalid="ignore"):
        assert not (arithmetic.down(beyond) > arithmetic.LARGEST).any()
        assert not (arithmetic.up(-beyond) < -arithmetic.LARGEST).any()
