"""
A CT volume in Hounsfield units
===============================

Make a lesion that is hardly denser than the surrounding tissue visible, without moving the boundary of
the bone. Voxel sizes are in millimetres, so times are in mm².
"""

import matplotlib.pyplot as plt
import numpy as np

import difffilter as df

# %%
# The volume
# ----------
# Fat and soft tissue in air, a vertebra, a lung, and a lesion of 6 mm radius that is 25 HU denser
# than the tissue around it. Voxels of 2.5 × 0.8 × 0.8 mm, noise of 30 HU.
#
# (For a NIfTI file, ``image = nibabel.load(path)`` gives the values as
# ``image.get_fdata(dtype="float32")`` and the voxel size as ``image.header.get_zooms()``.)

spacing = (2.5, 0.8, 0.8)
size = np.reshape(spacing, (3, 1, 1, 1))
z, y, x = (np.indices((16, 112, 128)) - np.reshape((8, 56, 64), (3, 1, 1, 1))) * size
clean = np.full(z.shape, -1000, np.float32)
body = np.hypot(x / 46, y / 40)
clean[body < 1] = -100
clean[body < 0.9] = 40
clean[np.hypot(x / 14, (y - 4) / 18) < 1] = -850
clean[np.hypot(x + 28, y) < 8] = 700
lesion = np.sqrt((x - 28) ** 2 + y**2 + z**2) < 6
clean[lesion] = 65
noisy = clean + np.random.default_rng(0).normal(0, 30, clean.shape).astype(np.float32)

# %%
# Smoothing
# ---------
# Floating-point images are used as they are, but the default accuracy of the time steps assumes
# intensities in [0, 1]. So map the window from -1000 to 1000 HU to [0, 1], and the result back.

image = (noisy + 1000) / 2000
method = df.make("perona_malik", spacing=spacing).choose(image)
smooth = 2000 * method(image) - 1000
print(f"σ = {2000 * df.estimate_sigma(image):.1f} HU, κ = {2000 * method.kappa:.1f} HU/mm")
print(f"time = {method.time} mm², {method.diffusivity} diffusivity")

# %%
# Check
# -----
# The contrast of the lesion, in standard deviations of the tissue around it:

around = (clean == 40) & (np.hypot(x - 28, y) < 14)


def contrast_to_noise(volume):
    return (volume[lesion].mean() - volume[around].mean()) / volume[around].std()


before, after = contrast_to_noise(noisy), contrast_to_noise(smooth)
print(f"contrast to noise {before:.1f} -> {after:.1f}")
print(f"tissue {smooth[around].mean():.1f} ± {smooth[around].std():.1f} HU")

assert before < 1
assert after > 5
assert abs(smooth[around].mean() - 40) < 1

# %%
# The radius of the vertebra, from the number of voxels above the midpoint of bone and tissue:


def radius(volume):
    bone = (volume > (700 + 40) / 2) & (np.hypot(x + 28, y) < 14)
    return np.sqrt(bone.sum() / len(bone) * 0.8**2 / np.pi)


print(f"radius of the vertebra {radius(smooth):.3f} mm, without noise {radius(clean):.3f} mm")

assert abs(radius(smooth) - radius(clean)) < 0.02

# %%
# The lesion in a narrow window: an axial plane and a section in depth.

_, axes = plt.subplots(
    2, 3, figsize=(10, 5), layout="constrained", height_ratios=[90, 40], sharex=True
)
shown = {"noisy": noisy, "smooth": smooth, "without noise": clean}
for (above, below), (name, volume) in zip(axes.T, shown.items(), strict=True):
    above.imshow(volume[8], cmap="gray", vmin=-50, vmax=130)
    below.imshow(volume[:, 56], cmap="gray", vmin=-50, vmax=130, aspect=2.5 / 0.8)
    above.set_title(name)
    above.set_axis_off()
    below.set_axis_off()
