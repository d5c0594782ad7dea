"""Classic test functions with a fixed number of variables."""

from __future__ import annotations

from descentlab.landscapes.entry import PI, REFERENCE_TABLE, TWENTY, Landscape, cube, facts

_OWN = "grid of Newton runs with winding number, and scan of the edges"
_BOTH = f"{_OWN}; {TWENTY}"


def _shubert_factor(v: str) -> str:
    return "(" + " + ".join(f"{i}*cos({i + 1}*{v} + {i})" for i in range(1, 6)) + ")"


_HARTMANN = (
    # (depth, scales, centre) of each of the four holes
    (1, (3, 10, 30), ("0.3689", "0.117", "0.2673")),
    ("1.2", ("0.1", 10, 35), ("0.4699", "0.4387", "0.747")),
    (3, (3, 10, 30), ("0.1091", "0.8732", "0.5547")),
    ("3.2", ("0.1", 10, 35), ("0.03815", "0.5743", "0.8828")),
)
_SHEKEL = (
    ("0.1", (4, 4, 4, 4)),
    ("0.2", (1, 1, 1, 1)),
    ("0.2", (8, 8, 8, 8)),
    ("0.4", (6, 6, 6, 6)),
    ("0.4", (3, 7, 3, 7)),
)


def _hartmann() -> str:
    def hole(scales: tuple[object, ...], centre: tuple[str, ...]) -> str:
        pairs = zip(scales, centre, strict=True)
        return " - ".join(f"{a}*(x{i} - {p})^2" for i, (a, p) in enumerate(pairs, 1))

    return "".join(f" - {c}*exp(-{hole(a, p)})" for c, a, p in _HARTMANN).strip()


def _shekel() -> str:
    def distance(centre: tuple[int, ...]) -> str:
        return " + ".join(f"(x{i} - {a})^2" for i, a in enumerate(centre, 1))

    return "".join(f" - 1/({c} + {distance(a)})" for c, a in _SHEKEL).strip()


