"""A derivative checked three ways, and the explanation that carries its check.

The derivative in hand, assembled by rules, is compared with SymPy's `diff`, with automatic
differentiation (dual numbers carried through the program) and with finite differences
(central, extrapolated), at random points of the box. The three go wrong in different ways.
"""

from __future__ import annotations

import html
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import sympy
from sympy import Expr, Symbol

from descentlab.formula.explain import Derivation, derive
from descentlab.formula.layout import function_of
from descentlab.formula.mathml import equation, text
from descentlab.program import compile_program
from descentlab.scalar import Column, divide, run_columns, run_each_column
from descentlab.slopes import dual, finite_differences, rounding

DEFAULT_SIDE = (-5.0, 5.0)
# Rounding differs between two orders of evaluation by a few dozen units in the last place, more
# where terms cancel; a wrong derivative differs by far more than this.
DUAL_TOLERANCE = 1e-8
# A point where the derivative's own rounding error is larger than this tells nothing.
TRUST = 1e-10
# Extrapolated central differences in float64 reach 1e-9 to 1e-12 of a smooth function's slope.
DIFFERENCE_TOLERANCE = 1e-5
# A point where the finite difference doubts itself by more than this is left out, not counted.
DIFFERENCE_TRUST = 1e-6
# High-precision comparison with SymPy's derivative: working digits, the agreement asked for, and
# the number of points (each costs milliseconds).
DIGITS, AGREED_DIGITS, EXACT_POINTS = 40, 20, 5
# Expressions up to this many operations are multiplied out to see whether they are identical.
EXPAND_LIMIT = 300
# … and up to this many they are first put over one denominator.
TOGETHER_LIMIT = 60
# … if no more terms than this can come of it.
MOST_TERMS = 2_000


@dataclass(frozen=True)
class DerivativeCheck:
    """One derivative compared three ways.

    points: how many were tried; used: at how many f and the derivative are finite
        and not lost in rounding.
    left_out: reason → number of points (those for finite differences alone included).
    symbolic: "exactly", "numerically" (equal to 20 digits at random points), "untested" or "differs".
    dual, difference: the largest relative difference from automatic differentiation and from
        finite differences, None where no point could be used. One relative difference is
        |a − b| / max(|a|, |b|, s), s the typical slope of f in the box.
    """

    name: str
    points: int
    used: int
    difference_used: int
    left_out: dict[str, int]
    symbolic: str
    dual: float | None
    difference: float | None
    agrees: bool

    @property
    def sentence(self) -> str:
        """What was compared and how closely it agrees, for the user."""
        symbolic = {
            "exactly": "SymPy's derivative agrees exactly",
            "numerically": f"SymPy's derivative agrees to {AGREED_DIGITS} digits",
            "untested": "SymPy's derivative is written differently and could not be compared",
            "differs": "SymPy's derivative DIFFERS",
        }[self.symbolic]
        if not self.used and "where rounding swallows the derivative" in self.left_out:
            return (
                f"The derivative is lost in rounding at all {self.points} random points of the box, "
                f"so nothing could be checked there; {symbolic}."
            )
        if not self.used:
            return (
                f"The formula and its derivative are not finite together at any of the {self.points} "
                f"random points of the box, so nothing could be checked there; {symbolic}."
            )
        parts = [symbolic, f"automatic differentiation {_closeness(self.dual, DUAL_TOLERANCE, 's')}"]
        if self.difference is None:
            parts.append("finite differences could not tell")
        else:
            said = f"finite differences {_closeness(self.difference, DIFFERENCE_TOLERANCE)}"
            few = self.difference_used < self.used
            parts.append(said + (f" (at {self.difference_used} of them)" if few else ""))
        sentence = f"Checked at {self.used} random points: {', '.join(parts)}."
        if self.left_out:
            reasons = "; ".join(f"{count} {reason}" for reason, count in self.left_out.items())
            sentence += f" Left out: {reasons}."
        return sentence if self.agrees else f"The check FAILED. {sentence}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "variable": self.name,
            "points": self.points,
            "used": self.used,
            "difference_used": self.difference_used,
            "left_out": dict(self.left_out),
            "symbolic": self.symbolic,
            "dual": self.dual,
            "difference": self.difference,
            "agrees": self.agrees,
            "sentence": self.sentence,
        }


