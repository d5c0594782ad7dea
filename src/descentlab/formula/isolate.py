"""Work with a formula from outside, in a child process that a time and a memory limit can end.

The child is a fresh Python started with `subprocess` – never a fork of this process, which may
be running JAX threads – and is kept for the next piece of work, because starting one takes about
half a second. A child that passes a limit is killed and waited for, so no zombie stays.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Pipe
from typing import TypeVar

from descentlab.errors import InputError, WorkError
from descentlab.formula.errors import FormulaError
from descentlab.formula.parse import ParsedFormula, parse

T = TypeVar("T")

# Bytes the work may take beyond the loaded modules; the derivatives of the largest formulas the
# limits allow took less than a tenth. JAX reserves more than this: it does not belong here.
MEMORY_LIMIT = 1 << 30
STARTING_SECONDS = 60.0
# NumPy, if the package loads it, would reserve memory for a thread a core.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# SymPy caches what it has seen; a child is replaced before that grows large.
MOST_CALLS = 200
MOST_IDLE = 2


def parse_isolated(
    text: str, variables: Sequence[str] | str | None = None, seconds: float = 2.0
) -> ParsedFormula:
    """Parse `text` as `parse` does, in a child process, for at most `seconds`.

    Raises what `parse` raises, and FormulaError if the limits of time or memory are passed.
    """
    try:
        return run_isolated(parse, text, variables, seconds=seconds, what="Reading this formula")
    except FormulaError as error:
        if error.text:
            raise
        raise FormulaError(error.message, text if isinstance(text, str) else "") from None


def run_isolated(
    function: Callable[..., T], *arguments: object, seconds: float, what: str = "Deriving this formula"
) -> T:
    """Return `function(*arguments)`, worked out in a child process.

    function: found by its module and name, so not a lambda, nor one defined in `__main__`.
        Arguments and result are pickled.
    seconds: the time the work may take; starting a child, when none is ready, is not counted.
    what: begins the sentence if a limit ends the work.

    Raises FormulaError if the work takes longer or needs more than 1 GB, otherwise the exception
    the function raised (WorkError if that cannot be pickled).
    """
    if not seconds > 0:
        raise InputError(f"The time limit must be positive, not {seconds:g} s.")
    if function.__module__ == "__main__" or "<" in function.__qualname__:
        raise InputError("Only a function that another process can import can run there.")
    child = _take()
    try:
        child.send((function, arguments, seconds))
        outcome = child.receive(seconds)
    except BaseException:  # also an interrupt: a child in the middle of work is of no more use
        child.end()
        raise
    if outcome is None:
        child.end()
        raise FormulaError(f"{what} took longer than {seconds:g} s. Try a simpler formula.")
    kind, result = outcome
    if kind in ("memory", "ended"):
        child.end()
        raise FormulaError(f"{what} needed too much memory or broke off. Try a simpler formula.")
    _give(child)
    if kind == "error":
        raise result  # type: ignore[misc]
    return result  # type: ignore[return-value]


class _Child:
    """One child process and the pipe to it."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        paths = os.pathsep.join(p for p in sys.path if p)
        command = [sys.executable, "-m", "descentlab.formula.worker", str(theirs.fileno()), str(MEMORY_LIMIT)]
        try:
            self._process = subprocess.Popen(
                command, pass_fds=(theirs.fileno(),), env={**os.environ, "PYTHONPATH": paths, **_ONE_THREAD},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            raise WorkError(f"A process for this formula could not be started: {error}.") from None
        finally:
            theirs.close()
        self.calls = 0
        if self.receive(STARTING_SECONDS) != ("ready", None):
            self.end()
            raise WorkError("A process for this formula could not be started.")

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, work: object) -> None:
        self.calls += 1
        with contextlib.suppress(OSError):  # if it has ended, receive() says so
            self._pipe.send(work)

    def receive(self, seconds: float) -> tuple[str, object] | None:
        """Return what the child says within `seconds`, or None."""
        deadline = time.monotonic() + seconds
        try:
            if not self._pipe.poll(max(0.0, deadline - time.monotonic())):
                return None
            message: tuple[str, object] = self._pipe.recv()
        except (EOFError, OSError):
            return ("ended", None)
        return message

    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Kill the child if it still runs, and wait for it."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()


_idle: list[_Child] = []
_lock = threading.Lock()


def _take() -> _Child:
    with _lock:
        while _idle:
            child = _idle.pop()
            if child.alive():
                return child
            child.end()
    return _Child()


def _give(child: _Child) -> None:
    with _lock:
        if child.calls < MOST_CALLS and len(_idle) < MOST_IDLE:
            _idle.append(child)
            return
    child.end()


@atexit.register
def _end_all() -> None:
    with _lock:
        while _idle:
            _idle.pop().end()


def _forget_children() -> None:
    """After a fork of this process its children belong to the parent alone."""
    _idle.clear()


os.register_at_fork(after_in_child=_forget_children)
