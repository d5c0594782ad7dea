"""PyTorch's optimizers and learning-rate schedules in JAX, step by step beside PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from descentlab.errors import InputError
from descentlab.models.optimizer_rules import TABLE
from descentlab.models.optimizers import make_optimizer, schedule

torch.set_num_threads(1)
STEPS = 200
CLASSES = {
    "sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam, "adamax": torch.optim.Adamax, "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta, "rmsprop": torch.optim.RMSprop, "rprop": torch.optim.Rprop,
    "asgd": torch.optim.ASGD,
}  # fmt: skip

# A small problem with curvature and coupling whose targets are drawn anew at every step, as by minibatches: at
# rest, rates divided by a vanishing gradient would blow rounding errors up. One weight has no gradient at all.
GENERATOR = np.random.default_rng(0)
MATRIX = GENERATOR.normal(size=(6, 6))
START = {"w": GENERATOR.normal(size=(2, 3)), "b": GENERATOR.normal(size=3)}
TARGETS = GENERATOR.normal(size=(STEPS, 6))


@pytest.fixture(autouse=True)
def doubles() -> Iterator[None]:
    """Let PyTorch keep its scalars (NAdam's product of momenta, ASGD's rates) in float64 too."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with jax.enable_x64(True):
        yield
    torch.set_default_dtype(before)


def loss_of(tools: Any, w: Any, b: Any, targets: Any, matrix: Any) -> Any:
    y = matrix @ (w.reshape(6) - targets)
    return (
        tools.sqrt(1 + y * y).sum()
        + ((b[:2] - targets[:2]) ** 2).sum() * (1 + tools.sin(w[0]).sum() ** 2) / 4
    )


def by_torch(make: Any, rates: Any, **settings: Any) -> list[dict[str, np.ndarray]]:
    weights = {name: torch.tensor(value, requires_grad=True) for name, value in START.items()}
    optimizer = make(list(weights.values()), lr=float(rates[0]), **settings)
    points = []
    for rate, targets in zip(rates, TARGETS, strict=False):
        optimizer.param_groups[0]["lr"] = float(rate)
        optimizer.zero_grad()
        loss_of(torch, **weights, targets=torch.tensor(targets), matrix=torch.tensor(MATRIX)).backward()
        optimizer.step()
        points.append({name: p.detach().numpy().copy() for name, p in weights.items()})
    return points


def ours(name: str, rates: Any, start: Any = START, **settings: Any) -> dict[str, np.ndarray]:
    optimizer = make_optimizer(name, **settings)

    @jax.jit
    def train(weights: Any, state: Any, rates: Any) -> Any:
        def step(now: Any, given: Any) -> Any:
            (weights, state), (rate, targets) = now, given
            slopes = jax.grad(lambda p: loss_of(jax.numpy, **p, targets=targets, matrix=MATRIX))(weights)
            now = optimizer.update(slopes, state, weights, rate)
            return now, now[0]

        return jax.lax.scan(step, (weights, state), (rates, TARGETS[: len(rates)]))[1]

    return {key: np.asarray(value) for key, value in train(start, optimizer.init(start), rates).items()}


