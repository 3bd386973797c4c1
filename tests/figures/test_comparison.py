"""Several methods on one image."""

import numpy as np
import pytest

import difffilter as df
from difffilter.figures import comparison


def darker(noisy, sigma=None, *, channel_axis=None):
    return 0.9 * noisy


def test_a_function_is_compared_like_a_method(photo):
    noisy = df.add_noise(photo, 0.1)
    methods = {"heat": df.Heat(), "darker": darker}
    heat, dark = comparison.compare(noisy, methods, 0.1, clean=photo)
    assert heat.denoiser.time > 0
    assert heat.psnr > df.psnr(photo, noisy) > dark.psnr
    np.testing.assert_array_equal(dark.image, np.clip(0.9 * noisy, 0, 1))


@pytest.mark.parametrize("channel_axis", [None, 0, -1])
def test_the_figure_leaves_out_what_equals_the_noisy_image(photo, channel_axis):
    noisy = df.add_noise(photo, 0.1)
    if channel_axis is not None:
        noisy = np.stack([noisy] * 3, axis=channel_axis)
    methods = {"identity": df.Identity(), "darker": darker, "same": lambda x, *_, **__: x}
    entries = comparison.compare(noisy, methods, 0.1, channel_axis=channel_axis)
    figure = comparison.figure(noisy, entries, channel_axis=channel_axis)
    titles = [axes.get_title().split("\n")[0] for axes in figure.axes]
    assert [title for title in titles if title] == ["noisy", "darker"]


def test_bad_sigma_is_refused_before_any_method_runs(photo):
    def never(*arguments, **options):
        raise AssertionError

    with pytest.raises(ValueError, match="did you mean 25/255"):
        comparison.compare(photo, {"never": never}, 25)
