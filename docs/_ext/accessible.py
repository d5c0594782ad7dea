"""Two faults of Sphinx's pages that screen readers stumble over, mended in the written files."""

import re
from pathlib import Path
from typing import Any

# A signature over several lines is a definition list without terms; lines will do.
SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)
LINES = {
    "<dl>": '<span class="sig-lines">',
    "</dl>": "</span>",
    "<dd>": '<span class="sig-line">',
    "</dd>": "</span>",
}


def mended(page: str) -> str:
    """Return the page with levels for its headings, and signatures without lists.

    >>> mended('<p class="caption" role="heading">')
    '<p class="caption" role="heading" aria-level="2">'
    """
    page = re.sub(r'role="heading"(?! aria-level)', 'role="heading" aria-level="2"', page)
    return SIGNATURE.sub(lambda found: re.sub(r"</?d[ld]>", lambda tag: LINES[tag[0]], found[0]), page)


def _mend(app: Any, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        if (new := mended(text)) != text:
            path.write_text(new, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Mend the pages when all are written."""
    app.connect("build-finished", _mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
