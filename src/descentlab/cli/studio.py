"""`descentlab studio`: the live page."""

from __future__ import annotations

import functools
from typing import Annotated

import typer

from descentlab.cli import options as o

MAIN = "cos(2*pi*x) + x**2"


def studio(
    target: o.OptionalTarget = MAIN,
    domain: o.Domains = None,
    variables: o.Variables = None,
    dim: o.Dim = None,
    port: Annotated[
        int,
        typer.Option(
            "--port", help="The port to listen on; 0 takes a free one.", min=0, max=65535, metavar="N"
        ),
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the page in the browser.", metavar=" ")
    ] = False,
) -> None:
    """Play with descent on a live page, served on this machine alone.

    Type any formula, drop and drag starts, race optimizers, step forward and back, see why each descent ended and
    apply what would help; basin maps, surveys and proofs beside it. Ctrl-C ends it.

    \\b
    descentlab studio
    descentlab studio peaks
    descentlab studio "x^4 - 3x^2 + y^2" --domain x=-2:2 --domain y=-2:2
    """
    from descentlab.cli.read import read_objective
    from descentlab.studio.server import serve

    if target == MAIN and not domain:
        domain = ["x=-2:2"]
    own = functools.partial(read_objective, target, domain, variables, dim)
    own()  # what cannot be read is said here, before anything is served

    def announce(address: str) -> None:
        print(f"The studio is open at {address}", flush=True)
        print("The address works once, in one browser. Ctrl-C ends the studio.", flush=True)
        if not no_browser:
            import webbrowser

            webbrowser.open(address)

    serve(own, port, announce)
