"""Functions for scripts: denoise an image, and estimate parameters for it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from difffilter.catalog import for_noise, for_strength, make, spell, usual_method
from difffilter.denoiser import Denoiser, as_denoiser, known_noise
from difffilter.devices import is_tensor
from difffilter.html import html_table
from difffilter.image import DataRange, as_float, check_axis, scaled
from difffilter.labels import keeps_labels, unlabelled
from difffilter.noise.estimation import check_sigma
from difffilter.noise.model import NoiseModel, Sigma, strength_of

__all__ = ["Parameters", "denoise", "estimate_parameters"]


def denoise(
    image: Any,
    sigma: Sigma | None = None,
    method: str | Denoiser | None = None,
    *,
    channel_axis: int | None = None,
    noise: str | None = None,
    strength: float = 1.0,
    chroma: float | None = None,
    data_range: DataRange = None,
    time_axis: int | None = None,
    full_output: bool = False,
    **parameters: Any,
) -> Any:
    """Denoise an image by a method of the catalog or by your own Denoiser.

    Parameters
    ----------
    image : array_like, dask.array.Array, xarray.DataArray, SimpleITK.Image or pandas.DataFrame
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1]. Labels
        tell axes of channels and of time and the spacing, where these are not given. A dask
        array is filtered lazily: only the tiles that parameters are chosen on are computed at
        once, and none if σ and all parameters are given.
    sigma : float, array_like or NoiseModel, optional
        Standard deviation of the noise in units of intensity, for Poisson noise and speckle where
        the image is 1: a number, a map of the image's shape or its spatial shape, or what
        `estimate_noise` returns; ``None``: estimated from the image, white or not.
    method : str or Denoiser, optional
        What `make` takes, or a Denoiser; ``None``: ``"auto"``, the PDE of least estimated
        risk; with parameters that it does not have, the first that has them of
        ``"edge_enhancing"`` (not for volumes), ``"perona_malik"`` and ``"tv_flow"``.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    noise : {"gaussian", "poisson", "speckle"}, optional
        The kind of noise, as `add_noise` defines it. For kinds other than Gaussian a method for
        Gaussian noise is put between a variance-stabilising transform and its inverse
        (`Stabilized`); ``None``: the kind that the method is for.
    strength : float, default 1
        The share of the change to make, from 0 (the image unchanged) to 1; see `Blended`.
    chroma : float, optional
        For an image of red, green and blue, the share of the change of chroma, from 0 to 1;
        `strength` is then that of luminance alone: ``strength=0, chroma=1`` removes noise of colour
        only. ``None``: the same as `strength`.
    data_range : float or (float, float), optional
        The intensity to scale to 1, or those to scale to 0 and 1, where integers do not fill their
        type or floats have another range: ``data_range=4095`` is the same as ``image / 4095``. σ and
        the parameters refer to the scaled image; ``None``: the range of the type, or none of floats.
    time_axis : int, optional
        The axis of the frames of a series, which are filtered one by one, each with σ and parameters
        of its own unless they are given; ``None``: a single image.
    full_output : bool, default False
        Whether to return what was chosen as well; not for a dask array.
    **parameters
        The method's parameters.

    Returns
    -------
    ndarray or dask.array.Array
        Same shape; float32, or float64 for float64 input, scaled as the image was. A dask array
        for a dask array, and for an image with labels one that has them.
    Parameters or list of Parameters
        Only with ``full_output``: what was chosen, as `estimate_parameters` returns it, for each
        frame of a series.

    Raises
    ------
    TypeError, ValueError
        If the image, σ or a parameter is not as described above, or the method is for another kind
        of noise.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> bool(denoise(noisy).std() < 0.02)
    True
    >>> smooth, chosen = denoise(noisy, method="heat", full_output=True)
    >>> round(chosen.sigma, 1), chosen["time"] > 5
    (0.1, True)
    >>> twelve_bits = np.clip(4095 * noisy, 0, 4095).astype(np.uint16)
    >>> smooth = denoise(twelve_bits, 0.1, data_range=4095)
    >>> round(float(smooth.mean()), 2)
    0.5
    >>> photons = np.random.default_rng(0).poisson(20, (64, 64))
    >>> bool(denoise(photons.astype(float), noise="poisson").std() < 1)
    True
    """
    labels = unlabelled(image)
    if labels is not None:
        own = {"channel_axis": channel_axis, "time_axis": time_axis, **parameters}
        taken = {"channel_axis", "time_axis", *_parameters_of(method)}
        result = denoise(
            labels.array, sigma, method, noise=noise, strength=strength, chroma=chroma,
            data_range=data_range, full_output=full_output, **(own | labels.options(taken, own)),
        )  # fmt: skip
        if full_output:
            return labels.restored(result[0]), result[1]
        return labels.restored(result)
    frames = [image]
    if time_axis is not None:
        time_axis, frames, channel_axis = _series(image, time_axis, channel_axis)
    _warn_of_colour(frames[0], channel_axis)
    volume = np.ndim(frames[0]) - (channel_axis is not None) == 3
    denoiser = for_noise(_denoiser(method, parameters, volume), noise)
    denoiser = for_strength(denoiser, strength, chroma)
    _check_in_range(sigma, data_range)

    def one(frame):
        frame = scaled(frame, data_range)
        return _denoised(frame, sigma, denoiser, channel_axis, full_output)

    return one(image) if time_axis is None else _each(one, frames, time_axis, full_output)


def _parameters_of(method):
    """The names of a method's parameters; none of a Denoiser, which is used as it is."""
    if method is None:
        return {"spacing"}
    return make(method).parameters if isinstance(method, str) else {}


