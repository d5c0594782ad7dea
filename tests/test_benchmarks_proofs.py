"""The benchmarks of proofs: peers get the same functions, text is fresh, and what differs is said."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest

import descentlab as dl
from benchmarks import dimensions, problems, proofs
from benchmarks.plain import Known, close, twenty
from benchmarks.problems import Counted, cube, fresh


@pytest.mark.parametrize("known", twenty(), ids=lambda k: k.name)
def test_the_peers_get_the_formula_and_its_lowest_value(known: Known) -> None:
    proofs.check_plain(known)
    assert known.plain(np.array(known.bounds)[:, 0]) >= known.lowest


def test_another_function_is_not_timed() -> None:
    known = dataclasses.replace(twenty()[0], plain=twenty()[1].plain)
    with pytest.raises(SystemExit, match="Nothing was timed"):
        proofs.check_plain(known)


def test_text_is_fresh_and_the_function_the_same() -> None:
    peaks = problems.family("peaks", 2)
    one, two = fresh(peaks, "a1"), fresh(peaks, "a2")
    assert not set(one.names) & set(two.names)
    assert not {*one.names, *two.names} & set(peaks.names)
    np.testing.assert_array_equal(one.domain, two.domain)
    points = np.random.default_rng(0).uniform(-3, 3, (20, 2))
    np.testing.assert_allclose(one.value(points), dl.landscape("peaks").value(points), rtol=1e-13)


def test_functions_of_books_have_their_published_lowest_values() -> None:
    # Dixon & Szegő 1978, at their minimizers.
    for problem, point, value in (
        (problems.hartmann(3), (0.114614, 0.555649, 0.852547), -3.86278),
        (problems.hartmann(6), (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573), -3.32237),
        (problems.shekel(5), (4.0000372, 4.0001333, 4.0000372, 4.0001333), -10.1532),
        (problems.shekel(7), (4.0005729, 4.0006894, 3.9994897, 3.9996061), -10.4029),
        (problems.shekel(10), (4.0007465, 4.0005929, 3.9996634, 3.9995098), -10.5364),
        (problems.trefethen(1), (-0.024403079694, 0.210612427155), -3.306868647475),
    ):
        assert fresh(problem, "t").value(point) == pytest.approx(value, abs=5e-5), problem.name


def test_mixtures_are_coupled_and_reproducible() -> None:
    assert problems.mixture(3, 1) == problems.mixture(3, 1) != problems.mixture(3, 2)
    hessian = fresh(problems.mixture(3, 1), "t").hessian([0.3, -0.2, 0.5])
    assert (np.abs(hessian[np.triu_indices(3, 1)]) > 1e-3).all()


def test_boxes_in_words() -> None:
    assert cube("", "x", 1, -2, 2).box == "[−2, 2]"
    assert cube("", "x", 3, -5.12, 6).box == "[−5.12, 6]³"
    assert problems.Problem("", "x", ("x", "y"), ((-3, 3), (-2, 2))).box == "[−3, 3] × [−2, 2]"


def test_a_wrong_certificate_is_named() -> None:
    known = Counted(cube("", "cos(2*pi*x) + x^2", 1, -2, 2), (4, 3, 0), 0, "-0.76207654525993", 2)
    certificate = dl.certify(fresh(known.problem, "t"))
    assert proofs.disagreement(known, certificate) == ""
    for change, words in (
        ({"counts": (4, 4, 0)}, "counts"),
        ({"edges": 2}, "boundary"),
        ({"open": 1}, "undecided"),
        ({"lowest": "-0.76207654525983"}, "lowest value"),
        ({"ways": 1}, "lowest points"),
    ):
        assert proofs.disagreement(dataclasses.replace(known, **change), certificate) == f"no: {words}"


def test_digits_and_closeness() -> None:
    assert proofs.digits(-3.306868647475333, -3.306868647475139) == 13
    assert proofs.digits(1.0, 1.0) == 16
    assert proofs.digits(0.9, 1.1) == 0
    assert close(1e-7, 0.0)
    assert not close(1e-5, 0.0)
    assert close(100.00005, 100.0)
    assert not close(math.nan, 0.0)


def test_the_table_counts_a_landscape_as_right_only_if_all_rounds_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = twenty()[:2]

    def way(k: Known, number: int) -> tuple[float, bool]:
        return (k.lowest if k is known[0] or number % 2 else k.lowest + 1.0), k is known[0]

    monkeypatch.setattr(proofs, "twenty", lambda: known)
    monkeypatch.setattr(proofs, "ways", lambda: dict.fromkeys((proofs.OURS, proofs.AGAIN, "peer"), way))
    text = proofs.against_scipy(2)
    assert "| HimmelBlau |" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [row[2:4] for row in rows[1:]] == [["yes", "yes"], ["no", "1 of 2"], ["1", "1"]]
    assert "Right on 1 (aim 20), proved on 1 (aim 18)" in text


def test_a_curve_ends_with_its_first_unfinished_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        dimensions,
        "grown",
        lambda name, verb, dim, limit: SimpleNamespace(name=name, verb=verb, dim=dim, done=dim < 3),
    )
    assert [g.dim for g in dimensions.curve("rosenbrock", "certify", 1.0, (1, 2, 3, 4))] == [2, 3]


def test_a_growing_proof_is_measured_and_one_out_of_time_is_not_done() -> None:
    for verb in dimensions.VERBS:
        done = dimensions.grown("rastrigin", verb, 1, 10.0)
        assert done.done
        assert done.boxes > 0
    assert not dimensions.grown("rastrigin", "certify", 4, 0.05).done


def test_the_figure_is_drawn(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "figure.png"
    curves = [
        [
            dimensions.Grown("rastrigin", "certify", 1, 74, 0.1, True),
            dimensions.Grown("rastrigin", "certify", 2, 10_000, 9.0, False),
        ]
    ]
    dimensions.draw(curves, path, 5.0)
    assert path.stat().st_size > 10_000
