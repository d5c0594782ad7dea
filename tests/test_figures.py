"""Figures: the drawing data against closed forms, then every kind drawn on awkward input.

Warnings are errors in this project's tests, so a drawing that warns fails.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from descentlab import figures
from descentlab.descent import ascend, descend
from descentlab.errors import InputError
from descentlab.figures import animation, captions, curves, fields, output, results, style, tracks
from descentlab.landscapes import landscape, landscapes
from descentlab.objective import formula, function
from descentlab.survey import survey
from descentlab.sweep import sweep
from descentlab.verdict import OUTCOMES

WAVES = formula("cos(2*pi*x) + x^2", {"x": (-2, 2)})
BOWL = formula("3x^2 - 3x + 4", {"x": (-2, 2)})
PLANE = formula("(x - 1)^2 + 2*(y + 1.5)^2", {"x": (-2, 2), "y": (-2, 2)})


def curve(text: str, low: float = -5, high: float = 5) -> curves.Curve:
    return curves.sample_curve(formula(text, {"x": (low, high)}, variables=["x"]))


# --- curves ---------------------------------------------------------------------------------


def test_a_smooth_curve_has_the_values_of_f_and_no_cuts() -> None:
    c = curve("cos(2*pi*x) + x^2", -2, 2)
    np.testing.assert_allclose(
        c.value.y, np.cos(2 * np.pi * c.value.x) + c.value.x**2, rtol=1e-12, atol=1e-12
    )
    slope = -2 * np.pi * np.sin(2 * np.pi * c.slope.x) + 2 * c.slope.x
    np.testing.assert_allclose(c.slope.y, slope, rtol=1e-12, atol=1e-11)
    assert c.value.jumps == c.slope.jumps == ()
    assert len(c.kinks) == 0
    assert not c.value.unbounded


@pytest.mark.parametrize(
    ("text", "at", "left", "right"),
    [
        ("|x - 1|", 1.0, -1.0, 1.0),
        ("relu(x)", 0.0, 0.0, 1.0),
        ("max(x, 2 - x)", 1.0, -1.0, 1.0),
        ("|x|", 0.0, -1, 1),
    ],
)
def test_a_kink_is_marked_and_its_derivative_cut(text: str, at: float, left: float, right: float) -> None:
    c = curve(text)
    (jump,) = c.slope.jumps
    assert jump.at == pytest.approx(at, abs=1e-10)
    assert (jump.left, jump.right, jump.unbounded) == (left, right, False)
    np.testing.assert_allclose(c.kinks[:, 0], [at], atol=1e-10)
    assert c.value.jumps == ()
    no_line_crosses(c.slope, at)


def no_line_crosses(line: curves.Line, at: float) -> None:
    """Assert that no drawn piece of the line leads from the left of `at` to its right."""
    x, y = line.x, line.y
    drawn = np.isfinite(y[:-1]) & np.isfinite(y[1:])
    across = (x[:-1] < at - 1e-9) & (x[1:] > at + 1e-9)
    upright = (np.abs(x[:-1] - at) < 1e-9) & (np.abs(x[1:] - at) < 1e-9) & (np.abs(np.diff(y)) > 0.1)
    assert not (drawn & (across | upright)).any()


@pytest.mark.parametrize(
    ("text", "at"), [("1/x", 0.0), ("1/(x - 1)", 1.0), ("tan(x)", np.pi / 2), ("1/x^3", 0.0)]
)
def test_a_pole_is_a_gap_and_the_picture_is_cut_there(text: str, at: float) -> None:
    line = curve(text).value
    assert any(abs(jump.at - at) < 1e-9 and jump.unbounded for jump in line.jumps)
    no_line_crosses(line, at)
    assert line.unbounded
    assert line.limits[1] - line.limits[0] < 1e3


@pytest.mark.parametrize("text", ["log(|x|)", "1/x^2", "log(x)"])
def test_poles_without_a_jump_are_found(text: str) -> None:
    assert curve(text).value.unbounded
    assert len(curve(text).kinks) == 0


@pytest.mark.parametrize("text", ["exp(x^2)", "x^9", "1/(x^2 + 0.001)", "sin(40x)", "tanh(200x)", "sqrt(x)"])
def test_steep_is_not_a_jump(text: str) -> None:
    c = curve(text)
    assert c.value.jumps == ()
    assert not c.value.unbounded
    finite = c.value.y[np.isfinite(c.value.y)]
    assert c.value.limits[0] <= finite.min()
    assert c.value.limits[1] >= finite.max()


def test_a_jump_of_f_is_no_kink_and_a_cusp_is_one() -> None:
    jumping, cusp = curve("sign(x) + x/4"), curve("cbrt(x)^2")
    assert [j.at for j in jumping.value.jumps] == pytest.approx([0.0], abs=1e-10)
    assert len(jumping.kinks) == 0
    np.testing.assert_allclose(cusp.kinks, [[0.0, 0.0]], atol=1e-6)
    assert cusp.slope.unbounded
    assert not cusp.value.unbounded


def test_where_f_is_undefined_its_derivative_is_not_drawn() -> None:
    c = curve("log(x)")
    assert c.undefined == pytest.approx(0.5, abs=0.01)
    assert np.isnan(c.slope.y[c.slope.x < -1e-6]).all()
    assert any("50 %" in note for note in captions.curve_notes([c]))


def test_visible_range_of_nothing_and_of_a_constant() -> None:
    assert curves.visible_range(np.array([np.nan, np.inf])) == (-1.0, 1.0)
    low, high = curves.visible_range(np.full(9, 3.0))
    assert low < 3 < high


# --- fields ---------------------------------------------------------------------------------


def test_a_heat_map_is_the_right_way_up(tmp_path: Path) -> None:
    field = fields.sample_field(PLANE, "linear")
    row, column = np.unravel_index(np.argmin(field.values), field.values.shape)
    assert field.x[column] == pytest.approx(1.0, abs=0.02)
    assert field.y[row] == pytest.approx(-1.5, abs=0.02)
    # And in the picture: the darkest pixels of the axes, read back from the file, lie there too.
    figure = figures.draw_landscape(PLANE, heights="linear")
    pixels = np.asarray(Image.open(figures.save(figure, tmp_path / "a.png")).convert("L"), float)
    axes = figure.axes[0]
    box = axes.get_window_extent()
    height = pixels.shape[0]
    inside = pixels[height - int(box.y1) + 4 : height - int(box.y0) - 4, int(box.x0) + 4 : int(box.x1) - 4]
    down, right = (float(np.mean(place)) for place in np.nonzero(inside <= inside.min() + 1))
    x, y = axes.transData.inverted().transform((box.x0 + 4 + right, box.y1 - 4 - down))
    assert (x, y) == pytest.approx((1.0, -1.5), abs=0.2)


@pytest.mark.parametrize("kind", ["linear", "log", "rank"])
def test_heights_rise_with_values_and_go_back(kind: str) -> None:
    values = np.linspace(-3, 7, 41) ** 3
    scale = fields.choose_scale(values, kind)
    heights = scale.heights(values)
    assert heights[0] == pytest.approx(0, abs=1e-9)
    assert heights[-1] == pytest.approx(1)
    assert (np.diff(heights) >= -1e-12).all()
    np.testing.assert_allclose(scale.values(heights)[1:], values[1:], rtol=1e-6, atol=1e-3)


def test_rank_gives_each_height_an_equal_area() -> None:
    values = np.random.default_rng(0).lognormal(sigma=4, size=20_000)
    heights = fields.choose_scale(values, "rank").heights(values)
    counts, _ = np.histogram(heights, bins=10, range=(0, 1))
    np.testing.assert_allclose(counts, 2000, rtol=0.02)


def test_auto_heights() -> None:
    def kind(text: str) -> str:
        return fields.sample_field(formula(text)).scale.kind

    assert kind("x^2 + y^2") == "linear"
    assert kind("(1 - x)^2 + 100*(y - x^2)^2") == "log"
    assert kind("exp(-x^2*9 - y^2*9)") in ("linear", "rank")
    assert fields.choose_scale(np.full(50, 2.0)).kind == "linear"


def test_auto_heights_serve_the_catalogue() -> None:
    """The entries that ask for a logarithm or ranks are not shown squeezed into one end; plateaus are."""
    for entry in landscapes():
        if entry.dim == 2 and entry.name not in ("easom", "plateau"):
            heights = fields.sample_field(landscape(entry.name), resolution=60).heights
            assert 0.05 < np.nanmedian(heights) < 0.95, entry.name


def test_slices_go_through_the_point() -> None:
    f = landscape("styblinski-tang", 4)
    point = np.array([-2.9, 2.7, 0.5, 1.0])
    data = fields.sample_slices(f, point)
    assert data.indices == (0, 1, 2, 3)
    for line, i in zip(data.lines, data.indices, strict=True):
        here = line.y[line.x == point[i]]
        np.testing.assert_allclose(here, float(f.value(point)))


def test_of_many_coordinates_the_most_curved_are_sliced() -> None:
    weights = " + ".join(f"{i}*x{i}^2" for i in range(1, 13))
    f = formula(weights)
    data = fields.sample_slices(f, np.zeros(12))
    assert data.indices == tuple(range(3, 12))
    assert data.left_out == 3
    assert fields.most_curved_pair(f, np.zeros(12)) == (10, 11)


# --- tracks ---------------------------------------------------------------------------------

VIEW = np.array([[-1.0, 1.0], [-1.0, 1.0]])


def test_thinning_keeps_first_last_and_every_different_step() -> None:
    creeping = np.column_stack([1 - np.exp(-np.arange(100_001) / 2000), np.zeros(100_001)])
    track = tracks.thin(creeping, VIEW)
    assert track.steps[0] == 0
    assert track.steps[-1] == 100_000
    assert 100 < len(track.steps) < 700
    np.testing.assert_array_equal(track.points, creeping[track.steps])
    # No hole between kept points is wider than a cell.
    assert np.diff(track.points[:, 0]).max() < 2 / tracks.CELLS + 1e-3
    few = np.column_stack([np.linspace(-1, 1, 9), np.linspace(0, 1, 9)])
    np.testing.assert_array_equal(tracks.thin(few, VIEW).steps, np.arange(9))


def test_thinning_a_cycle_keeps_both_sides() -> None:
    cycle = np.tile([[-0.5, 0.2], [0.5, 0.2]], (500, 1))
    track = tracks.thin(cycle, VIEW)
    assert len(track.steps) <= 4
    assert set(track.points[:, 0]) == {-0.5, 0.5}
    np.testing.assert_array_equal(track.next_points[0], [0.5, 0.2])
    # Two ways into one place are two different steps.
    a, b, c, d = [-0.5, 0.0], [0.5, 0.0], [0.0, 0.5], [0.0, -0.5]
    np.testing.assert_array_equal(tracks.thin(np.array([a, c, b, c, d]), VIEW).steps, np.arange(5))


def test_thinning_counts_what_it_hides_and_where_the_path_leaves() -> None:
    wild = np.random.default_rng(1).uniform(-1, 1, (20_000, 2))
    track = tracks.thin(wild, VIEW, most=300)
    assert len(track.steps) == 300
    assert track.hidden > 10_000
    assert (track.steps[0], track.steps[-1]) == (0, 19_999)
    leaving = np.array([[0.0, 0.0], [0.5, 0.0], [1.5, 0.0], [np.nan, np.inf]])
    assert tracks.thin(leaving, VIEW).left_at == 2
    assert tracks.thin(leaving[:2], VIEW).left_at is None


def test_pieces_are_shortened_along_their_direction() -> None:
    here, there = np.array([[0.0, 0.0], [9.0, 0.0]]), np.array([[1e300, 5e299], [0.0, 0.0]])
    lines, kept = tracks.pieces(here, there, VIEW)
    assert kept.tolist() == [True, False]
    np.testing.assert_allclose(lines[0], [[0, 0], [3, 1.5]])


def test_the_view_holds_near_paths_and_cuts_far_ones() -> None:
    box = np.array([[0.0, 1.0]])
    np.testing.assert_array_equal(tracks.widened(box, np.array([[0.5], [0.9]])), box)
    low, high = tracks.widened(box, np.array([[-0.3], [0.9], [1e300], [np.nan]]))[0]
    assert low == pytest.approx(-0.33)
    assert high == 1.0


def test_series_end_where_the_descent_ended() -> None:
    run = descend(BOWL, [[-1.5], [0.6]], learning_rate=0.1, steps=500, tolerance=1e-3)
    data = tracks.series(run)
    panels = {panel.what: panel for panel in data.panels}
    assert set(panels) == {"parameter x", "size of the derivative", "value", "learning rate"}
    for i, taken in enumerate(run.taken):
        assert 0 < taken < 500
        assert panels["value"].steps[i][-1] == taken
        np.testing.assert_allclose(panels["value"].values[i], run.values[i, : taken + 1])
        assert len(panels["learning rate"].values[i]) == taken
        # x_k = 1/2 + (1 − 0.6)^k (x_0 − 1/2)
        k = panels["parameter x"].steps[i]
        x0 = run.points[i, 0, 0]
        np.testing.assert_allclose(panels["parameter x"].values[i], 0.5 + 0.4**k * (x0 - 0.5), atol=1e-12)


def test_logarithms_only_where_values_span_decades() -> None:
    assert tracks.spans_decades([np.array([1e-6, 1.0, 3.0])])
    assert not tracks.spans_decades([np.array([0.5, 1.0, 3.0])])
    assert not tracks.spans_decades([np.array([-1e-6, 1.0, 3.0])])
    assert not tracks.spans_decades([np.full(5, np.nan)])


def test_decimation_keeps_the_extremes() -> None:
    steps = np.arange(50_000)
    values = np.sin(steps / 7.0)
    values[12_345] = 9.0
    kept, drawn = tracks.decimate(steps, values)
    assert len(kept) <= 802
    assert drawn.max() == 9.0
    assert (kept[0], kept[-1]) == (0, 49_999)


# --- sweeps and surveys ---------------------------------------------------------------------


def test_sweep_data_has_each_result_in_its_place() -> None:
    s = sweep(BOWL, [-1.5], learning_rate=[0.01, 0.1], steps=[1, 5, 20])
    data = results.sweep_data(s)
    assert data.result.shape == (2, 3)
    expected = [[0.5 + (1 - 6 * r) ** n * -2.0 for n in (1, 5, 20)] for r in (0.01, 0.1)]
    np.testing.assert_allclose(data.result, expected, atol=1e-12)
    turned = results.sweep_data(s, ("steps", "learning_rate"))
    np.testing.assert_array_equal(turned.result, data.result.T)
    np.testing.assert_array_equal(turned.outcomes, data.outcomes.T)
    one = results.sweep_data(s, ("steps",))
    np.testing.assert_array_equal(one.result[:, 0], data.result[0])
    assert one.held == ("learning rate = 0.01",)


def test_diverged_results_do_not_set_the_range() -> None:
    data = results.sweep_data(sweep(BOWL, [-1.5], learning_rate=[0.1, 0.2, 0.5], steps=1000))
    assert data.far[:, 0].tolist() == [False, False, True]


def test_sweep_axes_that_cannot_be_drawn() -> None:
    s = sweep(BOWL, [-1.5], learning_rate=[0.01, 0.1])
    for axes in (("rate",), ("steps",), ("learning_rate", "learning_rate")):
        with pytest.raises(InputError):
            figures.draw_sweep(s, axes)


def test_bars_of_a_survey_sum_to_one() -> None:
    for found in (survey(WAVES, 200), survey(landscape("rastrigin"), 200), survey(WAVES, 200, steps=1)):
        data = results.survey_data(found, most=3)
        assert sum(bar.share for bar in data.bars) == pytest.approx(1.0)
        for bar in data.bars:
            if bar.interval is not None:
                assert bar.interval[0] <= bar.share <= bar.interval[1]
    assert any(bar.minimum is None for bar in data.bars)


# --- animation ------------------------------------------------------------------------------


def test_frames_are_the_first_the_last_and_few() -> None:
    x = np.concatenate([[[0.0, 0.0]], np.column_stack([1 - 0.9 ** np.arange(5000), np.zeros(5000)])])[None]
    steps = animation.frame_steps(x, np.array([5000]), VIEW)
    assert (steps[0], steps[-1]) == (0, 5000)
    assert len(steps) <= animation.FRAMES
    assert (np.diff(steps) > 0).all()
    # Most of the way is made in the first 50 steps, so they get more than their share.
    assert (steps < 50).sum() > 20
    np.testing.assert_array_equal(animation.frame_steps(x, np.array([5]), VIEW), np.arange(6))


@pytest.mark.parametrize("f", [WAVES, PLANE], ids=["1-D", "2-D"])
def test_an_animation_moves_and_repeats_to_the_byte(f: object, tmp_path: Path) -> None:
    run = descend(f, 2, learning_rate=0.02, steps=30)  # type: ignore[arg-type]
    first = figures.animate(run, tmp_path / "a.gif").read_bytes()
    assert first == figures.animate(run, tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames > 8  # type: ignore[attr-defined]
        start = np.asarray(picture.convert("RGB"), float)
        picture.seek(picture.n_frames - 1)  # type: ignore[attr-defined]
        assert np.abs(np.asarray(picture.convert("RGB"), float) - start).max() > 100


def test_animations_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = descend(WAVES, [0.4], steps=5)
    with pytest.raises(InputError, match=r"\.gif, \.mp4"):
        figures.animate(run, tmp_path / "a.avi")
    with pytest.raises(InputError, match="one or two variables"):
        figures.animate(descend(landscape("styblinski-tang", 4), steps=5), tmp_path / "a.gif")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="ffmpeg"):
        figures.animate(run, tmp_path / "a.mp4")


def test_mp4_frames_go_to_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for ffmpeg checks that the bytes are whole frames of the size announced."""
    fake = tmp_path / "ffmpeg"
    fake.write_text(
        f"#!{sys.executable}\nimport sys\na = sys.argv\nw, h = map(int, a[a.index('-s') + 1].split('x'))\n"
        "n = len(sys.stdin.buffer.read())\nassert w % 2 == h % 2 == 0 and n % (w * h * 3) == 0\n"
        "open(a[-1], 'w').write(str(n // (w * h * 3)))\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    made = figures.animate(descend(WAVES, [0.4], steps=5), tmp_path / "a.mp4")
    assert int(made.read_text()) == 6 + 1 + 24
    fake.write_text(f"#!{sys.executable}\nimport sys\nsys.stderr.write('no such encoder')\nsys.exit(1)\n")
    with pytest.raises(InputError, match="no such encoder"):
        figures.animate(descend(WAVES, [0.4], steps=5), tmp_path / "a.mp4")


# --- drawing: everything, on awkward input --------------------------------------------------


def drawn(figure: object, tmp_path: Path) -> None:
    path = figures.save(figure, tmp_path / "figure.png")  # type: ignore[arg-type]
    with Image.open(path) as picture:
        assert min(picture.size) > 200


AWKWARD = {
    "log": formula("log(x)"),
    "pole": formula("1/x"),
    "constant": formula("3 + 0*x", variables=["x"]),
    "nowhere": formula("sqrt(-1 - x^2)"),
    "kink": formula("|x|"),
    "huge": formula("1e200*x^3"),
    "tiny": formula("1e-300*x^2"),
    "function": function(lambda x: x[0] ** 2, {"x": (-1, 1)}, label="my_$func$_"),
    "log 2-D": formula("log(x*y)"),
    "constant 2-D": formula("3 + 0*x*y", variables=["x", "y"]),
    "nowhere 2-D": formula("sqrt(-1 - x^2 - y^2)"),
    "pole 2-D": formula("1/(x*y)"),
    "huge 2-D": formula("exp(99x)*exp(99y)"),
    "cone": formula("sqrt(x^2 + y^2)"),
    "function 4-D": function(lambda x: (x**2).sum(), [(-1, 1)] * 4),
    "log 3-D": formula("log(x*y*z)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_objectives_draw(name: str, tmp_path: Path) -> None:
    f = AWKWARD[name]
    drawn(figures.draw_function(f, theme="dark"), tmp_path)
    run = descend(f, f.domain.mean(axis=1) + 0.3 * f.widths, learning_rate=0.1, steps=40)
    for kind in ("landscape", "steps", "surface"):
        if kind != "surface" or f.dim == 2:
            drawn(figures.draw_descent(run, kind), tmp_path)


RUNS = {
    "diverged": lambda: descend(BOWL, [-1.5], learning_rate=0.5, steps=1000),
    "overflowed": lambda: descend(BOWL, [-1.5], learning_rate=3.0, steps=2000),
    "cycle": lambda: descend(BOWL, [-1.5], learning_rate=1 / 3, steps=1000),
    "no step": lambda: descend(WAVES, [0.0], learning_rate=0.01, steps=1),
    "stopped at once": lambda: descend(BOWL, [0.5], tolerance=1e-3),
    "1000 starts": lambda: descend(WAVES, 1000, steps=50),
    "only the ends": lambda: descend(PLANE, 1000, steps=50, record="ends"),
    "diverged 2-D": lambda: descend(
        landscape("rosenbrock"), [[-1.2, 1], [0.9, 0.9]], learning_rate=0.1, steps=100
    ),
    "ascent": lambda: ascend(landscape("peaks"), 3, learning_rate=0.01, steps=100),
    "left the box": lambda: descend(formula("x - y"), [0, 0], bounds="stop", learning_rate=0.5),
    "long": lambda: descend(landscape("rosenbrock"), [-1.2, 1], learning_rate=0.001, steps=30_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_awkward_runs_draw(name: str, tmp_path: Path) -> None:
    run = RUNS[name]()
    for kind in ("landscape", "steps", "surface"):
        if kind != "surface" or run.objective.dim == 2:
            drawn(figures.draw_descent(run, kind), tmp_path)


@pytest.mark.parametrize("name", ["diverged", "cycle", "no step", "1000 starts", "diverged 2-D"])
def test_awkward_runs_are_animated_and_sliced(name: str, tmp_path: Path) -> None:
    run = RUNS[name]()
    drawn(figures.draw_descent(run, "slices"), tmp_path)
    figures.animate(run, tmp_path / "a.gif")


SWEEPS = {
    "start": lambda: sweep(WAVES, np.linspace(-2, 2, 31), steps=100),
    "rate": lambda: sweep(BOWL, [-1.5], learning_rate=np.geomspace(1e-4, 0.5, 20), steps=1000),
    "rate × steps": lambda: sweep(
        BOWL, [-1.5], learning_rate=np.geomspace(1e-4, 0.5, 8), steps=[10, 100, 1000]
    ),
    "start in the plane": lambda: sweep(landscape("rosenbrock"), 50, learning_rate=0.002, steps=100),
    "start in four": lambda: sweep(landscape("styblinski-tang", 4), 5, steps=50),
    "optimizer × start": lambda: sweep(PLANE, 3, optimizer=["gd", "momentum"], steps=50),
    "rules": lambda: sweep(WAVES, [0.4, 0.6], learning_rate=["0.01", "time:0.02"], steps=50),
    "nothing": lambda: sweep(WAVES, [0.4], steps=50),
    "all diverged": lambda: sweep(BOWL, [-1.5, 1.0], learning_rate=[0.5, 0.6], steps=1000),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_sweeps_draw(name: str, tmp_path: Path) -> None:
    drawn(figures.draw_sweep(SWEEPS[name]()), tmp_path)


def test_surveys_draw(tmp_path: Path) -> None:
    for f in (
        WAVES,
        landscape("peaks"),
        landscape("styblinski-tang", 3),
        formula("log(x)"),
        formula("x + 0*y"),
    ):
        drawn(figures.draw_survey(survey(f, 60, steps=300)), tmp_path)


def test_several_functions_share_axes(tmp_path: Path) -> None:
    both = [formula("relu(x)"), formula("sigmoid(x)", {"x": (-2, 9)})]
    figure = figures.draw_function(both)
    assert figure.axes[0].get_xlim() == (-5.0, 9.0)
    drawn(figure, tmp_path)
    with pytest.raises(InputError, match="one variable"):
        figures.draw_function([WAVES, PLANE])
    with pytest.raises(InputError):
        figures.draw_function([])


def test_captions_say_what_was_done() -> None:
    run = descend(WAVES, [0.4], learning_rate=0.02, steps=77, seed=5)
    for kind in ("landscape", "steps", "slices"):
        text = str(figures.draw_descent(run, kind).get_label())
        for part in ("cos(2*pi*x)", "gd", "learning rate 0.02", "77 steps", "seed 5"):
            assert part in text
    four = descend(landscape("styblinski-tang", 4), steps=5)
    assert "cannot be seen whole" in str(figures.draw_descent(four).get_label())
    log = figures.draw_descent(descend(landscape("rosenbrock"), steps=5))
    assert "Heights logarithmic" in str(log.get_label())


def test_every_outcome_has_its_own_mark() -> None:
    assert set(style.OUTCOMES) == set(OUTCOMES)
    assert len(set(style.OUTCOMES.values())) == len(OUTCOMES)


def test_unknown_choices() -> None:
    run = descend(WAVES, [0.4], steps=5)
    with pytest.raises(InputError, match="Did you mean 'landscape'"):
        figures.draw_descent(run, "landscap")
    with pytest.raises(InputError, match="two variables"):
        figures.draw_descent(run, "surface")
    with pytest.raises(InputError, match="heights"):
        figures.draw_landscape(PLANE, heights="cubic")
    with pytest.raises(InputError, match="theme"):
        figures.draw_function(WAVES, theme="blue")
    with pytest.raises(InputError, match="variable"):
        figures.draw_slices(PLANE, variables=("x", "q"))
    with pytest.raises(InputError, match="coordinates"):
        figures.draw_slices(PLANE, point=[1.0])


# --- files and pages ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".gif", b"GIF8")]
)
def test_file_types_and_the_same_file_twice(suffix: str, magic: bytes, tmp_path: Path) -> None:
    a = figures.save(figures.draw_function(WAVES), tmp_path / f"a{suffix}").read_bytes()
    b = figures.save(figures.draw_function(WAVES), tmp_path / f"b{suffix.upper()}").read_bytes()
    assert a.startswith(magic)
    assert a == b


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    figure = figures.draw_function(WAVES)
    (tmp_path / "folder.png").mkdir()
    for name in ("a.jpg", "a", "none/a.png", "folder.png"):
        with pytest.raises(InputError):
            figures.save(figure, tmp_path / name)


def test_an_inline_svg_takes_the_page_colours() -> None:
    import xml.etree.ElementTree as ET

    run = descend(WAVES, [0.05], learning_rate=0.01, steps=100)
    figure = figures.draw_descent(run)
    svg = figures.figure_svg(figure)
    assert svg == figures.figure_svg(figure)
    assert svg == figures.figure_svg(figures.draw_descent(run))
    root = ET.fromstring(svg)
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(set(ids)) == len(ids)
    used = {
        value[1:]
        for e in root.iter()
        for key, value in e.attrib.items()
        if key.endswith("href") and value[0] == "#"
    }
    assert used <= set(ids)
    for theme in style.THEMES.values():
        for colour in (theme.ink, theme.muted, theme.faint, theme.paper):
            assert colour not in svg
    assert "currentColor" in svg
    other = figures.figure_svg(figures.draw_function(WAVES))
    assert not set(ids) & {e.get("id") for e in ET.fromstring(other).iter() if e.get("id")}
    assert figures.figure_svg(figures.draw_function(WAVES), "mine").count('id="mine-i0"') == 1


def test_labels_are_escaped() -> None:
    f = function(lambda x: x[0] ** 2, {"x": (-1, 1)}, label='<script>"$x$ & $y$')
    svg = figures.figure_svg(figures.draw_function(f))
    assert "<script>" not in svg
    assert "<svg" in figures.figure_html(figures.draw_function(f))


def test_a_heavy_figure_becomes_a_png(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MOST_SVG", 10)
    assert figures.figure_html(figures.draw_function(WAVES)).startswith('<img src="data:image/png;base64,')


def test_nothing_global_is_touched() -> None:
    code = (
        "import sys, descentlab.figures as F\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import matplotlib\n"
        "before = dict(matplotlib.rcParams)\n"
        "from descentlab.objective import formula\n"
        "F.figure_html(F.draw_function(formula('x^2')))\n"
        "assert dict(matplotlib.rcParams) == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_figure_shows_itself_in_a_notebook_without_pyplot() -> None:
    for figure in (descend(formula("x^2"), start=[1.0], steps=20).plot(), formula("x^2").plot()):
        assert figure._repr_html_().startswith("<svg")
        assert figure._repr_png_()[1:4] == b"PNG"
