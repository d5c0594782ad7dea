"""The word "minimum" is never wrong: random descents whose claims are checked with 40 digits.

Every descent has its own random start, rate (over eight decades) and number of steps. Every
"minimum", "maximum" or "saddle" must name a place that is one: found again by Newton's method in
40-digit arithmetic from the formula's own text, with the Hessian's signs there. Where a box's
stationary points are countable by a dense grid, they must also be among those.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import descentlab as dl
from descentlab.batch import run_ends
from descentlab.descent import ending_of, prepare
from descentlab.engine import Rows
from descentlab.objective import Objective
from descentlab.verdict import Judgement, judge
from stationary_search import newton_from_grid


@dataclass(frozen=True)
class Case:
    """A formula, its box, and how many strict minima, maxima and saddles it can have at all (None: many)."""

    text: str
    box: tuple[tuple[float, float], ...]
    has: str = "minimum maximum saddle"
    cells: int = 0  # of the independent search over the box, 0 for none


CASES = {
    "course": Case("cos(2*pi*x) + x^2", ((-2, 2),), "minimum maximum", 400),
    "wave": Case("sin(x)*exp(-x^2/20)", ((-6.2831853, 6.2831853),), "minimum maximum", 400),
    "double well": Case("x^4/4 - x^2/2 + x/10", ((-2, 2),), "minimum maximum", 400),
    "himmelblau": Case("(x^2+y-11)^2 + (x+y^2-7)^2", ((-5, 5), (-5, 5)), cells=80),
    "camel": Case("(4-2.1*x^2+x^4/3)*x^2 + x*y + (4*y^2-4)*y^2", ((-3, 3), (-2, 2)), cells=80),
    "peaks": Case(
        "3*(1-x)^2*exp(-x^2-(y+1)^2) - 10*(x/5-x^3-y^5)*exp(-x^2-y^2) - exp(-(x+1)^2-y^2)/3",
        ((-3, 3), (-3, 3)),
        cells=80,
    ),
    "rastrigin": Case(
        "20 + x^2 + y^2 - 10*cos(2*pi*x) - 10*cos(2*pi*y)", ((-5.12, 5.12), (-5.12, 5.12)), cells=120
    ),
    "rosenbrock": Case("(1-x)^2 + 100*(y-x^2)^2", ((-5, 5), (-5, 5)), "minimum", 60),
    "ravine": Case("x^2/2 + 1e6*y^2/2", ((-100, 100), (-1, 1)), "minimum", 10),
    "far away": Case("(x-1e6)^2 + cos(3*(x-1e6))", ((999998, 1000002),), "minimum maximum", 400),
    "tall": Case("1e12*(x^2 - 1)^2 + 1e12*y^2", ((-2, 2), (-2, 2)), cells=40),
    "needle": Case("-cos(x)*cos(y)*exp(-(x-pi)^2-(y-pi)^2)", ((-10, 10), (-10, 10))),
    # Nothing here may be called a minimum, a maximum or a saddle:
    "quartic": Case("x^4", ((-2, 2),), ""),
    "quartic, expanded": Case("x^4 - 4x^3 + 6x^2 - 4x + 1", ((-2, 3),), ""),
    "cubic, expanded": Case("x^3 - 3x^2 + 3x - 1", ((-2, 3),), ""),
    "cubic, far": Case("x^3 - 30x^2 + 300x - 1000 + y^2", ((8, 13), (-1, 1)), ""),
    "quartic, far": Case("x^4 - 40x^3 + 600x^2 - 4000x + 10000", ((8, 13),), ""),
    "quintic, expanded": Case("x^5 - 5x^4 + 10x^3 - 10x^2 + 5x - 1", ((-1, 2),), ""),
    "quartic and square": Case("x^4 - 4x^3 + 6x^2 - 4x + 1 + (x + y)^2", ((-2, 3), (-3, 2)), ""),
    "sextic": Case("x^6 + y^2", ((-2, 2), (-2, 2)), ""),
    "cubic": Case("x^3", ((-2, 2),), ""),
    "monkey": Case("x^3 - 3*x*y^2", ((-2, 2), (-2, 2)), ""),
    "valley": Case("(x + y)^2", ((-2, 2), (-2, 2)), ""),
    "ring": Case("(x^2 + y^2 - 1)^2", ((-2, 2), (-2, 2)), "maximum"),
    "step": Case("1/(1 + exp(-x))", ((-10, 10),), ""),
    "slope": Case("exp(-x) + y^2", ((-5, 5), (-5, 5)), ""),
    "pole": Case("1/x", ((-5, 5),), ""),
    "kink": Case("abs(x) + 2*abs(y)", ((-2, 2), (-2, 2)), ""),
    "cone": Case("sqrt(x^2 + y^2)", ((-2, 2), (-2, 2)), ""),
    "kinks": Case("abs(sin(x)) + x^2/50", ((-8, 8),), "maximum"),
    "ramp": Case("relu(x) + relu(-x-1)", ((-3, 3),), ""),
    "barrier": Case("-log(1 - x^2) + x/3", ((-1, 1),), "minimum"),
}
OPTIMIZERS = ("gd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "nadam", "adadelta", "lion", "sign")
RULES = (0.1, "time:0.1", "gradient:0.1", "cosine:0.1", "exponential:0.1:0.9")


class Truth:
    """What a point really is, by 40 digits."""

    def __init__(self, f: Objective, case: Case) -> None:
        expression = f.expression
        symbols = [sympy.Symbol(n) for n in f.names]
        self.dim, self.widths = f.dim, f.widths
        first = [expression.diff(s) for s in symbols]
        self.gradient = sympy.lambdify(symbols, first, "mpmath")
        self.hessian = sympy.lambdify(symbols, [[d.diff(s) for s in symbols] for d in first], "mpmath")
        self.seen: dict[tuple[float, ...], str] = {}
        self.known = newton_from_grid(f, f.domain, case.cells) if case.cells else None

    def kind(self, point: np.ndarray) -> str:
        key = tuple(np.round(point / self.widths, 7))
        if key not in self.seen:
            self.seen[key] = self._kind(point)
        return self.seen[key]

    def _kind(self, point: np.ndarray) -> str:
        with mpmath.workdps(40):
            x = mpmath.matrix([mpmath.mpf(float(c)) for c in point])
            for _ in range(8):
                step = mpmath.lu_solve(mpmath.matrix(self.hessian(*x)), mpmath.matrix(self.gradient(*x)))
                x = x - step
            if max(abs(s) / w for s, w in zip(step, self.widths, strict=True)) > 1e-25:
                return "no root"
            moved = max(abs(float(a) - b) / w for a, b, w in zip(x, point, self.widths, strict=True))
            if moved > 1e-4:
                return f"root {moved} box sides away"
            eigenvalues = mpmath.eigsy(mpmath.matrix(self.hessian(*x)), eigvals_only=True)
        found = np.array([float(x[i]) for i in range(self.dim)])
        signs = [int(mpmath.sign(v)) for v in eigenvalues]
        kind = {self.dim: "minimum", -self.dim: "maximum"}.get(sum(signs), "saddle")
        return kind if self.is_known(found) else f"{kind} that the grid did not find"

    def is_known(self, point: np.ndarray) -> bool:
        """Tell whether the grid search found it too, if it is in the box."""
        low, high = (point - 1e-6 * self.widths), (point + 1e-6 * self.widths)
        if self.known is None or not np.all((low > self.box[:, 0]) & (high < self.box[:, 1])):
            return True
        return bool((np.abs(self.known - point) <= 1e-4 * self.widths).all(axis=1).any())

    box = np.empty((0, 2))


def judged(
    f: Objective,
    count: int,
    seed: int,
    optimizer: str,
    rule: Any,
    bounds: str,
    up: bool,
    tolerance: float | None,
) -> Judgement:
    """Run `count` descents, each with a start, a rate and a number of steps of its own."""
    random = np.random.default_rng(seed)
    setup = prepare(f, optimizer, rule, 600, tolerance, bounds, 0, "float64", {}, up)
    low, high = f.domain.T
    # One start in ten is on a stationary point's doorstep, or on a round number; most are anywhere.
    starts = low + (high - low) * random.random((count, f.dim))
    starts[::10] = np.round(starts[::10] * 4) / 4
    scale = 1.0
    if optimizer in ("gd", "momentum", "nesterov"):
        curvature = np.abs(f.hessian(starts)).max(axis=(1, 2))
        curvature = curvature[np.isfinite(curvature) & (curvature > 0)]
        scale = 1 / float(np.median(curvature)) if curvature.size else 1.0
    else:
        scale = float(f.widths.min())
    # Half over eight decades and any number of steps, half at about the rates that arrive.
    wide = random.random(count) < 0.5
    rates = scale * 10 ** np.where(wide, random.uniform(-6, 2, count), random.uniform(-1.5, 0.3, count))
    lowest = np.where(wide, 0, np.log(200))
    steps = np.exp(lowest + random.random(count) * (np.log(600) - lowest)).astype(np.int64)
    rows = Rows(starts, rates, steps)
    return judge(ending_of(setup, rows, run_ends(setup.method, rows, setup.tolerance).trace()))


def check(case: Case, f: Objective, truth: Truth, j: Judgement, described: str) -> int:
    """Assert that every claim is true; return how many there were."""
    claims = np.flatnonzero(np.isin(j.outcomes, ("minimum", "maximum", "saddle")))
    far = np.abs((j.places[claims] - j.ending.ends[claims]) / f.widths).max(axis=1, initial=0.0)
    stopped = j.ending.stopped[claims]
    assert (far[~stopped] <= 1e-4).all(), described
    assert (far <= 1e-2 + 1e-12).all(), described
    np.testing.assert_allclose(far, j.distances[claims], rtol=1e-9, atol=1e-15)
    keys = np.round(j.places[claims] / f.widths, 7)
    _, first = np.unique(np.column_stack([keys, j.outcomes[claims] == "minimum"]), axis=0, return_index=True)
    for i in claims[first]:
        said = str(j.outcomes[i])
        really = truth.kind(j.places[i])
        assert said == really, (
            f"{described}: {said} at {j.places[i]!r} from {j.ending.starts[i]!r} is {really}"
        )
        assert said in case.has.split(), f"{described}: {said} at {j.places[i]!r}"
    # What is only mentioned as near must be true as well.
    near = np.flatnonzero(np.isin(j.kinds, ("minimum", "maximum")) & ~j.ending.held.any(axis=1))
    keys = np.round(j.places[near] / f.widths, 7)
    _, first = np.unique(keys, axis=0, return_index=True)
    for i in near[first]:
        really = truth.kind(j.places[i])
        assert str(j.kinds[i]) == really, f"{described}: near {j.kinds[i]} at {j.places[i]!r} is {really}"
    return len(claims)


def settings(rounds: int) -> Iterator[tuple[str, Any, str, bool, float | None]]:
    """Go round optimizers, rules, bounds, directions and tolerances, so that all meet."""
    wheels = (
        itertools.cycle(OPTIMIZERS),
        itertools.cycle(("free", "clip", "stop")),
        itertools.cycle((False, False, True)),
        itertools.cycle((None, 1e-3, None, 1e-9, 1.0)),
    )
    rules = itertools.cycle((0.1, 0.1, *RULES[1:]))
    for i, (optimizer, bounds, up, tolerance) in enumerate(zip(*wheels, strict=False)):
        if i == rounds:
            return
        yield optimizer, next(rules), bounds, up ^ (i // 30 % 2 == 1), tolerance


def run(names: list[str], rounds: int, count: int) -> tuple[int, int]:
    """Go through `rounds` settings, each on the next landscape; return descents and claims."""
    claims = 0
    truths: dict[str, tuple[Objective, Truth]] = {}
    for i, (name, (optimizer, rule, bounds, up, tolerance)) in enumerate(
        zip(itertools.cycle(names), settings(rounds), strict=False)
    ):
        case = CASES[name]
        if name not in truths:
            f = dl.formula(case.text, domain=list(case.box))
            truth = Truth(f, case)
            truth.box = f.domain
            truths[name] = f, truth
        f, truth = truths[name]
        j = judged(f, count, i, optimizer, rule, bounds, up, tolerance)
        described = (
            f"{name}, {optimizer}, {rule}, {bounds}, {'ascent' if up else 'descent'}, tolerance {tolerance}"
        )
        claims += check(case, f, truth, j, described)
    return rounds * count, claims


FEW = ["course", "himmelblau", "peaks", "quartic, expanded", "kink", "cubic, far", "slope"]


@pytest.mark.slow
def test_ten_thousand_random_descents_make_no_false_claim() -> None:
    descents, claims = run(FEW, 21, 500)
    assert descents >= 10_000
    assert claims > 800


@pytest.mark.slow
def test_a_million_random_descents_make_no_false_claim() -> None:
    descents, claims = run(list(CASES), 2 * len(CASES) + 1, 20_000)
    assert descents >= 1_000_000
    assert claims > 60_000


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_plain_descent_and_ascent_at_a_good_rate_make_no_false_claim(name: str) -> None:
    case = CASES[name]
    f = dl.formula(case.text, domain=list(case.box))
    truth = Truth(f, case)
    truth.box = f.domain
    for up, bounds in itertools.product((False, True), ("free", "clip")):
        check(case, f, truth, judged(f, 3000, 1, "gd", 0.1, bounds, up, None), name)
