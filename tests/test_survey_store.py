"""The store: what it holds, going on from it to the bit, and every way it can fail."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import descentlab as dl
from descentlab.errors import InputError, WorkError
from descentlab.survey import executors as executors_module
from descentlab.survey import store as store_module
from descentlab.survey.chunk import KINDS, SURVEY_OUTCOMES, Chunk, Places
from descentlab.survey.store import MANIFEST
from descentlab.survey.table import read_chunk, write_chunk

SURVEY = sys.modules["descentlab.survey.survey"]  # dl.survey.survey is the function
SIZE, COUNT = 64, 200  # three whole chunks and a part of one


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SURVEY, "CHUNK", SIZE)


def objective(**box: Any) -> dl.Objective:
    return dl.formula("cos(2*pi*x) + x^2", domain=box or {"x": (-2, 2)})


def run(store: Path | None, starts: Any = COUNT, f: dl.Objective | None = None, **options: Any) -> dl.Survey:
    return dl.survey(f or objective(), starts=starts, store=store, **options)


def chunk_file(store: Path, first: int) -> Path:
    return store / f"starts-{first:010d}.parquet"


def held(store: Path) -> dict[str, bytes]:
    """Return every file but the lock, byte for byte."""
    return {p.name: p.read_bytes() for p in sorted(store.iterdir()) if p.name != "_survey.lock"}


def same(a: dl.Survey, b: dl.Survey) -> None:
    """Assert that two surveys found the same, to the bit."""
    for name in ("start_points", "ends", "values", "slopes", "end_outcomes", "assignment", "taken"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    assert a.outcomes == b.outcomes
    assert a.starts_count == b.starts_count
    assert a.stopped == b.stopped
    assert len(a.minima) == len(b.minima)
    for m, n in zip(a.minima, b.minima, strict=True):
        for name, value in vars(m).items():
            assert np.array_equal(value, getattr(n, name), equal_nan=name == "eigenvalues"), name


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dl.Survey]:
    """A finished store, never to be changed, and the survey it is of."""
    store = tmp_path_factory.mktemp("finished") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SURVEY, "CHUNK", SIZE)
        return store, run(store)


@pytest.fixture
def store(finished: tuple[Path, dl.Survey], tmp_path: Path) -> Path:
    """A copy of the finished store."""
    shutil.copytree(finished[0], tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def result(finished: tuple[Path, dl.Survey]) -> dl.Survey:
    return finished[1]


def no_descents(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a chunk was computed again")

    monkeypatch.setattr(executors_module, "run_chunk", refuse)


# What it holds, and going on


def test_a_store_holds_one_file_a_chunk_and_reads_back_to_the_bit(
    store: Path, result: dl.Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held(store)
    assert list(before) == [MANIFEST, *(chunk_file(store, first).name for first in range(0, COUNT, SIZE))]
    no_descents(monkeypatch)
    same(run(store), result)
    assert held(store) == before


def test_the_store_changes_nothing_but_rounding(result: dl.Survey) -> None:
    without = run(None)
    assert without.outcomes == result.outcomes
    assert [m.hits for m in without.minima] == [m.hits for m in result.minima]
    np.testing.assert_allclose(without.ends, result.ends, atol=1e-9)


def rows(store: Path) -> Any:
    return pa.concat_tables(pq.read_table(p) for p in sorted(store.glob("*.parquet")))


def test_the_columns_say_what_the_survey_says(store: Path, result: dl.Survey) -> None:
    table = rows(store)
    assert table.column_names == [
        "start", "start_x", "end_x", "value", "outcome", "steps", "gradient_norm", "minimum",
    ]  # fmt: skip
    assert pa.types.is_dictionary(table.schema.field("outcome").type)
    column = {name: table[name].to_numpy() for name in table.column_names}
    assert column["start"].tolist() == list(range(COUNT))
    assert np.array_equal(column["start_x"], result.start_points[:, 0])
    assert np.array_equal(column["end_x"], result.ends[:, 0])
    assert np.array_equal(column["value"], result.values)
    assert np.array_equal(column["gradient_norm"], result.slopes)
    assert np.array_equal(column["steps"], result.taken)
    assert column["outcome"].tolist() == result.end_outcomes.tolist()
    ids = np.array([m.id for m in result.minima])
    assert np.array_equal(column["minimum"], ids[result.assignment])
    assert (result.assignment >= 0).all()


def test_pandas_polars_and_duckdb_read_it_plainly(tmp_path: Path) -> None:
    import duckdb
    import pandas
    import polars
    import pyarrow.dataset

    # Some fall for ever: they reach no minimum, and end at −∞.
    f = dl.formula("x^3/3 - x + y^2", domain={"x": (-3, 3), "y": (-1, 1)})
    folder = tmp_path / "it's a store"
    s = run(folder, f=f, bounds="free", learning_rate=0.1, steps=200)
    lost, low = int((s.assignment < 0).sum()), float(s.values.min())
    assert 0 < lost < COUNT
    assert low == -np.inf
    steps = int(s.taken.sum())

    frame = pandas.read_parquet(folder)
    assert len(frame) == COUNT
    assert (int(frame["minimum"].isna().sum()), int(frame["steps"].sum())) == (lost, steps)
    assert dict(frame["outcome"].value_counts().loc[lambda n: n > 0]) == dict(s.outcomes)
    assert np.array_equal(np.sort(frame["value"]), np.sort(s.values))

    lazy = polars.scan_parquet(folder / "*.parquet").sort("start").collect()
    assert (lazy["minimum"].null_count(), lazy["steps"].sum()) == (lost, steps)
    assert np.array_equal(lazy["end_y"].to_numpy(), s.ends[:, 1])

    quoted = str(folder).replace("'", "''")
    count = "select count(*), count(*) - count(minimum), sum(steps), min(value)"
    assert duckdb.sql(f"{count} from '{quoted}/*.parquet'").fetchall() == [(COUNT, lost, steps, low)]
    words = duckdb.sql(f"select outcome, count(*) from '{quoted}/*.parquet' group by outcome").fetchall()
    assert dict(words) == dict(s.outcomes)

    data = pyarrow.dataset.dataset(folder, format="parquet")
    assert data.count_rows() == COUNT


def test_names_that_differ_in_case_are_read_too(tmp_path: Path) -> None:
    import duckdb

    f = dl.formula("a^2 + (A - 1)^2", domain={"a": (-2, 2), "A": (-2, 2)}, variables=["a", "A"])
    s = run(tmp_path / "s", 20, f)
    same(run(tmp_path / "s", 20, f), s)
    cursor = duckdb.sql(f"from '{tmp_path / 's'}/*.parquet'")
    assert len(set(cursor.columns)) == 10
    assert np.allclose([row[3:5] for row in cursor.fetchall()], [m.point for m in s.minima])


@pytest.mark.parametrize("gone", [[0], [64], [192], [0, 128], [0, 64, 128, 192]])
def test_a_missing_chunk_is_descended_again(store: Path, result: dl.Survey, gone: list[int]) -> None:
    before = held(store)
    for first in gone:
        chunk_file(store, first).unlink()
    same(run(store), result)
    assert held(store) == before


def test_starts_may_be_added(store: Path, tmp_path: Path) -> None:
    more = run(store, 300)
    same(more, run(tmp_path / "at once", 300))
    assert held(store) == held(tmp_path / "at once")
    assert len(held(store)) == 1 + 5


def test_whole_chunks_are_kept_when_starts_are_added(store: Path) -> None:
    times = {p.name: p.stat().st_mtime_ns for p in store.glob("*.parquet")}
    run(store, 300)
    again = [name for name, when in times.items() if (store / name).stat().st_mtime_ns != when]
    assert again == [chunk_file(store, 192).name]


def test_a_small_survey_may_grow_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy and JAX round differently: one of them must have computed all of a store."""
    monkeypatch.setattr(SURVEY, "is_small", lambda method, pilots, tolerance, count: count <= COUNT)
    run(tmp_path / "s", COUNT)
    same(run(tmp_path / "s", 300), run(tmp_path / "t", 300))
    assert held(tmp_path / "s") == held(tmp_path / "t")


