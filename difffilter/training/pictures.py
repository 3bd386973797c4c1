"""Training data for text to image: captioned pictures of a folder, scenes that are drawn, or both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from difffilter.generate.captioned import Captioned, read_captioned
from difffilter.generate.grammar import caption
from difffilter.generate.rendering import render
from difffilter.generate.scenes import draw_scene
from difffilter.generate.tokens import Tokeniser

__all__ = ["SCENES", "Pictures", "read_pictures", "tokeniser"]

# The name, in place of a folder, of the scenes that are drawn.
SCENES = "scenes"

# Captions of scenes from which the vocabulary is made.
CAPTIONS = 20_000

# The largest shift of an emoji that is varied, in 1/64 of its side.
SHIFT = 10


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

    def draw(self, rng: np.random.Generator, varied: bool = False) -> tuple[NDArray, str]:
        """A picture (size, size, C), float32 in [0, 1], and a caption.

        Parameters
        ----------
        rng : numpy.random.Generator
        varied : bool, default False
            Move and mirror pictures of the folder, change their colours, and lay them over others.
        """
        if self.captioned is None or rng.random() < self.scenes:
            scene = draw_scene(rng)
            return render(scene, rng, size=self.size) / np.float32(255), caption(scene, rng).text
        index = int(rng.integers(len(self.captioned)))
        picture = vary(self.captioned, index, rng) if varied else self.captioned.over(index)
        return picture, self.captioned.caption(index, rng)


def vary(captioned: Captioned, index: int, rng: np.random.Generator) -> NDArray:
    """A picture in another place, mirrored, with colours exchanged, over a colour or another picture."""
    pixels = captioned.images[index]
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
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
    return moved[..., rng.permutation(moved.shape[2])] if rng.random() < 0.3 else moved


def read_pictures(
    folder: str | PathLike, scenes: float, aside: int, size: int = 64
) -> tuple[Pictures, Pictures]:
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

    Returns
    -------
    train, validation : Pictures
    """
    if str(folder) == SCENES:
        return (Pictures(None, 1.0, size),) * 2
    captioned = read_captioned(folder, size)
    count = min(aside, len(captioned) // 2)
    chosen = np.zeros(len(captioned), bool)
    chosen[np.linspace(0, len(captioned) - 1, count).round().astype(int)] = count > 0
    kept, held = (subset(captioned, np.flatnonzero(which)) for which in (~chosen, chosen))
    return Pictures(kept, scenes, size), Pictures(held, scenes, size)


def subset(captioned: Captioned, indices: NDArray) -> Captioned:
    """Some of captioned pictures."""
    return Captioned(
        captioned.images[indices],
        tuple(captioned.labels[i] for i in indices),
        tuple(captioned.tags[i] for i in indices),
        tuple(captioned.groups[i] for i in indices),
    )


def tokeniser(pictures: Pictures, size: int, length: int) -> Tokeniser:
    """A vocabulary for the captions of pictures.

    Parameters
    ----------
    pictures : Pictures
    size : int
        Number of tokens at most.
    length : int
        That of an encoded caption.

    Returns
    -------
    Tokeniser
    """
    texts: list[str] = []
    if pictures.captioned is not None:
        texts += pictures.captioned.labels
        texts += [tag for tags in pictures.captioned.tags for tag in tags]
    if pictures.scenes > 0:
        rng = np.random.default_rng(0)
        texts += [caption(draw_scene(rng), rng).text for _ in range(CAPTIONS)]
    return Tokeniser.train(texts, size, length)
