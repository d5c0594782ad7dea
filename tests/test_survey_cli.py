"""The survey command: its options, what it prints, the live view, and Ctrl-C."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.cli import live, main
from descentlab.survey import Snapshot

WAVES = ["cos(2*pi*x) + x^2", "--domain", "x=-2:2"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        status = main(["survey", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


# Options


def test_the_options_reach_the_survey_and_are_said_again(run: Run) -> None:
    options = ["--starts=300", "--precision=float32", "--seed=3"]
    data = json.loads(run(*WAVES, *options, "--json")[1])
    f = dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)})
    expected = dl.survey(f, 300, precision="float32", seed=3)
    assert np.array(data["ends"]).tobytes() == expected.ends.tobytes()
    assert (data["precision"], data["design"], data["stopped"]) == ("float32", "uniform", "")
    assert "--precision=float32" in data["command"]
    assert "precision='float32'" in data["python"]
    again = json.loads(run(*shlex.split(data["command"])[2:], "--json")[1])
    assert again["ends"] == data["ends"]


def test_a_design_of_starts_is_an_option(run: Run) -> None:
    data = json.loads(run(*WAVES, "--starts=256", "--design=sobol", "--json")[1])
    starts = np.array(data["start_points"])[:, 0]
    # A Sobol' sequence has one point in each of 256 equal parts; independent starts have not.
    assert len(np.unique(np.floor((starts + 2) / 4 * 256))) == 256
    assert data["design"] == "sobol"
    assert "--design=sobol" in data["command"]


def test_a_condition_stops_the_survey(run: Run) -> None:
    data = json.loads(run(*WAVES, "--starts=100000", "--until=unseen<0.01", "--json")[1])
    assert data["starts_count"] < 100_000
    assert data["stopped"] == "until unseen<0.01"
    assert "because unseen<0.01 holds" in data["sentence"]
    assert data["unseen_interval"][1] < 0.01
    assert "--until='unseen<0.01'" in data["command"]


def test_the_json_has_what_the_counts_say(run: Run) -> None:
    data = json.loads(run(*WAVES, "--starts=200", "--json")[1])
    assert data["elsewhere"] == {}
    assert data["expected_minima"] >= len(data["minima"]) == 4
    assert 4 <= data["most_minima"] <= 6
    assert 0.9 < data["chance_all_seen"] < 1
    assert data["restarts"]["0.5"] <= data["restarts"]["0.95"] <= data["restarts"]["0.99"]
    assert data["seriousness"] in data["sentence"]


def test_the_table_tells_hits_shares_and_steps(run: Run) -> None:
    status, out, err = run("peaks", "--starts", "2000")
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines()[:-1])) <= 80
    head = next(line for line in out.splitlines() if "hits" in line)
    assert head.split()[:2] == ["(x,", "y)"]
    for name in ("f", "kind", "hits", "share", "95 %", "steps"):
        assert name in head
    rows = [line for line in out.splitlines() if re.search(r"interior|boundary", line)]
    assert len(rows) == 6
    hits = [int(re.search(r"(?:interior|boundary)\s+([\d,]+)", row)[1].replace(",", "")) for row in rows]  # type: ignore[index]
    assert sum(hits) == 2000
    for said in ("minima there are         the 6 found, which is proved", "restarts for the lowest"):
        assert said in out
    estimates = run("rastrigin", "--dim", "4", "--starts", "50")[1]
    for said in ("lead to minima not seen", "all minima were seen", "minima there are"):
        assert said in estimates


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*WAVES, "--until", "unseen<2"], "between 0 and 1"),
        ([*WAVES, "--until", "tired"], "unseen<0.001"),
        ([*WAVES, "--design", "sobl"], "Did you mean 'sobol'?"),
        ([*WAVES, "--kind", "steps"], "--plot"),
        ([*WAVES, "--kind", "stairs", "--plot", "a.png"], "waterfall"),
        ([*WAVES, "--kind", "parallel", "--plot", "a.png"], "three variables"),
        (["rastrigin", "--dim", "3", "--kind", "outcomes", "--plot", "a.png"], "one or two variables"),
    ],
)
def test_refusals(run: Run, words: list[str], said: str) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert said in err


def test_a_kind_of_figure_is_drawn(run: Run, tmp_path: Path) -> None:
    assert run(*WAVES, "--starts=100", "--plot", "w.svg", "--kind", "waterfall")[0] == 0
    assert "where the starts ended" in re.sub(r"<[^>]+>", "", _svg_text(tmp_path / "w.svg"))


def _svg_text(path: Path) -> str:
    """Return a figure's text: matplotlib writes every string as a comment before its outlines."""
    return " ".join(re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8")))


# The live view

SEEN = Snapshot(410_000, 1_000_000, 400_000, 12.0, 3, -6.5511, 0.0, 0.000_01, 0.99)


def drawn(view: live.SurveyView, width: int = 80) -> list[str]:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width).print(view)
    return out.getvalue().rstrip().splitlines()


