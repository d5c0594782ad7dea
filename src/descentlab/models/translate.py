"""PyTorch → JAX: a module and its loss as pure functions that can be compiled, vmapped and differentiated.

Forward code is recorded twice (`translate_record`), in training and in evaluation mode, so that `self.training`
means what it says.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.models.translate_functions import constant
from descentlab.models.translate_layers import random_functions
from descentlab.models.translate_record import (
    Record,
    Untranslatable,
    first_line,
    layer_words,
    name_of,
    plain,
    record,
)

__all__ = ["Translation", "Untranslatable", "parameter_arrays", "translate"]

if TYPE_CHECKING:
    import torch

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Translation:
    """A module and its loss as pure JAX functions.

    apply(parameters, inputs, *, key=None, train=False) → outputs, parameters named as in
    `module.named_parameters()` (frozen ones too: keep their gradients out yourself).
    loss(outputs, targets) → scalar.
    random: whether `apply(train=True)` draws random numbers (dropout) and so needs a key. The bits
    depend on the key alone; split one key a run.
    """

    apply: Callable[..., Any]
    loss: Callable[[Any, Any], Any]
    random: bool


def translate(module: torch.nn.Module, loss: Callable[..., Any], example: tuple[Any, Any]) -> Translation:
    """Translate a PyTorch module and a loss to JAX, or raise Untranslatable with the reason.

    loss: a module such as `nn.MSELoss()` or any function of (outputs, targets) that torch.fx can trace.
    example: a few rows of (inputs, targets), tensors or arrays. On them PyTorch and the translation
    must agree in outputs, loss and gradient, so that a silent misreading is a refusal too.

    Refused: what torch.fx cannot trace (branches on data), functions without a translation, layers that update
    buffers in training (BatchNorm), changes in place of something used elsewhere, dtypes other than
    float32 and float64. `module` itself is left as it is. Source: torch.fx, Reed et al. 2022.

    >>> import numpy as np, torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    >>> example = np.zeros((4, 2), np.float32), np.ones((4, 1), np.float32)
    >>> translation = translate(model, torch.nn.MSELoss(), example)
    >>> translation.apply(parameter_arrays(model), example[0]).shape, translation.random
    ((4, 1), False)
    """
    import jax
    import torch

    if not (isinstance(example, tuple) and len(example) == 2):
        raise InputError("The example is a pair (inputs, targets): a few rows of the data.")
    _refuse(module)
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), jax.enable_x64(True):
        model, judge = _copied(module), _copied(loss)
        train, evaluate = (record(model, 1, "the model", mode) for mode in (True, False))
        translation = _assemble(train, evaluate, record(judge, 2, "the loss", True), module, example)
        _agree(model.train(not translation.random), judge, translation, example)
    return translation


def parameter_arrays(module: torch.nn.Module) -> dict[str, NDArray[Any]]:
    """Return the module's parameters as NumPy arrays of their own, named as in `named_parameters()`.

    >>> import torch
    >>> {name: array.shape for name, array in parameter_arrays(torch.nn.Linear(2, 3)).items()}
    {'weight': (3, 2), 'bias': (3,)}
    """
    return {name: p.detach().cpu().numpy().copy() for name, p in module.named_parameters()}


def _refuse(module: torch.nn.Module) -> None:
    """Raise Untranslatable for what is known beforehand."""
    import torch

    for name, layer in module.named_modules():
        if getattr(layer, "running_mean", None) is not None:
            raise Untranslatable(f"{layer_words(name, layer)} updates its running statistics while it trains")
    for name, parameter in module.named_parameters():
        if parameter.dtype not in (torch.float32, torch.float64):
            raise Untranslatable(f"the parameter '{name}' is {parameter.dtype}, not float32 or float64")


def _copied(module: Any) -> Any:
    """Return a copy to record on: recording sets modes and attaches constants."""
    import torch

    if not isinstance(module, torch.nn.Module):
        return module
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise Untranslatable(f"{layer_words('', module)} cannot be copied: {error}") from error


class _Keys:
    """Random keys for one run of a record: the n-th draw's key depends on the run's key and n alone."""

    def __init__(self, key: Any) -> None:
        self.key, self.drawn = key, 0

    def __call__(self) -> Any:
        import jax

        if self.key is None:
            raise InputError(
                "This module draws random numbers (dropout). Give a key: apply(…, key=jax.random.key(0))."
            )
        self.drawn += 1
        return jax.random.fold_in(self.key, self.drawn)


def _run(recorded: Record, parameters: Mapping[str, Any], given: tuple[Any, ...], keys: _Keys) -> Any:
    import jax.numpy as jnp
    from torch.fx import Node
    from torch.fx.node import map_aggregate

    values: dict[Node, Any] = {}
    inputs = iter(given)
    randoms = random_functions().values()

    def filled(argument: Any) -> Any:
        return map_aggregate(
            argument, lambda part: values[part] if isinstance(part, Node) else constant(part)
        )

    for step in recorded.steps:
        node = step.node
        if node.op == "placeholder":
            values[node] = next(inputs)
        elif node.op == "get_attr":
            own = recorded.constants.get(str(node.target))
            values[node] = parameters[plain(str(node.target))] if own is None else jnp.asarray(own)
        elif step.function is None:  # the output
            return filled(node.args[0])
        else:
            extra = {"key": keys} if step.function in randoms else {}
            try:
                values[node] = step.function(*filled(step.args), **filled(step.kwargs), **extra)
            except Exception as error:
                error.add_note(f"in {step.place}, at {name_of(node)}")
                raise
    raise AssertionError("every record ends with its output")


def _assemble(
    train: Record, evaluate: Record, judge: Record, module: torch.nn.Module, example: tuple[Any, Any]
) -> Translation:
    """Make the functions, and follow shapes through them once to find what does not fit."""
    import jax

    def apply(parameters: Arrays, inputs: Any, *, key: Any = None, train: bool = False) -> Any:
        return _run(training if train else evaluate, parameters, (inputs,), _Keys(key))

    def loss(outputs: Any, targets: Any) -> Any:
        return _run(judge, {}, (outputs, targets), _Keys(None))

    training, parameters = train, parameter_arrays(module)
    inputs, targets = (_array(part) for part in example)
    keys = _Keys(jax.random.key(0)), _Keys(jax.random.key(0))
    try:
        outputs = jax.eval_shape(lambda p, x: _run(training, p, (x,), keys[0]), parameters, inputs)
        jax.eval_shape(lambda p, x: _run(evaluate, p, (x,), keys[1]), parameters, inputs)
        value = jax.eval_shape(loss, outputs, targets)
    except Exception as error:
        places = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        raise Untranslatable(f"JAX cannot follow it: {first_line(error)}{places}") from error
    if keys[1].drawn:
        raise Untranslatable(
            "the model draws random numbers in evaluation mode too (F.dropout without training=…)"
        )
    if getattr(value, "shape", None) != ():
        shape = getattr(value, "shape", type(value).__name__)
        raise Untranslatable(f"the loss returns {shape}, not one number; is its reduction 'none'?")
    return Translation(apply, loss, keys[0].drawn > 0)


def _array(given: Any) -> NDArray[Any]:
    return np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)


# Rounding differs between the two by some ulp times the square root of the terms in a sum; a misread layer
# differs by far more. Too strict a limit costs speed alone: the caller falls back.
_CLOSE = {"float32": 1e-4, "float64": 1e-9}


def _agree(model: Any, judge: Any, translation: Translation, example: tuple[Any, Any]) -> None:
    """Raise Untranslatable unless loss and gradient on the example are PyTorch's, in the mode `model` is in.

    At a solution both are what rounding left of differences, far from equal by their own size: there the size counts
    that they have a little aside. `model` is a copy, and is left there.
    """
    import jax
    import torch

    inputs, targets = (_array(part) for part in example)

    def whole(parameters: Arrays) -> Any:
        outputs = translation.apply(parameters, inputs, train=model.training)
        return translation.loss(outputs, targets)

    compiled = jax.jit(jax.value_and_grad(whole))

    def both() -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
        """Return loss and gradient by JAX and by PyTorch."""
        try:
            value = judge(model(torch.tensor(inputs)), torch.tensor(targets))
            named = {name: p for name, p in model.named_parameters() if p.requires_grad}
            slopes = torch.autograd.grad(value, list(named.values()), allow_unused=True) if named else ()
        except Exception as error:
            raise Untranslatable(f"PyTorch cannot run it on the example: {first_line(error)}") from error
        ours, gradient = compiled(parameter_arrays(model))
        found = {"loss": (np.asarray(ours), _array(value))}
        for (name, p), slope in zip(named.items(), slopes, strict=True):
            theirs = torch.zeros_like(p) if slope is None else slope
            found[f"gradient of '{name}'"] = np.asarray(gradient[name]), _array(theirs)
        return found

    here = both()
    wrong = {what for what, (ours, theirs) in here.items() if not _close(what, ours, theirs, 0.0)}
    if not wrong:
        return
    _move_aside(model)
    for what, (ours, theirs) in both().items():
        size = _size(theirs)
        if not _close(what, ours, theirs, 0.0) or (what in wrong and not _close(what, *here[what], size)):
            ours, theirs = here[what] if what in wrong else (ours, theirs)
            apart = np.linalg.norm((ours - theirs)[np.isfinite(ours) & np.isfinite(theirs)])
            raise Untranslatable(
                f"its {what} on the example differs from PyTorch's (by {apart:.2g} of {_size(theirs):.2g})"
            )


def _move_aside(model: Any) -> None:
    """Move every parameter by a tenth of its size."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device)
            p += 0.1 * p.square().mean().sqrt() * noise


def _size(values: NDArray[Any]) -> float:
    return float(np.linalg.norm(values[np.isfinite(values)]))


def _close(what: str, ours: NDArray[Any], theirs: NDArray[Any], size: float) -> bool:
    """Tell whether both agree to rounding, by their own size or the one given; raise where not even the type does."""
    if ours.dtype != theirs.dtype:
        raise Untranslatable(f"its {what} is {ours.dtype} in JAX, but {theirs.dtype} in PyTorch")
    same = np.array_equal(np.isfinite(ours), np.isfinite(theirs))
    apart = _size(ours - theirs)
    limit = _CLOSE.get(str(theirs.dtype), 0.0) * max(_size(theirs), size, 1e-30)
    return bool(same and apart <= limit)
