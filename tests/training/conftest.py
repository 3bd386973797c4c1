import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tensors this small are not worth sharing among threads, least of all on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Seven small colour images, and a file that is none."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for index in range(7):
        pixels = rng.integers(256, size=(24 + index, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture(scope="session")
def tiny():
    """The smallest network that has all there is in one."""
    from difffilter.ddpm.unet import UNetConfig

    return UNetConfig(widths=(8, 16), blocks=1, middle=1, attention=(1,), embedding=16)
