"""An exported network denoises as the one that it was exported from, and faster in eight bits."""

import re

import numpy as np
import pytest
import torch
from command import invoke_ok
from networks import random_bias_free, random_weights
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import difffilter as df
from difffilter.ddpm import DDPM, export_onnx, load, save
from difffilter.metrics import psnr

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

pytestmark = pytest.mark.usefixtures("torch_threads")


@pytest.fixture(scope="module", params=[random_weights, random_bias_free])
def pair(tmp_path_factory, request):
    """A weight file, and an ONNX file of it."""
    weights = request.param(tmp_path_factory.mktemp("weights") / "gray.safetensors", 1)
    return weights, export_onnx(weights, weights.with_suffix(".onnx"))


@pytest.fixture(scope="module")
def eight_bits(tmp_path_factory):
    """Of weights that are shipped: those of a random network have no quality to lose."""
    path = tmp_path_factory.mktemp("eight") / "gray.onnx"
    return export_onnx("natural-gray", path, eight_bits=True)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": 64},
        {"mode": "sample", "steps": 3},
        {"mode": "average", "steps": 2, "samples": 2},
    ],
)
def test_an_exported_file_serves_as_weights(pair, options, photo, rng):
    noisy = (photo[:90, :70] + rng.normal(0, 0.1, (90, 70))).astype(np.float32)
    own, theirs = (DDPM(weights=file, dtype="float32", **options)(noisy, 0.1) for file in pair)
    assert np.abs(own - noisy).max() > 0.01
    assert_allclose(theirs, own, atol=2e-5)


def test_colour_goes_through_it(tmp_path, colour_photo, rng):
    weights = random_weights(tmp_path / "color.safetensors", 3)
    noisy = (colour_photo[:48, :40] + rng.normal(0, 0.1, (48, 40, 3))).astype(np.float32)
    files = (weights, export_onnx(weights, tmp_path / "color.onnx"))
    own, theirs = (
        DDPM(weights=file, dtype="float32")(noisy, 0.1, channel_axis=2) for file in files
    )
    assert_allclose(theirs, own, atol=2e-5)


def test_it_knows_what_its_weights_know(pair):
    own, theirs = map(load, pair)
    for name in ("schedule", "sigma_range", "sha256", "blind"):
        assert getattr(theirs, name) == getattr(own, name)
    for name in ("channels", "multiple", "tile"):
        assert getattr(theirs.net.config, name) == getattr(own.net.config, name)


def test_weights_for_real_noise_stay_so(tmp_path, photo, rng):
    white = load(random_weights(tmp_path / "gray.safetensors", 1))
    blind = tmp_path / "blind.safetensors"
    save(blind, white.net, white.schedule, white.sigma_range, blind=0.07)
    path = export_onnx(blind, tmp_path / "blind.onnx")
    assert load(path).blind == 0.07
    noisy = (photo[:48, :48] + rng.normal(0, 0.1, (48, 48))).astype(np.float32)
    own, theirs = (DDPM(weights=file, dtype="float32")(noisy) for file in (blind, path))
    assert_allclose(theirs, own, atol=2e-5)


def test_a_map_is_interpolated(pair, photo):
    """An ONNX file takes one σ at a time, whatever the network in it."""
    noisy = photo[:48, :48].astype(np.float32)
    sigma = np.where(np.arange(48) < 24, 0.05, 0.1) * np.ones((48, 1))
    given = df.denoise(noisy, sigma, DDPM(weights=pair[1], black=0, white=1))
    weak, strong = (
        df.denoise(noisy, s, DDPM(weights=pair[1], black=0, white=1)) for s in (0.05, 0.1)
    )
    assert_allclose(given, np.where(sigma < 0.07, weak, strong), atol=1e-6)


def test_eight_bits_cost_little(eight_bits, photo, rng):
    for sigma in (15 / 255, 25 / 255, 50 / 255):
        noisy = (photo + rng.normal(0, sigma, photo.shape)).astype(np.float32)
        exact, rounded = (
            df.denoise(noisy, sigma, DDPM(weights=weights, dtype="float32"))
            for weights in ("natural-gray", eight_bits)
        )
        assert 1e-4 < np.abs(exact - rounded).max() < 0.1
        assert psnr(photo, rounded) > psnr(photo, exact) - 0.06


def test_eight_bits_are_small_and_standard(eight_bits, tmp_path):
    usual = export_onnx("natural-gray", tmp_path / "gray.onnx")
    assert eight_bits.stat().st_size < usual.stat().st_size / 2
    model = onnx.load(eight_bits)
    assert {node.domain for node in model.graph.node} == {""}
    assert [each.domain for each in model.opset_import] == [""]
    whole = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    layers = [node for node in model.graph.node if node.op_type == "Conv"]
    rounded = [set(node.input[:2]) <= whole for node in layers]
    assert rounded == [False, *[True] * (len(layers) - 2), False]


def test_eight_bits_are_always_the_same(tmp_path):
    weights = random_bias_free(tmp_path / "gray.safetensors", 1)
    files = [export_onnx(weights, tmp_path / f"{n}.onnx", eight_bits=True) for n in range(2)]
    assert_array_equal(*(np.frombuffer(file.read_bytes(), np.uint8) for file in files))


def test_the_command_line_writes_and_uses_it(tmp_path, photo):
    random_bias_free(tmp_path / "own.safetensors", 1)
    Image.fromarray((255 * photo[:64, :48]).astype(np.uint8)).save(tmp_path / "noisy.png")
    command = ("weights", "export", "own.safetensors", "-o", "own.onnx", "--eight-bits")
    assert invoke_ok(*command, cwd=tmp_path) == "own.onnx\n"
    model = onnx.load(tmp_path / "own.onnx")
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    invoke_ok(
        *("smooth", "noisy.png", "-m", "ddpm(weights='own.onnx')", "--sigma", "0.1"), cwd=tmp_path
    )
    assert (tmp_path / "noisy_smooth.png").exists()


def test_no_gradient_goes_through_it(pair):
    noisy = torch.rand(32, 32, requires_grad=True)
    message = "weights are an ONNX file; expected others for a gradient"
    with pytest.raises(ValueError, match=re.escape(message)):
        DDPM(weights=pair[1]).with_gradient(noisy, 0.1)


def test_a_damaged_file_is_refused(pair, tmp_path):
    path = tmp_path / "damaged.onnx"
    path.write_bytes(pair[1].read_bytes()[:1000])
    with pytest.raises(ValueError, match=re.escape(f"{path} is damaged: ")):
        load(path)


def test_a_file_of_another_program_is_refused(pair, tmp_path):
    model = onnx.load(pair[1])
    about = {each.key: each.value for each in model.metadata_props if each.key != "schedule"}
    onnx.helper.set_model_props(model, about)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(
        ValueError, match=r"does not say what its network is for \('schedule'\); exp"
    ):
        load(tmp_path / "other.onnx")


def test_it_is_not_exported_again(pair, tmp_path):
    with pytest.raises(ValueError, match="an ONNX file already"):
        export_onnx(pair[1], tmp_path / "again.onnx")


def test_without_onnx_runtime_it_says_what_to_install(pair, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    message = r"needs ONNX Runtime: pip install 'difffilter\[onnx\]'"
    with pytest.raises(ValueError, match=message):
        load(pair[1])
    with pytest.raises(ModuleNotFoundError, match=r"export needs onnxruntime: pip install"):
        export_onnx(pair[0], tmp_path / "eight.onnx", eight_bits=True)
