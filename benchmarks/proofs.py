"""Proofs beside SciPy's global optimizers, and how far they go: counts, digits, and what is out of reach.

Every formula is read afresh for every timing: reading, differentiating, hunting and proving all count.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import problems
from benchmarks.plain import Known, close, twenty
from benchmarks.problems import Counted, Problem, fresh

if TYPE_CHECKING:
    from descentlab.certify.result import Certificate

RIGHT, PROVED = 20, 18  # aims
DEEP_DIGITS = 12
LIMIT = 5.0  # seconds for one proof among the hard ones
# Two programs of one formula round differently.
SAME = 1e-12


@dataclass(frozen=True)
class Try:
    """What a way made of a landscape: seconds, the lowest value it returned, and whether it was proved."""

    seconds: float
    value: float
    proved: bool = False


Way = Callable[[Known, int], tuple[float, bool]]


def against_scipy(rounds: int) -> str:
    """Compare `minimize` with SciPy's global optimizers on the twenty landscapes."""
    known = twenty()
    for k in known:
        check_plain(k)
    tries = time_rounds(known, ways(), rounds)
    peers = list(tries[0])[2:]
    head = "| landscape | ms | proved | right |" + "".join(f" {p}, ms | right |" for p in peers)
    rows = [head, "|---|--:|--:|--:|" + "--:|--:|" * len(peers)]
    rows += [_row(k, of) for k, of in zip(known, tries, strict=True)]
    medians = {way: statistics.median(_median(of[way]) for of in tries) for way in tries[0]}
    totals = {
        way: sum(_right(k, of[way]) == rounds for k, of in zip(known, tries, strict=True)) for way in medians
    }
    proved = sum(all(t.proved for t in of[OURS]) for of in tries)
    sides = "".join(f" {medians[p] * 1e3:,.3g} | {totals[p]} |" for p in peers)
    rows.append(f"| median; landscapes | {medians[OURS] * 1e3:,.3g} | {proved} | {totals[OURS]} |{sides}")
    shares = ", ".join(f"{medians[OURS] / medians[p]:.2g} of {p}'s" for p in peers)
    again = statistics.median(_ratio(of[AGAIN], of[OURS]) for of in tries)
    return (
        "## The lowest point of twenty landscapes: `minimize` and SciPy\n\n"
        f"SciPy {version('scipy')}. Medians of {rounds} rounds, in each of which the ways take turns; a landscape "
        "counts as right or proved if it is in all rounds.\n\n" + "\n".join(rows) + "\n\n"
        f"- Right on {totals[OURS]} (aim {RIGHT}), proved on {proved} (aim {PROVED}); "
        f"the median time is {shares} (aim: below 1).\n"
        f"- The same text once more takes {again:.2f} of the time."
    )


OURS, AGAIN = "descentlab", "the same text again"


def ways() -> dict[str, Way]:
    """Return the ways to the lowest point, ours first; SciPy's with its defaults."""
    from scipy import optimize

    import descentlab as dl

    def ours(k: Known, number: int) -> tuple[float, bool]:
        best = dl.minimize(fresh(Problem(k.name, k.formula, k.names, k.bounds), f"m{number}"))
        return best.fun, best.proved

    def scipys(run: Callable[..., Any], **settings: Any) -> Way:
        def way(k: Known, number: int) -> tuple[float, bool]:
            seed = {"rng": number} if run is not optimize.shgo else {}
            value = run(k.plain, k.bounds, **settings, **seed).fun
            return (math.nan if value is None else float(value)), False

        return way

    return {
        OURS: ours,
        AGAIN: ours,
        "differential_evolution": scipys(optimize.differential_evolution),
        "dual_annealing": scipys(optimize.dual_annealing),
        "shgo": scipys(optimize.shgo, n=256, sampling_method="sobol"),
    }


def check_plain(known: Known) -> None:
    """Raise SystemExit if the plain function is another one than the formula."""
    f = fresh(Problem(known.name, known.formula, known.names, known.bounds), "check")
    low, high = f.domain.T
    points = low + (high - low) * np.random.default_rng(1).random((100, f.dim))
    theirs, ours = np.array([known.plain(p) for p in points]), f.value(points)
    apart = float(np.max(np.abs(theirs - ours) / (1 + np.abs(ours))))
    if not apart <= SAME:
        sys.exit(
            f"{known.name}: the plain function and the formula differ by {apart:.1e}. Nothing was timed."
        )