def test_fewer_starts_are_refused(store: Path) -> None:
    before = held(store)
    with pytest.raises(InputError, match=r"holds 200 starts, but this survey asks for 100\. Ask for 200"):
        run(store, 100)
    assert held(store) == before


def test_an_array_of_starts_may_grow(tmp_path: Path) -> None:
    points = np.random.default_rng(1).uniform(-2, 2, (150, 1))
    run(tmp_path / "s", points[:100])
    same(run(tmp_path / "s", points), run(tmp_path / "t", points))
    assert held(tmp_path / "s") == held(tmp_path / "t")
    with pytest.raises(InputError, match="made for an array of 150 starts, but this one has 100"):
        run(tmp_path / "s", points[:100])
    changed = points.copy()
    changed[149] = np.nextafter(changed[149], 3)
    with pytest.raises(InputError, match="another array of starts: the first 150"):
        run(tmp_path / "s", np.concatenate([changed, points]))


@pytest.mark.parametrize("design", ["sobol", "latin", "normal"])
def test_starts_of_other_designs_may_be_added(tmp_path: Path, design: str) -> None:
    run(tmp_path / "s", 70, design=design)
    same(run(tmp_path / "s", 300, design=design), run(tmp_path / "t", 300, design=design))
    assert held(tmp_path / "s") == held(tmp_path / "t")


