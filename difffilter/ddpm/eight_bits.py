"""Convolutions in whole numbers of eight bits, for an ONNX file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.ddpm.weights import Weights
from difffilter.image import as_float

__all__ = ["in_eight_bits"]

SIDE = 128
SIGMAS = (5 / 255, 15 / 255, 25 / 255, 50 / 255)


def noisy_tiles(trained: Weights) -> Iterator[dict[str, NDArray]]:
    """Sixteen noisy tiles of a photograph, as inputs of the file."""
    from skimage import data

    grey = trained.net.config.channels == 1
    photo = as_float(data.camera()[..., None] if grey else data.astronaut(), 2, name="photo")
    side = SIDE // trained.net.config.multiple * trained.net.config.multiple
    rng = np.random.default_rng(0)
    for index in range(16):
        top, left = ((place * (512 - side)) // 3 for place in divmod(index, 4))
        clean = np.moveaxis(photo[top : top + side, left : left + side], 2, 0)[None]
        sigma = SIGMAS[(index + index // 4) % 4]
        noise = rng.standard_normal(clean.shape)
        inputs = {"noisy": (clean + sigma * noise).astype(np.float32)}
        if trained.blind is None:
            inputs["sigma"] = np.full(1, sigma, np.float32)
        yield inputs


def in_eight_bits(model: Any, trained: Weights) -> Any:
    """A model for ONNX Runtime whose convolutions, but the first and the last, multiply whole numbers.

    Each channel of a kernel has its scale, and the input of a layer the range that it has on noisy tiles
    of a photograph.

    Parameters
    ----------
    model : onnx.ModelProto
        With the inputs that `export_onnx` describes.
    trained : Weights
        Those of the model.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ModuleNotFoundError
        If ONNX Runtime is not installed.

    References
    ----------
    Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
    inference", CVPR 2018.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Tiles(CalibrationDataReader):
        def __init__(self) -> None:
            self.tiles = noisy_tiles(trained)

        def get_next(self) -> dict[str, NDArray] | None:
            return next(self.tiles, None)

    with tempfile.TemporaryDirectory() as folder:
        given, prepared, result = (str(Path(folder) / f"{number}.onnx") for number in range(3))
        onnx.save(model, given)
        quant_pre_process(given, prepared, skip_symbolic_shape=True)
        layers = [node.name for node in onnx.load(prepared).graph.node if node.op_type == "Conv"]
        # The first sees the image and the last makes the noise: their rounding would be seen.
        quantize_static(
            prepared, result, Tiles(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"], nodes_to_exclude=[layers[0], layers[-1]],
        )  # fmt: skip
        found = onnx.load(result)
    # ONNX Runtime names every set of operators that it knows.
    standard = [each for each in found.opset_import if not each.domain]
    del found.opset_import[:]
    found.opset_import.extend(standard)
    return found
