"""Proofs for people: certificates, the best point, and certificates checked again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from descentlab.certify.result import REASONS
from descentlab.cli import output, show
from descentlab.wording import short, where

if TYPE_CHECKING:
    from descentlab.certify import Certificate, CertifiedPoint
    from descentlab.certify.checking.verify import Verification
    from descentlab.minimize import Minimization

MOST_MINIMA, MOST_REGIONS = 12, 6


def show_certificate(c: Certificate, plot: Path | None = None, file: Path | None = None) -> None:
    """Print what is proved, the minima, what is undecided, and what the proof rests on."""
    out = output.console()
    show._head(out, c.objective, "stationary points by interval arithmetic")
    show._paragraph(out, c.sentence)
    if c.minima or any(r.holds_minimum for r in c.undecided):
        out.print(_minima(c))
        out.print()
    out.print(Padding(_facts(c), (0, 0, 1, 2), expand=False))
    if file is not None:
        out.print(f"Written: {file}", markup=False, soft_wrap=True)
    show._foot(out, c.command, plot)


def _minima(c: Certificate) -> Table:
    """Return the minima over the closed box, lowest first, proved points and kinks."""
    table = show._table()
    names = c.objective.names
    more = ", …" if len(names) > 3 else ""
    table.add_column(names[0] if len(names) == 1 else f"({', '.join(names[:3])}{more})", no_wrap=True)
    table.add_column("f", justify="right", no_wrap=True)
    table.add_column("minimum", no_wrap=True)
    rows: list[tuple[float, Any, str]] = [(p.value, p.point, _kind(p)) for p in c.minima]
    rows += [
        (r.value_interval[0], r.point, _WHERE.get(r.reason, "in a region"))
        for r in c.undecided
        if r.holds_minimum
    ]
    rows.sort(key=lambda row: row[0])
    lowest = {p.point.tobytes() for p in c.lowest.minimizers} | {r.point.tobytes() for r in c.lowest.regions}
    for value, point, kind in rows[:MOST_MINIMA]:
        size = 1e-9 * c.objective.widths
        coordinates = [0.0 if abs(v) < s else float(v) for v, s in zip(point, size, strict=True)]
        shown = ", ".join(f"{v:.6g}" for v in coordinates[:3]) + more
        style = "bold" if c.lowest.proved and point.tobytes() in lowest else ""
        table.add_row(shown, short(0.0 if abs(value) < 1e-12 else value), kind, style=style)
    if len(rows) > MOST_MINIMA:
        table.add_row(f"… {len(rows) - MOST_MINIMA:,} more; --json has them all", "", "")
    return table


_WHERE = {"kink": "at a kink", "degenerate": "degenerate", "flat": "flat", "face": "at the edge"}


def _kind(p: CertifiedPoint) -> str:
    return "on the edge" if p.on_boundary else "inside"


def _facts(c: Certificate) -> Table:

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    rows = [("undecided", text) for text in _regions(c)]
    rows.append(("lowest value", _interval(c.lowest.interval, c.lowest.proved)))
    rows += [("assuming", text) for text in c.assumptions]
    if c.recheck is not None:
        rows.append(("proved again", "each point, by python-flint"))
    rows.append(("took", f"{c.boxes:,} boxes, {c.seconds:.2g} s"))
    said = ""
    for label, text in rows:
        table.add_row(label if label != said else "", Text(text))
        said = label
    return table


def _regions(c: Certificate) -> Iterator[str]:
    """Yield the undecided regions in words: where, and why."""
    for r in c.undecided[:MOST_REGIONS]:
        size = short(float((r.box[:, 1] - r.box[:, 0]).max()))
        minimum = "; a minimum lies in it" if r.holds_minimum else ""
        yield f"around {where(c.objective, r.point)}, {size} wide: {REASONS[r.reason]}{minimum}"
    if len(c.undecided) > MOST_REGIONS:
        yield f"and {len(c.undecided) - MOST_REGIONS:,} more regions; --json has them all"


def _interval(interval: tuple[float, float], proved: bool) -> str:
    """Write an interval with the digits that are proved.

    >>> _interval((-0.7620765452599333, -0.7620765452599276), True)
    '-0.76207654525993 (14 digits proved), in [-0.7620765452599333, -0.7620765452599276]'
    """
    low, high = interval
    exact = f"in [{low!r}, {high!r}]"
    if not proved:
        return f"not proved; {exact}"
    digits = _digits(low, high)
    return (
        f"{high:.{digits}g} ({digits} digits proved), {exact}"
        if digits
        else f"0 to within {high - low:.2g}, {exact}"
    )


def _digits(low: float, high: float) -> int:
    """Return how many significant digits two bounds have in common, 0 where they are of different sign.

    >>> _digits(1.2344, 1.2346), _digits(-1e-16, 1e-16)
    (3, 0)
    """
    if low <= 0 <= high:
        return 0
    return next((n for n in range(17, 0, -1) if f"{low:.{n}g}" == f"{high:.{n}g}"), 1)


def show_minimization(found: Minimization) -> None:
    """Print the best point, f there, whether it is proved, and how to do it again."""
    out = output.console()
    f = found.objective
    assert f is not None
    extreme = "highest" if found.maximized else "lowest"
    show._head(out, f, f"the {extreme} value in the box")
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    names = ", ".join(f.names[:3]) + (", …" if f.dim > 3 else "")
    point = ", ".join(f"{v:.15g}" for v in found.x)
    table.add_row(names if f.dim == 1 else f"({names})", Text(point))
    table.add_row("f", Text(repr(found.fun), style="bold"))
    if found.fun_interval is not None:
        table.add_row(f"{extreme} value", Text(_interval(found.fun_interval, found.proved)))
    if len(found.minimizers) > 1:
        others = [where(f, x).partition(" = ")[2] for x in found.minimizers[:MOST_REGIONS]]
        left = len(found.minimizers) - len(others)
        table.add_row("attained at", Text(", ".join(others) + (f" and {left:,} more" if left else "")))
    table.add_row("took", Text(f"{found.nit:,} {'boxes' if found.survey is None else 'descents'}"))
    out.print(Padding(table, (0, 0, 1, 2), expand=False))
    show._paragraph(out, found.message)
    show._foot(out, found.command, None)


def show_verification(v: Verification) -> None:
    """Print every claim with what came of it."""
    from descentlab.certify.checking.verify import FAILS, HOLDS

    out = output.console()
    show._head(out, v.certificate.objective, f"every claim of {v.path} checked with python-flint")
    styles = {HOLDS: "green", FAILS: "bold red"}
    table = show._table()
    for name in ("claim", "outcome", "why"):
        table.add_column(name)
    for claim in v.claims:
        outcome = Text(claim.outcome, style=styles.get(claim.outcome, "yellow"))
        table.add_row(claim.name, outcome, Text(claim.detail))
    out.print(table)
    out.print()
    show._paragraph(out, f"{v.sentence} {v.seconds:.2g} s.")
