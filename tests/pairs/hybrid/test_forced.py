"""Texts read by a hybrid: the base's losses where its gate stays shut, and the steered base's where it opens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from reasonlens import InputError, Trace, collect, mean_difference_directions
from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid import Mechanism, Plan, always, never
from reasonlens.pairs.hybrid.forced import forced_nats
from reasonlens.pairs.hybrid.strength import constant

RESPONSES = [[40, 50, 60, 70], [41, 51], [42, 52, 62]]
PROMPTS = [[5, 6, 7], [8, 9], [5, 6, 7, 10]]
LAYER = 1


def by_hand(
    model: LanguageModel, prompt: list[int], response: list[int], push: torch.Tensor | None = None
) -> list[float]:
    """Each token from a pass of its own over what stands before it, the last token pushed."""
    nats = []
    for place, token in enumerate(response):
        ids = torch.tensor([[*prompt, *response[:place]]])

        def add(module: object, inputs: object, output: torch.Tensor) -> torch.Tensor:
            changed = output.clone()
            changed[:, -1] += push
            return changed

        handle = None if push is None else model.blocks[LAYER].register_forward_hook(add)
        with torch.inference_mode():
            logits = model.model(ids).logits[0, -1]
        if handle is not None:
            handle.remove()
        nats.append(-float(logits.log_softmax(-1)[token]))
    return nats


def mechanism_of(model: LanguageModel, traces: list[Trace]) -> Mechanism:
    return Mechanism.of(mean_difference_directions(collect(model, traces, layers=[LAYER], progress=False)), LAYER)


@pytest.mark.parametrize("is_steered", [False, True])
def test_nats_are_those_of_a_pass_for_each_token(
    is_steered: bool, tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    base, thinking = tiny("llama"), tiny("qwen")
    mechanism = mechanism_of(base, traces)
    plan = Plan(gate=always if is_steered else never, mechanism=mechanism, strength=constant(2.0))
    nats = forced_nats(base, thinking, PROMPTS, PROMPTS, RESPONSES, plan)
    zeros = torch.zeros(1, base.d_model)
    push = mechanism.applied(zeros, torch.tensor([0]), torch.tensor([2.0]))[0] if is_steered else None
    for prompt, response, of_text in zip(PROMPTS, RESPONSES, nats, strict=True):
        assert of_text == pytest.approx(by_hand(base, prompt, response, push), abs=1e-4)
    alone = [
        forced_nats(base, thinking, [prompt], [prompt], [response], plan)[0]
        for prompt, response in zip(PROMPTS, RESPONSES, strict=True)
    ]
    for one, other in zip(nats, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_takeover_reads_no_text(tiny: Callable[..., LanguageModel]) -> None:
    with pytest.raises(InputError, match="only a hybrid that steers"):
        forced_nats(tiny(), tiny(), PROMPTS, PROMPTS, RESPONSES, Plan(gate=always, act="takeover"))
