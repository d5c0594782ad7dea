"""Bounds on f alone, from exact ends: what a ball cannot say, such as that a sum of squares is not below 0.

A span is a pair of exact numbers lo ≤ hi. Each operation's result holds its values on the part of the spans where it is
defined, rounded outward by python-flint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from descentlab.certify.checking.balls import OPERATIONS, Ball, NowhereError, flint
from descentlab.certify.checking.tape import Tape, constant_ball
from descentlab.program import Operation, Program

Span = tuple[Ball, Ball]


class UnboundedError(ArithmeticError):
    """Nothing is known of f on a box."""


class BallModel:
    """A formula's value program for both ways of checking: with derivatives on balls, and alone on spans."""

    def __init__(self, program: Program) -> None:
        self.tape, self.spans = Tape(program), Spans(program)
        self.dim = self.tape.dim


class Spans:
    """A value program run on spans."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._constants = {
            i: _around(constant_ball(op.exact))
            for i, op in enumerate(program.operations)
            if op.name == "constant"
        }

    def bounds(
        self, low: Sequence[float | Ball], high: Sequence[float | Ball], continuous: bool = False
    ) -> Span | None:
        """Return bounds of f on the box [low, high], or None; NowhereError where f is defined at none of its points.

        continuous: return None also where f might be undefined, or jump, somewhere in the box.
        """
        arb = flint().arb
        results: list[Span] = []
        try:
            for i, op in enumerate(self._program.operations):
                if op.name == "constant":
                    results.append(self._constants[i])
                elif op.name == "input":
                    k = int(op.number)
                    results.append((arb(low[k]), arb(high[k])))
                elif continuous and not _whole(op.name, [results[a] for a in op.arguments]):
                    return None
                else:
                    results.append(_apply(op, results))
        except UnboundedError:
            return None
        return results[self._program.outputs[0]]

    def at(self, x: Sequence[float]) -> Span | None:
        """Return bounds of f at one point, None where it is not defined or not bounded."""
        try:
            return self.bounds(x, x, continuous=True)
        except NowhereError:
            return None


def _apply(op: Operation, results: list[Span]) -> Span:
    arguments = [results[a] for a in op.arguments]
    if op.name == "integer_power":
        return _integer_power(arguments[0], int(op.number))
    if op.name == "multiply" and op.arguments[0] == op.arguments[1]:
        return _integer_power(arguments[0], 2)
    if op.name in _SPANS:
        return _SPANS[op.name](*arguments)
    if op.name in _INCREASING:
        low, high = _INCREASING[op.name]
        return _increasing(op.name, _clipped(arguments[0], low, high))
    return _by_ball(op.name, *arguments)


def _whole(name: str, arguments: list[Span]) -> bool:
    """Tell whether an operation is defined and continuous on all of its arguments."""
    low, high = arguments[0]
    if name in ("sign", "step"):
        return bool(low > 0 or high < 0)
    if name == "power":
        return bool(low > 0 or (low >= 0 and arguments[1][0] > 0))
    if name == "atan2":
        return bool(low > 0 or high < 0 or arguments[1][0] > 0)
    least, most = (-1, 1) if name == "acos" else _INCREASING.get(name, (None, None))
    return (least is None or bool(low >= least)) and (most is None or bool(high <= most))


def _around(u: Ball) -> Span:
    if not u.is_finite():
        raise UnboundedError
    return u.lower(), u.upper()


def _corners(balls: Sequence[Ball]) -> Span:
    """Return the least and the largest number in any of the balls."""
    spans = [_around(u) for u in balls]
    return min(a for a, _ in spans), max(b for _, b in spans)


def _clipped(u: Span, low: float | None, high: float | None) -> Span:
    a, b = u
    if (low is not None and b < low) or (high is not None and a > high):
        raise NowhereError
    arb = flint().arb
    return arb(low) if low is not None and a < low else a, arb(high) if high is not None and b > high else b


def _increasing(name: str, u: Span) -> Span:
    function = OPERATIONS[name]
    return _around(function(u[0]))[0], _around(function(u[1]))[1]


def _by_ball(name: str, *arguments: Span) -> Span:
    return _around(OPERATIONS[name](*[a.union(b) for a, b in arguments]))


def _integer_power(u: Span, n: int) -> Span:
    a, b = u
    if n % 2:
        return _around(a**n)[0], _around(b**n)[1]
    size = _absolute(u)
    return _around(size[0] ** n)[0], _around(size[1] ** n)[1]


def _absolute(u: Span) -> Span:
    a, b = u
    if a >= 0:
        return a, b
    return (-b, -a) if b <= 0 else (a * 0, max(-a, b))


def _divide(u: Span, v: Span) -> Span:
    if v[0] <= 0 <= v[1]:
        raise NowhereError if v[0] == v[1] else UnboundedError
    return _corners([a / b for a in u for b in v])


def _power(u: Span, v: Span) -> Span:
    """u^v for u > 0, and 0^v = 0 for v > 0; v·log u is smallest and largest at corners."""
    if u[0] > 0:
        return _corners([a**b for a in u for b in v])
    if not v[0] > 0 or u[1] < 0:
        raise UnboundedError
    zero = u[1] * 0
    return (zero, zero) if u[1] == 0 else (zero, _corners([u[1] ** b for b in v])[1])


def _cosh(u: Span) -> Span:
    return _increasing("cosh", _absolute(u))


def _acos(u: Span) -> Span:
    a, b = _clipped(u, -1, 1)
    return _around(b.acos())[0], _around(a.acos())[1]


def _wave(name: str) -> Callable[[Span], Span]:
    def wave(u: Span) -> Span:
        low, high = _by_ball(name, u)
        one = flint().arb(1)
        return max(low, -one), min(high, one)

    return wave


def _jump(left: int) -> Callable[[Span], Span]:
    def jump(u: Span) -> Span:
        arb = flint().arb
        return arb(1 if u[0] > 0 else left), arb(left if u[1] < 0 else 1)

    return jump


def _atan2(u: Span, v: Span) -> Span:
    if u[0] > 0 or u[1] < 0 or v[0] > 0:
        return _by_ball("atan2", u, v)
    pi = flint().arb.pi()
    return -pi.upper(), pi.upper()


_SPANS: dict[str, Callable[..., Span]] = {
    "add": lambda u, v: (_around(u[0] + v[0])[0], _around(u[1] + v[1])[1]),
    "subtract": lambda u, v: (_around(u[0] - v[1])[0], _around(u[1] - v[0])[1]),
    "multiply": lambda u, v: _corners([a * b for a in u for b in v]),
    "divide": _divide,
    "negative": lambda u: (-u[1], -u[0]),
    "power": _power,
    "abs": _absolute,
    "relu": lambda u: (max(u[0], u[0] * 0), max(u[1], u[1] * 0)),
    "min": lambda u, v: (min(u[0], v[0]), min(u[1], v[1])),
    "max": lambda u, v: (max(u[0], v[0]), max(u[1], v[1])),
    "sign": _jump(-1),
    "step": _jump(0),
    "cosh": _cosh,
    "acos": _acos,
    "sin": _wave("sin"),
    "cos": _wave("cos"),
    "atan2": _atan2,
}

# Increasing functions and where they are defined.
_INCREASING: dict[str, tuple[float | None, float | None]] = {
    "sqrt": (0, None),
    "exp": (None, None),
    "log": (0, None),
    "cbrt": (None, None),
    "asin": (-1, 1),
    "atan": (None, None),
    "sinh": (None, None),
    "tanh": (None, None),
    "asinh": (None, None),
    "acosh": (1, None),
    "atanh": (-1, 1),
    "erf": (None, None),
    "sigmoid": (None, None),
    "softplus": (None, None),
}
