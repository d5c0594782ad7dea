"""What a PyTorch module's forward code does, as a list of calls of JAX functions.

torch.fx records the calls, all the way down through torch.nn's own layers: `nn.Linear` becomes
torch.nn.functional.linear, `nn.MSELoss` becomes mse_loss. So layers, losses and hand-written forward code need
one table, that of functions (`translate_functions`, `translate_layers`, `translate_losses`). Only the list of
calls is kept; nothing is turned into text, and no text is executed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from descentlab.models.translate_functions import attribute, tensor_functions, tensor_methods
from descentlab.models.translate_layers import layer_functions, random_functions
from descentlab.models.translate_losses import loss_functions

if TYPE_CHECKING:
    import torch
    from torch.fx import Graph, Node, Tracer


class Untranslatable(Exception):  # noqa: N818 – a reason, not a mistake
    """What was given has no JAX translation here; `reason` says why, and names the layer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Step:
    """One recorded call: its node, what it calls in JAX (None: nothing), and where in the module it stands."""

    node: Node
    place: str
    function: Callable[..., Any] | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """What the forward code does in one mode, and the buffers and tensors it reads."""

    steps: tuple[Step, ...]
    constants: Mapping[str, NDArray[Any]]


# The recorded module or function hangs under this name in a module of ours.
_INNER = "inner"


def record(given: Any, arguments: int, what: str, train: bool) -> Record:
    import torch

    if isinstance(given, torch.nn.Module):
        given.train(train)
    root = _caller(given, arguments)
    before = _attributes(root)
    try:
        graph = _tracer().trace(root)
    except Untranslatable:
        raise
    except Exception as error:
        raise Untranslatable(f"torch.fx cannot trace {what}: {first_line(error)}") from error
    changed = [name for name, value in _attributes(root).items() if before.get(name) is not value]
    if changed:
        raise Untranslatable(f"{what} changes its attribute '{changed[0]}' whenever it is called")
    return _plan(graph, root)


def _caller(given: Any, arguments: int) -> torch.nn.Module:
    """Return a module that calls `given` with one or two arguments, leaving its defaults alone."""
    import torch

    class OfOne(torch.nn.Module):
        def forward(self, inputs: Any) -> Any:
            return given(inputs)

    class OfTwo(torch.nn.Module):
        def forward(self, outputs: Any, targets: Any) -> Any:
            return given(outputs, targets)

    root = OfOne() if arguments == 1 else OfTwo()
    setattr(root, _INNER, given)
    return root


def _tracer() -> Tracer:
    import torch
    from torch import fx

    class EveryLayer(fx.Tracer):
        """Records through all layers down to functions, and says which layer could not be recorded."""

        proxy_buffer_attributes = True

        def is_leaf_module(self, m: torch.nn.Module, module_qualified_name: str) -> bool:
            return False

        def call_module(self, m: Any, forward: Any, args: Any, kwargs: Any) -> Any:
            try:
                path = self.path_of_module(m)
            except NameError:  # a module that the loss function holds in a variable
                return forward(*args, **kwargs)
            try:
                if isinstance(m, torch.nn.modules.batchnorm._NormBase):
                    return _normalized(m, args[0])
                return super().call_module(m, forward, args, kwargs)
            except Untranslatable:
                raise
            except Exception as error:
                where = layer_words(plain(path), m)
                raise Untranslatable(f"torch.fx cannot trace {where}: {first_line(error)}") from error

    return EveryLayer()


def _normalized(layer: Any, x: Any) -> Any:
    """Call a BatchNorm or InstanceNorm without running statistics, past its questions about the input's shape."""
    from torch.nn import functional

    if "Instance" in type(layer).__name__:
        return functional.instance_norm(x, None, None, layer.weight, layer.bias, True, 0.0, layer.eps)
    return functional.batch_norm(x, None, None, layer.weight, layer.bias, True, 0.0, layer.eps)


def _attributes(root: torch.nn.Module) -> dict[str, Any]:
    """Return every plain attribute of every module below `root`, but for what the tracer attaches."""
    own = ("_parameters", "_buffers", "_modules")
    return {
        f"{plain(path)}.{name}".strip("."): value
        for path, layer in root.named_modules()
        for name, value in vars(layer).items()
        if name not in own and not name.startswith("_tensor_constant")
    }


