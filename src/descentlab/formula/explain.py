"""A derivative worked out rule by rule, as a person would do it on the board.

`derive(expression, "x", names)` states the rule for the outermost operation, differentiates
the pieces one by one, and puts them together. The result is assembled from these rules alone.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sympy import Expr, Symbol

from descentlab.errors import unknown
from descentlab.formula.kinks import Kink, find_kinks
from descentlab.formula.layout import EQUALS, Layout, Math, derivative, row, slope
from descentlab.formula.mathml import Sentence, equation, latex, lines, mathml, prose, prose_html, text
from descentlab.formula.rules import Rules, listed

# More steps than this no one reads; the rest is done by the same rules, and counted.
MOST_STEPS = 80


@dataclass(frozen=True)
class Step:
    """One use of one rule.

    number: from 1, in the order of reading. depth: 0 for the outermost rule.
    statement: the right-hand side with the pieces' derivatives still to be found, or None
        where the rule gives `result` at once.
    parts: the numbers of the steps that differentiate the pieces; they follow this one.
    again: numbers of earlier steps whose result is used again here.
    """

    number: int
    rule: str
    variable: str
    partial: bool
    expression: Expr
    statement: Layout | None
    result: Expr
    sentence: Sentence
    depth: int
    parts: tuple[int, ...] = ()
    again: tuple[int, ...] = ()

    @property
    def explanation(self) -> str:
        """The rule in plain English with this step's expressions."""
        return prose(self.sentence)

    @property
    def title(self) -> str:
        return self.rule[0].upper() + self.rule[1:]

    @property
    def sought(self) -> Layout:
        """d/dx [expression]."""
        return derivative(self.variable, Math(self.expression), self.partial)

    @property
    def opening(self) -> Layout:
        """The equation written first: sought = statement, or sought = result."""
        return row(self.sought, EQUALS, Math(self.result) if self.statement is None else self.statement)

    @property
    def closing(self) -> Layout | None:
        """The equation written last, when the pieces are known; None for a rule without pieces."""
        return None if self.statement is None else row(self.sought, EQUALS, Math(self.result))

    @property
    def reminder(self) -> str:
        """The sentence that refers back, or an empty text."""
        if not self.again:
            return ""
        which = "step" if len(self.again) == 1 else "steps"
        return f"Already known from {which} {listed(str(n) for n in self.again)}."

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "rule": self.rule,
            "depth": self.depth,
            "expression": text(self.expression),
            "explanation": self.explanation,
            "statement": None if self.statement is None else text(self.statement),
            "result": text(self.result),
            "parts": list(self.parts),
            "again": list(self.again),
        }


@dataclass(frozen=True)
class Derivation:
    """The derivative of `expression` with respect to `name`, with its steps.

    result: assembled from the steps. tidied: the shorter of `result` and SymPy's way of
    writing the same derivative. folded: how many uses of a rule are not written out.
    """

    name: str
    names: tuple[str, ...]
    expression: Expr
    steps: tuple[Step, ...]
    result: Expr
    tidied: Expr
    kinks: tuple[Kink, ...]
    folded: int

    @property
    def partial(self) -> bool:
        return len(self.names) > 1

    @property
    def slope(self) -> Layout:
        """df/dx, or ∂f/∂x."""
        return slope(self.name, partial=self.partial)

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be said before and beside the steps."""
        others = [name for name in self.names if name != self.name]
        notes = []
        if others:
            verb, noun = ("is", "a constant") if len(others) == 1 else ("are", "constants")
            pronoun = "it counts" if len(others) == 1 else "they count"
            notes.append(
                f"The partial derivative with respect to {self.name}: {listed(others)} {verb} "
                f"held still, so {pronoun} as {noun}."
            )
        if self.folded:
            notes.append(f"{self.folded:,} further pieces follow the same rules and are not written out.")
        return tuple(notes)

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """Return the whole derivation as plain text, sub-steps indented."""
        written = [*self.notes]
        for step, closes in self._reading():
            indent = "   " * step.depth
            if closes:
                written.append(f"{indent}   Together ({step.number}): {text(step.closing)}")
                continue
            written.append(f"{indent}{step.number}. {step.title}: {step.explanation}")
            written.append(f"{indent}   {text(step.opening)}")
            written += [f"{indent}   {step.reminder}"] * bool(step.reminder)
        written.append(f"Result: {text(row(self.slope, EQUALS, Math(self.result)))}")
        if self.tidied != self.result:
            written.append(f"Tidied: {text(row(self.slope, EQUALS, Math(self.tidied)))}")
        written += [f"Note: {kink.sentence}" for kink in self.kinks]
        return "\n".join(written)

    def latex(self) -> str:
        """Return the derivation as one LaTeX `aligned` environment."""
        written = []
        for step, closes in self._reading():
            right = step.result if closes or step.statement is None else step.statement
            said = f"together ({step.number})" if closes else f"({step.number}) {step.rule}"
            written.append(rf"{latex(step.sought)} &= {latex(right)} && \text{{{said}}}")
        written.append(rf"{latex(self.slope)} &= {latex(self.tidied)} && \text{{result}}")
        return "\\begin{aligned}\n" + " \\\\\n".join(written) + "\n\\end{aligned}"

    def mathml(self) -> str:
        """Return the derivation as an HTML fragment: nested lists with MathML, no script."""
        out = [f"<p>{html.escape(note)}</p>" for note in self.notes]
        out.append(_list("".join(self._item(step) for step in self.steps if step.depth == 0)))
        out.append(equation(self.slope, self.tidied))
        out += [f"<p>{html.escape(kink.sentence)}</p>" for kink in self.kinks]
        return f'<div class="derivation">{"".join(out)}</div>'

    def _item(self, step: Step) -> str:
        inner = "".join(self._item(self.steps[n - 1]) for n in step.parts)
        closing = _line(step.closing, "Together: ") if step.closing else ""
        return (
            f'<li value="{step.number}"><b>{html.escape(step.title)}</b>: {prose_html(step.sentence)} '
            f"{html.escape(step.reminder)}{_line(step.opening)}"
            f"{_list(inner) if inner else ''}{closing}</li>"
        )

    def _repr_html_(self) -> str:
        return self.mathml()

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def to_dict(self) -> dict[str, Any]:
        """Return the derivation as plain data, expressions as text."""
        return {
            "variable": self.name,
            "variables": list(self.names),
            "expression": text(self.expression),
            "steps": [step.to_dict() for step in self.steps],
            "result": text(self.result),
            "tidied": text(self.tidied),
            "latex": latex(self.tidied),
            "mathml": equation(self.slope, self.tidied),
            "kinks": [kink.to_dict() for kink in self.kinks],
            "notes": list(self.notes),
            "folded": self.folded,
        }

    def _reading(self) -> Iterator[tuple[Step, bool]]:
        """Yield every step where it opens and, if it had pieces, where it closes."""
        open_steps: list[Step] = []
        for step in self.steps:
            while open_steps and open_steps[-1].depth >= step.depth:
                yield open_steps.pop(), True
            yield step, False
            if step.closing:
                open_steps.append(step)
        while open_steps:
            yield open_steps.pop(), True


def _list(items: str) -> str:
    """Return a list of numbered rules; JupyterLab's own style would number an inner one with letters."""
    return f'<ol style="list-style-type: decimal">{items}</ol>'


