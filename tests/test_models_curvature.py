"""Curvature of models: against exactly known Hessians, torch.func.hessian, and other libraries."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from descentlab.errors import InputError
from descentlab.models import lanczos
from descentlab.models.curvature import Curvature, curvature
from descentlab.models.flat_loss import opened
from descentlab.models.sharpness import sharpness
from descentlab.models.spectrum import smoothed

CROSS, SQUARE = nn.CrossEntropyLoss(), nn.MSELoss()


@pytest.fixture(autouse=True)
def _one_thread_one_seed() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def blobs(count: int = 60, width: int = 4, classes: int = 3, seed: int = 0) -> tuple[Any, Any]:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(count, width, generator=random)
    noise = torch.randn(count, classes, generator=random)
    return x, (x[:, :classes] + 0.5 * noise).argmax(dim=1)


def network(*widths: int, act: Callable[[], nn.Module] = nn.Tanh, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


def trained(model: nn.Module, loss: Any, data: Any, steps: int = 100) -> Any:
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(data[0]), data[1]).backward()
        optimizer.step()
    model.zero_grad(set_to_none=True)
    return model


def torch_hessian(f: Any, x: Any) -> Any:
    with warnings.catch_warnings():
        # Its forward mode loads torch.jit, which warns of itself.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
        return torch.func.hessian(f)(x)


def reference(model: nn.Module, loss: Any, data: Any) -> Any:
    """Return the Hessian by torch.func.hessian (forward over reverse) on a double copy in evaluation mode."""
    import copy

    twin = copy.deepcopy(model).double().eval()
    parameters = {n: p.detach() for n, p in twin.named_parameters() if p.requires_grad}
    rest = {n: p.detach() for n, p in twin.named_parameters() if not p.requires_grad}
    x, y = data
    x = x.double() if x.is_floating_point() else x
    y = y.double() if y.is_floating_point() else y

    def f(parts: Any) -> Any:
        return loss(torch.func.functional_call(twin, {**rest, **parts}, (x,)), y)

    H = torch_hessian(f, parameters)
    sizes = {n: p.numel() for n, p in parameters.items()}
    rows = [torch.cat([H[a][b].reshape(sizes[a], sizes[b]) for b in sizes], dim=1) for a in sizes]
    return torch.cat(rows).numpy()


# --- closed forms ---


def regression(seed: int = 0, count: int = 30, width: int = 6) -> tuple[Any, Any, Any]:
    """Return inputs, targets and the exact eigenvalues of the mean squared error's Hessian, 2XᵀX/n."""
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(count, width)), random.normal(size=(count, 1))
    return X, y, np.linalg.eigvalsh(2 * X.T @ X / count)


@pytest.mark.parametrize("dense_below", [0, 2000])
def test_linear_regression_is_exact(dense_below: int) -> None:
    X, y, eigenvalues = regression()
    model = nn.Linear(6, 1, bias=False)
    c = curvature(model, SQUARE, (X, y), dense_below=dense_below, depth=6)
    # A handful of float64 roundings of numbers near 5.
    np.testing.assert_allclose(c.smallest, eigenvalues[:3], atol=1e-13)
    np.testing.assert_allclose(c.largest, eigenvalues[::-1][:3], atol=1e-13)
    assert (c.smallest_errors < 1e-10).all()
    assert (c.largest_errors < 1e-10).all()
    assert c.stable_learning_rate == pytest.approx(2 / eigenvalues[-1], rel=1e-13)
    w = model.weight.detach().double().numpy()
    residual = X @ w.T - y
    assert c.loss == pytest.approx(float((residual**2).mean()), rel=1e-13)
    gradient = 2 * X.T @ residual / len(X)
    assert c.gradient_norm == pytest.approx(float(np.linalg.norm(gradient)), rel=1e-13)
    assert (c.parameters, c.exact, c.index, c.index_interval[0]) == (6, dense_below > 0, 0, 0)
    if c.exact:
        assert c.trace == pytest.approx(eigenvalues.sum(), rel=1e-13)
        np.testing.assert_allclose(c.eigenvalues, eigenvalues, atol=1e-13)
    assert c.spectrum is not None
    assert np.trapezoid(c.spectrum.density, c.spectrum.grid) == pytest.approx(1, abs=2e-6)  # see below
    # With as many steps as parameters a Gauss rule is the measure itself, whatever the probe.
    if not c.exact:
        for nodes in c.spectrum.nodes:
            np.testing.assert_allclose(nodes, eigenvalues, atol=1e-12)


