"""What a certificate says of its undecided regions, checked again: bounds on f, and minima in them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from descentlab.certify.checking.balls import NowhereError
from descentlab.certify.checking.cover import Budget, StoppedError
from descentlab.certify.checking.spans import BallModel, Span
from descentlab.certify.result import Region

# Rims tried around a region, in units of its size.
_RIMS = (2.0, 8.0, 64.0, 512.0)
# Boxes a region's bounds may take; the tightest ones take more than is reasonable.
MOST_BOXES = 4_000
# No part of a region is cut below this share of its sides.
_SMALLEST = 2.0**-20


def within(
    model: BallModel, low: list[float], high: list[float], floor: float, top: float, budget: Budget
) -> bool | None:
    """Tell whether f stays in [floor, top] on a box: True or False if proved, else None."""
    if not floor <= top:
        return False
    if floor == -np.inf and top == np.inf:
        return True
    waiting = [(low, high, 1.0)]
    for _ in range(MOST_BOXES):
        if not waiting:
            return True
        a, b, share = waiting.pop()
        try:
            budget.spend()
            bounds = model.spans.bounds(a, b)
            middle = [0.5 * p + 0.5 * q for p, q in zip(a, b, strict=True)]
            at_middle = model.spans.at(middle)
        except StoppedError:
            return None
        except NowhereError:
            continue
        if at_middle is not None and (at_middle[1] < floor or at_middle[0] > top):
            return False
        if bounds is not None and bounds[0] >= floor and bounds[1] <= top:
            continue
        if share < _SMALLEST:
            return None
        side = max(range(len(a)), key=lambda i: b[i] - a[i])
        cut = middle[side]
        if not a[side] < cut < b[side]:
            return None
        half = share * 0.5 ** (1 / len(a))
        waiting.append((a, [*b[:side], cut, *b[side + 1 :]], half))
        waiting.append(([*a[:side], cut, *a[side + 1 :]], b, half))
    return None


def holds_minimum(
    model: BallModel, domain: np.ndarray, region: Region, others: Sequence[np.ndarray], budget: Budget
) -> bool:
    """Tell whether f is continuous on a slightly larger box, without any other point in it, and higher on its rim than
    somewhere in the region: then a local minimum over the closed box lies in the region."""
    low, high = region.box.T
    boxes = np.array(others).reshape(-1, len(domain), 2)
    best = _lowest(model, [region.point, low, high, 0.5 * low + 0.5 * high])
    if best is None:
        return False
    for factor in _RIMS:
        pad = factor * max(float((high - low).max()), float(4 * np.spacing(np.abs(region.box).max())))
        rim = np.stack([np.maximum(low - pad, domain[:, 0]), np.minimum(high + pad, domain[:, 1])], axis=1)
        if ((boxes[:, :, 0] <= rim[:, 1]) & (boxes[:, :, 1] >= rim[:, 0])).all(axis=1).any():
            return False
        try:
            if model.spans.bounds(rim[:, 0].tolist(), rim[:, 1].tolist(), continuous=True) is None:
                return False
        except NowhereError:
            return False
        sides = [
            (i, end)
            for i, end in itertools.product(range(len(rim)), range(2))
            if rim[i, end] != domain[i, end]
        ]
        if sides and all(_is_above(model, rim, i, end, best, budget) for i, end in sides):
            return True
    return False


def _lowest(model: BallModel, places: Sequence[np.ndarray]) -> Span | None:
    found = [model.spans.at(x.tolist()) for x in places]
    usable = [bounds for bounds in found if bounds is not None]
    return min(usable, key=lambda bounds: float(bounds[1])) if usable else None


def _is_above(model: BallModel, rim: np.ndarray, side: int, end: int, best: Span, budget: Budget) -> bool:
    """Tell whether f is higher than `best` on one face of the rim."""
    low, high = (v.tolist() for v in rim.T)
    low[side] = high[side] = float(rim[side, end])
    waiting = [(low, high)]
    for _ in range(MOST_BOXES):
        if not waiting:
            return True
        a, b = waiting.pop()
        try:
            budget.spend()
            bounds = model.spans.bounds(a, b)
        except (StoppedError, NowhereError):
            return False
        if bounds is not None and bounds[0] > best[1]:
            continue
        longest = max(range(len(a)), key=lambda i: b[i] - a[i])
        cut = 0.5 * a[longest] + 0.5 * b[longest]
        if not a[longest] < cut < b[longest]:
            return False
        waiting.append((a, [*b[:longest], cut, *b[longest + 1 :]]))
        waiting.append(([*a[:longest], cut, *a[longest + 1 :]], b))
    return False
