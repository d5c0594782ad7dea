"""The rules of torch.optim's optimizers, one row each.

A rule has two parts: `scalars`, what depends on the step alone, and `move`, what happens to every number.
In `move`, s are the step's scalars, x is the parameter, g its gradient, m what is remembered of it.

To add an optimizer, add a row to `TABLE` – and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from descentlab.errors import InputError

# By name: a step's scalars, what is remembered of a parameter, choices.
Numbers = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """One setting: its default, what torch.optim allows, in words and as a test. A choice is True or False."""

    name: str
    default: Any
    allowed: str = "at least 0"
    test: Callable[[Any], bool] = lambda value: value >= 0

    @property
    def is_choice(self) -> bool:
        return isinstance(self.default, bool)

    def check(self, value: Any, optimizer: str) -> Any:
        """Return `value` as floats or a bool, or raise InputError if torch.optim would refuse it."""
        try:
            settled = self._settled(value)
            fine = self.test(settled)
        except (TypeError, ValueError):
            fine = False
        if not fine:
            raise InputError(f"{optimizer}'s {self.name} must be {self.allowed}, but it is {value!r}.")
        return settled

    def _settled(self, value: Any) -> Any:
        if self.is_choice:
            if not isinstance(value, bool):
                raise TypeError
            return value
        if isinstance(self.default, tuple):
            one, other = (float(part) for part in value)
            return one, other
        number = float(value)
        if math.isnan(number):
            raise ValueError
        return number


def _any(name: str, default: Any) -> Setting:
    return Setting(
        name, default, "two numbers" if isinstance(default, tuple) else "a number", lambda value: True
    )


def choice(name: str) -> Setting:
    return Setting(name, False, "True or False", lambda value: True)


_BETAS = Setting(
    "betas",
    (0.9, 0.999),
    "two numbers from 0 up to, but not including, 1",
    lambda pair: all(0 <= beta < 1 for beta in pair),
)
_EPS = Setting("eps", 1e-8)
_DECAY = Setting("weight_decay", 0.0)
_DECOUPLED = choice("decoupled_weight_decay")
_AMSGRAD = choice("amsgrad")


# Rules


def _decayed(choices: Numbers, s: Numbers, x: Any, g: Any) -> tuple[Any, Any]:
    """Apply weight decay: to the parameter itself if decoupled, else to the gradient."""
    if choices.get("decoupled_weight_decay"):
        return x * s["shrink"], g
    return x, g + s["weight_decay"] * x


def _adam_scalars(choices: Numbers, p: Any, t: Any, rate: Any, numbers: Numbers) -> tuple[Numbers, Numbers]:
    import jax.numpy as jnp

    b1, b2 = p["betas"]
    scalars = {
        "b1": b1, "rest1": 1 - b1, "b2": b2, "rest2": 1 - b2, "eps": p["eps"], "weight_decay": p["weight_decay"],
        "shrink": 1 - rate * p["weight_decay"], "size": rate / (1 - b1**t), "root": jnp.sqrt(1 - b2**t),
    }  # fmt: skip
    return scalars, numbers


def _moments(s: Numbers, g: Any, m: Numbers) -> Numbers:
    return {
        "mean": m["mean"] + s["rest1"] * (g - m["mean"]),
        "square": s["b2"] * m["square"] + s["rest2"] * g * g,
    }


def _adam(choices: Numbers, s: Numbers, x: Any, g: Any, m: Numbers) -> tuple[Any, Numbers]:
    import jax.numpy as jnp

    x, g = _decayed(choices, s, x, g)
    kept = _moments(s, g, m)
    square = kept["square"]
    if choices["amsgrad"]:
        square = kept["largest"] = jnp.maximum(m["largest"], square)
    return x - s["size"] * kept["mean"] / (jnp.sqrt(square) / s["root"] + s["eps"]), kept


def _adam_memory(choices: Numbers) -> dict[str, str]:
    return {"mean": "", "square": ""} | ({"largest": ""} if choices.get("amsgrad") else {})


def _nadam_scalars(choices: Numbers, p: Any, t: Any, rate: Any, numbers: Numbers) -> tuple[Numbers, Numbers]:
    scalars, _ = _adam_scalars(choices, p, t, rate, numbers)
    b1, decay = p["betas"][0], p["momentum_decay"]
    now, after = (b1 * (1 - 0.5 * 0.96 ** (k * decay)) for k in (t, t + 1))
    product = numbers["product"] * now
    scalars |= {"by_slope": rate * (1 - now) / (1 - product), "by_mean": rate * after / (1 - product * after)}
    return scalars, {"product": product}


def _nadam(choices: Numbers, s: Numbers, x: Any, g: Any, m: Numbers) -> tuple[Any, Numbers]:
    import jax.numpy as jnp

    x, g = _decayed(choices, s, x, g)
    kept = _moments(s, g, m)
    below = jnp.sqrt(kept["square"]) / s["root"] + s["eps"]
    return x - s["by_slope"] * g / below - s["by_mean"] * kept["mean"] / below, kept


def _radam_scalars(choices: Numbers, p: Any, t: Any, rate: Any, numbers: Numbers) -> tuple[Numbers, Numbers]:
    import jax.numpy as jnp

    scalars, _ = _adam_scalars(choices, p, t, rate, numbers)
    b2 = p["betas"][1]
    longest = 2 / (1 - b2) - 1
    length = longest - 2 * t * b2**t / (1 - b2**t)
    ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    adapts = length > 5
    scalars |= {"adapts": adapts, "factor": scalars["root"] * jnp.sqrt(jnp.where(adapts, ratio, 1.0))}
    return scalars, numbers


def _radam(choices: Numbers, s: Numbers, x: Any, g: Any, m: Numbers) -> tuple[Any, Numbers]:
    import jax.numpy as jnp

    x, g = _decayed(choices, s, x, g)
    kept = _moments(s, g, m)
    # The root is taken as 1 where it is not used: the variance is too uncertain in the first steps.
    adapted = jnp.where(s["adapts"], s["factor"] / (jnp.sqrt(kept["square"]) + s["eps"]), 1)
    return x - s["size"] * kept["mean"] * adapted, kept


def _adamax(choices: Numbers, s: Numbers, x: Any, g: Any, m: Numbers) -> tuple[Any, Numbers]:
    import jax.numpy as jnp

    x, g = _decayed(choices, s, x, g)
    mean = m["mean"] + s["rest1"] * (g - m["mean"])
    largest = jnp.maximum(s["b2"] * m["largest"], jnp.abs(g) + s["eps"])
    return x - s["size"] * mean / largest, {"mean": mean, "largest": largest}


def _as_given(choices: Numbers, p: Any, t: Any, rate: Any, numbers: Numbers) -> tuple[Numbers, Numbers]:
    """Return the settings themselves and the learning rate."""
    return {**p, "rate": rate}, numbers


def _sgd_scalars(choices: Numbers, p: Any, t: Any, rate: Any, numbers: Numbers) -> tuple[Numbers, Numbers]:
    # The first step takes the gradient whole.
    import jax.numpy as jnp

    return {**p, "rate": rate, "share": jnp.where(t == 1, 1, 1 - p["dampening"])}, numbers


def _sgd(choices: Numbers, s: Numbers, x: Any, g: Any, m: Numbers) -> tuple[Any, Numbers]:
    _, g = _decayed(choices, s, x, g)
    if not choices["moves_on"]:
        return x - s["rate"] * g, {}
    velocity = s["momentum"] * m["velocity"] + s["share"] * g
    step = g + s["momentum"] * velocity if choices["nesterov"] else velocity
    return x - s["rate"] * step, {"velocity": velocity}


def _sgd_check(settings: Mapping[str, Any]) -> None:
    if settings["nesterov"] and (settings["momentum"] <= 0 or settings["dampening"] != 0):
        raise InputError("Nesterov's sgd needs a momentum above 0 and no dampening.")


def _adagrad_scalars(
    choices: Numbers, p: Any, t: Any, rate: Any, numbers: Numbers
) -> tuple[Numbers, Numbers]:
    return {**p, "rate": rate / (1 + (t - 1) * p["lr_decay"])}, numbers


def _adagrad(choices: Numbers, s: Numbers, x: Any, g: Any, m: Numbers) -> tuple[Any, Numbers]:
    import jax.numpy as jnp

    _, g = _decayed(choices, s, x, g)
    total = m["total"] + g * g
    return x - s["rate"] * g / (jnp.sqrt(total) + s["eps"]), {"total": total}


def _adadelta_scalars(
    choices: Numbers, p: Any, t: Any, rate: Any, numbers: Numbers
) -> tuple[Numbers, Numbers]:
    return {**p, "rate": rate, "rest": 1 - p["rho"]}, numbers


def _adadelta(choices: Numbers, s: Numbers, x: Any, g: Any, m: Numbers) -> tuple[Any, Numbers]:
    import jax.numpy as jnp

    _, g = _decayed(choices, s, x, g)
    square = s["rho"] * m["square"] + s["rest"] * g * g
    step = jnp.sqrt(m["steps"] + s["eps"]) / jnp.sqrt(square + s["eps"]) * g
    steps = s["rho"] * m["steps"] + s["rest"] * step * step
    return x - s["rate"] * step, {"square": square, "steps": steps}


def _rmsprop_scalars(
    choices: Numbers, p: Any, t: Any, rate: Any, numbers: Numbers
) -> tuple[Numbers, Numbers]:
    return {**p, "rate": rate, "rest": 1 - p["alpha"]}, numbers


def _rmsprop_memory(choices: Numbers) -> dict[str, str]:
    parts = {"square": True, "mean": choices["centered"], "velocity": choices["moves_on"]}
    return {part: "" for part, wanted in parts.items() if wanted}


def _rmsprop(choices: Numbers, s: Numbers, x: Any, g: Any, m: Numbers) -> tuple[Any, Numbers]:
    import jax.numpy as jnp

    _, g = _decayed(choices, s, x, g)
    kept = {"square": s["alpha"] * m["square"] + s["rest"] * g * g}
    spread = kept["square"]
    if choices["centered"]:
        kept["mean"] = m["mean"] + s["rest"] * (g - m["mean"])
        spread = spread - kept["mean"] ** 2
    step = g / (jnp.sqrt(spread) + s["eps"])
    if choices["moves_on"]:
        step = kept["velocity"] = s["momentum"] * m["velocity"] + step
    return x - s["rate"] * step, kept


def _rprop_scalars(choices: Numbers, p: Any, t: Any, rate: Any, numbers: Numbers) -> tuple[Numbers, Numbers]:
    (shrink, grow), (least, most) = p["etas"], p["step_sizes"]
    return {
        "shrink": shrink,
        "grow": grow,
        "least": least,
        "most": most,
        "rate": rate,
        "first": t == 1,
    }, numbers


def _rprop(choices: Numbers, s: Numbers, x: Any, g: Any, m: Numbers) -> tuple[Any, Numbers]:
    import jax.numpy as jnp

    same = g * m["last"]
    change = jnp.where(same > 0, s["grow"], jnp.where(same < 0, s["shrink"], 1))
    size = jnp.clip(jnp.where(s["first"], s["rate"], m["size"]) * change, s["least"], s["most"])
    g = jnp.where(same < 0, 0, g)
    return x - jnp.sign(g) * size, {"last": g, "size": size}


def _asgd_scalars(choices: Numbers, p: Any, t: Any, rate: Any, numbers: Numbers) -> tuple[Numbers, Numbers]:
    import jax.numpy as jnp

    now = jnp.where(t == 1, rate, numbers["rate"])
    share = jnp.where(t == 1, 1, numbers["share"])
    after = rate / (1 + p["lambd"] * rate * t) ** p["alpha"]
    scalars = {**p, "rate": now, "keep": 1 - p["lambd"] * now, "share": share}
    return scalars, {"rate": after, "share": 1 / jnp.maximum(1, t - p["t0"])}


def _asgd(choices: Numbers, s: Numbers, x: Any, g: Any, m: Numbers) -> tuple[Any, Numbers]:
    import jax.numpy as jnp

    _, g = _decayed(choices, s, x, g)
    x = s["keep"] * x - s["rate"] * g
    return x, {"average": jnp.where(s["share"] == 1, x, m["average"] + (x - m["average"]) * s["share"])}


def _always(*parts: str, **filled: str) -> Callable[[Numbers], dict[str, str]]:
    return lambda choices: {**dict.fromkeys(parts, ""), **filled}


@dataclass(frozen=True)
class Row:
    """One optimizer.

    learning_rate: torch.optim's default. memory(choices): what is remembered of each parameter, by name, and the
    setting it starts from ("" for 0). scalars(choices, settings, step, rate, numbers) → (scalars, numbers), the
    numbers being what is remembered besides; move(choices, scalars, x, g, memory) → (x, memory).
    also: a check of settings that belong together.
    """

    learning_rate: float
    settings: tuple[Setting, ...]
    memory: Callable[[Numbers], dict[str, str]]
    scalars: Callable[[Numbers, Any, Any, Any, Numbers], tuple[Numbers, Numbers]]
    move: Callable[[Numbers, Numbers, Any, Any, Numbers], tuple[Any, Numbers]]
    numbers: Mapping[str, float] = field(default_factory=dict)
    also: Callable[[Mapping[str, Any]], None] | None = None


_ADAM = (_BETAS, _EPS, _DECAY)

TABLE: Mapping[str, Row] = {
    "sgd": Row(
        1e-3,
        (Setting("momentum", 0.0), _any("dampening", 0.0), _DECAY, choice("nesterov")),
        lambda choices: {"velocity": ""} if choices["moves_on"] else {},
        _sgd_scalars,
        _sgd,
        also=_sgd_check,
    ),
    "adam": Row(1e-3, (*_ADAM, _AMSGRAD, _DECOUPLED), _adam_memory, _adam_scalars, _adam),
    "adamw": Row(
        1e-3,
        (_BETAS, _EPS, Setting("weight_decay", 1e-2), _AMSGRAD),
        _adam_memory,
        _adam_scalars,
        lambda choices, *others: _adam({**choices, "decoupled_weight_decay": True}, *others),
    ),
    "nadam": Row(
        2e-3,
        (*_ADAM, Setting("momentum_decay", 4e-3), _DECOUPLED),
        _adam_memory,
        _nadam_scalars,
        _nadam,
        {"product": 1.0},
    ),
    "radam": Row(1e-3, (*_ADAM, _DECOUPLED), _adam_memory, _radam_scalars, _radam),
    "adamax": Row(2e-3, _ADAM, _always("mean", "largest"), _adam_scalars, _adamax),
    "adagrad": Row(
        1e-2,
        (Setting("lr_decay", 0.0), _DECAY, Setting("initial_accumulator_value", 0.0), Setting("eps", 1e-10)),
        _always(total="initial_accumulator_value"),
        _adagrad_scalars,
        _adagrad,
    ),
    "adadelta": Row(
        1.0,
        (Setting("rho", 0.9, "from 0 to 1", lambda rho: 0 <= rho <= 1), Setting("eps", 1e-6), _DECAY),
        _always("square", "steps"),
        _adadelta_scalars,
        _adadelta,
    ),
    "rmsprop": Row(
        1e-2,
        (Setting("alpha", 0.99), _EPS, _DECAY, Setting("momentum", 0.0), choice("centered")),
        _rmsprop_memory,
        _rmsprop_scalars,
        _rmsprop,
    ),
    "rprop": Row(
        1e-2,
        (
            Setting(
                "etas",
                (0.5, 1.2),
                "two numbers, one between 0 and 1, the other above 1",
                lambda pair: 0 < pair[0] < 1 < pair[1],
            ),
            _any("step_sizes", (1e-6, 50.0)),
        ),
        _always("last", "size"),
        _rprop_scalars,
        _rprop,
    ),
    "asgd": Row(
        1e-2,
        (_any("lambd", 1e-4), _any("alpha", 0.75), _any("t0", 1e6), _DECAY),
        _always("average"),
        _asgd_scalars,
        _asgd,
        {"rate": 0.0, "share": 1.0},
    ),
}
