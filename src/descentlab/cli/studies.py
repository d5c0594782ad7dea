"""The commands about many descents: sweep, survey, explore."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from descentlab.cli import DONE, INTERRUPTED
from descentlab.cli import options as o
from descentlab.errors import InputError

_RANGE = "LOW:HIGH:COUNT is evenly spaced, LOW:HIGH:COUNTlog goes by equal factors."


def sweep(
    target: o.Target,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    start: Annotated[
        list[str] | None,
        typer.Option(
            "--start",
            help=f"A start, --start=0,1.4, in which any coordinate may be a range. {_RANGE} "
            "Repeat it for more starts.",
            metavar="X,Y,…",
            rich_help_panel=o.DESCENT,
        ),
    ] = None,
    starts: o.Starts = None,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer",
            help="One optimizer, or several: gd,momentum,adam. Default: gd.",
            metavar="NAMES",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = "gd",
    parameter: o.Parameters = None,
    learning_rate: Annotated[
        str,
        typer.Option(
            "--learning-rate",
            help=f"A rate, a list 0.1,0.01,auto, or a range. {_RANGE} Default: 0.01.",
            metavar="RATES",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = "0.01",
    steps: Annotated[
        str,
        typer.Option(
            "--steps",
            help="A number of steps, a list 10,100,1000, or a range. Default: 1000.",
            metavar="COUNTS",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = "1000",
    tolerance: o.Tolerance = None,
    bounds: o.Bounds = "free",
    precision: o.Precision = "float64",
    ascent: Annotated[bool, typer.Option("--ascent", help="Go uphill.", rich_help_panel=o.DESCENT)] = False,
    seed: o.Seed = "0",
    json: o.Json = False,
    plot: o.Plot = None,
) -> None:
    """Descend over a grid of starts, learning rates, numbers of steps and optimizers.

    \b
    descentlab sweep "cos(2*pi*x) + x^2" --domain x=-2:2 --start=-2:2:41
    descentlab sweep peaks --start=0,1.4 --learning-rate 0.001:0.5:30log
    descentlab sweep "3x^2 - 3x + 4" --start 0 --learning-rate 0.01:0.4:9 --steps 10,100
    descentlab sweep himmelblau --starts 20 --optimizer gd,momentum,adam
    """
    from descentlab.cli import output, read

    path = output.check_output(plot, output.PICTURES, "plot")
    f = read.read_objective(target, domain, variables, dim)
    names = [name.strip() for name in optimizer.split(",")]
    settings: dict[str, Any] = {
        "start": read.read_start_grid(start, starts),
        "learning_rate": read.read_rates(learning_rate),
        "steps": read.read_step_counts(steps),
        "optimizer": names if len(names) > 1 else names[0],
        "tolerance": None if tolerance is None else read.read_number(tolerance, "tolerance"),
        "bounds": bounds,
        "precision": precision,
        "ascent": ascent,
        "seed": read.read_whole(seed, "seed"),
        **read.read_parameters(parameter),
    }
    with output.working("sweeping") as display:
        from descentlab.sweep import sweep as run

        result = run(f, **settings, progress=display.share)
    _finish(result, path, json, "show_sweep")


def survey(
    target: o.Target,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    starts: Annotated[
        str,
        typer.Option(
            "--starts",
            help="How many random starts, uniform in the box. Default: 10,000.",
            metavar="N",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = "10000",
    start: o.StartPoints = None,
    optimizer: o.OptimizerName = "gd",
    parameter: o.Parameters = None,
    learning_rate: Annotated[
        str,
        typer.Option(
            "--learning-rate",
            help="As for descend. Default: auto, which follows the curvature.",
            metavar="RATE",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = "auto",
    steps: Annotated[
        str,
        typer.Option(
            "--steps",
            help="How many steps at most. Default: 10,000.",
            metavar="N",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = "10000",
    tolerance: o.Tolerance = None,
    bounds: Annotated[
        str,
        typer.Option(
            "--bounds",
            help="free; clip (each point is put back into the box); stop. Default: clip.",
            metavar="RULE",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = "clip",
    precision: o.Precision = "float64",
    design: o.Design = "uniform",
    until: o.Until = None,
    store: o.Store = None,
    workers: o.Workers = None,
    scheduler: o.Scheduler = None,
    seed: o.Seed = "0",
    json: o.Json = False,
    plot: o.Plot = None,
    kind: o.Kind = None,
) -> int:
    """Descend from many random starts: which minima there are, and what share of starts each one gets.

    \b
    descentlab survey "cos(2*pi*x) + x^2" --domain x=-2:2
    descentlab survey rastrigin --dim 3 --starts 2000 --plot minima.svg --kind waterfall
    descentlab survey peaks --starts 10000000 --store peaks-survey
    descentlab survey shubert --starts 1000000 --until "unseen<0.001"
    """
    from descentlab.cli import live, output, read

    path = output.check_output(plot, output.PICTURES, "plot")
    f = read.read_objective(target, domain, variables, dim)
    if kind is not None:
        from descentlab.figures import survey_kind

        if path is None:
            raise InputError("--kind says what --plot draws: give --plot FILE too.")
        survey_kind(kind, f.dim)
    settings: dict[str, Any] = {
        "starts": read.read_start(start, None) if start else read.read_whole(starts, "number of starts"),
        "optimizer": optimizer,
        "learning_rate": read.read_rate(learning_rate),
        "steps": read.read_whole(steps, "number of steps"),
        "tolerance": None if tolerance is None else read.read_number(tolerance, "tolerance"),
        "bounds": bounds,
        "precision": precision,
        "design": design,
        "until": until,
        "store": store,
        "seed": read.read_whole(seed, "seed"),
        **read.read_parameters(parameter),
    }
    count = None if workers is None else read.read_whole(workers, "number of workers")
    from descentlab.survey.cluster import open_executor

    with open_executor(count, scheduler) as executor, live.surveying(until) as view:
        from descentlab.survey import survey as run

        result = run(f, **settings, executor=executor, progress=view)
    _finish(result, path, json, "show_survey", kind)
    return INTERRUPTED if result.stopped == "interrupted" else DONE


def explore(
    target: o.Target,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    start: o.StartPoints = None,
    optimizer: o.OptimizerName = "gd",
    parameter: o.Parameters = None,
    learning_rate: o.LearningRate = "0.01",
    steps: o.Steps = "1000",
    tolerance: o.Tolerance = None,
    bounds: o.Bounds = "free",
    survey_starts: Annotated[
        str,
        typer.Option(
            "--survey-starts",
            help="How many random starts the survey takes. Default: 1000.",
            metavar="N",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = "1000",
    seed: o.Seed = "0",
    file: Annotated[
        str | None,
        typer.Option(
            "--output",
            help="The report, one HTML file. Default: explore.html, or no file with --json.",
            metavar="FILE",
            rich_help_panel=o.OUTPUT,
            show_default=False,
        ),
    ] = None,
    json: o.Json = False,
) -> None:
    """Explain, descend and survey one function, and write one self-contained HTML report.

    \b
    descentlab explore "cos(2*pi*x) + x**2" --domain x=-2:2 --start 0 --output explore.html
    descentlab explore himmelblau
    """
    from descentlab.cli import output, read
    from descentlab.cli.runs import descent_settings

    path = output.check_output(file or (None if json else "explore.html"), (".html", ".htm"), "output")
    if start is not None and len(start) > 1:
        raise InputError(
            "explore looks at one start closely: give one --start. 'descentlab descend' takes several."
        )
    settings = descent_settings(
        {
            "start": start,
            "starts": None,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "steps": steps,
            "tolerance": tolerance,
            "bounds": bounds,
            "seed": seed,
            "parameter": parameter,
        }
    )
    count = read.read_whole(survey_starts, "number of starts")
    f = read.read_objective(target, domain, variables, dim)
    with output.working("exploring") as tell:
        from descentlab.report import explore as run

        result = run(f, **settings, survey_starts=count, tell=tell)
        if path is not None:
            tell("drawing the report")
            result.save(path)
    if json:
        output.print_json(result)
        return
    from descentlab.cli.show import show_exploration

    show_exploration(result, path)


def _finish(result: Any, path: Any, json: bool, show: str, kind: str | None = None) -> None:
    """Draw, then print a result."""
    if path is not None:
        from descentlab.cli.runs import draw

        draw(result, path, kind)
    if json:
        from descentlab.cli.output import print_json

        print_json(result)
        return
    from descentlab.cli import show as shown

    getattr(shown, show)(result, path)