@pytest.mark.parametrize("dense_below", [0, 2000])
def test_the_solution_of_least_squares_is_a_minimum_and_elsewhere_is_not(dense_below: int) -> None:
    X, y, _ = regression()
    model = nn.Linear(6, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.as_tensor(np.linalg.lstsq(X, y)[0].T))
    c = curvature(model, SQUARE, (X, y), dense_below=dense_below)
    assert c.kind == "minimum"
    assert ("Hessian" if c.exact else "Lanczos") in c.sentence
    with torch.no_grad():
        model.weight += 0.01
    moved = curvature(model, SQUARE, (X, y), dense_below=dense_below)
    assert moved.kind == "not stationary"
    assert moved.sentence.startswith("Not a stationary point")


class Point(nn.Module):
    """A module whose outputs are its parameters, so that the loss is any function of them."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, inputs: Any) -> Any:
        return self.x


ONE = (torch.zeros(1, 1), torch.zeros(1))


@pytest.mark.parametrize("dense_below", [0, 2000])
@pytest.mark.parametrize(
    ("f", "values", "kind", "index"),
    [
        (lambda x: (x**2).sum(), (0.0, 0.0, 0.0), "minimum", 0),
        (lambda x: -(x**2).sum(), (0.0, 0.0, 0.0), "maximum", 3),
        (lambda x: x[0] ** 2 - 2 * x[1] ** 2 - x[2] ** 2, (0.0, 0.0, 0.0), "saddle", 2),
        (lambda x: x[0] ** 2 + x[1] ** 4 + x[2] ** 2, (0.0, 0.0, 0.0), "degenerate", 0),
        (lambda x: 0 * x.sum(), (1.0, 2.0, 3.0), "degenerate", 0),  # a plateau
        (lambda x: (x**2).sum(), (0.1, 0.0, 0.0), "not stationary", 0),
        # A tiny slope over a curvature that is tinier still: the root is far, and this says nothing of it.
        (lambda x: 1e-9 * x[0] + 1e-8 * x[0] ** 2 + x[1] ** 2 + x[2] ** 2, (0.0, 0.0, 0.0), "degenerate", 0),
        (lambda x: 1e-9 * x[0] - 1e-8 * x[0] ** 2 + x[1] ** 2 + x[2] ** 2, (0.0, 0.0, 0.0), "degenerate", 1),
        # Lee et al. 2016: a strict saddle with minima beside it.
        (lambda x: x[0] ** 2 / 2 + x[1] ** 4 / 4 - x[1] ** 2 / 2 + x[2] ** 2, (0.0, 0.0, 0.0), "saddle", 1),
        (lambda x: x[0] ** 2 / 2 + x[1] ** 4 / 4 - x[1] ** 2 / 2 + x[2] ** 2, (0.0, -1.0, 0.0), "minimum", 0),
    ],
)
def test_kinds_of_points(f: Any, values: Any, kind: str, index: int, dense_below: int) -> None:
    c = curvature(Point(*values), lambda outputs, _: f(outputs), ONE, dense_below=dense_below, depth=3)
    assert c.kind == kind
    assert c.index_interval[0] <= index <= c.index_interval[1]
    if c.exact or kind == "not stationary":
        assert c.index == index
    assert c.sentence.endswith(".")


def test_a_run_that_creeps_to_infinity_is_not_stationary() -> None:
    # −log σ(w) falls for ever: gradient and curvature both vanish, their ratio does not.
    def f(outputs: Any, _: Any) -> Any:
        return nn.functional.softplus(-outputs[0])

    for w in (5.0, 15.0, 25.0):
        c = curvature(Point(w), f, ONE)
        assert c.kind == "not stationary", w
    assert c.gradient_norm < 1e-10  # by a small gradient alone it would have been


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_what_is_stationary_does_not_depend_on_the_unit_of_the_loss(scale: float) -> None:
    X, y, _ = regression()
    model = nn.Linear(6, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.as_tensor(np.linalg.lstsq(X, y)[0].T))
    c = curvature(model, lambda a, b: scale * SQUARE(a, b), (X, y))
    assert c.kind == "minimum"


def test_plain_descent_is_stable_just_below_the_rate_and_not_just_above() -> None:
    X, y, eigenvalues = regression()
    model = nn.Linear(6, 1, bias=False)
    rate = curvature(model, SQUARE, (X, y)).stable_learning_rate
    assert rate is not None
    # At 0.99 and 1.01 of it the steepest part shrinks and grows by 2 % a step: e^∓40 after 2000.
    below = sharpness(model, SQUARE, (X, y), 0.99 * rate, 2000, every=2000)
    above = sharpness(model, SQUARE, (X, y), 1.01 * rate, 2000, every=2000)
    assert below.losses[-1] < below.losses[0]
    assert above.losses[-1] > 1e10 * above.losses[0]
    assert below.sharpness[0] == pytest.approx(
        eigenvalues[-1], rel=1e-6
    )  # residual ≤ 1e-4, error about its square
    assert below.at_edge.all()  # 2/η is then 1 % above the sharpness
    with torch.no_grad():
        model.weight.zero_()
    assert curvature(model, lambda a, b: -SQUARE(a, b), (X, y)).stable_learning_rate is None


# --- against torch.func.hessian ---


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(1, 3, 2), nn.GroupNorm(1, 3), nn.Linear(12, 3)

    def forward(self, x: Any) -> Any:
        return self.out(torch.tanh(self.norm(self.conv(x.reshape(-1, 1, 3, 3)))).flatten(1))


def with_batch_norm() -> nn.Module:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.GELU(), nn.Dropout(0.5), nn.Linear(5, 3))
    for _ in range(3):  # running statistics that are not 0 and 1
        model(torch.randn(20, 4))
    return model


def partly_frozen() -> nn.Module:
    model = network(4, 5, 3)
    model[0].weight.requires_grad_(False)
    return model


CASES: list[tuple[str, Callable[[], nn.Module], Any, Any]] = [
    ("tanh", lambda: network(4, 6, 3), CROSS, blobs()),
    ("deep sigmoid", lambda: network(4, 5, 5, 3, act=nn.Sigmoid), CROSS, blobs()),
    ("relu", lambda: network(4, 8, 3, act=nn.ReLU), CROSS, blobs()),
    ("squares", lambda: network(4, 6, 2), SQUARE, (blobs()[0], blobs()[0][:, :2] ** 2)),
    ("conv", Conv, CROSS, blobs(width=9)),
    ("batch norm, dropout", with_batch_norm, CROSS, blobs()),
    ("frozen weights", partly_frozen, CROSS, blobs()),
    (
        "embedding",
        lambda: nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Tanh(), nn.Linear(6, 3)),
        CROSS,
        (torch.arange(40).reshape(20, 2) % 7, torch.arange(20) % 3),
    ),
]


@pytest.mark.parametrize(("name", "build", "loss", "data"), CASES, ids=[case[0] for case in CASES])
def test_agrees_with_the_dense_hessian_of_torch(name: str, build: Any, loss: Any, data: Any) -> None:
    torch.manual_seed(0)
    model = build()
    H = reference(model, loss, data)
    eigenvalues = np.linalg.eigvalsh(H)
    size = np.abs(eigenvalues).max()
    exact = curvature(model, loss, data)
    # Both sum 60 samples in float64, in other orders: a few units in the sixteenth digit of ‖H‖.
    np.testing.assert_allclose(exact.eigenvalues, eigenvalues, rtol=0, atol=1e-13 * size)
    assert exact.trace == pytest.approx(float(np.trace(H)), abs=1e-12 * size)
    with opened(model, loss, data) as flat:
        np.testing.assert_allclose(flat.hessian(flat.start), H, rtol=0, atol=1e-13 * size)
    c = curvature(model, loss, data, dense_below=0)
    # The eigenvalue's error is about the residual squared over a gap: far below the residual.
    assert (np.abs(c.smallest - eigenvalues[:3]) <= c.smallest_errors).all()
    assert (np.abs(c.largest - eigenvalues[::-1][:3]) <= c.largest_errors).all()
    np.testing.assert_allclose(c.smallest, eigenvalues[:3], rtol=0, atol=1e-10 * size)
    np.testing.assert_allclose(c.largest, eigenvalues[::-1][:3], rtol=0, atol=1e-10 * size)
    assert c.index_interval[0] <= exact.index <= c.index_interval[1]
    assert (
        abs(c.trace - exact.trace) <= 4 * c.trace_error
    )  # 4 standard errors, of nine degrees of freedom: 99.7 %


def test_float32_is_float32() -> None:
    model, data = network(4, 6, 3), blobs()
    c, exact = curvature(model, CROSS, data, dtype=torch.float32), curvature(model, CROSS, data)
    assert (c.dtype, exact.dtype) == ("float32", "float64")
    gap = np.abs(c.largest - exact.largest).max()
    assert 0 < gap < 1e-5  # seven digits of numbers below 1, a few lost to sums
    assert gap <= c.largest_errors.max()


# --- batches, and what is left as it was ---


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dense_below", [0, 2000])
def test_batches_add_up_to_the_whole(reduction: str, dense_below: int) -> None:
    model, data, loss = network(4, 6, 3), blobs(50), nn.CrossEntropyLoss(reduction=reduction)
    settings: dict[str, Any] = {"dense_below": dense_below, "probes": 2, "depth": 4}
    whole = curvature(model, loss, data, **settings)
    parts = curvature(model, loss, data, batch_size=16, **settings)  # 16 + 16 + 16 + 2
    for name in ("loss", "gradient_norm", "trace", "smallest", "largest"):
        # Sums in another order: 1e-13, and Lanczos stops at residuals of 1e-8, which enter squared.
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-11, atol=1e-11)


def test_a_loss_that_is_neither_mean_nor_sum_goes_without_batches() -> None:
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.2]))
    model, data = network(4, 6, 3), blobs(50)
    H = reference(model, nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.2]).double()), data)
    np.testing.assert_allclose(curvature(model, loss, data).eigenvalues, np.linalg.eigvalsh(H), atol=1e-12)
    assert loss.weight.dtype == torch.float32
    with pytest.raises(InputError, match="Leave batch_size out"):
        curvature(model, loss, data, batch_size=16)


def fingerprint(model: nn.Module) -> list[Any]:
    entries = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return [
        [(n, e.dtype, e.requires_grad, e.detach().clone(), e.grad) for n, e in entries.items()],
        [m.training for m in model.modules()],
        [id(e) for e in entries.values()],
    ]


def test_the_module_is_never_changed() -> None:
    model, data = with_batch_norm(), blobs()
    model.train()
    model[1].eval()  # a mixture of modes comes back as the mixture it was
    before = fingerprint(model)
    curvature(model, CROSS, data)
    curvature(model, CROSS, data, dense_below=0, batch_size=30, probes=2, depth=3)
    sharpness(model, CROSS, data, 0.1, 3)
    with pytest.raises(InputError):
        curvature(model, CROSS, (data[0], data[1][:-1]))
    with pytest.raises(InputError):
        curvature(model, lambda a, b: a.sum() * math.nan, data)
    after = fingerprint(model)
    assert before[1:] == after[1:]
    for old, new in zip(before[0], after[0], strict=True):
        assert old[:3] == new[:3]
        assert torch.equal(old[3], new[3])
        assert new[4] is None


def test_tied_weights_count_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(3, 3, bias=False)
            self.two = nn.Linear(3, 3, bias=False)
            self.two.weight = self.one.weight

        def forward(self, x: Any) -> Any:
            return self.two(torch.tanh(self.one(x)))

    torch.manual_seed(0)
    model, (x, y) = Tied(), blobs(width=3)
    c = curvature(model, CROSS, (x, y))
    assert c.parameters == 9
    w = model.one.weight.detach().double()
    H = torch_hessian(lambda v: CROSS(torch.tanh(x.double() @ v.T) @ v.T, y), w).reshape(9, 9)
    np.testing.assert_allclose(c.eigenvalues, np.linalg.eigvalsh(H.numpy()), atol=1e-13)


def test_numpy_data_and_the_same_seed_give_the_same_bits() -> None:
    model, (x, y) = network(4, 6, 3), blobs()
    one = curvature(model, CROSS, (x, y), dense_below=0, seed=3)
    two = curvature(model, CROSS, (x.numpy(), y.numpy()), dense_below=0, seed=3)
    other = curvature(model, CROSS, (x, y), dense_below=0, seed=4)
    assert one.trace == two.trace != other.trace
    np.testing.assert_array_equal(one.spectrum.nodes, two.spectrum.nodes)


# --- Lanczos and quadrature, on matrices ---


def matrix(eigenvalues: Any, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    values = np.sort(np.asarray(eigenvalues, float))
    Q = np.linalg.qr(random.normal(size=(len(values),) * 2))[0]
    H = (Q * values) @ Q.T
    return (H + H.T) / 2, values


SPECTRA = {
    "repeated": np.r_[[5.0] * 3, np.linspace(-1, 1, 200), [-2.0] * 3],
    "clustered": np.r_[5, 5 + 1e-7, 5 - 1e-7, np.linspace(-0.3, 0.3, 150), -1, -1 + 1e-9, -1 + 2e-9],
    "low rank": np.r_[3.0, 2, 1, np.zeros(150)],
    "low rank, indefinite": np.r_[-3.0, 2, np.zeros(100)],
    "identity": np.ones(50),
    "zero": np.zeros(40),
    "one": [-7.0],
    "two": [1.0, -1.0],
    "tiny": 1e-12 * np.linspace(-1, 2, 60),
    "huge": 1e12 * np.linspace(-1, 2, 60),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_lanczos_finds_both_ends(name: str) -> None:
    H, values = matrix(SPECTRA[name])
    count, size = min(3, len(values)), np.abs(values).max()
    e = lanczos.extremes(lambda block: H @ block, len(values), count, count)
    # The matrix itself is known to a few units in the sixteenth digit.
    np.testing.assert_allclose(e.smallest, values[:count], rtol=0, atol=1e-13 * size)
    np.testing.assert_allclose(e.largest, values[::-1][:count], rtol=0, atol=1e-13 * size)
    assert e.negative <= (values < 0).sum()
    for found, vectors, errors in (
        (e.smallest, e.smallest_vectors, e.smallest_errors),
        (e.largest, e.largest_vectors, e.largest_errors),
    ):
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(count), atol=1e-12)
        assert (np.linalg.norm(H @ vectors - vectors * found, axis=0) <= errors).all()


def test_the_basis_stays_orthonormal_where_little_is_left_of_a_vector() -> None:
    # Eigenvalues over fourteen decades: each new vector is what is left of one ten times as long.
    H, _ = matrix(10.0 ** -np.arange(0, 14, 0.25))
    space = lanczos.krylov(lambda block: H @ block, np.random.default_rng(0).normal(size=(len(H), 2)), 40)
    V, T = space.basis, space.projected
    np.testing.assert_allclose(V.T @ V, np.eye(V.shape[1]), atol=1e-14)
    np.testing.assert_allclose(T, V.T @ H @ V, atol=1e-14)
    assert space.products == V.shape[1] > 10


def test_an_error_bound_holds_before_convergence_too() -> None:
    H, values = matrix(np.random.default_rng(1).normal(size=300))
    for most in (6, 12, 24, 48):
        e = lanczos.extremes(lambda block: H @ block, 300, 3, 3, most=most)
        nearest = np.abs(np.r_[e.smallest, e.largest][:, None] - values).min(axis=1)
        assert (nearest <= np.r_[e.smallest_errors, e.largest_errors]).all()
        assert e.smallest_errors.min() > 1e-6  # so this is before convergence
        assert e.negative <= (values < 0).sum()
        assert e.products <= most + 6


def test_a_wrong_guess_does_not_hide_the_largest() -> None:
    H = matrix(np.r_[np.linspace(0, 1, 80), 2.0, 3.0])[0]
    second = np.linalg.eigh(H)[1][:, -2]
    e = lanczos.extremes(lambda block: H @ block, 82, 0, 1, near=second)
    assert e.largest[0] == pytest.approx(3.0, abs=1e-12)
    assert len(e.smallest) == 0


def test_quadrature_has_the_moments_of_its_probe() -> None:
    H, _ = matrix(SPECTRA["repeated"])
    dim, depth = len(H), 6
    nodes, weights = lanczos.quadrature(lambda block: H @ block, dim, 4, depth, seed=5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-13)
    random = np.random.default_rng(5)
    for probe in range(4):
        v = random.choice([-1.0, 1.0], size=(dim, 1))[:, 0] / math.sqrt(dim)
        power = v.copy()
        # A Gauss rule of 6 nodes is exact to degree 11.
        for degree in range(2 * depth):
            assert (weights[probe] * nodes[probe] ** degree).sum() == pytest.approx(
                v @ power, rel=1e-9, abs=1e-9
            )
            power = H @ power


@pytest.mark.parametrize("name", ["repeated", "low rank", "identity"])
def test_quadrature_of_the_spectrum_is_right_on_average(name: str) -> None:
    H, values = matrix(SPECTRA[name])
    nodes, weights = lanczos.quadrature(lambda block: H @ block, len(H), 40, 60)
    for power in (1, 2):
        moments = (weights * nodes**power).sum(axis=1)
        error = 4 * moments.std(ddof=1) / math.sqrt(40) + 1e-12  # four standard errors, or rounding
        assert abs(moments.mean() - (values**power).mean()) <= error


def test_the_density_is_the_spectrum_blurred() -> None:
    values = np.r_[np.linspace(-1, 1, 50), 4.0]
    s = smoothed(values[None], np.full((1, 51), 1 / 51))
    # Trapezoids over smooth bumps three points wide and more are exact to 1e-7; the tails beyond 5σ hold 6e-7.
    assert np.trapezoid(s.density, s.grid) == pytest.approx(1, abs=2e-6)
    mean = np.trapezoid(s.density * s.grid, s.grid)
    assert mean == pytest.approx(values.mean(), abs=1e-5)
    variance = np.trapezoid(s.density * (s.grid - mean) ** 2, s.grid)
    assert variance == pytest.approx(values.var() + s.broadening**2, abs=1e-4)
    assert (s.mean, s.variance) == pytest.approx((values.mean(), values.var()))
    assert s.share_within(0.5) == pytest.approx((np.abs(values) <= 0.5).mean())
    alone = s.grid > 3
    peak = 1 / (51 * s.broadening * math.sqrt(2 * math.pi))
    assert s.density[alone].max() == pytest.approx(peak, rel=0.02)  # the grid misses the top by < σ/6: 1.4 %


@pytest.mark.slow
def test_the_index_interval_covers() -> None:
    """The Gauss rule's own bounds and 95 % of the probes' spread: at least 95 % of networks must be inside."""
    inside, widths = 0, []
    for seed in range(12):
        data = blobs(60, 5, 4, seed)
        model = trained(network(5, 8, 4, seed=seed), CROSS, data, 30)
        exact = curvature(model, CROSS, data).index
        c = curvature(model, CROSS, data, dense_below=0, depth=30, extremes=1, seed=seed)
        assert c.index_interval[0] <= c.index <= c.index_interval[1]
        inside += c.index_interval[0] <= exact <= c.index_interval[1]
        widths.append((c.index_interval[1] - c.index_interval[0]) / c.parameters)
    assert inside >= 11
    assert np.median(widths) < 0.5  # and it says something


def test_without_a_spectrum_the_index_is_bounded_from_below() -> None:
    data = blobs()
    model = trained(network(4, 8, 3), CROSS, data, 30)
    exact = curvature(model, CROSS, data)
    c = curvature(model, CROSS, data, dense_below=0, spectrum=False)
    assert c.spectrum is None
    assert c.flat_share is None
    assert 1 <= c.index == c.index_interval[0] <= exact.index
    assert c.index_interval[1] == c.parameters
    assert "at least" in c.index_how
    assert f"at least {c.index:,} of" in c.sentence
    assert abs(c.trace - exact.trace) <= 4 * c.trace_error


# --- sharpness along training ---


def test_sharpness_of_a_quadratic_is_constant_and_losses_follow_the_closed_form() -> None:
    X, y, eigenvalues = regression()
    model = nn.Linear(6, 1, bias=False)
    rate = 0.1
    s = sharpness(model, SQUARE, (X, y), rate, 20, every=6)
    assert s.steps.tolist() == [0, 6, 12, 18, 20]
    np.testing.assert_allclose(s.sharpness, eigenvalues[-1], rtol=1e-6)
    assert s.limit == 20.0
    assert not s.at_edge.any()
    # x_k − x* = (I − ηH)^k (x_0 − x*), so f_k = f* + ½ (x_k − x*)ᵀ H (x_k − x*)
    H, best = 2 * X.T @ X / len(X), np.linalg.lstsq(X, y)[0][:, 0]
    d = model.weight.detach().double().numpy()[0] - best
    lowest = float(((X @ best - y[:, 0]) ** 2).mean())
    for k in range(21):
        e = np.linalg.matrix_power(np.eye(6) - rate * H, k) @ d
        assert s.losses[k] == pytest.approx(lowest + e @ H @ e / 2, rel=1e-12)


def test_descent_that_diverges_says_when() -> None:
    X, y, _ = regression()
    s = sharpness(nn.Linear(6, 1), lambda a, b: SQUARE(a, b) ** 2, (X, y), 50.0, 100, every=50)
    assert s.diverged_at == len(s.losses) - 1 < 100
    assert s.steps.tolist() == [0]
    assert f"after {s.diverged_at:,} steps" in s.sentence
    s.plot()


@pytest.mark.slow
def test_training_comes_to_the_edge_of_stability() -> None:
    """Cohen et al. 2021, figure 1: sharpness rises to 2/η and hovers there, and the loss falls all the same."""
    x, y = blobs(100, 10, 5)
    targets = nn.functional.one_hot(y, 5).float()
    model = network(10, 30, 30, 5)
    s = sharpness(model, SQUARE, (x, targets), 1.0, 2000)
    assert s.sharpness[0] < 0.7 * s.limit
    late = s.sharpness[len(s.sharpness) // 2 :] / s.limit
    assert (np.abs(late - 1) < 0.1).all()  # seen: within 3 %
    assert s.losses[-1] < 0.2 * s.losses[0]
    assert (np.diff(s.losses) > 0).sum() > 100  # unevenly
    assert s.at_edge[-1]
    assert "raised the loss" in s.sentence


# --- wrong input ---

GOOD = (torch.zeros(4, 2), torch.zeros(4, 1))


@pytest.mark.parametrize(
    ("model", "loss", "data", "message"),
    [
        ("a model", SQUARE, GOOD, "must be a torch.nn.Module, but it is a str"),
        (nn.Flatten(), SQUARE, GOOD, "no trainable parameters"),
        (nn.Linear(2, 1).requires_grad_(False), SQUARE, GOOD, "no trainable parameters"),
        (nn.LazyLinear(1), SQUARE, GOOD, "call it once"),
        (nn.Linear(2, 1), "loss", GOOD, "callable"),
        (nn.Linear(2, 1), nn.MSELoss(reduction="none"), GOOD, r"one number, but it has the shape \(4, 1\)"),
        (nn.Linear(2, 1), lambda a, b: 3.0, GOOD, "one number, but it has the shape float"),
        (nn.Linear(2, 1), lambda a, b: a.sum() * math.inf, GOOD, "at the model's parameters"),
        (nn.Linear(2, 1), SQUARE, (torch.full((4, 2), math.nan), GOOD[1]), "hold NaN"),
        (nn.Linear(2, 1), SQUARE, (GOOD[0], GOOD[1][:3]), "one target for each input"),
        (nn.Linear(2, 1), SQUARE, (GOOD[0], GOOD[1][:, 0]), "target size"),
        (nn.Linear(2, 1), SQUARE, (torch.zeros(0, 2), torch.zeros(0, 1)), "no sample"),
        (nn.Linear(2, 1), SQUARE, GOOD[0], "pair"),
        (nn.Linear(2, 1), SQUARE, (["x"], ["y"]), "not numbers"),
        (nn.Linear(3, 1), SQUARE, GOOD, "fails on the data in float64"),
    ],
)  # fmt: skip
def test_unusable_input_is_refused(model: Any, loss: Any, data: Any, message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LazyLinear announces itself
        with pytest.raises(InputError, match=message):
            curvature(model, loss, data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"extremes": 0}, "extreme eigenvalues"),
        ({"probes": 1}, "probes"),
        ({"depth": 0}, "Lanczos steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"tolerance": -1}, "tolerance"),
        ({"seed": -1}, "seed"),
    ],
)
def test_unusable_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        curvature(nn.Linear(2, 1), SQUARE, GOOD, **settings)


def test_a_hessian_that_is_not_finite_is_refused() -> None:
    # √|x| at 0 is 0, but its second derivative is not finite there.
    for dense_below in (0, 2000):
        with pytest.raises(InputError, match="no Hessian"):
            curvature(Point(0.0, 1.0), lambda x, _: (x**1.5).sum(), ONE, dense_below=dense_below)


@pytest.mark.parametrize("settings", [{"learning_rate": 0.0}, {"steps": 0}, {"every": 0}])
def test_unusable_training_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"learning rate|steps"):
        sharpness(nn.Linear(2, 1), SQUARE, GOOD, **{"learning_rate": 0.1, "steps": 5, **settings})


# --- figures ---


def shows(figure: Any, path: Path) -> str:
    figure.savefig(path)
    assert path.stat().st_size > 10_000
    return str(figure.get_label())


def test_figures_say_what_they_show(tmp_path: Path) -> None:
    model, data = network(4, 6, 3), blobs()
    results: list[Curvature] = [
        curvature(model, CROSS, data),
        curvature(model, CROSS, data, dense_below=0),
        curvature(model, CROSS, data, dense_below=0, spectrum=False),
    ]
    for c in results:
        label = shows(c.plot(), tmp_path / "curvature.png")
        assert f"{c.parameters:,} parameters" in label
        assert ("Dense Hessian" in label) == c.exact
        assert ("seed 0" in label) != c.exact
        assert ("broadening" in label) == (c.spectrum is not None)
    axes = results[1].plot().axes[0]
    drawn = max(np.nanmax(line.get_ydata()) for line in axes.get_lines() if len(line.get_xdata()) > 100)
    assert drawn == pytest.approx(results[1].spectrum.density.max())
    s = sharpness(model, CROSS, data, 0.5, 10)
    assert "learning rate 0.5, 10 steps, seed 0" in shows(s.plot(), tmp_path / "sharpness.png")


# --- other libraries ---


def test_agrees_with_curvlinops() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies warn
        import curvlinops
    from scipy.sparse.linalg import eigsh

    data = blobs()
    model = trained(network(4, 8, 3), CROSS, data, 50).double()
    pair = (data[0].double(), data[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        H = curvlinops.HessianLinearOperator(
            model, CROSS, list(model.parameters()), [pair], check_deterministic=False
        )
        scipy_operator = H.to_scipy()
        largest = np.sort(eigsh(scipy_operator, k=3, which="LA", return_eigenvectors=False))[::-1]
        smallest = np.sort(eigsh(scipy_operator, k=3, which="SA", return_eigenvectors=False))
    c = curvature(model, CROSS, data, dense_below=0)
    # ARPACK to rounding here, residuals of 1e-8 there.
    np.testing.assert_allclose(c.largest, largest, rtol=0, atol=1e-12)
    np.testing.assert_allclose(c.smallest, smallest, rtol=0, atol=1e-12)


def test_agrees_with_hessian_eigenthings() -> None:
    # Not on the package registry: it comes from its repository alone, so this runs where someone has put it.
    things = pytest.importorskip("hessian_eigenthings")
    data = blobs()
    model = trained(network(4, 8, 3), CROSS, data, 50).double()
    pair = (data[0].double(), data[1])
    operator = things.HessianOperator(model, [pair], things.supervised_loss(CROSS))
    c = curvature(model, CROSS, data, dense_below=0)
    # Sixty of its 67 steps converge all six; by default it takes six.
    for which, ours in (("LA", c.largest), ("SA", c.smallest)):
        theirs = things.lanczos(
            operator, k=3, max_iter=60, which=which, reorthogonalize=True, seed=0
        ).eigenvalues
        np.testing.assert_allclose(np.sort(theirs.cpu().numpy()), np.sort(ours), rtol=0, atol=1e-9)


def test_a_weak_negative_eigenvalue_beside_a_root_makes_no_saddle() -> None:
    """At the bottom of a valley of zero loss, a residual of 1e-8 bends the flat directions by as little."""
    x, y = torch.tensor([[1.0]], dtype=torch.float64), torch.tensor([[1.0]], dtype=torch.float64)
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[1].weight.fill_(1.0 + 1e-8)
    found = curvature(model, nn.MSELoss(), (x, y))
    # (ab − 1)²: the eigenvalue across the valley is 2(a² + b²), along it −2(ab − 1).
    assert found.smallest[0] == pytest.approx(-2e-8, rel=1e-3)
    assert found.kind == "degenerate"
    assert "is zero within" in found.sentence
