"""One step of descent, written once for one row: read by JAX, compiled, or by NumPy, for small work.

A row is one start with its own base learning rate and its own number of steps. Each coordinate
is an array of its own. What a row does depends on that row alone, to the bit: whatever the batch,
its neighbours or the thread. A row that ends early – its gradient is small enough or not finite,
or it left the box under bounds="stop" – keeps its last point from then on. Nothing raises here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from descentlab.lbfgs import advance, begin, may_end
from descentlab.objective import FormulaObjective, Objective
from descentlab.optimizers import ChosenOptimizer
from descentlab.program import NUMPY, run
from descentlab.rates import LearningRate, make_rule


@dataclass(frozen=True, eq=False)
class Method:
    """How to run: everything the compiled loop depends on. Equal methods share one compilation.

    arithmetic: "jax", compiled, or "numpy", for small work (see `small`).
    """

    objective: Objective
    optimizer: ChosenOptimizer
    rate: LearningRate
    bounds: str
    ascent: bool
    has_tolerance: bool
    precision: str = "float64"
    arithmetic: str = "jax"

    def __getstate__(self) -> dict[str, Any]:
        """Leave what is cached behind: it holds hashes, which differ between processes."""
        return {name: value for name, value in vars(self).items() if name != "_identity"}

    @functools.cached_property
    def _identity(self) -> tuple[Any, ...]:
        return (
            self.objective.key,
            self.objective.dim,
            self.optimizer,
            self.rate.rule,
            self.bounds,
            self.ascent,
            self.has_tolerance,
            self.precision,
            self.arithmetic,
        )

    @property
    def repeats(self) -> bool:
        """Whether a step depends on the row's state alone, not on the step's number: then a state
        that comes back comes back for ever."""
        return self.rate.kind in ("fixed", "gradient", "auto")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Method) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)


class State(NamedTuple):
    """One row between two steps."""

    x: tuple[Any, ...]
    memory: Any
    rule_memory: Any
    ended: Any
    taken: Any


class Row(NamedTuple):
    """What belongs to one row throughout: its base rate, its steps, and where to pause."""

    rate: Any
    steps: Any
    pause: Any


class Limits(NamedTuple):
    """What all rows share: the tolerance on the gradient norm, and the box."""

    tolerance: Any
    low: tuple[Any, ...]
    high: tuple[Any, ...]


class Loop(NamedTuple):
    """The loop's parts on batches: init(starts), and step(state, row, limits) → state, rate."""

    init: Callable[..., Any]
    step: Callable[..., Any]


def limits_of(method: Method, tolerance: float | None) -> Limits:
    """Return what all rows share, in the precision of the descent."""
    dtype = np.dtype(method.precision)
    low, high = method.objective.domain.T.astype(dtype)
    return Limits(dtype.type(-1.0 if tolerance is None else tolerance), tuple(low), tuple(high))


def make_loop(method: Method, parameters: Sequence[Any] | None = None) -> Loop:
    """Return the loop for JAX: written for one row, mapped over a batch.

    parameters: the optimizer's, being traced; by default constants, which run a little faster.
    """
    import jax

    def choose(go: Any, new: Any, old: Any) -> Any:
        return jax.tree.map(lambda a, b: jax.numpy.where(go, a, b), new, old)

    # A line search has no transformation: it keeps a base behind its trial points (see lbfgs).
    chosen, transformation = method.optimizer, None
    if not chosen.searches:
        transformation = chosen.transformation if parameters is None else chosen.made(parameters)
    parts = _write(method, jax.numpy, method.objective.jax_value_and_gradient, transformation, choose)
    shared = Limits(None, None, None)  # type: ignore[arg-type]  # in_axes: not mapped
    return Loop(jax.vmap(parts.init), jax.vmap(parts.step, in_axes=(0, 0, shared)))


