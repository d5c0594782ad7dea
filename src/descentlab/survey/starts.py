"""Where a survey starts: designs of points in a box, any range of which can be had at once.

Start i depends on the design, the seed and i alone – for a grid on the count too – and never on the
range asked for: chunks, workers and interruptions change nothing, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.descent import read_starts, whole_number
from descentlab.errors import InputError, unknown
from descentlab.objective import Objective

if TYPE_CHECKING:
    from jaxtyping import Float

Array = NDArray[np.float64]

DESIGNS = ("uniform", "sobol", "latin", "grid", "normal")
MOST_STARTS = 1_000_000_000
# A Latin hypercube has as many points as strata, so a design of any length is a row of hypercubes. This many
# are few enough to be drawn whole for one start, and many enough that each coordinate is spread evenly.
LATIN_BLOCK = 256
# The normal design's standard deviation is a quarter of a side: the box ends this many away from its middle.
SIGMAS = 2.0
# 2³² Sobol' points can be told apart: more than MOST_STARTS, and exact in float64.
SOBOL_BITS = 32

_WORDS = {
    "uniform": "uniform random start",
    "sobol": "Sobol' start",
    "latin": "Latin hypercube start",
    "normal": "normal random start",
    "array": "given start",
}


@dataclass(frozen=True, eq=False)
class Starts:
    """The starts number 0 … count − 1 of a survey, not yet drawn.

    design: "uniform", independent and uniform in the box; "sobol", a scrambled Sobol' sequence;
    "latin", Latin hypercubes of 256 points, one after the other; "grid", the centres of k**dim equal
    cells, row by row (the last variable varies fastest); "normal", independent, normal about the box's
    middle with a quarter of each side as standard deviation, truncated to the box; "array", as given.
    domain (dim, 2): the box. given (start, dim): the array, or None.
    """

    design: str
    count: int
    seed: int
    domain: Float[np.ndarray, "dim 2"]
    given: Float[np.ndarray, "start dim"] | None = None

    @property
    def honest(self) -> bool:
        """Whether the share of starts in a region estimates its share of the box, with known error."""
        return self.design == "uniform"

    def points(self, first: int, count: int) -> Float[np.ndarray, "start dim"]:
        """Return the starts number first … first + count − 1, (count, dim), at a cost that does not
        depend on `first`.

        All designs but "array" lie in the closed box.

        >>> box = np.array([[0.0, 4.0], [-1.0, 1.0]])
        >>> Starts("grid", 4, 0, box).points(1, 2).tolist()
        [[1.0, 0.5], [3.0, -0.5]]
        """
        first, dim = int(first), len(self.domain)
        if self.given is not None:
            return self.given[first : first + count].copy()
        if self.design == "sobol":
            unit = _sobol(self.seed, dim, first, count)
        elif self.design == "latin":
            unit = _latin(self.seed, dim, first, count)
        elif self.design == "grid":
            unit = _grid(_side(self.count, dim), dim, first, count)
        else:
            unit = _draws(self.seed, first * dim, count * dim).reshape(count, dim)
            if self.design == "normal":
                unit = _normal(unit)
        return _into_box(self.domain, unit)


def read_design(design: str, starts: Any, f: Objective, seed: int) -> Starts:
    """Return the starts of a survey of f.

    design: "uniform", "sobol", "latin", "grid" or "normal", see `Starts`. starts: how many, 1 … 10⁹, or
    an array (start, dim), which is its own design; for one variable a list (start,) will do. The
    uniform starts are those that `descend` draws.

    Raises InputError for an unknown design, starts that are neither, a count that fills no grid (k**dim),
    more than 21,201 variables for "sobol", and a seed outside 0 … 2⁶³ − 1.

    >>> from descentlab.objective import formula
    >>> f = formula("x^2 + y", domain={"x": (0, 1), "y": (0, 1)})
    >>> describe(read_design("sobol", 1024, f, seed=0))
    "1,024 Sobol' starts"
    >>> read_design("grid", 10, f, seed=0)
    Traceback (most recent call last):
    descentlab.errors.InputError: No grid over 2 variables has 10 starts: ask for 9 (3 a side) or 16 (4 a side).
    More: descentlab guide start
    """
    seed = whole_number(seed, "seed", 0, 2**63 - 1)
    if not isinstance(design, str) or design not in (*DESIGNS, "array"):
        raise unknown("design", str(design), DESIGNS)
    if _is_array(starts):
        if design not in ("uniform", "array"):
            raise InputError(f"An array of starts leaves nothing to place: leave out design='{design}'.")
        given = read_starts(_as_points(starts, f), f, seed)
        given.setflags(write=False)
        return Starts("array", len(given), seed, f.domain, given)
    if design == "array":
        raise InputError(
            f"design='array' goes with an array of starts, (start, {f.dim}), not with {starts!r}."
        )
    if isinstance(starts, (bool, np.bool_)):
        raise InputError(f"The number of starts must be a whole number, but it is {starts!r}.")
    count = whole_number(starts, "number of starts", 1, MOST_STARTS)
    if design == "grid":
        _check_grid(count, f.dim)
    if design == "sobol":
        _check_sobol(f.dim)
    return Starts(design, count, seed, f.domain)


def describe(starts: Starts) -> str:
    """Say how many starts of which design, for captions.

    >>> describe(Starts("uniform", 10_000, 0, np.array([[0.0, 1.0]])))
    '10,000 uniform random starts'
    """
    plural = "" if starts.count == 1 else "s"
    if starts.design != "grid":
        return f"{starts.count:,} {_WORDS[starts.design]}{plural}"
    dim = len(starts.domain)
    side = f"{_side(starts.count, dim):,}"
    if dim == 1:
        return f"{starts.count:,} evenly spaced start{plural}"
    grid = f"a {' × '.join([side] * dim)} grid" if dim <= 3 else f"a grid of {side} a side"
    return f"{starts.count:,} start{plural} on {grid}"


# Reading


def _is_array(starts: Any) -> bool:
    try:
        return np.ndim(starts) > 0
    except ValueError:  # rows of unequal lengths: read_starts says what is wrong with them
        return True


def _as_points(starts: Any, f: Objective) -> Any:
    """Return starts with an axis of coordinates: for one variable, a plain list of numbers is many starts."""
    if f.dim == 1 and isinstance(starts, (list, tuple)) and not any(_is_array(each) for each in starts):
        return [[each] for each in starts]
    if f.dim == 1 and getattr(starts, "ndim", 0) == 1:
        return np.asarray(starts)[:, None]
    return starts


def _side(count: int, dim: int) -> int:
    """Return the largest k with k**dim <= count."""
    k: int = max(1, round(count ** (1 / dim)))  # at most one too many
    return k - 1 if k**dim > count else k


def _check_grid(count: int, dim: int) -> None:
    below = _side(count, dim)
    if below**dim == count:
        return
    choices = [f"{k**dim:,} ({k} a side)" for k in (below, below + 1) if k**dim <= MOST_STARTS]
    more = "" if below > 1 else ", or take another design"
    raise InputError(
        f"No grid over {dim} variables has {count:,} starts: ask for {' or '.join(choices)}{more}."
    )


def _check_sobol(dim: int) -> None:
    from scipy.stats import qmc

    if dim > qmc.Sobol.MAXDIM:
        raise InputError(
            f"Sobol' sequences are known for at most {qmc.Sobol.MAXDIM:,} variables, but there are {dim:,}: "
            "take design='latin' or 'uniform'."
        )


# Points of the unit box, (count, dim)


def _draws(seed: int, first: int, count: int) -> Array:
    """Return the uniform numbers first … first + count − 1 of the seed's stream, in [0, 1).

    Philox (Salmon et al. 2011) is a function of a counter, so that any range is as near as the first.
    """
    stream = np.random.Philox(key=seed)
    blocks, extra = divmod(first, 4)  # one count of the counter gives four numbers
    stream.advance(blocks)
    return np.random.Generator(stream).random(extra + count)[extra:]


def _normal(uniform: Array) -> Array:
    """Return the truncated normal numbers with these probabilities below them: mean ½, standard deviation ¼."""
    from scipy.special import ndtr, ndtri

    tail = ndtr(-SIGMAS)
    deviates = ndtri(tail + (1 - 2 * tail) * uniform)
    # The inverse is exact only to rounding, at the edges too.
    return np.asarray(np.clip(0.5 + deviates / (2 * SIGMAS), 0.0, 1.0))


def _grid(side: int, dim: int, first: int, count: int) -> Array:
    """Return centres of the cells of a grid: the digits of the cell's number to the base `side` are its place."""
    number = np.arange(first, first + count)
    unit = np.empty((count, dim))
    for axis in reversed(range(dim)):
        number, digit = np.divmod(number, side)
        unit[:, axis] = (2 * digit + 1) / (2 * side)
    return unit


