"""
8. From words to a picture
==========================

All parts together: a text becomes tokens, tokens become vectors, noise becomes latents that fit
them, step by step, and latents become a picture.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from difffilter.generate import images, path, unknown_words

# %%
# Noise to art
# ------------
# The latents on their way from noise, decoded.

text = "a large green heart on a striped background"
frames = [picture()[0] for picture in path(text, steps=30, seed=1)]
shown = (0, 6, 12, 16, 20, 24, 30)
figure, axes = plt.subplots(1, len(shown), figsize=(9, 1.7), layout="constrained")
for axis, step in zip(axes, shown, strict=True):
    axis.imshow(frames[step])
    axis.set_title(f"step {step}", fontsize=9)
    axis.axis("off")
assert frames[-1].shape == (64, 64, 3)

# %%
# Other words
# -----------
# On the command line, ``difffilter generate "red heart" -n 4 -o hearts.png`` does the same.

texts = (
    "a small red circle above a blue star",
    "a purple ring left of an orange square",
    "red heart",
    "sailboat",
)
start = time.perf_counter()
made = [images(each, n=4, seed=1) for each in texts]
print(f"{(time.perf_counter() - start) / 16:.2f} s for a picture")
figure, axes = plt.subplots(4, 4, figsize=(6, 6), layout="constrained")
for row, each, pictures in zip(axes, texts, made, strict=True):
    row[0].set_ylabel(each.replace(" above", "\nabove").replace(" left", "\nleft"), fontsize=7)
    for axis, picture in zip(row, pictures, strict=True):
        axis.imshow(picture)
        axis.set(xticks=[], yticks=[])

# %%
# The same seed gives the same pictures, and words that the model never saw are told.

assert np.array_equal(images("red heart", seed=5, steps=5), images("red heart", seed=5, steps=5))
assert unknown_words("a huge red quark") == {"huge": "big", "quark": None}
