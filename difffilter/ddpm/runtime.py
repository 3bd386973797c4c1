"""Networks of ONNX files, computed by ONNX Runtime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from difffilter.ddpm.schedule import NoiseSchedule

__all__ = ["ExportedNetwork", "load_exported"]


@dataclass(frozen=True)
class ExportedConfig:
    """What tiles for an `ExportedNetwork` look like.

    Attributes
    ----------
    channels : int
        Channels of the image.
    multiple : int
        Number that must divide the height and the width of an input.
    tile : int
        Largest side of the tiles that an image is cut into unless asked otherwise.
    """

    channels: int
    multiple: int
    tile: int


class ExportedNetwork(nn.Module):
    """ε_θ(x_t, t) of a file that `export_onnx` wrote, whose own output is E[x_0 | y].

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    config : ExportedConfig
    schedule : NoiseSchedule
    """

    def __init__(self, session: Any, config: ExportedConfig, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.session, self.config, self.schedule = session, config, schedule
        self.takes_sigma = len(session.get_inputs()) > 1
        # A network is asked for the device of its parameters.
        self.nothing = nn.Parameter(torch.zeros(0), requires_grad=False)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Noise in `x` (B, C, H, W), at steps `t` (B,), as `UNet` predicts it.

        Raises
        ------
        ValueError
            If a gradient is asked for.
        """
        if x.requires_grad and torch.is_grad_enabled():
            raise ValueError("weights are an ONNX file; expected others for a gradient")
        sigma = torch.from_numpy(np.atleast_1d(self.schedule.sigma_tilde(t.cpu().numpy()))).float()
        scale = sigma[:, None, None, None]
        y = x.cpu() * (1 + scale.square()).sqrt()
        inputs = {"noisy": ((y + 1) / 2).numpy()}
        if self.takes_sigma:
            inputs["sigma"] = (sigma / 2).numpy()
        [denoised] = self.session.run(None, inputs)
        return ((y - (2 * torch.from_numpy(denoised) - 1)) / scale).to(x.device)


def load_exported(path: Path) -> tuple[ExportedNetwork, dict[str, Any]]:
    """Open a file that `export_onnx` wrote.

    Returns
    -------
    net : ExportedNetwork
    about : dict
        The other attributes of its `Weights`.

    Raises
    ------
    ValueError
        If the file is damaged, another program wrote it, or ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ValueError(f"{path} needs ONNX Runtime: pip install 'difffilter[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # tiles are computed in threads of their own
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's have no class in common
        raise ValueError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    about = session.get_modelmeta().custom_metadata_map
    try:
        config = ExportedConfig(
            **{key: int(about[key]) for key in ("channels", "multiple", "tile")}
        )
        schedule = NoiseSchedule(**json.loads(about["schedule"]))
        low, high = map(float, about["sigma_range"].split())
        known = {
            "schedule": schedule,
            "sigma_range": (low, high),
            "sha256": about["sha256"],
            "blind": float(about["blind"]) if "blind" in about else None,
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} does not say what its network is for ({error}); expected a file that "
            "'difffilter weights export' of this version wrote"
        ) from None
    return ExportedNetwork(session, config, schedule).eval(), known
