"""Surveys beside the other ways of descending from many starts: microseconds a start, in interleaved rounds.

Nothing is timed before all ways have found the same minima: the same lowest value, every minimum of the survey,
and hardly an end elsewhere.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import peers
from benchmarks.peers import CAP, Peer, Points

if TYPE_CHECKING:
    from descentlab.objective import Objective
    from descentlab.survey import Survey

MANY = 1_000_000
# Name, variables and starts: fewer where a start takes a thousand steps and more.
MIXED = (
    ("peaks", None, 500_000),
    ("himmelblau", None, 500_000),
    ("rosenbrock", None, 65_536),
    ("rastrigin", None, 500_000),
    ("styblinski-tang", 4, 500_000),
    ("ackley", None, 65_536),
)
# An end this close to a minimum, in box sides, is at it.
NEAR = 1e-3
# A local optimizer may fail from this many starts more than the survey: L-BFGS-B stops on peaks' flat parts.
STRAYS = 0.02


@dataclass(frozen=True)
class Contestant:
    """A way of descending from many starts: how many a timed round takes, and the aim of our ratio to it."""

    name: str
    run: Callable[[Points], object]
    starts: int
    aim: float


def table(rounds: int) -> str:
    """Compare the survey of peaks with all peers."""
    import descentlab as dl

    f = dl.landscape("peaks")
    contestants = [
        Contestant("JAX, fixed-length loop", peers.fixed_length(f), 4 * peers.LOTS, math.nan),
        Contestant("SciPy L-BFGS-B in a loop", peers.scipy_loop, 2_000, 300),
        Contestant("optimagic multistart", peers.optimagic_multistart, 1_000, 1000),
        Contestant("pyPESTO, pool of 2 processes", peers.pypesto_pool, 1_000, 1000),
    ]
    survey = dl.survey(f, starts=MANY)
    agreement = [check(c.name, f, survey, c.run, c.starts) for c in contestants]
    packages = ", ".join(f"{name} {version(name)}" for name in ("scipy", "optimagic", "pypesto"))
    ours = Contestant(f"descentlab: survey, {MANY:,} starts", lambda x: dl.survey(f, starts=len(x)), MANY, 1)
    return "\n\n".join(
        [
            f"## Survey of peaks, microseconds a start\n\n{packages}. The peers have the analytic gradient.",
            _rows(time_rounds(f, [ours, *contestants], rounds), [ours, *contestants]),
            "All find the same minima:\n\n" + "\n".join(f"- {line}" for line in agreement),
        ]
    )


def mixed(rounds: int) -> str:
    """Compare the survey with the fixed-length loop of the same rule and cap on several landscapes."""
    import descentlab as dl

    lines = [
        "## Surveys of mixed landscapes against the fixed-length loop, microseconds a start\n",
        f"Both descend at the rate that follows the curvature, for at most {CAP:,} steps.\n",
        "| landscape | minima | mean steps | descentlab | fixed length | ours is faster by |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    ratios = []
    for name, dim, starts in MIXED:
        f = dl.landscape(name, dim=dim)
        survey = dl.survey(f, starts=starts)
        loop = Contestant("fixed", peers.fixed_length(f), 4 * peers.LOTS, math.nan)
        check(name, f, survey, loop.run, loop.starts)
        ours = Contestant("ours", lambda x, f=f: dl.survey(f, starts=len(x)), starts, 1)
        times = time_rounds(f, [ours, loop], rounds)
        mine, theirs = (statistics.median(times[key]) * 1e6 for key in ("ours", "fixed"))
        ratios.append(_ratio(times["fixed"], times["ours"]))
        lines.append(
            f"| {name}, {f.dim} variables | {len(survey.minima)} | {survey.taken.mean():,.0f} "
            f"| {mine:.3g} | {theirs:.3g} | {ratios[-1]:.3g} |"
        )
    lines.append(f"| geometric mean | | | | | {statistics.geometric_mean(ratios):.3g} (aim 3) |")
    return "\n".join(lines)


def check(name: str, f: Objective, survey: Survey, run: Peer, count: int) -> str:
    """Let a peer descend from `count` starts; return how its ends compare with the survey's minima.

    Raises SystemExit if it finds others: then the times would compare different work.
    """
    ends = run(starts_in(f, count))
    minima = np.array([m.point for m in survey.minima])
    apart = np.stack([np.abs((ends - m) / f.widths).max(axis=1) for m in minima], axis=1)
    reached, strays = set(apart.argmin(axis=1)[apart.min(axis=1) <= NEAR]), np.mean(apart.min(axis=1) > NEAR)
    lowest, best = float(f.value(ends).min()), survey.minima[0].value
    line = (
        f"{name}: {len(reached)} of {len(minima)} minima, {strays:.2%} of {len(ends):,} ends elsewhere, "
        f"lowest value {lowest:.10g}"
    )
    elsewhere = 1 - sum(m.share for m in survey.minima)
    # Into a kink the loop comes as close as its steps are short; the survey goes on from there.
    close = 1e-2 if survey.minima[0].kind == "kink" else 1e-9
    same = abs(lowest - best) <= close * (1 + abs(best))
    if len(ends) != count or len(reached) < len(minima) or strays > elsewhere + STRAYS or not same:
        sys.exit(f"{line}; the survey's is {best:.10g}. They differ, and nothing was timed.")
    return line


def starts_in(f: Objective, count: int) -> Points:
    """Return uniform starts in the box of f."""
    low, high = f.domain.T
    return low + (high - low) * np.random.default_rng(1).random((count, f.dim))


def time_rounds(f: Objective, ways: Sequence[Contestant], rounds: int) -> dict[str, list[float]]:
    """Return seconds a start of each way in each round, the ways taking turns within a round.

    All have run before, in `check`, so compiling is not counted.
    """
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    starts = starts_in(f, max(way.starts for way in ways))
    for _ in range(rounds):
        for way in ways:
            began = time.perf_counter()
            way.run(starts[: way.starts])
            times[way.name].append((time.perf_counter() - began) / way.starts)
    return times


def _rows(times: dict[str, list[float]], ways: Sequence[Contestant]) -> str:
    ours = times[ways[0].name]
    rows = ["| way | starts a round | µs a start | starts per second | ours is faster by | aim |"]
    rows.append("|---|--:|--:|--:|--:|--:|")
    for way in ways:
        mine = statistics.median(times[way.name])
        aim = "" if way is ways[0] or math.isnan(way.aim) else f"{way.aim:g}"
        rows.append(
            f"| {way.name} | {way.starts:,} | {mine * 1e6:.3g} | {1 / mine:,.3g} "
            f"| {_ratio(times[way.name], ours):,.3g} | {aim} |"
        )
    return "\n".join(rows)


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
