"""Commands on many images and noises: bench, report, calibrate."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from difffilter.cli.completion import files, folders, labels_in_study, names_in
from difffilter.cli.denoisers import search_current_folder
from difffilter.cli.options import scheduler_option


@click.command()
@click.argument("study", metavar="STUDY.toml", shell_complete=files)
@click.option("-o", "--output", metavar="RESULTS", shell_complete=folders,
              help="Folder for the results. [default: results/STUDY, next to STUDY.toml]")  # fmt: skip
@click.option("--images", multiple=True, metavar="PATH", shell_complete=files,
              help="Images to use instead of the study's. Repeat for several.")  # fmt: skip
@click.option("-m", "--method", "methods", multiple=True, metavar="LABEL",
              shell_complete=labels_in_study,
              help="Run only this method of the study. Repeat for several.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), metavar="N", default=1, show_default=True,
              help="Number of processes.")  # fmt: skip
@scheduler_option
@click.option("--retry", is_flag=True, help="Repeat the calls that failed.")
@click.option("--overwrite", is_flag=True,
              help="Drop existing rows that are not part of the study.")  # fmt: skip
def bench(study, output, images, methods, jobs, scheduler, retry, overwrite):
    """Compare methods on many images, as a TOML file specifies.

    Results are saved as they are computed; after an interruption, the same command resumes. To
    measure times, use one job on an otherwise idle machine.

    \b
    Examples:
      difffilter bench benchmarks/quick.toml
      difffilter bench benchmarks/bsd68.toml --images BSD68/ -o results/bsd68
      difffilter bench study.toml --scheduler tcp://host:8786
      difffilter report benchmarks/results/quick
    """
    from difffilter.benchmark.run import run
    from difffilter.benchmark.study import read_study

    asked = read_study(study, images)
    results = Path(output) if output else asked.folder / "results" / asked.name
    failed, missing = run(
        asked, results, jobs=jobs, overwrite=overwrite, retry=retry, methods=methods or None,
        scheduler=scheduler,
    )  # fmt: skip
    for label, reason in missing.items():
        click.echo(f"left out: {label}: {reason}", err=True)
    if failed:
        click.echo(f"{failed} calls failed; the report lists them", err=True)
    click.echo(f"results: {results}  (next: difffilter report {results})")
    if failed:
        sys.exit(1)


@click.command()
@click.argument("results", metavar="RESULTS", shell_complete=folders)
@click.option("-o", "--output", metavar="FOLDER", shell_complete=folders,
              help="Where to write. [default: RESULTS]")  # fmt: skip
def report(results, output):
    """Write a study's results as report.md and report.html.

    \b
    Example:
      difffilter report benchmarks/results/quick
    """
    from difffilter.benchmark.report import write

    for path in write(results, output):
        click.echo(path)


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMG|FOLDER...",
                shell_complete=files)  # fmt: skip
@click.option("-m", "--method", "methods", multiple=True, required=True, metavar="METHOD",
              shell_complete=names_in("difffilter.catalog", "CATALOG"),
              help="Method to calibrate. Repeat for several.")  # fmt: skip
@click.option("--colour", is_flag=True, help="Use colour images. [default: converted to grey]")
@click.option("--sigma", "sigmas", multiple=True, metavar="S",
              help="Noise level. Repeat for several. [default: from 5/255 to 75/255]")  # fmt: skip
@click.option("--crop", type=click.IntRange(16), metavar="N", default=256, show_default=True,
              help="Crop larger images to this side, in pixels.")  # fmt: skip
@click.option(
    "--data", default="", metavar="TEXT", help="Description of the images, for the record."
)
@click.option("-o", "--output", metavar="FILE", shell_complete=files,
              help="Where to write. [default: the package's own record]")  # fmt: skip
def calibrate(images, methods, sigmas, output, **options):
    """Fit the constants of methods to training images.

    The best constants are found for each noise level. Studies use them for methods that leave them
    open, so that no constant is fitted to an image it is measured on. After an interruption, the
    same command resumes.

    \b
    Example (in the folder of peers.py):
      difffilter calibrate photos/ -m peers:TotalVariation -m peers:Bilateral
    """
    from difffilter.benchmark import calibration

    search_current_folder()
    options |= {"sigmas": sigmas or calibration.SIGMAS, "output": output or calibration.CALIBRATION}
    for method in methods:
        record = calibration.calibrate(method, images, **options)
        click.echo(f"{method}, {len(record['images'])} images")
        for level, found in record["levels"].items():
            constants = ", ".join(f"{key}={value}" for key, value in found["constants"].items())
            click.echo(f"  {level:>7}  {found['noisy']:.2f} -> {found['psnr']:.2f} dB  {constants}")
