"""Find the tell-tale first words of behaviours: the tokens that begin their sentences, and those of others seldom.

A token tells of a behaviour if it begins at least 5% of the behaviour's sentences in the thinking model's rollouts, and
more than twice as large a share of these as of all other sentences. Where none does, the token whose shares differ most
is taken. The control `word-boost` raises the logits of these tokens, where the hybrid adds a vector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from ...models import LanguageModel
from ...traces import Template, Trace, encode

FirstWords: TypeAlias = tuple[tuple[int, ...], ...]  # of each behaviour, token ids in ascending order

LEAST_SHARE, TIMES_OTHERS = 0.05, 2.0


def first_words(
    model: LanguageModel, traces: Sequence[Trace], behaviours: Sequence[str], *, template: Template
) -> FirstWords:
    """Find the tokens that tell of each behaviour.

    Args:
        model: The base; its tokenizer counts.
        traces: Labelled rollouts of the thinking model.
        behaviours: Labels, each of one sentence or more.
        template: As the base reads them.

    Returns:
        At least one token for each behaviour.
    """
    counts: dict[str, Counter[int]] = {}
    for text in encode(model, traces, template=template, truncate=True):
        for span, tokens in zip(text.trace.spans, text.spans, strict=True):
            if tokens is not None:
                counts.setdefault(span.label, Counter())[int(text.token_ids[tokens[0]])] += 1
    return tuple(_telling(counts[behaviour], _others(counts, behaviour)) for behaviour in behaviours)


def _others(counts: dict[str, Counter[int]], behaviour: str) -> Counter[int]:
    return sum((count for label, count in counts.items() if label != behaviour), Counter())


def _telling(own: Counter[int], other: Counter[int]) -> tuple[int, ...]:
    n_own, n_other = own.total(), max(other.total(), 1)
    shares = {token: (count / n_own, other[token] / n_other) for token, count in own.items()}
    telling = [
        token for token, (mine, theirs) in shares.items() if mine >= LEAST_SHARE and mine > TIMES_OTHERS * theirs
    ]
    return tuple(sorted(telling or [max(shares, key=lambda token: shares[token][0] - shares[token][1])]))
