"""Match each span of a behaviour with another that looks alike: its first word and place cannot tell them apart.

A negative matches a positive if it begins with the same word and is of similar length (within a quarter, or three
words); of those that match, the nearest in the response is taken. For a read before the span the last word before it
stands for the first word, and length is not known. Both are in one test fold, since AUROC compares inside folds: what
knows the first word only is then at 0.5 exactly. Each negative is used once, and the nearest pairs are made first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from ...activations import Example, Read
from .known_text import first_words, is_inside, places

LENGTH_SHARE = 0.25
LENGTH_WORDS = 3


@dataclass(frozen=True, eq=False)
class MatchedSpans:
    """Positive spans and the negatives that they are paired with."""

    positives: Int[np.ndarray, " n_pairs"]  # the number of the example, ascending
    negatives: Int[np.ndarray, " n_pairs"]
    n_examples: int

    @property
    def n(self) -> int:
        """The number of pairs."""
        return len(self.positives)

    @property
    def mask(self) -> Bool[np.ndarray, " n_examples"]:
        """Whether each example is in a pair."""
        is_matched = np.zeros(self.n_examples, dtype=bool)
        is_matched[self.positives] = is_matched[self.negatives] = True
        return is_matched


def matched_spans(
    examples: Sequence[Example],
    read: Read,
    positive: Bool[np.ndarray, " n_examples"],
    folds: Int[np.ndarray, " n_examples"],
) -> MatchedSpans:
    """Find for each span of a behaviour a span of another that begins alike, is about as long and stands as far on.

    Args:
        examples: The spans.
        read: The tokens that were read.
        positive: Whether each span shows the behaviour.
        folds: The test fold of each span.

    Returns:
        The pairs; spans without a match are in none.
    """
    words = first_words(examples, read)
    n_characters = places(examples, read)[:, 0]
    n_words = np.array([len(example.text_read.split()) if is_inside(read) else 0 for example in examples])
    kinds = list(zip(words, folds.tolist(), strict=True))
    negatives_of: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for index in np.flatnonzero(~positive).tolist():
        negatives_of[kinds[index]].append(index)
    candidates = []
    for index in np.flatnonzero(positive).tolist():
        others = np.array(negatives_of.get(kinds[index], []), dtype=np.int64)
        allowed = max(LENGTH_WORDS, LENGTH_SHARE * n_words[index])
        others = others[np.abs(n_words[others] - n_words[index]) <= allowed]
        distances = np.abs(n_characters[others] - n_characters[index])
        candidates += [(distance, index, int(other)) for distance, other in zip(distances, others, strict=True)]
    partner: dict[int, int] = {}
    used: set[int] = set()
    for _, index, other in sorted(candidates):
        if index not in partner and other not in used:
            partner[index] = other
            used.add(other)
    positives = np.array(sorted(partner), dtype=np.int64)
    negatives = np.array([partner[index] for index in positives.tolist()], dtype=np.int64)
    return MatchedSpans(positives, negatives, len(examples))
