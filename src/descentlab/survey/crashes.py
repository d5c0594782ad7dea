"""Which starts kill the process that descends from them: found one by one, so that the others go on."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import WorkError
from descentlab.survey.chunk import CRASHED, SURVEY_OUTCOMES, Chunk, Job, Places
from descentlab.survey.workers import Worker, opened

log = logging.getLogger("descentlab")

# A range of starts is cut into this many pieces: 65,536 → 2,048 → 64 → 2 → 1. A piece that lives costs little, a
# death costs the start of a process, two seconds or so.
PIECES = 32
# Starts tried alone before any search: if they all kill their process, so will the others.
TRIED = 4
# Each takes a few processes to find: a search for more than this many would take half an hour or so.
MOST_CRASHES = 100


class Isolation:
    """Computes chunks that killed the process they were in; counts the starts to blame."""

    def __init__(self, job: Job, packed: bytes) -> None:
        self._job, self._packed = job, packed
        self._crashes = 0
        self._worker: Worker | None = None
        self._death = ""

    def chunk(self, first: int, count: int, sure: bool = False) -> Chunk:
        """Compute the chunk in a process of its own; starts that kill it get the outcome "crashed".

        sure: whether it is known that the chunk kills its process; else it is given one more chance.

        The others get the results they would have had without those, to the bit: they are computed in one go.

        Raises WorkError where every start kills its process, or more than 100 do, or none does alone.
        """
        points = self._job.starts.points(first, count)
        with self._ending():
            chunk = None if sure else self._run(first, points)
            if chunk is not None:  # the process had died of something else
                return chunk
            self._try_some(first, points)
            bad = self._culprits(first, points, 0, count)
            good = np.setdiff1d(np.arange(count), bad)
            for _ in range(3):
                if not good.size:
                    break
                chunk = self._run(first, points[good])
                if chunk is not None:
                    break
            else:
                raise WorkError(
                    f"The starts number {first:,} to {first + count - 1:,} kill the process that computes them "
                    f"({self._death}), but no start does alone. Perhaps it has too little memory."
                )
        return _with_crashed(chunk, first, points, good)

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._worker is not None:
                self._worker.stop()
                self._worker = None

    def _run(self, first: int, points: NDArray[np.float64]) -> Chunk | None:
        """Compute these points, or return None if that kills the process."""
        if self._worker is None:
            self._worker = Worker(self._packed)
        worker = self._worker
        worker.give(first, first, len(points), points)
        try:
            result = worker.answer()
            if result is None:
                result = worker.answer()
        except EOFError:
            worker.check_start()
            self._death = worker.death
            worker.stop()
            self._worker = None
            return None
        assert result is not None
        return opened(result, first, len(points))

    def _try_some(self, first: int, points: NDArray[np.float64]) -> None:
        """Raise WorkError if each of a few starts kills its process: a search would never end."""
        if len(points) <= TRIED:
            return
        for place in np.linspace(0, len(points) - 1, TRIED).astype(int):
            if self._run(first + int(place), points[[place]]) is not None:
                return
        raise WorkError(
            f"Every start tried kills the process that descends from it ({self._death}): there is nothing to "
            "survey. Run a few starts without workers: what the process prints as it dies may say why."
        )

    def _culprits(self, first: int, points: NDArray[np.float64], low: int, high: int) -> list[int]:
        """Return which of the points low … high − 1, which have just killed a process, each kill one alone."""
        if high - low == 1:
            # Only these signals may have come from outside and have nothing to do with the start.
            from_outside = self._death in ("signal SIGKILL", "signal SIGTERM")
            if from_outside and self._run(first + low, points[low:high]) is not None:
                return []
            self._blame(first + low, points[low])
            return [low]
        size = -(-(high - low) // PIECES)
        found = []
        for start in range(low, high, size):
            end = min(start + size, high)
            if self._run(first + start, points[start:end]) is None:
                found += self._culprits(first, points, start, end)
        return found

    def _blame(self, number: int, point: NDArray[np.float64]) -> None:
        place = ", ".join(f"{coordinate:.6g}" for coordinate in point[:6])
        what = f"Start number {number:,} at ({place}{', …' if len(point) > 6 else ''}) kills the process"
        self._crashes += 1
        if self._crashes > MOST_CRASHES:
            raise WorkError(
                f"{what} that descends from it ({self._death}), and so did {MOST_CRASHES} starts before. "
                "Leave where that happens out of the domain, or guard the function there."
            )
        log.warning("%s that descends from it (%s): counted as crashed.", what, self._death)


def _with_crashed(
    chunk: Chunk | None, first: int, points: NDArray[np.float64], good: NDArray[np.int64]
) -> Chunk:
    """Return the chunk of all points: the good ones' results, and "crashed" for the others."""
    count, dim = points.shape
    places = Places(np.empty((0, dim)), np.empty(0), np.empty(0, np.int8)) if chunk is None else chunk.places
    whole = Chunk(
        first,
        points,
        np.full((count, dim), np.nan),
        np.full(count, np.nan),
        np.full(count, np.nan),
        np.full(count, SURVEY_OUTCOMES.index(CRASHED), np.int8),
        np.zeros(count, np.int64),
        np.full(count, -1, np.int32),
        places,
    )
    if chunk is not None:
        for name in ("ends", "values", "slopes", "outcomes", "taken", "reached"):
            getattr(whole, name)[good] = getattr(chunk, name)
    return whole