def _closeness(largest: float | None, tolerance: float, ending: str = "") -> str:
    if largest is None:
        return "could not be computed"
    if not largest <= tolerance:
        return f"DIFFER{ending.upper()} by {largest:.1e}"
    return f"agree{ending} exactly" if largest == 0 else f"to {largest:.0e}"


@dataclass(frozen=True)
class Explanation:
    """A formula's derivatives, each with its steps and its check, one a variable."""

    expression: Expr
    names: tuple[str, ...]
    derivations: tuple[Derivation, ...]
    checks: tuple[DerivativeCheck, ...]

    @property
    def agrees(self) -> bool:
        return all(check.agrees for check in self.checks)

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        head = f"f({', '.join(self.names)}) = {text(self.expression)}"
        parts = [f"{d.text()}\n{c.sentence}" for d, c in zip(self.derivations, self.checks, strict=True)]
        return "\n\n".join([head, *parts])

    def mathml(self) -> str:
        """Return an HTML fragment with MathML: the formula, then derivation and check by variable."""
        parts = [
            f'{d.mathml()}<p class="check">{html.escape(c.sentence)}</p>'
            for d, c in zip(self.derivations, self.checks, strict=True)
        ]
        head = equation(function_of(self.names), self.expression)
        return f'<div class="explanation">{head}{"".join(parts)}</div>'

    def _repr_html_(self) -> str:
        return self.mathml()

    def to_dict(self) -> dict[str, Any]:
        return {
            "expression": text(self.expression),
            "variables": list(self.names),
            "agrees": self.agrees,
            "derivatives": [
                {**d.to_dict(), "check": c.to_dict()}
                for d, c in zip(self.derivations, self.checks, strict=True)
            ],
        }


def explain(expression: Expr, names: Sequence[str], domain: Any = None, seed: int = 0) -> Explanation:
    """Derive and check every partial derivative of `expression`.

    domain: the box, an array or nested lists (dim, 2); by default [−5, 5] in every variable.
    """
    domain = [DEFAULT_SIDE] * len(names) if domain is None else domain
    derivations = tuple(derive(expression, name, names) for name in names)
    checks = tuple(check_derivative(expression, d.result, d.name, names, domain, seed) for d in derivations)
    return Explanation(expression, tuple(names), derivations, checks)


def check_derivative(
    expression: Expr,
    derivative: Expr,
    name: str,
    names: Sequence[str],
    domain: Any,
    seed: int = 0,
    points: int = 100,
) -> DerivativeCheck:
    """Compare `derivative` with three other ways of finding ∂expression/∂name.

    domain: the box, (dim, 2); points: how many random points of it to try. Nothing raises or
    divides by zero where the formula is undefined: such points are left out and counted.
    """
    box = [(float(low), float(high)) for low, high in domain]
    axis = tuple(names).index(name)
    chance = random.Random(seed)
    x = [[low + chance.random() * (high - low) for _ in range(points)] for low, high in box]
    program = compile_program([expression], names)
    formula = compile_program([derivative], names)
    (given,) = run_columns(formula, x)
    value, slope = dual(program, x, axis)
    defined = [math.isfinite(v) for v in value]
    usable = [here and math.isfinite(g) for here, g in zip(defined, given, strict=True)]
    typical = _typical_slope(list(compress(value, usable)), list(compress(given, usable)), box[axis])
    noise = rounding(formula, x)
    clear = [
        use and e <= TRUST * max(abs(g), typical) for use, e, g in zip(usable, noise, given, strict=True)
    ]
    differences, doubt, crossed = finite_differences(program, x, axis, box[axis])
    smooth = [use and not kink for use, kink in zip(clear, crossed, strict=True)]
    sure = [
        (fit and d <= DIFFERENCE_TRUST * max(abs(b), abs(a), typical)) or (use and a == b == 0)
        for use, fit, d, a, b in zip(clear, smooth, doubt, given, differences, strict=True)
    ]
    counts = {
        "where the formula is not finite": points - sum(defined),
        "where the derivative is not finite": sum(defined) - sum(usable),
        "where rounding swallows the derivative": sum(usable) - sum(clear),
        "too near a kink for finite differences": sum(clear) - sum(smooth),
        "where rounding hides the slope from finite differences": sum(
            fit and not known for fit, known in zip(smooth, sure, strict=True)
        ),
    }
    dual_largest = _largest(list(compress(given, clear)), list(compress(slope, clear)), typical)
    difference_largest = _largest(list(compress(given, sure)), list(compress(differences, sure)), typical)
    symbolic = _compare_with_sympy(expression, derivative, name, names, [list(compress(c, clear)) for c in x])
    agrees = (
        symbolic != "differs"
        and (dual_largest is None or dual_largest <= DUAL_TOLERANCE)
        and (difference_largest is None or difference_largest <= DIFFERENCE_TOLERANCE)
    )
    return DerivativeCheck(
        name,
        points,
        sum(clear),
        sum(sure),
        {reason: count for reason, count in counts.items() if count},
        symbolic,
        dual_largest,
        difference_largest,
        agrees,
    )


