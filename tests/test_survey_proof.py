"""A survey beside a certificate: which certified minima were found, which were missed, and what contradicts."""

import dataclasses
import functools
import subprocess
import sys

import numpy as np
import pytest

import descentlab as dl
from descentlab.certify import Certificate, CertifiedPoint
from descentlab.errors import InputError
from descentlab.report import as_data
from descentlab.survey import Survey
from descentlab.survey.proof import Matching, matched, quick_certificate

TWO_PI_BOWL = ("cos(2*pi*x) + x^2", {"x": (-2, 2)})


@functools.cache
def surveyed(text: str, *sides: tuple[float, float], starts: int = 200, bounds: str = "clip") -> Survey:
    """Return the survey of a catalogue name, or of a formula of x, or x and y, on these sides."""
    if not sides:
        return dl.survey(dl.landscape(text), starts, bounds=bounds)
    return dl.survey(dl.formula(text, domain=dict(zip("xy", sides, strict=False))), starts, bounds=bounds)


def both(s: Survey) -> tuple[Certificate, Matching]:
    assert s.certificate is not None
    assert s.matched is not None
    return s.certificate, s.matched


def with_points(certificate: Certificate, points: list[CertifiedPoint]) -> Certificate:
    return dataclasses.replace(certificate, points=tuple(points))


def with_place(s: Survey, i: int, point: object) -> Survey:
    """Return the survey with its i-th minimum elsewhere."""
    minima = list(s.minima)
    minima[i] = dataclasses.replace(minima[i], point=np.array(point, float))
    return dataclasses.replace(s, minima=tuple(minima))


# What goes with what

