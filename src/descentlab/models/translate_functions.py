"""JAX versions of PyTorch's functions on tensors: arithmetic, comparisons, sums, shapes.

One name serves torch.NAME(x, …), x.NAME(…) and the operator of that name, with PyTorch's arguments, values and
conventions for derivatives at kinks: |x|′(0) = 0, a clamp's derivative at its bounds is 1, and the largest
along a dimension is the first of equals.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from descentlab.models.translate_shapes import Table, axes, conversions, in_columns, shapes


@functools.cache
def tensor_functions() -> Table:
    """Return the JAX function for every function torch.NAME and operator NAME that has one."""
    return {**_elementwise(), **_arithmetic(), **_comparisons(), **_reductions(), **_products(), **shapes()}


@functools.cache
def tensor_methods() -> Table:
    """Return the JAX function for every method of a tensor that has one; the tensor is the first argument."""
    return {**tensor_functions(), **conversions(), "where": lambda x, condition, y: _where(condition, x, y)}


class Extreme(NamedTuple):
    """What max and min along a dimension return."""

    values: Any
    indices: Any


_ATTRIBUTES: Table = {
    "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "dtype": lambda x: x.dtype,
    "device": lambda x: None,
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "values": lambda x: x.values,
    "indices": lambda x: x.indices,
}


def attribute(x: Any, name: str) -> Any:
    """Return an attribute of a tensor, as `x.shape` asks for it; raise AttributeError for one not known here."""
    if name not in _ATTRIBUTES:
        raise AttributeError(f"a tensor's attribute '{name}' has no JAX translation here")
    return _ATTRIBUTES[name](x)


def constant(value: Any) -> Any:
    """Return a recorded argument as JAX wants it: PyTorch's dtypes become NumPy's, devices None."""
    import torch
    from jax import dtypes

    if isinstance(value, torch.dtype):
        return dtypes.canonicalize_dtype(str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return None
    if isinstance(value, torch.Tensor):
        raise TypeError("a tensor that is not a parameter, a buffer or a constant of the module")
    return value


# Element by element


def _elementwise() -> Table:
    import jax
    import jax.numpy as jnp

    # The same name and meaning in both.
    names = (
        "exp expm1 log log1p log2 log10 sqrt square sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
        "sign floor ceil trunc reciprocal isnan isfinite"
    )
    one: Table = {name: _plainly(getattr(jnp, name)) for name in names.split()}
    one |= {
        "abs": magnitude,
        "absolute": magnitude,
        "round": lambda x: jnp.round(x),
        "rsqrt": lambda x: jax.lax.rsqrt(x),
        "sigmoid": lambda x: jax.nn.sigmoid(x),
        "erf": lambda x: jax.scipy.special.erf(x),
        "erfc": lambda x: jax.scipy.special.erfc(x),
        "relu": relu,
    }
    table: Table = {name: in_columns(function) for name, function in one.items()}
    table |= {
        "maximum": _plainly(jnp.maximum),
        "minimum": _plainly(jnp.minimum),
        "clamp": clamp,
        "clip": clamp,
        "clamp_min": lambda x, min: clamp(x, min),  # noqa: A006
        "clamp_max": lambda x, max: clamp(x, None, max),  # noqa: A006
        "where": lambda condition, x, y: _where(condition, x, y),
        "masked_fill": lambda x, mask, value: _where(mask, value, x),
        "clone": lambda x: x,
        "detach": lambda x: jax.lax.stop_gradient(x),
    }
    return {**table, "expit": table["sigmoid"]}


def _plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a JAX function so that it takes its operands and nothing else."""
    return lambda *operands: function(*operands)


def relu(x: Any, inplace: bool = False) -> Any:
    """Return max(x, 0), with derivative 0 at 0."""
    import jax

    return jax.nn.relu(x)


def magnitude(x: Any) -> Any:
    """Return |x|, with derivative 0 at 0, where JAX's own has 1."""
    import jax.numpy as jnp

    return jnp.sign(x) * x


def softmax(x: Any, dim: int, dtype: Any = None) -> Any:
    """Return eˣ over its sum along `dim`."""
    import jax

    return jax.nn.softmax(x if dtype is None else x.astype(dtype), axis=operator.index(dim))


def log_softmax(x: Any, dim: int, dtype: Any = None) -> Any:
    """Return the logarithm of softmax, without overflow."""
    import jax

    return jax.nn.log_softmax(x if dtype is None else x.astype(dtype), axis=operator.index(dim))


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002 – PyTorch's names
    """Return x between min and max, with derivative 1 at both."""
    low = x if min is None else _where(x < min, min, x)
    return low if max is None else _where(low > max, max, low)


def _where(condition: Any, x: Any, y: Any) -> Any:
    import jax.numpy as jnp

    return jnp.where(condition, x, y)


