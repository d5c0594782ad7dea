"""The two kinds of failure a user can meet.

`InputError` – what was given cannot be used; the command line ends with status 2.
`WorkError` – the input was fine but the work failed; the command line ends with status 1.

A message says what was given, what is allowed and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What was given cannot be used. The message is one clear sentence or two."""


class WorkError(RuntimeError):
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
