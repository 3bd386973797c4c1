"""
7. Latents: 48 times smaller
============================

Most of the numbers of a picture tell details that nobody would miss. An autoencoder keeps what
matters: 64×64×3 = 12 288 numbers become 8×8×4 = 256 latents, and a decoder paints the picture
anew. Diffusion of latents is cheaper by far, and the decoder sees to the details.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from difffilter.generate import load
from difffilter.generate.rendering import render
from difffilter.generate.scenes import draw_scene
from difffilter.metrics import psnr

net = load("autoencoder").net
rng = np.random.default_rng(2)
pictures = np.stack([render(draw_scene(rng), rng) for _ in range(6)])
x = torch.from_numpy(2 * np.moveaxis(pictures / np.float32(255), 3, 1) - 1)


def encoded(x):
    with torch.inference_mode():
        return net.encode(x)


def decoded(latents):
    with torch.inference_mode():
        return (np.moveaxis(net.decode(latents).numpy(), 1, 3) / 2 + 0.5).clip(0, 1)


# %%
# There and back
# --------------
# The pictures, their four channels of latents, and what the decoder makes of them.

latents = encoded(x)
again = decoded(latents)
print(
    f"{tuple(x.shape[1:])} -> {tuple(latents.shape[1:])}: {x[0].numel() / latents[0].numel():.0f} to 1"
)
scores = [psnr(*pair) for pair in zip(pictures / 255, again, strict=True)]

figure, axes = plt.subplots(3, 6, figsize=(8, 4.2), layout="constrained")
for column, score in enumerate(scores):
    axes[0, column].imshow(pictures[column])
    channels = latents[column].numpy()
    tiles = np.block([[channels[0], channels[1]], [channels[2], channels[3]]])
    axes[1, column].imshow(tiles, cmap="gray", vmin=-2.5, vmax=2.5)
    axes[2, column].imshow(again[column])
    axes[2, column].set_title(f"{score:.1f} dB", fontsize=8)
for axis in axes.ravel():
    axis.axis("off")
assert np.mean(scores) > 30

# %%
# From one picture to another
# ---------------------------
# Halfway between the latents of two pictures the decoder still paints something that looks like
# one.

steps = torch.linspace(0, 1, 6)
between = decoded(torch.stack([latents[0].lerp(latents[3], float(s)) for s in steps]))
figure, axes = plt.subplots(1, 6, figsize=(8, 1.5), layout="constrained")
for axis, picture in zip(axes, between, strict=True):
    axis.imshow(picture)
    axis.axis("off")
