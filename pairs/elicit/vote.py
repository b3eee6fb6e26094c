"""Vote among several responses by the answers that they come to, without knowing which is right.

    majority of m    the first of m responses whose answer is the commonest; of equally common ones the earliest

Self-consistency (Wang et al. 2023, arXiv 2203.11171): what the plain prompt reaches if it may spend as much as an arm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...organisms import problem_of, read
from ...traces.questions import Question, answer_given


def ballot(question: Question, response: str, *, has_words: bool) -> str:
    """Say which answer a response votes for.

    Args:
        question: What was query.
        response: As graders read it.
        has_words: Whether it is in words; else it is one of an organism, whose answer is what it accepts at each level.

    Returns:
        The answer; empty where it gives none.
    """
    if has_words:
        return answer_given(question, response)
    reading = read(problem_of(question.prompt), response.split())
    if not reading.is_ended:
        return ""
    accepted = {step.content[0]: step.content[1] for step in reading.steps if step.move == "accept"}
    return " ".join(f"{level} {symbol}" for level, symbol in sorted(accepted.items()))


def elected(ballots: Sequence[str]) -> int:
    """Elect a response.

    Args:
        ballots: The answer of each response; empty ones do not vote.

    Returns:
        The place of the first response with the commonest answer; 0 where none has one.
    """
    counts = Counter(ballot for ballot in ballots if ballot)
    if not counts:
        return 0
    most = max(counts.values())
    return next(place for place, ballot in enumerate(ballots) if counts.get(ballot) == most)
