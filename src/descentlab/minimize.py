"""`minimize` and `maximize`: the best point of a box, proved where the formula allows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.certify.certify import MOST_DIMENSIONS, checked_limits, model_of
from descentlab.certify.lowest import Bounded, prove_lowest
from descentlab.certify.result import LowestValue
from descentlab.certify.search import Progress
from descentlab.errors import InputError, WorkError
from descentlab.objective import FormulaObjective, Objective
from descentlab.objective.box import make_box
from descentlab.reproduce import Call, command_line, python_lines
from descentlab.survey import Survey, statistics, survey

if TYPE_CHECKING:
    from jaxtyping import Float

    Point = Float[np.ndarray, "dim"]
    Points = Float[np.ndarray, "point dim"]

_DEFAULTS = {"bounds": None, "starts": None, "boxes": 5_000_000, "seconds": 10.0, "seed": 0}
# Starts of a survey where nothing is proved, and of SciPy's optimizer for a Python function.
SURVEYED, LOCAL = 1000, 64
# What a Python function may be called with as in SciPy, beside x0, args, method, jac and bounds.
SCIPY = ("hess", "hessp", "constraints", "tol", "callback", "options")
# Ends of SciPy's L-BFGS-B with numerical slopes are the same minimum within this share of the box's sides.
SAME_END = 1e-4
# Values this share of their size apart are equally good, where slopes are numerical.
SAME_VALUE = 1e-7


@dataclass(frozen=True, eq=False)
class Minimization:
    """The lowest point found, in SciPy's words, and what is known of it.

    x (dim,): the point; fun: f there; success: whether a point was found at which f is finite; why: why nothing
    was proved; nit: boxes examined by the proof, or descents; proved: whether no point of the closed box is
    lower than `fun_interval`, which holds the lowest value (None where nothing was proved); minimizers (point,
    dim): every point that may be the lowest – the middles of certified boxes, and of regions left undecided;
    certificate: the proof; survey: the statistics in its place. Of a maximization, `certificate` speaks of −f.
    """

    x: Point
    fun: float
    success: bool
    why: str
    nit: int
    proved: bool
    fun_interval: tuple[float, float] | None
    minimizers: Points
    certificate: LowestValue | None
    survey: Survey | None
    objective: Objective | None
    call: Call
    maximized: bool = False

    @property
    def message(self) -> str:
        """What is known, in words."""
        extreme = "highest" if self.maximized else "lowest"
        if not self.success:
            return f"There is no {extreme} value: {self.why}."
        between = f"the {extreme} value in the box lies in [{{:.15g}}, {{:.15g}}]"
        interval = between.format(*self.fun_interval) if self.fun_interval else ""
        if self.proved:
            assert self.certificate is not None
            count, regions = len(self.minimizers), len(self.certificate.regions)
            one, many = (
                ("in one region", "in {} regions")
                if regions
                else ("at one point", "at one or more of {} points")
            )
            return f"Proved: {interval}, attained {one if count == 1 else many.format(count)}."
        said = f"Not proved: {self.why}{'; ' + interval if interval else ''}."
        return f"{said} {self.survey.seriousness}".rstrip() if self.survey else said

    def negated(self, f: Objective | None) -> Minimization:
        """Return this minimization of −f as a maximization of f."""
        interval = self.fun_interval and (-self.fun_interval[1], -self.fun_interval[0])
        if f is not None and self.objective is not None:
            f = replace(f, domain=self.objective.domain)
        return replace(self, fun=-self.fun, fun_interval=interval, objective=f, maximized=True)

    @property
    def maximizers(self) -> Points:
        """The points that may be the highest, of a maximization."""
        return self.minimizers

    @property
    def command(self) -> str:
        """The shell command that does the same, or "" if there is none."""
        return command_line(self._verb, self.objective, self.call) if self.objective else ""

    @property
    def python(self) -> str:
        """The Python lines that do the same, or "" for a Python function."""
        return python_lines(self._verb, self.objective, self.call) if self.objective else ""

    @property
    def _verb(self) -> str:
        return "maximize" if self.maximized else "minimize"

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name, as SciPy's results do."""
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)

    def keys(self) -> tuple[str, ...]:
        """The names of the fields, as SciPy's results have them."""
        return ("x", "fun", "success", "message", "nit", "proved", "fun_interval", "minimizers")

    def __repr__(self) -> str:
        width = max(map(len, self.keys()))
        return "\n".join(f"{name:>{width}}: {self[name]}" for name in self.keys())


