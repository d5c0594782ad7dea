"""L-BFGS that needs one evaluation of f and ∇f a step, so that thousands of rows keep in lockstep.

Liu and Nocedal 1989: the direction is d = −H g, H built by the two-loop recursion from the last
few pairs s = x' − x, y = g' − g. A line search with a loop of its own would make every row wait
for the slowest, so the search is a state: the point of a row is the *trial* x + t d, one a step. A
trial that is low enough becomes the next base x; otherwise t is shortened.

Under bounds="clip" the trial is projected onto the box, and coordinates held at a bound are left
out of the recursion: the two-metric projection of Bertsekas 1982.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

Point = tuple[Any, ...]

PAIRS = 5
# A trial must keep this share of the decrease that the slope at the base promises (Armijo 1966).
ENOUGH = 1e-4
# Where f's own rounding hides the decrease, the slope tells it: Hager and Zhang 2005, (4.1), with
# their δ = 0.1. A rise of f by this share of the recent |f| counts as rounding.
SLOPE_LEFT, ROUNDING = 0.8, 1e-9
# A pair tells a curvature worth using only if s and y are not at right angles to within this.
CAUTIOUS = 1e-10
# One trial that fails shortens t by a factor within these, ten begin anew along −g.
SHORTEST, LONGEST, MOST_REJECTED = 0.1, 0.5, 10
GROWTH = 2.0  # after a step along which f curves downward, t grows
FARTHEST = 1.0  # no trial is further than this from its base, in box sides


class Memory(NamedTuple):
    """A row's line search, and its last pairs.

    x, f, g: the base, f = inf before the first evaluation; d, t: the trial is x + t d; scale: the
    length of d along −g without any pair; size: the recent |f|; s, y: the pairs, newest first,
    0 where there is none; rejected: trials from this base that failed.
    """

    x: Point
    f: Any
    g: Point
    d: Point
    t: Any
    scale: Any
    size: Any
    s: tuple[Point, ...]
    y: tuple[Point, ...]
    rejected: Any


def begin(x: Point) -> Memory:
    """Return the memory of a row that has not been evaluated yet."""
    import jax.numpy as jnp

    zero = jnp.zeros_like(x[0])
    nothing = (zero,) * len(x)
    none = (nothing,) * PAIRS
    return Memory(x, zero + jnp.inf, nothing, nothing, zero + 1, zero, zero, none, none, jnp.int32(0))


def fresh(memory: Memory) -> Any:
    """Tell whether the row has no base yet: its point is its start."""
    import jax.numpy as jnp

    return memory.f == jnp.inf


def low_enough(f: Any, memory: Memory) -> Any:
    """Tell whether f is no higher than at the base, but for rounding."""
    return f <= memory.f + ROUNDING * memory.size


def may_end(f: Any, memory: Memory) -> Any:
    """Tell whether a row may end at this point: not at a trial that is undefined or too high."""
    return fresh(memory) | low_enough(f, memory)


def advance(
    x: Point, f: Any, g: Point, rate: Any, last: Any, memory: Memory, limits: Any, bounds: str
) -> tuple[Point, Any, Memory]:
    """Judge the trial x; return the next trial, its rate t·scale, and the memory.

    f and g are those of the function descended; rate is the length of the first step along −g. No
    trial is left unjudged: the last step goes back to the base.
    """
    import jax.numpy as jnp

    clip, box = bounds == "clip", list(zip(limits.low, limits.high, strict=True))
    m = memory
    first = fresh(m)
    finite = functools.reduce(jnp.logical_and, map(jnp.isfinite, (f, *g)))
    f, g = jnp.where(finite, f, 0.0), tuple(jnp.where(finite, c, 0.0) for c in g)
    moved = _minus(x, m.x)
    promised = _dot(m.g, moved)
    left = _dot(g, moved)
    armijo = f <= m.f + ENOUGH * promised
    by_slope = low_enough(f, m) & (left <= -SLOPE_LEFT * promised)
    accept = finite & (first | ((promised < 0) & (armijo | by_slope)))

    turned = _minus(g, m.g)
    curved = _dot(moved, turned)
    telling = curved > CAUTIOUS * jnp.sqrt(_dot(moved, moved) * _dot(turned, turned))
    begun = accept & first
    keep = accept & ~first & telling
    s, y = _push(keep, m.s, moved), _push(keep, m.y, turned)
    base, slope = _choose(accept, x, m.x), _choose(accept, g, m.g)
    height = jnp.where(accept, f, m.f)
    size = jnp.where(accept, jnp.maximum(jnp.abs(f), m.size / 2), m.size)
    scale = jnp.where(begun, rate, m.scale)

    # After a failed trial: t shortened; where no double is left between base and trial, nothing changes.
    stuck = ~first & functools.reduce(jnp.logical_and, [c == 0 for c in moved])
    again = ~accept & ~stuck & (m.rejected + 1 >= MOST_REJECTED)
    s, y = _forget(again, s), _forget(again, y)
    held = _held(base, slope, box) if clip else (jnp.asarray(False),) * len(x)
    d, scale = _direction(slope, s, y, held, scale)
    d = _choose(accept | again, d, m.d)
    shorter = m.t * jnp.where(finite, _shortening(m.f, f, promised, left), SHORTEST)
    t = jnp.where(accept, jnp.where(keep | first, 1.0, GROWTH * m.t), jnp.where(stuck, m.t, shorter))
    reach = functools.reduce(
        jnp.maximum, [jnp.abs(c) / (high - low) for c, (low, high) in zip(d, box, strict=True)]
    )
    t = jnp.where(t * reach > FARTHEST, FARTHEST / reach, t)
    rejected = jnp.where(accept | again, 0, m.rejected + ~stuck)

    trial = tuple(a + t * b for a, b in zip(base, d, strict=True))
    if clip:
        trial = tuple(jnp.clip(c, low, high) for c, (low, high) in zip(trial, box, strict=True))
    out = [(c < low) | (c > high) for c, (low, high) in zip(base, box, strict=True)]
    final = (last | functools.reduce(jnp.logical_or, out)) if bounds == "stop" else last
    return _choose(final, base, trial), t * scale, Memory(base, height, slope, d, t, scale, size, s, y, rejected)


def _direction(g: Point, s: tuple[Point, ...], y: tuple[Point, ...], held: Point, scale: Any) -> tuple[Point, Any]:
    """Return −H g over the coordinates not held (Nocedal and Wright 2006, algorithm 7.4), and γ."""
    import jax.numpy as jnp

    g = _without(held, g)
    s, y = tuple(_without(held, p) for p in s), tuple(_without(held, p) for p in y)
    products = [_dot(a, b) for a, b in zip(s, y, strict=True)]
    lengths = [_dot(b, b) for b in y]
    sizes = [_dot(a, a) for a in s]
    good = [
        p > CAUTIOUS * jnp.sqrt(a * b) for p, a, b in zip(products, sizes, lengths, strict=True)
    ]
    inverse = [jnp.where(ok, 1 / jnp.where(ok, p, 1.0), 0.0) for ok, p in zip(good, products, strict=True)]
    for ok, p, b in reversed(list(zip(good, products, lengths, strict=True))):
        scale = jnp.where(ok, p / jnp.where(ok, b, 1.0), scale)
    q = g
    shares = []
    for a, b, r in zip(s, y, inverse, strict=True):
        share = r * _dot(a, q)
        q = tuple(c - share * e for c, e in zip(q, b, strict=True))
        shares.append(share)
    d = tuple(scale * c for c in q)
    for a, b, r, share in reversed(list(zip(s, y, inverse, shares, strict=True))):
        more = share - r * _dot(b, d)
        d = tuple(c + more * e for c, e in zip(d, a, strict=True))
    # H is positive definite, but for rounding.
    downhill = _dot(g, d) > 0
    return tuple(jnp.where(downhill, -c, -scale * e) for c, e in zip(d, g, strict=True)), scale


def _shortening(f: Any, new: Any, promised: Any, left: Any) -> Any:
    """Return where the parabola through f, its slope and the new f is lowest, as a share of t."""
    import jax.numpy as jnp

    bend = 2 * (new - f - promised)
    share = jnp.where(bend > 0, -promised / jnp.where(bend > 0, bend, 1.0), SHORTEST)
    return jnp.clip(share, SHORTEST, LONGEST)


def _held(x: Point, g: Point, box: list[tuple[Any, Any]]) -> Point:
    """Tell which coordinates are at a bound that −g points out of."""
    return tuple(
        ((c <= low) & (e > 0)) | ((c >= high) & (e < 0))
        for c, e, (low, high) in zip(x, g, box, strict=True)
    )


def _dot(a: Point, b: Point) -> Any:
    return sum(c * e for c, e in zip(a, b, strict=True))


def _minus(a: Point, b: Point) -> Point:
    return tuple(c - e for c, e in zip(a, b, strict=True))


def _choose(which: Any, a: Point, b: Point) -> Point:
    import jax.numpy as jnp

    return tuple(jnp.where(which, c, e) for c, e in zip(a, b, strict=True))


def _without(held: Point, a: Point) -> Point:
    import jax.numpy as jnp

    return tuple(jnp.where(h, 0.0, c) for h, c in zip(held, a, strict=True))


def _push(keep: Any, pairs: tuple[Point, ...], new: Point) -> tuple[Point, ...]:
    return tuple(_choose(keep, a, b) for a, b in zip((new, *pairs[:-1]), pairs, strict=True))


def _forget(again: Any, pairs: tuple[Point, ...]) -> tuple[Point, ...]:
    return tuple(_without((again,) * len(p), p) for p in pairs)
