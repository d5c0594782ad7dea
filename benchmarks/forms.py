"""`python -m benchmarks.forms`: which form of the step XLA turns into the fastest code.

Four things matter, and this shows each alone (processor seconds, so that other work matters less):

- **blocks**: points are taken in blocks of 128 or so through all their steps, inside one compiled call, so
  that a block stays in the first-level cache;
- **one function a loop**: XLA:CPU runs a loop's body as one call a fused kernel, about a microsecond each.
  Below a size (1 kB unless told otherwise) it compiles the whole loop into one function instead;
- **one pass over the data**: both coordinates' updates in one kernel ("multi-output fusion"). By default they
  are two, and what they share is computed twice or stored in between;
- **the exponential**: XLA's divides polynomials. One polynomial of degree 11 and an exponent shifted into
  place is as accurate (1 ulp) and shorter. It is no gain without multi-output fusion: XLA sees only cheap
  operations and computes it once for each coordinate.

The second and third are process-wide compiler options, read once from XLA_FLAGS before the first compilation.
Together they make a small loop that records several arrays copy all of them at every step (quadratic in the
steps): record one stacked array instead, behind `jax.lax.optimization_barrier`.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import ceiling
from benchmarks.ways import RATE, _slopes

SMALL_LOOPS = "xla_cpu_small_while_loop_byte_threshold=1000000"
ONE_PASS = "xla_cpu_use_multi_output_fusion"
OPTIONS = ("", SMALL_LOOPS, ONE_PASS, f"{SMALL_LOOPS},{ONE_PASS}")
STARTS, STEPS, ROUNDS = 8_192, 500, 5

_LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # 21 trailing zero bits: n times it is exact
_LN2_LOW = 1.9082149292705877e-10


@functools.cache
def coefficients(degree: int = 11) -> tuple[float, ...]:
    """Return the polynomial that meets exp in the Chebyshev nodes of [−ln(2)/2, ln(2)/2], constant first."""
    import mpmath

    with mpmath.workdps(50):
        count, half = degree + 1, mpmath.log(2) / 2
        nodes = [half * mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * count)) for i in range(count)]
        powers = mpmath.matrix([[node**j for j in range(count)] for node in nodes])
        solution = mpmath.lu_solve(powers, mpmath.matrix([mpmath.exp(node) for node in nodes]))
        return tuple(float(c) for c in solution)


def short_exp(x: Any) -> Any:
    """Exp of a float64 array: x = n ln 2 + r, exp(x) = 2^n P(r); below −708 it is 0. NaN and ∞ are kept."""
    import jax.numpy as jnp
    from jax import lax

    n = lax.round(x * 1.4426950408889634, lax.RoundingMethod.TO_NEAREST_EVEN)
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    *rest, p = coefficients()
    for c in reversed(rest):
        p = p * r + c
    # 1.5·2^52 + n holds n in its lowest bits; moved up by 52 they add n to the exponent of P(r).
    shift = lax.shift_left(lax.bitcast_convert_type(n + 6755399441055744.0, jnp.int64), jnp.int64(52))
    result = lax.bitcast_convert_type(lax.bitcast_convert_type(p, jnp.int64) + shift, jnp.float64)
    inside = (x > -708.0) & (x <= 709.782712893384)
    return jnp.where(inside, result, jnp.where(x < 0, 0.0, x + jnp.inf))


def form(exp: Callable[[Any], Any], block: int) -> Callable[..., Any]:
    """Return the compiled descent of all starts in blocks of `block`."""
    import jax

    def run(x: Any, y: Any, rate: Any, steps: int) -> Any:
        def one(point: Any) -> Any:
            def step(_: int, at: Any) -> Any:
                slopes = _slopes(exp, *at)
                return tuple(c - rate * g for c, g in zip(at, slopes, strict=True))

            return jax.lax.fori_loop(0, steps, step, point)

        return jax.lax.map(one, (x.reshape(-1, block), y.reshape(-1, block)))

    return jax.jit(run, compiler_options={"xla_cpu_prefer_vector_width": 512})


def measure() -> None:
    """Time the forms under the XLA_FLAGS this process was started with."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    c_way, _ = ceiling.build("float64", RATE)
    starts = np.random.default_rng(0).uniform(-3, 3, (STARTS, 2))
    for precision, exps in (
        ("float64", {"jnp.exp": jnp.exp, "short": short_exp}),
        ("float32", {"jnp.exp": jnp.exp}),
    ):
        x, y = (jnp.asarray(column, precision) for column in starts.T)
        for name, exp in exps.items():
            for block in (64, 128, 256, 1024):
                compiled = form(exp, block)
                ratios = []
                for number in range(ROUNDS + 1):
                    began = time.process_time()
                    c_way(starts, STEPS)
                    between = time.process_time()
                    jax.block_until_ready(compiled(x, y, np.dtype(precision).type(RATE), STEPS))
                    if number:
                        ratios.append((between - began) / (time.process_time() - between))
                print(
                    f"  {precision} {name:8} block {block:5}  {np.median(ratios):.2f} of C in float64",
                    flush=True,
                )


def main() -> None:
    """Run `measure` in one process for each set of compiler options."""
    for options in OPTIONS:
        print(f"options: {options or 'none'}", flush=True)
        flags = f"--xla_backend_extra_options={options}" if options else ""
        environment = {**os.environ, "XLA_FLAGS": flags, "OMP_NUM_THREADS": "1"}
        code = "from benchmarks.forms import measure; measure()"
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)


if __name__ == "__main__":
    main()
