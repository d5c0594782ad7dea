"""How a formula is refused: one sentence, the line of text, and a caret under the character."""

from __future__ import annotations

import unicodedata

from descentlab.errors import InputError
from descentlab.topics import topic_of

# A shown line fits a terminal of 80 columns with its indent of two.
WIDTH = 72


class Refusal(Exception):  # noqa: N818 - never leaves the parser
    """Used inside the parser, before the whole text is at hand: what is wrong, and where."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class FormulaError(InputError):
    """A formula that cannot be used.

    message: one or two sentences. text: the formula as given. position: 0-based index into
    `text` of the character at fault, or None. `str()` shows all three:

    >>> print(FormulaError("Unknown function 'sine'. Did you mean 'sin'?", "1 + sine(x)", 4))
    Unknown function 'sine'. Did you mean 'sin'?
      1 + sine(x)
          ^
    """

    def __init__(self, message: str, text: str = "", position: int | None = None) -> None:
        super().__init__(message, text, position)
        self.message = message
        self.text = text
        self.position = position

    @property
    def see(self) -> str:
        return topic_of(self.message, of_formula=True)

    def __str__(self) -> str:
        if self.position is None:
            return self.message
        line, column = _window(self.text, self.position)
        return f"{self.message}\n  {line}\n  {' ' * column}^"


def _window(text: str, position: int) -> tuple[str, int]:
    """Return the part of `text` around `position`, safe to print, and the caret's column."""
    first = 0
    if len(text) > WIDTH:
        first = max(0, min(position - WIDTH // 2, len(text) - WIDTH))
    part = [_printable(c) for c in text[first : first + WIDTH]]
    before = "..." if first else ""
    after = "..." if first + WIDTH < len(text) else ""
    column = len(before) + sum(_columns(c) for c in part[: position - first])
    return before + "".join(part) + after, column


def _printable(character: str) -> str:
    """Replace what would break the line, move the caret or fail to encode."""
    if character in "\t\n\r\u00a0":
        return " "
    return character if character.isprintable() else "\ufffd"


def _columns(character: str) -> int:
    """Return how many terminal columns a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
