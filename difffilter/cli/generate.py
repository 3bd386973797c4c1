"""Commands for words and pictures: generate and similarity."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import among, files, folders, weights_of
from difffilter.cli.denoisers import require_torch
from difffilter.cli.grid import grid, write_grid
from difffilter.cli.options import device_option, overwrite_option, prompt_option, seed_option
from difffilter.cli.progress import progress_of
from difffilter.cli.types import Number

# Milliseconds that a frame of an animation is shown, and the last one.
FRAME, PAUSE = 80, 1500

# Side of a small picture in an animation, in pixels.
SHOWN = 192

# Options that metadata name, beside prompt and model.
TOLD = ("candidates", "guidance", "negative", "steps", "solver", "seed")

# Width of the longest bar.
BAR = 40


@click.command()
@click.argument("prompt")
@click.option("-n", "--number", type=click.IntRange(1), metavar="N", default=1, show_default=True,
              help="Number of pictures, in a grid; of sounds, in FILE-1, FILE-2 and so on.")  # fmt: skip
@click.option("-o", "--output", required=True, metavar="FILE", shell_complete=files,
              help="Where to write them; the name of a sound, such as x.wav, makes sounds.")  # fmt: skip
@click.option("--model", metavar="NAME", shell_complete=weights_of("generate"),
              help="latent, pixel, fashion or sounds, see 'difffilter weights', or a file. "
                   "[default: latent; for sounds, sounds]")  # fmt: skip
@click.option("--prior", metavar="NAME", shell_complete=weights_of("generate"),
              help="Weights of the prior, for a model that is a decoder of unCLIP. "
                   "[default: prior]")  # fmt: skip
@click.option("--pipeline", metavar="FOLDER", shell_complete=folders,
              help="A folder of diffusers, such as Stable Diffusion, instead of a model.")  # fmt: skip
@click.option("--guidance", type=Number(), metavar="W",
              help="How closely to follow the text; 1: as learned. [default: 2]")  # fmt: skip
@click.option("--candidates", type=click.IntRange(1), metavar="N",
              help="Make N pictures for each, and keep the one that fits the text best, as CLIP sees it. "
                   "[default: 4 with a model of the package for pictures in colour]")  # fmt: skip
@click.option("--negative", metavar="TEXT", help="What not to show.")
@click.option("--steps", type=click.IntRange(1), metavar="N",
              help="Number of denoising steps. [default: 30]")  # fmt: skip
@click.option("--solver", metavar="NAME", shell_complete=among("dpm++", "ddim"),
              help="dpm++ or ddim. [default: dpm++]")  # fmt: skip
@click.option("--size", type=click.IntRange(8), metavar="N",
              help="Side of a picture in pixels, with --pipeline.")  # fmt: skip
@click.option("--upsample", "enlarge", is_flag=True,
              help="Make the pictures four times as large, by a second model.")  # fmt: skip
@click.option("--gif", "animation", metavar="FILE", shell_complete=files,
              help="Also write the way from noise, as .gif or .webp.")  # fmt: skip
@prompt_option
@seed_option
@device_option
@overwrite_option
def generate(
    prompt, number, output, pipeline, enlarge, animation, tell_prompt, overwrite, **options
):
    """Make pictures of a text, or short sounds.

    The models that come with the package are small: they know coloured shapes and emoji, 64 pixels
    wide. With --pipeline, a folder of a large model is used, offline, through diffusers; one that
    takes no text is given an empty one. The files say in their metadata that they were generated, and
    how.

    \b
    Examples:
      difffilter generate "a green frog" -n 4 -o frogs.png
      difffilter generate "a small red circle above a blue star" -o scene.png --gif scene.gif
      difffilter generate "a yellow star" --upsample -o star.png
      difffilter generate "a sneaker" --model fashion -n 16 -o sneakers.png
      difffilter generate "snare drum" -o snare.wav
      difffilter generate "a lighthouse in fog" --pipeline stable-diffusion/ -o lighthouse.png
    """
    from difffilter.generate.provenance import provenance
    from difffilter.io.files import SUFFIXES, check_target
    from difffilter.io.sounds import are_sounds

    require_torch()
    target = Path(output)
    if are_sounds([target]):
        for name, given in {
            "--pipeline": pipeline,
            "--upsample": enlarge,
            "--gif": animation,
        }.items():
            if given:
                raise click.UsageError(f"{name} is for pictures, and {target.name} is a sound")
        _generate_sounds(prompt, number, target, tell_prompt, overwrite, options)
        return
    if enlarge and pipeline:
        raise click.UsageError("--upsample is not for --pipeline; --size sets its size")
    check_target(target, overwrite, SUFFIXES)
    if animation is not None:
        check_target(Path(animation), overwrite, {".gif": "GIF", ".webp": "WebP"})
    given = {name: value for name, value in options.items() if value is not None}
    origin = provenance(
        **_told(prompt, tell_prompt, pipeline or given.get("model", "latent"), given)
    )
    make = _by_pipeline if pipeline else _by_model
    frames = make(prompt, number, pipeline, animation is not None, given)
    pictures = _upsampled(frames[-1], options) if enlarge else frames[-1]
    write_grid(target, pictures, origin)
    if animation is not None:
        _write_animation(Path(animation), frames, origin)


def _told(prompt, tell_prompt, model, given):
    """Metadata fields that record how pictures or sounds were made."""
    told = {name: given[name] for name in TOLD if name in given}
    if tell_prompt:
        return {"prompt": prompt, "model": model, **told}
    told.pop("negative", None)
    return {"model": model, **told}


def _generate_sounds(prompt, number, target, tell_prompt, overwrite, options):
    """Make short sounds of a text."""
    from difffilter.generate.provenance import provenance
    from difffilter.inpainting.files import numbered
    from difffilter.io.files import check_target
    from difffilter.sound import generate as make
    from difffilter.sound.generation import FORMATS, write_sound

    targets = numbered(target, number if number > 1 else None)
    for each in targets:
        check_target(each, overwrite, FORMATS)
    given = {"model": "sounds"} | {
        name: value for name, value in options.items() if value is not None
    }
    for name in ("candidates", "prior", "size", "solver"):
        if name in given:
            raise click.UsageError(f"--{name} is for pictures, and {target.name} is a sound")
    _tell_unknown_words(prompt, given["model"])
    with progress_of("step") as progress:
        sounds = make(prompt, number, callback=progress, **given)
    origin = provenance(**_told(prompt, tell_prompt, given["model"], given))
    for each, samples in zip(targets, sounds, strict=True):
        write_sound(each, samples, origin["comment"].decode())


def _tell_unknown_words(prompt, model):
    """Tell of words that are read as others."""
    from difffilter.generate import unknown_words

    for word, read in unknown_words(prompt, model).items():
        instead = f"; reading {read!r} instead" if read else ""
        click.echo(f"note: the model never saw the word {word!r}{instead}", err=True)


def _by_model(prompt, number, _, every, options):
    """The pictures of a text by weights of ours: those of every step, or the last ones."""
    from difffilter.generate import path
    from difffilter.generate.sampling import candidates_for
    from difffilter.generate.zero_shot import best_of

    if "size" in options:
        raise click.UsageError("--size is for --pipeline; a model has one size")
    model, guidance = options.get("model", "latent"), options.get("guidance", 2.0)
    wanted, device = options.pop("candidates", None), options["device"]
    count = candidates_for(wanted, model, prompt, guidance, device)
    _tell_unknown_words(prompt, model)
    with progress_of("step") as progress:
        way = list(path(prompt, number * count, callback=progress, **options))
    made = way[-1]()
    chosen = best_of(made, [prompt] * len(made), count)
    return [each()[chosen] for each in way] if every else [made[chosen]]


def _by_pipeline(prompt, number, folder, every, options):
    """The pictures of a text by a pipeline of diffusers."""
    from difffilter.generate import Pipeline
    from difffilter.image import as_float

    for name, unusable in (("--gif", every), ("--model", "model" in options),
                           ("--prior", "prior" in options),
                           ("--candidates", "candidates" in options),
                           ("--solver", "solver" in options)):  # fmt: skip
        if unusable:
            raise click.UsageError(f"{name} is not for --pipeline")
    try:
        pipeline = Pipeline.load(folder, device=options.pop("device"))
        pictures = pipeline.images(prompt or None, n=number, **options)
    except MemoryError as error:  # whose advice is better than that for images to smooth
        raise ValueError(str(error)) from None
    return [as_float(pictures, -1)]


def _upsampled(pictures, options):
    """Pictures four times as large."""
    from difffilter.generate import upsample

    if pictures.ndim == 3:
        raise click.UsageError(
            "--upsample is for pictures in colour, and this model makes grey ones"
        )
    with progress_of("step") as progress:
        return upsample(pictures, seed=options["seed"], device=options["device"], callback=progress)


def _write_animation(target, frames, origin):
    """Write the way from noise as an animation, small pictures enlarged."""
    import numpy as np
    from PIL import Image

    from difffilter.io.files import replacing

    drawn = []
    for images in frames:
        factor = max(1, SHOWN // images.shape[1])
        pixels = Image.fromarray((255 * grid(images)).round().astype(np.uint8))
        size = [factor * extent for extent in pixels.size]
        drawn.append(pixels.resize(size, Image.Resampling.BICUBIC).convert("RGB"))
    durations = [FRAME] * (len(drawn) - 1) + [PAUSE]
    with replacing(target) as temporary:
        drawn[0].save(
            temporary, save_all=True, append_images=drawn[1:], duration=durations, loop=0, **origin
        )


@click.command()
@click.argument("image", metavar="IMG", shell_complete=files)
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@click.option("--model", metavar="NAME", default="clip", show_default=True,
              shell_complete=weights_of("generate"),
              help="A name, see 'difffilter weights', or a file.")  # fmt: skip
def similarity(image, texts, model):
    """Compare a picture with texts.

    Prints the cosine similarity of each text, from -1 to 1, as CLIP sees it. The model that comes
    with the package knows coloured shapes and emoji.

    \b
    Example:
      difffilter similarity heart.png "a red heart" "a blue fish"
    """
    require_torch()
    from difffilter.generate import similarity as compare
    from difffilter.generate.captioned import with_alpha

    values = compare(with_alpha(Path(image)), texts, model=model)
    width = max(map(len, texts))
    for text, value in sorted(zip(texts, values, strict=True), key=lambda pair: -pair[1]):
        bar = "█" * round(BAR * max(0.0, float(value)))
        click.echo(f"{text:<{width}}  {value:6.2f}  {bar}".rstrip())
