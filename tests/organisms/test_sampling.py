"""Responses by the decoder of fixed cache, against the model's own forward pass."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch
from transformers import LlamaForCausalLM

from reasonlens.organisms.corpus import encode_prompt, encode_response, make_batch, vocabulary
from reasonlens.organisms.decoder import Decoder
from reasonlens.organisms.language import MOVES, WORDINGS
from reasonlens.organisms.policy import POOR, Writer, write
from reasonlens.organisms.sampling import DecisionTurns, respond
from reasonlens.organisms.task import problems
from reasonlens.organisms.training.architecture import new_model

ASKED = list(islice(problems("train", 0), 3))


def sharp_model(seed: int) -> LlamaForCausalLM:
    """Make an untrained model far from uniform, in which rounding changes no choice."""
    model = new_model(seed).eval()
    generator = torch.Generator().manual_seed(seed)
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=0.1, generator=generator)
    return model


def test_logits_are_those_of_the_forward_pass_also_after_rows_are_dropped() -> None:
    model = sharp_model(0)
    prompts = torch.tensor([encode_prompt(problem) for problem in (ASKED[0], ASKED[0], ASKED[1], ASKED[2])])
    tokens = torch.randint(4, 84, (4, 6), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        decoder = Decoder(model, prompts, prompts.shape[1] + 6)
        for step in range(6):
            if step == 3:
                kept = torch.tensor([0, 3])
                decoder.select(kept)
                prompts, tokens = prompts[kept], tokens[kept]
            expected = model(torch.cat([prompts, tokens[:, :step]], dim=1)).logits[:, -1]
            assert torch.allclose(decoder.logits, expected, atol=1e-4)
            decoder.extend(tokens[:, step])


def test_what_a_row_writes_depends_on_no_other_row() -> None:
    model = sharp_model(0)
    asked = [ASKED[0], ASKED[0], *ASKED]
    responses = respond(model, asked, seed=1)
    assert responses == respond(model, asked, seed=1, n_rows=2)
    assert responses[0] != responses[1]
    assert responses != respond(model, asked, seed=2)


def test_a_model_that_decides_for_itself_writes_what_it_writes_alone() -> None:
    model = sharp_model(0)
    assert respond(model, ASKED, seed=1, decider=model) == respond(model, ASKED, seed=1)
    assert respond(model, ASKED, seed=1, decider=sharp_model(5)) != respond(model, ASKED, seed=1)


def test_decisions_are_the_openers_the_second_words_and_the_way_of_a_plan() -> None:
    generator = np.random.default_rng(0)
    for problem in ASKED:
        response = encode_response(write(problem, Writer(POOR), generator), is_ended=True)
        batch = make_batch([encode_prompt(problem)], [response])
        turns = DecisionTurns(1)
        is_decision = []
        for token in response:
            is_decision.append(bool(turns.is_decision))
            turns.advance(torch.tensor([token]))
        if response[-1] == vocabulary()["</s>"]:
            is_decision[-1] = False  # the end stands where a sentence would begin
        assert is_decision == batch.is_decision[0, -len(response) :].tolist()
    assert all(WORDINGS[move] for move in MOVES)
