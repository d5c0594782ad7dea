"""`python -m benchmarks`: descents, start-up, surveys and proofs, side by side with other ways; the studio; models.

Every way descends from the same starts and must end at the same points, so that none computes something
else. Then rounds are timed in which the ways take turns; a ratio is the median over the rounds of that
round's two times, so what else the machine does in a round touches both. Compiling is not counted.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks import ceiling, dimensions, loop, models, proofs, scaling, startup, studio, surveys, ways
from benchmarks.ways import Points, Way

RESULTS = Path(__file__).with_name("RESULTS.md")
# Ends of two correct programs differ by rounding alone: sums and exponentials in other orders. Near a
# ridge between two basins a rounding error grows with every step, so at most one start in a thousand
# may end further apart than this.
CLOSE = {"float64": 1e-9, "float32": 2e-3}
STRAYS = 1e-3


@dataclass(frozen=True)
class Contestant:
    """One way of descending, and how many starts and steps a timed round of it takes."""

    name: str
    way: Way
    precision: str
    starts: int
    steps: int


@dataclass(frozen=True)
class Line:
    """One measured row: the median steps a second, and the median ratios to two others."""

    name: str
    rate: float
    to_textbook: float
    to_c: float


def contestants() -> tuple[list[Contestant], list[str]]:
    """Return the ways that work here, and sentences about those that do not."""
    # Sizes: a round of each takes between a few hundredths and half a second.
    many, steps = 32_768, 1_000
    found = [
        Contestant("textbook loop (SymPy evalf)", ways.textbook(), "float64", 1, 60),
        Contestant("plain Python, shared terms", ways.scalar_python(), "float64", 8, 2_000),
        Contestant("NumPy, all starts together", ways.numpy_batch(), "float64", 4_096, 100),
    ]
    notes = []
    makers = {
        "descentlab: descend(), verdicts too": (ways.ours, ("float64", "float32")),
        "descentlab: its steps alone": (ways.ours_steps_only, ("float64", "float32")),
    }
    for name, (make, precisions) in makers.items():
        found += [Contestant(f"{name}, {p}", make(p), p, many, steps) for p in precisions]
    try:
        for precision in ("float64", "float32"):
            way, how = ceiling.build(precision, ways.RATE)
            found.append(Contestant(f"C, {precision}", way, precision, many, steps))
            notes.append(f"C, {precision}: `gcc {' '.join(ceiling.FLAGS)}`, {how}.")
    except ceiling.NoCompilerError as missing:
        notes.append(f"C: {missing}.")
    return found, notes


def check_ends(found: list[Contestant]) -> list[str]:
    """Let every way descend from the same starts; return how far their ends lie from the reference's.

    Raises SystemExit if some way ends elsewhere: then the times would compare different work.
    """
    starts = np.random.default_rng(1).uniform(-3, 3, (16, 2))
    reference = found[0].way(starts[:4], 20)
    lines = [_compare(c, c.way(starts[:4], 20), reference, 0) for c in found[1:]]
    big = np.random.default_rng(0).uniform(-3, 3, (4_096, 2))
    after = ways.numpy_batch()(big, 1_000)
    lines += [_compare(c, c.way(big, 1_000), after, STRAYS) for c in found if c.starts > 4_096]
    return lines


def _compare(contestant: Contestant, ends: Points, reference: Points, strays: float) -> str:
    apart = np.abs(ends - reference).max(axis=1)
    far = float(np.mean(~(apart <= CLOSE[contestant.precision])))
    line = f"{contestant.name}: ends differ by at most {apart.max():.1e} ({len(ends)} starts)"
    if far > strays:
        sys.exit(f"{line}: {far:.1%} of them by more than {CLOSE[contestant.precision]}. Nothing was timed.")
    return line


def time_rounds(found: list[Contestant], rounds: int) -> dict[str, list[float]]:
    """Return steps per second of each way in each round, the ways taking turns within a round."""
    starts = np.random.default_rng(0).uniform(-3, 3, (max(c.starts for c in found), 2))
    speeds: dict[str, list[float]] = {c.name: [] for c in found}
    for number in range(rounds + 1):  # round 0 compiles and warms up
        for c in found:
            mine = starts[: c.starts]
            began = time.perf_counter()
            c.way(mine, c.steps)
            took = time.perf_counter() - began
            if number:
                speeds[c.name].append(c.starts * c.steps / took)
    return speeds


def summarize(speeds: dict[str, list[float]]) -> list[Line]:
    """Return medians over the rounds of the speeds and of the paired ratios."""

    def ratio(name: str, other: str) -> float:
        if other not in speeds:
            return float("nan")
        return statistics.median(a / b for a, b in zip(speeds[name], speeds[other], strict=True))

    textbook = next(iter(speeds))
    return [
        Line(name, statistics.median(rates), ratio(name, textbook), ratio(name, "C, float64"))
        for name, rates in speeds.items()
    ]


def table(lines: list[Line]) -> str:
    """Return the rows as a Markdown table."""
    rows = ["| way | steps per second | times the textbook loop | times C, float64 |", "|---|--:|--:|--:|"]
    rows += [f"| {x.name} | {x.rate:.2g} | {x.to_textbook:,.3g} | {x.to_c:.2g} |" for x in lines]
    return "\n".join(rows)


def machine() -> str:
    """Return what the figures were measured on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    packages = ", ".join(f"{name} {version(name)}" for name in ("jax", "numpy", "sympy"))
    try:
        compiler = ceiling.compiler()
    except ceiling.NoCompilerError as missing:
        compiler = str(missing)
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {packages}; {compiler}"


