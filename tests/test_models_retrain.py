"""Many runs at once: each is what it would be alone, whatever stands beside it; and what cannot be trained is said."""

from __future__ import annotations

import concurrent.futures
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import torch

import descentlab as dl
from descentlab.models.problem import run_seed
from descentlab.models.retrain import retrain
from descentlab.models.widen import widen

torch.set_num_threads(1)

LOSS = torch.nn.CrossEntropyLoss()
_GENERATOR = np.random.default_rng(0)
INPUTS = np.concatenate([_GENERATOR.normal(-1, 0.8, (24, 2)), _GENERATOR.normal(1, 0.8, (24, 2))])
LABELS = np.repeat([0, 1], 24)
DATA = INPUTS, LABELS


def build() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()


def with_dropout() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2)
    )


def flat(e: dl.models.Ensemble) -> np.ndarray:
    return np.concatenate([value.reshape(e.runs, -1) for value in e.weights.values()], axis=1)


def plain(run: int, steps: int, **settings: Any) -> tuple[float, np.ndarray]:
    """One run by PyTorch's own loop."""
    torch.manual_seed(run_seed(0, run))
    module = build()
    optimizer = torch.optim.Adam(module.parameters(), **settings)
    x, y = torch.tensor(INPUTS), torch.tensor(LABELS)
    for _ in range(steps):
        optimizer.zero_grad()
        LOSS(module(x), y).backward()
        optimizer.step()
    weights = np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])
    return LOSS(module(x), y).item(), weights


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_a_run_is_what_pytorchs_own_loop_makes_of_it(engine: str) -> None:
    e = retrain(build, LOSS, DATA, runs=5, steps=120, learning_rate=0.03, engine=engine)
    assert e.engine == engine
    for run in range(5):
        loss, weights = plain(run, 120, lr=0.03)
        # Both count in doubles; 120 steps let their rounding grow to some 1e-12.
        assert e.final_losses[run] == pytest.approx(loss, rel=1e-9)
        np.testing.assert_allclose(flat(e)[run], weights, rtol=1e-7, atol=1e-9)


def test_the_best_model_is_an_ordinary_module_with_that_loss() -> None:
    e = retrain(build, LOSS, DATA, runs=6, steps=50)
    model = e.best_model()
    assert isinstance(model, torch.nn.Sequential)
    assert LOSS(model(torch.tensor(INPUTS)), torch.tensor(LABELS)).item() == pytest.approx(
        np.nanmin(e.final_losses), rel=1e-12
    )
    model.load_state_dict({name: torch.as_tensor(value) for name, value in e.state_dict(0).items()})
    assert LOSS(model(torch.tensor(INPUTS)), torch.tensor(LABELS)).item() == pytest.approx(
        e.final_losses[0], rel=1e-12
    )
    with pytest.raises(dl.InputError, match="no run 6"):
        e.state_dict(6)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["same", "different"])
def test_a_run_does_not_depend_on_those_beside_it(order: str) -> None:
    """Dropout and shuffling included: with more runs the first ones are the same to the bit."""
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 16, "order": order, "seed": 3}
    few = retrain(with_dropout, LOSS, DATA, runs=3, **settings)
    many = retrain(with_dropout, LOSS, DATA, runs=300, **settings)
    np.testing.assert_array_equal(flat(few), flat(many)[:3])
    np.testing.assert_array_equal(few.losses, many.losses[:3])
    assert len(np.unique(flat(many), axis=0)) == 300


@pytest.mark.slow
def test_batches_are_shuffled_alike_or_not() -> None:
    """From equal first weights runs stay equal under the same order and part under different ones."""

    def alike() -> torch.nn.Module:
        module = build()
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(torch.linspace(-1, 1, p.numel(), dtype=torch.float64).reshape(p.shape))
        return module

    for order, distinct in (("same", 1), ("different", 8)):
        e = retrain(alike, LOSS, DATA, runs=8, epochs=2, batch_size=8, order=order)
        assert len(np.unique(flat(e), axis=0)) == distinct
        assert e.steps == 12


