"""Guided presets: a state of the page, one question to answer by playing with it, and the answer.

tests/test_studio_presets.py runs every one and checks what its answer says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """One preset. state: the entries of the page's state that differ from its default."""

    name: str
    title: str
    question: str
    answer: str
    state: Mapping[str, Any]


def _problem(text: str, *domain: tuple[float, float]) -> dict[str, Any]:
    return {"text": text, "domain": [list(side) for side in domain], "variables": None}


def _race(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "parameters": {}} for name in names]


PRESETS: tuple[Preset, ...] = (
    Preset(
        "overshoot",
        "Overshoot",
        "Every step lands further away. Up to which learning rate does descent settle?",
        "Up to 1/3: the curvature is f″ = 6, and plain descent is stable below 2/6. At 1/3 it jumps between two points "
        "for ever; above, each jump is longer than the last. The tick on the slider marks the limit.",
        {"problem": _problem("3x^2 - 3x + 4", (-2, 2)), "starts": [[0.3]], "rate": 0.35, "steps": 30},
    ),
    Preset(
        "period-2",
        "Period 2",
        "The ball jumps between two points for ever. Which ones, and what happens just below this rate?",
        "Between x and −x: at rate 1 a step takes x to x − 2x = −x. At any lower rate each jump is shorter than the "
        "last, so it settles at 0; at 0.5 in a single step.",
        {"problem": _problem("x^2", (-2, 2)), "starts": [[1.25]], "rate": 1.0, "steps": 30},
    ),
    Preset(
        "unfortunate-start",
        "Unfortunate start",
        "Descent does not move, though f falls on both sides. Why, and how little would be enough to set it free?",
        "At x = 0 the derivative is exactly zero: it is a maximum, and a step is rate times zero. Any nudge is enough, "
        "such as one arrow key, because the slope grows with every step away from the top.",
        {"problem": _problem("cos(2*pi*x) + x^2", (-2, 2)), "starts": [[0.0]], "rate": 0.01, "steps": 100},
    ),
    Preset(
        "plateau",
        "Plateau",
        "No learning rate helps here. What does the ball see, and where would it have to start?",
        "From x = 7 the hole is so far away that f is constant to rounding and its derivative far below one: a step is "
        "shorter than the spacing of numbers there. Started within 2.5 of the middle it arrives.",
        {"problem": _problem("1 - exp(-x^2)", (-8, 8)), "starts": [[7.0]], "rate": 0.1, "steps": 300},
    ),
    Preset(
        "ravine",
        "Ravine",
        "Both go down the same valley. Why is plain descent so far behind, and could a larger rate save it?",
        "Across the valley the curvature is 2, along it 0.02. The rate must stay below 2/2 = 1 to be stable across; "
        "then each step covers at most 2 % of what is left along. Momentum adds up the steps that agree.",
        {
            "problem": _problem("x^2/100 + y^2", (-10, 10), (-3, 3)),
            "starts": [[-9.0, 2.0]],
            "optimizers": _race("gd", "momentum"),
            "rate": 0.5,
            "steps": 300,
        },
    ),
    Preset(
        "saddle",
        "Saddle",
        "Two starts, a thousandth apart. Why does one end at the saddle point and the other pass it?",
        "On the line y = 0 the slope in y is exactly zero, so descent never leaves it and ends where f is lowest along "
        "it – at the saddle. A thousandth beside it the slope in y grows with every step. Trapped is only what is a "
        "minimum in all dimensions.",
        {
            "problem": _problem("x^2 - y^2 + y^4/4", (-2, 2), (-2, 2)),
            "starts": [[1.5, 0.0], [1.5, 0.001]],
            "rate": 0.05,
            "steps": 300,
        },
    ),
    Preset(
        "peaks",
        "Peaks",
        "Four starts, three ends. Which start finds the lowest minimum – and how would you know there is none lower?",
        "Only the third, at f = −6.551. No single descent can tell: survey a hundred thousand starts for the share of "
        "each minimum, then let the stationary points be proved – there are three minima inside, and no others.",
        {
            "problem": _problem(
                "3*(1 - x)^2*exp(-x^2 - (y + 1)^2) - 10*(x/5 - x^3 - y^5)*exp(-x^2 - y^2) - exp(-(x + 1)^2 - y^2)/3",
                (-3, 3),
                (-3, 3),
            ),
            "starts": [[0.0, 1.4], [0.5, 0.8], [0.2, -0.8], [-1.0, -0.5]],
            "rate": 0.01,
            "steps": 300,
        },
    ),
)
