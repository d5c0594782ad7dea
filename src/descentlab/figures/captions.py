"""Captions: problem, method, learning rate, seed and steps, and what a picture leaves out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from descentlab.figures.curves import Curve
from descentlab.figures.fields import Field
from descentlab.figures.results import short, where
from descentlab.figures.tracks import Tracks
from descentlab.objective import Objective

if TYPE_CHECKING:
    from descentlab.certify import Certificate
    from descentlab.descent import Descent
    from descentlab.survey import Survey
    from descentlab.sweep import Sweep


# What is said of certified points in pictures of other things.
PROVED = (
    "Marks in the legend as proved are stationary points by interval arithmetic, hollow on the box's edge"
)


def problem(f: Objective) -> str:
    """Return the formula and the box in one line."""
    text = f.text or f"{f.label} (a Python function)"
    if f.text is not None and f.label != f.text:
        text = f"{f.label}: {text}" if len(text) <= 90 else f.label
    if len(text) > 140:
        text = text[:137] + "…"
    sides = [f"{n} in [{short(a)}, {short(b)}]" for n, (a, b) in zip(f.names, f.domain, strict=True)]
    shown = ", ".join(sides[:3]) + (f", … ({f.dim} variables)" if f.dim > 3 else "")
    return f"f = {text}, {shown}"


def method(run: Descent) -> str:
    """Return optimizer, learning rate, steps, bounds and seed in one line."""
    verb = "Ascent" if run.ascent else "Descent"
    stop = "" if run.tolerance is None else f", tolerance {run.tolerance:g}"
    return (
        f"{verb} by {run.optimizer}, learning rate {run.learning_rate}, {run.steps:,} steps{stop}, "
        f"bounds {run.bounds}, seed {run.seed}"
    )


def sweep_method(sweep: Sweep, held: Sequence[str]) -> list[str]:
    """Return what was varied over what, and what was held."""
    verb = "Ascent" if sweep.ascent else "Descent"
    parts = []
    for name, entries in sweep.axes.items():
        what = {
            "learning_rate": "learning rate",
            "start": "start",
            "steps": "steps",
            "optimizer": "optimizer",
        }[name]
        if len(entries) == 1:
            entry = entries[0]
            text = where(entry) if name == "start" else entry if isinstance(entry, str) else f"{entry:,g}"
            parts.append(f"{what} {text}")
        else:
            parts.append(
                f"{len(entries)} {'entries of ' if name == 'steps' else ''}{what}"
                f"{'' if name == 'steps' else 's'}"
            )
    lines = [f"{verb}: {', '.join(parts)}, bounds {sweep.bounds}, seed {sweep.seed}"]
    return lines + ([f"Shown for {', '.join(held)}"] if held else [])


def survey_method(survey: Survey) -> str:
    """Return how many starts of which design, optimizer, learning rate, steps, bounds and seed in one line."""
    design = "" if survey.design in ("uniform", "array") else f" {survey.design}"
    single = "" if survey.precision == "float64" else f", {survey.precision}"
    return (
        f"{survey.starts_count:,}{design} starts, {survey.optimizer}, learning rate {survey.learning_rate}, "
        f"{survey.steps:,} steps, bounds {survey.bounds}, seed {survey.seed}{single}"
    )


def certificate_notes(certificate: Certificate) -> list[str]:
    """Say what was proved, what was not, with how many boxes and how long it took."""
    from descentlab.certify import words

    again = ", each point proved again by arb" if certificate.recheck == "arb" else ""
    proved = (
        words.inside(certificate),
        words.on_edge(certificate),
        words.undecided(certificate.undecided),
        words.lowest(certificate),
    )
    return [
        *(re.sub(r"(?<![\w).])-(?=[\d.])", "−", text) for text in proved),
        f"Branch-and-prune by interval arithmetic: {certificate.boxes:,} boxes, {certificate.seconds:.2g} s{again}",
    ]


def undefined(share: float, where_: str) -> str:
    """Say on how much of the picture f has no finite value."""
    if share <= 0:
        return ""
    percent = "less than 1" if share < 0.01 else f"{100 * share:.0f}"
    return f"On {percent} % of the {where_} f has no finite value"


def field_notes(field: Field) -> list[str]:
    """Say how heights are shown and where f is missing."""
    return [field.scale.words.capitalize(), undefined(field.undefined, "area")]


def curve_notes(curves: Sequence[Curve]) -> list[str]:
    """Say where f is undefined, has kinks, and is cut at poles."""
    notes = []
    for curve in curves:
        who = curve.label if len(curves) > 1 else "f"
        if curve.undefined > 0:
            notes.append(undefined(curve.undefined, "interval").replace(" f ", f" {who} "))
        if curve.value.unbounded:
            notes.append(f"{who} is cut off where it grows without bound")
    return notes


def track_notes(tracks: Tracks) -> list[str]:
    """Say which paths and steps are not drawn, and which left the picture."""
    notes = []
    count = len(tracks.starts)
    if count > len(tracks.paths):
        notes.append(f"Paths are drawn for {len(tracks.paths)} of {count:,} starts, ends for all")
    hidden = max((path.hidden for path in tracks.paths), default=0)
    if hidden:
        notes.append("Of very many distinct steps only the first and the last are drawn")
    gone = [path.left_at for path in tracks.paths if path.left_at is not None]
    if gone and len(tracks.paths) == 1:
        notes.append(f"The path leaves the picture at step {gone[0]:,}")
    elif gone:
        notes.append(f"{len(gone)} paths leave the picture")
    return notes
