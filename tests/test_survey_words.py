"""The sentence of a survey, which says whether the local-minima problem is serious."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from descentlab.objective import formula
from descentlab.survey import Survey, survey
from descentlab.survey.seriousness import ALMOST, percent


@functools.cache
def base() -> Survey:
    """Return a survey of f = x⁴ − x², whose pieces the tests replace."""
    return survey(formula("x^4 - x^2", {"x": (-2, 2)}), 100)


def made(values: list[float], hits: list[int], lost: dict[str, int] | None = None, **more: Any) -> Survey:
    """Return a survey that found minima of these values this often."""
    lost = lost or {}
    starts = sum(hits) + sum(lost.values())
    minima = tuple(
        replace(base().minima[0], point=np.array([0.1 * i]), value=v, hits=h, share=h / starts, id=i)
        for i, (v, h) in enumerate(zip(values, hits, strict=True))
    )
    outcomes = {"minimum": sum(hits), **lost}
    return replace(base(), minima=minima, outcomes=outcomes, starts_count=starts, value_scale=1.0, **more)


def test_one_minimum_is_no_problem() -> None:
    s = made([-1.0], [1000])
    assert s.sentence == (
        "1 minimum was found from 1,000 starts; its value is -1, at x = 0. "
        "Local minima are no problem here: every start reaches it."
    )


def test_equal_copies_are_no_problem() -> None:
    s = made([-1.0, -1.0], [480, 520])
    assert "both have the value -1, at x = 0 and 0.1." in s.sentence
    assert s.seriousness == "Local minima are no problem here: every start reaches one of these."
    assert s.restarts == {"0.5": 1, "0.95": 1, "0.99": 1}


def test_almost_all_reach_the_best() -> None:
    assert made([-1.0, 0.0], [980, 20]).seriousness == (
        "Local minima are no problem here: 98 % of starts reach it."
    )


def test_restarts_solve_a_middling_problem() -> None:
    # 1 − 0.5⁵ = 0.969 and 1 − 0.5⁴ = 0.9375
    assert made([-1.0, 0.0], [500, 500]).seriousness == (
        "Local minima are a problem here that restarts solve: one start misses it 50 % of the time; "
        "5 restarts reach it with 95 % probability."
    )


def test_a_rare_best_is_serious() -> None:
    # log(0.05) / log(0.998) = 1496.4
    assert made([-1.0, 0.0], [20, 9980]).seriousness == (
        "Local minima are a serious problem here: only 0.2 % of starts reach it; "
        "1,497 restarts reach it with 95 % probability."
    )
    assert "just one start of 10,000 reached it" in made([-1.0, 0.0], [1, 9999]).seriousness


def test_minima_almost_as_low_matter_little() -> None:
    near = made([-1.0, -1.0 + ALMOST / 2, 0.0], [20, 970, 10])
    assert near.seriousness == (
        "Local minima matter little here: 2 % of starts reach it, but 99 % of those that settle end almost as low."
    )
    assert "problem" in made([-1.0, -1.0 + ALMOST * 2, 0.0], [20, 970, 10]).seriousness


def test_failures_are_told_apart_from_local_minima() -> None:
    s = made([-1.0], [700], {"out_of_steps": 200, "saddle": 100})
    assert s.seriousness == "Local minima are no problem here: every start that settles reaches it."
    assert s.sentence.endswith(
        "30 % of starts reached no minimum: 200 still moving when the steps ran out, 100 on a saddle point. "
        "To change that, give more steps."
    )
    two = made([-1.0, 0.0], [690, 10], {"diverged": 300})
    assert "98.6 % of the starts that settle reach it" in two.seriousness
    # A handful of failures is not worth a sentence.
    assert "reached no minimum" not in made([-1.0], [999], {"saddle": 1}).sentence
    nothing = made([], [], {"cycle": 90, "diverged": 10})
    assert nothing.seriousness == ""
    assert nothing.sentence.startswith(
        "None of 100 starts reached a minimum: 90 ended in a cycle, 10 diverging."
    )


def test_what_is_not_seen_is_said_unless_it_is_little() -> None:
    assert "not seen" not in made([-1.0, 0.0], [500, 500]).sentence
    few = made([-1.0], [30]).sentence
    assert "of starts may lead to minima not seen yet: take more to know." in few
    many = made([-1.0, *range(30)], [970, *[1] * 30])  # 30 minima met once, in 1,000 starts
    assert "About 3 % of starts lead to minima not seen yet (" in many.sentence
    assert many.unseen == 0.03
    low, high = many.unseen_interval
    assert 0 < low < 0.03 < high < 0.06


def test_a_survey_that_stopped_says_why_and_how_to_go_on() -> None:
    call = base().call
    asked = replace(call, settings={**call.settings, "starts": 5000, "store": None})
    kept = replace(asked, settings={**asked.settings, "store": "here"})
    s = made([-1.0], [1000], stopped="interrupted", call=asked)
    assert s.starts_asked == 5000
    assert s.sentence.endswith(
        "It was interrupted at 1,000 of 5,000 starts; with a store, the same command would go on from there."
    )
    s = made([-1.0], [1000], stopped="interrupted", call=kept)
    assert s.sentence.endswith("the same command goes on from there.")
    s = made([-1.0], [1000], stopped="until unseen<0.01", call=kept)
    assert s.sentence.endswith("It stopped at 1,000 of 5,000 starts, because unseen<0.01 holds.")


def test_outcomes_elsewhere_are_those_without_a_minimum() -> None:
    f = formula("x^4 - 3x^2 + x + sin(5x)")
    s = survey(f, 500, learning_rate=0.035, bounds="free", steps=300)
    names, counts = np.unique(s.end_outcomes[s.assignment < 0], return_counts=True)
    assert dict(s.elsewhere) == dict(zip(names.tolist(), counts.tolist(), strict=True)) != {}
    clipped = survey(formula("x*y", {"x": (-1, 2), "y": (-1, 2)}), 300)
    assert {m.kind for m in clipped.minima} == {"boundary"}
    assert sum(clipped.elsewhere.values()) == int((clipped.assignment < 0).sum())


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.5, "50 %"),
        (0.99996, "99.996 %"),
        (0.959, "95.9 %"),
        (1 - 1e-12, "> 99.999999 %"),
        (1e-9, "less than 0.0001 %"),
    ],
)
def test_shares_are_never_rounded_to_none_or_all(share: float, text: str) -> None:
    assert percent(share) == text
