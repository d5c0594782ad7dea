"""Drawing data of sweeps and surveys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError, unknown

if TYPE_CHECKING:
    from descentlab.survey import Survey
    from descentlab.sweep import Sweep

Array = NDArray[np.float64]

AXES = ("optimizer", "start", "learning_rate", "steps")
MOST_BARS = 15


@dataclass(frozen=True)
class Axis:
    """One varied axis: its name, entries as numbers (n,) or None, their labels, and whether to space
    them by their logarithms."""

    name: str
    numbers: Array | None
    labels: tuple[str, ...]
    log: bool

    @property
    def title(self) -> str:
        return {"learning_rate": "learning rate", "steps": "number of steps"}.get(self.name, self.name)


@dataclass(frozen=True)
class SweepData:
    """A sweep cut down to at most two axes, first × second.

    result (n, m): the final point of one variable, else the final value; m = 1 if one axis
    varies. outcomes (n, m). starts (n, 2): the starts of two variables, where these vary.
    far (n, m): not finite, diverged, or beyond any sensible picture. held: the axes held at their
    first entry though varied, "name = label".
    """

    first: Axis
    second: Axis | None
    result: Array
    what: str
    outcomes: NDArray[np.str_]
    far: NDArray[np.bool_]
    starts: Array | None
    held: tuple[str, ...]


@dataclass(frozen=True)
class Bar:
    """One bar of a survey: its label, share of starts, interval (None for other outcomes), the
    minimum's index or None, and the outcome's name or ""."""

    label: str
    share: float
    interval: tuple[float, float] | None
    minimum: int | None
    outcome: str


@dataclass(frozen=True)
class SurveyData:
    """A survey's bars, minima first, shares summing to one."""

    bars: tuple[Bar, ...]
    starts: int


def sweep_data(sweep: Sweep, axes: tuple[str, ...] | None = None) -> SweepData:
    """Return the drawing data of a sweep against `axes` (default: the first two varied).

    Raises InputError for axes that are unknown, not varied, or more than two.
    """
    varied = sweep.varied
    for name in axes or ():
        if name not in AXES:
            raise unknown("axis", str(name), AXES)
        if name not in varied:
            have = ", ".join(varied) or "none"
            raise InputError(f"The axis '{name}' has one entry in this sweep; those with more are: {have}.")
    # Learning rate and steps say more than which start it was.
    order = [n for n in ("learning_rate", "steps", "optimizer", "start") if n in varied]
    chosen = tuple(axes) if axes else tuple(order[:2]) or ("steps",)
    if len(set(chosen)) != len(chosen) or len(chosen) > 2:
        raise InputError("A sweep is drawn against one axis or two different ones.")
    one = sweep.objective.dim == 1
    values = sweep.ends[..., 0] if one else sweep.values
    rest = [a for a in AXES if a not in chosen]
    cut = tuple(0 if a in rest else slice(None) for a in AXES)
    result, outcomes = np.asarray(values[cut], float), np.asarray(sweep.outcomes[cut])
    if len(chosen) == 2 and AXES.index(chosen[0]) > AXES.index(chosen[1]):
        result, outcomes = result.T, outcomes.T
    if len(chosen) == 1:
        result, outcomes = result[:, None], outcomes[:, None]
    points = np.asarray(sweep.axes["start"], float)
    plane = points if chosen == ("start",) and sweep.objective.dim == 2 else None
    held = tuple(f"{_axis(sweep, a).title} = {_axis(sweep, a).labels[0]}" for a in rest if a in varied)
    second = _axis(sweep, chosen[1]) if len(chosen) == 2 else None
    name = sweep.objective.names[0]
    what = f"final {name}" if one else "final value of f"
    far = _far(sweep, result) | np.isin(outcomes, ("diverged", "nonfinite"))
    return SweepData(_axis(sweep, chosen[0]), second, result, what, outcomes, far, plane, held)


