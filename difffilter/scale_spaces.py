"""The evolution of an image under a PDE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from numbers import Real

from numpy.typing import ArrayLike, NDArray

from difffilter.catalog import make, spell
from difffilter.denoiser import Denoiser, as_denoiser
from difffilter.image import DataRange, as_float, scaled
from difffilter.labels import keeps_labels
from difffilter.noise.estimation import check_sigma
from difffilter.noise.model import Sigma, strength_of

__all__ = ["VISIBLE", "pde_for", "scale_space"]

# Noise of less than this share of the range of intensities says nothing of what to smooth: in a scale
# space, what is chosen is then chosen as for noise of the other share.
FAINT, VISIBLE = 1 / 255, 0.1


@keeps_labels
def scale_space(
    image: ArrayLike,
    method: str | Denoiser,
    times: Iterable[float],
    *,
    sigma: Sigma | None = None,
    channel_axis: int | None = None,
    data_range: DataRange = None,
) -> Iterator[NDArray]:
    """Let an image evolve under a PDE, and return it at chosen times [1]_.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    method : str or Denoiser
        A PDE: what `make` takes, or a Denoiser with a field ``time``, whose value does not matter;
        ``"auto"`` is the PDE of least estimated risk. Other parameters that are ``None`` are chosen
        from the image, once.
    times : iterable of float
        In the method's units of time; ≥ 0, none below the one before.
    sigma : float, array_like or NoiseModel, optional
        Standard deviation of the noise in units of intensity, for what is chosen; ``None``:
        estimated from the image, or a tenth of the range of intensities if the estimate is below
        1/255 of it, so that an image without noise evolves as well. A larger σ gives a larger κ.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    data_range : float or (float, float), optional
        As for `denoise`; the images are scaled by it.

    Yields
    ------
    ndarray
        The image at each of the times, of the same shape; float32, or float64 for float64 input.
        Each goes on from the one before, so that all of them cost as much as the last alone; with
        a fidelity term, which refers to the first image, and for ``"learned"``, each starts from
        there.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described above.

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
        raise ValueError(f"times is {times}; expected numbers ≥ 0, none below the one before")
    if isinstance(sigma, Real) and data_range is not None:
        check_sigma(sigma, data_range=data_range)
    image = as_float(scaled(image, data_range), channel_axis)
    return _evolution(image, pde_for(image, method, sigma, channel_axis), times, channel_axis)


def pde_for(
    image: NDArray,
    method: str | Denoiser,
    sigma: Sigma | None = None,
    channel_axis: int | None = None,
    *,
    faint: float = FAINT,
) -> Denoiser:
    """A PDE with all parameters but the time, those that are ``None`` chosen from an image.

    Parameters
    ----------
    image : ndarray
        Floating point.
    method, sigma, channel_axis
        As for `scale_space`.
    faint : float, default 1/255
        The share of the range of intensities below which an estimated σ becomes a tenth of it.

    Raises
    ------
    ValueError
        If the method has no time.

    Examples
    --------
    >>> import numpy as np
    >>> slope = np.linspace(0, 1, 32) * np.ones((32, 1))
    >>> pde_for(slope, "perona_malik").kappa >= 0.05
    True
    """
    denoiser = make(method) if isinstance(method, str) else as_denoiser(method)
    has_time = "time" in denoiser.parameters
    if has_time and denoiser.replace(time=0.0).is_settled(sigma):
        return denoiser
    if has_time or not denoiser.is_settled():
        if sigma is None:
            sigma = _visible(image, denoiser, channel_axis, faint)
        open_time = denoiser.replace(time=None) if has_time else denoiser
        chosen = open_time.choose(image, sigma, channel_axis=channel_axis)
        if "time" in chosen.parameters:
            return chosen
    raise ValueError(f"method is {spell(denoiser)}, which has no time; expected a PDE")


def _visible(image, denoiser, channel_axis, faint):
    """The noise as it is estimated, or σ of a tenth of the range of intensities."""
    sigma = denoiser.estimate_noise(image, channel_axis=channel_axis)
    # (That of speckle is relative.)
    extent = float(image.max() - image.min()) if denoiser.noise == "gaussian" else 1.0
    return VISIBLE * extent if strength_of(sigma) < faint * extent else sigma


def _evolution(image, denoiser, times, channel_axis):
    now = 0.0
    for time in times:
        if not denoiser.autonomous:
            yield denoiser.replace(time=time)(image, channel_axis=channel_axis)
            continue
        image = denoiser.replace(time=time - now)(image, channel_axis=channel_axis)
        now = time
        yield image.copy()