def _arithmetic() -> Table:
    import jax.numpy as jnp

    def add(x: Any, y: Any, *, alpha: float = 1) -> Any:
        return x + (y if alpha == 1 else alpha * y)

    def divide(x: Any, y: Any, *, rounding_mode: str | None = None) -> Any:
        rounding = {None: lambda q: q, "floor": jnp.floor, "trunc": jnp.trunc}
        return rounding[rounding_mode](x / y)

    def power(x: Any, exponent: Any) -> Any:
        # A whole exponent is a product, exact and differentiable at 0.
        whole = isinstance(exponent, float) and exponent.is_integer()
        return x ** (int(exponent) if whole else exponent)

    table: Table = {
        "add": add,
        "sub": lambda x, y, *, alpha=1: add(x, y, alpha=-alpha),
        "mul": lambda x, y: x * y,
        "div": divide,
        "pow": power,
        "neg": lambda x: -x,
        "pos": lambda x: x,
        "remainder": lambda x, y: x % y,
        "floor_divide": lambda x, y: x // y,
        "lerp": lambda x, end, weight: x + weight * (end - x),
    }
    for name, others in {
        "add": "iadd",
        "sub": "subtract isub",
        "mul": "multiply imul",
        "div": "divide true_divide truediv itruediv",
        "pow": "ipow",
        "neg": "negative",
        "remainder": "mod",
        "floor_divide": "floordiv",
    }.items():
        table |= dict.fromkeys(others.split(), table[name])
    return table


def _comparisons() -> Table:
    import jax.numpy as jnp

    table: Table = {
        name: _plainly(getattr(operator, name))
        for name in ("eq", "ne", "lt", "le", "gt", "ge", "and_", "or_")
    }
    return table | {
        "logical_and": lambda x, y: jnp.logical_and(x, y),
        "logical_or": lambda x, y: jnp.logical_or(x, y),
        "logical_not": lambda x: jnp.logical_not(x),
        "invert": lambda x: ~x,
    }


# Sums and extremes


def _reductions() -> Table:
    import jax
    import jax.numpy as jnp

    def plain(function: Callable[..., Any]) -> Callable[..., Any]:
        def reduce(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
            return function(x if dtype is None else x.astype(dtype), axis=axes(dim), keepdims=keepdim)

        return reduce

    def cumulative(x: Any, dim: int, *, dtype: Any = None) -> Any:
        return jnp.cumsum(x if dtype is None else x.astype(dtype), axis=dim)

    return {
        **{name: plain(getattr(jnp, name)) for name in ("sum", "mean", "prod", "amax", "amin", "any", "all")},
        "argmax": lambda x, dim=None, keepdim=False: jnp.argmax(x, axis=dim, keepdims=keepdim),
        "argmin": lambda x, dim=None, keepdim=False: jnp.argmin(x, axis=dim, keepdims=keepdim),
        "max": _extreme(jnp.max, jnp.argmax, jnp.maximum),
        "min": _extreme(jnp.min, jnp.argmin, jnp.minimum),
        "var": _variance,
        "std": lambda *args, **kwargs: _root(_variance(*args, **kwargs)),
        "norm": lambda x, p=2, dim=None, keepdim=False, dtype=None: _norm(x, p, dim, keepdim),
        "vector_norm": lambda x, ord=2, dim=None, keepdim=False, dtype=None: _norm(x, ord, dim, keepdim),  # noqa: A006
        "cumsum": cumulative,
        "softmax": softmax,
        "log_softmax": log_softmax,
        "logsumexp": lambda x, dim, keepdim=False: jax.nn.logsumexp(x, axis=axes(dim), keepdims=keepdim),
    }


def _extreme(
    whole: Callable[..., Any], place: Callable[..., Any], pair: Callable[..., Any]
) -> Callable[..., Any]:
    def extreme(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None:
            return whole(x)
        if not isinstance(dim, int):
            return pair(x, dim)
        indices = place(x, axis=dim, keepdims=True)
        values = chosen(x, indices, dim)
        return Extreme(values, indices) if keepdim else Extreme(values.squeeze(dim), indices.squeeze(dim))

    return extreme


def chosen(x: Any, index: Any, axis: int) -> Any:
    """Return what stands at `index` along an axis: a sum with the rest left out, whose gradient needs no scatter."""
    import jax.numpy as jnp

    places = jnp.arange(x.shape[axis]).reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
    return jnp.where(places == index, x, 0).sum(axis, keepdims=True)


def _variance(
    x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: int | None = None
) -> Any:
    import jax.numpy as jnp

    if isinstance(dim, bool):
        dim, unbiased = None, dim
    less = int(unbiased) if correction is None else correction
    return jnp.var(x, axis=axes(dim), ddof=less, keepdims=keepdim)


def _root(x: Any) -> Any:
    """Return √x, with derivative 0 at 0, PyTorch's convention for lengths and deviations."""
    import jax.numpy as jnp

    return jnp.where(x == 0, 0.0, jnp.sqrt(jnp.where(x == 0, 1.0, x)))


def _norm(x: Any, p: Any, dim: Any, keepdim: bool) -> Any:
    import jax.numpy as jnp

    if p in (2, "fro", None):
        return _root(jnp.sum(x * x, axis=axes(dim), keepdims=keepdim))
    if p == 1:
        return jnp.sum(magnitude(x), axis=axes(dim), keepdims=keepdim)
    raise ValueError(f"the norm of order {p!r} has no JAX translation here")


def _products() -> Table:
    import jax.numpy as jnp

    def einsum(formula: str, *operands: Any) -> Any:
        several = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
        return jnp.einsum(formula, *several)

    def product(x: Any, y: Any) -> Any:
        return jnp.matmul(x, y)

    return {
        **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot", "imatmul"), product),
        "outer": lambda x, y: jnp.outer(x, y),
        "einsum": einsum,
        "addmm": lambda x, a, b, *, beta=1, alpha=1: beta * x + alpha * jnp.matmul(a, b),
    }
