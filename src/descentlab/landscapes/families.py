"""Families: many minima in as many variables as asked."""

from __future__ import annotations

import itertools

from descentlab.landscapes.entry import (
    PI,
    REFERENCE_TABLE,
    TWENTY,
    Fact,
    Landscape,
    counts_by_axis,
    cube,
    facts,
    family,
    total,
    variables,
)

_SEARCH = "grid of Newton runs with winding number, and scan of the edges"
_AXIS = "a sum of one-variable functions: counts along one axis, multiplied"


@family(1, 50)
def _styblinski_tang(n: int) -> Landscape:
    v = variables(n)
    cubic = "a sum of one-variable functions, whose derivatives are cubics with three simple roots"
    return Landscape(
        name="styblinski-tang",
        title="Styblinski–Tang",
        aliases=("styblinski",),
        formula="(" + total([f"{a}^4 - 16*{a}^2 + 5*{a}" for a in v]) + ")/2",
        names=v,
        domain=cube(-5, 5, n),
        teaches="Every coordinate has two minima to choose from, so there are 2ⁿ: the number of minima grows "
        "with the dimension while their share of the 3ⁿ stationary points shrinks.",
        origin="Styblinski & Tang 1990",
        facts=facts(
            status="proved",
            source=cubic,
            lowest=-39.16616570377142 * n,
            at=[(-2.903534027771177,) * n],
            boundary=0,
        )
        + counts_by_axis(n, 2, 1, status="proved", source=cubic),
        start=(0.1,) * n,
        learning_rate=0.01,
    )


@family(1, 50)
def _rastrigin(n: int) -> Landscape:
    v = variables(n)
    axis = f"eleven minima and ten maxima along each axis; {REFERENCE_TABLE}"
    known = facts(status="proved", source="each term is lowest at 0", lowest=0, at=[(0,) * n], boundary=0)
    known += counts_by_axis(n, 11, 10, status="proved", source=axis)
    if n == 2:
        axis = f"twelve minima and eleven maxima along each axis; {REFERENCE_TABLE}"
        known += counts_by_axis(n, 12, 11, status="proved", source=axis, domain=cube(-5, 6))
    return Landscape(
        name="rastrigin",
        title="Rastrigin",
        formula=f"{10 * n} + " + total([f"{a}^2 - 10*cos(2*pi*{a})" for a in v]),
        names=v,
        domain=cube(-5.12, 5.12, n),
        teaches="A bowl under a grid of ripples: 11ⁿ minima, and plain descent ends in the nearest, whatever "
        "the bowl says.",
        origin="Rastrigin 1974; in n variables Mühlenbein et al. 1991",
        facts=known,
        start=(2.2,) * n,
        learning_rate=0.002,
    )


@family(1, 20)
def _ackley(n: int) -> Landscape:
    v = variables(n)
    squares, cosines = (" + ".join(form.format(a) for a in v) for form in ("{}^2", "cos(2*pi*{})"))
    known = facts(
        status="proved",
        source="both exponentials are largest at 0; the minimum is a kink, where the gradient does not exist",
        lowest=0,
        at=[(0,) * n],
    )
    if n == 2:
        known += facts(
            status="measured",
            source=f"{REFERENCE_TABLE}; without the kink at 0",
            minima=24,
            maxima=16,
            saddles=40,
        )
    return Landscape(
        name="ackley",
        title="Ackley",
        formula=f"-20*exp(-0.2*sqrt(({squares})/{n})) - exp(({cosines})/{n}) + 20 + e",
        names=v,
        domain=cube(-2, 2, n),
        teaches="The global minimum is a kink: the slope next to it does not fade, so descent with a fixed "
        "learning rate never comes to rest there.",
        origin="Ackley 1987",
        facts=known,
        start=(1.4,) * n,
        learning_rate=0.01,
    )


@family(1, 20)
def _griewank(n: int) -> Landscape:
    v = variables(n)
    bowl = " + ".join(f"{a}^2/4000" for a in v)
    waves = "*".join(f"cos({a})" if i == 1 else f"cos({a}/sqrt({i}))" for i, a in enumerate(v, 1))
    known = facts(
        status="proved", source="the squares and 1 − ∏ cos are both lowest at 0", lowest=0, at=[(0,) * n]
    )
    if n == 2:
        known += facts(status="measured", source=_SEARCH, minima=17, maxima=18, saddles=24, boundary=4)
    return Landscape(
        name="griewank",
        title="Griewank",
        formula=f"1 + {bowl} - {waves}",
        names=v,
        domain=cube(-10, 10, n),
        teaches="The ripples are all that descent can see: the bowl beneath is so shallow that its slope "
        "matters only between one ripple and the next.",
        origin="Griewank 1981 (there on a box sixty times as wide)",
        facts=known,
        start=(4,) * n,
        learning_rate=0.2,
    )


@family(1, 50)
def _levy(n: int) -> Landscape:
    v = variables(n)
    middle = [f"(({a} - 1)/4)^2*(1 + 10*sin(pi*({b} + 3)/4)^2)" for a, b in itertools.pairwise(v)]
    terms = [f"sin(pi*({v[0]} + 3)/4)^2", *middle, f"(({v[-1]} - 1)/4)^2"]
    squares = "a sum of squares that vanishes only there"
    known = facts(status="proved", source=squares, lowest=0, at=[(1,) * n])
    if n == 2:
        known += facts(
            status="measured", source=f"{_SEARCH}; {TWENTY}", minima=11, maxima=0, saddles=10, boundary=0
        )
    return Landscape(
        name="levy",
        title="Levy (SciPy's Levy03)",
        aliases=("levy03",),
        formula=" + ".join(terms),
        names=v,
        domain=cube(-10, 10, n),
        teaches="Minima lie along lines, and each step to a better one leads past a ridge of the other "
        "variable's making.",
        origin="Levy & Montalvo 1985, as in SciPy's benchmark Levy03",
        facts=known,
        start=(-6,) * n,
        learning_rate=0.05,
    )


