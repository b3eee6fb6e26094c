"""Whose tokens a steered base writes, against a count by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isnan

import numpy as np
import pytest
import torch

from reasonlens.models import LanguageModel
from reasonlens.pairs.hybrid import Plan, always, decode, disagreement
from reasonlens.pairs.hybrid.agreement import COUNTS, agreement_columns, token_counts
from reasonlens.pairs.hybrid.record import RowRecord
from reasonlens.stats import ratio_over_groups
from tests.pairs.hybrid.test_decode import GREEDY, PROMPTS, by_token_parity, mechanism, other

RECORD = RowRecord(
    text="",
    tokens=(1, 2, 3, 4, 5, 6),
    base=(1, 1, 3, 4, 5, 9),
    thinking=(1, 2, 2, 2, 5, 6),
    base_likeliest=(1, 1, 3, 9, 5, 9),
    thinking_likeliest=(1, 2, 2, 4, 8, 6),
    gated=(False, True, True, True, False, True),
    behaviour=(-1, 0, 1, 0, -1, 0),
    strength=(0.0, 0.5, 0.5, 0.5, 0.0, 0.0),  # the last opens without a strength: it counts on neither side
    kl_nats=(0.0, 0.1, 0.1, 0.1, 0.0, 0.0),
    base_logprob=(0.0,) * 6,
    thinking_logprob=(0.0,) * 6,
    is_truncated=False,
)


def test_tokens_are_counted_by_what_was_done_and_by_whose_likeliest_they_are() -> None:
    assert dict(zip(COUNTS, token_counts(RECORD).tolist(), strict=True)) == {
        **{"n_steered": 3, "as_thinking": 2, "as_base": 1},  # 2 and 4; 3
        **{"n_elsewhere": 2, "elsewhere_as_thinking": 1, "elsewhere_as_base": 2},  # 1; 1 and 5
    }


def test_shares_are_of_all_tokens_and_seeds_with_intervals_over_problems() -> None:
    shorter = replace(
        RECORD,
        **{name: getattr(RECORD, name)[:3] for name in RECORD.__slots__ if isinstance(getattr(RECORD, name), tuple)},
    )
    seeds = ((RECORD, shorter, RECORD, shorter), (shorter, RECORD, RECORD, shorter))
    problems = ["p", "p", "q", "r"]
    columns = agreement_columns(seeds, problems)
    n_steered, as_thinking = np.array([5, 5, 6, 4]), np.array([3, 3, 4, 2])
    expected = ratio_over_groups(as_thinking, n_steered, groups=problems)
    assert (columns["as_thinking"], columns["as_thinking_low"], columns["as_thinking_high"]) == (
        *(12 / 20, expected.low, expected.high),
    )
    assert columns["as_thinking_low"] < columns["as_thinking"] < columns["as_thinking_high"]
    assert (
        columns["as_base"] == 8 / 20
        and columns["elsewhere_as_base"] == 1
        and columns["elsewhere_as_thinking"] == 8 / 12
    )


def test_where_no_thinking_model_reads_along_its_share_is_not_known(tiny: Callable[..., LanguageModel]) -> None:
    plan = Plan(gate=always, mechanism=mechanism(), chooser=by_token_parity)
    alone = decode(tiny("llama"), None, PROMPTS, None, plan, GREEDY)
    columns = agreement_columns([alone], list("abcd"))
    assert isnan(columns["as_thinking"]) and 0 <= columns["as_base"] <= 1
    assert isnan(columns["elsewhere_as_base"]), "the gate is always open"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_likeliest_tokens_are_those_of_either_model_over_the_whole_text(
    tiny: Callable[..., LanguageModel], temperature: float
) -> None:
    base, thinking = tiny("llama"), other(tiny("llama"))
    plan = Plan(gate=disagreement, mechanism=mechanism(), chooser=by_token_parity)
    sampling = replace(GREEDY, temperature=temperature)
    records = decode(base, thinking, PROMPTS, None, plan, sampling)
    for prompt, record in zip(PROMPTS, records, strict=True):
        for model, likeliest in ((base, record.base_likeliest), (thinking, record.thinking_likeliest)):
            with torch.inference_mode():
                logits = model.model(torch.tensor([[*prompt, *record.tokens]])).logits[0]
            assert logits[len(prompt) - 1 : -1].argmax(dim=-1).tolist() == list(likeliest)
        if temperature == 0:
            assert record.base == record.base_likeliest and record.thinking == record.thinking_likeliest
    taken = decode(base, thinking, PROMPTS, None, Plan(gate=disagreement, act="takeover"), GREEDY)
    columns = agreement_columns([taken], list("abcd"))
    assert columns["as_thinking"] == 1 and columns["as_base"] == 0, (
        "greedily a takeover writes its tokens, never the base's"
    )
    assert columns["elsewhere_as_thinking"] == columns["elsewhere_as_base"] == 1
