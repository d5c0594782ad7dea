"""Random formulas for proofs to be tried on: compositions of the whole function table, and families that are hard.

Each is drawn from a seed, as text and a box. Families: nested compositions; sums of Gaussians and of waves;
products; polynomials in expanded form with known roots, some on faces, in corners or on cut lines; kinks; degenerate
and symmetric ones; poles and ends of domains; roots close together; huge powers; constants, missing variables; scaled
and shifted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from descentlab import formula
from descentlab.formula.functions import TABLE
from descentlab.objective import Objective

NAMES = ("x", "y", "z", "w")
Box = dict[str, tuple[float, float]]
# Defined everywhere and tame, so that nested ones stay within doubles.
CALM = ("sin", "cos", "tanh", "atan", "asinh", "erf", "sigmoid", "softplus", "cbrt", "sech")
ONE_ARGUMENT = tuple(row.name for row in TABLE if row.most == 1)
TWO_ARGUMENTS = ("min", "max", "atan2")


@dataclass(frozen=True)
class Drawn:
    """A formula as text, its box, and the family it is from."""

    text: str
    box: Box
    family: str

    def objective(self) -> Objective:
        """Return the objective; InputError for the few texts that are no formula of real numbers."""
        return formula(self.text, variables=list(self.box), domain=self.box)

    def __str__(self) -> str:
        return f"dl.formula({self.text!r}, variables={list(self.box)}, domain={self.box!r})  # {self.family}"


class Draw:
    """Random pieces of formulas over the first `dim` of x, y, z, w."""

    def __init__(self, rng: np.random.Generator, dim: int) -> None:
        self.rng, self.names = rng, NAMES[:dim]

    def pick(self, *choices: str) -> str:
        return choices[int(self.rng.integers(len(choices)))]

    def number(self, largest: int = 9) -> str:
        """Return a positive rational number, whole, decimal or a fraction."""
        p, q = (int(self.rng.integers(1, largest + 1)) for _ in range(2))
        return self.pick(str(p), str(p), f"{p}.{q}", f"({p}/{q})", f"0.{p}{q}")

    def shift(self) -> str:
        return f"({self.name()} {self.pick('+', '-')} {self.number()})"

    def name(self) -> str:
        return self.pick(*self.names)

    def expression(self, depth: int, functions: tuple[str, ...] = ONE_ARGUMENT) -> str:
        """Return a composition of functions and operations nested to `depth`."""
        if depth == 0 or self.rng.random() < 0.08:
            return self.pick(self.name(), self.name(), self.shift(), f"{self.number()}*{self.name()}")
        kind = self.rng.random()
        if kind < 0.3:
            return f"{self.pick(*functions)}({self.expression(depth - 1, functions)})"
        a, b = self.expression(depth - 1, functions), self.expression(depth - 1, functions)
        if kind < 0.36:
            return f"{self.pick(*TWO_ARGUMENTS)}({a}, {b})"
        if kind < 0.5:
            return f"({a})^{self.pick('2', '2', '3', '4', '5', '(1/2)', '(-1)', '(-2)', '(1/3)', '(3/2)', '(2/3)')}"
        if kind < 0.52:
            return f"({a})^({b})"
        if kind < 0.58:
            return f"({a})/({b})"
        if kind < 0.75:
            return f"({a})*({b})"
        return f"{self.number()}*{a} {self.pick('+', '+', '-')} {self.number()}*{b}"

    def box(self, *sizes: tuple[float, float]) -> Box:
        """Return the box with a side for each variable, drawn from `sizes` or from many."""
        low = -float(self.rng.integers(1, 30)) / 7
        many = (
            (-2.0, 2.0), (-1.0, 2.0), (-5.0, 6.0), (0.0, 1.0), (0.5, 4.0), (low, -low * 1.7), (-10.0, 10.0),
            (1.0, 1.001), (-3.0, 3.0), (0.0, 7.5), (-1e-3, 1e-3), (3.0, 3.0 + 1e-6), (-100.0, 150.0),
            (100.0, 101.0), (-0.25, 3.75),
        )  # fmt: skip
        chosen = sizes or many
        return {name: chosen[int(self.rng.integers(len(chosen)))] for name in self.names}


def composition(d: Draw) -> tuple[str, Box]:
    return d.expression(int(d.rng.integers(1, 5))), d.box()


def calm_composition(d: Draw) -> tuple[str, Box]:
    return d.expression(int(d.rng.integers(2, 5)), CALM), d.box((-2, 2), (-3, 3), (-1, 4), (0, 5))


def gaussians(d: Draw) -> tuple[str, Box]:
    terms = []
    for _ in range(int(d.rng.integers(2, 6))):
        squares = " + ".join(f"{d.number()}*({n} - {d.rng.integers(-20, 21)}/10)^2" for n in d.names)
        terms.append(f"{d.pick('', '-')}{d.number()}*exp(-({squares}))")
    return " + ".join(terms), d.box((-2, 2), (-3, 3), (-2.5, 2))


def waves(d: Draw) -> tuple[str, Box]:
    terms = []
    for _ in range(int(d.rng.integers(2, 5))):
        inner = f"{d.number(5)}*{d.name()} {d.pick('+', '-')} {d.number(3)}*{d.name()}"
        terms.append(f"{d.number()}*{d.pick('sin', 'cos')}({inner} + {d.number()})")
    bowl = d.pick("", " + " + " + ".join(f"{n}^2/{d.rng.integers(2, 20)}" for n in d.names))
    return " - ".join(terms) + bowl, d.box((-2, 2), (-3, 3), (-1, 4), (0, 6.25))


def product(d: Draw) -> tuple[str, Box]:
    factors = [f"({d.expression(1, CALM)} + {d.number()})" for _ in range(int(d.rng.integers(2, 5)))]
    return "*".join(factors), d.box((-2, 2), (-3, 3), (-1, 4), (1, 1.125))


def with_slope_roots(roots: list[Fraction]) -> str:
    """Return ∫ ∏(x − r) dx in expanded form, with exact coefficients; {} stands for the variable."""
    slope = [Fraction(1)]
    for r in roots:
        slope = [a - r * b for a, b in zip([Fraction(0), *slope], [*slope, Fraction(0)], strict=True)]
    terms = [(c / (k + 1), k + 1) for k, c in enumerate(slope) if c]
    return " + ".join(f"({c})*{{0}}^{k}" for c, k in terms)


def polynomial(d: Draw) -> tuple[str, Box]:
    """Separable or coupled, with roots at chosen places: on faces, in the corners, on cuts, double ones, close ones."""
    parts, box = [], d.box((-2, 2), (-1, 3), (0, 1), (-4, 4))
    for name in d.names:
        low, high = (Fraction(v) for v in box[name])
        places = [low, high, (low + high) / 2, low + (high - low) * Fraction(4877, 10000), Fraction(0)]
        places += [Fraction(int(d.rng.integers(-40, 41)), int(d.rng.integers(7, 12))) for _ in range(5)]
        near = places[5] + Fraction(1, 10 ** int(d.rng.integers(2, 11)))
        places += [near, places[5]]
        count = int(d.rng.integers(1, 5 if len(d.names) == 1 else 4))
        parts.append(
            with_slope_roots([places[i] for i in d.rng.integers(0, len(places), count)]).format(name)
        )
    text = " + ".join(parts)
    if len(d.names) > 1 and d.rng.random() < 0.4:
        text += f" {d.pick('+', '-')} {d.number()}*x*y"
    return text, box


def kinked(d: Draw) -> tuple[str, Box]:
    smooth = [d.expression(1, CALM) for _ in range(4)]
    a, b, c, e = smooth
    text = d.pick(
        f"abs({a}) + {b}^2", f"max({a}, {b}) + abs({c})", f"min({a}, {b}) + {e}^2/5", f"relu({a}) + ({b})^2",
        f"abs({a})*({b}) + {c}", f"max({a}, {b}, {c})", f"abs({a} - {b})^3 + {c}", f"sign({a})*({b})^2",
        f"step({a})*({b}) + {c}", f"abs(abs({a}) - 1/2) + ({b})^2", f"max(abs({a}), ({b})^2)",
    )  # fmt: skip
    return text, d.box((-2, 2), (-1, 2), (0, 3), (-3, 3))


def degenerate(d: Draw) -> tuple[str, Box]:
    n, m = d.name(), d.name()
    all_squares = " + ".join(f"{k}^2" for k in d.names)
    text = d.pick(
        f"{n}^4 + {m}^2", f"{n}^3", f"{n}^3 - 3*{n}*{m}^2", f"({all_squares} - 1)^2", f"({n} + {m})^2", f"{n}*{m}",
        f"({n}*{m} - 1)^2", "3", n, f"{n} + {m}", f"{n} - 2*{m}", f"{n}^2*{m}^2", f"sin({n} + {m})", f"0*{n} + 2/3",
        f"{n}^6 - {m}^4", f"({all_squares})^3", f"exp(-50*({all_squares}))", f"exp(-1/{n}^2)", f"{n}^2*sin(1/{n})",
        f"cosh({n})-1-{n}^2/2", f"sin({n})^2 + cos({n})^2", f"({n}^2 - {m})^2", f"1 - cos({n})^4 + {m}^8",
    )  # fmt: skip
    return text, d.box((-2, 2), (-1, 2), (0, 1), (-1, 1), (-0.5, 3))


def symmetric(d: Draw) -> tuple[str, Box]:
    part = Draw(d.rng, 1).expression(int(d.rng.integers(1, 4)), CALM)
    terms = [part.replace("x", f"({n})") for n in d.names]
    text = " + ".join(terms) if d.rng.random() < 0.5 else "*".join(f"({t})" for t in terms)
    box = d.box((-2, 2), (-3, 3), (-1, 1))
    return text + d.pick("", f" + ({' + '.join(d.names)})^2/3"), dict.fromkeys(d.names, box[d.names[0]])


def poles(d: Draw) -> tuple[str, Box]:
    a, b = d.expression(1, CALM), d.expression(1, CALM)
    n, m = d.name(), d.name()
    text = d.pick(
        f"1/({a}) + ({b})^2", f"({b})/({n} - 1/3)", f"log({n}) + ({b})^2", f"sqrt({n}) - {b}", f"1/sin({a})",
        f"{n}*log({n}) + {m}^2", f"tan({n}) - {m}", f"acos({n}) + ({m} - 1/2)^2", f"{n}^{n} + {m}^2", f"{n}^pi + 2^{m}",
        f"{n} + 1/{n} + ({m} - 1)^2", f"atanh({n}) - 2*{n}", f"asin({a})", f"sqrt({n} - {m}) + {n}^2",
        f"acosh({n}) + 1/{n}", f"sqrt(({n})^2 + ({m})^2)", f"cbrt({n})*({m} + 1)", f"{n}^2*log({n}^2)",
        f"atan2({a}, {b})", f"log({n}*{m} + 1)", f"sqrt({a}) + {m}^2", f"{n}^(1/3) - {b}", f"cot({n}) + {n}^2",
    )  # fmt: skip
    return text, d.box((0, 1), (0, 3), (-1, 1), (-2, 2), (1, 2), (1e-9, 1), (-0.5, 3))


def steep(d: Draw) -> tuple[str, Box]:
    n, m = d.name(), d.name()
    text = d.pick(
        f"{n}^200 - {n}", f"({n} - {m})^50 + {m}^2", f"exp(20*{n}) - {n}", f"exp(exp({n})) - {m}*{n}",
        f"tanh(1000*{n})", f"sin(300*{n})*{m}", f"cosh(9*{n}) + {m}^2", f"exp({n}^3)", f"({n}^2 + 1)^(-30)",
        f"sin(exp(4*{n})) + {m}^2", f"cos({n}^8) + {m}", f"exp(-1e4*({n} - 1/3)^2) + {m}^2",
        f"sigmoid(500*{n}) - softplus(40*{m})", f"{n}^(-40)",
        f"sin(1e5*{n}) + {m}", f"sinh(sinh({n})) - 3*{n}", f"exp(-{n}^20) + {m}^2/9",
    )  # fmt: skip
    return text, d.box((-1, 1), (-2, 2), (0.5, 1.5), (-1, 3))


def close_roots(d: Draw) -> tuple[str, Box]:
    """Two or three stationary points 10⁻² to 10⁻¹⁰ sides apart."""
    gap = Fraction(1, 10 ** int(d.rng.integers(2, 11)))
    middle = Fraction(int(d.rng.integers(-9, 10)), int(d.rng.integers(1, 12)))
    roots = [middle, middle + gap, *([middle - gap] if d.rng.random() < 0.4 else [])]
    slope = "*".join(f"({{0}} - ({r}))" for r in roots)
    text = with_slope_roots(roots).format("x") if d.rng.random() < 0.5 else f"({slope.format('x')})^2"
    rest = " + ".join(f"({n} - {d.number()})^2" for n in d.names[1:])
    return text + (f" + {rest}" if rest else ""), d.box((-1, 1), (-9, 10), (-2, 3))


def far_away(d: Draw) -> tuple[str, Box]:
    """Boxes far from the origin, tiny or huge, where doubles are coarse."""
    start = float(d.pick("1e3", "-1e6", "1e6", "1e9", "123456.789", "1e-9"))
    side = float(d.pick("1e-6", "1e-3", "1", "100"))
    n, m = d.name(), d.name()
    middle = Fraction(start) + Fraction(side) * Fraction(int(d.rng.integers(1, 100)), 100)
    text = d.pick(
        f"({n} - ({middle}))^2 + sin({m})", f"sin({n}) + cos({m})", f"{n}^2 - {m}^2", f"cos({n} - {m})",
        f"sin({n}*{m})", f"({n} - ({middle}))^3/3 - ({n} - ({middle}))*{side!r}^2/100", f"{n}",
        f"({n} - ({middle}))*({m} - ({middle}))",
    )  # fmt: skip
    return text, d.box((start, start + side), (start, start + side), (-1e6, 2e6))


FAMILIES: dict[Callable[[Draw], tuple[str, Box]], int] = {
    composition: 14,
    calm_composition: 12,
    gaussians: 7,
    waves: 7,
    product: 7,
    polynomial: 9,
    kinked: 8,
    degenerate: 6,
    symmetric: 5,
    poles: 8,
    steep: 4,
    close_roots: 4,
    far_away: 4,
}
SCALES = ("1e6", "1e-6", "1e150", "1e-150", "1e-300", "1e250", "1e-20")


def draw(rng: np.random.Generator) -> Drawn:
    """Draw a formula of a random family; one in eight is scaled, or written in scaled variables."""
    weights = np.array(list(FAMILIES.values()), float)
    family = list(FAMILIES)[int(rng.choice(len(FAMILIES), p=weights / weights.sum()))]
    d = Draw(rng, int(rng.choice([1, 2, 3, 4], p=[0.45, 0.4, 0.13, 0.02])))
    text, box = family(d)
    box = {name: (float(low), float(high)) for name, (low, high) in box.items()}
    how = rng.random()
    label = family.__name__
    if how < 0.09:
        text, label = f"{d.pick(*SCALES)}*({text})", f"{label}, scaled"
    elif how < 0.125:
        scale = float(d.pick("1e6", "1e-6", "1e100", "1e-100"))
        for name, (low, high) in list(box.items()):
            if low * scale < high * scale:
                box[name] = (low * scale, high * scale)
        text, label = _in_scaled_variables(text, d.names, scale), f"{label}, scaled variables"
    return Drawn(text, box, label)


def _in_scaled_variables(text: str, names: tuple[str, ...], scale: float) -> str:
    words = ["".join(group) for _, group in itertools.groupby(text, str.isalnum)]
    return "".join(f"({word}/{scale!r})" if word in names else word for word in words)


def formulas(seed: int, count: int) -> Iterator[Drawn]:
    """Yield `count` drawn formulas, each from a seed of its own."""
    for k in range(count):
        yield draw(np.random.Generator(np.random.PCG64([seed, k])))
