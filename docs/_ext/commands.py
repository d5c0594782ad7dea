"""Every command and option of the command line, read from the parser itself."""

from pathlib import Path
from typing import Any


def pages(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the page of commands, and what has no help text."""
    import typer

    from descentlab.cli.app import app

    group: Any = typer.main.get_command(app)
    text = [
        "# Commands", "",
        "`descentlab COMMAND --help` shows the same in the terminal. The exit status is 0 when done, 2 when what was "
        "given cannot be used, 1 when the work itself failed, 130 when interrupted.", "",
    ]  # fmt: skip
    missing = []
    for name, command in group.commands.items():
        if not command.help:
            missing.append(f"help of 'descentlab {name}'")
            continue
        told, *examples = command.help.split("\b")
        usage = " ".join(
            ["descentlab", name, *(p.metavar or p.name.upper() for p in command.params if _positional(p))]
        )
        text += [
            f"(command-{name})=",
            f"## {name}",
            "",
            _plain(told),
            "",
            "```text",
            f"{usage} [options]",
            "```",
        ]
        for example in examples:
            text += ["", "```sh", example.strip("\n").split("\n\n")[0], "```"]
        text += ["", "| | |", "|---|---|"]
        for parameter in command.params:
            if getattr(parameter, "hidden", False):
                continue
            if not parameter.help:
                missing.append(f"help of {parameter.opts} of 'descentlab {name}'")
            text.append(f"| {_shown(parameter)} | {_plain(parameter.help or '')} |")
        text.append("")
    return {"commands": "\n".join(text)}, missing


def _positional(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _shown(parameter: Any) -> str:
    value = (parameter.metavar or "").strip()
    if _positional(parameter):
        return f"`{value or parameter.name.upper()}`".replace("|", "\\|")
    names = ", ".join(f"`{option}`" for option in [*parameter.opts, *parameter.secondary_opts])
    return f"{names} `{value}`".replace("|", "\\|") if value else names


def _plain(text: str) -> str:
    """Return the text on one line, with nothing Markdown would take for a mark."""
    from rich.text import Text

    line = " ".join(Text.from_markup(text).plain.split())
    for mark in "\\*_|<`$":
        line = line.replace(mark, f"\\{mark}")
    return line
