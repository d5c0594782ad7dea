"""Surveys on a Dask cluster."""

from __future__ import annotations

import contextlib
import importlib
import logging
import pickle
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

from descentlab.errors import InputError, WorkError
from descentlab.survey.chunk import Job
from descentlab.survey.crashes import Isolation
from descentlab.survey.workers import AHEAD, Chunks, Range, attempt, lost, opened, pack

log = logging.getLogger("descentlab")

# Chunks taken back by a cluster – a restart, a lost connection – are sent again this often.
RESENT = 5
# How long a scheduler may take to answer, in seconds.
PATIENCE = 10


@contextlib.contextmanager
def open_executor(workers: int | None = None, scheduler: str | None = None) -> Iterator[Any]:
    """Give the executor that the command line names: a number of workers, a Dask scheduler's address, or None.

    Raises InputError if both are given, dask.distributed is missing, or nobody answers at the address.
    """
    import asyncio

    if scheduler is None:
        yield workers
        return
    if workers is not None:
        raise InputError(
            "Give either --workers or --scheduler, not both: a scheduler has workers of its own."
        )
    try:
        distributed = importlib.import_module("distributed")
    except ImportError:
        raise InputError("--scheduler needs dask.distributed: pip install 'descentlab[dask]'.") from None
    try:
        # A client that finds nobody leaves its threads behind, so somebody is looked for first.
        asyncio.run(_greet(scheduler))
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            client = distributed.Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"No Dask scheduler answers at '{scheduler}' ({reason}). 'dask scheduler' prints its address, "
            "such as tcp://node7:8786."
        ) from error
    for warning in warned:  # that versions differ, say
        log.warning("%s", warning.message)
    try:
        yield client
    finally:
        client.close()


async def _greet(address: str) -> None:
    """Connect to the address and leave again."""
    distributed = importlib.import_module("distributed")
    keys = distributed.Security().get_connection_args("client")
    line = await distributed.comm.connect(address, timeout=PATIENCE, **keys)
    line.abort()


def on_cluster(job: Job, ranges: Sequence[Range], client: Any) -> Chunks:
    """Compute on a Dask cluster, two chunks under way for each of its threads."""
    import asyncio

    from distributed import KilledWorker

    _check_cluster(client)
    packed = pack(job)
    isolation = Isolation(job, packed)
    # The job is a task, not scattered data: a task is done again where the worker that had it died, scattered
    # data is gone.
    shared = _share(client, packed)
    todo, waiting = deque(ranges), deque[tuple[Range, Any]]()
    resent: Counter[Range] = Counter()
    try:
        while todo or waiting:
            room = AHEAD * max(sum(client.nthreads().values()), 1)
            while todo and len(waiting) < room:
                waiting.append((todo[0], client.submit(attempt, shared, *todo[0], pure=False)))
                todo.popleft()
            each, future = waiting[0]
            try:
                chunk = opened(future.result(), *each)
            except KilledWorker as error:
                log.warning("%s Computing it here.", str(error).partition(". ")[0] + ".")
                chunk = isolation.chunk(*each)
            except (CancelledError, asyncio.CancelledError) as error:
                resent[each] += 1
                if client.status != "running" or resent[each] > RESENT:
                    raise WorkError(f"The Dask cluster gave up on the survey: {error}") from error
                if shared.status not in ("pending", "finished"):
                    shared = _share(client, packed)
                waiting[0] = each, client.submit(attempt, shared, *each, pure=False)
                continue
            except Exception as error:
                raise lost(*each, error) from error
            waiting.popleft()
            yield chunk
    finally:
        if client.status == "running":
            client.cancel([future for _, future in waiting], force=True)


def _share(client: Any, packed: bytes) -> Any:
    with warnings.catch_warnings():  # a survey of given starts is as large as they are
        warnings.filterwarnings("ignore", message="Sending large graph")
        return client.submit(pickle.loads, packed, pure=False)


def _check_cluster(client: Any) -> None:
    """Raise InputError unless the client can be used, and its workers compute what this process would."""
    if client.asynchronous:
        raise InputError("An asynchronous Dask client cannot be used here: make it with asynchronous=False.")
    if client.status != "running":
        raise InputError(f"The Dask client is not connected: it is {client.status}.")
    here = versions()
    answers: dict[str, Any] = client.run(versions, on_error="return")
    if not answers:
        log.warning("The Dask cluster has no workers yet: waiting for them.")
    for worker, there in answers.items():
        if isinstance(there, ImportError):
            raise InputError(
                f"The Dask worker {worker} cannot import descentlab ({there}): install it there too."
            )
        if isinstance(there, dict) and there != here:
            raise InputError(
                f"The Dask worker {worker} has {_listed(there)}, but here are {_listed(here)}: results would differ."
            )


def versions() -> dict[str, str]:
    """Return the versions of what the results depend on."""
    from importlib.metadata import version

    return {name: version(name) for name in ("descentlab", "jax", "jaxlib", "numpy", "optax")}


def _listed(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())
