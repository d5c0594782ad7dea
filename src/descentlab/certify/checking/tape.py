"""Value, gradient and Hessian of a program in python-flint's ball arithmetic, by rules of its own.

A proof is checked again by other means than it was found: `arb` balls instead of NumPy intervals, and derivatives by
forward mode from the rules in balls.py instead of reverse mode from the function table. Only the reading of the formula
and its value program are shared.

Source: Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sympy import Expr

from descentlab.certify.checking.balls import OPERATIONS, RULES, Ball, flint, integer_power
from descentlab.errors import InputError
from descentlab.program import Operation, Program

# Constants are enclosed this precisely; what is computed from them is rounded to the precision in force.
CONSTANT_BITS = 256


def constant_ball(number: Expr) -> Ball:
    """Return a ball around an exact constant, as narrow as CONSTANT_BITS allow."""
    arb, fmpq = flint().arb, flint().fmpq
    with flint().ctx.workprec(CONSTANT_BITS):
        if number.is_Rational:
            return arb(fmpq(int(number.p), int(number.q)))
        if number.is_Float:
            sign, mantissa, exponent, _ = number._mpf_
            return arb((-1 if sign else 1) * int(mantissa)) * arb(2) ** int(exponent)
        known = {"pi": arb.pi, "E": arb.const_e}
        if str(number) not in known:
            raise InputError(
                f"The constant '{number}' has no enclosure here, so nothing can be proved again."
            )
        return known[str(number)]()


@dataclass(frozen=True)
class Jet:
    """A quantity on the tape: where its value and its derivatives are that are not always zero."""

    value: int
    first: dict[int, int] = field(default_factory=dict)
    second: dict[tuple[int, int], int] = field(default_factory=dict)


class Tape:
    """A program's value, gradient and Hessian as one list of operations on balls.

    `dim` variables; `value`, `slopes` and `curvatures` run as much of the list as they need.
    """

    def __init__(self, program: Program) -> None:
        self.dim = len(program.names)
        builder = _Builder(self.dim)
        jets: list[Jet] = []
        with flint().ctx.workprec(CONSTANT_BITS):
            for op in program.operations:
                jets.append(builder.jet(op, [jets[a] for a in op.arguments]))
        result = jets[program.outputs[0]]
        nothing = builder.number(0)
        gradient = [result.first.get(i, nothing) for i in range(self.dim)]
        hessian = [
            result.second.get((min(i, j), max(i, j)), nothing)
            for i in range(self.dim)
            for j in range(self.dim)
        ]
        self._value = _Runner(builder, [result.value])
        self._slopes = _Runner(builder, [result.value, *gradient])
        self._curvatures = _Runner(builder, [result.value, *gradient, *hessian])

    def value(self, x: Sequence[Ball]) -> Ball:
        """Return f on the balls x; NowhereError where it is defined at no point of them."""
        return self._value(x)[0]

    def slopes(self, x: Sequence[Ball]) -> tuple[Ball, list[Ball]]:
        """Return f and ∇f on the balls x; where f has a kink, a ball that holds all its slopes."""
        value, *gradient = self._slopes(x)
        return value, gradient

    def curvatures(self, x: Sequence[Ball]) -> tuple[Ball, list[Ball], list[list[Ball]]]:
        """Return f, ∇f and the Hessian, row by row, on the balls x; NaN in the Hessian where f has a kink."""
        outputs, d = self._curvatures(x), self.dim
        return outputs[0], outputs[1 : 1 + d], [outputs[1 + d * (1 + i) : 1 + d * (2 + i)] for i in range(d)]


class _Runner:
    """As much of a tape as some outputs need."""

    def __init__(self, builder: _Builder, outputs: list[int]) -> None:
        needed = set(outputs)
        for i in range(len(builder.operations) - 1, -1, -1):
            if i in needed and i not in builder.constants:
                needed.update(builder.operations[i][1])
        self._start: list[Any] = [builder.constants.get(i) for i in range(len(builder.operations))]
        self._steps: list[tuple[int, Callable[..., Ball], int, int]] = []
        for i in sorted(needed):
            name, arguments, number = builder.operations[i]
            if name == "input" or i in builder.constants:
                continue
            function = integer_power(number) if name == "integer_power" else OPERATIONS[name]
            self._steps.append((i, function, arguments[0], arguments[1] if len(arguments) > 1 else -1))
        self._outputs = outputs

    def __call__(self, x: Sequence[Ball]) -> list[Ball]:
        results = self._start.copy()
        results[: len(x)] = x
        for i, function, a, b in self._steps:
            results[i] = function(results[a]) if b < 0 else function(results[a], results[b])
        return [results[i] for i in self._outputs]


class _Builder:
    """Collects operations on balls, each distinct one once; the inputs come first."""

    def __init__(self, dim: int) -> None:
        self.flint = flint()
        self.operations: list[tuple[str, tuple[int, ...], int]] = []
        self.constants: dict[int, Ball] = {}
        self._known: dict[Any, int] = {}
        for i in range(dim):
            self._emit("input", (), i)
        self._zero, self._one = self.number(0), self.number(1)

    def _emit(self, name: str, arguments: tuple[int, ...], number: int = 0) -> int:
        key = (name, arguments, number)
        if key not in self._known:
            self._known[key] = len(self.operations)
            self.operations.append(key)
            if arguments and all(a in self.constants for a in arguments):
                function = integer_power(number) if name == "integer_power" else OPERATIONS[name]
                self.constants[self._known[key]] = function(*[self.constants[a] for a in arguments])
        return self._known[key]

    def number(self, p: int, q: int = 1) -> int:
        return self._constant((p, q), self.flint.fmpq(p, q))

    def _constant(self, key: object, number: Any) -> int:
        if key not in self._known:
            self._known[key] = len(self.operations)
            self.operations.append(("constant", (), len(self.operations)))
            self.constants[self._known[key]] = self.flint.arb(number)
        return self._known[key]

    def _exact(self, number: Expr) -> int:
        if number.is_Rational:
            return self.number(int(number.p), int(number.q))
        return self._constant(number, constant_ball(number))

    # Operations on places of the tape, without what 0 and 1 make superfluous

    def apply(self, name: str, *arguments: int) -> int:
        return self._emit(name, arguments)

    def times(self, u: int, v: int) -> int:
        if self._zero in (u, v):
            return self._zero
        if self._one in (u, v):
            return v if u == self._one else u
        return self.power(u, 2) if u == v else self._emit("multiply", (min(u, v), max(u, v)))

    def plus(self, u: int, v: int) -> int:
        if self._zero in (u, v):
            return v if u == self._zero else u
        return self._emit("add", (min(u, v), max(u, v)))

    def minus(self, u: int, v: int) -> int:
        return u if v == self._zero else self._emit("subtract", (u, v))

    def negative(self, u: int) -> int:
        return self._emit("negative", (u,))

    def over(self, u: int, v: int) -> int:
        return self._emit("divide", (u, v))

    def power(self, u: int, n: int) -> int:
        return self._one if n == 0 else u if n == 1 else self._emit("integer_power", (u,), n)

    def two_over_root_pi(self) -> int:
        return self._constant("2/√π", 2 / self.flint.arb.pi().sqrt())

    # Quantities with their derivatives

    def jet(self, op: Operation, arguments: list[Jet]) -> Jet:
        if op.name == "constant":
            assert op.exact is not None
            return Jet(self._exact(op.exact))
        if op.name == "input":
            i = int(op.number)
            return Jet(i, {i: self._one})
        if op.name in ("add", "subtract"):
            return self._sum(arguments[0], arguments[1], op.name == "subtract")
        if op.name == "negative":
            return self._linear(arguments[0], self.negative)
        if op.name == "multiply":
            return self._product(*arguments)
        if op.name == "divide":
            return self._quotient(*arguments)
        if op.name == "integer_power":
            u, n = arguments[0], int(op.number)
            slope = self.times(self.number(n), self.power(u.value, n - 1))
            bend = self.times(self.number(n * (n - 1)), self.power(u.value, n - 2)) if n > 1 else self._zero
            return self._chain(u, self.power(u.value, n), slope, bend)
        if op.name in ("min", "max"):
            return self._choice(op.name, *arguments)
        if op.name == "power":
            return self._real_power(*arguments)
        if op.name == "atan2":
            return self._angle(*arguments)
        if op.name not in RULES:
            raise InputError(f"'{op.name}' has no rule for balls, so nothing can be proved again.")
        u = arguments[0]
        value = self.apply(op.name, u.value)
        return self._chain(u, value, *RULES[op.name](self, u.value, value))

    def _linear(self, u: Jet, f: Callable[[int], int]) -> Jet:
        return Jet(
            f(u.value), {i: f(p) for i, p in u.first.items()}, {ij: f(p) for ij, p in u.second.items()}
        )

    def _sum(self, u: Jet, v: Jet, minus: bool = False) -> Jet:
        if minus and u.value == v.value:
            return Jet(self._zero)
        value = self.minus(u.value, v.value) if minus else self.plus(u.value, v.value)
        if minus:
            v = self._linear(v, self.negative)
        return Jet(value, self._merged(u.first, v.first), self._merged(u.second, v.second))

    def _merged(self, a: dict[Any, int], b: dict[Any, int]) -> dict[Any, int]:
        return {key: self.plus(a.get(key, self._zero), b.get(key, self._zero)) for key in {**a, **b}}

    def _product(self, u: Jet, v: Jet) -> Jet:
        if u.value == v.value:
            two = self.number(2)
            return self._chain(u, self.power(u.value, 2), self.times(two, u.value), two)
        scaled_u = self._linear(u, lambda p: self.times(p, v.value))
        scaled_v = self._linear(v, lambda p: self.times(p, u.value))
        second = self._merged(scaled_u.second, scaled_v.second)
        for a, b in ((u, v), (v, u)):
            for i, p in a.first.items():
                for j, q in b.first.items():
                    if i <= j:
                        both = self.times(p, q)
                        second[i, j] = self.plus(second.get((i, j), self._zero), both)
        # For i = j the loop adds p·q twice, as it must; for i < j it adds u_i v_j and v_i u_j.
        return Jet(self.times(u.value, v.value), self._merged(scaled_u.first, scaled_v.first), second)

    def _quotient(self, u: Jet, v: Jet) -> Jet:
        if not v.first:
            return self._linear(u, lambda p: p if p == self._zero else self.over(p, v.value))
        inverse = self.over(self._one, v.value)
        squared = self.power(inverse, 2)
        slope, bend = self.negative(squared), self.times(self.number(2), self.times(squared, inverse))
        quotient = self._product(u, self._chain(v, inverse, slope, bend))
        return Jet(self.over(u.value, v.value), quotient.first, quotient.second)

    def _chain(self, u: Jet, value: int, slope: int, bend: int) -> Jet:
        """Return g(u) from g, g′ and g″ at u: (g∘u)_ij = g″ u_i u_j + g′ u_ij."""
        first = {i: self.times(slope, p) for i, p in u.first.items()}
        second = {ij: self.times(slope, p) for ij, p in u.second.items()}
        if bend != self._zero:
            for i, p in u.first.items():
                for j, q in u.first.items():
                    if i <= j:
                        more = self.times(bend, self.times(p, q))
                        second[i, j] = self.plus(second.get((i, j), self._zero), more)
        return Jet(value, first, second)

    def _choice(self, name: str, u: Jet, v: Jet) -> Jet:
        """The smaller or larger: share·u + (1 − share)·v with a share of 1, 0, or anything between at a tie."""
        ahead = self.minus(u.value, v.value) if name == "max" else self.minus(v.value, u.value)
        share, rough = self.apply("step_slope", ahead), self.apply("rough", ahead)
        rest = self.minus(self._one, share)
        mine = self._linear(u, lambda p: self.times(share, p))
        theirs = self._linear(v, lambda p: self.times(rest, p))
        second = self._merged(mine.second, theirs.second)
        first = self._merged(mine.first, theirs.first)
        for i in first:
            for j in first:
                if i <= j:
                    second[i, j] = self.plus(second.get((i, j), self._zero), rough)
        return Jet(self.apply(name, u.value, v.value), first, second)

    def _real_power(self, u: Jet, v: Jet) -> Jet:
        if v.first:
            log = self.jet(Operation("log"), [u])
            return self.jet(Operation("exp"), [self._product(v, log)])
        less = self.minus(v.value, self._one)
        slope = self.times(v.value, self.apply("power", u.value, less))
        bend = self.times(
            self.times(v.value, less), self.apply("power", u.value, self.minus(less, self._one))
        )
        return self._chain(u, self.apply("power", u.value, v.value), slope, bend)

    def _angle(self, u: Jet, v: Jet) -> Jet:
        """atan2(u, v): its slopes are those of atan(u/v), or of −atan(v/u), as (u′v − v′u)/(u² + v²)."""
        below = self._sum(self._product(u, u), self._product(v, v))
        value = self.apply("atan2", u.value, v.value)
        along_u, along_v = self._quotient(v, below), self._linear(self._quotient(u, below), self.negative)
        first = self._merged(
            {i: self.times(along_u.value, p) for i, p in u.first.items()},
            {i: self.times(along_v.value, p) for i, p in v.first.items()},
        )
        second = self._merged(
            {ij: self.times(along_u.value, p) for ij, p in u.second.items()},
            {ij: self.times(along_v.value, p) for ij, p in v.second.items()},
        )
        # ∂/∂x_j of (w_u u_i + w_v v_i), but for the terms above: w_u,j u_i + w_v,j v_i.
        for weight, a in ((along_u, u), (along_v, v)):
            for i, p in a.first.items():
                for j, q in weight.first.items():
                    if i <= j:
                        second[i, j] = self.plus(second.get((i, j), self._zero), self.times(p, q))
        return Jet(value, first, second)
