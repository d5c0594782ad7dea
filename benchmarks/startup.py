"""How long a command takes to start, against importing the libraries it cannot do without."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

PAIRS = (
    (["derive", "x**2"], "import sympy", 1.5),
    (["descend", "x**2", "--start", "1"], "import sympy, jax, optax", 2.0),
)


def table(rounds: int) -> str:
    """Time the pairs in turns and return the medians as a Markdown table."""
    rows = ["| command | seconds | against | seconds | ratio | aim |", "|---|--:|---|--:|--:|--:|"]
    for arguments, imports, aim in PAIRS:
        ours = [sys.executable, "-m", "descentlab", *arguments]
        theirs = [sys.executable, "-c", imports]
        command = f"`descentlab {' '.join(arguments)}`"
        if failure := _failure(ours):
            rows.append(f"| {command} | fails: {failure} | `{imports}` | | | {aim} |")
            continue
        _seconds(theirs)
        pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(rounds)]
        ratio = statistics.median(a / b for a, b in pairs)
        mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        rows.append(f"| {command} | {mine:.2f} | `{imports}` | {other:.2f} | {ratio:.2f} | {aim} |")
    return "\n".join(rows)


def _failure(command: list[str]) -> str:
    """Run once, also to warm the disk cache; return the last line of what went wrong, or ""."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no message"])[-1]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - began
