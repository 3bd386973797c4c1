"""The parameters that suit an image, for any method that chooses some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from difffilter.catalog import for_noise, make, spell, usual_method
from difffilter.denoiser import Denoiser, strength
from difffilter.image import as_float
from difffilter.sigma import check_sigma

__all__ = ["Parameters", "estimate_parameters"]


@dataclass(frozen=True)
class Parameters(Mapping):
    """What was chosen for an image: a mapping of a method's parameters to their values.

    Its ``str`` is what `make` and the command line's ``-m`` take.

    Attributes
    ----------
    method : Denoiser
        The method with every parameter filled in; call it with an image.
    sigma : float
        Standard deviation of the noise, in units of intensity, that was given or estimated.

    Examples
    --------
    >>> from difffilter import Heat
    >>> parameters = Parameters(Heat(time=2.0), 0.1)
    >>> print(parameters, dict(parameters))
    heat(time=2.0) {'time': 2.0, 'spacing': None, 'fidelity': 0.0, 'device': None}
    """

    method: Denoiser
    sigma: float

    def __getitem__(self, name):
        if name not in iter(self):
            raise KeyError(name)
        return getattr(self.method, name)

    def __iter__(self):
        return (field.name for field in fields(self.method))

    def __len__(self):
        return len(fields(self.method))

    def __str__(self):
        return spell(self.method)


def estimate_parameters(
    image, method=None, sigma=None, channel_axis=None, *, noise=None, **parameters
):
    """Choose a method's parameters for an image, without filtering it.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    method : str or Denoiser, optional
        What `make` takes, or a Denoiser, whose parameters stay as they are where it gives them;
        ``None``: as for `denoise`.
    sigma : float, optional
        Standard deviation of the noise, in units of intensity, of Poisson noise and speckle where
        the image is 1; ``None``: it is estimated.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    noise : {"gaussian", "poisson", "speckle"}, optional
        The kind of noise, as for `denoise`; ``None``: what the method is for.
    **parameters
        The method's parameters, if it is given by its name.

    Returns
    -------
    Parameters
        To pass on: ``perona_malik(image, **chosen)``, ``chosen.method(image)``,
        ``make(str(chosen))``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be, or the method chooses nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from difffilter import perona_malik
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> chosen = estimate_parameters(noisy, "perona_malik(diffusivity='rational')")
    >>> round(chosen.sigma, 1), chosen["diffusivity"]
    (0.1, 'rational')
    >>> bool(np.array_equal(perona_malik(noisy, **chosen), chosen.method(noisy)))
    True
    """
    image = as_float(image, channel_axis)
    if method is None:
        method = usual_method(image.ndim - (channel_axis is not None) == 3, parameters)
    denoiser = make(method, **parameters) if isinstance(method, str) else method
    if parameters and denoiser is method:
        raise TypeError("parameters go with the name of a method, not with a Denoiser")
    if not hasattr(denoiser, "choose"):
        raise ValueError(f"{method} has no parameters to estimate")
    denoiser = for_noise(denoiser, noise)
    if sigma is None:
        sigma = strength(denoiser, image, channel_axis)
    sigma = check_sigma(sigma, image)
    return Parameters(denoiser.choose(image, sigma, channel_axis=channel_axis), sigma)
