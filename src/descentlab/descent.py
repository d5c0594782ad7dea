"""Descent and ascent: the loop of the course, for one start or many, with everything recorded.

x ← x − (learning rate) · ∇f(x), or what the optimizer makes of it
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.advice import Verdict, write_verdict
from descentlab.batch import run_ends
from descentlab.engine import TAIL, Rows, Trace, padded_rows, run_all
from descentlab.errors import InputError, unknown
from descentlab.loop import Method
from descentlab.objective import Objective
from descentlab.optimizers import ChosenOptimizer, choose
from descentlab.rates import LearningRate, auto_rate, check_rate, read_rate
from descentlab.reproduce import Call, command_line, python_lines
from descentlab.verdict import Ending, Judgement, judge

if TYPE_CHECKING:
    import optax
    from jaxtyping import Float, Int
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
BOUNDS = ("free", "clip", "stop")
MOST_STEPS = 100_000_000
# Records may take this share of the machine's memory.
MEMORY_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Descent:
    """What one call of `descend` or `ascend` did, start by start and step by step.

    points (start, step, dim), values (start, step), gradients (start, step, dim): step 0 is the
    start, and a start that ended early repeats its last point. learning_rates (start, step): the
    rate that led from step k to k + 1, NaN once ended. taken (start,): steps really taken.
    With record="ends" the steps recorded are only the first and the last.
    """

    objective: Objective
    ascent: bool
    optimizer: str
    learning_rate: str
    steps: int
    tolerance: float | None
    bounds: str
    seed: int
    points: Float[np.ndarray, "start step dim"]
    learning_rates: Float[np.ndarray, "start step"]
    taken: Int[np.ndarray, " start"]
    ending: Ending
    call: Call

    @functools.cached_property
    def judgement(self) -> Judgement:
        """How every start ended, as numbers: judged when first asked for."""
        return judge(self.ending)

    @functools.cached_property
    def values(self) -> Float[np.ndarray, "start step"]:
        """f at every recorded point."""
        return self.objective.value(self.points)

    @functools.cached_property
    def gradients(self) -> Float[np.ndarray, "start step dim"]:
        """∇f at every recorded point."""
        return self.objective.gradient(self.points)

    @property
    def starts(self) -> Float[np.ndarray, "start dim"]:
        """The points descent began at."""
        return self.points[:, 0]

    @property
    def ends(self) -> Float[np.ndarray, "start dim"]:
        """The points descent ended at."""
        return self.points[:, -1]

    @property
    def outcomes(self) -> NDArray[np.str_]:
        """One outcome a start, (start,)."""
        return self.judgement.outcomes

    @functools.cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict a start: outcome, evidence, sentence, advice."""
        return tuple(write_verdict(self.judgement, i) for i in range(len(self.points)))

    @property
    def command(self) -> str:
        """The shell command that does the same, or "" if there is none (a Python function)."""
        return command_line("ascend" if self.ascent else "descend", self.objective, self.call)

    @property
    def python(self) -> str:
        """The Python lines that do the same."""
        return python_lines("ascend" if self.ascent else "descend", self.objective, self.call)

    def plot(self, kind: str | None = None) -> Figure:
        """Draw the descent on its landscape; see `figures.draw_descent` for the kinds."""
        from descentlab.figures import draw_descent

        return draw_descent(self, kind)

    def _repr_html_(self) -> str:
        from descentlab.figures import figure_html

        words = "".join(f"<p><b>{v.outcome}</b>. {v.sentence} {v.advice}</p>" for v in self.verdicts[:5])
        more = f"<p>… and {len(self.points) - 5} more starts</p>" if len(self.points) > 5 else ""
        return figure_html(self.plot()) + words + more


