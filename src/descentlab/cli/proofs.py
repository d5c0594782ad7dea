"""The commands that prove: certify, minimize and maximize."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descentlab.cli import DONE, FAILED
from descentlab.cli import options as o
from descentlab.errors import InputError

if TYPE_CHECKING:
    from rich.progress import Progress

    from descentlab.minimize import Minimization

PROOF = "The proof"
# Short proofs come and go without a progress display.
QUIET_SECONDS = 0.5

Boxes = Annotated[
    str,
    typer.Option(
        "--boxes",
        help="Give up after this many boxes; what is undecided then is said. Default: 5,000,000.",
        metavar="N",
        rich_help_panel=PROOF,
        show_default=False,
    ),
]


Starts = Annotated[
    str | None,
    typer.Option(
        "--starts",
        help="Where nothing can be proved: how many starts the survey takes. Default: 1000.",
        metavar="N",
        rich_help_panel=PROOF,
        show_default=False,
    ),
]


def _seconds(default: int) -> Any:
    return typer.Option(
        "--seconds",
        help=f"Give up after this time; what is undecided then is said. Default: {default}.",
        metavar="S",
        rich_help_panel=PROOF,
        show_default=False,
    )


def certify(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="FORMULA|NAME|FILE.py:NAME",
            autocompletion=o._targets,
            show_default=False,
            help="A formula, a name of the catalogue, or an objective made of one in a Python file.",
        ),
    ] = None,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    boxes: Boxes = "5000000",
    seconds: Annotated[str, _seconds(60)] = "60",
    recheck: Annotated[
        str | None,
        typer.Option(
            "--recheck",
            help="arb: prove each point again with python-flint, and refuse the certificate if one fails.",
            metavar="arb",
            rich_help_panel=PROOF,
            show_default=False,
        ),
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            "--verify",
            help="Check every claim of this certificate again with python-flint, instead of making one. "
            "Status 0: no claim failed; 1: one did; 2: the file is no certificate.",
            metavar="FILE.json",
            rich_help_panel=PROOF,
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            "--save",
            help="Write the certificate into this file, for --verify.",
            metavar="FILE.json",
            rich_help_panel=o.OUTPUT,
            show_default=False,
        ),
    ] = None,
    json: o.Json = False,
    plot: o.Plot = None,
) -> int:
    """Prove which stationary points a formula has in its box, of which kind, and its lowest value.

    \b
    descentlab certify peaks --save peaks.json
    descentlab certify "cos(2*pi*x) + x^2" --domain x=-2:2 --recheck arb
    descentlab certify --verify peaks.json
    """
    from descentlab.cli import output, read, show_proofs

    if verify is not None:
        given = {
            "a formula": target, "--domain": domain, "--variables": variables, "--dim": dim, "--recheck": recheck,
            "--save": save, "--plot": plot,
        }  # fmt: skip
        extra = [name for name, value in given.items() if value]
        if extra:
            raise InputError(f"--verify takes a certificate's file alone, without {' and '.join(extra)}.")
        return _verify(verify, read.read_whole(boxes, "number of boxes"), seconds, json)
    if target is None:
        raise InputError("Give a formula to prove something about, or --verify FILE to check a certificate.")
    picture = output.check_output(plot, output.PICTURES, "plot")
    file = output.check_output(save, (".json",), "certificate")
    f = read.read_objective(target, domain, variables, dim)
    settings: dict[str, Any] = {
        "boxes": read.read_whole(boxes, "number of boxes"),
        "seconds": read.read_number(seconds, "number of seconds"),
    }
    with _proving("certifying") as progress:
        from descentlab.certify import certify as run

        certificate = run(f, **settings, recheck=recheck, progress=progress)
    if file is not None:
        certificate.save(file)
    if picture is not None:
        from descentlab.cli.runs import draw

        draw(certificate, picture)
    if json:
        output.print_json(certificate)
    else:
        show_proofs.show_certificate(certificate, picture, file)
    return DONE


def _verify(path: str, boxes: int, seconds: str, json: bool) -> int:
    from descentlab.cli import output, read, show_proofs

    limit = read.read_number(seconds, "number of seconds")
    if boxes < 1 or not limit > 0:
        raise InputError("--boxes and --seconds must be positive.")
    with output.working("reading the certificate") as tell:
        from descentlab.certify.checking.verify import BOXES
        from descentlab.certify.checking.verify import verify as run

        verification = run(path, min(boxes, BOXES) if boxes == 5_000_000 else boxes, limit, tell)
    if json:
        fields = ("path", "verified", "sentence", "claims", "unchecked", "seconds")
        output.print_json({name: getattr(verification, name) for name in fields})
    else:
        show_proofs.show_verification(verification)
    return DONE if verification.verified else FAILED


def minimize(
    target: o.Target,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    boxes: Boxes = "5000000",
    seconds: Annotated[str, _seconds(10)] = "10",
    starts: Starts = None,
    seed: o.Seed = "0",
    json: o.Json = False,
) -> None:
    """Find the lowest point of a box, and prove that it is, where that is possible.

    \b
    descentlab minimize peaks
    descentlab minimize "x^2 + 10*sin(x)" --domain x=-10:10
    """
    _extreme("minimize", **locals())


def maximize(
    target: o.Target,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    boxes: Boxes = "5000000",
    seconds: Annotated[str, _seconds(10)] = "10",
    starts: Starts = None,
    seed: o.Seed = "0",
    json: o.Json = False,
) -> None:
    """Find the highest point of a box, and prove that it is, where that is possible.

    \b
    descentlab maximize peaks
    """
    _extreme("maximize", **locals())


def _extreme(verb: str, *, target: str, json: bool, **given: Any) -> None:
    from descentlab.cli import output, read, show_proofs

    f = read.read_objective(target, given["domain"], given["variables"], given["dim"])
    settings: dict[str, Any] = {
        "starts": None if given["starts"] is None else read.read_whole(given["starts"], "number of starts"),
        "boxes": read.read_whole(given["boxes"], "number of boxes"),
        "seconds": read.read_number(given["seconds"], "number of seconds"),
        "seed": read.read_whole(given["seed"], "seed"),
    }
    with _proving("searching") as progress:
        from descentlab.minimize import maximize as highest
        from descentlab.minimize import minimize as lowest

        found = (lowest if verb == "minimize" else highest)(f, **settings, progress=progress)
    if json:
        names = found.keys()
        output.print_json({name: found[name] for name in names} | _again(found))
        return
    show_proofs.show_minimization(found)


def _again(found: Minimization) -> dict[str, Any]:
    return {
        "certificate": found.certificate,
        "survey": found.survey,
        "command": found.command,
        "python": found.python,
    }


# Progress


class _Watch:
    """Shows how a proof goes on, once it takes long enough; called with boxes examined, waiting, and points found."""

    def __init__(self, doing: str) -> None:
        self.began, self.doing = time.monotonic(), doing
        self.display: Progress | None = None
        self.task: Any = None

    def __call__(self, examined: int, waiting: int, found: int) -> None:
        if time.monotonic() - self.began < QUIET_SECONDS:
            return
        if self.display is None:
            self._start()
        assert self.display is not None
        told = f"{self.doing.capitalize()}: {examined:,} boxes, {waiting:,} left"
        # How many more boxes there will be is not known: those that wait are the least.
        self.display.update(
            self.task,
            description=f"{told}, {found:,} point{'' if found == 1 else 's'}",
            total=examined + waiting,
            completed=examined,
        )

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        self.display = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.display.add_task(self.doing, total=None)
        self.display.start()

    def stop(self) -> None:
        if self.display is not None:
            self.display.stop()


@contextlib.contextmanager
def _proving(doing: str) -> Iterator[_Watch | None]:
    """Show on standard error how a proof goes on, if someone is watching."""
    if not sys.stderr.isatty():
        yield None
        return
    watch = _Watch(doing)
    try:
        yield watch
    finally:
        watch.stop()
