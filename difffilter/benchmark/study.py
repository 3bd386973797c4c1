"""A study: images × noises or holes × σ × seeds, or real pairs, × methods × metrics, read from TOML."""

from __future__ import annotations

import glob
import hashlib
import itertools
import tomllib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from difffilter.benchmark.measure import IN_HOLES, MEASURES
from difffilter.benchmark.pairs import REAL, find_pairs, pixels_of
from difffilter.checks import check_choice, check_whole, nearest
from difffilter.image import as_float, grey
from difffilter.inpainting.holes import check_holes
from difffilter.io.files import SUFFIXES, read
from difffilter.noise.estimation import check_sigma
from difffilter.noise.kinds import add_noise
from difffilter.spelling import parse_number

__all__ = ["Case", "Study", "keyed", "labels_of", "noisy", "read_study"]

# Photographs that scikit-image ships.
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "coins", "moon", "rocket")

CHANNELS = ("gray", "color", "own")


class Case(NamedTuple):
    """One image with noise or with holes.

    Attributes
    ----------
    image : str
        The name of the clean image.
    noise : str
        The kind of noise, as `difffilter.add_noise` takes it; ``"real"`` for pairs; or the kind of
        holes, as `difffilter.inpainting.make_holes` takes it.
    sigma : float
        The strength of the noise, as for `difffilter.add_noise`; 0 for pairs, where nobody knows it.
        With holes, that of Gaussian noise of known pixels.
    seed : int
        For pairs, the place among the noisy images that share the clean one.
    """

    image: str
    noise: str
    sigma: float
    seed: int


