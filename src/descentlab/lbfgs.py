"""L-BFGS that needs one evaluation of f and ∇f a step, so that thousands of rows keep in lockstep.

Liu and Nocedal 1989: the direction is d = −H g, H built by the two-loop recursion from the last
few pairs s = x' − x, y = g' − g. A line search with a loop of its own would make every row wait
for the slowest, so the search is a state: the point of a row is the *trial* x + t d, one a step. A
trial that is low enough becomes the next base x; otherwise t is shortened.

Under bounds="clip" the trial is projected onto the box, and coordinates held at a bound are left
out of the recursion: the two-metric projection of Bertsekas 1982.
"""

from __future__ import annotations

from typing import Any, NamedTuple

PAIRS = 5
UNROLL = 1
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
    length of d along −g without any pair; size: the recent |f|; s, y (pair, dim): the pairs, newest
    first, 0 where there is none; rejected: trials from this base that failed.
    """

    x: Any
    f: Any
    g: Any
    d: Any
    t: Any
    scale: Any
    size: Any
    s: Any
    y: Any
    rejected: Any


def begin(x: tuple[Any, ...]) -> Memory:
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
    point: tuple[Any, ...],
    f: Any,
    gradient: tuple[Any, ...],
    rate: Any,
    last: Any,
    memory: Memory,
    limits: Any,
    bounds: str,
) -> tuple[tuple[Any, ...], Any, Memory]:
    """Judge the trial x; return the next trial, its rate t·scale, and the memory.

    f and g are those of the function descended; rate is the length of the first step along −g. No
    trial is left unjudged: the last step goes back to the base.
    """
    import jax

    @jax.custom_batching.custom_vmap
    def one(*arguments):
        return _advance(*arguments, bounds=bounds)

    @one.def_vmap
    def many(size, batched, *arguments):
        out = _advance(*arguments, bounds=bounds)
        return out, jax.tree.map(lambda _: True, out)

    return one(point, f, gradient, rate, last, memory, limits)


def _advance(
    point: tuple[Any, ...],
    f: Any,
    gradient: tuple[Any, ...],
    rate: Any,
    last: Any,
    memory: Memory,
    limits: Any,
    bounds: str,
) -> tuple[tuple[Any, ...], Any, Memory]:
    import jax.numpy as jnp

    clip = bounds == "clip"
    x, g = jnp.stack(point), jnp.stack(gradient)
    low, high = (jnp.stack(a).reshape(-1, *(1,) * (x.ndim - 1)) for a in (limits.low, limits.high))
    m = memory._replace(
        x=jnp.stack(memory.x), g=jnp.stack(memory.g), d=jnp.stack(memory.d),
        s=jnp.stack([jnp.stack(a) for a in memory.s]), y=jnp.stack([jnp.stack(a) for a in memory.y]))
    first = fresh(m)
    finite = jnp.isfinite(f) & jnp.all(jnp.isfinite(g), axis=0)
    moved, turned = x - m.x, g - m.g
    promised, left = _dot(m.g, moved), _dot(g, moved)
    down = finite & (promised < 0)
    gained = _quotient(f - m.f, promised, down, -1.0)
    slope_left = _quotient(left, promised, down, -1.0)
    accept = (gained >= ENOUGH) | (low_enough(f, m) & (slope_left >= -SLOPE_LEFT)) | first
    keep = accept & ~first & (_cosine(moved, turned) > CAUTIOUS)
    s = jnp.where(keep, jnp.concatenate([moved[None], m.s[:-1]]), m.s)
    y = jnp.where(keep, jnp.concatenate([turned[None], m.y[:-1]]), m.y)
    base, slope = jnp.where(accept, x, m.x), jnp.where(accept, g, m.g)
    height = jnp.where(accept, f, m.f)
    size = jnp.where(accept, jnp.maximum(jnp.abs(f), m.size / 2), m.size)
    scale = jnp.where(first, rate, m.scale)

    # After a failed trial: t shortened; where no double is left between base and trial, nothing changes.
    stuck = ~first & jnp.all(moved == 0, axis=0)
    again = ~accept & ~stuck & (m.rejected + 1 >= MOST_REJECTED)
    s, y = jnp.where(again, 0.0, s), jnp.where(again, 0.0, y)
    held = ((base <= low) & (slope > 0)) | ((base >= high) & (slope < 0)) if clip else None
    d, scale = _direction(slope, s, y, held, scale)
    d = jnp.where(accept | again, d, m.d)
    shorter = m.t * jnp.clip(0.5 / (1 - gained), SHORTEST, LONGEST)
    t = jnp.where(accept, jnp.where(keep | first, 1.0, GROWTH * m.t), jnp.where(stuck, m.t, shorter))
    reach = jnp.max(jnp.abs(d) / (high - low), axis=0)
    t = jnp.where(t * reach > FARTHEST, FARTHEST / reach, t)
    rejected = jnp.where(accept | again, 0, m.rejected + ~stuck)

    trial = base + t * d
    if clip:
        trial = jnp.clip(trial, low, high)
    final = (last | jnp.any((base < low) | (base > high), axis=0)) if bounds == "stop" else last
    return (
        tuple(jnp.where(final, base, trial)),
        t * scale,
        Memory(tuple(base), height, tuple(slope), tuple(d), t, scale, size, tuple(map(tuple, s)), tuple(map(tuple,y)), rejected),
    )


def _direction(g: Any, s: Any, y: Any, held: Any, scale: Any) -> tuple[Any, Any]:
    """Return −H g over the free coordinates (Nocedal and Wright 2006, algorithm 7.4), and γ."""
    import jax
    import jax.numpy as jnp

    if held is not None:
        g, s, y = (jnp.where(held, 0.0, a) for a in (g, s, y))
    products, lengths = _dots(s, y), _dots(y, y)
    good = products > CAUTIOUS * jnp.sqrt(_dots(s, s) * lengths)
    gammas = _quotient(products, lengths, good, 1.0)
    for i in reversed(range(PAIRS)):
        scale = jnp.where(good[i], gammas[i], scale)

    def back(q, pair):
        a, b, p, ok = pair
        share = _quotient(_dot(a, q), p, ok, 0.0)
        return q - share * b, share

    def forth(d, pair):
        a, b, p, ok, share = pair
        return d + (share - _quotient(_dot(b, d), p, ok, 0.0)) * a, None

    q, shares = jax.lax.scan(back, g, (s, y, products, good), unroll=UNROLL)
    d, _ = jax.lax.scan(forth, scale * q, (s, y, products, good, shares), reverse=True, unroll=UNROLL)
    # H is positive definite, but for rounding.
    return -jnp.where(_dot(g, d) > 0, d, scale * g), scale


def _quotient(a: Any, b: Any, ok: Any, otherwise: float) -> Any:
    import jax.numpy as jnp

    return jnp.where(ok, a, otherwise) / jnp.where(ok, b, 1.0)


def _dot(a: Any, b: Any) -> Any:
    import jax.numpy as jnp

    return jnp.sum(a * b, axis=0)


def _dots(a, b):
    import jax.numpy as jnp
    return jnp.sum(a * b, axis=1)


def _cosine(a: Any, b: Any) -> Any:
    import jax.numpy as jnp

    return _dot(a, b) / jnp.sqrt(_dot(a, a) * _dot(b, b))
