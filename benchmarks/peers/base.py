"""The common part of all peers, and of those that run Perona–Malik diffusion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib import import_module
from typing import ClassVar

import numpy as np

from difffilter.benchmark.calibration import calibrated
from difffilter.catalog import MissingExtra
from difffilter.checks import check_number
from difffilter.denoiser import Denoiser, prepare
from difffilter.image import as_float
from difffilter.search_space import Range

__all__ = ["Diffusion", "Peer", "check_libraries"]

# Smaller images are extended by reflection: some of the libraries fail on them, or warn.
SMALLEST = 32


def check_libraries(name, modules, packages):
    """Import the modules that a peer needs; an error names the package that is missing."""
    for module, package in zip(modules, packages, strict=True):
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"{name} needs {package}: pip install 'difffilter[peers]'"
            ) from error


@dataclass(frozen=True, kw_only=True)
class Peer(Denoiser):
    """A method of another library; a subclass calls the library in a method ``smooth``.

    Attributes
    ----------
    MODULES : tuple of str
        The modules to import, the library's first.
    PACKAGES : tuple of str
        The packages that provide them.
    JOINT : bool
        Whether ``smooth`` takes ``(H, W, 3)`` as well as ``(H, W)``.
    """

    MODULES: ClassVar[tuple[str, ...]] = ()
    JOINT: ClassVar[bool] = False

    def __post_init__(self):
        check_libraries(type(self).__name__, self.MODULES, self.PACKAGES)
        for name, where in (self.SEARCH | self.SEARCH_COLOUR).items():
            if isinstance(where, Range) and getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=0)

    @property
    def home(self):
        return f"peers:{type(self).__name__}"

    @property
    def library(self):
        """The module that does the work."""
        return import_module(self.MODULES[0])

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        image, sigma = prepare(noisy, sigma, channel_axis)
        return self._filled(sigma, self._joint(image, channel_axis))

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        image, sigma = prepare(noisy, sigma, channel_axis)
        as_float(image, channel_axis, axes=(2,))
        if sigma == 0:
            return image.copy()
        joint = self._joint(image, channel_axis)
        chosen = self._filled(sigma, joint)
        if channel_axis is None:
            result = chosen._large_enough(image, sigma)
        elif joint:
            result = chosen._large_enough(np.moveaxis(image, channel_axis, -1), sigma)
            result = np.moveaxis(result, -1, channel_axis)
        else:
            planes = np.moveaxis(image, channel_axis, 0)
            planes = [chosen._large_enough(plane, sigma) for plane in planes]
            result = np.stack(planes, axis=channel_axis)
        return np.array(result, image.dtype, order="C")

    def _joint(self, image, channel_axis):
        return self.JOINT and channel_axis is not None and image.shape[channel_axis] == 3

    def _filled(self, sigma, joint):
        """A copy with every parameter set for this noise level."""
        space = self.SEARCH | (self.SEARCH_COLOUR if joint else {})
        missing = [name for name in space if getattr(self, name) is None]
        if not missing:
            return self
        # Without noise nothing is filtered, and the parameters of any level will do.
        parameters = calibrated(self.home, sigma or 1 / 255, colour=joint)
        return replace(self, **{name: parameters[name] for name in missing})

    def _large_enough(self, image, sigma):
        """Call `smooth` with an image that is float32, C-contiguous, not flat and not tiny."""
        if (image == image[0, 0]).all():
            return image
        height, width = image.shape[:2]
        missing = [(0, max(0, SMALLEST - n)) for n in (height, width)]
        padded = np.pad(image, missing + [(0, 0)] * (image.ndim - 2), mode="symmetric")
        return self.smooth(np.ascontiguousarray(padded, np.float32), sigma)[:height, :width]


@dataclass(frozen=True, kw_only=True)
class Diffusion(Peer):
    """Perona–Malik diffusion; a subclass has a method ``diffuse(image, steps, step)``.

    Attributes
    ----------
    LARGEST_STEP : float
        The largest stable time step.
    kappa : float, optional
        The contrast parameter κ, in units of intensity; ``None``: calibrated.
    time : float, optional
        How long to diffuse; ``None``: calibrated.
    """

    LARGEST_STEP: ClassVar[float]
    SEARCH: ClassVar[dict] = {
        "kappa": Range(0.1, 10, per_sigma=True),
        "time": Range(0.1, 100, along=True),
    }

    kappa: float | None = None
    time: float | None = None

    def smooth(self, image, sigma):
        steps = math.ceil(self.time / self.LARGEST_STEP * (1 - 1e-9))
        return self.diffuse(image, steps, self.time / steps)
