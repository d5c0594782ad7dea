"""Searches for stationary points that share nothing with the lab's own survey.

Newton's method from every cell of a grid; sign changes of f' in one variable; the winding number
of ∇f round a box; a scan of edges and corners for minima on the boundary.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.spatial import cKDTree

from descentlab.objective import Objective


def inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Say of each point whether it is in the open box."""
    return np.asarray(np.all((points > box[:, 0]) & (points < box[:, 1]), axis=-1))


def newton_from_grid(f: Objective, box: np.ndarray, cells: int, steps: int = 60) -> np.ndarray:
    """Return the distinct non-degenerate stationary points reached from the centres of cellsⁿ cells."""
    cell = (box[:, 1] - box[:, 0]) / cells
    axes = [low + (np.arange(cells) + 0.5) * w for (low, _), w in zip(box, cell, strict=True)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, f.dim)
    curvature = np.abs(f.hessian(x)).max((-1, -2))
    flat = 1e-8 * np.median(curvature[np.isfinite(curvature)])
    found = []
    for _ in range(steps):
        gradient, hessian = f.gradient(x), f.hessian(x)
        size = np.abs(hessian).max((-1, -2))
        usable = np.isfinite(gradient).all(-1) & np.isfinite(size) & (size > 1e-250)
        x, gradient, hessian, size = x[usable], gradient[usable], hessian[usable], size[usable, None, None]
        usable = np.abs(np.linalg.det(hessian / size)) > 1e-12
        x, gradient, hessian = x[usable], gradient[usable], hessian[usable]
        if not len(x):
            break
        step = -np.linalg.solve(hessian, gradient[..., None])[..., 0]
        done = np.all(np.abs(step) < 1e-9 * (1 + np.abs(x)), axis=-1)
        steep = np.abs(np.linalg.eigvalsh(hessian[done])).min(-1) > flat
        found.append((x + step)[done][steep])
        # A step no longer than two cells keeps each run near where it began.
        longest = np.maximum(np.max(np.abs(step) / cell, axis=-1), 1e-300)
        x = (x + step * np.minimum(1, 2 / longest)[:, None])[~done]
        x = x[np.all((x > box[:, 0] - 3 * cell) & (x < box[:, 1] + 3 * cell), axis=-1)]
    points = np.concatenate(found) if found else np.empty((0, f.dim))
    return distinct(points[inside(points, box)], 1e-5 * float(np.max(cell)))


def distinct(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Keep the first of each group of points closer together than three times `tolerance`."""
    if not len(points):
        return points
    points = points[np.unique(np.round(points / tolerance), axis=0, return_index=True)[1]]
    keep = np.ones(len(points), dtype=bool)
    for i, j in sorted(cKDTree(points).query_pairs(3 * tolerance)):
        keep[j] &= not keep[i]
    return points[keep]


def kinds(f: Objective, points: np.ndarray) -> dict[str, int]:
    eigenvalues = np.linalg.eigvalsh(f.hessian(points)) if len(points) else np.empty((0, f.dim))
    minima = int(np.sum(np.all(eigenvalues > 0, axis=-1)))
    maxima = int(np.sum(np.all(eigenvalues < 0, axis=-1)))
    return {"minima": minima, "maxima": maxima, "saddles": len(points) - minima - maxima}


def kinds_in_one_variable(f: Objective, box: np.ndarray) -> dict[str, int]:
    low, high = minima_and_maxima_in_one_variable(f, box)
    return {"minima": len(low), "maxima": len(high), "saddles": 0}


def minima_and_maxima_in_one_variable(f: Objective, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where f' changes sign by passing through zero; a kink jumps across it."""
    x = np.linspace(box[0, 0], box[0, 1], 400_001)
    slope = f.gradient(x[:, None])[:, 0]
    smooth = np.abs(np.diff(slope)) < 1e-3 * (np.nanmax(slope) - np.nanmin(slope))
    rising = (slope[:-1] < 0) & (slope[1:] >= 0) & smooth
    falling = (slope[:-1] > 0) & (slope[1:] <= 0) & smooth
    return x[:-1][rising], x[:-1][falling]


def edge(box: np.ndarray, axis: int, side: int, count: int) -> np.ndarray:
    """Return points along one edge of a 2-D box, where coordinate `axis` is at its bound `side`."""
    points = np.empty((count, 2))
    points[:, axis] = box[axis, side]
    points[:, 1 - axis] = np.linspace(box[1 - axis, 0], box[1 - axis, 1], count)
    return points


def winding(f: Objective, box: np.ndarray, count: int = 100_001) -> float:
    """Return how often ∇f turns round as the point goes round the box, counter-clockwise."""
    points = np.concatenate(
        [
            edge(box, 1, 0, count),
            edge(box, 0, 1, count),
            edge(box, 1, 1, count)[::-1],
            edge(box, 0, 0, count)[::-1],
        ]
    )
    for _ in range(40):
        gradient = f.gradient(points)
        angle = np.arctan2(gradient[:, 1], gradient[:, 0])
        turns = (np.diff(angle, append=angle[0]) + np.pi) % (2 * np.pi) - np.pi
        coarse = np.flatnonzero(np.abs(turns) > 1)
        if not len(coarse):
            return float(turns.sum() / (2 * np.pi))
        # Where ∇f turns fast, as across a valley's floor, look at the points between.
        halfway = (points[coarse] + points[(coarse + 1) % len(points)]) / 2
        points = np.insert(points, coarse + 1, halfway, axis=0)
    raise AssertionError("the gradient jumps on the boundary")


def boundary_minima(f: Objective, box: np.ndarray, count: int = 100_001) -> int:
    """Count the minima on the boundary of a 1-D or 2-D box."""
    corners = 0
    for sides in itertools.product((0, 1), repeat=f.dim):
        corner = np.array([box[i, s] for i, s in enumerate(sides)])
        inward = np.array([(1 - 2 * s) * 1e-5 * (b[1] - b[0]) for s, b in zip(sides, box, strict=True)])
        moves = [m for m in itertools.product((0, 0.5, 1), repeat=f.dim) if any(m)]
        corners += all(f.value(corner + inward * np.array(m)) > f.value(corner) for m in moves)
    if f.dim == 1:
        return corners
    on_edges = 0
    for axis, side in itertools.product((0, 1), (0, 1)):
        gradient = f.gradient(edge(box, axis, side, count))
        along, inward = gradient[:, 1 - axis], gradient[:, axis] * (1 - 2 * side)
        turns = np.flatnonzero((along[:-1] < 0) & (along[1:] >= 0))
        # The corners are looked at above.
        turns = turns[(turns > 0) & (turns < count - 2)]
        on_edges += int(np.sum((inward[turns] > 0) & (inward[turns + 1] > 0)))
    return corners + on_edges
