"""The batch loop: rows of any length through a fixed number of slots.

A compiled loop steps all slots; whenever enough rows have ended, these leave for a log, and the next
rows of the queue take their slots – what continuous batching does for language models – so a slow
row holds nobody up. Shapes are constant: rows, rates, steps and tolerance change without
compiling anew. What a row does depends on that row alone, to the bit.

A row whose state comes back bit for bit will come back for ever – a cycle, a plateau, an
update too small to move a double – so its remaining rounds are skipped, and it ends as if it had
taken them.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentlab.engine import (
    TAIL,
    Ends,
    Numbers,
    Progress,
    Rows,
    bare,
    by_row,
    compiled,
    record,
    traced,
    traced_loop,
)
from descentlab.loop import Limits, Loop, Method, Row, State, limits_of
from descentlab.small import run_small

Array = NDArray[np.float64]

# Rows a call are padded up to one of these, so that a new number of rows seldom compiles anew.
# All have as many slots, because XLA rounds differently where arrays are shorter.
QUEUES = (256, 8192, 65_536)
# Slots on a CPU: as many rows as stay in the first-level cache (benchmarks/forms.py). On a GPU: enough to fill it.
SLOTS = {"cpu": 256}
MANY_SLOTS = 65_536
LOOK = 8  # steps between two counts of the rows that have ended
LOOKS = 32  # counts between two looks for states that have come back
# Slots are refilled once those left idle have cost as much as a refill does: so many steps of one row.
IDLE = 4096


def run_ends(
    method: Method,
    rows: Rows,
    tolerance: float | None,
    progress: Progress | None = None,
    cores: int | None = None,
) -> Ends:
    """Run the rows; keep their ends, and the last 16 steps of those that ran out of steps.

    progress: called with the share of the rows done, whenever some are; cores: how many to use,
    default all.
    """
    return run_ends_of_many([(method, rows)], tolerance, progress, cores)[0]


def run_ends_of_many(
    work: Sequence[tuple[Method, Rows]],
    tolerance: float | None,
    progress: Progress | None = None,
    cores: int | None = None,
) -> list[Ends]:
    """Run several methods for one objective, compiled together, on rows that differ in their rates only."""
    rows = work[0][1]
    count = len(rows.starts)
    methods = tuple(method for method, _ in work)
    if methods[0].arithmetic == "numpy":
        return [run_small(*each, tolerance) for each in work]
    import jax

    tail = min(TAIL, int(rows.steps.max(initial=0)))
    if jax.default_backend() != "cpu":
        cores = 1
    cores = cores or os.cpu_count() or 1
    # Every core gets a piece, unless there is too little to share; a piece is at most the longest queue.
    size = min(-(-count // cores) if count > QUEUES[0] else count, QUEUES[-1])
    queue = next(q for q in QUEUES if size <= q)
    firsts = range(0, count, size)

    def one(first: int) -> list[Ends]:
        here = slice(first, min(first + size, count))
        parts = [Rows(r.starts[here], r.rates[here], r.steps[here]) for _, r in work]
        return _run_queue(methods, parts, tolerance, queue, tail)

    if len(firsts) == 1:
        return one(0)
    # JAX releases the interpreter lock while it computes: plain threads use all cores.
    pieces = []
    with ThreadPoolExecutor(cores) as pool:
        for piece in pool.map(one, firsts):
            pieces.append(piece)
            if progress is not None:
                progress(len(pieces) / len(firsts))
    return [
        Ends(*(np.concatenate([getattr(p, name) for p in of_method]) for name in Ends.__dataclass_fields__))
        for of_method in zip(*pieces, strict=True)
    ]


def _run_queue(
    methods: tuple[Method, ...], parts: list[Rows], tolerance: float | None, queue: int, tail: int
) -> list[Ends]:
    import jax

    count, dim = parts[0].starts.shape
    dtype = np.dtype(methods[0].precision)

    def pad(values: NDArray[Any], kind: Any = dtype) -> NDArray[Any]:
        padded = np.zeros(queue, kind)
        padded[:count] = values
        return padded

    limits = limits_of(methods[0], tolerance)
    with jax.enable_x64(True):
        logs = _batch_loop(tuple(map(bare, methods)), queue)(
            tuple(pad(parts[0].starts[:, i]) for i in range(dim)),
            tuple(pad(rows.rates) for rows in parts),
            pad(parts[0].steps, np.int32),
            np.int32(count),
            np.int32(tail),
            limits,
            tuple(map(traced, methods)),
        )
        found = []
        for method, rows, (row, states) in zip(methods, parts, logs, strict=True):
            place = np.empty(count, np.int64)
            place[np.asarray(row)[:count]] = np.arange(count)
            states = jax.tree.map(lambda leaf, at=place: np.asarray(leaf)[at], states)
            found.append(_finish(method, rows, states, limits, tail))
    return found


def _finish(method: Method, rows: Rows, states: State, limits: Limits, tail: int) -> Ends:
    """Take the last steps of the rows that did not end by themselves, recording them."""
    dim = len(states.x)
    points = np.stack(states.x, axis=1).astype(np.float64)
    taken = states.taken.astype(np.int64)
    ended = states.ended
    left = np.flatnonzero(~ended)
    tails, rates = np.empty((len(left), tail + 1, dim)), np.empty((len(left), tail))
    for first in range(0, len(left), QUEUES[-1]):
        here = left[first : first + QUEUES[-1]]
        size = next(q for q in QUEUES if len(here) <= q)
        at = np.concatenate([here, np.repeat(here[:1], size - len(here))])
        steps = rows.steps[at].astype(np.int32)
        row = Row(rows.rates[at].astype(method.precision), steps, steps)
        import jax

        seen, after = _last_steps(bare(method), tail, size)(
            jax.tree.map(lambda leaf, at=at: leaf[at], states), row, limits, traced(method)
        )
        out = slice(first, first + len(here))
        tails[out], rates[out] = by_row(seen, len(here), dim)
        points[here] = tails[out, -1]
        taken[here] = np.asarray(after).reshape(-1)[: len(here)]
    return Ends(points, taken, ended, tails, rates)


class _Slots(NamedTuple):
    """The loop's own state: what is in the slots, and the log of rows that have left."""

    state: State
    row: Any  # (slot,): the row in each slot, −1 for none
    work: Row  # (slot,)
    next: Any  # the next row of the queue
    done: Any  # how many rows are in the log
    log: Any  # (queue + slots,): their rows and states, in the order of leaving


