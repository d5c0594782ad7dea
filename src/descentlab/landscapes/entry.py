"""What the catalogue says of one landscape: formula, box, facts and the lesson it teaches.

A fact is a statement about one box, with where it comes from and how sure it is:

- ``proved``: a closed form, a convexity or counting argument, or a count marked as proved in the
  project's reference table of stationary points;
- ``measured``: counted by two searches that agree (a grid of Newton runs, and the winding number
  or a scan of each axis), which is not a proof;
- ``lower bound``: at least so many were found; there may be more;
- ``published``: stated in the literature, and not contradicted by our own searches.

Counts are of strict minima, strict maxima and non-degenerate saddle points with ∇f = 0 in the
open box. A boundary minimum is a point of the box's boundary lower than all nearby points of the
box. A minimum at a kink, where ∇f does not exist, is not among the counted minima; the source
sentence says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from descentlab.errors import InputError

PI = math.pi
REFERENCE_TABLE = "the project's reference table of stationary points"
TWENTY = "the project's table of twenty landscapes"

Box = tuple[tuple[float, float], ...]
Points = tuple[tuple[float, ...], ...]
Subject = Literal["lowest value", "global minimizers", "minima", "maxima", "saddles", "boundary minima"]
Status = Literal["proved", "measured", "lower bound", "published"]


@dataclass(frozen=True)
class Fact:
    """One known fact: of what (`subject`), its `value`, how sure (`status`) and from where (`source`).

    `value` is a number for the lowest value, a tuple of points for the global minimizers and a count
    otherwise. `domain` is the box the fact is about; None means the landscape's own box.
    """

    subject: Subject
    value: float | int | Points
    status: Status
    source: str
    domain: Box | None = None


@dataclass(frozen=True)
class Landscape:
    """One entry of the catalogue.

    name: canonical, lower case with hyphens; aliases: other names it answers to.
    formula: text as the lab reads it, in the variables `names`; domain: the default box, one
    (low, high) a variable. origin: who stated it. teaches: one sentence.
    dims: the allowed numbers of variables if this is a family, else None.
    view: which heights show it best, "linear", "log" or "rank".
    start, learning_rate, optimizer: a descent worth showing, where there is one.
    """

    name: str
    title: str
    formula: str
    names: tuple[str, ...]
    domain: Box
    teaches: str
    origin: str = ""
    aliases: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    view: Literal["linear", "log", "rank"] = "linear"
    start: tuple[float, ...] | None = None
    learning_rate: float | None = None
    optimizer: str = "gd"
    dims: tuple[int, int] | None = None
    family: Callable[[int], Landscape] | None = field(default=None, repr=False, compare=False)

    @property
    def dim(self) -> int:
        """The number of variables."""
        return len(self.names)

    def fact(self, subject: Subject, domain: Box | None = None) -> Fact | None:
        """Return the fact about `subject` in `domain` (None: the default box), if one is known."""
        where = None if domain == self.domain else domain
        return next((f for f in self.facts if f.subject == subject and f.domain == where), None)

    @property
    def lowest(self) -> float | None:
        """The lowest value of f in the default box, if known."""
        fact = self.fact("lowest value")
        return None if fact is None else float(fact.value)  # type: ignore[arg-type]

    @property
    def minimizers(self) -> Points:
        """All points of the default box where f is lowest; empty if unknown or not isolated."""
        fact = self.fact("global minimizers")
        return () if fact is None else fact.value  # type: ignore[return-value]

    def count(self, subject: Subject) -> int | None:
        """Return the settled count of `subject` in the default box, None if unknown or only a bound."""
        fact = self.fact(subject)
        return None if fact is None or fact.status == "lower bound" else fact.value  # type: ignore[return-value]

    def at(self, dim: int | None) -> Landscape:
        """Return the member of this family with `dim` variables; None is the default.

        Raises InputError for a landscape with a fixed number of variables, or out of range.
        """
        if dim is None:
            return self
        if isinstance(dim, bool) or not hasattr(dim, "__index__"):
            raise InputError(f"The dimension of a landscape is a whole number, not {dim!r}.")
        if dim == self.dim:
            return self
        if self.dims is None or self.family is None:
            raise InputError(
                f"The landscape '{self.name}' has {_variables(self.dim)}, not {dim}. "
                "Leave out the dimension, or choose a landscape that comes in any."
            )
        least, most = self.dims
        if not least <= dim <= most:
            raise InputError(f"The landscape '{self.name}' comes in {least} to {most} variables, not {dim}.")
        return self.family(int(dim))


def facts(
    *,
    status: Status,
    source: str,
    lowest: float | None = None,
    at: Sequence[Sequence[float]] | None = None,
    minima: int | None = None,
    maxima: int | None = None,
    saddles: int | None = None,
    boundary: int | None = None,
    domain: Box | None = None,
) -> tuple[Fact, ...]:
    """Return the facts given, all of one status and source."""
    points = None if at is None else tuple(tuple(float(c) for c in point) for point in at)
    stated: tuple[tuple[Subject, float | int | Points | None], ...] = (
        ("lowest value", lowest),
        ("global minimizers", points),
        ("minima", minima),
        ("maxima", maxima),
        ("saddles", saddles),
        ("boundary minima", boundary),
    )
    return tuple(Fact(what, value, status, source, domain) for what, value in stated if value is not None)


def family(least: int, most: int, default: int = 2) -> Callable[[Callable[[int], Landscape]], Landscape]:
    """Turn a function n → Landscape into the catalogue entry of a family, with `default` variables."""

    def decorate(build: Callable[[int], Landscape]) -> Landscape:
        def member(n: int) -> Landscape:
            return replace(build(n), dims=(least, most), family=member)

        return member(default)

    return decorate


def variables(n: int) -> tuple[str, ...]:
    """Return x; x, y; or x1 … xn."""
    return {1: ("x",), 2: ("x", "y")}.get(n, tuple(f"x{i}" for i in range(1, n + 1)))


def cube(low: float, high: float, n: int = 2) -> Box:
    """Return the box [low, high]ⁿ."""
    return ((low, high),) * n


def total(terms: Sequence[str]) -> str:
    """Join terms to a sum, reading '+ -' as '-'."""
    return " + ".join(terms).replace("+ -", "- ")


def counts_by_axis(
    n: int, minima: int, maxima: int, *, status: Status, source: str, domain: Box | None = None
) -> tuple[Fact, ...]:
    """Return the counts for a sum of n one-variable functions, each with those minima and maxima.

    A point is stationary if every coordinate is, a minimum if all are minima, a maximum if all
    are maxima, else a saddle.
    """
    low, high, every = minima**n, maxima**n, (minima + maxima) ** n
    saddles = every - low - high if n > 1 else 0
    return facts(status=status, source=source, minima=low, maxima=high, saddles=saddles, domain=domain)


def _variables(n: int) -> str:
    return "1 variable" if n == 1 else f"{n} variables"
