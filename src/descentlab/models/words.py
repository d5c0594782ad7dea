"""What an ensemble says, in plain sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from descentlab.models.levels import is_clear
from descentlab.models.metrics import name_of
from descentlab.wording import short

if TYPE_CHECKING:
    from descentlab.models.ensemble import Ensemble

# As for surveys: "no problem" from this share of runs on.
NO_PROBLEM = 0.95
# Losses that come to zero only as outputs grow without end.
ENDLESS = (
    "crossentropy", "nll", "bce", "binarycrossentropy", "bcewithlogits", "binarycrossentropywithlogits", "softmargin",
)  # fmt: skip


NAME_SOLVED = "name with 'solved' the loss that is good enough for you"


def percent(share: float) -> str:
    """Write a share in percent, with what digits it has.

    >>> percent(0.453), percent(1.0), percent(0.0004)
    ('45.3 %', '100 %', '0.04 %')
    """
    return f"{100 * share:.3g} %"


def sentence_of(e: Ensemble) -> str:
    """Say how many runs solve the problem, where the others are, and which number of restarts that makes.

    Once endings are judged, say too where stalling is what is to be expected.
    """
    said = [_found(e), _blurred(e) or _serious(e), _endless(e), _broken(e)]
    return " ".join(part for part in said if part)


def _found(e: Ensemble) -> str:
    if not e.levels:
        return f"All {e.runs:,} runs diverged: take a smaller learning rate."
    low, high = e.share_interval
    interval = f"(95 % interval {percent(low)} to {percent(high)})"
    if e.solved is None:
        what = f"come to the lowest loss found, {short(e.levels[0].loss)}"
    else:
        what = f"reach a loss of {short(e.solved)} or less"
    return f"{percent(e.share_solved)} of {e.runs:,} runs {what} {interval}."


def _blurred(e: Ensemble) -> str:
    """Say where the lowest level is none, because losses run on from it: no number of restarts follows from that."""
    if e.solved is not None or not e.levels or is_clear(e.final_losses, e.level_of, e.fallen):
        return ""
    return f"But losses run on from there without a clear gap: {NAME_SOLVED}."


def _serious(e: Ensemble) -> str:
    if not e.levels:
        return ""
    share, restarts = e.share_solved, e.restarts_for(0.95)
    if restarts is None:
        return "Restarting does not help here; try a wider model, other steps or another learning rate."
    if share >= NO_PROBLEM:
        return "Where training begins hardly matters: don't worry about local minima here."
    most = e.restarts_interval(0.95)[1]
    upto = "" if most is None or most == restarts else f" (at most {most})"
    others = [
        level for level in e.levels if level.loss > (e.solved if e.solved is not None else e.levels[0].loss)
    ]
    stuck = ", ".join(f"{short(level.loss)} ({percent(level.share)})" for level in others[:4])
    where = f" The others end at {stuck}{', …' if len(others) > 4 else ''}." if others else ""
    return f"Retrain {restarts} times and keep the best: one succeeds with 95 %{upto}.{where}"


def _endless(e: Ensemble) -> str:
    """Say why runs that classify every sample stall (Soudry et al. 2018)."""
    loss = e.problem.torch_loss
    if (
        "endings" not in e.__dict__
        or e.data is None
        or name_of(loss) not in ENDLESS
        or getattr(loss, "label_smoothing", 0.0) > 0
        or not np.isin(e.data.targets % 1, 0).all()  # with shares as targets the loss has a minimum
    ):
        return ""
    count = int(((e.endings.outcomes == "stalling") & (e.metrics["accuracy"] == 1)).sum())
    if not count:
        return ""
    return (
        f"{count:,} of {e.runs:,} runs {'classifies' if count == 1 else 'classify'} every training sample: the loss "
        "then has no minimum, but falls for ever as the weights grow. That is no local minimum."
    )


def _broken(e: Ensemble) -> str:
    broken = int(e.diverged.sum())
    return f"{broken:,} diverged." if broken and e.levels else ""
