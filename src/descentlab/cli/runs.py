"""The commands about one descent: derive, descend, ascend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from descentlab.cli import options as o
from descentlab.cli import quick

if TYPE_CHECKING:
    from pathlib import Path

    from descentlab.descent import Descent


def derive(
    target: o.Target,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    seed: o.Seed = "0",
    json: o.Json = False,
) -> None:
    """Differentiate a formula rule by rule, and check the result three ways.

    \b
    descentlab derive "sin(x) * e^(-x^2/20)"
    descentlab derive peaks
    """
    quick.derive(target, domain, variables, dim, seed, json)


def descend(
    target: o.Target,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    start: o.StartPoints = None,
    starts: o.Starts = None,
    optimizer: o.OptimizerName = "gd",
    parameter: o.Parameters = None,
    learning_rate: o.LearningRate = "0.01",
    steps: o.Steps = "1000",
    tolerance: o.Tolerance = None,
    bounds: o.Bounds = "free",
    precision: o.Precision = "float64",
    record: o.Record = "all",
    seed: o.Seed = "0",
    json: o.Json = False,
    plot: o.Movie = None,
) -> None:
    """Descend from one start or many, and say how each descent ended and why.

    Without --start or --starts it begins at one random point of the box.

    \b
    descentlab descend "cos(2*pi*x) + x^2" --domain x=-2:2 --start 0.1
    descentlab descend peaks --start=0,1.4 --optimizer momentum --parameter decay=0.9
    descentlab descend "x^4 - 2x^2" --starts 5 --learning-rate auto
    """
    _descend("descend", **locals())


def ascend(
    target: o.Target,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    start: o.StartPoints = None,
    starts: o.Starts = None,
    optimizer: o.OptimizerName = "gd",
    parameter: o.Parameters = None,
    learning_rate: o.LearningRate = "0.01",
    steps: o.Steps = "1000",
    tolerance: o.Tolerance = None,
    bounds: o.Bounds = "free",
    precision: o.Precision = "float64",
    record: o.Record = "all",
    seed: o.Seed = "0",
    json: o.Json = False,
    plot: o.Movie = None,
) -> None:
    """Ascend: as descend, uphill. Its steps are those of descending the negated function.

    \b
    descentlab ascend peaks --start=0,1.4
    """
    _descend("ascend", **locals())


def _descend(verb: str, *, target: str, json: bool, plot: str | None, **given: Any) -> None:
    from descentlab.cli import output, read

    path = output.check_output(plot, (*output.PICTURES, *output.MOVIES), "plot")
    f = read.read_objective(target, given["domain"], given["variables"], given["dim"])
    settings = descent_settings(given)
    with output.working("descending"):
        from descentlab import descent

        run: Descent = getattr(descent, verb)(
            f, **settings, precision=given["precision"], record=given["record"]
        )
    if path is not None:
        draw(run, path)
    if json:
        output.print_json(run)
        return
    from descentlab.cli.show import show_descent

    show_descent(run, path)


def descent_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return what `descend` is called with, from the options' texts."""
    from descentlab.cli import read

    return {
        "start": read.read_start(given["start"], given["starts"]),
        "optimizer": given["optimizer"],
        "learning_rate": read.read_rate(given["learning_rate"]),
        "steps": read.read_whole(given["steps"], "number of steps"),
        "tolerance": None
        if given["tolerance"] is None
        else read.read_number(given["tolerance"], "tolerance"),
        "bounds": given["bounds"],
        "seed": read.read_whole(given["seed"], "seed"),
        **read.read_parameters(given["parameter"]),
    }


def draw(result: Any, path: Path, kind: str | None = None) -> None:
    """Draw a result into a file: an animation of a descent, or a picture, of a kind if there are several."""
    from descentlab.cli.output import MOVIES, working

    with working(f"drawing {path.name}"):
        if path.suffix.lower() in MOVIES:
            from descentlab.figures import animate

            animate(result, path)
            return
        from descentlab.figures import save

        save(result.plot() if kind is None else result.plot(kind), path)
