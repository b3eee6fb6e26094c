"""Let an arm answer the test problems and read texts, and keep each answer and reading as soon as it is there.

    answers.jsonl     a row for each arm, wording, question and sample
    readings.jsonl    a row for each arm and text off the task
    arms/NAME.json    what the arm learnt from; it is there once the arm has been prepared

Sample s of question q draws with random numbers of its own, the same in all arms and wordings. An arm is prepared when
the first of its rows is missing. Of a batch that was cut off all is answered again, so that it is the same batch.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...rundir import RowLog, brief, columns_of, from_row, read_json, to_row, write_json
from ...rundir.progress import ProgressBar
from ...traces import Trace
from ..likelihood import read_texts
from ..sampling import BLOCK, MOST_SAMPLES
from .arm import ArmAnswer, ElicitArm, ElicitContext, PreparedArm, Query
from .cost import ResponseCost, TrainingCost
from .rewording import reworded
from .vote import ballot

KEY = ("arm", "wording", "question", "sample")
TEXT_KEY = ("arm", "text")
TEXT_COLUMNS = {"arm": str, "text": int, "nats": float, "n_tokens": int}
AnswerKey = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedAnswer:
    """One answer of an arm, as it is logged."""

    text: str
    ballot: str  # the answer that it votes for
    is_solved: bool | None  # None: cannot be told
    is_truncated: bool
    cost: ResponseCost

    __repr__ = brief


@dataclass(frozen=True, slots=True)
class Preparation:
    """What an arm learnt from, and what was chosen on the way."""

    training: TrainingCost
    note: str

    __repr__ = brief


COLUMNS: dict[str, Any] = {"arm": str, "wording": int, "question": int, "sample": int, **columns_of(GradedAnswer)}


class Answering:
    """One arm at work."""

    def __init__(self, context: ElicitContext, arm: ElicitArm) -> None:
        self.context, self.arm = context, arm

    @cached_property
    def prepared(self) -> PreparedArm:
        """The arm, ready."""
        return self.arm.prepare(self.context)

    def preparation(self) -> Preparation:
        """Prepare the arm, or read what its preparation cost."""
        if self.arm.is_instant:
            return Preparation(self.prepared.training, self.prepared.note)
        run, folder = self.context.run, self.context.run.file(self.arm.folder)
        name = f"{self.arm.folder}.json"
        place = run.file(name)
        if self.arm.is_metered and folder is not None and place is not None and not place.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a preparation that was cut off, whose cost would be lost
        return run.once(name, lambda: Preparation(self.prepared.training, self.prepared.note), save=_save, open=_open)

    def answers(self, log: RowLog, keys: Sequence[AnswerKey]) -> None:
        """Answer what is missing in the log.

        Args:
            log: Of answers.
            keys: Wording, question and sample of everything that the arm is query.
        """
        settings = self.context.settings
        ordered = sorted(keys, key=lambda key: (key[1], key[3] // BLOCK, key[2], key[3]))
        n_tokens, began = 0, time.monotonic()
        with ProgressBar(
            desc=self.arm.name,
            unit="response",
            total=len(ordered),
            initial=len(ordered) - len(log.missing(ordered)),
            progress=self.context.progress,
        ) as bar:
            for start in range(0, len(ordered), settings.n_rows):
                batch = ordered[start : start + settings.n_rows]
                missing = set(log.missing(batch))
                if not missing:
                    continue
                answers = self._answered(batch)
                n_tokens += sum(one.cost.output_tokens for one in answers)
                bar.set_postfix(tokens_a_second=f"{n_tokens / max(time.monotonic() - began, 1e-9):.0f}")
                log.add(
                    [
                        dict(zip(KEY, key, strict=True)) | to_row(one)
                        for key, one in zip(batch, answers, strict=True)
                        if key in missing
                    ]
                )
                bar.update(len(missing))

    def _answered(self, keys: Sequence[AnswerKey]) -> list[GradedAnswer]:
        pair, has_words = self.context.pair, self.context.has_words
        queries = [
            Query(
                question=reworded(pair.test[question], wording, has_words=has_words),
                number=question * MOST_SAMPLES + sample,
                wording=wording,
            )
            for _, wording, question, sample in keys
        ]
        return [
            self._graded(one, key, answer)
            for one, key, answer in zip(queries, keys, self.prepared.answer(queries), strict=True)
        ]

    def _graded(self, query: Query, key: AnswerKey, answer: ArmAnswer) -> GradedAnswer:
        pair, limit = self.context.pair, self.context.pair.limit_tokens
        # An organism's problem is graded as it was put; a frame around a question has no part in its grade.
        question = pair.test[key[2]] if self.context.has_words else query.question
        # By the rules of the task: wrong, not cut off.
        is_long = limit is not None and answer.is_truncated and answer.cost.output_tokens > limit
        return GradedAnswer(
            text=answer.text,
            ballot=ballot(question, answer.text, has_words=self.context.has_words),
            is_solved=False if is_long else pair.grader(question, answer.text),
            is_truncated=answer.is_truncated and not is_long,
            cost=answer.cost,
        )

    def readings(self, log: RowLog, texts: Sequence[Trace]) -> None:
        """Read the texts off the task that are missing in the log.

        Args:
            log: Of readings.
            texts: What is read.
        """
        keys = [(self.arm.name, number) for number in range(len(texts))]
        missing = set(log.missing(keys))
        if not missing:
            return
        pair = self.context.pair
        if self.prepared.read is None:
            readings = read_texts(pair.base, texts, pair.base_template)
        else:
            readings = self.prepared.read(texts)
        log.add(
            [
                {"arm": key[0], "text": key[1], "nats": float(one.nats.sum()), "n_tokens": len(one.nats)}
                for key, one in zip(keys, readings, strict=True)
                if key in missing
            ]
        )


def graded_answer(row: Any) -> GradedAnswer:
    """Read a row of the log."""
    return from_row(GradedAnswer, row)


def _save(preparation: Preparation, path: Path) -> None:
    content = asdict(preparation)
    flops = preparation.training.flops
    content["training"]["flops"] = None if flops != flops else flops
    write_json(path, content)


def _open(path: Path) -> Preparation:
    return from_row(Preparation, read_json(path, "what an arm learnt from"))
