"""Images that are larger than memory: blocks that come out as in the whole, files, resuming."""

import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
import tifffile
from command import run
from hypothesis import given
from hypothesis import strategies as st

import difffilter as df
from difffilter.blocks.filter import BlockFilter, cut_up, sample_boxes, settle, told
from difffilter.blocks.folders import holds_volumes
from difffilter.blocks.journal import Journal
from difffilter.blocks.layout import Layout
from difffilter.blocks.reach import reach
from difffilter.blocks.run import smooth_blocks
from difffilter.image import like
from difffilter.io.arrays import Raw, open_array, split_path

zarr = pytest.importorskip("zarr")
h5py = pytest.importorskip("h5py")
da = pytest.importorskip("dask.array")


def by_blocks(denoiser, image, block, sigma=0.1, channel_axis=None):
    """An image put together from its blocks."""
    shape = image.shape if channel_axis is None else image.shape[:-1]
    work = BlockFilter(denoiser, told(denoiser, sigma), channel_axis, shape)
    result = np.empty_like(image)
    for corner in itertools.product(*(range(0, n, b) for n, b in zip(shape, block, strict=True))):
        box = tuple((a, min(a + b, n)) for a, b, n in zip(corner, block, shape, strict=True))
        around = tuple(slice(*span) for span in work.surroundings(box))
        result[tuple(slice(*span) for span in box)] = work(image[around], box)
    return result


EXACT = [
    "identity",
    "perona_malik(kappa=0.1, time=2, diffusivity='exponential', presmooth=0, step=0.15)",
    "perona_malik(kappa=0.1, time=1, diffusivity='rational', presmooth=0.7, step=0.15)",
    "curvature_motion(time=2)",
    "forward_backward(kappa=0.05, time=1)",
    "srad(q0=0.1, time=1)",
    "srad(q0=0.1, time=1, fidelity=0.5)",
    "curvature_motion(time=1, fidelity=0.5)",
    "perona_malik(kappa=0.1, time=1, diffusivity='rational', presmooth=0, step=0.15, fidelity=0.3)",
]
# How far blocks may be from the whole: largest difference, for images in [0, 1].
CLOSE = {
    "heat(time=0.1)": 2e-6,
    "heat(time=4)": 2e-6,
    "perona_malik(kappa=0.05, time=5, diffusivity='rational', presmooth=0, scheme='fsi', step=1)": 2e-6,
    "perona_malik(kappa=0.05, time=5, diffusivity='rational', presmooth=0.5, scheme='fsi', step=1)": 2e-6,
    "perona_malik(kappa=0.05, time=2, diffusivity='rational', presmooth=0, scheme='aos', step=1)": 2e-6,
    "edge_enhancing(kappa=0.05, time=1, presmooth=0.7)": 2e-6,
    "coherence_enhancing(kappa=0.01, time=2, integration=1.0)": 1e-4,
    "tv_flow(time=0.05)": 1e-4,
    "heat(time=4, fidelity=0.1)": 2e-6,
    "perona_malik(kappa=1, time=2, diffusivity='tukey', presmooth=0, scheme='aos', step=1, fidelity=1)": 2e-6,
    "tv_flow(time=0.05, fidelity=1)": 1e-4,
}  # fmt: skip


@pytest.mark.parametrize("text", [*EXACT, *CLOSE])
def test_blocks_make_the_whole(text, rng):
    image = np.repeat(np.repeat(rng.random((15, 20)), 10, 0), 10, 1).astype(np.float32)
    image += rng.normal(0, 0.05, image.shape).astype(np.float32)
    denoiser = df.make(text)
    assert reach(denoiser, 2).exact or text in CLOSE
    whole, parts = denoiser(image, 0.1), by_blocks(denoiser, image, (64, 41))
    if text in EXACT:
        np.testing.assert_array_equal(parts, whole)
    else:
        assert np.abs(parts - whole).max() <= CLOSE[text]


