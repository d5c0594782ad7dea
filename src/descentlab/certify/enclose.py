"""What f, its gradient and its Hessian can be on boxes: programs run in interval arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentlab.certify import intervals
from descentlab.certify.functions import TABLE
from descentlab.certify.intervals import FEW, Array, Interval, Trouble
from descentlab.differentiate import derivatives
from descentlab.program import Operation, Program

# Boxes are run so many at a time: their bounds stay in the processor's cache.
BLOCK = 4096


@dataclass(frozen=True)
class Enclosure:
    """Bounds on n boxes: value (n,), gradient (n, dim), hessian (n, dim, dim) or None, and trouble."""

    value: Interval
    gradient: Interval
    hessian: Interval | None
    trouble: Trouble

    def __getitem__(self, index: NDArray[np.generic] | slice) -> Enclosure:
        """Return what is known of some of the boxes."""
        hessian = self.hessian and _some(self.hessian, index)
        trouble = self.trouble[index]
        return Enclosure(_some(self.value, index), _some(self.gradient, index), hessian, trouble)


def _some(u: Interval, index: NDArray[np.generic] | slice) -> Interval:
    return Interval(u.lo[index], u.hi[index])


class Model:
    """An objective's programs for proofs: value and gradient, and both with the Hessian."""

    def __init__(self, value_program: Program) -> None:
        self.dim = len(value_program.names)
        self.full = derivatives(value_program)
        self._value = _Runner(Program(self.full.names, self.full.operations, self.full.outputs[:1]).pruned())
        self._slopes = _Runner(
            Program(self.full.names, self.full.operations, self.full.outputs[: 1 + self.dim]).pruned()
        )
        self._full = _Runner(self.full)

    def value(self, low: Array, high: Array) -> tuple[Interval, Trouble]:
        """Enclose f on the boxes [low, high], (n, dim) each."""
        outputs, trouble = self._value.run(low, high)
        return outputs[0], trouble

    def slopes(self, low: Array, high: Array) -> Enclosure:
        """Enclose f and ∇f on the boxes [low, high], (n, dim) each."""
        outputs, trouble = self._slopes.run(low, high)
        return Enclosure(outputs[0], _stacked(outputs[1:]), None, trouble)

    def around(self, centre: Array, low: Array, high: Array) -> tuple[Enclosure, Enclosure]:
        """Enclose f and ∇f at the centres, and both with the Hessian on the boxes around them."""
        n = len(low)
        if n > FEW:
            return self.slopes(centre, centre), self.curvatures(low, high)
        both = self.curvatures(np.concatenate([centre, low]), np.concatenate([centre, high]))
        return both[:n], both[n:]

    def curvatures(self, low: Array, high: Array) -> Enclosure:
        """Enclose f, ∇f and the Hessian on the boxes [low, high], (n, dim) each."""
        outputs, trouble = self._full.run(low, high)
        n, d = low.shape
        lo, hi = np.empty((n, d, d)), np.empty((n, d, d))
        for i, j, entry in zip(*np.triu_indices(d), outputs[1 + d :], strict=True):
            lo[:, i, j] = lo[:, j, i] = entry.lo
            hi[:, i, j] = hi[:, j, i] = entry.hi
        return Enclosure(outputs[0], _stacked(outputs[1 : 1 + d]), Interval(lo, hi), trouble)


def _stacked(parts: Sequence[Interval]) -> Interval:
    return Interval(np.stack([p.lo for p in parts], axis=1), np.stack([p.hi for p in parts], axis=1))


class _Runner:
    """A program made ready to run over boxes: its constants enclosed, the last reader of each result known."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._constants = {
            i: enclosed(op) for i, op in enumerate(program.operations) if op.name == "constant"
        }
        self._in_value = _read_by(program, program.outputs[0])
        last = {a: i for i, op in enumerate(program.operations) for a in op.arguments}
        for output in program.outputs:
            last.pop(output, None)
        self._done_after: dict[int, list[int]] = {}
        for a, i in last.items():
            self._done_after.setdefault(i, []).append(a)

    def run(self, low: Array, high: Array) -> tuple[list[Interval], Trouble]:
        """Return the bounds of each output, (n,), and the trouble met."""
        n = len(low)
        trouble = Trouble(n)
        outputs = [Interval(np.empty(n), np.empty(n)) for _ in self._program.outputs]
        with np.errstate(all="ignore"):
            for first in range(0, n, BLOCK):
                part = slice(first, min(first + BLOCK, n))
                for whole, piece in zip(
                    outputs, self._run_block(low[part], high[part], trouble, part), strict=True
                ):
                    whole.lo[part], whole.hi[part] = piece.lo, piece.hi
        return outputs, trouble

    def _run_block(self, low: Array, high: Array, trouble: Trouble, part: slice) -> list[Interval]:
        mine = Trouble(len(low))
        results: dict[int, Interval] = dict(self._constants)
        for i, op in enumerate(self._program.operations):
            if op.name == "constant":
                continue
            if op.name == "input":
                k = int(op.number)
                results[i] = Interval(np.ascontiguousarray(low[:, k]), np.ascontiguousarray(high[:, k]))
                continue
            mine.in_value = i in self._in_value
            results[i] = _apply(op, [results[a] for a in op.arguments], mine)
            for a in self._done_after.get(i, ()):
                results.pop(a)
        trouble.undefined[part] |= mine.undefined
        trouble.kinked[part] |= mine.kinked
        trouble.nowhere[part] |= mine.nowhere
        return [results[i] for i in self._program.outputs]


def _apply(op: Operation, arguments: list[Interval], trouble: Trouble) -> Interval:
    if op.name == "integer_power":
        return intervals.integer_power(arguments[0], int(op.number))
    if op.name in ("add", "subtract", "multiply", "negative"):
        operation = getattr(intervals, op.name)
        return operation(*arguments)  # type: ignore[no-any-return]
    if op.name == "divide":
        return intervals.divide(arguments[0], arguments[1], trouble)
    if op.name == "sqrt":
        return intervals.sqrt(arguments[0], trouble)
    return TABLE[op.name](*arguments, trouble)


def enclosed(op: Operation) -> Interval:
    """Return the exact constant's interval: a double that is it, or the doubles around it."""
    number = op.number
    exact = op.exact
    if exact is not None and exact.is_Rational and np.isfinite(number):
        top, bottom = number.as_integer_ratio()
        error = int(exact.p) * bottom - top * int(exact.q)
        if error == 0:
            return intervals.point(number)
        beyond = float(np.nextafter(number, np.inf if error > 0 else -np.inf))
        low, high = sorted((number, beyond))
        return Interval(np.asarray(low), np.asarray(high))
    if not np.isfinite(number):  # an exact number too large for a double
        low, high = (intervals.LARGEST, np.inf) if number > 0 else (-np.inf, -intervals.LARGEST)
        return Interval(np.asarray(low), np.asarray(high))
    # π or e: to_double may be off by an ulp.
    near = np.asarray(number)
    return Interval(intervals.down(intervals.down(near)), intervals.up(intervals.up(near)))


def _read_by(program: Program, output: int) -> set[int]:
    """Return the operations that `output` is computed from."""
    read = {output}
    for i in range(output, -1, -1):
        if i in read:
            read.update(program.operations[i].arguments)
    return read
