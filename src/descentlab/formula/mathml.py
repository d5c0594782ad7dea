"""Expressions and statements about them as presentation MathML, as LaTeX and as plain text.

`mathml` needs no script and no stylesheet: Chromium, Firefox and Safari draw it themselves. SymPy's
own presentation printer was tried and not used: it writes |x| as absolute(x), turns sin(x)·e^(−x)
into a fraction, stacks fractions in exponents and marks every product by an invisible sign.
Plain text is what the formula parser reads back.
"""

from __future__ import annotations

import functools
import html
import re

from sympy import Expr
from sympy.printing.str import StrPrinter

from descentlab.formula.layout import (
    EQUALS,
    GREEK,
    MINUS,
    PLUS,
    Fence,
    Index,
    Layout,
    Math,
    Over,
    Power,
    Root,
    Row,
    Word,
    arrange,
    row,
    signed_terms,
)

# Browsers do not break a display formula; past this many characters of text a sum gets several lines.
LINE = 110
_BLOCK = '<math display="block">{}</math>'


def mathml(thing: Expr | Layout, large: bool = False) -> str:
    """Return an inline `<math>` element for an expression or a layout, everything escaped.

    `large`: fractions at full size, for a formula on a line of its own.

    >>> import sympy
    >>> mathml(sympy.Symbol("x")**2)
    '<math><msup><mi>x</mi><mn>2</mn></msup></math>'
    """
    size = ' displaystyle="true"' if large else ""
    return f"<math{size}>{_mathml(_layout(thing))}</math>"


def equation(left: Expr | Layout, right: Expr | Layout) -> str:
    """Return `left = right` as displayed MathML; a long sum on the right is set on several lines."""
    broken = lines(right)
    if len(broken) == 1:
        return _BLOCK.format(_mathml(row(_layout(left), EQUALS, broken[0])))
    cell = '<mtd style="text-align: {}; padding: 0.2em 0">{}</mtd>'
    rows = []
    for i, line in enumerate(broken):
        first = cell.format("right", _mathml(row(_layout(left), EQUALS)) if i == 0 else "")
        rows.append(f"<mtr>{first}{cell.format('left', _mathml(line))}</mtr>")
    return _BLOCK.format('<mtable displaystyle="true">' + "".join(rows) + "</mtable>")


def latex(thing: Expr | Layout) -> str:
    r"""Return LaTeX for math mode.

    >>> import sympy
    >>> latex(sympy.sqrt(sympy.Symbol("x1")) / 2)
    '\\frac{\\sqrt{x_{1}}}{2}'
    """
    return _spaced(_latex(_layout(thing)))


def text(thing: Expr | Layout) -> str:
    """Return plain text; that of an expression is a formula the parser reads back.

    >>> import sympy
    >>> text(sympy.exp(1) * sympy.Symbol("x")**2 / 2)
    'e*x**2/2'
    """
    return _text(thing) if isinstance(thing, Layout) else _expression_text(thing)


# Words and formulas in turn.
Sentence = tuple[str | Expr | Layout, ...]


def prose(sentence: Sentence) -> str:
    """Return a sentence with its formulas as plain text."""
    return "".join(part if isinstance(part, str) else text(part) for part in sentence)


def prose_html(sentence: Sentence) -> str:
    """Return a sentence with its formulas as inline MathML."""
    return "".join(html.escape(part) if isinstance(part, str) else mathml(part) for part in sentence)


class _TextPrinter(StrPrinter):  # type: ignore[misc]  # SymPy ships no annotations
    def _print_Exp1(self, node: Expr) -> str:
        return "e"

    def _print_Add(self, node: Expr, order: str | None = None) -> str:
        pieces: list[str] = []
        for negative, term in signed_terms(node, flip=False):
            written = self._print(term)
            lead = ("-" if negative else "") if not pieces else " - " if negative else " + "
            pieces.append(lead + (f"({written})" if term.is_Add else written))
        return "".join(pieces)


_TEXT = _TextPrinter()


