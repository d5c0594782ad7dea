"""One loop for both proofs: all stationary points of a box, or its lowest value.

The closed box is cut into its interior and its faces of every dimension, and each of these into small boxes, a
thousand at a time. A box is dropped once it is proved to hold nothing of interest, kept once it is proved to hold exactly
one stationary point (of f on its face), and split otherwise. The proofs:

- nothing, because a partial derivative cannot be zero on it (natural and mean-value form), because Krawczyk's operator
  leaves the box, or because the slopes into the box at a face have the wrong sign;
- in search of the lowest value, also because f is above a value already attained, or bends downward along an axis;
- one, because Krawczyk's operator maps a slightly larger box into its interior.

Where the slope jumps but f is continuous (|x|), the gradient's bounds hold Clarke's generalized gradient, so a box whose
bounds exclude zero still holds no local extremum; but nothing is kept by proof there. Where f might be undefined only its
value can drop a box.

Sources: Kearfott, Rigorous Global Search (1996); Hansen & Walster, Global Optimization Using Interval Analysis (2004);
Clarke, Optimization and Nonsmooth Analysis (1983), section 2.3.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentlab.certify.enclose import Enclosure, Model
from descentlab.certify.intervals import Array, Flags, Interval, excludes_zero
from descentlab.certify.krawczyk import krawczyk, mid_rad

# At the start every side is cut into so many pieces, by dimension: a few hundred boxes cost no more than one.
_PIECES = {1: 64, 2: 16, 3: 6, 4: 4, 5: 3}
# Sides are cut off-centre, so that roots at round numbers do not lie on edges of boxes.
CUT = 0.4877
# A box is widened by this share of its sides before uniqueness is tried: a root on its edge is then inside.
INFLATE = 1 / 16
# Boxes examined together.
BATCH = 16_384
# No box is split below this share of the box's sides.
SMALLEST = 2.0**-40
# Boxes that small, or whose Hessian hardly changes and yet might be singular, get nowhere; once they are this many they lie
# along a curve or a surface, and are left undecided.
STALLED = 2.0**-20
STALLED_ROUGH = 2.0**-10
STEADY = 2.0**-7
MOST_STALLED = 20_000
# Slopes that cannot be told from underflow.
FLAT_SLOPE = 1e-290
# A box that Krawczyk's operator shrinks to this share is examined again before it is split.
SHRUNK = 0.7

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Limits:
    """When to give up: boxes examined, boxes waiting (memory), seconds."""

    boxes: int = 5_000_000
    waiting: int = 2_000_000
    seconds: float = 60.0


@dataclass(frozen=True)
class Boxes:
    """n boxes: low, high (n, dim) and held (n, dim): −1 or 1 where a coordinate is held at a bound, else 0."""

    low: Array
    high: Array
    held: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, index: NDArray[np.generic] | slice) -> Boxes:
        return Boxes(self.low[index], self.high[index], self.held[index])

    @property
    def free(self) -> Flags:
        return np.asarray(self.held == 0)


def joined(parts: list[Boxes]) -> Boxes:
    return Boxes(
        np.concatenate([p.low for p in parts]),
        np.concatenate([p.high for p in parts]),
        np.concatenate([p.held for p in parts]),
    )


@dataclass(frozen=True)
class Waiting:
    """Boxes to examine: a lower bound of f on each, and whether its part of the box gets nowhere (`STALLED`)."""

    boxes: Boxes
    floors: Array
    stalled: Flags

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: NDArray[np.generic] | slice) -> Waiting:
        return Waiting(self.boxes[index], self.floors[index], self.stalled[index])

    def and_(self, other: Waiting) -> Waiting:
        return Waiting(
            joined([self.boxes, other.boxes]),
            np.concatenate([self.floors, other.floors]),
            np.concatenate([self.stalled, other.stalled]),
        )


@dataclass(frozen=True)
class Findings:
    """What a search found.

    roots: boxes that hold exactly one root of ∇f over their free coordinates, the only one in `unique`; undecided: boxes
    about which nothing was proved, with the reason for each and a lower bound of f on it; upper: a value of f proved to
    be attained; examined: boxes looked at.
    """

    roots: Boxes
    unique: Boxes
    undecided: Boxes
    reasons: NDArray[np.str_]
    floors: Array
    upper: float
    examined: int


def all_faces(domain: Array) -> Boxes:
    """Cut the box and each of its faces into pieces to begin with."""
    d = len(domain)
    pieces = _PIECES.get(d, 2)
    inner = (np.arange(1, pieces) + 0.0137 * np.sqrt(2)) / pieces
    per_side = []
    for low, high in domain:
        cuts = np.concatenate([[low], low + inner * (high - low), [high]])
        sides = [(a, b, 0) for a, b in itertools.pairwise(cuts)]
        per_side.append([*sides, (low, low, -1), (high, high, 1)])
    index = np.indices([pieces + 2] * d).reshape(d, -1)
    chosen = [np.array(sides)[i] for sides, i in zip(per_side, index, strict=True)]
    low, high, held = (np.stack([c[:, k] for c in chosen], axis=1) for k in range(3))
    return Boxes(low, high, held.astype(np.int8))


class Search:
    """The loop and what it has found so far; `lowest` asks for the lowest value instead of all points."""

    def __init__(
        self,
        model: Model,
        domain: Array,
        limits: Limits,
        lowest: bool = False,
        upper: float = np.inf,
        tolerance: float = 0.0,
        progress: Progress | None = None,
    ) -> None:
        self.model, self.limits, self.lowest = model, limits, lowest
        self.upper, self.tolerance, self.progress = upper, tolerance, progress
        self.widths = domain[:, 1] - domain[:, 0]
        self.start = all_faces(domain)
        self.roots: list[Boxes] = []
        self.unique: list[Boxes] = []
        self.undecided: list[tuple[Boxes, NDArray[np.str_], Array]] = []
        self.examined = 0

    def run(self) -> Findings:
        """Examine boxes until none is left or a limit is reached."""
        began = time.perf_counter()
        n = len(self.start)
        waiting = Waiting(self.start, np.full(n, -np.inf), np.zeros(n, bool))
        with np.errstate(all="ignore"):
            while len(waiting):
                too_many = self.examined >= self.limits.boxes or len(waiting) > self.limits.waiting
                if too_many or time.perf_counter() - began > self.limits.seconds:
                    self._leave(waiting.boxes, np.full(len(waiting), "limit"), waiting.floors)
                    break
                waiting = self._next(waiting)
                if self.progress:
                    self.progress(self.examined, len(waiting), sum(map(len, self.roots)))
        return self._findings()

    def _next(self, waiting: Waiting) -> Waiting:
        """Examine one batch of the boxes that wait: any, or those with the lowest bounds."""
        order = np.arange(len(waiting))
        if self.lowest:
            waiting = waiting[~(waiting.floors > self.upper)]
            few = len(waiting) <= BATCH
            order = np.arange(len(waiting)) if few else np.argpartition(waiting.floors, BATCH)
        elif waiting.stalled.sum() > MOST_STALLED:
            stalled = waiting[waiting.stalled]
            self._leave(stalled.boxes, self._why(stalled.boxes), stalled.floors)
            waiting = waiting[~waiting.stalled]
            order = np.arange(len(waiting))
        batch = waiting[order[:BATCH]]
        self.examined += len(batch)
        return waiting[order[BATCH:]].and_(self._examine(batch.boxes))

    def _why(self, boxes: Boxes) -> NDArray[np.str_]:
        return self._reasons(self.model.curvatures(boxes.low, boxes.high))

    def _findings(self) -> Findings:
        none = self.start[:0]
        reasons = [r for _, r, _ in self.undecided] or [np.array([], "U10")]
        return Findings(
            joined([none, *self.roots]),
            joined([none, *self.unique]),
            joined([none, *(b for b, _, _ in self.undecided)]),
            np.concatenate(reasons),
            np.concatenate([np.array([]), *(f for _, _, f in self.undecided)]),
            self.upper,
            self.examined,
        )

    def _leave(self, boxes: Boxes, reasons: NDArray[np.str_], floors: Array) -> None:
        if len(boxes):
            self.undecided.append((boxes, reasons, floors))

    def _examine(self, boxes: Boxes) -> Waiting:
        """Return the boxes to examine next."""
        whole = self.model.slopes(boxes.low, boxes.high)
        floors = np.where(np.isnan(whole.value.lo), -np.inf, whole.value.lo)
        kept = ~self._is_empty(boxes, whole)
        flat = kept & self._is_flat(boxes, whole)
        if self.lowest:
            flat &= floors >= self.upper - self.tolerance
        self._leave(boxes[flat], np.full(int(flat.sum()), "flat"), floors[flat])
        index = np.flatnonzero(kept & ~flat)
        return self._examine_closely(boxes[index], _taken(whole, index), floors[index])

    def _is_empty(self, boxes: Boxes, whole: Enclosure) -> Flags:
        """Tell which boxes hold nothing of interest by the bounds of f and ∇f on them."""
        inward = Interval(
            np.where(boxes.held < 0, whole.gradient.lo, -whole.gradient.hi),
            np.where(boxes.held < 0, whole.gradient.hi, -whole.gradient.lo),
        )
        held = ~boxes.free
        leaves = (held & (inward.hi < 0)).any(axis=1)
        if not self.lowest:
            leaves &= (held & (inward.lo > 0)).any(axis=1)
        sloped = (excludes_zero(whole.gradient) & boxes.free).any(axis=1)
        empty = whole.trouble.nowhere | ((sloped | leaves) & ~whole.trouble.undefined)
        return np.asarray(empty | (whole.value.lo > self.upper) if self.lowest else empty)

    @staticmethod
    def _is_flat(boxes: Boxes, whole: Enclosure) -> Flags:
        """Tell where ∇f is zero, or below what doubles hold, on the whole box."""
        small = (whole.gradient.lo >= -FLAT_SLOPE) & (whole.gradient.hi <= FLAT_SLOPE)
        flat = (small | ~boxes.free).all(axis=1) & boxes.free.any(axis=1)
        return np.asarray(flat & ~whole.trouble.undefined & ~whole.trouble.kinked)

    def _examine_closely(self, boxes: Boxes, whole: Enclosure, floors: Array) -> Waiting:
        if not len(boxes):
            return Waiting(boxes, floors, np.zeros(0, bool))
        free = boxes.free
        centre = 0.5 * boxes.low + 0.5 * boxes.high
        pad = np.where(free, INFLATE * (boxes.high - boxes.low), 0.0)
        wide = Boxes(boxes.low - pad, boxes.high + pad, boxes.held)
        middle = self.model.slopes(centre, centre)
        around = self.model.curvatures(wide.low, wide.high)
        assert around.hessian is not None
        smooth = ~(around.trouble.undefined | around.trouble.kinked)
        reach = np.maximum(wide.high - centre, centre - wide.low) * (1 + 2.0**-50)
        steep = np.maximum(np.abs(around.hessian.lo), np.abs(around.hessian.hi))
        spread = np.einsum("nij,nj->ni", steep, reach) * (1 + 2.0**-45)
        sloped = (middle.gradient.lo > spread) | (middle.gradient.hi < -spread)
        empty = smooth & (sloped & free).any(axis=1)
        if self.lowest:
            self._attain(middle)
            floors = np.fmax(floors, self._floor(middle, whole, steep, reach, smooth))
            bends_down = np.einsum("nii->ni", around.hessian.hi) < 0
            empty |= (smooth & (bends_down & free).any(axis=1)) | (floors > self.upper)
        image = krawczyk(centre, wide.low, wide.high, middle.gradient, around.hessian, free)
        outside = (image.high < boxes.low) | (image.low > boxes.high)
        empty |= smooth & (outside & free).any(axis=1)
        inside = ((image.low > wide.low) & (image.high < wide.high)) | ~free
        unique = smooth & ~empty & inside.all(axis=1)
        self.roots.append(Boxes(image.low[unique], image.high[unique], boxes.held[unique]))
        self.unique.append(wide[unique])
        left = np.flatnonzero(~empty & ~unique)
        low = np.where(smooth[:, None], np.fmax(boxes.low, image.low), boxes.low)[left]
        high = np.where(smooth[:, None], np.fmin(boxes.high, image.high), boxes.high)[left]
        shrunk = Boxes(low, high, boxes.held[left])
        return self._split(boxes[left], shrunk, _taken(around, left), steep[left], floors[left])

    def _attain(self, middle: Enclosure) -> None:
        """Lower the value known to be attained."""
        values = np.where(middle.trouble.undefined | np.isnan(middle.value.hi), np.inf, middle.value.hi)
        self.upper = min(self.upper, float(values.min(initial=np.inf)))

    @staticmethod
    def _floor(middle: Enclosure, whole: Enclosure, steep: Array, reach: Array, smooth: Flags) -> Array:
        """Bound f from below by its mean-value forms of first and second order; NaN where neither holds."""
        first = np.maximum(np.abs(whole.gradient.lo), np.abs(whole.gradient.hi))
        slope = np.maximum(np.abs(middle.gradient.lo), np.abs(middle.gradient.hi))
        bend = 0.5 * np.einsum("ni,nij,nj->n", reach, steep, reach)
        fall_first = np.where(whole.trouble.undefined, np.nan, (first * reach).sum(axis=1))
        fall_second = np.where(smooth, (slope * reach).sum(axis=1) + bend, np.nan)
        fall = np.fmin(fall_first, fall_second) * (1 + 2.0**-40) + np.abs(middle.value.lo) * 2.0**-51
        return np.asarray(middle.value.lo - fall)

    @staticmethod
    def _reasons(around: Enclosure) -> NDArray[np.str_]:
        rough = np.where(around.trouble.kinked, "kink", "degenerate")
        return np.where(around.trouble.undefined, "undefined", rough)

    def _split(
        self, before: Boxes, boxes: Boxes, around: Enclosure, steep: Array, floors: Array
    ) -> Waiting:
        """Split what is not small, and leave what is undecided.

        before: the boxes as they were examined; boxes: what Krawczyk's operator left of them.
        """
        free = boxes.free
        size, old = boxes.high - boxes.low, before.high - before.low
        relative = np.where(free, size / self.widths, 0.0)
        ulps = 16 * np.spacing(np.maximum(np.abs(boxes.low), np.abs(boxes.high)))
        small = ((relative <= SMALLEST) | (size <= ulps)).all(axis=1)
        if self.lowest:
            small |= floors >= self.upper - self.tolerance
        self._leave(boxes[small], self._reasons(around)[small], floors[small])
        stalled = _gets_nowhere(around, relative.max(axis=1))
        shrunk = (size <= SHRUNK * old).all(axis=1, where=free) & ~small
        left = ~small & ~shrunk
        halves = self._halved(boxes[left], steep[left], relative[left])
        again = Waiting(boxes[shrunk], floors[shrunk], stalled[shrunk])
        for half in halves:
            again = again.and_(Waiting(half, floors[left], stalled[left]))
        return again

    @staticmethod
    def _halved(boxes: Boxes, steep: Array, relative: Array) -> tuple[Boxes, Boxes]:
        """Cut each box across the side along which the gradient may change most (maximal smear)."""
        size = boxes.high - boxes.low
        smear = np.where(boxes.free, np.where(boxes.free[:, :, None], steep, 0.0).max(axis=1) * size, -1.0)
        usable = np.isfinite(smear).all(axis=1) & (relative.max(axis=1) < 1000 * _least(relative, boxes.free))
        side = np.where(usable[:, None], smear, relative).argmax(axis=1)
        rows = np.arange(len(boxes))
        cut = boxes.low[rows, side] + CUT * size[rows, side]
        left_high, right_low = boxes.high.copy(), boxes.low.copy()
        left_high[rows, side] = right_low[rows, side] = cut
        return Boxes(boxes.low, left_high, boxes.held), Boxes(right_low, boxes.high, boxes.held)


def _gets_nowhere(around: Enclosure, relative: Array) -> Flags:
    """Tell which boxes, `relative` to the sides, will stay undecided if they are split: tiny ones, small ones where f is
    rough, and small ones whose Hessian hardly changes and might be singular all the same."""
    assert around.hessian is not None
    middle, radius = mid_rad(around.hessian)
    steady = radius.max(axis=(1, 2)) <= STEADY * np.abs(middle).max(axis=(1, 2))
    rough = around.trouble.undefined | around.trouble.kinked
    return np.asarray((relative < STALLED) | ((relative < STALLED_ROUGH) & (steady | rough)))


def _least(relative: Array, free: Flags) -> Array:
    return np.where(free, relative, np.inf).min(axis=1)


def _taken(e: Enclosure, index: NDArray[np.int64]) -> Enclosure:
    """Return the enclosure of some of the boxes."""

    def take(u: Interval) -> Interval:
        return Interval(u.lo[index], u.hi[index])  # type: ignore[index]

    trouble = type(e.trouble)(len(index))
    for name in ("undefined", "kinked", "nowhere"):
        setattr(trouble, name, getattr(e.trouble, name)[index])
    return Enclosure(take(e.value), take(e.gradient), take(e.hessian) if e.hessian else None, trouble)
