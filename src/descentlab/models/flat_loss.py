"""The loss of a PyTorch model on all its data, as a function of one vector of parameters.

The module itself is never changed: every evaluation hands copies of its parameters to
`torch.func.functional_call`, and evaluation mode (dropout off, BatchNorm by its running statistics)
ends where `opened` ends.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.models.data import read_data

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Array = NDArray[np.float64]
Batch = tuple[Any, Any]
LossFunction = Callable[[Any, Any], Any]

# So many numbers – parameters and data – are worked on together. On the CPU as many as the cache holds:
# 200 to 1800 samples and 100 to 55,000 parameters ran fastest near 4 MB, twice as slow at 100 MB.
TOGETHER = {"cpu": 500_000, "cuda": 100_000_000}
# A batch's share of the whole loss is its mean or its sum over samples, if that agrees to rounding:
# sums over samples in another order differ in the last digits, of which a long sum loses some.
SAME_SUM = 1e4
# Losses that compare numbers with numbers: whole-number targets are then numbers too, not classes.
REGRESSIONS = (
    "MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCELoss", "BCEWithLogitsLoss", "PoissonNLLLoss",
    "SoftMarginLoss", "KLDivLoss",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class FlatLoss:
    """A model's loss over a vector x (parameter,): the entries `names` of its state one after the other.

    start: the model's own x, loss there: `value`; fixed: the rest of the state; batches with the weight of each.
    """

    model: torch.nn.Module
    loss: LossFunction
    batches: tuple[Batch, ...]
    weights: tuple[float, ...]
    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    fixed: Mapping[str, Tensor]
    start: Tensor
    value: float

    @property
    def dim(self) -> int:
        return self.start.numel()

    @property
    def rounding(self) -> float:
        """The share of the largest curvature below which a curvature is rounding.

        Sums over samples and layers cost a few digits: 12 bits of them allowed, 9e-13 in float64.
        """
        import torch

        return 4096 * torch.finfo(self.start.dtype).eps

    def split(self, x: Tensor) -> dict[str, Tensor]:
        """Return the entries of the state that make up x."""
        import torch

        sizes = [math.prod(shape) for shape in self.shapes]
        return {
            name: part.reshape(shape)
            for name, shape, part in zip(self.names, self.shapes, torch.split(x, sizes), strict=True)
        }

    def on(self, batch: Batch, x: Tensor) -> Tensor:
        """Return the loss on one batch."""
        from torch.func import functional_call

        outputs = functional_call(self.model, {**self.fixed, **self.split(x)}, (batch[0],))
        return cast("Tensor", self.loss(outputs, batch[1]))

    def at(self, x: Tensor) -> Tensor:
        """Return the loss on all data."""
        parts = [w * self.on(batch, x) for w, batch in zip(self.weights, self.batches, strict=True)]
        return cast("Tensor", sum(parts))

    def many(self, points: Array) -> Array:
        """Return the losses (point,) at the points (point, parameter)."""
        import torch

        with torch.no_grad():
            return self._numbers(self._each(self.at, self.vector(points)))

    def slope(self, x: Tensor) -> tuple[float, Tensor]:
        """Return the loss and its gradient (parameter,)."""
        import torch

        value, gradient = 0.0, torch.zeros_like(x)
        for w, batch in zip(self.weights, self.batches, strict=True):
            here, part = torch.func.grad_and_value(functools.partial(self.on, batch))(x)
            value, gradient = value + w * float(part), gradient + w * here
        return value, gradient

    def products(self, x: Tensor) -> Callable[[Array], Array]:
        """Return the function that multiplies a block (parameter, width) by the Hessian at x.

        The Hessian is the derivative of the gradient, and symmetric, so its products are pulled back
        through the gradient. With one batch that graph is kept, and a product costs one backward pass.
        """
        import torch

        def pull(batch: Batch) -> Callable[[Tensor], Tensor]:
            back = torch.func.vjp(torch.func.grad(functools.partial(self.on, batch)), x)[1]
            return lambda v: cast("Tensor", back(v)[0])

        kept = pull(self.batches[0]) if len(self.batches) == 1 else None

        def apply(block: Array) -> Array:
            columns = self.vector(block.T)
            total = torch.zeros_like(columns)
            for w, batch in zip(self.weights, self.batches, strict=True):
                total += w * self._each(kept or pull(batch), columns)
            return self._numbers(total).T

        return apply

    def hessian(self, x: Tensor) -> Array:
        """Return the dense Hessian at x, as its products with unit vectors: to rounding, symmetric."""
        return self.products(x)(np.eye(self.dim))

    def vector(self, numbers: Any) -> Tensor:
        """Return numbers as a tensor of the kind x is."""
        import torch

        return torch.as_tensor(np.ascontiguousarray(numbers)).to(self.start)

    def _each(self, function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """Return function(row) for all rows, several at once where the model allows it and it pays."""
        import torch

        numbers = self.dim + sum(part.numel() for part in self.batches[0] if isinstance(part, torch.Tensor))
        together = TOGETHER.get(rows.device.type, TOGETHER["cuda"]) // max(numbers, 1)
        if together > 1 and len(rows) > 1:
            try:
                return torch.func.vmap(function, chunk_size=together)(rows)
            except RuntimeError:
                pass  # some layers, recurrent ones among them, have no batched version
        return torch.stack([function(row) for row in rows])

    @staticmethod
    def _numbers(values: Tensor) -> Array:
        return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)


@contextmanager
def opened(
    model: torch.nn.Module,
    loss: LossFunction,
    data: Any,
    batch_size: int | None = None,
    dtype: torch.dtype | None = None,
    whole_state: bool = False,
) -> Iterator[FlatLoss]:
    """Give the model's loss over its trainable parameters, with the model in evaluation mode meanwhile.

    batch_size: samples worked on at a time, all of them unless given; dtype: float64 unless given.
    whole_state: take every floating entry of the state dict, running statistics and frozen parameters too.
    Raises InputError for a model without parameters, data that do not fit, a loss that is not one finite number.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise InputError(f"The model must be a torch.nn.Module, but it is a {type(model).__name__}.")
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield _read(model, loss, data, batch_size, dtype or torch.float64, whole_state)
    finally:
        for module, training in modes:
            module.training = training


