"""What a proof says: certified points, regions left undecided, and the lowest value."""

from __future__ import annotations

import functools
import html
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.objective import Objective
from descentlab.reproduce import Call, command_line, python_lines

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.figure import Figure

    Point = Float[np.ndarray, "dim"]
    Box = Float[np.ndarray, "dim 2"]

KINDS = ("minimum", "maximum", "saddle")
# Why a region is left undecided, and the words for it.
REASONS = {
    "undefined": "f is not defined, or jumps, somewhere in it",
    "kink": "the gradient jumps in it",
    "degenerate": "the Hessian might be singular in it",
    "flat": "the gradient is zero, or below what doubles hold, throughout it",
    "face": "on a face of the box, or within rounding of it, the slope into the box might be zero",
    "limit": "the limit on boxes, memory or time was reached",
}


@dataclass(frozen=True)
class CertifiedPoint:
    """A box proved to hold exactly one stationary point – of f, or of f on a face of the box.

    point (dim,): its middle; box (dim, 2): bounds on the point; unique_in (dim, 2): a larger box in which it is
    the only one; value, value_interval: f there and bounds on it; kind: minimum, maximum or saddle (on a face:
    of f within the closed box), or "unknown"; index: how many eigenvalues are negative, None if unknown;
    eigenvalues (k, 2): bounds on those of the Hessian over the k free coordinates, ascending; held (dim,): −1
    at a lower bound, 1 at an upper bound, 0 free.
    """

    point: Point
    box: Box
    unique_in: Box
    value: float
    value_interval: tuple[float, float]
    kind: str
    index: int | None
    eigenvalues: NDArray[np.float64]
    held: NDArray[np.int8]

    @property
    def on_boundary(self) -> bool:
        """Whether it lies on a face of the box."""
        return bool(self.held.any())

    @property
    def touches(self) -> bool:
        """Whether the point lies within rounding of a face, on it or beside it, and counts as on it."""
        return bool(((self.held != 0) & (self.box[:, 0] < self.box[:, 1])).any())


@dataclass(frozen=True)
class Region:
    """A part of the box in which nothing was decided.

    box (dim, 2): its hull; point (dim,): the middle of the small box in it on which f may be lowest; boxes: how
    many small boxes it is made of; reason: a key of REASONS; value_interval: bounds on f; holds_minimum:
    whether a local minimum in it is proved all the same (f on its rim is higher than inside).
    """

    box: Box
    point: Point
    boxes: int
    reason: str
    value_interval: tuple[float, float]
    holds_minimum: bool = False


@dataclass(frozen=True)
class LowestValue:
    """The global minimum over the closed box.

    interval: bounds on the lowest value; minimizers: certified points that may attain it; regions: undecided parts that
    may; proved: whether the interval is as narrow as asked and every minimizer lies in one of them.
    """

    interval: tuple[float, float]
    minimizers: tuple[CertifiedPoint, ...]
    regions: tuple[Region, ...]
    proved: bool


@dataclass(frozen=True, eq=False)
class Certificate:
    """Every stationary point of f in its box, proved; made by `certify`.

    points: those in the interior, lowest value first; boundary: minima, maxima and saddles of f over the closed
    box that lie on its faces; undecided: regions where nothing was proved; lowest: the global minimum over the
    closed box; winding: how often ∇f turns round along the edge of a 2-D box – minima + maxima − saddles inside
    –, or None; boxes: how many were examined; seconds; assumptions: what the proof rests on; recheck: "arb" if
    each point was proved again by python-flint, else None; call: what makes it again.
    """

    objective: Objective
    points: tuple[CertifiedPoint, ...]
    boundary: tuple[CertifiedPoint, ...]
    undecided: tuple[Region, ...]
    lowest: LowestValue
    winding: int | None
    boxes: int
    seconds: float
    assumptions: tuple[str, ...]
    recheck: str | None
    call: Call

    @property
    def complete(self) -> bool:
        """Whether nothing is left undecided."""
        return not self.undecided

    @functools.cached_property
    def counts(self) -> dict[str, int]:
        """How many interior points of each kind: minimum, maximum, saddle (and unknown, if any)."""
        found = Counter(p.kind for p in self.points)
        return {kind: found[kind] for kind in (*KINDS, "unknown") if kind in KINDS or found[kind]}

    @property
    def minima(self) -> tuple[CertifiedPoint, ...]:
        """All certified minima of f over the closed box, lowest first."""
        both = [p for p in (*self.points, *self.boundary) if p.kind == "minimum"]
        return tuple(sorted(both, key=lambda p: p.value))

    @property
    def domain(self) -> Box:
        """The box, (dim, 2)."""
        return self.objective.domain

    @property
    def sentence(self) -> str:
        """Say what is proved, and what is left undecided."""
        from descentlab.certify.words import sentence

        return sentence(self)

    @property
    def command(self) -> str:
        """The shell command that does the same, or "" if there is none."""
        return command_line("certify", self.objective, self.call)

    @property
    def python(self) -> str:
        """The Python lines that do the same."""
        return python_lines("certify", self.objective, self.call)

    def plot(self) -> Figure:
        """Draw the certified points; see `figures.draw_certificate`."""
        from descentlab.figures import draw_certificate

        return draw_certificate(self)

    def _repr_html_(self) -> str:
        from descentlab.figures import figure_html

        return f"<p>{html.escape(self.sentence)}</p>" + figure_html(self.plot())

    def save(self, path: Any) -> None:
        """Write the certificate as JSON; `descentlab certify --verify FILE` checks it again."""
        from descentlab.certify.document import write

        write(self, path)
