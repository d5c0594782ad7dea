"""What counts of starts say: shares with intervals, the unseen share, how many minima there are,
how many restarts it takes and what they find."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.errors import InputError

Array = NDArray[np.float64]
Counts = Sequence[int] | NDArray[np.integer[Any]]

CONFIDENCE = 0.95


# Shares


def wilson(hits: int, starts: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the Wilson score interval of a share (Wilson 1927).

    A 95 % interval covers 93 to 97 % of the time from ten expected hits and misses on, 92.5 to 98.1 %
    from two on, and as little as 84 % below: at 0.17 expected hits, because its lower end for one hit
    is 0.18 / starts. Raises InputError unless 0 ≤ hits ≤ starts and starts ≥ 1.

    >>> [round(end, 4) for end in wilson(10, 100)]
    [0.0552, 0.1744]
    """
    _check_counts(hits, starts)
    z = _quantile(confidence)
    share, spread = hits / starts, z * z / starts
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / starts + spread / (4 * starts)) / (1 + spread)
    # Without any hit the lower end is 0 exactly, which rounding would miss; and so at the other end.
    return max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < starts else 1.0


def unseen_share(hits: Counts, starts: int) -> float:
    """Return Good and Turing's estimate of the share of starts that lead to minima not yet seen:
    the number of minima hit exactly once, over the starts (Good 1953).

    hits: how many starts reached each minimum; starts: all of them, those that reached none included.
    Raises InputError if there are more hits than starts, or no start.

    >>> unseen_share([90, 8, 1, 1], 100)
    0.02
    """
    counts = _checked_hits(hits, starts)
    return int(np.count_nonzero(counts == 1)) / starts


