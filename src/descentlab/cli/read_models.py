"""FILE.py:NAME and the options of `retrain` and `widen` → the arguments of the library's functions."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descentlab.cli import read
from descentlab.errors import InputError, unknown


@dataclass(frozen=True)
class Given:
    """What a command was given: its label, the arguments of retrain or widen, and how to do it again."""

    label: str
    settings: Mapping[str, Any]
    in_jax: bool
    command: str
    python: str


def read_model(target: str, verb: str, options: Mapping[str, Any]) -> Given:
    """Read the model and put the options in place of its own settings."""
    named = read._FILE_AND_NAME.fullmatch(target)
    if named is None:
        raise InputError(f"Give the model as FILE.py:NAME, such as examples/xor.py:xor; got '{target[:60]}'.")
    file, name = named["file"], named["name"]
    chosen = _options(options)  # before the file is run, which may take a while
    found = getattr(read._load(file), name, None)
    label = f"{Path(file).name}:{name}"
    entries = _entries(found, file, name, verb)
    _check_build(entries["build"], label, verb)
    dropped = _in_the_way(entries, chosen, verb)
    own = {word: value for word, value in entries.items() if word not in dropped}
    if not {"steps", "epochs"} & {*own, *chosen}:
        raise InputError(f"Say how long to train: give --steps or --epochs, or '{label}' a \"steps\" entry.")
    command = " ".join(["descentlab", verb, shlex.quote(target), *_words(options)])
    python = _python(file, name, verb, dropped, chosen) if isinstance(found, Mapping) else ""
    return Given(label, {**own, **chosen}, _in_jax(own["build"]), command, python)


def _in_the_way(entries: Mapping[str, Any], chosen: Mapping[str, Any], verb: str) -> list[str]:
    """Return the file's entries that do not go with the options, or with the command."""
    left: set[str] = set() if verb == "widen" else {"widths", "confidence"}
    if "steps" in chosen or "epochs" in chosen:
        left |= {"steps", "epochs"}
    optimizer = entries.get("optimizer", "adam")
    if chosen.get("optimizer", optimizer) != optimizer:
        left |= set(entries) - set(_arguments())  # the settings of the file's own optimizer
    return [word for word in entries if word in left and word not in chosen]


def _arguments() -> list[str]:
    """Return the arguments of retrain and widen that a file may give."""
    from descentlab.models import retrain as run

    names = [*inspect.signature(run).parameters, "widths", "confidence"]
    return [name for name in names if name not in ("executor", "progress", "settings")]


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as arguments, without those that were not given."""
    chosen: dict[str, Any] = {}
    for name in ("runs", "steps", "epochs", "batch_size", "seed"):
        if given[name] is not None:
            chosen[name] = read.read_whole(given[name], name.replace("_", " "))
    for name in ("held_out", "solved", "confidence"):
        if given.get(name) is not None:
            chosen[name] = read.read_number(given[name], name.replace("_", "-"))
    for name in ("optimizer", "store"):
        if given.get(name) is not None:
            chosen[name] = given[name]
    if given["learning_rate"] is not None:
        chosen["learning_rate"] = read.read_rate(given["learning_rate"])
    if given.get("widths") is not None:
        chosen["widths"] = tuple(read.read_whole(part, "width") for part in given["widths"].split(","))
    if {"steps", "epochs"} <= set(chosen):
        raise InputError("Give --steps or --epochs, not both.")
    settings = dict(_setting(text) for text in given["setting"] or ())
    for name in settings:
        if name in _arguments():
            raise InputError(
                f"--set is for settings of the optimizer; use --{name.replace('_', '-')} or the file."
            )
    return {**chosen, **settings}


def _setting(text: str) -> tuple[str, Any]:
    """Read one of --set: a number, true or false, or several numbers.

    >>> _setting("momentum=0.9"), _setting("nesterov=true"), _setting("etas=0.5,1.2")
    (('momentum', 0.9), ('nesterov', True), ('etas', (0.5, 1.2)))
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (equals and name.isidentifier()):
        raise InputError(f"A setting is written momentum=0.9; got '{text[:60]}'.")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    numbers = tuple(read.read_number(part, name) for part in value.split(","))
    return name, numbers if len(numbers) > 1 else numbers[0]