def _line(layout: Layout, label: str = "") -> str:
    """Return a formula on a line of its own, or on several; too wide a line scrolls sideways."""
    style = "overflow-x: auto; overflow-y: hidden; padding: 0.4em 0"
    broken = "<br/>".join(mathml(line, large=True) for line in lines(layout))
    return f'<div style="{style}">{label}{broken}</div>'


def derive(expression: Expr, name: str, names: Sequence[str]) -> Derivation:
    """Differentiate `expression` with respect to `name`, rule by rule.

    `names` are all the variables; with more than one the derivative is a partial one.
    Raises InputError for an unknown variable or for something outside the function table.

    >>> x = Symbol("x")
    >>> print(derive(x**2, "x", ["x"]).text())
    1. Power rule: the exponent 2 comes down in front and is lowered by one.
       d/dx [x**2] = 2*x
    Result: df/dx = 2*x
    """
    if name not in names:
        raise unknown("variable", name, names)
    walk = _Walk(Rules(Symbol(name), len(names) > 1, names))
    result, _ = walk.differentiate(expression, 0)
    known = expression.diff(Symbol(name))
    tidied = known if known.count_ops() < result.count_ops() else result
    return Derivation(
        name,
        tuple(names),
        expression,
        tuple(s for s in walk.steps if s is not None),
        result,
        tidied,
        tuple(find_kinks(expression, walk.rules)),
        walk.folded,
    )


class _Walk:
    """Applies rules from the outside in, each subexpression once."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.steps: list[Step | None] = []
        self.folded = 0
        self._known: dict[Expr, tuple[Expr, int]] = {}

    def differentiate(self, u: Expr, depth: int) -> tuple[Expr, int]:
        """Return the derivative of `u` and the number of the step that found it (0: not written)."""
        if u in self._known:
            return self._known[u]
        plan = self.rules.plan(u, outermost=depth == 0)
        number = 0
        if len(self.steps) < MOST_STEPS:
            self.steps.append(None)  # the place of this step, before those of its pieces
            number = len(self.steps)
        else:
            self.folded += 1
        found: list[Expr] = []
        parts: list[int] = []
        again: list[int] = []
        for piece in plan.pieces:
            seen = piece in self._known
            value, place = self.differentiate(piece, depth + 1)
            found.append(value)
            (again if seen else parts).append(place)
        result = plan.assemble(*found)
        if number:
            self.steps[number - 1] = Step(
                number,
                plan.rule,
                self.rules.x.name,
                self.rules.partial,
                u,
                plan.statement,
                result,
                plan.explanation,
                depth,
                _shown(parts),
                _shown(again),
            )
        self._known[u] = result, number
        return result, number


def _shown(numbers: list[int]) -> tuple[int, ...]:
    """Return the numbers of the steps that were written out, each once."""
    return tuple(dict.fromkeys(number for number in numbers if number))
