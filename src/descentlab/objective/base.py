"""What every objective offers, however it was given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sympy import Expr

from descentlab.check import Explanation, explain
from descentlab.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.figure import Figure

    Points = Float[np.ndarray, "*batch dim"]
    Values = Float[np.ndarray, "*batch"]
    Matrices = Float[np.ndarray, "*batch dim dim"]


@dataclass(frozen=True, eq=False)
class Objective(ABC):
    """A real function f on a box.

    names: the variables, in order; domain: (dim, 2) array of lower and upper bounds;
    label: a short title; notes: sentences the user should be told (a default box, say).
    """

    names: tuple[str, ...]
    domain: NDArray[np.float64]
    label: str
    notes: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Send the fields alone to another process; what is cached is made again there."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def dim(self) -> int:
        """The number of variables."""
        return len(self.names)

    @property
    def widths(self) -> NDArray[np.float64]:
        """The side lengths of the box, (dim,): the natural unit of length of each variable."""
        return self.domain[:, 1] - self.domain[:, 0]

    @property
    def text(self) -> str | None:
        """The formula as text that makes this objective again, or None for a Python function."""
        return None

    @property
    def may_be_undefined(self) -> bool:
        """Whether f might be undefined where its gradient's formula still gives a number, as log(x)
        is at x < 0, where 1/x is not."""
        return True

    @property
    def may_kink(self) -> bool:
        """Whether the gradient of f might jump somewhere: not for what is made of smooth functions."""
        return True

    @property
    def declared(self) -> bool:
        """Whether the variables must be named along with `text`."""
        return False

    @property
    def expression(self) -> Expr | None:
        """The formula as a SymPy expression, or None for a Python function."""
        return None

    @property
    def partials(self) -> tuple[Expr, ...] | None:
        """The partial derivatives as SymPy expressions, or None for a Python function."""
        return None

    @property
    @abstractmethod
    def key(self) -> object:
        """A hashable object: objectives with equal keys compute the same numbers."""

    @abstractmethod
    def value(self, x: ArrayLike) -> Values:
        """Return f at the points x, (..., dim) → (...)."""

    @abstractmethod
    def gradient(self, x: ArrayLike) -> Points:
        """Return ∇f at the points x, (..., dim) → (..., dim)."""

    @abstractmethod
    def hessian(self, x: ArrayLike) -> Matrices:
        """Return the Hessian at the points x, (..., dim) → (..., dim, dim)."""

    @abstractmethod
    def jax_value(self, coordinates: tuple[Any, ...]) -> Any:
        """Return f at one point, traceable by JAX."""

    @abstractmethod
    def jax_value_and_gradient(self, coordinates: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        """Return f and its partial derivatives at one point, traceable by JAX."""

    def plot(self) -> Figure:
        """Draw f: with its derivative below in one variable, as a heat map in two, in slices in more."""
        from descentlab.figures import draw_function

        return draw_function(self)

    @abstractmethod
    def __neg__(self) -> Objective: ...

    @abstractmethod
    def _plus(self, other: Objective) -> Objective: ...

    @abstractmethod
    def _scaled(self, factor: float) -> Objective: ...

    @abstractmethod
    def _shifted(self, constant: float) -> Objective: ...

    def __add__(self, other: Objective | float) -> Objective:
        if isinstance(other, Objective):
            return self._plus(other)
        return self._shifted(_number(other, "added to"))

    __radd__ = __add__

    def __sub__(self, other: Objective | float) -> Objective:
        return self + (-other)

    def __rsub__(self, other: float) -> Objective:
        return -self + other

    def __mul__(self, factor: float) -> Objective:
        return self._scaled(_number(factor, "multiplied with"))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Objective:
        number = _number(divisor, "divided by")
        if number == 0:
            raise InputError("An objective cannot be divided by zero.")
        return self._scaled(1 / number)

    def explain(self, seed: int = 0) -> Explanation:
        """Explain the derivative, or each partial derivative, rule by rule, and check it.

        Raises InputError for a Python function, which has no formula to explain.
        """
        if self.expression is None:
            raise InputError("Only a formula can be explained rule by rule; this is a Python function.")
        return explain(self.expression, self.names, self.domain, seed=seed)

    def _points(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return x as a float array of points, or raise if its last axis is not dim."""
        try:
            points = np.asarray(x, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(
                f"Points of {self.label} are arrays of numbers with a last axis of length {self.dim} "
                f"({', '.join(self.names)}); got {str(x)[:60]!r}."
            ) from None
        if points.ndim == 0 and self.dim == 1:
            points = points[None]
        if points.ndim == 0 or points.shape[-1] != self.dim:
            raise InputError(
                f"Points of {self.label} need a last axis of length {self.dim} "
                f"({', '.join(self.names)}); the array given has shape {points.shape}."
            )
        return points

    def _repr_latex_(self) -> str | None:
        if self.expression is None:
            return None
        from descentlab.formula.mathml import latex

        return f"$f({', '.join(self.names)}) = {latex(self.expression)}$"


def _number(given: float, doing: str) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(f"An objective can only be {doing} finite numbers, not {given!r}.")
    return number
