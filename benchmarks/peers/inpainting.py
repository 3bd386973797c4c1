"""Methods of other libraries that fill in holes, for studies: ``peers.inpainting:Telea`` and so on.

Each is called as ``peer(image, mask, channel_axis=None)`` with an image in [0, 1], and fills in its
channels one by one. Known pixels are those of the image, whatever the library makes of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

import numpy as np
from scipy import sparse

from difffilter.checks import check_number
from difffilter.image import as_float

from .base import check_libraries
from .opencv import as_bytes

__all__ = ["Biharmonic", "Multigrid", "NavierStokes", "Telea", "harmonic_system"]


@dataclass(frozen=True, kw_only=True)
class Filler:
    """A method of another library; a subclass calls the library in a method ``filled``.

    Attributes
    ----------
    MODULE : str
        The module to import.
    PACKAGE : str
        The package that provides it.
    """

    MODULE: ClassVar[str] = ""
    PACKAGE: ClassVar[str] = ""

    def __post_init__(self):
        check_libraries(type(self).__name__, (self.MODULE,), (self.PACKAGE,))

    @property
    def library(self):
        """The module that does the work."""
        return import_module(self.MODULE)

    def __call__(self, image, mask, *, channel_axis=None):
        image, mask = as_float(image, channel_axis, axes=(2,)), np.asarray(mask, bool)
        result = np.array(image, order="C")
        if not mask.any():
            return result
        for plane in [result] if channel_axis is None else np.moveaxis(result, channel_axis, 0):
            known = np.where(mask, plane.dtype.type(0), plane)
            plane[mask] = self.filled(np.ascontiguousarray(known), mask)[mask]
        return result


@dataclass(frozen=True, kw_only=True)
class Biharmonic(Filler):
    """The biharmonic equation [1]_ by scikit-image's `inpaint_biharmonic`.

    References
    ----------
    .. [1] S. B. Damelin, N. S. Hoang, "On surface completion and image inpainting by biharmonic
       functions: numerical aspects", Int. J. Mathematics and Mathematical Sciences, 2018.

    Examples
    --------
    >>> ramp = np.tile(np.linspace(0, 1, 16), (16, 1))
    >>> mask = np.zeros(ramp.shape, bool)
    >>> mask[6:9, 5:11] = True
    >>> bool(abs(Biharmonic()(ramp, mask) - ramp).max() < 1e-6)
    True
    """

    MODULE = "skimage.restoration"
    PACKAGE = "scikit-image"

    def filled(self, image, mask):
        return self.library.inpaint_biharmonic(image, mask.copy())  # which must be writable


@dataclass(frozen=True, kw_only=True)
class OpenCV(Filler):
    """A method of OpenCV's `inpaint`, which is given 8 bits a pixel: known pixels are rounded.

    (It takes floating point too, but Telea's method then rounds to whole numbers.)

    Attributes
    ----------
    radius : float, default 3
        Radius of the known pixels from which a pixel is filled in.
    """

    MODULE = "cv2"
    PACKAGE = "opencv-contrib-python-headless"
    FLAG: ClassVar[str] = ""

    radius: float = 3.0

    def __post_init__(self):
        super().__post_init__()
        check_number("radius", self.radius, above=0)

    def filled(self, image, mask):
        pixels, _, restored = as_bytes(image)
        flag = getattr(self.library, self.FLAG)
        return restored(self.library.inpaint(pixels, mask.astype(np.uint8), self.radius, flag))


@dataclass(frozen=True, kw_only=True)
class Telea(OpenCV):
    """Telea's fast marching method [1]_ by OpenCV's `inpaint`, on 8 bits a pixel.

    References
    ----------
    .. [1] A. Telea, "An image inpainting technique based on the fast marching method", Journal of
       Graphics Tools 9(1), 2004.

    Examples
    --------
    >>> image, mask = np.full((16, 16), 0.2), np.zeros((16, 16), bool)
    >>> mask[6:9, 5:11] = True
    >>> bool(abs(Telea()(image, mask) - image).max() < 0.02)
    True
    """

    FLAG = "INPAINT_TELEA"


@dataclass(frozen=True, kw_only=True)
class NavierStokes(OpenCV):
    """The method of Bertalmío et al. [1]_ by OpenCV's `inpaint`, on 8 bits a pixel.

    References
    ----------
    .. [1] M. Bertalmío, A. L. Bertozzi, G. Sapiro, "Navier–Stokes, fluid dynamics, and image and
       video inpainting", CVPR 2001.

    Examples
    --------
    >>> image, mask = np.full((16, 16), 0.2), np.zeros((16, 16), bool)
    >>> mask[6:9, 5:11] = True
    >>> bool(abs(NavierStokes()(image, mask) - image).max() < 1e-6)
    True
    """

    FLAG = "INPAINT_NS"


@dataclass(frozen=True, kw_only=True)
class Multigrid(Filler):
    """The Laplace equation by pyamg: conjugate gradients, preconditioned by algebraic multigrid [1]_.

    Attributes
    ----------
    tolerance : float, default 1e-7
        Of the residual, relative to the right-hand side.

    References
    ----------
    .. [1] J. W. Ruge, K. Stüben, "Algebraic multigrid", in: Multigrid Methods, SIAM, 1987.

    Examples
    --------
    >>> ramp = np.tile(np.linspace(0, 1, 16), (16, 1))
    >>> mask = np.zeros(ramp.shape, bool)
    >>> mask[6:9, 5:11] = True
    >>> bool(abs(Multigrid()(ramp, mask) - ramp).max() < 1e-5)
    True
    """

    MODULE = "pyamg"
    PACKAGE = "pyamg"

    tolerance: float = 1e-7

    def __post_init__(self):
        super().__post_init__()
        check_number("tolerance", self.tolerance, above=0)

    def filled(self, image, mask):
        matrix, rhs = harmonic_system(image, mask)
        result = image.astype(np.float64)
        solver = self.library.ruge_stuben_solver(matrix)
        result[mask] = solver.solve(rhs, tol=self.tolerance, accel="cg")
        return result


def harmonic_system(image, mask):
    """The Laplace equation in holes, without flux through the border: a sparse matrix, and the sum of
    the known neighbours of each pixel."""
    height, width = mask.shape
    numbers = np.full(mask.shape, -1)
    numbers[mask] = np.arange(mask.sum())
    diagonal, rhs = np.zeros(mask.sum()), np.zeros(mask.sum())
    rows, columns = [], []
    y, x = np.nonzero(mask)
    own = np.arange(len(y))
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        v, u = y + dy, x + dx
        within = (v >= 0) & (v < height) & (u >= 0) & (u < width)
        diagonal[within] += 1
        other = numbers[v[within], u[within]]
        known = other < 0
        rhs[own[within][known]] += image[v[within], u[within]][known]
        rows.append(own[within][~known])
        columns.append(other[~known])
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    entries = np.r_[diagonal, -np.ones(len(rows))]
    return sparse.csr_matrix((entries, (np.r_[own, rows], np.r_[own, columns]))), rhs
