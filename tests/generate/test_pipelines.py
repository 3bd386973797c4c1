"""Large models through diffusers: equal to it to the bit, and with its options."""

import functools

import numpy as np
import pytest
from tiny_pipelines import (
    by_diffusers,
    change_index,
    diffusers,
    refusal,
    save_unconditional,
    torch,
)

from difffilter.generate.pipelines import Pipeline

pytestmark = pytest.mark.usefixtures("torch_threads", "no_network")

# --- images ---------------------------------------------------------------------------------


def test_text_to_image_equals_diffusers(from_text, text_folder):
    images = from_text.images("a b", n=2, seed=3, steps=3)
    assert images.shape == (2, 16, 16, 3)
    assert images.dtype == np.uint8
    for k, image in enumerate(images):
        theirs = by_diffusers(
            diffusers.StableDiffusionPipeline, text_folder, "a b",
            seeds=[3 + k], num_inference_steps=3,
        )  # fmt: skip
        assert np.array_equal(image[None], theirs)


def test_options_reach_the_pipeline(from_text, text_folder):
    images = from_text.images(
        "a", seed=1, steps=2, guidance=3.5, negative="b", size=(16, 24), n=2, batch=2
    )
    theirs = by_diffusers(
        diffusers.StableDiffusionPipeline, text_folder, "a", seeds=[1, 2], num_inference_steps=2,
        guidance_scale=3.5, negative_prompt="b", height=16, width=24, num_images_per_prompt=2,
    )  # fmt: skip
    assert images.shape == (2, 16, 24, 3)
    assert np.array_equal(images, theirs)


def test_each_option_changes_the_image(from_text):
    plain = from_text.images("a", seed=0, steps=2, size=16)
    for change in ({"steps": 3}, {"guidance": 1}, {"negative": "b"}, {"seed": 1}):
        assert (from_text.images("a", **({"seed": 0, "steps": 2} | change)) != plain).any(), change
    assert (from_text.images("b", seed=0, steps=2) != plain).any()


def test_images_from_noise_equal_diffusers(from_noise, noise_folder):
    images = from_noise.images(n=2, seed=5, steps=4, batch=2)
    theirs = by_diffusers(
        diffusers.DDPMPipeline, noise_folder, seeds=[5, 6], batch_size=2, num_inference_steps=4
    )
    assert images.shape == (2, 8, 8, 3)
    assert np.array_equal(images, theirs)


@pytest.mark.parametrize(
    ("name", "scheduler"),
    [
        ("DDIMPipeline", "DDIMScheduler"),
        ("PNDMPipeline", "PNDMScheduler"),
        ("ScoreSdeVePipeline", "ScoreSdeVeScheduler"),
    ],
)
def test_every_unconditional_pipeline_generates(name, scheduler, tmp_path):
    kind = getattr(diffusers, name)
    save_unconditional(tmp_path, kind, getattr(diffusers, scheduler)())
    pipeline = Pipeline.load(tmp_path, device="cpu")
    assert (pipeline.name, pipeline.takes_prompt) == (name, False)
    images = pipeline.images(seed=0, steps=5)
    assert np.array_equal(images, by_diffusers(kind, tmp_path, seeds=[0], num_inference_steps=5))


def test_latent_unconditional_pipelines_generate(tmp_path):
    torch.manual_seed(0)
    blocks = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}
    diffusers.LDMPipeline(
        vqvae=diffusers.VQModel(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=3,
            **blocks,
        ),
        unet=diffusers.UNet2DModel(
            sample_size=8,
            down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2,
            **blocks,
        ),
        scheduler=diffusers.DDIMScheduler(),
    ).save_pretrained(tmp_path)
    images = Pipeline.load(tmp_path, device="cpu").images(seed=0, steps=2)
    assert images.shape == (1, 16, 16, 3)
    assert np.array_equal(
        images, by_diffusers(diffusers.LDMPipeline, tmp_path, seeds=[0], num_inference_steps=2)
    )


def test_models_of_grey_images_give_three_equal_channels(tmp_path):
    save_unconditional(tmp_path, diffusers.DDPMPipeline, diffusers.DDPMScheduler(), channels=1)
    images = Pipeline.load(tmp_path, device="cpu").images(n=2, seed=0, steps=2)
    assert images.shape == (2, 8, 8, 3)
    assert images.std() > 0
    assert (images == images[..., :1]).all()


@pytest.mark.parametrize("model", ["from_text", "from_noise"])
def test_an_image_depends_on_its_seed_alone(model, request):
    pipeline = request.getfixturevalue(model)
    prompt = "a b" if pipeline.takes_prompt else None
    images = pipeline.images(prompt, n=3, seed=7, steps=3)
    for k, image in enumerate(images):
        assert np.array_equal(image[None], pipeline.images(prompt, seed=7 + k, steps=3))
    assert (images[0] != images[1]).any()
    together = pipeline.images(prompt, n=3, seed=7, steps=3, batch=2).astype(int)
    assert abs(together - images).max() <= 1


