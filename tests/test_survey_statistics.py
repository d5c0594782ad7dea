"""Statistics of counts: closed forms, exact fractions, and coverage over simulated surveys."""

from __future__ import annotations

import decimal
import functools
import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from descentlab.errors import InputError
from descentlab.survey.statistics import (
    best_of,
    best_of_quantiles,
    chance_all_seen,
    chance_of_best,
    most_minima,
    posterior,
    posterior_count,
    restarts_interval,
    restarts_needed,
    unseen_interval,
    unseen_share,
    wilson,
)

Array = NDArray[np.float64]
HUGE = 10**8


# Coverage


def rastrigin_like() -> Array:
    """121 cells of a 10.24 × 10.24 box with unit cells, those at the edge wider."""
    edge = np.r_[0.62, np.ones(9), 0.62] / 10.24
    return np.outer(edge, edge).ravel()


def shubert_like() -> Array:
    """722 shares of very different sizes."""
    shares = np.random.default_rng(7).lognormal(0, 1.5, 722)
    return shares / shares.sum()


def mixed(*parts: tuple[int, float]) -> Array:
    return np.concatenate([np.full(count, share / count) for count, share in parts])


# Shares that sum to less than one leave the rest to starts that reach no minimum.
SHARES: dict[str, Array] = {
    "2 equal": np.full(2, 1 / 2),
    "5 equal": np.full(5, 1 / 5),
    "20 equal": np.full(20, 1 / 20),
    "121 equal": np.full(121, 1 / 121),
    "722 equal": np.full(722, 1 / 722),
    "2000 equal": np.full(2000, 1 / 2000),
    "Rastrigin-like 121": rastrigin_like(),
    "Shubert-like 722": shubert_like(),
    "geometric 0.5": 0.5 ** np.arange(1, 60),
    "geometric 0.9": 0.1 * 0.9 ** np.arange(300),
    "geometric 0.99": 0.01 * 0.99 ** np.arange(2000),
    "Zipf 1": (z := 1 / np.arange(1, 2001)) / z.sum(),
    "Zipf 2": (z := 1 / np.arange(1, 2001) ** 2) / z.sum(),
    "3 big, 1000 tiny": mixed((3, 0.8), (1000, 0.2)),
    "2 big, 10 tiny": mixed((2, 0.99), (10, 0.01)),
    "40 % reach no minimum": mixed((3, 0.4), (300, 0.2)),
}


@functools.lru_cache(maxsize=4)
def surveys(name: str, starts: int, count: int = 2000) -> tuple[NDArray[np.int64], Array]:
    """Return the hits (survey, minimum) of `count` simulated surveys, and the truly unseen shares."""
    shares = SHARES[name]
    rest = max(0.0, 1 - shares.sum())
    rng = np.random.Generator(np.random.PCG64([starts, *name.encode()]))
    hits = rng.multinomial(starts, np.append(shares, rest) / (shares.sum() + rest), count)[:, :-1]
    return hits, (hits == 0) @ shares


def coverage(
    name: str, starts: int, interval: Callable[..., tuple[float, float]] = unseen_interval
) -> tuple[float, float]:
    """Return how often the interval holds the unseen share, and the mean number of minima hit once."""
    hits, unseen = surveys(name, starts)
    low, high = np.array([interval(row, starts) for row in hits]).T
    inside = (low - 1e-12 <= unseen) & (unseen <= high + 1e-12)
    return float(inside.mean()), float((hits == 1).sum(axis=1).mean())


def covers(name: str, starts: int) -> None:
    """Assert 93 to 97 %; or 93 % at least, where hardly any counts are possible."""
    covered, once = coverage(name, starts)
    assert covered >= 0.93, (name, starts, covered)
    # Where fewer minima are hit once, or starts are so few that almost each one finds another minimum,
    # the unseen share and its estimate jump between few values.
    if once >= 20 and starts - once >= 20:
        assert covered <= 0.97, (name, starts, covered)


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("121 equal", 200), ("722 equal", 1000), ("Rastrigin-like 121", 300), ("Shubert-like 722", 1000),
        ("geometric 0.5", 200), ("geometric 0.9", 1000), ("geometric 0.99", 1000), ("Zipf 2", 10_000),
        ("2 big, 10 tiny", 1000), ("40 % reach no minimum", 500), ("2 equal", 5), ("20 equal", 50),
    ],
)  # fmt: skip
def test_the_unseen_interval_covers(name: str, starts: int) -> None:
    covers(name, starts)


