"""Of weight files only tensors are read, and nothing that they hold is run. (Without spandrel.)"""

import re

import pytest
import torch
from safetensors.torch import save_file

from difffilter.integrations.spandrel import FromFile, read_weights


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".ckpt"])
def test_tensors_are_read(suffix, tmp_path):
    path, weights = tmp_path / f"weights{suffix}", {"weight": torch.arange(3.0)}
    (save_file if suffix == ".safetensors" else torch.save)(weights, path)
    assert torch.equal(read_weights(path)["weight"], weights["weight"])


class Program:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("suffix", [".pth", ".ckpt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_is_run(suffix, zipped, tmp_path):
    written, path = tmp_path / "written", tmp_path / f"weights{suffix}"
    content = {"params": {"weight": torch.zeros(2)}, "program": Program(written)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match="expected a file of weights alone"):
        read_weights(path)
    assert not written.exists()
    torch.load(path, weights_only=False)["program"].close()  # which does run it
    assert written.exists()


def test_a_program_of_pytorch_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"model\.pt'; expected a file \.safetensors"):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02", b"PK\x03\x04" + bytes(50)])
def test_damaged_files_are_refused(suffix, content, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(repr(str(path)))):
        read_weights(path)


def test_other_things_than_a_dict_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(torch.zeros(2), path)
    with pytest.raises(ValueError, match="which holds a Tensor; expected a dict of weights"):
        read_weights(path)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"path": 3}, TypeError, "path is 3; expected the path of a weight file"),
        ({"device": "abacus"}, ValueError, "device is 'abacus'"),
        ({"tile": 8}, ValueError, "tile is 8; expected a whole number ≥ 64"),
    ],
)
def test_options_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        FromFile(**({"path": "weights.pth"} | options))
