"""Filtering a file that is larger than memory: block by block, resumable, here or on a cluster."""

from __future__ import annotations

import json
import os
import zlib
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from difffilter import __version__
from difffilter.blocks.filter import BlockFilter, cut_up, sample_boxes, settle, use_threads
from difffilter.blocks.journal import Journal
from difffilter.blocks.layout import Layout
from difffilter.image import like
from difffilter.io.arrays import MOST, Tiff, open_array, split_path
from difffilter.io.writers import (
    check_room,
    check_suffix,
    chunks_for,
    create,
    finish,
    reopen,
)
from difffilter.noise.estimation import check_sigma
from difffilter.parallel import cores

__all__ = ["smooth_blocks"]


def smooth_blocks(
    source,
    target,
    denoiser,
    *,
    sigma=None,
    volume=None,
    axes=None,
    overwrite=False,
    side=None,
    scheduler=None,
    progress=None,
    max_pixels=None,
):
    """Denoise an array in a file block by block, in little memory.

    While it is being made the result is called ``TARGET.partial``, and what is done of it stands in
    ``TARGET.journal``; interrupted in whatever way, the same call goes on from there.

    Parameters
    ----------
    source : path-like
        TIFF, Zarr or HDF5; the latter two may be followed by the path of an array within.
    target : path-like
        ``.tif``, ``.zarr`` or ``.h5``. TIFF and HDF5 are written uncompressed, so that each block
        has its place.
    denoiser : Denoiser
        What is open of its parameters is chosen once, on evenly spread tiles of the whole.
    sigma : float, optional
        Standard deviation of the noise in [0, 1] units; ``None``: estimated once.
    volume : bool, optional
        Whether Z, or else the last axis before the planes, belongs to an image as Y and X do, all
        others counting images; ``None``: if there is a Z.
    axes : str, optional
        Of a Zarr or HDF5 array, in tifffile's letters; ``None``: as the file says, else YX or ZYX.
    overwrite : bool, default False
        Whether to replace a target that exists, and to begin anew what was begun otherwise.
    side : int, optional
        Side of a block in pixels; ``None``: chosen.
    scheduler : str, optional
        Address of a dask cluster, ``"tcp://host:8786"``, whose workers have this package and see
        the files under the same paths; ``None``: the cores of this machine.
    progress : callable, optional
        Called as ``progress(done, total)`` at the start and after each block.
    max_pixels : int, optional
        Refuse what has more; ``None``: as `open_array` does by itself.

    Returns
    -------
    sigma : float or None
        None if it was neither given nor needed.
    denoiser : Denoiser
        With every parameter set.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read, filtered or written; what is done is kept.

    Examples
    --------
    >>> smooth_blocks("volume.zarr", "smooth.zarr", make("heat(time=2)"))  # doctest: +SKIP
    """
    target = Path(target)
    check_suffix(target)
    if target.exists() and not overwrite:
        raise ValueError(f"{target} exists already; pass --overwrite to replace it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to write {target.name} in")
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"cannot write in the folder {target.parent}: permission denied")
    with closing(open_array(source, axes, max_pixels)) as array:
        layout = Layout(array.axes, array.shape, "Z" in array.axes if volume is None else volume)
        request = {
            "source": os.path.abspath(source),
            "source's time": _modified(source),
            "axes": [layout.axes, list(layout.shape), layout.volume],
            "method": repr(denoiser),
            "sigma": sigma,
            "block": side,
            "version": __version__,
        }
        partial = target.with_name(target.name + ".partial")
        path = target.with_name(target.name + ".journal")
        journal = Journal(path, request, anew=overwrite and not _same(path, request))
        try:
            job = _begin(journal, array, layout, partial, target, denoiser, sigma, side)
        except BaseException:
            journal.close(remove=journal.begun is None)
            raise
        try:
            with _on(scheduler, job, array) as (submit, first, at_once):
                _work(journal, job, submit, first, at_once, progress)
            journal.close(remove=False)
        except BaseException:
            journal.close()
            raise
    finish(partial, target)
    path.unlink()
    return job.sigma, job.work.denoiser


def _same(path, request):
    """Whether a journal is of this very request, so that even --overwrite goes on with it."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.loads(file.readline())["request"] == json.loads(json.dumps(request))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _modified(source):
    file, _ = split_path(source)
    parts = [file, *(file / name for name in ("zarr.json", ".zarray", ".zattrs"))]
    return max(part.stat().st_mtime_ns for part in parts if part.exists())


# --- one block ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What it takes to do a block, wherever that is.

    Attributes
    ----------
    source, axes
        As for `open_array`; the source is an absolute path.
    partial : Path
        The result so far.
    made : dict
        What `create` returned.
    layout : Layout
    work : BlockFilter
    sigma : float
    block : tuple of int
        The shape of a block.
    at_once : int
        How many blocks fit into memory.
    alpha : bool
        Whether the last sample is alpha, which no filter touches.
    """

    source: str
    axes: str | None
    partial: Path
    made: dict
    layout: Layout
    work: BlockFilter
    sigma: float
    block: tuple[int, ...]
    at_once: int
    alpha: bool

    def __call__(self, array, target, image, box):
        """Filter and write one block; returns its checksum."""
        pixels = self.layout.as_image(
            array.read(self.layout.index(image, self.work.surroundings(box)))
        )
        colours = self._colours(pixels)
        try:
            result = like(self.work(colours, box), pixels)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.source}, {_where(box)}: {error}") from error
        if self.alpha:
            lows = [low for low, _ in self.work.surroundings(box)]
            inner = tuple(slice(a - low, b - low) for (a, b), low in zip(box, lows, strict=True))
            result = np.concatenate(
                [result.reshape(*result.shape[: len(box)], -1), pixels[inner][..., -1:]], axis=-1
            )
        values = np.ascontiguousarray(self.layout.as_array(result), target.dtype)
        target.write(self.layout.index(image, box), values)
        return zlib.crc32(values.reshape(-1).view(np.uint8))

    def elsewhere(self, image, box):
        """A block, in a process that has neither source nor target open yet."""
        array, target = opened(self.source, self.axes, self.partial, json.dumps(self.made))
        return self(array, target, image, box)

    def _colours(self, pixels):
        """Without alpha; grey without an axis of channels."""
        if not self.alpha:
            return pixels
        return pixels[..., 0] if pixels.shape[-1] == 2 else pixels[..., :-1]

    def checksum(self, target, image, box):
        """That of what the file holds."""
        values = np.ascontiguousarray(target.read(self.layout.index(image, box)), target.dtype)
        return zlib.crc32(values.reshape(-1).view(np.uint8))


