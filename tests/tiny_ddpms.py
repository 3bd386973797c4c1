"""Tiny folders of DDPMs that diffusers made, with random weights."""

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")

SCHEDULES = {
    "linear": {},
    "scaled_linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "pure noise at T": {"rescale_betas_zero_snr": True},
    "given": {"trained_betas": [0.001, 0.01, 0.1, 0.3], "num_train_timesteps": 4},
}
# The network sees the image as it is.
UNIT = {"black": 0.0, "white": 1.0, "device": "cpu"}


def tiny_model(**options):
    """A UNet2DModel of 8×8 pixels with random weights, none of them zero."""
    torch.manual_seed(0)
    settings = {
        "sample_size": 8, "layers_per_block": 1, "block_out_channels": (8, 8), "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "attention_head_dim": 4,
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    }  # fmt: skip
    return diffusers.UNet2DModel(**settings | options).eval()


def save_pipeline(folder, kind="DDPM", model=None, **settings):
    """A pipeline in a folder: its scheduler is of a kind and has some settings."""
    scheduler = getattr(diffusers, f"{kind}Scheduler")(**settings)
    pipeline = getattr(diffusers, f"{kind}Pipeline")
    pipeline(model or tiny_model(), scheduler).save_pretrained(folder)
    return folder
