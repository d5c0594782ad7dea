"""Problems whose answers are known in closed form: what retraining finds on them can be checked.

Each function returns a problem with `initialize(key)` and `loss(weights)` for `retrain`, and with what is known about
it. Weights are dicts of arrays, so the `weights` of an ensemble are the same dicts with one axis more, (run, …).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descentlab.errors import InputError
from descentlab.escape import find_escape
from descentlab.models.data import read_data
from descentlab.objective import Objective, formula

Array = NDArray[np.float64]
Weights = dict[str, Any]


# --- student and teacher: spurious minima ---

# A loss below this is at the global minimum, 0. Descent gets below 1e-14 there (1e-8 with students to spare, where the
# loss falls as a power of the steps only), and the lowest spurious minimum for up to 12 teachers lies at 0.016.
AT_ZERO = 1e-4
# sin² θ below this is rounding of 1 − cos² θ, which carries 16 digits: the angle counts as 0 or π.
SAME_DIRECTION = 1e-14
# atan t = t + t z P(z)/Q(z) with z = t², for |t| ≤ 0.66: P and Q of Moshier's Cephes library, atan.c.
ATAN_ABOVE = np.array(
    [
        -8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1,
        -1.228866684490136173410e2, -6.485021904942025371773e1,
    ]
)  # fmt: skip
ATAN_BELOW = np.array(
    [
        1.0, 2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2,
        4.853903996359136964868e2, 1.945506571482613964425e2,
    ]
)  # fmt: skip


@dataclass(frozen=True)
class StudentTeacher:
    """A network of ReLUs, Σᵢ relu(wᵢ·x), that learns an equal one with orthonormal weights, Σⱼ relu(eⱼ·x).

    students, teachers: how many ReLUs there are in each; x has the dimension `teachers`. learning_rate, steps: those
    at which 98 % of runs or more come to a gradient of 1e-9 (measured for 6 to 12 teachers and as many students).
    """

    students: int
    teachers: int
    learning_rate: float = 0.1
    steps: int = 13_000

    def initialize(self, key: Any) -> Weights:
        """Return {"students": (student, teacher)}, drawn as Glorot and Bengio (2010) do (Xavier initialization)."""
        import jax

        deviation = math.sqrt(2 / (self.students + self.teachers))
        return {"students": deviation * jax.random.normal(key, (self.students, self.teachers))}

    def loss(self, weights: Weights) -> Any:
        """Return ½ E (Σᵢ relu(wᵢ·x) − Σⱼ relu(eⱼ·x))² for Gaussian x, in closed form."""
        return _student_teacher_loss()(weights["students"])

    def is_global(self, losses: ArrayLike) -> NDArray[np.bool_]:
        """Tell which of these losses belong to the global minimum, 0, and not to a spurious one."""
        return np.asarray(np.asarray(losses) < AT_ZERO)


def student_teacher(teachers: int, students: int | None = None) -> StudentTeacher:
    """Return the student–teacher problem of Safran and Shamir (2018), in which spurious local minima are common.

    With k teachers, n students, the angle θ between w and v, and the arc-cosine kernel (Cho and Saul 2009)

        κ(w, v) = E relu(w·x) relu(v·x) = |w||v| (sin θ + (π − θ) cos θ) / 2π
        loss = ½ Σᵢⱼ κ(wᵢ, wⱼ) − Σᵢⱼ κ(wᵢ, eⱼ) + ½ Σᵢⱼ κ(eᵢ, eⱼ)

    The global minimum, 0, has the teacher's weights, in any order. Spurious minima exist from k = 6 on, and
    descent ends in them the more often, the larger k = n; one more student makes them rare. The loss has no
    continuous symmetry, so minima are isolated for n = k. At wᵢ = 0 it has a kink; the gradient there is finite and
    arbitrary.

    Source: Safran and Shamir, "Spurious Local Minima are Common in Two-Layer ReLU Neural Networks", ICML 2018: gradient
    descent of step 0.1 from Xavier initialization to a gradient of 1e-9. Raises InputError unless k ≥ 1 and n ≥ 1.

    >>> from descentlab.models import retrain
    >>> problem = student_teacher(3)
    >>> e = retrain(problem.initialize, problem.loss, runs=4, optimizer="sgd", learning_rate=0.1, steps=2000)
    >>> problem.is_global(e.final_losses).tolist()  # spurious minima begin at six teachers
    [True, True, True, True]
    """
    students = teachers if students is None else students
    for name, given in (("teachers", teachers), ("students", students)):
        if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1:
            raise InputError(f"The number of {name} is a whole number of at least 1, but it is {given!r}.")
    return StudentTeacher(int(students), int(teachers))


@functools.cache
def _student_teacher_loss() -> Callable[[Any], Any]:
    """Return the loss of weights (student, teacher), with the closed form of its gradient instead of a derived one.

    A derivative of the formula term by term divides by sin θ, which is 0 for equal weights. The gradient,
    Σⱼ (|wⱼ| sin θᵢⱼ wᵢ/|wᵢ| + (π − θᵢⱼ) wⱼ)/2π of every kernel, does not (Safran and Shamir 2018, section 4.1).
    """
    import jax
    import jax.numpy as jnp

    def pairs(w: Any) -> tuple[Any, ...]:
        """Return |w|² (student,), and w·v, |w||v| sin θ and π − θ of all students with students and teachers."""
        squares = (w * w).sum(axis=1)
        inner = w @ w.T
        own = inner, *_sine_and_rest(squares[:, None] * squares, inner)
        return squares, own, (w, *_sine_and_rest(squares[:, None], w))

    def half_kernels(part: Any) -> Any:
        inner, sine, rest = part
        return (sine + rest * inner).sum() / (4 * jnp.pi)

    @jax.custom_jvp
    def loss(w: Any) -> Any:
        _, own, across = pairs(w)
        k = w.shape[1]
        return half_kernels(own) - 2 * half_kernels(across) + (k / 2 + k * (k - 1) / (2 * jnp.pi)) / 2

    @loss.defjvp
    def change(at: Any, move: Any) -> Any:
        (w,), (toward,) = at, move
        squares, (_, own_sine, own_rest), (_, sine, rest) = pairs(w)
        outward = (own_sine.sum(axis=1) - sine.sum(axis=1)) / jnp.where(squares > 0, squares, 1.0)
        gradient = (outward[:, None] * w + own_rest @ w - rest) / (2 * jnp.pi)
        return loss(w), (gradient * toward).sum()

    return loss


def _sine_and_rest(squares: Any, inner: Any) -> tuple[Any, Any]:
    """Return |w||v| sin θ and π − θ from |w|²|v|² and w·v, with finite derivatives at θ = 0 and π too.

    There the derivatives of both are infinite, but those of the gradient vanish with sin θ: they count as 0.
    """
    import jax.numpy as jnp

    square = squares - inner * inner
    apart = square > SAME_DIRECTION * squares
    sine = jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1.0)), 0.0)
    return sine, _angle(sine, -inner)


def _angle(y: Any, x: Any) -> Any:
    """Return the angle of the point (x, y), y ≥ 0, from 0 to π: what arctan2 does, at a fifth of the time.

    XLA computes arctan2 number by number (16 ns, and most of a step); this becomes vector instructions. Two angles
    are first folded away, so that |t| ≤ tan π/8. Its error is 4e-16 at most (measured).
    """
    import jax.numpy as jnp

    width = jnp.abs(x)
    high, low = jnp.maximum(width, y), jnp.minimum(width, y)
    steep = low > math.tan(math.pi / 8) * high
    below = jnp.where(steep, low + high, high)
    t = jnp.where(steep, low - high, low) / jnp.where(below > 0, below, 1.0)
    z = t * t
    angle = t + t * z * jnp.polyval(ATAN_ABOVE, z) / jnp.polyval(ATAN_BELOW, z)
    angle = jnp.where(steep, angle + math.pi / 4, angle)
    angle = jnp.where(y > width, math.pi / 2 - angle, angle)
    return jnp.where(x < 0, math.pi - angle, angle)


# --- deep linear networks: no spurious minimum, known saddle levels ---


@dataclass(frozen=True, eq=False)
class LinearNetwork:
    """A network W = W_L … W₁ without activations, and all losses at which its gradient can vanish.

    inputs (sample, input), targets (sample, output): the data; hidden: the widths between. regression (output,
    input): the least-squares map; eigenvalues, directions: those of Σ, largest first, directions in columns;
    unexplained: the mean of |y|².
    """

    inputs: Array
    targets: Array
    hidden: tuple[int, ...]
    regression: Array
    eigenvalues: Array
    directions: Array
    unexplained: float

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of all layers, from the inputs to the targets."""
        return (self.inputs.shape[1], *self.hidden, self.targets.shape[1])

    @property
    def rank(self) -> int:
        """The largest rank that W can have."""
        return min(self.widths)

    def initialize(self, key: Any) -> Weights:
        """Return {"layer1": (width, input), …}, drawn as Glorot and Bengio (2010) do."""
        import jax

        keys = jax.random.split(key, len(self.widths) - 1)
        return {
            f"layer{i + 1}": math.sqrt(2 / (m + n)) * jax.random.normal(keys[i], (n, m))
            for i, (m, n) in enumerate(itertools.pairwise(self.widths))
        }

    def loss(self, weights: Weights) -> Any:
        """Return the mean of |y − W x|²."""
        out = self.inputs
        for i in range(len(self.widths) - 1):
            out = out @ weights[f"layer{i + 1}"].T
        return ((out - self.targets) ** 2).sum(axis=1).mean()

    def predicted(self, chosen: Iterable[int]) -> float:
        """Return the loss at the stationary points that explain the eigenvalues of these numbers, from 0 on."""
        return self.unexplained - float(self.eigenvalues[list(chosen)].sum())

    @property
    def lowest(self) -> float:
        """The loss of all minima: the largest eigenvalues are explained, as many as the rank allows."""
        return self.predicted(range(self.rank))

    @property
    def levels(self) -> dict[tuple[int, ...], float]:
        """The loss at every kind of stationary point, by the eigenvalues explained, lowest first."""
        found = {
            chosen: self.predicted(chosen)
            for size in range(self.rank + 1)
            for chosen in itertools.combinations(range(len(self.eigenvalues)), size)
        }
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def stationary_point(self, chosen: Sequence[int]) -> Weights:
        """Return weights at which the gradient vanishes and just these eigenvalues are explained.

        Raises InputError for more eigenvalues than the rank allows, or for one that there is not.
        """
        if len(set(chosen)) != len(chosen) or not set(chosen) <= set(range(len(self.eigenvalues))):
            raise InputError(
                f"The eigenvalues are numbered from 0 to {len(self.eigenvalues) - 1}, but {list(chosen)} was given."
            )
        if len(chosen) > self.rank:
            raise InputError(f"This network explains up to {self.rank} eigenvalues, not {len(chosen)}.")
        u, widths = self.directions[:, list(chosen)], self.widths
        first, last = np.zeros((widths[1], widths[0])), np.zeros((widths[-1], widths[-2]))
        first[: len(chosen)] = u.T @ self.regression
        last[:, : len(chosen)] = u
        layers = [first, *(np.eye(n, m) for m, n in itertools.pairwise(widths[1:-1])), last]
        return {f"layer{i + 1}": layer for i, layer in enumerate(layers)}


