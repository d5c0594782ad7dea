"""Surveys: descend from many starts, chunk by chunk, and count where they end."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.descent import prepare
from descentlab.engine import Rows
from descentlab.errors import InputError
from descentlab.objective import Objective
from descentlab.rates import curvature_of_box
from descentlab.reproduce import Call
from descentlab.small import PILOTS, is_small
from descentlab.survey.chunk import SURVEY_OUTCOMES, Chunk, Job
from descentlab.survey.executors import compute
from descentlab.survey.minima import Catalogue
from descentlab.survey.result import Survey
from descentlab.survey.starts import read_design
from descentlab.survey.statistics import chance_all_seen, unseen_interval, unseen_share
from descentlab.survey.store import Store, open_store
from descentlab.survey.watch import Snapshot, Watch, read_until, uninterrupted

_DEFAULTS = {
    "starts": 10_000,
    "optimizer": "gd",
    "learning_rate": "auto",
    "steps": 10_000,
    "tolerance": None,
    "bounds": "clip",
    "seed": 0,
    "design": "uniform",
    "precision": "float64",
    "store": None,
    "until": None,
}
# Starts are descended, judged and stored a chunk at a time. A survey that may stop early looks more often.
CHUNK, CHUNK_UNTIL = 65_536, 8_192
# A result holds this many starts one by one; of more it holds the counts.
KEPT = 1 << 20
# A start is done once its gradient is this small against the box's curvature times its side: in double
# precision four digits above the rounding of a gradient; in single precision at its rounding, because a flat
# part of the landscape must not count as done.
GRADIENT_DONE = {"float64": 1e-11, "float32": 1e-8}


def survey(
    f: Objective,
    starts: Any = 10_000,
    optimizer: Any = "gd",
    learning_rate: Any = "auto",
    steps: int = 10_000,
    tolerance: float | None = None,
    bounds: str = "clip",
    seed: int = 0,
    design: str = "uniform",
    precision: str = "float64",
    store: Any = None,
    executor: Any = None,
    until: str | None = None,
    progress: Watch | None = None,
    **parameters: float,
) -> Survey:
    """Descend from many starts; return the minima reached and the share of starts of each.

    starts: how many, or an array (start, dim) – shares are then of that array. design: how they are
    placed in the box – "uniform" (independent: only then are shares honest), "sobol", "latin",
    "grid" or "normal". The other settings are those of `descend`; tolerance None stands for 1e-11 of
    the box's largest curvature times its shortest side (1e-8 in float32), and learning_rate "auto"
    follows the curvature, so that scaling f or x changes nothing. bounds="clip" keeps to the box: the
    question is which minima it holds. precision="float32" descends in single precision and polishes
    in double.

    store: a folder for every start's end, as Parquet files; a survey that was interrupted goes on
    from there. executor: where chunks of starts are computed – None (this process, all cores), a
    number of worker processes, any concurrent.futures.Executor, or a dask.distributed.Client. until:
    "unseen<0.001" or "all_seen>0.99" stops early. progress: called with a `Snapshot` after every chunk.

    Raises InputError for input that cannot be used, WorkError where the work itself fails.

    >>> from descentlab.objective import formula
    >>> s = survey(formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)}), starts=1000)
    >>> len(s.minima), round(s.minima[0].value, 6), sum(s.outcomes.values())
    (4, -0.762077, 1000)
    """
    if starts is None:
        raise InputError("A survey needs a number of starts, or an array of them.")
    condition = read_until(until)
    limit = _tolerance(f, tolerance, precision)
    setup = prepare(
        f, optimizer, learning_rate, steps, limit, bounds, seed, precision, parameters, ascent=False
    )
    job = Job(setup, read_design(design, starts, f, setup.seed), _value_scale(f))
    if condition is not None and not job.starts.honest:
        raise InputError(
            f"until='{until}' rests on independent uniform starts, but the design is '{job.starts.design}'. "
            "Leave one of them out."
        )
    if store is None:  # to a store more starts may be added, and all must be computed alike
        job = _settled(job)
    size = CHUNK if condition is None else CHUNK_UNTIL
    catalogue, rows = Catalogue(f, job.value_scale), _Rows(f.dim)
    stopped = ""
    with open_store(store, job, size) as kept:
        done = _chunks(job, kept, executor)
        began, fresh = time.perf_counter(), 0
        try:
            for chunk, is_new in done:
                with uninterrupted():
                    reached = catalogue.add(chunk)
                    if is_new:
                        kept.write(chunk, reached)
                        fresh += len(reached)
                    else:
                        kept.confirm(chunk, reached)
                    rows.add(chunk, reached)
                seen = _snapshot(catalogue, job.starts.count, fresh, time.perf_counter() - began)
                if progress is not None:
                    progress(seen)
                if condition is not None and condition(seen) and seen.starts < seen.total:
                    stopped = f"until {until}"
                    break
        except KeyboardInterrupt:
            if not catalogue.starts:
                raise
            stopped = "interrupted"
        finally:
            done.close()
    given = {
        "starts": starts,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "steps": steps,
        "tolerance": tolerance,
        "bounds": bounds,
        "seed": seed,
        "design": design,
        "precision": precision,
        "store": None if store is None else str(store),
        "until": until,
    }
    return _result(job, catalogue, rows, stopped, Call(given, dict(parameters), _DEFAULTS))


def _chunks(job: Job, kept: Store, executor: Any) -> Generator[tuple[Chunk, bool], None, None]:
    """Yield the chunks in the order of their starts, and whether each was computed now."""
    total, size = job.starts.count, kept.size
    ranges = [(first, min(size, total - first)) for first in range(0, total, size)]
    missing = [each for each in ranges if not kept.has(*each)]
    new = set(missing)
    computed = compute(job, missing, executor)
    try:
        for first, count in ranges:
            if (first, count) in new:
                yield next(computed), True
            else:
                yield kept.read(first, count, whole=first < KEPT), False
    finally:
        computed.close()


class _Rows:
    """The first starts, one by one, as they come in."""

    def __init__(self, dim: int) -> None:
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._count = 0

    def add(self, chunk: Chunk, reached: NDArray[np.int32]) -> None:
        """Keep as many of the chunk's starts as there is room for."""
        room = min(KEPT - self._count, len(reached))
        if room <= 0:
            return
        columns = chunk.starts, chunk.ends, chunk.values, chunk.slopes, chunk.outcomes, reached, chunk.taken
        self._parts.append(tuple(column[:room] for column in columns))
        self._count += room

    def columns(self) -> list[NDArray[Any]]:
        """Return starts, ends, values, slopes, outcomes, ids of minima and steps."""
        return [np.concatenate(parts) for parts in zip(*self._parts, strict=True)]


