"""Random landscapes in high dimension: spherical p-spins and Gaussian fields in a bowl, counted by Kac and Rice.

"In an extremely high-dimensional space there might be very few local minima" is right of their share and wrong of
their number. With every dimension added the *share* of stationary points that are minima falls off a cliff, since
every direction has to curve upwards, while the *number* of minima still grows exponentially. Descent from a random
start finds one of them, but at an energy that approaches the threshold −E∞ as N grows, below which stationary
points are nearly all minima, and not the lowest energy −E₀: more dimensions remove no traps here, they make them alike.
"""

from descentlab.random_landscapes.bowls import Bowl, bowl
from descentlab.random_landscapes.counts import (
    ExpectedCounts,
    expected_counts,
    expected_counts_in_bowl,
    expected_energies,
)
from descentlab.random_landscapes.landing import Landing, descend_from_random, points_at_energies
from descentlab.random_landscapes.picture import picture
from descentlab.random_landscapes.search import StationaryPoints, stationary_points
from descentlab.random_landscapes.spins import PSpin, p_spin
from descentlab.random_landscapes.theory import (
    bowl_complexities,
    ground_state_energy,
    index_fraction,
    minima_complexity,
    threshold_energy,
    total_complexity,
)

__all__ = [
    "Bowl",
    "ExpectedCounts",
    "Landing",
    "PSpin",
    "StationaryPoints",
    "bowl",
    "bowl_complexities",
    "descend_from_random",
    "expected_counts",
    "expected_counts_in_bowl",
    "expected_energies",
    "ground_state_energy",
    "index_fraction",
    "minima_complexity",
    "p_spin",
    "picture",
    "points_at_energies",
    "stationary_points",
    "threshold_energy",
    "total_complexity",
]
