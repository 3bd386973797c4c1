"""Diffusion run forward: one file an equation, and four folders of how."""
