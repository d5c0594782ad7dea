"""The store of an ensemble: killed, in use, damaged, foreign – nothing lost, and a clear word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

import descentlab as dl
from descentlab.models import retrain

INPUTS = torch.linspace(-1, 1, 12).reshape(6, 2)
DATA = (INPUTS, (INPUTS[:, :1] * INPUTS[:, 1:]).sin())
SCRIPT = """
import sys
sys.path.insert(0, {here!r})
from test_models_store import train
train({folder!r}, 3000)
"""


def build() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(2, 24), torch.nn.Tanh(), torch.nn.Linear(24, 1))


def train(folder: Any, runs: int) -> Any:
    torch.set_num_threads(1)
    return retrain(build, torch.nn.MSELoss(), DATA, runs=runs, steps=400, seed=3, store=folder)


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = train(None, 3000)
    kept = tmp_path / "kept"
    script = SCRIPT.format(here=str(Path(__file__).parent), folder=str(kept))
    process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": ""})
    deadline = time.monotonic() + 120
    while not list(kept.glob("runs-*.npz")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    held = sorted(kept.glob("runs-*.npz"))
    (kept / "_runs-00000000-1.npz.part").write_bytes(b"half a file, as a kill may leave one")
    times = {path: path.stat().st_mtime_ns for path in held}
    resumed = train(kept, 3000)
    assert not list(kept.glob("*.part"))
    assert {path: path.stat().st_mtime_ns for path in held} == times  # what was kept was not trained again
    np.testing.assert_array_equal(resumed.losses, whole.losses)
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], value)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    seen: list[str] = []

    def meanwhile(done: int, solved: float) -> None:
        with pytest.raises(dl.InputError, match="in use by another ensemble") as error:
            retrain(build, torch.nn.MSELoss(), DATA, runs=2, steps=2, store=tmp_path / "kept")
        seen.append(str(error.value))

    retrain(build, torch.nn.MSELoss(), DATA, runs=2, steps=2, store=tmp_path / "kept", progress=meanwhile)
    assert seen
    assert str(os.getpid()) in seen[0]
    retrain(build, torch.nn.MSELoss(), DATA, runs=2, steps=2, store=tmp_path / "kept")  # and free again


def test_a_damaged_manifest_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    retrain(build, torch.nn.MSELoss(), DATA, runs=2, steps=2, store=folder)
    for damage in ("{", "7", "[1]"):
        (folder / "_ensemble.json").write_text(damage)
        with pytest.raises(dl.InputError, match="damaged"):
            retrain(build, torch.nn.MSELoss(), DATA, runs=2, steps=2, store=folder)
    assert list(folder.glob("runs-*.npz"))


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for store, word in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "no" / "where", "make the folder"),
        (7, "folder's name"),
    ):
        with pytest.raises(dl.InputError, match=word):
            retrain(build, torch.nn.MSELoss(), DATA, runs=2, steps=2, store=store)  # type: ignore[arg-type]
