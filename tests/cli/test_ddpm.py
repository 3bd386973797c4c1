"""The commands for the DDPM."""

import numpy as np
import pytest
from command import invoke_error, invoke_ok
from PIL import Image

pytest.importorskip("torch")


def test_sample_draws_a_grid(folder):
    arguments = ("-n", 3, "--size", 20, "--steps", 2)
    assert invoke_ok("sample", *arguments, "-o", "grid.png", cwd=folder) == ""
    grid = np.asarray(Image.open(folder / "grid.png"))
    assert grid.shape == (2 * 20 + 6, 2 * 20 + 6)  # frames of two pixels around each
    assert (grid[24:-2, 24:-2] == 255).all()  # the fourth place is empty
    assert not (grid[2:22, 2:22] == 255).all()
    with Image.open(folder / "grid.png") as image:
        assert "trainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
    invoke_ok("sample", *arguments, "-o", "again.png", cwd=folder)
    np.testing.assert_array_equal(grid, np.asarray(Image.open(folder / "again.png")))
    assert "grid.png exists already" in invoke_error("sample", "-o", "grid.png", cwd=folder)
    assert "weights is 'unnatural'; expected a file or one of" in invoke_error(
        "sample", "-o", "other.png", "--weights", "unnatural", cwd=folder
    )
    assert not (folder / "other.png").exists()


def test_evolve_draws_and_animates(folder):
    assert invoke_ok("evolve", "grey.png", "--size", 32, cwd=folder) == ""
    with Image.open(folder / "grey_evolve.png") as figure:
        assert figure.size[0] > 2 * figure.size[1]  # seven columns of two rows
    figure = (folder / "grey_evolve.png").read_bytes()
    invoke_ok("evolve", "grey.png", "--size", 32, "-m", "tv-flow", "--overwrite", cwd=folder)
    assert (folder / "grey_evolve.png").read_bytes() != figure
    options = ("--weights", "auto", "--last", 20, "--steps", 2, "--frames", 3, "--size", 24)
    invoke_ok("evolve", "colour.jpg", "-o", "way.gif", *options, cwd=folder)
    invoke_ok("evolve", "colour.jpg", "-o", "way.webp", *options, cwd=folder)
    for name in ("way.gif", "way.webp"):
        with Image.open(folder / name) as animation:
            assert animation.n_frames == 5  # three there, two back
    assert "method is identity, which has no time; expected a PDE" in invoke_error(
        "evolve", "grey.png", "-o", "x.png", "-m", "identity", cwd=folder
    )
    assert "for 1 channels; expected weights for 3" in invoke_error(
        "evolve", "colour.jpg", "-o", "x.png", "--weights", "natural-gray", cwd=folder
    )


def test_evolve_shows_a_photograph_upright(folder):
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    with Image.open(folder / "colour.jpg") as image:
        image.save(folder / "turned.png", exif=exif)
        image.transpose(Image.Transpose.ROTATE_270).save(folder / "upright.png")
    for name in ("turned", "upright"):
        invoke_ok("evolve", f"{name}.png", "--size", 24, "--frames", 2, cwd=folder)
    turned, upright = (
        np.asarray(Image.open(folder / f"{name}_evolve.png")) for name in ("turned", "upright")
    )
    np.testing.assert_array_equal(turned, upright)
