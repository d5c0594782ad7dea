"""A model's loss as an objective of its weights: for `descend`, `survey`, basin maps and figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from descentlab.errors import InputError
from descentlab.models.data import read_data
from descentlab.models.problem import read_problem
from descentlab.objective import FunctionObjective, function

# More variables than this are no landscape that anyone looks at.
MOST_WEIGHTS = 1000


def objective(
    build: Callable[..., Any], loss: Callable[..., Any], data: Any = None, domain: Any = (-5.0, 5.0)
) -> FunctionObjective:
    """Return the loss over all data as an objective f(w) of the trained weights, w (dim,) in their order.

    build, loss, data: as for `retrain`; domain: the bounds of every weight, one pair for all, or an array (dim, 2).
    The variables are named after the weights: 0.weight[1,0] becomes w0_weight_1_0.

    Raises InputError as `retrain` does, for a model that JAX cannot be given, and for more than 1000 weights.

    >>> import torch, descentlab as dl
    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> f = objective(lambda: torch.nn.Linear(1, 1).double(), torch.nn.MSELoss(), (x, 2 * x + 1))
    >>> f.names, [round(float(w), 6) for w in dl.descend(f, start=[[0.0, 0.0]], learning_rate=0.2, steps=500).ends[0]]
    (('weight_0_0', 'bias_0'), [2.0, 1.0])
    """
    import jax.numpy as jnp

    read = None if data is None else read_data(data)
    problem = read_problem(build, loss, read, "jax")
    assert problem.loss is not None
    value = problem.loss
    weights = problem.initial(0, 0)
    shapes = {name: weights[name].shape for name in problem.trained}
    frozen = {name: weight for name, weight in weights.items() if name not in shapes}
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    if sum(sizes) > MOST_WEIGHTS:
        raise InputError(
            f"The model has {sum(sizes):,} weights; an objective has at most {MOST_WEIGHTS:,}. dl.models.slice looks "
            "at larger ones along one or two directions."
        )
    names = tuple(_name(name, at) for name, shape in shapes.items() for at in np.ndindex(shape))
    box = np.asarray(domain, float)
    box = np.tile(box, (len(names), 1)) if box.shape == (2,) else box
    cuts = np.cumsum(sizes)[:-1].tolist()
    inputs, targets = (None, None) if read is None else (read.inputs, read.targets)

    def call(w: Any) -> Any:
        parts = jnp.split(w, cuts)
        whole = {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return value({**whole, **frozen}, inputs, targets, None).astype(w.dtype)

    return function(call, box, names, label=f"loss of {len(names)} weights")


def _name(name: str, at: tuple[int, ...]) -> str:
    text = "_".join([name.replace(".", "_"), *map(str, at)])
    return text if text[0].isalpha() else f"w{text}"