@family(1, 50)
def _cosine_mixture(n: int) -> Landscape:
    v = variables(n)
    return Landscape(
        name="cosine-mixture",
        title="Cosine mixture",
        formula=total([f"{a}^2 - cos(5*pi*{a})/10" for a in v]),
        names=v,
        domain=cube(-1, 1, n),
        teaches="Five minima an axis, each lower towards the middle: the share of starts each gets is the "
        "product of shares along the axes.",
        origin="Breiman & Cutler 1993; here as SciPy's benchmark CosineMixture",
        facts=facts(status="proved", source="each term is lowest at 0", lowest=-n / 10, at=[(0,) * n])
        + facts(status="measured", source=_AXIS, boundary=0)
        + counts_by_axis(n, 5, 4, status="measured", source=_AXIS),
        start=(0.7,) * n,
        learning_rate=0.02,
    )


@family(1, 50)
def _deb(n: int) -> Landscape:
    v = variables(n)
    tenths = (-0.9, -0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7, 0.9)
    known = facts(
        status="proved", source="sin⁶ = 1 at odd tenths and there alone", lowest=-1, minima=10**n, boundary=0
    )
    if n <= 2:
        grid = [(a,) for a in tenths] if n == 1 else [(a, b) for a in tenths for b in tenths]
        known += facts(status="proved", source="all odd tenths", at=grid)
    return Landscape(
        name="deb",
        title="Deb's first",
        aliases=("deb01",),
        formula="-(" + " + ".join(f"sin(5*pi*{a})^6" for a in v) + f")/{n}",
        names=v,
        domain=cube(-1, 1, n),
        teaches="10ⁿ minima, all of the same depth: whichever descent finds is a best one, but in many "
        "variables no survey sees them all.",
        origin="Deb & Goldberg 1989; as SciPy's benchmark Deb01",
        facts=known,
        start=(0.25,) * n,
        learning_rate=0.001,
    )


@family(1, 20)
def _michalewicz(n: int) -> Landscape:
    v = variables(n)
    terms = [f"sin({a})*sin({'' if i == 1 else f'{i}*'}{a}^2/pi)^20" for i, a in enumerate(v, 1)]
    known: tuple[Fact, ...] = ()
    if n == 2:
        known = facts(
            status="measured",
            source=f"one valley along x, two along y; {TWENTY}",
            lowest=-1.8013034100985528,
            at=[(2.2029055201726, PI / 2)],
            minima=2,
            boundary=0,
        )
    return Landscape(
        name="michalewicz",
        title="Michalewicz (m = 10)",
        formula="-" + " - ".join(terms),
        names=v,
        domain=cube(0, PI, n),
        teaches="Narrow steep valleys between plains: about three in ten random starts feel a slope below "
        "0.001, so shares of starts must count those that ended nowhere.",
        origin="Michalewicz 1992",
        facts=known,
        start=(2,) * n,
        learning_rate=0.005,
    )


@family(1, 20)
def _salomon(n: int) -> Landscape:
    v = variables(n)
    radius = f"sqrt({' + '.join(f'{a}^2' for a in v)})"
    return Landscape(
        name="salomon",
        title="Salomon",
        formula=f"1 - cos(2*pi*{radius}) + 0.1*{radius}",
        names=v,
        domain=cube(-10, 10, n),
        teaches="Rings around a kink: it looks the same in every direction, so turning the coordinates helps "
        "no optimizer.",
        origin="Salomon 1996 (there on a box ten times as wide)",
        facts=facts(
            status="proved", source="both parts are lowest at 0, which is a kink", lowest=0, at=[(0,) * n]
        ),
        start=(2.2,) * n,
        learning_rate=0.01,
    )


@family(1, 50)
def _schwefel(n: int) -> Landscape:
    v = variables(n)
    terms = " - ".join(f"{a}*sin(sqrt(abs({a})))" for a in v)
    known = facts(
        status="measured",
        source="to the 16 digits of the constant, by comparing all minima of an axis",
        lowest=0,
        at=[(420.968746359982,) * n],
    )
    # Besides, ∇f = 0 wherever a coordinate is 0 and the others are stationary: degenerate, not counted.
    axis = "seven minima and seven maxima inside along each axis, and a minimum at −500"
    known += facts(status="measured", source=axis, boundary=8**n - 7**n)
    known += counts_by_axis(n, 7, 7, status="measured", source=axis)
    return Landscape(
        name="schwefel",
        title="Schwefel",
        aliases=("schwefel26",),
        formula=f"418.9828872724338*{n} - {terms}",
        names=v,
        domain=cube(-500, 500, n),
        teaches="The best minimum lies in a corner, far from the second best: what is learned near one good "
        "minimum misleads about the next.",
        origin="Schwefel 1981",
        facts=known,
        start=(200,) * n,
        learning_rate=1,
    )


FAMILIES: tuple[Landscape, ...] = (
    _styblinski_tang,
    _rastrigin,
    _ackley,
    _griewank,
    _levy,
    _cosine_mixture,
    _deb,
    _michalewicz,
    _salomon,
    _schwefel,
)
