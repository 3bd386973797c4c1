"""Pictures for the documentation.

The filters' pages call `photograph` and `side_by_side` when they are built. The three pictures that the
README and the guide show are files, written by

    python docs/figures.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.util import img_as_float32

import difffilter as df

HERE = Path(__file__).parent
DPI = 170


def photograph(sigma=25 / 255):
    """A clean photograph of 192×192 pixels in [0, 1], and a noisy copy, both float32."""
    clean = img_as_float32(data.camera()[60:252, 140:332])
    return clean, df.add_noise(clean, sigma)


def side_by_side(*, clean=None, rows=1, width=1.9, **images):
    """Images in rows under their names, with their PSNR if there is a clean one.

    The fonts stay as they are, so the smaller the `width` of an image, in inches, the larger they
    are beside it.
    """
    if clean is not None:
        images = {"clean": clean, **images}
    columns = -(-len(images) // rows)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width * columns, (width + 0.35) * rows),
        layout="constrained",
        squeeze=False,
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, image) in zip(axes.flat, images.items(), strict=False):
        title = name.replace("_", " ")
        if clean is not None and image is not clean:
            title += f"\n{df.psnr(clean, np.clip(image, 0, 1)):.1f} dB"
        axis.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(title, fontsize=9)
    return figure


def compare():
    """The README's picture: the two kinds of diffusion on a photograph."""
    clean, noisy = photograph()
    methods = ("heat", "perona_malik", "edge_enhancing", "ddpm")
    images = {"clean": clean, "noisy": noisy}
    images |= {name: df.denoise(noisy, method=name) for name in methods}
    detail = slice(35, 145), slice(60, 170)
    return side_by_side(width=1.5, **{name: image[detail] for name, image in images.items()})


def filters():
    """The PDEs for Gaussian noise, on the same photograph."""
    clean, noisy = photograph()
    methods = (
        "heat",
        "perona_malik",
        "edge_enhancing",
        "coherence_enhancing",
        "tv_flow",
        "curvature_motion",
        "forward_backward",
    )
    results = {name: df.denoise(noisy, method=name) for name in methods}
    return side_by_side(clean=clean, noisy=noisy, **results, rows=3)


def photographs():
    """A photograph with a camera's noise, and what the guide's commands make of it, at 2:1."""
    noisy = df.add_noise(data.coffee(), 0.0894, "camera(quality=90)", channel_axis=-1)
    images = {
        "from the camera": noisy,
        "smooth": df.denoise(noisy, channel_axis=-1),
        "smooth -m ddpm": df.denoise(noisy, method="ddpm", channel_axis=-1),
        "half of the grain": df.denoise(
            noisy, method="ddpm", strength=0.5, chroma=1, channel_axis=-1
        ),
    }
    detail = slice(90, 230), slice(130, 270)
    return side_by_side(width=295 / DPI, **{name: image[detail] for name, image in images.items()})


if __name__ == "__main__":
    pictures = {"compare.png": compare, "filters.png": filters, "photographs.jpg": photographs}
    for name, draw in pictures.items():
        draw().savefig(HERE / name, dpi=DPI, bbox_inches="tight")
