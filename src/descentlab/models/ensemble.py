"""An ensemble: what became of many runs of one model, and whether local minima hurt it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.models.data import Data
from descentlab.models.endings import Endings
from descentlab.models.levels import Level, fallen, levels_of
from descentlab.models.problem import Problem, Weights
from descentlab.models.words import sentence_of
from descentlab.survey.statistics import best_of, restarts_interval, restarts_needed, wilson

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Many runs of one model from different random weights.

    recorded (record,): the steps at which the runs were looked at; losses, lengths (run, record): the loss over
    all training data, and the length of the weights as one vector; taken (run,): steps until the end, or until a
    number was not finite; weights: by name, (run, …). metrics, held_metrics: by name, (run,), on the data trained
    on and held out, the loss first. engine: "jax" or "torch", and in reason why not JAX. solved: the loss that
    counts as a solution, None for the lowest level.
    """

    problem: Problem
    data: Data | None
    recorded: Int[np.ndarray, " record"]
    losses: Float[np.ndarray, "run record"]
    lengths: Float[np.ndarray, "run record"]
    taken: Int[np.ndarray, " run"]
    weights: Weights
    metrics: Mapping[str, Array]
    held_metrics: Mapping[str, Array]
    optimizer: str
    learning_rate: str
    steps: int
    batch_size: int | None
    order: str
    seed: int
    engine: str
    reason: str
    solved: float | None
    seconds: float

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return len(self.taken)

    @property
    def size(self) -> int:
        """The number of weights that are trained."""
        return self.problem.size

    @property
    def final_losses(self) -> Array:
        """The loss over all training data at the end, (run,); NaN where a run diverged."""
        return np.where(self.diverged, np.nan, self.losses[:, -1])

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """Which runs ended because a weight or the loss was no finite number, (run,)."""
        return np.asarray((self.taken < self.steps) | ~np.isfinite(self.losses[:, -1]))

    @functools.cached_property
    def endings(self) -> Endings:
        """How every run ended, by second order: see `descentlab.models.endings`. Computed when first asked for.

        Raises InputError for a PyTorch model without second derivatives.
        """
        from descentlab.models.endings import judge_runs
        from descentlab.models.training import stacked

        first = stacked(self.problem, self.seed, range(self.runs))
        return judge_runs(self, first)

    @property
    def outcomes(self) -> dict[str, int]:
        """How many runs ended how."""
        names, counts = np.unique(self.endings.outcomes, return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))

    # --- levels, solutions, restarts ---

    @property
    def fallen(self) -> float:
        """How far training lowered the loss of a typical run: the scale on which losses are compared."""
        return fallen(self.losses)

    @functools.cached_property
    def _levels(self) -> tuple[tuple[Level, ...], NDArray[np.int64]]:
        return levels_of(self.final_losses, self.fallen)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The losses at which runs ended, lowest first: clusters of the final losses."""
        return self._levels[0]

    @property
    def level_of(self) -> NDArray[np.int64]:
        """The index of each run's level, (run,); −1 where it diverged."""
        return self._levels[1]

    @property
    def is_solved(self) -> NDArray[np.bool_]:
        """Which runs found a solution, (run,)."""
        if self.solved is None:
            return np.asarray(self.level_of == 0)
        return np.nan_to_num(self.final_losses, nan=np.inf) <= self.solved

    @property
    def share_solved(self) -> float:
        """The share of runs that solve the problem."""
        return float(self.is_solved.mean())

    @property
    def share_interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share of runs that solve the problem."""
        return wilson(int(self.is_solved.sum()), self.runs)

    def restarts_for(self, confidence: float = 0.95) -> int | None:
        """Return how many runs reach a solution with this probability; None if no run did."""
        return restarts_needed(self.share_solved, confidence)

    def restarts_interval(self, confidence: float = 0.95) -> tuple[int, int | None]:
        """Return an interval of that number, from the interval of the share."""
        return restarts_interval(int(self.is_solved.sum()), self.runs, confidence)

    def best_of(self, restarts: Any) -> Array:
        """Return the expected lowest final loss of n runs, for every n given."""
        finite = self.final_losses[np.isfinite(self.final_losses)]
        return best_of(finite, np.ones(len(finite), int), self.runs, restarts)

    # --- single runs ---

    @property
    def best_run(self) -> int:
        """The run with the lowest final loss. Raises InputError if every run diverged."""
        if self.diverged.all():
            raise InputError("Every run diverged: there is no best one. Take a smaller learning rate.")
        return int(np.nanargmin(self.final_losses))

    def state_dict(self, run: int) -> dict[str, Any]:
        """Return the weights of a run, by name: tensors for a PyTorch model, arrays for one in JAX."""
        if not 0 <= run < self.runs:
            raise InputError(f"Runs are numbered from 0 to {self.runs - 1}; there is no run {run}.")
        return {name: value[run].copy() for name, value in self.weights.items()}

    def model(self, run: int) -> Any:
        """Return a run's model: an ordinary module, or the pytree of a model in JAX."""
        assert self.problem.restore is not None
        return self.problem.restore(self.state_dict(run))

    def best_model(self) -> Any:
        """Return the model with the lowest final loss."""
        return self.model(self.best_run)

    def distinct(self, by: str = "function", tolerance: float = 1e-2) -> NDArray[np.int64]:
        """Number the runs so that those with the same solution share a number, (run,); −1 where one diverged.

        by: "function" – the outputs on the training data agree to `tolerance` of their spread; "weights" – the
        weights agree, to `tolerance` of their size, up to the order of hidden units and, for tanh, their signs.
        """
        from descentlab.models.distinct import distinct_functions, distinct_weights

        if by not in ("function", "weights"):
            raise InputError(f"Solutions are told apart by 'function' or 'weights', not by {by!r}.")
        return (distinct_functions if by == "function" else distinct_weights)(self, tolerance)

    # --- words and pictures ---

    @property
    def sentence(self) -> str:
        """Whether local minima hurt this model, and what to do, in plain words."""
        return sentence_of(self)

    def plot(self, kind: str = "losses") -> Figure:
        """Draw "losses" (curves and levels), "best_of", "endings" or "solutions"."""
        from descentlab.models.pictures import draw_ensemble

        return draw_ensemble(self, kind)

    def report(self, path: str | Path, title: str = "") -> None:
        """Write everything into one HTML file that needs nothing else."""
        from descentlab.report.models import write

        write(self, path, title)

    def __repr__(self) -> str:
        return f"<Ensemble of {self.runs} runs, {self.size} weights each: {self.sentence}>"
