"""Raw files made for the tests: an uncompressed DNG with a Bayer mosaic."""

from __future__ import annotations

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from difffilter.noise.camera import Camera, mosaic

# From the colours of XYZ to those of sRGB, which this camera sees.
TO_SRGB = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))
NEUTRAL = (1 / 1.7, 1.0, 1 / 1.5)
BLACK, WHITE = 256, 4095


def write_dng(path, photo, rng=None, shot=0.0, read=0.0, **tags):
    """Write what a camera would record of a photograph ``(H, W, 3)`` in [0, 1].

    Parameters
    ----------
    path : Path
    photo : ndarray
    rng : numpy.random.Generator, optional
        For noise of variance shot·x + read.
    shot, read : float
    **tags
        Directories to add: ``exif``, ``gps`` and, for the first one, ``first``.
    """
    identity = ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0))
    raw = mosaic(Camera(gains=(1.7, 1.5), matrix=identity, tone=False).unprocess(photo))
    if rng is not None:
        raw = raw + np.sqrt(shot * raw + read) * rng.standard_normal(raw.shape)
    values = np.clip(np.rint(BLACK + (WHITE - BLACK) * raw), 0, WHITE).astype("<u2")
    file = Image.Exif()
    file.endian = "<"
    file.update({
        254: 0, 256: values.shape[1], 257: values.shape[0], 258: 16, 259: 1, 262: 32803,
        271: "Maker", 272: "Model 1", 273: 0, 274: 1, 277: 1, 278: values.shape[0],
        279: values.nbytes, 284: 1, 306: "2024:05:06 07:08:09",
        33421: (2, 2), 33422: bytes((0, 1, 1, 2)),
        50706: bytes((1, 4, 0, 0)), 50707: bytes((1, 1, 0, 0)), 50708: "Maker Model 1",
        50714: BLACK, 50717: WHITE, 50721: tuple(_rational(x) for row in TO_SRGB for x in row),
        50728: tuple(_rational(x) for x in NEUTRAL), 50778: 21,
    } | tags.get("first", {}))  # fmt: skip
    for code, name in ((34665, "exif"), (34853, "gps")):
        if name in tags:
            file.get_ifd(code).update(tags[name])
    head = file.tobytes().removeprefix(b"Exif\0\0")
    path.write_bytes(head + values.tobytes())  # (Pillow adds the length of the head to tag 273.)


def _rational(value):
    return IFDRational(round(value * 10000), 10000)
