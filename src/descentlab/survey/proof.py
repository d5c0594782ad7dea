"""A survey beside a certificate: which of the certified minima the starts reached, and which they never did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.certify import certify
from descentlab.certify.certify import model_of
from descentlab.certify.words import listed, places, undecided, unfinished, value_in
from descentlab.errors import InputError
from descentlab.objective import FormulaObjective, Objective
from descentlab.survey.minima import Minimum
from descentlab.survey.places import SAME_PLACE
from descentlab.survey.seriousness import percent
from descentlab.wording import short, where

if TYPE_CHECKING:
    from descentlab.certify import Certificate, CertifiedPoint, LowestValue, Region
    from descentlab.survey.result import Survey

Array = NDArray[np.float64]

# A survey proves what is quickly proved: up to so many variables and boxes (a few tenths of a second). The limit
# counts boxes, not seconds, so that the answer is the same on every machine; the time is for formulas of thousands
# of operations.
MOST_VARIABLES, QUICK_BOXES, QUICK_SECONDS = 3, 10_000, 3.0
# A minimum that draws a smaller share of starts than this is worth naming.
RARE = 0.05


@dataclass(frozen=True, eq=False)
class Reached:
    """A certified minimum – or a point whose kind the proof leaves open – and how a survey met it.

    found_by: the places, among the survey's minima, of those that lie in its box; share: of starts, 0 if none does.
    """

    point: CertifiedPoint
    found_by: tuple[int, ...]
    share: float


@dataclass(frozen=True, eq=False)
class InRegion:
    """A region that the proof left undecided, and the places of the survey's minima that lie in it."""

    region: Region
    found_by: tuple[int, ...]
    share: float


@dataclass(frozen=True, eq=False)
class Matching:
    """How a survey and a certificate of the same function go together; made by `matched`.

    minima: the certified ones, lowest first; regions: the undecided ones; outside: the places of survey minima
    outside the box; refuted: of flat ones where f is proved to slope, less than doubles can tell; contradictions:
    of other survey minima where the proof says that there is none – each minimum of the survey is in exactly one
    of these. on_edge_left_out: how many certified minima on the box's faces are none to a survey that may leave it.
    """

    certificate: Certificate
    minima: tuple[Reached, ...]
    regions: tuple[InRegion, ...]
    outside: tuple[int, ...]
    refuted: tuple[int, ...]
    contradictions: tuple[int, ...]
    on_edge_left_out: int

    @property
    def found(self) -> tuple[Reached, ...]:
        """The certified minima that some start reached."""
        return tuple(r for r in self.minima if r.found_by and r.point.kind == "minimum")

    @property
    def missed(self) -> tuple[Reached, ...]:
        """The certified minima that no start reached."""
        return tuple(r for r in self.minima if not r.found_by and r.point.kind == "minimum")

    @property
    def all_found(self) -> bool:
        """Whether every minimum in the box is certified and was found."""
        doubts = self.regions or self.missed or self.refuted or self.contradictions
        return self.finished and not doubts and all(r.point.kind == "minimum" for r in self.minima)

    @property
    def finished(self) -> bool:
        """Whether the search for stationary points came to its end before a limit."""
        return not unfinished(self.certificate)


def quick_certificate(f: Objective) -> Certificate | None:
    """Certify f within a small budget; None if f has no formula or too many variables, or nothing came of it.

    Something came of it if the search for stationary points finished or the lowest value was proved.
    """
    if not isinstance(f, FormulaObjective) or f.dim > MOST_VARIABLES:
        return None
    try:
        certificate = certify(f, boxes=QUICK_BOXES, seconds=QUICK_SECONDS)
    except InputError:  # what cannot be certified can be surveyed all the same
        return None
    return None if unfinished(certificate) and not certificate.lowest.proved else certificate


