"""The one table of functions the lab knows.

Each row gives a function's text name, its SymPy class, its derivative rule and where its
NumPy and JAX versions live (as dotted names, so that reading the table loads neither).
To add a function, add a row – and nothing else.

SymPy's own `Abs`, `sign`, `Max` and `Heaviside` reason about complex arguments and bring in
`re`, `im` and Dirac deltas when differentiated. A landscape is real, so the functions with
kinks have small real-valued classes of their own here. They are evaluated at once for plain
numbers only: deciding the sign of an expression such as sin(exp(exp(100))) could take forever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Expr, Function


class RealFunction(Function):  # type: ignore[misc]  # SymPy ships no annotations
    """A real function of real arguments, differentiated by its row in the table."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return BY_CLASS[type(self)].derivative[argindex - 1](*self.args)

    def _eval_evalf(self, prec: int) -> Expr:
        definition = BY_CLASS[type(self)].definition
        return definition(*(a._eval_evalf(prec) or a for a in self.args))._eval_evalf(prec)


class absolute(RealFunction):
    """|u|, with derivative sign(u)."""

    nargs = 1

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        if u.is_Rational or u.is_Float:
            return -u if u.is_negative else u
        if u.could_extract_minus_sign():
            return cls(-u)
        return None

    def _sympystr(self, printer: Any) -> str:
        return f"abs({printer._print(self.args[0])})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"\left|{{{printer._print(self.args[0])}}}\right|"
        return text if exp is None else f"{text}^{{{exp}}}"


class sign(RealFunction):
    """−1, 0 or 1; its derivative is taken as 0, which is right everywhere but at u = 0."""

    nargs = 1

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        if u.is_Rational or u.is_Float:
            return sympy.Integer(0 if u.is_zero else -1 if u.is_negative else 1)
        return None


class step(RealFunction):
    """0 for u ≤ 0 and 1 for u > 0: the derivative of relu, with relu'(0) = 0 by convention."""

    nargs = 1

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        if u.is_Rational or u.is_Float:
            return sympy.Integer(1 if u.is_positive else 0)
        return None


class relu(RealFunction):
    """max(0, u)."""

    nargs = 1

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        if u.is_Rational or u.is_Float:
            return u if u.is_positive else sympy.Integer(0)
        return None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return _latex_call(r"\operatorname{ReLU}", self, printer, exp)


class sigmoid(RealFunction):
    """1 / (1 + e^(−u))."""

    nargs = 1

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        return sympy.Rational(1, 2) if u.is_zero else None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return _latex_call(r"\sigma", self, printer, exp)


class softplus(RealFunction):
    """log(1 + e^u)."""

    nargs = 1

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return _latex_call(r"\operatorname{softplus}", self, printer, exp)


class cbrt(RealFunction):
    """The real cube root: cbrt(−8) = −2."""

    nargs = 1

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        if u.is_Rational:
            root = sympy.real_root(u, 3)
            return root if root.is_Rational else None
        return None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"\sqrt[3]{{{printer._print(self.args[0])}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class minimum(RealFunction):
    """The smaller of two numbers; at a tie its slope is that of the second."""

    nargs = 2

    @classmethod
    def eval(cls, u: Expr, v: Expr) -> Expr | None:
        return _settle(u, v, lambda d: d.is_negative)

    def _sympystr(self, printer: Any) -> str:
        return f"min({', '.join(printer._print(a) for a in self.args)})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return _latex_call(r"\min", self, printer, exp)


class maximum(RealFunction):
    """The larger of two numbers; at a tie its slope is that of the second."""

    nargs = 2

    @classmethod
    def eval(cls, u: Expr, v: Expr) -> Expr | None:
        return _settle(u, v, lambda d: d.is_positive)

    def _sympystr(self, printer: Any) -> str:
        return f"max({', '.join(printer._print(a) for a in self.args)})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return _latex_call(r"\max", self, printer, exp)


def _settle(u: Expr, v: Expr, first_wins: Callable[[Expr], bool | None]) -> Expr | None:
    """Return the winner of min or max if it is already known, else None."""
    if u == v:
        return u
    difference = u - v
    if difference.is_Rational or difference.is_Float:
        return u if first_wins(difference) else v
    return None


