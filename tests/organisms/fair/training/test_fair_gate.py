"""The gate reads models made of rules as what they are, and lets none through that lacks a kind of word."""

from __future__ import annotations

from typing import cast

import pytest
from transformers import LlamaForCausalLM

from reasonlens.organisms.fair.policy import IDEAL
from reasonlens.organisms.fair.training import gate
from reasonlens.organisms.fair.training.gate import check_trunk, content_accuracy
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
    assert content_accuracy(model(weak_hue=0.01)) == dict.fromkeys(kinds, 1.0)
    check_trunk(model(), least=1.0)


def test_a_trunk_that_gives_wrong_verdicts_is_refused_by_their_name() -> None:
    wrong = model(verdict=0.1)
    assert content_accuracy(wrong)["verdict"] == 0
    with pytest.raises(InputError, match=r"each kind of which must reach 0\.97: verdict 0\.000; train another seed"):
        check_trunk(wrong, least=0.97)
