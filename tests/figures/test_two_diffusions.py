"""The two diffusions beside each other."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

pytest.importorskip("torch")

from difffilter.ddpm import NoiseSchedule
from difffilter.figures.two_diffusions import Way, animate, draw, two_diffusions


@pytest.fixture
def three_ways(photo):
    return two_diffusions(photo[:24, :32], frames=4, last=90, weights="auto", steps=3)


@pytest.mark.parametrize("channel_axis", [None, 0, -1])
def test_both_keep_the_same_share_of_the_variance(photo, channel_axis):
    picture = photo[:40, :56].astype(np.float64)
    if channel_axis is not None:
        picture = np.stack([picture, picture**2, 1 - picture], axis=channel_axis)
    blur, noise = two_diffusions(picture, frames=4, last=400, channel_axis=channel_axis)
    variances = [np.var(x, axis=(0, 1)).sum() for x in blur.images]
    shares = np.divide(variances, variances[0])
    alpha_bar = NoiseSchedule().alpha_bar([0, 44, 178, 400])
    assert_allclose(shares, alpha_bar, rtol=2e-3)
    assert noise.captions == ["t = 0", "t = 44", "t = 178", "t = 400"]
    # The rest of the noisy images is noise of the variance 1 - ᾱ, in [-1, 1], a quarter in [0, 1].
    for x, share in zip(noise.images, alpha_bar, strict=True):
        signal = share**0.5 * (noise.images[0] - 0.5) + 0.5
        assert np.var(x - signal) == pytest.approx((1 - share) / 4, rel=0.05, abs=1e-9)


@pytest.mark.parametrize("method", ["perona_malik", "tv_flow", "auto", "heat(scheme='explicit')"])
def test_another_pde_keeps_the_same_share_as_far_as_it_can(photo, method):
    way, _ = two_diffusions(photo[:40, :56].astype(np.float64), method=method, frames=6, last=300)
    title = method.partition("(")[0]
    assert way.title == {"heat": "heat equation", "auto": "edge_enhancing"}.get(title, title)
    times = [float(caption.removeprefix("T = ")) for caption in way.captions]
    assert times == sorted(set(times))
    variances = [np.var(x) for x in way.images]
    shares, wanted = (
        np.divide(variances, variances[0]),
        NoiseSchedule().alpha_bar([0, 12, 48, 108, 192, 300]),
    )
    reached = np.array(times) < 300
    assert_allclose(shares[reached], wanted[reached], rtol=0.03)
    if not reached.all():
        assert (shares[~reached] > 0.97 * wanted[~reached]).all()


def test_a_pde_that_changes_little_is_shown_up_to_the_longest_time(photo):
    way, _ = two_diffusions(photo[:24, :32], method="perona_malik(kappa=0.002)", frames=4)
    assert way.captions[-1] == "T = 300"
    assert way.captions == list(dict.fromkeys(way.captions))


def test_the_reverse_process_starts_where_the_forward_one_ends(three_ways):
    _, noise, back = three_ways
    assert back.title == "DDPM, reverse"
    assert back.captions == noise.captions == ["t = 0", "t = 10", "t = 40", "t = 90"]
    np.testing.assert_array_equal(back.images[-1], noise.images[-1])
    errors = [np.mean((x - noise.images[0]) ** 2) for x in back.images]
    assert errors[0] < errors[-1] / 3


def test_large_images_are_shrunk_and_small_ones_not():
    picture = np.linspace(0, 1, 600 * 300).reshape(600, 300)
    assert two_diffusions(picture, frames=2, size=100)[0].images[0].shape == (100, 50)
    assert two_diffusions(picture[:7, :9], frames=2, size=100)[0].images[0].shape == (7, 9)


def test_a_flat_image_and_a_single_pixel_do_not_change():
    for shape, method in itertools.product(((6, 5), (1, 1)), ("heat", "perona_malik", "auto")):
        blur, _ = two_diffusions(np.full(shape, 0.3), method=method, frames=3)
        assert blur.captions == ["T = 0"] * 3
        assert_allclose(blur.images[-1], 0.3)


def test_the_figure_has_a_picture_for_each_step(three_ways):
    figure = draw(three_ways)
    assert len(figure.axes) == 12
    assert [axes.get_title() for axes in figure.axes[4:8]] == three_ways[1].captions


def durations(path):
    """The time for which each frame of an animation is shown, in milliseconds."""
    with Image.open(path) as animation:
        for number in range(animation.n_frames):
            animation.seek(number)
            animation.load()
            yield animation.info["duration"]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_the_animation_runs_forward_and_back(three_ways, tmp_path, suffix):
    path = tmp_path / f"way{suffix}"
    animate(three_ways, path, pause=2)
    there, back = [125, 125, 125, 375], [125, 125, 375]
    # (A GIF counts hundredths of a second.)
    assert list(durations(path)) == pytest.approx(there + back, abs=6)
    animate(three_ways[:2], path, pause=2)
    assert list(durations(path)) == pytest.approx(there, abs=6)


def test_an_animation_in_webp_is_smaller_than_in_gif(three_ways, tmp_path):
    for suffix in (".gif", ".webp"):
        animate(three_ways, tmp_path / f"way{suffix}")
    assert (tmp_path / "way.webp").stat().st_size < (tmp_path / "way.gif").stat().st_size / 2


def test_a_gif_is_dithered(tmp_path):
    """A slow ramp has no bands: locally, the mean is right although there are only 64 shades."""
    ramp = np.tile(np.linspace(0.4, 0.5, 200), (100, 1))
    way = Way("ramp", [ramp, ramp], ["one", "two"])
    animate([way, Way("noise", [np.eye(100, 200)] * 2, ["one", "two"])], tmp_path / "ramp.gif")
    with Image.open(tmp_path / "ramp.gif") as gif:
        shown = np.asarray(gif.convert("L"), float)[80:140, 20:280] / 255
    runs = np.diff(np.flatnonzero(np.diff(shown, axis=1).any(axis=0)))
    assert runs.max() < 20  # columns with one shade
    with pytest.raises(ValueError, match=r"suffix is '.mp4'; expected one of .gif, .webp"):
        animate([way, way], tmp_path / "ramp.mp4")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 1}, "frames is 1; expected a whole number ≥ 2"),
        ({"last": 1001}, "last is 1001; expected a step from 1 to 1000"),
        ({"size": 0}, "size is 0; expected a whole number ≥ 1"),
        ({"steps": 0, "weights": "auto"}, "steps is 0; expected a whole number ≥ 1"),
        ({"method": "ddpm"}, "method is ddpm, which has no time; expected a PDE"),
        ({"channel_axis": 0}, "image has 8 channels; expected 1 or 3"),
    ],
)
def test_bad_arguments_are_named(options, message):
    shape = (8, 8, 8) if "channel_axis" in options else (8, 8)
    with pytest.raises(ValueError, match=message):
        two_diffusions(np.zeros(shape), **options)
