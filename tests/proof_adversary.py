"""Contradict proofs: dense multi-start in doubles, and the exact value of everything at points, by python-flint.

Nothing here is shared with descentlab.certify: derivatives are SymPy's, numbers are balls of 300 bits.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace

import flint
import numpy as np
from flint import arb, arb_mat
from sympy import Symbol

from descentlab.certify.boxes import LOWER, UPPER, Boxes, joined
from descentlab.certify.enclose import Model
from descentlab.certify.points import certified, inside_unique
from descentlab.certify.result import Certificate, CertifiedPoint, LowestValue, Region
from descentlab.certify.search import Findings, Limits, Search
from descentlab.certify.winding import winding
from descentlab.differentiate import derivatives
from descentlab.objective import FormulaObjective
from descentlab.program import Operation, Program, compile_program, integer_power
from formula_generator import Drawn

BITS = 300
FEW = Limits(boxes=20_000, waiting=200_000, seconds=3.0)


@dataclass
class Outcome:
    """What a proof claimed and what contradicts it."""

    complete: bool = False
    points: int = 0
    undecided: int = 0
    roots_checked: int = 0
    seconds: float = 0.0
    contradictions: list[str] = field(default_factory=list)


# ── exact values ──────────────────────────────────────────────────────────────────────────────


def exact_constant(op: Operation) -> arb:
    if op.exact is not None and op.exact.is_Rational:
        return arb(int(op.exact.p)) / arb(int(op.exact.q))
    return arb(str(op.exact.evalf(flint.ctx.dps + 15))) if op.exact is not None else arb(op.number)


def exact_run(program: Program, point: Sequence[arb]) -> list[arb]:
    """Return the outputs of `program` at a point, as balls."""
    results: list[arb] = []
    for op in program.operations:
        if op.name == "constant":
            results.append(exact_constant(op))
        elif op.name == "input":
            results.append(point[int(op.number)])
        elif op.name == "integer_power":
            results.append(integer_power(results[op.arguments[0]], int(op.number)))
        else:
            arguments = [results[a] for a in op.arguments]
            # Some functions of balls are bounded, and known, even of nothing: erf(NaN) = [−1, 1].
            known = all(u.is_finite() for u in arguments)
            results.append(EXACT[op.name](*arguments) if known else arb.nan())
    return [results[i] for i in program.outputs]


def _sign(u: arb) -> arb:
    return u.sgn()


def _step(u: arb) -> arb:
    return arb(0) if u.is_zero() else (_sign(u) + 1) / 2


def _cbrt(u: arb) -> arb:
    return arb(0) if u.is_zero() else _sign(u) * abs(u).root(3)


def _power(u: arb, v: arb) -> arb:
    if u.is_zero():
        return arb(0) if v > 0 else arb.nan()
    return u**v if u > 0 else arb.nan()


def _atan2(u: arb, v: arb) -> arb:
    return arb.nan() if u.is_zero() and v.is_zero() else arb.atan2(u, v)


EXACT = {
    "add": lambda u, v: u + v,
    "subtract": lambda u, v: u - v,
    "multiply": lambda u, v: u * v,
    "divide": lambda u, v: arb.nan() if v.is_zero() else u / v,
    "negative": lambda u: -u,
    "sqrt": lambda u: u.sqrt(),
    "power": _power,
    "exp": lambda u: u.exp(),
    "log": lambda u: u.log() if u > 0 else arb.nan(),
    "cbrt": _cbrt,
    "sin": lambda u: u.sin(),
    "cos": lambda u: u.cos(),
    "tan": lambda u: u.tan(),
    "asin": lambda u: u.asin(),
    "acos": lambda u: u.acos(),
    "atan": lambda u: u.atan(),
    "atan2": _atan2,
    "sinh": lambda u: u.sinh(),
    "cosh": lambda u: u.cosh(),
    "tanh": lambda u: u.tanh(),
    "asinh": lambda u: u.asinh(),
    "acosh": lambda u: u.acosh(),
    "atanh": lambda u: u.atanh() if -1 < u < 1 else arb.nan(),
    "erf": lambda u: u.erf(),
    "abs": lambda u: abs(u),
    "sign": _sign,
    "step": _step,
    "relu": lambda u: u.max(arb(0)),
    "min": lambda u, v: u.min(v),
    "max": lambda u, v: u.max(v),
    "sigmoid": lambda u: 1 / (1 + (-u).exp()),
    "softplus": lambda u: (1 + u.exp()).log(),
}


def by_sympy(f: FormulaObjective) -> tuple[Program, Program]:
    """Return the programs of value and gradient, and of the Hessian's upper triangle, that SymPy's derivatives make."""
    symbols = [Symbol(name) for name in f.names]
    partials = [f.expression.diff(symbol) for symbol in symbols]
    hessian = [partial.diff(symbol) for i, partial in enumerate(partials) for symbol in symbols[i:]]
    return compile_program([f.expression, *partials], f.names), compile_program(hessian, f.names)


class Exact:
    """Value, gradient and Hessian of a formula at points, by SymPy's derivatives in balls of 300 bits."""

    def __init__(self, f: FormulaObjective) -> None:
        self.dim, self.width = f.dim, f.widths
        self._value = f.value_program
        self._slopes, self._bends = by_sympy(f)

    def in_simplest_form(self) -> Exact:
        """Return the same with the program's own derivatives: SymPy's may divide by zero where f is smooth."""
        other = copy(self)
        program = derivatives(self._value)
        other._slopes = replace(program, outputs=program.outputs[: 1 + self.dim])
        other._bends = replace(program, outputs=program.outputs[1 + self.dim :])
        return other

    def value(self, x: Sequence[arb]) -> arb:
        return exact_run(self._value, x)[0]

    def gradient(self, x: Sequence[arb]) -> list[arb]:
        return exact_run(self._slopes, x)[1:]

    def hessian(self, x: Sequence[arb]) -> list[list[arb]]:
        entries = iter(exact_run(self._bends, x))
        h = [[arb(0)] * self.dim for _ in range(self.dim)]
        for i in range(self.dim):
            for j in range(i, self.dim):
                h[i][j] = h[j][i] = next(entries)
        return h

    def root(self, start: np.ndarray, free: np.ndarray) -> list[arb] | None:
        """Return balls around the root of ∇f over the free coordinates that Newton's method finds, or None."""
        x = [arb(float(v)) for v in start]
        places = np.flatnonzero(free)
        for _ in range(60):
            g, h = self.gradient(x), self.hessian(x)
            matrix = arb_mat([[h[i][j] for j in places] for i in places])
            try:
                step = matrix.solve(arb_mat([[g[i]] for i in places]))
            except ZeroDivisionError:
                return None
            if not all(step[k, 0].is_finite() for k in range(len(places))):
                return None
            small = True
            for k, i in enumerate(places):
                s = step[k, 0].mid()
                small &= bool(
                    abs(s) < (abs(x[i]) + arb(float(self.width[i]))) * arb(2) ** (-flint.ctx.prec * 7 // 10)
                )
                x[i] = (x[i] - s).mid()
            if small:
                return self._proved(x, places)
        return None

    def closer_root(self, start: np.ndarray, free: np.ndarray) -> list[arb] | None:
        """Return the same from ten times the bits, to tell a root on a face from one beside it."""
        flint.ctx.prec = 10 * BITS
        x = self.root(start, free)
        flint.ctx.prec = BITS
        return x

    def _proved(self, x: list[arb], places: np.ndarray) -> list[arb] | None:
        """Return balls two thirds of the bits deep around x that hold one root, by Newton's interval operator."""
        ball = list(x)
        for i in places:
            ball[i] = arb(
                x[i], (abs(x[i]) + arb(float(self.width[i]))) * arb(2) ** (-flint.ctx.prec * 2 // 3)
            )
        g, h = self.gradient(x), self.hessian(ball)
        matrix = arb_mat([[h[i][j] for j in places] for i in places])
        try:
            step = matrix.solve(arb_mat([[g[i]] for i in places]))
        except ZeroDivisionError:
            return None
        inside = all(bool(abs(step[k, 0]) < ball[i].rad()) for k, i in enumerate(places))
        return ball if inside and self.value(ball).is_finite() else None

    def negative(self, x: Sequence[arb], free: np.ndarray) -> int | None:
        """Return the number of negative eigenvalues over the free coordinates, None if the Hessian may be singular.

        All roots of the characteristic polynomial are real, so Descartes' rule of signs is exact.
        """
        places, h = np.flatnonzero(free), self.hessian(x)
        matrix = arb_mat([[h[i][j] for j in places] for i in places])
        coefficients = list(matrix.charpoly())
        if not all(c.is_finite() for c in coefficients) or coefficients[0].contains(0):
            return None
        flipped = [c * (-1) ** k for k, c in enumerate(coefficients)]
        signs = [1 if c > 0 else -1 for c in flipped if c > 0 or c < 0]
        return sum(a != b for a, b in itertools.pairwise(signs))


def exactly(x: np.ndarray) -> list[arb]:
    return [arb(float(v)) for v in x]


def outside(u: arb, low: float, high: float) -> bool:
    """Tell whether the ball u certainly leaves [low, high]; a bound that is NaN says nothing."""
    return bool(u < arb(float(low)) if low > -np.inf else False) or bool(
        u > arb(float(high)) if high < np.inf else False
    )


def may_hold(low: np.ndarray, high: np.ndarray, x: Sequence[arb]) -> bool:
    return not any(outside(u, a, b) for u, a, b in zip(x, low, high, strict=True))


# ── multi-start ───────────────────────────────────────────────────────────────────────────────


def patterns(dim: int) -> list[np.ndarray]:
    """Return which coordinates are held at a bound on each face that has free ones; the interior first."""
    every = sorted(itertools.product((0, -1, 1), repeat=dim), key=lambda held: sum(map(abs, held)))
    return [np.array(held) for held in every if 0 in held]


def newton(
    f: FormulaObjective, rng: np.random.Generator, starts: int = 200
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (point, held) of the stationary points that Newton's method finds in the box and on its faces."""
    low, high = f.domain.T
    x, held = [], []
    for pattern in patterns(f.dim):
        count = starts if not pattern.any() else max(12, starts // 8)
        some = low + (high - low) * rng.random((count, f.dim))
        some = np.where(pattern < 0, low, np.where(pattern > 0, high, some))
        x.append(some)
        held.append(np.tile(pattern, (count, 1)))
    x, held = np.concatenate(x), np.concatenate(held)
    found: dict[tuple[object, ...], tuple[np.ndarray, np.ndarray]] = {}
    with np.errstate(all="ignore"):
        for _ in range(30):
            free = held == 0
            g, h = np.where(free, f.gradient(x), 0), f.hessian(x)
            both = free[:, :, None] & free[:, None, :]
            size = np.abs(np.where(both, h, 0)).max((1, 2))
            usable = np.isfinite(g).all(1) & np.isfinite(h).all((1, 2)) & (size > 0)
            h = np.where(both, h, size[:, None, None] * np.eye(f.dim)) / size[:, None, None]
            h[~usable] = np.eye(f.dim)
            usable &= np.abs(np.linalg.det(h)) > 1e-13
            x, held, g, h, size = x[usable], held[usable], g[usable], h[usable], size[usable]
            if not len(x):
                break
            step = -np.linalg.solve(h, (g / size[:, None])[..., None])[..., 0]
            step = np.clip(np.where(held == 0, step, 0), -(high - low) / 4, (high - low) / 4)
            x = x + step
            fine = (np.abs(step) <= 1e-10 * (high - low) + 8 * np.spacing(np.abs(x))).all(1)
            inside = ((x >= low) & (x <= high)).all(1)
            for i in np.flatnonzero(fine & inside):
                key = (*np.round((x[i] - low) / (high - low), 9), *held[i])
                found.setdefault(key, (x[i], held[i]))
            near = ((x > low - (high - low)) & (x < high + (high - low))).all(1)
            x, held = x[near & ~fine], held[near & ~fine]
    return list(found.values())


# ── the checks ────────────────────────────────────────────────────────────────────────────────


def face_of(p: CertifiedPoint, domain: np.ndarray) -> np.ndarray:
    """Return which coordinates the proof held; `held` also names faces that a box merely touches."""
    fixed = p.box[:, 0] == p.box[:, 1]
    return np.where(fixed, np.where(p.box[:, 0] == domain[:, 0], -1, 1), 0)


def inward_signs(exact: Exact, x: Sequence[arb], held: np.ndarray) -> set[int]:
    """Return the signs of the slopes of f into the box at a face; 0 if one may be zero."""
    g = exact.gradient(x)
    slopes = [g[i] * -int(held[i]) for i in np.flatnonzero(held)]
    return {1 if s > 0 else -1 if s < 0 else 0 for s in slopes}


def check_point(exact: Exact, p: CertifiedPoint, domain: np.ndarray) -> tuple[list[arb] | None, list[str]]:
    """Contradict what is claimed of one certified point; also return where it really is."""
    held = face_of(p, domain)
    free = held == 0
    if not free.any():
        x: list[arb] | None = exactly(p.box[:, 0])
    else:
        x = exact.root(p.point, free) or exact.in_simplest_form().root(p.point, free)
    claim = f"{p.kind} in {p.box.tolist()}"
    if x is None:
        return None, [f"no root near the certified {claim}"]
    wrong = []
    if not may_hold(p.box[:, 0], p.box[:, 1], x):
        wrong.append(f"the root {[str(u) for u in x]} lies outside the box of the certified {claim}")
    if not may_hold(p.unique_in[:, 0], p.unique_in[:, 1], x):
        wrong.append(f"the root lies outside unique_in of the certified {claim}")
    beside = not ((p.box[:, 0] <= domain[:, 1]) & (p.box[:, 1] >= domain[:, 0])).all()
    if beside or (not may_hold(domain[:, 0], domain[:, 1], x) and not p.touches):
        wrong.append(f"outside the domain: the certified {claim}")
    if outside(exact.value(x), *p.value_interval):
        wrong.append(f"value {exact.value(x)} outside {p.value_interval} at the certified {claim}")
    count = int(free.sum())
    negative = exact.negative(x, free) if count else 0
    if negative is not None and p.index is not None and negative != p.index:
        wrong.append(f"index {negative}, not {p.index}, at the certified {claim}")
    signs = inward_signs(exact, x, held)
    if negative is not None and 0 not in signs:
        up, down = signs <= {1}, signs <= {-1}
        kind = "minimum" if up and negative == 0 else "maximum" if down and negative == count else "saddle"
        if count == 0:
            kind = "minimum" if signs == {1} else "maximum" if signs == {-1} else "neither"
        if p.kind not in (kind, "unknown"):
            wrong.append(f"it is a {kind}, not the certified {claim}")
    if count and negative is not None:
        places, h = np.flatnonzero(free), exact.hessian(x)
        matrix = np.array([[float(h[i][j].mid()) for j in places] for i in places])
        if np.isfinite(matrix).all():
            values = np.linalg.eigvalsh(matrix)
            slack = 1e-12 * np.abs(values).max()
            if (values < p.eigenvalues[:, 0] - slack).any() or (values > p.eigenvalues[:, 1] + slack).any():
                wrong.append(
                    f"eigenvalues {values} outside {p.eigenvalues.tolist()} at the certified {claim}"
                )
    return x, wrong


def check_points(
    f: FormulaObjective,
    exact: Exact,
    points: list[CertifiedPoint],
    left: Boxes,
    rng: np.random.Generator,
    most: int,
    touching: bool = False,
) -> tuple[int, list[str]]:
    """Contradict the list of points: wrong, missing, twice; look at `most` of either. Return also how many roots.

    touching: whether a point that touches a face within rounding stands for the one on that face too.
    """
    wrong: list[str] = []
    chosen = [points[i] for i in rng.permutation(len(points))[: most // 2]]
    places: list[tuple[CertifiedPoint, list[arb]]] = []
    for p in chosen:
        x, more = check_point(exact, p, f.domain)
        wrong += more
        if x is not None:
            places.append((p, x))
    width = f.domain[:, 1] - f.domain[:, 0]
    for p, q in itertools.islice(_neighbours(points, f.domain), 10):
        a, b = (check_point(exact, r, f.domain)[0] for r in (p, q))
        if (
            a is not None
            and b is not None
            and all(abs(u - v) < arb(10) ** -35 * arb(float(w)) for u, v, w in zip(a, b, width, strict=True))
        ):
            wrong.append(f"one {p.kind} certified twice: {p.box.tolist()} and {q.box.tolist()}")
    found = newton(f, rng)
    faces = [face_of(p, f.domain) for p in points]

    def matched(x: np.ndarray, held: np.ndarray) -> bool:
        return any(
            (np.abs(p.point - x) <= 1e-6 * width).all() and (h == held).all()
            for p, h in zip(points, faces, strict=True)
        )

    if len(points) * len(found) < 20_000:
        found.sort(key=lambda c: matched(*c))
    checked, slack = 0, 1e-6 * width + 16 * np.spacing(np.abs(f.domain).max())
    for start, held in found[:most]:
        free = held == 0
        x = exact.root(start, free)
        if x is not None and any(
            x[i].contains(arb(float(b))) for i in np.flatnonzero(free) for b in f.domain[i]
        ):
            x = exact.closer_root(start, free)
        if x is None or not may_hold(f.domain[:, 0], f.domain[:, 1], x) or exact.negative(x, free) is None:
            continue
        if held.any() and len(inward_signs(exact, x, held) | {0}) > 2:
            continue  # f rises into the box along one held coordinate and falls along another
        checked, near = checked + 1, np.array([float(u.mid()) for u in x])
        same_face = [p for p, h in zip(points, faces, strict=True) if (h == held).all()]
        known = [p for p in same_face if may_hold(p.box[:, 0], p.box[:, 1], x)]
        close = (near >= left.low - slack) & (near <= left.high + slack) & _reaches(left, held)
        open_boxes = any(may_hold(left.low[k], left.high[k], x) for k in np.flatnonzero(close.all(axis=1)))
        touched = any(p.touches and may_hold(p.box[:, 0], p.box[:, 1], x) for p in points)
        if not known and not open_boxes and not (touching and touched):
            wrong.append(f"missed: a stationary point at {[str(u.str(20)) for u in x]}, held {held.tolist()}")
        for p in same_face:
            strictly = all(a < u and u < b for u, (a, b) in zip(x, p.unique_in, strict=True) if a < b)  # type: ignore[operator]
            if strictly and not may_hold(p.box[:, 0], p.box[:, 1], x):
                wrong.append(
                    f"a second root {[str(u.str(20)) for u in x]} in unique_in {p.unique_in.tolist()}"
                )
    return checked + len(chosen), wrong


def _reaches(left: Boxes, held: np.ndarray) -> np.ndarray:
    """Tell along which coordinates undecided boxes speak of the face `held`, (n, dim)."""
    end = np.where(held < 0, LOWER, np.where(held > 0, UPPER, 0))
    return (left.held == held) | ((left.held == 0) & ((left.ends & end) != 0))


def _neighbours(points: list[CertifiedPoint], domain: np.ndarray):  # type: ignore[no-untyped-def]
    """Yield pairs of points whose boxes lie on one face and close together."""
    width = domain[:, 1] - domain[:, 0]
    order = sorted(points, key=lambda p: p.point[0])
    for i, p in enumerate(order):
        for q in order[i + 1 :]:
            if q.point[0] - p.point[0] > 1e-6 * width[0]:
                break
            if (np.abs(p.point - q.point) <= 1e-6 * width).all() and (
                face_of(p, domain) == face_of(q, domain)
            ).all():
                yield p, q


def check_extrema_1d(
    f: FormulaObjective, exact: Exact, points: list[CertifiedPoint], left: Boxes
) -> list[str]:
    """In one variable, every dip and bump of the values on a fine grid brackets a point or something undecided."""
    low, high = f.domain[0]
    x = low + (high - low) * np.linspace(0, 1, 3001)
    x[-1] = high
    value = f.value(x[:, None])
    with np.errstate(all="ignore"):
        turn = (np.diff(value)[:-1] < 0) & (np.diff(value)[1:] > 0)
        turn |= (np.diff(value)[:-1] > 0) & (np.diff(value)[1:] < 0)
    wrong = []
    for i in np.flatnonzero(turn)[:: max(1, int(turn.sum()) // 40)] + 1:
        a, b = x[i - 1], x[i + 1]
        if (
            any(p.box[0, 0] <= b and p.box[0, 1] >= a for p in points)
            or ((left.low <= b) & (left.high >= a)).any()
        ):
            continue
        u, v, w = (exact.value(exactly(x[[k]])) for k in (i - 1, i, i + 1))
        if (v < u and v < w) or (v > u and v > w):
            wrong.append(f"an extremum between {a!r} and {b!r} is neither certified nor undecided")
    return wrong


def check_lowest(
    f: FormulaObjective, exact: Exact, model: Model, findings: Findings, rng: np.random.Generator
) -> list[str]:
    """No value of f lies below what the search says of the lowest one."""
    low, high = f.domain.T
    roots, _ = model.value(findings.roots.low, findings.roots.high)
    kept = np.concatenate([np.atleast_1d(roots.lo), findings.floors])
    bound = float(np.where(np.isnan(kept), -np.inf, kept).min(initial=np.inf))
    x = low + (high - low) * rng.random((3000, f.dim))
    corners = np.array(list(itertools.product(*f.domain)))
    snapped = np.where(rng.random(x.shape) < 0.4, np.where(rng.random(x.shape) < 0.5, low, high), x)[:600]
    polished = [p for p, _ in newton(f, rng, 40)]
    x = np.concatenate(
        [x, snapped, corners, np.array([0.5 * low + 0.5 * high]), *(p[None] for p in polished)]
    )
    value = f.value(x)
    wrong = []
    for i in np.argsort(np.where(np.isnan(value), np.inf, value))[:6]:
        there = exact.value(exactly(x[i]))
        if (
            there.is_finite() and there < arb(bound)
            if np.isfinite(bound)
            else bound == np.inf and there.is_finite()
        ):
            wrong.append(f"f{x[i].tolist()} = {there.str(20)} is below the proved lowest value {bound!r}")
    if np.isfinite(findings.upper) and findings.upper < bound:
        wrong.append(f"the attained value {findings.upper!r} is below the proved lowest value {bound!r}")
    return wrong


def check_enclosures(
    f: FormulaObjective, exact: Exact, model: Model, rng: np.random.Generator, boxes: int = 20
) -> list[str]:
    """Value, gradient and Hessian at points of random boxes lie in their bounds."""
    low, high = f.domain.T
    size = (high - low) * 10.0 ** -rng.uniform(0, 9, (boxes, 1)) * rng.random((boxes, f.dim))
    a = np.clip(low + (high - low) * rng.random((boxes, f.dim)), low, high)
    snap = rng.random(a.shape)
    a = np.where(snap < 0.1, low, np.where(snap > 0.9, high, a))
    b = np.minimum(a + np.where(rng.random(a.shape) < 0.2, 0, size), high)
    with np.errstate(all="ignore"):
        e = model.curvatures(a, b)
        slopes, (value, trouble) = model.slopes(a, b), model.value(a, b)
    wrong = []
    for k in range(boxes):
        for share in (rng.random(f.dim), rng.integers(0, 2, f.dim).astype(float)):
            x = np.clip(a[k] + share * (b[k] - a[k]), a[k], b[k])
            wrong += [
                f"at {x.tolist()} of the box {[a[k].tolist(), b[k].tolist()]}: {w}"
                for w in _enclosed(exact, e, k, exactly(x))
            ]
            there = exact.value(exactly(x))
            if there.is_finite() and (
                outside(there, slopes.value.lo[k], slopes.value.hi[k])
                or outside(there, value.lo[k], value.hi[k])
            ):
                wrong.append(f"value {there} at {x.tolist()} outside the bounds of value or slopes")
            if not there.is_finite() and not trouble.undefined[k]:
                wrong.append(f"f is undefined at {x.tolist()}, and value() does not say so")
    return wrong


def _enclosed(exact: Exact, e, k: int, x: list[arb]) -> list[str]:  # type: ignore[no-untyped-def]
    value, gradient, hessian = exact.value(x), exact.gradient(x), exact.hessian(x)
    wrong = []
    if value.is_finite():
        if outside(value, e.value.lo[k], e.value.hi[k]):
            wrong.append(f"value {value.str(20)} outside [{e.value.lo[k]!r}, {e.value.hi[k]!r}]")
        if e.trouble.nowhere[k]:
            wrong.append("f is said to be defined nowhere")
        for i, g in enumerate(gradient):
            if (
                g.is_finite()
                and not e.trouble.undefined[k]
                and outside(g, e.gradient.lo[k, i], e.gradient.hi[k, i])
            ):
                wrong.append(
                    f"partial {i} {g.str(20)} outside [{e.gradient.lo[k, i]!r}, {e.gradient.hi[k, i]!r}]"
                )
        smooth = not (e.trouble.undefined[k] or e.trouble.kinked[k])
        for i, j in itertools.combinations_with_replacement(range(len(x)), 2):
            h = hessian[i][j]
            if smooth and h.is_finite() and outside(h, e.hessian.lo[k, i, j], e.hessian.hi[k, i, j]):
                wrong.append(
                    f"H{i}{j} {h.str(20)} outside [{e.hessian.lo[k, i, j]!r}, {e.hessian.hi[k, i, j]!r}]"
                )
    elif not e.trouble.undefined[k]:
        wrong.append("f is undefined there, and nothing says so")
    return wrong


def contradict(
    drawn: Drawn, f: FormulaObjective, seed: int = 0, limits: Limits = FEW, most: int = 25
) -> Outcome:
    """Prove the stationary points and the lowest value of a drawn formula, and try to contradict each."""
    began = time.perf_counter()
    rng = np.random.Generator(np.random.PCG64([7, seed]))
    flint.ctx.prec = BITS
    model, exact, out = Model(f.value_program), Exact(f), Outcome()
    findings = Search(model, f.domain, limits).run()
    points, unsure = certified(model, f.domain, findings)
    loose = findings.undecided.closed | ~inside_unique(findings.undecided, findings.unique)
    left = joined([findings.undecided[loose], unsure])
    out.complete, out.points, out.undecided = not len(left), len(points), len(left)
    upper = np.inf
    if rng.random() < 0.5:
        start = exactly(f.domain[:, 0] + (f.domain[:, 1] - f.domain[:, 0]) * rng.random(f.dim))
        there = exact.value(start)
        upper = float((there.mid() + there.rad()).upper()) if there.is_finite() else np.inf
        upper = float(np.nextafter(upper, np.inf))
    search = Search(model, f.domain, limits, True, upper, float(rng.choice([0.0, 1e-6, 1e-3])))
    lowest = search.run()
    out.seconds = time.perf_counter() - began
    wrong = check_enclosures(f, exact, model, rng)
    out.roots_checked, more = check_points(f, exact, points, left, rng, most)
    wrong += more
    if f.dim == 1:
        wrong += check_extrema_1d(f, exact, points, left)
    wrong += check_lowest(f, exact, model, lowest, rng)
    if f.dim == 2 and out.complete:
        turns = winding(model, f.domain)
        count = sum((-1) ** p.index for p in points if not p.on_boundary and p.index is not None)
        # A point within rounding of a face may be inside, where it counts, or beside the box.
        touching = any(p.touches for p in points)
        if turns is not None and turns != count and not touching:
            wrong.append(f"∇f turns {turns} times round the edge, but the points make {count}")
    out.contradictions = [f"{drawn}\n    {w}" for w in wrong]
    return out


def contradict_certificate(
    drawn: Drawn, f: FormulaObjective, certificate: Certificate, seed: int = 0
) -> list[str]:
    """Contradict the lowest value, its minimizers, and that the regions hold everything undecided."""
    rng = np.random.Generator(np.random.PCG64([8, seed]))
    flint.ctx.prec = BITS
    exact, wrong = Exact(f), []
    regions = certificate.undecided
    left = Boxes(
        np.array([r.box[:, 0] for r in regions]).reshape(-1, f.dim),
        np.array([r.box[:, 1] for r in regions]).reshape(-1, f.dim),
        np.zeros((len(regions), f.dim), np.int8),
        np.full((len(regions), f.dim), LOWER | UPPER, np.int8),
    )
    points = [*certificate.points, *certificate.boundary]
    _, more = check_points(f, exact, points, left, rng, 20, touching=True)
    wrong += more
    if f.dim == 1:
        wrong += check_extrema_1d(f, exact, points, left)
    wrong += _lowest_contradicted(f, exact, certificate.lowest, rng)
    for region in regions:
        if region.holds_minimum and f.dim == 1:
            wrong += _no_dip(f, exact, region)
    return [f"{drawn}\n    {w}" for w in wrong]


def _lowest_contradicted(
    f: FormulaObjective, exact: Exact, lowest: LowestValue, rng: np.random.Generator
) -> list[str]:
    """Some values and polished points: none below the lowest value, none as low but outside of what may attain it."""
    low, high = f.domain.T
    polished = [p[None] for p, _ in newton(f, rng, 60)]
    corners = np.array(list(itertools.product(*f.domain)))
    x = np.concatenate([low + (high - low) * rng.random((2000, f.dim)), corners, *polished])
    value = f.value(x)
    bottom, top = lowest.interval
    wrong = [] if bottom <= top else [f"the lowest value is said to lie in {lowest.interval}"]
    attained: list[arb] = []
    for i in np.argsort(np.where(np.isnan(value), np.inf, value))[:8]:
        there = exact.value(exactly(x[i]))
        if not there.is_finite():
            continue
        if there < arb(bottom) if np.isfinite(bottom) else bottom > 0:
            wrong.append(f"f{x[i].tolist()} = {there.str(20)} is below the lowest value {lowest.interval}")
    for p in lowest.minimizers:
        held = face_of(p, f.domain)
        root = exact.root(p.point, held == 0) if (held == 0).any() else exactly(p.box[:, 0])
        if root is None or not may_hold(low, high, root):
            continue
        if exact.value(root) < arb(bottom):
            wrong.append(f"the minimizer {p.box.tolist()} is below the lowest value {lowest.interval}")
        attained.append(exact.value(root))
    if lowest.proved and attained and len(attained) == len(lowest.minimizers) and not lowest.regions:
        # Every global minimizer is listed, so nothing is below all that are.
        for i in np.argsort(np.where(np.isnan(value), np.inf, value))[:8]:
            there = exact.value(exactly(x[i]))
            if there.is_finite() and all(there < a for a in attained):
                wrong.append(f"f{x[i].tolist()} = {there.str(20)} is below every minimizer listed")
    return wrong


def _no_dip(f: FormulaObjective, exact: Exact, region: Region) -> list[str]:
    """In one variable: a region said to hold a minimum has its lowest sampled values inside, not on its rim."""
    low, high = f.domain[0]
    a, b = region.box[0]
    size = max(b - a, 64 * np.spacing(max(abs(a), abs(b))))
    for wider in (1e-3, 0.1, 1.0, 10.0, 100.0, 1000.0):
        x = np.linspace(max(low, a - wider * size), min(high, b + wider * size), 401)
        values = [exact.value(exactly(x[[k]])) for k in range(len(x))]
        if not all(v.is_finite() for v in values):
            return []
        best = min(range(len(x)), key=lambda k: float(values[k].mid() - values[0].mid()))
        if a - 1e-12 * size <= x[best] <= b + 1e-12 * size:
            return []
    return [f"no dip in the region {region.box.tolist()}, which is said to hold a minimum"]
