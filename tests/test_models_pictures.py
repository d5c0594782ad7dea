"""Figures, JSON and reports of ensembles and widenings: their data first, then that everything draws."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descentlab.errors import InputError
from descentlab.models import Ensemble, Widening, drawing, retrain, widen
from descentlab.models.draw_losses import _pushed_apart
from descentlab.models.endings import ENDINGS, Endings
from descentlab.models.pictures import KINDS, draw_ensemble, draw_widening
from descentlab.report.data import as_data
from descentlab.report.models import render, write

TILT = 0.3


def wells(w: Any) -> Any:
    """Two wells a coordinate, tilted: 2ⁿ minima in n dimensions."""
    return ((w**2 - 1) ** 2).sum() + TILT * w.sum()


@functools.cache
def ensemble(runs: int = 60, size: int = 2) -> Ensemble:
    import jax

    def build(key: Any) -> Any:
        return jax.random.normal(key, (size,))

    return retrain(build, wells, runs=runs, optimizer="sgd", learning_rate=0.02, steps=300, seed=3)


@functools.cache
def widening() -> Widening:
    import jax

    def build(width: int) -> Any:
        return lambda key: jax.random.normal(key, (width,))

    return widen(
        build, wells, widths=(1, 2, 3), runs=40, solved=-0.55, optimizer="sgd", learning_rate=0.02, steps=300
    )


def made(final: Any, fallen: Any = 1.0, taken: Any = None, solved: float | None = None) -> Ensemble:
    """Return an ensemble whose runs began `fallen` above these final losses and fell evenly, seen eleven times."""
    final = np.asarray(final, float)
    falling = np.linspace(np.broadcast_to(fallen, final.shape), 0.0, 11, axis=1)
    weights = {"weights": np.arange(2.0 * len(final)).reshape(-1, 2)}
    whole = np.full(len(final), 10) if taken is None else np.asarray(taken)
    return replace(
        ensemble(), recorded=np.arange(11), steps=10, losses=final[:, None] + falling, lengths=1 + falling, taken=whole,
        weights=weights, solved=solved,
    )  # fmt: skip


# Axes of losses


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([0.5, 0.6], (0.5, 0.6, False)),
        ([1e-3, 1.0], (1e-3, 1.0, True)),
        ([-1e-3, 1.0], (-1e-3, 1.0, False)),
        ([1e-30, 1.0], (1e-12, 1.0, True)),  # no more than twelve decades
        ([0.0, 1.0, 10.0], (0.1, 10.0, True)),  # exactly zero: a decade below the others
        ([2.0, np.nan, np.inf], (2.0, 4.0, False)),
        ([0.0, 0.0], (0.0, 1.0, False)),
        ([np.nan], (0.0, 1.0, False)),
    ],
)
def test_an_axis_of_losses_is_logarithmic_where_that_helps(
    losses: list[float], expected: tuple[float, float, bool]
) -> None:
    scale = drawing.scale_of(np.array(losses))
    assert (scale.low, scale.high, scale.log) == pytest.approx(expected)
    assert scale.low < scale.high


def test_what_is_below_a_logarithmic_axis_stands_on_its_foot() -> None:
    scale = drawing.Scale(1e-3, 1.0, True)
    assert scale.clipped(np.array([0.0, 1e-5, 0.5, np.inf])).tolist()[:3] == [1e-3, 1e-3, 0.5]
    assert np.isnan(scale.clipped(np.array([np.inf]))[0])


# Loss curves


def test_many_curves_are_thinned_fairly() -> None:
    """Of 1000 runs each outcome keeps its share of the curves, and no level is lost."""
    final = np.repeat([0.0, 0.125, 0.25], [600, 396, 4])
    taken = np.full(1000, 10)
    final[999], taken[[7, 999]] = 0.25, 4  # two that diverged after four steps, one from a low loss
    e = made(final, taken=taken, solved=0.01)
    data = drawing.curves(e)
    assert len(set(data.rows.tolist())) == len(data.rows) <= drawing.MOST_CURVES + 2
    drawn = {fate: int((data.fates == fate).sum()) for fate in drawing.FATES}
    assert drawn["solved"] == pytest.approx(60, abs=1)
    assert drawn["stuck"] == pytest.approx(40, abs=2)
    assert drawn["diverged"] >= 1
    assert {0.0, 0.125, 0.25} <= {float(loss) for loss in e.final_losses[data.rows]}
    assert [(f.name, f.runs) for f in data.shares] == [("solved", 599), ("stuck", 399), ("diverged", 2)]
    assert sum(f.share for f in data.shares) == pytest.approx(1.0)
    assert all(f.share_interval[0] < f.share < f.share_interval[1] for f in data.shares)
    broken = data.losses[data.fates == "diverged"]
    assert np.isnan(broken[:, 5:]).all()
    assert np.isfinite(broken[:, :5]).all()


def test_few_curves_are_all_drawn_the_lowest_first() -> None:
    data = drawing.curves(made([0.3, 0.1, 0.2]))
    assert data.rows.tolist() == [1, 2, 0]
    assert data.losses[:, -1].tolist() == [0.1, 0.2, 0.3]
    assert data.fates.tolist() == ["solved", "stuck", "stuck"]


def test_levels_are_marked_with_their_shares() -> None:
    e = made(np.repeat([0.0, 0.125, 0.25], [20, 15, 5]))
    marks = drawing.curves(e).marks
    assert [(m.loss, m.runs, m.share, m.fate) for m in marks] == [
        (0.0, 20, 0.5, "solved"), (0.125, 15, 0.375, "stuck"), (0.25, 5, 0.125, "stuck"),
    ]  # fmt: skip
    assert [m.share_interval for m in marks] == [level.share_interval for level in e.levels]


def test_of_many_levels_those_that_most_runs_reach_are_marked() -> None:
    sizes = [2, 9, 3, 8, 4, 7, 5, 6, 1, 10, 2, 12]
    data = drawing.curves(made(np.repeat(np.arange(12.0), sizes), fallen=20.0))
    assert [m.runs for m in data.marks] == [9, 8, 4, 7, 5, 6, 10, 12]
    assert (data.more_levels, data.more_runs) == (4, 2 + 3 + 1 + 2)


def test_a_threshold_says_which_levels_are_solved() -> None:
    marks = drawing.curves(made(np.repeat([0.0, 0.125, 0.25], [20, 15, 5]), solved=0.2)).marks
    assert [m.fate for m in marks] == ["solved", "solved", "stuck"]


def test_wild_beginnings_do_not_flatten_a_linear_axis() -> None:
    """Losses below zero have no logarithm; the one run that began at a million is cut."""
    fallen = np.ones(20)
    fallen[3] = 1e6
    scale = drawing.curves(made(np.linspace(-0.5, 0.5, 20), fallen=fallen)).scale
    assert not scale.log
    assert (scale.low, scale.high) == pytest.approx((-0.5, 1.0), abs=0.1)


def test_loss_quantiles_are_those_of_the_runs() -> None:
    e = made(np.linspace(0.0, 1.0, 101), taken=np.r_[np.full(100, 10), 5])
    found = drawing.loss_quantiles(e)
    assert list(found) == [0.05, 0.25, 0.5, 0.75, 0.95]
    for level, losses in found.items():
        # The q-quantile of k/100, k = 0 … 100, is the first with (k + 1)/101 ≥ q.
        assert losses[-1] == pytest.approx((np.ceil(101 * level) - 1) / 100)
    assert np.isinf(drawing.loss_quantiles(e, (1.0,))[1.0][6:]).all()


@given(st.lists(st.floats(0.0, 1.0), max_size=9), st.floats(0.02, 0.1))
def test_labels_are_pushed_apart_and_stay_in_order(places: list[float], apart: float) -> None:
    places = sorted(places)
    moved = _pushed_apart(places, apart)
    assert len(moved) == len(places)
    assert all(b - a >= apart - 1e-9 for a, b in zip(moved, moved[1:], strict=False))
    assert all(-1e-9 <= y <= 1 + 1e-9 for y in moved)
    if all(b - a >= apart for a, b in zip(places, places[1:], strict=False)):
        assert moved == pytest.approx(places)


# Restarts


def test_restarts_find_what_the_closed_form_says() -> None:
    """One run in four solves it, at loss 0; the others end at 1: n runs leave (3/4)ⁿ."""
    e = made(np.repeat([0.0, 1.0], [25, 75]))
    data = drawing.best_of(e)
    assert data is not None
    left = 0.75**data.n
    np.testing.assert_allclose(data.expected, left, rtol=1e-12)
    np.testing.assert_allclose(data.chance, 1 - left, rtol=1e-12)
    assert data.needed == 11  # 0.75¹¹ = 0.042, 0.75¹⁰ = 0.056
    assert data.needed_interval == e.restarts_interval(0.95)
    assert data.n[0] == 1
    assert 0.75 ** data.n[-1] < 0.01
    high = data.high[np.searchsorted(data.n, [1, 11])]
    assert high.tolist() == [1.0, 0.0]


def test_where_every_run_diverged_nothing_is_expected_of_restarts() -> None:
    assert drawing.best_of(made([1.0, 2.0], taken=[3, 4])) is None


# Endings


def test_curvatures_are_those_of_the_minima() -> None:
    """f″ = 12x² − 4 at the roots of 4x(x² − 1) + 0.3, coordinate by coordinate."""
    e = ensemble()
    data = drawing.ending_points(e)
    assert [f.name for f in data.counts] == list(ENDINGS)
    assert [f.runs for f in data.counts] == [60, 0, 0, 0, 0, 0, 0, 0]
    roots = np.sort(np.roots([4.0, 0.0, -4.0, TILT]))[[0, 2]]
    bent = 12 * roots**2 - 4
    low = e.weights["weights"][np.argsort(e.final_losses, kind="stable")] < 0
    expected = np.where(low, bent[0], bent[1])
    np.testing.assert_allclose(data.ratios, expected.min(1) / expected.max(1), rtol=1e-9)
    assert not data.far.any()


def test_eigenvalues_of_other_places_are_told_apart() -> None:
    e = made([0.1, 0.2, 0.3, 0.4], taken=[10, 10, 10, 2])
    n = np.array
    e.__dict__["endings"] = Endings(
        n(["minimum", "saddle", "stalling", "diverged"]), n([0.1, 0.2, 0.0, np.nan]), np.zeros(4),
        n([1.0, -2.0, 1.0, np.nan]), n([4.0, 1.0, 8.0, np.nan]), n([0.0, 0.05, 3.0, np.nan]), np.ones(4),
    )  # fmt: skip
    data = drawing.ending_points(e)
    assert data.losses.tolist() == [0.1, 0.2, 0.3]  # a run that diverged has no loss and no eigenvalue
    assert data.ratios.tolist() == [0.25, -1.0, 0.125]  # against the larger in size
    assert data.far.tolist() == [False, False, True]
    assert [f.runs for f in data.counts] == [1, 1, 0, 0, 0, 1, 0, 1]


# Solutions


def test_distinct_solutions_are_counted() -> None:
    e = ensemble()
    signs = np.sign(e.weights["weights"])
    _, expected = np.unique(signs, axis=0, return_counts=True)
    data = drawing.solutions(e)
    assert (data.by, data.distinct, data.more) == ("weights", 4, 0)
    assert data.runs.tolist() == sorted(expected.tolist(), reverse=True)
    assert data.solved.sum() == 1
    assert data.losses[data.solved] == pytest.approx(e.levels[0].loss, abs=1e-6)


def test_solutions_that_do_not_fit_are_counted_together() -> None:
    """Every one of 30 runs found another one: further runs would as well."""
    data = drawing.solutions(made(np.linspace(0, 1, 30)))
    assert (data.distinct, data.once, data.unseen) == (30, 30, 1.0)
    assert data.more + len(data.runs) == data.more_runs + int(data.runs.sum()) == 30


# Widths


def test_the_cost_of_a_solution_is_restarts_times_work() -> None:
    w = widening()
    data = drawing.widths_of(w)
    for i, e in enumerate(w.ensembles):
        solved = int(np.sum(e.final_losses <= -0.55))
        assert data.shares[i] == solved / 40
        if not solved:
            assert data.restarts[i] is None
            assert np.isinf(data.costs[i])
            continue
        needed = int(np.ceil(np.log(0.05) / np.log(1 - solved / 40)))
        assert data.costs[i] == needed * w.widths[i] * 300
        assert data.cost_low[i] <= data.costs[i] <= data.cost_high[i]
    # A single coordinate cannot fall below −0.31: only the width can help.
    assert data.restarts[0] is None
    assert np.isinf(data.cost_high[0])
    assert np.isfinite(data.cost_low[0])
    assert data.best == int(np.argmin(data.costs)) > 0


def test_where_no_width_works_none_is_best() -> None:
    w = widening()
    hopeless = replace(w, ensembles=tuple(replace(e, solved=-99.0) for e in w.ensembles))
    assert drawing.widths_of(hopeless).best is None
    draw_widening(hopeless)


# Figures


def label_of(figure: Any) -> str:
    return str(figure.get_label())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_with_a_caption_that_says_how(kind: str, theme: str) -> None:
    e = ensemble()
    figure = draw_ensemble(e, kind, theme)
    figure.draw_without_rendering()
    caption = label_of(figure)
    assert e.sentence.replace("-", "−") in caption.replace("-", "−")
    for said in ("2 weights", "60 runs", "sgd", "learning rate 0.02", "300 steps", "seed 3"):
        assert said in caption, said


def test_solved_and_stuck_differ_in_colour_line_and_mark() -> None:
    from matplotlib.collections import LineCollection, PathCollection

    axes = draw_ensemble(ensemble(), "losses").axes[0]
    lines = [c for c in axes.collections if isinstance(c, LineCollection)]
    marks = [c for c in axes.collections if isinstance(c, PathCollection)]
    assert len(lines) == len(marks) == 2
    assert lines[0].get_color().tolist() != lines[1].get_color().tolist()
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    shapes = [m.get_paths()[0].vertices for m in marks]
    assert shapes[0].shape != shapes[1].shape or not np.allclose(*shapes)


def test_no_two_labels_of_levels_overlap() -> None:
    from matplotlib.text import Text

    figure = draw_ensemble(made(np.repeat([0.1, 0.112, 0.124, 0.136, 0.148], 8)), "losses")
    figure.draw_without_rendering()
    # Of the text alone: an annotation's own extent has its line in it.
    boxes = [Text.get_window_extent(text) for text in figure.axes[1].texts]
    assert len(boxes) == 5
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[i + 1 :])


@pytest.mark.parametrize("kind", ["losses", "best_of", "solutions"])
@pytest.mark.parametrize(
    "e",
    [
        lambda: made([1.0, 2.0], taken=[3, 4]),
        lambda: made([1.0]),
        lambda: made([0.0, 0.0]),
        lambda: made([np.nan, 1e300, 1.0], taken=[0, 10, 10]),
        lambda: made(np.linspace(0.0, 1.0, 500)),
    ],
    ids=["all diverged", "one", "zero", "extreme", "many solutions"],
)
def test_odd_ensembles_draw_too(kind: str, e: Any) -> None:
    figure = draw_ensemble(e(), kind)
    figure.draw_without_rendering()
    assert "seed 3" in label_of(figure)


def test_a_widening_draws_with_a_caption_that_says_how() -> None:
    w = widening()
    figure = draw_widening(w)
    figure.draw_without_rendering()
    assert w.sentence in label_of(figure).replace("−", "-")
    assert "models with 1, 2, 3 weights" in label_of(figure)
    texts = [text.get_text() for text in figure.axes[1].texts]
    assert texts[0] == "no run solved it"
    assert sum(text.startswith("cheapest") for text in texts) == 1
    assert w.plot().axes[1].get_yscale() == "log"


def test_other_kinds_are_refused_with_the_choices() -> None:
    with pytest.raises(InputError, match="Did you mean 'losses'"):
        ensemble().plot("loses")
    with pytest.raises(InputError, match=r"Choose one of: best_of, endings, losses, solutions\."):
        draw_ensemble(ensemble(), "xyz")
    with pytest.raises(InputError, match="theme"):
        draw_ensemble(ensemble(), "losses", "pink")


# JSON


def test_an_ensemble_is_plain_data_without_its_weights() -> None:
    e = replace(ensemble())  # a copy that nobody has asked for endings
    data = json.loads(json.dumps(as_data(e), allow_nan=False))
    assert not {"problem", "data", "weights", "losses", "lengths"} & set(data)
    assert (data["runs"], data["size"], data["seed"], data["optimizer"]) == (60, 2, 3, "sgd")
    assert data["final_losses"] == e.final_losses.tolist()
    assert data["share_interval"] == list(e.share_interval)
    assert [level["runs"] for level in data["levels"]] == [level.runs for level in e.levels]
    assert data["restarts"]["0.95"] == e.restarts_for(0.95)
    assert data["loss_quantiles"]["0.5"][-1] in e.final_losses
    assert len(json.dumps(data)) < 30_000
    # How runs ended takes a Hessian each: it is told once it is known.
    assert data["endings"] is data["outcomes"] is None
    assert e.endings.outcomes.tolist() == ["minimum"] * 60
    told = as_data(e)
    assert told["outcomes"] == {"minimum": 60}
    assert told["endings"]["smallest"] == e.endings.smallest.tolist()


def test_runs_that_diverged_are_data_too() -> None:
    data = as_data(made([1.0, 2.0], taken=[3, 10]))
    assert data["final_losses"] == ["NaN", 2.0]
    assert as_data(made([1.0], taken=[3]))["best_run"] is None


def test_a_widening_is_plain_data() -> None:
    w = widening()
    data = json.loads(json.dumps(as_data(w), allow_nan=False))
    assert data["widths"] == [1, 2, 3]
    assert data["restarts"] == list(w.restarts)
    assert data["costs"][0] == "Infinity"
    assert data["sentence"] == w.sentence
    assert [e["runs"] for e in data["ensembles"]] == [40, 40, 40]


# The report

VOID = {"meta", "br", "hr", "img", "link", "input", "path", "use", "image"}


class Reader(HTMLParser):
    """Collects the elements of a page, and insists that they are properly nested."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def words_of(page: str) -> str:
    """Return the words of a page as a reader sees them, without figures and data."""
    page = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", page).replace("−", "-").replace("&#39;", "'")
    return " ".join(text.split())


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@functools.cache
def page(what: str) -> str:
    if what == "widening":
        return render(widening(), "wells")
    _ = ensemble().endings
    return render(ensemble(), "wells")


