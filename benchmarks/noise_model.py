"""The errors of `difffilter.estimate_noise` where the noise is known, and its duration.

    python benchmarks/noise_model.py FOLDER [--every 8] -o benchmarks/results/noise_model.md
    python benchmarks/noise_model.py FOLDER --time-only -o benchmarks/results/noise_model.md

The second measures the duration again, on a machine with nothing else to do, and leaves the rest.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from scripting import describe, medians, table, write_report

import difffilter as df
from difffilter.io.files import read

TIME = "## Time\n"

# Pixels down and to the right.
LAGS = ((0, 1), (1, 1), (0, 2))

WHITE = (5, 15, 25, 50)
CORRELATED = ((1.5, 10), (1.5, 25), (2, 10), (2, 25), (3, 10), (3, 25))
# Shot and read noise, as variances.
CAMERAS = ((0.002, 1e-5), (0.008, 1e-4), (0.02, 6e-4))
QUALITIES = (90, 75, 40)


@dataclass(frozen=True)
class Errors:
    """The estimate for one image, compared with the noise that was added.

    Attributes
    ----------
    white : bool
        Whether the noise is said to be white.
    sigma, true : float
        Its root mean square, estimated and true.
    correlation : ndarray
        Estimated minus true, at each of `LAGS`.
    level : float
        Root mean square of log(estimated / true standard deviation) over classes of intensity and
        channels.
    """

    white: bool
    sigma: float
    true: float
    correlation: np.ndarray
    level: float


def correlations(noise):
    """The autocorrelation of noise ``(H, W, C)`` at each of `LAGS`, the mean of the channels."""
    height, width = noise.shape[:2]
    noise = noise - noise.mean(axis=(0, 1))
    products = [
        np.mean(noise[: height - down, : width - right] * noise[down:, right:])
        for down, right in LAGS
    ]
    return np.array(products) / np.mean(np.square(noise))


def errors(clean, noisy, classes=8):
    """Compare the model of a noisy image with its noise.

    Parameters
    ----------
    clean, noisy : ndarray
        ``(H, W)`` or ``(H, W, C)``.
    classes : int
        The number of classes of equal size of the clean image's mean over the channels.

    Returns
    -------
    Errors
    """
    axis = -1 if clean.ndim == 3 else None
    model = df.estimate_noise(noisy, channel_axis=axis)
    clean = clean.reshape(*clean.shape[:2], -1).astype(float)
    noise = noisy.reshape(clean.shape) - clean
    order = np.argsort(clean.mean(axis=2), axis=None, kind="stable")
    told = model.deviation(clean, 2).reshape(-1, clean.shape[2])
    flat, logs = noise.reshape(-1, clean.shape[2]), []
    for members in np.array_split(order, classes):
        true = flat[members].std(axis=0)
        said = np.sqrt(np.mean(np.square(told[members]), axis=0))
        seen = (true > 0) & (said > 0)
        logs += list(np.log(said[seen] / true[seen]))
    return Errors(
        model.white,
        model.sigma,
        float(np.sqrt(np.mean(np.square(noise)))),
        np.array([model.correlation[3 + down, 3 + right] for down, right in LAGS])
        - (correlations(noise) if noise.any() else 0),
        float(np.sqrt(np.mean(np.square(logs)))) if logs else float("nan"),
    )


def measured(photos, sigma, noise):
    """The errors on each photograph, with a seed of its own."""
    found = []
    for seed, clean in enumerate(photos):
        axis = -1 if clean.ndim == 3 else None
        noisy = (
            clean if noise is None else df.add_noise(clean, sigma, noise, seed, channel_axis=axis)
        )
        found.append(errors(clean, noisy))
    return found


def told(found):
    return f"{sum(each.white for each in found)} of {len(found)}"


def ratios(found):
    """The median of estimated / true σ, and the one furthest from 1."""
    values = np.array([each.sigma / each.true for each in found])
    worst = values[np.argmax(np.abs(np.log(np.maximum(values, 1e-6))))]
    return [f"{np.median(values):.2f}", f"{worst:.2f}"]


def correlation_errors(found):
    """The median and the largest error at each lag."""
    values = np.array([each.correlation for each in found])
    cells = []
    for each in values.T:
        cells.append(f"{np.median(each):+.2f}, {each[np.argmax(np.abs(each))]:+.2f}")
    return cells


def level_errors(found):
    values = np.array([each.level for each in found])
    return [f"{np.median(values):.2f}, {values.max():.2f}"]


def sections(kinds):
    """The lines of all tables but that of the time.

    Parameters
    ----------
    kinds : dict of str to list of ndarray
        Photographs, by the name of their kind.
    """
    lags = [f"correlation at ({down}, {right})" for down, right in LAGS]
    rows = []
    for name, photos in kinds.items():
        for level in WHITE:
            found = measured(photos, level / 255, "gaussian")
            rows.append([name, str(level), told(found), *ratios(found)])
    yield from [
        "## White noise", "",
        *table(["images", "σ·255", "said to be white", "σ: estimated / true", "worst"], rows), "",
    ]  # fmt: skip
    rows = []
    for name, photos in kinds.items():
        for fwhm, level in CORRELATED:
            found = measured(photos, level / 255, f"correlated(fwhm={fwhm})")
            rows.append([name, str(fwhm), str(level), told(found), *ratios(found),
                         *correlation_errors(found)])  # fmt: skip
    yield from [
        "## Correlated noise", "",
        "Correlations are estimated minus true: the median, the worst.", "",
        *table(["images", "FWHM", "σ·255", "said to be white", "σ: estimated / true", "worst", *lags],
               rows), "",
    ]  # fmt: skip
    rows = []
    for name, photos in kinds.items():
        for shot, variance in CAMERAS:
            for quality in (None, 90):
                noise = f"camera(read={variance}, quality={quality})"
                found = measured(photos, shot**0.5, noise)
                rows.append([name, str(shot), f"{variance:g}", str(quality or "none"), told(found),
                             *ratios(found), *level_errors(found),
                             correlation_errors(found)[0]])  # fmt: skip
    yield from [
        "## Camera noise", "",
        "The standard deviation by intensity is judged by the root mean square of log(estimated / true) "
        "over eight classes of the clean intensity, of equal size, and the channels: the median, the "
        "worst. An error of 0.1 is one of 10 %. With JPEG, what compression takes from the image counts "
        "as noise.", "",
        *table(["images", "shot", "read", "JPEG", "said to be white", "σ: estimated / true", "worst",
                "by intensity", lags[0]], rows), "",
    ]  # fmt: skip
    rows = []
    for name, photos in kinds.items():
        for quality in (None, *QUALITIES):
            found = measured(photos, 0, quality and f"jpeg(quality={quality})")
            values = 255 * np.array([[each.sigma, each.true] for each in found])
            rows.append([name, f"JPEG {quality}" if quality else "clean", told(found),
                         *(f"{np.median(each):.1f}, {each.max():.1f}" for each in values.T)])  # fmt: skip
    yield from [
        "## No noise", "",
        "Clean photographs, and compressed ones: the median and the largest σ·255. A photograph's own "
        "noise counts as an error here.", "",
        *table(["images", "", "said to be white", "estimated", "true"], rows), "",
    ]  # fmt: skip


def time_section(photo, repeats):
    """The duration for 12 megapixels, made of copies of a noisy photograph."""
    runs = {}
    for name, sigma, noise in (
        ("white", 25 / 255, "gaussian"),
        ("camera", 0.008**0.5, "camera(read=1e-4)"),
    ):
        noisy = df.add_noise(photo, sigma, noise, channel_axis=-1).astype(np.float32)
        copies = [-(-size // given) for size, given in zip((3000, 4000), noisy.shape, strict=False)]
        large = np.ascontiguousarray(np.tile(noisy, (*copies, 1))[:3000, :4000])
        runs[name] = lambda image=large: df.estimate_noise(image, channel_axis=-1)
    rows = [[name, f"{taken:.2f}"] for name, taken in medians(runs, repeats).items()]
    return [
        *TIME.splitlines(), "",
        f"4000×3000×3, float32: seconds, medians of {repeats}, on {describe('numpy')}; {date.today()}.",
        "", *table(["noise", "seconds"], rows),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--time-only", action="store_true", help="keep the other tables of the output"
    )
    parser.add_argument("--note", default="", help="a sentence to add to the time")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.png"))[:: arguments.every]
    photos = [read(file).pages[0].astype(np.float32) / 255 for file in files]
    if arguments.time_only:
        lines = arguments.output.read_text("utf-8").split(TIME)[0].splitlines()
    else:
        lines = [
            "# Errors of the noise model",
            "",
            f"`python benchmarks/noise_model.py FOLDER --every {arguments.every}`: "
            f"{len(photos)} photographs of {arguments.folder.name}, in colour and grey (the mean of the "
            "channels), with noise by `difffilter.add_noise`. The worst is that furthest from the truth.",
            "",
            *sections({"colour": photos, "grey": [photo.mean(axis=2) for photo in photos]}),
        ]
    lines += time_section(photos[0], arguments.repeats)
    if arguments.note:
        lines += ["", arguments.note]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
