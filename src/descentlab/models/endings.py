"""How each run ended, by second order: at a minimum, a saddle point, on flat ground, stalling towards infinity.

A loss alone never calls a run a minimum. From where training ended, damped Newton steps in double precision go
on; what they find, and how far away, tells what training had reached. Networks of more than MOST_DENSE weights are
not polished: for them the gradient and the extreme eigenvalues that Lanczos' method finds decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.models.endings_look import FLAT, NEAR, look
from descentlab.models.endings_slopes import FEW, MOST_DENSE, TOGETHER, slopes_of
from descentlab.models.problem import Weights

if TYPE_CHECKING:
    from descentlab.models.ensemble import Ensemble

Array = NDArray[np.float64]

ENDINGS = {
    "minimum": "the gradient vanishes and every Hessian eigenvalue is positive",
    "saddle": "the gradient vanishes and a Hessian eigenvalue is negative: along it the loss falls",
    "maximum": "the gradient vanishes and every Hessian eigenvalue is negative: the loss falls on all sides",
    "flat": "the gradient vanishes and the smallest Hessian eigenvalue is zero to rounding: along it the loss hardly "
    "changes. Usual for ReLU networks, where a unit's two layers can be rescaled, and with dead units or few data",
    "kink": "the gradient jumps here, as at the bend of a ReLU, so that second order cannot tell; the loss falls in "
    "none of the directions tried",
    "stalling": "the loss creeps on while the weights grow: no finite minimum is near, so this is no local minimum",
    "not_converged": "the loss can still fall from here: train longer to see where it goes",
    "diverged": "the weights or the loss stopped being finite numbers",
}

# The weights have grown if they are this many times as long in the end.
GROWN = 1.5
# They grow while training if the second half makes them this many times as long.
LONGER = 1.05
# Between one Newton step and the next an eigenvalue changes by no more than this share near a root where it is not
# zero. Near a root where it is, it falls to 1/2 (order 3), 4/9 (order 4) or less of what it was.
STEADY = 0.25
# A run creeps if no more than this share of what the loss had fallen is left to fall.
CREEP = 0.05


@dataclass(frozen=True)
class Endings:
    """What became of every run.

    outcomes (run,): keys of ENDINGS; limits (run,): the loss that Newton's method went on to, the final loss
    where it was not asked; slopes (run,): the gradient norm at the end of training; smallest, largest (run,):
    Hessian eigenvalues where Newton's method ended; moved, grown (run,): how far that is from the end of
    training, and how long the weights are there, both against their length at the end of training.
    """

    outcomes: NDArray[np.str_]
    limits: Array
    slopes: Array
    smallest: Array
    largest: Array
    moved: Array
    grown: Array


def judge_runs(e: Ensemble, first: Weights) -> Endings:
    """Judge the runs of an ensemble; first: the weights they began with, (run, …).

    Raises InputError for a PyTorch model without second derivatives in double precision.
    """
    together = TOGETHER if e.size <= MOST_DENSE else FEW

    def some(at: int) -> dict[str, Array]:
        """Look at so many runs; for JAX, which compiles by shape, the last ones are padded."""
        rows = np.arange(at, at + together)
        rows = rows[rows < e.runs] if e.problem.loss is None else np.minimum(rows, e.runs - 1)
        begin, end = ({name: value[rows] for name, value in w.items()} for w in (first, e.weights))
        seen = look(slopes_of(e.problem, begin, end, e.data))
        return {name: value[: e.runs - at] for name, value in seen.items()}

    parts = [some(at) for at in range(0, e.runs, together)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    with np.errstate(invalid="ignore"):  # a run that diverged has no losses to compare
        drop, left = found["begun"] - found["ended"], found["ended"] - found["limit"]
        little = left <= CREEP * np.abs(drop)
    curved = _curved(found)
    here = (found["vanished"] | (curved == "kink")) & (found["moved"] <= NEAR) & little
    # What stalls has no finite minimum to go to.
    endless = ~(found["vanished"] & (curved == "minimum"))
    creeps = (found["grown"] >= GROWN) & little
    outcomes = np.select(
        [e.diverged, here, endless & (creeps | _stalled(e))],
        ["diverged", curved, "stalling"],
        "not_converged",
    )
    return Endings(
        outcomes,
        found["limit"],
        found["slope_last"],
        found["smallest"],
        found["largest"],
        found["moved"],
        found["grown"],
    )


def _curved(found: dict[str, Array]) -> NDArray[np.str_]:
    """Name the places where the gradient vanishes."""
    smallest, largest = found["smallest"], found["largest"]
    jumps, falls = found["jumps"].astype(bool), found["falls"].astype(bool)
    zero = FLAT * np.maximum(np.abs(largest), np.abs(smallest))
    steady, steady_too = (
        np.abs(found[f"next_{end}"] - found[end]) <= STEADY * np.abs(found[end])
        for end in ("smallest", "largest")
    )
    return np.select(
        [
            jumps & falls,
            jumps,
            steady & (found["lower"] > zero),
            steady & steady_too & (found["upper"] < -zero),
            steady & (smallest < -zero),
        ],
        ["not_converged", "kink", "minimum", "maximum", "saddle"],
        "flat",
    )


def _stalled(e: Ensemble) -> NDArray[np.bool_]:
    """Tell where the weights grew over the second half of training while the loss hardly fell."""
    half = int(np.searchsorted(e.recorded, e.steps / 2))
    with np.errstate(invalid="ignore"):
        fell = e.losses[:, half] - e.losses[:, -1]
        creeps = (fell <= CREEP * (e.losses[:, 0] - e.losses[:, -1])) & (fell > 0)
    return np.asarray(creeps & (e.lengths[:, -1] >= LONGER * e.lengths[:, half]))
