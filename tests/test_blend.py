"""A share of the change that a method makes, for luminance and colour apart."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import tifffile
from command import invoke, invoke_error, invoke_ok, run
from PIL import Image

import difffilter as df
from difffilter.blocks.filter import BlockFilter
from difffilter.catalog import as_text, spell
from difffilter.image import LUMA, like

METHODS = [name for name in df.methods() if name not in ("blended", "ddpm")] + [
    pytest.param("ddpm", marks=pytest.mark.filterwarnings("ignore:sigma"))
]
HEAT = "heat(time=2)"


@pytest.fixture
def grey(photo, rng):
    return (photo[:40, :50] + rng.normal(0, 0.1, (40, 50))).astype(np.float32)


@pytest.fixture
def colour(colour_photo, rng):
    return (colour_photo[:40, :50] + rng.normal(0, 0.1, (40, 50, 3))).astype(np.float32)


# --- laws -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_blended(method, grey):
    full = df.denoise(grey, 0.1, method)
    same = df.denoise(grey, 0.1, method, strength=0)
    half, chosen = df.denoise(grey, 0.1, method, strength=0.25, full_output=True)
    np.testing.assert_array_equal(same, grey)
    assert not np.shares_memory(same, grey)
    np.testing.assert_array_equal(df.denoise(grey, 0.1, method, strength=1), full)
    np.testing.assert_array_equal(df.Blended(method=method)(grey, 0.1), full)
    np.testing.assert_array_equal(half, grey + 0.25 * (full - grey))
    assert half.dtype == same.dtype == np.float32
    np.testing.assert_array_equal(df.make(str(chosen))(grey, chosen.sigma), half)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_luminance_and_chroma_apart(axis, dtype, colour):
    image = np.moveaxis(colour.astype(dtype), -1, axis)
    rounding = 4 * np.finfo(dtype).eps

    def shares(result):
        """What has changed in luma, and in the rest."""
        change = np.moveaxis((result - image).astype(np.float64), axis, -1)
        luma = change @ LUMA
        return luma, change - luma[..., None]

    def denoised(**options):
        result = df.denoise(image, method=HEAT, channel_axis=axis, **options)
        assert (result.dtype, result.shape) == (dtype, image.shape)
        return shares(result)

    luma, rest = denoised()
    for strength, chroma in [(0, 1), (1, 0), (0.5, 1), (0.25, 0.75), (0, 0)]:
        found = denoised(strength=strength, chroma=chroma)
        np.testing.assert_allclose(found[0], strength * luma, atol=rounding)
        np.testing.assert_allclose(found[1], chroma * rest, atol=rounding)
    assert np.abs(denoised(strength=0, chroma=1)[0]).max() < rounding < np.abs(luma).max() / 1e3


def test_chroma_that_is_equal_or_not_given(colour):
    def denoised(**options):
        return df.denoise(colour, method=HEAT, channel_axis=-1, **options)

    np.testing.assert_array_equal(denoised(strength=0.3, chroma=0.3), denoised(strength=0.3))
    np.testing.assert_array_equal(denoised(chroma=1), denoised())
    np.testing.assert_array_equal(denoised(strength=0, chroma=0), colour)


def test_noise_of_colour_alone_is_removed(colour_photo, rng):
    noisy = colour_photo + rng.normal(0, 0.1, colour_photo.shape)
    result = df.denoise(noisy, strength=0, chroma=1, channel_axis=-1)
    before, after = (df.psnr(colour_photo, u, channel_axis=-1) for u in (noisy, result))
    assert after > before + 2


# --- parts of the library -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NeverCalled(df.Denoiser):
    """A method that must not be at work."""

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        raise AssertionError

    choose = choose_on = estimate_sigma = halo = block = warm_up = __call__


def test_nothing_is_computed_for_a_strength_of_0(grey):
    blended = df.Blended(method=NeverCalled(), strength=0)
    assert blended.is_settled()
    assert blended.choose(grey, 0.1) is blended
    assert blended.halo(2) == (0, 0)
    np.testing.assert_array_equal(blended(grey), grey)
    blended.warm_up()
    part = BlockFilter(blended, None, None, grey.shape)
    np.testing.assert_array_equal(part(grey[:9, :7], ((0, 9), (0, 7))), grey[:9, :7])


@pytest.mark.parametrize(
    "method",
    [
        "perona_malik(kappa=0.1, time=2, diffusivity='rational', presmooth=0, step=0.2)",
        "ddpm(sigma=0.1, black=0, white=1)",
    ],
)
def test_blocks_equal_the_whole_image(method, rng):
    if method.startswith("ddpm"):
        pytest.importorskip("torch")
    image = rng.random((150, 190, 3), np.float32)
    blended = df.Blended(method=method, strength=0.25, chroma=0.75)
    work, result = BlockFilter(blended, 0.1, -1, image.shape[:2]), np.empty_like(image)
    for top in (0, 80):
        for left in (0, 70, 140):
            box = (top, min(top + 80, 150)), (left, min(left + 70, 190))
            padded = tuple(slice(*span) for span in work.with_halo(box))
            result[tuple(slice(*span) for span in box)] = work(image[padded], box)
    np.testing.assert_allclose(result, blended(image, 0.1, channel_axis=-1), atol=1e-5)


def test_any_array(grey, colour):
    da = pytest.importorskip("dask.array")
    torch = pytest.importorskip("torch")
    options = {"method": HEAT, "strength": 0.25, "chroma": 0.75}
    expected = df.denoise(colour, channel_axis=-1, **options)
    lazy = df.denoise(da.from_array(colour, (20, 30, 3)), channel_axis=-1, **options)
    assert isinstance(lazy, da.Array)
    np.testing.assert_allclose(lazy, expected, atol=1e-6)
    tensor = df.denoise(torch.from_numpy(colour), channel_axis=-1, **options)
    assert tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-6)
    counts = torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8)
    same = df.denoise(counts, 0.1, HEAT, strength=0)
    np.testing.assert_array_equal(same.numpy(), np.float32([[0, 1], [1, 0]]))
    series = np.stack([colour, colour[::-1]])
    result, chosen = df.denoise(series, time_axis=0, channel_axis=-1, full_output=True, **options)
    np.testing.assert_array_equal(result[0], expected)
    assert [str(each) for each in chosen] == [
        f"blended(method='{HEAT}', strength=0.25, chroma=0.75)"
    ] * 2
    twelve_bits = (4095 * np.clip(grey, 0, 1)).astype(np.uint16)
    np.testing.assert_array_equal(
        df.denoise(twelve_bits, method="heat", strength=0.5, data_range=4095),
        df.denoise((twelve_bits / 4095).astype(np.float32), method="heat", strength=0.5),
    )
    np.testing.assert_array_equal(
        df.denoise(twelve_bits.astype(">u2"), strength=0), (twelve_bits / 65535).astype(np.float32)
    )


@pytest.mark.parametrize("beyond", [np.nan, np.inf])
@pytest.mark.parametrize("shares", [{"strength": 0.5}, {"strength": 0}, {"chroma": 0.5}])
def test_what_is_masked_stays(beyond, shares, colour):
    colour[3, 4] = beyond
    image = np.ma.masked_invalid(colour)
    image[7, 8] = np.ma.masked
    full = df.denoise(image, 0.1, HEAT, channel_axis=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = df.denoise(image, 0.1, HEAT, channel_axis=-1, **shares)
    for place in ((3, 4), (7, 8)):
        np.testing.assert_array_equal(result[place], colour[place])
    usable = ~np.ma.getmaskarray(image)
    if "chroma" not in shares:
        expected = colour[usable] + shares["strength"] * (full[usable] - colour[usable])
        np.testing.assert_allclose(result[usable], expected, atol=1e-6)
    assert np.isfinite(result[usable]).all()
    assert result.dtype == np.float32


@pytest.mark.parametrize("noise", ["poisson", "speckle"])
def test_the_transforms_for_other_noise_are_within(noise, grey):
    counts = np.clip(grey, 0, None)
    full = df.denoise(counts, 0.1, HEAT, noise=noise)
    expected = counts + 0.5 * (full - counts)
    for options in ({"method": HEAT, "strength": 0.5},
                    {"method": f"blended(method='{HEAT}', strength=0.5)"}):  # fmt: skip
        np.testing.assert_array_equal(df.denoise(counts, 0.1, noise=noise, **options), expected)
    assert df.Blended(method=f"stabilized(noise='{noise}')").noise == noise
    assert df.Blended(method="srad").noise == "speckle"


def test_methods_of_a_users_own(grey):
    @dataclass(frozen=True)
    class Times:
        factor: float

        def __call__(self, noisy, sigma=None, *, channel_axis=None):
            return self.factor * noisy

    for method in (Times(0.5), lambda noisy, sigma=None, **_: 0.5 * noisy):
        result, chosen = df.denoise(grey, 0.1, method, strength=0.5, full_output=True)
        np.testing.assert_allclose(result, 0.75 * grey, rtol=1e-6)
        assert str(chosen).startswith("blended(method=")
    assert as_text(Times(0.5)).function == Times(0.5)
    counts = np.clip(grey, 0.1, None)  # and the transforms take it, too
    assert df.denoise(counts, 0.1, Times(1.0), noise="poisson").shape == grey.shape


def test_spelling(grey):
    blended = df.Blended(method=df.Heat(time=2.0), strength=np.float32(0.5), chroma=1)
    assert spell(blended) == "blended(method='heat(time=2.0)', strength=0.5, chroma=1.0)"
    assert df.make(spell(blended)) == blended
    chosen = df.estimate_parameters(grey, method="heat", strength=0.5)
    assert (
        str(chosen)
        == f"blended(method='{df.estimate_parameters(grey, method='heat')}', strength=0.5)"
    )
    # Shares on top of shares.
    both = df.denoise(grey, 0.1, f"blended(method='{HEAT}', strength=0.5)", strength=0.5)
    np.testing.assert_allclose(both, df.denoise(grey, 0.1, HEAT, strength=0.25), atol=1e-6)


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"strength": 1.5}, ValueError, "strength is 1.5; expected a number from 0 to 1"),
        ({"strength": -0.1}, ValueError, "strength is -0.1; expected a number from 0 to 1"),
        ({"strength": np.nan}, ValueError, "strength is nan; expected a number from 0 to 1"),
        ({"strength": "1"}, TypeError, "strength is '1'; expected a number from 0 to 1"),
        ({"strength": None}, TypeError, "strength is None; expected a number from 0 to 1"),
        ({"chroma": 2}, ValueError, "chroma is 2; expected a number from 0 to 1"),
        ({"chroma": 0.5}, ValueError, "chroma is 0.5; expected none for a grey image"),
        ({"chroma": 1, "strength": 1}, ValueError, "chroma is 1; expected none for a grey image"),
        ({"strength": 0, "sigma": 25}, ValueError,
         "sigma is 25; expected at most 1, the range of the image; did you mean 25/255?"),
        ({"strength": 0, "method": "het"}, ValueError,
         "unknown method 'het'; did you mean 'heat'?"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lazily", [False, True])
def test_bad_shares(options, error, message, lazily):
    image = np.zeros((16, 16))
    if lazily:
        if "sigma" in options:
            pytest.skip("a dask array is not looked at before it is computed")
        image = pytest.importorskip("dask.array").from_array(image)
    with pytest.raises(error) as caught:
        df.denoise(image, **{"sigma": 0.1, "method": HEAT} | options)
    assert str(caught.value) == message


def test_chroma_of_other_channels():
    message = (
        "chroma is 0.5; expected none for an image whose 4 channels are not red, green and blue"
    )
    for image, axis in ((np.zeros((16, 16, 4)), -1), (np.zeros((4, 16, 16)), 0)):
        for function in (df.denoise, df.estimate_parameters):
            with pytest.raises(ValueError, match="chroma") as caught:
                function(image, 0.1, HEAT, chroma=0.5, channel_axis=axis)
            assert str(caught.value) == message
    with pytest.raises(ValueError, match="channel_axis is 3; expected one of the 2 axes"):
        df.denoise(np.zeros((16, 16)), 0.1, HEAT, chroma=0.5, channel_axis=3)


@pytest.mark.parametrize("image", [np.array([[np.nan, 0.0]]), np.zeros((0, 4)), np.zeros(4)])
def test_bad_images_are_told_with_a_strength_of_0(image):
    with pytest.raises(ValueError, match=r"^image ") as one:
        df.denoise(image, strength=0)
    with pytest.raises(ValueError, match=r"^image ") as other:
        df.denoise(image, method="identity")
    assert str(one.value) == str(other.value)


# --- the command line ---------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, colour):
    Image.fromarray(like(colour, np.uint8(0))).save(tmp_path / "colour.png")
    Image.fromarray(like(colour[..., 0], np.uint8(0))).save(tmp_path / "grey.png")
    return tmp_path


def test_smooth_in_a_process_of_its_own(folder):
    result = run("smooth", "colour.png", "--strength", "1/2", "--chroma", "1", "-m", "heat", "-v",
                 cwd=folder)  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    method = result.stdout.strip().split("  ")[-1]
    assert method.startswith("blended(method='heat(time=")
    assert method.endswith(")', strength=0.5, chroma=1.0)")
    before, after = (
        np.asarray(Image.open(folder / f"{n}.png")) for n in ("colour", "colour_smooth")
    )
    expected = df.denoise(before, method="heat", strength=0.5, chroma=1, channel_axis=-1)
    np.testing.assert_array_equal(after, like(expected, before))
    invoke_ok("smooth", "colour.png", "-o", "again.png", "-m", method, cwd=folder)
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "again.png")), after)


def test_smooth_with_a_strength_of_0_keeps_the_image(folder):
    invoke_ok("smooth", ".", "-o", "out", "--strength", "0", cwd=folder)
    for name in ("grey.png", "colour.png"):
        same = (np.asarray(Image.open(path / name)) for path in (folder, folder / "out"))
        np.testing.assert_array_equal(*same)


def test_smooth_by_blocks_beside_alpha(folder, rng):
    rgba = rng.integers(0, 256, (90, 100, 4), np.uint8)
    tifffile.imwrite(folder / "in.tif", rgba, photometric="rgb", extrasamples=["unassalpha"],
                     tile=(32, 32))  # fmt: skip
    shares = ("-m", HEAT, "--strength", "0.25", "--chroma", "0.75")
    invoke_ok("smooth", "in.tif", "-o", "blocks.tif", "--block", "40", *shares, cwd=folder)
    invoke_ok("smooth", "in.tif", "-o", "whole.tif", *shares, cwd=folder)
    blocks, whole = (
        tifffile.imread(folder / name).astype(int) for name in ("blocks.tif", "whole.tif")
    )
    np.testing.assert_allclose(blocks, whole, atol=1)
    np.testing.assert_array_equal(blocks[..., 3], rgba[..., 3])
    expected = df.denoise(rgba[..., :3], method=HEAT, strength=0.25, chroma=0.75, channel_axis=-1)
    np.testing.assert_array_equal(whole[..., :3], like(expected, rgba[..., :3]))


def test_estimate_prints_a_command_with_the_shares(folder):
    text = invoke_ok("estimate", "colour.png", "-m", "heat", "--strength", "0.5", cwd=folder)
    assert text.splitlines()[-1].startswith(
        "difffilter smooth colour.png -m \"blended(method='heat(time="
    )
    assert text.endswith(")', strength=0.5)\"\n")


def test_errors_on_the_command_line(folder, grey):
    tifffile.imwrite(folder / "grey.tif", grey)
    before = sorted(folder.iterdir())
    text = invoke_error("smooth", "grey.png", "--strength", "1.5", cwd=folder)
    assert text == "error: strength is 1.5; expected a number from 0 to 1\n"
    text = invoke_error("smooth", "grey.png", "--chroma", "0.5", "-m", HEAT, cwd=folder)
    assert text == "error: grey.png: chroma is 0.5; expected none for a grey image\n"
    text = invoke_error(
        "smooth", "grey.tif", "--chroma", "1", "-m", HEAT, "--block", "16", cwd=folder
    )
    assert text == "error: grey.tif: chroma is 1; expected none for a grey image\n"
    assert sorted(folder.iterdir()) == before
    result = invoke("smooth", ".", "-o", "out", "--chroma", "1", "-m", HEAT, cwd=folder)
    assert result.returncode == 1
    assert "2 of 3 images failed; the others are done" in result.stderr
    assert (folder / "out/colour.png").exists()