def _entries(found: Any, file: str, name: str, verb: str) -> dict[str, Any]:
    """Return what the file says, by the names of the arguments of retrain and widen."""
    from descentlab.models.optimizers import make_optimizer

    known = _arguments()
    if found is None:
        raise InputError(f"There is no '{name}' in '{file}'.")
    if isinstance(found, Mapping):
        entries = dict(found)
        own = dict(make_optimizer(str(entries.get("optimizer", "adam"))).settings)
        for word in entries:
            if word not in known and word not in own:
                raise unknown(f"entry of '{name}' in '{file}'", str(word), [*known, *own])
    else:
        entries = {word: getattr(found, word) for word in known if hasattr(found, word)}
    missing = [word for word in ("build", "loss") if word not in entries]
    if not missing and "data" not in entries and not _in_jax(entries["build"]):
        missing = ["data"]
    if missing:
        raise InputError(
            f"'{name}' in '{file}' has no '{missing[0]}'. It is a dictionary, or an object, with build (makes the "
            f"model), loss and data; 'descentlab retrain --help' shows a whole file."
        )
    return entries


def _check_build(build: Any, label: str, verb: str) -> None:
    """Raise InputError where build cannot be called as the command must."""
    if not callable(build) or hasattr(build, "named_parameters"):
        return  # the library says what is wrong with it
    width = inspect.signature(build).parameters.get("width")
    if verb == "widen" and width is None:
        raise InputError(
            f"The build of {label} takes no width: write it as def build(width=2), for 'widen' to set it."
        )
    if verb == "retrain" and width is not None and width.default is width.empty:
        raise InputError(
            f"The build of {label} needs a width: give it a default, def build(width=2), for 'retrain'."
        )


def _in_jax(build: Any) -> bool:
    from descentlab.models.problem import takes_key

    if not callable(build) or hasattr(build, "named_parameters"):
        return False
    parameters = inspect.signature(build).parameters
    return takes_key(functools.partial(build, width=1) if "width" in parameters else build)


# --- how to do it again ---


def _words(options: Mapping[str, Any]) -> list[str]:
    """Return the options that say what is computed, as they were given."""
    words = [
        f"--{name.replace('_', '-')}={shlex.quote(str(options[name]))}"
        for name in _COMMAND_OPTIONS
        if options.get(name) is not None
    ]
    words += [f"--set {shlex.quote(text)}" for text in options["setting"] or ()]
    return words + (["--no-endings"] if options.get("endings") is False else [])


_COMMAND_OPTIONS = (
    "widths", "runs", "optimizer", "learning_rate", "steps", "epochs", "batch_size", "held_out", "solved", "confidence",
    "seed", "store",
)  # fmt: skip


def _python(file: str, name: str, verb: str, dropped: Sequence[str], chosen: Mapping[str, Any]) -> str:
    """Return the Python lines that do the same."""
    changes = "".join(f", {word!r}: {value!r}" for word, value in chosen.items())
    settings = f"{{**{name}{changes}}}" if changes else name
    lines = ["import runpy", "", f"from descentlab.models import {verb}", ""]
    lines.append(f"{name} = runpy.run_path({file!r})[{name!r}]")
    lines += [f"del {name}[{word!r}]" for word in dropped]
    if verb == "retrain":
        return "\n".join([*lines, f"result = retrain(**{settings})\n"])
    lines += [
        f"build = {name}.pop('build')",
        f"result = widen(lambda width: functools.partial(build, width=width), **{settings})\n",
    ]
    return "\n".join(["import functools", *lines])
