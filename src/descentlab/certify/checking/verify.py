"""Every claim of a certificate file checked again with python-flint, from the formula's text alone.

Nothing is taken from how the certificate was made: NumPy's intervals, the derivatives and the search have no part in
it. What cannot be checked within the limits is called so, and is not called wrong.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from descentlab.certify.certify import model_of
from descentlab.certify.checking.arb import BITS, ball_model, faults, known, pattern
from descentlab.certify.checking.balls import flint
from descentlab.certify.checking.cover import Budget, Corner, Cover, Gap, Known, StoppedError, faces
from descentlab.certify.checking.regions import holds_minimum, within
from descentlab.certify.checking.spans import BallModel
from descentlab.certify.checking.turns import turns
from descentlab.certify.document import as_document, load
from descentlab.certify.hunt import hunt
from descentlab.certify.result import Certificate, CertifiedPoint, Region
from descentlab.wording import where

# Balls at this precision do for cutting up the box: most of it is far from any stationary point.
COVER_BITS = 64
BOXES, SECONDS = 200_000, 60.0
# Values this share of their size apart, or of the spread of f, may be called one (lowest.DIGITS, with some leeway).
DIGITS = 1e-11
# Regions are taken this share of the box's sides larger, besides twice as large.
EDGE = 2.0**-43
# Points hunted down to look for a value as low as was claimed: only where f is evaluated again does it count.
MOST_HUNTED = 32
# The file's own fields that nothing else in it implies.
_OWN = {"made with"}

HOLDS, FAILS, UNCHECKED = "holds", "fails", "not checked"


@dataclass(frozen=True)
class Claim:
    """One claim of a certificate: what it says, whether it holds, fails or was not checked, and why."""

    name: str
    outcome: str
    detail: str


@dataclass(frozen=True, eq=False)
class Verification:
    """What came of checking a certificate file: its claims one by one, and the seconds it took."""

    path: str
    certificate: Certificate
    claims: tuple[Claim, ...]
    seconds: float

    @property
    def verified(self) -> bool:
        """Whether no claim failed."""
        return all(claim.outcome != FAILS for claim in self.claims)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The claims that were not checked."""
        return tuple(claim.name for claim in self.claims if claim.outcome == UNCHECKED)

    @property
    def sentence(self) -> str:
        """What came of it, in words."""
        failed = [claim for claim in self.claims if claim.outcome == FAILS]
        if failed:
            others = f" {len(failed) - 1:,} more failed." if len(failed) > 1 else ""
            return f"Not verified: {failed[0].name}: {failed[0].detail}.{others}"
        held = sum(claim.outcome == HOLDS for claim in self.claims)
        left = f"; not checked: {', '.join(self.unchecked)}" if self.unchecked else ""
        return f"Verified: {held:,} claims hold{left}."


def verify(
    path: str | os.PathLike[str],
    boxes: int = BOXES,
    seconds: float = SECONDS,
    tell: Callable[[str], None] | None = None,
) -> Verification:
    """Check every claim of a certificate file with python-flint.

    boxes, seconds: limits for showing that nothing is missing, and for the lowest value; tell: called with what is
    being checked.

    Raises InputError where the file cannot be read as a certificate, or python-flint is not installed.
    """
    began = time.perf_counter()
    certificate, data = load(path)
    flint()
    found = []
    checker = _Checker(certificate, data, boxes, seconds)
    for name, check in checker.checks():
        if tell is not None:
            tell(f"checking {name}")
        found += [Claim(name, outcome, detail) for outcome, detail in [check()]]
    return Verification(str(path), certificate, tuple(found), time.perf_counter() - began)


Outcome = tuple[str, str]


