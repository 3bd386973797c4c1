"""Descriptions of parameters, shared by several docstrings."""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import dedent, indent
from typing import TypeVar

__all__ = ["shared"]

Documented = TypeVar("Documented", bound=Callable | type)

TEXTS = {
    "image": """
        image : array_like
            ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
        """,
    "time": """
        time : float, optional
            How long to diffuse, in units of length squared; ``None``: the time of least estimated
            risk (see Notes).
        """,
    "kappa": """
        kappa : float or {"mad", "quantile", "sigma"}, optional
            Contrast parameter κ, in units of intensity per unit of length, or a rule that sets it
            by the differences between neighbours (see `perona_malik`); ``None``: of several
            multiples of σ, the one of least risk.
        """,
    "fidelity": """
        fidelity : float, default 0
            λ of a term λ(f - u) that pulls u back to the image f (biased diffusion, Nordström
            1990), in units of one over time. The evolution then ends in a state that keeps some of
            the image.
        """,
    "spacing": """
        spacing : float or sequence of float, optional
            Distance h of the pixels along each spatial axis; ``None``: 1.
        """,
    "explicit_step": """
        step : float, optional
            Largest time step, at most 1/(2 Σ 1/h²) (1/4 in 2-D and 1/6 in 3-D with spacing 1);
            ``None``: 0.8 of that.
        """,
    "unit_range": """
        black, white : float, optional
            Intensities that the network sees as 0 and 1. ``None``: about the range of the image
            without its noise, whatever its unit. What is far beyond them stays as it is.
        tile : int, optional
            Largest side of a tile in pixels, at least 64; larger images are cut into tiles that
            overlap and are blended. ``None``: the image is not cut.
        """,
    "call": """
        sigma : float, array_like or NoiseModel, optional
            Standard deviation of the noise in units of intensity, for what is chosen: a number, a
            map of the image's shape or its spatial shape, or what `estimate_noise` returns;
            ``None``: estimated from the image, white or not. Not used where every parameter is
            given.
        channel_axis : int, optional
            The axis of the channels; ``None``: no channels.
        mask : array_like of bool, optional
            Of the image's spatial shape. Nothing changes where it is false, not even NaN, and
            nothing flows through: there the image has a border. σ and the parameters are chosen by
            the pixels where it is true. Masked values of a masked array count as false.
        callback : callable, optional
            Called as ``callback(time, image)`` after every time step, with a copy of the image so
            far; the evolution stops when it returns a true value.
        full_output : bool, default False
            Whether to return what was chosen as well.
        """,
    "noisy": """
        noisy : array_like
            ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
        sigma : float, array_like or NoiseModel, optional
            Standard deviation of the noise in units of intensity: a number, a map of the image's
            shape or its spatial shape, or what `estimate_noise` returns; ``None``: estimated.
        channel_axis : int, optional
            The axis of the channels; ``None``: no channels.
        """,
    "denoised": """
        ndarray
            Same shape; float32, or float64 for float64 input. Never the input itself.
        """,
    "returns": """
        ndarray
            Same shape; float32, or float64 for float64 input.
        dict
            Only with ``full_output``: sigma (None if it was not needed), every parameter, the time
            reached, and the number of time steps.
        """,
    "errors": """
        TypeError, ValueError
            If an argument is not as described above.
        """,
    "holes": """
        image : array_like
            ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
        mask : array_like of bool, optional
            Of the image's spatial shape: True where it is to be filled in; ``None``: where it is NaN.
        """,
    "filling": """
        ignore : array_like of bool, optional
            Of the image's spatial shape: True for pixels that are neither used nor filled in.
        channel_axis : int, optional
            The axis of the channels; ``None``: no channels.
        spacing : float or sequence of float, optional
            Size of a pixel along each spatial axis; ``None``: 1.
        callback : callable, optional
            Called now and then with the number of steps that are done, and of all.
        """,
    "run_folders": """
        folder : str or Path
            Folder of training images.
        output : str or Path
            Folder for ``checkpoint.safetensors``, to resume from, ``weights.safetensors``, to
            denoise with, and ``log.jsonl``; made if missing.
        """,
    "run_options": """
        resume : bool, default False
            Go on from the checkpoint in `output`, exactly as if the run had never stopped.
        steps : int, optional
            New length of the run. A resumed run then follows the cosine to the new end from the
            step it is at. ``None``: the config's.
        device : str, default "auto"
            A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.
        checkpoint_seconds : float, default 60
            Wall time between two checkpoints.
        """,
    "run_errors": """
        FileExistsError
            If `output` has a checkpoint and `resume` is False.
        FileNotFoundError
            If there are no images, no such weights as `init`, or no checkpoint to resume from.
        TypeError
            If `config` is that of another method.
        ValueError
            If `config` or `init` contradicts the run that is resumed, or more than `steps` are
            done; or if an image cannot be read, none is as large as a crop, or the batch does not
            divide among the processes.
        FloatingPointError
            If the loss stops being a finite number.
        MemoryError
            If the run does not fit into memory.
        """,
    "choosing": """
        Parameters that are ``None`` are chosen from the image alone, deterministically: each
        candidate evolves together with a copy with a little extra noise, which gives an unbiased
        estimate of the mean squared error at every time (MC-SURE, Ramani, Blu & Unser 2008), and
        the least error wins. For large images it is estimated on evenly spread tiles. The extra
        noise is as strong and as correlated as that of the image.
        """,
}


def shared(documented: Documented) -> Documented:
    """Replace each line ``%(name)s`` of a docstring by the text of this name in `TEXTS`.

    Examples
    --------
    >>> @shared
    ... def smooth(image):
    ...     '''Smooth an image.
    ...
    ...     %(image)s
    ...     '''
    >>> print(smooth.__doc__.splitlines()[2].strip())
    image : array_like
    """
    if documented.__doc__:  # python -OO has none

        def text(match):
            return indent(dedent(TEXTS[match[2]]).strip("\n"), match[1]).rstrip()

        documented.__doc__ = re.sub(r"^( *)%\((\w+)\)s$", text, documented.__doc__, flags=re.M)
        if "%(" in documented.__doc__:
            raise ValueError(f"{documented.__name__}: %(name)s is not alone on its line")
    return documented
