"""Name -> Denoiser."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from difffilter.checks import nearest
from difffilter.denoiser import Denoiser, as_denoiser, can_be_called
from difffilter.noise.estimation import check_noise
from difffilter.spelling import parse

__all__ = ["WRAPPERS", "describe", "imported", "make", "methods", "spell", "unwrapped"]

# Where each Denoiser lives; it is imported when it is made.
CATALOG = {
    "identity": "difffilter.denoiser:Identity",
    "auto": "difffilter.pde.auto:Auto",
    "heat": "difffilter.pde.heat:Heat",
    "perona_malik": "difffilter.pde.perona_malik:PeronaMalik",
    "edge_enhancing": "difffilter.pde.anisotropic:EdgeEnhancing",
    "coherence_enhancing": "difffilter.pde.anisotropic:CoherenceEnhancing",
    "tv_flow": "difffilter.pde.tv_flow:TVFlow",
    "curvature_motion": "difffilter.pde.curvature_motion:CurvatureMotion",
    "forward_backward": "difffilter.pde.forward_backward:ForwardBackward",
    "srad": "difffilter.pde.srad:SRAD",
    "learned": "difffilter.pde.learned:Learned",
    "ddpm": "difffilter.ddpm.denoiser:DDPM",
    "blended": "difffilter.blend:Blended",
    "stabilized": "difffilter.stabilized:Stabilized",
}


# Methods that work on the result of another, for a kind of noise or a strength.
WRAPPERS = ("stabilized", "blended")


class MissingExtra(ValueError):
    """A method of the catalog needs a library that is not installed."""


def methods() -> list[str]:
    """The names that `make` knows.

    Examples
    --------
    >>> methods()[:3]
    ['identity', 'auto', 'heat']
    """
    return list(CATALOG)


def make(text: str, **parameters: Any) -> Any:
    """Make a Denoiser from its name and parameters.

    Parameters
    ----------
    text : str
        A name of `methods`, alone or with parameters: ``"perona_malik(kappa=0.05)"``, where
        ``"perona-malik"`` is the same; or your own class, ``"my_module:MyDenoiser(strength=2)"``,
        whose module is imported. Values are Python literals or fractions such as ``25/255``;
        nothing is evaluated.
    **parameters
        More parameters, which win over those in `text`.

    Returns
    -------
    Denoiser

    Raises
    ------
    TypeError
        If `text` is not text.
    ValueError
        If the name or a parameter is unknown (with the nearest one that is known, or the methods
        that have it), or the text cannot be read; `MissingExtra` if the method needs a library that
        is not installed.

    Examples
    --------
    >>> make("heat(time=3)").time
    3
    """
    if not isinstance(text, str):
        raise TypeError(f"method is {text!r}; expected text such as 'heat(time=3)'")
    name, given = parse(text)
    given |= parameters
    home = CATALOG.get(name, name)
    if ":" not in home:
        raise ValueError(f"unknown method {name!r}{nearest(name, CATALOG)}")
    denoiser = _find(name, home)
    known = inspect.signature(denoiser).parameters
    for key in given:
        if key not in known:
            hint = _who_has(key, name) or nearest(key, known)
            raise ValueError(f"{name} has no parameter {key!r}{hint}")
    return as_denoiser(denoiser(**given))


def describe(name: str) -> tuple[str, dict[str, Any]]:
    """The use of a method of the catalog, and its parameters.

    Parameters
    ----------
    name : str
        A name of `methods`.

    Returns
    -------
    summary : str
        The first paragraph of its docstring.
    parameters : dict of str to Any
        Their names and defaults.

    Raises
    ------
    MissingExtra
        If the method needs a library that is not installed.

    Examples
    --------
    >>> describe("curvature_motion")[1]
    {'time': None, 'epsilon': None, 'fidelity': 0.0, 'spacing': None, 'step': None}
    """
    denoiser = _find(name, CATALOG[name])
    summary = " ".join((denoiser.__doc__ or "").strip().split("\n\n")[0].split())
    return summary, {p.name: p.default for p in inspect.signature(denoiser).parameters.values()}


def _who_has(key, name):
    """The end of a message: the methods, or else the functions, that have a parameter."""
    methods, functions = [], []
    for other, home in CATALOG.items():
        try:
            denoiser = _find(other, home)
        except MissingExtra:
            continue
        if key in inspect.signature(denoiser).parameters:
            methods.append(other)
        function = getattr(import_module(home.partition(":")[0]), other, None)
        if inspect.isfunction(function) and key in inspect.signature(function).parameters:
            functions.append(other)
    if methods:
        return f"; these methods have it: {', '.join(methods)}"
    if name in functions:
        return f"; only the function has it: difffilter.{name}(image, {key}=...)"
    return f"; these functions have it: {', '.join(functions)}" if functions else ""


def _find(name, home):
    """The class at ``"module:Class"``."""
    module, _, attribute = home.partition(":")
    found = imported(name, module)
    if not isinstance(getattr(found, attribute, None), type):
        classes = [key for key, value in vars(found).items() if isinstance(value, type)]
        raise ValueError(f"{module} has no class {attribute!r}{nearest(attribute, classes)}")
    denoiser = getattr(found, attribute)
    if not can_be_called(denoiser):
        raise ValueError(f"{name} is not a Denoiser: it cannot be called with an image")
    return denoiser


def imported(name, module):
    """Import the module of a method.

    Raises
    ------
    ValueError
        If there is no such module; `MissingExtra` if it needs a library that is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name in ("torch", "safetensors"):
            missing = f"{name} needs {error.name}: pip install 'difffilter[ddpm]'"
            raise MissingExtra(missing) from None
        if error.name != module.split(".")[0]:
            raise MissingExtra(f"{name} needs {error.name}, which is not installed") from None
        raise ValueError(
            f"there is no module {module!r} for the method {name!r}; it must be installed, or lie "
            "in the current folder"
        ) from None


