"""Descent and ascent: equal to the plain loop, to their members one by one, and to each other."""

from __future__ import annotations

import os
import re
import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import descentlab as dl
from descentlab.engine import padded_rows
from descentlab.errors import InputError
from descentlab.landscapes import landscape
from descentlab.optimizers import TABLE

NAMES = [row.name for row in TABLE]
RULES = [0.02, "time:0.02", "gradient:0.002", "cosine:0.02", "exponential:0.02:0.99", "auto"]
PEAKS = landscape("peaks")
FIELDS = ("points", "values", "gradients", "learning_rates", "taken", "outcomes")


def same(a: dl.Descent, b: dl.Descent, rows: Any = slice(None), fields: tuple[str, ...] = FIELDS) -> None:
    for field in fields:
        np.testing.assert_array_equal(getattr(a, field)[rows], getattr(b, field), err_msg=field)


# The course


def test_the_course_is_its_own_python_loop() -> None:
    x, eta = 0.0, 0.01
    points = [x]
    for _ in range(1000):
        x = x - eta * (6 * x - 3)
        points.append(x)
    run = dl.descend(dl.formula("3x^2 - 3x + 4", domain={"x": (-2, 2)}), [0.0], learning_rate=eta)
    np.testing.assert_allclose(run.points[0, :, 0], points, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(run.values[0], [3 * p**2 - 3 * p + 4 for p in points], rtol=1e-14)
    np.testing.assert_allclose(run.gradients[0, :, 0], [6 * p - 3 for p in points], atol=2e-14)
    assert run.ends[0, 0] == pytest.approx(0.5, abs=1e-14)
    assert run.values[0, -1] == pytest.approx(3.25, abs=1e-14)
    assert list(run.outcomes) == ["minimum"]


def test_peaks_is_its_own_numpy_loop() -> None:
    x = np.array([0.0, 1.4])
    points = [x]
    for _ in range(300):
        a, b = x
        q, r, s = np.exp(-(a**2) - (b + 1) ** 2), np.exp(-(a**2) - b**2), np.exp(-((a + 1) ** 2) - b**2)
        dx = -6 * (1 - a) * q - 6 * a * (1 - a) ** 2 * q - 10 * (1 / 5 - 3 * a**2) * r
        dx += 20 * a * (a / 5 - a**3 - b**5) * r + 2 / 3 * (a + 1) * s
        dy = (
            -6 * (b + 1) * (1 - a) ** 2 * q
            + 50 * b**4 * r
            + 20 * b * (a / 5 - a**3 - b**5) * r
            + 2 / 3 * b * s
        )
        x = x - 0.01 * np.array([dx, dy])
        points.append(x)
    run = dl.descend(PEAKS, [0.0, 1.4], learning_rate=0.01, steps=300)
    np.testing.assert_allclose(run.points[0], points, rtol=1e-11, atol=1e-12)


def test_what_is_recorded_belongs_to_the_points() -> None:
    run = dl.descend(PEAKS, 5, "adam", 0.05, steps=70, seed=1)
    assert run.points.shape == (5, 71, 2)
    assert run.values.shape == (5, 71)
    assert run.gradients.shape == (5, 71, 2)
    assert run.learning_rates.shape == (5, 70)
    np.testing.assert_allclose(run.values, PEAKS.value(run.points), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(run.gradients, PEAKS.gradient(run.points), rtol=1e-10, atol=1e-11)
    np.testing.assert_array_equal(run.starts, run.points[:, 0])
    np.testing.assert_array_equal(run.ends, run.points[:, -1])


# A batch equals its members one by one


def many(count: int) -> np.ndarray:
    return np.random.default_rng(count).uniform(-2.8, 2.8, (count, 2))


@pytest.mark.parametrize("record", ["all", "ends"])
@pytest.mark.parametrize("count", [1, 3, 8, 9, 64, 100, 2049])
def test_a_batch_is_its_members_one_by_one_to_the_bit(count: int, record: str) -> None:
    starts = many(count)
    together = dl.descend(PEAKS, starts, learning_rate=0.02, steps=40, record=record)
    rows = range(count) if count <= 9 else sorted({0, 7, 8, 63, count // 2, count - 1})
    for i in rows:
        alone = dl.descend(PEAKS, starts[i], learning_rate=0.02, steps=40, record=record)
        same(together, alone, slice(i, i + 1))


@pytest.mark.parametrize(
    ("optimizer", "rule"),
    [("gd", r) for r in RULES] + [("momentum", 0.02), ("adam", 0.02), ("adadelta", 0.5)],
)
def test_a_batch_is_its_members_for_every_rule(optimizer: str, rule: Any) -> None:
    starts = many(70)
    together = dl.descend(PEAKS, starts, optimizer, rule, steps=60, tolerance=1e-3, bounds="clip")
    for i in (0, 33, 69):
        alone = dl.descend(PEAKS, starts[i], optimizer, rule, steps=60, tolerance=1e-3, bounds="clip")
        same(together, alone, slice(i, i + 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rastrigin", "ackley", "rosenbrock", "shubert"])
def test_only_the_ends_are_the_ends_of_everything(name: str) -> None:
    f = landscape(name)
    for optimizer in ("gd", "adam"):
        whole = dl.descend(f, 30, optimizer, 0.0005, steps=333)
        ends = dl.descend(f, 30, optimizer, 0.0005, steps=333, record="ends")
        assert ends.points.shape == (30, 2, 2)
        # Two compiled programs: XLA fuses differently where every step is kept, so equal to rounding.
        np.testing.assert_allclose(ends.ends, whole.ends, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(ends.values, whole.values[:, [0, -1]], rtol=1e-8, atol=1e-8)
        for field in ("starts", "taken", "outcomes"):
            np.testing.assert_array_equal(getattr(ends, field), getattr(whole, field))


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_permuting_starts_permutes_results(optimizer: str) -> None:
    starts = many(100)
    order = np.random.default_rng(0).permutation(100)
    a = dl.descend(PEAKS, starts, optimizer, 0.05, steps=100, bounds="stop")
    b = dl.descend(PEAKS, starts[order], optimizer, 0.05, steps=100, bounds="stop")
    same(a, b, order)


def test_batches_on_several_threads_are_the_same_every_time() -> None:
    starts = many(6000)
    a = dl.descend(PEAKS, starts, learning_rate=0.02, steps=50, record="ends")
    b = dl.descend(PEAKS, starts, learning_rate=0.02, steps=50, record="ends")
    same(a, b)
    same(a, dl.descend(PEAKS, starts[:2048], learning_rate=0.02, steps=50, record="ends"), slice(0, 2048))


# Ascent both ways


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "rule"),
    [(n, 0.02) for n in NAMES] + [("gd", r) for r in RULES[1:]] + [("adam", "cosine:0.02")],
)
def test_ascent_takes_the_steps_of_descent_on_minus_f(optimizer: str, rule: Any) -> None:
    starts = [[0.0, 1.4], [-1.0, -1.0], [2.0, 0.3]]
    settings: dict[str, Any] = {"learning_rate": rule, "steps": 25, "bounds": "clip", "tolerance": 1e-4}
    up = dl.ascend(PEAKS, starts, optimizer, **settings)
    down = dl.descend(-PEAKS, starts, optimizer, **settings)
    np.testing.assert_array_equal(up.points, down.points)
    np.testing.assert_array_equal(up.values, -down.values)
    np.testing.assert_array_equal(up.gradients, -down.gradients)
    np.testing.assert_array_equal(up.learning_rates, down.learning_rates)
    np.testing.assert_array_equal(up.taken, down.taken)
    swap = {"minimum": "maximum", "maximum": "minimum"}
    assert list(up.outcomes) == [swap.get(o, o) for o in down.outcomes]


@pytest.mark.parametrize("name", ["ackley", "rosenbrock", "himmelblau"])
def test_descent_takes_the_steps_of_ascent_on_minus_f(name: str) -> None:
    f = landscape(name)
    for optimizer in (optax.adam(0.01), "gd"):
        rate = 1 if not isinstance(optimizer, str) else 1e-4
        down = dl.descend(f, 3, optimizer, rate, steps=50)
        up = dl.ascend(-f, 3, optimizer, rate, steps=50)
        np.testing.assert_array_equal(up.points, down.points)
        np.testing.assert_array_equal(up.values, -down.values)


def test_ascent_of_a_python_function() -> None:
    f = dl.function(lambda v: 3 - (v[0] - 1) ** 2 - jnp.cosh(v[1]), domain=[(-2, 2), (-2, 2)])
    up = dl.ascend(f, [0.0, 1.0], learning_rate=0.1, steps=400)
    down = dl.descend(-f, [0.0, 1.0], learning_rate=0.1, steps=400)
    np.testing.assert_array_equal(up.points, down.points)
    assert list(up.outcomes) == ["maximum"]
    assert list(down.outcomes) == ["minimum"]
    np.testing.assert_allclose(up.ends, [[1, 0]], atol=1e-9)


# When descent stops


@pytest.mark.parametrize("start", [2.0, -2.0])
@pytest.mark.parametrize("tolerance", [1.0, 1e-3, 1e-9])
def test_a_tolerance_stops_at_the_first_small_gradient_of_either_sign(start: float, tolerance: float) -> None:
    f = dl.formula("x^2", domain={"x": (-3, 3)})
    run = dl.descend(f, [start], learning_rate=0.1, steps=500, tolerance=tolerance)
    slopes = np.abs(2 * start * 0.8 ** np.arange(501))
    first = int(np.argmax(slopes <= tolerance))
    assert run.taken[0] == first
    assert np.abs(run.gradients[0, first, 0]) <= tolerance < np.abs(run.gradients[0, first - 1, 0])
    np.testing.assert_array_equal(
        run.points[0, first:], np.repeat(run.points[0, first : first + 1], 501 - first, 0)
    )
    assert run.verdicts[0].evidence["stopped_by"] == "tolerance"


def test_a_tolerance_met_at_the_start_takes_no_step() -> None:
    run = dl.descend(dl.formula("x^2"), [[0.0], [1e-9], [1.0]], tolerance=1e-6, steps=10)
    assert run.taken.tolist() == [0, 0, 10]
    assert run.outcomes.tolist()[:2] == ["minimum", "minimum"]


def test_zero_tolerance_stops_only_where_the_gradient_is_zero() -> None:
    run = dl.descend(dl.formula("x^2"), [[0.0], [1.0]], tolerance=0, learning_rate=0.5, steps=10)
    assert run.taken.tolist() == [0, 1]


@pytest.mark.parametrize("record", ["all", "ends"])
def test_one_step(record: str) -> None:
    run = dl.descend(dl.formula("x^2"), [[3.0], [0.0]], learning_rate=0.1, steps=1, record=record)
    assert run.points.tolist() == [[[3.0], [3.0 - 0.1 * 6.0]], [[0.0], [0.0]]]
    assert run.learning_rates.shape == (2, 1)
    assert run.outcomes.tolist() == ["out_of_steps", "minimum"]
    for verdict in run.verdicts:
        assert verdict.sentence


# Bounds

BOX = dl.formula("x + y^2", domain={"x": (-1, 1), "y": (-1, 1)})


def test_clip_projects_every_point_onto_the_box() -> None:
    run = dl.descend(BOX, [[0.5, 0.9], [0.95, -0.2]], learning_rate=0.1, steps=100, bounds="clip")
    assert run.points[..., 0].min() == -1
    np.testing.assert_allclose(run.points[0, :15, 0], 0.5 - 0.1 * np.arange(15), atol=1e-14)
    np.testing.assert_array_equal(run.points[:, 40:, 0], -1)
    np.testing.assert_allclose(run.ends[:, 1], 0, atol=1e-9)
    assert run.outcomes.tolist() == ["at_bound", "at_bound"]
    assert run.verdicts[0].evidence["at_bound"] == ["x"]


def test_clip_with_a_tolerance_stops_by_the_projected_gradient() -> None:
    run = dl.descend(BOX, [0.5, 0.9], learning_rate=0.1, steps=5000, bounds="clip", tolerance=1e-8)
    assert run.taken[0] < 200
    assert run.outcomes.tolist() == ["at_bound"]
    assert run.verdicts[0].evidence["stopped_by"] == "tolerance"


def test_a_start_on_the_bound_that_is_drawn_inward_is_not_held() -> None:
    f = dl.formula("x^2 + y^2", domain={"x": (-1, 2), "y": (-2, 1)})
    run = dl.descend(f, [-1.0, 1.0], learning_rate=0.1, steps=500, bounds="clip", tolerance=1e-9)
    assert run.taken[0] > 50
    assert run.outcomes.tolist() == ["minimum"]


@pytest.mark.parametrize("scale", ["1e-100", "1e-12", "1e12", "1e100"])
def test_the_projected_gradient_knows_no_units(scale: str) -> None:
    f = dl.formula(f"{scale}*(x + y^2)", domain={"x": (-1, 1), "y": (-1, 1)})
    settings = {"learning_rate": 0.1 / float(scale), "tolerance": 1e-6 * float(scale)}
    run = dl.descend(f, [0.5, 0.9], steps=5000, bounds="clip", **settings)
    assert 50 < run.taken[0] < 100
    assert run.outcomes.tolist() == ["at_bound"]


def test_stop_ends_at_the_first_point_outside() -> None:
    run = dl.descend(BOX, [[0.55, 0.9]], learning_rate=0.1, steps=100, bounds="stop")
    assert run.taken[0] == 16
    assert run.ends[0, 0] == pytest.approx(-1.05)
    assert (run.points[0, :16, 0] >= -1).all()
    assert run.outcomes.tolist() == ["left_domain"]
    assert run.verdicts[0].evidence["stopped_by"] == "left the box"


def test_a_start_on_the_bound_is_inside_and_one_beyond_is_stopped_or_clipped() -> None:
    on = dl.descend(BOX, [1.0, 0.5], steps=50, learning_rate=0.1, bounds="stop")
    assert on.taken[0] > 0
    beyond = dl.descend(BOX, [3.0, 0.5], steps=50, learning_rate=0.1, bounds="stop")
    assert beyond.outcomes.tolist() == ["left_domain"]
    clipped = dl.descend(BOX, [3.0, 0.5], steps=50, learning_rate=0.1, bounds="clip")
    assert (np.abs(clipped.points[0, 1:]) <= 1).all()


def test_free_goes_on_outside() -> None:
    run = dl.descend(BOX, [0.5, 0.9], learning_rate=0.1, steps=100, bounds="free")
    assert run.ends[0, 0] == pytest.approx(0.5 - 10)
    assert run.taken[0] == 100


# Starts and seeds


def test_start_i_does_not_depend_on_how_many_there_are() -> None:
    few, more = (dl.descend(PEAKS, n, steps=1, seed=7).starts for n in (3, 1000))
    np.testing.assert_array_equal(few, more[:3])
    one = dl.descend(PEAKS, steps=1, seed=7).starts
    np.testing.assert_array_equal(one, few[:1])
    other = dl.descend(PEAKS, 3, steps=1, seed=8).starts
    assert not np.array_equal(few, other)


def test_random_starts_fill_the_box_evenly() -> None:
    f = dl.formula("x + y", domain={"x": (-1, 3), "y": (10, 11)})
    starts = dl.descend(f, 20_000, steps=1, record="ends", seed=1).starts
    scaled = (starts - f.domain[:, 0]) / f.widths
    assert scaled.min() >= 0
    assert scaled.max() < 1
    counts = np.histogram2d(*scaled.T, bins=5, range=[(0, 1)] * 2)[0]
    # 25 cells of 800 expected: chi-squared with 24 degrees of freedom is below 60 but for one seed in 10⁴.
    assert ((counts - 800) ** 2 / 800).sum() < 60


@pytest.mark.parametrize(
    "start",
    [
        [1.0], [1.0, 2.0, 3.0], [[1.0]], [[[1.0, 2.0]]], [], [[]], [np.nan, 0], [np.inf, 0], "a", [1, "b"],
        0, -3, 2.5, [[1.0, 2.0], [3.0]], True, {"x": 1}, object(), [1j, 0], 10**12,
    ],
)  # fmt: skip
def test_an_unusable_start_is_a_clear_error(start: Any) -> None:
    with pytest.raises(InputError):
        dl.descend(PEAKS, start, steps=2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 0}, "steps"), ({"steps": -1}, "steps"), ({"steps": 1.5}, "steps"),
        ({"steps": "x"}, "steps"),
        ({"steps": None}, "steps"), ({"steps": np.inf}, "steps"), ({"steps": 10**12}, "steps"),
        ({"seed": -1}, "seed"), ({"seed": "x"}, "seed"), ({"seed": 0.5}, "seed"),
        ({"tolerance": -1}, "tolerance"), ({"tolerance": np.nan}, "tolerance"),
        ({"tolerance": "x"}, "tolerance"),
        ({"tolerance": np.inf}, "tolerance"), ({"bounds": "clipp"}, "clip"), ({"bounds": None}, "bounds"),
        ({"record": "some"}, "record"), ({"precision": "float16"}, "float64"), ({"optimizer": "adm"}, "adam"),
        ({"learning_rate": 0}, "rate"), ({"decay": 0.9}, "decay"),
    ],
)  # fmt: skip
def test_unusable_settings_are_clear_errors(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        dl.descend(PEAKS, [0, 0], **settings)


def test_only_objectives_are_descended() -> None:
    for thing in ("x^2", lambda x: x, None, 3):
        with pytest.raises(InputError, match="objective"):
            dl.descend(thing, [0])  # type: ignore[arg-type]


def test_too_much_memory_is_an_error_before_any_work() -> None:
    with pytest.raises(InputError, match="GiB"):
        dl.descend(PEAKS, np.zeros((100_000, 2)), steps=1_000_000)
    with pytest.raises(InputError, match="record='ends'"):
        dl.descend(PEAKS, 1, steps=100_000_000)
    # One start is padded to eight rows, and nine are padded to more: that counts too.
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for starts in (1, 9):
        with pytest.raises(InputError, match="GiB"):
            dl.descend(PEAKS, starts, steps=int(most / (padded_rows(starts) * 3 * 8 * 4)))


def test_too_many_random_starts_are_an_error_before_they_are_drawn() -> None:
    before = memory_used()
    with pytest.raises(InputError):
        dl.descend(PEAKS, 90_000_000, steps=100_000)
    assert memory_used() - before < 200e6


def memory_used() -> float:
    """Return this process's peak memory in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_nothing_is_written_or_warned(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = dl.descend(dl.formula("log(x) + 1/x"), 20, learning_rate=3.0, steps=30, seed=3)
        [v.sentence for v in run.verdicts]
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


# Single precision


def test_float32_runs_in_float32_and_reaches_its_rounding() -> None:
    f = dl.formula("3x^2 - 3x + 4", domain={"x": (-2, 2)})
    run = dl.descend(f, [[0.1], [1.7]], learning_rate=0.1, steps=200, precision="float32")
    points = run.points[0, 1:].astype(np.float32)
    np.testing.assert_array_equal(points, run.points[0, 1:])
    x = np.float32(0.1)
    for k in range(200):
        assert abs(float(x) - run.points[0, k, 0]) < 2e-6
        x = x - np.float32(0.1) * (np.float32(6) * x - np.float32(3))
    assert set(run.outcomes) == {"minimum"}
    assert np.abs(run.ends - 0.5).max() < 1e-6


def test_an_ill_scaled_start_in_float32_is_an_outcome() -> None:
    f = dl.formula("x^4", domain={"x": (-2, 2)})
    run = dl.descend(f, [[1e30]], precision="float32", steps=5)
    assert run.outcomes[0] in {"nonfinite", "diverged"}


def test_the_label_says_what_was_used() -> None:
    run = dl.descend(PEAKS, [0, 0], "momentum", "time:0.1", steps=3, decay=0.5)
    assert run.optimizer == "momentum(decay=0.5)"
    assert run.learning_rate == "time:0.1"
    assert re.search("descend", run.command)
    assert not run.ascent
    assert dl.ascend(PEAKS, [0, 0], steps=3).ascent
