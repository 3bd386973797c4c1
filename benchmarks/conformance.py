"""Conformance matrix: every method on every kind of array, with parameters given and chosen.

    python benchmarks/conformance.py -o benchmarks/results/conformance.md

Each cell must return the documented shape and dtype, leave the input as it is, be finite, and agree
with the same pixels as a contiguous array of the documented scaling. A table of the law
f(a·u + b) = a·f(u) + b follows, with the ratio of the times.
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from skimage import data

import difffilter as df
from difffilter.image import as_float
from difffilter.io.files import replacing

__all__ = ["ARRAYS", "PARAMETERS", "SHAPES", "cell", "law", "pixels"]

# Parameters that leave nothing to choose, in units of the range of intensities, by which κ is
# multiplied.
PARAMETERS = {
    "heat": {"time": 1.0},
    "perona_malik": {"time": 1.0, "kappa": 0.1, "diffusivity": "rational", "presmooth": 0.7,
                     "scheme": "explicit", "step": 0.15},
    "edge_enhancing": {"time": 1.0, "kappa": 0.1, "presmooth": 0.7, "alpha": 0.06},
    "coherence_enhancing": {"time": 1.0, "kappa": 0.1, "integration": 1.5},
    "tv_flow": {"time": 0.02, "epsilon": 1e-3},
    "curvature_motion": {"time": 1.0, "epsilon": 1e-3},
    "forward_backward": {"time": 0.5, "kappa": 0.1},
    "srad": {"time": 0.5, "q0": 0.1},
    "learned": {"sigma": 0.05},
}  # fmt: skip
# What has the image's unit, and so is scaled with it; the time of tv_flow is one as well.
UNITS = {"kappa", "epsilon", "sigma"}
METHODS = ["identity", "auto", *PARAMETERS, "stabilized"]

SHAPES = {
    "grey": ((48, 48), None),
    "colour": ((48, 48, 3), -1),
    "volume": ((8, 24, 24), None),
    "1×N": ((1, 128), None),
}

MASKED = "only the PDE filters take a mask"


def masked(u):
    array = np.ma.masked_array(u, np.zeros(u.shape, bool))
    array[(0,) * (u.ndim - 1) + (slice(0, 3),)] = np.ma.masked
    return array


def read_only(u):
    copy = u.copy()
    copy.flags.writeable = False
    return copy


# The same pixels, in [0, 1], as arrays that users have.
ARRAYS = {
    "uint8": lambda u: np.rint(255 * u).astype(np.uint8),
    "uint16, 12 bits": lambda u: np.rint(4095 * u).astype(np.uint16),
    "int16 HU": lambda u: np.rint(3000 * u - 1000).astype(np.int16),
    "int64 list": lambda u: np.rint(255 * u).astype(np.int64).tolist(),
    "float16": lambda u: u.astype(np.float16),
    "float32": lambda u: u.astype(np.float32),
    "float64": lambda u: u.astype(np.float64),
    ">f8": lambda u: u.astype(">f8"),
    ">u2": lambda u: np.rint(65535 * u).astype(">u2"),
    "bool": lambda u: u > 0.5,
    "masked": masked,
    "Fortran": lambda u: np.asfortranarray(u),
    "strided": lambda u: np.repeat(u, 2, axis=u.ndim - 1 - (u.shape[-1] == 3))[
        (..., slice(None, None, 2), *[slice(None)] * (u.shape[-1] == 3))
    ],
    "read-only": read_only,
}


def pixels(shape):
    """A noisy photograph of a shape, float64, above 0."""
    rng = np.random.default_rng(0)
    photo = data.camera()[100:356, 150:406] / 255
    if len(shape) == 2:
        clean = photo.ravel()[: np.prod(shape)].reshape(shape) if 1 in shape else photo[
            : shape[0], : shape[1]
        ]  # fmt: skip
    elif shape[-1] == 3:
        clean = np.stack([photo[k : k + shape[0], : shape[1]] for k in range(3)], axis=-1)
    else:
        clean = np.stack([photo[k : k + shape[1], : shape[2]] for k in range(shape[0])])
    return np.clip(0.1 + 0.8 * clean + 0.05 * rng.standard_normal(clean.shape), 0.01, 0.99)


def method(name, given, scale=1.0):
    """A Denoiser, with its parameters given for images of a scale or left to be chosen."""
    if name == "stabilized":
        return df.make("stabilized(method='tv_flow', noise='poisson')")
    if not given or name not in PARAMETERS:
        return df.make(name)
    values = {
        key: value * scale if key in UNITS or (name, key) == ("tv_flow", "time") else value
        for key, value in PARAMETERS[name].items()
    }
    return df.make(name, **values)


def cell(name, array, shape, given):
    """ "" if a cell conforms, or what is wrong; "refused" for an error that is documented."""
    extent, axis = SHAPES[shape]
    image = ARRAYS[array](pixels(extent))
    plain = np.asarray(image)
    before = plain.copy()
    negative = plain.dtype.kind == "i" and plain.min() < 0
    try:
        scale = float(np.ptp(as_float(plain, axis)))
        denoiser = method(name, given, scale if plain.dtype.kind == "i" else 1.0)
        if array == "masked" and name in PARAMETERS:
            result = getattr(df, name)(image, channel_axis=axis, **denoiser.parameters)
            where = ~np.ma.getmaskarray(image)
            if axis is not None:
                where = np.broadcast_to(where.all(axis=axis, keepdims=True), where.shape)
            mask = where if axis is None else where[..., 0]
            expected = getattr(df, name)(plain, channel_axis=axis, mask=mask, **denoiser.parameters)
        else:
            result = denoiser(image, channel_axis=axis)
            expected = denoiser(np.ascontiguousarray(as_float(plain, axis)), channel_axis=axis)
    except (TypeError, ValueError) as error:
        documented = MASKED in str(error) if array == "masked" else negative
        return "refused" if documented else f"{type(error).__name__}: {error}"
    dtype = np.float64 if plain.dtype.kind == "f" and plain.dtype.itemsize >= 8 else np.float32
    if result.shape != plain.shape or result.dtype != dtype or not result.dtype.isnative:
        return f"{result.shape} {result.dtype}"
    if not np.isfinite(result).all():
        return "not finite"
    if not np.array_equal(plain, before):
        return "input changed"
    size = max(1e-9, float(np.ptp(expected)))
    difference = float(np.abs(result - expected).max()) / size
    return "" if difference < 1e-5 else f"differs by {difference:.1e}"


def law(name, given, factor, offset, repeats=9):
    """The largest deviation from f(a·u + b) = a·f(u) + b relative to a, and the ratio of times."""
    u = pixels((96, 96))
    # Poisson noise and speckle have a zero; the former's σ goes with the root of the unit.
    offset = 0.0 if name in ("srad", "stabilized") else offset
    moved = factor * u + offset
    one, other = method(name, given), method(name, given, factor)
    expected, result = one(u), other(moved)
    error = float(np.abs((result - offset) / factor - expected).max())
    times = {id(one): [], id(other): []}
    for _ in range(repeats):
        for denoiser, image in ((one, u), (other, moved)):
            start = time.perf_counter()
            denoiser(image)
            times[id(denoiser)].append(time.perf_counter() - start)
    return error, median(times[id(other)]) / median(times[id(one)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    output = parser.parse_args().output
    warnings.simplefilter("ignore")
    lines = [
        "# Conformance: every method on every kind of array",
        "",
        f"`python benchmarks/conformance.py`, on {platform.machine()}, Python "
        f"{platform.python_version()}, NumPy {np.__version__}.",
        "",
        f"Each cell stands for {', '.join(SHAPES)}, with parameters given and chosen: 8 calls. "
        "✓: documented shape and dtype, input unchanged, finite, and the same as for contiguous "
        "floats of the documented scaling. r: refused with the documented error (masked arrays by "
        "methods without a mask, values below 0 as photon counts).",
        "",
        f"| method | {' | '.join(ARRAYS)} |",
        "|---|" + "---|" * len(ARRAYS),
    ]
    notes = []
    for name in METHODS:
        row = []
        for array in ARRAYS:
            found = {}
            for shape in SHAPES:
                for given in (True, False):
                    text = cell(name, array, shape, given)
                    if text:
                        found.setdefault(text, []).append(
                            f"{shape}, {'given' if given else 'chosen'}"
                        )
            refused = len(found.pop("refused", []))
            mark = "✓" if not refused else ("r" if refused == 8 else "✓ r")
            for text, where in found.items():
                notes.append(f"{name}, {array} ({'; '.join(where)}): {text}")
                mark = f"[{len(notes)}]"
            row.append(mark)
        lines.append(f"| {name} | {' | '.join(row)} |")
        print(lines[-1], flush=True)
    lines += ["", *(f"{k}. {note}" for k, note in enumerate(notes, 1))]
    factors = [(1e-6, 0.0), (1e-6, 1e-6), (1e6, 0.0), (1e6, 1e6)]
    lines += [
        "",
        "## f(a·u + b) = a·f(u) + b",
        "",
        "The largest deviation, in units of a, and the time relative to that for u; 96², float64.",
        "",
        "| method | parameters | " + " | ".join(f"a = {a:g}, b = {b:g}" for a, b in factors) + " |",
        "|---|---|" + "---|" * len(factors),
    ]
    for name in METHODS:
        for given in (True, False) if name in PARAMETERS else (False,):
            cells = []
            for factor, offset in factors:
                error, ratio = law(name, given, factor, offset)
                cells.append(f"{error:.0e}, {ratio:.2f}")
            lines.append(f"| {name} | {'given' if given else 'chosen'} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    with replacing(output) as temporary:
        Path(temporary).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