def usual_method(volume: bool, parameters: Iterable[str] = ()) -> str:
    """The default method: the first of a few that has these parameters.

    Examples
    --------
    >>> usual_method(volume=False), usual_method(volume=False, parameters=["kappa"])
    ('auto', 'edge_enhancing')
    """
    if not parameters:
        return "auto"
    # In volumes, the tensors of edge_enhancing take twenty times as long.
    names = ["auto", "perona_malik", "tv_flow"] if volume else [
        "auto", "edge_enhancing", "perona_malik", "tv_flow"
    ]  # fmt: skip
    for name in names:
        if set(parameters) <= set(describe(name)[1]):
            return name
    return names[1]


def for_noise(denoiser: Denoiser, noise: str | None) -> Denoiser:
    """A Denoiser for a kind of noise: itself, or between a transform and its inverse.

    Parameters
    ----------
    denoiser : Denoiser
    noise : str or None
        A kind of `difffilter.noise.estimation.EXPONENTS`; ``None``: what the Denoiser is for.

    Raises
    ------
    ValueError
        If the kind is unknown, or the Denoiser is for another one that is not Gaussian.
    """
    own = denoiser.noise
    if noise is None or check_noise(noise) == own:
        return denoiser
    if own != "gaussian":
        raise ValueError(f"{spell(denoiser)} is for {own} noise, not for {noise} noise")
    return denoiser.wrapped(lambda method: make("stabilized", method=method, noise=noise))


def for_strength(
    denoiser: Denoiser, strength: float = 1.0, chroma: float | None = None
) -> Denoiser:
    """A Denoiser of which a share of the change is made: itself if that is all of it.

    Parameters
    ----------
    denoiser : Denoiser
    strength, chroma : float, optional
        The shares of luminance and chroma, as `Blended` takes them.

    Raises
    ------
    TypeError, ValueError
        If a share is not a number from 0 to 1.
    """
    if chroma is None and strength == 1:
        return denoiser
    return make("blended", method=denoiser, strength=strength, chroma=chroma)


def spell(denoiser: Denoiser) -> str:
    """The text from which `make` makes this Denoiser; its repr if there is none.

    Examples
    --------
    >>> spell(make("heat").choose([[0.0, 1.0], [0.5, 0.5]], 0.0))
    'heat(time=0.0)'
    """
    home = denoiser.home
    if home is None:
        return repr(denoiser)
    name = next((name for name, known in CATALOG.items() if known == home), home)
    given = [f"{key}={value!r}" for key, value in denoiser.changed.items()]
    return f"{name}({', '.join(given)})" if given else name


def unwrapped(denoiser: Denoiser) -> Denoiser:
    """The method within wrappers, or the method itself.

    Examples
    --------
    >>> spell(unwrapped(make("blended", method=make("stabilized", method="heat(time=2.0)"))))
    'heat(time=2.0)'
    """
    while denoiser.home in [CATALOG[name] for name in WRAPPERS]:
        method = denoiser.parameters["method"]
        denoiser = make(method) if isinstance(method, str) else method
    return denoiser


def as_text(method: str | Denoiser) -> str | Denoiser:
    """The text from which `make` makes a method; the method itself if there is none.

    There is none for classes within functions, and for parameters that are not literals.

    Examples
    --------
    >>> as_text(make("heat(time=2)"))
    'heat(time=2)'
    """
    if isinstance(method, str):
        return method
    denoiser = as_denoiser(method)
    if denoiser.home is None:
        return denoiser
    text = spell(denoiser)
    try:
        return text if make(text) == denoiser else denoiser
    except (ImportError, TypeError, ValueError):
        return denoiser
