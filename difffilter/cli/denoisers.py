"""Denoisers by name: looked up, and compiled before the first image."""

from __future__ import annotations

import os
import sys
import threading

import click

__all__ = ["make_denoiser", "require_torch", "search_current_folder", "warm_up"]


def search_current_folder():
    """Let ``-m module:Class`` find modules in the current folder."""
    if os.curdir not in sys.path:
        sys.path.append(os.curdir)


def make_denoiser(method, **parameters):
    """As `difffilter.make`, which here finds modules in the current folder, too."""
    from difffilter.catalog import make

    search_current_folder()
    return make(method, **parameters)


def require_torch():
    """Raise an error that says how to install PyTorch if it is missing."""
    from difffilter.catalog import make

    make("ddpm")


def warm_up(denoisers):
    """Compile or load what Denoisers need, and say so if it takes long.

    Parameters
    ----------
    denoisers : dict of str to Denoiser
        By what `make_denoiser` was given.
    """
    notice = threading.Timer(
        2.0, click.echo, ["compiling for this machine; this happens once ..."], {"err": True}
    )
    notice.start()
    try:
        # The kernels of this package use no BLAS; those of a user's own "module:Class" may.
        if "numba" in sys.modules and not any(":" in method for method in denoisers):
            _start_numba_without_blas()
        for denoiser in denoisers.values():
            denoiser.warm_up()
    finally:
        notice.cancel()


def _start_numba_without_blas():
    """Keep Numba from importing SciPy's BLAS, which takes as long as smoothing a small image.

    Numba looks for it once, when this module of its own is imported for the first compilation.
    """
    blas = "scipy.linalg.cython_blas"
    if blas in sys.modules:
        return
    sys.modules[blas] = None
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        del sys.modules[blas]
