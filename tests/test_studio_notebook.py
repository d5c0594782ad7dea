"""The studio as a notebook's widget: its own messages without a browser, then real JupyterLab and real marimo.

The servers run from this Python, on 127.0.0.1, with settings of their own in a temporary folder, and are ended by
their own process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comm
import jax.numpy as jnp
import numpy as np
import pytest
from comm.base_comm import BaseComm

import descentlab as dl
from benchmarks.browser import CHROMIUM, launch
from descentlab.errors import InputError
from descentlab.studio import widget
from descentlab.studio.messages import answer
from descentlab.studio.module import PAGE, studio_module

PICTURES = Path(os.environ.get("DESCENTLAB_PICTURES", "build/studio"))
PARABOLA = dl.formula("3x^2 - 3x + 4", domain={"x": (-2, 2)})
OWN = dl.function(lambda p: jnp.sin(p[0]) + p[1] ** 2, domain={"x": (-3, 3), "y": (-1, 1)})
RUN = {"optimizers": [{"name": "gd"}, {"name": "adam"}], "rate": 0.1, "steps": 20}


# ---- The widget without a browser --------------------------------------------------------------------------


class Wire(BaseComm):
    """The connection of a widget to its notebook, with this test at the other end."""

    def __init__(self, **settings: Any) -> None:
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        super().__init__(**settings)

    def publish_msg(self, msg_type: str, data: Any = None, buffers: Any = None, **_: Any) -> None:
        if msg_type == "comm_msg":
            self.sent.append((data, list(buffers or [])))

    def say(self, **data: Any) -> None:
        """Let the page say something."""
        self.handle_msg({"content": {"data": data}, "buffers": []})


@pytest.fixture(autouse=True)
def wires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comm, "create_comm", Wire)


def without_time(reply: tuple[dict[str, Any], list[bytes]]) -> tuple[dict[str, Any], list[bytes]]:
    """Leave out how long the work took, the one thing that two equal answers may differ in."""
    content, buffers = reply
    return {name: value for name, value in content.items() if name != "seconds"}, [bytes(b) for b in buffers]


@pytest.mark.parametrize(
    ("f", "problem"),
    [
        (None, None),
        (PARABOLA, {"text": PARABOLA.text, "domain": [[-2.0, 2.0]], "variables": None}),
        (dl.landscape("peaks"), {"text": dl.landscape("peaks").text, "domain": [[-3.0, 3.0], [-3.0, 3.0]]}),
        (-PARABOLA, {"text": (-PARABOLA).text}),
        (OWN, {"own": True}),
        (-OWN, {"own": True}),
    ],
    ids=["nothing", "formula", "landscape", "negated formula", "function", "negated function"],
)
def test_it_begins_with_its_objective_and_that_can_be_read_again(f: Any, problem: Any) -> None:
    studio = dl.studio(f)
    if problem is None:
        assert studio.state == {}
        return
    given = studio.state["problem"]
    assert {name: given[name] for name in problem} == problem
    studio.comm.say(method="custom", content={"kind": "formula", "id": 1, "problem": given})
    [(data, _)] = studio.comm.sent
    assert data["content"]["names"] == list(f.names)
    assert data["content"]["domain"] == f.domain.tolist()


def test_the_state_to_begin_with_is_plain_data() -> None:
    studio = dl.studio(PARABOLA, starts=np.array([[1.5], [-1.0]]), rate=np.float64(0.2), steps=50, seed=3)
    assert json.loads(json.dumps(studio.state)) == studio.state
    assert studio.state["starts"] == [[1.5], [-1.0]]
    assert (studio.state["rate"], studio.state["steps"], studio.state["seed"]) == (0.2, 50, 3)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (None, {"kind": "hello"}),
        (PARABOLA, {"kind": "formula", "problem": {"text": "x^2 + * y"}}),
        (PARABOLA, {"kind": "run", "problem": {"text": "x^2 + y^2"}, "starts": [[1, 2], [0, 1]], **RUN}),
        (OWN, {"kind": "hello"}),
        (OWN, {"kind": "run", "problem": {"own": True}, "starts": [[1, 1]], **RUN}),
        (OWN, {"kind": "field", "problem": {"own": True}, "resolution": 16}),
        (OWN, {"kind": "run", "problem": {"own": True}, "starts": [[1]], **RUN}),
        (None, {"kind": "formula", "problem": {"own": True}}),
        (None, {"kind": "nothing of the kind"}),
        (None, {}),
    ],
)
def test_its_answers_are_those_of_the_studio(f: Any, message: dict[str, Any]) -> None:
    studio = dl.studio(f)
    message = {**message, "id": 7}
    studio.comm.say(method="custom", content=message)
    [(data, buffers)] = studio.comm.sent
    assert data["method"] == "custom"
    expected = without_time(answer(message, f))
    assert without_time((data["content"], buffers)) == expected
    assert expected[0]["id"] == 7


@pytest.mark.parametrize("content", [None, 3, "formula", [], [{"kind": "hello"}]])
def test_what_is_no_message_is_passed_over(content: Any) -> None:
    studio = dl.studio()
    studio.comm.say(method="custom", content=content)
    assert studio.comm.sent == []


def test_the_state_goes_both_ways() -> None:
    studio = dl.studio(PARABOLA, starts=[[1.5]])
    seen: list[Any] = []
    studio.observe(lambda change: seen.append(change["new"]), "state")
    on_page = {**studio.state, "rate": 0.25, "starts": [[1.5], [0.1]]}
    studio.comm.say(method="update", state={"state": on_page}, buffer_paths=[])
    assert studio.state == on_page
    assert seen == [on_page]
    studio.comm.sent.clear()
    studio.state = {**on_page, "rate": 0.125}
    updates = [data["state"]["state"] for data, _ in studio.comm.sent if data["method"] == "update"]
    assert updates == [{**on_page, "rate": 0.125}]


def test_two_widgets_do_not_hear_each_other() -> None:
    one, other = dl.studio(OWN), dl.studio(PARABOLA)
    one.comm.say(method="custom", content={"kind": "formula", "id": 1, "problem": {"own": True}})
    assert other.comm.sent == []
    assert one.comm.sent[0][0]["content"]["names"] == ["x", "y"]
    one.state = {"rate": 0.5}
    assert other.state == {"problem": other.state["problem"]}


def test_without_anywidget_pictures_stand_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    widget._widget_class.cache_clear()
    monkeypatch.setitem(sys.modules, "anywidget", None)
    still: Any = dl.studio(PARABOLA, starts=[[1.5]], rate=0.1)
    assert "pip install 'descentlab[notebook]'" in repr(still)
    assert "'descentlab studio'" in repr(still)
    page = still._repr_html_()
    assert page.count("<svg") == 1
    assert "minimum" in page
    with pytest.raises(InputError, match="Did you mean 'steps'"):  # what is wrong is wrong without it too
        dl.studio(PARABOLA, step=5)
    monkeypatch.undo()
    assert dl.studio(PARABOLA).state["problem"]  # the lack is not remembered


def test_pictures_stand_for_the_page_where_it_cannot_run() -> None:
    race = dl.studio(PARABOLA, starts=[[1.5]], optimizers=[{"name": "gd"}, {"name": "adam"}])
    bundle = race._repr_mimebundle_()[0]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/html"].count("<svg") == 2
    for begun in (dl.studio(), dl.studio(OWN), dl.studio(dl.landscape("rastrigin", 3))):
        assert (
            "<svg" in begun._repr_mimebundle_()[0]["text/html"]
            or "<img" in begun._repr_mimebundle_()[0]["text/html"]
        )


@pytest.mark.parametrize("f", ["x^2", 3, np.zeros(2), lambda x: x])
def test_what_is_no_objective_is_refused(f: Any) -> None:
    with pytest.raises(InputError, match=f"made by dl.formula.*got {type(f).__name__}"):
        dl.studio(f)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"step": 50}, "Did you mean 'steps'"),
        ({"learning_rate": 0.1}, "Choose one of: .*rate"),
        ({"starts": [1.5]}, "a point of this objective is 1 number"),
        ({"starts": [[1.0, 2.0]]}, "a point of this objective is 1 number"),
        ({"starts": [[float("nan")]]}, "'starts' must be a number"),
        ({"optimizers": ["adam"]}, "given as its name and parameters"),
        ({"steps": 0}, "from 1 to 20,000"),
        ({"schedule": "steep"}, "Unknown schedule 'steep'"),
        ({"bounds": "wrap"}, "Unknown bounds 'wrap'"),
    ],
)
def test_a_state_that_the_page_would_pass_over_is_refused(state: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        dl.studio(PARABOLA, **state)


def test_the_names_of_the_state_are_those_of_the_page() -> None:
    store = (PAGE / "store.js").read_text(encoding="utf-8")
    [block] = re.findall(r"DEFAULT_STATE = Object\.freeze\(\{\n(.*?)^\}\);", store, re.DOTALL | re.MULTILINE)
    assert re.findall(r"^  (\w+):", block, re.MULTILINE) == list(widget.STATE)


def test_the_module_asks_nothing_of_the_whole_document() -> None:
    """There may be several of it in a notebook, and marimo puts each in a shadow root of its own."""
    assert (
        re.findall(r"document\s*\??\.(?:activeElement|querySelector\w*|getElement\w+)", studio_module()) == []
    )
    assert re.findall(r"\bid: \"", studio_module()) == []


# ---- Real notebooks ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("There is no Chromium on this machine.")
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


def until(found: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Return what `found` returns, once that is something."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, f"Not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return result


@contextlib.contextmanager
def running(words: list[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m …` in a folder, its words into log.txt; ended with the block, by its own process id."""
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            finally:
                process.kill()
                process.wait()


