"""The options that commands share, each defined once.

Texts are read by `cli.read`, so that a number may be written as pi/2 and every refusal has the
same form.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

PROBLEM, DESCENT, OUTPUT = "The problem", "The descent", "The output"


def _targets(incomplete: str) -> list[str]:
    """Complete a landscape's name."""
    from descentlab.landscapes import landscapes

    return [entry.name for entry in landscapes() if entry.name.startswith(incomplete)]


def _optimizers(incomplete: str) -> list[str]:
    """Complete an optimizer's name."""
    from descentlab.optimizers import TABLE

    return [row.name for row in TABLE if row.name.startswith(incomplete)]


def _option(name: str, text: str, panel: str, metavar: str, **more: Any) -> Any:
    return typer.Option(name, help=text, rich_help_panel=panel, metavar=metavar, show_default=False, **more)


Target = Annotated[
    str,
    typer.Argument(
        metavar="FORMULA|NAME|FILE.py:NAME",
        autocompletion=_targets,
        show_default=False,
        help="A formula, a name of the catalogue, or a JAX-traceable function in a Python file.",
    ),
]
OptionalTarget = Annotated[
    str,
    typer.Argument(
        metavar="[FORMULA|NAME|FILE.py:NAME]",
        autocompletion=_targets,
        show_default=False,
        help="What to begin with. Default: the main formula, cos(2*pi*x) + x**2.",
    ),
]
Domains = Annotated[
    list[str] | None,
    _option(
        "--domain",
        "Bounds of a variable, x=-2:2, or of all of them, -2:2. Repeat it for more variables. "
        "Simple constants such as 2*pi may stand for numbers. Default: -5:5.",
        PROBLEM,
        "NAME=LOW:HIGH",
    ),
]
Variables = Annotated[
    str | None,
    _option(
        "--variables",
        "The variables in order, such as S,N, where the formula's names would be refused.",
        PROBLEM,
        "NAMES",
    ),
]
Dim = Annotated[
    int | None,
    _option("--dim", "The number of variables, for a family of the catalogue.", PROBLEM, "N"),
]
StartPoints = Annotated[
    list[str] | None,
    _option(
        "--start",
        "Where to begin: one number a variable, --start=0,1.4. Repeat it for more starts.",
        DESCENT,
        "X,Y,…",
    ),
]
Starts = Annotated[
    str | None,
    _option("--starts", "How many random starts, uniform in the box.", DESCENT, "N"),
]
OptimizerName = Annotated[
    str,
    _option(
        "--optimizer",
        "The optimizer; 'descentlab optimizers' lists them. Default: gd.",
        DESCENT,
        "NAME",
        autocompletion=_optimizers,
    ),
]
Parameters = Annotated[
    list[str] | None,
    _option(
        "--parameter", "A parameter of the optimizer, such as decay=0.9. Repeatable.", DESCENT, "NAME=VALUE"
    ),
]
LearningRate = Annotated[
    str,
    _option(
        "--learning-rate",
        "A number, 'auto', time:0.1, gradient:0.1, cosine:0.1 or exponential:0.1:0.99. Default: 0.01.",
        DESCENT,
        "RATE",
    ),
]
Steps = Annotated[
    str,
    _option("--steps", "How many steps at most. Default: 1000.", DESCENT, "N"),
]
Tolerance = Annotated[
    str | None,
    _option("--tolerance", "Stop once the gradient is no longer than this.", DESCENT, "NORM"),
]
Bounds = Annotated[
    str,
    _option(
        "--bounds",
        "free; clip (each point is put back into the box); stop (on leaving it). Default: free.",
        DESCENT,
        "RULE",
    ),
]
Precision = Annotated[
    str,
    _option("--precision", "float64 or float32. Default: float64.", DESCENT, "TYPE"),
]
Design = Annotated[
    str,
    _option(
        "--design",
        "How the starts are placed in the box: uniform (independent, so that shares are honest), sobol, "
        "latin, grid or normal. Default: uniform.",
        DESCENT,
        "NAME",
    ),
]
Until = Annotated[
    str | None,
    _option(
        "--until",
        "Stop before all starts are done, as soon as unseen<0.001 (at most this share of starts leads to "
        "minima not seen yet: the upper end of a 95 % interval) or all_seen>0.99 (the probability that no "
        "minimum is missing).",
        DESCENT,
        "CONDITION",
    ),
]
Store = Annotated[
    str | None,
    _option(
        "--store",
        "Keep every start's end in this folder, as Parquet files. The same command goes on from there if "
        "it was interrupted; with more --starts, it adds them.",
        OUTPUT,
        "DIR",
    ),
]
Workers = Annotated[
    str | None,
    _option(
        "--workers",
        "Compute in this many processes of their own, one core each. One that dies is replaced, and a start "
        "that kills it is counted as crashed.",
        DESCENT,
        "N",
    ),
]
Scheduler = Annotated[
    str | None,
    _option("--scheduler", "Compute on the Dask cluster at this address.", DESCENT, "tcp://HOST:PORT"),
]
Kind = Annotated[
    str | None,
    _option(
        "--kind",
        "What --plot draws: minima, waterfall, best_of, outcomes, parallel or steps. Default: minima.",
        OUTPUT,
        "NAME",
    ),
]
Record = Annotated[
    str,
    _option("--record", "all steps, or only the ends (for very many starts). Default: all.", DESCENT, "WHAT"),
]
Seed = Annotated[
    str,
    _option("--seed", "All randomness comes from this number. Default: 0.", DESCENT, "N"),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the result as JSON, its fields named as in Python; nothing else goes to "
        "standard output. NaN and infinities are written as texts.",
        rich_help_panel=OUTPUT,
    ),
]
Plot = Annotated[
    str | None,
    _option("--plot", "Draw the result into a file: png, svg or pdf by its ending.", OUTPUT, "FILE"),
]
Movie = Annotated[
    str | None,
    _option(
        "--plot",
        "Draw the result into a file: png, svg or pdf, or an animation as gif or mp4, by its ending.",
        OUTPUT,
        "FILE",
    ),
]
