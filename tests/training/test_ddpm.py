"""Training a DDPM: a run does not care how often it was interrupted."""

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from finished_runs import assert_same_run, records, tensors
from networks import random_bias_free, random_weights
from PIL import Image
from safetensors.numpy import save_file

from difffilter.ddpm import weights
from difffilter.ddpm.bias_free import BiasFreeConfig
from difffilter.ddpm.denoiser import DDPM
from difffilter.ddpm.unet import UNet, UNetConfig
from difffilter.io.weights import read
from difffilter.training import ddpm as training
from difffilter.training.data import draw_batch
from difffilter.training.ddpm import fit
from difffilter.training.export import export
from difffilter.training.log import last_scores, plot_log
from difffilter.training.photo_configs import TrainingConfig
from difffilter.training.state import TrainingState

CONFIG = TrainingConfig(
    unet=UNetConfig(widths=(8, 16), blocks=1, middle=1, attention=(1,), embedding=16),
    steps=12,
    batch=4,
    crop=16,
    warmup=3,
    validation=2,
    validate_every=5,
)


@pytest.fixture(scope="module")
def uninterrupted(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole")
    fit(folder, output, CONFIG, device="cpu")
    return output


def test_a_run_leaves_a_log_a_checkpoint_and_weights(uninterrupted):
    log = records(uninterrupted)
    assert [line["step"] for line in log if "loss" in line] == list(range(1, 13))
    assert [line["step"] for line in log if "psnr" in line] == [5, 10, 12]
    net = weights.load(uninterrupted / "weights.safetensors").net
    for name, value in net.state_dict().items():
        expected = tensors(uninterrupted)[f"ema/{name}"].astype(np.float16)
        np.testing.assert_array_equal(value.numpy(), expected.astype(np.float32))
    assert not list(uninterrupted.glob("*.tmp"))


def test_a_checkpoint_has_the_names_it_always_had(uninterrupted):
    """So that runs of earlier versions go on."""
    metadata, found = read(uninterrupted / "checkpoint.safetensors")
    assert metadata.keys() == {"config", "init", "step"}
    assert json.loads(metadata["config"]) == json.loads(json.dumps(asdict(CONFIG)))
    expected = set()
    for name, weight in UNet(CONFIG.unet).named_parameters():
        kinds = ["momentum"] if weight.ndim > 1 else ["step", "exp_avg", "exp_avg_sq"]
        expected |= {f"net/{name}", f"ema/{name}", *(f"moments/{name}/{kind}" for kind in kinds)}
    assert found.keys() == expected


def test_the_trained_range_is_that_of_the_draws(uninterrupted):
    low, high = weights.load(uninterrupted / "weights.safetensors").sigma_range
    schedule = CONFIG.schedule
    assert low == pytest.approx(schedule.sigma_tilde(1) / 2)
    assert high == pytest.approx(schedule.sigma_tilde(1000) / 2)


@pytest.mark.parametrize("killed_at", [1, 6, 11])
def test_an_interrupted_run_resumes_as_if_nothing_had_happened(
    folder, tmp_path, uninterrupted, monkeypatch, killed_at
):
    def failing(images, config, step):
        if step == killed_at:
            raise KeyboardInterrupt
        return draw_batch(images, config, step)

    with monkeypatch.context() as patch:
        patch.setattr(training, "draw_batch", failing)
        with pytest.raises(KeyboardInterrupt):
            fit(folder, tmp_path, CONFIG, device="cpu", checkpoint_seconds=0)
    fit(folder, tmp_path, resume=True, device="cpu")
    assert_same_run(tmp_path, uninterrupted)


def test_steps_since_the_last_checkpoint_are_done_again(
    folder, tmp_path, uninterrupted, monkeypatch
):
    """A log that is ahead of the checkpoint, its last line cut short, is taken back."""
    with monkeypatch.context() as patch:
        patch.setattr(training, "draw_batch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fit(folder, tmp_path, CONFIG, device="cpu")
    state = TrainingState(CONFIG, torch.device("cpu"))
    state.save(tmp_path / "checkpoint.safetensors")
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 9.0}\n{"step": 2, "lo')
    fit(folder, tmp_path, resume=True, device="cpu")
    assert_same_run(tmp_path, uninterrupted)


SCRIPT = f"""
import json, sys, torch
from pathlib import Path
from difffilter.training import TrainingConfig, fit
torch.set_num_threads(1)
folder, *outputs = map(Path, sys.argv[1:])
config = TrainingConfig.from_dict(json.loads({json.dumps(asdict(CONFIG))!r}))
for output in outputs:
    resume = (output / "checkpoint.safetensors").exists()
    fit(folder, output, config, device="cpu", checkpoint_seconds=0, resume=resume)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def test_a_killed_process_loses_nothing_but_the_steps_since_its_checkpoint(
    folder, tmp_path, script
):
    # All in processes of their own: what other tests did to this one may move the last digit.
    whole, output = tmp_path / "whole", tmp_path / "run"
    command = [sys.executable, script, folder, output]
    process = subprocess.Popen(command)
    checkpoint = output / "checkpoint.safetensors"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < TrainingState.load(checkpoint, torch.device("cpu")).step <= 12
    subprocess.run([*command, whole], check=True)  # goes on with it, and makes another
    assert_same_run(output, whole)


def test_two_processes_train_as_one(folder, tmp_path, uninterrupted, script):
    output = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, script, folder, output], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    mine, theirs = records(output), records(uninterrupted)
    assert [line["step"] for line in mine] == [line["step"] for line in theirs]
    for one, other in zip(mine, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_a_resumed_run_may_be_made_longer(folder, tmp_path):
    fit(folder, tmp_path, replace(CONFIG, steps=3), device="cpu")
    fit(folder, tmp_path, resume=True, steps=5, device="cpu")
    assert [line["step"] for line in records(tmp_path) if "loss" in line] == [1, 2, 3, 4, 5]
    assert TrainingState.load(
        tmp_path / "checkpoint.safetensors", torch.device("cpu")
    ).config == replace(CONFIG, steps=5)


def test_colour_may_start_from_gray(folder, tmp_path, uninterrupted):
    gray = weights.load(uninterrupted / "weights.safetensors").net
    state = TrainingState(
        replace(CONFIG, unet=replace(CONFIG.unet, channels=3)), torch.device("cpu")
    )
    fresh = {name: value.clone() for name, value in state.net.state_dict().items()}
    state.start_from(gray)
    for net in (state.net, state.averaged):
        for name, value in net.state_dict().items():
            same = gray.state_dict()[name].shape == value.shape
            torch.testing.assert_close(value, (gray.state_dict() if same else fresh)[name])
            assert same or name in ("head.weight", "tail.weight", "tail.bias")
    fit(folder, tmp_path, state.config, init=uninterrupted / "weights.safetensors", device="cpu")
    assert weights.load(tmp_path / "weights.safetensors").net.config.channels == 3


def test_settings_that_contradict_the_run_are_named(folder, uninterrupted):
    with pytest.raises(
        ValueError, match=r"^batch is 2; expected 4; clip is 0.5; expected 1.0, as in"
    ):
        fit(folder, uninterrupted, replace(CONFIG, batch=2, clip=0.5), resume=True, device="cpu")
    with pytest.raises(ValueError, match="steps is 11; expected at least 12, the steps that are"):
        fit(folder, uninterrupted, resume=True, steps=11, device="cpu")


def test_a_resumed_run_has_the_weights_it_began_with(folder, tmp_path, uninterrupted):
    mine, other = tmp_path / "mine.safetensors", tmp_path / "other.safetensors"
    mine.write_bytes((uninterrupted / "weights.safetensors").read_bytes())
    net = weights.load(mine).net
    with torch.no_grad():
        next(net.parameters()).add_(1)
    weights.save(other, net, CONFIG.schedule, (0.1, 0.2))
    run, short = tmp_path / "run", replace(CONFIG, steps=1)
    fit(folder, run, short, init=mine, device="cpu")
    fit(folder, run, resume=True, steps=2, device="cpu")
    same = mine.rename(tmp_path / "renamed.safetensors")
    fit(folder, run, init=same, resume=True, steps=3, device="cpu")  # the content counts
    message = (
        r"^init is .*other.safetensors \(sha256 \w{12}\); expected .*mine.safetensors \(sha256"
    )
    with pytest.raises(ValueError, match=message):
        fit(folder, run, init=other, resume=True, device="cpu")
    with pytest.raises(ValueError, match=r"^init is .*\); expected none, as in the run that is"):
        fit(folder, uninterrupted, init=other, resume=True, device="cpu")


def test_a_checkpoint_that_does_not_say_how_it_began_goes_on_with_any_weights(
    folder, tmp_path, uninterrupted
):
    metadata, arrays = read(uninterrupted / "checkpoint.safetensors")
    del metadata["init"]
    checkpoint = tmp_path / "checkpoint.safetensors"
    save_file(arrays, checkpoint, metadata)
    init = uninterrupted / "weights.safetensors"
    fit(folder, tmp_path, init=init, resume=True, steps=13, device="cpu")
    assert "init" not in read(checkpoint)[0]


def test_the_end_of_the_log(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("")
    assert last_scores(log) == {"window": 0}
    log.write_text(
        '{"step": 1, "loss": 4}\n{"step": 2, "loss": 2}\n{"step": 2, "psnr": 20.5, "seconds": 1}\n'
        '{"step": 3, "loss": 1}\n'
    )
    assert last_scores(log, window=2) == {"window": 2, "loss": 1.5, "psnr": 20.5}


def test_a_checkpoint_is_not_overwritten_nor_made_up(folder, tmp_path, uninterrupted):
    with pytest.raises(FileExistsError, match="resume"):
        fit(folder, uninterrupted, CONFIG, device="cpu")
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        fit(folder, tmp_path, resume=True, device="cpu")
    with pytest.raises(FileNotFoundError, match="checkpoint"):
        export(tmp_path, tmp_path / "net.safetensors")


def test_a_weight_file_is_not_a_checkpoint(folder, tmp_path, uninterrupted):
    (tmp_path / "checkpoint.safetensors").write_bytes(
        (uninterrupted / "weights.safetensors").read_bytes()
    )
    with pytest.raises(ValueError, match="is not a training checkpoint"):
        fit(folder, tmp_path, resume=True, device="cpu")


def test_a_run_can_be_exported_and_used(uninterrupted, tmp_path, rng):
    path = tmp_path / "net.safetensors"
    export(uninterrupted, path)
    exported, written = read(path), read(uninterrupted / "weights.safetensors")
    assert exported[0] == written[0]
    assert DDPM(weights=path)(rng.random((9, 9)), 0.1).shape == (9, 9)


def test_images_that_are_too_small_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="64 pixels"):
        fit(folder, tmp_path, replace(CONFIG, crop=64), device="cpu")


def test_a_loss_that_explodes_stops_the_run(folder, tmp_path):
    config = replace(CONFIG, learning_rate=1e30, warmup=0, clip=1e30)
    with pytest.raises(FloatingPointError, match="learning rate"):
        fit(folder, tmp_path, config, device="cpu")
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_the_log_can_be_plotted(uninterrupted, tmp_path):
    plot_log(uninterrupted / "log.jsonl", tmp_path / "log.png")
    with Image.open(tmp_path / "log.png") as plot:
        assert plot.size[0] > 500
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(ValueError, match="no finished step"):
        plot_log(tmp_path / "log.jsonl", tmp_path / "log.png")


def test_a_run_for_real_noise_says_so_in_its_weights(folder, tmp_path):
    config = replace(CONFIG, noise="real", steps=3)
    path = fit(folder, tmp_path / "run", config)
    assert weights.load(path).blind == config.sigma


# --- a map of the noise ----------------------------------------------------------

MAPPED = replace(
    CONFIG,
    unet=BiasFreeConfig(widths=(8, 16), blocks=(1, 1)),
    crop=8,
    maps=0.5,
    growth=(1, 2),
)


def test_a_run_on_maps_resumes_and_its_weights_take_maps(folder, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit(folder, whole, MAPPED, device="cpu")

    def failing(images, config, step):
        if step == 7:
            raise KeyboardInterrupt
        return draw_batch(images, config, step)

    with monkeypatch.context() as patch:
        patch.setattr(training, "draw_batch", failing)
        with pytest.raises(KeyboardInterrupt):
            fit(folder, parts, MAPPED, device="cpu", checkpoint_seconds=0)
    fit(folder, parts, resume=True, device="cpu")
    assert_same_run(parts, whole)
    method = DDPM(weights=whole / "weights.safetensors", device="cpu", black=0.0, white=1.0)
    y, sigma = np.full((16, 16), 0.5, np.float32), np.full((16, 16), 0.1)
    np.testing.assert_allclose(method(y, sigma), method(y, 0.1), atol=1e-2)


def test_the_loss_of_maps_is_the_error_of_the_noise_in_units_of_its_strength(folder, monkeypatch):
    """The loss is 1 for a network that predicts no noise, and 0 for one that knows the image."""
    drawn = []

    def ramp(photo, noise, rng):
        drawn.append(noise)
        m = np.linspace(0.5, 1.5, photo.size).reshape(photo.shape)
        return np.stack([m / np.sqrt(np.mean(m**2))] * 2)

    monkeypatch.setattr(training, "draw_map", ramp)
    config = replace(MAPPED, precision="float32", batch=64, growth=(1,))
    state = TrainingState(config, torch.device("cpu"))
    black = [np.zeros((1, 16, 16), np.uint8)]  # −1 in the network's range
    loss = training.loss(state, black, 0, 1)
    given = []

    def knowing(xt, sigma):
        given.append(sigma)
        fade = (1 - sigma.square().mean(dim=(2, 3), keepdim=True)).clamp(min=0).sqrt()
        return (xt + fade) / sigma

    loss.model = knowing
    assert float(loss(0)) < 1e-5
    loss.model = lambda xt, sigma: torch.zeros_like(xt)
    assert float(loss(0)) == pytest.approx(1, abs=0.05)
    (sigma,) = given
    differ = (sigma.amax(dim=(1, 2, 3)) / sigma.amin(dim=(1, 2, 3)) > 2).sum()
    assert 15 < differ < 49
    assert len(drawn) == 2 * differ
    # The noise that is drawn for is as strong as in an image in [0, 1].
    rms = [np.sqrt(np.mean(noise**2)) for noise in drawn]
    assert 0.01 < np.median(rms) < 0.3


def test_a_loss_of_maps_whose_truth_is_not_known(folder, monkeypatch):
    """The output of the network is multiplied by the map it was given, then compared with the noise."""
    shape = (8, 8)
    monkeypatch.setattr(
        training, "draw_map", lambda *_: np.stack([np.full(shape, 1.0), np.full(shape, 2.0)])
    )
    config = replace(MAPPED, precision="float32", batch=64, growth=(1,), maps=1.0)
    state = TrainingState(config, torch.device("cpu"))
    loss = training.loss(state, [np.zeros((1, 16, 16), np.uint8)], 0, 1)

    def knowing(xt, sigma):  # told twice the strength
        return (xt + (1 - (sigma / 2).square()).clamp(min=0).sqrt()) / sigma

    loss.model = knowing
    assert float(loss(0)) < 1e-5


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (CONFIG, {"maps": 0.5}, "maps is 0.5; expected 0 for a network that takes no map"),
        (
            MAPPED,
            {"noise": "real"},
            "maps is 0.5; expected 0 for noise='real', of unknown strength",
        ),
        (MAPPED, {"maps": 2}, "maps is 2; expected a finite number ≥ 0 and ≤ 1"),
    ],
)
def test_maps_that_cannot_be_are_refused(config, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        replace(config, **options)


@pytest.mark.parametrize("mine", ["bias-free", "unet"])
def test_weights_of_another_kind_of_network_are_no_start(folder, tmp_path, mine):
    make, config = {"bias-free": (random_bias_free, CONFIG), "unet": (random_weights, MAPPED)}[mine]
    file = make(tmp_path / "weights.safetensors", 1)
    with pytest.raises(ValueError, match=r"^init is of a (BiasFree)?UNet; expected weights of a"):
        fit(folder, tmp_path / "run", config, init=file, device="cpu")
