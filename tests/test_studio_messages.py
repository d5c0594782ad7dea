"""What the studio answers, without a browser: every kind of message beside the library called directly."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest

import descentlab as dl
from descentlab.studio import checks
from descentlab.studio.lanes import KINDS
from descentlab.studio.messages import HANDLERS, answer

PEAKS = {
    "text": "3*(1 - x)^2*exp(-x^2 - (y + 1)^2) - 10*(x/5 - x^3 - y^5)*exp(-x^2 - y^2) - exp(-(x + 1)^2 - y^2)/3",
    "domain": [[-3, 3], [-3, 3]],
    "variables": None,
}
COSINE = {"text": "cos(2*pi*x) + x^2", "domain": [[-2, 2]], "variables": None}
STARTS = [[0.1, 1.4], [1.0, 1.0], [-1.0, -1.0], [0.5, -0.2], [2.0, 2.0]]
RACE: dict[str, Any] = {
    "problem": PEAKS,
    "starts": STARTS,
    "optimizers": [{"name": "gd"}, {"name": "momentum", "parameters": {"decay": 0.8}}, {"name": "adam"}],
    "rate": 0.0123,
    "schedule": "fixed",
    "steps": 200,
    "seed": 0,
}
STUDY = {name: value for name, value in RACE.items() if name != "starts"}
TYPES = {"f8": "<f8", "f4": "<f4", "i4": "<i4", "i2": "<i2", "u1": "u1"}

compilations: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: (
        compilations.append(event) if event.endswith("backend_compile_duration") else None
    )
)


def ask(kind: str, own: dl.Objective | None = None, **message: Any) -> dict[str, Any]:
    """Return the reply, its arrays under their names; what is sent must be strict JSON."""
    content, buffers = answer({"kind": kind, "id": 7, **message}, own)
    json.dumps(content, allow_nan=False)
    assert content["id"] == 7
    assert len(buffers) == len(content["arrays"])
    arrays = {}
    for (name, dtype, shape), buffer in zip(content["arrays"], buffers, strict=True):
        arrays[name] = np.frombuffer(buffer, TYPES[dtype]).reshape(shape)
    return {**content, **arrays}


def peaks() -> dl.Objective:
    return dl.formula(PEAKS["text"], domain=PEAKS["domain"])  # type: ignore[arg-type]


def test_every_kind_has_a_lane() -> None:
    assert sorted(KINDS) == sorted(HANDLERS)


def test_hello_tells_what_there_is() -> None:
    hello = ask("hello")
    assert [row["name"] for row in hello["optimizers"]] == [row.name for row in dl.optimizers()]
    assert len(hello["landscapes"]) == len(dl.landscapes())
    assert hello["heights"].shape == (256, 3)
    assert hello["problem"] is None
    assert ask("hello", own=dl.landscape("booth"))["problem"]["domain"] == [[-10, 10], [-10, 10]]
    for entry in hello["landscapes"]:
        assert "error" not in ask(
            "formula", problem={n: entry[n] for n in ("text", "domain", "variables")}
        ), entry


def tags(tree: Any) -> set[str]:
    return set() if isinstance(tree, str) else {tree[0]}.union(*map(tags, tree[2]))


def test_a_formula_is_typeset_with_its_partials_and_gradient() -> None:
    reply = ask("formula", problem={"text": "x^2*y + sin(x)"})
    assert reply["names"] == ["x", "y"]
    assert reply["problem"]["domain"] == [[-5, 5], [-5, 5]]
    assert len(reply["notes"]) == 1
    mathematics = reply["mathematics"]
    assert len(mathematics["partials"]) == 2
    assert tags(mathematics["value"]) <= {
        "math",
        "mi",
        "mo",
        "mn",
        "mrow",
        "msup",
        "mfrac",
        "mtext",
        "mspace",
    }
    assert "∇" in json.dumps(mathematics["gradient"], ensure_ascii=False)
    assert ask("formula", problem=COSINE)["mathematics"]["gradient"] is None


def test_the_page_knows_every_tag_it_is_sent() -> None:
    import re

    from descentlab.studio.module import PAGE

    known = set(" ".join(re.findall(r'"([a-z ]+)"\.split', (PAGE / "mathematics.js").read_text())).split())
    for text in (
        "abs(x)/sqrt(y) + cbrt(x)*relu(y)",
        "piece^2 + x1*exp(-x2)",
        "atan2(y, x)^3 + log(x)/max(x, y)",
        PEAKS["text"],
    ):
        problem = {"text": text}
        reply = ask("formula", problem=problem)
        if "error" in reply:
            continue
        trees = [
            reply["mathematics"]["value"],
            *reply["mathematics"]["partials"],
            *ask("derivation", problem=problem)["derivations"],
        ]
        assert set().union(*map(tags, trees)) <= known


@pytest.mark.parametrize(
    ("text", "position"), [("x +* 2", 3), ("x^2 + sin(", 9), ("x + __import__", 4), ("2 $ x", 2)]
)
def test_an_error_says_where(text: str, position: int) -> None:
    error = ask("formula", problem={"text": text})["error"]
    assert error["position"] == position
    assert error["text"] == text


def test_a_derivation_has_one_part_a_variable() -> None:
    reply = ask("derivation", problem={"text": "x^2*y + sin(x)"})
    assert len(reply["derivations"]) == 2
    assert "Sum rule" in json.dumps(reply["derivations"])


def test_a_curve_is_f_and_its_derivative() -> None:
    reply = ask("field", problem=COSINE)
    f = dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)})
    np.testing.assert_array_equal(reply["values"], f.value(reply["x"][:, None]))
    np.testing.assert_array_equal(reply["slopes"], f.gradient(reply["slope_x"][:, None])[:, 0])


def test_a_plane_is_f_on_a_grid_with_contours_at_their_levels() -> None:
    reply = ask("field", problem=PEAKS, resolution=64, heights="linear")
    f = peaks()
    x, y = np.meshgrid(reply["x"], reply["y"])
    np.testing.assert_allclose(reply["values"], f.value(np.stack([x, y], axis=-1)), rtol=1e-6, atol=1e-6)
    assert reply["heights"].min() == 0
    assert reply["heights"].max() == 1
    levels = np.repeat(np.array(reply["levels"])[reply["line_levels"]], np.diff(reply["line_starts"]))
    np.testing.assert_allclose(f.value(reply["line_points"].astype(float)), levels, atol=0.15)
    table = np.interp(f.value([0.3, 0.4]), reply["scale_values"], reply["scale_heights"])
    assert table == pytest.approx(
        (f.value([0.3, 0.4]) - reply["low"]) / (reply["high"] - reply["low"]), abs=1e-6
    )


@pytest.mark.parametrize("heights", ["auto", "linear", "log", "rank"])
def test_heights_by_every_scale_rise_with_f(heights: str) -> None:
    reply = ask(
        "field",
        problem={"text": "(1 - x)^2 + 100*(y - x^2)^2", "domain": [[-2, 2], [-1, 3]]},
        heights=heights,
    )
    order = np.argsort(reply["values"].ravel(), kind="stable")
    assert (np.diff(reply["heights"].ravel()[order]) >= -1e-6).all()
    assert (np.diff(reply["scale_values"]) > 0).all()
    assert (np.diff(reply["scale_heights"]) >= 0).all()


def test_where_f_is_undefined_there_is_no_height() -> None:
    reply = ask("field", problem={"text": "log(x*y)", "domain": [[-1, 1], [-1, 1]]}, resolution=32)
    x, y = np.meshgrid(reply["x"], reply["y"])
    assert np.isnan(reply["heights"][x * y < 0]).all()
    constant = ask(
        "field", problem={"text": "0*x + 0*y + 3", "domain": [[-1, 1], [-1, 1]], "variables": ["x", "y"]}
    )
    assert "error" not in constant
    assert len(constant["line_points"]) == 0


def test_a_plane_of_more_variables_goes_through_its_point() -> None:
    problem = {"text": "x^2 + 2*y^2 + 3*z^2*x", "domain": [[-1, 1]] * 3}
    reply = ask("field", problem=problem, plane=[2, 0], at=[0.1, 0.7, 0.2], resolution=16)
    f = dl.formula("x^2 + 2*y^2 + 3*z^2*x", domain=[[-1, 1]] * 3)
    z, x = np.meshgrid(reply["x"], reply["y"])
    np.testing.assert_allclose(
        reply["values"], f.value(np.stack([x, np.full_like(x, 0.7), z], axis=-1)), rtol=1e-6
    )
    assert reply["names"] == ["z", "x"]


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({}, {"learning_rate": 0.0123}),
        ({"schedule": "time"}, {"learning_rate": "time:0.0123"}),
        ({"schedule": "exponential", "decay": 0.99}, {"learning_rate": "exponential:0.0123:0.99"}),
        (
            {"bounds": "clip", "tolerance": 1e-3},
            {"learning_rate": 0.0123, "bounds": "clip", "tolerance": 1e-3},
        ),
    ],
)
def test_a_run_is_what_descend_does_to_the_bit(changes: dict[str, Any], settings: dict[str, Any]) -> None:
    reply = ask("run", **{**RACE, **changes})
    verdicts = ask("verdicts", **{**RACE, **changes})["verdicts"]
    for o, (name, parameters) in enumerate((("gd", {}), ("momentum", {"decay": 0.8}), ("adam", {}))):
        run = dl.descend(peaks(), start=STARTS, optimizer=name, steps=200, **settings, **parameters)
        kept = reply["points"].shape[2]
        np.testing.assert_array_equal(reply["points"][o], run.points[:, :kept])
        np.testing.assert_array_equal(reply["points"][o][:, -1], run.ends)
        np.testing.assert_array_equal(reply["values"][o], run.values[:, :kept])
        np.testing.assert_array_equal(reply["gradients"][o], run.gradients[:, :kept])
        np.testing.assert_array_equal(reply["rates"][o], run.learning_rates[:, : kept - 1])
        np.testing.assert_array_equal(reply["taken"][o], run.taken)
        for told, verdict in zip(verdicts[o], run.verdicts, strict=True):
            assert (told["outcome"], told["sentence"], told["advice"]) == (
                verdict.outcome,
                verdict.sentence,
                verdict.advice,
            )
            assert told["gradient_norm"] == verdict.evidence["gradient_norm"]
            assert told["stable_rate"] == verdict.evidence.get("largest_stable_rate")


def test_verdicts_are_those_of_the_race_that_is_asked_for() -> None:
    """Those of a race just run are kept; another race is run first."""
    kept = ask("run", **RACE) and ask("verdicts", **RACE)["verdicts"]
    other = ask("verdicts", **{**RACE, "rate": 0.5})["verdicts"]
    assert [v["outcome"] for v in kept[0]] != [v["outcome"] for v in other[0]]
    assert ask("verdicts", **RACE)["verdicts"] == kept


def test_both_ways_up_are_one() -> None:
    flip, negate = (ask("run", **RACE, ascent=True, negate=negate) for negate in (False, True))
    np.testing.assert_array_equal(flip["points"], negate["points"])
    assert flip["apart"] == negate["apart"] == 0
    told = [ask("verdicts", **RACE, ascent=True, negate=negate)["verdicts"] for negate in (False, True)]
    assert told[0] == told[1]
    np.testing.assert_array_equal(
        flip["points"][0], dl.ascend(peaks(), start=STARTS, learning_rate=0.0123, steps=200).points
    )
    assert ask("run", **RACE)["apart"] is None


def copied(reply: dict[str, Any], names: str) -> np.ndarray:
    program = reply["python"] + f"import json\nprint(json.dumps([run.ends.tolist() for run in ({names})]))\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    return np.array(json.loads(done.stdout))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, "gd, momentum, adam"),
        ({"ascent": True, "optimizers": [{"name": "gd"}, {"name": "gd"}]}, "gd, gd_2"),
        (
            {"ascent": True, "negate": True, "optimizers": [{"name": "adam", "parameters": {"beta1": 0.5}}]},
            "adam,",
        ),
        (
            {
                "problem": COSINE,
                "starts": [[0.3], [0.0]],
                "optimizers": [{"name": "rmsprop"}],
                "schedule": "cosine",
            },
            "rmsprop,",
        ),
    ],
)
def test_copied_python_ends_at_the_same_bits(changes: dict[str, Any], names: str) -> None:
    message = {**RACE, **changes}
    np.testing.assert_array_equal(
        copied(ask("copy", **message), names), ask("run", **message)["points"][:, :, -1]
    )


def test_a_copied_command_ends_at_the_same_bits(tmp_path: Any) -> None:
    import shlex

    message = {
        **RACE,
        "starts": STARTS[:2],
        "optimizers": [{"name": "momentum", "parameters": {"decay": 0.8}}],
    }
    words = shlex.split(ask("copy", **message)["command"])
    assert words[:2] == ["descentlab", "descend"]
    done = subprocess.run(
        [sys.executable, "-m", *words, "--json"], capture_output=True, text=True, check=True, timeout=120
    )
    np.testing.assert_array_equal(json.loads(done.stdout)["ends"], ask("run", **message)["points"][0][:, -1])


@pytest.mark.slow
@pytest.mark.parametrize("row", dl.optimizers(), ids=lambda row: row.name)
@pytest.mark.parametrize("ascent", [False, True])
def test_an_anatomy_makes_the_steps_that_were_made(row: Any, ascent: bool) -> None:
    message = {
        **RACE,
        "starts": [[0.4, 0.9]],
        "optimizers": [{"name": row.name}],
        "steps": 40,
        "ascent": ascent,
    }
    a = ask("anatomy", **message)
    assert len(a["rates"]) > 5
    np.testing.assert_allclose(
        a["x"][:-1] + a["rates"][:, None] * a["updates"], a["x"][1:], rtol=1e-12, atol=1e-14
    )
    np.testing.assert_array_equal(a["g"], peaks().gradient(a["x"][:-1]) * (-1 if ascent else 1))
    assert a["memory"].shape == (len(a["memory_names"]), *a["x"].shape)


def test_the_anatomy_of_adam_by_its_formula() -> None:
    message = {
        **RACE,
        "starts": [[0.4, 0.9]],
        "optimizers": [{"name": "adam", "parameters": {"beta1": 0.7}}],
        "steps": 30,
    }
    a = ask("anatomy", **message)
    m = s = np.zeros(2)
    for k, g in enumerate(a["g"]):
        np.testing.assert_allclose(a["memory"][:, k], [m, s], rtol=1e-10, atol=1e-300)
        m, s = 0.7 * m + 0.3 * g, 0.999 * s + 0.001 * g**2
        hats = m / (1 - 0.7 ** (k + 1)), s / (1 - 0.999 ** (k + 1))
        np.testing.assert_allclose(a["corrected"][:, k], hats, rtol=1e-10)
        np.testing.assert_allclose(a["updates"][k], -hats[0] / (np.sqrt(hats[1]) + 1e-8), rtol=1e-9)
    assert a["constants"] == {"β₁": 0.7, "β₂": 0.999, "ε": 1e-8}
    assert a["memory_names"] == ["m", "s"]


def test_a_basin_map_is_the_librarys() -> None:
    reply = ask("basins", **STUDY, resolution=32)
    m = dl.basin_map(peaks(), 32, learning_rate=0.0123, steps=200, bounds="free")
    np.testing.assert_array_equal(reply["assignment"], m.assignment)
    np.testing.assert_array_equal(reply["taken"], m.taken)
    assert reply["label"] == "gd at 0.0123"
    assert [p["share"] for p in reply["minima"]] == m.shares.tolist()
    assert math.isclose(sum(p["share"] for p in reply["minima"]) + sum(reply["outcomes"].values()), 1)


def test_a_survey_is_the_librarys_and_grows_by_the_same_starts() -> None:
    small, large = (ask("survey", **{**STUDY, "steps": 2000}, count=count) for count in (300, 1000))
    s = dl.survey(peaks(), 1000, learning_rate=0.0123, steps=2000, bounds="free")
    assert [m["hits"] for m in large["minima"]] == [m.hits for m in s.minima]
    assert large["outcomes"] == s.outcomes
    assert large["restarts"] == s.restarts_for(0.95)
    for m in large["minima"]:
        assert m["interval"][0] < m["share"] < m["interval"][1]
    assert all(a["hits"] <= b["hits"] for a, b in zip(small["minima"], large["minima"], strict=True))


def test_ascending_surveys_find_maxima() -> None:
    reply = ask("survey", **{**STUDY, "steps": 2000, "bounds": "clip"}, count=300, ascent=True)
    assert max(m["value"] for m in reply["minima"]) == pytest.approx(8.10621, abs=1e-4)


def test_stationary_points_are_certified() -> None:
    reply = ask("points", problem=PEAKS)
    assert reply["counts"] == {"minimum": 3, "maximum": 3, "saddle": 3}
    assert reply["complete"]
    inside = [p for p in reply["points"] if not p["on_boundary"]]
    assert all(p["certified"] for p in inside)
    for p in inside:
        negative = sum(v < 0 for v in p["eigenvalues"])
        assert p["kind"] == {0: "minimum", 1: "saddle", 2: "maximum"}[negative]


@pytest.mark.parametrize("what", ["svg", "gif", "csv", "json"])
def test_files_hold_what_was_run(what: str) -> None:
    message = {**RACE, "starts": STARTS[:2], "steps": 20}
    reply = ask("export", **message, what=what, chosen=1)
    data = reply["file"].tobytes()
    assert reply["name"].endswith(f".{what}")
    if what == "csv":
        lines = data.decode().splitlines()
        assert len(lines) == 1 + 3 * 2 * 21
        last = next(row.split(",") for row in lines if row.startswith("gd,1,20,"))
        assert float(last[3]) == ask("run", **message)["points"][0, 1, -1, 0]
    elif what == "json":
        assert json.loads(data)["descents"][2]["optimizer"] == "adam"
    else:
        assert data.startswith(b"<?xml" if what == "svg" else b"GIF89a")


@pytest.mark.slow
def test_a_python_function_goes_through_everything() -> None:
    f = dl.function(lambda v: (v[0] ** 2 - 1) ** 2 + v[1] ** 2, domain={"x": (-2, 2), "y": (-1, 1)})
    own: dict[str, Any] = {"own": f}
    race = {**RACE, "problem": {"own": True}, "starts": [[0.5, 0.5]]}
    formula = ask("formula", **own, problem={"own": True})
    assert formula["mathematics"]["value"] is None
    assert formula["problem"] == {"own": True}
    assert ask("field", **own, problem={"own": True})["dim"] == 2
    assert ask("verdicts", **own, **race)["verdicts"][0][0]["outcome"] in ("minimum", "out_of_steps")
    assert ask("anatomy", **own, **{**race, "optimizers": [{"name": "adam"}]})["memory_names"] == ["m", "s"]
    points = ask("points", **own, problem={"own": True})
    assert points["counts"] == {"minimum": 2, "saddle": 1}
    assert not any(p["certified"] for p in points["points"])
    assert "error" not in ask("basins", **own, **{**race, "resolution": 16})
    assert ask("copy", **own, **race)["command"].strip() == ""
    assert "rule by rule" in ask("derivation", **own, problem={"own": True})["error"]["message"]
    assert "without a function" in ask("run", **race)["error"]["message"]


# --- what is refused ---

JUNK: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    1e400,
    "x",
    "",
    [],
    [[]],
    [1],
    {},
    {"a": 1},
    [None],
    [[None]],
    "9" * 5000,
    [[1e400, 0]],
    float("nan"),
]


LONG = {"derivation", "points", "basins", "formula", "survey"}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=[pytest.mark.slow] if k in LONG else []) for k in sorted(HANDLERS)]
)
def test_junk_in_any_place_is_answered_with_a_sentence(kind: str) -> None:
    message: dict[str, Any] = {
        **RACE,
        "steps": 10,
        "starts": STARTS[:1],
        "optimizers": [{"name": "gd", "parameters": {}}],
        "resolution": 16,
        "count": 20,
        "plane": [0, 1],
        "at": None,
        "heights": "auto",
        "what": "csv",
        "chosen": 0,
        "tolerance": None,
        "bounds": "free",
        "decay": 0.9,
        "ascent": False,
        "negate": False,
    }
    for name in message:
        for junk in JUNK:
            error = ask(kind, **{**message, name: junk}).get("error")
            assert error is None or (
                "The work failed" not in error["message"] and error["message"].endswith((".", ")", "?"))
            ), (name, junk, error)
    for inner in ("text", "domain", "variables"):
        for junk in JUNK:
            error = ask(kind, **{**message, "problem": {**PEAKS, inner: junk}}).get("error")
            assert error is None or "The work failed" not in error["message"], (inner, junk, error)
    for junk in JUNK:
        for entry in (
            junk,
            {"name": junk},
            {"name": "gd", "parameters": junk},
            {"name": "adam", "parameters": {"beta1": junk}},
        ):
            error = ask(kind, **{**message, "optimizers": [entry]}).get("error")
            assert error is None or "The work failed" not in error["message"], (entry, error)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("run", {"starts": [[0, 0]] * 33}, "1 to 32"),
        ("run", {"steps": checks.MOST_STEPS + 1}, "20,000"),
        ("run", {"starts": [[0, 0]] * 32, "steps": 20_000}, "more than the page can hold"),
        ("run", {"optimizers": [{"name": "gd"}] * 9}, "1 to 8"),
        ("run", {"optimizers": [{"name": "adm"}]}, "Did you mean 'adam'"),
        ("run", {"starts": [[0, 0, 0]]}, "2 numbers"),
        ("run", {"rate": -1}, "positive"),
        ("run", {"optimizers": [{"name": "adam", "parameters": {"beta1": 1.5}}]}, "beta1"),
        ("basins", {"resolution": 4096}, "1,024"),
        ("basins", {"problem": COSINE}, "two variables"),
        ("basins", {"bounds": "stop"}, "free"),
        ("survey", {"count": 10**7}, "1,000,000"),
        ("field", {"resolution": 5000}, "256"),
        ("field", {"plane": [0, 0]}, "different"),
        ("anatomy", {}, "one start and one optimizer"),
        ("export", {"what": "exe"}, "svg"),
        ("formula", {"problem": {"text": "x", "domain": [[2, -2]]}}, "reversed"),
        ("formula", {"problem": {"text": "x" * 5000}}, "4,000"),
        ("formula", {"problem": 7}, "formula with its domain"),
    ],
)  # fmt: skip
def test_caps_and_mistakes_are_said(kind: str, changes: dict[str, Any], words: str) -> None:
    assert words in ask(kind, **{**RACE, **changes})["error"]["message"]


def test_an_unknown_kind_is_no_message() -> None:
    for kind in ("shell", "__class__", "", None, 7, ["run"]):
        content, _ = answer({"kind": kind, "id": 1})
        assert "no message of the kind" in content["error"]["message"]


# --- what is not done again ---


@pytest.mark.slow
def test_neither_clicks_nor_drags_compile_anything() -> None:
    from descentlab.studio import runs

    message = {**RACE, "problem": {**PEAKS, "text": PEAKS["text"] + " + x*y/1000"}, "steps": 300}  # type: ignore[operator]
    ask("run", **message)
    ask("anatomy", **{**message, "starts": STARTS[:1], "optimizers": [{"name": "momentum"}]})
    runs._background.submit(int).result(60)  # what is compiled ahead, for more starts, is done
    before = len(compilations)
    random = np.random.default_rng(0)
    for i in range(200):
        changed = {
            "starts": random.uniform(-3, 3, (int(random.integers(1, 33)), 2)).tolist(),
            "rate": float(10 ** random.uniform(-4, -1)),
            "seed": int(random.integers(1000)),
            "steps": int(random.integers(260, 384)),
            "optimizers": [
                {"name": "gd"},
                {"name": "momentum", "parameters": {"decay": float(random.uniform(0, 0.99))}},
                {"name": "adam", "parameters": {"beta1": float(random.uniform(0, 0.99)), "epsilon": 1e-6}},
            ],
        }
        assert "error" not in ask("run", **{**message, **changed})
        if i % 10 == 0:
            one = {
                **message,
                **changed,
                "starts": changed["starts"][:1],
                "optimizers": changed["optimizers"][1:2],
            }  # type: ignore[index]
            assert "error" not in ask("anatomy", **one)
    assert len(compilations) == before