class Shown:
    """A notebook's page: the studios on it, what it complains of, and what it asks for outside this machine."""

    def __init__(self, browser: Any, address: str) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 1180}, color_scheme="light")
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda m: m.type == "error" and self.faults.append(m.text))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda opened: self._asked(opened.url))
        self.page.goto(address)

    def _asked(self, address: str) -> None:
        if not re.match(r"(http|ws)://127\.0\.0\.1:\d+/|data:|blob:", address):
            self.faults.append(f"a request to {address}")

    def studio(self, i: int = 0) -> Any:
        """Return studio number i, once its descents are there."""
        # Playwright looks into shadow roots too.
        root = self.page.locator(".dl-studio").nth(i)
        root.wait_for()
        self.settle(root)
        return root

    def settle(self, root: Any) -> None:
        until(lambda: root.evaluate("root => Boolean(root.dlSettled?.())"), f"descents; {self.faults}")

    def drag(self, slider: Any, by: float) -> None:
        """Drag the thumb of a slider that stands in the middle, by a share of the slider's length."""
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + by * box["width"], y, steps=6)
        self.page.mouse.up()

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(300)  # two frames at least, also where the notebook moves things
        self.page.screenshot(path=str(PICTURES / f"{name}.png"))

    def close(self) -> None:
        self.context.close()
        assert not self.faults, self.faults