def time_rounds(known: Sequence[Known], ways: dict[str, Way], rounds: int) -> list[dict[str, list[Try]]]:
    """Return what each way made of each landscape in each round."""
    for way in ways.values():  # imports
        way(known[0], 0)
    tries: list[dict[str, list[Try]]] = [{way: [] for way in ways} for _ in known]
    for number in range(1, rounds + 1):
        for k, of in zip(known, tries, strict=True):
            for name, way in ways.items():
                began = time.perf_counter()
                value, proved = way(k, number)
                of[name].append(Try(time.perf_counter() - began, value, proved))
    return tries


def _row(k: Known, of: dict[str, list[Try]]) -> str:
    rounds = len(of[OURS])

    def all_of(count: int) -> str:
        return "yes" if count == rounds else f"{count} of {rounds}" if count else "no"

    proved = all_of(sum(t.proved for t in of[OURS]))
    cells = [k.name, f"{_median(of[OURS]) * 1e3:,.3g}", proved, all_of(_right(k, of[OURS]))]
    for peer in list(of)[2:]:
        cells += [f"{_median(of[peer]) * 1e3:,.3g}", all_of(_right(k, of[peer]))]
    return f"| {' | '.join(cells)} |"


def _median(tries: Sequence[Try]) -> float:
    return statistics.median(t.seconds for t in tries)


def _right(k: Known, tries: Sequence[Try]) -> int:
    return sum(close(t.value, k.lowest) for t in tries)


def _ratio(some: Sequence[Try], others: Sequence[Try]) -> float:
    return statistics.median(a.seconds / b.seconds for a, b in zip(some, others, strict=True))


def counts(rounds: int) -> str:
    """Certify the problems whose stationary points are known; say what was found and how long it took."""
    import descentlab as dl

    rows = [
        "| formula | box | known | found | undecided | as known | boxes | seconds | aim |",
        "|---|---|--:|--:|--:|---|--:|--:|--:|",
    ]
    for c in problems.counted():
        seconds = []
        for number in range(rounds):
            began = time.perf_counter()
            certificate = dl.certify(fresh(c.problem, f"c{number}"))
            seconds.append(time.perf_counter() - began)
        found = f"{counts_in_words(tuple(certificate.counts.values()))}{_edges(edge_minima(certificate))}"
        known = f"{counts_in_words(c.counts)}{_edges(c.edges)}"
        wrong = disagreement(c, certificate)
        rows.append(
            f"| {c.problem.name} | {c.problem.box} | {known} | {found} | {len(certificate.undecided)} "
            f"| {wrong or 'yes'} | {certificate.boxes:,} | {statistics.median(seconds):.2g} | {c.aim or ''} |"
        )
    return (
        "## Every stationary point: `certify` and what is known\n\n"
        f"Stationary points inside (minima/maxima/saddles), + minima on the boundary. Medians of {rounds} rounds. "
        "Lowest values and the number of points that attain them are compared too, where they are known.\n\n"
        + "\n".join(rows)
    )


def disagreement(c: Counted, certificate: Certificate) -> str:
    """Say in what a certificate differs from what is known, or "" if it does not."""
    wrong = []
    if tuple(certificate.counts.values()) != c.counts:
        wrong.append("counts")
    if c.edges is not None and edge_minima(certificate) != c.edges:
        wrong.append("boundary")
    if len(certificate.undecided) != c.open:
        wrong.append("undecided")
    if c.lowest is not None:
        unit = 10.0 ** -len(c.lowest.partition(".")[2])
        low, high = certificate.lowest.interval
        if not (certificate.lowest.proved and low - unit <= float(c.lowest) <= high + unit):
            wrong.append("lowest value")
    if c.ways is not None and len(certificate.lowest.minimizers) != c.ways:
        wrong.append("lowest points")
    return f"no: {', '.join(wrong)}" if wrong else ""


