"""Objectives: functions on a box, with their values, gradients and Hessians on batches.

`formula` makes one from text, `function` from a JAX-traceable Python callable. Both are read
with NumPy arrays of shape (..., dim); the descent engine reads them through `jax_value` and
`jax_value_and_gradient`, on one point given as a tuple of coordinates.

Everything is float64. JAX is asked for it with `jax.enable_x64(True)` as a context around the
lab's own calls only, so the caller's JAX settings stay as they were.
"""

from descentlab.objective.base import Objective
from descentlab.objective.box import make_box
from descentlab.objective.formulas import FormulaObjective, formula
from descentlab.objective.functions import FunctionObjective, function

__all__ = ["FormulaObjective", "FunctionObjective", "Objective", "formula", "function", "make_box"]