def _where(box):
    names = "zyx"[-len(box) :]
    return ", ".join(f"{name} {a}...{b - 1}" for name, (a, b) in zip(names, box, strict=True))


def _begin(journal, array, layout, partial, target, denoiser, sigma, side):
    """The job, new or as it was begun."""
    alpha = getattr(array, "alpha", False)
    samples = layout.channels
    colours = samples is not None and not (alpha and samples == 2)
    channel_axis = -1 if colours else None
    if journal.begun is not None and not partial.exists():
        journal.begun = None
    settled = denoiser
    if journal.begun is None:
        if not denoiser.is_settled(sigma):
            settled, sigma = _choose(array, layout, denoiser, sigma, channel_axis, alpha)
    else:
        settled = _restored(denoiser, journal.begun["chosen"])
        sigma = journal.begun["sigma"]
    work = BlockFilter(settled, sigma, channel_axis, layout.spatial)
    work.warn_if_whole()
    if journal.begun is None:
        chunks = chunks_for(target, layout, array, side)
        lines = (
            bool(array.chunks)
            and isinstance(array, Tiff)
            and (layout.own(array.chunks)[-1] >= layout.spatial[-1] > 2048)
        )
        block, at_once = cut_up(
            layout.spatial,
            work.halo,
            layout.own(chunks) if chunks else (1,) * len(layout.spatial),
            channels=samples or 1,
            workers=settled.blocks_at_once or cores(),
            side=side,
            whole_lines=lines,
        )
        made = create(partial, target.suffix.lower(), array, layout, chunks)
        journal.begin(
            {"sigma": sigma, "chosen": _chosen(settled), "made": made, "block": block,
             "at_once": at_once}
        )  # fmt: skip
    begun = journal.begun
    if begun["made"]["kind"] == "raw":
        check_room(partial, int(np.prod(layout.shape)) * array.dtype.itemsize)
    return Job(
        source=str(array.path.absolute() / getattr(array, "inner", "")),
        axes=None if isinstance(array, Tiff) else layout.axes,
        partial=partial.absolute(), made=begun["made"], layout=layout, work=work, sigma=sigma,
        block=tuple(begun["block"]), at_once=begun["at_once"], alpha=alpha,
    )  # fmt: skip


def _choose(array, layout, denoiser, sigma, channel_axis, alpha):
    """What is open, on samples of the whole."""
    tiles = np.stack(
        [
            layout.as_image(array.read(layout.index(image, box)))
            for image, box in sample_boxes(layout.spatial, layout.images)
        ]
    )
    if alpha:
        tiles = tiles[..., 0] if tiles.shape[-1] == 2 else tiles[..., :-1]
    try:
        if sigma is not None:
            sigma = check_sigma(sigma, tiles if tiles.dtype.kind == "f" else None)
        return settle(denoiser, sigma, tiles, channel_axis)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{array.path}: {error}") from error


def _chosen(denoiser):
    """The parameters in JSON's types."""
    return json.loads(json.dumps(denoiser.parameters, default=str))


def _restored(denoiser, chosen):
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in (chosen or {}).items()}
    return denoiser.replace(**values) if values else denoiser


# --- all blocks -----------------------------------------------------------------------------


def _work(journal, job, submit, first, at_once, progress):
    """Do what is not done, noting each block."""
    boxes = job.layout.boxes(job.block)
    target = reopen(job.partial, job.made)
    done = {
        number for number, crc in journal.done.items()
        if number < len(boxes) and job.checksum(target, *boxes[number]) == crc
    }  # fmt: skip
    todo = (number for number in range(len(boxes)) if number not in done)
    count, running = len(done), {}
    if progress:
        progress(count, len(boxes))
    while True:
        for number in todo:
            running[submit(*boxes[number])] = number
            if len(running) >= 2 * at_once:
                break
        if not running:
            return
        for future in first(list(running)):
            journal.add(running.pop(future), future.result())
            count += 1
            if progress:
                progress(count, len(boxes))


@contextmanager
def _on(scheduler, job, array):
    """How to have a block done, here or on a cluster, and how to wait for the first of some."""
    if scheduler is not None:
        from difffilter.blocks.cluster import on_cluster

        with on_cluster(scheduler, job) as ways:
            yield ways
        return
    target = reopen(job.partial, job.made)
    threads = max(1, cores() // job.at_once)
    with ThreadPoolExecutor(job.at_once, initializer=use_threads, initargs=(threads,)) as pool:
        try:
            yield (
                lambda image, box: pool.submit(job, array, target, image, box),
                lambda futures: wait(futures, return_when=FIRST_COMPLETED).done,
                job.at_once,
            )
        finally:
            pool.shutdown(cancel_futures=True)


@lru_cache(maxsize=2)
def opened(source, axes, partial, made):
    """Source and target in another process, open as long as they are used."""
    return open_array(source, axes, MOST), reopen(partial, json.loads(made))
