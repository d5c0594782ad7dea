"""Objectives given as formulas: one program for everything."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray
from sympy import Expr

from descentlab.differentiate import derivatives, gradient
from descentlab.formula import parse
from descentlab.formula.notation import natural
from descentlab.objective.base import Objective
from descentlab.objective.box import Domain, common_box, make_box
from descentlab.objective.functions import as_function
from descentlab.program import JAX, NUMPY, Program, compile_program, run

if TYPE_CHECKING:
    from descentlab.objective.base import Matrices, Points, Values


@dataclass(frozen=True, eq=False)
class FormulaObjective(Objective):
    """An objective with a formula: symbolic partial derivatives, one program for everything.

    `core` is what is compiled. A negated objective keeps its core and negates the program's
    outputs, so that descent on −f rounds exactly as ascent on f does.
    """

    core: Expr = sympy.S.Zero
    is_negated: bool = False
    core_text: str = "0"
    core_declared: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Send the programs along: differentiating again would cost time."""
        programs = {name: getattr(self, name) for name in ("program", "value_program", "hessian_program")}
        return super().__getstate__() | programs

    @property
    def text(self) -> str:
        return f"-({self.core_text})" if self.is_negated else self.core_text

    @property
    def declared(self) -> bool:
        return self.core_declared

    @functools.cached_property
    def may_kink(self) -> bool:
        rough = {"sqrt", "power", "cbrt", "acosh", "asin", "acos", "atan2"}
        program = self.value_program
        return bool(program.kinks) or any(op.name in rough for op in program.operations)

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
        return self._signed(gradient(self._core_program))

    @functools.cached_property
    def value_program(self) -> Program:
        return self._signed(self._core_program)

    @functools.cached_property
    def hessian_program(self) -> Program:
        """The upper triangle of the Hessian, row by row."""
        full = derivatives(self._core_program)
        return self._signed(replace(full, outputs=full.outputs[1 + self.dim :]).pruned())

    @functools.cached_property
    def _core_program(self) -> Program:
        return compile_program((self.core,), self.names, "formula")

    def _signed(self, program: Program) -> Program:
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
            return as_function(self)._plus(other)
        names = tuple(sorted({*self.names, *other.names}, key=natural))
        domain = common_box(names, ((self.names, self.domain), (other.names, other.domain)))
        label = f"({self.label}) + ({other.label})"
        notes = tuple(dict.fromkeys(self.notes + other.notes))
        return FormulaObjective(
            names,
            domain,
            label,
            notes,
            self.expression + other.expression,
            core_text=f"({self.text}) + ({other.text})",
            core_declared=self.declared or other.declared,
        )

    def _scaled(self, factor: float) -> FormulaObjective:
        core = _exact(factor) * self.expression
        return self._with(core, f"{factor:g}*({self.label})", f"{factor!r}*({self.text})")

    def _shifted(self, constant: float) -> FormulaObjective:
        core = self.expression + _exact(constant)
        return self._with(core, f"{self.label} + {constant:g}", f"({self.text}) + ({constant!r})")


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
        parsed.names,
        box,
        label or parsed.understood,
        notes,
        parsed.expression,
        core_text=parsed.understood,
        core_declared=variables is not None,
    )


def _exact(number: float) -> Expr:
    """Return the short decimal a person meant by `number` as an exact fraction: 0.1 → 1/10."""
    fraction = Fraction(repr(number))
    return sympy.Rational(fraction.numerator, fraction.denominator)
