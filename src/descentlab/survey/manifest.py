"""The manifest of a store: everything a survey's results depend on, and how two of them differ."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Any

import numpy as np

from descentlab.engine import Rows
from descentlab.errors import InputError
from descentlab.survey.chunk import Job

FORMAT = 1
Manifest = dict[str, Any]

# What rounds: another version of these may change last bits.
ROUNDS = ("descentlab", "jax", "jaxlib", "numpy", "optax", "scipy", "sympy")
# The starts told apart by their first points, and what a Python function is told apart by.
FIRST_STARTS, PROBES, PROBE_STEPS = 16, 8, 256
_ARRAY = "array"  # the design of starts that were given one by one


# What is told apart by the numbers it computes.
_COMPUTED = {"function": "the function", "schedule": "the schedule", "descents": "the optimizer"}


def describe(job: Job, size: int) -> Manifest:
    """Return what the results of a survey in chunks of `size` depend on, made of what JSON can say exactly.

    "settings" are the user's own, "derived" follows from them and tells Python functions, schedules
    and optax transformations apart by what they compute; "made with" is for the reader alone.
    """
    setup, f = job.setup, job.objective
    optimizer, rate = setup.method.optimizer, setup.method.rate
    settings = {
        "formula": f.text if f.text is not None else f"the Python function {f.label}",
        "negated": bool(getattr(f, "is_negated", False)),
        "variables": list(f.names),
        "domain": {name: side.tolist() for name, side in zip(f.names, f.domain, strict=True)},
        "declared": f.declared,
        "optimizer": optimizer.label if optimizer.row is None else optimizer.row.name,
        "parameters": dict(optimizer.parameters),
        "learning_rate": rate.label,
        "steps": setup.steps,
        "bounds": setup.method.bounds,
        "seed": setup.seed,
        "design": job.starts.design,
        "precision": setup.method.precision,
    }
    derived = {
        "tolerance": setup.tolerance,
        "base_rate": setup.base_rate,
        "value_scale": job.value_scale,
        "arithmetic": setup.method.arithmetic,
        "function": _digest(np.append(f.value(_probes(job)), f.gradient(_probes(job)))),
    }
    if rate.schedule is not None:
        derived["schedule"] = _schedule(rate.schedule, setup.steps)
    if optimizer.row is None:
        derived["descents"] = _descents(job)
    return {
        "format": FORMAT,
        "settings": settings,
        "derived": derived,
        "starts": _describe_starts(job),
        "chunk": size,
        "versions": {name: metadata.version(name) for name in ROUNDS} | _device(job),
        "made with": {name: metadata.version(name) for name in ("pyarrow",)}
        | {"python": platform.python_version()},
    }


def _device(job: Job) -> dict[str, str]:
    """Return what computes: a GPU rounds otherwise than a processor."""
    device = "cpu"
    if job.setup.method.arithmetic == "jax":
        import jax

        device = str(jax.default_backend())
    return {"device": device, "processor": platform.machine()}


def write_text(manifest: Manifest) -> str:
    """Return the manifest as JSON, the same text for the same manifest."""
    return json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"


def read_text(text: str, where: str) -> Manifest:
    """Return the manifest that the text of the file `where` is; InputError if it is none, or of another format."""
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"{where} is damaged: it is not JSON ({error}). Put it back from a copy, or use another folder."
        ) from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(manifest, dict) or found is None:
        raise InputError(f"{where} is not the manifest of a survey. Use another folder.")
    if found != FORMAT:
        raise InputError(
            f"{where} has format {found!r}, and this version of descentlab reads format {FORMAT} only. "
            "Use the version it was made with, or another folder."
        )
    whole = all(
        isinstance(manifest.get(part), dict) for part in ("settings", "derived", "starts", "versions")
    )
    size = manifest.get("chunk")
    if not whole or not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InputError(
            f"{where} is damaged: parts are missing. Put it back from a copy, or use another folder."
        )
    return manifest


def digest(manifest: Manifest) -> str:
    """Return a text that stores of the same survey have in common, however many starts they hold."""
    parts = {name: manifest[name] for name in ("format", "settings", "derived", "chunk", "versions")}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def check(store: Manifest, survey: Manifest, job: Job, where: str) -> None:
    """Raise InputError, naming the differences, unless the survey can go on in the store.

    Settings first: what is derived differs along with them and would only distract.
    """
    if found := list(_differences(store["settings"], survey["settings"])):
        theirs = " and ".join(f"{name}={_shown(a)}" for name, a, _ in found)
        ours = " and ".join(f"{name}={_shown(b)}" for name, _, b in found)
        raise InputError(
            f"The store {where} was made with {theirs}, but this survey has {ours}. "
            "Use the same settings, or another folder."
        )
    if found := list(_differences(store["versions"], survey["versions"])):
        theirs = ", ".join(f"{name} {_shown(a)}" for name, a, _ in found)
        ours = ", ".join(f"{name} {_shown(b)}" for name, _, b in found)
        raise InputError(
            f"The store {where} was made with {theirs}, but here is {ours}, which may round differently, so that "
            "the store would not hold one survey. Use what it was made with, or another folder."
        )
    if found := list(_differences(store["derived"], survey["derived"])):
        names = [name for name, *_ in found]
        computed = [_COMPUTED[name] for name in names if name in _COMPUTED]
        if computed:
            what = f"{computed[0]} computes other numbers than then"
        else:
            what = " and ".join(f"{name} was {_shown(a)} and is {_shown(b)}" for name, a, b in found)
        raise InputError(f"The store {where} is of another survey: {what}. Use another folder.")
    _check_starts(store["starts"], job, where)


def _differences(store: Mapping[str, Any], survey: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, in the store, in the survey) of what differs; "parameters" and "domain" entry by entry."""
    for name in dict.fromkeys([*survey, *store]):
        a, b = store.get(name), survey.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            for inner, x, y in _differences(a, b):
                yield (f"domain of {inner}" if name == "domain" else inner), x, y
        elif json.dumps(a) != json.dumps(b):
            yield name, a, b


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value[:8]))}{', …' if len(value) > 8 else ''}]"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# Starts: more may be added, as long as those there stay what they are


