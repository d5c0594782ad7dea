"""The batch loop: slots refilled from a queue, and what a row does being its own affair."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import pytest

import descentlab as dl
from descentlab import batch
from descentlab.batch import Ends, run_ends
from descentlab.descent import prepare
from descentlab.engine import TAIL, Rows, run_all
from descentlab.landscapes import landscape
from descentlab.loop import Method

compilations: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: (
        compilations.append(event) if event.endswith("backend_compile_duration") else None
    )
)


@contextmanager
def compiles(exactly: int) -> Iterator[None]:
    before = len(compilations)
    yield
    assert len(compilations) - before == exactly


def method_of(f: dl.Objective, optimizer: str = "gd", rate: Any = 0.01, **more: Any) -> Method:
    settings = {"bounds": "free", "precision": "float64", "ascent": False, "tolerance": 1e-6} | more
    return prepare(
        f, optimizer, rate, 100, settings["tolerance"], settings["bounds"], 0, settings["precision"], {},
        settings["ascent"],
    ).method  # fmt: skip


def rows_of(f: dl.Objective, count: int, steps: Any = 500, rate: float = 0.01, seed: int = 0) -> Rows:
    low, high = f.domain.T
    starts = low + (high - low) * np.random.default_rng(seed).random((count, f.dim))
    return Rows(starts, np.full(count, rate), np.broadcast_to(np.asarray(steps), count).astype(np.int64))


def assert_same(a: Ends, b: Ends) -> None:
    for name in Ends.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def picked(rows: Rows, which: Any) -> Rows:
    return Rows(rows.starts[which], rows.rates[which], rows.steps[which])


HIMMELBLAU = landscape("himmelblau")


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize("tolerance", [None, 1e-6])
def test_the_ends_are_those_of_every_row_alone(optimizer: str, tolerance: float | None) -> None:
    """Three times as many rows as slots, of very different lengths, against the loop that records all."""
    method = method_of(HIMMELBLAU, optimizer, tolerance=tolerance)
    rows = rows_of(HIMMELBLAU, 800, np.random.default_rng(3).integers(1, 400, 800))
    ends = run_ends(method, rows, tolerance)
    whole = run_all(method, rows, tolerance)
    np.testing.assert_array_equal(ends.taken, whole.taken)
    np.testing.assert_array_equal(ends.points, whole.points[np.arange(800), whole.taken])
    assert (ends.taken[~ends.ended] >= rows.steps[~ends.ended] - TAIL).all()
    tails = ends.trace()
    long = np.flatnonzero((ends.taken == rows.steps) & (rows.steps >= TAIL))
    assert len(long)
    for row in long[:50]:
        last = slice(whole.taken[row] - TAIL, whole.taken[row] + 1)
        np.testing.assert_array_equal(tails.points[row], whole.points[row, last])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("rate", [0.01, "auto"])
def test_order_number_and_cores_change_nothing(precision: str, rate: Any) -> None:
    method = method_of(HIMMELBLAU, rate=rate, precision=precision)
    rows = rows_of(HIMMELBLAU, 3000, 300)
    whole = run_ends(method, rows, 1e-4, cores=1)
    assert_same(whole, run_ends(method, rows, 1e-4, cores=2))
    order = np.random.default_rng(0).permutation(3000)
    shuffled = run_ends(method, picked(rows, order), 1e-4, cores=3)
    np.testing.assert_array_equal(shuffled.points, whole.points[order])
    np.testing.assert_array_equal(shuffled.taken, whole.taken[order])
    for some in (np.arange(5), np.arange(7, 200), np.arange(2500, 3000)):
        part = run_ends(method, picked(rows, some), 1e-4)
        np.testing.assert_array_equal(part.points, whole.points[some])


def test_a_queue_longer_than_the_longest_size_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    method = method_of(HIMMELBLAU)
    rows = rows_of(HIMMELBLAU, 2000, 200)
    whole = run_ends(method, rows, 1e-6, cores=1)
    monkeypatch.setattr(batch, "QUEUES", (8, 256))
    assert_same(whole, run_ends(method, rows, 1e-6, cores=1))


def test_one_slow_row_does_not_hold_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of the slots: with refilling, all short rows pass through beside the long one."""
    f = dl.formula("x^2", domain={"x": (-1, 1)})
    method = method_of(f, tolerance=None)
    count = 256 * 40
    steps = np.full(count, 40)
    steps[0] = 40 * 30
    rows = Rows(np.linspace(-1, 1, count)[:, None], np.full(count, 0.001), steps)
    run_ends(method, rows, None, cores=1)  # compile
    both = rows, picked(rows, np.arange(1, count))
    seconds = [min(_time(method, these) for _ in range(5)) for these in both]
    # Held up in its block of 256, the long row alone would cost 30 times a block: 1.75 times the whole.
    assert seconds[0] < 1.5 * seconds[1]


def _time(method: Method, rows: Rows) -> float:
    import time

    began = time.process_time()
    run_ends(method, rows, None, cores=1)
    return time.process_time() - began


