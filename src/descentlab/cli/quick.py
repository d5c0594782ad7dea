"""`descentlab derive` without the option parser, which takes a good part of SymPy's own loading time.

Only command lines that are plainly right are taken; everything else, --help included, is left to
the parser, so that there is one place that explains and refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def derive(
    target: str, domain: Sequence[str] | None, variables: str | None, dim: int | None, seed: str, json: bool
) -> None:
    """Print a formula's derivatives rule by rule, each with its check."""
    from descentlab.check import explain
    from descentlab.cli.read import read_objective, read_whole
    from descentlab.formula import parse

    if not domain and variables is None and dim is None and _is_plainly_a_formula(target):
        # An objective would be made of arrays, and loading NumPy takes a quarter of the time.
        parsed = parse(target)
        explanation = explain(parsed.expression, parsed.names, None, read_whole(seed, "seed"))
    else:
        explanation = read_objective(target, domain, variables, dim).explain(read_whole(seed, "seed"))
    if json:
        from descentlab.cli.output import print_json

        print_json(explanation)
        return
    print(explanation.text())


def _is_plainly_a_formula(target: str) -> bool:
    """Whether `target` cannot be the name of a landscape or of a function in a file.

    >>> _is_plainly_a_formula("x**2"), _is_plainly_a_formula("peaks"), _is_plainly_a_formula("f.py:f")
    (True, False, False)
    """
    return any(sign in target for sign in "+*/^(") and ".py:" not in target


def read_derive(words: Sequence[str]) -> dict[str, Any] | None:
    """Return what `derive` is to be called with, or None where the option parser must look.

    >>> read_derive(["derive", "x^2", "--domain=x=0:1"])["domain"]
    ['x=0:1']
    >>> read_derive(["derive", "x^2", "--domian=x=0:1"]) is None
    True
    """
    if list(words[:1]) != ["derive"]:
        return None
    given: dict[str, Any] = {"domain": [], "variables": None, "dim": None, "seed": "0", "json": False}
    targets = []
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word == "--json":
            given["json"] = True
        elif not word.startswith("-"):
            targets.append(word)
        elif name not in ("--domain", "--variables", "--seed") or not (equals or rest):
            return None
        elif name == "--domain":
            given["domain"].append(value if equals else rest.pop(0))
        else:
            given[name[2:]] = value if equals else rest.pop(0)
    return {"target": targets[0], **given} if len(targets) == 1 else None
