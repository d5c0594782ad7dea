"""Which runs found the same solution: the same function, or the same weights up to the order of hidden units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError

if TYPE_CHECKING:
    from descentlab.models.ensemble import Ensemble

Array = NDArray[np.float64]


def distinct_functions(e: Ensemble, tolerance: float) -> NDArray[np.int64]:
    """Number the runs by their outputs on the training data."""
    from descentlab.models.scoring import outputs_of

    if e.data is None or e.problem.module is None:
        raise InputError(
            "Functions are compared by a model's outputs, which a loss in JAX does not give; use by='weights'."
        )
    outputs = outputs_of(e.problem, e.weights, e.data.inputs).reshape(e.runs, -1)
    kept = ~e.diverged
    spread = float(np.median(np.std(outputs[kept], axis=1))) or 1.0 if kept.any() else 1.0
    return _numbered(outputs, tolerance * spread, kept)


def distinct_weights(e: Ensemble, tolerance: float) -> NDArray[np.int64]:
    """Number the runs by their weights, hidden units put into one order first."""
    canonical = canonical_weights(e)
    kept = ~e.diverged
    size = float(np.median(np.abs(canonical[kept]))) or 1.0 if kept.any() else 1.0
    return _numbered(canonical, tolerance * size, kept)


def canonical_weights(e: Ensemble) -> Array:
    """Return each run's weights as one vector, (run, weight), that does not depend on the order of hidden units.

    For a torch.nn.Sequential of Linear layers the units of each hidden layer are sorted by a fixed random
    combination of what comes in, layer by layer; behind a tanh each unit's sign is chosen so that this is
    positive. Other models keep the order they have.
    """
    weights = {name: np.asarray(value, np.float64).copy() for name, value in e.weights.items()}
    for inward, outward, odd in _hidden_layers(e.problem.module):
        incoming = np.concatenate(
            [weights[f"{inward}.weight"], weights[f"{inward}.bias"][..., None]]
            if f"{inward}.bias" in weights
            else [weights[f"{inward}.weight"]],
            axis=2,
        )
        # Coordinates of one sign would let close units tie; a random combination does not.
        mark = incoming @ np.random.default_rng([0, 0xCA]).normal(size=incoming.shape[2])
        signs = np.where(mark < 0, -1.0, 1.0) if odd else np.ones_like(mark)
        order = np.argsort(mark * signs, axis=1)
        for name, axis in ((f"{inward}.weight", 1), (f"{inward}.bias", 1), (f"{outward}.weight", 2)):
            if name in weights:
                shape = [len(mark), *[1] * (weights[name].ndim - 1)]
                shape[axis] = mark.shape[1]
                signed = weights[name] * signs.reshape(shape)
                weights[name] = np.take_along_axis(signed, order.reshape(shape), axis)
    return np.concatenate([weights[name].reshape(e.runs, -1) for name in e.problem.trained], axis=1)


def _hidden_layers(module: Any) -> list[tuple[str, str, bool]]:
    """Return pairs of neighbouring Linear layers with nothing but an activation between, and whether it is odd."""
    if module is None:  # a model in JAX
        return []
    import torch

    if not isinstance(module, torch.nn.Sequential):
        return []
    found: list[tuple[str, str, bool]] = []
    last: str | None = None
    between: list[Any] = []
    for name, part in module.named_children():
        if isinstance(part, torch.nn.Linear):
            if last is not None and all(_is_elementwise(one) for one in between):
                found.append((last, name, any(isinstance(one, torch.nn.Tanh) for one in between)))
            last, between = name, []
        else:
            between.append(part)
    return found


def _is_elementwise(part: Any) -> bool:
    import torch

    return isinstance(
        part,
        (torch.nn.Tanh, torch.nn.Sigmoid, torch.nn.ReLU, torch.nn.LeakyReLU, torch.nn.ELU, torch.nn.GELU, torch.nn.SiLU,
         torch.nn.Softplus, torch.nn.Dropout, torch.nn.Identity),
    )  # fmt: skip


def _numbered(points: Array, tolerance: float, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number the points so that those within `tolerance` of the first of a number share it, −1 for those left out."""
    numbers = np.full(len(points), -1)
    left = np.flatnonzero(kept)
    count = 0
    while left.size:
        same = np.abs(points[left] - points[left[0]]).max(axis=1) <= tolerance
        numbers[left[same]] = count
        left, count = left[~same], count + 1
    return numbers