def _latex_call(name: str, call: Function, printer: Any, exp: str | None) -> str:
    arguments = ", ".join(printer._print(a) for a in call.args)
    power = "" if exp is None else f"^{{{exp}}}"
    return rf"{name}{power}\left({arguments}\right)"


@dataclass(frozen=True)
class KnownFunction:
    """One row: everything the lab knows about a function.

    name: canonical text name; aliases: other names a text may use.
    cls: the SymPy class whose nodes this row explains and computes. None for a text name
        that only abbreviates an expression (`log10`, `sqrt`, `exp10`): see `build`.
    derivative: ∂/∂(argument i) as a function of all arguments, one entry an argument.
    rule: the derivative rule in words and symbols, with `u` (and `v`) for the arguments.
    numpy, jax: dotted names of the two implementations, or empty if `definition` serves.
    definition: the function in terms of other functions: the fallback implementation.
    build: arguments → expression. Defaults to the class.
    most: the largest number of arguments (min and max take any number up to it).
    kink: text saying where the slope jumps and what value it is given there, or empty.
    defined: text saying for which arguments the function is real, or empty for all.
    """

    name: str
    cls: Any
    derivative: tuple[Callable[..., Expr], ...]
    rule: str
    numpy: str = ""
    jax: str = ""
    definition: Callable[..., Expr] = lambda *u: sympy.nan
    build: Callable[..., Expr] | None = None
    aliases: tuple[str, ...] = ()
    arguments: int = 1
    most: int = 1
    kink: str = ""
    defined: str = ""

    def __call__(self, *arguments: Expr) -> Expr:
        """Return the SymPy expression for this function of `arguments`."""
        return (self.build or self.cls)(*arguments)


def _fold(cls: Callable[[Expr, Expr], Expr]) -> Callable[..., Expr]:
    def build(*arguments: Expr) -> Expr:
        result = arguments[0]
        for argument in arguments[1:]:
            result = cls(result, argument)
        return result

    return build


_np, _jnp = "numpy.", "jax.numpy."
_one = sympy.Integer(1)


def _plain(name: str, cls: Any, derivative: Callable[..., Expr], rule: str, **more: Any) -> KnownFunction:
    """Return a row whose function bears one name in NumPy and JAX (the array API's)."""
    array_name = more.pop("array_name", name)
    return KnownFunction(
        name, cls, (derivative,), rule, numpy=_np + array_name, jax=_jnp + array_name, **more
    )


def _defined(
    name: str,
    cls: Any,
    definition: Callable[..., Expr],
    derivative: Callable[..., Expr],
    rule: str,
    **more: Any,
) -> KnownFunction:
    """Return a row whose function is computed through its definition."""
    return KnownFunction(name, cls, (derivative,), rule, definition=definition, **more)


_S = sympy

