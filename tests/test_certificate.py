"""Certificates as files: bit for bit there and back, checked again by python-flint, and refused once tampered with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flint")

import flint

import descentlab as dl
from descentlab.certify import Certificate, CertifiedPoint, Region, document
from descentlab.certify.checking.arb import ball_model, fault_of, recheck_points
from descentlab.certify.checking.balls import NowhereError, hull
from descentlab.certify.checking.spans import Spans
from descentlab.certify.checking.tape import Tape
from descentlab.certify.checking.verify import FAILS, HOLDS, UNCHECKED, Verification, verify
from descentlab.formula.functions import TABLE

CAMEL = dl.formula("x^4 - 2*x^2 + 3*x/10 + y^2 + x*y/5", domain={"x": (-2, 2), "y": (-1, 1.5)})
WAVES = dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)})
QUARTIC = dl.formula("x^4 + abs(y)", domain={"x": (-1, 2), "y": (-1, 2)})
MIXED = [
    CAMEL,
    WAVES,
    -WAVES,
    dl.formula("x^4", domain={"x": (-1, 2)}),
    dl.formula("abs(x)", domain={"x": (-1, 2)}),
    dl.formula("x^2", domain={"x": (0, 1)}),  # the minimum lies on the face itself
    dl.formula("(x - 1)^2 + y^2", domain={"x": (-1, 1), "y": (-2, 2)}),
    dl.formula("x + y^2", domain={"x": (-1, 2), "y": (-2, 3)}),  # all minima on the boundary
    dl.formula("(x^2 + y^2 - 1)^2", domain={"x": (-2, 2), "y": (-2, 2)}),
    dl.formula("sqrt(x)*log(y + 3) - 1/3*e", domain={"x": (0.5, 2), "y": (-2, 2)}),
    dl.formula("S*N + S^2", variables=["S", "N"], domain={"S": (-1, 2), "N": (-1, 1)}),
]


def written(c: Certificate, tmp_path: Path) -> Path:
    path = tmp_path / "certificate.json"
    c.save(path)
    return path


def failed(v: Verification) -> list[str]:
    return [claim.name for claim in v.claims if claim.outcome == FAILS]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Balls: the derivatives of the checker are its own


def expressions() -> list[str]:
    several = [
        "x^y",
        "min(x^2, y)*max(x, y^3)",
        "abs(x - 2*y)*relu(x + y)",
        "(x*y + 1)^(2/3)",
        "pi*e*x^5/y^3 - y",
    ]
    for row in TABLE:
        inner = "x*y + 0.13" if row.most == 1 else "x*y + 0.2, x - y"
        beyond = " + 2" if row.name in ("acosh", "asec", "acsc", "acoth") else ""
        several.append(f"{row.name}({inner}{beyond})")
    return several


@pytest.mark.parametrize("text", expressions())
def test_balls_agree_with_symbolic_derivatives_at_points(text: str) -> None:
    f = dl.formula(text, domain=[(-1, 1), (-1, 1)])
    tape = Tape(f.value_program)
    met = 0
    for x in np.random.Generator(np.random.Philox(1)).uniform(0.05, 0.9, (20, 2)):
        expected = np.concatenate([[f.value(x)], f.gradient(x), f.hessian(x).reshape(-1)])
        if not np.isfinite(expected).all():
            continue
        with flint.ctx.workprec(100):
            value, slope, hessian = tape.curvatures([flint.arb(float(c)) for c in x])
        got = np.array([float(u) for u in (value, *slope, *(entry for row in hessian for entry in row))])
        assert np.abs(got - expected).max() <= 1e-11 * (1 + np.abs(expected).max()), x
        met += 1
    assert met >= 5


@pytest.mark.parametrize("text", expressions())
def test_balls_and_spans_hold_what_f_is_on_boxes(text: str) -> None:
    f = dl.formula(text, domain=[(-1, 1), (-1, 1)])
    tape, spans = Tape(f.value_program), Spans(f.value_program)
    random = np.random.Generator(np.random.Philox(2))
    for _ in range(40):
        low = random.uniform(-1, 1, 2)
        high = low + 10.0 ** random.uniform(-6, 0.3) * random.random(2)
        inside = low + (high - low) * random.random((30, 2))
        rows = np.column_stack([f.value(inside), f.gradient(inside), f.hessian(inside).reshape(-1, 4)])
        with np.errstate(all="ignore"):
            usable = rows[np.isfinite(rows[:, 0])]
        slack = 1e-11 * (1 + np.abs(usable))
        with flint.ctx.workprec(64):
            try:
                value, slope, hessian = tape.curvatures([hull(a, b) for a, b in zip(low, high, strict=True)])
                bounds = spans.bounds(low.tolist(), high.tolist())
            except NowhereError:
                assert len(usable) == 0
                continue
            if bounds is not None:
                assert (usable[:, 0] >= float(bounds[0]) - slack[:, 0]).all()
                assert (usable[:, 0] <= float(bounds[1]) + slack[:, 0]).all()
            if not value.is_finite():
                continue
            assert len(usable) == len(inside), "f is not defined all over the box, yet its ball is finite"
            for j, u in enumerate((value, *slope, *(entry for row in hessian for entry in row))):
                if u.is_finite():
                    assert (usable[:, j] >= float(u.lower()) - slack[:, j]).all()
                    assert (usable[:, j] <= float(u.upper()) + slack[:, j]).all()


def test_an_undefined_end_is_no_number() -> None:
    """The library's acos takes NaN for −1 where a ball's radius is zero: it must never be asked."""
    tape = Tape(dl.formula("acos(1/x)", domain={"x": (-1, 1)}).value_program)
    assert not tape.value([hull(-1.3, 0.2)]).is_finite()


def test_a_sum_of_squares_is_not_below_zero() -> None:
    spans = Spans(dl.formula("(x - y)^2 + (x*y)^4 + abs(x)", domain=[(-1, 1)] * 2).value_program)
    bounds = spans.bounds([-1.0, -0.7], [0.9, 1.0])
    assert bounds is not None
    assert bounds[0] == 0


def test_bounds_tell_where_f_may_be_undefined_or_jump() -> None:
    def known(text: str, low: float, high: float) -> bool:
        spans = Spans(dl.formula(text, domain={"x": (-9, 9)}).value_program)
        return spans.bounds([low], [high], continuous=True) is not None

    for text, good in (
        ("sqrt(x)", 1),
        ("log(x)", 1),
        ("sign(x)", 1),
        ("step(x)", 1),
        ("acosh(x + 1)", 1),
        ("x^1.5", 1),
    ):
        assert known(text, good, good + 1), text
        assert not known(text, -0.5, 1), text
    assert known("acos(x)", -0.5, 0.5)
    assert not known("acos(x)", -0.5, 1.5)


# There and back


@pytest.mark.parametrize("f", MIXED, ids=lambda f: f.label)
def test_a_file_holds_the_certificate_bit_for_bit(f: Any, tmp_path: Path) -> None:
    c = dl.certify(f)
    path = written(c, tmp_path)
    back = document.read(path)
    assert back.objective.value_program == f.value_program
    assert back.objective.label == f.label
    assert back.objective.domain.tobytes() == f.domain.tobytes()
    for mine, theirs in zip((*c.points, *c.boundary), (*back.points, *back.boundary), strict=True):
        assert_same(mine, theirs)
    for mine, theirs in zip(
        (*c.undecided, *c.lowest.regions), (*back.undecided, *back.lowest.regions), strict=True
    ):
        assert_same(mine, theirs)
    for mine, theirs in zip(c.lowest.minimizers, back.lowest.minimizers, strict=True):
        assert_same(mine, theirs)
    assert (back.counts, back.complete, back.winding, back.boxes) == (
        c.counts,
        c.complete,
        c.winding,
        c.boxes,
    )
    assert (back.lowest.interval, back.lowest.proved) == (c.lowest.interval, c.lowest.proved)
    assert back.command == c.command
    text = path.read_bytes()
    back.save(path)
    assert path.read_bytes() == text
    assert names_in(tmp_path) == [path.name]


def assert_same(mine: CertifiedPoint | Region, theirs: CertifiedPoint | Region) -> None:
    for name, value in vars(mine).items():
        other = getattr(theirs, name)
        if isinstance(value, np.ndarray):
            assert (value.dtype, value.shape, value.tobytes()) == (
                other.dtype,
                other.shape,
                other.tobytes(),
            ), name
        else:
            assert value == other, name


def test_a_file_says_what_it_is_in_words(tmp_path: Path) -> None:
    data = json.loads(written(dl.certify(QUARTIC), tmp_path).read_text(encoding="utf-8"))
    assert data["format"] == "descentlab certificate"
    assert data["made with"]["numpy"] == np.__version__
    assert data["objective"]["formula"] == "x^4 + abs(y)"
    assert "Krawczyk" in " ".join(data["method"])
    assert "4 ulp" in " ".join(data["assumptions"])
    assert data["again"].startswith("descentlab certify 'x^4 + abs(y)' --domain x=-1:2")
    assert any("gradient jumps" in region["words"] for region in data["undecided"])
    assert {"x", "y"} == set(data["boundary"][0]["at"])


def test_writing_takes_the_files_place_or_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.json"
    path.write_text("before")

    def full(self: Path, *_: Any, **__: Any) -> None:
        self.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(dl.InputError, match="No space left"):
            dl.certify(WAVES).save(path)
    assert path.read_text() == "before"
    assert names_in(tmp_path) == ["c.json"]
    with pytest.raises(dl.InputError, match="cannot be written"):
        dl.certify(WAVES).save(tmp_path / "missing" / "c.json")


# Verified


@pytest.mark.parametrize("f", MIXED, ids=lambda f: f.label)
def test_what_was_proved_is_verified(f: Any, tmp_path: Path) -> None:
    v = verify(written(dl.certify(f), tmp_path))
    assert failed(v) == [], v.sentence
    assert v.verified
    outcomes = {claim.name: claim.outcome for claim in v.claims}
    assert {outcomes[name] for name in ("points", "boundary points", "lowest value", "completeness")} == {
        HOLDS
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["peaks", "himmelblau", "rastrigin", "ackley", "hartmann-3", "beale", "deb"])
def test_known_landscapes_are_verified(name: str, tmp_path: Path) -> None:
    v = verify(written(dl.certify(dl.landscape(name)), tmp_path))
    assert failed(v) == [], v.sentence
    assert {claim.outcome for claim in v.claims if claim.name == "completeness"} == {HOLDS}


def test_limits_leave_claims_unchecked_and_say_so(tmp_path: Path) -> None:
    path = written(dl.certify(CAMEL), tmp_path)
    v = verify(path, boxes=10)
    assert v.verified
    assert "completeness" in v.unchecked
    assert "too many boxes" in next(claim.detail for claim in v.claims if claim.name == "completeness")
    assert "not checked: lowest value, completeness" in v.sentence
    told: list[str] = []
    verify(path, tell=told.append)
    assert told[0] == "checking counts and decimals"
    assert told[-1] == "checking completeness"


def moved(p: CertifiedPoint, by: float) -> CertifiedPoint:
    return replace(p, point=p.point + by, box=p.box + by, unique_in=p.unique_in + by)


def with_point(
    change: Callable[[CertifiedPoint], CertifiedPoint], kind: str = "minimum"
) -> Callable[..., Certificate]:
    """Change the first interior point of a kind, also where it is a minimizer."""

    def tamper(c: Certificate) -> Certificate:
        i = next(i for i, p in enumerate(c.points) if p.kind == kind)
        changed = change(c.points[i])
        return replace(c, points=(*c.points[:i], changed, *c.points[i + 1 :]))

    return tamper


def with_lowest(**changes: Any) -> Callable[[Certificate], Certificate]:
    return lambda c: replace(c, lowest=replace(c.lowest, **changes))


def widened(p: CertifiedPoint) -> CertifiedPoint:
    return replace(p, unique_in=np.stack([p.unique_in[:, 0] - 3, p.unique_in[:, 1] + 3], axis=1))


def shifted_value(p: CertifiedPoint) -> CertifiedPoint:
    return replace(p, value=p.value + 1e-9, value_interval=tuple(v + 1e-9 for v in p.value_interval))  # type: ignore[arg-type]


def on_other_formula(c: Certificate) -> Certificate:
    f = dl.formula("x^4 - 2*x^2 + 3*x/10 + y^2 + x*y/4", domain={"x": (-2, 2), "y": (-1, 1.5)})
    return replace(c, objective=f)


def on_larger_box(c: Certificate) -> Certificate:
    return replace(c, objective=replace(c.objective, domain=np.array([[-2.0, 2.5], [-1.0, 1.5]])))


def without(name: str, i: int = 0) -> Callable[[Certificate], Certificate]:
    return lambda c: replace(c, **{name: getattr(c, name)[:i] + getattr(c, name)[i + 1 :]})


# Each of these files is in good order: what follows from other fields was written anew.
TAMPERED: dict[str, tuple[Callable[[Certificate], Certificate], str]] = {
    "moved box": (with_point(lambda p: moved(p, 1e-9)), "points"),
    "box too small": (with_point(lambda p: replace(p, box=np.stack([p.point, p.point], axis=1))), "points"),
    "uniqueness too wide": (with_point(widened), "points"),
    "kind": (with_point(lambda p: replace(p, kind="maximum")), "points"),
    "kind and index": (with_point(lambda p: replace(p, kind="saddle", index=1)), "points"),
    "saddle as minimum": (with_point(lambda p: replace(p, kind="minimum", index=0), "saddle"), "points"),
    "index": (with_point(lambda p: replace(p, index=1)), "points"),
    "value": (with_point(shifted_value), "points"),
    "eigenvalues": (with_point(lambda p: replace(p, eigenvalues=p.eigenvalues + 1e-6)), "points"),
    "held": (with_point(lambda p: replace(p, held=np.array([-1, 0], np.int8))), "points"),
    "dropped minimum": (without("points"), "completeness"),
    "dropped saddle": (without("points", 2), "completeness"),
    "dropped boundary point": (without("boundary"), "completeness"),
    "added twice": (lambda c: replace(c, points=(*c.points, c.points[0])), "distinct points"),
    "invented": (lambda c: replace(c, points=(*c.points, moved(c.points[0], 0.1))), "points"),
    "boundary inside": (
        lambda c: replace(c, points=(*c.points, c.boundary[0]), boundary=c.boundary[1:]),
        "points",
    ),
    "boundary kind": (
        lambda c: replace(c, boundary=(replace(c.boundary[0], kind="minimum", index=0), *c.boundary[1:])),
        "boundary points",
    ),
    "other formula": (on_other_formula, "points"),
    "larger box": (on_larger_box, "boundary points"),
    "winding": (lambda c: replace(c, winding=2), "winding number"),
    "lower bound": (lambda c: with_lowest(interval=(c.lowest.interval[1] + 1e-3,) * 2)(c), "lowest value"),
    "upper bound": (
        lambda c: with_lowest(interval=(c.lowest.interval[0] - 1e-3, c.lowest.interval[0] - 1e-3 + 1e-15))(c),
        "lowest value",
    ),
    "too wide to be proved": (lambda c: with_lowest(interval=(-2.0, 0.0))(c), "lowest value"),
    "wider than rounding": (
        lambda c: with_lowest(interval=(c.lowest.interval[0] - 1e-6, c.lowest.interval[1]))(c),
        "lowest value",
    ),
    "no minimizer": (with_lowest(minimizers=()), "lowest value"),
    "other minimizer": (lambda c: with_lowest(minimizers=(c.points[1],))(c), "lowest value"),
}


@pytest.fixture(scope="module")
def camel() -> Certificate:
    c = dl.certify(CAMEL)
    assert [p.kind for p in c.points] == ["minimum", "minimum", "saddle"]
    return c


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_certificate_fails(name: str, camel: Certificate, tmp_path: Path) -> None:
    change, claim = TAMPERED[name]
    v = verify(written(change(camel), tmp_path))
    assert claim in failed(v), v.sentence
    assert not v.verified
    assert "Not verified" in v.sentence


def test_one_of_two_global_minimizers_left_out_is_missed(tmp_path: Path) -> None:
    c = dl.certify(WAVES)
    assert len(c.lowest.minimizers) == 2
    one = with_lowest(minimizers=c.lowest.minimizers[:1])(c)
    v = verify(written(one, tmp_path))
    assert failed(v) == ["lowest value"]


def region(c: Certificate, **changes: Any) -> Certificate:
    changed = replace(c.undecided[0], **changes)
    return replace(c, undecided=(changed, *c.undecided[1:]))


@pytest.mark.parametrize(
    ("text", "change", "claims"),
    [
        ("x^4", without("undecided"), ["completeness"]),
        (
            "x^4",
            lambda c: region(c, box=c.undecided[0].box + 0.1, point=c.undecided[0].point + 0.1),
            ["completeness"],
        ),
        ("abs(x)", without("undecided"), ["completeness"]),
        ("abs(x)", lambda c: region(c, value_interval=(0.1, 0.2)), ["undecided regions"]),
        ("x^3", lambda c: region(c, holds_minimum=True), ["undecided regions"]),
        ("abs(x)", with_lowest(regions=()), ["lowest value"]),
    ],
)
def test_changed_regions_fail(text: str, change: Any, claims: list[str], tmp_path: Path) -> None:
    c = dl.certify(dl.formula(text, domain={"x": (-1, 2)}))
    assert len(c.undecided) == 1
    v = verify(written(change(c), tmp_path))
    assert set(claims) <= set(failed(v)), v.sentence


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["counts", "minimum"], 3),
        (["counts", "maximum"], 1),
        (["complete"], False),
        (["points", 0, "at", "x"], -1.0),
        (["points", 0, "f"], -1.25),
        (["lowest", "f"], [0, 0]),
        (["objective", "at"], [[-2, 2], [-1, 2]]),
        (["again"], "rm -r ."),
        (["method", 0], "By hand."),
        (["note"], "trust me"),
    ],
)
def test_what_follows_from_other_fields_must_agree(
    path: list[Any], value: Any, camel: Certificate, tmp_path: Path
) -> None:
    file = written(camel, tmp_path)
    data = json.loads(file.read_text(encoding="utf-8"))
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file.write_text(json.dumps(data), encoding="utf-8")
    v = verify(file)
    assert failed(v) == ["counts and decimals"]
    assert str(path[0]) in v.claims[0].detail


# Files that are none


def spoiled(path: list[Any], value: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        if value is None:
            del data[path[-1]]
        else:
            data[path[-1]] = value

    return spoil


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["format"], "a survey", "format"),
        (["version"], 2, "version"),
        (["version"], True, "version"),
        (["points"], None, "points"),
        (["points"], {}, "points"),
        (["points", 0, "kind"], "valley", "points[0].kind"),
        (["points", 0, "box", 0, 0], "1.5", "points[0].box[0][0]"),
        (["points", 0, "box", 0, 0], 1.5, "points[0].box[0][0]"),
        (["points", 0, "box", 0, 0], "nan", "points[0].box[0][0]"),
        (["points", 0, "box", 0, 0], "inf", "points[0].box[0][0]"),
        (["points", 0, "box", 0, 0], "0x1p+99999", "points[0].box[0][0]"),
        (["points", 0, "box"], [["0x0.0p+0", "0x0.0p+0"]], "points[0].box"),
        (["points", 0, "eigenvalues"], [], "points[0].eigenvalues"),
        (["points", 0, "index"], 3, "points[0].index"),
        (["points", 0, "held"], [0, 2], "points[0].held[1]"),
        (["boundary", 0, "value"], None, "boundary[0].value"),
        (["lowest", "proved"], 1, "lowest.proved"),
        (["winding"], "3", "winding"),
        (["boxes"], -1, "boxes"),
        (["recheck"], "me", "recheck"),
        (["counts"], [1], "counts"),
        (["objective", "formula"], "__import__('os').system('touch here')", "objective.formula"),
        (["objective", "formula"], "x + z", "objective.variables"),
        (["objective", "variables"], ["x", "x"], "objective.variables"),
        (["objective", "domain", 0, 1], "-0x1.0000000000000p+2", "objective.formula"),
    ],
)
def test_a_malformed_file_is_refused_by_field(
    path: list[Any],
    value: Any,
    named: str,
    camel: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    file = written(camel, tmp_path)
    data = json.loads(file.read_text(encoding="utf-8"))
    spoiled(path, value)(data)
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(dl.InputError) as caught:
        verify(file)
    assert f"'{named}'" in str(caught.value)
    assert names_in(tmp_path) == ["certificate.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "[" * 100_000,
        '{"format": NaN}',
        '{"format": 1, "format": 1}',
        "\x00",
        '{"version": ' + "9" * 9999,
    ],
)
def test_what_is_no_certificate_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(dl.InputError, match="not a certificate"):
        document.read(file)


def test_a_name_that_occurs_twice_is_refused(camel: Certificate, tmp_path: Path) -> None:
    file = written(camel, tmp_path)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"version": 1,', '"version": 1, "version": 1,'), encoding="utf-8")
    with pytest.raises(dl.InputError, match="occurs twice"):
        document.read(file)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(dl.InputError, match="cannot be read"):
        document.read(tmp_path / "none.json")
    with pytest.raises(dl.InputError, match="cannot be read"):
        document.read(tmp_path)
    (tmp_path / "c.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(dl.InputError, match="not text"):
        document.read(tmp_path / "c.json")


# Points alone


def test_points_are_proved_again_as_they_are_made() -> None:
    c = dl.certify(CAMEL, recheck="arb")
    assert c.recheck == "arb"
    assert "--recheck=arb" in c.command


def test_a_wrong_point_is_refused(camel: Certificate) -> None:
    wrong = replace(camel.points[0], kind="saddle", index=1)
    with pytest.raises(
        dl.WorkError, match=r"could not prove the saddle near \(x, y\) = .* index: 0 eigenvalues"
    ):
        recheck_points(CAMEL, [camel.points[1], wrong])


def test_every_part_of_a_claim_is_looked_at(camel: Certificate) -> None:
    """Without one of the checks one of these would pass."""
    model = ball_model(CAMEL)
    p = camel.points[0]
    (a, b), (c, d) = p.box
    changes: list[tuple[dict[str, Any], str]] = [
        ({"box": p.box[:, ::-1]}, "box"),
        ({"point": p.point + 1}, "point"),
        ({"value": p.value + 1}, "value"),
        ({"unique_in": p.box + 1e-3}, "uniqueness"),
        ({"box": np.array([[a, a + 0.01 * (b - a)], [c, d]]), "point": np.array([a, p.point[1]])}, "box"),
        ({"eigenvalues": p.eigenvalues + np.array([[1e-9, 0], [0, 0]])}, "eigenvalues"),
        ({"eigenvalues": p.eigenvalues - np.array([[0, 0], [0, 1e-9]])}, "eigenvalues"),
        ({"kind": "unknown"}, "index"),
    ]
    assert fault_of(model, CAMEL.domain, p) is None
    for change, claim in changes:
        fault = fault_of(model, CAMEL.domain, replace(p, **change))
        assert fault is not None, change
        assert fault.claim == claim, fault


def test_without_python_flint_the_message_says_what_to_install(
    camel: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(camel, tmp_path)
    monkeypatch.setitem(sys.modules, "flint", None)
    for work in (lambda: verify(path), lambda: dl.certify(WAVES, recheck="arb")):
        with pytest.raises(dl.InputError, match=r"pip install 'descentlab\[arb\]'"):
            work()


def test_unchecked_is_not_failed() -> None:
    assert len({HOLDS, FAILS, UNCHECKED}) == 3
