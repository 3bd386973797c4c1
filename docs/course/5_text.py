"""
5. Words and embeddings
=======================

A network computes with numbers, so that a text has to become numbers before it can be listened
to. CLIP turns texts and pictures into points on the same sphere, and puts those that belong
together next to each other.
"""

import matplotlib.pyplot as plt
import numpy as np

from difffilter.generate import load, similarity
from difffilter.generate.rendering import render
from difffilter.generate.scenes import Scene, Thing

# %%
# Tokens
# ------
# Byte-pair encoding knows frequent words as a whole, and spells rare ones in pieces. ``</w>``
# marks the end of a word.

model = load("clip")
words = model.tokeniser
for text in ("a small red circle", "an extraordinary red circle"):
    ids = words.encode(text)
    print([words.vocabulary[k] for k in ids if k > 2])
assert words.decode(words.encode("a small red circle")) == "a small red circle"
print(f"{len(words.vocabulary)} tokens")

# %%
# Pictures and captions
# ---------------------
# Five scenes that the package draws, and a caption of each. Every number is the cosine of the
# angle between a picture and a caption. Training made those on the diagonal large and the others
# small.

scenes = {
    "a large red circle in the centre": Thing("red", "circle", "large", "centre"),
    "a large blue star in the centre": Thing("blue", "star", "large", "centre"),
    "a small green heart at the top": Thing("green", "heart", "small", "top"),
    "a small yellow square at the bottom left": Thing("yellow", "square", "small", "bottom left"),
    "a medium purple ring on the right": Thing("purple", "ring", "medium", "right"),
}
rng = np.random.default_rng(0)
pictures = [render(Scene((thing,), "plain"), rng) for thing in scenes.values()]
cosines = np.array([similarity(picture, list(scenes)) for picture in pictures])

figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
axis.imshow(cosines, cmap="viridis", vmin=-1, vmax=1)
axis.set_yticks(range(5), list(scenes), fontsize=8)
axis.set_xticks([])
for row, column in np.ndindex(5, 5):
    axis.text(column, row, f"{cosines[column, row]:.2f}", ha="center", va="center", color="white")
for column, picture in enumerate(pictures):
    inset = axis.inset_axes((column / 5 + 0.04, 1.03, 0.12, 0.2))
    inset.imshow(picture)
    inset.axis("off")
assert (cosines.argmax(axis=1) == np.arange(5)).mean() >= 0.8

# %%
# No classifier of colours was ever trained, and yet there is one: the nearest of several
# captions.

colours = ("red", "green", "blue", "yellow")
nearest = [colours[similarity(p, [f"a {c} thing" for c in colours]).argmax()] for p in pictures[:4]]
print(nearest)
assert sum(a == b for a, b in zip(nearest, ("red", "blue", "green", "yellow"), strict=True)) >= 3
