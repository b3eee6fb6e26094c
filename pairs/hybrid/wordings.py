"""Find the wordings of behaviours: how their sentences begin, up to the word that says which behaviour it is.

A beginning (the first tokens of a sentence) is a wording of a behaviour if at least 9 in 10 of the sentences that begin
so in the thinking model's rollouts show it, if it begins at least 2% of the behaviour's sentences, and if nothing
shorter does both. Where no beginning does, the one whose shares of the behaviour's and of the other sentences differ
most is taken. No wording begins with another one of the same behaviour. The controls `phrase-1`, `phrase-2` and
`phrase-whole` write them where the hybrid adds a vector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from ...models import LanguageModel
from ...traces import Template, Trace, encode

Wording: TypeAlias = tuple[int, ...]  # token ids
Wordings: TypeAlias = tuple[tuple[Wording, ...], ...]  # of each behaviour, in ascending order

PURITY, LEAST_SHARE, LEAST_SENTENCES = 0.9, 0.02, 2
MOST_TOKENS = 12  # of a wording


def wordings(
    model: LanguageModel, traces: Sequence[Trace], behaviours: Sequence[str], *, template: Template
) -> Wordings:
    """Find the wordings of each behaviour.

    Args:
        model: The base; its tokenizer counts.
        traces: Labelled rollouts of the thinking model.
        behaviours: Labels, each of one sentence or more.
        template: As the base reads them.

    Returns:
        At least one wording for each behaviour.
    """
    n_sentences: Counter[str] = Counter()
    counts: dict[str, Counter[Wording]] = {}  # of each label, sentences by their beginnings of every length
    for text in encode(model, traces, template=template, truncate=True):
        for span, tokens in zip(text.trace.spans, text.spans, strict=True):
            if tokens is None:
                continue
            n_sentences[span.label] += 1
            sentence = tuple(int(token) for token in text.token_ids[tokens[0] : tokens[1]][:MOST_TOKENS])
            counts.setdefault(span.label, Counter()).update(sentence[: n + 1] for n in range(len(sentence)))
    every: Counter[Wording] = Counter()
    for count in counts.values():
        every.update(count)
    n_all = n_sentences.total()
    return tuple(
        _wordings_of(counts[behaviour], every, n_sentences[behaviour], n_all - n_sentences[behaviour])
        for behaviour in behaviours
    )


def first_tokens(of_behaviours: Wordings, n_tokens: int) -> Wordings:
    """Cut wordings after their first tokens; those that are alike then count once."""
    return tuple(tuple(sorted({wording[:n_tokens] for wording in some})) for some in of_behaviours)


def _wordings_of(own: Counter[Wording], every: Counter[Wording], n_own: int, n_other: int) -> tuple[Wording, ...]:
    least = max(LEAST_SHARE * n_own, LEAST_SENTENCES)
    telling = {beginning for beginning, count in own.items() if count >= least and count >= PURITY * every[beginning]}
    shortest = [one for one in telling if not any(one[:n] in telling for n in range(1, len(one)))]
    if shortest:
        return tuple(sorted(shortest))

    def apart(beginning: Wording) -> tuple[float, int]:
        others = every[beginning] - own[beginning]
        return own[beginning] / n_own - others / max(n_other, 1), -len(beginning)

    return (max(sorted(own), key=apart),)
