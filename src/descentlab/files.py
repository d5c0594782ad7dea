"""A folder of results: one process at a time writes into it, and its files are there whole or not at all.

All names but those of the results begin with "_", which readers of Parquet folders pass over.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from descentlab.errors import InputError, WorkError

PART = ".part"


@contextlib.contextmanager
def opened(path: Any, what: str) -> Iterator[Path]:
    """Make the folder if it is missing, hold its lock, and remove what a killed process left half written.

    what: what the folder is the store of, such as "survey": its manifest is _survey.json, its lock _survey.lock.

    Raises InputError for a folder that cannot be used, holds other files, or is in use.
    """
    folder = make_folder(path)
    manifest, lock = manifest_name(what), f"_{what}.lock"
    present = names(folder)
    strange = [name for name in present if name not in (lock, f"_{manifest}{PART}") and name[0] != "."]
    if manifest not in present and strange:
        raise InputError(
            f"The folder {folder} holds other files ({strange[0]}) and no {manifest}, so it is no store of a "
            f"{what}. Give an empty or a new folder."
        )
    with _locked(folder, lock, what):
        for name in names(folder):
            if name.startswith("_") and name.endswith(PART):
                with usable(folder):
                    (folder / name).unlink()
        yield folder


def manifest_name(what: str) -> str:
    """Return the name of the file that says what a store was made with."""
    return f"_{what}.json"


def manifest_text(folder: Path, what: str) -> str | None:
    """Return the manifest's text, None if the store is new."""
    path = folder / manifest_name(what)
    with usable(folder):
        return path.read_bytes().decode(errors="replace") if path.exists() else None


def make_folder(path: Any) -> Path:
    """Return the store's folder, made if missing; its parent must be there."""
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise InputError(f"The store is a folder's name, but it is {path!r}.")
    folder = Path(path)
    with usable(folder):
        try:
            folder.mkdir()
        except FileExistsError:
            if not stat.S_ISDIR(folder.stat().st_mode):
                raise InputError(f"The store {folder} is a file. Give the name of a folder.") from None
        except FileNotFoundError:
            raise InputError(
                f"The store {folder} cannot be made: make the folder {folder.parent} first."
            ) from None
    return folder


def names(folder: Path) -> list[str]:
    """Return the names of all files in the folder, sorted."""
    with usable(folder):
        return sorted(path.name for path in folder.iterdir())


@contextlib.contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Say of a failure to use the folder what it was."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"The store {folder} cannot be used: {_reason(error)}. Mend that, or use another folder."
        ) from error


def write_manifest(folder: Path, what: str, text: str) -> None:
    """Write the manifest."""
    with usable(folder):
        _replace(folder / manifest_name(what), text.encode())


def write_result(path: Path, data: Any, goes_on: str) -> None:
    """Write a file of results; raise WorkError where it cannot be. goes_on: what happens once that is mended."""
    try:
        _replace(path, data)
    except OSError as error:
        raise WorkError(
            f"The store {path.parent} cannot be written: {_reason(error)}. What it holds is safe: mend that, "
            f"and {goes_on}."
        ) from error


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


@contextlib.contextmanager
def _locked(folder: Path, name: str, what: str) -> Iterator[None]:
    """Hold the store's lock, which the system takes back however this process ends."""
    try:
        import fcntl
    except ImportError:
        raise InputError(
            "A store needs the file locks of Linux and macOS, which this system lacks."
        ) from None
    with usable(folder):
        lock = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with usable(folder):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                who = os.pread(lock, 200, 0).decode(errors="replace").strip() or "another process"
                raise InputError(
                    f"The store {folder} is in use by another {what} ({who}). "
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