@pytest.mark.parametrize("what", ["ensemble", "widening"])
def test_a_report_is_well_formed_and_stands_alone(what: str) -> None:
    elements = Reader(page(what)).elements
    for tag, attributes in elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
                assert str(value).startswith(("#", "data:image/")), (tag, name, str(value)[:80])
    assert [a for tag, a in elements if tag == "script"] == [{"type": "application/json", "id": "data"}]
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert "could not be drawn" not in page(what)


def test_a_report_says_the_answer_first_and_all_it_rests_on() -> None:
    e, said = ensemble(), words_of(page("ensemble"))
    assert said.index(e.sentence) < said.index("The levels that runs end at")
    for level in e.levels:
        assert f"{level.runs} {100 * level.share:.3g} %" in said
    assert f"minimum 60 100 % {e.final_losses.min():.3g} to" in said
    assert ENDINGS["minimum"] in said
    assert ENDINGS["stalling"] not in said  # no run ended so
    assert "weights: 2" in said
    assert page("ensemble").count("<svg") == 4
    assert data_of(page("ensemble")) == json.loads(json.dumps(as_data(e)))


def test_a_report_of_runs_that_were_not_judged_says_so() -> None:
    said = words_of(render(replace(ensemble())))
    assert "They were not judged." in said
    assert "A model with 2 weights" in said