def minimize(
    fun: Objective | Callable[..., float],
    x0: ArrayLike | None = None,
    args: tuple[Any, ...] = (),
    method: str | None = None,
    jac: Callable[..., ArrayLike] | bool | None = None,
    bounds: Any = None,
    starts: int | None = None,
    boxes: int = 5_000_000,
    seconds: float = 10.0,
    seed: int = 0,
    progress: Progress | None = None,
    **scipy: Any,
) -> Minimization:
    """Find the lowest point of a closed box, and prove that it is where that is possible.

    fun: a formula (`dl.formula`, `dl.landscape`): the best of many Newton descents is followed by
    branch-and-bound in interval arithmetic, for at most `boxes` boxes and `seconds`; up to 30 variables. Where
    the proof does not finish, and for objectives without a formula, a survey of `starts` starts (1000) says how sure
    one may be instead. bounds: a box in place of the objective's own, as pairs or as SciPy's `Bounds`.

    A plain Python function fun(x, *args) → float with `bounds`, and x0, method, jac and more if at hand, is taken as
    `scipy.optimize.minimize` takes it: SciPy's L-BFGS-B from x0 and from `starts` random starts (64).
    Nothing can be proved about it, and the message says so.

    Raises InputError for input that cannot be used, WorkError if f is finite at no point tried.

    >>> import descentlab as dl
    >>> best = dl.minimize(dl.formula("cos(2*pi*x) + x**2", domain={"x": (-2, 2)}))
    >>> best.proved, len(best.minimizers), round(best.fun, 9)
    (True, 2, -0.762076545)
    """
    settings = {"bounds": None, "starts": starts, "boxes": boxes, "seconds": seconds, "seed": seed}
    call = Call(settings, defaults=_DEFAULTS)
    limits = checked_limits(boxes, seconds)
    if starts is not None and not (isinstance(starts, (int, np.integer)) and starts >= 1):
        raise InputError(f"minimize takes a whole number of starts from 1 on, but got {starts!r}.")
    if not isinstance(fun, Objective):
        given = {"args": args, "jac": jac, "method": method or _method(scipy), **_checked(scipy)}
        return _of_function(fun, x0, bounds, starts, seed, call, given)
    if x0 is not None or args or method is not None or jac is not None or scipy:
        raise InputError(
            "x0, args, method, jac and SciPy's other settings go with a plain Python function; "
            "an objective needs none of them."
        )
    f = fun if bounds is None else replace(fun, domain=_box(bounds, fun.names))
    found = None
    if isinstance(f, FormulaObjective) and f.dim <= MOST_DIMENSIONS:
        found = prove_lowest(model_of(f), f.domain, limits, seed, progress)
        if found.lowest.proved:
            return _proved(f, found, call)
    return _surveyed(f, found, starts, seed, call)


def maximize(fun: Objective | Callable[..., float], *args: Any, **settings: Any) -> Minimization:
    """Find the highest point of a closed box, and prove that it is where that is possible: `minimize` of −f.

    Takes what `minimize` takes; `fun`, `fun_interval` and `message` are of f itself.

    >>> import descentlab as dl
    >>> dl.maximize(dl.formula("x*(1 - x)", domain={"x": (0, 1)})).fun
    0.25
    """
    if isinstance(fun, Objective):
        return minimize(-fun, *args, **settings).negated(fun)
    for name in ("jac", "hess", "hessp"):
        slope = settings.get(name)
        if callable(slope):
            settings[name] = _negative(slope)
    if settings.get("jac") is True:  # fun returns f and its gradient
        both: Any = _negative_pair(fun)
        return minimize(both, *args, **settings).negated(None)
    return minimize(_negative(fun), *args, **settings).negated(None)


