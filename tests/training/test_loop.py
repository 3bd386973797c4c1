"""Training: what is drawn, and that a run does not care how often it was interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from difffilter.ddpm import weights
from difffilter.ddpm.denoiser import DDPM
from difffilter.ddpm.unet import UNetConfig
from difffilter.training import loop as training
from difffilter.training.data import draw_batch, load_images, set_aside
from difffilter.training.loop import TrainingConfig, TrainingState, export, fit, plot_log

# Tensors this small are not worth sharing among threads, least of all on a busy machine.
torch.set_num_threads(1)

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
def folder(tmp_path_factory):
    """Seven small colour images, and a file that is none."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for index in range(7):
        pixels = rng.integers(256, size=(24 + index, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


def records(output):
    """The log without its timings."""
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key != "seconds"} for line in lines]


def tensors(output):
    return weights.read(output / "checkpoint.safetensors")[1]


def assert_same_run(output, other):
    assert records(output) == records(other)
    mine, theirs = tensors(output), tensors(other)
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)


@pytest.fixture(scope="module")
def uninterrupted(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole")
    fit(folder, output, CONFIG, device="cpu")
    return output


# --- what is drawn --------------------------------------------------------------------------


def test_gray_is_the_luma_of_pillow(folder):
    gray, color = load_images(folder, 1), load_images(folder, 3)
    assert [image.shape for image in color] == [(3, 24 + i, 40) for i in range(7)]
    assert [image.shape for image in gray] == [(1, 24 + i, 40) for i in range(7)]
    luma = np.tensordot([0.299, 0.587, 0.114], color[0], 1)
    np.testing.assert_allclose(gray[0][0], luma, atol=1)


def test_folders_without_images_are_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FileNotFoundError):
            load_images(folder, 1)


def test_validation_images_are_set_aside_for_good(folder):
    images = load_images(folder, 1)
    train, validation = set_aside(images, 3)
    assert len(train) == 4
    assert len(validation) == 3
    assert not any(mine is theirs for mine in train for theirs in validation)
    again = set_aside(images, 3)[1]
    assert all(mine is theirs for mine, theirs in zip(validation, again, strict=True))
    assert set_aside(images, 0) == (images, [])
    assert [len(part) for part in set_aside(images, 24)] == [4, 3]


def test_a_batch_depends_on_seed_and_step_alone(folder):
    images = load_images(folder, 3)

    def equal(one, other):
        return all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))

    assert equal(draw_batch(images, CONFIG, 5), draw_batch(images, CONFIG, 5))
    assert not equal(draw_batch(images, CONFIG, 5), draw_batch(images, CONFIG, 6))
    other = replace(CONFIG, seed=1)
    assert not equal(draw_batch(images, CONFIG, 5), draw_batch(images, other, 5))


@pytest.mark.parametrize(("count", "batch", "world"), [(7, 4, 2), (3, 8, 4), (5, 1, 1)])
def test_no_image_comes_twice_in_an_epoch(count, batch, world):
    """Whatever the batch is shared among, each image is seen once before any is seen again."""
    images = [np.full((1, 16, 16), index, np.uint8) for index in range(count)]
    config = replace(CONFIG, batch=batch)
    seen = []
    for step in range(3 * count):
        drawn = draw_batch(images, config, step)[0][:, 0, 0, 0]
        shares = [drawn[rank::world] for rank in range(world)]
        assert sorted(np.concatenate(shares)) == sorted(drawn)
        seen += drawn.tolist()
    epochs = np.reshape(seen, (-1, count))
    np.testing.assert_array_equal(
        np.sort(epochs, axis=1), np.tile(np.arange(count), (3 * batch, 1))
    )
    assert len(np.unique(epochs, axis=0)) > 1  # each in an order of its own


def test_crops_are_pieces_of_the_image_in_all_eight_positions():
    image = np.arange(16 * 16, dtype=np.uint8).reshape(1, 16, 16)
    crops, _, _ = draw_batch([image], replace(CONFIG, batch=200), 0)
    turned = {np.rot90(side, k).tobytes() for side in (image[0], image[0].T) for k in range(4)}
    assert {crop[0].tobytes() for crop in crops} == turned


def test_the_noise_drawn_is_log_normal_with_a_uniform_part():
    image = np.zeros((1, 16, 16), np.uint8)
    config = replace(CONFIG, batch=20_000, sigma_range=(1e-3, 1.0), uniform=0.0)
    _, t, _ = draw_batch([image], config, 0)
    log_sigma = np.log(config.schedule.sigma_tilde(t) / 2)
    assert log_sigma.mean() == pytest.approx(np.log(28 / 255), abs=0.02)
    assert log_sigma.std() == pytest.approx(0.8, abs=0.02)
    _, t, _ = draw_batch([image], replace(config, uniform=1.0), 0)
    assert t.min() >= 1
    assert np.histogram(t, 10, (0, 1000))[0] == pytest.approx(2000, rel=0.1)


