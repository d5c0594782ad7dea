"""The student's guide: every message of the code and every outcome has an entry, whose example leads to it."""

from __future__ import annotations

import ast
import json
import pickle
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import descentlab as dl
from descentlab.cli import main
from descentlab.errors import InputError, WorkError
from descentlab.formula.errors import FormulaError
from descentlab.topics import topic_of, topics
from descentlab.verdict import OUTCOMES

SOURCE = Path(__file__).parents[1] / "src" / "descentlab"
RAISED = ("InputError", "WorkError", "FormulaError", "Refusal")
ENTRIES = list(topics().values())


def template(node: ast.expr) -> str | None:
    """Return a message with 7 for what is filled in, None if it is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "7" for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (template(node.left) or "7") + (template(node.right) or "7")
    if isinstance(node, ast.IfExp):
        return template(node.body)
    return None


def messages() -> Iterator[tuple[str, str, bool]]:
    """Yield where a message is made, the message, and whether it is about a formula."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in RAISED
                and node.args
            ):
                text = template(node.args[0])
                if text is not None:
                    yield f"{path.name}:{node.lineno}", text, node.func.id in ("FormulaError", "Refusal")


def test_every_message_of_the_code_has_an_entry() -> None:
    found = list(messages())
    assert len(found) > 380
    assert [(where, text) for where, text, of_formula in found if not topic_of(text, of_formula)] == []


def test_every_entry_about_errors_explains_some_message() -> None:
    explained = {topic_of(text, of_formula) for _, text, of_formula in messages()}
    assert {entry.name for entry in ENTRIES if not entry.is_outcome} - explained == set()


def test_every_outcome_has_an_entry() -> None:
    pytest.importorskip("torch")
    from descentlab.models.endings import ENDINGS

    assert [e.name for e in ENTRIES if e.is_outcome] == list(dict.fromkeys([*OUTCOMES, *ENDINGS]))


def scope() -> dict[str, Any]:
    """Return the names the examples use."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    return {
        "dl": dl,
        "sys": sys,
        "torch": torch,
        "relu": lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)),
        "sigmoid": lambda: nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Sigmoid()),
        "loss": nn.MSELoss(),
        "data": (
            torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
            torch.tensor([[0.0], [1.0], [1.0], [0.0]]),
        ),
    }


def last_value(code: str) -> Any:
    """Run code and return the value of its last line."""
    *before, last = ast.parse(code).body
    names = scope()
    exec(compile(ast.Module(before, []), "example", "exec"), names)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "example", "eval"), names)
    return exec(compile(ast.Module([last], []), "example", "exec"), names)


MODELS = ("flat", "stalling", "not_converged")


@pytest.mark.parametrize("entry", [e for e in ENTRIES if not e.is_outcome], ids=lambda e: e.name)
def test_the_example_of_an_error_raises_it(
    entry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    if "flint" in entry.example:
        monkeypatch.setitem(sys.modules, "flint", None)
        monkeypatch.delitem(sys.modules, "descentlab.certify.checking.balls", raising=False)
    if "main(" in entry.example:
        assert last_value(entry.example) == 2
        assert f"More: descentlab guide {entry.name}" in capsys.readouterr().err
        return
    with pytest.raises((InputError, WorkError)) as error:
        last_value(entry.example)
    assert error.value.see == entry.name, str(error.value)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(e, marks=[pytest.mark.slow] * (e.name in MODELS), id=e.name)
        for e in ENTRIES
        if e.is_outcome
    ],
)
def test_the_example_of_an_outcome_ends_so_and_its_picture_draws(entry: Any) -> None:
    result = last_value(entry.example)
    assert set(result.outcomes) == {entry.name}
    assert last_value(entry.picture)._repr_html_()


def test_an_error_says_where_to_read_more(capsys: pytest.CaptureFixture[str]) -> None:
    error = InputError("The domain of x is empty: [2, 2].")
    assert (str(error), error.see) == ("The domain of x is empty: [2, 2].", "domain")
    shown = "".join(traceback.format_exception(error))
    assert shown.endswith("More: descentlab guide domain\n")
    error.add_note("And mine.")
    assert "And mine." in "".join(traceback.format_exception(error))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.see) == (str(error), "domain")
    refused = pickle.loads(pickle.dumps(FormulaError("This is never closed.", "sin(x", 3)))
    assert refused.see == "formula"
    assert main(["descend", "x^2", "--learning-rate=-1"]) == 2
    assert capsys.readouterr().err.endswith("\nMore: descentlab guide learning-rate\n")


def test_a_verdict_says_where_to_read_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["descend", "x^2 - y^2", "--start=1,0"]) == 0
    assert "More: descentlab guide saddle" in capsys.readouterr().out


def test_the_guide_is_read_in_python_and_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    entry = dl.guide("saddle")
    assert entry.title in str(entry)
    assert "What to do" in entry._repr_html_()
    assert list(dl.guide()) == [e.name for e in ENTRIES]
    assert str(dl.guide()).count("\n") == len(ENTRIES) - 1
    assert "saddle" in dl.guide()._repr_html_()
    with pytest.raises(InputError, match="Did you mean 'saddle'"):
        dl.guide("sadle")
    assert main(["guide", "saddle"]) == 0
    assert "What to do" in capsys.readouterr().out
    assert main(["guide"]) == 0
    listed = capsys.readouterr().out
    assert [e.name for e in ENTRIES if e.name not in listed] == []
    assert main(["guide", "saddle", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "saddle"
    assert main(["guide", "nonsense"]) == 2


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_an_entry_is_short_and_whole(entry: Any) -> None:
    words = len(re.findall(r"\w+", entry.title + entry.cause + entry.remedy))
    assert 25 <= words <= 150
    for text in (entry.cause, entry.remedy):
        assert text.endswith((".", ")"))
    for pattern in entry.messages:
        re.compile(pattern)
