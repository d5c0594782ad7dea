"""The batch loop with all its bookkeeping against C programs that do the same job, and that do less."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import ceiling, ways
from benchmarks.ways import PEAKS, RATE, Points

SIDE = 3.0
STARTS, STEPS = 262_144, 1_000
AIM = 0.8
# Two programs round differently, and near a ridge that grows: so many starts may end elsewhere or later.
CLOSE, STRAYS = 1e-6, 1e-3


def table(rounds: int) -> str:
    """Check that the programs do the same, then time them in turns."""
    tolerance = tolerance_of_surveys()
    try:
        theirs, how = ceiling.build_survey(RATE, SIDE, tolerance)
        bare, _ = ceiling.build("float64", RATE)
    except ceiling.NoCompilerError as missing:
        return f"## The batch loop\n\nC: {missing}."
    ours = batch_loop(tolerance)
    starts = np.random.default_rng(0).uniform(-SIDE, SIDE, (STARTS, 2))
    agreement, steps = check(ours(starts), theirs(starts, STEPS))
    programs: dict[str, tuple[Callable[[], Any], int]] = {
        "descentlab's batch loop": (lambda: ours(starts), steps),
        "C, the same job": (lambda: theirs(starts, STEPS), steps),
        "C, all take every step and nothing is looked at": (
            lambda: bare(starts[: STARTS // 4], STEPS),
            STARTS // 4 * STEPS,
        ),
    }
    speeds = time_rounds(programs, rounds)
    mine, *others = speeds.values()
    rows = ["| loop | steps per second | ours, as a share | aim |", "|---|--:|--:|--:|"]
    rows.append(f"| {next(iter(speeds))} | {statistics.median(mine):.3g} | 1 | |")
    for name, other, aim in zip(list(speeds)[1:], others, (AIM, ""), strict=True):
        share = statistics.median(a / b for a, b in zip(mine, other, strict=True))
        rows.append(f"| {name} | {statistics.median(other):.3g} | {share:.2f} | {aim} |")
    return (
        f"## The batch loop against C, float64, both cores\n\n"
        f"Plain descent on peaks at rate {RATE}, clipped to the box, {STARTS:,} starts: each stops where the "
        f"projected gradient is no longer than {tolerance:.2g}, or after {STEPS:,} steps, and its steps are "
        f"counted. C: {how}, the fastest of several.\n\n" + "\n".join(rows) + f"\n\n{agreement}"
    )


def tolerance_of_surveys() -> float:
    """Return where a survey of peaks lets a start rest."""
    import descentlab as dl

    return dl.survey(dl.landscape("peaks"), starts=8).tolerance


def batch_loop(tolerance: float) -> Callable[[Points], Any]:
    """Return the loop behind surveys, on all starts."""
    from descentlab.batch import run_ends
    from descentlab.engine import Rows
    from descentlab.loop import Method
    from descentlab.objective import formula
    from descentlab.optimizers import choose
    from descentlab.rates import read_rate

    f = formula(PEAKS, domain={"x": (-SIDE, SIDE), "y": (-SIDE, SIDE)})
    method = Method(f, choose("gd", {}), read_rate(ways.RATE), "clip", False, True)

    def run(starts: Points) -> Any:
        count = len(starts)
        return run_ends(method, Rows(starts, np.full(count, RATE), np.full(count, STEPS)), tolerance)

    return run


def check(ours: Any, theirs: tuple[Points, NDArray[np.int64]]) -> tuple[str, int]:
    """Return how far the two programs agree, and how many steps ours really executed.

    Raises SystemExit if they do different work.
    """
    ends, taken = theirs
    strays = np.mean((np.abs(ours.points - ends).max(axis=1) > CLOSE) | (np.abs(ours.taken - taken) > 1))
    # The lab may skip the rounds of a state that has come back. A row that stops at the tolerance has moved
    # until then; of the others the last steps are known.
    back = (ours.tails[:, -1:] == ours.tails[:, :-1]).all(axis=2).any(axis=1)
    skipped = int(ours.taken[~ours.ended][back].sum())
    executed = int(ours.taken.sum()) - skipped
    line = (
        f"{strays:.3%} of the starts end elsewhere or a step later; {executed:,} steps, C {taken.sum():,}; "
        f"{back.sum()} starts whose state came back are not counted."
    )
    if strays > STRAYS or skipped > STRAYS * executed + taken.max():
        sys.exit(f"{line} They do different work, and nothing was timed.")
    return line, executed


def time_rounds(programs: dict[str, tuple[Callable[[], Any], int]], rounds: int) -> dict[str, list[float]]:
    """Return steps per second of each program in each round, the programs taking turns."""
    speeds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (run, steps) in programs.items():
            began = time.perf_counter()
            run()
            speeds[name].append(steps / (time.perf_counter() - began))
    return speeds
