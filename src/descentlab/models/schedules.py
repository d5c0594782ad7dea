"""Learning rates by the step, as in torch.optim.lr_scheduler and as in the lab's own texts.

A schedule is a table of numbers made once, so that compiled code may look them up, or take them as an argument
and never be compiled again for other numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError

Array = NDArray[np.float64]

# What each kind's numbers after the learning rate mean; a number without a default must be given.
KINDS: dict[str, dict[str, float | None]] = {
    "time": {},
    "step": {"step_size": None, "gamma": 0.1},
    "exponential": {"gamma": 0.999},
    "cosine": {"T_max": math.nan, "eta_min": 0.0},
    "linear": {"start_factor": 1 / 3, "end_factor": 1.0, "total_iters": 5},
    "onecycle": {"total_steps": math.nan},
}
# The names of torch.optim.lr_scheduler.
SCHEDULERS = {
    "steplr": "step",
    "exponentiallr": "exponential",
    "cosineannealinglr": "cosine",
    "linearlr": "linear",
    "onecyclelr": "onecycle",
}


@dataclass(frozen=True, eq=False)
class Schedule:
    """The learning rate of every step: rates (steps,). Called with a step, traced or not, it returns that rate."""

    rates: Array
    label: str

    def __call__(self, step: Any) -> Any:
        """Return the rate at `step`; the last one beyond the end."""
        import jax.numpy as jnp

        return jnp.take(jnp.asarray(self.rates), step, mode="clip")


def schedule(spec: float | str | tuple[Any, ...] | Callable[[Any], Any] | Schedule, steps: int) -> Schedule:
    """Return the learning rate of each of `steps` updates, k = 0 … steps − 1.

    spec: a number; a function of k; or a kind with its numbers, as a tuple ("step", 0.1, 30, 0.5) or a text
    "step:0.1:30:0.5". η is the first number; the others have torch.optim.lr_scheduler's names, order and
    defaults, and k counts updates:

    - time:η – η(1 − (k+1)/n), the course's own, to zero at the last of n steps
    - step:η:step_size:gamma (StepLR) – η gamma^⌊k/step_size⌋
    - exponential:η:gamma (ExponentialLR) – η gamma^k; gamma is 0.999 unless given
    - cosine:η:T_max:eta_min (CosineAnnealingLR) – T_max is n unless given
    - linear:η:start_factor:end_factor:total_iters (LinearLR)
    - onecycle:η:total_steps (OneCycleLR) – η is the largest rate; total_steps is n unless given; the momentum stays

    Raises InputError for an unknown kind, numbers that do not fit, or a rate that is negative or not finite.

    >>> schedule("step:0.1:2:0.5", 5).rates.tolist()
    [0.1, 0.1, 0.05, 0.05, 0.025]
    """
    if isinstance(spec, Schedule):
        return spec
    if callable(spec):
        return Schedule(_checked(_of_function(spec, steps), "schedule"), "schedule")
    label = ":".join(f"{part}" for part in spec) if isinstance(spec, tuple) else str(spec)
    kind, base, numbers = _read(spec, label)
    k = np.arange(steps, dtype=np.float64)
    return Schedule(_checked(_rates(kind, base, numbers, k, steps), label), label)


def _read(spec: Any, label: str) -> tuple[str, float, dict[str, float]]:
    """Return the kind, η and the other numbers by name; NaN for those that follow from the number of steps."""
    parts = list(spec) if isinstance(spec, tuple) else str(spec).split(":")
    if len(parts) == 1:
        return "fixed", _number(parts[0], "learning rate"), {}
    given = str(parts[0]).strip().lower()
    kind = SCHEDULERS.get(given, given)
    if kind not in KINDS:
        raise InputError(
            f"Unknown learning rate '{label[:60]}'. Give a number, a function of the step, or one of "
            f"{', '.join(f'{name}:0.1' for name in KINDS if name != 'step')}, step:0.1:30."
        )
    names = KINDS[kind]
    if len(parts) - 2 > len(names):
        raise InputError(f"'{label[:60]}' has too many numbers: {kind} takes {', '.join(['η', *names])}.")
    base = _number(parts[1], "learning rate")
    numbers = {name: _number(part, name) for name, part in zip(names, parts[2:], strict=False)}
    for name, default in names.items():
        if name not in numbers and default is None:
            raise InputError(f"'{label[:60]}' lacks its {name}: {kind} takes {', '.join(['η', *names])}.")
    return kind, base, {name: numbers.get(name, default) for name, default in names.items()}  # type: ignore[misc]


def _number(given: Any, what: str) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise InputError(f"The {what} must be a number of at least 0, but it is {str(given)[:60]!r}.")
    return number


def _rates(kind: str, base: float, given: dict[str, float], k: Array, steps: int) -> Array:
    # What is not given follows from the number of steps.
    p = {name: float(steps) if math.isnan(value) else value for name, value in given.items()}
    for name in ("step_size", "T_max", "total_iters"):
        if name in p and p[name] < 1:
            raise InputError(f"{kind}'s {name} must be at least 1, but it is {p[name]:g}.")
    if kind == "time":
        return base * (1 - (k + 1) / steps)
    if kind == "step":
        return base * p["gamma"] ** np.floor(k / p["step_size"])
    if kind == "exponential":
        return base * p["gamma"] ** k
    if kind == "cosine":
        return p["eta_min"] + (base - p["eta_min"]) * (1 + np.cos(math.pi * k / p["T_max"])) / 2
    if kind == "linear":
        share = np.minimum(k, p["total_iters"]) / p["total_iters"]
        return base * (p["start_factor"] + (p["end_factor"] - p["start_factor"]) * share)
    if kind == "onecycle":
        return _one_cycle(base, p["total_steps"], k)
    return np.full(len(k), base)


# OneCycleLR's own defaults (Smith & Topin 2018): the share of steps spent rising, and how far below the top it
# starts and ends.
RISING, START_BELOW, END_BELOW = 0.3, 25.0, 1e4


def _one_cycle(top: float, total: float, k: Array) -> Array:
    if total < max(len(k), 4):
        raise InputError(
            f"onecycle needs at least 4 steps, and as many as are trained, but it has {total:g}."
        )
    summit, end = RISING * total - 1, total - 1
    start = top / START_BELOW
    last = start / END_BELOW

    def between(a: float, b: float, share: Array) -> Array:
        return b + (a - b) / 2 * (1 + np.cos(math.pi * share))

    return np.where(
        k <= summit, between(start, top, k / summit), between(top, last, (k - summit) / (end - summit))
    )


def _of_function(function: Callable[[Any], Any], steps: int) -> Array:
    """Ask a function for the rate of every step: all at once if JAX can trace it, else one by one."""
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        try:
            rates: Any = jax.vmap(function)(jnp.arange(steps))
        except Exception:  # it may branch on the step, or use math or NumPy
            rates = [function(step) for step in range(steps)]
        try:
            return np.asarray(rates, np.float64).reshape(steps)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"A schedule takes the step's number and returns one real number: {error}."
            ) from error


def _checked(rates: Array, label: str) -> Array:
    wrong = ~(np.isfinite(rates) & (rates >= 0))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise InputError(
            f"The learning rate '{label[:60]}' is {rates[k]:g} at step {k}; it must be finite and ≥ 0."
        )
    return rates