def descend(
    f: Objective,
    start: ArrayLike | int | None = None,
    optimizer: str | optax.GradientTransformation = "gd",
    learning_rate: float | str | Callable[[Any], Any] | LearningRate = 0.01,
    steps: int = 1000,
    tolerance: float | None = None,
    bounds: str = "free",
    seed: int = 0,
    record: str = "all",
    precision: str = "float64",
    **parameters: float,
) -> Descent:
    """Descend from one start or many, record every step, and say how each descent ended.

    start: a point (dim,), several (start, dim), a number of random starts, or None for one
    random start, uniform in the box. optimizer: a name (see `optimizers()`) with its
    `parameters`, or an optax.GradientTransformation. learning_rate: a number; "time:η",
    "gradient:η", "cosine:η", "exponential:η:decay"; a function of the step such as an optax
    schedule; or "auto" (see `rates.auto_rate`). It multiplies the update of an optax
    transformation passed in, so give 1 there to leave that alone. steps: how many at most.
    tolerance: stop once |∇f| is no larger (under bounds="clip", once the projected gradient
    is). bounds: "free"; "clip" projects each point onto the box; "stop" ends a descent that
    leaves it. record: "all" steps, or only the "ends" (for very many starts). precision:
    "float64" or "float32".

    Raises InputError for input that cannot be used, and before starting if recording would
    take more than half the memory.

    >>> from descentlab.objective import formula
    >>> run = descend(formula("3x^2 - 3x + 4"), start=[2.0], learning_rate=0.1, steps=100)
    >>> run.verdicts[0].outcome, float(run.ends[0, 0].round(6))
    ('minimum', 0.5)
    """
    return _go(
        f,
        start,
        optimizer,
        learning_rate,
        steps,
        tolerance,
        bounds,
        seed,
        record,
        precision,
        parameters,
        ascent=False,
    )


def ascend(
    f: Objective,
    start: ArrayLike | int | None = None,
    optimizer: str | optax.GradientTransformation = "gd",
    learning_rate: float | str | Callable[[Any], Any] | LearningRate = 0.01,
    steps: int = 1000,
    tolerance: float | None = None,
    bounds: str = "free",
    seed: int = 0,
    record: str = "all",
    precision: str = "float64",
    **parameters: float,
) -> Descent:
    """Ascend: as `descend`, with the gradient's sign flipped before the optimizer sees it.

    `ascend(f)` takes exactly the steps of `descend(-f)`, to the bit; values and gradients
    recorded are those of f.
    """
    return _go(
        f,
        start,
        optimizer,
        learning_rate,
        steps,
        tolerance,
        bounds,
        seed,
        record,
        precision,
        parameters,
        ascent=True,
    )


def _go(
    f: Objective,
    start: Any,
    optimizer: Any,
    learning_rate: Any,
    steps: int,
    tolerance: float | None,
    bounds: str,
    seed: int,
    record: str,
    precision: str,
    parameters: dict[str, float],
    ascent: bool,
) -> Descent:
    setup = prepare(
        f, optimizer, learning_rate, steps, tolerance, bounds, seed, precision, parameters, ascent
    )
    if record not in ("all", "ends"):
        raise unknown("record", str(record), ("all", "ends"))
    kept = setup.steps if record == "all" else TAIL
    if isinstance(start, (int, np.integer)):  # before so many are drawn
        check_memory(max(int(start), 1), kept, f.dim)
    starts = read_starts(start, f, setup.seed)
    check_memory(len(starts), kept, f.dim)
    rows = Rows(starts, np.full(len(starts), setup.base_rate), np.full(len(starts), setup.steps))
    run = setup.method, rows, setup.tolerance
    trace = run_all(*run) if record == "all" else run_ends(*run).trace()
    given = {
        "start": start,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "steps": steps,
        "tolerance": tolerance,
        "bounds": bounds,
        "seed": seed,
        "record": record,
        "precision": precision,
    }
    return Descent(
        f,
        ascent,
        setup.method.optimizer.label,
        setup.method.rate.label,
        setup.steps,
        setup.tolerance,
        bounds,
        setup.seed,
        np.stack([starts, trace.points[:, -1]], axis=1) if record == "ends" else trace.points,
        trace.rates[:, -1:] if record == "ends" else trace.rates,
        trace.taken,
        ending_of(setup, rows, trace),
        Call(given, dict(parameters)),
    )


@dataclass(frozen=True)
class Setup:
    """Checked settings, shared by descents, sweeps and surveys."""

    method: Method
    base_rate: float
    steps: int
    tolerance: float | None
    seed: int


