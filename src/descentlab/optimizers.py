"""Optimizers by name, as optax transformations with learning rate one.

The descent loop multiplies the update by the learning rate of the step, so that a rate may
change from step to step and from start to start without compiling anything again.

To add an optimizer, add a row to `TABLE` – and nothing else.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from descentlab.errors import InputError, unknown

if TYPE_CHECKING:
    import optax


@dataclass(frozen=True)
class Parameter:
    """One parameter of an optimizer: its default, what optax calls it, and its allowed range.

    The range is [low, high), or the open interval if `open_low`.
    """

    name: str
    default: float
    optax: str
    low: float = 0.0
    high: float = math.inf
    open_low: bool = False

    def check(self, value: float, optimizer: str) -> float:
        """Return `value` as a float, or raise InputError if it is outside the range."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        above = number > self.low if self.open_low else number >= self.low
        if not (above and number < self.high):
            low = f"{'more than' if self.open_low else 'at least'} {self.low:g}"
            high = "" if self.high == math.inf else f" and below {self.high:g}"
            raise InputError(f"{optimizer}'s {self.name} must be {low}{high}, but it is {value!r}.")
        return number


@dataclass(frozen=True)
class Optimizer:
    """One row: a named optimizer.

    optax: the name of its optax constructor; fixed: arguments it is always called with;
    searches: whether it is `lbfgs` instead, which finds its own step lengths.
    rule: the update, with x the point, g the gradient, η the learning rate.
    step_length: whether one step's length is about η whatever the gradient's size (as for adam)
        rather than proportional to the gradient (as for gd).
    """

    name: str
    optax: str
    rule: str
    teaches: str
    source: str
    parameters: tuple[Parameter, ...] = ()
    fixed: tuple[tuple[str, Any], ...] = ()
    step_length: bool = False
    searches: bool = False


def _decay(name: str, default: float, optax_name: str) -> Parameter:
    return Parameter(name, default, optax_name, 0.0, 1.0)


_BETA1 = _decay("beta1", 0.9, "b1")
_BETA2 = _decay("beta2", 0.999, "b2")
_EPSILON = Parameter("epsilon", 1e-8, "eps", 0.0)

TABLE: tuple[Optimizer, ...] = (
    Optimizer(
        "gd",
        "sgd",
        "x ← x − η g",
        "The loop of the course: the gradient is the direction and the size of the step.",
        "Cauchy 1847",
    ),
    Optimizer(
        "momentum",
        "sgd",
        "m ← μ m + g;  x ← x − η m",
        "A heavy ball: steps in a steady direction add up, zigzags cancel.",
        "Polyak 1964",
        (_decay("decay", 0.9, "momentum"),),
    ),
    Optimizer(
        "nesterov",
        "sgd",
        "m ← μ m + g;  x ← x − η (g + μ m)",
        "Momentum that looks ahead and so brakes earlier.",
        "Nesterov 1983; Sutskever et al. 2013",
        (_decay("decay", 0.9, "momentum"),),
        (("nesterov", True),),
    ),
    Optimizer(
        "adagrad",
        "adagrad",
        "s ← s + g²;  x ← x − η g / √(s + ε)",
        "Each coordinate has its own rate, which only ever shrinks.",
        "Duchi, Hazan, Singer 2011",
        (
            Parameter("initial", 0.1, "initial_accumulator_value", 0.0),
            Parameter("epsilon", 1e-7, "eps", 0.0),
        ),
        step_length=True,
    ),
    Optimizer(
        "rmsprop",
        "rmsprop",
        "s ← ρ s + (1−ρ) g²;  x ← x − η g / √(s + ε)",
        "Adagrad with a memory that fades, so the rate does not die.",
        "Tieleman, Hinton 2012",
        (_decay("decay", 0.9, "decay"), _EPSILON),
        step_length=True,
    ),
    Optimizer(
        "adam",
        "adam",
        "m ← β₁ m + (1−β₁) g;  s ← β₂ s + (1−β₂) g²;  x ← x − η m̂ / (√ŝ + ε)",
        "Momentum and a rate for each coordinate, both corrected for their start at zero.",
        "Kingma, Ba 2015",
        (_BETA1, _BETA2, _EPSILON),
        step_length=True,
    ),
    Optimizer(
        "adamw",
        "adamw",
        "m, s as in adam;  x ← x − η (m̂ / (√ŝ + ε) + w x)",
        "Adam with weight decay kept out of the gradient; its resting point is not a minimum of f.",
        "Loshchilov, Hutter 2019",
        (_BETA1, _BETA2, _EPSILON, Parameter("weight_decay", 1e-4, "weight_decay", 0.0)),
        step_length=True,
    ),
    Optimizer(
        "nadam",
        "nadam",
        "adam with Nesterov's look-ahead in m̂",
        "Adam that brakes earlier.",
        "Dozat 2016",
        (_BETA1, _BETA2, _EPSILON),
        step_length=True,
    ),
    Optimizer(
        "amsgrad",
        "amsgrad",
        "adam with the largest ŝ so far",
        "Adam whose rates never grow again, which mends its convergence proof.",
        "Reddi, Kale, Kumar 2018",
        (_BETA1, _BETA2, _EPSILON),
        step_length=True,
    ),
    Optimizer(
        "adamax",
        "adamax",
        "m as in adam;  u ← max(β₂ u, |g| + ε);  x ← x − η m̂ / u",
        "Adam with the largest recent gradient in place of the mean square.",
        "Kingma, Ba 2015",
        (_BETA1, _BETA2, _EPSILON),
        step_length=True,
    ),
    Optimizer(
        "adadelta",
        "adadelta",
        "s ← ρ s + (1−ρ) g²;  d = g √(t + ε)/√(s + ε);  t ← ρ t + (1−ρ) d²;  x ← x − η d",
        "No length is given: it grows from √ε by itself, so begin with η = 1.",
        "Zeiler 2012",
        (_decay("decay", 0.9, "rho"), Parameter("epsilon", 1e-6, "eps", 0.0, open_low=True)),
        step_length=True,
    ),
    Optimizer(
        "lion",
        "lion",
        "x ← x − η sign(β₁ m + (1−β₁) g);  m ← β₂ m + (1−β₂) g",
        "Only the signs count, so every step is as long as the last: it hovers, never settles.",
        "Chen et al. 2023",
        (_BETA1, _decay("beta2", 0.99, "b2")),
        (("weight_decay", 0.0),),
        step_length=True,
    ),
    Optimizer(
        "sign",
        "sign_sgd",
        "x ← x − η sign(g)",
        "Every coordinate moves by η a step: blind to the gradient's size.",
        "Riedmiller, Braun 1993; Bernstein et al. 2018",
        step_length=True,
    ),
    Optimizer(
        "lbfgs",
        "",
        "d = −H g from the last 5 pairs (Δx, Δg), first −η g;  try x + t d, shorten t until f falls enough",
        "Curvature from gradients alone: few evaluations, but its points are trials, which may rise.",
        "Liu, Nocedal 1989",
        searches=True,
    ),
)