@functools.lru_cache(maxsize=4096)
def _expression_text(expression: Expr) -> str:
    return str(_TEXT.doprint(expression))


def _layout(thing: Expr | Layout) -> Layout:
    return thing if isinstance(thing, Layout) else arrange(thing)


def _starts_low(expression: Expr) -> bool:
    """Whether a factor needs brackets: a sum, or something with a minus sign in front."""
    return bool(expression.is_Add or expression.could_extract_minus_sign())


def lines(thing: Expr | Layout) -> list[Layout]:
    """Return a thing as one line, or as several broken before its outermost =, + and − if it is long."""
    whole = _layout(thing)
    if len(_text(whole)) <= LINE:
        return [whole]
    items: list[Layout] = []
    for item in whole.items if isinstance(whole, Row) else (whole,):
        opened = arrange(item.expression) if isinstance(item, Math) and not item.bracket else item
        items.extend(opened.items if isinstance(opened, Row) else (opened,))
    groups: list[list[Layout]] = [[]]
    for item in items:
        if item in (EQUALS, PLUS, MINUS) and groups[-1]:
            groups.append([])
        groups[-1].append(item)
    broken: list[list[Layout]] = []
    length = LINE
    for group in groups:
        size = sum(len(_text(item)) for item in group)
        if length + size > LINE:
            broken.append([])
            length = 0
        broken[-1].extend(group)
        length += size
    return [row(*line) for line in broken]


def _is_tall(layout: Layout) -> bool:
    """Whether a layout holds a fraction or a root, so that brackets round it must grow."""
    if isinstance(layout, Math):
        return _is_tall(arrange(layout.expression))
    if isinstance(layout, Over | Root):
        return True
    if isinstance(layout, Row):
        return any(_is_tall(item) for item in layout.items)
    if isinstance(layout, Power):
        return _is_tall(layout.base)
    return isinstance(layout, Fence) and _is_tall(layout.inside)


def _mathml(layout: Layout) -> str:
    match layout:
        case Math(expression, bracket):
            inside = arrange(expression)
            return _mathml(Fence(inside) if bracket and _starts_low(expression) else inside)
        case Word(word, kind):
            return _mathml_word(word, kind)
        case Row(items):
            return f"<mrow>{''.join(_mathml(item) for item in items)}</mrow>"
        case Over(above, below):
            return f"<mfrac>{_mathml(above)}{_mathml(below)}</mfrac>"
        case Power(base, exponent):
            return f"<msup>{_mathml(base)}{_mathml(exponent)}</msup>"
        case Index(base, index):
            return f"<msub>{_mathml(base)}{_mathml(index)}</msub>"
        case Root(inside, degree):
            if degree:
                return f"<mroot>{_mathml(inside)}<mn>{degree}</mn></mroot>"
            return f"<msqrt>{_mathml(inside)}</msqrt>"
        case Fence(inside, brackets):
            grow = "true" if _is_tall(inside) else "false"
            left, right = (
                f'<mo fence="true" form="{form}" stretchy="{grow}">{bracket}</mo>'
                for form, bracket in zip(("prefix", "postfix"), brackets, strict=True)
            )
            return f"<mrow>{left}{_mathml(inside)}{right}</mrow>"


def _mathml_word(word: str, kind: str) -> str:
    escaped = html.escape(word)
    if kind == "space":
        return '<mspace width="0.17em"></mspace>'
    if kind == "operator":
        # A slash is set close here, as in e^(−x²/20).
        return '<mo lspace="0" rspace="0">/</mo>' if word == "/" else f"<mo>{escaped}</mo>"
    if kind == "words":
        return f"<mtext>{escaped}</mtext>"
    return f"<mn>{escaped}</mn>" if kind == "number" else f"<mi>{escaped}</mi>"


