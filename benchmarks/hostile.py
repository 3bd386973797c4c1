"""Hostile files: valid ones, mutated at random by a seed, through the command line.

Each case has to be done or be refused with one line, in at most 10 s of processor time and 1 GB of
memory, without a traceback, a crash or a hang. Many cases share a process, which is replaced when
one of them kills it. Run by ``make faults`` and, with few cases, by the tests.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

__all__ = ["KINDS", "run"]

SECONDS, BYTES = 10, 1 << 30


# --- what is valid --------------------------------------------------------------------------


def pictures(folder):
    import tifffile
    from PIL import Image

    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (12, 17), np.uint8)
    colour = rng.integers(0, 256, (12, 17, 4), np.uint8)
    deep = rng.integers(0, 2**16, (12, 17), np.uint16)
    images = {"grey": Image.fromarray(grey), "rgb": Image.fromarray(colour[..., :3]),
              "rgba": Image.fromarray(colour), "palette": Image.fromarray(grey).convert("P"),
              "bits": Image.fromarray(grey).convert("1"), "deep": Image.fromarray(deep)}  # fmt: skip
    for name, image in images.items():
        image.save(folder / f"{name}.png", dpi=(300, 300))
    for name in ("grey", "rgb"):
        images[name].save(folder / f"{name}.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    images["rgba"].save(folder / "lossy.webp")
    images["rgb"].save(folder / "lossless.webp", lossless=True)
    kinds = {
        "plain": {}, "tiles": {"tile": (16, 16), "compression": "zlib"},
        "strips": {"rowsperstrip": 5, "compression": "lzw", "predictor": True},
        "big": {"bigtiff": True, "byteorder": ">"}, "jpeg": {"compression": "jpeg"},
        "described": {"description": "leaf", "resolution": (300, 300), "software": "scope"},
    }  # fmt: skip
    for name, options in kinds.items():
        tifffile.imwrite(folder / f"{name}.tif", grey if name == "jpeg" else deep, **options)
    tifffile.imwrite(folder / "stack.tif", np.stack([deep] * 3), imagej=True)
    tifffile.imwrite(folder / "ome.tif", np.stack([deep] * 3), ome=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "float.tif", grey.astype(np.float32) / 255)
    tifffile.imwrite(folder / "alpha.tif", colour, photometric="rgb", extrasamples=["unassalpha"])
    tifffile.imwrite(folder / "bits.tif", grey > 99)


def weight_files(folder):
    from difffilter.ddpm import weights
    from difffilter.ddpm.schedule import NoiseSchedule
    from difffilter.ddpm.unet import UNet, UNetConfig

    small = UNetConfig(widths=(8, 8), groups=8, attention=(), heads=1)
    weights.save(folder / "small.safetensors", UNet(small), NoiseSchedule(), (0.01, 0.5))


STUDY = """\
title = "a study"
images = ["skimage:camera"]
sigmas = ["25/255", 0.1]
noises = ["gaussian"]
seeds = [0, 1]
metrics = ["psnr", "ssim"]
crop = 64
sigma_known = true

[denoisers]
heat = "heat"
sharp = "perona_malik(kappa=0.05, time=2)"
"""

ROWS = """\
image,noise,sigma,seed,denoiser,metric,value
camera,gaussian,0.1,0,identity,psnr,20.1
camera,gaussian,0.1,0,"heat(time=1)",psnr,25.3
camera,gaussian,0.1,0,heat,error,"ValueError: no, not ""this"
"""

CALLS = (
    "perona_malik(kappa=0.05, time=25/255)",
    "heat(time=3, spacing=(1, 2))",
    "edge_enhancing",
    "hostile:Nothing(x=[1, 2, {'a': (None, True)}])",
)


def texts(folder):
    (folder / "study.toml").write_text(STUDY)
    (folder / "rows.csv").write_text(ROWS)
    for k, text in enumerate(CALLS):
        (folder / f"{k}.method").write_text(text)


def arrays(folder):
    import h5py
    import zarr

    values = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    for version in (2, 3):
        zarr.create_array(str(folder / f"{version}.zarr"), data=values, chunks=(10, 30),
                          zarr_format=version, attributes={"a": 1})  # fmt: skip
    with h5py.File(folder / "plain.h5", "w") as file:
        file.create_dataset("a/b", data=values)
    with h5py.File(folder / "chunks.h5", "w") as file:
        file.create_dataset("b", data=values, chunks=(10, 10), compression="gzip", fletcher32=True)


# --- what is wrong with it ------------------------------------------------------------------

ODD = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80",
       b"\x80\0\0\0", b"\x01\0\0\0", b"\0\0\0\x01", b"\xff\xff", b"\0\0")  # fmt: skip
WORDS = ("1e999", "-1", "nan", "inf", "9" * 400, "[" * 2000, "(" * 90, '"""', "\0", "é\u202e", "0x",
         "../../x", "__import__('os').system('touch escaped')", "{}", "''", "1/0", "--", "\ud800",
         "lambda: 0", "10**10**10", "[0]*10**9", ",", "\n", "=", "true", "None", "-" * 3000)  # fmt: skip