@pytest.mark.slow
@pytest.mark.parametrize("starts", [1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 200, 1000, 10_000, 100_000])
@pytest.mark.parametrize("name", SHARES)
def test_the_unseen_interval_covers_everywhere(name: str, starts: int) -> None:
    covers(name, starts)


def test_a_coverage_test_can_fail() -> None:
    """Esty's normal interval (1983), and a half too narrow one, are found out."""

    def esty(hits: NDArray[np.int64], starts: int) -> tuple[float, float]:
        n1, n2 = np.count_nonzero(hits == 1), np.count_nonzero(hits == 2)
        half = 1.96 * math.sqrt(n1 * (1 - n1 / starts) + 2 * n2) / starts
        return n1 / starts - half, n1 / starts + half

    def narrow(hits: NDArray[np.int64], starts: int) -> tuple[float, float]:
        low, high = unseen_interval(hits, starts)
        return 0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high

    assert coverage("geometric 0.5", 200, esty)[0] < 0.92
    assert coverage("2 big, 10 tiny", 50, esty)[0] < 0.5
    assert coverage("geometric 0.99", 1000, narrow)[0] < 0.8


def one_size(rare: int, expected: float, count: int = 20_000) -> tuple[float, float]:
    """Return coverage and mean number of singletons with `rare` minima expected that often each among
    very many starts, and everything else hit often."""
    rng = np.random.default_rng([rare, int(1000 * expected)])
    chances = stats.poisson.pmf([0, 1, 2], expected)
    missed, once, twice, _ = rng.multinomial(rare, [*chances, 1 - chances.sum()], count).T
    pairs, at = np.unique(np.stack([once, twice], axis=1), axis=0, return_inverse=True)
    ends = np.array([unseen_interval([1] * n1 + [2] * n2, HUGE) for n1, n2 in pairs])[at.ravel()]
    unseen = missed * expected / HUGE
    return float(np.mean((ends[:, 0] <= unseen) & (unseen <= ends[:, 1]))), float(once.mean())


@pytest.mark.parametrize("rare", [1, 2, 3, 4, 6, 10, 30, 100, 300])
@pytest.mark.parametrize("expected", [0.1, 0.4, 0.7, 1, 1.3, 2, 3, 4, 6])
def test_the_unseen_interval_covers_however_few_minima_are_rare(rare: int, expected: float) -> None:
    covered, once = one_size(rare, expected)
    assert covered >= 0.945  # 20,000 surveys: ± 0.003
    assert once < 20 or covered <= 0.97


def test_the_unseen_share_is_unbiased() -> None:
    """E[n₁]/N and E[U] differ by less than the largest share in N (Good 1953)."""
    hits, unseen = surveys("geometric 0.9", 200)
    estimates = [unseen_share(row, 200) for row in hits]
    assert np.mean(estimates) == pytest.approx(unseen.mean(), abs=4 * np.std(estimates) / math.sqrt(2000))


@pytest.mark.parametrize("z_confidence", [0.8, 0.9, 0.99])
def test_the_unseen_interval_takes_other_confidences(z_confidence: float) -> None:
    hits, unseen = surveys("Shubert-like 722", 1000)
    ends = np.array([unseen_interval(row, 1000, z_confidence) for row in hits])
    inside = np.mean((ends[:, 0] <= unseen) & (unseen <= ends[:, 1]))
    assert inside == pytest.approx(z_confidence, abs=4 * math.sqrt(z_confidence * (1 - z_confidence) / 2000))


def wilson_coverage(
    starts: int, share: float, truth: float, ends: Callable[[int], tuple[float, float]]
) -> float:
    draws = np.random.default_rng([starts, int(1e6 * share)]).binomial(starts, share, 2000)
    values, counts = np.unique(draws, return_counts=True)
    inside = [low <= truth <= high for low, high in (ends(int(h)) for h in values)]
    return float(counts @ np.array(inside, float)) / 2000


BINOMIALS = [
    (100, 0.5),
    (200, 0.1),
    (1000, 0.02),
    (1000, 0.9),
    (10_000, 0.005),
    (100_000, 0.0003),
    (HUGE, 1e-6),
]


