"""What a survey found out: minima, outcomes, and what the counts say about the landscape."""

from __future__ import annotations

import functools
import html
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.objective import Objective
from descentlab.reproduce import Call, command_line, python_lines
from descentlab.survey import statistics
from descentlab.survey.minima import Minimum
from descentlab.survey.seriousness import sentences, seriousness

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from descentlab.certify import Certificate
    from descentlab.survey.proof import Matching

# Minima this close in value, against the spread of values over the box, are equally good.
SAME_VALUE = 1e-9
# Points this much lower than the lowest minimum, against that spread, are more than a kink's rounding below it.
LOWER = 1e-6
# What the starts that reach a minimum of some kind ended as.
_OUTCOME_OF = {"interior": "minimum", "boundary": "at_bound", "kink": "kink", "flat": "degenerate"}


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
        return tuple(i for i, m in enumerate(self.minima) if m.value - lowest <= self.same_value)

    @property
    def same_value(self) -> float:
        """Values no further apart than this are equally good."""
        lowest = abs(self.minima[0].value) if self.minima else 0.0
        return SAME_VALUE * max(lowest, self.value_scale)

    @functools.cached_property
    def lower(self) -> tuple[float, NDArray[np.float64]] | None:
        """Where a start or an end is lower than every minimum found, the lowest of them: f and the point.

        None if none is: then nothing is known to be missing. A pole, a jump or too long a step can lead
        descent away from what is lower.
        """
        if not self.minima:
            return None
        begun = self.objective.value(self.start_points)
        values, points = np.append(begun, self.values), (self.start_points, self.ends)
        if self.bounds == "clip":  # starts of an array may lie outside the box
            low, high = self.objective.domain.T
            inside = [((x >= low) & (x <= high)).all(axis=1) for x in points]
            values = np.where(np.concatenate(inside), values, np.nan)
        at = int(np.argmin(np.where(np.isnan(values), np.inf, values)))
        if not values[at] < self.minima[0].value - max(LOWER * self.value_scale, self.same_value):
            return None
        return float(values[at]), points[at // len(begun)][at % len(begun)]

    @property
    def best_share(self) -> float:
        """The share of starts that reached the lowest value found."""
        return sum(self.minima[i].share for i in self.best_ones)

    @property
    def unseen(self) -> float:
        """The estimated share of starts that lead to minima not seen here (Good–Turing)."""
        return statistics.unseen_share(self._hits, self.starts_count)

    @property
    def unseen_interval(self) -> tuple[float, float]:
        """A 95 % interval of the share of starts that lead to minima not seen here."""
        return statistics.unseen_interval(self._hits, self.starts_count)

    @property
    def expected_minima(self) -> float:
        """How many minima there are to expect, from how few starts found new ones: the mean of
        Boender and Rinnooy Kan's posterior (1987), which takes the starts that reached a minimum."""
        return statistics.posterior_count(len(self._hits), sum(self._hits))[0]

    @property
    def most_minima(self) -> float:
        """With 95 % probability there are no more minima than this, by that posterior."""
        return statistics.most_minima(len(self._hits), sum(self._hits), 0.95)

    @property
    def chance_all_seen(self) -> float:
        """The probability, by that posterior, that no minimum is missing here."""
        return statistics.chance_all_seen(len(self._hits), sum(self._hits))

    @property
    def _values(self) -> list[float]:
        return [m.value for m in self.minima]

    @property
    def _hits(self) -> list[int]:
        return [m.hits for m in self.minima]

    @property
    def elsewhere(self) -> Mapping[str, int]:
        """How many starts reached no minimum, by outcome, the commonest first."""
        left = Counter(self.outcomes)
        for m in self.minima:
            left[_OUTCOME_OF[m.kind]] -= m.hits
        return {name: count for name, count in left.most_common() if count > 0}

    @property
    def starts_asked(self) -> int:
        """How many starts were asked for: more than starts_count if the survey was stopped."""
        given = self.call.settings["starts"]
        return int(given) if np.ndim(given) == 0 else np.size(given) // self.objective.dim

    def restarts_for(self, confidence: float = 0.95) -> int | None:
        """Return how many random starts reach the lowest value found with this probability.

        None if no start reached a minimum. Raises InputError unless 0 < confidence < 1.
        """
        if not 0 < confidence < 1:
            raise InputError(f"The confidence lies between 0 and 1, but it is {confidence!r}.")
        return statistics.restarts_needed(self.best_share, confidence)

    def restarts_interval(self, confidence: float = 0.95) -> tuple[int, int | None]:
        """Return a 95 % interval of `restarts_for(confidence)`; None for its upper end where no start
        reached a minimum."""
        hits = sum(self.minima[i].hits for i in self.best_ones)
        return statistics.restarts_interval(hits, self.starts_count, confidence)

    def best_of(self, restarts: ArrayLike) -> NDArray[np.float64]:
        """Return the expected lowest value of that many random starts, over the tries in which some
        start reaches a minimum; see `statistics.best_of`.

        restarts: n ≥ 1, any shape, which is the shape returned. NaN if no start reached a minimum.
        """
        return statistics.best_of(self._values, self._hits, self.starts_count, restarts)

    def best_of_quantiles(
        self, restarts: ArrayLike, levels: Sequence[float] = (0.05, 0.5, 0.95)
    ) -> NDArray[np.float64]:
        """Return quantiles of the lowest value of that many random starts: by default 5 %, the median
        and 95 %; infinite where no minimum is reached that surely."""
        return statistics.best_of_quantiles(self._values, self._hits, self.starts_count, restarts, levels)

    def chance_of_best(self, restarts: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that one of that many random starts reaches the lowest value found."""
        return statistics.chance_of_best(min(self.best_share, 1.0), restarts)

    @property
    def restarts(self) -> Mapping[str, int | None]:
        """The restarts needed to reach the lowest value found, by confidence: "0.5", "0.95", "0.99"."""
        return {str(confidence): self.restarts_for(confidence) for confidence in (0.5, 0.95, 0.99)}

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
                if alike and abs(first.value - m.value) <= self.same_value:
                    group.append(i)
                    break
            else:
                groups.append([i])
        return tuple(tuple(group) for group in groups if len(group) > 1)

    @property
    def sentence(self) -> str:
        """Say what was found, and whether the local-minima problem is serious here."""
        return sentences(self)

    @property
    def seriousness(self) -> str:
        """Answer in one sentence: is the local-minima problem serious here? "" if no minimum was found."""
        return seriousness(self)

    @functools.cached_property
    def certificate(self) -> Certificate | None:
        """What is quickly proved of f in this box; None for a Python function, more than three variables, or
        where a small budget of boxes proves nothing. Computed when first asked for."""
        from descentlab.survey.proof import quick_certificate

        return quick_certificate(self.objective)

    @functools.cached_property
    def matched(self) -> Matching | None:
        """Which of the certified minima were found, and which were not; None without a certificate."""
        from descentlab.survey.proof import matched

        return None if self.certificate is None else matched(self, self.certificate)

    @property
    def proof(self) -> str:
        """Say how many of the certified minima were found, and whether the global one was – or why nothing
        is proved."""
        from descentlab.survey.proof import said

        return said(self)

    @property
    def command(self) -> str:
        """The shell command that does the same, or "" if there is none."""
        return command_line("survey", self.objective, self.call)

    @property
    def python(self) -> str:
        """The Python lines that do the same."""
        return python_lines("survey", self.objective, self.call)

    def plot(self, kind: str | None = None) -> Figure:
        """Draw the survey; the kinds of figure are those of `figures.draw_survey`."""
        from descentlab.figures import draw_survey

        return draw_survey(self, kind)

    def _repr_html_(self) -> str:
        from descentlab.figures import figure_html

        said = f"<p>{html.escape(self.sentence)}</p><p>{html.escape(self.proof)}</p>"
        return said + figure_html(self.plot())
