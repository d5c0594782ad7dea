"""Bowls, ravines, plateaus and saddles: landscapes made to show one difficulty each."""

from __future__ import annotations

import itertools

from descentlab.landscapes.entry import (
    REFERENCE_TABLE,
    TWENTY,
    Landscape,
    cube,
    facts,
    family,
    total,
    variables,
)


@family(1, 100)
def _sphere(n: int) -> Landscape:
    return Landscape(
        name="sphere",
        title="Sphere",
        aliases=("bowl",),
        formula=total([f"{v}^2" for v in variables(n)]),
        names=variables(n),
        domain=cube(-5, 5, n),
        teaches="The easiest bowl there is: the gradient points straight away from the minimum, and with "
        "learning rate 1/2 one step finds it.",
        facts=facts(
            status="proved",
            source="convex",
            lowest=0,
            at=[(0,) * n],
            minima=1,
            maxima=0,
            saddles=0,
            boundary=0,
        ),
        start=(4,) * n,
        learning_rate=0.1,
    )


@family(2, 50)
def _rosenbrock(n: int) -> Landscape:
    v = variables(n)
    terms = [f"100*({b} - {a}^2)^2 + (1 - {a})^2" for a, b in itertools.pairwise(v)]
    squares = "a sum of squares that vanishes only there"
    known = facts(status="proved", source=squares, lowest=0, at=[(1,) * n])
    if n == 2:
        known += facts(status="proved", source=REFERENCE_TABLE, minima=1, maxima=0, saddles=0)
        known += facts(status="measured", source="scan of the four edges", boundary=0)
        wide = cube(-30, 30)
        known += facts(status="measured", source=TWENTY, minima=1, boundary=0, domain=wide)
    elif n >= 4:
        known += facts(
            status="lower bound",
            minima=2,
            source="besides (1, …, 1) there is one with "
            "x1 < 0; Shang & Qiu 2006 study how many there are for each n",
        )
    return Landscape(
        name="rosenbrock",
        title="Rosenbrock's valley",
        aliases=("banana",),
        formula=total(terms),
        names=v,
        domain=cube(-5, 5, n),
        teaches="A narrow curved valley: its floor is found at once and its end hardly ever, because the "
        "steep walls force a learning rate far too small for the floor.",
        origin="Rosenbrock 1960; in n variables as in SciPy",
        facts=known,
        view="log",
        start=(-1.2, 1) if n == 2 else None,
        learning_rate=0.001,
    )


@family(2, 5, default=3)
def _octopus(n: int) -> Landscape:
    v = variables(n)
    wells = [f"{a}^4/4 - {a}^2/2" for a in v]
    walls = [f"{b}^2*exp(-1.5*{a}^2)" for a, b in itertools.pairwise(v)]
    known = facts(status="proved", source="f grows outward on the whole boundary", boundary=0)
    # Stationary: the first k coordinates have left zero, in any pattern of signs, k = 0 … n. With two
    # variables, 1 − 2 exp(−1.5 x²) = y² and x² − 1 = 3 y² exp(−1.5 x²) have one positive solution.
    known += facts(
        status="proved" if n == 2 else "measured",
        minima=2**n,
        maxima=0,
        saddles=2**n - 1,
        source="one stationary point for each pattern of signs of those that have left 0",
    )
    return Landscape(
        name="octopus",
        title="A chain of saddles",
        aliases=("saddle-chain",),
        formula=total(wells + walls),
        names=v,
        domain=cube(-2, 2, n),
        teaches="Descent is led from saddle to saddle, and while it leaves one it is pressed closer to the "
        "next, so each takes five to seven times as long as the one before: strict saddles are "
        "escaped in the end, but the end can be exponentially far.",
        origin="own smooth formula in the spirit of Du et al. 2017, 'Gradient descent can take exponential "
        "time to escape saddle points'; not their construction",
        facts=known,
        start=(0.1,) * n,
        learning_rate=0.05,
    )


