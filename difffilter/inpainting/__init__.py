"""Filling in holes of images by diffusion, forward (PDE) and backward (DDPM)."""
