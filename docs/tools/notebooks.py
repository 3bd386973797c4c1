"""
Notebooks
=========

Chosen parameters and comparisons of methods are shown as tables; ``time_slider`` moves through the scale
space. Progress bars are widgets. It needs ``pip install 'difffilter[notebook]'``.
"""

from io import BytesIO

import matplotlib.pyplot as plt
from skimage import data

import difffilter as df
from difffilter.figures.comparison import compare

noisy = df.add_noise(data.camera()[60:252, 140:332], 25 / 255, rng=0)

# %%
# The parameters, at the end of a cell:

chosen = df.estimate_parameters(noisy, method="perona_malik")
assert "kappa" in chosen._repr_html_()
chosen  # noqa: B018

# %%
# A comparison, with a picture:

comparison = compare(noisy, {name: df.make(name) for name in ("heat", "perona_malik")})
assert "<table" in comparison._repr_html_()
comparison  # noqa: B018

# %%
# A slider for the time, with the image beside it. Here it is a picture of a few of its times.

from difffilter.figures.notebook import time_slider  # noqa: E402

slider, picture = time_slider(noisy, "perona_malik", longest=25, steps=4).children
slider.index = 2
assert bytes(picture.value).startswith(b"\x89PNG")

figure, axes = plt.subplots(1, 5, figsize=(9.2, 2.2), layout="constrained")
for axis, (label, k) in zip(axes, slider.options, strict=True):
    slider.index = k
    axis.imshow(plt.imread(BytesIO(picture.value)), cmap="gray")
    axis.set_title(f"time = {label}", fontsize=9)
    axis.set_axis_off()
