"""Denoisers of other libraries, for studies: ``peers:TotalVariation`` and so on.

    pip install 'difffilter[peers]'

Each is a Denoiser like difffilter's own. A parameter that is ``None`` takes the value calibrated on
training images for the noise level (`difffilter.benchmark.calibration`). Intensities, σ and κ are in
units of the range [0, 1], whatever the library's own scale; images are processed in float32 and have
two spatial axes. A method that handles colour gets the three channels together, the others get them
one by one. Those that fill in holes are in `peers.inpainting`.
"""

from .bm3d import BM3D
from .diplib import DIPlibCoherence, DIPlibPeronaMalik
from .medpy import MedPyDiffusion
from .opencv import OpenCVDiffusion, OpenCVNonLocalMeans
from .simpleitk import SimpleITKCurvature, SimpleITKGradient
from .skimage import Bilateral, NonLocalMeans, TotalVariation, Wavelet

__all__ = [
    "BM3D",
    "Bilateral",
    "DIPlibCoherence",
    "DIPlibPeronaMalik",
    "MedPyDiffusion",
    "NonLocalMeans",
    "OpenCVDiffusion",
    "OpenCVNonLocalMeans",
    "SimpleITKCurvature",
    "SimpleITKGradient",
    "TotalVariation",
    "Wavelet",
]