@pytest.mark.parametrize(("starts", "share"), BINOMIALS)
def test_the_wilson_interval_covers(starts: int, share: float) -> None:
    assert 0.93 <= wilson_coverage(starts, share, share, lambda h: wilson(h, starts)) <= 0.97


def test_the_wilson_interval_covers_as_its_docstring_says() -> None:
    """By the binomial distribution, without simulation."""
    starts, most = 1000, 200
    low, high = np.array([wilson(h, starts) for h in range(most)]).T

    def covered(expected: float) -> float:
        share = expected / starts
        inside = (low <= share) & (share <= high)
        return float(stats.binom.pmf(np.arange(most), starts, share)[inside].sum())

    from_ten = [covered(m) for m in np.geomspace(10, 100, 500)]
    from_two = [covered(m) for m in np.geomspace(2, 10, 500)]
    below = [covered(m) for m in np.geomspace(0.05, 2, 500)]
    assert min(from_ten) >= 0.93
    assert max(from_ten) <= 0.97
    assert min(from_two) >= 0.925
    assert max(from_two) <= 0.981
    assert 0.83 <= min(below) <= 0.85


@pytest.mark.parametrize(("starts", "share"), BINOMIALS)
def test_the_restarts_interval_covers(starts: int, share: float) -> None:
    needed = restarts_needed(share, 0.95)
    assert needed is not None

    def ends(hits: int) -> tuple[float, float]:
        low, high = restarts_interval(hits, starts)
        return low, math.inf if high is None else high

    covered = wilson_coverage(starts, share, needed, ends)
    assert covered >= 0.93
    assert covered <= 0.97 or needed < 100  # few restarts: whole numbers cover more


# Extremes


def test_intervals_at_the_extremes() -> None:
    assert wilson(0, HUGE)[0] == 0
    assert wilson(HUGE, HUGE)[1] == 1
    assert wilson(0, 1) == pytest.approx((0, 0.793451), abs=1e-6)
    low, high = wilson(1, HUGE)
    assert low == pytest.approx(1.765e-9, rel=1e-3)
    assert high == pytest.approx(5.665e-8, rel=1e-3)
    for hits, starts in (([], 1), ([1], 1), ([1] * 5, 5)):  # that says nothing
        assert unseen_interval(hits, starts) == (0, 1)


@pytest.mark.parametrize("starts", [50, 1000, HUGE])
def test_seeing_everything_often_still_leaves_something(starts: int) -> None:
    low, high = unseen_interval([starts], starts)
    z = stats.norm.ppf(0.975) ** 2
    assert low == 0
    assert high == pytest.approx(z / (starts + z), rel=0.02)  # about 3.84 / starts
    assert high >= 1 - 0.025 ** (1 / starts)  # the exact bound of a share never hit


def test_the_unseen_interval_at_huge_counts() -> None:
    """Esty's interval is its limit; the list of hits may be long."""
    hits = np.r_[np.ones(40_000, int), np.full(20_000, 2), np.full(40_000, 1000)]
    low, high = unseen_interval(hits, HUGE)
    half = 1.959964 * math.sqrt(40_000 + 2 * 20_000) / HUGE
    assert low == pytest.approx(4e-4 - half, abs=0.02 * half)
    assert high == pytest.approx(4e-4 + half, abs=0.02 * half)
    assert unseen_interval(hits.tolist(), HUGE) == (low, high)


def test_the_unseen_interval_holds_its_estimate_and_lies_within_0_and_1() -> None:
    for n1, n2, more in itertools.product([0, 1, 2, 3, 5, 30, 1000], [0, 1, 7, 500], [0, 1, 4, 10**6]):
        starts = n1 + 2 * n2 + more
        if starts:
            hits = [1] * n1 + [2] * n2 + [more]
            low, high = unseen_interval(hits if more != 1 else hits[:-1], starts)
            assert 0 <= low <= n1 / starts <= high <= 1
            assert low < high


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson(1, 0),
        lambda: wilson(3, 2),
        lambda: wilson(1, 2, 1.0),
        lambda: unseen_share([], 0),
        lambda: unseen_interval([3, 3], 5),
        lambda: unseen_interval([-1, 3], 5),
        lambda: unseen_interval([3], 5, 0.0),
        lambda: restarts_interval(1, 2, math.nan),
        lambda: posterior_count(6, 5),
        lambda: posterior(0, 5, [1]),
        lambda: chance_all_seen(-1, 5),
        lambda: most_minima(2, 9, 1),
        lambda: chance_of_best(1.2, 3),
        lambda: chance_of_best(0.2, 0),
        lambda: best_of([1.0], [1, 2], 5, 1),
        lambda: best_of([1.0, math.nan], [1, 2], 5, 1),
        lambda: best_of([1.0], [1], 5, [1, 0]),
        lambda: best_of([1.0], [6], 5, [1]),
        lambda: best_of_quantiles([1.0], [1], 5, 1, [0.5, 1.0]),
    ],
)
def test_unusable_counts_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=r"^[A-Z0-9].*\.\nMore: "):
        call()


