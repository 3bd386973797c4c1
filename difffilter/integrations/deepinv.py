"""Denoisers of DeepInverse in this package, and those of this package in DeepInverse.

See Tachella et al., "DeepInverse: a Python package for solving imaging inverse problems with deep
learning", Journal of Open Source Software 10(115), 2025, and https://deepinv.github.io.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from difffilter.catalog import make, spell
from difffilter.checks import check_number, check_whole
from difffilter.denoiser import Denoiser, as_denoiser
from difffilter.docstring import shared
from difffilter.integrations.unit_range import Network, UnitRangeDenoiser

__all__ = ["FromDeepinv", "from_deepinv", "to_deepinv"]


def to_deepinv(denoiser: str | Denoiser) -> Any:
    """A denoiser of this package as a `deepinv.models.Denoiser`, for instance as a prior.

    Its ``forward(x, sigma=None, **kwargs)`` denoises each image of the batch x ``(B, C, H, W)``, in
    [0, 1] up to noise, by itself, with its own σ and parameters of its own unless they are given.
    σ is a number, a Tensor of one or B numbers, or ``None``: estimated. The result has the shape,
    the dtype and the device of x. Other arguments are ignored.

    Parameters
    ----------
    denoiser : str or Denoiser
        What `difffilter.make` takes, such as ``"perona_malik"``, or a Denoiser.

    Returns
    -------
    deepinv.models.Denoiser
        With the attribute ``denoiser``. It has no weights to train.

    Raises
    ------
    ModuleNotFoundError
        If DeepInverse is not installed.
    TypeError, ValueError
        If there is no such method. The call raises them if x is not a batch of images, if σ does
        not fit it, or if x requires a gradient and the method has none: only `heat`,
        `perona_malik` and `ddpm` have one.

    Notes
    -----
    Where gradients are recorded and x requires one, parameters that are chosen from the image, and
    σ, count as constants. `heat` and `perona_malik` filter on the device of x, or on that of their
    parameter ``device``; other methods get arrays, and `ddpm` finds its device by itself.

    Examples
    --------
    >>> import pytest
    >>> _ = pytest.importorskip("deepinv", exc_type=Exception)
    >>> model = to_deepinv("perona_malik(kappa=0.2)")
    >>> x = 0.5 + 0.1 * torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> model(x, torch.tensor([0.1, 0.05])).shape
    torch.Size([2, 3, 32, 32])
    >>> bool(model(x, 0.1).std() < 0.05)
    True
    """
    method = make(denoiser) if isinstance(denoiser, str) else as_denoiser(denoiser)
    return _model_class()(method)


@cache
def _model_class() -> Any:
    """The class of the models, made when it is needed: DeepInverse takes seconds to import."""
    try:
        from deepinv.models import Denoiser as Base
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"to_deepinv needs {error.name}: pip install deepinv", name=error.name
        ) from None

    class DifffilterDenoiser(Base):
        def __init__(self, denoiser: Denoiser) -> None:
            super().__init__()
            self.denoiser = denoiser

        def forward(self, x: Tensor, sigma: Any = None, **kwargs: Any) -> Tensor:
            return _batch_denoised(self.denoiser, x, sigma)

        def extra_repr(self) -> str:
            return spell(self.denoiser)

        def __reduce__(self) -> Any:  # the class has no name to be found by
            return to_deepinv, (self.denoiser,)

    return DifffilterDenoiser


def _batch_denoised(denoiser: Denoiser, x: Tensor, sigma: Any) -> Tensor:
    """Each image of a batch (B, C, H, W), with its own σ."""
    if not isinstance(x, Tensor):
        raise TypeError(f"x is {type(x).__name__}; expected a Tensor (B, C, H, W)")
    if not x.is_floating_point():
        raise TypeError(f"x has dtype {x.dtype}; expected floating point")
    if x.ndim != 4 or not x.numel():
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, C, H, W)")
    sigmas = _each_sigma(sigma, len(x))
    images = [_denoised(denoiser, image, s) for image, s in zip(x, sigmas, strict=True)]
    return torch.stack(images).to(x)


def _each_sigma(sigma: Any, count: int) -> list[float | None]:
    """σ for each of some images, from one number or from one for each."""
    if sigma is None:
        return [None] * count
    if not isinstance(sigma, Tensor):
        try:
            sigma = torch.as_tensor(sigma, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"sigma is {sigma!r}; expected a number or a Tensor (B,)") from None
    values = sigma.detach().reshape(-1).tolist()
    if len(values) not in (1, count):
        raise ValueError(
            f"sigma has shape {tuple(sigma.shape)}; expected one number, or {count} for as many images"
        )
    values = [check_number("sigma", value, least=0) for value in values]
    return values * count if len(values) == 1 else values


def _denoised(denoiser: Denoiser, image: Tensor, sigma: float | None) -> Tensor:
    """An image (C, H, W), recording the gradient if it requires one."""
    axis = None if len(image) == 1 else 0
    image = image[0] if axis is None else image
    if image.dtype != torch.float64:
        image = image.float()  # NumPy has no bfloat16
    if image.requires_grad and torch.is_grad_enabled():
        result = denoiser.with_gradient(image, sigma, channel_axis=axis)
    elif denoiser.takes_tensors:
        result = denoiser(image, sigma, channel_axis=axis)
    else:
        result = torch.from_numpy(denoiser(image.detach().cpu().numpy(), sigma, channel_axis=axis))
    return result[None] if axis is None else result


def from_deepinv(model: nn.Module, **options: Any) -> FromDeepinv:
    """A denoiser of DeepInverse as a Denoiser of this package, for arrays in any unit.

    Parameters
    ----------
    model : torch.nn.Module
        With ``forward(x, sigma)``, where x is a Tensor ``(B, C, H, W)`` in [0, 1] and σ a number,
        such as ``deepinv.models.DRUNet()``. It is put into evaluation mode, and stays on its device.
    **options
        The parameters of `FromDeepinv`.

    Returns
    -------
    FromDeepinv
        To call, or to pass to `difffilter.denoise` as its method.

    Raises
    ------
    TypeError, ValueError
        If the model is not a module, or an option is out of range.

    Examples
    --------
    >>> class Halved(nn.Module):
    ...     def forward(self, x, sigma):
    ...         return x / 2
    >>> import numpy as np
    >>> from_deepinv(Halved(), black=0, white=200)(np.array([[50.0, 200.0]]), sigma=10)
    array([[ 25., 100.]])
    """
    return FromDeepinv(model=model, **options)


@shared
@dataclass(frozen=True, kw_only=True, repr=False)
class FromDeepinv(UnitRangeDenoiser):
    """A model of DeepInverse, or any module with ``forward(x, sigma)``, as a Denoiser.

    Parameters
    ----------
    model : torch.nn.Module
        As for `from_deepinv`.
    channels : int, optional
        The number of channels that the model takes. Of an image with another number each channel is
        denoised by itself. ``None``: any.
    %(unit_range)s

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described above.

    Notes
    -----
    With a `black` of 0 and a `white` of 1 the model sees the image as it is.

    Examples
    --------
    >>> import numpy as np
    >>> identity = FromDeepinv(model=nn.Dropout())  # in evaluation mode
    >>> identity(np.eye(2), sigma=0.0)
    array([[1., 0.],
           [0., 1.]])
    """

    model: nn.Module
    channels: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, nn.Module):
            raise TypeError(
                f"model is {self.model!r}; expected a torch.nn.Module with forward(x, sigma)"
            )
        if self.channels is not None:
            check_whole("channels", self.channels, least=1)
        super().__post_init__()
        self.model.eval()

    def _network(self) -> tuple[Network, int | None]:
        def network(x: Tensor, sigma: float) -> Tensor:
            like = next(self.model.parameters(), x)
            with torch.no_grad():
                return self.model(x.to(like), sigma)

        return network, self.channels

    @property
    def home(self) -> None:
        return None  # a model cannot be written as text

    def __repr__(self) -> str:
        options = "".join(
            f", {key}={value!r}" for key, value in self.changed.items() if key != "model"
        )
        return f"from_deepinv({type(self.model).__name__}(){options})"