def slots_of(queue: int) -> int:
    """Return how many slots a queue of that length runs through."""
    import jax

    return min(SLOTS.get(jax.default_backend(), MANY_SLOTS), queue)


# Several threads ask for one program at once; without this each would compile it.
_compiling = threading.Lock()


def _once(compile_: Callable[..., Any]) -> Callable[..., Any]:
    """Let `compile_` run once for each of its arguments, whoever asks."""
    cached = functools.lru_cache(maxsize=256)(compile_)

    @functools.wraps(compile_)
    def locked(*arguments: Any) -> Any:
        with _compiling:
            return cached(*arguments)

    return locked


@_once
def _batch_loop(methods: tuple[Method, ...], queue: int) -> Any:
    """Compile the batch loop for bare methods: (starts, rates, steps, count, tail, limits, numbers) → logs."""
    slots = slots_of(queue)

    def run(
        starts: Any,
        rates: Any,
        steps: Any,
        count: Any,
        tail: Any,
        limits: Limits,
        numbers: tuple[Numbers, ...],
    ) -> Any:
        return [
            _through_slots(traced_loop(method, own), method, slots, starts, r, steps, count, tail, limits)
            for method, own, r in zip(methods, numbers, rates, strict=True)
        ]

    dim, zero = methods[0].objective.dim, np.int32(0)
    numbers, steps = np.empty(queue, methods[0].precision), np.empty(queue, np.int32)
    given = (numbers,) * dim, (numbers,) * len(methods), steps, zero, zero, limits_of(methods[0], None)
    return compiled(run).lower(*given, tuple(map(traced, methods))).compile()


