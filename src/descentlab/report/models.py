"""An ensemble or a widening as one HTML page that needs nothing else, in the manner of `report.render`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from descentlab.errors import InputError
from descentlab.models import Ensemble, Widening
from descentlab.models.draw_parts import looks
from descentlab.models.drawing import solutions, widths_of
from descentlab.models.endings import ENDINGS
from descentlab.models.words import percent
from descentlab.report.explore import versions
from descentlab.report.pictures import drawn
from descentlab.report.render import _data, _environment, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LEVELS = 20


def write(
    result: Ensemble | Widening, path: str | Path, title: str = "", command: str = "", python: str = ""
) -> None:
    """Write the report of an ensemble or a widening into a file.

    title: what the model is called; command, python: how to do it again, where that is known.

    Raises InputError where the file cannot be written.
    """
    target = Path(path)
    page = render(result, title, command, python)
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot write '{target}': {error.strerror or error}.") from error


def render(result: Ensemble | Widening, title: str = "", command: str = "", python: str = "") -> str:
    """Return the whole page.

    >>> import jax
    >>> from descentlab.models import retrain
    >>> e = retrain(lambda key: jax.random.normal(key, (2,)), lambda w: ((w**2 - 1) ** 2).sum(), runs=8,
    ...             optimizer="sgd", learning_rate=0.05, steps=50)
    >>> render(e, "two wells").count("<h1>two wells</h1>")
    1
    """
    if isinstance(result, Widening):
        several, parts = result.ensembles, _widening(result)
        python = python or _python_of_widening(result)
    else:
        several, parts = (result,), _ensemble(result)
        python = python or _python_of(result, "retrain", "build")
    first = several[0]
    page: str = (
        _environment()
        .get_template("models.html.j2")
        .render(
            title=title or f"A model with {first.size:,} weights",
            sentence=result.sentence,
            settings=_settings(first),
            model=_model(first),
            command=command,
            python=python,
            versions=_versions(first),
            seconds=sum(e.seconds for e in several),
            first=first,
            data=_data(result),
            is_widening=isinstance(result, Widening),
            **parts,
        )
    )
    return page


# --- one ensemble ---


def _ensemble(e: Ensemble) -> dict[str, Any]:
    """Return what the page says of an ensemble, its figures drawn."""
    judged = "endings" in e.__dict__
    kinds = ["losses"]
    if 0 < e.share_solved < 0.95:
        kinds.append("best_of")
    kinds += ["endings"] * judged + ["solutions"] * bool(e.levels)
    return {
        "figures": _figures({kind: functools.partial(e.plot, kind) for kind in kinds}),
        "levels": _levels(e),
        "endings": _endings(e) if judged else [],
        "best": None if e.diverged.all() else e.best_run,
        "metrics": _metrics(e),
        "restarts": _restarts(e),
        "solutions": solutions(e) if e.levels else None,
    }


def _figures(wanted: Mapping[str, Callable[[], Figure]]) -> dict[str, Markup]:
    return {name: Markup(drawn(draw)) for name, draw in wanted.items()}


def _levels(e: Ensemble) -> dict[str, Any]:
    """Return the levels as rows, the solved ones marked."""
    rows = []
    for i, level in enumerate(e.levels[:MOST_LEVELS]):
        solved = bool(e.is_solved[e.level_of == i].mean() >= 0.5)
        rows.append(
            {
                "loss": number(level.loss),
                "runs": level.runs,
                "share": percent(level.share),
                "interval": _interval(level.share_interval),
                "width": round(100 * level.share, 2),
                "colour": looks()["solved" if solved else "stuck"]["color"],
                "solved": solved,
            }
        )
    others = e.levels[MOST_LEVELS:]
    return {"rows": rows, "more": len(others), "more_runs": sum(level.runs for level in others)}


def _interval(interval: tuple[float, float]) -> str:
    return f"{percent(interval[0])} to {percent(interval[1])}"


def _endings(e: Ensemble) -> list[dict[str, Any]]:
    """Return every ending with its runs and what it means; at which losses the runs are that ended so."""
    rows = []
    for name, meaning in ENDINGS.items():
        mine = e.endings.outcomes == name
        if not mine.any():
            continue
        losses = e.final_losses[mine & ~e.diverged]
        span = (
            Markup("–") if not losses.size
            else number(float(losses.min()), 3) if losses.min() == losses.max()
            else Markup("{} to {}").format(number(float(losses.min()), 3), number(float(losses.max()), 3))
        )  # fmt: skip
        rows.append(
            {
                "name": name.replace("_", " "),
                "runs": int(mine.sum()),
                "share": percent(float(mine.mean())),
                "losses": span,
                "meaning": meaning,
            }
        )
    return rows


def _metrics(e: Ensemble) -> list[dict[str, Any]]:
    """Return the metrics of the best run and over all runs, on the data trained on and held out."""
    if e.diverged.all():
        return []
    rows = []
    for where, metrics in (("trained on", e.metrics), ("held out", e.held_metrics)):
        for name, values in metrics.items():
            kept = values[~e.diverged & np.isfinite(values)]
            low, middle, high = np.quantile(kept, (0.05, 0.5, 0.95)) if kept.size else [np.nan] * 3
            rows.append(
                {
                    "where": where,
                    "name": name.replace("_", " "),
                    "best": number(float(values[e.best_run]), 4),
                    "median": number(float(middle), 4),
                    "range": Markup("{} to {}").format(number(float(low), 4), number(float(high), 4)),
                }
            )
    return rows


def _restarts(e: Ensemble) -> list[dict[str, Any]]:
    """Return how many runs make a solution so sure, with intervals."""
    rows = []
    for confidence in (0.5, 0.95, 0.99):
        needed = e.restarts_for(confidence)
        if needed is not None:
            low, high = e.restarts_interval(confidence)
            rows.append({"sure": percent(confidence), "runs": needed, "low": low, "high": high})
    return rows


# --- a widening ---


def _widening(w: Widening) -> dict[str, Any]:
    """Return what the page says of a widening: a row and a folded figure a width."""
    data = widths_of(w)
    rows = []
    for i, (width, e) in enumerate(zip(w.widths, w.ensembles, strict=True)):
        low, high = e.restarts_interval(w.confidence)
        rows.append(
            {
                "width": width,
                "weights": e.size,
                "share": percent(e.share_solved),
                "interval": _interval(e.share_interval),
                "bar": round(100 * e.share_solved, 2),
                "restarts": w.restarts[i],
                "low": low,
                "high": high,
                "cost": number(float(w.costs[i]), 3) if np.isfinite(w.costs[i]) else Markup("–"),
                "seconds": number(float(w.seconds_a_run[i]), 2),
                "best": i == data.best,
                "sentence": e.sentence,
            }
        )
    draw = {
        f"width {width}": functools.partial(e.plot, "losses")
        for width, e in zip(w.widths, w.ensembles, strict=True)
    }
    return {
        "figures": _figures({"widths": w.plot, **draw}),
        "widths": rows,
        "confidence": percent(w.confidence),
    }


# --- settings, and how to do it again ---


def _settings(e: Ensemble) -> list[tuple[str, str]]:
    """Return what was run, as label and value."""
    rows = [
        ("Weights", f"{e.size:,}"),
        ("Runs", f"{e.runs:,}"),
        ("Optimizer", e.optimizer),
        ("Learning rate", e.learning_rate),
        ("Steps", f"{e.steps:,}"),
    ]
    if e.data is not None:
        rows.append(("Samples", f"{e.data.count:,}"))
        if e.data.held_out is not None:
            rows.append(("Held out", f"{len(e.data.held_out[0]):,}"))
        rows.append(
            ("Batches", "all samples" if e.batch_size is None else f"{e.batch_size:,}, {e.order} order")
        )
    if e.solved is not None:
        rows.append(("Solved", f"at a loss of {e.solved:.6g} or less"))
    return [*rows, ("Seed", f"{e.seed}")]


def _model(e: Ensemble) -> str:
    """Return the model as PyTorch writes it, or the shapes of its weights."""
    if e.problem.module is not None:
        return str(e.problem.module)
    return "\n".join(
        f"{name}: {' × '.join(map(str, shape)) or 'a number'}" for name, shape in e.problem.shapes.items()
    )


def _python_of(e: Ensemble, verb: str, build: str, more: Sequence[str] = ()) -> str:
    """Return Python that does it again, for the one who has `build`, `loss` and `data`."""
    name, *settings = re.split(r" (?=\w+=)", e.optimizer)
    rate = e.learning_rate
    if not re.fullmatch(r"[-+.\deE]+", rate):
        rate = "..." if rate.startswith("<") else repr(rate)
    arguments = [build, "loss", *(["data"] if e.data is not None else []), *more]
    arguments += [f"runs={e.runs}", f"optimizer={name!r}", f"learning_rate={rate}", f"steps={e.steps}"]
    if e.batch_size is not None:
        arguments += [f"batch_size={e.batch_size}", f"order={e.order!r}"]
    if e.data is not None and e.data.held_out is not None:
        arguments.append("held_out=...")
    if e.solved is not None:
        arguments.append(f"solved={e.solved!r}")
    call = ", ".join([*arguments, f"seed={e.seed}", *settings])
    return f"from descentlab.models import {verb}\n\nresult = {verb}({call})\n"


def _python_of_widening(w: Widening) -> str:
    more = [f"widths={w.widths}", f"confidence={w.confidence:g}"]
    return _python_of(w.ensembles[0], "widen", "build_of_width", more)


def _versions(e: Ensemble) -> dict[str, str]:
    """Return the versions of what the numbers were computed with."""
    found = {name: version for name, version in versions().items() if name not in ("sympy", "optax")}
    if e.problem.module is not None:
        from importlib.metadata import version

        found["torch"] = version("torch")
    return found
