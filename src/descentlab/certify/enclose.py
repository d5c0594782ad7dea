"""What f, its gradient and its Hessian can be on boxes: programs run in interval arithmetic."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
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
        self._constants = {
            i: enclosed(op) for i, op in enumerate(self.full.operations) if op.name == "constant"
        }
        self._triangle = np.triu_indices(self.dim)

    @functools.cached_property
    def _value(self) -> _Runner:
        return _Runner(self.full, 1, self._constants)

    @functools.cached_property
    def _slopes(self) -> _Runner:
        return _Runner(self.full, 1 + self.dim, self._constants)

    @functools.cached_property
    def _full(self) -> _Runner:
        return _Runner(self.full, len(self.full.outputs), self._constants)

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
        for i, j, entry in zip(*self._triangle, outputs[1 + d :], strict=True):
            lo[:, i, j] = lo[:, j, i] = entry.lo
            hi[:, i, j] = hi[:, j, i] = entry.hi
        return Enclosure(outputs[0], _stacked(outputs[1 : 1 + d]), Interval(lo, hi), trouble)


def _stacked(parts: Sequence[Interval]) -> Interval:
    return Interval(np.stack([p.lo for p in parts], axis=1), np.stack([p.hi for p in parts], axis=1))


@dataclass(frozen=True, slots=True)
class _Step:
    """One operation made ready: its result's place, its function, its arguments' places, and what is done after it.

    in_value: whether it is one of f itself, not only of its derivatives.
    """

    place: int
    apply: Callable[..., Interval]
    arguments: tuple[int, ...]
    in_value: bool
    done: tuple[int, ...]


class _Runner:
    """The first outputs of a program made ready to run over boxes."""

    def __init__(self, program: Program, outputs: int, constants: dict[int, Interval]) -> None:
        self._outputs = program.outputs[:outputs]
        read, in_value = program.read_by(self._outputs), program.read_by(program.outputs[:1])
        self._constants = {i: constants[i] for i in read if i in constants}
        self._inputs = [
            (i, int(program.operations[i].number)) for i in read if program.operations[i].name == "input"
        ]
        steps = [i for i in sorted(read) if program.operations[i].name not in ("input", "constant")]
        last = {a: i for i in steps for a in program.operations[i].arguments}
        done: dict[int, list[int]] = {i: [] for i in steps}
        for a, i in last.items():
            if a not in self._outputs:
                done[i].append(a)
        self._steps = [
            _Step(i, _ready(op), op.arguments, i in in_value, tuple(done[i]))
            for i, op in ((i, program.operations[i]) for i in steps)
        ]

    def run(self, low: Array, high: Array) -> tuple[list[Interval], Trouble]:
        """Return the bounds of each output, (n,), and the trouble met."""
        n = len(low)
        trouble = Trouble(n)
        outputs = [Interval(np.empty(n), np.empty(n)) for _ in self._outputs]
        with np.errstate(all="ignore"):
            for first in range(0, n, BLOCK):
                part = slice(first, min(first + BLOCK, n))
                pieces = self._run_block(low[part], high[part], trouble, part)
                for whole, piece in zip(outputs, pieces, strict=True):
                    whole.lo[part], whole.hi[part] = piece.lo, piece.hi
        return outputs, trouble

    def _run_block(self, low: Array, high: Array, trouble: Trouble, part: slice) -> list[Interval]:
        mine = Trouble(len(low))
        results = dict(self._constants)
        for i, k in self._inputs:
            results[i] = Interval(np.ascontiguousarray(low[:, k]), np.ascontiguousarray(high[:, k]))
        for step in self._steps:
            mine.in_value = step.in_value
            results[step.place] = step.apply(mine, *[results[a] for a in step.arguments])
            for a in step.done:
                del results[a]
        trouble.undefined[part] |= mine.undefined
        trouble.kinked[part] |= mine.kinked
        trouble.nowhere[part] |= mine.nowhere
        return [results[i] for i in self._outputs]


def _ready(op: Operation) -> Callable[..., Interval]:
    """Return the operation as a function of trouble and its arguments."""
    if op.name == "integer_power":
        exponent = int(op.number)
        return lambda _, u: intervals.integer_power(u, exponent)
    if op.name in _PLAIN:
        plain = _PLAIN[op.name]
        return lambda _, *arguments: plain(*arguments)
    function = _PARTIAL.get(op.name) or TABLE[op.name]
    return lambda trouble, *arguments: function(*arguments, trouble)


_PLAIN: dict[str, Callable[..., Interval]] = {
    "add": intervals.add,
    "subtract": intervals.subtract,
    "multiply": intervals.multiply,
    "negative": intervals.negative,
}
_PARTIAL: dict[str, Callable[..., Interval]] = {"divide": intervals.divide, "sqrt": intervals.sqrt}


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
