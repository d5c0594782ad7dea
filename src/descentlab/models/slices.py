"""Slices of a model's loss: along one direction in parameter space, or over the plane of two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.descent import whole_number
from descentlab.errors import InputError, unknown
from descentlab.models import lanczos
from descentlab.models.curvature import checked
from descentlab.models.flat_loss import FlatLoss, LossFunction, flat_vector, opened
from descentlab.survey.seriousness import percent
from descentlab.wording import short

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

DIRECTIONS = ("random", "hessian", "trajectory")
NORMALIZATIONS = ("filter", "model", "none")
# A trajectory fills this share of the picture at extent 1.
FILL = 1.15
# Directions whose part outside the other is shorter than this span no plane that doubles could tell.
PARALLEL = 1e-6


@dataclass(frozen=True, eq=False)
class Slice:
    """The loss at centre + x·directions[0], or centre + x·directions[0] + y·directions[1].

    x, y (point,): y is empty in one dimension. losses (point,) or (y, x), NaN or infinite where the loss is.
    centre (parameter,): the model's parameters, centre_loss there. directions (dims, parameter), of what `kind`,
    scaled by `normalize`. curvatures (dims,): eigenvalues of the Hessian restricted to the slice, ascending, per
    unit of distance in parameter space. eigenvalues (dims,): of "hessian" directions, else empty. explained
    (dims,): shares of a trajectory's variance along the directions; projection (step, dims): the trajectory seen
    in the slice; both empty without one.
    """

    kind: str
    normalize: str
    seed: int
    x: Float[np.ndarray, " point"]
    y: Float[np.ndarray, " point"]
    losses: Array
    centre: Float[np.ndarray, " parameter"]
    centre_loss: float
    directions: Float[np.ndarray, "dims parameter"]
    curvatures: Float[np.ndarray, " dims"]
    eigenvalues: Float[np.ndarray, " dims"]
    explained: Float[np.ndarray, " dims"]
    projection: Float[np.ndarray, "step dims"]

    @property
    def dims(self) -> int:
        """The number of directions: 1 or 2."""
        return len(self.directions)

    @property
    def cosine(self) -> float:
        """The cosine between the two directions: random ones are nearly orthogonal, not exactly. 0 for one."""
        if self.dims == 1:
            return 0.0
        a, b = self.directions
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))

    @property
    def method(self) -> str:
        """Which directions, how scaled, in words."""
        several = "s" if self.dims > 1 else ""
        values = " and ".join(short(v) for v in self.eigenvalues)
        share = percent(min(1.0, float(self.explained.sum())))
        what = {
            "random": f"random direction{several}, seed {self.seed}",
            "hessian": f"Hessian eigenvector{several} of eigenvalue{several} {values}",
            "trajectory": f"first principal component{several} of a trajectory of {len(self.projection):,} points",
            "given": f"given direction{several}",
        }[self.kind]
        scaled = {
            "filter": "each filter or neuron as long as its weights, biases and norm layers held still",
            "model": "as long as all parameters together",
            "none": "as long as drawn" if self.kind == "random" else "as long as given",
            "unit": "of length 1",
        }[self.normalize]
        explained = f" (the slice holds {share} of the trajectory's variance)" if self.explained.size else ""
        return f"{what}, {scaled}{explained}"

    @property
    def sentence(self) -> str:
        """What the slice shows, and what it cannot."""
        finite = np.append(self.losses[np.isfinite(self.losses)], self.centre_loss)
        low, high = float(self.curvatures[0]), float(self.curvatures[-1])
        span = short(low) if self.dims == 1 else f"{short(low)} to {short(high)}"
        if low < 0:
            seen = "negative in the slice, and so the whole Hessian has a negative eigenvalue too"
        else:
            seen = "not negative in the slice, which does not mean that no eigenvalue is negative"
        return (
            f"The loss is {short(self.centre_loss)} at the centre and from {short(finite.min())} to "
            f"{short(finite.max())} here. At the centre the curvature is {span}: {seen}; "
            f"the slice hides {len(self.centre) - self.dims:,} of {len(self.centre):,} dimensions."
        )

    def plot(self) -> Figure:
        """Draw the slice: a curve, or a map with contours."""
        from descentlab.models.draw_slices import draw_slice

        return draw_slice(self)


def slice(  # noqa: A001 – models.slice reads as what it is
    model: torch.nn.Module,
    loss: LossFunction,
    data: Any,
    *,
    directions: str | Sequence[Any] = "random",
    dims: int = 2,
    extent: float = 1.0,
    points: int = 51,
    seed: int = 0,
    normalize: str = "filter",
    trajectory: Any = None,
    batch_size: int | None = None,
    dtype: torch.dtype | None = None,
) -> Slice:
    """Slice the loss through the model's parameters, along one direction or over a plane.

    directions: "random" – normal numbers, scaled by `normalize`: "filter" makes each filter, the first axis of
    a weight, as long as the filter's weights and holds still biases, norm layers and other single-axis
    parameters (Li et al. 2018); "model" makes the whole as long as all parameters; "none" leaves it.
    "hessian" – the eigenvectors of the largest and, in two dimensions, the smallest eigenvalue, of length 1.
    "trajectory" – the first principal components of `trajectory`, (step, parameter) or state dicts, of length 1.
    Or the directions themselves, each a vector (parameter,) or like a state dict, taken as they are.
    extent: the slice runs from −extent to extent along each, times the trajectory's reach if there is one;
    `points` each way. A trajectory given with other directions is projected on them too.

    A random slice hides nearly all directions. What it shows of negative curvature is there in full; what it
    does not show may be there all the same.

    Raises InputError for unknown names, directions or trajectories that do not fit, and as `curvature` does.

    >>> import torch
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> x = torch.eye(2)
    >>> s = slice(model, torch.nn.MSELoss(), (x, x[:, :1]), directions=[[1.0, 0.0]], dims=1, points=3)
    >>> s.losses.shape, s.curvatures
    ((3,), array([1.]))
    """
    dims = whole_number(dims, "number of dimensions of a slice", 1, 2)
    points = whole_number(points, "number of points", 3, 100_000 if dims == 1 else 2001)
    seed = whole_number(seed, "seed", 0, 2**63)
    if not (isinstance(extent, (int, float)) and 0 < extent < math.inf):
        raise InputError(f"The extent must be a positive number, but it is {extent!r}.")
    if normalize not in NORMALIZATIONS:
        raise unknown("normalization", str(normalize), NORMALIZATIONS)
    with opened(model, loss, data, batch_size, dtype) as flat:
        centre = flat.start.cpu().double().numpy()
        apply = checked(flat.products(flat.start))
        track = None if trajectory is None else _read_trajectory(flat, trajectory)
        kind, scaled, vectors, eigenvalues = _directions(
            flat, apply, directions, dims, seed, normalize, track
        )
        explained, projection = np.empty(0), np.empty((0, dims))
        reach = np.ones(dims)
        if track is not None:
            explained, projection = _project(track, centre, vectors)
            reach = FILL * np.abs(projection).max(axis=0)
            reach[reach == 0] = 1.0
        line = extent * np.linspace(-1.0, 1.0, points)
        x, y = reach[0] * line, reach[1] * line if dims == 2 else np.empty(0)
        return Slice(
            kind, scaled, seed, x, y, _sample(flat, centre, vectors, x, y), centre, flat.value, vectors,
            _curvatures(apply, vectors, flat.rounding), eigenvalues, explained, projection,
        )  # fmt: skip


def _directions(
    flat: FlatLoss,
    apply: lanczos.Apply,
    given: str | Sequence[Any],
    dims: int,
    seed: int,
    normalize: str,
    track: Array | None,
) -> tuple[str, str, Array, Array]:
    """Return the kind, the scaling, the directions (dims, parameter) and their Hessian eigenvalues if they have."""
    none = np.empty(0)
    if not isinstance(given, str):
        return "given", "none", _read_directions(flat, given, dims), none
    if given not in DIRECTIONS:
        raise unknown("kind of directions", given, DIRECTIONS)
    if flat.dim < dims:
        raise InputError("The model has one parameter only: there is no plane to slice. Use dims=1.")
    if given == "random":
        random = np.random.default_rng(seed)
        drawn = np.array([_scaled(flat, random.normal(size=flat.dim), normalize) for _ in range(dims)])
        return "random", normalize, drawn, none
    if given == "hessian":
        # Two at each end, so that there are two directions even where all eigenvalues are the same.
        found = lanczos.extremes(apply, flat.dim, dims, dims, seed, rounding=flat.rounding)
        vectors = np.vstack([found.largest_vectors[:, 0], found.smallest_vectors[:, 0]])[:dims]
        return "hessian", "unit", _signed(vectors), np.array([found.largest[0], found.smallest[0]])[:dims]
    if track is None:
        raise InputError("Directions of a trajectory need one: trajectory=array of (step, parameter).")
    rank = min(len(track) - 1, flat.dim)
    if rank < dims:
        raise InputError(f"A trajectory of {len(track)} points has no {dims} principal components.")
    _, lengths, vectors = np.linalg.svd(track - track.mean(axis=0), full_matrices=False)
    if lengths[dims - 1] <= PARALLEL * lengths[0]:
        raise InputError(
            "The trajectory's points lie on a line, or are all the same. Use dims=1 or other directions."
        )
    return "trajectory", "unit", _signed(vectors[:dims]), none


def _signed(vectors: Array) -> Array:
    """Return eigenvectors with their largest entry positive: which of ±v a library returns is chance."""
    rows = np.arange(len(vectors))
    return np.asarray(vectors * np.sign(vectors[rows, np.abs(vectors).argmax(axis=1)])[:, None])


def _read_directions(flat: FlatLoss, given: Sequence[Any], dims: int) -> Array:
    if isinstance(given, Mapping) or not hasattr(given, "__len__") or len(given) != dims:
        raise InputError(
            f"{dims} direction{'s are' if dims > 1 else ' is'} needed, in a list, for dims={dims}."
        )
    vectors = np.array([flat_vector(flat, v, f"Direction {i + 1}") for i, v in enumerate(given)])
    lengths = np.linalg.norm(vectors, axis=1)
    if not lengths.all():
        raise InputError("A direction is zero: it leads nowhere.")
    if dims == 2:
        a, b = vectors / lengths[:, None]
        if np.linalg.norm(b - (a @ b) * a) <= PARALLEL:
            raise InputError("The two directions are parallel: they span no plane. Use dims=1.")
    return vectors


def _read_trajectory(flat: FlatLoss, given: Any) -> Array:
    if not hasattr(given, "__len__") or not len(given):
        raise InputError("The trajectory must be an array of (step, parameter), or a list of state dicts.")
    return np.array(
        [flat_vector(flat, entry, f"Step {i} of the trajectory") for i, entry in enumerate(given)]
    )


def _scaled(flat: FlatLoss, drawn: Array, normalize: str) -> Array:
    """Return a random direction scaled to the model's weights."""
    import torch

    if normalize == "none":
        return drawn
    if normalize == "model":
        return np.asarray(drawn * float(flat.start.norm()) / np.linalg.norm(drawn))
    pieces = []
    for direction, weight in zip(
        flat.split(flat.vector(drawn)).values(), flat.split(flat.start).values(), strict=True
    ):
        if weight.ndim < 2:  # biases and norm layers, whose scale says nothing (Li et al., section 4)
            pieces.append(torch.zeros_like(direction).reshape(-1))
            continue
        rows, weights = direction.flatten(1), weight.flatten(1)
        pieces.append((rows / rows.norm(dim=1, keepdim=True) * weights.norm(dim=1, keepdim=True)).reshape(-1))
    scaled = torch.cat(pieces).cpu().double().numpy()
    if not scaled.any():
        raise InputError(
            "Normalized by filters, the direction is zero: the model has no weights of two axes, or they are all "
            "zero. Use normalize='none'."
        )
    return scaled


