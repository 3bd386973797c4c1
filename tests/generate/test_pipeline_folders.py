"""Folders of large models: which are opened, offline and without pickles, and which are refused."""

import json
import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tiny_pipelines import change_index, diffusers, refusal, torch

from difffilter.generate.pipelines import Pipeline

pytestmark = pytest.mark.usefixtures("torch_threads", "no_network")

UNET = "unet/diffusion_pytorch_model.safetensors"


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
