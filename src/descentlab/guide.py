"""The student's guide: what an outcome or a message means, why it happens, and what to do."""

from __future__ import annotations

import html
from dataclasses import dataclass

from descentlab.errors import unknown
from descentlab.topics import Topic, topics


@dataclass(frozen=True)
class GuideEntry(Topic):
    """One entry of the guide. example: code that leads to it; picture: code of a figure, "" for errors.

    messages: regular expressions of the messages it explains, () for an outcome.
    """

    def __str__(self) -> str:
        parts = self.title, f"Why: {self.cause}", f"What to do: {self.remedy}", f"Example:\n{self.example}"
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        title, cause, remedy, example = (
            html.escape(text) for text in (self.title, self.cause, self.remedy, self.example)
        )
        return f"<h4>{title}</h4><p><b>Why.</b> {cause}</p><p><b>What to do.</b> {remedy}</p><pre>{example}</pre>"


class Guide(dict[str, GuideEntry]):
    """All entries by name; prints as a list of names and titles."""

    def __str__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{name:{width}}  {entry.title}" for name, entry in self.items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{name}</code></td><td>{html.escape(entry.title)}</td></tr>"
            for name, entry in self.items()
        )
        return f"<table>{rows}</table>"


def guide(name: str | None = None) -> GuideEntry | Guide:
    """Return what the guide says of an outcome or an error, or all entries.

    name: an outcome such as "saddle", or what an error's last line names. Raises InputError for another name.

    >>> guide("saddle").title
    'A saddle point: the gradient is zero, and some directions lead down'
    """
    entries = Guide({key: GuideEntry(**vars(topic)) for key, topic in topics().items()})
    if name is None:
        return entries
    if name not in entries:
        raise unknown("entry of the guide", str(name), entries, "'descentlab guide' lists them all.")
    return entries[name]
