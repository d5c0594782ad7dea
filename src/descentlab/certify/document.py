"""Certificates as files: JSON in which every bound is an exact hexadecimal float, with decimals beside it to read.

A file is data and is not trusted: its formula goes through the formula reader, and every field is looked at. That what
it says is true is for checking/verify.py to find out.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descentlab.certify.certify import _DEFAULTS
from descentlab.certify.result import KINDS, REASONS, Certificate, CertifiedPoint, LowestValue, Region
from descentlab.errors import InputError
from descentlab.objective import FormulaObjective, formula
from descentlab.reproduce import Call, command_line

FORMAT, VERSION = "descentlab certificate", 1
# Ten thousand points take about 20 MB.
MOST_BYTES = 512 * 2**20
METHOD = (
    "The closed box and its faces were cut into small boxes. A box was dropped where interval arithmetic proves that "
    "no stationary point lies in it, and kept where Krawczyk's operator proves that exactly one does.",
    "The kind follows from the signs of the Hessian's eigenvalues, enclosed by Gershgorin's discs after a change of "
    "basis.",
    "Each point is enclosed in 'box' and is the only stationary point in 'unique in', over the coordinates that are "
    "not held at a bound. Outside these boxes and the undecided regions there is none.",
    "Every bound is a double, written as a hexadecimal float; 'at' and 'f' are decimals to read.",
)


def write(certificate: Certificate, path: str | os.PathLike[str]) -> None:
    """Write the certificate as JSON: a file beside it first, which then takes its place.

    Raises InputError where the path cannot be written.
    """
    target = Path(path).expanduser()
    text = as_text(certificate)
    try:
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"The certificate '{path}' cannot be written: {error.strerror or error}.") from None


def as_text(certificate: Certificate) -> str:
    """Return the certificate as JSON, a point to a line."""
    parts = []
    for name, value in as_document(certificate).items():
        if isinstance(value, list) and value:
            rows = ",\n  ".join(_dump(row) for row in value)
            parts.append(f"{_dump(name)}: [\n  {rows}\n ]")
        else:
            parts.append(f"{_dump(name)}: {_dump(value)}")
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def as_document(certificate: Certificate) -> dict[str, Any]:
    """Return the certificate as what JSON can say."""
    c, f = certificate, certificate.objective
    if not isinstance(f, FormulaObjective):
        raise InputError(
            "Only a certificate about a formula can be written; this objective is a Python function."
        )
    return {
        "format": FORMAT,
        "version": VERSION,
        "made with": {name: metadata.version(name) for name in ("descentlab", "numpy")}
        | {"python": platform.python_version(), "platform": platform.platform()},
        "again": command_line("certify", f, c.call),
        "objective": {
            "formula": f.core_text,
            "negated": f.is_negated,
            "variables": list(f.names),
            "declared": f.declared,
            "label": f.label,
            "domain": _box(f.domain),
            "at": f.domain.tolist(),
        },
        "method": list(METHOD),
        "assumptions": list(c.assumptions),
        "counts": c.counts,
        "complete": c.complete,
        "lowest": {
            "interval": _hex(c.lowest.interval),
            "f": [_decimal(v) for v in c.lowest.interval],
            "proved": c.lowest.proved,
            "minimizers": [_point(p, f.names) for p in c.lowest.minimizers],
            "regions": [_region(r, f.names) for r in c.lowest.regions],
        },
        "winding": c.winding,
        "points": [_point(p, f.names) for p in c.points],
        "boundary": [_point(p, f.names) for p in c.boundary],
        "undecided": [_region(r, f.names) for r in c.undecided],
        "boxes": c.boxes,
        "seconds": c.seconds,
        "recheck": c.recheck,
        "settings": dict(c.call.settings),
    }


def _hex(numbers: Sequence[float] | NDArray[np.float64]) -> list[str]:
    return [float(v).hex() for v in numbers]


def _box(box: NDArray[np.float64]) -> list[list[str]]:
    return [_hex(side) for side in box]


def _decimal(number: float) -> float | str:
    """Return a number as JSON can say it: infinities are texts."""
    return float(number) if math.isfinite(number) else str(float(number))


def _point(p: CertifiedPoint, names: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": p.kind,
        "index": p.index,
        "at": dict(zip(names, map(float, p.point), strict=True)),
        "f": _decimal(p.value),
        "point": _hex(p.point),
        "box": _box(p.box),
        "unique in": _box(p.unique_in),
        "value": float(p.value).hex(),
        "value interval": _hex(p.value_interval),
        # A bound that says nothing is an infinite one.
        "eigenvalues": [
            [float(-np.inf if np.isnan(a) else a).hex(), float(np.inf if np.isnan(b) else b).hex()]
            for a, b in p.eigenvalues
        ],
        "held": [int(h) for h in p.held],
    }


def _region(r: Region, names: Sequence[str]) -> dict[str, Any]:
    return {
        "reason": r.reason,
        "words": REASONS[r.reason],
        "at": dict(zip(names, r.box.tolist(), strict=True)),
        "f": [_decimal(v) for v in r.value_interval],
        "point": _hex(r.point),
        "box": _box(r.box),
        "boxes": r.boxes,
        "value interval": _hex(r.value_interval),
        "holds minimum": r.holds_minimum,
    }


def read(path: str | os.PathLike[str]) -> Certificate:
    """Return the certificate that `write` wrote, bit for bit; nothing it says is checked to be true.

    Raises InputError, naming the field, where the file is no certificate.
    """
    return load(path)[0]


def load(path: str | os.PathLike[str]) -> tuple[Certificate, dict[str, Any]]:
    """Return the certificate in a file, and the file's own words."""
    try:
        with Path(path).expanduser().open(encoding="utf-8") as file:
            text = file.read(MOST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(f"The certificate '{path}' cannot be read: {why}.") from None
    if len(text) > MOST_BYTES:
        raise InputError(f"'{path}' is too large to be a certificate.")
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not a certificate: it is not JSON ({error}).") from None
    try:
        return _certificate(data), data
    except _FaultError as fault:
        raise InputError(f"'{path}' is not a certificate that can be read: {fault}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not a number of JSON")


class _FaultError(Exception):
    """A field that cannot be read, named."""

    def __init__(self, field: str, wanted: str) -> None:
        super().__init__(f"'{field}' must be {wanted}.")


class _Field:
    """A part of the file with its name; each method reads it as one kind of thing."""

    def __init__(self, value: Any, name: str = "") -> None:
        self.value, self.name = value, name

    def check(self, holds: bool, wanted: str) -> None:
        if not holds:
            raise _FaultError(self.name or "the file", wanted)

    def __getitem__(self, key: str) -> _Field:
        self.check(isinstance(self.value, dict), "an object")
        name = f"{self.name}.{key}" if self.name else key
        if key not in self.value:
            raise _FaultError(name, "there")
        return _Field(self.value[key], name)

    def items(self, most: int = 10_000_000) -> list[_Field]:
        self.check(isinstance(self.value, list) and len(self.value) <= most, "a list")
        return [_Field(entry, f"{self.name}[{i}]") for i, entry in enumerate(self.value)]

    def text(self, choices: Sequence[str] = ()) -> str:
        self.check(isinstance(self.value, str), "a text")
        self.check(not choices or self.value in choices, f"one of {', '.join(choices)}")
        return str(self.value)

    def flag(self) -> bool:
        self.check(isinstance(self.value, bool), "true or false")
        return bool(self.value)

    def whole(self, low: int = 0, high: int = 2**63 - 1) -> int:
        right = isinstance(self.value, int) and not isinstance(self.value, bool)
        self.check(right and low <= self.value <= high, f"a whole number from {low} to {high}")
        return int(self.value)

    def number(self, finite: bool = True) -> float:
        """Read a hexadecimal float exactly as `float.hex` writes it."""
        wanted = "a hexadecimal float as Python writes it, 0x1.8p+1" + ("" if finite else ", inf or -inf")
        self.check(isinstance(self.value, str), wanted)
        try:
            number = float.fromhex(self.value)
        except (ValueError, OverflowError):
            raise _FaultError(self.name, wanted) from None
        self.check(number.hex() == self.value, wanted)
        self.check(not math.isnan(number) and (math.isfinite(number) or not finite), wanted)
        return number

    def numbers(self, count: int, finite: bool = True) -> list[float]:
        entries = self.items()
        self.check(len(entries) == count, f"a list of {count}")
        return [entry.number(finite) for entry in entries]

    def box(self, rows: int, finite: bool = True) -> NDArray[np.float64]:
        entries = self.items()
        self.check(len(entries) == rows, f"a list of {rows} pairs")
        return np.array([entry.numbers(2, finite) for entry in entries], float).reshape(rows, 2)

    def interval(self) -> tuple[float, float]:
        low, high = self.numbers(2, finite=False)
        return low, high


def _certificate(data: Any) -> Certificate:
    top = _Field(data)
    top["format"].text([FORMAT])
    top["version"].check(top["version"].whole() == VERSION, f"{VERSION}, the version this descentlab reads")
    f = _objective(top["objective"])
    top["method"].items()
    counts = top["counts"]
    counts.check(isinstance(counts.value, dict), "an object")
    for kind in counts.value:
        counts[kind].whole()
    top["complete"].flag()
    lowest = top["lowest"]
    winding = top["winding"]
    recheck = top["recheck"]
    seconds = top["seconds"]
    seconds.check(
        isinstance(seconds.value, (int, float)) and not isinstance(seconds.value, bool), "a number of seconds"
    )
    made = top["made with"]
    made.check(isinstance(made.value, dict), "an object")
    top["again"].text()
    return Certificate(
        f,
        _each(_read_point, top["points"], f.dim),
        _each(_read_point, top["boundary"], f.dim),
        _each(_read_region, top["undecided"], f.dim),
        LowestValue(
            lowest["interval"].interval(),
            _each(_read_point, lowest["minimizers"], f.dim),
            _each(_read_region, lowest["regions"], f.dim),
            lowest["proved"].flag(),
        ),
        None if winding.value is None else winding.whole(-(2**31)),
        top["boxes"].whole(),
        float(seconds.value),
        tuple(entry.text() for entry in top["assumptions"].items()),
        None if recheck.value is None else recheck.text(["arb"]),
        Call(_settings(top["settings"]), defaults=_DEFAULTS),
    )


def _each(read_one: Callable[[_Field, int], Any], field: _Field, dim: int) -> tuple[Any, ...]:
    return tuple(read_one(entry, dim) for entry in field.items())


def _settings(field: _Field) -> Mapping[str, Any]:
    field.check(isinstance(field.value, dict), "an object")
    for name, value in field.value.items():
        field[name].check(value is None or isinstance(value, (str, int, float)), "a text, a number or null")
    return dict(field.value)


def _objective(field: _Field) -> FormulaObjective:
    names = [entry.text() for entry in field["variables"].items(1000)]
    field["variables"].check(len(set(names)) == len(names) > 0, "a list of different names")
    domain = field["domain"].box(len(names))
    text, declared = field["formula"].text(), field["declared"].flag()
    try:
        f = formula(text, domain, names if declared else None)
    except InputError as error:
        raise _FaultError(f"{field.name}.formula", f"a formula with its box ({error})") from None
    field["variables"].check(list(f.names) == names, f"{', '.join(f.names)}, as in the formula")
    label = field["label"].text()
    return replace(-f if field["negated"].flag() else f, label=label)


def _read_point(field: _Field, dim: int) -> CertifiedPoint:
    held = [entry.whole(-1, 1) for entry in field["held"].items()]
    field["held"].check(len(held) == dim, f"a list of {dim}")
    unique_in = field["unique in"].box(dim)
    free = int((unique_in[:, 0] != unique_in[:, 1]).sum())
    index = field["index"]
    return CertifiedPoint(
        np.array(field["point"].numbers(dim)),
        field["box"].box(dim),
        unique_in,
        field["value"].number(finite=False),
        field["value interval"].interval(),
        field["kind"].text((*KINDS, "unknown")),
        None if index.value is None else index.whole(0, dim),
        field["eigenvalues"].box(free, finite=False),
        np.array(held, np.int8),
    )


def _read_region(field: _Field, dim: int) -> Region:
    return Region(
        box=field["box"].box(dim),
        point=np.array(field["point"].numbers(dim)),
        boxes=field["boxes"].whole(),
        reason=field["reason"].text(tuple(REASONS)),
        value_interval=field["value interval"].interval(),
        holds_minimum=field["holds minimum"].flag(),
    )
