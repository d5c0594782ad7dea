"""Texts of the command line → objectives, numbers, points and ranges."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descentlab.errors import InputError

if TYPE_CHECKING:
    from descentlab.objective import Objective

_FILE_AND_NAME = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)", re.DOTALL)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ _-][A-Za-z0-9]+)*")
_RANGE = re.compile(r"(?P<low>[^:]+):(?P<high>[^:]+):(?P<count>\d+)(?P<log>log)?")
MOST_IN_RANGE = 100_000


def read_objective(
    target: str, domains: Sequence[str] | None = None, variables: str | None = None, dim: int | None = None
) -> Objective:
    """Return the objective that `target` names: a formula, a landscape, or FILE.py:NAME.

    A landscape's name goes before a formula of the same spelling.

    Raises InputError where there is none of that kind.
    """
    if target.startswith("--"):
        raise InputError(f"There is no option '{target.split('=')[0]}'; --help shows those there are.")
    named = _FILE_AND_NAME.fullmatch(target)
    if named is not None:
        if dim is not None or variables is not None:
            raise InputError(
                "A Python function's variables come from --domain: leave out --dim and --variables."
            )
        return _from_file(named["file"], named["name"], domains)
    if variables is None and _is_landscape(target, dim):
        from descentlab.landscapes import landscape

        return _with_domain(landscape(target, dim), domains)
    if dim is not None:
        raise InputError("--dim is for a family of the catalogue; a formula's variables are in its text.")
    return _from_formula(target, domains, variables)


def _is_landscape(target: str, dim: int | None) -> bool:
    """Tell whether `target` is in the catalogue; raise with a suggestion where it must be meant to be."""
    if not _WORD.fullmatch(target.strip()):
        return False
    from descentlab.landscapes import find

    try:
        find(target)
    except InputError:
        close = "Did you mean" in _message(find, target)
        # One long word could be a formula, of a variable by that name, but hardly ever is.
        word = target.strip()
        if dim is not None or (len(word) > 3 and (close or word.isalpha())):
            raise
        return False
    return True


def _message(call: Any, *arguments: Any) -> str:
    try:
        call(*arguments)
    except InputError as error:
        return str(error)
    return ""


def _from_formula(text: str, domains: Sequence[str] | None, variables: str | None) -> Objective:
    from descentlab.formula import parse
    from descentlab.objective import formula

    names = None if variables is None else [name.strip() for name in variables.split(",")]
    if domains and any("=" not in side for side in domains):
        return formula(text, read_domain(domains, parse(text, names).names), names)
    return formula(text, read_domain(domains), names)


def _with_domain(objective: Objective, domains: Sequence[str] | None) -> Objective:
    """Return the objective with some bounds replaced."""
    if not domains:
        return objective
    from descentlab.objective import make_box

    sides: dict[str, tuple[float, float]] = {
        name: (float(low), float(high))
        for name, (low, high) in zip(objective.names, objective.domain, strict=True)
    }
    box, _ = make_box({**sides, **(read_domain(domains, objective.names) or {})}, objective.names)
    return replace(objective, domain=box)


def _from_file(file: str, name: str, domains: Sequence[str] | None) -> Objective:
    """Return the objective made of the function `name` in the user's own Python file."""
    from descentlab.objective import Objective, function

    found = getattr(_load(file), name, None)
    if found is None:
        raise InputError(f"There is no '{name}' in '{file}'.")
    if isinstance(found, Objective):
        return _with_domain(found, domains)
    if not callable(found):
        raise InputError(
            f"'{name}' in '{file}' is neither a function nor an objective, but {type(found).__name__}."
        )
    sides = read_domain(domains)
    if not sides:
        raise InputError(
            "A Python function needs a domain: give --domain x=-2:2 for each variable, in its vector's order."
        )
    return function(found, sides, label=f"{Path(file).name}:{name}")


def _load(file: str) -> Any:
    """Run the user's own Python file and return its module."""
    import importlib.util

    path = Path(file)
    if not path.is_file():
        raise InputError(f"There is no file '{file}'.")
    # The file may import its neighbours, as it could if Python ran it.
    sys.path.insert(0, str(path.resolve().parent))
    # Nor may it take the place of a library that is there already, as a file called random.py would.
    name = path.stem if path.stem not in sys.modules else f"_{path.stem}_of_the_command"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(
        spec
    )  # data classes look themselves up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        first = (str(error).strip().splitlines() or [""])[0]
        raise InputError(f"'{file}' could not be imported: {type(error).__name__}: {first}") from error
    finally:
        sys.path.append(sys.path.pop(0))  # last, so that worker processes find the neighbours too
    return module


def read_domain(
    given: Sequence[str] | None, names: Sequence[str] = ()
) -> dict[str, tuple[float, float]] | None:
    """Read domains such as "x=-2:2"; one without a name holds for all of `names`.

    >>> read_domain(["x=-2:2", "y=0:2*pi"])
    {'x': (-2.0, 2.0), 'y': (0.0, 6.283185307179586)}
    """
    if not given:
        return None
    sides: dict[str, tuple[float, float]] = {}
    everywhere: tuple[float, float] | None = None
    for text in given:
        name, equals, interval = (part.strip() for part in text.rpartition("="))
        low, colon, high = interval.partition(":")
        if not colon or ":" in high or (equals and not name):
            raise InputError(f"A domain is written x=-2:2, or -2:2 for every variable; got '{text[:60]}'.")
        if name in sides or (not equals and everywhere is not None):
            raise InputError(f"The domain of {name or 'every variable'} is given twice.")
        pair = read_number(low, "bound"), read_number(high, "bound")
        if equals:
            sides[name] = pair
        else:
            everywhere = pair
    return sides if everywhere is None else {**dict.fromkeys(names, everywhere), **sides}