def test_a_grid_cannot_grow(tmp_path: Path) -> None:
    s = run(tmp_path / "s", 100, design="grid")
    before = held(tmp_path / "s")
    with pytest.raises(InputError, match=r"design=grid their places depend on how many"):
        run(tmp_path / "s", 200, design="grid")
    same(run(tmp_path / "s", 100, design="grid"), s)
    assert held(tmp_path / "s") == before


def test_flat_sets_that_grow_together_keep_their_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = dl.formula("(x^2 + y^2 - 1)^2", domain={"x": (-2, 2), "y": (-2, 2)})
    s = run(tmp_path / "s", 150, ring)
    assert len({*rows(tmp_path / "s")["minimum"].to_pylist()}) > len(s.minima)
    chunk_file(tmp_path / "s", 64).unlink()
    same(run(tmp_path / "s", 150, ring), s)
    no_descents(monkeypatch)
    same(run(tmp_path / "s", 150, ring), s)


def test_of_many_starts_only_the_first_are_read_whole(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SURVEY, "KEPT", 100)
    expected = run(store.parent / "other")
    assert len(expected.ends) == 100
    read: list[tuple[int, int, bool]] = []
    whole = store_module.read_chunk

    def watched(path: Path, names: Any, first: int, count: int, survey: str, all_: bool) -> Any:
        found = whole(path, names, first, count, survey, all_)
        read.append((first, len(found[0].ends), all_))
        return found

    monkeypatch.setattr(store_module, "read_chunk", watched)
    same(run(store), expected)
    assert read == [(0, 64, True), (64, 64, True), (128, 0, False), (192, 0, False)]


def test_until_stops_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SURVEY, "CHUNK_UNTIL", 32)
    early = run(tmp_path / "s", 500, until="unseen<0.1")
    assert early.stopped
    assert early.starts_count < 500
    same(run(tmp_path / "s", 500, until="unseen<0.1"), early)
    later = run(tmp_path / "s", 500)  # in chunks of 32, as begun
    assert later.starts_count == 500
    monkeypatch.setattr(SURVEY, "CHUNK", 32)
    same(later, run(tmp_path / "t", 500))
    assert held(tmp_path / "s") == held(tmp_path / "t")


def after(chunks: int, do: Callable[[], object]) -> Callable[[Any], None]:
    """Return a watcher that does something once, after so many chunks."""
    left = [chunks]

    def watch(_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            do()

    return watch


def test_ctrl_c_keeps_what_is_done(finished: tuple[Path, dl.Survey], tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    part = run(tmp_path / "s", progress=after(2, interrupt))
    assert (part.stopped, part.starts_count) == ("interrupted", 128)
    same(run(tmp_path / "s"), finished[1])
    assert held(tmp_path / "s") == held(finished[0])


# Another survey's store


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning_rate": 0.01}, r"with learning_rate=auto, but this survey has learning_rate=0\.01\. Use"),
        ({"steps": 50, "seed": 3}, r"steps=10000 and seed=0, but this survey has steps=50 and seed=3\. Use"),
        ({"tolerance": 1e-3}, r"tolerance was .* and is 0\.001\. Use another folder"),
        ({"bounds": "free"}, "with bounds=clip, but this survey has bounds=free"),
        ({"precision": "float32"}, "with precision=float64, but this survey has precision=float32"),
        ({"design": "sobol"}, "with design=uniform, but this survey has design=sobol"),
        ({"optimizer": "momentum"}, r"optimizer=gd and decay=none, but .*optimizer=momentum and decay=0\.9"),
    ],
)
def test_other_settings_are_refused_by_name(store: Path, options: dict[str, Any], said: str) -> None:
    before = held(store)
    with pytest.raises(InputError, match=said):
        run(store, **options)
    assert held(store) == before


