"""Folders of generated pictures with labels, to train classifiers on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.checks import check_number, check_whole
from difffilter.devices import find_device
from difffilter.generate import weights
from difffilter.generate.provenance import provenance
from difffilter.generate.sampling import Callback, images
from difffilter.generate.text_model import TextModel
from difffilter.generate.zero_shot import similarity
from difffilter.image import like
from difffilter.io.files import replacing, write
from difffilter.io.picture import Picture

__all__ = ["MANIFEST", "synthesize"]

MANIFEST = "manifest.jsonl"

# Pictures that are made at once; each follows from their seed and its number among them.
TOGETHER = 32

# A name that is a folder's on every system.
FOLDER = re.compile(r"[^<>:\"/\\|?*\x00-\x1f]*[^<>:\"/\\|?*\x00-\x1f. ]")


def synthesize(
    classes: Sequence[str],
    n: int,
    output: str | PathLike,
    *,
    template: str = "{}",
    keep: float = 1.0,
    model: str | PathLike = "latent",
    guidance: float = 2.0,
    steps: int = 30,
    seed: int = 0,
    device: str = "auto",
    callback: Callback | None = None,
) -> list[dict[str, Any]]:
    """Write a folder of generated pictures with labels, as ``torchvision.datasets.ImageFolder`` reads it.

    Parameters
    ----------
    classes : sequence of str
        Names of the classes, and of their folders: ``"heart"``, for instance.
    n : int
        Number of pictures of each class.
    output : str or Path
        The folder, with a folder of PNG files for each class, and ``manifest.jsonl``: a JSON object for
        each picture, with its file, class, prompt, and, in colour, its similarity to the prompt. It is
        number k of ``images(prompt, k + 1, candidates=1, seed=…)`` with the seed that it names. Classes
        that an earlier call with the same arguments has finished are kept, and the result is the same
        as of one call.
    template : str, default "{}"
        The prompt, with ``{}`` in place of the class: ``"a {} on a plain background"``.
    keep : float, default 1
        The share of pictures that are kept, those most similar to the prompt by CLIP (`similarity`):
        n / `keep` are made of each class. Only for models of pictures in colour.
    model, guidance, steps, seed, device
        As for `images`.
    callback : callable, optional
        Called with the number of pictures made and to be made.

    Returns
    -------
    list of dict
        The manifest.

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    OSError
        If a file cannot be written.
    TypeError, ValueError
        If there is no class, one is named twice or is no name of a folder, the folder was made with other
        arguments, or a number is out of range.

    References
    ----------
    Azizi, Kornblith, Saharia, Norouzi & Fleet, "Synthetic data from diffusion models improves ImageNet
    classification", TMLR 2023.

    Examples
    --------
    >>> synthesize(["red heart", "blue star"], 100, "hearts-and-stars")  # doctest: +SKIP
    """
    names = check_classes(classes)
    check_whole("n", n, least=1)
    check_number("keep", keep, above=0, most=1)
    if "{}" not in template:
        raise ValueError(f"template is {template!r}; expected {{}} in it, for the class")
    if keep < 1 and TextModel.load(model, find_device(device)).grey:
        raise ValueError(
            f"keep is {keep:g}; expected 1: CLIP does not know the grey pictures of this model"
        )
    folder, each = Path(output), math.ceil(n / keep)
    settings = {
        "model": str(model), "checksum": weights.load_once(model, "text-to-image").sha256,
        "guidance": guidance, "steps": steps, "keep": keep, "run": seed,
    }  # fmt: skip
    manifest = _finished(folder, names, n, template, settings)
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder, manifest)  # so that a folder that was begun is known
    for number, name in enumerate(names):
        if any(line["class"] == name for line in manifest):
            continue
        prompt, pictures = template.replace("{}", name), []
        lines: list[dict[str, Any]] = []
        for start in range(0, each, TOGETHER):
            count = min(TOGETHER, each - start)
            own = int(np.random.SeedSequence([seed, start]).generate_state(1)[0])
            made = images(
                prompt, count, candidates=1, model=model, guidance=guidance, steps=steps, seed=own,
                device=device,
            )  # fmt: skip
            for k, picture in enumerate(made):
                line = {"class": name, "prompt": prompt, "seed": own, "number": k}
                lines.append(line | settings | _likeness(picture, prompt))
                pictures.append(picture)
            if callback is not None:
                callback(number * each + start + count, len(names) * each)
        chosen = list(range(each))
        if keep < 1:
            least_first = np.argsort([line["similarity"] for line in lines], kind="stable")
            chosen = sorted(least_first[::-1][:n].tolist())
        for place, index in enumerate(chosen, 1):
            file = f"{name}/{place:0{max(5, len(str(n)))}d}.png"
            _write(folder / file, pictures[index], lines[index])
            manifest.append({"file": file} | lines[index])
        _save(folder, manifest)
    return manifest


def check_classes(classes: Sequence[str]) -> list[str]:
    """Names of classes without the spaces around them; an error if they cannot be those of folders."""
    if isinstance(classes, str):
        raise TypeError(f"classes is {classes!r}; expected a sequence of names")
    names = [name.strip() for name in classes]
    if not names:
        raise ValueError("classes is empty; expected at least one name")
    for name in names:
        if not FOLDER.fullmatch(name):
            raise ValueError(f"classes has {name!r}; expected a name that a folder can have")
        if sum(name.casefold() == other.casefold() for other in names) > 1:
            raise ValueError(f"classes has {name!r} twice; expected each name once")
    return names


def _finished(
    folder: Path, names: list[str], n: int, template: str, settings: dict[str, Any]
) -> list[dict[str, Any]]:
    """The manifest of the classes that an earlier call has finished."""
    path = folder / MANIFEST
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty and has no {MANIFEST}; expected a new folder")
        return []
    try:
        manifest = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for line in manifest:
            name = line["class"]
            same = line["prompt"] == template.replace("{}", name) and name in names
            if not (same and all(line[key] == value for key, value in settings.items())):
                raise ValueError(f"{path} is of other arguments; expected a new folder")
    except (KeyError, TypeError, json.JSONDecodeError):
        raise ValueError(
            f"{path} is damaged; expected the lines that `synthesize` writes"
        ) from None
    for name in names:
        count = sum(line["class"] == name for line in manifest)
        if count not in (0, n):
            raise ValueError(
                f"{path} has {count} pictures of {name!r}; expected {n}, or a new folder"
            )
    return manifest


def _likeness(picture: NDArray, prompt: str) -> dict[str, float | None]:
    """The similarity of a picture to a prompt, for the manifest; none for grey pictures."""
    if picture.ndim == 2:
        return {"similarity": None}
    return {"similarity": round(float(similarity(picture, [prompt])[0]), 4)}


def _write(path: Path, picture: NDArray, line: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {key: value for key, value in line.items() if key not in ("class", "checksum", "keep")}
    pixels = like(picture, np.empty(0, np.uint8))
    write(path, Picture(pixels[None], meta=provenance(**told)))


def _save(folder: Path, manifest: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in manifest)
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(text, "utf-8")
