"""The twenty landscapes of tests/data/landscapes.json in plain floats, shared terms computed once.

Global optimizers ask for one point at a time, and there this is several times faster than NumPy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from math import cos, exp, pi, sin
from pathlib import Path
from typing import Protocol


class Point(Protocol):
    """An array of one point's coordinates."""

    def tolist(self) -> list[float]: ...


Function = Callable[[Point], float]

DATA = Path(__file__).parent.parent / "tests" / "data" / "landscapes.json"


@dataclass(frozen=True)
class Known:
    """A landscape of the file: its formula, variables and box, its lowest value, and the same in plain floats."""

    name: str
    formula: str
    names: tuple[str, ...]
    bounds: tuple[tuple[float, float], ...]
    lowest: float
    plain: Function


def twenty() -> list[Known]:
    """Read the twenty landscapes."""
    return [
        Known(
            entry["name"],
            entry["formula"],
            tuple(entry["variables"]),
            tuple((low, high) for low, high in entry["bounds"]),
            entry["f_star"],
            PLAIN[entry["name"]],
        )
        for entry in json.loads(DATA.read_text(encoding="utf-8"))
    ]


def himmelblau(p: Point) -> float:
    x, y = p.tolist()
    a, b = x * x + y - 11, x + y * y - 7
    return a * a + b * b


def camel(p: Point) -> float:
    x, y = p.tolist()
    u, v = x * x, y * y
    return (4 - 2.1 * u + u * u / 3) * u + x * y + 4 * (v - 1) * v


def branin(p: Point) -> float:
    x, y = p.tolist()
    a = (5 / pi - 5.1 / (4 * pi * pi) * x) * x + y - 6
    return a * a + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10


def rastrigin(p: Point) -> float:
    x, y = p.tolist()
    return 20 + x * x + y * y - 10 * (cos(2 * pi * x) + cos(2 * pi * y))


def rosenbrock(p: Point) -> float:
    x, y = p.tolist()
    a, b = y - x * x, 1 - x
    return 100 * a * a + b * b


def _shubert(x: float) -> float:
    waves = cos(2 * x + 1) + 2 * cos(3 * x + 2) + 3 * cos(4 * x + 3)
    return waves + 4 * cos(5 * x + 4) + 5 * cos(6 * x + 5)


def shubert(p: Point) -> float:
    x, y = p.tolist()
    return _shubert(x) * _shubert(y)


def mccormick(p: Point) -> float:
    x, y = p.tolist()
    return -1.5 * x + 2.5 * y + (x - y) * (x - y) + sin(x + y) + 1


def three_hump_camel(p: Point) -> float:
    x, y = p.tolist()
    u = x * x
    return ((u / 6 - 1.05) * u + 2) * u + (x + y) * y


def beale(p: Point) -> float:
    x, y = p.tolist()
    v = y * y
    a, b, c = 1.5 + x * (y - 1), 2.25 + x * (v - 1), 2.625 + x * (v * y - 1)
    return a * a + b * b + c * c


def easom(p: Point) -> float:
    x, y = p.tolist()
    a, b = x - pi, y - pi
    return -cos(x) * cos(y) * exp(-a * a - b * b)


def cosine_mixture(p: Point) -> float:
    x, y = p.tolist()
    return x * x + y * y - (cos(5 * pi * x) + cos(5 * pi * y)) / 10


def deb(p: Point) -> float:
    x, y = p.tolist()
    a, b = sin(5 * pi * x), sin(5 * pi * y)
    a, b = a * a, b * b
    return -(a * a * a + b * b * b) / 2


def michalewicz(p: Point) -> float:
    x, y = p.tolist()
    return -sin(x) * sin(x * x / pi) ** 20 - sin(y) * sin(2 * y * y / pi) ** 20


def levy(p: Point) -> float:
    x, y = p.tolist()
    a, b = sin(pi * (x + 3) / 4), sin(pi * (y + 3) / 4)
    return a * a + ((x - 1) * (x - 1) * (1 + 10 * b * b) + (y - 1) * (y - 1)) / 16


def bohachevsky(p: Point) -> float:
    x, y = p.tolist()
    return x * x + 2 * y * y - 0.3 * cos(3 * pi * x) - 0.4 * cos(4 * pi * y) + 0.7


def adjiman(p: Point) -> float:
    x, y = p.tolist()
    return cos(x) * sin(y) - x / (y * y + 1)


def _giunta(x: float) -> float:
    a = 16 / 15 * x - 1
    s = sin(a)
    return s + s * s + sin(4 * a) / 50


def giunta(p: Point) -> float:
    x, y = p.tolist()
    return 0.6 + _giunta(x) + _giunta(y)


def hartmann3(p: Point) -> float:
    x, y, z = p.tolist()
    total = 0.0
    for height, a, b, c, u, v, w in _HARTMANN3:
        total += height * exp(-a * (x - u) * (x - u) - b * (y - v) * (y - v) - c * (z - w) * (z - w))
    return -total


def shekel5(p: Point) -> float:
    x, y, z, w = p.tolist()
    total = 0.0
    for floor, a, b in _SHEKEL5:
        total += 1 / (floor + (x - a) * (x - a) + (y - b) * (y - b) + (z - a) * (z - a) + (w - b) * (w - b))
    return -total


def two_sines(p: Point) -> float:
    (x,) = p.tolist()
    return sin(x) + sin(10 / 3 * x)


_HARTMANN3 = (
    (1.0, 3.0, 10.0, 30.0, 0.3689, 0.117, 0.2673),
    (1.2, 0.1, 10.0, 35.0, 0.4699, 0.4387, 0.747),
    (3.0, 3.0, 10.0, 30.0, 0.1091, 0.8732, 0.5547),
    (3.2, 0.1, 10.0, 35.0, 0.03815, 0.5743, 0.8828),
)
# Of its five centres each has two different coordinates at most, in turns.
_SHEKEL5 = ((0.1, 4.0, 4.0), (0.2, 1.0, 1.0), (0.2, 8.0, 8.0), (0.4, 6.0, 6.0), (0.4, 3.0, 7.0))

PLAIN: dict[str, Function] = {
    "HimmelBlau": himmelblau, "SixHumpCamel": camel, "Branin01": branin, "Rastrigin": rastrigin,
    "Rosenbrock": rosenbrock, "Shubert01": shubert, "McCormick": mccormick,
    "ThreeHumpCamel": three_hump_camel, "Beale": beale, "Easom": easom, "CosineMixture": cosine_mixture,
    "Deb01": deb, "Michalewicz": michalewicz, "Levy03": levy, "Bohachevsky1": bohachevsky,
    "Adjiman": adjiman, "Giunta": giunta, "Hartmann3": hartmann3, "Shekel05": shekel5,
    "Problem02": two_sines,
}  # fmt: skip


def close(a: float, b: float) -> bool:
    """Tell whether two values are the same lowest value: to 10⁻⁶ of its size, or of 1."""
    return math.isfinite(a) and abs(a - b) <= 1e-6 * max(1.0, abs(b))
