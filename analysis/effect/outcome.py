"""Count behaviours, right answers and damage under one condition, by problem.

rate        number of sentences that show a behaviour / number of sentences, both summed over problems
effect      rate of the steered model minus rate of the unsteered one, problems resampled together (paired)
wrong way   share of problems whose rate is lower steered than unsteered
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...generation import Written
from ...rundir import brief
from ...stats import (
    Interval,
    proportion_over_groups,
    ratio_difference_over_groups,
    ratio_over_groups,
    sum_by_group,
)
from ...traces import Annotator, segment
from ...traces.questions import Grader, Question, answered_in_thoughts
from .condition import Condition
from .damage import Damage

N_EXAMPLES = 3  # responses that are stored


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Outcome:
    """Counts by question, in the order of the questions."""

    condition: Condition
    problems: list[str]  # of each question; questions of one are resampled together
    n_sentences: list[int]
    n_shown: dict[str, list[int]]  # behaviour -> sentences that show it
    n_tokens: list[int]
    is_truncated: list[bool]
    is_solved: list[bool | None] | None  # None without a grader; of a response, where it cannot be told
    answered_in_thoughts: list[bool]  # whether an answer stands in a box of thoughts that never ended
    damage: Damage
    n_steered: int  # tokens whose activation was changed while the responses were written
    n_run: int  # tokens that were run
    examples: list[str]  # the first responses

    __repr__ = brief

    def rate(self, behaviour: str) -> Interval:
        """Compute the share of sentences that show `behaviour`; 0 for a model that writes no sentence."""
        sentences = np.array(self.n_sentences, dtype=float)
        return ratio_over_groups(
            self._counts(behaviour), sentences if sentences.any() else np.ones(len(sentences)), groups=self.problems
        )

    def effect(self, behaviour: str, unsteered: Outcome) -> Interval:
        """Compute by how much steering raises the rate of `behaviour`, with an interval over paired problems."""
        return ratio_difference_over_groups(
            self._counts(behaviour),
            np.array(self.n_sentences, dtype=float),
            unsteered._counts(behaviour),
            np.array(unsteered.n_sentences, dtype=float),
            groups=self.problems,
        )

    def effect_value(self, behaviour: str, unsteered: Outcome) -> float:
        """Compute by how much steering raises the rate of `behaviour`, without the interval, which takes long."""
        own, plain = (
            outcome._counts(behaviour).sum() / max(sum(outcome.n_sentences), 1) for outcome in (self, unsteered)
        )
        return float(own - plain)

    def wrong_way(self, behaviour: str, unsteered: Outcome) -> Interval:
        """Compute the share of problems that steering moves the other way, with an interval over problems.

        Args:
            behaviour: The behaviour that the direction is meant to raise.
            unsteered: The outcome of the unsteered model on the same questions.

        Returns:
            Of the problems, those whose rate (sentences that show the behaviour, of the problem's sentences) is lower
            steered than unsteered. Problems of which it is the same count below the line only.
        """
        steered, plain = (outcome._rates_by_problem(behaviour) for outcome in (self, unsteered))
        return proportion_over_groups(steered < plain - 1e-12)

    def accuracy(self) -> Interval | None:
        """Compute the share of questions solved, with an interval over problems; None without a grader.

        What cannot be told does not count as solved.
        """
        if self.is_solved is None:
            return None
        return proportion_over_groups(np.array([right is True for right in self.is_solved], dtype=float), self.problems)

    def unsure(self) -> float | None:
        """Compute the share of responses whose grade cannot be told; accuracy is higher by it if all are right."""
        return None if self.is_solved is None else self.is_solved.count(None) / max(len(self.is_solved), 1)

    def _rates_by_problem(self, behaviour: str) -> Float[np.ndarray, " problems"]:
        counts = np.stack([self._counts(behaviour), np.array(self.n_sentences, dtype=float)], axis=1)
        shown, sentences = sum_by_group(counts, self.problems).T
        rates: Float[np.ndarray, " problems"] = shown / np.maximum(sentences, 1)
        return rates

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
    """Count behaviours and right answers in responses; a sentence without a label shows no behaviour.

    Args:
        condition: The condition under which the responses were written.
        questions: The questions.
        written: The response to each question.
        annotator: Labels sentences with behaviours.
        grader: Grades a response; None if there is no right answer to compare with.
        damage: Damage on neutral text under the same condition.
        n_steered: Tokens whose activation was changed.
        n_run: Tokens that were run.

    Returns:
        The counts by question.
    """
    labels, n_sentences = labelled(questions, written, annotator)
    behaviours = sorted({label for text_labels in labels for label in text_labels})
    return Outcome(
        condition=condition,
        problems=[question.problem for question in questions],
        n_sentences=n_sentences,
        n_shown={name: [text_labels.count(name) for text_labels in labels] for name in behaviours},
        n_tokens=[w.n_tokens for w in written],
        is_truncated=[w.is_truncated for w in written],
        is_solved=None
        if grader is None
        else [grader(q, w.graded_text) for q, w in zip(questions, written, strict=True)],
        answered_in_thoughts=[answered_in_thoughts(w.graded_text) for w in written],
        damage=damage,
        n_steered=n_steered,
        n_run=n_run,
        examples=[w.text for w in written[:N_EXAMPLES]],
    )


def labelled(
    questions: Sequence[Question], written: Sequence[Written], annotator: Annotator
) -> tuple[list[list[str]], list[int]]:
    """Label the sentences of responses.

    Args:
        questions: The questions.
        written: The response to each.
        annotator: Labels sentences with behaviours; one without a label shows none.

    Returns:
        The labels in each response, and the number of its sentences.
    """
    labels = [[span.label for span in annotator(q.prompt, w.text)] for q, w in zip(questions, written, strict=True)]
    n_sentences = [
        max(len(segment(response.text, min_words=1)), len(text_labels))
        for response, text_labels in zip(written, labels, strict=True)
    ]
    return labels, n_sentences
