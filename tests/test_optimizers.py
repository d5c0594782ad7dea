"""Every named optimizer, step by step, against closed forms, PyTorch and plain NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import optax
import pytest
import torch

import descentlab as dl
from descentlab.errors import InputError
from descentlab.landscapes import landscape
from descentlab.optimizers import BY_NAME, TABLE, choose, optimizers

torch.set_num_threads(1)
NAMES = [row.name for row in TABLE]
START = np.array([-1.3, 0.7])
STEPS = 60


def himmelblau(x: Any) -> Any:
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def ours(name: str, rate: float, steps: int = STEPS, **parameters: float) -> np.ndarray:
    run = dl.descend(
        landscape("himmelblau"), START, optimizer=name, learning_rate=rate, steps=steps, **parameters
    )
    return np.asarray(run.points[0])


def by_torch(make: Callable[..., torch.optim.Optimizer], rate: float, **settings: Any) -> np.ndarray:
    x = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = make([x], lr=rate, **settings)
    points = [START]
    for _ in range(STEPS):
        optimizer.zero_grad()
        himmelblau(x).backward()
        optimizer.step()
        points.append(x.detach().numpy().copy())
    return np.array(points)


# NAdam: PyTorch's schedule of β₁ is switched off by a huge momentum_decay. Adagrad and RMSprop:
# PyTorch adds ε after the root, optax inside it, so they are compared at ε = 0.
TORCH: dict[str, tuple[str, float, dict[str, float], Callable[..., Any], dict[str, Any]]] = {
    "gd": ("gd", 0.01, {}, torch.optim.SGD, {}),
    "momentum": ("momentum", 0.003, {}, torch.optim.SGD, {"momentum": 0.9}),
    "momentum 0.5": ("momentum", 0.003, {"decay": 0.5}, torch.optim.SGD, {"momentum": 0.5}),
    "nesterov": ("nesterov", 0.003, {}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (
        "adagrad",
        0.3,
        {"epsilon": 0},
        torch.optim.Adagrad,
        {"initial_accumulator_value": 0.1, "eps": 0},
    ),
    "adagrad initial": (
        "adagrad",
        0.3,
        {"epsilon": 0, "initial": 2.5},
        torch.optim.Adagrad,
        {"initial_accumulator_value": 2.5, "eps": 0},
    ),
    "rmsprop": ("rmsprop", 0.05, {"epsilon": 0}, torch.optim.RMSprop, {"alpha": 0.9, "eps": 0}),
    "rmsprop 0.99": (
        "rmsprop",
        0.05,
        {"epsilon": 0, "decay": 0.99},
        torch.optim.RMSprop,
        {"alpha": 0.99, "eps": 0},
    ),
    "adam": ("adam", 0.1, {}, torch.optim.Adam, {}),
    "adam betas": (
        "adam",
        0.1,
        {"beta1": 0.7, "beta2": 0.9, "epsilon": 1e-2},
        torch.optim.Adam,
        {"betas": (0.7, 0.9), "eps": 1e-2},
    ),
    "adamw": ("adamw", 0.1, {}, torch.optim.AdamW, {"weight_decay": 1e-4}),
    "adamw 0.1": ("adamw", 0.1, {"weight_decay": 0.1}, torch.optim.AdamW, {"weight_decay": 0.1}),
    "nadam": ("nadam", 0.1, {}, torch.optim.NAdam, {"momentum_decay": 1e9}),
    "adamax": ("adamax", 0.1, {}, torch.optim.Adamax, {}),
    "adadelta": ("adadelta", 1.0, {}, torch.optim.Adadelta, {"rho": 0.9, "eps": 1e-6}),
    "adadelta 0.5": (
        "adadelta",
        1.0,
        {"decay": 0.5, "epsilon": 1e-3},
        torch.optim.Adadelta,
        {"rho": 0.5, "eps": 1e-3},
    ),
}


@pytest.mark.parametrize("case", TORCH)
def test_every_step_is_pytorchs_step(case: str) -> None:
    name, rate, parameters, make, settings = TORCH[case]
    # PyTorch's NAdam keeps the product of its β₁ in float32.
    close = 1e-6 if name == "nadam" else 1e-9
    np.testing.assert_allclose(
        ours(name, rate, **parameters), by_torch(make, rate, **settings), rtol=close, atol=close
    )


def gradient(x: np.ndarray) -> np.ndarray:
    a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
    return np.array([4 * x[0] * a + 2 * b, 2 * a + 4 * x[1] * b])


Update = Callable[[np.ndarray, int], np.ndarray]


def plain(update: Update, rate: float) -> np.ndarray:
    points = [START]
    for k in range(STEPS):
        points.append(points[-1] - rate * update(gradient(points[-1]), k))
    return np.array(points)


def lion(beta1: float, beta2: float) -> Update:
    m = np.zeros(2)

    def update(g: np.ndarray, k: int) -> np.ndarray:
        nonlocal m
        step = np.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        return step

    return update


def amsgrad(beta1: float, beta2: float, epsilon: float) -> Update:
    m, s, largest = np.zeros(2), np.zeros(2), np.zeros(2)

    def update(g: np.ndarray, k: int) -> np.ndarray:
        nonlocal m, s, largest
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * g**2
        largest = np.maximum(largest, s / (1 - beta2 ** (k + 1)))
        return m / (1 - beta1 ** (k + 1)) / (np.sqrt(largest) + epsilon)

    return update


def with_epsilon_inside(decay: float, epsilon: float) -> Update:
    s = np.zeros(2)

    def update(g: np.ndarray, k: int) -> np.ndarray:
        nonlocal s
        s = decay * s + (1 - decay) * g**2
        return g / np.sqrt(s + epsilon)

    return update


def adagrad_with_epsilon_inside(initial: float, epsilon: float) -> Update:
    s = np.full(2, initial)

    def update(g: np.ndarray, k: int) -> np.ndarray:
        nonlocal s
        s = s + g**2
        return g / np.sqrt(s + epsilon)

    return update


@pytest.mark.parametrize(
    ("name", "rate", "parameters", "make"),
    [
        ("sign", 0.01, {}, lambda: lambda g, k: np.sign(g)),
        ("lion", 0.01, {}, lambda: lion(0.9, 0.99)),
        ("lion", 0.01, {"beta1": 0.5, "beta2": 0.8}, lambda: lion(0.5, 0.8)),
        ("amsgrad", 0.1, {}, lambda: amsgrad(0.9, 0.999, 1e-8)),
        ("amsgrad", 0.1, {"beta2": 0.5}, lambda: amsgrad(0.9, 0.5, 1e-8)),
        ("rmsprop", 0.05, {"epsilon": 1.0}, lambda: with_epsilon_inside(0.9, 1.0)),
        ("adagrad", 0.3, {"epsilon": 1.0}, lambda: adagrad_with_epsilon_inside(0.1, 1.0)),
    ],
)
def test_every_step_is_the_rule_of_the_table(
    name: str, rate: float, parameters: dict[str, float], make: Callable[[], Update]
) -> None:
    np.testing.assert_allclose(ours(name, rate, **parameters), plain(make(), rate), rtol=1e-9, atol=1e-9)


def test_every_optimizer_is_compared_with_an_outside_reference() -> None:
    # lbfgs has its own steps: tests/test_lbfgs.py compares them with dense BFGS in NumPy.
    here = {case[0] for case in TORCH.values()} | {"sign", "lion", "amsgrad", "lbfgs"}
    assert here == set(NAMES)


# A quadratic ½(x − c)ᵀH(x − c): x_k = c + (I − ηH)^k (x₀ − c).

H = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, -0.25], [0.5, -0.25, 1.0]])
C = np.array([0.5, -1.0, 2.0])
QUADRATIC = dl.formula(
    "(3*(x1-0.5)^2 + 2*(x2+1)^2 + (x3-2)^2)/2 + (x1-0.5)*(x2+1) + 0.5*(x1-0.5)*(x3-2) - 0.25*(x2+1)*(x3-2)"
)


def test_plain_descent_on_a_quadratic_is_its_closed_form() -> None:
    np.testing.assert_allclose(QUADRATIC.hessian(C), H, atol=1e-14)
    starts = np.random.default_rng(0).uniform(-5, 5, (5, 3))
    run = dl.descend(QUADRATIC, starts, learning_rate=0.1, steps=200)
    power = np.eye(3)
    for k in range(201):
        np.testing.assert_allclose(run.points[:, k], C + (starts - C) @ power, atol=2e-14 * (k + 5))
        power = power @ (np.eye(3) - 0.1 * H)


def test_momentum_on_a_quadratic_is_its_linear_recursion() -> None:
    start = np.array([4.0, 4.0, -3.0])
    run = dl.descend(QUADRATIC, start, "momentum", learning_rate=0.05, steps=150, decay=0.8)
    block = np.block([[np.eye(3) - 0.05 * H, -0.05 * 0.8 * np.eye(3)], [H, 0.8 * np.eye(3)]])
    state = np.concatenate([start - C, np.zeros(3)])
    for k in range(151):
        np.testing.assert_allclose(run.points[0, k], C + state[:3], atol=1e-12)
        state = block @ state


@pytest.mark.parametrize(
    ("name", "rate", "steps"),
    [
        ("gd", 0.1, 2000),
        ("momentum", 0.05, 2000),
        ("nesterov", 0.05, 2000),
        ("adagrad", 1.0, 3000),
        ("rmsprop", "cosine:0.1", 3000),
        ("adam", 0.1, 3000),
        ("adamw", 0.1, 3000),
        ("nadam", 0.1, 3000),
        ("amsgrad", 0.1, 3000),
        ("adamax", 0.1, 3000),
        ("adadelta", "cosine:10", 3000),
        ("lion", "time:0.02", 4000),
        ("sign", "time:0.02", 4000),
        ("lbfgs", 0.1, 40),
    ],
)
def test_every_optimizer_reaches_a_known_minimum(name: str, rate: Any, steps: int) -> None:
    run = dl.descend(QUADRATIC, [4.0, -4.0, 4.0], name, rate, steps)
    # Weight decay pulls adamw off the minimum; steps of fixed length end as long as the last rate.
    close = {"adamw": 1e-3, "lion": 1e-3, "sign": 1e-4, "rmsprop": 1e-3}.get(name, 1e-5)
    assert np.abs(run.ends[0] - C).max() < close


def test_the_list_above_is_complete() -> None:
    marks = [m for m in test_every_optimizer_reaches_a_known_minimum.pytestmark if m.name == "parametrize"]
    assert {case[0] for case in marks[0].args[1]} == set(NAMES)
    assert optimizers() == TABLE


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_reaches_the_steps_and_the_label(name: str) -> None:
    standard = ours(name, 0.1)
    for parameter in BY_NAME[name].parameters:
        other = 0.3 if parameter.high == 1 else 0.07
        changed = dl.descend(landscape("himmelblau"), START, name, 0.1, STEPS, **{parameter.name: other})
        assert not np.array_equal(changed.points[0], standard), parameter.name
        assert f"{parameter.name}={other:g}" in changed.optimizer


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_an_optimizer_is_there(name: str) -> None:
    row = BY_NAME[name]
    assert row.rule
    assert row.teaches.endswith(".")
    assert row.source
    assert choose(name.upper() + " ", {}).label == name


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gd", {"decay": 0.9}),
        ("momentum", {"decay": 1.0}),
        ("momentum", {"decay": -0.1}),
        ("momentum", {"decay": np.nan}),
        ("momentum", {"decay": "much"}),
        ("momentum", {"decay": None}),
        ("adam", {"beta1": 1.5}),
        ("adam", {"beta2": 1}),
        ("adam", {"epsilon": -1e-9}),
        ("adam", {"epsilon": np.inf}),
        ("adam", {"b1": 0.9}),
        ("adamw", {"weight_decay": -1}),
        ("adadelta", {"epsilon": 0}),
        ("sign", {"beta1": 0.9}),
    ],
)
def test_unusable_parameters_are_refused_by_name(name: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(parameters))):
        dl.descend(QUADRATIC, [0, 0, 0], name, 0.1, 2, **parameters)


def test_unknown_optimizers_are_refused_with_a_close_match_or_the_list() -> None:
    with pytest.raises(InputError, match="Did you mean 'adam'"):
        dl.descend(QUADRATIC, [0, 0, 0], "adm")
    with pytest.raises(InputError, match="adagrad"):
        dl.descend(QUADRATIC, [0, 0, 0], "zzz")
    for thing in (3, None, object(), ["adam"], optax.adam):
        with pytest.raises(InputError):
            dl.descend(QUADRATIC, [0, 0, 0], thing)  # type: ignore[arg-type]


# optax transformations of the user's own


def own_steps(transformation: optax.GradientTransformation, steps: int) -> np.ndarray:
    import jax

    with jax.enable_x64(True):
        x = jax.numpy.asarray(START)
        state = transformation.init(x)
        points = [START]
        for _ in range(steps):
            update, state = transformation.update(jax.numpy.asarray(gradient(np.asarray(x))), state, x)
            x = optax.apply_updates(x, update)
            points.append(np.asarray(x))
    return np.array(points)


def transformations() -> Iterator[Any]:
    yield pytest.param(optax.adam(0.05), id="adam")
    yield pytest.param(optax.chain(optax.clip(1.0), optax.sgd(0.02)), id="clip")
    yield pytest.param(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.02)), id="global norm")
    yield pytest.param(optax.sgd(optax.exponential_decay(0.01, 10, 0.9)), id="own schedule")


@pytest.mark.parametrize("transformation", list(transformations()))
def test_an_optax_transformation_is_used_as_it_is_at_rate_one(
    transformation: optax.GradientTransformation,
) -> None:
    run = dl.descend(landscape("himmelblau"), START, transformation, learning_rate=1, steps=30)
    np.testing.assert_allclose(run.points[0], own_steps(transformation, 30), rtol=1e-11, atol=1e-11)
    half = dl.descend(landscape("himmelblau"), START, transformation, learning_rate=0.5, steps=1)
    np.testing.assert_allclose(
        half.ends[0] - START, (own_steps(transformation, 1)[1] - START) / 2, rtol=1e-12
    )


@pytest.mark.parametrize("make", [optax.lbfgs, lambda: optax.polyak_sgd(max_learning_rate=0.02)])
def test_transformations_that_ask_for_the_value_get_it(make: Callable[[], Any]) -> None:
    run = dl.descend(landscape("himmelblau"), [[3.5, 1.0], START], make(), learning_rate=1, steps=400)
    assert run.values[:, -1].max() < 1e-12
    assert set(run.outcomes) == {"minimum"}


def test_lbfgs_ascends_too() -> None:
    f = dl.formula("3 - x^2 - 2*(y-1)^2 + x*y/2")
    run = dl.ascend(f, [2.0, -2.0], optax.lbfgs(), learning_rate=1, steps=50)
    down = dl.descend(-f, [2.0, -2.0], optax.lbfgs(), learning_rate=1, steps=50)
    assert list(run.outcomes) == ["maximum"]
    np.testing.assert_array_equal(run.points, down.points)


def test_an_optax_transformation_takes_no_parameters_here() -> None:
    with pytest.raises(InputError, match="when making it"):
        dl.descend(QUADRATIC, [0, 0, 0], optax.adam(0.1), beta1=0.9)
