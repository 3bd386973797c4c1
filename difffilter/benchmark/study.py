"""What to compare: images × noises × σ × seeds × denoisers × metrics, read from TOML."""

from __future__ import annotations

import glob
import hashlib
import itertools
import tomllib
from collections import Counter
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from difffilter.benchmark.measure import MEASURES
from difffilter.catalog import nearest, parse_number
from difffilter.image import as_float, grey
from difffilter.io.files import SUFFIXES, read
from difffilter.noise.estimation import check_sigma
from difffilter.noise.models import KINDS, add_noise

__all__ = ["Case", "Study", "read_study"]

# Photographs that come along with scikit-image.
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "coins", "moon", "rocket")

CHANNELS = ("gray", "color", "own")


@dataclass(frozen=True)
class Case:
    """One noisy image.

    Attributes
    ----------
    image : str
        The name of the clean one.
    noise : str
        The kind of noise, of `difffilter.noise.models.KINDS`.
    sigma : float
        Its strength, in units of intensity.
    seed : int
    """

    image: str
    noise: str
    sigma: float
    seed: int


@dataclass(frozen=True)
class Study:
    """A comparison to be made.

    Attributes
    ----------
    name : str
        The TOML file's name without its suffix.
    images : tuple of str
        Files, folders, patterns, ``"skimage"`` for the photographs of scikit-image, or
        ``"skimage:camera"`` for one of them.
    denoisers : dict of str to str
        Label to catalog string, ``"module:Class(...)"`` or ``"oracle(...)"``. ``identity``, the
        noisy image itself, is always among them.
    sigmas : tuple of float
    noises, seeds, metrics : tuple
    title : str
    channels : {"own", "gray", "color"}
        Whether colour images are made grey, grey ones are left out, or each stays as it is.
    crop : int, optional
        Take only so many pixels each way from the middle; ``None``: the whole image.
    sigma_known : bool
        Whether methods are told σ; if not, they estimate it.
    examples : int
        Of how many images to keep the results as pictures.
    folder : Path
        Where the TOML file lies: paths in it, and modules of its denoisers, are relative to it.
    """

    name: str
    images: tuple[str, ...]
    denoisers: dict[str, str]
    sigmas: tuple[float, ...]
    noises: tuple[str, ...] = ("gaussian",)
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
        """The name of each image, and where it comes from.

        Raises
        ------
        ValueError
            If there is none, or two would have one name.
        """
        found = dict.fromkeys(itertools.chain.from_iterable(map(self._find, self.images)))
        if not found:
            raise ValueError(
                f"study {self.name} names no images; pass a folder of them (--images FOLDER)"
            )
        paths = {source: Path(source.removeprefix("skimage:")) for source in found}
        stems = Counter(path.stem for path in paths.values())
        named = {}
        for source, path in paths.items():
            name = path.stem if stems[path.stem] == 1 else path.name
            if name in named:
                raise ValueError(f"{named[name]} and {source} would both be called {name}")
            named[name] = source
        return named

    def _find(self, text):
        """Paths or ``skimage:`` names, in order."""
        if text == "skimage":
            return [f"skimage:{name}" for name in PHOTOGRAPHS]
        if text.startswith("skimage:"):
            name = text.partition(":")[2]
            if name not in PHOTOGRAPHS:
                raise ValueError(
                    f"study {self.name}: scikit-image has no {name!r}{nearest(name, PHOTOGRAPHS)}"
                )
            return [text]
        path = self.folder / text
        if path.is_dir():
            files = [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES]
        elif glob.has_magic(text):
            files = sorted(map(Path, glob.glob(str(path), recursive=True)))
        else:
            files = [path] if path.is_file() else []
        if not files:
            raise ValueError(f"study {self.name}: there are no images at {path}")
        return list(map(str, files))

    def clean(self, name):
        """A clean image and its channel axis.

        Returns
        -------
        tuple of (ndarray, int or None)
            float32 in [0, 1], ``(H, W)`` or ``(H, W, 3)``, and None or -1.
        """
        source = self.sources[name]
        if source.startswith("skimage:"):
            from skimage import data

            pixels = getattr(data, source.partition(":")[2])()
        else:
            pixels = read(source).pages[0]
        image = as_float(pixels, -1 if pixels.ndim == 3 else None).astype(np.float32)
        if self.channels == "gray" and image.ndim == 3:
            image = grey(image)
        if self.channels == "color" and image.ndim == 2:
            raise ValueError(f"{source} is grey; this study wants colour (channels = 'color')")
        if self.crop is not None:
            top, left = (max(0, (n - self.crop) // 2) for n in image.shape[:2])
            image = image[top : top + self.crop, left : left + self.crop]
        return np.ascontiguousarray(image), (-1 if image.ndim == 3 else None)

    def cases(self):
        """All cases, in the order of tables."""
        return [
            Case(*key)
            for key in itertools.product(self.sources, self.noises, self.sigmas, self.seeds)
        ]


def noisy(clean, case):
    """The noisy image of a case, the same whoever asks and whenever.

    Its noise comes from a generator keyed by the image's content, the kind of noise, σ and the
    seed.
    """
    key = f"{case.noise} {case.sigma!r} {case.seed} {clean.shape}".encode() + clean.tobytes()
    digest = hashlib.blake2b(key, digest_size=16).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    return add_noise(clean, case.sigma, case.noise, rng)


# --- reading --------------------------------------------------------------------------------


def read_study(path, images=()):
    """Read a study and check all that can be checked before any work.

    Parameters
    ----------
    path : str or Path
        A TOML file whose keys are the attributes of `Study`; σ may be written ``"25/255"``, and
        denoisers are a list of catalog strings, which are then their own labels, or a table of
        label = catalog string.
    images : sequence of str, optional
        Images instead of the study's own, relative to the current folder.

    Returns
    -------
    Study

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no TOML, a key, method, noise or metric is unknown or missing, a σ is out of
        range, or there are no images.

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
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no study {path}; check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    name = path.stem
    known = [field.name for field in fields(Study) if field.name not in ("name", "folder")]
    for key in content:
        if key not in known:
            raise ValueError(f"study {name} has an unknown key {key!r}{nearest(key, known)}")
    for key in ("sigmas", "denoisers"):
        if not content.get(key):
            raise ValueError(f"study {name} has no {key}")
    lists = {
        key: tuple(_listed(content[key]))
        for key in ("images", "noises", "seeds", "metrics")
        if key in content
    }
    if images:
        lists["images"] = tuple(str(Path(image).absolute()) for image in images)
    simple = {
        key: content[key] for key in ("title", "channels", "crop", "sigma_known", "examples")
        if key in content
    }  # fmt: skip
    study = Study(
        name=name,
        folder=path.absolute().parent,
        denoisers=_labelled(name, content["denoisers"]),
        sigmas=tuple(_sigma(name, value) for value in _listed(content["sigmas"])),
        **({"images": ()} | lists | simple),
    )
    _check(study)
    return study


def _listed(value):
    return value if isinstance(value, list) else [value]


def _sigma(name, value):
    try:
        return check_sigma(value if isinstance(value, float) else parse_number(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"study {name}: {error}") from None


def _labelled(name, denoisers):
    """Label to catalog string, `identity` first."""
    if isinstance(denoisers, dict):
        labelled = denoisers
    else:
        twice = [text for text, count in Counter(map(str, denoisers)).items() if count > 1]
        if twice:
            raise ValueError(f"study {name} has two methods under the label {twice[0]!r}")
        labelled = {text: text for text in denoisers}
    for label, text in labelled.items():
        if not isinstance(text, str):
            raise ValueError(f"study {name}: the method {label!r} must be text; got {text!r}")
        if label == "identity" and text != "identity":
            raise ValueError(f"study {name}: 'identity' is the noisy image; use another label")
    return {"identity": "identity"} | labelled


def _check(study):
    """Find what is wrong before any work."""
    for what, values, known in (
        ("noise", study.noises, KINDS),
        ("metric", study.metrics, MEASURES),
        ("channels", [study.channels], CHANNELS),
    ):
        for value in values:
            if value not in known:
                raise ValueError(
                    f"study {study.name}: unknown {what} {value!r}{nearest(value, known)}"
                )
    for what, values, kind, least in (
        ("seeds", study.seeds, int, 0),
        ("crop", () if study.crop is None else (study.crop,), int, 16),
        ("examples", (study.examples,), int, 0),
    ):
        for value in values:
            if not isinstance(value, kind) or isinstance(value, bool) or value < least:
                raise ValueError(
                    f"study {study.name}: {what} must be whole numbers from {least}; got {value!r}"
                )
    if not isinstance(study.sigma_known, bool):
        raise ValueError(f"study {study.name}: sigma_known must be true or false")
    _ = study.sources  # which looks for the images
