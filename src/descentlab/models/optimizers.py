"""PyTorch's optimizers as pure rules on pytrees of JAX arrays, with torch.optim's formulas, names and defaults.

The values of settings travel in the state and the learning rate is an argument, so that no other value
compiles anything again. What depends on the step alone is computed in float64 where JAX has it, as in PyTorch,
and then cast to the parameters' type. The rules are rows of a table: see `optimizer_rules`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from descentlab.errors import InputError, unknown
from descentlab.models.optimizer_rules import TABLE, Row
from descentlab.models.schedules import Schedule, schedule

__all__ = ["Optimizer", "Schedule", "State", "make_optimizer", "schedule"]


class State(NamedTuple):
    """What an optimizer remembers: the steps done, the settings' values, its own numbers, and arrays by name,
    each shaped as the parameters."""

    step: Any
    settings: Mapping[str, Any]
    numbers: Mapping[str, Any]
    memory: Mapping[str, Any]


@dataclass(frozen=True)
class Optimizer:
    """An optimizer with its settings settled.

    init(parameters) → state; update(gradients, state, parameters, learning_rate) → (parameters, state).
    learning_rate: torch.optim's default. `update` is the same function for all values of the settings, which
    are part of the state: compiled once with the state as an argument, it serves them all. Under vmap every
    run may have settings of its own.
    """

    name: str
    settings: tuple[tuple[str, Any], ...]
    learning_rate: float
    init: Callable[[Any], State] = field(compare=False)
    update: Callable[[Any, State, Any, Any], tuple[Any, State]] = field(compare=False)


def make_optimizer(name: str, **settings: Any) -> Optimizer:
    """Return the optimizer of torch.optim of that name, in small letters, with torch.optim's settings.

    Raises InputError for an unknown name or setting, or a value that torch.optim refuses, and for "lbfgs".

    >>> import jax.numpy as jnp
    >>> optimizer = make_optimizer("sgd", momentum=0.9)
    >>> x = {"w": jnp.array([1.0, 2.0])}
    >>> x, state = optimizer.update({"w": jnp.array([1.0, 1.0])}, optimizer.init(x), x, 0.5)
    >>> x["w"].tolist()
    [0.5, 1.5]
    """
    key = name.strip().lower()
    if key == "lbfgs":
        raise InputError(
            "The optimizer 'lbfgs' cannot train many runs at once: each of its steps is a line search that asks for "
            "the loss as often as it likes, not one update of one gradient. Choose one of: "
            f"{', '.join(sorted(TABLE))}."
        )
    if key not in TABLE:
        raise unknown("optimizer", name, TABLE)
    row = TABLE[key]
    settled = _settle(key, row, settings)
    choices = tuple((s.name, value) for s, value in zip(row.settings, settled, strict=True) if s.is_choice)
    numbers = {s.name: value for s, value in zip(row.settings, settled, strict=True) if not s.is_choice}
    # Whether there is any momentum decides what is remembered, so it is a choice as well.
    choices += (("moves_on", bool(numbers.get("momentum", 0))),)
    return Optimizer(
        key,
        tuple((s.name, value) for s, value in zip(row.settings, settled, strict=True)),
        row.learning_rate,
        functools.partial(_init, key, choices, numbers),
        _update(key, choices),
    )


def _settle(name: str, row: Row, given: Mapping[str, Any]) -> list[Any]:
    known = [s.name for s in row.settings]
    for setting in given:
        if setting in ("lr", "learning_rate"):
            raise InputError(f"The learning rate is not a setting of {name}; give it as learning_rate.")
        if setting not in known:
            raise unknown(f"setting of {name}", setting, known)
    settled = [s.check(given.get(s.name, s.default), name) for s in row.settings]
    if row.also is not None:
        row.also(dict(zip(known, settled, strict=True)))
    return settled


def _init(
    name: str, choices: tuple[tuple[str, Any], ...], numbers: Mapping[str, Any], parameters: Any
) -> State:
    import jax
    import jax.numpy as jnp

    real = functools.partial(jnp.asarray, dtype=jax.dtypes.canonicalize_dtype(float))
    settings = jax.tree.map(real, dict(numbers))
    row = TABLE[name]
    fills = row.memory(dict(choices))
    memory = {
        part: jax.tree.map(lambda x, fill=fill: jnp.full_like(x, settings[fill] if fill else 0), parameters)
        for part, fill in fills.items()
    }
    return State(jnp.zeros((), jnp.int32), settings, {n: real(v) for n, v in row.numbers.items()}, memory)


@functools.cache
def _update(
    name: str, choices: tuple[tuple[str, Any], ...]
) -> Callable[[Any, State, Any, Any], tuple[Any, State]]:
    """Return the update: one function for a name and its choices, so that compiling it once is enough."""
    row, chosen = TABLE[name], dict(choices)

    def update(gradients: Any, state: State, parameters: Any, learning_rate: Any) -> tuple[Any, State]:
        import jax
        import jax.numpy as jnp

        real = jax.dtypes.canonicalize_dtype(float)
        rate = jnp.asarray(learning_rate, real)
        step = state.step + 1
        s, numbers = row.scalars(chosen, state.settings, step.astype(real), rate, dict(state.numbers))
        x, tree = jax.tree.flatten(parameters)
        structure: Any = tree
        g = structure.flatten_up_to(gradients)
        m = {part: structure.flatten_up_to(kept) for part, kept in state.memory.items()}
        moved = []
        for i, (one, slope) in enumerate(zip(x, g, strict=True)):
            cast = {k: v.astype(one.dtype) if v.dtype != bool else v for k, v in s.items()}
            moved.append(row.move(chosen, cast, one, slope, {part: leaves[i] for part, leaves in m.items()}))
        memory = {part: structure.unflatten([kept[part] for _, kept in moved]) for part in m}
        return structure.unflatten([one for one, _ in moved]), State(step, state.settings, numbers, memory)

    return update
