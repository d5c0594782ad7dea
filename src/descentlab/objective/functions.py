"""Objectives given as Python functions that JAX can trace."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.errors import InputError
from descentlab.objective.base import Objective
from descentlab.objective.box import Domain, common_box, make_box

if TYPE_CHECKING:
    from descentlab.objective.base import Matrices, Points, Values


@dataclass(frozen=True, eq=False)
class FunctionObjective(Objective):
    """An objective given as a JAX-traceable function of one vector of length dim."""

    call: Callable[[Any], Any] = lambda x: x[0]

    @property
    def key(self) -> Callable[[Any], Any]:
        return self.call

    def value(self, x: ArrayLike) -> Values:
        return self._batch("value", x, ())

    def gradient(self, x: ArrayLike) -> Points:
        return self._batch("gradient", x, (self.dim,))

    def hessian(self, x: ArrayLike) -> Matrices:
        return self._batch("hessian", x, (self.dim, self.dim))

    @functools.cached_property
    def _compiled(self) -> dict[str, Callable[..., Any]]:
        import jax

        return {
            "value": jax.jit(jax.vmap(self.call)),
            "gradient": jax.jit(jax.vmap(jax.grad(self.call))),
            "hessian": jax.jit(jax.vmap(jax.hessian(self.call))),
        }

    def _batch(self, which: str, x: ArrayLike, tail: tuple[int, ...]) -> NDArray[np.float64]:
        import jax

        points = self._points(x)
        flat = points.reshape(-1, self.dim)
        # JAX compiles once a shape: padding to powers of two keeps the shapes few.
        size = 1 << max(len(flat) - 1, 0).bit_length()
        padded = np.resize(flat, (size, self.dim)) if len(flat) else np.zeros((size, self.dim))
        with jax.enable_x64(True):
            result = np.asarray(self._compiled[which](padded), dtype=np.float64)
        return result[: len(flat)].reshape(points.shape[:-1] + tail)

    def jax_value(self, coordinates: tuple[Any, ...]) -> Any:
        import jax.numpy as jnp

        return self.call(jnp.stack(coordinates, axis=-1))

    def jax_value_and_gradient(self, coordinates: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        import jax
        import jax.numpy as jnp

        value, gradient = jax.value_and_grad(self.call)(jnp.stack(coordinates, axis=-1))
        return value, tuple(gradient[i] for i in range(self.dim))

    def __neg__(self) -> FunctionObjective:
        call = self.call
        return replace(self, call=lambda x: -call(x), label=f"-({self.label})")

    def _plus(self, other: Objective) -> Objective:
        right = as_function(other)
        if self.names != other.names:
            raise InputError(
                f"Functions of different variables cannot be added: {', '.join(self.names)} "
                f"and {', '.join(other.names)}."
            )
        call, domain = (
            self.call,
            common_box(self.names, ((self.names, self.domain), (other.names, other.domain))),
        )
        notes = tuple(dict.fromkeys(self.notes + other.notes))
        label = f"({self.label}) + ({other.label})"
        return FunctionObjective(self.names, domain, label, notes, lambda x: call(x) + right.call(x))

    def _scaled(self, factor: float) -> FunctionObjective:
        call = self.call
        return replace(self, call=lambda x: factor * call(x), label=f"{factor:g}*({self.label})")

    def _shifted(self, constant: float) -> FunctionObjective:
        call = self.call
        return replace(self, call=lambda x: call(x) + constant, label=f"{self.label} + {constant:g}")


def function(
    call: Callable[[Any], Any],
    domain: Domain,
    names: Sequence[str] | None = None,
    label: str | None = None,
) -> FunctionObjective:
    """Make an objective from a Python function of one vector that JAX can trace.

    call: takes an array of shape (dim,) and returns a scalar, using jax.numpy and not numpy;
    domain: {"x": (-2, 2), "y": (-2, 2)}, whose order is that of the vector, or an array
    (dim, 2), with `names` for its variables (x, y or x1, x2, … by default).

    Raises InputError if the domain is unusable or JAX cannot trace `call` to a real scalar.
    """
    if not callable(call):
        raise InputError(f"A Python function is needed, but a {type(call).__name__} was given.")
    if domain is None:
        raise InputError('A Python function needs a domain, such as domain={"x": (-2, 2)}.')
    if isinstance(domain, Mapping):
        names = tuple(domain) if names is None else tuple(names)
    elif names is None:
        dim = len(np.atleast_1d(np.asarray(domain)))
        names = ("x", "y")[:dim] if dim <= 2 else tuple(f"x{i + 1}" for i in range(dim))
    box, notes = make_box(domain, tuple(names))
    _check_traceable(call, len(names))
    title = label or str(getattr(call, "__name__", type(call).__name__))
    return FunctionObjective(tuple(names), box, title, notes, call)


def _check_traceable(call: Callable[[Any], Any], dim: int) -> None:
    import jax

    advice = "Write it with jax.numpy, without float(), item() or 'if' on values."
    try:
        with jax.enable_x64(True):
            shape = jax.eval_shape(call, np.zeros(dim))
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"JAX cannot trace the function on a vector of length {dim}: {first} {advice}"
        ) from error
    if getattr(shape, "shape", None) != () or not np.issubdtype(shape.dtype, np.floating):
        raise InputError(
            f"The function must return one real number for a vector of length {dim}, but it returns {shape}."
        )


def as_function(objective: Objective) -> FunctionObjective:
    """Return any objective as a function of one vector."""
    if isinstance(objective, FunctionObjective):
        return objective
    return FunctionObjective(
        objective.names,
        objective.domain,
        objective.label,
        objective.notes,
        lambda x: objective.jax_value(tuple(x[..., i] for i in range(objective.dim))),
    )
