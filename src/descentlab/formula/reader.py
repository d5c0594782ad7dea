"""Text → tree, by the grammar in grammar.lark. The only module that loads Lark."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken

from descentlab.formula import nodes
from descentlab.formula.errors import Refusal
from descentlab.formula.nodes import Node
from descentlab.formula.tokens import Notation

_SUPERSCRIPT_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def read(text: str) -> Node:
    """Return the tree of `text`, whose characters are all known.

    Raises Refusal with a position for anything that is not a formula or is past a limit.
    """
    try:
        tree: Any = _parser().parse(text)
    except UnexpectedCharacters as error:
        raise _stray(text, error.pos_in_stream or 0) from None
    except UnexpectedToken as error:
        raise _misplaced(text, error.token, set(error.expected)) from None
    return tree  # type: ignore[no-any-return]


@functools.cache
def _parser() -> Lark:
    grammar = files("descentlab.formula").joinpath("grammar.lark").read_text(encoding="utf-8")
    # The lexer is told nothing of the parser's state ("basic"): it builds faster, and what may
    # stand where is told by the parser, whose errors name the token.
    return Lark(grammar, parser="lalr", lexer="basic", postlex=Notation(), transformer=_Builder())


def _stray(text: str, position: int) -> Refusal:
    character = text[position]
    if character == ".":
        return Refusal("A point is only part of a number, as in 0.5.", position)
    return Refusal(f"'{character}' does not belong here.", position)


def _misplaced(text: str, token: Token, expected: set[str]) -> Refusal:
    """Say what is wrong with the first token that does not fit."""
    if token.type == "$END":
        return Refusal("The formula ends too early: something is missing here.", len(text.rstrip()))
    position = token.start_pos
    if expected == {"NUMBER"}:
        return Refusal("After a function's name, ^ takes a whole number: sin^2(x). An inverse "
                       "function has a name of its own, such as asin.", position)  # fmt: skip
    if expected == {"OPEN"}:
        return Refusal("The argument of a function goes in brackets, as in sin(x).", position)
    if "NAME" in expected and "NUMBER" in expected:
        return Refusal(f"A number, a variable or a function is missing before '{token}'.", position)
    if token.type == "NUMBER":
        return Refusal("A number cannot follow directly: write * or ^ before it.", position)
    if token.type in ("POWER", "SUPERSCRIPT"):
        return Refusal("A power of a power needs brackets, as in (x^2)^3.", position)
    return Refusal(f"'{token}' does not belong here.", position)


def _at(token: Token) -> int:
    return token.start_pos or 0


class _Builder(Transformer[Token, Node]):
    """Builds the tree while the parser reduces: the rules of the grammar, one method each."""

    def number(self, items: list[Token]) -> Node:
        return nodes.number(str(items[0]), _at(items[0]))

    def constant(self, items: list[Token]) -> Node:
        return nodes.constant("pi" if items[0] == "π" else str(items[0]), _at(items[0]))

    def name(self, items: list[Token]) -> Node:
        return nodes.name(str(items[0]), _at(items[0]))

    def called(self, items: list[Token]) -> Node:
        return nodes.name(str(items[0]), _at(items[0]), called=True)

    def group(self, items: list[Any]) -> Node:
        inner: Node = items[1]
        return inner

    def bars(self, items: list[Any]) -> Node:
        return nodes.apply("abs", [items[1]], _at(items[0]))

    def sum(self, items: list[Any]) -> Node:
        return nodes.add(items[::2], [False, *(op.type == "MINUS" for op in items[1::2])])

    def product(self, items: list[Any]) -> Node:
        factors: list[Node] = []
        divided: list[bool] = []
        below = False
        for item in items:
            if isinstance(item, Token):
                below = item.type == "DIVIDE"
            else:
                factors.append(item)
                divided.append(below)
                below = False
        return nodes.multiply(factors, divided)

    def signed(self, items: list[Any]) -> Node:
        sign, operand = items
        return nodes.negate(operand, _at(sign)) if sign.type == "MINUS" else operand

    def power(self, items: list[Any]) -> Node:
        if len(items) == 2:
            return nodes.raise_to(items[0], _superscript(items[1]), _at(items[1]))
        return nodes.raise_to(items[0], items[2], _at(items[1]))

    def call(self, items: list[Any]) -> Node:
        return nodes.apply(str(items[0]), _arguments(items), _at(items[0]))

    def power_of_call(self, items: list[Any]) -> Node:
        sign = items[1]
        exponent = _superscript(sign) if sign.type == "SUPERSCRIPT" else self.number(items[2:3])
        return nodes.raise_to(self.call(items), exponent, _at(sign))


def _arguments(items: Sequence[Any]) -> list[Node]:
    return [item for item in items if isinstance(item, Node)]


def _superscript(token: Token) -> Node:
    digits = str(token).translate(_SUPERSCRIPT_DIGITS)
    exponent = nodes.number(digits.lstrip("⁻"), _at(token))
    return nodes.negate(exponent, _at(token)) if digits.startswith("⁻") else exponent
