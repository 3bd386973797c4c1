"""Images by large models: text to image, or from noise alone, through diffusers.

Models are folders in the layout of diffusers. Nothing is downloaded, no pickle is opened and no
code of a folder is run. This module imports PyTorch and diffusers when a folder is opened.
"""

from __future__ import annotations

import inspect
import re
import secrets
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.checks import check_choice, check_number, check_whole
from difffilter.ddpm.memory import memory_errors
from difffilter.devices import find_device, multiplies_bfloat16
from difffilter.generate.pipeline_folders import (
    INDEX,
    OPTIONAL,
    check_files,
    find_variant,
    is_installed,
    named_parts,
    read_index,
)

__all__ = ["Pipeline"]

DTYPES = ("float32", "bfloat16", "float16")

UNCONDITIONAL = (
    "DDPMPipeline",
    "DDIMPipeline",
    "PNDMPipeline",
    "ScoreSdeVePipeline",
    "LDMPipeline",
)

# The names of the options of `Pipeline.images` in diffusers.
OPTIONS = {
    "guidance": ("guidance_scale",),
    "steps": ("num_inference_steps",),
    "negative": ("negative_prompt",),
    "size": ("height", "width"),
}


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A pretrained model that generates images, from a text or from noise alone.

    `Pipeline.load` opens one. Calls must follow each other: the sampler within has a state.

    Attributes
    ----------
    name : str
        The class in diffusers, such as ``"StableDiffusionPipeline"``.
    takes_prompt : bool
        Whether the images follow a text.
    device, dtype : str
        Where it computes, and in which precision: ``"cuda"`` and ``"bfloat16"``, for example.
    pipe : diffusers.DiffusionPipeline
        The model itself, for what this class does not offer, such as another sampler.

    Examples
    --------
    >>> pipeline = Pipeline.load("models/sdxl")  # doctest: +SKIP
    >>> pipeline.images("a lighthouse at dusk", n=2, seed=0).shape  # doctest: +SKIP
    (2, 1024, 1024, 3)
    """

    name: str
    takes_prompt: bool
    device: str
    dtype: str
    pipe: Any = field(repr=False)

    @classmethod
    def load(cls, folder: str | PathLike, *, device: str = "auto", dtype: str = "auto") -> Pipeline:
        """Open a folder in the layout of diffusers, as `save_pretrained` writes it.

        Parameters
        ----------
        folder : str or Path
            A text-to-image pipeline (Stable Diffusion 1 to 3, SDXL, Kandinsky, Stable unCLIP,
            PixArt, and others that diffusers knows), or an unconditional one (DDPM, DDIM, PNDM,
            LDM and score-based). Weights must be safetensors. A safety checker may be absent, and
            the third text encoder of Stable Diffusion 3.
        device : str, default "auto"
            A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.
        dtype : {"auto", "float32", "bfloat16", "float16"}, default "auto"
            Precision. ``"auto"`` is bfloat16 on CUDA, or float16 where the GPU has no bfloat16,
            and float32 elsewhere and for unconditional pipelines, which compute in no other.

        Returns
        -------
        Pipeline

        Raises
        ------
        FileNotFoundError
            If there is no such folder. Names of models on the Hugging Face Hub are not looked up.
        ValueError
            If the folder is incomplete, damaged, holds pickles in place of safetensors or needs
            code of its own; if PyTorch, transformers or diffusers is missing; or if the device
            cannot be used.
        MemoryError
            If the model does not fit into memory.

        Notes
        -----
        With accelerate installed, loading takes less memory; a few pipelines need it.

        Examples
        --------
        >>> Pipeline.load("stable-diffusion-v1-5/stable-diffusion-v1-5")
        Traceback (most recent call last):
        FileNotFoundError: folder is 'stable-diffusion-v1-5/stable-diffusion-v1-5'; expected a \