def _typical_slope(value: Column, slope: Column, side: tuple[float, float]) -> float:
    """Return the slope below which differences are of no account: see `DerivativeCheck`."""
    if not value:
        return 0.0
    middle = _median(value)
    spread = _median([abs(v - middle) for v in value])
    return max(_median([abs(s) for s in slope]), spread / max(side[1] - side[0], 1e-300))


def _median(numbers: Column) -> float:
    ordered, half = sorted(numbers), len(numbers) // 2
    return ordered[half] if len(ordered) % 2 else ordered[half - 1] / 2 + ordered[half] / 2


def _largest(a: Column, b: Column, typical: float) -> float | None:
    """Return the largest relative difference, None for no points; NaN or inf on one side is inf."""
    if not a:
        return None
    largest = 0.0
    for u, v in zip(a, b, strict=True):
        if u != v:
            relative = divide(abs(u - v), max(abs(u), abs(v), typical))
            largest = max(largest, relative if math.isfinite(relative) else math.inf)
    return largest


# SymPy


def _compare_with_sympy(
    expression: Expr, derivative: Expr, name: str, names: Sequence[str], x: Sequence[Column]
) -> str:
    """Return "exactly", "numerically", "untested" or "differs"."""
    known = expression.diff(Symbol(name))
    if derivative == known:
        return "exactly"
    rest = derivative - known
    size = rest.count_ops()
    if size <= EXPAND_LIMIT and _vanishes(rest):
        return "exactly"
    if size <= TOGETHER_LIMIT and _vanishes(sympy.fraction(sympy.together(rest))[0]):
        return "exactly"
    tested = 0
    for point in _tame_points([derivative, known], names, x)[:EXACT_POINTS]:
        at = {Symbol(n): sympy.Float(c, DIGITS) for n, c in zip(names, point, strict=True)}
        ours, theirs = (e.xreplace(at).evalf(DIGITS) for e in (derivative, known))
        if not (ours.is_real and theirs.is_real):
            continue
        tested += 1
        # Digits lost to cancellation in either form stay below DIGITS − AGREED_DIGITS.
        if abs(ours - theirs) > sympy.Float(10, DIGITS) ** -AGREED_DIGITS * (1 + abs(ours) + abs(theirs)):
            return "differs"
    return "numerically" if tested else "untested"


def _vanishes(expression: Expr) -> bool:
    """Whether `expression` is 0 when multiplied out; False if that would take too many terms."""
    if _most_terms(expression) > MOST_TERMS:
        return False
    return bool(sympy.expand(expression, log=False, power_base=False, power_exp=False) == 0)


def _most_terms(u: Expr) -> float:
    """Return an upper bound of the terms anywhere in `u` when it is multiplied out.

    (a + b)^n has C(n + 1, n) terms: without this bound (x + y + 1)^500 would never end.
    """
    inside = [_most_terms(a) for a in u.args]
    if u.is_Add:
        return sum(inside)
    if u.is_Mul:
        return math.prod(inside)
    if u.is_Pow and u.exp.is_Rational and inside[0] > 1:
        power = abs(int(u.exp)) + 1
        return math.inf if power > MOST_TERMS else float(math.comb(int(inside[0]) - 1 + power, power))
    return max(inside, default=1)


def _tame_points(
    expressions: Sequence[Expr], names: Sequence[str], x: Sequence[Column]
) -> list[tuple[float, ...]]:
    """Return the points at which no operation overflows, so that exact arithmetic stays small."""
    results = run_each_column(compile_program(expressions, names), x)
    finite = [all(map(math.isfinite, at_one)) for at_one in zip(*results, strict=True)]
    return list(compress(zip(*x, strict=True), finite))
