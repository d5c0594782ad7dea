"""The command line: what it accepts, what it prints, and how it refuses."""

from __future__ import annotations

import gc
import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentlab as dl
from descentlab.cli import main
from descentlab.cli.read import (
    read_domain,
    read_number,
    read_objective,
    read_range,
    read_rates,
    read_start_grid,
    read_step_counts,
)
from descentlab.errors import InputError

COMMANDS = (
    "explore",
    "derive",
    "descend",
    "ascend",
    "sweep",
    "survey",
    "basins",
    "landscapes",
    "optimizers",
)
BOWL = ["3x^2 - 3x + 4", "--domain", "x=-2:2"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process, in an empty folder; give status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        status = main(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def strict(text: str) -> Any:
    """Read JSON that holds no NaN and no infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


# Refusals


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["derive", "foo("], "never closed"),
        (["derive", "__import__('os')"], ""),
        (["derive", "sine(x)"], "Did you mean 'sin'?"),
        (["derive", ""], "empty"),
        (["derive", "peeks"], "Did you mean 'peaks'?"),
        (["descend", *BOWL, "--optimizer", "adm"], "Did you mean 'adam'?"),
        (["descend", *BOWL, "--optimizer", "adam", "--parameter", "decay=0.9"], "no parameter 'decay'"),
        (["descend", *BOWL, "--parameter", "decay"], "written decay=0.9"),
        (["descend", *BOWL, "--optimizer", "momentum", "--parameter", "decay=1.5"], "below 1"),
        (["descend", "x^2", "--domain", "x=2:2"], "empty"),
        (["descend", "x^2", "--domain", "x=2:-2"], "reversed"),
        (["descend", "x^2", "--domain", "y=0:1"], "not a variable"),
        (["descend", "x^2", "--domain", "x=0"], "x=-2:2"),
        (["descend", "x^2", "--domain", "x=a:b"], "not a number"),
        (["descend", "x^2", "--domain", "x=0:inf"], "finite"),
        (["descend", "x^2", "--domain", "x=0:1", "--domain", "x=0:2"], "twice"),
        (["descend", *BOWL, "--start=0,1"], "1 coordinate"),
        (["descend", *BOWL, "--start=nan"], "finite number"),
        (["descend", *BOWL, "--start=0", "--start=0,1"], "different numbers"),
        (["descend", *BOWL, "--start=0", "--starts=3"], "not both"),
        (["descend", *BOWL, "--starts=0"], "number of starts"),
        (["descend", *BOWL, "--starts=1.5"], "whole number"),
        (["descend", *BOWL, "--learning-rate", "0"], "positive"),
        (["descend", *BOWL, "--learning-rate=-0.1"], "positive"),
        (["descend", *BOWL, "--learning-rate", "nan"], "positive"),
        (["descend", *BOWL, "--learning-rate", "tim:0.1"], "learning rate"),
        (["descend", *BOWL, "--steps", "0"], "number of steps"),
        (["descend", *BOWL, "--steps", "many"], "number of steps"),
        (["descend", *BOWL, "--steps", "1e300"], "number of steps"),
        (["descend", *BOWL, "--tolerance=-1"], "tolerance"),
        (["descend", *BOWL, "--bounds", "clp"], "Did you mean 'clip'?"),
        (["descend", *BOWL, "--precision", "float16"], "precision"),
        (["descend", *BOWL, "--record", "some"], "record"),
        (["descend", *BOWL, "--seed=-1"], "seed"),
        (["descend", *BOWL, "--starts", "1000000", "--steps", "1000000"], "GiB"),
        (["descend", *BOWL, "--plot", "picture.bmp"], ".png"),
        (["descend", *BOWL, "--plot", "nowhere/picture.png"], "no folder"),
        (["explore", *BOWL, "--output", "nowhere/report.html"], "no folder"),
        (["explore", *BOWL, "--output", "report.docx"], ".html"),
        (["explore", *BOWL, "--start=0", "--start=1"], "one --start"),
        (["sweep", *BOWL, "--learning-rate", "1:0.1:5"], "reversed"),
        (["sweep", *BOWL, "--learning-rate", "0:1:5log"], "above zero"),
        (["sweep", *BOWL, "--learning-rate", "0.1:1"], "LOW:HIGH:COUNT"),
        (["sweep", *BOWL, "--start=0:1:1"], "values"),
        (["survey", *BOWL, "--starts", "0"], "number of starts"),
        (["landscapes", "peeks"], "Did you mean 'peaks'?"),
        (["optimizers", "adm"], "Did you mean 'adam'?"),
        (["derive", "x^2", "--dim", "3"], "--dim"),
        (["survey", "peaks", "--dim", "3"], "2 variables"),
        (["derive", "missing.py:f"], "no file"),
        (["descend", *BOWL, "--stepz", "3"], "--steps"),
        (["descend"], "Missing argument"),
        (["descent", "x^2"], "No such command"),
    ],
)
def test_unusable_input_is_one_clear_line_and_status_2(run: Run, words: list[str], said: str) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not set("╭│╰") & set(err)
    # One line; a formula's error shows the formula and a caret in two more. The last says where to read on, unless
    # it is the option parser's own: its message names --help.
    *lines, last = err.rstrip("\n").split("\n")
    if last.startswith("More: descentlab guide "):
        assert len(lines) == 1 or (len(lines) == 3 and lines[2].strip() == "^")
    else:
        assert lines == []
        assert "--help" in last


def test_an_unwritable_file_is_refused_before_any_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("worked before looking at the output")

    monkeypatch.setattr("descentlab.cli.read.read_objective", fail)
    Path("folder.html").mkdir()
    for path in ("folder.html", "none/x.html"):
        status, _, err = run("explore", "x^2", "--output", path)
        assert status == 2
        assert "cannot be written" in err


def test_failed_work_is_status_1_and_a_traceback_only_with_debug(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise dl.WorkError("The disk is full.")

    monkeypatch.setattr("descentlab.descent.descend", fail)
    status, out, err = run("descend", *BOWL)
    assert (status, out, err) == (1, "", "The disk is full.\n")
    with pytest.raises(dl.WorkError):
        main(["--debug", "descend", *BOWL])


def test_an_unforeseen_error_is_named_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descentlab.descent.descend", lambda *_, **__: 1 / 0)
    status, _, err = run("descend", *BOWL)
    assert status == 1
    assert err.startswith("The work failed: ZeroDivisionError")
    assert err.count("\n") == 1


def test_interruption_is_status_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("descentlab.descent.descend", interrupt)
    assert run("descend", *BOWL) == (130, "", "Interrupted.\n")


# Reading


def test_numbers_may_be_simple_constants_and_nothing_more() -> None:
    assert read_number("2*pi") == 2 * math.pi
    assert read_number("-1e-3") == -0.001
    assert read_number(" -sqrt(2)/2") == pytest.approx(-math.sqrt(0.5), abs=1e-16)
    for text in ("x", "__import__('os')", "1,2", "", "unused", "9**9**9**9"):
        with pytest.raises(InputError):
            read_number(text)


def test_domains_with_and_without_names() -> None:
    assert read_domain(["x=-2:2", "y=0:2*pi"]) == {"x": (-2, 2), "y": (0, 2 * math.pi)}
    assert read_domain(["-1:1", "y=0:3"], ["x", "y"]) == {"x": (-1, 1), "y": (0, 3)}
    f = read_objective("rastrigin", ["-1:1", "x2=-3:3"], None, 3)
    assert f.domain.tolist() == [[-1, 1], [-3, 3], [-1, 1]]
    assert read_objective("a*b", ["0:1"]).domain.tolist() == [[0, 1], [0, 1]]


def test_ranges() -> None:
    assert read_range("0.01:1:3log", "rate") == pytest.approx([0.01, 0.1, 1.0], rel=1e-14)
    assert read_range("-2:2:5", "start") == [-2, -1, 0, 1, 2]
    assert read_rates("0.1,auto,time:0.1") == [0.1, "auto", "time:0.1"]
    assert read_rates("exponential:0.1:0.99") == "exponential:0.1:0.99"
    assert read_step_counts("10,100:300:3") == [10, 100, 200, 300]
    assert read_step_counts("1e3") == 1000
    assert read_start_grid(["0:1:2,5:7:3"], None) == [[0, 5], [0, 6], [0, 7], [1, 5], [1, 6], [1, 7]]
    assert read_start_grid(["0.5"], None) == [0.5]


def test_a_formula_may_begin_with_a_minus(run: Run) -> None:
    status, out, _ = run("derive", "-x^2", "--json")
    assert status == 0
    assert strict(out)["derivatives"][0]["result"] == "-2*x"
    status, out, _ = run(
        "ascend", "-(x^2)", "--start", "-1", "--learning-rate", "0.5", "--steps", "1", "--json"
    )
    assert strict(out)["ends"] == [[0.0]]


USER_FILE = """
import descentlab as dl
import jax.numpy as jnp
from neighbour import SHIFT

def bowl(v):
    return jnp.sum((v - SHIFT) ** 2)

ready = dl.formula("x^2 + y^2", domain={"x": (-1, 1), "y": (-1, 1)})
number = 3
"""


@pytest.fixture
def user_file(tmp_path: Path) -> str:
    (tmp_path / "neighbour.py").write_text("SHIFT = 0.25\n")
    (tmp_path / "broken.py").write_text("raise RuntimeError('not today')\n")
    path = tmp_path / "mine.py"
    path.write_text(USER_FILE)
    return str(path)


def test_a_function_in_a_file(run: Run, user_file: str) -> None:
    words = [
        "--domain",
        "a=-1:1",
        "--domain",
        "b=-1:1",
        "--start=1,1",
        "--learning-rate=0.5",
        "--steps=2",
        "--json",
    ]
    status, out, _ = run("descend", f"{user_file}:bowl", *words)
    data = strict(out)
    assert status == 0
    assert data["ends"] == [[0.25, 0.25]]
    assert data["objective"]["names"] == ["a", "b"]
    assert data["objective"]["text"] is None
    status, out, _ = run("derive", f"{user_file}:ready", "--json")
    assert strict(out)["variables"] == ["x", "y"]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("mine.py:none", "There is no 'none'"),
        ("mine.py:number", "neither a function nor an objective"),
        ("mine.py:bowl", "needs a domain"),
        ("broken.py:f", "could not be imported: RuntimeError: not today"),
    ],
)
def test_a_function_that_cannot_be_used(run: Run, user_file: str, target: str, said: str) -> None:
    status, _, err = run("descend", target)
    assert status == 2
    assert said in err
    assert err.count("\n") == 2


def test_a_file_may_define_data_classes_and_be_named_like_a_library(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Bowl:
    scale: float

bowl = Bowl(3.0)

def f(v):
    return bowl.scale * v[0] ** 2
"""
    monkeypatch.chdir(tmp_path)
    library = sys.modules["random"]
    for name in ("bowls_of_data", "random"):
        Path(f"{name}.py").write_text(text)
        status, out, _ = run(
            "descend",
            f"{name}.py:f",
            "--domain=x=-1:1",
            "--start=1",
            "--learning-rate=0.1",
            "--steps=1",
            "--json",
        )
        assert status == 0
        assert strict(out)["ends"] == [pytest.approx([0.4])]
    assert sys.modules["random"] is library


def test_the_course_says_how_to_open_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path(sys.executable).parent
    monkeypatch.setenv("PATH", os.pathsep.join(p for p in os.get_exec_path() if Path(p) != here))
    said = run("course", str(tmp_path / "one"))[1]
    program = [*shlex.split(re.search(r"Jupyter: +(.*) \S+\.ipynb", said)[1]), "--version"]  # type: ignore[index]
    assert subprocess.run(program, capture_output=True, timeout=60).returncode == 0
    monkeypatch.setenv("PATH", str(here), prepend=os.pathsep)
    assert " jupyter lab " in run("course", str(tmp_path / "two"))[1]


# Doing it again

RUNS: list[Callable[[], dl.Descent]] = [
    lambda: dl.descend(dl.landscape("peaks"), start=[0, 1.4], steps=20),
    lambda: dl.ascend(
        dl.formula("S*N - N^3", domain={"S": (0, 1 / 3), "N": (-0.1, 2e-3)}, variables=["S", "N"]),
        start=[[0.1, 1e-3], [0.2, -1 / 3]],
        optimizer="momentum",
        learning_rate=0.1 / 3,
        steps=17,
        decay=0.3,
    ),
    lambda: dl.descend(
        -dl.formula("cos(x) - x^4", domain={"x": (-2, math.pi)}),
        start=3,
        learning_rate="time:0.013",
        steps=9,
        bounds="clip",
        tolerance=1e-3,
        seed=7,
        precision="float32",
    ),
    lambda: dl.descend(
        dl.formula("exp(x) - 2x"),
        optimizer="adam",
        learning_rate="exponential:0.1:0.9",
        steps=11,
        record="ends",
        beta1=0.5,
    ),
]


@pytest.mark.parametrize("number", range(len(RUNS)))
def test_the_command_a_descent_prints_does_the_same_to_the_bit(run: Run, number: int) -> None:
    descent = RUNS[number]()
    words = shlex.split(descent.command)
    assert words[0] == "descentlab"
    status, out, err = run(*words[1:], "--json")
    assert (status, err) == (0, "")
    data = strict(out)
    assert np.array(data["ends"]).tobytes() == descent.ends.tobytes()
    assert np.array(data["points"]).tobytes() == descent.points.tobytes()
    assert data["command"] == descent.command


def test_the_commands_of_surveys_and_explorations_do_the_same(run: Run) -> None:
    survey = dl.survey(dl.landscape("cosine-bowl"), starts=50, steps=300)
    status, out, _ = run(*shlex.split(survey.command)[1:], "--json")
    assert status == 0
    assert np.array(strict(out)["ends"]).tobytes() == survey.ends.tobytes()
    words = [
        "explore",
        "x^2 - x",
        "--domain",
        "x=-2:2",
        "--start=1",
        "--survey-starts=10",
        "--steps",
        "30",
        "--json",
    ]
    first = strict(run(*words)[1])
    again = strict(run(*shlex.split(first["command"])[1:], "--json")[1])
    for data in (first, again):
        del data["seconds"]
    assert first == again


# Results


def test_json_has_the_python_field_names(run: Run) -> None:
    status, out, _ = run(
        "descend", *BOWL, "--start=0", "--start=2", "--learning-rate=0.4", "--steps=2", "--json"
    )
    data = strict(out)
    assert status == 0
    assert {
        "objective",
        "ascent",
        "optimizer",
        "learning_rate",
        "steps",
        "tolerance",
        "bounds",
        "seed",
        "points",
        "values",
        "gradients",
        "learning_rates",
        "taken",
        "ends",
        "outcomes",
        "verdicts",
        "command",
        "python",
    } == set(data)
    # On 3x² − 3x + 4 the distance to 1/2 is multiplied by 1 − 6η = −1.4 a step.
    assert np.array(data["points"])[:, :, 0] == pytest.approx(
        np.array([[0, 1.2, -0.48], [2, -1.6, 3.44]]), abs=1e-12
    )
    assert set(data["verdicts"][0]) == {"outcome", "evidence", "sentence", "advice", "change"}


def test_json_of_the_other_commands(run: Run) -> None:
    data = strict(run("sweep", *BOWL, "--start=-1:1:3", "--learning-rate=0.1,0.2", "--steps=5", "--json")[1])
    assert list(data["axes"]) == ["optimizer", "start", "learning_rate", "steps"]
    assert data["varied"] == ["start", "learning_rate"]
    assert np.shape(data["ends"]) == (1, 3, 2, 1, 1)
    data = strict(run("survey", *BOWL, "--starts=20", "--json")[1])
    assert data["outcomes"] == {"minimum": 20}
    assert data["minima"][0]["point"] == pytest.approx([0.5], abs=1e-6)
    assert {"share", "share_interval", "hits", "kind", "eigenvalues", "value"} <= set(data["minima"][0])
    data = strict(run("derive", "sin(x)", "--json")[1])
    assert data["derivatives"][0]["result"] == "cos(x)"
    names = [entry["name"] for entry in strict(run("landscapes", "--json")[1])]
    assert names == [entry.name for entry in dl.landscapes()]
    assert strict(run("landscapes", "himmelblau", "--json")[1])["names"] == ["x", "y"]
    assert [row["name"] for row in strict(run("optimizers", "--json")[1])] == [
        row.name for row in dl.optimizers()
    ]


def test_json_writes_infinities_as_texts(run: Run) -> None:
    status, out, _ = run("descend", "x^3", "--start=-5", "--learning-rate", "10", "--steps", "30", "--json")
    data = strict(out)
    assert status == 0
    assert data["outcomes"] == ["diverged"]
    assert math.isinf(float(data["verdicts"][0]["evidence"]["value"]))
    assert {type(rate) for rate in data["learning_rates"][0]} == {float, str}


def test_a_descent_for_people(run: Run) -> None:
    status, out, err = run("descend", "x^2", "--start", "1", "--learning-rate", "0.25", "--steps", "60")
    assert (status, err) == (0, "")
    assert "No domain was given for x: [-5, 5] is used." in out
    assert "Descent ended at a minimum" in out
    assert "descentlab descend 'x^2' --domain x=-5:5 --start=1" in out
    assert "\x1b" not in out
    # The command to copy is the one line that may be longer.
    assert max(len(line.rstrip()) for line in out.splitlines() if not line.startswith("Again: ")) <= 80


def test_untrusted_text_is_not_read_as_markup(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text("import jax.numpy as jnp\ndef f(v):\n    return jnp.sum(v**2)\n")
    (tmp_path / "[red]x[").mkdir()
    odd = tmp_path / "[red]x[" / "[bold]mine.py"
    odd.write_text((tmp_path / "odd.py").read_text())
    status, out, err = run("descend", f"{odd}:f", "--domain", "x=-1:1", "--start=1", "--steps=3")
    assert (status, err) == (0, "")
    assert "[bold]mine.py:f" in out


def test_plots(run: Run) -> None:
    words = ["--start=0.1", "--steps=20", "--domain=x=-2:2"]
    for name, magic in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")):
        status, _, err = run("descend", "cos(2*pi*x) + x^2", *words, "--plot", name)
        assert (status, err) == (0, "")
        assert Path(name).read_bytes().startswith(magic)


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"descentlab {dl.__version__}\n", "")


# Help


def examples(command: str) -> list[str]:
    """Return the command lines in a command's docstring."""
    from descentlab.cli import basins, catalogue, runs, studies

    homes = (runs, studies, catalogue, basins)
    function = next(getattr(m, command) for m in homes if hasattr(m, command))
    return re.findall(r"^ +(descentlab .*)$", str(function.__doc__), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_that_run(run: Run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    shown = " ".join(re.sub(r"[│╭╰]", " ", out).split())
    lines = examples(command)
    assert lines
    for line in lines:
        assert line in shown
        words = shlex.split(line)[1:]
        if command == "explore":
            words += ["--survey-starts", "20", "--steps", "20"]
        if command == "survey":
            words += ["--starts", "50"]
        if command == "basins":
            words += ["--resolution", "16"]
        status, out, err = run(*words)
        assert (status, err) == (0, ""), line
        assert out


def test_the_help_lists_all_commands(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for command in COMMANDS:
        assert re.search(rf"^│ {command} ", out, re.MULTILINE)


def test_derive_says_the_same_with_and_without_the_option_parser(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        ["x^2 y", "--domain", "x=0:1", "--seed=3", "--domain=y=1:2"],
        ["--json", "S*N", "--variables", "S,N"],
        [" -x^2"],
    ]
    quick = [run("derive", *words) for words in lines]
    monkeypatch.setattr("descentlab.cli.quick.read_derive", lambda words: None)
    assert quick == [run("derive", *words) for words in lines]
    assert [status for status, _, _ in quick] == [0, 0, 0]


@pytest.mark.parametrize("text", ["x^2 sin(y)", "relu(x)*softplus(y)", "f(b, a) = a/b"])
def test_derive_says_what_the_objective_says(run: Run, text: str) -> None:
    """A formula on the default box is explained without making an objective."""
    assert run("derive", text, "--seed=3") == (0, dl.formula(text).explain(seed=3).text() + "\n", "")


@pytest.mark.parametrize("words", [["x+"], ["x^2", "--seed=half"], ["peaks(2)"], ["x^2", "--dim=2"]])
def test_derive_refuses_the_same_with_a_domain(run: Run, words: list[str]) -> None:
    short, long = run("derive", *words), run("derive", *words, "--domain=x=-5:5")
    assert short == long
    assert short[0] == 2


def test_the_garbage_collector_is_left_as_it_was(run: Run) -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    run("derive", "x^2")
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_the_process_ends_without_taking_its_objects_apart() -> None:
    code = (
        "import gc, sys; sys.argv[1:] = ['derive', 'x**2']; from descentlab.cli import main; "
        "status = main(); print(status, gc.get_freeze_count() > 10_000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.endswith("\n0 True\n")


def test_names_are_completed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DESCENTLAB_COMPLETE", "complete_bash")
    for words, wanted in (
        ("descentlab survey himm", "himmelblau"),
        ("descentlab descend x --optimizer nest", "nesterov"),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        status, out, _ = run()
        assert out.split() == [wanted]
        assert status == 0


# As a program of its own


def program(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "descentlab", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def test_as_a_program() -> None:
    done = program("derive", "x**2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "df/dx = 2*x" in done.stdout
    failed = program("derive", "x**")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "Traceback" not in failed.stderr


def test_derive_loads_nothing_it_does_not_need() -> None:
    code = (
        "import sys; from descentlab.cli import main; main(['derive', 'x**2']); "
        "heavy = ('numpy', 'jax', 'optax', 'scipy', 'matplotlib', 'jinja2', 'typer', 'rich'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.endswith("[]\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As in `descentlab descend ... --json | head -c 1`, with more output than a pipe holds."""
    words = [sys.executable, "-m", "descentlab", "descend", "x^2", "--start=1", "--steps=20000", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


def test_colour_is_for_terminals_only() -> None:
    environment = {**os.environ, "FORCE_COLOR": "1"}
    assert "\x1b[" in program("optimizers", "gd", env=environment).stdout
    environment["NO_COLOR"] = "1"
    assert "\x1b[3" not in program("optimizers", "gd", env=environment).stdout
