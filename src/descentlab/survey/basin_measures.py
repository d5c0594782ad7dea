"""What a basin map says about its boundaries: basin entropy and the uncertainty exponent.

Both read an array of fates, one whole number a pixel: equal numbers end alike.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from jaxtyping import Float, Int

BOX = 5  # pixels: 25 starts a box, as in the paper
# Distances go up to this share of the map's shorter side, and while fewer than half as many pairs end
# differently as would at random: past that, f(ε) levels off whatever the boundary is.
FARTHEST, LEVELLING = 1 / 32, 0.5
FEWEST_SIZES = 3  # a line through fewer has no standard error


@dataclass(frozen=True)
class BasinEntropy:
    """How mixed the fates are in boxes of 5 × 5 pixels (Daza et al. 2016).

    A box's entropy is S_i = −Σ p ln p over the fates in it. basin: S_b, the mean of S_i over all
    `boxes`; boundary: S_bb, the mean over the `mixed` boxes, with more than one fate (0 if there is none).
    """

    basin: float
    boundary: float
    boxes: int
    mixed: int

    @property
    def is_fractal(self) -> bool:
        """Whether S_bb > ln 2, which no smooth boundary of two basins allows: at this resolution it is fractal."""
        return self.boundary > math.log(2)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """How the share of uncertain starts falls with the error of a start, f(ε) ~ ε^α (Grebogi et al. 1983).

    sizes (size,): ε in pixels; shares (size,): f(ε), the share of pairs of pixels ε apart, along a row or
    a column, that end differently; exponent: α, the slope of ln f against ln ε by least squares; error:
    its standard error. Both are NaN where the map has one fate, or is smaller than 5 × 5 pixels.
    """

    sizes: Int[np.ndarray, " size"]
    shares: Float[np.ndarray, " size"]

    @functools.cached_property
    def _line(self) -> tuple[float, float]:
        if len(self.sizes) < FEWEST_SIZES or not (self.shares > 0).all():
            return math.nan, math.nan
        x, y = np.log(self.sizes), np.log(self.shares)
        x = x - x.mean()
        slope = float(x @ y / (x @ x))
        left = y - y.mean() - slope * x
        return slope, math.sqrt(float(left @ left) / (len(x) - 2) / float(x @ x))

    @property
    def exponent(self) -> float:
        """The uncertainty exponent α: 1 for a smooth boundary, near 0 where no care with the start helps."""
        return self._line[0]

    @property
    def error(self) -> float:
        """The standard error of α from the fit."""
        return self._line[1]

    @property
    def dimension(self) -> float:
        """The box-counting dimension of the boundary in the plane, D = 2 − α."""
        return 2 - self.exponent


def basin_entropy(fates: Int[np.ndarray, "row column"], box: int = BOX) -> BasinEntropy:
    """Return the basin entropy of a map.

    The map is covered by boxes of `box` × `box` pixels, the last rows and columns left out if they fill
    none. Source: Daza, Wagemakers, Georgeot, Guéry-Odelin, Sanjuán 2016, Sci. Rep. 6, 31416.

    >>> halves = np.repeat([[0] * 5 + [1] * 5], 5, axis=0)
    >>> basin_entropy(halves).basin, round(basin_entropy(halves, box=2).boundary, 4)
    (0.0, 0.6931)
    """
    rows, columns = fates.shape[0] // box, fates.shape[1] // box
    cut = fates[: rows * box, : columns * box].reshape(rows, box, columns, box)
    boxes = cut.swapaxes(1, 2).reshape(rows * columns, box * box)
    mixed = boxes[(boxes != boxes[:, :1]).any(axis=1)]
    # −Σ p ln p over fates is the mean of −ln p over pixels, p the share of pixels that end as this one does.
    alike = np.zeros(mixed.shape, np.int16)
    for k in range(box * box):
        alike += mixed == mixed[:, k : k + 1]
    entropies = -np.log(alike / (box * box)).mean(axis=1)
    total = float(entropies.sum())
    return BasinEntropy(
        total / len(boxes) if len(boxes) else 0.0,
        total / len(mixed) if len(mixed) else 0.0,
        len(boxes),
        len(mixed),
    )


def uncertainty(fates: Int[np.ndarray, "row column"]) -> Uncertainty:
    """Return how the share of pixels whose neighbour ε away ends differently grows with ε = 1, 2, 4, … pixels.

    Source: Grebogi, McDonald, Ott, Yorke 1983, Phys. Lett. A 99, 415.

    >>> halves = np.repeat([[0] * 100 + [1] * 100], 200, axis=0)
    >>> round(uncertainty(halves).exponent, 2)
    1.01
    """
    shorter = min(fates.shape)
    counts = np.unique(fates, return_counts=True)[1] / fates.size
    at_random = 1 - float(counts @ counts)
    sizes: list[int] = []
    shares: list[float] = []
    size = 1
    while size < shorter and at_random > 0:
        share = _share_of_pairs(fates, size)
        enough = len(sizes) >= FEWEST_SIZES
        if enough and (size > shorter * FARTHEST or share > LEVELLING * at_random):
            break
        sizes.append(size)
        shares.append(share)
        size *= 2
    return Uncertainty(np.array(sizes, np.int64), np.array(shares))


def _share_of_pairs(fates: NDArray[np.integer], size: int) -> float:
    """Return the share of pairs of pixels `size` apart, along a row or a column, that end differently."""
    across = fates[:, size:] != fates[:, :-size]
    along = fates[size:] != fates[:-size]
    return float(across.mean() + along.mean()) / 2
