"""Weight files of text to image."""

import json
import pickle
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import TEXT, WORDS, random_weights

from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNetConfig
from difffilter.generate import (
    CLIP,
    Autoencoder,
    AutoencoderConfig,
    CLIPConfig,
    Judge,
    JudgeConfig,
    Model,
    Prior,
    PriorConfig,
    TextToImage,
    TextToImageConfig,
    Upsampler,
    UpsamplerConfig,
    weights,
)
from difffilter.io.weights import Collection, read

UNET = UNetConfig(
    channels=1, shuffle=1, widths=(8, 16), blocks=1, middle=1, attention=(1,), heads=2,
    embedding=16, context=16,
)  # fmt: skip
NETS = {
    "autoencoder": Autoencoder(AutoencoderConfig(widths=(8, 16), blocks=(1, 1))),
    "clip": CLIP(CLIPConfig(TEXT, 16, (8, 8), 1, 8, 8, 2)),
    "text-to-image": TextToImage(TextToImageConfig(UNET, TEXT, 16)),
    "prior": Prior(PriorConfig(TEXT, 8)),
    "upsampler": Upsampler(
        UpsamplerConfig(replace(UNET, channels=6, attention=(), context=0), factor=2, gain=3.0)
    ),
    "judge": Judge(JudgeConfig((("cat", "dog"), ("small", "medium", "large")), 3, (8, 8), 1)),
}
OTHERS = {
    "autoencoder": {},
    "clip": {"tokeniser": WORDS},
    "text-to-image": {
        "tokeniser": WORDS, "schedule": NoiseSchedule("cosine", T=50),
        "autoencoder": "my-autoencoder", "latents": "0123",
    },
    "prior": {
        "tokeniser": WORDS, "schedule": NoiseSchedule(), "clip": "my-clip", "embeddings": "4567",
    },
    "upsampler": {"schedule": NoiseSchedule(T=50)},
    "judge": {},
}  # fmt: skip
MODELS = {name: Model(name, random_weights(net), **OTHERS[name]) for name, net in NETS.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.mark.parametrize("kind", weights.KINDS)
def test_a_network_is_read_as_it_was_written_but_for_its_rounding(path, kind):
    model = MODELS[kind]
    weights.save(path, model)
    found = weights.load(path, kind)
    assert found == replace(model, net=found.net, sha256=found.sha256)
    assert found.net.config == model.net.config
    assert not found.net.training
    mine, theirs = found.net.state_dict(), model.net.state_dict()
    assert mine.keys() == theirs.keys()
    for name, weight in theirs.items():
        assert mine[name].dtype == torch.float32
        if kind in weights.ROUNDED and weight.ndim > 1:
            # To one of 127 steps up to the largest of a row, which half precision rounds by 1/2048.
            step = weight.abs().flatten(1).max(dim=1).values / 127
            step = step.view(-1, *[1] * (weight.ndim - 1))
            assert ((mine[name] - weight).abs() <= (1 / 2 + 127 / 2048 + 1e-3) * step).all(), name
            assert len(mine[name][0].unique()) <= 2 * 127 + 1
        else:
            assert torch.equal(mine[name], weight.half().float()), name
    assert not any(weight.requires_grad for weight in found.net.parameters())
    # Rounded once, not again.
    weights.save(path, found)
    assert weights.load(path).sha256 == found.sha256
    assert re.fullmatch(r"[0-9a-f]{64}", found.sha256)


def test_rows_without_weights_stay_empty():
    whole, largest = weights.rounded(np.array([[0, 0], [1e-9, 0], [-2, 1]], np.float32))
    assert whole.tolist() == [[0, 0], [0, 0], [-127, 64]]
    assert largest.tolist() == [[0], [0], [2]]


@pytest.mark.parametrize("kind", weights.KINDS)
def test_the_order_of_the_memory_does_not_matter(path, kind):
    """Training keeps kernels with their channels last."""
    weights.save(path, MODELS[kind])
    plain = weights.load(path)
    net = NETS[kind].to(memory_format=torch.channels_last)
    if any(weight.ndim == 4 for weight in net.parameters()):
        assert not all(weight.is_contiguous() for weight in net.parameters())
    weights.save(path, replace(MODELS[kind], net=net))
    net.to(memory_format=torch.contiguous_format)
    found = weights.load(path)
    assert found.sha256 == plain.sha256
    for mine, theirs in zip(found.net.parameters(), plain.net.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_shapes_are_kept_that_of_a_number_too(path):
    weights.save(path, MODELS["autoencoder"])
    found, expected = read(path)[1], NETS["autoencoder"].state_dict()
    assert {name: value.shape for name, value in found.items()} == {
        name: tuple(value.shape) for name, value in expected.items()
    }
    assert found["scale"].shape == ()


def test_an_autoencoder_keeps_the_scale_of_its_latents(path):
    net = Autoencoder(NETS["autoencoder"].config).eval()
    net.scale.fill_(3.25)
    weights.save(path, Model("autoencoder", net))
    assert float(weights.load(path).net.scale) == 3.25


@pytest.mark.parametrize("kind", weights.KINDS)
def test_weights_of_another_kind_are_refused(path, kind):
    weights.save(path, MODELS[kind])
    other = "clip" if kind != "clip" else "judge"
    message = f"weights is {str(path)!r}, of kind {kind}; expected {other}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        weights.load(path, other)


def test_damaged_and_foreign_files_are_refused(path, tmp_path):
    weights.save(path, MODELS["judge"])
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    message = f"{path} is damaged: its content does not have the checksum that it states"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        weights.load(path)
    path.write_bytes(content[:-9])
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is damaged, truncated or not"):
        weights.load(path)
    foreign = Collection(tmp_path, "difffilter-ddpm-2")
    foreign.save(path, {"a": np.zeros(3, np.float16)}, {})
    message = f"{path} is a foreign safetensors file; expected the format 'difffilter-generate-1'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        weights.load(path)


@pytest.mark.parametrize("protocol", [None, 2])
def test_pickles_are_refused(path, protocol):
    """A pickle runs what it likes when it is loaded; so nothing of it is."""
    if protocol is None:
        torch.save(NETS["judge"].state_dict(), path)
    else:
        path.write_bytes(pickle.dumps({"a": 1}, protocol))
    message = f"{path} is a pickled checkpoint, which is never loaded"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        weights.load(path)


def settings_of(path):
    return json.loads(read(path)[0]["config"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kind": "gan"},
            "kind is 'gan'; expected one of autoencoder, clip, text-to-image, prior, upsampler, "
            "judge",
        ),
        (
            {"network": {"questions": []}},
            "questions is []; expected one or more tuples of at least two",
        ),
        ({"network": {"colours": 3}}, "unexpected keyword argument 'colours'"),
        ({"network": None}, ""),
        ({"schedule": {"T": 0}}, "T is 0"),
        ({"tokeniser": "abc"}, "text is 'abc'; expected the JSON of a tokeniser"),
    ],
)
def test_a_config_that_does_not_describe_a_network_is_refused(path, change, message):
    weights.save(path, MODELS["judge"])
    settings, arrays = settings_of(path) | change, read(path)[1]
    weights.COLLECTION.save(path, arrays, settings)
    start = f"{path} is damaged: its config does not describe a network: "
    with pytest.raises(ValueError, match=f"^{re.escape(start)}.*{re.escape(message)}"):
        weights.load(path)
    del settings["kind"]
    weights.COLLECTION.save(path, arrays, settings)
    with pytest.raises(ValueError, match=f"^{re.escape(start)}'kind'$"):
        weights.load(path)


def test_weights_that_do_not_fit_their_config_are_refused(path):
    weights.save(path, MODELS["judge"])
    settings, arrays = settings_of(path), read(path)[1]
    settings["network"]["widths"] = [8, 16]
    weights.COLLECTION.save(path, arrays, settings)
    start = f"{path} is damaged: its weights do not fit its config: "
    with pytest.raises(ValueError, match=f"^{re.escape(start)}"):
        weights.load(path)


def test_names_are_listed_and_described(tmp_path, monkeypatch):
    folder = Collection(tmp_path, weights.COLLECTION.kind)
    for name in ("available", "card", "find"):
        monkeypatch.setattr(weights, name, getattr(folder, name))
    assert weights.available() == []
    with pytest.raises(FileNotFoundError, match=r"^weights is 'clip'; expected a file or one of"):
        weights.load("clip")
    for name in ("latent", "clip"):
        weights.save(tmp_path / f"{name}.safetensors", MODELS["clip"])
    assert weights.available() == ["clip", "latent"]
    assert weights.find("latent") == tmp_path / "latent.safetensors"
    assert weights.load("clip").tokeniser == WORDS
    with pytest.raises(FileNotFoundError, match="did you mean 'clip'"):
        weights.find("clop")
    assert weights.card("clip") == {}
    (tmp_path / "clip.json").write_text('{"description": "Scenes"}')
    assert weights.card("clip") == {"description": "Scenes"}
    (tmp_path / "clip.json").write_text("{")
    with pytest.raises(ValueError, match=r"^the model card .*clip.json is damaged: "):
        weights.card("clip")


def test_weights_are_listed_without_pytorch():
    code = (
        "import sys\n"
        "from difffilter.generate import available, card, weights\n"
        "[card(name) for name in available()], [weights.find(name) for name in available()]\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
