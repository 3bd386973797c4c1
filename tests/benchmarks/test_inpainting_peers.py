"""Methods of other libraries fill in holes, and nothing else."""

import doctest
import sys

import fillings
import numpy as np
import pytest
from peers import inpainting as peers

import difffilter as df
from difffilter.catalog import MissingExtra
from difffilter.inpainting import make_holes

NAMES = ("Biharmonic", "Multigrid", "NavierStokes", "Telea")


def made(name, **parameters):
    """A peer; where its library is missing, the test is skipped with the message that says so."""
    try:
        return getattr(peers, name)(**parameters)
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.fixture(params=NAMES)
def peer(request):
    return made(request.param)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_known_pixels_stay_and_holes_are_not_seen(peer, dtype, rng):
    image = rng.random((23, 31)).astype(dtype)
    mask = make_holes(image.shape, "random(share=0.4)", 0)
    before = image.copy()
    image.flags.writeable = mask.flags.writeable = False
    result = peer(image, mask)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result[~mask], image[~mask])
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(peer(np.where(mask, dtype(0.7), image), mask), result)
    np.testing.assert_array_equal(peer(image, np.zeros_like(mask)), image)


def test_channels_are_filled_in_one_by_one(peer, rng):
    image = rng.random((17, 19, 3), np.float32)
    mask = make_holes((17, 19), "random(share=0.4)", 0)
    last = peer(image, mask, channel_axis=-1)
    first = peer(np.moveaxis(image, -1, 0), mask, channel_axis=0)
    np.testing.assert_array_equal(np.moveaxis(first, 0, -1), last)
    for channel in range(3):
        np.testing.assert_array_equal(last[..., channel], peer(image[..., channel], mask))


def test_a_photograph_is_better_with_its_holes_filled_in(peer, photo):
    mask = make_holes(photo.shape, "text", 0)
    mean = np.where(mask, photo[~mask].mean(), photo)
    assert df.psnr(photo, peer(photo, mask), mask=mask) > df.psnr(photo, mean, mask=mask) + 3


def test_multigrid_solves_the_laplace_equation(rng):
    image = rng.random((31, 29))
    mask = make_holes(image.shape, "random(share=0.7)", 1)
    np.testing.assert_allclose(
        made("Multigrid")(image, mask), fillings.solved(image, mask), atol=1e-6
    )


@pytest.mark.parametrize("name", ["NavierStokes", "Telea"])
def test_opencv_fills_in_with_eight_bits(name, photo):
    mask = make_holes(photo.shape, "scratches", 0)
    levels = 255 * made(name)(photo.astype(np.float64), mask)[mask]
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)


@pytest.mark.parametrize(("name", "key"), [("Telea", "radius"), ("Multigrid", "tolerance")])
def test_parameters_are_checked(name, key):
    made(name)
    with pytest.raises(ValueError, match=rf"^{key} is 0; expected a finite number > 0$"):
        getattr(peers, name)(**{key: 0})


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_hold(name):
    peer = type(made(name))
    for example in doctest.DocTestFinder(recurse=False).find(peer, name):
        example.globs |= vars(peers)
        assert example.examples
        assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_library_is_named(name, monkeypatch):
    peer = getattr(peers, name)
    monkeypatch.setitem(sys.modules, peer.MODULE, None)
    with pytest.raises(MissingExtra) as caught:
        peer()
    assert str(caught.value) == f"{name} needs {peer.PACKAGE}: pip install 'difffilter[peers]'"
