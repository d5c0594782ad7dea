"""The loop compiled by JAX, with every step recorded; and what all ways of running rows share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.loop import Limits, Loop, Method, Row, State, limits_of, make_loop

Array = NDArray[np.float64]
Progress = Callable[[float], object]

TAIL = 16  # recorded steps at the end of every descent: enough to see a period of 8 twice
# Rows run through all their steps in blocks of this many, one block after another inside one
# compiled call: a block stays in the first-level cache (benchmarks/forms.py), and a row that
# takes long holds up the rest of its block only.
BLOCK = 256
# Rows a call are padded up to one of these, so that a new number of starts seldom compiles anew.
CALLS = (8, 256, 2048, 8192)


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


@dataclass(frozen=True)
class Ends:
    """Rows at their ends. points (row, dim); taken (row,): steps really taken; ended (row,): whether
    the row ended by itself before its last 16 steps. Rows that did not, `open` of them, in order, have
    these steps in tails (open, step, dim) and tail_rates (open, step − 1).
    """

    points: Array
    taken: NDArray[np.int64]
    ended: NDArray[np.bool_]
    tails: Array
    tail_rates: Array

    def trace(self) -> Trace:
        """Return the last steps of all rows; one that ended by itself repeats its last point."""
        points = np.repeat(self.points[:, None], self.tails.shape[1], axis=1)
        rates = np.full((len(points), self.tails.shape[1] - 1), np.nan)
        points[~self.ended], rates[~self.ended] = self.tails, self.tail_rates
        return Trace(points, rates, self.taken)


def run_all(method: Method, rows: Rows, tolerance: float | None) -> Trace:
    """Run the rows and record every step."""
    longest = int(rows.steps.max(initial=0))
    count, dim = rows.starts.shape
    size = next((c for c in CALLS if count <= c), CALLS[-1])
    run, numbers = _recorded(bare(method), _padded_length(longest)), traced(method)
    dtype, limits = np.dtype(method.precision), limits_of(method, tolerance)

    def one(first: int) -> tuple[Any, ...]:
        here = slice(first, min(first + size, count))
        padding = size - (here.stop - here.start)

        def pad(values: NDArray[Any], kind: Any = dtype) -> NDArray[Any]:
            return np.concatenate([values[here], np.repeat(values[first : first + 1], padding)]).astype(kind)

        starts = tuple(pad(rows.starts[:, i]) for i in range(dim))
        with jax.enable_x64(True):
            seen, taken = run(starts, pad(rows.rates), pad(rows.steps, np.int32), limits, numbers)
        points, rates = by_row(seen, size - padding, dim)
        counts = np.asarray(taken).reshape(-1)[: size - padding].astype(np.int64)
        return points[:, : longest + 1], rates[:, :longest], counts

    import jax

    firsts = range(0, count, size)
    # JAX releases the interpreter lock while it computes: plain threads use all cores.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = [one(0)] if len(firsts) == 1 else list(pool.map(one, firsts))
    return Trace(*(parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))))


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


def bare(method: Method) -> Method:
    """Return the method without the numbers that JAX traces, so that others compile nothing again."""
    return replace(method, optimizer=method.optimizer.bare, rate=replace(method.rate, decay=1.0))


# The optimizer's parameters, and the decay of the learning rate.
Numbers = tuple[tuple[Any, ...], Any]


def traced(method: Method) -> Numbers:
    """Return those numbers."""
    return method.optimizer.values(method.precision), np.dtype(method.precision).type(method.rate.decay)


def traced_loop(method: Method, numbers: Numbers) -> Loop:
    """Return the loop of a bare method with its numbers, which JAX may be tracing.

    All that is compiled has them as arguments, records or not: as constants they would be rounded differently.
    """
    parameters, decay = numbers
    return make_loop(replace(method, rate=replace(method.rate, decay=decay)), parameters)


@functools.lru_cache(maxsize=256)
def _recorded(method: Method, length: int) -> Any:
    """Compile: every step recorded."""
    import jax

    def blocks(starts: Any, rates: Any, steps: Any, limits: Limits, numbers: Numbers) -> Any:
        loop = traced_loop(method, numbers)

        def block(starts: Any, rates: Any, steps: Any) -> Any:
            return record(loop.init(starts), Row(rates, steps, steps), limits, length, loop)

        size = min(BLOCK, steps.shape[0])
        cut = jax.tree.map(lambda a: a.reshape(-1, size), (starts, rates, steps))
        return jax.lax.map(lambda rows: block(*rows), cut)

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
