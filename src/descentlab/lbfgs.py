"""L-BFGS that needs one evaluation of f and ∇f a step, so that thousands of rows keep in lockstep.

Liu and Nocedal 1989: the direction is d = −H g, H built by the two-loop recursion from the last
few pairs s = x' − x, y = g' − g. A line search with a loop of its own would make every row wait
for the slowest, so the search is a state: the point of a row is the *trial* x + t d, one a step. A
trial that is low enough becomes the next base x; otherwise t is shortened.

Where f has a kink, every short step along d may lead up the other side. Then the pairs are given up,
and d = −p, p the shortest vector between the gradients on both sides: down the valley that the kink
makes, as in Wolfe's conjugate subgradients (1975).

Under bounds="clip" the trial is projected onto the box, and coordinates held at a bound are left
out of the recursion: the two-metric projection of Bertsekas 1982.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

Coordinates = tuple[Any, ...]

MOST_PAIRS = 5  # and one more than variables is as good: see `begin`
# A trial must keep this share of the decrease that the slope at the base promises (Armijo 1966).
ENOUGH = 1e-4
# Where the rounding of f hides the decrease, the slope tells it: Hager and Zhang 2005, (4.1), δ = 0.1,
# so that the slope left is at most 1 − 2δ of the first. A rise of f by ROUNDING of the recent |f| counts
# as rounding: terms that cancel are that much larger than f.
SLOPE_LEFT, ROUNDING = 0.8, 1e-9
# A pair tells a positive curvature only if the cosine between s and y is more than rounding.
CAUTIOUS = 1e-10
SHORTEST, LONGEST = 0.1, 0.5  # a failed trial shortens t to between these shares of it
# The pairs are given up after so many failures, or fewer with the trial this close, in box sides: far
# above the spacing of doubles, and so close that only a kink, or rounding, explains it.
MOST_REJECTED, FEW_REJECTED, CLOSE = 20, 3, 1e-9
# Then p is tried at full length again if it has become this much shorter.
PROGRESS = 0.9
# After a step along which f curves downward, no pair tells how far to go: twice as far.
GROWTH = 2.0
# No trial is further from its base than this, in box sides: beyond, a parabola tells nothing.
FARTHEST = 1.0


class Memory(NamedTuple):
    """A row's line search, and its last pairs.

    x, f, g: the base, f = inf before the first evaluation; d, t: the trial is x + t d; scale: the
    length of the step along −g that the newest pair suggests; size: the recent |f|; p: the shortest
    vector between the gradients seen beside the base; s, y: the pairs, newest first, 0 where
    there is none; rejected: trials from this base that failed.
    """

    x: Float[Array, " dim"]
    f: Float[Array, ""]
    g: Float[Array, " dim"]
    d: Float[Array, " dim"]
    t: Float[Array, ""]
    scale: Float[Array, ""]
    size: Float[Array, ""]
    p: Float[Array, " dim"]
    s: Float[Array, "pair dim"]
    y: Float[Array, "pair dim"]
    rejected: Int[Array, ""]


def begin(x: Coordinates) -> Memory:
    """Return the memory of a row that has not been evaluated yet.

    The number of pairs is 5, or dim + 1 if that is fewer: more pairs of so few variables took as
    many evaluations when tried on the catalogue's landscapes, and longer each.
    """
    import jax.numpy as jnp

    zero, base = jnp.zeros_like(x[0]), jnp.stack(x)
    none = jnp.zeros((min(MOST_PAIRS, len(x) + 1), len(x)), base.dtype)
    nothing = jnp.zeros_like(base)
    return Memory(
        base, zero + jnp.inf, nothing, nothing, zero + 1, zero, zero, nothing, none, none, jnp.int32(0)
    )


def may_end(f: Any, memory: Memory) -> Any:
    """Tell whether a row may end at this point: not at a trial that is undefined or too high."""
    return _fresh(memory) | _low_enough(f, memory)


def advance(
    x: Coordinates,
    f: Any,
    g: Coordinates,
    rate: Any,
    last: Any,
    memory: Memory,
    limits: Any,
    bounds: str,
) -> tuple[Coordinates, Any, Memory]:
    """Judge the trial x of one row; return the next trial, its rate, and the memory.

    f and g are those of the function descended; rate: the length of the first step along −g;
    limits: the box, in its low and high. The rate returned is the length of the step along −g that
    the trial would be without the pairs. No trial is left unjudged: the last step goes back to the base,
    and so does one that leaves the box under bounds="stop".
    """
    import jax
    import jax.numpy as jnp
    from jax.custom_batching import custom_vmap

    by_row = functools.partial(_advance, bounds)

    # Mapped over rows, the rows become the last axis, which the compiler turns into vectors: 2 times
    # faster at 2 variables and at 10 than if each row's few numbers lay side by side.
    def by_batch(size: int, mapped: Any, *given: Any) -> Any:
        moved = jax.tree.map(lambda a, is_: jnp.moveaxis(a, 0, -1) if is_ else a, given, tuple(mapped))
        result = jax.tree.map(lambda a: jnp.moveaxis(a, -1, 0), by_row(*moved))
        return result, jax.tree.map(lambda _: True, result)

    mappable = custom_vmap(by_row)
    mappable.def_vmap(by_batch)
    trial, step, after = mappable(
        jnp.stack(x), f, jnp.stack(g), rate, last, memory, jnp.stack(limits.low), jnp.stack(limits.high)
    )
    return tuple(trial), step, after


def _advance(
    bounds: str, x: Any, f: Any, g: Any, rate: Any, last: Any, m: Memory, low: Any, high: Any
) -> tuple[Any, Any, Memory]:
    """Advance one row, x (dim,), or many, x (dim, row)."""
    import jax.numpy as jnp

    low, high = (a.reshape(a.shape + (1,) * (x.ndim - a.ndim)) for a in (low, high))
    first = _fresh(m)
    step, turn = x - m.x, g - m.g
    good, gained = _judge(f, g, step, m)
    accept = good | first
    telling = accept & ~first & (_dot(step, turn) > CAUTIOUS * jnp.sqrt(_dot(step, step) * _dot(turn, turn)))
    # Where no number is left between base and trial, all stays as it is for ever.
    stuck = ~first & jnp.all(step == 0, axis=0)
    close = jnp.max(jnp.abs(step) / (high - low), axis=0) < CLOSE
    failures = jnp.where(accept | stuck, 0, m.rejected + 1)
    again = (failures >= MOST_REJECTED) | (close & (failures > FEW_REJECTED))

    base, slope = jnp.where(accept, x, m.x), jnp.where(accept, g, m.g)
    held = ((base <= low) & (slope > 0)) | ((base >= high) & (slope < 0))
    held &= bounds == "clip"
    s, y = (
        jnp.where(again, 0.0, jnp.where(telling, jnp.concatenate([new[None], old[:-1]]), old))
        for new, old in ((step, m.s), (turn, m.y))
    )
    p, progress = _beside(m.p, jnp.where(held, 0.0, g))
    p = jnp.where(accept, jnp.where(held, 0.0, slope), jnp.where(again, p, m.p))
    anew = again & progress
    d, scale = _direction(slope, s, y, held, jnp.where(first | anew, rate, m.scale))
    d = jnp.where(accept, d, jnp.where(again, -scale * p, m.d))

    shorter = jnp.where(anew, 1.0, m.t) * jnp.clip(0.5 / (1 - gained), SHORTEST, LONGEST)
    longer = jnp.where(telling | first, 1.0, GROWTH * m.t)
    t = jnp.where(accept, longer, jnp.where(stuck, m.t, shorter))
    reach = jnp.max(jnp.abs(d) / (high - low), axis=0)
    t = jnp.where(t * reach > FARTHEST, FARTHEST / reach, t)
    trial = base + t * d
    if bounds == "clip":
        trial = jnp.clip(trial, low, high)
    elif bounds == "stop":
        last |= jnp.any((base < low) | (base > high), axis=0)
    height = jnp.where(accept, f, m.f)
    size = jnp.where(accept, jnp.maximum(jnp.abs(f), m.size / 2), m.size)
    after = Memory(base, height, slope, d, t, scale, size, p, s, y, jnp.where(again, 0, failures))
    return jnp.where(last, base, trial), jnp.where(stuck, 0.0, t * scale), after


def _fresh(memory: Memory) -> Any:
    """Tell whether the row has no base yet: its point is its start."""
    import jax.numpy as jnp

    return memory.f == jnp.inf


def _low_enough(f: Any, memory: Memory) -> Any:
    """Tell whether f is no higher than at the base, but for rounding."""
    return f <= memory.f + ROUNDING * memory.size


def _judge(f: Any, g: Any, s: Any, m: Memory) -> tuple[Any, Any]:
    """Tell whether the step s is good enough, and what share of the promised decrease it gained."""
    import jax.numpy as jnp

    promised = _dot(m.g, s)
    downhill = jnp.isfinite(f) & jnp.all(jnp.isfinite(g), axis=0) & (promised < 0)
    gained = _quotient(f - m.f, promised, downhill, -1.0)
    slope_left = _quotient(_dot(g, s), promised, downhill, -1.0)
    return (gained >= ENOUGH) | (_low_enough(f, m) & (slope_left >= -SLOPE_LEFT)), gained


def _direction(g: Any, s: Any, y: Any, held: Any, scale: Any) -> tuple[Any, Any]:
    """Return −H g over the coordinates not held (Nocedal and Wright 2006, algorithm 7.4), and the
    scale γ = sᵀy/yᵀy of the newest pair that tells a positive curvature there."""
    import jax
    import jax.numpy as jnp

    g, s, y = (jnp.where(held, 0.0, a) for a in (g, s, y))
    products, squares = jnp.sum(s * y, axis=1), jnp.sum(y * y, axis=1)
    good = products > CAUTIOUS * jnp.sqrt(jnp.sum(s * s, axis=1) * squares)
    for i in reversed(range(len(s))):
        scale = jnp.where(good[i], _quotient(products[i], squares[i], good[i], 1.0), scale)

    # Loops, because unrolled ones compile for seconds: XLA computes the sums again for every use.
    def backward(q: Any, pair: Any) -> tuple[Any, Any]:
        a, b, product, ok = pair
        share = _quotient(_dot(a, q), product, ok, 0.0)
        return q - share * b, share

    def forward(d: Any, pair: Any) -> tuple[Any, None]:
        a, b, product, ok, share = pair
        return d + (share - _quotient(_dot(b, d), product, ok, 0.0)) * a, None

    q, shares = jax.lax.scan(backward, g, (s, y, products, good))
    d, _ = jax.lax.scan(forward, scale * q, (s, y, products, good, shares), reverse=True)
    # H is positive definite, but for rounding.
    return -jnp.where(_dot(g, d) > 0, d, scale * g), scale


def _beside(p: Any, g: Any) -> tuple[Any, Any]:
    """Return the shortest vector on the segment from p to g, and whether it is much shorter than p."""
    import jax.numpy as jnp

    across = jnp.where(jnp.all(jnp.isfinite(g), axis=0), g - p, 0.0)
    square = _dot(across, across)
    share = _quotient(-_dot(p, across), square, square > 0, 0.0)
    between = p + jnp.clip(share, 0.0, 1.0) * across
    return between, _dot(between, between) < PROGRESS * _dot(p, p)


def _dot(a: Any, b: Any) -> Any:
    import jax.numpy as jnp

    return jnp.sum(a * b, axis=0)


def _quotient(a: Any, b: Any, ok: Any, otherwise: float) -> Any:
    """Return a/b where ok, and never divide by zero."""
    import jax.numpy as jnp

    return jnp.where(ok, a, otherwise) / jnp.where(ok, b, 1.0)
