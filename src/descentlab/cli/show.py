"""Results for people, at a terminal of 80 columns or more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from descentlab.cli.output import console
from descentlab.wording import short, where

if TYPE_CHECKING:
    from descentlab.descent import Descent
    from descentlab.landscapes import Landscape
    from descentlab.optimizers import Optimizer
    from descentlab.report import Exploration
    from descentlab.survey import Survey
    from descentlab.sweep import Sweep

MOST_VERDICTS, MOST_MINIMA, MOST_CELLS = 10, 12, 12
_GOOD = {"minimum", "kink"}


def show_descent(run: Descent, plot: Path | None = None) -> None:
    """Print how each descent ended; for many, a count of outcomes first."""
    out = console()
    _head(
        out,
        run.objective,
        f"{'ascent' if run.ascent else 'descent'} by {run.optimizer}, "
        f"learning rate {run.learning_rate}, up to {run.steps:,} steps",
    )
    count = len(run.points)
    if count > 1:
        names, counts = np.unique(run.outcomes, return_counts=True)
        total = ", ".join(
            f"{n:,} {_spoken(str(o))}" for n, o in sorted(zip(counts, names, strict=True), reverse=True)
        )
        out.print(f"{count:,} starts: {total}.\n", markup=False)
    for i in range(min(count, MOST_VERDICTS)):
        verdict = run.verdicts[i]
        began = where(run.objective, run.starts[i])
        _entry(out, _spoken(verdict.outcome), f"from {began}" if count > 1 else "", verdict.outcome in _GOOD)
        _paragraph(out, verdict.sentence)
        _paragraph(out, verdict.advice)
    if count > MOST_VERDICTS:
        _paragraph(out, f"… and {count - MOST_VERDICTS:,} more starts; --json has them all.")
    for name in dict.fromkeys(run.outcomes[:MOST_VERDICTS].tolist()):
        out.print(f"More: descentlab guide {name}", markup=False, style="dim")
    _foot(out, run.command, plot)


def show_sweep(sweep: Sweep, plot: Path | None = None) -> None:
    """Print a sweep as a table of the ends along what was varied."""
    out = console()
    _head(out, sweep.objective, f"{sweep.outcomes.size:,} descents over {_listed(sweep) or 'one setting'}")
    names, counts = np.unique(sweep.outcomes, return_counts=True)
    total = ", ".join(
        f"{n:,} {_spoken(str(o))}" for n, o in sorted(zip(counts, names, strict=True), reverse=True)
    )
    out.print(f"Ended as: {total}.\n", markup=False)
    out.print(_sweep_table(sweep))
    if sweep.outcomes.size > _rows_shown(sweep):
        _paragraph(out, f"{_rows_shown(sweep)} of {sweep.outcomes.size:,} shown; --json has them all.")
    # Written out, a long range is far longer than what was typed.
    _foot(out, sweep.command if len(sweep.command) <= 400 else "", plot)


def _listed(sweep: Sweep) -> str:
    words = {
        "learning_rate": "learning rates",
        "start": "starts",
        "steps": "numbers of steps",
        "optimizer": "optimizers",
    }
    return " × ".join(f"{len(sweep.axes[name])} {words[name]}" for name in sweep.varied)


def _rows_shown(sweep: Sweep) -> int:
    return min(sweep.outcomes.size, 2 * MOST_CELLS)


def _sweep_table(sweep: Sweep) -> Table:
    table = _table()
    varied = sweep.varied or ("start",)
    for name in varied:
        table.add_column(
            "rate" if name == "learning_rate" else name, justify="left" if name == "optimizer" else "right"
        )
    for name in ("end", "f"):
        table.add_column(name, justify="right")
    table.add_column("outcome")
    shape = sweep.outcomes.shape
    for flat in np.unique(np.linspace(0, sweep.outcomes.size - 1, _rows_shown(sweep)).round().astype(int)):
        at = np.unravel_index(int(flat), shape)
        place = dict(zip(("optimizer", "start", "learning_rate", "steps"), at, strict=True))
        cells = [_cell(sweep.axes[name][int(place[name])]) for name in varied]
        outcome = str(sweep.outcomes[at])
        table.add_row(
            *cells,
            _cell(sweep.ends[at]),
            short(float(sweep.values[at])),
            Text(_spoken(outcome), style="green" if outcome in _GOOD else "yellow"),
        )
    return table


def _cell(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, int | np.integer):
        return f"{int(entry):,}"
    numbers = np.atleast_1d(np.asarray(entry, float))
    return ", ".join(short(float(v)) for v in numbers[:4]) + (", …" if len(numbers) > 4 else "")


def show_survey(survey: Survey, plot: Path | None = None) -> None:
    """Print the answer, the minima found, what the counts say, and what became of the other starts."""
    out = console()
    placed = "" if survey.design in ("uniform", "array") else f" ({survey.design})"
    single = "" if survey.precision == "float64" else f", {survey.precision}"
    count = "1 start" if survey.starts_count == 1 else f"{survey.starts_count:,} starts"
    _head(
        out,
        survey.objective,
        f"{count}{placed}, {survey.optimizer} at learning rate {survey.learning_rate}{single}",
    )
    _paragraph(out, survey.sentence)
    _paragraph(out, survey.proof)
    if survey.minima:
        out.print(minima_table(survey))
        out.print()
        out.print(Padding(_counts(survey), (0, 0, 1, 2), expand=False))
    _paragraph(out, _rest(survey))
    _foot(out, survey.command, plot)


def _counts(survey: Survey) -> Table:
    """Return what the counts say of what was not seen, and of restarts."""
    from descentlab.survey.seriousness import percent

    low, high = survey.unseen_interval
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    rows = [
        (
            "lead to minima not seen",
            f"{percent(survey.unseen)} of starts (95 %: {percent(low)} to {percent(high)})",
        ),
        ("all minima were seen", f"with probability {percent(survey.chance_all_seen)}"),
        ("minima there are", _up_to(survey.most_minima, len(survey.minima))),
    ]
    if survey.matched is not None and survey.matched.all_found:
        rows = [("minima there are", f"the {len(survey.minima):,} found, which is proved")]
    rows.append(("restarts for the lowest", _restarts(survey)))
    for label, text in rows:
        table.add_row(label, text)
    return table


def _up_to(most: float, found: int) -> str:
    if not np.isfinite(most):
        return "any number: more starts have to tell"
    return f"{f'the {found:,} found' if most <= found else f'at most {most:,.0f}'}, with 95 % probability"


def _restarts(survey: Survey) -> str:
    low, high = survey.restarts_interval(0.95)
    said = [f"{count:,} for {100 * float(c):g} %" for c, count in survey.restarts.items() if count]
    if len(said) == 3 and high is not None and high > low:
        said[1] += f" ({low:,} to {high:,})"
    return ", ".join(said)


def _rest(survey: Survey) -> str:
    from descentlab.report.words import elsewhere

    lost = elsewhere(survey)
    return f"{lost}." if lost else "Every start ended at one of them." if survey.minima else ""


def minima_table(survey: Survey, most: int = MOST_MINIMA) -> Table:
    """Return the lowest minima as a table."""
    from descentlab.report.words import percent, tidy

    table = _table()
    names = survey.objective.names
    more = ", …" if len(names) > 3 else ""
    table.add_column(
        names[0] if len(names) == 1 else f"({', '.join(names[:3])}{more})", no_wrap=True, overflow="ellipsis"
    )
    table.add_column("f", justify="right", no_wrap=True)
    kinds = any(m.kind != "interior" for m in survey.minima)
    if kinds:
        table.add_column("kind", no_wrap=True)
    for name in ("hits", "share", "95 %", "steps"):
        table.add_column(name, justify="right", no_wrap=True)
    best = set(survey.best_ones)
    for i, m in enumerate(survey.minima[:most]):
        table.add_row(
            ", ".join(f"{float(c):.4g}" for c in tidy(survey, m)[:3]) + more,
            short(m.value if abs(m.value) >= 1e-9 * survey.value_scale else 0.0),
            *([m.kind] if kinds else []),
            f"{m.hits:,}",
            percent(m.share),
            f"{100 * m.share_interval[0]:.1f}–{100 * m.share_interval[1]:.1f}",
            f"{m.steps:,.0f}",
            style="bold" if i in best else "",
        )
    others = survey.minima[most:]
    if others:
        total = f"{sum(m.hits for m in others):,}", percent(sum(m.share for m in others))
        table.add_row(f"… {len(others):,} more", "", *([""] if kinds else []), *total, "", "")
    return table


def show_exploration(found: Exploration, path: Path | None = None) -> None:
    """Print the three answers and the minima, and where the report is."""
    out = console()
    run = found.descent
    _head(
        out,
        found.objective,
        f"start {where(found.objective, run.starts[0])}, {run.optimizer}, learning rate "
        f"{run.learning_rate}, {run.steps:,} steps, seed {found.seed}",
    )
    questions = (
        ("Does descent find the right minimum here?", found.answers.found),
        ("What else is there?", found.answers.others),
        ("What should I change?", found.answers.change),
    )
    for question, said in questions:
        out.print(Text(question, style="bold cyan"))
        _paragraph(out, said)
    if found.survey.minima:
        out.print(minima_table(found.survey, 6))
    if path is not None:
        out.print(f"The whole report: {path}", markup=False, soft_wrap=True)


def show_landscapes(entries: tuple[Landscape, ...]) -> None:
    """Print the catalogue, a line or two an entry."""
    out = console()
    table = _table()
    table.add_column("name", no_wrap=True)
    table.add_column("variables", justify="right")
    table.add_column("what it teaches")
    for entry in entries:
        count = "any" if entry.dims else str(entry.dim)
        table.add_row(Text(entry.name, style="bold"), count, Text(entry.teaches))
    out.print(table)
    out.print("'descentlab landscapes NAME' shows the formula, the box and the known facts.", markup=False)


def show_landscape(entry: Landscape) -> None:
    """Print one entry of the catalogue with its facts."""
    out = console()
    out.print(Text(entry.title, style="bold"))
    _paragraph(out, entry.teaches)
    sides = ", ".join(
        f"{n} from {short(lo)} to {short(hi)}" for n, (lo, hi) in zip(entry.names, entry.domain, strict=True)
    )
    rows = [
        ("name", entry.name),
        ("also", ", ".join(entry.aliases)),
        ("formula", entry.formula),
        ("box", sides),
        ("variables", f"{entry.dims[0]} to {entry.dims[1]} (--dim)" if entry.dims else str(entry.dim)),
        ("origin", entry.origin),
    ]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for label, text in rows:
        if text:
            grid.add_row(label, Text(text))
    for status, source in dict.fromkeys((fact.status, fact.source) for fact in entry.facts):
        said = "; ".join(_fact_words(f) for f in entry.facts if (f.status, f.source) == (status, source))
        grid.add_row(status, Text(said).append(f"  ({source})", style="dim"))
    out.print(grid)


def _fact_words(fact: Any) -> str:
    where_ = "" if fact.domain is None else f" in {_box(fact.domain)}"
    if isinstance(fact.value, tuple):
        return f"{fact.subject}{where_}: {_fact(fact.value)}"
    if fact.subject == "lowest value":
        return f"{fact.subject}{where_} {_fact(fact.value)}"
    noun = (
        fact.subject
        if fact.value != 1
        else {
            "minima": "minimum",
            "maxima": "maximum",
            "saddles": "saddle",
            "boundary minima": "boundary minimum",
        }.get(fact.subject, fact.subject)
    )
    return f"{_fact(fact.value)} {noun}{where_}"


def _box(domain: Any) -> str:
    sides = [f"[{short(low)}, {short(high)}]" for low, high in domain]
    return f"{sides[0]}^{len(sides)}" if len(set(sides)) == 1 and len(sides) > 1 else " × ".join(sides[:3])


def _fact(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return short(value)
    shown = ", ".join(
        f"({', '.join(short(c) for c in point[:3])}{', …' if len(point) > 3 else ''})" for point in value[:4]
    )
    return shown + (f" and {len(value) - 4} more" if len(value) > 4 else "")


def show_optimizers(rows: tuple[Optimizer, ...]) -> None:
    """Print the optimizers with their rules, parameters and sources."""
    out = console()
    for row in rows:
        parameters = ", ".join(f"{p.name}={p.default:g}" for p in row.parameters)
        line = Text(row.name, style="bold")
        line.append(f"  {parameters}" if parameters else "", style="not bold dim")
        inner: list[RenderableType] = [Text(row.rule), Text(row.teaches), Text(row.source, style="dim")]
        out.print(Group(line, Padding(Group(*inner), (0, 0, 1, 4), expand=False)))


def _head(out: Console, f: Any, what: str) -> None:
    """Print which function on which box, how it was understood, and what was done."""
    shown = [
        f"{name} from {short(low)} to {short(high)}"
        for name, (low, high) in zip(f.names[:4], f.domain, strict=False)
    ]
    out.print(
        Text(
            f"f({', '.join(f.names)}) = {f.label}" if f.text is not None and f.label == f.text else f.label,
            style="bold",
        )
    )
    if f.text is not None and f.label != f.text:
        formula = Text(f"f({', '.join(f.names)}) = {f.text}", style="dim")
        out.print(Padding(formula, (0, 0, 0, 2), expand=False))
    out.print(Text(f"  {', '.join(shown)}{', …' if f.dim > 4 else ''}", style="dim"))
    out.print(Padding(Text(what, style="dim"), (0, 0, 0, 2), expand=False))
    for note in f.notes:
        out.print(Text(f"  {note}", style="yellow"))
    out.print()


def _entry(out: Console, title: str, more: str, good: bool) -> None:
    line = Text(title[:1].upper() + title[1:], style="bold green" if good else "bold yellow")
    line.append(f"  {more}" if more else "", style="not bold default")
    out.print(line)


def _paragraph(out: Console, text: str) -> None:
    if text:
        out.print(Padding(Text(text), (0, 0, 1, 2), expand=False))


def _foot(out: Console, command: str, plot: Path | None) -> None:
    if plot is not None:
        out.print(f"Drawn: {plot}", markup=False, soft_wrap=True)
    if command:
        out.print(Text(f"Again: {command}", style="dim"), soft_wrap=True)


def _spoken(outcome: str) -> str:
    return outcome.replace("_", " ")


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", show_edge=False, padding=(0, 2, 0, 0)
    )