# The number of minima


def exactly(found: int, starts: int, k: int) -> Fraction:
    """Return P(K = k) from factorials."""
    f = math.factorial
    above = f(k - 1) * f(k) * f(starts - 1) * f(starts - 2)
    return Fraction(above, f(starts + k - 1) * f(k - found) * f(found) * f(found - 1) * f(starts - found - 2))


POSTERIORS = [(1, 3), (1, 4), (2, 10), (4, 6), (5, 9), (10, 32), (20, 23), (50, 60), (7, 1000)]


@pytest.mark.parametrize(("found", "starts"), POSTERIORS)
def test_the_posterior_is_the_factorials(found: int, starts: int) -> None:
    k = np.arange(found, found + 300)
    expected = [float(exactly(found, starts, int(i))) for i in k]
    np.testing.assert_allclose(posterior(found, starts, k), expected, rtol=1e-11)
    assert chance_all_seen(found, starts) == pytest.approx(expected[0], rel=1e-13)
    assert posterior(found, starts, found - 1) == 0


@pytest.mark.parametrize(("found", "starts"), POSTERIORS)
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_the_upper_bound_is_the_posteriors_quantile(found: int, starts: int, confidence: float) -> None:
    most = int(most_minima(found, starts, confidence))
    below = sum(exactly(found, starts, k) for k in range(found, most))
    assert below < Fraction(confidence) <= below + exactly(found, starts, most)


@pytest.mark.parametrize(("found", "starts"), [(2, 10), (10, 32), (50, 100)])
def test_mean_and_deviation_are_the_posteriors(found: int, starts: int) -> None:
    k = np.arange(found, found + 20_000)
    chances = posterior(found, starts, k)
    mean, deviation = posterior_count(found, starts)
    assert chances.sum() == pytest.approx(1, abs=1e-10)
    assert mean == pytest.approx(chances @ k, rel=1e-9)
    assert mean == found * (starts - 1) / (starts - found - 2)
    assert deviation == pytest.approx(math.sqrt(chances @ (k - mean) ** 2), rel=1e-6)


def test_the_posterior_is_the_prior_model_simulated() -> None:
    """Draw K uniformly, then shares uniformly on the simplex, then starts; keep what found 3."""
    rng = np.random.default_rng(3)
    most, starts, found, each = 40, 14, 3, 8000
    kept = np.zeros(most + 1)
    for k in range(1, most + 1):
        shares = rng.dirichlet(np.ones(k), each)
        distinct = (rng.multinomial(starts, shares) > 0).sum(axis=1)
        kept[k] = np.count_nonzero(distinct == found)
    chances = posterior(found, starts, np.arange(most + 1))
    assert chances.sum() > 1 - 1e-4  # cutting K at 40 changes nothing
    expected = chances * kept.sum()
    assert kept.sum() > 5000
    large = expected >= 5
    chi2 = np.sum((kept - expected)[large] ** 2 / expected[large])
    assert chi2 < stats.chi2.ppf(0.999, int(large.sum()) - 1)


def test_a_credible_bound_covers_under_its_prior() -> None:
    """Over the prior model, given what was found, K ≤ the 90 % bound in at least 90 % of cases."""
    rng = np.random.default_rng(5)
    bounds = [0.0, *(most_minima(found, 400, 0.9) for found in range(1, 61))]
    inside = []
    for k in rng.integers(1, 200, 4000):
        found = int((rng.multinomial(400, rng.dirichlet(np.ones(k))) > 0).sum())
        if found <= 60:  # so few that the cut of the prior at 200 does not matter
            inside.append(k <= bounds[found])
    assert len(inside) > 1000
    assert 0.88 <= np.mean(inside) <= 0.96