def test_an_epoch_sees_every_sample_once() -> None:
    """On a loss that is linear in the data, one epoch at a fixed rate moves by the sum over all samples."""
    inputs = np.arange(12.0)[:, None]

    def loss(w: Any, x: Any, y: Any) -> Any:
        return (w * x[:, 0]).mean() + 0 * y.sum()

    e = retrain(
        lambda key: jax.random.normal(key, ()), loss, (inputs, inputs[:, 0]),
        runs=4, epochs=1, batch_size=3, optimizer="sgd", learning_rate=1.0,
    )  # fmt: skip
    first = np.array([e.problem.initial(run, 0)["weights"] for run in range(4)])
    np.testing.assert_allclose(e.weights["weights"], first - inputs.sum() / 3, rtol=1e-6)


@pytest.mark.slow
def test_dropout_draws_for_each_run_and_rests_when_looked_at() -> None:
    e = retrain(with_dropout, LOSS, DATA, runs=4, steps=5, seed=1)
    for run in range(4):
        model = e.model(run).eval()
        x, y = torch.tensor(INPUTS, dtype=torch.float32), torch.tensor(LABELS)
        assert LOSS(model(x), y).item() == pytest.approx(e.final_losses[run], rel=1e-5)


@pytest.mark.slow
def test_what_is_held_out_is_not_trained_on() -> None:
    e = retrain(build, LOSS, DATA, runs=3, steps=40, held_out=0.25, seed=5)
    assert e.data is not None
    assert e.data.held_out is not None
    rows = np.concatenate([e.data.inputs, e.data.held_out[0]])
    assert len(e.data.held_out[0]) == 12
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(INPUTS, axis=0))
    model = e.model(1)
    outputs = model(torch.tensor(e.data.held_out[0])).detach().numpy()
    assert e.held_metrics["accuracy"][1] == (outputs.argmax(1) == e.data.held_out[1]).mean()
    other = retrain(build, LOSS, (e.data.inputs, e.data.targets), runs=3, steps=40, seed=5)
    np.testing.assert_array_equal(other.losses, e.losses)


@pytest.mark.slow
def test_a_store_goes_on_where_it_was_left(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 20, "seed": 2, "store": tmp_path / "runs"}
    e = retrain(build, LOSS, DATA, runs=300, steps=20, seed=2)
    retrain(build, LOSS, DATA, runs=100, **settings)
    kept = sorted((tmp_path / "runs").glob("*.npz"))
    assert kept
    kept[0].write_bytes(kept[0].read_bytes()[:100])  # as a machine that went off left it
    resumed = retrain(build, LOSS, DATA, runs=300, **settings)
    np.testing.assert_array_equal(flat(resumed), flat(e))
    np.testing.assert_array_equal(resumed.losses, e.losses)
    for name, changed in (
        ("seed", {"seed": 3}),
        ("steps", {"steps": 21}),
        ("learning rates", {"learning_rate": 0.02}),
        ("optimizer", {"optimizer": "sgd"}),
    ):
        with pytest.raises(dl.InputError, match=name):
            retrain(build, LOSS, DATA, runs=4, **{**settings, **changed})
    with pytest.raises(dl.InputError, match="data"):
        retrain(build, LOSS, (INPUTS + 1e-9, LABELS), runs=4, **settings)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(dl.InputError, match="other files"):
        retrain(build, LOSS, DATA, runs=4, steps=20, store=tmp_path / "other")


@pytest.mark.slow
def test_other_processes_train_the_same_runs() -> None:
    e = retrain(build, LOSS, DATA, runs=300, steps=10)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=_spawned()) as pool:
        spread = retrain(build, LOSS, DATA, runs=300, steps=10, executor=pool)
        np.testing.assert_array_equal(flat(spread), flat(e))
        with pytest.raises(dl.InputError, match="module of their own"):
            retrain(lambda: build(), LOSS, DATA, runs=4, steps=1, executor=pool)