def _far(sweep: Sweep, result: Array) -> NDArray[np.bool_]:
    """Tell which results are out of the picture: a box's side outside the box, or well above every start."""
    f = sweep.objective
    points = np.asarray(sweep.axes["start"], float)
    with np.errstate(all="ignore"):
        if f.dim == 1:
            outside = np.maximum(f.domain[0, 0] - result, result - f.domain[0, 1])
            return np.asarray(~(outside <= max(float(f.widths[0]), float(np.abs(points).max()))))
        downhill = result * (-1.0 if sweep.ascent else 1.0)
        started = f.value(points) * (-1.0 if sweep.ascent else 1.0)
        top = np.max(started[np.isfinite(started)], initial=-np.inf)
        low = np.min(downhill[np.isfinite(downhill)], initial=np.inf)
        return np.asarray(
            ~(downhill <= top + max(top - low, 0.0)) if np.isfinite(top) else ~np.isfinite(result)
        )


def _axis(sweep: Sweep, name: str) -> Axis:
    entries: Any = sweep.axes[name]
    if name == "start":
        points = np.asarray(entries, float)
        if points.shape[1] == 1:
            return Axis(name, points[:, 0], tuple(short(v) for v in points[:, 0]), False)
        return Axis(name, None, tuple("(" + ", ".join(short(c) for c in p) + ")" for p in points), False)
    try:
        numbers = np.asarray(entries, float)
    except (TypeError, ValueError):
        return Axis(name, None, tuple(str(e) for e in entries), False)
    positive = bool((numbers > 0).all())
    log = positive and bool(numbers.max() / numbers.min() >= 30)
    return Axis(name, numbers, tuple(short(v) for v in numbers), log)


def survey_data(survey: Survey, most: int = MOST_BARS) -> SurveyData:
    """Return the bars of a survey: the `most` lowest minima, the other minima, the other outcomes."""
    total = max(survey.starts_count, 1)
    bars = [
        Bar(
            f"f = {short(m.value)} at {where(m.point)}" + ("" if m.kind == "interior" else f" ({m.kind})"),
            m.hits / total,
            (float(m.share_interval[0]), float(m.share_interval[1])),
            i,
            "",
        )
        for i, m in enumerate(survey.minima[:most])
    ]
    more = survey.minima[most:]
    if more:
        label = f"{len(more):,} higher minim{'a' if len(more) > 1 else 'um'}"
        bars.append(Bar(label, sum(m.hits for m in more) / total, None, None, "minimum"))
    bars += [
        Bar(f"ended as: {outcome.replace('_', ' ')}", count / total, None, None, outcome)
        for outcome, count in survey.elsewhere.items()
    ]
    return SurveyData(tuple(bars), survey.starts_count)


def percent(share: float) -> str:
    """Write a share, never rounding something to nothing or almost all to all.

    >>> percent(0.12345), percent(0.00001), percent(0.99999)
    ('12.3 %', '< 0.1 %', '> 99.9 %')
    """
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.3g} %"


def short(value: float, digits: int = 4) -> str:
    """Write a number briefly, with a true minus sign.

    >>> short(-0.00001234), short(3.0)
    ('−1.234e−05', '3')
    """
    return f"{float(value) + 0.0:.{digits}g}".replace("-", "−")


def tick(value: float, grain: float = 0.0) -> str:
    """Write a number on a scale: three digits, no exponent while zeros are few; below `grain` it is zero.

    >>> tick(8312.0), tick(90000.0), tick(-2.1e9), tick(1e-17, 1e-9)
    ('8310', '90000', '−2.1e+09', '0')
    """
    value = 0.0 if abs(value) < grain else float(value)
    text = f"{value:.3g}"
    return (f"{float(text):.0f}" if 1000 <= abs(value) < 1e6 else text).replace("-", "−")


def where(point: Array, most: int = 4) -> str:
    """Write a point, the first few coordinates if there are many."""
    shown = [short(0.0 if abs(c) < 1e-9 else c) for c in point[:most]]
    inside = ", ".join(shown + ["…"] * (len(point) > most))
    return inside if len(point) == 1 else f"({inside})"