def _negative(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: -np.asarray(f(*args))


def _negative_pair(f: Any) -> Callable[..., Any]:
    return lambda *args: [-np.asarray(u) for u in f(*args)]


def _proved(f: FormulaObjective, found: Bounded, call: Call) -> Minimization:
    lowest = found.lowest
    minimizers = _minimizers(lowest)
    x = _best(f, [*minimizers] if len(lowest.minimizers) else [found.hunted, *minimizers])
    # f as computed may err by more than the interval is wide.
    fun = float(np.clip(f.value(x), *lowest.interval))
    return Minimization(
        x, fun, True, "", found.examined, True, lowest.interval, minimizers, lowest, None, f, call
    )


def _minimizers(lowest: LowestValue) -> NDArray[np.float64]:
    return np.stack([p.point for p in lowest.minimizers] + [r.point for r in lowest.regions])


def _best(f: Objective, points: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    candidates = np.stack(points)
    values = f.value(candidates)
    return np.asarray(candidates[int(np.argmin(np.where(np.isnan(values), np.inf, values)))])


def _surveyed(f: Objective, found: Bounded | None, starts: int | None, seed: int, call: Call) -> Minimization:
    """Answer with a survey's statistics where nothing was proved."""
    s = survey(f, starts=SURVEYED if starts is None else starts, seed=seed)
    candidates = [m.point for m in s.minima if m.kind != "flat"][:1] + [m.point for m in s.minima[:1]]
    candidates += [found.hunted] if found is not None else []
    if s.lower is not None:
        candidates.append(s.lower[1])
    if not candidates:
        raise WorkError(
            f"No start of {starts:,} reached a minimum of {f.label}, and nothing was proved. {s.sentence}"
        )
    x = _best(f, candidates)
    fun = float(f.value(x))
    if np.isnan(fun) or fun == np.inf:
        raise WorkError(f"f is finite at no point that was tried of {f.label}.")
    if fun == -np.inf:
        why = "f is infinite there"
        return Minimization(x, fun, False, why, s.starts_count, False, None, x[None], None, s, f, call)
    if not isinstance(f, FormulaObjective):
        why = "a Python function has no formula"
    elif found is None:
        why = f"a proof takes at most {MOST_DIMENSIONS} variables"
    else:
        why = f"the proof was not finished after {found.examined:,} boxes"
    interval = (
        found.lowest.interval if found is not None and np.isfinite(found.lowest.interval).all() else None
    )
    minimizers = np.stack([m.point for m in (s.minima[i] for i in s.best_ones)]) if s.minima else x[None]
    if not s.minima or fun < s.minima[0].value - s.same_value:
        minimizers = x[None]
    certificate = found.lowest if found is not None else None
    return Minimization(
        x, fun, True, why, s.starts_count, False, interval, minimizers, certificate, s, f, call
    )


def _box(bounds: Any, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return bounds given as pairs, or as SciPy's `Bounds`, as a checked box (dim, 2)."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        bounds = list(zip(np.atleast_1d(bounds.lb), np.atleast_1d(bounds.ub), strict=True))
    return make_box(bounds, names)[0]


def _method(scipy: dict[str, Any]) -> str:
    return "SLSQP" if scipy.get("constraints") else "L-BFGS-B"


def _checked(scipy: dict[str, Any]) -> dict[str, Any]:
    for name in scipy:
        if name not in SCIPY:
            raise InputError(f"minimize has no setting {name!r}; SciPy's are {', '.join(SCIPY)}.")
    return scipy


def _of_function(
    fun: Callable[..., float],
    x0: ArrayLike | None,
    bounds: Any,
    starts: int | None,
    seed: int,
    call: Call,
    given: dict[str, Any],
) -> Minimization:
    """Minimize a Python function from many starts by SciPy's local optimizer; given: what it is called with."""
    from scipy import optimize

    if not callable(fun):
        raise InputError(f"minimize takes a formula, an objective or a Python function; got {fun!r:.60}.")
    if bounds is None:
        raise InputError(
            "A Python function needs bounds, a pair of numbers for each variable: bounds=[(-2, 2), …]."
        )
    dim = len(np.atleast_1d(bounds.lb)) if hasattr(bounds, "lb") else len(bounds)
    box = _box(bounds, tuple(f"x{i + 1}" for i in range(dim)))
    low, high = box.T
    method = given["method"]
    count = LOCAL if starts is None else starts
    drawn = low + (high - low) * np.random.Generator(np.random.Philox(seed)).random((count, dim))
    ends, values = [], []
    own = [] if x0 is None else [np.clip(np.asarray(x0, dtype=np.float64).reshape(dim), low, high)]
    for start in (*own, *drawn):
        end = optimize.minimize(fun, start, bounds=box, **given)
        ends.append(end.x)
        values.append(float(end.fun))
    found = np.where(np.isfinite(values), values, np.inf)
    best = int(np.argmin(found))
    if not np.isfinite(found[best]):
        raise WorkError(f"The function is finite at none of the {count} ends of {method} in the box.")
    x, value = ends[best], float(found[best])
    size = max(abs(value), float(np.median(found[np.isfinite(found)]) - value))
    alike = found <= value + SAME_VALUE * size
    hits = int(alike[len(own) :].sum())
    share, (least, most) = hits / count, statistics.wilson(hits, count)
    why = (
        f"a Python function has no formula. {hits} of {count} random starts of {method} ended at this value "
        f"({share:.0%}; 95 % interval {least:.0%} to {most:.0%}), the others at worse ones"
    )
    minimizers = _apart(np.array(ends)[alike], high - low)
    return Minimization(x, value, True, why, len(ends), False, None, minimizers, None, None, None, call)


def _apart(points: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one of each group of points that are the same minimum."""
    from descentlab.stationary import merge

    _, first = np.unique(merge(points, widths, SAME_END), return_index=True)
    return points[np.sort(first)]
