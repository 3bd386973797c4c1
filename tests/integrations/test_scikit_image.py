"""Every filter works in scikit-image's calibration."""

import numpy as np
import pytest
from skimage.restoration import calibrate_denoiser, denoise_invariant

import difffilter as df

FILTERS = (
    *("heat", "perona_malik", "tv_flow", "edge_enhancing", "coherence_enhancing"),
    *("curvature_motion", "forward_backward"),
)


@pytest.fixture
def noisy(rng):
    clean = np.kron(rng.random((4, 4)), np.ones((8, 8)))
    return clean + 0.1 * rng.standard_normal(clean.shape)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_are_calibrated(noisy, name):
    function = getattr(df, name)
    parameters = {"time": [0.01, 0.3]}
    best = calibrate_denoiser(noisy, function, parameters, approximate_loss=False)
    chosen = best.keywords["denoiser_kwargs"]
    # The risk that J-invariance estimates: of each pixel as its neighbours predict it.
    risks = {
        time: np.square(
            denoise_invariant(noisy, function, denoiser_kwargs={"time": time}) - noisy
        ).mean()
        for time in parameters["time"]
    }
    assert chosen["time"] == min(risks, key=risks.get)
    assert best(noisy).shape == noisy.shape


def test_methods_are_calibrated_by_name(noisy):
    grid = {"method": ["heat", "perona_malik"], "time": [0.5, 2.0]}
    best = calibrate_denoiser(noisy, df.denoise, grid)
    assert best.keywords["denoiser_kwargs"].keys() == grid.keys()
    assert np.square(best(noisy) - noisy).mean() < 0.05


def test_colours_are_calibrated(rng):
    noisy = rng.random((24, 24, 3))
    grid = {"kappa": [0.1, 0.5], "channel_axis": [-1]}
    best = calibrate_denoiser(noisy, df.perona_malik, grid)
    assert best.keywords["denoiser_kwargs"]["kappa"] in (0.1, 0.5)
