"""Verdicts in words: the outcome of one descent, its evidence, a sentence and advice.

Every number in a sentence is also in the evidence, under a name of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.escape import MOST_ESCAPE_STEPS, find_escape
from descentlab.evidence import Case, what_failed
from descentlab.kinks import one_sided_slopes
from descentlab.pace import steps_needed
from descentlab.stationary import polish
from descentlab.verdict import ARRIVED, Judgement, growth, turns_back
from descentlab.wording import plain, short

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """Why one descent ended as it did.

    outcome: one of `verdict.OUTCOMES`; evidence: the numbers it rests on, by name, as plain
    Python values; sentence: what happened; advice: what to change, or that nothing need be; change: the settings
    it would change, as `descend` takes them – {"learning_rate": 0.05} –, empty where it names none.
    """

    outcome: str
    evidence: dict[str, Any] = field(repr=False)
    sentence: str
    advice: str
    change: dict[str, Any] = field(default_factory=dict, repr=False)

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(k.replace('_', ' '))}</th><td>{escape(str(v))}</td></tr>"
            for k, v in self.evidence.items()
        )
        return (
            f"<p title='descentlab guide {escape(self.outcome)}'><b>{escape(self.outcome)}</b>. "
            f"{escape(self.sentence)}</p><p>{escape(self.advice)}</p>"
            f"<details><summary>evidence</summary><table>{rows}</table></details>"
        )


def write_verdict(j: Judgement, i: int) -> Verdict:
    """Put the outcome of descent i into words, with its evidence."""
    with np.errstate(all="ignore"):
        case = Case(j, i)
        sentence, advice = _WRITERS[str(j.outcomes[i])](case)
    return Verdict(str(j.outcomes[i]), case.evidence, sentence, advice, case.change)


def _minimum(case: Case) -> tuple[str, str]:
    kind = case.j.outcomes[case.i]
    close = "" if case.j.distances[case.i] <= ARRIVED else f", {short(case.evidence['distance'])} from it"
    sentence = (
        f"{case.word.capitalize()} ended at a {kind}, {case.at()}, after {_steps(case.taken)}{close}: "
        f"{case.gradient()} and {_signs(case)}."
    )
    if (kind == "maximum") == case.e.ascent:
        other = "higher" if case.e.ascent else "lower"
        advice = f"A Hessian check shows a local {kind} only. Try other starts to see whether a {other} one exists."
        if case.limit is not None and case.rate > 0:
            advice += f" The rate {short(case.rate)} is {_against(case.rate, case.limit)}."
        return sentence, advice
    return _stationary(case)


def _stationary(case: Case) -> tuple[str, str]:
    """A stationary point that is not what was sought: a saddle, or the wrong extremum."""
    kind = str(case.j.outcomes[case.i])
    if kind == "saddle":
        values = np.asarray(case.evidence["eigenvalues"])
        case.evidence["index"] = int((values < 0).sum())
        kind = f"saddle point of index {case.evidence['index']}"
    began = "sits on" if not case.moved else "came to rest at"
    subject = "The start" if not case.moved else case.word.capitalize()
    way = "up" if case.e.ascent else "down"
    sentence = (
        f"{subject} {began} a {kind}, {case.at()}: {case.gradient()} and {_signs(case)}, "
        f"so {case.word} {'has stopped' if case.moved else 'cannot move'}, though f goes {way} from here."
    )
    escape = find_escape(case.objective, case.j.places[case.i], case.rate, case.e.downhill)
    if escape is None:
        return sentence, "Nudge the start, or begin from random starts."
    case.evidence["escape"] = escape
    nudged = case.start + escape["nudge"] * np.asarray(escape["direction"])
    case.change["start"] = [float(f"{c:.12g}") for c in nudged]
    seen = escape["steps_observed"]
    observed = f"; observed: {seen}" if seen is not None else f"; not run, being over {MOST_ESCAPE_STEPS:,}"
    advice = (
        f"Nudge the start: {short(escape['nudge'])} aside, gd at rate {short(case.rate)} leaves "
        f"(is {short(escape['radius'])} away) in about {math.ceil(escape['steps_predicted'])} steps "
        f"(predicted from ln(R/ε)/ln(1+η|λ|){observed}). Random starts avoid such points almost surely."
    )
    return sentence, advice


def _signs(case: Case) -> str:
    """Say which signs the second derivative or the Hessian's eigenvalues have, and what they are."""
    values = np.asarray(case.evidence["eigenvalues"])
    if len(values) == 1:
        return f"the second derivative is {'positive' if values[0] > 0 else 'negative'} ({short(values[0])})"
    below = int((values < 0).sum())
    if below in (0, len(values)):
        what = f"every Hessian eigenvalue is {'negative' if below else 'positive'}"
    else:
        what = f"{below} of {len(values)} Hessian eigenvalues {'is' if below == 1 else 'are'} negative"
    shown = ", ".join(short(v) for v in values[:6]) + (", …" if len(values) > 6 else "")
    return f"{what} ({shown})"


