"""What is trained: weights that a seed makes, and a loss that JAX or PyTorch computes.

A PyTorch module is translated to JAX where it can be, because a compiled loop over many small networks
is several times as fast; where it cannot, PyTorch's own `torch.func` trains it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.models.data import Data

Weights = dict[str, NDArray[Any]]
# (weights, inputs, targets, key or None) → loss; a key is given while training, for what is random then.
Loss = Callable[[Any, Any, Any, Any], Any]


@dataclass(frozen=True)
class Problem:
    """A model with its loss.

    initial(run, seed) → the weights of a run; trained: the names of those that are trained, in order.
    loss, outputs: JAX functions, where `module` can be translated, `reason` says why not. module and
    torch_loss: PyTorch's own, None for a model written in JAX. restore(weights) → a model with them.
    """

    initial: Callable[[int, int], Weights]
    trained: tuple[str, ...]
    dtype: Any
    loss: Loss | None
    outputs: Callable[[Any, Any], Any] | None
    reason: str = ""
    module: Any = None
    torch_loss: Any = None
    restore: Callable[[Weights], Any] | None = None

    @property
    def engine(self) -> str:
        """What trains it: "jax" or "torch"."""
        return "torch" if self.loss is None else "jax"

    @functools.cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all weights, by name: those of a model made once."""
        weights = self.initial(0, 0)
        return {name: weights[name].shape for name in weights}

    @property
    def size(self) -> int:
        """The number of weights that are trained."""
        shapes = self.shapes
        return sum(int(np.prod(shapes[name])) for name in self.trained)