@pytest.mark.parametrize(
    ("found", "starts", "terms"),
    [
        (100_000, HUGE, 1000),
        (1000, 3000, 10_000),
        (100_000, 110_000, 1_300_000),
        (10**6, HUGE, 20_000),
        (200, 202, 900_000),
    ],
)
def test_the_upper_bound_of_large_counts_is_the_sum(found: int, starts: int, terms: int) -> None:
    """Its panels against adding up every term; 200 of 202 has a tail without a mean."""
    chances = np.cumsum(posterior(found, starts, np.arange(found, found + terms, dtype=float)))
    assert chances[-1] > 0.95
    summed = found + int(np.searchsorted(chances, 0.95))
    assert most_minima(found, starts, 0.95) == pytest.approx(summed, abs=1)
    mean, deviation = posterior_count(found, starts)
    if math.isfinite(deviation):
        z = (most_minima(found, starts, 0.95) - mean) / deviation
        assert z == pytest.approx(1.645, abs=0.2)


def test_the_upper_bound_far_out_is_the_limits() -> None:
    """With starts = found + 2, P(K ≤ k) tends to exp(−found²/k)."""
    assert most_minima(100_000, 100_002, 0.95) == pytest.approx(1e10 / -math.log(0.95), rel=1e-4)


def test_where_the_posterior_says_nothing() -> None:
    for found, starts in ((0, 0), (1, 1), (1, 2), (5, 6), (HUGE, HUGE)):
        assert posterior_count(found, starts) == (math.inf, math.inf)
        assert most_minima(found, starts) == math.inf
        assert chance_all_seen(found, starts) == 0
        assert np.isnan(posterior(found, starts, [found])).all()
    assert posterior_count(1, 3)[0] == math.inf
    assert posterior_count(1, 4) == (3, math.inf)
    assert 0 < chance_all_seen(1, 3) < 1


def test_everything_was_seen_after_very_many_starts() -> None:
    assert chance_all_seen(4, HUGE) == pytest.approx(1 - 20 / HUGE, abs=1e-13)
    assert most_minima(4, HUGE) == 4
    assert posterior_count(100_000, HUGE)[0] == pytest.approx(100_100.10110, rel=1e-9)
    assert chance_all_seen(100_000, HUGE) == pytest.approx(math.exp(-100.0011), rel=1e-3)
    assert chance_all_seen(10**7, HUGE) == 0


# Restarts


def test_restarts_interval_at_the_extremes() -> None:
    assert restarts_interval(0, 100) == (restarts_needed(wilson(0, 100)[1], 0.95), None)
    assert restarts_interval(100, 100)[0] == 1
    low, high = restarts_interval(1, HUGE)
    assert high is not None
    assert low < math.log(20) * HUGE < high
    wide, narrow = (restarts_interval(30, 100, 0.95, level) for level in (0.999, 0.5))
    assert wide[0] < narrow[0]
    assert (narrow[1] or 0) < (wide[1] or 0)


def test_the_chance_of_the_best() -> None:
    np.testing.assert_allclose(chance_of_best(0.3, [1, 2, 3]), 1 - 0.7 ** np.arange(1, 4), rtol=1e-14)
    assert chance_of_best(1e-12, 10**6) == pytest.approx(1e-6, rel=1e-6)
    assert chance_of_best(0, 10) == 0
    assert chance_of_best(1, [[1], [5]]).tolist() == [[1], [1]]


VALUES, HITS, STARTS = [2.5, -1.0, 0.25, 2.5, 7.0], [4, 1, 3, 2, 5], 20  # five starts reach no minimum


def by_fractions(n: int) -> Fraction:
    """Return the mean of the best of n over all STARTSⁿ tries that reach something, exactly."""
    levels = sorted({Fraction(v) for v in VALUES})
    left = [
        Fraction(STARTS - sum(h for v, h in zip(VALUES, HITS, strict=True) if v <= u), STARTS) for u in levels
    ]
    before = [Fraction(1), *left[:-1]]
    total = sum(u * (b**n - a**n) for u, b, a in zip(levels, before, left, strict=True))
    return total / (1 - left[-1] ** n)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 100, 1000])
def test_the_best_of_n_is_its_formula(n: int) -> None:
    assert best_of(VALUES, HITS, STARTS, n) == pytest.approx(float(by_fractions(n)), rel=1e-13)


