"""An exploration as one HTML page that needs nothing else: no network, no script, no other file.

Jinja2 escapes every text that goes into the template. What is put in unescaped is made here or in
the formula and figure modules, which escape what they are given: MathML, SVG and numbers.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from descentlab.descent import Descent
from descentlab.formula.layout import EQUALS, Math, function_of, row, slope
from descentlab.formula.mathml import equation, mathml, text
from descentlab.report.data import as_data
from descentlab.report.explore import Exploration
from descentlab.report.proofs import proof
from descentlab.report.words import counted, elsewhere, percent, tidy
from descentlab.survey import Minimum

# Longer derivations are folded away at first, so that the answer is not far below.
STEPS_SHOWN = 12
MOST_MINIMA = 20
LONGEST_HEADING = 45
FIRST_ROWS, LAST_ROWS, MOST_ROWS = 8, 3, 24

_LABELS = {
    "point": "end point",
    "value": "value f",
    "gradient_norm": "gradient norm |∇f|",
    "steps_taken": "steps taken",
    "stopped_by": "stopped by",
    "rate": "last learning rate η",
    "nearest": "nearest stationary point",
    "nearest_kind": "which is a",
    "distance": "distance to it",
    "eigenvalues": "Hessian eigenvalues there",
    "largest_stable_rate": "largest stable learning rate",
    "index": "index (negative eigenvalues)",
    "growth_per_step": "growth of the steps, each",
    "steps_needed": "further steps needed (estimate)",
    "slope_left": "slope on the left",
    "slope_right": "slope on the right",
    "at_bound": "held at the bound of",
    "smallest_outward_slope": "smallest outward slope",
    "largest_outward_slope": "largest outward slope",
    "step_length": "length of one step",
    "spacing_of_doubles": "spacing of float64 numbers there",
    "operation": "operation that failed",
}
_ESCAPE_LABELS = {
    "nudge": "nudge ε",
    "radius": "distance R that counts as left",
    "steps_predicted": "steps to leave, predicted",
    "steps_observed": "steps to leave, observed",
}


def render(found: Exploration) -> str:
    """Return the whole page."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            found=found,
            f=found.objective,
            run=found.descent,
            survey=found.survey,
            verdict=found.descent.verdicts[0],
            title=_title(found),
            heading=_heading(found),
            formula=_formula(found),
            python=_python(found),
            derivatives=_derivatives(found),
            derivation=_derivation(found),
            settings=_settings(found),
            evidence=evidence(found),
            step_tables=_step_tables(found),
            minima=_minima(found),
            elsewhere=elsewhere(found.survey),
            proof=proof(found.survey),
            mirrors=_mirrors(found),
            figures=_figures(found),
            data=_data(found),
            words=counted,
            point=functools.partial(_point, found.objective.names),
        )
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("descentlab.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, prose=prose)
    return environment


def number(value: Any, digits: int = 6) -> Markup:
    """Write a number for reading: a real minus sign, and powers of ten as such.

    >>> str(number(-1.5e-7))
    '−1.5·10<sup>−7</sup>'
    """
    if value is None:
        return Markup("–")
    if isinstance(value, bool | str):
        return Markup(escape(str(value)))
    if isinstance(value, int | np.integer):
        return Markup(f"{int(value):,}".replace("-", "−"))
    if not np.isfinite(value):
        return Markup("undefined" if np.isnan(value) else "∞" if value > 0 else "−∞")
    mantissa, e, exponent = f"{float(value) + 0.0:.{digits}g}".partition("e")
    power = f"·10<sup>{int(exponent)}</sup>" if e else ""
    return Markup((mantissa + power).replace("-", "−"))


def prose(sentence: str) -> Markup:
    """Escape a sentence and set its numbers: −1.5·10⁻⁷ for -1.5e-07.

    >>> str(prose("x < -1.5e-07"))
    'x &lt; −1.5·10<sup>−7</sup>'
    """
    said = re.sub(r"(?<![\w).])-(?=[\d.])", "−", escape(sentence, quote=False))
    return Markup(re.sub(r"(?<=\d)e([+-]?)0*(\d+)\b", _power, said))


def _power(match: re.Match[str]) -> str:
    return f"·10<sup>{'−' if match[1] == '-' else ''}{match[2]}</sup>"


def _title(found: Exploration) -> str:
    return found.objective.label if len(found.objective.label) <= 80 else found.objective.label[:77] + "…"


def _heading(found: Exploration) -> Markup:
    """Return the title of the page: the name if the function has one, else the formula if it is short."""
    f = found.objective
    if f.label != f.text:
        return Markup(escape(f.label if f.text is None else f.label[:1].upper() + f.label[1:]))
    if len(text(f.expression)) > LONGEST_HEADING:
        return Markup(mathml(function_of(f.names)))
    return Markup(mathml(row(function_of(f.names), EQUALS, Math(f.expression)), large=True))


def _python(found: Exploration) -> str:
    """Return the Python lines for all of it, and for the descent and the survey alone."""
    run, many = (part.python.strip().splitlines()[-1] for part in (found.descent, found.survey))
    return (
        found.python.rstrip()
        + "\n\n# or in parts:\n"
        + run.replace("result =", "run =", 1)
        + "\n"
        + many.replace("result =", "found =", 1)
    )


def _formula(found: Exploration) -> Markup:
    f = found.objective
    if f.expression is None:
        return Markup(f"<code>{escape(f.label)}</code>")
    return Markup(equation(function_of(f.names), f.expression))


def _derivatives(found: Exploration) -> list[Markup]:
    if found.explanation is None:
        return []
    return [Markup(equation(d.slope, d.tidied)) for d in found.explanation.derivations]


def _derivation(found: Exploration) -> dict[str, Any] | None:
    """Return the derivations as HTML, each with its check, and whether to show them at once."""
    if found.explanation is None:
        return None
    derivations = found.explanation.derivations
    parts = [
        {
            "of": Markup(mathml(d.slope)),
            "html": Markup(d.mathml()),
            "check": c.sentence,
            "steps": len(d.steps),
        }
        for d, c in zip(derivations, found.explanation.checks, strict=True)
    ]
    return {
        "parts": parts,
        "agrees": found.explanation.agrees,
        "open": sum(len(d.steps) for d in derivations) <= STEPS_SHOWN,
    }


def _settings(found: Exploration) -> list[tuple[str, Markup]]:
    """Return what was run, as label and value."""
    f, run = found.objective, found.descent
    box = ", ".join(
        f"{escape(name)} from {number(low)} to {number(high)}"
        for name, (low, high) in list(zip(f.names, f.domain, strict=True))[:6]
    ) + (" …" if f.dim > 6 else "")
    return [
        ("Box", Markup(box)),
        ("Start", _point(f.names, run.starts[0])),
        ("Optimizer", Markup(escape(run.optimizer))),
        ("Learning rate", Markup(escape(run.learning_rate))),
        ("Steps", number(run.steps)),
        ("Seed", number(run.seed)),
    ]


def _point(names: Sequence[str], point: Any) -> Markup:
    shown = [str(number(c)) for c in list(point)[:6]] + (["…"] if len(point) > 6 else [])
    if len(shown) == 1:
        return Markup(f"{escape(names[0])} = {shown[0]}")
    return Markup(f"({', '.join(shown)})")


def evidence(found: Exploration) -> list[tuple[str, Markup]]:
    """Return the verdict's evidence as rows to read: label and value."""
    given = dict(found.descent.verdicts[0].evidence)
    one = found.objective.dim == 1
    labels = dict(_LABELS)
    if one:
        labels |= {
            "gradient_norm": "size of the derivative |f′|",
            "eigenvalues": "second derivative f″ there",
        }
    if one and "eigenvalues" in given:
        curvature = float(given["eigenvalues"][0])
        sign = (
            "positive" if curvature > 0 else "negative" if curvature < 0 else "neither positive nor negative"
        )
        given["eigenvalues"] = Markup("{}, {}").format(number(curvature), sign)
    escape_rows = given.pop("escape", None)
    given.pop("orbit", None)
    rows = [(labels.get(name, name.replace("_", " ")), _value(value)) for name, value in given.items()]
    if escape_rows:
        rows += [
            (label, _value(escape_rows[name]))
            for name, label in _ESCAPE_LABELS.items()
            if name in escape_rows
        ]
    return rows


def _value(value: Any) -> Markup:
    if isinstance(value, Markup):
        return value
    if isinstance(value, list | tuple):
        return Markup(", ").join([number(v) for v in list(value)[:6]] + (["…"] if len(value) > 6 else []))
    return number(value)


def _step_tables(found: Exploration) -> list[dict[str, Any]]:
    """Return the table of the descent's steps, and of the nudged one's where the start could not move."""
    return [step_table(run) for run in (found.descent, found.nudged) if run is not None]


def step_table(run: Descent) -> dict[str, Any]:
    """Return the steps worth showing: the first, some between at growing distances, and the last.

    Steps from which nothing moves any more are not rows.
    """
    names = run.objective.names
    points, taken = run.points[0], int(run.taken[0])
    moving = np.flatnonzero((points[1 : taken + 1] != points[:taken]).any(axis=1))
    last = int(moving[-1]) + 1 if moving.size else 0
    few = len(names) <= 3
    slopes = [Markup(mathml(slope(n, partial=len(names) > 1))) for n in names] if few else [Markup("|∇f|")]
    rows = []
    for k in thinned(last):
        gradient = run.gradients[0, k] if few else [_length(run.gradients[0, k])]
        rate = run.learning_rates[0, k] if k < taken else None
        rows.append(
            [
                number(k),
                *(number(c) for c in points[k][: 3 if few else 0]),
                number(run.values[0, k]),
                *(number(g, 4) for g in gradient),
                number(rate, 4),
            ]
        )
    return {
        "from": _point(names, points[0]),
        "heads": [
            Markup("step"),
            *(Markup(f"<i>{escape(n)}</i>") for n in names if few),
            Markup("<i>f</i>"),
            *slopes,
            Markup("rate <i>η</i>"),
        ],
        "rows": rows,
        "still": taken - last,
        "last": last,
        "all": last + 1 == len(rows),
    }


def _length(vector: Any) -> float:
    """Return a vector's length, infinite where its square overflows."""
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(vector))


