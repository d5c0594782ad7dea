"""What basin maps found out: fates of pixels, shares by area, and how rough the boundaries are."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.objective import Objective
from descentlab.reproduce import Call, command_line, python_lines
from descentlab.survey.basin_measures import BasinEntropy, Uncertainty, basin_entropy, uncertainty
from descentlab.survey.chunk import SURVEY_OUTCOMES
from descentlab.survey.minima import Minimum
from descentlab.survey.seriousness import ENDED, percent
from descentlab.wording import short, where

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

# Minima this close in value, against the spread of values over the box, are equally low.
SAME_VALUE = 1e-9
# A boundary is called smooth where α is at least this, or no further below 1 than three standard errors.
SMOOTH = 0.95


@dataclass(frozen=True, eq=False)
class BasinMap:
    """The fate of every pixel of a plane, by one optimizer at one learning rate.

    Arrays are (row, column): row 0 has the lowest value of plane[1], column 0 the lowest of plane[0].
    minima: the distinct ones, lowest first; hits and share count pixels, so a share is one of area (in
    a strip, minima that only other maps reach are listed with no hits); assignment: the index of the minimum
    reached, −1 for none; taken: steps; outcome_codes: indices into survey.chunk.SURVEY_OUTCOMES;
    ends (row, column, dim); at (dim,): the point the plane goes through, which matters with more than
    two variables.
    """

    objective: Objective
    minima: tuple[Minimum, ...]
    assignment: Int[np.ndarray, "row column"]
    taken: Int[np.ndarray, "row column"]
    outcome_codes: Int[np.ndarray, "row column"]
    ends: Float[np.ndarray, "row column dim"]
    plane: tuple[str, ...]
    at: Float[np.ndarray, " dim"]
    optimizer: str
    learning_rate: str
    steps: int
    tolerance: float
    bounds: str
    seed: int
    value_scale: float
    call: Call

    @property
    def outcomes(self) -> NDArray[np.str_]:
        """How the descent from each pixel ended, (row, column)."""
        return np.asarray(np.array(SURVEY_OUTCOMES)[self.outcome_codes])

    @property
    def fates(self) -> Int[np.ndarray, "row column"]:
        """One number for each way to end, (row, column): the index of the minimum, or −1 − the outcome's
        code where none was reached. What the measures below compare."""
        return np.where(self.assignment >= 0, self.assignment, -1 - self.outcome_codes.astype(np.int32))

    @property
    def box(self) -> Float[np.ndarray, "side end"]:
        """The rectangle shown, (2, 2): the sides of the two variables."""
        return self.objective.domain[[self.objective.names.index(name) for name in self.plane]]

    @property
    def x(self) -> Float[np.ndarray, " column"]:
        """The columns' centres."""
        return centres(self.box[0], self.assignment.shape[1])

    @property
    def y(self) -> Float[np.ndarray, " row"]:
        """The rows' centres."""
        return centres(self.box[1], self.assignment.shape[0])

    @property
    def shares(self) -> Float[np.ndarray, " minimum"]:
        """The share of the area that leads to each minimum."""
        return np.array([m.share for m in self.minima])

    @property
    def areas(self) -> Float[np.ndarray, " minimum"]:
        """The area that leads to each minimum, in units of the two variables."""
        return np.asarray(self.shares * np.prod(self.box[:, 1] - self.box[:, 0]))

    @property
    def elsewhere(self) -> Mapping[str, float]:
        """The share of the area that leads to no minimum, by outcome, the largest first."""
        codes, counts = np.unique(self.outcome_codes[self.assignment < 0], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {SURVEY_OUTCOMES[codes[i]]: int(counts[i]) / self.assignment.size for i in order}

    def settled(self, point: Array) -> Array:
        """Return a point with 0 for coordinates less than a billionth of a side."""
        return np.where(np.abs(point) < 1e-9 * self.objective.widths, 0.0, point)

    @property
    def best_share(self) -> float:
        """The share of the area that leads to the lowest value any pixel reached."""
        values = np.array([m.value for m in self.minima if m.hits])
        if not values.size:
            return 0.0
        near = SAME_VALUE * max(abs(values[0]), self.value_scale)
        return sum(m.share for m in self.minima if m.hits and m.value - values[0] <= near)

    @functools.cached_property
    def entropy(self) -> BasinEntropy:
        """The basin entropy S_b and the boundary basin entropy S_bb (Daza et al. 2016)."""
        return basin_entropy(self.fates)

    @functools.cached_property
    def uncertainty(self) -> Uncertainty:
        """How the share of uncertain starts falls with the error of a start (Grebogi et al. 1983)."""
        return uncertainty(self.fates)

    @property
    def uncertainty_exponent(self) -> float:
        """The exponent α of f(ε) ~ ε^α, 1 for smooth boundaries; NaN for a single basin."""
        return self.uncertainty.exponent

    @property
    def label(self) -> str:
        """The optimizer and its rate."""
        return f"{self.optimizer} at {self.learning_rate}"

    @property
    def sentence(self) -> str:
        """Say which minima take what area, what happens elsewhere, and how rough the boundaries are."""
        return " ".join(part for part in (_found(self), _lost(self), _boundaries(self)) if part)

    @property
    def command(self) -> str:
        """The shell command that does the same, or "" if there is none."""
        return command_line("basins", self.objective, self.call)

    @property
    def python(self) -> str:
        """The Python lines that do the same."""
        return python_lines("basin_map", self.objective, self.call)

    def plot(self) -> Figure:
        """Draw the map: colour by minimum, shade by steps."""
        from descentlab.figures import draw_basins

        return draw_basins(self)

    def _repr_html_(self) -> str:
        from descentlab.figures import figure_html

        return f"<p>{self.sentence}</p>" + figure_html(self.plot())


@dataclass(frozen=True, eq=False)
class BasinStrip:
    """Basin maps of one plane by several optimizers at several learning rates.

    maps: optimizer by optimizer, each at every rate; minima: all that any map reaches, lowest first, counted
    over all maps – an index means the same minimum in every map; shape: (optimizers, rates).
    """

    objective: Objective
    maps: tuple[BasinMap, ...]
    minima: tuple[Minimum, ...]
    shape: tuple[int, int]
    call: Call

    @property
    def labels(self) -> tuple[str, ...]:
        """The optimizer and the rate of each map."""
        return tuple(m.label for m in self.maps)

    @functools.cached_property
    def changed(self) -> Float[np.ndarray, "map map"]:
        """The share of pixels that end differently in one map and another."""
        fates = [m.fates for m in self.maps]
        return np.array([[float((a != b).mean()) for b in fates] for a in fates])

    @property
    def sentence(self) -> str:
        """Say how much the basins depend on optimizer and rate."""
        if len(self.maps) == 1:
            return self.maps[0].sentence
        first, second = np.unravel_index(int(np.argmax(self.changed)), self.changed.shape)
        most = float(self.changed[first, second])
        if most == 0:
            return f"All {len(self.maps)} maps are the same: every pixel ends alike in each."
        return (
            f"Between {self.maps[first].label} and {self.maps[second].label}, {percent(most)} of the starts end "
            f"differently: a basin belongs to an optimizer at a learning rate, not to f alone."
        )

    @property
    def command(self) -> str:
        """The shell command that does the same, or "" if there is none."""
        return command_line("basins", self.objective, self.call)

    @property
    def python(self) -> str:
        """The Python lines that do the same."""
        return python_lines("basin_strip", self.objective, self.call)

    def plot(self) -> Figure:
        """Draw the maps side by side with one legend."""
        from descentlab.figures import draw_basins

        return draw_basins(self)

    def _repr_html_(self) -> str:
        from descentlab.figures import figure_html

        return f"<p>{self.sentence}</p>" + figure_html(self.plot())


def centres(side: Array, pixels: int) -> Array:
    """Return the coordinates of the pixels' centres along one side of the box, (2,)."""
    return np.asarray(side[0] + (np.arange(pixels) + 0.5) * ((side[1] - side[0]) / pixels))


def _found(m: BasinMap) -> str:
    rows, columns = m.assignment.shape
    starts = f"Of {columns:,} × {rows:,} starts, {m.optimizer} at learning rate {m.learning_rate}"
    reached = [each for each in m.minima if each.hits]
    if not reached:
        return f"{starts} brings none to a minimum."
    best = reached[0]
    if len(reached) == 1:
        return (
            f"{starts} brings {percent(best.share)} to the one minimum reached, f = {_height(m, best)} at "
            f"{where(m.objective, best.point)}."
        )
    total = sum(each.hits for each in reached) / m.assignment.size
    if math.isclose(total, m.best_share):
        return f"{starts} brings {percent(total)} to {len(reached):,} minima, all of the value f = {_height(m, best)}."
    return (
        f"{starts} brings {percent(total)} to {len(reached):,} minima; the lowest value, f = {_height(m, best)}, "
        f"takes {percent(m.best_share)} of the area."
    )


def _height(m: BasinMap, minimum: Minimum) -> str:
    return short(minimum.value if abs(minimum.value) >= SAME_VALUE * m.value_scale else 0.0)


def _lost(m: BasinMap) -> str:
    parts = [f"{percent(share)} end {ENDED[outcome]}" for outcome, share in m.elsewhere.items()]
    return f"Elsewhere, {', '.join(parts)}." if parts else ""


def _boundaries(m: BasinMap) -> str:
    """Say what S_bb and α say of the boundaries."""
    alpha, error = m.uncertainty.exponent, m.uncertainty.error
    if math.isnan(alpha):
        return ""
    fit = f"uncertainty exponent {alpha:.3f} ± {error:.3f}, dimension {m.uncertainty.dimension:.3f}"
    if m.entropy.is_fractal:
        kind = f"fractal at this resolution (boundary basin entropy {m.entropy.boundary:.2f} > ln 2; {fit})"
    elif alpha >= min(SMOOTH, 1 - 3 * error):
        return f"Boundaries are smooth at this resolution ({fit})."
    else:
        kind = f"rough at this resolution ({fit})"
    left = 10 ** -max(alpha, 0.0)
    return (
        f"Boundaries are {kind}: to know a start ten times more exactly leaves {percent(left)} of the doubt "
        f"about where it ends, where a smooth boundary leaves 10 %."
    )
