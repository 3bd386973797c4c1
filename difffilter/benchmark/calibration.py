"""Parameters calibrated on training images: searched, stored, looked up."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from datetime import date
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from difffilter.benchmark.search import fit, mean_psnr
from difffilter.catalog import make
from difffilter.image import as_float, grey
from difffilter.io.files import SUFFIXES, read, replacing
from difffilter.spelling import parse, parse_number

__all__ = ["CALIBRATION", "NotCalibrated", "calibrate", "calibrated"]

CALIBRATION = Path(__file__).with_name("calibration.json")

SIGMAS = ("5/255", "10/255", "15/255", "25/255", "35/255", "50/255", "75/255")


class NotCalibrated(ValueError):
    """A method whose parameters have not been calibrated."""


def calibrated(name, sigma, *, colour=False, path=CALIBRATION):
    """The calibrated parameters of a method at a noise level.

    Parameters
    ----------
    name : str
        The name it was calibrated under, such as ``"peers:TotalVariation"``.
    sigma : float
        Standard deviation of the noise, in units of intensity; above 0.
    colour : bool, default False
        Whether for colour images whose channels are filtered jointly.
    path : path-like
        The file with the calibrated parameters.

    Returns
    -------
    dict
        Parameter to value. Between two calibrated levels, numbers are interpolated on logarithmic
        scales and choices are those of the nearer level. Beyond the outermost levels, parameters
        that scale with σ stay proportional to it, and the others stay constant.

    Raises
    ------
    NotCalibrated
        If the file has nothing under this name.
    ValueError
        If the file is damaged.

    Examples
    --------
    >>> calibrated("peers:TotalVariation", 25 / 255)["weight"] > 0.05
    True
    """
    path = Path(path)
    stored = _load(path, path.stat().st_mtime_ns) if path.exists() else {}
    mode = "colour" if colour else "grey"
    if mode not in stored.get(name, {}):
        raise NotCalibrated(
            f"{name} is not calibrated for {mode} images: difffilter calibrate FOLDER -m {name}"
        )
    return _constants(stored[name][mode], sigma)


def _constants(record, sigma):
    """Each parameter at σ, from its values at the levels of a record."""
    levels = {parse_number(text): at["constants"] for text, at in record["levels"].items()}
    found = {}
    for name, where in record["search"].items():
        values = {level: constants[name] for level, constants in levels.items()}
        if "values" in where:
            found[name] = values[min(values, key=lambda level: abs(math.log(level / sigma)))]
        else:
            found[name] = _interpolate(sigma, values, where["per_sigma"], where["whole"])
    return found


def _interpolate(sigma, values, per_sigma, whole):
    """A number at σ, interpolated linearly on logarithmic scales."""
    levels = sorted(values)
    logs = [math.log(values[level] / (level if per_sigma else 1)) for level in levels]
    number = math.exp(np.interp(math.log(sigma), np.log(levels), logs))
    if per_sigma:
        number *= sigma
    return round(number) if whole else float(f"{number:.4g}")


def calibrate(method, paths, *, colour=False, sigmas=SIGMAS, crop=256, data="", output=CALIBRATION):
    """Search a method's parameters for the best mean PSNR over training images, and store them.

    The noise is white and Gaussian, neither clipped nor quantised; results are clipped to [0, 1].
    The file is rewritten after every noise level, so that an interrupted run can be continued.

    Parameters
    ----------
    method : str
        What `make` takes, without parameters: ``"peers:TotalVariation"``. The parameters in its
        class's ``SEARCH`` (and, with `colour`, ``SEARCH_COLOUR``) are searched.
    paths : iterable of path-like
        Image files, and folders of images.
    colour : bool, default False
        Whether to calibrate for colour images; if not, colour images are converted to grey.
    sigmas : sequence of str
        The noise levels, as ``"25/255"``.
    crop : int, default 256
        Side of the square taken from the middle of larger images, in pixels.
    data : str
        A description of the images, for the record.
    output : path-like
        The file to store the parameters in, beside those of other methods.

    Returns
    -------
    dict
        The stored record: date, data, images, crop, versions, search, and levels: for each σ the
        constants (the parameters found) and the mean PSNR in dB with (psnr) and without (noisy)
        denoising.

    Raises
    ------
    ValueError
        If the method has no parameters to search, there are no images, or the file is damaged.
    """
    name, denoiser = _searchable(method)
    space = denoiser.SEARCH | (denoiser.SEARCH_COLOUR if colour else {})
    output = Path(output)
    stored = _read(output) if output.exists() else {}
    files = _files(paths)
    cleans = [_clean(file, colour, crop) for file in files]
    record = {
        "date": str(date.today()),
        "data": data,
        "images": [file.name for file in files],
        "crop": crop,
        "versions": _versions(denoiser),
        "search": json.loads(json.dumps({key: asdict(where) for key, where in space.items()})),
        "levels": {},
    }
    mode = "colour" if colour else "grey"
    before = stored.get(name, {}).get(mode, {})
    if all(before.get(key) == record[key] for key in ("images", "crop", "versions", "search")):
        record["levels"] = before["levels"]
    for text in tqdm(sigmas, desc=f"{name}, {mode}", disable=None):
        if text not in record["levels"]:
            start = None
            if record["levels"]:
                start = replace(denoiser, **_constants(record, parse_number(text)))
            record["levels"][text] = _level(denoiser, space, cleans, text, colour, start)
            _store(output, name, mode, record)
    return record


def _searchable(method):
    name, given = parse(method)
    denoiser = make(method)
    if given:
        raise ValueError(f"method is {method!r}; expected {name!r}: all parameters are calibrated")
    if not denoiser.SEARCH:
        raise ValueError(f"{name} has no parameters to calibrate (its class has no SEARCH)")
    return name, denoiser


def _level(denoiser, space, cleans, text, colour, start):
    """The record of one noise level."""
    sigma, channel_axis = parse_number(text), -1 if colour else None
    noisies = [
        (clean + np.random.default_rng([number, round(1e6 * sigma)]).normal(0, sigma, clean.shape))
        .astype(np.float32)
        for number, clean in enumerate(cleans)
    ]  # fmt: skip
    best, score = fit(
        denoiser, space, cleans, noisies, sigma, channel_axis=channel_axis, start=start
    )
    return {
        "constants": {name: getattr(best, name) for name in space},
        "psnr": round(score, 3),
        "noisy": round(mean_psnr(cleans, noisies, channel_axis), 3),
    }


# --- images ---------------------------------------------------------------------------------


def _files(paths):
    files = []
    for path in map(Path, paths):
        if path.is_dir():
            files += sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        else:
            files.append(path)
    if not files:
        raise ValueError(f"no images in {', '.join(map(str, paths))}")
    return files


def _clean(file, colour, crop):
    """The middle of an image, ``(H, W)`` or ``(H, W, 3)`` in [0, 1], float64."""
    picture = read(file)
    page = as_float(picture.pages[0], picture.channel_axis).astype(np.float64)
    if page.ndim == 3 and not colour:
        page = grey(page)
    elif page.ndim == 2 and colour:
        page = np.repeat(page[..., None], 3, axis=2)
    top, left = (max(0, (n - crop) // 2) for n in page.shape[:2])
    return page[top : top + crop, left : left + crop]


# --- the file -------------------------------------------------------------------------------


def _versions(denoiser):
    packages = ("difffilter", "numpy", *denoiser.PACKAGES)
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _store(path, name, mode, record):
    """Write one record into the file, whole or not at all."""
    stored = _read(path) if path.exists() else {}
    stored.setdefault(name, {})[mode] = record
    with replacing(path) as temporary:
        text = json.dumps(dict(sorted(stored.items())), indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _read(path):
    """The file's records, checked; an error names the file."""
    try:
        stored = json.loads(path.read_text("utf-8"))
        for modes in stored.values():
            for record in modes.values():
                constants = [set(at["constants"]) for at in record["levels"].values()]
                if not constants or any(names != set(record["search"]) for names in constants):
                    raise ValueError("parameters are missing")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}); restore it or delete it") from error
    return stored


@lru_cache(maxsize=8)
def _load(path, changed):
    """`_read`, once for each change of the file."""
    return _read(path)
