"""Say of every token of a response where it stands: behaviour, start of a sentence, position, kind of word.

A token belongs to the span that its last character lies in. A sentence starts after a token that ends one, as gates see
it while decoding. Of organisms it is known which words are decisions and which are content.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from ...models import LanguageModel
from ...organisms import decision_tokens, is_organism
from ...traces import Annotator
from ...vectors.steering.sentence_ends import ends_sentence
from ..pair import Pair
from ..sampling import Role
from .answers import SwapAnswer
from .swapping import models_of

BEHAVIOUR, PLACE, POSITION, ENTROPY, KIND = (
    "behaviour",
    "place in the sentence",
    "position in the response",
    "entropy of the base",
    "kind of word",
)
NO_BEHAVIOUR, END = "no behaviour", "end of the response"
START, INSIDE = "first token", "later tokens"
DECISION, CONTENT = "decision", "content"
FIFTHS = ("first fifth", "second fifth", "third fifth", "fourth fifth", "last fifth")
ENTROPY_FIFTHS = ("least entropy", "second fifth", "third fifth", "fourth fifth", "greatest entropy")
ORDERS = {POSITION: FIFTHS, ENTROPY: ENTROPY_FIFTHS}  # of groups that have one


def places_of(pair: Pair, writer: Role, answers: Sequence[SwapAnswer], prompts: Sequence[str]) -> dict[str, list[str]]:
    """Name the group of each token of some responses, in every dimension.

    Args:
        pair: The models and the annotator.
        writer: Which of them wrote.
        answers: What it wrote, with its tokens.
        prompts: What each answers, as the annotator reads it.

    Returns:
        Dimension -> the group of each token, response after response.
    """
    model, _ = models_of(pair, writer)
    is_end = ends_sentence(model)
    groups: dict[str, list[str]] = {BEHAVIOUR: [], PLACE: [], POSITION: []}
    if is_organism(pair.base):
        groups[KIND] = []
    decisions = decision_tokens()
    for one, prompt in zip(answers, prompts, strict=True):
        n_tokens = len(one.tokens)
        groups[BEHAVIOUR] += _behaviours(model, pair.annotator, prompt, one)
        ended = [True, *(bool(is_end[token]) for token in one.tokens[:-1])][:n_tokens]
        groups[PLACE] += [START if has_ended else INSIDE for has_ended in ended]
        groups[POSITION] += [FIFTHS[5 * place // n_tokens] for place in range(n_tokens)]
        if KIND in groups:
            groups[KIND] += [DECISION if token in decisions else CONTENT for token in one.tokens]
    entropy = np.array([nats for one in answers for nats in one.base_entropy])
    ranks = np.empty(len(entropy), dtype=np.int64)
    ranks[np.argsort(entropy, kind="stable")] = np.arange(len(entropy))
    groups[ENTROPY] = [ENTROPY_FIFTHS[5 * rank // len(entropy)] for rank in ranks.tolist()]
    return groups


def last_characters(model: LanguageModel, tokens: Sequence[int], text: str) -> Int[np.ndarray, " n_tokens"]:
    """Find the character that each token of a response ends with.

    Args:
        model: Whose tokens they are.
        tokens: Of the response.
        text: Their text, special tokens left out.

    Returns:
        Its place in the text; -1 for a token that adds no character.
    """
    encoding = model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    if list(encoding["input_ids"]) == list(tokens[: len(encoding["input_ids"])]):  # what follows ended the response
        ends = [stop - 1 if stop > start else -1 for start, stop in encoding["offset_mapping"]]
        return np.array([*ends, *[-1] * (len(tokens) - len(ends))], dtype=np.int64)
    lengths = [0]
    for n in range(1, len(tokens) + 1):
        before = model.tokenizer.decode(list(tokens[:n]), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        lengths.append(len(str(before).rstrip("\N{REPLACEMENT CHARACTER}")))
    return np.array([new - 1 if new > old else -1 for old, new in zip(lengths, lengths[1:], strict=False)], np.int64)


def _behaviours(model: LanguageModel, annotator: Annotator, prompt: str, one: SwapAnswer) -> list[str]:
    spans = annotator(prompt, one.text)
    labels = []
    for character in last_characters(model, one.tokens, one.text).tolist():
        own = [span.label for span in spans if span.start <= character < span.end]
        labels.append(END if character < 0 else own[0] if own else NO_BEHAVIOUR)
    return labels