def _degenerate(case: Case) -> tuple[str, str]:
    slopes = one_sided_slopes(case.objective, case.j.places[case.i][None], case.e.downhill)
    if slopes.is_kink[0]:
        return _turned_kink(case)
    place, apart = case.at(case.evidence["nearest"]), case.evidence["distance"]
    near = f"came within {short(apart)} of" if apart > 0 else "is at"
    if "eigenvalues" in case.evidence:
        why = f"to rounding a Hessian eigenvalue is zero there ({case.curvature})"
    else:
        why = "its second derivatives are not finite there"
    sentence = (
        f"{case.word.capitalize()} {near} a degenerate stationary point, {place}: {case.gradient()}, "
        f"and {why}, so second order cannot tell what it is."
    )
    return sentence, (
        "Look at the values around it: a minimum, a saddle and an inflection all look like this. "
        f"{case.word.capitalize()} slows down as it comes closer, so more steps gain little; other starts show more."
    )


def _turned_kink(case: Case) -> tuple[str, str]:
    slopes = _note_slopes(case)
    way = "higher" if case.e.ascent else "lower"
    return (
        f"The point {case.at()} is a kink, where the gradient jumps (one-sided slopes {slopes}); by convention it "
        f"counts as 0 here, so {case.word} stays, though f is {way} on some side.",
        "Nudge the start to one side.",
    )


def _note_slopes(case: Case) -> str:
    """Note the one-sided slopes of f on either side of the kink, and return them in words."""
    place = np.asarray(case.evidence.get("nearest", plain(case.end)))
    outward = one_sided_slopes(case.objective, place[None]).outward[0]
    if case.objective.dim == 1:
        left, right = -float(outward[1]), float(outward[0])
        case.evidence["slope_left"], case.evidence["slope_right"] = left, right
        return f"{short(left)} on the left, {short(right)} on the right"
    case.evidence["smallest_outward_slope"] = float(outward.min())
    case.evidence["largest_outward_slope"] = float(outward.max())
    return f"between {short(outward.min())} and {short(outward.max())} outward"


def _kink(case: Case) -> tuple[str, str]:
    slopes = _note_slopes(case)
    settled = case.e.extent[case.i] <= ARRIVED
    extent = 0.0 if settled else float(np.ptp(case.e.points[case.i], axis=0).max())
    case.evidence["bounce"] = extent
    place = case.at(case.evidence["nearest"])
    sought = "maximum" if case.e.ascent else "minimum"
    bounce = (
        f" {case.word.capitalize()} bounces about it, {short(extent)} wide, since the gradient does not shrink."
        if extent > 0
        else ""
    )
    if extent > 0:
        case.change["learning_rate"] = f"time:{short(case.rate)}"
    return (
        f"{case.word.capitalize()} found a kink, {place}: a {sought} where the gradient jumps "
        f"(slopes {slopes}).{bounce}",
        f"A fixed rate settles no closer than about rate times slope: use a falling rate, such as "
        f"time:{short(case.rate)}, or 'auto'."
        if extent > 0
        else "Nothing need be changed; try other starts too.",
    )


def _plateau(case: Case) -> tuple[str, str]:
    step = case.rate * case.evidence["gradient_norm"]
    spacing = float(np.spacing(np.abs(case.end)).max())
    case.evidence["step_length"], case.evidence["spacing_of_doubles"] = step, spacing
    if case.evidence["gradient_norm"] == 0:
        why = "f is constant to rounding around here and its gradient exactly 0"
    else:
        why = f"a step would be {short(step)} long, below the spacing of doubles there, {short(spacing)}"
    return (
        f"{case.word.capitalize()} is on a plateau at {case.at()}: {why}, so nothing points anywhere.",
        "No rate or number of steps helps. Start elsewhere (a survey shows where), or rescale f, "
        "by its logarithm say.",
    )