def test_without_a_seed_images_differ(from_noise):
    assert (from_noise.images(steps=2) != from_noise.images(steps=2)).any()


def test_seeds_go_round_at_the_largest(from_noise):
    last = from_noise.images(n=2, seed=2**64 - 1, steps=2)
    assert np.array_equal(last[1:], from_noise.images(seed=0, steps=2))


def test_deprecations_within_diffusers_are_not_shown(copy):
    """Warnings are errors here, and this sampler gives one with NumPy 2."""
    change_index(copy, scheduler=["diffusers", "EulerDiscreteScheduler"])
    assert Pipeline.load(copy, device="cpu").images("a", seed=0, steps=2).std() > 0


# --- options --------------------------------------------------------------------------------


def test_devices_and_dtypes_are_checked(text_folder, noise_folder):
    assert refusal(text_folder, dtype="half") == (
        "dtype is 'half'; expected one of auto, float32, bfloat16, float16"
    )
    assert refusal(text_folder, device="abacus").startswith(
        "device is 'abacus', which cannot be used here: "
    )
    assert refusal(noise_folder, dtype="float16") == (
        "dtype is 'float16'; expected float32, as DDPMPipeline takes no other"
    )


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            "from_text",
            {},
            "prompt is None; expected a text, as StableDiffusionPipeline needs one",
        ),
        ("from_text", {"prompt": 3}, "prompt is 3; expected a text"),
        ("from_text", {"prompt": ["a", "b"]}, "prompt is ['a', 'b']; expected a text"),
        ("from_text", {"prompt": "a", "negative": 3}, "negative is 3; expected a text"),
        (
            "from_text",
            {"prompt": "a", "guidance": -1},
            "guidance is -1; expected a finite number ≥ 0",
        ),
        ("from_text", {"prompt": "a", "steps": 0}, "steps is 0; expected a whole number ≥ 1"),
        ("from_text", {"prompt": "a", "n": 0}, "n is 0; expected a whole number ≥ 1"),
        ("from_text", {"prompt": "a", "batch": 0}, "batch is 0; expected a whole number ≥ 1"),
        ("from_text", {"prompt": "a", "seed": -1}, "seed is -1; expected a whole number ≥ 0"),
        ("from_text", {"prompt": "a", "size": 0}, "size is 0; expected a whole number ≥ 1"),
        (
            "from_text",
            {"prompt": "a", "size": (8, 8, 3)},
            "size is (8, 8, 3); expected a whole number, or height and width",
        ),
        (
            "from_text",
            {"prompt": "a", "size": (16, 12)},
            "size is (16, 12); expected multiples of 8",
        ),
        (
            "from_noise",
            {"prompt": "a"},
            "prompt is 'a'; expected None, as DDPMPipeline takes no text",
        ),
        (
            "from_noise",
            {"guidance": 7.5},
            "guidance is 7.5; expected None, as DDPMPipeline takes no guidance; it takes steps",
        ),
        (
            "from_noise",
            {"negative": "a"},
            "negative is 'a'; expected None, as DDPMPipeline takes no negative; it takes steps",
        ),
        (
            "from_noise",
            {"size": 16},
            "size is 16; expected None, as DDPMPipeline takes no size; it takes steps",
        ),
    ],
)
def test_options_are_checked(model, options, message, request):
    with pytest.raises((TypeError, ValueError)) as caught:
        request.getfixturevalue(model).images(**options)
    assert str(caught.value) == message


def test_images_that_are_not_finite_are_an_error(text_folder):
    pipeline = Pipeline.load(text_folder, device="cpu")
    pipeline.pipe.vae.decoder.conv_out.bias.data[0] = float("nan")
    with pytest.raises(ValueError, match="the images of StableDiffusionPipeline are not finite in"):
        pipeline.images("a", seed=0, steps=2)


@pytest.mark.parametrize(
    "error", [MemoryError, lambda: torch.OutOfMemoryError("CUDA out of memory. Tried\nto")]
)
def test_lack_of_memory_says_what_to_do(from_text, from_noise, error, monkeypatch):
    for pipeline, options, ways in (
        (
            from_text,
            {"prompt": "a", "n": 3, "batch": 2},
            "; choose a smaller size, a batch below 2, dtype bfloat16 or float16",
        ),
        (from_noise, {}, ""),
    ):
        call = type(pipeline.pipe).__call__

        @functools.wraps(call)
        def fail(*_, **__):
            raise error()

        monkeypatch.setattr(type(pipeline.pipe), "__call__", fail)
        with pytest.raises(MemoryError) as caught:
            pipeline.images(**options)
        assert str(caught.value) == f"the images do not fit into the memory of cpu{ways}"


def test_a_model_too_large_for_memory_says_what_to_do(text_folder, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 byte")

    monkeypatch.setattr(diffusers.StableDiffusionPipeline, "to", fail)
    assert refusal(text_folder, MemoryError) == (
        "FOLDER does not fit into the memory of cpu; choose dtype bfloat16 or float16"
    )
