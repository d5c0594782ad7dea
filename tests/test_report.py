"""The report: what it says, that it stands alone, and that nothing in it escapes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import descentlab as dl
from descentlab.cli import main
from descentlab.cli.read import read_objective
from descentlab.report import Exploration, as_data, explore
from descentlab.report.pictures import survey_kinds
from descentlab.report.render import evidence, number, prose, step_table, thinned

HOSTILE = '</script><script>alert("x")</script><img src=x onerror=y>&'
VOID = {"meta", "br", "hr", "img", "link", "input", "path", "use", "image"}


@pytest.fixture(scope="module")
def course() -> Exploration:
    return explore(dl.formula("cos(2*pi*x) + x**2", domain={"x": (-2, 2)}), start=[0.0])


@pytest.fixture(scope="module")
def page(course: Exploration) -> str:
    return course.html()


def words_of(html: str) -> str:
    """Return the words of a page as a reader sees them, without figures and data."""
    html = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", html).replace("−", "-")
    return " ".join(text.split())


class Reader(HTMLParser):
    """Collects the elements of a page, and insists that they are properly nested."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def data_of(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


# The main job


def test_the_course_example_is_explained_from_computed_evidence(course: Exploration, page: str) -> None:
    said = words_of(page)
    verdict = course.descent.verdicts[0]
    assert verdict.outcome == "maximum"
    assert verdict.evidence["gradient_norm"] == 0.0
    # f″(0) = 2 − 4π²
    assert verdict.evidence["eigenvalues"][0] == pytest.approx(2 - 4 * np.pi**2, rel=1e-12)
    assert "the derivative is exactly 0" in said
    assert "sits on a maximum" in said
    assert "cannot move" in said
    assert "-37.4784, negative" in said
    escape = verdict.evidence["escape"]
    assert f"in about {int(np.ceil(escape['steps_predicted']))} steps" in said
    assert f"observed: {escape['steps_observed']}" in said
    assert abs(escape["steps_observed"] - escape["steps_predicted"]) <= 2
    assert "found four minima" in said
    assert "mirror pair, are x = ±0.4758" in said


def test_the_nudged_descent_is_the_escape_that_was_predicted(course: Exploration) -> None:
    assert course.nudged is not None
    escape = course.descent.verdicts[0].evidence["escape"]
    distance = np.abs(course.nudged.points[0, :, 0])
    assert distance[0] == escape["nudge"]
    assert int((distance >= escape["radius"]).argmax()) == escape["steps_observed"]
    assert course.nudged.verdicts[0].outcome == "minimum"


def test_other_functions_get_other_answers() -> None:
    """Nothing about the course's example is built in."""
    found = explore(dl.formula("cos(3*t) + t^2/2", domain={"t": (-4, 4)}), start=[0.0], survey_starts=200)
    assert "sits on a maximum" in found.answers.found
    # f″(0) = 1 − 9
    assert found.descent.verdicts[0].evidence["eigenvalues"] == [-8.0]
    assert (
        f"found {['no', 'one', 'two', 'three', 'four'][len(found.survey.minima)]} minim"
        in found.answers.others
    )
    right = explore(
        dl.formula("x^2 - x", domain={"x": (-2, 2)}), start=[1.0], learning_rate=0.1, survey_starts=20
    )
    assert right.answers.found.startswith("Yes")
    assert "Nothing has to change" in right.answers.change
    wrong = explore(dl.landscape("peaks"), start=[0, 1.4], survey_starts=200)
    assert wrong.answers.found.startswith("No, only a local minimum.")
    assert "-6.5511" in wrong.answers.found
    assert "estart" in wrong.answers.change
    lost = explore(
        dl.formula("log(x)", domain={"x": (0.01, 2)}), start=[0.5], learning_rate=1, survey_starts=20
    )
    assert lost.answers.found.startswith("No.")
    kink = explore(
        dl.formula("abs(x)", domain={"x": (-2, 2)}), start=[0.55], learning_rate=0.1, survey_starts=20
    )
    assert kink.answers.found.startswith("Nearly")


def test_a_start_is_drawn_from_the_seed() -> None:
    f = dl.formula("x^2")
    starts = [explore(f, steps=2, survey_starts=5, seed=seed).descent.starts[0, 0] for seed in (1, 1, 2)]
    assert starts[0] == starts[1] != starts[2]


# The page