def _denoised(image, sigma, denoiser, channel_axis, full_output):
    """`denoise` for a single image that is scaled."""
    if _is_dask(image):
        from difffilter.blocks.dask_arrays import denoise_lazily

        if full_output:
            raise ValueError("full_output is True; expected False for a dask array")
        return denoise_lazily(image, sigma, denoiser, channel_axis)
    if not full_output:
        if np.ndim(sigma) or isinstance(sigma, NoiseModel):
            floats = as_float(image, channel_axis)
            sigma = known_noise(denoiser, sigma, floats, channel_axis, image)
        return denoiser(image, sigma, channel_axis=channel_axis)
    chosen, known = _chosen(denoiser, image, sigma, channel_axis)
    needed = None if chosen.method.is_settled() else known
    return chosen.method(image, needed, channel_axis=channel_axis), chosen


def _is_dask(image):
    return type(image).__module__.startswith("dask.array")


def _check_in_range(sigma, data_range):
    """Check σ against the data range, of which a scaled image shows nothing."""
    if isinstance(sigma, Real) and data_range is not None:
        check_sigma(sigma, data_range=data_range)


def _series(image, time_axis, channel_axis):
    """The axis of time ≥ 0, the frames, and the axis of their channels."""
    if not (_is_dask(image) or is_tensor(image)):
        image = np.asanyarray(image)
    check_axis("time_axis", time_axis, image.shape)
    time_axis %= image.ndim
    if image.shape[time_axis] == 0:
        raise ValueError(f"image is empty: its shape is {tuple(image.shape)}")
    if channel_axis is not None:
        check_axis("channel_axis", channel_axis, image.shape)
        channel_axis %= image.ndim
        if channel_axis == time_axis:
            raise ValueError(f"time_axis is {time_axis}, as is channel_axis; expected another axis")
        channel_axis -= channel_axis > time_axis
    before = (slice(None),) * time_axis
    return time_axis, [image[(*before, k)] for k in range(image.shape[time_axis])], channel_axis


def _each(one, frames, time_axis, full_output):
    """The results for the frames of a series, stacked, and what was chosen for each."""
    before, stack, lazy, chosen = (slice(None),) * time_axis, None, [], []
    for k, frame in enumerate(frames):
        try:
            result = one(frame)
        except (TypeError, ValueError) as error:
            error.add_note(f"This is frame {k} of {len(frames)}, counted from 0.")
            raise
        if full_output:
            result, parameters = result
            chosen.append(parameters)
        if _is_dask(result):
            lazy.append(result)
            continue
        if stack is None:
            shape = (*result.shape[:time_axis], len(frames), *result.shape[time_axis:])
            new = result.new_empty if is_tensor(result) else np.empty
            stack = new(shape, dtype=result.dtype)
        stack[(*before, k)] = result
    stack = np.stack(lazy, time_axis) if lazy else stack
    return (stack, chosen) if full_output else stack


def _warn_of_colour(image, channel_axis):
    """Warn if colours are about to be filtered as the last axis of a volume."""
    shape = np.shape(image)
    if channel_axis is None and len(shape) == 3 and shape[2] in (3, 4) and min(shape[:2]) >= 16:
        warnings.warn(
            f"image has shape {shape} and is filtered as a volume; if its last axis holds colours, "
            "pass channel_axis=-1",
            stacklevel=3,
        )


