"""NumPy arrays on the CPU."""

from __future__ import annotations

from difffilter.image import as_float
from difffilter.noise.estimation import estimate_sigma
from difffilter.pde.solve import state as states

__all__ = ["Arrays"]


class Arrays:
    """NumPy arrays, filtered by Numba's kernels."""

    def as_float(self, image, channel_axis=None, *, axes=(2, 3)):
        """The image as floating point, checked, where it is filtered."""
        return as_float(image, channel_axis, axes=axes)

    def as_state(self, image, channel_axis, *, coupled=True):
        """A fresh state (B, C, D, H, W)."""
        return states.as_state(image, channel_axis, coupled=coupled)

    def as_image(self, state, shape, channel_axis):
        """Undo `as_state`, and bring the image to where results go."""
        return states.as_image(state, shape, channel_axis)

    def check(self, scheme="explicit", kappa=None, fidelity=0.0):
        """Raise ValueError for what this backend cannot do."""

    def extremes(self, image):
        """An array with the same smallest and largest value as the image."""
        return image

    def shown(self, image, channel_axis):
        """An array, and its channel axis, to choose parameters on."""
        return image, channel_axis

    def estimate_sigma(self, image, channel_axis, mask):
        """The noise of the image, where the mask (1, D, H, W) is true."""
        return estimate_sigma(image, channel_axis, mask=mask)

    def judged(self, state):
        """The state as an array, or as something that `sample` can cut tiles out of."""
        return state

    def evolve(self, evolution, state, time):
        """The state after `time`; the one given may be written to."""
        return evolution.evolve(state, time)

    def copy(self, state):
        """The state in memory of its own."""
        return state.copy()

    def damped(self, image, axes, factors):
        """The image with its cosine modes along some axes multiplied by each of the factors."""
        from scipy.fft import dctn, idctn

        modes = dctn(image, axes=axes, workers=-1)
        for factor in factors:
            modes *= factor.astype(image.dtype)
        return idctn(modes, axes=axes, workers=-1, overwrite_x=True)