def test_the_page_is_well_formed_and_stands_alone(page: str) -> None:
    elements = read(page).elements
    for tag, attributes in elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
                assert str(value).startswith(("#", "data:image/")), (tag, name, str(value)[:80])
    styles = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    assert "@import" not in page
    assert "url(" not in styles
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    # Addresses stand in the names of XML namespaces only, which nothing loads.
    addresses = re.findall(r'(\S*)="?https?://', re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))
    assert {name.split(":")[0] for name in addresses} <= {"xmlns"}
    scripts = [attributes for tag, attributes in elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}]


def test_ids_are_unique(page: str) -> None:
    ids = [attributes["id"] for _, attributes in read(page).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def mathml(page: str) -> Iterator[ElementTree.Element]:
    for source in re.findall(r"<math\b.*?</math>", page, re.DOTALL):
        yield ElementTree.fromstring(source)


def test_the_mathematics_is_well_formed_mathml(page: str) -> None:
    formulas = ["".join(element.itertext()) for element in mathml(page)]
    assert "f(x)=x2+cos(2πx)" in formulas
    assert "dfdx=2x−2πsin(2πx)" in formulas
    assert len(formulas) > 8


def test_the_figures_are_well_formed_svg(page: str) -> None:
    figures = re.findall(r"<svg\b.*?</svg>", page, re.DOTALL)
    assert len(figures) == 8
    for source in figures:
        assert ElementTree.fromstring(source).get("aria-label")


def test_the_page_holds_all_the_data(course: Exploration, page: str) -> None:
    data = data_of(page)
    assert data == json.loads(json.dumps(as_data(course)))
    assert np.array(data["descent"]["points"]).tobytes() == course.descent.points.tobytes()
    assert np.array(data["nudged"]["values"]).shape == (1, 1001)
    assert len(data["survey"]["start_points"]) == 1000
    assert sum(data["survey"]["outcomes"].values()) == 1000


def test_the_page_tells_how_to_do_it_again(course: Exploration, page: str) -> None:
    said = words_of(page).replace("&#39;", "'").replace("&#34;", '"')
    assert course.command in said
    assert "seed 0" in said
    assert f"descentlab {dl.__version__}" in said
    scope: dict[str, Any] = {}
    lines = re.findall(r"<pre><code>(import.*?)</code>", page, re.DOTALL)[0]
    exec(lines.replace("&#39;", "'").replace("&#34;", '"'), scope)
    assert scope["result"].descent.ends.tobytes() == course.descent.ends.tobytes()
    assert scope["run"].points.tobytes() == course.descent.points.tobytes()
    assert scope["found"].ends.tobytes() == course.survey.ends.tobytes()


def test_hostile_labels_and_notes_are_escaped() -> None:
    f = dl.formula("x^2 + y^2", domain={"x": (-1, 1), "y": (-1, 1)}, label=HOSTILE)
    html = explore(f, start=[0.5, 0.5], steps=5, survey_starts=5).html()
    reader = read(html)
    assert [tag for tag, _ in reader.elements if tag in ("script", "img")] == ["script"]
    assert "alert(" not in "".join(tag for tag, _ in reader.elements)
    assert data_of(html)["objective"]["label"] == HOSTILE
    assert HOSTILE not in html


@pytest.mark.parametrize("name", ["x<b>", "</math>"])
def test_hostile_variable_names_are_refused_or_escaped(name: str) -> None:
    import jax.numpy as jnp

    f = dl.function(lambda v: jnp.sum(v**2), domain={name: (-1, 1)}, label="bowl")
    html = explore(f, start=[0.5], steps=3, survey_starts=3).html()
    assert "<b>" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL).replace("<b>Rule", "")
    list(mathml(html))
    read(html)


def test_past_two_variables_it_says_that_nothing_can_be_seen() -> None:
    html = explore(dl.landscape("rastrigin", dim=4), steps=20, survey_starts=20).html()
    assert "A landscape of 4 variables cannot be seen" in words_of(html)
    read(html)


def test_a_descent_that_exploded_has_a_report_too() -> None:
    found = explore(dl.landscape("rosenbrock", dim=4), survey_starts=20)
    assert found.descent.verdicts[0].outcome == "diverged"
    html = found.html()
    read(html)
    assert "diverged" in words_of(html)


def test_a_figure_that_cannot_be_drawn_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OverflowError("<too large>")

    monkeypatch.setattr("descentlab.figures.draw_survey", fail)
    html = explore(dl.formula("x^2"), start=[1.0], steps=3, survey_starts=3).html()
    assert "This figure could not be drawn (OverflowError: &lt;too large&gt;)." in html
    read(html)