@pytest.mark.parametrize("text", [
    "edge_enhancing(kappa=0.05, time=3, presmooth=0.5)",
    "edge_enhancing(kappa=0.1, time=1.1, presmooth=1.0, spacing=(1, 0.8))",
    "coherence_enhancing(kappa=0.01, time=3, integration=1.0)",
])  # fmt: skip
def test_flat_blocks_take_the_steps_of_the_whole(text, rng):
    """The weights of D sum up to more where it turns; in most of these blocks it does not."""
    image = np.full((150, 190), 0.5, np.float32)
    y, x = np.mgrid[:60, :70] - 30
    image[:60, -70:] += 0.3 * np.sin(np.hypot(x, y)) + rng.normal(0, 0.05, (60, 70))
    image[70:] += 1e-3 * (np.indices((80, 190)).sum(0) % 2)  # shows how long a step is
    denoiser = df.make(text)
    parts = by_blocks(denoiser, image, (50, 47))
    np.testing.assert_allclose(parts, denoiser(image), atol=2e-6)


@pytest.mark.parametrize("text", [*EXACT[1:], "heat(time=0.5, spacing=(2, 1, 1))"])
def test_blocks_of_volumes_and_colours_make_the_whole(text, rng):
    volume = rng.random((20, 40, 50), np.float32)
    denoiser = df.make(text, **({"time": 0.6} if "heat" not in text and "time" in text else {}))
    whole = denoiser(volume, 0.1)
    np.testing.assert_allclose(by_blocks(denoiser, volume, (9, 20, 23)), whole, atol=2e-6)
    if "spacing" in text:
        return
    assert reach(denoiser, 3).exact
    colour = rng.random((70, 60, 3), np.float32)
    whole = denoiser(colour, 0.1, channel_axis=-1)
    np.testing.assert_array_equal(by_blocks(denoiser, colour, (33, 32), channel_axis=-1), whole)


@pytest.mark.parametrize("noise", ["poisson", "speckle"])
def test_blocks_of_noise_that_was_made_even(noise, photo):
    """The brightest pixels, which the transform goes by, are in few of the blocks."""
    noisy = df.add_noise(photo, 0.1, noise).astype(np.float32)
    noisy[:40] *= 0.3
    method = df.make("stabilized", method="curvature_motion(time=1)", noise=noise)
    with pytest.raises(ValueError, match="call choose first"):
        reach(method, 2)
    chosen = method.choose(noisy, 0.1)
    assert reach(chosen, 2).exact
    np.testing.assert_allclose(by_blocks(chosen, noisy, (33, 40)), method(noisy, 0.1), atol=1e-6)
    lazy = df.denoise(
        da.from_array(noisy, chunks=40), noise=noise, method="curvature_motion(time=1)"
    )
    whole = df.denoise(noisy, noise=noise, method="curvature_motion(time=1)")
    np.testing.assert_allclose(lazy.compute(), whole, atol=2e-5)


def test_noise_is_estimated_as_the_method_has_it(photo):
    noisy = df.add_noise(photo, 0.1, "speckle").astype(np.float32)
    chosen, sigma = settle(df.SRAD(), None, noisy[None], None)
    assert sigma == df.estimate_sigma(noisy, noise="speckle")
    assert chosen == df.SRAD().choose(noisy, sigma)


def test_ddpm_goes_by_its_own_tiles(rng):
    pytest.importorskip("torch")
    image = rng.random((150, 170), np.float32)
    denoiser = df.make("ddpm(tile=64)").choose(image, 0.1)
    np.testing.assert_array_equal(by_blocks(denoiser, image, (70, 90)), denoiser(image, 0.1))
    with pytest.raises(ValueError, match="mode='sample' cannot go block by block"):
        by_blocks(df.make("ddpm(mode='sample')"), image, (70, 90))


