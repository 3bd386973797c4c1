"""Tiny pipelines of diffusers with random weights, in folders, and what is said of them."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

from difffilter.generate.pipelines import Pipeline  # noqa: E402


def save_text(folder):
    """A Stable Diffusion of 16×16 pixels with random weights, which knows the words a and b."""
    tokens = ["a</w>", "b</w>", "a", "b", "<|startoftext|>", "<|endoftext|>"]
    words = folder.with_name("words")
    words.mkdir()
    (words / "vocab.json").write_text(json.dumps({token: k for k, token in enumerate(tokens)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    torch.manual_seed(0)
    diffusers.StableDiffusionPipeline(
        unet=diffusers.UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
            cross_attention_dim=16, attention_head_dim=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        vae=diffusers.AutoencoderKL(
            sample_size=16, block_out_channels=(8, 8), norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        text_encoder=transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=6, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                num_attention_heads=2, max_position_embeddings=16,
                bos_token_id=4, eos_token_id=5, pad_token_id=5,
            )
        ),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(words, model_max_length=16),
        scheduler=diffusers.PNDMScheduler(skip_prk_steps=True, steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def save_unconditional(folder, kind, scheduler, channels=3):
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=8, in_channels=channels, out_channels=channels, layers_per_block=1,
        block_out_channels=(8, 8), norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    )  # fmt: skip
    kind(unet, scheduler).save_pretrained(folder)
    return folder


def by_diffusers(kind, folder, *arguments, seeds, **options):
    """The images of diffusers itself, saved as it saves them."""
    pipe = kind.from_pretrained(folder, low_cpu_mem_usage=False)
    pipe.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    images = pipe(*arguments, generator=generators, **options).images
    return np.stack([np.asarray(image.convert("RGB")) for image in images])


def change_index(folder, **changes):
    file = folder / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refusal(folder, kind=ValueError, **options):
    """The message with which a folder is refused, without the path."""
    with pytest.raises(kind) as caught:
        Pipeline.load(folder, **({"device": "cpu"} | options))
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "").replace(str(folder), "FOLDER")
