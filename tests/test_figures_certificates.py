"""Figures of certificates: their drawing data first, and that every kind draws what is proved."""

import functools
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.certify import Certificate
from descentlab.errors import InputError
from descentlab.figures import certified, draw_certificate, draw_descent, draw_survey, figure_svg
from descentlab.figures.certified import glyphs, open_boxes, rows, spread, zoom


@functools.cache
def proved(name: str) -> Certificate:
    if name == "ring":
        return dl.certify(dl.formula("(x^2 + y^2 - 1)^2", domain={"x": (-2, 2), "y": (-2, 2)}), boxes=20_000)
    if name == "styblinski-tang":
        return dl.certify(dl.landscape(name, 4))
    if name == "empty":
        return dl.certify(dl.formula("x + y", domain={"x": (0, 1), "y": (0, 1)}))
    return dl.certify(dl.landscape(name))


def lines(figure: Any, axes: int = 0) -> list[Any]:
    return list(figure.axes[axes].get_lines())


def marks(figure: Any, shape: str, axes: int = 0) -> int:
    """Return how many points are drawn with marks of this shape."""
    return sum(len(line.get_xdata()) for line in lines(figure, axes) if line.get_marker() == shape)


def legend(figure: Any) -> list[str]:
    texts = [text for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
    return [text.get_text() for text in texts]


# The data


def test_glyphs_are_all_the_points_by_kind() -> None:
    found = glyphs(proved("peaks"))
    assert {(g.kind, g.on_edge): len(g.values) for g in found} == {
        ("maximum", False): 3,
        ("saddle", False): 3,
        ("minimum", False): 3,
        ("maximum", True): 1,
        ("saddle", True): 8,
        ("minimum", True): 3,
    }
    f = proved("peaks").objective
    for g in found:
        np.testing.assert_allclose(f.value(g.points), g.values, atol=1e-12)
        at_bound = ((g.points == f.domain[:, 0]) | (g.points == f.domain[:, 1])).any(axis=1)
        assert (at_bound == g.on_edge).all()


def test_the_closest_look_is_at_the_lowest_minimum() -> None:
    close = zoom(proved("peaks"))
    assert close is not None
    assert close.point is proved("peaks").points[0]
    assert close.point.value == pytest.approx(-6.5511333)
    low, high = close.offsets.T
    assert (low <= 0).all()
    assert (high >= 0).all()
    assert ((high - low) < 1e-12).all()
    away = np.nextafter(np.abs(close.point.point), np.inf) - np.abs(close.point.point)
    np.testing.assert_array_equal(close.doubles, away)
    assert (close.closer > 1e9).all()
    ring = zoom(proved("ring"))
    assert ring is not None
    assert ring.point.kind == "maximum"
    assert zoom(proved("empty")) is None


def test_a_ring_is_hatched_as_a_ring() -> None:
    boxes = open_boxes(proved("ring"))
    angle = np.linspace(0, 2 * np.pi, 500)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])

    def covered(points: Any) -> Any:
        inside = (points[:, None] >= boxes[:, :, 0]) & (points[:, None] <= boxes[:, :, 1])
        return inside.all(axis=2).any(axis=1)

    assert covered(circle).all()
    assert not covered(0.8 * circle).any()
    assert not covered(np.zeros((1, 2))).any()
    assert not covered(1.1 * circle).any()
    assert len(boxes) < 200  # cells that touch are one


def test_small_regions_are_drawn_large_enough_to_be_seen() -> None:
    for name in ("absolute-value", "ackley"):
        c = proved(name)
        (box,) = open_boxes(c)
        np.testing.assert_allclose(np.diff(box, axis=1)[:, 0], certified.LEAST * c.objective.widths)
        np.testing.assert_allclose(box.mean(axis=1), 0, atol=1e-9)
    assert open_boxes(proved("peaks")).shape == (0, 2, 2)


def test_a_box_without_a_hole_is_cut_around_it() -> None:
    box, hole = np.array([[0.0, 3.0], [0.0, 3.0]]), np.array([[1.0, 2.0], [-1.0, 1.0]])
    rest = certified._without(box, hole)
    assert rest.tolist() == [[[0.0, 1.0], [0.0, 3.0]], [[2.0, 3.0], [0.0, 3.0]], [[1.0, 2.0], [1.0, 3.0]]]
    assert certified._without(hole, box)[:, 1].tolist() == [[-1.0, 0.0]]
    assert len(certified._without(hole, hole)) == 0


