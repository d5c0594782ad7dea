"""Worker processes: a job goes in, chunks of starts come out, and a death is known for what it is.

`concurrent.futures` takes down a whole pool when one process dies, and does not tell which work
killed it. Here every process has a line of its own, so a death costs that process's chunk alone.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError, WorkError
from descentlab.survey.chunk import Chunk, Job, run_chunk

if TYPE_CHECKING:
    from descentlab.survey.starts import Starts


Range = tuple[int, int]  # starts: the first one's number, and how many
Chunks = Generator[Chunk, None, None]

# Chunks under way for every worker: the next one is there when one is done.
AHEAD = 2


@dataclass(frozen=True)
class Failure:
    """An exception that a chunk raised elsewhere, in words: not every exception can travel."""

    summary: str
    trace: str


def pack(job: Job) -> bytes:
    """Return the job as bytes that another process can read.

    Raises InputError where there is no way: a lambda, say, without cloudpickle.
    """
    packed, problem = None, ""
    try:
        packed = pickle.dumps(job, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        problem = str(error)
    # What was defined in a script or notebook is only named by pickle: another process may not find it there.
    if packed is not None and b"__main__" not in packed:
        return packed
    try:
        dumps = importlib.import_module("cloudpickle").dumps
    except ImportError:
        if packed is not None:
            return packed
        raise InputError(
            f"The function or optimizer cannot be sent to other processes ({problem}). Define it at the top "
            "of a module, or install cloudpickle, which sends lambdas too: pip install 'descentlab[dask]'."
        ) from None
    try:
        return cast(bytes, dumps(job))
    except Exception as error:
        raise InputError(
            f"The function or optimizer cannot be sent to other processes ({error}). Let it hold numbers and "
            "arrays only, no open files, locks or connections."
        ) from error


def attempt(job: Job, first: int, count: int, points: NDArray[np.float64] | None = None) -> Chunk | Failure:
    """Compute a chunk on one core: starts first … first + count − 1, or the given points."""
    try:
        if points is None:
            return run_chunk(job, first, count, cores=1)
        given = replace(job, starts=cast("Starts", _Given(points)))
        return replace(run_chunk(given, 0, count, cores=1), first=first)
    except Exception as error:
        return Failure(f"{type(error).__name__}: {_gist(error)}", traceback.format_exc())


def _gist(error: Exception) -> str:
    """Return the line of an error's message that says most: the first, or the last of a quoted traceback."""
    lines = str(error).strip().splitlines() or [""]
    return lines[-1] if "Traceback" in lines[0] else lines[0]


def opened(result: Chunk | Failure, first: int, count: int) -> Chunk:
    """Return the chunk, or raise WorkError with what went wrong, the traceback as its cause."""
    if isinstance(result, Failure):
        raise WorkError(
            f"The starts number {first:,} to {first + count - 1:,} could not be computed: {result.summary}"
        ) from RuntimeError(result.trace)
    return result


def lost(first: int, count: int, error: Exception) -> Exception:
    """Return the error to raise where a range of starts failed on its way, not by itself."""
    if isinstance(error, (InputError, WorkError)):
        return error
    return WorkError(
        f"The starts number {first:,} to {first + count - 1:,} could not be computed elsewhere: "
        f"{type(error).__name__}: {_gist(error)} Workers need the same packages as this process."
    )


@dataclass(frozen=True, eq=False)
class _Given:
    """Starts that are these points."""

    given: NDArray[np.float64]

    def points(self, first: int, count: int) -> NDArray[np.float64]:
        return self.given[first : first + count]


class Worker:
    """A process that computes chunks of one job, one after the other.

    doing: the work given and not answered yet, in order; ready: whether it has answered at all.
    """

    def __init__(self, packed: bytes) -> None:
        if multiprocessing.current_process().daemon:
            raise InputError(
                "A worker process of another program cannot start workers: use executor=None here."
            )
        # Never forked: a fork of a process in which JAX has threads may hang.
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True, name="descentlab-worker")
        with _interrupts_held():
            self._process.start()
        theirs.close()
        self.doing: deque[Any] = deque()
        self.ready = False
        # Not heard if it has died already: then the next answer says so.
        with contextlib.suppress(OSError):
            self.line.send_bytes(packed)

    def give(self, work: Any, first: int, count: int, points: NDArray[np.float64] | None = None) -> None:
        """Hand over a chunk; `work` is what it is called in `doing`."""
        self.doing.append(work)
        with contextlib.suppress(OSError):
            self.line.send((first, count, points))

    def answer(self) -> Chunk | Failure | None:
        """Wait for the next answer; None says that it is ready to work.

        Raises EOFError if the process died: `doing` says what it leaves, `death` how.
        """
        try:
            result: Chunk | Failure | None = self.line.recv()
        except (OSError, pickle.UnpicklingError):  # cut off in the middle of an answer
            raise EOFError from None
        if result is None:
            self.ready = True
        return result

    @property
    def death(self) -> str:
        """How the process died, in words."""
        self._process.join(5)
        code = self._process.exitcode
        if code is None:
            return "it closed its line"
        return f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"

    def check_start(self) -> None:
        """Raise WorkError if the process ended with an error before it was ready to work."""
        how = self.death
        if not self.ready and not how.startswith("signal"):
            raise WorkError(
                f"A worker process ended before it began ({how}). It imports the script that started the survey: "
                "the script must be a file, and call the survey below \"if __name__ == '__main__':\"."
            )

    def stop(self) -> None:
        """End the process now."""
        self.line.close()
        self._process.terminate()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while a process starts, which inherits that: it stops when told to, not by itself."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(line: Any) -> None:
    """Answer every request, until the line is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # the terminal belongs to whoever started the survey
        os.dup2(quiet, stream)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Several processes may share a GPU: none may take all of its memory in advance.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    with contextlib.suppress(EOFError, OSError):
        try:
            job = pickle.loads(line.recv_bytes())
        except (EOFError, OSError):
            raise
        except Exception as error:
            line.send(Failure(f"{type(error).__name__}: {error}", traceback.format_exc()))
            return
        line.send(None)
        while True:
            line.send(attempt(job, *line.recv()))


def _end_with_parent() -> None:
    """End this process when its parent does, even by kill -9 and in the middle of a chunk."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
