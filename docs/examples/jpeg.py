"""
A photograph with JPEG noise
============================

Strong compression leaves the borders of its 8×8 blocks and ripples beside edges. Neither is white
noise, so parameters that are chosen for white noise would be wrong, and are given instead.
"""

import io

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data

import difffilter as df

# %%
# The photograph
# --------------
# A colour photograph, stored at a quality of 10 of 100.

clean = data.astronaut()[:256, 100:356]
file = io.BytesIO()
Image.fromarray(clean).save(file, "jpeg", quality=10)
stored = np.asarray(Image.open(file))
print(f"{clean.nbytes} bytes as {len(file.getvalue())}")
print(f"estimated noise level: {255 * df.estimate_sigma(stored, channel_axis=-1):.1f}/255")

# %%
# The estimate is 0, for JPEG's rounding has emptied just those frequencies in which it is measured.

# %%
# Smoothing
# ---------
# Edge-enhancing diffusion takes a gradient below κ for noise, and smooths along those above. κ is set
# so that it takes the steps between most blocks for noise, and strong outlines for edges.
# A time of 2 is that of a Gaussian of 2 pixels, enough for what lies along a block's border.

smooth = df.edge_enhancing(stored, time=2, kappa=0.03, presmooth=1.0, channel_axis=-1)

# %%
# Did it work?
# ------------
# The error falls, and with it the step from block to block: the mean difference between
# neighbours in different blocks, divided by that within blocks, should be 1.


def blockiness(image):
    steps = np.abs(np.diff(image.astype(float), axis=1)).mean(axis=(0, 2))
    borders = np.arange(len(steps)) % 8 == 7
    return steps[borders].mean() / steps[~borders].mean()


for name, image in {"clean": clean, "stored": stored, "smooth": smooth}.items():
    score = df.psnr(clean, image, channel_axis=-1)
    print(f"{name:<8}{score:6.2f} dB, blockiness {blockiness(image):.2f}")

gain = df.psnr(clean, smooth, channel_axis=-1) - df.psnr(clean, stored, channel_axis=-1)
assert gain > 0.8
assert blockiness(smooth) < 1.2

# %%
# A detail of each.

_, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
shown = {"clean": clean / 255, "stored": stored / 255, "smooth": smooth.clip(0, 1)}
for axis, (name, image) in zip(axes, shown.items(), strict=True):
    axis.imshow(image[60:172, 60:172], interpolation="nearest")
    axis.set_title(name)
    axis.set_axis_off()