def linear_network(data: Any, hidden: Sequence[int] = (2,)) -> LinearNetwork:
    """Return the deep linear network of Baldi and Hornik (1989), in which every local minimum is global.

    With means over the samples, Σxx = E x xᵀ, Σyx = E y xᵀ and Σ = Σyx Σxx⁻¹ Σxy, the gradient vanishes only where W
    projects the least-squares map on some eigenvectors of Σ, W = Σ_{i∈I} uᵢuᵢᵀ Σyx Σxx⁻¹, and there

        loss = E |y|² − Σ_{i∈I} λᵢ,   |I| ≤ the smallest width

    The largest λᵢ make the minima; every other choice is a saddle point. For targets equal to the inputs this is
    principal component analysis.

    data: a pair (inputs (sample, input), targets (sample, output)); hidden: the widths of the layers between. Sources:
    Baldi and Hornik, "Neural networks and principal component analysis", Neural Networks 1989, for one hidden layer;
    Kawaguchi, "Deep learning without poor local minima", NeurIPS 2016, for more. Raises InputError unless Σxx
    can be inverted and the eigenvalues of Σ are positive and distinct, as the theorem asks.

    >>> x = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    >>> problem = linear_network((x, x), hidden=(2,))
    >>> problem.eigenvalues.round(3), round(problem.lowest, 3)
    (array([3.   , 1.333, 0.333]), 0.333)
    >>> [round(loss, 3) for loss in problem.levels.values()]
    [0.333, 1.333, 1.667, 3.0, 3.333, 4.333, 4.667]
    """
    read = read_data(data)
    x, y = (np.asarray(values, np.float64) for values in (read.inputs, read.targets))
    if x.ndim != 2 or y.ndim != 2:
        raise InputError(
            f"Inputs and targets are tables (sample, number); got the shapes {x.shape}, {y.shape}."
        )
    widths = tuple(int(width) for width in hidden)
    if not widths or any(width < 1 or width != given for width, given in zip(widths, hidden, strict=True)):
        raise InputError(f"The hidden widths are one or more positive whole numbers; got {list(hidden)!r}.")
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise InputError(
            "The inputs depend on each other linearly, so the best map is not unique: leave some out."
        )
    regression = np.asarray(np.linalg.lstsq(x, y, rcond=None)[0].T, np.float64)
    eigenvalues, directions = np.linalg.eigh(regression @ (x.T @ y) / len(x))
    eigenvalues, directions = eigenvalues[::-1], directions[:, ::-1]
    # Eigenvalues carry 16 digits of the largest; half of them tell two apart.
    gaps = -np.diff(np.append(eigenvalues, 0.0))
    if (gaps < 1e-8 * eigenvalues[0]).any():
        raise InputError(
            f"The eigenvalues of Σ must be positive and distinct, but they are {eigenvalues.tolist()}."
        )
    return LinearNetwork(x, y, widths, regression, eigenvalues, directions, float((y**2).sum(axis=1).mean()))


