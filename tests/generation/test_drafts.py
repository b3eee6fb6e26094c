"""Drafts against whole texts read anew: what is cut back leaves no trace, and rows of unlike lengths do not meet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from reasonlens.generation import Drafts, Sampling, choose_tokens
from reasonlens.models import LanguageModel
from reasonlens.rundir import InputError
from tests.generation.conftest import CONFIGS, RECURRENT, WINDOWED

TEXTS = [[7, 8, 9, 10, 11, 12], [20, 21, 22], [30], [20, 21, 22], [51, 52, 53, 54, 55, 56, 57]]
SAMPLED = Sampling(temperature=1.0, top_p=0.9, max_new_tokens=8)
N_TOKENS = 5
ARCHITECTURES = [*CONFIGS, *WINDOWED, *RECURRENT, "minimax"]

Speaker = Callable[..., LanguageModel]


class Streams:
    """A stream of numbers for each row."""

    def __init__(self) -> None:
        self._of_rows = [np.random.default_rng([5, row]) for row in range(len(TEXTS))]

    def __call__(self, row: int) -> float:
        return float(self._of_rows[row].random())


def some_ends() -> torch.Tensor:
    """A tenth of the tokens end a sentence."""
    ends = torch.zeros(400, dtype=torch.bool)
    ends[::10] = True
    return ends


def by_hand(model: LanguageModel, text: list[int], uniform: Callable[[], float], prefix: list[int]) -> list[int]:
    """A draft by whole texts, one at a time."""
    draft: list[int] = []
    while len(draft) < N_TOKENS and not (draft and some_ends()[draft[-1]]):
        with torch.no_grad():
            logits = model.model(torch.tensor([text + draft]), use_cache=False).logits[:, -1].float()
        token = int(choose_tokens(logits, SAMPLED, torch.tensor([uniform()]))[0])
        draft.append(prefix[len(draft)] if len(draft) < len(prefix) else token)
    return draft


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_drafts_are_those_of_whole_texts_whatever_was_drafted_and_read_before(
    speaker: Speaker, architecture: str
) -> None:
    model = speaker(architecture)
    drafts, streams, others = Drafts(model, TEXTS, some_ends()), Streams(), Streams()
    texts = [list(text) for text in TEXTS]
    steps: list[tuple[list[int], dict[int, list[int]], list[int]]] = [
        ([0, 1, 2, 3, 4], {}, [0, 2]),  # who drafts, what is given, whose draft is read
        ([1, 3], {3: [99, 98]}, [3]),
        ([4, 0, 2], {}, []),
        ([0, 1, 2, 3, 4], {0: [60, 61, 62], 1: [70]}, [0, 1, 3, 4]),
        ([1, 2], {}, [1, 2]),
    ]
    for rows, prefixes, read in steps:
        written = drafts.draft(rows, SAMPLED, streams, n_tokens=N_TOKENS, prefixes=prefixes)
        for row in rows:
            expected = by_hand(model, texts[row], lambda row=row: others(row), prefixes.get(row, []))
            assert written[row] == expected, (row, rows)
        assert drafts.texts == texts, "a draft that was not read is in the text"
        drafts.read({row: written.get(row, [33, 34]) for row in read})
        for row in read:
            texts[row] += written.get(row, [33, 34])
    for row in (0, 2, 3):
        drafts.end(row)
    for _ in range(3):
        written = drafts.draft([1, 4], SAMPLED, streams, n_tokens=N_TOKENS)
        for row in (1, 4):
            assert written[row] == by_hand(model, texts[row], lambda row=row: others(row), [])
            texts[row] += written[row]
        drafts.read(written)
    assert drafts.texts == texts


def test_hooks_see_whole_texts(speaker: Speaker) -> None:
    """What a hook does may depend on the row or the place, which a cache with gaps would hide from it."""
    model = speaker("llama")
    widths: list[int] = []
    handle = model.blocks[0].register_forward_pre_hook(lambda module, args: widths.append(args[0].shape[1]))
    drafts = Drafts(model, TEXTS, some_ends())
    widths.clear()  # of the look at how it attends
    for _ in range(2):
        written = drafts.draft([0, 1], SAMPLED, Streams(), n_tokens=1)
        drafts.read(written)
    handle.remove()
    assert widths == [6, 7]


def test_a_model_without_a_cache_of_its_own_is_refused(speaker: Speaker) -> None:
    with pytest.raises(InputError, match="takes no key-value cache, and drafts"):
        Drafts(speaker("rwkv"), TEXTS, some_ends())


def test_a_draft_ends_where_the_context_is_full(speaker: Speaker) -> None:
    model = speaker("gpt2")
    assert model.context_tokens == 1024
    texts = [[7] * 1020, [8, 9]]
    drafts = Drafts(model, texts, torch.zeros(400, dtype=torch.bool))
    for _ in range(2):
        written = drafts.draft([0, 1], SAMPLED, Streams(), n_tokens=6)
        assert [len(written[row]) for row in (0, 1)] == [4, 6]
    drafts.read({0: written[0][:2], 1: written[1]})
    written = drafts.draft([0, 1], SAMPLED, Streams(), n_tokens=6)
    assert [len(written[row]) for row in (0, 1)] == [2, 6]
