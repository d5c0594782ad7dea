"""Slices of the loss, alignment of units, and the line between two solutions."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from descentlab.errors import InputError
from descentlab.models.alignment import align
from descentlab.models.between import barrier, between, described
from descentlab.models.curvature import curvature
from descentlab.models.slices import slice as slice_of

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
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


def trained(model: nn.Module, loss: Any, data: Any, steps: int = 100, rate: float = 1e-2) -> Any:
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(data[0]), data[1]).backward()
        optimizer.step()
    return model


def flat(model: nn.Module) -> Any:
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()]).double().numpy()


def loss_at(model: nn.Module, vector: Any, loss: Any, data: Any) -> float:
    """Return the loss of a double copy with these parameters, the plain way."""
    twin = copy.deepcopy(model).double().eval()
    torch.nn.utils.vector_to_parameters(torch.as_tensor(vector), twin.parameters())
    x = data[0].double() if data[0].is_floating_point() else data[0]
    with torch.no_grad():
        return float(loss(twin(x), data[1]))


# --- slices ---


def test_a_slice_of_a_quadratic_is_the_closed_form() -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(30, 5)), random.normal(size=(30, 1))
    model = nn.Linear(5, 1, bias=False)
    a, b = random.normal(size=(2, 5))
    s = slice_of(model, SQUARE, (X, y), directions=[a, b], extent=2.0, points=7)
    w, H = flat(model), 2 * X.T @ X / 30
    g = 2 * X.T @ (X @ w - y[:, 0]) / 30
    start = float(((X @ w - y[:, 0]) ** 2).mean())
    np.testing.assert_allclose(s.x, np.linspace(-2, 2, 7))
    assert s.losses.shape == (7, 7)
    for j, v in enumerate(s.y):
        for i, u in enumerate(s.x):
            d = u * a + v * b
            assert s.losses[j, i] == pytest.approx(start + g @ d + d @ H @ d / 2, rel=1e-12)
    assert (s.losses[3, 3], s.centre_loss) == pytest.approx((start, start), rel=1e-13)
    Q = np.linalg.qr(np.array([a, b]).T)[0]
    np.testing.assert_allclose(s.curvatures, np.linalg.eigvalsh(Q.T @ H @ Q), rtol=1e-12)
    assert s.cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


class Recurrent(nn.Module):
    """A model that torch.func.vmap cannot read."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = nn.GRU(2, 3, batch_first=True), nn.Linear(3, 3)

    def forward(self, x: Any) -> Any:
        return self.out(self.rnn(x.reshape(len(x), 2, 2))[0][:, -1])


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Linear(3, 3)

    def forward(self, x: Any) -> Any:
        return self.out(torch.tanh(self.norm(self.conv(x.reshape(-1, 1, 2, 2)))).flatten(1))


@pytest.mark.parametrize("build", [lambda: network(4, 6, 3), Recurrent, Conv])
@pytest.mark.parametrize("dims", [1, 2])
def test_every_point_is_the_loss_of_the_model_moved_there(build: Any, dims: int) -> None:
    torch.manual_seed(0)
    model, data = build(), blobs(20)
    before = copy.deepcopy(model.state_dict())
    s = slice_of(model, CROSS, data, dims=dims, points=5, normalize="model")
    grid = np.atleast_2d(s.losses)
    ys = s.y if dims == 2 else [0.0]
    for j, v in enumerate(ys):
        for i, u in enumerate(s.x):
            x = s.centre + u * s.directions[0] + (v * s.directions[1] if dims == 2 else 0.0)
            # The same sums in float64, batched or not.
            assert grid[j, i] == pytest.approx(loss_at(model, x, CROSS, data), rel=1e-12)
    assert model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_batches_change_nothing() -> None:
    model, data = network(4, 6, 3), blobs(50)
    whole = slice_of(model, CROSS, data, points=5)
    parts = slice_of(model, CROSS, data, points=5, batch_size=16)
    np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-12)


