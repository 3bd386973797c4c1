"""Training the networks of text to image: tiny runs of each kind, begun, resumed and exported."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from captioned_folders import write_jsonl, write_squares
from finished_runs import assert_same_run, records, tensors
from picture_runs import CONFIGS, CPU, METRIC, TEXT, prepared

from difffilter.ddpm.unet import UNetConfig
from difffilter.generate import weights
from difffilter.generate.tokens import Tokeniser
from difffilter.io.weights import read
from difffilter.training import autoencoder
from difffilter.training import loss as loss_module
from difffilter.training import run as run_module
from difffilter.training.config import check_unchanged
from difffilter.training.export import export
from difffilter.training.generate import METHODS, fit_generate
from difffilter.training.loop import training_steps
from difffilter.training.photo_configs import LearnedConfig, TrainingConfig
from difffilter.training.picture_configs import (
    AutoencoderTraining,
    CLIPTraining,
    JudgeTraining,
    TextToImageTraining,
)
from difffilter.training.presets import PRESETS
from difffilter.training.state import TrainingState

pytestmark = pytest.mark.usefixtures("few_captions")

RESUMED = "as in the run that is resumed, of which only steps can change"


@pytest.fixture
def folders(picture_folders):
    return picture_folders


@pytest.fixture
def configs(picture_configs):
    return picture_configs


@pytest.fixture(scope="module")
def finished(picture_folders, picture_configs, few_captions, tmp_path_factory):
    """The folder of the finished run of a configuration, which is trained on first use."""
    runs = {}

    def run(name):
        if name not in runs:
            runs[name] = tmp_path_factory.mktemp(name)
            fit_generate(picture_folders[name], runs[name], picture_configs[name], device="cpu")
        return runs[name]

    return run


each = pytest.mark.parametrize("name", CONFIGS)


def refused(message, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


# --- runs -----------------------------------------------------------------------------------


@each
def test_a_run_leaves_a_log_a_checkpoint_and_weights(name, finished, configs):
    run, config = finished(name), configs[name]
    metric, lines = METRIC[config.kind], records(run)
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5]
    assert [line["step"] for line in lines if metric in line] == [2, 4, 5]
    assert all(np.isfinite(line.get("loss", line.get(metric))) for line in lines)
    model = weights.load(run / "weights.safetensors", config.kind)
    for key, value in model.net.state_dict().items():
        expected = tensors(run)[f"ema/{key}"]
        if config.kind in weights.ROUNDED and expected.ndim > 1:
            whole, largest = weights.rounded(expected)
            expected = whole * largest.astype(np.float32) / np.float32(127)
        else:
            expected = expected.astype(np.float16)
        np.testing.assert_array_equal(value.numpy(), expected.astype(np.float32))
    state = TrainingState.load(run / "checkpoint.safetensors", CPU)
    assert model.net.config == state.config.net
    assert model.autoencoder == getattr(config, "autoencoder", None)
    if model.autoencoder is not None:
        assert model.latents == weights.load(model.autoencoder).sha256
    assert model.schedule == getattr(config, "schedule", None)
    if config.kind in ("clip", "text-to-image"):
        assert model.tokeniser == Tokeniser.from_json(state.config.tokeniser)
        assert len(model.tokeniser.vocabulary) == model.net.config.text.vocabulary <= 90
    elif config.kind == "prior":
        assert model.tokeniser == weights.load(config.embeddings).tokeniser
    else:
        assert model.tokeniser is None
    assert model.clip == getattr(config, "embeddings", None)
    if model.clip is not None:
        assert model.embeddings == weights.load(model.clip).sha256


@each
def test_the_loss_of_a_batch_falls(name, folders, configs):
    """Always of the same one: of new ones, chance might make it smaller."""
    config = replace(configs[name], steps=15, learning_rate=0.01)
    state, loss, _ = prepared(config, folders[name])
    losses = [found.item() for found in training_steps(state, lambda _: loss(0))]
    assert losses[-1] < 0.85 * losses[0]


@each
def test_an_interrupted_run_resumes_as_if_nothing_had_happened(
    name, folders, configs, finished, tmp_path, monkeypatch
):
    def failing(state, loss, world):
        def interrupted(step):
            if step == 3:
                raise KeyboardInterrupt
            return loss(step)

        return training_steps(state, interrupted, world)

    folder, config = folders[name], configs[name]
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "training_steps", failing)
        with pytest.raises(KeyboardInterrupt):
            fit_generate(folder, tmp_path, config, device="cpu", checkpoint_seconds=0)
    assert TrainingState.load(tmp_path / "checkpoint.safetensors", CPU).step == 3
    fit_generate(folder, tmp_path, resume=True, device="cpu")
    assert_same_run(tmp_path, finished(name))
    mine, theirs = (read(run / "weights.safetensors") for run in (tmp_path, finished(name)))
    assert mine[0] == theirs[0]  # the checksum among it


@each
def test_a_run_may_be_resumed_with_the_settings_it_began_with(name, folders, configs, finished):
    """Although a run completes them, by a vocabulary or by questions."""
    before = tensors(finished(name))
    fit_generate(folders[name], finished(name), configs[name], resume=True, device="cpu")
    after = tensors(finished(name))
    assert all(np.array_equal(before[key], after[key]) for key in before)


@each
def test_a_run_is_exported(name, finished, configs, tmp_path):
    path = tmp_path / "net.safetensors"
    export(finished(name), path)
    exported, written = (
        weights.load(file, configs[name].kind)
        for file in (path, finished(name) / "weights.safetensors")
    )
    assert exported.sha256 == written.sha256


@each
def test_processes_share_a_batch(name, folders, configs, monkeypatch):
    """The mean of their losses is the loss of one process alone."""
    monkeypatch.setattr(loss_module, "DistributedDataParallel", lambda model: model)
    state, whole, _ = prepared(configs[name], folders[name])
    method = METHODS[state.config.kind]
    found = [method.loss(state, whole.data, rank, 2)(1).item() for rank in range(2)]
    if name == "judge-scenes":  # of which a process averages over the questions that arise
        assert np.isfinite(found).all()
    else:
        assert np.mean(found) == pytest.approx(whole(1).item(), rel=1e-4)
        assert (found[0] == found[1]) == (name == "clip")  # which compares all with all


# --- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [TrainingConfig(), LearnedConfig(), {"steps": 3}])
def test_settings_of_another_method_are_refused(config, tmp_path):
    message = (
        f"config is a {type(config).__name__}; expected AutoencoderTraining or CLIPTraining or "
        "TextToImageTraining or PriorTraining or UpsamplerTraining or JudgeTraining"
    )
    with refused(message, TypeError):
        fit_generate("scenes", tmp_path, config)


def test_without_settings_the_first_preset_is_trained(folders, tmp_path, monkeypatch):
    def stop(state, loss, world):
        assert state.config == replace(PRESETS["autoencoder"], steps=7)
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "training_steps", stop)
    with pytest.raises(KeyboardInterrupt):
        fit_generate(folders["clip"], tmp_path, steps=7, device="cpu")


def test_a_frozen_encoder_keeps_all_latents(folders, configs, finished, tmp_path):
    before = finished("autoencoder") / "weights.safetensors"
    config = replace(configs["autoencoder"], frozen=True)
    fit_generate(folders["autoencoder"], tmp_path, config, init=before, device="cpu")
    old, new = read(before)[1], read(tmp_path / "weights.safetensors")[1]
    for name, values in old.items():
        kept = not name.startswith("decoder")
        assert np.array_equal(values, new[name]) == kept, name
    fit_generate(
        folders["autoencoder"], tmp_path, resume=True, steps=config.steps + 1, device="cpu"
    )
    assert np.array_equal(read(tmp_path / "weights.safetensors")[1]["scale"], old["scale"])


def test_a_run_of_another_method_or_kind_is_not_resumed(folders, finished, tmp_path):
    other = TrainingConfig(unet=UNetConfig(widths=(8, 8), attention=(1,)), crop=8)
    TrainingState(other, CPU).save(tmp_path / "checkpoint.safetensors")
    with refused(f"method is generate; expected ddpm, {RESUMED}"):
        fit_generate("scenes", tmp_path, resume=True)
    with refused(f"kind is autoencoder; expected clip, {RESUMED}"):
        fit_generate("scenes", finished("clip"), CONFIGS["autoencoder"], resume=True)
    with pytest.raises(FileNotFoundError, match=r"^nothing to resume: there is no .*checkpoint"):
        fit_generate("scenes", tmp_path / "none", resume=True)


def test_settings_that_contradict_the_run_are_named(folders, configs, finished):
    def resume(name, **changes):
        config = replace(configs[name], **changes)
        fit_generate(folders[name], finished(name), config, resume=True, device="cpu")

    with refused(f"batch is 2; expected 4; divergence is 1; expected 1e-05, {RESUMED}"):
        resume("autoencoder", batch=2, divergence=1)
    with refused(f"dropped is 0; expected 0.1, {RESUMED}"):
        resume("pixel", dropped=0)
    with refused(f"autoencoder is None; expected {configs['latent'].autoencoder}, {RESUMED}"):
        resume("latent", autoencoder=None)
    with refused(f"subject is scenes; expected groups, {RESUMED}"):
        resume("judge-groups", subject="scenes")
    for name in ("clip", "pixel"):
        net = configs[name].net
        for text in (replace(TEXT, vocabulary=80), replace(TEXT, length=11)):
            with pytest.raises(ValueError, match=r"^net is .*; expected .*, as in the run"):
                resume(name, net=replace(net, text=text))


def test_another_vocabulary_contradicts_the_run_in_a_short_message(folders, configs, finished):
    words = Tokeniser.train(["some words that no picture has"] * 2, 90, 12).to_json()
    saved = TrainingState.load(finished("clip") / "checkpoint.safetensors", CPU).config
    with pytest.raises(ValueError, match=r"^tokeniser is {.*\.\.\.; expected {.*\.\.\.,") as error:
        fit_generate(
            folders["clip"], finished("clip"), replace(configs["clip"], tokeniser=words),
            resume=True, device="cpu",
        )  # fmt: skip
    assert saved.tokeniser[:200] in str(error.value)
    assert saved.tokeniser[:201] not in str(error.value)
    with refused(f"tokeniser is a; expected {200 * 'b'}, {RESUMED}"):
        check_unchanged({"tokeniser": "a"}, replace(saved, tokeniser=200 * "b"))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (AutoencoderTraining, {"scenes": 1.5}, "scenes is 1.5; expected a finite number ≥ 0 and ≤ 1"),
        (CLIPTraining, {"validation": -1}, "validation is -1; expected a whole number ≥ 0"),
        (CLIPTraining, {"batch": 0}, "batch is 0; expected a whole number ≥ 1"),
        (CLIPTraining, {"twins": 2}, "twins is 2; expected a finite number ≥ 0 and ≤ 1"),
        (TextToImageTraining, {"dropped": 2}, "dropped is 2; expected a finite number ≥ 0 and ≤ 1"),
        (TextToImageTraining, {"pool": 0}, "pool is 0; expected a whole number ≥ 1"),
        (TextToImageTraining, {"median": 1}, "median is 1; expected a finite number > 0 and ≤ 0.99"),
        (JudgeTraining, {"subject": "cells"}, "subject is 'cells'; expected one of scenes, groups"),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(kind, settings, message):
    with refused(message):
        kind(**settings)


def test_networks_that_do_not_take_the_pictures_are_refused(folders, configs, tmp_path):
    fashion, latent = folders["fashion"], configs["latent"]
    grey = f"channels is 3; expected 1, those of the pictures in {fashion}"
    for name, message in (
        ("autoencoder", grey),
        ("clip", grey),
        ("pixel", grey),
        ("fashion", f"scenes is 0.4; expected 0, as the pictures in {fashion} are grey"),
    ):
        with refused(message):
            fit_generate(fashion, tmp_path, replace(configs[name], scenes=0.4), device="cpu")
    with refused(f"channels is 3; expected 4, those of the latents of {latent.autoencoder}"):
        net = replace(latent.net, unet=replace(latent.net.unet, channels=3))
        fit_generate(folders["latent"], tmp_path, replace(latent, net=net), device="cpu")
    with refused("channels is 1; expected 3, those of scenes"):
        fit_generate("scenes", tmp_path, configs["fashion"], device="cpu")
    assert not (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("name", ["autoencoder", "clip", "latent", "pixel", "judge-groups"])
@pytest.mark.parametrize("scenes", [0.0, 0.4])
def test_without_pictures_set_aside_a_run_is_validated_on_scenes_or_not(
    name, scenes, folders, configs, tmp_path
):
    config = replace(configs[name], validation=0, scenes=scenes, steps=1)
    fit_generate(folders[name], tmp_path, config, device="cpu")
    scored = [line for line in records(tmp_path) if METRIC[config.kind] in line]
    assert len(scored) == (scenes > 0 and name != "judge-groups")


# --- judges of groups -----------------------------------------------------------------------


def test_a_judge_of_groups_needs_groups(configs, finished, tmp_path):
    config, run = configs["judge-groups"], tmp_path / "run"
    start = "subject is 'groups'; expected 'scenes', as not every picture in"
    with refused(f"{start} scenes has a group"):
        fit_generate("scenes", run, config)
    lines = write_squares(tmp_path)
    write_jsonl(tmp_path, [*lines[:-1], lines[-1] | {"group": ""}])
    with refused(f"{start} {tmp_path} has a group"):
        fit_generate(tmp_path, run, config)
    # A resumed run has the groups that it began with.
    write_jsonl(tmp_path, [*lines[:-1], lines[-1] | {"group": "hot"}])
    with refused(f"groups in {tmp_path} is cold, hot, warm; expected some of cold, warm"):
        fit_generate(tmp_path, finished("judge-groups"), resume=True)
    with refused("groups in scenes is none; expected some of cold, warm"):
        fit_generate("scenes", finished("judge-groups"), resume=True)


def test_a_judge_of_fashion_is_one_of_grey_pictures(folders, configs, tmp_path):
    config = replace(configs["judge-groups"], steps=1)
    for resume in (False, True):
        path = fit_generate(folders["fashion"], tmp_path, config, resume=resume, device="cpu")
    net = weights.load(path, "judge").net
    assert net.config.channels == 1
    assert net.config.questions == (("coat", "dress", "pullover", "t-shirt", "trousers"),)


# --- vocabularies, and the start from weights -----------------------------------------------


def test_a_vocabulary_is_kept_when_the_captions_change(configs, tmp_path):
    folder, run = tmp_path / "folder", tmp_path / "run"
    folder.mkdir()
    lines = write_squares(folder)
    config = replace(configs["clip"], steps=2, scenes=0.0)
    fit_generate(folder, run, config, device="cpu")
    first = weights.load(run / "weights.safetensors").tokeniser
    assert first.unknown("a red square") == []
    write_jsonl(folder, [line | {"label": "some violet aubergine"} for line in lines])
    for given in (None, config):
        fit_generate(folder, run, given, resume=True, steps=3, device="cpu")
        assert weights.load(run / "weights.safetensors").tokeniser == first


@pytest.mark.parametrize("name", ["clip", "pixel"])
def test_a_given_vocabulary_decides_the_size_of_the_network(name, configs):
    words = Tokeniser.train(["a red heart", "a blue fish"], 82, 9)
    given = replace(configs[name], tokeniser=words.to_json())
    config = METHODS[given.kind].prepare("no folder is read", given)
    assert config.tokeniser == words.to_json()
    assert config.net.text == replace(TEXT, vocabulary=len(words.vocabulary), length=9)
    assert given.completed(config) == config


@pytest.mark.parametrize("name", ["clip", "pixel"])
def test_tokens_are_found_again_by_their_spelling(name, configs, finished):
    """Where two vocabularies differ, a number stands for different tokens."""
    init = weights.load(finished(name) / "weights.safetensors")
    theirs = init.tokeniser.vocabulary
    words = Tokeniser.train(["a red, a square; raspberry, raspberry"] * 3, len(theirs), 12)
    mine = words.vocabulary
    config = replace(configs[name], tokeniser=words.to_json())
    method = METHODS[config.kind]
    config = method.prepare("no folder is read", config)
    fresh, state = TrainingState(config, CPU), TrainingState(config, CPU)
    method.start(state, init)
    moved = [token for token in set(mine) & set(theirs) if mine.index(token) != theirs.index(token)]
    assert moved
    assert set(mine) - set(theirs)
    given = init.net.text.tokens.weight
    for net, untouched in ((state.net, fresh.net), (state.averaged, fresh.averaged)):
        for number, token in enumerate(mine):
            row = net.text.tokens.weight[number]
            if token in theirs:
                assert torch.equal(row, given[theirs.index(token)])
            else:
                assert torch.equal(row, untouched.text.tokens.weight[number])
        assert torch.equal(net.text.norm.weight, init.net.text.norm.weight)


@each
def test_a_run_starts_from_weights_of_its_kind(name, folders, configs, finished, tmp_path):
    init = finished(name) / "weights.safetensors"
    config = replace(configs[name], steps=1, learning_rate=1e-6, warmup=0, seed=5)
    path = fit_generate(folders[name], tmp_path / "run", config, init=init, device="cpu")
    found, given = (weights.load(file).net.state_dict() for file in (path, init))
    for key, value in found.items():
        # (The scale of latents follows those of the batch, and half precision rounds.)
        assert torch.allclose(value, given[key], rtol=0.05 if key == "scale" else 0, atol=2e-3), key
    other = "autoencoder" if config.kind != "autoencoder" else "clip"
    init = finished(other) / "weights.safetensors"
    with refused(f"weights is {str(init)!r}, of kind {other}; expected {config.kind}"):
        fit_generate(folders[name], tmp_path / "other", config, init=init, device="cpu")


def test_an_autoencoder_may_start_from_one_of_other_channels(finished, configs):
    init = weights.load(finished("autoencoder") / "weights.safetensors")
    config = replace(configs["autoencoder"], net=replace(init.net.config, channels=1))
    fresh, state = TrainingState(config, CPU), TrainingState(config, CPU)
    autoencoder.METHOD.start(state, init)
    given, untouched = init.net.state_dict(), fresh.net.state_dict()
    for key, weight in state.net.state_dict().items():
        same = weight.shape == given[key].shape
        assert torch.equal(weight, (given if same else untouched)[key])
        assert same or key in ("encoder.1.weight", "decoder.6.weight", "decoder.6.bias"), key


@pytest.mark.parametrize("name", ["pixel", "latent"])
def test_captions_name_colours_if_asked_to(name, configs, tmp_path):
    config = replace(configs[name], scenes=0.0, pool=1)
    lines = write_squares(tmp_path)
    write_jsonl(tmp_path, [each | {"label": each["label"].split()[-1]} for each in lines])
    drawn = {}
    for coloured in (False, True):
        data, held = METHODS["text-to-image"].read(tmp_path, replace(config, coloured=coloured))
        rng = np.random.default_rng(0)
        drawn[coloured] = {data.draw(rng)[1] for _ in range(400)}
        assert not held.pictures.captioned.colours
    colours = {"a red square", "a green square", "a blue square"}
    assert not colours & drawn[False]
    assert colours <= drawn[True]
