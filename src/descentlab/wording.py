"""Numbers and points in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from descentlab.objective import Objective


def plain(numbers: Any) -> list[float]:
    """Return an array's numbers as Python floats, for evidence and JSON."""
    return [float(v) for v in np.asarray(numbers).reshape(-1)]


def short(number: float) -> str:
    """Write a number with five significant digits: enough to read, not to compute with."""
    return f"{float(number) + 0.0:.5g}"  # + 0.0 turns −0 into 0


def where(objective: Objective, point: Any) -> str:
    """Write a point: "x = 0.5" or "(x, y) = (0.5, −1)", with 0 for less than a billionth of a side."""
    names, exact = objective.names, np.asarray(point, float).reshape(-1)
    values = [short(v) for v in np.where(np.abs(exact) < 1e-9 * objective.widths, 0.0, exact)]
    if len(values) == 1:
        return f"{names[0]} = {values[0]}"
    if len(values) > 6:
        return f"({', '.join(names[:5])}, …) = ({', '.join(values[:5])}, …)"
    return f"({', '.join(names)}) = ({', '.join(values)})"