@contextlib.contextmanager
def open_page(browser: Any, address: str) -> Iterator[Shown]:
    shown = Shown(browser, address)
    try:
        yield shown
    except BaseException:
        with contextlib.suppress(Exception):
            shown.picture("notebook-failed")
        shown.context.close()
        raise
    shown.close()


def rate_of(root: Any) -> float:
    rate = root.evaluate("root => root.dlStore.state.rate")
    assert isinstance(rate, float)
    return rate


def check_parabola(root: Any) -> None:
    """The parabola is there: mathematics with a size, one path to its minimum, within the width it was given."""
    assert root.evaluate("root => root.dlViews.formula.probe().math") == 2  # f and its derivative
    box = root.locator("math").first.bounding_box()
    assert box["height"] > 10  # pixels: less than a line would not be seen
    assert root.locator(".dl-chip .dl-outcome").all_inner_texts() == ["minimum"]
    assert root.evaluate("root => root.dlData.run.points[0]") == 1.5
    assert root.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
    assert root.evaluate("root => root.dlViews.line.el.clientWidth") > 400  # pixels: a curve one can read


# ---- JupyterLab --------------------------------------------------------------------------------------------

SHOW = (
    'import descentlab as dl; w = dl.studio(dl.formula("3x^2 - 3x + 4", domain={"x": (-2, 2)}), '
    "starts=[[1.5]]); w"
)