CLASSICS: tuple[Landscape, ...] = (
    Landscape(
        name="himmelblau",
        title="Himmelblau",
        formula="(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
        names=("x", "y"),
        domain=cube(-5, 5),
        teaches="Four minima of equal depth: all are right answers, and only the start decides which one "
        "descent gives.",
        origin="Himmelblau 1972, 'Applied Nonlinear Programming'",
        facts=facts(
            status="proved",
            source=f"a sum of squares; {REFERENCE_TABLE}",
            lowest=0,
            at=[
                (3, 2),
                (-2.8051180869527, 3.1313125182506),
                (-3.7793102533777, -3.2831859912861),
                (3.5844283403304, -1.8481265269644),
            ],
            minima=4,
            maxima=1,
            saddles=4,
        )
        + facts(status="measured", source=_BOTH, boundary=0),
        view="log",
        start=(0, 0),
        learning_rate=0.01,
    ),
    Landscape(
        name="three-hump-camel",
        title="Three-hump camel",
        formula="2*x^2 - 1.05*x^4 + x^6/6 + x*y + y^2",
        names=("x", "y"),
        domain=cube(-5, 5),
        teaches="The global minimum lies between two shallower ones that catch every start from further out.",
        origin="Jamil & Yang 2013, no. 29",
        facts=facts(
            status="proved",
            source="∂f/∂y = 0 gives y = −x/2, leaving a polynomial with five simple real roots",
            lowest=0,
            at=[(0, 0)],
            minima=3,
            maxima=0,
            saddles=2,
        )
        + facts(status="measured", source=_BOTH, boundary=0),
        view="log",
        start=(2.5, 0),
        learning_rate=0.01,
    ),
    Landscape(
        name="six-hump-camel",
        title="Six-hump camel",
        aliases=("camel",),
        formula="(4 - 2.1*x^2 + x^4/3)*x^2 + x*y + (4*y^2 - 4)*y^2",
        names=("x", "y"),
        domain=((-3, 3), (-2, 2)),
        teaches="Six minima, two of them global and mirror images: a survey must tell equal values from "
        "equal places.",
        origin="Dixon & Szegő 1978",
        facts=facts(
            status="proved",
            source="∂f/∂y = 0 gives x in terms of y, leaving a polynomial in y; " + REFERENCE_TABLE,
            lowest=-1.0316284534898774,
            at=[(-0.089842013102, 0.712656403038), (0.089842013102, -0.712656403038)],
            minima=6,
            maxima=2,
            saddles=7,
        )
        + facts(status="measured", source=_BOTH, boundary=0)
        + facts(status="measured", source=_BOTH, minima=6, boundary=0, domain=cube(-5, 5)),
        view="rank",
        start=(2, 1),
        learning_rate=0.01,
    ),
    Landscape(
        name="mccormick",
        title="McCormick",
        formula="sin(x + y) + (x - y)^2 - 1.5*x + 2.5*y + 1",
        names=("x", "y"),
        domain=((-1.5, 4), (-3, 3)),
        teaches="Turned by 45 degrees it falls apart into a parabola and a tilted sine: separable functions "
        "may hide behind the choice of coordinates.",
        origin="McCormick 1976",
        facts=facts(
            status="proved",
            source="with u = x − y, v = x + y: u² − 2u + v/2 + sin v + 1, so u = 1 and cos v = −1/2",
            lowest=-1.9132229549810367,
            at=[(0.5 - PI / 3, -0.5 - PI / 3)],
            minima=2,
            maxima=0,
            saddles=1,
        )
        + facts(status="measured", source=_BOTH, boundary=0),
        start=(3, -2),
        learning_rate=0.05,
    ),
    Landscape(
        name="branin",
        title="Branin",
        aliases=("branin01", "branin-hoo"),
        formula="(y - 5.1*x^2/(4*pi^2) + 5*x/pi - 6)^2 + 10*(1 - 1/(8*pi))*cos(x) + 10",
        names=("x", "y"),
        domain=((-5, 10), (0, 15)),
        teaches="Three minima, all global: finding 'the' lowest value is easy here, finding every place "
        "that has it is not.",
        origin="Branin 1972; Dixon & Szegő 1978",
        facts=facts(
            status="proved",
            source="the square vanishes where cos x = −1; the value is 10/(8π)",
            lowest=10 / (8 * PI),
            at=[(-PI, 12.275), (PI, 2.275), (3 * PI, 2.475)],
        )
        + facts(status="measured", source=_BOTH, minima=3, maxima=0, saddles=2, boundary=0),
        view="log",
        start=(2, 12),
        learning_rate=0.01,
    ),
    Landscape(
        name="goldstein-price",
        title="Goldstein–Price",
        formula="(1 + (x + y + 1)^2*(19 - 14*x + 3*x^2 - 14*y + 6*x*y + 3*y^2))"
        "*(30 + (2*x - 3*y)^2*(18 - 32*x + 12*x^2 + 48*y - 36*x*y + 27*y^2))",
        names=("x", "y"),
        domain=cube(-2, 2),
        teaches="Values from 3 to a million in one small box: no single learning rate suits both its "
        "slopes and its floor.",
        origin="Goldstein & Price 1971, 'On descent from local minima'",
        facts=facts(
            status="published", source="Goldstein & Price 1971; Jamil & Yang 2013", lowest=3, at=[(0, -1)]
        )
        + facts(status="measured", source=_OWN, minima=4, maxima=1, saddles=4, boundary=0),
        view="log",
        start=(0.5, 0),
        learning_rate=0.0001,
    ),
    Landscape(
        name="adjiman",
        title="Adjiman",
        formula="cos(x)*sin(y) - x/(y^2 + 1)",
        names=("x", "y"),
        domain=((-1, 2), (-1, 1)),
        teaches="No minimum inside at all: the lowest points lie on the boundary, where the gradient is "
        "not zero.",
        origin="Adjiman, Dallwig, Floudas & Neumaier 1998",
        facts=facts(
            status="measured",
            source=_BOTH,
            lowest=-2.021806783359787,
            at=[(2, 0.105783469451717)],
            minima=0,
            maxima=0,
            saddles=2,
            boundary=3,
        ),
        start=(0, 0),
        learning_rate=0.05,
    ),
    Landscape(
        name="giunta",
        title="Giunta",
        formula="0.6 + sin(16*x/15 - 1) + sin(16*x/15 - 1)^2 + sin(4*(16*x/15 - 1))/50 "
        "+ sin(16*y/15 - 1) + sin(16*y/15 - 1)^2 + sin(4*(16*y/15 - 1))/50",
        names=("x", "y"),
        domain=cube(-1, 1),
        teaches="One minimum inside and three on the boundary: how many minima there are depends on "
        "whether the walls of the box count.",
        origin="Jamil & Yang 2013, no. 57",
        facts=facts(
            status="measured",
            source=_BOTH,
            lowest=0.06447042053690566,
            at=[(0.467320025397961, 0.467320025397961)],
            minima=1,
            maxima=1,
            saddles=2,
            boundary=3,
        ),
        start=(-0.5, 0.5),
        learning_rate=0.1,
    ),
    Landscape(
        name="bohachevsky",
        title="Bohachevsky's first",
        aliases=("bohachevsky1",),
        formula="x^2 + 2*y^2 - 0.3*cos(3*pi*x) - 0.4*cos(4*pi*y) + 0.7",
        names=("x", "y"),
        domain=cube(-100, 100),
        teaches="From far away a plain bowl: all of its 25 minima lie within two units of the middle of a "
        "box two hundred wide, and a start far out gives no hint of them.",
        origin="Bohachevsky, Johnson & Stein 1986",
        facts=facts(status="proved", source="each term is lowest at 0", lowest=0, at=[(0, 0)])
        + facts(
            status="measured",
            source="five minima and four maxima along each axis",
            minima=25,
            maxima=16,
            saddles=40,
            boundary=0,
        ),
        view="log",
        start=(60, -40),
        learning_rate=0.005,
    ),
    Landscape(
        name="easom",
        title="Easom",
        formula="-cos(x)*cos(y)*exp(-(x - pi)^2 - (y - pi)^2)",
        names=("x", "y"),
        domain=cube(-100, 100),
        teaches="A needle in a plain that is flat to the last bit: over 99 % of random starts see a "
        "gradient below 1e-20.",
        origin="Easom 1990",
        facts=facts(
            status="proved",
            source="no cosine and no exponential exceeds 1, and all reach it together at (π, π) alone",
            lowest=-1,
            at=[(PI, PI)],
        ),
        view="rank",
        start=(2.5, 3.5),
        learning_rate=0.1,
    ),
    Landscape(
        name="drop-wave",
        title="Drop wave",
        formula="-(1 + cos(12*sqrt(x^2 + y^2)))/(0.5*(x^2 + y^2) + 2)",
        names=("x", "y"),
        domain=cube(-5.12, 5.12),
        teaches="Rings of minima, not points: around the middle every stationary point is degenerate, "
        "and descent stops in whichever ring it meets first.",
        origin="Molga & Smutnicki 2005",
        facts=facts(
            status="proved",
            source="1 + cos ≤ 2 and the denominator is least at 0, where ∂√/∂x does "
            "not exist although f is smooth",
            lowest=-1,
            at=[(0, 0)],
        ),
        start=(1, 0.5),
        learning_rate=0.005,
    ),
    Landscape(
        name="shubert",
        title="Shubert",
        aliases=("shubert01",),
        formula=_shubert_factor("x") + "*" + _shubert_factor("y"),
        names=("x", "y"),
        domain=cube(-10, 10),
        teaches="722 minima, 18 of them global: the often quoted 760 count 38 more on the edges, so a count "
        "means nothing without its rule for the boundary.",
        origin="Shubert 1972; in two variables as in SciPy",
        facts=facts(
            status="proved",
            source=REFERENCE_TABLE,
            lowest=-186.7309088310239,
            minima=722,
            maxima=722,
            saddles=1444,
            at=[
                (x, y)
                for low in (-7.083506407652, -0.800321100472, 5.482864206708)
                for high in (-7.708313735499, -1.425128428320, 4.858056878860)
                for x, y in ((low, high), (high, low))
            ],
        )
        + facts(status="measured", source=f"38 on the edges and one corner; {TWENTY}", boundary=39),
        start=(0.3, 0.2),
        learning_rate=0.0005,
    ),
    Landscape(
        name="trefethen",
        title="Trefethen's fourth problem",
        aliases=("trefethen4",),
        formula="exp(sin(50*x)) + sin(60*exp(y)) + sin(70*sin(x)) + sin(sin(80*y)) - sin(10*(x + y)) "
        "+ (x^2 + y^2)/4",
        names=("x", "y"),
        domain=cube(-1, 1),
        teaches="693 minima within arm's reach: luck does not find the lowest, and only a bound "
        "on f can show that it has been found.",
        origin="Trefethen 2002, the hundred-digit challenge, problem 4",
        facts=facts(
            status="published",
            source="Bornemann, Laurie, Wagon & Waldvogel 2004, proved there by interval arithmetic",
            lowest=-3.306868647475237,
            at=[(-0.0244030796943752, 0.2106124271553557)],
        )
        + facts(
            status="measured",
            source="grids of 600² to 1000² Newton runs agree, and the winding number",
            minima=693,
            maxima=667,
            saddles=1360,
            boundary=30,
        ),
        start=(0.1, 0.1),
        learning_rate=0.0001,
    ),
    Landscape(
        name="hartmann-3",
        title="Hartmann in three variables",
        formula=_hartmann(),
        names=("x1", "x2", "x3"),
        domain=cube(0, 1, 3),
        teaches="A sum of four holes in three variables, with only three minima found: holes may merge, and "
        "past two variables no map shows it.",
        origin="Hartman 1973; Dixon & Szegő 1978",
        facts=facts(
            status="measured",
            source=TWENTY,
            lowest=-3.862782147820755,
            at=[(0.114614338589672, 0.555648849971857, 0.852546953520866)],
        )
        + facts(
            status="lower bound",
            minima=3,
            source=f"{TWENTY}; the literature often says 4, the number of holes",
        ),
        start=(0.5, 0.5, 0.5),
        learning_rate=0.01,
    ),
    Landscape(
        name="shekel-5",
        title="Shekel's five foxholes",
        aliases=("shekel05",),
        formula=_shekel(),
        names=("x1", "x2", "x3", "x4"),
        domain=cube(0, 10, 4),
        teaches="Five narrow holes in four variables: the deepest is no wider than the others, so its share "
        "of the starts says nothing of its depth.",
        origin="Shekel 1971; Dixon & Szegő 1978",
        facts=facts(
            status="measured",
            source=TWENTY,
            lowest=-10.153199679058227,
            at=[(4.000037152819676, 4.00013327659156, 4.000037152819676, 4.00013327659156)],
        )
        + facts(status="lower bound", source=TWENTY, minima=5),
        start=(5, 5, 5, 5),
        learning_rate=0.1,
    ),
)
