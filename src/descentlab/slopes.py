"""Two numerical ways to a slope: dual numbers and finite differences.

Both read the straight-line program of a formula in plain numbers, so that a derivative found by
rules can be checked at once, without loading an array library or one for automatic
differentiation. Points are given as columns, one list of numbers a variable.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Sequence
from operator import add, mul

from sympy import Symbol

from descentlab.formula.functions import BY_NAME
from descentlab.program import Operation, Program, compile_program, integer_power
from descentlab.scalar import Column, apply, divide, power, run_columns, run_each_column, scalar

EPSILON = sys.float_info.epsilon
# Halvings of the step of finite differences: from a sixteenth of the box to 1e-5 of it, where rounding
# has long taken over.
HALVINGS = 14


def dual(program: Program, coordinates: Sequence[Sequence[float]], axis: int) -> tuple[Column, Column]:
    """Return the first output and its derivative along `axis`, by forward-mode differentiation.

    Every operation carries a value and a tangent (None where it does not depend on the
    coordinate); its local slopes come from the function table.
    """
    points = len(coordinates[0])
    values: list[Column] = []
    tangents: list[Column | None] = []
    for op in program.operations:
        u = [values[i] for i in op.arguments]
        values.append(apply(op, u, coordinates))
        tangent = [1.0] * points if op.name == "input" and int(op.number) == axis else None
        for i, argument in enumerate(op.arguments):
            inner = tangents[argument]
            if inner is not None:
                part = list(map(mul, _local_slope(op, i, u, values[-1]), inner))
                tangent = part if tangent is None else list(map(add, tangent, part))
        tangents.append(tangent)
    output = program.outputs[0]
    slope = tangents[output]
    return values[output], [0.0] * points if slope is None else slope


def rounding(program: Program, coordinates: Sequence[Sequence[float]]) -> Column:
    """Return a first-order estimate of the rounding error in the first output.

    Running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, section 3.3):
    every operation passes on its arguments' errors times its local slopes and adds half a unit
    in the last place of its own.
    """
    half_ulp = EPSILON / 2
    values: list[Column] = []
    errors: list[Column] = []
    for op in program.operations:
        u = [values[i] for i in op.arguments]
        values.append(apply(op, u, coordinates))
        # The coordinates themselves are exact.
        error = [0.0 if op.name == "input" else half_ulp * abs(v) for v in values[-1]]
        for i, argument in enumerate(op.arguments):
            if any(errors[argument]):
                slopes = _local_slope(op, i, u, values[-1])
                passed = zip(error, slopes, errors[argument], strict=True)
                error = [own + (abs(slope) * e if e else 0.0) for own, slope, e in passed]
        errors.append(error)
    return errors[program.outputs[0]]


def _local_slope(op: Operation, i: int, u: Sequence[Column], result: Column) -> Column:
    """Return ∂(operation)/∂(argument i) at the arguments `u`."""
    match op.name, i:
        case ("add", _) | ("subtract", 0):
            return [1.0] * len(result)
        case ("subtract", 1) | ("negative", _):
            return [-1.0] * len(result)
        case "multiply", _:
            return u[1 - i]
        case "divide", 0:
            return [divide(1.0, v) for v in u[1]]
        case "divide", 1:
            return [divide(-w, v) for w, v in zip(result, u[1], strict=True)]
        case "sqrt", _:
            return [divide(0.5, w) for w in result]
        case "integer_power", _:
            n = int(op.number)
            return [n * integer_power(v, n - 1) for v in u[0]]
        case "power", 0:
            return [b * power(a, b - 1.0) for a, b in zip(*u, strict=True)]
        case "power", 1:
            log = scalar("log")
            return [w * log(a) for w, a in zip(result, u[0], strict=True)]
    return run_columns(_slope_program(op.name, i), u)[0]


@functools.cache
def _slope_program(name: str, i: int) -> Program:
    row = BY_NAME[name]
    letters = ["u", "v"][: len(row.derivative)]
    return compile_program([row.derivative[i](*map(Symbol, letters))], letters)


def finite_differences(
    program: Program, x: Sequence[Sequence[float]], axis: int, side: tuple[float, float]
) -> tuple[Column, Column, list[bool]]:
    """Return central differences extrapolated to step 0, their own error estimate, and which cross a kink.

    Ridders' method (Advances in Engineering Software 4, 1982): the step halves from a sixteenth
    of the box; a Neville table removes h², h⁴, …; the entry that changed least is taken. Steps
    that reach a kink or leave the formula's domain take no part.
    """
    watched = _with_kinks(program)
    start = run_each_column(watched, x)
    moving = _moving(watched, axis)
    tables = [_Extrapolation() for _ in x[axis]]
    for k in range(HALVINGS):
        h = (side[1] - side[0]) / 16 / 2**k
        ahead = [v + h for v in x[axis]]
        behind = [v - h for v in x[axis]]
        up, *above = _moved(watched, start, moving, ahead)
        down, *below = _moved(watched, start, moving, behind)
        for p, table in enumerate(tables):
            # Both ends of the step must lie strictly on one side of every kink.
            whole = all(one[p] * other[p] > 0 for one, other in zip(above, below, strict=True))
            gap = ahead[p] - behind[p]  # what was really stepped, after rounding
            first = divide(up[p] - down[p], gap) if whole else math.nan
            table.extend(first, divide(EPSILON * max(abs(up[p]), abs(down[p])), h))
            table.smooth += whole
    return [t.best for t in tables], [t.doubt for t in tables], [t.smooth < 3 for t in tables]


def _moving(program: Program, axis: int) -> list[int]:
    """Return the operations that depend on the coordinate `axis`, its input first."""
    moving: dict[int, None] = {}
    for i, op in enumerate(program.operations):
        if (op.name == "input" and int(op.number) == axis) or any(a in moving for a in op.arguments):
            moving[i] = None
    return list(moving)


def _moved(program: Program, start: Sequence[Column], moving: Sequence[int], to: Column) -> list[Column]:
    """Return the outputs where one coordinate is moved `to`; only what depends on it is computed again."""
    results = list(start)
    for i in moving:
        op = program.operations[i]
        results[i] = apply(op, [results[a] for a in op.arguments], []) if op.arguments else to
    return [results[i] for i in program.outputs]


class _Extrapolation:
    """Richardson's table at one point: the row before, and the best entry so far with its doubt."""

    __slots__ = ("best", "doubt", "row", "smooth")

    def __init__(self) -> None:
        self.row: Column = []
        self.best, self.doubt, self.smooth = math.nan, math.inf, 0

    def extend(self, first: float, noise: float) -> None:
        """Add the row that begins with the difference `first`, known to ± `noise` for rounding."""
        now, removed = first, 1.0
        row = [now]
        for before in self.row:
            removed *= 4.0
            last, now = now, now + (now - before) / (removed - 1.0)
            error = max(abs(now - last), abs(now - before)) + noise
            if error < self.doubt:  # not where NaN is in it
                self.best, self.doubt = now, error
            row.append(now)
        self.row = row


def _with_kinks(program: Program) -> Program:
    """Return `program` with one more output a kink, which is 0 where the kink lies: u, or u − v."""
    operations, zeros = list(program.operations), []
    for i in program.kinks:
        arguments = program.operations[i].arguments
        zeros.append(arguments[0])
        if len(arguments) == 2:
            zeros[-1] = len(operations)
            operations.append(Operation("subtract", arguments))
    return Program(program.names, tuple(operations), (program.outputs[0], *zeros))