def thinned(last: int) -> list[int]:
    """Return which of the steps 0 … last to show: at most MOST_ROWS, denser at the beginning.

    >>> thinned(3)
    [0, 1, 2, 3]
    """
    if last < MOST_ROWS:
        return list(range(last + 1))
    between = np.geomspace(FIRST_ROWS, last, MOST_ROWS - FIRST_ROWS - LAST_ROWS + 1)
    kept = {*range(FIRST_ROWS), *(round(float(k)) for k in between), *range(last - LAST_ROWS + 1, last + 1)}
    return sorted(kept)


def _minima(found: Exploration) -> dict[str, Any]:
    survey = found.survey
    best = set(survey.best_ones)
    rows = [
        {
            "rank": i + 1,
            "point": _point(found.objective.names, tidy(survey, m)),
            "value": number(m.value),
            "kind": {
                "boundary": "at the box’s edge",
                "kink": "kink",
                "flat": "flat (degenerate)",
            }.get(m.kind, ""),
            "eigenvalues": _eigenvalues(m),
            "colour": _colour(found, i),
            "hits": m.hits,
            "share": percent(m.share),
            "width": round(100 * m.share, 2),
            "best": i in best,
            "interval": f"{100 * m.share_interval[0]:.1f} to {100 * m.share_interval[1]:.1f} %",
            "steps": number(m.steps),
        }
        for i, m in enumerate(survey.minima[:MOST_MINIMA])
    ]
    others = survey.minima[MOST_MINIMA:]
    return {"rows": rows, "more": len(others), "more_share": percent(sum(m.share for m in others))}


