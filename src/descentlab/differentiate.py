"""Derivatives of straight-line programs, as straight-line programs.

`derivatives` takes the value program of a formula and returns one program for value, gradient and Hessian. It walks
the operations backwards (reverse mode): the adjoint of an operation is the sum, over its readers, of the reader's
adjoint times its local derivative. The local derivatives come from the one function table. Subexpressions that
occur twice are computed once, and the whole takes milliseconds, where symbolic differentiation of a large formula
takes seconds: proofs of fresh formulas wait for it.

Source: Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), section 3.2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import sympy
from sympy import Expr

from descentlab.formula.functions import BY_NAME
from descentlab.program import Emitter, Operation, Program, compile_program, to_double


def gradient(program: Program, what: str = "gradient") -> Program:
    """Return the program of (f, ∂f/∂x_1, …, ∂f/∂x_n). `program` has one output.

    Raises InputError if it takes more than 20,000 operations; `what` is named then.
    """
    builder = _Builder(program.operations, what)
    value = program.outputs[0]
    partials = builder.gradient(value, len(program.names))
    return Program(program.names, tuple(builder.operations), (value, *partials)).pruned()


def derivatives(program: Program, what: str = "Hessian") -> Program:
    """Return the program of (f, ∂f/∂x_1, …, ∂f/∂x_n, upper triangle of the Hessian, row by row).

    `program` has one output. A second derivative that is zero is the constant 0. Raises as `gradient` does.
    """
    builder = _Builder(program.operations, what)
    value = program.outputs[0]
    variables = len(program.names)
    partials = builder.gradient(value, variables)
    hessian = [
        entry for i, partial in enumerate(partials) for entry in builder.gradient(partial, variables)[i:]
    ]
    return Program(program.names, tuple(builder.operations), (value, *partials, *hessian)).pruned()


class _Builder(Emitter):
    """Appends operations to a program, each distinct one once, leaving out what 0 and 1 make superfluous."""

    def __init__(self, operations: tuple[Operation, ...], what: str) -> None:
        super().__init__(operations, what)
        self.zero, self.one = self.constant(sympy.S.Zero), self.constant(sympy.S.One)

    def constant(self, exact: Expr) -> int:
        return self.emit(Operation("constant", number=to_double(exact), exact=exact))

    def add(self, u: int, v: int) -> int:
        if u == self.zero or v == self.zero:
            return v if u == self.zero else u
        for plus, minus in ((u, v), (v, u)):
            if self.operations[minus].name == "negative":
                return self.emit(Operation("subtract", (plus, self.operations[minus].arguments[0])))
        return self.emit(Operation("add", (u, v)))

    def negative(self, u: int) -> int:
        if u == self.zero:
            return u
        if self.operations[u].name == "negative":
            return self.operations[u].arguments[0]
        return self.emit(Operation("negative", (u,)))

    def multiply(self, u: int, v: int) -> int:
        if self.zero in (u, v):
            return self.zero
        if self.one in (u, v):
            return v if u == self.one else u
        if u == v:
            return self.power(u, 2)
        folded = self._folded(u, v)
        if folded is not None:
            return folded
        # Signs go outside, so that they cancel and no constant hides behind one.
        for inner, outer in ((u, v), (v, u)):
            if self.operations[inner].name == "negative":
                return self.negative(self.multiply(self.operations[inner].arguments[0], outer))
        return self.emit(Operation("multiply", (u, v)))

    def _folded(self, u: int, v: int) -> int | None:
        """Join the constants of c·d or c·(d·w), exactly."""
        for c, other in ((u, v), (v, u)):
            factor, op = self._exact(c), self.operations[other]
            if factor is None:
                continue
            number = self._exact(other)
            if number is not None:
                return self.constant(factor * number)
            if op.name == "multiply":
                for d, rest in (op.arguments, op.arguments[::-1]):
                    inner = self._exact(d)
                    if inner is not None:
                        return self.multiply(self.constant(factor * inner), rest)
        return None

    def _exact(self, u: int) -> Expr | None:
        """Return the rational number that operation u is, if it is one."""
        exact = self.operations[u].exact
        return exact if exact is not None and exact.is_Rational else None

    def divide(self, u: int, v: int) -> int:
        return u if u == self.zero or v == self.one else self.emit(Operation("divide", (u, v)))

    def power(self, u: int, exponent: int) -> int:
        return u if exponent == 1 else self.emit(Operation("integer_power", (u,), number=float(exponent)))

    def splice(self, program: Program, arguments: tuple[int, ...]) -> int:
        """Append the one-output `program` of the values of `arguments`."""
        results: list[int] = []
        for op in program.operations:
            if op.name == "input":
                results.append(arguments[int(op.number)])
            else:
                results.append(self._copied(op, tuple(results[i] for i in op.arguments)))
        return results[program.outputs[0]]

    def _copied(self, op: Operation, arguments: tuple[int, ...]) -> int:
        if op.name in ("add", "multiply", "divide"):
            return int(getattr(self, op.name)(*arguments))
        if op.name == "subtract":
            left, right = self._exact(arguments[0]), self._exact(arguments[1])
            if left is not None and right is not None:  # the exponent v − 1
                return self.constant(left - right)
        return self.emit(replace(op, arguments=arguments))

    def gradient(self, output: int, variables: int) -> list[int]:
        """Return the partial derivatives of operation `output` with respect to the inputs."""
        adjoints: dict[int, int] = {output: self.one}
        partials = [self.zero] * variables
        for i in range(output, -1, -1):
            adjoint = adjoints.get(i, self.zero)
            if adjoint == self.zero:
                continue
            op = self.operations[i]
            if op.name == "input":
                partials[int(op.number)] = adjoint
            for position, argument in enumerate(op.arguments):
                if self.operations[argument].name != "constant":
                    more = self._through(i, op, position, adjoint)
                    adjoints[argument] = self.add(adjoints.get(argument, self.zero), more)
        return partials

    def _through(self, i: int, op: Operation, position: int, adjoint: int) -> int:
        """Return adjoint · ∂(operation i)/∂(its argument at `position`)."""
        arguments = op.arguments
        if op.name in ("add", "subtract", "negative"):
            flips = op.name == "negative" or (op.name == "subtract" and position == 1)
            return self.negative(adjoint) if flips else adjoint
        if op.name == "multiply":
            return self.multiply(adjoint, arguments[1 - position])
        if op.name == "divide":
            if position == 0:
                return self.divide(adjoint, arguments[1])
            return self.negative(self.multiply(adjoint, self.divide(i, arguments[1])))
        if op.name == "integer_power":
            exponent = int(op.number)
            slope = self.multiply(
                self.constant(sympy.Integer(exponent)), self.power(arguments[0], exponent - 1)
            )
            return self.multiply(adjoint, slope)
        if op.name == "sqrt":
            return self.divide(adjoint, self.multiply(self.constant(sympy.Integer(2)), i))
        if op.name == "exp":
            return self.multiply(adjoint, i)
        return self.multiply(adjoint, self.splice(_local(op.name, position), arguments))


@functools.cache
def _local(name: str, position: int) -> Program:
    """Return the program of the derivative of a table function for the argument at `position`."""
    u, v = sympy.symbols("u v")
    if name == "power":
        # u^v; a constant exponent never gets here with position 1.
        rule: Callable[..., Expr] = (lambda u, v: v * u ** (v - 1), lambda u, v: u**v * sympy.log(u))[
            position
        ]
        return compile_program([rule(u, v)], ("u", "v"))
    row = BY_NAME[name]
    names = ("u", "v")[: row.arguments]
    return compile_program([row.derivative[position](*(u, v)[: row.arguments])], names)
