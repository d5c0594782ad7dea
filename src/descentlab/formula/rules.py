"""The rules of differentiation, each as a person would state it.

`plan(u, x)` looks at the outermost operation of `u` and returns the rule that applies: its
name, one sentence, the pieces that are left to differentiate, the statement with their
derivatives still to be found, and how the found ones are put together. These are the lab's
own rules and the function table's; SymPy's `diff` is not used here, so that it can serve as
a check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import sympy
from sympy import Expr, Symbol

from descentlab.errors import InputError
from descentlab.formula.functions import BY_CLASS, KnownFunction
from descentlab.formula.layout import (
    DOT,
    EQUALS,
    MINUS,
    PLUS,
    Fence,
    Layout,
    Math,
    Over,
    Power,
    Row,
    Word,
    arrange,
    derivative,
    row,
    signed_terms,
)
from descentlab.formula.mathml import Sentence


@dataclass(frozen=True)
class Plan:
    """One rule applied to one expression.

    explanation: words and formulas in turn; `mathml.prose` and `mathml.prose_html` join them.
    pieces: what is left to differentiate, in the order a person does it.
    assemble: the derivatives of the pieces → the derivative of the whole.
    statement: the right-hand side with the pieces' derivatives not yet worked out, or None
        where the rule gives the answer at once.
    """

    rule: str
    explanation: Sentence
    assemble: Callable[..., Expr]
    pieces: tuple[Expr, ...] = ()
    statement: Layout | None = None


class Rules:
    """The rules for one variable, `x`. `partial`: write ∂ and speak of variables held still."""

    def __init__(self, x: Symbol, partial: bool, names: Iterable[str] = ()) -> None:
        self.x = x
        self.partial = partial
        # The name for "the inside" must not be one of the variables.
        taken = {x.name, *names}
        self.u = Symbol(next(name for name in ("u", "w", "s", "inside") if name not in taken))
        self._depends: dict[Expr, bool] = {x: True}

    def depends(self, u: Expr) -> bool:
        """Whether x occurs in `u`."""
        if u not in self._depends:
            self._depends[u] = any(self.depends(a) for a in u.args)
        return self._depends[u]

    def plan(self, u: Expr, outermost: bool = False) -> Plan:
        """Return the rule for the outermost operation of `u`.

        `outermost`: spell out even a polynomial term by term, which inside a larger
        expression is done on one line.
        """
        if not self.depends(u):
            return self._constant(u)
        if u == self.x:
            return Plan("variable rule", (self.x, " has slope 1."), lambda: sympy.Integer(1))
        if u.is_Add:
            return self._sum(u, outermost)
        if u.is_Mul:
            return self._product(u)
        if u.is_Pow:
            return self._power(u)
        row_ = BY_CLASS.get(u.func)
        if row_ is None:
            raise InputError(f"'{u}' is not something the lab can differentiate.")
        return self._function(u, row_) if len(u.args) == 1 else self._function_of_two(u, row_)

    def _d(self, u: Expr) -> Layout:
        return derivative(str(self.x), Math(u), self.partial)

    def _constant(self, u: Expr) -> Plan:
        others = sorted(str(s) for s in u.free_symbols)
        if not others:
            why: Sentence = (u, " is a constant, so its slope is 0.")
        else:
            why = (u, " has no ", self.x, f" in it: with {listed(others)} held still it is a constant.")
        return Plan("constant rule", why, lambda: sympy.Integer(0))

    # Sums

    def _sum(self, u: Expr, outermost: bool) -> Plan:
        changing = [(n, t) for n, t in signed_terms(u) if self.depends(t)]
        still = sympy.Add(*(t for t in u.args if not self.depends(t)))
        if not outermost and all(self._short_term(t) is not None for _, t in changing):
            return self._short_sum(u, [t for t in u.args if self.depends(t)], still)
        pieces = [t for _, t in changing]
        signs = [-1 if negative else 1 for negative, _ in changing]
        items: list[Layout] = []
        for sign, piece in zip(signs, pieces, strict=True):
            if items or sign < 0:
                items.append(MINUS if sign < 0 else PLUS)
            items.append(self._d(piece))
        if still != 0:
            pieces.append(still)
            signs.append(1)
            items += [PLUS, self._d(still)]
        return Plan(
            "sum rule",
            ("a sum is differentiated term by term.",),
            lambda *d: sympy.Add(*(s * r for s, r in zip(signs, d, strict=True))),
            tuple(pieces),
            row(*items),
        )

    def _short_sum(self, u: Expr, terms: list[Expr], still: Expr) -> Plan:
        """A polynomial inside a larger expression: on one line."""
        results = [self._short_term(t) or sympy.Integer(0) for t in terms]
        powers = any(self.depends(r) for r in results)
        why: Sentence = ("term by term" + (", with the power rule" if powers else ""),)
        if still != 0:
            why += ("; ", still, " is a constant and drops out")
        return Plan("sum and power rules" if powers else "sum rule", (*why, "."), lambda: sympy.Add(*results))

    def _short_term(self, u: Expr) -> Expr | None:
        """Return the derivative of c·x^n, or None if `u` is something else."""
        still, changing = self.split(u)
        base, exponent = changing.as_base_exp()
        if base != self.x or self.depends(exponent):
            return None
        return still * exponent * base ** (exponent - 1)

    def split(self, u: Expr) -> tuple[Expr, Expr]:
        """Split a product into the factor without x and the rest."""
        factors = sympy.Mul.make_args(u)
        still = sympy.Mul(*(f for f in factors if not self.depends(f)))
        return still, sympy.Mul(*(f for f in factors if self.depends(f)))

    # Products and quotients

    def _product(self, u: Expr) -> Plan:
        still, rest = self.split(u)
        if still == 1:
            below = [f for f in rest.args if f.is_Pow and f.exp.is_Rational and f.exp < 0]
            above = [f for f in rest.args if f not in below]
            if below and above:
                return self._quotient(sympy.Mul(*above), 1 / sympy.Mul(*below))
            return self._reciprocal(u) if below else self._product_of(above)
        result = self._short_term(u)
        if result is None:
            why: Sentence = ("the constant factor ", still, " stays in front.")
            if still == -1:
                why = ("the minus sign stays in front.",)
            lead = MINUS if still == -1 else row(Math(still, bracket=True), DOT)
            return Plan("constant multiple rule", why, lambda d: still * d, (rest,), row(lead, self._d(rest)))
        answer = result
        if rest == self.x:
            why = ("the constant factor ", still, " stays, and ", self.x, " has slope 1.")
            return Plan("constant multiple rule", why, lambda: answer)
        why = ("the constant factor ", still, " stays; ", *self._power_words(rest.exp))
        return Plan("constant multiple and power rules", why, lambda: answer)

    def _product_of(self, factors: list[Expr]) -> Plan:
        """(u v w)' = u' v w + u v' w + u v w'."""
        factors = sympy.Mul(*factors).as_ordered_factors()
        items: list[Layout] = []
        for i in range(len(factors)):
            items += [PLUS] if items else []
            for j, factor in enumerate(factors):
                items += [DOT] if j else []
                items.append(self._d(factor) if i == j else Math(factor, bracket=True))

        def assemble(*d: Expr) -> Expr:
            return sympy.Add(
                *(
                    sympy.Mul(*(d[j] if i == j else f for j, f in enumerate(factors)))
                    for i in range(len(factors))
                )
            )

        why = "each factor is differentiated in turn while the others stay."
        if len(factors) == 2:
            why = "the slope of the first times the second, plus the first times the slope of the second."
        return Plan("product rule", (why,), assemble, tuple(factors), Row(tuple(items)))

    def _quotient(self, u: Expr, v: Expr) -> Plan:
        """(u/v)' = (u' v − u v') / v²."""
        top = row(self._d(u), DOT, Math(v, bracket=True), MINUS, Math(u, bracket=True), DOT, self._d(v))
        bottom = _squared(v)
        why = (
            "the slope of the top times the bottom, minus the top times the slope of the bottom, "
            "all over the bottom squared."
        )
        return Plan(
            "quotient rule", (why,), lambda du, dv: (du * v - u * dv) / v**2, (u, v), Over(top, bottom)
        )

    def _reciprocal(self, u: Expr) -> Plan:
        """(1/v)' = −v'/v²."""
        v = 1 / u
        statement = row(MINUS, Over(self._d(v), _squared(v)))
        why = (
            "minus the slope of the bottom, over the bottom squared: "
            "the quotient rule with a constant on top."
        )
        return Plan("reciprocal rule", (why,), lambda dv: -dv / v**2, (v,), statement)

    # Powers

    def _power(self, u: Expr) -> Plan:
        base, exponent = u.args
        if not self.depends(exponent):
            slope = exponent * base ** (exponent - 1)
            if base == self.x:
                return Plan("power rule", self._power_words(exponent), lambda: slope)
            power = sympy.Pow(self.u, exponent)
            return self._chain(power, exponent * self.u ** (exponent - 1), base, slope)
        if not self.depends(base):
            slope = u * sympy.log(base)
            if exponent == self.x:
                why = ("a constant to the power ", self.x, " is itself times the logarithm of the constant.")
                return Plan("exponential rule", why, lambda: slope)
            power = sympy.Pow(base, self.u)
            return self._chain(power, power * sympy.log(base), exponent, slope)
        return self._general_power(u, base, exponent)

    def _general_power(self, u: Expr, base: Expr, exponent: Expr) -> Plan:
        """(b^e)' = b^e (e' ln b + e b'/b)."""
        log = sympy.log(base)
        inside = row(
            self._d(exponent),
            DOT,
            Math(log),
            PLUS,
            Over(row(Math(exponent, bracket=True), DOT, self._d(base)), Math(base)),
        )
        as_exp = sympy.exp(exponent * log, evaluate=False)
        why = (
            "the base and the exponent both change: write it as ",
            as_exp,
            ", which needs ",
            base,
            " > 0, and use the chain and product rules.",
        )
        return Plan(
            "general power rule",
            why,
            lambda de, db: u * (de * log + exponent * db / base),
            (exponent, base),
            row(Math(u), DOT, Fence(inside)),
        )

    def _power_words(self, exponent: Expr) -> Sentence:
        root = sympy.sqrt(self.x)
        written = Power(Math(self.x), arrange(exponent, inline=True))
        lowered: Sentence = ("the exponent ", exponent, " comes down in front and is lowered by one.")
        if exponent == sympy.Rational(1, 2):
            return (root, " is ", written, ", so its slope is ", 1 / (2 * root), ".")
        if exponent.is_Rational and exponent < 0:
            return (sympy.Pow(self.x, exponent), " is ", written, ": ", *lowered)
        return lowered

    # Functions and the chain rule

    def _function(self, u: Expr, known: KnownFunction) -> Plan:
        inner = u.args[0]
        slope = known.derivative[0](inner)
        rule = f"derivative of {known.name}"
        if slope == 0:
            return Plan(rule, (known.cls(self.u), " is flat between its jumps."), lambda: slope)
        if inner == self.x:
            return Plan(rule, ("the slope of ", u, " is ", slope, "."), lambda: slope)
        return self._chain(known.cls(self.u), known.derivative[0](self.u), inner, slope)

    def _chain(self, outer: Expr, outer_slope: Expr, inner: Expr, slope: Expr) -> Plan:
        """(F(u))' = F'(u) u'. `slope` is F'(u) at u = `inner`."""
        why: Sentence = (
            "the outside is ",
            outer,
            ", with slope ",
            outer_slope,
            "; the inside is ",
            row(Math(self.u), EQUALS, Math(inner)),
            ". Multiply the two slopes.",
        )
        statement = row(Math(slope, bracket=slope.is_Add), DOT, self._d(inner))
        return Plan("chain rule", why, lambda d: slope * d, (inner,), statement)

    def _function_of_two(self, u: Expr, known: KnownFunction) -> Plan:
        """(F(u, v))' = ∂F/∂u u' + ∂F/∂v v'."""
        pairs = [(known.derivative[i](*u.args), a) for i, a in enumerate(u.args) if self.depends(a)]
        items: list[Layout] = []
        for slope, argument in pairs:
            items += [PLUS] if items else []
            items += [Math(slope, bracket=True), DOT, self._d(argument)]
        first, second = (row(Math(Symbol(n)), EQUALS, Math(a)) for n, a in zip("uv", u.args, strict=True))
        return Plan(
            f"derivative of {known.name}",
            (f"{known.rule}; here ", first, " and ", second, "."),
            lambda *d: sympy.Add(*(s * r for (s, _), r in zip(pairs, d, strict=True))),
            tuple(a for _, a in pairs),
            row(*items),
        )


def listed(names: Iterable[str]) -> str:
    """Return 'x', 'x and y' or 'x, y and z'."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _squared(v: Expr) -> Layout:
    return Power(Math(v) if v.is_Symbol else Fence(Math(v)), Word("2", "number"))
