"""Random and adversarial intervals, and a check of interval operations against python-flint's ball arithmetic.

An operation is called on arrays of intervals; numbers are drawn from each, and the exact result at every one of
them, a ball of 200 bits, has to lie within the bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import flint
import numpy as np
import pytest
from flint import arb

from descentlab.certify.intervals import Interval, Trouble

flint.ctx.prec = 200
LARGEST = float(np.finfo(float).max)
TINY = 5e-324


@dataclass(frozen=True)
class Case:
    """An interval operation and its exact counterpart.

    call: (intervals…, trouble) → Interval; exact: (balls…) → ball; defined: (numbers…) → bool, the natural domain.
    special: arguments near which something happens; period: and every multiple of this, if it is not zero.
    usual: where random arguments are drawn from when the tightness is judged; ends: the exact range over an
    interval in the usual part, as two balls (by default from the ends). slack: how far a bound may be off, in 2⁻⁵².
    """

    name: str
    call: Callable[..., Interval]
    exact: Callable[..., arb]
    defined: Callable[..., bool] = lambda *x: True
    arguments: int = 1
    special: Sequence[float] = ()
    period: float = 0.0
    usual: Sequence[tuple[float, float]] = ((-3.0, 3.0),)
    ends: Callable[..., tuple[arb, arb]] | None = None
    slack: float = 20.0


@pytest.fixture(autouse=True)
def infinities() -> Iterator[None]:
    """Let infinite and NaN bounds pass without a warning, as who runs programs over boxes does."""
    with np.errstate(all="ignore"):
        yield


def ulps(x: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Move every x by so many floating-point numbers."""
    x = np.asarray(x, float)
    bits = x.view(np.int64)
    ordered = np.where(bits < 0, np.int64(-(2**63)) - bits, bits) + steps
    moved = np.where(ordered < 0, np.int64(-(2**63)) - ordered, ordered).view(np.float64)
    return np.where(np.isfinite(x) & np.isfinite(moved), moved, x)


def numbers(rng: np.random.Generator, n: int, case: Case) -> np.ndarray:
    """Draw numbers of every size, and many near where something happens."""
    sign = rng.choice([-1.0, 1.0], n)
    near = np.array([0.0, 1.0, -1.0, 0.5, 2.0, *case.special])
    # ulps of zero are denormal numbers; 2^k ulps reach from next door to far off.
    close = ulps(rng.choice(near, n), (sign * np.exp2(rng.uniform(0, 56, n))).astype(np.int64))
    rows = [
        rng.uniform(-4, 4, n),
        sign * np.exp2(rng.uniform(-30, 12, n)),
        sign * np.exp2(rng.uniform(-1074, 1023.99, n)),
        sign * np.exp2(rng.uniform(0, 60, n)),
        rng.choice(near, n),
        ulps(rng.choice(near, n), rng.integers(-3, 4, n)),
        close,
        ulps(np.zeros(n), rng.integers(-20, 21, n)),
        rng.choice(
            [0.0, -0.0, TINY, -TINY, 2.3e-308, LARGEST, -LARGEST, 1e300, -1e300, 2.0**40, 745.2, 709.8], n
        ),
    ]
    if case.period:
        turns = np.floor(np.exp2(rng.uniform(-1, 41, n))) * sign
        rows += [ulps(turns * case.period, rng.integers(-3, 4, n))] * 2
    return np.choose(rng.integers(0, len(rows), n), rows)


