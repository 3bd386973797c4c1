"""Weights as an ONNX file, for programs without Python or PyTorch."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import asdict
from os import PathLike, fspath
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from difffilter.ddpm import weights as weight_files
from difffilter.ddpm.eight_bits import in_eight_bits
from difffilter.ddpm.runtime import ExportedNetwork
from difffilter.ddpm.weights import Weights
from difffilter.io.files import replacing

__all__ = ["Estimate", "export_onnx"]

OPSET = 18


class Estimate(nn.Module):
    """E[x_0 | y], from an image in [0, 1] and σ in the same unit: what `DDPM` computes, in one graph.

    Parameters
    ----------
    trained : Weights

    Examples
    --------
    >>> from difffilter.ddpm import load
    >>> estimate = Estimate(load("natural-gray"))
    >>> estimate(torch.full((1, 1, 32, 32), 0.5), torch.tensor([0.1])).shape
    torch.Size([1, 1, 32, 32])
    """

    def __init__(self, trained: Weights) -> None:
        super().__init__()
        self.net = trained.net
        self.range, self.blind = trained.sigma_range, trained.blind
        table = trained.schedule.sigma_tilde(np.arange(1, trained.schedule.T + 1))
        self.log_sigma: Tensor
        self.register_buffer("log_sigma", torch.from_numpy(np.log(table)).float())

    def step_of(self, sigma: Tensor) -> Tensor:
        """The step t ≥ 1 of each σ̃ (B,): the table's, linear in log σ̃ between two of them."""
        log, table = sigma.log(), self.log_sigma
        after = (log[:, None] > table).sum(dim=1).clamp(1, len(table) - 1)
        below, above = table[after - 1], table[after]
        return after + ((log - below) / (above - below)).clamp(0, 1)

    def forward(self, noisy: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Denoised images (B, C, H, W); of noisy ones in [0, 1], each with its σ (B,).

        Weights for real noise take no σ.
        """
        if self.blind is not None:
            sigma = torch.full_like(noisy[:, 0, 0, 0], self.blind)
        else:
            assert sigma is not None
            sigma = sigma.clamp(*self.range)
        s = 2 * sigma  # of an image in [−1, 1]
        scale = s[:, None, None, None]
        y = 2 * noisy - 1
        eps = self.net(y / (1 + scale.square()).sqrt(), self.step_of(s))
        return (y - scale * eps + 1) / 2


def export_onnx(weights: str | PathLike, path: str | PathLike, *, eight_bits: bool = False) -> Path:
    """Write weights of the DDPM as an ONNX file, whole or not at all.

    Its inputs are ``noisy``, float32 ``(B, C, H, W)`` in [0, 1] with sides that are multiples of the
    file's property *multiple*, and ``sigma``, float32 ``(B,)``, the standard deviation of the noise,
    white and Gaussian; weights for real noise have the first alone. Its output is ``denoised``.

    Parameters
    ----------
    weights : str or Path
        A name in `available`, or a weight file.
    path : str or Path
        A file ``.onnx``.
    eight_bits : bool, default False
        Whether convolutions multiply whole numbers of eight bits, which is faster on processors made
        for it and a little less exact. ``False``: all is in single precision.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError, OSError
        If there are no such weights, or the file cannot be written.
    ModuleNotFoundError
        If ``difffilter[onnx]`` is not installed.
    ValueError
        If the suffix is another, or the weights are damaged.

    Examples
    --------
    >>> export_onnx("natural-gray", "gray.onnx")  # doctest: +SKIP
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise ValueError(f"path is {str(path)!r}; expected a file .onnx")
    try:
        import onnx
        import onnxscript  # noqa: F401  (which torch.onnx uses)

        if eight_bits:
            import onnxruntime  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"export needs {error.name}: pip install 'difffilter[onnx]'", name=error.name
        ) from None
    trained = weight_files.load(weights)
    if isinstance(trained.net, ExportedNetwork):
        raise ValueError(f"weights is {fspath(weights)!r}, an ONNX file already")
    estimate, config = Estimate(trained).eval(), trained.net.config
    side = 2 * config.multiple
    inputs: list[Tensor] = [torch.zeros(2, config.channels, side, side)]
    names = ["noisy"]
    rows, columns, batch = (torch.export.Dim(name) for name in ("rows", "columns", "batch"))
    sizes: list[dict] = [{0: batch, 2: config.multiple * rows, 3: config.multiple * columns}]
    if trained.blind is None:
        inputs, names, sizes = [*inputs, torch.ones(2)], [*names, "sigma"], [*sizes, {0: batch}]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's about its own names
        program = torch.onnx.export(
            estimate, tuple(inputs), input_names=names, output_names=["denoised"],
            dynamic_shapes=tuple(sizes), dynamo=True, opset_version=OPSET, verbose=False,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    if eight_bits:
        model = in_eight_bits(model, trained)
    about = {
        "producer": "difffilter", "weights": fspath(weights), "sha256": trained.sha256,
        "sigma_range": " ".join(map(str, trained.sigma_range)),
        "schedule": json.dumps(asdict(trained.schedule)),
        **{key: str(getattr(config, key)) for key in ("channels", "multiple", "tile")},
        **({} if trained.blind is None else {"blind": str(trained.blind)}),
    }  # fmt: skip
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model)
    with replacing(path) as partial:
        partial.write_bytes(model.SerializeToString())
    return path
