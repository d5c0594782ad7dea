"""Results as plain data for JSON, their fields named as in Python.

JSON has no NaN and no infinities: they are written as the texts "NaN", "Infinity" and
"-Infinity", which Python's `float` and JavaScript's `Number` read back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

# How a result is computed again is told by `command` and `python`; `judgement` is in the verdicts.
_LEFT_OUT = {"call", "ending", "outcome_codes"}

# What is left out of a field, by name of the class: the survey has the objective, and times differ from run to run.
_LESS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"Matching": {"certificate": ("objective", "seconds")}}

# Fields that are left out, by name of the class: what only Python can hold, and what is large.
_WITHOUT: Mapping[str, tuple[str, ...]] = {"Ensemble": ("problem", "data", "losses", "lengths", "weights")}

# What a class offers besides its fields, by name of the class.
_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "Descent": ("values", "gradients", "ends", "outcomes", "verdicts", "command", "python"),
    "Sweep": ("varied", "command", "python"),
    "BasinMap": (
        "outcomes",
        "shares",
        "areas",
        "elsewhere",
        "best_share",
        "entropy",
        "uncertainty",
        "uncertainty_exponent",
        "sentence",
        "command",
        "python",
    ),
    "BasinStrip": ("labels", "changed", "sentence", "command", "python"),
    "BasinEntropy": ("is_fractal",),
    "Uncertainty": ("exponent", "error", "dimension"),
    "Survey": (
        "best",
        "best_ones",
        "best_share",
        "restarts",
        "unseen",
        "unseen_interval",
        "expected_minima",
        "most_minima",
        "chance_all_seen",
        "elsewhere",
        "symmetry",
        "seriousness",
        "sentence",
        "proof",
        "matched",
        "command",
        "python",
    ),
    "Certificate": ("complete", "counts", "sentence", "command", "python"),
    "CertifiedPoint": ("on_boundary",),
    "Matching": ("finished", "all_found"),
    "Exploration": ("answers", "command", "python"),
    "Ensemble": (
        "runs",
        "size",
        "final_losses",
        "levels",
        "level_of",
        "is_solved",
        "share_solved",
        "share_interval",
        "sentence",
    ),
    "Widening": (
        "shares",
        "share_intervals",
        "seconds_a_run",
        "work_a_run",
        "restarts",
        "costs",
        "cheapest",
        "sentence",
    ),
}


def as_data(thing: Any) -> Any:
    """Return `thing` made of dictionaries, lists, texts, numbers, booleans and None only.

    >>> as_data({"share": (0.5, float("inf"))})
    {'share': [0.5, 'Infinity']}
    """
    if thing is None or isinstance(thing, bool | str | int):
        return thing
    if isinstance(thing, float):
        return _number(float(thing))
    if isinstance(thing, Mapping):
        return {str(key): as_data(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [as_data(item) for item in thing]
    special = _special(thing)
    if special is not None:
        return special()
    if is_dataclass(thing):
        kind = type(thing).__name__
        without = _LEFT_OUT | set(_WITHOUT.get(kind, ()))
        names = [field.name for field in fields(thing) if field.name not in without]
        names += _PROPERTIES.get(kind, ())
        data = {name: as_data(getattr(thing, name)) for name in names}
        data |= {name: as_data(value) for name, value in _COMPUTED.get(kind, lambda _: {})(thing).items()}
        for name, parts in _LESS.get(kind, {}).items():
            data[name] = {key: value for key, value in data[name].items() if key not in parts}
        return data
    return str(thing)


def _special(thing: Any) -> Callable[[], Any] | None:
    """Return how to write a thing that is no plain dataclass, None for all others."""
    if hasattr(thing, "tolist"):  # NumPy arrays and numbers
        return lambda: as_data(thing.tolist())
    if hasattr(thing, "to_dict"):
        return lambda: as_data(thing.to_dict())
    if hasattr(thing, "names") and hasattr(thing, "domain") and hasattr(thing, "gradient"):
        return lambda: _objective(thing)
    return None


def _objective(f: Any) -> dict[str, Any]:
    from descentlab.formula.mathml import text

    return {
        "label": f.label,
        "names": list(f.names),
        "domain": as_data(f.domain),
        "dim": f.dim,
        "text": f.text,
        "expression": None if f.expression is None else text(f.expression),
        "partials": None if f.partials is None else [text(p) for p in f.partials],
        "notes": list(f.notes),
    }


def _of_ensemble(e: Any) -> dict[str, Any]:
    """Return what methods say of an ensemble; how runs ended only if it was asked for, since that may take long."""
    from descentlab.models.drawing import loss_quantiles

    judged = e.__dict__.get("endings")
    return {
        "restarts": {confidence: e.restarts_for(confidence) for confidence in (0.5, 0.95, 0.99)},
        "best_run": None if e.diverged.all() else e.best_run,
        "loss_quantiles": loss_quantiles(e),
        "endings": judged,
        "outcomes": None if judged is None else e.outcomes,
    }


# What is said of a class beyond its fields and properties, by name of the class.
_COMPUTED: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {"Ensemble": _of_ensemble}


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
