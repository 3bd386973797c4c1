"""Jobs for faults to interrupt: a folder, the command, and how to tell whether its result is whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from skimage import data

import difffilter as df

__all__ = ["METHOD", "REAL", "SCENES", "Bench", "Folder", "Huge", "Train"]

SIDE = 96

METHOD = "perona_malik(kappa=0.1, time=1, diffusivity='rational', presmooth=0, step=0.2)"

# A slow Denoiser, so that it can be interrupted halfway.
SLOWLY = """\
import time
import difffilter as df

class Slowly(df.Denoiser):
    def halo(self, axes):
        return (0,) * axes

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        time.sleep(0.03)
        return noisy if noisy.dtype.kind == "f" else noisy / 255

    def __repr__(self):
        return "Slowly()"
"""

STUDY = """\
images = "in"
sigmas = [0.1, 0.2]
metrics = ["psnr"]
denoisers = ["slowly:Slowly"]
examples = 1
"""


class Scene:
    """A folder with a job, the command that does it, and a check of its result."""

    jobs = ()
    retry = False

    def __init__(self, folder):
        self.folder = Path(folder)
        shutil.rmtree(folder, ignore_errors=True)
        (self.folder / "in").mkdir(parents=True)
        (self.folder / "slowly.py").write_text(SLOWLY)
        rng = np.random.default_rng(0)
        self.pixels = [rng.integers(0, 256, (SIDE, SIDE), np.uint8) for _ in range(6)]
        for k, pixels in enumerate(self.pixels):
            Image.fromarray(pixels).save(self.folder / f"in/{k}.png")
        self.prepare()

    def prepare(self):
        pass

    def start(self, again=False, before=(), **options):
        """The process, with pipes."""
        command = [*before, sys.executable, "-m", "difffilter", *self.command(again)]
        return subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, **options,
        )  # fmt: skip

    def finish(self):
        """Run again without faults, and check the result."""
        if self.whole():
            self.check()
            return
        process = self.start(again=True)
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        self.check()
        assert self.whole(), "the second run did not finish the job"


class Folder(Scene):
    """``smooth`` on a folder."""

    name = "smooth, a folder"

    def command(self, again):
        return ["smooth", "in", "-o", "out", "-m", "slowly:Slowly", "--sigma", "0.1", "--resume",
                *self.jobs]  # fmt: skip

    def begun(self):
        return len(list(self.folder.glob("out/[!.]*.png")))

    def check(self):
        for path in self.folder.glob("out/[!.]*.png"):
            with Image.open(path) as image:
                np.testing.assert_array_equal(np.asarray(image), self.pixels[int(path.stem)])

    def whole(self):
        return self.begun() == 6


class Blocks(Scene):
    """``smooth`` on one large file, by blocks."""

    suffix = ".tif"
    name = "smooth by blocks, TIFF"

    def prepare(self):
        self.large = np.tile(self.pixels[0], (3, 3))
        tifffile.imwrite(self.folder / "in.tif", self.large)

    def command(self, again):
        return ["smooth", "in.tif", "-o", f"result{self.suffix}", "-m", "slowly:Slowly",
                "--sigma", "0.1", "--block", "32", *self.jobs]  # fmt: skip

    def begun(self):
        journal = self.folder / f"result{self.suffix}.journal"
        return journal.read_bytes().count(b"\n") // 4 if journal.exists() else 0

    def check(self):
        if self.whole():
            from difffilter.io.arrays import open_array

            array = open_array(self.folder / f"result{self.suffix}")
            read = array.read((slice(0, 3 * SIDE),) * 2)
            array.close()
            np.testing.assert_array_equal(read, self.large)

    def whole(self):
        return (self.folder / f"result{self.suffix}").exists()


class ZarrBlocks(Blocks):
    suffix = ".zarr"
    name = "smooth by blocks, Zarr"


class Hdf5Blocks(Blocks):
    suffix = ".h5"
    name = "smooth by blocks, HDF5"


class Bench(Scene):
    name = "bench"

    def prepare(self):
        (self.folder / "study.toml").write_text(STUDY)

    def command(self, again):
        return ["bench", "study.toml", "-o", "out", *self.jobs, *["--retry"][: self.retry]]

    def begun(self):
        rows = self.folder / "out/rows.csv"
        return (rows.read_bytes().count(b"\n") - 1) // 2 if rows.exists() else 0

    def check(self):
        from difffilter.benchmark.rows import read_rows

        if self.whole():
            rows = read_rows(self.folder / "out/rows.csv")
            assert len(set(rows)) == len(rows) == 24
            assert not any(row.metric == "error" for row in rows)

    def whole(self):
        rows = self.folder / "out/rows.csv"
        return self.begun() == 12 and b",error," not in rows.read_bytes()


class Train(Scene):
    name = "train"

    def command(self, again):
        # Before the first checkpoint there is nothing to resume.
        resume = ["--resume"] if (self.folder / "out/checkpoint.safetensors").exists() else []
        return ["train", "in", "-o", "out", "--steps", "3", *resume]

    def begun(self):
        log = self.folder / "out/log.jsonl"
        return 3 * log.exists()

    def check(self):
        from difffilter.ddpm import weights

        if (self.folder / "out/weights.safetensors").exists():
            weights.load(self.folder / "out/weights.safetensors")

    def whole(self):
        log = self.folder / "out/log.jsonl"
        steps = [json.loads(line).get("loss") and json.loads(line)["step"]
                 for line in log.read_text().splitlines()] if log.exists() else []  # fmt: skip
        return [s for s in steps if s] == [1, 2, 3]


class Huge(Folder):
    """``smooth`` on a picture that takes several hundred megabytes."""

    name = "smooth, a large picture"

    def prepare(self):
        shutil.rmtree(self.folder / "in")
        (self.folder / "in").mkdir()
        pixels = np.tile(self.pixels[0], (36, 36))
        Image.fromarray(pixels).save(self.folder / "in/0.png", compress_level=1)
        self.pixels = [pixels]

    def command(self, again):
        return ["smooth", "in/0.png", "-o", "0.png", "-m", METHOD]

    def whole(self):
        return (self.folder / "0.png").exists()

    def check(self):
        if self.whole():
            with Image.open(self.folder / "0.png") as image:
                assert image.size == self.pixels[0].shape


SCENES = (Folder, Blocks, ZarrBlocks, Hdf5Blocks, Bench, Train)


class Real(Scene):
    """A command with filters of the catalog, which can be run again whatever there is."""

    def prepare(self):
        photo = data.camera()
        Image.fromarray(photo).save(self.folder / "photo.png")
        tifffile.imwrite(self.folder / "photo.tif", photo)
        for path in self.folder.glob("in/*.png"):
            Image.fromarray(photo[:300, :300]).save(path)
        (self.folder / "study.toml").write_text(
            STUDY.replace('"slowly:Slowly"', '"heat", "edge_enhancing", "auto"')
        )

    def command(self, again):
        return self.arguments.split()

    def check(self):
        assert not [*self.folder.rglob(".*")], "a temporary file is left"
        for path in self.folder.rglob("*.png"):
            with Image.open(path) as image:
                image.load()

    def finish(self):
        process = self.start()
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        self.check()


def real(arguments):
    """The scene of a command."""
    return type("Scene", (Real,), {"name": arguments, "arguments": arguments})


REAL = [
    *(real(f"smooth photo.png -o out.png --overwrite -m {name}") for name in df.methods()),
    real("smooth photo.png -o out.png --overwrite"),
    real("smooth photo.tif -o out.tif --overwrite --block 128"),
    real("smooth in -o out --resume"),
    real("smooth in -o out --resume --jobs 2"),
    real("compare photo.png --sigma 0.1 -o out.png --overwrite"),
    real("evolve photo.png -o out.png --overwrite"),
    real("estimate photo.png"),
    real("bench study.toml -o out"),
    real("bench study.toml -o out --jobs 2"),
]
