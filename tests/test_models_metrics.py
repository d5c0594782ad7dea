"""Metrics against closed forms, for NumPy and for JAX arrays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from descentlab.errors import InputError
from descentlab.models.metrics import (
    accuracy,
    binary_accuracy,
    mean_absolute_error,
    mean_squared_error,
    metrics_for,
    r2,
)

KINDS = pytest.mark.parametrize("array", [np.asarray, jnp.asarray], ids=["numpy", "jax"])


@KINDS
def test_accuracy_counts_the_largest_output(array: Any) -> None:
    outputs = array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5], [-2.0, -1.0]])
    assert float(accuracy(outputs, array([1, 0, 0, 1]))) == 1.0  # the first of equals
    assert float(accuracy(outputs, array([1, 0, 1, 0]))) == 0.5
    shares = array([[0.3, 0.7], [0.4, 0.6], [0.9, 0.1], [0.0, 1.0]])
    assert float(accuracy(outputs, shares)) == 0.75
    pictures = array(np.arange(12.0).reshape(1, 3, 4) * np.array([1, -1, 1])[:, None])
    assert float(accuracy(pictures, array([[2, 2, 0, 2]]))) == 0.75
    assert float(accuracy(array([0.0, 3.0, 1.0]), array(1))) == 1.0


@KINDS
def test_binary_accuracy_at_its_threshold(array: Any) -> None:
    bits = array([0.0, 1.0, 1.0, 0.0])
    assert float(binary_accuracy(array([-1.0, 1.0, -0.1, 0.0]), bits, 0.0)) == 0.75
    assert float(binary_accuracy(array([0.4, 0.6, 0.9, 0.5]), bits, 0.5)) == 1.0


@KINDS
def test_regression_metrics(array: Any) -> None:
    targets = array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    assert float(r2(targets, targets)) == 1.0
    assert float(r2(0 * targets + array([2.0, 20.0]), targets)) == 0.0
    # Errors of 1 in every entry: 6 over 2 + 200.
    assert float(r2(targets + 1, targets)) == pytest.approx(1 - 6 / 202, rel=1e-6)
    assert float(mean_squared_error(targets + array([1.0, 3.0]), targets)) == 5.0
    assert float(mean_absolute_error(targets - array([1.0, 3.0]), targets)) == 2.0
    # 1/8 and 1/4: the stuck levels of XOR with outputs of ½ on all, and on half of the samples, with ½ MSE.
    xor = array([0.0, 1.0, 1.0, 0.0])
    assert float(mean_squared_error(array([0.5] * 4), xor)) / 2 == 1 / 8


def test_metrics_work_under_vmap_and_jit() -> None:
    outputs = np.random.default_rng(0).normal(size=(5, 20, 3))
    targets = np.random.default_rng(1).integers(3, size=20)
    runs = jax.jit(jax.vmap(accuracy, (0, None)))(outputs, targets)
    np.testing.assert_allclose(runs, [accuracy(one, targets) for one in outputs], rtol=1e-6)


REGRESSION = ["r2", "mean_squared_error", "mean_absolute_error"]


@pytest.mark.parametrize(
    ("loss", "targets", "names"),
    [
        ("CrossEntropyLoss", [0, 1], ["accuracy"]),
        (nn.CrossEntropyLoss(), [[0.2, 0.8]], ["accuracy"]),
        (torch.nn.functional.cross_entropy, torch.tensor([0, 1]), ["accuracy"]),
        (nn.NLLLoss(), [0, 1], ["accuracy"]),
        (nn.BCELoss(), [0.0, 1.0], ["accuracy"]),
        (nn.SoftMarginLoss(), [-1.0, 1.0], ["accuracy"]),
        (lambda outputs, targets: 0, [0, 1], ["accuracy"]),
        (lambda outputs, targets: 0, [0.0, 1.0], REGRESSION),
        ("mse_loss", [0, 1], REGRESSION),
        (nn.HuberLoss(), [0.5, 1.0], REGRESSION),
    ],
)
def test_metrics_are_chosen_by_loss_and_targets(loss: Any, targets: Any, names: list[str]) -> None:
    assert list(metrics_for(loss, targets)) == names


def test_binary_losses_are_judged_at_their_own_threshold() -> None:
    outputs, bits = np.array([0.2, 0.7, 0.4, 0.9]), np.array([0.0, 1.0, 1.0, 1.0])
    for loss, expected in {
        nn.BCELoss(): 0.75, "binary_cross_entropy": 0.75, nn.BCEWithLogitsLoss(): 0.75,
        "binary_cross_entropy_with_logits": 0.75,
    }.items():  # fmt: skip
        assert float(metrics_for(loss, bits)["accuracy"](outputs, bits)) == expected, loss
    # 0.4 is a 0 as a probability and a 1 as a logit; 0.2 the other way round is wrong as a logit.
    assert float(metrics_for("BCELoss", bits)["accuracy"](outputs[2:3], bits[2:3])) == 0
    assert float(metrics_for("BCEWithLogitsLoss", bits)["accuracy"](outputs[2:3], bits[2:3])) == 1
    margins = metrics_for("SoftMarginLoss", [1.0])["accuracy"]
    assert float(margins(np.array([-0.3, 0.1, 2.0]), np.array([-1.0, -1.0, 1.0]))) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("outputs", "targets"), [((4, 3), (5,)), ((4, 1), (4,)), ((4,), (4,)), ((4, 3), (4, 2))]
)
def test_accuracy_of_shapes_that_do_not_fit(outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="two classes at least"):
        accuracy(np.zeros(outputs), np.zeros(targets, int))
