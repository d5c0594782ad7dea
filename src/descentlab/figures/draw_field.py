"""Draw functions of two variables as heat maps with contours, and of more as slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.figures import captions, style
from descentlab.figures.draw_line import draw_ends, end_words
from descentlab.figures.fields import Field, Slices, read_pair, sample_field, sample_slices
from descentlab.figures.results import short, tick, where
from descentlab.figures.style import Theme
from descentlab.figures.tracks import Tracks, pieces, plane_tracks
from descentlab.objective import Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.certify import Certificate
    from descentlab.descent import Descent

Array = NDArray[np.float64]
# A kind of stationary point and where it is.
Mark = tuple[str, Sequence[float]]


def draw_heat_map(f: Objective, heights: str, marks: Sequence[Mark], theme: Theme) -> Figure:
    """Draw f of two variables over its box."""
    field = sample_field(f, heights)
    figure, axes = field_figure(field, theme)
    handles = draw_marks(axes, marks)
    if handles:
        style.legend(axes, theme, handles)
    return style.finish(
        figure,
        theme,
        style.title_text(f, figure.get_figwidth()),
        [captions.problem(f), *captions.field_notes(field)],
        f.label,
    )


def draw_on_plane(run: Descent, heights: str, theme: Theme, certificate: Certificate | None = None) -> Figure:
    """Draw a 2-D descent on the heat map."""
    from descentlab.figures.draw_certificates import draw_points

    tracks = plane_tracks(run)
    field = sample_field(run.objective, heights, tracks.view)
    figure, axes = field_figure(field, theme)
    draw_paths(axes, tracks)
    handles = draw_ends(axes, tracks, theme, end_words(run), fixed=True)
    if certificate is not None:
        handles += draw_points(axes, certificate, theme, 0.7, proved=True)
    style.legend(axes, theme, handles, 3 if certificate is None else 2)
    notes = [
        captions.problem(run.objective),
        captions.method(run),
        *captions.field_notes(field),
        *captions.track_notes(tracks),
        "" if certificate is None else captions.PROVED,
    ]
    return style.finish(
        figure, theme, style.title_text(run.objective, figure.get_figwidth()), notes, run.objective.label
    )


def field_figure(field: Field, theme: Theme) -> tuple[Figure, Axes]:
    """Return a figure with one heat map and its colour bar."""
    figure = style.new_figure(6.6, 5.6, theme)
    axes = figure.subplots()
    draw_field(figure, axes, field, theme)
    return figure, axes


def draw_field(figure: Figure, axes: Axes, field: Field, theme: Theme, bar: bool = True) -> Any:
    """Draw heights as colours with contours, the box where the view is wider, and a colour bar."""
    import matplotlib

    style.set_up(axes, theme, style.name_text(field.names[0]), style.name_text(field.names[1]), grid=False)
    (left, right), (bottom, top) = field.view
    # Places without a finite value show this grey and no contour.
    axes.set_facecolor(style.GREY)
    colours = matplotlib.colormaps["cividis"].with_extremes(bad=(0, 0, 0, 0))
    heights = np.ma.masked_invalid(field.heights)
    image = axes.imshow(
        heights,
        origin="lower",
        extent=(left, right, bottom, top),
        aspect="auto",
        interpolation="bilinear",
        cmap=colours,
        vmin=0.0,
        vmax=1.0,
        zorder=0,
    )
    if field.scale.high > field.scale.low and heights.count():
        axes.contour(
            field.x,
            field.y,
            heights,
            levels=np.linspace(0.0, 1.0, 15)[1:-1].tolist(),
            colors="#ffffff",
            linewidths=0.5,
            alpha=0.45,
            zorder=1,
        )
    box = field.box
    if box[0, 0] > left or box[0, 1] < right or box[1, 0] > bottom or box[1, 1] < top:
        axes.plot(
            box[0, [0, 1, 1, 0, 0]],
            box[1, [0, 0, 1, 1, 0]],
            color="#ffffff",
            linewidth=1.0,
            linestyle=(0, (4, 3)),
            zorder=2,
        )
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    if bar:
        draw_height_bar(figure, axes, image, field, theme)
    return image


def draw_height_bar(
    figure: Figure, axes: Any, image: Any, field: Field, theme: Theme, label: str = "$f$"
) -> None:
    """Add a colour bar whose ticks are values of f, whatever the scale of heights."""
    scale = field.scale
    ticks = np.linspace(0.0, 1.0, 6) if scale.high > scale.low else np.array([0.5])
    if scale.kind == "linear" and scale.high > scale.low:
        from matplotlib.ticker import MaxNLocator

        values = np.asarray(MaxNLocator(6).tick_values(scale.low, scale.high))
        values = values[(values >= scale.low) & (values <= scale.high)]
        ticks = scale.heights(values) if len(values) > 1 else ticks
    bar = style.colorbar(figure, image, axes, theme, label, ticks)
    bar.set_ticks(ticks, labels=[tick(v, 1e-9 * (scale.high - scale.low)) for v in scale.values(ticks)])


def draw_paths(axes: Axes, tracks: Tracks) -> None:
    """Draw paths in white with a dark rim, and the points while they can be told apart."""
    from matplotlib.collections import LineCollection

    low, high = tracks.view.T
    few = len(tracks.paths) <= 3
    for path in tracks.paths:
        lines, _ = pieces(path.points, path.next_points, tracks.view)
        for colour, width in (("#000000", 2.6 if few else 1.5), ("#ffffff", 1.2 if few else 0.7)):
            axes.add_collection(
                LineCollection(list(lines), colors=colour, linewidths=width, capstyle="round", zorder=3),
                autolim=False,
            )
        seen = path.points[np.all((path.points >= low) & (path.points <= high), axis=1)]
        if few and len(seen) <= 150:
            axes.plot(
                *seen.T,
                "o",
                markersize=3,
                markerfacecolor="#ffffff",
                markeredgecolor="#000000",
                markeredgewidth=0.5,
                zorder=4,
            )


def draw_marks(axes: Axes, marks: Sequence[Mark]) -> list[Any]:
    """Draw stationary points by kind, each kind once in the legend."""
    handles = []
    for kind in dict.fromkeys(kind for kind, _ in marks):
        points = np.array([point for name, point in marks if name == kind], float)
        colour, shape = style.OUTCOMES.get(kind, (style.GREY, "o"))
        few = len(points) <= 40
        axes.plot(
            *points.T[:2],
            linestyle="none",
            marker=shape,
            markersize=(12 if shape == "*" else 8) if few else 6,
            markerfacecolor=colour,
            markeredgecolor="#000000",
            markeredgewidth=0.7,
            zorder=6,
            clip_on=False,
        )
        handles.append(style.mark(kind, f"{style.words(kind)} ({len(points)})"))
    return handles


def draw_slices_of(run: Descent, variables: tuple[str, str] | None, heights: str, theme: Theme) -> Figure:
    """Draw slices through the best end of a run, the first one if none is finite."""
    ends = run.objective.value(run.ends) * (-1.0 if run.ascent else 1.0)
    best = int(np.argmin(np.where(np.isfinite(ends), ends, np.inf)))
    which = "the end" if len(ends) == 1 else f"the best of {len(ends):,} ends"
    return draw_slices(run.objective, run.ends[best], variables, heights, theme, captions.method(run), which)


def draw_slices(
    f: Objective,
    point: Array,
    variables: tuple[str, str] | None,
    heights: str,
    theme: Theme,
    method: str = "",
    what: str = "the point",
) -> Figure:
    """Draw f along every coordinate through a point, and over two of them."""
    slices = sample_slices(f, point)
    count = len(slices.lines)
    columns = 1 if count <= 2 else 2 if count <= 6 else 3
    rows = -(-count // columns)
    plane = f.dim > 1
    width = 2.1 * columns + (4.6 if plane else 2.5)
    figure = style.new_figure(width, max(4.2, 1.45 * rows + 1.3), theme)
    parts: Any = figure.subfigures(1, 2, width_ratios=[2.1 * columns, 4.6]) if plane else (figure, None)
    left, right = parts
    for part in (left, right):
        if part is not None:
            part.set_facecolor(theme.paper)
    _draw_slice_lines(left, f, slices, (rows, columns), theme)
    notes = [captions.problem(f), method]
    if right is not None:
        pair = read_pair(f, variables, slices.point)
        field = sample_field(f, heights, pair=pair, point=slices.point)
        axes = right.subplots()
        draw_field(right, axes, field, theme)
        axes.plot(
            *slices.point[list(pair)],
            "P",
            markersize=10,
            markerfacecolor=style.VERMILION,
            markeredgecolor="#ffffff",
            markeredgewidth=1.0,
            zorder=6,
            clip_on=True,
        )
        notes += captions.field_notes(field)
    if f.dim > 2:
        notes.append(
            f"A landscape of {f.dim} variables cannot be seen whole: these are slices through {what} "
            f"{where(slices.point)}, where f = {short(slices.value)}, the other variables held still"
        )
    if slices.left_out:
        notes.append(f"The {count} variables of largest curvature are shown, {slices.left_out} are not")
    return style.finish(figure, theme, style.title_text(f, width), notes, f.label)


def _draw_slice_lines(
    figure: Any, f: Objective, slices: Slices, shape: tuple[int, int], theme: Theme
) -> None:
    grid = figure.subplots(*shape, squeeze=False, sharey=True)
    for axes in grid.flat[len(slices.lines) :]:
        axes.set_visible(False)
    for axes, line, i in zip(grid.flat, slices.lines, slices.indices, strict=False):
        first = axes.get_subplotspec().is_first_col()
        style.set_up(axes, theme, style.name_text(f.names[i]), "$f$" if first else "")
        axes.plot(line.x, line.y, color=style.BLUE, linewidth=1.5)
        axes.axvline(slices.point[i], color=style.VERMILION, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.plot(
            slices.point[i],
            slices.value,
            "P",
            markersize=7,
            color=style.VERMILION,
            markeredgecolor=theme.paper,
            markeredgewidth=0.6,
        )
        axes.set_xlim(*f.domain[i])
        axes.set_ylim(*slices.limits)
        axes.xaxis.labelpad = 1