def test_filters_of_random_directions_are_as_long_as_their_weights() -> None:
    torch.manual_seed(0)
    model = Conv()
    s = slice_of(model, CROSS, blobs(20), points=3)
    sizes = [p.numel() for p in model.parameters()]
    for direction in s.directions:
        parts = np.split(direction, np.cumsum(sizes)[:-1])
        for part, (name, p) in zip(parts, model.named_parameters(), strict=True):
            if p.ndim == 1:
                assert not part.any(), name
                continue
            rows, weights = part.reshape(len(p), -1), p.detach().double().numpy().reshape(len(p), -1)
            np.testing.assert_allclose(
                np.linalg.norm(rows, axis=1), np.linalg.norm(weights, axis=1), rtol=1e-12
            )
    assert not np.allclose(s.directions[0], s.directions[1])
    assert "each filter" in s.method
    assert "seed 0" in s.method


def test_normalizations_and_seeds() -> None:
    model, data = network(4, 6, 3), blobs(20)
    whole = slice_of(model, CROSS, data, points=3, normalize="model")
    np.testing.assert_allclose(np.linalg.norm(whole.directions, axis=1), np.linalg.norm(flat(model)))
    none = slice_of(model, CROSS, data, points=3, normalize="none")
    assert 0.5 < none.directions.std() < 1.5  # standard normal numbers, 51 of them twice
    again = slice_of(model, CROSS, data, points=3, normalize="none")
    other = slice_of(model, CROSS, data, points=3, normalize="none", seed=1)
    np.testing.assert_array_equal(none.losses, again.losses)
    assert not np.array_equal(none.directions, other.directions)


