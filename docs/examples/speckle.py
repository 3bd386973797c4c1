"""
Speckle in a radar image
========================

Speckle is multiplicative: strong where the image is bright and weak where it is dark. Smooth it so
that fields can be told apart by their brightness, without losing a thin dark river between them.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import binary_erosion
from scipy.special import digamma, polygamma

import difffilter as df

# %%
# The scene
# ---------
# Fields of different reflectivity and a dark river, as a four-look intensity image: the mean of four
# exponentially distributed intensities, which follows a gamma distribution.

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
# The coefficient of variation of L-look speckle is 1/√L. If it were unknown, it would be estimated.

variation = 1 / np.sqrt(looks)
estimated = df.estimate_sigma(speckled, noise="speckle")
print(f"coefficient of variation {variation:.3f}, estimated {estimated:.3f}")

results = {"speckled": speckled, "perona_malik": df.denoise(speckled, method="perona_malik")}
results["srad"] = df.denoise(speckled, sigma=variation, method="srad")
results["perona_malik, speckle"] = df.denoise(
    speckled, sigma=variation, method="perona_malik", noise="speckle"
)

# %%
# ``noise="speckle"`` puts a method between a logarithm and its inverse. That logarithm is linear below
# a share of the highest intensities (an eighth, or σ if that is more), so that dark pixels do not
# dominate. With σ = 0.5 this loses the dark river, so here is the plain logarithm as well. The logarithm
# of a gamma-distributed variable with mean 1 has the variance ψ'(L) and the mean ψ(L) - log L, a bias
# that is removed at the end. Dividing by ten gives a range of about 1, which the defaults assume.

sigma = np.sqrt(polygamma(1, looks))
bias = digamma(looks) - np.log(looks)
smooth = 10 * df.denoise(np.log(speckled) / 10, sigma=sigma / 10, method="perona_malik")
results["perona_malik, logarithm"] = np.exp(smooth - bias)

# %%
# Check
# -----
# Within a field, mean²/variance is the equivalent number of looks: how many images one would have
# to average for the same smoothness. Brightness should be preserved, also in the river.

largest = field == np.bincount(field.ravel()).argmax()
inside = binary_erosion(largest & ~river, iterations=3)


def equivalent_looks(image):
    return image[inside].mean() ** 2 / image[inside].var()


for name, image in results.items():
    print(
        f"{name:<24}{df.psnr(clean, image):5.1f} dB, {equivalent_looks(image):4.0f} looks, "
        f"field {image[inside].mean() / clean[inside].mean():.2f} and "
        f"river {image[river].mean() / clean[river].mean():.2f} of their brightness"
    )

for name in ("srad", "perona_malik, logarithm"):
    image = results[name]
    assert equivalent_looks(image) > 100
    assert df.psnr(clean, image) > df.psnr(clean, speckled) + 12
    assert abs(image[inside].mean() / clean[inside].mean() - 1) < 0.02
    assert image[river].mean() < 2 * clean[river].mean()

# %%
# In decibels, as usual for radar:

_, axes = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
shown = results | {"without speckle": clean}
for axis, (name, image) in zip(axes.flat, shown.items(), strict=True):
    axis.imshow(10 * np.log10(image.clip(1e-3)), cmap="gray", vmin=-22, vmax=2)
    axis.set_title(name)
    axis.set_axis_off()
