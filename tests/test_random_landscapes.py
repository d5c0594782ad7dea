"""Random landscapes: expected counts against closed forms, sampling and brute force; points, curves and landings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from descentlab.errors import InputError, WorkError
from descentlab.random_landscapes import (
    PSpin,
    bowl,
    bowl_complexities,
    descend_from_random,
    ensemble,
    expected_counts,
    expected_counts_in_bowl,
    expected_energies,
    ground_state_energy,
    index_fraction,
    minima_complexity,
    p_spin,
    points_at_energies,
    stationary_points,
    threshold_energy,
    total_complexity,
)
from descentlab.random_landscapes.counts import ExpectedCounts
from descentlab.random_landscapes.ensemble import pfaffian
from descentlab.random_landscapes.landscape import System
from descentlab.random_landscapes.picture import PictureData, draw, picture_data
from descentlab.random_landscapes.search import _established

Array = NDArray[np.float64]


def alternating(by_index: Array) -> float:
    return float((by_index * (-1.0) ** np.arange(len(by_index))).sum())


def off(observed: Array, expected: Array | float) -> Array:
    """Return how many standard errors the means over instances (instance, …) are from what is expected."""
    return np.asarray(
        (observed.mean(axis=0) - expected) / (observed.std(axis=0, ddof=1) / len(observed) ** 0.5)
    )


# Expected counts: closed forms


@pytest.mark.parametrize("p", [2, 3, 4, 7])
def test_two_spins_have_a_closed_form(p: int) -> None:
    counts = expected_counts(2, p)
    # Quadrature carries 13 digits; 2√7 for p = 3.
    assert counts.total == pytest.approx(2 * math.sqrt(3 * p - 2), rel=1e-12)
    assert counts.by_index[0] == pytest.approx(counts.by_index[1], rel=1e-12)


@pytest.mark.parametrize("size", [2, 3, 8, 15])
def test_a_quadratic_form_has_two_points_of_every_index(size: int) -> None:
    np.testing.assert_allclose(expected_counts(size, 2).by_index, 2.0, rtol=1e-11)


@pytest.mark.parametrize("p", [3, 4, 5])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 9, 16, 25])
def test_morse_holds_on_average_on_the_sphere(size: int, p: int) -> None:
    by_index = expected_counts(size, p).by_index
    # 1e-9 of the largest count: chances below 1e-12 are cut off.
    assert alternating(by_index) == pytest.approx(2 if size % 2 else 0, abs=1e-9 * by_index.max())


@pytest.mark.parametrize("ratio", [0.4, 0.9, 1.5])
@pytest.mark.parametrize("size", [1, 2, 3, 6, 11])
def test_morse_holds_on_average_in_a_bowl(size: int, ratio: float) -> None:
    by_index = expected_counts_in_bowl(size, ratio).by_index
    assert len(by_index) == size + 1
    assert alternating(by_index) == pytest.approx(1.0, abs=1e-9 * by_index.max())


@pytest.mark.parametrize("ratio", [0.2, 1.0, 3.0])
def test_a_bowl_on_a_line_has_a_closed_form(ratio: float) -> None:
    # E|μ + K|/μ with K normal of variance 3F″(0) = 3: a folded normal number.
    z = ratio / math.sqrt(3)
    folded = math.sqrt(6 / math.pi) * math.exp(-z * z / 2) + ratio * math.erf(z / math.sqrt(2))
    assert expected_counts_in_bowl(1, ratio).total == pytest.approx(folded / ratio, rel=1e-11)


@pytest.mark.parametrize("size", [2, 4, 6, 10])
def test_the_square_of_a_pfaffian_is_the_determinant(size: int) -> None:
    rng = np.random.default_rng(size)
    full = rng.normal(size=(5, size, size)) + 1j * rng.normal(size=(5, size, size))
    skew = full - full.swapaxes(1, 2)
    np.testing.assert_allclose(pfaffian(skew) ** 2, np.linalg.det(skew), rtol=1e-9)


# Expected counts: references


# From shared/REFERENCES.md, measured by sampling.
REFERENCES = {
    5: (4.0, 0.127),
    10: (6.1, 0.021),
    20: (11.1, 8e-4),
    40: (27.2, 1.3e-6),
    80: (109.0, 3.5e-12),
}


@pytest.mark.parametrize("size", [5, 10, 20, 40, pytest.param(80, marks=pytest.mark.slow)])
def test_number_and_share_of_minima_agree_with_the_references(size: int) -> None:
    counts = expected_counts(size)
    minima, share = REFERENCES[size]
    # 1.5 % for their sampling, and half a unit of the last digit printed.
    assert counts.minima == pytest.approx(minima, rel=0.015, abs=0.05)
    assert counts.share == pytest.approx(share, rel=0.015 + 0.04)


@pytest.mark.parametrize(
    ("size", "samples"), [(3, 50_000), (10, 20_000), pytest.param(40, 6000, marks=pytest.mark.slow)]
)
def test_sampling_agrees_with_quadrature(size: int, samples: int) -> None:
    exact, sampled = expected_counts(size), expected_counts(size, samples=samples, seed=1)
    z = (sampled.by_index - exact.by_index) / sampled.standard_errors
    assert np.abs(z).max() < 4  # the largest of 40
    assert abs(sampled.total - exact.total) < 4 * sampled.total_error
    assert abs(sampled.share - exact.share) < 4 * sampled.share_error
    assert sampled.minima_error < 0.05 * exact.minima
    assert exact.total_error == exact.share_error == 0


@pytest.mark.slow
def test_eighty_spins_agree_with_sampling() -> None:
    exact, sampled = expected_counts(80), expected_counts(80, samples=4000, seed=2)
    # The weight of the lowest eigenvalue is log-normal with a large spread: 8 % is what 4000 samples give.
    assert sampled.minima_error < 0.12 * exact.minima
    assert abs(sampled.minima - exact.minima) < 4 * sampled.minima_error
    assert abs(sampled.total - exact.total) < 4 * sampled.total_error
    assert abs(sampled.share - exact.share) < 4 * sampled.share_error


def test_the_standard_error_of_the_share_is_right() -> None:
    runs = [expected_counts(6, samples=400, seed=seed) for seed in range(200)]
    scatter = np.std([run.share for run in runs], ddof=1)
    # 200 runs tell a standard deviation to 5 %.
    assert np.mean([run.share_error for run in runs]) == pytest.approx(scatter, rel=0.2)


def test_batches_of_samples_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = expected_counts(6, samples=1500, seed=3)
    monkeypatch.setattr(ensemble, "MOST_TOGETHER", 1)  # one matrix at a time: all variance is between batches
    single = expected_counts(6, samples=1500, seed=3)
    assert np.abs((single.by_index - whole.by_index) / whole.standard_errors).max() < 5
    # Each estimate of a spread is good to some 5 %, heavy tails included.
    np.testing.assert_allclose(single.standard_errors, whole.standard_errors, rtol=0.3)


def kac_rice_by_hand(size: int, p: int, samples: int) -> Array:
    """Sample ∫ E[|det Hess|; index k] p_∇(0) dσ over the sphere, without Theorem 2.1: (samples, index)."""
    rng, d = np.random.default_rng(3), size - 1
    drawn = rng.normal(size=(samples, d, d))
    tangent = (drawn + drawn.swapaxes(1, 2)) / math.sqrt(2) * math.sqrt(p * (p - 1) / size)
    energies = rng.normal(size=(samples, 1, 1)) / math.sqrt(size)
    values = np.linalg.eigvalsh(tangent - p * energies * np.eye(d))
    sphere = 2 * math.pi ** (size / 2) / math.gamma(size / 2) * size ** (d / 2)
    at_zero = (2 * math.pi * p) ** (-d / 2)
    weights = sphere * at_zero * np.abs(values.prod(axis=1))
    return np.asarray(weights[:, None] * ((values < 0).sum(axis=1)[:, None] == np.arange(size)))


@pytest.mark.parametrize(("size", "p"), [(3, 3), (4, 3), (4, 5), (6, 4)])
def test_kac_and_rice_by_hand_agree_by_index(size: int, p: int) -> None:
    assert np.abs(off(kac_rice_by_hand(size, p, 100_000), expected_counts(size, p).by_index)).max() < 4


@pytest.mark.parametrize(("size", "ratio"), [(2, 0.4), (4, 0.7), (3, 1.5)])
def test_the_bowl_agrees_with_sampled_hessians_by_index(size: int, ratio: float) -> None:
    rng = np.random.default_rng(5)
    drawn = rng.normal(size=(100_000, size, size))
    field = (drawn + drawn.swapaxes(1, 2)) / math.sqrt(2) + rng.normal(size=(100_000, 1, 1)) * np.eye(size)
    values = np.linalg.eigvalsh(ratio * np.eye(size) + field / math.sqrt(size))
    weights = np.abs(values.prod(axis=1)) / ratio**size
    by_index = weights[:, None] * ((values < 0).sum(axis=1)[:, None] == np.arange(size + 1))
    assert np.abs(off(by_index, expected_counts_in_bowl(size, ratio).by_index)).max() < 4


def growth(sizes: list[int], numbers: list[float], *, root: bool) -> float:
    """Return Σ of log number = ΣN + b√N + c log N + d, by least squares."""
    n = np.array(sizes, float)
    columns = [n, np.ones_like(n), np.log(n), *([np.sqrt(n)] if root else [])]
    return float(np.linalg.lstsq(np.stack(columns, axis=1), np.log(numbers))[0][0])


def test_counts_grow_at_the_known_rates() -> None:
    sizes = [8, 13, 20, 30, 42, 60]
    spins = [expected_counts(n) for n in sizes]
    # What the fit leaves out is of the order of 1/N; it comes to 0.001 to 0.004 in these rates.
    assert growth(sizes, [c.total for c in spins], root=False) == pytest.approx(total_complexity(), abs=5e-3)
    assert growth(sizes, [c.minima for c in spins], root=True) == pytest.approx(
        float(minima_complexity(0.0)), abs=5e-3
    )
    sizes = [6, 9, 13, 18, 25, 36]
    for ratio in (0.5, 0.7):
        bowls = [expected_counts_in_bowl(n, ratio) for n in sizes]
        total, minima = bowl_complexities(ratio)
        assert growth(sizes, [c.total for c in bowls], root=False) == pytest.approx(float(total), abs=5e-3)
        assert growth(sizes, [c.minima for c in bowls], root=True) == pytest.approx(float(minima), abs=5e-3)


def test_the_share_falls_while_the_number_grows() -> None:
    counts = [expected_counts(n) for n in range(2, 21)]
    assert (np.diff([c.share for c in counts]) < 0).all()
    assert (np.diff([c.minima for c in counts]) > 0).all()


# Theory


def test_complexities_of_a_bowl_at_their_limits() -> None:
    total, minima = bowl_complexities([1.0, 1.5])
    assert (total == 0).all()
    assert (minima == 0).all()
    # Just below the transition Σ_total = δ² and Σ_min = δ³/3, δ = 1 − μ/μ_c, up to one power more.
    total, minima = bowl_complexities([0.99])
    assert total[0] == pytest.approx(1e-4, rel=0.02)
    assert minima[0] == pytest.approx(1e-6 / 3, rel=0.02)
    x = np.linspace(0.05, 0.999, 50)
    total, minima = bowl_complexities(x)
    assert (total > minima).all()
    assert (minima > 0).all()


def test_thresholds() -> None:
    assert threshold_energy(3) == pytest.approx(2 * math.sqrt(2 / 3), rel=1e-15)
    assert ground_state_energy(3) == pytest.approx(
        1.6569, abs=2e-4
    )  # recalled in REFERENCES.md to four digits
    for p in (3, 4, 10, 50):
        assert abs(minima_complexity(-ground_state_energy(p), p)) < 1e-12
        assert ground_state_energy(p) > threshold_energy(p)
        # At the threshold the closed form of the minima meets ½ log(p−1) − (p−2)/p.
        edge = minima_complexity(-threshold_energy(p), p)
        assert edge == pytest.approx(math.log(p - 1) / 2 - (p - 2) / p, abs=1e-12)


@pytest.mark.parametrize("p", [2, 3, 5])
def test_the_index_curve_is_the_semicircle_below_zero(p: int) -> None:
    radius = 2 * math.sqrt(p * (p - 1))
    for energy in (-1.2, -0.3, 0.0, 0.7):
        x = np.linspace(-radius, min(p * energy, radius), 200_001)
        density = 2 * np.sqrt(np.maximum(radius**2 - x * x, 0)) / (math.pi * radius**2)
        # The density has a square root at the edge: the trapezoidal rule's error there is step^1.5.
        assert index_fraction(energy, p) == pytest.approx(np.trapezoid(density, x), abs=1e-6)


# Landscapes


@pytest.mark.slow
@pytest.mark.parametrize(("size", "p"), [(4, 2), (5, 3), (3, 4), (3, 5)])
def test_the_p_spin_agrees_with_its_definition_and_with_jax(size: int, p: int) -> None:
    import jax
    import jax.numpy as jnp

    landscape = p_spin(size, p, seed=7)
    points = landscape.random_points(2, seed=1)
    drawn = np.random.default_rng(7).standard_normal((size,) * p)  # the couplings, not symmetrized
    with jax.enable_x64(True):

        def energy(x: Any) -> Any:
            spins = x / jnp.linalg.norm(x) * math.sqrt(size)
            rest = jnp.asarray(drawn)
            for _ in range(p):
                rest = rest @ spins
            return rest * size ** (-(p - 1) / 2)

        for i, x in enumerate(points):
            q = landscape.tangent_basis(x)
            np.testing.assert_allclose(landscape.value(x), energy(x), rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(landscape.gradient(x), jax.grad(energy)(x), rtol=0, atol=1e-12)
            # Extended as a function of direction alone, the second derivative along a tangent is the geodesic one.
            hessian = q.T @ jax.hessian(energy)(x) @ q
            np.testing.assert_allclose(landscape.hessian(points)[i], hessian, rtol=0, atol=1e-11)


def test_the_p_spin_has_the_covariance_it_says() -> None:
    size, p, instances = 4, 3, 3000
    x, y = p_spin(size, p).random_points(2, seed=4)
    values = np.array([p_spin(size, p, seed).value(np.stack([x, y])) for seed in range(instances)])
    overlap = x @ y / size
    for product, expected in (
        (values[:, 0] ** 2, size),
        (values.prod(axis=1), size * overlap**p),
    ):
        assert abs(off(product, expected)) < 3.5


def test_the_bowl_has_the_covariance_it_says() -> None:
    size, instances = 3, 3000
    x, y = np.array([[1.5, -1.0, 0.5], [-0.5, 1.0, 0.0]])
    fields = [bowl(size, ratio=1.0, features=32, seed=seed) for seed in range(instances)]
    values = np.array([field.value(np.stack([x, y])) for field in fields]) - [x @ x / 2, y @ y / 2]
    expected = size * math.exp(-((x - y) @ (x - y)) / (2 * size))
    assert abs(off(values.prod(axis=1), expected)) < 3.5


@pytest.mark.parametrize("size", [1, 3])
def test_the_bowl_agrees_with_differences(size: int) -> None:
    field, h = bowl(size, features=50, seed=2), 1e-5
    x = field.random_points(4, seed=1)
    for i, step in enumerate(h * np.eye(size)):
        slope = (field.value(x + step) - field.value(x - step)) / (2 * h)
        bend = (field.gradient(x + step) - field.gradient(x - step)) / (2 * h)
        # Central differences: h² of third derivatives, and 1e-16/h of rounding.
        np.testing.assert_allclose(field.gradient(x)[:, i], slope, rtol=0, atol=1e-9)
        np.testing.assert_allclose(field.hessian(x)[:, :, i], bend, rtol=0, atol=1e-9)


@pytest.mark.parametrize("landscape", [p_spin(6, 3), p_spin(4, 4), bowl(3, features=20)])
def test_a_batch_equals_its_members(landscape: Any) -> None:
    points = landscape.random_points(6, seed=3)
    for method in (landscape.value, landscape.gradient, landscape.hessian):
        batch = method(points.reshape(2, 3, -1))
        for place, x in zip(np.ndindex(2, 3), points, strict=True):
            # BLAS may add in another order for another shape.
            np.testing.assert_allclose(batch[place], method(x), rtol=1e-12, atol=1e-12)


# Stationary points, counted by brute force


def points_on_the_circle(seed: int, p: int) -> int:
    """Count all stationary points at N = 2 exactly, as real roots of a polynomial of degree p.

    On the line (1, t) A(t) = Σ C(p, j) aⱼ tʲ, and the derivative along the circle is, up to a positive
    factor, (1 + t²) A′ − p t A, of degree p. Each real root stands for ±σ.
    """
    a = p_spin(2, p, seed).couplings.reshape(-1)[[2**j - 1 for j in range(p + 1)]]
    poly = np.polynomial.Polynomial([math.comb(p, j) * a[j] for j in range(p + 1)])
    t = np.polynomial.Polynomial([0.0, 1.0])
    derivative = ((1 + t * t) * poly.deriv() - p * t * poly).coef[: p + 1]  # tᵖ⁺¹ cancels
    roots = np.roots(derivative[::-1])
    return 2 * int((np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots))).sum())


@pytest.mark.parametrize("p", [3, 4, 5])
def test_brute_force_on_the_circle_gives_the_expected_count(p: int) -> None:
    counts = np.array([points_on_the_circle(seed, p) for seed in range(4000)], float)
    assert abs(off(counts, expected_counts(2, p).total)) < 3  # a standard error is 0.4 to 1 % of it


@pytest.mark.parametrize("p", [3, 4])
def test_the_search_finds_all_points_on_the_circle(p: int) -> None:
    for seed in range(25):
        found = stationary_points(p_spin(2, p, seed), starts=60, rounds=5)
        assert len(found.points) == points_on_the_circle(seed, p)
        assert found.euler == 0


def brute_force(size: int, p: int, instances: int, starts: int) -> Array:
    """Return the number of stationary points by index of many landscapes, each searched until no new ones turn up."""
    counts = np.empty((instances, size))
    for seed in range(instances):
        found = stationary_points(p_spin(size, p, seed), starts=starts, seed=seed, rounds=8)
        assert found.exhausted
        assert found.doubtful == 0
        assert found.euler == (2 if size % 2 else 0)
        # Cartwright and Sturmfels (2013): no more eigenvectors than a general complex tensor has, each ±.
        assert len(found.points) <= 2 * ((p - 1) ** size - 1) // (p - 2)
        counts[seed] = found.by_index
    return counts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "p", "instances", "starts"), [(3, 3, 300, 60), (3, 4, 150, 100), (4, 3, 250, 150)]
)
def test_brute_force_gives_the_expected_counts_by_index(
    size: int, p: int, instances: int, starts: int
) -> None:
    counts, expected = brute_force(size, p, instances, starts), expected_counts(size, p)
    assert np.abs(off(counts, expected.by_index)).max() < 3
    assert abs(off(counts.sum(axis=1), expected.total)) < 3
    # The interval is narrow enough to mean something.
    assert (counts.std(axis=0) / instances**0.5 < 0.05 * expected.by_index).all()


@pytest.mark.slow
def test_energies_by_index_agree_with_brute_force() -> None:
    found = [stationary_points(p_spin(3, 3, seed), starts=60, seed=seed, rounds=8) for seed in range(200)]
    low = [f.energies[f.indices == 0] for f in found]
    # A ratio of means over landscapes: residuals from the expected energy sum to zero.
    residuals = np.array([(e - expected_energies(3)[0]).sum() for e in low])
    assert abs(off(residuals, 0.0)) < 3


def test_brute_force_on_a_line_gives_the_expected_counts() -> None:
    ratio = 0.4
    # E f′² = μ²x² + 1: beyond 8/μ a stationary point needs a slope of eight standard deviations.
    x = np.linspace(-8 / ratio, 8 / ratio, 2001)[:, None]  # 0.02 apart, where f′ turns over about 1
    counts = []
    for seed in range(300):
        rising = bowl(1, ratio, features=64, seed=seed).gradient(x)[:, 0] > 0
        counts.append([(~rising[:-1] & rising[1:]).sum(), (rising[:-1] & ~rising[1:]).sum()])
    assert np.abs(off(np.array(counts), expected_counts_in_bowl(1, ratio).by_index)).max() < 3


@pytest.mark.slow
def test_brute_force_in_a_bowl_of_two_dimensions() -> None:
    counts = np.empty((150, 3))
    for seed in range(150):
        found = stationary_points(bowl(2, 0.6, features=128, seed=seed), starts=100, seed=seed, rounds=20)
        assert found.euler == 1
        counts[seed] = found.by_index
    assert np.abs(off(counts, expected_counts_in_bowl(2, 0.6).by_index)).max() < 3


# Stationary points: what is established


def test_points_are_stationary_distinct_and_of_the_index_said() -> None:
    landscape = p_spin(8, 3, seed=3)
    found = stationary_points(landscape, starts=400)
    assert len(found.points) > 50
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), 8**0.5, rtol=1e-13)
    assert np.abs(landscape.gradient(found.points)).max() < 1e-12  # rounding of sums of 8³ numbers
    assert (np.linalg.eigvalsh(landscape.hessian(found.points)) < 0).sum(axis=1).tolist() == list(
        found.indices
    )
    apart = np.linalg.norm(found.points[:, None] - found.points, axis=2) + np.eye(len(found.points))
    assert apart.min() > 1e-3 > 1e6 * found.radii.max()
    np.testing.assert_allclose(found.energies, landscape.value(found.points) / 8, atol=1e-14)
    assert (np.diff(found.energies) >= 0).all()
    # Every start is counted: a point and its mirror image share their hits.
    assert found.hits.sum() // 2 + found.lost + found.doubtful == found.starts == 400


@pytest.mark.parametrize("p", [3, 4])
def test_points_come_in_pairs(p: int) -> None:
    found = stationary_points(p_spin(4, p, seed=1), starts=200)
    mirrored = (np.abs(found.points[:, None] + found.points).max(axis=2) < 1e-12).argmax(axis=1)
    sign = -1 if p % 2 else 1
    np.testing.assert_allclose(found.energies[mirrored], sign * found.energies, atol=1e-14)
    assert (found.indices[mirrored] == (3 - found.indices if p % 2 else found.indices)).all()


def test_points_that_are_not_isolated_are_doubtful() -> None:
    ring = PSpin(3, 2, 0, np.diag([1.0, 1.0, 2.0]))  # an equator of minima
    found = stationary_points(ring, [[1.0, 0.0, 0.0]])
    assert (len(found.points), found.doubtful, found.lost) == (0, 1, 0)
    assert found.sentence.startswith("0 distinct")
    found = stationary_points(ring, starts=100)
    assert found.indices.tolist() == [2, 2]
    assert found.doubtful + found.lost + found.hits[0] == 100


def test_kantorovich_holds_where_it_should() -> None:
    # x² = 2 near its root, far from it, and where its derivative vanishes.
    x = np.array([math.sqrt(2) + 1e-8, 1.0, 1e-9])
    system = System(
        (x * x - 2)[:, None], 2 * x[:, None, None], np.full(3, 2.0), np.full(3, 1e-15), np.zeros(3), 0, 1.0, 1.0
    )  # fmt: skip
    sure, index, radii = _established(system)
    assert sure.tolist() == [True, False, False]
    assert index[0] == 0
    # The theorem's own ball is about the Newton step wide; twice that is what is stated.
    assert 1e-8 < radii[0] < 2.1e-8


def test_a_search_is_the_same_bit_by_bit_and_another_seed_differs() -> None:
    a, b = (stationary_points(p_spin(5), starts=50, seed=1) for _ in range(2))
    assert np.array_equal(a.points, b.points)
    assert not np.array_equal(p_spin(5, seed=1).couplings, p_spin(5, seed=2).couplings)


def test_index_follows_energy_on_the_parameter_free_curve() -> None:
    size = 25
    landscape = p_spin(size, seed=2)
    starts = points_at_energies(landscape, np.linspace(-1.7, 1.7, 400))
    found = stationary_points(landscape, starts)
    assert len(found.points) > 300
    assert set(found.indices) == set(range(size))  # minima, saddles of every index, maxima
    apart = found.index_fractions - index_fraction(found.energies)
    # Eigenvalues are rigid: their number below 0 scatters by less than one, of 25. Measured: 0.025.
    assert np.sqrt((apart**2).mean()) < 1 / size
    for low in np.arange(-1.6, 1.5, 0.4):
        inside = (found.energies >= low) & (found.energies < low + 0.4)
        assert inside.sum() > 20
        assert abs(apart[inside].mean()) < 0.02  # half a unit of the index; measured: at most 0.01


# Where descent lands


def test_descent_lands_in_minima() -> None:
    landscape = p_spin(20, seed=4)
    landing = descend_from_random(landscape, starts=40, seed=1)
    assert landing.minimum.all()
    assert (landing.energies < landing.start_energies).all()
    assert np.abs(landscape.gradient(landing.ends)).max() < 1e-12
    assert (np.linalg.eigvalsh(landscape.hessian(landing.ends)) > 0).all()
    np.testing.assert_allclose(landing.energies, landscape.value(landing.ends) / 20, atol=1e-14)
    assert "40 landed in a minimum (Hessian)" in landing.sentence
    assert "-1.6330" in landing.sentence


def test_one_step_is_the_step_said() -> None:
    landscape = p_spin(5, seed=1)
    start = landscape.random_points(2)
    landing = descend_from_random(landscape, 3 * start, learning_rate=0.05, steps=1)  # scaled back
    moved = start - 0.05 * landscape.gradient(start)
    moved *= (math.sqrt(5) / np.linalg.norm(moved, axis=1))[:, None]
    np.testing.assert_allclose(landing.ends, moved, atol=1e-14)
    assert not landing.minimum.any()
    assert (landing.taken == 1).all()


@pytest.mark.slow
def test_landings_approach_the_threshold_and_not_the_ground_state() -> None:
    edge = threshold_energy()
    shifts = {}
    for size, landscapes in ((20, 30), (40, 14)):
        runs = [
            descend_from_random(p_spin(size, seed=seed), starts=16, seed=seed) for seed in range(landscapes)
        ]
        energies = np.concatenate([run.energies[run.minimum] for run in runs])
        assert len(energies) > 0.98 * 16 * landscapes
        shifts[size] = (energies.mean() + edge) * size ** (2 / 3)
    # Eigenvalues at the edge approach it as N^(−2/3), and so do landings: 1.6 measured at 20, 40 and 80, with
    # standard errors of about 0.07. An approach as N^(−1/2) would differ by 0.18 between these two.
    assert all(1.45 < shift < 1.75 for shift in shifts.values()), shifts


# The picture


def small_picture() -> PictureData:
    return picture_data(size=10, starts=200, descents=4, sizes=(2, 5, 10), landing_sizes={5: 2, 10: 2})


def test_the_picture_shows_its_data() -> None:
    from descentlab.figures import style

    data = small_picture()
    assert [c.size for c in data.counts] == [2, 5, 10]
    assert data.minima_energies[10] == pytest.approx(expected_energies(10)[0])
    for name in ("light", "dark"):
        figure = draw(data, style.theme_of(name))
        share, index, number, landing = figure.axes
        assert share.lines[0].get_ydata().tolist() == [c.share for c in data.counts]  # type: ignore[union-attr]
        assert number.lines[0].get_ydata().tolist() == [c.minima for c in data.counts]  # type: ignore[union-attr]
        drawn = sum(len(np.asarray(dots.get_offsets())) for dots in index.collections)
        assert drawn == len(data.found.points)
        levels = [line for line in landing.lines if str(line.get_label()).startswith(("threshold", "ground"))]
        assert [round(float(np.asarray(line.get_ydata())[0]), 4) for line in levels] == [-1.6330, -1.6570]
        words = figure.get_label()
        for said in ("seed 0", "200 searches", "4 random starts", "2 at N = 5, 2 at N = 10", "learning rate"):
            assert said in str(words)


# Errors


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: p_spin(1), "The size is a whole number of at least 2, but it is 1."),
        (lambda: p_spin(5, 1), "p is a whole number of at least 2"),
        (lambda: p_spin(1000, 3), "Take a size of at most 271 at p = 3."),
        (lambda: p_spin(3).value([1.0, 2.0]), "A point has 3 coordinates"),
        (lambda: p_spin(3).value([0.0, 0.0, 0.0]), "0 has no direction"),
        (lambda: p_spin(3).gradient([1.0, math.nan, 0.0]), "not finite"),
        (lambda: bowl(2, ratio=0.0), "The ratio μ/μ_c is a number above 0"),
        (lambda: bowl(2, features=0), "The number of features"),
        (lambda: bowl_complexities([0.5, -1.0]), "above 0"),
        (lambda: expected_counts(101), "Give samples="),
        (lambda: expected_counts(5, samples=1), "The number of samples"),
        (lambda: expected_counts(2.5), "whole number"),  # type: ignore[arg-type]
        (lambda: expected_counts_in_bowl(3, math.inf), "The ratio"),
        (lambda: expected_energies(5, 2), "at least 3"),
        (lambda: ground_state_energy(2), "at least 3"),
        (lambda: stationary_points(p_spin(3), starts=0), "The number of starts"),
        (lambda: stationary_points(p_spin(3), [[1.0, 0.0, 0.0]], rounds=2), "for one round"),
        (lambda: descend_from_random(p_spin(3, 2)), "p ≥ 3"),
        (lambda: descend_from_random(p_spin(3), learning_rate=-1.0), "The learning rate"),
        (lambda: points_at_energies(p_spin(3), []), "at least one"),
    ],
)
def test_errors_say_what_is_allowed(call: Any, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        call()


def test_a_count_that_floating_point_does_not_resolve_is_refused() -> None:
    with pytest.raises(WorkError, match="give samples="):
        expected_counts_in_bowl(40, 2.0)


def test_sentences_read_well() -> None:
    counts: ExpectedCounts = expected_counts(10)
    assert counts.sentence.startswith(
        "The spherical 3-spin model with N = 10 has 286.9 stationary points on average, 6.08 of them minima"
    )
    assert "±" in expected_counts(10, samples=500).sentence
    found = stationary_points(p_spin(3, seed=5), starts=100)
    assert "3 of them minima, from 100 starts" in found.sentence
    assert "without interval arithmetic" in found.sentence
