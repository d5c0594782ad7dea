"""The reference, written from the package itself before Sphinx reads its pages; what is missing stops the build.

Run as a script it writes the pages into the folder given: in a process of its own, because Sphinx forks, and JAX,
which the examples use, must not be forked.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any


def write(folder: Path) -> None:
    """Write the pages into the folder, or leave with what is missing."""
    import commands
    import json_fields
    import outcomes
    import python_api

    folder.mkdir(exist_ok=True)
    pages, missing = {}, []
    for part in (python_api, commands, outcomes, json_fields):
        written, lacking = part.pages(folder)
        pages |= written
        missing += lacking
    if missing:
        sys.exit("The reference lacks:\n  " + "\n  ".join(sorted(missing)))
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:  # what did not change is not read again
            path.write_text(text)


def _write(app: Any) -> None:
    from sphinx.errors import ExtensionError

    command = [sys.executable, __file__, str(Path(app.srcdir) / "reference")]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise ExtensionError(done.stderr.strip())


def setup(app: Any) -> dict[str, bool]:
    """Write the pages when the build begins; read docstrings as they are meant."""
    import python_api

    app.connect("builder-inited", _write)
    app.connect("autodoc-process-docstring", python_api.as_restructured_text)
    app.connect("autodoc-process-signature", python_api.without_constructor)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    write(Path(sys.argv[1]))
