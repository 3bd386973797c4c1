"""Small networks of published architectures with random weights, in files. They need spandrel."""

from importlib import import_module

import torch
from safetensors.torch import save_file


def architecture(name):
    return getattr(import_module(f"spandrel.architectures.{name}"), name)


def small(name, channels=3):
    """A small network of an architecture, with random weights."""
    torch.manual_seed(0)
    options = {
        "SCUNet": {"in_nc": channels, "config": [1] * 7, "dim": 64},
        "NAFNet": {
            "img_channel": channels, "width": 8, "middle_blk_num": 1,
            "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1],
        },
        "DRUNet": {"in_nc": channels + 1, "out_nc": channels, "nc": [8] * 4, "nb": 2},
        "DnCNN": {"in_nc": channels, "out_nc": channels, "nc": 8, "nb": 8, "act_mode": "R"},
    }  # fmt: skip
    net = architecture(name)(**options[name]).eval()
    for weight in net.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return net


def saved(net, path):
    weights = {key: value.contiguous() for key, value in net.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save({"params": weights}, path)
    return path


def save_small(name, path):
    """A weight file of a small network of an architecture."""
    return saved(small(name), path)
