"""Is the local-minima problem serious here? A survey's answer in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from descentlab.wording import short, where

if TYPE_CHECKING:
    from descentlab.survey.result import Survey

# With fewer starts than this share at a minimum nothing is said about the problem of local minima.
MOST_SETTLE = 0.5
# "No problem": at least this share of starts reaches the lowest value.
NO_PROBLEM = 0.95
# A problem that restarts solve: this many starts reach the lowest value with 95 % probability.
FEW_RESTARTS = 100
# "Almost as low": this close to the lowest value, against how much f varies over the box.
ALMOST = 0.01
# Other things are said from this share of starts on.
WORTH_SAYING = 0.01

ENDED = {
    "minimum": "at a minimum",
    "maximum": "on a maximum",
    "saddle": "on a saddle point",
    "degenerate": "at a degenerate point",
    "kink": "at a kink",
    "plateau": "on a plateau",
    "cycle": "in a cycle",
    "diverged": "diverging",
    "nonfinite": "where f is not finite",
    "left_domain": "outside the set where f is defined",
    "at_bound": "at a bound",
    "out_of_steps": "still moving when the steps ran out",
    "crashed": "killing the process",
}
STOPPED = "short of a minimum (by the tolerance)"
_REMEDIES = {
    "out_of_steps": "give more steps",
    "diverged": "take a smaller learning rate, or keep to the box",
    "cycle": "take a smaller learning rate",
    "nonfinite": "take a smaller learning rate or another box",
    "left_domain": "take a smaller learning rate or another box",
}


def sentences(survey: Survey) -> str:
    """Say what was found, whether local minima are a problem, what failed, what may be missing, and
    why the survey ended early – the last three only where there is something to say."""
    if not survey.minima:
        said = [_nothing(survey), _remedy(survey)]
    else:
        said = [_found(survey), seriousness(survey), _failures(survey), _missing(survey)]
    return " ".join(part for part in [*said, ending(survey)] if part)


def _starts(survey: Survey) -> str:
    count = survey.starts_count
    return f"{count:,} start{'' if count == 1 else 's'}"


def _nothing(survey: Survey) -> str:
    """Say that no start reached a minimum, and where they ended."""
    ended = _endings(survey)
    if survey.starts_count == 1:
        return f"The one start reached no minimum: it ended {ended.partition(' ')[2]}."
    first, _, others = ended.partition(", ")
    count, _, how = first.partition(" ")
    ended = f"{count} ended {how}, {others}" if others else f"they ended {how}"
    return f"None of {_starts(survey)} reached a minimum: {ended}."


def _found(survey: Survey) -> str:
    count = len(survey.minima)
    found = f"{count:,} minim{'um was' if count == 1 else 'a were'} found from {_starts(survey)}"
    best = len(survey.best_ones)
    lowest = (
        "its value is"
        if count == 1
        else "both have the value"
        if best == count == 2
        else f"all {count:,} have the value"
        if best == count
        else ""
    )
    lowest = lowest or "the lowest value is"
    value = survey.minima[0].value
    value = 0.0 if abs(value) < 1e-9 * survey.value_scale else value
    return f"{found}; {lowest} {short(value)}, at {_places(survey)}."


def _places(survey: Survey) -> str:
    """Write the lowest minima's points, at most four, naming the variables once."""
    shown = [where(survey.objective, survey.minima[i].point) for i in survey.best_ones[:4]]
    values = [shown[0], *(text.partition(" = ")[2] for text in shown[1:])]
    more = len(survey.best_ones) - len(shown)
    if more:
        return f"{', '.join(values)} and {more:,} more"
    return " and ".join(filter(None, [", ".join(values[:-1]), values[-1]]))


def seriousness(survey: Survey) -> str:
    """Say whether local minima are a problem, and what it takes to get past them; "" without a minimum."""
    if not survey.minima:
        return ""
    best, settled = survey.best_share, sum(m.share for m in survey.minima)
    it = "it" if len(survey.best_ones) == 1 else "one of these"
    if survey.lower is not None:
        value, point = survey.lower
        return (
            f"The lowest point was missed: f is {short(value)} at {where(survey.objective, point)}, "
            "lower than any minimum found."
        )
    if survey.starts_count == 1:
        return "One start cannot tell whether local minima are a problem here."
    if settled < MOST_SETTLE:
        return (
            f"Whether local minima are a problem here cannot be told: only {percent(settled)} of starts "
            "reached a minimum."
        )
    if len(survey.best_ones) == len(survey.minima):
        everyone = "every start" if not survey.elsewhere else "every start that settles"
        return f"Local minima are no problem here: {everyone} reaches {it}."
    if best >= NO_PROBLEM:
        return f"Local minima are no problem here: {percent(best)} of starts reach {it}."
    if best >= NO_PROBLEM * settled:
        return f"Local minima are no problem here: {percent(best / settled)} of the starts that settle reach {it}."
    hits = sum(survey.minima[i].hits for i in survey.best_ones)
    needed = survey.restarts_for(0.95) or 0
    close = _close_share(survey) / settled
    if close >= NO_PROBLEM:
        return (
            f"Local minima matter little here: {percent(best)} of starts reach {it}, but "
            f"{percent(close)} of those that settle end almost as low."
        )
    if hits == 1:
        return (
            f"Local minima are a serious problem here: just one start of {survey.starts_count:,} reached {it}, "
            "so there may be lower ones that none has reached yet."
        )
    many = f"{needed:,} restarts reach {it} with 95 % probability"
    if needed <= FEW_RESTARTS:
        return (
            f"Local minima are a problem here that restarts solve: one start misses {it} "
            f"{percent(1 - best)} of the time; {many}."
        )
    return f"Local minima are a serious problem here: only {percent(best)} of starts reach {it}; {many}."