def run_seed(seed: int, run: int) -> int:
    """Return the seed of one run: the same whatever else is run.

    >>> run_seed(0, 1) == run_seed(0, 1) != run_seed(0, 2)
    True
    """
    return int(np.random.SeedSequence([seed, run]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def read_problem(build: Callable[..., Any], loss: Any, data: Data | None, engine: str = "auto") -> Problem:
    """Return the problem of a PyTorch model, or of one in JAX: `build` takes a key there, and nothing here.

    Raises InputError for models and losses that cannot be trained, with the reason.
    """
    if not callable(build) or (hasattr(build, "named_parameters") and not isinstance(build, type)):
        raise InputError(
            "build is a function that makes the model anew, such as lambda: torch.nn.Sequential(…): each run needs "
            "weights of its own. A finished module cannot be retrained."
        )
    if not callable(loss):
        raise InputError("The loss is a function of (outputs, targets), such as torch.nn.MSELoss().")
    if takes_key(build):
        return _jax_problem(build, loss, data)
    if data is None:
        raise InputError("A PyTorch model is trained on data: a pair (inputs, targets).")
    return _torch_problem(build, loss, data, engine)


def takes_key(build: Callable[..., Any]) -> bool:
    """Tell whether the initializer is one in JAX: build(key) → a pytree of arrays."""
    if isinstance(build, type):
        return False
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [
        p
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len(required) == 1


# --- models in JAX: a pytree of weights ---


def _jax_problem(build: Callable[[Any], Any], loss: Callable[..., Any], data: Data | None) -> Problem:
    import jax

    example = _initialized(build, 0, 0)
    leaves, structure = jax.tree_util.tree_flatten_with_path(example)
    names = tuple(jax.tree_util.keystr(path, simple=True, separator=".") or "weights" for path, _ in leaves)
    if not names:
        raise InputError("The initializer makes no weights: it takes a key and returns a pytree of arrays.")

    def tree(weights: Any) -> Any:
        return jax.tree_util.tree_unflatten(structure, [weights[name] for name in names])

    def initial(run: int, seed: int) -> Weights:
        flat, found = jax.tree_util.tree_flatten(_initialized(build, run, seed))
        if str(found) != str(structure):
            raise InputError(f"The initializer made a different pytree for run {run} than for run 0.")
        return {name: np.asarray(leaf) for name, leaf in zip(names, flat, strict=True)}

    def value(weights: Any, inputs: Any, targets: Any, key: Any) -> Any:
        return loss(tree(weights)) if data is None else loss(tree(weights), inputs, targets)

    dtype = np.result_type(*(leaf.dtype for _, leaf in leaves))
    return Problem(initial, names, dtype, value, None, restore=tree)


def _initialized(build: Callable[[Any], Any], run: int, seed: int) -> Any:
    import jax

    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, build(jax.random.key(run_seed(seed, run) & 0x7FFFFFFF)))


# --- models in PyTorch ---


def _torch_problem(build: Callable[[], Any], loss: Any, data: Data, engine: str) -> Problem:
    import torch

    module = seeded_build(build, 0, 0)
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"build must return a torch.nn.Module, but it returned a {type(module).__name__}.")
    _check_module(module)
    trained = tuple(name for name, p in module.named_parameters() if p.requires_grad)
    if not trained:
        raise InputError("The model has no weights to train.")
    kinds = {p.dtype for p in module.parameters()}
    if len(kinds) > 1 or not next(iter(kinds)).is_floating_point:
        raise InputError(
            f"The model's weights must have one real type, but they have {', '.join(map(str, kinds))}."
        )
    dtype = np.dtype(str(next(iter(kinds))).removeprefix("torch."))
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    _check_loss(module, loss, data.cast(dtype))

    def initial(run: int, seed: int) -> Weights:
        made = seeded_build(build, run, seed)
        found = {name: tuple(p.shape) for name, p in made.named_parameters()}
        if found != shapes:
            raise InputError(f"build made a model with other weights for run {run} than for run 0.")
        return {name: p.detach().cpu().numpy().copy() for name, p in made.named_parameters()}

    def restore(weights: Weights) -> Any:
        made = seeded_build(build, 0, 0)
        with torch.no_grad():
            for name, p in made.named_parameters():
                p.copy_(torch.as_tensor(weights[name]))
        return made

    value, outputs, reason = (
        (None, None, "PyTorch was asked for") if engine == "torch" else _translated(module, loss, data, dtype)
    )
    if value is None and engine == "jax":
        raise InputError(f"This model cannot be compiled by JAX: {reason}. engine='torch' trains it.")
    return Problem(initial, trained, dtype, value, outputs, reason, module, loss, restore)


def _translated(module: Any, loss: Any, data: Data, dtype: Any) -> tuple[Loss | None, Any, str]:
    from descentlab.models.translate import Untranslatable, translate

    try:
        cast = data.cast(dtype)
        found = translate(module, loss, (cast.inputs[:2], cast.targets[:2]))
    except Untranslatable as reason:
        return None, None, str(reason)

    def value(weights: Any, inputs: Any, targets: Any, key: Any) -> Any:
        return found.loss(found.apply(weights, inputs, key=key, train=key is not None), targets)

    def outputs(weights: Any, inputs: Any) -> Any:
        return found.apply(weights, inputs)

    return value, outputs, ""


@contextlib.contextmanager
def _own_seed(seed: int) -> Iterator[None]:
    """Seed what a model's initialization may draw from, and put it back as it was."""
    import torch

    before = random.getstate(), np.random.get_state()  # noqa: NPY002 – a model may draw from it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002


# Seeds are the whole process's: one model at a time is made.
_building = threading.Lock()


def seeded_build(build: Callable[[], Any], run: int, seed: int) -> Any:
    """Call build under the run's own seed."""
    with _building, _own_seed(run_seed(seed, run)):
        return build()


def _check_module(module: Any) -> None:
    """Refuse what many runs at once would get wrong."""
    import torch

    for name, part in module.named_modules():
        if isinstance(part, torch.nn.modules.batchnorm._NormBase) and part.track_running_stats:
            raise InputError(
                f"The layer '{name}' ({type(part).__name__}) keeps running statistics while it trains, which runs that "
                "train together would share. Use GroupNorm or LayerNorm, or track_running_stats=False."
            )
        if isinstance(part, torch.nn.modules.lazy.LazyModuleMixin):
            raise InputError(f"The layer '{name}' is lazy: its sizes must be given.")


def _check_loss(module: Any, loss: Any, data: Data) -> None:
    """Try the loss on the data once."""
    import torch

    inputs, targets = torch.as_tensor(data.inputs), torch.as_tensor(data.targets)
    training = module.training
    try:
        module.eval()
        with torch.no_grad():
            value = loss(module(inputs), targets)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"The model and its loss do not take this data: {str(error).strip().splitlines()[0]} (inputs of the shape "
            f"{tuple(inputs.shape)}, {inputs.dtype}; targets of the shape {tuple(targets.shape)}, {targets.dtype})."
        ) from error
    finally:
        module.train(training)
    if not isinstance(value, torch.Tensor) or value.dim() != 0:
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise InputError(f"The loss must be one number, but it is {shape}. Use reduction='mean' or 'sum'.")
