"""The store of a survey: every start's end in Parquet files, one a chunk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.survey.chunk import Chunk, Job


class Store:
    """No store: nothing is kept."""

    def has(self, first: int, count: int) -> bool:
        return False

    def read(self, first: int, count: int) -> Chunk:
        raise NotImplementedError

    def write(self, chunk: Chunk, reached: NDArray[np.int32]) -> None:
        return


@contextlib.contextmanager
def open_store(path: Any, job: Job, size: int) -> Iterator[Store]:
    yield Store()
