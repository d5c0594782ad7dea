"""The command about basins of attraction: a map, or a strip of maps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descentlab.cli import options as o

if TYPE_CHECKING:
    from rich.table import Table

    from descentlab.survey.basin_results import BasinMap, BasinStrip


def basins(
    target: o.Target,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    resolution: Annotated[
        str | None,
        typer.Option(
            "--resolution",
            help="Pixels along each side, or along the first and the second variable: 600,400. "
            "Default: 512, or 256 for several maps.",
            metavar="N",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = None,
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
            help="A rate, or several, each a map: 0.01,0.02,auto, or LOW:HIGH:COUNT. "
            "Default: auto, which follows the curvature.",
            metavar="RATES",
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
    plane: Annotated[
        str | None,
        typer.Option(
            "--plane",
            help="The two variables to map, where there are more: x1,x2.",
            metavar="NAME,NAME",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="The point the plane goes through: one number a variable. Default: the middle of the box.",
            metavar="X,Y,…",
            rich_help_panel=o.DESCENT,
            show_default=False,
        ),
    ] = None,
    seed: o.Seed = "0",
    json: o.Json = False,
    plot: o.Plot = None,
) -> None:
    """Map which start leads to which minimum, for one optimizer and learning rate or for several.

    \b
    descentlab basins himmelblau --plot basins.png
    descentlab basins himmelblau --learning-rate 0.01,0.02 --optimizer gd,momentum --plot strip.png
    descentlab basins "(x^2 - 1)^2 + y^2" --domain -2:2 --resolution 400,200
    descentlab basins rastrigin --dim 3 --plane x1,x2 --resolution 200
    """
    from descentlab.cli import output, read

    path = output.check_output(plot, output.PICTURES, "plot")
    f = read.read_objective(target, domain, variables, dim)
    names = [name.strip() for name in optimizer.split(",")]
    rates = read.read_rates(learning_rate)
    several = len(names) > 1 or isinstance(rates, list)
    pixels = [
        read.read_whole(n, "resolution") for n in (resolution or ("256" if several else "512")).split(",")
    ]
    settings: dict[str, Any] = {
        "resolution": tuple(pixels) if len(pixels) > 1 else pixels[0],
        "optimizer": names if len(names) > 1 else names[0],
        "learning_rate": rates,
        "steps": read.read_whole(steps, "number of steps"),
        "tolerance": None if tolerance is None else read.read_number(tolerance, "tolerance"),
        "bounds": bounds,
        "plane": None if plane is None else tuple(name.strip() for name in plane.split(",")),
        "at": None if at is None else read.read_point(at),
        "seed": read.read_whole(seed, "seed"),
        **read.read_parameters(parameter),
    }
    result: BasinMap | BasinStrip
    with output.working("mapping") as display:
        from descentlab.survey.basins import basin_map, basin_strip

        result = (basin_strip if several else basin_map)(f, **settings, progress=display.share)
    if path is not None:
        from descentlab.cli.runs import draw

        draw(result, path)
    if json:
        output.print_json(result)
        return
    show_basins(result, path)


def show_basins(result: BasinMap | BasinStrip, plot: Path | None = None) -> None:
    """Print what was found, the areas of a map or the measures of a strip, and how to do it again."""
    from descentlab.cli import output, show
    from descentlab.survey.basin_results import BasinMap

    out = output.console()
    first = result if isinstance(result, BasinMap) else result.maps[0]
    rows, columns = first.assignment.shape
    which = first.label if result is first else f"{len(result.maps)} maps"  # type: ignore[union-attr]
    show._head(out, result.objective, f"{columns:,} × {rows:,} starts, {which}")
    show._paragraph(out, result.sentence)
    out.print(_areas(result) if isinstance(result, BasinMap) else _maps(result))
    out.print()
    show._foot(out, result.command, plot)


def _areas(m: BasinMap) -> Table:
    """Return the lowest minima of a map with their areas, then what else became of starts."""
    from descentlab.cli import show
    from descentlab.report.words import percent
    from descentlab.wording import short

    table = show._table()
    table.add_column(
        f"({', '.join(m.objective.names[:3])}{', …' if m.objective.dim > 3 else ''})", no_wrap=True
    )
    for name in ("f", "area", "share", "steps"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    tiny = 1e-9 * m.value_scale
    for area, each in list(zip(m.areas, m.minima, strict=True))[: show.MOST_MINIMA]:
        table.add_row(
            ", ".join(f"{v:.4g}" for v in m.settled(each.point)[:3]),
            short(each.value if abs(each.value) >= tiny else 0.0),
            short(float(area)),
            percent(each.share),
            f"{each.steps:,.0f}",
            each.kind,
        )
    others = m.minima[show.MOST_MINIMA :]
    if others:
        table.add_row(
            f"… {len(others):,} more",
            "",
            short(float(m.areas[show.MOST_MINIMA :].sum())),
            percent(sum(each.share for each in others)),
        )
    for outcome, share in m.elsewhere.items():
        table.add_row(f"none: {outcome.replace('_', ' ')}", "", "", percent(share), style="yellow")
    return table


def _maps(strip: BasinStrip) -> Table:
    """Return one line a map: how many minima, where the lowest value is reached, and the measures."""
    from descentlab.cli import show
    from descentlab.report.words import percent

    table = show._table()
    table.add_column("map", no_wrap=True)
    for name in ("minima", "reached", "lowest", "S_b", "S_bb", "exponent"):
        table.add_column(name, justify="right", no_wrap=True)
    for m in strip.maps:
        alpha = m.uncertainty
        table.add_row(
            m.label,
            f"{sum(each.hits > 0 for each in m.minima):,}",
            percent(float(m.shares.sum())),
            percent(m.best_share),
            f"{m.entropy.basin:.3f}",
            f"{m.entropy.boundary:.3f}",
            "–" if math.isnan(alpha.exponent) else f"{alpha.exponent:.3f} ± {alpha.error:.3f}",
        )
    return table
