"""An expression arranged as a person would write it, before it becomes MathML or LaTeX.

`arrange(expression)` returns a small tree of rows, fractions, powers and roots. The order of
terms, the choice between 1/√x and x^(−1/2) and every bracket are decided here once, so that
all notations agree. Statements about derivatives are trees of the same nodes, with whole
expressions (`Math`) among their leaves.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Expr

from descentlab.formula.functions import absolute, cbrt


@dataclass(frozen=True)
class Word:
    """A symbol of its own. kind: number, letter, name (upright), operator, space or words."""

    text: str
    kind: str


@dataclass(frozen=True)
class Math:
    """A whole expression; in brackets if it is a sum and `bracket` says so."""

    expression: Expr
    bracket: bool = False


@dataclass(frozen=True)
class Row:
    items: tuple[Layout, ...]


@dataclass(frozen=True)
class Over:
    above: Layout
    below: Layout


@dataclass(frozen=True)
class Power:
    base: Layout
    exponent: Layout


@dataclass(frozen=True)
class Index:
    base: Layout
    index: Layout


@dataclass(frozen=True)
class Root:
    inside: Layout
    degree: str = ""


@dataclass(frozen=True)
class Fence:
    """Something between two brackets: (), [] or ||."""

    inside: Layout
    brackets: str = "()"


Layout = Word | Math | Row | Over | Power | Index | Root | Fence

_GREEK_NAMES = (
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Sigma",
    "Phi",
    "Psi",
    "Omega",
)
GREEK = dict(zip(_GREEK_NAMES, "αβγδεζηθικλμνξρστυφχψωΓΔΘΛΞΣΦΨΩ", strict=True))

_TRIGONOMETRIC = ("sin", "cos", "tan", "cot", "sec", "csc")
_HYPERBOLIC = ("sinh", "cosh", "tanh", "coth", "sech", "csch")

# Text name → written name, where they differ. The inverse functions get their long names.
WRITTEN = {"log": "ln", "relu": "ReLU", "sigmoid": "σ", "sign": "sgn", "minimum": "min", "maximum": "max"}
WRITTEN |= {f"a{name}": f"arc{name}" for name in _TRIGONOMETRIC}
WRITTEN |= {f"a{name}": f"ar{name}" for name in _HYPERBOLIC}

# sin²(x) is the custom for these alone; ln²(x) and σ²(x) are read in two ways.
_SQUARED_NAME = {*_TRIGONOMETRIC, *_HYPERBOLIC}

_SUM, _PRODUCT, _POWER, _ATOM = range(4)
SPACE = Word(" ", "space")
MINUS = Word("−", "operator")
PLUS = Word("+", "operator")
DOT = Word("·", "operator")
EQUALS = Word("=", "operator")


def row(*items: Layout) -> Layout:
    """Return the items side by side, rows inside rows flattened."""
    flat: list[Layout] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Row) else (item,))
    return flat[0] if len(flat) == 1 else Row(tuple(flat))


def derivative(name: str, of: Layout, partial: bool = False) -> Layout:
    """d/dx [of], or ∂/∂x [of]."""
    d = Word("∂" if partial else "d", "letter")
    return row(Over(d, row(d, variable(name))), Fence(of, "[]"))


def slope(name: str, function: str = "f", partial: bool = False) -> Layout:
    """df/dx, or ∂f/∂x."""
    d = Word("∂" if partial else "d", "letter")
    return Over(row(d, variable(function)), row(d, variable(name)))


def function_of(names: tuple[str, ...], function: str = "f") -> Layout:
    """f(x, y)."""
    return row(variable(function), Fence(_listed([variable(name) for name in names])))


def gradient_of(names: tuple[str, ...]) -> Layout:
    """(∂f/∂x, ∂f/∂y): the collection of all partial derivatives."""
    return Fence(_listed([slope(name, partial=True) for name in names]))


def variable(name: str) -> Layout:
    """A variable's name: Greek letters spelled out become letters, x1 and x_1 get a subscript."""
    match = re.fullmatch(r"([^\W\d_]+)_?(\d+)", name)
    base, index = match.groups() if match else (name, "")
    letter = GREEK.get(base, base)
    word = Word(letter, "letter" if len(letter) == 1 else "name")
    return Index(word, Word(index, "number")) if index else word


def arrange(expression: Expr, inline: bool = False) -> Layout:
    """Return `expression` as it would be written. `inline`: fractions with a slash, as in exponents."""
    return _arrange(expression, inline)[0]


