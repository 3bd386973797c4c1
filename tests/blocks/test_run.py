"""Files that are larger than memory: smoothed by blocks, interrupted, resumed."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
import tifffile
from command import invoke, run
from equations import SCHEMES

import difffilter as df
from difffilter.blocks.folders import holds_volumes
from difffilter.blocks.run import smooth_blocks
from difffilter.image import like
from difffilter.io.arrays import open_array

zarr = pytest.importorskip("zarr")
h5py = pytest.importorskip("h5py")

# Explicit steps, of which blocks leave no trace.
METHOD = SCHEMES["perona_malik exponential explicit"].method()


def smoothed(values, dtype=None, **options):
    """The expected result, plane by plane or volume by volume."""
    return np.stack([like(METHOD(v, **options), v) for v in values])


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


def test_conversion_between_formats(tmp_path, rng):
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
        ("empty.zarr", None, "empty.zarr has no arrays"),
        ("two.zarr", None, "has 2 arrays; name one: "),
        ("two.zarr/c", None, "has no Zarr array 'c'"),
        ("five.zarr", None, "has 5 axes, of shape (1, 1, 2, 8, 8); name them, for example --axes TCZYX"),
        ("five.zarr", "YX", "has 5 axes"),
        ("five.zarr", "TZYXX", "expected different ones, Y and X among them"),
        ("text.h5", None, "is damaged or not an HDF5 file"),
        ("complex.zarr", None, "has pixels of dtype complex128; expected real numbers"),
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


def test_errors_in_pixels_name_the_block(tmp_path):
    pixels = np.zeros((100, 100), np.float32)
    pixels[70, 90] = np.nan
    tifffile.imwrite(tmp_path / "nan.tif", pixels)
    with pytest.raises(ValueError, match=r"nan.tif, y 50...99, x 50...99: image has 1 pixels that"):
        smooth_blocks(tmp_path / "nan.tif", tmp_path / "out.tif", METHOD, sigma=0.1, side=50)


def test_disk_too_small(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((1000, 1000), np.uint16))
    free = lambda path: type("Usage", (), {"free": 10**6})  # noqa: E731
    monkeypatch.setattr("difffilter.io.writers.shutil.disk_usage", free)
    with pytest.raises(
        OSError, match=r"has 0.001 GB of free space; the result takes another 0.00\d+"
    ):
        smooth_blocks(tmp_path / "in.tif", tmp_path / "out.tif", METHOD, sigma=0.1)


# --- interrupted ----------------------------------------------------------------------------


class Stopped(Exception):
    pass


class Noting(df.Denoiser):
    """Twice the image; notes which blocks it did."""

    def __init__(self):
        self.seen = []

    def halo(self, axes):
        return (1,) * axes

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
    noting, progress = Noting(), []
    smooth_blocks(target.with_name("in.zarr"), target, noting, sigma=0.1, side=30,
                  progress=lambda done, total: progress.append(done))  # fmt: skip
    return noting.seen, progress, content(target)


def content(path):
    with closing(open_array(path)) as array:
        return array.read(np.s_[0:90, 0:90])


def test_a_second_run_finishes_the_job(half_done):
    values, target = half_done
    seen, progress, result = go_on(target)
    assert len(seen) == 4
    assert progress == [5, 6, 7, 8, 9]
    np.testing.assert_array_equal(result, 2 * values)
    assert sorted(os.listdir(target.parent)) == ["in.zarr", target.name]


def test_damaged_blocks_are_filtered_again(half_done):
    values, target = half_done
    path = target.with_name(target.name + ".journal")
    begun, *lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    lines.sort()  # threads end in any order, and the first block is damaged below
    path.write_bytes(begun + b"".join(lines)[:-3])  # the last line is half-written
    partial = target.with_name(target.name + ".partial")
    if partial.is_dir():
        chunk = next(p for p in sorted(partial.rglob("*")) if p.is_file() and p.name.isdigit())
        chunk.unlink()
    else:  # pixels of the first block, whatever comes before them
        with open(partial, "r+b") as file:
            place = json.loads(begun)["begun"]["made"]["offset"]
            file.seek(place)
            file.write(b"\xff" * 16)
    seen, progress, result = go_on(target)
    assert (len(seen), progress[0]) == (6, 3)
    np.testing.assert_array_equal(result, 2 * values)


def test_a_different_request_does_not_resume(half_done):
    values, target = half_done
    source = target.with_name("in.zarr")
    with pytest.raises(ValueError, match="unfinished run with another sigma; pass --overwrite"):
        smooth_blocks(source, target, Noting(), sigma=0.2, side=30)
    with pytest.raises(ValueError, match="unfinished run with another data_range; pass"):
        smooth_blocks(source, target, Noting(), sigma=0.1, data_range=3, side=30)
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


SLOW = (
    "import time, difffilter as df\n"
    "class Slow(df.Denoiser):\n"
    "    def halo(self, axes):\n"
    "        return (1,) * axes\n"
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
def test_a_killed_command_resumes(tmp_path, how, rng):
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
        assert error == "interrupted; finished work is kept\n"
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
    result = invoke("smooth", "v.zarr", "-v", "-m", "heat(time=1)", cwd=tmp_path)
    assert result.stdout.startswith("v.zarr -> v_smooth.zarr  heat(time=1)")
    assert holds_volumes(tmp_path / "v.zarr")
    assert not holds_volumes(tmp_path / "v.zarr", "TYX")
    out = zarr.open_array(str(tmp_path / "v_smooth.zarr"), mode="r")[:]
    np.testing.assert_allclose(out, df.heat(values, 1), atol=1e-6)
    result = invoke("smooth", "v.zarr", "-o", "o.h5", "-m", "heat(time=1)", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    result = invoke("smooth", "v.zarr", "-o", "o.h5", cwd=tmp_path)
    assert result.stderr == "error: o.h5 exists already; pass --overwrite to replace it\n"
    result = invoke("smooth", "v.zarr", "-o", "x.zarr", "--axes", "TYX", "-m", "heat(time=1)",
                 cwd=tmp_path)  # fmt: skip
    planes = zarr.open_array(str(tmp_path / "x.zarr"), mode="r")[:]
    np.testing.assert_allclose(planes, [df.heat(v, 1) for v in values], atol=1e-6)


def test_missing_scheduler(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    patient = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: patient(address, timeout=1))
    zarr.create_array(str(tmp_path / "in.zarr"), data=np.zeros((20, 20)))
    nowhere = "tcp://127.0.0.1:9"
    result = invoke("smooth", "in.zarr", "-o", "out.zarr", "--scheduler", nowhere, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: there is no dask scheduler at '{nowhere}': ")
    assert result.stderr.count("\n") == 1
