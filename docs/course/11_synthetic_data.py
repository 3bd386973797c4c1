"""
11. Data from a model
=====================

Pictures with labels are scarce, and a model makes as many as one likes. Whether they help depends on
what the model knows that the task's own data do not show. Here a classifier learns from generated
pictures alone, and is tested on others.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from difffilter.generate import images, load, similarity
from difffilter.generate.rendering import render
from difffilter.generate.scenes import COLOURS, PLACES, SHAPES, SIZES, Scene, Thing
from difffilter.generate.zero_shot import as_input

# %%
# Generated pictures
# ------------------
# Twelve of each shape, in colours that the text names.

rng = np.random.default_rng(0)
texts = [f"a large {colour} {shape}" for shape in SHAPES for colour in rng.choice(COLOURS, 12)]
labels = np.repeat(SHAPES, 12)
pictures = images(texts, candidates=1, steps=20, seed=1)

# %%
# Not all of them show what they should. CLIP tells how well each fits its text; the half that fits
# best is kept, which is what ``difffilter synthesize --keep 0.5`` does.

fits = np.array(
    [similarity(picture, [text])[0] for picture, text in zip(pictures, texts, strict=True)]
)
kept = np.concatenate(
    [np.flatnonzero(labels == s)[np.argsort(-fits[labels == s])[:6]] for s in SHAPES]
)
worst = [np.flatnonzero(labels == s)[np.argmin(fits[labels == s])] for s in SHAPES]
_, axes = plt.subplots(2, 6, figsize=(9, 3.3), layout="constrained")
for column, shape in enumerate(SHAPES):
    for row, index in enumerate((kept[6 * column], worst[column])):
        axes[row, column].imshow(pictures[index])
        axes[row, column].set(xticks=[], yticks=[])
        axes[row, column].set_title(f"{shape}: {fits[index]:.2f}", fontsize=8)
axes[0, 0].set_ylabel("fits best", fontsize=8)
axes[1, 0].set_ylabel("fits worst", fontsize=8)

# %%
# A classifier
# ------------
# Least squares on CLIP's embeddings: one column of weights for each shape.

clip = load("clip").net


def embeddings(pictures):
    with torch.inference_mode():
        return clip.embed_images(torch.cat([as_input(each, 64) for each in pictures])).numpy()


def accuracy(chosen, tests, truth):
    x = embeddings(pictures[chosen])
    right = (labels[chosen, None] == np.array(SHAPES)).astype(float)
    weights = np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ right)
    return np.mean(np.array(SHAPES)[(embeddings(tests) @ weights).argmax(axis=1)] == truth)


# %%
# Tested on scenes that were drawn, not generated.

truth = np.repeat(SHAPES, 20)
tests = [
    render(
        Scene((Thing(rng.choice(COLOURS), shape, rng.choice(SIZES), rng.choice(PLACES)),), "plain"),
        rng,
    )
    for shape in truth
]
for name, chosen in (("all", np.arange(len(labels))), ("the half that fits best", kept)):
    print(f"{name}: {len(chosen)} pictures, accuracy {accuracy(chosen, tests, truth):.2f}")
assert accuracy(kept, tests, truth) > 0.4  # chance is 1/6

# %%
# A word of caution: the model was itself trained on thousands of such scenes. What it gives a
# classifier it took from them, with its errors and its preferences added. The guide to words and
# pictures has a study with real photographs beside generated ones.
