from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from reasonlens import InputError
from reasonlens.models import LanguageModel
from reasonlens.vectors import Direction
from reasonlens.vectors.steering import at_sentence_ends, steer


def test_the_tokens_that_end_sentences_are_steered_and_the_last_of_the_prompt(
    tiny: Callable[..., LanguageModel],
) -> None:
    model = tiny("llama")
    ids = model.tokenizer('It is 4. "So be it!" Then 5? 6; no.\nIt', return_tensors="pt")["input_ids"]
    direction = Direction.of(torch.ones(model.d_model), layers=1, residual_norm=1.0)
    before = _outputs(model, ids)
    with steer(model, direction, controller=at_sentence_ends(model)) as steered:
        after = _outputs(model, ids)
    changed = (after != before).any(-1)[0]
    texts = [model.tokenizer.decode([token]) for token, is_changed in zip(ids[0], changed, strict=True) if is_changed]
    for place, token in enumerate(ids[0]):
        text = model.tokenizer.decode([token])
        ends = text.endswith("\n") or text.rstrip(' "').endswith((".", "!", "?", ";")) or place == ids.shape[1] - 1
        assert bool(changed[place]) == ends, text
    assert steered.n_steered == len(texts) >= 6


def _outputs(model: LanguageModel, ids: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    hook = model.blocks[1].register_forward_hook(
        lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.no_grad():
        model.model(ids)
    hook.remove()
    return seen[0]


def test_sentences_as_a_word_is_the_response_with_that_controller(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    ids = model.tokenizer("It is 4. So be it! Then 5? 6; no. It", return_tensors="pt")["input_ids"]
    direction = Direction.of(torch.ones(model.d_model), layers=1, residual_norm=1.0)

    def outputs(**options: Any) -> torch.Tensor:
        with steer(model, direction, n_prompt_tokens=4, **options):
            return _outputs(model, ids)

    by_word = outputs(when="sentences")
    assert torch.equal(by_word, outputs(when="response", controller=at_sentence_ends(model)))
    assert not torch.equal(by_word, outputs(when="response"))
    with pytest.raises(InputError, match="'sentences' chooses the tokens itself; give it or a controller"):
        outputs(when="sentences", controller=at_sentence_ends(model))