folder on this machine, since nothing is downloaded
        """
        check_choice("dtype", dtype, ("auto", *DTYPES))
        path = Path(folder)
        index = read_index(path)
        parts = {name: path / name for name in named_parts(index)}
        absent = [name for name, where in parts.items() if not where.is_dir()]
        if lacking := [name for name in absent if name not in OPTIONAL]:
            raise ValueError(f"{path} lacks the folder {lacking[0]}, which its {INDEX} names")
        present = [where for name, where in parts.items() if name not in absent]
        check_files(present)

        torch = _import_libraries(path)
        kind, takes_prompt = _find_class(path, index)
        target = find_device(device)
        dtype = _choose_dtype(dtype, target, kind.__name__, takes_prompt)
        accepted = _arguments_of(kind.__init__)
        try:
            with memory_errors(), _offline_and_quiet(), _without_deprecations():
                pipe = kind.from_pretrained(
                    str(path),
                    dtype=getattr(torch, dtype),
                    variant=find_variant(present),
                    use_safetensors=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    # (Without accelerate, diffusers would say so at each start.)
                    low_cpu_mem_usage=is_installed("accelerate"),
                    **{name: None for name in absent if name in accepted},
                )
                _cast(pipe, getattr(torch, dtype))
                pipe.to(target)
        except MemoryError:
            ways = _ways_to_save_memory(str(target), dtype, takes_prompt)
            raise MemoryError(f"{path} does not fit into the memory of {target}{ways}") from None
        except Exception as error:  # libraries raise anything if a file is not as they expect
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            if "`low_cpu_mem_usage` cannot be False" in reason:
                reason = "it needs accelerate: pip install accelerate"
            raise ValueError(f"{path} cannot be opened: {reason}") from error
        return cls(kind.__name__, takes_prompt, str(target), dtype, pipe)

    def images(
        self,
        prompt: str | None = None,
        *,
        n: int = 1,
        guidance: float | None = None,
        steps: int | None = None,
        seed: int | None = None,
        negative: str | None = None,
        size: int | tuple[int, int] | None = None,
        batch: int = 1,
    ) -> NDArray[np.uint8]:
        """Generate images.

        Parameters
        ----------
        prompt : str, optional
            The text. Unconditional pipelines take ``None`` only, the others need one.
        n : int, default 1
            Number of images.
        guidance : float, optional
            Weight of classifier-free guidance: how closely to follow the text. ``None``: the
            pipeline's own default, as for `steps` and `size`.
        steps : int, optional
            Steps of the reverse process.
        seed : int, optional
            Image k starts from the noise of seed + k, the same on every device. ``None``: a random
            seed.
        negative : str, optional
            A text to stay away from. ``None``: none.
        size : int or tuple of int, optional
            Side of a square, or height and width, in pixels. Some pipelines round it up.
        batch : int, default 1
            Images per call of the networks. With 1, image k depends on seed + k alone, to the bit,
            whatever `n`. With more, a GPU takes less time and more memory, and rounding may change
            a pixel.

        Returns
        -------
        ndarray
            ``(n, H, W, 3)``, uint8. Models of grey images repeat them in the three channels.

        Raises
        ------
        TypeError, ValueError
            If an option is out of range, or the pipeline does not take it; or if the images are
            not finite in this dtype.
        MemoryError
            If the images do not fit into memory.

        Examples
        --------
        >>> pipeline = Pipeline.load("models/sdxl")  # doctest: +SKIP
        >>> pipeline.images("a red bicycle", negative="blurry", size=768)  # doctest: +SKIP
        """
        for name, number in (("n", n), ("batch", batch)):
            check_whole(name, number, least=1)
        if seed is None:
            seed = secrets.randbits(63)
        check_whole("seed", seed, least=0)
        given = {"guidance": guidance, "steps": steps, "negative": negative, "size": size}
        arguments = self._arguments(prompt, given)
        self.pipe.set_progress_bar_config(disable=not _on_terminal())
        seeds = [(seed + k) % 2**64 for k in range(n)]
        made = [self._batch(seeds[k : k + batch], arguments, size) for k in range(0, n, batch)]
        return np.concatenate(made)

    def _accepted(self):
        """The names of the arguments of the pipeline in diffusers."""
        return set(_arguments_of(self.pipe.__call__))

    def _arguments(self, prompt, given):
        """The arguments of the pipeline in diffusers for a prompt and the options of `images`."""
        if self.takes_prompt and prompt is None:
            raise ValueError(f"prompt is None; expected a text, as {self.name} needs one")
        if not self.takes_prompt and prompt is not None:
            raise ValueError(f"prompt is {prompt!r}; expected None, as {self.name} takes no text")
        given = {option: value for option, value in given.items() if value is not None}
        accepted = self._accepted()
        for option, value in given.items():
            if not accepted.issuperset(OPTIONS[option]):
                takes = [each for each, names in OPTIONS.items() if accepted.issuperset(names)]
                raise ValueError(
                    f"{option} is {value!r}; expected None, as {self.name} takes no {option}; "
                    f"it takes {', '.join(takes) or 'none of these options'}"
                )
        for name, text in (("prompt", prompt), ("negative", given.get("negative"))):
            if text is not None and not isinstance(text, str):
                raise TypeError(f"{name} is {text!r}; expected a text")
        if "guidance" in given:
            check_number("guidance", given["guidance"], least=0)
        if "steps" in given:
            check_whole("steps", given["steps"], least=1)
        values = {option: (value,) for option, value in given.items()}
        if "size" in given:
            values["size"] = _height_and_width(given["size"])
        arguments = {} if prompt is None else {"prompt": prompt}
        for option, each in values.items():
            arguments |= dict(zip(OPTIONS[option], each, strict=True))
        return arguments

    def _batch(self, seeds, arguments, size):
        """The images of some seeds from one call of the pipeline, uint8 (B, H, W, 3)."""
        import torch

        # On the CPU, so that a seed means the same noise on every device.
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        count = "num_images_per_prompt" if self.takes_prompt else "batch_size"
        if len(seeds) > 1:
            arguments = arguments | {count: len(seeds)}
        try:
            with memory_errors(), _without_deprecations():
                result = self.pipe(
                    generator=generators if len(seeds) > 1 else generators[0],
                    output_type="np",
                    **arguments,
                )
        except MemoryError:
            sized = "height" in self._accepted()
            ways = _ways_to_save_memory(
                self.device, self.dtype, self.takes_prompt, sized, len(seeds)
            )
            raise MemoryError(
                f"the images do not fit into the memory of {self.device}{ways}"
            ) from None
        except ValueError as error:
            factor = re.search(r"divisible by (\d+)", str(error))
            if size is None or factor is None:
                raise
            raise ValueError(f"size is {size}; expected multiples of {factor[1]}") from None
        images = np.asarray(result.images)
        if not np.isfinite(images).all():
            raise ValueError(
                f"the images of {self.name} are not finite in {self.dtype}; expected a dtype of "
                "more range: load it with bfloat16 or float32"
            )
        levels = (images * 255).round().astype(np.uint8)
        return np.broadcast_to(levels, (*levels.shape[:3], 3))


# --- the libraries --------------------------------------------------------------------------


def _import_libraries(path: Path) -> ModuleType:
    """Import what a pipeline needs; return PyTorch."""
    try:
        import torch
        import transformers  # noqa: F401  (diffusers can be imported without it)
        from transformers.utils import logging

        before = logging.get_verbosity()
        # It reports image processors that work without torchvision.
        logging.set_verbosity_error()
        try:
            import diffusers.pipelines.auto_pipeline  # noqa: F401
        finally:
            logging.set_verbosity(before)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{path} is a model for diffusers, which needs {error.name}: "
            "pip install 'difffilter[diffusers]'"
        ) from None
    return torch


def _find_class(path, index):
    """The class that generates images from what is in the folder, and whether it takes a text."""
    import diffusers
    from diffusers.pipelines import auto_pipeline

    name = index["_class_name"]
    foreign = [
        library
        for library, _ in named_parts(index).values()
        if library not in ("diffusers", "transformers")
        and not isinstance(getattr(diffusers.pipelines, library, None), ModuleType)
    ]
    if not isinstance(name, str) or foreign:
        raise ValueError(
            f"{path} needs code of its own, which is never run; expected a pipeline whose parts "
            "are classes of diffusers and transformers"
        )
    families = {
        kind.__name__: family
        for table in auto_pipeline.SUPPORTED_TASKS_MAPPINGS
        for family, kind in table.items()
    }
    kind = auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING.get(families.get(name, ""))
    if kind is None:
        own = getattr(diffusers, name, None)
        known = isinstance(own, type) and issubclass(own, diffusers.DiffusionPipeline)
        kind = own if known and (name in UNCONDITIONAL or _takes_text_alone(own)) else None
    # (The table has some for videos, and some that need an image beside the text.)
    if kind is None or "Control" in kind.__name__ or "num_frames" in _arguments_of(kind.__call__):
        raise ValueError(
            f"{path} is a {name}; expected a text-to-image or an unconditional pipeline that "
            f"diffusers {diffusers.__version__} knows"
        )
    needed = [
        part
        for part, parameter in _arguments_of(kind.__init__).items()
        if part != "self" and parameter.default is parameter.empty and part not in OPTIONAL
    ]
    if lacking := [part for part in needed if part not in index]:
        raise ValueError(
            f"{path} lacks {', '.join(lacking)} of {kind.__name__}; expected all parts in one "
            "folder, as save_pretrained writes them"
        )
    return kind, name not in UNCONDITIONAL


def _takes_text_alone(kind):
    """Whether a class of diffusers makes images from a text and nothing else."""
    arguments = set(_arguments_of(kind.__call__))
    needed = {"prompt", "num_images_per_prompt"}
    others = [
        each
        for each in arguments - needed
        if re.search("image|video|frames", each) and not each.startswith("ip_adapter")
    ]
    return needed <= arguments and not others and "Prior" not in kind.__name__


@contextmanager
def _offline_and_quiet() -> Iterator[None]:
    """No request to the Hub and, unless on a terminal, no progress bars."""
    from diffusers.utils import logging as of_diffusers
    from huggingface_hub import constants
    from transformers.utils import logging as of_transformers

    offline = constants.HF_HUB_OFFLINE
    loud = [each for each in (of_diffusers, of_transformers) if each.is_progress_bar_enabled()]
    constants.HF_HUB_OFFLINE = True
    try:
        if not _on_terminal():
            for each in loud:
                each.disable_progress_bar()
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        for each in loud:
            each.enable_progress_bar()


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """No warnings of what is deprecated within diffusers, or in the files that it reads."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=kind, module="diffusers")
        yield


