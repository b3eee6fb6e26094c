"""Let a model of a pair answer the test problems, several times each, and keep what it writes.

Sample s of question q draws with random numbers of its own, those of the number q 2^20 + s: whatever the batch, and
whatever the number of samples. So a run with more samples goes on from one with fewer. Samples are written in blocks of
eight a question, so that equal prompts stand side by side and are read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..generation import Sampling, Written, write
from ..models import LanguageModel
from ..organisms import is_organism, problem_of, read
from ..rundir import RowLog, RunDirectory, brief, columns_of, from_row, to_row
from ..rundir.progress import ProgressBar
from ..traces.questions import Question
from .pair import Pair, encoded

KEY = ("question", "sample")
BLOCK = 8  # samples of a question that stand side by side
MOST_SAMPLES = 2**20

Role = Literal["base", "thinking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response, and its grades."""

    text: str
    n_tokens: int
    is_truncated: bool
    is_solved: bool | None  # None: cannot be told
    has_right_steps: bool | None  # solved, and every step right; None: cannot be told

    __repr__ = brief


@dataclass(frozen=True, eq=False, kw_only=True)
class Sampler:
    """One model of a pair at work.

    Attributes:
        pair: The models and problems.
        role: Which of its models writes.
        sampling: How is drawn, and how often.
        seed: Of the random numbers.
        n_rows: Responses that are written together; results depend on it by rounding alone.
        step_by_step: Whether the base is asked to think step by step.
        log: Name of the log, where a model stands in for the one of this role; empty: the role.
    """

    pair: Pair
    role: Role
    sampling: Sampling
    seed: int
    n_rows: int
    step_by_step: bool = False
    log: str = ""

    __repr__ = brief

    @property
    def model(self) -> LanguageModel:
        """The model that writes."""
        return self.pair.base if self.role == "base" else self.pair.thinking

    def responses(self, run: RunDirectory, progress: bool) -> list[list[Response]]:
        """Write what is missing in the log, and return the responses to each question.

        Args:
            run: Keeps `responses/ROLE.jsonl` (or the name of the log), a row for each response, batch by batch.
            progress: Whether a bar is shown.

        Returns:
            Those of each test question, in order.
        """
        n_questions, n_samples, n_rows = len(self.pair.test), self.sampling.n_samples, self.n_rows
        log = run.log(
            f"responses/{self.log or self.role}.jsonl",
            about={"model": self.log or self.role, "problems": self.pair.digest},
            key=KEY,
            columns={**dict.fromkeys(KEY, int), **columns_of(Response)},
        )
        keys = sorted(
            ((question, sample) for question in range(n_questions) for sample in range(n_samples)),
            key=lambda key: (key[1] // BLOCK, key),
        )
        bar = ProgressBar(
            desc=f"{self.pair.name}: {self.log or self.role}",
            unit="response",
            total=len(keys),
            initial=len(keys) - len(log.missing(keys)),
            progress=progress,
        )
        base, thinking = encoded(self.pair, self.pair.test, step_by_step=self.step_by_step)
        prompts = base if self.role == "base" else thinking
        with bar:
            for start in range(0, len(keys), n_rows):
                self._write(keys[start : start + n_rows], prompts, log, bar)
        return [
            [from_row(Response, log[question, sample]) for sample in range(n_samples)]
            for question in range(n_questions)
        ]

    def _write(
        self, keys: Sequence[tuple[int, int]], prompts: Sequence[Sequence[int]], log: RowLog, bar: ProgressBar
    ) -> None:
        """Write a batch; of one that was cut off all, so that it is the same batch again."""
        missing = set(log.missing(keys))
        if not missing:
            return
        written = write(
            self.model,
            [prompts[question] for question, _ in keys],
            self.sampling,
            seed=self.seed,
            n_rows=self.n_rows,
            numbers=[question * MOST_SAMPLES + sample for question, sample in keys],
        )
        log.add(
            [
                dict(zip(KEY, key, strict=True)) | to_row(self._graded(self.pair.test[key[0]], one))
                for key, one in zip(keys, written, strict=True)
                if key in missing
            ]
        )
        bar.update(len(missing))

    def _graded(self, question: Question, written: Written) -> Response:
        limit = self.pair.limit_tokens
        is_whole = not written.is_truncated or limit is None
        is_solved = self.pair.grader(question, written.graded_text) if is_whole else False
        has_right_steps = None
        if is_organism(self.pair.base):
            steps = read(problem_of(question.prompt), written.text.split())
            has_right_steps = bool(is_solved) and steps.is_process_right
        return Response(
            text=written.text,
            n_tokens=written.n_tokens,
            is_truncated=written.is_truncated and (limit is None or written.n_tokens <= limit),
            is_solved=is_solved,
            has_right_steps=has_right_steps,
        )
