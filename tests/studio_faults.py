"""A stand-in for the studio's answers: it echoes, hangs, eats memory, ends its process, or answers at length."""

from __future__ import annotations

import os
import time
from typing import Any


def answer(message: dict[str, Any], own: Any = None) -> tuple[dict[str, Any], list[bytes]]:
    """Do what the message says."""
    what = message.get("do", "echo")
    buffers: list[bytes] = []
    if what == "hang":
        time.sleep(1000)
    elif what == "memory":
        eaten = [b"x" * (1 << 20) for _ in range(2000)]
        time.sleep(1000)
        del eaten
    elif what == "end":
        os._exit(3)
    elif what == "long":
        buffers = [bytes(8 << 20)]
    elif what == "sleep":
        time.sleep(float(message["seconds"]))
    return {
        "kind": message["kind"],
        "id": message["id"],
        "pid": os.getpid(),
        "own": own,
        "arrays": [],
    }, buffers
