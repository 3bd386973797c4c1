"""Weight files: what goes in comes out, and what is broken is said to be."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from difffilter.ddpm import weights
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig
from difffilter.io.weights import digest, read

SMALL = UNetConfig(widths=(8,), blocks=1, middle=1, attention=(0,), heads=2, embedding=8)
SCHEDULE = NoiseSchedule("cosine", 50)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    torch.manual_seed(0)
    weights.save(path, UNet(SMALL), SCHEDULE, (0.01, 0.5))
    return path


def rewrite(path, target, **changes):
    """The file with other metadata, and the checksum that goes with it."""
    metadata, tensors = read(path)
    metadata |= changes
    metadata["sha256"] = digest(metadata["config"], tensors)
    save_file(tensors, target, metadata)
    return target


def test_what_is_saved_is_what_is_loaded(path):
    torch.manual_seed(0)
    net = UNet(SMALL)
    loaded = weights.load(path)
    assert loaded.net.config == SMALL
    assert loaded.schedule == SCHEDULE
    assert loaded.sigma_range == (0.01, 0.5)
    assert not loaded.net.training
    for (name, mine), theirs in zip(
        net.state_dict().items(), loaded.net.state_dict().values(), strict=True
    ):
        assert theirs.dtype == torch.float32, name
        torch.testing.assert_close(theirs, mine.half().float(), rtol=0, atol=0)


def test_saving_replaces_the_file_as_a_whole(path, tmp_path):
    target = tmp_path / "net.safetensors"
    target.write_bytes(b"old")
    broken = UNet(SMALL)
    broken.tail.weight.data[0] = float("inf")
    with pytest.raises(ValueError, match=r"tail\.weight"):
        weights.save(target, broken, SCHEDULE, (0.01, 0.5))
    assert target.read_bytes() == b"old"
    weights.save(target, UNet(SMALL), SCHEDULE, (0.01, 0.5))
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_an_error(path, tmp_path, part):
    broken = tmp_path / "broken.safetensors"
    content = path.read_bytes()
    broken.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match="broken"):
        weights.load(broken)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_flipped_bit_is_an_error(path, tmp_path, part, bit):
    broken = tmp_path / "broken.safetensors"
    content = bytearray(path.read_bytes())
    content[int(part * len(content))] ^= 1 << bit
    broken.write_bytes(content)
    with pytest.raises(ValueError, match="broken"):
        weights.load(broken)


def test_a_pickle_is_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    for zipped in (True, False):
        path = tmp_path / "trap.safetensors"
        torch.save({"net": Trap()}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(ValueError, match="pickle"):
            weights.load(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("length", [0x480, 0x4B50])
def test_a_file_that_only_starts_like_a_pickle_is_read(tmp_path, length):
    """The first bytes of a safetensors file are the length of its header."""
    path = tmp_path / "net.safetensors"
    save_file({"a": np.arange(3)}, path, {"note": ""})
    empty = int.from_bytes(path.read_bytes()[:8], "little")
    save_file({"a": np.arange(3)}, path, {"note": "x" * (length - empty)})
    assert path.read_bytes()[:2] == length.to_bytes(2, "little")
    np.testing.assert_array_equal(read(path)[1]["a"], np.arange(3))


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"format": "difffilter-ddpm-9"}])
def test_a_foreign_file_is_an_error(tmp_path, metadata):
    path = tmp_path / "other.safetensors"
    save_file({"a": np.zeros(3)}, path, metadata)
    with pytest.raises(ValueError, match="foreign"):
        weights.load(path)


def test_a_config_of_another_network_is_an_error(path, tmp_path):
    config = json.loads(read(path)[0]["config"])
    config["unet"]["widths"] = [16]
    other = rewrite(path, tmp_path / "wide.safetensors", config=json.dumps(config))
    with pytest.raises(ValueError, match="do not fit"):
        weights.load(other)


@pytest.mark.parametrize(
    "unet", [{"widths": [7]}, {"depth": 3}, {"widths": "wide"}, {"heads": 0}, {"shuffle": 1.5}]
)
def test_a_config_of_no_network_is_an_error(path, tmp_path, unet):
    config = json.loads(read(path)[0]["config"])
    config["unet"] |= unet
    other = rewrite(path, tmp_path / "odd.safetensors", config=json.dumps(config))
    with pytest.raises(ValueError, match="config"):
        weights.load(other)


def test_a_missing_file_names_the_weights_there_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="did you mean 'natural-gray'"):
        weights.find("natural-grey")
    with pytest.raises(FileNotFoundError, match="expected a file or one of"):
        weights.find(tmp_path)


def test_a_card_that_is_missing_is_empty_and_a_broken_one_an_error(path):
    assert weights.card(path) == {}
    path.with_suffix(".json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        weights.card(path)
    path.with_suffix(".json").unlink()


@pytest.mark.parametrize("name", weights.available())
def test_the_weights_that_come_along_are_described(name):
    loaded, card = weights.load(name), weights.card(name)
    assert card["channels"] == loaded.net.config.channels
    assert card["parameters"] == sum(p.numel() for p in loaded.net.parameters())
    assert card["sigma_range"] == pytest.approx(loaded.sigma_range)
    assert {"data", "licence", "steps", "psnr"} <= card.keys()


def test_listing_does_not_need_pytorch():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['safetensors'] = None\n"
        "from difffilter.ddpm import available, card, NoiseSchedule\n"
        "print(*[card(name)['channels'] for name in available()])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
