"""
Choosing parameters: J-invariance and SURE
==========================================

scikit-image calibrates any denoiser by J-invariance: pixels are hidden, and the parameters are best that
predict them. difffilter estimates the risk of the result itself (SURE), which needs the strength of the noise
and hides nothing. Both choose without a clean image; here both are held to what a clean one would choose.
"""

import time
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from skimage import color, data
from skimage.restoration import calibrate_denoiser

import difffilter as df

# %%
# Photographs, cut to 192×192, with white noise of σ = 25/255.

photographs = {
    "camera": data.camera()[100:292, 150:342] / 255,
    "astronaut": color.rgb2gray(data.astronaut())[0:192, 130:322],
    "cat": color.rgb2gray(data.chelsea())[50:242, 130:322],
    "coffee": color.rgb2gray(data.coffee())[100:292, 200:392],
    "coins": data.coins()[60:252, 60:252] / 255,
}
noisy = {name: df.add_noise(image, 25 / 255, rng=0) for name, image in photographs.items()}

# %%
# Each way chooses κ and the time of Perona–Malik diffusion; J-invariance from a grid, which is also that
# of the oracle.

grid = {"kappa": [0.01, 0.02, 0.03, 0.05, 0.08, 0.12], "time": [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]}
rows, seconds = {}, np.zeros(2)
for name, clean in photographs.items():
    start = time.perf_counter()
    found = calibrate_denoiser(noisy[name], df.perona_malik, grid).keywords["denoiser_kwargs"]
    middle = time.perf_counter()
    chosen, parameters = df.perona_malik(noisy[name], full_output=True)
    seconds += middle - start, time.perf_counter() - middle
    hidden = df.perona_malik(noisy[name], **found)
    every = [
        df.psnr(clean, df.perona_malik(noisy[name], kappa=kappa, time=t))
        for kappa, t in product(*grid.values())
    ]
    rows[name] = df.psnr(clean, hidden), df.psnr(clean, chosen), max(every)
    print(
        f"{name}: J-invariance {found}, SURE κ = {parameters['kappa']:.3f}, time = {parameters['time']:.1f}"
    )

scores = np.array(list(rows.values()))
print(f"seconds: J-invariance {seconds[0]:.1f}, SURE {seconds[1]:.1f}")
print("dB below the best of the grid:", (scores[:, 2:] - scores[:, :2]).mean(axis=0).round(2))
assert (scores[:, 1] > scores[:, 2] - 0.4).all()

# %%
# J-invariance predicts a pixel from its neighbours, and smooths more than is best for the image itself,
# whose pixels are there.

figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
place = np.arange(len(rows))
for shift, column, label in (
    (-0.25, 0, "J-invariance"),
    (0, 1, "SURE"),
    (0.25, 2, "best of the grid"),
):
    axis.bar(place + shift, scores[:, column], 0.23, label=label)
axis.set(
    xticks=place, xticklabels=rows, ylabel="PSNR, dB", ylim=(scores.min() - 1, scores.max() + 0.5)
)
axis.legend(ncols=3, fontsize=8)
