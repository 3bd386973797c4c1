"""Training data for text to image: captioned pictures of a folder, scenes that are drawn, or both."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from difffilter.generate.captioned import Captioned, read_captioned, read_captions
from difffilter.generate.grammar import caption
from difffilter.generate.rendering import render
from difffilter.generate.scenes import draw_scene
from difffilter.generate.tokens import Tokeniser
from difffilter.image import grey, like

__all__ = [
    "SCENES",
    "VALIDATION",
    "Pictures",
    "check_channels",
    "read_pictures",
    "tokeniser",
    "vary",
]

# The name, in place of a folder, of the scenes that are drawn.
SCENES = "scenes"

# The seed of the draws of a validation. NumPy takes 0 for [0, 0], the seed of a run's first step.
VALIDATION = (0, 0, 1)

# Captions of scenes from which the vocabulary is made.
CAPTIONS = 20_000

# The largest shift of a picture that is varied, in 1/64 of its side.
SHIFT = 10

# The largest turn of a picture, to either side, and its least and largest scale.
TURN, SCALES = math.radians(20), (0.75, 1.2)

# A picture is not mirrored if a word of its caption begins like one of these.
SIDES = ("left", "right")


@dataclass(frozen=True)
class Pictures:
    """Pictures with captions, of two sources.

    Attributes
    ----------
    captioned : Captioned or None
        Those of a folder.
    scenes : float
        The share of scenes among all that are drawn; 1 without a folder.
    size : int
        Height and width.
    """

    captioned: Captioned | None
    scenes: float
    size: int = 64

    def draw(
        self,
        rng: np.random.Generator,
        *,
        varied: bool = False,
        recoloured: bool = False,
        turned: bool = False,
    ) -> tuple[NDArray, str]:
        """A picture (size, size, C), float32 in [0, 1], and a caption.

        Parameters
        ----------
        rng : numpy.random.Generator
        varied, recoloured, turned : bool, default False
            Vary pictures of the folder, and their colours, angle and size, too, as `vary` does.
        """
        if self.captioned is None or rng.random() < self.scenes:
            scene = draw_scene(rng)
            return render(scene, rng, size=self.size) / np.float32(255), caption(scene, rng).text
        index = int(rng.integers(len(self.captioned)))
        if not varied:
            return self.captioned.over(index), self.captioned.caption(index, rng)
        picture = vary(self.captioned, index, rng, recoloured=recoloured, turned=turned)
        return picture, self.captioned.caption(index, rng)


def vary(
    captioned: Captioned,
    index: int,
    rng: np.random.Generator,
    *,
    recoloured: bool = False,
    turned: bool = False,
) -> NDArray:
    """A picture in another place, mirrored, over a colour or another picture; each only sometimes.

    Parameters
    ----------
    captioned : Captioned
    index : int
        Its number.
    rng : numpy.random.Generator
    recoloured : bool, default False
        Exchange its colours, too, sometimes: a caption may then be wrong.
    turned : bool, default False
        Turn it by up to 20° and scale it by 0.75 to 1.2, too, mostly.

    Returns
    -------
    float32 ndarray (S, S, C)
        In [0, 1].
    """
    pixels = captioned.images[index]
    words = captioned.labels[index].lower().split()
    if rng.random() < 0.5 and not any(word.startswith(SIDES) for word in words):
        pixels = pixels[:, ::-1]
    if turned and rng.random() < 0.75:
        pixels = transformed(pixels, rng.uniform(-TURN, TURN), rng.uniform(*SCALES))
    if rng.random() < 0.5:
        most = SHIFT * len(pixels) // 64
        y, x = rng.integers(-most, most + 1, 2)
        room = np.pad(pixels, [(most, most), (most, most), (0, 0)])
        pixels = room[most - y : most - y + len(pixels), most - x : most - x + len(pixels)]
    background: NDArray | float = 1.0
    chance = rng.random()
    if 0.6 < chance < 0.8:
        background = rng.random(3).astype(np.float32)
    elif chance >= 0.8:
        background = captioned.over(int(rng.integers(len(captioned))))
    moved = replace(captioned, images=pixels[None]).over(0, background)
    if recoloured and rng.random() < 0.3:
        return moved[..., rng.permutation(moved.shape[2])]
    return moved


def transformed(pixels: NDArray, angle: float, scale: float) -> NDArray:
    """Pixels (S, S, C), uint8, turned to the left about their centre, and scaled; empty where nothing was."""
    cos, sin, centre = math.cos(angle) / scale, math.sin(angle) / scale, len(pixels) / 2
    # From the place of a pixel, right and down, to where it comes from.
    matrix = (cos, -sin, centre * (1 - cos + sin), sin, cos, centre * (1 - cos - sin))
    image = Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[..., 0])
    # (Pillow weights colours by alpha. Bicubic interpolation would overshoot in both, and colours differ.)
    moved = image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.asarray(moved).reshape(pixels.shape)


def read_pictures(
    folder: str | PathLike, scenes: float, aside: int, size: int = 64, channels: int = 3
) -> tuple[Pictures, Pictures | None]:
    """The pictures of a folder, those to train on and those set aside.

    Parameters
    ----------
    folder : str or Path
        As `read_captioned` takes it; "scenes" stands for scenes alone.
    scenes : float
        The share of scenes.
    aside : int
        Number of pictures to set aside, evenly spaced; at most half.
    size : int, default 64
        Height and width.
    channels : int, default 3
        Those of the network, which the pictures must have; for 1, colours become grey.

    Returns
    -------
    train : Pictures
    validation : Pictures or None
        Scenes alone if no picture is set aside; ``None`` if there are no scenes either.

    Raises
    ------
    FileNotFoundError
        As `read_captioned`.
    ValueError
        As `read_captioned`, and if the channels differ.
    """
    drawn = Pictures(None, 1.0, size)
    if str(folder) == SCENES:
        check_channels(channels, 3, "scenes")
        return drawn, drawn
    captioned = read_captioned(folder, size)
    if channels == 1 and captioned.channels == 3:
        captioned = in_grey(captioned)
    check_channels(channels, captioned.channels, f"the pictures in {folder}")
    if scenes > 0 and captioned.channels != 3:
        raise ValueError(f"scenes is {scenes}; expected 0, as the pictures in {folder} are grey")
    count = min(aside, len(captioned) // 2)
    chosen = np.zeros(len(captioned), bool)
    chosen[np.linspace(0, len(captioned) - 1, count).round().astype(int)] = True
    kept, held = (subset(captioned, np.flatnonzero(which)) for which in (~chosen, chosen))
    train = Pictures(kept, scenes, size)
    if count == 0:
        return train, drawn if scenes > 0 else None
    return train, Pictures(held, scenes, size)


def in_grey(captioned: Captioned) -> Captioned:
    """Captioned pictures over white, without their colours."""
    over = (captioned.over(index) for index in range(len(captioned)))
    levels = [like(grey(picture), captioned.images[:0]) for picture in over]
    return replace(captioned, images=np.stack(levels)[..., None])


def check_channels(given: int, expected: int, source: str) -> None:
    """Raise an error if a network does not take the channels of its pictures."""
    if given != expected:
        raise ValueError(f"channels is {given}; expected {expected}, those of {source}")


def subset(captioned: Captioned, indices: NDArray) -> Captioned:
    """Some of captioned pictures."""
    return Captioned(
        captioned.images[indices],
        tuple(captioned.labels[i] for i in indices),
        tuple(captioned.tags[i] for i in indices),
        tuple(captioned.groups[i] for i in indices),
    )


def tokeniser(folder: str | PathLike, scenes: float, size: int, length: int) -> Tokeniser:
    """A vocabulary for the captions of pictures.

    Parameters
    ----------
    folder, scenes
        As for `read_pictures`.
    size : int
        Number of tokens at most.
    length : int
        That of an encoded caption.

    Returns
    -------
    Tokeniser
    """
    texts: list[str] = []
    if str(folder) != SCENES:
        captions = read_captions(folder)
        texts += captions.labels
        texts += [tag for tags in captions.tags for tag in tags]
    if str(folder) == SCENES or scenes > 0:
        rng = np.random.default_rng(0)
        texts += [caption(draw_scene(rng), rng).text for _ in range(CAPTIONS)]
    return Tokeniser.train(texts, size, length)
