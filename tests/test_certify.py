"""Certificates against closed forms and published counts, what is left undecided, and the limits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import descentlab as dl
from descentlab.certify.boxes import LOWER, UPPER, Boxes, Queue, Waiting, joined, pieces_of
from descentlab.certify.enclose import Model
from descentlab.certify.intervals import Interval
from descentlab.certify.krawczyk import krawczyk, spectrum
from descentlab.certify.points import distinct
from descentlab.certify.search import Limits, Search
from descentlab.certify.winding import winding

LANDSCAPES = json.loads((Path(__file__).parent / "data" / "landscapes.json").read_text(encoding="utf-8"))
if isinstance(LANDSCAPES, dict):
    LANDSCAPES = LANDSCAPES["landscapes"]


def box(dim, low, high):
    return {f"x{i + 1}": (low, high) for i in range(dim)}


def rastrigin(dim, low=-5.12, high=5.12):
    terms = "+".join(f"x{i + 1}^2 - 10*cos(2*pi*x{i + 1})" for i in range(dim))
    return dl.formula(f"{10 * dim} + {terms}", domain=box(dim, low, high))


def styblinski(dim):
    terms = "+".join(f"x{i + 1}^4 - 16*x{i + 1}^2 + 5*x{i + 1}" for i in range(dim))
    return dl.formula(f"({terms})/2", domain=box(dim, -5, 5))


def shubert():
    def sum_over(name):
        return "(" + "+".join(f"{i}*cos({i + 1}*{name} + {i})" for i in range(1, 6)) + ")"

    return dl.formula(f"{sum_over('x')}*{sum_over('y')}", domain={"x": (-10, 10), "y": (-10, 10)})


# Reference counts: minima, maxima, saddles in the interior; minima on the boundary; None where none is published.
PROVED = {
    "quadratic": (lambda: dl.formula("3x^2 - 3x + 4", domain={"x": (-2, 2)}), (1, 0, 0), 0),
    "unfortunate": (lambda: dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)}), (4, 3, 0), 0),
    "damped sine": (
        lambda: dl.formula("sin(x)*exp(-x^2/20)", domain={"x": (-2 * np.pi, 2 * np.pi)}),
        (2, 2, 0),
        None,
    ),
    "himmelblau": (lambda: dl.landscape("himmelblau"), (4, 1, 4), 0),
    "six-hump camel": (
        lambda: dl.formula(
            "(4 - 2.1x^2 + x^4/3)*x^2 + x*y + (4y^2 - 4)*y^2", domain={"x": (-3, 3), "y": (-2, 2)}
        ),
        (6, 2, 7),
        0,
    ),
    "rosenbrock": (lambda: dl.landscape("rosenbrock"), (1, 0, 0), 0),
    "rastrigin": (lambda: rastrigin(2), (121, 100, 220), 0),
    "rastrigin wide": (lambda: rastrigin(2, -5, 6), (144, 121, 264), None),
    "peaks": (lambda: dl.landscape("peaks"), (3, 3, 3), 3),
    "styblinski-tang 4-D": (lambda: styblinski(4), (16, 1, 64), 0),
}


@pytest.mark.parametrize("name", PROVED)
def test_the_reference_counts_are_proved(name):
    make, counts, boundary = PROVED[name]
    c = dl.certify(make())
    assert tuple(c.counts.values()) == counts
    assert c.complete
    if boundary is not None:
        assert sum(p.kind == "minimum" for p in c.boundary) == boundary
    if c.objective.dim == 2:
        assert c.winding == counts[0] + counts[1] - counts[2]
    widths = [(p.box[:, 1] - p.box[:, 0]).max() for p in (*c.points, *c.boundary)]
    assert max(widths) < 1e-12
    assert c.lowest.proved


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "counts"),
    [
        (shubert, (722, 722, 1444)),
        (lambda: rastrigin(3), (1331, 1000, 6930)),
        (lambda: styblinski(6), (64, 1, 664)),
    ],
    ids=["shubert", "rastrigin 3-D", "styblinski-tang 6-D"],
)
def test_the_large_reference_counts_are_proved(make, counts):
    c = dl.certify(make())
    assert tuple(c.counts.values()) == counts
    assert c.complete


def test_ackley_has_its_smooth_points_and_a_minimum_at_the_kink():
    c = dl.certify(dl.formula(dl.landscape("ackley").text, domain={"x": (-2, 2), "y": (-2, 2)}))
    assert c.counts == {"minimum": 24, "maximum": 16, "saddle": 40}
    (kink,) = c.undecided
    assert np.abs(kink.box).max() < 1e-10
    assert kink.holds_minimum
    assert c.lowest.proved
    assert c.lowest.regions == (kink,)


# Thousands of points, flat parts, or degenerate points by the hundred: a second or two each.
SLOW = ("Shubert01", "Easom", "Deb01", "Michalewicz", "Shekel05")


@pytest.mark.parametrize(
    "entry",
    [pytest.param(e, id=e["name"], marks=[pytest.mark.slow] * (e["name"] in SLOW)) for e in LANDSCAPES],
)
def test_settled_counts_and_lowest_values_of_the_reference_landscapes(entry):
    f = dl.formula(
        entry["formula"],
        domain=dict(zip(entry["variables"], entry["bounds"], strict=True)),
        variables=entry["variables"],
    )
    best = dl.minimize(f)
    assert best.proved
    low, high = best.fun_interval
    assert low <= entry["f_star"] + 1e-9 * max(1, abs(entry["f_star"]))
    assert high >= entry["f_star"] - 1e-9 * max(1, abs(entry["f_star"]))
    assert high - low <= 2e-11 * max(1, abs(low))
    if entry["n_global"] is not None:
        assert len(best.minimizers) == entry["n_global"]
    c = dl.certify(f)
    if entry["minima_interior"] is not None:
        assert c.counts["minimum"] == entry["minima_interior"]
    if entry["minima_boundary"] is not None:
        assert sum(p.kind == "minimum" for p in c.boundary) == entry["minima_boundary"]
    for point in entry["check_points"]:
        value = f.value(np.array(point["x"]))
        assert c.lowest.interval[0] <= value + 1e-9 * max(1, abs(value))


UNDECIDED = {
    "x^4": ("degenerate", True, 1),
    "abs(x)": ("kink", True, 1),
    "x^3": ("degenerate", False, 1),
    "max(x, -2x)": ("kink", True, 1),
    "sqrt(abs(x))": ("undefined", True, 1),
    "relu(x)": ("flat", False, 2),
    "sign(x)": ("undefined", False, 3),
}


@pytest.mark.parametrize("text", UNDECIDED)
def test_what_cannot_be_proved_is_left_undecided_with_its_reason(text):
    reason, holds_minimum, most = UNDECIDED[text]
    c = dl.certify(dl.formula(text, domain={"x": (-1, 2)}))
    assert c.points == ()
    assert not c.complete
    assert 1 <= len(c.undecided) <= most
    assert reason in {r.reason for r in c.undecided}
    region = next(r for r in c.undecided if r.reason == reason)
    assert region.holds_minimum == holds_minimum
    assert region.box[0, 0] <= 1e-9
    assert region.box[0, 1] >= -1e-9


def test_a_ring_of_minima_is_one_region_at_the_lowest_value():
    c = dl.certify(dl.formula("(x^2 + y^2 - 1)^2", domain={"x": (-2, 2), "y": (-2, 2)}))
    assert c.counts == {"minimum": 0, "maximum": 1, "saddle": 0}
    (ring,) = c.undecided
    assert ring.reason == "degenerate"
    np.testing.assert_allclose(ring.box, [[-1, 1], [-1, 1]], atol=0.01)
    assert np.hypot(*ring.point) == pytest.approx(1, abs=0.01)
    assert c.lowest.proved
    assert c.lowest.interval[0] == 0


def test_the_end_of_a_domain_of_definition_is_no_proof_of_nothing():
    # √x has its minimum over [0, 1] at 0, where the slope does not exist.
    c = dl.certify(dl.formula("sqrt(x)", domain={"x": (0, 1)}))
    assert any(r.box[0, 0] == 0 for r in c.undecided)
    assert c.lowest.interval[0] <= 0
    c = dl.certify(dl.formula("x + sqrt(1 - x^2)", domain={"x": (-2, 2)}))
    assert c.counts == {"minimum": 0, "maximum": 1, "saddle": 0}
    assert {round(r.box[0, 0]) for r in c.undecided} == {-1, 1}
    assert c.lowest.interval[0] <= -1 <= c.lowest.interval[1]


def test_a_stationary_point_on_a_face_is_told():
    c = dl.certify(dl.formula("x^2 + y^2", domain={"x": (0, 1), "y": (-1, 1)}))
    assert c.points == ()
    (low,) = [p for p in c.boundary if p.kind == "minimum"]
    np.testing.assert_allclose(low.point, [0, 0], atol=1e-15)
    assert tuple(low.held) == (-1, 0)
    assert c.complete
    corner = dl.certify(dl.formula("x + 2y", domain={"x": (0, 1), "y": (-1, 1)}))
    assert [(p.kind, tuple(p.held)) for p in corner.boundary] == [("minimum", (-1, -1)), ("maximum", (1, 1))]


def test_kinds_and_eigenvalues_hold_the_hessian():
    f = dl.landscape("peaks")
    for p in dl.certify(f).points:
        exact = np.linalg.eigvalsh(f.hessian(p.point))
        assert (p.eigenvalues[:, 0] <= exact + 1e-9).all()
        assert (p.eigenvalues[:, 1] >= exact - 1e-9).all()
        assert p.index == (exact < 0).sum()
        assert p.value_interval[0] <= f.value(p.point) + 1e-13
        assert (p.unique_in[:, 0] < p.box[:, 0]).all()
        assert (p.unique_in[:, 1] > p.box[:, 1]).all()


@pytest.mark.parametrize("scale", [1e-150, 1e-6, 1.0, 1e6, 1e150])
def test_scaling_f_changes_no_count(scale):
    f = dl.landscape("himmelblau") * scale
    assert dl.certify(f).counts == {"minimum": 4, "maximum": 1, "saddle": 4}


@pytest.mark.parametrize("side", [1e-6, 1.0, 1e6])
def test_scaling_x_changes_no_count(side):
    f = dl.formula(
        f"((x/{side})^2 + y/{side} - 11)^2 + (x/{side} + (y/{side})^2 - 7)^2",
        domain={"x": (-5 * side, 5 * side), "y": (-5 * side, 5 * side)},
    )
    assert dl.certify(f).counts == {"minimum": 4, "maximum": 1, "saddle": 4}


def test_limits_leave_the_rest_undecided():
    c = dl.certify(shubert(), boxes=20_000)
    assert not c.complete
    assert {r.reason for r in c.undecided} == {"limit"}
    assert c.boxes >= 20_000
    assert c.lowest.proved  # branch-and-bound needs fewer
    slow = dl.certify(shubert(), seconds=0.05)
    assert not slow.complete


def test_progress_is_told():
    seen = []
    dl.certify(dl.landscape("peaks"), progress=lambda *counts: seen.append(counts))
    assert seen[-1][0] > 1000
    assert seen[-1][1] == 0
    assert seen[-1][2] >= 21


def test_unusable_input_is_refused():
    with pytest.raises(dl.InputError, match="A proof needs a formula"):
        dl.certify(dl.function(lambda x: x[0] ** 2, domain={"x": (-1, 1)}))
    with pytest.raises(dl.InputError, match="limit on boxes"):
        dl.certify(dl.landscape("peaks"), boxes=0)
    with pytest.raises(dl.InputError, match="limit on time"):
        dl.certify(dl.landscape("peaks"), seconds=float("nan"))
    with pytest.raises(dl.InputError, match="not by 'mpfr'"):
        dl.certify(dl.landscape("peaks"), recheck="mpfr")
    with pytest.raises(dl.InputError, match="at most 30 variables"):
        dl.certify(rastrigin(31))


def test_the_winding_number_is_the_sum_of_indices():
    model = Model(dl.formula("x^3 - 3*x*y^2", domain={"x": (-1, 2), "y": (-1, 1)}).value_program)
    assert winding(model, np.array([[-1.0, 2.0], [-1.0, 1.0]])) == -2  # the monkey saddle, degenerate
    model = Model(dl.formula("x^2 + y^2", domain={"x": (0, 1), "y": (-1, 1)}).value_program)
    assert winding(model, np.array([[0.0, 1.0], [-1.0, 1.0]])) is None  # ∇f = 0 on the edge


def test_the_pieces_cover_the_closed_box_once():
    domain = np.array([[-1.0, 2.0], [0.0, 0.5]])
    pieces = pieces_of(domain)
    assert (pieces.high - pieces.low).prod(axis=1).sum() == pytest.approx(1.5)
    assert ((pieces.ends & LOWER != 0) == (pieces.low == domain[:, 0])).all()
    assert ((pieces.ends & UPPER != 0) == (pieces.high == domain[:, 1])).all()
    faces = pieces.faces()
    edges = faces[(faces.held != 0).sum(axis=1) == 1]
    assert (edges.high - edges.low).sum() == pytest.approx(2 * (3 + 0.5))
    corners = joined([faces, edges.faces()])
    corners = corners[~corners.free.any(axis=1)]
    assert sorted(map(tuple, corners.low)) == [(-1, 0), (-1, 0.5), (2, 0), (2, 0.5)]


@pytest.mark.parametrize(("lowest", "dim"), [(False, 2), (True, 2), (True, 20)])
def test_the_queue_loses_no_box(lowest, dim):
    rng = np.random.default_rng(0)
    n = 30_000
    low = rng.random((n, dim))
    none = np.zeros((n, dim), np.int8)
    queue = Queue(Waiting(Boxes(low, low, none, none), low[:, 0], np.zeros(n, bool)), lowest)
    seen = [queue.take(np.inf) for _ in range(3)]
    queue.add(seen.pop())
    while len(queue):
        seen.append(queue.take(np.inf))
    found = np.concatenate([w.boxes.low for w in seen])
    np.testing.assert_array_equal(found[np.lexsort(found.T)], low[np.lexsort(low.T)])
    if lowest:
        assert seen[0].floors.max() <= np.quantile(low[:, 0], 0.6)


def test_krawczyk_on_a_quadratic_gives_its_minimum():
    # f = x² + xy + 2y² − x: ∇f is linear, so one step is exact to rounding.
    model = Model(dl.formula("x^2 + x*y + 2y^2 - x", domain={"x": (-1, 1), "y": (-1, 1)}).value_program)
    low, high = np.array([[-1.0, -1.0]]), np.array([[1.0, 1.0]])
    centre = np.array([[0.1, -0.2]])
    middle, around = model.slopes(centre, centre), model.curvatures(low, high)
    image = krawczyk(centre, low, high, middle.gradient, around.hessian, np.array([[True, True]]))
    np.testing.assert_allclose(image.low, [[4 / 7, -1 / 7]], atol=1e-14)
    np.testing.assert_allclose(image.high, [[4 / 7, -1 / 7]], atol=1e-14)
    assert (image.low <= [4 / 7, -1 / 7]).all()
    assert (image.high >= [4 / 7, -1 / 7]).all()


def test_the_spectrum_encloses_the_eigenvalues_of_every_matrix_in_it():
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(200, 4, 4))
    middle = middle + np.swapaxes(middle, 1, 2)
    radius = 1e-3 * rng.random((200, 4, 4))
    radius = np.maximum(radius, np.swapaxes(radius, 1, 2))
    s = spectrum(Interval(middle - radius, middle + radius), np.ones((200, 4), bool))
    for _ in range(20):
        noise = rng.uniform(-1, 1, size=(200, 4, 4))
        inside = middle + radius * np.triu(noise) + np.swapaxes(radius * np.triu(noise, 1), 1, 2)
        exact = np.linalg.eigvalsh(inside)
        assert (s.low <= exact).all()
        assert (s.high >= exact).all()
        assert (s.negative[s.settled] == (exact < 0).sum(axis=1)[s.settled]).all()
    assert s.settled.mean() > 0.9


def test_one_root_is_counted_once_however_often_it_is_found():
    rng = np.random.default_rng(1)
    roots = rng.random((50, 2))
    low = np.concatenate([roots + 1e-14 * rng.standard_normal((50, 2)) for _ in range(7)])
    high = low + 1e-13
    held = np.zeros((350, 2), np.int8)
    order = rng.permutation(350)
    found = Boxes((low - 1e-13)[order], high[order], held, held)
    unique = Boxes((low - 1e-3)[order], (high + 1e-3)[order], held, held)
    kept, unsure = distinct(found, unique, np.ones(2))
    assert len(kept) == 50
    assert len(unsure) == 0
    near = np.round(found.low[kept], 6)
    assert len(np.unique(near, axis=0)) == 50


def test_the_search_keeps_exactly_one_root_in_every_unique_box():
    f = rastrigin(2)
    findings = Search(Model(f.value_program), f.domain, Limits()).run()
    inner = findings.unique.held == 0
    for low, high, free in list(zip(findings.unique.low, findings.unique.high, inner, strict=True))[::25]:
        starts = np.random.default_rng(0).uniform(low, high, size=(20, 2))
        x = starts.copy()
        for _ in range(30):
            step = np.stack([np.linalg.solve(h, g) for h, g in zip(f.hessian(x), f.gradient(x), strict=True)])
            x = np.where(free, x - step, x)
        ends = x[((x >= low) & (x <= high)).all(axis=1)]
        assert len(ends)
        np.testing.assert_allclose(ends, ends[:1].repeat(len(ends), axis=0), atol=1e-9)
