"""Let an arm answer questions, and grade what it writes."""

from __future__ import annotations

from collections.abc import Sequence

from ...generation import end_tokens
from ...generation.vocabulary import same_tokens
from ...traces.questions import Question
from ..pair import encoded
from ._decode import Plan, decode
from .arm import Arm
from .experiment import Experiment
from .record import RowRecord


def answer(
    experiment: Experiment, arm: Arm, plan: Plan, questions: Sequence[Question], numbers: Sequence[int]
) -> tuple[list[RowRecord], list[bool]]:
    """Decode some questions by a plan.

    Args:
        experiment: Pair and settings.
        arm: Whose plan it is; says what runs and what the base reads.
        plan: How is decoded.
        questions: To be answered.
        numbers: Of the questions in their set; random numbers go by them.

    Returns:
        What was done at every token of each response, and whether the response is right.
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
    is_solved = [pair.grader(question, record.text) for question, record in zip(questions, records, strict=True)]
    return records, is_solved