BY_NAME: Mapping[str, Optimizer] = {row.name: row for row in TABLE}


def optimizers() -> tuple[Optimizer, ...]:
    """Return every named optimizer with its rule, parameters and source."""
    return TABLE


@dataclass(frozen=True)
class ChosenOptimizer:
    """An optimizer with its parameters settled, or a user's own optax transformation."""

    label: str
    row: Optimizer | None
    parameters: tuple[tuple[str, float], ...] = ()
    own: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the cached transformation behind: its functions cannot be pickled."""
        return {name: value for name, value in vars(self).items() if name != "transformation"}

    @functools.cached_property
    def transformation(self) -> optax.GradientTransformationExtraArgs:
        """The optax transformation at learning rate one."""
        return self.made([value for _, value in self.parameters])

    def made(self, values: Sequence[Any]) -> optax.GradientTransformationExtraArgs:
        """Return the transformation with these values of the row's parameters, which JAX may be tracing."""
        import optax

        if self.row is None:
            return optax.with_extra_args_support(self.own)
        settings = {p.optax: value for p, value in zip(self.row.parameters, values, strict=True)}
        make = getattr(importlib.import_module("optax"), self.row.optax)
        return optax.with_extra_args_support(make(learning_rate=1.0, **dict(self.row.fixed), **settings))

    @property
    def bare(self) -> ChosenOptimizer:
        """The optimizer without its parameters' values: what is compiled where those are traced."""
        return self if self.row is None else ChosenOptimizer(self.row.name, self.row)

    def values(self, dtype: Any) -> tuple[Any, ...]:
        """The parameters' values as scalars of `dtype`, to be traced; the defaults of a bare optimizer."""
        given = dict(self.parameters)
        parameters = () if self.row is None else self.row.parameters
        return tuple(np.dtype(dtype).type(given.get(p.name, p.default)) for p in parameters)

    @property
    def searches(self) -> bool:
        """Whether it finds its step lengths by a line search, trying points that it may give up again."""
        return self.row is not None and self.row.searches

    def parameter(self, name: str) -> float:
        """Return a parameter's value, 0 if this optimizer has none of that name."""
        return dict(self.parameters).get(name, 0.0)


def choose(optimizer: str | Any, parameters: Mapping[str, float]) -> ChosenOptimizer:
    """Return the optimizer of that name with `parameters`, or wrap an optax transformation.

    Raises InputError for an unknown name or parameter, or a value outside its range.
    """
    if isinstance(optimizer, ChosenOptimizer):
        return optimizer
    if isinstance(optimizer, str):
        return _named(optimizer, parameters)
    if not (callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))):
        raise InputError(
            "An optimizer is a name, such as 'adam', or an optax.GradientTransformation; "
            f"got {type(optimizer).__name__}."
        )
    if parameters:
        raise InputError("Give an optax transformation its parameters when making it, not here.")
    return ChosenOptimizer("optax transformation", None, own=optimizer)


def _named(name: str, parameters: Mapping[str, float]) -> ChosenOptimizer:
    key = name.strip().lower()
    if key not in BY_NAME:
        raise unknown("optimizer", name, BY_NAME, "'descentlab optimizers' lists them all.")
    row = BY_NAME[key]
    known = {p.name: p for p in row.parameters}
    for given in parameters:
        if given not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise InputError(f"The optimizer {key} has no parameter '{given}'; {has}.")
    settled = tuple((p.name, p.check(parameters.get(p.name, p.default), key)) for p in row.parameters)
    changed = [f"{p.name}={v:g}" for p, (_, v) in zip(row.parameters, settled, strict=True) if v != p.default]
    return ChosenOptimizer(key + (f"({', '.join(changed)})" if changed else ""), row, settled)