def _close_share(survey: Survey) -> float:
    """Return the share of starts that reach a minimum almost as low as the lowest."""
    limit = survey.minima[0].value + ALMOST * survey.value_scale
    return sum(m.share for m in survey.minima if m.value <= limit)


def _failures(survey: Survey) -> str:
    lost = sum(survey.elsewhere.values())
    if lost < WORTH_SAYING * survey.starts_count:
        return ""
    share = percent(lost / survey.starts_count)
    return f"{share} of starts reached no minimum: {_endings(survey)}. {_remedy(survey)}".strip()


def _endings(survey: Survey) -> str:
    """Write how the starts that reached no minimum ended."""
    ended = endings(survey.elsewhere)
    return ended.replace(ENDED["out_of_steps"], STOPPED) if _stopped_early(survey) else ended


def _stopped_early(survey: Survey) -> bool:
    """Tell whether the tolerance, and not the number of steps, stopped most of the starts that did not arrive."""
    moving = survey.end_outcomes == "out_of_steps"
    return bool(moving.any()) and float(np.mean(survey.taken[moving] < survey.steps)) > 0.5


def _remedy(survey: Survey) -> str:
    """Name the remedy for the commonest failure, if there is one to name."""
    lost = survey.elsewhere
    outcome = max(lost, key=lambda name: lost[name], default="")
    remedy = _REMEDIES.get(outcome, "")
    if outcome == "out_of_steps" and _stopped_early(survey):
        remedy = "take a smaller tolerance"
    at_once = survey.taken[survey.end_outcomes == outcome] == 0
    if outcome == "nonfinite" and at_once.any() and at_once.mean() > 0.5:
        remedy = "take another box"
    return f"To change that, {remedy}." if remedy else ""


def _missing(survey: Survey) -> str:
    """Say that minima are missing, where too many starts may lead to some. Only random starts can tell."""
    if survey.design not in ("uniform", "normal") or survey.starts_count == 1:
        return ""
    low, high = survey.unseen_interval
    if survey.unseen >= WORTH_SAYING:
        return (
            f"About {percent(survey.unseen)} of starts lead to minima not seen yet "
            f"({percent(low)} to {percent(high)}): more starts find more."
        )
    if high >= WORTH_SAYING:
        return f"Up to {percent(high)} of starts may lead to minima not seen yet: take more to know."
    return ""


def ending(survey: Survey) -> str:
    """Say why the survey ended before all the starts asked for, and how to go on; "" if it did not."""
    if not survey.stopped:
        return ""
    done = f"{survey.starts_count:,} of {survey.starts_asked:,} starts"
    if survey.stopped.startswith("until "):
        return f"It stopped at {done}, because {survey.stopped.removeprefix('until ')} holds."
    if survey.call.settings.get("store") is not None:
        return f"It was interrupted at {done}; the same command goes on from there."
    return f"It was interrupted at {done}; with a store, the same command would go on from there."


def endings(lost: Mapping[str, int]) -> str:
    """Write counts of outcomes: "20 diverging, 3 on a saddle point".

    >>> endings({"diverged": 20, "saddle": 3})
    '20 diverging, 3 on a saddle point'
    """
    counts = sorted(lost.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {ENDED.get(name, name)}" for name, count in counts)


def percent(share: float) -> str:
    """Write a share with two digits or three, never something as nothing or almost all as all.

    >>> percent(0.123), percent(0.00004), percent(0.99996), percent(1.0)
    ('12.3 %', '0.004 %', '99.996 %', '100 %')
    """
    if 0.5 < share < 1:
        # As many digits as the rest needs: 99.996 %, not 100 %.
        digits = max(1, 1 - int(np.floor(np.log10(100 * (1 - share)))))
        text = f"{100 * share:.{min(digits, 6)}f}"
        return f"{text.rstrip('0').rstrip('.') if float(text) < 100 else '> 99.999999'} %"
    return f"{100 * share:.3g} %" if share >= 1e-6 or share == 0 else "less than 0.0001 %"
