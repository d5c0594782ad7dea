"""The two kinds of failure a user can meet.

`InputError` – what was given cannot be used; the command line ends with status 2.
`WorkError` – the input was fine but the work failed; the command line ends with status 1.

A message says what was given, what is allowed and what to do.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable

from descentlab.topics import topic_of


class Explained(Exception):  # noqa: N818 - what the two kinds have in common
    """An error that the guide explains: `see` names its entry, and a traceback says how to read it."""

    @property
    def see(self) -> str:
        """The name of the guide's entry, "" if there is none: `dl.guide(error.see)`."""
        return topic_of(str(self))

    @functools.cached_property
    def __notes__(self) -> list[str]:  # type: ignore[override]  # what Python prints below an error's message (PEP 678)
        return [f"More: descentlab guide {self.see}"] if self.see else []


class InputError(Explained, ValueError):
    """What was given cannot be used. The message is one clear sentence or two."""


class WorkError(Explained, RuntimeError):
    """The input was usable, but the work itself failed."""


def unknown(kind: str, given: str, choices: Iterable[str], where: str = "") -> InputError:
    """Return the error for a name that is not among `choices`.

    Suggests a close match if there is one, otherwise lists the choices, unless they are many and
    `where` says where they are listed.

    >>> str(unknown("optimizer", "adm", ["adam", "gd"], "'descentlab optimizers' lists them all."))
    "Unknown optimizer 'adm'. Did you mean 'adam'? 'descentlab optimizers' lists them all."
    >>> str(unknown("optimizer", "zzz", ["adam", "gd"]))
    "Unknown optimizer 'zzz'. Choose one of: adam, gd."
    """
    names = sorted(choices)
    shown = given if len(given) <= 60 else given[:57] + "..."
    close = difflib.get_close_matches(given[:60].lower(), names, n=1)
    if close:
        hint = f"Did you mean '{close[0]}'?"
    else:
        hint = "" if len(names) > 20 and "lists them all" in where else f"Choose one of: {', '.join(names)}."
    return InputError(" ".join(part for part in (f"Unknown {kind} '{shown}'.", hint, where) if part))
