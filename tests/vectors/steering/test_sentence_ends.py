"""Steering at the beginnings of sentences, and through them, against sums and loops by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from reasonlens import InputError
from reasonlens.analysis.effect import EffectSettings
from reasonlens.generation import Sampling, end_tokens, write
from reasonlens.models import LanguageModel
from reasonlens.vectors import Direction
from reasonlens.vectors.steering import at_sentence_ends, steer, through_sentences
from reasonlens.vectors.steering import sentence_ends as sentence_ends_module


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


NORM, STRENGTH = 1.0, 0.15
ROWS = [[7, 8, 9, 10, 11, 12], [20, 21, 22], [30, 31, 32, 33], [40]]  # token 21 ends a sentence, in a prompt too


@pytest.fixture
def seventh(monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., LanguageModel]) -> LanguageModel:
    """A model in whose language every seventh token ends a sentence, and two end the text."""
    model = tiny("llama")
    model.model.generation_config.eos_token_id = [174, 307]  # which some rows soon write
    is_end = torch.arange(model.model.config.vocab_size) % 7 == 0
    monkeypatch.setattr(sentence_ends_module, "ends_sentence", lambda _: is_end)
    return model


def doses_by_hand(ids: list[int], n_prompt: int, decay: float) -> list[float]:
    """The share of the strength at each token, sentence by sentence."""
    doses, dose = [], 0.0
    for place, token in enumerate(ids):
        if place < n_prompt - 1:
            doses.append(0.0)
            continue
        dose = 1.0 if place == n_prompt - 1 or token % 7 == 0 else dose * decay
        doses.append(dose if dose >= 0.01 * (1 - 1e-9) else 0.0)
    return doses


def by_hand(
    model: LanguageModel, prompt: list[int], direction: Direction, decay: float, n: int
) -> tuple[list[int], int]:
    """Write greedily without a cache, a plain hook adding each token's dose; the tokens, and how many had a dose."""
    ids, unit, n_steered = list(prompt), direction.unit(1), 0
    for _ in range(n):
        doses = doses_by_hand(ids, len(prompt), decay)
        shift = STRENGTH * NORM * torch.tensor(doses)[:, None] * unit

        def hook(module: object, args: object, output: Any, shift: torch.Tensor = shift) -> Any:
            return (output[0] + shift, *output[1:]) if isinstance(output, tuple) else output + shift

        handle = model.blocks[1].register_forward_hook(hook)
        with torch.no_grad():
            token = int(model.model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
        handle.remove()
        n_steered = sum(dose > 0 for dose in doses)
        ids.append(token)
        if token in end_tokens(model):
            break
    return ids[len(prompt) :], n_steered


@pytest.mark.parametrize("decay", [1.0, 0.7, 0.3, 0.0])
def test_through_a_sentence_doses_decay_as_in_a_loop_by_hand_with_plain_hooks(
    seventh: LanguageModel, decay: float
) -> None:
    direction = Direction.of(torch.randn(seventh.d_model, generator=torch.Generator().manual_seed(3)), layers=1)
    direction = Direction.of(direction.at(1), layers=1, residual_norm=NORM)
    with steer(seventh, direction, strength=STRENGTH, when=f"sentences:{decay}") as steered:
        written = write(seventh, ROWS, Sampling(n_samples=1, temperature=0, max_new_tokens=24))
    expected = [by_hand(seventh, row, direction, decay, 24) for row in ROWS]
    assert [list(response.tokens) for response in written] == [tokens for tokens, _ in expected]
    assert steered.n_steered == sum(n for _, n in expected)
    assert len({len(tokens) for tokens, _ in expected}) > 1, "rows end at different times"
    plain = write(seventh, ROWS, Sampling(n_samples=1, temperature=0, max_new_tokens=24))
    assert [response.tokens for response in written] != [response.tokens for response in plain]


@pytest.mark.parametrize("options", [{}, {"use_cache": False}, {"cache_implementation": "static"}, {"do_sample": True}])
def test_with_any_cache_a_batch_is_steered_as_each_of_its_rows_in_one_pass(
    seventh: LanguageModel, options: dict[str, Any]
) -> None:
    direction = Direction.of(torch.ones(2, seventh.d_model), layers=[0, 1], residual_norm=NORM)
    ids = torch.tensor([[1, 1, 1, *ROWS[1]], ROWS[0]])
    mask = torch.tensor([[0, 0, 0, 1, 1, 1], [1] * 6])
    about: dict[str, Any] = {"layer": [0, 1], "strength": 0.3, "when": "sentences:0.5"}
    torch.manual_seed(0)
    settings = {"max_new_tokens": 12, "min_new_tokens": 12, "do_sample": False, "return_dict_in_generate": True}
    with steer(seventh, direction, **about) as steered:
        out = seventh.model.generate(ids, attention_mask=mask, output_logits=True, **settings | options)
    n_steered = 0
    for row, n_pad in enumerate((3, 0)):
        text = out.sequences[row : row + 1, n_pad:-1]
        with torch.no_grad(), steer(seventh, direction, n_prompt_tokens=6 - n_pad, **about) as alone:
            whole = seventh.model(text).logits[0, 5 - n_pad :]
        torch.testing.assert_close(torch.stack([step[row] for step in out.logits]), whole, atol=2e-4, rtol=1e-3)
        n_steered += alone.n_steered
        assert alone.n_steered == sum(dose > 0 for dose in doses_by_hand(text[0].tolist(), 6 - n_pad, 0.5))
    assert steered.n_steered == n_steered


def test_no_decay_is_the_whole_response_and_nothing_kept_the_beginnings_of_sentences(seventh: LanguageModel) -> None:
    direction = Direction.of(torch.ones(seventh.d_model), layers=1, residual_norm=NORM)
    ids = torch.tensor([[3, 14, 5, 6, 21, 8, 9, 28, 11, 12, 13]])

    def outputs(**options: Any) -> tuple[torch.Tensor, int]:
        with steer(seventh, direction, n_prompt_tokens=3, **options) as steered:
            return _outputs(seventh, ids), steered.n_steered

    for share, other, n in (("1", "response", 9), ("0", "sentences", 3)):
        (one, n_one), (two, n_two) = outputs(when=f"sentences:{share}"), outputs(when=other)
        assert n_one == n_two == n
        torch.testing.assert_close(one, two)
    by_controller, _ = outputs(when="response", controller=through_sentences(seventh, 0.5))
    assert torch.equal(by_controller, outputs(when="sentences:0.5")[0])


def test_what_is_not_known_of_sentences_is_refused(seventh: LanguageModel) -> None:
    direction = Direction.of(torch.ones(seventh.d_model), layers=1, residual_norm=NORM)
    ids = torch.tensor(ROWS[:1])
    for when, message in (
        ("sentences:2", "keeps a share of itself, from 0 .the first token alone. to 1, not 2.0"),
        ("sentences:-0.5", "keeps a share of itself"),
        ("sentences:nan", "keeps a share of itself"),
        ("sentences:half", "'sentences:half' says no share: write sentences, or sentences:0.5"),
        ("sentences:", "'sentences:' says no share"),
        ("sentence", "unknown tokens 'sentence' to steer: use all, .* or sentences:SHARE"),
    ):
        with pytest.raises(InputError, match=message), steer(seventh, direction, when=when):
            pass
        with pytest.raises(InputError, match=message):
            EffectSettings(when=when)
    assert EffectSettings(when="sentences:0.5").when == "sentences:0.5"
    with pytest.raises(InputError, match="'sentences:0.5' chooses the tokens itself"):
        with steer(seventh, direction, when="sentences:0.5", controller=at_sentence_ends(seventh)):
            pass
    with torch.no_grad():
        cache = seventh.model(ids).past_key_values
        with steer(seventh, direction, when="sentences:0.5", n_prompt_tokens=6):
            with pytest.raises(InputError, match="cannot tell where the sentence began: .* filled outside of steer"):
                seventh.model(torch.tensor([[9]]), past_key_values=cache)
    beams = {"num_beams": 3, "max_new_tokens": 6, "do_sample": False}
    with steer(seventh, direction, when="sentences:0.5"), pytest.raises(InputError, match="which row is which"):
        seventh.model.generate(torch.tensor([ROWS[0]] * 2), **beams)
