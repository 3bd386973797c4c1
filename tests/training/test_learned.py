"""Training a learned diffusion: the same runs as a DDPM's, and weights that the filter uses."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from finished_runs import assert_same_run, records

import difffilter as df
from difffilter.io.weights import read
from difffilter.pde import weights
from difffilter.pde.solve.convex import Convex
from difffilter.training import ddpm, learned
from difffilter.training.convex_network import ConvexDiffusion
from difffilter.training.data import draw_noisy
from difffilter.training.export import export
from difffilter.training.learned import DiffusionLoss, fit_learned
from difffilter.training.learned_network import LearnedDiffusion, StepConfig
from difffilter.training.photo_configs import LearnedConfig, TrainingConfig
from difffilter.training.presets import PRESETS
from difffilter.training.state import TrainingState

CPU = torch.device("cpu")
CONFIG = LearnedConfig(
    plan=(StepConfig(2, 0, 8, 4), StepConfig(4, 1, 4, 8)),
    steps=7,
    batch=3,
    crop=16,
    warmup=2,
    validation=2,
    validate_every=4,
)


@pytest.fixture(scope="module")
def uninterrupted(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole")
    fit_learned(folder, output, CONFIG, device="cpu")
    return output


def test_a_run_leaves_a_log_a_checkpoint_and_weights(uninterrupted):
    log = records(uninterrupted)
    assert [line["step"] for line in log if "loss" in line] == list(range(1, 8))
    assert [line["step"] for line in log if "psnr" in line] == [4, 7]
    metadata, _ = read(uninterrupted / "checkpoint.safetensors")
    assert metadata["method"] == "learned"
    assert json.loads(metadata["config"])["plan"][1]["offset"] == 1
    averaged = TrainingState.load(uninterrupted / "checkpoint.safetensors", CPU).averaged
    for mine, theirs in zip(
        averaged.stages().stages, weights.load(uninterrupted / "weights.safetensors").stages,
        strict=True,
    ):  # fmt: skip
        for name in weights.OF_STAGE:
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), err_msg=name)


@pytest.mark.parametrize("killed_at", [1, 5])
def test_an_interrupted_run_resumes_as_if_nothing_had_happened(
    folder, tmp_path, uninterrupted, monkeypatch, killed_at
):
    def failing(images, config, step):
        if step == killed_at:
            raise KeyboardInterrupt
        return draw_noisy(images, config, step)

    with monkeypatch.context() as patch:
        patch.setattr(learned, "draw_noisy", failing)
        with pytest.raises(KeyboardInterrupt):
            fit_learned(folder, tmp_path, CONFIG, device="cpu", checkpoint_seconds=0)
    fit_learned(folder, tmp_path, resume=True, device="cpu")
    assert_same_run(tmp_path, uninterrupted)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_weights_of_a_run_denoise(folder, tmp_path, channels, photo, colour_photo):
    """As the network of the run itself does."""
    path = fit_learned(folder, tmp_path, replace(CONFIG, channels=channels), device="cpu")
    clean = photo[:37, :50] if channels == 1 else colour_photo[:37, :50]
    noisy = df.add_noise(clean, 0.1).astype(np.float32)
    axis = None if channels == 1 else -1
    result = df.denoise(noisy, 0.1, method="learned", weights=path, channel_axis=axis)
    middle = noisy.mean()
    f = np.moveaxis(np.atleast_3d(noisy - middle), 2, 0)[None] / 0.1
    net = TrainingState.load(tmp_path / "checkpoint.safetensors", CPU).averaged
    with torch.no_grad():
        u = net(torch.from_numpy(f))[-1].numpy()
    expected = np.moveaxis(0.1 * u[0], 0, 2).reshape(noisy.shape) + middle
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)
    assert abs(result - noisy).max() > 1e-4


def test_the_loss_of_no_diffusion_is_that_of_the_noise(rng):
    """In units of σ the error is 1, of the last image and of those before."""
    config = replace(CONFIG, batch=200, intermediate=0.25, precision="float32")
    image = rng.integers(256, size=(1, 16, 16), dtype=np.uint8)
    loss = DiffusionLoss(TrainingState(config, CPU), [image], 0, 1)(0).item()
    _, sigma, _ = draw_noisy([image], config, 0)
    assert loss == pytest.approx(1.25 * np.mean(sigma**0.6), rel=0.01)


def test_shares_of_a_batch_have_the_loss_of_the_whole(rng):
    state = TrainingState(replace(CONFIG, batch=4, precision="float32"), CPU)
    with torch.no_grad():
        for weight in state.net.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    images = [rng.integers(256, size=(1, 20, 20), dtype=np.uint8)]
    whole = DiffusionLoss(state, images, 0, 1)(3).item()
    one = DiffusionLoss(state, images, 0, 1)
    parts = []
    for rank in range(2):
        one.share = slice(rank, None, 2)
        parts.append(one(3).item())
    assert np.mean(parts) == pytest.approx(whole, rel=1e-5)
    assert parts[0] != parts[1]


def test_a_run_starts_from_weights_that_are_given(folder, tmp_path, uninterrupted):
    init = uninterrupted / "weights.safetensors"
    state = TrainingState(replace(CONFIG, seed=5), CPU)
    learned.start(state, weights.load(init))
    given = LearnedDiffusion.from_stages(weights.load(init)).state_dict()
    for net in (state.net, state.averaged):
        for name, weight in net.state_dict().items():
            torch.testing.assert_close(weight, given[name], rtol=0, atol=1e-6)
    fit_learned(folder, tmp_path, replace(CONFIG, steps=1), init=init, device="cpu")
    start = TrainingState.load(tmp_path / "checkpoint.safetensors", CPU).init
    assert start == {"name": str(init), "sha256": weights.load(init).sha256}
    other = tmp_path / "other.safetensors"
    weights.save(other, LearnedDiffusion(1, CONFIG.plan).stages())
    with pytest.raises(
        ValueError, match=r"^init is .*other.safetensors \(sha256 \w{12}\); expected "
    ):
        fit_learned(folder, tmp_path, init=other, resume=True, device="cpu")


def test_steps_of_other_sizes_start_afresh(uninterrupted):
    plan = (StepConfig(2, 0, 8, 4), StepConfig(2, 0, 12, 4))
    state = TrainingState(replace(CONFIG, plan=plan), CPU)
    fresh = {name: weight.clone() for name, weight in state.net.state_dict().items()}
    given = weights.load(uninterrupted / "weights.safetensors")
    learned.start(state, given)
    mine = state.net.state_dict()
    np.testing.assert_array_equal(mine["steps.0.mixing"], given.stages[0].mixing)
    assert torch.equal(mine["steps.1.filters"], fresh["steps.1.filters"])


def test_colour_may_start_from_grey(folder, tmp_path, uninterrupted):
    config = replace(CONFIG, channels=3)
    state, given = TrainingState(config, CPU), weights.load(uninterrupted / "weights.safetensors")
    learned.start(state, given)
    expected = LearnedDiffusion.from_stages(given).coloured(config.seed).state_dict()
    for name, weight in state.net.state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=0)
    path = fit_learned(
        folder, tmp_path, config, init=uninterrupted / "weights.safetensors", steps=1, device="cpu"
    )
    assert weights.load(path).channels == 3


def test_a_run_of_another_method_is_refused(folder, tmp_path, uninterrupted):
    with pytest.raises(
        TypeError,
        match=r"^config is a TrainingConfig; expected a LearnedConfig or "
        "ConvexConfig$",
    ):
        fit_learned(folder, tmp_path, TrainingConfig(), device="cpu")
    with pytest.raises(
        ValueError, match=r"^method is ddpm; expected learned, as in the run that is "
    ):
        ddpm.fit(folder, uninterrupted, resume=True, device="cpu")


def test_settings_that_contradict_the_run_are_named(folder, uninterrupted):
    config = replace(CONFIG, batch=2, intermediate=0.5)
    message = (
        "^batch is 2; expected 3; intermediate is 0.5; expected 0.1, as in the run that is resumed, of "
        "which only steps can change$"
    )
    with pytest.raises(ValueError, match=message):
        fit_learned(folder, uninterrupted, config, resume=True, device="cpu")


def test_a_loss_that_explodes_stops_the_run(folder, tmp_path):
    config = replace(CONFIG, learning_rate=1e30, warmup=0, clip=1e30)
    with pytest.raises(FloatingPointError, match="learning rate"):
        fit_learned(folder, tmp_path, config, device="cpu")
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_run_can_be_exported(uninterrupted, tmp_path):
    path = tmp_path / "mine.safetensors"
    export(uninterrupted, path)
    assert weights.load(path).sha256 == weights.load(uninterrupted / "weights.safetensors").sha256


def test_the_presets_have_the_sizes_of_the_weights_that_come_with_the_package():
    for name in weights.available():
        given, preset = weights.load(name), PRESETS[name]
        if isinstance(given, Convex):
            own = ConvexDiffusion.from_convex(given)
            assert tuple(bank.config for bank in own.banks) == preset.banks
        else:
            own = LearnedDiffusion.from_stages(given)
            assert tuple(step.config for step in own.steps) == preset.plan
        assert own.channels == preset.channels
