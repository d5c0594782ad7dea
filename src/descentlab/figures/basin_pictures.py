"""Drawing data of basin maps: a colour for every minimum, a shade for every number of steps.

The lowest six minima have the colours of all figures; further ones share these hues, lighter and darker, so
that neighbours on the map differ. Shades are evenly spaced to the eye (Oklab: Ottosson 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descentlab.figures.results import short, where
from descentlab.figures.style import SERIES, words
from descentlab.survey.chunk import SURVEY_OUTCOMES

if TYPE_CHECKING:
    from descentlab.survey.basin_results import BasinMap

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]

# Minima listed by themselves; the others are one entry.
MOST_LISTED = 9
SHADES = 64
# How much lighter or darker a hue's second and third use is, in Oklab's lightness.
LEVELS = (0.0, 0.13, -0.15)
# Neighbours further apart than this, in Oklab, are told apart at a glance: more is not better.
APART = 0.22
LEAST_RANGE = 1.5
NEUTRAL = "#9a9a9a"
# Outcome that is no minimum → its grey and its pattern, as matplotlib writes hatches.
GREYS = {
    "out_of_steps": ("#a3a9b0", ""),
    "cycle": ("#d6dade", ".."),
    "diverged": ("#30353b", "//"),
    "nonfinite": ("#30353b", "xx"),
    "left_domain": ("#6d757e", "//"),
    "at_bound": ("#6d757e", "||"),
    "plateau": ("#c2c8ce", "--"),
    "degenerate": ("#c2c8ce", "||"),
    "saddle": ("#c2c8ce", "\\\\"),
    "maximum": ("#c2c8ce", "xx"),
    "minimum": ("#6d757e", ""),
    "kink": ("#6d757e", ".."),
    "crashed": ("#000000", ""),
}
# Lines of a pattern are this share of the map's shorter side apart.
HATCH = 1 / 60


@dataclass(frozen=True)
class Key:
    """One entry of the legend: label, colour ("" for several), hatch, the share of the area, by map, (map,),
    and whether it stands for minima."""

    label: str
    colour: str
    hatch: str
    shares: Array
    is_minimum: bool


@dataclass(frozen=True)
class BasinPicture:
    """Basin maps as pictures that share colours.

    pictures: one (row, column, 3) a map, row 0 at the bottom; colours: of the minima, as text; keys: the
    lowest minima, the other ones together, the other outcomes; steps: the numbers of steps of the lightest
    and the darkest shade, a pair a map; stars: which minima are marked in each map, by index.
    """

    pictures: tuple[Pixels, ...]
    colours: tuple[str, ...]
    keys: tuple[Key, ...]
    steps: tuple[tuple[float, float], ...]
    stars: tuple[NDArray[np.int64], ...]


def basin_picture(maps: Sequence[BasinMap]) -> BasinPicture:
    """Return the drawing data of maps that list the same minima."""
    count = len(maps[0].minima)
    colours = choose_colours(count, neighbours([m.assignment for m in maps], count))
    ranges = tuple(_range_of_steps(m) for m in maps)
    ramps = np.array([shades(c) for c in colours], np.uint8).reshape(count, SHADES, 3)
    return BasinPicture(
        tuple(_picture(m, ramps, *ends) for m, ends in zip(maps, ranges, strict=True)),
        colours,
        _keys(maps, colours),
        ranges,
        tuple(np.flatnonzero([each.hits > 0 for each in m.minima]) for m in maps),
    )


def neighbours(assignments: Sequence[NDArray[np.int32]], count: int) -> NDArray[np.bool_]:
    """Tell which of `count` minima have pixels side by side in any of the maps, (count, count)."""
    touching = np.zeros((count, count), bool)
    for a in assignments:
        for one, other in ((a[:, 1:], a[:, :-1]), (a[1:], a[:-1])):
            border = (one != other) & (one >= 0) & (other >= 0)
            touching[one[border], other[border]] = True
    return np.asarray(touching | touching.T)


def choose_colours(count: int, touching: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return a colour for each minimum: the first six those of SERIES, each later one the colour furthest from
    those of its neighbours, and of such the one least used."""
    palette = [_hex(_varied(c, level)) for level in LEVELS for c in SERIES]
    places = np.array([_oklab(c) for c in palette])
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    chosen = list(range(min(count, len(SERIES))))
    used = np.bincount(chosen, minlength=len(palette))
    for i in range(len(chosen), count):
        near = [chosen[j] for j in np.flatnonzero(touching[i, :i])]
        distance = np.minimum(apart[:, near].min(axis=1, initial=np.inf), APART)
        best = int(np.lexsort([used, -distance])[0])
        chosen.append(best)
        used[best] += 1
    return tuple(palette[c] for c in chosen)


def shades(colour: str) -> Pixels:
    """Return the colour from light (few steps) to dark (many), (shade, 3)."""
    L, a, b = _oklab(colour)
    t = np.linspace(0.0, 1.0, SHADES)
    lightness = np.interp(t, [0.0, 0.45, 1.0], [L + 0.42 * (0.97 - L), L, 0.48 * L])
    chroma = np.interp(t, [0.0, 0.45, 1.0], [0.72, 1.0, 0.85])
    return _srgb(np.column_stack([lightness, a * chroma, b * chroma]))


