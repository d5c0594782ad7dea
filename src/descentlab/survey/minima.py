"""The minima a survey has found so far, with their counts, kept chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.objective import Objective
from descentlab.stationary import classify
from descentlab.survey.chunk import SURVEY_OUTCOMES, Chunk, Places
from descentlab.survey.places import KINDS, SPREAD, lowest_of, number_minima, spread_cells
from descentlab.survey.statistics import wilson

if TYPE_CHECKING:
    from jaxtyping import Float

Array = NDArray[np.float64]
# So many points are kept of a minimum that is a set, to know it again.
_MOST_POINTS = 4096


@dataclass(frozen=True, eq=False)
class Minimum:
    """One distinct minimum and how many starts reached it.

    kind: "interior" (Hessian check), "boundary" (held at the box's edge, with f rising inward
    and a Hessian check along it), "kink" (f rises on every side, the gradient jumps) or "flat"
    (degenerate: no lower point nearby). share: hits over all starts, with its 95 % Wilson
    interval. steps: the median number of steps its starts took. id: its number in the order of
    discovery, which is what a store's files say.
    """

    point: Float[np.ndarray, " dim"]
    value: float
    eigenvalues: Float[np.ndarray, " dim"]
    kind: str
    hits: int
    share: float
    share_interval: tuple[float, float]
    steps: float
    id: int


class Catalogue:
    """The minima found so far. Chunks are added in the order of their starts, so that the ids, given
    in the order of discovery, and the representatives do not depend on who computed what when.

    starts: how many were added; outcomes (outcome,): counts by SURVEY_OUTCOMES; by id: hits (id,),
    the lowest representative's points (id, dim) and values (id,), kinds (id,).
    """

    def __init__(self, objective: Objective, value_scale: float) -> None:
        self.objective = objective
        self.value_scale = value_scale
        self.starts = 0
        self.outcomes = np.zeros(len(SURVEY_OUTCOMES), np.int64)
        self.points = np.empty((0, objective.dim))
        self.values = np.empty(0)
        self.kinds = np.empty(0, np.int8)
        self.hits = np.empty(0, np.int64)
        # How many starts took how many steps, sparse: id·_BINS + bin, ascending, and the counts.
        self._steps = np.empty(0, np.int64), np.empty(0, np.int64)
        # A flat set grows: points on it, as seen chunk by chunk, and their ids; and so does a valley of kinks.
        none = Places(np.empty((0, objective.dim)), np.empty(0), np.empty(0, np.int8))
        self._spread = {kind: (none, np.empty(0, np.int32)) for kind in SPREAD}
        # Two parts of a flat set found to be one keep both ids; the later one counts as the earlier.
        self._merged: dict[int, int] = {}

    def add(self, chunk: Chunk) -> NDArray[np.int32]:
        """Add the next chunk; return the id of the minimum each of its starts reached, −1 for none."""
        ids = self.identify(chunk.places)
        reached: NDArray[np.int32] = np.append(ids, -1)[chunk.reached].astype(np.int32)
        self.count(chunk.outcomes, reached, chunk.taken)
        return reached

    def identify(self, places: Places) -> NDArray[np.int32]:
        """Return the id of each place, new ones, from the lowest value up, for those not known."""
        ids = np.empty(len(places.values), np.int32)
        for code, kind in enumerate(KINDS):
            new = np.flatnonzero(places.kinds == code)
            if new.size:
                ids[new] = self._ids_of(kind, Places(*(a[new] for a in vars(places).values())))
        involved = np.unique(ids)
        points = np.concatenate([self.points[involved], places.points])
        values = np.concatenate([self.values[involved], places.values])
        best = lowest_of(points, values, np.searchsorted(involved, np.concatenate([involved, ids])))
        self.points[involved], self.values[involved] = points[best], values[best]
        return ids

    def _ids_of(self, kind: str, new: Places) -> NDArray[np.int32]:
        if kind in SPREAD:
            old, old_ids = self._spread[kind]
        else:
            old_ids = np.flatnonzero(self.kinds == KINDS.index(kind)).astype(np.int32)
            old = Places(self.points[old_ids], self.values[old_ids], self.kinds[old_ids])
        points = np.concatenate([old.points, new.points])
        values = np.concatenate([old.values, new.values])
        labels = number_minima(self.objective, points, values, kind, self.value_scale)
        before, now = labels[: len(old_ids)], labels[len(old_ids) :]
        none = np.iinfo(np.int32).max
        ids = np.full(int(labels.max()) + 1, none, np.int32)
        np.minimum.at(ids, before, old_ids)
        self._merged |= {int(a): int(ids[b]) for a, b in zip(old_ids, before, strict=True) if a != ids[b]}
        present, inverse = np.unique(now, return_inverse=True)
        best = lowest_of(new.points, new.values, inverse)
        fresh = best[ids[present] == none]
        fresh = fresh[np.lexsort([*new.points[fresh].T[::-1], new.values[fresh]])]
        ids[now[fresh]] = np.arange(len(self.hits), len(self.hits) + len(fresh))
        self._append(Places(new.points[fresh], new.values[fresh], new.kinds[fresh]))
        if kind in SPREAD:
            both = np.concatenate([old_ids, ids[now]])
            self._spread[kind] = self._thinned(
                Places(points, values, np.concatenate([old.kinds, new.kinds])), both
            )
        return ids[now]

    def _thinned(self, places: Places, ids: NDArray[np.int32]) -> tuple[Places, NDArray[np.int32]]:
        """Keep one point a cell of every minimum, the first, and the first _MOST_POINTS of those."""
        cells = spread_cells(places.points, ids.astype(np.int64), self.objective.widths)
        kept = np.sort(np.unique(cells, return_index=True)[1])
        order = np.argsort(ids[kept], kind="stable")
        _, first, count = np.unique(ids[kept][order], return_index=True, return_counts=True)
        rank = np.empty(len(kept), np.int64)
        rank[order] = np.arange(len(kept)) - np.repeat(first, count)
        kept = kept[rank < _MOST_POINTS]
        return Places(*(a[kept] for a in vars(places).values())), ids[kept]

    def _append(self, new: Places) -> None:
        count = len(new.values)
        self.points = np.concatenate([self.points, new.points])
        self.values = np.concatenate([self.values, new.values])
        self.kinds = np.concatenate([self.kinds, new.kinds])
        self.hits = np.concatenate([self.hits, np.zeros(count, np.int64)])

    def count(self, outcomes: NDArray[np.int8], reached: NDArray[np.int32], taken: NDArray[np.int64]) -> None:
        """Count starts with these outcomes, minima reached and steps taken."""
        self.starts += len(outcomes)
        self.outcomes += np.bincount(outcomes, minlength=len(SURVEY_OUTCOMES))
        hit = reached >= 0
        self.hits += np.bincount(reached[hit], minlength=len(self.hits))
        # Far fewer distinct pairs than starts, as a rule: count them first.
        pairs, counts = np.unique(
            reached[hit].astype(np.int64) * _BINS + _bin(taken[hit]), return_counts=True
        )
        self._steps = _summed(np.append(self._steps[0], pairs), np.append(self._steps[1], counts))

    @property
    def roots(self) -> NDArray[np.int32]:
        """The id that each id counts as, (id,)."""
        roots = np.arange(len(self.hits), dtype=np.int32)
        for later in sorted(self._merged):  # an earlier id's root is settled before
            roots[later] = roots[self._merged[later]]
        return roots

    def hits_by_minimum(self) -> NDArray[np.int64]:
        """The hits of each minimum, in no particular order."""
        total = np.bincount(self.roots, weights=self.hits, minlength=len(self.hits)).astype(np.int64)
        return total[total > 0]

    def minima(self) -> tuple[tuple[Minimum, ...], NDArray[np.int32]]:
        """Return the minima, lowest first, and the place of every id among them, (id,)."""
        roots = self.roots
        ids, inverse = np.unique(roots, return_inverse=True)
        best = lowest_of(self.points, self.values, inverse)
        order = np.lexsort([*self.points[best].T[::-1], self.values[best]])
        ranks = np.empty(len(ids), np.int32)
        ranks[order] = np.arange(len(ids))
        hits = np.bincount(inverse, weights=self.hits, minlength=len(ids)).astype(np.int64)
        pairs, each = self._steps
        steps = _medians(*_summed(inverse[pairs // _BINS] * _BINS + pairs % _BINS, each))
        eigenvalues = self._eigenvalues(best)
        found = [
            Minimum(
                self.points[best[i]],
                float(self.values[best[i]]),
                eigenvalues[i],
                KINDS[self.kinds[best[i]]],
                int(hits[i]),
                int(hits[i]) / self.starts,
                wilson(int(hits[i]), self.starts),
                float(steps[i]),
                int(ids[i]),
            )
            for i in order
        ]
        return tuple(found), ranks[inverse]

    def _eigenvalues(self, which: NDArray[np.int64]) -> Array:
        """Return the Hessian's eigenvalues at these representatives, NaN at kinks; 0 along a bound's normal."""
        x, f = self.points[which], self.objective
        low, high = f.domain.T
        boundary = (self.kinds[which] == KINDS.index("boundary"))[:, None]
        eigenvalues = classify(f, x, ~(boundary & ((x <= low) | (x >= high)))).eigenvalues
        eigenvalues[self.kinds[which] == KINDS.index("kink")] = np.nan
        return eigenvalues


# Steps are counted exactly up to 127, then in sixteen bins an octave: a median to within 4 %.
_EXACT, _PER_OCTAVE = 128, 16
_BINS = _EXACT + _PER_OCTAVE * 24


def _bin(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bin of each number of steps."""
    octave = np.frexp(np.maximum(steps, _EXACT).astype(np.float64))[1] - 8  # 128 … 255 is octave 0
    within = (np.maximum(steps, _EXACT) >> (octave + 3)) - _PER_OCTAVE
    return np.where(steps < _EXACT, steps, _EXACT + octave * _PER_OCTAVE + within)


def _medians(pairs: NDArray[np.int64], counts: NDArray[np.int64]) -> Array:
    """Return the median number of steps of each minimum: the middle of its bin.

    pairs: minimum·_BINS + bin, ascending, with counts, so that a minimum's pairs are a run.
    """
    first = np.flatnonzero(np.diff(pairs // _BINS, prepend=-1))
    until = np.cumsum(counts)
    before = until[first] - counts[first]
    total = np.diff(np.append(before, until[-1:]))
    return _middle(pairs[np.searchsorted(until, before + (total + 1) // 2)] % _BINS)


def _middle(place: NDArray[np.int64]) -> Array:
    """Return the middle of each bin: a number of steps."""
    octave, within = np.divmod(np.maximum(place - _EXACT, 0), _PER_OCTAVE)
    width = 1 << (octave + 3)
    return np.where(place < _EXACT, place, (_PER_OCTAVE + within) * width + (width - 1) / 2).astype(
        np.float64
    )


def _summed(
    keys: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct keys, ascending, and the sums of their counts."""
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[first], np.add.reduceat(counts, first) if len(first) else counts