def test_hessian_directions_curve_by_their_eigenvalues() -> None:
    data = blobs()
    model = trained(network(4, 6, 3), CROSS, data, 30)
    exact = curvature(model, CROSS, data)
    s = slice_of(model, CROSS, data, directions="hessian", extent=1e-3, points=3)
    np.testing.assert_allclose(s.eigenvalues, [exact.largest[0], exact.smallest[0]], rtol=1e-9)
    np.testing.assert_allclose(s.directions @ s.directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(s.curvatures, s.eigenvalues[::-1], rtol=1e-9)
    step = s.x[2] - s.x[1]
    across = (s.losses[1, 0] - 2 * s.losses[1, 1] + s.losses[1, 2]) / step**2
    up = (s.losses[0, 1] - 2 * s.losses[1, 1] + s.losses[2, 1]) / step**2
    # The second difference is off by h² f''''/12 ~ 1e-6 and by rounding 4·1e-16/h² ~ 1e-9.
    np.testing.assert_allclose([across, up], s.eigenvalues, atol=1e-5)
    line = slice_of(model, CROSS, data, directions="hessian", dims=1, points=3)
    assert line.eigenvalues == pytest.approx([exact.largest[0]])


def test_hessian_directions_span_a_plane_where_all_eigenvalues_are_the_same() -> None:
    model, eye = nn.Linear(4, 1, bias=False), torch.eye(4)
    s = slice_of(model, SQUARE, (eye, torch.zeros(4, 1)), directions="hessian", points=3)  # H = I/2
    np.testing.assert_allclose(s.directions @ s.directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(s.eigenvalues, 0.5, rtol=1e-12)


def test_curvature_in_a_slice_lies_within_that_of_the_whole() -> None:
    data = blobs()
    model = trained(network(4, 6, 3), CROSS, data, 30)
    exact = curvature(model, CROSS, data)
    assert exact.smallest[0] < 0
    said = set()
    for seed in range(10):
        s = slice_of(model, CROSS, data, points=3, seed=seed)
        assert exact.smallest[0] <= s.curvatures[0] <= s.curvatures[1] <= exact.largest[0]
        seen_here = "the whole Hessian has a negative eigenvalue too" in s.sentence
        assert seen_here == (s.curvatures[0] < 0)
        said.add(seen_here)
    assert False in said  # random slices may not see the negative curvature that is there ...
    seen = slice_of(model, CROSS, data, points=3, directions="hessian")
    assert "the whole Hessian has a negative eigenvalue too" in seen.sentence  # ... and this one does
    assert f"hides {len(seen.centre) - 2:,} of {len(seen.centre):,} dimensions" in seen.sentence


def test_a_trajectory_in_a_plane_is_explained_and_found_again() -> None:
    model, data = network(4, 6, 3), blobs(20)
    random = np.random.default_rng(0)
    plane = np.linalg.qr(random.normal(size=(51, 2)))[0].T
    coordinates = random.normal(size=(30, 2)) * [3.0, 1.0]
    track = flat(model) + coordinates @ plane
    s = slice_of(model, CROSS, data, directions="trajectory", trajectory=track, points=5)
    assert s.explained.sum() == pytest.approx(1.0, rel=1e-12)
    assert s.explained[0] > s.explained[1]
    np.testing.assert_allclose(s.centre + s.projection @ s.directions, track, atol=1e-12)
    variances = np.linalg.svd(track - track.mean(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(s.explained, variances[:2] / variances.sum(), rtol=1e-12)
    for axis, which in ((s.x, 0), (s.y, 1)):  # the picture holds it all, with a margin
        assert axis[-1] == -axis[0] == pytest.approx(1.15 * np.abs(s.projection[:, which]).max())
    # Off the plane, the share explained falls by what is off it.
    off = np.vstack([track, track + 0.5 * np.linalg.norm(track, axis=1).mean() * np.eye(51)[7]])
    assert (
        slice_of(model, CROSS, data, directions="trajectory", trajectory=off, points=3).explained.sum()
        < 0.999
    )


def test_a_trajectory_of_state_dicts_is_seen_in_other_slices_too() -> None:
    data, model = blobs(20), network(4, 6, 3)
    optimizer, states = torch.optim.SGD(model.parameters(), 0.1), []
    for _ in range(5):
        states.append(copy.deepcopy(model.state_dict()))
        optimizer.zero_grad()
        CROSS(model(data[0]), data[1]).backward()
        optimizer.step()
    states.append(copy.deepcopy(model.state_dict()))
    s = slice_of(model, CROSS, data, directions="trajectory", trajectory=states, points=3)
    assert s.projection.shape == (6, 2)
    np.testing.assert_allclose(s.projection[-1], 0, atol=1e-12)  # it ends at the model
    seen = slice_of(model, CROSS, data, trajectory=states, points=3)
    assert 0 < seen.explained.sum() < s.explained.sum()
    given = {k: torch.randn(v.shape) for k, v in model.state_dict().items()}
    assert slice_of(model, CROSS, data, directions=[given], dims=1, points=3).losses.shape == (3,)


def test_places_where_the_loss_is_not_finite_stay_in_the_picture(tmp_path: Path) -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    data = (torch.ones(1, 1), torch.ones(1, 1))
    s = slice_of(
        model, lambda a, _: torch.log(a).sum(), data, directions=[[1.0]], dims=1, extent=2.0, points=5
    )
    assert np.isfinite(s.losses).tolist() == [False, False, True, True, True]
    np.testing.assert_allclose(s.losses[2:], np.log([1.0, 2.0, 3.0]), atol=1e-15)
    s.plot().savefig(tmp_path / "line.png")


NET, DATA = network(4, 6, 3), blobs(20)
PARAMETERS = 51


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"directions": "randm"}, "Did you mean 'random'"),
        ({"directions": "trajectory"}, "need one"),
        ({"directions": "trajectory", "trajectory": np.zeros((3, 7))}, r"has the shape \(7,\)"),
        (
            {"directions": "trajectory", "trajectory": np.zeros((3, PARAMETERS))},
            "on a line, or are all the same",
        ),
        ({"directions": "trajectory", "trajectory": np.zeros((2, PARAMETERS))}, "no 2 principal components"),
        ({"directions": [np.ones(PARAMETERS)]}, "2 directions are needed"),
        ({"directions": [np.ones(PARAMETERS), 2 * np.ones(PARAMETERS)]}, "parallel"),
        ({"directions": [np.ones(PARAMETERS), np.zeros(PARAMETERS)]}, "is zero"),
        ({"directions": [np.ones(PARAMETERS), np.full(PARAMETERS, np.nan)]}, "not finite"),
        ({"directions": [{"0.weight": np.ones((6, 4))}, np.ones(PARAMETERS)]}, "has no '0.bias'"),
        ({"normalize": "filters"}, "Did you mean 'filter'"),
        ({"dims": 3}, "dimensions of a slice"),
        ({"points": 2}, "number of points"),
        ({"extent": 0.0}, "extent"),
    ],
)
def test_unusable_slices_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        slice_of(NET, CROSS, DATA, **settings)


