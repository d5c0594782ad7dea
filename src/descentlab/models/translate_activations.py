"""JAX versions of PyTorch's activations, with PyTorch's derivatives at kinks."""

from __future__ import annotations

import math
from typing import Any

from descentlab.models.translate_functions import log_softmax, magnitude, softmax, tensor_functions
from descentlab.models.translate_shapes import Table, in_columns


def activations() -> Table:
    import jax
    import jax.numpy as jnp

    def gelu(x: Any, *, approximate: str = "none") -> Any:
        if approximate == "tanh":
            return 0.5 * x * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return 0.5 * x * (1 + jax.scipy.special.erf(x * math.sqrt(0.5)))

    def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
        straight = x * beta > threshold
        return jnp.where(straight, x, jnp.log1p(jnp.exp(jnp.where(straight, 0, x * beta))) / beta)

    def silu(x: Any, inplace: bool = False) -> Any:
        return x * jax.nn.sigmoid(x)

    def mish(x: Any, inplace: bool = False) -> Any:
        return x * jnp.tanh(softplus(x))

    def prelu(x: Any, weight: Any) -> Any:
        shape = (-1,) + (1,) * max(x.ndim - 2, 0)
        return jnp.where(x > 0, x, (weight.reshape(shape) if weight.size > 1 else weight.reshape(())) * x)

    def glu(x: Any, dim: int = -1) -> Any:
        left, right = jnp.split(x, 2, axis=dim)
        return left * jax.nn.sigmoid(right)

    one: Table = {
        "gelu": gelu,
        "softplus": softplus,
        "silu": silu,
        "mish": mish,
        "logsigmoid": lambda x: jax.nn.log_sigmoid(x),
        "softsign": lambda x: x / (1 + magnitude(x)),
        "tanhshrink": lambda x: x - jnp.tanh(x),
    }
    return {
        **{name: in_columns(function) for name, function in one.items()},
        "softmax": lambda x, dim, _stacklevel=3, dtype=None: softmax(x, dim, dtype),
        "softmin": lambda x, dim, _stacklevel=3, dtype=None: softmax(-x, dim, dtype),
        "log_softmax": lambda x, dim, _stacklevel=3, dtype=None: log_softmax(x, dim, dtype),
        "prelu": prelu,
        "glu": glu,
        **{name: tensor_functions()[name] for name in ("relu", "sigmoid", "tanh")},
    }


# SELU's numbers, of Klambauer et al. 2017.
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def in_pieces() -> Table:
    """Return the activations in pieces. Where a piece could overflow it is computed at 0 outside its own range."""
    import jax.numpy as jnp

    def leaky_relu(x: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
        return jnp.where(x > 0, x, negative_slope * x)

    def exponential(x: Any, alpha: float, scale: float, rate: float) -> Any:
        return jnp.where(x > 0, scale * x, scale * alpha * jnp.expm1(rate * jnp.where(x > 0, 0, x)))

    def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
        return jnp.where(x <= min_val, min_val, jnp.where(x >= max_val, max_val, x))

    def hardsigmoid(x: Any, inplace: bool = False) -> Any:
        return jnp.where(x <= -3, 0, jnp.where(x >= 3, 1, (x + 3) / 6))

    def hardswish(x: Any, inplace: bool = False) -> Any:
        return jnp.where(x <= -3, 0, jnp.where(x >= 3, x, x * (x + 3) / 6))

    def threshold(x: Any, threshold: float, value: float, inplace: bool = False) -> Any:
        return jnp.where(x <= threshold, value, x)

    def hardshrink(x: Any, lambd: float = 0.5) -> Any:
        return jnp.where(jnp.abs(x) <= lambd, 0, x)

    def softshrink(x: Any, lambd: float = 0.5) -> Any:
        return jnp.where(x > lambd, x - lambd, jnp.where(x < -lambd, x + lambd, 0))

    pieces: Table = {
        "leaky_relu": leaky_relu,
        "elu": lambda x, alpha=1.0, inplace=False: exponential(x, alpha, 1, 1),
        "celu": lambda x, alpha=1.0, inplace=False: exponential(x, alpha, 1, 1 / alpha),
        "selu": lambda x, inplace=False: exponential(x, SELU_ALPHA, SELU_SCALE, 1),
        "hardtanh": hardtanh,
        "relu6": lambda x, inplace=False: hardtanh(x, 0.0, 6.0),
        "hardsigmoid": hardsigmoid,
        "hardswish": hardswish,
        "threshold": threshold,
        "_threshold": threshold,
        "hardshrink": hardshrink,
        "softshrink": softshrink,
    }
    return {name: in_columns(function) for name, function in pieces.items()}
