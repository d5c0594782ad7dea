"""What surveys are compared with: all take starts (start, dim), each to be descended from, and return the ends."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from descentlab.objective import Objective

Points = NDArray[np.float64]
Peer = Callable[[Points], Points]

PEAKS_BOX = ((-3.0, 3.0), (-3.0, 3.0))
# SciPy's own defaults leave many ends on slopes: a relative decrease of 2e-9 is not the end of peaks' flat parts.
# These cost a few per cent more, and nearly all ends are minima.
LBFGS = {"ftol": 1e-12, "gtol": 1e-8}
CAP = 10_000  # steps: the default of `survey`
LOTS = 2_048  # starts a compiled call: the fastest of 256 … 65,536 here


def peaks(x: Points) -> tuple[float, Points]:
    """Return value and gradient of peaks at one point: plain floats, shared terms computed once."""
    u, v = x.tolist()
    uu, vv, below, right, above = u * u, v * v, 1 - u, u + 1, v + 1
    e1, e2, e3 = math.exp(-uu - above * above), math.exp(-uu - vv), math.exp(-right * right - vv)
    a, b, c = 6 * below * e1, 20 * e2, (2 / 3) * e3
    h = b * (u * 0.2 - u * uu - v * vv * vv)
    gx = h * u + right * c - a - a * below * u - b * (0.1 - 1.5 * uu)
    gy = h * v + v * c - a * below * above + b * 2.5 * vv * vv
    return (below * a - h - c) / 2, np.array([gx, gy])


def scipy_loop(starts: Points) -> Points:
    """L-BFGS-B from one start after the other."""
    from scipy.optimize import minimize

    return np.array(
        [minimize(peaks, x, jac=True, method="L-BFGS-B", bounds=PEAKS_BOX, options=LBFGS).x for x in starts]
    )


def optimagic_multistart(starts: Points) -> Points:
    """Optimagic's multistart, told to descend from every start as it is and not to stop early.

    On one core: its pool takes longer, 5 ms a start with one batch for all.
    """
    import optimagic

    low, high = np.array(PEAKS_BOX).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = optimagic.minimize(
            fun=lambda x: peaks(x)[0],
            jac=lambda x: peaks(x)[1],
            fun_and_jac=peaks,
            params=starts[0],
            bounds=optimagic.Bounds(lower=low, upper=high),
            algorithm=optimagic.algos.scipy_lbfgsb(
                convergence_ftol_rel=LBFGS["ftol"], convergence_gtol_abs=LBFGS["gtol"]
            ),
            multistart=optimagic.MultistartOptions(
                sample=list(starts),
                n_samples=len(starts),
                stopping_maxopt=len(starts),
                mixing_weight_bounds=(0.0, 0.0),
                convergence_max_discoveries=len(starts) + 1,
                seed=0,
            ),
        )
    return np.array([end.params for end in result.multistart_info.local_optima])


def pypesto_pool(starts: Points) -> Points:
    """Run pyPESTO's multistart on its process pool, two processes."""
    import pypesto
    from pypesto.engine import MultiProcessEngine
    from pypesto.optimize import ScipyOptimizer, minimize

    low, high = np.array(PEAKS_BOX).T
    objective = pypesto.Objective(fun=peaks, grad=True)
    with warnings.catch_warnings():
        # JAX warns of forks; the workers never call it.
        warnings.simplefilter("ignore")
        result = minimize(
            pypesto.Problem(objective, lb=low, ub=high, x_guesses=starts),
            optimizer=ScipyOptimizer("L-BFGS-B", options=LBFGS),
            n_starts=len(starts),
            engine=MultiProcessEngine(n_procs=2),
            progress_bar=False,
        )
    return np.array(result.optimize_result.x)


def _jax_functions() -> dict[str, Callable[..., Any]]:
    import jax.numpy as jnp

    def peaks(x: Any, y: Any) -> Any:
        return (
            3 * (1 - x) ** 2 * jnp.exp(-(x**2) - (y + 1) ** 2)
            - 10 * (x / 5 - x**3 - y**5) * jnp.exp(-(x**2) - y**2)
            - jnp.exp(-((x + 1) ** 2) - y**2) / 3
        )

    def ackley(x: Any, y: Any) -> Any:
        waves = (jnp.cos(2 * jnp.pi * x) + jnp.cos(2 * jnp.pi * y)) / 2
        return -20 * jnp.exp(-0.2 * jnp.sqrt((x * x + y * y) / 2)) - jnp.exp(waves) + 20 + jnp.e

    return {
        "peaks": peaks,
        "himmelblau": lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
        "rosenbrock": lambda x, y: 100 * (y - x**2) ** 2 + (1 - x) ** 2,
        "rastrigin": lambda x, y: (
            20 + x**2 - 10 * jnp.cos(2 * jnp.pi * x) + y**2 - 10 * jnp.cos(2 * jnp.pi * y)
        ),
        "styblinski-tang": lambda *x: sum(a**4 - 16 * a**2 + 5 * a for a in x) / 2,
        "ackley": ackley,
    }


def fixed_length(objective: Objective, cap: int = CAP) -> Peer:
    """Return the loop a good user of JAX writes: `vmap` of a `fori_loop` of `cap` steps, no step left out.

    The update is the survey's: the rate follows the curvature (Malitsky and Mishchenko 2020), clipped to the
    box. Coordinates are separate arrays, LOTS starts a call, two threads: the fastest of the forms tried.
    """
    import jax
    import jax.numpy as jnp

    from descentlab.optimizers import choose
    from descentlab.rates import KINKED_LEAST, auto_rate

    gradient = jax.grad(lambda x: _jax_functions()[objective.label.split()[0]](*x))
    low, high = map(tuple, objective.domain.T.tolist())
    eta = auto_rate(objective, choose("gd", {}))
    least = KINKED_LEAST * eta if objective.may_kink else 0.0

    def length(a: Any, b: Any) -> Any:
        return jnp.sqrt(sum((p - q) ** 2 for p, q in zip(a, b, strict=True)))

    def moved(x: Any, rate: Any, g: Any) -> Any:
        return tuple(jnp.clip(a - rate * s, *side) for a, s, *side in zip(x, g, low, high, strict=True))

    def descend(x: Any) -> Any:
        def step(_: Any, state: Any) -> Any:
            x, old_x, old_g, rate, ratio = state
            g = gradient(x)
            went, turned = length(x, old_x), length(g, old_g)
            new = jnp.minimum(jnp.sqrt(1 + ratio) * rate, jnp.where(turned > 0, went / (2 * turned), jnp.inf))
            new = jnp.where(went == 0, rate, jnp.maximum(new, least))
            return moved(x, new, g), x, g, new, new / rate

        g = gradient(x)
        return jax.lax.fori_loop(1, cap, step, (moved(x, eta, g), x, g, jnp.asarray(eta), jnp.asarray(0.0)))[
            0
        ]

    compiled = jax.jit(jax.vmap(descend))

    def lot(starts: Points) -> Points:
        with jax.enable_x64(True):
            return np.stack(compiled(tuple(map(jnp.asarray, starts.T))), axis=1)

    def way(starts: Points) -> Points:
        lots = [starts[first : first + LOTS] for first in range(0, len(starts), LOTS)]
        with ThreadPoolExecutor(2) as pool:
            return np.concatenate(list(pool.map(lot, lots)))

    return way
