r"""
6. Guidance
===========

A network that was given captions in training, and now and then none, can tell two noises:
:math:`\varepsilon_c` in a picture of the caption, and :math:`\varepsilon_\varnothing` in any
picture. Their difference points to where the caption becomes likelier, and guidance goes further
that way:

.. math:: \varepsilon = \varepsilon_\varnothing + w\,(\varepsilon_c - \varepsilon_\varnothing)
"""

import matplotlib.pyplot as plt
import numpy as np

from difffilter.generate import images, similarity

# %%
# More and more
# -------------
# With :math:`w = 0` the text is ignored, with 1 it is taken as it was learned, with more it is
# exaggerated. The four columns start from the same noise.

text = "a large red circle in the centre"
scales = (0, 1, 4, 10)
made = {scale: images(text, n=6, guidance=scale, seed=3) for scale in scales}

figure, axes = plt.subplots(len(scales), 6, figsize=(6.6, 4.6), layout="constrained")
for row, scale in zip(axes, scales, strict=True):
    row[0].set_ylabel(f"w = {scale}", fontsize=9)
    for axis, picture in zip(row, made[scale], strict=True):
        axis.imshow(picture)
        axis.set(xticks=[], yticks=[])

# %%
# How well do the pictures fit, and how different are they? CLIP answers the first question; the
# second is the distance of the pictures from each other.


def fit(pictures):
    """The mean similarity to the text."""
    return float(np.mean([similarity(picture, [text])[0] for picture in pictures]))


def diversity(pictures):
    """The root mean square distance from the mean picture."""
    return float(np.sqrt(np.square(pictures - pictures.mean(axis=0)).mean()))


for scale in scales:
    print(f"w = {scale:>2}: fit {fit(made[scale]):.2f}, diversity {diversity(made[scale]):.3f}")
assert fit(made[4]) > fit(made[0])
assert diversity(made[1]) < diversity(made[0])
