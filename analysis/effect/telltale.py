"""Find the tell-tale token of a behaviour, such as "Wait" for backtracking.

Its unembedding row is a baseline for steering: a direction that raises backtracking no more than the row of "Wait" may
only make the model write the word.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...models import LanguageModel
from ...organisms import is_organism
from ...traces.markers import MARKERS

# Behaviours whose commonest tell-tale word is not the first of their list.
USUAL = {"backtracking": "wait", "uncertainty-estimation": "maybe", "verification": "check", "subgoal-setting": "first"}


def telltale_tokens(model: LanguageModel, behaviours: Iterable[str]) -> dict[str, int]:
    """Find one token for each behaviour that has a tell-tale word in a model's vocabulary.

    Args:
        model: The model; its tokenizer is used.
        behaviours: Behaviours to look up.

    Returns:
        Behaviour -> token id, of the word as it begins a sentence (" Wait", "Wait") if that is one token, else in lower
        case. Behaviours without a word of one token are missing.
    """
    return {
        behaviour: token for behaviour in behaviours if (token := _token(model, _words(model, behaviour))) is not None
    }


def _words(model: LanguageModel, behaviour: str) -> list[str]:
    if is_organism(model):
        return []  # no word of their language tells one behaviour from another
    usual = [USUAL[behaviour]] if behaviour in USUAL else []
    return [*usual, *MARKERS.get(behaviour, ())]


def _token(model: LanguageModel, words: list[str]) -> int | None:
    for word in words:
        for form in (f" {word.capitalize()}", word.capitalize(), f" {word}", word):
            ids = model.tokenizer(form, add_special_tokens=False)["input_ids"]
            if len(ids) == 1 and ids[0] != model.tokenizer.unk_token_id:
                return int(ids[0])
    return None
