"""Align the hidden units of one network with those of another: the same function, other weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# Layers that act on each unit by itself, alike for all: units may trade places through them …
ELEMENTWISE = (
    "ReLU", "ReLU6", "LeakyReLU", "ELU", "CELU", "SELU", "GELU", "SiLU", "Mish", "Softplus", "Sigmoid", "LogSigmoid",
    "Hardsigmoid", "Hardswish", "Hardshrink", "Threshold", "Tanh", "Softsign", "Tanhshrink", "Softshrink", "Hardtanh",
    "Identity", "Dropout", "AlphaDropout",
)  # fmt: skip
# … and through these they may also change sign: φ(−z) = −φ(z). (Hardtanh only with symmetric limits.)
ODD = ("Tanh", "Softsign", "Tanhshrink", "Softshrink", "Hardshrink", "Identity", "Dropout")


@dataclass(frozen=True, eq=False)
class Alignment:
    """The second network with its hidden units in the first one's order.

    state: its state dict, as tensors; as a function it is the second network still. permutations: for each
    hidden layer, which unit of the second stands at each place; signs: +1, or −1 where the unit is flipped.
    distance, distance_before: between both networks' weights (‖·‖₂ over all Linear layers), after and before.
    """

    state: Mapping[str, torch.Tensor]
    permutations: tuple[Int[np.ndarray, " unit"], ...]
    signs: tuple[Float[np.ndarray, " unit"], ...]
    distance: float
    distance_before: float
    rounds: int


@dataclass(frozen=True, eq=False)
class Layers:
    """A multilayer perceptron: the names of its Linear layers, and where signs may flip between them."""

    names: tuple[str, ...]
    odd: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Order:
    """Which unit of a layer stands at each place, and its sign."""

    places: Indices
    signs: Array

    def rows(self, weight: Array) -> Array:
        """Return a weight or bias with its outputs in this order."""
        return np.asarray((weight[self.places].T * self.signs).T)

    def columns(self, weight: Array) -> Array:
        """Return a weight with its inputs in this order."""
        return np.asarray(weight[:, self.places] * self.signs)

    def same(self, other: Order) -> bool:
        return np.array_equal(self.places, other.places) and np.array_equal(self.signs, other.signs)


def align(model: torch.nn.Module, first: Any, second: Any) -> Alignment:
    """Permute the hidden units of `second`, and flip signs where tanh allows it, to be nearest to `first`.

    Weight matching of Ainsworth, Hayase & Srinivasa 2023 ("Git Re-Basin", algorithm 1): with P the order of
    a hidden layer, W_in, b its incoming weights and bias and W_out its outgoing weights,

        max over P of ⟨P, W_in¹ P₋₁ W_in²ᵀ + b¹ b²ᵀ + W_out¹ᵀ P₊₁ W_out²⟩

    is a linear assignment, solved exactly, layer by layer until nothing changes. That is a fixed point, not
    surely the nearest order of all, once there are two hidden layers; three ways to begin are tried (as they
    are, forwards, backwards). Where signs may flip, the entry's sign is the unit's, its absolute value counts.

    model: a Sequential of Linear layers with elementwise activations between them; first, second: state
    dicts or modules of its kind. Raises InputError for other architectures.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
    >>> first = model.state_dict()
    >>> other = {"0.weight": -first["0.weight"].flip(0), "0.bias": -first["0.bias"].flip(0),
    ...          "2.weight": -first["2.weight"].flip(1), "2.bias": first["2.bias"]}
    >>> found = align(model, first, other)
    >>> found.permutations[0], found.signs[0], found.distance
    (array([1, 0]), array([-1., -1.]), 0.0)
    """
    layers = read_layers(model)
    states = [read_state(given, what) for given, what in ((first, "The first"), (second, "The second"))]
    a, b = (
        _weights(model, layers, state, what) for state, what in zip(states, ("first", "second"), strict=True)
    )
    same = [_unchanged(len(w)) for w, _ in a[:-1]]
    forwards = _begin(a, b, layers, same, range(len(same)))
    backwards = _begin(a, b, layers, same, range(len(same))[::-1])
    ends = [_match(a, b, layers, orders) for orders in (same, forwards, backwards)]
    apart = [_distance(a, _ordered(b, orders)) for orders, _ in ends]
    best = int(np.argmin(apart))
    orders, rounds = ends[best]
    return Alignment(
        _state(states[1], layers, _ordered(b, orders)),
        tuple(order.places for order in orders),
        tuple(order.signs for order in orders),
        apart[best],
        _distance(a, b),
        rounds,
    )


def read_layers(model: torch.nn.Module) -> Layers:
    """Return the Linear layers of a multilayer perceptron; raise InputError with the reason if it is another thing."""
    import torch

    def is_chain(module: torch.nn.Module) -> bool:
        return isinstance(module, torch.nn.Sequential) and type(module).forward is torch.nn.Sequential.forward

    if not is_chain(model):
        raise InputError(
            f"Alignment knows Linear layers in a torch.nn.Sequential, but the model is a {type(model).__name__}."
        )
    names: list[str] = []
    odd: list[bool] = []
    flips = True
    parts = [(name, m) for name, m in model.named_modules(remove_duplicate=False) if not is_chain(m)]
    linear = [m for _, m in parts if isinstance(m, torch.nn.Linear)]
    if len({id(m.weight) for m in linear}) < len(linear):
        raise InputError("Alignment knows no layers that share their weights.")
    left = len(linear)
    for name, module in parts:
        kind = type(module).__name__
        if kind == "Linear":
            if names:
                odd.append(flips)
            names.append(name)
            flips, left = True, left - 1
        elif any(True for _ in module.parameters()) or any(True for _ in module.buffers()):
            raise InputError(f"Alignment does not know how units pass through '{name}' ({kind}).")
        elif names and left:  # between two Linear layers
            if kind not in ELEMENTWISE:
                raise InputError(f"Alignment does not know how units pass through '{name}' ({kind}).")
            symmetric = kind == "Hardtanh" and module.min_val == -module.max_val
            flips = flips and (kind in ODD or symmetric)
    if len(names) < 2:
        raise InputError("The model has no hidden layer, so there is nothing to align.")
    return Layers(tuple(names), tuple(odd))


def read_state(given: Any, what: str) -> dict[str, torch.Tensor]:
    """Return a module's or a mapping's entries as tensors."""
    import torch

    if isinstance(given, torch.nn.Module):
        given = given.state_dict()
    if not isinstance(given, Mapping):
        raise InputError(
            f"{what} solution must be a state dict or a module, but it is a {type(given).__name__}."
        )
    return {
        str(name): torch.as_tensor(entry).detach()
        for name, entry in given.items()
        if isinstance(entry, (torch.Tensor, np.ndarray))
    }


Weights = list[tuple[Array, Array]]


def _weights(model: torch.nn.Module, layers: Layers, state: Mapping[str, Any], what: str) -> Weights:
    """Return weight and bias of each Linear layer in float64; a layer without a bias has one of zeros."""
    found = []
    expected = model.state_dict()
    for layer in layers.names:
        pair: list[Array] = []
        for part in (f"{layer}.weight", f"{layer}.bias"):
            if part not in expected:
                pair.append(np.zeros(len(pair[0])))
                continue
            if part not in state:
                raise InputError(f"The {what} solution has no '{part}', which the model has.")
            if state[part].shape != expected[part].shape:
                raise InputError(
                    f"In the {what} solution, '{part}' has the shape {tuple(state[part].shape)}, in the model "
                    f"{tuple(expected[part].shape)}."
                )
            pair.append(state[part].cpu().double().numpy())
        found.append((pair[0], pair[1]))
    return found


def _unchanged(count: int) -> Order:
    return Order(np.arange(count), np.ones(count))


def _agreement(
    a: Weights, b: Weights, orders: list[Order], layer: int, incoming: bool = True, outgoing: bool = True
) -> Array:
    """Return how well unit j of the second fits place i of the first, (i, j), the other layers as they stand."""
    total = np.zeros((len(a[layer][0]),) * 2)
    if incoming:
        before = b[layer][0] if layer == 0 else orders[layer - 1].columns(b[layer][0])
        total += a[layer][0] @ before.T + np.outer(a[layer][1], b[layer][1])
    if outgoing:
        after = b[layer + 1][0] if layer + 1 == len(orders) else orders[layer + 1].rows(b[layer + 1][0])
        total += a[layer + 1][0].T @ after
    return total


def _assigned(agreement: Array, odd: bool) -> Order:
    """Return the order of greatest agreement."""
    from scipy.optimize import linear_sum_assignment

    rows, places = linear_sum_assignment(np.abs(agreement) if odd else agreement, maximize=True)
    signs = np.where(agreement[rows, places] < 0, -1.0, 1.0) if odd else np.ones(len(rows))
    return Order(np.asarray(places, dtype=np.int64), signs)


def _begin(a: Weights, b: Weights, layers: Layers, same: list[Order], sequence: range) -> list[Order]:
    """Return a first guess: each layer by the side that is settled already, from one end to the other."""
    orders = list(same)
    ahead = sequence.step > 0
    for layer in sequence:
        agreement = _agreement(a, b, orders, layer, incoming=ahead, outgoing=not ahead)
        orders[layer] = _assigned(agreement, layers.odd[layer])
    return orders


def _match(a: Weights, b: Weights, layers: Layers, orders: list[Order]) -> tuple[list[Order], int]:
    """Return the orders improved layer by layer until none changes, and in how many rounds."""
    orders, rounds, changed = list(orders), 0, True
    while changed:
        rounds, changed = rounds + 1, False
        for layer, order in enumerate(orders):
            agreement = _agreement(a, b, orders, layer)
            found = _assigned(agreement, layers.odd[layer])
            # Agreement grows with every change, so this ends; ties would go round for ever.
            gained = _total(agreement, found) - _total(agreement, order)
            if not found.same(order) and gained > 1e-12 * np.abs(agreement).max():
                orders[layer], changed = found, True
    return orders, rounds


def _total(agreement: Array, order: Order) -> float:
    return float((agreement[np.arange(len(agreement)), order.places] * order.signs).sum())


def _ordered(b: Weights, orders: list[Order]) -> Weights:
    """Return the weights with the hidden units in these orders."""
    changed = []
    for layer, (weight, bias) in enumerate(b):
        if layer > 0:
            weight = orders[layer - 1].columns(weight)
        if layer < len(orders):
            weight, bias = orders[layer].rows(weight), orders[layer].rows(bias)
        changed.append((weight, bias))
    return changed


def _distance(a: Weights, b: Weights) -> float:
    squares = sum(
        float(((x - y) ** 2).sum())
        for one, two in zip(a, b, strict=True)
        for x, y in zip(one, two, strict=True)
    )
    return float(np.sqrt(squares))


def _state(state: Mapping[str, torch.Tensor], layers: Layers, weights: Weights) -> dict[str, torch.Tensor]:
    """Return the state dict with these weights, in its own dtype."""
    import torch

    changed = {name: entry.clone() for name, entry in state.items()}
    for layer, (weight, bias) in zip(layers.names, weights, strict=True):
        for part, values in ((f"{layer}.weight", weight), (f"{layer}.bias", bias)):
            if part in changed:
                changed[part] = torch.as_tensor(values).to(changed[part])
    return changed
