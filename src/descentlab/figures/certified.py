"""Drawing data of certificates: points by kind, what is undecided, and how closely a point is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from descentlab.certify import Certificate, CertifiedPoint, Region
    from descentlab.certify.enclose import Model

Array = NDArray[np.float64]

# Later kinds are drawn over earlier ones.
KINDS = ("maximum", "saddle", "unknown", "minimum")
# An undecided region smaller than this share of a side is drawn as large, or it could not be seen.
LEAST = 0.025
# A larger one is looked at in so many cells a side; those where ∇f is proved not to vanish are not drawn.
CELLS = {1: 512, 2: 56}
PARTS = 4
# Bars of a histogram of values that points are spread over.
BINS = 120


@dataclass(frozen=True)
class Glyphs:
    """The points of one kind, inside or on the edge: points (n, dim), values (n,)."""

    kind: str
    on_edge: bool
    points: Array
    values: Array


@dataclass(frozen=True)
class Zoom:
    """How closely one point is known. alone_in (dim, 2): the box in which it is the only stationary point; offsets
    (dim, 2): bounds on the point, less the point itself; doubles (dim,): the distance between floating-point numbers
    there; closer (dim,): how many times narrower the second box is, infinite if it is a point."""

    point: CertifiedPoint
    alone_in: Array
    offsets: Array
    doubles: Array
    closer: Array


@dataclass(frozen=True)
class Row:
    """Points in one row of a picture of values: x are their values (n,), y (n,) where they stand, spread out within
    ±0.5 of the row's middle."""

    label: str
    kind: str
    on_edge: bool
    x: Array
    y: Array


def glyphs(certificate: Certificate) -> tuple[Glyphs, ...]:
    """Return the certified points, one entry for each kind that there is, inside the box first."""
    found = []
    for on_edge, points in ((False, certificate.points), (True, certificate.boundary)):
        for kind in KINDS:
            some = [p for p in points if p.kind == kind]
            if some:
                places = np.array([p.point for p in some])
                found.append(Glyphs(kind, on_edge, places, np.array([p.value for p in some])))
    return tuple(found)


def zoom(certificate: Certificate) -> Zoom | None:
    """Return how closely the lowest minimum inside the box is known – of no minimum, the lowest point."""
    inside = sorted(certificate.points, key=lambda p: (p.kind != "minimum", p.value))
    if not inside:
        return None
    point = inside[0]
    offsets = point.box - point.point[:, None]
    wide, tight = (np.diff(box, axis=1)[:, 0] for box in (point.unique_in, point.box))
    with np.errstate(divide="ignore", over="ignore"):
        closer = np.where(tight > 0, wide / tight, np.inf)
    return Zoom(point, point.unique_in, offsets, np.spacing(np.abs(point.point)), closer)


def open_boxes(certificate: Certificate) -> Array:
    """Return boxes (n, dim, 2) that cover what is undecided, in one or two variables, large enough to be seen.

    A region is known by its hull alone, which of a ring is a full square. So a large one is cut into cells, and those
    in which interval arithmetic proves ∇f ≠ 0, or which a certified point has to itself, are left out.
    """
    f = certificate.objective
    side = LEAST * f.widths
    parts = [np.empty((0, f.dim, 2))]
    for region in certificate.undecided:
        width = np.diff(region.box, axis=1)[:, 0]
        middle = region.box.mean(axis=1)
        half = np.maximum(width, side) / 2
        seen = np.stack([middle - half, middle + half], axis=1)[None]
        if f.dim in CELLS and (width > 2 * side).any() and region.boxes > 1:
            cells = _cells(certificate, region)
            seen = np.where((width < side)[:, None], seen, cells)
        parts.append(seen)
    return np.concatenate(parts)


def _cells(certificate: Certificate, region: Region) -> Array:
    """Return the cells of a region's hull that may hold a stationary point, those of a row that touch as one.

    A cell not settled as a whole is looked at once more in PARTS a side.
    """
    from descentlab.certify.certify import model_of

    f, n = certificate.objective, CELLS[certificate.objective.dim]
    model = model_of(f)
    edges = [np.linspace(a, b, n + 1) for a, b in region.box]
    index = np.indices([n] * f.dim).reshape(f.dim, -1).T
    cells = np.stack([np.column_stack([e[i], e[i + 1]]) for e, i in zip(edges, index.T, strict=True)], axis=1)
    kept = _may_hold(model, certificate, cells)
    part = np.indices([PARTS] * f.dim).reshape(f.dim, -1).T
    low, width = cells[kept, None, :, 0], np.diff(cells[kept], axis=2)[:, None, :, 0]
    parts = np.stack([low + width * part / PARTS, low + width * (part + 1) / PARTS], axis=-1)
    some = _may_hold(model, certificate, parts.reshape(-1, f.dim, 2))
    kept[kept] = some.reshape(len(parts), len(part)).any(axis=1)
    return _runs(edges, kept.reshape([n] * f.dim))


