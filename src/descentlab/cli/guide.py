"""`descentlab guide`: what an outcome or a message means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from descentlab.cli import options as o

if TYPE_CHECKING:
    from rich.console import Console

    from descentlab.guide import GuideEntry


def guide(
    name: Annotated[
        str | None,
        typer.Argument(
            help="An outcome, or the name an error gives. Without one, all are listed.",
            show_default=False,
            metavar="NAME",
        ),
    ] = None,
    json: o.Json = False,
) -> None:
    """Explain an outcome or an error message: why it happens, and what to do.

    \b
    descentlab guide
    descentlab guide saddle
    descentlab guide learning-rate
    """
    from descentlab.cli import output
    from descentlab.guide import GuideEntry
    from descentlab.guide import guide as find

    found = find(name)
    if json:
        output.print_json(found)
    elif isinstance(found, GuideEntry):
        _show(output.console(), found)
    else:
        _list(output.console(), found.values())


def _list(out: Console, entries: Iterable[GuideEntry]) -> None:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for entry in entries:
        table.add_row(f"[bold]{entry.name}[/bold]", entry.title)
    out.print(table)


def _show(out: Console, entry: GuideEntry) -> None:
    from rich.padding import Padding
    from rich.text import Text

    out.print(Text(entry.title, style="bold"))
    for title, text in (("Why", entry.cause), ("What to do", entry.remedy), ("Example", entry.example)):
        out.print()
        out.print(Text(title, style="dim"))
        out.print(Padding(Text(text), (0, 0, 0, 2), expand=False))
