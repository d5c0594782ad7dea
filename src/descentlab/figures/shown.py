"""The figure the lab draws on: matplotlib's, which also shows itself in a notebook."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that a notebook shows without pyplot: as HTML in the page's colours, as PNG where HTML is not shown."""

    def _repr_html_(self) -> str:
        from descentlab.figures.output import figure_html

        return figure_html(self)

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        self.savefig(data, format="png", facecolor=self.get_facecolor())
        return data.getvalue()
