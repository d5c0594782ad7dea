"""The compiled loop: what compiles anew and what does not, padding, batches, and its contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import descentlab as dl
from descentlab.batch import run_ends
from descentlab.descent import prepare
from descentlab.engine import TAIL, Rows, run_all
from descentlab.landscapes import landscape
from descentlab.optimizers import choose

compilations: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: (
        compilations.append(event) if event.endswith("backend_compile_duration") else None
    )
)


@contextmanager
def compiles(at_most: int, at_least: int = 0) -> Iterator[None]:
    """Count what XLA compiles in the block."""
    before = len(compilations)
    yield
    assert at_least <= len(compilations) - before <= at_most


def fresh(name: str = "x") -> dl.Objective:
    """Return an objective no other test has compiled."""
    fresh.count += 1  # type: ignore[attr-defined]
    return dl.formula(f"(x - {fresh.count}/1000)^2 + sin(x)/3", domain={"x": (-2, 2)})  # type: ignore[attr-defined]


fresh.count = 0  # type: ignore[attr-defined]


def test_the_counter_counts() -> None:
    with compiles(3, at_least=1):
        jax.jit(lambda x: x * 3 + 17)(jnp.arange(13))


def test_one_call_compiles_once() -> None:
    with compiles(1, at_least=1):
        dl.descend(fresh(), [0.3], steps=300, record="all")


def test_keeping_the_ends_compiles_the_batch_loop_and_if_steps_ran_out_the_last_steps() -> None:
    f = fresh()
    with compiles(1, at_least=1):
        run = dl.descend(f, [0.3], learning_rate=0.1, steps=3000, tolerance=1e-6, record="ends")
    assert run.taken[0] < 3000
    with compiles(1, at_least=1):
        dl.descend(f, [0.3], steps=30, tolerance=1e-6, record="ends")


FIRST: dict[str, Any] = {"start": [0.3], "learning_rate": 0.01, "steps": 300, "tolerance": 1e-6, "seed": 0}
CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "learning rate": {"learning_rate": 0.02},
    "learning rate as text": {"learning_rate": "0.037"},
    "start": {"start": [1.2]},
    "more starts in the same padded size": {"start": [[0.1], [0.2], [0.5], [1.0], [1.5]]},
    "random starts": {"start": 8, "seed": 5},
    "seed": {"seed": 3},
    "tolerance": {"tolerance": 1e-3},
    "zero tolerance": {"tolerance": 0.0},
    "steps in the same padded length": {"steps": 290},
}


@pytest.mark.parametrize("record", ["all", "ends"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_second_call_compiles_nothing(change: str, record: str) -> None:
    f = TWICE[record]
    dl.descend(f, record=record, **FIRST)
    with compiles(0):
        dl.descend(f, record=record, **{**FIRST, **CHANGES[change]})


TWICE = {"all": fresh(), "ends": fresh()}


def test_any_number_of_steps_is_one_compilation_when_only_ends_are_kept() -> None:
    f = fresh()
    dl.descend(f, [0.3], steps=100, record="ends")
    with compiles(0):
        for steps in (33, 57, 1000, 12_345):
            dl.descend(f, [0.3], steps=steps, record="ends")


@pytest.mark.parametrize("rule", ["time:{}", "gradient:{}", "cosine:{}", "exponential:{}:0.9"])
def test_a_second_rate_of_a_rule_compiles_nothing(rule: str) -> None:
    f = fresh()
    dl.descend(f, [0.3], learning_rate=rule.format(0.01), steps=50)
    with compiles(0):
        dl.descend(f, [0.3], learning_rate=rule.format(0.02), steps=50)


def test_the_same_formula_made_again_compiles_nothing() -> None:
    text = "x^2 + cos(3x)/7"
    dl.descend(dl.formula(text, domain={"x": (-2, 2)}), [0.3], steps=50)
    with compiles(0):
        dl.descend(dl.formula(text, domain={"x": (-3, 3)}), [0.5], steps=50)


def test_another_optimizer_or_bound_compiles_once_and_then_never() -> None:
    f = fresh()
    for settings in ({"optimizer": "adam"}, {"bounds": "clip"}):
        with compiles(1, at_least=1):
            dl.descend(f, [0.3], steps=64, **settings)
        with compiles(0):
            dl.descend(f, [0.4], learning_rate=0.2, steps=60, **settings)


@pytest.mark.parametrize("row", [row for row in dl.optimizers() if row.parameters], ids=lambda row: row.name)
def test_parameters_are_traced_and_change_what_they_should(row: Any) -> None:
    f = fresh()
    settings: dict[str, Any] = {"start": [0.3], "optimizer": row.name, "learning_rate": 0.05, "steps": 64}
    first = dl.descend(f, **settings)
    for p in row.parameters:
        value = 0.3 if p.high == 1 else p.default * 1000
        with compiles(0):
            run = dl.descend(f, **settings, **{p.name: value})
        # The same transformation, made with constants and stepped by hand.
        chosen = choose(row.name, {p.name: value})
        with jax.enable_x64(True):
            x = np.array([0.3])
            memory = chosen.transformation.init((x[0],))
            for _ in range(64):
                update, memory = chosen.transformation.update(
                    (jnp.asarray(f.gradient(x)[0]),), memory, (x[0],)
                )
                x = x + 0.05 * np.asarray(update)
        assert run.ends[0] == pytest.approx(x, rel=1e-9)
        if (row.name, p.name) != ("amsgrad", "beta2"):  # its largest gradient is the first one here
            assert not np.array_equal(run.points, first.points)


def test_another_decay_of_the_rate_compiles_nothing() -> None:
    f = fresh()
    runs = []
    dl.descend(f, [0.3], learning_rate="exponential:0.1:0.99", steps=50)
    with compiles(0):
        runs = [dl.descend(f, [0.3], learning_rate=f"exponential:0.1:{d}", steps=50) for d in (0.9, 0.5)]
    for run, decay in zip(runs, (0.9, 0.5), strict=True):
        assert run.learning_rates[0] == pytest.approx(0.1 * decay ** np.arange(50), rel=1e-12)


def test_a_python_function_compiles_nothing_the_second_time() -> None:
    f = dl.function(lambda v: (v[0] - 0.5) ** 2 + jnp.sin(v[1]), domain=[(-2, 2), (-2, 2)])
    run = dl.descend(f, [0.3, 0.3], steps=50)
    assert run.verdicts
    with compiles(0):
        assert dl.descend(f, [0.4, 0.1], learning_rate=0.02, steps=50).verdicts


def test_a_second_survey_compiles_nothing() -> None:
    f = fresh()
    dl.survey(f, starts=100)
    with compiles(0):
        dl.survey(f, starts=90, seed=4, learning_rate="auto")
        dl.survey(f, starts=100, steps=500)


# Padding and batches


@pytest.mark.parametrize("count", [1, 2, 8, 9, 64, 65, 100, 128, 129, 513, 1025, 2049, 8193])
def test_padding_never_shows(count: int) -> None:
    f = landscape("peaks")
    run = dl.descend(f, count, steps=20, learning_rate=0.01, record="ends", seed=2)
    assert run.ends.shape == (count, 2)
    assert run.taken.shape == run.outcomes.shape == (count,)
    assert (run.taken == 20).all()
    most = dl.descend(f, 9000, steps=20, learning_rate=0.01, record="ends", seed=2)
    np.testing.assert_array_equal(run.ends, most.ends[:count])


def rows_of_different_lengths() -> tuple[Any, Rows]:
    f = landscape("himmelblau")
    setup = prepare(f, "gd", 0.01, 500, None, "free", 0, "float64", {}, False)
    steps = np.array([1, 2, 31, 32, 33, 64, 65, 100, 499, 500, 7])
    starts = np.random.default_rng(1).uniform(-4, 4, (len(steps), 2))
    rates = np.linspace(0.001, 0.01, len(steps))
    return setup.method, Rows(starts, rates, steps)


@pytest.mark.parametrize("run", [run_all, run_ends])
def test_each_row_has_its_own_number_of_steps_and_rate(run: Callable[..., Any]) -> None:
    method, rows = rows_of_different_lengths()
    ran = run(method, rows, None)
    trace = ran if run is run_all else ran.trace()
    np.testing.assert_array_equal(trace.taken, rows.steps)
    for i, steps in enumerate(rows.steps):
        alone = dl.descend(method.objective, rows.starts[i], learning_rate=rows.rates[i], steps=int(steps))
        np.testing.assert_array_equal(trace.points[i, -1], alone.ends[0])


def test_the_tail_is_the_last_of_the_whole() -> None:
    method, rows = rows_of_different_lengths()
    long = Rows(rows.starts[-3:], rows.rates[-3:], np.array([100, 200, 300]))
    whole, tail = run_all(method, long, None), run_ends(method, long, None).trace()
    for i, steps in enumerate(long.steps):
        np.testing.assert_array_equal(tail.points[i], whole.points[i, steps - TAIL : steps + 1])
        np.testing.assert_array_equal(tail.rates[i], whole.rates[i, steps - TAIL : steps])


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam", "adagrad", "adadelta", "lion", "sign"])
@pytest.mark.parametrize("record", ["all", "ends"])
def test_failures_of_a_neighbour_change_nothing(optimizer: str, record: str) -> None:
    f = dl.formula("log(x) + x^-2 + exp(x)", domain={"x": (0, 4)})
    starts = np.array([[1.0], [-1.0], [0.0], [2.0], [800.0], [1e-200], [3.0]])
    run = dl.descend(f, starts, optimizer, 0.01, 200, record=record)
    for i in (0, 3, 6):
        alone = dl.descend(f, starts[i], optimizer, 0.01, 200, record=record)
        np.testing.assert_array_equal(run.ends[i], alone.ends[0])
        assert run.outcomes[i] == alone.outcomes[0]
    assert (run.taken[[1, 2, 4]] == 0).all()
    assert set(run.outcomes[[1, 2, 4]]) <= {"nonfinite"}


@pytest.mark.slow
@pytest.mark.parametrize("record", ["all", "ends"])
@pytest.mark.parametrize("name", ["peaks", "ackley", "himmelblau", "rastrigin"])
def test_few_rows_round_as_many_do(name: str, record: str) -> None:
    """Blocks of 8 and of 128 rows are compiled apart; points, values and gradients agree to the bit."""
    f = landscape(name)
    low, high = f.domain.T
    starts = low + (high - low) * np.random.default_rng(0).random((400, 2))
    for optimizer, steps in (("gd", 40), ("gd", 300), ("adam", 40)):
        many = dl.descend(f, starts, optimizer, 0.001, steps, record=record)
        for i in range(0, 400, 40):
            few = dl.descend(f, starts[i : i + 8], optimizer, 0.001, steps, record=record)
            for field in ("points", "values", "gradients"):
                np.testing.assert_array_equal(getattr(few, field), getattr(many, field)[i : i + 8])
