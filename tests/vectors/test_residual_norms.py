from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from reasonlens import Directions, collect, mean_difference_directions
from reasonlens.vectors import with_known_norms, with_norms_of
from reasonlens.vectors.neutral import NEUTRAL


@pytest.fixture
def directions(tiny, traces) -> Directions:
    return mean_difference_directions(collect(tiny(), traces, layers=[0, 2], progress=False))


def test_known_norms_are_left_alone(tiny, directions: Directions, caplog) -> None:
    with caplog.at_level("INFO", logger="reasonlens"):
        assert with_known_norms(directions, tiny(), [0, 2]) is directions
        half = replace(directions, residual_norm=(directions.residual_norm[0], math.nan))
        assert with_known_norms(half, tiny(), [0]) is half, "the unknown one is not needed"
    assert not [message for message in caplog.messages if "measuring" in message]


def test_an_unknown_norm_is_measured_on_neutral_text(tiny, directions: Directions, caplog) -> None:
    model = tiny()
    unknown = replace(directions, residual_norm=(math.nan, math.nan))
    with caplog.at_level("INFO", logger="reasonlens"):
        measured = with_known_norms(unknown, model, [2])
    assert "measuring it on neutral text" in caplog.text
    assert measured.residual_norm == with_norms_of(unknown, model, NEUTRAL).residual_norm
    seen: list[torch.Tensor] = []
    hook = model.blocks[2].register_forward_hook(
        lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.no_grad():
        for text in NEUTRAL:
            model.model(**model.tokenizer(text, return_tensors="pt"))
    hook.remove()
    norms = [float(output[0, 1:].norm(dim=-1).mean()) for output in seen]  # without the first token, an attention sink
    assert measured.residual_norm[1] == pytest.approx(sum(norms) / len(norms), rel=0.02)