def test_a_model_without_filters_needs_another_normalization() -> None:
    class Bias(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.b = nn.Parameter(torch.ones(3))

        def forward(self, x: Any) -> Any:
            return self.b.expand(len(x), 3)

    with pytest.raises(InputError, match="normalize='none'"):
        slice_of(Bias(), CROSS, blobs(5))
    slice_of(Bias(), CROSS, blobs(5), normalize="none", points=3)


# --- alignment ---


def shuffled(model: nn.Sequential, signs: bool, seed: int = 0) -> nn.Sequential:
    """Return a copy with hidden units in another order, and some flipped: the same function."""
    random = np.random.default_rng(seed)
    twin = copy.deepcopy(model)
    linear = [m for m in twin if isinstance(m, nn.Linear)]
    with torch.no_grad():
        for here, after in itertools.pairwise(linear):
            order = torch.as_tensor(random.permutation(here.out_features))
            flips = (
                random.choice([-1.0, 1.0], size=here.out_features) if signs else np.ones(here.out_features)
            )
            sign = torch.as_tensor(flips, dtype=here.weight.dtype)
            here.weight.copy_(here.weight[order] * sign[:, None])
            here.bias.copy_(here.bias[order] * sign)
            after.weight.copy_(after.weight[:, order] * sign)
    return twin


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("widths", [(4, 8, 3), (4, 8, 8, 3), (2, 16, 16, 16, 2), (3, 7, 5, 9, 6, 2)])
@pytest.mark.parametrize("act", [nn.Tanh, nn.ReLU])
def test_a_shuffled_copy_is_recovered_bit_for_bit(act: Any, widths: Any, seed: int) -> None:
    model = network(*widths, act=act, seed=seed)
    twin = shuffled(model, signs=act is nn.Tanh, seed=seed)
    found = align(model, model, twin)
    for name, entry in model.state_dict().items():
        assert torch.equal(found.state[name], entry), name
    assert found.distance == 0.0 < found.distance_before
    x = torch.randn(10, widths[0])
    with torch.no_grad():
        # Float32 sums in another order.
        torch.testing.assert_close(twin(x), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("act", [nn.Tanh, nn.ReLU, nn.Sigmoid, nn.GELU])
def test_alignment_leaves_the_function_as_it_is_and_never_moves_away(act: Any) -> None:
    first, second = network(3, 7, 6, 2, act=act, seed=1), network(3, 7, 6, 2, act=act, seed=2)
    found = align(first, first, second.state_dict())
    assert found.distance < found.distance_before
    twin = network(3, 7, 6, 2, act=act)
    twin.load_state_dict(dict(found.state))
    x = torch.randn(20, 3)
    with torch.no_grad():
        torch.testing.assert_close(twin(x), second(x), rtol=1e-5, atol=1e-6)
    apart = np.linalg.norm(flat(first) - flat(twin))
    assert found.distance == pytest.approx(apart, rel=1e-6)
    assert all(sorted(p) == list(range(len(p))) for p in found.permutations)
    if act is nn.Tanh:
        assert any((s < 0).any() for s in found.signs)
    else:
        assert all((s > 0).all() for s in found.signs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("act", [nn.Tanh, nn.ReLU])
def test_one_hidden_layer_is_aligned_best_of_all_orders(act: Any, seed: int) -> None:
    first, second = network(2, 4, 1, act=act, seed=seed), network(2, 4, 1, act=act, seed=seed + 10)
    one = [p.detach().double().numpy() for p in first.parameters()]
    two = [p.detach().double().numpy() for p in second.parameters()]
    best = math.inf
    for order in itertools.permutations(range(4)):
        for signs in itertools.product(*[(1.0, -1.0) if act is nn.Tanh else (1.0,)] * 4):
            s, p = np.array(signs), list(order)
            moved = [s[:, None] * two[0][p], s * two[1][p], two[2][:, p] * s, two[3]]
            best = min(best, math.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(one, moved, strict=True))))
    assert align(first, first, second).distance == pytest.approx(best, rel=1e-12)


def test_what_stands_between_the_layers_decides_about_signs() -> None:
    def odd(*between: nn.Module) -> bool:
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(2, 5), *between, nn.Sequential(nn.Linear(5, 2)), nn.Softmax(1)
        )
        torch.manual_seed(1)
        other = copy.deepcopy(model)
        for p in other.parameters():
            nn.init.normal_(p)
        return bool((align(model, model, other).signs[0] < 0).any())

    assert odd(nn.Tanh())
    assert odd(nn.Softsign(), nn.Dropout(0.1))
    assert odd()  # a linear network
    assert odd(nn.Hardtanh())
    assert not odd(nn.Hardtanh(-1, 2))
    assert not odd(nn.Tanh(), nn.ReLU())
    assert not odd(nn.Sigmoid())


