"""The page's ES modules joined to the one module that browser and notebook load; its style likewise."""

from __future__ import annotations

import functools
import re
from pathlib import Path

PAGE = Path(__file__).parent / "page"
# In the order of need: what is imported stands before what imports it.
SCRIPTS = (
    "core.js", "store.js", "mathematics.js", "axes.js", "paint.js", "map.js", "line.js", "traces.js", "gl.js",
    "shape.js", "surface.js", "formula.js", "gallery.js", "controls.js", "chips.js", "anatomy.js", "studies.js",
    "exports.js", "timeline.js", "app.js",
)  # fmt: skip
_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./[\w.]+\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default\b)", re.MULTILINE)


@functools.cache
def studio_module() -> str:
    """Return the one ES module: all parts in one scope, their imports of each other left out."""
    parts = [(PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", part)) for part in parts)


@functools.cache
def studio_style() -> str:
    """Return all style sheets as one; the general one first."""
    others = sorted(path for path in PAGE.glob("*.css") if path.name != "style.css")
    return "\n".join(path.read_text(encoding="utf-8") for path in (PAGE / "style.css", *others))
