"""A worker process of the studio: takes messages from a pipe, answers them one by one; see lanes.py."""

from __future__ import annotations

import importlib
import pickle
import sys
from multiprocessing.connection import Connection
from typing import Any


def main(descriptor: int) -> None:
    """Serve until the pipe closes, which it does when the parent ends."""
    pipe = Connection(descriptor)
    try:
        name, make_own, first = pipe.recv()
        module, _, function = name.rpartition(".")
        answer: Any = getattr(importlib.import_module(module), function)
        own = None if make_own is None else pickle.loads(make_own)()
        for message in first:  # load what the first messages will need
            answer(message, own)
        pipe.send(None)
        while True:
            message = pipe.recv()
            pipe.send(answer(message, own))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return


if __name__ == "__main__":
    main(int(sys.argv[1]))
