"""The curvature of a model's loss: Hessian eigenvalues, trace and spectral density, and what they establish."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.descent import whole_number
from descentlab.errors import InputError
from descentlab.models import lanczos
from descentlab.models.flat_loss import FlatLoss, LossFunction, opened
from descentlab.models.lanczos import Apply, Extremes
from descentlab.models.spectrum import Spectrum, smoothed
from descentlab.survey.seriousness import percent
from descentlab.wording import short

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

# A dense Hessian of so many parameters takes seconds and 32 MB; its eigenvalues, a few more.
DENSE_BELOW = 2000
# Newton's step to the root must be this short against the parameters for the Hessian here to speak of the root.
NEAR = 1e-3
# Directions are called flat below this share of the largest curvature.
FLAT = 1e-3


@dataclass(frozen=True, eq=False)
class Curvature:
    """The Hessian of the loss at a model's parameters.

    loss, gradient_norm: there; parameters: how many; length: their norm, at least 1. smallest, largest:
    eigenvalues from each end inwards, with *_errors: within that of each lies an eigenvalue. exact: whether
    they come from the dense Hessian; then `eigenvalues` has all, ascending, else None. index: how many are
    negative – exactly, or as index_how says –, within index_interval. trace ± trace_error (one standard
    error; 0 if exact). rounding: curvatures below this are zero as far as the numbers tell. spectrum: None
    unless asked for or exact. root_distance: how far Newton's method puts the stationary point (see `kind`).
    products: Hessian-vector products taken; probes: random vectors behind trace and spectrum.
    """

    loss: float
    gradient_norm: float
    parameters: int
    length: float
    smallest: Float[np.ndarray, " extreme"]
    smallest_errors: Float[np.ndarray, " extreme"]
    largest: Float[np.ndarray, " extreme"]
    largest_errors: Float[np.ndarray, " extreme"]
    exact: bool
    eigenvalues: Float[np.ndarray, " parameter"] | None
    index: int
    index_interval: tuple[int, int]
    index_how: str
    trace: float
    trace_error: float
    rounding: float
    spectrum: Spectrum | None
    root_distance: float
    tolerance: float
    products: int
    probes: int
    seed: int
    dtype: str

    @property
    def stable_learning_rate(self) -> float | None:
        """2/λmax, beyond which plain gradient descent leaves a minimum here; None where λmax ≤ 0."""
        return float(2 / self.largest[0]) if self.largest[0] > self.rounding else None

    @property
    def stationary(self) -> bool:
        """Whether ‖∇f‖ ≤ tolerance · ‖H‖ · ‖x‖, which no scaling of the loss or of the parameters changes.

        A run that creeps towards infinity is not stationary by this: its curvature falls with its gradient.
        """
        size = float(max(abs(self.smallest[0]), abs(self.largest[0])))
        return self.gradient_norm <= self.tolerance * size * self.length

    @property
    def kind(self) -> str:
        """What was established: "minimum", "saddle", "maximum", "degenerate" or "not stationary".

        The curvature that decides must be beyond its error, and Newton's step to the root, |∇f|/λ for a
        minimum and |vᵀ∇f|/|λ| along the eigenvector otherwise, short against the parameters.
        """
        if not self.stationary:
            return "not stationary"
        low, error = float(self.smallest[0]), float(self.smallest_errors[0])
        if self.root_distance > NEAR * self.length or -self.zero <= low <= error:
            return "degenerate"
        if low > 0:
            return "minimum"
        return "maximum" if self.largest[0] + self.largest_errors[0] < 0 else "saddle"

    @property
    def zero(self) -> float:
        """How far below zero an eigenvalue may be and yet be zero at the root.

        The point is a root to `tolerance` only, and from here to the root the curvature may change as much.
        """
        size = max(abs(float(self.smallest[0])), abs(float(self.largest[0])))
        return max(self.rounding, self.tolerance * size)

    @property
    def flat_share(self) -> float | None:
        """The share of eigenvalues within 1/1000 of the largest |λ| from zero; None without a spectrum."""
        size = float(max(abs(self.smallest[0]), abs(self.largest[0])))
        return None if self.spectrum is None else self.spectrum.share_within(FLAT * size)

    @property
    def sentence(self) -> str:
        """What was established, in plain words."""
        rate, flat = self.stable_learning_rate, self.flat_share
        stable = f" Plain gradient descent is stable up to a learning rate of {short(rate)}." if rate else ""
        about = "" if self.exact else "About "
        share = (
            f" {about}{percent(flat)} of all directions are flat to 1/1000 of the largest curvature."
            if flat
            else ""
        )
        return f"{_verdict(self)}.{stable}{share}"

    def plot(self) -> Figure:
        """Draw the spectrum."""
        from descentlab.models.draw_curvature import draw_curvature

        return draw_curvature(self)


def curvature(
    model: torch.nn.Module,
    loss: LossFunction,
    data: Any,
    *,
    extremes: int = 3,
    seed: int = 0,
    batch_size: int | None = None,
    spectrum: bool = True,
    dense_below: int = DENSE_BELOW,
    probes: int = 10,
    depth: int = 80,
    tolerance: float = 1e-6,
    dtype: torch.dtype | None = None,
) -> Curvature:
    """Measure the curvature of a model's loss at its parameters, which stay as they are.

    data: a pair of inputs and targets, (sample, …); loss: of outputs and targets, one number. extremes: how many
    eigenvalues at each end. Up to `dense_below` trainable parameters the Hessian is written out, and all is exact
    to rounding. Beyond, block Lanczos gives the ends, `probes` random vectors the trace (Hutchinson 1990) and, at
    `depth` Lanczos steps each, the spectral density (Ghorbani, Krishnan & Xiao 2019). batch_size: samples worked on
    at a time, of the same full-batch loss. tolerance: see `Curvature.stationary`. dtype: float64 unless given.
    Dropout is off and BatchNorm uses its running statistics, as in evaluation.

    Raises InputError for a model without trainable parameters, data that do not fit, or a loss that is not
    one finite number.

    >>> import torch
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> x = torch.tensor([[1.0], [2.0]])
    >>> curvature(model, torch.nn.MSELoss(), (x, x)).largest.round(9)  # 2·(1² + 2²)/2
    array([5.])
    """
    count = whole_number(extremes, "number of extreme eigenvalues", 1, 1000)
    probes = whole_number(probes, "number of probes", 2, 10_000)
    depth = whole_number(depth, "number of Lanczos steps a probe", 1, 10_000)
    seed = whole_number(seed, "seed", 0, 2**63)
    if not (isinstance(tolerance, (int, float)) and 0 <= tolerance < math.inf):
        raise InputError(f"The tolerance must be a number from 0 on, but it is {tolerance!r}.")
    with opened(model, loss, data, batch_size, dtype) as flat:
        gradient = flat.slope(flat.start)[1].cpu().double().numpy()
        common: dict[str, Any] = {
            "loss": flat.value,
            "gradient_norm": float(np.linalg.norm(gradient)),
            "parameters": flat.dim,
            "length": max(1.0, float(flat.start.norm())),
            "tolerance": float(tolerance),
            "seed": seed,
            "dtype": str(flat.start.dtype).removeprefix("torch."),
        }
        if flat.dim <= dense_below:
            return Curvature(**common, **_dense(flat, gradient, count))
        return Curvature(**common, **_by_products(flat, gradient, count, seed, probes, depth, spectrum))


def _verdict(c: Curvature) -> str:
    """Say what kind of point this is and by what evidence."""
    slope, low, error = f"|∇f| = {short(c.gradient_norm)}", float(c.smallest[0]), float(c.smallest_errors[0])
    found = (
        f"the smallest of all {c.parameters:,} eigenvalues" if c.exact else "the smallest eigenvalue found"
    )
    bottom, top = c.index_interval
    some = f"at least {bottom:,}" if top == c.parameters else f"between {bottom:,} and {top:,}"
    count = f"{bottom:,}" if bottom == top else some
    count += f" of {c.parameters:,} eigenvalues are negative" + (
        f", the smallest {short(low)}" if top else ""
    )
    if c.kind == "not stationary":
        return (
            f"Not a stationary point: {slope} where the largest curvature is {short(c.largest[0])}; {count}"
        )
    if c.kind == "minimum":
        name = "A minimum (Hessian)" if c.exact else "A minimum as far as Lanczos can tell"
        return f"{name}: {slope} is small, and {found}, {short(low)}, is above its error, {error:.1g}"
    if c.kind in ("saddle", "maximum"):
        index = f" of index {c.index:,}" if c.exact and c.kind == "saddle" else ""
        return f"A {c.kind}{' point' if c.kind == 'saddle' else ''}{index}: {slope} is small, and {count}"
    if -c.zero <= low <= error:
        why = f"{found}, {short(low)}, is zero within {c.zero if low < 0 else error:.1g}"
    else:
        why = f"Newton's step to it is {short(c.root_distance)} long, too far for the Hessian here to speak of it"
    return f"A stationary point, degenerate: {slope} is small, but {why}: second order cannot tell"


def _dense(flat: FlatLoss, gradient: Array, count: int) -> dict[str, Any]:
    """Return what the written-out Hessian says."""
    H = flat.hessian(flat.start)
    _check_finite(H)
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    size = float(np.abs(values).max())
    # What differs between H and Hᵀ is rounding, and so bounds what rounding does to the eigenvalues.
    rounding = flat.rounding * size + float(np.linalg.norm(H - H.T)) / 2
    count = min(count, len(values))
    negative = int((values < -rounding).sum())
    errors = np.full(count, rounding)
    return {
        "smallest": values[:count],
        "smallest_errors": errors,
        "largest": values[::-1][:count].copy(),
        "largest_errors": errors,
        "exact": True,
        "eigenvalues": values,
        "index": negative,
        "index_interval": (negative, negative),
        "index_how": "exact",
        "trace": float(np.trace(H)),
        "trace_error": 0.0,
        "rounding": rounding,
        "spectrum": smoothed(values[None], np.full((1, len(values)), 1 / len(values))),
        "root_distance": _root_distance(gradient, float(values[0]), vectors[:, 0], rounding),
        "products": flat.dim,
        "probes": 0,
    }


def _by_products(
    flat: FlatLoss, gradient: Array, count: int, seed: int, probes: int, depth: int, spectrum: bool
) -> dict[str, Any]:
    """Return what Hessian-vector products say."""
    apply = checked(flat.products(flat.start))
    ends = lanczos.extremes(apply, flat.dim, count, count, seed, rounding=flat.rounding)
    nodes, weights = lanczos.quadrature(apply, flat.dim, probes, depth if spectrum else 1, seed + 1)
    rounding = flat.rounding * ends.size
    traces = flat.dim * (nodes * weights).sum(axis=1)
    index, interval, how = _index(ends, nodes, weights, flat.dim, rounding, spectrum)
    return {
        "smallest": ends.smallest,
        "smallest_errors": ends.smallest_errors,
        "largest": ends.largest,
        "largest_errors": ends.largest_errors,
        "exact": False,
        "eigenvalues": None,
        "index": index,
        "index_interval": interval,
        "index_how": how,
        "trace": float(traces.mean()),
        "trace_error": _standard_error(traces),
        "rounding": rounding,
        "spectrum": smoothed(nodes, weights) if spectrum else None,
        "root_distance": _root_distance(
            gradient, float(ends.smallest[0]), ends.smallest_vectors[:, 0], float(ends.smallest_errors[0])
        ),
        "products": ends.products + int((weights > 0).sum()),
        "probes": probes,
    }


def _index(
    ends: Extremes, nodes: Array, weights: Array, dim: int, rounding: float, spectrum: bool
) -> tuple[int, tuple[int, int], str]:
    """Return how many eigenvalues are negative, an interval, and how that is known.

    A Gauss rule knows the share below a point but for the weights of the two nodes next to it
    (Chebyshev, Markov and Stieltjes): that much is added to 95 % of what differs between probes.
    """
    least = ends.negative
    if ends.smallest[0] > ends.smallest_errors[0]:
        return 0, (0, 0), "none found by Lanczos"
    if not spectrum:
        return least, (least, dim), "at least, by Lanczos"
    below = nodes < -rounding
    share = (weights * below).sum(axis=1)
    left = np.where(below, nodes, -np.inf).argmax(axis=1)[:, None]
    right = np.where(~below & (weights > 0), nodes, np.inf).argmin(axis=1)[:, None]
    low = share - np.take_along_axis(weights * below, left, 1)[:, 0]
    high = share + np.take_along_axis(weights * ~below, right, 1)[:, 0]
    from scipy.special import stdtrit

    t = float(stdtrit(len(nodes) - 1, 0.975))
    bottom = math.floor(dim * (low.mean() - t * _standard_error(low)))
    top = math.ceil(dim * (high.mean() + t * _standard_error(high)))
    bottom, top = min(max(bottom, least), dim), min(max(top, least), dim)
    return (
        min(max(round(dim * share.mean()), bottom), top),
        (bottom, top),
        "estimated from the spectral density",
    )


def _root_distance(gradient: Array, value: float, vector: Array, error: float) -> float:
    """Return how far Newton's method puts the stationary point, along what decides about its kind."""
    if value < -error:
        return abs(float(vector @ gradient) / value)
    sure = value - error
    return float(np.linalg.norm(gradient)) / sure if sure > 0 else math.inf


def checked(apply: Apply) -> Apply:
    """Return products that raise InputError where the Hessian is not finite, instead of going on."""

    def finite(block: Array) -> Array:
        product = apply(block)
        _check_finite(product)
        return product

    return finite


def _check_finite(product: Array) -> None:
    if not np.isfinite(product).all():
        raise InputError("The loss is finite here, but its second derivatives are not; there is no Hessian.")


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))