def _describe_starts(job: Job) -> dict[str, Any]:
    starts = job.starts
    rows = starts.points(0, min(FIRST_STARTS, starts.count))
    first: dict[str, Any] = {"first": [_digest(row)[:16] for row in rows]}
    if starts.design == _ARRAY:
        first |= {"count": starts.count, "all": _digest(starts.points(0, starts.count))}
    return first


def _check_starts(store: Mapping[str, Any], job: Job, where: str) -> None:
    starts = job.starts
    if starts.design == _ARRAY:
        held = store.get("count")
        if not isinstance(held, int) or held > starts.count:
            raise InputError(
                f"The store {where} was made for an array of {held} starts, but this one has {starts.count}. "
                "Give at least as many, beginning with the same, or use another folder."
            )
        if _digest(starts.points(0, held)) != store.get("all"):
            raise InputError(
                f"The store {where} was made for another array of starts: the first {held} of this one differ. "
                "Give the same ones, with more after them if you like, or use another folder."
            )
        return
    mine, theirs = _describe_starts(job)["first"], store.get("first", [])
    if any(a != b for a, b in zip(mine, theirs, strict=False)):
        raise InputError(
            f"The starts in the store {where} are others: with design={starts.design} their places depend on "
            "how many there are. Ask for as many as then, or use another folder."
        )


# What tells functions apart


def _probes(job: Job) -> Any:
    box = job.objective.domain
    random = np.random.default_rng([0, 0x57]).random((PROBES, len(box)))
    return box[:, 0] + (box[:, 1] - box[:, 0]) * random


def _schedule(schedule: Callable[[Any], Any], steps: int) -> str:
    """Return a digest of the rates at up to 4096 steps, the first and the last among them."""
    import jax

    looks = np.unique(np.linspace(0, steps - 1, 4096).round())
    with jax.enable_x64(True):
        return _digest(np.broadcast_to(np.asarray(jax.vmap(schedule)(looks), np.float64), looks.shape))


def _descents(job: Job) -> str:
    """Return a digest of a few short descents."""
    from descentlab.batch import run_ends

    setup, starts = job.setup, _probes(job)
    steps = np.full(len(starts), min(PROBE_STEPS, setup.steps))
    rows = Rows(starts, np.full(len(starts), setup.base_rate), steps)
    ends = run_ends(setup.method, rows, setup.tolerance, cores=1)
    return _digest(np.append(ends.points, ends.taken))


def _digest(numbers: Any) -> str:
    """Return the SHA-256 of the numbers as little-endian doubles."""
    return hashlib.sha256(np.ascontiguousarray(numbers, "<f8").tobytes()).hexdigest()
