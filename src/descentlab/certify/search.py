"""One loop for both proofs: all stationary points of a box, or its lowest value.

The closed box is cut into small boxes, thousands at a time. A box is dropped once it is proved to hold nothing of
interest, kept once it is proved to hold exactly one stationary point, and split otherwise. A box at the edge of the
domain holds a part of its faces too: when its interior is settled, or it is thin, it gives them off as boxes of fewer
free coordinates, on which f is examined the same way. The proofs:

- nothing, because a partial derivative cannot be zero on it (natural and mean-value form), because Krawczyk's operator
  leaves the box, or because the slopes into the box at a face have the wrong sign;
- in search of the lowest value, also because f is above a value already attained, or bends downward along an axis;
- one, because Krawczyk's operator maps a slightly larger box into its interior.

Where the slope jumps but f is continuous (|x|), the gradient's bounds hold Clarke's generalized gradient, so a
box whose bounds exclude zero still holds no local extremum; but nothing is kept by proof there. Where f might
be undefined only its value can drop a box.

Sources: Kearfott, Rigorous Global Search (1996); Hansen & Walster, Global Optimization Using Interval Analysis (2004);
Clarke, Optimization and Nonsmooth Analysis (1983), section 2.3.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from descentlab.certify.boxes import LOWER, UPPER, Boxes, Queue, Waiting, joined, pieces_of, together
from descentlab.certify.enclose import Enclosure, Model
from descentlab.certify.intervals import Array, Flags, Interval, Trouble
from descentlab.certify.krawczyk import krawczyk, mid_rad

# Sides are cut off-centre, so that roots at round numbers do not lie on edges of boxes.
CUT = 0.4877
# A box is widened by this share of its sides before uniqueness is tried: a root on its edge is then inside.
INFLATE = 1 / 16
# … and by this share of its longest side, and of the whole box's: Krawczyk's operator may have made it thinner than
# rounding across one side, before uniqueness shows across another.
THICKEN, THICKEST = 2.0**-10, 2.0**-42
# No box is split below this share of the box's sides.
SMALLEST = 2.0**-40
# Boxes that small, or whose Hessian hardly changes and yet might be singular, get nowhere; once they are this
# many they lie along a curve or a surface, and are left undecided.
STALLED = 2.0**-20
STALLED_ROUGH = 2.0**-10
STEADY = 2.0**-7
MOST_STALLED = 20_000
# In search of the lowest value: boxes as low as the lowest value known are split on while they are no more than this.
MOST_REFINED = 1_000
# A box no thicker than this share of the domain gives off the faces it holds, so that its interior can shrink.
THIN = 1 / 8
# Slopes that cannot be told from underflow.
FLAT_SLOPE = 1e-290
# More than sums of products lose by underflow, in up to a hundred dimensions.
UNDERFLOW = 2.0**-1060
# Few boxes are split again and again, until their Hessians hold this many numbers: so many cost no more than one.
FEW_ENTRIES = 256
# A box this many times longer than wide is cut across.
MOST_SLENDER = 256
# A box that Krawczyk's operator shrinks to this share is examined again before it is split.
SHRUNK = 0.7

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Limits:
    """When to give up: boxes examined, coordinates of boxes waiting (20 bytes each), seconds."""

    boxes: int = 5_000_000
    waiting: int = 10_000_000
    seconds: float = 60.0


@dataclass(frozen=True)
class Findings:
    """What a search found.

    roots: boxes that hold exactly one root of ∇f over their free coordinates, the only one in `unique`;
    undecided: boxes about which nothing was proved, with the reason for each and a lower bound of f on it;
    upper: a value of f proved to be attained; examined: boxes looked at.
    """

    roots: Boxes
    unique: Boxes
    undecided: Boxes
    reasons: NDArray[np.str_]
    floors: Array
    upper: float
    examined: int


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
        self.domain = domain
        self.widths = domain[:, 1] - domain[:, 0]
        self.start = pieces_of(domain)
        self.roots: list[Boxes] = []
        self.unique: list[Boxes] = []
        self.undecided: list[tuple[Boxes, NDArray[np.str_], Array]] = []
        self.examined = 0

    def run(self) -> Findings:
        """Examine boxes until none is left or a limit is reached."""
        ends = time.perf_counter() + self.limits.seconds
        n = len(self.start)
        queue = Queue(Waiting(self.start, np.full(n, -np.inf), np.zeros(n, bool)), self.lowest)
        with np.errstate(all="ignore"):
            while len(queue):
                if queue.stalled > MOST_STALLED and not self.lowest:
                    stalled = queue.take_stalled()
                    self._leave(stalled.boxes, self._why(stalled.boxes), stalled.floors)
                if (
                    len(queue) * len(self.domain) > self.limits.waiting
                    or self.examined >= self.limits.boxes
                    or time.perf_counter() > ends
                ):
                    rest = queue.everything()
                    self._leave(rest.boxes, np.full(len(rest), "limit"), rest.floors)
                    break
                batch = queue.take(self.upper)
                if not len(batch):
                    continue
                self.examined += len(batch)
                queue.add(self._examine(batch.boxes))
                if self.progress:
                    self.progress(self.examined, len(queue), sum(map(len, self.roots)))
        return self._findings()

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
        empty = whole.trouble.nowhere | (self._leaves(boxes, whole) & ~whole.trouble.undefined)
        if self.lowest:
            empty |= whole.value.lo > self.upper
        flat = ~empty & self._is_flat(boxes, whole)
        if self.lowest:
            flat &= floors >= self.upper - self.tolerance
        self._leave(boxes[flat], np.full(int(flat.sum()), "flat"), floors[flat])
        sure = boxes.free & ~whole.trouble.undefined[:, None]
        rises, falls = (whole.gradient.lo > 0) & sure, (whole.gradient.hi < 0) & sure
        sloped = (rises | falls).any(axis=1)
        on_faces = np.flatnonzero(sloped & ~empty & ~flat)
        cut = self._pushed(boxes[on_faces], rises[on_faces], falls[on_faces], floors[on_faces])
        index = np.flatnonzero(~sloped & ~empty & ~flat)
        return together([cut, self._examine_closely(boxes[index], whole[index], floors[index])])

    def _leaves(self, boxes: Boxes, whole: Enclosure) -> Flags:
        """Tell which boxes on faces hold nothing of interest by the slopes into the domain."""
        inward = Interval(
            np.where(boxes.held < 0, whole.gradient.lo, -whole.gradient.hi),
            np.where(boxes.held < 0, whole.gradient.hi, -whole.gradient.lo),
        )
        held = ~boxes.free
        leaves = (held & (inward.hi < 0)).any(axis=1)
        if not self.lowest:
            leaves &= (held & (inward.lo > 0)).any(axis=1)
        return np.asarray(leaves)

    def _pushed(self, boxes: Boxes, rises: Flags, falls: Flags, floors: Array) -> Waiting:
        """Return what is left of boxes in which f is monotone along some coordinate: their ends along it, if any.

        rises, falls: (n, dim), along which coordinates. Both may be set where nothing is known but that an extremum
        cannot lie between the ends. A lowest value lies at the lower end where f rises.
        """
        monotone = rises | falls
        inner = (monotone & (boxes.ends == 0)).any(axis=1)
        index = np.flatnonzero(~inner)
        side = monotone[index].argmax(axis=1)
        parts = [Waiting(boxes[:0], floors[:0], np.zeros(0, bool))]
        for end, uphill in ((LOWER, falls), (UPPER, rises)):
            there = (boxes.ends[index, side] & end) != 0
            if self.lowest:
                there &= ~uphill[index, side] | (rises & falls)[index, side]
            rows, along = index[there], side[there]
            parts.append(Waiting(boxes[rows].on_face(along, end), floors[rows], np.zeros(len(rows), bool)))
        return together(parts)

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
        size = boxes.high - boxes.low
        relative = np.where(free, size / self.widths, 0.0)
        widest = relative.max(axis=1, keepdims=True)
        pad = np.where(free, INFLATE * size + (THICKEN * widest + THICKEST) * self.widths, 0.0)
        wide = replace(boxes, low=boxes.low - pad, high=boxes.high + pad)
        middle, around = self._around(centre, wide, whole)
        assert around.hessian is not None
        smooth = ~(around.trouble.undefined | around.trouble.kinked)
        sure = free & smooth[:, None]
        reach = np.maximum(wide.high - centre, centre - wide.low) * (1 + 2.0**-50)
        steep = np.maximum(np.abs(around.hessian.lo), np.abs(around.hessian.hi))
        steep[~smooth] = np.nan
        spread = np.einsum("nij,nj->ni", steep, reach) * (1 + 2.0**-45) + UNDERFLOW
        rises, falls = (middle.gradient.lo > spread) & sure, (middle.gradient.hi < -spread) & sure
        empty = np.zeros(len(boxes), bool)
        if self.lowest:
            self._attain(middle.value, middle.trouble)
            floors = np.fmax(floors, self._floor(middle, whole, steep, reach, smooth))
            empty |= floors > self.upper
            bends_down = sure & (np.einsum("nii->ni", around.hessian.hi) < 0) & ~rises & ~falls
            rises, falls = rises | bends_down, falls | bends_down
        pushed = (rises | falls).any(axis=1) & ~empty
        cut = self._pushed(boxes[pushed], rises[pushed], falls[pushed], floors[pushed])
        image = krawczyk(centre, wide.low, wide.high, middle.gradient, around.hessian, free)
        outside = (image.high < boxes.low) | (image.low > boxes.high)
        none = smooth & (outside & free).any(axis=1)
        inside = ((image.low > wide.low) & (image.high < wide.high)) | ~free
        going = ~empty & ~pushed
        unique = going & smooth & ~none & inside.all(axis=1)
        found = replace(boxes, low=image.low, high=image.high).without_ends()
        self._keep(found[unique], wide[unique].without_ends())
        # What is left are boxes about whose interior nothing is known, and faces of all.
        near = np.asarray((relative <= THIN).all(axis=1, where=boxes.ends != 0))
        open_ = going & ~unique & ~none
        split_off = np.flatnonzero(boxes.closed & going & (near | ~open_))
        faces = boxes[split_off].faces()
        face_floors = np.full(len(faces), floors[split_off].min(initial=np.inf)) if len(faces) else floors[:0]
        left = np.flatnonzero(open_)
        rest = boxes[left]
        rest.ends[near[left]] = 0
        tight = smooth[left, None] & ~rest.closed[:, None]
        low = np.where(tight, np.fmax(rest.low, image.low[left]), rest.low)
        high = np.where(tight, np.fmin(rest.high, image.high[left]), rest.high)
        shrunk = replace(rest, low=low, high=high)
        halves = self._split(rest, shrunk, around[left], steep[left], floors[left])
        return together([cut, Waiting(faces, face_floors, np.zeros(len(faces), bool)), halves])

    def _around(self, centre: Array, wide: Boxes, whole: Enclosure) -> tuple[Enclosure, Enclosure]:
        """Enclose f at the centres, and on the widened boxes with its Hessian; without it where f is rough."""
        rough = whole.trouble.undefined | whole.trouble.kinked
        if not rough.any():
            return self.model.around(centre, wide.low, wide.high)
        n, d = wide.low.shape
        smooth = np.flatnonzero(~rough)
        found = self.model.curvatures(wide.low[smooth], wide.high[smooth])
        assert found.hessian is not None
        hessian = Interval(np.full((n, d, d), np.nan), np.full((n, d, d), np.nan))
        hessian.lo[smooth], hessian.hi[smooth] = found.hessian.lo, found.hessian.hi
        trouble = whole.trouble[np.arange(n)]
        trouble.undefined[smooth], trouble.kinked[smooth] = found.trouble.undefined, found.trouble.kinked
        around = Enclosure(whole.value, whole.gradient, hessian, trouble)
        return self.model.slopes(centre, centre), around

    def _keep(self, roots: Boxes, unique: Boxes) -> None:
        self.roots.append(roots)
        self.unique.append(unique)
        if self.lowest and len(roots):
            middles = np.clip(0.5 * roots.low + 0.5 * roots.high, *self.domain.T)
            self._attain(*self.model.value(middles, middles))

    def _attain(self, value: Interval, trouble: Trouble) -> None:
        """Lower the value known to be attained."""
        values = np.where(trouble.undefined | np.isnan(value.hi), np.inf, value.hi)
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
        fall += UNDERFLOW
        return np.asarray(middle.value.lo - fall)

    @staticmethod
    def _reasons(around: Enclosure) -> NDArray[np.str_]:
        rough = np.where(around.trouble.kinked, "kink", "degenerate")
        return np.where(around.trouble.undefined, "undefined", rough)

    def _split(self, before: Boxes, boxes: Boxes, around: Enclosure, steep: Array, floors: Array) -> Waiting:
        """Split what is not small, and leave what is undecided.

        before: the boxes as they were examined; boxes: what Krawczyk's operator left of them.
        """
        free = boxes.free
        size, old = boxes.high - boxes.low, before.high - before.low
        relative = np.where(free, size / self.widths, 0.0)
        ulps = 16 * np.spacing(np.maximum(np.abs(boxes.low), np.abs(boxes.high)))
        small = np.asarray(((relative <= SMALLEST) | (size <= ulps)).all(axis=1))
        stalled = _gets_nowhere(around, relative.max(axis=1))
        if self.lowest:
            # As low as the lowest value known is done; while such boxes are few, their minimizers are worth a proof.
            done = floors >= self.upper - self.tolerance
            rough = around.trouble.undefined | around.trouble.kinked
            small |= (stalled & np.isneginf(floors)) | (
                done & (rough | (stalled & (done.sum() > MOST_REFINED)))
            )
        self._leave(boxes[small], self._reasons(around)[small], floors[small])
        shrunk = np.asarray((size <= SHRUNK * old).all(axis=1, where=free) & ~small)
        left = ~small & ~shrunk
        parts, steep, which = boxes[left], steep[left], np.flatnonzero(left)
        while len(parts):
            relative = np.where(parts.free, (parts.high - parts.low) / self.widths, 0.0)
            parts = joined([*self._halved(parts, steep, relative)])
            steep, which = np.concatenate([steep, steep]), np.concatenate([which, which])
            if len(parts) * len(self.domain) ** 2 > FEW_ENTRIES:
                break
        split = Waiting(parts, floors[which], stalled[which])
        return together([Waiting(boxes[shrunk], floors[shrunk], stalled[shrunk]), split])

    @staticmethod
    def _halved(boxes: Boxes, steep: Array, relative: Array) -> tuple[Boxes, Boxes]:
        """Cut each box across the side along which the gradient may change most (maximal smear)."""
        size = boxes.high - boxes.low
        smear = np.where(boxes.free, np.where(boxes.free[:, :, None], steep, 0.0).max(axis=1) * size, -1.0)
        usable = np.isfinite(smear).all(axis=1) & (
            relative.max(axis=1) < MOST_SLENDER * _least(relative, boxes.free)
        )
        side = np.where(usable[:, None], smear, relative).argmax(axis=1)
        rows = np.arange(len(boxes))
        cut = boxes.low[rows, side] + CUT * size[rows, side]
        left_high, right_low = boxes.high.copy(), boxes.low.copy()
        left_high[rows, side] = right_low[rows, side] = cut
        left_ends, right_ends = boxes.ends.copy(), boxes.ends.copy()
        left_ends[rows, side] &= LOWER
        right_ends[rows, side] &= UPPER
        return replace(boxes, high=left_high, ends=left_ends), replace(boxes, low=right_low, ends=right_ends)


def _gets_nowhere(around: Enclosure, relative: Array) -> Flags:
    """Tell which boxes will stay undecided if they are split, by their sizes `relative` to the sides.

    They are tiny, or small and f is rough there, or small and the Hessian hardly changes and might be singular.
    """
    assert around.hessian is not None
    middle, radius = mid_rad(around.hessian)
    steady = radius.max(axis=(1, 2)) <= STEADY * np.abs(middle).max(axis=(1, 2))
    rough = around.trouble.undefined | around.trouble.kinked
    return np.asarray((relative < STALLED) | ((relative < STALLED_ROUGH) & (steady | rough)))


def _least(relative: Array, free: Flags) -> Array:
    return np.asarray(np.where(free, relative, np.inf).min(axis=1))
