"""List what is installed, which devices there are, and what is missing and how to get it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from re import match

import torch

from .built_in import BUILT_IN
from .gguf import cache_directory

# What the processor has to have, by any of its names in torch.
BFLOAT16_UNITS = {"AMX": ("amx_bf16",), "AVX512-bf16": ("avx512_bf16",), "Arm bf16": ("bf16", "arm_bf16", "sve_bf16")}


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


def cpu_capabilities() -> Mapping[str, object]:
    """Ask torch what the processor can do; nothing where this version of torch does not say."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    return {} if ask is None else ask()


def bfloat16_units(capabilities: Mapping[str, object]) -> str:
    """Say which units of a processor multiply bfloat16, and whether that is worth its rounding.

    Args:
        capabilities: Name -> whether the processor has it, as `torch.cpu.get_capabilities` gives them.

    Returns:
        A few words.
    """
    if not capabilities:
        return "not known: this version of torch does not say"
    units = [name for name, keys in BFLOAT16_UNITS.items() if any(capabilities.get(key) for key in keys)]
    if units:
        return f"{' and '.join(units)}: models may be read in it (dtype bfloat16); float32 is the default"
    return "no units for it: read models in float32, the default"
