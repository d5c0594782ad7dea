"""Ensembles and widenings for people, at a terminal of 80 columns or more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from descentlab.cli import output, show
from descentlab.models.draw_parts import method
from descentlab.models.endings import ENDINGS
from descentlab.models.words import percent
from descentlab.wording import short

if TYPE_CHECKING:
    from rich.console import Console

    from descentlab.models import Ensemble, Widening

MOST_LEVELS = 12

Files = Sequence[tuple[str, Path | None]]


def show_ensemble(e: Ensemble, label: str, files: Files) -> None:
    """Print the answer, the levels, how the runs ended if that was judged, and what else is known of them."""
    out = output.console()
    _head(out, label, method([e]))
    show._paragraph(out, e.sentence)
    if e.levels:
        out.print(_levels(e))
        out.print()
    if "endings" in e.__dict__:
        out.print(_endings(e))
        out.print()
    out.print(Padding(_facts(e), (0, 0, 1, 2), expand=False))
    _written(out, files)


def show_widening(w: Widening, label: str, files: Files) -> None:
    """Print which remedy is cheaper, and a line a width."""
    out = output.console()
    _head(out, label, method(w.ensembles))
    show._paragraph(out, w.sentence)
    table = show._table()
    for name in ("width", "weights", "solved", "95 %", "restarts", "cost", "s a run"):
        table.add_column(name, justify="right", no_wrap=True)
    for i, (width, e) in enumerate(zip(w.widths, w.ensembles, strict=True)):
        low, high = e.share_interval
        needed = w.restarts[i]
        table.add_row(
            f"{width:,}",
            f"{e.size:,}",
            percent(e.share_solved),
            f"{percent(low)}–{percent(high)}".replace(" %–", "–"),
            "–" if needed is None else f"{needed:,}",
            "–" if needed is None else f"{w.costs[i]:.3g}",
            f"{w.seconds_a_run[i]:.2g}",
            style="bold" if width == w.cheapest else "",
        )
    out.print(table)
    out.print()
    show._paragraph(
        out, f"Restarts for {percent(w.confidence)}. Cost of a solution: restarts × weights × steps."
    )
    _written(out, files)


def show_again(command: str) -> None:
    """Print the command that does the same."""
    output.console().print(Text(f"Again: {command}", style="dim"), soft_wrap=True)


def _head(out: Console, label: str, what: str) -> None:
    out.print(Text(label, style="bold"))
    out.print(Padding(Text(what, style="dim"), (0, 0, 1, 2), expand=False))


def _levels(e: Ensemble) -> Table:
    """Return the levels that runs ended at, lowest first; the solved ones bold."""
    table = show._table()
    for name in ("level: loss from", "runs", "share", "95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    for i, level in enumerate(e.levels[:MOST_LEVELS]):
        low, high = level.share_interval
        solved = bool(e.is_solved[e.level_of == i].mean() >= 0.5)
        table.add_row(
            short(level.loss),
            f"{level.runs:,}",
            percent(level.share),
            f"{percent(low)}–{percent(high)}".replace(" %–", "–"),
            style="bold" if solved else "",
        )
    others = e.levels[MOST_LEVELS:]
    if others:
        table.add_row(
            f"{len(others):,} more",
            f"{sum(level.runs for level in others):,}",
            percent(sum(level.share for level in others)),
        )
    return table


def _endings(e: Ensemble) -> Table:
    """Return how many runs ended how, and what each ending means."""
    table = show._table()
    table.add_column("ended as", no_wrap=True)
    table.add_column("runs", justify="right", no_wrap=True)
    table.add_column("what that means")
    for name, meaning in ENDINGS.items():
        count = e.outcomes.get(name, 0)
        if count:
            table.add_row(name.replace("_", " "), f"{count:,}", Text(meaning))
    return table


def _facts(e: Ensemble) -> Table:
    """Return the metrics of the best run, restarts, and how it was computed."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for label, text in facts(e):
        table.add_row(label, Text(text))
    return table


def facts(e: Ensemble) -> Iterator[tuple[str, str]]:
    """Yield label and text of what else is known of an ensemble."""
    if not e.diverged.all():
        best = e.best_run
        yield "best run", f"number {best:,}, loss {short(float(e.final_losses[best]))}"
        for where, metrics in (("training", e.metrics), ("held out", e.held_metrics)):
            said = [
                f"{name.replace('_', ' ')} {short(float(values[best]))}" for name, values in metrics.items()
            ]
            if said:
                yield f"  on data {where}" if where == "held out" else f"  in {where}", ", ".join(said)
    low, high = e.restarts_interval(0.95)
    needed = e.restarts_for(0.95)
    if needed is not None:
        yield (
            "runs for a solution",
            f"{needed:,} for 95 % (95 % interval {low:,} to {'∞' if high is None else f'{high:,}'})",
        )
    how = "all runs compiled together by JAX" if e.engine == "jax" else f"by torch.func, not JAX: {e.reason}"
    yield "took", f"{e.seconds:.3g} s, {how}"


def _written(out: Console, files: Files) -> None:
    for what, path in files:
        if path is not None:
            out.print(f"{what}: {path}", markup=False, soft_wrap=True)