def mutated(data, rng, text):
    """Some bytes with one to four things wrong with them, often only a bit or a number."""
    slightly = rng.random() < 0.6
    for _ in range(1 if slightly else rng.integers(1, 5)):
        at = (
            int(rng.integers(len(data) + 1))
            if rng.random() < 0.5
            else int(rng.integers(min(len(data), 256) + 1))
        )
        size = int(rng.integers(1, 64))
        kind = int(
            rng.integers(5, 9 if text else 8) if slightly else rng.integers(9 if text else 8)
        )
        if kind == 0:
            data = data[:at]
        elif kind == 1:
            data = data[:at] + rng.bytes(size) + data[at:]
        elif kind == 2:
            data = data[:at] + data[at + size :]
        elif kind == 3:
            data = data[:at] + bytes(size) + data[at + size :]
        elif kind == 4:
            data = data[:at] + data[at : at + size] * int(rng.integers(2, 50)) + data[at:]
        elif kind in (5, 6):
            odd = ODD[rng.integers(len(ODD))]
            data = data[:at] + odd + data[at + len(odd) :]
        elif kind == 7 and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
        elif kind == 8:
            word = WORDS[rng.integers(len(WORDS))].encode("utf-8", "surrogatepass")
            data = data[:at] + word + data[at + size * int(rng.integers(2)) :]
    return with_checksums(data) if rng.random() < 0.5 else data


def with_checksums(data):
    """A PNG whose checksums are right, so that what is wrong with it gets farther."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    whole, at = data[:8], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + size]
        whole += data[at : at + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        at += 12 + size
    return whole + data[at:]


def command(*arguments):
    """The command line in this process: its exit code, and what it says of an error."""
    from difffilter.cli import main

    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(list(map(str, arguments)))
            code = 0
        except SystemExit as error:
            code = error.code or 0
    if code not in (0, 1, 2):
        raise AssertionError(f"exit code {code}")
    if code == 2 and (said.getvalue().count("\n") != 1 or not said.getvalue().startswith("error:")):
        raise AssertionError(f"not one line: {said.getvalue()!r}")
    return "done" if code == 0 else "refused"


def smooth(path):
    out = path.with_name(f"out{path.suffix}")
    for suffix in ("", ".partial", ".journal"):
        left = out.with_name(out.name + suffix)
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    result = command("smooth", path, "-o", out, "-m", "heat(time=0.5)", "--overwrite")
    if result == "refused" and out.exists():
        raise AssertionError("refused, and yet there is a result")
    return result


def refused_or(function, *errors):
    """What has no command of its own: a ValueError or OSError is what the command line reports."""

    def attempt(path):
        try:
            function(path)
        except (OSError, ValueError, *errors) as error:
            if not str(error):
                raise AssertionError("no message") from error
            return "refused"
        return "done"

    return attempt


def load_weights(path):
    from difffilter.ddpm import weights

    weights.load(path)


def load_study(path):
    from difffilter.benchmark.study import read_study

    read_study(path)


def load_rows(path):
    from difffilter.benchmark.rows import read_rows

    read_rows(path, repair=True)
    read_rows(path)


def make_method(path):
    from difffilter.catalog import make

    make(path.read_bytes().decode("utf-8", "replace"))


# Kind: what makes valid files, which of them, what is done with a mutated one, whether it is text.
KINDS = {
    "PNG": (pictures, "*.png", smooth, False),
    "JPEG": (pictures, "*.jpg", smooth, False),
    "WebP": (pictures, "*.webp", smooth, False),
    "TIFF": (pictures, "*.tif", smooth, False),
    "safetensors": (weight_files, "*.safetensors", refused_or(load_weights), False),
    "TOML of a study": (texts, "*.toml", refused_or(load_study), True),
    "CSV of results": (texts, "*.csv", refused_or(load_rows), True),
    "text of a method": (texts, "*.method", refused_or(make_method, TypeError), True),
    "Zarr": (arrays, "*.zarr", smooth, False),
    "HDF5": (arrays, "*.h5", smooth, False),
}


def prepared(valid, case, rng, folder, text):
    """A case's file or folder in `folder`, under the name of the valid one."""
    target = folder / f"{case}{valid.suffix}"
    if valid.is_file():
        target.write_bytes(mutated(valid.read_bytes(), rng, text))
        return target
    shutil.copytree(valid, target)
    files = sorted(p for p in target.rglob("*") if p.is_file())
    # Mostly the description of the array, which is text.
    about = [p for p in files if p.name.startswith((".z", "zarr"))]
    chosen = (
        about[rng.integers(len(about))] if rng.random() < 0.7 else files[rng.integers(len(files))]
    )
    chosen.write_bytes(mutated(chosen.read_bytes(), rng, chosen in about))
    return target


