"""`widen`: the same model at several widths, and which remedy is cheaper, restarting or widening."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.files import make_folder
from descentlab.models.ensemble import Ensemble
from descentlab.models.levels import is_clear, levels_of
from descentlab.models.retrain import retrain
from descentlab.models.words import NAME_SOLVED, percent
from descentlab.wording import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Widening:
    """One ensemble a width. by_level: what counts as a solution was not given but is the lowest level of all widths."""

    widths: tuple[int, ...]
    ensembles: tuple[Ensemble, ...]
    confidence: float
    by_level: bool = False

    @property
    def shares(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The share of runs that solve the problem, (width,)."""
        return np.array([e.share_solved for e in self.ensembles])

    @property
    def share_intervals(self) -> tuple[tuple[float, float], ...]:
        """The 95 % Wilson intervals of the shares, by width."""
        return tuple(e.share_interval for e in self.ensembles)

    @property
    def seconds_a_run(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """How long one run takes, all of them trained together, (width,)."""
        return np.array([e.seconds / e.runs for e in self.ensembles])

    @property
    def work_a_run(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Weights × steps of one run, (width,): a measure of cost that does not depend on the machine."""
        return np.array([float(e.size) * e.steps for e in self.ensembles])

    @property
    def restarts(self) -> tuple[int | None, ...]:
        """How many runs reach a solution with the confidence asked for; None where no run did."""
        return tuple(e.restarts_for(self.confidence) for e in self.ensembles)

    @property
    def costs(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Restarts × weights × steps: what a solution costs at each width, infinite where no run found one."""
        restarts = [np.inf if n is None else n for n in self.restarts]
        return np.asarray(np.array(restarts) * self.work_a_run)

    @property
    def cheapest(self) -> int | None:
        """The width at which a solution costs least, None where no run at any width found one."""
        return self.widths[int(np.argmin(self.costs))] if np.isfinite(self.costs).any() else None

    @property
    def sentence(self) -> str:
        """Which remedy is cheaper here."""
        return f"{self._cheaper()} {self._unclear()}".rstrip()

    def _cheaper(self) -> str:
        if self.cheapest is None:
            return (
                "No run at any width found a solution: take more steps, another learning rate or more width."
            )
        at = self.widths.index(self.cheapest)
        best, n = self.ensembles[at], self.restarts[at]
        low, high = best.share_interval
        head = (
            f"Width {self.widths[at]} with {n} run{'' if n == 1 else 's'} is cheapest: {percent(best.share_solved)} of "
            f"runs solve the problem (95 % interval {percent(low)} to {percent(high)})."
        )
        if at == 0 and n == 1:
            return f"{head} Neither remedy is needed."
        narrow = self.costs[0]
        if at == 0:
            return (
                f"{head} Here retraining is the cheaper remedy: every wider model costs more than it saves."
            )
        factor = (
            ""
            if not np.isfinite(narrow)
            else f", {narrow / self.costs[at]:.3g} times as much for {self.restarts[0]} restarts"
        )
        compared = (
            f"at width {self.widths[0]} no run succeeded"
            if not np.isfinite(narrow)
            else f"a solution at width {self.widths[0]} costs more{factor}"
        )
        return f"{head} Here widening is the cheaper remedy: {compared}."

    def _unclear(self) -> str:
        """Say where the lowest level of all widths says little: one width alone reaches it, or it is none."""
        if not self.by_level or self.cheapest is None:
            return ""
        losses, which, fallen = _levels(self.ensembles)
        lowest = short(float(losses[which == 0].min()))
        if not is_clear(losses, which, fallen):
            return f"But losses run on from the lowest, {lowest}, without a clear gap: {NAME_SOLVED}."
        if len(self.widths) > 1 and np.count_nonzero(self.shares) == 1:
            return f"But no other width reaches the lowest loss, {lowest}: {NAME_SOLVED}."
        return ""

    def plot(self) -> Figure:
        """Draw the share solved and the cost of a solution against the width."""
        from descentlab.models.pictures import draw_widening

        return draw_widening(self)

    def report(self, path: str | Path, title: str = "") -> None:
        """Write everything into one HTML file that needs nothing else."""
        from descentlab.report.models import write

        write(self, path, title)

    def __repr__(self) -> str:
        return f"<Widening over {', '.join(map(str, self.widths))}: {self.sentence}>"


def widen(
    build_of_width: Callable[[int], Any],
    loss: Callable[..., Any],
    data: Any = None,
    widths: Sequence[int] = (2, 4, 8, 16),
    runs: int = 1000,
    confidence: float = 0.95,
    solved: float | None = None,
    store: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Widening:
    """Retrain a model at several widths, and compare what a solution costs.

    build_of_width: width → a PyTorch module, made anew, or → `build` as `retrain` takes it; settings: those of
    `retrain`. solved: the loss that counts as a solution at every width; by default that of the lowest level of all
    widths. store: a folder, in which a folder width-N keeps the finished runs of each width, so that the same call
    goes on where it was left.

    Raises InputError as `retrain` does, and for widths that are no increasing whole numbers.

    >>> import jax
    >>> build = lambda width: lambda key: jax.random.normal(key, (width,))
    >>> w = widen(build, lambda w: (w.sum() - 1) ** 2, widths=(1, 2), runs=8, optimizer="sgd",
    ...           learning_rate=0.1, steps=50)
    >>> w.shares.tolist(), w.cheapest
    ([1.0, 1.0], 1)
    """
    sizes = tuple(int(width) for width in widths)
    if not sizes or any(width != given for width, given in zip(sizes, widths, strict=True)) or sizes[0] < 1:
        raise InputError(f"The widths are positive whole numbers, such as (2, 4, 8); got {list(widths)!r}.")
    if list(sizes) != sorted(set(sizes)):
        raise InputError(f"The widths rise, each given once; got {list(widths)!r}.")
    if not 0 < confidence < 1:
        raise InputError(f"The confidence lies between 0 and 1, but it is {confidence!r}.")
    folder = None if store is None else make_folder(store)
    ensembles = [
        retrain(
            _build_at(width, build_of_width),
            loss,
            data,
            runs,
            solved=solved,
            store=None if folder is None else folder / f"width-{width}",
            **settings,
        )
        for width in sizes
    ]
    by_level = solved is None
    if by_level:
        solved = _lowest(ensembles)
        ensembles = [replace(e, solved=solved) for e in ensembles]
    return Widening(sizes, tuple(ensembles), confidence, by_level)


def _build_at(width: int, build_of_width: Callable[[int], Any]) -> Callable[..., Any]:
    """Return the build of this width: what was given may make it, or be it."""
    torch = sys.modules.get("torch")
    with torch.random.fork_rng(devices=[]) if torch else contextlib.nullcontext():
        made = build_of_width(width)
    if hasattr(made, "named_parameters"):
        return functools.partial(build_of_width, width)
    build: Callable[..., Any] = made
    return build


def _lowest(ensembles: Sequence[Ensemble]) -> float | None:
    """Return the loss that counts as a solution: the top of the lowest level over all widths together."""
    losses, which, _ = _levels(ensembles)
    return float(losses[which == 0].max()) if (which == 0).any() else None


def _levels(ensembles: Sequence[Ensemble]) -> tuple[Array, NDArray[np.int64], float]:
    """Return the final losses of all widths together, the level of each, and the scale these are cut by."""
    losses = np.concatenate([e.final_losses for e in ensembles])
    fallen = max(e.fallen for e in ensembles)
    return losses, levels_of(losses, fallen)[1], fallen
