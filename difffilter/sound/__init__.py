"""Noisy sounds restored: a DDPM and the PDE filters on their spectrograms.

Names are imported on first use, so that importing the package imports neither PyTorch nor soundfile.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
