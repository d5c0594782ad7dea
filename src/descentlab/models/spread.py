"""Chunks of runs on executors: threads here, a process pool, Dask."""

from __future__ import annotations

import functools
import os
import pickle
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from descentlab.errors import InputError, WorkError
from descentlab.models.training import Trained

# Work(runs) → those runs, trained.
Work = Callable[[range], Trained]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train_on(
    executor: Any, work: Work, recipe: tuple[Any, ...], chunks: list[range]
) -> Generator[Trained, None, None]:
    """Train the chunks and yield them in order.

    executor: None for the threads of this process, or anything with `submit`: a concurrent.futures.Executor, or
    Dask's Client. Others receive `recipe` = (make_work, *arguments), pickled, and make the work themselves.
    """
    if executor is None:
        if chunks:
            yield work(chunks[0])  # compiles, once
        with ThreadPoolExecutor(cores()) as pool:
            yield from pool.map(work, chunks[1:])
        return
    if not callable(getattr(executor, "submit", None)):
        raise InputError(
            "The executor is None, a concurrent.futures.Executor or a dask.distributed.Client; got "
            f"{type(executor).__name__}."
        )
    packed = _packed(recipe, isinstance(executor, Executor))
    futures: list[Future[Trained]] = [executor.submit(_elsewhere, packed, chunk) for chunk in chunks]
    try:
        for future in futures:
            try:
                yield future.result()
            except (InputError, WorkError):
                raise
            except Exception as error:
                raise WorkError(f"A worker failed: {type(error).__name__}: {error}") from error
    finally:
        for future in futures:
            future.cancel()


def _packed(recipe: tuple[Any, ...], plain: bool) -> bytes:
    try:
        if plain:
            return pickle.dumps(recipe)
        import cloudpickle  # comes with Dask; takes functions that are defined anywhere

        return bytes(cloudpickle.dumps(recipe))
    except Exception as error:
        raise InputError(
            f"The model cannot be sent to other processes: {error}. Define build and loss in a module of their own, "
            "not as lambdas."
        ) from error


def _elsewhere(packed: bytes, runs: range) -> Trained:
    return _made(packed)(runs)


@functools.lru_cache(2)
def _made(packed: bytes) -> Work:
    make_work, *arguments = pickle.loads(packed)
    work: Work = make_work(*arguments)
    return work
