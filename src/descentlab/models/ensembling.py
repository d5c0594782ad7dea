"""Many runs at once by PyTorch's own `torch.func`: for models that JAX cannot be given, and for its devices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.models.data import Data
from descentlab.models.problem import Problem, run_seed
from descentlab.models.training import Plan, Trained, stacked

# torch.func's own calls dominate: many runs at once. Dropout draws for all of them together, so this number is fixed.
TOGETHER = 256
_CLASSES = {
    "sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "nadam": "NAdam", "radam": "RAdam", "adamax": "Adamax",
    "adagrad": "Adagrad", "adadelta": "Adadelta", "rmsprop": "RMSprop", "rprop": "Rprop", "asgd": "ASGD",
}  # fmt: skip


def train_ensembled(problem: Problem, plan: Plan, data: Data, runs: range, device: str) -> Trained:
    """Train the runs by vmap over stacked weights, with torch.optim's own optimizer on the stacks.

    Every optimizer here treats each weight by itself, so a stack of runs is stepped as each run alone would be.
    """
    import torch
    from torch.func import functional_call, grad_and_value, vmap

    module, place = problem.module.to(device), torch.device(device)
    stack = {
        name: torch.as_tensor(value, device=place)
        for name, value in stacked(problem, plan.seed, runs).items()
    }
    frozen = {name: tensor[0] for name, tensor in stack.items() if name not in problem.trained}
    if any(not bool((stack[name] == tensor).all()) for name, tensor in frozen.items()):
        raise InputError("Weights that are not trained must be the same in every run.")
    moving = {name: stack[name].clone() for name in problem.trained}
    inputs, targets = (torch.as_tensor(values, device=place) for values in (data.inputs, data.targets))

    def value(moving: Any, x: Any, y: Any) -> Any:
        return problem.torch_loss(functional_call(module, {**moving, **frozen}, (x,)), y)

    each = 0 if plan.batch_size is not None and plan.order == "different" else None
    slope = vmap(grad_and_value(value), in_dims=(0, each, each), randomness="different")
    look = vmap(value, in_dims=(0, None, None))
    settings = dict(plan.optimizer.settings)
    optimizer = getattr(torch.optim, _CLASSES[plan.optimizer.name])(list(moving.values()), lr=1.0, **settings)
    alive = torch.ones(len(runs), dtype=torch.bool, device=place)
    taken = torch.zeros(len(runs), dtype=torch.int64, device=place)
    losses, lengths = [], []
    with torch.random.fork_rng(devices=[] if place.type == "cpu" else None):
        torch.manual_seed(run_seed(plan.seed, runs.start))
        for k in range(plan.steps + 1):
            if k in plan.recorded:
                module.eval()
                with torch.no_grad():
                    losses.append(look(moving, inputs, targets).cpu().numpy())
                    squares = [(tensor.double() ** 2).flatten(1).sum(1) for tensor in moving.values()]
                    lengths.append(torch.stack(squares).sum(0).sqrt().cpu().numpy())
            if k == plan.steps:
                break
            module.train()
            at = _batch(plan, data.count, runs, k)
            x, y = (inputs, targets) if at is None else (inputs[at], targets[at])
            gradients, now = slope(moving, x, y)
            before = {name: tensor.clone() for name, tensor in moving.items()}
            for name, tensor in moving.items():
                tensor.grad = gradients[name].detach()
            for group in optimizer.param_groups:
                group["lr"] = float(plan.rates[k])
            optimizer.step()
            finite = [tensor.flatten(1).isfinite().all(1) for tensor in moving.values()]
            alive &= now.isfinite() & torch.stack(finite).all(0)
            for name, tensor in moving.items():  # a run that broke stays where it was last finite
                tensor.copy_(torch.where(alive.view(-1, *[1] * (tensor.dim() - 1)), tensor, before[name]))
            taken += alive
    fixed = {name: tensor.expand(len(runs), *tensor.shape) for name, tensor in frozen.items()}
    whole = {name: {**moving, **fixed}[name].cpu().numpy().copy() for name in stack}
    seen = [np.stack(values, axis=1).astype(np.float64) for values in (losses, lengths)]
    return Trained(whole, seen[0], seen[1], taken.cpu().numpy())


def _batch(plan: Plan, count: int, runs: range, k: int) -> NDArray[np.int64] | None:
    """Return the samples of step k: (sample,) for all runs, or (run, sample)."""
    if plan.batch_size is None:
        return None
    epoch = plan.steps_an_epoch(count)
    part = slice((k % epoch) * plan.batch_size, (k % epoch + 1) * plan.batch_size)

    def order(seed: int) -> NDArray[np.int64]:
        return np.random.default_rng([seed, k // epoch]).permutation(count)[part]

    if plan.order == "same":
        return order(plan.seed)
    return np.stack([order(run_seed(plan.seed, run)) for run in runs])
