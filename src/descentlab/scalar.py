"""The straight-line program read in plain Python numbers, many points at a time.

A formula's derivatives are checked at about a hundred points, which the `math` module does in less
time than NumPy takes to load. A `Column` holds one number a point; `math` raises where IEEE 754
has a value, so the functions here give that value instead, as NumPy's do.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from descentlab.program import NUMPY, Operation, Program, integer_power

Column: TypeAlias = list[float]


def run_columns(program: Program, coordinates: Sequence[Sequence[float]]) -> list[Column]:
    """Return the outputs of `program` at points given as one sequence a variable."""
    results = run_each_column(program, coordinates)
    return [results[i] for i in program.outputs]


def run_each_column(program: Program, coordinates: Sequence[Sequence[float]]) -> list[Column]:
    """Return the result of every operation of `program`, in order."""
    results: list[Column] = []
    for op in program.operations:
        results.append(apply(op, [results[i] for i in op.arguments], coordinates))
    return results


def apply(op: Operation, u: Sequence[Column], coordinates: Sequence[Sequence[float]]) -> Column:
    """Return the result of one operation on the columns `u`, or of an input or a constant."""
    if op.name == "constant":
        return [op.number] * len(coordinates[0])
    if op.name == "input":
        return list(coordinates[int(op.number)])
    if op.name == "integer_power":
        return [integer_power(a, int(op.number)) for a in u[0]]
    return list(map(scalar(op.name), *u))


@functools.cache
def scalar(name: str) -> Callable[..., float]:
    """Return the operation or function `name` on numbers.

    A function of the table is the one of the same name in `math`, where there is one; what neither
    this module nor `math` has is asked of NumPy, so that a new row of the table is enough here too.
    """
    if name in _OWN:
        return _OWN[name]
    if hasattr(math, name):
        return _quiet(getattr(math, name))
    return _by_numpy(name)


def divide(a: float, b: float) -> float:
    """a/b; by zero it is an infinity, or NaN for 0/0."""
    try:
        return a / b
    except ZeroDivisionError:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)


def power(a: float, b: float) -> float:
    """C's pow: NaN for a negative base with a broken exponent, infinities for poles and overflow."""
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:  # a zero raised to a negative power, or a negative number to a broken one
        if a != 0:
            return math.nan
        return math.copysign(math.inf, a) if b % 2 == 1 else math.inf


def log(u: float) -> float:
    """The natural logarithm: −inf at 0, NaN left of it."""
    return math.log(u) if u > 0 else (-math.inf if u == 0 else math.nan)


def sinh(u: float) -> float:
    try:
        return math.sinh(u)
    except OverflowError:
        return math.copysign(math.inf, u)


def atanh(u: float) -> float:
    """The area tangent: ±inf at ±1, NaN outside."""
    try:
        return math.atanh(u)
    except ValueError:
        return math.copysign(math.inf, u) if abs(u) == 1 else math.nan


def sign(u: float) -> float:
    return u if u != u else float((u > 0) - (u < 0))


def step(u: float) -> float:
    return u if u != u else float(u > 0)


def relu(u: float) -> float:
    return 0.0 if u <= 0 else u  # NaN is kept


def minimum(a: float, b: float) -> float:
    return a if a < b or a != a else b


def maximum(a: float, b: float) -> float:
    return a if a > b or a != a else b


def sigmoid(u: float) -> float:
    """1/(1 + e^(−u)), with the small exponential of the two, which cannot overflow."""
    small = math.exp(-abs(u))
    return (1.0 if u >= 0 else small) / (1.0 + small)


def softplus(u: float) -> float:
    """log(1 + e^u) without overflow."""
    return u if u != u else max(u, 0.0) + math.log1p(math.exp(-abs(u)))


_OWN: dict[str, Callable[..., float]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": divide,
    "negative": operator.neg, "power": power, "log": log, "sinh": sinh, "atanh": atanh, "abs": abs,
    "sign": sign, "step": step, "relu": relu, "min": minimum, "max": maximum, "sigmoid": sigmoid,
    "softplus": softplus,
}  # fmt: skip


def _quiet(function: Callable[..., float]) -> Callable[..., float]:
    """Return `function` with NaN outside its domain, and inf for what is too large."""

    def quiet(*u: float) -> float:
        try:
            return function(*u)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return quiet


def _by_numpy(name: str) -> Callable[..., float]:
    import numpy as np

    function: Any = NUMPY.operation(name)

    def quiet(*u: float) -> float:
        with np.errstate(all="ignore"):
            return float(function(*u))

    return quiet
