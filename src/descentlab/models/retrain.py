"""`retrain`: the same model from many random weights, all runs at once."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.descent import MEMORY_SHARE, whole_number
from descentlab.errors import InputError, unknown
from descentlab.models.data import Data, read_data
from descentlab.models.ensemble import Ensemble
from descentlab.models.ensembling import TOGETHER, train_ensembled
from descentlab.models.levels import fallen, levels_of
from descentlab.models.optimizers import make_optimizer, schedule
from descentlab.models.problem import Problem, Weights, read_problem
from descentlab.models.spread import train_on
from descentlab.models.store import fingerprint, open_store
from descentlab.models.training import ORDERS, Plan, Trained, chunk_size, train_compiled

Progress = Callable[[int, float], object]

MOST_RUNS, MOST_STEPS = 1_000_000, 10_000_000
ENGINES = ("auto", "jax", "torch")
# Looks at the loss over all data, beside the first: so many, but no more than one in five steps, beyond twenty, since
# each costs a third of a step.
RECORDS, FEWEST_RECORDS, STEPS_A_RECORD = 100, 20, 5


def retrain(
    build: Callable[..., Any],
    loss: Callable[..., Any],
    data: Any = None,
    runs: int = 1000,
    optimizer: str = "adam",
    learning_rate: Any = 0.01,
    steps: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    order: str = "different",
    held_out: Any = None,
    solved: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    engine: str = "auto",
    store: str | os.PathLike[str] | None = None,
    executor: Any = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Ensemble:
    """Train a model `runs` times from different random weights; return what became of every run.

    build: makes the model anew, called once a run under that run's own seed – a function that returns a
    torch.nn.Module, or, for a model in JAX, one that takes a key and returns a pytree of arrays. loss:
    (outputs, targets) → number; in JAX (weights, inputs, targets), or (weights) where data is None. data: a pair
    (inputs, targets) of tensors or arrays, or a Dataset of such pairs; held_out: a share of them, or another
    pair, that is never trained on.

    optimizer: a name of torch.optim, with its `settings` (momentum=0.9, …). learning_rate: a number, a text
    such as "cosine:0.1", or a function of the step: see `schedules.schedule`. steps or epochs: how long.
    batch_size: None for all samples at every step; otherwise so many, shuffled anew each epoch, in an `order`
    "different" in every run or the "same" in all – samples that fill no batch wait for the next shuffle.
    solved: the loss that counts as a solution, by default that of the lowest level.

    engine: "jax" compiles all runs together, "torch" uses torch.func, "auto" takes the first where it can.
    device: "cpu", or one of PyTorch's, with torch.func. executor: None for the cores of this machine, a
    concurrent.futures.Executor or a dask.distributed.Client. store: a folder in which finished runs are kept, so
    that an interrupted ensemble goes on, and a longer one begins with them. progress: called with the runs done
    and the share of them that solve the problem.

    The same seed gives run r the same first weights, and on one machine the same bits all along, whatever the
    number of runs, workers, or an interruption.

    Raises InputError for what cannot be trained, with the reason.

    >>> import numpy as np, jax
    >>> e = retrain(lambda key: jax.random.normal(key, (2,)), lambda w: ((w**2 - 1) ** 2).sum(), runs=64,
    ...             optimizer="sgd", learning_rate=0.05, steps=200)
    >>> e.share_solved, sorted({tuple(np.sign(w).tolist()) for w in e.weights["weights"]})
    (1.0, [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)])
    """
    began = time.perf_counter()
    runs = whole_number(runs, "runs", 1, MOST_RUNS)
    seed = whole_number(seed, "seed", 0, 2**63 - 1)
    if engine not in ENGINES:
        raise unknown("engine", str(engine), ENGINES)
    read = None if data is None else read_data(data, held_out, seed)
    recipe = Recipe(
        build,
        loss,
        read,
        optimizer,
        learning_rate,
        steps,
        epochs,
        batch_size,
        order,
        seed,
        device,
        engine,
        settings,
    )
    made = make(recipe)
    _check_memory(made, runs)
    parts = []
    with contextlib.closing(_train(recipe, made, runs, store, executor)) as done:
        for part in done:
            parts.append(part)
            if progress is not None:
                progress(*_so_far(parts, solved))
    trained = _joined(parts)
    problem, plan = made.problem, made.plan
    metrics, held = _metrics(problem, made.data, loss, trained.weights)
    return Ensemble(
        problem,
        made.data,
        np.array(plan.recorded),
        trained.losses,
        trained.lengths,
        trained.taken,
        trained.weights,
        metrics,
        held,
        optimizer + "".join(f" {name}={value}" for name, value in settings.items()),
        str(learning_rate),
        plan.steps,
        plan.batch_size,
        plan.order,
        seed,
        problem.engine,
        problem.reason,
        None if solved is None else float(solved),
        time.perf_counter() - began,
    )


@dataclass(frozen=True)
class Recipe:
    """All that makes the same problem and plan again, here or in another process."""

    build: Callable[..., Any]
    loss: Callable[..., Any]
    data: Data | None
    optimizer: str
    learning_rate: Any
    steps: int | None
    epochs: int | None
    batch_size: int | None
    order: str
    seed: int
    device: str
    engine: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """What a recipe makes. size: how many runs are trained together."""

    problem: Problem
    plan: Plan
    data: Data | None
    size: int
    device: str

    def train(self, runs: range) -> Trained:
        """Train one chunk of runs."""
        if self.problem.loss is not None:
            return train_compiled(self.problem, self.plan, self.data, runs, self.size)
        assert self.data is not None
        return train_ensembled(self.problem, self.plan, self.data, runs, self.device)


def make(recipe: Recipe) -> Made:
    """Read the model, and settle what all runs share."""
    on_device = recipe.device != "cpu" and recipe.engine == "auto"
    problem = read_problem(recipe.build, recipe.loss, recipe.data, "torch" if on_device else recipe.engine)
    data = None if recipe.data is None else recipe.data.cast(problem.dtype)
    plan = _plan(recipe, data)
    size = TOGETHER if problem.loss is None else chunk_size(problem, plan, data)
    return Made(problem, plan, data, size, recipe.device)


def make_work(recipe: Recipe) -> Callable[[range], Trained]:
    """Return the work of a chunk (in another process)."""
    return make(recipe).train


def _plan(recipe: Recipe, data: Data | None) -> Plan:
    count, batch_size, steps, epochs = (
        0 if data is None else data.count,
        recipe.batch_size,
        recipe.steps,
        recipe.epochs,
    )
    if recipe.order not in ORDERS:
        raise unknown("order", str(recipe.order), ORDERS)
    if batch_size is not None:
        if data is None:
            raise InputError("Without data there are no batches: leave batch_size out.")
        batch_size = whole_number(batch_size, "batch_size", 1, count)
    if (steps is None) == (epochs is None):
        raise InputError("Say how long to train: either steps=… or epochs=….")
    if steps is not None:
        total = whole_number(steps, "steps", 1, MOST_STEPS)
    else:
        total = whole_number(epochs, "epochs", 1, MOST_STEPS) * (
            1 if batch_size is None else count // batch_size
        )
    looks = min(total, RECORDS, max(FEWEST_RECORDS, total // STEPS_A_RECORD))
    recorded = np.unique(np.linspace(0, total, looks + 1).round().astype(int))
    rule = make_optimizer(recipe.optimizer, **recipe.settings)
    rates = schedule(recipe.learning_rate, total).rates
    return Plan(rule, rates, total, batch_size, recipe.order, tuple(recorded.tolist()), recipe.seed)


def _train(
    recipe: Recipe, made: Made, runs: int, store: Any, executor: Any
) -> Generator[Trained, None, None]:
    """Yield the runs, trained, chunk by chunk: from the store what it holds, the others as they are done."""
    chunks = [range(first, min(first + made.size, runs)) for first in range(0, runs, made.size)]
    what = {} if store is None else fingerprint(made.problem, made.plan, made.data)
    with open_store(store, what) as kept:
        found = {chunk: None if kept is None else kept.load(chunk) for chunk in chunks}
        missing = [chunk for chunk in chunks if found[chunk] is None]
        with contextlib.closing(train_on(executor, made.train, (make_work, recipe), missing)) as trained:
            for chunk in chunks:
                part = found[chunk]
                if part is None:
                    part = next(trained)
                    if kept is not None:
                        kept.save(chunk, part)
                yield part


def _check_memory(made: Made, runs: int) -> None:
    """Raise InputError before results that would not fit."""
    numbers = sum(int(np.prod(shape)) for shape in made.problem.shapes.values())
    # The weights of all runs twice, chunk by chunk and joined; a chunk's weights, gradients and two memories beside.
    needed = (2 * runs + 8 * made.size) * numbers * np.dtype(made.problem.dtype).itemsize
    needed += 4 * runs * len(made.plan.recorded) * 8
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE
    if needed > free:
        raise InputError(
            f"{runs:,} runs of {numbers:,} weights take about {needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB "
            "may be used. Take fewer runs or a smaller model."
        )


def _so_far(parts: list[Trained], solved: float | None) -> tuple[int, float]:
    """Return the runs done and the share of them that solve the problem, as far as one can tell by now."""
    done = np.concatenate([part.losses for part in parts])
    if solved is not None:
        return len(done), float((done[:, -1] <= solved).mean())
    return len(done), float((levels_of(done[:, -1], fallen(done))[1] == 0).mean())


def _joined(parts: list[Trained]) -> Trained:
    weights = {name: np.concatenate([part.weights[name] for part in parts]) for name in parts[0].weights}
    seen = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("losses", "lengths", "taken")
    )
    return Trained(weights, *seen)


def _metrics(
    problem: Problem, data: Data | None, loss: Any, weights: Weights
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return the metrics of every run on the data trained on, and on what was held out."""
    from descentlab.models.scoring import scores

    if data is None:
        return {}, {}
    trained = scores(problem, loss, weights, data.inputs, data.targets)
    held = {} if data.held_out is None else scores(problem, loss, weights, *data.held_out)
    return trained, held
