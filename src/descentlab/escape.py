"""How long descent needs to leave a stationary point that is not a minimum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.objective import Objective
from descentlab.wording import plain

Array = NDArray[np.float64]

MOST_ESCAPE_STEPS = 100_000


def find_escape(objective: Objective, place: Array, rate: float, downhill: float) -> dict[str, Any] | None:
    """Predict, and then observe, how many steps plain descent needs to leave a stationary point.

    Near it, the distance ε along the most negative curvature −γ grows by 1 + ηγ a step, so
    ln(R/ε)/ln(1 + ηγ) steps lead to distance R (a saddle's escape time). R is the distance out
    to which the curvature stays within a tenth; the nudge ε is the power of ten below 1/10,000
    of the box's shortest side. None if there is no negative curvature.
    """
    values, vectors = np.linalg.eigh(downhill * objective.hessian(place))
    gamma, direction = -float(values[0]), vectors[:, 0]
    if not (gamma > 0 and rate > 0):
        return None
    direction = direction * (1.0 if direction[np.abs(direction).argmax()] > 0 else -1.0)
    side = float(objective.widths.min())
    nudge = 10.0 ** math.floor(math.log10(side * 1e-4))
    radius = 4 * nudge

    def bend(distance: float) -> float:
        return float(downhill * direction @ objective.hessian(place + distance * direction) @ direction)

    while radius < side / 4 and abs(bend(2 * radius) + gamma) <= 0.1 * gamma:
        radius *= 2
    predicted = math.log(radius / nudge) / math.log1p(rate * gamma)
    return {
        "nudge": nudge,
        "radius": radius,
        "curvature": -gamma,
        "direction": plain(direction),
        "rate": rate,
        "steps_predicted": predicted,
        "steps_observed": _observe_escape(
            objective, place, nudge * direction, radius, rate * downhill, predicted
        ),
    }


def _observe_escape(
    objective: Objective, place: Array, nudge: Array, radius: float, rate: float, predicted: float
) -> int | None:
    if predicted > MOST_ESCAPE_STEPS:
        return None
    x = place + nudge
    for step in range(2 * MOST_ESCAPE_STEPS):
        if not np.linalg.norm(x - place) < radius:
            return step
        x = x - rate * objective.gradient(x)
    return None
