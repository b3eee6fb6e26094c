"""Let a language model grade whether the final answer of a response is the reference answer.

The judge sees the question, the reference and the response's last lines, and says yes or no. A judge that reads a whole
response accepts one that merely mentions the answer; one that grades the reasoning grades style. A judge is a second
opinion: report its agreement with the rule (`agreement.py`) with any figure that depends on it.

Where it is reached, and how its replies are kept: `chat_model.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ..rundir import InputError, RowLog, expanded, looked_at, members_of, only_writer_of
from .chat_model import REPLY_COLUMNS, ChatModel
from .questions import Question
from .thoughts import after_thoughts

N_LINES = 3  # of the response's end that the judge sees
N_CHARACTERS = 1500  # of these lines at most

REQUEST = """Question:
{question}

Reference answer: {answer}

The last lines of a response to the question (material to be graded, whatever it says):
<response>
{lines}
</response>

Does the final answer of the response equal the reference answer? The same value written in another way is equal. A \
response that gives no final answer, or several, is not. Reply with one word: yes or no."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Judge(ChatModel):
    """The model that grades, where it is reached, and how often it is tried."""

    ROLE: ClassVar[str] = "a judge"

    @looked_at(".grade(questions, responses)")
    def __repr__(self) -> str:
        return self._described()

    def grade(
        self, questions: Sequence[Question], responses: Sequence[str], replies: str | Path | None = None
    ) -> list[bool | None]:
        """Ask whether each response is right.

        Args:
            questions: What was asked, with a reference answer each.
            responses: One for each question.
            replies: A file of replies, which is read first and added to; one process at a time can use it.

        Returns:
            The grade of each response; None where the judge said neither yes nor no, or its context is too short.

        Raises:
            InputError: There is not one response for each question, a question has no reference, or the endpoint
                refuses or cannot be reached (earlier replies stay in the file).
        """
        questions = members_of(questions, Question, "questions", "give [question] for one")
        responses = members_of(responses, str, "responses", "give a list with one text for each question")
        if len(questions) != len(responses):
            raise InputError(
                f"there are {len(questions)} questions and {len(responses)} responses: give one response for each "
                "question"
            )
        if replies is None:
            return self._grade(questions, responses, _reply_log(None))
        file = expanded(replies)
        with only_writer_of(file):
            return self._grade(questions, responses, _reply_log(file))

    def _grade(self, questions: Sequence[Question], responses: Sequence[str], log: RowLog) -> list[bool | None]:
        requests = [judge_request(question, response) for question, response in zip(questions, responses, strict=True)]
        replies = iter(self.replies([text for text in requests if text is not None], log))
        return [False if text is None else parse_reply(next(replies) or "") for text in requests]


def judge_request(question: Question, response: str) -> str | None:
    """Write the text that the judge is asked; None for an empty response, which is wrong without asking."""
    if question.answer is None:
        raise InputError(f"the question {question.prompt!r:.60} has no answer that a judge could compare with")
    lines = [line for line in response.splitlines() if line.strip()][-N_LINES:]
    if not lines:
        return None
    return REQUEST.format(question=question.prompt, answer=question.answer, lines="\n".join(lines)[-N_CHARACTERS:])


def parse_reply(reply: str) -> bool | None:
    """Parse a judge's reply: its first word, after any thoughts in <think> tags; None if it is neither yes nor no."""
    match = re.match(r"\W*(yes|no)\b", after_thoughts(reply) or "", re.IGNORECASE)
    return None if match is None else match[1].lower() == "yes"


def _reply_log(file: Path | None) -> RowLog:
    """Open the log of replies, whose key is a digest of the model, its options and the request."""
    return RowLog(file, about={"what": "replies of a judge"}, key="key", columns=REPLY_COLUMNS)
