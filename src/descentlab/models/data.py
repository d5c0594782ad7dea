"""What a model is trained on: inputs and targets, some of them held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError

Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Data:
    """inputs (sample, …) and targets (sample, …); held_out: another pair, never trained on, or None."""

    inputs: NDArray[Any]
    targets: NDArray[Any]
    held_out: Pair | None = None

    @property
    def count(self) -> int:
        return len(self.inputs)

    def cast(self, dtype: Any) -> Data:
        """Return the same with all real numbers in one precision; whole numbers stay."""

        def one(values: NDArray[Any]) -> NDArray[Any]:
            return values.astype(dtype) if np.issubdtype(values.dtype, np.floating) else values

        held = None if self.held_out is None else (one(self.held_out[0]), one(self.held_out[1]))
        return Data(one(self.inputs), one(self.targets), held)


def read_data(data: Any, held_out: Any = None, seed: int = 0) -> Data:
    """Read a pair (inputs, targets) of tensors or arrays, or a Dataset of such pairs.

    held_out: a share of the samples, drawn by `seed`, or a pair of its own.

    Raises InputError where inputs and targets differ in number, are none, or are not finite.

    >>> read_data(([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]), held_out=0.25).count
    3
    """
    inputs, targets = _pair(data, "The data")
    if held_out is None:
        return Data(inputs, targets)
    if isinstance(held_out, (int, float)) and not isinstance(held_out, bool):
        count = round(float(held_out) * len(inputs))
        if not 0 < count < len(inputs):
            raise InputError(
                f"held_out is a share of the samples between 0 and 1 that leaves some on either side; {held_out} of "
                f"{len(inputs)} samples does not."
            )
        order = np.random.default_rng([seed, 0x4E1D]).permutation(len(inputs))
        kept, held = np.sort(order[count:]), np.sort(order[:count])
        return Data(inputs[kept], targets[kept], (inputs[held], targets[held]))
    pair = _pair(held_out, "The held-out data")
    if pair[0].shape[1:] != inputs.shape[1:]:
        raise InputError(
            f"A held-out sample has the shape {pair[0].shape[1:]}, but one to train on {inputs.shape[1:]}."
        )
    return Data(inputs, targets, pair)


def _pair(data: Any, what: str) -> Pair:
    if isinstance(data, (tuple, list)) and len(data) == 2:
        inputs, targets = map(as_array, data)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        items = [data[i] for i in range(len(data))]
        if not items or not all(isinstance(item, (tuple, list)) and len(item) == 2 for item in items):
            raise InputError(f"{what}: a Dataset's items are pairs (input, target).")
        inputs, targets = (np.stack([as_array(item[i]) for item in items]) for i in range(2))
    else:
        raise InputError(f"{what} is a pair (inputs, targets) or a Dataset; got {type(data).__name__}.")
    if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
        raise InputError(
            f"{what} has inputs of the shape {inputs.shape} and targets of the shape {targets.shape}: one target "
            "for each input is needed."
        )
    if not len(inputs):
        raise InputError(f"{what} has no sample.")
    for name, values in (("inputs", inputs), ("targets", targets)):
        if not np.issubdtype(values.dtype, np.number):
            raise InputError(f"{what}: the {name} are not numbers but {values.dtype}.")
        if not np.isfinite(values).all():
            raise InputError(f"{what}: the {name} hold NaN or infinity.")
    return inputs, targets


def as_array(values: Any) -> NDArray[Any]:
    """Return a tensor, array or list as an array; booleans as numbers."""
    array = values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
    return array.astype(np.float32) if array.dtype == bool else np.asarray(array)
