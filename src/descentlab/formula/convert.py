"""Tree → SymPy expression, with what SymPy does by itself kept within bounds.

SymPy evaluates while it builds: (2x)^1000 becomes 2^1000 x^1000, exp(1000 log(2x)) the same, a
root looks for factors of the number under it, and log(c) wants to know the sign of c, for which
it may work out a minimal polynomial. So the operands are looked at before each such step.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import sympy
from sympy import Expr
from sympy.functions.elementary.hyperbolic import HyperbolicFunction

from descentlab.formula import constants
from descentlab.formula.errors import Refusal
from descentlab.formula.functions import BY_CLASS, BY_NAME
from descentlab.formula.limits import (
    FREE_ROOT_BITS,
    LARGEST_EXPONENT,
    LARGEST_SPLIT_EXPONENT,
    MOST_BITS,
    MOST_ROOT_BITS,
    MOST_ROOT_BITS_TOGETHER,
)
from descentlab.formula.nodes import Node

_NO_NUMBER = (sympy.I, sympy.zoo, sympy.nan, sympy.oo, -sympy.oo)
_QUESTIONS = ("finite", "infinite", "zero", "nonzero", "real", "extended_real", "imaginary", "complex",
              "positive", "negative", "extended_positive", "extended_negative", "extended_nonzero",
              "nonpositive", "nonnegative", "extended_nonpositive", "extended_nonnegative",
              "hermitian", "antihermitian", "rational", "irrational", "algebraic", "transcendental",
              "integer", "noninteger", "even", "odd", "prime", "composite")  # fmt: skip
_LEAVES = (sympy.Rational, sympy.Symbol, sympy.NumberSymbol)


def to_expression(tree: Node) -> Expr:
    """Return the SymPy expression of a tree; variables become plain symbols.

    Raises Refusal for what is not a real expression (a logarithm of 0, the imaginary unit) and
    for numbers that grow past the limits.
    """
    try:
        expression = _Converter().build(tree)
    except RecursionError:
        raise Refusal("The formula is nested too deep.", tree.position) from None
    except (ArithmeticError, ValueError, TypeError, AttributeError, NotImplementedError):
        # Met in fuzzing: SymPy fails on some constants, such as asin(sin(exp(600))).
        raise Refusal("SymPy cannot work with a constant in this formula.", tree.position) from None
    _check_real(expression, tree.position)
    return expression


class _Converter:
    """Converts one tree, keeping count of the roots it has taken of numbers."""

    def __init__(self) -> None:
        self._root_bits = 0

    def convert(self, node: Node) -> Expr:
        """Return the expression of a part, checked for use in a larger one."""
        expression = self.build(node)
        if expression.is_number and not expression.is_Rational:
            _check_settled(node)
        return expression

    def build(self, node: Node) -> Expr:
        expression = self._parts(node)
        if expression.has(sympy.zoo, sympy.nan, sympy.I):
            raise _not_real(expression, node.position)
        _check_size(expression, node.position)
        return expression

    def _parts(self, node: Node) -> Expr:
        if node.kind == "number":
            value = node.value
            assert isinstance(value, Fraction)
            return sympy.Rational(value.numerator, value.denominator)
        if node.kind == "constant":
            return sympy.pi if node.text == "pi" else sympy.E
        if node.kind == "name":
            return sympy.Symbol(node.text)
        if node.kind == "sum":
            terms = (self.convert(c) for c in node.children)
            return sympy.Add(*(-t if m else t for t, m in zip(terms, node.flipped, strict=True)))
        if node.kind in ("product", "negative"):
            return sympy.Mul(*self._factors(node, below=False))
        if node.kind == "power":
            base, exponent = (self.convert(c) for c in node.children)
            return self._power(base, exponent, node.position)
        return self._call(node)

    def _factors(self, node: Node, below: bool) -> Iterator[Expr]:
        """Flatten nested products: how a text groups factors then makes no difference to SymPy."""
        if node.kind == "negative":
            yield sympy.Integer(-1)
            yield from self._factors(node.children[0], below)
        elif node.kind == "product":
            for factor, flipped in zip(node.children, node.flipped, strict=True):
                yield from self._factors(factor, below != flipped)
        else:
            factor = self.convert(node)
            yield self._power(factor, sympy.Integer(-1), node.position) if below else factor

    def _call(self, node: Node) -> Expr:
        arguments = [self.convert(c) for c in node.children]
        if node.text == "exp":
            return self._power(sympy.E, arguments[0], node.position)
        if node.text in ("sqrt", "cbrt"):
            self._check_power(arguments[0], sympy.Rational(1, 2), node.position)
        return _without_questions(BY_NAME[node.text](*arguments))

    def _power(self, base: Expr, exponent: Expr, position: int) -> Expr:
        if exponent.is_Rational:
            self._check_power(base, exponent, position)
        else:
            if base.is_Rational and base <= 0 and not exponent.is_number:
                raise constants.negative_base(None, position)
            self._check_logarithms(exponent, position)
            if base != sympy.E:
                # SymPy may split 2^(x + 5) into 2^5 2^x when it looks for common factors.
                self._check_power(base, exponent.as_coeff_Add()[0], position)
            _check_split(base, exponent, position)
        return sympy.Pow(base, exponent)

    def _check_power(self, base: Expr, exponent: Expr, position: int) -> None:
        """Bound every number that base^exponent can bring forth."""
        for factor in sympy.Mul.make_args(base):
            root, degree = (factor, sympy.Integer(1)) if factor.is_Rational else factor.as_base_exp()
            if not degree.is_Rational:
                continue
            size = abs(degree * exponent)
            if root.is_Rational and root not in (0, 1, -1):
                bits = constants.bits(root)
                if bits * max(size, 1) > MOST_BITS:
                    raise Refusal("This power makes a number of too many digits.", position)
                if not exponent.is_Integer:
                    self._count_root(bits, position)
            elif size > LARGEST_EXPONENT and not root.is_Rational:
                raise Refusal(
                    f"Multiplied up, exponents may be at most {LARGEST_EXPONENT:,} in size.", position
                )

    def _count_root(self, bits: int, position: int) -> None:
        self._root_bits += max(0, bits - FREE_ROOT_BITS)
        if bits > MOST_ROOT_BITS or self._root_bits > MOST_ROOT_BITS_TOGETHER:
            raise Refusal("The formula takes roots of numbers with too many digits.", position)

    def _check_logarithms(self, exponent: Expr, position: int) -> None:
        """e^(n log u) becomes u^n by itself: bound n as the exponent it will be."""
        for term in sympy.Add.make_args(exponent):
            number, _ = term.as_coeff_Mul(rational=True)
            for factor in sympy.Mul.make_args(term):
                if isinstance(factor, sympy.log):
                    self._check_power(factor.args[0], number, position)


def _check_split(base: Expr, exponent: Expr, position: int) -> None:
    """Bound the powers in u of u^(a/(b + c)), which SymPy splits into real and imaginary parts.

    It looks whether b + c is log(u); measured 0.15 s for three nested tenth powers, 1.2 s for
    three nested thirtieth ones.
    """
    if not any(part.is_Pow and part.base.is_Add for part in sympy.preorder_traversal(exponent)):
        return
    for part in sympy.preorder_traversal(base):
        if part.is_Pow and part.exp.is_Rational and abs(part.exp) > LARGEST_SPLIT_EXPONENT:
            raise Refusal(
                f"Exponents inside a base may be at most {LARGEST_SPLIT_EXPONENT} where its exponent "
                "divides by a sum.",
                position,
            )


def _without_questions(expression: Expr) -> Expr:
    """Make SymPy take a hyperbolic function as it is, without asking if it is finite or zero.

    To answer, SymPy splits the argument into real and imaginary parts and multiplies out its
    powers: exp(cosh((x^10 + y)^10)) would take for ever, six nested tanh take seconds. "Unknown"
    is the answer it comes to in the end; here it is written down beforehand.
    """
    for factor in sympy.Mul.make_args(expression):  # tanh(-u) has become -tanh(u)
        if isinstance(factor, HyperbolicFunction) and not factor.is_number:
            known = factor.default_assumptions.copy()
            for fact in _QUESTIONS:
                known.setdefault(fact, None)
            factor._assumptions = known
    return expression


def _check_size(expression: Expr, position: int) -> None:
    for term in sympy.Add.make_args(expression):
        number = term.as_coeff_Mul(rational=True)[0]
        constants.check_size(number, "This part", position)


def _check_settled(node: Node) -> None:
    """Refuse a constant whose sign SymPy might try for ever to tell.

    To tell sqrt(5+2*sqrt(6)) - sqrt(2) - sqrt(3) from zero SymPy works out a minimal polynomial,
    whose degree doubles with every root.
    """
    if node.value is None:
        raise Refusal("The variables cancel out of this part: simplify it by hand.", node.position)
    if node.kind == "sum":
        terms = [c.value for c in node.children if c.value is not None]
        if constants.cancels(node.value, terms):
            raise Refusal("This part is zero to rounding: if it is zero, leave it out.", node.position)


def _not_real(expression: Expr, position: int) -> Refusal:
    if expression.has(sympy.I):
        return Refusal("This part is not a real number.", position)
    return Refusal("This part has no finite value (a division by zero, or a logarithm of zero).", position)


def _check_real(expression: Expr, position: int) -> None:
    """Refuse what no later part of the lab could compute."""
    stack, seen = [expression], set()
    while stack:
        part = stack.pop()
        if part in seen:
            continue
        seen.add(part)
        if part in _NO_NUMBER:
            raise _not_real(expression, position)
        known = part.is_Add or part.is_Mul or part.is_Pow or part.func in BY_CLASS
        if not (known or isinstance(part, _LEAVES)):
            raise Refusal(f"The formula turns into '{part.func}', which the lab does not know.", position)
        stack.extend(part.args)