def _may_hold(model: Model, certificate: Certificate, boxes: Array) -> NDArray[np.bool_]:
    """Tell which boxes (n, dim, 2) may hold a stationary point, of f or of f on a face, that is not certified."""
    maybe = _may_vanish(model, certificate, boxes)
    alone = np.array([p.unique_in for p in certificate.points]).reshape(-1, boxes.shape[1], 2)
    met = np.full(len(boxes), -1)
    for k, hole in enumerate(alone):
        meets = maybe & ((boxes[:, :, 0] < hole[:, 1]) & (boxes[:, :, 1] > hole[:, 0])).all(axis=1)
        met[meets] = np.where(met[meets] == -1, k, -2)  # what meets two is left as it is
    known = np.flatnonzero(met >= 0)
    rest = [_without(boxes[i], alone[met[i]]) for i in known]
    if rest:
        open_ = _may_vanish(model, certificate, np.concatenate(rest))
        owner = np.repeat(known, [len(pieces) for pieces in rest])
        maybe[known] = False
        np.logical_or.at(maybe, owner, open_)
    return maybe


def _may_vanish(model: Model, certificate: Certificate, boxes: Array) -> NDArray[np.bool_]:
    """Tell on which boxes (n, dim, 2) the gradient is not proved to be other than zero."""
    if not len(boxes):
        return np.zeros(0, bool)
    slopes = model.slopes(boxes[:, :, 0], boxes[:, :, 1])
    # On a face the slope across it does not matter.
    inside = (boxes[:, :, 0] > certificate.domain[:, 0]) & (boxes[:, :, 1] < certificate.domain[:, 1])
    sloping = (((slopes.gradient.lo > 0) | (slopes.gradient.hi < 0)) & inside).any(axis=1)
    return np.asarray(~sloping | slopes.trouble.undefined | slopes.trouble.kinked)


def _without(box: Array, hole: Array) -> Array:
    """Return what is left of a box without the hole, as boxes (n, dim, 2)."""
    left, rest = box.copy(), []
    for k in range(len(box)):
        for side, (low, high) in enumerate(((left[k, 0], hole[k, 0]), (hole[k, 1], left[k, 1]))):
            if low < high:
                piece = left.copy()
                piece[k] = low, high
                rest.append(piece)
                left[k, side] = hole[k, side]
    return np.array(rest).reshape(-1, len(box), 2)


def _runs(edges: Sequence[Array], kept: NDArray[np.bool_]) -> Array:
    """Join cells that follow each other along the first variable: boxes (n, dim, 2)."""
    lines = kept.reshape(len(kept), -1)
    padded = np.pad(lines, ((1, 1), (0, 0))).astype(np.int8)
    change = np.diff(padded, axis=0)
    line, first = np.nonzero((change > 0).T)
    _, after = np.nonzero((change < 0).T)
    sides = [np.stack([edges[0][first], edges[0][after]], axis=1)]
    if len(edges) == 2:
        sides.append(np.stack([edges[1][line], edges[1][line + 1]], axis=1))
    return np.stack(sides, axis=1)


def rows(certificate: Certificate) -> tuple[Row, ...]:
    """Return all certified points by kind and value, for functions of many variables: minima first, saddle points by
    their index, maxima last; then those on the edge."""
    found: list[tuple[str, str, bool, list[CertifiedPoint]]] = []
    for on_edge, points in ((False, certificate.points), (True, certificate.boundary)):
        groups: dict[tuple[int, int, str], list[CertifiedPoint]] = {}
        for p in points:
            order = ("minimum", "saddle", "maximum", "unknown").index(p.kind)
            index = p.index or 0 if p.kind == "saddle" and not on_edge else 0
            groups.setdefault((order, index, p.kind), []).append(p)
        for (_, index, kind), some in sorted(groups.items()):
            name = "unknown kind" if kind == "unknown" else kind
            name += f", index {index}" if index else ", on the edge" if on_edge else ""
            found.append((f"{name} ({len(some):,})", kind, on_edge, some))
    values = np.array([p.value for *_, some in found for p in some])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    width = (high - low) / BINS or 1.0
    made = []
    for label, kind, on_edge, some in found:
        x = np.array([p.value for p in some])
        made.append(Row(label, kind, on_edge, x, spread(np.floor((x - low) / width + 0.5).astype(np.int64))))
    return tuple(made)


def spread(bins: NDArray[np.int64]) -> Array:
    """Return offsets within ±0.4 that set points of one bin apart, each bin about its middle.

    >>> spread(np.array([0, 5, 5])).tolist()
    [0.0, -0.2, 0.2]
    """
    order = np.argsort(bins, kind="stable")
    _, first, count = np.unique(bins[order], return_index=True, return_counts=True)
    rank = np.arange(len(bins)) - np.repeat(first, count)
    many = np.repeat(count, count)
    offsets = np.empty(len(bins))
    offsets[order] = 0.8 * ((rank + 0.5) / many - 0.5)
    return offsets
