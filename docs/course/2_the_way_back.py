r"""
2. The way back
===============

Noise that was added cannot be subtracted, but it can be guessed. A network
:math:`\varepsilon_\theta(x_t, t)` is trained to tell the noise in :math:`x_t`; with the guess,
:math:`x_0` follows from the formula of the way there. The weights of this page come with the
package and were trained on photographs.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage import data

from difffilter.ddpm import NoiseSchedule, add_noise, load, posterior_mean, reverse_path
from difffilter.metrics import psnr

schedule: NoiseSchedule = load("natural-gray").schedule
net = load("natural-gray").net
clean = torch.from_numpy(data.camera()[60:188, 140:268] / 127.5 - 1).float()[None, None]
noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))


def quality(image):
    """The PSNR of an image in [−1, 1]."""
    return psnr(clean[0, 0].numpy() / 2, image[0, 0].numpy() / 2)


# %%
# One guess
# ---------
# Here is the image at four steps, and the :math:`\hat x_0` that one evaluation of the network
# gives. It is the mean of all images that could have been there, so that it is sharp where little
# noise was added, and soft where there was much. No other estimate has a smaller mean square
# error.

steps = (50, 100, 200, 400)
figure, axes = plt.subplots(2, len(steps), figsize=(8, 4.2), layout="constrained")
scores = []
for (above, below), t in zip(axes.T, steps, strict=True):
    noisy = add_noise(clean, t, noise, schedule)
    sigma_tilde = float(schedule.sigma_tilde(t))
    y = noisy / schedule.alpha_bar(t) ** 0.5  # the image of constant strength, plus noise
    with torch.inference_mode():
        guess = posterior_mean(net, y, sigma_tilde, schedule)
    scores.append(quality(guess))
    above.imshow(noisy[0, 0].numpy(), cmap="gray", vmin=-1.5, vmax=1.5)
    below.imshow(guess[0, 0].numpy(), cmap="gray", vmin=-1, vmax=1)
    above.set_title(f"$x_t$, t = {t}", fontsize=9)
    below.set_title(f"$\\hat x_0$, {scores[-1]:.1f} dB", fontsize=9)
    for axis in (above, below):
        axis.axis("off")
assert scores == sorted(scores, reverse=True)

# %%
# Many small guesses
# ------------------
# A mean of images is not an image: it lacks texture. The reverse process takes a small step
# towards the guess, adds a little noise again, guesses anew, and so on. It ends in one of the
# images that could have been there. Below, from :math:`t = 200`, in 25 steps.

sigma_tilde = float(schedule.sigma_tilde(200))
y = clean + sigma_tilde * noise
with torch.inference_mode():
    generator = torch.Generator().manual_seed(1)
    path = [
        image
        for _, image in reverse_path(net, y, sigma_tilde, schedule, steps=25, generator=generator)
    ]
    mean = posterior_mean(net, y, sigma_tilde, schedule)

figure, axes = plt.subplots(1, 5, figsize=(9, 2.1), layout="constrained")
titles = ("after 5 steps", "after 15", "after 25", "one guess", "the image")
for axis, image, title in zip(
    axes, (path[4], path[14], path[24], mean, clean), titles, strict=True
):
    axis.imshow(image[0, 0].numpy(), cmap="gray", vmin=-1, vmax=1)
    axis.set_title(title, fontsize=9)
    axis.axis("off")


# %%
# The drawn image is as rough as a photograph, and further from the truth: the price of texture.


def roughness(image):
    """The standard deviation of the difference of neighbours."""
    return float(np.diff(image[0, 0].numpy(), axis=1).std())


rough = {"drawn": roughness(path[-1]), "mean": roughness(mean), "image": roughness(clean)}
print({name: round(value, 3) for name, value in rough.items()})
assert rough["mean"] < rough["drawn"]
assert quality(mean) > quality(path[-1])
