"""The signs and names a formula is written in: which are known, and which are refused and why."""

from __future__ import annotations

import difflib
import keyword
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from descentlab.errors import InputError, unknown
from descentlab.formula.constants import CONSTANTS
from descentlab.formula.errors import Refusal
from descentlab.formula.functions import BY_NAME
from descentlab.formula.limits import MOST_NAME_CHARACTERS

_GREEK = "ΓΔΘΛΞΣΦΨΩαβγδεζηθικλμνξρςστυφχψω"
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_ALPHABET = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
    " \t\r\n\u00a0.+-−*·⋅×/÷^(),|π⁻" + _GREEK + _SUPERSCRIPTS
)
_NAME = re.compile(rf"[A-Za-z{_GREEK}][A-Za-z0-9_{_GREEK}]*")
_HEAD = re.compile(r"\s*([A-Za-z]\w*)\s*(?:\(([^()]*)\)\s*)?", re.ASCII)

# Names with a common meaning that is not "a variable": taken for one only if declared.
_MEANINGS = {
    "I": "the imaginary unit in many programs", "E": "Euler's number in many programs (here: e)",
    "S": "a keyword of SymPy", "N": "a keyword of SymPy", "Q": "a keyword of SymPy",
    "O": "a keyword of SymPy", "lambda": "a keyword of Python",
}  # fmt: skip
NOT_NUMBERS = {"nan", "inf", "infinity", "oo", "zoo"}

_SIGNS = {
    "[": "Square brackets are not part of a formula: use ( and ).",
    "]": "Square brackets are not part of a formula: use ( and ).",
    "{": "Braces are not part of a formula: use ( and ).",
    "}": "Braces are not part of a formula: use ( and ).",
    "'": "Quotes are not part of a formula.",
    '"': "Quotes are not part of a formula.",
    "\\": "A backslash is not part of a formula: LaTeX is not read.",
    "!": "Factorials are not among the functions the lab knows.",
    "%": "'%' is not part of a formula: write 0.05 for 5 %.",
    "∞": "Infinity is not a number a formula can hold.",
    "√": "Write sqrt(...) for a root.",
    "∛": "Write cbrt(...) for a cube root.",
    "=": "A formula is one side only, without '='.",
    ";": "Give one formula at a time.",
    "–": "This is a dash, not a minus sign: write -.",
    "—": "This is a dash, not a minus sign: write -.",
}
# Letters of other scripts that look like ASCII ones, and what they look like.
_LOOKS = dict(zip("асеорхуіјѕАВЕЗКМНОРСТХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧοµϵϕ",
                  "aceopxyijsABE3KMHOPCTXYABEZHIKMNOPTYXoμεφ", strict=True))  # fmt: skip


def check_characters(text: str) -> None:
    """Refuse the first character that no formula is written with, by its name."""
    for position, character in enumerate(text):
        if character not in _ALPHABET:
            raise Refusal(_foreign(character), position)


def _foreign(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    if " " < character <= "~":
        return f"'{character}' is not part of a formula."
    name = unicodedata.name(character, "a character without a name")
    shown = f"'{character}' is" if character.isprintable() else "This is"
    plain = unicodedata.normalize("NFKC", character)
    looks = _LOOKS.get(character) or (plain if plain in _ALPHABET and plain.strip() else "")
    hint = f" If '{looks}' is meant, write that." if looks else ""
    return f"{shown} {name} (U+{ord(character):04X}), which is not part of a formula.{hint}"


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return the key that sorts x2 before x10.

    >>> sorted(["x10", "y", "x2", "x"], key=natural)
    ['x', 'x2', 'x10', 'y']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(p)) if p[0] in "0123456789" else (1, p) for p in parts)


