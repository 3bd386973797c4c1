"""A dask array in, a dask array out."""

import numpy as np
import pytest
from equations import EQUATIONS

import difffilter as df

da = pytest.importorskip("dask.array")

# Explicit steps, of which blocks leave no trace.
METHOD = EQUATIONS["perona_malik"].method()


class Counted:
    """An array that counts how often it is read."""

    def __init__(self, values):
        self.values, self.reads = values, 0
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __getitem__(self, index):
        self.reads += 1
        return self.values[index]


@pytest.mark.parametrize("chunks", [(64, 50), (3, 100), 200])
def test_dask_array_in_dask_array_out(chunks, rng):
    image = rng.random((150, 130), np.float32)
    source = Counted(image)
    lazy = da.from_array(source, chunks)
    source.reads = 0  # it looked at the type
    result = df.denoise(lazy, method=METHOD)
    assert source.reads == 0
    assert isinstance(result, da.Array)
    assert (result.shape, result.dtype) == (image.shape, np.float32)
    np.testing.assert_array_equal(result.compute(), df.denoise(image, method=METHOD))


@pytest.mark.parametrize("axis", [0, -1])
def test_dask_colours_of_integers(axis, rng):
    image = np.moveaxis(rng.integers(0, 256, (60, 70, 3), np.uint8), -1, axis)
    text = "perona_malik(kappa=0.1, time=1, diffusivity='tukey', presmooth=0, step=0.25)"
    result = df.denoise(da.from_array(image, 32), method=text, channel_axis=axis)
    np.testing.assert_array_equal(result, df.denoise(image, method=text, channel_axis=axis))


def test_dask_chooses_once_and_as_for_an_array(photo, rng):
    noisy = photo + rng.normal(0, 0.1, photo.shape)
    result = df.denoise(da.from_array(noisy, 50))
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, df.denoise(noisy), atol=1e-6)


@pytest.mark.parametrize("noise", ["poisson", "speckle"])
def test_dask_with_noise_that_depends_on_the_signal(noise, photo):
    noisy = df.add_noise(photo, 0.1, noise).astype(np.float32)
    noisy[:40] *= 0.3  # the brightest pixels are in few of the blocks
    lazy = df.denoise(
        da.from_array(noisy, chunks=40), noise=noise, method="curvature_motion(time=1)"
    )
    whole = df.denoise(noisy, noise=noise, method="curvature_motion(time=1)")
    np.testing.assert_allclose(lazy.compute(), whole, atol=2e-5)


def test_dask_goes_by_the_tiles_of_a_ddpm(rng):
    pytest.importorskip("torch")
    image = rng.random((100, 150), np.float32)
    method = "ddpm(tile=64, dtype='float32')"
    result = df.denoise(da.from_array(image, 70), sigma=0.1, method=method)
    # The same tiles, but how PyTorch's threads share a sum is up to them.
    np.testing.assert_allclose(result, df.denoise(image, sigma=0.1, method=method), atol=2e-6)


def test_dask_complains_at_once():
    with pytest.raises(ValueError, match="2 or 3 axes besides channels"):
        df.denoise(da.zeros((2, 2, 2, 2)))
    with pytest.raises(TypeError, match="real numbers; got dtype complex128"):
        df.denoise(da.zeros((2, 2), dtype=complex))
    with pytest.raises(ValueError, match="chunks of unknown size"):
        df.denoise(da.zeros(8)[da.zeros(8) == 0])