def test_a_valley_along_a_face_is_hatched_there() -> None:
    """On the face x = −5 of x + 0·y the slope along the face is zero everywhere, though ∇f is nowhere."""
    c = dl.certify(dl.formula("x + 0*y", domain={"x": (-5, 5), "y": (-5, 5)}), boxes=5_000)
    boxes = open_boxes(c)
    assert len(boxes)
    half = certified.LEAST * 5
    assert {tuple(side) for side in boxes[:, 0].tolist()} == {(-5 - half, -5 + half), (5 - half, 5 + half)}
    for face in (-5.0, 5.0):
        there = boxes[boxes[:, 0].mean(axis=1) == face][:, 1]
        assert (there.min(), there.max()) == (-5.0, 5.0)
        np.testing.assert_allclose(np.diff(there, axis=1).sum(), 10.0)


def test_cells_in_a_row_are_joined() -> None:
    kept = np.array([[True, False], [True, True], [False, True], [True, False]])
    edges = [np.arange(5.0), np.array([0.0, 10.0, 20.0])]
    boxes = certified._runs(edges, kept)
    assert sorted(map(np.ndarray.tolist, boxes)) == [
        [[0.0, 2.0], [0.0, 10.0]],
        [[1.0, 3.0], [10.0, 20.0]],
        [[3.0, 4.0], [0.0, 10.0]],
    ]
    assert certified._runs(edges[:1], kept[:, 0]).tolist() == [[[0.0, 2.0]], [[3.0, 4.0]]]


def test_points_of_many_variables_stand_in_rows_by_kind() -> None:
    made = rows(proved("styblinski-tang"))
    assert [row.label for row in made[:5]] == [
        "minimum (16)",
        "saddle, index 1 (32)",
        "saddle, index 2 (24)",
        "saddle, index 3 (8)",
        "maximum (1)",
    ]
    assert [row.on_edge for row in made] == [False] * 5 + [True] * (len(made) - 5)
    assert sum(len(row.x) for row in made[5:]) == len(proved("styblinski-tang").boundary)
    assert made[0].x.min() == pytest.approx(-156.6646628)
    for row in made:
        assert np.abs(row.y).max() <= 0.4
        # Equal values stand apart.
        assert len({*zip(np.round(row.x, 6), row.y, strict=True)}) == len(row.x)


def test_spread_sets_equal_bins_apart_evenly() -> None:
    np.testing.assert_allclose(spread(np.array([7, 7, 1, 7])), [-0.8 / 3, 0, 0, 0.8 / 3])


# The pictures


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "name", ["cosine-bowl", "absolute-value", "peaks", "ring", "empty", "styblinski-tang"]
)
def test_every_certificate_draws(name: str, theme: str) -> None:
    figure = draw_certificate(proved(name), theme=theme)
    assert figure_svg(figure).startswith("<svg")
    label = str(figure.get_label())
    assert "Branch-and-prune by interval arithmetic: " in label
    assert f"{proved(name).boxes:,} boxes" in label


def test_the_picture_of_peaks_has_every_point_and_the_counts() -> None:
    figure = draw_certificate(proved("peaks"))
    assert [marks(figure, shape) for shape in "*X^"] == [6, 11, 4]
    assert legend(figure) == [
        "minimum (3 + 3 on the edge)",
        "saddle (3 + 8 on the edge)",
        "maximum (3 + 1 on the edge)",
        "hollow: on the edge",
    ]
    assert "Proved: f has 3 minima, 3 maxima and 3 saddle points inside the box, and no others." in str(
        figure.get_label()
    )
    close = zoom(proved("peaks"))
    assert close is not None
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    wide, high = np.diff(close.alone_in, axis=1)[:, 0]
    assert f"the only one in this box, {wide:.2g} × {high:.2g}" in titles
    assert any(title.startswith("known to $") for title in titles)