# The steps of a derivation repeat each other's subexpressions, and SymPy's ordering is slow.
@functools.lru_cache(maxsize=8192)
def _arrange(node: Expr, inline: bool) -> tuple[Layout, int]:
    """Return the layout and how tightly it binds."""
    if node.is_Symbol:
        return variable(node.name), _ATOM
    if node.is_Rational:
        return _rational(node, inline)
    if node.is_Add:
        return _sum(node, inline), _SUM
    if node.is_Mul:
        return _product(node, inline)
    if node.is_Pow:
        return _power(node, inline)
    if node.is_Atom:
        return _constant(node), _ATOM
    return _call(node, inline)


def _constant(node: Expr) -> Layout:
    known = {sympy.pi: "π", sympy.E: "e", sympy.oo: "∞"}
    if node in known:
        return Word(known[node], "letter")
    return Word(sympy.sstr(node, full_prec=False).replace("-", "−"), "number")


def _rational(node: Expr, inline: bool) -> tuple[Layout, int]:
    size = abs(node)
    layout: Layout = Word(str(size.p), "number")
    binding = _ATOM
    if size.q != 1:
        layout, binding = _over(layout, Word(str(size.q), "number"), inline), _PRODUCT
    return (row(MINUS, layout), _SUM) if node < 0 else (layout, binding)


def _over(above: Layout, below: Layout, inline: bool) -> Layout:
    return row(above, Word("/", "operator"), below) if inline else Over(above, below)


def _sum(node: Expr, inline: bool) -> Layout:
    items: list[Layout] = []
    for negative, term in signed_terms(node):
        if negative or items:
            items.append(MINUS if negative else PLUS)
        items.append(_bracketed(term, _PRODUCT, inline))
    return row(*items)


@functools.lru_cache(maxsize=8192)
def signed_terms(node: Expr, flip: bool = True) -> tuple[tuple[bool, Expr], ...]:
    """Return the terms of a sum in written order, each as (it is subtracted, the term without sign).

    SymPy's order, which has falling powers, but a term that is added comes first if there is one.
    `flip`: count a factor such as (−2x − 2) as −(2x + 2).
    """
    terms = [_signed(term, flip) for term in node.as_ordered_terms()]
    if terms[0][0] and not _falling_powers(node):
        first = next((i for i, (negative, _) in enumerate(terms) if not negative), 0)
        terms.insert(0, terms.pop(first))
    return tuple(terms)


def _signed(term: Expr, flip: bool) -> tuple[bool, Expr]:
    """Return whether a term has a minus sign, and the term without it."""
    coefficient, rest = term.as_coeff_Mul()
    factors = list(sympy.Mul.make_args(rest))
    negative = bool(coefficient.is_negative)
    for i, factor in enumerate(factors):
        if flip and factor.is_Add and all(t.as_coeff_Mul()[0].is_negative for t in factor.args):
            negative, factors[i] = not negative, -factor
    return negative, sympy.Mul(abs(coefficient) if coefficient.is_negative else coefficient, *factors)


def _falling_powers(node: Expr) -> bool:
    """Whether a sum is a polynomial in one variable, whose order of powers is to be kept."""
    if len(node.free_symbols) != 1 or len(node.args) < 3:
        return False
    factors = [factor for term in node.args for factor in sympy.Mul.make_args(term)]
    return all(f.is_Number or f.is_Symbol or (f.is_Pow and f.base.is_Symbol) for f in factors)


def _bracketed(node: Expr, needed: int, inline: bool) -> Layout:
    layout, binding = _arrange(node, inline)
    return Fence(layout) if binding < needed else layout


def _product(node: Expr, inline: bool) -> tuple[Layout, int]:
    negative, node = _signed(node, flip=True)
    if not node.is_Mul:
        return row(MINUS, _bracketed(node, _PRODUCT, inline)), _SUM
    size, above, below = fraction(node)
    if below or (size.q != 1 and (inline or _is_plain(above))):
        upper = _factors(size.p, above, inline, alone=not inline)
        lower = _factors(size.q, below, inline, alone=not inline)
        if inline and len(below) + (size.q != 1) > 1:
            lower = Fence(lower)
        layout = _over(upper, lower, inline)
    elif size.q != 1:
        layout = row(
            Over(Word(str(size.p), "number"), Word(str(size.q), "number")), SPACE, _factors(1, above, inline)
        )
    else:
        layout = _factors(size.p, above, inline)
    return (row(MINUS, layout), _SUM) if negative else (layout, _PRODUCT)


