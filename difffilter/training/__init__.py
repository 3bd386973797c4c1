"""Training: one loop for everything here that learns, the DDPM and the learned diffusion.

Names are imported on first use, so that importing the package does not import PyTorch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
