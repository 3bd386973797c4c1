"""
Speckle of a radar image
========================

Speckle multiplies: it is strong where the image is bright and weak where it is dark. The filters
suppose noise that is alike everywhere, and so it becomes in the logarithm. The task is to tell fields
apart by their brightness, and not to lose a thin river between them.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import binary_erosion
from scipy.special import digamma, polygamma

import difffilter as df

# %%
# The scene
# ---------
# Fields of different reflectivity and a dark river, as intensities of four looks: the mean of four
# exponentially distributed ones, which is a gamma distribution.

looks = 4
rng = np.random.default_rng(0)
y, x = np.mgrid[:192, :192]
centres, reflectivity = rng.uniform(0, 192, (2, 28)), rng.uniform(0.05, 1, 28) ** 1.5
field = np.hypot(y[..., None] - centres[0], x[..., None] - centres[1]).argmin(axis=-1)
river = np.abs(y - 96 - 25 * np.sin(x / 30)) < 4
clean = np.where(river, 0.02, reflectivity[field]).astype(np.float32)
speckled = clean * rng.gamma(looks, 1 / looks, clean.shape).astype(np.float32)

# %%
# Smoothing
# ---------
# The logarithm of a gamma-distributed variable with mean 1 has the variance ψ'(L) and the mean
# ψ(L) - log L. So σ is known, and what the mean of logarithms is lower than the logarithm of the
# mean is put right in the end. A tenth of the logarithm has a range of about 1, for which the
# defaults are made.

sigma = np.sqrt(polygamma(1, looks))
bias = digamma(looks) - np.log(looks)
print(f"σ of the logarithm: {sigma:.3f}; estimated: {df.estimate_sigma(np.log(speckled)):.3f}")

smooth = np.exp(10 * df.denoise(np.log(speckled) / 10, sigma / 10) - bias)

# %%
# Without the logarithm the choice would be made for a noise that is alike everywhere:

directly = df.denoise(speckled)

# %%
# Did it work?
# ------------
# Within a field, mean²/variance is the equivalent number of looks: how many images one would
# have to average for the same smoothness. The brightness should stay, that of the river too.

largest = field == np.bincount(field.ravel()).argmax()
inside = binary_erosion(largest & ~river, iterations=3)


def equivalent_looks(image):
    return image[inside].mean() ** 2 / image[inside].var()


for name, image in {"speckled": speckled, "directly": directly, "logarithm": smooth}.items():
    print(
        f"{name:<10}{df.psnr(clean, image):5.1f} dB, {equivalent_looks(image):4.0f} looks, "
        f"field {image[inside].mean() / clean[inside].mean():.3f} and "
        f"river {image[river].mean() / clean[river].mean():.3f} of their brightness"
    )

assert equivalent_looks(smooth) > 100
assert df.psnr(clean, smooth) > df.psnr(clean, speckled) + 12
assert abs(smooth[inside].mean() / clean[inside].mean() - 1) < 0.02
assert smooth[river].mean() < 0.025

# %%
# Shown as usual for radar, in decibels.

_, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
shown = {"speckled": speckled, "smooth": smooth, "without speckle": clean}
for axis, (name, image) in zip(axes, shown.items(), strict=True):
    axis.imshow(10 * np.log10(image), cmap="gray", vmin=-22, vmax=2)
    axis.set_title(name)
    axis.set_axis_off()