def _denoiser(method, parameters, volume) -> Denoiser:
    """The Denoiser that was asked for, or the default."""
    if method is None:
        method = usual_method(volume, parameters)
    if isinstance(method, str):
        return make(method, **parameters)
    if parameters:
        raise TypeError(
            f"method is {method!r} with parameters {', '.join(parameters)}; expected parameters only "
            "with the name of a method"
        )
    return as_denoiser(method)


def _chosen(denoiser, image, sigma, channel_axis) -> tuple[Parameters, Sigma]:
    """The parameters chosen for an image, and the noise in the form that the method takes."""
    given, image = image, as_float(image, channel_axis)
    if sigma is None:
        sigma = denoiser.estimate_noise(image, channel_axis=channel_axis)
    else:
        sigma = known_noise(denoiser, sigma, image, channel_axis, given)
    settled = denoiser.choose(image, sigma, channel_axis=channel_axis)
    model = sigma if isinstance(sigma, NoiseModel) else None
    return Parameters(settled, strength_of(sigma), model), sigma


@dataclass(frozen=True)
class Parameters(Mapping):
    """Parameters chosen for an image, as a mapping from names to values.

    Its ``str`` is what `make` and the command line's ``-m`` take.

    Attributes
    ----------
    method : Denoiser
        The method with every parameter filled in; call it with an image.
    sigma : float
        Standard deviation of the noise, in units of intensity, that was given or estimated: of noise
        that is not equally strong everywhere, the root mean square.
    noise : NoiseModel or None
        More about the noise, if it was given or is estimated and not white.

    Examples
    --------
    >>> from difffilter import Heat
    >>> parameters = Parameters(Heat(time=2.0), 0.1)
    >>> print(parameters, parameters["time"])
    heat(time=2.0) 2.0
    """

    method: Denoiser
    sigma: float
    noise: NoiseModel | None = None

    def __getitem__(self, name):
        if name == "sigma":  # an attribute, for functions have a parameter of this name themselves
            raise KeyError(name)
        return self.method.parameters[name]

    def __iter__(self):
        return (name for name in self.method.parameters if name != "sigma")

    def __len__(self):
        return len(list(iter(self)))

    def __str__(self):
        return spell(self.method)

    def _repr_html_(self):
        rows = [(name, _shown(value)) for name, value in self.items() if value is not None]
        kind = "" if self.noise is None else f", {self.noise}"
        return html_table(
            ("parameter", "value"), rows, f"{spell(self.method)}, σ = {self.sigma:.4g}{kind}"
        )


def _shown(value):
    """A value in a table: numbers to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else value


@keeps_labels
def estimate_parameters(
    image: Any,
    sigma: Sigma | None = None,
    method: str | Denoiser | None = None,
    *,
    channel_axis: int | None = None,
    noise: str | None = None,
    strength: float = 1.0,
    chroma: float | None = None,
    data_range: DataRange = None,
    **parameters: Any,
) -> Parameters:
    """Choose a method's parameters for an image, without filtering it.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    sigma : float, array_like or NoiseModel, optional
        Standard deviation of the noise in units of intensity, for Poisson noise and speckle where
        the image is 1: a number, a map of the image's shape or its spatial shape, or what
        `estimate_noise` returns; ``None``: estimated from the image, white or not.
    method : str or Denoiser, optional
        What `make` takes, or a Denoiser, whose parameters stay where they are given; ``None``: as
        for `denoise`.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    noise : {"gaussian", "poisson", "speckle"}, optional
        The kind of noise, as for `denoise`; ``None``: the kind that the method is for.
    strength, chroma : float, optional
        As for `denoise`. They change nothing about what is chosen, but with 0 nothing is.
    data_range : float or (float, float), optional
        As for `denoise`. What is chosen refers to the scaled image.
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
        If an argument is not as described above, or the method has no parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from difffilter import perona_malik
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> chosen = estimate_parameters(noisy, method="perona_malik(diffusivity='rational')")
    >>> round(chosen.sigma, 1), chosen["diffusivity"]
    (0.1, 'rational')
    >>> bool(np.array_equal(perona_malik(noisy, **chosen), chosen.method(noisy)))
    True
    """
    _warn_of_colour(image, channel_axis)
    _check_in_range(sigma, data_range)
    image = scaled(image, data_range)
    volume = np.ndim(image) - (channel_axis is not None) == 3
    denoiser = _denoiser(method, parameters, volume)
    if not denoiser.parameters:
        raise ValueError(f"method is {spell(denoiser)}; expected one with parameters to estimate")
    denoiser = for_strength(for_noise(denoiser, noise), strength, chroma)
    return _chosen(denoiser, image, sigma, channel_axis)[0]
