"""The contract that every filter keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from inspect import isfunction, signature
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.docstring import shared
from difffilter.image import as_float, mosaic
from difffilter.noise.estimation import estimate_sigma
from difffilter.noise.measure import assumed_noise
from difffilter.noise.model import Sigma, check_noise_given

__all__ = [
    "Box",
    "Denoiser",
    "Identity",
    "as_denoiser",
    "can_be_called",
    "choose_and_apply",
    "known_noise",
    "prepare",
    "rounded",
]

# (start, stop) along each spatial axis.
Box = tuple[tuple[int, int], ...]


class Denoiser:
    """Takes a noisy image and returns a cleaner one.

    A Denoiser is a frozen dataclass whose fields, keyword-only, are its parameters; a field that is
    ``None`` is chosen from the image. All but the call has a default, so that a class with nothing
    but ``__call__`` works everywhere; a class that can do more overrides the method that says so.

    Attributes
    ----------
    noise : str, default "gaussian"
        The kind of noise it removes, of `difffilter.noise.estimation.EXPONENTS`; σ is its strength.
    takes_models : bool, default False
        Whether σ may be a map or a `NoiseModel`; if not, it is told the root mean square.
    takes_tensors : bool, default False
        Whether the image may be a `torch.Tensor`, whose result is one on the same device.
    blocks_at_once : int or None, default None
        How many blocks of a large image to filter at the same time; ``None``: one for each core.
    SEARCH, SEARCH_COLOUR : dict of str to Range or Choice, default {}
        The search space of the parameters that are calibrated on training images or found by an
        oracle, and of further ones that only colour images need.
    PACKAGES : tuple of str, default ()
        Packages that it wraps, whose versions a calibration records.

    Examples
    --------
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Darker(Denoiser):
    ...     by: float = 0.1
    ...     def __call__(self, noisy, sigma=None, *, channel_axis=None):
    ...         return as_float(noisy, channel_axis) - self.by
    >>> Darker(by=0.5)(np.ones((1, 2)))
    array([[0.5, 0.5]])
    """

    noise: str = "gaussian"
    takes_models: ClassVar[bool] = False
    takes_tensors: ClassVar[bool] = False
    blocks_at_once: ClassVar[int | None] = None
    SEARCH: ClassVar[dict] = {}
    SEARCH_COLOUR: ClassVar[dict] = {}
    PACKAGES: ClassVar[tuple[str, ...]] = ()

    @shared
    def __call__(
        self, noisy: ArrayLike, sigma: Sigma | None = None, *, channel_axis: int | None = None
    ) -> NDArray:
        """Denoise an image.

        Parameters
        ----------
        %(noisy)s

        Returns
        -------
        %(denoised)s
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__")

    def with_gradient(
        self, noisy: Any, sigma: Sigma | None = None, *, channel_axis: int | None = None
    ) -> Any:
        """Denoise a tensor so that PyTorch can differentiate the result with respect to it.

        Parameters chosen from the image, and σ, count as constants.

        Parameters
        ----------
        noisy : Tensor
            Floating point, ``(H, W)``, or with channels.
        sigma, channel_axis
            As for the call.

        Returns
        -------
        Tensor
            Same shape and device; float32, or float64 for float64 input.

        Raises
        ------
        TypeError
            If the method has no derivative, or none that PyTorch can take.
        """
        raise TypeError(
            f"method is {type(self).__name__}, which has no gradient; expected heat, perona_malik or "
            "ddpm, or an image that requires none: x.detach()"
        )

    def choose(
        self, noisy: ArrayLike, sigma: Sigma | None = None, *, channel_axis: int | None = None
    ) -> Denoiser:
        """A copy with every parameter set, for this image and noise.

        Applying the copy depends on nothing but its fields. Parameters are those of the call.
        """
        return self

    def choose_weighted(
        self,
        noisy: ArrayLike,
        sigma: float,
        *,
        channel_axis: int | None = None,
        weight: NDArray | None = None,
        deviation: NDArray | None = None,
    ) -> Denoiser:
        """As `choose`, where errors do not count alike and the noise is not equally strong.

        Parameters
        ----------
        noisy, sigma, channel_axis
            As for `choose`.
        weight : ndarray, optional
            Of the image's shape: how much the squared error of each pixel counts; ``None``: alike.
        deviation : ndarray, optional
            Of the image's shape: the standard deviation of the noise at each pixel; ``None``: σ.
        """
        return self.choose(noisy, sigma, channel_axis=channel_axis)

    def choose_on(
        self, tiles: NDArray, sigma: Sigma | None = None, *, channel_axis: int | None = None
    ) -> Denoiser:
        """As `choose`, for a large image, from evenly spread tiles of it.

        Parameters
        ----------
        tiles : ndarray
            ``(N, ...)``: N tiles of one shape.
        sigma : float, optional
        channel_axis : int, optional
            Of a tile; -1 or None.
        """
        axes = tiles.ndim - 1 - (channel_axis is not None)
        return self.choose(mosaic(tiles, axes), sigma, channel_axis=channel_axis)

    def is_settled(self, sigma: Sigma | None = None) -> bool:
        """Whether a call with this σ has nothing left to choose or to estimate from the image."""
        return sigma is not None

    def estimate_sigma(self, noisy: ArrayLike, *, channel_axis: int | None = None) -> float:
        """The strength σ of the noise, estimated for the kind of noise that this removes."""
        return estimate_sigma(noisy, channel_axis=channel_axis, noise=self.noise)

    def estimate_noise(self, noisy: ArrayLike, *, channel_axis: int | None = None) -> Sigma:
        """The noise to remove, as `choose` takes it: σ, or a `NoiseModel` of other noise."""
        if not self.takes_models:
            return self.estimate_sigma(noisy, channel_axis=channel_axis)
        model = assumed_noise(noisy, channel_axis=channel_axis)
        return model.sigma if model.plain else model

    def check_shape(self, shape: tuple[int, ...], channel_axis: int | None = None) -> None:
        """Raise ValueError for an image that this cannot filter, before work in blocks begins."""

    def halo(self, axes: int) -> tuple[int, ...] | None:
        """The number of pixels around a block that its result depends on.

        Parameters
        ----------
        axes : int
            The number of spatial axes, 2 or 3.

        Returns
        -------
        tuple of int or None
            For each spatial axis; ``None``: the result may depend on the whole image, which is
            filtered as a whole.

        Raises
        ------
        ValueError
            If the halo depends on a parameter that is not set: call `choose` first.
        """
        return None

    def block(self, box: Box, shape: tuple[int, ...]) -> tuple[Box, Denoiser]:
        """The pixels that a block of a large image depends on, and the Denoiser to apply to them.

        Parameters
        ----------
        box : tuple of (int, int)
            The start and the stop of the block along each spatial axis.
        shape : tuple of int
            The spatial shape of the whole image.

        Returns
        -------
        tuple of (tuple of (int, int), Denoiser)
        """
        halo = self.halo(len(shape))
        if halo is None:
            return tuple((0, n) for n in shape), self
        return tuple(
            (max(0, a - far), min(n, b + far))
            for (a, b), far, n in zip(box, halo, shape, strict=True)
        ), self

    def warm_up(self, dtype: Any = np.float32) -> None:
        """Compile or load what the first call on an image of this dtype needs."""

    def wrapped(self, wrap: Callable[[Denoiser], Denoiser]) -> Denoiser:
        """`wrap` around this; where it works on another method's result, around that method."""
        return wrap(self)

    @property
    def autonomous(self) -> bool:
        """Whether an evolution can be continued from any of its images, where there is a ``time``."""
        return True

    @property
    def parameters(self) -> dict[str, Any]:
        """The fields and their values; empty for a class that is not a dataclass."""
        return _fields(self)

    @property
    def changed(self) -> dict[str, Any]:
        """The parameters that are not at their defaults."""
        return _changed(self)

    @property
    def home(self) -> str | None:
        """``"module:Class"``, from which `difffilter.make` makes it; ``None`` if it cannot."""
        if not is_dataclass(self):
            return None
        return f"{type(self).__module__}:{type(self).__qualname__}"

    def replace(self, **changes: Any) -> Self:
        """A copy with new values of some parameters."""
        return replace(self, **changes)  # type: ignore[type-var]


