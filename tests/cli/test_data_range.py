"""The option --data-range of smooth and estimate."""

import shlex

import numpy as np
import pytest
import tifffile
from command import invoke_error, invoke_ok
from PIL import Image

import difffilter as df
from difffilter.image import like

METHOD = "heat(time=2)"


@pytest.fixture
def counts(photo, rng):
    """12 bits in 16."""
    return np.clip(4095 * (photo + rng.normal(0, 0.05, photo.shape)), 0, 4095).astype(np.uint16)


def test_the_result_has_the_unit_of_the_file(counts, tmp_path):
    Image.fromarray(counts).save(tmp_path / "in.png")
    text = invoke_ok("smooth", "in.png", "--data-range", "4095", "--sigma", "0.05", "-v",
                     "-m", "edge_enhancing", cwd=tmp_path)  # fmt: skip
    result = np.asarray(Image.open(tmp_path / "in_smooth.png"))
    smooth, chosen = df.denoise(counts, 0.05, "edge_enhancing", data_range=4095, full_output=True)
    assert str(chosen) in text
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result, np.rint(4095 * smooth.astype(np.float64)))
    # Linear and with nothing chosen, the unit makes no difference.
    for name, *options in (["a.png", "--data-range", "4095"], ["b.png"]):
        invoke_ok("smooth", "in.png", "-o", name, "-m", METHOD, *options, cwd=tmp_path)
    a, b = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("a.png", "b.png"))
    assert np.abs(a - b).max() <= 1


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("blocks", [[], ["--block", "40"]])
def test_low_and_high(counts, dtype, blocks, tmp_path):
    hounsfield = (counts.astype(np.int16) - 1024).astype(dtype)
    tifffile.imwrite(tmp_path / "in.tif", hounsfield)
    invoke_ok("smooth", "in.tif", "--data-range", "-1024,3071", "--sigma", "200/4095",
              "-m", "tv_flow", *blocks, cwd=tmp_path)  # fmt: skip
    result = tifffile.imread(tmp_path / "in_smooth.tif")
    assert result.dtype == dtype
    smooth = df.denoise(hounsfield, 200 / 4095, "tv_flow", data_range=(-1024, 3071))
    expected = like(smooth, hounsfield, (-1024, 3071))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1 if blocks else 0)


def test_arrays_by_blocks(counts, tmp_path):
    zarr = pytest.importorskip("zarr")
    volume = np.stack([counts[:40, :40]] * 12)
    zarr.create_array(str(tmp_path / "in.zarr"), data=volume, chunks=(12, 20, 20))
    method = "perona_malik(kappa=0.05, time=1, scheme='explicit', diffusivity='tukey', presmooth=0)"
    invoke_ok("smooth", "in.zarr", "-o", "out.zarr", "--data-range", "4095", "--block", "16",
              "-m", method, cwd=tmp_path)  # fmt: skip
    result = zarr.open_array(str(tmp_path / "out.zarr"), mode="r")[:]
    expected = like(df.denoise(volume, method=method, data_range=4095), volume, 4095)
    np.testing.assert_array_equal(result, expected)
    assert (expected != like(df.denoise(volume, method=method), volume)).any()


@pytest.mark.parametrize(
    "options", [["--data-range", "4095", "--sigma", "0.05"], ["--data-range", "-10.5,4095"]]
)
def test_the_command_that_is_printed_does_the_same(options, counts, tmp_path):
    Image.fromarray(counts).save(tmp_path / "in.png")
    text = invoke_ok("estimate", "in.png", "-m", "heat", *options, cwd=tmp_path)
    assert " ".join(options[:2]) in text
    invoke_ok("smooth", "in.png", "-m", "heat", *options, cwd=tmp_path)
    command = shlex.split(text.splitlines()[-1])
    invoke_ok(*command[1:], "-o", "again.png", cwd=tmp_path)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "in_smooth.png").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data-range", "-1"], "data_range is -1.0; expected a positive number, or a pair (low, "
         "high) with low < high"),
        (["--data-range", "1,2,3"], "data_range is (1.0, 2.0, 3.0); expected a positive number"),
        (["--data-range", "12bit"], "--data-range is '12bit'; expected a number such as 0.098"),
        (["--data-range", "4095", "--sigma", "20"], "sigma is 20; expected at most 1, the range of "
         "the image; did you mean 20/4095?"),
    ],
)  # fmt: skip
def test_bad_options(options, message, counts, tmp_path):
    Image.fromarray(counts).save(tmp_path / "in.png")
    tifffile.imwrite(tmp_path / "in.tif", counts)
    for name in ("in.png", "in.tif"):
        assert message in invoke_error("smooth", name, *options, cwd=tmp_path)
        assert message in invoke_error("estimate", name, *options, cwd=tmp_path)


def test_a_data_range_is_suggested(counts, tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", counts)
    for options in ([], ["--block", "40"]):
        message = invoke_error("smooth", "in.tif", "--sigma", "20", *options, cwd=tmp_path)
        assert "did you mean 20/65535, or 20/4095 with data_range=4095?" in message
