"""What a survey found out: minima, outcomes, and what the counts say about the landscape."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.objective import Objective
from descentlab.reproduce import Call, command_line, python_lines
from descentlab.survey.minima import Minimum
from descentlab.survey.statistics import restarts_needed, unseen_share
from descentlab.wording import short, where

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from matplotlib.figure import Figure

# Minima this close in value, against the spread of values over the box, are equally good.
SAME_VALUE = 1e-9


@dataclass(frozen=True, eq=False)
class Survey:
    """Where many starts ended.

    minima: the distinct ones, lowest first; outcomes: how many starts ended as what, summing to
    starts_count. start_points, ends (start, dim), values, slopes (start,): f and |∇f| at the ends;
    end_outcomes (start,); assignment (start,): the index of the minimum reached, −1 for none; taken
    (start,): steps – these of the first 1,048,576 starts at most; a store has them all. design: how the
    starts were placed; value_scale: how much f varies over the box; stopped: why the survey ended before
    all the starts asked for, "" if it did not.
    """

    objective: Objective
    minima: tuple[Minimum, ...]
    outcomes: Mapping[str, int]
    starts_count: int
    start_points: Float[np.ndarray, "start dim"]
    ends: Float[np.ndarray, "start dim"]
    values: Float[np.ndarray, " start"]
    slopes: Float[np.ndarray, " start"]
    end_outcomes: NDArray[np.str_]
    assignment: Int[np.ndarray, " start"]
    taken: Int[np.ndarray, " start"]
    optimizer: str
    learning_rate: str
    steps: int
    tolerance: float
    bounds: str
    seed: int
    design: str
    precision: str
    value_scale: float
    stopped: str
    call: Call

    @property
    def best(self) -> Minimum | None:
        """The lowest minimum found, or None."""
        return self.minima[0] if self.minima else None

    @functools.cached_property
    def best_ones(self) -> tuple[int, ...]:
        """The indices of the minima that share the lowest value."""
        if not self.minima:
            return ()
        lowest = self.minima[0].value
        return tuple(i for i, m in enumerate(self.minima) if m.value - lowest <= self._same_value)

    @property
    def _same_value(self) -> float:
        lowest = abs(self.minima[0].value) if self.minima else 0.0
        return SAME_VALUE * max(lowest, self.value_scale)

    @property
    def best_share(self) -> float:
        """The share of starts that reached the lowest value found."""
        return sum(self.minima[i].share for i in self.best_ones)

    @property
    def unseen(self) -> float:
        """The estimated share of starts that lead to minima not seen here (Good–Turing)."""
        return unseen_share([m.hits for m in self.minima], self.starts_count)

    def restarts_for(self, confidence: float = 0.95) -> int | None:
        """Return how many random starts reach the lowest value found with this probability.

        None if no start reached a minimum. Raises InputError unless 0 < confidence < 1.
        """
        if not 0 < confidence < 1:
            raise InputError(f"The confidence lies between 0 and 1, but it is {confidence!r}.")
        return restarts_needed(self.best_share, confidence)

    @functools.cached_property
    def symmetry(self) -> tuple[tuple[int, ...], ...]:
        """Groups of minima, by index, that are mirror images: equal in value, and equal up to the
        signs of their coordinates about the middle of the box."""
        middle = self.objective.domain.mean(axis=1)
        widths = self.objective.widths
        groups: list[list[int]] = []
        for i, m in enumerate(self.minima):
            folded = np.abs(m.point - middle) / widths
            for group in groups:
                first = self.minima[group[0]]
                alike = np.abs(np.abs(first.point - middle) / widths - folded).max() <= 1e-6
                if alike and abs(first.value - m.value) <= self._same_value:
                    group.append(i)
                    break
            else:
                groups.append([i])
        return tuple(tuple(group) for group in groups if len(group) > 1)

    @property
    def sentence(self) -> str:
        """Say whether the local-minima problem is serious here."""
        if not self.minima:
            return f"None of {self.starts_count:,} starts reached a minimum."
        found = f"{len(self.minima)} minim{'um was' if len(self.minima) == 1 else 'a were'} found"
        lowest = f"the lowest value is {short(self.minima[0].value)}, at {self._best_places()}"
        share, needed = self.best_share, self.restarts_for(0.95) or 0
        if share > 0.95:
            serious = f"local minima are no problem here: {_percent(share)} of starts reach it"
        else:
            serious = (
                f"one random start misses it {_percent(1 - share)} of the time; {needed:,} "
                f"{'start reaches' if needed == 1 else 'starts reach'} it with 95 % probability"
            )
        return f"{found} from {self.starts_count:,} starts; {lowest}; {serious}."

    def _best_places(self) -> str:
        """Write the lowest minima's points, at most four, naming the variables once."""
        shown = [where(self.objective, self.minima[i].point) for i in self.best_ones[:4]]
        values = [shown[0], *(text.partition(" = ")[2] for text in shown[1:])]
        more = len(self.best_ones) - len(shown)
        if more:
            return f"{', '.join(values)} and {more} more"
        return " and ".join(filter(None, [", ".join(values[:-1]), values[-1]]))

    @property
    def command(self) -> str:
        """The shell command that does the same, or "" if there is none."""
        return command_line("survey", self.objective, self.call)

    @property
    def python(self) -> str:
        """The Python lines that do the same."""
        return python_lines("survey", self.objective, self.call)

    def plot(self) -> Figure:
        """Draw the share of starts by minimum."""
        from descentlab.figures import draw_survey

        return draw_survey(self)

    def _repr_html_(self) -> str:
        from descentlab.figures import figure_html

        return f"<p>{self.sentence}</p>" + figure_html(self.plot())


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
