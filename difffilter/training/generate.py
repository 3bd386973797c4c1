"""Train the networks of text to image: autoencoder, CLIP, the diffusion itself, judges."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from difffilter.docstring import shared
from difffilter.training import autoencoder, clip, judge, prior, text_to_image, upsampler
from difffilter.training.picture_configs import PictureTraining
from difffilter.training.presets import CONFIGS
from difffilter.training.run import CHECKPOINT, Method, run
from difffilter.training.state import progress

__all__ = ["METHODS", "fit_generate"]

METHODS: dict[str, Method] = {
    method.config.kind: method
    for method in (
        *(autoencoder.METHOD, clip.METHOD, text_to_image.METHOD, prior.METHOD),
        *(upsampler.METHOD, judge.METHOD),
    )
}


@shared
def fit_generate(
    folder: str | PathLike,
    output: str | PathLike,
    config: PictureTraining | None = None,
    *,
    init: str | PathLike | None = None,
    resume: bool = False,
    steps: int | None = None,
    device: str = "auto",
    checkpoint_seconds: float = 60.0,
) -> Path:
    """Train a network of text to image; under ``torchrun``, on several processes at once.

    Parameters
    ----------
    folder : str or Path
        Pictures with captions, as `difffilter.generate.read_captioned` takes them; "scenes" stands
        for the scenes that the package draws.
    output : str or Path
        Folder of the run: checkpoint, weights and log.
    config : PictureTraining, optional
        Which network, and how: an `AutoencoderTraining`, `CLIPTraining`, `TextToImageTraining`,
        `PriorTraining`, `UpsamplerTraining` or `JudgeTraining`. ``None``: ``PRESETS["autoencoder"]``;
        with `resume`, that of the checkpoint, which another one must not contradict.
    init : str or Path, optional
        Weights of the same kind to start from, a name or a file; layers of another shape, and
        tokens that are not in their vocabulary, start afresh. ``None``: random weights; with
        `resume`, those of the run, which others must not contradict.
    %(run_options)s

    Returns
    -------
    Path
        The weight file.

    Raises
    ------
    %(run_errors)s

    Examples
    --------
    >>> fit_generate("emoji", "runs/autoencoder", PRESETS["autoencoder"])  # doctest: +SKIP
    """
    checkpoint, kind = Path(output) / CHECKPOINT, "autoencoder"
    if config is not None:
        if not isinstance(config, PictureTraining):
            expected = " or ".join(CONFIGS[name].__name__ for name in METHODS)
            raise TypeError(f"config is a {type(config).__name__}; expected {expected}")
        kind = config.kind
    elif resume and checkpoint.exists():
        # (`run` refuses to resume a run of another method.)
        kind = progress(checkpoint)[0].kind
    return run(
        METHODS.get(kind, autoencoder.METHOD), folder, output, config, init=init, resume=resume, steps=steps,
        device=device, checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip
