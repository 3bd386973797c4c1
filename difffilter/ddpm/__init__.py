"""Diffusion run backward: denoising diffusion probabilistic models (Ho, Jain & Abbeel 2020).

The names are imported on first use, so that importing the package does not import PyTorch.
"""

from importlib import import_module

_HOME = {
    "DDPM": "denoise",
    "NoiseSchedule": "schedule",
    "PRESETS": "training",
    "TrainingConfig": "training",
    "UNet": "unet",
    "UNetConfig": "unet",
    "add_noise": "process",
    "available": "weights",
    "card": "weights",
    "evolve": "evolution",
    "export": "training",
    "fit": "training",
    "generate": "evolution",
    "load": "weights",
    "plot_log": "training",
    "posterior_mean": "process",
    "pure_noise": "process",
    "reverse": "process",
    "reverse_path": "process",
    "save": "weights",
}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__():
    return __all__