def make_numpy_loop(method: Method) -> Loop:
    """Return the loop for NumPy: plain descent on a formula. Every operation is elementwise, so
    what is written for one row serves a batch."""
    objective = method.objective
    assert isinstance(objective, FormulaObjective)

    def look(x: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        f, *g = (np.broadcast_to(out, x[0].shape) for out in run(objective.program, x, NUMPY))
        return f, tuple(g)

    return _write(method, np, look, _PlainDescent(), _choose_arrays)


class _PlainDescent:
    """What optax's sgd is at learning rate one."""

    def init(self, x: Any) -> Any:
        return ()

    def update(self, d: tuple[Any, ...], memory: Any, x: Any) -> tuple[tuple[Any, ...], Any]:
        return tuple(-c for c in d), memory


def map_arrays(f: Callable[..., Any], *trees: Any) -> Any:
    """Apply f to the arrays of nested tuples of the same shape."""
    if not isinstance(trees[0], tuple):
        return f(*trees)
    parts = [map_arrays(f, *some) for some in zip(*trees, strict=True)]
    return type(trees[0])(*parts) if hasattr(trees[0], "_fields") else tuple(parts)


def _choose_arrays(go: Any, new: Any, old: Any) -> Any:
    return map_arrays(lambda a, b: np.where(go, a, b), new, old)


def _write(
    method: Method,
    xp: ModuleType,
    look: Callable[..., Any],
    transformation: Any,
    choose: Callable[..., Any],
) -> Loop:
    """Write the loop with the array module xp. look(x) → f, ∇f; choose(go, new, old) picks between
    nested arrays."""
    objective = method.objective
    searches = method.optimizer.searches
    adaptive = method.optimizer.row is not None and method.optimizer.row.name == "gd"
    kinked = objective.may_kink and objective.text is not None
    rule_init, rule = make_rule(method.rate, adaptive, kinked, xp)

    def downhill(g: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(-c for c in g) if method.ascent else g

    def init(x: tuple[Any, ...]) -> State:
        memory = begin(x) if searches else transformation.init(x)
        return State(x, memory, rule_init(x, x), xp.zeros_like(x[0], bool), xp.zeros_like(x[0], np.int32))

    def move(state: State, f: Any, g: tuple[Any, ...], row: Row, limits: Limits) -> tuple[Any, ...]:
        """One update: the new point, the rate, and the two memories."""
        d = downhill(g)
        if searches:
            last = state.taken + 1 >= row.steps
            height = -f if method.ascent else f
            return (
                *advance(state.x, height, d, row.rate, last, state.memory, limits, method.bounds),
                (),
            )
        k = state.taken.astype(row.rate.dtype)
        n = row.steps.astype(row.rate.dtype)
        rate, rule_memory = rule(row.rate, k, n, state.x, d, state.rule_memory)
        if method.optimizer.row is None:
            height = -f if method.ascent else f
            extra = {"value": height, "grad": d, "value_fn": lambda p: downhill((look(p)[0],))[0]}
        else:
            extra = {}
        update, memory = transformation.update(d, state.memory, state.x, **extra)
        new = tuple(a + rate * u for a, u in zip(state.x, update, strict=True))
        if method.bounds == "clip":
            new = tuple(map(xp.clip, new, limits.low, limits.high))
        return new, rate, memory, rule_memory

    def step(state: State, row: Row, limits: Limits) -> tuple[State, Any]:
        f, g = look(state.x)
        box = list(zip(limits.low, limits.high, strict=True))
        numbers = (f, *g) if objective.may_be_undefined else g
        over = ~functools.reduce(xp.logical_and, map(xp.isfinite, numbers))
        if method.has_tolerance:
            d = downhill(g)
            over = over | (
                _norm(_projected(state.x, d, box, xp) if method.bounds == "clip" else d, xp)
                <= limits.tolerance
            )
        if searches:
            over = over & may_end(-f if method.ascent else f, state.memory)
        ended = state.ended | over
        go = ~ended & (state.taken < row.pause)
        new, rate, memory, rule_memory = move(state, f, g, row, limits)
        # A row that pauses keeps its memory too, and goes on from it later.
        x, memory, rule_memory = choose(
            go, (new, memory, rule_memory), (state.x, state.memory, state.rule_memory)
        )
        if method.bounds == "stop":
            visited = memory.x if searches else x
            outside = [(c < low) | (c > high) for c, (low, high) in zip(visited, box, strict=True)]
            ended = ended | functools.reduce(xp.logical_or, outside)
        after = State(x, memory, rule_memory, ended, state.taken + go.astype(np.int32))
        return after, xp.where(go, rate, xp.nan)

    return Loop(init, step)


def _norm(g: tuple[Any, ...], xp: ModuleType) -> Any:
    return xp.sqrt(sum(c * c for c in g))


def _projected(
    x: tuple[Any, ...], d: tuple[Any, ...], box: list[tuple[Any, Any]], xp: ModuleType
) -> tuple[Any, ...]:
    """Return d without the coordinates held at a bound: where −d points outward there.

    Not x − P(x − d): that adds a gradient to a length, and so depends on the units of f and x.
    """
    return tuple(
        xp.where(((c <= low) & (s > 0)) | ((c >= high) & (s < 0)), 0.0, s)
        for c, s, (low, high) in zip(x, d, box, strict=True)
    )
