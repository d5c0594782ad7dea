"""The commands that list what there is: landscapes, optimizers."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descentlab.cli import options as o

if TYPE_CHECKING:
    from descentlab.landscapes import Landscape

_Name = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="One entry to show in full.", show_default=False)
]


def landscapes(name: _Name = None, json: o.Json = False, plot: o.Plot = None) -> None:
    """List the catalogue of named landscapes, or show one with its known facts and its picture.

    \b
    descentlab landscapes
    descentlab landscapes himmelblau --plot himmelblau.png
    """
    from descentlab.landscapes import find
    from descentlab.landscapes import landscapes as all_of_them

    entries = all_of_them() if name is None else (find(name),)
    if plot is not None:
        _draw(name, entries[0], plot)
    if json:
        _print_rows(entries, name is not None)
        return
    from descentlab.cli.show import show_landscape, show_landscapes

    if name is None:
        show_landscapes(entries)
    else:
        show_landscape(entries[0])


def _draw(name: str | None, entry: Landscape, plot: str) -> None:
    """Draw an entry: a curve with its derivative, a heat map with its best heights, or slices."""
    from descentlab.cli import output
    from descentlab.errors import InputError
    from descentlab.figures import draw_function, draw_landscape, save
    from descentlab.landscapes import landscape

    if name is None:
        raise InputError("--plot draws one landscape: name it.")
    path = output.check_output(plot, output.PICTURES, "plot")
    f = landscape(name)
    figure = draw_landscape(f, heights=entry.view) if f.dim == 2 else draw_function(f)
    if path is not None:
        save(figure, path)


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
