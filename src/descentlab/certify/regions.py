"""Boxes left undecided, joined into regions, and what can be said of a region all the same."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from descentlab.certify.boxes import Boxes, joined
from descentlab.certify.enclose import Model
from descentlab.certify.intervals import Array
from descentlab.certify.points import certified, inside_unique
from descentlab.certify.result import CertifiedPoint, Region
from descentlab.certify.search import FLAT_SLOPE, Findings
from descentlab.stationary import merge

# Of more boxes than this, and where a limit was met, all that are undecided for one reason make one region.
MOST_JOINED = 100_000
# Only the lowest regions are asked whether they hold a minimum.
MOST_TESTED = 64
# The rims tried around a region, in units of its size, and the pieces a side of a rim is cut into, by dimension.
_RIMS = (2.0, 8.0, 64.0, 512.0)
_RIM_PIECES = {1: 1, 2: 32, 3: 12, 4: 5}


def settle(
    model: Model, domain: Array, findings: Findings
) -> tuple[list[CertifiedPoint], tuple[Region, ...]]:
    """Return the certified points, and the regions left undecided.

    An undecided box that lies where a certified point is known to be the only one is decided. So is what is left of the
    face beside a minimum or maximum that touches it within rounding: over the closed box they are one.
    """
    points, unsure = certified(model, domain, findings)
    loose = findings.undecided.closed
    if len(findings.undecided) <= MOST_JOINED:
        loose = loose | ~inside_unique(findings.undecided, findings.unique)
    else:
        loose = np.ones_like(loose)
    boxes = joined([findings.undecided[loose], unsure])
    slopes = model.slopes(unsure.low, unsure.high).gradient
    level = np.asarray((np.maximum(-slopes.lo, slopes.hi) <= FLAT_SLOPE).all(axis=1))
    reasons = np.concatenate([findings.reasons[loose], np.where(level, "flat", "face")])
    floors = np.concatenate([findings.floors[loose], np.full(len(unsure), -np.inf)])
    boxes = replace(boxes, low=np.maximum(boxes.low, domain[:, 0]), high=np.minimum(boxes.high, domain[:, 1]))
    left = np.ones(len(boxes), bool)
    for p in points:
        if ((p.held != 0) & (p.box[:, 0] < p.box[:, 1])).any():
            beside = (boxes.low <= p.box[:, 1]) & (boxes.high >= p.box[:, 0])
            within = (boxes.low >= p.unique_in[:, 0]) & (boxes.high <= p.unique_in[:, 1])
            left &= ~(beside & within).all(axis=1)
    return points, regions(model, domain, boxes[left], reasons[left], floors[left], points)


def regions(
    model: Model,
    domain: Array,
    boxes: Boxes,
    reasons: NDArray[np.str_],
    floors: Array,
    points: list[CertifiedPoint],
) -> tuple[Region, ...]:
    """Join boxes that touch, and are undecided for one reason, into regions, lowest first."""
    if not len(boxes):
        return ()
    widths = domain[:, 1] - domain[:, 0]
    sizes = ((boxes.high - boxes.low) / widths).max(axis=1)
    tolerance = max(1.01 * float(sizes.max()), 1e-12)
    names, rank = np.unique(reasons, return_inverse=True)
    labels = rank
    if len(boxes) <= MOST_JOINED and "limit" not in names:
        middles = np.column_stack([0.5 * boxes.low + 0.5 * boxes.high, 10.0 * rank])
        labels = merge(middles, np.append(widths, 1.0), tolerance)
    value, _ = model.value(boxes.low, boxes.high)
    lowest = np.fmax(floors, np.where(np.isnan(value.lo), -np.inf, value.lo))
    highest = np.where(np.isnan(value.hi), np.inf, value.hi)
    count = int(labels.max()) + 1
    low, high = np.full((count, len(domain)), np.inf), np.full((count, len(domain)), -np.inf)
    floor, top, kind = np.full(count, np.inf), np.full(count, -np.inf), np.empty(count, np.int64)
    np.minimum.at(low, labels, boxes.low)
    np.maximum.at(high, labels, boxes.high)
    np.minimum.at(floor, labels, lowest)
    np.maximum.at(top, labels, highest)
    kind[labels] = rank
    members = np.bincount(labels)
    by_value = np.lexsort((highest, lowest, labels))
    lowest_box = by_value[np.searchsorted(labels[by_value], np.arange(count))]
    hulls = np.stack([low, high], axis=2)
    known = np.concatenate([np.stack([p.box for p in points]), hulls]) if points else hulls
    tested = set(np.argsort(floor, kind="stable")[:MOST_TESTED].tolist())
    made = [
        Region(
            np.stack([low[k], high[k]], axis=1),
            0.5 * boxes.low[lowest_box[k]] + 0.5 * boxes.high[lowest_box[k]],
            int(members[k]),
            str(names[kind[k]]),
            (float(floor[k]), float(top[k])),
            k in tested
            and holds_minimum(model, domain, low[k], high[k], np.delete(known, len(points) + k, axis=0)),
        )
        for k in range(count)
    ]
    return tuple(sorted(made, key=lambda r: (r.value_interval, *r.box[:, 0])))


def holds_minimum(model: Model, domain: Array, low: Array, high: Array, known: Array) -> bool:
    """Tell whether a local minimum over the closed box is proved to lie in the region [low, high].

    It does if f is continuous on a slightly larger box, in which no point was certified (known: their boxes,
    (n, dim, 2)), and f is higher on all of that box's rim than somewhere inside: outside the region nothing of
    interest is left there.
    """
    widths = domain[:, 1] - domain[:, 0]
    d = len(domain)
    if d not in _RIM_PIECES or ((high - low) > 0.01 * widths).any():
        return False
    inside = np.stack([0.5 * low + 0.5 * high, low, high])
    for factor in _RIMS:
        pad = factor * np.maximum((high - low).max(), 4 * np.spacing(np.abs(high).max()))
        rim = np.stack([np.maximum(low - pad, domain[:, 0]), np.minimum(high + pad, domain[:, 1])], axis=1)
        if ((known[:, :, 0] <= rim[:, 1]) & (known[:, :, 1] >= rim[:, 0])).all(axis=1).any():
            return False
        _, trouble = model.value(rim[None, :, 0], rim[None, :, 1])
        attained, _ = model.value(inside, inside)
        faces = _faces(rim, domain)
        if trouble.undefined[0] or not len(faces):
            return False
        value, _ = model.value(faces[:, :, 0], faces[:, :, 1])
        if bool((value.lo > np.nanmin(attained.hi)).all()):
            return True
    return False


def _faces(rim: Array, domain: Array) -> Array:
    """Cut the faces of `rim` that are not faces of the domain into pieces, (n, dim, 2)."""
    d = len(rim)
    pieces = _RIM_PIECES[d]
    found = []
    for side, end in itertools.product(range(d), range(2)):
        if rim[side, end] == domain[side, end]:
            continue
        sides = []
        for k in range(d):
            edges = np.linspace(rim[k, 0], rim[k, 1], pieces + 1)
            edges[-1] = rim[k, 1]
            fixed = np.array([[rim[side, end]] * 2])
            sides.append(fixed if k == side else np.stack([edges[:-1], edges[1:]], axis=1))
        index = np.indices([len(s) for s in sides]).reshape(d, -1)
        found.append(np.stack([s[i] for s, i in zip(sides, index, strict=True)], axis=1))
    return np.concatenate(found) if found else np.empty((0, d, 2))
