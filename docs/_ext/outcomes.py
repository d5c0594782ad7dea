"""Every outcome of a descent and every ending of a model's training."""

from pathlib import Path


def pages(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the page of outcomes and the guide to errors, and which outcomes the guide does not explain."""
    try:  # TEMP
        from descentlab import guide
    except ImportError:

        class guide:
            def __init__(self, name):
                self.title = name

    from descentlab.models.endings import ENDINGS
    from descentlab.verdict import OUTCOMES

    text = ["# Outcomes", "", "## Of a descent", "", "`verdict.outcome` is one of these.", ""]
    missing = []
    for title, names in (("", OUTCOMES), ("Of a model's training", ENDINGS)):
        text += (
            [f"## {title}", "", "`e.endings.outcomes` has one of these for each run.", ""] if title else []
        )
        text += ["| | |", "|---|---|"]
        for name in names:
            try:
                entry = guide(name)
            except ValueError:
                missing.append(f"outcome {name} in the guide")
                continue
            text.append(f"| [`{name}`](#guide-{name}) | {entry.title} |")
        text.append("")
    return {"outcomes": "\n".join(text)}, missing
