"""What a certificate says, in plain sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.certify.result import REASONS
from descentlab.objective import Objective
from descentlab.wording import short, where

if TYPE_CHECKING:
    from descentlab.certify.result import Certificate, CertifiedPoint, Region

_PLURALS = {
    "minimum": "minima",
    "maximum": "maxima",
    "saddle": "saddle points",
    "unknown": "stationary points of unknown kind",
}
_SINGULARS = {"saddle": "saddle point", "unknown": "stationary point of unknown kind"}
MOST_NAMED = 3


def sentence(certificate: Certificate) -> str:
    """Say how many stationary points are proved, of which kind, what is undecided, and the lowest value."""
    return " ".join(
        part
        for part in (
            inside(certificate),
            on_edge(certificate),
            undecided(certificate.undecided),
            lowest(certificate),
            turns(certificate),
        )
        if part
    )


def counted(points: Iterable[CertifiedPoint]) -> str:
    """Write points by kind: "3 minima, 1 maximum and 3 saddle points"."""
    found = Counter(p.kind for p in points)
    said = [
        f"{found[kind]:,} {_PLURALS[kind] if found[kind] > 1 else _SINGULARS.get(kind, kind)}"
        for kind in _PLURALS
        if found[kind]
    ]
    return " and ".join(part for part in (", ".join(said[:-1]), *said[-1:]) if part)


def unfinished(certificate: Certificate) -> bool:
    """Tell whether the search for stationary points was given up at a limit."""
    return any(r.reason == "limit" for r in certificate.undecided)


def inside(certificate: Certificate) -> str:
    """Say what is proved of the inside of the box."""
    what = counted(certificate.points)
    if unfinished(certificate):
        return f"Proved so far: {what} inside the box." if what else ""
    if not what:
        least = ", outside the undecided regions" if certificate.undecided else ""
        return f"Proved{least}: f has no stationary point inside the box."
    besides = ", and no others outside the undecided regions" if certificate.undecided else ", and no others"
    return f"Proved: f has {what} inside the box{besides}."


def on_edge(certificate: Certificate) -> str:
    """Say what is proved of the faces of the box."""
    what = counted(certificate.boundary)
    return f"On its edge f has {what} over the closed box." if what else ""


def undecided(regions: Sequence[Region]) -> str:
    """Say how many regions are undecided, and why; "" if none is."""
    if not regions:
        return ""
    because = " or because ".join(dict.fromkeys(REASONS[r.reason] for r in regions))
    if len(regions) == 1:
        return f"One region is undecided, because {because}."
    return f"{len(regions):,} regions are undecided, each because {because}."


def lowest(certificate: Certificate) -> str:
    """Say what the lowest value over the closed box is, and where."""
    found = certificate.lowest
    low, high = found.interval
    value = value_in(found.interval)
    if not found.proved:
        return f"The lowest value over the closed box lies between {short(low)} and {short(high)}."
    if found.regions or not found.minimizers:
        return f"The lowest value over the closed box is proved: {value}."
    at = places(certificate.objective, [p.point for p in found.minimizers])
    return f"The lowest value over the closed box is proved: {value}, at {at}."


def value_in(interval: tuple[float, float]) -> str:
    """Write a value known to within rounding; one that may be zero is."""
    low, high = interval
    return short(0.0 if low <= 0 <= high else high)


def places(f: Objective, points: Sequence[NDArray[np.float64]]) -> str:
    """Write where some points are, naming the variables once, at most three of them."""
    first, *others = [where(f, x) for x in points]
    return listed([first, *(text.partition(" = ")[2] for text in others)])


def listed(shown: Sequence[str], between: str = ", ") -> str:
    """Write at most three things, and how many more there are.

    >>> listed(["a", "b"]), listed(["a", "b", "c", "d"])
    ('a and b', 'a, b, c and 1 more')
    """
    more = len(shown) - MOST_NAMED
    if more > 0:
        return f"{between.join(shown[:MOST_NAMED])} and {more:,} more"
    return " and ".join(part for part in (between.join(shown[:-1]), *shown[-1:]) if part)


def turns(certificate: Certificate) -> str:
    """Say whether the gradient's turns along the edge agree with the count; "" where they are not known."""
    if certificate.winding is None or unfinished(certificate):
        return ""
    counts = certificate.counts
    total = counts["minimum"] + counts["maximum"] - counts["saddle"]
    times = certificate.winding
    how_often = {-1: "once backwards", 0: "zero times", 1: "once"}.get(times, f"{times:,} times")
    said = f"Along the box's edge ∇f turns round {how_often}"
    if times == total and not counts.get("unknown"):
        return f"{said}: as minima + maxima − saddle points inside, a check on the count."
    if any(point.touches for point in certificate.boundary):
        return f"{said}; whether points within rounding of the edge count is open."
    if certificate.undecided or counts.get("unknown"):
        return f"{said}, so that what is undecided counts for {times - total:,}."
    return f"{said}, but minima + maxima − saddle points inside is {total:,}: the two contradict each other."
