"""What came of one condition, by problem: enough to draw every figure with its interval, and to be kept as a row.

rate        sentences that show a behaviour, of all sentences; over problems, sum over sum
effect      rate of the steered model minus rate of the unsteered one, problems resampled together (paired)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...generation import Written
from ...stats import (
    Interval,
    ratio_difference_over_groups,
    ratio_over_groups,
    wilson_proportion,
)
from ...traces import Annotator, segment
from ...traces.questions import Grader, Question
from .condition import Condition
from .damage import Damage

N_EXAMPLES = 3  # responses kept to look at


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Outcome:
    """Counts by problem, in the order of the questions."""

    condition: Condition
    n_sentences: list[int]
    n_shown: dict[str, list[int]]  # behaviour -> sentences that show it
    n_tokens: list[int]
    is_truncated: list[bool]
    is_solved: list[bool] | None  # None where nothing says what is right
    damage: Damage
    n_steered: int  # tokens whose activation was changed while the responses were written
    n_run: int  # tokens that were run
    examples: list[str]  # the first responses

    def rate(self, behaviour: str) -> Interval:
        """Of the sentences, those that show `behaviour`; 0 of a model that writes none."""
        sentences = np.array(self.n_sentences, dtype=float)
        return ratio_over_groups(self._counts(behaviour), sentences if sentences.any() else np.ones(len(sentences)))

    def effect(self, behaviour: str, unsteered: Outcome) -> Interval:
        """By how much steering raises the rate of `behaviour`."""
        return ratio_difference_over_groups(
            self._counts(behaviour),
            np.array(self.n_sentences, dtype=float),
            unsteered._counts(behaviour),
            np.array(unsteered.n_sentences, dtype=float),
        )

    def accuracy(self) -> Interval | None:
        """Of the problems, those solved."""
        return None if self.is_solved is None else wilson_proportion(np.array(self.is_solved, dtype=float))

    def _counts(self, behaviour: str) -> Float[np.ndarray, " problems"]:
        return np.array(self.n_shown.get(behaviour, [0] * len(self.n_sentences)), dtype=float)


def outcome_of(
    condition: Condition,
    questions: Sequence[Question],
    written: Sequence[Written],
    *,
    annotator: Annotator,
    grader: Grader | None,
    damage: Damage,
    n_steered: int,
    n_run: int,
) -> Outcome:
    """Count what was written. A sentence that an annotator passes over shows nothing."""
    labels = [[span.label for span in annotator(q.prompt, w.text)] for q, w in zip(questions, written, strict=True)]
    n_sentences = [max(len(segment(w.text, min_words=1)), len(found)) for w, found in zip(written, labels, strict=True)]
    seen = sorted({label for found in labels for label in found})
    return Outcome(
        condition=condition,
        n_sentences=n_sentences,
        n_shown={name: [found.count(name) for found in labels] for name in seen},
        n_tokens=[w.n_tokens for w in written],
        is_truncated=[w.is_truncated for w in written],
        is_solved=None if grader is None else [grader(q, w.text) for q, w in zip(questions, written, strict=True)],
        damage=damage,
        n_steered=n_steered,
        n_run=n_run,
        examples=[w.text for w in written[:N_EXAMPLES]],
    )