_LATEX_WORDS = {
    "−": "-",
    "·": r"\cdot ",
    "π": r"\pi ",
    "∂": r"\partial ",
    "∞": r"\infty ",
    "σ": r"\sigma ",
    "→": r"\to ",
    "≠": r"\ne ",
} | {letter: rf"\{name} " for name, letter in GREEK.items()}
_LATEX_NAMES = {
    "sin",
    "cos",
    "tan",
    "cot",
    "sec",
    "csc",
    "arcsin",
    "arccos",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "coth",
    "ln",
    "min",
    "max",
}
_LATEX_SPECIAL = {"\\": r"\backslash{}", "^": r"\hat{}", "~": r"\sim{}"} | {c: "\\" + c for c in "#$%&_{}"}


def _latex(layout: Layout) -> str:
    match layout:
        case Math(expression, bracket):
            inside = arrange(expression)
            return _latex(Fence(inside) if bracket and _starts_low(expression) else inside)
        case Word(word, kind):
            return _latex_word(word, kind)
        case Row(items):
            return "".join(_latex(item) for item in items)
        case Over(above, below):
            return rf"\frac{{{_spaced(_latex(above))}}}{{{_spaced(_latex(below))}}}"
        case Power(base, exponent):
            return f"{_latex(base).rstrip()}^{{{_spaced(_latex(exponent))}}}"
        case Index(base, index):
            return f"{_latex(base).rstrip()}_{{{_latex(index)}}}"
        case Root(inside, degree):
            return rf"\sqrt{f'[{degree}]' if degree else ''}{{{_spaced(_latex(inside))}}}"
        case Fence(inside, brackets):
            grow = (r"\left", r"\right") if _is_tall(inside) else ("", "")
            return f"{grow[0]}{brackets[0]}{_spaced(_latex(inside))}{grow[1]}{brackets[1]}"


def _latex_word(word: str, kind: str) -> str:
    if kind == "space":
        return r"\,"
    if kind == "operator":
        spaced = f" {_LATEX_WORDS.get(word, word).strip()} "
        return spaced if word in "+−·=→≠" else ", " if word == "," else word
    if word in _LATEX_WORDS:
        return _LATEX_WORDS[word]
    if kind == "name" and word in _LATEX_NAMES:
        return rf"\{word} "
    safe = "".join(_LATEX_SPECIAL.get(c, c) for c in word)
    if kind == "words":
        return rf"\text{{{safe}}}"
    return rf"\operatorname{{{safe}}}" if kind == "name" else safe


def _spaced(source: str) -> str:
    """Return LaTeX without doubled or needless spaces."""
    source = re.sub(r"  +", " ", source).strip()
    source = re.sub(r"^- ", "-", source)
    return re.sub(r" (?=[\^_,)}\]|\\(])", "", source) if "\\text" not in source else source


def _text(layout: Layout) -> str:
    match layout:
        case Math(expression, bracket):
            inside = text(expression)
            return f"({inside})" if bracket and _starts_low(expression) else inside
        case Word(word, kind):
            return _text_word(word, kind)
        case Row(items):
            joined = "".join(_text(item) for item in items)
            return re.sub(r"(^|= |\() - ", r"\1-", joined)
        case Over(above, below):
            return f"{_text_operand(above)}/{_text_operand(below)}"
        case Power(base, exponent):
            return f"{_text(base)}**{_text_operand(exponent)}"
        case Index(base, index):
            return f"{_text(base)}{_text(index)}"
        case Root(inside, degree):
            return f"{'cbrt' if degree else 'sqrt'}({_text(inside)})"
        case Fence(inside, brackets):
            space = " " if brackets == "[]" else ""
            return f"{space}{brackets[0]}{_text(inside)}{brackets[1]}"


def _text_word(word: str, kind: str) -> str:
    if kind == "operator" and word in "+−·=→≠":
        return f" {word.replace('−', '-').replace('·', '*')} "
    return ", " if word == "," else word


def _text_operand(layout: Layout) -> str:
    """Return the text of an operand of / or **, in brackets if it is more than one symbol."""
    inside = _text(layout)
    return inside if re.fullmatch(r"[\w∂]+|\(.*\)\*\*\w+", inside) else f"({inside})"
