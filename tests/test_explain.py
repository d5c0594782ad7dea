"""Derivatives rule by rule, and the three checks of them."""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sympy import Expr, Rational, Symbol, cos, exp, log, pi, sin, sqrt, symbols

from descentlab import check as check_module
from descentlab.check import check_derivative, explain
from descentlab.errors import InputError
from descentlab.formula import explain as explain_module
from descentlab.formula.explain import Derivation, derive
from descentlab.formula.functions import BY_NAME, TABLE, absolute, cbrt, maximum, minimum, relu, sigmoid, step
from descentlab.objective.box import DEFAULT_SIDE
from descentlab.program import compile_program
from descentlab.scalar import run_columns
from descentlab.slopes import dual, finite_differences, rounding

X, Y, Z = symbols("x y z")
PEAKS = (
    3 * (1 - X) ** 2 * exp(-(X**2) - (Y + 1) ** 2)
    - 10 * (X / 5 - X**3 - Y**5) * exp(-(X**2) - Y**2)
    - exp(-((X + 1) ** 2) - Y**2) / 3
)
ACKLEY = 20 + sympy.E - 20 * exp(-sqrt((X**2 + Y**2) / 2) / 5) - exp((cos(2 * pi * X) + cos(2 * pi * Y)) / 2)


def rules(expression: Expr, names: str = "x") -> list[str]:
    return [step.rule for step in derive(expression, "x", list(names)).steps]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (sympy.Integer(4), ["constant rule"]),
        (X, ["variable rule"]),
        (X**5, ["power rule"]),
        (sqrt(X), ["power rule"]),
        (1 / X, ["power rule"]),
        (2 * pi * X, ["constant multiple rule"]),
        (7 * X**3, ["constant multiple and power rules"]),
        (
            3 * X**2 - 3 * X + 4,
            ["sum rule", "constant multiple and power rules", "constant multiple rule", "constant rule"],
        ),
        (sin(X), ["derivative of sin"]),
        (5 * sin(X), ["constant multiple rule", "derivative of sin"]),
        (X**2 * sin(X), ["product rule", "power rule", "derivative of sin"]),
        (X * sin(X) * exp(X), ["product rule", "variable rule", "derivative of exp", "derivative of sin"]),
        (sin(X) / X, ["quotient rule", "derivative of sin", "variable rule"]),
        (
            1 / (sin(X) * cos(X)),
            ["reciprocal rule", "product rule", "derivative of cos", "derivative of sin"],
        ),
        (sin(X**2), ["chain rule", "power rule"]),
        ((X**2 + 1) ** 3, ["chain rule", "sum and power rules"]),
        (cos(2 * pi * X) + X**2, ["sum rule", "power rule", "chain rule", "constant multiple rule"]),
        (2**X, ["exponential rule"]),
        (2 ** (X**2), ["chain rule", "power rule"]),
        (X**X, ["general power rule", "variable rule"]),
        (sigmoid(X), ["derivative of sigmoid"]),
        (maximum(X**2, X), ["derivative of max", "power rule", "variable rule"]),
        (step(X), ["derivative of step"]),
    ],
)
def test_the_rules_a_person_would_name(expression: Expr, expected: list[str]) -> None:
    found = rules(expression)
    assert found[0] == expected[0]
    assert sorted(found) == sorted(expected)


