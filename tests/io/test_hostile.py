"""Files and texts that were made to do harm; ``make faults`` has thousands more."""

import os
import struct
import zlib
from pathlib import Path

import hostile
import numpy as np
import pytest
import tifffile
from command import invoke
from PIL import Image

import difffilter as df
from difffilter.io.files import read


def test_mutated_files_are_processed_or_refused(tmp_path):
    found = hostile.run(tuple(hostile.KINDS), tmp_path / "all", 300)
    assert not found["bad"]
    assert sum(found["outcomes"].values()) == 300
    assert found["outcomes"]["done"] > 30
    assert found["outcomes"]["refused"] > 40


def test_the_harness_detects_failures(tmp_path, monkeypatch):
    """A mutant that kills, one that raises what it should not, and too much memory."""
    prelude = """
import hostile, os
def attempt(path):
    if path.parent.name == "case":
        if path.stem == "0":
            os.kill(os.getpid(), 9)
        if path.stem == "1":
            raise KeyError("no")
    return "done"
hostile.KINDS["PNG"] = (*hostile.KINDS["PNG"][:2], attempt, False)
"""
    found = hostile.run(("PNG",), tmp_path / "all", 3, prelude)
    assert [record["said"] for record in found["bad"]] == [
        "process ended with -9",
        "KeyError: 'no'",
    ]
    assert found["outcomes"] == {"failed": 2, "done": 1}
    monkeypatch.setattr(hostile, "BYTES", 1 << 20)
    assert hostile.run(("CSV of results",), tmp_path / "all", 1)["bad"][0]["said"] == "too much"


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def bomb(path, side):
    """A PNG of zeros, a thousandth of the pixels in bytes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def test_decompression_bombs_are_refused_by_default(tmp_path):
    bomb(tmp_path / "bomb.png", 6000)
    size = (tmp_path / "bomb.png").stat().st_size
    with pytest.raises(ValueError, match=f"{size} bytes would become 36000000 pixels; pass --max-"):
        read(tmp_path / "bomb.png")
    assert read(tmp_path / "bomb.png", 36_000_000).pages.shape == (1, 6000, 6000)
    with pytest.raises(ValueError, match="it has 36000000 pixels; pass --max-pixels 36000000"):
        read(tmp_path / "bomb.png", 35_999_999)
    tifffile.imwrite(tmp_path / "bomb.tif", np.zeros((6000, 6000), np.uint8), compression="zlib")
    with pytest.raises(ValueError, match=r"bomb.tif is refused: \d+ bytes would become 36000000"):
        read(tmp_path / "bomb.tif")
    # A photograph of that size is none.
    noise = np.random.default_rng(0).integers(0, 256, (4200, 4200), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png", compress_level=1)
    assert read(tmp_path / "photo.png").pages.shape == (1, 4200, 4200)


@pytest.fixture
def low_limits(monkeypatch):
    """As if 10 000 pixels were many."""
    from difffilter.io import arrays as stores
    from difffilter.io import picture

    monkeypatch.setattr(stores, "LARGE", 5000)
    monkeypatch.setattr(picture, "LARGE_ENOUGH", 5000)
    monkeypatch.setattr(picture, "MOST_PER_BYTE", 20)
    monkeypatch.setattr(picture.check_size, "__defaults__", (None, 10_000))


def test_files_processed_in_blocks_need_no_limit(tmp_path, low_limits):
    """Parts, not the whole, have to fit into memory: here 40 000 pixels that are all the same."""
    from difffilter.blocks.folders import Task, smooth_file

    pixels = np.full((200, 200), 9, np.uint16)
    tifffile.imwrite(tmp_path / "plain.tif", pixels)
    tifffile.imwrite(tmp_path / "tiles.tif", pixels, tile=(64, 64), compression="zlib")
    tifffile.imwrite(tmp_path / "strips.tif", pixels, rowsperstrip=8, compression="lzw")
    target = tmp_path / "out.tif"
    for name in ("plain.tif", "tiles.tif", "strips.tif"):
        task = Task(tmp_path / name, target)
        smooth_file(task, df.make("heat(time=1)"), overwrite=True)
        np.testing.assert_array_equal(tifffile.imread(target), pixels)
        with pytest.raises(ValueError, match=r"it has 40000 pixels; pass --max-pixels 40000"):
            smooth_file(task, df.make("heat(time=1)"), overwrite=True, max_pixels=39_999)
    # One part is all of it, and of so few bytes as no photograph.
    tifffile.imwrite(tmp_path / "one.tif", pixels, rowsperstrip=200, compression="zlib")
    task = Task(tmp_path / "one.tif", target)
    with pytest.raises(
        ValueError, match=r"one\.tif is refused: \d+ bytes would become 40000 pixels"
    ):
        smooth_file(task, df.make("heat(time=1)"), overwrite=True)
    smooth_file(task, df.make("heat(time=1)"), overwrite=True, max_pixels=40_000)


def test_files_that_cannot_be_split_are_read_as_a_whole(tmp_path, low_limits):
    from difffilter.blocks.folders import Task, smooth_file

    bits = np.random.default_rng(0).random((200, 200)) < 0.5
    tifffile.imwrite(tmp_path / "bits.tif", bits)
    colours = np.random.default_rng(0).integers(0, 256, (3, 90, 90), np.uint8)
    tifffile.imwrite(tmp_path / "planes.tif", colours, planarconfig="separate", photometric="rgb",
                     tile=(64, 64))  # fmt: skip
    for name, pixels in (("bits.tif", 40_000), ("planes.tif", 24_300)):
        task = Task(tmp_path / name, tmp_path / f"out_{name}")
        with pytest.raises(
            ValueError, match=f"{name} is refused: it has {pixels} pixels; pass --max"
        ):
            smooth_file(task, df.make("identity"))
        smooth_file(task, df.make("identity"), max_pixels=pixels)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out_bits.tif"), bits)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out_planes.tif"), colours)


@pytest.mark.parametrize("side", [70_000, 2**31 - 1])
def test_absurd_headers_are_refused_at_once(tmp_path, side):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0))
    (tmp_path / "absurd.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )
    with pytest.raises(ValueError, match=r"absurd\.png"):
        read(tmp_path / "absurd.png")


def test_odd_names(tmp_path):
    folder = tmp_path / "in put"
    folder.mkdir()
    names = [
        "a b.png",
        "-v.png",
        "--help.png",
        "é\u202eµ 图.png",
        "%s {0} $HOME.png",
        "[x].png",
        "a\nb.png",
    ]
    for name in names:
        Image.fromarray(np.full((8, 8), 99, np.uint8)).save(folder / name)
    result = invoke("smooth", folder, "-o", "out", "-m", "heat(time=1)", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert sorted(os.listdir(tmp_path / "out")) == sorted(names)
    # One by one, as a shell hands them over.
    for name in ("--help.png", "a\nb.png"):
        result = invoke(
            "smooth", "-m", "heat(time=1)", "-o", f"../{name}.tif", "--", name, cwd=folder
        )
        assert result.returncode == 0, result.stderr
        assert (tmp_path / f"{name}.tif").exists()


def test_symbolic_links(tmp_path):
    """A result takes the place of a link; what the link led to stays."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(tmp_path / "in/a.png")
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "out/a.png").symlink_to(precious)
    result = invoke("smooth", "in", "-o", "out", "-m", "heat(time=1)", cwd=tmp_path)
    assert "exists already" in result.stderr
    result = invoke("smooth", "in", "-o", "out", "-m", "heat(time=1)", "--overwrite", cwd=tmp_path)
    assert result.returncode == 0
    assert precious.read_text() == "mine"
    assert not (tmp_path / "out/a.png").is_symlink()
    (tmp_path / "in/loop.png").symlink_to("loop.png")
    result = invoke("smooth", "in", "-o", "new", "-m", "heat(time=1)", cwd=tmp_path)
    assert result.returncode == 1
    assert "in/loop.png" in result.stderr
    # A link to a Zarr store is not followed when it is replaced.
    zarr = pytest.importorskip("zarr")
    for name in ("in.zarr", "kept.zarr"):
        zarr.create_array(str(tmp_path / name), data=np.ones((20, 20), np.float32))
    (tmp_path / "out.zarr").symlink_to("kept.zarr")
    result = invoke(
        "smooth", "in.zarr", "-o", "out.zarr", "-m", "heat(time=1)", "--overwrite", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "kept.zarr/zarr.json").exists()
    assert not (tmp_path / "out.zarr").is_symlink()


@pytest.mark.parametrize(
    "text",
    [
        "heat(time=__import__('os').system('touch escaped'))",
        "heat(time=[x for x in ().__class__.__base__.__subclasses__()])",
        "heat(time=(lambda: 0)())",
        "heat(time=10**10**10)",
        "heat(time=1e999)",
        "heat(**{'time': 1})",
        "os:system('touch escaped')",
        "pathlib:Path('escaped')",
        "builtins:exec(object='1')",
        "heat(time=f'{1}')",
        "heat" + "(" * 5000,
        "heat(time=" + "-" * 5000 + "1)",
        "heat(time=" + "9" * 5000 + ")",
        "\0",
        "..:x",
        "..x:y",
        "",
    ],
)
def test_methods_never_evaluate_code(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError)):
        df.make(text)(np.zeros((4, 4)), 0.1)
    assert not list(Path(tmp_path).iterdir())
