"""What the guide explains: the outcomes of a descent, and the messages of the lab, each under a name.

The entries are data, in outcomes.toml and errors.toml beside this file. A message finds its entry by patterns, so that
the code which raises it need not know of the guide; a test sees to it that every message in the code has one.
"""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Topic:
    """One entry: its cause and remedy, and code that leads to it.

    example: raises such an error, or ends in a run of this outcome; picture: ends in a figure of it, "" for errors;
    messages: regular expressions of the messages it explains.
    """

    name: str
    title: str
    cause: str
    remedy: str
    example: str
    picture: str = ""
    messages: tuple[str, ...] = ()

    @property
    def is_outcome(self) -> bool:
        """Whether it is about an outcome rather than a message."""
        return not self.messages


@functools.cache
def topics() -> dict[str, Topic]:
    """Return all entries by name: outcomes first."""
    found = {}
    for file in ("outcomes.toml", "errors.toml"):
        text = resources.files("descentlab.topics").joinpath(file).read_text(encoding="utf-8")
        for name, entry in tomllib.loads(text).items():
            given: dict[str, Any] = entry | {"messages": tuple(entry.get("messages", ()))}
            found[name] = Topic(name, **{key: _stripped(value) for key, value in given.items()})
    return found


# What a refused formula can be about.
OF_FORMULAS = ("unknown-name", "formula-limits", "formula-numbers", "variables", "formula")


def topic_of(message: str, of_formula: bool = False) -> str:
    """Return the name of the entry that explains an error's message, "" if none does.

    >>> topic_of("The domain of x is empty: [2, 2]. The lower bound comes first.")
    'domain'
    """
    fits = (
        name
        for name, pattern in _patterns()
        if pattern.search(message) and (not of_formula or name in OF_FORMULAS)
    )
    return next(fits, "formula" if of_formula else "")


@functools.cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (name, re.compile("|".join(f"(?:{p})" for p in topic.messages)))
        for name, topic in topics().items()
        if topic.messages
    )


def _stripped(value: Any) -> Any:
    return value.strip("\n") if isinstance(value, str) else value