def unseen_interval(hits: Counts, starts: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return an interval of the share U of starts that lead to minima not yet seen.

    With n₁ and n₂ minima hit once and twice in N starts, N·U − n₁ has mean ≈ 0 and a variance that
    Esty (1983) estimates by n₁(1 − n₁/N) + 2n₂. His normal interval is a point at n₁ = n₂ = 0 and covers
    too little at small counts. So, as Wilson does, put the unknown u = N·U in place of its estimate n₁:

        (u − n₁)² ≤ z² [u(1 − u/N) + 2(n₂ + c)]

    The interval holds every u that satisfies this. c covers what n₂ = 0 hides. At the lower end
    c = (1 + n₁/N) ln²(2/α) / 2z², α = 1 − confidence: k minima each expected once are all hit just
    once with probability e⁻ᵏ, and then nothing is unseen, so the interval has to start at 0 until
    n₁ > ln(2/α); the factor does the same for N minima in N starts. At the upper end c = 1/N, which
    matters for a handful of starts. With everything hit often it is [0, z²/(N + z²)], about
    [0, 3.84/N] at 95 %.

    Over simulated surveys a 95 % interval covers 93 to 97 % where 20 minima are hit once and 20 starts
    hit others, and 93 % or more everywhere: it has to cover more where there is almost surely nothing
    unseen, and where one or two rare minima decide, because n₁ then takes too few values.

    hits: how many starts reached each minimum; starts: all of them, those that reached none included
    (those are starts that did not lead to an unseen minimum). Raises InputError as `unseen_share`
    does, and unless 0 < confidence < 1.

    >>> [round(end, 4) for end in unseen_interval([900, 100], 1000)]
    [0.0, 0.0038]
    >>> [round(end, 4) for end in unseen_interval([40] * 20 + [2] * 50 + [1] * 100, 1000)]
    [0.0742, 0.1285]
    """
    counts = _checked_hits(hits, starts)
    z = _quantile(confidence)
    n1, n2 = (float(np.count_nonzero(counts == k)) for k in (1, 2))
    once = math.log(2 / (1 - confidence)) ** 2 / (2 * z * z) * (1 + n1 / starts)
    a, b = 1 + z * z / starts, n1 + z * z / 2

    def root(c: float) -> tuple[float, float]:
        """Return the product of both roots, times a, and the sum of b and the discriminant's root."""
        product = n1 * n1 - 2 * z * z * (n2 + c)
        return product, b + math.sqrt(b * b - a * product)

    product, upper = root(once)
    low = product / upper  # the smaller root by the larger one, which cancels nothing
    high = root(1 / starts)[1] / a
    return max(0.0, low / starts), min(1.0, high / starts)


# How many minima there are


def posterior_count(found: int, starts: int) -> tuple[float, float]:
    """Return mean and standard deviation of the number of minima K (Boender & Rinnooy Kan 1987).

    With every K ≥ 1 equally likely before, and shares uniform on the simplex given K, w minima found
    by N starts leave the posterior

        P(K = k) = (k−1)! k! (N−1)! (N−2)! / [(N+k−1)! (k−w)! w! (w−1)! (N−w−2)!],  k ≥ w
        mean = w(N−1)/(N−w−2),  variance = w(w+1)(N−1)(N−2)/[(N−w−2)²(N−w−3)]

    found: w; starts: N, those that reached a minimum. The mean is finite from N = w + 3 on, the
    variance from N = w + 4, and infinite below. Raises InputError unless w ≤ N, and w ≥ 1 if N is.

    >>> posterior_count(10, 32)
    (15.5, 3.6688589937185476)
    """
    w, n = _checked_found(found, starts)
    left = n - w - 2
    mean = w * (n - 1) / left if left > 0 else math.inf
    # In this order neither a product nor a quotient leaves the range of floats.
    spread = (
        math.sqrt(w / left * ((w + 1) / left) * (n - 1) * ((n - 2) / (left - 1))) if left > 1 else math.inf
    )
    return mean, spread


def posterior(found: int, starts: int, counts: ArrayLike) -> Array:
    """Return P(K = k) for every k in `counts`, by the posterior of `posterior_count`.

    NaN below starts = found + 2, where it is improper. Its relative error is at most about
    1e-12 + 1e-16 · starts · ln(starts). Raises InputError as `posterior_count` does.

    >>> posterior(2, 10, [1, 2, 3, 4]).round(4)
    array([0.    , 0.5091, 0.2545, 0.1175])
    """
    w, n = _checked_found(found, starts)
    k = np.atleast_1d(np.asarray(counts, float))
    if n < w + 2:
        return np.full(np.shape(counts), math.nan)
    chances = np.where(k >= w, np.exp(_log_posterior(w, n, np.maximum(k - w, 0.0))), 0.0)
    return chances.reshape(np.shape(counts))


def chance_all_seen(found: int, starts: int) -> float:
    """Return the probability that every minimum was seen, P(K = w), by that posterior.

        ∏ (N−1−i)/(N−1+i), i = 1 … w

    found: w; starts: N, those that reached a minimum. 0 below N = w + 2, where the posterior is
    improper. Raises InputError as `posterior_count` does.

    >>> round(chance_all_seen(2, 10), 4)
    0.5091
    """
    w, n = _checked_found(found, starts)
    # A factor is at most exp(−2i/(N−1+w)), so beyond this the product is 0 in floating point.
    if n < w + 2 or w * (w + 1) > 800 * (n - 1 + w):
        return 0.0
    i = np.arange(1, w + 1, dtype=float)
    return float(np.exp(np.log1p(-2 * i / (n - 1 + i)).sum()))


def most_minima(found: int, starts: int, confidence: float = CONFIDENCE) -> float:
    """Return the smallest k with P(K ≤ k) ≥ confidence, by the posterior of `posterior_count`.

    A whole number, in floating point since it may pass any integer type; infinite below
    starts = found + 2, where the posterior is improper. A confidence within 1e-10 of 1 is not resolved.
    Raises InputError as `posterior_count` does, and unless 0 < confidence < 1.

    >>> most_minima(10, 32), most_minima(4, 1000), most_minima(9, 10)
    (22.0, 4.0, inf)
    """
    w, n = _checked_found(found, starts)
    _check_confidence(confidence)
    if n < w + 2:
        return math.inf
    # K − w is negative binomial with a beta-distributed parameter. Its relative spread, roughly, says
    # how wide a panel may be, and where nothing can lie yet: 40 spreads below the mean.
    mean = w * (w + 1) / (n - w - 1)
    spread = math.sqrt(1 / (n - w - 1) + 1 / w + 1 / mean)
    a = float(max(0, math.floor(mean * (1 - 40 * spread))))
    below = 0.0
    while True:
        b = a + max(4096, math.floor(a * min(0.25, spread / 2)))
        mass = _mass(w, n, a, b)
        if below + mass >= confidence:
            break
        if a > 1e300 or (mass < 1e-18 and below > 0.5):  # confidence is 1 to rounding
            return float(w + a)
        below, a = below + mass, b
    start = a
    while b - a > 1 and a < (middle := (a + b) // 2) < b:  # until they are neighbours in floating point
        enough = below + _mass(w, n, start, middle) >= confidence
        a, b = (a, middle) if enough else (middle, b)
    return float(w + b - 1)


def _mass(found: int, starts: int, a: float, b: float) -> float:
    """Return P(a ≤ K − w < b) for a range that is short or over which the posterior is smooth."""
    if b - a <= 4096:
        return float(np.exp(_log_posterior(found, starts, np.arange(a, b))).sum())
    # The midpoint rule read backwards: a sum of smooth terms is an integral between half-integers.
    nodes, weights = np.polynomial.legendre.leggauss(16)
    x = (a + b - 1) / 2 + (b - a) / 2 * nodes
    return float(np.exp(_log_posterior(found, starts, x)) @ weights) * (b - a) / 2


def _log_posterior(found: int, starts: int, missing: Array) -> Array:
    """Return log P(K = w + missing), starts ≥ found + 2; factorials of K are taken in ratios only."""
    w, n = found, starts
    constant = (
        math.lgamma(n) + math.lgamma(n - 1) - math.lgamma(n - w - 1) - math.lgamma(w) - math.lgamma(w + 1)
    )
    return constant + _log_rising(missing + 1, w) - _log_rising(missing + w, n)


def _log_rising(x: Array, n: int) -> Array:
    """Return log Γ(x + n) − log Γ(x), x ≥ 1, without the cancellation that large x bring."""
    small = x < 16  # where Stirling's series is not good enough yet
    y = np.where(small, x + 16, x)
    total: Array = n * (np.log(y + n) - 1) + (y - 0.5) * np.log1p(n / y) + _stirling(y + n) - _stirling(y)
    if small.any():  # Γ(x) = Γ(x + 16) / (x (x + 1) … (x + 15))
        steps = x[small][:, None] + np.arange(16)
        total[small] -= np.log1p(n / steps).sum(axis=1)
    return total


def _stirling(x: Array) -> Array:
    """Return what Stirling's formula for log Γ(x) leaves out, to 1e-12 for x ≥ 16."""
    t = 1 / (x * x)
    return np.asarray((1 / 12 - t * (1 / 360 - t / 1260)) / x)


# Restarts


def restarts_needed(share: float, confidence: float) -> int | None:
    """Return n with 1 − (1 − share)ⁿ ≥ confidence, None where no start succeeds.

    >>> restarts_needed(0.5, 0.95)
    5
    """
    if share <= 0:
        return None
    if share >= 1:
        return 1
    return math.ceil(math.log1p(-confidence) / math.log1p(-share))


def restarts_interval(
    hits_best: int, starts: int, confidence: float = CONFIDENCE, level: float = CONFIDENCE
) -> tuple[int, int | None]:
    """Return an interval of the restarts that reach the best with probability `confidence`.

    It is `restarts_needed` at the ends of the Wilson interval, at `level`, of the best's share, so it
    covers as often as that does, or more often, since restarts are whole numbers. The upper end is None
    where no start has reached the best. Raises InputError as `wilson` does.

    >>> restarts_needed(10 / 100, 0.95), restarts_interval(10, 100)
    (29, (16, 53))
    >>> restarts_interval(0, 100)
    (80, None)
    """
    _check_confidence(confidence)
    low, high = wilson(hits_best, starts, level)
    fewest = restarts_needed(high, confidence)
    assert fewest is not None  # the upper end of Wilson's interval is never 0
    return fewest, restarts_needed(low, confidence)


def chance_of_best(share: float, restarts: ArrayLike) -> Array:
    """Return the probability 1 − (1 − share)ⁿ that n restarts reach what this share of starts reaches.

    restarts: n, any shape. Raises InputError unless 0 ≤ share ≤ 1 and n ≥ 1.

    >>> chance_of_best(0.5, [1, 2, 5])
    array([0.5    , 0.75   , 0.96875])
    """
    if not 0 <= share <= 1:
        raise InputError(f"The share lies between 0 and 1, but it is {share!r}.")
    n = _checked_restarts(restarts)
    return -np.expm1(n * math.log1p(-share)) if share < 1 else np.ones_like(n)


def best_of(values: ArrayLike, hits: Counts, starts: int, restarts: ArrayLike) -> Array:
    """Return the expected lowest value reached by n restarts, each one of these starts drawn at random.

        Σₖ vₖ [(1 − Fₖ₋₁)ⁿ − (1 − Fₖ)ⁿ] / [1 − (1 − F)ⁿ]

    with the values v₁ < v₂ < …, the share Fₖ of starts that reach vₖ or lower and the share F of starts
    that reach any minimum. A start that reaches none has no value, so the mean is over the tries in
    which some start does; how many those are is `chance_of_best(F, n)`. Nothing lower than the lowest
    value seen enters: beyond about `starts` restarts the curve says what is known, not what there is.

    values, hits: of each minimum, in any order; starts: all of them; restarts: n, any shape, which is
    the shape returned. NaN if no start reached a minimum. Raises InputError as `unseen_share` does, and
    unless there is one finite value to each of the hits and n ≥ 1.

    >>> best_of([1.0, 3.0], [50, 50], 100, [1, 2, 3])
    array([2.  , 1.5 , 1.25])
    """
    v, tails = _distribution(values, hits, starts)
    n = _checked_restarts(restarts)
    if not len(v):
        return np.full(n.shape, math.nan)
    steps = np.diff(v)
    expected = np.empty(n.shape)
    for at, m in np.ndenumerate(n):
        # The sum by parts, v₁ + Σ (vₖ₊₁ − vₖ) P(best > vₖ | any): every term is positive and exact.
        above = -np.exp(m * tails[:-1]) * np.expm1(m * (tails[-1] - tails[:-1]))
        expected[at] = v[0] + steps @ above / -np.expm1(m * tails[-1])
    return expected


def best_of_quantiles(
    values: ArrayLike,
    hits: Counts,
    starts: int,
    restarts: ArrayLike,
    levels: Sequence[float] = (0.05, 0.5, 0.95),
) -> Array:
    """Return quantiles of the lowest value reached by n restarts, by default 5 %, the median and 95 %.

    The q-quantile is the lowest value v with P(best ≤ v) = 1 − (1 − F(v))ⁿ ≥ q. A try in which no
    start reaches a minimum counts as infinitely high, so a quantile is infinite where fewer tries than
    q reach any. Arguments and errors as in `best_of`; levels: each between 0 and 1. The first axis of
    the result is the levels'.

    >>> best_of_quantiles([1.0, 3.0], [10, 40], 100, [1, 10, 100]).T
    array([[ 1.,  3., inf],
           [ 1.,  1.,  3.],
           [ 1.,  1.,  1.]])
    """
    for level in levels:
        _check_confidence(level, "A level")
    v, tails = _distribution(values, hits, starts)
    n = _checked_restarts(restarts)
    # (1 − F)ⁿ ≤ 1 − q, with room for rounding where the two are equal.
    limits = np.log1p(-np.asarray(levels, float)).reshape(-1, *[1] * n.ndim) / n
    at = np.searchsorted(-tails, -limits * (1 - 1e-12))
    return np.asarray(np.append(v, math.inf)[at])


def _distribution(values: ArrayLike, hits: Counts, starts: int) -> tuple[Array, Array]:
    """Return the distinct values reached, lowest first, and log(1 − F) at each."""
    counts, v = _checked_hits(hits, starts), np.asarray(values, float).reshape(-1)
    if len(v) != len(counts) or not np.isfinite(v).all():
        raise InputError(
            f"{len(counts)} minima with hits need as many finite values, but {len(v)} were given."
        )
    distinct, group = np.unique(v[counts > 0], return_inverse=True)
    reached = np.cumsum(np.bincount(group, counts[counts > 0], len(distinct)))
    with np.errstate(divide="ignore"):  # log 0 where every start reaches that value or a lower one
        tails = np.where(
            2 * reached < starts, np.log1p(-reached / starts), np.log((starts - reached) / starts)
        )
    return distinct, tails


def _quantile(confidence: float) -> float:
    """Return z with P(|Z| ≤ z) = confidence for a standard normal Z."""
    _check_confidence(confidence)
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _check_confidence(confidence: float, what: str = "The confidence") -> None:
    if not 0 < confidence < 1:
        raise InputError(f"{what} lies between 0 and 1, but it is {confidence!r}.")


def _check_counts(hits: int, starts: int, least: int = 0) -> None:
    if not (starts >= 1 and 0 <= hits <= starts and least >= 0):
        hits = least if least < 0 else hits
        raise InputError(f"Hits are 0 or more of at least one start, but {hits} of {starts} were given.")


def _checked_hits(hits: Counts, starts: int) -> NDArray[Any]:
    counts = np.asarray(hits).reshape(-1)
    _check_counts(int(counts.sum()), starts, int(counts.min(initial=0)))
    return counts


def _checked_found(found: int, starts: int) -> tuple[int, int]:
    if not (0 <= found <= starts and (found or not starts)):
        raise InputError(
            f"Starts that reach minima find one at least and one each at most, but {starts} found {found}."
        )
    return int(found), int(starts)


def _checked_restarts(restarts: ArrayLike) -> Array:
    n = np.asarray(restarts, float)
    if not (n >= 1).all():
        raise InputError("Restarts are counted from 1 on; give a number of at least 1.")
    return n
