"""The backend for NumPy arrays on the CPU."""

from __future__ import annotations

from difffilter.image import as_float
from difffilter.noise.measure import assumed_noise
from difffilter.parallel import SMALL, free_cores
from difffilter.pde.solve import state as states

__all__ = ["Arrays"]


class Arrays:
    """NumPy arrays, filtered by the Numba kernels."""

    def as_float(self, image, channel_axis=None, *, axes=(2, 3)):
        """Check an image, convert it to floating point, and bring it to the device."""
        return as_float(image, channel_axis, axes=axes)

    def as_state(self, image, channel_axis, *, coupled=True):
        """Copy an image to a state (B, C, D, H, W)."""
        return states.as_state(image, channel_axis, coupled=coupled)

    def as_image(self, state, shape, channel_axis):
        """Undo `as_state`, and bring the image to the device of the results."""
        return states.as_image(state, shape, channel_axis)

    def check(self, scheme="explicit", kappa=None, fidelity=0.0):
        """Raise ValueError for an argument that this backend does not support."""

    def extremes(self, image):
        """An array with the same minimum and maximum as the image."""
        return image

    def host_image(self, image, channel_axis):
        """An array, and its channel axis, on which to choose parameters: the image or tiles of it."""
        return image, channel_axis

    def assumed_noise(self, image, channel_axis, mask):
        """The noise to remove where the mask (1, D, H, W) is true."""
        return assumed_noise(image, channel_axis=channel_axis, mask=mask)

    def host_state(self, state):
        """The state as an array, or as an object that `sample` can cut tiles out of."""
        return state

    def every(self, step, state, mask):
        """Every `step`-th value of a state where the mask (1, D, H, W) is true, as an array (N,)."""
        return (state if mask is None else state[:, :, mask[0]]).reshape(-1)[::step]

    def evolve(self, evolution, state, time):
        """Evolve a state, which may be overwritten."""
        return evolution.evolve(state, time)

    def copy(self, state):
        """A copy of the state."""
        return state.copy()

    def damped(self, image, axes, factors):
        """The image with its cosine modes along some axes multiplied by each of the factors."""
        from scipy.fft import dctn, idctn

        workers = 1 if image.size < SMALL else free_cores()
        modes = dctn(image, axes=axes, workers=workers)
        for factor in factors:
            modes *= factor.astype(image.dtype)
        return idctn(modes, axes=axes, workers=workers, overwrite_x=True)
