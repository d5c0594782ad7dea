"""Boxes by the thousand: the parts of a closed box, and those that wait to be examined."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descentlab.certify.intervals import Array, Flags

# At the start every side is cut into so many pieces, by dimension: a few hundred boxes cost no more than one.
_PIECES = {1: 64, 2: 16, 3: 6, 4: 4, 5: 3, 6: 2}
# Boxes examined together.
BATCH = 16_384


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


def together(parts: list[Waiting]) -> Waiting:
    if len(parts) == 1:
        return parts[0]
    return Waiting(
        joined([p.boxes for p in parts]),
        np.concatenate([p.floors for p in parts]),
        np.concatenate([p.stalled for p in parts]),
    )


def all_faces(domain: Array) -> Boxes:
    """Cut the box and each of its faces into pieces to begin with."""
    d = len(domain)
    pieces = _PIECES.get(d, 1)
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


class Queue:
    """Boxes that wait: examined in the order they came, or, in search of the lowest value, roughly lowest bounds first.

    Boxes are kept in pieces, so that taking a batch does not move the others.
    """

    def __init__(self, first: Waiting, lowest: bool) -> None:
        self._pieces = deque([first])
        self._front: deque[Waiting] = deque()
        self._lowest = lowest
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
        while source and len(taken[-1]) + sum(map(len, taken[:-1])) < BATCH:
            taken.append(source.popleft())
        batch = together(taken)
        if len(batch) > BATCH:
            source.appendleft(batch[BATCH:])
            batch = batch[:BATCH]
        self.stalled -= int(batch.stalled.sum())
        return batch

    def _sort(self, upper: float) -> None:
        """Put the lowest boxes to the front, eight batches of them."""
        everything = self.everything()
        everything = everything[~(everything.floors > upper)]
        ahead = 8 * BATCH
        order = np.argsort(everything.floors, kind="stable")
        self._front = deque(everything[order[i : i + BATCH]] for i in range(0, min(ahead, len(order)), BATCH))
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
