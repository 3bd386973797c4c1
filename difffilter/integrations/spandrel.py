"""Weight files of published restoration networks, whose architectures spandrel knows.

Spandrel (https://github.com/chaiNNer-org/spandrel, MIT) tells the architecture from the weights:
SCUNet, NAFNet, DRUNet, DnCNN, SwinIR and others. Architectures under other licences, such as
Restormer, are in the package spandrel_extra_arches; after ``spandrel_extra_arches.install()`` they
are found as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from difffilter.ddpm.tiles import mirrored
from difffilter.devices import find_device
from difffilter.docstring import shared
from difffilter.integrations.unit_range import Network, UnitRangeDenoiser

__all__ = ["FromFile", "from_file"]

# Formats of weights alone, and those that PyTorch can read as such. (.pt may hold a program.)
SUFFIXES = (".safetensors", ".pth", ".ckpt")


def from_file(path: str | PathLike, **options: Any) -> FromFile:
    """A Denoiser from a file of weights of a published restoration network.

    Parameters
    ----------
    path : str or Path
        A file ``.safetensors``, ``.pth`` or ``.ckpt`` of weights for denoising, or another restoration
        at the same size. Of the latter two only tensors are read: a file that holds anything else is
        refused, and nothing in it is carried out.
    **options
        The parameters of `FromFile`.

    Returns
    -------
    FromFile
        To call, or to pass to `difffilter.denoise` as its method.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        If spandrel is not installed.
    TypeError, ValueError
        If the file holds more than weights, spandrel does not know the network, the network changes
        the size or the number of channels, or an option is out of range.

    Examples
    --------
    >>> denoiser = from_file("scunet_color_25.pth", tile=256)  # doctest: +SKIP
    >>> denoiser(image, channel_axis=-1)  # doctest: +SKIP
    """
    denoiser = FromFile(path=path, **options)
    denoiser.warm_up()
    return denoiser


@shared
@dataclass(frozen=True, kw_only=True)
class FromFile(UnitRangeDenoiser):
    """The network of a weight file as a Denoiser; σ is passed on to networks that take it.

    Those are DRUNet and FDnCNN. Other networks do not see σ, which only helps to find black and white.

    Parameters
    ----------
    path : str or Path
        As for `from_file`.
    device : str, default "auto"
        A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.
    %(unit_range)s

    Raises
    ------
    TypeError, ValueError
        If an option is not as described above. The file is read by the first call, which raises what
        `from_file` does.

    Notes
    -----
    Of an image with another number of channels than the network's, each is denoised by itself.
    Networks that do not take σ give results within [black, white], apart from what is far beyond these
    in the image.

    Examples
    --------
    >>> FromFile(path="drunet_gray.pth", device="cpu").tile is None
    True
    """

    PACKAGES = ("spandrel",)

    path: str | PathLike
    device: str = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | PathLike):
            raise TypeError(f"path is {self.path!r}; expected the path of a weight file")
        super().__post_init__()
        find_device(self.device)

    def _network(self) -> tuple[Network, int | None]:
        found = self._found()

        def network(x, sigma):
            x = x.to(found.device)
            return _with_sigma(found, x, sigma) if takes_sigma(found) else _without(found, x)

        return network, found.input_channels

    def warm_up(self, dtype: Any = None) -> None:
        """Read the file."""
        self._found()

    def _found(self) -> Any:
        path = Path(self.path)
        return _load_once(path, path.stat().st_mtime_ns, find_device(self.device))


def takes_sigma(found: Any) -> bool:
    """Whether the network of a spandrel.ModelDescriptor takes a map of σ as its last channel.

    (Spandrel itself passes 15/255 to such a network, whatever the noise.)
    """
    if found.architecture.id not in ("DRUNet", "DnCNN"):
        return False
    first = next(found.model.parameters())
    return first.shape[1] == found.input_channels + 1


def _with_sigma(found, x, sigma):
    """The network's result for images (B, C, H, W) and a map of σ."""
    height, width = x.shape[2:]
    right, below = found.size_requirements.get_padding(width, height)
    x = mirrored(x.cpu(), below, right).to(x.device)
    level = torch.full_like(x[:, :1], sigma)
    with torch.inference_mode():
        return found.model(torch.cat([x, level], dim=1))[..., :height, :width]


def _without(found, x):
    """The network's result for images (B, C, H, W), one by one as spandrel takes them."""
    return torch.cat([found(image[None]) for image in x])


@lru_cache(maxsize=4)
def _load_once(path: Path, modified: int, device: torch.device) -> Any:
    """The spandrel.ModelDescriptor of a file, read once for as long as the file is not modified."""
    try:
        import spandrel
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"from_file needs {error.name}: pip install spandrel", name=error.name
        ) from None
    weights = spandrel.canonicalize_state_dict(read_weights(path))
    try:
        found = spandrel.ModelLoader(device).load_from_state_dict(weights)
    except (spandrel.UnsupportedModelError, KeyError, RuntimeError) as error:
        kind = type(error).__name__
        raise ValueError(
            f"path is {str(path)!r}; expected weights of a network that spandrel knows ({kind})"
        ) from error
    if not isinstance(found, spandrel.ImageModelDescriptor) or found.scale != 1:
        raise ValueError(
            f"path is {str(path)!r}, for {found.purpose} at scale {found.scale}; expected a network that "
            "denoises"
        )
    if found.input_channels != found.output_channels:
        raise ValueError(
            f"path is {str(path)!r}, from {found.input_channels} channels to {found.output_channels}; "
            "expected as many as there are"
        )
    found.eval().model.requires_grad_(False)
    return found


def read_weights(path: Path) -> dict[str, Any]:
    """The tensors of a weight file, on the CPU, without carrying out anything that it holds.

    Spandrel's own loader takes PyTorch's programs (.pt), and unpickles with a filter of its own.

    Parameters
    ----------
    path : Path
        Of a file ``.safetensors``, ``.pth`` or ``.ckpt``.

    Returns
    -------
    dict
        Of names to tensors, or of such dicts.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it has another suffix, is damaged, or holds more than weights.

    Examples
    --------
    >>> read_weights(Path("model.pt"))
    Traceback (most recent call last):
    ValueError: path is 'model.pt'; expected a file .safetensors, .pth or .ckpt
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"path is {str(path)!r}; expected a file .safetensors, .pth or .ckpt")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"path is {str(path)!r}; expected a file of weights alone: {reason}"
        ) from error
    if not isinstance(weights, dict):
        kind = type(weights).__name__
        raise ValueError(f"path is {str(path)!r}, which holds a {kind}; expected a dict of weights")
    return weights
