r"""
1. Noise, step by step
======================

A diffusion model starts from a simple idea: add a little noise to an image, a thousand times,
until nothing else is left. Step :math:`t` damps the image a little and adds noise of variance
:math:`\beta_t`:

.. math:: x_t = \sqrt{1-\beta_t}\, x_{t-1} + \sqrt{\beta_t}\, \varepsilon_t
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.transform import resize

from difffilter.ddpm import NoiseSchedule

# %%
# The schedule
# ------------
# Ho et al. let :math:`\beta_t` grow along a straight line. With :math:`\bar\alpha_t = \prod_{s
# \le t} (1-\beta_s)`, the product of what is left of the variance, all steps up to :math:`t` can
# be taken at once:
#
# .. math:: x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1-\bar\alpha_t}\, \varepsilon

schedule = NoiseSchedule(T=1000, beta_min=1e-4, beta_max=0.02)
beta = np.linspace(1e-4, 0.02, 1000)
alpha_bar = np.cumprod(1 - beta)
assert np.allclose(schedule.beta, beta)
assert np.allclose(schedule.alpha_bar(np.arange(1, 1001)), alpha_bar)

figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
axes[0].plot(beta)
axes[0].set(xlabel="t", ylabel=r"$\beta_t$")
axes[1].plot(np.sqrt(alpha_bar), label=r"image: $\sqrt{\bar\alpha_t}$")
axes[1].plot(np.sqrt(1 - alpha_bar), label=r"noise: $\sqrt{1 - \bar\alpha_t}$")
axes[1].set(xlabel="t")
axes[1].legend()

# %%
# An image on its way
# -------------------
# Images are scaled to [−1, 1]. Each step is taken as it is written above.

rng = np.random.default_rng(0)
x0 = 2 * resize(data.camera()[60:252, 140:332] / 255, (128, 128)) - 1
x, path = x0, {0: x0}
for t in range(1, 1001):
    x = np.sqrt(1 - beta[t - 1]) * x + np.sqrt(beta[t - 1]) * rng.standard_normal(x.shape)
    path[t] = x

shown = (0, 50, 100, 200, 400, 1000)
figure, axes = plt.subplots(1, len(shown), figsize=(9, 1.9), layout="constrained")
for axis, t in zip(axes, shown, strict=True):
    axis.imshow(path[t], cmap="gray", vmin=-1.5, vmax=1.5)
    axis.set_title(f"t = {t}", fontsize=9)
    axis.axis("off")

# %%
# In the end the image is forgotten: its correlation with :math:`x_{1000}` is that of noise, and
# the variance is 1. Halfway, it is what the formula for all steps at once says.

correlation = {t: np.corrcoef(x0.ravel(), path[t].ravel())[0, 1] for t in (300, 1000)}
signal = np.sqrt(alpha_bar[299]) * x0.std()
noise = np.sqrt(1 - alpha_bar[299])
assert abs(correlation[300] - signal / np.hypot(signal, noise)) < 0.02
assert abs(correlation[1000]) < 0.03
assert abs(path[1000].std() - 1) < 0.02
print(
    f"correlation with the image at t = 300: {correlation[300]:.3f}, at 1000: {correlation[1000]:.3f}"
)
