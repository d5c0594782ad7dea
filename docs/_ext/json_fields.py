"""Every field that --json prints: the commands are run on small inputs, and what each field means is looked up."""

import contextlib
import io
import json
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The commands that take --json, each with an input that fills its fields.
RUNS: dict[str, tuple[str, ...]] = {
    "derive": ("x^2*sin(x) + abs(x)",),
    "descend": ("x^2 + y^2", "--start", "1,1", "--steps", "20"),
    "sweep": ("x^2", "--learning-rate", "0.1,0.2", "--steps", "5", "--starts", "2"),
    "survey": ("cos(2*pi*x) + x^2", "--domain", "x=-2:2", "--starts", "200"),
    "basins": ("peaks", "--resolution", "16"),
    "certify": ("cos(2*pi*x) + x^2", "--domain", "x=-2:2"),
    "minimize": ("cos(2*pi*x) + x^2", "--domain", "x=-2:2"),
    "explore": ("x^2 + cos(3x)", "--start", "0", "--output", "{folder}/report.html"),
    "retrain": ("{examples}/xor.py:xor", "--runs", "20", "--steps", "300"),
    "widen": ("{examples}/xor.py:xor", "--widths", "2,3", "--runs", "10", "--steps", "300"),
    "landscapes": ("peaks",),
    "optimizers": ("adam",),
}  # fmt: skip
SAME_AS = {"ascend": "descend", "maximize": "minimize"}
# Objects whose keys are data: outcomes, quantiles, a verdict's evidence, …
OPEN = (
    "outcomes",
    "restarts",
    "elsewhere",
    "loss_quantiles",
    "metrics",
    "held_metrics",
    "evidence",
    "counts",
)
# Fields that are whole results of another command, told under its heading.
ELSEWHERE = ("survey", "descent", "certificate", "explanation", "nudged", "ensembles")
MEANINGS = Path(__file__).with_name("json_fields.toml")


def pages(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the page of fields, and which have no meaning in json_fields.toml."""
    meanings = tomllib.loads(MEANINGS.read_text(encoding="utf-8"))
    text = [
        "# JSON fields", "",
        "With `--json` a command prints one JSON object on standard output, its fields named as in Python. Numbers "
        'that JSON lacks are the texts `"NaN"`, `"Infinity"` and `"-Infinity"`. Where a field is a list of objects, '
        "their fields are named behind a dot. Arrays have the axes (start, step, variable), in this order.", "",
    ]  # fmt: skip
    missing: list[str] = []
    examples = str(folder.parents[1] / "examples")
    for command, arguments in RUNS.items():
        with tempfile.TemporaryDirectory() as place:
            found = _run([command, *(a.format(folder=place, examples=examples) for a in arguments), "--json"])
        same = [name for name, like in SAME_AS.items() if like == command]
        text += [f"## {' and '.join([command, *same])}", "", "| field | | meaning |", "|---|---|---|"]
        for path, kind in _fields(found):
            meaning = _meaning(meanings, command, path)
            if meaning is None:
                missing.append(f"meaning of '{path}' of 'descentlab {command} --json' in {MEANINGS.name}")
            text.append(f"| `{path}` | {kind} | {meaning} |")
        text.append("")
    return {"json": "\n".join(text)}, missing


def _run(arguments: list[str]) -> Any:
    from descentlab.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    if status != 0:
        raise RuntimeError(f"descentlab {' '.join(arguments)}: {err.getvalue()}")
    return json.loads(out.getvalue())


def _fields(data: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and kind of every field."""
    for name, value in data.items():
        path = f"{before}{name}"
        inner = value[0] if isinstance(value, list) and value else value
        yield path, _kind(value)
        if isinstance(inner, dict) and name not in OPEN and name not in ELSEWHERE:
            yield from _fields(inner, f"{path}.")


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        depth, inner = 0, value
        while isinstance(inner, list):
            depth, inner = depth + 1, inner[0] if inner else None
        what = {dict: "objects", str: "texts", bool: "booleans"}.get(type(inner), "numbers")
        return f"list of {what}" if depth == 1 else f"array of {what}, {depth} axes"
    return {str: "text", bool: "boolean", type(None): "null here"}.get(type(value), "number")


def _meaning(meanings: dict[str, Any], command: str, path: str) -> str | None:
    """Look a field up by its whole path, then by ever shorter ends of it."""
    parts = [command, *path.split(".")]
    for i in range(len(parts)):
        found = meanings.get(".".join(parts[i:]))
        if isinstance(found, str):
            return found
    return None