def _cycle(case: Case) -> tuple[str, str]:
    period = int(case.j.periods[case.i])
    orbit = case.e.points[case.i, -period:]
    case.evidence["period"] = period
    case.evidence["orbit"] = [plain(p) for p in orbit]
    limit = _limit_inside(case, orbit.mean(axis=0))
    shown = " → ".join(case.at(p) for p in orbit[:4])
    sentence = (
        f"{case.word.capitalize()} repeats {period} points for ever ({shown}): each step of rate "
        f"{short(case.rate)} overshoots."
    )
    if limit is None:
        return sentence, f"Lower the learning rate: try {case.propose_rate(case.rate / 2)}."
    return sentence, (
        f"Lower the learning rate: the point inside is stable only below {short(limit)}; "
        f"try {case.propose_rate(min(limit / 2, case.rate / 2))}."
    )


def _limit_inside(case: Case, centre: Array) -> float | None:
    """Find the stationary point inside an orbit and note its largest stable rate."""
    place, found = polish(case.objective, centre[None])
    if not found[0]:
        return None
    case.evidence["nearest"] = plain(place[0])
    return case.note_stable_rate(case.e.downhill * np.linalg.eigvalsh(case.objective.hessian(place[0])))


def _diverged(case: Case) -> tuple[str, str]:
    factor = float(growth(case.e, np.array([case.i]))[0])
    if math.isfinite(factor) and factor > 0:
        case.evidence["growth_per_step"] = factor
    back = bool(turns_back(case.e, np.array([case.i]))[0])
    finite = np.isfinite(case.end).all()
    there = case.at() if finite else "infinity"
    curved = case.objective.hessian(case.start)
    limit = None
    if np.isfinite(curved).all():
        limit = case.note_stable_rate(case.e.downhill * np.linalg.eigvalsh(curved))
    grows = "growth_per_step" in case.evidence and factor > 1 + 1e-6
    by = f" Steps grow by a factor of {short(factor)} each." if grows else ""
    sentence = f"{case.word.capitalize()} diverged, to {there} after {_steps(case.taken)}.{by}"
    overshoots = limit is not None and case.rate > limit
    # Falling all the way and never turning back is no overshoot: f has no bottom this way.
    fallen = case.e.downhill * case.evidence["value"] < case.e.downhill * case.objective.value(case.start)
    if back or overshoots or not fallen:
        advice = "The learning rate is too large here: every step overshoots further."
        if overshoots and limit is not None:
            advice += (
                f" At the start only rates below {short(limit)} are stable, and {short(case.rate)} was used."
            )
        try_rate = min(case.rate / 10, limit / 2) if limit is not None else case.rate / 10
        return sentence, advice + f" Try {case.propose_rate(try_rate)}."
    case.change["bounds"] = "clip"
    bottom = "above" if case.e.ascent else "below"
    return sentence, (
        f"f seems unbounded {bottom}, or has no {'maximum' if case.e.ascent else 'minimum'} this way. "
        "Keep to the box with bounds='clip', or look at the formula."
    )


def _nonfinite(case: Case) -> tuple[str, str]:
    what = what_failed(case)
    when = "at the start" if case.taken == 0 else f"after {_steps(case.taken)}"
    return (
        f"At {case.at()}, {when}, {what}, so {case.word} cannot go on.",
        "Start elsewhere."
        if case.taken == 0
        else "Take smaller steps, keep the box away from this point, or start elsewhere.",
    )


def _left_domain(case: Case) -> tuple[str, str]:
    case.change["bounds"] = "clip"
    if np.isfinite(case.evidence["value"]):
        outside = (case.end < case.objective.domain[:, 0]) | (case.end > case.objective.domain[:, 1])
        name = case.objective.names[int(outside.argmax())]
        return (
            f"{case.word.capitalize()} left the box through {name} after {_steps(case.taken)}, at {case.at()}.",
            "Widen the box, or stay in it with bounds='clip'; a smaller rate helps if it was a jump.",
        )
    return (
        f"{case.word.capitalize()} left the set on which f is defined after {_steps(case.taken)}: "
        f"at {case.at()}, {what_failed(case)}.",
        "Keep to where f is defined: a smaller box with bounds='clip', or a smaller rate.",
    )


