"""Basin maps: closed forms, measures of arrays with known values, and agreement with single descents."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import descentlab as dl
from descentlab.cli import main
from descentlab.errors import InputError
from descentlab.landscapes import landscape
from descentlab.survey.basin_measures import basin_entropy, uncertainty
from descentlab.survey.chunk import SURVEY_OUTCOMES

WELLS = dl.formula("(x^2 - 1)^2 + y^2", domain={"x": (-2, 2), "y": (-1, 1)})
FOUR = dl.formula("(x^2 - 1)^2 + 2*(y^2 - 1)^2", domain={"x": (-2, 2), "y": (-1.5, 1.5)})

compilations: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: (
        compilations.append(event) if event.endswith("backend_compile_duration") else None
    )
)


def is_sound(m: dl.BasinMap) -> None:
    """Assert what holds of every map."""
    rows, columns = m.assignment.shape
    assert m.taken.shape == m.outcome_codes.shape == (rows, columns)
    assert m.ends.shape == (rows, columns, m.objective.dim)
    hits = np.bincount(m.assignment[m.assignment >= 0], minlength=len(m.minima))
    assert [each.hits for each in m.minima] == hits.tolist()
    assert m.shares.sum() + sum(m.elsewhere.values()) == pytest.approx(1.0, abs=1e-12)
    assert [each.value for each in m.minima] == sorted(each.value for each in m.minima)
    assert set(np.unique(m.outcomes)) <= set(SURVEY_OUTCOMES)
    assert m.areas.sum() == pytest.approx(m.shares.sum() * np.prod(m.box[:, 1] - m.box[:, 0]))
    for i, each in enumerate(m.minima):
        if each.hits:
            assert each.steps == np.median(m.taken[m.assignment == i])


# --- maps with known basins -----------------------------------------------------------------


def test_two_wells_are_parted_by_a_straight_line() -> None:
    m = dl.basin_map(WELLS, resolution=200, learning_rate=0.05)
    is_sound(m)
    assert [each.point.round(9).tolist() for each in m.minima] == [[-1.0, 0.0], [1.0, 0.0]]
    assert (m.assignment[:, :100] == 0).all()
    assert (m.assignment[:, 100:] == 1).all()
    np.testing.assert_array_equal(m.areas, [4.0, 4.0])
    assert m.entropy.boundary <= math.log(2)
    assert not m.entropy.is_fractal
    assert m.uncertainty_exponent == pytest.approx(1.0, abs=0.02)
    assert m.uncertainty.dimension == pytest.approx(1.0, abs=0.02)
    assert "smooth" in m.sentence


def test_one_basin_has_no_entropy_and_no_boundary() -> None:
    m = dl.basin_map(dl.formula("x^2 + 3*y^2"), resolution=40)
    is_sound(m)
    assert m.shares.tolist() == [1.0]
    assert (m.entropy.basin, m.entropy.boundary, m.entropy.mixed) == (0.0, 0.0, 0)
    assert math.isnan(m.uncertainty_exponent)
    assert "the one minimum" in m.sentence


def test_rows_go_up_and_columns_to_the_right() -> None:
    m = dl.basin_map(FOUR, resolution=(6, 4), learning_rate=0.02)
    assert m.assignment.shape == (4, 6)
    for row, column, signs in ((0, 0, (-1, -1)), (0, 5, (1, -1)), (3, 0, (-1, 1)), (3, 5, (1, 1))):
        np.testing.assert_allclose(m.minima[m.assignment[row, column]].point, signs, atol=1e-9)
        np.testing.assert_allclose(m.ends[row, column], signs, atol=1e-6)
    np.testing.assert_allclose(m.x, -2 + 4 * (np.arange(6) + 0.5) / 6)
    np.testing.assert_allclose(m.y, -1.5 + 3 * (np.arange(4) + 0.5) / 4)


def test_four_equal_quarters_meet_in_one_box() -> None:
    m = dl.basin_map(FOUR, resolution=50, learning_rate=0.02)
    assert m.shares.tolist() == [0.25] * 4
    # Boundaries run between boxes: no box is mixed.
    assert m.entropy.mixed == 0
    assert m.best_share == 1.0
    assert "all of the value f = 0" in m.sentence


@pytest.mark.parametrize(
    ("optimizer", "rate", "bounds"),
    [("gd", 0.02, "free"), ("momentum", 0.012, "clip"), ("gd", "auto", "clip")],
)
def test_a_pixel_is_a_descent_from_its_centre(optimizer: str, rate: Any, bounds: str) -> None:
    f = landscape("himmelblau")
    m = dl.basin_map(
        f, resolution=(14, 10), optimizer=optimizer, learning_rate=rate, bounds=bounds, steps=800
    )
    starts = np.stack(np.meshgrid(m.x, m.y), axis=-1).reshape(-1, 2)
    run = dl.descend(
        f,
        starts,
        optimizer=optimizer,
        learning_rate=rate,
        bounds=bounds,
        steps=800,
        tolerance=m.tolerance,
        record="ends",
    )
    is_sound(m)
    assert (m.outcomes.reshape(-1) == run.outcomes).mean() >= 0.97  # chaotic ones may be rounded apart
    calm = (m.outcomes.reshape(-1) == "minimum") & (run.outcomes == "minimum")
    assert calm.mean() > 0.4
    same = np.abs(m.ends.reshape(-1, 2)[calm] - run.ends[calm]).max(axis=1) < 1e-6
    assert same.mean() >= 0.97
    place = np.array([m.minima[i].point for i in m.assignment.reshape(-1)[calm]])
    np.testing.assert_allclose(m.ends.reshape(-1, 2)[calm], place, atol=1e-5)


def test_scaling_f_and_x_changes_nothing_at_the_rate_auto() -> None:
    plain = dl.basin_map(WELLS, resolution=60)
    for height, width in ((1e6, 1.0), (1e-6, 1e3), (3.0, 1e-6)):
        text = f"{height}*(((x/{width})^2 - 1)^2 + (y/{width})^2)"
        box = {"x": (-2 * width, 2 * width), "y": (-width, width)}
        scaled = dl.basin_map(dl.formula(text, domain=box), resolution=60)
        np.testing.assert_array_equal(scaled.assignment, plain.assignment)
        assert (np.abs(scaled.taken - plain.taken) <= 1).mean() > 0.99
        assert scaled.uncertainty_exponent == plain.uncertainty_exponent


def test_what_reaches_no_minimum_is_told_by_outcome() -> None:
    m = dl.basin_map(landscape("himmelblau"), resolution=48, learning_rate=0.02, bounds="free", steps=600)
    is_sound(m)
    assert m.elsewhere["cycle"] > 0.2
    lost = m.assignment < 0
    assert (m.fates[lost] < 0).all()
    cycling = m.fates == -1 - SURVEY_OUTCOMES.index("cycle")
    assert cycling.mean() == m.elsewhere["cycle"]
    assert (m.outcomes[cycling] == "cycle").all()
    assert "in a cycle" in m.sentence


def test_nothing_reaches_a_minimum_where_there_is_none() -> None:
    m = dl.basin_map(dl.formula("x + 2*y"), resolution=6, bounds="free", learning_rate=0.1, steps=50)
    assert m.minima == ()
    assert (m.assignment == -1).all()
    assert "none to a minimum" in m.sentence


# --- the measures, on arrays with known values ----------------------------------------------


def test_the_entropy_of_a_chequerboard_is_that_of_its_shares() -> None:
    board = np.indices((30, 20)).sum(axis=0) % 2
    even = basin_entropy(board, box=2)
    assert even.basin == even.boundary == pytest.approx(math.log(2))
    assert even.boxes == even.mixed == 150
    # 13 and 12 of 25 pixels.
    odd = -(13 / 25 * math.log(13 / 25) + 12 / 25 * math.log(12 / 25))
    assert basin_entropy(board).boundary == pytest.approx(odd)
    assert not basin_entropy(board).is_fractal


def test_the_entropy_of_boxes_is_averaged_over_all_and_over_the_mixed() -> None:
    fates = np.zeros((10, 11), int)  # the last column fills no box
    fates[0, 0] = -7
    fates[5:, 5:10] = np.arange(25).reshape(5, 5)
    one = -(0.04 * math.log(0.04) + 0.96 * math.log(0.96))
    found = basin_entropy(fates)
    assert (found.boxes, found.mixed) == (4, 2)
    assert found.basin == pytest.approx((one + math.log(25)) / 4)
    assert found.boundary == pytest.approx((one + math.log(25)) / 2)
    assert found.is_fractal


def test_the_shares_of_a_straight_boundary_are_those_counted_by_hand() -> None:
    fates = np.repeat([[0] * 130 + [1] * 126], 256, axis=0)
    found = uncertainty(fates)
    assert found.sizes.tolist() == [1, 2, 4, 8]
    np.testing.assert_allclose(found.shares, [s / (256 - s) / 2 for s in (1, 2, 4, 8)])
    assert found.exponent == pytest.approx(1.0, abs=0.02)
    assert uncertainty(fates.T).shares.tolist() == found.shares.tolist()


def test_a_cantor_set_has_its_exponent() -> None:
    """Fates change on the middle-thirds set, of dimension ln 2/ln 3, times a line: α = 1 − ln 2/ln 3."""
    digits = np.stack([np.arange(3**7) // 3**k % 3 for k in range(6, -1, -1)])
    gap = np.where((digits == 1).any(axis=0), (digits == 1).argmax(axis=0), 7)
    found = uncertainty(np.broadcast_to(gap % 2, (3**7, 3**7)))
    assert found.exponent == pytest.approx(1 - math.log(2) / math.log(3), abs=0.04)
    assert 0 < found.error < 0.1


def test_fates_drawn_at_random_leave_no_exponent_to_speak_of() -> None:
    fates = np.random.default_rng(5).integers(0, 3, (300, 300))
    assert uncertainty(fates).exponent == pytest.approx(0.0, abs=0.01)
    assert basin_entropy(fates).is_fractal


def test_the_standard_error_is_that_of_the_least_squares_line() -> None:
    from scipy.stats import linregress

    waves = np.sin(np.arange(200) ** 2 / 900) > 0
    found = uncertainty(waves[:, None] ^ waves)
    line = linregress(np.log(found.sizes), np.log(found.shares))
    assert found.exponent == pytest.approx(line.slope)
    assert found.error == pytest.approx(line.stderr)
    assert found.error > 1e-4


@pytest.mark.parametrize("shape", [(2, 2), (4, 9), (3, 100)])
def test_a_map_too_small_for_three_distances_has_no_exponent(shape: tuple[int, int]) -> None:
    found = uncertainty(np.indices(shape)[1] % 2)
    assert math.isnan(found.exponent)
    assert math.isnan(found.error)


def test_near_the_stability_limit_basins_turn_rough() -> None:
    """2/λ is 0.0149 to 0.0248 at Himmelblau's minima; past the lowest, basins break up."""
    strip = dl.basin_strip(landscape("himmelblau"), [0.005, 0.02], resolution=128, steps=1000)
    calm, wild = strip.maps
    assert calm.uncertainty_exponent > 0.98
    assert wild.uncertainty_exponent < 0.5
    assert "rough" in wild.sentence
    reached = [each.hits > 0 for each in wild.minima]
    stable = [2 / each.eigenvalues.max() > 0.02 for each in wild.minima]
    assert reached == stable