def test_what_does_not_say_how_far_it_looks():
    class Own:
        def __call__(self, noisy, sigma=None, *, channel_axis=None):
            return noisy

    with pytest.raises(ValueError, match="does not say how far it looks"):
        reach(Own(), 2)
    with pytest.raises(ValueError, match="call choose first"):
        reach(df.PeronaMalik(), 2)
    Own.reach = lambda self, axes: 3
    assert reach(Own(), 2).pixels == (3, 3)


@given(
    st.lists(st.integers(1, 2000), min_size=2, max_size=3).map(tuple), st.integers(1, 5),
)  # fmt: skip
def test_samples_are_inside_and_cut_at_the_seams_of_the_choice(shape, images):
    boxes = sample_boxes(shape, images)
    assert len(set(boxes)) == len(boxes) > 0
    for image, box in boxes:
        assert 0 <= image < images
        assert all(0 <= a < b <= n for (a, b), n in zip(box, shape, strict=True))
    if images == 1 and math.prod(shape) <= 2**20:
        assert len(boxes) == 1
    assert len({tuple(b - a for a, b in box) for _, box in boxes}) == 1


def test_samples_see_all_rows_and_columns():
    tops = sorted(box[0][0] for _, box in sample_boxes((8192, 8192)))
    lefts = sorted(box[1][0] for _, box in sample_boxes((8192, 8192)))
    for places in (tops, lefts):
        assert np.diff([0, *places, 8192]).max() <= 512


@pytest.mark.parametrize("method", ["heat", "perona_malik", "tv_flow"])
def test_choosing_on_samples_is_as_good_as_on_all(method, rng):
    from skimage import data

    clean = np.tile(data.camera() / 255, (2, 3)).astype(np.float32)
    noisy = clean + rng.normal(0, 0.1, clean.shape).astype(np.float32)
    tiles = np.stack([noisy[a:b, c:d] for _, ((a, b), (c, d)) in sample_boxes(noisy.shape)])
    assert tiles.size < noisy.size
    settled, sigma = settle(df.make(method), None, tiles, None)
    assert sigma == pytest.approx(0.1, rel=0.03)
    all_seen = df.make(method).choose(noisy, 0.1)
    part = np.s_[:512, :512]
    gain = df.psnr(clean[part], settled(noisy[part], 0.1)) - df.psnr(
        clean[part], all_seen(noisy[part], 0.1)
    )
    assert gain > -0.1


@given(
    shape=st.lists(st.integers(1, 5000), min_size=2, max_size=3).map(tuple),
    halo=st.integers(0, 300), workers=st.integers(1, 64), chunk=st.integers(1, 600),
)  # fmt: skip
def test_blocks_fit_into_memory(shape, halo, workers, chunk):
    chunks = tuple(min(n, chunk) for n in shape)
    block, at_once = cut_up(shape, (halo,) * len(shape), chunks, workers=workers)
    for b, n, c in zip(block, shape, chunks, strict=True):
        assert 1 <= b <= n
        assert b == n or b % c == 0
    assert 1 <= at_once <= workers
    around = math.prod(min(n, b + 2 * halo) for b, n in zip(block, shape, strict=True))
    if at_once > 1:
        assert at_once * around < 2**24


# --- dask -----------------------------------------------------------------------------------


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
    result = df.denoise(lazy, method=EXACT[2])
    assert source.reads == 0
    assert isinstance(result, da.Array)
    assert (result.shape, result.dtype) == (image.shape, np.float32)
    np.testing.assert_array_equal(result.compute(), df.denoise(image, method=EXACT[2]))


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


def test_dask_goes_by_the_tiles_of_a_ddpm(rng):
    pytest.importorskip("torch")
    image = rng.random((100, 150), np.float32)
    method = "ddpm(tile=64, dtype='float32')"
    result = df.denoise(da.from_array(image, 70), 0.1, method)
    # The same tiles, but how PyTorch's threads share a sum is up to them.
    np.testing.assert_allclose(result, df.denoise(image, 0.1, method), atol=2e-6)