def test_a_python_function_has_a_report_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import jax.numpy as jnp\ndef bowl(v):\n    return jnp.sum(v**2)\n")
    f = read_objective(f"{tmp_path}/mine.py:bowl", ["x=-1:1"])
    found = explore(f, start=[0.5], learning_rate=0.25, steps=40, survey_starts=20)
    assert found.explanation is None
    assert found.command == ""
    html = found.html()
    assert "automatic differentiation" in words_of(html)
    read(html)


def test_the_command_writes_the_file_and_a_short_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["explore", "cos(2*pi*x) + x**2", "--domain", "x=-2:2", "--start", "0", "--survey-starts", "200"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert (tmp_path / "explore.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "The whole report: explore.html" in out
    assert "sits on a maximum" in out
    assert "±0.4758" in out
    assert len(out.splitlines()) < 45
    assert main([*words, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["descent"]["outcomes"] == ["maximum"]
    assert {
        "objective",
        "explanation",
        "descent",
        "nudged",
        "survey",
        "answers",
        "seconds",
        "versions",
    } <= set(data)


# The survey


@pytest.mark.parametrize(
    ("f", "settings", "kinds"),
    [
        (dl.formula("x^2"), {}, ("steps",)),
        (dl.landscape("himmelblau"), {}, ("waterfall", "steps")),  # equally low, so no restarts to speak of
        (dl.formula("cos(2*pi*x) + x^2"), {}, ("best_of", "waterfall", "steps")),
        (dl.landscape("rastrigin", 3), {}, ("parallel", "best_of", "waterfall", "steps")),
        (
            dl.formula("x^4 - 3x^2 + x + sin(5x)"),
            {"learning_rate": 0.035, "bounds": "free", "steps": 300},
            ("outcomes", "best_of", "waterfall", "steps"),
        ),
        (dl.formula("x + 0*y"), {"bounds": "free", "steps": 20}, ("outcomes",)),
    ],
    ids=["one", "equal", "several", "many variables", "failures", "nothing"],
)
def test_the_report_draws_what_suits_the_survey(
    f: dl.Objective, settings: dict[str, Any], kinds: tuple[str, ...]
) -> None:
    assert survey_kinds(dl.survey(f, 200, **settings)) == kinds


def test_the_survey_is_judged_and_its_figures_are_there(course: Exploration, page: str) -> None:
    said = words_of(page)
    assert course.survey.seriousness in said
    assert "The box holds no other minima: that is proved below." in said
    titles = " ".join(re.findall(r"<!-- (.*?) -->", page))
    for title in ("where they ended", "probability that one of them is the best", "how many steps they took"):
        assert title in titles
    # Not overloaded: two figures are folded away.
    assert len(re.findall(r"<details>\s*<summary>(?:All starts|How many steps)", page)) == 2


# Pieces


def test_numbers_are_set_for_reading() -> None:
    assert str(number(-1.5e-7)) == "−1.5·10<sup>−7</sup>"
    assert str(number(12345)) == "12,345"
    assert str(number(-0.0)) == "0"
    assert str(number(float("nan"))) == "undefined"
    assert str(number(float("-inf"))) == "−∞"
    assert str(number("<b>")) == "&lt;b&gt;"
    assert str(prose("f(x) < -1 at 2e+10; x-1, (-2)")) == "f(x) &lt; −1 at 2·10<sup>10</sup>; x-1, (−2)"


def test_long_tables_are_thinned_and_keep_both_ends() -> None:
    for last in (0, 5, 23, 24, 100, 100_000):
        kept = thinned(last)
        assert kept == sorted(set(kept))
        assert (kept[0], kept[-1]) == (0, last)
        assert len(kept) <= 24
    assert thinned(100)[:8] == list(range(8))


def test_the_step_table_counts_the_steps_that_change_nothing(course: Exploration) -> None:
    still = step_table(course.descent)
    assert (still["still"], len(still["rows"])) == (1000, 1)
    assert course.nudged is not None
    moved = step_table(course.nudged)
    assert moved["last"] + moved["still"] == 1000
    points = course.nudged.points[0]
    assert (points[moved["last"]] == points[-1]).all()
    assert (points[moved["last"] - 1] != points[-1]).any()


def test_evidence_has_readable_labels(course: Exploration) -> None:
    labels = [label for label, _ in evidence(course)]
    assert not [label for label in labels if "_" in label]
    assert "steps to leave, predicted" in labels


def test_plain_data() -> None:
    given = {
        "a": np.array([1.0, np.nan]),
        "b": (np.float64("-inf"), np.int64(3), None, True),
        "c": np.str_("x"),
    }
    assert as_data(given) == {"a": [1.0, "NaN"], "b": ["-Infinity", 3, None, True], "c": "x"}
    assert all(type(v) is not np.float64 for v in as_data(given)["a"])
