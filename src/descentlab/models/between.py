"""The loss along the straight line between two solutions, before and after their units are aligned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.descent import whole_number
from descentlab.errors import InputError
from descentlab.models.alignment import Alignment, read_state
from descentlab.models.flat_loss import FlatLoss, LossFunction, flat_vector, opened
from descentlab.wording import short

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Between:
    """The loss from one solution (t = 0) to another (t = 1).

    t, losses (point,): along the straight line; aligned_losses: the same to the second solution with its units
    in the first one's order, None without alignment, and then `refused` says why. parameters: how many; size: the
    model in words; distance, aligned_distance: between the two ends, over all parameters.
    """

    t: Float[np.ndarray, " point"]
    losses: Float[np.ndarray, " point"]
    aligned_losses: Float[np.ndarray, " point"] | None
    alignment: Alignment | None
    refused: str
    parameters: int
    size: str
    distance: float
    aligned_distance: float | None

    @property
    def barrier(self) -> float:
        """The most by which the loss on the line exceeds the line between the losses at its ends; ≥ 0."""
        return barrier(self.t, self.losses)

    @property
    def aligned_barrier(self) -> float | None:
        """The same after alignment, None without."""
        return None if self.aligned_losses is None else barrier(self.t, self.aligned_losses)

    @property
    def sentence(self) -> str:
        """How high the barrier is, before and after alignment, in a model of what size."""
        first, last = short(self.losses[0]), short(self.losses[-1])
        said = (
            f"Between losses of {first} and {last}, the straight line rises {short(self.barrier)} above its ends "
            f"in {self.size} of {self.parameters:,} parameters"
        )
        if self.aligned_barrier is None:
            return f"{said}. {self.refused}".strip() if self.refused else f"{said}."
        return (
            f"{said}; with the hidden units aligned, {short(self.aligned_barrier)}. "
            "A straight line is one way of many: a barrier on it does not mean that there is no way round."
        )

    def plot(self) -> Figure:
        """Draw the loss along the line, before and after alignment."""
        from descentlab.models.draw_slices import draw_between

        return draw_between(self)


def between(
    model: torch.nn.Module,
    first: Any,
    second: Any,
    loss: LossFunction,
    data: Any,
    *,
    points: int = 51,
    align: bool = True,
    batch_size: int | None = None,
    dtype: torch.dtype | None = None,
) -> Between:
    """Evaluate the loss along the straight line between two solutions of one architecture.

    first, second: state dicts, or modules of the model's kind; the model itself only lends its architecture.
    align: also along the line to the second solution with its hidden units permuted, and flipped where the
    activation is odd, to be nearest to the first (see `align`); where the architecture is not known
    to alignment, the barrier is given without, and `refused` says why. The barrier is

        max over t of L((1−t)x₁ + t·x₂) − [(1−t)·L(x₁) + t·L(x₂)]

    over `points` values of t. Running statistics of BatchNorm are interpolated as parameters are.

    Raises InputError for solutions that do not fit the model, and as `curvature` does.

    >>> import torch
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> x = torch.tensor([[1.0]])
    >>> ends = {"weight": torch.tensor([[0.0]])}, {"weight": torch.tensor([[2.0]])}
    >>> line = between(model, *ends, torch.nn.MSELoss(), (x, x), points=5, align=False)
    >>> line.losses, line.barrier
    (array([1.  , 0.25, 0.  , 0.25, 1.  ]), 0.0)
    """
    points = whole_number(points, "number of points", 2, 100_000)
    t = np.linspace(0.0, 1.0, points)
    first, second = read_state(first, "The first"), read_state(second, "The second")
    with opened(model, loss, data, batch_size, dtype, whole_state=True) as flat:
        x1 = flat_vector(flat, first, "The first solution")
        x2 = flat_vector(flat, second, "The second solution")
        losses = _along(flat, x1, x2, t)
        if not (np.isfinite(losses[0]) and np.isfinite(losses[-1])):
            raise InputError(
                f"The loss at the solutions is {losses[0]} and {losses[-1]}; both must be finite."
            )
        alignment, refused = _align(model, first, second) if align else (None, "")
        aligned = None
        if alignment is not None:
            x3 = flat_vector(flat, alignment.state, "The aligned solution")
            aligned = _along(flat, x1, x3, t)
        return Between(
            t,
            losses,
            aligned,
            alignment,
            refused,
            sum(p.numel() for p in model.parameters()),
            described(model),
            float(np.linalg.norm(x2 - x1)),
            None if alignment is None else float(np.linalg.norm(x3 - x1)),
        )


def barrier(t: Array, losses: Array) -> float:
    """Return max over t of the loss minus the straight line between the losses at both ends.

    >>> barrier(np.array([0.0, 0.5, 1.0]), np.array([1.0, 4.0, 3.0]))
    2.0
    """
    with np.errstate(invalid="ignore"):
        above = losses - ((1 - t) * losses[0] + t * losses[-1])
    # The ends are at zero, and rounding must not put them elsewhere; a loss that is not finite is infinitely high.
    return max(0.0, float(np.where(np.isnan(above), np.inf, above)[1:-1].max(initial=0.0)))


def described(model: torch.nn.Module) -> str:
    """Return a model's size in words: the widths of a multilayer perceptron, else its class.

    >>> import torch
    >>> described(torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)))
    'a network 2-8-1'
    """
    from descentlab.models.alignment import read_layers

    try:
        names = read_layers(model).names
    except InputError:
        return f"a {type(model).__name__}"
    layers: list[Any] = [model.get_submodule(name) for name in names]
    return "a network " + "-".join(str(n) for n in [layers[0].in_features, *(m.out_features for m in layers)])


def _align(model: torch.nn.Module, first: Any, second: Any) -> tuple[Alignment | None, str]:
    """Return the alignment, or why there is none."""
    from descentlab.models import alignment

    try:
        return alignment.align(model, first, second), ""
    except InputError as error:
        return None, str(error)


def _along(flat: FlatLoss, start: Array, end: Array, t: Array) -> Array:
    return flat.many((1 - t)[:, None] * start + t[:, None] * end)
