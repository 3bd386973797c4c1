"""Large models through diffusers: equal to it to the bit, offline, and without pickles."""

import functools
import json
import logging
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

from difffilter.generate.pipelines import Pipeline  # noqa: E402

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="session", autouse=True)
def one_thread(torch_threads):
    """For every test of this module."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Any use of the network fails the test, even if a library goes on without it."""
    used = []

    def refuse(*arguments, **_):
        used.append(arguments)
        raise OSError("there is no network")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    yield
    assert not used


# --- tiny models ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def text_folder(folders):
    """A Stable Diffusion of 16×16 pixels with random weights, which knows the words a and b."""
    tokens = ["a</w>", "b</w>", "a", "b", "<|startoftext|>", "<|endoftext|>"]
    words = folders / "words"
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
    ).save_pretrained(folders / "text")  # fmt: skip
    return folders / "text"


def save_unconditional(folder, kind, scheduler, channels=3):
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=8, in_channels=channels, out_channels=channels, layers_per_block=1,
        block_out_channels=(8, 8), norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    )  # fmt: skip
    kind(unet, scheduler).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def noise_folder(folders):
    """A DDPM of 8×8 pixels with random weights."""
    return save_unconditional(folders / "noise", diffusers.DDPMPipeline, diffusers.DDPMScheduler())


@pytest.fixture(scope="module")
def from_text(text_folder):
    return Pipeline.load(text_folder, device="cpu")


@pytest.fixture(scope="module")
def from_noise(noise_folder):
    return Pipeline.load(noise_folder, device="cpu")


def by_diffusers(kind, folder, *arguments, seeds, **options):
    """The images of diffusers itself, saved as it saves them."""
    pipe = kind.from_pretrained(folder, low_cpu_mem_usage=False)
    pipe.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    images = pipe(*arguments, generator=generators, **options).images
    return np.stack([np.asarray(image.convert("RGB")) for image in images])


@pytest.fixture
def copy(text_folder, tmp_path):
    """A copy of the text-to-image folder to change."""
    return shutil.copytree(text_folder, tmp_path / "copy")


def change_index(folder, **changes):
    file = folder / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


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


# --- folders --------------------------------------------------------------------------------


def test_loading_says_what_was_chosen(from_text, from_noise):
    assert repr(from_text) == (
        "Pipeline(name='StableDiffusionPipeline', takes_prompt=True, device='cpu', dtype='float32')"
    )
    assert (from_noise.name, from_noise.takes_prompt) == ("DDPMPipeline", False)


def test_weights_take_the_dtype(text_folder):
    pipeline = Pipeline.load(text_folder, device="cpu", dtype="bfloat16")
    dtypes = {weight.dtype for weight in pipeline.pipe.unet.parameters()}
    assert dtypes == {torch.bfloat16}
    assert pipeline.images("a", seed=0, steps=2).std() > 0


def test_networks_that_diffusers_leaves_in_float32_take_the_dtype(text_folder, monkeypatch):
    """As it does with the transformer of Stable Diffusion 3 if accelerate is missing."""
    load = diffusers.StableDiffusionPipeline.from_pretrained

    def ignore_dtype(*arguments, dtype, **options):
        return load(*arguments, **options)

    monkeypatch.setattr(diffusers.StableDiffusionPipeline, "from_pretrained", ignore_dtype)
    pipeline = Pipeline.load(text_folder, device="cpu", dtype="bfloat16")
    for part in (pipeline.pipe.unet, pipeline.pipe.vae, pipeline.pipe.text_encoder):
        assert {weight.dtype for weight in part.parameters()} == {torch.bfloat16}


def test_loading_is_offline_and_safe(text_folder, monkeypatch):
    from huggingface_hub import constants

    load, seen = diffusers.StableDiffusionPipeline.from_pretrained, {}

    def watch(*arguments, **options):
        seen.update(options, offline=constants.HF_HUB_OFFLINE)
        return load(*arguments, **options)

    monkeypatch.setattr(diffusers.StableDiffusionPipeline, "from_pretrained", watch)
    Pipeline.load(text_folder, device="cpu")
    assert seen["offline"] is seen["use_safetensors"] is seen["local_files_only"] is True
    assert seen["trust_remote_code"] is False


