"""A noise model in words."""

import numpy as np
from scipy.ndimage import gaussian_filter

import difffilter as df

LEVELS = np.array([0.2, 0.6])
WHITE = np.ones((8, 8, 1, 1))


def test_white_noise_takes_one_line():
    model = df.NoiseModel(LEVELS[:1], np.array([[0.1]]), WHITE, True, 0.1)
    assert str(model) == "white: independent from pixel to pixel, sigma 25.5/255"
    assert str(df.estimate_noise(np.full((64, 64), 0.5))) == "no noise found"


def test_the_strength_is_a_table_only_where_it_varies():
    varying = df.NoiseModel(LEVELS, np.array([[0.1, 0.2]]), WHITE, False, 0.15)
    assert str(varying).splitlines()[1:] == [
        "intensity    51   153  /255",
        "sigma      25.5  51.0",
    ]
    even = df.NoiseModel(LEVELS, np.array([[0.1, 0.1]]), WHITE, False, 0.1)
    assert str(even).splitlines()[1:] == ["equally strong everywhere: sigma 25.5/255"]


def test_colours_have_names_and_correlations(rng):
    noise = gaussian_filter(rng.standard_normal((128, 128, 1)), (1, 1, 0))
    model = df.estimate_noise(0.5 + noise * np.array([0.1, 0.1, 0.2]), channel_axis=2)
    first, second, *table = str(model).splitlines()
    assert first.startswith("not white: correlation 0.7")
    assert second == "correlation of the channels: red-green 1.00, red-blue 1.00, green-blue 1.00"
    assert [line.split()[0] for line in table] == ["intensity", "red", "green", "blue"]
    assert len({len(line.removesuffix("  /255")) for line in table}) == 1


def test_intensities_beyond_1_stay_in_their_unit():
    model = df.NoiseModel(1e4 * LEVELS, np.array([[100, 250.0]]), WHITE, False, 180.0)
    assert str(model).splitlines()[1:] == [
        "intensity     2000     6000",
        "sigma          100      250",
    ]
