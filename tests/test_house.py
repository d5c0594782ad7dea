"""The house rules: import order, what is never called, sizes, what loads when, what is pinned."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "descentlab"
MODULES = sorted(SOURCE.rglob("*.py"))

# A module imports only from those left of it, or from its own package. A new module finds its place here.
ORDER = (
    "xla", "topics", "errors", "files", "formula", "program", "differentiate", "scalar", "slopes", "check", "objective",
    "landscapes", "lbfgs", "optimizers", "rates", "loop", "engine", "small", "batch", "stationary", "kinks",
    "verdict", "wording", "evidence", "escape", "pace", "advice", "reproduce", "certify", "descent", "sweep",
    "survey", "minimize", "random_landscapes", "models", "functions", "figures", "report", "course", "guide", "studio",
    "cli", "__main__",
)  # fmt: skip
# Results draw and show themselves (.plot(), _repr_html_): inside functions these are imported from the left.
SHOWS = ("figures", "report")

MOST_LINES = 400
# Each of these can execute text, or turn it into something by executing it.
FORBIDDEN = {"eval", "exec", "compile", "__import__", "sympify", "_sympify", "parse_expr", "lambdify", "S"}


def layer(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported(path: Path) -> Iterator[tuple[str, bool, int]]:
    """Yield (layer imported, at module level?, line) for every import of the lab's own modules."""

    def visit(node: ast.AST, top: bool) -> Iterator[tuple[str, bool, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt) and is_type_checking(child):
                continue
            if isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: imports are absolute"
                parts = (child.module or "").split(".")
                if parts == ["descentlab"]:
                    yield from ((alias.name, top, child.lineno) for alias in child.names)
                elif parts[0] == "descentlab":
                    yield parts[1], top, child.lineno
            elif isinstance(child, ast.Import):
                names = [alias.name.split(".") for alias in child.names]
                yield from ((n[1], top, child.lineno) for n in names if n[0] == "descentlab" and len(n) > 1)
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from visit(child, top and not inside)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), True)


def out_of_order(path: Path) -> list[str]:
    here = layer(path)
    if here == "__init__":  # the public names
        return []
    if here not in ORDER:
        return [f"{path.name}: '{here}' has no place in ORDER (tests/test_house.py)"]
    faults = []
    for target, top, line in imported(path):
        if target == "__version__":
            continue
        known = target in ORDER
        to_the_left = known and ORDER.index(target) <= ORDER.index(here)
        if not (to_the_left or (target in SHOWS and not top)):
            faults.append(f"{path.relative_to(ROOT)}:{line}: {here} imports {target}, which is right of it")
    return faults


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_in_order(path: Path) -> None:
    assert out_of_order(path) == []


def test_the_order_test_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    wrong = tmp_path / "program.py"
    wrong.write_text("def f():\n    from descentlab.figures import g\n    from descentlab.descent import h\n")
    assert [fault.split(": ")[1] for fault in out_of_order(wrong)] == [
        "program imports descent, which is right of it"
    ]
    wrong.write_text("from descentlab import figures\n")
    assert len(out_of_order(wrong)) == 1
    stray = tmp_path / "helpers.py"
    stray.write_text("")
    assert "no place" in out_of_order(stray)[0]


