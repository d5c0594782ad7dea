"""The winding number of ∇f along the edge of a 2-D box, counted again in ball arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

from descentlab.certify.checking.balls import NowhereError, flint, hull
from descentlab.certify.checking.spans import BallModel

_BITS = 64


def turns(model: BallModel, sides: Sequence[tuple[float, float]], pieces: int) -> int | None:
    """Return how often ∇f turns round, counterclockwise; None if that takes more than so many pieces.

    On each piece of the edge one partial derivative has a sign: ∇f points to the east, north, west or south.
    Neighbouring pieces share a point, so that they differ by at most one quarter.
    """
    (left, right), (bottom, top) = sides
    corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
    quarters: list[int] = []
    with flint().ctx.workprec(_BITS):
        for k in range(4):
            waiting = [(corners[k], corners[(k + 1) % 4])]
            while waiting:
                a, b = waiting.pop()
                pieces -= 1
                quarter = _quarter(model, a, b)
                if quarter is not None:
                    quarters.append(quarter)
                    continue
                middle = 0.5 * a[0] + 0.5 * b[0], 0.5 * a[1] + 0.5 * b[1]
                if pieces < 0 or middle in (a, b):
                    return None
                waiting += [(middle, b), (a, middle)]
    steps = [(b - a + 1) % 4 - 1 for a, b in zip(quarters, [*quarters[1:], quarters[0]], strict=True)]
    return None if 2 in steps else sum(steps) // 4


def _quarter(model: BallModel, a: tuple[float, float], b: tuple[float, float]) -> int | None:
    box = [hull(min(p, q), max(p, q)) for p, q in zip(a, b, strict=True)]
    try:
        value, _, hessian = model.tape.curvatures(box)
        _, (east, north) = model.tape.slopes(box)
    except NowhereError:
        return None
    if not (value.is_finite() and all(entry.is_finite() for row in hessian for entry in row)):
        return None
    return next((i for i, holds in enumerate((east > 0, north > 0, east < 0, north < 0)) if holds), None)
