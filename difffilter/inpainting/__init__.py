"""Filling in holes of images by diffusion, forward (PDE) and backward (DDPM)."""

from difffilter.inpainting.holes import make_holes

__all__ = ["make_holes"]
