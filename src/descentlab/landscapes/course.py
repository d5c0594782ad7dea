"""The functions of the course, and what one variable can teach."""

from __future__ import annotations

from descentlab.landscapes.entry import PI, REFERENCE_TABLE, TWENTY, Landscape, cube, facts

COURSE: tuple[Landscape, ...] = (
    Landscape(
        name="parabola", title="2x²",
        formula="2*x^2", names=("x",), domain=cube(-5, 5, 1),
        teaches="Each step multiplies x by 1 - 4η, so descent settles for every learning rate η below "
                "1/2, oscillates above 1/4 and explodes beyond 1/2.",
        facts=facts(status="proved", source="convex, with derivative 4x", lowest=0, at=[(0,)], minima=1,
                    maxima=0, saddles=0, boundary=0),
        start=(4,), learning_rate=0.1,
    ),
    Landscape(
        name="relu", title="ReLU", aliases=("rectifier",),
        formula="relu(x)", names=("x",), domain=cube(-5, 5, 1),
        teaches="Left of its kink the slope is zero, so a unit that lands there never moves again: a dead "
                "ReLU.",
        facts=facts(status="proved", source="zero for every x ≤ 0, so the minimizers are not isolated",
                    lowest=0, minima=0, maxima=0, saddles=0, boundary=0),
        start=(3,), learning_rate=0.1,
    ),
    Landscape(
        name="sigmoid", title="Sigmoid", aliases=("logistic",),
        formula="sigmoid(x)", names=("x",), domain=cube(-10, 10, 1),
        teaches="It has no stationary point, yet its slope fades to nothing on both sides: descent slows "
                "down without having found a minimum.",
        facts=facts(status="proved", source="strictly increasing, so lowest at the left end, 1/(1 + e^10)",
                    lowest=4.5397868702434395e-05, at=[(-10,)], minima=0, maxima=0, saddles=0, boundary=1),
        start=(0,), learning_rate=0.5,
    ),
    Landscape(
        name="quadratic", title="3x² − 3x + 4",
        formula="3*x^2 - 3*x + 4", names=("x",), domain=cube(-2, 2, 1),
        teaches="One minimum, found from everywhere: the step is the derivative 6x - 3 times the learning "
                "rate, and shrinks by itself as the slope does.",
        facts=facts(status="proved", source="convex, with derivative 6x − 3", lowest=3.25, at=[(0.5,)],
                    minima=1, maxima=0, saddles=0, boundary=0),
        start=(-2,), learning_rate=0.1,
    ),
    Landscape(
        name="cosine-bowl", title="cos(2πx) + x²", aliases=("wavy-parabola", "cosine-parabola"),
        formula="cos(2*pi*x) + x^2", names=("x",), domain=cube(-2, 2, 1),
        teaches="Which of the four minima is found depends on the start, and a start at exactly 0 sits on "
                "a maximum and never moves.",
        facts=facts(status="proved", source=REFERENCE_TABLE, lowest=-0.7620765452599305,
                    at=[(-0.475802451024221,), (0.475802451024221,)], minima=4, maxima=3, saddles=0,
                    boundary=0),
        start=(0.1,), learning_rate=0.01,
    ),
    Landscape(
        name="damped-sine", title="sin(x) exp(−x²/20)", aliases=("sine-packet",),
        formula="sin(x)*exp(-x^2/20)", names=("x",), domain=cube(-2 * PI, 2 * PI, 1),
        teaches="Of two minima one is lower, and ascent finds the two maxima by the same steps with the "
                "sign turned round.",
        facts=facts(status="proved", source=REFERENCE_TABLE, lowest=-0.8938752904478422,
                    at=[(-1.428870011214077,)],
                    minima=2, maxima=2, saddles=0)
        + facts(status="proved", source="f' > 0 at both ends, so only the left end is a minimum", boundary=1),
        start=(3,), learning_rate=0.1,
    ),
    Landscape(
        name="problem-02", title="sin(x) + sin(10x/3)", aliases=("two-sines",),
        formula="sin(x) + sin(10*x/3)", names=("x",), domain=cube(2.7, 7.5, 1),
        teaches="Three minima of different depth share the starts by the width of their basins, not by "
                "their depth.",
        origin="SciPy's benchmark Problem02",
        facts=facts(status="measured", source="sign changes of f' on a fine grid, and " + TWENTY,
                    lowest=-1.8995993491521133, at=[(5.145735290256128,)], minima=3,
                    maxima=2, saddles=0, boundary=0),
        start=(6,), learning_rate=0.02,
    ),
    Landscape(
        name="absolute-value", title="|x|", aliases=("abs", "kink"),
        formula="abs(x)", names=("x",), domain=cube(-5, 5, 1),
        teaches="The slope never fades, so with a constant learning rate descent hops across the kink for "
                "ever; the rate must shrink.",
        facts=facts(status="proved", source="the minimum is the kink at 0, where no derivative exists",
                    lowest=0, at=[(0,)], minima=0, maxima=0, saddles=0, boundary=0),
        start=(2.05,), learning_rate=0.1,
    ),
    Landscape(
        name="quartic", title="x⁴", aliases=("x4", "degenerate"),
        formula="x^4", names=("x",), domain=cube(-2, 2, 1),
        teaches="The second derivative is zero at the minimum, so the test by curvature cannot tell, and "
                "descent creeps like 1/√k instead of shrinking by a factor a step.",
        facts=facts(status="proved", source="x⁴ > 0 for x ≠ 0; the minimum is degenerate, f''(0) = 0",
                    lowest=0, at=[(0,)], minima=1, maxima=0, saddles=0, boundary=0),
        start=(1,), learning_rate=0.05,
    ),
    Landscape(
        name="peaks", title="MATLAB's peaks", aliases=("matlab-peaks",),
        formula="3*(1 - x)^2*exp(-x^2 - (y + 1)^2) - 10*(x/5 - x^3 - y^5)*exp(-x^2 - y^2) "
                "- exp(-(x + 1)^2 - y^2)/3",
        names=("x", "y"), domain=cube(-3, 3),
        teaches="Three minima, three maxima and three saddle points between them, and flat surroundings "
                "in which descent walks out of the box: the first landscape worth a map.",
        origin="MathWorks, the MATLAB function peaks",
        facts=facts(status="proved", source=REFERENCE_TABLE, lowest=-6.551133332835836,
                    at=[(0.228278920556369, -1.625534957499996)], minima=3, maxima=3, saddles=3, boundary=3),
        start=(0, 1.4), learning_rate=0.01,
    ),
)
