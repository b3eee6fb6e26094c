"""Let both models of a pair answer the test problems many times, and count what is right.

Sample s of question q draws with random numbers of its own, those of the number q 2^20 + s: whatever the batch, and
whatever the number of samples. So a run with more samples goes on from one with fewer. Samples are written in blocks of
eight a question, so that equal prompts stand side by side and are read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...generation import write
from ...models import LanguageModel
from ...organisms import is_organism, problem_of, read
from ...rundir import RowLog, RunDirectory, brief, columns_of, from_row, to_row
from ...rundir.progress import ProgressBar
from ...traces.questions import Question
from ..pair import Pair, encoded
from .counts import Matched, ProblemCounts
from .settings import PasskSettings

KEY = ("question", "sample")
BLOCK = 8  # samples of a question that stand side by side
MOST_SAMPLES = 2**20
BASE, THINKING = "base", "thinking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response, and its grades."""

    text: str
    n_tokens: int
    is_truncated: bool
    is_solved: bool | None  # None: cannot be told
    has_right_steps: bool | None  # solved, and every step right; None: cannot be told

    __repr__ = brief


def sample_counts(pair: Pair, settings: PasskSettings, run: RunDirectory, progress: bool) -> Matched:
    """Sample both models and count right responses.

    Args:
        pair: The models and problems.
        settings: How is sampled.
        run: Keeps `responses/base.jsonl` and `responses/thinking.jsonl`, a row for each response, batch by batch.
        progress: Whether bars are shown.

    Returns:
        The counts by question.
    """
    prompts = dict(zip((BASE, THINKING), encoded(pair, pair.test, step_by_step=settings.step_by_step), strict=True))
    models = {BASE: pair.base, THINKING: pair.thinking}
    counts: dict[str, tuple[ProblemCounts, ...]] = {}
    notes = []
    names = _names(pair.test)
    for role, model in models.items():
        rows = _Sampler(pair, settings, role, model, prompts[role]).complete(run, progress)
        counts[role] = tuple(_counted(name, some) for name, some in zip(names, rows, strict=True))
        responses = [response for some in rows for response in some]
        if n_unsure := sum(response.is_solved is None for response in responses):
            notes.append(f"{n_unsure} responses of {model.name} cannot be graded by rule, and count as wrong")
        if n_cut := sum(response.is_truncated for response in responses):
            notes.append(f"{n_cut} of {len(responses)} responses of {model.name} were cut off (--max-new-tokens)")
    problems = tuple(question.problem for question in pair.test)
    groups = None if len(set(problems)) == len(problems) else problems
    return Matched(base=counts[BASE], thinking=counts[THINKING], groups=groups, notes=tuple(notes))


@dataclass(frozen=True, eq=False)
class _Sampler:
    """One of the two models at work."""

    pair: Pair
    settings: PasskSettings
    role: str
    model: LanguageModel
    prompts: Sequence[Sequence[int]]

    def complete(self, run: RunDirectory, progress: bool) -> list[list[Response]]:
        """Write what is missing in the log, and return the responses to each question."""
        n_questions, n_samples, n_rows = len(self.pair.test), self.settings.sampling.n_samples, self.settings.n_rows
        log = run.log(
            f"responses/{self.role}.jsonl",
            about={"model": self.role, "problems": self.pair.digest},
            key=KEY,
            columns={**dict.fromkeys(KEY, int), **columns_of(Response)},
        )
        keys = sorted(
            ((question, sample) for question in range(n_questions) for sample in range(n_samples)),
            key=lambda key: (key[1] // BLOCK, key),
        )
        bar = ProgressBar(
            desc=f"{self.pair.name}: {self.role}",
            unit="response",
            total=len(keys),
            initial=len(keys) - len(log.missing(keys)),
            progress=progress,
        )
        with bar:
            for start in range(0, len(keys), n_rows):
                self._write(keys[start : start + n_rows], log, bar)
        return [[_restored(log[question, sample]) for sample in range(n_samples)] for question in range(n_questions)]

    def _write(self, keys: Sequence[tuple[int, int]], log: RowLog, bar: ProgressBar) -> None:
        """Write a batch; of one that was cut off all, so that it is the same batch again."""
        missing = set(log.missing(keys))
        if not missing:
            return
        written = write(
            self.model,
            [self.prompts[question] for question, _ in keys],
            self.settings.sampling,
            seed=self.settings.seed,
            n_rows=self.settings.n_rows,
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

    def _graded(self, question: Question, written: Any) -> Response:
        limit = self.pair.limit_tokens
        has_ended = not written.is_truncated
        is_solved = self.pair.grader(question, written.graded_text) if has_ended or limit is None else False
        return Response(
            text=written.text,
            n_tokens=written.n_tokens,
            is_truncated=not has_ended and (limit is None or written.n_tokens <= limit),
            is_solved=is_solved,
            has_right_steps=_has_right_steps(self.pair, question, written.text, is_solved),
        )


def _has_right_steps(pair: Pair, question: Question, text: str, is_solved: bool | None) -> bool | None:
    if not is_organism(pair.base):
        return None
    return bool(is_solved) and read(problem_of(question.prompt), text.split()).is_process_right


def _counted(name: str, responses: Sequence[Response]) -> ProblemCounts:
    knows_steps = all(response.has_right_steps is not None for response in responses)
    return ProblemCounts(
        id=name,
        n=len(responses),
        c=sum(response.is_solved is True for response in responses),
        right_steps=sum(response.has_right_steps is True for response in responses) if knows_steps else None,
    )


def _names(questions: Sequence[Question]) -> list[str]:
    """Name questions by their problem; several of one problem by their number too."""
    names: list[str] = []
    times: dict[str, int] = {}
    for question in questions:
        times[question.problem] = times.get(question.problem, 0) + 1
        number = times[question.problem]
        names.append(question.problem if number == 1 else f"{question.problem} ({number})")
    return names


def _restored(row: Any) -> Response:
    return from_row(Response, row)
