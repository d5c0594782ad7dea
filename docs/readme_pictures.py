"""Draw the README's pictures, each from the lab: `make pictures`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import descentlab as dl

FOLDER = Path(__file__).parent / "pictures"
COSINE = dl.formula("cos(2*pi*x) + x^2", domain={"x": (-2, 2)})
PARABOLA = dl.formula("3x^2 - 3x + 4", domain={"x": (-2, 2)})
SADDLE = dl.formula("x^2/2 + y^4/4 - y^2/2", domain={"x": (-1.5, 1.5), "y": (-1.5, 1.5)})
PEAKS = dl.landscape("peaks")


def remedies() -> Figure:
    """Draw which remedy pays for XOR."""
    import runpy

    xor = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "xor.py"))["xor"]
    given = {key: xor[key] for key in ("loss", "data", "learning_rate", "solved")}
    return dl.models.widen(xor["build"], widths=(2, 3, 4, 8), runs=500, steps=2000, **given).plot()


PICTURES: dict[str, Callable[[], Figure]] = {
    "01-derivatives": lambda: PARABOLA.plot(),
    "02-gradient-descent": lambda: dl.descend(PARABOLA, start=[-1.6], learning_rate=0.03, steps=100).plot(),
    "03-learning-rates": lambda: dl.sweep(
        dl.formula("sin(x) * exp(-x^2/20)", domain={"x": (-6.28, 6.28)}),
        start=[0.5],
        learning_rate=np.geomspace(0.001, 1, 40),
        steps=np.arange(10, 500, 20),
    ).plot(),
    "04-unfortunate-start": lambda: dl.descend(COSINE, start=[[0.0], [0.001]]).plot(),
    "05-two-dimensions": lambda: dl.descend(
        PEAKS, start=[[0, 1.4], [-0.6, 0.4], [0.4, -0.6], [-2, 1]], learning_rate=0.01
    ).plot(),
    "06-ascent": lambda: dl.ascend(PEAKS, start=[[0, 1.4], [-1, -0.3], [1, -0.8]], learning_rate=0.01).plot("surface"),
    "07-local-minima": lambda: dl.survey(COSINE, starts=1000).plot("minima"),
    "08-minimum-in-all-dimensions": lambda: dl.descend(
        SADDLE, start=[[1.2, 0.0], [1.2, 1e-3], [-1.2, -1e-6]], learning_rate=0.1
    ).plot(),
    "09-remedies-on-networks": remedies,
    "10-optimizers-raced": lambda: dl.basin_strip(
        PEAKS, optimizer=["gd", "momentum", "adam"], learning_rate=0.06, resolution=160, steps=2000
    ).plot(),
}  # fmt: skip


def draw() -> None:
    """Draw them all."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in PICTURES.items():
        figure = make()
        figure.savefig(FOLDER / f"{name}.png", dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    draw()
