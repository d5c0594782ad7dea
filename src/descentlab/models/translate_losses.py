"""JAX versions of PyTorch's loss functions, with PyTorch's arguments, reductions and gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from descentlab.models.translate_functions import magnitude
from descentlab.models.translate_shapes import Table, stands_in_columns


@functools.cache
def loss_functions() -> Table:
    """Return the JAX function for every loss of torch.nn.functional that has one."""
    return {
        "mse_loss": _mse,
        "l1_loss": _l1,
        "smooth_l1_loss": _smooth_l1,
        "huber_loss": _huber,
        "soft_margin_loss": _soft_margin,
        "kl_div": _kl,
        "nll_loss": _over_classes(_nll),
        "cross_entropy": _over_classes(_cross_entropy),
        "binary_cross_entropy": _binary,
        "binary_cross_entropy_with_logits": _binary_with_logits,
    }


def _reduce(values: Any, reduction: str, size_average: Any = None, reduce: Any = None) -> Any:
    if size_average is not None or reduce is not None:
        raise ValueError("size_average and reduce are given up by PyTorch; use reduction")
    reductions = {"mean": lambda v: v.mean(), "sum": lambda v: v.sum(), "none": lambda v: v}
    return reductions[reduction](values)


# Regression


def _mse(
    x: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    _no_weight(weight)
    return _reduce((x - target) ** 2, reduction, size_average, reduce)


def _l1(
    x: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    _no_weight(weight)
    return _reduce(magnitude(x - target), reduction, size_average, reduce)


def _smooth_l1(
    x: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    values = _huber(x, target, "none", beta) / beta if beta > 0 else _l1(x, target, reduction="none")
    return _reduce(values, reduction, size_average, reduce)


def _huber(x: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
    import jax.numpy as jnp

    _no_weight(weight)
    apart = magnitude(x - target)
    return _reduce(jnp.where(apart < delta, apart * apart / 2, delta * (apart - delta / 2)), reduction)


def _no_weight(weight: Any) -> None:
    if weight is not None:
        raise ValueError("weights for single samples have no JAX translation here")


# Classification


def _soft_margin(
    x: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    import jax.numpy as jnp

    return _reduce(jnp.log1p(jnp.exp(-target * x)), reduction, size_average, reduce)


def _kl(
    x: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    import jax.numpy as jnp

    if log_target:
        values = jnp.exp(target) * (target - x)
    else:
        safe = jnp.where(target > 0, target, 1)
        values = jnp.where(target > 0, target * jnp.log(safe), 0) - target * x
    if reduction == "batchmean":
        return values.sum() / x.shape[0]
    return _reduce(values, reduction, size_average, reduce)


def _nll(
    x: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    import jax.numpy as jnp

    chosen, weights = _chosen(x, target, weight, ignore_index)
    # The others are left out, not multiplied by 0: they may be infinite.
    values = -jnp.where(chosen, x, 0).sum(axis=_classes(x)) * weights
    if reduction == "mean":
        return values.sum() / weights.sum()
    return _reduce(values, reduction, size_average, reduce)


def _over_classes(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Let a loss of scores (sample, class) compute on them as (1, class, sample), a row for each class."""

    @functools.wraps(loss)
    def rows(x: Any, target: Any, *others: Any, **named: Any) -> Any:
        if not stands_in_columns(x):
            return loss(x, target, *others, **named)
        values = loss(x.T[None], target.T[None], *others, **named)
        return values[0] if values.ndim else values

    return rows


def _cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    import jax
    import jax.numpy as jnp

    axis = _classes(x)
    count = x.shape[axis]
    logs = jax.nn.log_softmax(x, axis=axis)
    shaped = None if weight is None else weight.reshape(_along_classes(x))
    if jnp.issubdtype(target.dtype, jnp.floating):  # probabilities
        smooth = target * (1 - label_smoothing) + label_smoothing / count
        values = -(logs * smooth if shaped is None else logs * smooth * shaped).sum(axis=axis)
        return _reduce(values, reduction, size_average, reduce)
    sharp = _nll(logs, target, weight, size_average, ignore_index, reduce, reduction)
    if not label_smoothing:
        return sharp
    _, weights = _chosen(x, target, weight, ignore_index)
    values = -(logs if shaped is None else logs * shaped).sum(axis=axis) * (target != ignore_index)
    flat = values.sum() / weights.sum() if reduction == "mean" else _reduce(values, reduction)
    return (1 - label_smoothing) * sharp + label_smoothing / count * flat


def _classes(x: Any) -> int:
    return 0 if x.ndim == 1 else 1


def _along_classes(x: Any) -> tuple[int, ...]:
    return (-1,) if x.ndim == 1 else (1, -1) + (1,) * (x.ndim - 2)


def _chosen(x: Any, target: Any, weight: Any, ignore_index: int) -> tuple[Any, Any]:
    """Return where the target's class stands in x, and the weight of each target; 0 for one to ignore."""
    import jax.numpy as jnp

    axis = _classes(x)
    classes = jnp.arange(x.shape[axis]).reshape(_along_classes(x))
    chosen = classes == jnp.expand_dims(target, axis)
    given = jnp.ones(x.shape[axis], x.dtype) if weight is None else weight
    weights = jnp.where(chosen, given.reshape(_along_classes(x)), 0).sum(axis=axis)
    ignored = target == ignore_index
    return chosen & ~jnp.expand_dims(ignored, axis), jnp.where(ignored, 0, weights)


def _binary(
    x: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    values = _binary_values()(x, target)
    return _reduce(values if weight is None else values * weight, reduction, size_average, reduce)


# PyTorch's 1e−12, which it holds in single precision.
_LEAST = 9.999999960041972e-13


@functools.cache
def _binary_values() -> Any:
    """Return −t log p − (1 − t) log(1 − p), each log at least −100, with PyTorch's derivative (p − t)/(p (1 − p)),
    whose divisor is at least 1e−12."""
    import jax
    import jax.numpy as jnp

    def log(p: Any) -> Any:
        return jnp.maximum(jnp.log(p), -100)

    def log_of_rest(p: Any) -> Any:
        return jnp.maximum(jnp.log1p(-p), -100)

    @jax.custom_jvp
    def values(p: Any, t: Any) -> Any:
        return (t - 1) * log_of_rest(p) - t * log(p)

    @values.defjvp
    def values_and_slopes(primals: Any, tangents: Any) -> Any:
        (p, t), (dp, dt) = primals, tangents
        slope = (p - t) / jnp.maximum((1 - p) * p, _LEAST)
        return values(p, t), slope * dp + (log_of_rest(p) - log(p)) * dt

    return values


def _binary_with_logits(
    x: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    import jax

    scale = 1 if pos_weight is None else (pos_weight - 1) * target + 1
    values = (1 - target) * x - scale * jax.nn.log_sigmoid(x)
    return _reduce(values if weight is None else values * weight, reduction, size_average, reduce)
