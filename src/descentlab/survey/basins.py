"""Basin maps: which minimum every pixel of the plane leads to, by which optimizer, at which rate.

A map is a survey whose starts are pixel centres: the same jobs, chunks, catalogue of minima and outcomes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.descent import prepare, read_starts, whole_number
from descentlab.engine import Progress
from descentlab.errors import InputError, unknown
from descentlab.objective import Objective
from descentlab.reproduce import Call
from descentlab.survey.basin_results import BasinMap, BasinStrip, centres
from descentlab.survey.chunk import Job
from descentlab.survey.executors import compute
from descentlab.survey.minima import Catalogue, Minimum
from descentlab.survey.starts import read_design
from descentlab.survey.statistics import wilson
from descentlab.survey.survey import CHUNK, _settled, _tolerance, _value_scale
from descentlab.sweep import _check_used, _own, entries

Array = NDArray[np.float64]

# 4096 × 4096: ends, fates and steps of that many take 0.4 GB.
MOST_PIXELS = 1 << 24
MOST_MAPS = 64
_DEFAULTS = {
    "resolution": 512,
    "optimizer": "gd",
    "learning_rate": "auto",
    "steps": 10_000,
    "tolerance": None,
    "bounds": "clip",
    "seed": 0,
    "plane": None,
    "at": None,
}


def basin_map(
    f: Objective,
    resolution: int | tuple[int, int] = 512,
    optimizer: Any = "gd",
    learning_rate: Any = "auto",
    steps: int = 10_000,
    tolerance: float | None = None,
    bounds: str = "clip",
    seed: int = 0,
    plane: tuple[str, str] | None = None,
    at: Any = None,
    executor: Any = None,
    progress: Progress | None = None,
    **parameters: float,
) -> BasinMap:
    """Descend from every pixel of the box; return which minimum each one leads to.

    resolution: pixels along each side, or a pair: along the first variable, along the second. Pixel
    (row, column) stands for its centre: column i lies at low + (i + ½)·width/columns of the first variable,
    row j likewise of the second, so row 0 is the lowest. optimizer, learning_rate, steps, tolerance,
    bounds, executor and the optimizer's `parameters`: as for `survey`. With more than two variables, name
    two of them as `plane`; descent then begins with the others at the point `at` (dim,), by default the
    middle of the box, and is free to leave the plane. progress: called with the share of pixels done.

    Raises InputError for input that cannot be used.

    >>> from descentlab.objective import formula
    >>> f = formula("(x^2 - 1)^2 + y^2", domain={"x": (-2, 2), "y": (-1, 1)})
    >>> m = basin_map(f, resolution=(8, 4), learning_rate=0.05)
    >>> m.assignment[0].tolist(), m.shares.tolist()
    ([0, 0, 0, 0, 1, 1, 1, 1], [0.5, 0.5])
    """
    shared = resolution, steps, tolerance, bounds, seed, plane, at
    maps, _ = _maps(f, [(optimizer, learning_rate, parameters)], shared, executor, progress)
    return maps[0]


def basin_strip(
    f: Objective,
    learning_rate: Any = "auto",
    optimizer: Any = "gd",
    resolution: int | tuple[int, int] = 256,
    steps: int = 10_000,
    tolerance: float | None = None,
    bounds: str = "clip",
    seed: int = 0,
    plane: tuple[str, str] | None = None,
    at: Any = None,
    executor: Any = None,
    progress: Progress | None = None,
    **parameters: float,
) -> BasinStrip:
    """Draw up one basin map for every optimizer × learning rate: a basin belongs to both.

    learning_rate, optimizer: one entry as for `basin_map`, or a list; each optimizer takes those of the
    `parameters` that it has. All rates of one rule are one compilation an optimizer. The maps share one
    list of minima, so that a minimum has the same index in all. Other settings: as for `basin_map`.

    Raises InputError for input that cannot be used.

    >>> from descentlab.objective import formula
    >>> f = formula("(x^2 - 1)^2 + y^2", domain={"x": (-2, 2), "y": (-1, 1)})
    >>> strip = basin_strip(f, [0.05, 0.24], resolution=8)
    >>> strip.shape, strip.labels
    ((1, 2), ('gd at 0.05', 'gd at 0.24'))
    """
    names, rates = entries(optimizer, "optimizers"), entries(learning_rate, "learning rates")
    if len(names) * len(rates) > MOST_MAPS:
        raise InputError(
            f"A strip has at most {MOST_MAPS} maps, but {len(names)} optimizers × {len(rates)} rates are given."
        )
    _check_used(parameters, names)
    methods = [(name, rate, _own(name, parameters)) for name in names for rate in rates]
    shared = resolution, steps, tolerance, bounds, seed, plane, at
    call = _call(shared, optimizer, learning_rate, parameters)
    # The command draws up a map where there is one: the resolution, whose default differs, is always said.
    call = replace(call, defaults={name: _DEFAULTS[name] for name in _DEFAULTS if name != "resolution"})
    maps, minima = _maps(f, methods, shared, executor, progress)
    return BasinStrip(f, maps, minima, (len(names), len(rates)), call)


def _call(shared: tuple[Any, ...], optimizer: Any, rate: Any, parameters: dict[str, float]) -> Call:
    names = "resolution", "steps", "tolerance", "bounds", "seed", "plane", "at"
    given = dict(zip(names, shared, strict=True)) | {"optimizer": optimizer, "learning_rate": rate}
    return Call({name: given[name] for name in _DEFAULTS}, dict(parameters), _DEFAULTS)


def _maps(
    f: Objective,
    methods: Sequence[tuple[Any, Any, dict[str, float]]],
    shared: tuple[Any, ...],
    executor: Any,
    progress: Progress | None,
) -> tuple[tuple[BasinMap, ...], tuple[Minimum, ...]]:
    """Return a map for each method, and all minima that any of them reaches, lowest first."""
    resolution, steps, tolerance, bounds, seed, plane, at = shared
    limit = _tolerance(f, tolerance, "float64")
    setups = [
        prepare(f, name, rate, steps, limit, bounds, seed, "float64", own, ascent=False)
        for name, rate, own in methods
    ]
    columns, rows = read_resolution(resolution)
    pair, point = _read_plane(f, plane, at)
    starts = read_design("uniform", _pixels(f, pair, point, columns, rows), f, setups[0].seed)
    jobs = [_settled(Job(setup, starts, _value_scale(f))) for setup in setups]
    catalogue = Catalogue(f, jobs[0].value_scale)
    found = []
    for k, job in enumerate(jobs):
        share = None if progress is None else (lambda s, k=k: progress((k + s) / len(jobs)))
        found.append(_descend(job, catalogue, executor, share))
    minima, ranks = catalogue.minima()
    maps = []
    for method, job, (ids, outcomes, taken, ends) in zip(methods, jobs, found, strict=True):
        assignment = np.append(ranks, np.int32(-1))[ids]
        setup = job.setup
        maps.append(
            BasinMap(
                f,
                _counted(minima, assignment, taken),
                assignment.reshape(rows, columns),
                taken.reshape(rows, columns),
                outcomes.reshape(rows, columns),
                ends.reshape(rows, columns, f.dim),
                tuple(f.names[i] for i in pair),
                point,
                setup.method.optimizer.label,
                setup.method.rate.label,
                setup.steps,
                setup.tolerance or 0.0,
                bounds,
                setup.seed,
                job.value_scale,
                _call(shared, *method),
            )
        )
    return tuple(maps), minima


def _descend(
    job: Job, catalogue: Catalogue, executor: Any, progress: Progress | None
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int32], Array]:
    """Return, for every pixel, the minimum's id or −1, the outcome's index, the steps and the end."""
    count, dim = job.starts.count, job.objective.dim
    ids, outcomes = np.empty(count, np.int32), np.empty(count, np.int8)
    taken, ends = np.empty(count, np.int32), np.empty((count, dim))
    ranges = [(first, min(CHUNK, count - first)) for first in range(0, count, CHUNK)]
    with contextlib.closing(compute(job, ranges, executor)) as chunks:
        for chunk, (first, size) in zip(chunks, ranges, strict=True):
            here = slice(first, first + size)
            ids[here] = catalogue.add(chunk)
            outcomes[here], taken[here], ends[here] = chunk.outcomes, chunk.taken, chunk.ends
            if progress is not None:
                progress((first + size) / count)
    return ids, outcomes, taken, ends


def _counted(
    minima: tuple[Minimum, ...], assignment: NDArray[np.int32], taken: NDArray[np.int32]
) -> tuple[Minimum, ...]:
    """Return the minima with the hits, shares and steps of one map."""
    hits = np.bincount(assignment[assignment >= 0], minlength=len(minima))
    order = np.argsort(assignment, kind="stable")
    ends = np.cumsum(hits) + np.count_nonzero(assignment < 0)
    return tuple(
        replace(
            minimum,
            hits=int(n),
            share=int(n) / assignment.size,
            share_interval=wilson(int(n), assignment.size),
            steps=float(np.median(taken[order[end - n : end]])) if n else float("nan"),
        )
        for minimum, n, end in zip(minima, hits, ends, strict=True)
    )


def read_resolution(given: Any) -> tuple[int, int]:
    """Return the pixels along the first and the second variable.

    >>> read_resolution(512), read_resolution((300, 200))
    ((512, 512), (300, 200))
    """
    pair = list(given) if isinstance(given, (list, tuple, np.ndarray)) else [given, given]
    if len(pair) != 2:
        raise InputError(f"The resolution is one number or two, but {len(pair)} are given.")
    columns, rows = (whole_number(n, "resolution", 2, MOST_PIXELS // 2) for n in pair)
    if columns * rows > MOST_PIXELS:
        raise InputError(
            f"A basin map has at most {MOST_PIXELS:,} pixels, but {columns:,} × {rows:,} are asked for."
        )
    return columns, rows


def _read_plane(f: Objective, plane: Any, at: Any) -> tuple[tuple[int, int], Array]:
    """Return the two variables of the plane, by index, and the point it goes through, (dim,)."""
    if f.dim < 2:
        raise InputError(
            "A basin map needs two variables, but f has one; a survey shows where its starts end."
        )
    names = list(f.names)
    if plane is None:
        if f.dim > 2:
            raise InputError(
                f"A basin map shows two variables, but f has {f.dim}. Name two as the plane, such as "
                f"plane=('{names[0]}', '{names[1]}'); descent begins with the others at the point `at`."
            )
        plane = names
    pair = [str(name) for name in ([plane] if isinstance(plane, str) else plane)]
    for name in pair:
        if name not in names:
            raise unknown("variable", name, names)
    if len(set(pair)) != 2 or len(pair) != 2:
        raise InputError(f"The plane is two different variables; got {', '.join(pair) or 'none'}.")
    middle = f.domain.mean(axis=1)
    if at is None:
        return (names.index(pair[0]), names.index(pair[1])), middle
    point = read_starts(at, f, 0)
    if isinstance(at, (int, np.integer)) or len(point) != 1:
        raise InputError(
            f"The plane goes through one point `at` of {f.dim} coordinates ({', '.join(names)})."
        )
    return (names.index(pair[0]), names.index(pair[1])), point[0]


def _pixels(f: Objective, pair: tuple[int, int], point: Array, columns: int, rows: int) -> Array:
    """Return the pixels' centres, row by row from the lowest, (pixel, dim)."""
    starts = np.tile(point, (rows * columns, 1))
    starts[:, pair[0]] = np.tile(centres(f.domain[pair[0]], columns), rows)
    starts[:, pair[1]] = np.repeat(centres(f.domain[pair[1]], rows), columns)
    return starts