def _latin(seed: int, dim: int, first: int, count: int) -> Array:
    """Return points of consecutive Latin hypercubes: in each, every 256th of every side holds one point.

    McKay, Beckman & Conover 1979. Sorting independent uniform numbers makes the random permutations.
    """
    begin, end = first // LATIN_BLOCK, -(-(first + count) // LATIN_BLOCK)
    each = 2 * LATIN_BLOCK * dim
    draws = _draws(seed, each * begin, each * (end - begin)).reshape(-1, 2, LATIN_BLOCK, dim)
    strata = np.argsort(draws[:, 0], axis=1, kind="stable")
    unit = (strata + draws[:, 1]) / LATIN_BLOCK
    return np.asarray(unit.reshape(-1, dim)[first - begin * LATIN_BLOCK :][:count])


def _sobol(seed: int, dim: int, first: int, count: int) -> Array:
    """Return points of the Sobol' sequence scrambled by a random linear map and shift of the binary digits.

    Directions of Joe & Kuo 2008, scrambling of Matoušek 1998, both SciPy's. In the order of the Gray code,
    point i is the shift ⊕ the directions v_j at the ones j of i ⊕ ⌊i/2⌋ (Antonov & Saleev 1979), and point
    i + 1 differs from it by the one direction at the lowest zero of i.
    """
    from scipy.stats import qmc

    engine = qmc.Sobol(dim, scramble=True, bits=SOBOL_BITS, rng=seed)
    # SciPy's own fast_forward takes every step from 0 on. Its directions have no public name.
    directions, shift = engine._sv.T, engine._shift
    gray = first ^ (first >> 1)
    ones = [j for j in range(gray.bit_length()) if gray >> j & 1]
    start = shift ^ np.bitwise_xor.reduce(directions[ones], axis=0)
    number = np.arange(first + 1, first + count)
    changed = np.frexp(number & -number)[1] - 1  # the lowest zero of i is the lowest one of i + 1
    digits = np.bitwise_xor.accumulate(np.concatenate([start[None], directions[changed]]), axis=0)
    return np.asarray(digits[:count] * 2.0**-SOBOL_BITS)


def _into_box(domain: Array, unit: Array) -> Array:
    """Return the points of the box at these shares of its sides; rounding never takes one outside."""
    low, high = domain.T
    return np.asarray(np.minimum(low + (high - low) * unit, high))
