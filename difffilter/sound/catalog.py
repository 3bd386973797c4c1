"""The catalog of sound denoisers: from a name to a SoundDenoiser."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from typing import Any

from difffilter.checks import check_choice
from difffilter.sound.denoiser import SoundDenoiser

__all__ = ["USUAL", "make", "methods"]

USUAL = "ddpm"

# The module and the class of a name, and its parameters.
CATALOG: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ddpm": ("difffilter.sound.ddpm", "SoundDDPM", {}),
    "heat": ("difffilter.sound.pde", "SoundPDE", {"equation": "heat", "time": 1.0}),
    "perona_malik": ("difffilter.sound.pde", "SoundPDE", {"equation": "perona_malik"}),
    "coherence_enhancing": (
        "difffilter.sound.pde", "SoundPDE", {"equation": "coherence_enhancing"}
    ),
}  # fmt: skip


def methods() -> list[str]:
    """The names that `make` knows.

    Examples
    --------
    >>> methods()
    ['ddpm', 'heat', 'perona_malik', 'coherence_enhancing']
    """
    return list(CATALOG)


def make(name: str, **parameters: Any) -> SoundDenoiser:
    """Make a sound denoiser by its name.

    Parameters
    ----------
    name : str
        One of `methods`.
    **parameters
        Fields of its class, `SoundDDPM` or `SoundPDE`.

    Returns
    -------
    SoundDenoiser

    Raises
    ------
    ValueError
        If the name is unknown, or it needs a library that is not installed.
    TypeError
        If it has no such parameter.

    Examples
    --------
    >>> make("heat", time=2.0).equation
    'heat'
    """
    module, kind, preset = CATALOG[check_choice("method", name, methods())]
    try:
        made: Any = getattr(import_module(module), kind)
    except ModuleNotFoundError as error:
        raise ValueError(f"{name} needs {error.name}: pip install 'difffilter[ddpm]'") from None
    known = [field.name for field in fields(made) if field.name != "equation"]
    for parameter in parameters:
        if parameter not in known:
            raise TypeError(f"{parameter} is not a parameter of {name}; it has {', '.join(known)}")
    return made(**preset | parameters)
