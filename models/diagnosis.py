"""List what is installed, which devices there are, and what is missing and how to get it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, requires, version
from re import match

import torch

from .built_in import BUILT_IN
from .gguf import cache_directory
from .processor import bfloat16_units, cpu_capabilities


def doctor() -> dict[str, dict[str, str]]:
    """List what is installed, which devices and built-in models there are, and what is missing.

    Returns:
        Title -> entry -> its value; of what is missing, the remedy.
    """
    return {
        "versions": {"python": platform.python_version(), "reasonlens": version("reasonlens")} | _dependencies(),
        "devices": _devices(),
        "built-in models": {
            name: "ready" if model.is_installed else f"missing; get it with: {model.remedy}"
            for name, model in BUILT_IN.items()
        },
        "directories": {"converted models": str(cache_directory())},
    }


def _dependencies() -> dict[str, str]:
    core = [requirement for requirement in requires("reasonlens") or [] if "extra ==" not in requirement]
    versions = {}
    for requirement in core:
        name = match(r"[\w.-]+", requirement)
        if name is None:
            continue
        try:
            versions[name.group()] = version(name.group())
        except PackageNotFoundError:
            versions[name.group()] = f"missing; get it with: pip install '{requirement}'"
    return versions


def _devices() -> dict[str, str]:
    devices = {
        "cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads in torch",
        "cpu, bfloat16": bfloat16_units(cpu_capabilities()),
    }
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        devices[f"cuda:{index}"] = f"{device.name}, {device.total_memory / 2**30:.0f} GiB"
    if not torch.cuda.is_available():
        devices["cuda"] = "none that torch can use; everything runs on the CPU"
    return devices
