"""What is proved in the benchmarks: formulas as text, with their boxes and what is known of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from descentlab.objective import FormulaObjective

Bounds = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Problem:
    """A formula and its box."""

    name: str
    formula: str
    names: tuple[str, ...]
    bounds: Bounds

    @property
    def box(self) -> str:
        """The box in words: [−3, 3]², or its sides."""
        sides = [
            "[" + ", ".join(f"{side:.4g}".replace("-", "−") for side in pair) + "]" for pair in self.bounds
        ]
        if len(set(sides)) > 1:
            return " × ".join(sides)
        return sides[0] + ("" if len(sides) == 1 else str(len(sides)).translate(_RAISED))


@dataclass(frozen=True)
class Counted:
    """A problem whose stationary points are known, from REFERENCES.md.

    counts: minima, maxima and saddles inside; edges: minima on the boundary; lowest: the lowest value, to the digits
    given; ways: how many points attain it; open: regions that must stay undecided (kinks); aim: seconds. What is not
    known is None.
    """

    problem: Problem
    counts: tuple[int, int, int]
    edges: int | None = None
    lowest: str | None = None
    ways: int | None = None
    open: int = 0
    aim: float | None = None


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def fresh(problem: Problem, stamp: str) -> FormulaObjective:
    """Make the objective from text that nobody has read: the stamp becomes part of the variables' names.

    Nothing that the lab or SymPy keeps of an earlier reading fits the new one.
    """
    import descentlab as dl

    new = {name: f"{name}_{stamp}" for name in problem.names}
    text = re.sub(r"[A-Za-z]\w*", lambda found: new.get(found[0], found[0]), problem.formula)
    names = tuple(new.values())
    return dl.formula(text, domain=dict(zip(names, problem.bounds, strict=True)), variables=names)


def family(name: str, dim: int, side: tuple[float, float] | None = None) -> Problem:
    """Return a landscape of the catalogue, in `dim` variables, on its own box or another cube."""
    from descentlab.landscapes import find

    entry = find(name, dim)
    low_high = [side] * dim if side else entry.domain
    return Problem(
        name, entry.formula, entry.names, tuple((float(low), float(high)) for low, high in low_high)
    )


def cube(name: str, formula: str, dim: int, low: float, high: float) -> Problem:
    names = ("x", "y")[:dim] if dim <= 2 else tuple(f"x{i + 1}" for i in range(dim))
    return Problem(name, formula, names, ((low, high),) * dim)


def shubert() -> Problem:
    sums = ["(" + " + ".join(f"{i}*cos({i + 1}*{v} + {i})" for i in range(1, 6)) + ")" for v in "xy"]
    return cube("Shubert", "*".join(sums), 2, -10, 10)


def trefethen(side: float) -> Problem:
    """Return the hundred-digit challenge's function (Trefethen 2002), of tens of thousands of minima."""
    waves = "exp(sin(50*x)) + sin(60*exp(y)) + sin(70*sin(x)) + sin(sin(80*y)) - sin(10*(x + y))"
    return cube("Trefethen", f"{waves} + (x^2 + y^2)/4", 2, -side, side)


def mixture(dim: int, seed: int, members: int = 5) -> Problem:
    """Return −Σ aₖ exp(−(x − cₖ)ᵀ Aₖ (x − cₖ)) on [−3, 3]ⁿ, every Aₖ with cross terms between all variables."""
    rng = np.random.Generator(np.random.PCG64([seed, dim]))
    bells = []
    for _ in range(members):
        centre, height = rng.uniform(-2, 2, dim).round(2), rng.uniform(0.5, 2)
        turned = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
        matrix = turned @ np.diag(rng.uniform(0.5, 2, dim)) @ turned.T
        away = [f"(x{i + 1} - ({c:g}))" for i, c in enumerate(centre)]
        terms = [
            f"({matrix[i, j] * (1 if i == j else 2):.2f})*{away[i]}*{away[j]}"
            for i in range(dim)
            for j in range(i, dim)
        ]
        bells.append(f"{height:.2f}*exp(-({' + '.join(terms)}))")
    names = tuple(f"x{i + 1}" for i in range(dim))
    title = f"Gaussian mixture {dim}-D, seed {seed}"
    return Problem(title, f"-({' + '.join(bells)})", names, ((-3.0, 3.0),) * dim)