def test_stderr_stays_empty_unless_it_is_a_terminal(text_folder, capfd):
    said = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())
    loggers = [logging.getLogger(library) for library in ("diffusers", "transformers")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        Pipeline.load(text_folder, device="cpu").images("a", seed=0, steps=2)
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert capfd.readouterr().err == ""
    assert not said


def test_progress_bars_are_left_as_they_were(text_folder):
    from diffusers.utils import logging as of_diffusers
    from huggingface_hub import constants
    from transformers.utils import logging as of_transformers

    before = constants.HF_HUB_OFFLINE
    of_transformers.disable_progress_bar()
    try:
        Pipeline.load(text_folder, device="cpu")
        assert not of_transformers.is_progress_bar_enabled()
    finally:
        of_transformers.enable_progress_bar()
    Pipeline.load(text_folder, device="cpu")
    assert of_diffusers.is_progress_bar_enabled()
    assert of_transformers.is_progress_bar_enabled()
    assert before == constants.HF_HUB_OFFLINE


def test_optional_parts_may_be_absent(copy, from_text):
    change_index(
        copy,
        safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"],
        feature_extractor=["transformers", "CLIPImageProcessor"],
    )
    pipeline = Pipeline.load(copy, device="cpu")
    assert pipeline.pipe.safety_checker is None
    assert np.array_equal(
        pipeline.images("a", seed=0, steps=2), from_text.images("a", seed=0, steps=2)
    )


def test_other_pipelines_of_the_family_are_opened_as_text_to_image(copy):
    change_index(copy, _class_name="StableDiffusionImg2ImgPipeline")
    assert Pipeline.load(copy, device="cpu").name == "StableDiffusionPipeline"


def test_outdated_configurations_give_no_warning(copy):
    """Warnings are errors here, and diffusers gives one for this offset, which it corrects."""
    file = copy / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"steps_offset": 0}))
    assert Pipeline.load(copy, device="cpu").pipe.scheduler.config.steps_offset == 1


@pytest.mark.parametrize("both", [False, True])
def test_weights_of_a_variant_are_found(copy, both, from_text):
    plain = copy / UNET
    variant = plain.with_suffix(".fp16.safetensors")
    if both:  # the plain ones are taken
        variant.write_bytes(b"damaged")
    else:
        plain.rename(variant)
    images = Pipeline.load(copy, device="cpu").images("a", seed=0, steps=2)
    assert np.array_equal(images, from_text.images("a", seed=0, steps=2))


def refusal(folder, kind=ValueError, **options):
    """The message with which a folder is refused, without the path."""
    with pytest.raises(kind) as caught:
        Pipeline.load(folder, **({"device": "cpu"} | options))
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "").replace(str(folder), "FOLDER")


@pytest.mark.parametrize("name", ["stabilityai/sdxl-turbo", "nowhere"])
def test_names_are_not_looked_up(name):
    assert refusal(name, FileNotFoundError) == (
        "folder is 'FOLDER'; expected a folder on this machine, since nothing is downloaded"
    )


@pytest.mark.parametrize("part", ["unet", "text_encoder", "vae"])
def test_pickles_are_refused(copy, part):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was opened",))

    (weights,) = (copy / part).glob("*.safetensors")
    pickle = weights.with_name(
        {"text_encoder": "pytorch_model.bin"}.get(part, "diffusion_pytorch_model.bin")
    )
    torch.save(Trap(), pickle)
    Pipeline.load(copy, device="cpu")  # which takes the safetensors
    weights.unlink()
    assert refusal(copy) == (
        f"{pickle.relative_to(copy)} is a pickle, which can run any code when it is opened; "
        "expected safetensors: get the model in that format or, if you trust the file, open it "
        "with diffusers and write it anew with save_pretrained"
    )


def test_a_lone_checkpoint_is_refused(tmp_path):
    (tmp_path / "v1-5-pruned.ckpt").write_bytes(b"")
    assert refusal(tmp_path).startswith("v1-5-pruned.ckpt is a pickle, which can run any code")