@pytest.mark.slow
def test_dask_trains_the_same_runs() -> None:
    from distributed import Client, LocalCluster

    def begin(key: Any) -> Any:  # neither this nor the loss can be imported by a worker
        return jax.random.uniform(key, (2,), minval=-2.0, maxval=2.0)

    def loss(w: Any) -> Any:
        return ((w**2 - 1) ** 2).sum()

    settings: dict[str, Any] = {"runs": 300, "optimizer": "sgd", "learning_rate": 0.05, "steps": 50}
    e = retrain(begin, loss, **settings)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        spread = retrain(begin, loss, executor=client, **settings)
    np.testing.assert_array_equal(flat(spread), flat(e))


def _spawned() -> Any:
    import multiprocessing

    return multiprocessing.get_context("spawn")


def test_a_run_whose_numbers_break_ends_and_the_others_go_on() -> None:
    """Every third run begins where the gradient of w⁴ throws it out of all bounds."""

    def begin(key: Any) -> Any:
        return jax.random.uniform(key, (), minval=0.0, maxval=30.0)

    e = retrain(begin, lambda w: w**4, runs=60, steps=200, optimizer="sgd", learning_rate=0.001)
    first = np.array([e.problem.initial(run, 0)["weights"] for run in range(60)])
    # A step goes from w to w (1 − 0.004 w²): it grows without end from w² > 500 on.
    np.testing.assert_array_equal(e.diverged, first**2 > 500)
    assert np.isnan(e.final_losses[e.diverged]).all()
    assert (e.final_losses[~e.diverged] < 1.0).all()
    assert (e.taken[e.diverged] < 20).all()
    assert e.outcomes["diverged"] == e.diverged.sum()
    assert f"{e.diverged.sum()} diverged" in e.sentence


def test_levels_shares_and_restarts_count_runs() -> None:
    """(w² − 1)² + w/4 has its lower minimum on the left, and half of all starts reach it."""

    def loss(w: Any) -> Any:
        return ((w**2 - 1) ** 2 + w / 4).sum()

    e = retrain(lambda key: jax.random.uniform(key, (1,), minval=-2.0, maxval=2.0), loss, runs=400,
                optimizer="sgd", learning_rate=0.02, steps=400)  # fmt: skip
    assert len(e.levels) == 2
    assert [level.runs for level in e.levels] == np.bincount(e.level_of).tolist()
    left = e.weights["weights"][:, 0] < 0
    np.testing.assert_array_equal(e.is_solved, left)
    assert e.share_interval[0] < left.mean() < e.share_interval[1]
    assert e.restarts_for(0.95) == int(np.ceil(np.log(0.05) / np.log(1 - left.mean())))
    assert e.best_of(1)[()] == pytest.approx(e.final_losses.mean())
    assert e.outcomes == {"minimum": 400}
    roots = np.roots([4, 0, -4, 0.25])
    curvature = 12 * roots[np.argmin(roots)] ** 2 - 4
    assert e.endings.smallest[left] == pytest.approx(curvature, rel=1e-4)
    assert len(np.unique(e.distinct("weights"))) == 2


def test_hidden_units_in_another_order_are_the_same_solution() -> None:
    e = retrain(build, LOSS, DATA, runs=4, steps=30)
    order, signs = np.array([2, 0, 3, 1]), np.array([1.0, -1.0, -1.0, 1.0])
    weights = {name: value.copy() for name, value in e.weights.items()}
    weights["0.weight"][1] = (weights["0.weight"][0] * signs[:, None])[order]
    weights["0.bias"][1] = (weights["0.bias"][0] * signs)[order]
    weights["2.weight"][1] = (weights["2.weight"][0] * signs)[:, order]
    weights["2.bias"][1] = weights["2.bias"][0]
    from dataclasses import replace

    mixed = replace(e, weights=weights)
    assert mixed.distinct("weights").tolist() == [0, 0, 1, 2]
    assert mixed.distinct("function")[:2].tolist() == [0, 0]


