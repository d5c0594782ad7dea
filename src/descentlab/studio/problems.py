"""Problems of a page → objectives. The text is read and differentiated in a child process that limits end."""

from __future__ import annotations

import functools
import json
from typing import Any

from descentlab.errors import InputError
from descentlab.formula.errors import FormulaError
from descentlab.formula.explain import derive
from descentlab.formula.isolate import run_isolated
from descentlab.formula.layout import Word, function_of, gradient_of, row
from descentlab.formula.limits import MOST_CHARACTERS
from descentlab.formula.mathml import equation
from descentlab.objective import FormulaObjective, Objective, formula
from descentlab.rates import curvature_of_box
from descentlab.studio.checks import MOST_VARIABLES, Ask, check_interval
from descentlab.studio.replies import Reply, reply, tree

READING, DERIVING = 2.0, 5.0  # seconds
# A derivation longer than this is no longer read by anyone, and would stall the page.
MOST_MARKUP = 2_000_000
MOST_KEPT = 64
NABLA = row(Word("∇", "name"), Word("f", "letter"))


def objective_of(ask: Ask, own: Objective | None) -> Objective:
    """Return the objective of a message: {text, domain, variables}, or the caller's own one."""
    given = ask.get("problem")
    if not isinstance(given, dict):
        raise InputError("A message names its problem: a formula with its domain.")
    if given.get("own") is True:
        if own is None:
            raise InputError("This studio was opened without a function of its own. Type a formula.")
        return own
    problem = Ask(given)
    text = problem.text("text", MOST_CHARACTERS)
    names = problem.items("variables", MOST_VARIABLES) if problem.has("variables") else None
    if names is not None and not all(isinstance(n, str) for n in names):
        raise InputError("The variables are a list of names.")
    sides = problem.items("domain", MOST_VARIABLES) if problem.has("domain") else None
    box = None if sides is None else [check_interval(s, f"variable {i + 1}") for i, s in enumerate(sides)]
    return _made(text, json.dumps(box), json.dumps(names))


@functools.lru_cache(MOST_KEPT)
def _made(text: str, box: str, names: str) -> FormulaObjective:
    try:
        return run_isolated(
            make, text, json.loads(box), json.loads(names), seconds=READING, what="Reading this formula"
        )
    except FormulaError as error:
        raise error if error.text else FormulaError(error.message, text) from None


def make(text: str, box: Any, names: Any) -> FormulaObjective:
    """Make the objective (in the child process, with its programs)."""
    return formula(text, domain=box, variables=names)


def typeset(f: FormulaObjective) -> tuple[str, list[str]]:
    """Return f and its partial derivatives as markup (in the child process)."""
    value = equation(function_of(f.names), f.expression)
    found = [derive(f.expression, name, f.names) for name in f.names]
    return value, [equation(d.slope, d.tidied) for d in found]


def derivations(f: FormulaObjective) -> list[str]:
    """Return the derivation of each partial derivative as markup (in the child process)."""
    return [derive(f.expression, name, f.names).mathml() for name in f.names]


def answer_formula(ask: Ask, own: Objective | None) -> Reply:
    """Typeset the problem: f, its partial derivatives and ∇f."""
    f = objective_of(ask, own)
    mathematics: dict[str, Any] = {"value": None, "partials": [], "gradient": None}
    if isinstance(f, FormulaObjective):
        value, partials = run_isolated(typeset, f, seconds=DERIVING)
        mathematics["value"], mathematics["partials"] = tree(value), [tree(p) for p in partials]
        if f.dim > 1:
            mathematics["gradient"] = tree(equation(NABLA, gradient_of(f.names)))
    curvature = curvature_of_box(f)
    return reply(
        {
            "problem": problem_of(f),
            "names": f.names,
            "dim": f.dim,
            "domain": f.domain,
            "label": f.label,
            "notes": f.notes,
            "mathematics": mathematics,
            "stable_rate": 2 / curvature if curvature > 0 else None,
        }
    )


def problem_of(f: Objective) -> dict[str, Any]:
    """Return the problem that makes this objective again."""
    if f.text is None:
        return {"own": True}
    return {"text": f.text, "domain": f.domain, "variables": list(f.names) if f.declared else None}


def answer_derivation(ask: Ask, own: Objective | None) -> Reply:
    """Derive every partial derivative rule by rule."""
    f = objective_of(ask, own)
    if not isinstance(f, FormulaObjective):
        raise InputError("Only a formula can be explained rule by rule; this is a Python function.")
    written = run_isolated(derivations, f, seconds=DERIVING)
    if sum(map(len, written)) > MOST_MARKUP:
        raise InputError("The derivation is too long to show here; 'descentlab derive' prints it.")
    return reply({"derivations": [tree(w) for w in written]})