def declared_names(variables: Sequence[str] | str | None) -> tuple[str, ...] | None:
    """Return the declared variables, checked; "x, y" is read like ["x", "y"].

    Raises InputError for what cannot be the name of a variable, and for a name given twice.
    """
    if variables is None:
        return None
    if isinstance(variables, str):
        variables = re.split(r"[,\s]+", variables.strip())
    if not isinstance(variables, Iterable):
        raise InputError(f"Variables are a list of names, not {type(variables).__name__}.")
    names = list(variables)
    for name in names:
        _check_declarable(name)
    if len(set(names)) < len(names):
        raise InputError(f"A variable is declared twice: {', '.join(names)}.")
    return tuple(names)


def _check_declarable(name: object) -> None:
    if not isinstance(name, str):
        raise InputError(f"A variable's name is a text, not {type(name).__name__}.")
    shown = ascii(name if len(name) <= MOST_NAME_CHARACTERS else name[:MOST_NAME_CHARACTERS] + "...")
    if not _NAME.fullmatch(name) or "__" in name or len(name) > MOST_NAME_CHARACTERS:
        raise InputError(
            f"{shown} cannot be a variable's name: use a letter, then letters, digits or single "
            f"underscores, at most {MOST_NAME_CHARACTERS} characters."
        )
    if name in BY_NAME or name in CONSTANTS or name.lower() in NOT_NUMBERS:
        kind = "a function" if name in BY_NAME else "a constant" if name in CONSTANTS else "not a number"
        raise InputError(f"{shown} is {kind}, so it cannot be a variable. Use another name.")


def check_undeclared(name: str, called: bool, position: int) -> None:
    """Refuse a name in the text that is better not taken for a variable unless declared."""
    if called and len(name) > 1:
        raise unknown_function(name, position, "For a product write *.")
    if name in _MEANINGS:
        raise Refusal(f"'{name}' is {_MEANINGS[name]}. If it is a variable, declare it as one.", position)
    if keyword.iskeyword(name):
        raise Refusal(f"'{name}' is a keyword of Python. If it is a variable, declare it as one.", position)
    function = next((f for f in BY_NAME if name[:-1] == f and name[-1].isalpha()), None)
    if function:
        raise Refusal(
            f"'{name}' could be the function {function}({name[-1]}) or a variable. Write "
            f"{function}({name[-1]}), or declare '{name}' as a variable.",
            position,
        )


def unknown_function(name: str, position: int | None, hint: str = "") -> Refusal:
    """Return the refusal of foo(x): a close match is looked for among all names, aliases too."""
    close = difflib.get_close_matches(name.lower(), BY_NAME, n=1)
    choices = BY_NAME if close else {row.name for row in BY_NAME.values()}
    return Refusal(str(unknown("function", name, choices, hint)), position)


def unknown_variable(name: str, declared: Sequence[str], called: bool, position: int) -> Refusal:
    """Return the refusal of a name that is not among the declared variables."""
    if called and len(name) > 1:
        return unknown_function(name, position)
    if len(name) > 1 and set(name) <= set(declared):
        hint = f"For the product write {'*'.join(name)}."
        return Refusal(f"Unknown variable '{name}'. {hint}", position)
    if not declared:
        return Refusal(f"Unknown variable '{name}': no variable is declared.", position)
    return Refusal(str(unknown("variable", name, declared)), position)


@dataclass(frozen=True)
class Head:
    """A leading `f(x, y) =` or `y =`: where it ends, its name and its arguments, if any."""

    end: int
    name: str
    arguments: tuple[str, ...] | None


def read_head(text: str) -> Head | None:
    """Return the left-hand side of `f(x) = ...`, if there is one and it is simple.

    Raises InputError if an argument cannot be a variable's name.
    """
    end = text.find("=") + 1
    if text[end : end + 1] == "=":
        return None
    match = _HEAD.fullmatch(text, 0, end - 1) if end else None
    if match is None or match[1] in BY_NAME or match[1] in CONSTANTS:
        return None
    if match[2] is None:
        return Head(end, match[1], None)
    return Head(end, match[1], declared_names([a.strip() for a in match[2].split(",")]))


def known_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct names in natural order: x, y; x1, x2, x10."""
    return tuple(sorted(set(names), key=natural))