@pytest.fixture(scope="module")
def jupyter(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """JupyterLab, and a function that opens a notebook of the given cells in it."""
    folder = tmp_path_factory.mktemp("jupyter")
    settings = folder / "config/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}  # else the server asks for news outside
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    work, runtime = folder / "work", folder / "runtime"
    work.mkdir()
    words = [
        "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0",
        f"--ServerApp.root_dir={work}", "--LabApp.news_url=None", "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    folders = {
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_DATA_DIR": folder / "data",
        "JUPYTER_RUNTIME_DIR": runtime,
        "IPYTHONDIR": folder / "ipython",
    }
    environment = {name: str(path) for name, path in folders.items()}
    with running(words, folder, **environment) as process:
        file = runtime / f"jpserver-{process.pid}.json"  # where the server writes its port and token
        until(lambda: file.exists() and file.stat().st_size, "JupyterLab's address")
        server = json.loads(file.read_text())

        @contextlib.contextmanager
        def go(*cells: str) -> Iterator[Notebook]:
            name = f"{secrets.token_hex(4)}.ipynb"
            (work / name).write_text(json.dumps(notebook(cells)))
            address = f"http://127.0.0.1:{server['port']}/lab/tree/{name}?reset&token={server['token']}"
            with open_page(browser, address) as shown:
                yield Notebook(shown, name)

        yield go


def notebook(cells: tuple[str, ...]) -> dict[str, Any]:
    """Return a notebook as its file has it."""
    written = [
        {"cell_type": "code", "id": f"cell-{i}", "source": text, "metadata": {}, "outputs": [], "execution_count": None}
        for i, text in enumerate(cells)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": written, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


class Notebook:
    """A notebook in JupyterLab. What a person does by its menus is done by its commands."""

    def __init__(self, shown: Shown, name: str) -> None:
        self.shown, self.page = shown, shown.page
        ready = """(name) => { const shown = window.jupyterapp?.shell.currentWidget;
            return shown?.context?.path === name && shown.sessionContext.kernelDisplayStatus === "idle"; }"""
        until(lambda: self.page.evaluate(ready, name), "the notebook and its kernel")

    def command(self, name: str, **settings: Any) -> None:
        self.page.evaluate(
            "([name, settings]) => void jupyterapp.commands.execute(name, settings)", [name, settings]
        )

    def run(self, i: int) -> str:
        """Run cell i; return what it printed."""
        content = "jupyterapp.shell.currentWidget.content"
        count = f"{content}.widgets[{i}].model.executionCount"
        before = self.page.evaluate(f"{content}.activeCellIndex = {i}, {count}")
        self.command("notebook:run-cell")
        until(lambda: self.page.evaluate(count) not in (None, before), f"cell {i}")
        printed: str = self.page.evaluate(f"{content}.widgets[{i}].outputArea.model.toJSON()[0]?.text ?? ''")
        return printed

    def place(self) -> list[Any]:
        """Return what keys meant for the studio must leave alone: the cells, the cell one is in, and the mode."""
        content = "jupyterapp.shell.currentWidget.content"
        place: list[Any] = self.page.evaluate(
            f"[{content}.widgets.length, {content}.activeCellIndex, {content}.mode]"
        )
        return place


@pytest.mark.browser
@pytest.mark.slow
def test_it_works_in_jupyterlab(jupyter: Callable[..., Any]) -> None:
    tell = "import json; print(json.dumps(w.state))"
    with jupyter(SHOW, tell, 'w.state = {**w.state, "rate": 0.3}') as lab:
        lab.command("notebook:run-all-cells")
        root = lab.shown.studio()
        until(lambda: rate_of(root) == 0.3, "the state that Python set")
        lab.shown.settle(root)
        check_parabola(root)
        rate = root.get_by_role("spinbutton", name="Learning rate")
        rate.fill("0.01")
        rate.press("Enter")
        lab.shown.drag(root.get_by_role("slider", name="Learning rate"), by=0.1)
        lab.shown.settle(root)
        chosen = rate_of(root)
        assert 0.02 < chosen < 0.1  # a tenth of six powers of ten above 0.01
        assert root.evaluate("root => root.dlData.run.rates[0]") == chosen
        until(lambda: json.loads(lab.run(1)).get("rate") == chosen, "the rate in Python")
        state = json.loads(lab.run(1))
        assert state["starts"] == [[1.5]]
        assert state["problem"]["text"] == PARABOLA.text
        root.scroll_into_view_if_needed()
        lab.shown.picture("jupyter")


@pytest.mark.browser
@pytest.mark.slow
def test_studios_in_one_notebook_leave_each_other_and_the_notebook_alone(jupyter: Callable[..., Any]) -> None:
    with jupyter(SHOW, 'dl.studio(dl.landscape("peaks"), starts=[[0.1, 1.4]])', "w", "1 + 1") as lab:
        lab.command("notebook:run-all-cells")
        first, other, again = (lab.shown.studio(i) for i in range(3))
        ids = lab.page.evaluate("[...document.querySelectorAll('.dl-studio [id]')].map((e) => e.id)")
        assert len(ids) > 10
        assert len(set(ids)) == len(ids)
        # A label leads to its own control.
        other.get_by_text("f =", exact=True).click()
        assert other.evaluate("root => root.contains(document.activeElement)")
        # Each of two views of one widget gets the answers to its own questions, asked at the same time.
        answers = lab.page.evaluate(
            """Promise.all(["x", "y"].map(async (name, i) => {
                const view = document.querySelectorAll(".dl-studio")[2 * i];
                const reply = await view.dlRequest("derivation", { problem: { text: `${name}^3` } });
                return JSON.stringify(reply.derivations); }))"""
        )
        assert [('["x"]' in answer, '["y"]' in answer) for answer in answers] == [
            (True, False),
            (False, True),
        ]
        # Keys of the studio are the studio's: in JupyterLab arrows change the cell, and D D deletes it.
        first.locator(".dl-view-line canvas").focus()
        before = lab.place()
        for key in ("ArrowDown", "ArrowUp", "ArrowLeft", "d", "d", "x", "b", "Enter", "Delete", "End"):
            lab.page.keyboard.press(key)
        assert lab.place() == before
        assert first.evaluate("root => root.contains(document.activeElement)")
        # An arrow moves the start by a hundredth of the box; Enter drops another, which Delete takes away.
        assert first.evaluate("root => root.dlStore.state.starts") == [[1.46]]
        assert first.evaluate("root => root.dlStore.state.k === root.dlData.run.K")
        # What one view of a widget shows, the other shows; the studio beside them stays as it was.
        until(lambda: again.evaluate("root => root.dlStore.state.starts[0][0]") == 1.46, "the other view")
        assert other.evaluate("root => root.dlStore.state.starts") == [[0.1, 1.4]]
        # The notebook's theme is the studio's, also when it changes.
        assert not first.evaluate("root => root.classList.contains('dl-dark')")
        lab.command("apputils:change-theme", theme="JupyterLab Dark")
        until(lambda: other.evaluate("root => root.classList.contains('dl-dark')"), "the dark theme")
        other.scroll_into_view_if_needed()
        assert other.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
        lab.shown.picture("jupyter-dark")
        lab.command("apputils:change-theme", theme="JupyterLab Light")


# ---- marimo ------------------------------------------------------------------------------------------------

MARIMO = """
import marimo

app = marimo.App(width="full")


@app.cell
def _():
    import json
    import marimo as mo
    import descentlab as dl
    return dl, json, mo


@app.cell
def _(dl, mo):
    w = mo.ui.anywidget(dl.studio(dl.formula("3x^2 - 3x + 4", domain={"x": (-2, 2)}), starts=[[1.5]]))
    w
    return (w,)


@app.cell
def _(json, mo, w):
    mo.plain_text("told: " + json.dumps(w.value["state"]))
    return


if __name__ == "__main__":
    app.run()
"""


@pytest.fixture(scope="module")
def marimo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app above, run by marimo."""
    folder = tmp_path_factory.mktemp("marimo")
    (folder / "app.py").write_text(MARIMO)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    words = ["marimo", "-y", "run", "--headless", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--token", "--token-password", token, "app.py"]
    names = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
    with running(words, folder, **{name: str(folder / name) for name in names}) as process:

        def listening() -> bool:
            assert process.poll() is None, (folder / "log.txt").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        until(listening, "marimo")
        yield f"http://127.0.0.1:{port}/?access_token={token}"


@pytest.mark.browser
@pytest.mark.slow
def test_it_works_in_marimo(browser: Any, marimo: str) -> None:
    with open_page(browser, marimo) as shown:
        root = shown.studio()
        assert root.evaluate("root => root.getRootNode() !== document")  # the shadow root that this is about
        check_parabola(root)

        def told() -> dict[str, Any]:
            state: dict[str, Any] = json.loads(
                shown.page.get_by_text("told: ").inner_text().removeprefix("told: ")
            )
            return state

        assert told()["starts"] == [[1.5]]
        # By the slider, and by dragging the ball: the reactive cell follows.
        shown.drag(root.get_by_role("slider", name="Learning rate"), by=0.1)
        until(lambda: told().get("rate") == rate_of(root) != 0.01, "the rate in Python")
        x, y, to = root.evaluate("root => [...root.dlViews.line.place(1.5), root.dlViews.line.place(-1)[0]]")
        shown.page.mouse.move(x, y)
        shown.page.mouse.down()
        shown.page.mouse.move(to, y, steps=8)
        shown.page.mouse.up()
        shown.settle(root)
        until(
            lambda: told()["starts"] == root.evaluate("root => root.dlStore.state.starts"),
            "the start in Python",
        )
        assert told()["starts"][0] == pytest.approx([-1.0], abs=0.02)  # a pixel is 0.006 of the box
        assert root.evaluate("root => root.dlData.run.points[0]") == told()["starts"][0][0]
        shown.picture("marimo")
        # What looks for the focus, or for the page, finds it in the shadow root too.
        root.get_by_role("tab", name="Step by step").focus()
        for panel in ("anatomy", "studies"):
            shown.page.keyboard.press("ArrowRight")
            assert root.evaluate("root => root.dlStore.state.show.panel") == panel
        root.get_by_role("button", name="Export").click()
        with shown.page.expect_download() as download:
            root.get_by_role("menuitem", name="PNG of").click()
        assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
