"""Cognitive tools: a question is worked on by separate calls, each with one instruction and what earlier ones wrote.

    understand   break the question down        recall      a like question and its solution
    attempt      solve it, with both at hand    examine     check the attempt
    backtrack    go back to what is wrong       answer      answer, with all of it at hand

Ebouky et al. 2025 (arXiv 2506.12115) let the model choose when to call a tool; here all are called in this order, so
that a small model that never calls any is measured too. Every call is a prompt of its own and sees only what is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...rundir import brief
from .arm import ArmAnswer, ElicitContext, PreparedArm, Query
from .cost import total
from .prompting import answers


@dataclass(frozen=True, slots=True)
class CognitiveTool:
    """One call: which earlier texts it is shown, each under a heading, and what it is told to do."""

    name: str
    shown: tuple[str, ...]
    instruction: str

    __repr__ = brief


HEADINGS = {
    "understand": "Analysis of the question",
    "recall": "A like question",
    "attempt": "Proposed solution",
    "examine": "Examination of the solution",
    "backtrack": "Correction",
}
TOOLS = (
    CognitiveTool(
        "understand",
        (),
        "Break this question down before it is solved: what is asked for, which quantities and conditions are given, "
        "and which steps lead to the answer. Do not solve it yet.",
    ),
    CognitiveTool(
        "recall", (), "Recall a like question that you can solve, and write it down with its solution step by step."
    ),
    CognitiveTool("attempt", ("understand", "recall"), "Now solve the question step by step and give the answer."),
    CognitiveTool(
        "examine",
        ("attempt",),
        "Examine this solution: check each step and the result, and say whether anything in it is wrong.",
    ),
    CognitiveTool(
        "backtrack",
        ("attempt", "examine"),
        "Go back to the first step that is wrong, if there is one, and solve the question from there in another way.",
    ),
    CognitiveTool(
        "answer",
        ("attempt", "examine", "backtrack"),
        "Use all of this to answer the question. End with: The answer is",
    ),
)


def tool_prompt(tool: CognitiveTool, question: str, texts: dict[str, str]) -> str:
    """Write the prompt of a call.

    Args:
        tool: Which call.
        question: What is query.
        texts: What earlier calls wrote, by their names.

    Returns:
        The prompt.
    """
    parts = [question, *(f"{HEADINGS[name]}:\n{texts[name].strip()}" for name in tool.shown), tool.instruction]
    return "\n\n".join(parts)


def prepare_tools(context: ElicitContext) -> PreparedArm:
    """Let the base work with the tools."""
    settings = context.settings

    def answer(questions: Sequence[Query]) -> list[ArmAnswer]:
        texts: list[dict[str, str]] = [{} for _ in questions]
        costs = []
        for number, tool in enumerate(TOOLS):
            written = answers(
                context.base,
                [tool_prompt(tool, query.question.prompt, own) for query, own in zip(questions, texts, strict=True)],
                context.pair.base_template,
                settings.sampling,
                seed=int(np.random.default_rng([settings.seed, number]).integers(2**31)),
                n_rows=settings.n_rows,
                numbers=[query.number for query in questions],
            )
            costs.append([one.cost for one in written])
            for own, one in zip(texts, written, strict=True):
                own[tool.name] = one.text
        return [
            ArmAnswer(text=one.text, is_truncated=one.is_truncated, cost=total(own))
            for one, own in zip(written, zip(*costs, strict=True), strict=True)
        ]

    return PreparedArm(answer=answer)
