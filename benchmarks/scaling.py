"""How time and memory grow with the number of starts: every size in a process of its own.

`python -m benchmarks.scaling N` surveys peaks from N starts and prints seconds and peak memory as JSON.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.startup import ENVIRONMENT

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
FIGURE = Path(__file__).parent.parent / "docs" / "survey-scaling.png"
# The survey before the timed one has at most so many starts: enough of them to be compiled rather than left to
# NumPy, and for several chunks.
WARM = 200_000
LONG = 10_000_000  # so many starts are surveyed once


@dataclass(frozen=True)
class Size:
    """One number of starts: the median seconds of the survey alone, the process's peak memory in MiB, and that
    before the survey, once everything is imported and compiled."""

    starts: int
    seconds: float
    peak: float
    before: float


def table(rounds: int, figure: Path | None = None) -> str:
    """Measure all sizes; return a table, and draw the figure if there is a place for it."""
    sizes = [measure(size, rounds if size < LONG else 1) for size in SIZES]
    rows = ["| starts | seconds | µs a start | peak memory, MiB | of it before the survey |"]
    rows.append("|--:|--:|--:|--:|--:|")
    rows += [
        f"| {s.starts:,} | {s.seconds:.3g} | {s.seconds / s.starts * 1e6:.3g} | {s.peak:,.0f} | {s.before:,.0f} |"
        for s in sizes
    ]
    drawn = ""
    if figure is not None:
        draw(sizes, figure)
        drawn = f"\n\n![time and memory against starts](../docs/{figure.name})"
    return (
        "## Surveys of peaks from a thousand to ten million starts\n\n"
        "Every size in a fresh process, after a smaller survey that compiles.\n\n" + "\n".join(rows) + drawn
    )


def measure(starts: int, rounds: int) -> Size:
    """Return the medians of a few fresh processes."""
    found = []
    for _ in range(rounds):
        command = [sys.executable, "-m", "benchmarks.scaling", str(starts)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
        found.append(json.loads(done.stdout))
    return Size(starts, *(statistics.median(f[key] for f in found) for key in ("seconds", "peak", "before")))


def draw(sizes: Sequence[Size], path: Path) -> None:
    """Draw seconds and peak memory against the number of starts."""
    from descentlab.figures import style

    theme = style.theme_of("light")
    starts = [s.starts for s in sizes]
    figure = style.new_figure(9.0, 3.8, theme)
    left, right = figure.subplots(1, 2)
    style.set_up(left, theme, "starts", "", "seconds")
    # The proportional line goes through the largest size.
    line = [sizes[-1].seconds * n / starts[-1] for n in starts]
    left.loglog(starts, line, color=style.GREY, linestyle="--", linewidth=1.0, label="proportional")
    left.loglog(starts, [s.seconds for s in sizes], color=style.BLUE, marker="o", label="survey")
    style.set_up(right, theme, "starts", "", "peak memory of the process, MiB")
    right.semilogx(starts, [s.before for s in sizes], color=style.GREY, marker="o", label="before the survey")
    right.semilogx(
        starts, [s.peak for s in sizes], color=style.VERMILION, marker="o", label="with the survey"
    )
    right.set_ylim(0, 1.15 * max(s.peak for s in sizes))
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=style.SMALL, labelcolor=theme.ink)
    caption = ["peaks in [−3, 3]², gd at learning rate auto, at most 10,000 steps, seed 0"]
    style.finish(
        figure, theme, "A survey's cost", [*caption, "Each size in a fresh process, compiled before"]
    )
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)


def main() -> None:
    """Survey peaks once, and print what it took."""
    import descentlab as dl

    f, starts = dl.landscape("peaks"), int(sys.argv[1])
    dl.survey(f, starts=min(starts, WARM), seed=1)
    before, began = _peak(), time.perf_counter()
    dl.survey(f, starts=starts)
    print(json.dumps({"seconds": time.perf_counter() - began, "peak": _peak(), "before": before}))


def _peak() -> float:
    """Return the peak resident memory of this process since it began, in MiB.

    On Linux getrusage will not do: there a child begins with its parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