def test_the_order_is_outside_in_and_the_pieces_are_put_together() -> None:
    assert derive(cos(2 * pi * X) + X**2, "x", ["x"]).text() == (
        "1. Sum rule: a sum is differentiated term by term.\n"
        "   d/dx [x**2 + cos(2*pi*x)] = d/dx [x**2] + d/dx [cos(2*pi*x)]\n"
        "   2. Power rule: the exponent 2 comes down in front and is lowered by one.\n"
        "      d/dx [x**2] = 2*x\n"
        "   3. Chain rule: the outside is cos(u), with slope -sin(u); the inside is u = 2*pi*x. "
        "Multiply the two slopes.\n"
        "      d/dx [cos(2*pi*x)] = -sin(2*pi*x) * d/dx [2*pi*x]\n"
        "      4. Constant multiple rule: the constant factor 2*pi stays, and x has slope 1.\n"
        "         d/dx [2*pi*x] = 2*pi\n"
        "      Together (3): d/dx [cos(2*pi*x)] = -2*pi*sin(2*pi*x)\n"
        "   Together (1): d/dx [x**2 + cos(2*pi*x)] = 2*x - 2*pi*sin(2*pi*x)\n"
        "Result: df/dx = 2*x - 2*pi*sin(2*pi*x)"
    )


def check_structure(derivation: Derivation) -> None:
    """Numbers in reading order, parts one deeper, every step but the first the part of one other."""
    steps = derivation.steps
    assert [s.number for s in steps] == list(range(1, len(steps) + 1))
    assert sorted(n for s in steps for n in s.parts) == list(range(2, len(steps) + 1))
    for s in steps:
        assert all(steps[n - 1].depth == s.depth + 1 for n in s.parts)
        assert all(n > s.number for n in s.parts)
        assert (s.statement is None) == (not s.parts and not s.again) or derivation.folded
    assert len({s.expression for s in steps}) == len(steps), "a subexpression was derived twice"


TEXTBOOK = [
    PEAKS,
    ACKLEY,
    X**2 * sin(X) / (1 + X**2),
    sqrt(1 + X**2),
    log(1 + exp(-X)),
    exp(-(X**2) / 2) / sqrt(2 * pi),
    X ** sin(X),
    (X + 1) ** 3 * (X - 2) ** 4,
    1 / (1 + exp(-X)),
    sin(cos(sin(X))),
    X / sqrt(X**2 + Y**2),
    (1 - X) ** 2 + 100 * (Y - X**2) ** 2,
    Y**X + X**Y,
    relu(X * Y - 1) ** 2,
    sympy.atan2(Y, X),
    minimum(maximum(X, Y), X * Y),
    absolute(sin(X)) * cbrt(X - Y),
    Rational(1, 3) * X**-2,
    -X,
    Y * 3,
    sin(X) * sin(X + 1) * sin(X + 2) * sin(X + 3),
    exp(X) / X / log(X),
    sqrt(X) * sin(sqrt(X)),
]


@pytest.mark.parametrize("expression", TEXTBOOK, ids=str)
@pytest.mark.parametrize("name", ["x", "y"])
def test_the_result_is_sympys_and_the_steps_hang_together(expression: Expr, name: str) -> None:
    derivation = derive(expression, name, ["x", "y"])
    check_structure(derivation)
    check = check_derivative(expression, derivation.result, name, ["x", "y"], [[-2, 3], [-2, 3]])
    assert check.agrees, check.sentence
    assert check.symbolic in ("exactly", "numerically")
    assert check.used > 0
    assert check_derivative(expression, derivation.tidied, name, ["x", "y"], [[-2, 3], [-2, 3]]).agrees


def test_the_rules_are_the_labs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """SymPy's diff is used only to tidy: with a broken diff the result is still right."""
    monkeypatch.setattr(sympy.Expr, "diff", lambda self, *symbols: 10**6 * self**self)
    assert derive(X**2 * sin(X), "x", ["x"]).result == X**2 * cos(X) + 2 * X * sin(X)


@pytest.mark.parametrize("row", [r for r in TABLE if r.cls is not None], ids=lambda row: row.name)
def test_every_function_of_the_table_by_the_chain_rule(row: object) -> None:
    known = BY_NAME[row.name]  # type: ignore[attr-defined]
    u, v = X**2 / 3 + X, X * Y
    expression = known(*[u, v][: known.arguments])
    derivation = derive(expression, "x", ["x", "y"])
    check_structure(derivation)
    check = check_derivative(expression, derivation.result, "x", ["x", "y"], [[0.05, 3], [0.05, 3]])
    assert check.agrees, check.sentence
    assert check.used > 0
    assert check.difference_used > 0