# --- strips ---------------------------------------------------------------------------------


def test_a_minimum_has_one_index_in_all_maps_of_a_strip() -> None:
    f = landscape("himmelblau")
    strip = dl.basin_strip(f, [0.01, 0.02], ["gd", "momentum"], resolution=32)
    assert strip.shape == (2, 2)
    assert strip.labels == ("gd at 0.01", "gd at 0.02", "momentum at 0.01", "momentum at 0.02")
    assert sum(m.hits for m in strip.minima) == sum((m.assignment >= 0).sum() for m in strip.maps)
    for m in strip.maps:
        is_sound(m)
        assert len(m.minima) == len(strip.minima) == 4
        for mine, shared in zip(m.minima, strip.minima, strict=True):
            np.testing.assert_array_equal(mine.point, shared.point)
            assert mine.id == shared.id
        for i, each in enumerate(m.minima):
            ends = m.ends[m.assignment == i]
            assert np.abs(ends - each.point).max(initial=0.0) < 1e-4
    alone = dl.basin_map(f, resolution=32, learning_rate=0.02)
    pairs = [
        (i, int(np.argmin([np.abs(m.point - a.point).max() for m in strip.minima])))
        for i, a in enumerate(alone.minima)
    ]
    for i, j in pairs:
        np.testing.assert_array_equal(alone.assignment == i, strip.maps[1].assignment == j)
    np.testing.assert_array_equal(np.diag(strip.changed), np.zeros(4))
    assert strip.changed[0, 1] == (strip.maps[0].fates != strip.maps[1].fates).mean() > 0.2
    assert "belongs to an optimizer" in strip.sentence


