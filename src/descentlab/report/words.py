"""The answers at the head of a report, from the verdict and the survey."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from descentlab.wording import short, where
from descentlab.descent import Descent
from descentlab.survey import Minimum, Survey

# "The same value": against the heights of the landscape, far below anything a person would call lower.
SAME = 1e-6

_ELSEWHERE = {
    "maximum": "on a maximum", "saddle": "on a saddle point", "degenerate": "at a degenerate point",
    "plateau": "on a plateau", "cycle": "in a cycle", "diverged": "diverged", "nonfinite": "where f is not finite",
    "left_domain": "outside the domain", "at_bound": "at a bound", "out_of_steps": "out of steps",
    "kink": "at a kink", "minimum": "at a minimum",
}
_COUNT = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Answers:
    """found: does descent find the right minimum here? others: what else is there? change: what to change."""

    found: str
    others: str
    change: str


def answer(run: Descent, nudged: Descent | None, survey: Survey) -> Answers:
    """Answer the three questions of a report."""
    return Answers(_found(run, survey), _others(survey), _change(run, nudged, survey))


def _found(run: Descent, survey: Survey) -> str:
    verdict = run.verdicts[0]
    reached = verdict.outcome in ("minimum", "kink", "degenerate", "at_bound", "out_of_steps")
    best = survey.best
    if best is None:
        if verdict.outcome in ("minimum", "kink"):
            return f"It finds a minimum, though the survey found none. {verdict.sentence}"
        return f"No. {verdict.sentence}"
    gap = float(run.values[0, -1]) - best.value
    lowest = f"the lowest value that {survey.starts_count:,} random starts found, {short(best.value)}"
    if verdict.outcome in ("minimum", "kink") and gap <= SAME * _height(survey):
        return f"Yes, as far as is known. {verdict.sentence} This is {lowest}."
    if verdict.outcome in ("minimum", "kink"):
        return (
            f"No, only a local minimum. {verdict.sentence} Its value is {short(float(run.values[0, -1]))}; {lowest}, "
            f"is at {places(survey, survey.best_ones)}."
        )
    if reached and abs(gap) <= SAME * _height(survey):
        return f"Nearly. {verdict.sentence} The value there, {short(best.value)}, is {lowest.rpartition(',')[0]}."
    return f"No. {verdict.sentence}"


def _others(survey: Survey) -> str:
    if not survey.minima:
        return f"None of {survey.starts_count:,} random starts reached a minimum: {elsewhere(survey)}."
    count = len(survey.minima)
    found = f"{survey.starts_count:,} random starts found {counted(count)} minim{'um' if count == 1 else 'a'}"
    best = survey.best_ones
    the_best = f"at {places(survey, best)}" if count == 1 else (
        f"the lowest at {places(survey, best)}" if len(best) == 1 else
        f"the {counted(len(best))} lowest, equally low and {_symmetric(survey, best)}at {places(survey, best)}"
        if len(best) < count else f"all equally low, {_symmetric(survey, best)}at {places(survey, best)}"
    )
    verb = "reaches it" if len(best) == 1 else "reaches one of them"
    share = f"a random start {verb} {percent(survey.best_share)} of the time"
    rest = elsewhere(survey)
    unseen = (
        f" {percent(survey.unseen)} of starts may lead to minima not seen here." if survey.unseen > 0
        else " No minimum was met only once, so few starts, if any, lead to others."
    )
    return (
        f"{found}, {the_best} (value {short(survey.minima[0].value)}); {share}"
        + (f"; {rest}" if rest else "") + f".{unseen}"
    )


def _change(run: Descent, nudged: Descent | None, survey: Survey) -> str:
    verdict = run.verdicts[0]
    parts = [verdict.advice]
    if nudged is not None:
        ended = nudged.verdicts[0]
        parts.append(
            f"Run from {where(run.objective.names, nudged.starts[0])}, descent then ends at "
            f"{where(run.objective.names, nudged.ends[0])} ({ended.outcome.replace('_', ' ')})."
        )
    needed = survey.restarts_for(0.95)
    if survey.minima and needed is not None and needed > 1:
        parts.append(f"{needed:,} random starts at learning rate '{survey.learning_rate}' reach the lowest value "
                     "found with 95 % probability.")
    return " ".join(parts)


def places(survey: Survey, which: tuple[int, ...]) -> str:
    """Write where some minima are; a mirror pair of one variable about 0 as x = ±0.5."""
    minima = [survey.minima[i] for i in which]
    names = survey.objective.names
    if len(minima) == 2 and len(names) == 1 and any(set(which) <= set(group) for group in survey.symmetry):
        first, second = sorted(float(m.point[0]) for m in minima)
        if abs(first + second) <= 1e-6 * float(survey.objective.widths[0]):
            return f"{names[0]} = ±{short(second)}"
    shown = [where(names, tidy(survey, m)) for m in minima[:4]]
    more = f" and {len(minima) - 4:,} more" if len(minima) > 4 else ""
    return (" and ".join(shown) if len(shown) == 2 and not more else ", ".join(shown)) + more


def tidy(survey: Survey, minimum: Minimum) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return a minimum's point, with coordinates that are zero to a billionth of the box as zero."""
    grain = 1e-9 * survey.objective.widths
    return np.where(np.abs(minimum.point) < grain, 0.0, minimum.point)


def _symmetric(survey: Survey, which: tuple[int, ...]) -> str:
    for group in survey.symmetry:
        if set(which) <= set(group):
            return "a mirror pair, " if len(which) == 2 else "mirror images of each other, "
    return ""


def elsewhere(survey: Survey) -> str:
    """Say how many starts reached no minimum, and as what they ended; "" if all did."""
    lost = survey.end_outcomes[survey.assignment < 0]
    if not lost.size:
        return ""
    names, counts = np.unique(lost, return_counts=True)
    parts = [
        f"{count:,} {_ELSEWHERE.get(str(name), str(name))}"
        for count, name in sorted(zip(counts, names, strict=True), reverse=True)
    ]
    return f"{lost.size:,} starts ended elsewhere ({', '.join(parts)})"


def _height(survey: Survey) -> float:
    """Return the typical height of the landscape above its lowest minimum."""
    values = survey.objective.value(survey.start_points)
    values = values[np.isfinite(values)]
    lowest = survey.minima[0].value
    return float(np.median(np.abs(values - lowest))) if values.size else abs(lowest)


def counted(number: int) -> str:
    """Write a count: small ones as words."""
    return _COUNT[number] if number < len(_COUNT) else f"{number:,}"


def percent(share: float) -> str:
    """Write a share: 12.3 %; 0 % and 100 % only where they are exact."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(max(100 * share, 0.1), 99.9):.1f} %"