def test_incomplete_folders_are_refused(copy):
    shutil.rmtree(copy / "vae")
    assert refusal(copy) == "FOLDER lacks the folder vae, which its model_index.json names"
    index = json.loads((copy / "model_index.json").read_text())
    del index["vae"]
    (copy / "model_index.json").write_text(json.dumps(index))
    assert refusal(copy) == (
        "FOLDER lacks vae of StableDiffusionPipeline; expected all parts in one folder, as "
        "save_pretrained writes them"
    )
    (copy / "model_index.json").unlink()
    assert refusal(copy) == (
        "FOLDER has no model_index.json; expected a folder in the layout of diffusers"
    )


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"_class_name": null}', "\0"])
def test_a_damaged_index_is_an_error(index, tmp_path):
    (tmp_path / "model_index.json").write_text(index)
    assert refusal(tmp_path) == (
        "model_index.json is damaged; expected JSON that names the class of a pipeline"
    )


@pytest.mark.parametrize("file", [UNET, "text_encoder/model.safetensors", "vae/config.json"])
def test_a_damaged_file_is_an_error(copy, file):
    content = (copy / file).read_bytes()
    (copy / file).write_bytes(content[: len(content) // 2])
    assert refusal(copy).startswith("FOLDER cannot be opened: ")


@pytest.mark.parametrize(
    "changes",
    [
        {"unet": ["evil", "UNet"]},
        {"unet": ["subprocess", "Popen"]},
        {"_class_name": ["evil", "Pipeline"]},
    ],
)
def test_code_in_a_folder_is_never_run(copy, changes):
    for place in (copy, copy / "unet"):
        (place / "evil.py").write_text("raise SystemExit('code of the folder was run')")
    change_index(copy, **changes)
    assert refusal(copy) == (
        "FOLDER needs code of its own, which is never run; expected a pipeline whose parts are "
        "classes of diffusers and transformers"
    )


@pytest.mark.parametrize(
    "name",
    [
        "DiTPipeline",
        "WanPipeline",
        "HeliosPipeline",
        "LattePipeline",
        "KandinskyV22PriorPipeline",
        "StableDiffusionControlNetPipeline",
        "StableDiffusionUpscalePipeline",
        "Flux9",
        "UNet2DModel",
    ],
)
def test_other_pipelines_are_refused(copy, name):
    change_index(copy, _class_name=name)
    assert refusal(copy) == (
        f"FOLDER is a {name}; expected a text-to-image or an unconditional pipeline that "
        f"diffusers {diffusers.__version__} knows"
    )


def test_text_to_image_outside_the_tables_of_diffusers_is_known(copy):
    change_index(copy, _class_name="StableDiffusionSAGPipeline")
    pipeline = Pipeline.load(copy, device="cpu")
    assert (pipeline.name, pipeline.takes_prompt) == ("StableDiffusionSAGPipeline", True)


def test_pipelines_that_need_accelerate_say_so(text_folder, monkeypatch):
    monkeypatch.setattr(diffusers.UNet2DConditionModel, "_keep_in_fp32_modules", ["conv_in"])
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert refusal(text_folder) == (
        "FOLDER cannot be opened: it needs accelerate: pip install accelerate"
    )


def test_half_of_a_pipeline_is_refused(copy):
    """Its other half would be looked up on the Hub."""
    (copy / "README.md").write_text("---\nprior:\n- kandinsky-community/kandinsky-2-2-prior\n---\n")
    change_index(copy, _class_name="KandinskyV22Pipeline", movq=["diffusers", "VQModel"])
    (copy / "movq").mkdir()
    assert refusal(copy) == (
        "FOLDER lacks prior_prior, prior_image_encoder, prior_text_encoder, prior_tokenizer, "
        "prior_scheduler, prior_image_processor of KandinskyV22CombinedPipeline; expected all "
        "parts in one folder, as save_pretrained writes them"
    )


def test_tokenizers_that_need_a_library_are_refused_without_it(copy, monkeypatch):
    (copy / "tokenizer" / "spiece.model").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    Pipeline.load(copy, device="cpu")  # which has tokenizer.json, too
    (copy / "tokenizer" / "tokenizer.json").unlink()
    assert refusal(copy) == (
        "tokenizer is a tokenizer of SentencePiece's: pip install sentencepiece protobuf"
    )


@pytest.mark.parametrize("library", ["torch", "transformers", "diffusers"])
def test_without_the_extra_it_says_what_to_install(noise_folder, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    assert refusal(noise_folder) == (
        f"FOLDER is a model for diffusers, which needs {library}: "
        "pip install 'difffilter[diffusers]'"
    )


def test_importing_the_module_imports_no_library():
    code = (
        "import sys, difffilter.generate.pipelines\n"
        "assert not {'torch', 'transformers', 'diffusers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
