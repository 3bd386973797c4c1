"""Text to image: a small latent diffusion model and a CLIP, whole, and the large ones through diffusers.

Names are imported on first use, so that importing the package does not import PyTorch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
