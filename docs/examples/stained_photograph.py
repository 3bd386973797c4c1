"""
Restoring a stained photograph
==============================

Ink has run over a photograph, and somebody has written on it. Three equations continue what surrounds
the damage: values, gradients, or edges. Edges are what the eye misses most.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.draw import disk, line

import difffilter as df

# %%
# The damage
# ----------
# Blots of up to five pixels in radius, and pen strokes three pixels wide, on a photograph whose
# undamaged state is known.

photograph = data.camera()[60:260, 120:370] / 255
rng = np.random.default_rng(3)
damaged = np.zeros(photograph.shape, bool)
for row, column, radius in rng.integers([0, 0, 2], [200, 250, 6], (80, 3)):
    damaged[disk((row, column), radius, shape=damaged.shape)] = True
for start, stop in rng.integers(0, [197, 247], (14, 2, 2)):
    rows, columns = line(*start, *stop)
    for shift in range(3):
        damaged[rows + shift, columns] = True
stained = np.where(damaged, 0.1, photograph)

# %%
# Filling in
# ----------
# The mask is True where the photograph is damaged.

methods = ["harmonic", "biharmonic", "edge_enhancing"]
restored = {method: df.inpaint(stained, damaged, method) for method in methods}

# %%
# Check
# -----
# Known pixels have not changed. In the damaged ones, continuing the edges makes the smallest error.


def error(image):
    return np.sqrt(np.mean((image - photograph)[damaged] ** 2))


errors = {method: error(image) for method, image in restored.items()}
for method, image in restored.items():
    assert np.array_equal(image[~damaged], photograph[~damaged])
    print(f"{method:<16}error {errors[method]:.4f}")

assert min(errors, key=errors.get) == "edge_enhancing"
assert errors["edge_enhancing"] < error(stained) / 4

# %%

shown = {"photograph": photograph, "stained": stained, **restored}
_, axes = plt.subplots(1, 5, figsize=(13, 2.6), layout="constrained")
for axis, (name, image) in zip(axes, shown.items(), strict=True):
    axis.imshow(image[60:160, 60:185], cmap="gray", vmin=0, vmax=1)
    axis.set_title(name)
    axis.set_axis_off()
