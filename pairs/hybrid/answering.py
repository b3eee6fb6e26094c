"""Let an arm answer questions, and grade what it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...generation import end_tokens
from ...generation.vocabulary import same_tokens
from ...generation.writing import thought_openers
from ...traces.questions import Question, answered_in_thoughts
from ..pair import encoded
from ._decode import Plan, decode
from .arm import Arm
from .arms import THINKING
from .experiment import Experiment
from .record import RowRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """The grade of one response."""

    is_solved: bool | None  # None: cannot be told
    answered_in_thoughts: bool  # an answer stands in a box of thoughts that never ended: it does not count


def answer(
    experiment: Experiment, arm: Arm, plan: Plan, questions: Sequence[Question], numbers: Sequence[int]
) -> tuple[list[RowRecord], list[Graded]]:
    """Decode some questions by a plan.

    Args:
        experiment: Pair and settings.
        arm: Whose plan it is; says what runs and what the base reads.
        plan: How is decoded.
        questions: To be answered.
        numbers: Of the questions in their set; random numbers go by them.

    Returns:
        What was done at every token of each response, and its grade.
    """
    pair, settings = experiment.pair, experiment.settings
    base_prompts, thinking_prompts = encoded(pair, questions, step_by_step="step-by-step prompt" in arm.needs)
    records = decode(
        pair.base,
        pair.thinking if "thinking model" in arm.needs else None,
        base_prompts,
        thinking_prompts,
        plan,
        settings.sampling,
        seed=settings.seed,
        n_rows=settings.n_rows,
        numbers=list(numbers),
        more_ends=end_tokens(pair.thinking) if same_tokens(pair.base, pair.thinking) else (),
    )
    limit = pair.limit_tokens
    if limit is not None:  # what is longer is wrong, whatever might have followed
        records = [replace(record, is_truncated=record.is_truncated and record.n_tokens <= limit) for record in records]
    is_alone = arm.name == THINKING  # its own prompts may open thoughts, and the base's do not show it
    openers = thought_openers(*((pair.thinking, thinking_prompts) if is_alone else (pair.base, base_prompts)))
    texts = [f"{opener}{record.text}" for opener, record in zip(openers, records, strict=True)]
    return records, [
        Graded(is_solved=pair.grader(question, text), answered_in_thoughts=answered_in_thoughts(text))
        for question, text in zip(questions, texts, strict=True)
    ]
