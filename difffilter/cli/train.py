"""Commands for what is learned: train, and list the weights."""

from __future__ import annotations

import os
from pathlib import Path

import click

from difffilter.cli.completion import TRAINED, among, files, folders, presets, weights_of
from difffilter.cli.denoisers import require_torch
from difffilter.spelling import quoted


@click.group(invoke_without_command=True)
@click.pass_context
def weights(context):
    """List the installed weights, or export some.

    \b
    Examples:
      difffilter weights
      difffilter weights export natural-gray -o gray.onnx
    """
    if context.invoked_subcommand is None:
        show_weights()


@weights.command("export")
@click.argument("name", metavar="NAME", shell_complete=weights_of("ddpm"))
@click.option("-o", "--output", required=True, metavar="FILE", shell_complete=files,
              help="An ONNX file: its name ends with .onnx.")  # fmt: skip
@click.option(
    "--eight-bits",
    is_flag=True,
    help="Convolutions in whole numbers of eight bits: faster, and a little less exact.",
)
@click.option("--overwrite", is_flag=True, help="Write over an existing file.")
def export_weights(name, output, eight_bits, overwrite):
    """Write weights of the DDPM as an ONNX file, for programs without Python.

    The file takes noisy images (batch, channels, height, width) from 0 to 1 and the noise level sigma
    of each, and gives denoised ones. It needs 'difffilter[onnx]'.

    \b
    Examples:
      difffilter weights export natural-gray -o gray.onnx
      difffilter weights export natural-color -o color.onnx --eight-bits
    """
    require_torch()
    from difffilter.ddpm.export import export_onnx
    from difffilter.io.files import check_target

    check_target(output, overwrite, (".onnx",))
    try:
        click.echo(export_onnx(name, output, eight_bits=eight_bits))
    except ModuleNotFoundError as error:
        raise click.ClickException(str(error)) from None


def show_weights():
    """Print what weights there are."""
    from difffilter.ddpm import weights as ddpm
    from difffilter.generate import weights as generate
    from difffilter.pde import weights as learned
    from difffilter.sound import weights as sound

    homes = {"learned": learned, "ddpm": ddpm, "generate": generate, "sound": sound}
    for method, home in homes.items():
        click.echo(click.style(method, bold=True))
        for name in home.available():
            echo_card(name, home.card(name), home.find(name).stat().st_size)


def echo_card(name, about, size):
    """Print a name, a description and the scores of weights."""
    amount = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"
    click.echo(f"  {name:<20}{about.get('description', '')} ({amount})")
    for folder, scores in about.get("psnr", {}).items():
        for mode, levels in (scores if "mmse" in scores else {"": scores}).items():
            values = ", ".join(f"{score:.2f} dB at {level}/255" for level, score in levels.items())
            click.echo(f"{'':<22}{folder}{', ' if mode else ''}{mode}: {values}")


@click.command()
@click.argument("folder", metavar="FOLDER", shell_complete=folders)
@click.option("-m", "--method", metavar="METHOD", shell_complete=among(*TRAINED),
              help="What to train: ddpm, learned, generate or sound. [default: ddpm]")  # fmt: skip
@click.option("--preset", metavar="NAME", shell_complete=presets,
              help="For ddpm: gray-small, color-small, gray-bias-free, color-bias-free, gray-real or "
                   "color-real, for a CPU; gray-base or color-base, for a GPU. For learned: deep-gray or "
                   "deep-color; convex-gray or convex-color, small and with one minimum. For generate: "
                   "autoencoder, clip, latent, decoder, prior, prior-regression, pixel, fashion, "
                   "sounds, upsampler, judge-scenes, judge-groups or judge-fashion. "
                   "[default: the first]")  # fmt: skip
@click.option("-o", "--output", required=True, metavar="RUN", shell_complete=folders,
              help="Folder of the run.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), metavar="N",
              help="Number of training steps. [default: the preset's]")  # fmt: skip
