"""Which tokens are decisions and which are content, by a case written out by hand."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch

from reasonlens.organisms import (
    Problem,
    habits,
    problems,
    write,
)
from reasonlens.organisms.corpus import (
    MAX_RESPONSE_TOKENS,
    batches,
    encode_prompt,
    encode_response,
    make_batch,
    tokenizer,
)

PROBLEM = Problem((3, 12, 7, 9, 20), ("red", "red", "blue", "blue", "blue"), 19)


def test_first_words_of_sentences_are_decisions_and_all_others_content() -> None:
    text = "we want 19 . sums next . take 3 red . need 16 ."
    batch = make_batch([encode_prompt(PROBLEM)], [encode_response(text)])
    words = tokenizer().convert_ids_to_tokens(batch.ids[0].tolist())
    assert words[-1] == "</s>"
    assert [word for word, decides in zip(words, batch.is_decision[0], strict=True) if decides] == [
        *("we", "sums", "take", "need")
    ]
    content = [word for word, is_content in zip(words, batch.is_content[0], strict=True) if is_content]
    assert content == "want 19 . next . 3 red . 16 . </s>".split()


def test_a_response_beyond_the_limit_is_cut_and_has_no_end() -> None:
    cut = encode_response("maybe . " * 100)
    assert len(cut) == MAX_RESPONSE_TOKENS and tokenizer().eos_token_id not in cut


def test_batches_hold_every_text_once_and_padding_is_neither_decision_nor_content() -> None:
    generator = np.random.default_rng(0)
    texts = [(problem, write(problem, habits(generator), generator)) for problem in islice(problems("train", 0), 50)]
    made = batches(texts, 16)
    assert [len(batch) for batch in made] == [16, 16, 16, 2]
    held = sorted(
        tokenizer().decode(row, skip_special_tokens=True).split(". ", 2)[2] for batch in made for row in batch.ids
    )
    assert held == sorted(" ".join(text.split()[:MAX_RESPONSE_TOKENS]) for _, text in texts)
    for batch in made:
        padding = batch.ids == tokenizer().pad_token_id
        assert not (padding & (batch.is_decision | batch.is_content)).any()
        assert not (batch.is_decision & batch.is_content).any()
        assert torch.equal(batch.is_decision | batch.is_content, _after_prompt(batch.ids) & ~padding)


def _after_prompt(ids: torch.Tensor) -> torch.Tensor:
    """Everything after the second full stop."""
    stop = tokenizer().convert_tokens_to_ids(".")
    before = torch.cat([torch.zeros(len(ids), 1, dtype=torch.long), (ids == stop).cumsum(1)[:, :-1]], dim=1)
    return before >= 2
