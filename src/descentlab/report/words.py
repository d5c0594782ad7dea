"""The answers at the head of a report, from the verdict and the survey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from descentlab.descent import Descent
from descentlab.survey import Minimum, Survey
from descentlab.survey.seriousness import endings
from descentlab.wording import short, where

if TYPE_CHECKING:
    from descentlab.certify import CertifiedPoint

# "The same value": against the heights of the landscape, far below anything a person would call lower.
SAME = 1e-6

_COUNT = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


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
    verdict, best = run.verdicts[0], survey.best
    reached = verdict.outcome in ("minimum", "kink")
    if best is None:
        return f"{'It finds one, though the survey found none.' if reached else 'No.'} {verdict.sentence}"
    nearness = SAME * _height(survey)
    value = float(run.values[0, -1])
    lowest = f"the lowest value that {survey.starts_count:,} random starts found"
    if value - best.value <= nearness and (reached or verdict.outcome in ("degenerate", "at_bound")):
        if _is_proved(run, survey, value, nearness):
            return f"Yes, that is proved. {verdict.sentence} Its value, {short(value)}, is the lowest in the box."
        return f"Yes, as far as is known. {verdict.sentence} Its value, {short(value)}, is {lowest}."
    if _place_value(run) - best.value <= nearness:
        return f"Nearly: it is the right place, but descent has not settled there. {verdict.sentence}"
    if reached:
        return (
            f"No, only a local minimum. {verdict.sentence} Its value is {short(value)}; {lowest}, "
            f"{short(best.value)}, is at {places(survey, survey.best_ones)}."
        )
    return f"{'Not yet' if verdict.outcome == 'out_of_steps' else 'No'}. {verdict.sentence}"


def _is_proved(run: Descent, survey: Survey, value: float, nearness: float) -> bool:
    """Tell whether the end lies in the box and its value is proved to be the lowest there, but for rounding."""
    if survey.certificate is None:
        return False
    lowest, (low, high) = survey.certificate.lowest, run.objective.domain.T
    inside = bool(((run.ends[0] >= low) & (run.ends[0] <= high)).all())
    return inside and lowest.proved and value - lowest.interval[0] <= nearness


def _place_value(run: Descent) -> float:
    """Return the value at the minimum or kink that the descent was heading for, infinity without one."""
    evidence = run.verdicts[0].evidence
    if evidence.get("nearest_kind") not in ("minimum", "kink", "degenerate"):
        return float("inf")
    value = float(run.objective.value(np.array(evidence["nearest"])))
    return value if np.isfinite(value) else float("inf")


def _others(survey: Survey) -> str:
    if not survey.minima:
        ended = endings(survey.elsewhere).removeprefix(f"{survey.starts_count:,} ")
        return f"None of {survey.starts_count:,} random starts reached a minimum. How they ended: {ended}."
    said = [
        f"{survey.starts_count:,} random starts found {counted(len(survey.minima))} "
        f"minim{'um' if len(survey.minima) == 1 else 'a'}: {_lowest_ones(survey)}.",
        f"A random start reaches {'it' if len(survey.best_ones) == 1 else 'one of these'} "
        f"{percent(survey.best_share)} of the time.",
    ]
    lost = elsewhere(survey)
    if lost:
        said.append(f"{lost}.")
    matching = survey.matched
    if matching is not None and matching.all_found:
        said.append("It is proved that the box holds no others.")
    elif matching is not None and matching.finished and matching.missed:
        count = len(matching.missed)
        said.append(
            f"It is proved that there {'is' if count == 1 else 'are'} {counted(count)} more, which no start reached."
        )
    elif survey.unseen > 0:
        said.append(
            f"About {percent(survey.unseen)} of starts lead to minima not seen yet (Good–Turing estimate)."
        )
    return " ".join(said)


def _lowest_ones(survey: Survey) -> str:
    """Say where the lowest minima are, how low, and whether they are mirror images."""
    best, count = survey.best_ones, len(survey.minima)
    at = f"{places(survey, best)}, with value {short(survey.minima[0].value)}"
    if count == 1:
        return at
    if len(best) == 1:
        return f"the lowest is {at}"
    which = "all" if len(best) == count else f"the {counted(len(best))} lowest"
    return f"{which}, equally low{_symmetric(survey, best)}, are {at}"


def _change(run: Descent, nudged: Descent | None, survey: Survey) -> str:
    verdict = run.verdicts[0]
    settled = verdict.outcome == "minimum" and survey.best is not None
    parts = [] if settled else [verdict.advice]
    if nudged is not None:
        ended = nudged.verdicts[0]
        parts.append(
            f"From {where(run.objective, nudged.starts[0])} the same descent ends at "
            f"{where(run.objective, nudged.ends[0])} ({ended.outcome.replace('_', ' ')})."
        )
    missed = survey.best is not None and float(run.values[0, -1]) - survey.best.value > SAME * _height(survey)
    needed = survey.restarts_for(0.95)
    if missed and needed is not None and needed > 1:
        parts.append(
            f"{'Or restart' if parts else 'Restart'}: {counted(needed)} random starts reach the lowest value "
            f"found with 95 % probability, at learning rate '{survey.learning_rate}'."
        )
    elif settled:
        parts.append("The start: others reach lower values." if missed else "Nothing has to change.")
    if settled:
        parts.append(_about_rate(run))
    return " ".join(part for part in parts if part)


def _about_rate(run: Descent) -> str:
    """Compare the learning rate with the largest stable one at the minimum reached, where both are known."""
    evidence = run.verdicts[0].evidence
    rate, limit = evidence.get("rate"), evidence.get("largest_stable_rate")
    if not rate or not limit or rate >= limit:
        return ""
    said = f"The learning rate {short(rate)} is stable there, where the limit is {short(limit)}"
    return said + (f"; a larger one, {short(limit / 4)} say, is faster." if rate < limit / 8 else ".")


def places(survey: Survey, which: tuple[int, ...]) -> str:
    """Write where some minima are; a mirror pair of one variable about 0 as x = ±0.5."""
    minima = [survey.minima[i] for i in which]
    names = survey.objective.names
    if len(minima) == 2 and len(names) == 1 and any(set(which) <= set(group) for group in survey.symmetry):
        left, right = sorted(float(m.point[0]) for m in minima)
        if abs(left + right) <= 1e-6 * float(survey.objective.widths[0]):
            return f"{names[0]} = ±{short(right)}"
    first, *others = [where(survey.objective, m.point) for m in minima[:4]]
    shown = [first] + [other.partition(" = ")[2] for other in others]
    more = f" and {len(minima) - 4:,} more" if len(minima) > 4 else ""
    return (" and ".join(shown) if len(shown) == 2 and not more else ", ".join(shown)) + more


def tidy(
    survey: Survey, minimum: Minimum | CertifiedPoint
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return a minimum's point, with coordinates that are zero to a billionth of the box as zero."""
    grain = 1e-9 * survey.objective.widths
    return np.where(np.abs(minimum.point) < grain, 0.0, minimum.point)