def test_all_rates_of_a_rule_are_one_compilation() -> None:
    f = dl.formula("(x^2 - 1.0625)^2 + y^2 + x*y/7", domain=[(-2, 2), (-2, 2)])
    settings: dict[str, Any] = {"optimizer": "momentum", "resolution": 30, "steps": 5000}
    before = len(compilations)
    dl.basin_map(f, learning_rate=0.01, **settings)
    first = len(compilations) - before
    assert first >= 1
    dl.basin_strip(f, [0.01, 0.011, 0.02, 0.03], **settings)
    assert len(compilations) - before == first
    dl.basin_strip(f, ["cosine:0.03"], **settings)  # another rule
    assert len(compilations) - before > first


def test_the_rate_auto_is_another_rule() -> None:
    strip = dl.basin_strip(WELLS, ["auto", 0.05], resolution=12)
    assert strip.labels == ("gd at auto", "gd at 0.05")
    assert (strip.maps[0].taken != strip.maps[1].taken).any()
    assert "All 2 maps are the same" in strip.sentence


def test_parameters_go_to_the_optimizers_that_have_them() -> None:
    strip = dl.basin_strip(WELLS, 0.02, ["gd", "momentum"], resolution=8, decay=0.5)
    assert (strip.maps[1].taken != dl.basin_map(WELLS, 8, "momentum", 0.02).taken).any()
    with pytest.raises(InputError, match="parameter 'beta9'"):
        dl.basin_strip(WELLS, 0.02, ["gd", "momentum"], resolution=8, beta9=0.5)


