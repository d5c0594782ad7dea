"""Text → expression, without executing text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sympy import Expr

from descentlab.errors import InputError
from descentlab.formula import notation
from descentlab.formula.convert import to_expression
from descentlab.formula.errors import FormulaError, Refusal
from descentlab.formula.limits import MOST_CHARACTERS
from descentlab.formula.nodes import Node, echo


@dataclass(frozen=True)
class ParsedFormula:
    """A formula that was understood.

    text: as given. expression: a SymPy expression in plain symbols. names: the variables, in
    natural order, or in the order declared. understood: the formula as it was read, in plain
    text with every * and every bracket that matters; parsed again it gives an equal expression.
    """

    text: str
    expression: Expr
    names: tuple[str, ...]
    understood: str


def parse(text: str, variables: Sequence[str] | str | None = None) -> ParsedFormula:
    """Read a formula such as "cos(2πx) + x²" or "1/2 x^2".

    text: at most 4,000 characters. `1/2x` is (1/2)*x: multiplication without a sign has the
        precedence of * and /. A run of letters such as xy is one variable; write x*y or x y for
        a product. Decimal numbers are exact (0.05 is 1/20). A leading `f(x, y) =` or `y =` is
        left out; the arguments of `f` are then the variables.
    variables: the names that are variables, in this order; no others are then allowed. Without
        it every name that is neither a function nor a constant is one.

    Raises FormulaError, with the position of the fault, for a text that is not a formula, has
    no real values, or is past a limit; InputError for an impossible name in `variables`.

    >>> parse("2x + 1/2 y^2").understood
    '2*x + (1/2)*y^2'
    >>> parse("cos(2πx) + x²").expression
    x**2 + cos(2*pi*x)
    """
    if not isinstance(text, str):
        raise FormulaError(f"A formula is a text, not {type(text).__name__}.")
    declared = notation.declared_names(variables)
    try:
        return _parsed(text, declared)
    except Refusal as refusal:
        raise FormulaError(refusal.message, text, refusal.position) from None


def _parsed(text: str, declared: tuple[str, ...] | None) -> ParsedFormula:
    if len(text) > MOST_CHARACTERS:
        raise Refusal(f"The formula is {len(text):,} characters long; {MOST_CHARACTERS:,} are allowed.")
    body, declared, head = _without_head(text, declared)
    notation.check_characters(body)
    if not body.strip():
        raise Refusal("The formula is empty: write something like x^2 + cos(x).")
    tree = _read(body)
    names = _names(tree, declared, head)
    return ParsedFormula(text, to_expression(tree), names, _understood(tree))


def _read(body: str) -> Node:
    from descentlab.formula.reader import read  # Lark loads with the first formula, not before

    return read(body)


def _without_head(text: str, declared: tuple[str, ...] | None) -> tuple[str, tuple[str, ...] | None, str]:
    """Blank out a leading `f(x) =`, so that positions stay, and take its arguments as declared."""
    try:
        head = notation.read_head(text)
    except InputError as error:
        raise Refusal(str(error), text.index("(")) from None
    if head is None:
        return text, declared, ""
    if head.arguments is not None:
        if declared is not None and set(head.arguments) != set(declared):
            raise Refusal("The variables before '=' are not the ones declared.", text.index("("))
        declared = declared or head.arguments
    return " " * head.end + text[head.end :], declared, head.name


def _names(tree: Node, declared: tuple[str, ...] | None, head: str) -> tuple[str, ...]:
    """Return the variables, after looking at every name in the order of the text."""
    found = sorted(_leaves(tree), key=lambda leaf: leaf.position)
    for leaf in found:
        if leaf.text == head:
            raise Refusal(f"'{head}' stands on both sides of '='.", leaf.position)
        if declared is None:
            notation.check_undeclared(leaf.text, leaf.called, leaf.position)
        elif leaf.text not in declared:
            raise notation.unknown_variable(leaf.text, declared, leaf.called, leaf.position)
    if declared is not None:
        if not declared:
            raise Refusal("No variable is declared.", tree.position)
        return declared
    if not found:
        raise Refusal("The formula has no variable. If a constant is meant, declare a variable for it.")
    return notation.known_names(leaf.text for leaf in found)


def _leaves(node: Node) -> Iterator[Node]:
    """Yield the names in a tree. Its depth is bounded, so recursion is safe."""
    if node.kind == "name":
        yield node
    for child in node.children:
        yield from _leaves(child)


def _understood(tree: Node) -> str:
    text = echo(tree)
    if len(text) > MOST_CHARACTERS:
        text = echo(tree, spaced=False)
    if len(text) > MOST_CHARACTERS:
        raise Refusal(f"Written out in full the formula is longer than {MOST_CHARACTERS:,} characters.")
    return text
