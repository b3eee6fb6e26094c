from __future__ import annotations

import pytest

from reasonlens import doctor
from reasonlens.models.processor import bfloat16_units, cpu_capabilities


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, "AMX and AVX512-bf16"),
        ({"amx_bf16": False, "avx512_bf16": True}, "AVX512-bf16"),
        ({"amx_tile": True, "avx512_f": True, "amx_bf16": False}, "no units for it"),
        ({}, "not known"),
    ],
)
def test_the_units_for_bfloat16_are_named_and_none_is_made_up(capabilities: dict[str, bool], expected: str) -> None:
    assert bfloat16_units(capabilities).startswith(expected)


def test_the_doctor_says_what_this_processor_has() -> None:
    assert doctor()["devices"]["cpu, bfloat16"] == bfloat16_units(cpu_capabilities())