def prepare(
    f: Objective,
    optimizer: Any,
    learning_rate: Any,
    steps: Any,
    tolerance: Any,
    bounds: str,
    seed: Any,
    precision: str,
    parameters: dict[str, float],
    ascent: bool,
) -> Setup:
    """Check the settings and settle the optimizer, the rate and the method."""
    if not isinstance(f, Objective):
        raise InputError(
            f"The first argument is an objective, made by dl.formula, dl.function or dl.landscape; "
            f"got {type(f).__name__}."
        )
    if bounds not in BOUNDS:
        raise unknown("bounds", str(bounds), BOUNDS)
    if precision not in ("float64", "float32"):
        raise unknown("precision", str(precision), ("float64", "float32"))
    chosen: ChosenOptimizer = choose(optimizer, parameters)
    rate = check_rate(read_rate(learning_rate), chosen)
    limit = _tolerance(tolerance)
    count = whole_number(steps, "number of steps", 1, MOST_STEPS)
    number = whole_number(seed, "seed", 0, 2**63 - 1)
    base = auto_rate(f, chosen) if rate.kind == "auto" else rate.value
    method = Method(f, chosen, rate, bounds, ascent, limit is not None, precision)
    return Setup(method, base, count, limit, number)


def ending_of(setup: Setup, rows: Rows, trace: Trace) -> Ending:
    """Return what a verdict needs of a trace: the last steps of each row."""
    method = setup.method
    points, rates = trace.points, trace.rates
    if rates.shape[1] > TAIL:
        # A row that ended early repeats its last point; its last steps are those before that.
        last = trace.taken[:, None] + np.arange(-TAIL, 1)
        # Rows shorter than the tail begin with the start itself, repeated.
        here = np.arange(len(points))[:, None]
        last = np.maximum(last, 0)
        points, rates = points[here, last], rates[here, last[:, :-1]]
    return Ending(
        method.objective,
        method.optimizer,
        method.ascent,
        method.bounds,
        setup.tolerance,
        rows.starts,
        rows.rates,
        rows.steps,
        trace.taken,
        points,
        rates,
    )


def read_starts(start: Any, f: Objective, seed: int) -> Array:
    """Return the starts as an array (start, dim), drawing random ones where asked.

    Start i of a seed is the same however many are drawn.
    """
    if start is None:
        start = 1
    if isinstance(start, (int, np.integer)) and not isinstance(start, bool):
        return random_starts(f, whole_number(start, "number of starts", 1, 100_000_000), seed)
    try:
        points = np.array(start, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"A start is {f.dim} numbers ({', '.join(f.names)}); got {start!r}.") from None
    points = np.atleast_1d(points)
    if points.ndim == 1:
        points = points[None]
    if points.ndim != 2 or points.shape[1] != f.dim or not len(points):
        raise InputError(
            f"A start needs {f.dim} coordinate{'s' if f.dim > 1 else ''} ({', '.join(f.names)}), "
            f"but the one given has shape {np.shape(start)}."
        )
    if not np.isfinite(points).all():
        raise InputError(f"Every coordinate of a start must be a finite number; got {points.tolist()[:3]}.")
    return points


def random_starts(f: Objective, count: int, seed: int) -> Array:
    """Return `count` independent uniform points of the box, (count, dim); point i depends on
    the seed and i alone."""
    generator = np.random.Generator(np.random.Philox(key=seed))
    low, high = f.domain.T
    return np.asarray(low + (high - low) * generator.random((count, f.dim)))


def whole_number(given: Any, what: str, low: int, high: int) -> int:
    """Return `given` as an int within [low, high], or raise InputError."""
    try:
        number = int(given)
        if number != given:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"The {what} must be a whole number, but it is {given!r}.") from None
    if not low <= number <= high:
        raise InputError(f"The {what} must be between {low:,} and {high:,}, but it is {number:,}.")
    return number


def _tolerance(given: Any) -> float | None:
    if given is None:
        return None
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = -1.0
    if not (np.isfinite(number) and number >= 0):
        raise InputError(f"The tolerance is a gradient norm, zero or positive; got {given!r}.")
    return number


def check_memory(starts: int, steps: int, dim: int) -> None:
    """Raise InputError before a recording that would not fit."""
    # Padded rows twice, as JAX records them (steps padded too, by up to a third) and put in order,
    # and the rows asked for twice, with the rates and one temporary.
    needed = (2.67 * padded_rows(starts) + 2 * starts) * (steps + 1) * (dim + 1) * 8
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE
    if needed > free:
        raise InputError(
            f"Recording {steps:,} steps of {starts:,} starts takes about {needed / 2**30:,.1f} GiB, and "
            f"{free / 2**30:,.1f} GiB may be used. Take fewer steps or starts, or record='ends'."
        )
