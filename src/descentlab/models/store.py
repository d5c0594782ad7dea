"""A folder that keeps finished runs, so that an interrupted ensemble goes on, to the same bits.

manifest.json says what is trained; runs-FIRST-COUNT.npz holds a chunk. Files are written whole under another name
and then renamed, so that what is there is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from descentlab.errors import InputError
from descentlab.models.data import Data
from descentlab.models.problem import Problem
from descentlab.models.training import Plan, Trained

FORMAT = 1


class Store:
    """Finished chunks in a folder. Raises InputError if the folder holds something else."""

    def __init__(self, folder: str | os.PathLike[str], what: Mapping[str, Any]) -> None:
        self._folder = Path(folder)
        manifest = self._folder / "manifest.json"
        given = json.loads(json.dumps({"format": FORMAT, **what}))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not manifest.exists():
                if any(self._folder.iterdir()):
                    raise InputError(
                        f"The folder {self._folder} holds other files; give an empty one, or a new name."
                    )
                _write(manifest, json.dumps(given, indent=1).encode())
            kept = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"The store {self._folder} cannot be used: {error}.") from error
        differs = sorted(name for name in {*kept, *given} if kept.get(name) != given.get(name))
        if differs:
            raise InputError(
                f"The store {self._folder} holds another ensemble, which differs in: {', '.join(differs)}. "
                "Give the same settings, or another folder."
            )

    def load(self, runs: range) -> Trained | None:
        """Return these runs if they are kept, None if they are not, or their file was damaged."""
        try:
            with np.load(self._file(runs)) as kept:
                weights = {
                    name.removeprefix("weights/"): kept[name] for name in kept if name.startswith("weights/")
                }
                return Trained(weights, kept["losses"], kept["lengths"], kept["taken"])
        except (OSError, ValueError, KeyError, EOFError):
            return None

    def save(self, runs: range, trained: Trained) -> None:
        """Keep these runs."""
        arrays = {f"weights/{name}": value for name, value in trained.weights.items()}
        arrays |= {name: getattr(trained, name) for name in ("losses", "lengths", "taken")}
        partial = self._folder / f".{os.getpid()}-{runs.start}.part"
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        partial.replace(self._file(runs))

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


def _write(path: Path, text: bytes) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(text)
    partial.replace(path)
