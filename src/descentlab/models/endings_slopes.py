"""Derivatives of the losses of many runs in double precision, by JAX or by torch.func: what endings are judged by."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.models.data import Data
from descentlab.models.lanczos import Apply
from descentlab.models.problem import Problem, Weights

Array = NDArray[np.float64]

# A Hessian of so many rows is computed whole, for every run.
MOST_DENSE = 150
# So many runs are looked at together: small models many at a time, larger ones a few, one after the other.
SMALL, TOGETHER, FEW = 30, 64, 8


@dataclass(frozen=True)
class Slopes:
    """The losses of some runs, each over the vector of its trained weights, and their derivatives.

    begin, end (run, weight): where training began and ended. slope(x) → values (run,), gradients (run, weight);
    hessian(x, asked) → those and the Hessians (run, weight, weight), where not asked anything;
    product(run, x (weight,)) → what multiplies a block of vectors by that run's Hessian.
    """

    begin: Array
    end: Array
    slope: Callable[[Array], tuple[Array, ...]]
    hessian: Callable[[Array, NDArray[np.bool_]], tuple[Array, ...]]
    product: Callable[[int, Array], Apply]


def slopes_of(problem: Problem, first: Weights, last: Weights, data: Data | None) -> Slopes:
    """Return the derivatives for runs that began with `first` and ended with `last`, (run, …), by the problem's engine.

    Raises InputError for a PyTorch model that double precision or torch.func cannot compute.
    """
    begin, end = (
        np.concatenate(
            [
                np.asarray(weights[name], np.float64).reshape(len(weights[name]), -1)
                for name in problem.trained
            ],
            axis=1,
        )
        for weights in (first, last)
    )
    double = None if data is None else data.cast(np.float64)
    by = _by_torch if problem.loss is None else _by_jax
    return Slopes(begin, end, *by(problem, last, double))


# --- JAX ---


def _by_jax(problem: Problem, weights: Weights, data: Data | None) -> tuple[Any, Any, Any]:
    import jax

    given = (None, None) if data is None else (data.inputs, data.targets)
    frozen = {
        name: np.asarray(value, np.float64) for name, value in weights.items() if name not in problem.trained
    }
    slope, hessian, product = _compiled(problem)

    def call(function: Any, x: Array) -> tuple[Array, ...]:
        with jax.enable_x64(True):
            return tuple(np.asarray(part) for part in function(x, frozen, *given))

    def times(run: int, x: Array) -> Apply:
        own = {name: value[run] for name, value in frozen.items()}

        def apply(block: Array) -> Array:
            with jax.enable_x64(True):
                return np.asarray(product(block.T, x, own, *given)).T

        return apply

    return lambda x: call(slope, x), lambda x, asked: call(hessian, x), times


@functools.lru_cache(16)
def _compiled(problem: Problem) -> tuple[Any, Any, Any]:
    """Compile value and gradient, these with the Hessian, and the Hessian's product with vectors."""
    import jax
    import jax.numpy as jnp

    assert problem.loss is not None
    loss, shapes = problem.loss, problem.shapes
    ends = np.cumsum([math.prod(shapes[name]) for name in problem.trained])[:-1]

    def value(x: Any, frozen: Any, inputs: Any, targets: Any) -> Any:
        parts = zip(problem.trained, jnp.split(x, ends), strict=True)
        return loss(
            {**frozen, **{name: part.reshape(shapes[name]) for name, part in parts}}, inputs, targets, None
        )

    def both(*given: Any) -> Any:
        return jax.value_and_grad(value)(*given)

    def all_(*given: Any) -> Any:
        return *both(*given), jax.hessian(value)(*given)

    def product(vectors: Any, x: Any, *given: Any) -> Any:
        return jax.vmap(lambda v: jax.jvp(lambda x: jax.grad(value)(x, *given), (x,), (v,))[1])(vectors)

    def every(one: Any, together: int) -> Any:
        """Compile `one` for many runs, so many of them at a time."""

        def many(x: Any, frozen: Any, inputs: Any, targets: Any) -> Any:
            return jax.lax.map(lambda run: one(*run, inputs, targets), (x, frozen), batch_size=together)

        return jax.jit(many)

    return (
        every(both, TOGETHER if problem.size <= MOST_DENSE else 1),
        every(all_, TOGETHER if problem.size <= SMALL else 1),
        jax.jit(product),
    )


# --- PyTorch ---


def _by_torch(problem: Problem, weights: Weights, data: Data | None) -> tuple[Any, Any, Any]:
    import torch
    from torch.func import grad_and_value, jacrev
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from descentlab.models.flat_loss import FlatLoss

    assert problem.restore is not None
    assert data is not None
    # A model made anew: the user's own is never altered.
    model = problem.restore({name: value[0] for name, value in weights.items()}).cpu().double().eval()
    state = {name: entry.detach() for name, entry in [*model.named_parameters(), *model.named_buffers()]}
    loss = problem.torch_loss
    if isinstance(loss, torch.nn.Module):
        loss = copy.deepcopy(loss).cpu().double()
    flat = FlatLoss(
        model,
        loss,
        ((torch.as_tensor(data.inputs), torch.as_tensor(data.targets)),),
        (1.0,),
        problem.trained,
        tuple(state[name].shape for name in problem.trained),
        {name: entry for name, entry in state.items() if name not in problem.trained},
        torch.cat([state[name].reshape(-1) for name in problem.trained]),
        math.nan,
    )
    dim = flat.dim

    def both(x: Any) -> Any:
        gradient, value = grad_and_value(flat.at)(x)
        return torch.cat([gradient, value[None]])

    def all_(x: Any) -> Any:
        """One backward pass through the other: more of PyTorch has that than has a forward one."""

        def twice(x: Any) -> Any:
            seen = both(x)
            return seen[:dim], seen

        hessian, seen = jacrev(twice, has_aux=True)(x)
        return torch.cat([seen, hessian.reshape(-1)])

    def call(function: Any, x: Array) -> Array:
        with sdpa_kernel(SDPBackend.MATH), _said():  # the faster kinds of attention have one derivative only
            return flat._numbers(flat._each(function, flat.vector(x)))

    def slope(x: Array) -> tuple[Array, ...]:
        seen = call(both, x)
        return seen[:, dim], seen[:, :dim]

    def hessian(x: Array, asked: NDArray[np.bool_]) -> tuple[Array, ...]:
        seen = np.full((len(x), dim + 1 + dim * dim), np.nan)
        if asked.any():
            seen[asked] = call(all_, x[asked])
        return seen[:, dim], seen[:, :dim], seen[:, dim + 1 :].reshape(-1, dim, dim)

    def product(run: int, x: Array) -> Apply:
        with sdpa_kernel(SDPBackend.MATH), _said():
            apply = flat.products(flat.vector(x))

        def said(block: Array) -> Array:
            with _said():
                return apply(block)

        return said

    return slope, hessian, product


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Say so where a model has no second derivatives."""
    try:
        yield
    except Exception as error:  # whatever a model of someone else's raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            "How runs ended cannot be judged: torch.func finds no second derivatives of this model in double "
            f"precision ({reason}). Losses and levels do not need them; for endings, use other operations there."
        ) from error
