"""A camera model: from a photograph back to raw values, and forward again with noise.

Noise that is white on the sensor is not white in the photograph. White balance and the colour
matrix amplify and mix the channels, demosaicing correlates neighbours, gamma and the tone curve
make the noise depend on the intensity, and JPEG removes its high frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve, convolve1d

__all__ = ["Camera", "compress", "demosaic", "mosaic", "read_variance"]

GAMMA = 2.2

# From the colours of a camera to those of a screen: a typical matrix, whose rows add up to 1.
MATRIX = ((1.40, -0.30, -0.10), (-0.15, 1.35, -0.20), (0.00, -0.35, 1.35))

# Bilinear interpolation of green, which a Bayer mosaic has at every second pixel, and of red and
# blue, which it has at every fourth.
GREEN = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
RED_OR_BLUE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4


def read_variance(shot: float) -> float:
    """Typical variance of the read noise of a camera whose shot noise is `shot` at full exposure.

    Both grow with the ISO speed; the relation was fitted to the Darmstadt data set by Brooks et al.,
    "Unprocessing images for learned raw denoising", CVPR 2019.

    Examples
    --------
    >>> f"{read_variance(0.01):.1e}"
    '1.4e-04'
    """
    return float(np.exp(2.18 * np.log(shot) + 1.20))


@dataclass(frozen=True, kw_only=True)
class Camera:
    """The steps from raw values to a photograph, and back.

    Attributes
    ----------
    gains : tuple of float, default (1.7, 1.5)
        White balance: the gains of red and blue relative to green.
    matrix : tuple of 3 tuples of 3 float, default MATRIX
        From the camera's colours to the screen's.
    tone : bool, default True
        Whether an S-shaped tone curve follows the gamma.

    Examples
    --------
    >>> photo = np.array([[[0.5, 0.4, 0.3]]])
    >>> camera = Camera()
    >>> camera.process(camera.unprocess(photo)).round(6)
    array([[[0.5, 0.4, 0.3]]])
    """

    gains: tuple[float, float] = (1.7, 1.5)
    matrix: tuple[tuple[float, ...], ...] = MATRIX
    tone: bool = True

    def unprocess(self, photo: NDArray) -> NDArray:
        """Linear raw colours of a photograph ``(H, W, 3)`` or, without colours, ``(H, W)``."""
        raw = np.clip(photo, 0, 1)
        if self.tone:
            raw = 0.5 - np.sin(np.arcsin(1 - 2 * raw) / 3)
        raw = raw**GAMMA
        if raw.ndim == 2:
            return raw
        colours = raw @ np.linalg.inv(self.matrix).T.astype(raw.dtype)
        return np.clip(colours / self._gains(raw.dtype), 0, 1)

    def process(self, raw: NDArray) -> NDArray:
        """The photograph of linear raw colours, in [0, 1]."""
        if raw.ndim == 3:
            raw = np.clip(raw * self._gains(raw.dtype), 0, 1)
            raw = raw @ np.transpose(self.matrix).astype(raw.dtype)
        photo = np.clip(raw, 0, 1) ** raw.dtype.type(1 / GAMMA)
        return photo * photo * (3 - 2 * photo) if self.tone else photo

    def _gains(self, dtype) -> NDArray:
        red, blue = self.gains
        return np.array([red, 1, blue], dtype)

    def noise_of(
        self,
        photo: NDArray,
        shot: float,
        read: float,
        rng: np.random.Generator,
        method: str = "edges",
    ) -> NDArray:
        """The noise in a photograph that is due to the noise of the sensor.

        Parameters
        ----------
        photo : ndarray
            ``(H, W, 3)``, or ``(H, W)`` from a sensor without colours.
        shot, read : float
            The variance of a raw value x is shot·x + read.
        rng : numpy.random.Generator
        method : {"edges", "bilinear", "none"}, default "edges"
            Demosaicing; ``"none"``: the sensor sees three colours at each pixel.
        """
        raw = self.unprocess(photo)
        if raw.ndim == 2 or method == "none":
            return self.process(exposed(raw, shot, read, rng)) - self.process(raw)
        sensor = mosaic(raw)
        noisy = exposed(sensor, shot, read, rng)
        noisy, clean = (self.process(demosaic(values, method)) for values in (noisy, sensor))
        return noisy - clean


def exposed(raw: NDArray, shot: float, read: float, rng: np.random.Generator) -> NDArray:
    """Raw values with noise of variance shot·x + read, saturated at 0 and 1."""
    deviation = np.sqrt(shot * raw + read).astype(raw.dtype)
    return np.clip(raw + deviation * rng.standard_normal(raw.shape, np.float32), 0, 1)


def mosaic(colours: NDArray) -> NDArray:
    """Sample colours ``(H, W, 3)`` by an RGGB Bayer mosaic: one colour at each pixel."""
    values = colours[..., 1].copy()
    values[::2, ::2] = colours[::2, ::2, 0]
    values[1::2, 1::2] = colours[1::2, 1::2, 2]
    return values


def demosaic(values: NDArray, method: str = "edges") -> NDArray:
    """Reconstruct colours ``(H, W, 3)`` from the values ``(H, W)`` of a Bayer mosaic.

    Parameters
    ----------
    values : ndarray (H, W)
        As `mosaic` returns them.
    method : {"edges", "bilinear"}, default "edges"
        ``"edges"`` interpolates green along rows or columns, wherever it changes less, with a
        correction from the pixel's own colour, and then the differences of the colours [1]_.

    Returns
    -------
    ndarray (H, W, 3)

    References
    ----------
    .. [1] J. F. Hamilton, J. E. Adams, US patent 5 629 734, 1997 (expired).

    Examples
    --------
    >>> bool(np.allclose(demosaic(np.full((8, 8), 0.3)), 0.3))
    True
    """
    rows, columns = np.indices(values.shape) % 2
    green = rows != columns
    if method == "edges":
        estimates, slopes = [], []
        for axis in (1, 0):
            curvature = convolve1d(values, [-1, 0, 2, 0, -1], axis, mode="mirror")
            change = convolve1d(values, [1, 0, -1], axis, mode="mirror")
            estimates.append(convolve1d(values, [0.5, 0, 0.5], axis, mode="mirror") + curvature / 4)
            slopes.append(np.abs(change) + np.abs(curvature))
        along_rows, along_columns = estimates
        either = np.select(
            [slopes[0] < slopes[1], slopes[0] > slopes[1]],
            [along_rows, along_columns],
            (along_rows + along_columns) / 2,
        )
        full = np.where(green, values, either)
    else:
        full = interpolated(np.where(green, values, 0), GREEN)
    result = np.empty((*values.shape, 3), values.dtype)
    result[..., 1] = full
    for channel, seen in ((0, (rows == 0) & (columns == 0)), (2, (rows == 1) & (columns == 1))):
        if method == "edges":
            result[..., channel] = full + interpolated(
                np.where(seen, values - full, 0), RED_OR_BLUE
            )
        else:
            result[..., channel] = interpolated(np.where(seen, values, 0), RED_OR_BLUE)
    return result


def interpolated(sparse: NDArray, weights: NDArray) -> NDArray:
    """Interpolate an image that is 0 between the known pixels."""
    return convolve(sparse, weights.astype(sparse.dtype), mode="mirror")


def compress(photo: NDArray, quality: int, subsampling: int = 2) -> NDArray:
    """Compress a photograph ``(H, W)`` or ``(H, W, 3)`` in [0, 1] by JPEG, and decode it.

    Parameters
    ----------
    photo : ndarray
        Clipped to [0, 1] and rounded to 8 bits.
    quality : int
        From 1 to 100, as in libjpeg.
    subsampling : {0, 1, 2}, default 2
        Chroma subsampling: 4:4:4, 4:2:2, 4:2:0.

    Returns
    -------
    ndarray
        In the dtype of `photo`.
    """
    from io import BytesIO

    from PIL import Image

    pixels = np.rint(255 * np.clip(photo, 0, 1)).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file), photo.dtype) / 255