@pytest.mark.parametrize(
    ("f", "said"),
    [
        (dl.formula("cos(2*pi*x) + x^4", domain={"x": (-2, 2)}), r"formula=.*x\^2.* has formula=.*x\^4"),
        (
            dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2.5)}),
            r"domain of x=\[-2\.0, 2\.0\], but .*2\.5\]",
        ),
        (-dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)}), "and negated=False, but"),
    ],
)
def test_another_objective_is_refused(store: Path, f: dl.Objective, said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(store, f=f)


def test_python_functions_are_told_apart_by_what_they_compute(tmp_path: Path) -> None:
    import jax.numpy as jnp

    def make(factor: float) -> dl.Objective:
        def bowl(x: Any) -> Any:
            return factor * jnp.sum(x**2)

        return dl.function(bowl, domain={"x": (-1, 1)})

    s = run(tmp_path / "s", 20, make(1.0))
    same(run(tmp_path / "s", 20, make(1.0)), s)
    with pytest.raises(
        InputError, match=r"the function computes other numbers than then\. Use another folder"
    ):
        run(tmp_path / "s", 20, make(1.0 + 1e-12))


def test_schedules_and_optax_transformations_are_told_apart(tmp_path: Path) -> None:
    import optax

    def schedule(late: float) -> Callable[[Any], Any]:
        return optax.piecewise_constant_schedule(0.01, {1500: late})

    s = run(tmp_path / "s", 20, learning_rate=schedule(0.5), steps=2000)
    same(run(tmp_path / "s", 20, learning_rate=schedule(0.5), steps=2000), s)
    with pytest.raises(InputError, match="the schedule computes other numbers"):
        run(tmp_path / "s", 20, learning_rate=schedule(0.6), steps=2000)
    t = run(tmp_path / "t", 20, optimizer=optax.sgd(1.0, momentum=0.5), learning_rate=0.01)
    same(run(tmp_path / "t", 20, optimizer=optax.sgd(1.0, momentum=0.5), learning_rate=0.01), t)
    with pytest.raises(InputError, match="the optimizer computes other numbers"):
        run(tmp_path / "t", 20, optimizer=optax.sgd(1.0, momentum=0.6), learning_rate=0.01)


def edit(store: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((store / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (store / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def test_other_versions_are_refused_by_name(store: Path) -> None:
    edit(store, lambda m: m["versions"].update(jax="0.1.2", device="gpu"))
    with pytest.raises(InputError, match=r"made with jax 0\.1\.2, device gpu, but here is jax .*round diff"):
        run(store)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": 2}', "has format 2, and this version of descentlab reads format 1 only"),
        ("{'format': 1", "is damaged: it is not JSON"),
        ("", "is damaged: it is not JSON"),
        ("\udcff\x00", "is damaged: it is not JSON"),
        ("[1]", "is not the manifest of a survey"),
        ("{}", "is not the manifest of a survey"),
        ('{"format": 1}', "is damaged: parts are missing"),
    ],
)
def test_a_manifest_that_is_none_is_refused(store: Path, text: str, said: str) -> None:
    (store / MANIFEST).write_text(text, encoding="utf-8", errors="surrogateescape")
    before = held(store)
    with pytest.raises(InputError, match=said):
        run(store)
    assert held(store) == before


@pytest.mark.parametrize("size", [0, -1, True, "64", None, 2.5])
def test_a_manifest_with_an_impossible_chunk_is_refused(store: Path, size: Any) -> None:
    edit(store, lambda m: m.update(chunk=size))
    with pytest.raises(InputError, match="is damaged: parts are missing"):
        run(store)


# Damaged files


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    place = data.find(np.float64(pq.read_table(path)["end_x"][7].as_py()).tobytes())
    data[place if place >= 0 else len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def drop_a_column(path: Path) -> None:
    table = pq.read_table(path)
    notes = pq.read_metadata(path).metadata
    pq.write_table(table.drop_columns(["steps"]).replace_schema_metadata(notes), path)


def fewer_rows(path: Path) -> None:
    notes = pq.read_metadata(path).metadata
    pq.write_table(pq.read_table(path).slice(0, 0).replace_schema_metadata(notes), path)


def another_outcome(path: Path) -> None:
    table, notes = pq.read_table(path), pq.read_metadata(path).metadata
    words = pa.array(["heaven"] * len(table)).dictionary_encode()
    table = table.set_column(table.schema.get_field_index("outcome"), "outcome", words)
    pq.write_table(table.replace_schema_metadata(notes), path)


def another_minimum(path: Path) -> None:
    table, notes = pq.read_table(path), pq.read_metadata(path).metadata
    ids = pa.array(np.full(len(table), 77, np.int32))
    table = table.set_column(table.schema.get_field_index("minimum"), "minimum", ids)
    pq.write_table(table.replace_schema_metadata(notes), path)


DAMAGES = {
    truncate: (InputError, ""),
    lambda path: path.write_bytes(b""): (InputError, ""),
    lambda path: path.write_bytes(b"PAR1 no PAR1"): (InputError, ""),
    flip_a_bit: (WorkError, ""),
    drop_a_column: (WorkError, "steps"),
    fewer_rows: (InputError, "it holds 0 starts"),
    another_outcome: (WorkError, "heaven"),
    another_minimum: (WorkError, "do not name all its minima"),
    lambda path: shutil.copy(path.with_name("starts-0000000128.parquet"), path): (WorkError, "other starts"),
    lambda path: pq.write_table(pq.read_table(path), path): (WorkError, "of another survey"),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=range(len(DAMAGES)))
def test_a_damaged_file_is_named_and_may_be_deleted(
    store: Path, result: dl.Survey, damage: Callable[[Path], object]
) -> None:
    before, path = held(store), chunk_file(store, 64)
    damage(path)
    assert path.read_bytes() != before[path.name]
    kind, said = DAMAGES[damage]
    with pytest.raises(kind, match=f"{path.name} is damaged or not.*{said}.*Delete it: its starts are"):
        run(store)
    path.unlink()
    same(run(store), result)
    assert held(store) == before


def test_minima_numbered_otherwise_are_refused(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swapped = store_module.read_chunk

    def other_ids(*args: Any) -> Any:
        chunk, ids = swapped(*args)
        return chunk, ids[::-1].copy() if chunk.first == 128 else ids

    monkeypatch.setattr(store_module, "read_chunk", other_ids)
    with pytest.raises(WorkError, match=r"0000000128\.parquet .*numbered otherwise"):
        run(store)


def test_another_survey_s_file_is_refused(store: Path, tmp_path: Path) -> None:
    run(tmp_path / "other", seed=1)
    shutil.copy(chunk_file(tmp_path / "other", 64), store)
    with pytest.raises(WorkError, match="of another survey"):
        run(store)


@pytest.mark.parametrize(
    "name", ["summary.parquet", "starts-0000000065.parquet", "starts-00000000064.parquet"]
)
def test_a_foreign_parquet_file_is_refused(store: Path, name: str) -> None:
    shutil.copy(chunk_file(store, 64), store / name)
    with pytest.raises(InputError, match=rf"{name} is none of the store's files\. Move it"):
        run(store)


def test_what_a_killed_survey_left_is_removed(store: Path, result: dl.Survey) -> None:
    before = held(store)
    (store / "_starts-0000000064.parquet.part").write_bytes(b"PAR1")
    (store / f"_{MANIFEST}.part").write_bytes(b"{")
    same(run(store), result)
    assert held(store) == before


# A folder that cannot be used


def test_a_folder_must_be_possible(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is a file\. Give the name of a folder"):
        run(tmp_path / "file")
    with pytest.raises(InputError, match="cannot be used: Not a directory"):
        run(tmp_path / "file" / "store")
    with pytest.raises(InputError, match=r"make the folder .*missing first"):
        run(tmp_path / "missing" / "store")
    for wrong in (3, "", b"x", True):
        with pytest.raises(InputError, match="The store is a folder's name, but it is"):
            run(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="File name too long"):
        run(tmp_path / ("x" * 300))


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \(notes\.txt\) and no _survey\.json"):
        run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_files_without_their_manifest_are_refused(store: Path) -> None:
    (store / MANIFEST).unlink()
    with pytest.raises(InputError, match=r"holds other files \(starts-0000000000\.parquet\) and no"):
        run(store)


def test_an_empty_folder_is_used(tmp_path: Path, result: dl.Survey) -> None:
    (tmp_path / ".DS_Store").write_text("")
    same(run(tmp_path), result)


def test_a_folder_that_cannot_be_written_is_refused(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = held(store), os.open

    def read_only(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and store in Path(os.fspath(path)).parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        with pytest.raises(InputError, match=r"store cannot be used: Permission denied\. Mend that"):
            run(store)
    assert held(store) == before
    if os.geteuid():  # the system lets root write anywhere
        store.chmod(0o500)
        (store / "_survey.lock").chmod(0o400)
        try:
            with pytest.raises(InputError, match="cannot be used: Permission denied"):
                run(store)
        finally:
            store.chmod(0o700)


def test_a_full_disk_ends_the_survey_and_loses_nothing(
    tmp_path: Path, finished: tuple[Path, dl.Survey]
) -> None:
    """/dev/full takes no byte: the kernel's own ENOSPC, while the third chunk is written."""
    store = tmp_path / "s"

    def fill() -> None:
        (store / "_starts-0000000128.parquet.part").symlink_to("/dev/full")

    with pytest.raises(WorkError, match=r"No space left on device.*goes on from start 128\."):
        run(store, progress=after(2, fill))
    assert list(held(store)) == [MANIFEST, *(chunk_file(store, first).name for first in (0, 64))]
    same(run(store), finished[1])
    assert held(store) == held(finished[0])


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def renamed(self: Path, target: Any) -> Path:
        done.append(Path(target).name)
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    run(tmp_path / "s", 70)
    names = [MANIFEST, "starts-0000000000.parquet", "starts-0000000064.parquet"]
    assert done == [word for name in names for word in ("file", name, "folder")]


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
@pytest.mark.parametrize("skipped", range(4))
def test_any_call_may_fail(
    call: str,
    skipped: int,
    tmp_path: Path,
    finished: tuple[Path, dl.Survey],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every system call that writing needs fails once, at the manifest or at a chunk."""
    owner = os if call == "fsync" else Path
    real, left = getattr(owner, call), [skipped]

    def fails(*args: Any, **named: Any) -> Any:
        if call == "open" and args[1:] != ("wb",):
            return real(*args, **named)
        left[0] -= 1
        if left[0] == -1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, call, fails)
        with pytest.raises((InputError, WorkError), match="No space left on device"):
            run(tmp_path / "s")
    assert not list((tmp_path / "s").glob("*.part"))
    same(run(tmp_path / "s"), finished[1])
    assert held(tmp_path / "s") == held(finished[0])


# Two at once, and killed ones


def test_a_store_in_use_is_refused(tmp_path: Path, finished: tuple[Path, dl.Survey]) -> None:
    store, refusals = tmp_path / "s", []

    def second() -> None:
        with pytest.raises(InputError, match=rf"in use by another survey \(process {os.getpid()} on "):
            run(store)
        refusals.append(1)

    same(run(store, progress=after(2, second)), finished[1])
    assert refusals
    assert held(store) == held(finished[0])
    same(run(store), finished[1])  # the lock is free again


SCRIPT = f"""
import sys
import descentlab as dl
import descentlab.survey.survey
sys.modules["descentlab.survey.survey"].CHUNK = {SIZE}
f = dl.formula("cos(2*pi*x) + x^2", domain={{"x": (-2, 2)}})
dl.survey(f, starts=int(sys.argv[2]), store=sys.argv[1])
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[Path, int], subprocess.Popen[bytes]]]:
    """Start a survey with a store in another process, which does not outlive the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(store: Path, starts: int) -> subprocess.Popen[bytes]:
        running.append(subprocess.Popen([sys.executable, "-c", SCRIPT, str(store), str(starts)]))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def wait_for(store: Path, files: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the store holds so many chunks, or the survey is over."""
    while process.poll() is None and len(list(store.glob("*.parquet"))) < files:
        time.sleep(0.001)


# CI kills a few; DESCENTLAB_KILLS=50 is the full number.
KILLS = int(os.environ.get("DESCENTLAB_KILLS", "6"))
MANY = 100 * SIZE + 10  # a hundred and one chunks


@pytest.mark.slow
def test_killed_at_random_moments_a_survey_ends_with_the_same_bits(
    tmp_path: Path, started: Callable[[Path, int], subprocess.Popen[bytes]]
) -> None:
    expected = run(tmp_path / "whole", MANY)
    files = held(tmp_path / "whole")
    random = np.random.default_rng(8)
    cut = 0
    for kill in range(KILLS):
        store = tmp_path / f"killed {kill}"
        process = started(store, MANY)
        wait_for(store, int(random.integers(0, 101)), process)
        time.sleep(random.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = {path.name: path.read_bytes() for path in store.glob("*.parquet")} if store.exists() else {}
        assert left == {name: files[name] for name in left}  # whole files only, in their final form
        cut += len(left) < 101
        same(run(store, MANY), expected)
        assert held(store) == files
        shutil.rmtree(store)
    assert cut >= KILLS / 2  # or nothing was interrupted


@pytest.mark.slow
def test_another_process_s_store_is_refused_until_it_is_killed(
    tmp_path: Path, started: Callable[[Path, int], subprocess.Popen[bytes]]
) -> None:
    store = tmp_path / "s"
    process = started(store, 1000 * MANY)
    wait_for(store, 2, process)
    with pytest.raises(InputError, match=rf"in use by another survey \(process {process.pid} on "):
        run(store, 1000 * MANY)
    process.kill()
    process.wait()
    part = run(store, 1000 * MANY, until="unseen<0.5")
    assert part.stopped == "until unseen<0.5"


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_is_a_clear_error(tmp_path: Path) -> None:
    """The kernel refuses to write beyond it, in the middle of a file."""
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n" + SCRIPT
    command = [sys.executable, "-c", limited, str(tmp_path / "s"), "200"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "WorkError" in done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert list(held(tmp_path / "s")) == [MANIFEST]


# One chunk, to the bit


NUMBERS = st.floats(width=64)


@st.composite
def chunks(draw: st.DrawFn) -> tuple[Chunk, np.ndarray]:
    """Draw a chunk and the ids of its places, of which several may be one."""
    dim, rows, places = (draw(st.integers(low, high)) for low, high in ((1, 3), (1, 12), (0, 4)))

    def numbers(*shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        return np.array(draw(st.lists(NUMBERS, min_size=count, max_size=count)), float).reshape(shape)

    def whole(low: int, high: int, kind: type, count: int) -> np.ndarray:
        return np.array(draw(st.lists(st.integers(low, high), min_size=count, max_size=count)), kind)

    found = Places(numbers(places, dim), numbers(places), whole(0, len(KINDS) - 1, np.int8, places))
    ids = whole(0, 5, np.int32, places)
    chunk = Chunk(
        draw(st.integers(0, 10**12)),
        numbers(rows, dim),
        numbers(rows, dim),
        numbers(rows),
        numbers(rows),
        whole(0, len(SURVEY_OUTCOMES) - 1, np.int8, rows),
        whole(0, 10**8, np.int64, rows),
        whole(-1, places - 1, np.int32, rows),
        found,
    )
    return chunk, ids


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks(), st.booleans())
def test_a_chunk_comes_back_to_the_bit(tmp_path: Path, drawn: tuple[Chunk, np.ndarray], whole: bool) -> None:
    chunk, ids = drawn
    names = ("a", "a.b", "Å b")[: chunk.starts.shape[1]]
    reached = np.append(ids, -1)[chunk.reached].astype(np.int32)
    data = bytes(write_chunk(names, chunk, reached, "this"))
    assert data == bytes(write_chunk(names, chunk, reached, "this"))
    path = tmp_path / "chunk.parquet"
    path.write_bytes(data)
    rows = len(chunk.values)
    back, back_ids = read_chunk(path, names, chunk.first, rows, "this", whole)
    used = np.isin(np.arange(len(ids)), chunk.reached)
    assert np.array_equal(back_ids, np.where(used, ids, -1))
    assert np.array_equal(np.append(back_ids, -1)[back.reached], reached)
    empty = replace(
        chunk,
        starts=np.empty((0, len(names))),
        ends=np.empty((0, len(names))),
        values=np.empty(0),
        slopes=np.empty(0),
    )
    for name, value in vars(chunk if whole else empty).items():
        other = getattr(back, name)
        if name == "places":
            assert [vars(other)[k].tobytes() for k in vars(value)] == [
                a.tobytes() for a in vars(value).values()
            ]
        elif name != "reached":
            assert np.shape(value) == np.shape(other)
            assert np.asarray(value).tobytes() == np.asarray(other).tobytes(), name