def descent_part(rounds: int, _: bool) -> str:
    """Return the descent benchmark's section of RESULTS.md."""
    found, notes = contestants()
    agreement = check_ends(found)
    parts = [
        f"## Plain descent on peaks, rate {ways.RATE}, both cores",
        table(summarize(time_rounds(found, rounds))),
        "\n".join(f"- {note}" for note in notes),
        "All ways end at the same points:\n\n" + "\n".join(f"- {line}" for line in agreement),
    ]
    return "\n\n".join(parts)


def startup_part(rounds: int, _: bool) -> str:
    """Return the section on start-up."""
    return "## Start-up, wall time of whole processes\n\n" + startup.table(rounds)


def surveys_part(rounds: int, write: bool) -> str:
    """Return the sections on surveys, and draw their figure if `write`."""
    figure = scaling.FIGURE if write else None
    return "\n\n".join(
        [surveys.table(rounds), surveys.mixed(min(rounds, 5)), loop.table(rounds), scaling.table(3, figure)]
    )


def proofs_part(rounds: int, write: bool) -> str:
    """Return the sections on proofs, and draw their figure if `write`."""
    few = min(rounds, 3)
    return "\n\n".join(
        [
            proofs.against_scipy(few),
            proofs.counts(few),
            proofs.deep(few),
            proofs.hard(),
            dimensions.table(dimensions.FIGURE if write else None),
        ]
    )


def studio_part(_: int, __: bool) -> str:
    """Return the section on the studio's page."""
    return "## The studio's page, in Chromium with software rendering\n\n" + studio.table()


def models_part(rounds: int, _: bool) -> str:
    """Return the section on retraining small networks."""
    return f"## Retraining small networks\n\n{models.table(min(rounds, 3))}\n\n{models.digits()}"


PARTS = {
    "descent": descent_part,
    "startup": startup_part,
    "surveys": surveys_part,
    "proofs": proofs_part,
    "studio": studio_part,
    "models": models_part,
}


def main() -> None:
    """Measure, print, and with --write keep the result in RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds (default 9)")
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    parser.add_argument(
        "--only", choices=PARTS, help="leave the other parts out, and as they are in the file"
    )
    given = parser.parse_args()
    measured = {}
    for name in [given.only] if given.only else PARTS:
        measured[name] = f"{machine()}\n\n{PARTS[name](given.rounds, given.write)}"
        print(measured[name], end="\n\n", flush=True)
    if given.write:
        write(measured)


def write(measured: dict[str, str]) -> None:
    """Put the measured parts into RESULTS.md; the others stay as they are."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    _, *old = re.split(r"<!-- (\w+) -->\n", text)
    parts = dict(zip(old[::2], (part.strip() for part in old[1::2]), strict=True)) | measured
    head = (
        "# Measured\n\nWritten by `make bench WRITE=1`; medians of paired, interleaved rounds. "
        "[README.md](README.md) says what limits them.\n"
    )
    kept = [f"<!-- {name} -->\n{parts[name]}\n" for name in PARTS if name in parts]
    RESULTS.write_text("\n".join([head, *kept]), encoding="utf-8")


if __name__ == "__main__":
    main()
