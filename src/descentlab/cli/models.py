"""The commands about models: retrain, widen. PyTorch and JAX are loaded once the options are read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descentlab.cli import options as o
from descentlab.errors import InputError

if TYPE_CHECKING:
    from descentlab.cli.read_models import Given
    from descentlab.models import Ensemble, Widening

TRAINING = "The training"
WEIGHTS = (".pt", ".npz")


def _option(name: str, text: str, panel: str, metavar: str) -> Any:
    return typer.Option(name, help=text, rich_help_panel=panel, metavar=metavar, show_default=False)


Target = Annotated[
    str,
    typer.Argument(
        metavar="FILE.py:NAME",
        show_default=False,
        help="The model, its loss and its data: a dictionary or an object in a Python file.",
    ),
]
Runs = Annotated[
    str | None, _option("--runs", "How many times to train, at each width. Default: 1000.", TRAINING, "N")
]
Optimizer = Annotated[
    str | None,
    _option("--optimizer", "A name of torch.optim, such as sgd or adamw. Default: adam.", TRAINING, "NAME"),
]
Settings = Annotated[
    list[str] | None,
    _option(
        "--set",
        "A setting of the optimizer, named as in torch.optim: momentum=0.9, nesterov=true. Repeatable.",
        TRAINING,
        "NAME=VALUE",
    ),
]
LearningRate = Annotated[
    str | None,
    _option(
        "--learning-rate",
        "A number, or time:0.1, step:0.1:30, cosine:0.1, exponential:0.1:0.999 or onecycle:0.1. Default: 0.01.",
        TRAINING,
        "RATE",
    ),
]
Steps = Annotated[str | None, _option("--steps", "How many steps to train.", TRAINING, "N")]
Epochs = Annotated[
    str | None,
    _option("--epochs", "How many times to go through the data, instead of --steps.", TRAINING, "N"),
]
BatchSize = Annotated[
    str | None, _option("--batch-size", "Samples a step. Default: all of them.", TRAINING, "N")
]
HeldOut = Annotated[
    str | None,
    _option("--held-out", "The share of samples that is never trained on, such as 0.2.", TRAINING, "SHARE"),
]
Solved = Annotated[
    str | None,
    _option(
        "--solved",
        "The loss that counts as a solution. Default: that of the lowest level at which runs end.",
        TRAINING,
        "LOSS",
    ),
]
Seed = Annotated[
    str | None, _option("--seed", "All randomness comes from this number. Default: 0.", TRAINING, "N")
]
Store = Annotated[
    str | None,
    _option(
        "--store",
        "Keep finished runs in this folder. The same command goes on from there if it was interrupted; with "
        "more --runs, it adds them.",
        o.OUTPUT,
        "DIR",
    ),
]
Report = Annotated[
    str | None,
    _option(
        "--report", "Write everything into one HTML file that needs nothing else.", o.OUTPUT, "FILE.html"
    ),
]


def retrain(
    target: Target,
    runs: Runs = None,
    optimizer: Optimizer = None,
    setting: Settings = None,
    learning_rate: LearningRate = None,
    steps: Steps = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    held_out: HeldOut = None,
    solved: Solved = None,
    seed: Seed = None,
    store: Store = None,
    endings: Annotated[
        bool,
        typer.Option(
            "--endings/--no-endings",
            help="Judge how every run ended, by its Hessian; for large models that takes longer than training.",
            rich_help_panel=TRAINING,
        ),
    ] = True,
    save: Annotated[
        str | None,
        _option(
            "--save",
            "Write the best run's weights: .pt for load_state_dict(torch.load(…)), or .npz.",
            o.OUTPUT,
            "FILE",
        ),
    ] = None,
    json: o.Json = False,
    plot: o.Plot = None,
    kind: Annotated[
        str | None,
        _option(
            "--kind",
            "What --plot draws: losses, best_of, endings or solutions. Default: losses.",
            o.OUTPUT,
            "NAME",
        ),
    ] = None,
    report: Report = None,
) -> None:
    """Train a model many times from different random weights, to see whether local minima hurt it.

    NAME is a dictionary, or an object, with build, loss and data. Any other
    argument of descentlab.models.retrain in it is a default for the options
    below. For 'widen', build takes a width. A whole file, xor.py:

    \b
    import torch
    from torch import nn
    def build(width=2):
        return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1))
    xor = {
        "build": build,
        "loss": nn.MSELoss(),
        "data": (torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
                 torch.tensor([[0.0], [1.0], [1.0], [0.0]])),
        "steps": 500,
    }

    For a model in JAX, build(key, width=2) returns a pytree of arrays, and loss
    takes (weights, inputs, targets), or the weights alone, without data.

    \b
    descentlab retrain xor.py:xor
    descentlab retrain xor.py:xor --runs 200 --solved 0.01 --report xor.html
    descentlab retrain xor.py:xor --optimizer sgd --set momentum=0.9
    """
    from descentlab.cli import output, show_models
    from descentlab.cli.read_models import read_model
    from descentlab.models.pictures import checked_kind

    page, picture, weights = _files(report, plot, save)
    if kind is not None:
        if picture is None:
            raise InputError("--kind says what --plot draws: give --plot FILE too.")
        checked_kind(kind)
    if kind == "endings" and not endings:
        raise InputError("--kind endings draws what --no-endings leaves out.")
    given = read_model(target, "retrain", locals())
    if weights is not None and weights.suffix.lower() == ".pt" and given.in_jax:
        raise InputError("A .pt file is PyTorch's; the weights of a model in JAX go into a .npz file.")
    with output.working("training") as display:
        from descentlab.models import retrain as run

        total = given.settings.get("runs", inspect.signature(run).parameters["runs"].default)
        e = run(**given.settings, progress=_progress(display, total))
        unjudged = ""
        if endings:
            display("judging how every run ended")
            try:
                _ = e.endings
            except InputError as reason:  # what was trained is told all the same
                unjudged = str(reason)
    if unjudged:
        typer.echo(unjudged, err=True)
    if weights is not None:
        _save(e, weights)
    if picture is not None:
        from descentlab.cli.runs import draw

        draw(e, picture, kind)
    _finish(e, given, page, json)
    if not json:
        show_models.show_ensemble(e, given.label, [("Drawn", picture), ("Report", page), ("Saved", weights)])
        show_models.show_again(given.command)


def widen(
    target: Target,
    widths: Annotated[
        str | None,
        _option("--widths", "The widths to compare, rising: 2,4,8. Default: 2,4,8,16.", TRAINING, "N,N,…"),
    ] = None,
    runs: Runs = None,
    optimizer: Optimizer = None,
    setting: Settings = None,
    learning_rate: LearningRate = None,
    steps: Steps = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    held_out: HeldOut = None,
    solved: Solved = None,
    confidence: Annotated[
        str | None,
        _option(
            "--confidence", "How sure a solution must be for its cost. Default: 0.95.", TRAINING, "SHARE"
        ),
    ] = None,
    seed: Seed = None,
    store: Store = None,
    json: o.Json = False,
    plot: o.Plot = None,
    report: Report = None,
) -> None:
    """Retrain a model at several widths, to see which is cheaper here: restarts or a wider model.

    The file is that of 'retrain', whose help shows one, with a build that takes
    a width: def build(width=2). A solution costs restarts × weights × steps.

    \b
    descentlab widen xor.py:xor --widths 2,3,4 --solved 0.01
    descentlab widen xor.py:xor --runs 200 --report widths.html
    """
    from descentlab.cli import output, show_models
    from descentlab.cli.read_models import read_model

    page, picture, _ = _files(report, plot, None)
    given = read_model(target, "widen", locals())
    with output.working("training") as display:
        from descentlab.models import widen as run

        settings = dict(given.settings)
        build = settings.pop("build")
        known = {name: p.default for name, p in inspect.signature(run).parameters.items()} | settings
        w = run(
            lambda width: functools.partial(build, width=width),
            **settings,
            progress=_progress_of_widths(display, known["widths"], known["runs"]),
        )
    if picture is not None:
        from descentlab.cli.runs import draw

        draw(w, picture)
    _finish(w, given, page, json)
    if not json:
        show_models.show_widening(w, given.label, [("Drawn", picture), ("Report", page)])
        show_models.show_again(given.command)


def _files(report: str | None, plot: str | None, save: str | None) -> tuple[Path | None, ...]:
    """Return the files to write, or raise InputError before any work where one cannot be."""
    from descentlab.cli import output

    return (
        output.check_output(report, (".html", ".htm"), "report"),
        output.check_output(plot, output.PICTURES, "plot"),
        output.check_output(save, WEIGHTS, "file of weights"),
    )


def _progress(display: Any, total: int) -> Callable[[int, float], None]:
    """Return what shows the runs done, and the share solved so far."""

    def show(done: int, solved: float) -> None:
        display(f"training: {done:,} of {total:,} runs, {100 * solved:.3g} % solved so far")
        display.share(done / total)

    return show


def _progress_of_widths(display: Any, widths: Sequence[int], total: int) -> Callable[[int, float], None]:
    """Return what shows the same width by width: where the runs done begin anew, the next one has its turn."""
    at, last = 0, 0

    def show(done: int, solved: float) -> None:
        nonlocal at, last
        at, last = at + (done <= last), done
        display(
            f"training width {widths[at]}: {done:,} of {total:,} runs, {100 * solved:.3g} % solved so far"
        )
        display.share((at + done / total) / len(widths))

    return show


def _finish(result: Ensemble | Widening, given: Given, page: Path | None, json: bool) -> None:
    """Write the report, then the JSON."""
    from descentlab.cli import output

    if page is not None:
        from descentlab.report.models import write

        with output.working(f"writing {page.name}"):
            write(result, page, given.label, given.command, given.python)
    if json:
        from descentlab.report.data import as_data

        output.print_json(as_data(result) | {"command": given.command, "python": given.python})


def _save(e: Ensemble, path: Path) -> None:
    """Write the best run's weights."""
    weights = e.state_dict(e.best_run)
    if path.suffix.lower() == ".pt":
        import torch

        torch.save({name: torch.as_tensor(value) for name, value in weights.items()}, path)
        return
    import numpy as np

    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in weights.items()}
    np.savez(path, **arrays)
