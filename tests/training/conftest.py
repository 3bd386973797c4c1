import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session", autouse=True)
def one_thread(torch_threads):
    """For every test of this folder."""


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


@pytest.fixture(scope="module")
def few_captions():
    """Fewer captions of scenes for a vocabulary, and fewer pictures for a score."""
    from difffilter.training import autoencoder, clip, judge, pictures, prior, text_to_image

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "CAPTIONS", 100)
        patch.setattr(autoencoder, "VALIDATED", 4)
        patch.setattr(clip, "VALIDATED", 6)
        patch.setattr(text_to_image, "VALIDATED", 8)
        patch.setattr(prior, "VALIDATED", 8)
        patch.setattr(judge, "VALIDATED", 24)
        yield


@pytest.fixture(scope="session")
def picture_folders(tmp_path_factory):
    """The folder, or "scenes", that each of `picture_runs.CONFIGS` is trained on."""
    from captioned_folders import write_fashion, write_squares
    from picture_runs import CONFIGS

    squares, fashion = (tmp_path_factory.mktemp(name) for name in ("squares", "fashion"))
    write_squares(squares)
    rng = np.random.default_rng(0)
    write_fashion(fashion, rng.integers(256, size=(12, 28, 28)), np.arange(12) % 5)
    return dict.fromkeys(CONFIGS, squares) | {"fashion": fashion, "judge-scenes": "scenes"}


@pytest.fixture(scope="session")
def picture_configs(tmp_path_factory):
    """`picture_runs.CONFIGS`, with an autoencoder and a CLIP for those that need them."""
    from dataclasses import replace

    from picture_runs import CONFIGS
    from tiny_models import tiny_autoencoder, tiny_clip

    folder = tmp_path_factory.mktemp("autoencoder")
    autoencoder, clip = str(tiny_autoencoder(folder)), str(tiny_clip(folder, 64))
    return CONFIGS | {
        "latent": replace(CONFIGS["latent"], autoencoder=autoencoder),
        "decoder": replace(CONFIGS["decoder"], autoencoder=autoencoder, embeddings=clip),
        "prior": replace(CONFIGS["prior"], embeddings=clip),
    }
