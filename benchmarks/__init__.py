"""Measurements: how fast descents and surveys are, side by side with other ways, and how fast the lab starts."""

import os

# A worker process of pyPESTO's pool with BLAS threads of its own takes ten times as long on two cores.
# Read when NumPy is first imported; the processes that are timed whole run without it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