class _Checker:
    def __init__(self, certificate: Certificate, data: dict[str, Any], boxes: int, seconds: float) -> None:
        self.c, self.data, self.f = certificate, data, certificate.objective
        self.boxes, self.seconds = boxes, seconds
        self.model: BallModel = ball_model(self.f)
        self.sides = [(float(a), float(b)) for a, b in self.f.domain]

    def checks(self) -> Iterator[tuple[str, Callable[[], Outcome]]]:
        """Yield the claims, quick ones first."""
        yield "counts and decimals", self._written
        yield "points", lambda: self._points(self.c.points, False)
        yield "boundary points", lambda: self._points(self.c.boundary, True)
        yield "distinct points", self._distinct
        if self.c.undecided or self.c.lowest.regions:
            yield "undecided regions", self._regions
        if self.c.winding is not None:
            yield "winding number", self._winding
        yield "lowest value", self._lowest
        yield "completeness", self._complete

    def _written(self) -> Outcome:
        """Compare all that follows from other fields, such as counts and decimals, with what is written."""
        path = _difference(as_document(self.c), self.data)
        if path:
            return FAILS, f"'{path}' is not what the exact numbers say"
        return HOLDS, "the counts add up, and the decimals are those of the exact numbers"

    def _points(self, points: tuple[CertifiedPoint, ...], on_boundary: bool) -> Outcome:
        if any(p.on_boundary != on_boundary for p in points):
            return FAILS, f"a point is {'inside' if on_boundary else 'on the boundary'}"
        for i, fault in faults(self.model, self.f.domain, points):
            at = where(self.f, points[i].point)
            return FAILS, f"number {i + 1}, the {points[i].kind} at {at}: {fault.claim}: {fault.why}"
        if not points:
            return HOLDS, "none are claimed"
        what = "1 point is" if len(points) == 1 else f"each of {len(points):,} points is"
        return (
            HOLDS,
            f"{what} proved again at {BITS} bits: existence, uniqueness, kind, value and eigenvalues",
        )

    def _distinct(self) -> Outcome:
        """Boxes that do not meet hold different points, and so do different faces."""
        groups: dict[tuple[int, ...], list[CertifiedPoint]] = {}
        for p in (*self.c.points, *self.c.boundary):
            groups.setdefault(pattern(p), []).append(p)
        for points in groups.values():
            if double := self._double(points):
                return FAILS, f"two points at {where(self.f, double.point)} may be the same"
        return HOLDS, "no two boxes meet" if groups else "none are claimed"

    @staticmethod
    def _double(points: list[CertifiedPoint]) -> CertifiedPoint | None:
        """Return a point whose box meets another's."""
        boxes = np.stack([p.box for p in points])
        order = np.argsort(boxes[:, 0, 0], kind="stable")
        boxes = boxes[order]
        for i in range(len(boxes) - 1):
            last = int(np.searchsorted(boxes[:, 0, 0], boxes[i, 0, 1], side="right"))
            rest = boxes[i + 1 : last]
            if ((rest[:, :, 0] <= boxes[i, :, 1]) & (rest[:, :, 1] >= boxes[i, :, 0])).all(axis=1).any():
                return points[int(order[i])]
        return None

    def _regions(self) -> Outcome:
        loose = 0
        budget = Budget(self.boxes, self.seconds)
        others = [p.box for p in (*self.c.points, *self.c.boundary)]
        for r in (*self.c.undecided, *self.c.lowest.regions):
            at = where(self.f, r.point)
            inside = self.f.domain[:, 0] <= r.box[:, 0], r.box[:, 1] <= self.f.domain[:, 1]
            middle = r.box[:, 0] <= r.point, r.point <= r.box[:, 1]
            if not all(side.all() for side in (*inside, *middle)):
                return FAILS, f"the region at {at} and its point are not inside the box"
            with flint().ctx.workprec(COVER_BITS):
                bounded = self._keeps_to(r, r.box, budget)
                # A region of several small boxes is given by their hull, where f may go further.
                if bounded is False and (
                    r.boxes == 1 or self._keeps_to(r, np.stack([r.point] * 2, 1), budget) is False
                ):
                    return FAILS, f"the region at {at}: f leaves its interval"
                loose += not bounded
                if r.holds_minimum and not holds_minimum(self.model, self.f.domain, r, others, budget):
                    return FAILS, f"the region at {at}: no minimum could be proved in it"
        said = f"{len(self.c.undecided):,} lie inside the box"
        if loose:
            return UNCHECKED, f"{said}, but the bounds on f in {loose:,} could not be checked"
        return HOLDS, f"{said}, and f keeps to its bounds in them"

    def _keeps_to(self, r: Region, box: np.ndarray, budget: Budget) -> bool | None:
        return within(self.model, box[:, 0].tolist(), box[:, 1].tolist(), *r.value_interval, budget)

    def _winding(self) -> Outcome:
        counted = turns(self.model, self.sides, self.boxes) if len(self.sides) == 2 else None
        if counted is None:
            return UNCHECKED, "balls could not tell it"
        if counted != self.c.winding:
            return FAILS, f"∇f turns round {counted} times along the edge, not {self.c.winding}"
        kinds = self.c.counts
        total = kinds["minimum"] + kinds["maximum"] - kinds["saddle"]
        if self.c.complete and not kinds.get("unknown") and total != counted:
            return FAILS, f"minima + maxima − saddles is {total}, not {counted}"
        return HOLDS, f"∇f turns round {counted} times along the edge of the box"

    def _lowest(self) -> Outcome:
        found = self.c.lowest
        low, high = found.interval
        for i, fault in faults(self.model, self.f.domain, found.minimizers):
            return FAILS, f"minimizer {i + 1}: {fault.claim}: {fault.why}"
        if not low <= high:
            return FAILS, "its interval is reversed"
        lows = [p.value_interval[0] for p in found.minimizers] + [r.value_interval[0] for r in found.regions]
        if any(value < low for value in lows):
            return FAILS, "a minimizer or a region may be below its interval"
        if found.proved and not any(value <= high for value in lows):
            return FAILS, "f is nowhere as low as its upper end"
        if found.proved:
            if not self._is_narrow(low, high):
                return FAILS, "its interval is too wide to be called proved"
            return self._proved_lowest(low, high)
        if low == np.inf:
            return UNCHECKED, "f has no value anywhere, it says"
        if low == -np.inf:
            return self._attained(low, high, np.inf)
        # Nothing may be below the lower end.
        parts = [known(p, p.value_interval[0]) for p in (*self.c.points, *self.c.boundary)]
        outcome, detail, met = self._cover(parts, low, low)
        return self._attained(low, high, met) if outcome == HOLDS else (outcome, detail)

    def _proved_lowest(self, low: float, high: float) -> Outcome:
        """Check that f is below the upper end at minimizers and in regions alone, and never below the lower end."""
        found = self.c.lowest
        parts = [known(p, np.inf) for p in found.minimizers]
        parts += [Known(*self._around(r), None, np.inf) for r in found.regions]
        outcome, detail, met = self._cover(parts, high, low)
        if outcome != HOLDS:
            return outcome, detail
        with flint().ctx.workprec(COVER_BITS):
            for r in found.regions:
                budget = Budget(self.boxes, self.seconds)
                around = self._around(r)
                if not within(self.model, list(around[0]), list(around[1]), low, np.inf, budget):
                    return UNCHECKED, f"in the region at {where(self.f, r.point)} f is not bounded again"
        return self._attained(low, high, met)

    def _is_narrow(self, low: float, high: float) -> bool:
        random = np.random.Generator(np.random.Philox(0)).random((1024, self.f.dim))
        values = self.f.value(self.f.domain[:, 0] + random * self.f.widths)
        values = values[np.isfinite(values)]
        spread = (
            float(np.quantile(values, 0.75) - min(values.min(), low))
            if len(values) and np.isfinite(low)
            else 0.0
        )
        return bool(high - low <= DIGITS * max(abs(high), spread))

    def _attained(self, low: float, high: float, met: float) -> Outcome:
        """Check that f is as low as `high` somewhere; met: a value it has."""
        held = HOLDS, f"f is nowhere below {low!r}, and somewhere not above {high!r}"
        minimizers, regions = self.c.lowest.minimizers, (*self.c.lowest.regions, *self.c.undecided)
        if min([met, *(p.value_interval[1] for p in minimizers if not _is_touching(p))]) <= high:
            return held
        places = [p.point for p in minimizers] + [x for r in regions for x in (r.point, *r.box.T)]
        places += [*hunt(model_of(self.f).full, self.f.domain).points[:MOST_HUNTED]]
        with flint().ctx.workprec(BITS):
            for x in places:
                bounds = self.model.spans.at(x.tolist())
                if bounds is not None and bounds[1] <= high:
                    return held
        return UNCHECKED, "no point was met where f is as low as its upper end"

    def _complete(self) -> Outcome:
        points = [*self.c.points, *self.c.boundary]
        parts = [known(p) for p in points]
        parts += [Known(*self._around(r), None) for r in self.c.undecided]
        outcome, detail, _ = self._cover(parts, None)
        return outcome, detail

    def _around(self, r: Region) -> tuple[Corner, Corner]:
        """Return a region's corners, twice as far apart: balls cannot always tell up to its very edge."""
        pad = 0.5 * (r.box[:, 1] - r.box[:, 0]) + EDGE * self.f.widths
        low = np.maximum(r.box[:, 0] - pad, self.f.domain[:, 0])
        high = np.minimum(r.box[:, 1] + pad, self.f.domain[:, 1])
        return tuple(low.tolist()), tuple(high.tolist())

    def _cover(
        self, parts: list[Known], floor: float | None, bottom: float = -np.inf
    ) -> tuple[str, str, float]:
        """Account for all of the box and its faces."""
        budget = Budget(self.boxes, self.seconds)
        widths = [b - a for a, b in self.sides]
        cover = Cover(self.model, widths, budget, floor, bottom)
        try:
            with flint().ctx.workprec(COVER_BITS):
                for low, high, held in faces(self.sides):
                    gap = cover.gap(low, high, held, parts)
                    if gap is not None:
                        sure = gap.reason == "found" or (gap.reason == "open" and floor is None)
                        return FAILS if sure else UNCHECKED, self._words(gap, floor), cover.attained
        except StoppedError:
            why = "boxes" if budget.used > budget.boxes else "seconds"
            return UNCHECKED, f"it would take too many {why}", cover.attained
        what = (
            "nothing else is in the box or on its faces" if floor is None else f"f is nowhere below {floor!r}"
        )
        return HOLDS, f"{what} ({budget.used:,} boxes)", cover.attained

    def _words(self, gap: Gap, floor: float | None) -> str:
        at = where(self.f, gap.middle)
        if floor is not None:
            return f"f {'is' if gap.reason == 'found' else 'may be'} below {floor!r} near {at}"
        if gap.reason == "found":
            return f"there is another stationary point at {at}"
        if gap.reason == "undefined":
            return f"f may be undefined near {at}, which balls could not tell"
        return f"nothing is proved about {at}, and no region says so"


def _is_touching(p: CertifiedPoint) -> bool:
    return bool((p.held[p.unique_in[:, 0] < p.unique_in[:, 1]] != 0).any())


def _difference(ours: Any, theirs: Any, path: str = "") -> str:
    """Return where two documents differ, or ""."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in dict.fromkeys([*ours, *theirs]):
            here = f"{path}.{name}" if path else str(name)
            if here in _OWN:
                continue
            if name not in ours or name not in theirs:
                return here
            if found := _difference(ours[name], theirs[name], here):
                return found
        return ""
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return path
        pairs = enumerate(zip(ours, theirs, strict=True))
        return next((found for i, (a, b) in pairs if (found := _difference(a, b, f"{path}[{i}]"))), "")
    return "" if type(ours) is type(theirs) and ours == theirs else path