class Renamed(nn.Sequential):
    def forward(self, x: Any) -> Any:
        return super().forward(x).flip(1)


def tied() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.Tanh(), layer)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Recurrent(), "Linear layers in a torch.nn.Sequential, but the model is a Recurrent"),
        (Renamed(nn.Linear(2, 2), nn.Linear(2, 2)), "Renamed"),
        (
            nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)),
            r"'1' \(BatchNorm1d\)",
        ),
        (nn.Sequential(nn.Linear(2, 4), nn.PReLU(), nn.Linear(4, 2)), r"'1' \(PReLU\)"),
        (nn.Sequential(nn.Linear(2, 4), nn.Softmax(1), nn.Linear(4, 2)), r"'1' \(Softmax\)"),
        (nn.Sequential(nn.Conv1d(1, 2, 1), nn.Flatten(), nn.Linear(4, 2)), r"'0' \(Conv1d\)"),
        (nn.Sequential(nn.Linear(2, 2)), "no hidden layer"),
        (tied(), "share their weights"),
    ],
)
def test_architectures_that_alignment_does_not_know_are_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(InputError, match=message):
        align(model, model, model)


def test_solutions_that_do_not_fit_are_refused() -> None:
    model = network(2, 4, 1)
    with pytest.raises(InputError, match=r"second solution has no '0\.weight'"):
        align(model, model, {})
    with pytest.raises(InputError, match=r"'0\.weight' has the shape \(5, 2\)"):
        align(model, model, network(2, 5, 1))
    with pytest.raises(InputError, match="must be a state dict or a module"):
        align(model, 3, model)


# --- the line between two solutions ---


