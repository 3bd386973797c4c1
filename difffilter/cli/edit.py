"""The command that changes a picture by words."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import files, weights_of
from difffilter.cli.denoisers import require_torch
from difffilter.cli.options import device_option, overwrite_option, prompt_option, seed_option
from difffilter.cli.progress import progress_of
from difffilter.cli.types import Number


@click.command()
@click.argument("image", metavar="IMG", shell_complete=files)
@click.argument("prompt")
@click.option("-o", "--output", required=True, metavar="FILE", shell_complete=files,
              help="Where to write the result; with -n, to FILE-1, FILE-2 and so on.")  # fmt: skip
@click.option("--mask", metavar="FILE", shell_complete=files,
              help="An image of the same size: where it is not black, the picture may change. "
                   "[default: everywhere]")  # fmt: skip
@click.option("--strength", type=Number(), metavar="X",
              help="How much may change, from 0 to 1. [default: 0.5; 1 with a mask]")  # fmt: skip
@click.option("-n", "--number", type=click.IntRange(1), metavar="N", help="Number of results.")
@click.option("--model", metavar="NAME", shell_complete=weights_of("generate"),
              help="See 'difffilter weights', or a file. [default: latent]")  # fmt: skip
@click.option("--guidance", type=Number(), metavar="W",
              help="How closely to follow the text; 1: as learned. [default: 2]")  # fmt: skip
@click.option("--negative", metavar="TEXT", help="What not to show.")
@click.option("--steps", type=click.IntRange(1), metavar="N",
              help="Number of denoising steps. [default: 30]")  # fmt: skip
@prompt_option
@seed_option
@device_option
@overwrite_option
def edit(image, prompt, output, mask, number, tell_prompt, overwrite, **options):
    """Change a picture, or a part of it, to what a text says.

    The text says what the whole picture shows in the end. With a mask, all pixels outside of it stay
    as they are, and the picture may have any size; without one it is made 64 pixels wide. Results are
    in colour, with the bit depth of the picture. The files say in their metadata that parts of them
    were generated.

    \b
    Examples:
      difffilter edit frog.png "a red frog" -o red.png
      difffilter edit scene.png "a yellow star above a blue fish" --mask top.png -n 4 -o scenes.png
    """
    import numpy as np

    from difffilter.generate import edit as change
    from difffilter.generate.captioned import with_alpha
    from difffilter.generate.provenance import COMPOSITE, provenance
    from difffilter.image import like
    from difffilter.inpainting.files import numbered
    from difffilter.io.files import SUFFIXES, check_target, read, write
    from difffilter.io.picture import Picture

    require_torch()
    if not prompt.strip():
        raise click.UsageError("PROMPT is empty; expected what the picture shows in the end")
    targets = numbered(output, number)
    for target in targets:
        check_target(target, overwrite, SUFFIXES)
    given = {name: value for name, value in options.items() if value is not None}
    source = read(image)
    picture, alpha = _split(with_alpha(Path(image)))
    hole = None if mask is None else _hole(mask, picture.shape[:2], image)
    before = picture
    if alpha is not None:
        picture = picture * alpha[..., None] + (1 - alpha[..., None])  # over white
        alpha = None if hole is None else np.where(hole, 1, alpha)
    with progress_of("step") as progress:
        results = change(picture, prompt, len(targets), mask=hole, callback=progress, **given)
    told = {name: given.get(name) for name in ("model", "strength", "guidance", "steps", "seed")}
    words = {"prompt": prompt, "negative": given.get("negative")} if tell_prompt else {}
    origin = provenance(COMPOSITE, **words, **told)
    kind = np.empty(0, source.pages.dtype if source.pages.dtype.kind in "u" else np.uint8)
    for target, result in zip(targets, results, strict=True):
        if hole is not None:
            result = np.where(hole[..., None], result, before)
        covered = None if alpha is None else like(alpha.astype(np.float32), kind)[None]
        write(target, Picture(like(result, kind)[None], covered, meta=dict(origin)))


def _split(picture):
    """The colours (H, W, 3) of a picture with or without alpha, and its alpha (H, W) or None."""
    import numpy as np

    if picture.ndim == 2:
        return np.repeat(picture[..., None], 3, axis=2), None
    return picture[..., :3], picture[..., 3] if picture.shape[2] == 4 else None


def _hole(mask, shape, image):
    """The pixels that a file marks."""
    from difffilter.inpainting.files import shown_marks
    from difffilter.io.files import read

    marks = shown_marks(read(mask))[0]
    if marks.shape != shape:
        raise ValueError(
            f"{mask} has {marks.shape[1]}×{marks.shape[0]} pixels; expected {shape[1]}×{shape[0]}, as "
            f"{image} has"
        )
    return marks
