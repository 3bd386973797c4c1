"""PyTorch's devices and tensors, for code that does without PyTorch where it can."""

from __future__ import annotations

import sys

__all__ = ["as_array", "find_device", "is_tensor", "multiplies_bfloat16"]


def is_tensor(image):
    """Whether this is a `torch.Tensor`; PyTorch is not imported to find out.

    Examples
    --------
    >>> is_tensor([[0.0, 1.0]])
    False
    """
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(image, torch.Tensor)


def as_array(values):
    """Tensors, on whatever device, as NumPy arrays; all else as it is."""
    return values.detach().cpu().numpy() if is_tensor(values) else values


def find_device(name):
    """The torch.device of a name, ``"auto"`` being CUDA if there is one, else the CPU.

    Raises
    ------
    ValueError
        If it cannot be used here.
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


def multiplies_bfloat16(device):
    """Whether a torch.device multiplies in bfloat16 faster than in float32.

    GPUs since 2020 do, and processors with AVX512-BF16 or AMX.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # (PyTorch before 2.10 cannot tell.)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)() if device.type == "cpu" else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
