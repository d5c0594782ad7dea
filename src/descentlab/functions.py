"""`dl.function`: an objective of a Python function, or of a model's weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from descentlab.errors import InputError
from descentlab.objective import FunctionObjective
from descentlab.objective import function as of_vector


def function(
    call: Callable[..., Any],
    domain: Any = None,
    names: Sequence[str] | None = None,
    label: str | None = None,
    *,
    loss: Callable[..., Any] | None = None,
    data: Any = None,
) -> FunctionObjective:
    """Make an objective from a Python function of one vector that JAX can trace, or from a model and its loss.

    call: takes an array of shape (dim,) and returns a scalar, using jax.numpy and not numpy;
    domain: {"x": (-2, 2), "y": (-2, 2)}, whose order is that of the vector, or an array
    (dim, 2), with `names` for its variables (x, y or x1, x2, … by default).

    With `loss`, call is a PyTorch module, or what builds a model as `dl.models.retrain` takes it, and the objective
    is the loss over all `data` as a function of the trained weights; see `dl.models.objective`. domain: by default
    [−5, 5] for each.

    Raises InputError if the domain is unusable, or JAX cannot trace `call` to a real scalar or compute the model.

    >>> import torch
    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> f = function(torch.nn.Linear(1, 1), loss=torch.nn.MSELoss(), data=(x, 2 * x + 1))
    >>> f.names, round(float(f.value([2.0, 1.0])), 9)
    (('weight_0_0', 'bias_0'), 0.0)
    """
    is_module = hasattr(call, "named_parameters")
    if loss is None:
        if is_module or data is not None:
            raise InputError(
                "A model becomes an objective with its loss and data: dl.function(model, loss=…, data=…)."
            )
        return of_vector(call, domain, names, label)
    if names is not None or label is not None:
        raise InputError(
            "The variables of a model's objective are named after its weights: leave out names and label."
        )
    from descentlab.models import objective

    build = (lambda: copy.deepcopy(call)) if is_module else call
    return objective(build, loss, data, (-5.0, 5.0) if domain is None else domain)
