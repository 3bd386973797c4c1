"""The command that makes labelled pictures."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import files, folders, weights_of
from difffilter.cli.denoisers import require_torch
from difffilter.cli.options import device_option, seed_option
from difffilter.cli.progress import progress_of
from difffilter.cli.types import Number


@click.command()
@click.argument("classes", metavar="CLASSES.txt", shell_complete=files)
@click.option("-n", "--number", type=click.IntRange(1), metavar="N", default=100, show_default=True,
              help="Number of pictures of each class.")  # fmt: skip
@click.option("-o", "--output", required=True, metavar="FOLDER", shell_complete=folders,
              help="Where to write them.")  # fmt: skip
@click.option("--template", metavar="TEXT", default="{}", show_default=True,
              help="The text for a class, which takes the place of {}.")  # fmt: skip
@click.option("--keep", type=Number(), metavar="X", default=1.0, show_default=True,
              help="The share of pictures to keep: those most similar to their text, by CLIP.")  # fmt: skip
@click.option("--model", metavar="NAME", default="latent", show_default=True,
              shell_complete=weights_of("generate"),
              help="latent, pixel or fashion, see 'difffilter weights', or a file.")  # fmt: skip
@click.option("--guidance", type=Number(), metavar="W", default=2.0, show_default=True,
              help="How closely to follow the text; 1: as learned.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), metavar="N", default=30, show_default=True,
              help="Number of denoising steps.")  # fmt: skip
@seed_option
@device_option
def synthesize(classes, number, output, **options):
    """Make labelled pictures to train a classifier on.

    CLASSES.txt names a class on each line. FOLDER gets a folder of PNG files for each, and
    manifest.jsonl with the text, the seed and the similarity of each picture. After an interruption,
    the same command goes on.

    \b
    Examples:
      difffilter synthesize classes.txt -n 1000 -o pictures/
      difffilter synthesize classes.txt --template "a large {}" --keep 0.5 -o pictures/
      difffilter synthesize clothes.txt --model fashion --steps 10 -n 1000 -o clothes/
    """
    from difffilter.generate import synthesize as make

    require_torch()
    try:
        text = Path(classes).read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{classes} is not a text file; expected a class on each line") from None
    names = [line for line in text.splitlines() if line.strip()]
    if not names:
        raise ValueError(f"{classes} has no line; expected a class on each line")
    with progress_of("picture") as progress:
        made = make(names, number, output, callback=progress, **options)
    click.echo(f"{len(made)} pictures of {len(names)} classes: {output}")
