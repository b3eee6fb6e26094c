"""Put a problem in other words: what an arm gains should not hang on how it is query.

Questions in words get another frame around them. The problems of organisms, which have no frame, name the candidates of
each level in another order: the same problem, with the same answer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...organisms import problem_of
from ...traces.questions import Question

FRAMES = (
    "{question}",
    "Question: {question}\nAnswer:",
    "Solve this problem.\n\n{question}",
    "{question}\n\nWhat is the answer?",
    "Here is a problem for you: {question}",
)


def reworded(question: Question, wording: int, *, has_words: bool) -> Question:
    """Put a question in another way.

    Args:
        question: As it stands.
        wording: Number of the wording; 0: as it stands.
        has_words: Whether it is in words; else it is a problem of the organisms.

    Returns:
        The question of the same problem, with the same answer.
    """
    if not wording:
        return question
    if has_words:
        return replace(question, prompt=FRAMES[wording].format(question=question.prompt))
    problem = problem_of(question.prompt)
    generator = np.random.default_rng([wording, *question.problem.encode()])
    candidates = tuple(
        tuple(level[int(place)] for place in generator.permutation(len(level))) for level in problem.candidates
    )
    return replace(question, prompt=replace(problem, candidates=candidates).prompt)
