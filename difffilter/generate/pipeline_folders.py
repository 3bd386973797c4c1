"""Folders of pipelines in the layout of diffusers: their index, parts and files.

They are looked at without PyTorch and diffusers, so that unsafe or incomplete ones are refused
before anything in them is opened.
"""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = [
    "INDEX",
    "OPTIONAL",
    "check_files",
    "find_variant",
    "is_installed",
    "named_parts",
    "read_index",
]

INDEX = "model_index.json"

# Parts without which a pipeline works. (The last two are a text encoder of Stable Diffusion 3,
# larger than the rest of it.)
OPTIONAL = ("safety_checker", "feature_extractor", "image_encoder", "text_encoder_3", "tokenizer_3")

PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")
# "model.fp16.safetensors", "model.fp16-00001-of-00002.safetensors"
VARIANT = re.compile(r"[^.]+\.([^.]+?)(-\d+-of-\d+)?\.safetensors")


def read_index(path: Path) -> dict[str, Any]:
    """The class and the parts of a pipeline, from model_index.json."""
    if not path.is_dir():
        raise FileNotFoundError(
            f"folder is {str(path)!r}; expected a folder on this machine, since nothing is downloaded"
        )
    file = path / INDEX
    if not file.is_file():
        check_files([path])
        raise ValueError(f"{path} has no {INDEX}; expected a folder in the layout of diffusers")
    try:
        index = json.loads(file.read_text("utf-8"))
        named = isinstance(index["_class_name"], str | list)
    except (ValueError, TypeError, KeyError):
        named = False
    if not named:
        raise ValueError(f"{file} is damaged; expected JSON that names the class of a pipeline")
    return index


def named_parts(index):
    """The parts that an index names, each with its library and its class."""
    return {
        name: what
        for name, what in index.items()
        if not name.startswith("_")
        # (Options are others, and parts that were left out are two None.)
        and isinstance(what, list)
        and len(what) == 2
        and all(isinstance(each, str) for each in what)
    }


def check_files(folders):
    """Refuse pickles that stand in place of safetensors, and tokenizers that need a library."""
    for folder in folders:
        files = sorted(file for file in folder.iterdir() if file.is_file())
        pickles = [file for file in files if file.suffix in PICKLES]
        if pickles and not any(file.suffix == ".safetensors" for file in files):
            raise ValueError(
                f"{pickles[0]} is a pickle, which can run any code when it is opened; expected "
                "safetensors: get the model in that format or, if you trust the file, open it with "
                "diffusers and write it anew with save_pretrained"
            )
        names = {file.name for file in files}
        of_sentencepiece = bool({"spiece.model", "tokenizer.model"} & names)
        if of_sentencepiece and "tokenizer.json" not in names and not is_installed("sentencepiece"):
            raise ValueError(
                f"{folder} is a tokenizer of SentencePiece's: pip install sentencepiece protobuf"
            )


def is_installed(library):
    try:
        return find_spec(library) is not None
    except ValueError:  # its place among the modules is blocked
        return False


def find_variant(folders):
    """The variant that all parts without plain weights have, "fp16" for example, or None."""
    variants = []
    for folder in folders:
        files = [file.name for file in folder.glob("*.safetensors")]
        matches = [VARIANT.fullmatch(file) for file in files]
        if files and all(matches):
            variants.append({match[1] for match in matches if match})
    return min(set.intersection(*variants), default=None) if variants else None
