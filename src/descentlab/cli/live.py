"""Watching a survey at a terminal, and stopping it by Ctrl-C without losing what was done."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from descentlab.wording import short

if TYPE_CHECKING:
    from rich.console import RenderableType

    from descentlab.survey import Snapshot

WIDTH = 78


class SurveyView:
    """What a survey has done so far. Call it with a `Snapshot` after every chunk of starts."""

    def __init__(self, until: str | None = None) -> None:
        self.seen: Snapshot | None = None
        self.until = until
        self.stopping = False
        self.began = time.monotonic()

    def __call__(self, seen: Snapshot) -> None:
        self.seen = seen
        if self.stopping and seen.starts < seen.total:
            raise KeyboardInterrupt

    def lines(self) -> list[str]:
        """Return what is shown below the bar."""
        seen = self.seen
        if seen is None:
            return [self._ending() or "The first starts are on their way."]
        counts = f"{seen.starts:,} of {seen.total:,} starts"
        if seen.fresh and seen.seconds > 0:
            counts += f", {_rounded(seen.fresh / seen.seconds)} a second"
        if not seen.minima:
            found = "no minimum yet"
        else:
            found = (
                f"{seen.minima:,} minim{'um' if seen.minima == 1 else 'a'}, the lowest {short(seen.best or 0.0)}; "
                f"at most {share(seen.unseen_most)} of starts lead to others"
            )
        until = f"until {self.until}" if self.until else ""
        return [line for line in (counts, found, until, self._ending()) if line]

    def _ending(self) -> str:
        return "Stopping after the starts under way; Ctrl-C again stops at once." if self.stopping else ""

    def times(self) -> str:
        """Return the time that has passed, and about what is left."""
        passed = clock(time.monotonic() - self.began)
        seen = self.seen
        if seen is None or not seen.fresh or self.until:
            return passed
        return f"{passed}, about {clock((seen.total - seen.starts) * seen.seconds / seen.fresh)} left"

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        seen = self.seen
        done = 0 if seen is None else seen.starts
        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column(no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True, justify="right")
        bar = ProgressBar(total=None if seen is None else seen.total, completed=done, pulse=seen is None)
        percent = "" if seen is None else f" {100 * done / seen.total:3.0f} %"
        head.add_row(Text(f"Surveying{percent}", style="bold"), bar, Text(self.times(), style="dim"))
        return Group(head, *(Text(f"  {line}", overflow="ellipsis", no_wrap=True) for line in self.lines()))


@contextlib.contextmanager
def surveying(until: str | None = None) -> Iterator[SurveyView]:
    """Show a survey's progress on standard error if it is a terminal.

    The first Ctrl-C ends the survey once the starts under way are done, a second one at once.
    """
    view = SurveyView(until)
    with _gentle_interrupts(view):
        if not sys.stderr.isatty():
            yield view
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        if console.width > WIDTH:
            console.width = WIDTH
        with Live(view, console=console, transient=True, refresh_per_second=8):
            yield view


@contextlib.contextmanager
def _gentle_interrupts(view: SurveyView) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: Any) -> None:
        if view.stopping:
            raise KeyboardInterrupt
        view.stopping = True
        if not sys.stderr.isatty():
            print(view.lines()[-1], file=sys.stderr)

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def clock(seconds: float) -> str:
    """Write a time: minutes and seconds, from an hour on with hours.

    >>> clock(75), clock(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def share(number: float) -> str:
    """Write a share with two digits.

    >>> share(0.000123), share(0.2), share(1e-7)
    ('0.012 %', '20 %', '0.0001 %')
    """
    return f"{float(f'{100 * max(number, 1e-6):.2g}'):.12g} %"


def _rounded(rate: float) -> str:
    """Write a rate with three digits: 34,200."""
    return f"{float(f'{rate:.3g}'):,.0f}" if rate >= 100 else f"{rate:.3g}"
