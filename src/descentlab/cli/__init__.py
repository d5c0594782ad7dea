"""The command line: parse, call, print. No mathematics of its own.

`main` is where every failure becomes one message and an exit status: 0 done, 1 the work itself
failed, 2 the input cannot be used, 130 interrupted, 141 the reader of the output went away.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

DONE, FAILED, UNUSABLE, INTERRUPTED, NO_READER = 0, 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (the process's own by default); return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    # Loading SymPy and JAX makes many objects and no garbage: looking for some costs a tenth of the time.
    thresholds = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        status = _run([_protected(word) for word in words if word != "--debug"])
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        _complain("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain once more when it flushes standard output on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    except Exception as error:
        if debug:
            raise
        return _explain(error)
    finally:
        if arguments is None:
            # The process ends here. Python would first look through all objects for garbage, twice, and
            # take them apart one by one, for a third of SymPy's loading time; frozen ones it leaves alone.
            gc.freeze()
        else:
            gc.set_threshold(*thresholds)


def _run(words: list[str]) -> int:
    from descentlab.cli.quick import derive, read_derive

    given = read_derive(words)
    if given is not None:
        derive(**given)
        return DONE
    import typer

    from descentlab.cli.app import app

    try:
        status = typer.main.get_command(app).main(words, prog_name="descentlab", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None  # the option parser's name for it, in some versions
    except SystemExit as leaving:
        # The option parser makes a broken pipe into status 1 by itself.
        if isinstance(leaving.__context__, BrokenPipeError):
            raise leaving.__context__ from None
        status = leaving.code
    if status == INTERRUPTED:  # … in others it is this status
        raise KeyboardInterrupt
    return status if isinstance(status, int) else DONE


def _protected(word: str) -> str:
    """Keep a word such as -x^2 or -1 from being read as a bundle of options: there are no such here.

    No option begins with a single minus, and leading space means nothing to what reads the word.
    """
    return f" {word}" if word[:1] == "-" and word[1:2] not in ("", "-") and word != "-h" else word


def _explain(error: Exception) -> int:
    """Print what went wrong as one message, and return the status it stands for."""
    from descentlab.errors import InputError, WorkError

    if hasattr(error, "format_message"):  # the option parser's own errors
        if str(error.format_message()):  # without any argument the help is shown, and says it all
            _complain(_usage(error))
        return UNUSABLE
    if isinstance(error, InputError):
        _complain(str(error), *error.__notes__)
        return UNUSABLE
    if isinstance(error, WorkError):
        _complain(str(error), *error.__notes__)
    elif isinstance(error, MemoryError):
        _complain("There is not enough memory for this. Take fewer starts or steps.")
    elif isinstance(error, OSError):
        _complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.")
    else:
        first = (str(error).strip().splitlines() or [""])[0]
        _complain(f"The work failed: {type(error).__name__}: {first} Run again with --debug to see where.")
    return FAILED


def _usage(error: Exception) -> str:
    """Return the option parser's message on one line, with where to look."""
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "descentlab"
    if message and message[-1] not in ".!?)":
        message += "."
    return f"{message} '{path} --help' shows what is allowed."


def _complain(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr)