def test_dask_complains_at_once():
    with pytest.raises(ValueError, match="2 or 3 axes besides channels"):
        df.denoise(da.zeros((2, 2, 2, 2)))
    with pytest.raises(TypeError, match="real numbers; got dtype complex128"):
        df.denoise(da.zeros((2, 2), dtype=complex))
    with pytest.raises(ValueError, match="chunks of unknown size"):
        df.denoise(da.zeros(8)[da.zeros(8) == 0])


# --- files ----------------------------------------------------------------------------------

METHOD = df.make(EXACT[1])


def smoothed(values, dtype=None, **options):
    """What is expected of each plane or volume."""
    return np.stack([like(METHOD(v, **options), v) for v in values])


@given(st.data())
def test_raw_parts_are_those_of_the_array(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    values = np.arange(math.prod(shape), dtype=">i4").reshape(shape)
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raw"
        path.write_bytes(b"head" + values.tobytes())
        raw = Raw(path, 4, shape, ">i4", "ZYX"[-len(shape) :])
        index = tuple(
            slice(a, data.draw(st.integers(a + 1, n)))
            for n in shape
            for a in [data.draw(st.integers(0, n - 1))]
        )
        np.testing.assert_array_equal(raw.read(index), values[index])
        values[index] = -1
        raw.write(index, values[index])
        assert path.read_bytes() == b"head" + values.tobytes()


@given(st.permutations("TZYXS"), st.booleans(), st.data())
def test_layouts_cover_an_array_once(axes, volume, data):
    shape = tuple(data.draw(st.integers(1, 5)) for _ in axes)
    layout = Layout("".join(axes), shape, volume)
    seen = np.zeros(shape, int)
    values = np.arange(seen.size).reshape(shape)
    for image, box in layout.boxes((2,) * len(layout.spatial)):
        index = layout.index(image, box)
        seen[index] += 1
        picture = layout.as_image(values[index])
        assert picture.shape == (*(b - a for a, b in box), shape[axes.index("S")])
        np.testing.assert_array_equal(layout.as_array(picture), values[index])
    assert (seen == 1).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True, "byteorder": ">"},
        {"tile": (32, 48), "compression": "zlib", "predictor": True},
        {"rowsperstrip": 7, "compression": "lzw"},
        {"rowsperstrip": 7, "byteorder": ">"},
        {"resolution": (300, 300), "description": "of a leaf", "software": "scope"},
    ],
)
def test_tiff_by_blocks(tmp_path, options, rng):
    pixels = rng.integers(0, 2**16, (90, 130), np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", pixels, **options)
    smooth_blocks(tmp_path / "in.tif", tmp_path / "out.tif", METHOD, sigma=0.1, side=40)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        np.testing.assert_array_equal(file.asarray(), like(METHOD(pixels), pixels))
        assert file.byteorder == options.get("byteorder", "<")
        page = file.pages[0]
        if "description" in options:
            assert (page.description, page.software) == ("of a leaf", "scope")
            assert page.resolution == (300, 300)
    assert sorted(os.listdir(tmp_path)) == ["in.tif", "out.tif"]


def test_tiff_pages_volumes_colours_and_alpha(tmp_path, rng):
    stack = rng.integers(0, 2**16, (2, 6, 50, 60), np.uint16)
    tifffile.imwrite(tmp_path / "in.ome.tif", stack, ome=True, tile=(32, 32),
                     metadata={"axes": "TZYX", "PhysicalSizeX": 0.5})  # fmt: skip
    for volume in (False, True):
        out = tmp_path / f"{volume}.ome.tif"
        smooth_blocks(tmp_path / "in.ome.tif", out, METHOD, sigma=0.1, volume=volume, side=32)
        expected = smoothed(stack) if volume else np.stack([smoothed(s) for s in stack])
        with tifffile.TiffFile(out) as file:
            assert file.series[0].axes == "TZYX"
            np.testing.assert_array_equal(file.asarray(), expected)
            assert 'PhysicalSizeX="0.5"' in file.ome_metadata
    rgba = rng.integers(0, 256, (70, 60, 4), np.uint8)
    for samples in (np.s_[..., :3], np.s_[..., :], np.s_[..., :2]):
        pixels = rgba[samples]
        alpha = pixels.shape[-1] != 3
        kind = "minisblack" if pixels.shape[-1] == 2 else "rgb"
        tifffile.imwrite(tmp_path / "c.tif", pixels, photometric=kind, tile=(32, 32),
                         planarconfig="contig", extrasamples=["unassalpha"] if alpha else None)  # fmt: skip
        smooth_blocks(tmp_path / "c.tif", tmp_path / "o.tif", METHOD, sigma=0.1, volume=False,
                      side=32, overwrite=True)  # fmt: skip
        result = tifffile.imread(tmp_path / "o.tif")
        colours = pixels[..., :-1] if alpha else pixels
        expected = like(METHOD(colours, channel_axis=-1), colours)
        np.testing.assert_array_equal(result[..., : colours.shape[-1]], expected)
        if alpha:
            np.testing.assert_array_equal(result[..., -1], pixels[..., -1])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_in_zarr_out(tmp_path, zarr_format, rng):
    values = rng.random((10, 50, 60), np.float32)
    array = zarr.create_array(
        str(tmp_path / "in.zarr"), shape=values.shape, chunks=(4, 32, 16), dtype="f4",
        zarr_format=zarr_format, attributes={"voxel": [3, 1, 1]},
    )  # fmt: skip
    array[:] = values
    smooth_blocks(tmp_path / "in.zarr", tmp_path / "out.zarr", METHOD, sigma=0.1, side=20)
    result = zarr.open_array(str(tmp_path / "out.zarr"), mode="r")
    np.testing.assert_array_equal(result[:], METHOD(values))
    assert result.metadata.zarr_format == zarr_format
    assert (result.chunks, result.attrs["voxel"]) == ((4, 32, 16), [3, 1, 1])
    assert not list(tmp_path.glob("*.journal"))


def test_ome_zarr_keeps_its_axes_and_scale(tmp_path, rng):
    values = rng.integers(0, 2**16, (2, 5, 40, 50), np.uint16)
    scales = [{
        "axes": [{"name": n, "type": t} for n, t in zip("czyx", ["channel"] + ["space"] * 3, strict=True)],
        "datasets": [
            {"path": "full", "coordinateTransformations": [{"type": "scale", "scale": [1, 3, 1, 1]}]},
            {"path": "half", "coordinateTransformations": [{"type": "scale", "scale": [1, 6, 2, 2]}]},
        ],
    }]  # fmt: skip
    group = zarr.create_group(
        str(tmp_path / "in.zarr"), attributes={"ome": {"version": "0.5", "multiscales": scales}}
    )
    group.create_array("full", data=values, chunks=(1, 5, 32, 32))
    group.create_array("half", data=values[:, :, ::2, ::2])
    smooth_blocks(tmp_path / "in.zarr", tmp_path / "out.zarr", METHOD, sigma=0.1)
    result = zarr.open_group(str(tmp_path / "out.zarr"), mode="r")
    [scale] = result.attrs["ome"]["multiscales"]
    [level] = scale["datasets"]
    assert level["coordinateTransformations"][0]["scale"] == [1, 3, 1, 1]
    np.testing.assert_array_equal(result[level["path"]][:], smoothed(values))


def test_hdf5_in_hdf5_out(tmp_path, rng):
    values = rng.random((10, 50, 60))
    with h5py.File(tmp_path / "in.h5", "w") as file:
        data = file.create_dataset(
            "exported/data", data=values, chunks=(5, 25, 30), compression="gzip"
        )
        data.attrs["unit"] = "µm"
    smooth_blocks(tmp_path / "in.h5", tmp_path / "out.h5", METHOD, sigma=0.1, side=20)
    with h5py.File(tmp_path / "out.h5") as file:
        result = file["exported/data"]
        np.testing.assert_array_equal(result[:], METHOD(values))
        assert result.dtype == np.float64
        assert result.attrs["unit"] == "µm"


def test_from_kind_to_kind(tmp_path, rng):
    values = rng.integers(0, 2**16, (7, 40, 50), np.uint16)
    tifffile.imwrite(tmp_path / "0.tif", values, photometric="minisblack")
    names = ["0.tif", "1.zarr", "2.h5", "3.tif"]
    identity = df.make("identity")
    for source, target in itertools.pairwise(names):
        smooth_blocks(tmp_path / source, tmp_path / target, identity)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "3.tif"), values)


