"""What counts of starts say: shares with intervals, the unseen share, restarts needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

CONFIDENCE = 0.95


def wilson(hits: int, starts: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the Wilson score interval of a share (Wilson 1927).

    >>> [round(end, 4) for end in wilson(10, 100)]
    [0.0552, 0.1744]
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = hits / starts, z * z / starts
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / starts + spread / (4 * starts)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def unseen_share(hits: Sequence[int], starts: int) -> float:
    """Return Good and Turing's estimate of the share of starts that lead to minima not yet seen:
    the number of minima hit exactly once, over the starts (Good 1953).

    >>> unseen_share([90, 8, 1, 1], 100)
    0.02
    """
    return sum(1 for h in hits if h == 1) / starts


def restarts_needed(share: float, confidence: float) -> int | None:
    """Return n with 1 − (1 − share)ⁿ ≥ confidence, None where no start succeeds.

    >>> restarts_needed(0.5, 0.95)
    5
    """
    if share <= 0:
        return None
    if share >= 1:
        return 1
    return math.ceil(math.log1p(-confidence) / math.log1p(-share))


# TEMPORARY by the lead, to be replaced by the statistics helper:
def chance_all_seen(found: int, starts: int) -> float:
    i = [1]
    return math.prod(((starts - 1 - i) / (starts - 1 + i) for i in range(1, found + 1))) if starts > found + 1 else 0.0


def unseen_interval(hits: Sequence[int], starts: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    n1 = sum(1 for h in hits if h == 1)
    return (0.0, min(1.0, (n1 + 3 + 2 * math.sqrt(n1)) / starts))
