"""Roots of ∇f and signs of eigenvalues, proved in ball arithmetic.

Sources: Neumaier, Interval Methods for Systems of Equations (1990), theorem 5.1.8; Sylvester's law of inertia
(Golub & Van Loan, Matrix Computations, 4th ed. 2013, theorem 8.1.17).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from descentlab.certify.checking.balls import Ball, NowhereError, flint
from descentlab.certify.checking.tape import Tape

# Krawczyk's operator squares the width of a box once it is small; before that it may shrink slowly.
ROUNDS, STALE = 200, 0.97
STEPS = 12
# A box that small next to the one begun with is small enough.
NARROWED = 2.0**-90

Matrix = list[list[Ball]]


@dataclass(frozen=True)
class Image:
    """What Krawczyk's operator says of a box: an enclosure of its roots, and whether there is exactly one.

    roots: K(X) ∩ X, or None if that is empty, so that X has no root.
    """

    roots: list[Ball] | None
    unique: bool


def krawczyk(
    tape: Tape, x: list[Ball], free: Sequence[int], hessian: Matrix, centre: list[Ball], slope: list[Ball]
) -> Image | None:
    """Apply K(X) = c − Y∇f(c) + (I − YH)(X − c) over the `free` coordinates; None where it says nothing.

    hessian: of f on x; slope: ∇f at the centre of x.
    """
    inverse = _inverse([[float(hessian[i][j]) for j in free] for i in free])
    if inverse is None:
        return None
    arb = flint().arb
    y = [[arb(entry) for entry in row] for row in inverse]
    places = range(len(free))
    image = list(x)
    unique = True
    for a in places:
        total = centre[free[a]]
        for b in places:
            total = total - y[a][b] * slope[free[b]]
            rest = arb(1 if a == b else 0)
            for c in places:
                rest = rest - y[a][c] * hessian[free[c]][free[b]]
            total = total + rest * (x[free[b]] - centre[free[b]])
        mine = x[free[a]]
        if not total.is_finite():
            return None
        if not total.overlaps(mine):
            return Image(None, False)
        unique = unique and bool(mine.contains_interior(total))
        image[free[a]] = total if mine.contains_interior(total) else mine.intersection(total)
    return Image(image, unique)


def _inverse(matrix: list[list[float]]) -> list[list[float]] | None:
    if len(matrix) == 1:
        return [[1 / matrix[0][0]]] if matrix[0][0] else None
    try:
        inverse = np.linalg.inv(np.array(matrix))
    except np.linalg.LinAlgError:
        return None
    return inverse.tolist() if np.isfinite(inverse).all() else None


def image_of(tape: Tape, x: list[Ball], free: Sequence[int]) -> Image | None:
    """Apply Krawczyk's operator to x; None where f is not smooth on it or nothing is said."""
    try:
        value, _, hessian = tape.curvatures(x)
    except NowhereError:
        return None
    if not (value.is_finite() and all(hessian[i][j].is_finite() for i in free for j in free)):
        return None
    centre = [u.mid() for u in x]
    return krawczyk(tape, x, free, hessian, centre, tape.slopes(centre)[1])


def refined(
    tape: Tape, x: list[Ball], free: Sequence[int], inside: Sequence[Ball] = ()
) -> tuple[list[Ball] | None, bool]:
    """Return a narrow enclosure of all roots in x, and whether there is exactly one.

    inside: balls that the enclosure should fit in if it can, however small they are. (None, False): there is no root.
    """
    unique = not free
    enough = [NARROWED * u.rad() for u in x]
    for _ in range(ROUNDS if free else 0):
        image = image_of(tape, x, free)
        if image is None:
            break
        if image.roots is None:
            return None, False
        unique = unique or image.unique
        narrower = any(image.roots[i].rad() < STALE * x[i].rad() for i in free)
        x = image.roots
        small = all(x[i].rad() <= enough[i] for i in free)
        if not narrower or (small and unique and all(inside[i].contains(x[i]) for i in free if inside)):
            break
    return x, unique


def newton(tape: Tape, x: list[Ball], free: Sequence[int]) -> list[Ball]:
    """Return a point near a root close to x, without proof, by Newton's method in the precision in force."""
    for _ in range(STEPS):
        try:
            _, slope, hessian = tape.curvatures(x)
        except NowhereError:
            return x
        inverse = _inverse([[float(hessian[i][j]) for j in free] for i in free])
        if inverse is None or not all(slope[i].is_finite() for i in free):
            return x
        step = [
            sum((flint().arb(y) * slope[j] for y, j in zip(row, free, strict=True)), flint().arb(0))
            for row in inverse
        ]
        if all(float(u) == 0 for u in step):
            return x
        x = list(x)
        for i, u in zip(free, step, strict=True):
            x[i] = (x[i] - u).mid()
    return x


def signs(hessian: Matrix, free: Sequence[int], shift: float = 0.0) -> tuple[int, int] | None:
    """Return how many eigenvalues over the free coordinates are below and above `shift`; None if not all are proved.

    With Q the approximate eigenvectors, M = Qᵀ(H − shift·I)Q = LDLᵀ has the signs of D as its inertia, and so has
    H − shift·I: a nonsingular M makes Q nonsingular.
    """
    n = len(free)
    arb = flint().arb
    middle = np.array([[float(hessian[i][j]) for j in free] for i in free]).reshape(n, n)
    if not np.isfinite(middle).all():
        return None
    q = [[arb(entry) for entry in row] for row in np.linalg.eigh(0.5 * middle + 0.5 * middle.T)[1].tolist()]
    shifted = [[hessian[free[i]][free[j]] - (shift if i == j else 0) for j in range(n)] for i in range(n)]
    half = [[sum((shifted[i][k] * q[k][j] for k in range(n)), arb(0)) for j in range(n)] for i in range(n)]
    m = [[sum((q[k][i] * half[k][j] for k in range(n)), arb(0)) for j in range(n)] for i in range(n)]
    below = above = 0
    for k in range(n):
        pivot = m[k][k]
        if pivot > 0:
            above += 1
        elif pivot < 0:
            below += 1
        else:
            return None
        for i in range(k + 1, n):
            factor = m[i][k] / pivot
            for j in range(k + 1, n):
                m[i][j] = m[i][j] - factor * m[k][j]
    return below, above
