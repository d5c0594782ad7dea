"""How the boxes and the time of a proof grow with the number of variables."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import problems
from benchmarks.problems import Problem, fresh

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE = Path(__file__).parent.parent / "docs" / "proof-scaling.png"
VARIABLES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
LIMIT = 5.0  # seconds; the first proof that takes longer ends its curve
MEMBERS = 3  # of the mixtures: with more, or in 8 variables, a formula is longer than the lab reads
MOST_MIXED = 6
MIXTURE = "Gaussian mixture, cross terms"
FUNCTIONS = ("rastrigin", "styblinski-tang", "rosenbrock", MIXTURE)
VERBS = ("certify", "minimize")


@dataclass(frozen=True)
class Grown:
    """One proof: of which function, by which verb, with how many variables; what it took, and whether it was done."""

    name: str
    verb: str
    dim: int
    boxes: int
    seconds: float
    done: bool


def table(figure: Path | None = None, limit: float = LIMIT, variables: Sequence[int] = VARIABLES) -> str:
    """Let every proof grow until it takes longer than the limit; draw the figure if there is a place for it."""
    from descentlab.certify.certify import MOST_DIMENSIONS

    variables = [dim for dim in variables if dim <= MOST_DIMENSIONS]
    curves = [curve(name, verb, limit, variables) for name in FUNCTIONS for verb in VERBS]
    rows = [f"| function, proof | {' | '.join(map(str, variables))} |", "|---|" + "--:|" * len(variables)]
    for found in curves:
        cells = {g.dim: _cell(g) for g in found}
        rows.append(
            f"| {found[0].name}, {found[0].verb} | {' | '.join(cells.get(dim, '') for dim in variables)} |"
        )
    drawn = ""
    if figure is not None:
        draw(curves, figure, limit)
        drawn = f"\n\n![boxes and time against variables](../docs/{figure.name})"
    return (
        "## Boxes and seconds of proofs from one variable on\n\n"
        f"Boxes, seconds; > marks the first proof that was not finished within {limit:g} s, where the curve ends. "
        f"Rosenbrock's function needs 2 variables; the mixtures of {MEMBERS} are tried up to {MOST_MIXED}, "
        f"and nothing beyond {variables[-1]}.\n\n" + "\n".join(rows) + drawn
    )


def _cell(g: Grown) -> str:
    return f"{'' if g.done else '> '}{g.boxes:,}, {g.seconds:.2g} s"


def curve(name: str, verb: str, limit: float, variables: Sequence[int]) -> list[Grown]:
    """Prove with more and more variables, until a proof is not finished."""
    found: list[Grown] = []
    for dim in variables:
        if (name == "rosenbrock" and dim == 1) or (name == MIXTURE and dim > MOST_MIXED):
            continue
        found.append(grown(name, verb, dim, limit))
        if not found[-1].done:
            break
    return found


def problem_of(name: str, dim: int) -> Problem:
    return problems.mixture(dim, 1, MEMBERS) if name == MIXTURE else problems.family(name, dim)


def grown(name: str, verb: str, dim: int, limit: float) -> Grown:
    """Prove once, from fresh text.

    Of `minimize` the proof alone: where it is not finished a survey would follow, which is not what is asked about.
    """
    import descentlab as dl
    from descentlab.certify.certify import checked_limits, model_of
    from descentlab.certify.lowest import prove_lowest

    problem, stamp = problem_of(name, dim), f"g{VERBS.index(verb)}"
    began = time.perf_counter()
    f = fresh(problem, stamp)
    if verb == "certify":
        certificate = dl.certify(f, seconds=limit)
        boxes, done = certificate.boxes, all(r.reason != "limit" for r in certificate.undecided)
    else:
        found = prove_lowest(model_of(f), f.domain, checked_limits(5_000_000, limit))
        boxes, done = found.examined, found.lowest.proved
    return Grown(name, verb, dim, boxes, time.perf_counter() - began, done)


def draw(curves: Sequence[Sequence[Grown]], path: Path, limit: float) -> None:
    """Draw boxes and seconds against the number of variables; what was not finished is marked."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FixedLocator, NullLocator

    from descentlab.figures import style

    theme = style.theme_of("light")
    figure = style.new_figure(9.0, 4.2, theme)
    left, right = figure.subplots(1, 2)
    style.set_up(left, theme, "variables", "", "boxes examined")
    style.set_up(right, theme, "variables", "", "seconds, formula read afresh")
    for found in curves:
        _draw_curve(left, found, [g.boxes for g in found])
        _draw_curve(right, found, [min(g.seconds, limit) if not g.done else g.seconds for g in found])
    for axes in (left, right):
        axes.set_yscale("log")
    right.axhline(limit, color=style.GREY, linestyle=":", linewidth=1.0)
    right.set_ylim(top=2.5 * limit)
    shown = sorted({g.dim for found in curves for g in found})
    for axes in (left, right):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(shown))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
    handles = [Line2D([], [], color=_colour(name), linewidth=2.0, label=name) for name in FUNCTIONS]
    for label, look in (("certify: every stationary point", "o-"), ("minimize: the lowest value", "s--")):
        handles += left.plot([], [], look, color=theme.ink, markersize=4, label=label)
    handles.append(
        Line2D(
            [],
            [],
            color=theme.ink,
            linestyle="none",
            marker="X",
            markersize=8,
            label=f"not done in {limit:g} s",
        )
    )
    room = style.legend_above(left, theme, handles, columns=4)
    caption = [
        f"Each proof once, from fresh text, on the catalogue's boxes; the mixtures: {MEMBERS} members on [−3, 3]ⁿ",
        f"A cross: not finished after {limit:g} s, and nothing with more variables was tried",
        f"Limits: {shown[-1]} variables, for the mixtures {MOST_MIXED}",
    ]
    style.finish(figure, theme, "A proof's cost", caption, room=room)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path)


def _draw_curve(axes: Axes, found: Sequence[Grown], heights: Sequence[float]) -> None:
    dims = [g.dim for g in found]
    colour, certify = _colour(found[0].name), found[0].verb == "certify"
    axes.plot(dims, heights, "o-" if certify else "s--", color=colour, linewidth=1.4, markersize=4)
    if not found[-1].done:
        axes.plot(dims[-1:], heights[-1:], color=colour, marker="X", markersize=7, linestyle="none")


def _colour(name: str) -> str:
    from descentlab.figures import style

    return style.SERIES[FUNCTIONS.index(name)]
