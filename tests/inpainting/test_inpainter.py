"""The contract: laws that every Inpainter keeps, and what is said of bad arguments."""

import numpy as np
import pytest

import difffilter as df
from difffilter.inpainting.catalog import CATALOG

LINEAR = ["harmonic", "biharmonic"]
PDES = [*LINEAR, "edge_enhancing", "coherence_transport"]


def image_and_mask(shape=(21, 17), dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.3
    mask[0, 0] = False
    return rng.random(shape).astype(dtype), mask


@pytest.mark.parametrize("method", PDES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.uint16, bool])
def test_known_pixels_are_untouched_and_the_dtype_is_that_of_a_denoiser(method, dtype):
    values, mask = image_and_mask()
    image = (values * (255 if dtype == np.uint8 else 60_000)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        image = values.astype(dtype)
    before = image.copy()
    found, expected = df.inpaint(image, mask, method), df.make("identity")(image, 0.0)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found[~mask], expected[~mask])
    assert not np.shares_memory(found, image)
    np.testing.assert_array_equal(image, before)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("method", PDES)
def test_what_stands_in_a_hole_does_not_matter(method):
    image, mask = image_and_mask()
    expected = df.inpaint(image, mask, method)
    for value in (0, 1e6, np.nan, np.inf):
        found = df.inpaint(np.where(mask, np.float32(value), image), mask, method)
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        df.inpaint(np.where(mask, np.nan, image), method=method), expected
    )


@pytest.mark.parametrize("method", PDES)
def test_nothing_leaks_from_pixels_that_are_ignored(method):
    image, mask = image_and_mask()
    ignore = np.zeros(mask.shape, bool)
    ignore[5:9, 3:12] = True
    found = df.inpaint(image, mask, method, ignore=ignore)
    for value in (1e6, np.nan):
        other = np.where(ignore, np.float32(value), image)
        again = df.inpaint(other, mask, method, ignore=ignore)
        np.testing.assert_array_equal(again[~ignore], found[~ignore])
        np.testing.assert_array_equal(again[ignore], other[ignore])


@pytest.mark.parametrize("method", LINEAR)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_channels_are_filled_alike_wherever_their_axis_is(method, axis):
    image, mask = image_and_mask((9, 11))
    colour = np.stack([image, 1 - image, image**2], axis)
    found = df.inpaint(colour, mask, method, channel_axis=axis)
    for channel, own in zip(np.moveaxis(found, axis, 0), (image, 1 - image, image**2), strict=True):
        np.testing.assert_allclose(channel, df.inpaint(own, mask, method), atol=1e-6)


@pytest.mark.parametrize("method", PDES)
@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (1, 13), (7, 1), (3, 5), (2, 3, 4), (1, 1, 2)])
def test_every_size(method, shape):
    if method == "coherence_transport" and len(shape) == 3:
        return  # refused, see its own tests
    image = np.linspace(0, 1, np.prod(shape)).reshape(shape)
    for number in range(image.size):
        mask = np.arange(image.size).reshape(shape) != number
        found = df.inpaint(image, mask, method)
        np.testing.assert_allclose(found, image.flat[number], atol=1e-4)  # all that is known


@pytest.mark.parametrize("method", LINEAR)
@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, np.transpose])
def test_equivariance(method, turn):
    image, mask = image_and_mask((23, 19), np.float64)
    found = df.inpaint(turn(image), turn(mask), method, tolerance=1e-9)
    expected = turn(df.inpaint(image, mask, method, tolerance=1e-9))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("method", PDES)
def test_views_and_arrays_that_are_read_only(method):
    image, mask = image_and_mask((24, 20))
    expected = df.inpaint(np.ascontiguousarray(image[::2, ::-2]), mask[::2, ::-2].copy(), method)
    image.flags.writeable = mask.flags.writeable = False
    np.testing.assert_array_equal(df.inpaint(image[::2, ::-2], mask[::2, ::-2], method), expected)


@pytest.mark.parametrize("method", CATALOG)
def test_a_mask_of_nothing_returns_the_image(method):
    if method == "ddpm":
        pytest.importorskip("torch")
    image, mask = image_and_mask()
    found = df.inpaint(image, np.zeros(mask.shape, bool), method)
    np.testing.assert_array_equal(found, image)
    assert not np.shares_memory(found, image)


IMAGE, MASK = image_and_mask((4, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: df.inpaint(IMAGE, method="harmonic"), ValueError,
         "mask is None; expected a mask, as the image has no NaN"),
        (lambda: df.inpaint(IMAGE, MASK.astype(np.uint8), "harmonic"), TypeError,
         "mask has dtype uint8; expected bool"),
        (lambda: df.inpaint(IMAGE, MASK[1:], "harmonic"), ValueError,
         "mask has shape (3, 5); expected (4, 5), the spatial shape of the image"),
        (lambda: df.inpaint(IMAGE[..., None], MASK[..., None], "harmonic", channel_axis=-1), ValueError,
         "mask has shape (4, 5, 1); expected (4, 5), the spatial shape of the image"),
        (lambda: df.inpaint(IMAGE, MASK, "harmonic", ignore=MASK.T), ValueError,
         "ignore has shape (5, 4); expected (4, 5), the spatial shape of the image"),
        (lambda: df.inpaint(IMAGE, np.ones((4, 5), bool), "harmonic"), ValueError,
         "mask is True for all 20 pixels that are not ignored; expected some that are known"),
        (lambda: df.inpaint(IMAGE, MASK, "harmonic", ignore=~MASK), ValueError,
         f"mask is True for all {MASK.sum()} pixels that are not ignored; expected some that are known"),
        (lambda: df.inpaint(np.where(MASK, IMAGE, np.nan), MASK, "harmonic"), ValueError,
         f"image has {(~MASK).sum()} pixels that are NaN or infinite; replace them, or exclude them "
         "with a mask after filling them with a number"),
        (lambda: df.inpaint(IMAGE, MASK, "harmonik"), ValueError,
         "unknown method 'harmonik'; did you mean 'harmonic'?"),
        (lambda: df.inpaint(IMAGE, MASK, "harmonic(kappa=1)"), ValueError,
         "harmonic has no parameter 'kappa'; there are: tolerance"),
        (lambda: df.inpaint(IMAGE, MASK, "harmonic", tolerance=0), ValueError,
         "tolerance is 0; expected a finite number > 0 and ≤ 0.1"),
        (lambda: df.inpaint(IMAGE, MASK, 3), TypeError, "method is 3; expected a name or an Inpainter"),
        (lambda: df.make_inpainter(3), TypeError,
         "method is 3; expected text such as 'harmonic'"),
        (lambda: df.inpaint(IMAGE, MASK, df.make_inpainter("harmonic"), tolerance=1e-3), TypeError,
         "parameters are tolerance; expected none beside an Inpainter, which has its own"),
        (lambda: df.inpaint(IMAGE, MASK, "harmonic", spacing=(1, 2, 3)), ValueError,
         "spacing is (1, 2, 3); expected one number, or one for each of the 2 spatial axes"),
    ],
)  # fmt: skip
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == message


def test_pixels_cut_off_from_every_known_one():
    mask, ignore = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    mask[3:6, 3:6] = True
    ignore[2:7, 2:7] = ~mask[2:7, 2:7]
    message = r"^ignore cuts 9 pixels of the mask off from every known one; expected none$"
    with pytest.raises(ValueError, match=message):
        df.inpaint(np.zeros((9, 9)), mask, "harmonic", ignore=ignore)
