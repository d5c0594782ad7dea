"""Where results go: standard output as JSON, files, and the progress display on standard error."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descentlab.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

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


class Display:
    """What is being done, said on standard error if someone is watching, with a bar once a share is known."""

    def __init__(self, progress: Progress | None, doing: str) -> None:
        self._progress = progress
        self._task = None if progress is None else progress.add_task(_sentence(doing), total=None)

    def __call__(self, doing: str) -> None:
        """Say what is being done now."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=_sentence(doing))

    def share(self, done: float) -> None:
        """Show the share done, from 0 to 1."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=1.0, completed=done)


@contextlib.contextmanager
def working(doing: str) -> Iterator[Display]:
    """Show that something long is being done."""
    if not sys.stderr.isatty():
        yield Display(None, doing)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Display(progress, doing)


def _sentence(doing: str) -> str:
    from rich.markup import escape

    return escape(doing[:1].upper() + doing[1:] + " …")
