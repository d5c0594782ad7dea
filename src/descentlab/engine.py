"""The one descent loop, compiled by JAX and run on batches of rows.

A row is one start with its own base learning rate and its own number of steps. The loop is
written for one row and mapped over a batch, so each coordinate is an array of its own. What a
row does depends on that row alone, to the bit: whatever the batch, its neighbours or the thread.

A row that ends early – its gradient is small enough or not finite, or it left the box under
bounds="stop" – keeps its last point from then on. Nothing raises inside compiled code.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentlab import lbfgs
from descentlab.objective import Objective
from descentlab.optimizers import ChosenOptimizer
from descentlab.rates import LearningRate, make_rule

Array = NDArray[np.float64]
Progress = Callable[[float], object]

TAIL = 16  # recorded steps at the end of every descent: enough to see a period of 8 twice
# Rows run through all their steps in blocks of this many, one block after another inside one
# compiled call: a block stays in the first-level cache (benchmarks/forms.py), and a row that
# takes long holds up the rest of its block only.
BLOCK = 256
# Rows a call are padded up to one of these, so that a new number of starts seldom compiles anew.
CALLS = (8, 256, 2048, 8192)
LOOK = 64  # steps between two looks at whether any row of a block still runs


@dataclass(frozen=True)
class Rows:
    """What to run: starts (row, dim), base rates (row,), numbers of steps (row,)."""

    starts: Array
    rates: Array
    steps: NDArray[np.int64]


@dataclass(frozen=True)
class Trace:
    """Recorded rows. points (row, step, dim), rates (row, step − 1), taken (row,): the steps each
    row really took.

    Values and gradients are not recorded: f.value(points) and f.gradient(points) say them once
    and for all, where XLA may round them differently from one compilation to the next.
    """

    points: Array
    rates: Array
    taken: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Method:
    """How to run: everything the compiled loop depends on. Equal methods share one compilation."""

    objective: Objective
    optimizer: ChosenOptimizer
    rate: LearningRate
    bounds: str
    ascent: bool
    has_tolerance: bool
    precision: str = "float64"

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


def run_all(method: Method, rows: Rows, tolerance: float | None) -> Trace:
    """Run the rows and record every step."""
    longest = int(rows.steps.max(initial=0))
    count, dim = rows.starts.shape
    size = next((c for c in CALLS if count <= c), CALLS[-1])
    run = _recorded(method, _padded_length(longest))
    dtype, limits = np.dtype(method.precision), limits_of(method, tolerance)

    def one(first: int) -> tuple[Any, ...]:
        here = slice(first, min(first + size, count))
        padding = size - (here.stop - here.start)

        def pad(values: NDArray[Any], kind: Any = dtype) -> NDArray[Any]:
            return np.concatenate([values[here], np.repeat(values[first : first + 1], padding)]).astype(kind)

        starts = tuple(pad(rows.starts[:, i]) for i in range(dim))
        with jax.enable_x64(True):
            seen, taken = run(starts, pad(rows.rates), pad(rows.steps, np.int32), limits)
        points, rates = by_row(seen, size - padding, dim)
        counts = np.asarray(taken).reshape(-1)[: size - padding].astype(np.int64)
        return points[:, : longest + 1], rates[:, :longest], counts

    import jax

    firsts = range(0, count, size)
    # JAX releases the interpreter lock while it computes: plain threads use all cores.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = [one(0)] if len(firsts) == 1 else list(pool.map(one, firsts))
    return Trace(*(parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))))


def limits_of(method: Method, tolerance: float | None) -> Limits:
    """Return what all rows share, in the precision of the descent."""
    dtype = np.dtype(method.precision)
    low, high = method.objective.domain.T.astype(dtype)
    return Limits(dtype.type(-1.0 if tolerance is None else tolerance), tuple(low), tuple(high))


def by_row(seen: Any, rows: int, dim: int) -> tuple[Array, Array]:
    """Return what `record` saw, (block, step, what, row in block), as points (row, step, dim) and
    rates (row, step − 1)."""
    blocks = np.asarray(seen).transpose(0, 3, 1, 2)
    flat = blocks.reshape(-1, *blocks.shape[2:])[:rows].astype(np.float64)
    return flat[..., :dim], flat[:, :-1, dim]


def padded_rows(count: int) -> int:
    """Return how many rows are run and recorded for `count` rows."""
    size = next((c for c in CALLS if count <= c), CALLS[-1])
    return -(-count // size) * size


def _padded_length(steps: int) -> int:
    """Round up to a power of two or half way to the next, so that few lengths are compiled."""
    power = 1 << max(steps - 1, 7).bit_length()
    return power * 3 // 4 if steps <= power * 3 // 4 else power


@functools.lru_cache(maxsize=256)
def _recorded(method: Method, length: int) -> Any:
    """Compile: every step recorded."""
    import jax

    loop = make_loop(method)

    def block(starts: Any, rates: Any, steps: Any, limits: Limits) -> Any:
        return record(loop.init(starts), Row(rates, steps, steps), limits, length, loop)

    def blocks(starts: Any, rates: Any, steps: Any, limits: Limits) -> Any:
        size = min(BLOCK, steps.shape[0])
        cut = jax.tree.map(lambda a: a.reshape(-1, size), (starts, rates, steps))
        return jax.lax.map(lambda rows: block(rows[0], rows[1], rows[2], limits), cut)

    return compiled(blocks)


def compiled(run: Callable[..., Any]) -> Any:
    """Return `run` jitted, to be compiled by XLA for the widest vectors."""
    import jax

    # XLA keeps to 256-bit vectors unless asked; the option is this compilation's alone.
    wide = {"xla_cpu_prefer_vector_width": 512} if jax.default_backend() == "cpu" else None
    return jax.jit(run, compiler_options=wide)


def record(state: State, row: Row, limits: Limits, length: int, loop: Loop) -> tuple[Any, Any]:
    """Take `length` steps; return everything seen, (step, what, row), and the steps taken, (row,).

    What is seen, in order: the point's coordinates and the rate. One array behind a barrier,
    because XLA copies several recorded arrays whole at every step.
    """
    import jax
    import jax.numpy as jnp

    barrier: Callable[[Any], Any] = jax.lax.optimization_barrier

    def body(now: State, _: Any) -> tuple[State, Any]:
        after, rate = loop.step(now, row, limits)
        return after, barrier(jnp.stack([*now.x, rate]))

    state, seen = jax.lax.scan(body, state, length=length)
    last = jnp.stack([*state.x, jnp.full_like(state.x[0], jnp.nan)])
    return jnp.concatenate([seen, last[None]]), state.taken


class Loop(NamedTuple):
    """The loop's parts on batches: init(starts), and step(state, row, limits) → state, rate."""

    init: Callable[..., Any]
    step: Callable[..., Any]


