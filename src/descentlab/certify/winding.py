"""How often the gradient turns round along the edge of a 2-D box: a check on the count of stationary points.

If ∇f is not zero on the edge, and every stationary point inside is nondegenerate, the winding number of ∇f along it
equals minima + maxima − saddles (Poincaré and Hopf; Milnor, Topology from the Differentiable Viewpoint, 1965, §6).
"""

from __future__ import annotations

import numpy as np

from descentlab.certify.enclose import Model
from descentlab.certify.intervals import Array
from descentlab.certify.search import CUT

_PIECES = 64
MOST_PIECES = 200_000


def winding(model: Model, domain: Array) -> int | None:
    """Return the winding number of ∇f along the edge, counterclockwise, proved; None if it stays undecided.

    The edge is cut until one partial derivative has a sign on each piece: to the east (∂f/∂x > 0), north, west
    or south. Neighbouring pieces share a point, so they differ by at most a quarter turn, and the quarters are
    counted.
    """
    (left, right), (bottom, top) = domain
    corners = np.array([[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]])
    share = np.linspace(0, 1, _PIECES, endpoint=False)[:, None]
    points = np.concatenate([a + share * (b - a) for a, b in zip(corners, corners[1:], strict=False)])
    points = np.concatenate([points, corners[-1:]])
    directions = np.full(len(points) - 1, -1)
    while True:
        unknown = np.flatnonzero(directions < 0)
        a, b = points[unknown], points[unknown + 1]
        e = model.slopes(np.minimum(a, b), np.maximum(a, b))
        if not (np.isfinite(a).all() and (a != b).any(axis=1).all()):
            return None
        (gx_low, gy_low), (gx_high, gy_high) = e.gradient.lo.T, e.gradient.hi.T
        found = np.select([gx_low > 0, gy_low > 0, gx_high < 0, gy_high < 0], [0, 1, 2, 3], -1)
        directions[unknown] = np.where(e.trouble.undefined | e.trouble.kinked, -1, found)
        split = np.flatnonzero(directions < 0)
        if not len(split):
            turns = np.diff(np.append(directions, directions[0]))
            return int(((turns + 1) % 4 - 1).sum()) // 4
        if len(points) + len(split) > MOST_PIECES:
            return None
        cuts = points[split] + CUT * (points[split + 1] - points[split])
        points = np.insert(points, split + 1, cuts, axis=0)
        directions = np.insert(directions, split + 1, -1)
