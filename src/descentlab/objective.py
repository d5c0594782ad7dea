"""Objectives: functions on a box, with their values, gradients and Hessians on batches.

`formula` makes one from text, `function` from a JAX-traceable Python callable. Both are read
with NumPy arrays of shape (..., dim); the descent engine reads them through `jax_value` and
`jax_value_and_gradient`, on one point given as a tuple of coordinates.

Everything is float64. JAX is asked for it with `jax.enable_x64(True)` as a context around the
lab's own calls only, so the caller's JAX settings stay as they were.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray
from sympy import Expr

from descentlab.check import Explanation, explain
from descentlab.errors import InputError
from descentlab.formula import parse
from descentlab.program import JAX, NUMPY, Program, compile_program, run

if TYPE_CHECKING:
    from jaxtyping import Float

    Points = Float[np.ndarray, "*batch dim"]
    Values = Float[np.ndarray, "*batch"]
    Matrices = Float[np.ndarray, "*batch dim dim"]

Domain = Mapping[str, Sequence[float]] | ArrayLike | None
DEFAULT_SIDE = (-5.0, 5.0)


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

    @property
    def dim(self) -> int:
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
        points = np.asarray(x, dtype=np.float64)
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


@dataclass(frozen=True, eq=False)
class FormulaObjective(Objective):
    """An objective with a formula: symbolic partial derivatives, one program for everything.

    `core` is what is compiled. A negated objective keeps its core and negates the program's
    outputs, so that descent on −f rounds exactly as ascent on f does.
    """

    core: Expr = sympy.Integer(0)
    is_negated: bool = False
    core_text: str = "0"
    core_declared: bool = False

    @property
    def text(self) -> str:
        return f"-({self.core_text})" if self.is_negated else self.core_text

    @property
    def declared(self) -> bool:
        return self.core_declared

    @functools.cached_property
    def may_be_undefined(self) -> bool:
        partly_defined = {"log", "sqrt", "power", "asin", "acos", "acosh", "atanh"}
        return any(op.name in partly_defined for op in self.value_program.operations)

    @property
    def expression(self) -> Expr:
        return -self.core if self.is_negated else self.core

    @functools.cached_property
    def _core_partials(self) -> tuple[Expr, ...]:
        return tuple(self.core.diff(sympy.Symbol(name)) for name in self.names)

    @property
    def partials(self) -> tuple[Expr, ...]:
        return tuple(-p if self.is_negated else p for p in self._core_partials)

    @property
    def key(self) -> Program:
        return self.program

    @functools.cached_property
    def program(self) -> Program:
        """Value and partials as one straight-line program."""
        return self._compile((self.core, *self._core_partials), "gradient")

    @functools.cached_property
    def value_program(self) -> Program:
        return self._compile((self.core,), "formula")

    @functools.cached_property
    def hessian_program(self) -> Program:
        """The upper triangle of the Hessian, row by row."""
        symbols = [sympy.Symbol(name) for name in self.names]
        entries = [
            partial.diff(symbol)
            for i, partial in enumerate(self._core_partials)
            for symbol in symbols[i:]
        ]
        return self._compile(entries, "Hessian")

    def _compile(self, expressions: Sequence[Expr], what: str) -> Program:
        program = compile_program(expressions, self.names, what)
        return program.negated() if self.is_negated else program

    def value(self, x: ArrayLike) -> Values:
        return self._run(self.value_program, self._points(x))[0]

    def gradient(self, x: ArrayLike) -> Points:
        return np.stack(self._run(self.program, self._points(x))[1:], axis=-1)

    def hessian(self, x: ArrayLike) -> Matrices:
        points = self._points(x)
        rows, columns = np.triu_indices(self.dim)
        matrices = np.empty((*points.shape, self.dim))
        for i, j, entry in zip(rows, columns, self._run(self.hessian_program, points), strict=True):
            matrices[..., i, j] = matrices[..., j, i] = entry
        return matrices

    def _run(self, program: Program, points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        coordinates = [points[..., i] for i in range(self.dim)]
        with np.errstate(all="ignore"):
            outputs = run(program, coordinates, NUMPY)
        return [np.array(np.broadcast_to(out, points.shape[:-1]), dtype=np.float64) for out in outputs]

    def jax_value(self, coordinates: tuple[Any, ...]) -> Any:
        return self._like(run(self.value_program, coordinates, JAX)[0], coordinates[0])

    def jax_value_and_gradient(self, coordinates: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        value, *gradient = (self._like(out, coordinates[0]) for out in run(self.program, coordinates, JAX))
        return value, tuple(gradient)

    @staticmethod
    def _like(out: Any, coordinate: Any) -> Any:
        """Return `out` as an array like `coordinate`, also if it is a constant."""
        import jax.numpy as jnp

        return jnp.broadcast_to(jnp.asarray(out, dtype=coordinate.dtype), coordinate.shape)

    def __neg__(self) -> FormulaObjective:
        return replace(self, label=f"-({self.label})", is_negated=not self.is_negated)

    def _with(self, core: Expr, label: str, text: str) -> FormulaObjective:
        return replace(self, label=label, core=core, is_negated=False, core_text=text)

    def _plus(self, other: Objective) -> Objective:
        if not isinstance(other, FormulaObjective):
            return _as_function(self)._plus(other)
        names = natural_order({*self.names, *other.names})
        domain = _common_box(names, (self, other))
        label = f"({self.label}) + ({other.label})"
        notes = tuple(dict.fromkeys(self.notes + other.notes))
        return FormulaObjective(
            names, domain, label, notes, self.expression + other.expression,
            core_text=f"({self.text}) + ({other.text})", core_declared=self.declared or other.declared,
        )

    def _scaled(self, factor: float) -> FormulaObjective:
        core = _exact(factor) * self.expression
        return self._with(core, f"{factor:g}*({self.label})", f"{factor!r}*({self.text})")

    def _shifted(self, constant: float) -> FormulaObjective:
        core = self.expression + _exact(constant)
        return self._with(core, f"{self.label} + {constant:g}", f"({self.text}) + ({constant!r})")


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
        right = _as_function(other)
        if self.names != other.names:
            raise InputError(
                f"Functions of different variables cannot be added: {', '.join(self.names)} "
                f"and {', '.join(other.names)}."
            )
        call, domain = self.call, _common_box(self.names, (self, other))
        notes = tuple(dict.fromkeys(self.notes + other.notes))
        label = f"({self.label}) + ({other.label})"
        return FunctionObjective(self.names, domain, label, notes, lambda x: call(x) + right.call(x))

    def _scaled(self, factor: float) -> FunctionObjective:
        call = self.call
        return replace(self, call=lambda x: factor * call(x), label=f"{factor:g}*({self.label})")

    def _shifted(self, constant: float) -> FunctionObjective:
        call = self.call
        return replace(self, call=lambda x: call(x) + constant, label=f"{self.label} + {constant:g}")


def formula(
    text: str,
    domain: Domain = None,
    variables: Sequence[str] | None = None,
    label: str | None = None,
) -> FormulaObjective:
    """Make an objective from the text of a formula.

    text: for example "cos(2*pi*x) + x**2"; domain: {"x": (-2, 2)} or an array (dim, 2); a
    variable without bounds gets [−5, 5], and `notes` says so; variables: their names in order,
    needed only for names that would otherwise be refused; label: a title, by default the
    formula as it was understood.

    Raises FormulaError for text that is no formula, InputError for an unusable domain.

    >>> f = formula("3x^2 - 3x + 4", domain={"x": (-2, 2)})
    >>> float(f.value([0.5])), float(f.gradient([1.0])[0])
    (3.25, 3.0)
    """
    parsed = parse(text, variables)
    box, notes = make_box(domain, parsed.names)
    return FormulaObjective(
        parsed.names, box, label or parsed.understood, notes, parsed.expression,
        core_text=parsed.understood, core_declared=variables is not None,
    )


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
    title = label or getattr(call, "__name__", type(call).__name__)
    return FunctionObjective(tuple(names), box, title, notes, call)


def _check_traceable(call: Callable[[Any], Any], dim: int) -> None:
    import jax

    advice = "Write it with jax.numpy, without float(), item() or 'if' on values."
    try:
        with jax.enable_x64(True):
            shape = jax.eval_shape(call, jax.ShapeDtypeStruct((dim,), np.dtype("float64")))
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"JAX cannot trace the function on a vector of length {dim}: {first} {advice}") from error
    if getattr(shape, "shape", None) != () or not np.issubdtype(shape.dtype, np.floating):
        raise InputError(
            f"The function must return one real number for a vector of length {dim}, but it returns {shape}."
        )


def make_box(domain: Domain, names: tuple[str, ...]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the box as an array (dim, 2), and notes on what was filled in.

    Raises InputError for unknown variables, bounds that are not finite numbers, and empty or
    reversed intervals.
    """
    if domain is None:
        domain = {}
    if isinstance(domain, Mapping):
        extra = [name for name in domain if name not in names]
        if extra:
            raise InputError(
                f"The domain names '{extra[0]}', which is not a variable here; "
                f"the variables are {', '.join(names)}."
            )
        missing = [name for name in names if name not in domain]
        pairs: list[Any] = [domain.get(name, DEFAULT_SIDE) for name in names]
    else:
        missing, pairs = [], list(np.atleast_1d(np.asarray(domain, dtype=object)))
    try:
        box = np.array([[float(low), float(high)] for low, high in pairs])
    except (TypeError, ValueError):
        raise InputError(f"A domain is a pair of numbers a variable, low and high; got {domain!r}.") from None
    if box.shape != (len(names), 2):
        raise InputError(
            f"The domain has {len(box)} intervals, but there are {len(names)} variables: {', '.join(names)}."
        )
    for name, (low, high) in zip(names, box, strict=True):
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(f"The domain of {name} must be finite, but it is [{low:g}, {high:g}].")
        if low >= high:
            what = "empty" if low == high else "reversed"
            raise InputError(
                f"The domain of {name} is {what}: [{low:g}, {high:g}]. The lower bound comes first."
            )
        if not np.isfinite(high - low):
            raise InputError(f"The domain of {name}, [{low:g}, {high:g}], is too wide for float64.")
    box.setflags(write=False)
    low, high = DEFAULT_SIDE
    notes = (
        (f"No domain was given for {', '.join(missing)}: [{low:g}, {high:g}] is used.",) if missing else ()
    )
    return box, notes


