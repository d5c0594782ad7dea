"""A studio of its own in a process, Chromium, and a page that tells its state: for benchmarks and browser tests."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# The page draws its surface in software: no test has a graphics card.
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-rasterization",
    "--disable-accelerated-2d-canvas",
    "--disable-dev-shm-usage",
]
SIZE = {"width": 1280, "height": 720}


def launch(playwright: Playwright) -> Browser:
    """Start Chromium without a screen; see CHROMIUM for whether there is one."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@contextlib.contextmanager
def running_studio(*words: str) -> Iterator[Callable[[], str]]:
    """Run `descentlab studio` and yield a function that returns an address to open."""
    command = [sys.executable, "-m", "descentlab", "studio", *words, "--no-browser", "--port", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        yield lambda: _address(process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.stdout.close()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line)
        if found:
            return found.group()
    raise AssertionError("The studio ended without telling its address.")


class Studio:
    """One page of the studio, and what it complains of."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._request)
        self.page.goto(address)
        self.wait("root() && root().dlViews && root().dlData.run")

    def _console(self, message: Any) -> None:
        # The one remark that a test's own look at the pixels brings about.
        if message.type in ("error", "warning") and "willReadFrequently" not in message.text:
            self.faults.append(message.text)

    def _request(self, request: Any) -> None:
        if not re.match(r"(http|ws)://127\.0\.0\.1:\d+/|data:|blob:", request.url):
            self.faults.append(f"a request to {request.url}")

    def tell(self, expression: str, argument: Any = None) -> Any:
        """Evaluate an expression of the page: root() is the studio's element, state() its state."""
        head = "const root = () => document.querySelector('.dl-studio'); const state = () => root().dlStore.state;"
        return self.page.evaluate(f"(argument) => {{ {head} return ({expression}); }}", argument)

    def wait(self, condition: str, seconds: float = 20.0, argument: Any = None) -> Any:
        """Poll until the condition holds (the page's policy forbids Playwright's own polling)."""
        end = time.monotonic() + seconds
        while True:
            found = self.tell(condition, argument)
            if found:
                return found
            if time.monotonic() > end:
                status = self.tell("root()?.querySelector('.dl-status')?.textContent")
                raise AssertionError(
                    f"Not within {seconds:g} s: {condition}; status: {status}; faults: {self.faults}"
                )
            time.sleep(0.02)

    def settle(self, seconds: float = 30.0) -> None:
        """Wait until nothing is in flight and the run on the page is the one of the state."""
        self.wait("root().dlSettled()", seconds)

    def place(self, *coordinates: float, view: str = "map") -> tuple[float, float]:
        """Return where a point of the plane is on the page."""
        x, y = self.tell(f"root().dlViews.{view}.place(...argument)", list(coordinates))
        return x, y

    def picture(self, path: Path) -> None:
        self.page.screenshot(path=str(path))

    def check(self) -> None:
        """Fail on anything the console or the network shows that should not be there."""
        assert not self.faults, self.faults
