"""The anatomy of a step: what an optimizer remembers, and what it makes of a gradient.

The optimizer's own optax transformation is replayed over the gradients a descent met, and what it remembers
is read from its state, so that the page shows what really happened.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.objective import Objective
from descentlab.optimizers import ChosenOptimizer, choose
from descentlab.studio.checks import Ask
from descentlab.studio.replies import Reply, reply
from descentlab.studio.runs import race_of

Array = NDArray[np.float64]

# Fields of optax's states → the letters of our rules (optimizers.TABLE).
_LETTERS: Mapping[str, str] = {
    "trace": "m",
    "mu": "m",
    "nu": "s",
    "sum_of_squares": "s",
    "e_g": "s",
    "e_x": "t",
}
_OWN_LETTERS: Mapping[str, Mapping[str, str]] = {"adamax": {"nu": "u"}}
_PARAMETERS: Mapping[str, str] = {"beta1": "β₁", "beta2": "β₂", "epsilon": "ε", "weight_decay": "w"}
_DECAYS: Mapping[str, str] = {"momentum": "μ", "nesterov": "μ"}
# Which memories are corrected for their start at zero, by division by 1 − β^(k+1): letter → parameter.
_CORRECTED: Mapping[str, Mapping[str, str]] = {
    "adam": {"m": "beta1", "s": "beta2"},
    "adamw": {"m": "beta1", "s": "beta2"},
    "adamax": {"m": "beta1"},
}


def answer_anatomy(ask: Ask, own: Objective | None) -> Reply:
    """Take one descent apart, step by step."""
    race = race_of(ask, own)
    if len(race.starts) != 1 or len(race.calls) != 1:
        raise InputError("An anatomy is that of one start and one optimizer.")
    call = race.calls[0]
    optimizer = choose(call.settings["optimizer"], call.parameters)
    assert optimizer.row is not None
    run = race.run(call)
    taken = int(run.taken[0])
    x, rates = run.points[0, : taken + 1], run.learning_rates[0, :taken]
    g = race.f.gradient(x[:-1]) if taken else np.empty((0, race.f.dim))
    downhill = -g if race.ascent else g
    name = optimizer.row.name
    if optimizer.searches or not taken:
        memory: dict[str, Array] = {}
        # A line search chooses the whole step: it stands as the update, at rate one.
        updates, rates = np.diff(x, axis=0), np.ones(taken)
    else:
        updates, memory = replay(optimizer, downhill, x)
    powers = np.arange(1, taken + 1)[:, None]
    corrected = {
        normalize("NFC", letter + "\u0302"): memory[letter][1:] / (1 - optimizer.parameter(by) ** powers)
        for letter, by in _CORRECTED.get(name, {}).items()
        if letter in memory
    }
    empty = np.empty((0, taken, race.f.dim))
    return reply(
        {
            "optimizer": optimizer.label,
            "rule": normalize("NFC", optimizer.row.rule),
            "constants": {
                _PARAMETERS.get(p, _DECAYS.get(name, "ρ") if p == "decay" else p): v
                for p, v in optimizer.parameters
            },
            "memory_names": list(memory),
            "corrected_names": list(corrected),
            "ascent": race.ascent,
        },
        x=("f8", x),
        g=("f8", downhill),
        rates=("f8", rates),
        updates=("f8", updates),
        memory=("f8", np.stack(list(memory.values())) if memory else np.empty((0, taken + 1, race.f.dim))),
        corrected=("f8", np.stack(list(corrected.values())) if corrected else empty),
    )


def replay(optimizer: ChosenOptimizer, g: Array, x: Array) -> tuple[Array, dict[str, Array]]:
    """Return the updates u with x_{k+1} = x_k + η_k u_k, (step, dim), and the memory by letter, (step + 1, dim).

    g (step, dim): the gradients, downhill; x (step + 1, dim): the points.
    """
    import jax

    steps = len(g)
    length = 1 << max(steps - 1, 7).bit_length()  # few lengths are compiled
    padding = ((0, length - steps), (0, 0))
    with jax.enable_x64(True):
        before, updates = _replayed(optimizer.bare, length)(
            np.pad(g, padding), np.pad(x[:-1], padding), optimizer.values(np.float64)
        )
    letters = {**_LETTERS, **_OWN_LETTERS.get(optimizer.row.name if optimizer.row else "", {})}
    memory = {
        letters[name]: np.asarray(value)[: steps + 1] for name, value in _fields(before) if name in letters
    }
    return np.asarray(updates)[:steps], memory


@functools.lru_cache(64)
def _replayed(optimizer: ChosenOptimizer, length: int) -> Any:
    import jax
    import jax.numpy as jnp

    def run(g: Any, x: Any, values: Any) -> Any:
        transformation = optimizer.made(values)

        def step(state: Any, now: Any) -> Any:
            update, after = transformation.update(now[0], state, now[1])
            return after, (state, update)

        last, (states, updates) = jax.lax.scan(step, transformation.init(x[0]), (g, x))
        joined = jax.tree.map(lambda many, one: jnp.concatenate([many, one[None]]), states, last)
        return joined, updates

    return jax.jit(run)


def _fields(state: Any) -> Iterator[tuple[str, Any]]:
    """Yield the named arrays of nested optax states."""
    if hasattr(state, "_fields"):
        for name in state._fields:
            value = getattr(state, name)
            if hasattr(value, "shape"):
                yield name, value
            else:
                yield from _fields(value)
    elif isinstance(state, tuple):
        for part in state:
            yield from _fields(part)