def natural_order(names: set[str]) -> tuple[str, ...]:
    """Sort names as people do: x, y; x1, x2, x10.

    >>> natural_order({"x10", "x2", "y", "x"})
    ('x', 'x2', 'x10', 'y')
    """
    import re

    def parts(name: str) -> list[tuple[int, int, str]]:
        return [(1, int(p), "") if p.isdigit() else (0, 0, p) for p in re.split(r"(\d+)", name) if p]

    return tuple(sorted(names, key=parts))


def _common_box(names: tuple[str, ...], objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """Return the intersection of the objectives' boxes."""
    sides: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    for objective in objectives:
        for name, side in zip(objective.names, objective.domain, strict=True):
            sides[name].append(side)
    pairs = {n: (max(s[0] for s in given), min(s[1] for s in given)) for n, given in sides.items()}
    if any(low >= high for low, high in pairs.values()):
        raise InputError("The objectives' domains do not overlap, so their sum is defined nowhere.")
    return make_box(pairs, names)[0]


def _as_function(objective: Objective) -> FunctionObjective:
    """Return any objective as a function of one vector."""
    if isinstance(objective, FunctionObjective):
        return objective
    return FunctionObjective(
        objective.names, objective.domain, objective.label, objective.notes,
        lambda x: objective.jax_value(tuple(x[..., i] for i in range(objective.dim))),
    )


def _number(given: float, doing: str) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(f"An objective can only be {doing} finite numbers, not {given!r}.")
    return number


def _exact(number: float) -> Expr:
    """Return the short decimal a person meant by `number` as an exact fraction: 0.1 → 1/10."""
    fraction = Fraction(repr(number))
    return sympy.Rational(fraction.numerator, fraction.denominator)