def _fields(thing):
    if not is_dataclass(thing):
        return {}
    return {field.name: getattr(thing, field.name) for field in fields(thing)}


def _changed(thing):
    defaults = {field.name: field.default for field in fields(thing)} if _fields(thing) else {}
    return {name: value for name, value in _fields(thing).items() if value != defaults[name]}


@dataclass(frozen=True)
class Adapted(Denoiser):
    """A Denoiser made from anything that can be called like one.

    Attributes
    ----------
    function : callable
        ``function(noisy, sigma=None, *, channel_axis=None)``.
    """

    function: Callable

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return self.function(noisy, sigma, channel_axis=channel_axis)

    @property
    def parameters(self):
        return _fields(self.function)

    @property
    def changed(self):
        return _changed(self.function)

    @property
    def home(self):
        if not is_dataclass(self.function):
            return None
        return f"{type(self.function).__module__}:{type(self.function).__qualname__}"

    def replace(self, **changes):
        return Adapted(replace(self.function, **changes))

    def __repr__(self):
        kind = type(self.function)
        if kind.__repr__ is object.__repr__:  # which shows no more than an address
            return f"{kind.__module__}:{kind.__qualname__}"
        return repr(self.function)


def as_denoiser(candidate: Any) -> Denoiser:
    """Return a Denoiser unchanged; adapt anything else that can be called to the contract.

    Raises
    ------
    TypeError
        If it cannot be called, is a class instead of an instance, or takes σ elsewhere than after
        the image, as the functions of this package do.

    Examples
    --------
    >>> brighter = as_denoiser(lambda noisy, sigma=None, *, channel_axis=None: noisy + 0.1)
    >>> brighter(np.zeros((1, 2)))
    array([[0.1, 0.1]])
    """
    if isinstance(candidate, Denoiser):
        return candidate
    if isinstance(candidate, type):
        raise TypeError(
            f"method is the class {candidate.__name__}; expected an instance: {candidate.__name__}()"
        )
    if not callable(candidate):
        raise TypeError(f"method is {candidate!r}; expected a name or a Denoiser")
    if isfunction(candidate):
        arguments = list(signature(candidate).parameters)
        if "sigma" in arguments[2:]:  # σ would silently be taken for another argument
            name = candidate.__name__
            raise TypeError(
                f"method is the function {name}, whose second argument is {arguments[1]}; expected "
                f"sigma there, or the name {name!r}"
            )
    return Adapted(candidate)


