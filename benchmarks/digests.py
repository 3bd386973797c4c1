"""Digests of the results of all methods, to show that a change of the code changes none.

    python benchmarks/digests.py before.json                        # in the old checkout
    python benchmarks/digests.py after.json --compare before.json   # in the new one

Covers every method of the catalog with given and with chosen parameters, grey, colour and volumes,
float32, float64 and bytes, masks, spacing, callbacks, noise and its estimation. It takes minutes.
Digests are comparable only on the same machine with the same versions of the libraries. The exit code
is 1 if anything differs.
"""

import argparse
import hashlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np
from skimage import data

import difffilter as df

# Texts for `make`, by method.
GIVEN = {
    "identity": ["identity"],
    "heat": ["heat(time=3)", "heat(time=3, fidelity=0.1)", "heat(time=2.5, spacing=0.7)"],
    "perona_malik": [
        "perona_malik(kappa=0.05, time=4, diffusivity='exponential', presmooth=0.0)",
        "perona_malik(kappa=0.05, time=4, diffusivity='rational', presmooth=0.0)",
        "perona_malik(kappa=0.05, time=4, diffusivity='charbonnier', presmooth=0.0)",
        "perona_malik(kappa=0.1, time=4, diffusivity='tukey', presmooth=0.0)",
        "perona_malik(kappa=0.05, time=4, diffusivity='weickert', presmooth=0.7)",
        "perona_malik(kappa=0.02, time=9, diffusivity='rational', presmooth=0.7)",
        "perona_malik(kappa=0.02, time=9, diffusivity='rational', presmooth=0.7, scheme='aos')",
        "perona_malik(kappa=0.02, time=30, diffusivity='rational', presmooth=0.0, scheme='fsi')",
        "perona_malik(kappa=0.05, time=4, diffusivity='exponential', presmooth=0.0, scheme='explicit')",
        "perona_malik(kappa=0.05, time=4, diffusivity='exponential', presmooth=0.0, scheme='aos', step=1.0)",
        "perona_malik(kappa=0.05, time=4, diffusivity='exponential', presmooth=0.0, fidelity=0.2)",
        "perona_malik(kappa=0.05, time=4, diffusivity='exponential', presmooth=0.0, coupled=False)",
        "perona_malik(kappa='mad', diffusivity='exponential', presmooth=0.0)",
        "perona_malik(kappa='quantile', time=3)",
        "perona_malik(kappa='sigma')",
        "perona_malik(fidelity=0.1)",
        "perona_malik(diffusivity='tukey')",
    ],
    "learned": [
        "learned(sigma=0.1)",
        "learned(time=2.5, sigma=0.1)",
        "learned(weights='convex-gray', sigma=0.1)",
        "learned(weights='convex-gray', time=0.5, sigma=0.1)",
    ],
    "edge_enhancing": [
        "edge_enhancing(kappa=0.03, time=4, presmooth=0.7)",
        "edge_enhancing(kappa=0.03, time=4, presmooth=0.7, fidelity=0.1)",
        "edge_enhancing(kappa='mad')",
        "edge_enhancing(kappa=0.03, time=1.3)",
    ],
    "coherence_enhancing": [
        "coherence_enhancing(kappa=0.01, time=4, integration=2.0)",
        "coherence_enhancing(kappa=0.01, time=4, integration=2.0, alpha=0.2)",
    ],
    "tv_flow": [
        "tv_flow(time=0.2)",
        "tv_flow(time=0.2, fidelity=1.0)",
        "tv_flow(time=0.05, step=0.02)",
    ],
    "curvature_motion": [
        "curvature_motion(time=3)",
        "curvature_motion(time=3, step=0.1, fidelity=0.1)",
    ],
    "forward_backward": [
        "forward_backward(kappa=0.05, time=3)",
        "forward_backward(kappa='sigma')",
    ],
    "srad": ["srad(q0=0.1, time=3)"],
    "ddpm": ["ddpm", "ddpm(mode='sample', steps=3)", "ddpm(mode='average', samples=2, steps=2)"],
    "stabilized": [
        "stabilized(method='perona_malik', noise='poisson')",
        "stabilized(method='tv_flow', noise='speckle', read=None)",
        "stabilized(method='heat')",
        "stabilized(method='edge_enhancing')",
    ],
}  # fmt: skip

# Methods that choose all of their parameters from the image.
CHOSEN = (
    "heat", "perona_malik", "edge_enhancing", "coherence_enhancing", "tv_flow", "curvature_motion",
    "forward_backward", "srad",
)  # fmt: skip

# The parameters recorded with a digest: those that may be chosen.
RECORDED = {
    "time", "kappa", "presmooth", "integration", "diffusivity", "q0", "step", "scheme", "read", "top",
    "method",
}  # fmt: skip

SPACINGS = {2: (1.0, 1.7), 3: (3.0, 1.0, 1.0)}
KINDS = ("gaussian", "poisson", "speckle", "salt_and_pepper")


def images():
    """Name, noisy image, channel axis and σ."""
    rng = np.random.default_rng(0)
    camera, astronaut = data.camera() / 255, data.astronaut() / 255
    z = np.linspace(0, 1, 12)[:, None, None]
    volume = 0.5 * camera[100:292:4, 150:358:4] * (1 - z) + 0.5 * z * np.eye(48, 52)
    for name, clean, channel_axis, sigma in (
        ("grey", camera[100:420:2, 150:490:2], None, 25 / 255),
        ("colour", astronaut[:200:2, 100:360:2], -1, 15 / 255),
        ("volume", volume, None, 0.05),
        ("big", camera, None, 0.05),
    ):
        noisy = clean + sigma * rng.standard_normal(clean.shape)
        yield name, noisy.astype(np.float32), channel_axis, sigma
        yield name, noisy, channel_axis, sigma
        if name == "grey":
            yield "grey8", np.clip(noisy * 255, 0, 255).astype(np.uint8), channel_axis, sigma


