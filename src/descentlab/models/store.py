"""A folder that keeps finished runs, so that an interrupted ensemble goes on, to the same bits.

_ensemble.json says what is trained; runs-FIRST-COUNT.npz holds a chunk. The folder is used as a survey's: by one
process at a time, its files there whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.errors import InputError
from descentlab.files import manifest_text, opened, write_manifest, write_result
from descentlab.models.data import Data
from descentlab.models.problem import Problem
from descentlab.models.training import Plan, Trained

FORMAT, WHAT = 1, "ensemble"


@contextlib.contextmanager
def open_store(path: Any, what: Mapping[str, Any]) -> Iterator[Store | None]:
    """Open the folder for these settings, None without a path; hold its lock until the end.

    Raises InputError for a folder that cannot be used, is in use, or holds something else.
    """
    if path is None:
        yield None
        return
    with opened(path, WHAT) as folder:
        given = json.loads(json.dumps({"format": FORMAT, **what}))
        text = manifest_text(folder, WHAT)
        try:
            kept = given if text is None else dict(json.loads(text))
        except (TypeError, ValueError):
            raise InputError(
                f"The store {folder} is damaged: its _{WHAT}.json cannot be read. Put it back from a copy, or use "
                "another folder."
            ) from None
        differs = sorted(name for name in {*kept, *given} if kept.get(name) != given.get(name))
        if differs:
            raise InputError(
                f"The store {folder} holds another ensemble, which differs in: {', '.join(differs)}. "
                "Give the same settings, or another folder."
            )
        if text is None:
            write_manifest(folder, WHAT, json.dumps(given, indent=1))
        yield Store(folder)


class Store:
    """Finished chunks in an open folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, runs: range) -> Trained | None:
        """Return these runs if they are kept, None if they are not, or their file was damaged."""
        try:
            with np.load(self._file(runs)) as kept:
                weights = {
                    name.removeprefix("weights/"): kept[name] for name in kept if name.startswith("weights/")
                }
                return Trained(weights, kept["losses"], kept["lengths"], kept["taken"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, runs: range, trained: Trained) -> None:
        """Keep these runs. Raises WorkError where the folder cannot be written."""
        arrays = {f"weights/{name}": value for name, value in trained.weights.items()}
        arrays |= {name: getattr(trained, name) for name in ("losses", "lengths", "taken")}
        data = io.BytesIO()
        np.savez(data, allow_pickle=False, **arrays)
        write_result(self._file(runs), data.getbuffer(), f"the same training goes on from run {runs.start:,}")

    def _file(self, runs: range) -> Path:
        return self._folder / f"runs-{runs.start:08d}-{len(runs)}.npz"


def fingerprint(problem: Problem, plan: Plan, data: Data | None) -> dict[str, Any]:
    """Return what tells one ensemble from another: the settings, and the numbers that stand for model and data.

    A function cannot be compared, so the first run's weights and their loss stand for `build` and `loss`.
    """
    from descentlab.models.scoring import losses_of

    weights = problem.initial(0, plan.seed)
    inputs, targets = (None, None) if data is None else (data.inputs, data.targets)
    first = {name: value[None] for name, value in weights.items()}
    loss = float(losses_of(problem, first, inputs, targets)[0][0])
    return {
        "engine": problem.engine,
        "optimizer": [plan.optimizer.name, [[name, value] for name, value in plan.optimizer.settings]],
        "learning rates": _digest(plan.rates),
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "order": plan.order,
        "seed": plan.seed,
        "weights": {
            name: [list(value.shape), str(value.dtype), _digest(value)] for name, value in weights.items()
        },
        "first loss": repr(loss),
        "data": None if data is None else [_digest(data.inputs), _digest(data.targets)],
    }


def _digest(array: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
