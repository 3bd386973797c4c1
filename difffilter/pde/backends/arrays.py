"""Where an image lives and is filtered: NumPy arrays on the CPU, PyTorch tensors anywhere.

The homes have the same functions, so that a filter need not know which it is.
"""

from __future__ import annotations

from importlib.util import find_spec

from difffilter.devices import find_device, is_tensor
from difffilter.image import as_float
from difffilter.noise.estimation import estimate_sigma
from difffilter.pde.solve import schemes

__all__ = ["Arrays", "home_of"]


def home_of(image, device=None):
    """The home in which to filter an image.

    Parameters
    ----------
    image : array_like or Tensor
    device : str, optional
        A PyTorch device, or ``"auto"``: CUDA if there is one, else the CPU; ``None``: where the
        image is.

    Raises
    ------
    ValueError
        If there is no such device.

    Examples
    --------
    >>> type(home_of([[0.0, 1.0]])).__name__
    'Arrays'
    """
    back = image.device if is_tensor(image) else None
    if back is None:
        if device == "auto" and not find_spec("torch"):
            device = None
        if device in (None, "cpu") or find_device(device).type == "cpu":
            return Arrays()
    from difffilter.pde.backends.tensors import HostTensors, Tensors

    found = back if device is None else find_device(device)
    return HostTensors(back) if found.type == "cpu" else Tensors(found, back)


class Arrays:
    """NumPy arrays, filtered by Numba's kernels."""

    def as_float(self, image, channel_axis=None, *, axes=(2, 3)):
        """The image as floating point, checked, where it is filtered."""
        return as_float(image, channel_axis, axes=axes)

    def as_state(self, image, channel_axis, *, coupled=True):
        """A fresh state (B, C, D, H, W)."""
        return schemes.as_state(image, channel_axis, coupled=coupled)

    def as_image(self, state, shape, channel_axis):
        """Undo `as_state`, and bring the image to where results go."""
        return schemes.as_image(state, shape, channel_axis)

    def check(self, scheme="explicit", kappa=None, fidelity=0.0):
        """Raise ValueError for what does not work here."""

    def extremes(self, image):
        """An array with the same smallest and largest value."""
        return image

    def shown(self, image, channel_axis):
        """An array, with its channel axis, to choose parameters by."""
        return image, channel_axis

    def estimate_sigma(self, image, channel_axis, mask):
        """The noise of the image, where the mask (1, D, H, W) is true."""
        return estimate_sigma(image, channel_axis, mask=mask)

    def judged(self, state):
        """What `sample` can cut tiles from."""
        return state

    def run(self, plan, diffusion, state):
        """The state evolved; the one given may be overwritten."""
        return plan.run(diffusion, state)

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