def digest(array):
    """Dtype, shape and a hash of the content."""
    array = np.ascontiguousarray(array)
    return f"{array.dtype}{array.shape}" + hashlib.sha256(array.tobytes()).hexdigest()[:16]


def filtered(text, image, sigma, channel_axis):
    """The digest of a method's result, and the parameters it chose."""
    chosen = df.make(text).choose(image, sigma, channel_axis=channel_axis)
    found = [digest(chosen(image, sigma, channel_axis=channel_axis))]
    if chosen.parameters:
        recorded = [item for item in chosen.parameters.items() if item[0] in RECORDED]
        found.append(repr(sorted(recorded, key=str)))
    return found


def texts_for(name, dtype):
    """Method and texts to run on an image; those that take long are left out on large ones."""
    for method, given in GIVEN.items():
        texts = given + ([method] if method in CHOSEN else [])
        if name == "volume" and method in ("edge_enhancing", "coherence_enhancing"):
            texts = [given[0], method] if dtype == np.float32 else given[:1]
        skipped = {
            "big": ("ddpm", "stabilized", "srad", "coherence_enhancing"),
            "volume": ("ddpm",),
        }
        if method not in skipped.get(name, ()):
            yield method, texts


def cases():
    """Name of a case, and a function that returns its digest."""
    for name, u, axis, sigma in images():
        where = f"{name}/{u.dtype}"
        spacing = SPACINGS[u.ndim - (axis is not None)]
        for method, texts in texts_for(name, u.dtype):
            for text in texts:
                yield f"{where}/{text}", lambda t=text, u=u, s=sigma, a=axis: filtered(t, u, s, a)
            slow = name == "volume" and u.dtype == np.float64
            if method in CHOSEN and name in ("grey", "colour", "volume") and not slow:
                yield (
                    f"{where}/{method}/nosigma",
                    lambda m=method, u=u, a=axis: digest(df.make(m)(u, channel_axis=a)),
                )
                yield (
                    f"{where}/{method}/spacing",
                    lambda m=method, u=u, a=axis, s=sigma, h=spacing: digest(
                        df.make(m, spacing=h)(u, s, channel_axis=a)
                    ),
                )
        if u.dtype != np.uint8:
            for case, function in functions(name, u, axis, sigma):
                yield f"{where}/{case}", function


def functions(name, u, axis, sigma):
    """Cases of the functions, rather than the methods, on a floating-point image."""
    plain = {"kappa": 0.05, "diffusivity": "exponential", "presmooth": 0.0}
    shape = u.shape if axis is None else u.shape[:-1]
    mask = np.random.default_rng(3).random(shape) > 0.1
    smoothed = {"kappa": 0.05, "diffusivity": "rational", "presmooth": 0.7}
    for given in (plain, smoothed, {**plain, "scheme": "aos"}):
        yield (
            f"mask/{given}",
            lambda given=given: digest(
                df.perona_malik(u, time=3, mask=mask, channel_axis=axis, **given)
            ),
        )
    yield (
        "mask/auto",
        lambda: digest(
            df.perona_malik(
                u, sigma=sigma, diffusivity=None, presmooth=None, mask=mask, channel_axis=axis
            )
        ),
    )
    yield "callback", lambda: with_callback(u, axis, plain)
    yield (
        "heat-explicit",
        lambda: digest(df.heat(u, time=2, scheme="explicit", channel_axis=axis)),
    )
    yield "sigma", lambda: repr(df.estimate_sigma(u, channel_axis=axis))
    yield "noise", lambda: repr(df.estimate_shot_noise(u, channel_axis=axis))
    for kind in KINDS:
        yield (
            f"add_noise/{kind}",
            lambda kind=kind: digest(df.add_noise(np.clip(u, 0, 1), 0.1, kind, 1)),
        )
    if name == "grey":
        for kind in ("poisson", "speckle"):
            yield (
                f"denoise/{kind}",
                lambda kind=kind: digest(df.denoise(np.clip(u, 0, None), noise=kind)),
            )
        yield (
            "scale_space",
            lambda: [
                digest(image)
                for image in df.scale_space(u, "edge_enhancing", [0, 1, 3], sigma=sigma)
            ],
        )


def with_callback(u, axis, given):
    """Digests of the result and of all images passed to the callback."""
    seen = []

    def callback(time, image):
        seen.append((time, digest(image)))

    result = df.perona_malik(u, time=1.3, channel_axis=axis, callback=callback, **given)
    return [digest(result), repr(seen)]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, metavar="OUT.json")
    parser.add_argument("--compare", type=Path, metavar="OLD.json")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with this in their name")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = {}
    for name, function in cases():
        if options.only in name:
            try:
                found[name] = function()
            except Exception as error:  # which is part of what must not change
                found[name] = f"{type(error).__name__}: {error}"[:150]
    options.output.write_text(json.dumps(found, indent=0, ensure_ascii=False) + "\n", "utf-8")
    failed = sum("Error" in str(value) for value in found.values())
    print(f"{len(found)} digests, {failed} of them errors")
    if options.compare:
        old = json.loads(options.compare.read_text("utf-8"))
        old = {name: value for name, value in old.items() if options.only in name}
        different = [name for name in old | found if old.get(name) != found.get(name)]
        for name in different:
            print(f"{name}\n  {old.get(name)}\n  {found.get(name)}")
        print(f"{len(different)} differ from {options.compare}")
        sys.exit(bool(different))


if __name__ == "__main__":
    main()