@pytest.mark.parametrize(
    ("source", "axes", "message"),
    [
        ("none.zarr", None, "there is no file"),
        ("empty.zarr", None, "holds 0 arrays; name one: none"),
        ("two.zarr", None, "holds 2 arrays; name one: "),
        ("two.zarr/c", None, "holds no Zarr array 'c'"),
        ("five.zarr", None, "has 5 axes, of shape (1, 1, 2, 8, 8); say what they are, like --axes TCZYX"),
        ("five.zarr", "YX", "has 5 axes"),
        ("five.zarr", "TZYXX", "Y and X must be among them, once each"),
        ("text.h5", None, "is damaged or no HDF5 file"),
        ("complex.zarr", None, "holds complex128 pixels; real numbers are supported"),
        ("packed.tif", None, "packed bits"),
        ("cut.tif", None, "is truncated"),
    ],
)  # fmt: skip
def test_bad_arrays(tmp_path, source, axes, message):
    zarr.create_group(str(tmp_path / "empty.zarr"))
    two = zarr.create_group(str(tmp_path / "two.zarr"))
    for name in "ab":
        two.create_array(name, data=np.zeros((4, 4)))
    zarr.create_array(str(tmp_path / "five.zarr"), data=np.zeros((1, 1, 2, 8, 8)))
    zarr.create_array(str(tmp_path / "complex.zarr"), data=np.zeros((8, 8), complex))
    (tmp_path / "text.h5").write_text("words")
    tifffile.imwrite(tmp_path / "packed.tif", np.zeros((8, 8), bool))
    tifffile.imwrite(tmp_path / "cut.tif", np.zeros((80, 80), np.uint16))
    os.truncate(tmp_path / "cut.tif", 2000)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises((OSError, ValueError)) as caught:
        smooth_blocks(tmp_path / source, tmp_path / "out.zarr", METHOD, axes=axes)
    assert message in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