def test_the_boxes_are_drawn_to_scale() -> None:
    figure = draw_certificate(proved("himmelblau"))
    close = zoom(proved("himmelblau"))
    assert close is not None
    around, tight = (
        next(a for a in figure.axes if a.get_title(loc="left").startswith(t)) for t in ("the only", "known")
    )
    (wide,) = around.patches
    np.testing.assert_allclose([wide.get_x(), wide.get_y()], close.alone_in[:, 0])  # type: ignore[attr-defined]
    np.testing.assert_allclose([wide.get_width(), wide.get_height()], np.diff(close.alone_in, axis=1)[:, 0])  # type: ignore[attr-defined]
    (narrow,) = tight.patches
    units = [
        10.0 ** int(label.split("10^{")[1].split("}")[0])
        for label in (tight.get_xlabel(), tight.get_ylabel())
    ]
    np.testing.assert_allclose(
        np.array([narrow.get_width(), narrow.get_height()]) * units,
        np.diff(close.offsets, axis=1)[:, 0],  # type: ignore[attr-defined]
    )
    # The dots are the floating-point numbers: the point itself is one.
    (dots,) = tight.get_lines()
    x, y = (np.unique(v) for v in (dots.get_xdata(), dots.get_ydata()))
    np.testing.assert_allclose(np.diff(x) * units[0], close.doubles[0])
    np.testing.assert_allclose(np.diff(y) * units[1], close.doubles[1])
    assert 0 in x


def test_many_points_are_a_few_artists_and_heights_step_back() -> None:
    figure = draw_certificate(proved("rastrigin"))
    assert len(lines(figure)) <= 8
    assert [marks(figure, shape) for shape in "*X^"] == [121, 264, 144]
    assert figure.axes[0].get_images()[0].get_cmap().name == "gray"
    assert draw_certificate(proved("peaks")).axes[0].get_images()[0].get_cmap().name == "cividis"


def test_what_is_undecided_is_hatched_and_counted() -> None:
    for name in ("absolute-value", "ackley", "ring"):
        figure = draw_certificate(proved(name))
        assert "undecided (1)" in legend(figure)
        assert any(c.get_hatch() for c in figure.axes[0].collections)
    assert not any(c.get_hatch() for c in draw_certificate(proved("peaks")).axes[0].collections)


def test_unknown_heights_are_refused() -> None:
    with pytest.raises(InputError, match="heights"):
        draw_certificate(proved("peaks"), heights="steep")


def test_a_certificate_plots_itself_and_says_what_it_is() -> None:
    c = proved("cosine-bowl")
    assert [marks(c.plot(), shape) for shape in "*^"] == [4, 5]
    shown = c._repr_html_()
    assert shown.startswith("<p>Proved: f has 4 minima and 3 maxima inside the box, and no others.")
    assert "<svg" in shown or "<img" in shown


# In the pictures of surveys and descents


def test_minima_that_were_never_reached_are_marked_in_the_survey() -> None:
    s = dl.survey(dl.landscape("rastrigin"), 100)
    assert s.matched is not None
    missed = len(s.matched.missed)
    assert missed > 0
    figure = draw_survey(s)
    assert f"never reached ({missed})" in legend(figure)
    stars = [
        line
        for line in lines(figure, 1)
        if line.get_marker() == "*" and line.get_markerfacecolor() == "#ffffff"
    ]
    assert [len(line.get_xdata()) for line in stars] == [missed]
    assert {tuple(p) for p in np.column_stack(stars[0].get_data())} == {
        tuple(r.point.point) for r in s.matched.missed
    }
    assert marks(figure, "X", 1) == 264


def test_the_outcomes_stand_beside_what_is_proved() -> None:
    s = dl.survey(dl.landscape("cosine-bowl"), 100, bounds="free", steps=5)
    figure = draw_survey(s, "outcomes")
    assert {"proved minimum (4)", "proved maximum (5)"} <= set(legend(figure))
    assert marks(figure, "*") == 4


def test_an_unfinished_proof_is_not_drawn_into_a_survey(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    s = dl.survey(dl.landscape("peaks"), 100)
    assert s.proof
    monkeypatch.setattr(sys.modules["descentlab.survey.proof"], "QUICK_BOXES", 1000)
    unfinished = dl.survey(dl.landscape("peaks"), 100)
    assert unfinished.matched is not None
    assert not unfinished.matched.finished
    assert not any("proved" in text for text in legend(draw_survey(unfinished)))
    assert any("proved" in text for text in legend(draw_survey(s)))


def test_a_descent_is_drawn_among_proved_points() -> None:
    for name, start, counts in (("himmelblau", [0.0, 0.0], (4, 10, 7)), ("cosine-bowl", [0.3], (4, 0, 5))):
        c = proved(name)
        run = dl.descend(c.objective, start=start, learning_rate=0.01, steps=50)
        with_points, without = draw_descent(run, certificate=c), draw_descent(run)
        added = tuple(marks(with_points, shape) - marks(without, shape) for shape in "*X^")
        assert added == counts
        assert "proved minimum (4)" in legend(with_points)
        assert not any("proved" in text for text in legend(without))