# --- planes through more variables ----------------------------------------------------------


def test_a_plane_through_three_variables_starts_at_the_point_given() -> None:
    f = dl.formula("(x^2 - 1)^2 + (y - x)^2 + (z^2 - 1)^2", domain=[(-2, 2)] * 3)
    m = dl.basin_map(f, resolution=(7, 5), plane=("z", "x"), at=[9.0, 0.5, 9.0], learning_rate=0.02)
    is_sound(m)
    starts = np.array([[x, 0.5, z] for x in m.y for z in m.x])
    run = dl.descend(f, starts, learning_rate=0.02, steps=10_000, tolerance=m.tolerance, bounds="clip")
    np.testing.assert_allclose(m.ends.reshape(-1, 3), run.ends, atol=1e-6)
    np.testing.assert_array_equal(m.outcomes.reshape(-1), run.outcomes)
    assert m.plane == ("z", "x")
    middle = dl.basin_map(f, resolution=4, plane=("x", "y"), steps=10)
    assert middle.at.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: dl.basin_map(dl.formula("x^2")), "needs two variables"),
        (lambda: dl.basin_map(landscape("rastrigin", 3)), "Name two as the plane"),
        (lambda: dl.basin_map(WELLS, plane=("x", "z")), "Unknown variable 'z'"),
        (lambda: dl.basin_map(WELLS, plane=("x", "x")), "two different variables"),
        (lambda: dl.basin_map(WELLS, plane="x"), "two different variables"),
        (lambda: dl.basin_map(WELLS, at=[1.0]), "needs 2 coordinates"),
        (lambda: dl.basin_map(WELLS, at=3), "one point `at`"),
        (lambda: dl.basin_map(WELLS, resolution=1), "between 2 and"),
        (lambda: dl.basin_map(WELLS, resolution=(2, 3, 4)), "one number or two"),
        (lambda: dl.basin_map(WELLS, resolution=2.5), "whole number"),
        (lambda: dl.basin_map(WELLS, resolution=5000), "at most 16,777,216 pixels"),
        (lambda: dl.basin_map(WELLS, optimizer="adm"), "Did you mean 'adam'"),
        (lambda: dl.basin_map(WELLS, learning_rate=-1), "positive number"),
        (lambda: dl.basin_map("x^2"), "The first argument is an objective"),
        (lambda: dl.basin_strip(WELLS, [0.1] * 65), "at most 64 maps"),
        (lambda: dl.basin_strip(WELLS, []), "empty"),
    ],
)
def test_bad_input_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


