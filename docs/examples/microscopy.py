"""
A microscopy stack with anisotropic voxels
==========================================

Find nuclei by a threshold in a 16-bit stack whose planes are three times as far apart as its pixels.
With ``spacing=(3, 1, 1)`` a filter smooths the same distance in depth as in the plane, instead of the
same number of voxels.
"""

import matplotlib.pyplot as plt
import numpy as np

import difffilter as df

# %%
# The stack
# ---------
# Balls in a volume of 20 planes. The camera adds read noise to the photon noise; its offset is 100,
# its gain 25 per photon.

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
# Integers are scaled to [0, 1], so scale the result back to 16 bits. On the command line,
# ``difffilter smooth stack.tif --volume --spacing 3,1,1`` does all of this.

smooth = df.denoise(stack, spacing=spacing)
result = np.round(65535 * smooth).clip(0, 65535).astype(np.uint16)

# %%
# For comparison, without the spacing, as if voxels were cubes:

cubes = df.denoise(stack)

# %%
# Photon noise grows with the intensity. Variance stabilisation makes it uniform before filtering. In
# units of photons, σ is 1 and the read noise 20/25.

measured = (stack.astype(np.float32) - 100) / 25
method = df.Stabilized(method=df.PeronaMalik(spacing=spacing), noise="poisson", read=20 / 25)
stabilised = method(measured, 1.0)

# %%
# Check
# -----
# The share of voxels that a threshold half-way between nuclei and background puts on the wrong side:

level = 100 + 25 * (12 + 4) / 2
found = {
    "unfiltered": stack > level,
    "without spacing": cubes * 65535 > level,
    "with spacing": result > level,
    "with spacing and noise": stabilised > (12 + 4) / 2,
}
wrong = {name: np.mean(each != nuclei) for name, each in found.items()}
for name, share in wrong.items():
    print(f"{name:<25}{share:6.2%} wrong")

assert wrong["unfiltered"] > 0.04
assert wrong["with spacing"] < 0.8 * wrong["without spacing"]
assert wrong["with spacing and noise"] < wrong["with spacing"]

# %%
# One plane, and below it a section in depth with the true aspect ratio.

_, axes = plt.subplots(
    2, 4, figsize=(10, 4.4), layout="constrained", height_ratios=[96, 60], sharex=True
)
shown = {"stack": stack, "smooth": result, "found": found["with spacing"], "truth": nuclei}
for (above, below), (name, volume) in zip(axes.T, shown.items(), strict=True):
    limits = (0, 700) if volume.dtype == np.uint16 else (0, 1)
    above.imshow(volume[10], cmap="gray", clim=limits)
    below.imshow(volume[:, 48], cmap="gray", clim=limits, aspect=3)
    above.set_title(name)
    above.set_axis_off()
    below.set_axis_off()
