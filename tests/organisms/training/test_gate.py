"""The gate reads models made of rules as what they are, and lets none through that lacks a kind of word."""

from __future__ import annotations

from math import log
from types import SimpleNamespace
from typing import cast

import pytest
from torch import Tensor
from transformers import LlamaForCausalLM

from reasonlens.organisms.language import tokenizer
from reasonlens.organisms.policy import IDEAL
from reasonlens.organisms.training import gate
from reasonlens.organisms.training.gate import check_trunk, content_accuracy
from reasonlens.rundir import InputError

from ..rules import RuleModel


@pytest.fixture(autouse=True)
def few_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "N_PROBLEMS", 4)
    monkeypatch.setattr(gate, "FEWEST", 1)


def model(**lacks: float) -> LlamaForCausalLM:
    return cast(LlamaForCausalLM, RuleModel(IDEAL, **lacks))


def test_every_kind_of_word_of_a_right_model_is_right_whether_its_weak_hues_are_or_not() -> None:
    kinds = [name for names in gate.NAMES.values() for name in names]
    accuracy = content_accuracy(model(weak_hue=0.01))
    assert accuracy.pop(gate.GOING_ON) > 0.9999
    assert accuracy == dict.fromkeys(kinds, 1.0)
    check_trunk(model(), least=0.9999)


def test_a_trunk_that_gives_wrong_verdicts_is_refused_by_their_name() -> None:
    wrong = model(verdict=0.1)
    assert content_accuracy(wrong)["verdict"] == 0
    with pytest.raises(InputError, match=r"too few words rightly: verdict 0\.0000 of 0\.97; train another seed"):
        check_trunk(wrong, least=0.97)


def test_a_trunk_that_ends_one_response_in_a_hundred_after_each_sentence_is_refused() -> None:
    right = model()

    def hasty(ids: Tensor, use_cache: bool = False) -> SimpleNamespace:
        logits = right(ids).logits
        logits[..., tokenizer().eos_token_id] = log(0.01)
        return SimpleNamespace(logits=logits)

    ending = cast(LlamaForCausalLM, hasty)
    assert content_accuracy(ending)[gate.GOING_ON] == pytest.approx(1 / 1.01, abs=1e-4)
    with pytest.raises(InputError, match=r"too few words rightly: going on 0\.9901 of 0\.999; train another seed"):
        check_trunk(ending, least=0.97)
