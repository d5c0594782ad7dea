"""Every outcome of a descent, every ending of a model's training, and the guide to them and to all messages."""

import ast
import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from descentlab import InputError, WorkError, guide
from descentlab.cli import main
from descentlab.guide import GuideEntry

MODELS = """
import torch
from torch import nn

inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
data = (inputs, torch.tensor([[0.0], [1.0], [1.0], [0.0]]))  # XOR
loss = nn.MSELoss()


def relu():
    return nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))


def sigmoid():
    return nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Sigmoid())
"""


def pages(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the page of outcomes and the guide, and which outcomes the guide does not explain."""
    from descentlab.models.endings import ENDINGS
    from descentlab.verdict import OUTCOMES

    entries = guide()
    missing = [f"outcome {name} in the guide" for name in (*OUTCOMES, *ENDINGS) if name not in entries]
    text = ["# Outcomes", "", "## Of a descent", "", "`verdict.outcome` is one of these twelve.", ""]
    text += _table({name: entries[name].title for name in OUTCOMES if name in entries})
    text += ["## Of a model's training", "", "`e.endings.outcomes` has one of these for each run.", ""]
    text += _table({name: meaning for name, meaning in ENDINGS.items() if name in entries})
    return {"outcomes": "\n".join(text), "guide": _guide(folder)}, missing


def _table(rows: dict[str, str]) -> list[str]:
    return [
        "| | |",
        "|---|---|",
        *(f"| [`{name}`](#guide-{name}) | {title} |" for name, title in rows.items()),
        "",
    ]


def _guide(folder: Path) -> str:
    entries = guide().values()
    text = [
        "# Outcomes and errors explained", "",
        "Every verdict and every error message of the lab has an entry here: why it happens, and what to do. An "
        "error's last line names its entry; `descentlab guide NAME` and `dl.guide(\"NAME\")` show the same.", "",
        "## Outcomes", "", *(line for entry in entries if entry.is_outcome for line in _section(entry, folder)),
        "## Errors", "", *(line for entry in entries if not entry.is_outcome for line in _section(entry, folder)),
        "## The model in the examples", "", "```python", MODELS.strip(), "```", "",
    ]  # fmt: skip
    return "\n".join(text)


def _section(entry: GuideEntry, folder: Path) -> list[str]:
    text = [
        f"(guide-{entry.name})=", f"### `{entry.name}`", "", f"**{_plain(entry.title)}**", "",
        f"**Why.** {_plain(entry.cause)}", "", f"**What to do.** {_plain(entry.remedy)}", "",
        "```python", entry.example, "```", "", "```text", _seen(entry.example), "```", "",
    ]  # fmt: skip
    if entry.picture:
        picture = folder / f"guide-{entry.name}.svg"
        figure = _last_value(entry.picture)
        figure.savefig(picture, metadata={"Date": None})
        text += [f"```{{image}} {picture.name}", f":alt: {_plain(entry.title)}", "```", ""]
    return text


def _seen(example: str) -> str:
    """Run an example in an empty folder and return what it says."""
    here, out = os.getcwd(), io.StringIO()
    with (
        tempfile.TemporaryDirectory() as place,
        contextlib.redirect_stderr(out),
        contextlib.redirect_stdout(out),
    ):
        os.chdir(place)
        kept = dict(sys.modules)
        try:
            result = _last_value(example)
        except (InputError, WorkError) as error:
            return "\n".join([f"{type(error).__name__}: {error}", *error.__notes__])
        finally:
            os.chdir(here)
            sys.modules.update(kept)
    if out.getvalue():
        return out.getvalue().strip()
    if hasattr(result, "verdicts"):
        verdict = result.verdicts[0]
        return f"{verdict.outcome}. {verdict.sentence} {verdict.advice}".strip()
    return f"{result.outcomes}. {result.sentence}"


def _last_value(code: str) -> Any:
    """Run code of the guide and return the value of its last line."""
    import descentlab as dl

    names: dict[str, Any] = {"dl": dl, "sys": sys, "main": main}
    exec(MODELS, names)
    *before, last = ast.parse(code).body
    exec(compile(ast.Module(before, []), "example", "exec"), names)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "example", "eval"), names)
    return exec(compile(ast.Module([last], []), "example", "exec"), names)


def _plain(text: str) -> str:
    for mark in "\\*_|<`$":
        text = text.replace(mark, f"\\{mark}")
    return text
