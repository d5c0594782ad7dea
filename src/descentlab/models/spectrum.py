"""The spectral density of a Hessian: where its eigenvalues lie, as a smooth curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from jaxtyping import Float

Array = NDArray[np.float64]

# The spectrum is drawn with Gaussians this wide against its range, √1e-5 as Ghorbani et al. have it,
# on a grid three times as fine.
BROADENING = 1e-5**0.5
GRID = 1201


@dataclass(frozen=True, eq=False)
class Spectrum:
    """How many eigenvalues lie where: density (grid,) over grid, with area one.

    Gaussians of standard deviation `broadening` stand at the nodes (probe, node), with their weights, which
    sum to one for each probe. Of a dense Hessian the nodes are all eigenvalues, one "probe".
    """

    grid: Float[np.ndarray, " grid"]
    density: Float[np.ndarray, " grid"]
    broadening: float
    nodes: Float[np.ndarray, "probe node"]
    weights: Float[np.ndarray, "probe node"]

    @property
    def mean(self) -> float:
        """The mean eigenvalue, averaged over the probes."""
        return float((self.weights * self.nodes).sum(axis=1).mean())

    @property
    def variance(self) -> float:
        """The variance of the eigenvalues, averaged over the probes."""
        return float((self.weights * self.nodes**2).sum(axis=1).mean()) - self.mean**2

    def share_within(self, radius: float) -> float:
        """Return the share of eigenvalues no further than this from zero."""
        return float((self.weights * (np.abs(self.nodes) <= radius)).sum(axis=1).mean())


def smoothed(nodes: Array, weights: Array) -> Spectrum:
    """Return the density that nodes with weights (probe, node) stand for."""
    used = nodes[weights > 0]
    low, high = float(used.min()), float(used.max())
    width = BROADENING * (high - low) or max(abs(high), 1.0) * 1e-6
    grid = np.linspace(low - 5 * width, high + 5 * width, GRID)
    density = np.zeros(GRID)
    for place, weight in zip(used, weights[weights > 0], strict=True):
        density += weight * np.exp(-0.5 * ((grid - place) / width) ** 2)
    density /= len(nodes) * width * math.sqrt(2 * math.pi)
    return Spectrum(grid, density, width, nodes, weights)
