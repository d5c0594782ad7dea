"""Where the chunks of a survey are computed: in this process, in worker processes, on a cluster.

A chunk depends on its job and its numbers alone, so who computes it, and how often it is begun,
changes no bit. Chunks come back in their order, and few of them are under way at a time, so memory
does not grow with the survey.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import logging
import os
import pickle
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np

from descentlab.errors import InputError, WorkError
from descentlab.survey.chunk import Chunk, Job, run_chunk
from descentlab.survey.crashes import Isolation
from descentlab.survey.workers import AHEAD, Chunks, Failure, Range, Worker, attempt, lost, opened, pack

log = logging.getLogger("descentlab")

MOST_WORKERS = 1024
# A chunk that has killed this many processes is looked into, start by start.
DEATHS = 2


def compute(job: Job, ranges: Sequence[Range], executor: Any) -> Chunks:
    """Return the chunks of these ranges of starts, (first, count), in their order, as they come.

    executor: None (threads of this process), a number of worker processes, a
    concurrent.futures.Executor, or a dask.distributed.Client.

    Raises InputError for anything else, and for a job that cannot be sent to other processes.
    """
    if executor is None:
        return _in_threads(job, ranges)
    if isinstance(executor, (int, np.integer)) and not isinstance(executor, bool):
        if not 1 <= executor <= MOST_WORKERS:
            raise InputError(f"The number of worker processes is 1 to {MOST_WORKERS}, but it is {executor}.")
        return _in_workers(job, pack(job), ranges, int(executor))
    if isinstance(executor, concurrent.futures.Executor):
        return _in_executor(job, ranges, executor)
    if "distributed" in sys.modules and isinstance(executor, sys.modules["distributed"].Client):
        from descentlab.survey.cluster import on_cluster

        return on_cluster(job, ranges, executor)
    raise InputError(
        "The executor is None, a number of worker processes, a concurrent.futures.Executor or a "
        f"dask.distributed.Client; got {type(executor).__name__}."
    )


def _in_threads(job: Job, ranges: Sequence[Range]) -> Chunks:
    """Compute in this process: a chunk a core, or all cores (or the GPU) on one chunk."""
    cores = os.cpu_count() or 1
    if len(ranges) < 2 * cores or _has_gpu(job):
        for first, count in ranges:
            yield run_chunk(job, first, count, cores)
        return
    with ThreadPoolExecutor(cores) as pool:
        waiting: deque[concurrent.futures.Future[Chunk]] = deque()
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


def _has_gpu(job: Job) -> bool:
    if job.setup.method.arithmetic != "jax":
        return False
    import jax

    return bool(jax.default_backend() != "cpu")


# Worker processes of our own


def _in_workers(job: Job, packed: bytes, ranges: Sequence[Range], count: int) -> Chunks:
    with contextlib.closing(_Pool(packed, ranges, count)) as pool:
        isolation = Isolation(job, packed)
        for place, (first, size) in enumerate(ranges):
            result = pool.result(place)
            if result is None:
                yield isolation.chunk(first, size, sure=True)
            else:
                yield opened(result, first, size)


class _Pool:
    """Workers that compute ranges of starts, a few ahead of what is asked for."""

    def __init__(self, packed: bytes, ranges: Sequence[Range], count: int) -> None:
        self._packed, self._ranges = packed, ranges
        self._waiting = deque(range(len(ranges)))  # indices of ranges nobody has yet, in order
        self._found: dict[int, Chunk | Failure | None] = {}
        self._deaths: Counter[int] = Counter()
        self._never_ready = 0
        self._workers: list[Worker] = []
        try:
            for _ in range(min(count, len(ranges))):
                self._workers.append(Worker(packed))
        except BaseException:
            self.close()
            raise

    def result(self, place: int) -> Chunk | Failure | None:
        """Wait for the range of that index; None if it kills the processes that compute it."""
        from multiprocessing.connection import wait

        while place not in self._found:
            self._hand_out(place)
            for line in wait([worker.line for worker in self._workers]):
                self._hear(next(worker for worker in self._workers if worker.line is line))
        found = self._found.pop(place)
        self._hand_out(place + 1)  # whoever asked is busy with this one for a while
        return found

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def _hand_out(self, place: int) -> None:
        """Give work to those with the least, no further ahead of `place` than there is memory for."""
        limit = place + (AHEAD + 1) * len(self._workers)
        # Towards the end nobody should have two chunks while another has none.
        most = AHEAD if len(self._waiting) > len(self._workers) else 1
        while self._waiting and self._waiting[0] < limit:
            worker = min(self._workers, key=lambda worker: len(worker.doing))
            if len(worker.doing) >= most:
                return
            index = self._waiting.popleft()
            worker.give(index, *self._ranges[index])

    def _hear(self, worker: Worker) -> None:
        """Take a worker's answer, or bury it and put another in its place."""
        try:
            answer = worker.answer()
        except EOFError:
            self._bury(worker)
            return
        if answer is None:
            self._never_ready = 0
        elif worker.ready:
            self._found[worker.doing.popleft()] = answer
        else:  # it could not even read the job
            for index in [*worker.doing, *self._waiting]:
                self._found.setdefault(index, answer)

    def _bury(self, worker: Worker) -> None:
        worker.check_start()
        left = list(worker.doing)
        if worker.ready:
            if left:  # it was at work on the first; the others were only waiting
                self._deaths[left[0]] += 1
        else:
            self._never_ready += 1
            if self._never_ready > 3 * len(self._workers):
                raise WorkError(f"Worker processes are killed before they begin ({worker.death}).")
        log.info("A worker process died (%s); its chunk is done again.", worker.death)
        if left and self._deaths[left[0]] >= DEATHS:
            self._found[left.pop(0)] = None
        self._waiting = deque(sorted([*self._waiting, *left]))
        worker.stop()
        self._workers[self._workers.index(worker)] = Worker(self._packed)


