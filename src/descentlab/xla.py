"""The one compiler option the lab asks for process-wide.

XLA's CPU compiler runs the body of a loop as one call for every fused kernel, about a
microsecond each; below a size of a kilobyte it compiles the whole loop into one function
instead. A descent step is a few short kernels, so the whole loop is worth compiling at any size:
1.5 to 2 times faster (benchmarks/forms.py). The limit can only be raised through the environment
variable XLA_FLAGS, which XLA reads once, before its first compilation. It changes no other
JAX program's results beyond rounding. To keep it from being set, set XLA_FLAGS with an
`--xla_backend_extra_options` of your own before importing descentlab.
"""

from __future__ import annotations

import os

_OPTION = "--xla_backend_extra_options"


def ask_for_whole_loops() -> None:
    """Add the option to XLA_FLAGS, unless the variable already sets backend options."""
    flags = os.environ.get("XLA_FLAGS", "")
    if _OPTION not in flags:
        wanted = f"{_OPTION}=xla_cpu_small_while_loop_byte_threshold=1000000"
        os.environ["XLA_FLAGS"] = f"{flags} {wanted}".strip()