def plain(path: str) -> str:
    return path.removeprefix(_INNER).removeprefix(".")


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _plan(graph: Graph, root: torch.nn.Module) -> Record:
    parameters = dict(root.named_parameters())
    table = _table()
    steps, constants = [], {}
    for node in graph.nodes:
        step = Step(node, _place(node))
        if node.op == "get_attr" and node.target not in parameters:
            constants[node.target] = _reach(root, node.target).detach().cpu().numpy().copy()
        elif node.op in ("call_function", "call_method"):
            step = _call(step, table)
        steps.append(step)
    return Record(tuple(steps), constants)


def _reach(root: Any, path: str) -> Any:
    for name in path.split("."):
        root = getattr(root, name)
    return root


def _place(node: Node) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return layer_words(plain(stack[-1][0]), stack[-1][1]) if stack else "its code"


def _table() -> dict[Any, Callable[..., Any]]:
    """Return the JAX function for every function object that torch.fx may record."""
    import operator

    import torch
    from torch.nn import functional

    def named(table: Mapping[str, Any], *places: Any) -> Iterator[tuple[Any, Any]]:
        for name, function in table.items():
            yield from ((getattr(place, name), function) for place in places if hasattr(place, name))

    known = dict(named(tensor_functions(), torch, operator, torch.special, torch.linalg))
    known |= dict(named(layer_functions() | random_functions() | loss_functions(), functional))
    return known | {getattr: attribute}


# Other names that PyTorch allows for the same arguments.
_SAME = {"axis": "dim", "keepdims": "keepdim"}


def _call(step: Step, table: Mapping[Any, Callable[..., Any]]) -> Step:
    """Find the JAX function of a recorded call, and check that it takes these arguments."""
    node, name = step.node, name_of(step.node)
    if node.op == "call_method":
        methods = tensor_methods()
        function = methods.get(name) or methods.get(name.removesuffix("_"))
        what = f"the tensor method .{name}()"
    else:
        function = table.get(node.target)
        what = f"{getattr(node.target, '__module__', '')}.{name}"
    if function is None:
        raise Untranslatable(f"{step.place} uses {what}, which has no JAX translation here")
    kwargs = {_SAME.get(key, key): value for key, value in node.kwargs.items()}
    if kwargs.get("out") is None:
        kwargs.pop("out", None)
    first = (kwargs.pop("input"),) if "input" in kwargs else ()
    step = replace(step, function=function, args=(*first, *node.args), kwargs=kwargs)
    try:
        inplace = inspect.signature(function).bind(*step.args, **kwargs).arguments.get("inplace", False)
    except TypeError as error:
        raise Untranslatable(f"{step.place} uses {what} in a way with no JAX translation: {error}") from error
    if (inplace or _writes(node)) and _is_needed(step.args[0]):
        raise Untranslatable(
            f"{step.place} changes in place, by {what}, what is or may be used elsewhere too"
        )
    return step


def name_of(node: Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _writes(node: Node) -> bool:
    name = name_of(node)
    if node.op == "call_method":
        return name.endswith("_") and not name.endswith("__")
    return getattr(node.target, "__module__", "") == "_operator" and name in _IN_PLACE_OPERATORS


_IN_PLACE_OPERATORS = ("iadd", "isub", "imul", "itruediv", "imatmul", "ipow")
# These give back what they were given, or a view of it: who changes one changes both.
_VIEWS = (
    "getattr", "getitem", "view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "ravel",
    "squeeze", "unsqueeze", "transpose", "swapaxes", "permute", "movedim", "t", "expand", "expand_as",
    "narrow", "chunk", "split", "unbind", "detach", "contiguous", "to", "float", "double", "type_as",
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "pad",
)  # fmt: skip


def _is_needed(source: Any) -> bool:
    """Say whether a value that is about to be changed in place is, or may be, needed by anything else."""
    from torch.fx import Node

    while (
        isinstance(source, Node) and source.op in ("call_function", "call_method") and len(source.users) == 1
    ):
        if name_of(source) not in _VIEWS:
            return False
        source = source.args[0]
    return True


def layer_words(name: str, layer: object) -> str:
    kind = layer.__name__ if isinstance(layer, type) else type(layer).__name__
    return f"the layer '{name}' ({kind})" if name else f"the module ({kind})"
