"""
12. Sound
=========

A sound of 40 ms is a column of a picture: its frequencies from low to high. A DDPM that removes
noise from such pictures restores sounds; so do the PDEs.
"""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import soundfile

from difffilter import sound

RATE = 16_000


class Player:
    """A sound that the page can play."""

    def __init__(self, samples):
        with io.BytesIO() as file:
            soundfile.write(file, samples, RATE, format="WAV")
            self.data = base64.b64encode(file.getvalue()).decode()

    def _repr_html_(self):
        return f'<audio controls src="data:audio/wav;base64,{self.data}"></audio>'


# %%
# A tune
# ------
# Plucked strings after Karplus and Strong: noise in a loop, which smooths it a little each time
# round. That is the heat equation on a circle.


def pluck(frequency, seconds, rng):
    string = rng.uniform(-1, 1, round(RATE / frequency))
    tone = np.empty(round(RATE * seconds))
    for k in range(len(tone)):
        here, after = k % len(string), (k + 1) % len(string)
        tone[k] = string[here]
        string[here] = 0.498 * (string[here] + string[after])
    return tone


rng = np.random.default_rng(0)
notes = 220 * 2 ** (np.array([0, 4, 7, 12, 11, 7, 4, 0]) / 12)
clean = 0.5 * np.concatenate([pluck(f, 0.4, rng) for f in notes] + [np.zeros(RATE // 2)])
Player(clean)

# %%
# With white noise:

noisy = clean + 0.05 * rng.standard_normal(len(clean))
Player(noisy)

# %%
# The noise is measured where the sound is quiet, in each frequency, and divided out: then it is
# white with σ = 1, and the step t of the forward process that has as much noise is known.

print(sound.estimate_noise(noisy, RATE))
restored = sound.denoise(noisy, RATE)
Player(restored)

# %%
# Perona–Malik diffusion of the spectrogram, and what both gain:

by_pde = sound.denoise(noisy, RATE, "perona_malik")
for name, samples in (("noisy", noisy), ("Perona–Malik", by_pde), ("DDPM", restored)):
    print(f"{name}: {sound.si_sdr(clean, samples):.1f} dB")
assert sound.si_sdr(clean, restored) > sound.si_sdr(clean, noisy) + 5

# %%
# The pictures
# ------------

_, axes = plt.subplots(1, 4, figsize=(9, 2.4), sharey=True, layout="constrained")
titles = ("clean", "noisy", "Perona–Malik", "DDPM")
for axis, samples, title in zip(axes, (clean, noisy, by_pde, restored), titles, strict=True):
    axis.specgram(samples + 1e-9, NFFT=640, Fs=RATE, noverlap=480, vmin=-120, vmax=-40)
    axis.set(title=title, xlabel="s")
axes[0].set_ylabel("Hz")

# %%
# Sounds of words
# ---------------
# With fewer frequencies, on a scale like that of hearing, a second and a quarter fits into 64×64
# pixels, and a model like that of page 8 makes such pictures of words. Phases are missing: they are
# chosen so that neighbouring columns, which overlap, agree.

made = sound.generate("snare drum", seed=1)[0]
_, axes = plt.subplots(1, 2, figsize=(5, 2.4), layout="constrained")
axes[0].imshow(sound.mel_picture(made), cmap="magma")
axes[0].set(title="snare drum", xticks=[], yticks=[])
axes[1].plot(made, linewidth=0.3)
axes[1].set(title="its samples", xticks=[], yticks=[])
Player(made)
