"""Rendered scenes: areas and symmetries of the shapes, colours, textures, and nothing out of place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass
from skimage.color import rgb2lab
from skimage.feature import structure_tensor, structure_tensor_eigenvalues

from difffilter.generate.rendering import RADII, RGB, coverage, render, texture
from difffilter.generate.scenes import (
    BACKGROUNDS,
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    Scene,
    Thing,
    draw_scene,
)

SEEDS = st.integers(0, 2**32 - 1)

# Areas for a radius of 1.
AREAS = {
    "circle": np.pi,
    "square": 1.76**2,
    "triangle": 3 * np.sqrt(3) / 4 * 1.05**2,
    "star": 5 * 0.5 * np.sin(np.pi / 5),
    "heart": (4 + np.pi) * 0.56**2,
    "ring": np.pi * (1 - 0.55**2),
}


def covered(shape, centre=(32, 32), radius=20.0, angle=0.0, size=64):
    """The whole picture of what a shape covers."""
    picture = np.zeros((size, size))
    window, values = coverage(shape, centre, radius, angle, size)
    picture[window] = values
    return picture


def chroma(picture):
    """The range of red, green and blue at each pixel: 0 for greys."""
    return np.ptp(picture.astype(float), axis=2)


def rendered(seed, background="plain", pixels=64, **attributes):
    """A picture of one thing: a medium red circle in the centre, unless said otherwise."""
    words = {"colour": "red", "shape": "circle", "size": "medium", "place": "centre"} | attributes
    return render(Scene((Thing(**words),), background), np.random.default_rng(seed), size=pixels)


def nearest_colour(rgb):
    """The name of the nearest of the eight colours in CIELAB."""
    lab = rgb2lab(np.array([rgb, *RGB.values()])[None] / 255)[0]
    return list(RGB)[np.linalg.norm(lab[1:] - lab[0], axis=1).argmin()]


# --- shapes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [*RADII.values(), 20])
@pytest.mark.parametrize("shape", SHAPES)
def test_area_is_the_analytic_one(shape, radius, rng):
    """In the mean over positions: 16 samples a pixel are not exact, but unbiased."""
    areas = [
        covered(shape, rng.uniform(30, 34, 2), radius, rng.uniform(-0.1, 0.1)).sum()
        for _ in range(200)
    ]
    assert np.mean(areas) == pytest.approx(AREAS[shape] * radius**2, rel=0.005)


@pytest.mark.parametrize("shape", SHAPES)
@given(angle=st.floats(-0.1, 0.1))
def test_shapes_are_symmetric(shape, angle):
    """Seen in a mirror, a shape turned to the left is the shape turned to the right."""
    turned, mirrored = covered(shape, angle=angle), covered(shape, angle=-angle)[:, ::-1]
    assert abs(turned - mirrored).max() <= 1 / 16  # a sample on the very border


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_move_with_their_centre(shape):
    there = covered(shape, (30.25, 20.5), 8, 0.05)
    np.testing.assert_array_equal(
        np.roll(there, (5, 12), (0, 1)), covered(shape, (35.25, 32.5), 8, 0.05)
    )


def test_shapes_stand_upright():
    """The triangle on its base and the heart on its tip, the star with a point at the top."""
    halves = {shape: (covered(shape)[:32].sum(), covered(shape)[32:].sum()) for shape in SHAPES}
    assert halves["triangle"][0] < 0.7 * halves["triangle"][1]
    assert halves["heart"][1] < 0.8 * halves["heart"][0]
    star = covered("star") > 0.5
    assert star[14].sum() in (1, 2)
    assert star[46].sum() == 4  # the two lower points,
    assert not star[46, 25:39].any()  # and nothing between them


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "star"])
def test_shapes_are_centred(shape):
    """By their height; the star, whose points lie on a circle, by that circle."""
    rows = np.flatnonzero(covered(shape, radius=16).any(1))
    assert abs(rows[0] + rows[-1] - 63) <= 1


def test_positive_angles_turn_to_the_left():
    tip = covered("triangle", angle=0.2)[15:20].sum(0)
    assert tip @ np.arange(64) / tip.sum() < 30


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("angle", np.radians([-6, 0, 6]))
def test_shapes_fit_a_square_of_twice_their_radius(shape, angle):
    inside = covered(shape, angle=angle) > 0
    assert not inside[:12].any()
    assert not inside[52:].any()
    assert not inside[:, :12].any()
    assert not inside[:, 52:].any()


def test_borders_are_antialiased():
    """A circle of radius r passes through 8r pixels, of some of which it covers next to nothing."""
    circle = covered("circle")
    partial = circle[(circle > 0) & (circle < 1)]
    assert 5 * 20 < partial.size <= 8 * 20
    assert len(np.unique(partial)) > 10


def test_what_is_outside_of_the_picture_is_cut_off():
    whole = covered("star", (32, 32), 12)
    np.testing.assert_array_equal(covered("star", (0, 32), 12)[:12], whole[32:44])
    np.testing.assert_array_equal(covered("star", (64, 64), 12)[52:, 52:], whole[20:32, 20:32])


# --- pictures ---------------------------------------------------------------------------------


@given(SEEDS, st.sampled_from([32, 64, 65, 96]))
def test_things_stay_in_their_cells(seed, size):
    rng = np.random.default_rng(seed)
    scene = draw_scene(rng, unseen=None)
    picture = render(scene, rng, size=size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    coloured = chroma(picture) > 0
    for thing in scene.things:
        rows, columns = (slice(i * size // 3, -(-(i + 1) * size // 3)) for i in thing.cell)
        assert coloured[rows, columns].any()
        coloured[rows, columns] = False
    assert not coloured.any()


@pytest.mark.parametrize("colour", COLOURS)
@given(SEEDS)
def test_the_colour_at_the_centre_of_a_thing_is_nearest_to_its_name(colour, seed):
    """The centre of a ring shows the background."""
    rng = np.random.default_rng(seed)
    words = {"colour": colour, "size": rng.choice(SIZES), "place": rng.choice(PLACES)}
    background = str(rng.choice(BACKGROUNDS))
    for shape in SHAPES:
        picture = rendered(seed, background, shape=shape, **words)
        strength = chroma(picture)
        weight = strength / strength.sum()
        row, column = (round(weight.sum(1 - axis) @ np.arange(64)) for axis in (0, 1))
        full = picture[strength > 0.8 * strength.max()]
        assert nearest_colour(np.median(full, axis=0)) == colour
        if shape == "ring":
            assert strength[row, column] == 0
        else:
            assert nearest_colour(picture[row, column]) == colour


def test_colours_are_far_apart_and_far_from_the_greys():
    lab = rgb2lab(np.array([*RGB.values(), *[(g, g, g) for g in (180, 210, 240)]])[None] / 255)[0]
    distances = np.linalg.norm(lab[:8, None] - lab, axis=-1)
    assert distances[~np.eye(8, 11, dtype=bool)].min() > 40


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_radii_vary_by_8_percent(shape, size):
    """So areas by 16; greys have no chroma, so that of a pixel says how much of it is covered."""
    ratios = []
    for seed in range(60):
        strength = chroma(rendered(seed, shape=shape, size=size))
        area = (strength / strength.max()).sum()
        ratios.append(area / (AREAS[shape] * RADII[size] ** 2))
    tolerance = 0.05 if size == "small" else 0.02  # 16 samples a pixel
    assert 0.92**2 - tolerance < min(ratios) < 0.9
    assert 1.1 < max(ratios) < 1.08**2 + tolerance


@pytest.mark.parametrize("shape", SHAPES)
def test_sizes_are_never_mistaken(shape):
    extents = {
        size: [
            (chroma(rendered(seed, shape=shape, size=size)) > 0).any(0).sum() for seed in range(40)
        ]
        for size in SIZES
    }
    assert max(extents["small"]) < min(extents["medium"])
    assert max(extents["medium"]) < min(extents["large"])


def test_things_move_by_up_to_a_pixel_and_a_half():
    """Down and across on their own; large ones by less, since they stay in their cells."""
    pixels = np.arange(64) + 0.5
    for size, most in [("small", 1.5), ("medium", 1.5), ("large", 64 / 6 - 0.92 * 9.5)]:
        shifts = []
        for seed in range(100):
            strength = chroma(rendered(seed, size=size))
            shifts.append([strength.sum(axis) @ pixels / strength.sum() - 32 for axis in (0, 1)])
        limit = min(most, 1.5)
        assert 0.8 * limit < abs(np.array(shifts)).max() < limit + 0.05
        assert abs(np.corrcoef(np.transpose(shifts))[0, 1]) < 0.4


def test_things_turn_by_up_to_6_degrees_to_either_side():
    """The third moment of an equilateral triangle about its centroid turns three times as far."""
    angles = []
    for seed in range(60):
        strength = chroma(rendered(seed, size="large", shape="triangle"))
        row, column = center_of_mass(strength)
        rows, columns = np.indices(strength.shape)
        z = (columns - column) + 1j * (row - rows)
        moment = (strength * z**3).sum() / (-1j)  # that of a point at the top is (1j)³
        angles.append(np.degrees(np.angle(moment)) / 3)
    assert -6.5 < min(angles) < -5
    assert 5 < max(angles) < 6.5


def test_pixels_on_a_border_mix_thing_and_background():
    picture = rendered(3).astype(float)
    grey, red = picture[0, 0], picture[32, 32]
    share = (picture - grey) @ (red - grey) / ((red - grey) @ (red - grey))
    assert np.count_nonzero((share > 0.05) & (share < 0.95)) > 30
    assert abs(picture - (grey + share[..., None] * (red - grey))).max() < 1  # rounding


@given(SEEDS)
def test_the_same_seed_renders_the_same_picture(seed):
    scene = draw_scene(np.random.default_rng(seed), unseen=None)
    first, again, other = (render(scene, np.random.default_rng(s)) for s in (seed, seed, seed + 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_sizes_of_pictures_show_the_same_scene():
    """Each pixel of the small picture is the mean of four of the large one."""
    small, large = (rendered(5, pixels=pixels, size="large") for pixels in (64, 128))
    means = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert abs(small - means).max() < 30  # of 255: 16 samples a pixel against 64
    assert abs(small - means).mean() < 0.3


@pytest.mark.parametrize("size", [31, 64.0])
def test_bad_size(size):
    with pytest.raises(ValueError, match=f"^size is {size}; expected a whole number ≥ 32$"):
        rendered(0, pixels=size)


# --- backgrounds ------------------------------------------------------------------------------


def textures(background, count=20, size=64):
    return [texture(background, size, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_backgrounds_are_light_and_of_low_contrast(background):
    for grey in textures(background):
        assert 180 <= grey.mean() <= 240
        assert np.percentile(grey, 99) - np.percentile(grey, 1) < 45
        assert np.ptp(grey) == 0 if background == "plain" else 3 < grey.std() < 15


@pytest.mark.parametrize("background", ["striped", "checked", "dotted"])
def test_textures_scale_with_the_picture(background):
    for seed in range(10):
        small, large = (
            texture(background, size, np.random.default_rng(seed)) for size in (64, 128)
        )
        means = large.reshape(64, 2, 64, 2).mean((1, 3))
        assert abs(small - means).mean() < 0.05 * np.ptp(small)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize(
    ("background", "share"), [("striped", 1 / 2), ("checked", 1 / 2), ("dotted", np.pi * 0.3**2)]
)
def test_share_of_the_darker_grey(background, share, size):
    shares = [
        ((grey.max() - grey) / np.ptp(grey)).mean() for grey in textures(background, size=size)
    ]
    assert np.mean(shares) == pytest.approx(share, abs=0.01)


def coherence(grey):
    """1 where a texture varies along one direction only, 0 where equally along both."""
    tensor = structure_tensor(grey / 255, mode="nearest")
    large, small = structure_tensor_eigenvalues([np.full((1, 1), each.mean()) for each in tensor])
    return ((large - small) / (large + small)).item()


def test_stripes_alone_have_a_direction():
    assert min(coherence(grey) for grey in textures("striped")) > 0.9
    for background in ("checked", "dotted", "grainy"):
        assert max(coherence(grey) for grey in textures(background)) < 0.3


def test_grain_is_random_and_five_pixels_wide():
    grains = [(grey - grey.mean()) / grey.std() for grey in textures("grainy", count=60)]
    for lag in range(1, 9):
        along = [(noise[lag:] * noise[:-lag]).mean() for noise in grains]
        across = [(noise[:, lag:] * noise[:, :-lag]).mean() for noise in grains]
        # Means of five values each way share 5 − lag of them.
        expected = pytest.approx(max(0, 1 - lag / 5), abs=0.06)
        assert np.mean(along) == expected
        assert np.mean(across) == expected


def test_a_grain_grows_with_a_large_picture():
    large = texture("grainy", 256, np.random.default_rng(0))
    grain = (large - large.mean()) / large.std()
    # Grains are twenty pixels wide there.
    for lag in (5, 10, 15):
        assert (grain[lag:] * grain[:-lag]).mean() == pytest.approx(1 - lag / 20, abs=0.1)
