"""
Training a small learned diffusion
==================================

Perona–Malik diffusion has two filters, the derivatives, and one function of their responses, made by
hand. Here three steps of a diffusion, each with eight filters and functions of its own, are learned from
six photographs, which takes seconds.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from skimage import data, io

import difffilter as df
from difffilter.pde.weights import load
from difffilter.training import LearnedConfig, StepConfig, fit_learned

# %%
# Training
# --------
# A cell has 2×2 pixels and a filter covers 3×3 cells, hence 6×6 pixels. From one step to the next the
# cells move by a pixel. The σ of the noise on the crops is between 10/255 and 50/255. On the command line,
# ``difffilter train FOLDER --method learned`` trains the eight steps of the preset ``deep-gray``.

plan = tuple(StepConfig(cell=2, offset=step % 2, filters=8, hidden=16) for step in range(3))
config = LearnedConfig(
    plan=plan,
    steps=400,
    batch=8,
    crop=32,
    learning_rate=2e-2,
    warmup=50,
    ema=0.98,
    sigma_range=(10 / 255, 50 / 255),
    validation=0,
)

folder = tempfile.TemporaryDirectory()
photographs, run = Path(folder.name, "photographs"), Path(folder.name, "run")
photographs.mkdir()
for name in ("astronaut", "chelsea", "coffee", "rocket", "coins", "brick"):
    io.imsave(photographs / f"{name}.png", getattr(data, name)())
weights = fit_learned(photographs, run, config)

# %%
# Smoothing
# ---------
# The file is what ``weights`` of the method ``learned`` takes. Its time is the number of steps.

clean = data.camera() / 255
noisy = df.add_noise(clean, 25 / 255)
images = [noisy] + [
    df.learned(noisy, time=step, sigma=25 / 255, weights=weights) for step in (1, 2, 3)
]

# %%
# For comparison, Perona–Malik diffusion with the time and κ of least estimated risk:

smooth = df.perona_malik(noisy, sigma=25 / 255)

# %%
# Check
# -----
# Each step comes closer to the clean image, which was not among the six, and the third comes closer
# than Perona–Malik diffusion.

scores = [df.psnr(clean, image) for image in images]
print("after 0 to 3 steps:", ", ".join(f"{score:.2f} dB" for score in scores))
print(f"Perona–Malik:       {df.psnr(clean, smooth):.2f} dB")

assert scores == sorted(scores)
assert scores[3] > df.psnr(clean, smooth) + 0.3

# %%
# A detail of the images, and below each one the filters of the step that led to it:

figure, axes = plt.subplots(2, 4, figsize=(10, 4.4), layout="constrained", height_ratios=[2, 1])
for step, (above, image) in enumerate(zip(axes[0], images, strict=True)):
    above.imshow(image[80:240, 160:320], cmap="gray", vmin=0, vmax=1)
    above.set_title(f"{f'step {step}' if step else 'noisy'}: {scores[step]:.1f} dB")
for below, stage in zip(axes[1, 1:], load(weights).stages, strict=True):
    # From (filter, pixel in the cell, cell) to two rows of four filters with 6×6 pixels and a margin.
    cells = stage.filters.reshape(2, 4, 2, 2, 3, 3).transpose(0, 1, 4, 2, 5, 3)
    rows = cells.reshape(2, 4, 6, 6).transpose(0, 2, 1, 3).reshape(12, 24)
    below.imshow(rows, cmap="gray")
    below.set_xticks([5.5, 11.5, 17.5], [])
    below.set_yticks([5.5], [])
    below.tick_params(length=0)
    below.grid(color="white", linewidth=3)
for axis in (*axes[0], axes[1, 0]):
    axis.set_axis_off()

# %%
folder.cleanup()
