"""difffilter: image smoothing by diffusion, forward (PDE) and backward (DDPM)."""

import lazy_loader

__version__ = "0.1.0"

# The public names and where they live stand in __init__.pyi. Each is imported on first use, so that
# a script or a command pays only for what it needs.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