def _through_slots(
    loop: Loop,
    method: Method,
    slots: int,
    starts: Any,
    rates: Any,
    steps: Any,
    count: Any,
    tail: Any,
    limits: Limits,
) -> Any:
    """Run `count` rows of the queue through the slots; return the log."""
    import jax
    import jax.numpy as jnp

    def load(row: Any) -> tuple[State, Row]:
        """Return the initial states and the work of these rows of the queue."""
        at = jnp.clip(row, 0, steps.shape[0] - 1)
        state = loop.init(tuple(c[at] for c in starts))
        return state._replace(ended=row < 0), Row(rates[at], steps[at], steps[at] - tail)

    def left(s: _Slots) -> Any:
        """Tell which slots hold a row that has ended, or has only its recorded steps to go."""
        return (s.row >= 0) & (s.state.ended | (s.state.taken >= s.work.pause))

    def step(s: _Slots) -> _Slots:
        """Step until refilling pays, or all rows have ended, or for LOOKS looks."""
        active = jnp.sum(s.row >= 0)
        most = jnp.where(s.next < count, IDLE, np.iinfo(np.int64).max)

        def goes_on(carry: Any) -> Any:
            looks, idle, free, _ = carry
            return (looks < LOOKS) & (idle < most) & (free < active)

        def look(carry: Any) -> Any:
            looks, idle, _, state = carry
            onward = jax.lax.fori_loop(0, LOOK, lambda _, now: loop.step(now, s.work, limits)[0], state)
            free = jnp.sum(left(s._replace(state=onward)))
            return looks + 1, idle + LOOK * free, free, onward

        begun = 0, jnp.int64(0), jnp.int64(0), s.state
        return s._replace(state=jax.lax.while_loop(goes_on, look, begun)[3])

    def skip(before: _Slots, s: _Slots) -> _Slots:
        """Skip whole rounds of states that have come back to where they were."""
        went = s.state.taken - before.state.taken
        same = [
            jnp.all(a == b, axis=tuple(range(1, a.ndim)))
            for a, b in zip(
                jax.tree.leaves((s.state.x, s.state.memory, s.state.rule_memory)),
                jax.tree.leaves((before.state.x, before.state.memory, before.state.rule_memory)),
                strict=True,
            )
        ]
        back = functools.reduce(jnp.logical_and, same) & (went > 0) & ~s.state.ended
        rounds = jnp.maximum(s.work.pause - s.state.taken, 0) // jnp.maximum(went, 1)
        return s._replace(state=s.state._replace(taken=s.state.taken + jnp.where(back, rounds * went, 0)))

    def refill(s: _Slots) -> _Slots:
        """Move the rows that left to the log, and the next ones of the queue into their slots."""
        leaving = left(s)
        rank = jnp.cumsum(leaving, dtype=jnp.int32)
        gone = rank[-1]
        first = jnp.searchsorted(rank, jnp.arange(1, slots + 1), method="scan")
        first = jnp.minimum(first, slots - 1)
        log = jax.tree.map(
            lambda all_, leaf: jax.lax.dynamic_update_slice_in_dim(all_, leaf[first], s.done, 0),
            s.log,
            (s.row, s.state),
        )
        row = s.next + rank - 1
        row = jnp.where(leaving, jnp.where(row < count, row, -1), s.row)
        fresh_state, fresh_work = load(row)
        state, work = jax.tree.map(
            lambda new, old: jnp.where(_like(leaving, old), new, old),
            (fresh_state, fresh_work),
            (s.state, s.work),
        )
        return _Slots(state, row, work, jnp.minimum(s.next + gone, count), s.done + gone, log)

    def onward(s: _Slots) -> _Slots:
        after = step(s)
        if method.repeats:
            after = skip(s, after)
        return refill(after)

    row = jnp.arange(slots, dtype=jnp.int32)
    row = jnp.where(row < count, row, -1)
    state, work = load(row)
    log = jax.tree.map(
        lambda leaf: jnp.zeros((steps.shape[0] + slots, *leaf.shape[1:]), leaf.dtype), (row, state)
    )
    begun = _Slots(state, row, work, jnp.minimum(count, slots), jnp.int32(0), log)
    return jax.lax.while_loop(lambda s: jnp.any(s.row >= 0), onward, begun).log


def _like(flags: Any, leaf: Any) -> Any:
    """Return flags (slot,) with as many axes as the leaf (slot, …)."""
    return flags.reshape(flags.shape + (1,) * (leaf.ndim - 1))


@_once
def _last_steps(method: Method, tail: int, rows: int) -> Any:
    """Compile `tail` recorded steps: (states, row, limits, numbers) → what `record` saw, steps taken."""
    import jax

    slots = slots_of(rows)

    def run(states: State, row: Row, limits: Limits, numbers: Numbers) -> Any:
        loop = traced_loop(method, numbers)
        cut = jax.tree.map(lambda a: a.reshape(-1, slots, *a.shape[1:]), (states, row))
        return jax.lax.map(lambda block: record(block[0], block[1], limits, tail, loop), cut)

    numbers, steps = np.empty(rows, method.precision), np.empty(rows, np.int32)
    own = traced(method)
    states = jax.eval_shape(traced_loop(method, own).init, (numbers,) * method.objective.dim)
    return compiled(run).lower(states, Row(numbers, steps, steps), limits_of(method, None), own).compile()
