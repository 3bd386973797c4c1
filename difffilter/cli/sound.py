"""The command smooth on sound files."""

from __future__ import annotations

import warnings
from pathlib import Path

import click
from click.core import ParameterSource

from difffilter.cli.errors import one_line, summarize
from difffilter.cli.progress import echo, progress_of

__all__ = ["refuse_for_sounds", "smooth_sounds"]

# The parameters of the command that have a meaning for sounds.
FOR_SOUNDS = {
    *("images", "output", "method", "sigma", "time", "kappa"),
    *("overwrite", "resume", "dry_run", "verbose"),
}


def refuse_for_sounds(context):
    """Raise an error if an option was given that has no meaning for sounds."""
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
        if given and parameter.name not in FOR_SOUNDS:
            option = max(parameter.opts, key=len)
            raise ValueError(f"{option} is given; expected none: it is for images, not for sounds")


def smooth_sounds(sounds, output, method, sigma, time, kappa, overwrite, resume, dry_run, verbose):
    """Remove the noise of sound files."""
    from difffilter.blocks.folders import find_images, plan_tasks
    from difffilter.sound import denoise_file, make
    from difffilter.sound.catalog import USUAL
    from difffilter.spelling import parse

    name, parameters = parse(method or USUAL)
    given = {"time": time, "kappa": kappa}
    parameters |= {key: value for key, value in given.items() if value is not None}
    denoiser = make(name, **parameters)
    sources = find_images(sounds)
    tasks = plan_tasks(sources, output, many=len(sounds) != len(sources))
    if resume:
        tasks = [task for task in tasks if not task.target.exists()]
    failures = []
    for task in tasks:
        if dry_run:
            click.echo(f"{task.source} -> {task.target}  {denoiser}")
            continue
        if output is not None and task.target != Path(output):  # a folder
            task.target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with progress_of("s") as progress:
                done = denoise_file(
                    task.source, task.target, denoiser,
                    sigma=sigma, overwrite=overwrite, progress=progress,
                )  # fmt: skip
        except (OSError, ValueError) as error:
            if len(tasks) == 1:
                raise
            failures.append((task.source, one_line(error)))
            continue
        for warning in done.warnings:
            warnings.warn(warning, stacklevel=1)
        if verbose:
            channels = {1: "mono", 2: "stereo"}.get(done.channels, f"{done.channels} channels")
            about = f"{done.seconds:.3g} s, {done.rate} Hz, {channels}"
            echo(f"{task.source} -> {task.target}  {about}; {done.noise}  {denoiser}")
    summarize(failures, len(tasks), "sounds")