# --- running it -----------------------------------------------------------------------------


def most_memory():
    """The most bytes that this process has held. (``ru_maxrss`` begins with what its parent held.)"""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def work(kinds, folder, first, last):
    """The cases from first to last, of each kind in turn, in this process: a line of JSON before
    and after each."""
    folder = Path(folder)
    valid = {}
    for kind in kinds:
        make, pattern, attempt, _ = KINDS[kind]
        corpus = folder / make.__name__
        if not corpus.exists():
            corpus.mkdir()
            make(corpus)
        valid[kind] = [path for path in sorted(corpus.glob(pattern)) if path.stem != "out"]
        for path in valid[kind]:
            said = attempt(path)
            assert said == "done" or path.suffix == ".method", f"{path} is {said}"
    own = folder / "case"
    for case in range(first, last):
        kind = kinds[case % len(kinds)]
        number = case // len(kinds)
        *_, attempt, text = KINDS[kind]
        rng = np.random.default_rng([number, *kind.encode()])
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        path = prepared(valid[kind][number % len(valid[kind])], number, rng, own, text)
        before = set(os.listdir(folder))
        os.write(1, json.dumps({"case": case}).encode() + b"\n")
        start = time.process_time()
        try:
            said = attempt(path)
            if set(os.listdir(folder)) != before:
                said = f"wrote {set(os.listdir(folder)) - before}"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"[:300]
        seconds = time.process_time() - start
        peak = most_memory()
        record = {"case": case, "said": said, "seconds": seconds, "peak": peak}
        os.write(1, json.dumps(record).encode() + b"\n")
        if peak > BYTES:
            return  # the next process has its own


def run(kinds, folder, count, prelude=""):
    """How so many cases of some kinds, each in turn, ended.

    Returns
    -------
    dict
        ``outcomes``: how many were done, refused or failed; ``slowest``: the most processor time of
        a case in seconds; ``most``: the most memory of the process in bytes; ``bad``: the cases
        that failed. Each process begins with the code `prelude`.
    """
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    outcomes, slowest, most, bad, first = Counter(), 0.0, 0, [], 0
    while first < count:
        code = f"{prelude}import hostile; hostile.work({tuple(kinds)!r}, {str(folder)!r}, {first}, {count})"
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([
                str(Path(__file__).parent), str(Path(__file__).parent.parent)])},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30)),
        )  # fmt: skip
        errors = []
        reader = threading.Thread(target=lambda p=process, e=errors: e.append(p.stderr.read()))
        reader.start()
        watch = threading.Timer(0, lambda: None)
        began = None
        for line in process.stdout:
            watch.cancel()
            record = json.loads(line)
            if "said" in record:
                began = None
                first = record["case"] + 1
                slowest, most = max(slowest, record["seconds"]), max(most, record["peak"])
                fine = record["said"] in ("done", "refused")
                if fine and (record["seconds"] > SECONDS or record["peak"] > BYTES):
                    record["said"], fine = "too much", False
                outcomes[record["said"] if fine else "failed"] += 1
                if not fine:
                    bad.append(record)
            else:
                began = record["case"]
                watch = threading.Timer(6 * SECONDS, process.kill)
                watch.start()
        watch.cancel()
        reader.join()
        process.communicate()
        if began is not None:
            outcomes["failed"] += 1
            bad.append({"case": began, "said": f"process ended with {process.returncode}",
                        "error": errors[0][-300:]})  # fmt: skip
            first = began + 1
        elif process.returncode:
            bad.append({"case": None, "said": errors[0][-1000:]})
            break
    return {"outcomes": dict(outcomes), "slowest": slowest, "most": most, "bad": bad}
