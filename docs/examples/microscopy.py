"""
A microscopy stack with deep voxels
===================================

A 16-bit stack of nuclei whose planes are three times as far apart as its pixels. Diffusion has to
know: told ``spacing=(3, 1, 1)`` it smooths as far in depth as in the plane, as lengths go, and not
in number of pixels. The task is to find the nuclei by a threshold, as one would to count or to
measure them.
"""

import matplotlib.pyplot as plt
import numpy as np

import difffilter as df

# %%
# The stack
# ---------
# Balls in a volume of 20 planes. The camera adds read-out noise to the photons' own, its offset is
# 100, and a photon counts for 25.

spacing = (3, 1, 1)
rng = np.random.default_rng(0)
z, y, x = np.indices((20, 96, 96)) * np.reshape(spacing, (3, 1, 1, 1))
nuclei = np.zeros(z.shape, bool)
for _ in range(25):
    centre, radius = rng.uniform(0, (60, 96, 96)), rng.uniform(6, 10)
    nuclei |= (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius**2
photons = rng.poisson(np.where(nuclei, 12, 4))
stack = (100 + 25 * photons + rng.normal(0, 20, z.shape)).round().clip(0).astype(np.uint16)
print(stack.dtype, stack.shape, "from", stack.min(), "to", stack.max())

# %%
# Smoothing
# ---------
# Integers are scaled so that their range is [0, 1]; what comes back is scaled again to be written
# as 16 bits. On the command line, ``difffilter smooth stack.tif --volume --spacing 3,1,1`` does all
# of that.

smooth = df.denoise(stack, spacing=spacing)
result = np.round(65535 * smooth).clip(0, 65535).astype(np.uint16)

# %%
# For comparison, the same without the spacing, as if voxels were cubes:

cubes = df.denoise(stack)

# %%
# Photons fluctuate more where there are more of them. Told so, the method works on an image whose
# noise has been made even. In units of photons, σ is 1 and the read-out noise 20/25.

measured = (stack.astype(np.float32) - 100) / 25
method = df.Stabilized(method=df.PeronaMalik(spacing=spacing), noise="poisson", read=20 / 25)
even = method(measured, 1.0)

# %%
# Did it work?
# ------------
# The truth is known here, so one can tell which share of the voxels the threshold, half-way between
# nuclei and background, puts on the wrong side.

level = 100 + 25 * (12 + 4) / 2
found = {
    "as it came": stack > level,
    "voxels taken for cubes": cubes * 65535 > level,
    "spacing given": result > level,
    "spacing and noise given": even > (12 + 4) / 2,
}
wrong = {name: np.mean(each != nuclei) for name, each in found.items()}
for name, share in wrong.items():
    print(f"{name:<25}{share:6.2%} wrong")

assert wrong["as it came"] > 0.04
assert wrong["spacing given"] < 0.8 * wrong["voxels taken for cubes"]
assert wrong["spacing and noise given"] < 0.8 * wrong["spacing given"]

# %%
# One plane, and below it a section in depth, drawn with the shape that the voxels have.

_, axes = plt.subplots(
    2, 4, figsize=(10, 4.4), layout="constrained", height_ratios=[96, 60], sharex=True
)
shown = {"stack": stack, "smooth": result, "found": found["spacing given"], "truth": nuclei}
for (above, below), (name, volume) in zip(axes.T, shown.items(), strict=True):
    limits = (0, 700) if volume.dtype == np.uint16 else (0, 1)
    above.imshow(volume[10], cmap="gray", clim=limits)
    below.imshow(volume[:, 48], cmap="gray", clim=limits, aspect=3)
    above.set_title(name)
    above.set_axis_off()
    below.set_axis_off()