def can_be_called(candidate: type) -> bool:
    """Whether instances of a class can be called."""
    return any("__call__" in vars(base) for base in candidate.__mro__)


def choose_and_apply(
    denoiser: Denoiser,
    noisy: ArrayLike,
    sigma: Sigma | None = None,
    *,
    channel_axis: int | None = None,
) -> tuple[NDArray, Denoiser, Sigma | None]:
    """Denoise an image, and say by which parameters.

    Returns
    -------
    result : ndarray
    settled : Denoiser
        With every parameter set.
    sigma : float, ndarray, NoiseModel or None
        As given or as estimated; ``None``: it was not needed.
    """
    image = as_float(noisy, channel_axis)
    if sigma is not None:
        sigma = known_noise(denoiser, sigma, image, channel_axis, noisy)
    elif not denoiser.is_settled():
        sigma = denoiser.estimate_noise(image, channel_axis=channel_axis)
    settled = denoiser.choose(image, sigma, channel_axis=channel_axis)
    # (A filter of the user's own may have no field for σ.)
    needed = None if settled.is_settled() else sigma
    return settled(image, needed, channel_axis=channel_axis), settled, sigma


def prepare(
    noisy: ArrayLike, sigma: float | None, channel_axis: int | None
) -> tuple[NDArray, float]:
    """Check an image and σ, which is estimated if it is not given.

    Returns
    -------
    tuple of (ndarray, float)
        The image as floating point, which may be the input itself, and σ.
    """
    image = as_float(noisy, channel_axis)
    if sigma is None:
        return image, estimate_sigma(image, channel_axis=channel_axis)
    return image, check_noise_given(sigma, image, channel_axis, noisy).sigma


def known_noise(
    denoiser: Denoiser, sigma: Any, image: NDArray, channel_axis: int | None, given: ArrayLike
) -> Sigma:
    """Check what was given as sigma, and return it as the Denoiser takes it.

    Parameters are those of `check_noise_given`.
    """
    noise = check_noise_given(sigma, image, channel_axis, given)
    if not denoiser.takes_models:
        return noise.sigma
    if noise.model is not None:
        return noise.model
    return noise.sigma if noise.map is None else noise.map


def rounded(value: float) -> float:
    """Round what was chosen to four digits: as good, and easier to read and to pass on.

    Examples
    --------
    >>> rounded(0.123456)
    0.1235
    """
    return float(f"{value:.4g}")


@dataclass(frozen=True, kw_only=True)
class Identity(Denoiser):
    """The image unchanged: the baseline that every denoiser has to beat.

    Examples
    --------
    >>> Identity()(np.eye(2))
    array([[1., 0.],
           [0., 1.]])
    """

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return as_float(noisy, channel_axis).copy()

    def is_settled(self, sigma=None):
        return True

    def halo(self, axes):
        return (0,) * axes
