"""The Typer application: its commands, and nothing else."""

from __future__ import annotations

from typing import Annotated

import typer

from descentlab.cli import basins, catalogue, course, guide, models, proofs, runs, studies, studio

app = typer.Typer(
    name="descentlab",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"descentlab {version('descentlab')}")
        except PackageNotFoundError:  # run from the source tree, not installed
            import descentlab

            print(f"descentlab {descentlab.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and leave.",
            is_eager=True,
            metavar=" ",
            callback=_show_version,
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the program an error arose.", metavar=" ")
    ] = False,
) -> None:
    """A laboratory for gradient descent: where descent ends, why, what else was there, and what to change.

    The main job, from a formula to a report:

    \b
    descentlab explore "cos(2*pi*x) + x**2" --domain x=-2:2 --start 0
    """


app.command("explore")(studies.explore)
app.command("derive")(runs.derive)
app.command("descend")(runs.descend)
app.command("ascend")(runs.ascend)
app.command("sweep")(studies.sweep)
app.command("survey")(studies.survey)
app.command("basins")(basins.basins)
app.command("certify")(proofs.certify)
app.command("minimize")(proofs.minimize)
app.command("maximize")(proofs.maximize)
app.command("retrain")(models.retrain)
app.command("widen")(models.widen)
app.command("studio")(studio.studio)
app.command("course")(course.course)
app.command("guide")(guide.guide)
app.command("landscapes")(catalogue.landscapes)
app.command("optimizers")(catalogue.optimizers)