CASES = (
    ("peaks",),
    ("himmelblau",),
    ("cosine-bowl",),
    ("ackley",),
    ("absolute-value",),
    ("quartic",),
    ("monkey-saddle",),
    ("x^2", (0.0, 2.0)),
    ("(x - 1/3)^4 + y^2", (-2.0, 2.0), (-2.0, 2.0)),
    ("step(x) + x^2", (-2.0, 2.0)),
    ("1/x", (-1.0, 2.0)),
    ("x + y", (0.0, 1.0), (0.0, 1.0)),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_every_minimum_of_a_survey_has_one_place(case: tuple[str, *tuple[tuple[float, float], ...]]) -> None:
    s = surveyed(*case)
    _, matching = both(s)
    places = [i for r in (*matching.minima, *matching.regions) for i in r.found_by]
    places += [*matching.outside, *matching.refuted, *matching.contradictions]
    assert sorted(places) == list(range(len(s.minima)))
    assert not matching.contradictions
    assert not matching.refuted
    for r in (*matching.minima, *matching.regions):
        assert r.share == pytest.approx(sum(s.minima[i].hits for i in r.found_by) / s.starts_count)


def test_all_six_minima_of_peaks_are_found_three_of_them_on_the_edge() -> None:
    s = surveyed("peaks")
    _, matching = both(s)
    assert len(matching.found) == len(s.minima) == 6
    assert matching.missed == ()
    assert sum(r.point.on_boundary for r in matching.found) == 3
    for r in matching.found:
        (i,) = r.found_by
        m = s.minima[i]
        assert (m.kind == "boundary") == r.point.on_boundary
        # Far tighter than asked: both are the point to rounding.
        np.testing.assert_allclose(m.point, r.point.point, rtol=0, atol=1e-12)
        assert (r.point.unique_in[:, 0] <= m.point).all()
        assert (m.point <= r.point.unique_in[:, 1]).all()


def test_minima_that_no_start_reached_are_missed() -> None:
    s = surveyed("rastrigin", starts=60)
    _, matching = both(s)
    assert len(matching.found) + len(matching.missed) == 121
    assert len(matching.found) == len(s.minima) < 121
    reached = np.array([m.point for m in s.minima])
    for r in matching.missed:
        assert r.share == 0
        assert np.abs(reached - r.point.point).max(axis=1).min() > 0.5  # the minima stand about 1 apart


def test_kinks_and_flat_places_lie_in_undecided_regions() -> None:
    for name, reason in (("absolute-value", "kink"), ("quartic", "degenerate"), ("ackley", "undefined")):
        s = surveyed(name)
        _, matching = both(s)
        (region,) = matching.regions
        assert (region.region.reason, region.region.holds_minimum) == (reason, True)
        assert region.found_by == (0,)
        assert region.share == s.minima[0].share


def test_a_survey_that_may_leave_the_box_has_no_minima_on_its_edge() -> None:
    s = surveyed("peaks", bounds="free")
    _, matching = both(s)
    assert (len(matching.found), len(matching.missed), matching.on_edge_left_out) == (3, 0, 3)
    away = with_place(s, 0, [7.0, 0.0])
    assert matched(away, both(s)[0]).outside == (0,)
    # A root of the whole gradient on a face is a minimum with and without the box.
    touching = surveyed("(x - y)^2 + x^2", (0.0, 2.0), (-1.0, 2.0), bounds="free")
    _, matching = both(touching)
    assert [r.found_by for r in matching.minima] == [(0,)]


# What contradicts the proof, and how near is near enough


def test_a_minimum_that_the_proof_denies_is_an_error_in_words() -> None:
    s = surveyed("himmelblau")
    certificate, _ = both(s)
    # One certified minimum goes: the survey's is where nothing is certified.
    gone = matched(
        s, with_points(certificate, [p for p in certificate.points if p is not certificate.points[0]])
    )
    (lost,) = gone.contradictions
    np.testing.assert_allclose(s.minima[lost].point, certificate.points[0].point, atol=1e-9)
    # A minimum where a saddle is certified, and one where nothing is.
    saddle = next(p for p in certificate.points if p.kind == "saddle")
    for place in (saddle.point, [0.0, 4.9]):
        wrong = with_place(s, 2, place)
        assert both(wrong)[1].contradictions == (2,)
        assert wrong.proof.startswith("ERROR: the survey has a minimum at (x, y) = (")
        assert "Found 3 of the 4 certified minima" in wrong.proof
    assert "ERROR" not in s.proof


def test_rounding_counts_and_no_more() -> None:
    s = surveyed("peaks")
    certificate, matching = both(s)
    # Points proved to be alone in no larger a box than their own: polished doubles need not lie in it.
    tight = with_points(certificate, [dataclasses.replace(p, unique_in=p.box) for p in certificate.points])
    assert [r.found_by for r in matched(s, tight).minima] == [r.found_by for r in matching.minima]
    at = matching.found[0].found_by[0]
    aside = with_place(s, at, s.minima[at].point + 1e-9)
    assert matched(aside, certificate).contradictions == ()  # in the box in which it is the only one
    assert matched(aside, tight).contradictions == (at,)


def test_a_kink_is_known_to_the_survey_to_a_millionth_of_a_side() -> None:
    s = surveyed("absolute-value")
    certificate, _ = both(s)
    side = float(s.objective.widths[0])
    near, far = (with_place(s, 0, [share * side]) for share in (0.9e-6, 1.5e-6))
    assert matched(near, certificate).regions[0].found_by == (0,)
    assert matched(far, certificate).contradictions == (0,)


def test_what_only_rounding_makes_flat_is_refuted_not_an_error() -> None:
    s = surveyed("quartic")
    certificate, _ = both(s)
    sloping = with_place(s, 0, [0.9])
    assert matched(sloping, certificate).refuted == (0,)
    assert matched(sloping, certificate).contradictions == ()
    assert "What the survey took for a flat minimum, at x = 0.9, is none: f slopes there" in sloping.proof


def test_another_function_is_refused() -> None:
    certificate, _ = both(surveyed("peaks"))
    with pytest.raises(InputError, match="different functions"):
        matched(surveyed("himmelblau"), certificate)
    wider = dl.formula(TWO_PI_BOWL[0], domain={"x": (-3, 2)})
    with pytest.raises(InputError, match="different boxes"):
        matched(surveyed(TWO_PI_BOWL[0], (-2.0, 2.0)), dl.certify(wider))
    again = dl.formula(TWO_PI_BOWL[0], domain=TWO_PI_BOWL[1])
    assert len(matched(surveyed(TWO_PI_BOWL[0], (-2.0, 2.0)), dl.certify(again)).found) == 4


# In words

SENTENCES = {
    (
        "parabola",
    ): "Found the one certified minimum. The global minimum over the closed box is proved: f = 0 at x = 0, "
    "and the survey found it.",
    (
        "sigmoid",
    ): "Found the one certified minimum (on the box's edge). The global minimum over the closed box is "
    "proved: f = 4.5398e-05 at x = -10, and the survey found it.",
    ("cosine-bowl",): "Found 4 of the 4 certified minima. The global minimum over the closed box is proved: "
    "f = -0.76208 at x = -0.4758 and 0.4758; the survey found all of them.",
    (
        "absolute-value",
    ): "One region is undecided, because the gradient jumps in it. A minimum is proved to lie in it, "
    "and the survey found it. The lowest value over the closed box is proved: f = 0, and the survey found it.",
    (
        "x + y",
        (0.0, 1.0),
        (0.0, 1.0),
    ): "Found the one certified minimum (on the box's edge). The global minimum over "
    "the closed box is proved: f = 0 at (x, y) = (0, 0), and the survey found it.",
}


@pytest.mark.parametrize("case", SENTENCES, ids=lambda case: case[0])
def test_the_proof_in_words(case: tuple[str, *tuple[tuple[float, float], ...]]) -> None:
    assert surveyed(*case).proof == SENTENCES[case]


def test_the_rarest_and_the_missing_are_named() -> None:
    said = surveyed("rastrigin", starts=60).proof
    s = surveyed("rastrigin", starts=60)
    assert said.startswith(f"Found {len(s.minima)} of the 121 certified minima; number ")
    assert " draws 1.67 % of starts. Missing: (x, y) = (0, 0), f = 0; " in said
    assert f" and {121 - len(s.minima) - 3} more. " in said
    assert said.endswith("f = 0 at (x, y) = (0, 0), which no start reached.")
    peaks = surveyed("peaks").proof
    rarest = min(range(6), key=lambda i: surveyed("peaks").minima[i].share)
    assert f"(3 on the box's edge); number {rarest + 1} draws " in peaks


def test_where_nothing_is_proved_the_reason_is_said() -> None:
    many = dl.survey(dl.landscape("sphere", 4), 20)
    assert many.certificate is None
    assert many.matched is None
    assert many.proof.startswith(
        "Nothing is proved: a survey tries that for up to 3 variables, and here are 4."
    )
    code = dl.survey(dl.function(lambda x: x[0] ** 2, domain={"x": (-1, 1)}), 20)
    assert code.certificate is None
    assert code.proof == "Nothing is proved: a proof needs a formula, and this is a Python function."


def test_a_proof_that_did_not_finish_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    proof = sys.modules["descentlab.survey.proof"]
    monkeypatch.setattr(proof, "QUICK_BOXES", 1000)
    s = dl.survey(dl.landscape("peaks"), 100)
    certificate, matching = both(s)
    assert certificate.lowest.proved
    assert not matching.finished
    assert s.proof == (
        "The global minimum over the closed box is proved: f = -6.5511 at (x, y) = (0.22828, -1.6255), and the survey "
        "found it. Which other minima there are is not proved: 1,000 boxes were too few, and 'descentlab certify' "
        "takes more."
    )
    monkeypatch.setattr(proof, "QUICK_BOXES", 10)
    none = dl.survey(dl.landscape("peaks"), 100)
    assert none.certificate is None
    assert none.proof.startswith("Nothing is proved: 10 boxes were too few")


def test_minima_where_there_are_none() -> None:
    inside = surveyed("x*sin(y)", (-1.0, 2.0), (-5.0, 5.0), starts=60, bounds="stop")
    assert inside.proof.startswith("Proved: there is no minimum inside this box. ")
    assert inside.proof.endswith("That is on the box's edge, and this survey's starts could leave the box.")


def test_a_certificate_in_words() -> None:
    peaks, _ = both(surveyed("peaks"))
    assert peaks.sentence == (
        "Proved: f has 3 minima, 3 maxima and 3 saddle points inside the box, and no others. "
        "On its edge f has 3 minima, 1 maximum and 8 saddle points over the closed box. "
        "The lowest value over the closed box is proved: -6.5511, at (x, y) = (0.22828, -1.6255). "
        "Along the box's edge ∇f turns round 3 times: as minima + maxima − saddle points inside, "
        "a check on the count."
    )
    wrong = dataclasses.replace(peaks, winding=5)
    assert wrong.sentence.endswith(
        "minima + maxima − saddle points inside is 3: the two contradict each other."
    )
    ackley, _ = both(surveyed("ackley"))
    assert "and no others outside the undecided regions. " in ackley.sentence
    assert ackley.sentence.endswith("∇f turns round once, so that what is undecided counts for 1.")
    open_ = dataclasses.replace(
        peaks, lowest=dataclasses.replace(peaks.lowest, interval=(-7.0, -6.5), proved=False)
    )
    assert "The lowest value over the closed box lies between -7 and -6.5." in open_.sentence


# Where it is said


def test_a_survey_proves_nothing_until_asked() -> None:
    s = dl.survey(dl.formula(*TWO_PI_BOWL), 20)
    assert "certificate" not in vars(s)
    assert s.proof
    assert s.certificate is vars(s)["certificate"]
    loads = (
        "import sys, descentlab.survey; print(any(m.startswith('descentlab.certify') for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_it_is_in_the_json() -> None:
    data = as_data(surveyed("peaks"))
    assert data["proof"] == surveyed("peaks").proof
    assert len(data["matched"]["minima"]) == 6
    assert data["matched"]["certificate"]["counts"] == {"minimum": 3, "maximum": 3, "saddle": 3}
    assert data["matched"]["minima"][0]["found_by"] == [0]
    assert data["matched"]["all_found"] is True
    # The same survey gives the same text, whatever the clock says.
    again = dl.survey(dl.landscape("peaks"), 200)
    assert as_data(again) == data
    assert as_data(dl.survey(dl.landscape("sphere", 4), 20))["matched"] is None


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from descentlab.cli.show import show_survey

    show_survey(surveyed("cosine-bowl"))
    printed = " ".join(capsys.readouterr().out.split())
    assert surveyed("cosine-bowl").proof in printed
    # Estimates give way to what is proved.
    assert "minima there are the 4 found, which is proved" in printed
    assert "all minima were seen" not in printed
    show_survey(surveyed("rastrigin", starts=60))
    printed = " ".join(capsys.readouterr().out.split())
    assert "Missing: (x, y) = (0, 0), f = 0" in printed
    assert "all minima were seen with probability" in printed


def test_the_quick_proof_is_the_same_again() -> None:
    f = dl.landscape("himmelblau")
    a, b = quick_certificate(f), quick_certificate(f)
    assert a is not None
    assert b is not None
    assert a.boxes == b.boxes
    assert all((p.box == q.box).all() for p, q in zip(a.points, b.points, strict=True))


# In the report


def test_the_report_says_what_is_proved() -> None:
    found = dl.explore(dl.formula(*TWO_PI_BOWL), start=[0.3], steps=200, survey_starts=200)
    assert found.answers.found.startswith("Yes, that is proved. ")
    assert found.answers.found.endswith("Its value, -0.76208, is the lowest in the box.")
    assert found.answers.others.endswith("It is proved that the box holds no others.")
    assert "proof" in found.seconds
    page = found.html()
    section = page[page.index("<h2>What is proved</h2>") : page.index("<h2>Do it again</h2>")]
    assert "Found 4 of the 4 certified minima." in section
    assert section.count("<tr") == 1 + 4
    assert "Proved: f has 4 minima and 3 maxima inside the box, and no others." in section
    assert "at most 4 ulp" in section
    assert "--save certificate.json\ndescentlab certify --verify certificate.json" in section
    assert "a count, not a proof" not in page


def test_the_report_names_what_no_start_reached() -> None:
    found = dl.explore(dl.landscape("rastrigin"), start=[0.3, 1.2], learning_rate=0.001, survey_starts=60)
    assert found.survey.matched is not None
    missed = len(found.survey.matched.missed)
    assert found.answers.others.endswith(
        f"It is proved that there are {missed} more, which no start reached."
    )
    page = found.html()
    assert "a count, not a proof" in page
    assert page.count('<td class="share">no start</td>') >= 20


def test_the_report_of_what_cannot_be_proved_says_why() -> None:
    found = dl.explore(
        dl.function(lambda x: (x[0] - 0.5) ** 2, domain={"x": (-2, 2)}),
        start=[0.3],
        steps=20,
        survey_starts=20,
    )
    assert found.answers.found.startswith(("Nearly", "Yes, as far as is known."))
    page = found.html()
    section = page[page.index("<h2>What is proved</h2>") : page.index("<h2>Do it again</h2>")]
    assert "Nothing is proved: a proof needs a formula" in section
    assert "--verify" not in section
    assert "a count, not a proof" in page
