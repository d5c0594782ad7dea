"""Where the chunks of a survey are computed: in this process, in worker processes, on a cluster."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from descentlab.survey.chunk import Chunk, Job, run_chunk


def compute(job: Job, ranges: Sequence[tuple[int, int]], executor: Any) -> Generator[Chunk, None, None]:
    """Yield the chunks of these ranges of starts, (first, count), in their order."""
    return _in_threads(job, ranges)


def _in_threads(job: Job, ranges: Sequence[tuple[int, int]]) -> Generator[Chunk, None, None]:
    """Compute in this process: a chunk a core, or all cores on one chunk."""
    cores = os.cpu_count() or 1
    if len(ranges) < 2 * cores:
        for first, count in ranges:
            yield run_chunk(job, first, count, cores)
        return
    with ThreadPoolExecutor(cores) as pool:
        waiting = deque()
        try:
            for first, count in ranges:
                waiting.append(pool.submit(run_chunk, job, first, count))
                if len(waiting) > cores:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