ATOMS = st.sampled_from([X, Y, sympy.Integer(2), Rational(1, 3), pi, sympy.Integer(-1), 2 * X, X + 1])
UNARY = st.sampled_from([row for row in TABLE if row.arguments == 1])
BINARY = st.sampled_from([row for row in TABLE if row.arguments == 2])
POWERS = st.sampled_from([-2, -1, 2, 3, Rational(1, 2), Rational(2, 3), Rational(-1, 2)])


def grow(children: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        st.builds(lambda a, b: a + b, children, children),
        st.builds(lambda a, b: a - b, children, children),
        st.builds(lambda a, b: a * b, children, children),
        st.builds(lambda a, b: a / b, children, children),
        st.builds(lambda a, n: a**n, children, POWERS),
        st.builds(lambda a, b: a**b, children, children),
        st.builds(lambda row, a: row(a), UNARY, children),
        st.builds(lambda row, a, b: row(a, b), BINARY, children, children),
    )


def is_real(expression: Expr) -> bool:
    """Whether the lab could have been given this: no infinities, no complex constants."""
    try:
        compile_program([expression], ["x", "y"])
    except InputError:
        return False
    return True


EXPRESSIONS = st.recursive(ATOMS, grow, max_leaves=6).filter(is_real)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(EXPRESSIONS)
def test_random_expressions(expression: Expr) -> None:
    derivation = derive(expression, "x", ["x", "y"])
    check_structure(derivation)
    derivation.text(), derivation.latex()
    ET.fromstring(derivation.mathml())
    if is_real(derivation.result) and is_real(expression.diff(X)):
        box = [[0.1, 2], [0.1, 2]]
        check = check_derivative(expression, derivation.result, "x", ["x", "y"], box, points=40)
        assert check.agrees, (check.sentence, expression, derivation.result)


# Partial derivatives


def test_a_partial_derivative_says_what_is_held_still() -> None:
    one = derive(X * Y, "x", ["x", "y"])
    assert one.notes == (
        "The partial derivative with respect to x: y is held still, so it counts as a constant.",
    )
    assert "∂/∂x [x*y]" in one.text()
    two = derive(X * Y * Z, "y", ["x", "y", "z"])
    assert two.notes[0].endswith("x and z are held still, so they count as constants.")
    assert derive(X**2, "x", ["x"]).notes == ()
    assert "∂" not in derive(X**2, "x", ["x"]).text()
    assert derive(Y**2 + X, "x", ["x", "y"]).steps[-1].explanation == (
        "y**2 has no x in it: with y held still it is a constant."
    )


def test_the_inside_is_not_given_the_name_of_a_variable() -> None:
    u = Symbol("u")
    assert "the inside is w = 2*u" in derive(sin(2 * u), "u", ["u"]).text()


def test_an_unknown_variable_is_refused() -> None:
    with pytest.raises(InputError, match="Unknown variable 'q'"):
        derive(X, "q", ["x"])
    with pytest.raises(InputError, match="not something the lab can differentiate"):
        derive(sympy.gamma(X), "x", ["x"])


# Sharing and folding


def test_a_shared_subexpression_is_derived_once_and_referred_to() -> None:
    derivation = derive(sqrt(X) * sin(sqrt(X)), "x", ["x"])
    (chain,) = (s for s in derivation.steps if s.rule == "chain rule")
    assert chain.parts == ()
    assert derivation.steps[chain.again[0] - 1].expression == sqrt(X)
    assert f"Already known from step {chain.again[0]}." in derivation.text()


def test_a_piece_met_inside_a_sibling_is_referred_to_not_owned() -> None:
    inner = sin(X) + X**3
    derivation = derive(exp(inner) * inner, "x", ["x"])
    check_structure(derivation)
    product = derivation.steps[0]
    assert len(product.parts) + len(product.again) == 2


