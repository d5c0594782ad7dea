"""A chunk of a survey as a Parquet file: flat columns for every reader, and notes to the bit for the survey."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.survey.chunk import SURVEY_OUTCOMES, Chunk, Places

Ids = NDArray[np.int32]

# What a survey needs of a start once its result holds no more starts one by one.
_COUNTED = ("outcome", "steps", "minimum")
_SURVEY, _PLACES = "descentlab.survey", "descentlab.places"


def write_chunk(names: tuple[str, ...], chunk: Chunk, reached: Ids, survey: str) -> Any:
    """Return the chunk as the bytes of a Parquet file, the same bytes for the same chunk.

    reached (start,): the ids of the minima, −1 for none; survey: a text that tells the survey.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [
        pa.array(np.arange(chunk.first, chunk.first + len(reached), dtype=np.int64)),
        *(pa.array(np.ascontiguousarray(column)) for column in chunk.starts.T),
        *(pa.array(np.ascontiguousarray(column)) for column in chunk.ends.T),
        pa.array(chunk.values),
        pa.DictionaryArray.from_arrays(pa.array(chunk.outcomes.astype(np.int8)), pa.array(SURVEY_OUTCOMES)),
        pa.array(chunk.taken.astype(np.int64)),
        pa.array(chunk.slopes),
        pa.array(reached.astype(np.int32), mask=reached < 0),
    ]
    table = pa.Table.from_arrays(columns, names=list(_columns(names)))
    ids = np.full(len(chunk.places.values), -1, np.int32)
    ids[chunk.reached[chunk.reached >= 0]] = reached[chunk.reached >= 0]
    out = pa.BufferOutputStream()
    # Coordinates hardly repeat, so a dictionary of them only costs time; checksums tell a damaged page.
    with pq.ParquetWriter(
        out,
        table.schema,
        use_dictionary=list(_COUNTED),
        compression="zstd",
        compression_level=1,
        write_page_checksum=True,
    ) as writer:
        writer.write_table(table, row_group_size=len(reached))
        writer.add_key_value_metadata({_SURVEY: survey, _PLACES: _pack(ids, chunk.places)})
    return out.getvalue()


def read_chunk(
    path: Any, names: tuple[str, ...], first: int, count: int, survey: str, whole: bool
) -> tuple[Chunk, Ids]:
    """Return the chunk in the file and, place by place, the ids of the minima; unless `whole`, without
    starts, ends, values and slopes.

    Raises OSError, ValueError (Arrow's errors are either) or LookupError for a file that is not that chunk.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        notes = file.metadata.metadata or {}
        if notes.get(_SURVEY.encode()) != survey.encode():
            raise ValueError("it is of another survey")
        table = file.read(columns=[*_columns(names)] if whole else list(_COUNTED), use_threads=False)
    if table.num_rows != count:
        raise ValueError(f"it holds {table.num_rows} starts instead of {count}")

    def column(name: str, kind: type) -> NDArray[Any]:
        values = table.column(name).combine_chunks()
        return np.asarray(values.fill_null(-1) if name == "minimum" else values).astype(kind, copy=False)

    dim, rows = len(names), count if whole else 0
    starts, ends = np.empty((rows, dim)), np.empty((rows, dim))
    values, slopes = np.empty(rows), np.empty(rows)
    if whole:
        if not np.array_equal(column("start", np.int64), np.arange(first, first + count)):
            raise ValueError("it holds other starts than its name says")
        for i, name in enumerate(names):
            starts[:, i], ends[:, i] = column(f"start_{name}", float), column(f"end_{name}", float)
        values, slopes = column("value", float), column("gradient_norm", float)
    ids, places = _unpack(notes[_PLACES.encode()], dim)
    outcomes = _outcome_codes(table.column("outcome").combine_chunks())
    reached = _places_of(column("minimum", np.int32), ids)
    taken = column("steps", np.int64)
    return Chunk(first, starts, ends, values, slopes, outcomes, taken, reached, places), ids


def rows_in(path: Any) -> int:
    """Return how many starts the file holds; errors as `read_chunk`."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _columns(names: tuple[str, ...]) -> Iterator[str]:
    yield "start"
    yield from (f"start_{name}" for name in names)
    yield from (f"end_{name}" for name in names)
    yield from ("value", "outcome", "steps", "gradient_norm", "minimum")


def _pack(ids: NDArray[np.int32], places: Places) -> str:
    """Write ids and places to the bit, as text: Parquet's notes must be."""
    parts = (
        ids.astype("<i4"),
        places.kinds.astype("<i1"),
        places.values.astype("<f8"),
        places.points.astype("<f8"),
    )
    return base64.b64encode(b"".join(part.tobytes() for part in parts)).decode()


def _unpack(text: bytes, dim: int) -> tuple[NDArray[np.int32], Places]:
    data = base64.b64decode(text, validate=True)
    each = np.dtype([("id", "<i4"), ("kind", "<i1"), ("value", "<f8"), ("point", "<f8", (dim,))]).itemsize
    if len(data) % each:
        raise ValueError("its notes on minima are cut off")
    count = len(data) // each
    ids = np.frombuffer(data, "<i4", count).astype(np.int32)
    kinds = np.frombuffer(data, "<i1", count, 4 * count).astype(np.int8)
    values = np.frombuffer(data, "<f8", count, 5 * count).astype(np.float64)
    points = np.frombuffer(data, "<f8", count * dim, 13 * count).astype(np.float64).reshape(count, dim)
    return ids, Places(points, values, kinds)


def _places_of(minimum: NDArray[np.int32], ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the place that stands for each id of a minimum, −1 for none.

    Two places of a chunk may have come to be one minimum: either stands for both.
    """
    order = np.argsort(ids, kind="stable")
    at = np.searchsorted(ids[order], minimum)
    known = np.append(ids[order], -1)[at] == minimum
    if not (known | (minimum < 0)).all():
        raise ValueError("its notes do not name all its minima")
    return np.where(minimum < 0, -1, np.append(order, -1)[at]).astype(np.int32)


def _outcome_codes(column: Any) -> NDArray[np.int8]:
    import pyarrow as pa

    encoded = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    if unknown := [word for word in words if word not in SURVEY_OUTCOMES]:
        raise ValueError(f"it holds an unknown outcome, '{unknown[0]}'")
    codes: NDArray[np.int8] = np.array([SURVEY_OUTCOMES.index(word) for word in words], np.int8)
    return codes.take(np.asarray(encoded.indices))
