"""Pictures for the pages of filters."""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.util import img_as_float32

import difffilter as df


def photograph(sigma=25 / 255):
    """A clean photograph of 192×192 pixels in [0, 1], and the same with noise, as float32.

    (Were there float64, too, kernels would be compiled twice, which takes as long as all else.)
    """
    clean = img_as_float32(data.camera()[60:252, 140:332])
    return clean, df.add_noise(clean, sigma)


def side_by_side(*, clean=None, **images):
    """Images under their names, with the PSNR of each if there is a clean one."""
    if clean is not None:
        images = {"clean": clean, **images}
    _, axes = plt.subplots(
        1, len(images), figsize=(2.7 * len(images), 3), layout="constrained", squeeze=False
    )
    for axis, (name, image) in zip(axes[0], images.items(), strict=True):
        title = name.replace("_", " ")
        if clean is not None and image is not clean:
            title += f"\n{df.psnr(clean, image):.1f} dB"
        axis.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