def _project(track: Array, centre: Array, vectors: Array) -> tuple[Array, Array]:
    """Return the shares of the variance along the directions, and the trajectory's coordinates in the slice."""
    inverse = np.linalg.pinv(vectors)  # (parameter, dims): least squares, as the directions may be oblique
    unit = np.linalg.qr(vectors.T)[0]
    spread = track - track.mean(axis=0)
    total = float((spread**2).sum())
    along = ((spread @ unit) ** 2).sum(axis=0)
    return along / total if total else np.zeros(len(vectors)), (track - centre) @ inverse


def _sample(flat: FlatLoss, centre: Array, vectors: Array, x: Array, y: Array) -> Array:
    """Return the losses over the slice, row by row so that no more than a row of points is held at once."""
    line = centre + x[:, None] * vectors[0]
    if not y.size:
        return flat.many(line)
    return np.array([flat.many(line + v * vectors[1]) for v in y])


def _curvatures(apply: lanczos.Apply, vectors: Array, rounding: float) -> Array:
    """Return the eigenvalues of the Hessian restricted to the span of the directions."""
    unit = np.linalg.qr(vectors.T)[0]
    restricted = unit.T @ apply(unit)
    values = np.linalg.eigvalsh((restricted + restricted.T) / 2)
    return np.where(np.abs(values) <= rounding * np.abs(values).max(), 0.0, values)