# States that come back


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "box", "start", "rate", "optimizer"),
    [
        ("x^2", (-1, 1), 0.5, 1.0, "gd"),  # period 2
        ("x^4/4 - x^2/2", (-2, 2), 0.3, 2.2, "gd"),  # a settled orbit about a minimum
        ("3 + 0*x", (-1, 1), 0.5, 0.1, "gd"),  # plateau
        ("x^2 + 1e-3*x", (-1, 1), 0.5, 0.1, "gd"),  # an update too small to move a double
        ("abs(x)", (-1, 1), 0.35, 0.1, "sign"),  # hovers about a kink
        ("abs(x) + cos(x)", (-1, 1), 0.35, 0.01, "momentum"),
        ("-x^2", (-1, 1), 0.5, 0.1, "gd"),  # held at a bound
    ],
)
@pytest.mark.parametrize("steps", [999, 1000, 1001, 1002, 1003, 20_000])
def test_skipping_rounds_changes_no_bit(
    text: str, box: Any, start: float, rate: float, optimizer: str, steps: int
) -> None:
    f = dl.formula(text, domain={"x": box}, variables=["x"])
    method = method_of(f, optimizer, rate, bounds="clip", tolerance=None)
    rows = Rows(np.array([[start]]), np.array([rate]), np.array([steps]))
    ends, whole = run_ends(method, rows, None), run_all(method, rows, None)
    assert ends.taken[0] == steps
    np.testing.assert_array_equal(ends.tails[0], whole.points[0, -TAIL - 1 :])
    np.testing.assert_array_equal(ends.points[0], whole.points[0, -1])


def test_a_hundred_million_steps_of_a_cycle_take_no_time() -> None:
    run = dl.descend(
        dl.formula("x^2", domain={"x": (-1, 1)}), [0.5], learning_rate=1.0, steps=100_000_000, record="ends"
    )
    assert run.outcomes[0] == "cycle"
    assert run.taken[0] == 100_000_000


@pytest.mark.parametrize("rate", ["time:1.0", "cosine:1.0", "exponential:1.0:0.9999"])
def test_rates_that_change_with_the_step_are_never_skipped(rate: str) -> None:
    """At η(k) = 1 the state comes back; at later rates it must not be taken to."""
    f = dl.formula("x^2", domain={"x": (-1, 1)})
    method = method_of(f, rate=rate, tolerance=None)
    rows = Rows(np.array([[0.5]]), np.array([1.0]), np.array([5000]))
    np.testing.assert_array_equal(
        run_ends(method, rows, None).points[0], run_all(method, rows, None).points[0, -1]
    )


# Compiling


def test_nothing_compiles_anew_for_other_rows_rates_steps_or_tolerances() -> None:
    f = dl.formula("x^2 + cos(3x)/7 + y^2/3 + x/811", domain=[(-2, 2), (-2, 2)])
    method = method_of(f)
    with compiles(1):
        run_ends(method, rows_of(f, 5000, 3000), 1e-6)
    with compiles(0):
        run_ends(method_of(f, rate=0.3), rows_of(f, 7000, 4000, 0.3, seed=1), 1e-3)


def test_threads_that_ask_at_once_share_one_compilation() -> None:
    from concurrent.futures import ThreadPoolExecutor

    f = dl.formula("x^2 + cos(3x)/7 + x/812", domain=[(-2, 2)])
    method = method_of(f)
    with compiles(1), ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: run_ends(method, rows_of(f, 100, 3000, seed=seed), 1e-6), range(4)))


def test_the_same_formula_in_another_box_compiles_nothing() -> None:
    text = "x^2 + cos(3x)/7 + x/813"
    for box, count in (((-2, 2), 1), ((-3, 3), 0)):
        f = dl.formula(text, domain={"x": box})
        with compiles(count):
            run_ends(method_of(f, bounds="clip"), rows_of(f, 100, 3000), 1e-6)


# Edges


def test_rows_that_cannot_begin_are_ends_too() -> None:
    f = dl.formula("log(x) + x^2", domain={"x": (-1, 4)})
    method = method_of(f)
    rows = rows_of(f, 1000, 300)
    ends = run_ends(method, rows, 1e-6)
    bad = rows.starts[:, 0] <= 0
    assert bad.any()
    assert ends.ended[bad].all()
    assert (ends.taken[bad] == 0).all()
    np.testing.assert_array_equal(ends.points[bad], rows.starts[bad])


def test_progress_counts_up_to_one() -> None:
    seen: list[float] = []
    run_ends(method_of(HIMMELBLAU), rows_of(HIMMELBLAU, 3000, 50), 1e-6, seen.append, cores=3)
    assert seen == [1 / 3, 2 / 3, 1.0]


def test_ascent_is_descent_on_the_negated_objective() -> None:
    rows = rows_of(HIMMELBLAU, 300, 100, 0.001)
    up = run_ends(method_of(HIMMELBLAU, bounds="clip", ascent=True), rows, 1e-6)
    down = run_ends(method_of(-HIMMELBLAU, bounds="clip"), rows, 1e-6)
    assert_same(up, down)