def test_widening_compares_costs() -> None:
    """w runs solve with chance 1 − 2⁻ʷ: a unit helps if any of them begins on the right side."""

    def of_width(width: int) -> Any:
        return lambda key: jax.random.uniform(key, (width,), minval=-1.0, maxval=1.0)

    def loss(w: Any) -> Any:
        return ((jax.nn.relu(w).sum() - 1) ** 2) / 2

    found = widen(of_width, loss, widths=(1, 2, 6), runs=2000, optimizer="sgd", learning_rate=0.1, steps=200)
    for width, (low, high) in zip(found.widths, found.share_intervals, strict=True):
        assert low <= 1 - 0.5**width <= high
    assert found.restarts[0] == 5
    assert found.costs[0] == pytest.approx(5 * 200)
    assert found.cheapest == found.widths[int(np.argmin(found.costs))]
    assert str(found.cheapest) in found.sentence


def test_says_where_losses_have_no_levels_and_asks_what_is_good_enough() -> None:
    def of_width(width: int) -> Any:
        return lambda key: jax.random.uniform(key, (width,), minval=-1.0, maxval=1.0)

    def loss(w: Any) -> Any:
        return 1 / len(w) + (w**2).sum()

    slow: dict[str, Any] = {"runs": 300, "optimizer": "sgd", "learning_rate": 0.1, "steps": 3}
    e = retrain(of_width(1), loss, None, **slow)
    assert "But losses run on from there without a clear gap" in e.sentence
    assert "Retrain" not in e.sentence
    assert "run on" not in retrain(of_width(1), loss, None, solved=1.1, **slow).sentence

    enough = {**slow, "steps": 60}
    alone = widen(of_width, loss, None, widths=(1, 4), **enough)
    assert alone.cheapest == 4
    assert "But no other width reaches the lowest loss, 0.25: name with 'solved'" in alone.sentence
    blurred = widen(lambda width: of_width(1), loss, None, widths=(1, 4), **slow)
    assert "But losses run on from the lowest, 1, without a clear gap" in blurred.sentence
    for given in (widen(of_width, loss, None, widths=(1, 4), solved=1.1, **enough), found_by_two(enough)):
        assert "good enough" not in given.sentence


@pytest.mark.slow
def found_by_two(settings: dict[str, Any]) -> Any:
    """Two widths of one problem that both solve it: a clear level."""
    return widen(
        lambda width: lambda key: jax.random.uniform(key, (width,)),
        lambda w: (w**2).sum(),
        None,
        (1, 2),
        **settings,
    )


def test_a_widening_takes_what_makes_a_module_and_goes_on_from_its_store(tmp_path: Path) -> None:
    def of_width(width: int) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.Tanh(), torch.nn.Linear(width, 2))

    settings: dict[str, Any] = {"widths": (1, 3), "steps": 20, "seed": 1}
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    plain = widen(lambda width: lambda: of_width(width), LOSS, DATA, runs=40, **settings)
    store = {"store": tmp_path / "kept", **settings}
    widen(of_width, LOSS, DATA, runs=20, **store)
    kept = widen(of_width, LOSS, DATA, runs=40, **store)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["width-1", "width-3"]
    for one, other in zip(plain.ensembles, kept.ensembles, strict=True):
        np.testing.assert_array_equal(one.losses, other.losses)


def test_a_model_is_an_objective_of_its_weights() -> None:
    model = build()
    given = {"loss": LOSS, "data": DATA}
    f = dl.function(model, **given)
    weights = torch.nn.utils.parameters_to_vector(model.parameters()).detach().double().numpy()
    inputs, targets = (torch.as_tensor(part) for part in DATA)
    expected = LOSS(model(inputs), targets).item()
    assert float(f.value(weights)) == pytest.approx(expected, rel=1e-5)
    before = [p.detach().clone() for p in model.parameters()]
    dl.descend(f, start=[weights], learning_rate=0.1, steps=5)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert dl.function(build, **given, domain=(-1, 1)).domain.tolist() == [[-1.0, 1.0]] * f.dim
    with pytest.raises(dl.InputError, match="with its loss and data"):
        dl.function(model)
    with pytest.raises(dl.InputError, match="named after its weights"):
        dl.function(model, **given, label="mine")


