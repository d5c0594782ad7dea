"""A derivative checked three ways, and the explanation that carries its check.

The derivative in hand, assembled by rules, is compared with SymPy's `diff`, with automatic
differentiation (dual numbers carried through the program) and with finite differences
(central, extrapolated), at random points of the box. The three go wrong in different ways.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy
from sympy import Expr, Symbol

from descentlab.formula.explain import Derivation, derive
from descentlab.formula.layout import function_of
from descentlab.formula.mathml import equation, text
from descentlab.program import NUMPY, compile_program, run, run_each
from descentlab.slopes import columns, dual, finite_differences, rounding

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Mask = np.ndarray[Any, np.dtype[np.bool_]]

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
            return (f"The derivative is lost in rounding at all {self.points} random points of the box, "
                    f"so nothing could be checked there; {symbolic}.")
        if not self.used:
            return (f"The formula and its derivative are not finite together at any of the {self.points} "
                    f"random points of the box, so nothing could be checked there; {symbolic}.")
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
            "variable": self.name, "points": self.points, "used": self.used,
            "difference_used": self.difference_used, "left_out": dict(self.left_out),
            "symbolic": self.symbolic, "dual": self.dual, "difference": self.difference,
            "agrees": self.agrees, "sentence": self.sentence,
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
            "expression": text(self.expression), "variables": list(self.names), "agrees": self.agrees,
            "derivatives": [
                {**d.to_dict(), "check": c.to_dict()}
                for d, c in zip(self.derivations, self.checks, strict=True)
            ],
        }


def explain(expression: Expr, names: Sequence[str], domain: Any, seed: int = 0) -> Explanation:
    """Derive and check every partial derivative of `expression` on the box `domain` (dim, 2)."""
    derivations = tuple(derive(expression, name, names) for name in names)
    checks = tuple(
        check_derivative(expression, d.result, d.name, names, domain, seed) for d in derivations
    )
    return Explanation(expression, tuple(names), derivations, checks)


def check_derivative(
    expression: Expr, derivative: Expr, name: str, names: Sequence[str], domain: Any,
    seed: int = 0, points: int = 100,
) -> DerivativeCheck:
    """Compare `derivative` with three other ways of finding ∂expression/∂name.

    domain: the box, (dim, 2); points: how many random points of it to try. Nothing raises or
    divides by zero where the formula is undefined: such points are left out and counted.
    """
    import numpy as np

    box = np.asarray(domain, dtype=float)
    axis = tuple(names).index(name)
    x = box[:, :1] + np.random.default_rng(seed).random((len(names), points)) * (box[:, 1:] - box[:, :1])
    left_out: dict[str, int] = {}
    with np.errstate(all="ignore"):
        program = compile_program([expression], names)
        formula = compile_program([derivative], names)
        (given,) = columns(run(formula, list(x), NUMPY), points)
        value, slope = dual(program, list(x), axis, points)
        usable = np.isfinite(value) & np.isfinite(given)
        _count(left_out, "where the formula is not finite", ~np.isfinite(value))
        _count(left_out, "where the derivative is not finite", np.isfinite(value) & ~usable)
        typical = _typical_slope(value[usable], given[usable], box[axis])
        noise = rounding(formula, list(x), points)
        clear = noise <= TRUST * np.maximum(np.abs(given), typical)
        _count(left_out, "where rounding swallows the derivative", usable & ~clear)
        usable &= clear
        dual_largest = _largest(given[usable], slope[usable], typical)
        differences, doubt, crossed = finite_differences(program, x, axis, box[axis])
        scale = np.maximum(np.maximum(np.abs(differences), np.abs(given)), typical)
        sure = usable & ~crossed & (doubt <= DIFFERENCE_TRUST * scale)
        sure |= usable & (differences == 0) & (given == 0)
        _count(left_out, "too near a kink for finite differences", usable & crossed)
        _count(left_out, "where rounding hides the slope from finite differences", usable & ~crossed & ~sure)
        difference_largest = _largest(given[sure], differences[sure], typical)
    symbolic = _compare_with_sympy(expression, derivative, name, names, x[:, usable])
    agrees = (
        symbolic != "differs"
        and (dual_largest is None or dual_largest <= DUAL_TOLERANCE)
        and (difference_largest is None or difference_largest <= DIFFERENCE_TOLERANCE)
    )
    return DerivativeCheck(
        name, points, int(usable.sum()), int(sure.sum()), left_out,
        symbolic, dual_largest, difference_largest, agrees,
    )


def _count(left_out: dict[str, int], reason: str, which: Mask) -> None:
    if which.any():
        left_out[reason] = int(which.sum())


def _typical_slope(value: Array, slope: Array, side: Array) -> float:
    """Return the slope below which differences are of no account: see `DerivativeCheck`."""
    import numpy as np

    if not value.size:
        return 0.0
    spread = float(np.median(np.abs(value - np.median(value))))
    return max(float(np.median(np.abs(slope))), spread / max(float(side[1] - side[0]), 1e-300))


def _largest(a: Array, b: Array, typical: float) -> float | None:
    """Return the largest relative difference, None for no points; NaN or inf on one side is inf."""
    import numpy as np

    if not a.size:
        return None
    scale = np.maximum(np.maximum(np.abs(a), np.abs(b)), typical)
    relative = np.where(a == b, 0.0, np.abs(a - b) / scale)
    return float(np.max(np.where(np.isfinite(relative), relative, np.inf)))


# SymPy


def _compare_with_sympy(
    expression: Expr, derivative: Expr, name: str, names: Sequence[str], x: Array
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
    for i in _tame_points([derivative, known], names, x)[:EXACT_POINTS]:
        at = {Symbol(n): sympy.Float(float(c), DIGITS) for n, c in zip(names, x[:, i], strict=True)}
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


def _tame_points(expressions: Sequence[Expr], names: Sequence[str], x: Array) -> list[int]:
    """Return the points at which no operation overflows, so that exact arithmetic stays small."""
    import numpy as np

    with np.errstate(all="ignore"):
        results = columns(run_each(compile_program(expressions, names), list(x), NUMPY), x.shape[1])
    finite = np.all([np.isfinite(r) for r in results], axis=0)
    return [int(i) for i in np.flatnonzero(finite)]
