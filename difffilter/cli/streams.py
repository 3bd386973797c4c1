"""Standard input and output in place of files: the argument -."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

__all__ = ["STREAM", "files_for_streams"]

STREAM = "-"


@contextmanager
def files_for_streams(
    images: Sequence[str], output: str | None
) -> Iterator[tuple[Sequence[str], str | None]]:
    """Stand-ins for - among the images and as the output.

    Standard input is copied to a temporary file, and the result to standard output once the block
    ends without an error.

    Parameters
    ----------
    images : sequence of str
    output : str or None
        ``None``: standard output if the image is standard input, else as given.

    Yields
    ------
    tuple of (sequence of str, str or None)
        The images and the output, all of which are files.

    Raises
    ------
    click.UsageError
        If one of several images is -, or the results of several would go to -.
    OSError, ValueError
        As in the block, and if there is no image on standard input.
    """
    if STREAM not in (*images, output):
        yield images, output
        return
    if len(images) > 1:
        raise click.UsageError(f"IMG is {' '.join(images)}; expected a single image with -")
    with tempfile.TemporaryDirectory(prefix="difffilter-") as folder:
        [image] = images
        source, target = Path(image), Path(folder, "output")
        if image == STREAM:
            source = _copy_of_input(Path(folder))
            output = output or STREAM
        elif source.is_dir():
            raise click.UsageError(f"IMG is {image}; expected a single image with -")
        writes = output == STREAM
        if writes:
            from difffilter.blocks.folders import plan_tasks

            target.mkdir()
            [task] = plan_tasks([source], target)
            if task.target.suffix in (".zarr", ".h5", ".hdf5", ".hdf"):
                raise click.UsageError("--output is -; expected a file for an array")
            output = str(task.target)
        try:
            yield [str(source)], output
        except (OSError, ValueError) as error:
            if image == STREAM and str(source) in str(error):
                text = str(error).replace(str(source), "standard input")
                raise ValueError(text) from error
            raise
        # (A dry run writes nothing, nor does a failure that goes to a report.)
        if writes and output is not None and Path(output).exists():
            with open(output, "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()


def _copy_of_input(folder: Path) -> Path:
    from difffilter.io.files import suffix_of

    path = folder / "input"
    with open(path, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    with open(path, "rb") as file:
        head = file.read(32)
    if not head:
        raise ValueError("standard input is empty (0 bytes)")
    # (An unknown kind is reported when it is read.)
    return path.rename(folder / f"input{suffix_of(head) or '.png'}")