def test_bad_pixels_say_where(tmp_path):
    pixels = np.zeros((100, 100), np.float32)
    pixels[70, 90] = np.nan
    tifffile.imwrite(tmp_path / "nan.tif", pixels)
    with pytest.raises(ValueError, match=r"nan.tif, y 50...99, x 50...99: image has 1 pixels that"):
        smooth_blocks(tmp_path / "nan.tif", tmp_path / "out.tif", METHOD, sigma=0.1, side=50)


def test_no_room(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((1000, 1000), np.uint16))
    free = lambda path: type("Usage", (), {"free": 10**6})  # noqa: E731
    monkeypatch.setattr("difffilter.io.writers.shutil.disk_usage", free)
    with pytest.raises(OSError, match=r"has 0.001 GB left; the result takes 0.00\d+ GB more"):
        smooth_blocks(tmp_path / "in.tif", tmp_path / "out.tif", METHOD, sigma=0.1)


# --- interrupted ----------------------------------------------------------------------------


class Stopped(Exception):
    pass


class Noting:
    """Twice the image; notes which blocks it did."""

    def __init__(self):
        self.seen = []

    def reach(self, axes):
        return 1

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        self.seen.append(noisy.shape)
        return np.asarray(noisy, np.float32) * 2

    def __repr__(self):
        return "Noting()"


