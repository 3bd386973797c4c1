"""PyTorch devices and tensors, for code that must work without PyTorch."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["as_array", "find_device", "is_tensor", "multiplies_bfloat16"]


def is_tensor(image: Any) -> bool:
    """Whether an object is a `torch.Tensor`, without importing PyTorch.

    Examples
    --------
    >>> is_tensor([[0.0, 1.0]])
    False
    """
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(image, torch.Tensor)


def as_array(values: Any) -> Any:
    """Convert a tensor on any device to a NumPy array; return anything else unchanged."""
    return values.detach().cpu().numpy() if is_tensor(values) else values


def find_device(name: str) -> Any:
    """Find a device by its name.

    Parameters
    ----------
    name : str
        A PyTorch device, or ``"auto"``: CUDA if available, else the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If PyTorch is not installed, or the device cannot be used on this machine.
    """
    try:
        import torch
    except ImportError:
        raise ValueError(
            f"device is {name!r}, which needs PyTorch: pip install 'difffilter[ddpm]'"
        ) from None
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device is {name!r}, which cannot be used here: {error}") from None
    return device


def multiplies_bfloat16(device: Any) -> bool:
    """Whether a `torch.device` multiplies matrices faster in bfloat16 than in float32.

    This holds for GPUs since 2020, and for processors with AVX512-BF16 or AMX.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # (PyTorch before 2.10 cannot tell.)
    capabilities: dict = (
        getattr(torch.cpu, "get_capabilities", dict)() if device.type == "cpu" else {}
    )
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
