"""An ONNX file gives what the DDPM gives, and depends on nothing else."""

import numpy as np
import pytest
import torch
from command import invoke_error, invoke_ok
from networks import random_bias_free, random_weights
from numpy.testing import assert_allclose

import difffilter as df
from difffilter.ddpm import export_onnx, load, save
from difffilter.ddpm.export import Estimate

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

pytestmark = pytest.mark.usefixtures("torch_threads")


def session(path):
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module", params=[random_weights, random_bias_free])
def weights(tmp_path_factory, request):
    return request.param(tmp_path_factory.mktemp("weights") / "gray.safetensors", 1)


@pytest.fixture(scope="module")
def file(weights):
    """Of a small network; the guide exports one that is shipped."""
    return export_onnx(weights, weights.with_suffix(".onnx"))


@pytest.fixture(scope="module")
def gray(file):
    return session(file)


def method(weights):
    return f"ddpm(weights={str(weights)!r}, black=0, white=1, dtype='float32', device='cpu')"


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("shape", [(32, 48), (16, 16), (80, 64)])
def test_the_file_gives_what_the_ddpm_gives(gray, weights, sigma, shape, photo, rng):
    noisy = (photo[: shape[0], : shape[1]] + rng.normal(0, sigma, shape)).astype(np.float32)
    [[[smooth]]] = gray.run(None, {"noisy": noisy[None, None], "sigma": np.float32([sigma])})
    ours = df.denoise(noisy, sigma, method(weights))
    assert np.abs(ours - noisy).max() > sigma / 10
    assert_allclose(smooth, ours, atol=2e-5)


def test_each_image_of_a_batch_has_its_sigma(gray, rng):
    noisy = rng.random((3, 1, 32, 32), np.float32)
    sigma = np.float32([0.05, 0.1, 0.2])
    [together] = gray.run(None, {"noisy": noisy, "sigma": sigma})
    for k in range(3):
        [alone] = gray.run(None, {"noisy": noisy[k : k + 1], "sigma": sigma[k : k + 1]})
        assert_allclose(together[k : k + 1], alone, atol=1e-5)


def test_sigma_beyond_the_training_is_that_of_its_end(gray, weights, rng):
    noisy = rng.random((1, 1, 32, 32), np.float32)
    low, high = load(weights).sigma_range
    for far, end in ((0.0, low), (1e4, high)):
        ends = [gray.run(None, {"noisy": noisy, "sigma": np.float32([s])})[0] for s in (far, end)]
        assert_allclose(*ends, atol=1e-4)


def test_the_step_is_that_of_the_schedule():
    trained = load("natural-gray")
    estimate, sigma = Estimate(trained), np.geomspace(0.02, 100, 300)
    steps = trained.schedule.step_of(sigma)
    found = estimate.step_of(torch.from_numpy(sigma).float())
    assert_allclose(found, np.maximum(steps, 1), rtol=1e-4)


def test_weights_for_real_noise_take_no_sigma(tmp_path, colour_photo):
    white = load(random_weights(tmp_path / "color.safetensors", 3))
    blind = tmp_path / "blind.safetensors"
    save(blind, white.net, white.schedule, white.sigma_range, blind=0.1)
    path = export_onnx(blind, tmp_path / "real.onnx")
    [only] = session(path).get_inputs()
    assert only.name == "noisy"
    noisy = colour_photo[:32, :48].astype(np.float32)
    [[smooth]] = session(path).run(None, {"noisy": np.moveaxis(noisy, -1, 0)[None]})
    ours = df.denoise(noisy, 0.3, method(blind), channel_axis=-1)
    assert_allclose(np.moveaxis(smooth, 0, -1), ours, atol=2e-5)


def test_the_file_says_where_it_comes_from(weights, file):
    about = {each.key: each.value for each in onnx.load(file).metadata_props}
    assert about["sha256"] == load(weights).sha256
    assert int(about["multiple"]) == load(weights).net.config.multiple


def test_the_command_writes_it_and_not_over_another(weights, tmp_path):
    assert invoke_ok("weights", "export", weights, "-o", "mine.onnx", cwd=tmp_path) == "mine.onnx\n"
    assert onnx.load(tmp_path / "mine.onnx").graph.output[0].name == "denoised"
    error = invoke_error("weights", "export", weights, "-o", "mine.onnx", cwd=tmp_path)
    assert error.endswith("mine.onnx exists already; pass --overwrite to replace it\n")
    error = invoke_error("weights", "export", weights, "-o", "mine.pt", cwd=tmp_path)
    assert "expected one of .onnx" in error
    error = invoke_error("weights", "export", "no-weights", "-o", "new.onnx", cwd=tmp_path)
    assert "no-weights" in error
    assert not (tmp_path / "new.onnx").exists()


def test_without_onnx_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'difffilter\[onnx\]'"):
        export_onnx("natural-gray", tmp_path / "gray.onnx")
    with pytest.raises(ValueError, match=r"expected a file \.onnx"):
        export_onnx("natural-gray", tmp_path / "gray.pb")