def test_sigma_drawn_stays_in_its_range():
    image = np.zeros((1, 16, 16), np.uint8)
    config = replace(CONFIG, batch=500, sigma_range=(0.1, 0.12), uniform=0.0)
    sigma = config.schedule.sigma_tilde(draw_batch([image], config, 0)[1]) / 2
    assert sigma.min() == pytest.approx(0.1)
    assert sigma.max() == pytest.approx(0.12)


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    config = replace(CONFIG, steps=1000, warmup=100, learning_rate=1e-3)
    rates = np.array([training.learning_rate(config, step) for step in range(1001)])
    assert rates[0] == pytest.approx(1e-5)
    assert rates.argmax() == pytest.approx(99, abs=1)
    assert rates[500] == pytest.approx(5e-4)
    assert rates[1000] == 0
    assert np.all(np.diff(rates[99:]) < 0)


# --- interrupted runs -----------------------------------------------------------------------


def test_a_run_leaves_a_log_a_checkpoint_and_weights(uninterrupted):
    log = records(uninterrupted)
    assert [line["step"] for line in log if "loss" in line] == list(range(1, 13))
    assert [line["step"] for line in log if "psnr" in line] == [5, 10, 12]
    net = weights.load(uninterrupted / "weights.safetensors").net
    for name, value in net.state_dict().items():
        expected = tensors(uninterrupted)[f"ema/{name}"].astype(np.float16)
        np.testing.assert_array_equal(value.numpy(), expected.astype(np.float32))
    assert not list(uninterrupted.glob("*.tmp"))


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


SCRIPT = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
torch.set_num_threads(1)
from test_ddpm_training import CONFIG
from difffilter.training.loop import fit
output = Path({output!r})
resume = (output / "checkpoint.safetensors").exists()
fit({folder!r}, output, CONFIG, device="cpu", checkpoint_seconds=0, resume=resume)
"""


def script(tmp_path, folder, output):
    path = tmp_path / "train.py"
    tests = os.path.dirname(__file__)
    path.write_text(SCRIPT.format(tests=tests, folder=str(folder), output=str(output)))
    return str(path)


def test_a_killed_process_loses_nothing_but_the_steps_since_its_checkpoint(folder, tmp_path):
    # All in processes of their own: what other tests did to this one may move the last digit.
    whole, output = tmp_path / "whole", tmp_path / "run"
    subprocess.run([sys.executable, script(tmp_path, folder, whole)], check=True)
    command = [sys.executable, script(tmp_path, folder, output)]
    process = subprocess.Popen(command)
    checkpoint = output / "checkpoint.safetensors"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < TrainingState.load(checkpoint, torch.device("cpu")).step <= 12
    subprocess.run(command, check=True)
    assert_same_run(output, whole)


def test_two_processes_train_as_one(folder, tmp_path, uninterrupted):
    output = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, script(tmp_path, folder, output)], capture_output=True, text=True, timeout=300
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
    for net in (state.net, state.ema):
        for name, value in net.state_dict().items():
            same = gray.state_dict()[name].shape == value.shape
            torch.testing.assert_close(value, (gray.state_dict() if same else fresh)[name])
            assert same or name in ("head.weight", "tail.weight", "tail.bias")
    fit(folder, tmp_path, state.config, init=uninterrupted / "weights.safetensors", device="cpu")
    assert weights.load(tmp_path / "weights.safetensors").net.config.channels == 3


def test_a_checkpoint_is_not_overwritten_nor_made_up(folder, tmp_path, uninterrupted):
    with pytest.raises(FileExistsError, match="resume"):
        fit(folder, uninterrupted, CONFIG, device="cpu")
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        fit(folder, tmp_path, resume=True, device="cpu")
    with pytest.raises(FileNotFoundError, match="checkpoint"):
        export(tmp_path, tmp_path / "net.safetensors")


def test_weights_are_no_checkpoint(folder, tmp_path, uninterrupted):
    (tmp_path / "checkpoint.safetensors").write_bytes(
        (uninterrupted / "weights.safetensors").read_bytes()
    )
    with pytest.raises(ValueError, match="no training checkpoint"):
        fit(folder, tmp_path, resume=True, device="cpu")


def test_a_run_can_be_exported_and_used(uninterrupted, tmp_path, rng):
    path = tmp_path / "net.safetensors"
    export(uninterrupted, path)
    exported, written = weights.read(path), weights.read(uninterrupted / "weights.safetensors")
    assert exported[0] == written[0]
    assert DDPM(path)(rng.random((9, 9)), 0.1).shape == (9, 9)


def test_images_that_are_too_small_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="64 pixels"):
        fit(folder, tmp_path, replace(CONFIG, crop=64), device="cpu")


def test_a_crop_must_fit_the_network():
    with pytest.raises(ValueError, match="crop is 18"):
        replace(CONFIG, crop=18)


@pytest.mark.parametrize(("name", "value"), [("learning_rate", 0), ("precision", "int8")])
def test_bad_configs_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is '?{value}"):
        replace(CONFIG, **{name: value})


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