# --- doing it again, data, the command line --------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: dl.basin_map(WELLS, resolution=(6, 4), learning_rate=0.05, steps=300),
        lambda: dl.basin_strip(WELLS, [0.05, "auto"], ["gd", "momentum"], resolution=6, decay=0.8),
        lambda: dl.basin_map(landscape("rastrigin", 3), 4, plane=("x1", "x3"), at=[0.0, 1 / 3, 0.0]),
    ],
)
def test_python_and_command_do_it_again(make: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> None:
    import shlex

    result = make()
    scope: dict[str, Any] = {}
    exec(result.python, scope)
    again = scope["result"]
    assert type(again) is type(result)
    assert (again.python, again.command) == (result.python, result.command)
    assert main([*shlex.split(result.command)[1:], "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    maps = zip(result.maps, data["maps"], strict=True) if "maps" in data else [(result, data)]
    for m, there in maps:
        assert there["assignment"] == m.assignment.tolist()
        assert there["outcomes"] == m.outcomes.tolist()
        assert there["ends"] == m.ends.tolist()
        assert there["entropy"]["basin"] == m.entropy.basin
        np.testing.assert_equal(float(there["uncertainty"]["exponent"]), m.uncertainty_exponent)
        alone: dict[str, Any] = {}
        exec(m.python, alone)
        np.testing.assert_array_equal(alone["result"].taken, m.taken)


def test_the_command_line_prints_areas_of_a_map_and_measures_of_a_strip(
    capsys: pytest.CaptureFixture[str],
) -> None:
    formula = ["basins", "(x^2 - 1)^2 + y^2", "--domain=x=-2:2", "--domain=y=-1:1", "--resolution=20"]
    assert main(formula) == 0
    out = capsys.readouterr().out
    assert "20 × 20 starts" in out
    assert "-1, 0" in out
    assert "50.0 %" in out
    assert main([*formula, "--learning-rate=0.05:0.1:2", "--optimizer=gd,momentum"]) == 0
    out = capsys.readouterr().out
    assert "momentum at 0.1" in out
    assert "S_bb" in out
    assert main(["basins", "x^2"]) == 2
    assert "two variables" in capsys.readouterr().err


def test_a_map_is_the_same_in_chunks_and_by_worker_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from descentlab.survey import basins

    f = landscape("himmelblau")
    whole = dl.basin_map(f, resolution=40, optimizer="momentum", learning_rate=0.015)
    monkeypatch.setattr(basins, "CHUNK", 300)
    with ThreadPoolExecutor(2) as pool:
        for executor in (None, pool):
            parts = dl.basin_map(f, 40, "momentum", 0.015, executor=executor)
            np.testing.assert_array_equal(parts.assignment, whole.assignment)
            np.testing.assert_array_equal(parts.ends, whole.ends)
            np.testing.assert_array_equal(parts.taken, whole.taken)


def test_progress_goes_from_nothing_to_all() -> None:
    seen: list[float] = []
    dl.basin_strip(WELLS, [0.05, 0.1], resolution=8, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) >= 2
