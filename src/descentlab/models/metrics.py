"""How good one run's outputs are: accuracy, r², mean squared and mean absolute error.

The functions take NumPy or JAX arrays and return a scalar of the same kind, so they work inside compiled code
and under vmap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from descentlab.errors import InputError

Metric = Callable[[Any, Any], Any]


def metrics_for(loss: Any, targets: ArrayLike) -> dict[str, Metric]:
    """Return the metrics that suit a loss and its targets, by name: functions of (outputs, targets).

    loss: its name, such as "CrossEntropyLoss" or "cross_entropy", or the PyTorch module or function itself.
    Binary cross entropy of logits is judged at 0, of probabilities at ½, a margin loss by its sign; cross
    entropy, and any loss not made for regression with integer targets, by the largest output; all else is regression.

    >>> list(metrics_for("BCEWithLogitsLoss", [0.0, 1.0])), list(metrics_for("MSELoss", [0.5, 1.0]))
    (['accuracy'], ['r2', 'mean_squared_error', 'mean_absolute_error'])
    """
    name = name_of(loss)
    if name in ("bcewithlogits", "binarycrossentropywithlogits"):
        return {"accuracy": lambda outputs, targets: binary_accuracy(outputs, targets, 0.0)}
    if name in ("bce", "binarycrossentropy"):
        return {"accuracy": lambda outputs, targets: binary_accuracy(outputs, targets, 0.5)}
    if name == "softmargin":
        return {"accuracy": lambda outputs, targets: ((outputs > 0) == (targets > 0)).mean()}
    regression = name in ("mse", "l1", "smoothl1", "huber")
    whole = not np.issubdtype(np.asarray(targets).dtype, np.inexact)
    if (whole and not regression) or name in ("crossentropy", "nll", "multimargin"):
        return {"accuracy": accuracy}
    return {"r2": r2, "mean_squared_error": mean_squared_error, "mean_absolute_error": mean_absolute_error}


def name_of(loss: Any) -> str:
    """Return the loss's name without case, underscores and 'loss': BCELoss and binary_cross_entropy stay apart."""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return name.lower().replace("_", "").removesuffix("loss")


def accuracy(outputs: Any, targets: Any) -> Any:
    """Return the share of samples whose largest output is the target's class.

    outputs (n, classes) or (n, classes, …); targets: classes (n, …), or probabilities shaped as outputs,
    of which the largest counts. Of equal outputs the first counts. Raises InputError for other shapes.

    >>> float(accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]), np.array([0, 1, 1]))).__round__(4)
    0.6667
    """
    axis = min(outputs.ndim - 1, 1)
    indices = outputs.shape[:axis] + outputs.shape[axis + 1 :]
    shares = targets.shape == outputs.shape and targets.dtype.kind == "f"
    if not (shares or targets.shape == indices) or outputs.shape[axis] < 2:
        raise InputError(
            "Accuracy takes outputs (n, classes), two classes at least, and targets (n,) or (n, classes), but the "
            f"shapes are {outputs.shape} and {targets.shape}."
        )
    wanted = targets.argmax(axis) if shares else targets
    return (outputs.argmax(axis) == wanted).mean()


def binary_accuracy(outputs: Any, targets: Any, threshold: float) -> Any:
    """Return the share of outputs above the threshold exactly where the target is above ½.

    outputs, targets: shaped alike. An output at the threshold counts as the class 0.

    >>> float(binary_accuracy(np.array([-1.0, 2.0, 3.0, 0.0]), np.array([0, 1, 0, 0]), 0.0))
    0.75
    """
    return ((outputs > threshold) == (targets > 0.5)).mean()


def r2(outputs: Any, targets: Any) -> Any:
    """Return 1 − Σ(t − o)² / Σ(t − t̄)², the mean t̄ of each column by itself, the sums over all of them.

    1 is perfect, 0 as good as the mean; −∞ or NaN where the targets do not vary.

    >>> float(r2(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])))
    0.5
    """
    return 1 - ((targets - outputs) ** 2).sum() / ((targets - targets.mean(0)) ** 2).sum()


def mean_squared_error(outputs: Any, targets: Any) -> Any:
    """Return the mean of (o − t)² over all numbers.

    >>> float(mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    return ((outputs - targets) ** 2).mean()


def mean_absolute_error(outputs: Any, targets: Any) -> Any:
    """Return the mean of |o − t| over all numbers.

    >>> float(mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    1.0
    """
    return abs(outputs - targets).mean()
