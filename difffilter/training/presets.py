"""Presets of training runs, and their kinds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from difffilter.ddpm.bias_free import BiasFreeConfig
from difffilter.ddpm.unet import UNetConfig
from difffilter.generate.prior import PriorConfig
from difffilter.generate.text import TextConfig
from difffilter.generate.text_to_image import TextToImageConfig
from difffilter.training.config import RunConfig
from difffilter.training.convex_network import BankConfig
from difffilter.training.photo_configs import ConvexConfig, LearnedConfig, TrainingConfig
from difffilter.training.picture_configs import (
    AutoencoderTraining,
    CLIPTraining,
    JudgeTraining,
    TextToImageTraining,
    UpsamplerTraining,
)
from difffilter.training.prior_config import PriorTraining
from difffilter.training.sound_config import SoundTraining

__all__ = ["CONFIGS", "PRESETS"]

CONFIGS: dict[str, type[RunConfig]] = {
    config.kind: config
    for config in (
        *(TrainingConfig, LearnedConfig, ConvexConfig),
        *(AutoencoderTraining, CLIPTraining, TextToImageTraining, UpsamplerTraining),
        *(PriorTraining, JudgeTraining, SoundTraining),
    )
}

# Networks without biases learn most at half the usual learning rate.
BIAS_FREE: dict[str, Any] = {
    "steps": 30_000,
    "growth": (1, 4 / 3, 2),
    "learning_rate": 1.5e-3,
    "ema": 0.999,
    "sigma": 25 / 255,
    "drawings": 0.08,
    "maps": 0.2,
    "uniform": 0.05,
}
# Six times the weights and eight times the work of the small network, for training on a GPU.
BASE = UNetConfig(
    widths=(128, 192, 192, 192), blocks=4, middle=2, heads=8, groups=16, embedding=256
)
LONG: dict[str, Any] = {"steps": 50_000, "batch": 32, "crop": 128, "warmup": 500, "ema": 0.9995}
# To start from weights for Gaussian noise, hence with a lower learning rate.
REAL: dict[str, Any] = {"noise": "real", "learning_rate": 1.5e-3}

# Text to image in pixels: pictures of 32×32. At 8×8 and below, the first is as the network for latents.
# Attention at 16×16, too, would make a step of the second take 5 times as long.
PIXEL = TextToImageConfig(
    UNetConfig(
        channels=3,
        shuffle=2,
        widths=(64, 112, 160),
        blocks=2,
        middle=2,
        attention=(1, 2),
        context=128,
    ),
    size=32,
)
FASHION = TextToImageConfig(
    UNetConfig(channels=1, shuffle=2, widths=(48, 80), middle=1, attention=(1,), context=32),
    TextConfig(vocabulary=128, length=8, width=32, layers=1),
    size=32,
)
# Spectrograms of 64×64; attention at the coarsest level of 8×8.
SOUNDS = TextToImageConfig(
    UNetConfig(channels=1, shuffle=2, widths=(48, 80, 96), middle=1, attention=(2,), context=64),
    TextConfig(vocabulary=256, length=12, width=64, layers=1),
    size=64,
)

PRESETS: dict[str, RunConfig] = {
    "gray-small": TrainingConfig(),
    "color-small": TrainingConfig(unet=UNetConfig(channels=3)),
    "gray-bias-free": TrainingConfig(unet=BiasFreeConfig(), **BIAS_FREE),
    "color-bias-free": TrainingConfig(unet=BiasFreeConfig(channels=3), **BIAS_FREE),
    "gray-real": TrainingConfig(**REAL),
    "color-real": TrainingConfig(unet=UNetConfig(channels=3), **REAL),
    "gray-base": TrainingConfig(unet=BASE, **LONG),
    "color-base": TrainingConfig(unet=replace(BASE, channels=3), **LONG),
    "deep-gray": LearnedConfig(),
    "deep-color": LearnedConfig(channels=3),
    "convex-gray": ConvexConfig(),
    "convex-color": ConvexConfig(
        channels=3, banks=(BankConfig(1, 3, 8), BankConfig(2, 6, 20), BankConfig(4, 12, 20))
    ),
    "autoencoder": AutoencoderTraining(steps=8_000, batch=16),
    "clip": CLIPTraining(steps=8_000, batch=128),
    "latent": TextToImageTraining(autoencoder="autoencoder", median=0.25, steps=20_000, batch=64),
    "decoder": TextToImageTraining(
        net=TextToImageConfig(image=128),
        autoencoder="autoencoder",
        embeddings="clip",
        dropped=0.5,
        steps=5_000,
        batch=64,
        learning_rate=1.5e-3,
    ),
    "prior": PriorTraining(steps=6_000, batch=64),
    "prior-regression": PriorTraining(net=PriorConfig(regression=True), steps=6_000, batch=64),
    "pixel": TextToImageTraining(net=PIXEL, steps=14_000, batch=48),
    "fashion": TextToImageTraining(net=FASHION, steps=10_000, batch=64),
    "sounds": TextToImageTraining(net=SOUNDS, steps=6_000, batch=32),
    "upsampler": UpsamplerTraining(steps=6_000, batch=16),
    "judge-scenes": JudgeTraining(steps=4_000, batch=64),
    "judge-groups": JudgeTraining(steps=4_000, subject="groups"),
    "judge-fashion": JudgeTraining(steps=3_000, batch=64, subject="groups", validation=2_000),
    "sound": SoundTraining(),
}
