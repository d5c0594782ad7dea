"""The numbers behind one descent's verdict, collected by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.objective import FormulaObjective, Objective
from descentlab.verdict import Judgement, first_failure
from descentlab.wording import plain, short, where

Array = NDArray[np.float64]


class Case:
    """One descent's numbers, and the evidence collected while its sentence is written."""

    def __init__(self, j: Judgement, i: int) -> None:
        e = j.ending
        self.j, self.i, self.e = j, i, e
        self.objective: Objective = e.objective
        self.end, self.start = e.ends[i], e.starts[i]
        self.taken = int(e.taken[i])
        used = e.rates[i][np.isfinite(e.rates[i])]
        self.rate = float(used[-1]) if used.size else float(e.base_rates[i])
        self.word = "ascent" if e.ascent else "descent"
        self.moved = bool((self.end != self.start).any())
        self.evidence: dict[str, Any] = {
            "point": plain(self.end),
            "value": float(e.values[i]),
            "gradient_norm": float(np.linalg.norm(e.gradients[i])),
            "steps_taken": self.taken,
            "stopped_by": self._stopped_by(),
            "rate": self.rate,
        }
        # What the advice would change, as settings of descend.
        self.change: dict[str, Any] = {}
        if np.isfinite(j.places[i]).all():
            self._note_place()

    def _stopped_by(self) -> str:
        e, i = self.e, self.i
        if self.taken >= e.steps[i] and not (e.tolerance is not None and e.stopped[i]):
            return "steps"
        if e.stopped[i]:
            return "tolerance"
        return "left the box" if np.isfinite(e.gradients[i]).all() else "not finite"

    def _note_place(self) -> None:
        j, i = self.j, self.i
        self.evidence["nearest"] = plain(j.places[i])
        self.evidence["nearest_kind"] = str(j.kinds[i])
        self.evidence["distance"] = float(np.linalg.norm(j.places[i] - self.end))
        if np.isfinite(j.eigenvalues[i]).all():
            self.evidence["eigenvalues"] = plain(j.eigenvalues[i])
            if j.kinds[i] in ("minimum", "maximum", "saddle"):
                self.note_stable_rate(self.e.downhill * j.eigenvalues[i])

    def note_stable_rate(self, eigenvalues: Array) -> float | None:
        """Note and return the largest stable learning rate at curvatures λ of the function descended.

        gd: 2/λmax; momentum: 2(1+μ)/λmax (Polyak 1964); nesterov: 2(1+μ)/((1+2μ)λmax).
        """
        largest = float(eigenvalues.max(initial=0.0))
        row = self.e.optimizer.row
        if row is None or row.name not in ("gd", "momentum", "nesterov") or not largest > 0:
            return None
        mu = self.e.optimizer.parameter("decay")
        limit = 2 * (1 + mu) / largest / ((1 + 2 * mu) if row.name == "nesterov" else 1)
        self.evidence["largest_stable_rate"] = limit
        return limit

    def propose_rate(self, rate: float) -> str:
        """Propose a learning rate, to the digits shown; return it in words."""
        self.change["learning_rate"] = float(short(rate))
        return short(rate)

    @property
    def limit(self) -> float | None:
        return self.evidence.get("largest_stable_rate")

    @property
    def curvature(self) -> str:
        """The eigenvalues in words."""
        values = self.evidence["eigenvalues"]
        if len(values) == 1:
            return f"second derivative {short(values[0])}"
        shown = ", ".join(short(v) for v in values[:6]) + (", …" if len(values) > 6 else "")
        return f"Hessian eigenvalues {shown}"

    def at(self, point: Any = None) -> str:
        return where(self.objective, self.end if point is None else point)

    def gradient(self) -> str:
        what = "derivative" if self.objective.dim == 1 else "gradient"
        size = self.evidence["gradient_norm"]
        return f"the {what} is exactly 0" if size == 0 else f"the {what} is {short(size)} in size"


def what_failed(case: Case) -> str:
    """Say which operation of f gave no finite number, and note it."""
    value = case.evidence["value"]
    if math.isfinite(value):
        return "f is finite but its gradient is not"
    if isinstance(case.objective, FormulaObjective) and np.isfinite(case.end).all():
        which, result = first_failure(case.objective, case.end[None])
        if which[0] >= 0:
            name = case.objective.value_program.operations[which[0]].name.replace("_", " ")
            case.evidence["operation"] = name
            if math.isnan(result[0]):
                return f"f is undefined ({name} of a number outside its domain)"
            return f"f is infinite ({name} overflows or meets a pole)"
    return "f is not a number" if math.isnan(value) else "f is infinite"