def flat_vector(flat: FlatLoss, given: Any, what: str) -> Array:
    """Return as (parameter,) what was given as a module, a state dict or a vector; InputError if it does not fit."""
    import torch

    if isinstance(given, torch.nn.Module):
        given = {**dict(given.named_parameters()), **dict(given.named_buffers())}
    if isinstance(given, Mapping):
        missing = [name for name in flat.names if name not in given]
        if missing:
            raise InputError(f"{what} has no '{missing[0]}', which the model has.")
        for name, shape in zip(flat.names, flat.shapes, strict=True):
            if tuple(np.shape(given[name])) != tuple(shape):
                raise InputError(
                    f"In {what}, '{name}' has the shape {tuple(np.shape(given[name]))}, in the model {tuple(shape)}."
                )
        given = torch.cat([torch.as_tensor(given[n]).detach().reshape(-1).to(flat.start) for n in flat.names])
    vector = (
        given.detach().cpu().double().numpy()
        if isinstance(given, torch.Tensor)
        else np.asarray(given, dtype=np.float64)
    )
    if vector.shape != (flat.dim,):
        raise InputError(
            f"{what} has the shape {vector.shape}, but the model has {flat.dim:,} parameters: give ({flat.dim},)."
        )
    if not np.isfinite(vector).all():
        raise InputError(f"{what} holds numbers that are not finite.")
    return vector


def _read(
    model: torch.nn.Module,
    loss: LossFunction,
    data: Any,
    batch_size: int | None,
    dtype: torch.dtype,
    whole_state: bool,
) -> FlatLoss:
    """Check everything at the door and evaluate the loss once."""
    import torch

    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    if any(torch.nn.parameter.is_lazy(entry) for entry in state.values()):
        raise InputError("The model has layers without a size yet: call it once on some inputs first.")
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    if not trainable:
        raise InputError("The model has no trainable parameters.")
    if any(state[name].is_complex() for name in trainable):
        raise InputError("The model has complex parameters; only real ones are supported.")
    if whole_state:
        kept = model.state_dict()
        trainable = [n for n, entry in state.items() if n in kept and entry.is_floating_point()]
    copies = {
        name: entry.detach().clone().to(dtype) if entry.is_floating_point() else entry.detach().clone()
        for name, entry in state.items()
    }
    start = torch.cat([copies[name].reshape(-1) for name in trainable])
    fixed = {name: entry for name, entry in copies.items() if name not in set(trainable)}
    whole = _tensors(data, model, loss, dtype, start.device)
    shapes = tuple(state[name].shape for name in trainable)
    in_dtype = _loss_in(loss, dtype, start.device)
    flat = FlatLoss(model, in_dtype, (whole,), (1.0,), tuple(trainable), shapes, fixed, start, math.nan)
    value = _checked_value(flat, whole)
    batches, weights = ((whole,), (1.0,)) if batch_size is None else _batches(flat, whole, value, batch_size)
    return FlatLoss(model, in_dtype, batches, weights, flat.names, shapes, fixed, start, value)


