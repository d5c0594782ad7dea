"""The tree of a formula, counted and bounded while it is built from the leaves up.

Every node knows its size, its depth and, if no variable is in it, its value; so a formula past
a limit is refused at the node that passes it, and nothing later can recurse too deep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from descentlab.formula import constants
from descentlab.formula.constants import Value
from descentlab.formula.errors import Refusal
from descentlab.formula.functions import BY_NAME
from descentlab.formula.limits import MOST_CALL_NESTING, MOST_NESTING, MOST_NODES

Kind = Literal["number", "constant", "name", "sum", "product", "negative", "power", "call"]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node of the tree.

    position: where it stands in the text. text: a number as written, a name, or the function's
    name in the table. flipped: which terms of a sum are subtracted, which factors of a product
    divided by. called: for a name, whether a bracket follows it, as in foo(x).
    value: of a part without variables, else None. nodes, depth, calls: its size.
    """

    kind: Kind
    position: int
    children: tuple[Node, ...] = ()
    text: str = ""
    flipped: tuple[bool, ...] = ()
    called: bool = False
    value: Value | None = None
    nodes: int = 1
    depth: int = 1
    calls: int = 0


def number(text: str, position: int) -> Node:
    return Node("number", position, text=text, value=constants.literal(text, position))


def constant(name: str, position: int) -> Node:
    return Node("constant", position, text=name, value=constants.CONSTANTS[name])


def name(text: str, position: int, called: bool = False) -> Node:
    return Node("name", position, text=text, called=called)


def add(terms: Sequence[Node], subtracted: Sequence[bool]) -> Node:
    # The constants among the terms are added even if variables stand between them: SymPy does.
    value = constants.total(*_known(terms, subtracted), terms[0].position)
    return _node("sum", terms[0].position, terms, value if _fixed(terms) else None, flipped=subtracted)


def multiply(factors: Sequence[Node], divided: Sequence[bool]) -> Node:
    """Return the product; a product that comes first is spliced in, so (1/2)*x is 1/2*x."""
    first = factors[0]
    if first.kind == "product":
        factors, divided = (*first.children, *factors[1:]), (*first.flipped, *divided[1:])
    for factor, below in zip(factors, divided, strict=True):
        if below and factor.value == 0:
            raise Refusal("This divides by zero.", factor.position)
    value = constants.product(*_known(factors, divided), first.position)
    return _node("product", first.position, factors, value if _fixed(factors) else None, flipped=divided)


def negate(operand: Node, position: int) -> Node:
    return _node("negative", position, [operand], None if operand.value is None else -operand.value)


def raise_to(base: Node, exponent: Node, position: int) -> Node:
    """Return base^exponent, with everything that bounds it checked here, before any power is built."""
    value = None
    if base.value is not None and exponent.value is not None:
        value = constants.power(base.value, exponent.value, position)
    elif exponent.value is not None:
        constants.check_exponent(exponent.value, position)
    elif base.value is not None and base.value <= 0:
        raise constants.negative_base(None, base.position)
    return _node("power", position, [base, exponent], value)


def apply(function: str, arguments: Sequence[Node], position: int) -> Node:
    """Return the call of `function`, any name of the table, on `arguments`."""
    row = BY_NAME[function]
    most = max(row.most, row.arguments)
    if not row.arguments <= len(arguments) <= most:
        wanted = str(row.arguments) if most == row.arguments else f"{row.arguments} to {most}"
        plural = "" if most == 1 else "s"
        raise Refusal(f"{function} takes {wanted} argument{plural}, not {len(arguments)}.", position)
    values = [a.value for a in arguments if a.value is not None]
    value: Value | None = None
    if _fixed(arguments):
        # min and max are of two arguments in the table and folded: so is their value.
        value = values[0]
        if most > row.arguments:
            for other in values[1:]:
                value = constants.call(row.name, (value, other), position)
        else:
            value = constants.call(row.name, values, position)
    return _node("call", position, arguments, value, text=row.name)


def _node(
    kind: Kind,
    position: int,
    children: Sequence[Node],
    value: Value | None,
    text: str = "",
    flipped: Sequence[bool] = (),
) -> Node:
    nodes = 1 + sum(c.nodes for c in children)
    depth = 1 + max(c.depth for c in children)
    calls = max(c.calls for c in children) + (kind == "call")
    if nodes > MOST_NODES:
        raise Refusal(f"The formula has more than {MOST_NODES:,} parts.", position)
    if depth > MOST_NESTING:
        raise Refusal(f"The formula is nested more than {MOST_NESTING} levels deep here.", position)
    if calls > MOST_CALL_NESTING:
        raise Refusal(f"More than {MOST_CALL_NESTING} functions are nested here.", position)
    return Node(kind, position, tuple(children), text, tuple(flipped), False, value, nodes, depth, calls)


def _fixed(nodes: Sequence[Node]) -> bool:
    return all(n.value is not None for n in nodes)


def _known(nodes: Sequence[Node], flipped: Sequence[bool]) -> tuple[list[Value], list[bool]]:
    """Return the values of the parts without variables, and which of these are flipped."""
    pairs = [(n.value, f) for n, f in zip(nodes, flipped, strict=True) if n.value is not None]
    return [value for value, _ in pairs], [f for _, f in pairs]


def echo(node: Node, spaced: bool = True) -> str:
    """Return the tree as plain text that is read as the same tree, every * written out."""
    return _Printer(" " if spaced else "").text(node)


class _Printer:
    def __init__(self, space: str) -> None:
        self._plus, self._minus = f"{space}+{space}", f"{space}-{space}"
        self._comma = f",{space}"

    def text(self, node: Node) -> str:
        if node.kind == "sum":
            return self._sum(node)
        if node.kind == "product":
            return self._product(node)
        if node.kind == "negative":
            return "-" + self._within(node.children[0], ("sum", "product", "negative"))
        if node.kind == "power":
            base = self._within(node.children[0], ("sum", "product", "negative", "power"))
            return f"{base}^{self._within(node.children[1], ('sum', 'product', 'negative', 'power'))}"
        if node.kind == "call":
            return f"{node.text}({self._comma.join(self.text(c) for c in node.children)})"
        return node.text

    def _within(self, node: Node, grouped: Sequence[Kind]) -> str:
        return f"({self.text(node)})" if node.kind in grouped else self.text(node)

    def _sum(self, node: Node) -> str:
        parts = [self._within(node.children[0], ("sum",))]
        for term, minus in zip(node.children[1:], node.flipped[1:], strict=True):
            parts.append(self._minus if minus else self._plus)
            text = self._within(term, ("sum", "negative"))
            parts.append(f"({text})" if text.startswith("-") else text)
        return "".join(parts)

    def _product(self, node: Node) -> str:
        """Print a/b*c as (a/b)*c: the first place where two readings are possible is grouped."""
        text = self._within(node.children[0], ("sum", "product"))
        grouped = False
        for i in range(1, len(node.children)):
            if node.flipped[i - 1] and not grouped:
                text, grouped = f"({text})", True
            factor = self._within(node.children[i], ("sum", "product", "negative"))
            text += ("/" if node.flipped[i] else "*") + factor
        return text
