"""The ways of descending that are compared: all take (starts, steps) and return the ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

PEAKS = "3(1 - x)^2 exp(-x^2 - (y + 1)^2) - 10(x/5 - x^3 - y^5) exp(-x^2 - y^2) - 1/3 exp(-(x + 1)^2 - y^2)"
RATE = 0.01
Points = NDArray[np.float64]
Way = Callable[[Points, int], Points]


def textbook() -> Way:
    """Return the loop as a textbook writes it: SymPy's partial derivatives, `evalf` at every step."""
    import sympy
    from sympy import Rational, exp

    x, y = sympy.symbols("x y")
    f = (
        3 * (1 - x) ** 2 * exp(-(x**2) - (y + 1) ** 2)
        - 10 * (x / 5 - x**3 - y**5) * exp(-(x**2) - y**2)
        - Rational(1, 3) * exp(-((x + 1) ** 2) - y**2)
    )
    partials = [sympy.diff(f, v) for v in (x, y)]

    def way(starts: Points, steps: int) -> Points:
        ends = []
        for a, b in starts.tolist():
            for _ in range(steps):
                slopes = [float(p.evalf(subs={x: a, y: b})) for p in partials]
                a, b = a - RATE * slopes[0], b - RATE * slopes[1]
            ends.append((a, b))
        return np.array(ends)

    return way


def _slopes(exp: Callable[[Any], Any], u: Any, v: Any) -> tuple[Any, Any]:
    """Return both partial derivatives of peaks, with what they share computed once."""
    uu, vv, below, right, above = u * u, v * v, 1 - u, u + 1, v + 1
    e1, e2, e3 = exp(-uu - above * above), exp(-uu - vv), exp(-right * right - vv)
    a, b, c = 6 * below * e1, 20 * e2, (2 / 3) * e3
    h = b * (u * 0.2 - u * uu - v * vv * vv)
    gx = h * u + right * c - a - a * below * u - b * (0.1 - 1.5 * uu)
    gy = h * v + v * c - a * below * above + b * 2.5 * vv * vv
    return gx, gy


def scalar_python() -> Way:
    """Return the loop in plain Python: floats, the math module, shared subexpressions."""

    def way(starts: Points, steps: int) -> Points:
        ends = []
        for x, y in starts.tolist():
            for _ in range(steps):
                gx, gy = _slopes(math.exp, x, y)
                x, y = x - RATE * gx, y - RATE * gy
            ends.append((x, y))
        return np.array(ends)

    return way


def numpy_batch() -> Way:
    """Return the loop over arrays: all starts take each step together."""

    def way(starts: Points, steps: int) -> Points:
        x, y = (column.copy() for column in starts.T)
        for _ in range(steps):
            gx, gy = _slopes(np.exp, x, y)
            x, y = x - RATE * gx, y - RATE * gy
        return np.stack([x, y], axis=1)

    return way


def constant(_: Any) -> float:
    """Return the rate at any step. A schedule, so that the lab takes every step: with a fixed rate it skips
    the rounds of a state that has come back bit for bit, and would seem faster than it steps."""
    return RATE


def ours(precision: str) -> Way:
    """Return what a user calls: `descend`, verdicts and all."""
    from descentlab.descent import descend
    from descentlab.objective import formula

    f = formula(PEAKS, domain={"x": (-3, 3), "y": (-3, 3)})

    def way(starts: Points, steps: int) -> Points:
        run = descend(
            f, start=starts, learning_rate=constant, steps=steps, record="ends", precision=precision
        )
        return run.ends

    return way


def ours_steps_only(precision: str) -> Way:
    """Return the batch loop behind `descend`, without the verdicts."""
    from descentlab.batch import run_ends
    from descentlab.engine import Rows
    from descentlab.loop import Method
    from descentlab.objective import formula
    from descentlab.optimizers import choose
    from descentlab.rates import read_rate

    f = formula(PEAKS, domain={"x": (-3, 3), "y": (-3, 3)})
    method = Method(f, choose("gd", {}), read_rate(constant), "free", False, False, precision)

    def way(starts: Points, steps: int) -> Points:
        count = len(starts)
        rows = Rows(starts, np.ones(count), np.full(count, steps))
        return run_ends(method, rows, None).points

    return way
