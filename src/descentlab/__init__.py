"""descentlab: a laboratory for gradient descent.

Give it a formula, a Python function or a catalogue name; it differentiates, descends, and says
where descent ends, why, what else was there to find, and what to change.
"""

from descentlab.advice import Verdict
from descentlab.descent import Descent, ascend, descend
from descentlab.errors import InputError, WorkError
from descentlab.formula import FormulaError, parse
from descentlab.landscapes import Landscape, landscape, landscapes
from descentlab.objective import Objective, formula, function
from descentlab.optimizers import optimizers
from descentlab.rates import gradient_based, time_based
from descentlab.survey import Minimum, Survey, survey
from descentlab.sweep import Sweep, sweep
from descentlab.xla import ask_for_whole_loops

ask_for_whole_loops()

__version__ = "0.1.0"

__all__ = [
    "Descent",
    "FormulaError",
    "InputError",
    "Landscape",
    "Minimum",
    "Objective",
    "Survey",
    "Sweep",
    "Verdict",
    "WorkError",
    "__version__",
    "ascend",
    "descend",
    "formula",
    "function",
    "gradient_based",
    "landscape",
    "landscapes",
    "optimizers",
    "parse",
    "survey",
    "sweep",
    "time_based",
]
