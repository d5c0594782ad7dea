"""Parametric experiments: where descent ends for every start × learning rate × number of steps.

The course's three experiments – the final point against the start, against the learning rate,
and against learning rate × steps – are sweeps with one or two axes of more than one entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.batch import run_ends_of_many
from descentlab.descent import (
    MOST_STEPS,
    Setup,
    check_memory,
    ending_of,
    prepare,
    read_starts,
    whole_number,
)
from descentlab.engine import TAIL, Progress, Rows, Trace
from descentlab.errors import InputError
from descentlab.objective import Objective
from descentlab.reproduce import Call, command_line, python_lines
from descentlab.verdict import judge

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Sweep:
    """Where descent ended, over a grid of settings.

    axes: the entries of "optimizer", "start" (start, dim), "learning_rate" (labels where they
    are not numbers) and "steps", in this order, which is that of the arrays' axes: ends
    (optimizer, start, learning_rate, steps, dim), values, outcomes and taken without dim.
    """

    objective: Objective
    ascent: bool
    axes: Mapping[str, Any]
    ends: Float[np.ndarray, "optimizer start rate steps dim"]
    values: Float[np.ndarray, "optimizer start rate steps"]
    outcomes: NDArray[np.str_]
    taken: Int[np.ndarray, "optimizer start rate steps"]
    tolerance: float | None
    bounds: str
    seed: int
    call: Call

    @property
    def varied(self) -> tuple[str, ...]:
        """The names of the axes with more than one entry."""
        return tuple(name for name, entries in self.axes.items() if len(entries) > 1)

    @property
    def command(self) -> str:
        """The shell command that does the same, or "" if there is none."""
        return command_line("sweep", self.objective, self.call)

    @property
    def python(self) -> str:
        """The Python lines that do the same."""
        return python_lines("sweep", self.objective, self.call)

    def plot(self) -> Figure:
        """Draw the final point against what was varied."""
        from descentlab.figures import draw_sweep

        return draw_sweep(self)

    def _repr_html_(self) -> str:
        from descentlab.figures import figure_html

        return figure_html(self.plot())


def sweep(
    f: Objective,
    start: Any = None,
    learning_rate: Any = 0.01,
    steps: int | Sequence[int] = 1000,
    optimizer: Any = "gd",
    tolerance: float | None = None,
    bounds: str = "free",
    seed: int = 0,
    ascent: bool = False,
    precision: str = "float64",
    progress: Progress | None = None,
    **parameters: float,
) -> Sweep:
    """Descend from every start at every learning rate for every number of steps.

    start: one or several starts, (start, dim); for one variable also a plain list of numbers;
    or how many random ones. learning_rate, steps, optimizer: one entry as for `descend`, or a
    list of them. The whole grid is one batch, compiled once (once a rule, if rates of several rules
    are mixed). `parameters` go to every optimizer
    that has them. progress: a function to call with the share of descents done.

    Raises InputError for unusable input, or a grid that would not fit in half the memory.

    >>> from descentlab.objective import formula
    >>> s = sweep(formula("3x^2 - 3x + 4"), start=[0.0], learning_rate=[0.001, 0.1], steps=[10, 1000])
    >>> s.varied, s.outcomes[0, 0].tolist()
    (('learning_rate', 'steps'), [['out_of_steps', 'out_of_steps'], ['out_of_steps', 'minimum']])
    """
    given = {
        "start": start,
        "learning_rate": learning_rate,
        "steps": steps,
        "optimizer": optimizer,
        "tolerance": tolerance,
        "bounds": bounds,
        "seed": seed,
        "precision": precision,
        "ascent": ascent,
    }
    counts = [whole_number(n, "number of steps", 1, MOST_STEPS) for n in entries(steps, "steps")]
    rates, names = entries(learning_rate, "learning rates"), entries(optimizer, "optimizers")
    setups = [
        [
            prepare(
                f, name, rate, max(counts), tolerance, bounds, seed, precision, _own(name, parameters), ascent
            )
            for rate in rates
        ]
        for name in names
    ]
    _check_used(parameters, names)
    starts = read_starts(_as_points(start, f), f, setups[0][0].seed)
    check_memory(len(names) * len(starts) * len(rates) * len(counts), TAIL, f.dim)
    shape = (len(starts), len(counts))
    results = _run_grid(setups, starts, counts, progress)
    axes = {
        "optimizer": tuple(row[0].method.optimizer.label for row in setups),
        "start": starts,
        "learning_rate": _rate_axis(setups[0]),
        "steps": np.array(counts),
    }

    def grid(which: int, *tail: int) -> Any:
        return np.array(
            [[np.reshape(rate[which], (*shape, *tail)) for rate in row] for row in results]
        ).swapaxes(1, 2)

    return Sweep(
        f,
        ascent,
        axes,
        grid(0, f.dim),
        grid(1),
        grid(2),
        grid(3),
        setups[0][0].tolerance,
        bounds,
        setups[0][0].seed,
        Call(given, dict(parameters)),
    )


def entries(given: Any, what: str) -> list[Any]:
    """Return a list of settings from one setting or several.

    Raises InputError if there is none."""
    if isinstance(given, (list, tuple, np.ndarray, range)) and not hasattr(given, "init"):
        several = list(given)
        if not several:
            raise InputError(f"The list of {what} is empty.")
        return several
    return [given]


def _own(optimizer: Any, parameters: dict[str, float]) -> dict[str, float]:
    """Return the parameters this optimizer has, so that several can be compared."""
    from descentlab.optimizers import BY_NAME

    row = BY_NAME.get(optimizer) if isinstance(optimizer, str) else None
    if row is None:
        return parameters
    return {p.name: parameters[p.name] for p in row.parameters if p.name in parameters}


def _check_used(parameters: dict[str, float], names: list[Any]) -> None:
    """Raise InputError for a parameter that none of the optimizers has."""
    for parameter in parameters:
        if not any(_own(name, {parameter: 0.0}) for name in names):
            raise InputError(f"None of the optimizers has a parameter '{parameter}'.")


def _as_points(start: Any, f: Objective) -> Any:
    """Return starts with an axis of coordinates: a plain list of numbers is many 1-D starts."""
    if f.dim == 1 and start is not None and not isinstance(start, (int, np.integer)):
        array = np.asarray(start, dtype=object)
        if array.ndim == 1:
            return array[:, None]
    return start


def _rate_axis(setups: list[Setup]) -> Any:
    rates = [setup.method.rate for setup in setups]
    if all(rate.kind == "fixed" for rate in rates):
        return np.array([rate.value for rate in rates])
    return tuple(rate.label for rate in rates)


def _run_grid(
    setups: list[list[Setup]], starts: Any, counts: list[int], progress: Progress | None
) -> list[list[tuple[Any, ...]]]:
    """Run the grid; return ends, values, outcomes and steps taken by optimizer and rate.

    Rates of one rule are rows of one batch, which all optimizers run in one compiled call; rates
    of another rule are another batch.
    """
    rules: dict[Any, list[int]] = {}
    for i, setup in enumerate(setups[0]):
        rules.setdefault(setup.method.rate.rule, []).append(i)
    found: list[dict[int, tuple[Any, ...]]] = [{} for _ in setups]
    size = len(starts) * len(counts)
    for members in rules.values():
        some = [[row[i] for i in members] for row in setups]
        work = [
            (
                row[0].method,
                Rows(
                    np.tile(np.repeat(starts, len(counts), axis=0), (len(members), 1)),
                    np.repeat([setup.base_rate for setup in row], size),
                    np.tile(np.array(counts), len(starts) * len(members)),
                ),
            )
            for row in some
        ]
        traces = [e.trace() for e in run_ends_of_many(work, some[0][0].tolerance, progress)]
        for which, (row, (_, rows), trace) in enumerate(zip(some, work, traces, strict=True)):
            outcomes = _outcomes(row[0], rows, trace)
            ends = trace.points[:, -1]
            values = row[0].method.objective.value(ends)
            for place, i in enumerate(members):
                cut = slice(place * size, (place + 1) * size)
                found[which][i] = (ends[cut], values[cut], outcomes[cut], trace.taken[cut])
    return [[of_optimizer[i] for i in range(len(setups[0]))] for of_optimizer in found]


def _outcomes(setup: Setup, rows: Rows, trace: Trace) -> NDArray[np.str_]:
    """Judge the rows, those of few steps by themselves: as a descent of so many steps would be."""
    tail = trace.rates.shape[1]
    lengths = np.minimum(rows.steps, tail)
    outcomes = np.empty(len(lengths), dtype="U12")
    for length in np.unique(lengths):
        mine = np.flatnonzero(lengths == length)
        part = Trace(
            trace.points[mine, : length + 1],
            trace.rates[mine, :length],
            trace.taken[mine],
        )
        some = Rows(rows.starts[mine], rows.rates[mine], rows.steps[mine])
        outcomes[mine] = judge(ending_of(setup, some, part)).outcomes
    return outcomes
