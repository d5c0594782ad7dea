"""Text → expression without executing text, and derivatives explained."""

from descentlab.formula.errors import FormulaError
from descentlab.formula.explain import Derivation, derive
from descentlab.formula.parse import ParsedFormula, parse

__all__ = ["Derivation", "FormulaError", "ParsedFormula", "derive", "parse"]
