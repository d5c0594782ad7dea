"""JAX versions of what PyTorch does to the shape and the type of a tensor: joining, splitting, indexing, casting.

And the order in which a batch's numbers stand. A narrow network has few features and many samples, so where a batch
is (sample, feature) linear maps, activations and losses over classes compute on its transpose (`in_columns`): long
rows to go along, and between them XLA cancels the transposes, in the derivatives too. Measured with separate weights
for each run, one core: 2-16-3 on 150 samples 18 → 7 µs a step in double precision, 20 → 5 in single; 64-16-10 on
batches of 64 10 → 6; 30-128-128-10 on 512 770 → 690. A handful of samples is slower so, and stays as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Table = dict[str, Callable[..., Any]]


# Measured with 2-2-1 and 2-8-1: 4 samples take 0.09 µs a step as they are and 0.12 in columns.
FEWEST_IN_COLUMNS = 16


def in_columns(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that goes through its first argument element by element: a batch is computed transposed."""

    @functools.wraps(function)
    def columns(x: Any, *others: Any, **named: Any) -> Any:
        return function(x.T, *others, **named).T if stands_in_columns(x) else function(x, *others, **named)

    return columns


def stands_in_columns(x: Any) -> bool:
    """Return whether x is a batch (sample, feature) that is computed on by its transpose."""
    return getattr(x, "ndim", 0) == 2 and x.shape[0] >= FEWEST_IN_COLUMNS


def axes(dim: Any) -> Any:
    """Return NumPy's form of `dim`; an empty list means all dimensions."""
    return (tuple(dim) or None) if isinstance(dim, (tuple, list)) else dim


def shapes() -> Table:
    import jax.numpy as jnp

    joined: Table = dict.fromkeys(
        ("cat", "concat", "concatenate"), lambda tensors, dim=0: jnp.concatenate(tensors, axis=dim)
    )
    return {
        **joined,
        "getitem": lambda x, index: x[_index(index)],
        "stack": lambda tensors, dim=0: jnp.stack(tensors, axis=dim),
        "reshape": lambda x, *shape: x.reshape(_sizes(shape)),
        "ravel": lambda x: x.reshape(-1),
        "flatten": _flatten,
        "unflatten": _unflatten,
        "squeeze": _squeeze,
        "unsqueeze": lambda x, dim: jnp.expand_dims(x, dim),
        "transpose": lambda x, dim0, dim1: jnp.swapaxes(x, dim0, dim1),
        "swapaxes": lambda x, axis0, axis1: jnp.swapaxes(x, axis0, axis1),
        "permute": lambda x, *dims: jnp.transpose(x, _sizes(dims)),
        "movedim": lambda x, source, destination: jnp.moveaxis(x, source, destination),
        "t": lambda x: x.T,
        "narrow": lambda x, dim, start, length: jnp.moveaxis(
            jnp.moveaxis(x, dim, 0)[start : start + length], 0, dim
        ),
        "split": _split,
        "chunk": lambda x, chunks, dim=0: _split(x, -(-x.shape[dim] // chunks), dim),
        "unbind": lambda x, dim=0: tuple(jnp.moveaxis(x, dim, 0)),
        "flip": lambda x, *dims: jnp.flip(x, _sizes(dims)),
        "roll": lambda x, shifts, dims=None: jnp.roll(x, shifts, dims),
        "tril": lambda x, diagonal=0: jnp.tril(x, diagonal),
        "triu": lambda x, diagonal=0: jnp.triu(x, diagonal),
        "gather": lambda x, dim, index: jnp.take_along_axis(x, index, axis=dim),
        "index_select": lambda x, dim, index: jnp.take(x, index, axis=dim),
        "zeros_like": lambda x: jnp.zeros_like(x),
        "ones_like": lambda x: jnp.ones_like(x),
        "full_like": lambda x, value: jnp.full_like(x, value),
    }


def _index(index: Any) -> Any:
    """Return an index with its lists as arrays, which JAX wants."""
    import numpy as np

    if isinstance(index, tuple):
        return tuple(_index(part) for part in index)
    return np.asarray(index) if isinstance(index, list) else index


def _sizes(given: tuple[Any, ...]) -> tuple[int, ...]:
    """Return sizes given one by one, or as one sequence, as a tuple."""
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], (tuple, list)) else given


def _flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    first, last = start_dim % max(x.ndim, 1), end_dim % max(x.ndim, 1)
    return x.reshape(*x.shape[:first], -1, *x.shape[last + 1 :])


def _unflatten(x: Any, dim: int, sizes: Any) -> Any:
    at = dim % x.ndim
    return x.reshape(*x.shape[:at], *sizes, *x.shape[at + 1 :])


def _squeeze(x: Any, dim: Any = None) -> Any:
    """Drop dimensions of size one; those named that are longer stay, as in PyTorch."""
    named = range(x.ndim) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    return x.squeeze(tuple(d for d in named if x.shape[d] == 1)) if x.ndim else x


def _split(x: Any, sizes: Any, dim: int = 0) -> tuple[Any, ...]:
    import jax.numpy as jnp

    length = x.shape[dim]
    each = [sizes] * (length // sizes) if isinstance(sizes, int) else list(sizes)
    ends, total = [], 0
    for size in each:
        total += size
        ends.append(total)
    return tuple(jnp.split(x, [end for end in ends if end < length], axis=dim))


def conversions() -> Table:
    import jax.numpy as jnp
    from jax import dtypes

    def convert(x: Any, *wanted: Any, dtype: Any = None, device: Any = None) -> Any:
        for one in (*wanted, dtype):
            if hasattr(one, "shape") and hasattr(one, "dtype"):
                x = x.astype(one.dtype)
            elif one is not None and not isinstance(one, (str, bool)):
                x = x.astype(one)
        return x

    def converting(name: str) -> Callable[..., Any]:
        return lambda x: x.astype(dtypes.canonicalize_dtype(name))

    def expand(x: Any, *sizes: Any) -> Any:
        shape = _sizes(sizes)
        new = len(shape) - x.ndim
        return jnp.broadcast_to(x, [x.shape[i - new] if n == -1 else n for i, n in enumerate(shape)])

    def viewed(x: Any, *shape: Any) -> Any:
        if not all(isinstance(size, int) for size in _sizes(shape)):
            raise TypeError("view with a dtype has no JAX translation here")
        return x.reshape(_sizes(shape))

    names = {"float": "float32", "double": "float64", "long": "int64", "int": "int32", "bool": "bool"}
    return {
        **{name: converting(kind) for name, kind in names.items()},
        "to": convert,
        "type_as": lambda x, other: x.astype(other.dtype),
        "contiguous": lambda x: x,
        "view": viewed,
        "view_as": lambda x, other: x.reshape(other.shape),
        "reshape_as": lambda x, other: x.reshape(other.shape),
        "expand": expand,
        "expand_as": lambda x, other: jnp.broadcast_to(x, other.shape),
        "repeat": lambda x, *counts: jnp.tile(x, _sizes(counts)),
        "size": lambda x, dim=None: x.shape if dim is None else x.shape[dim],
        "dim": lambda x: x.ndim,
        "numel": lambda x: x.size,
    }
