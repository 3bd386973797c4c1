"""Images with the noise they came with, and no clean twin: real_noise.py FOLDER ... -o FILE.md

Photon counts are thinned into two independent halves: one is denoised, the other scores the result.
Several frames of one field score each other. All other images are judged by what was removed.

The images come in packages, unpacked into any folders:

    pip download --no-deps pydicom-data stardist          # then unzip *.whl
    apt-get download eso-midas-testdata                   # then dpkg-deb -x *.deb midas
    pip install pydicom pylibjpeg pylibjpeg-libjpeg       # to read DICOM
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude
from scripting import describe, table, write_report

import difffilter as df
from difffilter.catalog import MissingExtra
from difffilter.io.files import read

DECIBEL = 10 / np.log(10)


def auto(image):
    return df.denoise(image)


def ddpm(image):
    return df.denoise(image, method="ddpm")


def poisson(method):
    return lambda image: df.denoise(image, method=method, noise="poisson")


# What photon counts are denoised by; the first two are those that others are compared with.
COUNTS_METHODS = {
    "unfiltered": lambda image: image,
    'auto, noise="poisson"': poisson("auto"),
    'auto, noise="poisson", sigma=1': lambda image: df.denoise(image, 1.0, noise="poisson"),
    "auto, nothing given": auto,
    "perona_malik, poisson": poisson("perona_malik"),
    "tv_flow, poisson": poisson("tv_flow"),
    "ddpm, poisson": poisson("ddpm"),
    "scikit-image TV, poisson": poisson("peers:TotalVariation"),
    "scikit-image non-local means, poisson": poisson("peers:NonLocalMeans"),
    "BM3D, poisson": poisson("peers:BM3D"),
}
METHODS = {"auto": auto, "ddpm": ddpm}


@dataclass(frozen=True)
class Case:
    """An image: its file, what took it, the part to use, and the part of that to draw.

    Intensities are scaled by `limits`, and clipped to them; ``None``: by nearly all that occur, and
    not clipped.
    """

    file: str
    what: str
    part: tuple
    shown: tuple
    limits: tuple | None = None


def part(top, left, height, width=None):
    return slice(top, top + height), slice(left, left + (width or height))


COUNTS = {
    "bone scan": Case("JPEG-LL.dcm", "gamma camera (NM)", part(60, 0, 512, 256), part(60, 40, 160)),
    "XMM-Newton": Case(
        "image_M12c.fits", "X-ray telescope", part(130, 130, 256), part(48, 48, 160)
    ),
    "ROSAT": Case("rosat.mt", "X-ray telescope", part(70, 60, 96, 60), part(0, 0, 96, 60)),
}
IMAGES = {
    "nuclei": Case("img2d.tif", "fluorescence", part(0, 0, 512), part(60, 20, 160)),
    "plane of nuclei": Case(
        "img3d.tif", "fluorescence", (15, slice(None), slice(None)), part(0, 0, 61, 57)
    ),
    "chest": Case("RG1_UNCR.dcm", "X-ray (CR)", part(500, 300, 512), part(150, 150, 160)),
    "ankle": Case("RG3_UNCR.dcm", "X-ray (CR)", part(1200, 700, 512), part(100, 100, 160)),
    "head": Case("693_UNCR.dcm", "CT", part(100, 100, 320), part(80, 60, 160)),
    "brain window": Case(
        "693_UNCR.dcm", "CT", part(100, 100, 320), part(80, 60, 160), (1024, 1104)
    ),
    "shoulder": Case("MR2_UNCR.dcm", "MR", part(250, 250, 512), part(180, 120, 160)),
    "abdomen": Case(
        "MR-SIEMENS-DICOM-WithOverlays.dcm", "MR", part(110, 60, 300, 360), part(20, 60, 160)
    ),
    "tissue and fluid": Case(
        "gdcm-US-ALOKA-16.dcm", "ultrasound", part(60, 60, 280, 180), part(80, 10, 160)
    ),
    "tissue": Case(
        "gdcm-US-ALOKA-16.dcm", "ultrasound", part(200, 60, 140, 180), part(0, 10, 140, 160)
    ),
    "star field": Case(
        "ISAAC.2006-04-13T06:32:38.944.fits", "infrared", part(600, 300, 400), part(40, 40, 160)
    ),
    "photographic plate": Case("wcstest.mt", "sky survey", part(0, 0, 352), part(20, 20, 160)),
}
FRAMES = Case("VISIR.2004-09-30T03:17:49.095.fits", "infrared", part(40, 140, 200, 110), None)

# ---------------------------------------------------------------------------------------- reading

TYPES = {8: "u1", 16: ">i2", 32: ">i4", -32: ">f4", -64: ">f8"}
BLOCK, CARD = 2880, 80


def read_fits(file):
    """The array of the first image of a FITS file, as float64."""
    content, start, fields = Path(file).read_bytes(), 0, {}
    while "END" not in fields:
        for first in range(start, start + BLOCK, CARD):
            card = content[first : first + CARD].decode("latin-1")
            fields[card[:8].strip()] = card[10:].split("/")[0].strip()
        start += BLOCK
    shape = [int(fields[f"NAXIS{axis}"]) for axis in range(int(fields["NAXIS"]), 0, -1)]
    values = np.frombuffer(content, TYPES[int(fields["BITPIX"])], int(np.prod(shape)), start)
    scale, zero = float(fields.get("BSCALE", 1)), float(fields.get("BZERO", 0))
    return zero + scale * values.reshape(shape).astype(float)


def load(folders, name):
    """The image of a file in one of the folders, or ``None``."""
    found = next((file for folder in folders for file in sorted(folder.rglob(name))), None)
    if found is None:
        return None
    if found.suffix == ".dcm":
        import pydicom

        return pydicom.dcmread(found).pixel_array.astype(float)
    if found.suffix == ".tif":
        pages = read(found).pages
        return np.squeeze(np.stack([np.asarray(page, float) for page in pages]))
    return read_fits(found)


# ---------------------------------------------------------------------------------------- scoring


def thin(counts, seed=0):
    """Split photon counts into two independent Poisson images of half the intensity."""
    half = np.random.default_rng(seed).binomial(counts.astype(np.int64), 0.5)
    return half.astype(float), counts - half


def held_out(result, other):
    """Squared errors of a result, without bias: against counts that it does not depend on.

    Counts have the variance of their mean λ, so (r − k)² has the mean (r − λ)² + λ, and k the mean λ.
    """
    return np.square(result - other) - other


def ahead(first, second, other):
    """The reduction in mean squared error from the second result to the first, and its standard error.

    (r − k)² − (s − k)² depends on the counts k by 2k(s − r), whose variance is 4λ(s − r)².
    """
    less = (held_out(second, other) - held_out(first, other)).mean()
    return less, 2 * np.sqrt((other * np.square(second - first)).sum()) / other.size


def edge_energy(image, result):
    """The energy of the residual at edges, relative to that at flat places of the same intensity.

    1: the residual is as strong as noise that depends on nothing but the intensity. Above 1, edges
    were removed with the noise; below 1, noise was left at edges. Edges are the 5 % of the pixels
    where the result is steepest, flat places the half where it is least steep.
    """
    energy, steepness = np.square(image - result), gaussian_gradient_magnitude(result, 1)
    edges = steepness >= np.quantile(steepness, 0.95)
    flat = steepness <= np.median(steepness)
    order = np.argsort(result[flat], kind="stable")
    classes = np.array_split(order, 20)
    levels = [result[flat][each].mean() for each in classes]
    expected = [energy[flat][each].mean() for each in classes]
    return energy[edges].mean() / np.interp(result[edges], levels, expected).mean()


def correlation(first, second):
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def share_of_noise(apply, image, result, model, seed=0):
    """The correlation of the residual with the result that noise left in the result explains.

    With noise n the covariance of n and f(y) is the trace of the covariance of n times the derivative
    of f (Stein's lemma), measured by a probe: noise as in the image. The rest is the covariance of
    x − f(y) with f(y). It is 0 for a result that no factor would bring nearer to the clean image x,
    and positive for one of too little contrast.
    """
    white = np.random.default_rng(seed).standard_normal(image.shape).astype(np.float32)
    probe = model.shaped(white[None, None])[0, 0] * model.deviation(result)
    step = 0.1
    change = (apply(image + step * probe) - apply(image)) / step
    return float((probe * change).mean() / ((image - result).std() * result.std()))


def residual_row(image, result):
    """Measures of image structure left in the residual."""
    residual = image - result
    return {
        "with the result": correlation(residual, result),
        "with its detail": correlation(residual, result - gaussian_filter(result, 2)),
        "edges": edge_energy(image, result),
        "between neighbours": correlation(residual[:, 1:], residual[:, :-1]),
    }


def scaled(image, limits=None):
    """Float32 in [0, 1]; without limits a few bright pixels, such as stars, are above."""
    low, high = limits or np.quantile(image, [0.0, 0.999])
    image = image if limits is None else np.clip(image, low, high)
    return ((image - low) / (high - low)).astype(np.float32)


# --------------------------------------------------------------------------------------- sections


def attempt(method: Callable, image):
    """The result and its processor seconds; ``None`` where the library is missing."""
    start = time.process_time()
    try:
        result = method(image)
    except MissingExtra:
        return None
    return result, time.process_time() - start


def counts_rows(name, counts):
    """Each method's error on half of the photons, scored on the other half."""
    half, other = thin(counts)
    half = half.astype(np.float32)
    results = {key: attempt(method, half) for key, method in COUNTS_METHODS.items()}
    results = {key: found for key, found in results.items() if found is not None}
    plain, usual = (results[key][0] for key in list(COUNTS_METHODS)[:2])
    start, common = (held_out(result, other).mean() for result in (plain, usual))
    for key, (result, seconds) in results.items():
        error = held_out(result, other).mean()
        gain, difference = (DECIBEL * np.log(each / error) for each in (start, common))
        spread = DECIBEL * ahead(result, usual, other)[1] / error
        yield [name, key, f"{error:.4g}", f"{gain:.2f}", f"{difference:+.2f} ± {spread:.2f}",
               f"{seconds:.1f}"]  # fmt: skip


def noise_row(name, case, image):
    """The noise of an image, as `estimate_noise` and `estimate_sigma` see it."""
    model = df.estimate_noise(image)
    across, down = model.correlation[3, 4], model.correlation[4, 3]
    return [name, case.what, f"{image.shape[0]} × {image.shape[1]}", "yes" if model.white else "no",
            f"{model.sigma:.4f}", f"{df.estimate_sigma(image):.4f}", f"{across:.2f}, {down:.2f}"]  # fmt: skip


def residual_rows(name, image, results):
    model = df.estimate_noise(image)
    for key, (result, seconds) in results.items():
        if np.array_equal(image, result):
            yield [name, key, "0", *["–"] * 5, f"{seconds:.1f}"]
            continue
        found = residual_row(image, result)
        chosen = df.estimate_parameters(image, method=key)
        share = share_of_noise(lambda y, c=chosen: c.method(y, c.sigma), image, result, model)
        flag = " (!)" if abs(found["with the result"]) > 0.05 else ""
        removed = float(np.std(image - result)) / model.sigma if model.sigma else np.nan
        yield [name, key, f"{removed:.2f}", f"{found['with the result']:+.3f}{flag}", f"{share:+.3f}",
               f"{found['with its detail']:+.3f}", f"{found['edges']:.2f}",
               f"{found['between neighbours']:+.2f}", f"{seconds:.1f}"]  # fmt: skip


def frames_of(cube, crop):
    """The difference that each chopping cycle adds to VISIR's running means.

    Cycles during which the sky's brightness drifted show the detector's pattern, and are left out.
    """
    running = cube[1:16:2]
    cycles = [(n + 1) * running[n] - n * running[n - 1] for n in range(len(running))]
    frames = np.array(cycles)[(slice(None), *crop)]
    frames -= frames.mean(axis=(1, 2), keepdims=True)
    spread = frames.std(axis=(1, 2))
    return frames[spread < 1.3 * np.median(spread)]


def frames_rows(frames):
    """Each method's error on single frames, scored on the mean of the others."""
    frames = scaled(frames)
    methods = {"unfiltered": lambda image: image, **METHODS}
    errors = {key: [] for key in methods}
    for number, frame in enumerate(frames):
        others = np.delete(frames, number, axis=0)
        uncertain = others.var(axis=0, ddof=1).mean() / len(others)
        for key, method in methods.items():
            found = attempt(method, frame)
            if found is not None:
                error = np.square(found[0] - others.mean(axis=0)).mean() - uncertain
                errors[key].append(float(error))
    start = np.mean(errors["unfiltered"])
    for key, each in errors.items():
        if each:
            yield [key, f"{np.mean(each):.3g}", f"{DECIBEL * np.log(start / np.mean(each)):.2f}"]


def draw(file, image, result, where):
    """A part of the image, the result and the residual, side by side."""
    import matplotlib.pyplot as plt

    shown, removed = image[where], (image - result)[where]
    low, high = np.quantile(shown, [0.002, 0.998])
    noise = 4 * np.std(removed) or 1
    panels = [
        ("image", shown, low, high),
        ("result", result[where], low, high),
        ("image − result", removed, -noise, noise),
    ]
    height, width = shown.shape
    scale = max(1, round(320 / height))
    figure, axes = plt.subplots(
        1, len(panels), dpi=100, figsize=(scale * width * len(panels) / 98, scale * height / 100 + 0.3),
        layout="constrained",
    )  # fmt: skip
    for axis, (title, panel, bottom, top) in zip(axes, panels, strict=True):
        axis.imshow(panel, cmap="gray", vmin=bottom, vmax=top, interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    figure.savefig(file)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="draw each result here; two are in docs/"
    )
    arguments = parser.parse_args()
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    for method in METHODS.values():  # compile, load
        method(np.random.default_rng(0).random((64, 64), np.float32))
    missing, counts, noises, residuals = [], [], [], []
    for name, case in COUNTS.items():
        if (image := load(arguments.folders, case.file)) is None:
            missing.append(case.file)
            continue
        image = image[case.part]
        counts += counts_rows(f"{name} (mean {image.mean():.2g})", image)
        print(*counts[-len(COUNTS_METHODS) :], sep="\n", flush=True)
        if arguments.pictures:
            result = poisson("auto")(image.astype(np.float32))
            draw(arguments.pictures / f"{name}.png", image, result, case.shown)
    for name, case in IMAGES.items():
        if (image := load(arguments.folders, case.file)) is None:
            missing.append(case.file)
            continue
        image = scaled(image[case.part], case.limits)
        results = {key: attempt(method, image) for key, method in METHODS.items()}
        results = {key: found for key, found in results.items() if found is not None}
        noises.append(noise_row(name, case, image))
        residuals += residual_rows(name, image, results)
        print(noises[-1], *residuals[-len(results) :], sep="\n", flush=True)
        if arguments.pictures:
            for key, (result, _) in results.items():
                draw(arguments.pictures / f"{name}, {key}.png", image, result, case.shown)
    cube = load(arguments.folders, FRAMES.file)
    frames = [] if cube is None else frames_of(cube, FRAMES.part)
    lines = report(missing, counts, noises, residuals, frames)
    write_report(lines, arguments.output)


def report(missing, counts, noises, residuals, frames):
    """The lines of the page of results."""
    about = f"{describe('difffilter', 'scikit-image')}; {date.today()}"
    lines = [
        "# Real noise",
        "",
        f"`python benchmarks/real_noise.py FOLDER`, {about}. The script names the packages that the "
        "images come in.",
        "",
        "## Photon counts, scored on the other half of the photons",
        "",
        "Each photon of an image goes to one of two halves by the toss of a coin; for Poisson counts "
        "the halves are independent. One is denoised. *Error*: mean squared difference from the other "
        "half, less the variance of that (its mean): an unbiased estimate of the mean squared error, in "
        "photons². *Gain*: relative to unfiltered. *Difference*: from the second row, with its standard "
        "error.",
        "",
        *table(["image", "method", "error", "gain, dB", "difference, dB", "processor s"], counts),
        "",
        "## Frames of one field, scored on the mean of the others",
        "",
        f"{len(frames)} chopping cycles of VISIR, without those during which the background drifted. "
        "What the frames share of the detector's pattern counts as image.",
        "",
        *table(
            ["method", "mean squared error", "gain, dB"], frames_rows(frames) if len(frames) else []
        ),
        "",
        "## The noise found",
        "",
        "Intensities are scaled to [0, 1]. *As white*: `estimate_sigma`. *Correlation*: of the noise "
        "between neighbours in a row and in a column.",
        "",
        *table(["image", "from", "pixels", "white", "sigma", "as white", "correlation"], noises),
        "",
        "## What was removed",
        "",
        "*Removed*: standard deviation of the residual (image − result), relative to the noise found. "
        "*Correlation* of the residual with the result, (!) where above 0.05; *of noise*: as much of it "
        "comes from noise that is still in the result (by Stein's lemma); what is more is contrast that "
        "was lost; *detail*: correlation with the detail of the result, which a Gaussian blur of σ = 2 "
        "removes; *neighbours*: of the residual, in a row. *Edges*: energy of the residual at edges, "
        "relative to flat places of the same intensity; above 1, edges were removed with the noise; "
        "below 1, noise was left at edges.",
        "",
        *table(
            ["image", "method", "removed", "correlation", "of noise", "detail", "edges", "neighbours",
             "processor s"],
            residuals,
        ),
    ]  # fmt: skip
    if missing:
        lines += ["", f"Not found: {', '.join(missing)}."]
    return lines


if __name__ == "__main__":
    main()