def matched(survey: Survey, certificate: Certificate) -> Matching:
    """Tell which of the certified minima each minimum of the survey is.

    A minimum of the survey is the certified point in whose `unique_in` it lies: no other stationary point is there.
    Nothing has to be near to anything. Three cases need a tolerance: a point in no such box is tried against the
    nearest certified one within `_rounding`; a kink or a flat place is known to the survey only to SAME_PLACE of the
    box's sides, so that is how near to an undecided region it may lie. What lies in no box and no region contradicts
    the proof – unless the survey called it flat, which says no more than that doubles see no lower point.

    Raises InputError if survey and certificate are not of the same function on the same box.
    """
    f = survey.objective
    if not _alike(f, certificate.objective):
        raise InputError("The survey and the certificate are of different functions, or on different boxes.")
    free = survey.bounds != "clip"
    candidates = [p for p in (*certificate.points, *certificate.boundary) if p.kind in ("minimum", "unknown")]
    candidates.sort(key=lambda p: (p.value, *p.point))
    # A survey that may leave the box has no minima on its faces, but where the gradient is zero there all the same.
    left_out = [p for p in candidates if free and p.on_boundary and not _open(p)]
    candidates = [p for p in candidates if not (free and p.on_boundary and not _open(p))]
    certified, undone = _Boxes(candidates), _Boxes(certificate.undecided)
    in_point: list[list[int]] = [[] for _ in candidates]
    in_region: list[list[int]] = [[] for _ in certificate.undecided]
    outside: list[int] = []
    against: list[int] = []
    for i, minimum in enumerate(survey.minima):
        x = minimum.point
        if ((x < f.domain[:, 0]) | (x > f.domain[:, 1])).any():
            outside.append(i)
        elif (at := certified.nearest(x, certified.holding(x))) is not None:
            in_point[at].append(i)
        elif (at := undone.nearest(x, undone.holding(x, SAME_PLACE[minimum.kind] * f.widths))) is not None:
            in_region[at].append(i)
        elif (at := certified.nearest(x, certified.within(x, _rounding(f, minimum)))) is not None:
            in_point[at].append(i)
        else:
            against.append(i)
    shares = [m.share for m in survey.minima]
    return Matching(
        certificate,
        tuple(
            Reached(p, tuple(found), sum(shares[i] for i in found))
            for p, found in zip(candidates, in_point, strict=True)
        ),
        tuple(
            InRegion(r, tuple(found), sum(shares[i] for i in found))
            for r, found in zip(certificate.undecided, in_region, strict=True)
        ),
        tuple(outside),
        tuple(i for i in against if survey.minima[i].kind == "flat"),
        tuple(i for i in against if survey.minima[i].kind != "flat"),
        sum(p.kind == "minimum" for p in left_out),
    )


def _alike(f: Objective, g: Objective) -> bool:
    if f is g:
        return True
    return f.names == g.names and np.array_equal(f.domain, g.domain) and f.expression == g.expression


def _open(p: CertifiedPoint) -> bool:
    """Tell whether the point was proved as a root of the whole gradient, close to a face."""
    return bool((p.unique_in[:, 0] < p.unique_in[:, 1]).all())


class _Boxes:
    """Boxes of points or regions, to look up which hold a place."""

    def __init__(self, things: Sequence[CertifiedPoint | Region]) -> None:
        nothing = np.empty((0, 1, 2))
        tight = [t.box for t in things]
        wide = [getattr(t, "unique_in", t.box) for t in things]
        self.tight = np.stack(tight) if tight else nothing
        self.wide = np.stack(wide) if wide else nothing

    def holding(self, x: Array, room: Array | float = 0.0) -> NDArray[np.intp]:
        """Return which boxes – of points, those in which they are the only ones – hold x, or nearly so."""
        if not len(self.wide):
            return np.empty(0, np.intp)
        inside = (x >= self.wide[:, :, 0] - room) & (x <= self.wide[:, :, 1] + room)
        return np.flatnonzero(inside.all(axis=1))

    def within(self, x: Array, distance: float) -> NDArray[np.intp]:
        """Return which tight boxes lie no further from x than this."""
        return np.flatnonzero(self._distances(x) <= distance)

    def nearest(self, x: Array, among: NDArray[np.intp]) -> int | None:
        """Return the one of these whose tight box is nearest to x, None if there are none."""
        return int(among[np.argmin(self._distances(x)[among])]) if len(among) else None

    def _distances(self, x: Array) -> Array:
        if not len(self.tight):
            return np.empty(0)
        away = np.maximum(np.maximum(self.tight[:, :, 0] - x, x - self.tight[:, :, 1]), 0.0)
        return np.asarray(np.linalg.norm(away, axis=1))