def make_loop(method: Method) -> Loop:
    """Write the loop for one row and map it over a batch."""
    import jax
    import jax.numpy as jnp

    objective = method.objective
    # A line search keeps a base behind its trial points: see lbfgs.
    searches = method.optimizer.searches
    transformation = None if searches else method.optimizer.transformation
    adaptive = method.optimizer.row is not None and method.optimizer.row.name == "gd"
    rule_init, rule = make_rule(method.rate, adaptive, objective.may_kink and objective.text is not None)

    def downhill(g: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(-c for c in g) if method.ascent else g

    def look(x: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        return objective.jax_value_and_gradient(x)

    def init(x: tuple[Any, ...]) -> State:
        memory = lbfgs.begin(x) if searches else transformation.init(x)
        return State(x, memory, rule_init(x, x), jnp.asarray(False), jnp.asarray(0, jnp.int32))

    def move(state: State, f: Any, g: tuple[Any, ...], row: Row, limits: Limits) -> tuple[Any, ...]:
        """One update: the new point, the rate, and the two memories."""
        d = downhill(g)
        if searches:
            last = state.taken + 1 >= row.steps
            height = -f if method.ascent else f
            return (
                *lbfgs.advance(state.x, height, d, row.rate, last, state.memory, limits, method.bounds),
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
            new = tuple(map(jnp.clip, new, limits.low, limits.high))
        return new, rate, memory, rule_memory

    def step(state: State, row: Row, limits: Limits) -> tuple[State, Any]:
        f, g = look(state.x)
        box = list(zip(limits.low, limits.high, strict=True))
        numbers = (f, *g) if objective.may_be_undefined else g
        over = ~functools.reduce(jnp.logical_and, map(jnp.isfinite, numbers))
        if method.has_tolerance:
            d = downhill(g)
            over = over | (
                _norm(_projected(state.x, d, box) if method.bounds == "clip" else d) <= limits.tolerance
            )
        if searches:
            over = over & lbfgs.may_end(-f if method.ascent else f, state.memory)
        ended = state.ended | over
        go = ~ended & (state.taken < row.pause)
        new, rate, memory, rule_memory = move(state, f, g, row, limits)
        # A row that pauses keeps its memory too, and goes on from it later.
        x, memory, rule_memory = jax.tree.map(
            lambda a, b: jnp.where(go, a, b),
            (new, memory, rule_memory),
            (state.x, state.memory, state.rule_memory),
        )
        if method.bounds == "stop":
            visited = memory.x if searches else x
            outside = [(c < low) | (c > high) for c, (low, high) in zip(visited, box, strict=True)]
            ended = ended | functools.reduce(jnp.logical_or, outside)
        after = State(x, memory, rule_memory, ended, state.taken + go.astype(jnp.int32))
        return after, jnp.where(go, rate, jnp.nan)

    shared = Limits(None, None, None)  # type: ignore[arg-type]  # in_axes: not mapped
    return Loop(jax.vmap(init), jax.vmap(step, in_axes=(0, 0, shared)))


def _norm(g: tuple[Any, ...]) -> Any:
    import jax.numpy as jnp

    return jnp.sqrt(sum(c * c for c in g))


def _projected(x: tuple[Any, ...], d: tuple[Any, ...], box: list[tuple[Any, Any]]) -> tuple[Any, ...]:
    """Return d without the coordinates held at a bound: where −d points outward there.

    Not x − P(x − d): that adds a gradient to a length, and so depends on the units of f and x.
    """
    import jax.numpy as jnp

    return tuple(
        jnp.where(((c <= low) & (s > 0)) | ((c >= high) & (s < 0)), 0.0, s)
        for c, s, (low, high) in zip(x, d, box, strict=True)
    )
