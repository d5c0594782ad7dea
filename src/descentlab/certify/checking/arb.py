"""Certified points proved again with python-flint, by other means than they were found.

A claim is: exactly one stationary point of f, over the coordinates that are free, lies in `unique_in`; it lies in
`box`; f there lies in `value_interval`; the Hessian's eigenvalues there lie in `eigenvalues`; these, and the slopes
into the box along the held coordinates, make it of its kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from descentlab.certify.checking.balls import Ball, NowhereError, flint, hull
from descentlab.certify.checking.cover import Budget, Corner, Cover, Known, StoppedError
from descentlab.certify.checking.roots import Matrix, newton, refined, signs
from descentlab.certify.checking.spans import BallModel
from descentlab.certify.result import CertifiedPoint
from descentlab.errors import InputError, WorkError
from descentlab.objective import FormulaObjective, Objective
from descentlab.wording import where

BITS = 128
# A point's uniqueness box takes a few pieces; the limit is for wrong claims.
MOST_PIECES, MOST_SECONDS = 20_000, 30.0
# The shares of the uniqueness box in which Krawczyk's operator is tried, if it does not narrow the whole.
_SHARES = (1.0, 0.5, 0.25, 2.0**-4, 2.0**-7, 2.0**-12, 2.0**-20, 2.0**-30)
# A point is known well enough once its enclosure is that narrow next to the uniqueness box.
_NARROW = 2.0**-60


@dataclass(frozen=True)
class Fault:
    """A claim about a point that could not be proved again: which, and why not."""

    claim: str
    why: str


class _UnprovedError(Exception):
    def __init__(self, claim: str, why: str) -> None:
        super().__init__(f"{claim}: {why}")
        self.fault = Fault(claim, why)


def ball_model(f: Objective) -> BallModel:
    """Return the programs of a formula for checking; InputError for a Python function or without python-flint."""
    if not isinstance(f, FormulaObjective):
        raise InputError(
            "Only proofs about a formula can be checked again; this objective is a Python function."
        )
    flint()
    return BallModel(f.value_program)


def recheck_points(f: Objective, points: Sequence[CertifiedPoint]) -> None:
    """Prove each point again with python-flint at 128 bits.

    Raises WorkError at the first that cannot be, and InputError where python-flint is not installed.

    >>> import descentlab as dl
    >>> f = dl.formula("x^2 - x", domain={"x": (-2, 2)})
    >>> recheck_points(f, dl.certify(f).points)
    """
    model = ball_model(f)
    for p in points:
        fault = fault_of(model, f.domain, p)
        if fault is not None:
            raise WorkError(
                f"python-flint could not prove the {p.kind} near {where(f, p.point)} again, so the certificate is "
                f"refused. {fault.claim}: {fault.why}. One of the two proofs is wrong: please report the formula."
            )


def fault_of(model: BallModel, domain: np.ndarray, p: CertifiedPoint) -> Fault | None:
    """Return the first claim about a point that cannot be proved again, or None."""
    with flint().ctx.workprec(BITS):
        try:
            _check_shape(domain, p)
            _check_point(model, domain, p)
        except _UnprovedError as unproved:
            return unproved.fault
        except NowhereError:
            return Fault("existence", "f is not defined there")
    return None


def pattern(p: CertifiedPoint) -> tuple[int, ...]:
    """Return which coordinates are held while the others solve ∇f = 0: those in which its box has no width."""
    fixed = p.unique_in[:, 0] == p.unique_in[:, 1]
    return tuple(int(h) if f else 0 for h, f in zip(p.held, fixed, strict=True))


def known(p: CertifiedPoint, floor: float = -math.inf) -> Known:
    """Return the uniqueness box of a point as something accounted for, with a lower bound of f at the point."""
    held = pattern(p)
    touch = None
    if tuple(int(h) for h in p.held) != held:
        touch = tuple(map(float, p.box[:, 0])), tuple(map(float, p.box[:, 1]))
    return Known(
        tuple(map(float, p.unique_in[:, 0])), tuple(map(float, p.unique_in[:, 1])), held, floor, touch
    )


def _claim(holds: bool, claim: str, why: str) -> None:
    if not holds:
        raise _UnprovedError(claim, why)


def _check_shape(domain: np.ndarray, p: CertifiedPoint) -> None:
    """Check what needs no arithmetic: boxes within boxes, coordinates held where they say."""
    low, high = p.box.T
    outer_low, outer_high = p.unique_in.T
    _claim(bool((low <= high).all()), "box", "its ends are reversed")
    within = bool((outer_low <= low).all() and (high <= outer_high).all())
    _claim(within, "uniqueness", "the box is not inside the box of uniqueness")
    _claim(bool((low <= p.point).all() and (p.point <= high).all()), "point", "it is not in its box")
    low_value, high_value = p.value_interval
    open_ = math.isnan(p.value) and low_value == -math.inf and high_value == math.inf
    _claim(open_ or low_value <= p.value <= high_value, "value", "it is not in its interval")
    free = outer_low < outer_high
    for i, held in enumerate(p.held):
        bound = domain[i, 0] if held < 0 else domain[i, 1]
        if not free[i]:
            at_bound = held != 0 and low[i] == high[i] == bound
            _claim(at_bound, "held", "a coordinate without width is not held at a bound")
        elif held == 0:
            inside = domain[i, 0] < low[i] and high[i] < domain[i, 1]
            _claim(inside, "held", "the box reaches a bound that the point is not said to touch")
        else:
            _claim(low[i] <= bound <= high[i], "held", "the box does not reach the bound it is said to touch")


def _check_point(model: BallModel, domain: np.ndarray, p: CertifiedPoint) -> None:
    free = [int(i) for i in np.flatnonzero(p.unique_in[:, 0] < p.unique_in[:, 1])]
    x = _only_root(model, p, free)
    for i in free:
        inside = hull(*map(float, p.box[i])).contains(x[i]) and _between(x[i], *map(float, p.box[i]))
        _claim(inside, "box", "the stationary point is not in it")
    value, slope, hessian = model.tape.curvatures(x)
    _claim(value.is_finite(), "existence", "f is not defined there")
    bounds = model.spans.bounds([u.lower() for u in x], [u.upper() for u in x])
    low, high = bounds or (value, value)
    _claim(
        low >= p.value_interval[0] and high <= p.value_interval[1], "value", f"f is {_digits(value)} there"
    )
    _check_eigenvalues(hessian, free, p)
    touching = bool((p.held[free] != 0).any())
    if touching:
        # The point may lie on either side of the face: f has to bend the same way all around.
        _, _, hessian = model.tape.curvatures([hull(*map(float, side)) for side in p.box])
    _check_kind(slope, hessian, free, p, touching)


def _digits(u: Ball) -> str:
    return f"{float(u):.12g}"


def _between(u: Ball, low: float, high: float) -> bool:
    return bool(u >= low and u <= high)


def _only_root(model: BallModel, p: CertifiedPoint, free: list[int]) -> list[Ball]:
    """Return a narrow enclosure of the only stationary point in `unique_in`."""
    if not free:
        return [flint().arb(float(c)) for c in p.box[:, 0]]
    box = [hull(a, b) for a, b in p.box.tolist()]
    outer = [hull(a, b) for a, b in p.unique_in.tolist()]
    roots, alone = refined(model.tape, outer, free, box)
    _claim(roots is not None, "existence", "there is no stationary point")
    centre = newton(model.tape, [flint().arb(float(c)) for c in p.point], free)
    for share in _SHARES:
        low, high = _part(p, [float(u) for u in centre], share, free)
        part = [hull(a, b) for a, b in zip(low, high, strict=True)]
        # Where there is one root in the whole, one in a part is the same.
        found, unique = refined(model.tape, part, free, box)
        if unique and found is not None:
            if not alone:
                _check_rest(model, p, low, high)
                alone = True
            if all(u.rad() <= _NARROW * v.rad() for u, v in zip(found, outer, strict=True)):
                return found
    raise _UnprovedError("existence", "no stationary point could be proved")


def _part(p: CertifiedPoint, centre: list[float], share: float, free: list[int]) -> tuple[Corner, Corner]:
    """Return a part of `unique_in` around `centre`."""
    low, high = p.unique_in.T.tolist()
    for i in free:
        low[i], high[i] = (
            max(low[i], centre[i] - share * abs(centre[i] - low[i])),
            min(high[i], centre[i] + share * abs(high[i] - centre[i])),
        )
        _claim(low[i] <= high[i], "existence", "no stationary point could be proved")
    return tuple(low), tuple(high)


def _check_rest(model: BallModel, p: CertifiedPoint, low: tuple[float, ...], high: tuple[float, ...]) -> None:
    """Check that `unique_in` holds no other stationary point than the one in [low, high]."""
    held = pattern(p)
    box = known(p)
    widths = [max(b - a, 5e-324) for a, b in zip(box.low, box.high, strict=True)]
    cover = Cover(model, widths, Budget(MOST_PIECES, MOST_SECONDS))
    try:
        gap = cover.gap(box.low, box.high, held, [Known(low, high, held)])
    except StoppedError:
        raise _UnprovedError("uniqueness", "it took too many pieces") from None
    _claim(gap is None, "uniqueness", "there may be another stationary point in the box of uniqueness")


def _check_eigenvalues(hessian: Matrix, free: list[int], p: CertifiedPoint) -> None:
    """Check that the k-th eigenvalue lies in the k-th interval, by how many are below its ends."""
    for k, (low, high) in enumerate(p.eigenvalues.tolist()):
        if math.isfinite(low):
            counted = signs(hessian, free, low)
            _claim(counted is not None and counted[0] <= k, "eigenvalues", f"number {k + 1} may be lower")
        if math.isfinite(high):
            counted = signs(hessian, free, high)
            _claim(
                counted is not None and counted[0] >= k + 1, "eigenvalues", f"number {k + 1} may be higher"
            )


def _check_kind(
    slope: list[Ball], hessian: Matrix, free: list[int], p: CertifiedPoint, touching: bool
) -> None:
    if p.kind == "unknown":
        _claim(p.index is None, "index", "a point of unknown kind has none")
        return
    counted = signs(hessian, free)
    _claim(counted is not None, "kind", "the signs of the eigenvalues are open")
    assert counted is not None
    below, above = counted
    _claim(p.index == below, "index", f"{below} eigenvalues are negative")
    rises, falls = [], []
    for i in set(range(len(slope))) - set(free):
        inward = slope[i] if p.held[i] < 0 else -slope[i]
        rises.append(bool(inward > 0))
        falls.append(bool(inward < 0))
    _claim(all(rises) or all(falls), "kind", "the slopes into the box have no common sign")
    could = "minimum" if below == 0 else "maximum" if above == 0 else "saddle"
    if rises and not free:
        could = "minimum" if all(rises) else "maximum"
    elif rises and (could == "minimum") != all(rises):
        could = "saddle"
    _claim(p.kind == could, "kind", f"it is a {could}")
    _claim(not touching or 0 in counted, "kind", "at a face it takes eigenvalues of one sign")


def faults(
    model: BallModel, domain: np.ndarray, points: Sequence[CertifiedPoint]
) -> Iterator[tuple[int, Fault]]:
    """Yield the points with a claim that cannot be proved again."""
    for i, p in enumerate(points):
        fault = fault_of(model, domain, p)
        if fault is not None:
            yield i, fault
