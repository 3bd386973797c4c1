"""The command that makes pictures like a picture."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import files, weights_of
from difffilter.cli.denoisers import require_torch
from difffilter.cli.grid import write_grid
from difffilter.cli.options import device_option, overwrite_option, prompt_option, seed_option
from difffilter.cli.progress import progress_of
from difffilter.cli.types import Number


@click.command()
@click.argument("image", metavar="IMG", shell_complete=files)
@click.option("-n", "--number", type=click.IntRange(1), metavar="N", default=4, show_default=True,
              help="Number of pictures: a grid of variations, or the steps of a way in a row.")  # fmt: skip
@click.option("-o", "--output", required=True, metavar="FILE", shell_complete=files,
              help="Where to write them.")  # fmt: skip
@click.option("--between", metavar="FILE", shell_complete=files,
              help="A second picture: show the way from IMG to it.")  # fmt: skip
@click.option("--toward", metavar="TEXT", help="Show the way to what a text says.")
@click.option("--away", metavar="TEXT",
              help="With --toward, what IMG shows in the same words, such as "
                   "\"a blue star\" for \"a red star\".")  # fmt: skip
@click.option("--amount", type=Number(), metavar="X",
              help="How far to go toward the text, from 0 to 1. [default: 0.4]")  # fmt: skip
@click.option("--model", metavar="NAME", shell_complete=weights_of("generate"),
              help="Weights of a decoder, see 'difffilter weights', or a file. "
                   "[default: decoder]")  # fmt: skip
@click.option("--guidance", type=Number(), metavar="W",
              help="How closely to follow the picture's embedding. "
                   "[default: 2; 1 with --between or --toward]")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), metavar="N",
              help="Number of denoising steps. [default: 30]")  # fmt: skip
@prompt_option
@seed_option
@device_option
@overwrite_option
def vary(image, number, output, between, tell_prompt, overwrite, **options):
    """Make pictures that show what a picture shows.

    CLIP's embedding of the picture holds what can be said of it, and a decoder makes pictures of it.
    They are 64 pixels wide; the model that comes with the package knows coloured shapes and emoji. The
    file says in its metadata that it was generated.

    \b
    Examples:
      difffilter vary frog.png -n 9 -o frogs.png
      difffilter vary frog.png --between fish.png -n 6 -o way.png
      difffilter vary star.png --toward "a red star" --away "a blue star" -o redder.png
    """
    from difffilter.generate import vary as variations
    from difffilter.generate.captioned import with_alpha
    from difffilter.generate.provenance import provenance
    from difffilter.io.files import SUFFIXES, check_target

    require_torch()
    given = {name: value for name, value in options.items() if value is not None}
    if "toward" not in given and (unused := given.keys() & {"away", "amount"}):
        raise click.UsageError(f"--{min(unused)} is for --toward")
    target = Path(output)
    check_target(target, overwrite, SUFFIXES)
    other = None if between is None else with_alpha(Path(between))
    with progress_of("step") as progress:
        pictures = variations(
            with_alpha(Path(image)), number, between=other, callback=progress, **given
        )
    told = {name: given.get(name) for name in ("model", "amount", "guidance", "steps", "seed")}
    words = {name: given.get(name) for name in ("toward", "away")} if tell_prompt else {}
    a_way = other is not None or "toward" in given
    write_grid(target, pictures, provenance(**words, **told), number if a_way else None)
