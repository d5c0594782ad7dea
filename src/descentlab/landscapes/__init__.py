"""The catalogue of named landscapes, in teaching order.

To add one, append a `Landscape` to the tuple of the file where it belongs (course, shapes,
classics, families) and nothing else: its formula, box, facts and lesson stand together there, and
tests/test_landscapes.py checks every fact it states.
"""

from __future__ import annotations

import re

from descentlab.errors import InputError, unknown
from descentlab.landscapes.classics import CLASSICS
from descentlab.landscapes.course import COURSE
from descentlab.landscapes.entry import Box, Fact, Landscape
from descentlab.landscapes.families import FAMILIES
from descentlab.landscapes.shapes import SHAPES
from descentlab.objective import Objective, formula

__all__ = ["Box", "Fact", "Landscape", "find", "landscape", "landscapes"]

CATALOGUE: tuple[Landscape, ...] = (*COURSE, *SHAPES, *CLASSICS, *FAMILIES)


def landscape(name: str, dim: int | None = None) -> Objective:
    """Return the catalogue's objective of that name, on its default box.

    `dim` chooses the number of variables of a family (Rastrigin, say); upper and lower case,
    spaces, hyphens and underscores make no difference in `name`.

    Raises InputError for an unknown name and for a `dim` the landscape does not come in.

    >>> landscape("six-hump camel").names
    ('x', 'y')
    >>> landscape("rastrigin", dim=3).names
    ('x1', 'x2', 'x3')
    """
    entry = find(name, dim)
    domain = dict(zip(entry.names, entry.domain, strict=True))
    return formula(entry.formula, domain=domain, variables=entry.names, label=label(entry))


def landscapes() -> tuple[Landscape, ...]:
    """Return all entries of the catalogue, simplest first; families in their default dimension."""
    return CATALOGUE


def find(name: str, dim: int | None = None) -> Landscape:
    """Return the entry of that name, a family's member with `dim` variables; errors as `landscape`."""
    if not isinstance(name, str):
        raise InputError(f"A landscape is asked for by its name, a text, not by {type(name).__name__}.")
    entry = _BY_NAME.get(_plain(name))
    if entry is None:
        names = (e.name for e in CATALOGUE)
        raise unknown("landscape", name, names, "'descentlab landscapes' lists them all.")
    return entry.at(dim)


def label(entry: Landscape) -> str:
    """Return the short title of an entry's objective, such as 'rastrigin' or 'rastrigin in 3 variables'."""
    default = _BY_NAME[_plain(entry.name)].dim
    return entry.name if entry.dim == default else f"{entry.name} in {entry.dim} variables"


def _plain(name: str) -> str:
    """Return the name without case and separators: 'Six-Hump Camel' → 'sixhumpcamel'."""
    return re.sub(r"[\s_–-]+", "", name.lower())


_BY_NAME = {_plain(name): entry for entry in CATALOGUE for name in (entry.name, *entry.aliases)}