def test_a_long_derivation_is_folded_and_says_so() -> None:
    long = sympy.Add(*(sin(k * X) for k in range(1, 100)))
    derivation = derive(long, "x", ["x"])
    assert len(derivation.steps) == explain_module.MOST_STEPS
    # The sum, sin(x) by its own rule, and for each other term a chain rule and its inside.
    assert derivation.folded == 1 + 1 + 2 * 98 - explain_module.MOST_STEPS
    assert f"{derivation.folded} further pieces follow the same rules" in derivation.text()
    assert derivation.result == long.diff(X)


# Kinks


@pytest.mark.parametrize(
    ("expression", "at", "kind"),
    [
        (relu(X - 1), 1, "jump"),
        (absolute(2 * X + 3), Rational(-3, 2), "jump"),
        (maximum(X, 3), 3, "jump"),
        (minimum(2 * X, X + 1), 1, "jump"),
        (step(X), 0, "jump"),
        (cbrt(X - 2), 2, "unbounded"),
        (sqrt(X), 0, "unbounded"),
        (X ** Rational(2, 3), 0, "unbounded"),
        (absolute(X**2 - 1), None, "jump"),
        (sympy.asin(X), None, "unbounded"),
    ],
)
def test_kinks_and_where_they_lie(expression: Expr, at: Expr | None, kind: str) -> None:
    (kink,) = derive(expression, "x", ["x"]).kinks
    assert kink.at == at
    assert kink.kind == kind
    assert f"x = {at}" in kink.sentence if at is not None else "= 0" in kink.sentence
    if kind == "jump":
        assert (
            BY_NAME[
                {"absolute": "abs", "maximum": "max", "minimum": "min"}.get(
                    expression.func.__name__, expression.func.__name__
                )
            ].kink
            in kink.sentence
        )


@pytest.mark.parametrize(
    "smooth",
    [
        sqrt(X**2 + 1),
        absolute(exp(X)),
        relu(Y) * X,
        sqrt(absolute(X) * 0 + 2) * X,
        X ** Rational(3, 2),
        1 / X,
        maximum(sympy.cosh(X) + 1, 0),
        sqrt(X**2 + Y**2 + Rational(1, 10)),
    ],
)
def test_no_kink_is_claimed_where_there_is_none(smooth: Expr) -> None:
    assert derive(smooth, "x", ["x", "y"]).kinks == ()


# The three checks


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        (X**2, 2 * X + Rational(1, 1000)),
        (cos(2 * pi * X) + X**2, 2 * X + 2 * pi * sin(2 * pi * X)),
        (sin(X) * exp(-(X**2) / 20), cos(X) * exp(-(X**2) / 20)),
        (relu(X), step(X) + Rational(1, 10**5) * X),
        (sympy.tanh(20 * X), sympy.Integer(0)),
        (sympy.Integer(3), X * Rational(1, 10**6)),
        (X + 10**6, sympy.Integer(2)),
    ],
)
def test_a_wrong_derivative_fails_each_way(expression: Expr, wrong: Expr) -> None:
    check = check_derivative(expression, wrong, "x", ["x"], [[-2, 2]])
    assert not check.agrees
    assert check.symbolic == "differs"
    assert check.dual is not None
    assert check.dual > 1e-8
    assert check.sentence.startswith("The check FAILED. ")
    assert "DIFFERS" in check.sentence


def test_finite_differences_alone_find_a_wrong_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the table's rule for erf broken, dual numbers go wrong with it; differences do not."""
    right = explain(sympy.erf(X), ["x"], [[-2, 2]])
    assert right.agrees
    check = check_derivative(sympy.erf(X), exp(-(X**2)), "x", ["x"], [[-2, 2]])
    assert check.difference is not None
    assert check.difference == pytest.approx(1 - np.sqrt(np.pi) / 2, rel=0.2)


