"""What scripts call: denoise an image, choose parameters for it, let it evolve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from difffilter.catalog import for_noise, make, spell, usual_method
from difffilter.denoiser import Denoiser, strength
from difffilter.image import as_float
from difffilter.noise.estimation import check_sigma

__all__ = ["Parameters", "denoise", "estimate_parameters", "scale_space"]


def denoise(image, sigma=None, method=None, *, channel_axis=None, noise=None, **parameters):
    """Denoise an image by the method of a name.

    Parameters
    ----------
    image : array_like or dask.array.Array
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1]. Of a
        dask array only what parameters are chosen on is computed at once, and nothing if σ and
        all parameters are given.
    sigma : float, optional
        Standard deviation of the noise, in units of intensity, of Poisson noise and speckle where
        the image is 1; ``None``: it is estimated.
    method : str or Denoiser, optional
        What `make` takes, or a Denoiser; ``None``: ``"edge_enhancing"``, or ``"perona_malik"`` for
        a volume or with a parameter that only that one has.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    noise : {"gaussian", "poisson", "speckle"}, optional
        The kind of noise, as `add_noise` has it. A method for white Gaussian noise is put between a
        transform and its inverse for the others (`Stabilized`); ``None``: what the method is
        for.
    **parameters
        The method's parameters.

    Returns
    -------
    ndarray or dask.array.Array
        Same shape; float32, or float64 for float64 input. A dask array for a dask array.

    Raises
    ------
    TypeError, ValueError
        If the image, σ or a parameter is not what it should be, or the method is for another kind
        of noise.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> bool(denoise(noisy).std() < 0.02)
    True
    >>> photons = np.random.default_rng(0).poisson(20, (64, 64))
    >>> bool(denoise(photons.astype(float), noise="poisson").std() < 1)
    True
    """
    lazily = type(image).__module__.startswith("dask.array")
    if method is None:
        volume = np.ndim(image) - (channel_axis is not None) == 3
        method = usual_method(volume, parameters)
    if isinstance(method, str):
        method = make(method, **parameters)
    elif parameters:
        raise TypeError("parameters go with the name of a method, not with a Denoiser")
    elif not isinstance(method, Denoiser):
        raise TypeError(f"method must be a name or a Denoiser; got {method!r}")
    method = for_noise(method, noise)
    if lazily:
        from difffilter.blocks.dask_arrays import denoise_lazily

        return denoise_lazily(image, sigma, method, channel_axis)
    return method(image, sigma, channel_axis=channel_axis)


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


def scale_space(image, method, times, *, sigma=None, channel_axis=None):
    """Let an image evolve, and see it at chosen times.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    method : str or Denoiser
        A PDE: what `make` takes, or a Denoiser with a field ``time``, whose value does not matter.
        Other parameters that are None are chosen from the image, once.
    times : iterable of float
        When to look, in the method's units of time; ≥ 0, none below the one before.
    sigma : float, optional
        Standard deviation of the noise, in units of intensity, for what is chosen; ``None``: it is
        estimated.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.

    Yields
    ------
    ndarray
        The image at each of the times, of the same shape; float32, or float64 for float64 input.
        Each goes on from the one before, so that all of them cost as much as the last alone; but
        with a fidelity term, which remembers the first image, each starts from there.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.

    References
    ----------
    .. [1] A. P. Witkin, "Scale-space filtering", IJCAI 1983.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> [round(float(u.std()), 3) for u in scale_space(noisy, "heat", [0, 1, 10])]
    [0.1, 0.022, 0.007]
    """
    times = [float(time) for time in times]
    if any(a > b for a, b in zip([0.0, *times], times, strict=False)):
        raise ValueError(f"times must be ≥ 0 and none below the one before; got {times}")
    if isinstance(method, str):
        method = make(method)
    names = [field.name for field in fields(method)]
    if "time" not in names:
        raise ValueError(f"method must be one that evolves in time; {method!r} has no time")
    image = as_float(image, channel_axis)
    return _evolution(image, method, names, times, sigma, channel_axis)


def _evolution(image, method, names, times, sigma, channel_axis):
    # None means no more than a default where these two are concerned.
    open_ = [getattr(method, n) for n in names if n not in ("time", "spacing", "step")]
    if None in open_ or isinstance(getattr(method, "kappa", None), str):
        method = replace(method, time=None).choose(image, sigma, channel_axis=channel_axis)
    now, biased = 0.0, getattr(method, "fidelity", 0)
    for time in times:
        if biased:
            yield replace(method, time=time)(image, channel_axis=channel_axis)
            continue
        image = replace(method, time=time - now)(image, channel_axis=channel_axis)
        now = time
        yield image.copy()
