"""From boxes that each hold one root to certified points: narrowed, told apart, and named by kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from descentlab.certify.boxes import Boxes, joined
from descentlab.certify.enclose import Model
from descentlab.certify.hunt import evaluated
from descentlab.certify.intervals import Array, Flags
from descentlab.certify.krawczyk import inverted, krawczyk, spectrum
from descentlab.certify.result import CertifiedPoint
from descentlab.certify.search import Findings

# Krawczyk's operator squares the width of a box once it is small; a box where it barely works takes more rounds.
ROUNDS = 60
# A box that shrinks to no less than this share has met rounding.
STALE = 0.97
# Newton's steps in doubles before a box this share of the sides wide is tried.
NEWTON, TINY = 4, 2.0**-40
# Narrower than this share of the domain's sides is of no use: coordinates are doubles.
NARROW = 2.0**-50
# Roots whose middles are this close, in box sides, are looked at for being the same one.
NEAR = 1e-7


def narrowed(model: Model, roots: Boxes, widths: Array) -> Boxes:
    """Return boxes around the same roots, narrowed until rounding stops it, or to NARROW of the sides."""
    low, high = roots.low.copy(), roots.high.copy()
    free = roots.free
    going = _near_newton(model, low, high, free, widths)
    for _ in range(ROUNDS):
        if not len(going):
            break
        a, b = low[going], high[going]
        centre = 0.5 * a + 0.5 * b
        middle, around = model.around(centre, a, b)
        assert around.hessian is not None
        image = krawczyk(centre, a, b, middle.gradient, around.hessian, free[going])
        low[going], high[going] = np.fmax(a, image.low), np.fmin(b, image.high)
        better = (high[going] - low[going] < STALE * (b - a)).any(axis=1)
        wide = (high[going] - low[going] > NARROW * widths).any(axis=1)
        going = going[better & wide]
    return replace(roots, low=low, high=high)


def _near_newton(model: Model, low: Array, high: Array, free: Flags, widths: Array) -> NDArray[np.int64]:
    """Narrow most boxes at once, in place, and return the others: Krawczyk's operator on a tiny box around the root
    that Newton's method finds in doubles. If it stays inside, the only root of the large box is there."""
    centre = 0.5 * low + 0.5 * high
    for _ in range(NEWTON):
        _, slopes, hessian = evaluated(model.full, centre)
        hessian = np.where(free[:, :, None] & free[:, None, :], hessian, np.eye(free.shape[1]))
        step = np.einsum("nij,nj->ni", inverted(hessian), np.where(free, slopes, 0.0))
        centre = np.where(np.isfinite(step), np.clip(centre - step, low, high), centre)
    pad = np.where(free, TINY * widths, 0.0)
    tiny_low, tiny_high = np.maximum(centre - pad, low), np.minimum(centre + pad, high)
    middle, around = model.around(centre, tiny_low, tiny_high)
    assert around.hessian is not None
    image = krawczyk(centre, tiny_low, tiny_high, middle.gradient, around.hessian, free)
    inside = ((image.low > tiny_low) & (image.high < tiny_high)) | ~free
    found = inside.all(axis=1)
    low[found], high[found] = image.low[found], image.high[found]
    return np.flatnonzero(~found)


