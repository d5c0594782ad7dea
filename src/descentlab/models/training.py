"""How runs are trained: the plan they share, and many runs at once by a loop that JAX compiles."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.models.data import Data
from descentlab.models.optimizers import Optimizer
from descentlab.models.problem import Problem, Weights, run_seed

Array = NDArray[np.float64]

ORDERS = ("different", "same")
# As many runs are trained together as keep what one step computes within the second-level cache (measured: for
# 2-16-3 networks on 150 samples 64 runs a chunk are twice as fast as 8 or 1000), never fewer or more than these.
CHUNK_NUMBERS = 600_000
FEWEST, MOST = 8, 256


@dataclass(frozen=True)
class Plan:
    """What all runs share. rates (step,): the learning rates; recorded: the steps at which the runs are looked at."""

    optimizer: Optimizer
    rates: Array = field(compare=False)
    steps: int
    batch_size: int | None
    order: str
    recorded: tuple[int, ...]
    seed: int

    def steps_an_epoch(self, count: int) -> int:
        """Return how many batches the samples make; those left over wait for the next epoch's order."""
        return 1 if self.batch_size is None else count // self.batch_size


@dataclass(frozen=True)
class Trained:
    """Some runs, trained. weights: by name, (run, …); losses, lengths (run, record): the loss over all data, and the
    length of the weights as one vector; taken (run,): steps until the end or until a weight was not finite – or the
    loss; compiled, that is seen at the next record."""

    weights: Weights
    losses: Array
    lengths: Array
    taken: NDArray[np.int64]


def stacked(problem: Problem, seed: int, runs: range) -> Weights:
    """Return the first weights of these runs, (run, …)."""
    each = [problem.initial(run, seed) for run in runs]
    return {name: np.stack([weights[name] for weights in each]) for name in each[0]}


def chunk_size(problem: Problem, plan: Plan, data: Data | None) -> int:
    """Return how many runs are trained together: a power of two that depends on the problem alone."""
    import jax

    assert problem.loss is not None
    weights = problem.initial(0, plan.seed)
    inputs, targets = _samples(data, plan.batch_size or (data.count if data else 0))
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(problem.loss)(weights, inputs, targets, None)
    numbers = sum(int(np.prod(v.aval.shape)) for equation in jaxpr.eqns for v in equation.outvars)
    size = CHUNK_NUMBERS / max(numbers + 4 * problem.size, 1)
    return int(2 ** np.clip(np.floor(np.log2(max(size, 1))), np.log2(FEWEST), np.log2(MOST)))


def _samples(data: Data | None, count: int) -> tuple[Any, Any]:
    return (None, None) if data is None else (data.inputs[:count], data.targets[:count])


def train_compiled(problem: Problem, plan: Plan, data: Data | None, runs: range, size: int) -> Trained:
    """Train the runs, `size` of them padded up to: the same numbers whatever runs stand beside them."""
    import jax

    first = stacked(problem, plan.seed, runs)
    padding = size - len(runs)

    def pad(values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values, np.repeat(values[:1], padding, axis=0)]) if padding else values

    keys = pad(np.array([run_seed(plan.seed, run) & 0x7FFFFFFF for run in runs], np.uint32))
    inputs, targets = (None, None) if data is None else (data.inputs, data.targets)
    with jax.enable_x64(True):
        run = _compiled(problem, plan, 0 if data is None else data.count)
        weights, seen, taken = run(
            {name: pad(value) for name, value in first.items()}, keys, plan.rates, inputs, targets
        )
    kept = slice(0, len(runs))
    losses, lengths = (np.asarray(values, np.float64)[kept] for values in seen)
    whole = {name: np.asarray(weights[name])[kept] for name in first}  # JAX sorts names
    return Trained(whole, losses, lengths, np.asarray(taken, np.int64)[kept])


@functools.lru_cache(16)
def _compiled(problem: Problem, plan: Plan, count: int) -> Any:
    import jax

    from descentlab.engine import compiled

    def chunk(weights: Any, keys: Any, rates: Any, inputs: Any, targets: Any) -> Any:
        one = functools.partial(_train_one, problem, plan, count)
        return jax.vmap(one, in_axes=(0, 0, None, None, None))(weights, keys, rates, inputs, targets)

    return compiled(chunk)


def _train_one(
    problem: Problem, plan: Plan, count: int, weights: Any, seed: Any, rates: Any, inputs: Any, targets: Any
) -> Any:
    """Train one run; vmap makes many of it. Of `plan` only what compares equal may be used here."""
    import jax
    import jax.numpy as jnp

    assert problem.loss is not None
    loss, key = problem.loss, jax.random.key(seed)
    shared = jax.random.key(plan.seed & 0x7FFFFFFF)
    frozen = {name: value for name, value in weights.items() if name not in problem.trained}
    moving = {name: weights[name] for name in problem.trained}
    epoch = plan.steps_an_epoch(count)

    def look(moving: Any) -> Any:
        squares = sum((leaf**2).sum() for leaf in moving.values())
        return loss({**moving, **frozen}, inputs, targets, None), jnp.sqrt(squares)

    def batch(k: Any, order: Any) -> tuple[Any, Any, Any]:
        if plan.batch_size is None:
            return inputs, targets, order
        source = shared if plan.order == "same" else key

        def shuffled(_: Any) -> Any:
            return jax.random.permutation(jax.random.fold_in(source, k // epoch), count)

        order = jax.lax.cond(k % epoch == 0, shuffled, lambda kept: kept, order)
        at = jax.lax.dynamic_slice_in_dim(order, (k % epoch) * plan.batch_size, plan.batch_size)
        return inputs[at], targets[at], order

    def step(k: Any, now: Any) -> Any:
        moving, state, order, alive, taken = now
        x, y, order = batch(k, order)
        slope = jax.grad(lambda m: loss({**m, **frozen}, x, y, jax.random.fold_in(key, k)))(moving)
        next_moving, next_state = plan.optimizer.update(slope, state, moving, rates[k])
        finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(next_moving)]
        alive &= functools.reduce(jnp.logical_and, finite)
        # A run that broke stays where it was last finite; the others go on.
        moving, state = jax.tree.map(
            lambda new, old: jnp.where(alive, new, old), (next_moving, next_state), (moving, state)
        )
        return moving, state, order, alive, taken + alive

    def stretch(now: Any, ends: Any) -> Any:
        moving, state, order, alive, taken = jax.lax.fori_loop(ends[0], ends[1], step, now)
        seen = look(moving)
        # The loss itself is looked at only here: at every step it would cost a third more (2-16-3, cross-entropy).
        return (moving, state, order, alive & jnp.isfinite(seen[0]), taken), seen

    start = (moving, plan.optimizer.init(moving), jnp.arange(count), jnp.array(True), jnp.array(0, jnp.int32))
    ends = jnp.array([plan.recorded[:-1], plan.recorded[1:]], jnp.int32).T
    last, seen = jax.lax.scan(stretch, start, ends)
    seen = jax.tree.map(lambda first, others: jnp.concatenate([first[None], others]), look(moving), seen)
    return {**last[0], **frozen}, seen, last[4]
