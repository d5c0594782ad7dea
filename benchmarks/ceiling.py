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
BLOCKS = (16, 32, 64, 128)  # points taken through all steps together; the fastest is used
KINDS = {"float64": ("double", "exp", ctypes.c_double), "float32": ("float", "expf", ctypes.c_float)}

Way = Callable[[NDArray[np.float64], int], NDArray[np.float64]]


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
    """Return the fastest of the C programs in this precision, and a sentence on how it was compiled."""
    compiler()
    trial = np.random.default_rng(0).uniform(-3, 3, (8192, 2))
    programs = [(block, *_compile(precision, block, rate)) for block in BLOCKS]
    times = {block: min(_seconds(way, trial) for _ in range(3)) for block, way, _ in programs}
    best = min(times, key=lambda block: times[block])
    way, symbols = next((way, symbols) for block, way, symbols in programs if block == best)
    return way, f"blocks of {best} points; vector exponential: {symbols or 'none found – not vectorised'}"


def _seconds(way: Way, starts: NDArray[np.float64]) -> float:
    began = time.perf_counter()
    way(starts, 200)
    return time.perf_counter() - began


def _compile(precision: str, block: int, rate: float) -> tuple[Way, str]:
    real, exponential, c_type = KINDS[precision]
    BUILD.mkdir(exist_ok=True)
    library = BUILD / f"peaks_{precision}_{block}.so"
    defines = [f"-DREAL={real}", f"-DEXP={exponential}", f"-DBLOCK={block}"]
    command = ["gcc", *FLAGS, *defines, str(SOURCE), "-o", str(library), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoCompilerError(f"gcc could not compile {SOURCE.name}: {done.stderr.strip()[:300]}")
    loaded = ctypes.CDLL(str(library))
    pointer = ctypes.c_void_p
    loaded.descend.argtypes = [pointer, pointer, ctypes.c_long, ctypes.c_long, c_type]
    loaded.descend.restype = None

    def way(starts: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
        count = -(-len(starts) // block) * block  # padded with the last start, to whole blocks
        padded = np.concatenate([starts, np.repeat(starts[-1:], count - len(starts), axis=0)])
        x, y = (np.ascontiguousarray(column, dtype=precision) for column in padded.T)
        loaded.descend(x.ctypes.data, y.ctypes.data, count, steps, rate)
        ends: NDArray[Any] = np.stack([x, y], axis=1)[: len(starts)]
        return ends.astype(np.float64)

    return way, _vector_symbols(library)


def _vector_symbols(library: Path) -> str:
    """Return which of the vector library's functions the program calls, e.g. _ZGVeN8v_exp (8 at a time)."""
    if shutil.which("nm") is None:
        return "unknown (no nm here)"
    listing = subprocess.run(["nm", "-D", str(library)], capture_output=True, text=True, check=True).stdout
    return ", ".join(word.split("@")[0] for word in listing.split() if word.startswith("_ZGV"))
