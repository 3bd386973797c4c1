"""An evolution at chosen times."""

from __future__ import annotations

from dataclasses import fields, replace

from difffilter.catalog import make
from difffilter.image import as_float

__all__ = ["scale_space"]


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
