"""Lazy filtering of dask arrays."""

from __future__ import annotations

import numpy as np

from difffilter.blocks.filter import BlockFilter, choose_on_tiles, sample_boxes

__all__ = ["denoise_lazily"]


def denoise_lazily(image, sigma, denoiser, channel_axis):
    """Denoise a dask array lazily, block by block.

    Only the evenly spread tiles on which parameters are chosen are computed immediately; nothing
    is if σ and all parameters are given.

    Parameters
    ----------
    image : dask.array.Array
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    sigma : float, NoiseModel or None
        The noise; ``None``: estimated.
    denoiser : Denoiser
    channel_axis : int or None

    Returns
    -------
    dask.array.Array
        Same shape; float32, or float64 for float64 input. The chunks are those of the image unless
        they are smaller than the filter's halo.

    Raises
    ------
    TypeError
        If the pixels are not real numbers.
    ValueError
        If a size is unknown, the shape is not that of an image or a volume, or σ is a map.
    """
    import dask.array as da
    from dask.array.overlap import ensure_minimum_chunksize

    if any(np.isnan(n) for n in image.shape):
        raise ValueError(
            f"image has shape {image.shape}; expected known sizes: call image.compute_chunk_sizes()"
        )
    last = image if channel_axis is None else da.moveaxis(image, channel_axis, -1)
    colour = -1 if channel_axis is not None else None
    shape = last.shape if colour is None else last.shape[:-1]
    if len(shape) not in (2, 3) or 0 in last.shape:
        raise ValueError(
            f"image has shape {image.shape} with channel_axis={channel_axis}; expected 2 or 3 axes "
            "besides channels, none of them empty"
        )
    if image.dtype.kind not in "buif":
        raise TypeError(f"image has dtype {image.dtype}; expected real numbers")
    if np.ndim(sigma):
        raise ValueError("sigma is a map; expected a number or a NoiseModel for a dask array")
    denoiser.check_shape(last.shape, colour)
    if not denoiser.is_settled(sigma):
        tiles = [last[tuple(slice(a, b) for a, b in box)] for _, box in sample_boxes(shape)]
        denoiser, sigma = choose_on_tiles(denoiser, sigma, np.stack(da.compute(*tiles)), colour)
    work = BlockFilter(denoiser, sigma, colour, shape)
    work.warn_if_whole()
    halo = shape if work.halo is None else work.halo
    depth = {axis: min(far, n) for axis, (far, n) in enumerate(zip(halo, shape, strict=True))}
    chunks = {axis: ensure_minimum_chunksize(max(1, far), last.chunks[axis])
              for axis, far in depth.items()}  # fmt: skip
    if colour is not None:
        depth[len(shape)], chunks[len(shape)] = 0, -1
    last = last.rechunk(chunks)
    starts = [np.cumsum((0, *sizes)).tolist() for sizes in last.chunks]

    def block(pixels, block_id=None):
        box = tuple(
            (starts[axis][k], starts[axis][k + 1]) for axis, k in enumerate(block_id[: len(shape)])
        )
        have = [max(0, a - depth[axis]) for axis, (a, _) in enumerate(box)]
        padded = work.with_halo(box)
        needed = tuple(slice(a - lo, b - lo) for (a, b), lo in zip(padded, have, strict=True))
        return work(pixels[needed], box)

    result = da.overlap.overlap(last, depth, "none", allow_rechunk=False).map_blocks(
        block,
        chunks=last.chunks,
        dtype=np.float64 if image.dtype == np.float64 else np.float32,
        meta=np.empty((0,) * last.ndim, image.dtype),
    )
    return result if channel_axis is None else da.moveaxis(result, -1, channel_axis)
