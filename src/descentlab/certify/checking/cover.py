"""Proofs that nothing is missing: a box and its faces cut up, in ball arithmetic, until every piece is accounted for.

The pieces are visited one by one, which is slow next to certify/search.py and shares nothing with it.

Source: Hansen & Walster, Global Optimization Using Interval Analysis (2004), chapter 12.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from descentlab.certify.checking.balls import Ball, NowhereError, flint, hull
from descentlab.certify.checking.roots import Matrix, krawczyk, refined, signs
from descentlab.certify.checking.spans import BallModel

# Pieces smaller than this share of the box's sides are left: doubles end not far below.
SMALLEST = 2.0**-46
# Sides are cut off-centre, so that roots at round numbers do not lie on edges.
CUT = 0.4931
# A piece that Krawczyk's operator narrows to this share is looked at again before it is cut.
SHRUNK = 0.6

Corner = tuple[float, ...]


class StoppedError(Exception):
    """The limit on pieces or seconds was reached."""


@dataclass
class Budget:
    """How many pieces may still be looked at, and until when."""

    boxes: int
    seconds: float

    def __post_init__(self) -> None:
        self.until = time.perf_counter() + self.seconds
        self.used = 0

    def spend(self) -> None:
        self.used += 1
        if self.used > self.boxes or (self.used % 64 == 0 and time.perf_counter() > self.until):
            raise StoppedError


@dataclass(frozen=True)
class Known:
    """A part of the box that is accounted for.

    held: the coordinates at a bound (−1, 1) for the only stationary point of that face; None for a region of any.
    touch: where a point that reaches over a face lies, within which points of that face are the same one.
    floor: a lower bound of f at the point, or on the region.
    """

    low: Corner
    high: Corner
    held: tuple[int, ...] | None
    floor: float = -math.inf
    touch: tuple[Corner, Corner] | None = None


@dataclass(frozen=True)
class Gap:
    """A piece that is not accounted for, and why.

    reason: "found" if it is proved to hold a stationary point that nobody listed, or one where f is below the floor;
    "open" if f is defined there, or only in part of it; "undefined" if not even that can be told.
    """

    low: Corner
    high: Corner
    held: tuple[int, ...]
    reason: str

    @property
    def middle(self) -> Corner:
        return tuple(0.5 * a + 0.5 * b for a, b in zip(self.low, self.high, strict=True))


@dataclass(frozen=True)
class _Piece:
    low: Corner
    high: Corner
    known: list[Known]


def faces(domain: Sequence[tuple[float, float]]) -> Iterator[tuple[Corner, Corner, tuple[int, ...]]]:
    """Yield the interior of the box and each of its faces as (low, high, held), the largest first."""
    d = len(domain)
    for held in (
        tuple(dict(zip(sides, ends, strict=True)).get(i, 0) for i in range(d))
        for k in range(d + 1)
        for sides in itertools.combinations(range(d), k)
        for ends in itertools.product((-1, 1), repeat=k)
    ):
        low = tuple(b if h > 0 else a for (a, b), h in zip(domain, held, strict=True))
        high = tuple(a if h < 0 else b for (a, b), h in zip(domain, held, strict=True))
        yield low, high, held


class Cover:
    """Cuts up one face of the box (or the whole box) and accounts for every piece.

    floor: None to account for every stationary point; else a number, to account for every point where f may be lower.
    bottom: what f is said never to be below.
    """

    def __init__(
        self,
        model: BallModel,
        widths: Sequence[float],
        budget: Budget,
        floor: float | None = None,
        bottom: float = -math.inf,
    ) -> None:
        self.tape, self.spans, self.widths = model.tape, model.spans, widths
        self.budget, self.floor, self.bottom = budget, floor, bottom
        # The lowest upper bound of f at a point that was met.
        self.attained = math.inf

    def gap(self, low: Corner, high: Corner, held: tuple[int, ...], known: list[Known]) -> Gap | None:
        """Return a piece that is not accounted for, or None; StoppedError if the budget ends first."""
        free = [i for i, h in enumerate(held) if not h]
        pieces = [_Piece(low, high, known)]
        while pieces:
            piece = pieces.pop()
            self.budget.spend()
            known = [k for k in piece.known if _meets(k, piece, held)]
            verdict = self._examine(piece, free, held, known)
            if isinstance(verdict, Gap):
                return verdict
            if verdict is None:
                continue
            a, b = verdict
            if all(b[i] - a[i] <= SHRUNK * (piece.high[i] - piece.low[i]) for i in free) and free:
                pieces.append(_Piece(a, b, known))
                continue
            sizes = [(b[i] - a[i]) / self.widths[i] for i in free]
            if not sizes or max(sizes) < SMALLEST:
                return self._left(a, b, held)
            side = free[sizes.index(max(sizes))]
            cut = _cut(a, b, side, known)
            if not a[side] < cut < b[side]:
                return self._left(a, b, held)
            pieces.append(_Piece(a, (*b[:side], cut, *b[side + 1 :]), known))
            pieces.append(_Piece((*a[:side], cut, *a[side + 1 :]), b, known))
        return None

    def _left(self, low: Corner, high: Corner, held: tuple[int, ...]) -> Gap:
        """Return a piece too small to be cut, with the reason."""
        middle = tuple(0.5 * a + 0.5 * b for a, b in zip(low, high, strict=True))
        found = [self.spans.at(x) for x in (middle, low, high)]
        if self.floor is not None:
            below = any(bounds is not None and bounds[1] < self.bottom for bounds in found)
            return Gap(low, high, held, "found" if below else "open")
        try:
            value, _ = self.tape.slopes([hull(a, b) for a, b in zip(low, high, strict=True)])
        except NowhereError:
            return Gap(low, high, held, "undefined")
        partly = any(bounds is None for bounds in found) and any(bounds is not None for bounds in found)
        return Gap(low, high, held, "open" if value.is_finite() or partly else "undefined")

    def _examine(
        self, piece: _Piece, free: list[int], held: tuple[int, ...], known: list[Known]
    ) -> Gap | tuple[Corner, Corner] | None:
        """Return None for a piece accounted for, a gap, or what is left of the piece."""
        x = [hull(a, b) for a, b in zip(piece.low, piece.high, strict=True)]
        try:
            value, slope = self.tape.slopes(x)
            if self._is_known(piece.low, piece.high, held, known) or self._is_above(piece):
                return None
            if not value.is_finite():
                return piece.low, piece.high
            if self._is_empty(slope, free, held):
                return None
            return self._examine_closely(piece, x, value, slope, free, held, known)
        except NowhereError:
            return None

    def _is_above(self, piece: _Piece) -> bool:
        if self.floor is None:
            return False
        bounds = self.spans.bounds(piece.low, piece.high)
        return bounds is not None and bool(bounds[0] >= self.floor)

    def _is_empty(self, slope: list[Ball], free: list[int], held: tuple[int, ...]) -> bool:
        if any(slope[i] > 0 or slope[i] < 0 for i in free):
            return True
        return self._leaves(slope, held)

    def _leaves(self, slope: list[Ball], held: tuple[int, ...]) -> bool:
        """Tell whether f falls into the box along a held coordinate and, if every point counts, rises along another."""
        rises = any(-h * slope[i] > 0 for i, h in enumerate(held) if h)
        falls = any(-h * slope[i] < 0 for i, h in enumerate(held) if h)
        return falls and (rises or self.floor is not None)

    def _is_known(self, low: Corner, high: Corner, held: tuple[int, ...], known: list[Known]) -> bool:
        for k in known:
            if self.floor is not None and not k.floor >= self.floor:
                continue
            if (k.held is None or k.held == held) and _inside(low, high, k.low, k.high):
                return True
            if k.touch is not None and k.held != held and _inside(low, high, *k.touch):
                return True
        return False

    def _examine_closely(
        self,
        piece: _Piece,
        x: list[Ball],
        value: Ball,
        slope: list[Ball],
        free: list[int],
        held: tuple[int, ...],
        known: list[Known],
    ) -> Gap | tuple[Corner, Corner] | None:
        centre = [u.mid() for u in x]
        middle, steep = self.tape.slopes(centre)
        if self.floor is not None:
            if middle.is_finite():
                self.attained = min(self.attained, _above(middle))
            if middle - _fall(slope, x, centre) >= self.floor:
                return None
        if not free:
            return self._corner(piece, middle, steep, held)
        _, _, hessian = self.tape.curvatures(x)
        if not all(hessian[i][j].is_finite() for i in free for j in free):
            return piece.low, piece.high
        if any(_mean_value(steep[i], hessian[i], x, centre) for i in free):
            return None
        if self.floor is not None:
            bends_down = any(hessian[i][i] < 0 for i in free)
            if bends_down or _second_order(middle, steep, hessian, x, centre, free) >= self.floor:
                return None
        image = krawczyk(self.tape, x, free, hessian, centre, steep)
        if image is None:
            return piece.low, piece.high
        if image.roots is None:
            return None
        low, high = _outward(image.roots, piece, free)
        if any(a > b for a, b in zip(low, high, strict=True)) or self._is_known(low, high, held, known):
            return None
        if image.unique:
            return self._root(piece, image.roots, free, held, known)
        return low, high

    def _corner(self, piece: _Piece, value: Ball, slope: list[Ball], held: tuple[int, ...]) -> Gap | None:
        if self.floor is None:
            return Gap(piece.low, piece.high, held, "open" if self._may_leave(slope, held) else "found")
        return None if value >= self.floor else self._left(piece.low, piece.high, held)

    @staticmethod
    def _may_leave(slope: list[Ball], held: tuple[int, ...]) -> bool:
        """Tell whether it is open which way f goes into the box along a held coordinate."""
        return not all(slope[i] > 0 or slope[i] < 0 for i, h in enumerate(held) if h)

    def _root(
        self, piece: _Piece, x: list[Ball], free: list[int], held: tuple[int, ...], known: list[Known]
    ) -> Gap | tuple[Corner, Corner] | None:
        """Account for the one stationary point in a piece; one that may be a known one is narrowed down further."""
        roots, _ = refined(self.tape, x, free)
        if roots is None:
            return None
        low, high = _outward(roots, piece, free)
        if any(a > b for a, b in zip(low, high, strict=True)) or self._is_known(low, high, held, known):
            return None
        value, slope = self.tape.slopes(roots)
        if self._leaves(slope, held):
            return None
        if any(_meets(k, _Piece(low, high, []), held) for k in known):
            return low, high
        if self.floor is not None:
            counted = signs(self.tape.curvatures(roots)[2], free)
            if value >= self.floor or (counted is not None and counted[0] > 0):
                return None
            return Gap(low, high, held, "found" if value < self.floor else "open")
        return Gap(low, high, held, "open" if self._may_leave(slope, held) else "found")


def _meets(k: Known, piece: _Piece, held: tuple[int, ...]) -> bool:
    if k.held is not None and k.held != held and k.touch is None:
        return False
    return all(a <= d and c <= b for a, b, c, d in zip(piece.low, piece.high, k.low, k.high, strict=True))


def _inside(low: Corner, high: Corner, outer_low: Corner, outer_high: Corner) -> bool:
    return all(a >= c and b <= d for a, b, c, d in zip(low, high, outer_low, outer_high, strict=True))


def _cut(low: Corner, high: Corner, side: int, known: list[Known]) -> float:
    """Return where to cut: at an edge of something known that is not much smaller than the piece, or off-centre."""
    a, b = low[side], high[side]
    for k in known:
        for edge in (k.low[side], k.high[side]):
            if a + 0.05 * (b - a) < edge < b - 0.05 * (b - a):
                return edge
    return a + CUT * (b - a)


def _outward(x: list[Ball], piece: _Piece, free: list[int]) -> tuple[Corner, Corner]:
    """Return doubles around the balls, within the piece; low > high if they lie beside it."""
    low, high = list(piece.low), list(piece.high)
    for i in free:
        low[i] = max(low[i], math.nextafter(float(x[i].lower()), -math.inf))
        high[i] = min(high[i], math.nextafter(float(x[i].upper()), math.inf))
    return tuple(low), tuple(high)


def _above(u: Ball) -> float:
    return math.nextafter(float(u.upper()), math.inf)


def _fall(slope: list[Ball], x: list[Ball], centre: list[Ball]) -> Ball:
    """Return how far f can fall from the centre, by its slopes on x."""
    return sum(
        (s.abs_upper() * (u - c).abs_upper() for s, u, c in zip(slope, x, centre, strict=True)),
        flint().arb(0),
    )


def _mean_value(slope: Ball, row: list[Ball], x: list[Ball], centre: list[Ball]) -> bool:
    """Tell whether the partial derivative is proved not to be zero on x, from its value and slopes."""
    total = slope
    for h, u, c in zip(row, x, centre, strict=True):
        total = total + h * (u - c)
    return bool(total > 0 or total < 0)


def _second_order(
    value: Ball, slope: list[Ball], hessian: Matrix, x: list[Ball], centre: list[Ball], free: list[int]
) -> Ball:
    """Enclose f on x by its Taylor polynomial: f(c) + ∇f(c)(x − c) + ½ (x − c)ᵀH(x − c)."""
    total, reach = value, {i: x[i] - centre[i] for i in free}
    for i in free:
        total = total + slope[i] * reach[i]
        for j in free:
            total = total + hessian[i][j] * reach[i] * reach[j] / 2
    return total
