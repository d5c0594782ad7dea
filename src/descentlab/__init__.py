"""descentlab: a laboratory for gradient descent.

Give it a formula, a Python function or a catalogue name; it differentiates, descends, and says
where descent ends, why, what else was there to find, and what to change.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from descentlab.xla import ask_for_whole_loops

if TYPE_CHECKING:
    # mypy may meet the modules certify and survey before these functions, which take their names.
    from descentlab.advice import Verdict
    from descentlab.certify import Certificate, CertifiedPoint, certify  # type: ignore[no-redef, unused-ignore]
    from descentlab.descent import Descent, ascend, descend
    from descentlab.errors import InputError, WorkError
    from descentlab.formula import FormulaError, parse
    from descentlab.functions import function
    from descentlab.guide import GuideEntry, guide
    from descentlab.landscapes import Landscape, landscape, landscapes
    from descentlab.minimize import Minimization, maximize, minimize
    from descentlab.objective import Objective, formula
    from descentlab.optimizers import optimizers
    from descentlab.rates import gradient_based, time_based
    from descentlab.report.explore import Exploration, explore
    from descentlab.studio.widget import studio
    from descentlab.survey import (
        BasinMap,
        BasinStrip,
        Minimum,
        Survey,
        basin_map,
        basin_strip,
        survey,  # type: ignore[no-redef, unused-ignore]
    )
    from descentlab.sweep import Sweep, sweep

__version__ = "0.1.0"

__all__ = [
    "BasinMap",
    "BasinStrip",
    "Certificate",
    "CertifiedPoint",
    "Descent",
    "Exploration",
    "FormulaError",
    "GuideEntry",
    "InputError",
    "Landscape",
    "Minimization",
    "Minimum",
    "Objective",
    "Survey",
    "Sweep",
    "Verdict",
    "WorkError",
    "__version__",
    "ascend",
    "basin_map",
    "basin_strip",
    "certify",
    "descend",
    "explore",
    "formula",
    "function",
    "gradient_based",
    "guide",
    "landscape",
    "landscapes",
    "maximize",
    "minimize",
    "optimizers",
    "parse",
    "studio",
    "survey",
    "sweep",
    "time_based",
]

# Where each public name lives. It is loaded when first asked for: the command line must not load
# NumPy or the engine before it needs them.
_HOMES = {
    "advice": ["Verdict"],
    "certify": ["Certificate", "CertifiedPoint", "certify"],
    "descent": ["Descent", "ascend", "descend"],
    "errors": ["InputError", "WorkError"],
    "formula": ["FormulaError", "parse"],
    "guide": ["GuideEntry", "guide"],
    "landscapes": ["Landscape", "landscape", "landscapes"],
    "minimize": ["Minimization", "maximize", "minimize"],
    "functions": ["function"],
    "objective": ["Objective", "formula"],
    "optimizers": ["optimizers"],
    "rates": ["gradient_based", "time_based"],
    "report": ["Exploration", "explore"],
    "studio.widget": ["studio"],
    "survey": ["BasinMap", "BasinStrip", "Minimum", "Survey", "basin_map", "basin_strip", "survey"],
    "sweep": ["Sweep", "sweep"],
}


def _door(home: str, name: str) -> property:
    """Return a property that loads `name` from its home.

    It has a setter that does nothing, because Python sets a package's attribute when a module of
    that name is imported: `descentlab.formula`, the function, must not become the subpackage.
    """

    def load(_: ModuleType) -> Any:
        return getattr(importlib.import_module(f"descentlab.{home}"), name)

    return property(load, lambda package, module: None)


def _package(name: str) -> property:
    """Return a property that loads a subpackage whose names are used through it: `dl.models.retrain`."""
    return property(lambda _: importlib.import_module(f"descentlab.{name}"), lambda package, module: None)


sys.modules[__name__].__class__ = type(
    "Package",
    (ModuleType,),
    {name: _door(home, name) for home, names in _HOMES.items() for name in names}
    | {name: _package(name) for name in ("models", "random_landscapes")},
)

ask_for_whole_loops()
