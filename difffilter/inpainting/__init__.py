"""Filling in holes of images by diffusion, forward (PDE) and backward (DDPM)."""

from difffilter.inpainting.holes import make_holes
from difffilter.inpainting.sparse import belhachmi_mask

__all__ = ["belhachmi_mask", "make_holes"]