# Executors of the user's own


def _in_executor(job: Job, ranges: Sequence[Range], executor: concurrent.futures.Executor) -> Chunks:
    """Compute in an executor; should its processes die, go on in worker processes of our own."""
    send = _sender(job, executor)
    width = int(getattr(executor, "_max_workers", None) or os.cpu_count() or 1)
    todo, waiting = deque(ranges), deque[tuple[Range, concurrent.futures.Future[Any]]]()
    try:
        while todo or waiting:
            each = waiting[0][0] if waiting else todo[0]
            try:
                while todo and len(waiting) < AHEAD * width:
                    waiting.append((todo[0], send(*todo[0])))
                    todo.popleft()
                result = waiting[0][1].result()
            except (BrokenExecutor, CancelledError) as error:
                log.warning("The executor given broke (%s); going on in %d worker processes.", error, width)
                left = [begun for begun, _ in waiting] + list(todo)
                yield from _in_workers(job, pack(job), left, width)
                return
            except Exception as error:
                raise lost(*each, error) from error
            waiting.popleft()
            yield opened(result, *each)
    finally:
        for _, future in waiting:
            future.cancel()


def _sender(job: Job, executor: concurrent.futures.Executor) -> Callable[[int, int], Any]:
    """Return what submits a range of starts to the executor."""
    if isinstance(executor, ThreadPoolExecutor):
        packed = None
    else:
        if isinstance(executor, ProcessPoolExecutor) and _forks(executor):
            raise InputError(
                "This process pool forks, and JAX may hang in a fork. Make it with "
                'ProcessPoolExecutor(…, mp_context=multiprocessing.get_context("spawn")), or give a number.'
            )
        packed = pack(job)
    name = "" if packed is None else hashlib.sha256(packed).hexdigest()

    def send(first: int, count: int) -> Any:
        try:
            if packed is None:
                return executor.submit(attempt, job, first, count)
            return executor.submit(_attempt_packed, name, packed, first, count)
        except BrokenExecutor:
            raise
        except RuntimeError as error:  # it was shut down
            raise InputError(f"The executor takes no work: {error}.") from error

    return send


def _forks(executor: ProcessPoolExecutor) -> bool:
    context = getattr(executor, "_mp_context", None)
    return context is not None and context.get_start_method() == "fork"


_last: tuple[str, Job] | None = None


def _attempt_packed(name: str, packed: bytes, first: int, count: int) -> Chunk | Failure:
    """Compute a chunk of a packed job, read once: what is compiled for it is kept with it."""
    global _last
    last = _last
    if last is None or last[0] != name:
        last = _last = (name, pickle.loads(packed))
    return attempt(last[1], first, count)