def hartmann(dim: int) -> Problem:
    """Return Hartmann's function (Dixon & Szegő 1978) of 3 or 6 variables."""
    slopes, centres = (_SLOPES3, _CENTRES3) if dim == 3 else (_SLOPES6, _CENTRES6)
    bells = [
        f"{height}*exp(-({' + '.join(f'{a}*(x{i + 1} - {c})^2' for i, (a, c) in enumerate(zip(*row, strict=True)))}))"
        for height, *row in zip((1, 1.2, 3, 3.2), slopes, centres, strict=True)
    ]
    return cube(f"Hartmann {dim}-D", f"-({' + '.join(bells)})", dim, 0, 1)


def shekel(members: int) -> Problem:
    """Return Shekel's foxholes (Dixon & Szegő 1978): 5, 7 or 10 of them in 4 variables."""
    holes = [
        f"1/({floor} + {' + '.join(f'(x{i + 1} - {c})^2' for i, c in enumerate(centre))})"
        for floor, centre in list(zip(_FLOORS, _FOXHOLES, strict=True))[:members]
    ]
    return cube(f"Shekel {members}", f"-({' + '.join(holes)})", 4, 0, 10)


def counted() -> Sequence[Counted]:
    """Return the problems of REFERENCES.md whose stationary points are settled, and Rastrigin's on another box.

    Ackley's are measured, not proved; its kink must stay undecided.
    """
    wide, camel_box = 2 * math.pi, ((-3.0, 3.0), (-2.0, 2.0))
    camel = "(4 - 2.1*x^2 + x^4/3)*x^2 + x*y + (4*y^2 - 4)*y^2"
    return (
        Counted(cube("3x² − 3x + 4", "3*x^2 - 3*x + 4", 1, -2, 2), (1, 0, 0), lowest="3.25", ways=1),
        Counted(
            cube("cos 2πx + x²", "cos(2*pi*x) + x^2", 1, -2, 2), (4, 3, 0), lowest="-0.76207654525993", ways=2
        ),
        Counted(cube("sin x · exp(−x²/20)", "sin(x)*exp(-x^2/20)", 1, -wide, wide), (2, 2, 0)),
        Counted(
            cube("x²/2 + y⁴/4 − y²/2", "x^2/2 + y^4/4 - y^2/2", 2, -2, 2), (2, 0, 1), lowest="-0.25", ways=2
        ),
        Counted(family("himmelblau", 2), (4, 1, 4)),
        Counted(Problem("six-hump camel", camel, ("x", "y"), camel_box), (6, 2, 7)),
        Counted(family("rosenbrock", 2), (1, 0, 0)),
        Counted(family("rastrigin", 2), (121, 100, 220)),
        Counted(family("rastrigin", 2, (-5, 6)), (144, 121, 264)),
        Counted(family("peaks", 2), (3, 3, 3), edges=3, lowest="-6.55113333283", aim=0.3),
        Counted(shubert(), (722, 722, 1444), edges=39, lowest="-186.730908831", ways=18, aim=3),
        Counted(family("ackley", 2, (-2, 2)), (24, 16, 40), open=1),
        Counted(family("rastrigin", 3), (1331, 1000, 6930), aim=5),
        Counted(family("styblinski-tang", 4), (16, 1, 64)),
        Counted(family("styblinski-tang", 6), (64, 1, 664)),
    )


_SLOPES3 = ((3, 10, 30), (0.1, 10, 35), (3, 10, 30), (0.1, 10, 35))
_CENTRES3 = (
    (0.3689, 0.117, 0.2673), (0.4699, 0.4387, 0.747), (0.1091, 0.8732, 0.5547), (0.03815, 0.5743, 0.8828),
)  # fmt: skip
_SLOPES6 = (
    (10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14),
)  # fmt: skip
_CENTRES6 = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886), (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665), (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)  # fmt: skip
_FLOORS = (0.1, 0.2, 0.2, 0.4, 0.4, 0.6, 0.3, 0.7, 0.5, 0.5)
_FOXHOLES = (
    (4, 4, 4, 4), (1, 1, 1, 1), (8, 8, 8, 8), (6, 6, 6, 6), (3, 7, 3, 7),
    (2, 9, 2, 9), (5, 5, 3, 3), (8, 1, 8, 1), (6, 2, 6, 2), (7, 3.6, 7, 3.6),
)  # fmt: skip
