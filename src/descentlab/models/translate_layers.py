"""JAX versions of torch.nn.functional: linear maps, convolutions, pooling, normalization, dropout.

Arguments, their order and defaults are PyTorch's, and so are the derivatives at kinks. Windows (convolution,
pooling) are stacks of strided slices: with separate weights for each run, as under vmap, one matrix product on
them takes a quarter of the time of XLA's grouped convolution on a CPU (measured: 32 runs of an 8- and a
16-channel 3 × 3 layer with pooling), and the largest of equals is the first, as in PyTorch.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from descentlab.models.translate_activations import SELU_ALPHA, SELU_SCALE, activations, in_pieces
from descentlab.models.translate_functions import chosen, clamp, tensor_functions
from descentlab.models.translate_shapes import Table, stands_in_columns


@functools.cache
def layer_functions() -> Table:
    """Return the JAX function for every function of torch.nn.functional that has one and draws no numbers."""
    several: dict[str, tuple[Callable[[int], Callable[..., Any]], tuple[int, ...]]] = {
        "conv": (lambda n: _convolve, (1, 2, 3)),
        "max_pool": (_max_pool, (1, 2, 3)),
        "avg_pool": (_average_pool, (1, 2, 3)),
        "adaptive_avg_pool": (functools.partial(_adaptive, _mean), (1, 2, 3)),
        "adaptive_max_pool": (functools.partial(_adaptive, _first_largest), (1, 2, 3)),
    }
    pooling = {f"{name}{n}d": make(n) for name, (make, sizes) in several.items() for n in sizes}
    return {**activations(), **in_pieces(), **_maps(), **pooling}


@functools.cache
def random_functions() -> Table:
    """Return the JAX functions that draw random numbers: each takes `key`, a function that gives a new key."""
    whole = {f"dropout{n}d": functools.partial(_dropout, features=n) for n in (1, 2, 3)}
    return {"dropout": _dropout, "alpha_dropout": _alpha_dropout, **whole}


# Linear maps, embedding, normalization, padding


def _maps() -> Table:
    import jax
    import jax.numpy as jnp

    def linear(x: Any, weight: Any, bias: Any = None) -> Any:
        if stands_in_columns(x):
            return _plus(jnp.matmul(weight, x.T), None if bias is None else bias[:, None]).T
        return _plus(jnp.matmul(x, weight.T), bias)

    def bilinear(x1: Any, x2: Any, weight: Any, bias: Any = None) -> Any:
        return _plus(jnp.einsum("...i,oij,...j->...o", x1, weight, x2), bias)

    def one_hot(x: Any, num_classes: int) -> Any:
        return jax.nn.one_hot(x, num_classes, dtype=int)

    def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
        return x / clamp(tensor_functions()["norm"](x, p, dim, True), eps)

    return {
        "linear": linear,
        "bilinear": bilinear,
        "one_hot": one_hot,
        "normalize": normalize,
        "embedding": _embedding,
        "pad": _pad,
        "layer_norm": _layer_norm,
        "rms_norm": _rms_norm,
        "group_norm": _group_norm,
        "batch_norm": _batch_norm,
        "instance_norm": _instance_norm,
    }


def _plus(x: Any, bias: Any) -> Any:
    return x if bias is None else x + bias


def _embedding(
    x: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    import jax
    import jax.numpy as jnp

    if max_norm is not None or scale_grad_by_freq:
        raise ValueError("max_norm and scale_grad_by_freq have no JAX translation here")
    if padding_idx is not None:  # that row is not trained
        padding = (jnp.arange(weight.shape[0]) == padding_idx % weight.shape[0])[:, None]
        weight = jnp.where(padding, jax.lax.stop_gradient(weight), weight)
    return jnp.take(weight, x, axis=0)


def _pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    import jax.numpy as jnp

    # PyTorch counts pairs from the last dimension backwards.
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    if mode == "constant":
        if min(pad) < 0:
            raise ValueError("padding by a negative width has no JAX translation here")
        return jnp.pad(x, widths, constant_values=value or 0)
    return jnp.pad(x, widths, mode={"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode])


def _standard(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """Return x with mean 0 and variance 1 (biased) over `axes`."""
    import jax
    import jax.numpy as jnp

    centered = x - jnp.mean(x, axis=axes, keepdims=True)
    return centered * jax.lax.rsqrt(jnp.mean(centered * centered, axis=axes, keepdims=True) + eps)


def _scaled(x: Any, weight: Any, bias: Any, shape: tuple[int, ...]) -> Any:
    x = x if weight is None else x * weight.reshape(shape)
    return x if bias is None else x + bias.reshape(shape)


def _layer_norm(
    x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    axes = tuple(range(-len(normalized_shape), 0))
    return _scaled(_standard(x, axes, eps), weight, bias, tuple(normalized_shape))


def _rms_norm(x: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    import jax
    import jax.numpy as jnp
    import numpy as np

    axes = tuple(range(-len(normalized_shape), 0))
    small = float(np.finfo(x.dtype).eps) if eps is None else eps
    x = x * jax.lax.rsqrt(jnp.mean(x * x, axis=axes, keepdims=True) + small)
    return _scaled(x, weight, None, tuple(normalized_shape))


def _by_channel(x: Any) -> tuple[int, ...]:
    return (-1, *(1 for _ in x.shape[2:]))


def _group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    grouped = x.reshape(x.shape[0], num_groups, -1)
    return _scaled(_standard(grouped, (2,), eps).reshape(x.shape), weight, bias, _by_channel(x))


def _batch_norm(
    x: Any,
    running_mean: None,
    running_var: None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if running_mean is not None or running_var is not None or not training:
        raise ValueError("running statistics have no JAX translation here")
    axes = (0, *range(2, x.ndim))
    return _scaled(_standard(x, axes, eps), weight, bias, _by_channel(x))


def _instance_norm(
    x: Any,
    running_mean: None = None,
    running_var: None = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if running_mean is not None or running_var is not None or not use_input_stats:
        raise ValueError("running statistics have no JAX translation here")
    return _group_norm(x, x.shape[1], weight, bias, eps)


# Windows


def _each(sizes: Any, n: int) -> tuple[int, ...]:
    """Return one size a dimension, where one was given for all."""
    given = tuple(sizes) if isinstance(sizes, (tuple, list)) else (sizes,)
    return given * n if len(given) == 1 else given


def _window_parts(x: Any, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> list[Any]:
    """Return, for every place in the window, what stands there in each window: (…, windows per dimension)."""
    import jax

    n = len(kernel)
    lead, sizes = x.shape[:-n], x.shape[-n:]
    counts = [
        (s - d * (k - 1) - 1) // t + 1 for s, k, t, d in zip(sizes, kernel, stride, dilation, strict=True)
    ]
    if min(counts) < 1:
        raise ValueError(f"a window of {tuple(kernel)} does not fit into {tuple(sizes)}")
    parts = []
    for place in itertools.product(*(range(0, k * d, d) for k, d in zip(kernel, dilation, strict=True))):
        ends = [p + t * (c - 1) + 1 for p, t, c in zip(place, stride, counts, strict=True)]
        zeros, ones = (0,) * len(lead), (1,) * len(lead)
        parts.append(jax.lax.slice(x, (*zeros, *place), (*lead, *ends), (*ones, *stride)))
    return parts


def _convolve(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    import jax.numpy as jnp

    kernel = weight.shape[2:]
    n = len(kernel)
    if x.ndim == n + 1:  # one sample
        return _convolve(x[None], weight, bias, stride, padding, dilation, groups)[0]
    strides, dilations = _each(stride, n), _each(dilation, n)
    if isinstance(padding, str):
        extra = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel, dilations, strict=True)]
        widths = [(e // 2, e - e // 2) for e in extra]
    else:
        widths = [(p, p) for p in _each(padding, n)]
    padded = jnp.pad(x, [(0, 0), (0, 0), *widths])
    columns = jnp.stack(_window_parts(padded, kernel, strides, dilations), axis=2)
    batch, channels, places, *out = columns.shape
    columns = columns.reshape(batch, groups, channels // groups, places, *out)
    kernels = weight.reshape(groups, weight.shape[0] // groups, channels // groups, places)
    result = jnp.einsum("ngck...,gock->ngo...", columns, kernels).reshape(batch, weight.shape[0], *out)
    return result if bias is None else result + bias.reshape(_by_channel(result))


def _max_pool(n: int) -> Callable[..., Any]:
    import jax.numpy as jnp

    def pool(
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        if ceil_mode or return_indices:
            raise ValueError("ceil_mode and return_indices have no JAX translation here")
        kernel = _each(kernel_size, n)
        widths = [(0, 0)] * (x.ndim - n) + [(p, p) for p in _each(padding, n)]
        padded = jnp.pad(x, widths, constant_values=-jnp.inf)
        best, *others = _window_parts(padded, kernel, _each(stride or kernel, n), _each(dilation, n))
        for part in others:
            best = jnp.where((part > best) | jnp.isnan(part), part, best)
        return best

    return pool


def _average_pool(n: int) -> Callable[..., Any]:
    import jax.numpy as jnp

    def pool(
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        if ceil_mode:
            raise ValueError("ceil_mode has no JAX translation here")
        kernel = _each(kernel_size, n)
        widths = [(0, 0)] * (x.ndim - n) + [(p, p) for p in _each(padding, n)]

        def total(values: Any) -> Any:
            padded = jnp.pad(values, widths)
            return functools.reduce(
                jnp.add, _window_parts(padded, kernel, _each(stride or kernel, n), (1,) * n)
            )

        count = math.prod(kernel) if count_include_pad else total(jnp.ones_like(x))
        return total(x) / (divisor_override or count)

    return pool


def _adaptive(reduce: Callable[[Any], Any], n: int) -> Callable[..., Any]:
    def pool(x: Any, output_size: Any, return_indices: bool = False) -> Any:
        if return_indices:
            raise ValueError("return_indices has no JAX translation here")
        sizes = x.shape[-n:]
        wanted = [s if o is None else o for s, o in zip(sizes, _each(output_size, n), strict=True)]
        if any(s % o for s, o in zip(sizes, wanted, strict=True)):
            raise ValueError(f"pooling {tuple(sizes)} to {tuple(wanted)} has windows of several sizes")
        lead = x.ndim - n
        split = itertools.chain.from_iterable((o, s // o) for s, o in zip(sizes, wanted, strict=True))
        windows = x.reshape(*x.shape[:lead], *split)
        # The places within a window go last, as one axis.
        windows = windows.transpose(
            *range(lead), *range(lead, lead + 2 * n, 2), *range(lead + 1, lead + 2 * n, 2)
        )
        return reduce(windows.reshape(*windows.shape[: lead + n], -1))

    return pool


def _mean(windows: Any) -> Any:
    return windows.mean(-1)


def _first_largest(windows: Any) -> Any:
    import jax.numpy as jnp

    return chosen(windows, jnp.argmax(windows, axis=-1, keepdims=True), -1).squeeze(-1)


# Dropout


def _dropout(
    x: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    features: int | None = None,
    key: Callable[[], Any] | None = None,
) -> Any:
    """Keep a share 1 − p and divide by it; features: drop whole channels, with so many dimensions after them."""
    import jax
    import jax.numpy as jnp

    if not training or p == 0 or key is None:
        return x
    shape = x.shape if features is None else x.shape[: x.ndim - features] + (1,) * features
    kept = jax.random.bernoulli(key(), 1 - p, shape)
    return jnp.where(kept, x / (1 - p), 0) if p < 1 else jnp.zeros_like(x)


def _alpha_dropout(
    x: Any,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    key: Callable[[], Any] | None = None,
) -> Any:
    """Put dropped numbers at SELU's lower end and keep mean and variance (Klambauer et al. 2017, §3)."""
    import jax
    import jax.numpy as jnp

    if not training or p == 0 or key is None:
        return x
    low = -SELU_SCALE * SELU_ALPHA
    scale = 1 / math.sqrt((low * low * p + 1) * (1 - p)) if p < 1 else 0.0
    return scale * (jnp.where(jax.random.bernoulli(key(), 1 - p, x.shape), x, low) - low * p)
