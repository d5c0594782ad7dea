"""Boxes by the thousand: the parts of a closed box, and those that wait to be examined."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from descentlab.certify.intervals import Array, Flags

Sides = NDArray[np.int8]
LOWER, UPPER = 1, 2
# At the start every side is cut into so many pieces, by dimension: a few hundred boxes cost no more than one.
_PIECES = {1: 64, 2: 16, 3: 6, 4: 4, 5: 3, 6: 2}
# Boxes examined together, and the most numbers that all their Hessians may hold.
BATCH = 16_384
MOST_ENTRIES = 1_000_000


@dataclass(frozen=True)
class Boxes:
    """n boxes: low, high (n, dim), and how they meet the faces of the domain.

    held (n, dim): −1 or 1 where a coordinate is held at the domain's lower or upper bound, else 0; ends (n, dim): where
    a box holds the domain's faces too, LOWER or UPPER or both, else 0.
    """

    low: Array
    high: Array
    held: Sides
    ends: Sides

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, index: NDArray[np.generic] | slice) -> Boxes:
        return Boxes(self.low[index], self.high[index], self.held[index], self.ends[index])

    @property
    def free(self) -> Flags:
        return np.asarray(self.held == 0)

    @property
    def closed(self) -> Flags:
        """Whether a box holds a part of a face beside its interior, (n,)."""
        return np.asarray((self.ends != 0).any(axis=1))

    def without_ends(self) -> Boxes:
        return replace(self, ends=np.zeros_like(self.ends))

    def on_face(self, side: NDArray[np.int64], end: int) -> Boxes:
        """Return the part of each box on one of its faces: coordinate side[i] at its lower or upper end."""
        rows = np.arange(len(self))
        low, high, held, ends = self.low.copy(), self.high.copy(), self.held.copy(), self.ends.copy()
        if end == LOWER:
            high[rows, side] = low[rows, side]
        else:
            low[rows, side] = high[rows, side]
        held[rows, side] = -1 if end == LOWER else 1
        ends[rows, side] = 0
        return Boxes(low, high, held, ends)

    def faces(self) -> Boxes:
        """Return the parts of the boxes on the domain's faces, each once: on coordinate k, and on none before k."""
        parts = [self[:0]]
        for k in range(self.low.shape[1]):
            for end in (LOWER, UPPER):
                some = self[np.flatnonzero(self.ends[:, k] & end)]
                some.ends[:, :k] = 0
                parts.append(some.on_face(np.full(len(some), k), end))
        return joined(parts)


def joined(parts: list[Boxes]) -> Boxes:
    return Boxes(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("low", "high", "held", "ends"))
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


def together(parts: list[Waiting]) -> Waiting:
    if len(parts) == 1:
        return parts[0]
    return Waiting(
        joined([p.boxes for p in parts]),
        np.concatenate([p.floors for p in parts]),
        np.concatenate([p.stalled for p in parts]),
    )


def pieces_of(domain: Array) -> Boxes:
    """Cut the closed box into pieces to begin with; those at its faces hold them."""
    d = len(domain)
    pieces = _PIECES.get(d, 1)
    inner = (np.arange(1, pieces) + 0.0137 * np.sqrt(2)) / pieces
    index = np.indices([pieces] * d).reshape(d, -1).T
    low, high = np.empty(index.shape), np.empty(index.shape)
    for k, (first, last) in enumerate(domain):
        edges = np.concatenate([[first], first + inner * (last - first), [last]])
        low[:, k], high[:, k] = edges[index[:, k]], edges[index[:, k] + 1]
    ends = LOWER * (index == 0) + UPPER * (index == pieces - 1)
    return Boxes(low, high, np.zeros(index.shape, np.int8), ends.astype(np.int8))


class Queue:
    """Boxes that wait: examined in the order they came, or, in search of the lowest value, roughly lowest bounds first.

    Boxes are kept in pieces, so that taking a batch does not move the others.
    """

    def __init__(self, first: Waiting, lowest: bool) -> None:
        self._pieces = deque([first])
        self._front: deque[Waiting] = deque()
        self._lowest = lowest
        self._batch = max(1, min(BATCH, MOST_ENTRIES // first.boxes.low.shape[1] ** 2))
        self._none = first[:0]
        self.stalled = int(first.stalled.sum())

    def __len__(self) -> int:
        return sum(map(len, self._pieces)) + sum(map(len, self._front))

    def add(self, more: Waiting) -> None:
        if len(more):
            self._pieces.append(more)
            self.stalled += int(more.stalled.sum())

    def take(self, upper: float) -> Waiting:
        """Return the next batch; boxes on which f is above `upper` are dropped."""
        if self._lowest and not self._front:
            self._sort(upper)
        source = self._front if self._lowest else self._pieces
        if not source:
            return self._none
        taken = [source.popleft()]
        while source and len(taken[-1]) + sum(map(len, taken[:-1])) < self._batch:
            taken.append(source.popleft())
        batch = together(taken)
        if len(batch) > self._batch:
            source.appendleft(batch[self._batch :])
            batch = batch[: self._batch]
        self.stalled -= int(batch.stalled.sum())
        return batch

    def _sort(self, upper: float) -> None:
        """Put the lowest boxes to the front, eight batches of them."""
        everything = self.everything()
        everything = everything[~(everything.floors > upper)]
        ahead = 8 * self._batch
        order = np.argsort(everything.floors, kind="stable")
        firsts = range(0, min(ahead, len(order)), self._batch)
        self._front = deque(everything[order[i : i + self._batch]] for i in firsts)
        self._pieces = deque([everything[order[ahead:]]] if len(order) > ahead else [])

    def everything(self) -> Waiting:
        """Take all boxes out."""
        everything = together([self._none, *self._front, *self._pieces])
        self._front.clear()
        self._pieces.clear()
        return everything

    def take_stalled(self) -> Waiting:
        """Take out the boxes that get nowhere."""
        everything = self.everything()
        self.stalled = 0
        self.add(everything[~everything.stalled])
        return everything[everything.stalled]
