"""Where a formula's slope jumps or grows without bound, said in words.

The jumps come from the function table (`KnownFunction.kink`); unbounded slopes from roots and
from inverse functions at the ends of their domains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Expr

from descentlab.formula.functions import BY_CLASS, absolute, cbrt, relu, sigmoid, softplus, step
from descentlab.formula.mathml import text
from descentlab.formula.rules import Rules


@dataclass(frozen=True)
class Kink:
    """Where the slope jumps, or grows without bound.

    expression: the subexpression that has the kink, such as |x − 1|.
    zero: the kink lies where this is 0. at: the value of the variable there, if `zero` is
        linear in it. kind: "jump" or "unbounded".
    """

    expression: Expr
    zero: Expr
    at: Expr | None
    kind: str
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "expression": text(self.expression),
            "zero": text(self.zero),
            "at": None if self.at is None else text(self.at),
            "kind": self.kind,
            "sentence": self.sentence,
        }


# Function → what is zero where its slope grows without bound.
_UNBOUNDED: dict[Any, Callable[[Expr], Expr]] = {
    cbrt: lambda u: u,
    sympy.asin: lambda u: u**2 - 1,
    sympy.acos: lambda u: u**2 - 1,
    sympy.acosh: lambda u: u - 1,
    sympy.asec: lambda u: u**2 - 1,
    sympy.acsc: lambda u: u**2 - 1,
    sympy.asech: lambda u: u - 1,
}


def find_kinks(expression: Expr, rules: Rules) -> Iterator[Kink]:
    """Yield the kinks of `expression` in the variable of `rules`, each subexpression once."""
    seen: set[Expr] = set()
    for node in sympy.preorder_traversal(expression):
        if node in seen or not node.args or not rules.depends(node):
            continue
        seen.add(node)
        known = BY_CLASS.get(node.func)
        if known is not None and known.kink:
            zero = node.args[0] if len(node.args) == 1 else node.args[0] - node.args[1]
            if rules.depends(zero) and not _never_zero(zero):
                yield _jump(node, zero, known.kink, rules)
        elif node.func in _UNBOUNDED:
            yield from _steep(node, _UNBOUNDED[node.func](node.args[0]), rules)
        elif node.is_Pow and node.exp.is_Rational and 0 < node.exp < 1:
            yield from _steep(node, node.base, rules)


def _jump(node: Expr, zero: Expr, what: str, rules: Rules) -> Kink:
    here = " and ".join(f"{n} = {text(a)}" for n, a in zip("uv", node.args, strict=False))
    at = _root(zero, rules)
    where = f"at {_equal(rules, at)}" if at is not None else f"where {text(zero)} = 0"
    return Kink(node, zero, at, "jump", f"{what}. Here {here}: the kink lies {where}.")


def _steep(node: Expr, zero: Expr, rules: Rules) -> Iterator[Kink]:
    if not rules.depends(zero) or _never_zero(zero):
        return
    at = _root(zero, rules)
    where = _equal(rules, at) if at is not None else f"{text(zero)} = 0"
    yield Kink(
        node,
        zero,
        at,
        "unbounded",
        f"The slope of {text(node)} as a function of {text(node.args[0])} grows without bound near "
        f"{where}, so the formula for the derivative has no value there.",
    )


def _equal(rules: Rules, at: Expr) -> str:
    return f"{rules.x} = {text(at)}"


def _root(u: Expr, rules: Rules) -> Expr | None:
    """Return where `u` is zero if it is linear in the variable with a constant slope, else None."""
    constant = slope = sympy.Integer(0)
    for term in sympy.Add.make_args(u):
        if not rules.depends(term):
            constant += term
            continue
        factor, rest = rules.split(term)
        if rest != rules.x or factor.free_symbols:
            return None
        slope += factor
    return -constant / slope


def _never_zero(u: Expr) -> bool:
    """Whether `u` is plainly positive or negative everywhere, by its form alone."""
    return _positive(u) or _positive(-u)


def _positive(u: Expr) -> bool:
    if u.is_Number or u.is_NumberSymbol:
        return bool(u.is_positive)
    if u.func in (sympy.exp, sympy.cosh, sigmoid, softplus):
        return True
    if u.is_Add:
        return all(_at_least_zero(a) for a in u.args) and any(_positive(a) for a in u.args)
    if u.is_Mul:
        return all(_positive(a) for a in u.args)
    return bool(u.is_Pow) and _positive(u.base)


def _at_least_zero(u: Expr) -> bool:
    if u.is_zero or u.func in (absolute, relu, step) or _positive(u):
        return True
    if u.is_Pow:
        even = u.exp.is_Integer and u.exp % 2 == 0
        return bool(even or _at_least_zero(u.base) or u.exp == sympy.Rational(1, 2))
    return bool(u.is_Mul or u.is_Add) and all(_at_least_zero(a) for a in u.args)
