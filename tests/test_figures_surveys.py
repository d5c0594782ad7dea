"""Figures of surveys: their drawing data first, and that every kind draws."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from descentlab import figures
from descentlab.errors import InputError
from descentlab.figures import ends, results
from descentlab.landscapes import landscape
from descentlab.objective import formula
from descentlab.survey import Survey, survey

WAVES = formula("cos(2*pi*x) + x^2", {"x": (-2, 2)})


@functools.cache
def surveyed(name: str) -> Survey:
    """Return one of a few surveys that are drawn again and again."""
    if name == "waves":
        return survey(WAVES, 400)
    if name == "styblinski":
        return survey(landscape("styblinski-tang", 4), 300)
    if name == "failing":  # some starts diverge, some cycle, some run out of steps
        return survey(landscape("himmelblau"), 400, learning_rate=0.021, bounds="free", steps=60)
    if name == "nothing":
        return survey(formula("x + 0*y"), 60, bounds="free", steps=50)
    return survey(landscape("peaks"), 400)


def million(found: Survey, levels: int) -> Survey:
    """Return the survey with most of a million starts ended at `levels` different values and no minimum."""
    rng = np.random.default_rng(0)
    values = np.sort(rng.random(levels)) * 50
    rows = np.arange(levels)
    return replace(
        found,
        outcomes={**found.outcomes, "out_of_steps": 1_000_000 - found.starts_count},
        starts_count=1_000_000,
        minima=tuple(replace(m, share=m.hits / 1_000_000) for m in found.minima),
        values=values,
        assignment=np.full(levels, -1),
        end_outcomes=np.full(levels, "out_of_steps"),
        taken=rows,
        start_points=np.zeros((levels, found.objective.dim)),
    )


# The waterfall


def test_the_waterfall_has_every_start_at_the_value_it_ended_at() -> None:
    for name in ("waves", "failing", "peaks", "styblinski"):
        s = surveyed(name)
        data = ends.waterfall(s)
        assert (np.diff(data.values) >= 0).all()
        assert (np.diff(data.edges) > 0).all()
        assert data.edges[-1] + data.lost == pytest.approx(1.0)
        gone = sum(n for outcome, n in s.elsewhere.items() if outcome in ends.GONE)
        assert data.lost == pytest.approx(gone / s.starts_count)
        # The share of starts that ended no higher than v, counted start by start.
        ended = np.sort(s.values[np.isfinite(s.values) & ~np.isin(s.end_outcomes, ends.GONE)])
        for v in np.quantile(ended, (0.1, 0.5, 0.9)):
            level = np.searchsorted(data.values, v + 1e-6, side="right")
            assert data.edges[level] == pytest.approx(np.mean(s.values <= v + 1e-6), abs=1e-9)


def test_plateaus_are_the_minima_equal_ones_together() -> None:
    data = ends.waterfall(surveyed("waves"))
    shares = [m.share for m in surveyed("waves").minima]
    assert [p[3] for p in data.plateaus] == [2, 2]
    assert [p[2] for p in data.plateaus] == pytest.approx([sum(shares[:2]), sum(shares[2:])])


def test_a_million_starts_make_a_small_waterfall_of_the_same_shape() -> None:
    s = million(surveyed("peaks"), 200_000)
    data = ends.waterfall(s, most=500)
    assert len(data.values) <= 501
    assert data.edges[-1] == pytest.approx(1.0)
    # The values are uniform on [0, 50], above all minima but those near 0.
    middle = np.searchsorted(data.edges, 0.5) - 1
    assert data.values[middle] == pytest.approx(25.0, abs=0.3)


def test_heights_are_logarithms_where_they_span_decades() -> None:
    plain = ends.heights_of(np.array([1.0, 2.0, 3.0]), 1.0, 1e-9)
    assert not plain.log
    assert plain(np.array([2.0])).tolist() == [2.0]
    steep = ends.heights_of(np.array([1.0, 1.01, 1e5]), 1.0, 1e-9)
    assert steep.log
    drawn = steep(np.array([1.0, 1.01, 1e5]))
    assert drawn == pytest.approx([steep.floor, -2.0, 5.0], abs=1e-4)
    assert steep.floor < -2.0
    # Rounding above the lowest is no height.
    assert not ends.heights_of(np.array([1.0, 1.0 + 1e-15, 3.0]), 1.0, 1e-9).log


# Restarts, steps, coordinates, fates


def test_the_best_of_n_by_hand() -> None:
    s = surveyed("waves")
    data = ends.best_of(s)
    low, high, share = s.minima[0].value, s.minima[-1].value, s.best_share
    missed = (1 - share) ** data.restarts
    np.testing.assert_allclose(data.expected, low + (high - low) * missed, rtol=1e-9)
    np.testing.assert_allclose(data.probability, 1 - missed, rtol=1e-9)
    np.testing.assert_allclose(data.high, np.where(missed <= 0.05, low, high), rtol=1e-9)
    assert data.restarts[0] == 1
    assert data.restarts[-1] >= s.restarts_for(0.95)  # type: ignore[operator]


def test_the_best_of_more_restarts_than_starts_is_not_drawn() -> None:
    s = survey(landscape("rastrigin", 4), 100)
    assert (s.restarts_for(0.99) or 0) > 100
    assert ends.best_of(s).restarts[-1] == 100


def test_the_histogram_of_steps_counts_every_start() -> None:
    for name in ("waves", "failing", "styblinski", "nothing"):
        s = surveyed(name)
        data = ends.step_counts(s)
        assert data.shares.sum() == pytest.approx(1.0)
        assert len(set(data.labels)) == len(data.labels)
        groups = dict(zip(data.labels, data.shares.sum(axis=1), strict=True))
        for outcome, count in s.elsewhere.items():
            assert groups[outcome.replace("_", " ")] == pytest.approx(count / s.starts_count)
    # Of sixteen minima the equal ones are one group: 1, 4, 6, 4, 1.
    s = surveyed("styblinski")
    labels = ends.step_counts(s).labels
    assert [label.partition(" (")[2] for label in labels] == ["", "4 minima)", "6 minima)", "4 minima)", ""]


def test_steps_lie_in_their_bins() -> None:
    s = surveyed("failing")
    data = ends.step_counts(s)
    cap = data.shares[:, -1].sum()
    assert cap == pytest.approx(np.mean(s.taken > data.edges[-2]))
    assert data.edges[-2] < 60 < data.edges[-1]


def test_parallel_coordinates_are_places_between_the_bounds() -> None:
    s = surveyed("styblinski")
    data = ends.parallel(s)
    assert data.places.shape == (16, 4)
    np.testing.assert_allclose(data.places[-1], (s.minima[0].point + 5) / 10)
    assert (np.diff(data.values) <= 0).all()  # the lowest is drawn last, on top
    many = replace(s, minima=tuple(replace(s.minima[i % 16], value=float(i)) for i in range(1000)))
    data = ends.parallel(many)
    assert len(data.values) == ends.MOST_LINES
    assert data.left_out == 1000 - ends.MOST_LINES
    assert data.values[-1] == 0.0  # the lowest is always among them
    wide = survey(landscape("sphere", 30), 5)
    assert len(ends.parallel(wide).axes) == ends.MOST_AXES


def test_rare_outcomes_are_among_the_starts_drawn() -> None:
    s = surveyed("peaks")
    many = replace(
        s,
        start_points=np.zeros((500_000, 2)),
        end_outcomes=np.where(np.arange(500_000) == 123_457, "saddle", "minimum"),
        outcomes={"minimum": 499_999, "saddle": 1},
        starts_count=500_000,
    )
    data = ends.fates(many)
    assert "saddle" in data.outcomes
    assert len(data.points) < 6000
    assert sum(data.shares.values()) == pytest.approx(1.0)


def test_bars_of_a_large_survey_count_all_starts() -> None:
    data = results.survey_data(million(surveyed("peaks"), 1000))
    assert data.starts == 1_000_000
    assert sum(bar.share for bar in data.bars) == pytest.approx(1.0)


# Drawing


@pytest.mark.parametrize("name", ["waves", "peaks", "styblinski", "failing", "nothing"])
def test_every_kind_draws(name: str, tmp_path: Path) -> None:
    s = surveyed(name)
    dim = s.objective.dim
    for kind in figures.SURVEY_KINDS:
        if kind == ("outcomes" if dim > 2 else "parallel"):
            with pytest.raises(InputError):
                figures.draw_survey(s, kind)
            continue
        figure = figures.draw_survey(s, kind, theme="dark" if name in ("waves", "styblinski") else "light")
        for part in (f"{s.starts_count:,} starts", "gd", "seed 0"):
            assert part in str(figure.get_label())
        path = figures.save(figure, tmp_path / f"{kind}.png")
        assert path.stat().st_size > 3000


def test_a_waterfall_of_a_million_starts_is_a_small_file(tmp_path: Path) -> None:
    s = million(surveyed("peaks"), 200_000)
    path = figures.save(figures.draw_survey(s, "waterfall"), tmp_path / "w.svg")
    assert path.stat().st_size < 500_000


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(InputError, match="Did you mean 'waterfall'"):
        figures.draw_survey(surveyed("waves"), "waterfal")


def test_the_result_draws_itself() -> None:
    assert "where the starts ended" in str(surveyed("waves").plot("waterfall").axes[0].get_title(loc="left"))
