"""Tiny pipelines of diffusers, for the tests of those."""

import shutil

import pytest


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory):
    """A Stable Diffusion of 16×16 pixels that knows the words a and b."""
    from tiny_pipelines import save_text

    return save_text(tmp_path_factory.mktemp("models") / "text")


@pytest.fixture(scope="session")
def noise_folder(tmp_path_factory):
    """A DDPM of 8×8 pixels."""
    from tiny_pipelines import diffusers, save_unconditional

    folder = tmp_path_factory.mktemp("models") / "noise"
    return save_unconditional(folder, diffusers.DDPMPipeline, diffusers.DDPMScheduler())


@pytest.fixture(scope="module")
def from_text(text_folder):
    from difffilter.generate.pipelines import Pipeline

    return Pipeline.load(text_folder, device="cpu")


@pytest.fixture(scope="module")
def from_noise(noise_folder):
    from difffilter.generate.pipelines import Pipeline

    return Pipeline.load(noise_folder, device="cpu")


@pytest.fixture
def copy(text_folder, tmp_path):
    """A copy of the text-to-image folder to change."""
    return shutil.copytree(text_folder, tmp_path / "copy")
