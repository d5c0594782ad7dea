"""Surveys: the counts and lowest values of the reference table, and their statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import descentlab as dl
from descentlab.errors import InputError
from descentlab.landscapes import landscape
from descentlab.survey.statistics import restarts_needed, unseen_share, wilson


def count(s: dl.Survey, kind: str) -> int:
    return sum(m.kind == kind for m in s.minima)


def is_sound(s: dl.Survey) -> None:
    """Assert what holds of every survey."""
    assert sum(s.outcomes.values()) == s.starts_count == len(s.assignment)
    hits = np.bincount(s.assignment[s.assignment >= 0], minlength=len(s.minima))
    assert [m.hits for m in s.minima] == hits.tolist()
    assert sum(m.hits for m in s.minima) + int((s.assignment < 0).sum()) == s.starts_count
    values = [m.value for m in s.minima]
    assert values == sorted(values)
    low, high = s.objective.domain.T
    for m in s.minima:
        assert m.share == m.hits / s.starts_count
        assert m.share_interval[0] <= m.share <= m.share_interval[1]
        assert ((m.point >= low) & (m.point <= high)).all()
        assert m.value == pytest.approx(float(s.objective.value(m.point)), rel=1e-12, abs=1e-12)
        if m.kind == "interior":
            assert (m.eigenvalues > 0).all()
        if m.kind == "boundary":
            is_kkt(s.objective, m.point)


def is_kkt(f: dl.Objective, x: np.ndarray) -> None:
    """Assert that x is on the boundary, f rises inward, and is stationary and convex along it."""
    low, high = f.domain.T
    on = (x == low) | (x == high)
    assert on.any()
    g = f.gradient(x)
    inward = np.where(x == low, g, -g)
    assert (inward[on] > 0).all()
    H = f.hessian(x)[np.ix_(~on, ~on)]
    scale = np.abs(f.hessian(x)).max()
    assert (np.abs(g[~on]) <= 1e-8 * scale * f.widths.max()).all()
    assert (np.linalg.eigvalsh(H) > 0).all()


@pytest.mark.parametrize(
    ("name", "dim", "interior", "boundary", "kinks", "lowest"),
    [
        ("3x^2 - 3x + 4", None, 1, 0, 0, 3.25),
        ("cos(2*pi*x) + x**2", None, 4, 0, 0, -0.76207654525993),
        ("sin(x)*exp(-x^2/20)", None, 2, None, 0, None),
        ("himmelblau", None, 4, 0, 0, 0.0),
        ("six-hump camel", None, 6, 0, 0, -1.031628453489877),
        ("rosenbrock", None, 1, 0, 0, 0.0),
        ("rastrigin", None, 121, 0, 0, 0.0),
        ("peaks", None, 3, 3, 0, -6.55113333283),
        ("styblinski-tang", 4, 16, 0, 0, 4 * -39.16616570377142),
    ],
)
def test_the_reference_table(
    name: str, dim: int | None, interior: int, boundary: int | None, kinks: int, lowest: float | None
) -> None:
    boxes = {"3x^2": (-2, 2), "cos(": (-2, 2), "sin(": (-2 * math.pi, 2 * math.pi)}
    box = boxes.get(name[:4])
    f = dl.formula(name, domain={"x": box}) if box else landscape(name, dim)
    s = dl.survey(f, starts=10_000)
    is_sound(s)
    assert count(s, "interior") == interior
    assert boundary is None or count(s, "boundary") == boundary
    assert count(s, "kink") == kinks
    assert count(s, "flat") == 0
    if lowest is not None:
        assert s.best is not None
        assert s.best.value == pytest.approx(lowest, rel=1e-10, abs=1e-12)


ACKLEY = "-20*exp(-0.2*sqrt((x^2+y^2)/2)) - exp((cos(2*pi*x)+cos(2*pi*y))/2) + 20 + e"


def test_ackley_has_24_smooth_minima_and_the_kink() -> None:
    s = dl.survey(dl.formula(ACKLEY, domain=[(-2, 2), (-2, 2)]), starts=5000)
    is_sound(s)
    assert count(s, "interior") == 24
    assert count(s, "kink") == 1
    assert s.minima[0].kind == "kink"
    np.testing.assert_allclose(s.minima[0].point, 0, atol=1e-9)
    assert s.minima[0].value == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
def test_shubert_has_722_interior_minima_and_39_on_the_boundary() -> None:
    s = dl.survey(landscape("shubert"), starts=100_000)
    is_sound(s)
    assert count(s, "interior") == 722
    assert count(s, "boundary") == 39
    assert s.best is not None
    assert s.best.value == pytest.approx(-186.730908831, abs=1e-8)
    assert len(s.best_ones) == 18


@pytest.mark.slow
def test_rastrigin_in_three_dimensions_has_1331_minima() -> None:
    s = dl.survey(landscape("rastrigin", 3), starts=50_000)
    is_sound(s)
    assert count(s, "interior") == 1331
    assert s.best is not None
    assert s.best.value == pytest.approx(0, abs=1e-10)


# Failures are counted, never dropped


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("log(x)", (-1, 1)),
        ("sqrt(x) + (x-1)^2", (-1, 3)),
        ("cos(2*pi*x) + x^2", (-2, 2)),
        ("x^3", (-1, 1)),
        ("1/x", (-1, 1)),
        ("3 + 0*x", (-1, 1)),
    ],
)
@pytest.mark.parametrize("bounds", ["clip", "free", "stop"])
def test_shares_and_failures_sum_to_one(text: str, box: Any, bounds: str) -> None:
    s = dl.survey(dl.formula(text, domain={"x": box}, variables=["x"]), starts=500, bounds=bounds, steps=300)
    is_sound(s) if bounds == "clip" else None
    assert sum(s.outcomes.values()) == 500
    assert all(isinstance(k, str) and isinstance(v, int) for k, v in s.outcomes.items())
    assert sum(m.share for m in s.minima) + float((s.assignment < 0).mean()) == pytest.approx(1)
    names, counts = np.unique(s.end_outcomes, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == dict(s.outcomes)
    assert s.sentence.endswith(".")


def test_a_landscape_without_minima_in_the_box_has_one_on_its_boundary_or_none() -> None:
    s = dl.survey(dl.formula("x + y", domain=[(0, 1), (0, 1)]), starts=200)
    is_sound(s)
    assert [m.kind for m in s.minima] == ["boundary"]
    np.testing.assert_array_equal(s.minima[0].point, [0, 0])
    free = dl.survey(dl.formula("x + y", domain=[(0, 1), (0, 1)]), starts=200, bounds="free")
    assert free.minima == ()
    assert free.best is None
    assert free.restarts_for(0.95) is None
    assert free.unseen == 0
    assert "None of 200 starts" in free.sentence


def test_the_boundary_minima_of_a_saddle_are_its_two_sides() -> None:
    s = dl.survey(dl.formula("x^2 - y^2", domain=[(-1, 1), (-2, 1)]), starts=500)
    is_sound(s)
    assert [m.kind for m in s.minima] == ["boundary", "boundary"]
    np.testing.assert_allclose([m.point for m in s.minima], [[0, -2], [0, 1]], atol=1e-8)


def test_a_ring_of_minima_is_one_flat_minimum() -> None:
    s = dl.survey(dl.formula("(x^2 + y^2 - 1)^2", domain=[(-2, 2), (-2, 2)]), starts=3000)
    is_sound(s)
    assert [m.kind for m in s.minima] == ["flat"]
    assert s.minima[0].hits == 3000
    assert s.minima[0].value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("text", ["x^4", "x^6", "(x-1)^4", "x^4 - 4x^3 + 6x^2 - 4x + 1"])
def test_a_degenerate_minimum_is_one_flat_minimum(text: str) -> None:
    s = dl.survey(dl.formula(text, domain={"x": (-2, 3)}), starts=500)
    assert [m.kind for m in s.minima] == ["flat"]
    assert s.minima[0].hits >= 490


def test_a_monkey_saddle_is_no_flat_minimum() -> None:
    s = dl.survey(dl.formula("x^3 - 3*x*y^2", domain=[(-1, 1), (-1, 1)]), starts=[[0.0, 0.0], [0.5, 0.0]])
    assert s.assignment[0] == -1
    cubic = dl.survey(dl.formula("x^3", domain={"x": (-1, 1)}), starts=[[0.0]])
    assert cubic.minima == ()


def test_the_absolute_value_is_one_kink() -> None:
    s = dl.survey(dl.formula("abs(x)", domain={"x": (-2, 3)}), starts=1000)
    is_sound(s)
    assert [(m.kind, m.hits) for m in s.minima] == [("kink", 1000)]
    assert abs(s.minima[0].point[0]) < 1e-9


def test_a_ramp_is_flat_or_a_plateau_but_one_thing() -> None:
    s = dl.survey(dl.formula("relu(x)", domain={"x": (-2, 2)}), starts=400)
    is_sound(s)
    assert sum(s.outcomes.values()) == 400


# Statistics


@pytest.mark.parametrize(("hits", "starts"), [(0, 10), (1, 1), (3, 10), (500, 1000), (999, 1000), (1, 10**6)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_interval_is_wilsons(hits: int, starts: int, confidence: float) -> None:
    expected = stats.binomtest(hits, starts).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose(
        wilson(hits, starts, confidence), (expected.low, expected.high), rtol=1e-7, atol=1e-12
    )


def test_the_interval_covers_at_about_its_confidence() -> None:
    draws = np.random.default_rng(0).binomial(200, 0.1, 4000)
    covered = np.mean([low <= 0.1 <= high for low, high in (wilson(int(d), 200) for d in draws)])
    assert 0.93 < covered < 0.975


@pytest.mark.parametrize("share", [0.001, 0.1, 0.487, 0.5, 0.75, 0.95, 0.999])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_restarts_are_the_fewest_that_suffice(share: float, confidence: float) -> None:
    n = restarts_needed(share, confidence)
    assert n is not None
    assert 1 - (1 - share) ** n >= confidence * (1 - 1e-12)
    assert n == 1 or 1 - (1 - share) ** (n - 1) < confidence


def test_restarts_by_simulation() -> None:
    s = dl.survey(dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)}), starts=20_000)
    n = s.restarts_for(0.95)
    assert n is not None
    best = np.isin(s.assignment, s.best_ones)
    groups = best[: len(best) // n * n].reshape(-1, n).any(axis=1)
    assert groups.mean() > 0.94
    fewer = best[: len(best) // (n - 1) * (n - 1)].reshape(-1, n - 1).any(axis=1)
    assert fewer.mean() < 0.96


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 1.5, math.nan])
def test_a_confidence_outside_its_range_is_refused(confidence: float) -> None:
    s = dl.survey(dl.formula("x^2"), starts=10)
    with pytest.raises(InputError, match="between 0 and 1"):
        s.restarts_for(confidence)


def test_the_unseen_share_is_good_and_turings_and_shrinks() -> None:
    assert unseen_share([5, 1, 1, 3], 10) == 0.2
    few, more = (dl.survey(landscape("rastrigin"), starts=n) for n in (60, 2000))
    singles = sum(m.hits == 1 for m in few.minima)
    assert few.unseen == singles / 60
    # The truth: the share of 2000 starts whose minimum the 60 had not met.
    seen = np.array([m.point for m in few.minima])
    new = [m.share for m in more.minima if np.abs(seen - m.point).max(axis=1).min() > 1e-3]
    assert few.unseen == pytest.approx(sum(new), abs=0.2)
    assert more.unseen < 0.02


# Symmetry, units, seeds


def test_the_mirror_pairs_of_the_course() -> None:
    s = dl.survey(dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)}), starts=1000)
    assert s.symmetry == ((0, 1), (2, 3))
    assert s.best_ones == (0, 1)
    assert s.minima[0].point[0] == pytest.approx(-s.minima[1].point[0])
    assert "-0.4758" in s.sentence
    tilted = dl.survey(dl.formula("cos(2*pi*x) + x^2 + x/50", domain={"x": (-2, 2)}), starts=1000)
    assert tilted.symmetry == ()
    assert len(tilted.best_ones) == 1


def test_equal_values_without_a_mirror_are_no_pair() -> None:
    s = dl.survey(landscape("himmelblau"), starts=500)
    assert s.symmetry == ()
    assert len(s.best_ones) == 4


@pytest.mark.parametrize("scale", ["1e6", "1e-6", "1e-30"])
@pytest.mark.parametrize("unit", ["1", "1e6", "1e-6"])
def test_units_change_nothing(scale: str, unit: str) -> None:
    def peaks(scale: str, unit: str) -> dl.Objective:
        x, y, side = f"(x/{unit})", f"(y/{unit})", 3 * float(unit)
        text = (
            f"{scale}*(3*(1-{x})^2*exp(-{x}^2-({y}+1)^2) - 10*({x}/5-{x}^3-{y}^5)*exp(-{x}^2-{y}^2)"
            f" - exp(-({x}+1)^2-{y}^2)/3)"
        )
        return dl.formula(text, domain=[(-side, side), (-side, side)])

    a, b = (dl.survey(f, starts=1000) for f in (peaks("1", "1"), peaks(scale, unit)))
    assert [m.kind for m in a.minima] == [m.kind for m in b.minima]
    assert dict(a.outcomes) == dict(b.outcomes)
    # A start on a watershed may be tipped by rounding.
    assert np.mean(a.assignment != b.assignment) < 0.01
    for m, n in zip(a.minima, b.minima, strict=True):
        np.testing.assert_allclose(m.point, n.point / float(unit), atol=1e-7)
        assert n.value == pytest.approx(m.value * float(scale), rel=1e-7)


def test_the_same_seed_gives_the_same_bits_and_more_starts_begin_alike() -> None:
    f = landscape("peaks")
    a, b, more = (dl.survey(f, starts=n, seed=3) for n in (300, 300, 3000))
    np.testing.assert_array_equal(a.ends, b.ends)
    np.testing.assert_array_equal(a.start_points, more.start_points[:300])
    np.testing.assert_array_equal(a.ends, more.ends[:300])
    assert not np.array_equal(dl.survey(f, starts=300, seed=4).start_points, a.start_points)


def test_starts_may_be_given() -> None:
    s = dl.survey(dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)}), starts=[[0.0], [0.3], [-1.4]])
    assert s.starts_count == 3
    assert s.outcomes == {"minimum": 2, "maximum": 1}
    assert s.assignment[0] == -1


def test_permuting_the_starts_permutes_the_assignment() -> None:
    f = landscape("himmelblau")
    a = dl.survey(f, starts=200, seed=1)
    order = np.random.default_rng(0).permutation(200)
    b = dl.survey(f, starts=a.start_points[order])
    np.testing.assert_array_equal(a.assignment[order], b.assignment)


@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam"])
def test_other_optimizers_find_the_same_minima(optimizer: str) -> None:
    rate: Any = "auto" if optimizer != "adam" else "cosine:0.1"
    s = dl.survey(landscape("himmelblau"), starts=300, optimizer=optimizer, learning_rate=rate, steps=3000)
    is_sound(s)
    assert count(s, "interior") == 4


@pytest.mark.parametrize("starts", [0, -1, 1.5, "many", None, [], [[1.0, 2.0, 3.0]], [np.nan, 0]])
def test_unusable_starts_are_clear_errors(starts: Any) -> None:
    with pytest.raises(InputError):
        dl.survey(landscape("peaks"), starts=starts)


def test_only_objectives_are_surveyed() -> None:
    with pytest.raises(InputError, match="objective"):
        dl.survey("x^2")  # type: ignore[arg-type]
