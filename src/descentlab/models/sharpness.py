"""Sharpness along training: the largest Hessian eigenvalue against 2/η, the "edge of stability"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.descent import MOST_STEPS, whole_number
from descentlab.errors import InputError
from descentlab.models import lanczos
from descentlab.models.curvature import checked
from descentlab.models.flat_loss import FlatLoss, LossFunction, opened
from descentlab.wording import short

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

# The residual, against the eigenvalue, at which it is exact enough: its own error is about this squared.
CLOSE = 1e-4
# Training counts as being at the edge while sharpness is this near 2/η or above. A tanh network of 1,415
# parameters overshot by 5, 13 and 37 % at three learning rates, and then stayed within 1.4 % of 2/η.
EDGE = 0.1


@dataclass(frozen=True, eq=False)
class Sharpness:
    """Sharpness along full-batch gradient descent.

    losses (step + 1,): before every step and after the last; steps (measured,): after how many steps the
    sharpness, the largest Hessian eigenvalue, was measured; errors: within that of each lies an eigenvalue.
    diverged_at: the step whose loss was not finite any more, None if there was none.
    """

    learning_rate: float
    losses: Float[np.ndarray, " step"]
    steps: Int[np.ndarray, " measured"]
    sharpness: Float[np.ndarray, " measured"]
    errors: Float[np.ndarray, " measured"]
    parameters: int
    diverged_at: int | None
    seed: int

    @property
    def limit(self) -> float:
        """2/η: on a quadratic, gradient descent diverges along directions sharper than this."""
        return 2 / self.learning_rate

    @property
    def at_edge(self) -> NDArray[np.bool_]:
        """Where, of the measured steps, the sharpness was within 10 % of 2/η or above."""
        return np.asarray(self.sharpness >= (1 - EDGE) * self.limit)

    @property
    def sentence(self) -> str:
        """What was seen, in plain words."""
        first, last, limit = self.sharpness[0], self.sharpness[-1], self.limit
        seen = f"Sharpness went from {short(first)} to {short(last)}, where 2/η is {short(limit)}"
        if self.diverged_at is not None:
            return f"{seen}; the loss was not finite any more after {self.diverged_at:,} steps."
        if not self.at_edge.any():
            return f"{seen}: training stayed below the edge of stability."
        rises = int((np.diff(self.losses) > 0).sum())
        return (
            f"{seen}: at {self.at_edge.sum():,} of {len(self.steps):,} measurements, the first after "
            f"{self.steps[self.at_edge][0]:,} steps, it was within 10 % of 2/η or above, and {rises:,} of "
            f"{len(self.losses) - 1:,} steps raised the loss."
        )

    def plot(self) -> Figure:
        """Draw loss and sharpness along training."""
        from descentlab.models.draw_curvature import draw_sharpness

        return draw_sharpness(self)


def sharpness(
    model: torch.nn.Module,
    loss: LossFunction,
    data: Any,
    learning_rate: float,
    steps: int,
    *,
    every: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    dtype: torch.dtype | None = None,
) -> Sharpness:
    """Train a copy of the model by plain full-batch gradient descent, and measure sharpness on the way.

    Cohen et al. 2021: sharpness rises until 2/η, then hovers there while the loss falls unevenly. every: steps
    between two measurements, a hundredth of all unless given; the first and the last step are measured always.
    batch_size: samples worked on at a time, of the same full-batch gradient. The rest is as for `curvature`,
    evaluation mode (no dropout) included: the loss is the same function at every step.

    Raises InputError as `curvature` does, and for a learning rate that is not positive.

    >>> import torch
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> x = torch.tensor([[1.0], [2.0]])
    >>> s = sharpness(model, torch.nn.MSELoss(), (x, x), learning_rate=0.1, steps=10, every=5)
    >>> s.steps, s.sharpness.round(9), s.limit
    (array([ 0,  5, 10]), array([5., 5., 5.]), 20.0)
    """
    if not (isinstance(learning_rate, (int, float)) and 0 < learning_rate < math.inf):
        raise InputError(f"The learning rate must be a positive number, but it is {learning_rate!r}.")
    steps = whole_number(steps, "number of steps", 1, MOST_STEPS)
    every = (
        max(1, steps // 100)
        if every is None
        else whole_number(every, "steps between measurements", 1, MOST_STEPS)
    )
    seed = whole_number(seed, "seed", 0, 2**63)
    losses: list[float] = []
    measured: list[tuple[int, float, float]] = []
    near: Array | None = None
    with opened(model, loss, data, batch_size, dtype) as flat:
        x = flat.start
        for step in range(steps + 1):
            value, gradient = flat.slope(x)
            losses.append(value)
            if not math.isfinite(value):
                break
            if step % every == 0 or step == steps:
                found = _sharpest(flat, x, near, seed)
                measured.append((step, float(found.largest[0]), float(found.largest_errors[0])))
                near = found.largest_vectors[:, 0]
            x = x - learning_rate * gradient
        at, values, errors = zip(*measured, strict=True)
        diverged = None if math.isfinite(losses[-1]) else len(losses) - 1
        return Sharpness(
            float(learning_rate), np.array(losses), np.array(at), np.array(values), np.array(errors),
            flat.dim, diverged, seed,
        )  # fmt: skip


def _sharpest(flat: FlatLoss, x: torch.Tensor, near: Array | None, seed: int) -> lanczos.Extremes:
    """Return the largest eigenvalue at x, from the last eigenvector on: along training it turns slowly."""
    return lanczos.extremes(
        checked(flat.products(x)),
        flat.dim,
        low=0,
        high=1,
        seed=seed,
        tolerance=CLOSE,
        rounding=flat.rounding,
        near=near,
    )