def test_the_best_of_two_by_listing_every_pair() -> None:
    outcomes = [*np.repeat(VALUES, HITS), *[math.inf] * (STARTS - sum(HITS))]
    pairs = [min(a, b) for a in outcomes for b in outcomes]
    reached = [p for p in pairs if math.isfinite(p)]
    assert best_of(VALUES, HITS, STARTS, 2) == pytest.approx(np.mean(reached), rel=1e-14)
    assert chance_of_best(sum(HITS) / STARTS, 2) == pytest.approx(len(reached) / len(pairs), rel=1e-14)
    levels = [0.05, 0.3, 0.5, 0.9, 0.95]
    expected = np.quantile(pairs, levels, method="inverted_cdf")
    np.testing.assert_array_equal(best_of_quantiles(VALUES, HITS, STARTS, 2, levels), expected)


def test_the_best_of_n_by_simulation() -> None:
    rng = np.random.default_rng(11)
    outcomes = np.array([*np.repeat(VALUES, HITS), *[math.inf] * (STARTS - sum(HITS))])
    for n in (3, 7):
        tries = rng.choice(outcomes, (100_000, n)).min(axis=1)
        reached = tries[np.isfinite(tries)]
        assert best_of(VALUES, HITS, STARTS, n) == pytest.approx(
            reached.mean(), abs=4 * reached.std() / math.sqrt(len(reached))
        )
        for level, value in zip((0.05, 0.5, 0.95), best_of_quantiles(VALUES, HITS, STARTS, n), strict=True):
            assert np.mean(tries < value) <= level + 0.005
            assert np.mean(tries <= value) >= level - 0.005


def test_the_best_of_n_at_large_n() -> None:
    values, hits = np.arange(100_000.0) + 1e9, np.ones(100_000, int)
    curve = best_of(values, hits, HUGE, n := np.array([1, 10, 10**3, 10**6]))
    assert (np.diff(curve) < 0).all()
    assert curve[0] == pytest.approx(values.mean(), rel=1e-15)
    # Among 1000 of the 10⁶ a share 1/1000 reaches something: the lowest of m uniform values lies at 1/(m + 1).
    assert curve[-1] - 1e9 == pytest.approx(100, rel=0.01)
    assert best_of([5.0, 6.0], [1, 1], 2, 10**6) == 5
    assert best_of([-3.3] * 4, [1, 2, 3, 4], 17, n).tolist() == [-3.3] * 4
    with decimal.localcontext(prec=60):
        one, two = (decimal.Decimal(HUGE - k) / HUGE for k in (1, 2))
        rare = [float(1 + (one**m - two**m) / (1 - two**m)) for m in (1, 10, 10**6, 10**9)]
    np.testing.assert_allclose(best_of([1.0, 2.0], [1, 1], HUGE, [1, 10, 10**6, 10**9]), rare, rtol=1e-14)


def test_the_best_of_n_keeps_the_shape_and_the_order_of_nothing() -> None:
    n = np.array([[1, 2], [3, 50]])
    curve = best_of(VALUES, HITS, STARTS, n)
    band = best_of_quantiles(VALUES, HITS, STARTS, n)
    assert curve.shape == (2, 2)
    assert band.shape == (3, 2, 2)
    np.testing.assert_array_equal(curve, best_of(VALUES[::-1], HITS[::-1], STARTS, n))
    np.testing.assert_array_equal(band, best_of_quantiles(VALUES[::-1], HITS[::-1], STARTS, n))
    assert (np.diff(band, axis=0) >= 0).all()
    np.testing.assert_array_equal(best_of([*VALUES, -9.0], [*HITS, 0], STARTS, n), curve)  # never hit


def test_the_best_of_nothing() -> None:
    assert np.isnan(best_of([], [], 10, [1, 2])).all()
    assert np.isinf(best_of_quantiles([], [], 10, [1, 2])).all()
    # Half of the starts reach a minimum: the 95 % quantile is finite from five restarts on.
    high = best_of_quantiles([1.0], [1], 2, [1, 4, 5])[-1]
    assert high.tolist() == [math.inf, math.inf, 1]
    for hits in range(1, 100):  # a probability that is the level to rounding is enough
        assert best_of_quantiles([1.0, 2.0], [hits, 100 - hits], 100, 1, [hits / 100]) == 1
