"""Expressions written as MathML, LaTeX and plain text."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import sympy
from sympy import Expr, Rational, Symbol, cos, exp, log, pi, sin, sqrt, symbols

from descentlab.formula import parse
from descentlab.formula.functions import BY_NAME, absolute, cbrt, maximum, minimum, relu, sigmoid, sign, step
from descentlab.formula.layout import Math, derivative, function_of, slope
from descentlab.formula.mathml import LINE, equation, latex, mathml, prose, prose_html, text
from descentlab.program import NUMPY, compile_program, run

X, Y, X1, ALPHA = symbols("x y x1 alpha")
PEAKS = (
    3 * (1 - X) ** 2 * exp(-(X**2) - (Y + 1) ** 2)
    - 10 * (X / 5 - X**3 - Y**5) * exp(-(X**2) - Y**2)
    - exp(-((X + 1) ** 2) - Y**2) / 3
)
MANY = [
    3 * X**2 - 3 * X + 4,
    cos(2 * pi * X) + X**2,
    sin(X) * exp(-(X**2) / 20),
    PEAKS,
    PEAKS.diff(X),
    PEAKS.diff(Y),
    absolute(X - 1) + cbrt(X) ** 2,
    minimum(X, Y / 2) * maximum(X, 1),
    relu(X) * step(Y) - sign(X * Y),
    1 / (1 + exp(-X)),
    sigmoid(X) * (1 - sigmoid(X)),
    X ** Rational(3, 2) + X ** Rational(-1, 3),
    3 * 2**X,
    log(X) ** 2 / log(10),
    (X + 1) ** (Y / 2),
    (2 * X) ** Y,
    -(X + 1) / (X - 1) ** 3,
    1 / (X * Y) - X / Y,
    sympy.E * X + sympy.E,
    exp(exp(-1 / X)),
    sympy.atan2(Y, X),
    X - 1,
    1 - X,
    -X - 1,
    -X * (Y + 1),
    X**2 * (Y - X) * 4,
    sqrt(X1) / ALPHA,
    sin(X) ** 2 * cos(Y) ** 3,
    Rational(-1, 3) * exp(X),
    Rational(2, 3) * X,
    Rational(-7, 2),
    sin(X) ** -2,
    sqrt(X / Y + 1),
    (X**2) ** Rational(1, 2),
    X ** (-Y),
    sympy.Integer(5),
    -(2**X),
]
EACH = pytest.mark.parametrize("expression", MANY, ids=str)


def inside(source: str) -> str:
    """Return what is inside <math>…</math>."""
    assert source.startswith("<math>")
    assert source.endswith("</math>")
    return source[6:-7]


def seen(source: str) -> str:
    """Return the characters a reader sees, fractions as (a)/(b), powers as ^(…)."""

    def read(node: ET.Element) -> str:
        parts = [read(child) for child in node]
        match node.tag:
            case "mfrac":
                return f"({parts[0]})/({parts[1]})"
            case "msup":
                return f"{parts[0]}^({parts[1]})"
            case "msub":
                return f"{parts[0]}_{parts[1]}"
            case "msqrt":
                return f"√({''.join(parts)})"
            case "mroot":
                return f"root{parts[1]}({parts[0]})"
        return (node.text or "") + "".join(parts)

    return read(ET.fromstring(source))


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (3 * X**2 - 3 * X + 4, "3x^(2)−3x+4"),
        (-(X**2) + X + 1, "−x^(2)+x+1"),
        (cos(2 * pi * X) + X**2, "x^(2)+cos(2πx)"),
        (sin(X) * exp(-(X**2) / 20), "sin(x)e^(−x^(2)/20)"),
        (1 - X, "1−x"),
        (sin(X) - X, "sin(x)−x"),
        (sin(X) ** 2, "sin^(2)(x)"),
        (log(X) ** 2, "ln(x)^(2)"),
        (absolute(X - 1), "|x−1|"),
        (relu(X), "ReLU(x)"),
        (sigmoid(X) * (1 - sigmoid(X)), "σ(x)(1−σ(x))"),
        (minimum(X, Y), "min(x,y)"),
        (sqrt(X1), "√(x_1)"),
        (cbrt(X) ** 2, "(root3(x))^(2)"),
        (1 / sqrt(1 - X**2), "(1)/(√(1−x^(2)))"),
        (X / 3, "(x)/(3)"),
        (-exp(X) / 3, "−(1)/(3)e^(x)"),
        (-(X + 1) / (X - 1), "−(x+1)/(x−1)"),
        (3 * 2**X, "3·2^(x)"),
        (ALPHA * X, "αx"),
        (sympy.E * X, "ex"),
        (X ** Rational(3, 2), "x^(3/2)"),
        (exp(X / (Y + 1)), "e^(x/(y+1))"),
        ((X + 1) ** Y, "(x+1)^(y)"),
        (sympy.asin(X), "arcsin(x)"),
        (X * (Y + 1) / (2 * Y), "(x(y+1))/(2y)"),
    ],
)
def test_what_a_reader_sees(expression: Expr, shown: str) -> None:
    assert seen(mathml(expression)) == shown


def test_the_numbers_letters_and_operators_are_marked_as_such() -> None:
    assert inside(mathml(X**2 - 3)) == ("<mrow><msup><mi>x</mi><mn>2</mn></msup><mo>−</mo><mn>3</mn></mrow>")


@EACH
def test_mathml_is_well_formed_and_core(expression: Expr) -> None:
    """Only elements of MathML Core, which browsers draw without help; every child count right."""
    known = {
        "math",
        "mrow",
        "mi",
        "mn",
        "mo",
        "mspace",
        "mfrac",
        "msup",
        "msub",
        "msqrt",
        "mroot",
        "mtable",
        "mtr",
        "mtd",
    }
    for source in (mathml(expression), equation(function_of(("x", "y")), expression)):
        for node in ET.fromstring(source).iter():
            assert node.tag in known
            if node.tag in ("mfrac", "msup", "msub", "mroot"):
                assert len(node) == 2
        assert "&" not in source.replace("&lt;", "").replace("&gt;", "").replace("&amp;", "")
        assert "⁢" not in source  # the invisible times


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a&b", '"', "x' onload='y", "__import__"])
def test_names_are_escaped(name: str) -> None:
    symbol = Symbol(name)
    for source in (mathml(symbol * 2), equation(slope(name), symbol), prose_html((name, symbol))):
        assert "<script" not in source
        assert name in "".join(ET.fromstring(f"<p>{source}</p>").itertext())
    assert "$" not in latex(Symbol("$x$")).replace(r"\$", "")


@EACH
def test_text_is_read_back_with_the_same_value(expression: Expr) -> None:
    again = parse(text(expression), variables=["x", "y", "x1", "alpha"]).expression
    names = ["x", "y", "x1", "alpha"]
    at = [np.array(c) for c in ([0.7, 1.3], [0.4, 2.1], [0.9, 0.2], [1.1, 0.6])]
    one, other = (run(compile_program([e], names), at, NUMPY)[0] for e in (expression, again))
    np.testing.assert_allclose(one, other, rtol=1e-13)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_function_can_be_written_and_read_back(name: str) -> None:
    row = BY_NAME[name]
    call = row(*[X, Y][: row.arguments])
    ET.fromstring(mathml(call))
    latex(call)
    assert parse(text(call), variables=["x", "y"]).expression == call


@EACH
def test_latex_braces_balance(expression: Expr) -> None:
    source = latex(expression)
    assert source.count("{") == source.count("}")
    assert source.count(r"\left") == source.count(r"\right")
    assert "  " not in source


@pytest.mark.parametrize(
    ("expression", "source"),
    [
        (3 * X**2 - 3 * X + 4, "3x^{2} - 3x + 4"),
        (cos(2 * pi * X) + X**2, r"x^{2} + \cos(2\pi x)"),
        (sqrt(X1) / 2, r"\frac{\sqrt{x_{1}}}{2}"),
        (absolute(X), "|x|"),
        (ALPHA * X, r"\alpha x"),
        (relu(X), r"\operatorname{ReLU}(x)"),
    ],
)
def test_latex(expression: Expr, source: str) -> None:
    assert latex(expression).replace(" ", "") == source.replace(" ", "")


def test_latex_words_are_kept_apart_from_letters() -> None:
    assert r"\pi x" in latex(pi * X)
    assert latex(derivative("x", Math(X))) == r"\frac{d}{dx}[x]"


def test_equations_are_displayed_and_long_sums_broken_at_their_terms() -> None:
    short = equation(slope("x"), 2 * X)
    assert short.startswith('<math display="block">')
    assert "<mtr>" not in short
    assert len(text(PEAKS)) <= LINE < len(text(PEAKS.diff(X)))
    long = equation(slope("x", partial=True), PEAKS.diff(X))
    rows = ET.fromstring(long).findall(".//mtr")
    assert len(rows) == 2
    # Nothing is lost by breaking the line.
    assert seen(long).removeprefix("(∂f)/(∂x)=") == seen(mathml(PEAKS.diff(X)))


def test_statements_about_derivatives() -> None:
    assert text(derivative("x", Math(sin(X)))) == "d/dx [sin(x)]"
    assert text(derivative("y", Math(X * Y), partial=True)) == "∂/∂y [x*y]"
    assert latex(slope("x1", partial=True)) == r"\frac{\partial f}{\partial x_{1}}"
    assert seen(mathml(slope("x"))) == "(df)/(dx)"
    assert prose(("the slope of ", X**2, " is ", 2 * X, ".")) == "the slope of x**2 is 2*x."


def test_text_writes_e_as_a_number_and_sums_with_the_positive_term_first() -> None:
    assert text(sympy.E * X) == "e*x"
    assert text(sqrt(X) - X / 3) == "sqrt(x) - x/3"
    assert text(-(X**3) + X**2 - 1) == "-x**3 + x**2 - 1"
