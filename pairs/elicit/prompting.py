"""Arms that only ask: the plain prompt, and a prompt to reason step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...generation import Sampling, encode_prompts, write
from ...models import LanguageModel
from ...traces import Template
from .arm import ArmAnswer, ElicitContext, PreparedArm, Query
from .cost import response_cost

# What asks for steps, a sentence for each wording; the first is that of Kojima et al. 2022 (arXiv 2205.11916).
STEPS = (
    "Let's think step by step.",
    "Think step by step before you answer.",
    "Work through it one step at a time, then give the answer.",
    "Reason carefully, a step a line, and then answer.",
)


def answers(
    model: LanguageModel,
    prompts: Sequence[str],
    template: Template,
    sampling: Sampling,
    *,
    seed: int,
    n_rows: int,
    numbers: Sequence[int],
) -> list[ArmAnswer]:
    """Let a model answer prompts, each in one call.

    Args:
        model: Who answers.
        prompts: What it is query.
        template: How the prompts are put.
        sampling: How responses are drawn.
        seed: Of the random numbers.
        n_rows: Prompts that are answered together.
        numbers: Of the prompts; random numbers go by them.

    Returns:
        The answers, with what each cost.
    """
    encoded = encode_prompts(model, prompts, template)
    written = write(model, encoded, sampling, seed=seed, n_rows=n_rows, numbers=numbers)
    return [
        ArmAnswer(
            text=one.graded_text,
            is_truncated=one.is_truncated,
            cost=response_cost(model, len(prompt), one.n_tokens),
        )
        for prompt, one in zip(encoded, written, strict=True)
    ]


def asking(
    context: ElicitContext, model: LanguageModel, template: Template, put: Callable[[Query], str]
) -> Callable[[Sequence[Query]], list[ArmAnswer]]:
    """Make what answers questions by one call each.

    Args:
        context: Sampling and seed.
        model: Who answers.
        template: How prompts are put.
        put: Writes the prompt of a question.

    Returns:
        The function.
    """

    def answer(questions: Sequence[Query]) -> list[ArmAnswer]:
        settings = context.settings
        return answers(
            model,
            [put(query) for query in questions],
            template,
            settings.sampling,
            seed=settings.seed,
            n_rows=settings.n_rows,
            numbers=[query.number for query in questions],
        )

    return answer


def plain(query: Query) -> str:
    """Put a question as it is."""
    return query.question.prompt


def prepare_plain(context: ElicitContext) -> PreparedArm:
    """Ask the base the question."""
    return PreparedArm(answer=asking(context, context.base, context.pair.base_template, plain))


def prepare_steps(context: ElicitContext) -> PreparedArm:
    """Ask the base to reason step by step."""

    def put(query: Query) -> str:
        return f"{query.question.prompt}\n\n{STEPS[query.wording % len(STEPS)]}"

    return PreparedArm(answer=asking(context, context.base, context.pair.base_template, put))