def _rounding(f: Objective, minimum: Minimum) -> float:
    """Return how far rounding may have left a polished minimum from the stationary point: 2·‖δ‖/λ + 2 ulp.

    δ: by how much the gradient there is uncertain, as wide as interval arithmetic encloses it, along the coordinates
    not held; λ: the smallest eigenvalue; ulp: the spacing of doubles there. Newton's method stops where the gradient
    is δ; the factors allow for a Hessian that changes on the way. In a corner nothing is free to be rounded; at kinks
    and flat places λ says nothing.
    """
    curvatures = minimum.eigenvalues[minimum.eigenvalues > 0]
    if minimum.kind not in ("interior", "boundary") or not len(curvatures):
        return 0.0
    x = minimum.point
    gradient = model_of(f).slopes(x[None], x[None]).gradient
    held = (minimum.kind == "boundary") & ((x == f.domain[:, 0]) | (x == f.domain[:, 1]))
    uncertain = np.linalg.norm((gradient.hi - gradient.lo)[0, ~held])
    away = 2 * uncertain / curvatures.min() + 2 * np.linalg.norm(np.spacing(x[~held]))
    return float(away) if np.isfinite(away) else 0.0


def said(survey: Survey) -> str:
    """Say what is proved of a survey's minima: how many of the certified ones it found, and the global one."""
    matching = survey.matched
    if matching is None:
        return _nothing(survey.objective)
    parts = [_contradicted(survey, matching)]
    if matching.finished:
        parts += [_found(matching), _missing(survey, matching), _open_regions(matching)]
    parts += [_refuted(survey, matching), _global(survey, matching)]
    if not matching.finished:
        parts.append(
            f"Which other minima there are is not proved: {QUICK_BOXES:,} boxes were too few, "
            "and 'descentlab certify' takes more."
        )
    return " ".join(part for part in parts if part)


def _nothing(f: Objective) -> str:
    if not isinstance(f, FormulaObjective):
        return "Nothing is proved: a proof needs a formula, and this is a Python function."
    if f.dim > MOST_VARIABLES:
        return (
            f"Nothing is proved: a survey tries that for up to {MOST_VARIABLES} variables, and here are {f.dim}. "
            "'descentlab certify' and 'descentlab minimize' try it for more."
        )
    return (
        f"Nothing is proved: {QUICK_BOXES:,} boxes were too few for this formula on this box, "
        "and 'descentlab certify' takes more."
    )


def _contradicted(survey: Survey, matching: Matching) -> str:
    if not matching.contradictions:
        return ""
    at = places(survey.objective, [survey.minima[i].point for i in matching.contradictions])
    one = len(matching.contradictions) == 1
    return (
        f"ERROR: the survey has {'a minimum' if one else 'minima'} at {at}, where the certificate proves that there is "
        "none. One of the two is wrong; please report it."
    )


def _refuted(survey: Survey, matching: Matching) -> str:
    if not matching.refuted:
        return ""
    at = places(survey.objective, [survey.minima[i].point for i in matching.refuted])
    one = len(matching.refuted) == 1
    return (
        f"What the survey took for {'a flat minimum' if one else 'flat minima'}, at {at}, {'is' if one else 'are'} "
        "none: f slopes there, by less than doubles can tell."
    )


