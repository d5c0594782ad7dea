"""How long a command takes from the shell, against importing the libraries it cannot do without."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

# The command as an install leaves it, beside the interpreter whose imports it is compared with.
COMMAND = str(Path(sysconfig.get_path("scripts")) / "descentlab")
SURVEY = "import descentlab as dl; dl.survey(dl.landscape('himmelblau'))"
PAIRS = (
    ([COMMAND, "derive", "x**2"], "import sympy", 1.5),
    ([COMMAND, "descend", "x**2", "--start", "1"], "import sympy, jax, optax", 2.0),
    ([sys.executable, "-c", SURVEY], "import jax, sympy", 1.5),
)
# An install compiles every module once; without the first a checkout might compile the lab's at every start.
# The second is set for the benchmarks' own process alone.
_NOT_PASSED_ON = ("PYTHONDONTWRITEBYTECODE", "OPENBLAS_NUM_THREADS")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}


def table(rounds: int) -> str:
    """Time the pairs in turns and return the medians as a Markdown table.

    The ratios are medians over the rounds, of wall time and of processor time (all threads).
    """
    rows = [
        "| command | seconds | against | seconds | ratio | ratio of processor time | aim |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    for ours, imports, aim in PAIRS:
        theirs = [sys.executable, "-c", imports]
        command = f"`{SURVEY}`" if SURVEY in ours else f"`{' '.join(['descentlab', *ours[1:]])}`"
        if failure := _failure(ours):
            rows.append(f"| {command} | fails: {failure} | `{imports}` | | | | {aim} |")
            continue
        _seconds(theirs)
        pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(rounds)]
        wall, processor = (statistics.median(a[i] / b[i] for a, b in pairs) for i in (0, 1))
        mine, other = (statistics.median(pair[i][0] for pair in pairs) for i in (0, 1))
        rows.append(
            f"| {command} | {mine:.2f} | `{imports}` | {other:.2f} | {wall:.2f} | {processor:.2f} | {aim} |"
        )
    return "\n".join(rows)


def _failure(command: list[str]) -> str:
    """Run once, also to warm the disk cache; return the last line of what went wrong, or ""."""
    if not Path(command[0]).is_file():
        return f"there is no command {Path(command[0]).name} beside this Python: install the lab into it"
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no message"])[-1]


def _seconds(command: list[str]) -> tuple[float, float]:
    """Return wall time and processor time of the whole process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, env=ENVIRONMENT)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
