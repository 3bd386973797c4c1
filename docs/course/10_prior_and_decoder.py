"""
10. Prior and decoder
=====================

The model of page 8 goes from a text to a picture at once. unCLIP (DALL·E 2) stops halfway: a *prior*
draws the embedding of a picture from the text, and a *decoder* draws the picture from its embedding.
What can be done to embeddings can then be done to pictures.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from difffilter.ddpm.process import keyed_generator
from difffilter.generate import images, load, vary
from difffilter.generate.rendering import render
from difffilter.generate.scenes import Scene, Thing
from difffilter.generate.unclip import draw_embeddings
from difffilter.generate.zero_shot import as_input


def show(pictures, titles):
    _, axes = plt.subplots(1, len(pictures), figsize=(9, 1.8), layout="constrained")
    for axis, picture, title in zip(axes, pictures, titles, strict=True):
        axis.imshow(picture)
        axis.set_title(title, fontsize=8)
        axis.axis("off")


# %%
# The prior
# ---------
# CLIP puts a text near its picture, but not where the picture is: their cosine is well below 1. The
# prior, a transformer that is trained like a DDPM, predicts the embedding of a picture from a noisy
# one, the text and its embedding. Its draws are nearer to where the picture's own embedding is.

clip = load("clip")
texts = ["a large red star in the centre", "a small blue ring at the top"]
scenes = [Thing("red", "star", "large", "centre"), Thing("blue", "ring", "small", "top")]
rng = np.random.default_rng(0)
pictures = [render(Scene((thing,), "plain"), rng) for thing in scenes]
with torch.inference_mode():
    of_texts = clip.net.embed_texts(torch.from_numpy(clip.tokeniser.encode_all(texts)))
    of_pictures = clip.net.embed_images(torch.cat([as_input(p, 64) for p in pictures]))
    drawn = draw_embeddings(texts, "", [keyed_generator(0, k) for k in range(2)])
for name, embeddings in (("texts", of_texts), ("draws of the prior", drawn)):
    print(f"{name} and their pictures:", (embeddings * of_pictures).sum(dim=1).numpy().round(2))

# %%
# The decoder
# -----------
# It is the network of page 8 that listens to the embedding as well, as to a few more words. Given
# the embedding alone, it makes pictures that show the same and differ in what an embedding does not
# hold: these are variations.

variations = vary(pictures[0], 5, seed=1)
show([pictures[0], *variations], ["a picture", *("a variation",) * 5])
assert np.abs(variations[0] - variations[1]).max() > 0.1

# %%
# Between two pictures
# --------------------
# Embeddings lie on a sphere, and so, nearly, does noise. On the great circle from one to the other
# there is a picture everywhere.

way = vary(pictures[0], 6, between=pictures[1])
show(way, ["one", "", "", "", "", "other"])

# %%
# By words
# --------
# The difference of two texts is a direction on the sphere. Along it, the embedding of a picture
# changes in what the texts differ in; the noise that leads to the picture, found by running the
# probability flow backward, keeps the rest.

changed = vary(pictures[0], 5, toward="a large blue star", away="a large red star")
show([pictures[0], *changed], ["red", *("",) * 4, "blue"])

# %%
# From a text, by way of both: ``difffilter generate --model unclip`` does the same.

show(images("red heart", n=6, model="unclip", seed=1), ["red heart"] + [""] * 5)
