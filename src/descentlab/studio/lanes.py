"""Two lanes of work, one worker process each: what a page waits for while it is played with, and what may take longer.

A worker that takes longer than its message may, or more memory than it may, is killed and replaced, so that no
formula can hang the studio; what it leaves behind is one clear sentence.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

QUICK = ("hello", "formula", "derivation", "field", "run", "verdicts", "anatomy", "copy")
SLOW = ("basins", "survey", "points", "export")
KINDS = (*QUICK, *SLOW)
SECONDS = {**dict.fromkeys(QUICK, 15.0), **dict.fromkeys(SLOW, 60.0)}
STARTING_SECONDS = 60.0
# A worker with JAX loaded takes 0.3 GB; recording the largest run and drawing it less than another.
MOST_MEMORY = 3 << 30
LOOK_SECONDS = 0.1  # between two looks at the memory
ANSWER = "descentlab.studio.messages.answer"
# One thread of linear algebra: two lanes share the cores. JAX has its own.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}

Answer = tuple[dict[str, Any], list[bytes]]


class Lane:
    """One worker process. call() is for one thread at a time; start() returns at once.

    answer: the dotted name of the function that answers a message; own: a pickled function that makes the user's own
    objective, in the worker; first: messages a fresh worker answers before it is ready, to load what they need.
    """

    def __init__(
        self,
        answer: str = ANSWER,
        own: bytes | None = None,
        first: Sequence[Mapping[str, Any]] = (),
        seconds: Mapping[str, float] = SECONDS,
        memory: int = MOST_MEMORY,
    ) -> None:
        self._setup = (answer, own, list(first))
        self._seconds, self._memory = seconds, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._ready = False
        self._lock = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a worker, if none runs."""
        with self._lock:
            if self._closed or (self._process is not None and self._process.poll() is None):
                return
            self._end()
            ours, theirs = Pipe()
            paths = os.pathsep.join(p for p in sys.path if p)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "descentlab.studio.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),), env={**os.environ, "PYTHONPATH": paths, **_ENVIRONMENT},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the server, which then ends its workers
            )  # fmt: skip
            theirs.close()
            self._pipe, self._ready = ours, False
            with contextlib.suppress(OSError):
                ours.send(self._setup)

    def call(self, message: Mapping[str, Any]) -> Answer:
        """Return the answer to a message, or one that says why there is none."""
        self.start()
        if not self._ready and self._wait(STARTING_SECONDS) != "answered":
            self._replace()
            return self._sorry(message, "The studio's worker process could not be started.")
        self._ready = True
        assert self._pipe is not None
        limit = self._seconds.get(str(message.get("kind")), 15.0)
        with contextlib.suppress(OSError):  # if it has ended, waiting says so
            self._pipe.send(dict(message))
        what = self._wait(limit)
        if what == "answered":
            answer: Answer = self._answer
            return answer
        self._replace()
        return self._sorry(message, _SORRY[what].format(limit=limit))

    def _wait(self, seconds: float) -> str:
        """Wait for the worker: answered, slow (too long), large (too much memory) or ended."""
        assert self._pipe is not None
        deadline = time.monotonic() + seconds
        try:
            while not self._pipe.poll(min(LOOK_SECONDS, max(deadline - time.monotonic(), 0.0))):
                if time.monotonic() >= deadline:
                    return "slow"
                if _resident(self.pid) > self._memory:
                    return "large"
            self._answer = self._pipe.recv()
        except (EOFError, OSError):
            return "ended"
        return "answered"

    def _replace(self) -> None:
        with self._lock:
            self._end()
        self.start()

    def _sorry(self, message: Mapping[str, Any], sentence: str) -> Answer:
        error = {"message": sentence, "position": None, "text": ""}
        return {"kind": message.get("kind"), "id": message.get("id"), "error": error, "arrays": []}, []

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._pipe = self._process = None
        self._ready = False

    def close(self) -> None:
        """End the worker for good."""
        with self._lock:
            self._closed = True
            self._end()


_SORRY = {
    "slow": "This took longer than {limit:g} s and was stopped. Take a simpler formula, or less of it.",
    "large": "This took too much memory and was stopped. Take a simpler formula, or less of it.",
    "ended": "The work broke off. Take a simpler formula, or less of it.",
}


def _resident(pid: int | None) -> int:
    """Return the bytes of memory a process holds; 0 where the system does not tell, and then time alone limits it."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