def forbidden_in(text: str) -> list[str]:
    """Return what `text` calls or names of what can execute text; `re.compile` and the like are fine."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name) and node.id in FORBIDDEN - {"S"}:
            found.append(f"{node.lineno}: {node.id}")
        elif isinstance(node, ast.Attribute) and node.attr in FORBIDDEN - {"compile", "exec", "eval", "S"}:
            found.append(f"{node.lineno}: .{node.attr}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "S":
            found.append(f"{node.lineno}: S(…) sympifies")
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.lineno}: import {a.name}" for a in node.names if a.name in FORBIDDEN]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_text_is_ever_executed(path: Path) -> None:
    assert forbidden_in(path.read_text(encoding="utf-8")) == []


def test_the_forbidden_words_are_found() -> None:
    for text in (
        "eval('1')",
        "from sympy import sympify",
        "sympy.lambdify(x, f)",
        "sympy.S('x')",
        "f = exec",
    ):
        assert len(forbidden_in(text)) == 1, text
    assert forbidden_in("re.compile('x'); model.eval(); 'eval(1)'") == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_module_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def loaded_after(code: str) -> set[str]:
    """Return the top-level packages that a fresh process has loaded after `code`."""
    tail = "; import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


HEAVY = {"jax", "jaxlib", "optax", "matplotlib", "scipy", "torch", "lark"}


def test_importing_the_lab_loads_nothing_heavy() -> None:
    loaded = loaded_after("import descentlab")
    assert "descentlab" in loaded
    assert loaded & HEAVY == set()


def test_reading_a_formula_loads_nothing_of_descent() -> None:
    loaded = loaded_after("from descentlab.formula import parse; parse('x^2')")
    assert {"sympy", "lark"} <= loaded
    assert loaded & (HEAVY - {"lark"}) == set()


def project() -> dict[str, object]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line) for line in pinned)
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in pinned)}


def core() -> set[str]:
    """Return every distribution that an install without extras brings."""
    todo = [str(line) for line in project()["dependencies"]]  # type: ignore[attr-defined]
    seen: set[str] = set()
    while todo:
        requirement = Requirement(todo.pop())
        name = canonicalize_name(requirement.name)
        if name not in seen and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            seen.add(name)
            todo += metadata.requires(name) or []
    return seen


def test_the_core_brings_no_optional_package() -> None:
    assert {"sympy", "jax", "numpy"} <= core()
    assert core() & {"torch", "dask", "distributed", "notebook", "jupyterlab", "anywidget", "pytest"} == set()


def test_everything_installed_is_pinned() -> None:
    locked = pins()
    here = {canonicalize_name(d.metadata["Name"]): d.version.split("+")[0] for d in metadata.distributions()}
    ours = {
        name: version
        for name, version in here.items()
        if name not in ("descentlab", "pip", "wheel", "setuptools")
    }
    assert {name: locked.get(name) for name in ours} == ours
    assert core() <= set(locked)


def tracked() -> list[Path]:
    """Return the files that are, or would be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


# Written in pieces, so that this file does not find itself.
PLACES = re.compile(
    "|".join(
        [
            "pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(org|com)", "deb" + r"\.debian",
            "--(extra-)?" + "index-url", "file:" + "///", r"(?<![\w.])/(work|root|home|Users|opt)" + r"/\w",
        ]
    )
)  # fmt: skip


def test_no_file_names_a_package_host_or_a_place_on_this_machine() -> None:
    files = tracked()
    assert ROOT / "pyproject.toml" in files
    found = {}
    for path in files:
        text = path.read_bytes().decode("utf-8", errors="replace")
        if match := PLACES.search(text):
            found[str(path.relative_to(ROOT))] = match.group()
    assert found == {}


def test_the_house_is_complete() -> None:
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", ".ci/run"):
        assert (ROOT / name).stat().st_size > 200, name
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    assert metadata.version("descentlab") == project()["version"]


@pytest.mark.parametrize("formula", ["x**2", "a$b `c` \"d\" 'e' $(HOME) | * #", "-x^2"])
def test_make_passes_any_formula_on_untouched(formula: str, tmp_path: Path) -> None:
    """`make explore FORMULA=…` hands the text over as one argument, whatever is in it."""
    stand_in = tmp_path / ".venv" / "bin" / "descentlab"
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    stand_in.chmod(0o755)
    (tmp_path / ".venv" / "bin" / "python").touch()
    for name in ("pyproject.toml", "requirements.lock"):
        (tmp_path / name).touch()
    (tmp_path / ".venv" / "core.stamp").touch()
    command = [
        "make",
        "-s",
        "-f",
        str(ROOT / "Makefile"),
        "explore",
        f"FORMULA={formula}",
        "DOMAIN=x=-2:2 y=0:1",
    ]
    # This test may itself run under `make`, which exports its own choices.
    outside = {k: v for k, v in os.environ.items() if k not in ("FORMULA", "DOMAIN", "START", "OUTPUT")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=outside)
    assert done.stdout.splitlines() == [
        "explore", "--domain=x=-2:2", "--domain=y=0:1", "--output=explore.html", "--", formula,
    ]  # fmt: skip
