"""How runs ended: the same judgement by JAX and by torch.func, maxima, kinks, and classifiers that stall."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import descentlab as dl
from descentlab.models.endings_slopes import MOST_DENSE
from descentlab.models.retrain import retrain

torch.set_num_threads(1)

_GENERATOR = np.random.default_rng(0)
INPUTS = np.concatenate([_GENERATOR.normal(-1, 0.8, (24, 2)), _GENERATOR.normal(1, 0.8, (24, 2))])
LABELS = np.repeat([0, 1], 24)
LOSS = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))


class Ridge(torch.nn.Module):
    """Outputs with the weights beside them, so that a loss can keep these small: it has a minimum then."""

    def __init__(self, hidden: int = 0, branch: bool = False) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Linear(2, hidden or 2)])
        if hidden:
            self.layers.append(torch.nn.Linear(hidden, 2))
        self.branch = branch
        self.scale = torch.nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.branch and bool(x.sum() > 1e9):  # whoever traces this has no sum to look at
            x = -x
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.scale * self.layers[-1](x)


def squares(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return ((outputs - torch.nn.functional.one_hot(targets, 2)) ** 2).mean()


def judged(build: Any, loss: Any, engine: str, **settings: Any) -> dl.models.Ensemble:
    given = {"runs": 6, "steps": 400, "learning_rate": 0.03, "seed": 1, **settings}
    e = retrain(build, loss, (INPUTS, LABELS), engine=engine, **given)
    assert e.engine == ("jax" if engine == "jax" else "torch")
    return e


# The same by either engine


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "loss", "outcome"),
    [
        (lambda: torch.nn.Linear(2, 2).double(), torch.nn.MSELoss(), "minimum"),
        (lambda: torch.nn.Linear(2, 2), LOSS, "stalling"),
        (lambda: torch.nn.Sequential(torch.nn.Linear(2, 50), torch.nn.Tanh(), torch.nn.Linear(50, 2)), LOSS, None),
    ],
    ids=["minima", "class weights", "by Lanczos"],
)  # fmt: skip
def test_both_engines_judge_alike(build: Any, loss: Any, outcome: str | None) -> None:
    targets = np.stack([LABELS, 1.0 - LABELS], axis=1) if isinstance(loss, torch.nn.MSELoss) else LABELS
    settings: dict[str, Any] = {"runs": 6, "steps": 400, "learning_rate": 0.03, "seed": 1}
    one, other = (retrain(build, loss, (INPUTS, targets), engine=k, **settings) for k in ("jax", "torch"))
    other = replace(other, weights=one.weights, losses=one.losses, lengths=one.lengths)
    assert (one.engine, other.engine) == ("jax", "torch")
    assert one.outcomes == other.outcomes
    assert (one.size > MOST_DENSE) == (outcome is None)
    if outcome is not None:
        assert one.outcomes == {outcome: 6}
    np.testing.assert_array_equal(one.endings.outcomes, other.endings.outcomes)
    for name in ("limits", "slopes", "smallest", "largest", "moved", "grown"):
        a, b = (getattr(e.endings, name) for e in (one, other))
        # Runs that creep for 200 Newton steps let rounding grow.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-8)


@pytest.mark.slow
def test_linear_regression_by_torch_has_the_eigenvalues_of_least_squares() -> None:
    """The loss is mean((xW + b − y)²) over two outputs: its Hessian is XᵀX/n, X with a column of ones, twice over."""
    e = judged(lambda: Ridge(branch=True), squares, "auto", steps=4000)
    assert e.reason
    assert e.outcomes == {"minimum": 6}
    design = np.column_stack([INPUTS, np.ones(len(INPUTS))]).astype(np.float32).astype(float)
    values = np.linalg.eigvalsh(design.T @ design / len(design))
    np.testing.assert_allclose(e.endings.smallest, values[0], rtol=1e-9)
    np.testing.assert_allclose(e.endings.largest, values[-1], rtol=1e-9)
    fit = np.linalg.lstsq(design, np.eye(2)[LABELS], rcond=None)[0]
    lowest = ((design @ fit - np.eye(2)[LABELS]) ** 2).mean()
    np.testing.assert_allclose(e.endings.limits, lowest, rtol=1e-6)


def test_the_models_of_the_user_stay_as_they_were() -> None:
    e = judged(lambda: Ridge(4, branch=True), LOSS, "auto", steps=20)
    before = {name: p.detach().clone() for name, p in e.problem.module.named_parameters()}
    _ = e.endings
    for name, p in e.problem.module.named_parameters():
        assert p.dtype == torch.float32
        assert torch.equal(p, before[name])
    assert LOSS.weight is not None
    assert LOSS.weight.dtype == torch.float32


def test_attention_is_judged() -> None:
    """Its fast forms have first derivatives only."""

    class Attention(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = torch.nn.Linear(1, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen = self.mix(x[..., None])
            return torch.nn.functional.scaled_dot_product_attention(seen, seen, seen).mean(-2)[:, :2]

    e = judged(Attention, LOSS, "torch", runs=2, steps=5)
    assert np.isfinite(e.endings.smallest).all()


class _Single(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # A number of this precision only: what is computed in another fails.
        return self.inner(x) @ torch.eye(2, dtype=torch.float32)


def test_a_model_that_cannot_be_judged_says_why() -> None:
    e = judged(_Single, LOSS, "torch", runs=2, steps=5)
    assert np.isfinite(e.final_losses).all()
    with pytest.raises(dl.InputError, match=r"cannot be judged.*double precision \("):
        e.endings  # noqa: B018


# Maxima and kinks: one weight that begins where the gradient vanishes or is ±1 and a step is 1/4


def ended(loss: Any, begin: list[float], rate: float = 0.25, steps: int = 8, many: int = 1) -> dict[str, int]:
    """Repeated to `many` weights, so that Lanczos' method judges."""
    e = retrain(
        lambda key: jnp.tile(jnp.array(begin), many), lambda w: loss(w.reshape(many, -1)), runs=3,
        optimizer="sgd", learning_rate=rate, steps=steps,
    )  # fmt: skip
    return e.outcomes


