"""Designs of starts: each against an independent reference, and the same points whatever range is asked for."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import _sobol, qmc

import descentlab as dl
from descentlab.descent import random_starts
from descentlab.errors import InputError
from descentlab.survey.starts import (
    DESIGNS,
    LATIN_BLOCK,
    MOST_STARTS,
    Starts,
    _into_box,
    describe,
    read_design,
)

RANDOM = tuple(design for design in DESIGNS if design != "grid")
UNIT = np.array([[0.0, 1.0]])


def objective(dim: int, low: float = -2.0, high: float = 3.0) -> dl.Objective:
    names = [f"x{i}" for i in range(dim)]
    return dl.formula(" + ".join(f"{name}^2" for name in names), domain=dict.fromkeys(names, (low, high)))


def starts(design: str, count: int, dim: int = 2, seed: int = 0, domain: Any = None) -> Starts:
    return Starts(design, count, seed, np.tile(UNIT, (dim, 1)) if domain is None else np.array(domain, float))


# Any range gives the same points


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(DESIGNS), st.integers(1, 6), st.integers(0, 2**63 - 1), st.integers(0, 700), st.integers(0, 500)
)  # fmt: skip
def test_a_start_does_not_depend_on_the_range_asked_for(
    design: str, dim: int, seed: int, first: int, count: int
) -> None:
    box = np.sort(np.random.default_rng(seed).normal(size=(dim, 2)), axis=1)
    these = starts(design, 4**dim, dim, seed, box)
    part = these.points(first, count)
    assert part.shape == (count, dim)
    assert part.dtype == np.float64
    np.testing.assert_array_equal(part, these.points(0, 1200)[first : first + count])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(DESIGNS), st.integers(1, 4), st.integers(0, 2**30),
    st.integers(0, MOST_STARTS - 300), st.integers(0, 299),
)  # fmt: skip
def test_far_ranges_overlap_to_the_bit(design: str, dim: int, seed: int, first: int, skipped: int) -> None:
    these = starts(design, 31_622**2 if dim < 3 else 1000**3, dim, seed)
    whole = these.points(first, 300)
    np.testing.assert_array_equal(these.points(first + skipped, 300 - skipped), whole[skipped:])
    np.testing.assert_array_equal(these.points(np.int64(first + skipped), 1), whole[skipped : skipped + 1])  # type: ignore[arg-type]


@pytest.mark.parametrize("design", RANDOM)
def test_more_starts_leave_the_first_ones_as_they_are(design: str) -> None:
    few, more = (starts(design, count).points(0, 100) for count in (100, 10**6))
    np.testing.assert_array_equal(few, more)


@pytest.mark.parametrize("design", DESIGNS)
def test_seeds_differ_and_neighbours_are_unlike(design: str) -> None:
    a, b = (starts(design, 1024, seed=seed).points(0, 1024) for seed in (0, 1))
    if design == "grid":
        np.testing.assert_array_equal(a, b)
    else:
        assert (a != b).all()
        # 1,024 independent pairs: correlations beyond 0.17 come up once in 10⁷.
        assert abs(np.corrcoef(a.T)[0, 1]) < 0.17
    if design in ("uniform", "latin", "normal"):  # Sobol' sequences are one sequence, scrambled
        for axis in (0, 1):
            assert abs(np.corrcoef(a[:, axis], b[:, axis])[0, 1]) < 0.17
    assert len(np.unique(a, axis=0)) == 1024


@pytest.mark.parametrize("design", DESIGNS)
def test_a_far_range_costs_its_own_length(design: str) -> None:
    these = starts(design, 31_600**2)
    these.points(0, 10)  # imports
    tracemalloc.start()
    seconds = []
    for first in (10**8, 5 * 10**8, 998_000_000):
        begin = time.process_time()
        these.points(first, 1000)
        seconds.append(time.process_time() - begin)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert min(seconds) < 0.05  # drawing 10⁸ starts takes over a second, and Sobol' steps 0.2 s


@pytest.mark.parametrize("design", DESIGNS)
def test_starts_can_be_pickled(design: str) -> None:
    these = read_design(design, 81, objective(2), 5)
    back = pickle.loads(pickle.dumps(these))
    np.testing.assert_array_equal(back.points(7, 50), these.points(7, 50))
    assert (back.design, back.count, back.seed) == (design, 81, 5)


# Each design against its reference


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_uniform_starts_are_those_of_descend(dim: int) -> None:
    f = objective(dim)
    these = read_design("uniform", 1000, f, 7)
    np.testing.assert_array_equal(these.points(0, 1000), random_starts(f, 1000, 7))
    np.testing.assert_array_equal(these.points(333, 101), random_starts(f, 1000, 7)[333:434])
    if dim == 2:
        drawn = dl.descend(f, 9, steps=1, record="ends", seed=7).starts
        np.testing.assert_array_equal(these.points(0, 9), drawn)


@pytest.mark.parametrize("design", ["uniform", "sobol", "latin"])
@pytest.mark.parametrize("first", [0, 123_456_789])
def test_each_coordinate_is_uniform(design: str, first: int) -> None:
    points = starts(design, MOST_STARTS, 3, 11, [[-1, 3], [10, 11], [0, 1e-6]]).points(first, 20_000)
    for column, (low, high) in zip(points.T, [(-1, 3), (10, 11), (0, 1e-6)], strict=True):
        assert stats.kstest(column, "uniform", (low, high - low)).pvalue > 1e-3


def test_uniform_starts_are_independent() -> None:
    points = starts("uniform", 10**6, 2, 3).points(10**5, 30_000)
    one_after_the_other = np.column_stack([points[:-1:2], points[1::2]])
    cells = np.ravel_multi_index(tuple((one_after_the_other * 6).astype(int).T), (6,) * 4)
    assert stats.chisquare(np.bincount(cells, minlength=6**4)).pvalue > 1e-3


@pytest.mark.parametrize(("dim", "seed"), [(1, 0), (2, 1), (7, 2), (40, 2**63 - 1)])
def test_sobol_starts_are_scipys(dim: int, seed: int) -> None:
    these = starts("sobol", MOST_STARTS, dim, seed)
    engine = qmc.Sobol(dim, scramble=True, bits=32, rng=seed)
    np.testing.assert_array_equal(these.points(0, 2048), engine.random(2048))
    np.testing.assert_array_equal(these.points(2048, 77), engine.random(77))
    engine.fast_forward(3_000_000)
    np.testing.assert_array_equal(these.points(3_002_125, 1000), engine.random(1000))


@pytest.mark.slow
def test_the_last_sobol_start_is_scipys() -> None:
    engine = qmc.Sobol(1, scramble=True, bits=32, rng=4)
    engine.fast_forward(MOST_STARTS - 3)
    np.testing.assert_array_equal(
        starts("sobol", MOST_STARTS, 1, 4).points(MOST_STARTS - 3, 3), engine.random(3)
    )


@pytest.mark.parametrize("first", [0, 4096, 5 * 2**20])
def test_sobol_starts_are_a_net(first: int) -> None:
    """Every aligned 1,024 points have one in each of 1,024 boxes of any shape 2^−a × 2^−(10 − a)."""
    points = starts("sobol", MOST_STARTS, 2, 9).points(first, 1024)
    for a in range(11):
        cells = np.floor(points * [2**a, 2 ** (10 - a)]).astype(int)
        assert len(np.unique(cells, axis=0)) == 1024


def test_sobol_and_latin_starts_are_more_even_than_uniform_ones() -> None:
    def unevenness(design: str, seed: int) -> float:
        return float(qmc.discrepancy(starts(design, 1024, 2, seed).points(0, 1024)))

    for seed in range(5):
        assert unevenness("sobol", seed) < unevenness("uniform", seed) / 20
        assert unevenness("latin", seed) < unevenness("uniform", seed) / 2


@pytest.mark.parametrize("dim", [1, 2, 9])
def test_latin_blocks_are_latin_hypercubes(dim: int) -> None:
    these = starts("latin", MOST_STARTS, dim, 21)
    seen = []
    for block in (0, 1, 2, 3_906_249):
        points = these.points(block * LATIN_BLOCK, LATIN_BLOCK)
        strata = np.floor(points * LATIN_BLOCK).astype(int)
        np.testing.assert_array_equal(np.sort(strata, axis=0), np.arange(LATIN_BLOCK)[:, None].repeat(dim, 1))
        seen += [*strata.T]
        within = points * LATIN_BLOCK - strata
        assert stats.kstest(within.ravel(), "uniform").pvalue > 1e-3
    # Variables and blocks are permuted independently: |r| < 0.35 but for one pair in 10⁷.
    if len(seen) > 1:
        assert np.abs(np.corrcoef(seen) - np.eye(len(seen))).max() < 0.35


def test_every_place_in_a_latin_block_is_as_likely_as_any_other() -> None:
    first = np.array([starts("latin", 256, 1, seed).points(0, 1)[0, 0] for seed in range(2000)])
    assert stats.kstest(first, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("side", "dim", "low", "high"), [(10, 1, -2, 2), (4, 2, -2, 2), (5, 3, 0, 1), (2, 8, 0, 8), (1, 4, 1, 3)]
)
def test_a_grid_is_the_centres_of_equal_cells(side: int, dim: int, low: float, high: float) -> None:
    these = read_design("grid", side**dim, objective(dim, low, high), 3)
    centres = [low + (high - low) * (j + 0.5) / side for j in range(side)]
    expected = np.array(list(itertools.product(centres, repeat=dim)))
    np.testing.assert_allclose(these.points(0, side**dim), expected, rtol=0, atol=1e-15 * (high - low))
    assert len(np.unique(these.points(0, side**dim), axis=0)) == side**dim


def test_an_even_grid_is_symmetric_and_an_odd_one_has_the_middle() -> None:
    even, odd = (read_design("grid", n, objective(1, -2, 2), 0).points(0, n)[:, 0] for n in (100, 101))
    np.testing.assert_allclose(even, -even[::-1], rtol=0, atol=1e-15)
    assert odd[50] == 0


@pytest.mark.parametrize(
    ("count", "dim", "words"),
    [
        (10, 2, "10 starts: ask for 9 (3 a side) or 16 (4 a side)."),
        (10_000_001, 2, "9,998,244 (3162 a side) or 10,004,569 (3163 a side)."),
        (999_999_999, 3, "ask for 997,002,999 (999 a side) or 1,000,000,000 (1000 a side)."),
        (999_999_999, 2, "ask for 999,950,884 (31622 a side)."),
        (7, 3, "ask for 1 (1 a side) or 8 (2 a side), or take another design."),
        (1000, 40, "ask for 1 (1 a side), or take another design."),
    ],
)
def test_a_grid_that_cannot_be_names_the_nearest(count: int, dim: int, words: str) -> None:
    f = objective(dim)
    with pytest.raises(InputError) as error:
        read_design("grid", count, f, 0)
    assert words in str(error.value)


def test_every_power_is_a_grid_and_nothing_else_is() -> None:
    for dim in (1, 2, 3, 5, 8):
        f = objective(dim)
        powers = {k**dim for k in range(1, 401) if k**dim <= 400}
        for count in range(1, 401):
            if count in powers:
                assert read_design("grid", count, f, 0).count == count
            else:
                with pytest.raises(InputError):
                    read_design("grid", count, f, 0)
    for side, dim in ((10**9, 1), (31_622, 2), (1000, 3), (177, 4), (7, 10), (2, 29)):
        assert read_design("grid", side**dim, objective(dim), 0).points(side**dim - 1, 1).shape == (1, dim)


@pytest.mark.parametrize("first", [0, 987_654_321])
def test_normal_starts_are_truncated_normal(first: int) -> None:
    these = starts("normal", MOST_STARTS, 2, 6, [[-1, 3], [100, 108]])
    points = these.points(first, 20_000)
    for column, middle, sigma in zip(points.T, (1, 104), (1, 2), strict=True):
        assert stats.kstest(column, stats.truncnorm(-2, 2, middle, sigma).cdf).pvalue > 1e-3
        assert np.abs(column - middle).max() <= 2 * sigma
    assert abs(np.corrcoef(points.T)[0, 1]) < 0.04


def test_normal_starts_are_quantiles_of_the_uniform_ones() -> None:
    uniform, normal = (starts(design, 5000, 1, 8).points(0, 5000) for design in ("uniform", "normal"))
    np.testing.assert_allclose(normal, stats.truncnorm(-2, 2, 0.5, 0.25).ppf(uniform), rtol=1e-9)


# The box

BOXES = [
    [1e300, 1.7e308], [-1e-300, 1e-300], [1e16, 1e16 + 4], [0, 5e-324], [-8e307, 8e307], [-1, 1e-3],
    [-1.7e308, -1.6e308], [1, np.nextafter(1, 2)], [-5e-324, 5e-324], [0.1, 0.3],
]  # fmt: skip


@pytest.mark.parametrize("design", DESIGNS)
def test_all_starts_lie_in_the_closed_box(design: str) -> None:
    box = np.array(BOXES)
    these = starts(design, 2 ** len(box), domain=box)
    with np.errstate(all="raise", under="ignore"):
        for first in (0, 500):
            points = these.points(first, 500)
            assert np.isfinite(points).all()
            assert ((points >= box[:, 0]) & (points <= box[:, 1])).all()
    spread = (points.max(axis=0) - points.min(axis=0))[:2]
    assert (spread >= 0.5 * (box[:2, 1] - box[:2, 0])).all()


def test_rounding_does_not_take_a_start_outside() -> None:
    """A width may be rounded up; a Latin or normal share of it may be rounded to 1."""
    low, high = -np.random.default_rng(0).random(10**4), np.random.default_rng(1).random(10**4)
    box = np.column_stack([low, high])
    assert (low + (high - low) * 1.0 > high).any()  # what would go wrong
    for share in (0.0, 2.0**-53, 0.5, 1 - 2.0**-53, 1.0):
        points = _into_box(box, np.full((1, len(box)), share))
        assert ((points >= low) & (points <= high)).all()
    # The shares that uniform draws can have need no such care, so that they are exactly those of descend.
    most = 1 - 2.0**-53
    np.testing.assert_array_equal(_into_box(box, np.full((1, len(box)), most))[0], low + (high - low) * most)


# Reading


def test_numbers_of_starts_are_read() -> None:
    f = objective(2)
    for count in (100, np.int32(100), 100.0, np.array(100)):
        these = read_design("uniform", count, f, 3)
        assert (these.design, these.count, these.seed) == ("uniform", 100, 3)
    assert read_design("sobol", MOST_STARTS, f, 0).points(MOST_STARTS - 1, 1).shape == (1, 2)


@pytest.mark.parametrize("design", ["uniform", "array"])
def test_an_array_of_starts_is_its_own_design(design: str) -> None:
    rows = np.array([[0.0, 1.0], [2.0, 9.0], [-1.0, 0.5]])
    these = read_design(design, rows, objective(2), 0)
    assert (these.design, these.count, these.honest) == ("array", 3, False)
    np.testing.assert_array_equal(these.points(1, 2), rows[1:])
    assert these.given is not None
    assert not these.given.flags.writeable
    rows[:] = 0
    these.points(0, 3)[:] = 7
    np.testing.assert_array_equal(these.points(0, 2), [[0, 1], [2, 9]])
    one = read_design("uniform", [0.5, 0.25], objective(2), 0)
    np.testing.assert_array_equal(one.points(0, 1), [[0.5, 0.25]])


@pytest.mark.parametrize(
    "given", [[0.5, 1, 2], (0.5, 1, 2), np.array([0.5, 1, 2]), [[0.5], [1], [2]], np.array([[0.5], [1], [2]])]
)
def test_a_list_of_numbers_is_many_starts_for_one_variable(given: Any) -> None:
    these = read_design("uniform", given, objective(1), 0)
    np.testing.assert_array_equal(these.points(0, 3), [[0.5], [1.0], [2.0]])


def test_tables_of_starts_are_read() -> None:
    import pandas as pd

    rows = np.random.default_rng(0).random((5, 2))
    these = read_design("uniform", pd.DataFrame(rows, columns=["x", "y"]), objective(2), 0)
    np.testing.assert_array_equal(these.points(0, 5), rows)
    one = read_design("uniform", pd.Series(rows[:, 0]), objective(1), 0)
    np.testing.assert_array_equal(one.points(0, 5), rows[:, :1])


@pytest.mark.parametrize(
    ("design", "count", "words"),
    [
        ("sobl", 10, "Did you mean 'sobol'"), ("halton", 10, "grid, latin, normal, sobol, uniform"),
        (None, 10, "Unknown design 'None'"), (3, 10, "Unknown design '3'"), ("", 10, "Unknown design"),
        (np.zeros(2), 10, "Unknown design"), ("sobl", [[0, 0]], "Did you mean 'sobol'"),
        ("array", 10, "array of starts, (start, 2)"), ("sobol", [[0, 0]], "leave out design='sobol'"),
        ("uniform", 0, "between 1 and 1,000,000,000"), ("uniform", -3, "between 1"),
        ("sobol", 10**9 + 1, "1,000,000,001"), ("latin", 10**30, "between 1"), ("uniform", 2.5, "whole number"),
        ("uniform", "many", "whole number"), ("uniform", "10", "whole number"), ("uniform", None, "whole number"),
        ("uniform", True, "whole number"), ("uniform", np.nan, "whole number"), ("normal", np.inf, "whole number"),
        ("uniform", {"x": 1}, "whole number"), ("grid", 8, "9 (3 a side)"), ("uniform", [], "2 coordinates"),
        ("uniform", [[1.0]], "shape (1, 1)"), ("uniform", [[1, 2], [3]], "2 numbers"),
        ("uniform", [[1, np.nan]], "finite"), ("uniform", [["a", "b"]], "2 numbers"),
        ("uniform", np.zeros((0, 2)), "shape (0, 2)"), ("uniform", np.zeros((2, 2, 2)), "shape (2, 2, 2)"),
    ],
)  # fmt: skip
def test_unusable_starts_are_clear_errors(design: Any, count: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_design(design, count, objective(2), 0)
    assert words in str(error.value)


@pytest.mark.parametrize("given", [[], ["a"], [np.nan], [[1.0, 2.0]], [[1.0], [2.0, 3.0]], [None]])
def test_unusable_lists_for_one_variable_are_clear_errors(given: Any) -> None:
    with pytest.raises(InputError):
        read_design("uniform", given, objective(1), 0)


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5, "x", None])
def test_an_unusable_seed_is_a_clear_error(seed: Any) -> None:
    with pytest.raises(InputError, match="seed"):
        read_design("uniform", 10, objective(2), seed)


def test_too_many_variables_for_sobol_are_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert qmc.Sobol.MAXDIM == 21_201
    monkeypatch.setattr(qmc.Sobol, "MAXDIM", 2)
    assert read_design("sobol", 5, objective(2), 0).count == 5
    with pytest.raises(InputError, match="at most 2 variables, but there are 3: take design='latin'"):
        read_design("sobol", 5, objective(3), 0)


# Words, threads and imports


@pytest.mark.parametrize(
    ("these", "words"),
    [
        (starts("uniform", 10_000), "10,000 uniform random starts"),
        (starts("uniform", 1), "1 uniform random start"),
        (starts("sobol", 1024), "1,024 Sobol' starts"),
        (starts("latin", 512), "512 Latin hypercube starts"),
        (starts("normal", 100), "100 normal random starts"),
        (starts("grid", 10_000), "10,000 starts on a 100 × 100 grid"),
        (starts("grid", 27, 3), "27 starts on a 3 × 3 × 3 grid"),
        (starts("grid", 2**20, 10), "1,048,576 starts on a grid of 4 a side"),
        (starts("grid", 50, 1), "50 evenly spaced starts"),
        (starts("grid", 1, 1), "1 evenly spaced start"),
        (read_design("array", [[1, 2], [3, 4]], objective(2), 0), "2 given starts"),
    ],
)
def test_designs_have_words(these: Starts, words: str) -> None:
    assert describe(these) == words


def test_only_independent_uniform_starts_are_honest() -> None:
    assert [design for design in DESIGNS if starts(design, 16).honest] == ["uniform"]


def test_threads_agree_on_the_first_sobol_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    these = starts("sobol", 100, 8, 1)
    right = these.points(0, 100)
    read = _sobol._initialize_direction_numbers

    def read_slowly(poly: Any, vinit: Any, dtype: Any) -> None:
        poly[:], vinit[:] = 1, 1  # SciPy leaves here whatever the memory held
        time.sleep(0.05)
        read(poly, vinit, dtype)

    # As in a fresh process: SciPy reads its table of directions when it first needs it, and before 1.15 let a
    # second thread use the table while the first still read it.
    monkeypatch.setattr(_sobol, "_initialize_direction_numbers", read_slowly)
    _sobol._poly_dict.clear()
    _sobol._vinit_dict.clear()
    barrier = Barrier(4)

    def work() -> Any:
        barrier.wait()
        return these.points(0, 100)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work) for _ in range(4)]:
            np.testing.assert_array_equal(future.result(), right)
    assert _sobol._poly_dict  # it was read


def test_uniform_starts_do_not_load_the_statistics_library() -> None:
    code = (
        "import sys, numpy as np; from descentlab.survey.starts import Starts; "
        "[Starts(d, 4, 0, np.array([[0., 1.]])).points(0, 4) for d in ('uniform', 'latin', 'grid')]; "
        "print('scipy.stats' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
