"""The child process of isolate.py: takes one piece of work after another from a pipe."""

from __future__ import annotations

import contextlib
import pickle
import resource
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from descentlab.errors import WorkError


def main(descriptor: int, memory: int) -> None:
    """Serve until the pipe closes, which it does when the parent ends."""
    from descentlab.formula.reader import read

    read("x + 1")  # loads SymPy and Lark and builds the parser before the first clock runs
    _limit_memory(memory)
    pipe = Connection(descriptor)
    pipe.send(("ready", None))
    while True:
        try:
            function, arguments, seconds = pipe.recv()
        except EOFError:
            return
        # Should the parent be gone before it can end this process, the alarm's default action
        # ends it, in the middle of C code too.
        signal.setitimer(signal.ITIMER_REAL, seconds + 5)
        pipe.send_bytes(_answer(function, arguments))
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory(memory: int) -> None:
    """Allow `memory` bytes of address space beyond what Python and the modules take already."""
    with contextlib.suppress(OSError, ValueError):  # not every system can tell or limit it
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _answer(function: Any, arguments: tuple[object, ...]) -> bytes:
    try:
        outcome: tuple[str, object] = ("result", function(*arguments))
    except MemoryError:
        outcome = ("memory", None)
    except Exception as error:
        outcome = ("error", error)
    try:
        message = pickle.dumps(outcome)
        if outcome[0] == "error":
            pickle.loads(message)  # an exception may pickle and yet not come back
        return message
    except Exception:
        shown = f"{type(outcome[1]).__name__} cannot be sent back from a child process."
        return pickle.dumps(("error", WorkError(shown)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
