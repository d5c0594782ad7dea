"""Surveys against an adversary: one test for every false statement that one once made."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import descentlab as dl

survey_module = importlib.import_module("descentlab.survey.survey")


def over(text: str, *box: tuple[float, float]) -> dl.Objective:
    names = list("xyzw"[: len(box)])
    return dl.formula(text, domain=dict(zip(names, box, strict=True)), variables=names)


def kinds(s: dl.Survey) -> list[str]:
    return sorted(m.kind for m in s.minima)


UNIT, PLANE = (-1.0, 1.0), ((-1.0, 1.0), (-1.0, 1.0))


# Sets of minima


@pytest.mark.parametrize("size", [64, 200, 1000])
@pytest.mark.parametrize(
    ("text", "kind"), [("(x^2+y^2-1)^2", "flat"), ("x^2+0*y", "flat"), ("abs(x-y)", "kink")]
)
def test_a_set_is_one_minimum_however_the_starts_are_cut(
    text: str, kind: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A last chunk of three starts used to find "new" minima far from the one point kept of the set.
    monkeypatch.setattr(survey_module, "CHUNK", size)
    s = dl.survey(over(text, (-2, 2), (-2, 2)), starts=1003 if kind == "flat" else 203)
    assert kinds(s) == [kind]
    assert s.minima[0].hits == int((s.assignment == 0).sum())


def test_a_flat_set_of_several_dimensions_is_one_minimum() -> None:
    s = dl.survey(over("(x+y+z+w-1)^2", *[UNIT] * 4), starts=500)
    assert kinds(s) == ["flat"]
    assert s.minima[0].hits == 500
    two = dl.survey(over("(x^2-1)^2+0*y+0*z", *[(-2, 2)] * 3), starts=500)
    assert kinds(two) == ["flat", "flat"]


def test_a_valley_of_kinks_is_one_minimum_and_nothing_is_unseen() -> None:
    s = dl.survey(over("abs(x-y)", *PLANE), starts=400)
    assert kinds(s) == ["kink"]
    assert s.unseen == 0
    assert kinds(dl.survey(over("abs(x-y)+x^2", *PLANE), starts=200)) == ["kink"]


def test_a_kink_with_infinite_slopes_is_one_minimum() -> None:
    # √|x| is 1e-6 high at 1e-12 from its kink: two values, one place.
    assert kinds(dl.survey(over("sqrt(abs(x))", UNIT), starts=500)) == ["kink"]


@pytest.mark.parametrize(
    ("text", "box", "count", "kind"),
    [
        ("abs(sin(1000*x))", (-0.1, 0.1), 63, "kink"),
        ("sin(20*x)^4", (-1, 1), 13, "flat"),
        ("sin(100*x)^4", (-2, 2), 127, "flat"),  # closer than points of one flat set may be
        ("(x^2-1)^4", (-2, 2), 2, "flat"),
    ],
)
def test_equal_minima_apart_are_not_joined(text: str, box: Any, count: int, kind: str) -> None:
    assert kinds(dl.survey(over(text, box), starts=1000)).count(kind) == count


def test_a_flat_set_that_meets_the_boundary_has_no_minima_there() -> None:
    # The slope inward is zero there: rounding made it look positive.
    assert set(kinds(dl.survey(over("(x*y-0.25)^2", *PLANE), starts=2000))) == {"flat"}
    salomon = dl.survey(dl.landscape("salomon"), starts=2000)
    assert "boundary" not in kinds(salomon)


@pytest.mark.parametrize("text", ["x+0*y", "max(x,y)", "x^3+0*y"])
def test_a_minimum_that_is_flat_along_the_boundary_counts(text: str) -> None:
    s = dl.survey(over(text, *PLANE), starts=300)
    assert kinds(s) == ["flat"]
    assert s.minima[0].value == -1
    assert s.minima[0].point[0] == -1
    assert sum(s.elsewhere.values()) + s.minima[0].hits == 300


# No minima


@pytest.mark.parametrize("name", ["relu", "max(x^2-0.25,0)", "exp(-1/x^2)", "step(x)"])
def test_the_rim_of_a_plateau_is_no_minimum(name: str) -> None:
    f = dl.landscape(name) if name == "relu" else over(name, UNIT)
    s = dl.survey(f, starts=2000, steps=1000)
    assert s.minima == ()
    assert s.outcomes["plateau"] > 0


def test_a_saddle_of_height_1e_minus_100_is_no_flat_minimum() -> None:
    assert "flat" not in kinds(dl.survey(dl.landscape("easom"), starts=4000))


# Sentences


def test_one_start_tells_little() -> None:
    said = dl.survey(over("x^2", UNIT), starts=1).sentence
    assert said.endswith("One start cannot tell whether local minima are a problem here.")
    lost = dl.survey(over("log(x)", (-2, -1)), starts=1).sentence
    assert lost == (
        "The one start reached no minimum: it ended where f is not finite. To change that, take another box."
    )


def test_starts_that_reach_nothing_are_said_in_sentences() -> None:
    said = dl.survey(over("log(x)", UNIT), starts=1000).sentence
    assert said.startswith("None of 1,000 starts reached a minimum: ")
    assert " ended outside the set where f is defined, " in said
    assert "they ended" not in said


def test_few_that_settle_do_not_make_local_minima_no_problem() -> None:
    s = dl.survey(over("x^8", (-1, 2)), starts=500, steps=2000)
    assert 0 < s.best_share < 0.5
    assert s.seriousness.startswith("Whether local minima are a problem here cannot be told: only ")


@pytest.mark.parametrize(
    ("text", "box"), [("(x+1)^2-3*step(x)", (-2, 2)), ("1/x", (-1, 1)), ("1/(x-0.1)+x^2", (-1, 1))]
)
def test_a_start_lower_than_every_minimum_is_told(text: str, box: Any) -> None:
    s = dl.survey(over(text, box), starts=1000)
    assert s.best is not None
    assert s.lower is not None
    value, point = s.lower
    assert value == s.objective.value(point) < s.best.value
    assert s.seriousness.startswith("The lowest point was missed: f is ")
    assert "no problem" not in s.sentence


@pytest.mark.parametrize("name", ["himmelblau", "absolute-value", "sqrt(abs(x))", "quartic"])
def test_no_start_is_lower_than_the_lowest_minimum_where_it_was_found(name: str) -> None:
    f = over(name, UNIT) if "(" in name else dl.landscape(name)
    assert dl.survey(f, starts=500).lower is None
    # A start outside the box says nothing about the box.
    outside = dl.survey(over("x^3", (-1, 1)), starts=[[-5.0], [-0.5]])
    assert outside.lower is None


def test_a_tolerance_that_stops_too_early_is_named() -> None:
    s = dl.survey(over("x^4-x", (-2, 2)), starts=[[-1.5], [1.5]], tolerance=1e3)
    assert s.sentence == (
        "None of 2 starts reached a minimum: they ended short of a minimum (by the tolerance). "
        "To change that, take a smaller tolerance."
    )


def test_unseen_minima_are_estimated_from_random_starts_only() -> None:
    f = over("cos(2*pi*x) + x^2", (-2, 2))
    assert "not seen yet" in dl.survey(f, starts=20).sentence
    assert "not seen yet" not in dl.survey(f, starts=np.linspace(-2, 2, 20)).sentence
    assert "not seen yet" not in dl.survey(f, starts=20, design="sobol").sentence


def test_a_count_given_as_a_float_is_the_count_asked_for() -> None:
    assert dl.survey(over("x^2", UNIT), starts=1e2).starts_asked == 100


# Steps


def test_median_steps_are_those_of_the_starts() -> None:
    s = dl.survey(dl.landscape("peaks"), starts=3000)
    for i, m in enumerate(s.minima):
        taken = np.sort(s.taken[s.assignment == i])
        middle = float(taken[(len(taken) - 1) // 2])
        assert m.steps == (middle if middle < 128 else pytest.approx(middle, rel=0.04))


def test_many_minima_take_little_memory_for_their_steps() -> None:
    from descentlab.survey.chunk import Chunk, Places
    from descentlab.survey.minima import Catalogue

    n = 20_000
    f = over("x^2", UNIT)
    points = np.linspace(-1, 1, n)[:, None]
    none, which = np.empty((0, 1)), np.arange(n, dtype=np.int32)
    places = Places(points, np.arange(n, dtype=float), np.zeros(n, np.int8))
    c = Catalogue(f, 1.0)
    c.add(Chunk(0, none, none, none, none, np.zeros(n, np.int8), np.full(n, 7), which, places))
    assert sum(a.nbytes for a in c._steps) <= 16 * n  # a histogram for each took 2 KB
    minima, _ = c.minima()
    assert {m.steps for m in minima} == {7.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("abs(x) + y", [[0, -1]]),
        ("abs(x) - y^2", [[0, -1], [0, 1]]),
        ("abs(x) + abs(y) + z", [[0, 0, -1]]),
        ("-abs(x) + y", [[-1, -1], [1, -1]]),
    ],
)
def test_a_kink_on_a_face_of_the_box_is_a_boundary_minimum(text: str, places: list[list[float]]) -> None:
    names = ["x", "y", "z"][: len(places[0])]
    s = dl.survey(dl.formula(text, domain=[(-1, 1)] * len(names), variables=names), starts=300)
    assert s.outcomes == {"at_bound": 300}
    assert [m.kind for m in s.minima] == ["boundary"] * len(places)
    found = sorted(m.point.round(9).tolist() for m in s.minima)
    np.testing.assert_allclose(found, places, atol=1e-9)
    assert sum(m.hits for m in s.minima) == 300


def test_a_ridge_that_ends_on_a_face_is_no_minimum() -> None:
    """From x = 0 exactly: held at y = −1, and at a kink that f falls from on both sides."""
    f = dl.formula("-abs(x) + y", domain=[(-1, 1), (-1, 1)])
    run = dl.descend(f, [0.0, 0.0], bounds="clip", learning_rate=0.01, steps=500)
    assert run.judgement.kinds[0] != "minimum"
