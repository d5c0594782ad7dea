"""Animate a descent: the landscape stands still, points move, paths grow behind them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descentlab.errors import InputError
from descentlab.figures import captions, style
from descentlab.figures.curves import sample_curve
from descentlab.figures.draw_field import draw_field
from descentlab.figures.draw_line import draw_curve_background, draw_ends
from descentlab.figures.fields import sample_field
from descentlab.figures.output import checked_path, write
from descentlab.figures.style import Theme
from descentlab.figures.tracks import MOST_PATHS, Tracks, curve_tracks, evenly, plane_tracks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from descentlab.descent import Descent

Array = NDArray[np.float64]
FORMATS = (".gif", ".mp4")
FRAMES = 72
PER_SECOND = 12
HOLD = 2.0
DPI = 100


@dataclass(frozen=True)
class Reel:
    """What moves: steps (frame,), the step each frame shows; points (start, step, 2) in the picture."""

    steps: NDArray[np.int64]
    points: Array
    taken: NDArray[np.int64]


def frame_steps(
    points: Array, taken: NDArray[np.int64], view: Array, most: int = FRAMES
) -> NDArray[np.int64]:
    """Return which steps to show: first and last, and between them about equal stretches of path and time.

    Equal stretches alone would leave out a slow end, equal times alone would race through the
    beginning.
    """
    last = int(taken.max(initial=0))
    if last + 1 <= most:
        return np.arange(last + 1)
    with np.errstate(all="ignore"):
        unit = np.clip((points - view[:, 0]) / (view[:, 1] - view[:, 0]), -0.5, 1.5)
        moves = np.nan_to_num(np.abs(np.diff(unit, axis=1)).max(axis=2)).mean(axis=0)[:last]
    path = np.concatenate([[0.0], np.cumsum(moves)])
    progress = 0.7 * path / (path[-1] or 1.0) + 0.3 * np.linspace(0.0, 1.0, last + 1)
    progress /= progress[-1]
    return np.unique(np.searchsorted(progress, np.linspace(0.0, 1.0, most)).clip(0, last))


def animate(run: Descent, path: str | Path, theme: Theme, heights: str = "auto") -> Path:
    """Write the animation; see `figures.animate`."""
    if run.objective.dim > 2:
        raise InputError(
            f"An animation needs one or two variables; this objective has {run.objective.dim}. "
            "Draw its steps or slices instead."
        )
    target = checked_path(path, FORMATS)
    if target.suffix.lower() == ".mp4":
        _need_ffmpeg()
    figure, axes, tracks, points = _stage(run, theme, heights)
    rows = evenly(len(points), MOST_PATHS)
    recorded = np.minimum(run.taken, points.shape[1] - 1)
    reel = Reel(frame_steps(points[rows], recorded[rows], tracks.view), points[rows], recorded[rows])
    frames = _frames(figure, axes, tracks, reel, theme)
    if target.suffix.lower() == ".mp4":
        _write_mp4(frames, target)
    else:
        _write_gif(frames, target)
    return target


def _stage(run: Descent, theme: Theme, heights: str) -> tuple[Figure, Axes, Tracks, Array]:
    """Draw all that stands still."""
    f = run.objective
    notes = [captions.problem(f), captions.method(run)]
    figure = style.new_figure(6.4, 4.9, theme)
    axes = figure.subplots()
    if f.dim == 1:
        tracks = curve_tracks(run)
        curve = sample_curve(f, (float(tracks.view[0, 0]), float(tracks.view[0, 1])))
        x = style.name_text(f.names[0])
        style.set_up(axes, theme, x, f"$f$({x})")
        draw_curve_background(axes, curve, tracks, f.domain[0], theme)
        points = np.stack([run.points[..., 0], run.values], axis=-1)
    else:
        tracks = plane_tracks(run)
        field = sample_field(f, heights, tracks.view)
        draw_field(figure, axes, field, theme)
        notes += captions.field_notes(field)
        points = run.points
    style.finish(figure, theme, style.title_text(f, 6.4), [*notes, *captions.track_notes(tracks)], f.label)
    return figure, axes, tracks, points


def _frames(figure: Figure, axes: Axes, tracks: Tracks, reel: Reel, theme: Theme) -> list[Array]:
    """Draw the frames as RGB arrays: the background once, then only what moves."""
    from matplotlib.collections import LineCollection

    canvas: Any = figure.canvas
    figure.set_dpi(DPI)
    # Room for the line that counts the steps, made before the layout is settled.
    axes.set_title(" ", fontsize=style.NORMAL, loc="left", pad=7)
    canvas.draw()
    figure.set_layout_engine("none")
    background = canvas.copy_from_bbox(figure.bbox)
    flat = len(axes.images) == 0
    trail = LineCollection(
        [], colors=style.BLUE if flat else "#ffffff", linewidths=1.2, alpha=0.8, zorder=5, animated=True
    )
    axes.add_collection(trail, autolim=False)
    (dots,) = axes.plot(
        [],
        [],
        "o",
        markersize=7,
        markerfacecolor=style.VERMILION,
        markeredgecolor="#ffffff",
        markeredgewidth=1.0,
        zorder=6,
        animated=True,
    )
    span = tracks.view[:, 1] - tracks.view[:, 0]
    with np.errstate(all="ignore"):
        shown = np.clip(reel.points, tracks.view[:, 0] - span, tracks.view[:, 1] + span)
    title = axes.set_title("", fontsize=style.NORMAL, color=theme.ink, loc="left", pad=7)
    frames = []
    for step in reel.steps:
        canvas.restore_region(background)
        at = np.minimum(step, reel.taken)
        trail.set_segments(_trails(shown, reel, int(step)))
        dots.set_data(*shown[np.arange(len(shown)), at].T)
        title.set_text(f"step {int(step):,}")
        for artist in (trail, dots, title):
            axes.draw_artist(artist)
        frames.append(np.array(canvas.buffer_rgba())[..., :3])
    # The last picture is the one of the still figure: starts and ends, marked by outcome.
    canvas.restore_region(background)
    handles = len(axes.lines)
    draw_ends(axes, tracks, theme, fixed=not flat)
    outcomes, counts = np.unique(tracks.outcomes, return_counts=True)
    ending = ", ".join(
        style.words(str(o)) + (f" ({c:,})" if len(tracks.outcomes) > 1 else "")
        for o, c in zip(outcomes, counts, strict=True)
    )
    title.set_text(f"step {int(reel.steps[-1]):,}: {ending}")
    last: list[Any] = [trail, *axes.lines[handles:], title]
    for moved in last:
        axes.draw_artist(moved)
    frames.append(np.array(canvas.buffer_rgba())[..., :3])
    return frames


def _trails(points: Array, reel: Reel, step: int) -> list[Array]:
    """Return the paths up to a step, at the steps of the frames and of the last few before it."""
    trails = []
    for row, taken in zip(points, reel.taken, strict=True):
        end = min(step, int(taken))
        index = reel.steps[reel.steps <= end] if end > 2000 else np.arange(end + 1)
        walk = row[np.unique(np.append(index, end))]
        trails.append(walk[np.isfinite(walk).all(axis=1)])
    return trails


def _write_gif(frames: list[Array], target: Path) -> None:
    from PIL import Image

    palette = _palette(frames)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    pause = round(1000 / PER_SECOND)
    data = io.BytesIO()
    images[0].save(
        data,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        loop=0,
        duration=[pause * 4] + [pause] * (len(images) - 2) + [round(1000 * HOLD)],
    )
    write(target, data.getvalue())


def _palette(frames: list[Array]) -> Any:
    """Return one palette for all frames, or colours would flicker: those of a middle and the last
    frame, and those of the marks, which are too small to count for themselves."""
    from PIL import Image, ImageColor

    marks = [
        ImageColor.getrgb(c) for c in (style.VERMILION, style.BLUE, *(c for c, _ in style.OUTCOMES.values()))
    ]
    width = frames[-1].shape[1]
    swatches = np.repeat(np.array(list(dict.fromkeys(marks)), np.uint8), 24, axis=0)
    strip = np.repeat(swatches[:, None, :], width, axis=1)
    return Image.fromarray(np.concatenate([frames[len(frames) // 2], frames[-1], strip])).quantize(255)


def _need_ffmpeg() -> str:
    """Return the path of ffmpeg, or raise InputError."""
    import shutil

    found = shutil.which("ffmpeg")
    if found is None:
        raise InputError("An MP4 needs the program ffmpeg, which was not found. Install it, or write a .gif.")
    return found


def _write_mp4(frames: list[Array], target: Path) -> None:
    import subprocess

    # The encoder needs even sides; the last frame is held.
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    held = frames + frames[-1:] * round(HOLD * PER_SECOND)
    command = [
        _need_ffmpeg(),
        "-y",
        "-loglevel",
        "error",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{width}x{height}",
        "-r",
        str(PER_SECOND),
        "-i",
        "-",
        "-an",
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        str(target.absolute()),
    ]
    raw = b"".join(np.ascontiguousarray(frame[:height, :width]).tobytes() for frame in held)
    done = subprocess.run(command, input=raw, capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["unknown error"]
        raise InputError(f"Cannot write '{target}': ffmpeg says: {last[0]}")