def intervals(rng: np.random.Generator, n: int, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Draw n intervals: points, slivers, wide ones, symmetric ones, some with infinite or NaN bounds."""
    a, b = numbers(rng, n, case), numbers(rng, n, case)
    kind = rng.integers(0, 8, n)
    width = np.exp2(rng.uniform(-60, 6, n)) * np.where(rng.random(n) < 0.5, 1.0, np.abs(a))
    wide = np.clip(a + width, -LARGEST, LARGEST)
    few = ulps(a, rng.integers(0, 6, n))
    b = np.select(
        [kind == 0, kind == 1, kind == 2, kind <= 5], [a, few, -a, wide], b
    )  # the rest: two numbers of any size
    lo, hi = np.fmin(a, b), np.fmax(a, b)
    odd = rng.random(n)
    lo[odd < 0.01] = -np.inf
    hi[(odd > 0.005) & (odd < 0.015)] = np.inf
    lo[(odd > 0.015) & (odd < 0.02)] = np.nan
    hi[(odd > 0.018) & (odd < 0.023)] = np.nan
    return lo, hi


def samples(
    rng: np.random.Generator, lo: np.ndarray, hi: np.ndarray, count: int, period: float
) -> np.ndarray:
    """Draw numbers from each interval, (count, n): both ends first, then points in between, some at its extrema.

    A NaN end may be anything, an infinite one the largest number.
    """
    lo = np.where(np.isfinite(lo), lo, -LARGEST)
    hi = np.where(np.isfinite(hi), hi, LARGEST)
    lo = np.minimum(lo, hi)
    rows = [lo, hi]
    while len(rows) < count:
        t = rng.random(len(lo))
        even = lo * (1 - t) + hi * t
        near_low = np.where(lo > 0, lo * np.exp2(t * np.log2(hi / lo)), even)
        near_high = np.where(hi < 0, hi * np.exp2(t * np.log2(lo / hi)), even)
        zero = np.where(
            (lo <= 0) & (hi >= 0), np.where(t < 0.2, 0.0, t * np.where(t < 0.6, lo, hi) * 1e-8), even
        )
        picks = [even, near_low, near_high, zero]
        if period:
            first, last = np.ceil(lo / period), np.floor(hi / period)
            picks += [np.round(first + t * (last - first)) * period] * 2
        x = np.choose(rng.integers(0, len(picks), len(lo)), picks)
        rows.append(np.where((x >= lo) & (x <= hi), x, lo))
    return np.array(rows[:count])


def called(case: Case, arguments: Sequence[Interval], n: int) -> tuple[np.ndarray, np.ndarray, Trouble]:
    trouble = Trouble(n)
    result = case.call(*arguments, trouble)
    return np.broadcast_to(result.lo, n), np.broadcast_to(result.hi, n), trouble


def hunt(case: Case, seed: int, n: int, count: int = 5) -> tuple[list[str], int]:
    """Return failures of `case` on n intervals (or pairs), and how many numbers were compared."""
    rng = np.random.default_rng(seed)
    bounds = [intervals(rng, n, case) for _ in range(case.arguments)]
    points = [samples(rng, lo, hi, count, case.period) for lo, hi in bounds]
    if case.arguments == 2:
        # The other diagonal's corners too: samples start with (lo, lo) and (hi, hi).
        points[0] = np.concatenate([points[0][:2], points[0]])
        points[1] = np.concatenate([points[1][1::-1], points[1]])
    low, high, trouble = called(case, [Interval(lo, hi) for lo, hi in bounds], n)
    return failures(case, points, bounds, low, high, trouble)


def failures(
    case: Case,
    points: Sequence[np.ndarray],
    bounds: Sequence[tuple[np.ndarray, np.ndarray]],
    low: np.ndarray,
    high: np.ndarray,
    trouble: Trouble,
) -> tuple[list[str], int]:
    found: list[str] = []
    compared = 0
    lows, highs = low.tolist(), high.tolist()
    rows = np.stack(points, axis=-1).tolist()  # (count, n, arguments)
    for row in rows:
        for i, x in enumerate(row):
            if not case.defined(*x):
                if not trouble.undefined[i]:
                    found.append(f"{case.name}{x} is not defined, unflagged in {_box(bounds, i)}")
                continue
            compared += 1
            if trouble.nowhere[i]:
                found.append(f"{case.name}{x} is defined, though 'nowhere' in {_box(bounds, i)}")
            exact = case.exact(*map(arb, x))
            wrong = outside(lows[i], highs[i], exact)
            if wrong:
                found.append(
                    f"{case.name}{x} = {exact.str(20)} {wrong} [{lows[i]!r}, {highs[i]!r}], {_box(bounds, i)}"
                )
    return found, compared


def outside(low: float, high: float, exact: arb) -> str:
    """Say how the exact result fails to lie in [low, high]; empty if it lies there. A NaN bound holds anything."""
    if low <= exact <= high:  # for every number in the ball
        return ""
    if low > exact:
        return "lies below"
    if high < exact:
        return "lies above"
    if not exact.is_zero() and exact.rel_accuracy_bits() < 60:
        return "is known too coarsely to compare with"
    return ""


def _box(bounds: Sequence[tuple[np.ndarray, np.ndarray]], i: int) -> str:
    return " × ".join(f"[{lo[i].item()!r}, {hi[i].item()!r}]" for lo, hi in bounds)


def looseness(case: Case, seed: int, n: int) -> tuple[float, str]:
    """Return how far bounds over usual intervals are from the exact range at worst, in 2⁻⁵² of the exact end."""
    rng = np.random.default_rng(seed)
    bounds = []
    for a, b in (case.usual * 2)[: case.arguments]:
        x = rng.uniform(a, b, (2, n))
        x[1, ::2] = np.clip(
            x[0, ::2] + 10 ** rng.uniform(-9, -1, len(x[0, ::2])), a, b
        )  # wide and narrow ones
        bounds.append((x.min(axis=0), x.max(axis=0)))
    low, high, trouble = called(case, [Interval(lo, hi) for lo, hi in bounds], n)
    assert not trouble.undefined.any(), f"{case.name}: flagged well inside its domain"
    assert not trouble.nowhere.any()
    worst, where = 0.0, ""
    for i in range(n):
        box = [(arb(lo[i].item()), arb(hi[i].item())) for lo, hi in bounds]
        for bound, exact in zip((low[i].item(), high[i].item()), exact_range(case, box), strict=True):
            off = abs(float((arb(bound) - exact).mid())) - 1e-320
            scale = abs(float(exact.mid())) * 2.0**-52
            if off > 0 and not off <= worst * scale:
                worst, where = (off / scale if scale else np.inf), f"{case.name} on {_box(bounds, i)}"
    return worst, where


def exact_range(case: Case, box: Sequence[tuple[arb, arb]]) -> tuple[arb, arb]:
    """Return the smallest and largest value over the box: at its corners, unless the case knows better."""
    if case.ends:
        return case.ends(*box)
    corners: list[tuple[arb, ...]] = [()]
    for lo, hi in box:
        corners = [(*c, end) for c in corners for end in (lo, hi)]
    values = [case.exact(*c) for c in corners]
    least, most = values[0], values[0]
    for value in values[1:]:
        least, most = least.min(value), most.max(value)
    return least, most
