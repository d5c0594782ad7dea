"""One figure: what is right and what is wrong in "in high dimension there might be very few local minima"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.random_landscapes.counts import ExpectedCounts, expected_counts, expected_energies
from descentlab.random_landscapes.landing import Landing, descend_from_random, points_at_energies
from descentlab.random_landscapes.search import StationaryPoints, stationary_points
from descentlab.random_landscapes.spins import p_spin
from descentlab.random_landscapes.theory import (
    ground_state_energy,
    index_fraction,
    minima_complexity,
    threshold_energy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.figures.style import Theme

Array = NDArray[np.float64]

SIZES = (2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80)
# Size → landscapes: larger ones scatter less and cost more.
LANDING_SIZES = {10: 40, 20: 30, 40: 20, 80: 8}


@dataclass(frozen=True, eq=False)
class PictureData:
    """What the picture shows.

    counts: one per size; found: stationary points of one landscape; landings: by size, one per landscape;
    minima_energies: the mean energy of minima of those sizes, by Kac and Rice.
    """

    p: int
    seed: int
    counts: tuple[ExpectedCounts, ...]
    found: StationaryPoints
    landings: dict[int, tuple[Landing, ...]]
    minima_energies: dict[int, float]


def picture(
    p: int = 3, seed: int = 0, size: int = 25, starts: int = 1500, descents: int = 16, theme: str = "light"
) -> Figure:
    """Draw the share and the number of minima by size, index against energy, and where descent lands.

    p ≥ 3; seed: of the first landscape of each size; size, starts: of the landscape whose stationary points
    are shown, and the searches for them; descents: random starts on each of the landscapes of every size.
    Takes 20 s. Raises InputError for other numbers or another theme than light and dark.
    """
    from descentlab.figures import style

    look = style.theme_of(theme)
    return draw(picture_data(p, seed, size, starts, descents), look)


def picture_data(
    p: int = 3, seed: int = 0, size: int = 25, starts: int = 1500, descents: int = 16,
    sizes: Sequence[int] = SIZES, landing_sizes: dict[int, int] | None = None,
) -> PictureData:  # fmt: skip
    """Compute what the picture shows. landing_sizes: how many landscapes of each size to descend on."""
    wanted = LANDING_SIZES if landing_sizes is None else landing_sizes
    landscape = p_spin(size, p, seed)
    # From far below the ground state to far above: starts that are stopped short lie at minima and maxima.
    levels = 1.05 * ground_state_energy(p) * np.linspace(-1, 1, starts)
    landings = {
        n: tuple(
            descend_from_random(p_spin(n, p, seed + i), starts=descents, seed=seed + i) for i in range(count)
        )
        for n, count in wanted.items()
    }
    return PictureData(
        p,
        seed,
        tuple(expected_counts(n, p) for n in sizes),
        stationary_points(landscape, points_at_energies(landscape, levels, seed)),
        landings,
        {n: float(expected_energies(n, p)[0]) for n in wanted},
    )


def draw(data: PictureData, theme: Theme) -> Figure:
    """Draw the data."""
    from descentlab.figures import style

    figure = style.new_figure(10.6, 7.6, theme)
    (share, index), (number, landing) = figure.subplots(2, 2, width_ratios=[1.0, 1.25])
    share.sharex(number)
    _draw_share(share, data, theme)
    _draw_number(number, data, theme)
    _draw_index(index, data, theme)
    _draw_landings(landing, data, theme)
    figure.align_ylabels()
    figure.get_layout_engine().set(wspace=0.05)  # type: ignore[union-attr, call-arg]
    return style.finish(
        figure, theme, '“Very few local minima” in high dimension: right of the share, wrong of the number',
        _caption(data),
    )  # fmt: skip


def _draw_share(axes: Axes, data: PictureData, theme: Theme) -> None:
    from descentlab.figures import style

    style.set_up(
        axes, theme, "", "share that are minima", "The share of stationary points that are minima falls …"
    )
    sizes = [c.size for c in data.counts]
    axes.semilogy(sizes, [c.share for c in data.counts], "o-", color=style.BLUE, markersize=4, linewidth=1.2)
    last = data.counts[-1]
    _note(
        axes, theme, f"{_scientific(last.share)} at N = {last.size}", last.size, last.share, (-8, -4), "right"
    )
    axes.set_ylim(bottom=last.share / 10)  # room for the note
    axes.tick_params(labelbottom=False)


def _draw_number(axes: Axes, data: PictureData, theme: Theme) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    from descentlab.figures import style

    style.set_up(
        axes, theme, "dimension N", "expected number of minima", "… while their number grows exponentially"
    )
    sizes = np.array([c.size for c in data.counts])
    minima = np.array([c.minima for c in data.counts])
    axes.semilogy(sizes, minima, "o-", color=style.GREEN, markersize=4, linewidth=1.2)
    _note(axes, theme, f"{minima[-1]:.0f} at N = {sizes[-1]}", sizes[-1], minima[-1], (-10, 2), "right")
    # The slope is approached from above: the exponent also has a term of the order of √N.
    rate = float(minima_complexity(0.0, data.p))
    reach = np.linspace(0.5, 1.0, 2) * sizes[-1]
    guide = minima[-1] / 3 * np.exp(rate * (reach - sizes[-1]))
    axes.semilogy(reach, guide, "--", color=theme.muted, linewidth=1.2)
    words = f"slope as N → ∞: exp({rate:.4f} N)"
    _note(axes, theme, words, sizes[-1], guide[0], (0, -8), "right", theme.muted)
    ticks = [
        t * 10**k for k in range(7) for t in (1, 2, 5) if minima.min() / 2 <= t * 10**k <= 2 * minima[-1]
    ]
    if len(ticks) <= 9:  # at p = 3 the axis spans two decades, which powers of ten alone would leave bare
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw_index(axes: Axes, data: PictureData, theme: Theme) -> None:
    from descentlab.figures import style

    found, p, edge = data.found, data.p, threshold_energy(data.p)
    d = found.landscape.dimension
    title = f"Index follows energy: {len(found.points):,} stationary points at N = {found.landscape.size}"
    style.set_up(axes, theme, "energy per N", "share of directions that go down", title)
    kinds = {"minimum": found.indices == 0, "maximum": found.indices == d}
    kinds = {"saddle": ~(kinds["minimum"] | kinds["maximum"]), **kinds}
    handles: list[Any] = []
    for kind, rows in kinds.items():
        colour, shape = style.OUTCOMES[kind]
        shape, size = ("o", 9) if kind == "saddle" else (shape, 34)
        handles.append(
            axes.scatter(
                found.energies[rows], found.index_fractions[rows], s=size, marker=shape, color=colour,
                alpha=0.55 if kind == "saddle" else 0.9, linewidths=0, label=kind,
            )
        )  # fmt: skip
    e = np.linspace(-1.12 * edge, 1.12 * edge, 500)
    handles += axes.plot(
        e, index_fraction(e, p), color=theme.ink, linewidth=1.4, label="theory, nothing fitted"
    )
    axes.legend(handles=handles, loc="lower right", fontsize=style.SMALL, labelcolor=theme.ink, frameon=False)
    axes.set_xlim(-1.12 * edge, 1.12 * edge)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")


def _draw_landings(axes: Axes, data: PictureData, theme: Theme) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator

    from descentlab.figures import style

    title = "Descent lands near the threshold, not at the ground state"
    style.set_up(axes, theme, r"dimension N, drawn at $N^{-2/3}$", "energy per N", title)
    handles = _draw_energies(axes, data)
    edge, ground = -threshold_energy(data.p), -ground_state_energy(data.p)
    for level, words, line in ((edge, "threshold −E∞", ":"), (ground, "ground state −E₀", "-")):
        words = f"{words} = {level:.3f}".replace("-", "−")
        handles.append(axes.axhline(level, color=theme.ink, linewidth=1.1, linestyle=line, label=words))
    sizes = list(data.landings)
    axes.set_xlim(_place(min(sizes)) * 1.12, 0.003)
    axes.xaxis.set_major_locator(FixedLocator([*(_place(n) for n in sizes), 0.0]))
    axes.xaxis.set_major_formatter(FixedFormatter([*map(str, sizes), "∞"]))
    axes.legend(handles=handles, loc="upper right", fontsize=style.SMALL, labelcolor=theme.ink, frameon=False)


def _draw_energies(axes: Axes, data: PictureData) -> list[Any]:
    """Draw where descents landed and where minima are, and return what goes into the legend."""
    from descentlab.figures import style

    looks: dict[str, Any] = {"color": style.SKY, "linestyle": "none", "marker": "o", "markeredgewidth": 0}
    means = {}
    for n, runs in data.landings.items():
        reached = np.concatenate([run.energies[run.minimum] for run in runs])
        means[n] = reached.mean()
        # Spread out sideways evenly, in an order that has nothing to do with the energies.
        aside = (np.arange(len(reached)) * 0.618 % 1 - 0.5) * 0.012
        axes.plot(_place(n) + aside, reached, markersize=2.6, alpha=0.45, **looks)
    places = [_place(n) for n in means]
    return [
        *axes.plot([], [], markersize=4, label="where one descent lands", **looks),
        *axes.plot(
            places, list(means.values()), "D-", color=style.BLUE, markersize=5, linewidth=1.2, label="their mean"
        ),
        *axes.plot(
            places, [data.minima_energies[n] for n in means], "*--", color=style.GREEN, markersize=8,
            linewidth=1.1, label="mean of all minima (Kac–Rice)",
        ),
    ]  # fmt: skip


def _place(size: int) -> float:
    """Return where a size is drawn: the lowest eigenvalue approaches its limit as N^(−2/3), and so do these."""
    return -1.0 / math.pow(size, 2 / 3)


def _note(
    axes: Axes, theme: Theme, text: str, x: float, y: float, shift: tuple[float, float], side: str,
    colour: str = "",
) -> None:  # fmt: skip
    axes.annotate(
        text, (x, y), shift, textcoords="offset points", fontsize=8, color=colour or theme.ink, ha=side,
        va="center",
    )  # fmt: skip


def _scientific(value: float) -> str:
    digits, power = f"{value:.1e}".split("e")
    return rf"${digits} \times 10^{{{int(power)}}}$"


def _caption(data: PictureData) -> list[str]:
    found, last = data.found, data.counts[-1]
    runs = [run for some in data.landings.values() for run in some]
    landed, starts = sum(int(r.minimum.sum()) for r in runs), sum(len(r.minimum) for r in runs)
    minima = int(found.by_index[0])
    many = ", ".join(f"{len(some)} at N = {n}" for n, some in data.landings.items())
    return [
        f"Spherical p-spin model, p = {data.p}, energies per N",
        f"Left: exact expectations by Kac and Rice; at N = {last.size} there are {_plain(last.total)} stationary "
        f"points and {last.minima:.0f} minima",
        f"Upper right: landscape seed {data.seed}, {found.starts:,} searches by Levenberg–Marquardt from points of "
        f"all energies, each point found (and its mirror image) polished and checked by Kantorovich's condition "
        f"in floating point; {minima} minima; index k of N is drawn at (k + ½)/N",
        f"Lower right: gradient descent from {len(runs[0].minimum)} random starts on each of the landscapes "
        f"({many}; seeds from {data.seed}), learning rate {runs[0].learning_rate:.3f}: {landed:,} of {starts:,} landed "
        f"in a minimum by the Hessian",
    ]


def _plain(value: float) -> str:
    if value < 1e6:
        return f"{value:,.0f}"
    digits, power = f"{value:.1e}".split("e+")
    return f"{digits} × 10" + str(int(power)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
