"""The commands certify, minimize and maximize: options, what they print, files, statuses, and progress."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import descentlab as dl
from descentlab.cli import main, proofs, show_proofs

WAVES = ["cos(2*pi*x) + x^2", "--domain", "x=-2:2"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        status = main(words)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def words_of(text: str) -> str:
    return " ".join(text.split())


# certify


def test_a_certificate_is_printed_for_people(run: Run) -> None:
    status, out, err = run("certify", *WAVES)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines()[:-1])) <= 80
    said = words_of(out)
    assert "Proved: f has 4 minima and 3 maxima inside the box, and no others." in said
    rows = re.findall(r"^\s*(-?[\d.]+)\s+(-?[\d.]+)\s+inside", out, re.MULTILINE)
    assert len(rows) == 4
    values = [float(value) for _, value in rows]
    assert values == sorted(values)
    assert abs(values[0] + 0.76208) < 1e-5
    assert "-0.762076545259" in said
    assert re.search(r"\(1[234] digits proved\)", said)
    assert "err by at most 4 ulp" in said
    assert re.search(r"took \d+ boxes, [\d.]+ s", said)
    assert out.splitlines()[-1] == "Again: descentlab certify 'cos(2*pi*x) + x^2' --domain x=-2:2"


def test_undecided_regions_are_told_with_their_reason(run: Run) -> None:
    said = words_of(run("certify", "abs(x) + y^4", "--domain=-1:2")[1])
    assert re.search(r"undecided around \(x, y\) = \(0, 0\), \S+ wide: the gradient jumps in it", said)
    assert "0 to within" in said
    said = words_of(run("certify", "abs(x)", "--domain", "x=-1:2")[1])
    assert "a minimum lies in it" in said
    assert re.search(r"0 0 at a kink", said)


def test_minima_on_the_edge_are_called_so(run: Run) -> None:
    out = run("certify", "x + y^2", "--domain=-1:2")[1]
    assert re.search(r"-1, 0\s+-1\s+on the edge", out)


def test_json_has_the_certificates_fields(run: Run) -> None:
    status, out, _ = run("certify", *WAVES, "--json", "--boxes=1e5", "--seconds=30")
    data = json.loads(out)
    c = dl.certify(dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)}))
    assert status == 0
    assert data["counts"] == c.counts == {"minimum": 4, "maximum": 3, "saddle": 0}
    assert [p["box"] for p in data["points"]] == [p.box.tolist() for p in c.points]
    assert data["lowest"]["interval"] == list(c.lowest.interval)
    assert data["complete"] is True
    assert "--boxes=100000" in data["command"]
    assert "--seconds=30" in data["command"]
    again = json.loads(run(*shlex.split(data["command"])[1:], "--json")[1])
    assert again["points"] == data["points"]


def test_the_limits_reach_the_proof(run: Run) -> None:
    said = words_of(run("certify", "peaks", "--boxes=300")[1])
    assert "limit" in said
    assert "Proved so far" in said or "undecided" in said


def test_a_certificate_is_saved_and_drawn_and_verified(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("flint")
    status, out, _ = run("certify", *WAVES, "--recheck", "arb", "--save", "c.json", "--plot", "c.svg")
    assert status == 0
    assert "Written: c.json" in out
    assert "each point, by python-flint" in out
    assert (tmp_path / "c.svg").stat().st_size > 1000
    status, out, err = run("certify", "--verify", "c.json")
    assert (status, err) == (0, "")
    assert re.search(r"completeness\s+holds", out)
    assert "Verified: 6 claims hold." in out
    assert max(map(len, out.splitlines())) <= 80
    data = json.loads(run("certify", "--verify", "c.json", "--json")[1])
    assert data["verified"] is True
    assert {claim["outcome"] for claim in data["claims"]} == {"holds"}


def test_a_tampered_certificate_has_status_1(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("flint")
    run("certify", *WAVES, "--save", "c.json")
    file = tmp_path / "c.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    data["points"][0]["kind"] = "maximum"
    file.write_text(json.dumps(data), encoding="utf-8")
    status, out, err = run("certify", "--verify", "c.json")
    assert (status, err) == (1, "")
    assert "Not verified: counts and decimals" in words_of(out)
    assert re.search(r"points\s+fails\s+number 1, the maximum at x = -?0.4", out)
    file.write_text("{}", encoding="utf-8")
    status, out, err = run("certify", "--verify", "c.json")
    assert (status, out) == (2, "")
    assert "'format' must be there" in err


def test_little_time_leaves_claims_unchecked(run: Run) -> None:
    pytest.importorskip("flint")
    run("certify", *WAVES, "--save", "c.json")
    status, out, _ = run("certify", "--verify", "c.json", "--boxes=5")
    assert status == 0
    assert re.search(r"completeness\s+not checked\s+it would take too many boxes", out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["certify"], "--verify FILE"),
        (["certify", *WAVES, "--recheck", "mpfi"], "by 'arb', not by 'mpfi'"),
        (["certify", *WAVES, "--boxes", "0"], "limit on boxes"),
        (["certify", *WAVES, "--seconds=-1"], "positive"),
        (["certify", *WAVES, "--save", "c.txt"], "must end in .json"),
        (["certify", *WAVES, "--plot", "c.txt"], "must end in .png"),
        (["certify", "x^2", "--verify", "c.json"], "without a formula"),
        (["certify", "--verify", "c.json", "--save", "d.json"], "without --save"),
        (["certify", "--verify", "none.json"], "cannot be read"),
        (["certify", "--verify", "none.json", "--boxes", "0"], "must be positive"),
        (["minimize", *WAVES, "--starts", "0"], "starts from 1 on"),
        (["minimize", *WAVES, "--seconds", "soon"], "number of seconds 'soon'"),
    ],
)
def test_refusals(run: Run, words: list[str], said: str) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert said in err


def test_a_python_function_cannot_be_certified(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def f(x):\n    return (x**2).sum()\n", encoding="utf-8")
    status, out, err = run("certify", "mine.py:f", "--domain", "x=-1:1")
    assert (status, out) == (2, "")
    assert "A proof needs a formula" in err


# minimize and maximize


def test_the_lowest_point_is_printed(run: Run) -> None:
    status, out, err = run("minimize", *WAVES)
    assert (status, err) == (0, "")
    said = words_of(out)
    assert re.search(r"x -?0\.47\d{10,} f -0\.76207654525\d+ lowest value -0\.762076545", said)
    assert "digits proved" in said
    assert re.search(r"attained at (-0\.47\d+, 0\.47|0\.47\d+, -0\.47)", said)
    assert "Proved: the lowest value in the box lies in" in said
    assert out.splitlines()[-1] == "Again: descentlab minimize 'cos(2*pi*x) + x^2' --domain x=-2:2"


def test_the_highest_point_is_printed(run: Run) -> None:
    said = words_of(run("maximize", "x*(1 - x)", "--domain", "x=0:1")[1])
    assert "x 0.5 f 0.25 highest value 0.25" in said
    assert said.endswith("Again: descentlab maximize 'x*(1 - x)' --domain x=0:1")


def test_minimize_as_json(run: Run) -> None:
    data = json.loads(run("minimize", *WAVES, "--json", "--seed=3", "--starts=50")[1])
    found = dl.minimize(dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)}), seed=3, starts=50)
    assert data["proved"] is True
    assert data["x"] == found.x.tolist()
    assert data["fun_interval"] == list(found.fun_interval or ())
    assert len(data["minimizers"]) == 2
    assert data["survey"] is None
    assert "--starts=50" in data["command"]
    assert "--seed=3" in data["command"]


def test_what_is_not_proved_is_said_and_is_done(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("minimize", "peaks", "--boxes=1", "--starts=20")
    said = words_of(out)
    assert status == 0
    assert "Not proved: " in said
    assert re.search(r"lowest value not proved; in \[-[\d.e+]+, -6.55113333", said)
    (tmp_path / "mine.py").write_text("def f(x):\n    return ((x - 1)**2).sum()\n", encoding="utf-8")
    data = json.loads(run("minimize", "mine.py:f", "--domain", "x=-2:2", "--starts=20", "--json")[1])
    assert data["proved"] is False
    assert abs(data["x"][0] - 1) < 1e-6
    assert data["certificate"] is None


# Numbers for people


def test_digits_are_those_both_bounds_share() -> None:
    for low, high, digits in (
        (1.2344, 1.2346, 3),
        (-0.5, -0.5, 17),
        (1.0, 2.0, 1),
        (-1e-9, 1e-9, 0),
        (0.0, 1e-9, 0),
    ):
        assert show_proofs._digits(low, high) == digits
    assert show_proofs._interval((-np.inf, 2.0), False) == "not proved; in [-inf, 2.0]"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_once_it_takes_time(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with proofs._proving("certifying") as watch:
        assert watch is not None
        watch(100, 50, 1)
        assert screen.getvalue() == ""
        watch.began -= proofs.QUIET_SECONDS
        watch(1234, 567, 8)
        watch.display.refresh()  # type: ignore[union-attr]
        assert "Certifying: 1,234 boxes, 567 left, 8 points" in screen.getvalue()
    assert watch.display is not None
    assert watch.display.finished or not watch.display.live.is_started


def test_nothing_is_shown_where_no_one_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with proofs._proving("certifying") as watch:
        assert watch is None