def fraction(node: Expr) -> tuple[Expr, list[Expr], list[Expr]]:
    """Split a product into its number, the other factors above and those below the line."""
    coefficient, rest = node.as_coeff_Mul(rational=True)
    above, below = [], []
    for factor in sorted(rest.as_ordered_factors() if rest.is_Mul else [rest], key=_place):
        if factor.is_Pow and factor.exp.is_Rational and factor.exp < 0:
            below.append(factor.base**-factor.exp)
        elif factor != 1:
            above.append(factor)
    return coefficient, above, below


def _place(factor: Expr) -> int:
    """Letters, then sums of letters, functions, sums of functions, exponentials: x(x + 1) sin(x) e^x."""
    base = factor.base if factor.is_Pow else factor
    if base.func is sympy.exp:
        return 4
    return (1 if base.is_Add else 0) + (2 if base.atoms(sympy.Function) else 0)


def _is_plain(factors: list[Expr]) -> bool:
    """Whether these factors are letters and powers of letters, which look well over a line."""
    return all(f.is_Atom or (f.is_Pow and f.base.is_Atom and f.exp.is_Atom) for f in factors)


def _factors(number: Any, factors: list[Expr], inline: bool, alone: bool = False) -> Layout:
    """Return a product side by side. `alone`: over or under a line, where one sum needs no brackets."""
    if not factors:
        return Word(str(number), "number")
    if number == 1 and len(factors) == 1 and alone:
        return arrange(factors[0], inline)
    items: list[Layout] = [] if number == 1 else [Word(str(number), "number")]
    for factor in factors:
        layout = _bracketed(factor, _PRODUCT, inline)
        if items:
            items.extend(_between(items[-1], layout))
        items.append(layout)
    return row(*items)


def _between(left: Layout, right: Layout) -> tuple[Layout, ...]:
    """Return what separates two factors: a dot before a digit, a space beside names and brackets."""
    first, last = _edge(right, 0), _edge(left, -1)
    if isinstance(first, Word) and first.kind == "number":
        return (DOT,)
    if isinstance(last, Word) and last.kind == "number" and not isinstance(first, Over):
        needs_space = isinstance(first, Word) and first.kind == "name"
        return (SPACE,) if needs_space else ()
    single = isinstance(first, Word) and first.kind == "letter" and not isinstance(right, Row)
    plain = isinstance(last, Word) and last.kind == "letter" and not isinstance(left, Row)
    return () if single and plain else (SPACE,)


def _edge(layout: Layout, side: int) -> Layout:
    """Return the leftmost (0) or rightmost (−1) thing of a layout that touches its neighbour."""
    while isinstance(layout, Row | Power | Index):
        layout = layout.items[side] if isinstance(layout, Row) else layout.base
    return layout


def _power(node: Expr, inline: bool) -> tuple[Layout, int]:
    base, exponent = node.args
    if exponent.is_Rational and exponent < 0:
        below = base**-exponent
        lower = _bracketed(below, _POWER, True) if inline else arrange(below)
        return _over(Word("1", "number"), lower, inline), _PRODUCT
    if exponent == sympy.Rational(1, 2):
        return Root(arrange(base, inline)), _ATOM
    written = arrange(exponent, inline=True)
    if _squares_its_name(base) and exponent.is_Integer:
        name, arguments = _call_parts(base, inline)
        return row(Power(name, written), arguments), _ATOM
    lower = _bracketed(base, _ATOM, inline)
    return Power(Fence(lower) if isinstance(lower, Root) else lower, written), _POWER


def _squares_its_name(node: Expr) -> bool:
    return bool(node.is_Function) and node.func.__name__ in _SQUARED_NAME


def _call(node: Expr, inline: bool) -> tuple[Layout, int]:
    if node.func is sympy.exp and not (inline and node.args[0].has(sympy.exp)):
        return Power(Word("e", "letter"), arrange(node.args[0], inline=True)), _POWER
    if node.func is absolute:
        return Fence(arrange(node.args[0], inline), "||"), _ATOM
    if node.func is cbrt:
        return Root(arrange(node.args[0], inline), "3"), _ATOM
    return row(*_call_parts(node, inline)), _ATOM


def _call_parts(node: Expr, inline: bool) -> tuple[Layout, Layout]:
    name = node.func.__name__
    written = WRITTEN.get(name, name)
    word = Word(written, "letter" if len(written) == 1 else "name")
    return word, Fence(_listed([arrange(a, inline) for a in node.args]))


def _listed(items: list[Layout]) -> Layout:
    """Return items with commas between."""
    listed = items[:1]
    for item in items[1:]:
        listed += [Word(",", "operator"), item]
    return row(*listed)