def test_progress_is_told() -> None:
    seen: list[tuple[int, float]] = []
    retrain(build, LOSS, DATA, runs=600, steps=2, progress=lambda done, share: seen.append((done, share)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == 600
    assert all(0 <= share <= 1 for _, share in seen)


class _Branching(torch.nn.Module):
    """Looks at its data, so that it cannot be translated."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) * torch.special.i0(x.sum(1, keepdim=True) * 0)


def test_what_jax_cannot_be_given_pytorch_trains_and_says_why() -> None:
    e = retrain(_Branching, LOSS, DATA, runs=3, steps=10)
    assert e.engine == "torch"
    assert "i0" in e.reason
    assert (e.losses[:, -1] < e.losses[:, 0]).all()
    with pytest.raises(dl.InputError, match="i0"):
        retrain(_Branching, LOSS, DATA, runs=3, steps=10, engine="jax")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"build": torch.nn.Linear(2, 2)}, "finished module"),
        ({"build": lambda: "model"}, "returned a str"),
        ({"build": torch.nn.Identity}, "no weights"),
        ({"build": lambda: torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))}, "running statistics"),
        ({"build": lambda: torch.nn.LazyLinear(2)}, "lazy"),
        ({"build": lambda: torch.nn.Linear(3, 2)}, "do not take this data"),
        ({"loss": torch.nn.CrossEntropyLoss(reduction="none")}, "one number"),
        ({"loss": "mse"}, "function of"),
        ({"data": (INPUTS, LABELS[:5])}, "one target for each input"),
        ({"data": (INPUTS * np.nan, LABELS)}, "NaN"),
        ({"data": (INPUTS[:0], LABELS[:0])}, "no sample"),
        ({"data": None}, "trained on data"),
        ({"data": 7}, "pair"),
        ({"held_out": 1.5}, "between 0 and 1"),
        ({"runs": 0}, "between 1"),
        ({"runs": 10**6, "build": lambda: torch.nn.Linear(2, 20_000)}, "GiB"),
        ({"steps": None}, "either steps"),
        ({"epochs": 3}, "either steps"),
        ({"batch_size": 49}, "batch_size"),
        ({"order": "random"}, "different"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"optimizer": "lbfgs"}, "line search"),
        ({"momentm": 0.9, "optimizer": "sgd"}, "momentum"),
        ({"learning_rate": -1.0}, "learning rate"),
        ({"engine": "tensorflow"}, "torch"),
        ({"executor": 3}, "executor"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_said(changes: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"build": build, "loss": LOSS, "data": DATA, "runs": 2, "steps": 2, **changes}
    with pytest.raises(dl.InputError, match=words):
        retrain(**given)


@pytest.mark.slow
def test_a_dataset_is_read() -> None:
    pairs = torch.utils.data.TensorDataset(torch.tensor(INPUTS), torch.tensor(LABELS))
    np.testing.assert_array_equal(
        retrain(build, LOSS, pairs, runs=2, steps=5).losses,
        retrain(build, LOSS, DATA, runs=2, steps=5).losses,
    )


def test_endings_of_many_chunks_are_judged() -> None:
    """In a process of its own: threads in JAX's eigh once waited for each other for ever."""
    program = (
        "import jax\n"
        "from descentlab.models.retrain import retrain\n"
        "e = retrain(lambda key: jax.random.uniform(key, (3,), minval=-2.0, maxval=2.0),"
        " lambda w: ((w**2 - 1) ** 2).sum(), runs=400,"
        " optimizer='sgd', learning_rate=0.05, steps=300)\n"
        "print(e.outcomes)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "{'minimum': 400}\n"