def test_the_view_says_what_was_done_and_found() -> None:
    view = live.SurveyView()
    assert "on their way" in drawn(view)[1]
    view(SEEN)
    lines = drawn(view)
    assert "41 %" in lines[0]
    assert "about 0:18 left" in lines[0]  # 590,000 more at 33,333 a second
    assert lines[1].strip() == "410,000 of 1,000,000 starts, 33,300 a second"
    assert lines[2].strip() == "3 minima, the lowest -6.5511; at most 0.001 % of starts lead to others"
    assert len(lines) == 3
    for width in (40, 80):
        assert len(drawn(view, width)) == 3
        assert max(map(len, drawn(view, width))) <= width
    view(replace(SEEN, minima=0, best=None))
    assert "no minimum yet" in drawn(view)[2]


def test_with_a_condition_no_end_is_foretold() -> None:
    view = live.SurveyView("unseen<0.001")
    view(SEEN)
    assert "left" not in drawn(view)[0]
    assert drawn(view)[3].strip() == "until unseen<0.001"


def test_a_view_that_was_asked_to_stop_interrupts_only_what_is_unfinished() -> None:
    view = live.SurveyView()
    view.stopping = True
    view(replace(SEEN, starts=SEEN.total))
    with pytest.raises(KeyboardInterrupt):
        view(SEEN)
    assert "Ctrl-C again" in drawn(view)[-1]


def test_the_handler_of_ctrl_c_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with live.surveying() as view:
        os.kill(os.getpid(), signal.SIGINT)
        assert view.stopping
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_nothing_is_shown_where_nobody_watches(run: Run) -> None:
    assert run(*WAVES, "--starts=50")[2] == ""


class Terminal:
    """A command at a terminal of 80 columns."""

    def __init__(self, *words: str) -> None:
        self.seen = ""
        self.fd, theirs = pty.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        # No pty.fork: JAX warns of forks of a process with threads.
        self.work = subprocess.Popen(
            [sys.executable, "-m", "descentlab", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
        )
        os.close(theirs)

    def wait_for(self, text: str, seconds: float = 120.0) -> None:
        """Read until `text` is on the screen."""
        until = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < until, self.seen[-2000:]
            assert self._read(), self.seen[-2000:]

    def _read(self) -> bool:
        if not select.select([self.fd], [], [], 1.0)[0]:
            return True
        try:
            data = os.read(self.fd, 65_536)
        except OSError:
            return False
        self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode(errors="replace"))
        return bool(data)

    def end(self) -> int:
        """Read the rest; return the exit status."""
        while self._read():
            pass
        os.close(self.fd)
        return self.work.wait()


@pytest.mark.slow
def test_ctrl_c_at_a_terminal_leaves_a_result() -> None:
    terminal = Terminal("survey", "peaks", "--starts", "100000000")
    terminal.wait_for("of 100,000,000 starts")
    terminal.work.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    said = " ".join(terminal.seen.split())
    assert "Ctrl-C again stops at once" in said
    assert re.search(r"It was interrupted at [\d,]+ of 100,000,000 starts", said)
    assert "6 minima were found" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_an_interrupt_without_a_terminal_leaves_json_and_a_store_to_go_on_from(tmp_path: Path) -> None:
    store = tmp_path / "store"
    survey = ["survey", "peaks", "--starts", "100000000", "--store", str(store), "--json"]
    work = subprocess.Popen(
        [sys.executable, "-m", "descentlab", *survey],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 120
    while not list(store.glob("*.parquet")):
        assert time.monotonic() < until
        assert work.poll() is None
        time.sleep(0.1)
    work.send_signal(signal.SIGINT)
    out, err = work.communicate(timeout=120)
    assert work.returncode == 130
    data: dict[str, Any] = json.loads(out)
    assert data["stopped"] == "interrupted"
    assert 0 < data["starts_count"] < 100_000_000
    assert sum(data["outcomes"].values()) == data["starts_count"]
    assert "the same command goes on from there" in data["sentence"]
    assert "Ctrl-C again" in err