@pytest.fixture(params=["tif", "zarr", "h5"])
def half_done(request, tmp_path, rng):
    """A run that was interrupted when 5 of 9 blocks were done."""
    values = rng.random((90, 90), np.float32)
    zarr.create_array(str(tmp_path / "in.zarr"), data=values, chunks=(30, 30))

    def stop(done, total):
        assert total == 9
        if done == 5:
            raise Stopped

    target = tmp_path / f"out.{request.param}"
    with pytest.raises(Stopped):
        smooth_blocks(tmp_path / "in.zarr", target, Noting(), sigma=0.1, side=30, progress=stop)
    assert not target.exists()
    return values, target


def go_on(target):
    noting, told_ = Noting(), []
    smooth_blocks(target.with_name("in.zarr"), target, noting, sigma=0.1, side=30,
                  progress=lambda done, total: told_.append(done))  # fmt: skip
    return noting.seen, told_, content(target)


def content(path):
    with closing(open_array(path)) as array:
        return array.read(np.s_[0:90, 0:90])


def test_a_second_run_finishes_the_job(half_done):
    values, target = half_done
    seen, told_, result = go_on(target)
    assert len(seen) == 4
    assert told_ == [5, 6, 7, 8, 9]
    np.testing.assert_array_equal(result, 2 * values)
    assert sorted(os.listdir(target.parent)) == ["in.zarr", target.name]


def test_what_is_damaged_is_done_again(half_done):
    values, target = half_done
    path = target.with_name(target.name + ".journal")
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6
    path.write_bytes(b"".join(lines)[:-3])  # the last line is half-written
    partial = target.with_name(target.name + ".partial")
    if partial.is_dir():
        chunk = next(p for p in sorted(partial.rglob("*")) if p.is_file() and p.name.isdigit())
        chunk.unlink()
    else:  # pixels of the first block, whatever comes before them
        with open(partial, "r+b") as file:
            place = json.loads(lines[0])["begun"]["made"]["offset"]
            file.seek(place)
            file.write(b"\xff" * 16)
    seen, told_, result = go_on(target)
    assert (len(seen), told_[0]) == (6, 3)
    np.testing.assert_array_equal(result, 2 * values)


def test_another_request_does_not_go_on(half_done):
    values, target = half_done
    source = target.with_name("in.zarr")
    with pytest.raises(ValueError, match="unfinished run with another sigma; pass --overwrite"):
        smooth_blocks(source, target, Noting(), sigma=0.2, side=30)
    smooth_blocks(source, target, Noting(), sigma=0.2, side=45, overwrite=True)
    np.testing.assert_array_equal(content(target), 2 * values)