CASES: list[tuple[str, float, dict[str, Any]]] = [
    ("sgd", 0.02, {}),
    ("sgd", 0.02, {"weight_decay": 0.1}),
    ("sgd", 0.01, {"momentum": 0.9}),
    ("sgd", 0.01, {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("sgd", 0.01, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("adam", 0.03, {}),
    ("adam", 0.03, {"betas": (0.7, 0.9), "eps": 1e-2, "weight_decay": 0.1}),
    ("adam", 0.03, {"amsgrad": True}),
    ("adam", 0.03, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("adamw", 0.03, {}),
    ("adamw", 0.03, {"weight_decay": 0.3, "amsgrad": True, "betas": (0.8, 0.95), "eps": 1e-3}),
    ("nadam", 0.03, {}),
    ("nadam", 0.03, {"momentum_decay": 0.1, "weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-2}),
    ("nadam", 0.03, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("radam", 0.03, {}),
    ("radam", 0.03, {"betas": (0.8, 0.95), "weight_decay": 0.1, "eps": 1e-4}),
    ("radam", 0.03, {"betas": (0.8, 0.5), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("adamax", 0.03, {}),
    ("adamax", 0.03, {"betas": (0.7, 0.9), "eps": 1e-2, "weight_decay": 0.1}),
    ("adagrad", 0.1, {}),
    ("adagrad", 0.1, {"lr_decay": 0.01, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("adadelta", 1.0, {}),
    ("adadelta", 0.5, {"rho": 0.5, "eps": 1e-3, "weight_decay": 0.1}),
    ("rmsprop", 0.01, {}),
    ("rmsprop", 0.01, {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    ("rmsprop", 0.005, {"momentum": 0.9}),
    ("rmsprop", 0.005, {"centered": True, "momentum": 0.5, "alpha": 0.9, "eps": 1e-2}),
    ("rprop", 0.01, {}),
    ("rprop", 0.01, {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.1)}),
    ("asgd", 0.02, {}),
    ("asgd", 0.02, {"lambd": 0.1, "alpha": 0.5, "t0": 50, "weight_decay": 0.1}),
]  # fmt: skip
# Each step rounds once, 1e-16; β^t, which JAX and Python round differently, costs 1 − β₂^t some 1e-13 at first.
CLOSE = 1e-11


@pytest.mark.parametrize(("name", "rate", "settings"), CASES, ids=lambda value: str(value))
def test_every_step_is_pytorchs(name: str, rate: float, settings: dict[str, Any]) -> None:
    rates = np.full(STEPS, rate)
    points = by_torch(CLASSES[name], rates, **settings)
    found = ours(name, rates, **settings)
    for key in START:
        expected = np.array([point[key] for point in points])
        np.testing.assert_allclose(found[key], expected, rtol=0, atol=CLOSE * np.abs(expected).max())
        assert np.abs(expected[-1] - START[key]).max() > 1e-3  # it moved


@pytest.mark.parametrize("name", CLASSES)
def test_a_rate_that_changes_at_every_step(name: str) -> None:
    rates = schedule("cosine:0.02", 50).rates
    points = by_torch(CLASSES[name], rates)
    found = ours(name, rates)
    for key in START:
        expected = np.array([point[key] for point in points])
        np.testing.assert_allclose(found[key], expected, rtol=0, atol=CLOSE * np.abs(expected).max())


@pytest.mark.parametrize("name", CLASSES)
def test_names_and_defaults_are_pytorchs(name: str) -> None:
    theirs = CLASSES[name]([torch.zeros(1, requires_grad=True)]).defaults
    optimizer = make_optimizer(name)
    assert optimizer.learning_rate == theirs["lr"]
    for setting, value in optimizer.settings:
        assert value == theirs[setting], setting
    left = set(theirs) - {"lr", *dict(optimizer.settings)}
    # AdamW is Adam with this set.
    assert left <= {"maximize", "foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay"}
    assert set(CLASSES) == set(TABLE)


@pytest.mark.parametrize("name", CLASSES)
def test_every_option_is_among_the_cases(name: str) -> None:
    tried = {setting for case, _, settings in CASES if case == name for setting in settings}
    assert tried == set(dict(make_optimizer(name).settings))


def test_the_average_of_asgd_is_pytorchs() -> None:
    optimizer = make_optimizer("asgd", lambd=0.01, t0=3)
    x, state = {"x": np.array([1.0, -2.0])}, None
    p = torch.tensor(x["x"], requires_grad=True)
    theirs = torch.optim.ASGD([p], lr=0.1, lambd=0.01, t0=3)
    state = optimizer.init(x)
    for _ in range(20):
        p.grad = p.detach().clone() ** 3
        x, state = optimizer.update({"x": x["x"] ** 3}, state, x, 0.1)
        theirs.step()
    np.testing.assert_allclose(
        np.asarray(state.memory["average"]["x"]), theirs.state[p]["ax"].numpy(), rtol=1e-12
    )


def test_float32_is_close_to_pytorchs_float32() -> None:
    """Scalars are float64 where JAX has it: 1 − 0.999 in float32 would be off by 5e−5."""
    start = np.array([1.0, -2.0, 0.5], np.float32)
    optimizer, p = make_optimizer("adam"), torch.tensor(start, requires_grad=True)
    theirs, x = torch.optim.Adam([p], lr=0.1), start
    state = optimizer.init(start)
    for _ in range(50):
        p.grad = p.detach().clone() * 3
        x, state = optimizer.update(x * 3, state, x, 0.1)
        theirs.step()
    assert x.dtype == np.float32
    # Some fifty steps of one rounding, 6e-8, each.
    np.testing.assert_allclose(np.asarray(x), p.detach().numpy(), rtol=0, atol=5e-6)


# Compiling


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sgd", [{"momentum": 0.9}, {"momentum": 0.5, "weight_decay": 0.1}]),
        ("adam", [{}, {"betas": (0.5, 0.9), "eps": 1e-3}]),
        ("rmsprop", [{}, {"alpha": 0.5}]),
    ],
)
def test_another_rate_or_setting_compiles_nothing_again(name: str, settings: list[dict[str, Any]]) -> None:
    traced = []

    def step(optimizer_update: Callable[..., Any], g: Any, state: Any, x: Any, rate: Any) -> Any:
        traced.append(name)
        return optimizer_update(g, state, x, rate)

    compiled = jax.jit(step, static_argnums=0)
    results = []
    for given in settings:
        for rate in (0.1, 0.2):
            optimizer = make_optimizer(name, **given)
            x = np.array([1.0, 2.0])
            results.append(np.asarray(compiled(optimizer.update, x, optimizer.init(x), x, rate)[0]).tolist())
    assert len(traced) == 1
    assert name != "sgd" or len({tuple(r) for r in results}) == 4
    assert (
        make_optimizer(name, **settings[0])
        == make_optimizer(name, **settings[0])
        != make_optimizer(name, **settings[1])
    )


def test_runs_may_have_rates_and_settings_of_their_own_under_vmap() -> None:
    starts = GENERATOR.normal(size=(3, 4))
    chosen = [make_optimizer("adam", betas=(b, 0.99)) for b in (0.0, 0.5, 0.9)]
    each = []
    for optimizer, x, rate in zip(chosen, starts, (0.1, 0.2, 0.3), strict=True):
        each.append(optimizer.update(x, optimizer.init(x), x, rate)[0])
    states = jax.tree.map(
        lambda *parts: np.stack(parts), *[o.init(x) for o, x in zip(chosen, starts, strict=True)]
    )
    together, _ = jax.vmap(chosen[0].update)(starts, states, starts, np.array([0.1, 0.2, 0.3]))
    np.testing.assert_allclose(together, each, rtol=1e-14)


# Wrong input


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("adm", {}, "Unknown optimizer 'adm'. Did you mean 'adam'"),
        ("lbfgs", {}, "line search"),
        ("sgd", {"momentun": 0.9}, "Did you mean 'momentum'"),
        ("adam", {"lr": 0.1}, "give it as learning_rate"),
        ("adam", {"betas": (0.9, 1.0)}, "betas must be two numbers.*but it is"),
        ("adam", {"betas": 0.9}, "betas must be two numbers"),
        ("adam", {"betas": (0.9, 0.99, 0.999)}, "betas must be two numbers"),
        ("adam", {"eps": -1e-8}, "eps must be at least 0"),
        ("adam", {"eps": "small"}, "eps must be at least 0"),
        ("adam", {"weight_decay": float("nan")}, "weight_decay must be at least 0"),
        ("adam", {"amsgrad": 1}, "amsgrad must be True or False"),
        ("sgd", {"nesterov": True}, "momentum above 0"),
        ("sgd", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "no dampening"),
        ("adadelta", {"rho": 1.1}, "rho must be from 0 to 1"),
        ("rprop", {"etas": (1.1, 1.2)}, "one between 0 and 1, the other above 1"),
        ("rmsprop", {"alpha": -1}, "alpha must be at least 0"),
    ],
)
def test_wrong_settings(name: str, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_optimizer(name, **settings)


# Schedules

SCHEDULES: list[tuple[Any, float, Callable[..., Any]]] = [
    ("step:0.1:7:0.5", 0.1, lambda o: lr_scheduler.StepLR(o, 7, 0.5)),
    (("StepLR", 0.1, 4), 0.1, lambda o: lr_scheduler.StepLR(o, 4)),
    ("exponential:0.3:0.9", 0.3, lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    ("cosine:0.1", 0.1, lambda o: lr_scheduler.CosineAnnealingLR(o, 40)),
    (("CosineAnnealingLR", 0.1, 9, 0.01), 0.1, lambda o: lr_scheduler.CosineAnnealingLR(o, 9, 0.01)),
    ("linear:0.1", 0.1, lambda o: lr_scheduler.LinearLR(o)),
    (("linear", 0.2, 0.5, 0.1, 30), 0.2, lambda o: lr_scheduler.LinearLR(o, 0.5, 0.1, 30)),
    ("onecycle:0.1", 0.1, lambda o: lr_scheduler.OneCycleLR(o, 0.1, 40, cycle_momentum=False)),
    (("OneCycleLR", 0.1, 55), 0.1, lambda o: lr_scheduler.OneCycleLR(o, 0.1, 55, cycle_momentum=False)),
    (0.25, 0.25, lambda o: lr_scheduler.LambdaLR(o, lambda k: 1.0)),
    (lambda k: 0.1 * 0.9 ** (k // 5), 0.1, lambda o: lr_scheduler.LambdaLR(o, lambda k: 0.9 ** (k // 5))),
    (lambda k: 0.1 if k < 8 else 0.01, 0.1, lambda o: lr_scheduler.MultiStepLR(o, [8], 0.1)),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "base", "make"), SCHEDULES)
def test_schedules_are_pytorchs(spec: Any, base: float, make: Callable[..., Any]) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base)
    scheduler = make(optimizer)
    theirs = []
    for _ in range(40):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    # PyTorch multiplies from step to step and so rounds up to forty times.
    np.testing.assert_allclose(schedule(spec, 40).rates, theirs, rtol=1e-12, atol=1e-17)


@pytest.mark.parametrize("text", ["time:0.1", "cosine:0.1", "exponential:0.1:0.99", "exponential:0.1", "0.3"])
def test_the_labs_own_texts_mean_what_they_mean_elsewhere(text: str) -> None:
    from descentlab.rates import make_rule, read_rate

    rate = read_rate(text)
    _, elsewhere = make_rule(rate, adaptive=False, kinked=False, xp=np)
    expected = [elsewhere(np.float64(rate.value), k, 20, (), (), ())[0] for k in range(20)]
    # At the last step of time:η both are a difference of nearly equal numbers.
    np.testing.assert_allclose(schedule(text, 20).rates, expected, rtol=1e-14, atol=1e-17)


def test_a_schedule_is_looked_up_inside_compiled_code() -> None:
    rates = schedule("step:0.1:2:0.5", 6)
    assert np.asarray(jax.jit(jax.vmap(rates))(np.arange(6))).tolist() == rates.rates.tolist()
    assert float(rates(99)) == rates.rates[-1]
    assert schedule(rates, 6) is rates


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("cosin:0.1", "Unknown learning rate 'cosin:0.1'"),
        ("auto", "must be a number"),
        ("gradient:0.1", "Unknown learning rate"),
        ("time", "must be a number"),
        (-0.1, "must be a number of at least 0"),
        ("step:0.1", "lacks its step_size"),
        ("time:0.1:2", "too many numbers"),
        ("step:0.1:0", "step_size must be at least 1"),
        ("onecycle:0.1:5", "as many as are trained"),
        (lambda k: -0.1, "is -0.1 at step 0"),
        (lambda k: float("nan"), "is nan at step 0"),
        (lambda k: "fast", "returns one real number"),
        ("exponential:0.1:1e200", "must be finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_wrong_schedules(spec: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        schedule(spec, 20)