def _on_terminal():
    return sys.stderr is not None and sys.stderr.isatty()


def _cast(pipe, dtype):
    """Cast the networks that diffusers has left in the dtype of their files, as a whole.

    Without accelerate it does so if their first tensor is one that it keeps in float32. Networks of
    which it keeps but some layers in float32 are left alone.
    """
    import torch

    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            dtypes = {each.dtype for each in part.parameters() if each.is_floating_point()}
            if dtypes and dtype not in dtypes:
                part.to(dtype)


# --- arguments ------------------------------------------------------------------------------


def _choose_dtype(dtype, device, name, takes_prompt):
    if not takes_prompt:
        if dtype not in ("auto", "float32"):
            raise ValueError(f"dtype is {dtype!r}; expected float32, as {name} takes no other")
        return "float32"
    if dtype != "auto":
        return dtype
    if device.type != "cuda":
        return "float32"
    return "bfloat16" if multiplies_bfloat16(device) else "float16"


def _arguments_of(function):
    return inspect.signature(function).parameters


def _height_and_width(size):
    sides = (size, size) if isinstance(size, int) else size
    if not isinstance(sides, tuple | list) or len(sides) != 2:
        raise TypeError(f"size is {size!r}; expected a whole number, or height and width")
    return tuple(check_whole("size", side, least=1) for side in sides)


def _ways_to_save_memory(device, dtype, takes_prompt, sized=False, batch=1):
    """The end of a message: ways to use less memory that are left."""
    ways = ["a smaller size"] if sized else []
    ways += [f"a batch below {batch}"] if batch > 1 else []
    ways += ["dtype bfloat16 or float16"] if takes_prompt and dtype == "float32" else []
    ways += ["device cpu"] if device != "cpu" else []
    return f"; choose {', '.join(ways)}" if ways else ""
