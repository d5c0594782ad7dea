"""Soundness: no proof about a random formula is contradicted by multi-start, or by exact values."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from descentlab import certify
from descentlab.certify.boxes import pieces_of
from descentlab.certify.enclose import Model
from descentlab.certify.points import certified
from descentlab.certify.search import Limits, Search
from descentlab.certify.words import turns
from descentlab.errors import InputError
from formula_generator import Box, Drawn, formulas, with_slope_roots
from proof_adversary import FEW, contradict, contradict_certificate


def hunt(seed: int, count: int, limits: Limits, most: int) -> tuple[int, int, int]:
    """Return how many random formulas were tried, were certified completely, and how many roots were looked at."""
    tried = complete = roots = 0
    for k, drawn in enumerate(formulas(seed, count)):
        try:
            f = drawn.objective()
        except InputError:
            continue
        outcome = contradict(drawn, f, k, limits, most)
        assert not outcome.contradictions, "\n".join(outcome.contradictions)
        tried, complete, roots = tried + 1, complete + outcome.complete, roots + outcome.roots_checked
    return tried, complete, roots


@pytest.mark.parametrize(
    ("seed", "count", "limits", "most"),
    [
        (5, 90, Limits(boxes=5_000, waiting=50_000, seconds=5), 6),
        pytest.param(6, 1000, FEW, 25, marks=pytest.mark.slow),
    ],
    ids=["fast", "slow"],
)
def test_random_formulas(seed: int, count: int, limits: Limits, most: int) -> None:
    tried, complete, roots = hunt(seed, count, limits, most)
    assert tried > 0.97 * count
    # A search that leaves everything undecided is never contradicted.
    assert complete > 0.35 * count
    assert roots > 0.3 * most * count


@pytest.mark.parametrize(("seed", "count"), [(31, 15), pytest.param(32, 200, marks=pytest.mark.slow)])
def test_certificates_of_random_formulas(seed: int, count: int) -> None:
    """The lowest value and its minimizers, and the regions that boxes left undecided are joined to."""
    proved = 0
    for k, drawn in enumerate(formulas(seed, count)):
        try:
            f = drawn.objective()
        except InputError:
            continue
        certificate = certify(f, boxes=20_000, seconds=3)
        wrong = contradict_certificate(drawn, f, certificate, k)
        assert not wrong, "\n".join(wrong)
        proved += certificate.lowest.proved
    assert proved > 0.6 * count


def test_slopes_beyond_doubles_warn_of_nothing() -> None:
    """Steps of the hunt for the lowest value overflowed."""
    box = {"x": (-1e6, 2e6), "y": (-1e6, 2e6)}
    certificate = certify(Drawn("1e150*x", box, "by hand").objective(), boxes=20_000)
    assert certificate.lowest.interval[0] <= -1e156 <= certificate.lowest.interval[1]


@pytest.mark.parametrize(
    ("text", "dips"),
    [
        ("abs(abs(x) - 1e-10)", 2),  # a W: the kink between is a maximum
        ("abs(abs(abs(x) - 3e-11) - 1e-11)", 4),
        ("max(x, -2*x)", 1),
        ("-abs(x)", 0),
        ("x^3", 0),
        ("x^4", 1),
        ("step(x) - x", 0),
    ],
)
def test_regions_said_to_hold_a_minimum_hold_one(text: str, dips: int) -> None:
    drawn = Drawn(text, {"x": (-1.0, 1.0)}, "by hand")
    f = drawn.objective()
    certificate = certify(f)
    wrong = contradict_certificate(drawn, f, certificate)
    assert not wrong, "\n".join(wrong)
    assert sum(region.holds_minimum for region in certificate.undecided) == dips


def claims(text: str, box: Box) -> tuple[list[str], bool]:
    """Return the kinds of the certified points, and whether nothing is undecided."""
    drawn = Drawn(text, box, "by hand")
    f = drawn.objective()
    outcome = contradict(drawn, f)
    assert not outcome.contradictions, "\n".join(outcome.contradictions)
    model = Model(f.value_program)
    points, _ = certified(model, f.domain, Search(model, f.domain, FEW).run())
    return sorted(p.kind for p in points), outcome.complete


def test_a_root_on_a_face_is_not_taken_for_the_corner_beside_it() -> None:
    """Both lie in one box in which each is the only point of its own face; the one on the edge was dropped."""
    middle = Fraction(47223664874975643669082521, 47223664828696452136960)
    x, y = (0.001, 0.001000000001), (0.001, 0.001000000001)
    found = claims(f"((y/1e-06) - ({middle}))^2 + sin((x/1e-06))", {"x": x, "y": y})
    assert found == (["maximum", "maximum", "minimum", "saddle"], True)


def test_a_root_near_the_end_of_a_tiny_interval_is_not_taken_for_the_end() -> None:
    """Where doubles are coarse, boxes around roots are wide, and were compared without regard to faces."""
    assert claims("(x - (1e6 + 2e-8))^2", {"x": (1e6, 1e6 + 1e-6)}) == (
        ["maximum", "maximum", "minimum"],
        True,
    )


@pytest.mark.parametrize("gap", ["2e-8", "1e-8", "5e-9"])
def test_a_root_on_a_cut_is_not_certified_twice_beside_others(gap: str) -> None:
    """Three roots fall into one cell, where only the first was compared with the others."""
    cut = Fraction(float(np.unique(pieces_of(np.array([[-1.0, 1.0]])).low)[33]))
    kinds, complete = claims(f"((x - ({cut}))^2 - {gap}^2)^2", {"x": (-1.0, 1.0)})
    assert complete
    assert kinds == ["maximum"] * 3 + ["minimum"] * 2


def test_constants_beyond_doubles_warn_of_nothing() -> None:
    """The Hessian holds the constant 10⁴⁰⁰."""
    kinds, _ = claims("((x/1e-100)*(x/1e-100) - 1)^2", {"x": (-5e-101, 3e-100)})
    assert kinds.count("minimum") <= 2


@pytest.mark.parametrize(
    ("text", "box", "kinds"),
    [
        ("x", {"x": (-1, 1)}, ["maximum", "minimum"]),
        ("x + y", {"x": (-1, 1), "y": (0, 1)}, ["maximum", "minimum"]),
        ("x^2 - 2e8*x + sin(y)", {"x": (1e8 - 1, 1e8 + 1), "y": (0, 3)}, None),
        ("x^2", {"x": (-1e150, 1e150)}, ["maximum", "maximum", "minimum"]),
        ("x^2", {"x": (-1e-150, 1e-150)}, ["maximum", "maximum", "minimum"]),
        ("x^2", {"x": (1, 1.0000000000000004)}, ["maximum", "minimum"]),
        ("x^200 - x", {"x": (-3, 3)}, ["maximum", "maximum", "minimum"]),
        ("exp(x)*1e300", {"x": (0, 3)}, ["maximum", "minimum"]),
        ("0.1*x^2 - 0.3*x", {"x": (0, 3)}, ["maximum", "maximum", "minimum"]),
        ("max(x, x)", {"x": (-1, 1)}, ["maximum", "minimum"]),
        # The only stationary point lies at 1.0002, beside the box, and is proved to be there.
        ("x^4/4 - 1.0002*x^3/3 + x^2/2 - 1.0002*x", {"x": (-1, 1)}, ["maximum", "minimum"]),
        ("erf(30*x) + x^2", {"x": (-1, 1)}, ["maximum", "maximum", "minimum"]),
        ("x^2 + y^2 + z^2 + w^2", dict.fromkeys("xyzw", (-1, 1)), None),
        (
            with_slope_roots([Fraction(0), Fraction(1, 10**10), Fraction(-1, 10**10)]).format("x"),
            {"x": (-1, 1)},
            ["maximum"] * 3 + ["minimum"] * 2,
        ),
    ],
)
def test_by_hand_and_complete(text: str, box: Box, kinds: list[str] | None) -> None:
    found, complete = claims(text, box)
    assert complete
    assert kinds is None or found == kinds


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("3", {"x": (-1, 1)}),
        ("x^4", {"x": (-1, 2)}),
        ("abs(x)", {"x": (-1, 1)}),
        ("abs(x)", {"x": (0, 1)}),
        ("-abs(x)", {"x": (-1, 1)}),
        ("sign(x)", {"x": (-1, 1)}),
        ("step(x)*x", {"x": (-1, 1)}),
        ("1/x", {"x": (-1, 1)}),
        ("1/x^2", {"x": (-1, 1)}),
        ("tan(x)", {"x": (-2, 2)}),
        ("log(x)", {"x": (0, 1)}),
        ("sqrt(x)*(x - 1)", {"x": (0, 2)}),
        ("x^x", {"x": (0, 2)}),
        ("x^(1/3)", {"x": (-1, 1)}),
        ("cbrt(x)^2", {"x": (-1, 1)}),
        ("acos(x)", {"x": (-1, 1)}),
        ("atan2(y, x)", {"x": (-2, 2), "y": (-2, 2)}),
        # The degenerate minimum in the corner (0, 0) of the face lies where an interior saddle is the only point.
        ("x*y + y^4 + x/10^7", {"x": (0, 1), "y": (-1, 1)}),
        ("abs(x) + abs(y)", {"x": (-1, 1), "y": (0, 1)}),
        ("exp(-1/x^2)", {"x": (-1, 1)}),
        ("sin(x)", {"x": (1e18, 1e18 + 1000)}),
        ("cos(1e8*x)", {"x": (1e6, 1e6 + 1e-6)}),
        ("exp(1000*x)", {"x": (-1, 1)}),
        ("x*y*z*w", dict.fromkeys("xyzw", (-1, 1))),
    ],
)
def test_what_cannot_be_proved_is_left_undecided(text: str, box: Box) -> None:
    assert not claims(text, box)[1]


@pytest.mark.parametrize("side", [-1, 1])
def test_the_winding_number_is_no_check_where_a_point_touches_the_edge(side: int) -> None:
    """The maximum lies 10⁻³⁸ inside the edge x = 2, and counts as on it, but turns ∇f; or just outside."""
    text = f"5*exp(-(9*(x - 2)^2 + 7*(y - 9/5)^2)) + 4*exp(-(7*(x - 2 + {side}*18/5)^2 + (y - 9/5)^2))"
    certificate = certify(Drawn(text, {"x": (-2.5, 2), "y": (-2, 2)}, "by hand").objective())
    (summit,) = [p for p in certificate.boundary if p.kind == "maximum" and p.value > 4.9]
    assert summit.touches == (side > 0)
    assert "contradict" not in turns(certificate)


def faces_with_a_point(a: np.ndarray, b: np.ndarray) -> set[tuple[int, ...]]:
    """Return the faces of [−1, 1]ⁿ with a stationary point of xᵀax/2 + bx, and slopes into the box of one sign.

    Faces are written as −1 or 1 for a coordinate held at a bound, 0 for a free one.
    """
    found = set()
    for held in itertools.product((-1, 0, 1), repeat=len(b)):
        x, free = np.array(held, float), np.array(held) == 0
        if free.any():
            x[free] = np.linalg.solve(a[np.ix_(free, free)], -(b + a @ x)[free])
        inward = (-(a @ x + b) * held)[~free]
        if (np.abs(x[free]) < 1).all() and ((inward > 0).all() or (inward < 0).all()):
            found.add(held)
    return found


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5])
def test_all_faces_of_quadratic_functions(dim: int) -> None:
    """Every face of the box is solved by hand: 3ⁿ linear systems."""
    rng = np.random.default_rng(dim)
    names = [f"x{i + 1}" for i in range(dim)]
    for definite in (False, False, True):
        a = rng.integers(-9, 10, (dim, dim)).astype(float)
        a = a @ a.T / 4 + np.eye(dim) if definite else a + a.T + np.diag(rng.choice([-7.0, 7.0], dim))
        b = rng.integers(-5, 6, dim) + 0.375
        terms = [f"({a[i, j] / 2})*{names[i]}*{names[j]}" for i in range(dim) for j in range(dim)]
        text = " + ".join([*terms, *(f"({slope})*{name}" for slope, name in zip(b, names, strict=True))])
        f = Drawn(text, dict.fromkeys(names, (-1, 1)), "by hand").objective()
        certificate = certify(f, seconds=20)
        assert certificate.complete
        held = [tuple(int(h) for h in p.held) for p in (*certificate.points, *certificate.boundary)]
        assert len(held) == len(set(held))
        assert set(held) == faces_with_a_point(a, b)
        best = min(_value(a, b, np.array(x)) for x in itertools.product((-1, 1), repeat=dim))
        assert certificate.lowest.interval[0] <= best


def _value(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> float:
    return float(x @ a @ x / 2 + b @ x)