def _found(matching: Matching) -> str:
    """Say "5 of the 5 certified minima were found (2 of them on the box's edge); number 3 draws 0.2 % of starts"."""
    total = len(matching.found) + len(matching.missed)
    if not total:
        held = sum(r.region.holds_minimum for r in matching.regions)
        besides = " outside the undecided regions" if matching.regions else ""
        within = "inside" if matching.on_edge_left_out else "in"
        return "" if held else f"Proved: there is no minimum {within} this box{besides}."
    edge = sum(r.point.on_boundary for r in (*matching.found, *matching.missed))
    on_edge = (
        "" if not edge else " (on the box's edge)" if total == edge else f" ({edge:,} on the box's edge)"
    )
    found = len(matching.found)
    if total == 1:
        text = f"{'Found' if found else 'Not found:'} the one certified minimum{on_edge}"
    else:
        text = f"Found {found:,} of the {total:,} certified minima{on_edge}"
    if found > 1:
        rarest = min(matching.found, key=lambda r: r.share)
        number = 1 + rarest.found_by[0]
        if rarest.share < RARE:
            text += f"; number {number:,} draws {percent(rarest.share)} of starts"
    return text + "."


def _missing(survey: Survey, matching: Matching) -> str:
    missed = matching.missed
    if not missed:
        return ""
    shown = [f"{where(survey.objective, r.point.point)}, f = {_value(survey, r.point.value)}" for r in missed]
    return f"Missing: {listed(shown, '; ')}."


def _open_regions(matching: Matching) -> str:
    """Say how many regions are undecided, why, and whether a minimum in them is proved and was found."""
    if not matching.regions:
        return ""
    count = len(matching.regions)
    text = undecided([r.region for r in matching.regions])
    held = [r for r in matching.regions if r.region.holds_minimum]
    found = sum(bool(r.found_by) for r in held)
    if not held:
        return text
    if len(held) == 1:
        which = "it" if count == 1 else "one of them"
        return f"{text} A minimum is proved to lie in {which}, and the survey found {'it' if found else 'none there'}."
    which = "each" if len(held) == count else f"{len(held):,}"
    return f"{text} A minimum is proved to lie in {which} of them, and the survey found {found:,} of these."


def _global(survey: Survey, matching: Matching) -> str:
    """Say what the global minimum is, if that is proved, and whether the survey found it."""
    lowest = matching.certificate.lowest
    if not lowest.proved:
        return "The global minimum is not proved." if matching.finished else ""
    value = value_in(lowest.interval)
    if lowest.minimizers and not lowest.regions:
        text = f"The global minimum over the closed box is proved: f = {value} at "
        text += places(survey.objective, [p.point for p in lowest.minimizers])
        count = len(lowest.minimizers)
        found = sum(_reaches(survey, matching, p) for p in lowest.minimizers)
        one = count == 1
    else:
        text = f"The lowest value over the closed box is proved: f = {value}"
        one, count, found = True, 1, int(_attained(survey, lowest))
    if (
        survey.bounds != "clip"
        and matching.on_edge_left_out
        and any(p.on_boundary for p in lowest.minimizers)
    ):
        return f"{text}. That is on the box's edge, and this survey's starts could leave the box."
    if one:
        return f"{text}{', and the survey found it' if found else ', which no start reached'}."
    which = "all of them" if found == count else f"{found:,} of the {count:,}" if found else "none of them"
    return f"{text}; the survey found {which}."


def _attained(survey: Survey, lowest: LowestValue) -> bool:
    """Tell whether some start ended in the box with the proved lowest value, but for rounding."""
    low, high = survey.objective.domain.T
    inside = ((survey.ends >= low) & (survey.ends <= high)).all(axis=1)
    values = [*survey.values[inside & np.isfinite(survey.values)], *(m.value for m in survey.minima)]
    return min(values, default=np.inf) - lowest.interval[1] <= survey.same_value


def _reaches(survey: Survey, matching: Matching, point: CertifiedPoint) -> bool:
    """Tell whether some minimum of the survey is this global minimizer.

    It may come from the search for the lowest value alone, with a box of its own around the same point.
    """
    if any(r.found_by for r in matching.minima if r.point is point):
        return True
    box = _Boxes([point])
    return any(len(box.holding(m.point)) for m in survey.minima)


def _value(survey: Survey, value: float) -> str:
    return short(0.0 if abs(value) < 1e-9 * survey.value_scale else value)
