"""Expressions flattened into one straight-line program, read by several arithmetics.

A `Program` is a list of operations without branches. Each operation names an entry of an
`Arithmetic` (NumPy, JAX, later intervals) and the earlier operations it reads. All outputs –
a value and its partial derivatives, say – share one list, so a subexpression that occurs in
several of them is computed once.

No text is executed anywhere: the program is data, and `run` walks it.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

import sympy
from sympy import Expr

from descentlab.errors import InputError
from descentlab.formula.functions import BY_CLASS, BY_NAME

MOST_OPERATIONS = 20_000


@dataclass(frozen=True)
class Operation:
    """One step: apply `name` to the results of the earlier operations `arguments`.

    `exact` is the SymPy number behind a `constant`; `number` is that constant rounded to a
    double, the exponent of an `integer_power`, or the position of an `input`.
    """

    name: str
    arguments: tuple[int, ...] = ()
    number: float = 0.0
    exact: Expr | None = None


@dataclass(frozen=True)
class Program:
    """A straight-line program: `operations` in order, and which of them are the `outputs`."""

    names: tuple[str, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[int, ...]

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.names, self.operations, self.outputs))

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """Leave the hash behind: another process hashes texts differently."""
        return {name: value for name, value in vars(self).items() if name != "_hash"}

    @property
    def kinks(self) -> tuple[int, ...]:
        """The operations at which the slope can jump: abs, sign, step, relu, min, max."""
        return tuple(
            i for i, op in enumerate(self.operations) if op.name in BY_NAME and BY_NAME[op.name].kink
        )

    def negated(self) -> Program:
        """Return the program of the negated outputs, rounding exactly as this one does."""
        extra = tuple(Operation("negative", (output,)) for output in self.outputs)
        first = len(self.operations)
        outputs = tuple(range(first, first + len(extra)))
        return Program(self.names, self.operations + extra, outputs)

    def read_by(self, outputs: Sequence[int]) -> set[int]:
        """Return the operations that the operations `outputs` are computed from, themselves included."""
        read = set(outputs)
        for i in range(max(outputs, default=-1), -1, -1):
            if i in read:
                read.update(self.operations[i].arguments)
        return read

    def pruned(self) -> Program:
        """Return the same program without operations that no output reads."""
        kept = sorted(self.read_by(self.outputs))
        place = {old: new for new, old in enumerate(kept)}
        operations = tuple(
            Operation(op.name, tuple(place[a] for a in op.arguments), op.number, op.exact)
            for op in (self.operations[i] for i in kept)
        )
        return Program(self.names, operations, tuple(place[i] for i in self.outputs))


class Arithmetic:
    """Names of operations → functions on arrays of one kind.

    `module` is an array module such as NumPy or jax.numpy; `field` says which column of the
    function table holds this arithmetic's versions.
    """

    def __init__(self, module_name: str, field: str) -> None:
        self._module_name = module_name
        self._field = field

    @functools.cached_property
    def module(self) -> ModuleType:
        return importlib.import_module(self._module_name)

    @functools.cache  # noqa: B019 - the two arithmetics live as long as the process
    def operation(self, name: str) -> Callable[..., Any]:
        if name in _BASIC:
            return _BASIC[name](self.module)
        dotted = getattr(BY_NAME[name], self._field)
        module, _, attribute = dotted.rpartition(".")
        if module == __name__:
            return functools.partial(globals()[attribute], self.module)
        return cast(Callable[..., Any], getattr(importlib.import_module(module), attribute))


_BASIC: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "add": lambda xp: xp.add,
    "subtract": lambda xp: xp.subtract,
    "multiply": lambda xp: xp.multiply,
    "divide": lambda xp: xp.divide,
    "negative": lambda xp: xp.negative,
    "sqrt": lambda xp: xp.sqrt,
    "power": lambda xp: xp.power,
}


def step(xp: Any, u: Any) -> Any:
    """0 for u ≤ 0, 1 for u > 0, NaN for NaN."""
    return xp.where(u > 0, 1.0, xp.where(u <= 0, 0.0, xp.nan))


def relu(xp: Any, u: Any) -> Any:
    """max(0, u), with NaN kept."""
    return xp.maximum(u, 0.0)


def softplus(xp: Any, u: Any) -> Any:
    """log(1 + e^u) without overflow."""
    return xp.logaddexp(u, 0.0)


def integer_power(u: Any, exponent: int) -> Any:
    """u**exponent for exponent ≥ 2, by repeated squaring."""
    result = None
    while exponent:
        if exponent & 1:
            result = u if result is None else result * u
        exponent >>= 1
        if exponent:
            u = u * u
    return result


NUMPY = Arithmetic("numpy", "numpy")
JAX = Arithmetic("jax.numpy", "jax")


def run(program: Program, coordinates: Sequence[Any], arithmetic: Arithmetic) -> list[Any]:
    """Return the outputs of `program` at `coordinates`, one array a variable, same shapes.

    Constants come back as plain numbers; the caller broadcasts. Never raises for a value:
    overflow and arguments outside a function's domain give inf and NaN.
    """
    results = run_each(program, coordinates, arithmetic)
    return [results[i] for i in program.outputs]


def run_each(program: Program, coordinates: Sequence[Any], arithmetic: Arithmetic) -> list[Any]:
    """Return the result of every operation of `program`, in order."""
    results: list[Any] = []
    for op in program.operations:
        if op.name == "constant":
            results.append(op.number)
        elif op.name == "input":
            results.append(coordinates[int(op.number)])
        elif op.name == "integer_power":
            results.append(integer_power(results[op.arguments[0]], int(op.number)))
        else:
            arguments = [results[i] for i in op.arguments]
            results.append(arithmetic.operation(op.name)(*arguments))
    return results


def compile_program(expressions: Sequence[Expr], names: Sequence[str], what: str = "formula") -> Program:
    """Flatten `expressions` in the variables `names` into one program.

    Raises InputError if the program needs more than 20,000 operations, or if an expression
    holds something that is not in the function table or is not a real number.
    """
    builder = _Builder(tuple(names), what)
    outputs = tuple(builder.add(expression) for expression in expressions)
    return Program(tuple(names), tuple(builder.operations), outputs)


class Emitter:
    """Collects operations, each distinct one once (value numbering); `what` is named if they are too many."""

    def __init__(self, operations: Sequence[Operation], what: str) -> None:
        self.operations = list(operations)
        self._what = what
        self._known = {operation: i for i, operation in enumerate(operations)}

    def emit(self, operation: Operation) -> int:
        """Return the place of the operation, appended if it is new. Raises InputError at 20,000 operations."""
        if operation not in self._known:
            if len(self.operations) >= MOST_OPERATIONS:
                raise InputError(
                    f"The {self._what} needs more than {MOST_OPERATIONS:,} operations. "
                    "Use a shorter formula, or give the objective as a Python function."
                )
            self._known[operation] = len(self.operations)
            self.operations.append(operation)
        return self._known[operation]


class _Builder(Emitter):
    """Flattens expressions."""

    def __init__(self, names: tuple[str, ...], what: str) -> None:
        super().__init__((), what)
        self._done: dict[Expr, int] = {}
        self._inputs = {name: i for i, name in enumerate(names)}

    def add(self, expression: Expr) -> int:
        # Post-order walk with a stack of its own: a formula's depth never meets Python's limit.
        stack: list[tuple[Expr, bool]] = [(expression, False)]
        while stack:
            node, ready = stack.pop()
            if node in self._done:
                continue
            needed = () if ready else self._needs(node)
            if needed:
                stack.append((node, True))
                stack.extend((child, False) for child in needed)
            else:
                self._done[node] = self._flatten(node)
        return self._done[expression]

    def _needs(self, node: Expr) -> tuple[Expr, ...]:
        """Return the nodes to flatten before `node`."""
        if node.is_Symbol or node.is_Atom:
            return ()
        if node.is_Add or node.is_Mul:
            return _terms(node)
        if node.is_Pow:
            base, exponent = node.args
            return (base,) if exponent.is_Rational else (base, exponent)
        row = BY_CLASS.get(node.func)
        if row is None:
            raise InputError(f"'{node}' is not something the lab can compute.")
        return tuple(node.args) if row.numpy else (row.definition(*node.args),)

    def _flatten(self, node: Expr) -> int:
        if node.is_Symbol:
            if node.name not in self._inputs:
                raise InputError(f"'{node.name}' is not one of the variables {', '.join(self._inputs)}.")
            return self.emit(Operation("input", number=float(self._inputs[node.name])))
        if node.is_Atom:
            return self._constant(node)
        if node.is_Add:
            return self._sum(node)
        if node.is_Mul:
            return self._product(node)
        if node.is_Pow:
            return self._power(node)
        row = BY_CLASS[node.func]
        if not row.numpy:
            return self._done[row.definition(*node.args)]
        return self.emit(Operation(row.name, tuple(self._done[a] for a in node.args)))

    def _constant(self, number: Expr) -> int:
        return self.emit(Operation("constant", number=to_double(number), exact=number))

    def _chain(self, name: str, operands: Sequence[int]) -> int:
        result = operands[0]
        for operand in operands[1:]:
            result = self.emit(Operation(name, (result, operand)))
        return result

    def _sum(self, node: Expr) -> int:
        """a − b + c as subtractions and additions, so that no term is negated first."""
        positive = [t for t in node.args if not t.could_extract_minus_sign()]
        negative = [-t for t in node.args if t.could_extract_minus_sign()]
        if not positive:
            return self.emit(Operation("negative", (self._chain("add", [self._done[t] for t in negative]),)))
        result = self._chain("add", [self._done[t] for t in positive])
        for term in negative:
            result = self.emit(Operation("subtract", (result, self._done[term])))
        return result

    def _product(self, node: Expr) -> int:
        sign, above, below = _fraction(node)
        numerator = self._chain("multiply", [self._done[f] for f in above])
        if below:
            denominator = self._chain("multiply", [self._done[f] for f in below])
            numerator = self.emit(Operation("divide", (numerator, denominator)))
        return self.emit(Operation("negative", (numerator,))) if sign < 0 else numerator

    def _power(self, node: Expr) -> int:
        base, exponent = node.args
        if not exponent.is_Rational:
            return self.emit(Operation("power", (self._done[base], self._done[exponent])))
        size = abs(exponent)
        if size.is_Integer:
            result = self._integer_power(self._done[base], int(size))
        elif size.q == 2:
            root = self.emit(Operation("sqrt", (self._done[base],)))
            result = self._integer_power(root, int(size.p))
        else:
            result = self.emit(Operation("power", (self._done[base], self._constant(size))))
        if exponent > 0:
            return result
        return self.emit(Operation("divide", (self._constant(sympy.Integer(1)), result)))

    def _integer_power(self, base: int, exponent: int) -> int:
        if exponent == 1:
            return base
        return self.emit(Operation("integer_power", (base,), number=float(exponent)))


def _terms(node: Expr) -> tuple[Expr, ...]:
    if node.is_Add:
        return tuple(-t if t.could_extract_minus_sign() else t for t in node.args)
    _, above, below = _fraction(node)
    return (*above, *below)


def _fraction(node: Expr) -> tuple[int, list[Expr], list[Expr]]:
    """Split a product into its sign, the factors above and those below the line."""
    sign, above, below = 1, [], []
    for factor in node.args:
        if factor.is_Rational:
            sign = -sign if factor < 0 else sign
            if abs(factor) != 1:
                above.append(abs(factor))
        elif factor.is_Pow and factor.exp.is_Rational and factor.exp < 0:
            below.append(factor.base ** (-factor.exp))
        else:
            above.append(factor)
    return sign, above or [sympy.Integer(1)], below


def to_double(number: Expr) -> float:
    """Return the double nearest to an exact number such as 1/3 or π; too large is inf.

    Raises InputError for what is not a real number (the imaginary unit, infinities).
    """
    if number.is_Rational:
        try:
            return int(number.p) / int(number.q)
        except OverflowError:
            return float("inf") if number > 0 else float("-inf")
    if number.is_Float or number.is_NumberSymbol:
        return float(number)
    raise InputError(f"The formula contains '{number}', which is not a real number.")