@click.option("--batch", type=click.IntRange(1), metavar="N",
              help="Crops or pictures per step. [default: the preset's]")  # fmt: skip
@click.option("--crop", type=click.IntRange(1), metavar="N",
              help="Side of a crop, in pixels. [default: the preset's]")  # fmt: skip
@click.option("--learning-rate", type=float, metavar="R",
              help="Largest learning rate. [default: the preset's]")  # fmt: skip
@click.option("--scenes", type=click.FloatRange(0, 1), metavar="X",
              help="For generate: the share of scenes that are drawn, beside the pictures of FOLDER. "
                   "[default: 0]")  # fmt: skip
@click.option("--twins", type=click.FloatRange(0, 1), metavar="X",
              help="For clip: how often two scenes are drawn that differ in one word. "
                   "[default: 0]")  # fmt: skip
@click.option("--coloured", is_flag=True, default=None,
              help='For latent and pixel: captions that are labels sometimes name the colour, "frog" '
                   'becoming "a green frog".')  # fmt: skip
@click.option("--autoencoder", metavar="NAME", shell_complete=weights_of("generate"),
              help="For the preset latent: weights of the autoencoder. [default: autoencoder]")  # fmt: skip
@click.option("--init", metavar="NAME", shell_complete=weights_of(),
              help="Weights to start from; see 'difffilter weights'.")  # fmt: skip
@click.option("--resume", is_flag=True,
              help="Continue from the run's last checkpoint, with its settings.")  # fmt: skip
@click.option("--export", "weights", metavar="FILE", shell_complete=files,
              help="Write the final weights to this file.")  # fmt: skip
def train(folder, method, preset, output, steps, init, resume, weights, **options):
    """Train a network on the images of a folder.

    That is a DDPM, a learned diffusion, or a part of text to image, for which the folder has
    captions.jsonl or captions.csv, or is that of Fashion-MNIST; "scenes" stands for scenes that are
    drawn. A DDPM on sounds takes a folder of sound files.

    After an interruption, --resume goes on with the settings of the run, of which only --steps can be
    changed.

    To use several GPUs or machines, run it with torchrun: each process takes its share of the
    batch, and every image appears once per epoch.

    \b
    Examples:
      difffilter train photos/ --preset gray-small -o run
      torchrun --nproc-per-node 2 -m difffilter train photos/ -o run
      difffilter train photos/ -o run --resume --export my.safetensors
      difffilter train photos/ --preset color-small --init natural-color -o run
      difffilter train photos/ --method learned --preset deep-gray -o run
      difffilter train emoji/ --method generate --preset clip -o run
      difffilter train sounds/ --method sound -o run
    """
    import time
    from dataclasses import replace

    require_torch()
    from difffilter.training import PRESETS, export, fit, fit_generate, fit_learned, fit_sound

    run, start = Path(output), time.monotonic()
    given = {name: value for name, value in options.items() if value is not None}
    saved, done = _resumed(run) if resume else (None, 0)
    method = method or (saved.method if saved else TRAINED[0])
    usual = _usual_preset(method, preset)
    settings = saved or PRESETS[preset or usual]
    for name, value in given.items():
        if getattr(settings, name, None) is None:
            raise ValueError(
                f"{name} is {value}; expected none: what is trained has no such setting"
            )
    if saved:
        _check_resumed(run, saved, preset, given | {"method": method})
    config = None if resume else replace(PRESETS[preset or usual], **given)
    try:
        kinds = {"ddpm": fit, "learned": fit_learned, "generate": fit_generate, "sound": fit_sound}
        kinds[method](folder, output, config, init=init, resume=resume, steps=steps)
    except MemoryError:
        raise ValueError(
            "training does not fit into memory; a smaller --batch or --crop needs less, and "
            "--resume continues from a checkpoint on a machine with more"
        ) from None
    finally:
        _plot_log(run)
    if weights:
        export(output, weights)
    if os.environ.get("RANK", "0") == "0":  # of the processes of torchrun, the first one
        seconds = time.monotonic() - start
        _summarize(run, done, seconds, method, weights or run / "weights.safetensors")


