"""The store of a survey: every start's end in Parquet files, one a chunk.

A file appears whole or not at all: it is written beside, flushed to the disk and renamed. The names of
all other files begin with "_", which readers of Parquet folders pass over.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError, WorkError
from descentlab.survey.chunk import Chunk, Job
from descentlab.survey.manifest import Manifest, check, describe, digest, read_text, write_text
from descentlab.survey.table import read_chunk, rows_in, write_chunk

MANIFEST, LOCK, PART = "_survey.json", "_survey.lock", ".part"
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
    folder = _folder(path)
    with _lock(folder):
        for name in _names(folder):
            if name.startswith("_") and name.endswith(PART):  # a killed survey was writing it
                with _usable(folder):
                    (folder / name).unlink()
        with _usable(folder):
            text = _manifest_text(folder)
        manifest = _settle_manifest(text, folder, job, size)
        store = ParquetStore(folder, job, manifest)
        if write_text(manifest) != text:  # a new store, or one to which starts are added
            with _usable(folder):
                _replace(folder / MANIFEST, write_text(manifest).encode())
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
        try:
            _replace(self._path(chunk.first), write_chunk(self._variables, chunk, reached, self._digest))
        except OSError as error:
            raise WorkError(
                f"The store {self._folder} cannot be written: {_reason(error)}. What it holds is safe: mend that, "
                f"and the same survey goes on from start {chunk.first:,}."
            ) from error
        self._rows[chunk.first] = len(chunk.outcomes)

    def _path(self, first: int) -> Path:
        return self._folder / f"starts-{first:010d}.parquet"


# The folder


def _folder(path: Any) -> Path:
    """Return the store's folder, made if missing; refuse what is no store and not empty."""
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise InputError(f"The store is a folder's name, but it is {path!r}.")
    folder = Path(path)
    with _usable(folder):
        try:
            folder.mkdir()
        except FileExistsError:
            if not stat.S_ISDIR(folder.stat().st_mode):
                raise InputError(f"The store {folder} is a file. Give the name of a folder.") from None
        except FileNotFoundError:
            raise InputError(
                f"The store {folder} cannot be made: make the folder {folder.parent} first."
            ) from None
    names = _names(folder)
    if MANIFEST not in names:
        strange = [
            name for name in names if not (name == LOCK or name == f"_{MANIFEST}{PART}" or name[0] == ".")
        ]
        if strange:
            raise InputError(
                f"The folder {folder} holds other files ({strange[0]}) and no {MANIFEST}, so it is no store of a "
                "survey. Give an empty or a new folder."
            )
    return folder


def _names(folder: Path) -> list[str]:
    with _usable(folder):
        return sorted(path.name for path in folder.iterdir())


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Say of a failure to use the folder what it was."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"The store {folder} cannot be used: {_reason(error)}. Mend that, or use another folder."
        ) from error


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the store's lock, which the system takes back however this process ends."""
    try:
        import fcntl
    except ImportError:
        raise InputError(
            "A store needs the file locks of Linux and macOS, which this system lacks."
        ) from None
    with _usable(folder):
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with _usable(folder):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                who = os.pread(lock, 200, 0).decode(errors="replace").strip() or "another process"
                raise InputError(
                    f"The store {folder} is in use by another survey ({who}). "
                    "Wait for it to end, or use another folder."
                ) from None
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(lock, 0)
            fcntl.flock(lock, fcntl.LOCK_UN)
    finally:
        os.close(lock)


def _manifest_text(folder: Path) -> str | None:
    path = folder / MANIFEST
    return path.read_bytes().decode(errors="replace") if path.exists() else None


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
    for name in _names(folder):
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


def _replace(path: Path, data: Any) -> None:
    """Put the bytes into the file at once, on the disk: after a crash, the old file or the new one is there."""
    part = path.with_name(f"_{path.name}{PART}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:  # some network file systems cannot flush a folder
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(folder)
