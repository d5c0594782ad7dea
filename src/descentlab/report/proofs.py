"""What is proved, for the report: the certified minima with the survey's shares, and how to check them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from descentlab.certify import words
from descentlab.report.words import percent, tidy
from descentlab.survey import Survey

if TYPE_CHECKING:
    from descentlab.survey.proof import Matching, Reached

MOST_ROWS = 20


def proof(survey: Survey) -> dict[str, Any]:
    """Return what the report says of the proof: the sentence, and where there is a certificate the rows of certified
    minima, how many more there are, its facts, what it assumes, and the commands that check it."""
    matching = survey.matched
    rows = [_row(survey, matching, r) for r in matching.minima] if matching and matching.finished else []
    # Those that no start reached are worth more room than the rest.
    shown = rows[:MOST_ROWS] + [row for row in rows[MOST_ROWS:] if row["missed"]][:MOST_ROWS]
    return {
        "sentence": survey.proof,
        "rows": shown,
        "more": len(rows) - len(shown),
        "facts": _facts(matching) if matching else [],
        "assumptions": matching.certificate.assumptions if matching else (),
        "commands": _commands(survey) if matching else [],
        "all_found": matching is not None and matching.all_found,
    }


def _row(survey: Survey, matching: Matching, r: Reached) -> dict[str, Any]:
    p, lowest = r.point, matching.certificate.lowest
    low, high = p.value_interval
    return {
        "point": tidy(survey, p),
        "value": 0.0 if low <= 0 <= high else p.value,
        "kind": " ".join(
            text
            for text in ("at the box’s edge" * p.on_boundary, "kind not settled" * (p.kind == "unknown"))
            if text
        ),
        "width": float((p.box[:, 1] - p.box[:, 0]).max()),
        "missed": not r.found_by,
        "share": percent(r.share) if r.found_by else "no start",
        "bar": round(100 * r.share, 2),
        "numbers": ", ".join(str(i + 1) for i in r.found_by),
        "best": lowest.proved and any(p is q for q in lowest.minimizers),
    }


def _facts(matching: Matching) -> list[str]:
    """Return the certificate's sentences, those that there are."""
    c = matching.certificate
    low, high = c.lowest.interval
    narrow = f"The lowest value lies in [{low!r}, {high!r}]." if c.lowest.proved else ""
    said = (
        words.inside(c),
        words.on_edge(c),
        words.undecided(c.undecided),
        words.lowest(c),
        narrow,
        words.turns(c),
        f"The proof examined {c.boxes:,} boxes in {c.seconds:.2g} s.",
    )
    return [text for text in said if text]


def _commands(survey: Survey) -> list[str]:
    """Return the commands that write the certificate and check it, none for what no command can say."""
    assert survey.certificate is not None
    command = survey.certificate.command
    if not command:
        return []
    return [f"{command} --save certificate.json", "descentlab certify --verify certificate.json"]
