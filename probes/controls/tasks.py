"""Make control tasks: labels that depend on surface cues only (Hewitt & Liang 2019, arXiv 1909.03368).

Every distinct first word of a span, every length in words and every place among the spans of its trace is assigned 0 or
1 at random, the same wherever it occurs. A probe that learns such labels well has the capacity to read behaviours from
surface cues. Selectivity is the AUROC for the behaviour minus that for the control task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Bool

from ...activations import Example

TASKS = ("first word", "length", "position")


def control_labels(
    examples: Sequence[Example], n_draws: int, seed: int
) -> dict[str, Bool[np.ndarray, "n_draws n_examples"]]:
    """Draw `n_draws` sets of random labels for each control task."""
    generator = np.random.default_rng([seed, 1909])
    cues: dict[str, list[Hashable]] = {
        "first word": [_first_word(example.text) for example in examples],
        "length": [len(example.text.split()) for example in examples],
        "position": places(examples),
    }
    return {task: np.stack([_random_labels(cue, generator) for _ in range(n_draws)]) for task, cue in cues.items()}


def places(examples: Sequence[Example]) -> list[Hashable]:
    """Count for each span how many spans of its trace begin before it."""
    starts: dict[str, list[int]] = {}
    for example in examples:
        starts.setdefault(example.trace, []).append(example.start)
    rank = {
        trace: {start: n for n, start in enumerate(sorted(set(span_starts)))} for trace, span_starts in starts.items()
    }
    return [rank[example.trace][example.start] for example in examples]


def _first_word(text: str) -> str:
    words = text.split()
    return words[0].strip(".,;:!?\"'()").casefold() if words else ""


def _random_labels(cue: Sequence[Hashable], generator: np.random.Generator) -> Bool[np.ndarray, " n_examples"]:
    # Values are paired in the order of frequency, so that both labels are about equally frequent.
    values = [value for value, _ in Counter(cue).most_common()]
    heads = {}
    for first in range(0, len(values), 2):
        coin = bool(generator.integers(2))
        for value, side in zip(values[first : first + 2], (coin, not coin), strict=False):
            heads[value] = side
    return np.array([heads[value] for value in cue])
