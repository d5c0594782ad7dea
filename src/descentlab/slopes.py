"""Two numerical ways to a slope: dual numbers and finite differences.

Both read the straight-line program of a formula in NumPy, so that a derivative found by rules
can be checked at once, without loading an automatic-differentiation library.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sympy import Symbol

from descentlab.formula.functions import BY_NAME
from descentlab.program import NUMPY, Operation, Program, compile_program, integer_power, run

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Mask = np.ndarray[Any, np.dtype[np.bool_]]


def dual(program: Program, coordinates: Sequence[Any], axis: int, points: int) -> tuple[Array, Array]:
    """Return the first output and its derivative along `axis`, by forward-mode differentiation.

    Every operation carries a value and a tangent (None where it does not depend on the
    coordinate); its local slopes come from the function table.
    """
    values: list[Any] = []
    tangents: list[Any] = []
    for op in program.operations:
        if op.name == "constant":
            values.append(op.number)
            tangents.append(None)
            continue
        if op.name == "input":
            values.append(coordinates[int(op.number)])
            tangents.append(1.0 if int(op.number) == axis else None)
            continue
        u = [values[i] for i in op.arguments]
        values.append(_apply(op, u))
        tangent = None
        for i, argument in enumerate(op.arguments):
            if tangents[argument] is not None:
                part = _local_slope(op.name, i, u, values[-1], int(op.number)) * tangents[argument]
                tangent = part if tangent is None else tangent + part
        tangents.append(tangent)
    output = program.outputs[0]
    value, slope = columns([values[output], 0.0 if tangents[output] is None else tangents[output]], points)
    return value, slope


def rounding(program: Program, coordinates: Sequence[Any], points: int) -> Array:
    """Return a first-order estimate of the rounding error in the first output.

    Running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, section 3.3):
    every operation passes on its arguments' errors times its local slopes and adds half a unit
    in the last place of its own.
    """
    import numpy as np

    half_ulp = float(np.finfo(float).eps) / 2
    values: list[Any] = []
    errors: list[Any] = []
    for op in program.operations:
        if op.name in ("constant", "input"):
            values.append(op.number if op.name == "constant" else coordinates[int(op.number)])
            errors.append(half_ulp * abs(op.number) if op.name == "constant" else None)
            continue
        u = [values[i] for i in op.arguments]
        values.append(_apply(op, u))
        error = half_ulp * np.abs(values[-1])
        for i, argument in enumerate(op.arguments):
            if errors[argument] is not None:
                size = np.abs(_local_slope(op.name, i, u, values[-1], int(op.number)))
                error = error + np.where(errors[argument] == 0, 0.0, size * errors[argument])
        errors.append(error)
    error = errors[program.outputs[0]]
    return columns([0.0 if error is None else error], points)[0]


def _apply(op: Operation, u: list[Any]) -> Any:
    if op.name == "integer_power":
        return integer_power(u[0], int(op.number))
    return NUMPY.operation(op.name)(*u)


def _local_slope(name: str, i: int, u: list[Any], result: Any, exponent: int) -> Any:
    """Return ∂(operation)/∂(argument i) at the arguments `u`."""
    match name, i:
        case ("add", _) | ("subtract", 0):
            return 1.0
        case ("subtract", 1) | ("negative", _):
            return -1.0
        case "multiply", _:
            return u[1 - i]
        case "divide", 0:
            return 1.0 / u[1]
        case "divide", 1:
            return -result / u[1]
        case "sqrt", _:
            return 0.5 / result
        case "integer_power", _:
            return exponent * (integer_power(u[0], exponent - 1) if exponent > 1 else 1.0)
        case "power", 0:
            return u[1] * NUMPY.operation("power")(u[0], u[1] - 1.0)
        case "power", 1:
            return result * NUMPY.operation("log")(u[0])
    return run(_slope_program(name, i), u, NUMPY)[0]


@functools.cache
def _slope_program(name: str, i: int) -> Program:
    row = BY_NAME[name]
    letters = ["u", "v"][: len(row.derivative)]
    return compile_program([row.derivative[i](*map(Symbol, letters))], letters)


def finite_differences(program: Program, x: Array, axis: int, side: Array) -> tuple[Array, Array, Mask]:
    """Return central differences extrapolated to step 0, their own error estimate, and which cross a kink.

    Ridders' method (Advances in Engineering Software 4, 1982): the step halves from a sixteenth
    of the box; a Neville table removes h², h⁴, …; the entry that changed least is taken. Steps
    that reach a kink or leave the formula's domain take no part.
    """
    import numpy as np

    rows = 14
    points = x.shape[1]
    watched = _with_kinks(program)
    best = np.full(points, np.nan)
    doubt = np.full(points, np.inf)
    smooth = np.zeros(points, dtype=int)
    before: list[Array] = []
    width = float(side[1] - side[0])
    for k in range(rows):
        h = width / 16 / 2**k
        ahead, behind = x.copy(), x.copy()
        ahead[axis] += h
        behind[axis] -= h
        gap = ahead[axis] - behind[axis]  # what was really stepped, after rounding
        up = columns(run(watched, list(ahead), NUMPY), points)
        down = columns(run(watched, list(behind), NUMPY), points)
        # Both ends of the step must lie strictly on one side of every kink.
        whole = np.ones(points, dtype=bool)
        for one, other in zip(up[1:], down[1:], strict=True):
            whole &= one * other > 0
        smooth += whole
        first = np.where(whole, (up[0] - down[0]) / gap, np.nan)
        rounding = np.finfo(float).eps * np.maximum(np.abs(up[0]), np.abs(down[0])) / h
        now = [first]
        for m in range(1, k + 1):
            now.append(now[-1] + (now[-1] - before[m - 1]) / (4.0**m - 1))
            error = np.maximum(np.abs(now[m] - now[m - 1]), np.abs(now[m] - before[m - 1])) + rounding
            better = error < doubt
            best, doubt = np.where(better, now[m], best), np.where(better, error, doubt)
        before = now
    return best, doubt, smooth < 3


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


def columns(results: Sequence[Any], points: int) -> list[Array]:
    """Return the outputs of `run` as arrays, constants repeated."""
    import numpy as np

    return [np.broadcast_to(np.asarray(r, dtype=float), (points,)) for r in results]
