"""Watching a survey: a snapshot after every chunk, and stopping by what it says."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from descentlab.errors import InputError


@dataclass(frozen=True)
class Snapshot:
    """Where a survey stands. starts: done, of `total`; fresh: those done in this run, in `seconds`;
    minima: how many so far; best: the lowest value, None before the first; unseen, unseen_most: the
    estimated share of starts that lead to minima not seen yet, and the upper end of its 95 % interval;
    all_seen: the probability that no minimum is missing."""

    starts: int
    total: int
    fresh: int
    seconds: float
    minima: int
    best: float | None
    unseen: float
    unseen_most: float
    all_seen: float


Watch = Callable[[Snapshot], object]

_CONDITIONS: dict[str, Callable[[Snapshot, float], bool]] = {
    "unseen<": lambda s, limit: s.minima > 0 and s.unseen_most < limit,
    "all_seen>": lambda s, limit: s.minima > 0 and s.all_seen > limit,
}


def read_until(text: str | None) -> Callable[[Snapshot], bool] | None:
    """Return the condition on a snapshot that `text` states: "unseen<0.001" (the upper end of the 95 % interval
    of the unseen share), or "all_seen>0.99" (the probability that every minimum was seen).

    Raises InputError for any other text, and for numbers outside (0, 1).

    >>> read_until("unseen<0.5")(Snapshot(100, 100, 100, 1.0, 4, 0.0, 0.0, 0.04, 0.9))
    True
    """
    if text is None:
        return None
    squeezed = "".join(str(text).split())
    for form, holds in _CONDITIONS.items():
        if squeezed.startswith(form):
            try:
                limit = float(squeezed[len(form) :])
            except ValueError:
                break
            if not 0 < limit < 1:
                raise InputError(f"The limit in until='{text}' must lie between 0 and 1.")
            return lambda snapshot: holds(snapshot, limit)
    raise InputError(f"Unknown condition '{str(text)[:60]}'. Give 'unseen<0.001' or 'all_seen>0.99'.")


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block is done, so that what it keeps in step stays in step."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            signal.raise_signal(signal.SIGINT)