def _tensors(
    data: Any, model: torch.nn.Module, loss: LossFunction, dtype: torch.dtype, device: torch.device
) -> Batch:
    """Return data as two tensors: floating numbers in `dtype`, classes and tokens as whole numbers.

    Whole-number inputs stay so only for a model that looks them up; whole-number targets are numbers
    for a loss known to compare numbers, else classes.
    """
    import torch

    read = read_data(data)
    looks_up = any(isinstance(m, (torch.nn.Embedding, torch.nn.EmbeddingBag)) for m in model.modules())
    classes = type(loss).__name__ not in REGRESSIONS

    def convert(part: Any, whole: bool) -> Tensor:
        tensor = torch.as_tensor(part)
        is_whole = not tensor.is_floating_point() and whole
        return tensor.to(device=device, dtype=torch.long if is_whole else dtype)

    return convert(read.inputs, looks_up), convert(read.targets, classes)


def _loss_in(loss: LossFunction, dtype: torch.dtype, device: torch.device) -> LossFunction:
    """Return the loss with its own tensors (class weights, say) in `dtype`; the one given is left as it is."""
    import torch

    if not callable(loss):
        raise InputError(
            "The loss must be a callable of outputs and targets, for example torch.nn.CrossEntropyLoss()."
        )
    if not isinstance(loss, torch.nn.Module):
        return loss
    own = {**dict(loss.named_parameters()), **dict(loss.named_buffers())}
    if not own:
        return loss
    state = {
        k: v.detach().to(device=device, dtype=dtype if v.is_floating_point() else v.dtype)
        for k, v in own.items()
    }
    return lambda outputs, targets: torch.func.functional_call(loss, state, (outputs, targets))


def _checked_value(flat: FlatLoss, whole: Batch) -> float:
    """Return the loss at the start; raise InputError unless it is one finite number."""
    import torch

    try:
        with torch.no_grad(), warnings.catch_warnings():
            # (n, 1) against (n,) would compare every output with every target.
            warnings.filterwarnings("error", message="Using a target size")
            value = flat.on(whole, flat.start)
    except Exception as error:  # whatever a model of someone else's raises
        kind = str(flat.start.dtype).removeprefix("torch.")
        raise InputError(
            f"The model or the loss fails on the data in {kind}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(value, torch.Tensor) or value.ndim != 0:
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise InputError(
            f"The loss must be one number, but it has the shape {shape}; take its mean or its sum."
        )
    if not math.isfinite(float(value)):
        raise InputError(
            f"The loss is {float(value)} at the model's parameters; there is no curvature to speak of."
        )
    return float(value)


def _batches(
    flat: FlatLoss, whole: Batch, value: float, batch_size: int
) -> tuple[tuple[Batch, ...], tuple[float, ...]]:
    """Return batches and their weights such that the weighted losses add up to the loss on all data."""
    import torch

    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size must be a whole number of at least 1, not {batch_size!r}.")
    inputs, targets = whole
    count = len(inputs)
    batches = tuple(zip(inputs.split(batch_size), targets.split(batch_size), strict=True))
    with torch.no_grad():
        parts = [float(flat.on(batch, flat.start)) for batch in batches]
    close = SAME_SUM * torch.finfo(flat.start.dtype).eps * sum(map(abs, parts))
    for weights in ([len(batch[0]) / count for batch in batches], [1.0] * len(batches)):
        if abs(sum(w * p for w, p in zip(weights, parts, strict=True)) - value) <= close:
            return batches, tuple(weights)
    raise InputError(
        "The loss on all data is neither the mean nor the sum of the losses on batches (class weights, for "
        "example, are not). Leave batch_size out."
    )
