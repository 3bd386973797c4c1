"""The similarity of a picture and texts, by CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from difffilter.generate import weights
from difffilter.generate.clip import CLIP
from difffilter.generate.neighbours import in_known_words
from difffilter.generate.text import trimmed
from difffilter.generate.tokens import Tokeniser
from difffilter.image import as_float

__all__ = ["best_of", "similarity"]


def similarity(
    image: ArrayLike, texts: Sequence[str], *, model: str | PathLike = "clip"
) -> NDArray:
    """Cosine similarity of a picture and of texts, as CLIP sees them.

    Parameters
    ----------
    image : array_like (H, W), (H, W, 3) or (H, W, 4)
        A picture, in [0, 1], to which integers are scaled. It is brought to the size of the model,
        not square ones with white beside them; what is transparent becomes white.
    texts : sequence of str
        One or more. Words that the model does not know are replaced by known ones near in meaning.
    model : str or Path, default "clip"
        Weights: a name in `available`, or a file.

    Returns
    -------
    float32 ndarray (len(texts),)
        In [−1, 1].

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    TypeError, ValueError
        If `image` is not a picture, there is no text, or the weights are of another kind.

    References
    ----------
    Radford et al., "Learning transferable visual models from natural language supervision", ICML
    2021.

    Examples
    --------
    >>> import numpy as np
    >>> similarity(np.ones((64, 64, 3)), ["a red heart", "a blue fish"]).shape
    (2,)
    """
    if isinstance(texts, str) or not len(texts):
        raise ValueError(f"texts is {texts!r}; expected a list of one or more texts")
    found = weights.load_once(model, "clip")
    net, words = cast(CLIP, found.net), cast(Tokeniser, found.tokeniser)
    with torch.inference_mode():
        of_image = net.embed_images(as_input(image, net.config.size))
        known = [in_known_words(text, words) for text in texts]
        of_texts = net.embed_texts(trimmed(words.encode_all(known)))
        return (of_texts @ of_image[0]).numpy()


def best_of(
    pictures: NDArray, texts: Sequence[str], candidates: int, *, model: str | PathLike = "clip"
) -> NDArray:
    """The numbers of the pictures that are most similar to their texts, one of each few.

    Parameters
    ----------
    pictures : ndarray (N, H, W, 3)
        In [0, 1]: candidates for a text, then those for the next, and so on.
    texts : sequence of str
        The text of each picture.
    candidates : int
        Pictures that compete; a divisor of N.
    model : str or Path, default "clip"
        Weights: a name in `available`, or a file.

    Returns
    -------
    int ndarray (N / candidates,)
    """
    if candidates == 1:
        return np.arange(len(pictures))
    found = weights.load_once(model, "clip")
    net, words = cast(CLIP, found.net), cast(Tokeniser, found.tokeniser)
    known = {text: in_known_words(text, words) for text in texts}
    with torch.inference_mode():
        x = torch.cat([as_input(picture, net.config.size) for picture in pictures])
        of_texts = net.embed_texts(trimmed(words.encode_all([known[text] for text in texts])))
        cosines = (net.embed_images(x) * of_texts).sum(dim=1).numpy()
    best = cosines.reshape(-1, candidates).argmax(axis=1)
    return best + candidates * np.arange(len(best))


def as_input(image: ArrayLike, size: int) -> Tensor:
    """A picture as a Tensor (1, 3, size, size) in [−1, 1]."""
    from PIL import Image, ImageOps

    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ValueError(f"image has shape {pixels.shape}; expected (H, W), (H, W, 3) or (H, W, 4)")
    pixels = as_float(pixels, None if pixels.ndim == 2 else -1).astype(np.float32)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 4:
        pixels = pixels[..., :3] * pixels[..., 3:] + 1 - pixels[..., 3:]
    if pixels.shape[:2] != (size, size):
        eight = Image.fromarray((255 * pixels.clip(0, 1)).round().astype(np.uint8))
        square = ImageOps.pad(eight, (size, size), Image.Resampling.LANCZOS, "white")
        pixels = np.asarray(square, np.float32) / 255
    return torch.from_numpy(2 * np.moveaxis(pixels, 2, 0)[None] - 1)
