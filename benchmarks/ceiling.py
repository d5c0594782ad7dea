"""The C program the lab is measured against: compiled here, checked to be vectorised, called by ctypes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("peaks.c")
BUILD = Path(__file__).with_name("build")
FLAGS = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fopenmp", "-shared", "-fPIC"]
BLOCKS = (16, 32, 64, 128)  # points taken through the steps together; the fastest is used
KINDS = {"float64": ("double", "exp", ctypes.c_double), "float32": ("float", "expf", ctypes.c_float)}

Points = NDArray[np.float64]
Way = Callable[[Points, int], Points]
Survey = Callable[[Points, int], tuple[Points, NDArray[np.int64]]]  # ends, and the steps each point took


class NoCompilerError(RuntimeError):
    """There is no C compiler here, or it cannot do this."""


def compiler() -> str:
    """Return the compiler's name and version."""
    path = shutil.which("gcc")
    if path is None:
        raise NoCompilerError("no gcc on this machine: the C program is left out")
    return subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]


def build(precision: str, rate: float) -> tuple[Way, str]:
    """Return the fastest of the C programs that look at nothing, and a sentence on how it was compiled."""
    programs = {block: _compile(precision, block, 1) for block in BLOCKS}
    block, way = _fastest({block: _descend(*each, rate) for block, each in programs.items()}, 200)
    symbols = _vector_symbols(programs[block][0]) or "none found – not vectorised"
    return way, f"blocks of {block} points; vector exponential: {symbols}"


def build_survey(rate: float, side: float, tolerance: float) -> tuple[Survey, str]:
    """Return the fastest of the C programs that do a survey's job on [−side, side]², in float64, and how."""
    choices = [(block, refill) for block in BLOCKS for refill in (1, block // 8, block)]
    programs = {choice: _survey(*_compile("float64", *choice), rate, side, tolerance) for choice in choices}
    (block, refill), way = _fastest(programs, 1000)
    return way, f"blocks of {block} points, refilled once {refill} {'is' if refill == 1 else 'are'} done"


def _fastest(ways: dict[Any, Any], steps: int) -> tuple[Any, Any]:
    trial = np.random.default_rng(0).uniform(-3, 3, (32_768, 2))

    def seconds(way: Any) -> float:
        began = time.perf_counter()
        way(trial, steps)
        return time.perf_counter() - began

    times = {key: min(seconds(way) for _ in range(3)) for key, way in ways.items()}
    best = min(times, key=lambda key: times[key])
    return best, ways[best]


def _compile(precision: str, block: int, refill: int) -> tuple[Path, str, int]:
    """Return the library, its precision, and how many points a block holds."""
    compiler()
    real, exponential, _ = KINDS[precision]
    BUILD.mkdir(exist_ok=True)
    library = BUILD / f"peaks_{precision}_{block}_{refill}.so"
    defines = [f"-DREAL={real}", f"-DEXP={exponential}", f"-DBLOCK={block}", f"-DREFILL={refill}"]
    command = ["gcc", *FLAGS, *defines, str(SOURCE), "-o", str(library), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoCompilerError(f"gcc could not compile {SOURCE.name}: {done.stderr.strip()[:300]}")
    return library, precision, block


def _descend(library: Path, precision: str, block: int, rate: float) -> Way:
    program = ctypes.CDLL(str(library)).descend
    program.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_long] * 2 + [KINDS[precision][2]]
    program.restype = None

    def way(starts: Points, steps: int) -> Points:
        count = -(-len(starts) // block) * block  # padded with the last start, to whole blocks
        padded = np.concatenate([starts, np.repeat(starts[-1:], count - len(starts), axis=0)])
        x, y = (np.ascontiguousarray(column, dtype=precision) for column in padded.T)
        program(x.ctypes.data, y.ctypes.data, count, steps, rate)
        ends: NDArray[Any] = np.stack([x, y], axis=1)[: len(starts)]
        return ends.astype(np.float64)

    return way


def _survey(library: Path, precision: str, block: int, rate: float, side: float, tolerance: float) -> Survey:
    program = ctypes.CDLL(str(library)).survey
    program.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_long] * 2 + [KINDS[precision][2]] * 4
    program.restype = None

    def way(starts: Points, steps: int) -> tuple[Points, NDArray[np.int64]]:
        x, y = (np.array(column, dtype=precision) for column in starts.T)
        taken = np.empty_like(x)
        program(x.ctypes.data, y.ctypes.data, taken.ctypes.data, len(x), steps, rate, -side, side, tolerance)
        return np.stack([x, y], axis=1).astype(np.float64), taken.astype(np.int64)

    return way


def _vector_symbols(library: Path) -> str:
    """Return which of the vector library's functions the program calls, e.g. _ZGVeN8v_exp (8 at a time)."""
    if shutil.which("nm") is None:
        return "unknown (no nm here)"
    listing = subprocess.run(["nm", "-D", str(library)], capture_output=True, text=True, check=True).stdout
    return ", ".join(word.split("@")[0] for word in listing.split() if word.startswith("_ZGV"))
