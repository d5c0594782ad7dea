"""The store of a survey: every start's end in Parquet files, one a chunk.

A file appears whole or not at all: it is written beside, flushed to the disk and renamed. The names of
all other files begin with "_", which readers of Parquet folders pass over.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError, WorkError
from descentlab.files import manifest_name, manifest_text, names, opened, write_manifest, write_result
from descentlab.survey.chunk import Chunk, Job
from descentlab.survey.manifest import Manifest, check, describe, digest, read_text, write_text
from descentlab.survey.table import read_chunk, rows_in, write_chunk

WHAT = "survey"
MANIFEST = manifest_name(WHAT)
_NAME = re.compile(r"starts-(\d{10,})\.parquet")
# What reading a file that is damaged, or is none of ours, raises: Arrow's errors are of these kinds.
_UNREADABLE = (OSError, ValueError, LookupError)


class Store:
    """No store: nothing is kept. size: the starts of a chunk."""

    def __init__(self, size: int) -> None:
        self.size = size

    def has(self, first: int, count: int) -> bool:
        """Tell whether the chunk of these starts is there."""
        return False

    def read(self, first: int, count: int, whole: bool = True) -> Chunk:
        """Return the chunk of these starts, which is there; unless `whole`, without starts, ends,
        values and slopes."""
        raise NotImplementedError

    def confirm(self, chunk: Chunk, reached: NDArray[np.int32]) -> None:
        """Check that a chunk read has the ids of minima it was written with."""

    def write(self, chunk: Chunk, reached: NDArray[np.int32]) -> None:
        """Keep a chunk; reached (start,): the ids of the minima, −1 for none."""


@contextlib.contextmanager
def open_store(path: Any, job: Job, size: int) -> Iterator[Store]:
    """Open the store in the folder `path`, or begin one; None stands for no store.

    A store there keeps the size of chunks it was begun with. Raises InputError for a folder that
    cannot be used, is another survey's, is damaged, or is in use.
    """
    if path is None:
        yield Store(size)
        return
    with opened(path, WHAT) as folder:
        text = manifest_text(folder, WHAT)
        manifest = _settle_manifest(text, folder, job, size)
        store = ParquetStore(folder, job, manifest)
        if write_text(manifest) != text:  # a new store, or one to which starts are added
            write_manifest(folder, WHAT, write_text(manifest))
        yield store


class ParquetStore(Store):
    """A folder of Parquet files, one a chunk, named by the number of the first start."""

    def __init__(self, folder: Path, job: Job, manifest: Manifest) -> None:
        super().__init__(manifest["chunk"])
        self._folder, self._variables = folder, job.objective.names
        self._digest = digest(manifest)
        self._ids: dict[int, NDArray[np.int32]] = {}  # of the chunks read and not yet confirmed
        self._rows = _rows_held(folder, self.size)
        held = max((first + rows for first, rows in self._rows.items()), default=0)
        if held > job.starts.count:
            raise InputError(
                f"The store {folder} holds {held:,} starts, but this survey asks for {job.starts.count:,}. "
                f"Ask for {held:,} or more, or use another folder."
            )

    def has(self, first: int, count: int) -> bool:
        return self._rows.get(first) == count

    def read(self, first: int, count: int, whole: bool = True) -> Chunk:
        path = self._path(first)
        try:
            chunk, self._ids[first] = read_chunk(path, self._variables, first, count, self._digest, whole)
        except _UNREADABLE as error:
            raise WorkError(_damaged(path, str(error))) from error
        return chunk

    def confirm(self, chunk: Chunk, reached: NDArray[np.int32]) -> None:
        if not np.array_equal(reached, np.append(self._ids.pop(chunk.first), -1)[chunk.reached]):
            path = self._path(chunk.first)
            raise WorkError(
                _damaged(path, "its minima are numbered otherwise than the files before it imply")
            )

    def write(self, chunk: Chunk, reached: NDArray[np.int32]) -> None:
        data = write_chunk(self._variables, chunk, reached, self._digest)
        write_result(self._path(chunk.first), data, f"the same survey goes on from start {chunk.first:,}")
        self._rows[chunk.first] = len(chunk.outcomes)

    def _path(self, first: int) -> Path:
        return self._folder / f"starts-{first:010d}.parquet"


# The folder


def _settle_manifest(text: str | None, folder: Path, job: Job, size: int) -> Manifest:
    """Return the store's manifest, checked against the survey's and brought up to date, or a new one."""
    mine = describe(job, size)
    if text is None:
        return mine
    theirs = read_text(text, str(folder / MANIFEST))
    check(theirs, mine, job, str(folder))
    return theirs | {"starts": mine["starts"]}


def _rows_held(folder: Path, size: int) -> dict[int, int]:
    """Return how many starts each file holds, by the number of the first."""
    rows = {}
    for name in names(folder):
        if name.startswith(("_", ".")) or not name.endswith(".parquet"):
            continue
        match, path = _NAME.fullmatch(name), folder / name
        first = int(match[1]) if match else -1
        if not match or first % size or name != f"starts-{first:010d}.parquet":
            raise InputError(
                f"{path} is none of the store's files. Move it elsewhere: all *.parquet here are read as one."
            )
        try:
            rows[first] = rows_in(path)
        except _UNREADABLE as error:
            raise InputError(_damaged(path, str(error))) from error
        if not 0 < rows[first] <= size:
            raise InputError(_damaged(path, f"it holds {rows[first]} starts"))
    return rows


def _damaged(path: Path, why: str) -> str:
    first = (why.strip().splitlines() or ["it cannot be read"])[0].rstrip(".")
    return f"{path} is damaged or not this store's: {first}. Delete it: its starts are descended again."
