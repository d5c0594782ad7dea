"""Messages of a page are untrusted: every entry is read through here, typed and capped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError, unknown

# What one message may ask for.
MOST_STARTS = 32
MOST_OPTIMIZERS = 8
MOST_STEPS = 20_000
MOST_NUMBERS = 4_000_000  # recorded by one run: 32 MB
MOST_VARIABLES = 100
MOST_PARAMETERS = 8
MOST_PIXELS = 1024  # a side of a basin map
MOST_SURVEYED = 1_000_000
FIELD = (8, 256)  # points along a side of a height field
MOST_SEED = 2**53 - 1  # the largest a page can name exactly
SCHEDULES = ("fixed", "time", "gradient", "cosine", "exponential", "auto")


class Ask:
    """One message, read entry by entry; raises InputError where an entry cannot be used."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        self._message = message

    def get(self, name: str) -> Any:
        """Return the entry as it came, None if there is none."""
        return self._message.get(name)

    def entries(self) -> Iterable[tuple[str, Any]]:
        """Return all entries as they came."""
        return self._message.items()

    def has(self, name: str) -> bool:
        return self._message.get(name) is not None

    def flag(self, name: str) -> bool:
        given = self._message.get(name, False)
        if not isinstance(given, bool):
            raise InputError(f"'{name}' must be true or false.")
        return given

    def text(self, name: str, most: int) -> str:
        given = self._message.get(name)
        if not isinstance(given, str) or len(given) > most:
            raise InputError(f"'{name}' must be a text of at most {most:,} characters.")
        return given

    def choice(self, name: str, known: Sequence[str], default: str) -> str:
        given = self._message.get(name, default)
        if not isinstance(given, str) or given not in known:
            raise unknown(name, str(given)[:60], known)
        return given

    def number(self, name: str, default: float | None = None) -> float:
        """Return a finite number."""
        return _finite(self._message.get(name, default), f"'{name}'")

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        number = self.number(name, default)
        if number != int(number) or not low <= number <= high:
            raise InputError(
                f"'{name}' must be a whole number from {low:,} to {high:,}, but it is {number:g}."
            )
        return int(number)

    def items(self, name: str, most: int) -> list[Any]:
        given = self._message.get(name)
        if not isinstance(given, list) or not 1 <= len(given) <= most:
            raise InputError(f"'{name}' must be a list of 1 to {most:,} entries.")
        return given

    def points(self, name: str, dim: int, most: int) -> NDArray[np.float64]:
        """Return a list of points, (point, dim)."""
        return np.array([_point(p, dim, f"'{name}'") for p in self.items(name, most)])

    def point(self, name: str, dim: int) -> NDArray[np.float64] | None:
        """Return one point, (dim,), or None if there is none."""
        return np.array(_point(self.get(name), dim, f"'{name}'")) if self.has(name) else None


def check_interval(given: Any, what: str) -> tuple[float, float]:
    """Return a pair of finite numbers."""
    if not isinstance(given, list) or len(given) != 2:
        raise InputError(f"The bounds of {what} are two numbers.")
    return _finite(given[0], f"The lower bound of {what}"), _finite(given[1], f"The upper bound of {what}")


def check_parameters(given: Any) -> dict[str, float]:
    """Return an optimizer's parameters: names and numbers. Which there are, `choose` checks."""
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > MOST_PARAMETERS:
        raise InputError("An optimizer's parameters are a few names with numbers.")
    return {str(name)[:40]: _finite(value, f"'{str(name)[:40]}'") for name, value in given.items()}


def _point(given: Any, dim: int, what: str) -> list[float]:
    if not isinstance(given, list) or len(given) != dim:
        raise InputError(f"{what}: a point of this objective is {dim} number{'s' if dim > 1 else ''}.")
    return [_finite(c, what) for c in given]


def _finite(given: Any, what: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise InputError(f"{what} must be a number.")
    try:
        number = float(given)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{what} must be a finite number.")
    return number
