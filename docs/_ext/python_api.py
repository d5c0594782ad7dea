"""Every public name of the package, its docstring read as plain text with `code`."""

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

# The pages, and the names each explains; together they are exactly the public names.
PAGES: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "objectives": (
        "Objectives",
        {"descentlab": ("formula", "function", "landscape", "landscapes", "Objective", "Landscape", "parse")},
    ),
    "descents": (
        "Descents and sweeps",
        {
            "descentlab": (
                "descend", "ascend", "Descent", "Verdict", "sweep", "Sweep", "optimizers", "time_based",
                "gradient_based",
            ),
        },
    ),
    "surveys": (
        "Surveys and basins",
        {
            "descentlab": (
                "survey", "Survey", "Minimum", "basin_map", "BasinMap", "basin_strip", "BasinStrip",
            ),
        },
    ),
    "proofs": (
        "Proofs and global minima",
        {
            "descentlab": (
                "certify", "Certificate", "CertifiedPoint", "minimize", "maximize", "Minimization",
            ),
        },
    ),
    "models": ("Models", {"descentlab.models": ()}),
    "random-landscapes": ("Landscapes in high dimension", {"descentlab.random_landscapes": ()}),
    "figures": ("Figures", {"descentlab.figures": ()}),
    "reports": (
        "Reports, the studio, errors",
        {
            "descentlab": (
                "explore", "Exploration", "studio", "guide", "GuideEntry", "InputError", "WorkError",
                "FormulaError",
            ),
            "descentlab.course": (),
        },
    ),
}  # fmt: skip


def pages(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the pages by name, and what has no place or no docstring."""
    written, told, missing = {}, set(), []
    for page, (title, modules) in PAGES.items():
        text = [f"# {title}", ""]
        for path, names in modules.items():
            module = importlib.import_module(path)
            if not names and module.__doc__:
                text += [module.__doc__.strip(), ""]
            for name in names or _public(module):
                thing = getattr(module, name)
                told.add((path, name))
                text += _entry(path, name, thing)
                missing += _undocumented(f"{path}.{name}", thing)
        written[page] = "\n".join(text)
    for path in {path for _, modules in PAGES.values() for path in modules}:
        for name in _public(importlib.import_module(path)):
            if (path, name) not in told and not name.startswith("__"):
                missing.append(f"{path}.{name} (give it a place in docs/_ext/python_api.py)")
    return written, missing


def _public(module: ModuleType) -> list[str]:
    """Return the names a module offers: those of __all__, else what it defines itself."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return [name for name in names if not name.startswith("__")]
    return [
        name
        for name, thing in vars(module).items()
        if name[0] != "_"
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__ == module.__name__
    ]


def _entry(path: str, name: str, thing: Any) -> list[str]:
    shown = name
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        kind, shown = "autoexception", f"{name}(message)"  # Sphinx cannot read it from the base classes
    elif inspect.isclass(thing):
        kind = "autoclass"
    else:
        kind = "autofunction" if callable(thing) else "autodata"
    return [f"## {name}", "", "```{eval-rst}", f".. {kind}:: {path}.{shown}", "```", ""]


def _undocumented(label: str, thing: Any) -> list[str]:
    """Return what of a thing has no docstring: itself, its own methods and properties."""
    found = [] if inspect.getdoc(thing) or not callable(thing) else [label]
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            is_code = inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)
            is_code = is_code or type(member).__name__ == "cached_property"
            if name[0] != "_" and is_code and not inspect.getdoc(member):
                found.append(f"{label}.{name} (no docstring)")
    return found


def without_constructor(
    _app: Any, what: str, _name: str, _thing: Any, _options: Any, _signature: Any, _returns: Any
) -> tuple[str, None] | None:
    """Show no constructors: nobody makes a result by hand, and its fields are listed one by one."""
    return ("", None) if what in ("class", "exception") else None


def as_restructured_text(
    _app: Any, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]
) -> None:
    """Turn a docstring into reStructuredText: paragraphs, lists, examples, formulas set apart by indentation."""
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    lines[:] = [line for block in blocks for line in [*_block(block), ""]]


def _block(block: str) -> list[str]:
    rows = block.split("\n")
    if rows[0].lstrip().startswith(">>>"):
        return rows
    if all(row.startswith("    ") for row in rows):
        return ["::", "", *rows]
    if rows[0].lstrip().startswith("- "):
        joined: list[str] = []
        for row in rows:
            if row.lstrip().startswith("- ") or not joined:
                joined.append(_escaped(row.strip()))
            else:
                joined[-1] += " " + _escaped(row.strip())
        return [part for row in joined for part in (row, "")]
    examples = next((i for i, row in enumerate(rows) if row.lstrip().startswith(">>>")), len(rows))
    text = [" ".join(_escaped(row.strip()) for row in rows[:examples])]
    return [*text, "", *rows[examples:]] if examples < len(rows) else text


def _escaped(text: str) -> str:
    """Keep reStructuredText from reading marks into mathematics; set `code` as code."""
    parts = re.split(r"(`+[^`]+`+)", text)
    plain = [
        part if i % 2 else re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", re.sub(r"([*|\\])", r"\\\1", part))
        for i, part in enumerate(parts)
    ]
    return "".join(f"``{part.strip('`')}``" if i % 2 else part for i, part in enumerate(plain))
