"""The exact command and Python lines that do again what was done."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from descentlab.objective import FormulaObjective, Objective

# Settings that are left out where they have their default value.
_DEFAULTS = {
    "start": None,
    "optimizer": "gd",
    "learning_rate": 0.01,
    "steps": 1000,
    "tolerance": None,
    "bounds": "free",
    "seed": 0,
    "record": "all",
    "precision": "float64",
    "ascent": False,
}
MOST_STARTS_WRITTEN = 100


@dataclass(frozen=True)
class Call:
    """What a public function was called with: its settings and the optimizer's parameters."""

    settings: Mapping[str, Any]
    parameters: Mapping[str, float] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=lambda: _DEFAULTS)

    def changed(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults."""
        missing = object()
        return {
            name: value
            for name, value in self.settings.items()
            if not _same(value, self.defaults.get(name, missing))
        }


def _same(a: Any, b: Any) -> bool:
    return (type(a) is type(b) and bool(np.all(a == b))) or (a is None and b is None)


def command_line(verb: str, f: Objective, call: Call) -> str:
    """Return the shell command, or "" where no command can say it: a Python function, an optax
    object, a schedule, or more than 100 starts that were given one by one."""
    if f.text is None:
        return ""
    words = ["descentlab", verb, shlex.quote(f.text), *_domain_options(f)]
    for name, value in call.changed().items():
        options = _options(name, value, f.dim)
        if options is None:
            return ""
        words += options
    words += [f"--parameter={name}={number(value)}" for name, value in call.parameters.items()]
    return " ".join(words)


def _options(name: str, value: Any, dim: int) -> list[str] | None:
    """Return the words that give one setting, None if no words can."""
    if name in ("start", "starts"):
        if isinstance(value, (int, np.integer)):
            return [f"--starts={value}"]
        points = np.asarray(value, float).reshape(-1, dim)
        if len(points) > MOST_STARTS_WRITTEN:
            return None
        return [f"--start={','.join(number(c) for c in point)}" for point in points]
    option = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [option] if value else []
    several = value if isinstance(value, (list, tuple, range, np.ndarray)) else [value]
    texts = [_option_text(entry) for entry in several]
    if any(text is None for text in texts):
        return None
    return [f"{option}={shlex.quote(','.join(text or '' for text in texts))}"]


def _option_text(value: Any) -> str | None:
    if isinstance(value, (float, np.floating)):
        return number(float(value))
    if isinstance(value, (int, str, np.integer)):
        return str(value)
    return None if callable(value) else getattr(value, "label", None)


def python_lines(verb: str, f: Objective, call: Call) -> str:
    """Return the Python lines, with the objective made first; "..." stands for what has no literal."""
    settings = {**call.changed(), **call.parameters}
    arguments = "".join(f", {name}={_literal(value)}" for name, value in settings.items())
    return f"import descentlab as dl\n\nf = {objective_python(f)}\nresult = dl.{verb}(f{arguments})\n"


def objective_python(f: Objective) -> str:
    """Return the expression that makes the objective."""
    if f.text is None:
        return f"...  # the Python function {f.label}"
    sides = ", ".join(
        f'"{name}": ({number(low)}, {number(high)})'
        for name, (low, high) in zip(f.names, f.domain, strict=True)
    )
    variables = f", variables={list(f.names)!r}" if f.declared else ""
    # Minus outside, as it was made: "-(…)" read as a formula would round differently.
    sign, text = ("-", f.core_text) if isinstance(f, FormulaObjective) and f.is_negated else ("", f.text)
    return f"{sign}dl.formula({text!r}, domain={{{sides}}}{variables})"


def _domain_options(f: Objective) -> list[str]:
    options = [
        f"--domain {name}={number(low)}:{number(high)}"
        for name, (low, high) in zip(f.names, f.domain, strict=True)
    ]
    return options + ([f"--variables {','.join(f.names)}"] if f.declared else [])


def number(value: float) -> str:
    """Write a number so that reading it gives the same double, without a needless '.0'."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


def _literal(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (np.floating, np.integer)):
        value = value.item()
    if isinstance(value, (list, tuple, range)):
        short = len(value) <= MOST_STARTS_WRITTEN
        return f"[{', '.join(map(_literal, value))}]" if short else "..."
    if isinstance(value, (int, float, str)) or value is None:
        return repr(value)
    return "..." if callable(value) else repr(getattr(value, "label", ...)).replace("Ellipsis", "...")
