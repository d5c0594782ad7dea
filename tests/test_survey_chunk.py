"""Chunks and the catalogue: judging by cells, one definition of the same minimum, ids by discovery."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.batch import run_ends
from descentlab.descent import ending_of, prepare
from descentlab.engine import Rows
from descentlab.landscapes import landscape
from descentlab.rates import curvature_of_box
from descentlab.survey.chunk import SURVEY_OUTCOMES, Chunk, Job, Places, run_chunk
from descentlab.survey.minima import Catalogue, _bin, _medians, _summed
from descentlab.survey.places import KINDS, number_minima, same_minimum
from descentlab.survey.starts import read_design
from descentlab.survey.statistics import unseen_interval, wilson
from descentlab.verdict import judge

survey_module = importlib.import_module("descentlab.survey.survey")
LANDSCAPES = json.loads((Path(__file__).parent / "data" / "landscapes.json").read_text())


def job_of(f: dl.Objective, count: int, **settings: Any) -> Job:
    given: dict[str, Any] = {
        "optimizer": "gd",
        "learning_rate": "auto",
        "steps": 2000,
        "bounds": "clip",
    } | settings
    precision = given.pop("precision", "float64")
    tolerance = 1e-11 * curvature_of_box(f) * float(f.widths.min())
    setup = prepare(f, **given, tolerance=tolerance, seed=0, precision=precision, parameters={}, ascent=False)
    return Job(setup, read_design("uniform", count, f, 0), 1.0)


def columns(chunk: Chunk) -> dict[str, Any]:
    return {
        name: getattr(chunk, name) for name in ("starts", "ends", "values", "slopes", "outcomes", "taken")
    }


SOME = ("peaks", "himmelblau", "ackley", "rosenbrock", "six-hump camel")
FORMULAS = ("x^4 + y^4", "(x^2 + y^2 - 1)^2", "abs(x) + abs(y)", "x^2", "log(x) + x^2 + y^2", "3 + 0*x")


def objective(text: str) -> dl.Objective:
    return (
        landscape(text) if text in SOME else dl.formula(text, domain=[(-2, 2), (-2, 2)], variables=["x", "y"])
    )


@pytest.mark.slow
@pytest.mark.parametrize("text", [*SOME, *FORMULAS])
def test_where_chunks_are_cut_changes_no_start(text: str) -> None:
    job = job_of(objective(text), 700)
    whole = columns(run_chunk(job, 0, 700))
    parts = [columns(run_chunk(job, first, count)) for first, count in ((0, 1), (1, 299), (300, 400))]
    for name, column in whole.items():
        np.testing.assert_array_equal(np.concatenate([p[name] for p in parts]), column, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("text", [*SOME, *FORMULAS])
@pytest.mark.parametrize("bounds", ["clip", "free"])
def test_judging_by_cells_says_what_judging_every_row_says(text: str, bounds: str) -> None:
    f = objective(text)
    job = job_of(f, 400, bounds=bounds, learning_rate="auto" if bounds == "clip" else 1e-3)
    chunk = run_chunk(job, 0, 400)
    setup = job.setup
    rows = Rows(chunk.starts, np.full(400, setup.base_rate), np.full(400, setup.steps))
    ends = run_ends(setup.method, rows, setup.tolerance)
    one_by_one = judge(ending_of(setup, rows, ends.trace()))
    assert np.array(SURVEY_OUTCOMES)[chunk.outcomes].tolist() == one_by_one.outcomes.tolist()


@pytest.mark.parametrize("name", ["peaks", "himmelblau", "rastrigin"])
def test_single_precision_finds_the_same_minima_and_polishes_them(name: str) -> None:
    double = dl.survey(landscape(name), starts=3000)
    single = dl.survey(landscape(name), starts=3000, precision="float32")
    assert len(single.minima) == len(double.minima)
    for a in single.minima:
        b = min(double.minima, key=lambda m: float(np.abs(m.point - a.point).max()))
        np.testing.assert_allclose(a.point, b.point, atol=1e-9)
        assert a.kind == b.kind
        assert abs(a.hits - b.hits) <= 0.02 * 3000
    # Ends are polished in double precision, not left where single precision came to rest.
    at = np.array([m.point for m in single.minima])[single.assignment[single.assignment >= 0]]
    np.testing.assert_allclose(single.ends[single.assignment >= 0], at, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("entry", LANDSCAPES, ids=lambda e: e["name"])
def test_settled_counts_of_the_reference_landscapes(entry: dict[str, Any]) -> None:
    """Every minimum, interior and boundary, from 20,000 starts; f* within rounding."""
    box = dict(zip(entry["variables"], map(tuple, entry["bounds"]), strict=True))
    f = dl.formula(entry["formula"], domain=box, variables=entry["variables"])
    s = dl.survey(f, starts=20_000)
    assert s.best is not None
    assert s.best.value == pytest.approx(entry["f_star"], rel=1e-10, abs=1e-12)
    if entry["interior_status"] == "agreed":
        kinds = Counter(m.kind for m in s.minima)
        assert (kinds["interior"], kinds["boundary"]) == (entry["minima_interior"], entry["minima_boundary"])


def test_period_two_orbits_are_no_basins() -> None:
    s = dl.survey(dl.formula("x^2", domain={"x": (-1, 1)}), starts=500, learning_rate=1.0, bounds="free")
    assert s.outcomes == {"cycle": 500}
    assert s.minima == ()


# The same minimum


def labels(
    points: Any, values: Any, kind: str = "interior", widths: Any = 1.0, scale: float = 1.0
) -> list[int]:
    points = np.atleast_2d(np.asarray(points, float).T).T
    return same_minimum(
        points, np.asarray(values, float), kind, np.full(points.shape[1], widths), scale
    ).tolist()


def test_the_same_minimum_needs_the_same_place_and_the_same_value() -> None:
    assert labels([0.3, 0.3 + 1e-9, 0.31], [1.0, 1.0, 1.0]) == [0, 0, 1]
    assert labels([0.3, 0.3 + 1e-9], [1.0, 1.1]) == [0, 1]
    assert labels([-0.3, 0.3], [1.0, 1.0]) == [0, 1]  # mirror copies are two


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_the_same_minimum_does_not_depend_on_units(factor: float) -> None:
    x = np.array([0.3, 0.3 + 2e-7, 0.300002, 0.9])
    v = np.array([2.0, 2.0 + 1e-12, 2.0, 2.0])
    plain = labels(x, v)
    assert plain == [0, 0, 1, 2]
    assert labels(factor * x, v, widths=factor) == plain
    assert labels(x, factor * v, scale=factor) == plain
    assert labels(x, v + 1e9) == plain  # rounding of a large value tells nothing apart


def test_duplicates_by_the_million() -> None:
    generator = np.random.default_rng(0)
    centres = generator.uniform(-1, 1, (50, 2))
    which = generator.integers(0, 50, 1_000_000)
    points = centres[which] + generator.normal(0, 1e-12, (1_000_000, 2))
    found = same_minimum(points, np.zeros(1_000_000), "interior", np.full(2, 2.0), 1.0)
    assert (
        len({(a, b) for a, b in zip(found.tolist(), which.tolist(), strict=True)})
        == len(set(found.tolist()))
        == 50
    )


def on_ring(angles: Any, radius: float = 1.0) -> np.ndarray:
    return radius * np.column_stack([np.cos(angles), np.sin(angles)])


def test_a_ring_is_one_flat_minimum_and_two_rings_are_two() -> None:
    f = dl.formula("((x^2+y^2-1)*(x^2+y^2-1/4))^2", domain={"x": (-2, 2), "y": (-2, 2)})
    ring = on_ring(np.linspace(0, 2 * np.pi, 400))
    assert set(number_minima(f, ring, f.value(ring), "flat", 1.0).tolist()) == {0}
    both = np.concatenate([ring, 0.5 * ring])
    found = number_minima(f, both, f.value(both), "flat", 1.0)
    assert len(set(found[:400])) == len(set(found[400:])) == 1
    assert found[0] != found[-1]


# The catalogue


def chunk_of(first: int, places: list[tuple[float, float, str]], reached: list[int]) -> Chunk:
    """A chunk with these minima (x, value, kind) and the index of the one each start reached."""
    n = len(reached)
    points = np.array([[x] for x, _, _ in places]).reshape(-1, 1)
    kinds = np.array([KINDS.index(kind) for _, _, kind in places], np.int8)
    values = np.array([v for _, v, _ in places], float)
    outcomes = np.where(
        np.array(reached) >= 0, SURVEY_OUTCOMES.index("minimum"), SURVEY_OUTCOMES.index("diverged")
    )
    zeros = np.zeros(n)
    return Chunk(
        first, zeros[:, None], zeros[:, None], zeros, zeros, outcomes.astype(np.int8), np.full(n, 7, np.int64),
        np.array(reached, np.int32), Places(points, values, kinds),
    )  # fmt: skip


LINE = dl.formula("cos(9x)", domain={"x": (0, 1)})


def test_ids_are_given_in_the_order_of_discovery_and_then_of_value() -> None:
    c = Catalogue(LINE, 1.0)
    assert c.add(chunk_of(0, [(0.5, 2.0, "interior"), (0.2, 1.0, "interior")], [0, 1, 1, -1])).tolist() == [
        1,
        0,
        0,
        -1,
    ]
    assert c.add(chunk_of(4, [(0.9, 0.0, "interior"), (0.5, 2.0, "interior")], [0, 1])).tolist() == [2, 1]
    minima, ranks = c.minima()
    assert [(m.value, m.id, m.hits) for m in minima] == [(0.0, 2, 1), (1.0, 0, 2), (2.0, 1, 2)]
    assert ranks.tolist() == [1, 2, 0]
    assert c.starts == 6
    assert dict(zip(SURVEY_OUTCOMES, c.outcomes, strict=True))["diverged"] == 1
    assert [m.steps for m in minima] == [7, 7, 7]


def test_the_lowest_representative_is_kept_whatever_the_order() -> None:
    low, high = (0.2, 1.0 - 1e-12, "interior"), (0.2 + 1e-8, 1.0, "interior")
    for order in ([low, high], [high, low]):
        c = Catalogue(LINE, 1.0)
        for i, place in enumerate(order):
            c.add(chunk_of(i, [place], [0]))
        (m,), _ = c.minima()
        assert (m.point[0], m.value, m.hits, m.id) == (0.2, 1.0 - 1e-12, 2, 0)


def test_parts_of_a_flat_set_that_meet_later_become_one() -> None:
    f = dl.formula("(x^2+y^2-1)^2", domain={"x": (-2, 2), "y": (-2, 2)})

    def chunk_at(first: int, *angles: float) -> Chunk:
        chunk = chunk_of(first, [(0.0, 0.0, "flat")] * len(angles), list(range(len(angles))))
        return replace(chunk, places=replace(chunk.places, points=on_ring(np.array(angles))))

    c = Catalogue(f, 1.0)
    assert sorted(c.add(chunk_at(0, 0.0, 0.13)).tolist()) == [0, 1]
    assert len(c.minima()[0]) == 2
    assert c.add(chunk_at(2, 0.065)).tolist() == [0]
    (m,), ranks = c.minima()
    assert (m.hits, m.id, m.kind) == (3, 0, "flat")
    assert ranks.tolist() == [0, 0]
    assert c.hits_by_minimum().tolist() == [3]


def test_kinds_are_kept_apart() -> None:
    c = Catalogue(LINE, 1.0)
    c.add(chunk_of(0, [(0.5, 1.0, "interior"), (0.5, 1.0, "boundary")], [0, 1]))
    assert sorted(m.kind for m in c.minima()[0]) == ["boundary", "interior"]


def test_medians_of_binned_steps_are_within_four_percent() -> None:
    generator = np.random.default_rng(0)
    for top in (50, 127, 128, 1000, 10**5, 10**8):
        steps = generator.integers(0, top, 2001)
        bins = _bin(steps)
        assert (np.diff(_bin(np.sort(steps))) >= 0).all()
        (middle,) = _medians(*_summed(bins, np.ones(len(bins), np.int64)))
        assert middle == pytest.approx(np.median(steps), rel=0.04, abs=0 if top < 128 else 1)


# Ctrl-C


def test_ctrl_c_between_two_chunks_leaves_counts_and_columns_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pressed while a chunk is being added: at the worst moment, between the counts and the columns."""
    import signal

    monkeypatch.setattr(survey_module, "CHUNK", 500)
    add = Catalogue.add
    calls = []

    def pressed(self: Catalogue, chunk: Chunk) -> Any:
        reached = add(self, chunk)
        calls.append(chunk.first)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return reached

    monkeypatch.setattr(Catalogue, "add", pressed)
    s = dl.survey(landscape("himmelblau"), starts=5000)
    assert s.stopped == "interrupted"
    assert s.starts_count == len(s.assignment) == sum(s.outcomes.values()) == 1000
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# Statistics on real surveys


@pytest.mark.slow
def test_intervals_cover_in_two_thousand_real_surveys() -> None:
    """One long survey gives the shares, and cut into 2000 short ones, what 2000 users would have seen."""
    peaks = dl.survey(landscape("peaks"), starts=400_000)
    short = peaks.assignment.reshape(2000, 200)
    for i, minimum in enumerate(peaks.minima):
        ends = np.array([wilson(int(hits), 200) for hits in (short == i).sum(axis=1)])
        assert 0.93 <= np.mean((ends[:, 0] <= minimum.share) & (minimum.share <= ends[:, 1])) <= 0.97

    rastrigin = dl.survey(landscape("rastrigin"), starts=400_000, seed=1)
    shares = np.array([m.share for m in rastrigin.minima])
    covered = []
    for reached in rastrigin.assignment.reshape(2000, 200):
        hits = np.bincount(reached, minlength=len(shares))
        low, high = unseen_interval(hits[hits > 0], 200)
        covered.append(low <= shares[hits == 0].sum() <= high)
    assert 0.93 <= np.mean(covered) <= 0.97