def test_a_report_of_runs_that_all_diverged() -> None:
    html = render(made([1.0, 2.0], taken=[3, 4]))
    Reader(html)
    assert "All 2 runs diverged: take a smaller learning rate." in words_of(html)


def test_a_report_of_a_widening_has_a_row_and_a_figure_a_width() -> None:
    w, said = widening(), words_of(page("widening"))
    assert w.sentence in said
    for e in w.ensembles:
        assert e.sentence in said
    assert page("widening").count("<svg") == 4
    assert data_of(page("widening"))["restarts"] == list(w.restarts)


def test_the_python_of_a_report_does_it_again() -> None:
    import jax

    code = re.findall(r"<pre><code>(from.*?)</code>", page("ensemble"), re.DOTALL)[0].replace("&#39;", "'")
    scope: dict[str, Any] = {"build": lambda key: jax.random.normal(key, (2,)), "loss": wells}
    exec(code, scope)
    assert scope["result"].final_losses.tobytes() == ensemble().final_losses.tobytes()
    code = re.findall(r"<pre><code>(from.*?)</code>", page("widening"), re.DOTALL)[0].replace("&#39;", "'")
    scope["build_of_width"] = lambda width: lambda key: jax.random.normal(key, (width,))
    exec(code, scope)
    assert scope["result"].shares.tolist() == widening().shares.tolist()


def test_the_python_of_a_report_has_all_settings() -> None:
    e = replace(
        ensemble(), optimizer="adam betas=(0.8, 0.9) weight_decay=0.1", learning_rate="cosine:0.1", solved=0.5
    )
    said = words_of(render(e)).replace("&#39;", "'")
    assert (
        "retrain(build, loss, runs=60, optimizer='adam', learning_rate='cosine:0.1', steps=300, solved=0.5, seed=3, "
        "betas=(0.8, 0.9), weight_decay=0.1)"
    ) in said


def test_hostile_titles_are_escaped() -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=y>&"
    html = render(ensemble(), hostile, hostile)
    assert [tag for tag, _ in Reader(html).elements if tag in ("script", "img")] == ["script"]
    assert hostile not in html


def test_a_report_is_written_or_refused(tmp_path: Path) -> None:
    write(ensemble(), tmp_path / "e.html")
    assert (tmp_path / "e.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(InputError, match="Cannot write"):
        write(ensemble(), tmp_path / "no" / "e.html")
