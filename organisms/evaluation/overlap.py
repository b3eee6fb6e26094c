"""How alike the responses of two models are, so that "the same reading" is not "the same texts".

On each problem one response of either model is compared:

- `same_moves`: share of the problems on which the two make the same sequence of moves.
- `move_similarity`: 2 M / T of the two sequences, M the moves in common in order (`difflib`), T all moves.
- `word_overlap`: words in common, as many times as in both, over the mean number of words.

Two samples of one model are as alike as its temperature lets them be; what two models have in common is read against
that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from ...stats import Interval, mean_over_groups
from ..corpus import decode
from ._cross_play import Answers


def overlap(first: Answers, second: Answers, sample: int = 0, other_sample: int = 0) -> dict[str, Interval]:
    """Compare the responses of two models to the same problems.

    Args:
        first: Responses of one model.
        second: Responses of the other, or of the same, to the same problems.
        sample: Which sample of the first is compared.
        other_sample: With which of the second.

    Returns:
        The three figures, over problems.

    Raises:
        ValueError: The two answer different problems.
    """
    if first.problems != second.problems:
        raise ValueError("responses are compared on the same problems, and these answer different ones")
    same, similar, words = [], [], []
    for number in range(len(first.problems)):
        places = number * first.n_samples + sample, number * second.n_samples + other_sample
        moves, other_moves = (
            [step.move for step in answers.readings[place].steps]
            for answers, place in zip((first, second), places, strict=True)
        )
        same.append(float(moves == other_moves))
        similar.append(SequenceMatcher(None, moves, other_moves, autojunk=False).ratio())
        words.append(_word_overlap(decode(first.responses[places[0]]), decode(second.responses[places[1]])))
    return {
        "same_moves": mean_over_groups(np.array(same), groups=first.groups),
        "move_similarity": mean_over_groups(np.array(similar), groups=first.groups),
        "word_overlap": mean_over_groups(np.array(words), groups=first.groups),
    }


def _word_overlap(words: Sequence[str], other_words: Sequence[str]) -> float:
    n_words = len(words) + len(other_words)
    return 2 * (Counter(words) & Counter(other_words)).total() / n_words if n_words else 1.0
