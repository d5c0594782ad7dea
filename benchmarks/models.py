"""Retraining many small networks: the lab beside PyTorch's own loop and `torch.func` ensembling, on one core.

Each way is timed in a process of its own that is pinned to one core, torch with one thread; the networks, seeds,
steps and optimizer are the same, and so must be the losses.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

RUNS, STEPS, SAMPLES = 1000, 1000, 150
WAYS = ("plain", "func", "lab")


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussian blobs, 150 points."""
    random = np.random.default_rng(0)
    centres = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.5]])
    labels = np.arange(SAMPLES) % 3
    return (centres[labels] + 0.7 * random.normal(size=(SAMPLES, 2))), labels


def build() -> Any:
    import torch

    return torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)).double()


def _seeded(run: int) -> Any:
    import torch

    from descentlab.models.problem import run_seed

    torch.manual_seed(run_seed(0, run))
    return build()


def by_plain(runs: int) -> np.ndarray:
    """One network after the other, by PyTorch's own loop."""
    import torch

    x, y = map(torch.tensor, blobs())
    loss, found = torch.nn.CrossEntropyLoss(), []
    for run in range(runs):
        module = _seeded(run)
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss(module(x), y).backward()
            optimizer.step()
        found.append(loss(module(x), y).item())
    return np.array(found)


def by_func(runs: int) -> np.ndarray:
    """All networks at once, by torch.func as in its tutorial on ensembling: vmap over stacked parameters."""
    import torch
    from torch.func import functional_call, grad_and_value, stack_module_state, vmap

    x, y = map(torch.tensor, blobs())
    loss = torch.nn.CrossEntropyLoss()
    parameters, _ = stack_module_state([_seeded(run) for run in range(runs)])
    parameters = {name: p.detach() for name, p in parameters.items()}
    base = build().to("meta")

    def value(parameters: Any, x: Any, y: Any) -> Any:
        return loss(functional_call(base, parameters, (x,)), y)

    slope = vmap(grad_and_value(value), in_dims=(0, None, None))
    optimizer = torch.optim.Adam(parameters.values(), lr=0.01)
    for _ in range(STEPS):
        gradients, _ = slope(parameters, x, y)
        for name, p in parameters.items():
            p.grad = gradients[name]
        optimizer.step()
    with torch.no_grad():
        found: np.ndarray = vmap(value, in_dims=(0, None, None))(parameters, x, y).numpy()
    return found


def by_lab(runs: int) -> np.ndarray:
    """`retrain`, translating and compiling included."""
    import torch

    from descentlab.models.retrain import retrain

    e = retrain(build, torch.nn.CrossEntropyLoss(), blobs(), runs=runs, steps=STEPS, learning_rate=0.01)
    return e.final_losses


def measure(way: str, runs: int) -> tuple[float, np.ndarray]:
    """Time one way in a process of its own, on one core: seconds, and the losses (run,)."""
    program = f"from benchmarks import models; models.main({way!r}, {runs})"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return told["seconds"], np.array(told["losses"])


def main(way: str, runs: int) -> None:
    """Run one way and print what it took (in the process of its own)."""
    import torch

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    ways: dict[str, Callable[[int], np.ndarray]] = {"plain": by_plain, "func": by_func, "lab": by_lab}
    import descentlab.models.retrain  # noqa: F401 – imports are not what is timed

    began = time.perf_counter()
    losses = ways[way](runs)
    print(json.dumps({"seconds": time.perf_counter() - began, "losses": losses.tolist()}))


def table(rounds: int = 3, runs: int = RUNS, plain_runs: int = 10) -> str:
    """Return a Markdown table; the plain loop is timed on fewer runs, which take equally long each."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    losses: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for way in WAYS:
            count = plain_runs if way == "plain" else runs
            took, losses[way] = measure(way, count)
            seconds[way].append(took * runs / count)
    median = {way: float(np.median(took)) for way, took in seconds.items()}
    apart = max(float(np.abs(losses[way][:plain_runs] - losses["plain"]).max()) for way in ("func", "lab"))
    names = {
        "plain": f"PyTorch's loop, one after the other ({plain_runs} runs, scaled)",
        "func": "torch.func ensembling",
        "lab": "`retrain`, compiling included",
    }
    rows = [
        f"| {names[way]} | {took:.1f} s | {median['plain'] / took:.0f}× | {median['func'] / took:.1f}× |"
        for way, took in median.items()
    ]
    head = [
        f"{runs:,} networks 2-16-3 in double precision, {SAMPLES} samples, Adam, {STEPS} steps, one core each; "
        f"medians of {rounds} rounds in turn. Final losses differ by at most {apart:.0e}.",
        "",
        "| way | time | against the loop | against torch.func |",
        "|---|--:|--:|--:|",
    ]
    return "\n".join([*head, *rows])


def digits(runs: int = 200) -> str:
    """Retrain a small network on scikit-learn's digits; both cores, all epochs: wall time and the best of n."""
    import runpy
    from pathlib import Path

    from descentlab.models.retrain import retrain

    example = Path(__file__).parents[1] / "examples" / "digits.py"
    given = runpy.run_path(str(example))["digits"]
    e = retrain(**given, runs=runs)
    counts = (1, 5, 20, 100)
    best = ", ".join(f"{n}: {loss:.4f}" for n, loss in zip(counts, e.best_of(counts), strict=True))
    held = e.held_metrics["accuracy"]
    return (
        f"{runs} networks 64-16-10 on 80 % of scikit-learn's digits, {given['epochs']} epochs in batches of "
        f"{given['batch_size']}, both cores, compiling included: {e.seconds:.1f} s. Expected lowest training loss of "
        f"n runs – {best}. Accuracy on the held-out 20 %: {held.mean():.3f} on average, {held[e.best_run]:.3f} for "
        "the run with the lowest training loss."
    )