def _snapshot(catalogue: Catalogue, total: int, fresh: int, seconds: float) -> Snapshot:
    hits = catalogue.hits_by_minimum()
    return Snapshot(
        catalogue.starts,
        total,
        fresh,
        seconds,
        len(hits),
        float(catalogue.values.min()) if len(hits) else None,
        unseen_share(hits.tolist(), catalogue.starts),
        unseen_interval(hits.tolist(), catalogue.starts)[1],
        chance_all_seen(len(hits), int(hits.sum())),
    )


def _result(job: Job, catalogue: Catalogue, rows: _Rows, stopped: str, call: Call) -> Survey:
    setup = job.setup
    minima, ranks = catalogue.minima()
    starts, ends, values, slopes, outcomes, ids, taken = rows.columns()
    counts = {
        word: int(count) for word, count in zip(SURVEY_OUTCOMES, catalogue.outcomes, strict=True) if count
    }
    return Survey(
        job.objective,
        minima,
        dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        catalogue.starts,
        starts,
        ends,
        values,
        slopes,
        np.array(SURVEY_OUTCOMES)[outcomes],
        np.append(ranks, -1)[ids].astype(np.int64),
        taken,
        setup.method.optimizer.label,
        setup.method.rate.label,
        setup.steps,
        setup.tolerance or 0.0,
        setup.method.bounds,
        setup.seed,
        job.starts.design,
        setup.method.precision,
        job.value_scale,
        stopped,
        call,
    )


def _settled(job: Job) -> Job:
    """Settle whether NumPy or JAX computes the survey: NumPy where compiling would not pay."""
    setup, count = job.setup, job.starts.count
    points = job.starts.points(0, min(PILOTS, count))
    pilots = Rows(points, np.full(len(points), setup.base_rate), np.full(len(points), setup.steps))
    if not is_small(setup.method, pilots, setup.tolerance, count):
        return job
    return replace(job, setup=replace(setup, method=replace(setup.method, arithmetic="numpy")))


def _tolerance(f: Any, given: float | None, precision: str) -> float | None:
    """Return the tolerance on the gradient norm that goes with the scale of f and of the box."""
    if given is not None or not isinstance(f, Objective) or precision not in GRADIENT_DONE:
        return given
    return GRADIENT_DONE[precision] * curvature_of_box(f) * float(f.widths.min())


def _value_scale(f: Objective) -> float:
    """Return how much f varies over the box: the median distance from its median at 256 random points."""
    points = np.random.default_rng([0, 0xC2]).random((256, f.dim))
    values = f.value(f.domain[:, 0] + f.widths * points)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0
    return float(np.median(np.abs(values - np.median(values))))