def _symmetric(survey: Survey, which: tuple[int, ...]) -> str:
    for group in survey.symmetry:
        if set(which) <= set(group):
            return " and a mirror pair" if len(which) == 2 else " and mirror images of each other"
    return ""


def elsewhere(survey: Survey) -> str:
    """Say how many starts reached no minimum, and as what they ended; "" if all did."""
    lost = sum(survey.elsewhere.values())
    if not lost:
        return ""
    said = f"{lost:,} start{'' if lost == 1 else 's'} ended elsewhere"
    ended = endings(survey.elsewhere)
    return f"{said}, {ended.partition(' ')[2]}" if len(survey.elsewhere) == 1 else f"{said}: {ended}"


def _height(survey: Survey) -> float:
    """Return the typical height of the landscape above its lowest minimum, where it is not level with it."""
    values = survey.objective.value(survey.start_points)
    heights = values[np.isfinite(values)] - survey.minima[0].value
    heights = heights[heights > 0]
    return float(np.median(heights)) if heights.size else abs(survey.minima[0].value)


def counted(number: int) -> str:
    """Write a count: small ones as words."""
    return _COUNT[number] if number < len(_COUNT) else f"{number:,}"


def percent(share: float) -> str:
    """Write a share: 12.3 %; 0 % and 100 % only where they are exact."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(max(100 * share, 0.1), 99.9):.1f} %"
