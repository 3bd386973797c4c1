"""The machine and the versions that a benchmark ran on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import difffilter
from difffilter.parallel import cores

__all__ = ["commit", "machine", "versions"]


def machine():
    """Processor, cores, GPU and system.

    Returns
    -------
    dict of str to str or int

    Examples
    --------
    >>> list(machine())
    ['processor', 'cores', 'device', 'system']
    """
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        processor = next(
            (line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines()
             if line.startswith("model name")),
            processor,
        )  # fmt: skip
    return {
        "processor": processor,
        "cores": cores(),
        "device": _device(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _device():
    """The GPU, if PyTorch is imported and has one."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch and torch.cuda.is_available() else "CPU"


def versions(*others):
    """The versions of difffilter and of its dependencies, as far as they are installed.

    Examples
    --------
    >>> "numpy" in versions()
    True
    """
    names = [re.match(r"[\w.-]+", line)[0] for line in requires("difffilter") or []]
    found = {"difffilter": difffilter.__version__}
    for name in dict.fromkeys([*names, *others]):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit():
    """The commit of the checkout that difffilter is imported from; "" if there is none."""
    root = Path(difffilter.__file__).parent.parent
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", os.fspath(root), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
