"""Two tokenizers: as with one where they are the same, as every token from the whole text anew where they differ."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from reasonlens import load
from reasonlens.generation import Sampling, StepState, encode_prompts, end_tokens, write
from reasonlens.generation.across import TokenMap
from reasonlens.generation.alignment import agree, split_characters
from reasonlens.models import LanguageModel, wrap
from reasonlens.organisms import problems
from reasonlens.pairs.hybrid import (
    Mechanism,
    Plan,
    always,
    decode,
    disagreement,
    divergence_over,
    never,
)
from reasonlens.pairs.hybrid._decode import Act
from tests.generation.test_alignment import spelling

GREEDY = Sampling(temperature=0, max_new_tokens=24)
PROMPTS = [[7, 8, 9, 10], [20, 21], [30, 31, 32]]
OTHERS = [[5, 6], [7, 8, 9], [11]]
LAYER = 1


def mechanism(d_model: int) -> Mechanism:
    drawn = torch.randn(2, d_model, generator=torch.Generator().manual_seed(0))
    units = torch.nn.functional.normalize(drawn, dim=-1)
    return Mechanism(behaviours=("a", "b"), units=units, layer=LAYER, residual_norm=4.0)


def by_parity(state: StepState) -> Tensor:
    return state.last_ids % 2


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("arm", ["steer", "takeover", "divergence"])
def test_with_one_tokenizer_it_is_decoding_as_ever(
    temperature: float, arm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, thinking = load("organism/base-timing", device="cpu"), load("organism/rl-timing", device="cpu")
    prompts = encode_prompts(base, [problem.prompt for problem in islice(problems("test", 0), 6)])
    plan = Plan(
        gate=divergence_over(0.2) if arm == "divergence" else disagreement,
        act="takeover" if arm == "takeover" else "steer",
        mechanism=mechanism(base.d_model),
        chooser=by_parity,
    )
    sampling = Sampling(n_samples=1, temperature=temperature, max_new_tokens=60)
    expected = decode(base, thinking, prompts, prompts, plan, sampling, seed=3)
    monkeypatch.setattr(TokenMap, "between", TokenMap.of)  # as if the tokenizers were two
    found = decode(base, thinking, prompts, prompts, plan, sampling, seed=3, n_rows=4)
    assert found == expected
    assert any(record.n_gated for record in found)


def two(tiny: Callable[..., LanguageModel], architecture: str) -> tuple[LanguageModel, LanguageModel]:
    """Random models with tokenizers of their own."""
    one, other = tiny(architecture), tiny(architecture)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.add_(0.4 * weight.std().nan_to_num() * torch.randn(weight.shape, generator=generator))
    return replace(one, tokenizer=spelling(330, 0).tokenizer), replace(other, tokenizer=spelling(400, 3).tokenizer)


def naive(
    base: LanguageModel, thinking: LanguageModel, ids: list[int], prompt: list[int], act: str
) -> tuple[list[int], list[bool]]:
    writer, reader = spelling(330, 0), spelling(400, 3)
    written: list[int] = []
    gates = []

    def logits(model: LanguageModel, tokens: list[int], vector: Tensor | None = None) -> Tensor:
        def hook(module: object, args: object, output: Tensor) -> Tensor:
            return output if vector is None else torch.cat([output[:, :-1], output[:, -1:] + vector], dim=1)

        handle = model.blocks[LAYER].register_forward_hook(hook)
        with torch.no_grad():
            found: Tensor = model.model(torch.tensor([tokens]), use_cache=False).logits[0, -1]
        handle.remove()
        return found

    for _ in range(GREEDY.max_new_tokens):
        text, waiting = split_characters(b"".join(writer.bytes_of([token]) for token in written))
        own = int(logits(base, ids + written).argmax())
        led = int(logits(thinking, prompt + reader.tokenizer(text)["input_ids"]).argmax())
        is_end = (own in end_tokens(base), led in end_tokens(thinking))
        said, would = waiting + writer.bytes_of([own]), reader.bytes_of([led])
        opens = is_end[0] != is_end[1] if any(is_end) else not agree(said, would)
        gates.append(opens)
        token = own
        if opens and act == "steer":
            vector = mechanism(32).units[(ids + written)[-1] % 2] * 4.0
            token = int(logits(base, ids + written, vector).argmax())
        elif opens:
            if waiting and not would.startswith(waiting):
                return written, gates[:-1]  # what is taken there is any token: not compared
            token = end_tokens(base)[0] if is_end[1] else writer.tokens_for(would[len(waiting) :])[0]
        written.append(token)
        if token in end_tokens(base):
            break
    return written, gates


@pytest.mark.parametrize("act", ["steer", "takeover"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral"])
def test_with_two_tokenizers_it_is_the_naive_algorithm(
    tiny: Callable[..., LanguageModel], architecture: str, act: Act
) -> None:
    base, thinking = two(tiny, architecture)
    plan = Plan(gate=disagreement, act=act, mechanism=mechanism(32), chooser=by_parity)
    found = decode(base, thinking, PROMPTS, OTHERS, plan, GREEDY)
    n_compared = 0
    for record, ids, prompt_ids in zip(found, PROMPTS, OTHERS, strict=True):
        tokens, gates = naive(base, thinking, ids, prompt_ids, act)
        assert list(record.tokens[: len(tokens)]) == tokens and list(record.gated[: len(gates)]) == gates
        n_compared += len(tokens)
    assert n_compared >= 30 and any(record.n_gated for record in found)
    assert found == decode(base, thinking, PROMPTS, OTHERS, plan, GREEDY, n_rows=1)


def test_the_thinking_model_reads_what_is_new_and_not_the_text_again(tiny: Callable[..., LanguageModel]) -> None:
    base, thinking = two(tiny, "llama")
    n_read = []
    hook = thinking.blocks[0].register_forward_pre_hook(lambda module, args: n_read.append(args[0].shape[1]))
    found = decode(base, thinking, PROMPTS, OTHERS, Plan(gate=never, act="takeover"), GREEDY)
    hook.remove()
    n_tokens = sum(record.n_tokens for record in found)
    assert n_tokens > 40 and sum(n_read) < 3 * n_tokens


def test_without_a_gate_the_base_writes_what_it_writes_alone(tiny: Callable[..., LanguageModel]) -> None:
    base, thinking = two(tiny, "llama")
    found = decode(base, thinking, PROMPTS, OTHERS, Plan(gate=never, act="takeover"), GREEDY)
    assert [each.text for each in found] == [each.text for each in write(base, PROMPTS, GREEDY)]


def test_taken_over_everywhere_the_text_is_the_thinking_models() -> None:
    """An organism that spells its words in another vocabulary: the same words under other numbers."""
    base, thinking = load("organism/base-timing", device="cpu"), renumbered(load("organism/rl-timing", device="cpu"))
    asked = [problem.prompt for problem in islice(problems("test", 0), 6)]
    sampling = Sampling(temperature=0, max_new_tokens=100)
    ours, theirs = encode_prompts(base, asked), encode_prompts(thinking, asked)
    assert ours != theirs
    own = write(thinking, theirs, sampling)
    taken = decode(base, thinking, ours, theirs, Plan(gate=always, act="takeover"), sampling)
    assert [each.text for each in taken] == [each.text for each in own]
    where_they_differ = decode(base, thinking, ours, theirs, Plan(gate=disagreement, act="takeover"), sampling)
    assert [each.text for each in where_they_differ] == [each.text for each in own]
    share = sum(each.n_gated for each in where_they_differ) / sum(each.n_tokens for each in where_they_differ)
    assert 0 < share < 0.15


def renumbered(model: LanguageModel) -> LanguageModel:
    """The same model with its vocabulary in another order, special tokens apart."""
    described = json.loads(model.tokenizer.backend_tokenizer.to_str())
    n = len(described["model"]["vocab"])
    special = len(described["added_tokens"])
    order = [
        *range(special),
        *(special + torch.randperm(n - special, generator=torch.Generator().manual_seed(0))).tolist(),
    ]
    described["model"]["vocab"] = {word: order[number] for word, number in described["model"]["vocab"].items()}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(described)),
        eos_token=model.tokenizer.eos_token,
        bos_token=model.tokenizer.bos_token,
        unk_token=model.tokenizer.unk_token,
    )
    tokenizer.chat_template = model.tokenizer.chat_template
    moved = copy.deepcopy(model.model)
    embedding = moved.get_input_embeddings().weight
    with torch.no_grad():
        embedding[torch.tensor(order)] = embedding[:n].clone()
        if moved.get_output_embeddings().weight is not embedding:
            head = moved.get_output_embeddings().weight
            head[torch.tensor(order)] = head[:n].clone()
    return wrap(moved, tokenizer, name="renumbered")
