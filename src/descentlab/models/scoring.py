"""Outputs and metrics of every run's model."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.models.metrics import metrics_for
from descentlab.models.problem import Problem, Weights

Array = NDArray[np.float64]

TOGETHER = 64  # runs whose outputs are in memory at a time


def scores(
    problem: Problem, loss: Any, weights: Weights, inputs: NDArray[Any], targets: NDArray[Any]
) -> dict[str, Array]:
    """Return the loss and the metrics that go with it, each (run,)."""
    parts: dict[str, list[Array]] = {"loss": losses_of(problem, weights, inputs, targets)}
    if problem.module is not None:
        import jax

        measures = {
            name: jax.jit(jax.vmap(one, (0, None))) for name, one in metrics_for(loss, targets).items()
        }
        for outputs in _outputs(problem, weights, inputs):
            for name, measure in measures.items():
                with jax.enable_x64(True):
                    parts.setdefault(name, []).append(np.asarray(measure(outputs, targets), np.float64))
    return {name: np.concatenate(part) for name, part in parts.items()}


def outputs_of(problem: Problem, weights: Weights, inputs: NDArray[Any]) -> NDArray[Any]:
    """Return every model's outputs, (run, sample, …)."""
    return np.concatenate(list(_outputs(problem, weights, inputs)))


def losses_of(problem: Problem, weights: Weights, inputs: Any, targets: Any) -> list[Array]:
    """Return every model's loss, in parts of runs."""
    found = []
    for part in _parts(weights):
        if problem.loss is not None:
            import jax

            with jax.enable_x64(True):
                found.append(np.asarray(_losses(problem)(part, inputs, targets), np.float64))
        else:
            found.append(_by_torch(problem, part, inputs, targets))
    return found


def _parts(weights: Weights) -> Iterator[Weights]:
    runs = len(next(iter(weights.values())))
    for first in range(0, runs, TOGETHER):
        yield {name: value[first : first + TOGETHER] for name, value in weights.items()}


def _outputs(problem: Problem, weights: Weights, inputs: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for part in _parts(weights):
        if problem.outputs is not None:
            import jax

            with jax.enable_x64(True):
                yield np.asarray(_applied(problem)(part, inputs))
        else:
            yield _by_torch(problem, part, inputs, None)


@functools.lru_cache(16)
def _losses(problem: Problem) -> Any:
    import jax

    assert problem.loss is not None
    loss = problem.loss
    return jax.jit(jax.vmap(lambda w, x, y: loss(w, x, y, None), in_axes=(0, None, None)))


@functools.lru_cache(16)
def _applied(problem: Problem) -> Any:
    import jax

    assert problem.outputs is not None
    return jax.jit(jax.vmap(problem.outputs, in_axes=(0, None)))


def _by_torch(problem: Problem, weights: Weights, inputs: Any, targets: Any) -> NDArray[Any]:
    """Return outputs, or losses where targets are given, by torch.func."""
    import torch
    from torch.func import functional_call, vmap

    module = problem.module.to("cpu").eval()
    x = torch.as_tensor(inputs)

    def one(weights: Any) -> Any:
        outputs = functional_call(module, weights, (x,))
        return outputs if targets is None else problem.torch_loss(outputs, torch.as_tensor(targets))

    with torch.no_grad():
        found: NDArray[Any] = vmap(one)(
            {name: torch.as_tensor(value) for name, value in weights.items()}
        ).numpy()
    return found
