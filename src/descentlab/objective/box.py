"""The box an objective lives on: bounds for every variable, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.check import DEFAULT_SIDE
from descentlab.errors import InputError

Domain = Mapping[str, Sequence[float]] | ArrayLike | None


def make_box(domain: Domain, names: tuple[str, ...]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the box as an array (dim, 2), and notes on what was filled in.

    Raises InputError for unknown variables, bounds that are not finite numbers, and empty or
    reversed intervals.
    """
    if domain is None:
        domain = {}
    if isinstance(domain, Mapping):
        extra = [name for name in domain if name not in names]
        if extra:
            raise InputError(
                f"The domain names '{extra[0]}', which is not a variable here; "
                f"the variables are {', '.join(names)}."
            )
        missing = [name for name in names if name not in domain]
        pairs: list[Any] = [domain.get(name, DEFAULT_SIDE) for name in names]
    else:
        missing, pairs = [], list(np.atleast_1d(np.asarray(domain, dtype=object)))
    try:
        box = np.array([[float(low), float(high)] for low, high in pairs])
    except (TypeError, ValueError):
        raise InputError(f"A domain is a pair of numbers a variable, low and high; got {domain!r}.") from None
    if box.shape != (len(names), 2):
        raise InputError(
            f"The domain has {len(box)} intervals, but there are {len(names)} variables: {', '.join(names)}."
        )
    for name, (low, high) in zip(names, box, strict=True):
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(f"The domain of {name} must be finite, but it is [{low:g}, {high:g}].")
        if low >= high:
            what = "empty" if low == high else "reversed"
            raise InputError(
                f"The domain of {name} is {what}: [{low:g}, {high:g}]. The lower bound comes first."
            )
        if not np.isfinite(float(high) - float(low)):  # Python floats overflow without a warning
            raise InputError(f"The domain of {name}, [{low:g}, {high:g}], is too wide for float64.")
    box.setflags(write=False)
    low, high = DEFAULT_SIDE
    notes = (
        (f"No domain was given for {', '.join(missing)}: [{low:g}, {high:g}] is used.",) if missing else ()
    )
    return box, notes


def common_box(
    names: tuple[str, ...], boxes: Sequence[tuple[tuple[str, ...], NDArray[np.float64]]]
) -> NDArray[np.float64]:
    """Return the intersection of boxes given as (names, box)."""
    sides: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    for given_names, box in boxes:
        for name, side in zip(given_names, box, strict=True):
            sides[name].append(side)
    pairs = {n: (max(s[0] for s in given), min(s[1] for s in given)) for n, given in sides.items()}
    if any(low >= high for low, high in pairs.values()):
        raise InputError("The objectives' domains do not overlap, so their sum is defined nowhere.")
    return make_box(pairs, names)[0]
