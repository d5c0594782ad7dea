"""Small work by NumPy: the batch loop without compiling anything, nor loading JAX.

Compiling takes longer than ten thousand descents of a simple formula. The loop's steps are those
of `loop`, written once and read here with NumPy in place of JAX. NumPy and XLA round
differently, so which of the two runs a survey is settled by its settings, and kept.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.engine import TAIL, Ends, Rows
from descentlab.loop import Limits, Loop, Method, Row, State, limits_of, make_numpy_loop, map_arrays
from descentlab.objective import FormulaObjective

# As many rows are stepped together as fill the second-level cache; steps between two counts of those that
# have ended; counts between two looks for states that have come back.
TOGETHER, LOOK, LOOKS = 2048, 4, 32


# Numbers NumPy may be expected to compute, at about a nanosecond and a half each, before compiling pays.
MOST_NUMBERS = 1.5e8
# The first rows, and their first steps, tell how long the others will take.
PILOTS, PILOT_STEPS = 128, 512


def is_small(method: Method, pilots: Rows, tolerance: float | None, count: int) -> bool:
    """Tell whether `count` rows like the pilots are work so small that compiling does not pay.

    Always False but for formulas by plain descent in double precision. The pilots are run by NumPy.
    """
    objective, row = method.objective, method.optimizer.row
    plain = row is not None and row.name == "gd" and method.rate.kind != "schedule"
    if not (plain and isinstance(objective, FormulaObjective) and method.precision == "float64"):
        return False
    cost = len(objective.program.operations) + 12 * objective.dim  # the step's own operations
    affordable = MOST_NUMBERS / (count * cost)  # steps a row
    if affordable < 10:
        return False
    for most in (math.ceil(2 * affordable), PILOT_STEPS):  # a few steps show most that take too many
        steps = np.minimum(pilots.steps, min(most, PILOT_STEPS))
        ends = run_small(method, Rows(pilots.starts, pilots.rates, steps), tolerance)
        if float(ends.taken.mean()) > affordable:
            return False
    return bool(ends.ended.mean() > 0.97) or int(pilots.steps.max()) <= PILOT_STEPS


def run_small(method: Method, rows: Rows, tolerance: float | None) -> Ends:
    """Run the rows; keep their ends, and the last 16 steps of those that ran out of steps."""
    loop, limits = make_numpy_loop(method), limits_of(method, tolerance)
    count, dim = rows.starts.shape
    tail = min(TAIL, int(rows.steps.max(initial=0)))
    points, taken, ended = np.empty((count, dim)), np.empty(count, np.int64), np.zeros(count, bool)
    opened: list[tuple[NDArray[np.int64], State]] = []
    row, following = np.empty(0, np.int64), 0
    state = loop.init(tuple(np.empty((dim, 0))))
    with np.errstate(all="ignore"):
        while row.size or following < count:
            fresh = np.arange(following, min(following + TOGETHER - row.size, count))
            following += fresh.size
            row = np.concatenate([row, fresh])
            state = map_arrays(_joined, state, loop.init(tuple(rows.starts[fresh].T)))
            work = Row(rows.rates[row], rows.steps[row], rows.steps[row] - tail)
            state = _until_enough(loop, state, work, limits, following < count, method.repeats)
            left = state.ended | (state.taken >= work.pause)
            gone, leaving = row[left], map_arrays(lambda leaf, at=left: leaf[at], state)
            points[gone] = np.stack(leaving.x, axis=1)
            taken[gone], ended[gone] = leaving.taken, leaving.ended
            pausing = ~leaving.ended
            opened.append((gone[pausing], map_arrays(lambda leaf, at=pausing: leaf[at], leaving)))
            row, state = row[~left], map_arrays(lambda leaf, at=~left: leaf[at], state)
        which = np.concatenate([gone for gone, _ in opened])
        tails, rates = np.empty((which.size, tail + 1, dim)), np.empty((which.size, tail))
        if which.size:
            state = map_arrays(lambda *leaves: np.concatenate(leaves), *(states for _, states in opened))
            work = Row(rows.rates[which], rows.steps[which], rows.steps[which])
            for k in range(tail):
                tails[:, k] = np.stack(state.x, axis=1)
                state, rates[:, k] = loop.step(state, work, limits)
            tails[:, tail] = np.stack(state.x, axis=1)
            points[which], taken[which] = tails[:, tail], state.taken
    order = np.argsort(which)
    return Ends(points, taken, ended, tails[order], rates[order])


def _until_enough(loop: Loop, state: State, work: Row, limits: Limits, more: bool, repeats: bool) -> State:
    """Step until enough rows have ended: an eighth while there are more to come, else a quarter."""
    enough = max(1, len(state.taken) // (8 if more else 4))
    while True:
        before = state
        for _ in range(LOOKS):
            for _ in range(LOOK):
                state = loop.step(state, work, limits)[0]
            if np.count_nonzero(state.ended | (state.taken >= work.pause)) >= enough:
                return state
        if repeats:
            state = _skipped(before, state, work)


def _skipped(before: State, state: State, work: Row) -> State:
    """Skip whole rounds of states that have come back to where they were: see `batch`."""
    back = ~state.ended
    for a, b in zip(_leaves(state[:3]), _leaves(before[:3]), strict=True):
        back &= a == b
    went = state.taken - before.taken
    back &= went > 0
    rounds = np.maximum(work.pause - state.taken, 0) // np.maximum(went, 1)
    return state._replace(taken=state.taken + np.where(back, rounds * went, 0).astype(state.taken.dtype))


def _joined(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([a, b])


def _leaves(tree: Any) -> list[Any]:
    if not isinstance(tree, tuple):
        return [tree]
    return [leaf for part in tree for leaf in _leaves(part)]
