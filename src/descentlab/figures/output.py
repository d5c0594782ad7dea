"""Figures as files, and as SVG that goes into a page and takes on its colours."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descentlab.errors import InputError
from descentlab.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, THEMES, VERMILION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf", ".gif")
DPI = 144
# A page is not made heavier than this by one figure in SVG; past it a PNG is smaller.
MOST_SVG = 600_000
_SERIES = {
    "blue": BLUE,
    "vermilion": VERMILION,
    "green": GREEN,
    "purple": PURPLE,
    "orange": ORANGE,
    "sky": SKY,
    "grey": GREY,
}


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure to a file, its kind told by the suffix: .png, .svg, .pdf or .gif.

    Returns the path. Raises InputError for another suffix or a file that cannot be written.
    """
    target = checked_path(path, SUFFIXES)
    kind = target.suffix.lower()
    data = io.BytesIO()
    settle(figure)
    if kind == ".gif":
        _save_gif(figure, data)
    elif kind == ".svg":
        data.write(figure_text(figure).encode())
    else:
        # Without a date the same figure is the same file.
        metadata = {"CreationDate": None} if kind == ".pdf" else {"Software": None}
        figure.savefig(data, format=kind[1:], dpi=DPI, metadata=metadata, facecolor=figure.get_facecolor())
    write(target, data.getvalue())
    return target


def checked_path(path: str | Path, suffixes: tuple[str, ...]) -> Path:
    """Return the path; raise InputError if its suffix or folder will not do, before anything is drawn."""
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        given = f"'{target.suffix}'" if target.suffix else "no suffix"
        raise InputError(
            f"'{path}' has {given}. The file's suffix says what is written: {', '.join(suffixes)}."
        )
    if not target.parent.is_dir():
        raise InputError(f"Cannot write '{path}': there is no folder '{target.parent}'.")
    return target


def write(target: Path, data: bytes) -> None:
    """Write a file, or raise InputError."""
    try:
        target.write_bytes(data)
    except OSError as error:
        raise InputError(f"Cannot write '{target}': {error.strerror or error}.") from error


def _save_gif(figure: Figure, data: io.BytesIO) -> None:
    from PIL import Image

    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, facecolor=figure.get_facecolor())
    Image.open(png).convert("RGB").quantize(256).save(data, format="GIF")


def figure_text(figure: Figure) -> str:
    """Return the figure as an SVG document on its own paper, the same text each time."""
    data = io.StringIO()
    settle(figure)
    images: list[Any] = figure.findobj(_is_image)
    kinds = [image.get_interpolation() for image in images]
    for image in images:
        # Stored once cell by cell; the viewer smooths it.
        image.set_interpolation("none")
    try:
        figure.savefig(
            data,
            format="svg",
            metadata={"Date": None, "Creator": None},
            dpi=DPI,
            facecolor=figure.get_facecolor(),
        )
    finally:
        for image, kind in zip(images, kinds, strict=True):
            image.set_interpolation(kind)
    return _renamed(data.getvalue(), "")


def settle(figure: Figure) -> None:
    """Lay the figure out once and for all: each further layout would shift it by fractions of a pixel."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def _is_image(artist: Any) -> bool:
    from matplotlib.image import AxesImage

    return isinstance(artist, AxesImage)


def figure_svg(figure: Figure, name: str | None = None) -> str:
    """Return an inline `<svg>` element for a page.

    Text and axes take the page's text colour (currentColor), the paper is transparent, and the
    colours of data are CSS variables with their own values as default (--descentlab-blue, …).
    Ids begin with `name`, by default made from the figure's content; the same figure gives the
    same text.
    """
    svg = figure_text(figure)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = name or "figure-" + hashlib.sha256(svg.encode()).hexdigest()[:10]
    svg = _page_colours(_renamed(svg, f"{prefix}-"))
    label = html.escape(str(figure.get_label()) or "figure", quote=True)
    head = re.match(r"<svg\b[^>]*>", svg)
    assert head is not None
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head.group())
    assert size is not None
    width = float(size.group(1)) * 96 / 72
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {size.group(1)} {size.group(2)}" role="img" aria-label="{label}" '
        f'style="width: 100%; max-width: {width:.0f}px; height: auto">'
    )
    return opening + svg[head.end() :].strip()


def _renamed(svg: str, prefix: str) -> str:
    """Number all ids in order of appearance; matplotlib draws some of them at random."""
    names = dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))
    numbers = {name: f"{prefix}i{i}" for i, name in enumerate(names)}
    svg = re.sub(r'\bid="([^"]+)"', lambda m: f'id="{numbers[m.group(1)]}"', svg)
    svg = re.sub(r'href="#([^"]+)"', lambda m: f'href="#{numbers.get(m.group(1), m.group(1))}"', svg)
    return re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{numbers.get(m.group(1), m.group(1))})", svg)


def _page_colours(svg: str) -> str:
    """Swap the colours of ink and paper for those of the page, those of data for variables."""
    for theme in THEMES.values():
        # The page's own paper shows through the figure's background, and fills hollow marks.
        svg = re.sub(
            rf'(<g id="[^"]*">\s*<path d="[^"]*"\s*style="fill: ){theme.paper}', r"\1none", svg, count=1
        )
        svg = svg.replace(theme.paper, "var(--descentlab-paper, Canvas)")
        svg = svg.replace(theme.ink, "currentColor")
        svg = svg.replace(
            theme.muted, "var(--descentlab-muted, color-mix(in srgb, currentColor 68%, transparent))"
        )
        svg = svg.replace(
            theme.faint, "var(--descentlab-faint, color-mix(in srgb, currentColor 16%, transparent))"
        )
    for name, colour in _SERIES.items():
        svg = svg.replace(f": {colour}", f": var(--descentlab-{name}, {colour})")
    return svg


def figure_html(figure: Figure) -> str:
    """Return HTML for a notebook: the inline SVG, or a PNG where that is smaller."""
    svg = figure_svg(figure)
    if len(svg) <= MOST_SVG:
        return svg
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=DPI, metadata={"Software": None}, facecolor=figure.get_facecolor())
    text = base64.b64encode(data.getvalue()).decode()
    label = html.escape(str(figure.get_label()) or "figure", quote=True)
    return f'<img src="data:image/png;base64,{text}" alt="{label}" style="max-width: 100%">'
