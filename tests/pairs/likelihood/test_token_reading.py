"""Readings of tokens, against a pass of each text alone and a sort of all tokens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from reasonlens.models import LanguageModel
from reasonlens.pairs.likelihood import read_texts, token_reading
from reasonlens.traces import Trace, encode


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_nats_and_ranks_are_those_of_a_text_alone(
    architecture: str, tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    model = tiny(architecture)
    texts = [*traces[:3], Trace("short", "What?", "Nothing."), traces[4]]
    readings = read_texts(model, texts)
    for trace, reading in zip(texts, readings, strict=True):
        (text,) = encode(model, [trace])
        with torch.inference_mode():
            logits = model.model(torch.from_numpy(text.token_ids)[None]).logits[0].float()
        places = [place for place in range(1, len(text)) if text.characters[place, 1] > 0]
        probabilities = logits.softmax(-1)
        by_hand = [-float(probabilities[place - 1, text.token_ids[place]].log()) for place in places]
        order = logits.argsort(dim=-1, descending=True, stable=True)
        ranks = [1 + order[place - 1].tolist().index(int(text.token_ids[place])) for place in places]
        assert reading.nats == pytest.approx(by_hand, abs=1e-4)
        assert reading.ranks.tolist() == ranks
        assert reading.n_characters == len(trace.text)


def test_what_is_read_together_does_not_matter(
    tiny: Callable[..., LanguageModel], traces: list[Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny()
    together = read_texts(model, traces)
    monkeypatch.setattr(token_reading, "MAX_LOGITS", 1)
    alone = read_texts(model, traces)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.nats, other.nats, atol=1e-4)
        assert (one.ranks == other.ranks).all() and (one.spans == other.spans).all()


def test_tokens_know_their_sentence_and_which_of_them_is_first(
    tiny: Callable[..., LanguageModel], traces: list[Trace]
) -> None:
    trace = traces[0]
    (reading,) = read_texts(tiny(), [trace])
    assert [int((reading.spans == number).sum() > 0) for number in range(len(trace.spans))] == [1] * len(trace.spans)
    assert reading.is_first.sum() == len(trace.spans)
    assert (np.diff(reading.spans[reading.is_first]) == 1).all()
    unlabelled = read_texts(tiny(), [Trace("x", trace.prompt, trace.text)])[0]
    assert (unlabelled.spans == -1).all() and not unlabelled.is_first.any()
    assert unlabelled.nats == pytest.approx(reading.nats)