@pytest.mark.parametrize(
    ("expression", "domain"),
    [
        (cos(2 * pi * X) + X**2, (-2, 2)),
        (3 * X**2 - 3 * X + 4, (-2, 2)),
        (sin(X) * exp(-(X**2) / 20), (-6, 6)),
        (sigmoid(X), (-5, 5)),
        (exp(exp(X)), (-5, 5)),
        (sin(100 * X), (-5, 5)),
        (X + 10**6, (-5, 5)),
    ],
)
def test_smooth_functions_agree_closely_everywhere(expression: Expr, domain: tuple[float, float]) -> None:
    (check,) = explain(expression, ["x"], [domain]).checks
    assert (check.symbolic, check.used, check.left_out) == ("exactly", 100, {})
    assert check.dual is not None
    assert check.difference is not None
    assert check.dual < 1e-13
    assert check.difference < 1e-9
    assert check.sentence.startswith("Checked at 100 random points: SymPy's derivative agrees exactly, ")


@pytest.mark.parametrize("way", ["dual", "finite_differences"])
def test_each_numerical_way_can_fail_the_check_alone(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(check_module, way)

    def wrong(*arguments: object) -> object:
        first, second, *rest = right(*arguments)
        if way == "dual":
            return first, [1.001 * slope for slope in second]
        return [1.001 * slope for slope in first], second, *rest

    monkeypatch.setattr(check_module, way, wrong)
    (check,) = explain(sin(X), ["x"], [[-2, 2]]).checks
    assert check.symbolic == "exactly"
    assert not check.agrees
    assert (check.dual if way == "dual" else check.difference) == pytest.approx(1e-3, rel=0.01)


def test_finite_differences_are_extrapolated() -> None:
    """h², h⁴, … are removed: a polynomial of degree 9 is exact but for rounding after five halvings."""
    x = np.linspace(0.5, 1, 20)
    slopes, doubt, _ = finite_differences(compile_program([X**9], ["x"]), [x.tolist()], 0, (-1.0, 1.0))
    np.testing.assert_allclose(slopes, 9 * x**8, rtol=3e-14)
    assert np.all(np.abs(slopes - 9 * x**8) <= doubt)


def test_an_undefined_formula_is_said_to_be_so() -> None:
    (check,) = explain(log(-(X**2) - 1), ["x"], [[-2, 2]]).checks
    assert check.used == 0
    assert check.dual is None
    assert check.difference is None
    assert "nothing could be checked" in check.sentence
    assert check.left_out == {"where the formula is not finite": 100}


def test_points_outside_the_domain_are_left_out_and_counted() -> None:
    (check,) = explain(sqrt(X), ["x"], [[-2, 2]]).checks
    assert check.agrees
    assert check.used + check.left_out["where the formula is not finite"] == 100
    assert 30 < check.used < 70


def test_slopes_lost_in_rounding_do_not_fail_the_check() -> None:
    (check,) = explain(sympy.tanh(20 * X), ["x"], [[-5, 5]]).checks
    assert check.agrees
    assert check.left_out["where rounding swallows the derivative"] > 50


def test_points_by_a_kink_are_left_out_of_finite_differences() -> None:
    (check,) = explain(absolute(X), ["x"], [[-1, 1]]).checks
    assert check.agrees
    program = compile_program([absolute(X)], ["x"])
    x = [[0.0, 1e-9, 0.5, -0.5]]
    slopes, _, crossed = finite_differences(program, x, 0, (-1.0, 1.0))
    assert crossed == [True, True, False, False]
    np.testing.assert_allclose(slopes[2:], [1, -1], rtol=1e-12)


@pytest.mark.parametrize(
    "expression",
    [
        (X + Y + 1) ** 500 / (X + 1),
        sin((X + Y) ** 300) / (X - Y),
        (X * Y + X + Y) ** (Y + 200) / X,
        sum(((k * X + Y) ** 40 for k in range(1, 30)), sympy.Integer(0)) / (1 + X**2),
    ],
)
def test_the_comparison_with_sympy_never_multiplies_out_without_bound(expression: Expr) -> None:
    began = time.process_time()
    check = explain(expression, ["x", "y"], [[0.1, 0.4]] * 2).checks[0]
    assert check.agrees, check.sentence
    assert time.process_time() - began < 5


def test_the_same_seed_gives_the_same_check() -> None:
    first, second, other = (explain(PEAKS, ["x", "y"], [[-3, 3]] * 2, seed=s).checks for s in (4, 4, 5))
    assert first == second
    assert first != other


def test_the_box_is_the_objectives_by_default() -> None:
    box = [DEFAULT_SIDE] * 2
    assert explain(PEAKS, ["x", "y"]).checks == explain(PEAKS, ["x", "y"], box).checks
    assert explain(PEAKS, ["x", "y"], np.array(box)).checks == explain(PEAKS, ["x", "y"], box).checks


@pytest.mark.parametrize("domain", [(0.0, 5e-324), (1e16, 1e16 + 2), (-8e307, 8e307)])
def test_the_smallest_and_the_widest_boxes_do_not_break_the_check(domain: tuple[float, float]) -> None:
    """Steps of finite differences that vanish or overflow are values, as everything that is not finite."""
    assert explain(X**2 / 3 + X, ["x"], [domain]).agrees


def test_dual_numbers_are_exact_on_a_polynomial() -> None:
    program = compile_program([3 * X**2 * Y - X / Y], ["x", "y"])
    assert dual(program, [[2.0], [4.0]], 0) == ([47.5], [47.75])
    assert dual(program, [[2.0], [4.0]], 1) == ([47.5], [12.125])


def test_the_estimate_of_rounding_covers_the_error_made() -> None:
    x = np.linspace(1e-6, 1e-2, 200)
    program = compile_program([(1 - cos(X)) / X**2], ["x"])
    estimate = np.array(rounding(program, [x.tolist()]))
    (computed,) = run_columns(program, [x.tolist()])
    exact = [((1 - cos(X)) / X**2).xreplace({X: sympy.Float(float(v), 60)}).evalf(50) for v in x]
    truth = np.array(exact, dtype=float)
    assert np.all(np.abs(computed - truth) <= 3 * estimate)


# What the user gets


def test_explanation_of_two_variables() -> None:
    explanation = explain(PEAKS, ["x", "y"], [[-3, 3]] * 2)
    assert explanation.agrees
    assert [d.name for d in explanation.derivations] == ["x", "y"]
    written = explanation.text()
    assert written.startswith("f(x, y) = 3*(1 - x)**2*exp(-x**2 - (y + 1)**2) - ")
    assert written.count("Checked at 100 random points") == 2
    ET.fromstring(explanation.mathml())
    assert explanation._repr_html_() == explanation.mathml()
    data = json.loads(json.dumps(explanation.to_dict()))
    assert data["agrees"] is True
    assert data["derivatives"][1]["variable"] == "y"
    assert data["derivatives"][0]["check"]["symbolic"] == "exactly"


def test_derivation_in_every_form() -> None:
    derivation = derive(absolute(X) * sin(X) / X, "x", ["x"])
    data = json.loads(json.dumps(derivation.to_dict()))
    assert data["kinks"][0]["at"] == "0"
    assert len(data["steps"]) == len(derivation.steps)
    html = ET.fromstring(derivation.mathml())
    assert len(html.findall(".//li")) == len(derivation.steps)
    latex = derivation._repr_latex_()
    assert latex.startswith(r"$\displaystyle \begin{aligned}")
    assert latex.count("{") == latex.count("}")


def test_a_hostile_name_is_only_data() -> None:
    name = "<img src=x onerror=alert(1)>"
    source = explain(Symbol(name) ** 2, [name], [[-1, 1]]).mathml()
    assert "<img" not in source
    ET.fromstring(source)