BOTH = pytest.mark.parametrize("many", [1, MOST_DENSE + 1], ids=["dense", "by Lanczos"])


@BOTH
def test_a_maximum_is_no_saddle(many: int) -> None:
    assert ended(lambda w: jnp.cos(w).sum(), [0.0, 0.0], many=many) == {"maximum": 3}
    assert ended(lambda w: jnp.cos(w).sum() + (w[:, 0] ** 2).sum(), [0.0, 0.0], many=many) == {"saddle": 3}


def test_a_ridge_is_no_maximum() -> None:
    """−x² − y⁴ falls along x; along y second order cannot tell."""
    assert ended(lambda w: -(w[:, 0] ** 2 + w[:, 1] ** 4).sum(), [0.0, 0.0]) == {"saddle": 3}


@BOTH
def test_a_bend_is_a_kink(many: int) -> None:
    """From 3/4 by steps of 1/4 to exactly 0. There JAX calls the slope of |w| 1, that of a sum of ReLUs 0."""
    assert ended(lambda w: jnp.abs(w).sum(), [0.75, -0.75], steps=7, many=many) == {"kink": 3}
    assert ended(lambda w: (jax.nn.relu(w) + jax.nn.relu(-w)).sum(), [0.75, -0.75], steps=7, many=many) == {
        "kink": 3
    }


@BOTH
def test_a_bend_from_which_the_loss_falls_has_not_converged(many: int) -> None:
    assert ended(lambda w: -jax.nn.relu(w).sum(), [0.0], many=many) == {"not_converged": 3}
    assert ended(lambda w: -jnp.abs(w).sum(), [0.0, 0.0], many=many) == {"not_converged": 3}


def test_a_gradient_that_does_not_jump_is_no_kink() -> None:
    """relu(w)² bends only in its second derivative; at −1 relu(w) is flat, and its bend is elsewhere."""
    assert ended(lambda w: (jax.nn.relu(w) ** 2).sum(), [0.0]) == {"flat": 3}
    assert ended(lambda w: jax.nn.relu(w).sum() + (w**2).sum() * 0, [-1.0]) == {"flat": 3}
    assert ended(lambda w: 1e6 * (w**2).sum(), [1.0], rate=5e-7) == {"minimum": 3}


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_a_relu_on_its_bend(engine: str) -> None:
    """A unit without a bias whose weight is zero: PyTorch reports no slope, and the loss falls on one side."""

    def build() -> torch.nn.Module:
        model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.ReLU())
        torch.nn.init.zeros_(model[0].weight)
        return model

    data = np.array([[1.0], [2.0]], np.float32)
    given: dict[str, Any] = {"runs": 2, "steps": 5, "optimizer": "sgd", "engine": engine}
    assert retrain(build, torch.nn.MSELoss(), (data, data), **given).outcomes == {"not_converged": 2}
    # Where what is wanted lies on the other side, the loss rises on this one and is level on that.
    assert retrain(build, torch.nn.MSELoss(), (data, -data), **given).outcomes == {"kink": 2}


# Classifiers that stall


@pytest.mark.slow
def test_why_a_classifier_stalls_is_said_where_every_sample_is_classified() -> None:
    apart = np.where(LABELS[:, None] == 1, np.abs(INPUTS) + 0.2, -np.abs(INPUTS) - 0.2)

    def trained(loss: Any, inputs: Any) -> dl.models.Ensemble:
        return retrain(
            lambda: torch.nn.Linear(2, 2), loss, (inputs, LABELS), runs=4, steps=500, learning_rate=0.3
        )

    e = trained(torch.nn.CrossEntropyLoss(), apart)
    said = "4 of 4 runs classify every training sample: the loss then has no minimum"
    assert said not in e.sentence  # not judged yet
    assert e.outcomes == {"stalling": 4}
    assert (e.metrics["accuracy"] == 1).all()
    assert said in e.sentence
    some = replace(e, metrics={**e.metrics, "accuracy": np.array([1.0, 0.98, 0.5, 0.98])})
    _ = some.endings
    assert "1 of 4 runs classifies every" in some.sentence
    for other in (
        trained(torch.nn.CrossEntropyLoss(), INPUTS),
        trained(torch.nn.CrossEntropyLoss(label_smoothing=0.1), apart),
    ):
        _ = other.endings
        assert "every training sample" not in other.sentence
