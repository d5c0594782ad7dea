"""What the course's notebooks are made with: answers that unfold, and the notebooks themselves, copied out."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descentlab.errors import InputError, WorkError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Answer:
    """An answer that unfolds when it is clicked: paragraphs, tables and figures, as HTML or as plain text."""

    def __init__(self, *parts: str | Figure | Any) -> None:
        self._parts = parts

    def _repr_html_(self) -> str:
        return f"<details><summary>Answer</summary>{''.join(map(_as_html, self._parts))}</details>"

    def __repr__(self) -> str:
        return "\n".join(
            part if isinstance(part, str) else f"[{type(part).__name__}]" for part in self._parts
        )


def answer(*parts: str | Figure | Any) -> Answer:
    """Return an answer that unfolds in a notebook; give it what was computed.

    parts: strings, each a paragraph, in which `code` and **bold** words are set as such; figures; and whatever else has
    an HTML form of its own.

    >>> answer("It is `0.5`.")
    It is `0.5`.
    >>> answer("It is `0.5`.")._repr_html_()
    '<details><summary>Answer</summary><p>It is <code>0.5</code>.</p></details>'
    """
    return Answer(*parts)


def _as_html(part: Any) -> str:
    from matplotlib.figure import Figure

    if isinstance(part, Figure):
        from descentlab.figures import figure_html

        return figure_html(part)
    own = getattr(part, "_repr_html_", None)
    if own is not None:
        return str(own())
    text = html.escape(str(part), quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"[*][*]([^*]+)[*][*]", r"<b>\1</b>", text)
    return f"<p>{text}</p>"


def notebooks() -> list[Path]:
    """Return the paths of the course's notebooks, in order; raise WorkError where they were not installed."""
    packed = Path(str(resources.files("descentlab"))) / "notebooks"
    folder = packed if packed.is_dir() else Path(__file__).parents[2] / "notebooks"
    found = sorted(folder.glob("[0-9]*.ipynb"))
    if not found:
        raise WorkError("The course's notebooks were not installed with descentlab. Install it anew.")
    return found


def title_of(notebook: Path) -> str:
    """Return a notebook's title, the heading of its first cell, without its number."""
    first = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"]
    return "".join(first).splitlines()[0].lstrip("# ").partition(". ")[2]


def copy_course(folder: str | os.PathLike[str]) -> list[Path]:
    """Copy the course's notebooks into a folder, made if missing, and return their new paths.

    Raises InputError, before anything is written, if one of them is there already or the folder cannot be used.
    """
    target = Path(folder)
    given = notebooks()
    there = [path.name for path in given if (target / path.name).exists()]
    if there:
        raise InputError(
            f"{target / there[0]} exists already, perhaps with your work in it, and nothing is written over. "
            "Give another folder."
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copyfile(path, target / path.name)) for path in given]
    except OSError as error:
        raise InputError(
            f"The folder {target} cannot be used: {error.strerror}. Give another folder."
        ) from error
