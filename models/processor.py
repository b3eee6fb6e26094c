"""Tell what the processor can do, and choose by it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

# What the processor has to have, by any of its names in torch.
BFLOAT16_UNITS = {"AMX": ("amx_bf16",), "AVX512-bf16": ("avx512_bf16",), "Arm bf16": ("bf16", "arm_bf16", "sve_bf16")}


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


def mkl_is_narrow(capabilities: Mapping[str, object]) -> bool:
    """Check whether this is a processor with 512-bit units that MKL does not use: one of AMD with AVX-512.

    Args:
        capabilities: Name -> what the processor has, as `torch.cpu.get_capabilities` gives them.

    Returns:
        Whether it is; no where its maker is not known.
    """
    return "AMD" in str(capabilities.get("cpu_name")) and bool(capabilities.get("avx512_f"))
