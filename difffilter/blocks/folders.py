"""Many image files: which ones, where the results go, and filtering them in parallel."""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from difffilter.blocks.run import smooth_blocks
from difffilter.catalog import spell
from difffilter.denoiser import Denoiser, as_denoiser, choose_and_apply
from difffilter.image import like
from difffilter.io.arrays import ARRAYS, is_large, open_array, split_path
from difffilter.io.files import SUFFIXES, check_target, read, replacing, write
from difffilter.noise.estimation import check_sigma
from difffilter.workers import pool

__all__ = ["Task", "find_images", "plan_tasks", "run", "smooth_file", "write_report"]


@dataclass(frozen=True)
class Task:
    """A file to denoise, and the file for the result."""

    source: Path
    target: Path


def find_images(arguments: Iterable[str | os.PathLike]) -> list[Path]:
    """The files that paths, folders and patterns name, in order and without repetition.

    Results of earlier runs (``*_smooth``) in folders are skipped.

    Raises
    ------
    ValueError
        If a path does not exist, or a folder or pattern yields no image.
    """
    found = []
    for argument in map(str, arguments):
        path = Path(argument)
        if split_path(path)[0].suffix.lower() in ARRAYS and split_path(path)[0].exists():
            files = [path]
        elif path.is_dir():
            files = sorted(
                p
                for p in path.iterdir()
                if p.suffix.lower() in SUFFIXES + ARRAYS
                and not p.name.startswith(".")
                and not p.stem.endswith("_smooth")
            )
            if not files:
                raise ValueError(f"there is no image ({', '.join(SUFFIXES)}) in the folder {path}")
        elif path.exists() or not glob.has_magic(argument):
            if not path.exists():
                raise ValueError(f"there is no file {path}; check the path")
            files = [path]
        else:
            files = sorted(Path(p) for p in glob.glob(argument, recursive=True))
            if not files:
                raise ValueError(f"no file matches {argument}")
        found += files
    return list(dict.fromkeys(found))


def plan_tasks(
    sources: list[Path], output: str | os.PathLike | None = None, ending: str = "_smooth"
) -> list[Task]:
    """Choose the file for each result.

    Parameters
    ----------
    sources : list of Path
    output : path-like, optional
        A folder, in which results keep the names of their sources, or, for a single source, a file;
        ``None``: next to its source.
    ending : str, default "_smooth"
        What to add to the name of a result next to its source.

    Returns
    -------
    list of Task

    Raises
    ------
    ValueError
        If several results would be written to the same file.
    """
    names = {source: split_path(source)[0] for source in sources}
    if output is None:
        tasks = [Task(s, n.with_name(f"{n.stem}{ending}{n.suffix}")) for s, n in names.items()]
    else:
        folder = Path(output)
        array = folder.suffix.lower() in ARRAYS
        if array or not (folder.is_dir() or str(output).endswith(("/", os.sep))):
            if len(sources) == 1:
                return [Task(sources[0], folder)]
            if array or folder.exists() or folder.suffix.lower() in SUFFIXES:
                raise ValueError(
                    f"output is {folder}; expected a folder for {len(sources)} results"
                )
        tasks = [Task(s, folder / n.name) for s, n in names.items()]
    seen: dict[Path, Path] = {}
    for task in tasks:
        if task.target in seen:
            raise ValueError(
                f"{seen[task.target]} and {task.source} would both be written to {task.target}"
            )
        seen[task.target] = task.source
    return tasks


def smooth_file(
    task: Task,
    denoiser: Denoiser,
    *,
    sigma: float | None = None,
    volume: bool = False,
    overwrite: bool = False,
    axes: str | None = None,
    side: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    max_pixels: int | None = None,
) -> list[str]:
    """Denoise one file, as a whole or, if it is an array or a large TIFF, in blocks.

    Parameters
    ----------
    task : Task
    denoiser : Denoiser
    sigma : float, optional
        Standard deviation of the noise, in units of intensity; ``None``: estimated page by page.
    volume : bool, default False
        Whether the pages of a TIFF are one volume.
    overwrite : bool, default False
        Whether an existing target may be replaced.
    axes, side, scheduler, progress
        As for `smooth_blocks`; a TIFF with a side or a scheduler is processed in blocks.
    max_pixels : int, optional
        Refuse larger images; ``None``: the default limit of `read` and `open_array`.

    Returns
    -------
    list of str
        For each page or volume, or once for a file processed in blocks: σ, if it was needed, and
        the denoiser with its parameters.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, filtered or written; then no target is written.
    """
    denoiser = as_denoiser(denoiser)
    check_target(task.target, overwrite)
    if in_blocks(task, side, scheduler):
        sigma, settled = smooth_blocks(
            task.source, task.target, denoiser, sigma=sigma,
            volume=volume or (None if _is_array(task.source) else False), axes=axes,
            overwrite=overwrite, side=side, scheduler=scheduler, progress=progress,
            max_pixels=max_pixels,
        )  # fmt: skip
        return [_note(sigma, settled)]
    check_target(task.target, overwrite, SUFFIXES)
    picture = read(task.source, max_pixels)
    stacks = picture.volumes() if volume else picture.pages
    results, notes = np.empty_like(stacks), []
    for k, stack in enumerate(stacks):
        try:
            result, settled, strength = choose_and_apply(
                denoiser, stack, sigma, channel_axis=picture.channel_axis
            )
        except (TypeError, ValueError) as error:
            where = f"page {k + 1} of {task.source}" if len(stacks) > 1 else task.source
            raise ValueError(f"{where}: {error}") from error
        results[k] = like(result, stack)
        notes.append(_note(strength, settled))
    write(task.target, picture.with_volumes(results) if volume else picture.with_pages(results))
    return notes


