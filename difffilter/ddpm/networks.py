"""The networks that predict noise, by their configurations."""

from __future__ import annotations

from typing import Any

from difffilter.ddpm.bias_free import BiasFreeConfig, BiasFreeUNet
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig

__all__ = ["Network", "NetworkConfig", "network", "network_config"]

Network = UNet | BiasFreeUNet
NetworkConfig = UNetConfig | BiasFreeConfig


def network(config: NetworkConfig, schedule: NoiseSchedule) -> Network:
    """A network of a shape, with random weights."""
    if isinstance(config, BiasFreeConfig):
        return BiasFreeUNet(config, schedule)
    return UNet(config)


def network_config(values: dict[str, Any]) -> NetworkConfig:
    """The inverse of `dataclasses.asdict`: the configuration with these fields.

    Raises
    ------
    TypeError, ValueError
        If the fields are those of no network, or a value is out of range.

    Examples
    --------
    >>> network_config({"channels": 3, "widths": [32, 64], "blocks": [2, 2]}).multiple
    2
    """
    # Of one of these networks the number of blocks is the same at each level.
    kind = UNetConfig if isinstance(values.get("blocks"), int) else BiasFreeConfig
    return kind(**values)
