"""The figure of a noise model."""

import numpy as np
import pytest

import difffilter as df
from difffilter.figures.noise import figure

SPECTRUM = np.ones((8, 8))[..., None, None]


def model(channels, *, scale=1.0):
    """Noise that is stronger where the image is bright, and in later channels."""
    levels = np.array([0.2, 0.5, 0.8])
    strengths = np.arange(1, channels + 1)[:, None] * np.array([0.01, 0.02, 0.04])
    spectrum = SPECTRUM * np.eye(channels)
    return df.NoiseModel(scale * levels, scale * strengths, spectrum, False, 0.03 * scale)


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


@pytest.mark.parametrize(
    ("channels", "labels"),
    [
        (1, [""]),
        (2, ["1", "2"]),
        (3, ["red", "green", "blue"]),
        (9, [str(k) for k in range(1, 10)]),
    ],
)
def test_a_line_for_each_channel_in_units_of_the_image(channels, labels):
    for scale, factor, unit in ((1, 255, " (1/255)"), (1000, 1, "")):
        given = model(channels, scale=scale)
        strength, correlation = figure(given).axes
        found = lines(strength)
        assert strength.get_xlabel() == f"intensity{unit}"
        assert len(found) == channels
        for values, name, label in zip(given.deviations, labels, found, strict=True):
            if name:
                assert label == name
            expected = factor * np.column_stack([given.levels, values])
            np.testing.assert_allclose(found[label], expected)
        assert [text.get_text() for text in correlation.texts][:2] == ["1.00", "0.00"]


def test_numbers_are_those_of_the_correlation(rng):
    noisy = df.add_noise(np.full((128, 128), 0.5), 0.1, "correlated", rng)
    given = df.estimate_noise(noisy)
    drawn = figure(given)
    shown = [float(text.get_text()) for text in drawn.axes[1].texts]
    np.testing.assert_allclose(np.reshape(shown, (4, 4)), given.correlation[3:, 3:], atol=0.005)
    assert "not white" in drawn.get_suptitle()


def test_white_noise_is_a_horizontal_line(rng):
    given = df.estimate_noise(0.5 + 0.1 * rng.standard_normal((64, 64)))
    drawn = figure(given)
    [line] = drawn.axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), 255 * given.sigma)
    assert drawn.get_suptitle().startswith("White noise: σ = ")
    assert len(drawn.axes[0].get_xticks())
    large = figure(df.estimate_noise(1000 + 50 * rng.standard_normal((64, 64))))
    assert not len(large.axes[0].get_xticks())