def _at_bound(case: Case) -> tuple[str, str]:
    held = case.e.held[case.i]
    names = [name for name, is_held in zip(case.objective.names, held, strict=True) if is_held]
    case.evidence["at_bound"] = names
    way = "up" if case.e.ascent else "down"
    gradient = case.e.gradients[case.i][held]
    return (
        f"{case.word.capitalize()} is held at the bound of {', '.join(names)}, {case.at()}: f still goes {way} "
        f"outward (slope {', '.join(short(g) for g in gradient)}).",
        f"This is the best nearby only because the box ends here: widen the box in {', '.join(names)} if you can.",
    )


def _out_of_steps(case: Case) -> tuple[str, str]:
    e, i = case.e, case.i
    if case.evidence["stopped_by"] == "tolerance":
        case.change["tolerance"] = float(short((e.tolerance or 0) / 1000))
        return (
            f"{case.word.capitalize()} was stopped by the tolerance at {case.at()} after {_steps(case.taken)}: "
            f"{case.gradient()}, but no stationary point was found nearby.",
            f"The tolerance {short(e.tolerance or 0)} is too loose here: lower it, to "
            f"{short(case.change['tolerance'])} say.",
        )
    rows = np.array([i])
    limit = case.limit
    if limit is None:
        here = e.objective.hessian(case.end)
        if np.isfinite(here).all():
            limit = case.note_stable_rate(e.downhill * np.linalg.eigvalsh(here))
    factor = float(growth(e, rows)[0])
    if turns_back(e, rows)[0] and factor > 0.99 and limit is not None and case.rate > 0.9 * limit:
        return (
            f"{case.word.capitalize()} has not settled after {_steps(case.taken)}: at {case.at()} it jumps back and "
            f"forth, {short(float(e.lengths[i, -1]))} box sides a step.",
            f"Lower the learning rate: near here it is stable only below {short(limit)}, and {short(case.rate)} "
            f"was used. Try {case.propose_rate(limit / 2)}.",
        )
    return _still_moving(case, factor, limit)


def _still_moving(case: Case, factor: float, limit: float | None) -> tuple[str, str]:
    needed = steps_needed(case, factor)
    sentence = (
        f"The steps ran out: after {_steps(case.taken)}, {case.word} is at {case.at()} and {case.gradient()}"
    )
    sought = "maximum" if case.e.ascent else "minimum"
    if case.evidence.get("nearest_kind") == sought:
        sentence += (
            f", {short(case.evidence['distance'])} from a {sought} at {case.at(case.evidence['nearest'])}"
        )
    low, high = case.objective.domain.T
    outside = bool(((case.end < low) | (case.end > high)).any())
    sentence += ", outside the box" if outside else ""
    if needed is None:
        case.change |= {"bounds": "clip"} if outside else {}
        advice = (
            "It keeps on moving away from the box: is the box where you meant? bounds='clip' keeps to it."
            if outside
            else "More steps are needed; how many cannot be told from here."
        )
    else:
        case.evidence["steps_needed"] = needed
        case.change["steps"] = case.taken + needed
        advice = f"About {needed:,} more steps would do at this pace."
    if limit is not None and case.evidence.get("nearest_kind") == sought and case.rate < limit / 4:
        faster = case.propose_rate(limit / 2)
        advice += f" A larger rate is faster: near here up to {short(limit)} is stable; try {faster}."
    return sentence + ".", advice


_WRITERS: dict[str, Callable[[Case], tuple[str, str]]] = {
    "minimum": _minimum,
    "maximum": _minimum,
    "saddle": _stationary,
    "degenerate": _degenerate,
    "kink": _kink,
    "plateau": _plateau,
    "cycle": _cycle,
    "diverged": _diverged,
    "nonfinite": _nonfinite,
    "left_domain": _left_domain,
    "at_bound": _at_bound,
    "out_of_steps": _out_of_steps,
}


def _steps(count: int) -> str:
    return f"{count:,} step{'' if count == 1 else 's'}"


def _against(rate: float, limit: float) -> str:
    what = (
        "stable here, where the limit is {}"
        if rate < limit
        else "above the limit {} for steady convergence here"
    )
    return what.format(short(limit))
