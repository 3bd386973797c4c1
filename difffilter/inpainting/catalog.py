"""Name -> Inpainter."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from difffilter.catalog import MissingExtra
from difffilter.checks import nearest
from difffilter.inpainting.inpainter import Inpainter
from difffilter.spelling import parse

__all__ = ["inpainters", "make_inpainter"]

# Where each Inpainter lives; it is imported when it is made.
CATALOG = {
    "harmonic": "difffilter.inpainting.harmonic:Harmonic",
    "biharmonic": "difffilter.inpainting.biharmonic:Biharmonic",
    "edge_enhancing": "difffilter.inpainting.edge_enhancing:EdgeEnhancing",
    "coherence_transport": "difffilter.inpainting.coherence_transport:CoherenceTransport",
    "ddpm": "difffilter.inpainting.ddpm:DDPM",
}


def inpainters() -> list[str]:
    """The names that `make_inpainter` knows.

    Examples
    --------
    >>> inpainters()[:2]
    ['harmonic', 'biharmonic']
    """
    return list(CATALOG)


def make_inpainter(text: str, **parameters: Any) -> Inpainter:
    """Make an Inpainter from its name and parameters.

    Parameters
    ----------
    text : str
        A name of `inpainters`, alone or with parameters: ``"harmonic(tolerance=1e-5)"``, where
        ``"edge-enhancing"`` is the same as ``"edge_enhancing"``. Nothing is evaluated.
    **parameters
        More parameters, which win over those in `text`.

    Returns
    -------
    Inpainter

    Raises
    ------
    TypeError
        If `text` is not text.
    ValueError
        If the name or a parameter is unknown, or the text cannot be read; `MissingExtra` if the
        method needs a library that is not installed.

    Examples
    --------
    >>> make_inpainter("harmonic(tolerance=1e-5)")
    Harmonic(tolerance=1e-05)
    """
    if not isinstance(text, str):
        raise TypeError(f"method is {text!r}; expected text such as 'harmonic'")
    name, given = parse(text)
    given |= parameters
    if name not in CATALOG:
        raise ValueError(f"unknown method {name!r}{nearest(name, CATALOG)}")
    module, _, attribute = CATALOG[name].partition(":")
    try:
        made = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        raise MissingExtra(f"{name} needs {error.name}: pip install 'difffilter[ddpm]'") from None
    known = inspect.signature(made).parameters
    for key in given:
        if key not in known:
            raise ValueError(f"{name} has no parameter {key!r}{nearest(key, known)}")
    return made(**given)
