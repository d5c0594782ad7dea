"""`descentlab course`: the notebooks, copied out."""

from __future__ import annotations

from typing import Annotated

import typer


def course(
    folder: Annotated[
        str,
        typer.Argument(
            help="Where to put the notebooks. Default: descentlab-course.", show_default=False, metavar="DIR"
        ),
    ] = "descentlab-course",
) -> None:
    """Copy the course's ten notebooks into a folder of your own, and say how to open them.

    Nothing is written over.

    \b
    descentlab course
    descentlab course my-course
    """
    import importlib.util
    import os
    import shlex
    import sys
    from pathlib import Path

    from descentlab.course import copy_course, title_of

    copied = copy_course(folder)
    print(f"{len(copied)} notebooks are in {folder}:\n")
    for path in copied:
        print(f"  {path.name:38}{title_of(path)}")
    first = shlex.quote(str(copied[0]))
    # An environment that is not activated has no `jupyter` on the path, or another one's.
    active = Path(sys.executable).parent in map(Path, os.get_exec_path())
    python = shlex.quote(sys.executable)
    pip, lab = ("pip", "jupyter lab") if active else (f"{python} -m pip", f"{python} -m jupyterlab")
    install = "" if importlib.util.find_spec("jupyterlab") else f"{pip} install jupyterlab; "
    print(f"\nJupyter:       {install}{lab} {first}")
    print(
        f"VS Code:       code {shlex.quote(folder)}, with its Jupyter extension, and this Python as the kernel"
    )
    print("Colab-like:    upload one; its first cell says what to install")
