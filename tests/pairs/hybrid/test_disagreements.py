"""Running one token again above a layer, against the whole text with the activation put in by a hook."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens import load
from reasonlens.generation import Sampling, encode_prompts, write
from reasonlens.generation.above import UpperBlocks
from reasonlens.models import LanguageModel
from reasonlens.organisms import organism_annotator, problems
from reasonlens.pairs.hybrid.disagreements import Rerun, disagreements
from reasonlens.traces import Trace, encode
from tests.conftest import CONFIGS

LAYER = 1


def naive(model: LanguageModel, ids: np.ndarray, acts: torch.Tensor) -> torch.Tensor:
    def hook(module: object, args: object, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        hidden = torch.cat([hidden[:, :-1], acts[None, None]], dim=1)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = model.blocks[LAYER].register_forward_hook(hook)
    logits = model.model(torch.from_numpy(ids)[None], use_cache=False).logits[0, -1]
    handle.remove()
    return logits


@pytest.mark.parametrize("kept", [4.0, 0.0], ids=["over kept prefixes", "from the beginning"])
@pytest.mark.parametrize("architecture", CONFIGS)
def test_logits_and_gradients_are_those_of_the_whole_text_with_the_activation_put_in(
    tiny: Callable[..., LanguageModel], traces: list[Trace], architecture: str, kept: float
) -> None:
    model = tiny(architecture)
    found = disagreements(model, traces, LAYER)
    rows = np.arange(0, len(found), max(1, len(found) // 6))
    rerun = Rerun(model, LAYER, found, cache_gigabytes=kept)
    acts = (
        found.activations[rows] + torch.randn(len(rows), 32, generator=torch.Generator().manual_seed(0))
    ).requires_grad_()
    logits = rerun.logits(rows, acts)
    weight = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((logits * weight).sum(), acts)
    for place, row in enumerate(rows.tolist()):
        own = acts[place].detach().requires_grad_()
        expected = naive(model, found.token_ids[found.text[row]][: found.position[row] + 1], own)
        torch.testing.assert_close(logits[place], expected, rtol=1e-4, atol=1e-4)
        (slope,) = torch.autograd.grad((expected * weight[place]).sum(), own)
        torch.testing.assert_close(gradient[place], slope, rtol=1e-3, atol=1e-3)
    assert not any("forward" in vars(block) for block in model.blocks)


def test_disagreements_are_the_tokens_of_labelled_sentences_that_the_model_would_not_say(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    model = tiny("llama")
    found = disagreements(model, traces, LAYER)
    expected = []
    n_tokens = 0
    for number, text in enumerate(encode(model, traces)):
        with torch.no_grad():
            said = model.model(torch.from_numpy(text.token_ids)[None]).logits[0].argmax(dim=-1)
        for place in range(1, len(text)):
            inside = [
                span.label
                for span, tokens in zip(text.trace.spans, text.spans, strict=True)
                if tokens and tokens[0] <= place < tokens[1]
            ]
            n_tokens += bool(inside)
            if inside and int(said[place - 1]) != int(text.token_ids[place]):
                expected.append((number, place - 1, int(text.token_ids[place]), inside[0], text.trace.problem))
    columns = (found.text.tolist(), found.position.tolist(), found.token.tolist(), found.label, found.problem)
    assert list(zip(*columns, strict=True)) == expected and found.n_tokens == n_tokens


def test_a_model_agrees_with_what_it_says_itself() -> None:
    model = load("organism/base-timing", device="cpu")
    prompts = [problem.prompt for problem in islice(problems("train", 0), 20)]
    said = write(model, encode_prompts(model, prompts), Sampling(temperature=0, max_new_tokens=287))
    own = [
        Trace(str(number), asked, written.text, tuple(organism_annotator(asked, written.text)))
        for number, (asked, written) in enumerate(zip(prompts, said, strict=True))
    ]
    found = disagreements(model, own, LAYER)
    assert len(found) == 0 and found.n_tokens > 200 and found.activations.shape == (0, 128)


def test_a_block_gets_back_the_forward_that_it_had() -> None:
    """accelerate gives blocks a forward of their own, where a model lies on several devices."""
    model = load("organism/base-timing", device="cpu")
    above = UpperBlocks(model, 1)
    block = model.blocks[0]
    with above.handing_through(torch.zeros(1, 1, model.d_model)):
        assert "forward" in block.__dict__
    assert "forward" not in block.__dict__
    try:
        block.forward = own = block.forward
        with above.handing_through(torch.zeros(1, 1, model.d_model)):
            assert block.__dict__["forward"] is not own
        assert block.__dict__["forward"] is own
    finally:
        block.__dict__.pop("forward", None)
