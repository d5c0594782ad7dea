"""What the README and the documentation's pages tell to type: it is typed, with smaller numbers."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from descentlab.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "howto").glob("*.md")),
]
PAGES += sorted((ROOT / "docs" / "explanation").glob("*.md"))
# What only a cluster, a person at a page or a terminal can do.
ELSEWHERE = ("dask_jobqueue", "dask_kubernetes", "Client(cluster)", "SLURMCluster")
NOT_HERE = ("studio", "--scheduler", "mine.py:", "energy.py:", "NAME", "COMMAND")


def commands(path: Path) -> list[str]:
    """Return the descentlab commands of a page: in blocks of shell, and indented ones."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [line[4:] for line in text.splitlines() if line.startswith("    descentlab ")]
    typed = [re.sub(r"\s+#.*$", "", line).strip() for line in lines]
    return [line for line in typed if line.startswith("descentlab ") and not any(n in line for n in NOT_HERE)]


TYPED = sorted({line for path in PAGES for line in commands(path)})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typed")
    shutil.copytree(ROOT / "examples", folder / "examples")
    return folder


def test_there_is_something_to_type() -> None:
    assert len(TYPED) > 10


@pytest.mark.slow
@pytest.mark.parametrize("line", TYPED)
def test_a_command_of_the_pages_does_its_work(
    line: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    words = [re.sub(r"^\d+e\d$", "2000", word) for word in shlex.split(line)[1:]]
    if words[0] in ("retrain", "widen"):
        words += ["--runs=8", "--steps=20"]
    if "--verify" in words:
        main(["certify", "peaks", "--save", words[-1]])
    assert main(words) == 0


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_the_python_of_a_page_runs(path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that MyST-NB runs at the build are marked {code-cell}; these are the others."""
    monkeypatch.chdir(place)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.S | re.M):
        code = compile(block.replace("runs=1000", "runs=20"), path.name, "exec")
        if not any(word in block for word in ELSEWHERE):
            exec(code, names)