def test_the_barrier_of_a_product_is_one_and_vanishes_when_aligned() -> None:
    """f = (w₂w₁ − 1)² from (1, 1) to (−1, −1): at t it is ((1 − 2t)² − 1)², 1 in the middle."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Tanh(), nn.Linear(1, 1, bias=False))
    model[1] = nn.Identity()
    ends = [{"0.weight": torch.full((1, 1), s), "2.weight": torch.full((1, 1), s)} for s in (1.0, -1.0)]
    one = torch.ones(1, 1)
    line = between(model, *ends, SQUARE, (one, one), points=21)
    np.testing.assert_allclose(line.losses, ((1 - 2 * line.t) ** 2 - 1) ** 2, atol=1e-15)
    assert line.barrier == pytest.approx(1.0, abs=1e-15)
    assert line.aligned_barrier == 0.0
    assert line.aligned_distance == 0.0 < line.distance == pytest.approx(math.sqrt(8))
    assert (line.parameters, line.size) == (2, "a network 1-1-1")
    assert "rises 1 above" in line.sentence
    assert "aligned, 0" in line.sentence


@pytest.mark.parametrize("act", [nn.Tanh, nn.ReLU])
def test_a_shuffled_copy_lies_behind_a_barrier_that_alignment_removes(act: Any) -> None:
    data = blobs()
    model = trained(network(4, 10, 10, 3, act=act), CROSS, data)
    twin = shuffled(model, signs=act is nn.Tanh)
    line = between(model, model, twin, CROSS, data, points=11)
    assert line.losses[0] == pytest.approx(line.losses[-1], rel=1e-6)  # float32 weights, the same function
    assert line.barrier > 0.1
    assert line.aligned_barrier is not None
    assert line.aligned_barrier <= 1e-15
    np.testing.assert_allclose(line.aligned_losses, line.losses[0], rtol=1e-14)


def test_a_convex_loss_has_no_barrier_and_the_line_is_that_of_plain_evaluation() -> None:
    data, model = blobs(), nn.Linear(4, 3)
    torch.manual_seed(0)
    one, two = nn.Linear(4, 3), nn.Linear(4, 3)
    line = between(model, one, two, CROSS, data, points=7)
    for t, value in zip(line.t, line.losses, strict=True):
        x = (1 - t) * flat(one) + t * flat(two)
        assert value == pytest.approx(loss_at(model, x, CROSS, data), rel=1e-13)
    assert line.barrier == 0.0
    assert line.aligned_losses is None
    assert line.alignment is None
    assert "the model is a Linear" in line.refused
    assert line.refused in line.sentence


def test_barriers_are_measured_from_the_line_between_the_ends() -> None:
    t = np.linspace(0, 1, 5)
    assert barrier(t, 3 * t + 1) == 0.0
    assert barrier(t, 3 * t + 1 + t * (1 - t)) == pytest.approx(0.25)
    assert barrier(t, 3 * t + 1 - t * (1 - t)) == 0.0
    assert barrier(t, np.array([1.0, np.nan, 1, 1, 1])) == math.inf
    assert barrier(t, np.array([1.0, np.inf, 1, 1, 1])) == math.inf


def test_running_statistics_are_interpolated_and_alignment_refused() -> None:
    def build(seed: int) -> Any:
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
        for _ in range(5):
            model(torch.randn(20, 4) + seed)
        return model

    one, two, data = build(0), build(1), blobs()
    line = between(one, one, two, CROSS, data, points=3)
    middle = copy.deepcopy(one).double().eval()
    a, b = one.state_dict(), two.state_dict()
    middle.load_state_dict({k: (a[k].double() + b[k].double()) / 2 for k in a})
    with torch.no_grad():
        for model, value in ((one, line.losses[0]), (middle, line.losses[1]), (two, line.losses[2])):
            expected = float(CROSS(copy.deepcopy(model).double().eval()(data[0].double()), data[1]))
            assert value == pytest.approx(expected, rel=1e-12)
    assert line.aligned_barrier is None
    assert "BatchNorm1d" in line.refused
    assert between(one, one, two, CROSS, data, align=False).refused == ""


def test_unusable_solutions_are_refused() -> None:
    model, data = network(4, 6, 3), blobs(10)
    state = model.state_dict()
    with pytest.raises(InputError, match=r"second solution has no '0\.bias'"):
        between(model, state, {k: v for k, v in state.items() if k != "0.bias"}, CROSS, data)
    with pytest.raises(InputError, match="must be a state dict or a module"):
        between(model, state, [1.0], CROSS, data)
    with pytest.raises(InputError, match="shape"):
        between(model, state, network(4, 7, 3), CROSS, data)
    with pytest.raises(InputError, match="number of points"):
        between(model, state, state, CROSS, data, points=1)
    broken = {k: v.clone() for k, v in state.items()}
    broken["0.bias"][0] = math.nan
    with pytest.raises(InputError, match="not finite"):
        between(model, state, broken, CROSS, data)


def test_sizes_are_named() -> None:
    assert described(network(2, 16, 16, 3)) == "a network 2-16-16-3"
    assert described(Recurrent()) == "a Recurrent"


# --- figures ---


def shows(figure: Any, path: Path) -> str:
    figure.savefig(path)
    assert path.stat().st_size > 10_000
    return str(figure.get_label())


def test_figures_say_what_they_show(tmp_path: Path) -> None:
    data = blobs()
    model = trained(network(4, 6, 3), CROSS, data, 30)
    random = slice_of(model, CROSS, data, points=9, seed=5)
    label = shows(random.plot(), tmp_path / "random.png")
    for words in ("51 parameters", "seed 5", "each filter", "hides 49 of 51", "Heights"):
        assert words in label
    assert "−" in shows(
        slice_of(model, CROSS, data, points=9, directions="hessian").plot(), tmp_path / "h.png"
    )
    track = flat(model) + np.random.default_rng(0).normal(size=(8, 51))
    planned = slice_of(model, CROSS, data, points=9, directions="trajectory", trajectory=track)
    figure = planned.plot()
    assert "of the trajectory's variance" in shows(figure, tmp_path / "trajectory.png")
    drawn = [line.get_xydata() for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 8]
    assert len(drawn) == 2  # white on a dark rim
    np.testing.assert_allclose(drawn[0], planned.projection)
    line = between(model, model, shuffled(model, signs=True), CROSS, data, points=11)
    figure = line.plot()
    assert "a network 4-6-3 of 51 parameters" in shows(figure, tmp_path / "between.png")
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == [f"as they are: barrier {line.barrier:.3g}", "units aligned: barrier 0"]
    refused = between(Recurrent(), Recurrent(), Recurrent(), CROSS, data, points=5)
    assert "Sequential" in shows(refused.plot(), tmp_path / "refused.png")
