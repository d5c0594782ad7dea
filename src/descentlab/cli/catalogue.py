"""The commands that list what there is: landscapes, optimizers."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

import typer

from descentlab.cli import options as o

_Name = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="One entry to show in full.", show_default=False)
]


def landscapes(name: _Name = None, json: o.Json = False) -> None:
    """List the catalogue of named landscapes, or show one with its known facts.

    \b
    descentlab landscapes
    descentlab landscapes himmelblau
    """
    from descentlab.landscapes import find
    from descentlab.landscapes import landscapes as all_of_them

    entries = all_of_them() if name is None else (find(name),)
    if json:
        _print_rows(entries, name is not None)
        return
    from descentlab.cli.show import show_landscape, show_landscapes

    if name is None:
        show_landscapes(entries)
    else:
        show_landscape(entries[0])


def optimizers(name: _Name = None, json: o.Json = False) -> None:
    """List the optimizers with their rules and parameters.

    \b
    descentlab optimizers
    descentlab optimizers adam
    """
    from descentlab.errors import unknown
    from descentlab.optimizers import BY_NAME, TABLE

    if name is not None and name.strip().lower() not in BY_NAME:
        raise unknown("optimizer", name, BY_NAME, "'descentlab optimizers' lists them all.")
    rows = TABLE if name is None else (BY_NAME[name.strip().lower()],)
    if json:
        _print_rows(rows, name is not None)
        return
    from descentlab.cli.show import show_optimizers

    show_optimizers(rows)


def _print_rows(rows: Any, only: bool) -> None:
    """Print entries as JSON: a list, or the one asked for."""
    from descentlab.cli.output import print_json

    data = [{f.name: getattr(row, f.name) for f in fields(row) if f.name != "family"} for row in rows]
    print_json(data[0] if only else data)
