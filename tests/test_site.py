"""The built site, as `make docs` leaves it: its links, its pages in real Chromium, and that it loads nothing from afar.

Every notebook and every example on its pages was run by that build, warnings being errors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from benchmarks.browser import CHROMIUM, launch

pytestmark = pytest.mark.slow

SITE = Path(__file__).parents[1] / "build" / "docs"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# What Sphinx makes by itself, without text of ours.
ITS_OWN = ("genindex.html", "search.html", "py-modindex.html")


class Page(HTMLParser):
    """The anchors of a page, what it links to, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := given.get(key))}
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        for key in ("src", "href"):
            if tag in ("script", "img", "link", "iframe") and given.get(key):
                self.loads.append(str(given[key]))


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    if not (SITE / "index.html").exists():
        pytest.fail("There is no site to look at: run 'make docs' first.")
    return {path: Page(path) for path in sorted(SITE.rglob("*.html")) if "_static" not in path.parts}


def test_the_course_is_there_whole_and_in_order(pages: dict[Path, Page]) -> None:
    course = sorted(path.stem for path in pages if path.parent.name == "course")
    assert [name[:2] for name in course] == [f"{i:02}" for i in range(1, 11)]


def test_every_link_inside_leads_somewhere(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            to = urlsplit(link)
            if to.scheme or to.netloc:
                continue
            target = (path.parent / unquote(to.path)).resolve() if to.path else path
            if target.suffix != ".html":
                found = target.exists()
            else:
                found = target in pages and (not to.fragment or unquote(to.fragment) in pages[target].anchors)
            if not found:
                broken.append(f"{path.relative_to(SITE)} → {link}")
    assert not broken


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    far = {
        (path.name, load)
        for path, page in pages.items()
        for load in page.loads
        if urlsplit(load).scheme not in ("", "data")
    }
    assert not far


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("There is no Chromium on this machine.")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desktop", "phone"])
def test_every_page_is_quiet_fits_and_can_be_read_by_all(
    chromium: Any, pages: dict[Path, Page], scheme: str, size: dict[str, int]
) -> None:
    """No request leaves the disk, no script fails, nothing is wider than the screen, axe finds nothing serious."""
    from axe_core_python.sync_playwright import Axe

    axe, faults = Axe(), []
    context = chromium.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    page.on(
        "request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else faults.append(r.url)
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    for path in pages:
        page.goto(path.as_uri())
        name = str(path.relative_to(SITE))
        if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
            faults.append(f"{name} is wider than the screen")
        if path.name in ITS_OWN:
            continue
        for found in axe.run(page)["violations"]:
            if found["impact"] in ("serious", "critical"):
                where = [node["html"][:200] for node in found["nodes"][:3]]
                faults.append(f"{name}: {found['id']} ({len(found['nodes'])}): {where}")
    context.close()
    assert not faults, "\n".join(faults)


@pytest.mark.browser
def test_search_works_from_the_disk(chromium: Any, pages: dict[Path, Page]) -> None:
    page = chromium.new_page()
    page.goto((SITE / "search.html").as_uri() + "?q=wilson")
    page.wait_for_selector("ul.search li", timeout=20_000)
    found = page.locator("ul.search li a").all_text_contents()
    assert "What a share means" in found
    page.close()