@dataclass(frozen=True)
class Study:
    """A comparison of methods.

    Attributes
    ----------
    name : str
        The TOML file's name without its suffix.
    images : tuple of str
        Files, folders, patterns, ``"skimage"`` for the photographs of scikit-image, or
        ``"skimage:camera"`` for one of them.
    denoisers : dict of str to str
        Label to catalog string, ``"module:Class(...)"`` or ``"oracle(...)"``. ``identity``, the
        noisy image itself, is always included. With holes, texts for
        `difffilter.benchmark.filling.filler`, where ``identity`` is the mean of known pixels.
    sigmas : tuple of float
        Needed for `images` without holes; with holes, 0 by default.
    noises : tuple of str
        Kinds of noise, as for `difffilter.add_noise`, such as ``"camera(quality=90)"``.
    holes : tuple of str
        Kinds of holes, as for `difffilter.inpainting.make_holes`, such as ``"text(share=0.2)"``: the
        study is one of filling them in. Then there are neither `noises` nor `pairs`, methods are not
        given σ, and PSNR and SSIM, over the pixels of holes, are the metrics of quality.
    seeds, metrics : tuple
    pairs : tuple of dict
        Patterns of real ``noisy`` images and their ``clean`` partners, as for
        `difffilter.benchmark.pairs.find_pairs`. Methods are never given σ there. Noisy images of
        the same clean one count like the seeds of an image.
    title : str
    channels : {"own", "gray", "color"}
        Images stay as they are, colour images are converted to grey, or grey images are refused.
    crop : int, optional
        Side of the square taken from the middle of each image; ``None``: the whole image.
    sigma_known : bool
        Whether methods are given σ; if not, or for pairs, they estimate it, except oracles. With
        camera and JPEG noise, whose σ says little about the noise in an image, they are given the
        latter's root mean square.
    examples : int
        The number of images whose results are kept as pictures.
    folder : Path
        The folder of the TOML file: its paths and the modules of its denoisers are relative to it.
    """

    name: str
    images: tuple[str, ...]
    denoisers: dict[str, str]
    sigmas: tuple[float, ...] = ()
    pairs: tuple[dict[str, str], ...] = ()
    noises: tuple[str, ...] = ("gaussian",)
    holes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    metrics: tuple[str, ...] = ("psnr", "ssim", "seconds")
    title: str = ""
    channels: str = "own"
    crop: int | None = None
    sigma_known: bool = True
    examples: int = 2
    folder: Path = Path()

    @cached_property
    def sources(self):
        """Name of each image to its file or ``skimage:`` name.

        Raises
        ------
        ValueError
            If there are neither images nor pairs, or two images would have the same name.
        """
        found = dict.fromkeys(itertools.chain.from_iterable(map(self._find, self.images)))
        if not found and not self.pairs:
            raise ValueError("images is empty; expected files or folders (or pass --images FOLDER)")
        paths = {source: Path(source.removeprefix("skimage:")) for source in found}
        stems = Counter(path.stem for path in paths.values())
        named = {}
        for source, path in paths.items():
            name = path.stem if stems[path.stem] == 1 else path.name
            if name in named:
                raise ValueError(f"{named[name]} and {source} would both be named {name}")
            named[name] = source
        return named

    @cached_property
    def real(self):
        """Name of each clean image with real noisy ones to its `Pair`.

        Raises
        ------
        ValueError
            As `find_pairs` does, or if two clean images would have the same name.
        """
        named = {}
        for patterns in self.pairs:
            for name, pair in find_pairs(self.folder, **patterns).items():
                if other := self.sources.get(name) or (name in named and named[name].clean):
                    raise ValueError(f"{other} and {pair.clean} would both be named {name}")
                named[name] = pair
        return named

    @property
    def names(self):
        """The names of all clean images."""
        return [*self.sources, *self.real]

    @property
    def kinds(self):
        """The kinds of noise or of holes of the cases."""
        made = self.holes or self.noises
        return (*(made if self.sources else ()), *((REAL,) if self.pairs else ()))

    def _find(self, text):
        """Paths or ``skimage:`` names of an entry of `images`, in order."""
        if text == "skimage":
            return [f"skimage:{name}" for name in PHOTOGRAPHS]
        if text.startswith("skimage:"):
            check_choice("skimage image", text.partition(":")[2], PHOTOGRAPHS)
            return [text]
        path = self.folder / text
        if path.is_dir():
            files = [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES]
        elif glob.has_magic(text):
            files = sorted(map(Path, glob.glob(str(path), recursive=True)))
        else:
            files = [path] if path.is_file() else []
        if not files:
            raise ValueError(f"there are no images at {path}")
        return list(map(str, files))

    def clean(self, name):
        """A clean image and its channel axis.

        Returns
        -------
        tuple of (ndarray, int or None)
            float32 in [0, 1], ``(H, W)`` or ``(H, W, 3)``, and None or -1.
        """
        image = self._cropped(self._image(self.sources.get(name) or self.real[name].clean))
        return image, (-1 if image.ndim == 3 else None)

    def capture(self, case):
        """The noisy image of a case with real noise, like its clean one."""
        return self._cropped(self._image(self.real[case.image].noisy[case.seed]))

    def _image(self, source):
        """A whole image as float32, grey if the study is."""
        if isinstance(source, str) and source.startswith("skimage:"):
            from skimage import data

            pixels = getattr(data, source.partition(":")[2])()
        else:
            pixels = read(source).pages[0] if isinstance(source, str) else pixels_of(source)
        image = as_float(pixels, -1 if pixels.ndim == 3 else None).astype(np.float32)
        if self.channels == "gray" and image.ndim == 3:
            image = grey(image)
        if self.channels == "color" and image.ndim == 2:
            raise ValueError(f"{source} is grey; expected colour (channels = 'color')")
        return image

    def _cropped(self, image):
        if self.crop is not None:
            top, left = (max(0, (n - self.crop) // 2) for n in image.shape[:2])
            image = image[top : top + self.crop, left : left + self.crop]
        return np.ascontiguousarray(image)

    def cases(self):
        """All cases, in the order of the tables."""
        made = self.holes or self.noises
        axes = itertools.product(self.sources, made, self.sigmas, self.seeds)
        real = [
            Case(name, REAL, 0.0, place)
            for name, pair in self.real.items()
            for place in range(len(pair.noisy))
        ]
        return [*itertools.starmap(Case, axes), *real]

    def pixels(self, name):
        """A clean image and then its real noisy ones, from which the cases are made.

        Raises
        ------
        ValueError
            If a noisy image has not the shape of the clean one.
        """
        if name in self.sources:
            yield self.clean(name)[0]
            return
        pair = self.real[name]
        clean = self._image(pair.clean)
        yield self._cropped(clean)
        for source in pair.noisy:
            image = self._image(source)
            if image.shape != clean.shape:
                raise ValueError(
                    f"{source} has shape {image.shape}; expected {clean.shape}, as {pair.clean} has"
                )
            yield self._cropped(image)


def noisy(clean, case, channel_axis=None):
    """The noisy image of a case, always the same.

    Its noise comes from a generator keyed by the image's content, the kind of noise, σ and the
    seed.
    """
    rng = keyed(f"{case.noise} {case.sigma!r} {case.seed}", clean)
    return add_noise(clean, case.sigma, case.noise, rng, channel_axis=channel_axis)


def keyed(text, clean):
    """A generator of random numbers keyed by a text and an image's content."""
    key = f"{text} {clean.shape}".encode() + clean.tobytes()
    digest = hashlib.blake2b(key, digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


# --- reading --------------------------------------------------------------------------------


def read_study(path, images=()):
    """Read a study and check everything that can be checked before any work.

    Parameters
    ----------
    path : str or Path
        A TOML file whose keys are the attributes of `Study`; σ may be written ``"25/255"``, and
        denoisers are a list of catalog strings, which are then their own labels, or a table of
        label = catalog string.
    images : sequence of str, optional
        Images instead of the study's own images and pairs, relative to the current folder.

    Returns
    -------
    Study

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not TOML; a key, noise, kind of holes or metric is unknown or missing; keys exclude
        each other; a value is out of range; or there are no images.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "small.toml"
    ...     _ = path.write_text('images = "skimage:camera"\\nsigmas = ["25/255"]\\n'
    ...                         'denoisers = ["heat", "perona_malik(presmooth=0.5)"]')
    ...     list(read_study(path).denoisers)
    ['identity', 'heat', 'perona_malik(presmooth=0.5)']
    """
    path = Path(path)
    content = _content(path)
    with _naming(path.stem):
        known = [field.name for field in fields(Study) if field.name not in ("name", "folder")]
        for key in content:
            if key not in known:
                raise ValueError(f"unknown key {key!r}{nearest(key, known)}")
        if images:
            content["images"] = [str(Path(image).absolute()) for image in images]
            content.pop("pairs", None)
        if "holes" in content:
            for key in ("noises", "pairs", "sigma_known"):
                if key in content:
                    raise ValueError(f"{key} is {content[key]!r}; expected none beside holes")
            content.setdefault("sigmas", [0.0])
        alone = "pairs" in content and not content.get("images")
        needed = ("denoisers",) if alone else ("sigmas", "denoisers")
        for key in (*needed, "holes") if "holes" in content else needed:
            if not content.get(key):
                raise ValueError(f"{key} is missing or empty")
        for key in ("sigmas", "noises", "seeds"):
            if alone and key in content:
                raise ValueError(
                    f"{key} is {content[key]!r}; expected none, as pairs have their own noise"
                )
        for key in ("images", "noises", "holes", "seeds", "metrics", "sigmas", "pairs"):
            if key in content:
                content[key] = tuple(_listed(content[key]))
        content["denoisers"] = _labelled(content["denoisers"])
        content["sigmas"] = tuple(map(_sigma, content.get("sigmas", ())))
        content.setdefault("images", ())
        study = Study(name=path.stem, folder=path.absolute().parent, **content)
        _check(study)
    return study


def labels_of(path):
    """The labels of a study's methods; nothing else in its file need be right."""
    return list(_labelled(_content(Path(path)).get("denoisers", [])))


def _content(path):
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no study {path}; check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None


@contextmanager
def _naming(study):
    """Put the name of the study before messages of errors."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"study {study}: {error}") from None


def _listed(value):
    return value if isinstance(value, list) else [value]


def _sigma(value):
    return check_sigma(value if isinstance(value, float) else parse_number(value))


def _labelled(denoisers):
    """Label to catalog string, ``identity`` first."""
    if isinstance(denoisers, dict):
        labelled = denoisers
    else:
        denoisers = _listed(denoisers)
        twice = [text for text, count in Counter(map(str, denoisers)).items() if count > 1]
        if twice:
            raise ValueError(f"two denoisers have the label {twice[0]!r}")
        labelled = {str(text): text for text in denoisers}
    for label, text in labelled.items():
        if not isinstance(text, str):
            raise ValueError(f"denoiser {label!r} is {text!r}; expected text")
        if label == "identity" and text != "identity":
            raise ValueError("the label 'identity' is that of the baseline; expected another")
    return {"identity": "identity"} | labelled


def _check(study):
    for name, values, known in (
        ("metric", study.metrics, MEASURES),
        ("channels", [study.channels], CHANNELS),
    ):
        for value in values:
            check_choice(name, value, known)
    for noise in study.noises:
        add_noise(np.zeros((16, 16)), 0.1, noise)  # which checks the parameters, too
    for kind in study.holes:
        check_holes(kind)
    for metric in study.metrics if study.holes else ():
        if metric not in IN_HOLES:
            raise ValueError(
                f"metric is {metric!r}; expected one that is defined in holes: {', '.join(IN_HOLES)}"
            )
    for patterns in study.pairs:
        if (
            not isinstance(patterns, dict)
            or set(patterns) != {"noisy", "clean"}
            or not all(isinstance(pattern, str) for pattern in patterns.values())
        ):
            raise ValueError(
                f'pairs is {patterns!r}; expected {{noisy = "pattern", clean = "pattern"}}'
            )
    for seed in study.seeds:
        check_whole("seed", seed, least=0)
    if study.crop is not None:
        check_whole("crop", study.crop, least=16)
    check_whole("examples", study.examples, least=0)
    if not isinstance(study.sigma_known, bool):
        raise ValueError(f"sigma_known is {study.sigma_known!r}; expected true or false")
    _ = study.names  # finds the images
