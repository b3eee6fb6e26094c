from __future__ import annotations

import pytest
import torch

from reasonlens import InputError, load
from reasonlens.models.precision import check_precision, precision_of


def test_a_number_format_that_does_not_exist_is_refused_with_the_nearest() -> None:
    assert precision_of("bfloat16") is torch.bfloat16
    with pytest.raises(InputError, match="no number format 'bfloat32'; there are float32, .* Did you mean"):
        load("organism/base-timing", dtype="bfloat32")


def test_a_model_that_is_loaded_already_keeps_its_number_format(tiny) -> None:
    check_precision(tiny(), None)
    check_precision(tiny(), "float32")
    with pytest.raises(InputError, match="tiny-llama has its weights in float32, and dtype asks for bfloat16.*load it"):
        check_precision(tiny(), "bfloat16")
