"""Forced phrases against logits that are masked by hand, every token from the whole text anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from reasonlens.generation import Gate, Sampling, choose_tokens, end_tokens, row_uniforms, write
from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid import Plan, always, decode, disagreement, never
from reasonlens.pairs.hybrid.gate import both, sentence_start
from reasonlens.pairs.hybrid.record import RowRecord
from reasonlens.pairs.hybrid.through import Through
from reasonlens.pairs.hybrid.wordings import Wordings, first_tokens
from reasonlens.rundir import InputError
from tests.pairs.hybrid.test_decode import PROMPTS, by_token_parity, other

Tiny = Callable[..., LanguageModel]
WORDINGS: Wordings = (((5, 11, 17), (5, 12), (9, 3)), ((4, 200, 201, 202), (6,)))
ENDS = torch.arange(400) % 3 == 0


def forcing(words: Wordings, gate: Gate = disagreement) -> Plan:
    return Plan(gate=gate, act="force", wordings=words, chooser=by_token_parity)


def sampling(temperature: float) -> Sampling:
    return Sampling(n_samples=1, temperature=temperature, max_new_tokens=24)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("n_tokens", [1, 2, 9])
def test_forced_phrases_are_the_bases_choices_among_what_goes_on_with_a_wording(
    tiny: Tiny, temperature: float, n_tokens: int
) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    words = first_tokens(WORDINGS, n_tokens)
    gate = both(disagreement, sentence_start(ENDS))
    records = decode(base, thinking, PROMPTS, None, forcing(words, gate), sampling(temperature), seed=4)
    uniforms = row_uniforms(4, range(len(PROMPTS)), 24)
    n_forced = 0
    for number, (prompt, record) in enumerate(zip(PROMPTS, records, strict=True)):
        ids, begun = list(prompt), None
        for step, token in enumerate(record.tokens):
            with torch.no_grad():
                logits, led = (model.model(torch.tensor([ids])).logits[0, -1] for model in (base, thinking))
            starts = step == 0 or bool(ENDS[ids[-1]])
            if begun is None and starts and bool(logits.argmax() != led.argmax()):
                begun = ids[-1] % 2, ()
            assert record.gated[step] == (begun is not None)
            if begun is None:
                assert (record.behaviour[step], record.strength[step], record.kl_nats[step]) == (-1, 0.0, 0.0)
            else:
                behaviour, written = begun
                n = len(written)
                allowed = [one[n] for one in words[behaviour] if one[:n] == written]
                masked = torch.full_like(logits, -torch.inf)
                masked[allowed] = logits[allowed]
                nats = -float(logits.double().softmax(-1)[sorted(set(allowed))].sum().log())
                assert record.kl_nats[step] == pytest.approx(nats, abs=1e-3)
                logits = masked
                assert (record.behaviour[step], record.strength[step]) == (behaviour, 1.0)
                n_forced += 1
                begun = behaviour, (*written, token)
                if begun[1] in words[behaviour]:
                    begun = None
            uniform = None if temperature == 0 else uniforms[number, step][None]
            assert int(choose_tokens(logits[None], sampling(temperature), uniform)) == token
            ids.append(token)
    assert n_forced > 4


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_everything_that_is_written_where_the_gate_is_always_open_is_wordings(tiny: Tiny, temperature: float) -> None:
    base = tiny("llama")
    for record in decode(base, None, PROMPTS, None, forcing(WORDINGS, always), sampling(temperature), seed=1):
        assert all(record.gated) and record.n_effective == record.n_tokens
        left = list(record.tokens)
        while left:
            whole = [one for some in WORDINGS for one in some if left[: len(one)] == list(one)]
            if not whole:  # cut off amid one
                assert any(list(one[: len(left)]) == left for some in WORDINGS for one in some)
                break
            left = left[len(whole[0]) :]


def test_a_phrase_is_the_same_in_any_batch(tiny: Tiny) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    together = decode(base, thinking, PROMPTS, None, forcing(WORDINGS), sampling(1.0), seed=2)
    assert together == decode(base, thinking, PROMPTS, None, forcing(WORDINGS), sampling(1.0), seed=2, n_rows=1)
    assert any(record.n_changed for record in together)


def test_without_a_gate_the_base_writes_what_it_writes_alone(tiny: Tiny) -> None:
    base = tiny("llama")
    records: list[RowRecord] = decode(base, None, PROMPTS, None, forcing(WORDINGS, never), sampling(1.0), seed=4)
    assert [one.text for one in records] == [one.text for one in write(base, PROMPTS, sampling(1.0), seed=4)]
    assert not any(record.n_gated for record in records)


def test_a_wording_of_tokens_that_cannot_be_emitted_opens_no_gate(tiny: Tiny) -> None:
    base = tiny("llama")
    beyond = (((10_000,),), ((10_001,),))
    for record in decode(base, None, PROMPTS, None, forcing(beyond, always), sampling(0.0)):
        assert record.tokens == record.base and not record.n_gated
    assert not set(end_tokens(base)) & {token for some in WORDINGS for one in some for token in one}


def test_forcing_without_wordings_is_refused(tiny: Tiny) -> None:
    with pytest.raises(InputError, match="needs the wordings of its behaviours"):
        decode(tiny("llama"), None, PROMPTS, None, Plan(gate=always, act="force"), sampling(0.0))


def test_forcing_through_the_sentence_is_refused(tiny: Tiny) -> None:
    of = replace(forcing(WORDINGS), through=Through(0.5, ENDS))
    with pytest.raises(InputError, match="goes on until one is whole, not through the sentence"):
        decode(tiny("llama"), None, PROMPTS, None, of, sampling(0.0))
