"""Text → expression without executing text, and derivatives explained."""

from descentlab.formula.errors import FormulaError
from descentlab.formula.parse import ParsedFormula, parse

__all__ = ["FormulaError", "ParsedFormula", "parse"]
