"""difffilter: image smoothing by diffusion, forward (PDE) and backward (DDPM)."""

from importlib import import_module

__version__ = "0.1.0"

# The public names and where they live: each is imported on first use, so that a script or a
# command pays only for what it needs.
_HOME = {
    "CoherenceEnhancing": "pde.tensor",
    "CurvatureMotion": "pde.curvature",
    "Denoiser": "denoiser",
    "EdgeEnhancing": "pde.tensor",
    "ForwardBackward": "pde.forward_backward",
    "Heat": "pde.heat",
    "Identity": "denoiser",
    "PeronaMalik": "pde.perona_malik",
    "SRAD": "pde.srad",
    "Stabilized": "stabilize",
    "TVFlow": "pde.tv_flow",
    "add_noise": "noise",
    "coherence_enhancing": "pde.tensor",
    "curvature_motion": "pde.curvature",
    "denoise": "catalog",
    "edge_enhancing": "pde.tensor",
    "estimate_noise": "sigma",
    "estimate_parameters": "estimate",
    "estimate_sigma": "sigma",
    "forward_backward": "pde.forward_backward",
    "heat": "pde.heat",
    "make": "catalog",
    "methods": "catalog",
    "perona_malik": "pde.perona_malik",
    "psnr": "metrics",
    "scale_space": "scales",
    "srad": "pde.srad",
    "ssim": "metrics",
    "tv_flow": "pde.tv_flow",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