def _note(sigma, denoiser):
    if sigma is None:
        return spell(denoiser)
    return f"sigma={sigma:.4g} ({sigma * 255:.3g}/255)  {spell(denoiser)}"


def _is_array(path):
    return split_path(path)[0].suffix.lower() in ARRAYS


def in_blocks(task: Task, side: int | None = None, scheduler: str | None = None) -> bool:
    """Whether a file is processed in blocks rather than as a whole."""
    if _is_array(task.source) or task.target.suffix.lower() in ARRAYS:
        return True
    if task.source.suffix.lower() not in (".tif", ".tiff"):
        return False
    return side is not None or scheduler is not None or is_large(task.source)


def holds_volumes(source: str | os.PathLike, axes: str | None = None) -> bool:
    """Whether a file is an array that is filtered as volumes; `axes` as for `open_array`."""
    if not _is_array(source):
        return False
    try:
        with closing(open_array(source, axes)) as array:
            return "Z" in array.axes
    except (OSError, ValueError):  # reported when the file is filtered
        return False


def check_options(sources: list[Path], sigma: float | None) -> None:
    """Refuse, before any work starts, a σ that is wrong for every file.

    Float TIFFs and arrays may have any range; everything else is in [0, 1].
    """
    floats = (".tif", ".tiff", *ARRAYS)
    if sigma is not None and any(split_path(s)[0].suffix.lower() not in floats for s in sources):
        check_sigma(sigma)


def run(
    tasks: list[Task],
    denoiser: Denoiser,
    jobs: int = 1,
    *,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options,
) -> Iterator[tuple[Task, list[str], Exception | None]]:
    """Denoise many files, yielding each as it is done.

    Parameters
    ----------
    tasks : list of Task
    denoiser : Denoiser
    jobs : int, default 1
        Number of processes, which share the processor's cores. If one dies, only its own file is
        lost.
    scheduler : str, optional
        Address of a dask cluster whose workers have this package and see the files under the same
        paths; ``None``: this machine. A single file that can be is processed there in blocks, of
        several files each is one task.
    progress : callable, optional
        As for `smooth_blocks`, if there is a single file and it is processed in blocks.
    **options
        For `smooth_file`.

    Yields
    ------
    tuple of (Task, list of str, Exception or None)
        The task, the notes of `smooth_file`, and the error if there was one.
    """
    if len(tasks) == 1 and in_blocks(tasks[0], options.get("side"), scheduler):
        options |= {"scheduler": scheduler, "progress": progress}
    elif scheduler is not None:
        yield from _run_on_cluster(tasks, denoiser, scheduler, options)
        return
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            yield (task, *_attempt(task, denoiser, options))
        return
    from concurrent.futures import as_completed
    from concurrent.futures.process import BrokenProcessPool

    todo, refused = _sorted_out(tasks, options)
    yield from refused
    lost = []
    with pool(min(jobs, len(tasks))) as executor:
        futures = {}
        for task in todo:
            try:
                futures[executor.submit(_attempt, task, denoiser, options)] = task
            except BrokenProcessPool:
                lost.append(task)
        for future in as_completed(futures):
            try:
                result = future.result()
            except BrokenProcessPool:  # one process died, and it is unknown with which file
                lost.append(futures[future])
            else:
                yield (futures[future], *result)
    for task in lost:
        with pool(1) as executor:
            try:
                result = executor.submit(_attempt_again, task, denoiser, options).result()
            except BrokenProcessPool:
                result = [], ChildProcessError(f"{task.source}: {DIED}")
        yield (task, *result)


DIED = "its process died, perhaps because it ran out of memory"


def _run_on_cluster(tasks, denoiser, scheduler, options):
    """One task of the cluster for each file."""
    from difffilter.blocks.cluster import each

    todo, refused = _sorted_out(tasks, options)
    yield from refused
    arguments = [
        (Task(task.source.absolute(), task.target.absolute()), denoiser, options) for task in todo
    ]  # workers may run in another folder
    for number, result, died in each(scheduler, _attempt_again, arguments):
        error = ChildProcessError(f"{todo[number].source}: {DIED}")
        yield (todo[number], *(([], error) if died else result))


def _sorted_out(tasks, options):
    """The tasks whose targets can be written, and what `run` yields for the others."""
    todo, refused = [], []
    for task in tasks:
        try:
            check_target(task.target, options.get("overwrite"))
        except (OSError, ValueError) as error:
            refused.append((task, [], error))
        else:
            todo.append(task)
    return todo, refused


def _attempt_again(task, denoiser, options):
    """As `_attempt`, after a process died: a target that exists now is that process's own."""
    overwrite = options.get("overwrite") or task.target.exists()
    return _attempt(task, denoiser, {**options, "overwrite": overwrite})


def _attempt(task, denoiser, options):
    try:
        return smooth_file(task, denoiser, **options), None
    except (OSError, TypeError, ValueError, MemoryError) as error:
        return [], error


def write_report(path: str | os.PathLike, failures: list[tuple[Path, str]]) -> None:
    """Write a CSV of the images that failed, with the reasons; its header alone if none did.

    Parameters
    ----------
    path : path-like
    failures : list of (Path, str)
    """
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "reason"))
        writer.writerows(failures)
