"""`certify`: every stationary point of a formula in its box, proved."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from descentlab.certify.enclose import Model
from descentlab.certify.hunt import spread
from descentlab.certify.intervals import LIBRARY_ULPS
from descentlab.certify.lowest import lowest_of, prove_lowest
from descentlab.certify.regions import settle
from descentlab.certify.result import Certificate, CertifiedPoint
from descentlab.certify.search import Limits, Progress, Search
from descentlab.certify.winding import winding
from descentlab.errors import InputError, WorkError
from descentlab.objective import FormulaObjective, Objective
from descentlab.reproduce import Call

_DEFAULTS = {"boxes": 5_000_000, "seconds": 60.0, "recheck": None}

# A Hessian of more variables is a program too long to build for a few boxes.
MOST_DIMENSIONS = 30

ASSUMPTIONS = (
    "The processor rounds + − × ÷ √ correctly (IEEE 754, to nearest).",
    f"The platform's exp, log, sin, cos and other functions err by at most {LIBRARY_ULPS // 2} ulp; "
    f"every bound is padded by {LIBRARY_ULPS} ulp or more.",
)


def certify(
    f: Objective,
    boxes: int = 5_000_000,
    seconds: float = 60.0,
    recheck: str | None = None,
    progress: Progress | None = None,
) -> Certificate:
    """Prove which stationary points f has in its box, of which kind, and its lowest value over the closed box.

    f: a formula; boxes, seconds: when to give up – what is undecided then is reported, never dropped; recheck: "arb"
    to prove each point again with python-flint; progress: called with (boxes examined, boxes waiting, points found).

    Interior points and points on the faces are proved by interval arithmetic: each lies alone in a box of known
    bounds, and there are no others outside `undecided`. Degenerate points (x⁴ at 0), kinks (|x|), and whole
    curves of stationary points end there, with the reason.

    Raises InputError for a Python function (a proof needs the formula), and for unusable limits.

    >>> import descentlab as dl
    >>> certificate = dl.certify(dl.formula("cos(2*pi*x) + x**2", domain={"x": (-2, 2)}))
    >>> certificate.counts
    {'minimum': 4, 'maximum': 3, 'saddle': 0}
    """
    began = time.perf_counter()
    model = model_of(f)
    limits = checked_limits(boxes, seconds)
    if recheck not in (None, "arb"):
        raise InputError(f"A certificate can be checked again by 'arb', not by {recheck!r}.")
    domain = f.domain
    findings = Search(model, domain, limits, progress=progress).run()
    points, left = settle(model, domain, findings)
    if recheck == "arb":
        from descentlab.certify.checking.arb import recheck_points

        recheck_points(f, points)
    lowest = lowest_of(model, points, left, scale=spread(model.full, domain))
    if not lowest.proved:  # what is undecided is often above the lowest value
        left_over = max(seconds - (time.perf_counter() - began), 0.1 * seconds)
        lowest = prove_lowest(model, domain, replace(limits, seconds=left_over)).lowest
    inside = tuple(p for p in points if not p.on_boundary)
    turns = winding(model, domain) if f.dim == 2 else None
    # A point within rounding of a face may turn ∇f or not.
    if turns is not None and not left and not any(p.touches for p in points):
        _check_turns(inside, turns)
    return Certificate(
        f,
        inside,
        tuple(p for p in points if p.on_boundary),
        left,
        lowest,
        turns,
        findings.examined,
        time.perf_counter() - began,
        ASSUMPTIONS,
        recheck,
        Call({"boxes": boxes, "seconds": seconds, "recheck": recheck}, defaults=_DEFAULTS),
    )


def _check_turns(inside: tuple[CertifiedPoint, ...], turns: int) -> None:
    """Raise WorkError if the points' indices do not add up to the turns of ∇f round the box."""
    kinds = [p.kind for p in inside]
    signs = sum({"saddle": -1}.get(kind, 1) for kind in kinds)
    if "unknown" not in kinds and signs != turns:
        raise WorkError(
            f"The proof contradicts itself: minima + maxima − saddles is {signs}, but ∇f turns {turns} times round "
            "the box. That is a fault of the lab; please report the formula."
        )


def model_of(f: Objective) -> Model:
    """Return the programs of a formula for proofs, made once for each objective."""
    if not isinstance(f, FormulaObjective):
        raise InputError(
            "A proof needs a formula; this objective is a Python function. "
            'Give it as text: dl.formula("…", domain=…). dl.survey and dl.minimize work without one.'
        )
    if f.dim > MOST_DIMENSIONS:
        raise InputError(
            f"A proof takes at most {MOST_DIMENSIONS} variables, and this formula has {f.dim}. "
            "dl.survey and dl.minimize say how sure one may be without one."
        )
    return Model(f.value_program)


def checked_limits(boxes: int, seconds: float) -> Limits:
    if not (isinstance(boxes, (int, np.integer)) and boxes >= 1):
        raise InputError(f"The limit on boxes is a whole number from 1 on, but it is {boxes!r}.")
    if not seconds > 0:
        raise InputError(f"The limit on time is a positive number of seconds, but it is {seconds!r}.")
    return Limits(boxes=int(boxes), seconds=float(seconds))
