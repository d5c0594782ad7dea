"""How many steps a descent that has not arrived still needs."""

from __future__ import annotations

import math

import numpy as np

from descentlab.evidence import Case
from descentlab.stationary import newton_step
from descentlab.verdict import ARRIVED


def steps_needed(case: Case, factor: float) -> int | None:
    """Estimate the steps still needed to arrive, from how the last steps shrank.

    If each step is r times the last, r < 1, the way left is s·r/(1 − r), and it shrinks by r a
    step, down to ARRIVED box sides.
    """
    if not (0 < factor < 1 - 1e-12):
        return None
    last = float(case.e.lengths[case.i, -1])
    ahead = last * factor / (1 - factor)
    distance = case.j.distances[case.i]
    if not math.isfinite(distance):
        if not _root_ahead(case, ahead):
            return None
        distance = ahead
    elif case.j.kinds[case.i] not in (("maximum" if case.e.ascent else "minimum"), "degenerate"):
        return None  # descent passes a saddle or a maximum; the way to it is not the way left
    elif (slowest := _slowest_mode(case)) is not None:
        return slowest
    if distance <= ARRIVED:
        return 0
    return math.ceil(math.log(ARRIVED / distance) / math.log(factor))


def _slowest_mode(case: Case) -> int | None:
    """Return the steps that plain descent at a fixed rate still needs, from the Hessian at its goal.

    Along the eigenvector of λ the distance shrinks by |1 − ηλ| a step, and the slowest of these
    decides. None for other optimizers, falling rates, or where a mode does not shrink.
    """
    row, rates = case.e.optimizer.row, case.e.rates[case.i]
    if row is None or row.name != "gd" or case.j.kinds[case.i] == "degenerate" or np.ptp(rates) != 0:
        return None
    place = case.j.places[case.i]
    values, vectors = np.linalg.eigh(case.e.downhill * case.objective.hessian(place))
    shrink = np.abs(1 - case.rate * values)
    along = np.abs(vectors.T @ (case.end - place))
    sides = along * np.abs(vectors / case.objective.widths[:, None]).max(axis=0)
    left = sides > ARRIVED
    if not (shrink[left] > 0).all() or not (shrink[left] < 1).all():
        return None
    return math.ceil(float(np.max(np.log(ARRIVED / sides[left]) / np.log(shrink[left]), initial=0.0)))


def _root_ahead(case: Case, ahead: float) -> bool:
    """Tell whether Newton's step leads as far as the shrinking steps do, to a much smaller gradient.

    On 1/x or exp(−x) steps shrink for ever with no root ahead: there Newton's step leads to a
    gradient a third or more as large.
    """
    free = ~case.e.held[case.i]
    newton = newton_step(case.objective, case.end[None], free[None])[0]
    length = float(np.abs(newton / case.objective.widths).max())
    if not (length < 0.5 and 0.9 * length <= ahead <= 1.1 * length):
        return False
    here, there = (np.where(free, case.objective.gradient(x), 0.0) for x in (case.end, case.end + newton))
    return bool(np.linalg.norm(there) <= 0.2 * np.linalg.norm(here))
