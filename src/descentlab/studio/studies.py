"""What the page learns about all of f: basins of attraction, surveys of many starts, stationary points."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from descentlab.certify import CertifiedPoint, certify
from descentlab.errors import InputError
from descentlab.objective import FormulaObjective, Objective
from descentlab.reproduce import Call
from descentlab.stationary import classify, polish
from descentlab.studio.checks import MOST_PIXELS, MOST_SURVEYED, Ask
from descentlab.studio.pictures import plane_of
from descentlab.studio.problems import objective_of
from descentlab.studio.replies import Reply, reply
from descentlab.studio.runs import call_of, settings_of
from descentlab.survey import basin_map, survey

PROVING = 3.0  # seconds
PROVING_BOXES = 500_000
MOST_MINIMA, MOST_POINTS = 200, 2_000


def _method(ask: Ask, f: Objective) -> tuple[Objective, Call]:
    """Return what to survey and how: −f where the page ascends, and the page's (first) optimizer."""
    if ask.get("bounds") == "stop":
        raise InputError("Basins and surveys keep to the box: choose bounds 'free' or 'clip'.")
    return (-f if ask.flag("ascent") else f), call_of(ask.items("optimizers", 8)[0], settings_of(ask))


def answer_basins(ask: Ask, own: Objective | None) -> Reply:
    """Draw up a basin map: where a descent from each pixel of the plane ends."""
    f = objective_of(ask, own)
    if f.dim < 2:
        raise InputError("A basin map needs two variables; with one, a survey shows where starts end.")
    pair, at = plane_of(ask, f)
    side = ask.whole("resolution", 8, MOST_PIXELS, 64)
    objective, call = _method(ask, f)
    began = time.perf_counter()
    m = basin_map(
        objective,
        side,
        plane=(f.names[pair[0]], f.names[pair[1]]),
        at=at,
        **{**call.settings, **call.parameters},
    )
    return reply(
        {
            "resolution": side,
            "plane": pair,
            "box": m.box,
            "at": at,
            "label": m.label,
            "steps": m.steps,
            "longest": int(m.taken.max()),
            "minima": [
                {"point": p.point, "value": _sign(ask) * p.value, "share": p.share}
                for p in m.minima[:MOST_MINIMA]
            ],
            "outcomes": m.elsewhere,
            "sentence": m.sentence,
            "python": m.python,
            "command": m.command,
            "seconds": time.perf_counter() - began,
        },
        assignment=("i2", np.where(m.assignment < MOST_MINIMA, m.assignment, -1)),
        taken=("i4", m.taken),
    )


def answer_survey(ask: Ask, own: Objective | None) -> Reply:
    """Survey: which minima many random starts reach, and what may be missing."""
    f = objective_of(ask, own)
    count = ask.whole("count", 10, MOST_SURVEYED, 10_000)
    objective, call = _method(ask, f)
    began = time.perf_counter()
    s = survey(objective, count, **{**call.settings, **call.parameters})
    return reply(
        {
            "starts": count,
            "label": f"{s.optimizer} at {s.learning_rate}",
            "steps": s.steps,
            "found": len(s.minima),
            "minima": [
                {
                    "point": m.point,
                    "value": _sign(ask) * m.value,
                    "eigenvalues": m.eigenvalues,
                    "kind": m.kind,
                    "hits": m.hits,
                    "share": m.share,
                    "interval": m.share_interval,
                }
                for m in s.minima[:MOST_MINIMA]
            ],
            "outcomes": s.outcomes,
            "unseen": s.unseen,
            "unseen_interval": s.unseen_interval,
            "restarts": s.restarts_for(0.95),
            "sentence": s.sentence,
            "python": s.python,
            "command": s.command,
            "seconds": time.perf_counter() - began,
        }
    )


def _sign(ask: Ask) -> float:
    return -1.0 if ask.flag("ascent") else 1.0


def answer_points(ask: Ask, own: Objective | None) -> Reply:
    """Find all stationary points: proved for a formula of few variables, polished from many starts otherwise."""
    f = objective_of(ask, own)
    if not isinstance(f, FormulaObjective):
        return _searched(f)
    c = certify(f, boxes=PROVING_BOXES, seconds=PROVING)
    every = (*c.points, *c.boundary)
    return reply(
        {
            "points": [_certified(f, p) for p in every[:MOST_POINTS]],
            "found": len(every),
            "counts": c.counts,
            "complete": c.complete,
            "undecided": len(c.undecided),
            "sentence": c.sentence,
            "python": c.python,
            "command": c.command,
            "seconds": c.seconds,
        }
    )


def _certified(f: Objective, p: CertifiedPoint) -> dict[str, Any]:
    return {
        "point": p.point,
        "value": p.value,
        "kind": p.kind,
        "index": p.index,
        "eigenvalues": np.linalg.eigvalsh(f.hessian(p.point)),
        "on_boundary": p.on_boundary,
        "certified": True,
    }


def _searched(f: Objective) -> Reply:
    """Stationary points of a Python function: Newton's method from many places; nothing is proved."""
    began = time.perf_counter()
    places = f.domain[:, 0] + f.widths * np.random.default_rng([0, 0xD1]).random((512, f.dim))
    ends, found = polish(f, places)
    inside = found & ((ends >= f.domain[:, 0]) & (ends <= f.domain[:, 1])).all(axis=1)
    ends = ends[inside]
    cells = np.round((ends - f.domain[:, 0]) / (1e-6 * f.widths))
    ends = ends[np.unique(cells, axis=0, return_index=True)[1]] if len(ends) else ends
    known = classify(f, ends)
    points = [
        {
            "point": x,
            "value": value,
            "kind": str(kind),
            "eigenvalues": values,
            "on_boundary": False,
            "certified": False,
        }
        for x, value, kind, values in zip(
            known.points, known.values, known.kinds, known.eigenvalues, strict=True
        )
        if kind
    ]
    names, counts = np.unique([p["kind"] for p in points], return_counts=True)
    return reply(
        {
            "points": points[:MOST_POINTS],
            "found": len(points),
            "counts": dict(zip(names.tolist(), counts.tolist(), strict=True)),
            "complete": False,
            "undecided": 0,
            "sentence": f"{len(points)} stationary points found by Newton's method from 512 places. Nothing is "
            "proved: a proof needs a formula.",
            "seconds": time.perf_counter() - began,
        }
    )
