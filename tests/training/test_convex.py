"""Training a convex learned diffusion: the same runs as a deep one's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from finished_runs import assert_same_run, records

from difffilter.io.weights import read
from difffilter.pde import weights
from difffilter.training import learned
from difffilter.training.convex_network import BankConfig, ConvexDiffusion
from difffilter.training.data import draw_noisy
from difffilter.training.export import export
from difffilter.training.learned import DiffusionLoss, fit_learned
from difffilter.training.learned_network import LearnedDiffusion, StepConfig
from difffilter.training.loop import training_steps
from difffilter.training.photo_configs import ConvexConfig, LearnedConfig
from difffilter.training.presets import PRESETS
from difffilter.training.state import TrainingState, progress

CPU = torch.device("cpu")
CONFIG = ConvexConfig(
    banks=(BankConfig(1, 3, 4), BankConfig(4, 8, 4)),
    knots=2,
    steps=5,
    batch=3,
    crop=16,
    warmup=2,
    validation=2,
    validate_every=3,
)


@pytest.fixture(scope="module")
def uninterrupted(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole")
    fit_learned(folder, output, CONFIG, device="cpu")
    return output


def test_a_run_leaves_a_log_a_checkpoint_and_weights(uninterrupted, tmp_path):
    log = records(uninterrupted)
    assert [line["step"] for line in log if "loss" in line] == list(range(1, 6))
    assert [line["step"] for line in log if "psnr" in line] == [3, 5]
    assert progress(uninterrupted / "checkpoint.safetensors") == (CONFIG, 5)
    averaged = TrainingState.load(uninterrupted / "checkpoint.safetensors", CPU).averaged
    assert isinstance(averaged, ConvexDiffusion)
    export(uninterrupted, tmp_path / "mine.safetensors")
    for path in (uninterrupted / "weights.safetensors", tmp_path / "mine.safetensors"):
        for mine, theirs in zip(averaged.convex().banks, weights.load(path).banks, strict=True):
            for name in ("filters", "knots", "slopes"):
                np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))


@pytest.mark.parametrize("killed_at", [1, 4])
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


def test_training_lowers_the_loss(photo):
    config = replace(CONFIG, banks=(BankConfig(2, 6, 8),), steps=40, warmup=5, batch=4)
    image = (255 * photo[None]).astype(np.uint8)
    state = TrainingState(config, CPU)
    loss = DiffusionLoss(state, [image], 0, 1)
    losses = [value.item() for value in training_steps(state, lambda step: loss(0))]
    assert losses[-1] < 0.8 * losses[0]


def test_the_loss_is_that_of_the_denoised_image(rng):
    config = replace(CONFIG, batch=4)
    state = TrainingState(config, CPU)
    state.net.eval()  # so that its power iterations start where those of the average do
    image = rng.integers(256, size=(1, 16, 16), dtype=np.uint8)
    crops, strengths, seed = draw_noisy([image], config, 0)
    sigma = torch.from_numpy(strengths).view(-1, 1, 1, 1)
    x = torch.from_numpy(crops) / 2  # but for a constant, in [0, 1]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    loss = DiffusionLoss(state, [image], 0, 1)(0)
    with torch.no_grad():
        error = (sigma * state.averaged(x / sigma + noise) - x).square().mean((1, 2, 3))
    expected = (error * sigma.flatten() ** -1.4).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("channels", "others"), [(1, {}), (3, {"seed": 4})])
def test_a_run_starts_from_weights_that_are_given(uninterrupted, channels, others):
    init = weights.load(uninterrupted / "weights.safetensors")
    state = TrainingState(replace(CONFIG, channels=channels, **others), CPU)
    learned.start(state, init)
    given = ConvexDiffusion.from_convex(init)
    if channels == 3:
        given = given.coloured(CONFIG.banks, 4)
    expected = given.state_dict()
    for net in (state.net, state.averaged):
        for name, weight in net.state_dict().items():
            if name not in ("falling", "rising"):
                torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-6)


def test_weights_of_another_kind_are_refused(uninterrupted):
    deep = LearnedConfig(plan=(StepConfig(2, 0, 4, 4),))
    convex = weights.load(uninterrupted / "weights.safetensors")
    with pytest.raises(ValueError, match=r"^init is a convex diffusion; expected a deep one, as "):
        learned.start(TrainingState(deep, CPU), convex)
    with pytest.raises(ValueError, match=r"^init is a deep diffusion; expected a convex one, as "):
        learned.start(TrainingState(CONFIG, CPU), LearnedDiffusion(1, deep.plan).stages())


def test_settings_of_another_kind_contradict_the_run(folder, uninterrupted):
    message = (
        "^kind is learned; expected convex, as in the run that is resumed, of which only steps"
    )
    with pytest.raises(ValueError, match=message):
        fit_learned(folder, uninterrupted, PRESETS["deep-gray"], resume=True, device="cpu")
    with pytest.raises(ValueError, match=r"^batch is 2; expected 3, as in the run that is resumed"):
        fit_learned(folder, uninterrupted, replace(CONFIG, batch=2), resume=True, device="cpu")


def test_the_loss_is_never_computed_in_bfloat16(monkeypatch):
    """Even where a processor multiplies in it."""
    monkeypatch.setattr("difffilter.training.loss.multiplies_bfloat16", lambda device: True)
    assert not DiffusionLoss(TrainingState(CONFIG, CPU), [], 0, 1).narrow


def test_the_name_of_its_kind_is_in_the_checkpoint(uninterrupted):
    metadata, _ = read(uninterrupted / "checkpoint.safetensors")
    assert metadata["method"] == "convex"


def test_a_compiled_network_does_the_same():
    """Runs on a GPU compile their network, but this one's loop depends on the image."""
    net, f = CONFIG.network().eval(), torch.randn(1, 1, 8, 8)
    result = torch.compile(net, backend="eager")(f)
    assert torch.equal(result, net(f))
    result.sum().backward()
    assert net.banks[0].filters.grad.abs().max() > 0