def _eigenvalues(minimum: Minimum) -> Markup:
    """Return the Hessian's eigenvalues where there are any: not at a kink, nor at a corner of the box."""
    values = minimum.eigenvalues
    if not np.isfinite(values).any() or (minimum.kind == "boundary" and not values.any()):
        return Markup("–")
    return _value([float(v) for v in values])


def _colour(found: Exploration, index: int) -> str:
    """Return the colour this minimum has in the survey's figure."""
    from descentlab.figures.draw_survey_values import minimum_colour

    return minimum_colour(index) if found.objective.dim <= 2 else "var(--bar)"


def _mirrors(found: Exploration) -> str:
    """Say which minima are mirror images, by their ranks."""
    groups = [group for group in found.survey.symmetry if max(group) < MOST_MINIMA]
    said = [
        " and ".join(str(i + 1) for i in g) if len(g) == 2 else ", ".join(str(i + 1) for i in g)
        for g in groups
    ]
    return "; ".join(said)


def _figures(found: Exploration) -> dict[str, Markup]:
    from descentlab.report.pictures import pictures

    return {name: Markup(svg) for name, svg in pictures(found).items()}


def _data(found: Any) -> Markup:
    """Return everything as JSON that cannot end the element it stands in."""
    written = json.dumps(as_data(found), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(re.sub("[<>&]", lambda c: f"\\u{ord(c[0]):04x}", written))