def edge_minima(certificate: Certificate) -> int:
    return sum(p.kind == "minimum" for p in certificate.boundary)


def counts_in_words(counts: tuple[int, ...]) -> str:
    return f"{sum(counts)} ({'/'.join(map(str, counts))})"


def _edges(count: int | None) -> str:
    return "" if count is None else f" + {count}"


def deep(rounds: int) -> str:
    """Prove Trefethen's and Easom's lowest values; count the digits."""
    import descentlab as dl

    rows = [
        "| function | box | lowest value | known | digits proved | aim | boxes | seconds |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    easom = Problem("Easom", problems.family("easom", 2).formula, ("x", "y"), ((-100.0, 100.0),) * 2)
    known = {problems.trefethen(side): -3.306868647475237 for side in (1, 10)} | {easom: -1.0}
    for problem, value in known.items():
        seconds = []
        for number in range(rounds):
            began = time.perf_counter()
            best = dl.minimize(fresh(problem, f"d{number}"))
            seconds.append(time.perf_counter() - began)
        low, high = best.fun_interval or (-math.inf, math.inf)
        # The value known may be rounded in its last digit.
        inside = low - 1e-15 * abs(value) <= value <= high + 1e-15 * abs(value)
        rows.append(
            f"| {problem.name} | {problem.box} | [{low:.15f}, {high:.15f}] | {value}{'' if inside else ' (outside)'} "
            f"| {digits(low, high) if best.proved else 'not proved'} | {DEEP_DIGITS} | {best.nit:,} "
            f"| {statistics.median(seconds):.2g} |"
        )
    return "## Digits of the lowest value: `minimize`\n\n" + "\n".join(rows)


def digits(low: float, high: float) -> int:
    """Return to how many digits an interval fixes a value: ⌊−log₁₀ of its relative width⌋, at most 16."""
    size = max(abs(low), abs(high))
    return 16 if high == low else max(0, min(16, math.floor(-math.log10((high - low) / size))))


def hard(limit: float = LIMIT) -> str:
    """Try what is coupled, nasty and wide, once each: what is proved, what is not, and the words in that case."""
    rows = [
        "| function | box | lowest value | proved | boxes | seconds "
        "| stationary points inside | undecided | boxes | seconds |",
        "|---|---|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    tried = [
        *(problems.mixture(4, seed) for seed in (1, 2, 3)),
        problems.mixture(5, 1),
        problems.mixture(6, 1, 3),
    ]
    tried += [problems.hartmann(3), problems.hartmann(6), *(problems.shekel(m) for m in (5, 7, 10))]
    messages = []
    for problem in tried:
        row, said = _tried(problem, limit)
        rows.append(row)
        messages += [f"- {problem.name}: {words}" for words in said]
    last = "What they say that is not proved or undecided:\n\n" + "\n".join(messages) if messages else ""
    return (
        f"## Coupled, nasty and wide: `minimize`, then `certify`, each within {limit:g} s\n\n"
        "The mixtures have five members (in 6-D three) with cross terms between all variables.\n\n"
        + "\n".join(rows)
        + f"\n\n{last}"
    ).rstrip()


def _tried(problem: Problem, limit: float) -> tuple[str, list[str]]:
    """Return a problem's row, and the messages of proofs that were not finished."""
    import descentlab as dl

    seen = [0]

    def progress(examined: int, *_: int) -> None:
        seen[0] = examined

    began = time.perf_counter()
    best = dl.minimize(fresh(problem, "h0"), seconds=limit, progress=progress)
    took = time.perf_counter() - began
    cells = [problem.name, problem.box, f"{best.fun:.12g}", "yes" if best.proved else "no", f"{seen[0]:,}"]
    began = time.perf_counter()
    certificate = dl.certify(fresh(problem, "h1"), seconds=limit)
    cells += [f"{took:.2g}", counts_in_words(tuple(certificate.counts.values()))]
    cells += [
        f"{len(certificate.undecided):,}",
        f"{certificate.boxes:,}",
        f"{time.perf_counter() - began:.2g}",
    ]
    said = [] if best.proved else [best.message]
    if certificate.undecided:
        said.append(certificate.sentence)
    return f"| {' | '.join(cells)} |", said
