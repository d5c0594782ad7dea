"""The lowest value over the closed box: hunted first, then proved by branch-and-bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from descentlab.certify.enclose import Model
from descentlab.certify.hunt import hunt
from descentlab.certify.intervals import Array
from descentlab.certify.regions import settle
from descentlab.certify.result import CertifiedPoint, LowestValue, Region
from descentlab.certify.search import Limits, Progress, Search

# A lowest value is proved once its interval is narrower than this share of its size, or of the spread of f.
DIGITS = 1e-12


@dataclass(frozen=True)
class Bounded:
    """A proof of the lowest value, the lowest point hunted down before it, and the boxes examined."""

    lowest: LowestValue
    hunted: Array
    examined: int


def prove_lowest(
    model: Model, domain: Array, limits: Limits, seed: int = 0, progress: Progress | None = None
) -> Bounded:
    """Bound the lowest value of f over the closed box from both sides, and enclose where it is attained."""
    found = hunt(model.full, domain, seed)
    attained, trouble = model.value(found.points, found.points)
    usable = np.isfinite(attained.hi) & ~trouble.undefined
    upper = float(np.where(usable, attained.hi, np.inf).min())
    tolerance = DIGITS * max(abs(upper) if np.isfinite(upper) else 0.0, found.spread)
    findings = Search(model, domain, limits, True, upper, 0.5 * tolerance, progress).run()
    certified, left = settle(model, domain, findings)
    return Bounded(
        lowest_of(model, certified, left, findings.upper, found.spread), found.points[0], findings.examined
    )


def lowest_of(
    model: Model,
    points: Sequence[CertifiedPoint],
    left: Sequence[Region],
    upper: float = np.inf,
    scale: float = 0.0,
) -> LowestValue:
    """Return what points and regions say of the lowest value over the closed box, which one of them attains.

    upper: a value known to be attained; scale: values this size times 1e-12 apart count as equal.
    """
    minima = [p for p in points if p.kind in ("minimum", "unknown")]
    attained = [p.value_interval[1] for p in minima if p.kind == "minimum"]
    if left:
        middles = np.stack([r.point for r in left])
        value, trouble = model.value(middles, middles)
        attained += np.where(trouble.undefined | np.isnan(value.hi), np.inf, value.hi).tolist()
    best = min([upper, *attained])
    candidates = [p for p in minima if p.value_interval[0] <= best]
    open_regions = [r for r in left if not r.value_interval[0] > best]
    lowest = min(
        [best, *(p.value_interval[0] for p in candidates), *(r.value_interval[0] for r in open_regions)]
    )
    tolerance = DIGITS * max(abs(best), scale)
    proved = bool(np.isfinite(best) and best - lowest <= tolerance)
    return LowestValue((lowest, best), tuple(candidates), tuple(open_regions), proved)
