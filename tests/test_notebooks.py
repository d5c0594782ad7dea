"""The course's notebooks as they stand in git; that they run, without a warning, is seen by `make docs`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from descentlab.course import answer, copy_course, notebooks, title_of
from descentlab.descent import descend
from descentlab.errors import InputError
from descentlab.objective import formula

PATHS = notebooks()
NAMES = [path.stem for path in PATHS]


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def test_there_are_ten_in_order() -> None:
    assert [name[:2] for name in NAMES] == [f"{i:02}" for i in range(1, 11)]


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_a_notebook_is_stripped_and_whole(path: Path) -> None:
    book = read(path)
    nbformat.validate(book)
    assert (book.nbformat, book.nbformat_minor) == (4, 5)
    first, setup = book.cells[:2]
    assert first.source.startswith(f"# {int(path.stem[:2])}. ")
    assert "**At the end you will understand**" in first.source
    assert setup.source.startswith("# In a hosted notebook: %pip install")
    assert "## What to take along" in book.cells[-1].source
    for cell in book.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_every_exercise_has_a_computed_answer(path: Path) -> None:
    cells = read(path).cells
    asked = [i for i, cell in enumerate(cells) if "**Exercise " in cell.source]
    assert len(asked) >= 2
    for number, i in enumerate(asked, 1):
        assert f"**Exercise {number}.**" in cells[i].source
        reply = cells[i + 1]
        assert {"answer", "remove-input"} <= set(reply.metadata.tags)
        assert reply.metadata.jupyter.source_hidden  # JupyterLab and VS Code fold it away, …
        assert reply.metadata.cellView == "form"  # … Colab too
        assert re.search(r"answer\((.|\n)*\{", reply.source), "nothing in the answer is computed"


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_numbers_are_checked(path: Path) -> None:
    checks = [cell for cell in read(path).cells if "check" in cell.metadata.get("tags", [])]
    assert checks
    for cell in checks:
        assert "remove-cell" in cell.metadata.tags
        assert cell.metadata.jupyter.source_hidden
        assert cell.metadata.cellView == "form"
        assert "assert " in cell.source


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_links_between_notebooks_lead_somewhere(path: Path) -> None:
    for cell in read(path).cells:
        for target in re.findall(r"\]\(([^)]+\.ipynb)\)", cell.source):
            assert (path.parent / target).exists()


def test_the_course_is_copied_and_never_over_ones_own_work(tmp_path: Path) -> None:
    mine = tmp_path / "a" / "course"
    copied = copy_course(mine)
    assert [path.read_bytes() for path in copied] == [path.read_bytes() for path in PATHS]
    assert title_of(copied[0]) == "Derivatives"
    copied[3].write_text("my work")
    copied[0].unlink()
    with pytest.raises(InputError, match="nothing is written over"):
        copy_course(mine)
    assert not copied[0].exists()
    assert copied[3].read_text() == "my work"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        copy_course(tmp_path / "file" / "x")


def test_an_answer_unfolds_with_its_figure_and_executes_nothing() -> None:
    run = descend(formula("x^2"), start=[1.0], steps=5)
    page = answer("It is `a<b` and **bold**.", run.plot())._repr_html_()
    assert page.startswith("<details><summary>Answer</summary>")
    assert "<code>a&lt;b</code> and <b>bold</b>" in page
    assert page.count("<svg") == 1
