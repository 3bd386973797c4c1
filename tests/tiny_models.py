"""Tiny networks of text to image with random weights, written as weight files."""

from dataclasses import replace

import torch

from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNetConfig
from difffilter.generate import (
    CLIP,
    Autoencoder,
    AutoencoderConfig,
    CLIPConfig,
    Model,
    Prior,
    PriorConfig,
    TextConfig,
    TextToImage,
    TextToImageConfig,
    Tokeniser,
    Upsampler,
    UpsamplerConfig,
    load,
    save,
)

WORDS = Tokeniser.train(["a red heart", "a blue fish", "a red fish"] * 2, 100, 12)
TEXT = TextConfig(len(WORDS.vocabulary), 12, 16, 1, 2)


def random_weights(net):
    """A network whose weights are random, none zero, and the same every time."""
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        weight.data = (
            torch.randn(weight.shape, generator=generator) / max(8, weight[0].numel()) ** 0.5
        )
    return net.eval().requires_grad_(False)


def tiny_autoencoder(folder):
    """The path of an autoencoder of factor 8, 3 channels and 4 latent ones."""
    net = random_weights(Autoencoder(AutoencoderConfig(widths=(8, 8, 8), blocks=(1, 1, 1))))
    save(folder / "autoencoder.safetensors", Model("autoencoder", net))
    return folder / "autoencoder.safetensors"


def tiny_model(folder, kind="latent"):
    """The path of a network for latents of 8×8, or for grey pixels of 16×16."""
    latent = kind == "latent"
    unet = UNetConfig(
        channels=4 if latent else 1, shuffle=1, widths=(8, 16), blocks=1, middle=1,
        attention=(1,), heads=2, embedding=16, context=16,
    )  # fmt: skip
    net = random_weights(TextToImage(TextToImageConfig(unet, TEXT, 8 if latent else 16)))
    path = folder / f"{kind}.safetensors"
    autoencoder = str(tiny_autoencoder(folder)) if latent else None
    latents = load(autoencoder).sha256 if latent else None
    save(path, Model("text-to-image", net, WORDS, NoiseSchedule(), autoencoder, latents))
    return path


def tiny_clip(folder, size=16):
    """The path of a CLIP."""
    config = CLIPConfig(TEXT, size, (8, 8), 1, 8, 8, 2)
    save(folder / "clip.safetensors", Model("clip", random_weights(CLIP(config)), WORDS))
    return folder / "clip.safetensors"


def tiny_unclip(folder, regression=False):
    """The paths of a decoder of latents, and of a prior, for the same CLIP."""
    clip = str(tiny_clip(folder))
    latent = load(tiny_model(folder))
    net = random_weights(TextToImage(replace(latent.net.config, image=8)))
    of_clip = {"clip": clip, "embeddings": load(clip).sha256}
    save(folder / "decoder.safetensors", replace(latent, net=net, **of_clip))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Prior(PriorConfig(TEXT, 8, regression))
        torch.nn.init.normal_(net.tokens.weight)  # so that words matter
    net.eval().requires_grad_(False)
    model = Model("prior", net, WORDS, NoiseSchedule(), **of_clip)
    save(folder / "prior.safetensors", model)
    return folder / "decoder.safetensors", folder / "prior.safetensors"


def tiny_upsampler(folder):
    """The path of an upsampler of factor 4, for pictures in colour."""
    unet = UNetConfig(
        channels=6, shuffle=4, widths=(8, 16), blocks=1, middle=1, attention=(), embedding=16
    )
    net = random_weights(Upsampler(UpsamplerConfig(unet)))
    save(folder / "upsampler.safetensors", Model("upsampler", net, schedule=NoiseSchedule()))
    return folder / "upsampler.safetensors"


def tiny_sounds(folder):
    """The path of a network for spectrograms: grey pictures of 64×64."""
    unet = UNetConfig(
        channels=1, shuffle=8, widths=(8, 16), blocks=1, middle=1,
        attention=(1,), heads=2, embedding=16, context=16,
    )  # fmt: skip
    net = random_weights(TextToImage(TextToImageConfig(unet, TEXT, 64)))
    save(folder / "sounds.safetensors", Model("text-to-image", net, WORDS, NoiseSchedule()))
    return folder / "sounds.safetensors"