SHAPES: tuple[Landscape, ...] = (
    _sphere,
    Landscape(
        name="matyas",
        title="Matyas",
        formula="0.26*(x^2 + y^2) - 0.48*x*y",
        names=("x", "y"),
        domain=cube(-10, 10),
        teaches="A long flat trough lying across the axes: the Hessian's eigenvalues 0.04 and 1 make "
        "descent quick across it and slow along it.",
        origin="Jamil & Yang 2013, no. 71",
        facts=facts(
            status="proved",
            source="convex: eigenvalues 0.04 and 1",
            lowest=0,
            at=[(0, 0)],
            minima=1,
            maxima=0,
            saddles=0,
            boundary=0,
        ),
        start=(8, -4),
        learning_rate=0.5,
    ),
    Landscape(
        name="booth",
        title="Booth",
        formula="(x + 2*y - 7)^2 + (2*x + y - 5)^2",
        names=("x", "y"),
        domain=cube(-10, 10),
        teaches="A bowl whose axes are not the coordinate axes: eigenvalues 2 and 18 set the largest "
        "learning rate, 1/9.",
        origin="Jamil & Yang 2013, no. 17",
        facts=facts(
            status="proved",
            source="convex: eigenvalues 2 and 18",
            lowest=0,
            at=[(1, 3)],
            minima=1,
            maxima=0,
            saddles=0,
            boundary=0,
        ),
        start=(-8, -8),
        learning_rate=0.05,
    ),
    Landscape(
        name="ravine",
        title="Ravine, condition number 100",
        aliases=("ill-conditioned",),
        formula="x^2/2 + 50*y^2",
        names=("x", "y"),
        domain=cube(-5, 5),
        teaches="Curvature 100 across and 1 along: the learning rate must stay below 2/100, and then "
        "plain descent needs hundreds of steps along the floor; momentum or Adam do not.",
        facts=facts(
            status="proved",
            source="convex: eigenvalues 1 and 100",
            lowest=0,
            at=[(0, 0)],
            minima=1,
            maxima=0,
            saddles=0,
            boundary=0,
        ),
        view="log",
        start=(4.5, 1),
        learning_rate=0.019,
    ),
    Landscape(
        name="tilted-ravine",
        title="Tilted ravine, condition number 100",
        formula="(x + y)^2/4 + 25*(x - y)^2",
        names=("x", "y"),
        domain=cube(-5, 5),
        teaches="The same ravine turned by 45 degrees: optimizers that scale each coordinate by itself, "
        "such as Adam, lose the advantage they had.",
        facts=facts(
            status="proved",
            source="convex: eigenvalues 1 and 100",
            lowest=0,
            at=[(0, 0)],
            minima=1,
            maxima=0,
            saddles=0,
            boundary=0,
        ),
        view="log",
        start=(4, 3),
        learning_rate=0.019,
    ),
    _rosenbrock,
    Landscape(
        name="beale",
        title="Beale",
        formula="(1.5 - x + x*y)^2 + (2.25 - x + x*y^2)^2 + (2.625 - x + x*y^3)^2",
        names=("x", "y"),
        domain=cube(-4.5, 4.5),
        teaches="Steep corners above a flat curved valley: a rate safe in the corners is hopeless in the "
        "valley, so descent from many starts simply runs out of steps.",
        origin="Beale 1958",
        facts=facts(
            status="proved", source="a sum of squares that vanishes only there", lowest=0, at=[(3, 0.5)]
        )
        + facts(
            status="measured",
            source="grid of Newton runs with winding number, scan of the edges; " + TWENTY,
            minima=1,
            maxima=0,
            saddles=2,
            boundary=2,
        ),
        view="log",
        start=(1, 1),
        learning_rate=0.01,
    ),
    Landscape(
        name="plateau",
        title="A hole in a plateau",
        aliases=("needle",),
        formula="1 - exp(-x^2 - y^2)",
        names=("x", "y"),
        domain=cube(-30, 30),
        teaches="Away from the hole the slope fades and, 28 units out, is exactly zero in double precision: "
        "a zero gradient there means 'no information', not 'minimum'.",
        facts=facts(
            status="proved",
            source="f grows with the distance from 0",
            lowest=0,
            at=[(0, 0)],
            minima=1,
            maxima=0,
            saddles=0,
            boundary=0,
        ),
        start=(2, 1),
        learning_rate=0.2,
    ),
    Landscape(
        name="strict-saddle",
        title="Two minima and a strict saddle",
        aliases=("lee", "saddle"),
        formula="x^2/2 + y^4/4 - y^2/2",
        names=("x", "y"),
        domain=cube(-2, 2),
        teaches="Started exactly on the line y = 0, descent ends in the saddle; started anywhere else it "
        "escapes, so a random start never ends there.",
        origin="Lee, Simchowitz, Jordan & Recht 2016, 'Gradient descent only converges to minimizers'",
        facts=facts(
            status="proved",
            source="closed form: saddle (0, 0), minima (0, ±1)",
            lowest=-0.25,
            at=[(0, -1), (0, 1)],
            minima=2,
            maxima=0,
            saddles=1,
            boundary=0,
        ),
        start=(1.5, 0.001),
        learning_rate=0.1,
    ),
    Landscape(
        name="monkey-saddle",
        title="Monkey saddle",
        formula="x^3 - 3*x*y^2",
        names=("x", "y"),
        domain=cube(-2, 2),
        teaches="The gradient and the whole Hessian vanish at 0, so second order says nothing, and yet "
        "there are three ways down.",
        facts=facts(
            status="proved",
            source="the only stationary point is the degenerate one at 0; on the "
            "boundary (2, ±2) with −16 and (−2, 0) with −8",
            lowest=-16,
            at=[(2, -2), (2, 2)],
            minima=0,
            maxima=0,
            saddles=0,
            boundary=3,
        ),
        start=(0.01, 0),
        learning_rate=0.1,
    ),
    _octopus,
)
