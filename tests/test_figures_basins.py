"""Figures of basin maps: colours, shades, patterns and legend first, then drawn, on awkward maps too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import descentlab as dl
from descentlab import figures
from descentlab.errors import InputError
from descentlab.figures import basin_pictures, style
from descentlab.figures.basin_pictures import (
    GREYS,
    SHADES,
    basin_picture,
    choose_colours,
    neighbours,
    shade_of,
    shades,
)
from descentlab.figures.draw_basin_maps import step_ticks
from descentlab.landscapes import landscape
from descentlab.survey.chunk import SURVEY_OUTCOMES

WELLS = dl.formula("(x^2 - 1)^2 + y^2", domain={"x": (-2, 2), "y": (-1, 1)})


@pytest.fixture(scope="module")
def rastrigin() -> dl.BasinMap:
    return dl.basin_map(landscape("rastrigin"), resolution=110)


@pytest.fixture(scope="module")
def wild() -> dl.BasinMap:
    return dl.basin_map(landscape("himmelblau"), resolution=60, learning_rate=0.02, bounds="free", steps=500)


def bytes_of(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def is_light(colours: Any) -> Any:
    """Return the relative luminance of colours (…, 3), by their definition (WCAG)."""
    c = np.asarray(colours, float) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


# --- colours --------------------------------------------------------------------------------


def test_the_first_minima_have_the_colours_of_all_figures() -> None:
    assert choose_colours(4, np.ones((4, 4), bool)) == style.SERIES[:4]
    assert choose_colours(9, np.ones((9, 9), bool))[:6] == style.SERIES


def test_neighbours_are_pixels_side_by_side() -> None:
    a = np.array([[0, 0, 1], [2, -1, 1]], np.int32)
    b = np.array([[2, 1, 3]], np.int32)
    touching = neighbours([a, b], 4)
    pairs = {(i, j) for i, j in np.argwhere(touching).tolist() if i < j}
    assert pairs == {(0, 1), (0, 2), (1, 2), (1, 3)}
    np.testing.assert_array_equal(touching, touching.T)


def test_of_121_minima_no_neighbours_look_alike(rastrigin: dl.BasinMap) -> None:
    data = basin_picture([rastrigin])
    assert len(data.colours) == len(rastrigin.minima) == 121
    touching = neighbours([rastrigin.assignment], 121)
    assert touching.sum() // 2 >= 2 * 11 * 10
    for i, j in np.argwhere(touching):
        assert np.abs(np.subtract(bytes_of(data.colours[i]), bytes_of(data.colours[j]))).max() > 40
    uses = np.unique(data.colours, return_counts=True)[1]
    assert len(uses) == 18
    assert uses.max() <= 12  # no colour is left for last


@pytest.mark.parametrize("colour", [*style.SERIES, basin_pictures.NEUTRAL])
def test_shades_go_from_light_to_dark_through_the_colour(colour: str) -> None:
    ramp = shades(colour).astype(int)
    assert ramp.shape == (SHADES, 3)
    assert (np.diff(is_light(ramp)) <= 1e-9).all()
    assert is_light(ramp[0]) > is_light(bytes_of(colour)) > is_light(ramp[-1])
    assert np.abs(ramp - bytes_of(colour)).max(axis=1).min() <= 4


def test_shades_are_by_the_logarithm_of_steps() -> None:
    steps = np.array([0, 9, 31, 99, 1000])
    found = shade_of(steps, 9.0, 99.0)
    assert found.tolist()[:2] == [0, 0]
    assert found[2] == round((SHADES - 1) * np.log(32 / 10) / np.log(10))
    assert found.tolist()[3:] == [SHADES - 1] * 2
    assert (shade_of(steps, 5.0, 5.0) == SHADES // 2).all()


# --- pictures -------------------------------------------------------------------------------


def test_a_pixel_has_the_shade_of_its_minimum_and_its_steps(wild: dl.BasinMap) -> None:
    data = basin_picture([wild])
    picture, (low, high) = data.pictures[0], data.steps[0]
    assert picture.shape == (*wild.assignment.shape, 3)
    for row, column in np.argwhere(wild.assignment >= 0)[::37]:
        ramp = shades(data.colours[wild.assignment[row, column]])
        shade = shade_of(wild.taken[row, column], low, high)
        assert picture[row, column].tolist() == ramp[int(shade)].tolist()


def test_what_reaches_no_minimum_is_grey_and_named(wild: dl.BasinMap) -> None:
    data = basin_picture([wild])
    for name, share in wild.elsewhere.items():
        key = next(k for k in data.keys if k.label == f"none: {style.words(name)}")
        assert (key.colour, key.hatch) == GREYS[name]
        assert key.shares.tolist() == [share]
        pixels = data.pictures[0][(wild.outcomes == name) & (wild.assignment < 0)]
        grey, line = bytes_of(key.colour), bytes_of(basin_pictures.hatch_colour(key.colour))
        looks = {tuple(p) for p in np.unique(pixels, axis=0).tolist()}
        assert looks <= {tuple(grey), tuple(line)}
        assert (pixels == grey).all(axis=1).mean() > 0.5
        if key.hatch:
            assert len(looks) == 2
    assert not any(k.is_minimum for k in data.keys if k.label.startswith("none"))


def test_every_outcome_has_a_look_of_its_own() -> None:
    assert set(GREYS) == set(SURVEY_OUTCOMES)
    assert len(set(GREYS.values())) == len(GREYS)


@pytest.mark.parametrize("which", ["rastrigin", "wild"])
def test_the_legend_covers_the_whole_area(which: str, request: pytest.FixtureRequest) -> None:
    m = request.getfixturevalue(which)
    data = basin_picture([m])
    assert sum(float(k.shares[0]) for k in data.keys) == pytest.approx(1.0)
    listed = [k for k in data.keys if k.is_minimum and k.colour]
    assert [k.colour for k in listed] == list(data.colours[: len(listed)])
    if which == "rastrigin":
        assert any(k.label == "112 higher minima" and not k.colour for k in data.keys)
        assert len(data.stars[0]) == 121


def test_a_minimum_keeps_its_colour_throughout_a_strip() -> None:
    strip = dl.basin_strip(landscape("himmelblau"), [0.01, 0.02], resolution=40, steps=800)
    data = basin_picture(strip.maps)
    assert len(data.colours) == 4
    for m, picture in zip(strip.maps, data.pictures, strict=True):
        for i, colour in enumerate(data.colours):
            mine = picture[m.assignment == i].reshape(-1, 3)
            ramp = {tuple(c) for c in shades(colour).tolist()}
            assert {tuple(p) for p in mine.tolist()} <= ramp
    assert [len(stars) for stars in data.stars] == [4, 2]


def test_ticks_of_steps_are_round_and_within() -> None:
    for low, high in ((1, 1e4), (20, 25), (344, 423), (0, 3), (7, 90), (5000, 100_000_000)):
        ticks = step_ticks(low, high)
        assert 1 <= len(ticks) <= 9, (low, high)
        assert all(low <= t <= high and t == int(t) for t in ticks)


# --- drawn ----------------------------------------------------------------------------------


def diverging() -> dl.BasinMap:
    return dl.basin_map(dl.formula("x^2 - y^2"), resolution=12, bounds="free", learning_rate=0.1, steps=400)


@pytest.mark.parametrize(
    "make",
    [
        lambda: dl.basin_map(WELLS, resolution=(30, 20)),
        lambda: dl.basin_map(dl.formula("x^2 + y^2"), resolution=2),
        diverging,
        lambda: dl.basin_map(landscape("rastrigin", 3), 12, plane=("x1", "x2")),
        lambda: dl.basin_strip(WELLS, [0.05, 0.1, 0.2, 0.3, "auto"], resolution=10),
        lambda: dl.basin_strip(WELLS, [0.05, 0.1], ["gd", "momentum"], resolution=10),
        lambda: dl.basin_strip(WELLS, resolution=10),
    ],
    ids=["map", "one basin", "diverging", "plane", "wrapped strip", "grid", "strip of one"],
)
def test_maps_and_strips_are_drawn(make: Any, tmp_path: Path) -> None:
    result = make()
    theme = "dark" if hasattr(result, "maps") else "light"
    figure = figures.draw_basins(result, theme)
    maps = getattr(result, "maps", (result,))
    images = [image for axes in figure.axes for image in axes.get_images()]
    assert len(images) == len(maps)
    for image, m in zip(images, maps, strict=True):
        assert image.origin == "lower"
        np.testing.assert_allclose(image.get_extent(), m.box.reshape(-1))
    text = figure.get_label()
    assert m.objective.label.split()[0] in text
    assert f"{m.steps:,} steps" in text
    if len(maps) == 1 and result is maps[0]:
        assert f"{m.optimizer}, learning rate {m.learning_rate}" in text
    else:
        titles = [axes.get_title(loc="left") for axes in figure.axes]
        assert all(any(title.startswith(m.label) for title in titles) for m in maps)
    path = figures.save(figure, tmp_path / "map.png")
    with Image.open(path) as image:
        assert image.size[0] > 900


def test_a_map_draws_and_shows_itself(wild: dl.BasinMap) -> None:
    html = wild._repr_html_()
    assert "<svg" in html
    assert wild.sentence in html
    with pytest.raises(InputError, match="theme"):
        figures.draw_basins(wild, "sepia")
