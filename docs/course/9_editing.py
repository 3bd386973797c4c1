"""
9. Editing, and more pixels
===========================

The reverse process need not start from pure noise. From a picture with some noise it leads to
another picture, and part of a picture can be held fast on the way.
"""

import matplotlib.pyplot as plt
import numpy as np

from difffilter.generate import edit, images, upsample


def show(pictures, titles):
    _, axes = plt.subplots(1, len(pictures), figsize=(9, 2.1), layout="constrained")
    for axis, picture, title in zip(axes, pictures, titles, strict=True):
        axis.imshow(picture)
        axis.set_title(title, fontsize=8)
        axis.axis("off")


# %%
# How much noise
# --------------
# x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε keeps less of a picture the larger t is. The strength of an edit is
# √(1 − ᾱ_t): little leaves the picture as it is, much leaves only the text.

frog = images("frog", seed=1)[0]
strengths = (0.2, 0.35, 0.45, 0.6, 0.9)
changed = [edit(frog, "red heart", strength=strength)[0] for strength in strengths]
show([frog, *changed], ["frog", *(f"strength {strength}" for strength in strengths)])

# %%
# A part of a picture
# -------------------
# Pixels outside of a mask are known. At each step, the network sees them with the noise of that step,
# so that what it makes within fits them; in the result they are what they were, to the bit.

scene = images("a large red circle above a blue star", seed=3)[0]
mask = np.zeros((64, 64), bool)
mask[:24, :24] = True
edits = edit(scene, "a large yellow square above a blue star", n=4, mask=mask)
show([scene, *edits], ["before", *("after",) * 4])
assert (edits[:, ~mask] == scene[~mask]).all()

# %%
# More pixels
# -----------
# Another DDPM adds what a picture of 256×256 pixels has beyond one of 64×64. It does not know the
# text: the small picture tells it enough.

large = upsample(frog)
show([frog, large], ["64×64", "256×256"])
assert large.shape == (256, 256, 3)