def test_parameters_are_not_chosen_again(tmp_path, rng):
    pixels = rng.integers(0, 2**16, (200, 200), np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", pixels)

    def stop(done, total):
        raise Stopped

    for progress in (stop, None):
        try:
            sigma, denoiser = smooth_blocks(
                tmp_path / "in.tif", tmp_path / "out.tif", df.PeronaMalik(spacing=(1, 2)),
                side=100, progress=progress,
            )  # fmt: skip
        except Stopped:
            begun = json.loads((tmp_path / "out.tif.journal").read_text().splitlines()[0])["begun"]
    assert (begun["sigma"], begun["chosen"]["kappa"]) == (sigma, denoiser.kappa)
    assert denoiser.spacing == (1, 2)
    expected = like(denoiser(pixels), pixels).astype(int)
    assert np.abs(tifffile.imread(tmp_path / "out.tif") - expected).max() <= 1


def test_only_one_process_works_on_a_result(tmp_path):
    journal = Journal(tmp_path / "out.journal", {"a": 1})
    journal.begin({})
    with pytest.raises(ValueError, match="in use: another process is working on this result"):
        Journal(tmp_path / "out.journal", {"a": 1})
    journal.close()
    Journal(tmp_path / "out.journal", {"a": 1}).close()


def test_split_path():
    assert [str(part) for part in split_path("a/b.zarr/c/0")] == ["a/b.zarr", "c/0"]
    assert [str(part) for part in split_path("a/b.tif")] == ["a/b.tif", ""]


SLOW = (
    "import time\n"
    "class Slow:\n"
    "    def reach(self, axes):\n"
    "        return 1\n"
    "    def __call__(self, noisy, sigma=None, *, channel_axis=None):\n"
    "        time.sleep(0.05)\n"
    "        open('calls', 'a').write('.')\n"
    "        return noisy / 255\n"
    "    def __repr__(self):\n"
    "        return 'Slow()'\n"
)


def heed_interrupts():
    """Even if the tests run in the background, where a shell has them ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_command_goes_on(tmp_path, how, rng):
    (tmp_path / "slow.py").write_text(SLOW)
    pixels = rng.integers(0, 256, (128, 128), np.uint8)
    tifffile.imwrite(tmp_path / "in.tif", pixels)
    command = [
        "smooth",
        "in.tif",
        "-o",
        "out.tif",
        "-m",
        "slow:Slow",
        "--sigma",
        "0.1",
        "--block",
        "16",
    ]
    process = subprocess.Popen([sys.executable, "-m", "difffilter", *command], cwd=tmp_path,
                               stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)  # fmt: skip
    journal = tmp_path / "out.tif.journal"
    while not journal.exists() or journal.read_bytes().count(b"\n") < 9:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(how)
    error = process.communicate()[1]
    assert "Traceback" not in error
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert error == "\ninterrupted; finished work is kept\n"
    assert not (tmp_path / "out.tif").exists()
    done = journal.read_bytes().count(b"\n") - 1
    before = (tmp_path / "calls").stat().st_size
    result = run(*command, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "calls").stat().st_size == before + 64 - done
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), pixels)
    assert not journal.exists()


def test_command_line_on_arrays(tmp_path, rng):
    values = rng.random((6, 40, 50), np.float32)
    zarr.create_array(str(tmp_path / "v.zarr"), data=values)
    result = run("smooth", "v.zarr", "-v", "-m", "heat(time=1)", cwd=tmp_path)
    assert result.stdout.startswith("v.zarr -> v_smooth.zarr  heat(time=1)")
    assert holds_volumes(tmp_path / "v.zarr")
    assert not holds_volumes(tmp_path / "v.zarr", "TYX")
    out = zarr.open_array(str(tmp_path / "v_smooth.zarr"), mode="r")[:]
    np.testing.assert_allclose(out, df.heat(values, 1), atol=1e-6)
    result = run("smooth", "v.zarr", "-o", "o.h5", "-m", "heat(time=1)", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    result = run("smooth", "v.zarr", "-o", "o.h5", cwd=tmp_path)
    assert result.stderr == "error: o.h5 exists already; pass --overwrite to replace it\n"
    result = run("smooth", "v.zarr", "-o", "x.zarr", "--axes", "TYX", "-m", "heat(time=1)",
                 cwd=tmp_path)  # fmt: skip
    planes = zarr.open_array(str(tmp_path / "x.zarr"), mode="r")[:]
    np.testing.assert_allclose(planes, [df.heat(v, 1) for v in values], atol=1e-6)
    result = run(
        "smooth", "v.zarr", "-o", "y.zarr", "--scheduler", "tcp://127.0.0.1:9", cwd=tmp_path
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: there is no dask scheduler at 'tcp://127.0.0.1:9': ")
    assert result.stderr.count("\n") == 1