def distinct(roots: Boxes, unique: Boxes, widths: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of one box for each root, and of those that cannot be told from another.

    Two narrowed boxes hold the same root if one lies where the other's root is the only one. Only boxes that
    fall into one cell of a grid are compared. With dim + 1 grids, each shifted against the others, every pair
    that overlaps shares a cell of one of them, unless a box is wider than a part of a cell: such boxes are
    compared with all.
    """
    d = len(widths)
    middles = (0.5 * roots.low + 0.5 * roots.high) / widths
    narrow = ((roots.high - roots.low) / widths < NEAR / (2 * d + 2)).all(axis=1)
    kept, unsure = np.flatnonzero(narrow), [np.array([], np.int64)]
    for shift in range(d + 1):
        cells = np.floor(middles[kept] / NEAR + shift / (d + 1))
        _, group = np.unique(np.column_stack([cells, roots.held[kept]]), axis=0, return_inverse=True)
        order = np.lexsort((roots.low[kept, 0], group.reshape(-1)))
        kept, group = kept[order], group.reshape(-1)[order]
        again = np.zeros(len(kept), bool)
        # In this order, boxes `back` places apart that meet have all those between them meet the first of them.
        for back in range(1, len(kept)):
            later = np.flatnonzero(group[back:] == group[:-back]) + back
            later = later[roots.low[kept[later], 0] <= roots.high[kept[later - back], 0]]
            if not len(later):
                break
            mine, theirs = kept[later], kept[later - back]
            same = _within(roots[mine], unique[theirs]) | _within(roots[theirs], unique[mine])
            meets = _overlap(roots[mine], roots[theirs])
            unsure.append(mine[meets & ~same])
            again[later] |= same | meets
        kept = kept[~again]
    for i in np.flatnonzero(~narrow):
        others = kept[(roots.held[kept] == roots.held[i]).all(axis=1)]
        mine = np.full(len(others), i)
        same = _within(roots[others], unique[mine]) | _within(roots[mine], unique[others])
        if not same.any() and _overlap(roots[mine], roots[others]).any():
            unsure.append(np.array([i]))
        elif not same.any():
            kept = np.append(kept, i)
    return np.sort(kept), np.concatenate(unsure)


def _overlap(a: Boxes, b: Boxes) -> Flags:
    return np.asarray(((a.low <= b.high) & (b.low <= a.high)).all(axis=1))


def _within(inner: Boxes, outer: Boxes) -> Flags:
    return np.asarray(((inner.low >= outer.low) & (inner.high <= outer.high)).all(axis=1))


def inside_unique(boxes: Boxes, unique: Boxes) -> Flags:
    """Tell which boxes lie where a known root is the only one; n·m comparisons, a block at a time."""
    inside = np.zeros(len(boxes), bool)
    if not len(unique):
        return inside
    block = max(1, 4_000_000 // (len(unique) * unique.low.shape[1]))
    for first in range(0, len(boxes), block):
        part = slice(first, first + block)
        low, high, held = boxes.low[part, None], boxes.high[part, None], boxes.held[part, None]
        fits = (low >= unique.low) & (high <= unique.high) & (held == unique.held)
        inside[part] = fits.all(axis=2).any(axis=1)
    return inside


def certified(model: Model, domain: Array, findings: Findings) -> tuple[list[CertifiedPoint], Boxes]:
    """Return the certified points, lowest first, and the boxes of roots too near a face to tell.

    A root outside the box is left out. One that might lie on a face is a minimum (or a maximum) over the closed
    box if f is proved to be convex (or concave) all around it.
    """
    with np.errstate(all="ignore"):
        return _certified(model, domain, findings)


def _certified(model: Model, domain: Array, findings: Findings) -> tuple[list[CertifiedPoint], Boxes]:
    widths = domain[:, 1] - domain[:, 0]
    roots = narrowed(model, findings.roots, widths)
    kept, alike = distinct(roots, findings.unique, widths)
    merged, roots, unique = roots[alike], roots[kept], findings.unique[kept]
    free = roots.free
    outside = np.asarray((free & ((roots.high < domain[:, 0]) | (roots.low > domain[:, 1]))).any(axis=1))
    roots, unique = roots[~outside], unique[~outside]
    free = roots.free
    e = model.curvatures(roots.low, roots.high)
    assert e.hessian is not None
    s = spectrum(e.hessian, free)
    low_face = np.where(roots.held < 0, e.gradient.lo, -e.gradient.hi)
    high_face = np.where(roots.held < 0, e.gradient.hi, -e.gradient.lo)
    held = ~free
    rises, falls = (low_face > 0) | free, (high_face < 0) | free
    inward, outward = np.asarray(rises.all(axis=1)), np.asarray(falls.all(axis=1))
    settled_faces = np.asarray((rises | falls).all(axis=1))
    touching = np.asarray((free & ((roots.low <= domain[:, 0]) | (roots.high >= domain[:, 1]))).any(axis=1))
    points, unsure = [], []
    count = free.sum(axis=1)
    for i in range(len(roots)):
        on_face = bool(held[i].any())
        if on_face and bool(settled_faces[i]) and not (inward[i] or outward[i]):
            continue  # f rises into the box along one held coordinate and falls along another
        kind, index = _kind(int(count[i]), int(s.negative[i]), bool(s.settled[i]))
        bowl = kind in ("minimum", "maximum")
        if on_face:
            kind = _kind_on_face(kind, int(count[i]), bool(inward[i]), bool(outward[i]))
        if kind == "undecided" or (touching[i] and not bowl):
            unsure.append(i)
            continue
        k = int(count[i])
        box = np.stack([roots.low[i], roots.high[i]], axis=1)
        sides = roots.held[i].copy()
        if touching[i]:
            condition = _condition(s.low[i, :k], s.high[i, :k])
            beside = _with_face(model, roots[i : i + 1], unique[i : i + 1], condition)
            if beside is None:
                unsure.append(i)
                continue
            box = beside
            sides[free[i] & (roots.low[i] <= domain[:, 0])] = -1
            sides[free[i] & (roots.high[i] >= domain[:, 1])] = 1
        value = (float(e.value.lo[i]), float(e.value.hi[i]))
        points.append(
            CertifiedPoint(
                np.clip(0.5 * roots.low[i] + 0.5 * roots.high[i], domain[:, 0], domain[:, 1]),
                box,
                np.stack([unique.low[i], unique.high[i]], axis=1),
                0.5 * value[0] + 0.5 * value[1],
                value,
                kind,
                index,
                np.stack([s.low[i, :k], s.high[i, :k]], axis=1),
                sides,
            )
        )
    points.sort(key=lambda p: (p.value, *p.point))
    return points, joined([merged, roots[np.array(unsure, np.int64)]])


def _condition(low: Array, high: Array) -> float:
    """Return the largest ratio of two eigenvalues within these bounds."""
    sizes = np.abs(np.stack([low, high]))
    return float(sizes.max() / sizes.min())


def _with_face(model: Model, root: Boxes, unique: Boxes, condition: float) -> Array | None:
    """Return a box (dim, 2) around a root that may lie just outside a face, with the extremum over the closed box.

    f is strictly convex (or concave) in the uniqueness box, its Hessian being nowhere singular there. If the
    root r lies outside by no more than its box's width w, so that the nearest point p of the domain is within
    √k·w of it, then f is higher than f(p) wherever |x − r| > √κ·√k·w, κ being the Hessian's condition around
    it. None if that cannot be shown.
    """
    free = root.free
    k = int(free.sum())
    width = float((root.high - root.low).max())
    reach = 2 * condition * np.sqrt(k) * width
    pad = np.where(free, reach, 0.0)
    wide = replace(root, low=root.low - pad, high=root.high + pad)
    around = model.curvatures(wide.low, wide.high)
    assert around.hessian is not None
    s = spectrum(around.hessian, free)
    shown = s.settled[0] and np.sqrt(_condition(s.low[0, :k], s.high[0, :k]) * k) * width <= reach
    if not (shown and _within(wide, unique)[0]):
        return None
    return np.stack([wide.low[0], wide.high[0]], axis=1)


def _kind(free: int, negative: int, settled: bool) -> tuple[str, int | None]:
    """Name a stationary point by the signs of its eigenvalues."""
    if not settled:
        return "unknown", None
    kind = "minimum" if negative == 0 else "maximum" if negative == free else "saddle"
    return kind, negative


def _kind_on_face(kind: str, free: int, inward: bool, outward: bool) -> str:
    """Name a stationary point of f on a face as a point of f over the closed box.

    inward: f rises into the box; outward: f falls into it; in a corner, without free coordinates, that is all.
    """
    if not (inward or outward):
        return "undecided"
    if free == 0:
        return "minimum" if inward else "maximum"
    if kind == "unknown":
        return kind
    return kind if kind in ("minimum", "maximum") and (kind == "minimum") == inward else "saddle"