# --- a saddle that descent leaves, unless it starts on the line into it ---


@dataclass(frozen=True)
class SaddleEscape:
    """½x² + ¼y⁴ − ½y² with its saddle point, its minima and their value."""

    objective: Objective
    saddle: tuple[float, float] = (0.0, 0.0)
    minima: tuple[tuple[float, float], ...] = ((0.0, -1.0), (0.0, 1.0))
    lowest: float = -0.25

    def initialize(self, key: Any) -> Weights:
        """Return {"point": (x, y)}, anywhere in the objective's box."""
        import jax

        low, high = self.objective.domain.T
        return {"point": jax.random.uniform(key, (2,), minval=low, maxval=high)}

    def loss(self, weights: Weights) -> Any:
        """Return the objective's value."""
        return self.objective.jax_value(tuple(weights["point"]))

    def steps_to_leave(self, y: float, radius: float, learning_rate: float) -> float:
        """Return ln(R/|y|)/ln(1 + ηγ), the steps from y to radius R along the curvature −γ = −1; infinite for y = 0."""
        return math.log(radius / abs(y)) / math.log1p(learning_rate) if y else math.inf

    def escape(self, learning_rate: float) -> dict[str, Any]:
        """Predict and observe how many steps descent needs to leave the saddle point: see `descentlab.escape`."""
        found = find_escape(self.objective, np.array(self.saddle), learning_rate, 1.0)
        if found is None:
            raise InputError(f"The learning rate is positive, but it is {learning_rate!r}.")
        return found


def saddle_escape() -> SaddleEscape:
    """Return ½x² + ¼y⁴ − ½y²: saddle point (0, 0), minima (0, ±1) of value −¼.

    Descent from y = 0 comes to the saddle point and never leaves it; from anywhere else it leaves, after about
    ln(R/|y|)/ln(1 + η) steps. Starts with y = 0 have probability 0. Source: Lee, Simchowitz, Jordan and Recht,
    "Gradient Descent Only Converges to Minimizers", COLT 2016.

    >>> problem = saddle_escape()
    >>> round(problem.steps_to_leave(1e-6, 1e-2, learning_rate=0.1), 1)
    96.6
    """
    return SaddleEscape(formula("x^2/2 + y^4/4 - y^2/2", domain={"x": (-2, 2), "y": (-2, 2)}))
