"""Learning-rate rules: how long the step is at step k.

Every rule starts from one number a start, the base rate η, which is traced by JAX: another
number compiles nothing again. A rule is two pure functions, like an optimizer:
`init(x, g) → memory` and `rate(η, k, n, x, g, memory) → (rate, memory)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from descentlab.errors import InputError
from descentlab.objective import Objective
from descentlab.optimizers import ChosenOptimizer

KINDS = {
    "fixed": "η at every step",
    "time": "η·(1 − (k+1)/n): falls linearly to zero at the last of n steps",
    "gradient": "η·|∇f|: shrinks near a minimum, and explodes where f is steep",
    "cosine": "η·(1 + cos(πk/n))/2: falls slowly, then fast, then slowly",
    "exponential": "η·decay^k, decay 0.999 unless given as exponential:η:decay",
    "schedule": "an optax schedule or any function of the step",
    "auto": "from the curvature: see `auto_rate`",
}


@dataclass(frozen=True)
class LearningRate:
    """A rule and its base rate. `value` is NaN where the rate is chosen by the lab (auto)."""

    kind: str
    value: float
    label: str
    decay: float = 0.999
    schedule: Callable[[Any], Any] | None = None

    @property
    def rule(self) -> tuple[str, float, Callable[[Any], Any] | None]:
        """What the compiled loop depends on: everything but the base rate."""
        return (self.kind, self.decay, self.schedule)


def time_based(learning_rate: float) -> LearningRate:
    """Return the course's time-based rule, η·(1 − (k+1)/n) at step k of n.

    >>> time_based(0.1).label
    'time:0.1'
    """
    return _of_kind("time", learning_rate)


def gradient_based(learning_rate: float) -> LearningRate:
    """Return the course's gradient-based rule, η·|∇f| at each step.

    >>> gradient_based(0.1).label
    'gradient:0.1'
    """
    return _of_kind("gradient", learning_rate)


def read_rate(given: float | str | Callable[[Any], Any] | LearningRate) -> LearningRate:
    """Return the rule meant by a number, a text such as "time:0.1" or "auto", or a schedule.

    Raises InputError for a rate that is not a positive finite number, or an unknown rule.

    >>> read_rate("exponential:0.1:0.99")
    LearningRate(kind='exponential', value=0.1, label='exponential:0.1:0.99', decay=0.99, schedule=None)
    """
    if isinstance(given, LearningRate):
        return given
    if isinstance(given, str):
        return _from_text(given)
    if callable(given):
        _check_schedule(given)
        return LearningRate("schedule", 1.0, "schedule", schedule=given)
    return _of_kind("fixed", given)


def check_rate(rate: LearningRate, optimizer: ChosenOptimizer) -> LearningRate:
    """Return `rate`, or raise InputError if the optimizer finds its own lengths and it changes with the step.

    >>> from descentlab.optimizers import choose
    >>> check_rate(read_rate(0.1), choose("lbfgs", {})).label
    '0.1'
    """
    if optimizer.searches and rate.kind not in ("fixed", "auto"):
        raise InputError(
            f"{optimizer.label} finds the length of every step by itself, so the learning rate '{rate.label}' "
            "has nothing to act on. Give the length of its first step along −∇f, as a number, or 'auto'."
        )
    return rate


def _from_text(text: str) -> LearningRate:
    kind, *numbers = (part.strip() for part in text.split(":"))
    if kind == "auto" and not numbers:
        return LearningRate("auto", math.nan, "auto")
    if not numbers:
        return _of_kind("fixed", kind)
    known = ("time", "gradient", "cosine", "exponential")
    if kind not in known or len(numbers) > (2 if kind == "exponential" else 1):
        raise InputError(
            f"Unknown learning rate '{text[:60]}'. Give a number, 'auto', or one of "
            f"{', '.join(f'{k}:0.1' for k in known)}."
        )
    if len(numbers) == 2:
        decay = _positive(numbers[1], "decay")
        if decay > 1:
            raise InputError(f"The decay of a learning rate must not exceed 1, but it is {decay:g}.")
        return _of_kind(kind, numbers[0], decay)
    return _of_kind(kind, numbers[0])


def _of_kind(kind: str, value: float | str, decay: float = 0.999) -> LearningRate:
    rate = _positive(value, "learning rate")
    label = _exactly(rate)
    if kind != "fixed":
        label = f"{kind}:{label}" + (
            f":{_exactly(decay)}" if kind == "exponential" and decay != 0.999 else ""
        )
    return LearningRate(kind, rate, label, decay)


def _exactly(number: float) -> str:
    """Write a number as short as reading it back allows."""
    return f"{number:.17g}" if float(f"{number:g}") != number else f"{number:g}"


def _check_schedule(schedule: Callable[[Any], Any]) -> None:
    """Raise InputError unless JAX can trace the schedule to one real number."""
    import jax

    advice = "A schedule takes the step's number and returns one real number, written with jax.numpy."
    try:
        with jax.enable_x64(True):
            result = jax.eval_shape(schedule, np.zeros(()))
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"JAX cannot trace the learning-rate schedule: {first} {advice}") from error
    if getattr(result, "shape", None) != () or not np.issubdtype(result.dtype, np.number):
        raise InputError(f"The learning-rate schedule returns {result}. {advice}")


def _positive(given: float | str, what: str) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError):
        raise InputError(f"The {what} must be a positive number, but it is {str(given)[:60]!r}.") from None
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"The {what} must be a positive number, but it is {number:g}.")
    return number


# The auto rule is limited to twice the box's shortest reciprocal curvature growth: see auto_rate.
_SAMPLES = 256


def curvature_of_box(objective: Objective, seed: int = 0) -> float:
    """Return λ, the largest |Hessian eigenvalue| at 256 random points of the box (0 if none is finite).

    A sample, not a bound: it can miss a narrow spike.
    """
    generator = np.random.default_rng([seed, 0xC0])
    low, high = objective.domain.T
    points = low + (high - low) * generator.random((_SAMPLES, objective.dim))
    hessians = objective.hessian(points)
    finite = np.isfinite(hessians).all(axis=(-2, -1))
    if not finite.any():
        return 0.0
    return float(np.abs(np.linalg.eigvalsh(hessians[finite])).max())


def auto_rate(objective: Objective, optimizer: ChosenOptimizer) -> float:
    """Return the base rate of learning_rate="auto".

    gd starts with 1/λ, λ the largest curvature sampled over the box, and then follows the
    curvature it meets: η_k = min(√(1 + η_{k−1}/η_{k−2}) η_{k−1}, |x_k − x_{k−1}| / (2 |g_k − g_{k−1}|)),
    the adaptive rule of Malitsky and Mishchenko 2020 (Algorithm 1). momentum and nesterov keep
    (1 − μ)/λ; lbfgs takes 1/λ for its first step. Where a formula's gradient may jump (|x|, √), η_k
    stays above a tenth of 1/λ: it would fall to zero on the first kink it crosses, and the other
    coordinates would never arrive.
    Optimizers whose step is about η long whatever the gradient take 1/200 of the
    box's shortest side. Scaling f or x scales all of these with it.
    """
    shortest = float(objective.widths.min())
    if optimizer.row is not None and optimizer.row.step_length:
        return 1.0 if optimizer.row.name == "adadelta" else shortest / 200
    curvature = curvature_of_box(objective)
    if curvature > 0 and math.isfinite(1 / curvature):
        return (1 - optimizer.parameter("decay")) / curvature
    return _straight_rate(objective, shortest)


def _straight_rate(objective: Objective, shortest: float) -> float:
    """Return the rate at which a typical first step spans 1/100 of the box, where curvature is zero."""
    generator = np.random.default_rng([0, 0xC1])
    low, high = objective.domain.T
    slopes = np.linalg.norm(
        objective.gradient(low + (high - low) * generator.random((_SAMPLES, objective.dim))), axis=-1
    )
    slopes = slopes[np.isfinite(slopes) & (slopes > 0)]
    return shortest / (100 * float(np.median(slopes))) if slopes.size else 1.0


# The least rate of "auto", as a share of its first, for formulas whose gradient may jump.
KINKED_LEAST = 0.1


def make_rule(
    rate: LearningRate, adaptive: bool, kinked: bool, xp: ModuleType
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `init(x, g)` and `rate(η, k, n, x, g, memory)` of the rule, on one point, written with the
    array module xp.

    adaptive: whether "auto" may follow the curvature along the way (gd) or keeps η; kinked:
    whether a formula's gradient might jump, which "auto" would take for an infinite curvature.
    """
    if rate.kind == "auto" and adaptive:
        return _follow_curvature(KINKED_LEAST if kinked else 0.0, xp)
    formulas: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
        "fixed": lambda eta, k, n, g: eta,
        "auto": lambda eta, k, n, g: eta,
        "time": lambda eta, k, n, g: eta * (1 - (k + 1) / n),
        "gradient": lambda eta, k, n, g: eta * xp.sqrt(sum(c * c for c in g)),
        "cosine": lambda eta, k, n, g: eta * (1 + xp.cos(xp.pi * k / n)) / 2,
        "exponential": lambda eta, k, n, g: eta * xp.asarray(rate.decay, eta.dtype) ** k,
        "schedule": lambda eta, k, n, g: xp.asarray(_call(rate.schedule, k), eta.dtype),
    }
    formula = formulas[rate.kind]
    return (lambda x, g: ()), (lambda eta, k, n, x, g, memory: (formula(eta, k, n, g), ()))


def _call(schedule: Callable[[Any], Any] | None, k: Any) -> Any:
    assert schedule is not None
    return schedule(k)


def _follow_curvature(least: float, xp: ModuleType) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def init(x: tuple[Any, ...], g: tuple[Any, ...]) -> Any:
        zero = xp.zeros_like(x[0])
        return x, g, zero, zero

    def rate(eta: Any, k: Any, n: Any, x: Any, g: Any, memory: Any) -> tuple[Any, Any]:
        old_x, old_g, last, ratio = memory
        moved = xp.sqrt(sum((a - b) ** 2 for a, b in zip(x, old_x, strict=True)))
        turned = xp.sqrt(sum((a - b) ** 2 for a, b in zip(g, old_g, strict=True)))
        by_curvature = xp.where(turned > 0, moved / (2 * turned), xp.inf)
        new = xp.maximum(xp.minimum(xp.sqrt(1 + ratio) * last, by_curvature), least * eta)
        new = xp.where((k == 0) | (moved == 0), xp.where(k == 0, eta, last), new)
        new_ratio = xp.where(k == 0, 0.0, new / xp.where(last > 0, last, 1.0))
        return new, (x, g, new, new_ratio)

    return init, rate