def _usual_preset(method, preset):
    """The usual preset of a method, which a given one must be for, too."""
    from difffilter.checks import check_choice
    from difffilter.training import PRESETS

    check_choice("method", method, TRAINED)
    names = [name for name, config in PRESETS.items() if config.method == method]
    if preset in PRESETS and preset not in names:
        raise ValueError(
            f"preset is {preset!r}; expected one of {', '.join(names)}, or --method "
            f"{PRESETS[preset].method}"
        )
    if preset is not None:
        check_choice("preset", preset, names)
    return names[0]


def _resumed(run):
    """The settings of a run and the number of its finished steps; none and 0 without a checkpoint."""
    from difffilter.training.run import CHECKPOINT
    from difffilter.training.state import progress

    # (That there is none is an error of `fit`.)
    return progress(run / CHECKPOINT) if (run / CHECKPOINT).exists() else (None, 0)


def _check_resumed(run, saved, preset, given):
    """Check that options do not contradict the settings of the run."""
    from difffilter.training.config import check_unchanged
    from difffilter.training.presets import PRESETS

    check_unchanged(given, saved)
    # The settings of a preset that have an option.
    optional = {"steps", "batch", "crop", "learning_rate", "scenes", "twins", "coloured"}
    optional |= {"autoencoder"}
    expected = PRESETS.get(preset, saved)
    if expected.kind != saved.kind or any(
        value != getattr(saved, name)
        for name, value in vars(expected.completed(saved)).items()
        if name not in optional
    ):
        raise ValueError(f"preset is {preset}; expected that of the run {run}, or none")


def _summarize(run, done, seconds, method, weights):
    """Print the length of a training run, its scores, and the command that uses the weights."""
    from difffilter.training.log import METRICS, last_scores
    from difffilter.training.run import CHECKPOINT, LOG
    from difffilter.training.state import progress

    scores, (config, steps) = last_scores(run / LOG), progress(run / CHECKPOINT)
    before = f", {steps - done} of them now" if done else ""
    click.echo(f"steps:   {steps}{before}, in {_duration(seconds)}")
    if "loss" in scores:
        click.echo(f"loss:    {scores['loss']:.4f}, mean of the last {scores['window']} steps")
    if "psnr" in scores:
        click.echo(f"PSNR:    {scores['psnr']:.2f} dB at σ = 25/255, on the validation images")
    for metric, words in METRICS.items():
        if metric in scores and metric != "psnr":
            click.echo(f"score:   {scores[metric]:.4g}, {words}, on what was set aside")
    click.echo(f"weights: {weights}  (log: {run / 'log.jsonl'}, log.png)")
    file = quoted(str(weights))
    denoiser = quoted(f"{method}(weights={str(weights)!r})")
    following = {
        "clip": f'similarity heart.png "a red heart" "a blue fish" --model {file}',
        "text-to-image": f'generate "a red heart" --model {file} -o heart.png',
        "sound": f"smooth noisy.wav -m {quoted(f'ddpm(weights={str(weights)!r})')}",
    }
    if method not in ("generate", "sound"):
        click.echo(f"next:    difffilter smooth photo.png -m {denoiser}")
    elif config.kind in following:
        click.echo(f"next:    difffilter {following[config.kind]}")


def _duration(seconds):
    """Seconds, minutes or hours, with two or three digits."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _plot_log(run):
    """Plot the log of a training run as log.png beside it."""
    from difffilter.io.files import replacing
    from difffilter.training import plot_log

    log = run / "log.jsonl"
    if log.exists() and log.stat().st_size:
        with replacing(run / "log.png") as temporary:
            plot_log(log, temporary)
