"""Tiny training runs on pictures, one of each kind and kind of data."""

from dataclasses import replace

import torch

from difffilter.ddpm.unet import UNetConfig
from difffilter.generate.autoencoder import AutoencoderConfig
from difffilter.generate.clip import CLIPConfig
from difffilter.generate.judge import JudgeConfig
from difffilter.generate.prior import PriorConfig
from difffilter.generate.text import TextConfig
from difffilter.generate.text_to_image import TextToImageConfig
from difffilter.generate.upsampler import UpsamplerConfig
from difffilter.training.generate import METHODS
from difffilter.training.picture_configs import (
    AutoencoderTraining,
    CLIPTraining,
    JudgeTraining,
    TextToImageTraining,
    UpsamplerTraining,
)
from difffilter.training.prior_config import PriorTraining
from difffilter.training.state import TrainingState

CPU = torch.device("cpu")
RUN = {
    "steps": 5, "batch": 4, "warmup": 2, "validation": 3, "validate_every": 2, "scenes": 0.4,
    "precision": "float32",
}  # fmt: skip
TEXT = TextConfig(vocabulary=90, length=12, width=16, layers=1, heads=2)
UNET = UNetConfig(
    channels=3, shuffle=4, widths=(8, 16), blocks=1, middle=1, attention=(1,), heads=2,
    embedding=16, context=16,
)  # fmt: skip
JUDGE = JudgeConfig((("no", "yes"),), widths=(8, 16), blocks=1)
CONFIGS = {
    "autoencoder": AutoencoderTraining(net=AutoencoderConfig(widths=(8, 16), blocks=(1, 1)), **RUN),
    "clip": CLIPTraining(net=CLIPConfig(TEXT, 32, (8, 16), 1, 16, 8, 2), **RUN),
    "pixel": TextToImageTraining(net=TextToImageConfig(UNET, TEXT, 32), **RUN),
    "latent": TextToImageTraining(
        net=TextToImageConfig(replace(UNET, channels=4, shuffle=1), TEXT, 8), pool=6, **RUN
    ),
    "decoder": TextToImageTraining(
        net=TextToImageConfig(replace(UNET, channels=4, shuffle=1), TEXT, 8, image=8),
        autoencoder="autoencoder",
        embeddings="clip",
        pool=6,
        **RUN,
    ),
    "prior": PriorTraining(net=PriorConfig(TEXT, 8), pool=6, **RUN),
    "fashion": TextToImageTraining(
        net=TextToImageConfig(replace(UNET, channels=1), TEXT, 32), **RUN | {"scenes": 0.0}
    ),
    "upsampler": UpsamplerTraining(
        net=UpsamplerConfig(replace(UNET, channels=6, attention=(), context=0), factor=2),
        size=32,
        crop=16,
        autoencoder=None,
        **RUN,
    ),
    "judge-scenes": JudgeTraining(net=JUDGE, **RUN),
    "judge-groups": JudgeTraining(net=JUDGE, subject="groups", **RUN),
}
METRIC = {
    "autoencoder": "reconstruction", "clip": "recall", "text-to-image": "error",
    "prior": "error", "upsampler": "error", "judge": "accuracy",
}  # fmt: skip


def prepared(config, folder):
    """A state at the start of a run, its loss, and what is set aside."""
    method = METHODS[config.kind]
    config = method.prepare(folder, config)
    state = TrainingState(config, CPU)
    train, held = method.read(folder, config)
    return state, method.loss(state, train, 0, 1), held
