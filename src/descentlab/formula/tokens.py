"""Between lexer and parser: tells functions from variables, and which way a bar opens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lark import Token

from descentlab.formula.constants import CONSTANTS
from descentlab.formula.errors import Refusal
from descentlab.formula.functions import BY_NAME
from descentlab.formula.limits import MOST_BRACKETS, MOST_NAME_CHARACTERS, MOST_NODES
from descentlab.formula.notation import NOT_NUMBERS, unknown_function


class Notation:
    """Between lexer and parser: tells functions from variables, and which way a bar opens.

    Keeps no state between texts, so one parser serves all threads.
    """

    always_accept = ("BAR", "NAME")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        tokens = list(stream)
        values = [t for t in tokens if t.type in ("NUMBER", "NAME")]
        if len(values) >= MOST_NODES:  # each becomes a node, and there is one more to join them
            raise Refusal(f"The formula has more than {MOST_NODES:,} parts.", values[-1].start_pos)
        open_brackets: list[tuple[Token, Token | None]] = []
        previous: Token | None = None
        for i, token in enumerate(tokens):
            following = tokens[i + 1] if i + 1 < len(tokens) else None
            token = _settled(token, previous, following, open_brackets)
            _track(token, previous, open_brackets)
            yield token
            previous = token
        if open_brackets:
            token = open_brackets[-1][0]
            what = "bar" if token.type == "BAR_OPEN" else "bracket"
            raise Refusal(f"This {what} is never closed.", token.start_pos)


_ENDS_VALUE = {"NUMBER", "NAME", "CALLED", "CONSTANT", "CLOSE", "BAR_CLOSE", "SUPERSCRIPT"}


def _settled(
    token: Token,
    previous: Token | None,
    following: Token | None,
    open_brackets: Sequence[tuple[Token, Token | None]],
) -> Token:
    """Return the token with its final type."""
    if token.type == "NAME":
        return Token.new_borrow_pos(_kind_of_name(token, following), token.value, token)
    if token.type == "BAR":
        # After a value a bar closes the innermost bracket if that is a bar, else it opens one.
        closes = (previous is not None and previous.type in _ENDS_VALUE
                  and bool(open_brackets) and open_brackets[-1][0].type == "BAR_OPEN")  # fmt: skip
        return Token.new_borrow_pos("BAR_CLOSE" if closes else "BAR_OPEN", token.value, token)
    return token


def _kind_of_name(token: Token, following: Token | None) -> str:
    name = str(token.value)
    position = token.start_pos
    if name in BY_NAME:
        _check_applied(name, following, position)
        return "FUNCTION"
    if name in CONSTANTS or name == "π":
        return "CONSTANT"
    if name.startswith("_") or "__" in name:
        raise Refusal("A name begins with a letter and has no double underscore.", position)
    if len(name) > MOST_NAME_CHARACTERS:
        raise Refusal(f"A name has at most {MOST_NAME_CHARACTERS} characters.", position)
    if name.lower() in NOT_NUMBERS:
        raise Refusal(f"'{name}' is not a number a formula can hold.", position)
    return "CALLED" if following is not None and following.type == "OPEN" else "NAME"


def _check_applied(name: str, following: Token | None, position: int | None) -> None:
    if following is None or following.type not in ("OPEN", "POWER", "SUPERSCRIPT"):
        raise Refusal(f"The argument of a function goes in brackets: {name}(...).", position)
    if following.type == "SUPERSCRIPT" and str(following.value).startswith("⁻"):
        raise Refusal(
            f"For 1/{name} write 1/{name}(...); an inverse function has a name of its own, such as asin.",
            position,
        )


def _track(token: Token, previous: Token | None, open_brackets: list[tuple[Token, Token | None]]) -> None:
    """Keep the list of open brackets, each with what stood before it."""
    if token.type in ("OPEN", "BAR_OPEN"):
        open_brackets.append((token, previous))
        if len(open_brackets) > MOST_BRACKETS:
            raise Refusal(f"More than {MOST_BRACKETS} brackets are open here.", token.start_pos)
    elif token.type in ("CLOSE", "BAR_CLOSE"):
        opening = "OPEN" if token.type == "CLOSE" else "BAR_OPEN"
        if not open_brackets:
            raise Refusal("This closing bracket was never opened.", token.start_pos)
        if open_brackets[-1][0].type != opening:
            bar = open_brackets[-1][0].start_pos
            raise Refusal("This bar is not closed before the bracket round it is.", bar)
        open_brackets.pop()
    elif token.type == "COMMA":
        _check_comma(token, open_brackets)


def _check_comma(token: Token, open_brackets: Sequence[tuple[Token, Token | None]]) -> None:
    before = open_brackets[-1][1] if open_brackets and open_brackets[-1][0].type == "OPEN" else None
    if before is not None and before.type == "CALLED":
        raise unknown_function(str(before.value), before.start_pos)
    if before is None or before.type not in ("FUNCTION", "NUMBER", "SUPERSCRIPT"):
        raise Refusal(
            "A comma only separates the arguments of a function. Write 0.5, not 0,5, and 1000, not 1,000.",
            token.start_pos,
        )
