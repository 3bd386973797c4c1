"""Backends: NumPy arrays on the CPU, PyTorch tensors on any device.

All backends have the methods of `Arrays`, so that filters do not depend on the backend.
"""

from __future__ import annotations

from importlib.util import find_spec

from difffilter.devices import find_device, is_tensor
from difffilter.pde.backends.arrays import Arrays

__all__ = ["backend_of", "differentiable"]


def backend_of(image, device=None):
    """The backend that filters an image.

    Parameters
    ----------
    image : array_like or Tensor
    device : str, optional
        A PyTorch device, or ``"auto"``: CUDA if available, else the CPU; ``None``: the device of
        the image.

    Returns
    -------
    Arrays, HostTensors or Tensors

    Raises
    ------
    ValueError
        If the device cannot be used.

    Examples
    --------
    >>> type(backend_of([[0.0, 1.0]])).__name__
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


def differentiable(image):
    """The backend that filters a tensor on its device so that PyTorch can differentiate the result."""
    from difffilter.pde.backends.tensors import Differentiable

    return Differentiable(image.device, image.device)