def _range_of_steps(m: BasinMap) -> tuple[float, float]:
    """Return the steps of the lightest and the darkest shade: all but the outermost 1 % of the pixels, and
    no less than a factor LEAST_RANGE, so that small differences do not look large."""
    taken = m.taken[m.assignment >= 0]
    if not taken.size:
        return 0.0, 0.0
    low, high = (float(v) for v in np.quantile(taken, [0.01, 0.99]))
    spare = math.sqrt(max(LEAST_RANGE * max(low, 1.0) / max(high, 1.0), 1.0))
    return (low / spare, high * spare) if high > low else (low, high)


def shade_of(steps: NDArray[np.integer], low: float, high: float) -> NDArray[np.int64]:
    """Return the shade of numbers of steps, by their logarithms; the middle one where all are alike."""
    if high <= low:
        return np.full(np.shape(steps), SHADES // 2)
    bottom, top = np.log1p([low, high])
    t = (np.log1p(steps) - bottom) / (top - bottom)
    return np.asarray(np.clip(np.round(t * (SHADES - 1)), 0, SHADES - 1).astype(np.int64))


def _picture(m: BasinMap, ramps: Pixels, low: float, high: float) -> Pixels:
    picture = np.empty((*m.assignment.shape, 3), np.uint8)
    reached = m.assignment >= 0
    picture[reached] = ramps[m.assignment[reached], shade_of(m.taken[reached], low, high)]
    for code in np.unique(m.outcome_codes[~reached]):
        grey, hatch = GREYS[SURVEY_OUTCOMES[code]]
        mine = ~reached & (m.outcome_codes == code)
        picture[mine] = _rgb(grey)
        # The lines are lighter on dark greys, and darker on light ones.
        picture[mine & _lines(hatch, mine.shape)] = _rgb(hatch_colour(grey))
    return picture


def hatch_colour(grey: str) -> str:
    """Return the colour of the lines on a grey."""
    return "#e8ebee" if _rgb(grey)[0] < 0x80 else "#4c535b"


def _lines(hatch: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where a pattern has its lines."""
    apart = max(4, round(min(shape) * HATCH))
    thick = max(1, apart // 5)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    on = {
        "/": (rows - columns) % apart < thick,
        "\\": (rows + columns) % apart < thick,
        "-": np.broadcast_to(rows % apart < thick, shape),
        "|": np.broadcast_to(columns % apart < thick, shape),
    }
    on["x"] = on["/"] | on["\\"]
    on[".."] = on["-"] & on["|"]
    return on.get(hatch, on.get(hatch[:1], np.zeros(shape, bool)))


def _keys(maps: Sequence[BasinMap], colours: tuple[str, ...]) -> tuple[Key, ...]:
    minima = maps[0].minima
    shares = np.array([m.shares for m in maps])
    # One more than fits needs no entry of its own: "1 other" takes as much room.
    listed = len(minima) if len(minima) <= MOST_LISTED + 1 else MOST_LISTED
    keys = [
        Key(
            f"f = {short(_rounded(maps[0], each.value))} at {where(each.point)}"
            + ("" if each.kind == "interior" else f" ({each.kind})"),
            colours[i],
            "",
            shares[:, i],
            True,
        )
        for i, each in enumerate(minima[:listed])
    ]
    if listed < len(minima):
        rest = shares[:, listed:].sum(axis=1)
        keys.append(Key(f"{len(minima) - listed:,} higher minima", "", "", rest, True))
    elsewhere = [m.elsewhere for m in maps]
    lost = {name: np.array([e.get(name, 0.0) for e in elsewhere]) for each in elsewhere for name in each}
    largest = sorted(lost, key=lambda name: -lost[name].sum())
    return (*keys, *(Key(f"none: {words(name)}", *GREYS[name], lost[name], False) for name in largest))


def _rounded(m: BasinMap, value: float) -> float:
    return value if abs(value) >= 1e-9 * m.value_scale else 0.0


# Colours, in Oklab


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _oklab(colour: str) -> Array:
    """Return lightness, a and b of a colour."""
    c = np.array(_rgb(colour)) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return np.asarray(_TO_LAB @ np.cbrt(_TO_LMS @ linear))


def _srgb(lab: Array) -> Pixels:
    """Return the colours (…, 3) as bytes, cut to those a screen can show."""
    linear = ((lab @ np.linalg.inv(_TO_LAB).T) ** 3) @ np.linalg.inv(_TO_LMS).T
    linear = np.clip(linear, 0.0, 1.0)
    c = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(255 * c), np.uint8)


def _varied(colour: str, level: float) -> Array:
    return np.asarray(_oklab(colour) + np.array([level, 0.0, 0.0]))


def _hex(lab: Array) -> str:
    return "#" + "".join(f"{int(v):02x}" for v in _srgb(lab))