def read_number(text: str, what: str = "number") -> float:
    """Read a number, or a simple constant expression such as 2*pi, through the formula reader.

    >>> read_number("-1e-3"), read_number("pi/2")
    (-0.001, 1.5707963267948966)
    """
    try:
        return float(text)
    except ValueError:
        pass
    from descentlab.formula import FormulaError, parse

    stand_in = "unused"  # The reader wants a variable; a number must not use it.
    try:
        expression = parse(text, [stand_in]).expression
    except FormulaError as error:
        why = "" if stand_in in error.message else f" {error.message}"
        raise InputError(f"The {what} '{text[:60]}' is not a number.{why}") from None
    if not expression.is_number:
        raise InputError(f"The {what} '{text[:60]}' is not a number.")
    return float(expression.evalf(17))


def read_whole(text: str | int, what: str) -> int:
    """Read a whole number, also as 1e5.

    >>> read_whole("1e5", "number of steps")
    100000
    """
    number = read_number(str(text), what)
    if number != number or number in (float("inf"), float("-inf")) or number != int(number):
        raise InputError(f"The {what} must be a whole number, but it is '{str(text)[:60]}'.")
    return int(text) if re.fullmatch(r"-?\d+", str(text)) else int(number)


def read_point(text: str) -> list[float]:
    """Read a point, "0,1.4"."""
    return [read_number(part, "coordinate") for part in text.split(",")]


def read_start(points: Sequence[str] | None, count: str | None) -> Any:
    """Return what `descend` takes as its start: points, a number of random starts, or None."""
    if points and count is not None:
        raise InputError("Give either --start or --starts, not both.")
    if count is not None:
        return read_whole(count, "number of starts")
    if not points:
        return None
    read = [read_point(text) for text in points]
    if len({len(point) for point in read}) > 1:
        raise InputError("The starts have different numbers of coordinates.")
    return read if len(read) > 1 else read[0]


def read_rate(text: str) -> float | str:
    """Return a learning rate as a number where it is one, else its text for the library to read."""
    try:
        return float(text)
    except ValueError:
        return text.strip()


def read_parameters(given: Sequence[str] | None) -> dict[str, float]:
    """Read an optimizer's parameters, "decay=0.9"."""
    found: dict[str, float] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (equals and name.strip().isidentifier()):
            raise InputError(f"A parameter is written decay=0.9; got '{text[:60]}'.")
        if name.strip() in found:
            raise InputError(f"The parameter {name.strip()} is given twice.")
        found[name.strip()] = read_number(value, name.strip())
    return found


def read_range(text: str, what: str) -> list[float]:
    """Read "LOW:HIGH:COUNT" (evenly spaced), "LOW:HIGH:COUNTlog" (by equal factors) or one number.

    >>> read_range("0.01:1:3log", "learning rate")
    [0.01, 0.1, 1.0]
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        if ":" in text:
            raise InputError(f"A range is written LOW:HIGH:COUNT or LOW:HIGH:COUNTlog; got '{text[:60]}'.")
        return [read_number(text, what)]
    import numpy as np

    low, high = read_number(match["low"], what), read_number(match["high"], what)
    count = int(match["count"][:9])
    if not 2 <= count <= MOST_IN_RANGE:
        raise InputError(f"The range '{text[:60]}' must have 2 to {MOST_IN_RANGE:,} values.")
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"The range '{text[:60]}' is empty or reversed: the lower end comes first.")
    if match["log"] and not low > 0:
        raise InputError(f"The range '{text[:60]}' goes by factors, so it must begin above zero.")
    spaced = np.geomspace(low, high, count) if match["log"] else np.linspace(low, high, count)
    return [float(v) for v in spaced]


def read_rates(text: str) -> Any:
    """Read learning rates: one, a list "0.1,0.2,time:0.1", or a range "0.001:1:50log"."""
    rates: list[float | str] = []
    for part in text.split(","):
        numeric = re.match(r"\s*[-+.\d(]", part)
        rates += read_range(part, "learning rate") if numeric else [part.strip()]
    return rates if len(rates) > 1 else rates[0]


def read_step_counts(text: str) -> Any:
    """Read numbers of steps: one, a list "10,100,1000", or a range, rounded to whole numbers."""
    counts: list[int] = []
    for part in text.split(","):
        if ":" in part:
            counts += [round(v) for v in read_range(part, "number of steps")]
        else:
            counts.append(read_whole(part, "number of steps"))
    unique = list(dict.fromkeys(counts))
    return unique if len(unique) > 1 else unique[0]


def read_start_grid(points: Sequence[str] | None, count: str | None) -> Any:
    """Read the starts of a sweep: as `read_start`, and any coordinate may be a range.

    "-2:2:5" is five starts on a line, "-2:2:5,0:1:3" a grid of fifteen.
    """
    if not points or not any(":" in text for text in points):
        return read_start(points, count)
    if count is not None:
        raise InputError("Give either --start or --starts, not both.")
    import itertools

    grids = [[read_range(part, "coordinate") for part in text.split(",")] for text in points]
    if len({len(grid) for grid in grids}) > 1:
        raise InputError("The starts have different numbers of coordinates.")
    size = sum(_product(len(axis) for axis in grid) for grid in grids)
    if size > 10 * MOST_IN_RANGE:
        raise InputError(f"A grid of {size:,} starts is too many; {10 * MOST_IN_RANGE:,} are allowed.")
    return [list(point) for grid in grids for point in itertools.product(*grid)]


def _product(sizes: Any) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
