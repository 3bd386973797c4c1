"""
Closing the gaps of a fingerprint
=================================

A scanner has lost spots of a print, and ridges are in pieces. Coherence-enhancing diffusion moves
intensity along the ridges, and so into the gaps. Each ridge should become one piece again.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.measure import label

import difffilter as df

# %%
# The print
# ---------
# Arches with a period of 6.3 pixels, 120 white spots of 3 pixels' radius, and noise.

rng = np.random.default_rng(0)
y, x = np.mgrid[:160, :160].astype(np.float32)
ridges = 0.5 + 0.4 * np.cos(np.hypot(x - 70, 0.7 * (y - 190)))
spots = np.zeros(ridges.shape, bool)
for row, column in rng.integers(4, 156, (120, 2)):
    spots |= np.hypot(y - row, x - column) < 3
broken = df.add_noise(np.where(spots, 0.9, ridges), 0.1, rng=rng)

# %%
# Smoothing
# ---------
# What is chosen from an image is chosen for removing noise; to close gaps is another task, so the
# parameters are given. The time is about the square of a gap's length, and the direction
# is looked for in a neighbourhood (``integration``) that reaches beyond it.

healed = df.coherence_enhancing(broken, time=30, kappa=0.01, presmooth=0.7, integration=4)

# %%
# For comparison, a filter that asks for edges and not for directions, with everything chosen:

smooth = df.denoise(broken, method="edge_enhancing")

# %%
# Did it work?
# ------------
# How many pieces the dark ridges are in, not counting those of less than 20 pixels, and how far
# the spots are from what was there.


def pieces(image):
    sizes = np.bincount(label(image < 0.5, connectivity=1).ravel())[1:]
    return np.sum(sizes >= 20)


def error_in_spots(image):
    return np.sqrt(np.mean((image - ridges)[spots] ** 2))


shown = {"without gaps": ridges, "broken": broken, "edge enhancing": smooth, "healed": healed}
for name, image in shown.items():
    print(f"{name:<16}{pieces(image):3d} pieces, error in the spots {error_in_spots(image):.2f}")

assert pieces(healed) - pieces(ridges) < (pieces(broken) - pieces(ridges)) / 4
assert error_in_spots(healed) < error_in_spots(broken) / 2

# %%

_, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for axis, (name, image) in zip(axes, shown.items(), strict=True):
    axis.imshow(image, cmap="gray", vmin=0, vmax=1)
    axis.set_title(f"{name}: {pieces(image)} pieces")
    axis.set_axis_off()
