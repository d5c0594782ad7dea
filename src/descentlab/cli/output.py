"""Where results go: standard output as JSON, files, and the progress display on standard error."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descentlab.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

PICTURES = (".png", ".svg", ".pdf")
MOVIES = (".gif", ".mp4")


def check_output(given: str | None, endings: tuple[str, ...], what: str) -> Path | None:
    """Return the path to write to, or raise InputError before any work where it cannot be written."""
    if given is None:
        return None
    path = Path(given.strip()).expanduser()
    if path.suffix.lower() not in endings:
        raise InputError(
            f"The {what} '{given}' must end in {', '.join(endings[:-1])} or {endings[-1]}."
            if len(endings) > 1
            else f"The {what} '{given}' must end in {endings[0]}."
        )
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"The {what} '{given}' cannot be written: there is no folder '{folder}'.")
    if path.is_dir():
        raise InputError(f"The {what} '{given}' cannot be written: it is a folder.")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(f"The {what} '{given}' cannot be written: no permission.")
    return path


def print_json(result: Any) -> None:
    """Print a result as strict JSON, fields named as in Python."""
    from descentlab.report.data import as_data

    json.dump(as_data(result), sys.stdout, ensure_ascii=False, allow_nan=False)
    print()


def console() -> Console:
    """Return the console for people; it knows of NO_COLOR and of output that is no terminal."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


@contextlib.contextmanager
def working(doing: str) -> Iterator[Callable[[str], None]]:
    """Show on standard error that something long is being done, if someone is watching.

    Yields a function that changes what is said.
    """
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(_sentence(doing), total=None)
        yield lambda what: progress.update(task, description=_sentence(what))


def _sentence(doing: str) -> str:
    from rich.markup import escape

    return escape(doing[:1].upper() + doing[1:] + " …")