# One row a function, on as few lines as it takes.
# fmt: off
TABLE: tuple[KnownFunction, ...] = (
    # Exponentials and logarithms
    _plain("exp", _S.exp, lambda u: _S.exp(u), "d/du exp(u) = exp(u)"),
    _plain("log", _S.log, lambda u: 1 / u, "d/du log(u) = 1/u", aliases=("ln",), defined="u > 0"),
    KnownFunction("log10", None, (), "", build=lambda u: _S.log(u) / _S.log(10)),
    KnownFunction("log2", None, (), "", build=lambda u: _S.log(u) / _S.log(2)),
    # Roots
    KnownFunction("sqrt", None, (), "", build=_S.sqrt),
    _plain("cbrt", cbrt, lambda u: 1 / (3 * cbrt(u) ** 2), "d/du cbrt(u) = 1/(3 cbrt(u)²)",
           definition=lambda u: sign(u) * absolute(u) ** _S.Rational(1, 3)),
    # Trigonometric
    _plain("sin", _S.sin, lambda u: _S.cos(u), "d/du sin(u) = cos(u)"),
    _plain("cos", _S.cos, lambda u: -_S.sin(u), "d/du cos(u) = −sin(u)"),
    _plain("tan", _S.tan, lambda u: _S.tan(u) ** 2 + 1, "d/du tan(u) = 1 + tan(u)²"),
    _defined("cot", _S.cot, lambda u: _S.cos(u) / _S.sin(u), lambda u: -_S.cot(u) ** 2 - 1,
             "d/du cot(u) = −1 − cot(u)²"),
    _defined("sec", _S.sec, lambda u: 1 / _S.cos(u), lambda u: _S.tan(u) * _S.sec(u),
             "d/du sec(u) = sec(u) tan(u)"),
    _defined("csc", _S.csc, lambda u: 1 / _S.sin(u), lambda u: -_S.cot(u) * _S.csc(u),
             "d/du csc(u) = −csc(u) cot(u)"),
    _plain("asin", _S.asin, lambda u: 1 / _S.sqrt(1 - u**2), "d/du asin(u) = 1/√(1 − u²)",
           array_name="arcsin", aliases=("arcsin",), defined="−1 ≤ u ≤ 1"),
    _plain("acos", _S.acos, lambda u: -1 / _S.sqrt(1 - u**2), "d/du acos(u) = −1/√(1 − u²)",
           array_name="arccos", aliases=("arccos",), defined="−1 ≤ u ≤ 1"),
    _plain("atan", _S.atan, lambda u: 1 / (u**2 + 1), "d/du atan(u) = 1/(1 + u²)",
           array_name="arctan", aliases=("arctan",)),
    _defined("acot", _S.acot, lambda u: _S.atan(1 / u), lambda u: -1 / (u**2 + 1),
             "d/du acot(u) = −1/(1 + u²)", aliases=("arccot",), defined="u ≠ 0"),
    _defined("asec", _S.asec, lambda u: _S.acos(1 / u), lambda u: 1 / (u**2 * _S.sqrt(1 - u**-2)),
             "d/du asec(u) = 1/(u² √(1 − 1/u²))", aliases=("arcsec",), defined="|u| ≥ 1"),
    _defined("acsc", _S.acsc, lambda u: _S.asin(1 / u), lambda u: -1 / (u**2 * _S.sqrt(1 - u**-2)),
             "d/du acsc(u) = −1/(u² √(1 − 1/u²))", aliases=("arccsc",), defined="|u| ≥ 1"),
    KnownFunction("atan2", _S.atan2,
                  (lambda u, v: v / (u**2 + v**2), lambda u, v: -u / (u**2 + v**2)),
                  "∂/∂u atan2(u, v) = v/(u² + v²),  ∂/∂v atan2(u, v) = −u/(u² + v²)",
                  numpy=_np + "arctan2", jax=_jnp + "arctan2", aliases=("arctan2",),
                  arguments=2, most=2),
    # Hyperbolic
    _plain("sinh", _S.sinh, lambda u: _S.cosh(u), "d/du sinh(u) = cosh(u)"),
    _plain("cosh", _S.cosh, lambda u: _S.sinh(u), "d/du cosh(u) = sinh(u)"),
    _plain("tanh", _S.tanh, lambda u: 1 - _S.tanh(u) ** 2, "d/du tanh(u) = 1 − tanh(u)²"),
    _defined("coth", _S.coth, lambda u: 1 / _S.tanh(u), lambda u: -1 / _S.sinh(u) ** 2,
             "d/du coth(u) = −1/sinh(u)²"),
    _defined("sech", _S.sech, lambda u: 1 / _S.cosh(u), lambda u: -_S.tanh(u) * _S.sech(u),
             "d/du sech(u) = −sech(u) tanh(u)"),
    _defined("csch", _S.csch, lambda u: 1 / _S.sinh(u), lambda u: -_S.coth(u) * _S.csch(u),
             "d/du csch(u) = −csch(u) coth(u)"),
    _plain("asinh", _S.asinh, lambda u: 1 / _S.sqrt(u**2 + 1), "d/du asinh(u) = 1/√(u² + 1)",
           array_name="arcsinh", aliases=("arcsinh",)),
    _plain("acosh", _S.acosh, lambda u: 1 / (_S.sqrt(u - 1) * _S.sqrt(u + 1)),
           "d/du acosh(u) = 1/√(u² − 1)", array_name="arccosh", aliases=("arccosh",), defined="u ≥ 1"),
    _plain("atanh", _S.atanh, lambda u: 1 / (1 - u**2), "d/du atanh(u) = 1/(1 − u²)",
           array_name="arctanh", aliases=("arctanh",), defined="−1 < u < 1"),
    _defined("acoth", _S.acoth, lambda u: _S.atanh(1 / u), lambda u: 1 / (1 - u**2),
             "d/du acoth(u) = 1/(1 − u²)", aliases=("arccoth",), defined="|u| > 1"),
    _defined("asech", _S.asech, lambda u: _S.acosh(1 / u), lambda u: -1 / (u * _S.sqrt(1 - u**2)),
             "d/du asech(u) = −1/(u √(1 − u²))", aliases=("arcsech",), defined="0 < u ≤ 1"),
    _defined("acsch", _S.acsch, lambda u: _S.asinh(1 / u),
             lambda u: -1 / (u**2 * _S.sqrt(1 + u**-2)),
             "d/du acsch(u) = −1/(u² √(1 + 1/u²))", aliases=("arccsch",), defined="u ≠ 0"),
    # Special
    KnownFunction("erf", _S.erf, (lambda u: 2 * _S.exp(-(u**2)) / _S.sqrt(_S.pi),),
                  "d/du erf(u) = 2/√π · exp(−u²)", numpy="scipy.special.erf", jax="jax.scipy.special.erf"),
    # With kinks
    _plain("abs", absolute, lambda u: sign(u), "d/du |u| = sign(u)", array_name="abs",
           definition=lambda u: _S.sqrt(u**2),
           kink="|u| is −u left of 0 and u right of it: its slope jumps from −1 to 1 at u = 0, "
                "where it is given the value 0"),
    _plain("sign", sign, lambda u: _S.Integer(0), "d/du sign(u) = 0",
           kink="sign(u) jumps from −1 to 1 at u = 0: it has no derivative there"),
    KnownFunction("step", step, (lambda u: _S.Integer(0),), "d/du step(u) = 0",
                  numpy="descentlab.program.step", jax="descentlab.program.step",
                  kink="step(u) jumps from 0 to 1 at u = 0: it has no derivative there"),
    KnownFunction("relu", relu, (lambda u: step(u),), "d/du relu(u) = 0 for u ≤ 0, 1 for u > 0",
                  numpy="descentlab.program.relu", jax="descentlab.program.relu",
                  definition=lambda u: u * step(u),
                  kink="relu(u) is 0 left of 0 and u right of it: its slope jumps from 0 to 1 at "
                       "u = 0, where it is given the value 0"),
    KnownFunction("min", minimum, (lambda u, v: step(v - u), lambda u, v: 1 - step(v - u)),
                  "min(u, v) has the slope of whichever is smaller",
                  numpy=_np + "minimum", jax=_jnp + "minimum", build=_fold(minimum),
                  definition=lambda u, v: v - (v - u) * step(v - u), arguments=2, most=20,
                  kink="min(u, v) changes from one piece to the other where u = v, where it is "
                       "given the slope of v"),
    KnownFunction("max", maximum, (lambda u, v: step(u - v), lambda u, v: 1 - step(u - v)),
                  "max(u, v) has the slope of whichever is larger",
                  numpy=_np + "maximum", jax=_jnp + "maximum", build=_fold(maximum),
                  definition=lambda u, v: v + (u - v) * step(u - v), arguments=2, most=20,
                  kink="max(u, v) changes from one piece to the other where u = v, where it is "
                       "given the slope of v"),
    # Of neural networks
    KnownFunction("sigmoid", sigmoid, (lambda u: sigmoid(u) * (1 - sigmoid(u)),),
                  "d/du sigmoid(u) = sigmoid(u) (1 − sigmoid(u))",
                  numpy="scipy.special.expit", jax="jax.nn.sigmoid", aliases=("logistic",),
                  definition=lambda u: 1 / (1 + _S.exp(-u))),
    KnownFunction("softplus", softplus, (lambda u: sigmoid(u),), "d/du softplus(u) = sigmoid(u)",
                  numpy="descentlab.program.softplus", jax="jax.nn.softplus",
                  definition=lambda u: _S.log(1 + _S.exp(u))),
)

# fmt: on

BY_CLASS: dict[Any, KnownFunction] = {row.cls: row for row in TABLE if row.cls is not None}
BY_NAME: dict[str, KnownFunction] = {name: row for row in TABLE for name in (row.name, *row.aliases)}
